//! The tape: automatic differentiation. A tensor computed from tracked ones holds the step that made it, a step
//! holds its inputs' steps, and walking them from the newest back applies the chain rule. There is no global state:
//! the tape is the graph that tensors hold, and ends with them. Begin with [`Tensor::tracked`] and
//! [`Tensor::backward`]; to write an operation of your own, with [`Op`] and [`apply`].

mod attrs;
mod backward;
mod check;
mod custom;
mod cut;
mod derivatives;
mod ending;
mod gradients;
mod held;
mod leaf;
mod node;
mod record;
mod step;
mod watch;

pub(crate) use attrs::names;
pub use attrs::{Attr, Attribute, Attributes, Attrs, FromAttrs, Naming};
pub use backward::grad;
pub(crate) use backward::gradients_of;
pub use check::{Check, gradcheck};
pub(crate) use custom::recomputed;
pub use custom::{checkpoint, custom_gradient, opaque};
pub(crate) use cut::Cut;
pub use derivatives::{hvp, jacobian};
#[doc(hidden)]
pub(crate) use ending::Each;
pub use ending::{Constant, EachElement, End, Made, Ready};
pub use gradients::{Gradient, Gradients, RowGradient};
pub(crate) use leaf::Detach;
pub use node::Saves;
pub(crate) use node::{Edge, Node, fresh_id};
use record::Ran;
pub use step::{Grads, Step};
pub(crate) use watch::{failed_step, not_finite, watched};

use crate::kernels::strided::Layout;
use crate::tensor::{Array, Few, Tensor, few};
use crate::{Error, Result, Spec};
use std::any::TypeId;
use std::sync::Arc;

/// Shapes and dtypes of the outputs of an operation; most have one.
pub type Specs = Few<Spec, 3>;
/// The outputs of an operation.
pub type Outputs = Few<Tensor, 3>;

/// A differentiable operation: how to check, compute and differentiate it. Everything the library knows about an
/// operation is defined in one place: its name and attributes by [`op!`](crate::op), the rest by this trait. To add
/// your own, implement it and call [`apply`].
pub trait Op: Attributes + std::fmt::Debug + Send + Sync + 'static {
    /// Checks the inputs and returns the specs of the outputs. Shapes and dtypes are checked nowhere else.
    ///
    /// # Errors
    /// The inputs do not fit.
    fn infer(&self, inputs: &[Spec]) -> Result<Specs>;

    /// Fills the outputs, which have the specs that `infer` returned and are contiguous.
    ///
    /// # Errors
    /// Values (such as an index or a label) are out of range, or there is not enough memory.
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()>;

    /// Returns the gradients of the inputs, from those of the outputs, in tensor operations, so that the rule can
    /// itself be recorded and differentiated. A fused kernel is an operation with a rule of its own
    /// ([`Step::composed`] writes it).
    ///
    /// # Errors
    /// There is no gradient, or an operation in the rule failed.
    fn vjp(&self, step: &Step<'_>) -> Result<Grads>;

    /// Returns which values `vjp` reads; the others are freed as soon as nothing else holds them. `wants` tells
    /// which inputs' gradients will be needed.
    fn saves(&self, _wants: &[bool]) -> Saves {
        Saves::INPUTS
    }

    /// For operations that only reinterpret memory, returns the output's layout over the first input's memory, if
    /// one exists.
    fn view(&self, _input: &Layout, _output: Spec) -> Option<Layout> {
        None
    }

    /// Returns whether it reads this input as fast where its rows lie apart in memory, as columns of a wider matrix do.
    #[doc(hidden)]
    fn reads_apart(&self, _input: usize) -> bool {
        false
    }

    /// Computes into the first input instead of an output; returns `Ok(false)` if the operation cannot. The output
    /// has the first input's spec, and nothing else holds its memory.
    ///
    /// # Errors
    /// Those of [`Op::eval`].
    fn eval_in_place(&self, _first: &mut Array, _rest: &[&Array]) -> Result<bool> {
        Ok(false)
    }

    /// Returns whether [`Op::eval_in_place`] can do it for inputs of these specs.
    fn works_in_place(&self, _inputs: &[Spec]) -> bool {
        false
    }

    /// Returns whether the outputs depend on the inputs' values, rather than on their shapes alone.
    fn reads_values(&self) -> bool {
        true
    }

    /// Returns about how many additions, multiplications and functions of one number it takes for inputs and outputs
    /// of these specs; a multiply-add is two. By default one for each element of the outputs.
    fn flops(&self, _inputs: &[Spec], outputs: &[Spec]) -> u64 {
        elements(outputs)
    }

    /// Returns whether gradients stop here: the outputs are not tracked, whatever the inputs are.
    fn stops(&self) -> bool {
        false
    }

    /// Returns what it is as a step after a product, if it can be joined to one.
    #[doc(hidden)]
    fn as_end(&self, _inputs: &[Spec]) -> Option<End> {
        None
    }

    /// [`Op::as_end`] of an operation on two operands of which the second is this number.
    #[doc(hidden)]
    fn as_end_with(&self, _second: f32) -> Option<End> {
        None
    }

    /// Returns the operation that does this and then another step, whose further inputs follow its own.
    #[doc(hidden)]
    fn ends_with(&self, _inputs: &[Spec], _end: End) -> Option<Arc<dyn Op>> {
        None
    }

    /// Returns how many zeros it adds before and after each axis, if that is all it does.
    #[doc(hidden)]
    fn zeros_around(&self) -> Option<(&[usize], &[usize])> {
        None
    }

    /// Returns the operation that gives the same for a first input of which these zeros were left out.
    #[doc(hidden)]
    fn padded(&self, _inputs: &[Spec], _before: &[usize], _after: &[usize]) -> Option<Arc<dyn Op>> {
        None
    }

    /// Returns which input is read faster in a form that can be made of it once, if that input is a constant: packed
    /// weights. Its values are then not read any more.
    #[doc(hidden)]
    fn readies(&self, _inputs: &[Spec]) -> Option<usize> {
        None
    }

    /// Returns the same operation with what was made of that input, and that.
    #[doc(hidden)]
    fn made_ready(
        &self,
        _inputs: &[Spec],
        _constant: Constant<'_>,
        _kept: &mut Ready,
    ) -> Option<(Arc<dyn Op>, Arc<dyn Made>)> {
        None
    }

    /// Returns its type, which two operations of one name must share to be the same.
    #[doc(hidden)]
    fn kind(&self) -> TypeId {
        TypeId::of::<Self>()
    }

    /// Returns itself, if it is already held by a counter.
    #[doc(hidden)]
    fn shared(&self) -> Option<Arc<dyn Op>> {
        None
    }
}

