//! Evenly spaced numbers, and grids of them.

use crate::tensor::Tensor;
use crate::{DType, Error, Result};

super::table::ops! {
    arange_step: Nothing, None, "Range";
    linspace: Nothing, None, "Range";
    logspace: Nothing, None, "";
    geomspace: Nothing, None, "";
    meshgrid: Any, Every, "Expand";
}

impl Tensor {
    /// Returns `n` evenly spaced numbers from `start` to `stop`, both included (NumPy's `linspace`).
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn linspace(start: f64, stop: f64, n: usize, dtype: DType) -> Result<Tensor> {
        let steps = n.saturating_sub(1).max(1) as f64;
        let step = (stop - start) / steps;
        let at = Tensor::arange(n)?.cast(DType::F64)?.affine(step, start)?;
        // The last one is exactly `stop`, despite rounding.
        let last = Tensor::arange(n)?.equal(&Tensor::scalar(if n > 1 { n as i64 - 1 } else { -1 })?)?;
        last.choose(&Tensor::scalar(stop)?, &at)?.cast(dtype)
    }

    /// Returns `n` powers of `base`, whose exponents [`Tensor::linspace`] gives.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn logspace(start: f64, stop: f64, n: usize, base: f64, dtype: DType) -> Result<Tensor> {
        Tensor::scalar(base)?.pow(&Tensor::linspace(start, stop, n, DType::F64)?)?.cast(dtype)
    }

    /// Returns `n` numbers from `start` to `stop`, both included, each the same multiple of the one before.
    ///
    /// # Errors
    /// `start` or `stop` is 0 or not finite, their signs differ, or there is not enough memory.
    pub fn geomspace(start: f64, stop: f64, n: usize, dtype: DType) -> Result<Tensor> {
        if !(start.is_finite() && stop.is_finite() && start * stop.signum() > 0.0) {
            let got = format!("{start} to {stop}");
            return Err(Error::argument("geomspace", "finite numbers of one sign that are not 0", got));
        }
        let log = |v: f64| libm::log10(v.abs());
        let inner =
            Tensor::logspace(log(start), log(stop), n, 10.0, DType::F64)?.affine(start.signum(), 0.0)?;
        // Both ends are exact, despite rounding.
        let number = Tensor::arange(n)?;
        let at = |i: i64| number.equal(&Tensor::scalar(i)?);
        let inner = at(n as i64 - 1)?.choose(&Tensor::scalar(stop)?, &inner)?;
        at(0)?.choose(&Tensor::scalar(start)?, &inner)?.cast(dtype)
    }

    /// Returns `start`, `start + step`, … up to but not including `stop` (NumPy's `arange` with three numbers).
    ///
    /// # Errors
    /// `step` is 0, a number is not finite, or there is not enough memory.
    pub fn arange_step(start: f64, stop: f64, step: f64, dtype: DType) -> Result<Tensor> {
        let count = ((stop - start) / step).ceil();
        if !count.is_finite() || !start.is_finite() {
            let got = format!("{start} to {stop} by {step}");
            return Err(Error::argument("arange", "finite numbers and a step that is not 0", got));
        }
        // A count beyond the largest usize saturates, and fails for lack of memory.
        Tensor::arange(count.max(0.0) as usize)?.cast(DType::F64)?.affine(step, start)?.cast(dtype)
    }

    /// Returns grids over vectors: tensor i holds vector i's values along axis i of `[n₀, n₁, …]` and repeats them
    /// along the others (NumPy's `meshgrid` with `indexing="ij"`). For NumPy's default, `"xy"`, exchange the first
    /// two axes of each result.
    ///
    /// # Errors
    /// One is not a vector, or there are too many.
    pub fn meshgrid(vectors: &[&Tensor]) -> Result<Vec<Tensor>> {
        if let Some(t) = vectors.iter().find(|t| t.rank() != 1) {
            return Err(Error::shape("meshgrid", "vectors", *t.shape()));
        }
        let sizes: Vec<usize> = vectors.iter().map(|t| t.elements()).collect();
        let grid = |(i, t): (usize, &&Tensor)| {
            let mut alone = vec![1; sizes.len()];
            alone[i] = sizes[i];
            t.reshape_to(alone)?.broadcast_to(&sizes)
        };
        vectors.iter().enumerate().map(grid).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numpy_says() {
        let f = |t: Result<Tensor>| t.unwrap().to_vec::<f64>().unwrap();
        assert_eq!(f(Tensor::linspace(0.0, 1.0, 5, DType::F64)), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(f(Tensor::linspace(2.0, 3.0, 1, DType::F64)), [2.0]);
        assert!(f(Tensor::linspace(2.0, 3.0, 0, DType::F64)).is_empty());
        assert_eq!(f(Tensor::arange_step(1.0, 4.0, 0.5, DType::F64)), [1.0, 1.5, 2.0, 2.5, 3.0, 3.5]);
        assert_eq!(f(Tensor::arange_step(3.0, 0.0, -1.0, DType::F64)), [3.0, 2.0, 1.0]);
        assert!(f(Tensor::arange_step(3.0, 0.0, 1.0, DType::F64)).is_empty());
        assert!(Tensor::arange_step(0.0, 1.0, 0.0, DType::F64).is_err());
        assert!(Tensor::arange_step(0.0, 1e300, 1.0, DType::F64).is_err());
        let (a, b) = (Tensor::arange(2).unwrap(), Tensor::arange(3).unwrap());
        let grid = Tensor::meshgrid(&[&a, &b]).unwrap();
        assert_eq!(grid[0].to_vec::<i64>().unwrap(), [0, 0, 0, 1, 1, 1]);
        assert_eq!(grid[1].to_vec::<i64>().unwrap(), [0, 1, 2, 0, 1, 2]);
    }
}
