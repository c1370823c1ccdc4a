//! `Flatten`: merges all axes of a sample into one.

use crate::nn::{Cx, DataFormat, Layer, Masking, Range};
use crate::tensor::Tensor;
use crate::{Error, Result};

crate::settings! {
    /// `[batch, a, b, …]` becomes `[batch, a·b·…]`; `[batch]` becomes `[batch, 1]`. No data moves. The output has
    /// no mask, since the positions of a mask are no longer an axis.
    pub layer Flatten {
        /// Creates the layer.
        new();

        /// The position of the channels; in the output they always vary fastest. Default: last.
        data_format: named DataFormat = DataFormat::ChannelsLast,
    }
}
crate::parts!(Flatten {});

impl Layer for Flatten {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        match x.rank() {
            0 => Err(Error::shape("Flatten", "inputs with a batch", *x.shape())),
            1 => x.expand_dims(1),
            2 => Ok(x.clone()),
            _ => self.data_format.last(x)?.merge_axes(1, -1),
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
