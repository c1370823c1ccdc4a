//! Linear algebra: systems of equations and factorizations, for each matrix of a stack. The gradient rules are
//! written in tensor operations, so gradients of every order exist.

use super::elementwise::float;
use super::promote::alike;
use super::stack::Stack;
use crate::autograd::{Grads, Op, Saves, Specs, Step, apply, apply1, names};
use crate::dtype::dispatch_float;
use crate::kernels::linalg::{self, Pivot};
use crate::kernels::math::Real;
use crate::tensor::room::filled;
use crate::tensor::{Array, Few, Tensor, few};
use crate::{DType, Error, Float, MAX_RANK, Result, Shape, Spec};

super::table::ops! {
    [Solve, Cholesky, Qr, SlogDet, Det, Cofactor, Lu];
    solve: Floats, Every, "";
    triangular_solve: Floats, Every, "";
    inverse: Floats, Every, "";
    cholesky: Floats, Every, "";
    qr: Floats, Every, "";
    slogdet: Floats, Every, "";
    det: Floats, Every, "Det";
    lstsq: Floats, Every, "";
    lu_factor: Floats, Every, "";
    lu: Floats, Every, "";
    cholesky_inverse: Floats, Every, "";
}

/// Returns rows and columns of each matrix of a float stack.
fn matrix(op: &'static str, spec: Spec) -> Result<(usize, usize)> {
    float(op, spec.dtype)?;
    match spec.shape.dims() {
        [.., rows, cols] => Ok((*rows, *cols)),
        _ => Err(Error::shape(op, "matrices [..., rows, columns]", spec.shape)),
    }
}

/// Returns the size of each square matrix of a float stack.
fn square(op: &'static str, spec: Spec) -> Result<usize> {
    match matrix(op, spec)? {
        (rows, cols) if rows == cols => Ok(rows),
        _ => Err(Error::shape(op, "square matrices [..., n, n]", spec.shape)),
    }
}

/// Returns the shape of a stack with other sizes for its matrices.
fn with_matrix(shape: &Shape, rows: usize, cols: usize) -> Shape {
    let r = shape.rank();
    shape.with(r - 2, rows).with(r - 1, cols)
}

/// Reports what matrix number `i` failed at.
fn check(op: &'static str, what: &'static str, i: usize, pivot: Option<Pivot>) -> Result<()> {
    match pivot {
        None => Ok(()),
        // A zero without its sign.
        Some((pivot, value)) => Err(Error::Matrix { op, matrix: i, what, pivot, value: value + 0.0 }),
    }
}

names! {
    /// How to solve a system.
    enum By {
        Lu = "solve",
        Lower = "lower_triangular_solve",
        Upper = "upper_triangular_solve",
    }
}

/// The last bit of numbers around 1.
fn ulp(dtype: DType) -> f64 {
    if dtype == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) }
}

/// Fails if a column of A depends on those before it, up to rounding; `r` is the triangle of A's QR decomposition.
fn check_rank(a: &Tensor, r: &Tensor) -> Result<()> {
    let (m, n) = matrix("lstsq", a.spec())?;
    let (all, r) = (a.cast(DType::F64)?.to_vec::<f64>()?, r.cast(DType::F64)?.to_vec::<f64>()?);
    let noise = ulp(a.dtype()) * libm::sqrt(m as f64);
    let mut most = filled(n, 0.0, a.spec())?;
    for (i, (a, r)) in all.chunks((m * n).max(1)).zip(r.chunks((n * n).max(1))).enumerate() {
        most.fill(0.0);
        a.chunks(n).for_each(|row| _ = linalg::lines::raise(&mut most, row));
        let lost = (0..n).map(|k| (k, r[k * n + k])).find(|(k, left)| left.abs() <= noise * most[*k]);
        check("lstsq", "of columns that depend on each other", i, lost)?;
    }
    Ok(())
}

crate::op! {
    /// X of AX = B; the stacks have one shape.
    struct Solve(by: By, 2) {}
}

impl By {
    /// Returns the method's name, for messages.
    fn method(self) -> &'static str {
        if self == By::Lu { "solve" } else { "triangular_solve" }
    }
}

