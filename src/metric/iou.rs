//! Intersection over union: how well predicted regions cover the true ones, class by class.

use super::confusion::{check_threshold, compared_with, share};
use super::gathered::gathers;
use super::{Metric, Reads};
use crate::loss::{fitted, same_rank};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings};

/// What targets and predictions are.
struct Labels {
    op: &'static str,
    num_classes: usize,
    ignore_class: Option<i64>,
    /// Whether targets are class numbers, and not one-hot.
    sparse_y_true: bool,
    sparse_y_pred: bool,
    axis: isize,
}

impl Labels {
    fn check(&self) -> Result<()> {
        match self.num_classes {
            1..=65_536 => Ok(()),
            n => Err(Error::argument("num_classes", "1 to 65536", n)),
        }
    }

    /// Adds to the weights of pairs of true and predicted class, row-major.
    fn count(
        &self,
        matrix: &mut Vec<f64>,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
    ) -> Result<()> {
        self.check()?;
        let classes = |t: &Tensor, sparse: bool| match sparse {
            true => Ok(t.detach()),
            false => t.detach().cast(DType::F64)?.argmax(self.axis),
        };
        let (t, p) = same_rank(&classes(y_true, self.sparse_y_true)?, &classes(y_pred, self.sparse_y_pred)?)?;
        if t.shape() != p.shape() {
            let why = "targets and predictions must be class numbers of one shape (argmax gives them)";
            return Err(Error::shapes(self.op, *y_true.shape(), *y_pred.shape(), why));
        }
        let weights = match sample_weight {
            Some(w) => {
                let w = fitted("sample_weight", &w.cast(DType::F64)?, p.shape())?;
                w.broadcast_to(*p.shape())?.to_vec()?
            }
            None => vec![1.0; p.elements()],
        };
        let n = self.num_classes;
        let numbers = |t: &Tensor| t.cast(DType::I64)?.to_vec::<i64>();
        matrix.resize(n * n, 0.0);
        for ((t, p), w) in numbers(&t)?.into_iter().zip(numbers(&p)?).zip(weights) {
            let within = |c: i64| usize::try_from(c).ok().filter(|c| *c < n);
            if let (Some(row), Some(column), false) = (within(t), within(p), self.ignore_class == Some(t)) {
                matrix[row * n + column] += w;
            }
        }
        Ok(())
    }
}

/// Fails unless there are classes, each one of so many.
fn check_targets(classes: &[usize], n: usize) -> Result<()> {
    match classes.iter().find(|class| **class >= n) {
        Some(wrong) => {
            Err(Error::argument("target_class_ids", format!("0 to {}", n.saturating_sub(1)), wrong))
        }
        None if classes.is_empty() => Err(Error::argument("target_class_ids", "at least one class", "none")),
        None => Ok(()),
    }
}

/// The figure of each class, `None` for one that does not occur.
fn by_class(matrix: &[f64], n: usize, classes: impl Iterator<Item = usize>) -> Vec<Option<f64>> {
    let of = |c: usize| {
        let row: f64 = matrix.get(c * n..)?.iter().take(n).sum();
        let column: f64 = (0..n).filter_map(|r| matrix.get(r * n + c)).sum();
        let both = *matrix.get(c * n + c)?;
        let union = row + column - both;
        (union != 0.0).then(|| share(both, union))
    };
    classes.map(of).collect()
}

/// The mean over those that occur.
fn mean(figures: &[Option<f64>]) -> f64 {
    let occur = figures.iter().flatten();
    share(occur.clone().sum(), occur.count() as f64)
}

