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
            let (mut w, mut v, mut order) = (vec![0.0; n], vec![0.0; n * n], vec![0; places(n)]);
            let mut room = vec![f64::NAN; room_of_large_eigh(n)];
            eigh_of_scaled(&mut a.clone(), n, &mut w, &mut v, &mut order, &mut room, false).unwrap();
            let bound = 1e-15 * (10.0 + n as f64);
            let av = product(Mat::row_major(&a, n, n), Mat::row_major(&v, n, n));
            let vw: Vec<f64> = v.iter().enumerate().map(|(i, v)| v * w[i % n]).collect();
            near(&av, &vw, bound * size, what);
            near(&product(Mat::row_major(&v, n, n).t(), Mat::row_major(&v, n, n)), &eye(n), bound, what);
            assert!(w.is_sorted(), "{what}");
            let (mut jw, mut jv) = (vec![0.0; n], vec![0.0; n * n]);
            if n <= 100 {
                eigh_of_scaled(&mut a.clone(), n, &mut jw, &mut jv, &mut order, &mut room, true).unwrap();
                near(&w, &jw, bound * size, what);
                if what == "random" {
                    near(&v, &jv, 1e-9, "signs are those of Jacobi's");
                }
            }
        }
    }
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
            let (mut u, mut s, mut v, mut order) =
                (a.clone(), vec![0.0; n], vec![0.0; n * n], vec![0; places(n)]);
            let mut room = vec![f64::NAN; room_of_large_svd(m, n)];
            let settled = svd_of_scaled(&mut u, (m, n), &mut s, &mut v, &mut order, &mut room, false);
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
                svd_of_scaled(&mut ju, (m, n), &mut js, &mut jv, &mut order, &mut room, true).unwrap();
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
    let (mut u, mut s, mut v, mut order) = (a.clone(), vec![0.0; n], vec![0.0; n * n], vec![0; places(n)]);
    let mut room = vec![f64::NAN; svd_room(n, n)];
    svd(&mut u, n, &mut s, &mut v, &mut order, &mut room).unwrap();
    let (mut ju, mut js, mut jv) = (a, vec![0.0; n], vec![0.0; n * n]);
    svd_of_scaled(&mut ju, (n, n), &mut js, &mut jv, &mut order, &mut room, true).unwrap();
    for (s, j) in s.iter().zip(&js) {
        assert!((s / j - 1.0).abs() < 1e-13, "{s} instead of {j}");
    }
}

#[test]
fn small_singular_values_of_graded_matrices_have_their_digits() {
    for (n, rate) in [(33, 1.0), (65, 0.4), (65, 1.0), (100, 0.4), (100, 1.0)] {
        let random = Rng(5).vec::<f64>(n * n);
        let grade = |i: usize| libm::exp2(-(i as f64) * rate);
        for columns_alone in [true, false] {
            let of_row = |i: usize| if columns_alone { 1.0 } else { grade(i) };
            let a: Vec<f64> = (0..n * n).map(|i| random[i] * grade(i % n) * of_row(i / n)).collect();
            let (mut order, mut room) = (vec![0; places(n)], vec![f64::NAN; room_of_large_svd(n, n)]);
            let mut values = |small: bool| {
                let (mut u, mut s, mut v) = (a.clone(), vec![0.0; n], vec![0.0; n * n]);
                svd_of_scaled(&mut u, (n, n), &mut s, &mut v, &mut order, &mut room, small).unwrap();
                s
            };
            for (s, by_rotations) in values(false).iter().zip(values(true)) {
                assert!((s / by_rotations - 1.0).abs() < 1e-11, "{n} {rate}: {s} instead of {by_rotations}");
            }
        }
    }
}