impl Op for Solve {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let op = self.by.method();
        let (n, (rows, cols)) = (square(op, inputs[0])?, matrix(op, inputs[1])?);
        let stacks = inputs[0].shape.rank() == inputs[1].shape.rank()
            && with_matrix(&inputs[0].shape, 0, 0) == with_matrix(&inputs[1].shape, 0, 0);
        if rows != n || !stacks || inputs[0].dtype != inputs[1].dtype {
            let why = "A is [..., n, n], B [..., n, m], of one dtype";
            return Err(Error::shapes(op, inputs[0].shape, inputs[1].shape, why));
        }
        Ok(few![Spec::new(with_matrix(&inputs[1].shape, n, cols), inputs[1].dtype)])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (n, m) = matrix(self.by.method(), inputs[1].spec())?;
        dispatch_float!(self.by.method(), inputs[0].dtype(), T => {
            let (a, b) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
            let out = outputs[0].slice_mut::<T>()?;
            out.copy_from_slice(b.slice::<T>()?);
            if out.is_empty() {
                return Ok(());
            }
            let (spec, a) = (inputs[0].spec(), a.slice::<T>()?);
            let lu = if self.by == By::Lu { n * n + 2 * n } else { 0 };
            let work = n * n * if self.by == By::Lu { m + n / 3 } else { m };
            let stack = Stack { count: out.len() / (n * m), work, room: lu + linalg::room(n, m), order: 2 * n, spec };
            stack.each([out], &|i, [x], room, order| {
                let a = &a[i * n * n..(i + 1) * n * n];
                if self.by != By::Lu {
                    let zero = (0..n).map(|k| (k, a[k * n + k].wide())).find(|(_, v)| v.is_nan() || *v == 0.0);
                    check("triangular_solve", "singular", i, zero)?;
                    linalg::triangular_solve(a, n, self.by == By::Lower, x, m, room);
                    return Ok(());
                }
                let ((lu, room), (order, rows)) = (room.split_at_mut(n * n), order.split_at_mut(n));
                let (most, room) = room.split_at_mut(2 * n);
                lu.copy_from_slice(a);
                let (_, bad) = linalg::lu(lu, n, order, room);
                let bad = bad.or_else(|| linalg::lost_pivot(lu, a, n, order, rows, most, ulp(spec.dtype)));
                check("solve", "singular", i, bad)?;
                linalg::lu_solve(lu, n, order, x, m, room);
                Ok(())
            })?;
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE.input(0).output(0)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (at, x) = (step.input(0).t()?, step.output(0));
        let by = match self.by {
            By::Lu => By::Lu,
            By::Lower => By::Upper,
            By::Upper => By::Lower,
        };
        let b = apply1(Solve { by }, &[&at, &step.grad(0)?])?;
        let mut grads: Grads = few![None, None];
        if step.wants(0) {
            let a = b.matmul(&x.t()?)?.neg()?;
            grads[0] = Some(match self.by {
                By::Lu => a,
                By::Lower => a.mul(&below(&a, 1.0)?)?,
                By::Upper => a.mul(&below(&a, 1.0)?.t()?)?,
            });
        }
        grads[1] = Some(b);
        Ok(grads)
    }
}

/// Returns a mask for square matrices: 1 below the diagonal, this value on it, 0 above.
fn below(like: &Tensor, diagonal: f64) -> Result<Tensor> {
    let n = like.dims()[like.rank() - 1];
    let row = Tensor::arange(n)?;
    let (i, j) = (row.expand_dims(1)?, row.expand_dims(0)?);
    let (strict, on) = (i.greater(&j)?.cast(like.dtype())?, i.equal(&j)?.cast(like.dtype())?);
    strict.add(&on.affine(diagonal, 0.0)?)
}

crate::op! {
    /// L of A = LLᵀ.
    struct Cholesky("cholesky", 1) {}
}

impl Op for Cholesky {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        square("cholesky", inputs[0])?;
        Ok(few![inputs[0]])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let n = square("cholesky", inputs[0].spec())?;
        dispatch_float!("cholesky", inputs[0].dtype(), T => {
            let a = inputs[0].contiguous()?;
            let out = outputs[0].slice_mut::<T>()?;
            out.copy_from_slice(a.slice::<T>()?);
            let (spec, count) = (inputs[0].spec(), out.len() / (n * n).max(1));
            let stack = Stack { count, work: n * n * n / 6, room: linalg::room(n, n), order: 0, spec };
            stack.each([out], &|i, [l], room, _| {
                check("cholesky", "not positive definite", i, linalg::cholesky(l, n, ulp(spec.dtype), room))
            })?;
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::OUTPUTS
    }
    /// Murray 2016: `½(S + Sᵀ)` with `S = L⁻ᵀ Φ(Lᵀ Ḡ) L⁻¹`, where Φ keeps the lower triangle and halves the diagonal.
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (l, g) = (step.output(0), step.grad(0)?);
        let lt = l.t()?;
        let g = g.mul(&below(&g, 1.0)?)?;
        let phi = lt.matmul(&g)?;
        let phi = phi.mul(&below(&phi, 0.5)?)?;
        let left = lt.triangular_solve(&phi, false)?;
        let s = lt.triangular_solve(&left.t()?, false)?;
        Ok(few![Some(s.add(&s.t()?)?.affine(0.5, 0.0)?)])
    }
}

crate::op! {
    /// Q and R of A = QR.
    struct Qr("qr", 1) {}
}

impl Op for Qr {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let (m, n) = matrix("qr", inputs[0])?;
        let (shape, dtype, k) = (inputs[0].shape, inputs[0].dtype, m.min(n));
        Ok(few![Spec::new(with_matrix(&shape, m, k), dtype), Spec::new(with_matrix(&shape, k, n), dtype)])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (m, n) = matrix("qr", inputs[0].spec())?;
        let (k, spec) = (m.min(n), inputs[0].spec());
        let [q, r] = outputs else { return Ok(()) };
        if spec.shape.elements() == 0 {
            return Ok(());
        }
        dispatch_float!("qr", inputs[0].dtype(), T => {
            let a = inputs[0].contiguous()?;
            let a = a.slice::<T>()?;
            let room = m * n + linalg::qr_room(m, n);
            let stack = Stack { count: a.len() / (m * n), work: 2 * m * n * k, room, order: 0, spec };
            stack.each([q.slice_mut::<T>()?, r.slice_mut::<T>()?], &|i, [q, r], room, _| {
                let (copy, room) = room.split_at_mut(m * n);
                copy.copy_from_slice(&a[i * m * n..(i + 1) * m * n]);
                linalg::qr(copy, m, n, q, r, room);
                Ok(())
            })?;
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::OUTPUTS
    }
    /// Walter and Lehmann 2018: `(Q̄ + Q·sym(M))·R⁻ᵀ` with `M = R·R̄ᵀ - Q̄ᵀ·Q`, where sym copies the lower triangle
    /// above.
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (q, r) = (step.output(0), step.output(1));
        if q.dims()[q.rank() - 2] < r.dims()[r.rank() - 1] {
            return Err(Error::NotDifferentiable {
                op: "qr",
                why: "a matrix with more columns than rows has many Rs",
            });
        }
        let (gq, gr) = (step.grad(0)?, step.grad(1)?);
        let m = r.matmul(&gr.t()?)?.sub(&gq.t()?.matmul(&q)?)?;
        let half = m.mul(&below(&m, 0.5)?)?;
        let right = gq.add(&q.matmul(&half.add(&half.t()?)?)?)?;
        // X·R⁻ᵀ is the transpose of R⁻¹·Xᵀ.
        Ok(few![Some(r.triangular_solve(&right.t()?, false)?.t()?)])
    }
}

crate::op! {
    /// L and U of PA = LU in one matrix, the row that each step exchanged with its own, and the row of A that each row of LU
    /// is (int64).
    struct Lu("lu", 1) {}
}

impl Op for Lu {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        square("lu", inputs[0])?;
        let shape = inputs[0].shape;
        let rows = Spec::new(Shape::new(&shape.dims()[..shape.rank() - 1])?, DType::I64);
        Ok(few![inputs[0], rows, rows])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (spec, n) = (inputs[0].spec(), square("lu", inputs[0].spec())?);
        let [lu, pivots, rows] = outputs else { return Ok(()) };
        if spec.shape.elements() == 0 {
            return Ok(());
        }
        let (pivots, rows) = (pivots.slice_mut::<i64>()?, rows.slice_mut::<i64>()?);
        dispatch_float!("lu", spec.dtype, T => {
            let a = inputs[0].contiguous()?;
            let lu = lu.slice_mut::<T>()?;
            lu.copy_from_slice(a.slice::<T>()?);
            // Positions in the type of the matrices, which has every number of rows: parts have one type.
            let count = lu.len() / (n * n);
            let mut orders = filled(count * n, T::zero(), spec)?;
            let stack = Stack { count, work: n * n * n / 3, room: linalg::room(n, n), order: n, spec };
            stack.each([lu, &mut orders], &|_, [lu, to], room, order| {
                linalg::lu(lu, n, order, room);
                to.iter_mut().zip(&*order).for_each(|(to, &from)| *to = T::of(from as f64));
                Ok(())
            })?;
            for ((orders, pivots), rows) in orders.chunks(n).zip(pivots.chunks_mut(n)).zip(rows.chunks_mut(n)) {
                rows.iter_mut().enumerate().for_each(|(k, row)| *row = k as i64);
                for (k, from) in orders.iter().enumerate() {
                    pivots[k] = from.wide() as i64;
                    rows.swap(k, from.wide() as usize);
                }
            }
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::OUTPUTS
    }
    /// `Pᵀ·L⁻ᵀ·M·U⁻ᵀ`, where M is `Lᵀ·L̄` below the diagonal, and `Ū·Uᵀ` on it and above.
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (l, u) = step.output(0).l_and_u()?;
        let g = step.grad(0)?;
        let m = l.t()?.matmul(&g.tril(-1)?)?.tril(-1)?.add(&g.triu(0)?.matmul(&u.t()?)?.triu(0)?)?;
        let left = l.t()?.triangular_solve(&m, false)?;
        let moved = u.triangular_solve(&left.t()?, false)?.t()?;
        let back = step.output(2).detach().argsort(-1, false)?.expand_dims(-1)?;
        Ok(few![Some(moved.take_along_axis(&back, -2)?)])
    }
}

crate::op! {
    /// Sign, and logarithm of the absolute value, of the determinant.
    struct SlogDet("slogdet", 1) {}
}

impl Op for SlogDet {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        square("slogdet", inputs[0])?;
        let stack =
            Spec::new(Shape::new(&inputs[0].shape.dims()[..inputs[0].shape.rank() - 2])?, inputs[0].dtype);
        Ok(few![stack, stack])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let n = square("slogdet", inputs[0].spec())?;
        let ([signs, logs], spec) = (outputs, inputs[0].spec()) else { return Ok(()) };
        if signs.shape().elements() == 0 {
            return Ok(());
        }
        dispatch_float!("slogdet", inputs[0].dtype(), T => {
            let a = inputs[0].contiguous()?;
            let (a, signs, logs) = (a.slice::<T>()?, signs.slice_mut::<T>()?, logs.slice_mut::<T>()?);
            let room = n * n + linalg::room(n, n);
            let stack = Stack { count: signs.len(), work: n * n * n / 3, room, order: n, spec };
            stack.each([signs, logs], &|i, [sign, log], room, order| {
                let (lu, room) = room.split_at_mut(n * n);
                lu.copy_from_slice(&a[i * n * n..(i + 1) * n * n]);
                (sign[0], _) = linalg::lu(lu, n, order, room);
                log[0] = T::zero();
                for k in 0..n {
                    let pivot = lu[k * n + k];
                    sign[0] *= pivot.step() - (-pivot).step(); // 0 where the pivot is
                    log[0] += T::of(libm::log(pivot.wide().abs()));
                }
                Ok(())
            })?;
        });
        Ok(())
    }
    /// `A⁻ᵀ` times the gradient of the logarithm; the sign has none.
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let g = step.grad(1)?.expand_dims(-1)?.expand_dims(-1)?;
        Ok(few![Some(step.input(0).inverse()?.t()?.mul(&g)?)])
    }
}

