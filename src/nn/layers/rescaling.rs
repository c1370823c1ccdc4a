//! `Rescaling`: maps values to another range, such as bytes of images to `0..1` or `-1..1`.

use crate::nn::{Build, Cx, Init, InputSpecs, Layer, Masking, Node, Numbers, single};
use crate::tensor::Tensor;
use crate::{DType, Result};

crate::settings! {
    /// `x · scale + offset`, of any shape. Whole numbers become floats.
    pub layer Rescaling {
        /// Creates the layer with this factor: one number, or one for each channel.
        new(scale: into Numbers);

        /// The number that is added, one or one for each channel. Default: `0`.
        offset: into Numbers = 0.0,
    }
}

impl Build for Rescaling {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        single(inputs)?;
        self.scale.check("scale", f64::NEG_INFINITY)?;
        self.offset.check("offset", f64::NEG_INFINITY)?;
        let (dtype, single) = (init.dtype(), self.scale.single().zip(self.offset.single()));
        let (scale, offset) = (self.scale.tensor(dtype)?, self.offset.tensor(dtype)?);
        Ok(Box::new(RescalingNode { single, scale, offset, dtype }))
    }
}

/// The layer with its constants.
#[derive(Clone, Debug)]
struct RescalingNode {
    /// Scale and offset, if both are one number.
    single: Option<(f64, f64)>,
    scale: Tensor,
    offset: Tensor,
    /// The dtype that whole numbers become.
    dtype: DType,
}
crate::parts!(RescalingNode {});

impl Layer for RescalingNode {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        let x = if x.dtype().is_float() { x.clone() } else { x.cast(self.dtype)? };
        match self.single {
            Some((scale, offset)) => x.affine(scale, offset),
            None => x.mul(&self.scale.cast(x.dtype())?)?.add(&self.offset.cast(x.dtype())?),
        }
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        "Rescaling"
    }
    fn is_row_wise(&self) -> bool {
        // Several numbers may be one for each row.
        self.single.is_some()
    }
}
