//! Why it exists: a compiled network: parameters, optimizer state, loss and metrics in one value that can be trained,
//! asked, cloned and saved.

use super::data::{Arrays, AsTensors, Batch, Source, Tensors, rows, slice};
use super::evaluate::Evaluate;
use super::head::{Head, Terms};
use super::history::Logs;
use super::weights::Weights;
use crate::error::Context;
use crate::kernels::par;
use crate::nn::layers::Input;
use crate::nn::{Cx, Layer, Param, Params, Path, Row, Sequential};
use crate::optim::Driver;
use crate::random::{Purpose, Stream};
use crate::tensor::Tensor;
use crate::{DType, Element, Error, Result, Spec};
use smallvec::smallvec;
use std::sync::Arc;

/// A network with its optimizer, loss and metrics. `clone` is a snapshot that shares memory until one of the two changes;
/// [`Model::clone_fresh`] is a new start.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) description: Option<Arc<Sequential>>,
    name: String,
    net: Box<dyn Layer<[Tensor], Tensors>>,
    inputs: Vec<Input>,
    outputs: Vec<Spec>,
    pub(crate) head: Head,
    pub(crate) driver: Driver,
    dtype: DType,
    pub(crate) seed: u64,
    /// Training steps and epochs that the model has seen in its life: they key its random streams.
    pub(crate) steps: u64,
    pub(crate) epochs: u64,
    pub(crate) stop_training: bool,
    pub(crate) allow_missing: bool,
}

impl Model {
    #[expect(clippy::too_many_arguments, reason = "compile alone calls it")]
    pub(crate) fn new(
        description: Option<Arc<Sequential>>,
        name: String,
        net: Box<dyn Layer<[Tensor], Tensors>>,
        inputs: Vec<Input>,
        outputs: Vec<Spec>,
        head: Head,
        driver: Driver,
        dtype: DType,
        seed: u64,
    ) -> Model {
        Model {
            description,
            name,
            net,
            inputs,
            outputs,
            head,
            driver,
            dtype,
            seed,
            steps: 0,
            epochs: 0,
            stop_training: false,
            allow_missing: false,
        }
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lines of `summary`, a layer each.
    pub fn rows(&self) -> Vec<Row> {
        self.net.rows()
    }

    /// Shape (with the batch as `None`) and dtype of each output.
    pub fn outputs(&self) -> &[Spec] {
        &self.outputs
    }

    /// The optimizer at work.
    pub fn optimizer(&self) -> &Driver {
        &self.driver
    }

    /// The optimizer at work, to change its learning rate.
    pub fn optimizer_mut(&mut self) -> &mut Driver {
        &mut self.driver
    }

    /// The present learning rate.
    pub fn learning_rate(&self) -> f64 {
        self.driver.learning_rate()
    }

    /// Changes the learning rate from here on.
    ///
    /// # Errors
    /// As [`Driver::set_learning_rate`].
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        self.driver.set_learning_rate(learning_rate)
    }

