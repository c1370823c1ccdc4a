//! `Circle`: a loss for embeddings in which rows of one class lie close together and those of others far apart.

use super::{Loss, labels};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings};

settings! {
    /// The circle loss (Sun and others 2020) of embeddings `[batch, features]` of length 1 (`UnitNormalization`) and labels `[batch]`:
    /// `softplus(ln Σ exp(γ·(m + d)·(d - m)) + ln Σ exp(γ·(1 + m - d)₊·(1 - m - d)))`, where `d` are the cosine distances of a row to the
    /// others of its class in the first sum, and to those of other classes in the second. A row without either counts 0, and a mean is
    /// over the others. Rows of zeros have no direction and are in no pair.
    #[derive(Copy, PartialEq)]
    pub struct Circle {
        /// With γ 80 and m 0.4.
        new();

        /// The scale γ of distances, above 0; 80 by default.
        gamma: f64 = 80.0,
        /// The distance `m` below which rows of one class need not come closer, 0 to 1; 0.4 by default.
        margin: f64 = 0.4,
        /// Whether a row is no pair with itself; yes by default.
        remove_diagonal: bool = true,
    }
}

/// Stands for the logarithm of 0, which has no derivative.
const NEVER: f64 = -1e30;

/// Which pairs of rows and references are of one class, and which are not.
struct Pairs {
    same: Tensor,
    other: Tensor,
}

impl Circle {
    /// [`Loss::call`] with references in place of the batch itself: their labels `[n]` and embeddings `[n, features]`. With
    /// `remove_diagonal` row `i` and reference `i` are no pair.
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or a setting is out of range.
    pub fn with_references(
        &self,
        y_true: &Tensor,
        y_pred: &Tensor,
        ref_labels: &Tensor,
        ref_embeddings: &Tensor,
    ) -> Result<Tensor> {
        self.check()?;
        let pairs = self.pairs((y_true, y_pred), (ref_labels, ref_embeddings))?;
        let d = y_pred.matmul(&ref_embeddings.t()?)?.affine(-1.0, 1.0)?;
        let d = d.maximum(&d.new_full([], 0.0)?)?;
        let (gamma, margin, never) = (self.gamma, self.margin, d.new_full([], NEVER)?);
        let near = d.affine(1.0, margin)?.mul(&d.affine(gamma, -gamma * margin)?)?;
        let far = d.affine(-1.0, 1.0 + margin)?.relu()?.mul(&d.affine(-gamma, gamma * (1.0 - margin))?)?;
        let near = pairs.same.choose(&near, &never)?.logsumexp(&[1], false)?;
        let far = pairs.other.choose(&far, &never)?.logsumexp(&[1], false)?;
        near.add(&far)?.softplus()
    }

    fn pairs(&self, (y, p): (&Tensor, &Tensor), (ref_y, ref_p): (&Tensor, &Tensor)) -> Result<Pairs> {
        if p.rank() != 2 || ref_p.rank() != 2 {
            return Err(Error::shape("Circle", "embeddings [batch, features]", *p.shape()));
        }
        let (y, ref_y) = (labels("Circle", y, p)?, labels("Circle", ref_y, ref_p)?);
        let present = |p: &Tensor| p.detach().not_equal(&p.new_full([], 0.0)?)?.any(&[1], false);
        let mut same = y.expand_dims(1)?.equal(&ref_y.expand_dims(0)?)?;
        let other = same.logical_not()?;
        if self.remove_diagonal {
            let place = |y: &Tensor| {
                let ones = y.new_full([y.dims()[0]], 1.0)?.cast(DType::I64)?;
                ones.cumsum(0)
            };
            let diagonal = place(&y)?.expand_dims(1)?.equal(&place(&ref_y)?.expand_dims(0)?)?;
            same = same.logical_and(&diagonal.logical_not()?)?;
        }
        let there = present(p)?.expand_dims(1)?.logical_and(&present(ref_p)?.expand_dims(0)?)?;
        Ok(Pairs { same: same.logical_and(&there)?, other: other.logical_and(&there)? })
    }
}

impl Loss for Circle {
    fn check(&self) -> Result<()> {
        let fine = self.gamma > 0.0 && self.gamma.is_finite();
        Error::unless(fine, "gamma", "a finite number above 0", self.gamma)?;
        Error::unless((0.0..=1.0).contains(&self.margin), "margin", "0 to 1", self.margin)
    }

    fn across_rows(&self) -> bool {
        true
    }

    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        self.with_references(y_true, y_pred, y_true, y_pred)
    }

    fn mask(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Option<Tensor>> {
        let Pairs { same, other } = self.pairs((y_true, y_pred), (y_true, y_pred))?;
        same.any(&[1], false)?.logical_and(&other.any(&[1], false)?).map(Some)
    }
}
