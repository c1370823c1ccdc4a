//! `SinePositionEncoding`: waves that encode positions, with nothing to learn (Vaswani et al. 2017).

use super::checks::positive_number;
use super::positions::{Counter, START, constant};
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Node, Value, Values, features};
use crate::{DType, Error, Result};

crate::settings! {
    /// Returns, for `[…, time, features]`, the encoding of each position, in the same shape, to be added to the
    /// input: `sin(p·r)` for even features and `cos(p·r)` for odd ones, where
    /// `r = max_wavelength^(-2⌊i/2⌋/features)` for feature `i` at position `p`. (As in keras-hub.)
    ///
    /// `start_index`, given by name, is the position of the first time step, one number or one per sample. Default:
    /// `0`.
    pub layer SinePositionEncoding {
        /// Creates the layer with keras-hub's defaults.
        new();

        /// The longest wavelength over 2π. Default: `10000`.
        max_wavelength: f64 = 10000.0,
        /// Whether a call in a session continues at the position where the last one stopped. Default: `false`.
        cache: bool = false,
    }
}

impl Build for SinePositionEncoding {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let input = inputs.at(0)?;
        let n = features("SinePositionEncoding", input)?;
        if input.shape.rank() < 3 {
            return Err(Error::shape(
                "SinePositionEncoding",
                "inputs [batch, …, time, features]",
                input.shape,
            ));
        }
        positive_number("max_wavelength", self.max_wavelength)?;
        let rates = (0..n).map(|i| libm::pow(1.0 / self.max_wavelength, (2 * (i / 2)) as f64 / n as f64));
        let odd = (0..n).map(|i| (i % 2) as f64);
        Ok(Box::new(SineNode {
            rates: rates.collect(),
            odd: odd.collect(),
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

/// The layer with the rate of each feature.
#[derive(Clone, Debug)]
struct SineNode {
    rates: Vec<f64>,
    /// 1 for each odd feature.
    odd: Vec<f64>,
    counter: Counter,
}
crate::parts!(SineNode { counter });

impl Node for SineNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let Value { tensor, mask } = x.at(0)?;
        let (positions, _) = self.counter.positions(x, -2, cx)?;
        let angles =
            positions.cast(tensor.dtype())?.expand_dims(-1)?.mul(&constant(&self.rates, tensor.dtype())?)?;
        let odd = constant(&self.odd, DType::Bool)?;
        let mut waves = odd.choose(&angles.cos()?, &angles.sin()?)?;
        while waves.rank() > 2 && waves.rank() < tensor.rank() {
            waves = waves.expand_dims(1)?;
        }
        Ok(Value::masked(waves.broadcast_like(tensor)?, mask.clone()).into())
    }
    fn class_name(&self) -> &'static str {
        "SinePositionEncoding"
    }
}
