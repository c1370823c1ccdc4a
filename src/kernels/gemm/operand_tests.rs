//! Tests of products with matrices that nobody would choose: empty, with one row or column and meaningless strides,
//! overlapping themselves, backwards, far apart, starting off every boundary. Their products must equal [`naive`]
//! with every instruction set, and memory beside C must not change. Memory is no longer than it must be, so that an
//! address sanitizer sees every access outside.

use super::tests::ORDERS;
use super::*;
use crate::Float;
use crate::kernels::par::with_threads;
use crate::kernels::testing::{Ends, Rng, same, sets};

/// A matrix, and how many elements it takes.
#[derive(Clone, Copy, Debug)]
struct Place {
    rows: usize,
    cols: usize,
    offset: usize,
    rs: isize,
    cs: isize,
    len: usize,
}

impl Place {
    fn any(r: &mut Rng, rows: usize, cols: usize) -> Place {
        let (wide, tall) = (cols.max(1) as isize, rows.max(1) as isize);
        let (mut rs, mut cs) = match r.below(12) {
            0 | 1 => (wide, 1),
            2 | 3 => (1, tall),
            4 => (wide + 5, 1),
            5 => (1, tall + 3),
            // Windows: each row begins one element, or a few, after the one before.
            6 => (1, 1),
            7 => (1 + r.below(4) as isize, 1),
            8 => (1, 1 + r.below(4) as isize),
            9 => (0, 0),
            10 => ([0, 1][r.below(2)], [1, 0][r.below(2)]),
            // Pages apart.
            _ => ([4099, 1024, 1][r.below(3)], [1, 1, 1031][r.below(3)]),
        };
        if r.below(4) == 0 {
            rs = -rs;
        }
        if r.below(4) == 0 {
            cs = -cs;
        }
        let reach = |n: usize, step: isize| n.saturating_sub(1) * step.unsigned_abs();
        let before = |n: usize, step: isize| if step < 0 { reach(n, step) } else { 0 };
        let skip = r.below(4);
        let offset = skip + before(rows, rs) + before(cols, cs);
        let len =
            if rows == 0 || cols == 0 { r.below(2) } else { skip + reach(rows, rs) + reach(cols, cs) + 1 };
        // No step is ever taken along an axis of size 1.
        let nowhere = [isize::MAX, isize::MIN, 0, -1, 7];
        if rows <= 1 && r.below(2) == 0 {
            rs = nowhere[r.below(5)];
        }
        if cols <= 1 && r.below(2) == 0 {
            cs = nowhere[r.below(5)];
        }
        Place { rows, cols, offset, rs, cs, len }
    }

    fn of<T>(self, data: &[T]) -> Mat<'_, T> {
        Mat { data, offset: self.offset, rows: self.rows, cols: self.cols, rs: self.rs, cs: self.cs }
    }
}

fn one<T: Gemm + Float>(r: &mut Rng, m: usize, k: usize, n: usize) {
    let (pa, pb) = (Place::any(r, m, k), Place::any(r, k, n));
    let (a, b): (Vec<T>, Vec<T>) = (r.vec(pa.len), r.vec(pb.len));
    let (a, b) = (pa.of(&a), pb.of(&b));
    // The last row of C ends where its memory does, and the gaps between rows must not change.
    let (skip, ld) = (r.below(4), n + [0, 0, 1, 9][r.below(4)]);
    let before: Vec<T> = r.vec(skip + if m == 0 || n == 0 { 0 } else { (m - 1) * ld + n });
    let store = [Store::Write, Store::Add][r.below(2)];
    let ends = Ends::any(r, before.len() - skip, n);
    let epilogue = ends.epilogue();
    let what = |how: &str| format!("{how}: {pa:?} by {pb:?}, ld {ld}, {store:?}, {epilogue:?}");
    let wants = ORDERS.map(|isa| {
        let mut want = before.clone();
        naive::gemm_on(isa, a, b, MatMut { data: &mut want[skip..], rows: m, cols: n, ld }, store, epilogue);
        want
    });
    for isa in sets() {
        let want = &wants[usize::from(isa.is_fused())];
        let mut got = before.clone();
        gemm_on(isa, a, b, MatMut { data: &mut got[skip..], rows: m, cols: n, ld }, store, epilogue);
        same(&got, want, &|| what(isa.name()));
        let packed = Packed::new_on(isa, b);
        let mut got = before.clone();
        product_on(
            isa,
            View::of(&a),
            View::of(&packed),
            MatMut { data: &mut got[skip..], rows: m, cols: n, ld },
            store,
            epilogue,
        );
        same(&got, want, &|| what(&format!("packed, {}", isa.name())));
    }
}

#[test]
fn operands_of_any_kind() {
    let r = &mut Rng(1);
    for _ in 0..700 {
        let (m, k, n) = (r.below(27), r.below(40), r.below(70));
        one::<f32>(r, m, k, n);
        one::<f64>(r, m, k, n);
    }
    // Every height and width of a tile, and a length that does not fill whole vectors.
    for edge in 0..67 {
        let k = 1 + r.below(35);
        one::<f32>(r, edge % 26, k, edge);
        one::<f64>(r, edge % 26, k, edge);
    }
    for (m, k, n) in [(1, 385, 33), (33, 385, 1), (13, 769, 9), (150, 20, 300), (60, 385, 70), (3, 2, 4100)] {
        one::<f32>(r, m, k, n);
        one::<f64>(r, m, k, n);
    }
}

