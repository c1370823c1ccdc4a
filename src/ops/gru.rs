//! A gated recurrent unit (GRU) over a whole sequence, as one op.

use super::recurrent::{
    Form, RecurrentWeights, Sizes, copy, differentiated, flowing, inputs, mask, project, unrolled,
};
use crate::autograd::{Attributes, Grads, Op, Outputs, Saves, Specs, Step, apply};
use crate::dtype::dispatch_float;
use crate::kernels::recurrent as kernel;
use crate::tensor::{Array, Few, Tensor, few};
use crate::{Float, Result, Shape, Spec};

super::table::ops! {
    [Gru, GruGrad];
    gru: Floats, Every, "GRU";
}

fn form(reset_after: bool) -> Form {
    Form { name: "gru", states: 1, gates: 3, two_biases: reset_after }
}

crate::op! {
    /// Outputs: h of all time steps in order, and the last one; and for the gradient, at the times of the inputs,
    /// the gates z and r with the candidate, and what the last third of the recurrent kernel gave (`h·R + b`) or,
    /// without `reset_after`, was given (`r·h`).
    struct Gru("gru", 5..=6) { reset_after: bool, go_backwards: bool }
}

impl Op for Gru {
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        form(self.reset_after).flops(inputs)
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let form = form(self.reset_after);
        let sizes = form.sizes(inputs)?;
        form.check_mask(inputs.get(5), &sizes)?;
        let sequence = sizes.sequence(sizes.units)?;
        Ok(few![sequence, sizes.state()?, sizes.sequence(3 * sizes.units)?, sequence])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let specs: Few<Spec, 8> = inputs.iter().map(|a| a.spec()).collect();
        let sizes = form(self.reset_after).sizes(&specs)?;
        let (mask, recurrent, bias) = (mask(inputs, 5)?, inputs[3].contiguous()?, inputs[4].contiguous()?);
        let over = sizes.over(self.go_backwards, mask.as_ref().map(Array::slice).transpose()?);
        let (mut sums, mut room) = (Array::new(rows(&sizes, 3 * sizes.units)?)?, sizes.room(&over, 3)?);
        let [h, last, gates, inner] = outputs else { return Ok(()) };
        dispatch_float!(self.name(), sizes.dtype, T => {
            let (bias, of_state) = bias.slice::<T>()?.split_at(3 * sizes.units);
            let gates = gates.slice_mut::<T>()?;
            project::<T>(inputs[0], inputs[2], bias, gates)?;
            copy::<T>(inputs[1], last)?;
            let out = kernel::Gru {
                h: h.slice_mut()?,
                inner: inner.slice_mut()?,
                last: last.slice_mut()?,
                sums: sums.slice_mut()?,
                room: room.slice_mut()?,
            };
            kernel::gru(&over, recurrent.slice()?, self.reset_after.then_some(of_state), gates, out);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::INPUTS.output(0).output(2).output(3)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let mut all: Few<Tensor, 8> = (0..5).map(|i| step.input(i)).collect();
        all.extend([step.grad(0)?, step.grad(1)?]);
        all.extend([0, 2, 3].map(|i| step.output(i).detach()));
        all.extend((5..step.inputs()).map(|i| step.input(i)));
        let all: Few<&Tensor, 8> = all.iter().collect();
        let Gru { reset_after, go_backwards } = *self;
        form(reset_after).gradients(step, apply(GruGrad { reset_after, go_backwards }, &all)?)
    }
}

/// `[batch, width]`.
fn rows(sizes: &Sizes, width: usize) -> Result<Spec> {
    Ok(Spec::new(Shape::new(&[sizes.batch, width])?, sizes.dtype))
}

/// The same in tensor operations, from the projected inputs; if the state has a bias, the reset gate is applied
/// after the product.
fn naive(
    go_backwards: bool,
    z: &Tensor,
    h: &Tensor,
    (recurrent, bias): (&Tensor, Option<&Tensor>),
    mask: Option<&Tensor>,
) -> Result<Outputs> {
    let u = h.dims()[1] as isize;
    let (two, third) = (recurrent.slice(1, 0, 2 * u)?, recurrent.slice(1, 2 * u, 3 * u)?);
    unrolled(z.dims()[1], go_backwards, mask, std::slice::from_ref(h), &|t, states| {
        let (x, h) = (z.select(1, t)?, &states[0]);
        let inner = match bias {
            Some(bias) => h.linear(recurrent, Some(bias), None)?,
            None => h.matmul(&two)?,
        };
        let gates = x.slice(1, 0, 2 * u)?.add(&inner.slice(1, 0, 2 * u)?)?.sigmoid()?;
        let (z, r) = (gates.slice(1, 0, u)?, gates.slice(1, u, 2 * u)?);
        let inner = match bias {
            Some(_) => r.mul(&inner.slice(1, 2 * u, 3 * u)?)?,
            None => r.mul(h)?.matmul(&third)?,
        };
        let candidate = x.slice(1, 2 * u, 3 * u)?.add(&inner)?.tanh()?;
        Ok(few![z.mul(h)?.add(&z.affine(-1.0, 1.0)?.mul(&candidate)?)?])
    })
}

crate::op! {
    /// The gradients of the projected inputs, the state, the recurrent kernel and with `reset_after` the state's
    /// bias, from the inputs, the gradients of the first two outputs, and the other outputs of all time steps.
    struct GruGrad("gru_grad", 10..=11) { reset_after: bool, go_backwards: bool }
}

impl Op for GruGrad {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let form = form(self.reset_after);
        let sizes = form.sizes(inputs)?;
        let (sequence, state, gates) =
            (sizes.sequence(sizes.units)?, sizes.state()?, sizes.sequence(3 * sizes.units)?);
        form.expect_all(&inputs[5..], &[sequence, state, sequence, gates, sequence])?;
        form.check_mask(inputs.get(10), &sizes)?;
        let mut out: Specs = few![gates, state, inputs[3]];
        if self.reset_after {
            out.push(Spec::new(Shape::new(&[3 * sizes.units])?, sizes.dtype));
        }
        Ok(out)
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let specs: Few<Spec, 8> = inputs.iter().map(|a| a.spec()).collect();
        let sizes = form(self.reset_after).sizes(&specs)?;
        let mask = mask(inputs, 10)?;
        let over = sizes.over(self.go_backwards, mask.as_ref().map(Array::slice).transpose()?);
        let contiguous = |i: usize| inputs[i].contiguous();
        let (first, recurrent) = (contiguous(1)?, contiguous(3)?);
        let (g, h, gates, inner) = (contiguous(5)?, contiguous(7)?, contiguous(8)?, contiguous(9)?);
        let sequence = sizes.sequence(sizes.units)?;
        let (mut before, mut dinner) = (Array::new(sequence)?, Array::new(sequence)?);
        let (mut sums, mut ones) = (Array::new(sizes.state()?)?, Array::new(sizes.sequence(1)?)?);
        let mut room = sizes.room(&over, 3)?;
        let (u, w) = (sizes.units, 3 * sizes.units);
        dispatch_float!(self.name(), sizes.dtype, T => {
            copy::<T>(inputs[6], &mut outputs[1])?;
            kernel::before::<T>(&over, first.slice()?, h.slice()?, before.slice_mut()?);
            let inner = inner.slice::<T>()?;
            let saved = kernel::GruSaved {
                g: g.slice()?, gates: gates.slice()?, inner, before: before.slice()?, reset_after: self.reset_after,
            };
            let [dz, dh, dr, more @ ..] = outputs else { return Ok(()) };
            let dz = dz.slice_mut()?;
            let written = [dinner.slice_mut()?, dh.slice_mut()?, sums.slice_mut()?, room.slice_mut()?];
            kernel::gru_grad::<T>(&over, recurrent.slice()?, saved, dz, written);
            let (before, dinner, dr) = (before.slice::<T>()?, dinner.slice::<T>()?, dr.slice_mut()?);
            kernel::kernel_grad(u, before, (dz, w, 0..2 * u), dr, (w, 0));
            let given = if self.reset_after { before } else { inner };
            kernel::kernel_grad(u, given, (dinner, u, 0..u), dr, (w, 2 * u));
            if let [bias] = more {
                let (ones, (two, third)) = (ones.slice_mut::<T>()?, bias.slice_mut()?.split_at_mut(2 * u));
                ones.fill(<T as Float>::of(1.0));
                kernel::column_sums(ones, dz, w, 0..2 * u, two);
                kernel::column_sums(ones, dinner, u, 0..u, third);
            }
        });
        Ok(())
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        step.composed(|x| {
            let of_inputs = if self.reset_after { x[4].select(0, 0)? } else { x[4].clone() };
            let z = flowing(&x[0].linear(&x[2], Some(&of_inputs), None)?);
            let mut wrt: Few<Tensor, 8> = few![z, flowing(&x[1]), flowing(&x[3])];
            if self.reset_after {
                wrt.push(flowing(&x[4].select(0, 1)?));
            }
            let outputs = naive(self.go_backwards, &wrt[0], &wrt[1], (&wrt[2], wrt.get(3)), x.get(10))?;
            differentiated(outputs, &x[5..7], &wrt)
        })
    }
}

