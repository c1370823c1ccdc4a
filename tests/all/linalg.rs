//! Tests of factorizations against what defines them, for stacks, views, both float types and sizes 0 and 1, and
//! against NumPy's numbers.

use gradus::{DType, Result, Tensor};

fn points(shape: &[usize], salt: usize) -> Tensor {
    let n = shape.iter().product::<usize>();
    let value = |i: usize| ((i * i + 31 * salt + 7 * i) as f64 * 0.618_034 + 0.137).fract() * 2.0 - 1.0;
    Tensor::from_slice(&(0..n).map(value).collect::<Vec<_>>(), shape).unwrap()
}

/// Far from singular, and needing exchanges of rows.
fn regular(shape: &[usize]) -> Tensor {
    let n = shape[shape.len() - 1];
    let turned = Tensor::from_slice(&(0..n as i64).rev().collect::<Vec<_>>(), [n]).unwrap();
    points(shape, 0).add(&turned.one_hot(n, DType::F64).unwrap().affine(2.5, 0.0).unwrap()).unwrap()
}

/// Symmetric and positive definite.
fn positive(a: &Tensor) -> Result<Tensor> {
    let n = a.dims()[a.rank() - 1];
    a.matmul(&a.t()?)?.add(&Tensor::arange(n)?.one_hot(n, a.dtype())?.affine(0.5, 0.0)?)
}

#[track_caller]
fn near(a: &Tensor, b: &Tensor, tolerance: f64) {
    assert_eq!((a.dims(), a.dtype()), (b.dims(), b.dtype()));
    let (a, b) = (a.cast(DType::F64).unwrap(), b.cast(DType::F64).unwrap());
    for (a, b) in a.to_vec::<f64>().unwrap().iter().zip(b.to_vec::<f64>().unwrap()) {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{a} but expected {b}");
    }
}

fn eye(n: usize, like: &Tensor) -> Tensor {
    let dims = [&like.dims()[..like.rank() - 2], &[n, n]].concat();
    Tensor::arange(n).unwrap().one_hot(n, like.dtype()).unwrap().broadcast_to(dims).unwrap()
}

const SHAPES: [&[usize]; 7] = [&[1, 1], &[2, 2], &[5, 5], &[3, 4, 4], &[2, 1, 3, 3], &[0, 0], &[0, 3, 3]];

#[test]
fn identities_hold() {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 2e-5)] {
        for shape in SHAPES {
            let n = shape[shape.len() - 1];
            let a = regular(shape).cast(dtype).unwrap();
            for a in [a.clone(), a.t().unwrap()] {
                let b = points(&[&shape[..shape.len() - 2], &[n, 2]].concat(), 1).cast(dtype).unwrap();
                near(&a.matmul(&a.solve(&b).unwrap()).unwrap(), &b, tolerance);
                near(&a.matmul(&a.inverse().unwrap()).unwrap(), &eye(n, &a), tolerance);
                let v = points(&[n], 2).cast(dtype).unwrap();
                let av =
                    a.matmul(&a.solve(&v).unwrap().expand_dims(-1).unwrap()).unwrap().squeeze(-1).unwrap();
                near(&av, &v.broadcast_to(*av.shape()).unwrap(), tolerance);
                let s = positive(&a).unwrap();
                let l = s.cholesky().unwrap();
                near(&l.matmul(&l.t().unwrap()).unwrap(), &s, tolerance);
                let x = l.triangular_solve(&b, true).unwrap();
                near(&l.matmul(&x).unwrap(), &b, tolerance);
                let x = l.t().unwrap().triangular_solve(&b, false).unwrap();
                near(&l.t().unwrap().matmul(&x).unwrap(), &b, tolerance);
                let (sign, log) = a.slogdet().unwrap();
                let det = a.det().unwrap();
                near(&sign.mul(&log.exp().unwrap()).unwrap(), &det, tolerance);
                near(&a.t().unwrap().det().unwrap(), &det, 10.0 * tolerance);
            }
        }
        for (m, n) in [(1, 1), (3, 3), (5, 3), (3, 5), (4, 1), (1, 4), (4, 0)] {
            let a = points(&[2, m, n], 3).cast(dtype).unwrap();
            let (q, r) = a.qr().unwrap();
            let k = m.min(n);
            assert_eq!((q.dims(), r.dims()), (&[2, m, k][..], &[2, k, n][..]));
            near(&q.matmul(&r).unwrap(), &a, tolerance);
            near(&q.t().unwrap().matmul(&q).unwrap(), &eye(k, &q), tolerance);
            let r = r.to_vec_f64();
            for (i, x) in r.iter().enumerate() {
                assert!(i % n.max(1) >= i / n.max(1) % k.max(1) || *x == 0.0, "R is upper triangular");
            }
        }
    }
}