/// Returns how many elements these have in all.
pub(crate) fn elements(specs: &[Spec]) -> u64 {
    specs.iter().fold(0, |n, spec| n.saturating_add(spec.shape.elements() as u64))
}

/// Writes the rule of an operation through which no gradient flows, for its `impl Op`.
macro_rules! nothing_flows {
    () => {
        fn saves(&self, _: &[bool]) -> $crate::autograd::Saves {
            $crate::autograd::Saves::NONE
        }
        fn vjp(&self, step: &$crate::autograd::Step<'_>) -> $crate::Result<$crate::autograd::Grads> {
            Ok(std::iter::repeat_n(None, step.inputs()).collect())
        }
        fn stops(&self) -> bool {
            true
        }
    };
}
pub(crate) use nothing_flows;

/// Runs an operation and, if an input is tracked or traced, records it. Everything computed from tensors is
/// computed through this function.
///
/// # Errors
/// Those of [`Op::infer`] and [`Op::eval`].
pub fn apply<O: Op>(op: O, inputs: &[&Tensor]) -> Result<Outputs> {
    let mut ran = Ran::new();
    run(&mut ran, &op, inputs)?;
    ran.hold(op);
    Ok(ran.outputs())
}

fn run(ran: &mut Ran, op: &dyn Op, inputs: &[&Tensor]) -> Result<()> {
    let traced = inputs.iter().any(|t| t.is_traced()) || op.is_random();
    let outputs = compute(op, inputs, traced)?;
    if watch::is_watched() {
        watch::look(op, inputs, &outputs)?;
    }
    ran.run(op, inputs, outputs, traced);
    Ok(())
}

