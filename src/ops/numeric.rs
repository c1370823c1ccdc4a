//! Differences, integrals and other small formulas over an axis, as NumPy users write them. All are compositions, so
//! their gradients are those of the parts.

use super::reduce::is_whole;
use crate::tensor::Tensor;
use crate::{DType, Error, Result};

super::table::ops! {
    diff: Wide, Every, "";
    trapezoid: Floats, Every, "";
    ptp: Numbers, Every, "";
    average: Wide, Every, "";
    moments: Wide, Every, "";
    normalize: Floats, Every, "LpNormalization";
    cross: Numbers, Every, "";
    vander: Numbers, Every, "";
    tri: Nothing, None, "";
    cov: Floats, Every, "";
    corrcoef: Floats, Every, "";
    cdist: Floats, Every, "";
    psnr: Floats, Every, "";
    correlate: Floats, Every, "Conv";
}

impl Tensor {
    /// Returns all but the last along an axis, and all but the first.
    fn neighbours(&self, op: &'static str, axis: isize) -> Result<(Tensor, Tensor)> {
        let size = self.dims()[self.shape().axis(op, axis)?] as isize;
        Ok((self.slice(axis, 0, (size - 1).max(0))?, self.slice(axis, 1.min(size), size)?))
    }

    /// Returns the differences of neighbours along an axis, `n` times over. Of truth values it says where they differ.
    ///
    /// # Errors
    /// The axis is out of range, or the dtype is bfloat16 or float16.
    pub fn diff(&self, n: usize, axis: isize) -> Result<Tensor> {
        let size = self.dims()[self.shape().axis("diff", axis)?];
        if self.elements() == 0 {
            return self.slice(axis, 0, size.saturating_sub(n) as isize);
        }
        (0..n.min(size)).try_fold(self.clone(), |x, _| {
            let (low, high) = x.neighbours("diff", axis)?;
            if x.dtype() == DType::Bool { high.not_equal(&low) } else { high.sub(&low) }
        })
    }

    /// Integrates along an axis by the trapezoidal rule, over points `dx` apart.
    ///
    /// # Errors
    /// The axis is out of range, or the dtype is not float32 or float64.
    pub fn trapezoid(&self, dx: f64, axis: isize) -> Result<Tensor> {
        super::elementwise::float("trapezoid", self.dtype())?;
        let (low, high) = self.neighbours("trapezoid", axis)?;
        low.add(&high)?.affine(0.5 * dx, 0.0)?.sum(&[axis], false)
    }

    /// Returns the largest element over `axes`, or over all axes if none are given, minus the smallest.
    ///
    /// # Errors
    /// Those of [`Tensor::max`].
    pub fn ptp(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.max(axes, keepdims)?.sub(&self.min(axes, keepdims)?)
    }

    /// Returns the mean over `axes`, or over all axes if none are given, with `weights` that broadcast to this shape.
    ///
    /// # Errors
    /// Those of [`Tensor::mean`], or shapes do not broadcast.
    pub fn average(&self, weights: &Tensor, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        let wide = weights.broadcast_like(self)?;
        let sum = self.mul(weights)?.sum(axes, keepdims)?;
        // The weights are added up as they are: as large as this tensor, they would be a constant of a graph that depends on the sizes of
        // inputs. Only where they are repeated along an axis that is summed do these count.
        let mut whole = weights.clone();
        while whole.rank() < self.rank() {
            whole = whole.expand_dims(0)?;
        }
        let mut repeated = axes.is_empty() && whole.dims().contains(&1);
        for &axis in axes {
            repeated |= whole.dims()[self.shape().axis("average", axis)?] == 1;
        }
        sum.div(&if repeated { wide } else { whole }.sum(axes, keepdims)?)
    }

    /// Returns the mean and the variance over `axes`, or over all axes if none are given.
    ///
    /// # Errors
    /// Those of [`Tensor::var`].
    pub fn moments(&self, axes: &[isize], keepdims: bool) -> Result<(Tensor, Tensor)> {
        Ok((self.mean(axes, keepdims)?, self.var(axes, keepdims, 0)?))
    }

    /// Divides by the p-norm over `axes`, or over all axes if none are given; where that is 0, everything stays 0.
    ///
    /// # Errors
    /// Those of [`Tensor::norm`].
    pub fn normalize(&self, p: f64, axes: &[isize]) -> Result<Tensor> {
        let norm = self.norm(p, axes, true)?;
        let zero = norm.equal(&norm.new_full([], 0.0)?)?;
        self.div(&zero.choose(&norm.new_full([], 1.0)?, &norm)?)
    }