#[test]
fn eigenvectors_and_singular_vectors_make_up_the_matrix() {
    for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 2e-6)] {
        for (m, n) in [(1, 1), (2, 2), (3, 3), (7, 7), (5, 2), (2, 5), (4, 0), (0, 3)] {
            let a = points(&[2, m, n], 4).cast(dtype).unwrap();
            let zeros = a.affine(0.0, 0.0).unwrap();
            // Of rank 1 at most, and as large as the type allows.
            let flat =
                a.select(-1, -1).ok().map(|c| c.expand_dims(-1).unwrap().broadcast_to(*a.shape()).unwrap());
            let large = a.affine(1e30, 0.0).unwrap();
            for (a, size) in
                [(a.clone(), 1.0), (zeros, 1.0), (large, 1e30)].into_iter().chain(flat.map(|f| (f, 1.0)))
            {
                let (u, s, vt) = a.svd().unwrap();
                let k = m.min(n);
                assert_eq!((u.dims(), s.dims(), vt.dims()), (&[2, m, k][..], &[2, k][..], &[2, k, n][..]));
                let back = u
                    .mul(&s.affine(1.0 / size, 0.0).unwrap().expand_dims(-2).unwrap())
                    .unwrap()
                    .matmul(&vt)
                    .unwrap();
                near(&back, &a.affine(1.0 / size, 0.0).unwrap(), tolerance);
                near(&u.t().unwrap().matmul(&u).unwrap(), &eye(k, &u), tolerance);
                near(&vt.matmul(&vt.t().unwrap()).unwrap(), &eye(k, &u), tolerance);
                if m != n {
                    continue;
                }
                let symmetric = a.affine(1.0 / size, 0.0).unwrap();
                let symmetric = symmetric.add(&symmetric.t().unwrap()).unwrap();
                let (w, v) = symmetric.eigh().unwrap();
                let back = v.mul(&w.expand_dims(-2).unwrap()).unwrap().matmul(&v.t().unwrap()).unwrap();
                near(&back, &symmetric, tolerance);
                near(&v.t().unwrap().matmul(&v).unwrap(), &eye(n, &v), tolerance);
                for w in w.to_vec_f64().chunks(n) {
                    assert!(w.is_sorted());
                }
            }
        }
    }
    // Small values beside large ones have their digits.
    let graded = Tensor::from_slice(&[1.0, 1e-8, 1e-8, 1e-15], [2, 2]).unwrap();
    let s = graded.svd().unwrap().1.to_vec_f64();
    assert!((s[1] / 9e-16 - 1.0).abs() < 1e-7 && (s[0] - 1.0).abs() < 1e-15, "{s:?}");
}

trait Wide {
    fn to_vec_f64(&self) -> Vec<f64>;
}
impl Wide for Tensor {
    fn to_vec_f64(&self) -> Vec<f64> {
        self.cast(DType::F64).unwrap().to_vec().unwrap()
    }
}

#[test]
fn numbers_are_those_of_known_examples() {
    // Wikipedia's examples of the Cholesky and QR factorisations.
    let a = Tensor::from_slice(&[4.0, 12.0, -16.0, 12.0, 37.0, -43.0, -16.0, -43.0, 98.0], [3, 3]).unwrap();
    assert_eq!(a.cholesky().unwrap().to_vec_f64(), [2.0, 0.0, 0.0, 6.0, 1.0, 0.0, -8.0, 5.0, 3.0]);
    near(&a.det().unwrap(), &Tensor::scalar(36.0).unwrap(), 1e-12);
    let a = Tensor::from_slice(&[12.0, -51.0, 4.0, 6.0, 167.0, -68.0, -4.0, 24.0, -41.0], [3, 3]).unwrap();
    let (q, r) = a.qr().unwrap();
    let want = [-14.0, -21.0, 14.0, 0.0, -175.0, 70.0, 0.0, 0.0, 35.0];
    for (got, want) in r.to_vec_f64().iter().zip(want) {
        assert!((got.abs() - f64::abs(want)).abs() < 1e-12, "{got} {want}");
    }
    assert!(r.to_vec_f64()[0] < 0.0, "LAPACK's sign");
    assert!((q.to_vec_f64()[0] + 6.0 / 7.0).abs() < 1e-14);
    // A line through (0, 6), (1, 0), (2, 0): 5 - 3x.
    let a = Tensor::from_slice(&[1.0, 0.0, 1.0, 1.0, 1.0, 2.0], [3, 2]).unwrap();
    let x = a.lstsq(&Tensor::from_slice(&[6.0, 0.0, 0.0], [3]).unwrap()).unwrap();
    near(&x, &Tensor::from_slice(&[5.0, -3.0], [2]).unwrap(), 1e-12);
}

#[test]
fn singular_and_indefinite_matrices_are_named() {
    let good = regular(&[2, 2]);
    let bad = Tensor::from_slice(&[1.0, 2.0, 2.0, 4.0], [2, 2]).unwrap();
    let both = Tensor::stack(&[&good, &bad], 0).unwrap();
    let said = |r: Result<Tensor>| r.unwrap_err().to_string();
    assert_eq!(said(both.inverse()), "solve: matrix 1 of the stack is singular: pivot 1 is 0");
    assert!(
        said(both.affine(f64::NAN, 0.0).unwrap().inverse())
            .contains("matrix 0 of the stack is singular: pivot 0 is NaN")
    );
    let flat = Tensor::from_slice(&[1.0, 2.0, 2.0, 1.0], [2, 2]).unwrap();
    assert_eq!(
        said(flat.cholesky()),
        "cholesky: matrix 0 of the stack is not positive definite: pivot 1 is -3"
    );
    assert!(
        said(flat.mul(&Tensor::scalar(0.0).unwrap()).unwrap().triangular_solve(&bad, true))
            .contains("pivot 0 is 0")
    );
    assert_eq!(bad.det().unwrap().item().unwrap(), 0.0);
    let (sign, log) = bad.slogdet().unwrap();
    assert_eq!((sign.item().unwrap(), log.item().unwrap()), (0.0, f64::NEG_INFINITY));
}
