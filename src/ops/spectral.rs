//! Eigenvalues, singular values, and what follows from them: pseudo-inverses, ranks, norms of matrices. The gradient
//! rules are written in tensor operations, so gradients of every order exist where values differ from each other.

use super::elementwise::float;
use super::stack::Stack;
use crate::autograd::{Grads, Op, Saves, Specs, Step, apply};
use crate::kernels::spectral::{self, Unsettled};
use crate::tensor::room::filled;
use crate::tensor::{Array, Tensor, few};
use crate::{DType, Error, Result, Shape, Spec};

super::table::ops! {
    [Eigh, Svd];
    eigh: Floats, Every, "";
    svd: Floats, Every, "";
    pinv: Floats, Every, "";
    matrix_rank: Floats, None, "";
    matrix_power: Floats, Every, "";
    matrix_norm: Floats, Every, "";
}

/// Returns rows and columns of each matrix of a float stack, and the shape of the axes before.
fn matrix(op: &'static str, spec: Spec) -> Result<(usize, usize, Shape)> {
    float(op, spec.dtype)?;
    match spec.shape.dims() {
        [stack @ .., rows, cols] => Ok((*rows, *cols, Shape::new(stack)?)),
        _ => Err(Error::shape(op, "matrices [..., rows, columns]", spec.shape)),
    }
}

fn square(op: &'static str, spec: Spec) -> Result<(usize, Shape)> {
    match matrix(op, spec)? {
        (rows, cols, stack) if rows == cols => Ok((rows, stack)),
        _ => Err(Error::shape(op, "square matrices [..., n, n]", spec.shape)),
    }
}

/// A stack of vectors, or of matrices.
fn stacked(stack: &Shape, sizes: &[usize], dtype: DType) -> Result<Spec> {
    Ok(Spec::new(Shape::new(&[stack.dims(), sizes].concat())?, dtype))
}

/// What is said of a matrix, by number, on which too many steps were made.
fn unsettled(op: &'static str, i: usize) -> Error {
    let expected =
        "matrices whose values settle after the usual number of steps: scale rows and columns to one size";
    Error::argument(op, expected, format!("matrix {i} of the stack, whose values do not"))
}

/// Puts values of float64 into an array in its own type.
fn put(values: Vec<f64>, spec: Spec) -> Result<Array> {
    Ok(Tensor::from_slice(&values, spec.shape)?.cast(spec.dtype)?.into_array())
}

/// `1 / (b[j] - b[i])`, and 0 where both are equal, as on the diagonal.
fn gaps(b: &Tensor) -> Result<Tensor> {
    b.expand_dims(-2)?.sub(&b.expand_dims(-1)?)?.reciprocal_or_zero()
}

impl Tensor {
    fn reciprocal_or_zero(&self) -> Result<Tensor> {
        self.new_full([], 1.0)?.divide_no_nan(self)
    }

    /// `X - Xᵀ`.
    fn skew(&self) -> Result<Tensor> {
        self.sub(&self.t()?)
    }

    /// A matrix with this vector on its diagonal, for each of a stack.
    fn on_diagonal(&self) -> Result<Tensor> {
        let n = self.dims()[self.rank() - 1];
        self.expand_dims(-1)?.mul(&Tensor::arange(n)?.one_hot(n, self.dtype())?)
    }
}

crate::op! {
    /// w and V of A = V·diag(w)·Vᵀ.
    struct Eigh("eigh", 1) {}
}

impl Op for Eigh {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let (n, stack) = square("eigh", inputs[0])?;
        Ok(few![stacked(&stack, &[n], inputs[0].dtype)?, inputs[0]])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (spec, (n, _)) = (inputs[0].spec(), square("eigh", inputs[0].spec())?);
        let [w, v] = outputs else { return Ok(()) };
        if spec.shape.elements() == 0 {
            return Ok(());
        }
        let mut a = Tensor::from(inputs[0].clone()).cast(DType::F64)?.to_vec::<f64>()?;
        let (mut values, mut vectors) = (filled(a.len() / n, 0.0, spec)?, filled(a.len(), 0.0, spec)?);
        let (count, room) = (a.len() / (n * n), spectral::eigh_room(n));
        let stack = Stack { count, work: 10 * n * n * n, room, order: spectral::places(n), spec };
        stack.each([&mut a, &mut values, &mut vectors], &|i, [a, w, v], room, order| {
            spectral::eigh(a, n, w, v, order, room).map_err(|Unsettled| unsettled("eigh", i))
        })?;
        (*w, *v) = (put(values, w.spec())?, put(vectors, v.spec())?);
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::OUTPUTS
    }
    /// `V·(diag(w̄) + F∘(Vᵀ·V̄))·Vᵀ`, made symmetric, with `F = 1 / (wⱼ - wᵢ)` (Giles 2008).
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (w, v) = (step.output(0), step.output(1));
        let inner = gaps(&w)?.mul(&v.t()?.matmul(&step.grad(1)?)?)?.add(&step.grad(0)?.on_diagonal()?)?;
        let a = v.matmul(&inner)?.matmul(&v.t()?)?;
        Ok(few![Some(a.add(&a.t()?)?.affine(0.5, 0.0)?)])
    }
}

