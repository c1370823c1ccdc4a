//! Blocks beside the plain loops, at sizes around the ends of blocks, and what defines the factors.

use super::*;
use crate::kernels::gemm::{Epilogue, MatMut, Store, gemm};
use crate::kernels::testing::Rng;

const SIZES: [usize; 17] = [1, 2, 3, 15, 16, 17, 31, 32, 33, 34, 47, 64, 65, 67, 100, 131, 200];

fn ulp<T: Float>() -> f64 {
    if size_of::<T>() == 8 { f64::EPSILON } else { f64::from(f32::EPSILON) }
}

/// Far from singular, and needing exchanges of rows.
fn regular<T: Float + Gemm>(r: &mut Rng, n: usize) -> Vec<T> {
    let mut a: Vec<T> = r.vec(n * n);
    (0..n).for_each(|i| a[i * n + n - 1 - i] += T::of(3.0));
    a
}

fn positive<T: Float + Gemm>(r: &mut Rng, n: usize) -> Vec<T> {
    let a = r.vec(n * n);
    let mut s = product::<T>(&a, &transposed(&a, n, n), n, n, n);
    (0..n).for_each(|i| s[i * n + i] += T::of(0.5));
    s
}

fn product<T: Gemm>(a: &[T], b: &[T], m: usize, k: usize, n: usize) -> Vec<T> {
    let mut c = vec![T::c(0.0); m * n];
    let out = MatMut::row_major(&mut c, m, n);
    gemm(Mat::row_major(a, m, k), Mat::row_major(b, k, n), out, Store::Write, Epilogue::NONE);
    c
}

fn transposed<T: Copy>(a: &[T], m: usize, n: usize) -> Vec<T> {
    (0..m * n).map(|i| a[i % m * n + i / m]).collect()
}

/// Checks that the difference is below `bound` last bits of the largest number.
#[track_caller]
fn near<T: Float>(got: &[T], want: &[T], bound: f64, what: &str) {
    let top = want.iter().fold(0.0f64, |m, x| m.max(x.wide().abs())).max(f64::MIN_POSITIVE);
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let off = (g.wide() - w.wide()).abs() / top / ulp::<T>();
        assert!(off <= bound, "{what}: element {i}: {g:?} instead of {w:?}, {off} last bits");
    }
}

fn blocked_lu<T: Float + Gemm>(a: &mut [T], n: usize, order: &mut [usize]) -> (bool, Option<Pivot>) {
    let mut room = vec![T::of(f64::NAN); n * n + 16 * n];
    let mut found = Found { order, odd: false, bad: None };
    triangle::lu(a, n, (0, n), &mut found, &mut room);
    (found.odd, found.bad)
}

fn lu_and_solutions<T: Float + Gemm>() {
    let r = &mut Rng(7);
    for n in SIZES {
        let a = regular::<T>(r, n);
        let (mut plain, mut blocked) = (a.clone(), a.clone());
        let (mut order, mut other) = (vec![0; n], vec![0; n]);
        let (sign, bad) = plain::lu(&mut plain, n, &mut order);
        let (odd, none) = blocked_lu(&mut blocked, n, &mut other);
        assert_eq!((bad, none, &order, sign.wide() < 0.0), (None, None, &other, odd), "{n}");
        near(&blocked, &plain, 50.0 * n as f64, "LU");
        let mut l = blocked.clone();
        let mut u = blocked.clone();
        for (i, (l, u)) in l.chunks_mut(n).zip(u.chunks_mut(n)).enumerate() {
            l[i..].fill(T::zero());
            l[i] = T::one();
            u[..i].fill(T::zero());
        }
        let mut pa = a.clone();
        order.iter().enumerate().for_each(|(k, &from)| swap_rows(&mut pa, n, k, from));
        near(&product(&l, &u, n, n, n), &pa, 4.0 + 0.5 * n as f64, "PA = LU");
        for m in [1, 2, 31, 33, 70] {
            let b: Vec<T> = r.vec(n * m);
            let mut x = b.clone();
            let mut room = vec![T::of(f64::NAN); room(n, m)];
            lu_solve(&blocked, n, &order, &mut x, m, &mut room);
            // Beside the numbers that are added up, which are larger than B where A is near singular.
            let top = |x: &[T]| x.iter().fold(0.0f64, |m, x| m.max(x.wide().abs()));
            let terms = top(&a) * top(&x) / top(&b);
            near(&product(&a, &x, n, n, m), &b, (4.0 + n as f64) * terms, "AX = B");
            for lower in [true, false] {
                let mut t = a.clone();
                (0..n).for_each(|i| t[i * n + i] = T::of(n as f64 * 0.5 + 1.0));
                let (mut x, mut y) = (b.clone(), b.clone());
                let mut room = vec![T::of(f64::NAN); n * m.max(n) + 16 * n];
                triangle::solve(
                    Mat::row_major(&t, n, n),
                    Kind { lower, unit: false },
                    &mut x,
                    (m, m),
                    &mut room,
                );
                plain::triangular_solve(&t, n, lower, false, &mut y, m);
                near(&x, &y, 8.0 + n as f64, "triangle");
            }
        }
    }
}

