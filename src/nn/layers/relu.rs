//! `ReLU` and [`LeakyReLU`]: rectifiers without parameters, as layers.

use crate::nn::activation::{Activation, Relu};
use crate::nn::{Build, Cx, Init, InputSpecs, Layer, Masking, Node, Range, range_of, single};
use crate::tensor::Tensor;
use crate::{Error, Result};

/// Fails unless this is a number of at least 0.
fn not_negative(name: &'static str, value: f64) -> Result<()> {
    match value >= 0.0 {
        true => Ok(()),
        false => Err(Error::argument(name, "a number of at least 0", value)),
    }
}

crate::settings! {
    /// `min(x, max_value)` above `threshold`, else `negative_slope · (x - threshold)`.
    pub layer ReLU {
        /// Creates the layer for `max(x, 0)`.
        new();

        /// The largest output. Default: none.
        max_value: some f64,
        /// The slope below the threshold. Default: `0`.
        negative_slope: f64 = 0.0,
        /// Values up to this one become 0 (or slope from there). Default: `0`.
        threshold: f64 = 0.0,
    }
}

impl Build for ReLU {
    fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        single(inputs)?;
        not_negative("max_value", self.max_value.unwrap_or(0.0))?;
        not_negative("negative_slope", self.negative_slope)?;
        not_negative("threshold", self.threshold)?;
        let ReLU { max_value, negative_slope, threshold, .. } = *self;
        let function = Relu { negative_slope, max_value, threshold };
        Ok(Box::new(ReLUNode { function }))
    }
}

/// The layer.
#[derive(Clone, Debug)]
struct ReLUNode {
    function: Relu,
}
crate::parts!(ReLUNode {});

impl Layer for ReLUNode {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        self.function.apply(x)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        "ReLU"
    }
    fn output_range(&self, _: Option<Range>) -> Option<Range> {
        range_of(&self.function)
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}

crate::settings! {
    /// `x` where positive, else `negative_slope · x`.
    pub layer LeakyReLU {
        /// Creates the layer with Keras's slope.
        new();

        /// The slope below 0; 0.3 by default (for the activation of this name it is 0.2).
        negative_slope: f64 = 0.3,
    }
}
crate::parts!(LeakyReLU {});

impl Layer for LeakyReLU {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        not_negative("negative_slope", self.negative_slope)?;
        x.leaky_relu(self.negative_slope)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Keras's pages.
    #[test]
    fn bends_are_where_keras_has_them() -> Result<()> {
        let x = Tensor::from_slice(&[-10.0, -5.0, 0.0, 5.0, 10.0], [5])?;
        let bent = ReLUNode { function: Relu.max_value(10.0).negative_slope(0.5) };
        let want = [-5.0, -2.5, 0.0, 5.0, 10.0];
        assert_eq!(bent.forward(&x, &mut Cx::infer())?.to_vec::<f64>()?, want);
        let leaky = LeakyReLU::new().negative_slope(0.5);
        assert_eq!(leaky.forward(&x, &mut Cx::infer())?.to_vec::<f64>()?, want);
        Ok(())
    }
}
