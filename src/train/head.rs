//! The losses and metrics of each output of a network, the names of their values in the logs, and the meter that
//! accumulates them.

use super::history::Logs;
use crate::config::Dyn;
use crate::error::Context;
use crate::loss::{Loss, Reduction, each, fitted};
use crate::metric::{ByOutput, Metric};
use crate::nn::{Network, Range, Value};
use crate::tensor::{Tensor, Tensors};
use crate::{DType, Error, Result};

/// Losses and metrics of a network.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// One for each output.
    pub(crate) losses: Vec<Dyn<dyn Loss>>,
    /// What is known about the values of each output.
    pub(super) ranges: Vec<Option<Range>>,
    /// For each output, the loss as a function of the last activation's input, where that is exact.
    fused: Vec<Option<Dyn<dyn Loss>>>,
    /// Which outputs are taken without their activation in training; empty if none.
    pub(crate) raw: Vec<bool>,
    /// The metrics of each output, in their starting state.
    pub(crate) metrics: Vec<Vec<Box<dyn Metric>>>,
    /// The names of the metrics in the logs.
    pub(super) names: Vec<Vec<String>>,
    /// The names of the outputs' own losses in the logs, if there are several outputs: Keras's `digit_loss`.
    pub(super) loss_names: Vec<String>,
}

/// Losses and metrics accumulated over batches.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    metrics: Vec<Vec<Box<dyn Metric>>>,
    /// For each output, the sum of its loss over rows, and the number of rows.
    sums: Vec<f64>,
    rows: f64,
    /// The mean loss so far.
    pub(super) loss: f64,
}

/// The loss of each output for a forward pass. Weights of losses apply only in the sum.
pub(crate) type Terms = Tensors;

impl Head {
    /// # Errors
    /// There is not one loss for each output, or metrics name an output that does not exist.
    pub(crate) fn new(network: &Network, losses: Vec<Dyn<dyn Loss>>, metrics: ByOutput) -> Result<Head> {
        let outputs: Vec<&str> = network.output_names().collect();
        if outputs.len() != losses.len() {
            let expected = format!("one for each of the {} outputs", outputs.len());
            return Err(Error::argument("losses", expected, losses.len()));
        }
        for loss in &losses {
            let options = loss.options();
            if options.reduction == Reduction::None {
                let expected = "a reduction to one number, which is what training makes smaller";
                return Err(Error::argument("loss reduction", expected, "none"));
            }
            loss.check().at(|| loss.name())?;
        }
        metrics
            .iter()
            .flat_map(|(_, list)| list)
            .try_for_each(|m| m.check().at(|| format!("metric '{}'", m.name())))?;
        let on_logits = |(i, loss): (usize, &Dyn<dyn Loss>)| {
            network.output_activation_of(i).and_then(|activation| loss.on_logits(activation))
        };
        let fused: Vec<_> = losses.iter().enumerate().map(on_logits).collect();
        let raw = match fused.iter().any(Option::is_some) {
            true => fused.iter().map(Option::is_some).collect(),
            false => Vec::new(),
        };
        let several = outputs.len() > 1;
        let mut lists: Vec<Vec<Box<dyn Metric>>> = outputs.iter().map(|_| Vec::new()).collect();
        for (name, list) in metrics {
            let at = match outputs.iter().position(|o| *o == name.as_str()) {
                Some(at) => at,
                None if name.is_empty() && !several => 0,
                None if list.is_empty() => continue,
                None => {
                    let expected = format!("PerOutput with names among {}", outputs.join(", "));
                    return Err(Error::argument("metrics", expected, format!("'{name}'")));
                }
            };
            lists[at].extend(list);
        }
        let loss_names =
            if several { outputs.iter().map(|o| format!("{o}_loss")).collect() } else { Vec::new() };
        let mut taken: Vec<String> =
            std::iter::once("loss".into()).chain(loss_names.iter().cloned()).collect();
        let mut names = Vec::new();
        for (output, list) in outputs.iter().zip(&lists) {
            let prefix = if several { format!("{output}_") } else { String::new() };
            let mut keys = Vec::new();
            for metric in list {
                let key = free(&taken, format!("{prefix}{}", metric.name()), metric.takes_weights());
                taken.push(key.clone());
                keys.push(key);
            }
            names.push(keys);
        }
        lists.iter_mut().flatten().for_each(|m| m.reset());
        let ranges = network.output_ranges(&[]);
        Ok(Head { losses, ranges, fused, raw, metrics: lists, names, loss_names })
    }

    /// A new meter for these losses and metrics.
    pub(crate) fn meter(&self) -> Meter {
        Meter { metrics: self.metrics.clone(), sums: vec![0.0; self.loss_names.len()], rows: 0.0, loss: 0.0 }
    }

    /// Returns the names of all log values, `loss` first.
    pub(crate) fn figures(&self) -> Vec<String> {
        let metrics = self.names.iter().flatten();
        std::iter::once("loss".into())
            .chain(self.loss_names.iter().cloned())
            .chain(metrics.cloned())
            .collect()
    }

    /// Returns whether a log value is better when it is larger.
    pub(crate) fn larger_is_better(&self, figure: &str) -> bool {
        let mut all = self.names.iter().flatten().zip(self.metrics.iter().flatten());
        all.find(|(name, _)| *name == figure).is_some_and(|(_, m)| m.larger_is_better())
    }