crate::op! {
    /// The determinant: the product of the pivots.
    struct Det("det", 1) {}
}

impl Op for Det {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        square("det", inputs[0])?;
        let shape = inputs[0].shape;
        Ok(few![Spec::new(Shape::new(&shape.dims()[..shape.rank() - 2])?, inputs[0].dtype)])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (n, spec) = (square("det", inputs[0].spec())?, inputs[0].spec());
        dispatch_float!("det", inputs[0].dtype(), T => {
            let (a, out) = (inputs[0].contiguous()?, outputs[0].slice_mut::<T>()?);
            if out.is_empty() {
                return Ok(());
            }
            let (a, room) = (a.slice::<T>()?, n * n + linalg::room(n, n));
            let stack = Stack { count: out.len(), work: n * n * n / 3, room, order: n, spec };
            stack.each([out], &|i, [det], room, order| {
                let (lu, room) = room.split_at_mut(n * n);
                lu.copy_from_slice(&a[i * n * n..(i + 1) * n * n]);
                det[0] = linalg::det(lu, n, order, room);
                Ok(())
            })?;
        });
        Ok(())
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let g = step.grad(0)?.expand_dims(-1)?.expand_dims(-1)?;
        Ok(few![Some(apply1(Cofactor {}, &[&step.input(0)])?.mul(&g)?)])
    }
}