/// [`apply1`] in place of the first input if nothing else holds its memory and nothing is recorded.
pub(crate) fn apply_in_place<O: Op>(op: O, first: &mut Tensor, rest: &[&Tensor]) -> Result<()> {
    let recorded = |t: &Tensor| t.is_tracked() || t.is_traced();
    if !watch::is_watched()
        && !recorded(first)
        && !rest.iter().any(|t| recorded(t))
        && first.array_mut().is_exclusive()
    {
        let specs: Few<Spec, 8> =
            std::iter::once(first.spec()).chain(rest.iter().map(|t| t.spec())).collect();
        if op.infer(&specs)?[..] == [first.spec()] {
            let arrays: Few<&Array, 8> = rest.iter().map(|t| t.array()).collect();
            if op.eval_in_place(first.array_mut(), &arrays)? {
                return Ok(());
            }
        }
    }
    *first = {
        let inputs: Few<&Tensor, 8> = std::iter::once(&*first).chain(rest.iter().copied()).collect();
        apply1(op, &inputs)?
    };
    Ok(())
}

/// Computes the outputs' values. Not generic, so it is compiled once for all operations.
fn compute(op: &dyn Op, inputs: &[&Tensor], traced: bool) -> Result<Few<Array, 3>> {
    let specs: Few<Spec, 8> = inputs.iter().map(|t| t.spec()).collect();
    let (least, most) = op.inputs();
    if !(least..=most).contains(&inputs.len()) {
        return Err(wrong_inputs(op, inputs.len()));
    }
    let out_specs = op.infer(&specs)?;
    if !traced {
        out_specs.iter().try_for_each(|spec| check_countable(*spec))?;
    }
    let mut arrays: Few<Array, 3> = Few::new();
    let view = match inputs.first() {
        Some(first) if !traced && inputs.len() < 3 => op.view(first.layout(), out_specs[0]),
        _ => None,
    };
    if let Some(layout) = view {
        arrays.push(inputs[0].array().with_layout(layout));
    } else {
        for &spec in &out_specs {
            arrays.push(if traced { Array::traced(spec) } else { Array::new(spec)? });
        }
        if !traced {
            inputs.iter().try_for_each(|t| check_view(t.layout(), t.dtype()))?;
            let values: Few<&Array, 8> = inputs.iter().map(|t| t.array()).collect();
            op.eval(&values, &mut arrays)?;
        }
    }
    Ok(arrays)
}

/// Fails for a tensor that would be too large for any memory.
pub(crate) fn check_countable(of: Spec) -> Result<()> {
    if of.shape.is_countable() {
        return Ok(());
    }
    let (dtype, shape) = (of.dtype, Box::new(of.shape));
    Err(Error::Memory { bytes: u128::MAX, dtype, shape, why: "its elements cannot be counted" })
}

/// Fails for a view that an operation does not accept.
pub(crate) fn check_view(layout: &Layout, dtype: crate::DType) -> Result<()> {
    let ends = layout.shape.elements() as u64 <= MOST_REPEATED || !layout.repeats();
    if ends { Ok(()) } else { Err(endless(Spec::new(layout.shape, dtype))) }
}

/// The most elements of a view with repeated memory that an operation accepts. A tensor in memory may have more.
const MOST_REPEATED: u64 = 1 << 36;

#[cold]
fn endless(of: Spec) -> Error {
    let bytes = of.shape.elements() as u128 * of.dtype.size() as u128;
    let (dtype, shape) = (of.dtype, Box::new(of.shape));
    Error::Memory { bytes, dtype, shape, why: "a view that repeats its elements so often can only be viewed" }
}

#[cold]
fn wrong_inputs(op: &dyn Op, got: usize) -> Error {
    let expected = match op.inputs() {
        (least, most) if least == most => least.to_string(),
        (least, usize::MAX) => format!("{least} or more"),
        (least, most) => format!("{least} to {most}"),
    };
    Error::argument(op.name(), format!("{expected} inputs"), got)
}

/// [`apply`] for operations with one output.
///
/// # Errors
/// Those of [`apply`].
pub fn apply1<O: Op>(op: O, inputs: &[&Tensor]) -> Result<Tensor> {
    let mut ran = Ran::new();
    run(&mut ran, &op, inputs)?;
    ran.hold(op);
    Ok(ran.output())
}

/// Wraps one spec as the list that [`Op::infer`] returns.
pub fn one(shape: crate::Shape, dtype: crate::DType) -> Specs {
    few![Spec::new(shape, dtype)]
}
