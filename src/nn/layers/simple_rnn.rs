//! `SimpleRNN` and [`SimpleRNNCell`]: a recurrent layer whose output is its state.

use super::cell::{Formula, Recurrent, cells, is};
use super::recurrence::{States, recurrent};
use crate::config::Dyn;
use crate::nn::initializer::Initializer;
use crate::ops::RecurrentWeights;
use crate::ops::matmul::Fused;
use crate::tensor::{Tensor, few};
use crate::{Result, settings};

cells! {
    /// One time step of a [`SimpleRNN`]. Inputs are `[batch, features]` and the state `[batch, units]`, given after
    /// it or by the name `states`; outputs are the output and the new state, which are the same.
    cell SimpleRNNCell;
    /// `h = tanh(x·W + h·R + b)` at each time step of a sequence `[batch, time, features]`. The output is
    /// `[batch, units]`, or with `return_sequences` `[batch, time, units]`.
    ///
    /// Kernel `[features, units]`, recurrent kernel `[units, units]`, bias `[units]`. The initial state is 0, or
    /// given after the sequence or by the name `initial_state`. Where the mask of the input is false, the state
    /// does not change.
    layer SimpleRNN;
    [] {}
}

impl Formula for SimpleRNNCell {
    fn step(&self, x: &Tensor, states: &[Tensor], recurrent: &Recurrent<'_>) -> Result<States> {
        Ok(few![self.activation.apply(&x.add(&recurrent(&states[0], 0..1)?)?)?])
    }
    fn whole(
        &self,
        x: &Tensor,
        states: &[Tensor],
        weights: &RecurrentWeights<'_>,
        mask: Option<&Tensor>,
        go_backwards: bool,
    ) -> Option<Result<States>> {
        let suits = is(&self.activation, Fused::Tanh);
        suits.then(|| Ok(x.simple_rnn(&states[0], weights, mask, go_backwards)?.into_iter().collect()))
    }
    fn class_name(&self) -> &'static str {
        "SimpleRNNCell"
    }
    fn states(&self) -> usize {
        1
    }
    fn gates(&self) -> usize {
        1
    }
}

impl SimpleRNNCell {
    fn initial_bias(&self) -> Dyn<dyn Initializer> {
        self.bias_initializer.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::SimpleRNN;
    use crate::nn::layers::recurrence::tests::golden;

    #[test]
    fn gives_the_numbers_of_keras() {
        golden(
            SimpleRNN::new(2).return_sequences(true),
            [-0.10560477, -0.08380298, -0.12180357, -0.09590383, -0.15090404, -0.11786909],
        );
    }
}
