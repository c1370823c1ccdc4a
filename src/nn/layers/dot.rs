//! `Dot`: products of two inputs along one axis of each, for similarities or hand-made attention.

use super::merge;
use crate::error::Context;
use crate::nn::{Axes, Build, Cx, Init, InputSpecs, Inputs, Node, Value, Values};
use crate::tensor::{Tensor, Text};
use crate::{Error, Result, Shape, Spec};

crate::settings! {
    /// `Σ aᵢ·bᵢ` over one axis of each of two inputs, for each row of the batch. The output is `[batch, …a, …b]`:
    /// the axes of the first without the one summed over, then those of the second. Two matrices give `[batch, 1]`.
    /// The output has no mask.
    pub layer Dot {
        /// Creates the layer for one axis of both, `Dot::new(-1)`, or one of each: `Dot::new([1, 2])`. The batch is
        /// axis 0 and cannot be summed over.
        new(axes: into Axes);

        /// Whether to divide both by their norms along the axis first, which gives the cosine of their angle.
        /// Default: `false`.
        normalize: bool = false,
    }
}
crate::parts!(Dot {});

impl Dot {
    /// Returns the axis of each input, from 1.
    fn axes(&self, a: Shape, b: Shape) -> Result<[usize; 2]> {
        let [first, second] = match self.axes.list() {
            [both] => [*both; 2],
            [first, second] => [*first, *second],
            more => return Err(Error::argument("axes", "one axis, or one for each input", more.len())),
        };
        let axis = |shape: Shape, axis: isize| match shape.axis("Dot", axis).at(|| "axes")? {
            0 => Err(Error::argument("axes", "axes other than the batch", axis)),
            at => Ok(at),
        };
        Ok([axis(a, first)?, axis(b, second)?])
    }
}

impl Build for Dot {
    fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        merge::check("Dot", inputs)?;
        let &[Spec { shape: a, .. }, Spec { shape: b, .. }] = &inputs[..] else {
            return Err(Error::argument("inputs", "exactly two inputs", inputs.len()));
        };
        self.axes(a, b)?;
        Ok(Box::new(self.clone()))
    }
}

impl Node for Dot {
    fn call(&self, x: Inputs<'_>, _: &mut Cx) -> Result<Values> {
        let [Value { tensor: a, .. }, Value { tensor: b, .. }] = x.values() else {
            return Err(Error::argument("inputs", "exactly two inputs", x.values().len()));
        };
        let [at_a, at_b] = self.axes(*a.shape(), *b.shape())?;
        if a.dims()[at_a] != b.dims()[at_b] {
            let why = format!("axis {at_a} of the first and axis {at_b} of the second differ in size");
            return Err(Error::shapes("Dot", *a.shape(), *b.shape(), why));
        }
        let (a, b) = match self.normalize {
            true => (unit(a, at_a)?, unit(b, at_b)?),
            false => (a.clone(), b.clone()),
        };
        // `a` is the batch and `z` is summed over; the other axes get letters in order.
        let mut free = 'b'..'z';
        let mut letters = |rank: usize, at: usize| -> Text {
            let letter = |i| {
                if i == 0 {
                    Some('a')
                } else if i == at {
                    Some('z')
                } else {
                    free.next()
                }
            };
            (0..rank).filter_map(letter).collect()
        };
        let (left, right) = (letters(a.rank(), at_a), letters(b.rank(), at_b));
        let (left, right) = (left.as_str(), right.as_str());
        let kept = left.chars().chain(right.chars().skip(1)).filter(|c| *c != 'z');
        let equation: Text =
            left.chars().chain([',']).chain(right.chars()).chain("->".chars()).chain(kept).collect();
        let y = Tensor::einsum(equation.as_str(), &[&a, &b])?;
        Ok(if y.rank() == 1 { y.expand_dims(1)? } else { y }.into())
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}

/// Divides by the Euclidean norm along an axis, or by 1e-7 if the norm is smaller.
fn unit(x: &Tensor, axis: usize) -> Result<Tensor> {
    let scale = x.square()?.sum(&[axis as isize], true)?.rsqrt()?;
    x.mul(&scale.minimum(&scale.new_full([], 1e7)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_are_those_of_keras() -> Result<()> {
        let numbers = |n: i32, scale: f64| (0..n).map(|i| f64::from(i) / scale).collect::<Vec<_>>();
        let a = Tensor::from_slice(&numbers(12, 10.0), [1, 3, 4])?;
        let b = Tensor::from_slice(&numbers(8, 7.0), [1, 4, 2])?;
        let values = [Value::from(a), Value::from(b)];
        let y =
            Dot::new([2, 1]).normalize(true).call(Inputs::new(&values), &mut Cx::infer())?.single()?.tensor;
        let want = [
            1.0,
            0.9914601339836674,
            0.9047619047619045,
            0.9525793444156804,
            0.8661380721520243,
            0.9239209796193592,
        ];
        assert_eq!(y.dims(), [1, 3, 2]);
        assert!(y.to_vec::<f64>()?.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-14));
        Ok(())
    }
}
