//! Why it exists: the fully connected layer, `activation(x·kernel + bias)`.

use crate::config::Dyn;
use crate::nn::activation::{Activation, Linear};
use crate::nn::constraint::Constraint;
use crate::nn::initializer::{GlorotUniform, Initializer, Zeros};
use crate::nn::regularizer::Regularizer;
use crate::nn::{Build, Cx, Init, Layer, Param};
use crate::tensor::Tensor;
use crate::{Error, Result, Spec};
use serde::{Deserialize, Serialize};

/// A fully connected layer over the last axis: `[…, inputs]` becomes `[…, units]`.
///
/// Kernel `[inputs, units]`, Glorot uniform; bias `[units]`, zeros; no activation (Keras's defaults).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    units: usize,
    #[serde(default = "linear")]
    activation: Dyn<dyn Activation>,
    #[serde(default = "yes")]
    use_bias: bool,
    #[serde(default = "glorot")]
    kernel_initializer: Dyn<dyn Initializer>,
    #[serde(default = "zeros")]
    bias_initializer: Dyn<dyn Initializer>,
    #[serde(default)]
    kernel_regularizer: Option<Dyn<dyn Regularizer>>,
    #[serde(default)]
    bias_regularizer: Option<Dyn<dyn Regularizer>>,
    #[serde(default)]
    activity_regularizer: Option<Dyn<dyn Regularizer>>,
    #[serde(default)]
    kernel_constraint: Option<Dyn<dyn Constraint>>,
    #[serde(default)]
    bias_constraint: Option<Dyn<dyn Constraint>>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default = "yes")]
    trainable: bool,
}

fn yes() -> bool {
    true
}
fn linear() -> Dyn<dyn Activation> {
    Linear.into()
}
fn glorot() -> Dyn<dyn Initializer> {
    GlorotUniform.into()
}
fn zeros() -> Dyn<dyn Initializer> {
    Zeros.into()
}

impl Dense {
    /// A layer of `units` outputs.
    pub fn new(units: usize) -> Dense {
        Dense {
            units,
            activation: linear(),
            use_bias: true,
            kernel_initializer: glorot(),
            bias_initializer: zeros(),
            kernel_regularizer: None,
            bias_regularizer: None,
            activity_regularizer: None,
            kernel_constraint: None,
            bias_constraint: None,
            name: None,
            trainable: true,
        }
    }

    /// The function applied to the result; none by default.
    #[must_use]
    pub fn activation(mut self, activation: impl Into<Dyn<dyn Activation>>) -> Dense {
        self.activation = activation.into();
        self
    }

    /// Whether there is a bias; yes by default.
    #[must_use]
    pub fn use_bias(mut self, use_bias: bool) -> Dense {
        self.use_bias = use_bias;
        self
    }

    /// How the kernel begins; Glorot uniform by default.
    #[must_use]
    pub fn kernel_initializer(mut self, initializer: impl Into<Dyn<dyn Initializer>>) -> Dense {
        self.kernel_initializer = initializer.into();
        self
    }

    /// How the bias begins; zeros by default.
    #[must_use]
    pub fn bias_initializer(mut self, initializer: impl Into<Dyn<dyn Initializer>>) -> Dense {
        self.bias_initializer = initializer.into();
        self
    }

    /// A penalty on the kernel; none by default.
    #[must_use]
    pub fn kernel_regularizer(mut self, regularizer: impl Into<Dyn<dyn Regularizer>>) -> Dense {
        self.kernel_regularizer = Some(regularizer.into());
        self
    }

    /// A penalty on the bias; none by default.
    #[must_use]
    pub fn bias_regularizer(mut self, regularizer: impl Into<Dyn<dyn Regularizer>>) -> Dense {
        self.bias_regularizer = Some(regularizer.into());
        self
    }

    /// A penalty on the output, divided by the batch size; none by default.
    #[must_use]
    pub fn activity_regularizer(mut self, regularizer: impl Into<Dyn<dyn Regularizer>>) -> Dense {
        self.activity_regularizer = Some(regularizer.into());
        self
    }

    /// A bound on the kernel; none by default.
    #[must_use]
    pub fn kernel_constraint(mut self, constraint: impl Into<Dyn<dyn Constraint>>) -> Dense {
        self.kernel_constraint = Some(constraint.into());
        self
    }

    /// A bound on the bias; none by default.
    #[must_use]
    pub fn bias_constraint(mut self, constraint: impl Into<Dyn<dyn Constraint>>) -> Dense {
        self.bias_constraint = Some(constraint.into());
        self
    }

    /// The layer's name; `dense`, `dense_1`, … by default.
    #[must_use]
    pub fn name(mut self, name: &str) -> Dense {
        self.name = Some(name.into());
        self
    }

    /// Whether kernel and bias learn; yes by default.
    #[must_use]
    pub fn trainable(mut self, trainable: bool) -> Dense {
        self.trainable = trainable;
        self
    }
}

impl Build for Dense {
    fn build(&self, input: Spec, init: &mut Init) -> Result<Box<dyn Layer>> {
        if self.units == 0 {
            return Err(Error::argument("units", "at least 1", 0));
        }
        let sample = input.shape.dims().get(1..).unwrap_or(&[]);
        let inputs = match sample.last() {
            Some(&n) if !crate::shape::is_unknown(n) && n > 0 => n,
            _ => return Err(Error::shape("Dense", "inputs [batch, …, features] of known size", input.shape)),
        };
        let kernel = init
            .param([inputs, self.units], &self.kernel_initializer)?
            .regularized(self.kernel_regularizer.clone())
            .constrained(self.kernel_constraint.clone());
        let bias = match self.use_bias {
            true => Some(
                init.param([self.units], &self.bias_initializer)?
                    .regularized(self.bias_regularizer.clone())
                    .constrained(self.bias_constraint.clone()),
            ),
            false => None,
        };
        let activity_regularizer = self.activity_regularizer.clone();
        Ok(Box::new(Layered { kernel, bias, activation: self.activation.clone(), activity_regularizer }))
    }
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
    fn trainable(&self) -> bool {
        self.trainable
    }
}

/// The layer with its parameters.
#[derive(Clone, Debug)]
struct Layered {
    kernel: Param,
    bias: Option<Param>,
    activation: Dyn<dyn Activation>,
    activity_regularizer: Option<Dyn<dyn Regularizer>>,
}
crate::params!(Layered { kernel, bias });

impl Layered {
    fn product(&self, x: &Tensor, cx: &mut Cx, activate: bool) -> Result<Tensor> {
        let kernel = cx.param(&self.kernel);
        let bias = self.bias.as_ref().map(|b| cx.param(b));
        x.linear(&kernel, bias.as_ref(), if activate { self.activation.fused() } else { None })
    }
}

impl Layer for Layered {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let y = self.product(x, cx, true)?;
        let y = if self.activation.fused().is_some() { y } else { self.activation.apply(&y)? };
        if let Some(regularizer) = &self.activity_regularizer {
            cx.regularize_activity(&**regularizer, &y)?;
        }
        Ok(y)
    }
    fn output_activation(&self) -> Option<&dyn Activation> {
        // A penalty on the output needs the output.
        self.activity_regularizer.is_none().then_some(&*self.activation)
    }
    fn forward_logits(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        self.product(x, cx, false)
    }
}
