//! Why it exists: an activation as a layer of its own.

use crate::config::Dyn;
use crate::nn::activation::Activation as Function;
use crate::nn::{Build, Cx, Init, Layer};
use crate::tensor::Tensor;
use crate::{Result, Spec};
use serde::{Deserialize, Serialize};

/// Applies an activation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    activation: Dyn<dyn Function>,
    #[serde(default)]
    name: Option<String>,
}

impl Activation {
    /// The layer: `Activation::new(Softmax)`.
    pub fn new(activation: impl Into<Dyn<dyn Function>>) -> Activation {
        Activation { activation: activation.into(), name: None }
    }

    /// The layer's name; `activation` by default.
    #[must_use]
    pub fn name(mut self, name: &str) -> Activation {
        self.name = Some(name.into());
        self
    }
}
crate::params!(Activation {});

impl Build for Activation {
    fn build(&self, _: Spec, _: &mut Init) -> Result<Box<dyn Layer>> {
        Ok(Box::new(self.clone()))
    }
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
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
