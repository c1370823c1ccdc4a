//! Checks that losses and metrics read an output as what it is. With logits read as probabilities, say, a network
//! learns nothing or the wrong thing and no number shows why, so `compile` refuses such pairs. If nothing is known
//! about an output (as for a user's own layer), its values and targets are checked in the first batch.
//! `Loss::allow_mismatch` turns all of this off.

use super::data::row_length;
use super::head::Head;
use crate::error::Context;
use crate::loss::{Loss, Reads, counted};
use crate::metric::Metric;
use crate::nn::{Network, Range, Value};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, Spec};

/// The end of every such error.
const OPT_OUT: &str = "(if it is meant: .allow_mismatch() on the loss)";

/// How far a sum of probabilities may be from 1, and a probability outside of 0 to 1.
const SLACK: f64 = 1e-3;

fn refusal(name: &'static str, expected: impl std::fmt::Display, got: impl ToString) -> Error {
    Error::argument(name, format!("{expected} {OPT_OUT}"), got)
}

impl Head {
    /// Fails if an output cannot be what its loss or one of its metrics expects.
    pub(super) fn check_pairing(&self, network: &Network) -> Result<()> {
        let outputs = network.output_names().zip(network.output_specs());
        for (i, (output, spec)) in outputs.enumerate() {
            let (loss, range) = (&*self.losses[i], self.ranges[i]);
            if loss.options().allow_mismatch {
                continue;
            }
            let place = || format!("output '{output}'");
            check_loss(loss, range, spec).at(place)?;
            for metric in &self.metrics[i] {
                check_metric(&**metric, loss, range, spec).at(place)?;
            }
        }
        Ok(())
    }

    /// Fails if targets do not suit the loss or a metric, or if the values of an output about which nothing was
    /// known do not.
    pub(super) fn check_values(
        &self,
        y: &[Tensor],
        outputs: &[Value],
        weights: Option<&Tensor>,
    ) -> Result<()> {
        for (i, (y, output)) in y.iter().zip(outputs).enumerate() {
            let loss = &*self.losses[i];
            if loss.options().allow_mismatch || output.tensor.is_traced() || y.is_traced() {
                continue;
            }
            let known = self.ranges[i].is_some();
            let looked = self.check_targets(i, y, output, weights);
            let looked =
                looked.and_then(|()| if known { Ok(()) } else { check_outputs(loss, y, output, weights) });
            self.at_output(i, looked)?;
        }
        Ok(())
    }

    /// Checks the targets of an output, except those that do not count.
    fn check_targets(&self, i: usize, y: &Tensor, output: &Value, weights: Option<&Tensor>) -> Result<()> {
        let (loss, width) = (&*self.losses[i], output.tensor.dims().last().copied().unwrap_or(1));
        let of_loss = loss.targets();
        let of_metrics =
            || self.metrics[i].iter().zip(&self.names[i]).map(|(m, name)| (name, m.targets(width)));
        let any = |(least, most): (f64, f64)| least == f64::NEG_INFINITY && most == f64::INFINITY;
        if any(of_loss) && of_metrics().all(|(_, limits)| any(limits)) {
            return Ok(());
        }
        let values = y.cast(DType::F64)?.to_vec::<f64>()?;
        let counts = counts_of(loss, y, output, weights)?;
        let wrong = |(least, most): (f64, f64)| {
            let outside = |v: f64| v < least || v > most;
            values.iter().enumerate().find(|(at, v)| outside(**v) && counts.as_ref().is_none_or(|c| c[*at]))
        };
        let said = |(at, v): (usize, &f64)| format!("{v} in row {} of the first batch", at / row_length(y));
        if let Some(found) = wrong(of_loss) {
            let advice = match loss.reads() {
                Reads::Probabilities | Reads::Logits if *found.1 == -1.0 => {
                    "; for classes -1 and 1 write (y + 1) / 2, or Hinge"
                }
                Reads::Probabilities | Reads::Logits => {
                    "; labels of more classes are for SparseCategoricalCrossentropy"
                }
                Reads::Shares | Reads::ClassLogits => "; labels are for SparseCategoricalCrossentropy",
                _ => "",
            };
            let expected = format!("targets {} for {}{advice}", between(of_loss), loss.name());
            return Err(refusal("y", expected, said(found)));
        }
        for (name, limits) in of_metrics() {
            if let Some(found) = wrong(limits) {
                let expected =
                    format!("targets {} for the metric '{name}', or another metric", between(limits));
                return Err(refusal("y", expected, said(found)));
            }
        }
        check_shares(loss, y, output, &values, counts.as_deref())
    }
}