crate::op! {
    /// The matrix of cofactors, which is the transposed inverse times the determinant where there is an inverse.
    struct Cofactor("cofactor", 1) {}
}

/// Up to this size the gradient of the cofactors is made of determinants of minors, which is right for singular
/// matrices too. Beyond it is made of the inverse, which must exist.
const MINORS: usize = 8;

impl Op for Cofactor {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        square("cofactor", inputs[0])?;
        Ok(few![inputs[0]])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (n, spec) = (square("cofactor", inputs[0].spec())?, inputs[0].spec());
        dispatch_float!("cofactor", inputs[0].dtype(), T => {
            let (a, out) = (inputs[0].contiguous()?, outputs[0].slice_mut::<T>()?);
            if out.is_empty() {
                return Ok(());
            }
            let (a, room) = (a.slice::<T>()?, 2 * n * n + 2 * n + linalg::room(n, n));
            let stack = Stack { count: out.len() / (n * n), work: 2 * n * n * n, room, order: 2 * n, spec };
            stack.each([out], &|i, [out], room, order| {
                let a = &a[i * n * n..(i + 1) * n * n];
                let ((lu, room), (order, rows)) = (room.split_at_mut(n * n), order.split_at_mut(n));
                let (inverse, room) = room.split_at_mut(n * n);
                let (most, room) = room.split_at_mut(2 * n);
                lu.copy_from_slice(a);
                let (sign, bad) = linalg::lu(lu, n, order, room);
                let bad = bad.or_else(|| linalg::lost_pivot(lu, a, n, order, rows, most, ulp(spec.dtype)));
                if bad.is_none() {
                    inverse.fill(T::zero());
                    (0..n).for_each(|i| inverse[i * n + i] = T::one());
                    linalg::lu_solve(lu, n, order, inverse, n, room);
                    let det = (0..n).fold(sign, |d, k| d * lu[k * n + k]);
                    for (i, o) in out.iter_mut().enumerate() {
                        *o = det * inverse[i % n * n + i / n];
                    }
                    return Ok(());
                }
                let m = n - 1;
                for (i, o) in out.iter_mut().enumerate() {
                    let (row, column) = (i / n, i % n);
                    let kept = (0..n * n).filter(|at| at / n != row && at % n != column);
                    kept.zip(&mut *inverse).for_each(|(at, slot)| *slot = a[at]);
                    let minor = linalg::det(&mut inverse[..m * m], m, &mut order[..m], room);
                    *o = if (row + column).is_multiple_of(2) { minor } else { -minor };
                }
                Ok(())
            })?;
        });
        Ok(())
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        step.composed(|x| {
            let n = square("cofactor", x[0].spec())?;
            if n == 0 {
                return Ok(few![x[0].clone()]); // of no elements
            }
            if n > MINORS {
                let det = x[0].det()?.expand_dims(-1)?.expand_dims(-1)?;
                return Ok(few![x[0].inverse()?.t()?.mul(&det)?]);
            }
            let mut all = Vec::new();
            for (row, column) in (0..n * n).map(|i| (i / n, i % n)) {
                let others = |left: usize| (0..n as i64).filter(|i| *i != left as i64).collect::<Vec<_>>();
                let (rows, columns) = (others(row), others(column));
                let minor = x[0].gather(&Tensor::from_slice(&rows, [n - 1])?, -2)?;
                let minor = minor.gather(&Tensor::from_slice(&columns, [n - 1])?, -1)?.det()?;
                all.push(if (row + column).is_multiple_of(2) { minor } else { minor.neg()? });
            }
            let all = all.iter().collect::<Vec<_>>();
            Ok(few![Tensor::stack(&all, -1)?.reshape_to(*x[0].shape())?])
        })
    }
}

