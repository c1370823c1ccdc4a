//! `LSTM` and [`LSTMCell`]: long short-term memory (Hochreiter and Schmidhuber 1997).

use super::cell::{Formula, Recurrent, UnitForgetBias, cells, is, part};
use super::recurrence::{States, recurrent};
use crate::config::Dyn;
use crate::nn::activation::{Activation, Sigmoid};
use crate::nn::initializer::Initializer;
use crate::ops::RecurrentWeights;
use crate::ops::matmul::Fused;
use crate::tensor::{Tensor, few};
use crate::{Result, settings};

cells! {
    /// One time step of an [`LSTM`]. Inputs are `[batch, features]` and the states h and c, `[batch, units]`, given
    /// after it or by the name `states`; outputs are the output h, then the new h and c.
    cell LSTMCell;
    /// A long short-term memory over sequences `[batch, time, features]`. The output is `[batch, units]`, or with
    /// `return_sequences` `[batch, time, units]`, followed with `return_state` by the last h and c.
    ///
    /// At each step `z = x·W + h·R + b` is cut into the input, forget, candidate and output parts `zᵢ`, `z_f`,
    /// `z_c`, `z_o` (Keras's order); with `σ = recurrent_activation` and `g = activation`:
    ///
    /// - `i = σ(zᵢ)`, `f = σ(z_f)`, `o = σ(z_o)`
    /// - `c = f·c + i·g(z_c)`
    /// - `h = o·g(c)`, the output
    ///
    /// Kernel `[features, 4·units]`, recurrent kernel `[units, 4·units]`, bias `[4·units]`. The initial h and c are
    /// 0, or given after the sequence or by the name `initial_state`. They do not change at a masked time step.
    layer LSTM;
    [recurrent_activation, unit_forget_bias] {
        /// Activation of the gates. Default: `Sigmoid`.
        recurrent_activation: into Dyn<dyn Activation> = Sigmoid,
        /// Whether the bias of the forget gate begins at 1 (Jozefowicz et al. 2015). Default: `true`.
        unit_forget_bias: bool = true,
    }
}

impl Formula for LSTMCell {
    fn step(&self, x: &Tensor, states: &[Tensor], recurrent: &Recurrent<'_>) -> Result<States> {
        let z = x.add(&recurrent(&states[0], 0..4)?)?;
        let gate = |i| self.recurrent_activation.apply(&part(&z, self.units, i)?);
        let (i, f, o) = (gate(0)?, gate(1)?, gate(3)?);
        let c = f.mul(&states[1])?.add(&i.mul(&self.activation.apply(&part(&z, self.units, 2)?)?)?)?;
        Ok(few![o.mul(&self.activation.apply(&c)?)?, c])
    }
    fn whole(
        &self,
        x: &Tensor,
        states: &[Tensor],
        weights: &RecurrentWeights<'_>,
        mask: Option<&Tensor>,
        go_backwards: bool,
    ) -> Option<Result<States>> {
        let suits = is(&self.activation, Fused::Tanh) && is(&self.recurrent_activation, Fused::Sigmoid);
        suits
            .then(|| Ok(x.lstm([&states[0], &states[1]], weights, mask, go_backwards)?.into_iter().collect()))
    }
    fn class_name(&self) -> &'static str {
        "LSTMCell"
    }
    fn states(&self) -> usize {
        2
    }
    fn gates(&self) -> usize {
        4
    }
}

impl LSTMCell {
    fn initial_bias(&self) -> Dyn<dyn Initializer> {
        let others = self.bias_initializer.clone();
        if self.unit_forget_bias { UnitForgetBias(others).into() } else { others }
    }
}

#[cfg(test)]
mod tests {
    use super::LSTM;
    use crate::nn::layers::recurrence::tests::golden;

    #[test]
    fn gives_the_numbers_of_keras() {
        golden(
            LSTM::new(2).return_sequences(true),
            [-0.00145669, 0.00397129, 0.00385578, 0.01436837, 0.01293325, 0.02871916],
        );
    }
}