    /// Returns the vector product of vectors of 3 numbers along an axis. The other axes broadcast.
    ///
    /// # Errors
    /// An axis is out of range or not of size 3, or shapes do not broadcast.
    pub fn cross(&self, other: &Tensor, axis: isize) -> Result<Tensor> {
        for t in [self, other] {
            if t.dims()[t.shape().axis("cross", axis)?] != 3 {
                return Err(Error::shape("cross", format!("3 numbers along axis {axis}"), *t.shape()));
            }
        }
        let part = |t: &Tensor, i: isize| t.select(axis, i);
        let one = |i, j| part(self, i)?.mul(&part(other, j)?)?.sub(&part(self, j)?.mul(&part(other, i)?)?);
        let parts = [one(1, 2)?, one(2, 0)?, one(0, 1)?];
        Tensor::stack(&parts.iter().collect::<Vec<_>>(), axis)
    }

    /// Returns the powers 0 to `n - 1` of each element of a vector, `[size, n]`, in falling order unless `increasing`.
    ///
    /// # Errors
    /// This is not a vector.
    pub fn vander(&self, n: usize, increasing: bool) -> Result<Tensor> {
        if self.rank() != 1 {
            return Err(Error::shape("vander", "a vector", *self.shape()));
        }
        let powers = Tensor::arange(n)?.cast(self.dtype())?;
        let powers = self.expand_dims(1)?.pow(&powers.expand_dims(0)?)?;
        if increasing { Ok(powers) } else { powers.flip(&[1]) }
    }

    /// Creates a matrix with ones on diagonal `k` and below it, and zeros above.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn tri(rows: usize, columns: usize, k: isize, dtype: DType) -> Result<Tensor> {
        Tensor::ones([rows, columns])?.cast(dtype)?.tril(k)
    }

    /// Returns the covariances of the rows of a matrix `[variables, observations]`, whose sums are divided by the
    /// number of observations minus `ddof` (1 in NumPy).
    ///
    /// # Errors
    /// This is not a matrix with more than `ddof` columns, or the dtype is not float32 or float64.
    pub fn cov(&self, ddof: usize) -> Result<Tensor> {
        super::elementwise::float("cov", self.dtype())?;
        match self.dims() {
            &[_, n] if n > ddof => {
                let x = self.sub(&self.mean(&[1], true)?)?;
                x.matmul(&x.t()?)?.affine(1.0 / (n - ddof) as f64, 0.0)
            }
            _ => Err(Error::shape("cov", format!("a matrix with more than {ddof} columns"), *self.shape())),
        }
    }

    /// Returns the correlations of the rows of a matrix `[variables, observations]`.
    ///
    /// # Errors
    /// Those of [`Tensor::cov`].
    pub fn corrcoef(&self) -> Result<Tensor> {
        let c = self.cov(0)?;
        let deviation = c.diagonal(0, -2, -1)?.sqrt()?;
        c.div(&deviation.expand_dims(1)?)?.div(&deviation.expand_dims(0)?)
    }

    /// Returns the p-norms of the differences of each row of `[..., n, d]` and each of the other's `[..., m, d]`, as
    /// `[..., n, m]`.
    ///
    /// # Errors
    /// Shapes do not fit, or those of [`Tensor::norm`].
    pub fn cdist(&self, other: &Tensor, p: f64) -> Result<Tensor> {
        self.expand_dims(-2)?.sub(&other.expand_dims(-3)?)?.norm(p, &[-1], false)
    }

    /// Returns the cross-correlation of two vectors, `Σ a[k + i]·b[i]` for each k, as NumPy's `correlate`: where the shorter
    /// lies inside of the longer (`Padding::Valid`), or with zeros around, by [`Padding::Explicit`](super::Padding).
    /// `full` is `b.elements() - 1` on both sides.
    ///
    /// # Errors
    /// These are not vectors, or one has no elements, or the dtype is not float32 or float64.
    pub fn correlate(&self, other: &Tensor, padding: &super::Padding) -> Result<Tensor> {
        let signal = |t: &Tensor| match t.dims() {
            [n] if *n > 0 => t.reshape_to([1, *n, 1]),
            _ => Err(Error::shape("correlate", "vectors of at least one element", *t.shape())),
        };
        let swapped = other.elements() > self.elements();
        let (long, short) =
            if swapped { (signal(other)?, signal(self)?) } else { (signal(self)?, signal(other)?) };
        let kernel = short.reshape_to([short.elements(), 1, 1])?;
        let y = long
            .conv(&kernel, None, None, &super::conv::Convolution::new().padding(padding.clone()))?
            .flatten()?;
        if swapped { y.flip(&[0]) } else { Ok(y) }
    }

    /// Returns the peak signal-to-noise ratio in decibels, `10·log10(max² / mean((a - b)²))`, of which `max` is the
    /// largest possible value.
    ///
    /// # Errors
    /// Shapes do not broadcast, or the dtype is not float32 or float64.
    pub fn psnr(&self, other: &Tensor, max: f64) -> Result<Tensor> {
        if is_whole(self.dtype()) {
            return self.cast(DType::F32)?.psnr(other, max);
        }
        let mean = self.sub(other)?.square()?.mean(&[], false)?;
        mean.log10()?.affine(-10.0, 20.0 * libm::log10(max))
    }
}
