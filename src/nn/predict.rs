//! Prediction: runs a network on data, without a loss.

use super::network::{Network, single, tensors};
use super::{Cx, Node, Session};
use crate::kernels::par;
use crate::tensor::{AsTensors, PoolVec, Tensor, Tensors, join_rows, rows, slice_rows};
use crate::{CancellationToken, Element, Error, Result};

/// The settings of `predict_with`.
#[derive(Clone, Debug)]
#[must_use]
pub struct Predict {
    batch_size: usize,
    cancellation: Option<CancellationToken>,
}

impl Default for Predict {
    fn default() -> Self {
        Predict::new()
    }
}

impl Predict {
    /// Creates settings for all rows, 1024 at a time, whose intermediate results stay in the cache.
    pub fn new() -> Predict {
        Predict { batch_size: 1024, cancellation: None }
    }

    /// Sets the rows at a time; 1024 by default. The results do not depend on it.
    pub fn batch_size(mut self, batch_size: usize) -> Predict {
        self.batch_size = batch_size;
        self
    }

    /// Ends the run with an error when the token is cancelled or its deadline passes; checked between batches.
    pub fn cancellation(mut self, token: &CancellationToken) -> Predict {
        self.cancellation = Some(token.clone());
        self
    }

    /// Rows at a time.
    pub(crate) fn rows(&self) -> Result<usize> {
        match self.batch_size {
            0 => Err(Error::argument("batch_size", "at least 1", 0)),
            rows => Ok(rows),
        }
    }

    /// Fails if the token is cancelled.
    pub(crate) fn check(&self, done: impl FnOnce() -> String) -> Result<()> {
        CancellationToken::check(self.cancellation.as_ref(), "predict", done)
    }
}

/// Returns every output for one batch.
pub(crate) type RunFn<'a> = dyn Fn(&[Tensor]) -> Result<Tensors> + Sync + 'a;

/// The rows that stay together where a batch is divided: products of more rows are not faster.
const TOGETHER: usize = 64;
/// The multiply-adds from which a part of a batch is worth handing to another thread.
const PART: usize = 1 << 22;

impl Network {
    /// Returns the output for one batch, in one pass. The numbers are the same as from [`Network::predict`].
    ///
    /// # Errors
    /// Those of [`Network::predict`].
    pub fn predict_on_batch(&self, x: &(impl AsTensors + ?Sized)) -> Result<Tensor> {
        let x = self.accept(&x.as_tensors())?;
        single(par::enter(|| self.infer(&x))?)
    }

    /// Returns the output for each row. The result of a row does not depend on the rows beside it.
    ///
    /// A network of the library's own layers that is given inputs of the same shapes twice in a row makes a plan for them, if
    /// there are steps to join: batch normalization, residuals, activations after a convolution. From then on it runs that
    /// plan over the parameters as they are, with the same bits. The last few plans are kept; threads share them without
    /// waiting for each other. A [`Predictor`](crate::graph::Predictor) of a network that does not change does more.
    ///
    /// # Errors
    /// The data does not fit, or the network has more than one output (use [`Network::predict_all`]).
    pub fn predict(&self, x: &(impl AsTensors + ?Sized)) -> Result<Tensor> {
        single(self.predict_all(x)?)
    }

    /// [`Network::predict`] into the caller's memory, in row-major order: once warmed up, it allocates nothing.
    ///
    /// # Errors
    /// Those of [`Network::predict`], or `out` has another element type or length than the output.
    pub fn predict_into<T: Element>(&self, x: &(impl AsTensors + ?Sized), out: &mut [T]) -> Result<()> {
        self.predict(x)?.copy_into(out)
    }

    /// Returns every output for each row. State that layers carry is reset.
    ///
    /// # Errors
    /// The data does not fit.
    pub fn predict_all(&self, x: &(impl AsTensors + ?Sized)) -> Result<Tensors> {
        self.predict_with(x, &Predict::new())
    }

