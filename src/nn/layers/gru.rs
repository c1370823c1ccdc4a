//! `GRU` and [`GRUCell`]: gated recurrent units (Cho et al. 2014).

use super::cell::{Formula, Recurrent, cells, is, part};
use super::recurrence::{States, recurrent};
use crate::config::Dyn;
use crate::nn::activation::{Activation, Sigmoid};
use crate::nn::initializer::Initializer;
use crate::ops::RecurrentWeights;
use crate::ops::matmul::Fused;
use crate::tensor::{Tensor, few};
use crate::{Result, settings};

cells! {
    /// One time step of a [`GRU`]. Inputs are `[batch, features]` and the state `[batch, units]`, given after it or
    /// by the name `states`; outputs are the output and the new state, which are the same.
    cell GRUCell;
    /// Gated recurrent units over sequences `[batch, time, features]`. The output is `[batch, units]`, or with
    /// `return_sequences` `[batch, time, units]`, followed with `return_state` by the last state.
    ///
    /// At each step `a = x·W + b` and `u = h·R + b'` are cut into the update, reset and candidate parts (Keras's
    /// order: `z`, `r`, `h`); with `σ = recurrent_activation` and `g = activation`:
    ///
    /// - `z = σ(a_z + u_z)`, `r = σ(a_r + u_r)`
    /// - `h = z·h + (1 - z)·g(a_h + r·u_h)`, the output
    ///
    /// Without `reset_after`, `(r·h)·R_h` replaces `r·u_h`, and there is no `b'`.
    ///
    /// Kernel `[features, 3·units]`, recurrent kernel `[units, 3·units]`, bias `[2, 3·units]`, or `[3·units]`
    /// without `reset_after`. The initial h is 0, or given after the sequence or by the name `initial_state`. It
    /// does not change at a masked time step.
    layer GRU;
    [recurrent_activation, reset_after] {
        /// Activation of the gates. Default: `Sigmoid`.
        recurrent_activation: into Dyn<dyn Activation> = Sigmoid,
        /// Whether the reset gate is applied after the product with the recurrent kernel. Default: `true`.
        reset_after: bool = true,
    }
}

impl Formula for GRUCell {
    fn step(&self, x: &Tensor, states: &[Tensor], recurrent: &Recurrent<'_>) -> Result<States> {
        let (h, u) = (&states[0], self.units);
        let inner = recurrent(h, if self.reset_after { 0..3 } else { 0..2 })?;
        let gate = |i| self.recurrent_activation.apply(&part(x, u, i)?.add(&part(&inner, u, i)?)?);
        let (z, r) = (gate(0)?, gate(1)?);
        let reset =
            if self.reset_after { r.mul(&part(&inner, u, 2)?)? } else { recurrent(&r.mul(h)?, 2..3)? };
        let candidate = self.activation.apply(&part(x, u, 2)?.add(&reset)?)?;
        Ok(few![z.mul(h)?.add(&z.affine(-1.0, 1.0)?.mul(&candidate)?)?])
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
        let reset_after = self.reset_after;
        suits.then(|| Ok(x.gru(&states[0], weights, mask, reset_after, go_backwards)?.into_iter().collect()))
    }
    fn class_name(&self) -> &'static str {
        "GRUCell"
    }
    fn states(&self) -> usize {
        1
    }
    fn gates(&self) -> usize {
        3
    }
    fn two_biases(&self) -> bool {
        self.reset_after
    }
}

impl GRUCell {
    fn initial_bias(&self) -> Dyn<dyn Initializer> {
        self.bias_initializer.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::GRU;
    use crate::nn::layers::recurrence::tests::golden;

    #[test]
    fn gives_the_numbers_of_keras() {
        golden(
            GRU::new(2).return_sequences(true),
            [0.02084632, 0.03731369, 0.04018928, 0.06920361, 0.05863818, 0.09817315],
        );
    }
}
