//! Why it exists: makes one axis of all axes of a sample.

use crate::nn::{Build, Cx, Init, Layer};
use crate::tensor::Tensor;
use crate::{Error, Result, Spec};
use serde::{Deserialize, Serialize};

/// `[batch, a, b, …]` becomes `[batch, a·b·…]`. No data moves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {
    #[serde(default)]
    name: Option<String>,
}

impl Flatten {
    /// The layer.
    pub fn new() -> Flatten {
        Flatten::default()
    }

    /// The layer's name; `flatten` by default.
    #[must_use]
    pub fn name(mut self, name: &str) -> Flatten {
        self.name = Some(name.into());
        self
    }
}
crate::params!(Flatten {});

impl Build for Flatten {
    fn build(&self, input: Spec, _: &mut Init) -> Result<Box<dyn Layer>> {
        if input.shape.rank() == 0 {
            return Err(Error::shape("Flatten", "inputs with a batch", input.shape));
        }
        Ok(Box::new(self.clone()))
    }
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl Layer for Flatten {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        let Some((&batch, sample)) = x.dims().split_first() else {
            return Err(Error::shape("Flatten", "inputs with a batch", *x.shape()));
        };
        let size = sample.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let size =
            size.ok_or_else(|| Error::shape("Flatten", "sizes whose product can be known", *x.shape()))?;
        x.reshape_to([batch, size])
    }
}