    /// [`Network::predict_all`] with settings, such as a cancellation token.
    ///
    /// # Errors
    /// Those of [`Network::predict_all`], a setting is out of range, or the token was cancelled.
    pub fn predict_with(&self, x: &(impl AsTensors + ?Sized), settings: &Predict) -> Result<Tensors> {
        self.predict_rows(&x.as_tensors(), settings)
    }

    /// Returns every output for one batch: by a plan if there is one, else layer by layer.
    fn infer(&self, x: &[Tensor]) -> Result<Tensors> {
        match self.run_plan(x) {
            Some(outputs) => Ok(outputs),
            None => Ok(tensors(self.pass(x, &mut Cx::infer(), &[])?)),
        }
    }

    fn predict_rows(&self, x: &[Tensor], settings: &Predict) -> Result<Tensors> {
        self.in_batches(x, settings, &|x| self.infer(x))
    }

    /// Returns what `run` gives for batches of the rows, one batch after another.
    pub(crate) fn in_batches(&self, x: &[Tensor], settings: &Predict, run: &RunFn<'_>) -> Result<Tensors> {
        let batch = settings.rows()?;
        let x = self.accept(x)?;
        let n = rows("x", &x)?;
        par::enter(|| {
            if n <= batch {
                settings.check(|| format!("0 of {n} rows"))?;
                return self.in_parts(&x, n, run);
            }
            let part = |start: usize| -> Result<Tensors> {
                settings.check(|| format!("{start} of {n} rows"))?;
                let end = (start + batch).min(n);
                let x: Tensors = slice_rows(&x, start, end)?;
                self.in_parts(&x, end - start, run)
            };
            let parts: PoolVec<Tensors> = (0..n).step_by(batch).map(part).collect::<Result<_>>()?;
            join_rows(&parts, self.topology.outputs.len())
        })
    }

    /// Returns what `run` gives for a batch of `n` rows. If there are many, and each goes its own way, threads take parts of the
    /// batch instead of parts of each operation: they need not wait for each other in between, and each finds in its cache what it
    /// wrote before.
    fn in_parts(&self, x: &[Tensor], n: usize, run: &RunFn<'_>) -> Result<Tensors> {
        let threads = par::threads();
        let parts = (n / TOGETHER).min(2 * threads);
        // Nearly every parameter is multiplied with something of each row.
        let work = || self.count_params().saturating_mul(n) / parts;
        if threads == 1 || parts < threads || !self.is_row_wise() || work() < PART {
            return run(x);
        }
        let size = n.div_ceil(parts);
        let part = |number: usize| -> Result<Tensors> {
            let x: Tensors = slice_rows(x, number * size, ((number + 1) * size).min(n))?;
            par::alone(|| run(&x))
        };
        let mut results: PoolVec<Result<Tensors>> =
            (0..n.div_ceil(size)).map(|_| Ok(Tensors::new())).collect();
        par::each(results.len(), [&mut results[..]], 1, &|number, [result]| result[0] = part(number));
        let results: PoolVec<Tensors> = results.into_iter().collect::<Result<_>>()?;
        join_rows(&results, self.topology.outputs.len())
    }

    /// Returns the output for one batch that continues from the state which earlier calls left in the session: the
    /// next token of a decoder, the next stretch of a signal. It is one pass, however many rows there are.
    ///
    /// # Errors
    /// Those of [`Network::predict`]. Data that does not fit the inputs leaves the session as it is; after any other error its
    /// state, if it had any, is lost, and it takes no other call before it is [reset](Session::reset).
    pub fn predict_in(&self, session: &mut Session, x: &(impl AsTensors + ?Sized)) -> Result<Tensor> {
        let x = self.accept(&x.as_tensors())?;
        let mut cx = Cx::infer().resume(session.begin()?);
        let outputs = par::enter(|| self.pass(&x, &mut cx, &[]))?;
        *session = cx.finish().session;
        single(tensors(outputs))
    }
}
