//! Accuracies: the share of right predictions, for each kind of target.

use super::confusion::{check_threshold, compared_with};
use super::gathered::gathers;
use super::mean::Running;
use super::{Metric, Reads};
use crate::loss::{aligned, classes};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings};

/// Declares metrics with settings whose value is the mean of a function's values.
macro_rules! accuracies {
    ($($(#[$doc:meta])* $type:ident { $($rows:tt)* }, $name:literal, $self:ident, $y:ident, $p:ident
        $(, checks $check:expr)? , reads $width:pat => $reads:expr; $values:expr;)*) => {$(
        settings! {
            $(#[$doc])*
            pub struct $type {
                $($rows)*
                mean: state Running = Running::default(),
            }
        }
        impl Metric for $type {
            fn name(&self) -> &str {
                $name
            }
            $(fn check(&$self) -> Result<()> {
                $check
            })?
            fn reads(&$self, width: usize) -> Reads {
                let $width = width;
                $reads
            }
            fn update(&mut $self, $y: &Tensor, $p: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                $self.mean.add(&$values, sample_weight)
            }
            fn result(&self) -> f64 {
                self.mean.get()
            }
            fn larger_is_better(&self) -> bool {
                true
            }
            gathers!(mean);
        }
    )*};
}

accuracies! {
    /// The share of right predictions, named `accuracy`. As Keras resolves `"accuracy"`: predictions with a last size of 1
    /// are compared with 0.5 (binary); targets of lower rank, or with a last size of 1, are labels (sparse categorical); else
    /// the largest target counts (categorical). Predictions that are integers, or have no axis of classes (`[n]`), are compared as they
    /// are.
    Accuracy {
        /// Creates the metric.
        new();

        /// Whether every prediction is compared as it is: right if it equals its target. No by default; Keras's class `Accuracy` does,
        /// its name `"accuracy"` does not.
        exact: bool = false,
    }, "accuracy", self, y, p, reads width => match width {
        _ if self.exact => Reads::Numbers,
        1 => Reads::Probabilities,
        _ => Reads::Largest,
    }; match p.dims() {
        _ if self.exact || !p.dtype().is_float() => equal("accuracy", y, p)?,
        [] | [_] => equal("accuracy", y, p)?,
        [.., 1] => above("accuracy", y, p, 0.5)?,
        _ => largest("accuracy", y, p)?,
    };

    /// The share of probabilities on the right side of a threshold, named `binary_accuracy`.
    BinaryAccuracy {
        /// Creates the metric with the threshold 0.5.
        new();

        /// Predictions above it mean yes; 0.5 by default. Use 0 for logits.
        threshold: f64 = 0.5,
    }, "binary_accuracy", self, y, p, checks check_threshold("threshold", self.threshold), reads _ => compared_with(self.threshold); above("binary_accuracy", y, p, self.threshold)?;

    /// The share of rows whose largest prediction is where the largest target is, named `categorical_accuracy`.
    CategoricalAccuracy {
        /// Creates the metric.
        new();
    }, "categorical_accuracy", self, y, p, reads _ => Reads::Largest; {
        one_hot("categorical_accuracy", y, p)?;
        largest("categorical_accuracy", y, p)?
    };

    /// The share of rows whose largest prediction is that of the label, named `sparse_categorical_accuracy`.
    SparseCategoricalAccuracy {
        /// Creates the metric.
        new();
    }, "sparse_categorical_accuracy", self, y, p, reads _ => Reads::Largest;
        largest("sparse_categorical_accuracy", &sparse("sparse_categorical_accuracy", y, p)?, p)?;

    /// The share of rows with fewer than `k` predictions above that of the largest target, named
    /// `top_k_categorical_accuracy`.
    TopKCategoricalAccuracy {
        /// Among the `k` largest; Keras's default is 5.
        new(k: usize = 5);
    }, "top_k_categorical_accuracy", self, y, p, checks at_least_one(self.k), reads _ => Reads::Largest; {
        one_hot("top_k_categorical_accuracy", y, p)?;
        among("top_k_categorical_accuracy", y, p, self.k)?
    };

    /// The share of rows with fewer than `k` predictions above that of the label, named
    /// `sparse_top_k_categorical_accuracy`.
    SparseTopKCategoricalAccuracy {
        /// Among the `k` largest; Keras's default is 5.
        new(k: usize = 5);
    }, "sparse_top_k_categorical_accuracy", self, y, p, checks at_least_one(self.k), reads _ => Reads::Largest; {
        let name = "sparse_top_k_categorical_accuracy";
        among(name, &sparse(name, y, p)?, p, self.k)?
    };
}

/// Fails unless `k` is at least 1.
fn at_least_one(k: usize) -> Result<()> {
    if k > 0 { Ok(()) } else { Err(Error::argument("k", "at least 1", 0)) }
}

/// 1 where the prediction is the target.
fn equal(op: &'static str, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let (t, p) = aligned(op, y_true, &y_pred.detach().cast(DType::F64)?)?;
    p.equal(&t)?.cast(DType::F64)
}

/// 1 where the prediction is on the right side of the threshold.
fn above(op: &'static str, y_true: &Tensor, y_pred: &Tensor, threshold: f64) -> Result<Tensor> {
    check_threshold("threshold", threshold)?;
    let (t, p) = aligned(op, y_true, &y_pred.cast(DType::F64)?)?;
    p.greater(&p.new_full([], threshold)?)?.cast(DType::F64)?.equal(&t)?.cast(DType::F64)
}

fn one_hot(op: &'static str, y_true: &Tensor, y_pred: &Tensor) -> Result<()> {
    match y_true.shape() == y_pred.shape() {
        true => Ok(()),
        false => Err(Error::shapes(op, *y_true.shape(), *y_pred.shape(), "expected one-hot targets")),
    }
}

/// Returns labels without a last axis of size 1.
fn sparse(op: &'static str, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let labels = match y_true.dims().last() {
        Some(1) if y_true.rank() == y_pred.rank() => y_true.squeeze(-1)?,
        _ => y_true.clone(),
    };
    let lead = y_pred.dims().split_last().map_or(&[][..], |(_, lead)| lead);
    match labels.dims() == lead {
        true => Ok(labels),
        false => Err(Error::shapes(op, *y_true.shape(), *y_pred.shape(), "expected one label for each row")),
    }
}

/// The classes that targets name, of the predictions' leading shape.
pub(super) fn truth(op: &'static str, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let truth = classes(y_true, y_pred.rank())?;
    let (lead, width) = match y_pred.dims().split_last() {
        Some((width, lead)) => (lead, *width),
        None => (&[][..], 0),
    };
    let hot = y_true.rank() == y_pred.rank() && y_true.dims().last() != Some(&1);
    if truth.dims() != lead || hot && y_true.dims().last() != Some(&width) || y_pred.rank() == 0 {
        let why = "expected labels of the predictions' leading shape, or one-hot targets of the same shape";
        return Err(Error::shapes(op, *y_true.shape(), *y_pred.shape(), why));
    }
    Ok(truth)
}

/// Returns 1 where the largest prediction is the target's, else 0.
fn largest(op: &'static str, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let truth = truth(op, y_true, y_pred)?;
    y_pred.detach().argmax(-1)?.equal(&truth)?.cast(DType::F64)
}

/// Returns 1 where fewer than `k` predictions are above the target's, else 0.
fn among(op: &'static str, y_true: &Tensor, y_pred: &Tensor, k: usize) -> Result<Tensor> {
    at_least_one(k)?;
    let truth = truth(op, y_true, y_pred)?;
    let (shape, truth) = (*truth.shape(), truth.to_vec::<i64>()?);
    let (p, width) = (y_pred.cast(DType::F64)?.to_vec::<f64>()?, y_pred.dims().last().copied().unwrap_or(1));
    let hit = |(row, class): (&[f64], &i64)| {
        let own = usize::try_from(*class).ok().and_then(|c| row.get(c));
        own.is_some_and(|own| row.iter().filter(|p| *p > own).count() < k && !own.is_nan())
    };
    let hits: Vec<f64> = p.chunks(width.max(1)).zip(&truth).map(|x| f64::from(u8::from(hit(x)))).collect();
    Tensor::from_slice(&hits, shape)
}
