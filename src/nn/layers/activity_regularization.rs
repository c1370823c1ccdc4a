//! `ActivityRegularization`: a penalty on activations, as a layer of its own.

use crate::nn::regularizer::L1L2;
use crate::nn::{Build, Cx, Init, InputSpecs, Layer, Masking, Node, Range, single};
use crate::tensor::Tensor;
use crate::{Error, Result};

crate::settings! {
    /// Returns its input and adds `(l1 · Σ|x| + l2 · Σx²) / batch` to the loss.
    pub layer ActivityRegularization {
        /// Creates the layer without a penalty.
        new();

        /// The factor of `Σ|x|`. Default: `0`.
        l1: f64 = 0.0,
        /// The factor of `Σx²`. Default: `0`.
        l2: f64 = 0.0,
    }
}

impl Build for ActivityRegularization {
    fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        single(inputs)?;
        for (name, factor) in [("l1", self.l1), ("l2", self.l2)] {
            if !(factor >= 0.0 && factor.is_finite()) {
                return Err(Error::argument(name, "a finite number of 0 or more", factor));
            }
        }
        Ok(Box::new(ActivityRegularizationNode(L1L2::new(self.l1, self.l2))))
    }
}

/// The layer with its penalty.
#[derive(Clone, Debug)]
struct ActivityRegularizationNode(L1L2);
crate::parts!(ActivityRegularizationNode {});

impl Layer for ActivityRegularizationNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        cx.regularize_activity(&self.0, x)?;
        Ok(x.clone())
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        "ActivityRegularization"
    }
    fn output_range(&self, input: Option<Range>) -> Option<Range> {
        input
    }
}
