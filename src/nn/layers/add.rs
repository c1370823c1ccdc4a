//! The sum of its inputs.

use super::merge;
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Node, Value, Values};
use crate::{Error, Result};

crate::settings! {
    /// `a + b + …`, element by element. Sizes of 1 stretch; inputs with fewer axes get some behind the batch. A position counts
    /// if it counts in any input.
    pub layer Add {
        /// The layer: `Add::new().on([&a, &b])`.
        new();
    }
}
crate::parts!(Add {});

impl Build for Add {
    fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        merge::check("Add", inputs)?;
        Ok(Box::new(self.clone()))
    }
}

impl Node for Add {
    fn call(&self, x: Inputs<'_>, _: &mut Cx) -> Result<Values> {
        let mut terms = merge::same_rank(x)?.into_iter();
        let first = terms.next().ok_or_else(|| Error::argument("inputs", "at least one input", "none"))?;
        let sum = terms.try_fold(first, |sum, term| sum.add(&term))?;
        Ok(Value::masked(sum, merge::mask(x)?).into())
    }
}
