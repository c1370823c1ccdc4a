//! `R2Score`: the share of the targets' variance that predictions explain. The variance is accumulated around the
//! running mean (West 1979), because sums of squares would cancel if targets are far from 0.

use super::Metric;
use super::confusion::share;
use super::gathered::{Gathered, gathers};
use crate::loss::{aligned, fitted};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings, string_enum};

string_enum! {
    /// How the figures of columns become one.
    #[derive(Default)]
    pub enum Aggregation {
        /// Their mean.
        #[default]
        UniformAverage = "uniform_average",
        /// Their mean by the variance of each column's targets.
        VarianceWeightedAverage = "variance_weighted_average",
    }
}

/// Sums over one column of targets.
#[derive(Clone, Copy, Debug, Default)]
struct Column {
    weight: f64,
    mean: f64,
    /// `Σ w·(t - mean)²`.
    spread: f64,
    /// `Σ w·(t - p)²`.
    errors: f64,
    /// Whether there was a target other than the first.
    varies: bool,
    /// The first target, if there was one.
    first: Option<f64>,
}

/// Both means become one, and each spread is around it (Chan and others 1979).
impl Gathered for Column {
    fn absorb(&mut self, other: &Self) -> Result<()> {
        let (Some(theirs), weight) = (other.first, self.weight + other.weight) else { return Ok(()) };
        let first = *self.first.get_or_insert(theirs);
        self.varies |= other.varies || theirs != first;
        let (apart, part) = (other.mean - self.mean, share(other.weight, weight));
        self.spread += other.spread + apart * apart * self.weight * part;
        self.mean += apart * part;
        self.errors += other.errors;
        self.weight = weight;
        Ok(())
    }
}

impl Column {
    fn add(&mut self, t: f64, p: f64, w: f64) {
        let first = *self.first.get_or_insert(t);
        self.varies |= t != first;
        self.weight += w;
        let before = t - self.mean;
        self.mean += before * share(w, self.weight);
        self.spread += w * before * (t - self.mean);
        self.errors += w * (t - p) * (t - p);
    }

    /// Returns the score; for targets that do not vary, 0, or 1 if all of them were predicted exactly.
    fn score(&self) -> f64 {
        match self.varies {
            true => 1.0 - self.errors / self.spread,
            false => f64::from(u8::from(self.errors == 0.0 && self.first.is_some())),
        }
    }
}

settings! {
    /// `1 - Σ(t-p)² / Σ(t-mean)²`, the mean over columns of targets `[batch, columns]`, named `r2_score`. A column of equal targets
    /// counts 0, or 1 if all of them were met exactly. `results()` has the figure of each column.
    pub struct R2Score {
        /// Creates the metric.
        new();

        /// How the figures of columns become one; their mean by default.
        class_aggregation: Aggregation = Aggregation::UniformAverage,
        /// How many inputs the model has, `p`: the figure then is `1 - (1 - R²)·(n - 1)/(n - p - 1)` of `n` targets, of all columns and
        /// whatever their weights, as in Keras, where `n` is large enough. 0 by default.
        num_regressors: usize = 0,
        /// `n`.
        targets: state f64 = 0.0,
        columns: state Vec<Column> = Vec::new(),
    }
}

impl R2Score {
    /// Returns the value of each column (Keras's `class_aggregation=None`).
    pub fn by_column(&self) -> Vec<f64> {
        self.columns.iter().map(Column::score).collect()
    }
}

impl Metric for R2Score {
    fn name(&self) -> &str {
        "r2_score"
    }

    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let (t, p) = aligned("r2_score", y_true, &y_pred.cast(DType::F64)?)?;
        let &[_, columns] = p.dims() else {
            return Err(Error::shape("r2_score", "predictions [batch, columns]", *y_pred.shape()));
        };
        if !self.columns.is_empty() && self.columns.len() != columns {
            return Err(Error::argument(
                "r2_score",
                format!("{} columns as before", self.columns.len()),
                columns,
            ));
        }
        let weights = match sample_weight {
            Some(w) => fitted("sample_weight", &w.cast(DType::F64)?, p.shape())?
                .broadcast_to(*p.shape())?
                .to_vec()?,
            None => vec![1.0; p.elements()],
        };
        self.columns.resize(columns, Column::default());
        self.targets += p.elements() as f64;
        let values = t.to_vec::<f64>()?.into_iter().zip(p.to_vec::<f64>()?).zip(weights);
        for (i, ((t, p), w)) in values.enumerate() {
            // Elements of weight 0 are absent, whatever their value.
            if w != 0.0 {
                self.columns[i % columns].add(t, p, w);
            }
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        let figure = match self.class_aggregation {
            Aggregation::UniformAverage => share(self.by_column().iter().sum(), self.columns.len() as f64),
            Aggregation::VarianceWeightedAverage => {
                let total: f64 = self.columns.iter().map(|c| c.spread).sum();
                share(self.columns.iter().map(|c| c.spread * c.score()).sum(), total)
            }
        };
        let (n, p) = (self.targets, self.num_regressors as f64);
        if p == 0.0 || n <= p + 1.0 { figure } else { 1.0 - (1.0 - figure) * (n - 1.0) / (n - p - 1.0) }
    }

    fn results(&self) -> Vec<f64> {
        self.by_column()
    }

    gathers!(columns, targets);

    fn larger_is_better(&self) -> bool {
        true
    }
}