    /// Freezes or unfreezes the parameters whose path begins with a layer's name.
    ///
    /// # Errors
    /// No parameter's path does.
    pub fn set_trainable(&mut self, layer: &str, trainable: bool) -> Result<()> {
        let mut found = false;
        self.visit_mut(&mut Path::default(), &mut |path, p| {
            if path.as_str().strip_prefix(layer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            {
                p.set_trainable(trainable);
                found = true;
            }
        });
        match found {
            true => Ok(()),
            false => {
                Err(Error::argument("layer", format!("a layer of '{}' with parameters", self.name), layer))
            }
        }
    }

    /// Asks a running `fit` to end after this epoch's callbacks.
    pub fn stop_training(&mut self) {
        self.stop_training = true;
    }

    /// Every parameter with its path, in a fixed order.
    pub fn params(&self) -> Vec<(String, Tensor)> {
        let mut out = Vec::new();
        self.visit(&mut Path::default(), &mut |path, p| out.push((path.to_string(), p.value().clone())));
        out
    }

    /// The value of the parameter at a path such as `dense/kernel`.
    pub fn param(&self, path: &str) -> Option<Tensor> {
        self.params().into_iter().find(|(p, _)| p == path).map(|(_, t)| t)
    }

    /// Sets parameters by path.
    ///
    /// # Errors
    /// A path does not exist, or a shape or dtype differs; then none is changed.
    pub fn set_params(&mut self, values: &[(String, Tensor)]) -> Result<()> {
        let mut next = self.clone();
        for (path, value) in values {
            let mut found =
                Err(Error::argument("path", format!("a parameter of '{}'", self.name), format!("'{path}'")));
            next.visit_mut(&mut Path::default(), &mut |at, p| {
                if at.as_str() == path {
                    found = p.set(value.clone());
                }
            });
            found.at(|| path.clone())?;
        }
        self.net = next.net;
        Ok(())
    }

    /// How many numbers the parameters hold.
    pub fn count_params(&self) -> usize {
        let mut n = 0;
        self.visit(&mut Path::default(), &mut |_, p| n += p.value().elements());
        n
    }

    /// The parameters' values as little-endian bytes, one after the other: for hashing.
    ///
    /// # Errors
    /// Memory cannot be had.
    pub fn weight_bytes(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for (_, value) in self.params() {
            match self.dtype {
                DType::F64 => value.to_vec::<f64>()?.iter().for_each(|v| out.extend(v.to_le_bytes())),
                _ => value.to_vec::<f32>()?.iter().for_each(|v| out.extend(v.to_le_bytes())),
            }
        }
        Ok(out)
    }

    /// The same network with parameters drawn anew from another seed and an optimizer at its start.
    ///
    /// # Errors
    /// Memory cannot be had.
    pub fn clone_fresh(&self, seed: u64) -> Result<Model> {
        let mut fresh = self.clone();
        fresh.driver = self.driver.fresh();
        (fresh.seed, fresh.steps, fresh.epochs) = (seed, 0, 0);
        let (mut made, mut result) = (0, Ok(()));
        fresh.visit_mut(&mut Path::default(), &mut |_, p| {
            let done = p.reset(Stream::new(seed, Purpose::Init(made), 0));
            made += 1;
            if result.is_ok() {
                result = done;
            }
        });
        result.map(|()| fresh)
    }

    // ---- inputs

    /// Checks data against the declared inputs and brings it to the network's dtype.
    pub(crate) fn accept(&self, x: &[Tensor]) -> Result<Tensors> {
        if x.len() != self.inputs.len() {
            return Err(Error::argument("x", format!("{} input tensors", self.inputs.len()), x.len()));
        }
        let one = |(t, input): (&Tensor, &Input)| {
            input.accepts(t.spec()).at(|| format!("input of '{}'", self.name))?;
            let want = input.dtype_value().unwrap_or(self.dtype);
            if !want.is_float() && t.dtype().is_float() {
                return Err(Error::DType { op: "x", expected: "integer data (use cast)", got: t.dtype() });
            }
            if t.dtype() != want && want.is_float() && !t.dtype().is_float() {
                return Err(Error::DType {
                    op: "x",
                    expected: "floating-point data (use scale or cast)",
                    got: t.dtype(),
                });
            }
            t.cast(want)
        };
        x.iter().zip(&self.inputs).map(one).collect()
    }

    // ---- steps

    /// The loss of each output, their sum with regularization and added terms, and the outputs as users see them.
    fn losses(&self, batch: &Batch, cx: &mut Cx) -> Result<Losses> {
        let (x, y, weights) = (&batch.x, &batch.y, batch.weights.as_ref());
        if y.len() != self.head.losses.len() {
            return Err(Error::argument("y", format!("{} target tensors", self.head.losses.len()), y.len()));
        }
        let (terms, outputs) = match (&self.head.fused, self.net.output_activation()) {
            (Some(fused), Some(activation)) => {
                let logits = self.net.forward_logits(x, cx)?;
                let mask = cx.take_mask();
                let terms = Head::terms(std::slice::from_ref(fused), y, &logits, weights, mask.as_ref())?;
                let seen = match self.head.watches() {
                    true => smallvec![activation.apply(&logits[0].detach())?],
                    false => Tensors::new(),
                };
                (terms, seen)
            }
            _ => {
                let outputs = self.net.forward(x, cx)?;
                let mask = cx.take_mask();
                let terms = Head::terms(&self.head.losses, y, &outputs, weights, mask.as_ref())?;
                (terms, outputs.iter().map(Tensor::detach).collect())
            }
        };
        let mut total = Head::total(&self.head.losses, &terms)?;
        let mut penalties = Ok(());
        self.visit(&mut Path::default(), &mut |_, p| {
            if let (Some(r), Ok(())) = (p.regularizer(), &penalties) {
                match r.penalty(&cx.param(p)).and_then(|penalty| total.add(&penalty)) {
                    Ok(sum) => total = sum,
                    Err(e) => penalties = Err(e),
                }
            }
        });
        penalties?;
        for term in cx.take_losses() {
            total = total.add(&term)?;
        }
        Ok(Losses { total, terms, outputs })
    }

    /// Forward and the figures, without an update.
    pub(crate) fn test_step(&mut self, batch: &Batch) -> Result<f64> {
        let losses = self.losses(batch, &mut Cx::infer()).map_err(|e| batch.locate(e))?;
        let Losses { total, terms, outputs } = losses;
        self.head.observe(&batch.y, &outputs, batch.weights.as_ref(), &terms, batch.rows())?;
        total.item()
    }

    /// One update from data that [`Model::accept`] has passed. Returns the loss; nothing changes if it fails.
    pub(crate) fn train_step(&mut self, batch: &Batch) -> Result<f64> {
        let mut cx = Cx::train(self.seed, self.steps);
        let losses = self.losses(batch, &mut cx).map_err(|e| batch.locate(e))?;
        let Losses { total, terms, outputs } = losses;
        let value = total.item()?;
        // Whatever can fail comes before anything changes.
        self.head.observe(&batch.y, &outputs, batch.weights.as_ref(), &terms, batch.rows())?;
        drop(terms);
        let gradients = total.backward()?;
        let updates = cx.take_updates();
        let mut misfit = None;
        let walk = &mut |path: &Path, p: &Param| {
            let update = updates.iter().rev().find(|(id, _)| *id == p.id());
            if let Some((_, value)) = update.filter(|(_, v)| v.spec() != p.value().spec()) {
                let why = format!("the update of '{path}' has another shape or dtype than the parameter");
                misfit = Some(Error::shapes("update", *p.value().shape(), *value.shape(), why));
            }
        };
        if !updates.is_empty() {
            self.net.visit(&mut Path::default(), walk);
        }
        if let Some(e) = misfit {
            return Err(e);
        }
        self.driver.step(&mut *self.net, gradients, self.allow_missing)?;
        if !updates.is_empty() {
            let mut result = Ok(());
            self.net.visit_mut(&mut Path::default(), &mut |_, p| {
                if let Some((_, value)) = updates.iter().rev().find(|(id, _)| *id == p.id())
                    && result.is_ok()
                {
                    result = p.set(value.clone());
                }
            });
            result?;
        }
        self.steps += 1;
        Ok(value)
    }

    /// Ends training: parameters take their moving averages, if the optimizer keeps them.
    pub(crate) fn finalize(&mut self) -> Result<()> {
        self.driver.finalize(&mut *self.net)
    }

    /// One update from one batch. Returns the loss and the metrics of this batch, as they were before the update.
    ///
    /// # Errors
    /// The data does not fit the network or the loss, or a trainable parameter got no gradient; then no parameter has
    /// changed.
    pub fn train_on_batch(
        &mut self,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
    ) -> Result<Logs> {
        self.train_one(self.batch(x, y, None)?)
    }

    /// [`Model::train_on_batch`] with rows that count more or less.
    ///
    /// # Errors
    /// As [`Model::train_on_batch`], or the weights do not fit.
    pub fn train_on_batch_weighted(
        &mut self,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
        weights: &Weights,
    ) -> Result<Logs> {
        self.train_one(self.batch(x, y, Some(weights))?)
    }

    fn train_one(&mut self, batch: Batch) -> Result<Logs> {
        self.head.reset();
        let loss = par::enter(|| self.train_step(&batch))?;
        Ok(self.head.logs(loss))
    }

    /// Loss and metrics of one batch.
    ///
    /// # Errors
    /// The data does not fit the network or the loss.
    pub fn test_on_batch(
        &mut self,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
    ) -> Result<Logs> {
        let batch = self.batch(x, y, None)?;
        self.head.reset();
        let loss = par::enter(|| self.test_step(&batch))?;
        Ok(self.head.logs(loss))
    }

    /// All rows as one batch.
    fn batch(
        &self,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
        weights: Option<&Weights>,
    ) -> Result<Batch> {
        let mut source = self.arrays(&x.as_tensors(), y.as_tensors(), weights, usize::MAX)?;
        source.begin(0, 0)?;
        source.next(self)?.ok_or_else(|| Error::argument("x", "at least one row", 0))
    }

    /// Data that fits the network, as a source of batches.
    pub(crate) fn arrays(
        &self,
        x: &[Tensor],
        y: Tensors,
        weights: Option<&Weights>,
        batch_size: usize,
    ) -> Result<Arrays> {
        let x = self.accept(x)?;
        let n = same_rows(&x, &y)?;
        check_batch(batch_size, n)?;
        let ranks = || self.outputs.iter().map(|o| o.shape.rank()).collect::<Vec<_>>();
        let weights = weights.map(|w| w.of_rows(&y, n, &ranks())).transpose()?;
        Ok(Arrays::new(x, y, weights, batch_size.min(n)))
    }

    /// Loss and metrics over data, in batches of 32.
    ///
    /// # Errors
    /// The data does not fit the network or the loss.
    pub fn evaluate(&mut self, x: &(impl AsTensors + ?Sized), y: &(impl AsTensors + ?Sized)) -> Result<Logs> {
        self.evaluate_with(x, y, &Evaluate::new())
    }

    /// [`Model::evaluate`] with settings. The figures depend on the batch size by rounding only.
    ///
    /// # Errors
    /// As [`Model::evaluate`], or a setting is out of range.
    pub fn evaluate_with(
        &mut self,
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
        settings: &Evaluate,
    ) -> Result<Logs> {
        let Evaluate { batch_size, weights, steps } = settings;
        let mut data = self.arrays(&x.as_tensors(), y.as_tensors(), weights.as_ref(), *batch_size)?;
        par::enter(|| self.evaluate_source(&mut data, *steps))
    }

    /// Loss and metrics over a pass, or its first batches.
    pub(crate) fn evaluate_source(&mut self, data: &mut dyn Source, steps: Option<usize>) -> Result<Logs> {
        self.head.reset();
        data.begin(0, 0)?;
        let (mut sum, mut n, mut left) = (0.0, 0, steps.unwrap_or(usize::MAX));
        while left > 0
            && let Some(batch) = data.next(self)?
        {
            sum += self.test_step(&batch)? * batch.rows() as f64;
            n += batch.rows();
            left -= 1;
        }
        some_rows(n)?;
        Ok(self.head.logs(sum / n as f64))
    }

    /// The network's output for one batch, in one pass. The same numbers as [`Model::predict`].
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn predict_on_batch(&self, x: &(impl AsTensors + ?Sized)) -> Result<Tensor> {
        let x = self.accept(&x.as_tensors())?;
        single(par::enter(|| self.net.forward(&x, &mut Cx::infer()))?)
    }

    /// The network's output for each row. What a row gives does not depend on the rows beside it.
    ///
    /// # Errors
    /// The data does not fit the network, or it has more than one output ([`Model::predict_all`]).
    pub fn predict(&self, x: &(impl AsTensors + ?Sized)) -> Result<Tensor> {
        single(self.predict_all(x)?)
    }

    /// [`Model::predict`] into memory of the caller's, in row-major order: in the steady state nothing is asked of the system.
    ///
    /// # Errors
    /// As [`Model::predict`], or `out` has another element type or length than the output.
    pub fn predict_into<T: Element>(&self, x: &(impl AsTensors + ?Sized), out: &mut [T]) -> Result<()> {
        let y = self.predict(x)?;
        if T::DTYPE != y.dtype() {
            return Err(Error::DType { op: "predict_into", expected: T::DTYPE.name(), got: y.dtype() });
        }
        if out.len() != y.elements() {
            let expected = format!("{} elements, for an output of shape {}", y.elements(), y.shape());
            return Err(Error::argument("out", expected, out.len()));
        }
        let y = y.array().contiguous()?;
        out.iter_mut().zip(y.slice::<T::Stored>()?).for_each(|(o, &v)| *o = T::load(v));
        Ok(())
    }

    /// Every output of the network for each row.
    ///
    /// # Errors
    /// The data does not fit the network.
    pub fn predict_all(&self, x: &(impl AsTensors + ?Sized)) -> Result<Tensors> {
        /// Rows at a time: intermediate results of so many stay in the cache.
        const BATCH: usize = 1024;
        let x = self.accept(&x.as_tensors())?;
        let n = rows("x", &x)?;
        par::enter(|| {
            if n <= BATCH {
                return self.net.forward(&x, &mut Cx::infer());
            }
            let parts: Vec<Tensors> = (0..n)
                .step_by(BATCH)
                .map(|start| self.net.forward(&slice(&x, start, (start + BATCH).min(n))?, &mut Cx::infer()))
                .collect::<Result<_>>()?;
            let joined = |i: usize| Tensor::concat(&parts.iter().map(|p| &p[i]).collect::<Vec<_>>(), 0);
            (0..self.outputs.len()).map(joined).collect()
        })
    }

    /// The dtype of parameters and arithmetic.
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }
}

