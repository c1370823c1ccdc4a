//! Why it exists: an activation as a layer of its own.

use crate::config::Dyn;
use crate::nn::activation::Activation as Function;
use crate::nn::{Build, Cx, Init, Layer};
use crate::tensor::Tensor;
use crate::{Result, Spec, settings};

settings! {
    /// Applies an activation.
    pub layer Activation {
        /// The layer: `Activation::new(Softmax)`.
        new(activation: into Dyn<dyn Function>);
    }
}
crate::params!(Activation {});

impl Build for Activation {
    fn build(&self, _: Spec, _: &mut Init) -> Result<Box<dyn Layer>> {
        Ok(Box::new(self.clone()))
    }
}

impl Layer for Activation {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        self.activation.apply(x)
    }
    fn output_activation(&self) -> Option<&dyn Function> {
        Some(&*self.activation)
    }
    fn forward_logits(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        Ok(x.clone())
    }
}
