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
        let Some((&batch, sample)) = x.dims().split_first() else {
            return Err(Error::shape("Flatten", "inputs with a batch", *x.shape()));
        };
        let size = sample.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let size =
            size.ok_or_else(|| Error::shape("Flatten", "sizes whose product can be known", *x.shape()))?;
        x.reshape_to([batch, size])
    }
    fn masking(&self) -> Masking {
        Masking::Drop
    }
}
