//! Padding: makes a tensor larger at its edges.

use super::arrange::positions;
use crate::autograd::{Grads, Op, Saves, Specs, Step, apply1, one};
use crate::dtype::dispatch_moved;
use crate::kernels::pad as kernel;
use crate::tensor::{Array, Few, Tensor, few};
use crate::{Error, MAX_RANK, Result, Shape, Spec};

super::table::ops! {
    [Pad];
    pad: Any, Every, "Pad";
}

/// What [`Tensor::pad`] puts beyond the edges; the names are NumPy's.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PadMode {
    /// A constant, rounded to the dtype.
    Constant(f64),
    /// The element at the edge: `a a [a b c] c c`.
    Edge,
    /// The elements mirrored at the edge element: `c b [a b c] b a`.
    Reflect,
    /// The elements mirrored, the edge element included: `b a [a b c] c b`.
    Symmetric,
    /// The elements from the other end: `b c [a b c] a b`.
    Wrap,
}

crate::op! {
    /// A constant around the input: the number of elements before and after it along each axis.
    struct Pad("pad", 1) {
        before: Few<usize, MAX_RANK>,
        after: Few<usize, MAX_RANK>,
        value: f64,
    }
}

impl Op for Pad {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Ok(one(padded(&inputs[0].shape, &self.before, &self.after)?, inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let input = inputs[0].contiguous()?;
        let value = Tensor::filled(Spec::new(Shape::SCALAR, input.dtype()), self.value)?;
        let to = *outputs[0].shape();
        dispatch_moved!(input.dtype(), T => kernel::pad(
            input.word_slice::<T>()?,
            input.shape().dims(),
            &self.before,
            to.dims(),
            value.array().word_slice::<T>()?[0],
            outputs[0].words_mut::<T>()?,
        ));
        Ok(())
    }
    fn zeros_around(&self) -> Option<(&[usize], &[usize])> {
        (self.value.to_bits() == 0).then_some((&self.before, &self.after))
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let mut g = step.grad(0)?;
        for (i, &n) in step.spec(0).shape.dims().iter().enumerate() {
            g = g.slice(i as isize, self.before[i] as isize, (self.before[i] + n) as isize)?;
        }
        Ok(few![Some(g)])
    }
}

/// Returns the shape with this many more elements before and after each axis.
fn padded(shape: &Shape, before: &[usize], after: &[usize]) -> Result<Shape> {
    let widths = || format!("{:?}", before.iter().zip(after).collect::<Vec<_>>());
    if before.len() != shape.rank() || after.len() != shape.rank() {
        let expected = format!("a pair for each of the {} axes", shape.rank());
        return Err(Error::argument("pad widths", expected, widths()));
    }
    let mut out = *shape;
    for (i, (&a, &b)) in before.iter().zip(after).enumerate() {
        let size = shape.dims()[i].checked_add(a).and_then(|n| n.checked_add(b));
        let size = size.filter(|n| *n <= isize::MAX as usize);
        let size =
            size.ok_or_else(|| Error::argument("pad widths", "sizes that can be counted", widths()))?;
        out = out.with(i, size);
    }
    Ok(out)
}

/// Returns which of `n` elements is at position `at`, counted from the first one.
fn source(padding: PadMode, at: isize, n: usize) -> usize {
    let last = n as isize - 1;
    let mirrored = |period: isize| {
        let at = at.rem_euclid(period.max(1));
        at.min(period - at)
    };
    let from = match padding {
        PadMode::Reflect => mirrored(2 * last),
        PadMode::Symmetric => {
            let at = at.rem_euclid(2 * last + 2);
            at.min(2 * last + 1 - at)
        }
        PadMode::Wrap => at.rem_euclid(last + 1),
        PadMode::Edge | PadMode::Constant(_) => at,
    };
    from.clamp(0, last) as usize
}

impl Tensor {
    /// Pads with `(before, after)` elements along each axis, filled as `padding` says (NumPy's `pad`).
    ///
    /// # Errors
    /// There is not one pair of widths per axis, a size overflows, or an empty axis would have to be continued.
    pub fn pad(&self, widths: &[(usize, usize)], padding: PadMode) -> Result<Tensor> {
        let (before, after): (Few<_, _>, Few<_, _>) = widths.iter().copied().unzip();
        if padded(self.shape(), &before, &after)? == *self.shape() {
            return Ok(self.clone());
        }
        if let PadMode::Constant(value) = padding {
            return apply1(Pad { before, after, value }, &[self]);
        }
        let mut out = self.clone();
        for (i, &(a, b)) in widths.iter().enumerate().filter(|(_, w)| **w != (0, 0)) {
            let n = self.dims()[i];
            if n == 0 {
                return Err(Error::shape(
                    "pad",
                    format!("elements along axis {i} to continue"),
                    *self.shape(),
                ));
            }
            let from = |at: usize| source(padding, at as isize - a as isize, n);
            out = out.gather(&positions(a + n + b, from)?, i as isize)?;
        }
        Ok(out)
    }
}