#[test]
fn one_sided_operands() {
    let r = &mut Rng(2);
    for _ in 0..400 {
        let long = r.below(90);
        for (m, k, n) in
            [(1, long, 1), (long, 1, 1), (1, 1, long), (1, long, long), (long, long, 1), (long, 1, long)]
        {
            one::<f32>(r, m, k, n);
            one::<f64>(r, m, k, n);
        }
        one::<f32>(r, 0, long, 5);
        one::<f32>(r, 5, 0, long);
        one::<f64>(r, long, 5, 0);
    }
}

/// Checks stacks whose matrices overlap, run backwards, are all the same, or are listed.
#[test]
fn batches_of_any_operand() {
    let r = &mut Rng(3);
    for case in 0..250 {
        let (count, m, k, n) = (r.below(6), r.below(9), r.below(20), r.below(40));
        // Sometimes large enough to be divided between threads.
        let (count, m, k, n) = if case % 50 == 49 { (9, 64, 60, 70) } else { (count, m, k, n) };
        let (pa, pb) = (Place::any(r, m, k), Place::any(r, k, n));
        // A step, and where the first and the last matrix then begin.
        let mut steps = |p: Place| {
            let step = [0, 1, -1, 3, p.len as isize][r.below(5)];
            let span = step.unsigned_abs() * count.saturating_sub(1);
            let first = p.offset + if step < 0 { span } else { 0 };
            (step, Place { offset: first, len: p.len + span, ..p })
        };
        let ((step_a, pa), (step_b, pb)) = (steps(pa), steps(pb));
        let (a, b): (Vec<f32>, Vec<f32>) = (r.vec(pa.len), r.vec(pb.len));
        let listed: Vec<i64> =
            (0..count).map(|i| (pa.offset as isize + step_a * i as isize) as i64).collect();
        let (mut first_a, mut steps_a) = (pa.of(&a), Steps::Every(step_a));
        if r.below(2) == 0 {
            first_a.offset = 0;
            steps_a = Steps::Listed(&listed);
        }
        let (ma, mb) = ((first_a, steps_a), (pb.of(&b), Steps::Every(step_b)));
        // One after another, with or without gaps, or side by side.
        let (ld, step) = match r.below(3) {
            0 => (n, m * n),
            1 => (n + 2, m * (n + 2) + 5),
            _ => (count.max(1) * (n + 1), n + 1),
        };
        let len = if count * m * n == 0 { 0 } else { (count - 1) * step + (m - 1) * ld + n };
        let before: Vec<f32> = r.vec(len);
        let mut want = before.clone();
        for i in 0..if len == 0 { 0 } else { count } {
            let ai = Mat { offset: steps_a.offset(first_a.offset, i), ..first_a };
            let bi = Mat { offset: (pb.offset as isize + step_b * i as isize) as usize, ..mb.0 };
            let c = MatMut { data: &mut want[i * step..], rows: m, cols: n, ld };
            naive::gemm(ai, bi, c, Store::Add, Epilogue::NONE);
        }
        for threads in [1, 3] {
            let mut got = before.clone();
            let c = MatMut { data: &mut got, rows: m, cols: n, ld };
            with_threads(threads, || batched(count, ma, mb, c, step, Store::Add, Epilogue::NONE)).unwrap();
            same(&got, &want, &|| {
                format!(
                    "{count} of {pa:?} every {step_a} by {pb:?} every {step_b}, {step} apart, {threads} threads"
                )
            });
        }
    }
}

/// A matrix that reaches outside of its slice is refused, whichever way it does.
#[test]
fn matrices_outside_of_their_slices_are_refused() {
    let (data, outside) = ([0.0f32; 12], "reaches outside of its slice");
    let refused = |offset: usize, rows: usize, cols: usize, rs: isize, cs: isize| {
        let a = Mat { data: &data, offset, rows, cols, rs, cs };
        let made = std::panic::catch_unwind(|| {
            let (b, mut c) = (vec![0.0f32; cols], vec![0.0f32; rows]);
            gemm(
                a,
                Mat::row_major(&b, cols, 1),
                MatMut::row_major(&mut c, rows, 1),
                Store::Write,
                Epilogue::NONE,
            );
        });
        assert!(made.is_err(), "{offset} {rows} {cols} {rs} {cs} {outside}");
    };
    refused(0, 3, 5, 5, 1);
    refused(1, 3, 4, 4, 1);
    refused(0, 2, 2, -1, 1);
    refused(3, 2, 5, 1, -1);
    refused(12, 1, 1, 0, 0);
    refused(usize::MAX, 1, 1, 0, 0);
    refused(0, 2, 1, isize::MAX, 0);
    refused(0, 3, 1, isize::MAX, 0);
    refused(0, 3, 1, isize::MIN, 0);
    refused(0, 5, 2, 1 << 62, 1);
    let narrow = std::panic::catch_unwind(|| {
        let mut c = [0.0f32; 5];
        let (a, b) = (Mat::row_major(&data[..4], 2, 2), Mat::row_major(&data[..6], 2, 3));
        gemm(a, b, MatMut { data: &mut c, rows: 2, cols: 3, ld: 2 }, Store::Write, Epilogue::NONE);
    });
    assert!(narrow.is_err(), "rows of C overlap");
}
