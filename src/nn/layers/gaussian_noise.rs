//! `GaussianNoise`: adds noise in training, as if data were measured anew each time.

use super::checks::rate_or_one;
use crate::Result;
use crate::nn::{Build, Cx, Init, InputSpecs, Key, Layer, Masking, Node, Range, single};
use crate::random::Distribution;
use crate::tensor::Tensor;

crate::settings! {
    /// In training, `x + noise` with normal noise of mean 0 and deviation `stddev`; otherwise does nothing. The
    /// noise depends only on the seed, the step and the layer's position in its network.
    pub layer GaussianNoise {
        /// Creates the layer with this deviation, `0 <= stddev <= 1`.
        new(stddev: f64);
    }
}

impl Build for GaussianNoise {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        single(inputs)?;
        rate_or_one("stddev", self.stddev)?;
        Ok(Box::new(GaussianNoiseNode { stddev: self.stddev, key: init.key() }))
    }
}

/// The layer with its key.
#[derive(Clone, Debug)]
struct GaussianNoiseNode {
    stddev: f64,
    key: Key,
}
crate::parts!(GaussianNoiseNode { key });

impl Layer for GaussianNoiseNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        if !cx.is_training() || self.stddev == 0.0 {
            return Ok(x.clone());
        }
        let normal = Distribution::Normal { mean: 0.0, std: self.stddev };
        x.add(&x.sample_like(normal, cx.stream(&self.key))?)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        "GaussianNoise"
    }
    fn output_range(&self, input: Option<Range>) -> Option<Range> {
        input
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
