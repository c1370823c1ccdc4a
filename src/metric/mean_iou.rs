//! `MeanIoU`: how well predicted regions cover the true ones, class by class.

use super::Metric;
use super::confusion::share;
use crate::loss::fitted;
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings};

settings! {
    /// Intersection over union of predicted and true labels, averaged over the classes that occur, named
    /// `mean_io_u`. Targets and predictions are class numbers of one shape; numbers outside of `0..num_classes` do
    /// not count.
    pub struct MeanIoU {
        /// Creates the metric for this many classes.
        new(num_classes: usize);

        /// Positions whose true class is this one do not count.
        ignore_class: some i64,
        /// The confusion matrix: for each pair of true and predicted class, row-major.
        matrix: state Vec<f64> = Vec::new(),
    }
}

impl Metric for MeanIoU {
    fn name(&self) -> &str {
        "mean_io_u"
    }

    fn check(&self) -> Result<()> {
        match self.num_classes {
            1..=65_536 => Ok(()),
            n => Err(Error::argument("num_classes", "1 to 65536", n)),
        }
    }

    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        self.check()?;
        let n = self.num_classes;
        if y_true.shape() != y_pred.shape() {
            let why = "targets and predictions must be class numbers of one shape (argmax gives them)";
            return Err(Error::shapes("mean_io_u", *y_true.shape(), *y_pred.shape(), why));
        }
        let weights = match sample_weight {
            Some(w) => {
                let w = fitted("sample_weight", &w.cast(DType::F64)?, y_pred.shape())?;
                w.broadcast_to(*y_pred.shape())?.to_vec()?
            }
            None => vec![1.0; y_pred.elements()],
        };
        let numbers = |t: &Tensor| t.cast(DType::I64)?.to_vec::<i64>();
        self.matrix.resize(n * n, 0.0);
        for ((t, p), w) in numbers(y_true)?.into_iter().zip(numbers(y_pred)?).zip(weights) {
            let within = |c: i64| usize::try_from(c).ok().filter(|c| *c < n);
            if let (Some(row), Some(column), false) = (within(t), within(p), self.ignore_class == Some(t)) {
                self.matrix[row * n + column] += w;
            }
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        let n = self.num_classes;
        let (mut sum, mut valid) = (0.0, 0.0);
        for c in 0..if self.matrix.is_empty() { 0 } else { n } {
            let row: f64 = self.matrix[c * n..][..n].iter().sum();
            let column: f64 = (0..n).map(|r| self.matrix[r * n + c]).sum();
            let both = self.matrix[c * n + c];
            let union = row + column - both;
            sum += share(both, union);
            valid += f64::from(u8::from(union != 0.0));
        }
        share(sum, valid)
    }

    fn reset(&mut self) {
        self.matrix.clear();
    }

    fn larger_is_better(&self) -> bool {
        true
    }
}
