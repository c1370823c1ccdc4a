//! Why it exists: errors of regression, gathered over batches.

use super::Metric;
use crate::tensor::Tensor;
use crate::{DType, Error, Result};
use serde::{Deserialize, Serialize};

macro_rules! mean_error {
    ($($(#[$doc:meta])* $type:ident, $name:literal, $x:ident => $f:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $type {
            #[serde(skip)]
            sum: f64,
            #[serde(skip)]
            total: f64,
        }
        impl $type {
            /// The metric.
            pub fn new() -> $type {
                $type::default()
            }
        }
        impl Metric for $type {
            fn name(&self) -> &str {
                $name
            }
            fn update(&mut self, y_true: &Tensor, y_pred: &Tensor) -> Result<()> {
                if y_true.shape() != y_pred.shape() {
                    let why = "targets and predictions must have the same shape";
                    return Err(Error::shapes($name, *y_true.shape(), *y_pred.shape(), why));
                }
                let $x = y_pred.cast(DType::F64)?.sub(&y_true.cast(DType::F64)?)?;
                self.sum += $f.sum(&[], false)?.item()?;
                self.total += y_pred.elements() as f64;
                Ok(())
            }
            fn result(&self) -> f64 {
                if self.total == 0.0 { 0.0 } else { self.sum / self.total }
            }
            fn reset(&mut self) {
                *self = $type::default();
            }
            fn larger_is_better(&self) -> bool {
                false
            }
        }
    )*};
}

mean_error! {
    /// The mean of `|t - p|`, named `mae`.
    MeanAbsoluteError, "mae", d => d.abs()?;
    /// The mean of `(t - p)²`, named `mse`.
    MeanSquaredError, "mse", d => d.square()?;
}