impl Tensor {
    /// Broadcasts the axes before the last two of both.
    fn stacked(&self, other: &Tensor, op: &'static str) -> Result<(Tensor, Tensor)> {
        let [a, b] = alike([self, other])?;
        let ((n, k), (rows, cols)) = (matrix(op, a.spec())?, matrix(op, b.spec())?);
        let stack = |t: &Tensor| Shape::new(&t.dims()[..t.rank() - 2]);
        let stack = Shape::broadcast(op, stack(&a)?, stack(&b)?)?;
        let full = |rows: usize, cols: usize| {
            Shape::new(&stack.dims().iter().copied().chain([rows, cols]).collect::<Few<_, MAX_RANK>>())
        };
        Ok((a.broadcast_to(full(n, k)?)?, b.broadcast_to(full(rows, cols)?)?))
    }

    /// Returns X of AX = B for each square matrix A of this stack, `[..., n, n]`; B is `[..., n, m]` or a vector
    /// `[n]`. Uses LU with partial pivoting. The axes before the last two broadcast.
    ///
    /// ```
    /// # use gradus::Tensor;
    /// let a = Tensor::from_slice(&[2.0, 1.0, 1.0, 3.0], [2, 2])?;
    /// let x = a.solve(&Tensor::from_slice(&[5.0, 10.0], [2])?)?;
    /// assert_eq!(x.to_vec::<f64>()?, [1.0, 3.0]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// A matrix is singular, sizes do not fit, or the dtype is not float32 or float64.
    pub fn solve(&self, b: &Tensor) -> Result<Tensor> {
        if b.rank() == 1 {
            return self.solve(&b.expand_dims(1)?)?.squeeze(-1);
        }
        let (a, b) = self.stacked(b, "solve")?;
        apply1(Solve { by: By::Lu }, &[&a, &b])
    }

