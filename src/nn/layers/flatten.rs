//! Makes one axis of all axes of a sample.

use crate::nn::{Cx, Layer, Masking};
use crate::tensor::Tensor;
use crate::{Error, Result};

crate::settings! {
    /// `[batch, a, b, …]` becomes `[batch, a·b·…]`. No data moves. A mask ends here: its positions are no longer an axis.
    pub layer Flatten {
        /// The layer.
        new();
    }
}
crate::parts!(Flatten {});

impl Layer for Flatten {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        match x.rank() {
            0 => Err(Error::shape("Flatten", "inputs with a batch", *x.shape())),
            1 => x.expand_dims(1),
            _ => x.merge_axes(1, -1),
        }
    }
    fn masking(&self) -> Masking {
        Masking::Drop
    }
}
