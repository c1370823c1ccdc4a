//! `Activation`: an activation as a layer of its own.

use crate::Result;
use crate::config::Dyn;
use crate::nn::activation::{Activation as Function, Linear};
use crate::nn::{Cx, Layer, Masking, Range, range_of};
use crate::tensor::Tensor;

crate::settings! {
    /// Applies an activation.
    pub layer Activation {
        /// Creates the layer: `Activation::new(Softmax)`.
        new(activation: into Dyn<dyn Function>);
    }
}
crate::parts!(Activation {});

impl Layer for Activation {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        self.activation.apply(x)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn output_activation(&self) -> Option<&dyn Function> {
        Some(&*self.activation)
    }
    fn forward_logits(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        Ok(x.clone())
    }
    fn output_range(&self, input: Option<Range>) -> Option<Range> {
        let linear = (&*self.activation as &dyn std::any::Any).is::<Linear>();
        if linear { input } else { range_of(&*self.activation) }
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
