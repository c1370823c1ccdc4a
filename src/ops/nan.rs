//! Statistics that leave NaN out, as NumPy's `nansum` and its like do. All are compositions, so their gradients are
//! those of the parts, and what is left out gets none.

use crate::Result;
use crate::tensor::Tensor;

super::table::ops! {
    nan_to_num: Floats, Every, "";
    nansum: Floats, Every, "";
    nanprod: Floats, Every, "";
    nanmean: Floats, Every, "";
    nanvar: Floats, Every, "";
    nanstd: Floats, Every, "";
    nanmax: Floats, Every, "";
    nanmin: Floats, Every, "";
    nanargmax: Floats, None, "";
    nanargmin: Floats, None, "";
    nancumsum: Floats, Every, "";
    nancumprod: Floats, Every, "";
}

impl Tensor {
    /// Replaces NaN.
    fn without_nan(&self, op: &'static str, value: f64) -> Result<Tensor> {
        super::elementwise::float(op, self.dtype())?;
        self.is_nan()?.choose(&self.new_full([], value)?, self)
    }

    /// Returns how many elements over `axes` are not NaN, in this dtype.
    fn numbers(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.is_nan()?.logical_not()?.sum(axes, keepdims)?.cast(self.dtype())
    }

    /// Replaces NaN by `nan`, and infinities by the other two, or by the largest and smallest finite numbers of the
    /// dtype.
    ///
    /// # Errors
    /// The dtype is not float32 or float64.
    pub fn nan_to_num(&self, nan: f64, posinf: Option<f64>, neginf: Option<f64>) -> Result<Tensor> {
        let most = if self.dtype() == crate::DType::F64 { f64::MAX } else { f64::from(f32::MAX) };
        let x = self.without_nan("nan_to_num", nan)?;
        let at = |v: f64| self.equal(&self.new_full([], v)?);
        let x = at(f64::INFINITY)?.choose(&self.new_full([], posinf.unwrap_or(most))?, &x)?;
        at(f64::NEG_INFINITY)?.choose(&self.new_full([], neginf.unwrap_or(-most))?, &x)
    }

    /// [`Tensor::sum`] of what is not NaN; 0 if nothing is.
    ///
    /// # Errors
    /// An axis is out of range or given twice, or the dtype is not float32 or float64.
    pub fn nansum(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.without_nan("nansum", 0.0)?.sum(axes, keepdims)
    }

    /// [`Tensor::prod`] of what is not NaN; 1 if nothing is.
    ///
    /// # Errors
    /// Those of [`Tensor::nansum`].
    pub fn nanprod(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.without_nan("nanprod", 1.0)?.prod(axes, keepdims)
    }

    /// [`Tensor::mean`] of what is not NaN; NaN if nothing is.
    ///
    /// # Errors
    /// Those of [`Tensor::nansum`].
    pub fn nanmean(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.without_nan("nanmean", 0.0)?.sum(axes, keepdims)?.div(&self.numbers(axes, keepdims)?)
    }

    /// [`Tensor::var`] of what is not NaN; NaN if no more than `ddof` elements are left.
    ///
    /// # Errors
    /// Those of [`Tensor::nansum`].
    pub fn nanvar(&self, axes: &[isize], keepdims: bool, ddof: usize) -> Result<Tensor> {
        let distance = self.sub(&self.nanmean(axes, true)?)?.without_nan("nanvar", 0.0)?;
        let infinite = self.is_inf()?.any(axes, keepdims)?;
        let left = self.numbers(axes, keepdims)?.affine(1.0, -(ddof as f64))?;
        let nan = self.new_full([], f64::NAN)?;
        let left = left.greater(&left.new_full([], 0.0)?)?.choose(&left, &nan)?;
        infinite.choose(&nan, &distance.square()?.sum(axes, keepdims)?.div(&left)?)
    }

    /// The square root of [`Tensor::nanvar`].
    ///
    /// # Errors
    /// Those of [`Tensor::nansum`].
    pub fn nanstd(&self, axes: &[isize], keepdims: bool, ddof: usize) -> Result<Tensor> {
        self.nanvar(axes, keepdims, ddof)?.sqrt()
    }

    /// An extreme of what is not NaN, from what stands in for NaN.
    fn nan_extreme(&self, extreme: Tensor, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        let none = self.is_nan()?.all(axes, keepdims)?;
        none.choose(&extreme.new_full([], f64::NAN)?, &extreme)
    }

    /// [`Tensor::max`] of what is not NaN; NaN if nothing is.
    ///
    /// # Errors
    /// Those of [`Tensor::nansum`], or there are no elements.
    pub fn nanmax(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        let top = self.without_nan("nanmax", f64::NEG_INFINITY)?.max(axes, keepdims)?;
        self.nan_extreme(top, axes, keepdims)
    }

    /// [`Tensor::min`] of what is not NaN; NaN if nothing is.
    ///
    /// # Errors
    /// Those of [`Tensor::nansum`], or there are no elements.
    pub fn nanmin(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        let low = self.without_nan("nanmin", f64::INFINITY)?.min(axes, keepdims)?;
        self.nan_extreme(low, axes, keepdims)
    }

    /// The index of an extreme, and -1 where there are only NaNs.
    fn nan_index(&self, index: Tensor, axis: isize) -> Result<Tensor> {
        let none = self.is_nan()?.all(&[axis], false)?;
        none.choose(&index.new_full([], -1.0)?, &index)
    }

    /// [`Tensor::argmax`] of what is not NaN; -1 if nothing is.
    ///
    /// # Errors
    /// The axis is out of range or empty, or the dtype is not float32 or float64.
    pub fn nanargmax(&self, axis: isize) -> Result<Tensor> {
        self.nan_index(self.without_nan("nanargmax", f64::NEG_INFINITY)?.argmax(axis)?, axis)
    }

    /// [`Tensor::argmin`] of what is not NaN; -1 if nothing is.
    ///
    /// # Errors
    /// Those of [`Tensor::nanargmax`].
    pub fn nanargmin(&self, axis: isize) -> Result<Tensor> {
        self.nan_index(self.without_nan("nanargmin", f64::INFINITY)?.argmin(axis)?, axis)
    }

    /// [`Tensor::cumsum`] in which NaN counts as 0.
    ///
    /// # Errors
    /// The axis is out of range, or the dtype is not float32 or float64.
    pub fn nancumsum(&self, axis: isize) -> Result<Tensor> {
        self.without_nan("nancumsum", 0.0)?.cumsum(axis)
    }

    /// [`Tensor::cumprod`] in which NaN counts as 1.
    ///
    /// # Errors
    /// Those of [`Tensor::nancumsum`].
    pub fn nancumprod(&self, axis: isize) -> Result<Tensor> {
        self.without_nan("nancumprod", 1.0)?.cumprod(axis)
    }
}
