//! A loss from a function: a formula tried for an afternoon needs no type with settings.

use super::Loss;
use crate::config::{Configured, Dyn, Registry, function_name};
use crate::tensor::Tensor;
use crate::{Error, Result};
use serde_json::Value;
use std::sync::Arc;

/// What a function of targets and predictions is kept as.
pub(crate) type Function = Arc<dyn Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync>;

/// A loss that is a function: [`from_fn`].
#[derive(Clone)]
pub struct FromFn {
    function: Function,
    name: &'static str,
}

/// The loss that a function of targets and predictions computes: one number for each sample, or for each of its elements. It is named as
/// the function is.
///
/// ```
/// use gradus::prelude::*;
/// use gradus::{Result, loss, metric};
///
/// fn fourth_power(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
///     y_pred.sub(y_true)?.square()?.square()
/// }
/// fn below(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
///     y_true.less(y_pred)
/// }
///
/// let stack = Sequential::new().add(Input::new(2)).add(Dense::new(1)).seed(1);
/// let mut model = stack.compile("sgd", loss::from_fn(fourth_power), metric::from_fn(below))?;
/// let history = model.fit(&Tensor::ones([8, 2])?, &Tensor::ones([8, 1])?, Fit::new().verbose(0))?;
/// assert!(history["below"][0] >= 0.0);
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// A file holds the function's name. It is read where the registry has a function of this name:
/// `Registry::new().loss_fn(fourth_power)`. A closure has no name, and no file can hold it. What should have settings in files is declared
/// by [`settings!`](crate::settings).
pub fn from_fn<F>(function: F) -> FromFn
where
    F: Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
{
    FromFn { function: Arc::new(function), name: function_name::<F>() }
}

impl std::fmt::Debug for FromFn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "from_fn({})", self.name)
    }
}

impl Configured for FromFn {
    fn class_name(&self) -> &'static str {
        self.name
    }
    fn config(&self) -> Result<Value> {
        no_closure(self.name)?;
        Ok(Value::Object(Default::default()))
    }
}

/// Fails if it is a closure, whose name means nothing.
pub(crate) fn no_closure(name: &str) -> Result<()> {
    match name {
        "closure" => {
            Err(Error::Custom("a closure has no name, so no file can describe it: write a fn".into()))
        }
        _ => Ok(()),
    }
}

impl Loss for FromFn {
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        (self.function)(y_true, y_pred)
    }
}

impl Registry {
    /// With a function for [`from_fn`] that files may name.
    ///
    /// # Errors
    /// It is a closure, or the library or the registry has a loss of its name.
    pub fn loss_fn<F>(self, function: F) -> Result<Registry>
    where
        F: Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
    {
        let loss = from_fn(function);
        no_closure(loss.name)?;
        self.with_made::<dyn Loss>(loss.name, move |_| Ok(Dyn(Arc::new(loss.clone()))))
    }
}
