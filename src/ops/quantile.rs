//! What sorting tells: medians and quantiles, and where values belong in a sorted list, from which counts and
//! histograms follow.

use super::promote::alike;
use super::reduce::is_whole;
use crate::autograd::{Op, Specs, apply1, nothing_flows, one};
use crate::dtype::dispatch_stored;
use crate::kernels::sort;
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, Result, Shape, Spec};

super::table::ops! {
    [SearchSorted];
    quantile: Wide, Every, "";
    median: Wide, Every, "";
    nanquantile: Floats, Every, "";
    nanmedian: Floats, Every, "";
    searchsorted: Any, None, "";
    digitize: Any, None, "";
    isin: Any, None, "";
    bincount: Ints, None, "";
    histogram: Wide, None, "";
}

/// Up to this many counts [`Tensor::bincount`] keeps without being told how many there may be.
const MOST_COUNTS: usize = 1 << 24;

crate::op! {
    /// For each element of the second input, how many of the first, which is sorted, stand before it: those that are
    /// less, or on the right those that are not greater. NaN is greater than all.
    struct SearchSorted("searchsorted", 2) { right: bool }
}

impl Op for SearchSorted {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        if inputs[0].shape.rank() != 1 || inputs[0].dtype != inputs[1].dtype {
            return Err(Error::shape("searchsorted", "a sorted vector", inputs[0].shape));
        }
        Ok(one(inputs[1].shape, DType::I64))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (sorted, values) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
        let out = outputs[0].slice_mut::<i64>()?;
        dispatch_stored!(sorted.dtype(), T => {
            let sorted = sorted.slice::<T>()?;
            for (o, v) in out.iter_mut().zip(values.slice::<T>()?) {
                let before = |s: &T| {
                    let order = sort::order(s, v, false);
                    order.is_lt() || self.right && order.is_eq()
                };
                *o = sorted.partition_point(before) as i64;
            }
        });
        Ok(())
    }
    nothing_flows!();
}

fn share(op: &'static str, q: f64) -> Result<()> {
    if (0.0..=1.0).contains(&q) { Ok(()) } else { Err(Error::argument(op, "a share from 0 to 1", q)) }
}

impl Tensor {
    /// Returns the elements over `axes` as one last axis, sorted, and the result's shape if axes are kept.
    fn sorted_over(&self, op: &'static str, axes: &[isize]) -> Result<(Tensor, Shape)> {
        let set = self.shape().axes(op, axes)?;
        let count = super::reduce::reduced_count(self.shape(), &set);
        if count == 0 {
            return Err(Error::shape(op, "at least one element to reduce", *self.shape()));
        }
        let rows = self
            .permute(&super::reduce::last(&set, self.rank()))?
            .reshape_to([self.elements() / count, count])?;
        Ok((rows.sort(1, false)?, self.shape().reduced(&set, true)))
    }

    /// Returns the quantile over `axes`, or over all axes if none are given: the number below which lies the share `q`
    /// of the elements, with linear interpolation between two; NaN if there is one. Integers are computed in float64
    /// and give the dtype of [`Tensor::mean`].
    ///
    /// # Errors
    /// `q` is not from 0 to 1, an axis is out of range or given twice, there are no elements, or the dtype is bfloat16
    /// or float16.
    pub fn quantile(&self, q: f64, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        share("quantile", q)?;
        if is_whole(self.dtype()) {
            return self.cast(DType::F64)?.quantile(q, axes, keepdims)?.cast(self.dtype().fraction());
        }
        super::elementwise::float("quantile", self.dtype())?;
        let (rows, kept) = self.sorted_over("quantile", axes)?;
        let n = rows.dims()[1];
        let at = q * (n - 1) as f64;
        let low = rows.select(1, at.floor() as isize)?;
        let value = if at.fract() == 0.0 {
            low
        } else {
            let high = rows.select(1, at.ceil() as isize)?;
            between(&low, &high, &low.new_full([], at.fract())?)?
        };
        // NaN is sorted to the end.
        let last = rows.select(1, -1)?;
        last.is_nan()?.choose(&last, &value)?.reshape_to(kept)?.with_kept(axes, keepdims)
    }

    /// Returns the median: the [`Tensor::quantile`] of ½.
    ///
    /// # Errors
    /// Those of [`Tensor::quantile`].
    pub fn median(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.quantile(0.5, axes, keepdims)
    }

    /// [`Tensor::quantile`] of what is not NaN; NaN if nothing is.
    ///
    /// # Errors
    /// Those of [`Tensor::quantile`], or the dtype is not float32 or float64.
    pub fn nanquantile(&self, q: f64, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        share("nanquantile", q)?;
        super::elementwise::float("nanquantile", self.dtype())?;
        let (rows, kept) = self.sorted_over("nanquantile", axes)?;
        let numbers = rows.is_nan()?.logical_not()?.sum(&[1], true)?.cast(DType::F64)?;
        let zero = Tensor::scalar(0.0)?;
        let at = numbers.affine(1.0, -1.0)?.maximum(&zero)?.affine(q, 0.0)?;
        let element = |at: &Tensor| rows.take_along_axis(&at.cast(DType::I64)?, 1);
        let (low, high) = (element(&at.floor()?)?, element(&at.ceil()?)?);
        let step = at.sub(&at.floor()?)?;
        let mixed = between(&low, &high, &step.cast(self.dtype())?)?;
        step.equal(&zero)?.choose(&low, &mixed)?.reshape_to(kept)?.with_kept(axes, keepdims)
    }

