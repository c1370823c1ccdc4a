//! A long short-term memory (LSTM) over a whole sequence, as one op.

use super::recurrent::{
    Form, RecurrentWeights, copy, differentiated, flowing, inputs, mask, of_outputs, project, unrolled,
};
use crate::autograd::{Attributes, Grads, Op, Outputs, Saves, Specs, Step, apply};
use crate::dtype::dispatch_float;
use crate::kernels::recurrent as kernel;
use crate::tensor::{Array, Few, Tensor, few};
use crate::{Result, Spec};

super::table::ops! {
    [Lstm, LstmGrad];
    lstm: Floats, Every, "LSTM";
}

const FORM: Form = Form { name: "lstm", states: 2, gates: 4, two_biases: false };

crate::op! {
    /// Outputs: h of all time steps in order, the last h and c; and for the gradient, c of all time steps and the
    /// gates i, f, g, o at the times of the inputs.
    struct Lstm("lstm", 6..=7) { go_backwards: bool }
}

impl Op for Lstm {
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        FORM.flops(inputs)
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let sizes = FORM.sizes(inputs)?;
        FORM.check_mask(inputs.get(6), &sizes)?;
        let (sequence, state) = (sizes.sequence(sizes.units)?, sizes.state()?);
        Ok(few![sequence, state, state, sequence, sizes.sequence(4 * sizes.units)?])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let sizes = FORM.sizes(&inputs.iter().map(|a| a.spec()).collect::<Few<_, 8>>())?;
        let (mask, recurrent, bias) = (mask(inputs, 6)?, inputs[4].contiguous()?, inputs[5].contiguous()?);
        let over = sizes.over(self.go_backwards, mask.as_ref().map(Array::slice).transpose()?);
        let [h, last, carry, cells, gates] = outputs else { return Ok(()) };
        let mut room = sizes.room(&over, 4)?;
        dispatch_float!(self.name(), sizes.dtype, T => {
            let gates = gates.slice_mut::<T>()?;
            project::<T>(inputs[0], inputs[3], bias.slice()?, gates)?;
            copy::<T>(inputs[1], last)?;
            copy::<T>(inputs[2], carry)?;
            let (h, cells, last) = (h.slice_mut()?, cells.slice_mut()?, [last.slice_mut()?, carry.slice_mut()?]);
            let out = kernel::Lstm { h, cells, last, room: room.slice_mut()? };
            kernel::lstm(&over, recurrent.slice()?, gates, out);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::INPUTS.output(0).output(3).output(4)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let mut all: Few<Tensor, 8> = (0..6).map(|i| step.input(i)).collect();
        all.extend([step.grad_or_one_zero(0)?, step.grad(1)?, step.grad(2)?]);
        all.extend([0, 3, 4].map(|i| step.output(i).detach()));
        all.extend((6..step.inputs()).map(|i| step.input(i)));
        let all: Few<&Tensor, 8> = all.iter().collect();
        FORM.gradients(step, apply(LstmGrad { go_backwards: self.go_backwards }, &all)?)
    }
}

/// The same in tensor operations, from the projected inputs.
fn naive(
    go_backwards: bool,
    z: &Tensor,
    states: &[Tensor],
    recurrent: &Tensor,
    mask: Option<&Tensor>,
) -> Result<Outputs> {
    unrolled(z.dims()[1], go_backwards, mask, states, &|t, states| {
        let z = z.select(1, t)?.add(&states[0].matmul(recurrent)?)?;
        let u = states[0].dims()[1] as isize;
        let gate = |i: isize| z.slice(1, i * u, (i + 1) * u);
        let (i, f, g, o) = (gate(0)?.sigmoid()?, gate(1)?.sigmoid()?, gate(2)?.tanh()?, gate(3)?.sigmoid()?);
        let c = f.mul(&states[1])?.add(&i.mul(&g)?)?;
        Ok(few![c.tanh()?.mul(&o)?, c])
    })
}

crate::op! {
    /// The gradients of the projected inputs, both states and the recurrent kernel, from the inputs, the gradients
    /// of the first three outputs, and h, c and the gates of all time steps.
    struct LstmGrad("lstm_grad", 12..=13) { go_backwards: bool }
}

impl Op for LstmGrad {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let sizes = FORM.sizes(inputs)?;
        let (sequence, state, gates) =
            (sizes.sequence(sizes.units)?, sizes.state()?, sizes.sequence(4 * sizes.units)?);
        FORM.expect_all(&inputs[6..], &[sequence, state, state, sequence, sequence, gates])?;
        FORM.check_mask(inputs.get(12), &sizes)?;
        Ok(few![gates, state, state, inputs[4]])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let sizes = FORM.sizes(&inputs.iter().map(|a| a.spec()).collect::<Few<_, 8>>())?;
        let mask = mask(inputs, 12)?;
        let over = sizes.over(self.go_backwards, mask.as_ref().map(Array::slice).transpose()?);
        let contiguous = |i: usize| inputs[i].contiguous();
        let (first, carry, recurrent) = (contiguous(1)?, contiguous(2)?, contiguous(4)?);
        let (g, h, cells, gates) =
            (of_outputs(inputs[6], sizes.units)?, contiguous(9)?, contiguous(10)?, contiguous(11)?);
        let (mut before, mut room) = (Array::new(sizes.sequence(sizes.units)?)?, sizes.room(&over, 4)?);
        let [dz, dh, dc, dr] = outputs else { return Ok(()) };
        dispatch_float!(self.name(), sizes.dtype, T => {
            copy::<T>(inputs[7], dh)?;
            copy::<T>(inputs[8], dc)?;
            let (u, recurrent) = (sizes.units, recurrent.slice::<T>()?);
            let saved = kernel::LstmSaved {
                g: g.slice()?, gates: gates.slice()?, cells: cells.slice()?, first: carry.slice()?,
            };
            let written = [dh.slice_mut()?, dc.slice_mut()?, room.slice_mut()?];
            kernel::lstm_grad(&over, recurrent, saved, dz.slice_mut()?, written);
            kernel::before::<T>(&over, first.slice()?, h.slice()?, before.slice_mut()?);
            let dz = (dz.slice()?, 4 * u, 0..4 * u);
            kernel::kernel_grad::<T>(u, before.slice()?, dz, dr.slice_mut()?, (4 * u, 0));
        });
        Ok(())
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        step.composed(|x| {
            let z = flowing(&x[0].linear(&x[3], Some(&x[5]), None)?);
            let wrt = [z, flowing(&x[1]), flowing(&x[2]), flowing(&x[4])];
            let outputs = naive(self.go_backwards, &wrt[0], &wrt[1..3], &wrt[3], x.get(12))?;
            differentiated(outputs, &x[6..9], &wrt)
        })
    }
}

