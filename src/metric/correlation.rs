//! Pearson's and the concordance correlation: whether predictions rise and fall with the targets, and whether they agree in scale too. Means
//! and spreads are gathered together (West 1979), because sums of squares cancel where numbers are far from 0.

use super::Metric;
use super::confusion::{mean_of, share};
use super::gathered::{Gathered, gathers};
use super::mean::Running;
use crate::loss::{EPSILON, aligned, fitted};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings};

/// Means and spreads of pairs.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    weight: f64,
    mean: [f64; 2],
    /// `Σ w·(t - mean)²` and that of predictions.
    spread: [f64; 2],
    /// `Σ w·(t - mean)·(p - mean)`.
    both: f64,
}

impl Gathered for Moments {
    fn absorb(&mut self, other: &Self) -> Result<()> {
        let weight = self.weight + other.weight;
        let part = share(other.weight, weight);
        let apart = [other.mean[0] - self.mean[0], other.mean[1] - self.mean[1]];
        for i in 0..2 {
            self.spread[i] += other.spread[i] + apart[i] * apart[i] * self.weight * part;
            self.mean[i] += apart[i] * part;
        }
        self.both += other.both + apart[0] * apart[1] * self.weight * part;
        self.weight = weight;
        Ok(())
    }
}

impl Moments {
    fn add(&mut self, pair: [f64; 2], w: f64) {
        self.weight += w;
        let part = share(w, self.weight);
        let before = [pair[0] - self.mean[0], pair[1] - self.mean[1]];
        for i in 0..2 {
            self.mean[i] += before[i] * part;
            self.spread[i] += w * before[i] * (pair[i] - self.mean[i]);
        }
        self.both += w * before[0] * (pair[1] - self.mean[1]);
    }

    fn pearson(&self) -> f64 {
        self.both / (libm::sqrt(self.spread[0]) * libm::sqrt(self.spread[1]))
    }

    fn concordance(&self) -> f64 {
        let apart = self.mean[0] - self.mean[1];
        let norm = (self.spread[0] + self.spread[1]) / self.weight + apart * apart;
        2.0 * self.both / self.weight / (norm + EPSILON)
    }
}

/// What is gathered: the figures of rows, or moments of columns.
struct Along<'a> {
    op: &'static str,
    axis: isize,
    figure: fn(&Moments) -> f64,
    rows: &'a mut Running,
    columns: &'a mut Vec<Moments>,
}

impl Along<'_> {
    fn update(self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let (t, p) = aligned(self.op, y_true, &y_pred.detach().cast(DType::F64)?)?;
        let axis = p.shape().axis(self.op, self.axis)?;
        if axis == 0 {
            return self.over_the_batch(&t, &p, sample_weight);
        }
        let (t, p) = (t.moveaxis(axis as isize, -1)?, p.moveaxis(axis as isize, -1)?);
        let length = p.dims().last().copied().unwrap_or(1).max(1);
        let figure = |(t, p): (&[f64], &[f64])| {
            let mut moments = Moments::default();
            t.iter().zip(p).for_each(|(t, p)| moments.add([*t, *p], 1.0));
            (self.figure)(&moments)
        };
        let shape = p.shape().reduced(&last_of(p.rank()), false);
        let (t, p) = (t.to_vec::<f64>()?, p.to_vec::<f64>()?);
        let figures: Vec<f64> = t.chunks(length).zip(p.chunks(length)).map(figure).collect();
        self.rows.add(&Tensor::from_slice(&figures, shape)?, sample_weight)
    }

    fn over_the_batch(self, t: &Tensor, p: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let columns = p.elements() / p.dims().first().copied().unwrap_or(1).max(1);
        if !self.columns.is_empty() && self.columns.len() != columns {
            let expected = format!("{} columns as before", self.columns.len());
            return Err(Error::argument(self.op, expected, columns));
        }
        let weights = match sample_weight {
            Some(w) => fitted("sample_weight", &w.cast(DType::F64)?, p.shape())?
                .broadcast_to(*p.shape())?
                .to_vec()?,
            None => vec![1.0; p.elements()],
        };
        self.columns.resize(columns, Moments::default());
        let pairs = t.to_vec::<f64>()?.into_iter().zip(p.to_vec::<f64>()?).zip(weights);
        for (i, ((t, p), w)) in pairs.enumerate().filter(|(_, (_, w))| *w != 0.0) {
            self.columns[i % columns].add([t, p], w);
        }
        Ok(())
    }
}

/// Marks the last of so many axes.
fn last_of(rank: usize) -> [bool; crate::MAX_RANK] {
    std::array::from_fn(|axis| axis + 1 == rank)
}

macro_rules! correlations {
    ($($(#[$doc:meta])* $type:ident, $name:literal, $figure:ident;)*) => {$(
        settings! {
            $(#[$doc])*
            pub struct $type {
                /// Along the last axis.
                new();

                /// The axis along which numbers are correlated; the last by default. Along axis 0, the batch, it is over the rows of all batches
                /// together, for each column, and the figure is the mean over columns; Keras takes the mean over batches.
                axis: isize = -1,
                rows: state Running = Running::default(),
                columns: state Vec<Moments> = Vec::new(),
            }
        }
        impl Metric for $type {
            fn name(&self) -> &str {
                $name
            }
            fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
                let (rows, columns) = (&mut self.rows, &mut self.columns);
                let along = Along { op: $name, axis: self.axis, figure: Moments::$figure, rows, columns };
                along.update(y_true, y_pred, sample_weight)
            }
            fn result(&self) -> f64 {
                if self.columns.is_empty() { self.rows.get() } else { mean_of(&self.results()) }
            }
            fn results(&self) -> Vec<f64> {
                match self.columns.is_empty() {
                    true => vec![self.rows.get()],
                    false => self.columns.iter().map(Moments::$figure).collect(),
                }
            }
            fn larger_is_better(&self) -> bool {
                true
            }
            gathers!(rows, columns);
        }
    )*};
}

correlations! {
    /// The correlation of targets and predictions (Pearson), `Σ (t-t̄)·(p-p̄) / √(Σ(t-t̄)²·Σ(p-p̄)²)` along an axis, the mean over rows,
    /// named `pearson_correlation`. NaN where targets or predictions of a row are all equal.
    PearsonCorrelation, "pearson_correlation", pearson;
    /// The concordance of targets and predictions (Lin 1989), `2·cov(t, p) / (var t + var p + (t̄-p̄)² + 1e-7)` along an axis, the mean over
    /// rows, named `concordance_correlation`.
    ConcordanceCorrelation, "concordance_correlation", concordance;
}
