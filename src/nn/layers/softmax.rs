//! `Softmax`: softmax as a layer, which can leave out masked elements.

use crate::error::Context;
use crate::nn::activation::{self, Activation};
use crate::nn::{Axes, Build, Cx, Init, InputSpecs, Inputs, Node, Range, Value, Values};
use crate::tensor::Tensor;
use crate::{DType, Error, Result};

crate::settings! {
    /// `exp(x) / Σ exp(x)` along one axis or several.
    ///
    /// The mask is a second input or one given as `mask` (bool, or numbers that count above 0.5, in a shape that
    /// broadcasts to the input's), or else the mask that the input has. Elements that do not count are 0 and have
    /// no share in the sum.
    ///
    /// The [activation](activation::Softmax), which is in the prelude, has the same name: `layers::Softmax` is this
    /// layer.
    pub layer Softmax {
        /// Creates the layer over the last axis.
        new();

        /// The axis, or several whose elements add up to 1 together. Default: the last one.
        axis: into Axes = -1isize,
    }
}

impl Build for Softmax {
    fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        let x = inputs.at(0)?;
        if inputs.len() > 2 {
            return Err(Error::argument("inputs", "one input and its mask", inputs.len()));
        }
        let axes = self.axis.of("axis", &x.shape)?;
        if self.axis.list().is_empty() {
            return Err(Error::argument("axis", "at least one axis", "none"));
        }
        let (masked, across_rows) = (inputs.len() > 1, axes.contains(&0));
        Ok(Box::new(SoftmaxNode { axis: self.axis.clone(), masked, across_rows }))
    }
    fn input_names(&self) -> &[&'static str] {
        &["mask"]
    }
    fn positional_names(&self) -> &[&'static str] {
        &["inputs", "mask"]
    }
}

/// The layer.
#[derive(Clone, Debug)]
struct SoftmaxNode {
    axis: Axes,
    /// Whether a mask is given as an input.
    masked: bool,
    /// Whether one of the axes is the batch.
    across_rows: bool,
}
crate::parts!(SoftmaxNode {});

/// Replaces elements that do not count: Keras's number.
const LOW: f64 = -1e9;

impl SoftmaxNode {
    /// Over all axes.
    fn softmax(&self, x: &Tensor) -> Result<Tensor> {
        match self.axis.list() {
            [axis] => x.softmax(*axis),
            axes => x.sub(&x.logsumexp(axes, true)?)?.exp(),
        }
    }

    /// Returns which elements count, in a shape that broadcasts to the input's.
    fn mask(x: Inputs<'_>) -> Result<Option<Tensor>> {
        let Value { tensor, mask } = x.at(0)?;
        if let Some(Value { tensor: given, .. }) = x.find(1, "mask") {
            let given = match given.dtype() {
                DType::Bool => given.clone(),
                _ => given.greater(&given.new_full([], 0.5)?)?,
            };
            given.broadcast_like(tensor).at(|| "mask")?;
            return Ok(Some(given));
        }
        let Some(mask) = mask else { return Ok(None) };
        // Masks are of the first axes.
        let mut mask = mask.clone();
        while mask.rank() < tensor.rank() {
            mask = mask.expand_dims(-1)?;
        }
        Ok(Some(mask))
    }
}

impl Node for SoftmaxNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        self.call_raw(x, cx, &[])
    }
    fn output_activation(&self, _: usize) -> Option<&dyn Activation> {
        let last = self.axis.list() == [-1] && !self.masked;
        if last { Some(&activation::Softmax) } else { None }
    }
    fn call_raw(&self, x: Inputs<'_>, _: &mut Cx, raw: &[bool]) -> Result<Values> {
        let Value { tensor, mask } = x.at(0)?;
        let counts = SoftmaxNode::mask(x)?;
        let logits = match &counts {
            Some(counts) => counts.choose(tensor, &tensor.new_full([], LOW)?)?,
            None => tensor.clone(),
        };
        let y = match (raw.first(), counts) {
            (Some(true), _) => logits,
            (_, Some(counts)) => counts.choose(&self.softmax(&logits)?, &logits.new_full([], 0.0)?)?,
            (_, None) => self.softmax(&logits)?,
        };
        Ok(Value::masked(y, mask.clone()).into())
    }
    fn class_name(&self) -> &'static str {
        "Softmax"
    }
    fn output_range(&self, _: usize, _: &[Option<Range>]) -> Option<Range> {
        // Where a mask leaves everything out, all results are 0.
        let last = self.axis.list() == [-1] && !self.masked;
        Some(if last { Range::SHARES } else { Range::UNIT }.by("Softmax"))
    }
    fn is_row_wise(&self) -> bool {
        // A mask of fewer axes has none for the batch.
        !self.masked && !self.across_rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Keras's page.
    #[test]
    fn shares_are_those_of_keras() -> Result<()> {
        let x = Value::from(Tensor::from_slice(&[1.0, 2.0, 1.0], [1, 3])?);
        let mask = Value::from(Tensor::from_slice(&[1.0, 0.0, 1.0], [1, 3])?);
        let node = SoftmaxNode { axis: Axes::from(-1), masked: false, across_rows: false };
        let y = node.call(Inputs::new(std::slice::from_ref(&x)), &mut Cx::infer())?.single()?.tensor;
        let want = [0.21194157, 0.57611686, 0.21194157];
        assert!(y.to_vec::<f64>()?.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-7));
        let y = node.call(Inputs::new(&[x, mask]), &mut Cx::infer())?.single()?.tensor;
        assert_eq!(y.to_vec::<f64>()?, [0.5, 0.0, 0.5]);
        Ok(())
    }
}
