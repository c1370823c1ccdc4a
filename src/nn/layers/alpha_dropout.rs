//! `AlphaDropout`: dropout that preserves mean and variance, for networks that normalize themselves by `selu`
//! (Klambauer et al. 2017).

use super::checks;
use super::noise::NoiseShape;
use crate::Result;
use crate::nn::{Build, Cx, Init, InputSpecs, Key, Layer, Masking, Node, single};
use crate::tensor::Tensor;

/// The limit of `selu` for large negative numbers: the negated product of its two constants.
const LOWEST: f64 = -1.673_263_242_354_377_2 * 1.050_700_987_355_480_5;

crate::settings! {
    /// In training, computes `a · (x or α') + b`: each element becomes `α' = -1.758…`, the lowest value of `selu`,
    /// with probability `rate`; then `a = ((1 - rate) · (1 + rate · α'²))^-½` and `b = -a · α' · rate` restore mean
    /// 0 and variance 1. Otherwise returns its input.
    pub layer AlphaDropout {
        /// Creates the layer with this rate, `0 <= rate < 1`.
        new(rate: f64);

        /// Like that of [`Dropout`](super::Dropout). Default: none.
        noise_shape: some into Vec<Option<usize>>,
    }
}

impl Build for AlphaDropout {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let noise_shape = NoiseShape::new(self.noise_shape.as_deref(), single(inputs)?)?;
        checks::rate("rate", self.rate)?;
        Ok(Box::new(AlphaDropoutNode { rate: self.rate, noise_shape, key: init.key() }))
    }
}

/// The layer with its key.
#[derive(Clone, Debug)]
struct AlphaDropoutNode {
    rate: f64,
    noise_shape: NoiseShape,
    key: Key,
}
crate::parts!(AlphaDropoutNode { key });

impl Layer for AlphaDropoutNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        if !cx.is_training() || self.rate == 0.0 {
            return Ok(x.clone());
        }
        let kept = self.noise_shape.kept(x, self.rate, cx.stream(&self.key))?;
        let a = 1.0 / libm::sqrt((1.0 - self.rate) * (1.0 + self.rate * LOWEST * LOWEST));
        let b = -a * LOWEST * self.rate;
        kept.choose(x, &x.new_full([], LOWEST)?)?.affine(a, b)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        "AlphaDropout"
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
