//! `Dice` and `Tversky`: losses of regions. They measure how far two regions overlap rather than how many points are right, because where a
//! region is small, nearly all points are outside of both.

use super::{EPSILON, Loss, Reads, aligned};
use crate::tensor::Tensor;
use crate::{Error, Result, settings};

settings! {
    /// `1 - 2·Σ t·p / (Σ t + Σ p + 1e-7)` (Dice 1945): 0 where predictions cover the targets and nothing else. Over all axes it is one
    /// number for the whole batch.
    #[derive(PartialEq)]
    pub struct Dice {
        /// Over all axes.
        new();

        /// The axes that are summed over, such as `[1, 2, 3]` for a number for each image; all by default.
        axis: some into Vec<isize>,
    }
}

/// Fails if there are axes, but none of them.
fn check_axis(axis: Option<&Vec<isize>>) -> Result<()> {
    match axis {
        Some(axis) if axis.is_empty() => Err(Error::argument("axis", "at least one axis", "none")),
        _ => Ok(()),
    }
}

impl Loss for Dice {
    fn check(&self) -> Result<()> {
        check_axis(self.axis.as_ref())
    }

    fn reads(&self) -> Reads {
        Reads::Probabilities
    }

    fn targets(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn across_rows(&self) -> bool {
        true
    }

    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        self.check()?;
        let (t, p) = aligned("Dice", y_true, y_pred)?;
        let sum = |x: &Tensor| x.sum(self.axis.as_deref().unwrap_or_default(), false);
        let both = sum(&t.mul(&p)?)?;
        both.affine(-2.0, 0.0)?.div(&sum(&t)?.add(&sum(&p)?)?.affine(1.0, EPSILON)?)?.affine(1.0, 1.0)
    }
}

settings! {
    /// `1 - Σ t·p / (Σ t·p + alpha·Σ t·(1-p) + beta·Σ (1-t)·p + 1e-7)` (Salehi and others 2017): with 0.5 and 0.5 it is [`Dice`]. Over
    /// all axes it is one number for the whole batch.
    #[derive(PartialEq)]
    pub struct Tversky {
        /// Over all axes, with both weights 0.5.
        new();

        /// How much what is missed weighs, 0 or more; 0.5 by default. (Keras's text calls it false positives; its formula is this one.)
        alpha: f64 = 0.5,
        /// How much what is too much weighs, 0 or more; 0.5 by default.
        beta: f64 = 0.5,
        /// The axes that are summed over; all by default.
        axis: some into Vec<isize>,
    }
}

impl Loss for Tversky {
    fn check(&self) -> Result<()> {
        Error::unless_not_negative("alpha", self.alpha)?;
        Error::unless_not_negative("beta", self.beta)?;
        check_axis(self.axis.as_ref())
    }

    fn reads(&self) -> Reads {
        Reads::Probabilities
    }

    fn targets(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn across_rows(&self) -> bool {
        true
    }

    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        self.check()?;
        let (t, p) = aligned("Tversky", y_true, y_pred)?;
        let sum = |x: &Tensor| x.sum(self.axis.as_deref().unwrap_or_default(), false);
        let both = sum(&t.mul(&p)?)?;
        let missed = sum(&p.affine(-1.0, 1.0)?.mul(&t)?)?;
        let wrong = sum(&t.affine(-1.0, 1.0)?.mul(&p)?)?;
        let all = both.add(&missed.affine(self.alpha, 0.0)?)?.add(&wrong.affine(self.beta, EPSILON)?)?;
        both.div(&all)?.affine(-1.0, 1.0)
    }
}
