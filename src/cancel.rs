//! `CancellationToken`: ends long work early. Its owner can cancel it from any thread, or it ends by itself at a
//! deadline.

use crate::{Error, Result, clock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A token that ends `fit`, `evaluate` and `predict` early. They check it between batches; once it is cancelled
/// they return [`Error::Cancelled`](crate::Error::Cancelled), which says how far they came. Clones share one state.
///
/// ```
/// use gradus::prelude::*;
/// use gradus::{CancellationToken, Error};
/// use std::time::Duration;
///
/// let mut model = Sequential::new().add(Input::new(2)).add(Dense::new(1)).compile("adam", "mse", ())?;
/// let (x, y) = (Tensor::ones([8, 2])?, Tensor::ones([8, 1])?);
/// let token = CancellationToken::new().deadline(Duration::from_secs(60));
/// token.cancel(); // from a signal handler or another thread, say
/// let stopped = model.fit(&x, &y, Fit::new().epochs(1000).cancellation(&token).verbose(0));
/// let stopped = stopped.unwrap_err();
/// assert!(matches!(stopped.error, Error::Cancelled { .. }));
/// assert_eq!(stopped.history.epochs().len(), 0); // the epochs before; what was trained stays
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CancellationToken {
    asked: Arc<AtomicBool>,
    end: Option<Instant>,
}

impl CancellationToken {
    /// Creates a token that is not cancelled and has no deadline.
    pub fn new() -> CancellationToken {
        CancellationToken::default()
    }

    /// Adds a deadline, counted from now, to this token and its later clones. (Where there is no clock, as on
    /// wasm32-unknown-unknown, it never passes.)
    #[must_use]
    pub fn deadline(mut self, from_now: Duration) -> CancellationToken {
        self.end = clock::now().and_then(|now| now.checked_add(from_now));
        self
    }

    /// Cancels this token and all its clones, permanently.
    pub fn cancel(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Returns whether the token was cancelled or its deadline has passed.
    pub fn is_cancelled(&self) -> bool {
        self.reason().is_some()
    }

    fn reason(&self) -> Option<&'static str> {
        if self.asked.load(Ordering::Relaxed) {
            return Some("was cancelled");
        }
        let over = self.end.is_some_and(|end| clock::now().is_some_and(|now| now >= end));
        over.then_some("reached its deadline")
    }

    /// Fails if there is a token and it is cancelled; `done` says how far the work came.
    pub(crate) fn check(
        token: Option<&CancellationToken>,
        what: &'static str,
        done: impl FnOnce() -> String,
    ) -> Result<()> {
        match token.and_then(CancellationToken::reason) {
            None => Ok(()),
            Some(why) => Err(Error::Cancelled { what, why, done: done() }),
        }
    }
}