#[test]
fn lu_and_triangles_are_those_of_the_loops() {
    lu_and_solutions::<f32>();
    lu_and_solutions::<f64>();
}

/// Replaces A by L of A = LLᵀ, reading only the lower triangle, with zeros above. Or returns the first pivot that
/// is not positive by more than the last bit, `ulp`, of what it is left over from.
fn plain_cholesky<T: Float>(a: &mut [T], n: usize, ulp: f64) -> Option<Pivot> {
    for i in 0..n {
        for j in 0..=i {
            let (row, other) = if i == j { (&a[i * n..], &a[i * n..]) } else { (&a[i * n..], &a[j * n..]) };
            let whole = row[j];
            let mut sum = whole;
            for (&x, &y) in row[..j].iter().zip(&other[..j]) {
                sum -= x * y;
            }
            a[i * n + j] = if i == j {
                let noise = if i == 0 { 0.0 } else { ulp * whole.wide().abs() };
                if sum.wide().is_nan() || sum.wide() <= noise {
                    return Some((i, sum.wide()));
                }
                sum.sqrt()
            } else {
                sum / a[j * n + j]
            };
        }
        a[i * n + i + 1..(i + 1) * n].fill(T::default());
    }
    None
}

fn choleskys<T: Float + Gemm>() {
    let r = &mut Rng(8);
    for n in SIZES {
        let a = positive::<T>(r, n);
        let (mut plain, mut blocked) = (a.clone(), a.clone());
        assert_eq!(plain_cholesky(&mut plain, n, ulp::<T>()), None);
        let mut by_rows = a.clone();
        assert_eq!(cholesky(&mut by_rows, n, ulp::<T>(), &mut vec![T::of(f64::NAN); room(n, 0)]), None);
        assert!(n > SMALL_CHOLESKY || by_rows == plain, "{n}: the loops have other bits");
        // What is above the diagonal is not read.
        (0..n * n).filter(|i| i % n > i / n).for_each(|i| blocked[i] = T::of(f64::NAN));
        let mut room = vec![T::of(f64::NAN); n * n + 17 * n];
        assert_eq!(whole_cholesky(&mut blocked, n, &mut room), None, "{n}");
        near(&blocked, &plain, 40.0 * n as f64, "L");
        near(&product(&blocked, &transposed(&blocked, n, n), n, n, n), &a, 4.0 + 0.5 * n as f64, "A = LLᵀ");
        // The first pivot that is not positive, or is NaN, is named.
        for bad in [0, n / 2, n - 1] {
            for value in [-1.0, f64::NAN] {
                let (mut plain, mut blocked) = (a.clone(), a.clone());
                plain[bad * n + bad] = T::of(value);
                blocked[bad * n + bad] = T::of(value);
                let (want, got) =
                    (plain_cholesky(&mut plain, n, ulp::<T>()), whole_cholesky(&mut blocked, n, &mut room));
                let ((k, v), (i, w)) = (want.unwrap(), got.unwrap());
                assert_eq!((k, i, v.is_nan()), (bad, bad, w.is_nan()));
                assert!(v.is_nan() || (v - w).abs() <= 100.0 * n as f64 * ulp::<T>() * v.abs(), "{v} {w}");
            }
        }
    }
}

fn whole_cholesky<T: Float + Gemm>(a: &mut [T], n: usize, room: &mut [T]) -> Option<Pivot> {
    triangle::lower_to_upper(a, n);
    let (diagonal, room) = room.split_at_mut(n);
    (0..n).for_each(|i| diagonal[i] = a[i * n + i]);
    let bad = triangle::cholesky(a, n, (0, n), (diagonal, ulp::<T>()), room);
    triangle::upper_to_lower(a, n);
    bad
}

#[test]
fn cholesky_is_that_of_the_loops() {
    choleskys::<f32>();
    choleskys::<f64>();
}