    /// Returns whether an output has metrics.
    pub(crate) fn watches(&self, output: usize) -> bool {
        !self.metrics[output].is_empty()
    }

    /// Returns the losses of the outputs, one number each. An output without its activation is compared by the loss
    /// on logits. A mask is that of the output itself.
    pub(crate) fn terms(&self, y: &[Tensor], outputs: &[Value], weights: Option<&Tensor>) -> Result<Terms> {
        let term = |(i, (y, output)): (usize, (&Tensor, &Value))| {
            let Value { tensor, mask } = output;
            let loss = self.fused[i].as_ref().unwrap_or(&self.losses[i]);
            // A loss that trains nothing is computed only to be shown.
            let tensor = if loss.options().weight == 0.0 { &tensor.detach() } else { tensor };
            // If an output has no time axis, a mask along time says nothing about it.
            let travelled = mask.as_ref().filter(|m| m.rank() <= tensor.rank());
            let (values, mask) = each(&**loss, y, tensor, weights, travelled)?;
            let averaged =
                |m: &&Tensor| values.rank() > 0 && m.dims().iter().skip(values.rank()).any(|d| *d != 1);
            if let Some(mask) = travelled.filter(averaged) {
                let expected =
                    "a loss with a number for each position of the mask (Reshape the output to [.., 1])";
                return Err(Error::shape("mask", expected, *mask.shape()));
            }
            loss.options().reduction.apply(&values, weights, mask.as_ref())
        };
        let term = |(i, pair): (usize, (&Tensor, &Value))| self.at_output(i, term((i, pair)));
        y.iter().zip(outputs).enumerate().map(term).collect()
    }

    /// Adds the output's name to an error, if there are several outputs.
    pub(super) fn at_output<T>(&self, i: usize, result: Result<T>) -> Result<T> {
        match self.loss_names.get(i) {
            Some(name) => result.at(|| format!("output '{}'", name.trim_end_matches("_loss"))),
            None => result,
        }
    }

    /// Sums the terms by the weights of their losses. A term of weight 0 is left out, whatever its value; its
    /// output just gets a gradient of 0.
    pub(crate) fn total(&self, terms: &[Tensor], outputs: &[Value]) -> Result<Tensor> {
        let mut total: Option<Tensor> = None;
        for ((loss, term), output) in self.losses.iter().zip(terms).zip(outputs) {
            let term = match loss.options().weight {
                1.0 => term.clone(),
                0.0 => {
                    let zero = output.tensor.new_full([], 0.0)?;
                    let nowhere = zero.cast(DType::Bool)?;
                    nowhere.choose(&output.tensor, &zero)?.sum(&[], false)?.cast(term.dtype())?
                }
                weight => term.affine(weight, 0.0)?,
            };
            total = Some(match total {
                Some(sum) => sum.add(&term)?,
                None => term,
            });
        }
        total.ok_or_else(|| Error::argument("losses", "at least one", "none"))
    }

    /// What a meter has gathered, as figures.
    pub(crate) fn logs(&self, meter: &Meter) -> Logs {
        let mut logs = Logs::new();
        logs.set("loss", meter.loss);
        for (name, sum) in self.loss_names.iter().zip(&meter.sums) {
            logs.set(name, sum / meter.rows);
        }
        for (name, metric) in self.names.iter().flatten().zip(meter.metrics.iter().flatten()) {
            logs.set(name, metric.result());
        }
        logs
    }
}

impl Meter {
    /// Accumulates losses and metrics of a batch of this many rows.
    pub(crate) fn observe(
        &mut self,
        y: &[Tensor],
        outputs: &[Value],
        weights: Option<&Tensor>,
        terms: &[Tensor],
        rows: usize,
    ) -> Result<()> {
        for ((metrics, y), Value { tensor, mask }) in self.metrics.iter_mut().zip(y).zip(outputs) {
            for m in metrics {
                let weights = if m.takes_weights() { weights } else { None };
                match mask {
                    // What does not count has weight 0.
                    Some(mask) => m.update(y, tensor, Some(&counted(weights, mask)?))?,
                    None => m.update(y, tensor, weights)?,
                }
            }
        }
        for (sum, term) in self.sums.iter_mut().zip(terms) {
            *sum += term.item()? * rows as f64;
        }
        self.rows += rows as f64;
        Ok(())
    }

    pub(crate) fn reset(&mut self) {
        self.metrics.iter_mut().flatten().for_each(|m| m.reset());
        self.sums.fill(0.0);
        (self.rows, self.loss) = (0.0, 0.0);
    }
}

/// Returns weights that are 0 where a mask is false.
fn counted(weights: Option<&Tensor>, mask: &Tensor) -> Result<Tensor> {
    let counts = mask.cast(weights.map_or(DType::F32, Tensor::dtype))?;
    match weights {
        Some(weights) => fitted("sample_weight", weights, counts.shape())?.mul(&counts),
        None => Ok(counts),
    }
}

/// Returns a name that is not taken: `weighted_accuracy` beside `accuracy` as in Keras, else `precision_1` beside
/// `precision`.
fn free(taken: &[String], key: String, weighted: bool) -> String {
    let mut tries = std::iter::once(key.clone())
        .chain(weighted.then(|| format!("weighted_{key}")))
        .chain((1u64..).map(|i| format!("{key}_{i}")));
    tries.find(|k| !taken.contains(k)).unwrap_or(key)
}
