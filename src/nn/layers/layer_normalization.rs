//! Gives the features of each sample mean 0 and variance 1 (Ba et al. 2016).

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
        /// Over the last axis, with Keras's settings.
        new();

        /// The axis, or several, over which mean and variance are taken; the last by default.
        axis: into Axes = -1,
        /// Keeps the divisor from zero; 1e-3 by default.
        epsilon: f64 = 1e-3,
        /// Whether there is a `beta`; yes by default.
        center: bool = true,
        /// Whether there is a `gamma`; yes by default.
        scale: bool = true,
        /// Whether the mean stays in the result: `x / √(var + ε) · gamma`, without `beta`. Keras advises against it: that is not
        /// [`RMSNormalization`](super::RMSNormalization). No by default.
        rms_scaling: bool = false,
        /// How `beta` begins; zeros by default.
        beta_initializer: into Dyn<dyn Initializer> = Zeros,
        /// How `gamma` begins; ones by default.
        gamma_initializer: into Dyn<dyn Initializer> = Ones,
        /// A penalty on `beta`; none by default.
        beta_regularizer: some into Dyn<dyn Regularizer>,
        /// A penalty on `gamma`; none by default.
        gamma_regularizer: some into Dyn<dyn Regularizer>,
        /// A bound on `beta`; none by default.
        beta_constraint: some into Dyn<dyn Constraint>,
        /// A bound on `gamma`; none by default.
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
    /// Ascending, from 0 on.
    axes: Vec<isize>,
    epsilon: f64,
    rms_scaling: bool,
}
crate::parts!(LayerNormalizationNode { gamma, beta });

impl Layer for LayerNormalizationNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let gamma = self.gamma.as_ref().map(|p| cx.param(p)).transpose()?;
        let beta = self.beta.as_ref().map(|p| cx.param(p)).transpose()?;
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