crate::op! {
    /// U, s and Vᵀ of A = U·diag(s)·Vᵀ.
    struct Svd("svd", 1) {}
}

impl Op for Svd {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let ((m, n, stack), dtype) = (matrix("svd", inputs[0])?, inputs[0].dtype);
        let k = m.min(n);
        Ok(few![
            stacked(&stack, &[m, k], dtype)?,
            stacked(&stack, &[k], dtype)?,
            stacked(&stack, &[k, n], dtype)?
        ])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (spec, (m, n, _)) = (inputs[0].spec(), matrix("svd", inputs[0].spec())?);
        let [u, s, vt] = outputs else { return Ok(()) };
        if spec.shape.elements() == 0 {
            return Ok(());
        }
        let k = m.min(n);
        // A wide matrix is decomposed as its transpose, with U and V exchanged.
        let a = Tensor::from(inputs[0].clone()).cast(DType::F64)?;
        let tall = if m < n { a.t()? } else { a };
        let mut left = tall.contiguous()?.to_vec::<f64>()?;
        let count = left.len() / (m * n);
        let (mut values, mut right) = (filled(count * k, 0.0, spec)?, filled(count * k * k, 0.0, spec)?);
        let room = spectral::svd_room(m.max(n), k);
        let stack = Stack { count, work: 20 * m * n * k, room, order: spectral::places(k), spec };
        stack.each([&mut left, &mut values, &mut right], &|i, [a, s, v], room, order| {
            spectral::svd(a, k, s, v, order, room).map_err(|Unsettled| unsettled("svd", i))
        })?;
        let (left, right) =
            (Tensor::from_slice(&left, [count, m.max(n), k])?, Tensor::from_slice(&right, [count, k, k])?);
        let (of_u, of_v) = if m < n { (right, left) } else { (left, right) };
        let into = |t: Tensor, spec: Spec| -> Result<Array> {
            Ok(t.contiguous()?.reshape_to(spec.shape)?.cast(spec.dtype)?.into_array())
        };
        (*u, *vt) = (into(of_u, u.spec())?, into(of_v.t()?, vt.spec())?);
        *s = put(values, s.spec())?;
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::OUTPUTS
    }
    /// `U·(F∘skew(Uᵀ·Ū)·S + S·F∘skew(Vᵀ·V̄) + diag(s̄))·Vᵀ` with `F = 1 / (sⱼ² - sᵢ²)`, and what of Ū and V̄ lies
    /// outside of the spaces of U and V (Townsend 2016).
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (u, s, v) = (step.output(0), step.output(1), step.output(2).t()?);
        let (gu, gs, gv) = (step.grad(0)?, step.grad(1)?, step.grad(2)?.t()?);
        let (m, n, k) = (u.dims()[u.rank() - 2], v.dims()[v.rank() - 2], s.dims()[s.rank() - 1]);
        let f = gaps(&s.square()?)?;
        let (row, column) = (s.expand_dims(-2)?, s.expand_dims(-1)?);
        let (of_u, of_v) = (u.t()?.matmul(&gu)?, v.t()?.matmul(&gv)?);
        let inner = f.mul(&of_u.skew()?)?.mul(&row)?.add(&f.mul(&of_v.skew()?)?.mul(&column)?)?;
        let mut a = u.matmul(&inner.add(&gs.on_diagonal()?)?)?.matmul(&v.t()?)?;
        let inverse = s.reciprocal_or_zero()?.expand_dims(-2)?;
        if m > k {
            a = a.add(&gu.sub(&u.matmul(&of_u)?)?.mul(&inverse)?.matmul(&v.t()?)?)?;
        }
        if n > k {
            a = a.add(&u.mul(&inverse)?.matmul(&gv.sub(&v.matmul(&of_v)?)?.t()?)?)?;
        }
        Ok(few![Some(a)])
    }
}

impl Tensor {
    /// Returns the eigenvalues `[..., n]`, ascending, and the eigenvectors, the columns of `[..., n, n]`, of each
    /// symmetric matrix; only the lower triangle is read. The largest component of each vector is positive. The gradient
    /// is symmetric; that of vectors exists where eigenvalues differ.
    ///
    /// # Errors
    /// Matrices are not square, or the dtype is not float32 or float64.
    pub fn eigh(&self) -> Result<(Tensor, Tensor)> {
        let mut outputs = apply(Eigh {}, &[self])?;
        let v = outputs.swap_remove(1);
        Ok((outputs.swap_remove(0), v))
    }