/// Fails if rows of targets, one number for each class, do not add up to 1: none is named, or several. `values` are those of `y`, and
/// `counts` says which of them count, if not all.
fn check_shares(
    loss: &dyn Loss,
    y: &Tensor,
    output: &Value,
    values: &[f64],
    counts: Option<&[bool]>,
) -> Result<()> {
    let width = y.dims().last().copied().unwrap_or(1);
    // A loss of labels has targets of any size.
    let shares = matches!(loss.reads(), Reads::Shares | Reads::ClassLogits) && loss.targets() == (0.0, 1.0);
    if !shares || y.shape() != output.tensor.shape() || width < 2 || y.elements() == 0 {
        return Ok(());
    }
    let present = |row: usize| counts.is_none_or(|counts| counts[row * width]);
    let sums = values.chunks(width).map(|row| row.iter().sum::<f64>()).enumerate();
    match sums
        .into_iter()
        .find(|(row, sum)| (sum - 1.0).abs() > 10.0 * SLACK && !sum.is_nan() && present(*row))
    {
        Some((row, sum)) => {
            let expected = format!(
                "rows that add up to 1, a share for each class, for {} (several classes at once: Sigmoid and BinaryCrossentropy)",
                loss.name()
            );
            Err(refusal("y", expected, format!("{sum} in row {row} of the first batch")))
        }
        None => Ok(()),
    }
}

fn between((least, most): (f64, f64)) -> String {
    if most == f64::INFINITY { format!("of {least} or more") } else { format!("from {least} to {most}") }
}

/// Returns which elements of targets or outputs of this shape count, if not all.
fn counts_of(
    loss: &dyn Loss,
    shaped: &Tensor,
    output: &Value,
    weights: Option<&Tensor>,
) -> Result<Option<Vec<bool>>> {
    let mask = output.mask.as_ref().filter(|m| m.rank() <= output.tensor.rank());
    let Some(mut counts) = counted(&output.tensor, loss.axis(), weights, mask)? else { return Ok(None) };
    while counts.rank() > shaped.rank() && counts.dims().last() == Some(&1) {
        counts = counts.squeeze(-1)?;
    }
    // If shapes do not fit, the loss reports it.
    match counts.broadcast_to(*shaped.shape()) {
        Ok(counts) => counts.to_vec::<bool>().map(Some),
        Err(_) => Ok(None),
    }
}

/// The size of the last axis, where it is known.
fn width(spec: Spec) -> usize {
    spec.shape.dims().get(1..).and_then(<[usize]>::last).copied().unwrap_or(1)
}

fn check_loss(loss: &dyn Loss, range: Option<Range>, spec: Spec) -> Result<()> {
    let (name, width) = (loss.name(), width(spec));
    if range.is_some_and(|range| range.shares) && width == 1 {
        let expected = "more than one unit, over one it is always 1: write .activation(Sigmoid), or as many units as classes";
        return Err(refusal("Softmax", expected, spec.shape));
    }
    let reads = loss.reads();
    if reads.classes() && width == 1 {
        let expected =
            "a unit for each class, over one it is always 0: write BinaryCrossentropy for one unit";
        return Err(refusal(name, expected, spec.shape));
    }
    let Some(range) = range else { return Ok(()) };
    let expected = match reads {
        Reads::Logits | Reads::ClassLogits if range.is_unit() => {
            "logits: drop .from_logits(true), or the last activation"
        }
        Reads::Logits if range.least >= 0.0 || range.most <= 0.0 => {
            "logits of both signs, or one class is never predicted: drop the last activation"
        }
        Reads::Probabilities if !range.is_unit() => {
            "probabilities: end the network with .activation(Sigmoid) or Softmax, or write .from_logits(true) on a cross-entropy for \
             logits"
        }
        Reads::Shares if !range.is_unit() => {
            "probabilities: end the network with .activation(Softmax), or write .from_logits(true) on the loss for logits"
        }
        Reads::NotNegative if range.least < 0.0 => {
            "numbers of 0 or more, of which it takes the logarithm: end the network with .activation(Softplus) or \
             .activation(Exponential)"
        }
        Reads::Margins if range.least >= 0.0 || range.most <= 0.0 => {
            "numbers of both signs, for the classes -1 and 1: drop the last activation, or write .activation(Tanh)"
        }
        _ => return Ok(()),
    };
    Err(refusal(name, expected, range))
}