/// Matrices of three diagonals that are hard to cut: the diagonal, and what is beside it.
fn three_diagonals(n: usize) -> Vec<(&'static str, Vec<f64>, Vec<f64>)> {
    let random = Rng(n as u64).vec::<f64>(2 * n);
    let wilkinson = |i: usize| (i % 21).abs_diff(10) as f64;
    let all = |f: &dyn Fn(usize) -> f64| (0..n).map(f).collect::<Vec<f64>>();
    let glued = |glue: f64| all(&|i| if i % 21 == 20 { glue } else { 1.0 });
    vec![
        ("random", all(&|i| random[i]), all(&|i| random[n + i])),
        ("Wilkinson's", all(&|i| i.abs_diff(n / 2) as f64), all(&|_| 1.0)),
        ("Wilkinson's, glued weakly", all(&wilkinson), glued(1e-14)),
        ("Wilkinson's, glued", all(&wilkinson), glued(1e-8)),
        ("equal", all(&|_| 3.0), all(&|_| 0.0)),
        ("zero", all(&|_| 0.0), all(&|_| 0.0)),
        ("no diagonal", all(&|_| 0.0), all(&|i| -1.0 - random[i].abs())),
        ("nearly equal", all(&|i| 1.0 + 1e-15 * random[i]), all(&|i| 1e-15 * random[n + i])),
        // Kac's and Clement's: halves whose values are the same but for rounding.
        ("whole numbers", all(&|_| 0.0), all(&|i| (((i + 1) * (n - 1 - i.min(n - 1))) as f64).sqrt())),
        ("graded", all(&|i| libm::exp2(-(i as f64) * 6.0)), all(&|i| libm::exp2(-(i as f64) * 6.0 - 4.0))),
        ("graded upwards", all(&|i| libm::exp2((i as f64 - n as f64) * 6.0)), all(&|_| 1e-300)),
        ("cut by zeros", all(&|i| random[i]), all(&|i| if i % 3 == 0 { 0.0 } else { random[n + i] })),
        (
            "tiny parts",
            all(&|i| if i < n / 2 { 1.0 } else { 1e-200 * random[i] }),
            all(&|i| 1e-200 * random[n + i]),
        ),
    ]
}