    /// [`Tensor::median`] of what is not NaN; NaN if nothing is.
    ///
    /// # Errors
    /// Those of [`Tensor::nanquantile`].
    pub fn nanmedian(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.nanquantile(0.5, axes, keepdims)
    }

    /// Returns for each of `values` the position (int64) in this sorted vector before which it belongs: before its
    /// equals, or after them with `right`. NaN counts as larger than all others.
    ///
    /// # Errors
    /// This is not a vector.
    pub fn searchsorted(&self, values: &Tensor, right: bool) -> Result<Tensor> {
        let [sorted, values] = alike([self, values])?;
        apply1(SearchSorted { right }, &[&sorted.detach(), &values.detach()])
    }

    /// Returns for each element the number (int64) of its bin between ascending `edges`, each of which belongs to the
    /// bin above it: 0 below the first, their count from the last on.
    ///
    /// # Errors
    /// `edges` is not a vector.
    pub fn digitize(&self, edges: &Tensor) -> Result<Tensor> {
        edges.searchsorted(self, true)
    }

    /// Returns where an element is among those of another tensor. NaN is among none.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn isin(&self, elements: &Tensor) -> Result<Tensor> {
        let [x, elements] = alike([self, elements])?;
        let n = elements.elements();
        if n == 0 {
            return x.not_equal(&x)?.logical_and(&x.equal(&x)?);
        }
        let sorted = elements.detach().flatten()?.sort(0, false)?;
        let at = sorted.searchsorted(&x, false)?.minimum(&Tensor::scalar(n as i64 - 1)?)?;
        sorted.gather(&at, 0)?.equal(&x)
    }

    /// Counts how often each number from 0 on occurs (int64), up to the largest, and to `least` numbers at least.
    /// With weights use [`Tensor::scatter_add`].
    ///
    /// # Errors
    /// An element is negative, or neither below 2²⁴ nor below `least` (one large number should not take all memory: pass
    /// how many there may be); the dtype is not of integers, the tensor has no values yet, or there is not enough memory.
    pub fn bincount(&self, least: usize) -> Result<Tensor> {
        if self.is_traced() {
            return Err(Error::Abstract { op: "bincount" });
        }
        let flat = super::promote::indices("bincount", self)?.detach().contiguous()?;
        let numbers = flat.array().slice::<i64>()?;
        let most = numbers.iter().copied().max().map_or(0, |m| m.saturating_add(1));
        let n = usize::try_from(most).unwrap_or(0).max(least);
        super::index::check_index("bincount", "number", numbers, n)?;
        if n > least.max(MOST_COUNTS) {
            let expected =
                format!("numbers below {MOST_COUNTS}, or below `least` (a count is kept for each)");
            return Err(Error::argument("bincount", expected, most - 1));
        }
        let mut counts = Tensor::filled(Spec::new(Shape::new(&[n])?, DType::I64), 0.0)?.into_array();
        let slots = counts.slice_mut::<i64>()?;
        numbers.iter().for_each(|&i| slots[i as usize] += 1);
        Ok(counts.into())
    }

    /// Returns how many elements lie in each of `bins` bins of equal width over `range`, or from the smallest to the
    /// largest element (int64), and the edges (float64). The last edge belongs to the last bin; what lies outside is
    /// not counted.
    ///
    /// # Errors
    /// There are no bins, the range or an element that sets it is not finite, the dtype is bfloat16 or float16, or the
    /// tensor has no values yet.
    pub fn histogram(&self, bins: usize, range: Option<(f64, f64)>) -> Result<(Tensor, Tensor)> {
        const OP: &str = "histogram";
        if self.is_traced() {
            return Err(Error::Abstract { op: OP });
        }
        if bins == 0 || bins >= isize::MAX as usize {
            return Err(Error::argument("histogram bins", "1 or more, as many as can be counted", bins));
        }
        let x = self.detach().flatten()?.cast(DType::F64)?;
        let (mut low, mut high) = match range {
            Some(range) => range,
            None if x.elements() == 0 => (0.0, 1.0),
            None => (x.min(&[], false)?.item()?, x.max(&[], false)?.item()?),
        };
        if !(low.is_finite() && high.is_finite() && low <= high) {
            return Err(Error::argument(
                "histogram range",
                "finite and ascending",
                format!("{low} to {high}"),
            ));
        }
        if low == high {
            (low, high) = (low - 0.5, high + 0.5);
        }
        let edges = Tensor::linspace(low, high, bins + 1, DType::F64)?;
        let number = |v: f64| Tensor::scalar(v);
        let inside = x.greater_equal(&number(low)?)?.logical_and(&x.less_equal(&number(high)?)?)?;
        let x = x.boolean_mask(&inside)?;
        let bin = edges
            .searchsorted(&x, true)?
            .sub(&Tensor::scalar(1i64)?)?
            .minimum(&Tensor::scalar(bins as i64 - 1)?)?;
        Ok((bin.bincount(bins)?, edges))
    }
}

/// `a + t·(b - a)`, from the nearer end, as NumPy interpolates.
fn between(a: &Tensor, b: &Tensor, t: &Tensor) -> Result<Tensor> {
    let d = b.sub(a)?;
    let half = t.new_full([], 0.5)?;
    let rest = t.affine(-1.0, 1.0)?;
    t.less(&half)?.choose(&a.add(&d.mul(t)?)?, &b.sub(&d.mul(&rest)?)?)
}
