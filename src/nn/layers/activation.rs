//! An activation as a layer of its own.

use crate::Result;
use crate::config::Dyn;
use crate::nn::activation::Activation as Function;
use crate::nn::{Cx, Layer, Masking};
use crate::tensor::Tensor;

crate::settings! {
    /// Applies an activation.
    pub layer Activation {
        /// The layer: `Activation::new(Softmax)`.
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
}
