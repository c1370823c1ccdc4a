//! Why it exists: drops units at random while training, so that none relies on another (Srivastava et al. 2014).

use crate::nn::{Build, Cx, Init, Layer};
use crate::tensor::Tensor;
use crate::{Error, Result, Spec, settings};

settings! {
    /// While training, zeroes each element with probability `rate` and scales the others by `1 / (1 - rate)`; otherwise does
    /// nothing. What is dropped depends on the seed, the step and the layer's place alone.
    pub layer Dropout {
        /// With this rate, `0 <= rate < 1`.
        new(rate: f64);
    }
}
crate::params!(Dropout {});

impl Build for Dropout {
    fn build(&self, _: Spec, _: &mut Init) -> Result<Box<dyn Layer>> {
        if !(0.0..1.0).contains(&self.rate) {
            return Err(Error::argument("rate", "0 <= rate < 1", self.rate));
        }
        Ok(Box::new(self.clone()))
    }
}

impl Layer for Dropout {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        if cx.is_training() { x.dropout(self.rate, cx.stream()) } else { Ok(x.clone()) }
    }
}