impl Tensor {
    /// Runs a gated recurrent unit (Cho et al. 2014; Keras's `GRU` with its default activations) over sequences
    /// `[batch, time, features]` from the state `[batch, units]`. At each time step, with `x·W + b` and `h·R` cut
    /// into three, `z = σ(x₀ + h₀)`, `r = σ(x₁ + h₁)`, and `h = z·h + (1 - z)·tanh(x₂ + r·(h₂ + b'))` if
    /// `reset_after`, where `h·R` has a bias of its own (b' is its last third), else with `(r·h)·R₂` in place of
    /// `r·(h₂ + b')`. Returns h of all time steps `[batch, time, units]`, with `go_backwards` from the last time to
    /// the first, and the last h.
    ///
    /// Where `mask` (bool, `[batch, time]`) is false, the state does not change, and the output repeats it.
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, there is no time step, or the dtype is not float32 or float64.
    pub fn gru(
        &self,
        state: &Tensor,
        weights: &RecurrentWeights<'_>,
        mask: Option<&Tensor>,
        reset_after: bool,
        go_backwards: bool,
    ) -> Result<[Tensor; 2]> {
        let all = inputs(form(reset_after), self, &[state], weights, mask)?;
        let all: Few<&Tensor, 8> = all.iter().collect();
        let outputs = apply(Gru { reset_after, go_backwards }, &all)?;
        Ok([outputs[0].clone(), outputs[1].clone()])
    }
}