/// Lets `solve` use room for `n` rows in which nothing is written yet.
fn with_room(n: usize, solve: impl FnOnce(Room<'_>) -> Result<(), Unsettled>) {
    let (mut vectors, mut coordinates) = (vec![f64::NAN; n * n], vec![f64::NAN; n * n]);
    let (mut numbers, mut places) = (vec![f64::NAN; NUMBERS * n], vec![0; places(n)]);
    let room = Room {
        vectors: &mut vectors,
        coordinates: &mut coordinates,
        numbers: &mut numbers,
        places: &mut places,
    };
    solve(room).unwrap();
}

#[test]
fn halves_of_three_diagonals_are_put_together_as_steps_find_them() {
    for n in (33..=70).chain([105, 129, 200, 210, 300]) {
        for (what, d, e) in three_diagonals(n) {
            let norm = d.iter().chain(&e[..n - 1]).fold(0.0f64, |m, x| m.max(x.abs()));
            let (mut w, mut q) = (d.clone(), vec![0.0; n * n]);
            let rows = Rows { data: &mut q, ld: n, at: 0 };
            with_room(n, |room| divide::eigenvalues(&mut w, &mut e[..n - 1].to_vec(), rows, room));
            let bound = 2e-16 * (10.0 + n as f64).sqrt() * 8.0;
            let rows = Mat::row_major(&q, n, n);
            near(&product(rows, rows.t()), &eye(n), bound, what);
            // T·q - w·q of each row.
            for (q, w) in q.chunks_exact(n).zip(&w) {
                for i in 0..n {
                    let before = if i > 0 { e[i - 1] * q[i - 1] } else { 0.0 };
                    let after = if i + 1 < n { e[i] * q[i + 1] } else { 0.0 };
                    let rest = before + d[i] * q[i] + after - w * q[i];
                    assert!(rest.abs() <= bound * norm, "{what} of {n}: {rest:e}");
                }
            }
            let (mut by_steps, (blocks, waiting)) = (d.clone(), turns::room(n, n));
            let (mut blocks, mut waiting) = (vec![0.0; blocks], vec![0.0; waiting]);
            let mut turns = turns::Turns::new(n, n, &mut blocks, &mut waiting);
            tridiagonal::diagonalise(&mut by_steps, &mut e[..n - 1].to_vec(), &mut turns).unwrap();
            by_steps.sort_unstable_by(f64::total_cmp);
            w.sort_unstable_by(f64::total_cmp);
            near(&w, &by_steps, bound * norm, what);
        }
    }
}

#[test]
fn halves_of_two_diagonals_are_put_together_as_steps_find_them() {
    for n in (33..=70).chain([105, 129, 200, 210, 300]) {
        for (what, d, e) in three_diagonals(n) {
            let e = &e[..n - 1];
            let norm = d.iter().chain(e).fold(0.0f64, |m, x| m.max(x.abs()));
            let mut s = d.clone();
            let (mut u, mut v) = (vec![0.0; n * n], vec![0.0; n * n]);
            let (left, right) = (Rows { data: &mut u, ld: n, at: 0 }, Rows { data: &mut v, ld: n, at: 0 });
            with_room(n, |room| divide::singular_values(&mut s, &mut e.to_vec(), left, right, room));
            let bound = 2e-16 * (10.0 + n as f64).sqrt() * 8.0;
            for rows in [&u, &v] {
                let rows = Mat::row_major(rows, n, n);
                near(&product(rows, rows.t()), &eye(n), bound, what);
            }
            for ((u, v), s) in u.chunks_exact(n).zip(v.chunks_exact(n)).zip(&s) {
                assert!(*s >= 0.0, "{what} of {n}: {s:e}");
                for i in 0..n {
                    let after = if i + 1 < n { e[i] * v[i + 1] } else { 0.0 };
                    let before = if i > 0 { e[i - 1] * u[i - 1] } else { 0.0 };
                    let rest =
                        (d[i] * v[i] + after - s * u[i]).abs().max((d[i] * u[i] + before - s * v[i]).abs());
                    assert!(rest <= bound * norm, "{what} of {n}: {rest:e}");
                }
            }
            let (mut by_steps, mut room) = (d.clone(), vec![0.0; divide::leaf_room(n, n)]);
            let (mut left, mut right) =
                (Rows { data: &mut u, ld: n, at: 0 }, Rows { data: &mut v, ld: n, at: 0 });
            divide::leaf(&mut by_steps, &mut e.to_vec(), &mut left, &mut right, &mut room).unwrap();
            by_steps.sort_unstable_by(f64::total_cmp);
            s.sort_unstable_by(f64::total_cmp);
            near(&s, &by_steps, bound * norm, what);
        }
    }
}

#[test]
fn eigenvalues_that_are_known_have_their_digits() {
    for n in [100, 257] {
        let a = symmetric(n).into_iter().find(|(what, _)| *what == "differences").unwrap().1;
        let (mut w, mut v, mut order) = (vec![0.0; n], vec![0.0; n * n], vec![0; places(n)]);
        let mut room = vec![f64::NAN; eigh_room(n)];
        eigh(&mut a.clone(), n, &mut w, &mut v, &mut order, &mut room).unwrap();
        for (k, w) in w.iter().enumerate() {
            let half = libm::sin((k + 1) as f64 * core::f64::consts::PI / (2 * (n + 1)) as f64);
            assert!((w - 4.0 * half * half).abs() < 4e-15, "{w} of number {k}");
        }
    }
}

#[test]
fn any_number_of_threads_finds_the_same_bits() {
    let n = 400;
    let (a, random) = (symmetric(n).swap_remove(0).1, any(n, n).swap_remove(0).1);
    let on = |threads: usize| {
        crate::kernels::par::with_threads(threads, || {
            let (mut w, mut v, mut order) = (vec![0.0; n], vec![0.0; n * n], vec![0; places(n)]);
            let mut room = vec![f64::NAN; eigh_room(n).max(svd_room(n, n))];
            eigh(&mut a.clone(), n, &mut w, &mut v, &mut order, &mut room).unwrap();
            let (mut u, mut s, mut vt) = (random.clone(), vec![0.0; n], vec![0.0; n * n]);
            svd(&mut u, n, &mut s, &mut vt, &mut order, &mut room).unwrap();
            [w, v, u, s, vt].concat()
        })
        .unwrap()
    };
    let alone = on(1);
    assert!([2, 3, 8].iter().all(|&threads| on(threads) == alone));
}

#[test]
fn sizes_of_numbers_do_not_matter_and_nan_spreads() {
    for n in [5, 40] {
        let a = symmetric(n).swap_remove(0).1;
        let (mut order, mut room) = (vec![0; places(n)], vec![0.0; eigh_room(n).max(svd_room(2 * n, n))]);
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