macro_rules! covers {
    ($($(#[$doc:meta])* $type:ident { $($rows:tt)* }, $name:literal, $self:ident
        => $labels:expr, of $classes:expr, checks $check:expr, reads $reads:expr, $p:ident => $pred:expr;)*) => {$(
        settings! {
            $(#[$doc])*
            pub struct $type {
                $($rows)*
                /// For each pair of true and predicted class, row-major.
                matrix: state Vec<f64> = Vec::new(),
            }
        }
        impl $type {
            fn figures(&$self) -> Vec<Option<f64>> {
                by_class(&$self.matrix, $labels.num_classes, $classes)
            }
        }
        impl Metric for $type {
            fn name(&self) -> &str {
                $name
            }
            fn check(&$self) -> Result<()> {
                $labels.check()?;
                $check
            }
            fn reads(&$self, _: usize) -> Reads {
                $reads
            }
            fn update(&mut $self, y_true: &Tensor, $p: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                $self.check()?;
                $labels.count(&mut $self.matrix, y_true, &$pred, sample_weight)
            }
            fn result(&self) -> f64 {
                mean(&self.figures())
            }
            fn results(&self) -> Vec<f64> {
                self.figures().into_iter().map(|figure| figure.unwrap_or(f64::NAN)).collect()
            }
            fn larger_is_better(&self) -> bool {
                true
            }
            gathers!(matrix);
        }
    )*};
}

covers! {
    /// Intersection over union of predicted and true labels, the mean over some of the classes, those of them that occur, named `io_u`.
    /// Targets and predictions are class numbers of one shape; others than `0..num_classes` do not count. `results()` has the figure of
    /// each class, NaN for one that does not occur.
    IoU {
        /// Of these classes among so many.
        new(num_classes: usize, target_class_ids: into Vec<usize>);

        /// Positions whose true class is this one do not count.
        ignore_class: some i64,
        /// Whether targets are class numbers, rather than a number for each class; yes by default.
        sparse_y_true: bool = true,
        /// Whether predictions are class numbers, rather than a number for each class; yes by default.
        sparse_y_pred: bool = true,
        /// The axis of classes where they are not; the last by default.
        axis: isize = -1,
    }, "io_u", self => Labels {
        op: "io_u",
        num_classes: self.num_classes,
        ignore_class: self.ignore_class,
        sparse_y_true: self.sparse_y_true,
        sparse_y_pred: self.sparse_y_pred,
        axis: self.axis,
    }, of self.target_class_ids.iter().copied(), checks check_targets(&self.target_class_ids, self.num_classes),
        reads if self.sparse_y_pred { Reads::Numbers } else { Reads::Largest }, p => p;

    /// Intersection over union of the two sides of a threshold, the mean over the classes 0 and 1 or one of them, named `binary_io_u`.
    /// Predictions of the threshold or more are class 1.
    BinaryIoU {
        /// The mean over both classes, with the threshold 0.5.
        new();

        /// Which of the classes 0 and 1; both by default.
        target_class_ids: into Vec<usize> = [0, 1],
        /// From where on predictions are class 1; 0.5 by default.
        threshold: f64 = 0.5,
    }, "binary_io_u", self => Labels {
        op: "binary_io_u",
        num_classes: 2,
        ignore_class: None,
        sparse_y_true: true,
        sparse_y_pred: true,
        axis: -1,
    }, of self.target_class_ids.iter().copied(), checks {
        check_threshold("threshold", self.threshold)?;
        check_targets(&self.target_class_ids, 2)
    }, reads compared_with(self.threshold), p => {
        let p = p.detach().cast(DType::F64)?;
        p.greater_equal(&p.new_full([], self.threshold)?)?
    };

    /// Intersection over union of predicted and true labels, the mean over the classes that occur, named `mean_io_u`. Targets
    /// and predictions are class numbers of one shape; others than `0..num_classes` do not count.
    MeanIoU {
        /// For so many classes.
        new(num_classes: usize);

        /// Positions whose true class is this one do not count.
        ignore_class: some i64,
        /// Whether targets are class numbers, rather than a number for each class; yes by default.
        sparse_y_true: bool = true,
        /// Whether predictions are class numbers, rather than a number for each class; yes by default.
        sparse_y_pred: bool = true,
        /// The axis of classes where they are not; the last by default.
        axis: isize = -1,
    }, "mean_io_u", self => Labels {
        op: "mean_io_u",
        num_classes: self.num_classes,
        ignore_class: self.ignore_class,
        sparse_y_true: self.sparse_y_true,
        sparse_y_pred: self.sparse_y_pred,
        axis: self.axis,
    }, of 0..self.num_classes, checks Ok(()),
        reads if self.sparse_y_pred { Reads::Numbers } else { Reads::Largest }, p => p;

    /// [`IoU`] of one-hot targets and a number for each class, of which the largest is predicted, named `one_hot_io_u`.
    OneHotIoU {
        /// Of these classes among so many.
        new(num_classes: usize, target_class_ids: into Vec<usize>);

        /// Positions whose true class is this one do not count.
        ignore_class: some i64,
        /// Whether predictions are class numbers all the same; no by default.
        sparse_y_pred: bool = false,
        /// The axis of classes; the last by default.
        axis: isize = -1,
    }, "one_hot_io_u", self => Labels {
        op: "one_hot_io_u",
        num_classes: self.num_classes,
        ignore_class: self.ignore_class,
        sparse_y_true: false,
        sparse_y_pred: self.sparse_y_pred,
        axis: self.axis,
    }, of self.target_class_ids.iter().copied(), checks check_targets(&self.target_class_ids, self.num_classes),
        reads if self.sparse_y_pred { Reads::Numbers } else { Reads::Largest }, p => p;

    /// [`MeanIoU`] of one-hot targets and a number for each class, of which the largest is predicted, named `one_hot_mean_io_u`.
    OneHotMeanIoU {
        /// For so many classes.
        new(num_classes: usize);

        /// Positions whose true class is this one do not count.
        ignore_class: some i64,
        /// Whether predictions are class numbers all the same; no by default.
        sparse_y_pred: bool = false,
        /// The axis of classes; the last by default.
        axis: isize = -1,
    }, "one_hot_mean_io_u", self => Labels {
        op: "one_hot_mean_io_u",
        num_classes: self.num_classes,
        ignore_class: self.ignore_class,
        sparse_y_true: false,
        sparse_y_pred: self.sparse_y_pred,
        axis: self.axis,
    }, of 0..self.num_classes, checks Ok(()),
        reads if self.sparse_y_pred { Reads::Numbers } else { Reads::Largest }, p => p;
}
