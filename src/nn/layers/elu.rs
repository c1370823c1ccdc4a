//! `ELU`: the exponential linear unit as a layer.

use crate::nn::{Cx, Layer, Masking};
use crate::tensor::Tensor;
use crate::{Error, Result};

crate::settings! {
    /// `x` where positive, else `alpha · (exp(x) - 1)` (Clevert et al. 2016).
    pub layer ELU {
        /// Creates the layer.
        new();

        /// The negated limit for large negative numbers. Default: `1`.
        alpha: f64 = 1.0,
    }
}
crate::parts!(ELU {});

impl Layer for ELU {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        Error::unless_finite("alpha", self.alpha)?;
        x.elu(self.alpha)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
