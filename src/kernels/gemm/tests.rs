//! Tests that every path gives what [`naive`] gives, byte for byte.

use super::*;
use crate::Float;
use crate::kernels::par::with_threads;
use crate::kernels::testing::{Ends, Rng, same, sets, sets_for_large};

/// One instruction set for each of the two orders of arithmetic: separate and fused.
pub(super) const ORDERS: [Isa; 2] = [Isa::NoFma, Isa::Portable];

#[derive(Clone, Debug)]
struct Layout {
    offset: usize,
    rs: isize,
    cs: isize,
    len: usize,
}

/// Row-major, column-major, padded, reversed, repeated, or scattered.
fn layout(r: &mut Rng, rows: usize, cols: usize) -> Layout {
    let (rows, cols) = (rows.max(1), cols.max(1));
    let pad = [0, 0, 1, 5][r.below(4)];
    let scale = [1, 1, 1, 3][r.below(4)];
    let (mut rs, mut cs) = match r.below(8) {
        0..3 => (((cols + pad) * scale) as isize, scale as isize),
        3..6 => (scale as isize, ((rows + pad) * scale) as isize),
        6 => (0, 1),
        _ => (1, 0),
    };
    if r.below(5) == 0 {
        rs = -rs;
    }
    if r.below(5) == 0 {
        cs = -cs;
    }
    let reach = |n: usize, s: isize| (n - 1) * s.unsigned_abs();
    let before = |n: usize, s: isize| if s < 0 { reach(n, s) } else { 0 };
    let skip = r.below(4);
    let offset = skip + before(rows, rs) + before(cols, cs);
    Layout { offset, rs, cs, len: skip + reach(rows, rs) + reach(cols, cs) + 1 }
}

fn mat<'a, T: Gemm>(data: &'a [T], rows: usize, cols: usize, l: &Layout) -> Mat<'a, T> {
    Mat { data, offset: l.offset, rows, cols, rs: l.rs, cs: l.cs }
}

fn one_case<T: Gemm + Float>(r: &mut Rng, m: usize, k: usize, n: usize) {
    let (la, lb) = (layout(r, m, k), layout(r, k, n));
    let (a, b): (Vec<T>, Vec<T>) = (r.vec(la.len), r.vec(lb.len));
    let ld = n + [0, 0, 3][r.below(3)];
    let before: Vec<T> = r.vec(m * ld);
    let store = [Store::Write, Store::Add][r.below(2)];
    let ends = Ends::any(r, m * ld, n);
    let epilogue = ends.epilogue();
    let (a, b) = (mat(&a, m, k, &la), mat(&b, k, n, &lb));
    let what = |how: &str| format!("{how}: {m}x{k}x{n} {la:?} {lb:?} ld {ld} {store:?} {epilogue:?}");

    let wants = ORDERS.map(|isa| {
        let mut want = before.clone();
        naive::gemm_on(isa, a, b, MatMut { data: &mut want, rows: m, cols: n, ld }, store, epilogue);
        want
    });
    for isa in sets() {
        let want = &wants[usize::from(isa.is_fused())];
        let mut got = before.clone();
        gemm_on(isa, a, b, MatMut { data: &mut got, rows: m, cols: n, ld }, store, epilogue);
        same(&got, want, &|| what(isa.name()));
        let packed = Packed::new_on(isa, b);
        let mut got = before.clone();
        product_on(
            isa,
            View::of(&a),
            View::of(&packed),
            MatMut { data: &mut got, rows: m, cols: n, ld },
            store,
            epilogue,
        );
        same(&got, want, &|| what(&format!("packed, {}", isa.name())));
    }
}

#[test]
fn random_shapes_and_strides() {
    let mut r = Rng(1);
    for _ in 0..600 {
        let (m, k, n) = (r.below(70), r.below(70), r.below(70));
        one_case::<f32>(&mut r, m, k, n);
        one_case::<f64>(&mut r, m, k, n);
    }
}

#[test]
fn vectors() {
    let mut r = Rng(2);
    for _ in 0..150 {
        let (k, n) = (r.below(70), r.below(200));
        one_case::<f32>(&mut r, 1, k, n);
        one_case::<f32>(&mut r, n, k, 1);
        one_case::<f64>(&mut r, 1, k, n);
        one_case::<f64>(&mut r, n, k, 1);
        one_case::<f32>(&mut r, 2, k, n);
        one_case::<f32>(&mut r, n, k, 3);
    }
    for (k, n) in [(600, 2100), (1030, 70), (513, 33), (784, 64), (13, 20_000)] {
        one_case::<f32>(&mut r, 1, k, n);
        one_case::<f32>(&mut r, n, k, 1);
        one_case::<f64>(&mut r, 1, k, n);
    }
}

