//! `Lambda`: a function of the user's program as a layer without parameters.

use crate::config::{Common, Configured, Registry};
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Masking, Node, Value, Values};
use crate::tensor::{Tensor, Tensors};
use crate::{Error, Result};
use std::sync::Arc;

type Function = dyn Fn(&[Tensor]) -> Result<Tensor> + Send + Sync;
type MaskFunction = dyn Fn(&[Value]) -> Result<Option<Tensor>> + Send + Sync;

/// Applies a function: `Lambda::new(|x| x.square())`. It computes with tensor operations, so that shapes and
/// gradients are known. It must return the same for the same input, and does not know whether it runs in training.
///
/// It has no weights, and no file can hold its code: a network with one trains, predicts and keeps its weights in
/// files, but saving the network itself is an error that names the layer. A layer of your own (see
/// [`settings!`](crate::settings)) can be saved.
#[derive(Clone)]
pub struct Lambda {
    function: Arc<Function>,
    mask: Option<Arc<MaskFunction>>,
    common: Common,
}

impl Lambda {
    /// Creates a layer from a function of one tensor.
    pub fn new(function: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static) -> Lambda {
        Lambda::of_list(move |inputs| match inputs {
            [one] => function(one),
            all => Err(Error::argument("inputs", "one input (Lambda::of_list takes several)", all.len())),
        })
    }

    /// Creates a layer from a function of all inputs, in order.
    pub fn of_list(function: impl Fn(&[Tensor]) -> Result<Tensor> + Send + Sync + 'static) -> Lambda {
        Lambda { function: Arc::new(function), mask: None, common: Common::default() }
    }

    /// Sets the mask of the output: a function of the inputs and their masks. Without it, a mask that reaches the
    /// layer is an error.
    #[must_use]
    pub fn mask(
        mut self,
        mask: impl Fn(&[Value]) -> Result<Option<Tensor>> + Send + Sync + 'static,
    ) -> Lambda {
        self.mask = Some(Arc::new(mask));
        self
    }

    /// Sets the layer's name; by default `lambda`, `lambda_1`, …
    #[must_use]
    pub fn named(mut self, name: &str) -> Lambda {
        self.common.name = Some(name.into());
        self
    }
}

impl std::fmt::Debug for Lambda {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lambda").field("common", &self.common).finish_non_exhaustive()
    }
}

impl Configured for Lambda {
    fn config(&self) -> Result<serde_json::Value> {
        let name = self.common.name.as_deref().unwrap_or("lambda");
        Err(Error::Custom(format!(
            "layer '{name}' (Lambda) is a function of the program, which no file can hold; save the weights alone, or write a \
             layer of your own (gradus::settings!)"
        )))
    }
    fn common(&self) -> Option<&Common> {
        Some(&self.common)
    }
}

/// Reads a layer of this kind from a file, which always fails.
pub(super) fn unreadable(_: serde_json::Value, _: &Registry) -> Result<Arc<dyn Build>> {
    Err(Error::format("Lambda", "it is a function of a program, which no file can hold"))
}

crate::parts!(Lambda {});

impl Build for Lambda {
    fn build(&self, _: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(self.clone()))
    }
}

impl Node for Lambda {
    fn call(&self, x: Inputs<'_>, _: &mut Cx) -> Result<Values> {
        let mask = match &self.mask {
            Some(mask) => mask(x.values())?,
            None => {
                let masked = x.values().iter().find_map(|v| v.mask.as_ref());
                Masking::Refuse.apply(masked)?
            }
        };
        let tensors: Tensors = x.values().iter().map(|v| v.tensor.clone()).collect();
        Ok(Value::masked((self.function)(&tensors)?, mask).into())
    }
}