    /// [`Tensor::solve`] that reads only the lower or the upper triangle of A.
    ///
    /// # Errors
    /// Those of [`Tensor::solve`].
    pub fn triangular_solve(&self, b: &Tensor, lower: bool) -> Result<Tensor> {
        if b.rank() == 1 {
            return self.triangular_solve(&b.expand_dims(1)?, lower)?.squeeze(-1);
        }
        let (a, b) = self.stacked(b, "triangular_solve")?;
        apply1(Solve { by: if lower { By::Lower } else { By::Upper } }, &[&a, &b])
    }

    /// Returns the inverse of each square matrix. To solve equations, [`Tensor::solve`] is faster and more
    /// accurate.
    ///
    /// # Errors
    /// Those of [`Tensor::solve`].
    pub fn inverse(&self) -> Result<Tensor> {
        let n = square("inverse", self.spec())?;
        self.solve(&Tensor::eye(n, n, 0, self.dtype())?)
    }

    /// Returns L, lower triangular, of A = LLᵀ for each symmetric positive definite matrix; only the lower triangle
    /// is read. The gradient is symmetric.
    ///
    /// # Errors
    /// A matrix is not positive definite or not square, or the dtype is not float32 or float64.
    pub fn cholesky(&self) -> Result<Tensor> {
        apply1(Cholesky {}, &[self])
    }

    /// The lower triangle with ones on the diagonal, and the upper.
    fn l_and_u(&self) -> Result<(Tensor, Tensor)> {
        let n = square("lu", self.spec())?;
        Ok((self.tril(-1)?.add(&Tensor::eye(n, n, 0, self.dtype())?)?, self.triu(0)?))
    }

