//! A simple recurrence over a whole sequence, as one op.

use super::recurrent::{
    Form, RecurrentWeights, copy, differentiated, flowing, inputs, mask, project, unrolled,
};
use crate::autograd::{Attributes, Grads, Op, Outputs, Saves, Specs, Step, apply};
use crate::dtype::dispatch_float;
use crate::kernels::recurrent as kernel;
use crate::tensor::{Array, Few, Tensor, few};
use crate::{Result, Spec};

super::table::ops! {
    [SimpleRnn, SimpleRnnGrad];
    simple_rnn: Floats, Every, "RNN";
}

const FORM: Form = Form { name: "simple_rnn", states: 1, gates: 1, two_biases: false };

crate::op! {
    /// Outputs: those of all time steps in order, and the last one.
    struct SimpleRnn("simple_rnn", 5..=6) { go_backwards: bool }
}

impl Op for SimpleRnn {
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        FORM.flops(inputs)
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let sizes = FORM.sizes(inputs)?;
        FORM.check_mask(inputs.get(5), &sizes)?;
        Ok(few![sizes.sequence(sizes.units)?, sizes.state()?])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let sizes = FORM.sizes(&inputs.iter().map(|a| a.spec()).collect::<Few<_, 8>>())?;
        let (mask, recurrent, bias) = (mask(inputs, 5)?, inputs[3].contiguous()?, inputs[4].contiguous()?);
        let over = sizes.over(self.go_backwards, mask.as_ref().map(Array::slice).transpose()?);
        let (mut z, mut room) = (Array::new(sizes.sequence(sizes.units)?)?, sizes.room(&over, 1)?);
        let [h, last] = outputs else { return Ok(()) };
        dispatch_float!(self.name(), sizes.dtype, T => {
            project::<T>(inputs[0], inputs[2], bias.slice()?, z.slice_mut()?)?;
            copy::<T>(inputs[1], last)?;
            let written = [h.slice_mut::<T>()?, last.slice_mut()?, room.slice_mut()?];
            kernel::simple_rnn(&over, recurrent.slice()?, z.slice_mut()?, written);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::INPUTS.output(0)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let mut all: Few<Tensor, 8> = (0..5).map(|i| step.input(i)).collect();
        all.extend([step.grad(0)?, step.grad(1)?, step.output(0).detach()]);
        all.extend((5..step.inputs()).map(|i| step.input(i)));
        let all: Few<&Tensor, 8> = all.iter().collect();
        FORM.gradients(step, apply(SimpleRnnGrad { go_backwards: self.go_backwards }, &all)?)
    }
}

/// The same in tensor operations, from the projected inputs.
fn naive(
    go_backwards: bool,
    z: &Tensor,
    h: &Tensor,
    recurrent: &Tensor,
    mask: Option<&Tensor>,
) -> Result<Outputs> {
    unrolled(z.dims()[1], go_backwards, mask, std::slice::from_ref(h), &|t, states| {
        Ok(few![z.select(1, t)?.add(&states[0].matmul(recurrent)?)?.tanh()?])
    })
}

crate::op! {
    /// The gradients of the projected inputs, the state and the recurrent kernel, from the inputs, the gradients of
    /// both outputs, and the outputs of all time steps.
    struct SimpleRnnGrad("simple_rnn_grad", 8..=9) { go_backwards: bool }
}

impl Op for SimpleRnnGrad {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let sizes = FORM.sizes(inputs)?;
        let (sequence, state) = (sizes.sequence(sizes.units)?, sizes.state()?);
        FORM.expect_all(&inputs[5..], &[sequence, state, sequence])?;
        FORM.check_mask(inputs.get(8), &sizes)?;
        Ok(few![sequence, state, inputs[3]])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let sizes = FORM.sizes(&inputs.iter().map(|a| a.spec()).collect::<Few<_, 8>>())?;
        let mask = mask(inputs, 8)?;
        let over = sizes.over(self.go_backwards, mask.as_ref().map(Array::slice).transpose()?);
        let [first, recurrent, g, h] = [1, 3, 5, 7].map(|i| inputs[i].contiguous());
        let (first, recurrent, g, h) = (first?, recurrent?, g?, h?);
        let (mut before, mut room) = (Array::new(sizes.sequence(sizes.units)?)?, sizes.room(&over, 1)?);
        let [dz, dh, dr] = outputs else { return Ok(()) };
        dispatch_float!(self.name(), sizes.dtype, T => {
            copy::<T>(inputs[6], dh)?;
            let (u, recurrent, h) = (sizes.units, recurrent.slice::<T>()?, h.slice::<T>()?);
            let written = [dh.slice_mut()?, room.slice_mut()?];
            kernel::simple_rnn_grad(&over, recurrent, (g.slice()?, h), dz.slice_mut()?, written);
            kernel::before(&over, first.slice::<T>()?, h, before.slice_mut()?);
            kernel::kernel_grad(u, before.slice::<T>()?, (dz.slice()?, u, 0..u), dr.slice_mut()?, (u, 0));
        });
        Ok(())
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        step.composed(|x| {
            let z = flowing(&x[0].linear(&x[2], Some(&x[4]), None)?);
            let wrt = [z, flowing(&x[1]), flowing(&x[3])];
            let outputs = naive(self.go_backwards, &wrt[0], &wrt[1], &wrt[2], x.get(8))?;
            differentiated(outputs, &x[5..7], &wrt)
        })
    }
}

impl Tensor {
    /// Runs a simple recurrence over sequences `[batch, time, features]` from the state `[batch, units]`: at each
    /// time step `h = tanh(x·W + h·R + b)` (Keras's `SimpleRNN` with its default activation). Returns the outputs
    /// of all time steps `[batch, time, units]`, with `go_backwards` from the last time to the first, and the last
    /// state.
    ///
    /// Where `mask` (bool, `[batch, time]`) is false, the state does not change, and the output repeats it.
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, there is no time step, or the dtype is not float32 or float64.
    pub fn simple_rnn(
        &self,
        state: &Tensor,
        weights: &RecurrentWeights<'_>,
        mask: Option<&Tensor>,
        go_backwards: bool,
    ) -> Result<[Tensor; 2]> {
        let all = inputs(FORM, self, &[state], weights, mask)?;
        let all: Few<&Tensor, 8> = all.iter().collect();
        let outputs = apply(SimpleRnn { go_backwards }, &all)?;
        Ok([outputs[0].clone(), outputs[1].clone()])
    }
}
