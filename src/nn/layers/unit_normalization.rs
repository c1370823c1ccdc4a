//! `UnitNormalization`: scales each sample to length 1.

use crate::Result;
use crate::nn::{Axes, Build, Cx, Init, InputSpecs, Layer, Masking, Node, single};
use crate::tensor::Tensor;

crate::settings! {
    /// `x / √Σx²`, with the sum over `axis` of each sample. A length below 1e-12 is replaced by that.
    pub layer UnitNormalization {
        /// Creates the layer over the last axis.
        new();

        /// The axis, or several, over which the squares are summed. Default: the last.
        axis: into Axes = -1,
    }
}

impl Build for UnitNormalization {
    fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        let axes = self.axis.ascending("UnitNormalization", single(inputs)?)?;
        Ok(Box::new(UnitNormalizationNode { axes }))
    }
}

/// The layer with its axes, ascending, counted from 0.
#[derive(Clone, Debug)]
struct UnitNormalizationNode {
    axes: Vec<isize>,
}
crate::parts!(UnitNormalizationNode {});

impl Layer for UnitNormalizationNode {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        let size = x.square()?.sum(&self.axes, true)?;
        // Bounded before the root, whose derivative at 0 is infinite.
        x.div(&size.maximum(&size.new_full([], 1e-24)?)?.sqrt()?)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        "UnitNormalization"
    }
    fn is_row_wise(&self) -> bool {
        !self.axes.contains(&0)
    }
}