fn check_metric(metric: &dyn Metric, loss: &dyn Loss, range: Option<Range>, spec: Spec) -> Result<()> {
    let (reads, width) = (metric.reads(width(spec)), width(spec));
    let name = metric.name();
    let refuse = |what: &str, advice: &str, got: String| {
        Err(refusal("metrics", format!("{what} for '{name}': {advice}"), got))
    };
    if reads.classes() && width == 1 {
        let advice = "of one column each is the largest: write .threshold(0.5), or BinaryAccuracy";
        return refuse("several columns", advice, spec.shape.to_string());
    }
    match (reads, range) {
        (Reads::Logits | Reads::ClassLogits, Some(range)) if range.is_unit() => {
            refuse("logits", "drop its .from_logits(true)", range.to_string())
        }
        (Reads::Probabilities | Reads::Shares, _) if loss.reads().logits() => refuse(
            "probabilities",
            "end the network with .activation(…) and drop .from_logits(true) on the loss, which is computed from logits all \
             the same",
            "logits, as the loss reads them".into(),
        ),
        _ => Ok(()),
    }
}

/// Checks the values of an output about which nothing was known.
fn check_outputs(loss: &dyn Loss, y: &Tensor, output: &Value, weights: Option<&Tensor>) -> Result<()> {
    let reads = loss.reads();
    if matches!(reads, Reads::Numbers | Reads::Margins | Reads::Largest) || y.elements() == 0 {
        return Ok(());
    }
    let p = output.tensor.cast(DType::F64)?.to_vec::<f64>()?;
    let counts = counts_of(loss, &output.tensor, output, weights)?;
    let present = |at: usize| counts.as_ref().is_none_or(|counts| counts[at]);
    let width = output.tensor.dims().last().copied().unwrap_or(1).max(1);
    let first = |wrong: &dyn Fn(f64) -> bool| {
        let found = p.iter().enumerate().find(|(at, p)| wrong(**p) && present(*at));
        found.map(|(at, p)| format!("{p} in row {} of the first batch", at / row_length(&output.tensor)))
    };
    let (expected, got) = match reads {
        Reads::Probabilities | Reads::Shares => {
            let expected = match reads {
                Reads::Shares => {
                    "probabilities: end the network with a softmax, or write .from_logits(true) on the loss for logits"
                }
                _ => {
                    "probabilities: end the network with a sigmoid, or write .from_logits(true) on the loss for logits"
                }
            };
            (expected, first(&|p| !(-SLACK..=1.0 + SLACK).contains(&p) && !p.is_nan()))
        }
        Reads::NotNegative => (
            "numbers of 0 or more, of which it takes the logarithm: end the network with a softplus",
            first(&|p| p < 0.0),
        ),
        _ => ("", None),
    };
    if let Some(got) = got {
        return Err(refusal(loss.name(), expected, got));
    }
    // One row that adds up to 1 may be chance; if all rows do, they come from a softmax.
    let mut sums = p
        .chunks(width)
        .enumerate()
        .filter(|(row, _)| present(row * width))
        .map(|(_, row)| row.iter().sum::<f64>());
    match reads {
        Reads::Shares => match sums.find(|sum| (sum - 1.0).abs() > 10.0 * SLACK) {
            Some(sum) => {
                let expected = "probabilities that add up to 1: end the network with a softmax, or write .from_logits(true) on the \
                                loss for logits";
                Err(refusal(loss.name(), expected, format!("a row of the first batch that adds up to {sum}")))
            }
            None => Ok(()),
        },
        Reads::Logits | Reads::ClassLogits => {
            let units = p.iter().enumerate().all(|(at, p)| (0.0..=1.0).contains(p) || !present(at));
            let shares = units && width > 1 && sums.all(|sum| (sum - 1.0).abs() <= 1e-5);
            match shares {
                true => Err(refusal(
                    loss.name(),
                    "logits: drop .from_logits(true), or the softmax that the network ends with",
                    "rows of probabilities that add up to 1, in all of the first batch",
                )),
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}
