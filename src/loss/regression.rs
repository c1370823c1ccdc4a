//! Losses of numbers, as in regression: each measures how far predictions are off in its own way.

use super::{EPSILON, Loss, aligned, last_mean};
use crate::tensor::Tensor;
use crate::{Error, Result, settings};

losses! {
    /// The mean of `(t - p)²` over the last axis.
    MeanSquaredError(t, p) = last_mean(&p.sub(&t)?.square()?);

    /// The mean of `|t - p|` over the last axis: less sensitive to outliers.
    MeanAbsoluteError(t, p) = last_mean(&p.sub(&t)?.abs()?);

    /// `100 ·` the mean of `|t - p| / max(|t|, 1e-7)` over the last axis: very large for targets of 0.
    MeanAbsolutePercentageError(t, p) = {
        let size = t.abs()?.maximum(&t.new_full([], EPSILON)?)?;
        last_mean(&t.sub(&p)?.div(&size)?.abs()?)?.affine(100.0, 0.0)
    };

    /// The mean of `(ln(1 + t) - ln(1 + p))²` over the last axis, both kept above 1e-7: for targets that grow
    /// exponentially.
    MeanSquaredLogarithmicError(t, p) of (0.0, f64::INFINITY) = {
        let log = |x: &Tensor| x.maximum(&x.new_full([], EPSILON)?)?.affine(1.0, 1.0)?.ln();
        last_mean(&log(&p)?.sub(&log(&t)?)?.square()?)
    };

    /// The mean of `ln cosh(p - t)` over the last axis: squared near 0, absolute far from it.
    LogCosh(t, p) = last_mean(&p.sub(&t)?.log_cosh()?);

    /// The mean of `p - t·ln(p + 1e-7)` over the last axis: for counts.
    Poisson(t, p) reads NotNegative of (0.0, f64::INFINITY) = last_mean(&p.sub(&t.mul(&p.affine(1.0, EPSILON)?.ln()?)?)?);
}

settings! {
    /// The mean over the last axis of `d²/2` where `|d| <= delta`, and `delta·|d| - delta²/2` beyond (Huber 1964).
    #[derive(Copy, PartialEq)]
    pub struct Huber {
        /// Creates the loss with delta 1.
        new();

        /// Where the loss changes from a parabola to a line; 1 by default.
        delta: f64 = 1.0,
    }
}

impl Loss for Huber {
    fn check(&self) -> Result<()> {
        let fine = self.delta >= 0.0 && self.delta.is_finite();
        Error::unless(fine, "delta", "a finite number of 0 or more", self.delta)
    }

    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        self.check()?;
        let (t, p) = aligned("Huber", y_true, y_pred)?;
        let d = p.sub(&t)?;
        let size = d.abs()?;
        let near = size.less_equal(&size.new_full([], self.delta)?)?;
        let line = size.affine(self.delta, -0.5 * self.delta * self.delta)?;
        last_mean(&near.choose(&d.square()?.affine(0.5, 0.0)?, &line)?)
    }
}

settings! {
    /// Minus the cosine of the angle between targets and predictions along an axis: -1 means the same direction.
    /// Vectors are divided by `sqrt(max(Σx², 1e-12))`.
    #[derive(Copy, PartialEq)]
    pub struct CosineSimilarity {
        /// Creates the loss along the last axis.
        new();

        /// The axis along which vectors lie; the last by default.
        axis: isize = -1,
    }
}

impl Loss for CosineSimilarity {
    fn axis(&self) -> isize {
        self.axis
    }

    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        let (t, p) = aligned("CosineSimilarity", y_true, y_pred)?;
        let unit = |x: &Tensor| {
            // The direction of a large vector is that of its fraction, whose squares do not overflow.
            let x = if x.elements() == 0 {
                x.clone()
            } else {
                x.div(&x.binade(&[self.axis])?.maximum(&x.new_full([], 1.0)?)?)?
            };
            let size = x.square()?.sum(&[self.axis], true)?;
            x.div(&size.maximum(&size.new_full([], 1e-12)?)?.sqrt()?)
        };
        unit(&t)?.mul(&unit(&p)?)?.sum(&[self.axis], false)?.neg()
    }
}
