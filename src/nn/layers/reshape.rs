//! `Reshape`: gives samples another shape.

use crate::nn::{Cx, Layer, Masking, Range};
use crate::tensor::Tensor;
use crate::{Error, Result, Shape};

crate::settings! {
    /// `[batch, …]` becomes `[batch, …target_shape]`, with the same number of elements. One size may be -1, which
    /// is worked out. The output has no mask, since the positions of a mask may change.
    pub layer Reshape {
        /// Creates the layer with this shape, without the batch: `Reshape::new([28, 28, 1])`,
        /// `Reshape::new([-1, 16])`.
        new(target_shape: into Vec<isize>);
    }
}
crate::parts!(Reshape {});

impl Layer for Reshape {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        let Some((_, sample)) = x.dims().split_first() else {
            return Err(Error::shape("Reshape", "inputs with a batch", *x.shape()));
        };
        // Whether it fits depends on the sample's own sizes.
        Shape::new(sample)?.infer_reshape(&self.target_shape)?;
        match x.rank() {
            1 => x.expand_dims(1)?.split_axis(1, &self.target_shape),
            _ => x.merge_axes(1, -1)?.split_axis(1, &self.target_shape),
        }
    }
    fn masking(&self) -> Masking {
        Masking::Drop
    }
    fn output_range(&self, input: Option<Range>) -> Option<Range> {
        input.map(Range::moved)
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
