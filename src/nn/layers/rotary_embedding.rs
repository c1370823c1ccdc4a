//! `RotaryEmbedding`: encodes positions as rotations of pairs of features (Su et al. 2021).

use super::checks::positive_number;
use super::positions::{Counter, START, constant};

use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Node, Value, Values};
use crate::shape::is_unknown;
use crate::tensor::Tensor;
use crate::{Error, Result};

crate::settings! {
    /// Turns the pair of features `i` and `i + features/2` of the time step at position `p` by the angle
    /// `p / scaling_factor · max_wavelength^(-2i/features)`, so that products of queries and keys depend on their
    /// distance. The output has the input's shape. (As in keras-hub.)
    ///
    /// `start_index`, given by name, is the position of the first time step, one number or one per sample. Default:
    /// `0`.
    pub layer RotaryEmbedding {
        /// Creates the layer with keras-hub's defaults.
        new();

        /// The longest wavelength over 2π. Default: `10000`.
        max_wavelength: f64 = 10000.0,
        /// The number that positions are divided by. Default: `1`.
        scaling_factor: f64 = 1.0,
        /// The axis of the sequence. Default: `1`.
        sequence_axis: isize = 1,
        /// The axis of the features, whose size is even. Default: the last one.
        feature_axis: isize = -1,
        /// Whether a call in a session continues at the position where the last one stopped. Default: `false`.
        cache: bool = false,
    }
}

impl Build for RotaryEmbedding {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let input = inputs.at(0)?;
        positive_number("max_wavelength", self.max_wavelength)?;
        positive_number("scaling_factor", self.scaling_factor)?;
        let sequence = input.shape.axis("RotaryEmbedding", self.sequence_axis)?;
        let feature = input.shape.axis("RotaryEmbedding", self.feature_axis)?;
        for (name, axis) in [("sequence_axis", sequence), ("feature_axis", feature)] {
            if axis == 0 {
                return Err(Error::argument(name, "an axis other than the batch", axis));
            }
        }
        if sequence == feature {
            return Err(Error::argument(
                "feature_axis",
                "another axis than sequence_axis",
                self.feature_axis,
            ));
        }
        let n = input.shape.dims()[feature];
        if is_unknown(n) || n == 0 || n % 2 > 0 {
            return Err(Error::shape("RotaryEmbedding", "an even, known number of features", input.shape));
        }
        let rates = (0..n / 2).map(|i| 1.0 / libm::pow(self.max_wavelength, (2 * i) as f64 / n as f64));
        let mut order: Vec<isize> =
            (0..input.shape.rank()).filter(|&a| a != sequence && a != feature).map(|a| a as isize).collect();
        order.insert(1, sequence as isize);
        order.push(feature as isize);
        Ok(Box::new(RotaryNode {
            rates: rates.collect(),
            scaling_factor: self.scaling_factor,
            order,
            counter: Counter::new(self.cache, init),
        }))
    }
    fn input_names(&self) -> &[&'static str] {
        &[START]
    }
    fn positional_names(&self) -> &[&'static str] {
        &["inputs", START]
    }
}

/// The layer with the rate of each pair of features.
#[derive(Clone, Debug)]
struct RotaryNode {
    rates: Vec<f64>,
    scaling_factor: f64,
    /// The input's axes in the order batch, sequence, others, features.
    order: Vec<isize>,
    counter: Counter,
}
crate::parts!(RotaryNode { counter });

impl RotaryNode {
    fn turned(&self, x: &Tensor, positions: &Tensor) -> Result<Tensor> {
        let positions = positions.cast(x.dtype())?.affine(1.0 / self.scaling_factor, 0.0)?;
        let mut angles = positions.expand_dims(-1)?.mul(&constant(&self.rates, x.dtype())?)?;
        for _ in 3..x.rank() {
            angles = angles.expand_dims(-2)?;
        }
        let (cos, sin) = (angles.cos()?, angles.sin()?);
        let half = self.rates.len() as isize;
        let (a, b) = (x.slice(-1, 0, half)?, x.slice(-1, half, 2 * half)?);
        let first = a.mul(&cos)?.sub(&b.mul(&sin)?)?;
        Tensor::concat(&[&first, &b.mul(&cos)?.add(&a.mul(&sin)?)?], -1)
    }
}

impl Node for RotaryNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let Value { tensor, mask } = x.at(0)?;
        let (positions, _) = self.counter.positions(x, self.order[1], cx)?;
        let y = self.turned(&tensor.permute(&self.order)?, &positions)?.permute_back(&self.order)?;
        Ok(Value::masked(y, mask.clone()).into())
    }
    fn class_name(&self) -> &'static str {
        "RotaryEmbedding"
    }
}
