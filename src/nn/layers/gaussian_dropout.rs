//! `GaussianDropout`: dropout that scales units by random factors instead of dropping them (Srivastava et al. 2014,
//! section 10).

use super::checks;
use crate::Result;
use crate::nn::{Build, Cx, Init, InputSpecs, Key, Layer, Masking, Node, Range, single};
use crate::random::Distribution;
use crate::tensor::Tensor;

crate::settings! {
    /// In training, `x · noise` with normal noise of mean 1 and deviation `√(rate / (1 - rate))`, the same as that
    /// of dropout with this rate; otherwise does nothing. The noise depends only on the seed, the step and the
    /// layer's position in its network.
    pub layer GaussianDropout {
        /// Creates the layer with this rate, `0 <= rate < 1`.
        new(rate: f64);
    }
}

impl Build for GaussianDropout {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        single(inputs)?;
        checks::rate("rate", self.rate)?;
        Ok(Box::new(GaussianDropoutNode { rate: self.rate, key: init.key() }))
    }
}

/// The layer with its key.
#[derive(Clone, Debug)]
struct GaussianDropoutNode {
    rate: f64,
    key: Key,
}
crate::parts!(GaussianDropoutNode { key });

impl Layer for GaussianDropoutNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        if !cx.is_training() || self.rate == 0.0 {
            return Ok(x.clone());
        }
        let normal = Distribution::Normal { mean: 1.0, std: libm::sqrt(self.rate / (1.0 - self.rate)) };
        x.mul(&x.sample_like(normal, cx.stream(&self.key))?)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        "GaussianDropout"
    }
    fn output_range(&self, input: Option<Range>) -> Option<Range> {
        input
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
