//! `RMSNormalization`: keeps activations at one scale without subtracting a mean (Zhang and Sennrich 2019).

use super::checks::epsilon;
use super::normalized::along;
use crate::Result;
use crate::nn::axes::known_size;
use crate::nn::initializer::Ones;
use crate::nn::{Axes, Build, Cx, Init, InputSpecs, Layer, Masking, Node, Param, single};
use crate::tensor::Tensor;

crate::settings! {
    /// `x / √(mean(x²) + ε) · scale`, with the mean over `axis` of each sample. `scale` (ones) has the sizes of
    /// those axes, in their order.
    pub layer RMSNormalization {
        /// Creates the layer over the last axis, with Keras's defaults.
        new();

        /// The axis, or several, over which the mean is taken. Default: the last.
        axis: into Axes = -1,
        /// Added to the mean of the squares, so that no divisor is 0. Default: `1e-6`.
        epsilon: f64 = 1e-6,
    }
}

impl Build for RMSNormalization {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        const NAME: &str = "RMSNormalization";
        let spec = single(inputs)?;
        epsilon("epsilon", self.epsilon)?;
        let axes = self.axis.ascending(NAME, spec)?;
        let shape = axes.iter().map(|axis| known_size(NAME, spec, *axis)).collect::<Result<Vec<_>>>()?;
        let scale = init.param(shape, &Ones.into())?;
        Ok(Box::new(RMSNormalizationNode { scale, axes, epsilon: self.epsilon }))
    }
}

/// The layer with its parameter.
#[derive(Clone, Debug)]
struct RMSNormalizationNode {
    scale: Param,
    /// Ascending, counted from 0.
    axes: Vec<isize>,
    epsilon: f64,
}
crate::parts!(RMSNormalizationNode { scale });

impl Layer for RMSNormalizationNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let factor = x.square()?.mean(&self.axes, true)?.affine(1.0, self.epsilon)?.rsqrt()?;
        x.mul(&factor)?.mul(&along(&cx.param(&self.scale)?, &self.axes, x.rank())?)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        "RMSNormalization"
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
        let layer = RMSNormalization::new().build(&(&[x.spec()]).into(), &mut init).unwrap();
        let y = layer.call(crate::nn::Inputs::new(&[x.into()]), &mut Cx::infer()).unwrap().single().unwrap();
        let want = [0.377_964_44, 0.755_928_9, 1.511_857_7];
        let got = y.tensor.to_vec::<f64>().unwrap();
        assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{got:?}");
    }
}