    /// Returns U `[..., m, k]`, the singular values `[..., k]`, descending, and Vᵀ `[..., k, n]` of A = U·diag(s)·Vᵀ for
    /// each matrix `[..., m, n]`, where k is the smaller of m and n. The gradient of U and V exists where singular values
    /// differ.
    ///
    /// # Errors
    /// There are fewer than two axes, or the dtype is not float32 or float64.
    pub fn svd(&self) -> Result<(Tensor, Tensor, Tensor)> {
        let mut outputs = apply(Svd {}, &[self])?;
        let (vt, s) = (outputs.swap_remove(2), outputs.swap_remove(1));
        Ok((outputs.swap_remove(0), s, vt))
    }

    /// Returns the singular values, and where they are above `rtol` times the largest.
    fn above_noise(&self, s: &Tensor, rtol: Option<f64>) -> Result<Tensor> {
        let long = self.dims()[self.rank() - 2..].iter().copied().max().unwrap_or(0);
        let ulp = if self.dtype() == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
        let rtol = rtol.unwrap_or(ulp * long as f64);
        let s = s.detach();
        s.greater(&s.slice(-1, 0, 1.min(s.dims()[s.rank() - 1] as isize))?.affine(rtol, 0.0)?)
    }

    /// Returns the pseudo-inverse (Moore and Penrose) of each matrix. Singular values up to `rtol` times the largest count
    /// as 0; by default that is the last bit times the longer side.
    ///
    /// # Errors
    /// Those of [`Tensor::svd`].
    pub fn pinv(&self, rtol: Option<f64>) -> Result<Tensor> {
        let (u, s, vt) = self.svd()?;
        let kept = self.above_noise(&s, rtol)?.choose(&s, &s.new_full([], 0.0)?)?;
        vt.t()?.mul(&kept.reciprocal_or_zero()?.expand_dims(-2)?)?.matmul(&u.t()?)
    }

    /// Returns how many singular values of each matrix are above `rtol` times the largest (int64); by default that is the
    /// last bit times the longer side.
    ///
    /// # Errors
    /// Those of [`Tensor::svd`].
    pub fn matrix_rank(&self, rtol: Option<f64>) -> Result<Tensor> {
        let s = self.detach().svd()?.1;
        self.above_noise(&s, rtol)?.sum(&[-1], false)
    }

    /// Returns the product of `n` copies of each square matrix; the identity for 0, and that of the inverse for negative
    /// numbers.
    ///
    /// # Errors
    /// Matrices are not square, one is singular and `n` negative, or the dtype is not float32 or float64.
    pub fn matrix_power(&self, n: i64) -> Result<Tensor> {
        let (size, _) = square("matrix_power", self.spec())?;
        let mut base = if n < 0 { self.inverse()? } else { self.clone() };
        let mut left = n.unsigned_abs();
        let mut out: Option<Tensor> = None;
        while left > 0 {
            if left & 1 == 1 {
                out = Some(match out {
                    Some(out) => out.matmul(&base)?,
                    None => base.clone(),
                });
            }
            left >>= 1;
            if left > 0 {
                base = base.matmul(&base)?;
            }
        }
        match out {
            Some(out) => Ok(out),
            None => Tensor::arange(size)?.one_hot(size, self.dtype())?.broadcast_like(self),
        }
    }

    /// Returns the norm of each matrix that `p` names as NumPy's `linalg.norm` does: 1 and -1 for the largest and smallest
    /// sum of a column, ∞ and -∞ for that of a row, 2 and -2 for the largest and smallest singular value. (Frobenius' is
    /// [`Tensor::norm`] of order 2 over both axes; the nuclear norm is the sum of the singular values.)
    ///
    /// # Errors
    /// `p` is none of these, or those of [`Tensor::svd`].
    pub fn matrix_norm(&self, p: f64) -> Result<Tensor> {
        matrix("matrix_norm", self.spec())?;
        let extreme = |t: &Tensor| if p > 0.0 { t.max(&[-1], false) } else { t.min(&[-1], false) };
        match p.abs() {
            1.0 => extreme(&self.abs()?.sum(&[-2], false)?),
            2.0 => extreme(&self.svd()?.1),
            f64::INFINITY => extreme(&self.abs()?.sum(&[-1], false)?),
            _ => Err(Error::argument("matrix_norm p", "1, -1, 2, -2, infinity or -infinity", p)),
        }
    }
}