#[test]
fn block_boundaries() {
    let mut r = Rng(3);
    let (kc32, kc64) = (<f32 as Gemm>::KC, <f64 as Gemm>::KC);
    for d in [0, 1, 2] {
        for m in [1, 5, 6, 7, 13] {
            for n in [1, 15, 16, 17, 33] {
                one_case::<f32>(&mut r, m, kc32 - 1 + d, n);
                one_case::<f32>(&mut r, m, 2 * kc32 - 1 + d, n);
                one_case::<f64>(&mut r, m, kc64 - 1 + d, n);
            }
        }
    }
    for (m, k, n) in [
        (150, 40, 300),
        (300, 530, 40),
        (64, 64, 64),
        (97, 33, 520),
        (530, 3, 530),
        (145, 1025, 37),
        (145, 630, 201),
        (310, 1030, 131),
    ] {
        one_case::<f32>(&mut r, m, k, n);
        one_case::<f64>(&mut r, m, k, n);
    }
}

/// Rows of B are then read in long runs, if they are in order: a third of the cases.
#[test]
fn few_rows_of_a_large_matrix() {
    let mut r = Rng(4);
    for (m, k, n) in
        [(2, 700, 2100), (5, 129, 2050), (3, 45, 7000), (23, 530, 600), (48, 300, 1100), (7, 513, 4200)]
    {
        for _ in 0..4 {
            one_case::<f32>(&mut r, m, k, n);
            one_case::<f64>(&mut r, m, k / 2, n);
        }
    }
}

#[test]
fn threads_and_batch_cannot_be_seen() {
    sets_for_large().into_iter().for_each(threads_and_batch);
}

fn threads_and_batch(isa: Isa) {
    let mut r = Rng(4);
    for (m, k, n) in
        [(150, 200, 300), (75, 1070, 600), (1, 700, 9000), (9000, 700, 1), (600, 1100, 30), (33, 520, 2000)]
    {
        let (a, b, bias): (Vec<f32>, Vec<f32>, Vec<f32>) = (r.vec(m * k), r.vec(k * n), r.vec(n));
        let before: Vec<f32> = r.vec(m * n);
        for transposed in [false, true] {
            let (ma, mb) = if transposed {
                (Mat::row_major(&a, k, m).t(), Mat::row_major(&b, n, k).t())
            } else {
                (Mat::row_major(&a, m, k), Mat::row_major(&b, k, n))
            };
            let run = |threads: usize| {
                let mut c = before.clone();
                let epilogue = Epilogue::new(Some(&bias), None);
                let out = MatMut::row_major(&mut c, m, n);
                with_threads(threads, || gemm_on(isa, ma, mb, out, Store::Add, epilogue)).unwrap();
                c
            };
            let one = run(1);
            for threads in [2, 3, 8] {
                same(&run(threads), &one, &|| format!("{} with {threads} threads, {m}x{k}x{n}", isa.name()));
            }
            // A single row, and a few rows.
            for (i, rows) in [(m - 1, 1), (m / 2, 1), (m / 3, (m - m / 3).min(7))] {
                let mut part = before[i * n..(i + rows) * n].to_vec();
                let a = Mat { offset: (ma.rs * i as isize) as usize, rows, ..ma };
                let epilogue = Epilogue::new(Some(&bias), None);
                gemm_on(isa, a, mb, MatMut::row_major(&mut part, rows, n), Store::Add, epilogue);
                let what = || format!("{}: {rows} rows from {i} on, {m}x{k}x{n}", isa.name());
                same(&part, &one[i * n..(i + rows) * n], &what);
            }
        }
    }
}

/// Separate roundings give other bits, but no larger difference than that.
#[test]
fn products_without_fused_multiply_adds_are_near() {
    fn near<T: Gemm + Float>(epsilon: f64) {
        let mut r = Rng(7);
        for (m, k, n) in [(7, 90, 33), (40, 1100, 50), (1, 2000, 30)] {
            let (a, b): (Vec<T>, Vec<T>) = (r.vec(m * k), r.vec(k * n));
            let [apart, fused] = ORDERS.map(|isa| {
                let mut c: Vec<T> = vec![T::of(0.0); m * n];
                let out = MatMut::row_major(&mut c, m, n);
                gemm_on(
                    isa,
                    Mat::row_major(&a, m, k),
                    Mat::row_major(&b, k, n),
                    out,
                    Store::Write,
                    Epilogue::NONE,
                );
                c
            });
            let far = |(x, y): (&T, &T)| (x.wide() - y.wide()).abs() > epsilon * k as f64;
            assert!(!apart.iter().zip(&fused).any(far), "{m}x{k}x{n}");
            let differs = apart.iter().zip(&fused).any(|(x, y)| x.wide() != y.wide());
            assert_eq!(differs, Isa::available().contains(&Isa::NoFma), "{m}x{k}x{n}");
        }
    }
    near::<f32>(f64::from(f32::EPSILON));
    near::<f64>(f64::EPSILON);
}

