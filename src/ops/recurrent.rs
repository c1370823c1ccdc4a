//! What the recurrent ops share: their inputs and the checks of them, the product of all inputs with the kernel,
//! the loop in tensor operations that is the reference of each kernel, and the gradients that are plain products.
//!
//! Inputs are always x `[batch, time, features]`, the first states `[batch, units]`, kernel
//! `[features, gates·units]`, recurrent kernel `[units, gates·units]`, bias, and the mask, `[batch, time]` of bool,
//! if there is one. A gradient op has all of these but the mask, then the gradients of the outputs, then the saved
//! values, then the mask.

use super::elementwise::float;
use super::matmul;
use crate::autograd::{Grads, Outputs, Step, elements, gradients_of};
use crate::dtype::dispatch_float;
use crate::kernels::gemm::{Epilogue, Gemm};
use crate::kernels::recurrent::Over;
use crate::kernels::strided::Layout;
use crate::shape::MAX_RANK;
use crate::tensor::{Array, Few, PoolVec, Tensor, few};
use crate::{DType, Error, Float, Result, Shape, Spec};

/// The weights of a recurrence, laid out as in Keras.
#[derive(Clone, Copy, Debug)]
pub struct RecurrentWeights<'a> {
    /// `[features, gates·units]`.
    pub kernel: &'a Tensor,
    /// `[units, gates·units]`.
    pub recurrent_kernel: &'a Tensor,
    /// `[gates·units]`, or for a GRU with `reset_after` `[2, 3·units]`: that of the inputs, then that of the state.
    /// `None` means 0.
    pub bias: Option<&'a Tensor>,
}

/// The form in which recurrences differ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) states: usize,
    pub(super) gates: usize,
    /// Whether the state has a bias of its own.
    pub(super) two_biases: bool,
}

/// The sizes of a recurrence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) time: usize,
    pub(super) units: usize,
    pub(super) dtype: DType,
}

impl Sizes {
    /// `[batch, time, width]`.
    pub(super) fn sequence(&self, width: usize) -> Result<Spec> {
        Ok(Spec::new(Shape::new(&[self.batch, self.time, width])?, self.dtype))
    }

    /// `[batch, units]`.
    pub(super) fn state(&self) -> Result<Spec> {
        Ok(Spec::new(Shape::new(&[self.batch, self.units])?, self.dtype))
    }

    pub(super) fn over<'a>(&self, go_backwards: bool, mask: Option<&'a [u8]>) -> Over<'a> {
        Over { time: self.time, units: self.units, go_backwards, mask }
    }

    /// Makes working memory for the kernels of so many gates.
    pub(super) fn room(&self, over: &Over<'_>, gates: usize) -> Result<Array> {
        let elements = dispatch_float!("recurrence", self.dtype, T => over.room::<T>(gates));
        Array::new(Spec::new(Shape::new(&[elements])?, self.dtype))
    }
}

impl Form {
    /// Checks the inputs; those after the bias are not checked.
    pub(super) fn sizes(&self, inputs: &[Spec]) -> Result<Sizes> {
        let (x, recurrent) = (inputs[0], inputs[self.states + 2]);
        float(self.name, x.dtype)?;
        let [batch, time, features] = *x.shape.dims() else {
            return Err(Error::shape(self.name, "sequences [batch, time, features]", x.shape));
        };
        if time == 0 {
            return Err(Error::shape(self.name, "sequences of at least one step", x.shape));
        }
        let units = match *recurrent.shape.dims() {
            [units, _] if units > 0 => units,
            _ => {
                let expected = format!("a recurrent kernel [units, {} units]", self.gates);
                return Err(Error::shape(self.name, expected, recurrent.shape));
            }
        };
        let width = self.gates.saturating_mul(units);
        let bias: &[usize] = if self.two_biases { &[2, width] } else { &[width] };
        self.expect("kernel", inputs[self.states + 1], x.dtype, &[features, width])?;
        self.expect("recurrent kernel", recurrent, x.dtype, &[units, width])?;
        self.expect("bias", inputs[self.states + 3], x.dtype, bias)?;
        for state in &inputs[1..=self.states] {
            self.expect("state", *state, x.dtype, &[batch, units])?;
        }
        Ok(Sizes { batch, time, units, dtype: x.dtype })
    }

