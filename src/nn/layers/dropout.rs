//! `Dropout`: drops units at random in training, so that none relies on another (Srivastava et al. 2014).

use super::checks::rate_or_one;
use super::noise::NoiseShape;
use crate::nn::{Build, Cx, Init, InputSpecs, Key, Layer, Masking, Node, Range, single};
use crate::tensor::Tensor;
use crate::{DType, Result};

crate::settings! {
    /// In training, zeroes each element with probability `rate` and scales the others by `1 / (1 - rate)`;
    /// otherwise does nothing. What is dropped depends only on the seed, the step and the layer's position in its
    /// network.
    pub layer Dropout {
        /// Creates the layer with this rate, `0 <= rate <= 1`.
        new(rate: f64);

        /// The shape of what is drawn: a size for each axis, including the batch, or only for the last axes.
        ///
        /// Along an axis of size 1, or one that is left out, elements are dropped or kept together. `None`, like
        /// the input's own size, means that each element is drawn separately: `[None, Some(1), Some(6)]` for inputs
        /// `[batch, steps, 6]`. Default: the shape of the input.
        noise_shape: some into Vec<Option<usize>>,
    }
}

impl Build for Dropout {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let noise_shape = NoiseShape::new(self.noise_shape.as_deref(), single(inputs)?)?;
        dropping("Dropout", self.rate, noise_shape, init)
    }
}

/// Builds the layer that drops with this rate, elements along some axes together.
pub(super) fn dropping(
    class: &'static str,
    rate: f64,
    noise_shape: NoiseShape,
    init: &mut Init,
) -> Result<Box<dyn Node>> {
    rate_or_one("rate", rate)?;
    Ok(Box::new(DropoutNode { class, rate, noise_shape, key: init.key() }))
}

/// The layer with its key.
#[derive(Clone, Debug)]
struct DropoutNode {
    class: &'static str,
    rate: f64,
    noise_shape: NoiseShape,
    key: Key,
}
crate::parts!(DropoutNode { key });

impl Layer for DropoutNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        if !cx.is_training() || self.rate == 0.0 {
            return Ok(x.clone());
        }
        let zero = x.new_full([], 0.0)?;
        if self.rate == 1.0 {
            // Zeros of the shape of `x`, which its gradient reaches.
            return zero.cast(DType::Bool)?.choose(x, &zero);
        }
        let stream = cx.stream(&self.key);
        if self.noise_shape.shared.is_empty() && self.noise_shape.fixed.is_empty() {
            return x.dropout(self.rate, stream);
        }
        // Selected rather than multiplied: what is dropped may be NaN.
        let kept = self.noise_shape.kept(x, self.rate, stream)?;
        kept.choose(&x.affine(1.0 / (1.0 - self.rate), 0.0)?, &zero)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        self.class
    }
    fn output_range(&self, input: Option<Range>) -> Option<Range> {
        input
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
