//! Matrices made or read by their diagonals: the identity, triangles, and diagonals in and out.

use super::arrange::positions;
use super::pad::PadMode;
use crate::tensor::Tensor;
use crate::{DType, Error, Result, Shape, Spec};

super::table::ops! {
    eye: Nothing, None, "EyeLike";
    triu: Any, Every, "Trilu";
    tril: Any, Every, "Trilu";
    diag: Any, Every, "";
    diag_embed: Any, Every, "";
}

impl Tensor {
    /// Creates a matrix `[rows, columns]` with ones on diagonal `k` (0 is the main one, positive ones are above it)
    /// and zeros elsewhere.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn eye(rows: usize, columns: usize, k: isize, dtype: DType) -> Result<Tensor> {
        let ones = Tensor::filled(Spec::new(Shape::new(&[rows, columns])?, dtype), 1.0)?;
        ones.choose_by_diagonal("eye", |number, k| number.equal(k), k)
    }

    /// Keeps the elements on diagonal `k` of the last two axes and above it, with zeros below.
    ///
    /// # Errors
    /// There are fewer than two axes.
    pub fn triu(&self, k: isize) -> Result<Tensor> {
        self.choose_by_diagonal("triu", |number, k| number.greater_equal(k), k)
    }

    /// Keeps the elements on diagonal `k` of the last two axes and below it, with zeros above.
    ///
    /// # Errors
    /// There are fewer than two axes.
    pub fn tril(&self, k: isize) -> Result<Tensor> {
        self.choose_by_diagonal("tril", |number, k| number.less_equal(k), k)
    }

    /// Keeps the elements whose diagonal's number passes the comparison with `k`, with zeros elsewhere.
    fn choose_by_diagonal(
        &self,
        op: &'static str,
        compare: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
        k: isize,
    ) -> Result<Tensor> {
        let &[.., r, c] = self.dims() else {
            return Err(Error::shape(op, "at least two dimensions", *self.shape()));
        };
        let (rows, columns) = (positions(r, |i| i)?.expand_dims(1)?, positions(c, |i| i)?);
        let number = columns.sub(&rows)?;
        compare(&number, &Tensor::scalar(k as i64)?)?.choose(self, &self.new_full([], 0.0)?)
    }

    /// Creates a square matrix with this vector on diagonal `k` and zeros elsewhere.
    ///
    /// # Errors
    /// This is not a vector, or the matrix does not fit in memory.
    pub fn diag(&self, k: isize) -> Result<Tensor> {
        if self.rank() != 1 {
            return Err(Error::shape("diag", "a vector", *self.shape()));
        }
        self.diag_embed(k)
    }

    /// Creates square matrices `[..., m, m]` with the numbers along the last axis, `[..., n]`, on diagonal `k` and zeros
    /// elsewhere, where m is n and as many more as the diagonal's number.
    ///
    /// # Errors
    /// There is no axis, or the matrices do not fit in memory.
    pub fn diag_embed(&self, k: isize) -> Result<Tensor> {
        if self.rank() == 0 {
            return Err(Error::shape("diag_embed", "at least one axis", *self.shape()));
        }
        let mut widths = vec![(0, 0); self.rank()];
        widths[self.rank() - 1].1 = k.unsigned_abs();
        let long = self.pad(&widths, PadMode::Constant(0.0))?;
        let m = long.dims()[long.rank() - 1];
        // Above the main diagonal the vector runs down the rows, below it along the columns.
        let wide = long.expand_dims(if k >= 0 { -1 } else { -2 })?;
        let r = wide.rank();
        let full = wide.shape().with(r - 2, m).with(r - 1, m);
        wide.broadcast_to(full)?.choose_by_diagonal("diag_embed", |number, k| number.equal(k), k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(t: &Tensor) -> Vec<i64> {
        t.to_vec().unwrap()
    }

    #[test]
    fn diagonals_go_in_and_out() {
        let v = Tensor::from_slice(&[1i64, 2], [2]).unwrap();
        assert_eq!(ints(&v.diag(1).unwrap()), [0, 1, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(ints(&v.diag(-1).unwrap()), [0, 0, 0, 1, 0, 0, 0, 2, 0]);
        for k in -2..3 {
            assert_eq!(ints(&v.diag(k).unwrap().diagonal(k, -2, -1).unwrap()), [1, 2]);
        }
        let x = Tensor::arange(12).unwrap().reshape([2, 2, 3]).unwrap();
        assert_eq!(ints(&x.diagonal(1, -2, -1).unwrap()), [1, 5, 7, 11]);
        assert_eq!(x.diagonal(3, -2, -1).unwrap().dims(), [2, 0]);
        assert_eq!(ints(&x.triu(1).unwrap()), [0, 1, 2, 0, 0, 5, 0, 7, 8, 0, 0, 11]);
        assert_eq!(ints(&x.tril(-1).unwrap()), [0, 0, 0, 3, 0, 0, 0, 0, 0, 9, 0, 0]);
        assert_eq!(
            Tensor::eye(2, 3, 1, DType::Bool).unwrap().to_vec::<bool>().unwrap(),
            [false, true, false, false, false, true]
        );
        assert!(v.triu(0).is_err() && x.diag(0).is_err() && v.diagonal(0, -2, -1).is_err());
    }
}
