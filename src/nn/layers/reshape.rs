//! Gives samples another shape.

use crate::nn::{Cx, Layer, Masking};
use crate::tensor::Tensor;
use crate::{Error, Result};

crate::settings! {
    /// `[batch, …]` becomes `[batch, …target_shape]`, of as many elements. One size may be -1: what remains. A mask ends here:
    /// its positions may be others.
    pub layer Reshape {
        /// To this shape, without the batch: `Reshape::new([28, 28, 1])`, `Reshape::new([-1, 16])`.
        new(target_shape: into Vec<isize>);
    }
}
crate::parts!(Reshape {});

impl Layer for Reshape {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        let Some(&batch) = x.dims().first() else {
            return Err(Error::shape("Reshape", "inputs with a batch", *x.shape()));
        };
        let sizes: Vec<isize> = std::iter::once(batch as isize).chain(self.target_shape.iter().copied()).collect();
        // Of a batch without rows the remaining size cannot be computed, but that of one row can.
        if batch == 0 && self.target_shape.contains(&-1) {
            let one: Vec<usize> = std::iter::once(1).chain(x.dims()[1..].iter().copied()).collect();
            let mut shape = crate::Shape::new(&one)?.infer_reshape(&[&[1], &self.target_shape[..]].concat())?;
            shape.dims_mut()[0] = 0;
            return x.reshape_to(shape);
        }
        x.reshape(sizes)
    }
    fn masking(&self) -> Masking {
        Masking::Drop
    }
}