#[test]
fn batches() {
    let mut r = Rng(5);
    for case in 0..40 {
        let (count, m, k, n) = (1 + r.below(9), 1 + r.below(20), r.below(40), 1 + r.below(40));
        let (count, m, k, n) = if case == 39 { (20, 64, 64, 64) } else { (count, m, k, n) };
        let (a, b): (Vec<f32>, Vec<f32>) = (r.vec(count * m * k), r.vec(count * k * n));
        let listed: Vec<i64> = (0..count).map(|_| (r.below(count) * m * k) as i64).collect();
        let (shared_b, side, list) = (r.below(2) == 0, r.below(2) == 0, r.below(2) == 0);
        let a_steps = if list { Steps::Listed(&listed) } else { Steps::Every((m * k) as isize) };
        let b_steps = Steps::Every(if shared_b { 0 } else { (k * n) as isize });
        let (ld, step) = if side { (count * (n + 1), n + 1) } else { (n, m * n) };
        let before: Vec<f32> = r.vec(count * m * (n + 1));
        let mut want = before.clone();
        for i in 0..count {
            let ai = Mat { offset: a_steps.offset(0, i), ..Mat::row_major(&a, m, k) };
            let bi = Mat { offset: b_steps.offset(0, i), ..Mat::row_major(&b, k, n) };
            let c = MatMut { data: &mut want[i * step..], rows: m, cols: n, ld };
            naive::gemm(ai, bi, c, Store::Add, Epilogue::NONE);
        }
        for threads in [1, 2, 3] {
            let mut got = before.clone();
            let (ma, mb) = (Mat::row_major(&a, m, k), Mat::row_major(&b, k, n));
            let c = MatMut { data: &mut got, rows: m, cols: n, ld };
            with_threads(threads, || {
                batched(count, (ma, a_steps), (mb, b_steps), c, step, Store::Add, Epilogue::NONE)
            })
            .unwrap();
            same(&got, &want, &|| format!("batch of {count}, {m}x{k}x{n}, {threads} threads"));
        }
    }
}

#[test]
fn special_numbers_pass_alike() {
    let odd = [f32::NAN, f32::INFINITY, -0.0, 0.0, 1e-45, -1e-40, f32::MAX, f32::MIN_POSITIVE, 1.0, -1.0];
    let mut r = Rng(6);
    for _ in 0..60 {
        let (m, k, n) = (1 + r.below(8), r.below(5), 1 + r.below(20));
        let a: Vec<f32> = (0..m * k).map(|_| odd[r.below(odd.len())]).collect();
        let b: Vec<f32> = (0..k * n).map(|_| odd[r.below(odd.len())]).collect();
        let epilogue = Epilogue::new(None, [None, Some(Act::Relu)][r.below(2)]);
        let (ma, mb) = (Mat::row_major(&a, m, k), Mat::row_major(&b, k, n));
        let wants = ORDERS.map(|isa| {
            let mut want = vec![-0.0; m * n];
            naive::gemm_on(isa, ma, mb, MatMut::row_major(&mut want, m, n), Store::Add, epilogue);
            want
        });
        for isa in sets() {
            let want = &wants[usize::from(isa.is_fused())];
            let mut got = vec![-0.0; m * n];
            gemm_on(isa, ma, mb, MatMut::row_major(&mut got, m, n), Store::Add, epilogue);
            same(&got, want, &|| format!("{} {m}x{k}x{n}", isa.name()));
        }
    }
}

#[test]
#[should_panic(expected = "sizes of A, B and C match")]
fn sizes_are_checked() {
    let mut c = [0.0f32; 4];
    gemm(
        Mat::row_major(&[0.0; 6], 2, 3),
        Mat::row_major(&[0.0; 4], 2, 2),
        MatMut::row_major(&mut c, 2, 2),
        Store::Write,
        Epilogue::NONE,
    );
}

#[test]
#[should_panic(expected = "lies in its slice")]
fn slices_are_checked() {
    let mut c = [0.0f32; 4];
    gemm(
        Mat::row_major(&[0.0; 5], 2, 3),
        Mat::row_major(&[0.0; 6], 3, 2),
        MatMut::row_major(&mut c, 2, 2),
        Store::Write,
        Epilogue::NONE,
    );
}
