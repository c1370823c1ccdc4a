//! Why it exists: makes one axis of all axes of a sample.

use crate::nn::{Build, Cx, Init, Layer};
use crate::tensor::Tensor;
use crate::{Error, Result, Spec, settings};

settings! {
    /// `[batch, a, b, …]` becomes `[batch, a·b·…]`. No data moves.
    pub layer Flatten {
        /// The layer.
        new();
    }
}
crate::params!(Flatten {});

impl Build for Flatten {
    fn build(&self, input: Spec, _: &mut Init) -> Result<Box<dyn Layer>> {
        if input.shape.rank() == 0 {
            return Err(Error::shape("Flatten", "inputs with a batch", input.shape));
        }
        Ok(Box::new(self.clone()))
    }
}

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
}
