//! Reductions and QR steps beside Jacobi's rotations, and what defines eigenvalues and singular values.

use super::*;
use crate::kernels::testing::Rng;

const SIZES: [usize; 10] = [2, 3, 17, 31, 32, 33, 65, 67, 100, 200];

fn product(a: Mat<'_, f64>, b: Mat<'_, f64>) -> Vec<f64> {
    let mut c = vec![0.0; a.rows * b.cols];
    gemm(a, b, MatMut::row_major(&mut c, a.rows, b.cols), Store::Write, Epilogue::NONE);
    c
}

#[track_caller]
fn near(got: &[f64], want: &[f64], bound: f64, what: &str) {
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= bound, "{what}: element {i}: {g} instead of {w}");
    }
}

fn eye(n: usize) -> Vec<f64> {
    (0..n * n).map(|i| if i % n == i / n { 1.0 } else { 0.0 }).collect()
}

fn norm(a: &[f64]) -> f64 {
    a.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Symmetric matrices: random, of few values, already diagonal, graded, of rank 1, beside each other.
fn symmetric(n: usize) -> Vec<(&'static str, Vec<f64>)> {
    let random = Rng(n as u64).vec::<f64>(n * n);
    let of = |f: &dyn Fn(usize, usize) -> f64| {
        (0..n * n).map(|i| f((i / n).max(i % n), (i / n).min(i % n))).collect::<Vec<f64>>()
    };
    let grade = |i: usize| libm::exp2(-(i as f64) * 0.4);
    vec![
        ("random", of(&|i, j| random[i * n + j])),
        ("zeros", of(&|_, _| 0.0)),
        ("identity", of(&|i, j| if i == j { 1.0 } else { 0.0 })),
        ("ones", of(&|_, _| 1.0)),
        ("diagonal", of(&|i, j| if i == j { (i * 7 % n) as f64 } else { 0.0 })),
        ("graded", of(&|i, j| random[i * n + j] * grade(i) * grade(j))),
        ("graded upwards", of(&|i, j| random[i * n + j] * grade(n - i) * grade(n - j))),
        ("differences", of(&|i, j| [2.0, -1.0, 0.0][(i - j).min(2)])),
        ("pairs", of(&|i, j| [0.0, 1.0, 0.0][if i % 2 == 1 { (i - j).min(2) } else { 0 }])),
    ]
}

#[test]
fn eigenvectors_of_large_matrices() {
    for n in SIZES {
        for (what, a) in symmetric(n) {
            let size = norm(&a);
            let (mut w, mut v, mut order) = (vec![0.0; n], vec![0.0; n * n], vec![0; n]);
            let mut room = vec![f64::NAN; room_of(n)];
            eigh_of_large(&mut a.clone(), n, &mut w, &mut v, &mut order, &mut room).unwrap();
            let bound = 1e-15 * (10.0 + n as f64);
            let av = product(Mat::row_major(&a, n, n), Mat::row_major(&v, n, n));
            let vw: Vec<f64> = v.iter().enumerate().map(|(i, v)| v * w[i % n]).collect();
            near(&av, &vw, bound * size, what);
            near(&product(Mat::row_major(&v, n, n).t(), Mat::row_major(&v, n, n)), &eye(n), bound, what);
            assert!(w.is_sorted(), "{what}");
            let (mut jw, mut jv) = (vec![0.0; n], vec![0.0; n * n]);
            if n <= 100 {
                jacobi::eigh(&mut a.clone(), n, &mut jw, &mut jv).unwrap();
                near(&w, &jw, bound * size, what);
                if what == "random" {
                    near(&v, &jv, 1e-9, "signs are those of Jacobi's");
                }
            }
        }
    }
}

fn room_of(n: usize) -> usize {
    eigh_room(n.max(SMALL + 1))
}

/// Matrices of `m` rows of `n`.
fn any(m: usize, n: usize) -> Vec<(&'static str, Vec<f64>)> {
    let random = Rng((m + n) as u64).vec::<f64>(m * n);
    let of = |f: &dyn Fn(usize, usize) -> f64| (0..m * n).map(|i| f(i / n, i % n)).collect::<Vec<f64>>();
    let grade = |i: usize| libm::exp2(-(i as f64) * 0.4);
    vec![
        ("random", random.clone()),
        ("zeros", of(&|_, _| 0.0)),
        ("identity", of(&|i, j| if i == j { 1.0 } else { 0.0 })),
        ("ones", of(&|_, _| 1.0)),
        ("a column of zeros", of(&|i, j| if j == n / 2 { 0.0 } else { random[i * n + j] })),
        ("of rank 2", of(&|i, j| (i as f64).sqrt() + (j * j % 11) as f64)),
        ("graded", of(&|i, j| random[i * n + j] * grade(j))),
        ("graded upwards", of(&|i, j| random[i * n + j] * grade(n - j))),
        ("two diagonals", of(&|i, j| if i == j || i + 1 == j { 1.0 } else { 0.0 })),
        ("two diagonals, one zero", of(&|i, j| if i == j && i != n / 2 || i + 1 == j { 1.0 } else { 0.0 })),
    ]
}

#[test]
fn singular_vectors_of_large_matrices() {
    let square = SIZES.map(|n| (n, n));
    for (m, n) in square.into_iter().chain([(70, 67), (100, 31), (150, 99), (40, 2), (2, 1)]) {
        for (what, a) in any(m, n) {
            let size = norm(&a);
            let (mut u, mut s, mut v, mut order) = (a.clone(), vec![0.0; n], vec![0.0; n * n], vec![0; n]);
            let mut room = vec![f64::NAN; 2 * (m + 40) * (n + 40) + 200 * (m + n)];
            let settled = svd_of_large(&mut u, (m, n), &mut s, &mut v, &mut order, &mut room);
            assert_eq!(settled, Ok(()), "{what} {m} {n}");
            let bound = 1e-15 * (10.0 + m as f64);
            let us: Vec<f64> = u.iter().enumerate().map(|(i, u)| u * s[i % n]).collect();
            let back = product(Mat::row_major(&us, m, n), Mat::row_major(&v, n, n).t());
            near(&back, &a, bound * size, what);
            near(&product(Mat::row_major(&u, m, n).t(), Mat::row_major(&u, m, n)), &eye(n), bound, what);
            near(&product(Mat::row_major(&v, n, n).t(), Mat::row_major(&v, n, n)), &eye(n), bound, what);
            assert!(s.iter().rev().is_sorted() && s.iter().all(|s| *s >= 0.0), "{what}");
            if n <= 100 {
                let (mut ju, mut js, mut jv) = (a.clone(), vec![0.0; n], vec![0.0; n * n]);
                jacobi::svd(&mut ju, n, &mut js, &mut jv).unwrap();
                near(&s, &js, bound * size, what);
                if what == "random" && n > 1 {
                    near(&v, &jv, 1e-9, "signs are those of Jacobi's");
                    near(&u, &ju, 1e-9, "signs are those of Jacobi's");
                }
            }
        }
    }
}

#[test]
fn small_singular_values_of_two_diagonals_have_their_digits() {
    // Of a triangle with two diagonals of this kind Jacobi's rotations find every value to nearly the last digit.
    let n = 40;
    let a: Vec<f64> = (0..n * n)
        .map(|i| match (i / n, i % n) {
            (i, j) if i == j => libm::exp2(-(i as f64)),
            (i, j) if i + 1 == j => libm::exp2(-(i as f64) - 3.0),
            _ => 0.0,
        })
        .collect();
    let (mut u, mut s, mut v, mut order) = (a.clone(), vec![0.0; n], vec![0.0; n * n], vec![0; n]);
    let mut room = vec![f64::NAN; svd_room(n, n)];
    svd(&mut u, n, &mut s, &mut v, &mut order, &mut room).unwrap();
    let (mut ju, mut js, mut jv) = (a, vec![0.0; n], vec![0.0; n * n]);
    jacobi::svd(&mut ju, n, &mut js, &mut jv).unwrap();
    for (s, j) in s.iter().zip(&js) {
        assert!((s / j - 1.0).abs() < 1e-13, "{s} instead of {j}");
    }
}

#[test]
fn sizes_of_numbers_do_not_matter_and_nan_spreads() {
    for n in [5, 40] {
        let a = symmetric(n).swap_remove(0).1;
        let (mut order, mut room) = (vec![0; n], vec![0.0; room_of(n).max(svd_room(2 * n, n))]);
        let mut at = |scale: f64, a: &[f64]| {
            let scaled: Vec<f64> = a.iter().map(|x| x * scale).collect();
            let (mut w, mut v) = (vec![0.0; n], vec![0.0; n * n]);
            eigh(&mut scaled.clone(), n, &mut w, &mut v, &mut order, &mut room).unwrap();
            let (mut u, mut s, mut vt) = ([&scaled[..], &scaled].concat(), vec![0.0; n], vec![0.0; n * n]);
            svd(&mut u, n, &mut s, &mut vt, &mut order, &mut room).unwrap();
            (w, v, s, u, vt)
        };
        let (w, v, s, u, vt) = at(1.0, &a);
        for power in [1000, -1000] {
            let scale = libm::exp2(f64::from(power));
            let (w2, v2, s2, u2, vt2) = at(scale, &a);
            assert_eq!((&v, &u, &vt), (&v2, &u2, &vt2));
            assert!(w.iter().zip(&w2).chain(s.iter().zip(&s2)).all(|(x, y)| x * scale == *y));
        }
        for odd in [f64::NAN, f64::INFINITY] {
            let mut a = a.clone();
            a[n + 1] = odd;
            let (w, v, s, u, vt) = at(1.0, &a);
            assert!([w, v, s, u, vt].iter().flatten().all(|x| x.is_nan()));
        }
    }
}
