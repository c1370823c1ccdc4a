//! Drops units at random while training, so that none relies on another (Srivastava et al. 2014).

use super::noise::{kept, shared_axes};
use crate::nn::{Build, Cx, Init, InputSpecs, Key, Layer, Masking, Node, Range, single};
use crate::tensor::Tensor;
use crate::{DType, Error, Result};

crate::settings! {
    /// While training, zeroes each element with probability `rate` and scales the others by `1 / (1 - rate)`; otherwise does
    /// nothing. What is dropped depends on the seed, the step and the layer's place alone.
    pub layer Dropout {
        /// With this rate, `0 <= rate <= 1`.
        new(rate: f64);

        /// A size for each axis, the batch included: along an axis where it is 1, elements are dropped or kept together. `None` and
        /// the input's own size mean that each is drawn for itself. None by default.
        noise_shape: some into Vec<Option<usize>>,
    }
}

impl Build for Dropout {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let shared = shared_axes(self.noise_shape.as_deref(), single(inputs)?)?;
        dropping("Dropout", self.rate, shared, init)
    }
}

/// The layer that drops with this rate, elements together along some axes.
pub(super) fn dropping(
    class: &'static str,
    rate: f64,
    shared: Vec<isize>,
    init: &mut Init,
) -> Result<Box<dyn Node>> {
    if !(0.0..=1.0).contains(&rate) {
        return Err(Error::argument("rate", "0 <= rate <= 1", rate));
    }
    Ok(Box::new(DropoutNode { class, rate, shared, key: init.key() }))
}

/// The layer with its key.
#[derive(Clone, Debug)]
struct DropoutNode {
    class: &'static str,
    rate: f64,
    /// Axes along which elements are dropped or kept together.
    shared: Vec<isize>,
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
            return zero.cast(DType::Bool)?.choose(x, &zero);
        }
        let stream = cx.stream(&self.key);
        if self.shared.is_empty() {
            return x.dropout(self.rate, stream);
        }
        // Chosen rather than multiplied: what is dropped may be no number.
        kept(x, &self.shared, self.rate, stream)?.choose(&x.affine(1.0 / (1.0 - self.rate), 0.0)?, &zero)
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
}
