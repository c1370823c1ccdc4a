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

/// Sizes around the ends of blocks.
const LARGE: [usize; 8] = [31, 32, 33, 48, 65, 67, 200, 400];

/// The largest number of a difference.
fn off(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!((a.dims(), a.dtype()), (b.dims(), b.dtype()));
    let of = a.sub(b).unwrap().abs().unwrap().to_vec_f64();
    of.iter().fold(0.0, |m, x| if *x > m || x.is_nan() { *x } else { m })
}

#[test]
fn factors_of_large_matrices_make_up_the_matrix() {
    for (dtype, ulp) in [(DType::F64, f64::EPSILON), (DType::F32, f64::from(f32::EPSILON))] {
        for n in LARGE {
            // Entries are about 1, and norms about the root of n.
            let bound = ulp * (20.0 + n as f64);
            let a = regular(&[n, n]).cast(dtype).unwrap();
            let (rows, l, u) = a.lu().unwrap();
            assert!(off(&l.matmul(&u).unwrap(), &a.gather(&rows, 0).unwrap()) <= bound, "lu {n}");
            let (q, r) = a.qr().unwrap();
            assert!(off(&q.matmul(&r).unwrap(), &a) <= bound, "qr {n}");
            assert!(off(&q.t().unwrap().matmul(&q).unwrap(), &eye(n, &q)) <= bound, "qr {n}");
            let s = positive(&a).unwrap().affine(1.0 / n as f64, 0.0).unwrap();
            let l = s.cholesky().unwrap();
            assert!(off(&l.matmul(&l.t().unwrap()).unwrap(), &s) <= bound, "cholesky {n}");
            assert_eq!(off(&l.tril(0).unwrap(), &l), 0.0);
            if n > 200 {
                continue;
            }
            let (w, v) = s.eigh().unwrap();
            let top = w.to_vec_f64()[n - 1];
            let vw = v.mul(&w.expand_dims(-2).unwrap()).unwrap();
            assert!(off(&s.matmul(&v).unwrap(), &vw) <= bound * top, "eigh {n}");
            assert!(off(&v.t().unwrap().matmul(&v).unwrap(), &eye(n, &v)) <= bound, "eigh {n}");
            for (m, n) in [(n, n), (n + 7, n), (n, n + 7), (3 * n, n)] {
                let a = points(&[m, n], 5).cast(dtype).unwrap();
                let (u, s, vt) = a.svd().unwrap();
                let us = u.mul(&s.expand_dims(-2).unwrap()).unwrap();
                assert!(off(&us.matmul(&vt).unwrap(), &a) <= bound * s.to_vec_f64()[0], "svd {m} {n}");
                let k = m.min(n);
                assert!(off(&u.t().unwrap().matmul(&u).unwrap(), &eye(k, &u)) <= bound, "svd {m} {n}");
                assert!(off(&vt.matmul(&vt.t().unwrap()).unwrap(), &eye(k, &u)) <= bound, "svd {m} {n}");
            }
        }
    }
}

#[test]
fn a_stack_gives_the_bits_of_each_matrix() {
    for n in [1, 5, 20, 33, 70] {
        let all = regular(&[6, n, n]);
        let one = |f: &dyn Fn(&Tensor) -> Vec<Tensor>| {
            let whole = f(&all);
            for i in 0..6 {
                for (alone, whole) in f(&all.select(0, i).unwrap()).iter().zip(&whole) {
                    let part = whole.select(0, i).unwrap();
                    assert_eq!(alone.to_vec_f64(), part.contiguous().unwrap().to_vec_f64(), "{n}");
                }
            }
        };
        one(&|a| vec![a.inverse().unwrap(), a.det().unwrap(), positive(a).unwrap().cholesky().unwrap()]);
        one(&|a| a.qr().map(|(q, r)| vec![q, r]).unwrap());
        one(&|a| a.lu_factor().map(|(lu, p)| vec![lu, p]).unwrap());
        one(&|a| a.slogdet().map(|(sign, log)| vec![sign, log]).unwrap());
        one(&|a| a.svd().map(|(u, s, v)| vec![u, s, v]).unwrap());
        one(&|a| a.eigh().map(|(w, v)| vec![w, v]).unwrap());
    }
}

#[test]
fn the_first_matrix_of_a_stack_that_fails_is_named() {
    for n in [3, 40] {
        let good = regular(&[7, n, n]);
        let bad = |i: usize| {
            let keep: Vec<f64> = (0..7).map(|k| if k == i || k == 6 { 0.0 } else { 1.0 }).collect();
            good.mul(&Tensor::from_slice(&keep, [7, 1, 1]).unwrap()).unwrap()
        };
        for i in [0, 3, 5] {
            let said = bad(i).inverse().unwrap_err().to_string();
            assert_eq!(said, format!("solve: matrix {i} of the stack is singular: pivot 0 is 0"));
            let said = bad(i).cholesky().unwrap_err().to_string();
            assert!(said.starts_with("cholesky: matrix 0 of the stack"), "{said}");
        }
        // Twice the same column: what is left of the last pivot is rounding.
        let twice = good.slice(-1, 0, n as isize - 1).unwrap();
        let twice = Tensor::concat(&[&twice, &good.slice(-1, 0, 1).unwrap()], -1).unwrap();
        let said = twice.inverse().unwrap_err().to_string();
        assert!(said.contains(&format!("matrix 0 of the stack is singular: pivot {}", n - 1)), "{said}");
        let said = twice.lstsq(&good).unwrap_err().to_string();
        assert!(said.contains(&format!("pivot {}", n - 1)), "{said}");
    }
}

#[test]
fn what_is_not_a_number_is_not_lost() {
    for n in [4, 40] {
        for odd in [f64::NAN, f64::INFINITY] {
            let mut values = regular(&[n, n]).to_vec_f64();
            values[n + 1] = odd;
            let a = Tensor::from_slice(&values, [n, n]).unwrap();
            let (w, v) = a.eigh().unwrap();
            let (u, s, vt) = a.svd().unwrap();
            for t in [w, v, u, s, vt] {
                assert!(t.to_vec_f64().iter().all(|x| x.is_nan()));
            }
            assert!(a.cholesky().is_err());
            if odd.is_nan() {
                assert!(a.inverse().is_err() && a.det().unwrap().item().unwrap().is_nan());
                assert!(a.qr().unwrap().1.to_vec_f64().iter().any(|x| x.is_nan()));
            }
        }
    }
}