#[test]
fn pivots_that_fail_are_those_of_the_loops() {
    let r = &mut Rng(9);
    for n in SIZES {
        let a = regular::<f64>(r, n);
        let column = n / 2;
        let zero = |i: usize| if i % n == column { 0.0 } else { a[i] };
        let nan = |i: usize| if i == (n - 1) * n + column { f64::NAN } else { a[i] };
        let double = |i: usize| if i % n == n - 1 { a[i / n * n] } else { a[i] };
        for (what, a) in [
            ("zeros", (0..n * n).map(zero).collect::<Vec<_>>()),
            ("NaN", (0..n * n).map(nan).collect()),
            ("a column twice", (0..n * n).map(double).collect()),
        ] {
            let (mut plain, mut blocked) = (a.clone(), a.clone());
            let (mut order, mut other) = (vec![0; n], vec![0; n]);
            let (_, want) = plain::lu(&mut plain, n, &mut order);
            let (_, got) = blocked_lu(&mut blocked, n, &mut other);
            assert_eq!(want.map(|p| (p.0, p.1.is_nan())), got.map(|p| (p.0, p.1.is_nan())), "{what} {n}");
            if want.is_none() && n > 1 {
                // Only rounding is left of the last pivot.
                let (mut rows, mut most) = (vec![0; n], vec![0.0; 2 * n]);
                let lost = lost_pivot(&blocked, &a, n, &other, &mut rows, &mut most, f64::EPSILON);
                assert_eq!(lost.map(|p| p.0), Some(n - 1), "{what} {n}");
            }
        }
    }
}

fn qrs<T: Float + Gemm>() {
    let r = &mut Rng(10);
    let square = SIZES.map(|n| (n, n));
    for (m, n) in square.into_iter().chain([(130, 1), (1, 130), (97, 33), (33, 97), (400, 64), (64, 65)]) {
        let k = m.min(n);
        let whole: Vec<T> = r.vec(m * n);
        // Of rank 1 where columns are equal; graded; and zero below the diagonal already.
        let flat: Vec<T> = (0..m * n).map(|i| whole[i / n * n]).collect();
        let graded: Vec<T> =
            whole.iter().enumerate().map(|(i, &x)| x * T::of(libm::exp2(-((i % n) as f64) / 8.0))).collect();
        let upper: Vec<T> =
            whole.iter().enumerate().map(|(i, &x)| if i / n > i % n { T::zero() } else { x }).collect();
        for (what, a) in [("random", whole), ("flat", flat), ("graded", graded), ("upper", upper)] {
            let mut room = vec![T::of(f64::NAN); qr_room(m, n)];
            let (mut copy, mut q, mut small) = (a.clone(), vec![T::zero(); m * k], vec![T::zero(); k * n]);
            let (v, rest) = room.split_at_mut(m * k);
            let (tau, rest) = rest.split_at_mut(k);
            reflect::factorise(&mut copy, (m, n), v, tau, rest);
            reflect::product(v, tau, 0, &mut q, (m, k), rest);
            for i in 0..k {
                small[i * n + i..(i + 1) * n].copy_from_slice(&copy[i * n + i..(i + 1) * n]);
            }
            let bound = 8.0 + 2.0 * k as f64;
            near(&product(&q, &small, m, k, n), &a, bound, what);
            let mut eye = vec![T::zero(); k * k];
            (0..k).for_each(|i| eye[i * k + i] = T::one());
            near(&product(&transposed(&q, m, k), &q, k, m, k), &eye, bound, what);
            if what == "random" {
                let (mut copy, mut r, mut plain) = (a.clone(), small.clone(), q.clone());
                let mut room = vec![T::zero(); qr_room(m, n)];
                let (v, rest) = room.split_at_mut(m * k);
                let (tau, rest) = rest.split_at_mut(k);
                plain::qr(&mut copy, m, n, &mut plain, &mut r, [v, &mut rest[..n], tau]);
                near(&small, &r, 30.0 * (k + 4) as f64, "R of the loops");
            }
        }
    }
}

#[test]
fn reflections_in_blocks_make_up_the_matrix() {
    qrs::<f32>();
    qrs::<f64>();
}

#[test]
fn not_a_number_spreads() {
    let (m, n) = (70, 50);
    let mut a = Rng(3).vec::<f64>(m * n);
    a[20 * n + 20] = f64::NAN;
    let (mut q, mut r, mut room) = (vec![0.0; m * n], vec![0.0; n * n], vec![0.0; qr_room(m, n)]);
    qr(&mut a, m, n, &mut q, &mut r, &mut room);
    assert!(r[20 * n + 20].is_nan() && r[49 * n + 49].is_nan() && q.iter().any(|x| x.is_nan()));
}
