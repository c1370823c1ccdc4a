//! `RepeatVector`: makes a sequence of a vector.

use super::checks::positive;
use crate::nn::{Cx, Layer, Range};
use crate::tensor::Tensor;
use crate::{Error, Result};

crate::settings! {
    /// `[batch, features]` becomes `[batch, n, features]`: each row `n` times.
    pub layer RepeatVector {
        /// Creates the layer that repeats each row this many times.
        new(n: usize);
    }
}
crate::parts!(RepeatVector {});

impl Layer for RepeatVector {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        positive("n", self.n)?;
        if x.rank() != 2 {
            return Err(Error::shape("RepeatVector", "inputs [batch, features]", *x.shape()));
        }
        x.expand_dims(1)?.repeat(self.n, 1)
    }
    fn output_range(&self, input: Option<Range>) -> Option<Range> {
        input
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
