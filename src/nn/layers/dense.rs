//! `Dense`: the fully connected layer, `activation(x·kernel + bias)`.

use super::checks::{fits, positive};
use crate::Result;
use crate::config::Dyn;
use crate::nn::activation::{Activation, Linear};
use crate::nn::constraint::Constraint;
use crate::nn::initializer::{GlorotUniform, Initializer, Zeros};
use crate::nn::regularizer::Regularizer;
use crate::nn::{
    Build, Cx, Init, InputSpecs, Layer, Masking, Node, Param, Range, features, range_of, single,
};
use crate::tensor::Tensor;

crate::settings! {
    /// A fully connected layer over the last axis: `[…, inputs]` becomes `[…, units]`.
    ///
    /// Kernel `[inputs, units]`, Glorot uniform; bias `[units]`, zeros; no activation (Keras's defaults).
    pub layer Dense {
        /// Creates a layer of `units` outputs.
        new(units: usize);

        /// Activation. Default: none.
        activation: into Dyn<dyn Activation> = Linear,
        /// Whether there is a bias. Default: `true`.
        use_bias: bool = true,
        /// Initializer of the kernel. Default: `GlorotUniform`.
        kernel_initializer: into Dyn<dyn Initializer> = GlorotUniform,
        /// Initializer of the bias. Default: `Zeros`.
        bias_initializer: into Dyn<dyn Initializer> = Zeros,
        /// Regularizer of the kernel. Default: none.
        kernel_regularizer: some into Dyn<dyn Regularizer>,
        /// Regularizer of the bias. Default: none.
        bias_regularizer: some into Dyn<dyn Regularizer>,
        /// Regularizer of the output; its penalty is divided by the batch size. Default: none.
        activity_regularizer: some into Dyn<dyn Regularizer>,
        /// Constraint on the kernel. Default: none.
        kernel_constraint: some into Dyn<dyn Constraint>,
        /// Constraint on the bias. Default: none.
        bias_constraint: some into Dyn<dyn Constraint>,
    }
}

impl Build for Dense {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        positive("units", self.units)?;
        let shape = [features("Dense", single(inputs)?)?, self.units];
        fits("units", &shape)?;
        let kernel =
            init.weight(shape, &self.kernel_initializer, &self.kernel_regularizer, &self.kernel_constraint)?;
        let bias = init.weight_if(
            self.use_bias,
            [self.units],
            &self.bias_initializer,
            &self.bias_regularizer,
            &self.bias_constraint,
        )?;
        let activity_regularizer = self.activity_regularizer.clone();
        Ok(Box::new(DenseNode { kernel, bias, activation: self.activation.clone(), activity_regularizer }))
    }
}

/// The layer with its parameters.
#[derive(Clone, Debug)]
struct DenseNode {
    kernel: Param,
    bias: Option<Param>,
    activation: Dyn<dyn Activation>,
    activity_regularizer: Option<Dyn<dyn Regularizer>>,
}
crate::parts!(DenseNode { kernel, bias });

impl DenseNode {
    fn product(&self, x: &Tensor, cx: &mut Cx, activate: bool) -> Result<Tensor> {
        let kernel = cx.param(&self.kernel)?;
        let bias = cx.param_if(&self.bias)?;
        x.linear(&kernel, bias.as_ref(), if activate { self.activation.fused() } else { None })
    }
}

impl Layer for DenseNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let y = self.product(x, cx, true)?;
        let y = if self.activation.fused().is_some() { y } else { self.activation.apply(&y)? };
        if let Some(regularizer) = &self.activity_regularizer {
            cx.regularize_activity(&**regularizer, &y)?;
        }
        Ok(y)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn output_activation(&self) -> Option<&dyn Activation> {
        // A penalty on the output needs the output.
        self.activity_regularizer.is_none().then_some(&*self.activation)
    }
    fn forward_logits(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        self.product(x, cx, false)
    }
    fn class_name(&self) -> &'static str {
        "Dense"
    }
    fn output_range(&self, _: Option<Range>) -> Option<Range> {
        range_of(&*self.activation)
    }
    fn is_row_wise(&self) -> bool {
        self.activity_regularizer.is_none()
    }
}