    /// Returns how much arithmetic a pass is: two products, and about five functions for each number of a gate.
    pub(super) fn flops(&self, inputs: &[Spec]) -> u64 {
        let [x, kernel, recurrent] = [inputs[0], inputs[self.states + 1], inputs[self.states + 2]];
        let steps: u64 = x.shape.dims().iter().take(2).map(|n| *n as u64).product();
        let width = recurrent.shape.dims().last().copied().unwrap_or(0) as u64;
        steps * (2 * elements(&[kernel, recurrent]) + 5 * width)
    }

    /// Fails if a mask does not fit.
    pub(super) fn check_mask(&self, mask: Option<&Spec>, sizes: &Sizes) -> Result<()> {
        mask.map_or(Ok(()), |mask| self.expect("mask", *mask, DType::Bool, &[sizes.batch, sizes.time]))
    }

    /// Fails unless an input is as expected.
    pub(super) fn expect(&self, what: &str, got: Spec, dtype: DType, dims: &[usize]) -> Result<()> {
        let expected = Spec::new(Shape::new(dims)?, dtype);
        if got == expected {
            return Ok(());
        }
        Err(Error::shape(self.name, format!("a {what} {expected} for these inputs (got {got})"), got.shape))
    }

    /// [`Form::expect`] of several.
    pub(super) fn expect_all(&self, got: &[Spec], expected: &[Spec]) -> Result<()> {
        got.iter().zip(expected).try_for_each(|(got, want)| {
            self.expect("value of this pass", *got, want.dtype, want.shape.dims())
        })
    }

    /// Returns the gradients of the inputs, from those of the projections `x·W + b`, of the states, of the
    /// recurrent kernel and, if it has one, of the state's bias.
    pub(super) fn gradients(&self, step: &Step<'_>, gradient: Outputs) -> Result<Grads> {
        let (kernel, recurrent, bias) = (self.states + 1, self.states + 2, self.states + 3);
        let mut grads: Grads = few![None; step.inputs()];
        let dz = matmul::rows(&gradient[0])?;
        if step.wants(0) {
            grads[0] = Some(gradient[0].matmul(&step.input(kernel).t()?)?);
        }
        for i in (1..=self.states).filter(|i| step.wants(*i)) {
            grads[i] = Some(gradient[i].clone());
        }
        if step.wants(kernel) {
            grads[kernel] = Some(matmul::rows(&step.input(0))?.t()?.matmul(&dz)?);
        }
        if step.wants(recurrent) {
            grads[recurrent] = Some(gradient[self.states + 1].clone());
        }
        if step.wants(bias) {
            let sum = dz.sum(&[0], false)?;
            grads[bias] = Some(match gradient.get(self.states + 2) {
                Some(of_state) => Tensor::concat(&[&sum.expand_dims(0)?, &of_state.expand_dims(0)?], 0)?,
                None => sum,
            });
        }
        Ok(grads)
    }
}

/// Returns the inputs of an operation, from the caller's arguments.
pub(super) fn inputs<'a>(
    form: Form,
    x: &'a Tensor,
    states: &[&'a Tensor],
    weights: &RecurrentWeights<'a>,
    mask: Option<&'a Tensor>,
) -> Result<Few<Tensor, 8>> {
    let RecurrentWeights { kernel, recurrent_kernel, bias } = *weights;
    let bias = match bias {
        Some(bias) => bias.clone(),
        None => {
            let width = recurrent_kernel.dims().last().copied().unwrap_or(0);
            let shape = if form.two_biases { Shape::new(&[2, width])? } else { Shape::new(&[width])? };
            recurrent_kernel.new_full(shape, 0.0)?
        }
    };
    let mut all: Few<Tensor, 8> = few![x.clone()];
    all.extend(states.iter().map(|&state| state.clone()));
    all.extend([kernel.clone(), recurrent_kernel.clone(), bias]);
    // Dtypes are promoted as in other operations.
    let common = all.iter().map(Tensor::dtype).reduce(DType::promote).unwrap_or(x.dtype());
    for t in all.iter_mut().filter(|t| t.dtype() != common) {
        *t = t.cast(common)?;
    }
    all.extend(mask.cloned());
    Ok(all)
}