impl Params for Model {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&Path, &Param)) {
        self.net.visit(at, f);
    }
    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, &mut Param)) {
        self.net.visit_mut(at, f);
    }
}

/// What a forward pass gave.
struct Losses {
    total: Tensor,
    terms: Terms,
    outputs: Tensors,
}

/// The one output of a network that has one.
fn single(mut outputs: Tensors) -> Result<Tensor> {
    match outputs.len() {
        1 => Ok(outputs.swap_remove(0)),
        n => Err(Error::argument("predict", "a network with one output (use predict_all)", n)),
    }
}

/// Data that gave no row has no mean.
pub(crate) fn some_rows(n: usize) -> Result<()> {
    if n > 0 { Ok(()) } else { Err(Error::argument("dataset", "at least one batch with a row", "none")) }
}

pub(crate) fn same_rows(x: &[Tensor], y: &[Tensor]) -> Result<usize> {
    let (n, m) = (rows("x", x)?, rows("y", y)?);
    if n != m {
        return Err(Error::argument("y", format!("{n} rows, as many as x"), m));
    }
    Ok(n)
}

pub(crate) fn check_batch(batch_size: usize, n: usize) -> Result<()> {
    if batch_size == 0 {
        return Err(Error::argument("batch_size", "at least 1", 0));
    }
    if n == 0 {
        return Err(Error::argument("x", "at least one row", 0));
    }
    Ok(())
}
