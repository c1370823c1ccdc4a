//! `LayerNormalization`: normalizes the features of each sample to mean 0 and variance 1 (Ba et al. 2016).

use super::checks::epsilon;
use super::normalized::{along, centered, scaled};
use crate::Result;
use crate::config::Dyn;
use crate::nn::axes::known_size;
use crate::nn::constraint::Constraint;
use crate::nn::initializer::{Initializer, Ones, Zeros};
use crate::nn::regularizer::Regularizer;
use crate::nn::{Axes, Build, Cx, Init, InputSpecs, Layer, Masking, Node, Param, single};
use crate::tensor::Tensor;

crate::settings! {
    /// `(x - mean) / √(var + ε) · gamma + beta`, with the mean and the biased variance over `axis` of each sample.
    ///
    /// `gamma` (ones) and `beta` (zeros) have the sizes of those axes, in their order.
    pub layer LayerNormalization {
        /// Creates the layer over the last axis, with Keras's defaults.
        new();

        /// The axis, or several, over which mean and variance are taken. Default: the last.
        axis: into Axes = -1,
        /// Added to the variance, so that no divisor is 0. Default: `1e-3`.
        epsilon: f64 = 1e-3,
        /// Whether there is a `beta`. Default: `true`.
        center: bool = true,
        /// Whether there is a `gamma`. Default: `true`.
        scale: bool = true,
        /// Whether to compute `x / √(var + ε) · gamma`, without subtracting the mean or adding `beta`. Keras
        /// advises against it: this is not [`RMSNormalization`](super::RMSNormalization). Default: `false`.
        rms_scaling: bool = false,
        /// Initializer of `beta`. Default: `Zeros`.
        beta_initializer: into Dyn<dyn Initializer> = Zeros,
        /// Initializer of `gamma`. Default: `Ones`.
        gamma_initializer: into Dyn<dyn Initializer> = Ones,
        /// Regularizer of `beta`. Default: none.
        beta_regularizer: some into Dyn<dyn Regularizer>,
        /// Regularizer of `gamma`. Default: none.
        gamma_regularizer: some into Dyn<dyn Regularizer>,
        /// Constraint on `beta`. Default: none.
        beta_constraint: some into Dyn<dyn Constraint>,
        /// Constraint on `gamma`. Default: none.
        gamma_constraint: some into Dyn<dyn Constraint>,
    }
}

impl Build for LayerNormalization {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        const NAME: &str = "LayerNormalization";
        let spec = single(inputs)?;
        epsilon("epsilon", self.epsilon)?;
        let axes = self.axis.ascending(NAME, spec)?;
        let shape = || axes.iter().map(|axis| known_size(NAME, spec, *axis)).collect::<Result<Vec<_>>>();
        let gamma = match self.scale || self.rms_scaling {
            true => Some(init.weight(
                shape()?,
                &self.gamma_initializer,
                &self.gamma_regularizer,
                &self.gamma_constraint,
            )?),
            false => None,
        };
        let beta = match self.center && !self.rms_scaling {
            true => Some(init.weight(
                shape()?,
                &self.beta_initializer,
                &self.beta_regularizer,
                &self.beta_constraint,
            )?),
            false => None,
        };
        let (epsilon, rms_scaling) = (self.epsilon, self.rms_scaling);
        Ok(Box::new(LayerNormalizationNode { gamma, beta, axes, epsilon, rms_scaling }))
    }
}

/// The layer with its parameters.
#[derive(Clone, Debug)]
struct LayerNormalizationNode {
    gamma: Option<Param>,
    beta: Option<Param>,
    /// Ascending, counted from 0.
    axes: Vec<isize>,
    epsilon: f64,
    rms_scaling: bool,
}
crate::parts!(LayerNormalizationNode { gamma, beta });

impl Layer for LayerNormalizationNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let gamma = cx.param_if(&self.gamma)?;
        let beta = cx.param_if(&self.beta)?;
        if let ([axis], false) = (&self.axes[..], self.rms_scaling) {
            let y = x.moveaxis(*axis, -1)?.layer_norm(gamma.as_ref(), beta.as_ref(), self.epsilon)?;
            return y.moveaxis(-1, *axis);
        }
        let (center, factor) = centered(x, &self.axes, self.epsilon)?;
        let z = if self.rms_scaling { x } else { &center }.mul(&factor)?;
        let gamma = gamma.map(|gamma| along(&gamma, &self.axes, x.rank())).transpose()?;
        let beta = beta.map(|beta| along(&beta, &self.axes, x.rank())).transpose()?;
        scaled(z, gamma.as_ref(), beta.as_ref())
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        "LayerNormalization"
    }
    fn is_row_wise(&self) -> bool {
        !self.axes.contains(&0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    #[test]
    fn it_is_that_of_keras() {
        let x = Tensor::from_slice(&[1.0, 2.0, 4.0], [1, 3]).unwrap();
        let mut init = Init::new(0, DType::F64);
        let layer = LayerNormalization::new().build(&(&[x.spec()]).into(), &mut init).unwrap();
        let y = layer.call(crate::nn::Inputs::new(&[x.into()]), &mut Cx::infer()).unwrap().single().unwrap();
        let want = [-1.068_701_7, -0.267_175_56, 1.335_876_7];
        let got = y.tensor.to_vec::<f64>().unwrap();
        assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{got:?}");
    }
}
