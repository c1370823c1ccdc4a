//! Drops units at random while training, so that none relies on another (Srivastava et al. 2014).

use crate::nn::{Build, Cx, Init, InputSpecs, Key, Layer, Masking, Node, single};
use crate::tensor::Tensor;
use crate::{Error, Result};

crate::settings! {
    /// While training, zeroes each element with probability `rate` and scales the others by `1 / (1 - rate)`; otherwise does
    /// nothing. What is dropped depends on the seed, the step and the layer's place alone.
    pub layer Dropout {
        /// With this rate, `0 <= rate < 1`.
        new(rate: f64);
    }
}

impl Build for Dropout {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        single(inputs)?;
        if !(0.0..1.0).contains(&self.rate) {
            return Err(Error::argument("rate", "0 <= rate < 1", self.rate));
        }
        Ok(Box::new(DropoutNode { rate: self.rate, key: init.key() }))
    }
}

/// The layer with its key.
#[derive(Clone, Debug)]
struct DropoutNode {
    rate: f64,
    key: Key,
}
crate::parts!(DropoutNode { key });

impl Layer for DropoutNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        if cx.is_training() { x.dropout(self.rate, cx.stream(&self.key)) } else { Ok(x.clone()) }
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        "Dropout"
    }
}
