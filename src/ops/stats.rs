//! Statistics beyond sums and extremes: variance, norms, counts, and the logarithm of a sum of exponentials. All
//! are compositions, so their gradients are those of the parts.

use super::reduce::{is_whole, reduced_count};
use crate::tensor::Tensor;
use crate::{DType, Error, Result};

super::table::ops! {
    var: Wide, Every, "ReduceMean";
    std: Wide, Every, "ReduceMean";
    logsumexp: Floats, Every, "ReduceLogSumExp";
    norm: Floats, Every, "ReduceL2";
    count_nonzero: Any, None, "ReduceSum";
}

impl Tensor {
    /// Returns the variance over `axes`, or over all axes if none are given: the sum of squared distances from the
    /// mean, divided by the number of elements minus `ddof` (0 as in NumPy and Keras, 1 for an unbiased estimate).
    /// For integers and truth values it is computed in float64 and has the dtype of [`Tensor::mean`].
    ///
    /// # Errors
    /// An axis is out of range or given twice, there are no more than `ddof` elements, or the dtype is bfloat16 or
    /// float16.
    pub fn var(&self, axes: &[isize], keepdims: bool, ddof: usize) -> Result<Tensor> {
        if is_whole(self.dtype()) {
            return self.cast(DType::F64)?.var(axes, keepdims, ddof)?.cast(self.dtype().fraction());
        }
        let n = reduced_count(self.shape(), &self.shape().axes("var", axes)?);
        if n <= ddof {
            return Err(Error::shape("var", format!("more than {ddof} elements to reduce"), *self.shape()));
        }
        let squares = self.sub(&self.mean(axes, true)?)?.square()?;
        squares.sum(axes, keepdims)?.affine(1.0 / (n - ddof) as f64, 0.0)
    }

    /// Returns the standard deviation: the square root of [`Tensor::var`]. Its gradient is NaN where the variance
    /// is 0, as in Keras.
    ///
    /// # Errors
    /// Those of [`Tensor::var`].
    pub fn std(&self, axes: &[isize], keepdims: bool, ddof: usize) -> Result<Tensor> {
        if is_whole(self.dtype()) || self.elements() == 0 {
            return self.var(axes, keepdims, ddof)?.sqrt();
        }
        // Powers of two change no digit, and squares then neither overflow nor vanish.
        let size = self.binade(axes)?;
        let std = self.div(&size)?.var(axes, true, ddof)?.sqrt()?.mul(&size)?;
        std.with_kept(axes, keepdims)
    }

    /// Returns the power of two at or just below the largest absolute value over `axes`, which are kept; 1 where that
    /// is 0 or not finite. It is a constant for gradients.
    pub(crate) fn binade(&self, axes: &[isize]) -> Result<Tensor> {
        let top = self.detach().abs()?.max(axes, true)?;
        let one = top.new_full([], 1.0)?;
        let usable = top.is_finite()?.logical_and(&top.greater(&top.new_full([], 0.0)?)?)?;
        usable.choose(&top, &one)?.log2()?.floor()?.exp2()
    }

    /// Computes `ln Σ exp(x)` over `axes`, or over all axes if none are given, without overflow; -infinity where
    /// all elements are.
    ///
    /// # Errors
    /// An axis is out of range or given twice, there are no elements, or the dtype is not float32 or float64.
    pub fn logsumexp(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        // Any constant would do: the largest element keeps every exponential at most 1. Infinities stay as they
        // are.
        let top = self.detach().max(axes, true)?;
        let top = top.is_finite()?.choose(&top, &top.new_full([], 0.0)?)?;
        let sum = self.sub(&top)?.exp()?.sum(axes, true)?.ln()?.add(&top)?;
        sum.with_kept(axes, keepdims)
    }

    /// Returns the p-norm over `axes`, or over all axes if none are given: `(Σ |x|ᵖ)^(1/p)`; the largest absolute
    /// value for p = ∞, the smallest for -∞, and the number of elements that are not zero for 0 (NumPy's
    /// `linalg.norm` of vectors). The gradient of the 2-norm is 0 where it is 0.
    ///
    /// # Errors
    /// `p` is NaN, an axis is out of range or given twice, the dtype is not float32 or float64, or p is infinite
    /// and there are no elements.
    pub fn norm(&self, p: f64, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        if p.is_nan() {
            return Err(Error::argument("norm p", "a number", p));
        }
        super::elementwise::float("norm", self.dtype())?;
        let power = |t: &Tensor, p: f64| t.pow(&t.new_full([], p)?);
        match p {
            0.0 => self.abs()?.cast(DType::Bool)?.sum(axes, keepdims)?.cast(self.dtype()),
            1.0 => self.abs()?.sum(axes, keepdims),
            f64::INFINITY => self.abs()?.max(axes, keepdims),
            f64::NEG_INFINITY => self.abs()?.min(axes, keepdims),
            _ if self.elements() == 0 => power(&power(&self.abs()?, p)?.sum(axes, keepdims)?, 1.0 / p),
            _ => {
                // Divided by a power of two, which changes no digit, no power overflows or vanishes.
                let size = self.binade(axes)?;
                let x = self.div(&size)?;
                let norm = if p == 2.0 {
                    x.square()?.sum(axes, true)?.sqrt()?
                } else {
                    // Even powers need no absolute value, whose derivatives end at 0.
                    let x = if p % 2.0 == 0.0 { x } else { x.abs()? };
                    power(&power(&x, p)?.sum(axes, true)?, 1.0 / p)?
                };
                norm.mul(&size)?.with_kept(axes, keepdims)
            }
        }
    }

    /// Returns how many elements over `axes` (over all axes if none are given) are not zero, int64.
    ///
    /// # Errors
    /// An axis is out of range or given twice.
    pub fn count_nonzero(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.cast(DType::Bool)?.sum(axes, keepdims)
    }
}
