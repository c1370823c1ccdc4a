//! Why it exists: the share of the targets' variance that predictions explain.

use super::Metric;
use super::confusion::share;
use crate::loss::{aligned, fitted};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings};

/// Sums over one column of targets.
#[derive(Clone, Copy, Debug, Default)]
struct Column {
    weight: f64,
    sum: f64,
    squares: f64,
    errors: f64,
}

settings! {
    /// `1 - Σ(t-p)² / Σ(t-mean)²`, the mean over columns of targets `[batch, columns]`, named `r2_score`.
    pub struct R2Score {
        /// The metric.
        new();

        columns: state Vec<Column> = Vec::new(),
    }
}

impl R2Score {
    /// The figure of each column (Keras's `class_aggregation=None`). A column without variance counts 0.
    pub fn by_column(&self) -> Vec<f64> {
        let score = |c: &Column| {
            let total = c.squares - c.sum * share(c.sum, c.weight);
            let score = 1.0 - c.errors / total;
            if score.is_infinite() { 0.0 } else { score }
        };
        self.columns.iter().map(score).collect()
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
            Some(w) => {
                fitted("sample_weight", &w.cast(DType::F64)?, &p)?.broadcast_to(*p.shape())?.to_vec()?
            }
            None => vec![1.0; p.elements()],
        };
        self.columns.resize(columns, Column::default());
        let values = t.to_vec::<f64>()?.into_iter().zip(p.to_vec::<f64>()?).zip(weights);
        for (i, ((t, p), w)) in values.enumerate() {
            let column = &mut self.columns[i % columns];
            column.weight += w;
            column.sum += t * w;
            column.squares += t * t * w;
            column.errors += (t - p) * (t - p) * w;
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        share(self.by_column().iter().sum(), self.columns.len() as f64)
    }

    fn reset(&mut self) {
        self.columns.clear();
    }

    fn larger_is_better(&self) -> bool {
        true
    }
}
