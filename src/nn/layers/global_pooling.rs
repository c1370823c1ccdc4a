//! Global pooling: reduces all positions of a sequence, image or volume to one number per channel, their largest or
//! their mean.

use crate::nn::{
    Build, Cx, DataFormat, Init, InputSpecs, Inputs, Masking, Node, Range, Value, Values, expect_images,
    single,
};
use crate::tensor::{Few, Tensor};
use crate::{MAX_RANK, Result};

/// Declares the layer for each number of axes.
macro_rules! global_pooling {
    ($($(#[$doc:meta])* $layer:ident: $operation:ident over $n:tt axes, as $alias:ident;)*) => {$(
        crate::settings! {
            $(#[$doc])*
            pub layer $layer {
                /// Creates the layer.
                new();

                /// The position of the channels. Default: last.
                data_format: named DataFormat = DataFormat::ChannelsLast,
                /// Whether to keep the spatial axes, with size 1. Default: `false`.
                keepdims: bool = false,
            }
        }

        impl Build for $layer {
            fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
                expect_images(stringify!($layer), single(inputs)?, $n, self.data_format)?;
                Ok(Box::new(GlobalPooling {
                    class: stringify!($layer),
                    operation: Operation::$operation,
                    axes: $n,
                    data_format: self.data_format,
                    keepdims: self.keepdims,
                }))
            }
        }

        /// Keras's other name.
        pub type $alias = $layer;
    )*};
}

global_pooling! {
    /// The mean of a sequence: `[batch, steps, channels]` becomes `[batch, channels]`. Steps that a mask leaves out
    /// do not count; if none counts, the mean is 0.
    GlobalAveragePooling1D: Mean over 1 axes, as GlobalAvgPool1D;
    /// The mean of an image: `[batch, height, width, channels]` becomes `[batch, channels]`.
    GlobalAveragePooling2D: Mean over 2 axes, as GlobalAvgPool2D;
    /// The mean of a volume: `[batch, depth, height, width, channels]` becomes `[batch, channels]`.
    GlobalAveragePooling3D: Mean over 3 axes, as GlobalAvgPool3D;
    /// The largest of a sequence: `[batch, steps, channels]` becomes `[batch, channels]`. Equal maxima share the
    /// gradient.
    GlobalMaxPooling1D: Max over 1 axes, as GlobalMaxPool1D;
    /// The largest of an image: `[batch, height, width, channels]` becomes `[batch, channels]`. Equal maxima share
    /// the gradient.
    GlobalMaxPooling2D: Max over 2 axes, as GlobalMaxPool2D;
    /// The largest of a volume: `[batch, depth, height, width, channels]` becomes `[batch, channels]`. Equal maxima
    /// share the gradient.
    GlobalMaxPooling3D: Max over 3 axes, as GlobalMaxPool3D;
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Mean,
    Max,
}

/// The layer over any number of axes.
#[derive(Clone, Debug)]
struct GlobalPooling {
    class: &'static str,
    operation: Operation,
    axes: usize,
    data_format: DataFormat,
    keepdims: bool,
}
crate::parts!(GlobalPooling {});

impl Node for GlobalPooling {
    fn call(&self, x: Inputs<'_>, _: &mut Cx) -> Result<Values> {
        let Value { tensor: x, mask } = x.single()?;
        let first = self.data_format.first_axis();
        let axes: Few<isize, MAX_RANK> = (first..first + self.axes).map(|axis| axis as isize).collect();
        let y = match (self.operation, mask) {
            (Operation::Mean, Some(mask)) if self.axes == 1 => self.mean_of_kept(x, mask, &axes)?,
            (operation, mask) => {
                Masking::Refuse.apply(mask.as_ref())?;
                match operation {
                    Operation::Mean => x.mean(&axes, self.keepdims)?,
                    Operation::Max => x.max(&axes, self.keepdims)?,
                }
            }
        };
        Ok(y.into())
    }
    fn class_name(&self) -> &'static str {
        self.class
    }
    fn output_range(&self, _: usize, inputs: &[Option<Range>]) -> Option<Range> {
        let input = inputs.first().copied().flatten();
        if self.operation == Operation::Mean { input } else { input.map(Range::moved) }
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}

impl GlobalPooling {
    /// Computes `Σ kept x / Σ kept`, where `kept` is 1 for steps that count; 0 if none does.
    fn mean_of_kept(&self, x: &Tensor, mask: &Tensor, axes: &[isize]) -> Result<Tensor> {
        let kept = mask.expand_dims(if self.data_format == DataFormat::ChannelsLast { 2 } else { 1 })?;
        // Selected rather than multiplied: padding may be NaN.
        let sum = kept.choose(x, &x.new_full([], 0.0)?)?.sum(axes, self.keepdims)?;
        let count = kept.cast(x.dtype())?.sum(axes, self.keepdims)?;
        sum.div(&count.maximum(&count.new_full([], 1.0)?)?)
    }
}
