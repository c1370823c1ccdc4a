//! `Concatenate`: joins its inputs along an axis.

use super::merge;
use crate::error::Context;
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Node, Range, Value, Values};
use crate::tensor::{Few, Tensor};
use crate::{DType, Error, Result};

crate::settings! {
    /// The inputs one after another along an axis; all other sizes are equal. A position counts if any of the
    /// elements there does; an input without a mask counts everywhere.
    pub layer Concatenate {
        /// Creates the layer: `Concatenate::new().on([&a, &b])`.
        new();

        /// The axis. Default: the last one.
        axis: isize = -1,
    }
}
crate::parts!(Concatenate {});

impl Build for Concatenate {
    fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        merge::check("Concatenate", inputs)?;
        if let Some(axis) =
            inputs.first().map(|spec| spec.shape.axis("Concatenate", self.axis)).transpose()?
            && axis == 0
        {
            return Err(Error::argument("axis", "an axis other than the batch", self.axis));
        }
        Ok(Box::new(self.clone()))
    }
}

impl Node for Concatenate {
    fn call(&self, x: Inputs<'_>, _: &mut Cx) -> Result<Values> {
        let tensors: Few<&Tensor, 2> = x.values().iter().map(|v| &v.tensor).collect();
        let y = Tensor::concat(&tensors, self.axis)?;
        let mask = match x.values().iter().any(|v| v.mask.is_some()) {
            true => Some(self.mask(x).at(|| "mask")?),
            false => None,
        };
        Ok(Value::masked(y, mask).into())
    }
    fn output_range(&self, _: usize, inputs: &[Option<Range>]) -> Option<Range> {
        Range::united(inputs).map(Range::moved)
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}

impl Concatenate {
    /// Joins the masks, each broadcast to its input; a position counts if anything counts along the last axis.
    fn mask(&self, x: Inputs<'_>) -> Result<Tensor> {
        let whole = |v: &Value| match merge::whole_mask(v)? {
            Some(mask) => Ok(mask),
            None => v.tensor.new_full(*v.tensor.shape(), 1.0)?.cast(DType::Bool),
        };
        let masks = x.values().iter().map(whole).collect::<Result<Few<_, 2>>>()?;
        Tensor::concat(&masks.iter().collect::<Few<_, 2>>(), self.axis)?.any(&[-1], false)
    }
}