impl Tensor {
    /// Runs a long short-term memory (Hochreiter and Schmidhuber 1997; Keras's `LSTM` with its default activations)
    /// over sequences `[batch, time, features]` from the states h and c, `[batch, units]`: at each time step, with
    /// `z = x·W + h·R + b` cut into four, `i = σ(z₀)`, `f = σ(z₁)`, `o = σ(z₃)`, `c = f·c + i·tanh(z₂)`,
    /// `h = o·tanh(c)`. Returns h of all time steps `[batch, time, units]`, with `go_backwards` from the last time
    /// to the first, and the last h and c.
    ///
    /// Where `mask` (bool, `[batch, time]`) is false, the states do not change, and the output repeats h.
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, there is no time step, or the dtype is not float32 or float64.
    pub fn lstm(
        &self,
        states: [&Tensor; 2],
        weights: &RecurrentWeights<'_>,
        mask: Option<&Tensor>,
        go_backwards: bool,
    ) -> Result<[Tensor; 3]> {
        let all = inputs(FORM, self, &states, weights, mask)?;
        let all: Few<&Tensor, 8> = all.iter().collect();
        let outputs = apply(Lstm { go_backwards }, &all)?;
        Ok([outputs[0].clone(), outputs[1].clone(), outputs[2].clone()])
    }
}
