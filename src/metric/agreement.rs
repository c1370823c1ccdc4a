//! Metrics of pairs of true and predicted classes that do not reward saying the most frequent class: Matthews correlation, Cohen's kappa,
//! balanced accuracy.

use super::accuracy::truth;
use super::confusion::{check_threshold, compared_with, share};
use super::gathered::gathers;
use super::{Metric, Reads};
use crate::loss::{aligned, fitted};
use crate::tensor::Tensor;
use crate::{DType, Result, settings, string_enum};
use std::collections::BTreeMap;

/// The weights of pairs of true and predicted class.
type Pairs = BTreeMap<[i64; 2], f64>;

/// Adds a batch. Predictions are integers, or have one number for each class along the last axis, or one number alone, which is class 1
/// above the threshold.
fn count(
    op: &'static str,
    pairs: &mut Pairs,
    (y_true, y_pred): (&Tensor, &Tensor),
    sample_weight: Option<&Tensor>,
    threshold: f64,
) -> Result<()> {
    check_threshold("threshold", threshold)?;
    let p = y_pred.detach();
    let (t, p) = match p.dims() {
        _ if !p.dtype().is_float() => aligned(op, y_true, &p.cast(DType::I64)?)?,
        [] | [_] | [.., 1] => {
            let p = p.cast(DType::F64)?;
            aligned(op, y_true, &p.greater(&p.new_full([], threshold)?)?.cast(DType::I64)?)?
        }
        _ => (truth(op, y_true, &p)?, p.cast(DType::F64)?.argmax(-1)?),
    };
    let weights = match sample_weight {
        Some(w) => fitted("sample_weight", &w.cast(DType::F64)?, p.shape())?
            .broadcast_to(*p.shape())?
            .to_vec::<f64>()?,
        None => vec![1.0; p.elements()],
    };
    let numbers = |t: &Tensor| t.cast(DType::I64)?.to_vec::<i64>();
    for ((t, p), w) in numbers(&t)?.into_iter().zip(numbers(&p)?).zip(weights) {
        if w != 0.0 {
            *pairs.entry([t, p]).or_default() += w;
        }
    }
    Ok(())
}

/// The weights of each class as the true one (0) or as the predicted one (1).
fn of_classes(pairs: &Pairs, side: usize) -> BTreeMap<i64, f64> {
    let mut sums = BTreeMap::new();
    pairs.iter().for_each(|(pair, w)| *sums.entry(pair[side]).or_default() += w);
    sums
}

/// The weight of pairs of one class.
fn right(pairs: &Pairs) -> f64 {
    pairs.iter().filter(|([t, p], _)| t == p).map(|(_, w)| w).sum()
}

macro_rules! of_pairs {
    ($($(#[$doc:meta])* $type:ident { $($rows:tt)* }, $name:literal, $self:ident => $figure:expr;)*) => {$(
        settings! {
            $(#[$doc])*
            pub struct $type {
                /// The metric.
                new();

                /// Above what one number is class 1, where there is no number for each class; 0.5 by default.
                threshold: f64 = 0.5,
                $($rows)*
                pairs: state Pairs = Pairs::new(),
            }
        }
        impl Metric for $type {
            fn name(&self) -> &str {
                $name
            }
            fn check(&self) -> Result<()> {
                check_threshold("threshold", self.threshold)
            }
            fn reads(&self, width: usize) -> Reads {
                if width == 1 { compared_with(self.threshold) } else { Reads::Largest }
            }
            fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                count($name, &mut self.pairs, (y_true, y_pred), sample_weight, self.threshold)
            }
            fn result(&$self) -> f64 {
                if $self.pairs.is_empty() { 0.0 } else { $figure }
            }
            fn larger_is_better(&self) -> bool {
                true
            }
            gathers!(pairs);
        }
    )*};
}

string_enum! {
    /// How much it matters how far the predicted class is from the true one.
    #[derive(Default)]
    pub enum KappaWeights {
        /// Not at all.
        #[default]
        None = "none",
        /// As far as the classes' numbers are from each other.
        Linear = "linear",
        /// As the square of that.
        Quadratic = "quadratic",
    }
}

impl KappaWeights {
    fn of(self, [t, p]: [i64; 2]) -> f64 {
        let apart = t as f64 - p as f64;
        match self {
            KappaWeights::None => f64::from(u8::from(t != p)),
            KappaWeights::Linear => apart.abs(),
            KappaWeights::Quadratic => apart * apart,
        }
    }
}

of_pairs! {
    /// The correlation of true and predicted classes (Matthews 1975; Gorodkin 2004 for more than two), from -1 to 1, named
    /// `matthews_correlation`. 0 where targets or predictions are of one class only. As scikit-learn's `matthews_corrcoef`.
    MatthewsCorrelation {}, "matthews_correlation", self => {
        let (truths, predicted) = (of_classes(&self.pairs, 0), of_classes(&self.pairs, 1));
        let all: f64 = self.pairs.values().sum();
        let spread = |classes: &BTreeMap<i64, f64>| classes.values().map(|w| w * (all - w)).sum::<f64>();
        let chance: f64 = truths.iter().map(|(class, w)| w * predicted.get(class).unwrap_or(&0.0)).sum();
        share(right(&self.pairs) * all - chance, libm::sqrt(spread(&truths)) * libm::sqrt(spread(&predicted)))
    };

    /// The agreement of true and predicted classes above that of chance (Cohen 1960), 1 if all agree, named `cohen_kappa`. NaN where chance
    /// alone must agree, because there is one class only. As scikit-learn's `cohen_kappa_score` of labels 0, 1, 2, ….
    CohenKappa {
        /// How much it matters how far the predicted class is from the true one; not at all by default.
        weights: KappaWeights = KappaWeights::None,
    }, "cohen_kappa", self => {
        let (truths, predicted) = (of_classes(&self.pairs, 0), of_classes(&self.pairs, 1));
        let all: f64 = self.pairs.values().sum();
        let apart: f64 = self.pairs.iter().map(|(pair, w)| self.weights.of(*pair) * w).sum();
        let mut chance = 0.0;
        for (t, a) in &truths {
            for (p, b) in &predicted {
                chance += self.weights.of([*t, *p]) * a * b;
            }
        }
        1.0 - apart * all / chance
    };

    /// The mean over classes of how many of each are found (the mean recall), named `balanced_accuracy`. As scikit-learn's
    /// `balanced_accuracy_score`.
    BalancedAccuracy {
        /// Whether 0 stands for chance, `1 / classes`, in place of that; no by default.
        adjusted: bool = false,
    }, "balanced_accuracy", self => {
        let truths = of_classes(&self.pairs, 0);
        let found = |(class, of): (&i64, &f64)| share(*self.pairs.get(&[*class, *class]).unwrap_or(&0.0), *of);
        let mean = truths.iter().map(found).sum::<f64>() / truths.len() as f64;
        let chance = 1.0 / truths.len() as f64;
        if self.adjusted { (mean - chance) / (1.0 - chance) } else { mean }
    };
}