/// Computes `out = x·W + bias` for all time steps at once.
pub(super) fn project<T: Float + Gemm>(x: &Array, kernel: &Array, bias: &[T], out: &mut [T]) -> Result<()> {
    let [batch, time, features] = *x.shape().dims() else { return Ok(()) };
    let x = x.reshaped(Shape::new(&[batch * time, features])?)?;
    matmul::product::<T>(&x, kernel, Shape::SCALAR, out, Epilogue::new(Some(bias), None))
}

/// Copies an array as it is laid out: the first states, which will change.
pub(super) fn copy<T: Float>(from: &Array, to: &mut Array) -> Result<()> {
    to.slice_mut::<T>()?.copy_from_slice(from.contiguous()?.slice::<T>()?);
    Ok(())
}

/// Returns the gradient of the outputs of all steps contiguous: that of a single row and step where it is one number for all of
/// them, as for a layer that returns the last output alone.
pub(super) fn of_outputs(g: &Array, units: usize) -> Result<Array> {
    let Layout { strides, offset, .. } = *g.layout();
    let one = Layout { shape: Shape::new(&[units])?, strides: [0; MAX_RANK], offset };
    if strides[..g.shape().rank()] == [0; 3] { g.with_layout(one).contiguous() } else { g.contiguous() }
}

/// Returns the mask, if there is one.
pub(super) fn mask(inputs: &[&Array], at: usize) -> Result<Option<Array>> {
    inputs.get(at).map(|mask| mask.contiguous()).transpose()
}

/// The new states at a time step.
type NaiveStep<'a> = dyn Fn(isize, &[Tensor]) -> Result<Few<Tensor, 2>> + 'a;

/// Loops over time in tensor operations: `step` gives the new states at a time; the first one is the output.
/// Returns the outputs of all time steps, then the last states.
pub(super) fn unrolled(
    time: usize,
    go_backwards: bool,
    mask: Option<&Tensor>,
    states: &[Tensor],
    step: &NaiveStep<'_>,
) -> Result<Outputs> {
    let mut states: Few<Tensor, 2> = states.into();
    let mut outputs = PoolVec::new();
    for i in 0..time {
        let t = if go_backwards { time - 1 - i } else { i } as isize;
        let mut new = step(t, &states)?;
        if let Some(mask) = mask {
            let counts = mask.slice(1, t, t + 1)?;
            for (new, old) in new.iter_mut().zip(&states) {
                *new = counts.choose(new, old)?;
            }
        }
        states = new;
        outputs.push(states[0].clone());
    }
    let sequence = Tensor::stack(&outputs.iter().collect::<PoolVec<_>>(), 1)?;
    Ok(std::iter::once(sequence).chain(states).collect())
}

/// Returns the tensor with a history that ends or passes here, so that gradients can be taken with respect to it.
pub(super) fn flowing(t: &Tensor) -> Tensor {
    if t.is_tracked() { t.clone() } else { t.clone().tracked() }
}

/// Returns the gradients of `outputs` with respect to each of `wrt`, as differentiable tensors; zeros where none
/// flows.
pub(super) fn differentiated(outputs: Outputs, seeds: &[Tensor], wrt: &[Tensor]) -> Result<Outputs> {
    let seeds: Few<Option<Tensor>, 3> = seeds.iter().cloned().map(Some).collect();
    let found = gradients_of(outputs, &seeds, wrt)?;
    let or_zeros = |(g, t): (Option<Tensor>, &Tensor)| g.map_or_else(|| t.new_full(*t.shape(), 0.0), Ok);
    found.into_iter().zip(wrt).map(or_zeros).collect()
}
