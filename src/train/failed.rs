//! `FitError`: the error of `fit`, with the history of the epochs before it.

use super::history::History;
use crate::Error;
use std::fmt;

/// The error of a `fit`, with the figures of the epochs before it. `?` makes an [`Error`] of it where one is wanted.
///
/// ```
/// use gradus::prelude::*;
///
/// let mut model = Sequential::new().add(Input::new(2)).add(Dense::new(1)).compile("sgd", "mse", ())?;
/// let full = LambdaCallback::new().on_epoch_end(|_, epoch, _| match epoch {
///     3 => Err(gradus::Error::Custom("the disk is full".into())),
///     _ => Ok(()),
/// });
/// let (x, y) = (Tensor::ones([8, 2])?, Tensor::ones([8, 1])?);
/// let failed = model.fit(&x, &y, Fit::new().epochs(10).callback(full).verbose(0)).unwrap_err();
/// assert_eq!(failed.to_string(), "the disk is full");
/// assert_eq!(failed.history["loss"].len(), 3);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Debug)]
pub struct FitError {
    /// What went wrong.
    pub error: Error,
    /// The figures of the epochs that ended before it.
    pub history: Box<History>,
}

impl fmt::Display for FitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for FitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl From<FitError> for Error {
    fn from(failed: FitError) -> Error {
        failed.error
    }
}