    /// Returns the LU factorization with partial pivoting of each square matrix as LAPACK's `getrf` does: U in and above
    /// the diagonal, L (whose diagonal is 1) below it, and the pivots `[..., n]` (int64): row k was exchanged with row
    /// `pivots[k]`, from the first to the last. Singular matrices have a 0 on the diagonal of U, and no gradient.
    ///
    /// # Errors
    /// Matrices are not square, or the dtype is not float32 or float64.
    pub fn lu_factor(&self) -> Result<(Tensor, Tensor)> {
        let mut outputs = apply(Lu {}, &[self])?;
        let pivots = outputs.swap_remove(1);
        Ok((outputs.swap_remove(0), pivots))
    }

    /// Returns the rows p of A (int64, `[..., n]`), L with ones on its diagonal, and U, of `A[p] = LU` for each square
    /// matrix.
    ///
    /// # Errors
    /// Those of [`Tensor::lu_factor`].
    pub fn lu(&self) -> Result<(Tensor, Tensor, Tensor)> {
        let mut outputs = apply(Lu {}, &[self])?;
        let rows = outputs.swap_remove(2);
        let (l, u) = outputs.swap_remove(0).l_and_u()?;
        Ok((rows, l, u))
    }

    /// Returns the inverse of LLᵀ, where this is L (what [`Tensor::cholesky`] returns).
    ///
    /// # Errors
    /// Those of [`Tensor::triangular_solve`].
    pub fn cholesky_inverse(&self) -> Result<Tensor> {
        let n = square("cholesky_inverse", self.spec())?;
        let inverse = self.triangular_solve(&Tensor::eye(n, n, 0, self.dtype())?, true)?;
        inverse.t()?.matmul(&inverse)
    }

    /// Returns Q, `[..., m, k]` with orthonormal columns, and R, `[..., k, n]` upper triangular, of A = QR for each
    /// matrix `[..., m, n]`, where k is the smaller of m and n. Signs are LAPACK's: the diagonal of R may be
    /// negative.
    ///
    /// # Errors
    /// There are fewer than two axes, or the dtype is not float32 or float64. Gradients exist for m >= n and full rank.
    pub fn qr(&self) -> Result<(Tensor, Tensor)> {
        let mut outputs = apply(Qr {}, &[self])?;
        let r = outputs.swap_remove(1);
        Ok((outputs.swap_remove(0), r))
    }

    /// Returns the sign (-1, 0 or 1) and the logarithm of the absolute value of each determinant; 0 and -infinity
    /// if a matrix is singular.
    ///
    /// # Errors
    /// Matrices are not square, or the dtype is not float32 or float64. There is no gradient at a singular matrix.
    pub fn slogdet(&self) -> Result<(Tensor, Tensor)> {
        let mut outputs = apply(SlogDet {}, &[self])?;
        let log = outputs.swap_remove(1);
        Ok((outputs.swap_remove(0), log))
    }

    /// Returns the determinant of each square matrix. [`Tensor::slogdet`] is better for large determinants. The
    /// gradient, the matrix of cofactors, exists at singular matrices too.
    ///
    /// # Errors
    /// Matrices are not square, or the dtype is not float32 or float64.
    pub fn det(&self) -> Result<Tensor> {
        apply1(Det {}, &[self])
    }

    /// Returns the X for which AX is nearest to B, by QR: A is `[..., m, n]` with m >= n and of full rank, B
    /// `[..., m, k]`.
    ///
    /// # Errors
    /// A has more columns than rows, its columns depend on each other, or sizes or dtypes do not fit.
    pub fn lstsq(&self, b: &Tensor) -> Result<Tensor> {
        if b.rank() == 1 {
            return self.lstsq(&b.expand_dims(1)?)?.squeeze(-1);
        }
        let (m, n) = matrix("lstsq", self.spec())?;
        if m < n {
            return Err(Error::shape(
                "lstsq",
                "matrices with at least as many rows as columns",
                *self.shape(),
            ));
        }
        let (q, r) = self.qr()?;
        if !self.is_traced() {
            check_rank(self, &r)?;
        }
        r.triangular_solve(&q.t()?.matmul(b)?, false)
    }
}
