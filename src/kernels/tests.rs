//! Tests of kernels with operands that nobody would choose: empty, with one row or column, overlapping themselves,
//! running backwards, beginning anywhere, or very far apart. Every kernel must give what a reference gives that
//! walks index by index, and must not touch other memory. Memory is no longer than it must be, so that an address
//! sanitizer sees every access outside.

use super::strided::{Layout, Strided};
use super::testing::{Rng, same};
use super::{index, map, norm, par, reduce, scan, softmax, sort};
use crate::Float;
use crate::shape::{MAX_RANK, Shape};

impl Rng {
    /// Returns a number from -2 to 2, sometimes a zero of either sign, infinity or NaN.
    fn odd<T: Float>(&mut self) -> T {
        const ODD: [f64; 8] = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-40, 1.0, -1.0];
        if self.below(30) == 0 { T::of(ODD[self.below(8)]) } else { self.plain() }
    }
    fn plain<T: Float>(&mut self) -> T {
        T::of(self.below(4_000_001) as f64 / 1e6 - 2.0)
    }
    fn plains<T: Float>(&mut self, n: usize) -> Vec<T> {
        (0..n).map(|_| self.plain()).collect()
    }
}

/// Returns a shape of up to four axes and strides for it: row-major, in any order of axes, with gaps, backwards,
/// repeated, as windows that overlap, or thousands of elements apart. Also returns how many elements it takes, and
/// not one more.
fn layout(r: &mut Rng) -> (Layout, usize) {
    let dims: Vec<usize> = (0..r.below(5)).map(|_| [1, 2, 3, 5, 8, 1, 33, 40, 0][r.below(9)]).collect();
    let mut order: Vec<usize> = (0..dims.len()).collect();
    if r.below(2) == 0 {
        order.reverse();
    }
    if r.below(3) == 0 && dims.len() > 1 {
        let (i, j) = (r.below(dims.len()), r.below(dims.len()));
        order.swap(i, j);
    }
    let mut layout = Layout { shape: Shape::new(&dims).unwrap(), strides: [0; MAX_RANK], offset: r.below(4) };
    let mut step = [1isize, 1, 1, 3][r.below(4)];
    for &axis in &order {
        layout.strides[axis] = match r.below(12) {
            0 => 0,
            1 => 1,
            2 => 1 + r.below(3) as isize,
            3 if dims[axis] < 10 => 4099,
            4 => step + r.below(4) as isize,
            _ => step,
        };
        step *= dims[axis].max(1) as isize;
        if r.below(5) == 0 {
            layout.strides[axis] = -layout.strides[axis];
        }
    }
    if dims.contains(&0) {
        return (layout, layout.offset);
    }
    let reach = |axis: usize| (dims[axis] - 1) * layout.strides[axis].unsigned_abs();
    let before: usize = (0..dims.len()).filter(|&i| layout.strides[i] < 0).map(reach).sum();
    let all: usize = (0..dims.len()).map(reach).sum();
    layout.offset += before;
    (layout, layout.offset - before + all + 1)
}

/// Returns the position of each element, in row-major order: the slow reference of every walk over strides.
fn places(layout: &Layout) -> Vec<usize> {
    let dims = layout.shape.dims();
    let n: usize = dims.iter().product();
    let place = |mut flat: usize| {
        let mut at = layout.offset as isize;
        for axis in (0..dims.len()).rev() {
            at += (flat % dims[axis]) as isize * layout.strides[axis];
            flat /= dims[axis];
        }
        at as usize
    };
    (0..n).map(place).collect()
}

/// Memory for a layout, and its elements in row-major order.
fn filled<T: Float>(r: &mut Rng, layout: &Layout, len: usize) -> (Vec<T>, Vec<T>) {
    let data: Vec<T> = (0..len).map(|_| r.odd()).collect();
    let values = places(layout).into_iter().map(|at| data[at]).collect();
    (data, values)
}

/// Returns another layout of the same shape: a broadcast, a transpose's, or row-major.
fn beside(r: &mut Rng, layout: &Layout) -> (Layout, usize) {
    let dims = layout.shape.dims();
    let mut other = Layout { offset: r.below(3), ..Layout::contiguous(layout.shape) };
    for i in 0..dims.len() {
        if r.below(3) == 0 {
            other.strides[i] = 0;
        }
    }
    if dims.contains(&0) {
        return (other, other.offset);
    }
    let reach: usize = (0..dims.len()).map(|i| (dims[i] - 1) * other.strides[i].unsigned_abs()).sum();
    (other, other.offset + reach + 1)
}

fn maps<T: Float>(r: &mut Rng) {
    let (lx, len) = layout(r);
    let (data, values) = filled::<T>(r, &lx, len);
    let x = Strided::new(&data, lx);
    let n = values.len();
    // Outputs begin anywhere, too.
    let (skip, what) = (r.below(4), || format!("{lx:?}"));
    let mut out = vec![T::of(9.0); skip + n];
    map::unary(x, &mut out[skip..], [1, 8, 1 << 16][r.below(3)], &|x: &[T], out: &mut [T]| {
        assert_eq!(x.len(), out.len());
        out.iter_mut().zip(x).for_each(|(o, &x)| *o = x + x);
    });
    same(&out[skip..], &values.iter().map(|&v| v + v).collect::<Vec<_>>(), &what);
    let mut out = vec![T::of(9.0); skip + n];
    map::copy(x, &mut out[skip..]);
    same(&out[skip..], &values, &what);
    assert!(out[..skip].iter().all(|&v| v == T::of(9.0)), "{}", what());

    let (ly, len) = beside(r, &lx);
    let (others, more) = filled::<T>(r, &ly, len);
    let y = Strided::new(&others, ly);
    for swap in [false, true] {
        let mut out = vec![T::of(9.0); n];
        let (a, b) = if swap { (y, x) } else { (x, y) };
        map::binary(a, b, &mut out, 1 + r.below(1 << 16), &|a: &[T], b: &[T], out: &mut [T]| {
            assert!(a.len() == out.len() && b.len() == out.len());
            (0..out.len()).for_each(|i| out[i] = a[i] - b[i]);
        });
        let (a, b) = if swap { (&more, &values) } else { (&values, &more) };
        let want: Vec<T> = a.iter().zip(b).map(|(&a, &b)| a - b).collect();
        same(&out, &want, &|| format!("{lx:?} and {ly:?}, swapped: {swap}"));
    }
}

#[test]
fn maps_of_any_operand() {
    let r = &mut Rng(1);
    for _ in 0..1500 {
        maps::<f32>(r);
        maps::<f64>(r);
    }
}

/// Large enough for the squares that transposes are copied in, with edges near their size, as windows, and
/// reversed.
#[test]
fn copies_of_transposes() {
    let r = &mut Rng(2);
    for _ in 0..60 {
        let sides = [1, 2, 31, 32, 33, 64, 65, 100];
        let dims = [1 + r.below(3), sides[r.below(8)], sides[r.below(8)]];
        let step = [dims[1], dims[1] + 3, 1, 2, 0][r.below(5)] as isize;
        let mut l = Layout { shape: Shape::new(&dims).unwrap(), strides: [0; MAX_RANK], offset: r.below(3) };
        l.strides[..3].copy_from_slice(&[step * dims[2] as isize, 1, step]);
        let len = l.offset + 1 + (0..3).map(|i| (dims[i] - 1) * l.strides[i] as usize).sum::<usize>();
        let (mut data, _) = filled::<f32>(r, &l, len);
        let what = || format!("{l:?}");
        for sign in [1, -1] {
            let mut l = l;
            if sign < 0 {
                l.offset += (dims[2] - 1) * l.strides[2] as usize;
                l.strides[2] = -l.strides[2];
            }
            let want: Vec<f32> = places(&l).into_iter().map(|at| data[at]).collect();
            let mut out = vec![9.0; want.len()];
            map::copy(Strided::new(&data, l), &mut out);
            same(&out, &want, &what);
        }
        // Back to where the elements came from, if each has its own place.
        if step as usize >= dims[1] {
            let x: Vec<f32> = r.plains(dims.iter().product());
            let mut want = data.clone();
            places(&l).iter().zip(&x).for_each(|(&at, &v)| want[at] = v);
            map::scatter(&x, &l, &mut data);
            same(&data, &want, &what);
        }
    }
}

#[test]
fn scatters_to_any_layout() {
    let r = &mut Rng(3);
    for _ in 0..800 {
        let (l, len) = layout(r);
        let at = places(&l);
        let mut sorted = at.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() < at.len() {
            continue; // two elements for one place
        }
        let x: Vec<f64> = r.plains(at.len());
        let mut got: Vec<f64> = vec![9.0; len];
        let mut want = got.clone();
        at.iter().zip(&x).for_each(|(&at, &v)| want[at] = v);
        map::scatter(&x, &l, &mut got);
        same(&got, &want, &|| format!("{l:?}"));
    }
}

fn folds<T: Float>(r: &mut Rng) {
    let (l, len) = layout(r);
    let (data, values) = filled::<T>(r, &l, len);
    let dims = l.shape.dims();
    let mut mask = [false; MAX_RANK];
    mask[..dims.len()].iter_mut().for_each(|m| *m = r.below(2) == 0);
    let keep = |i: usize| !mask[i];
    let outputs: usize = (0..dims.len()).filter(|&i| keep(i)).map(|i| dims[i]).product();
    // The elements of each output, in row-major order.
    let mut groups: Vec<Vec<T>> = vec![Vec::new(); outputs];
    for (flat, &v) in values.iter().enumerate() {
        let (mut rest, mut at, mut step) = (flat, 0, 1);
        for axis in (0..dims.len()).rev() {
            if keep(axis) {
                at += rest % dims[axis] * step;
                step *= dims[axis];
            }
            rest /= dims[axis];
        }
        groups[at].push(v);
    }
    let x = Strided::new(&data, l);
    let what = || format!("{l:?} over {mask:?}");
    fn check<F: reduce::Fold, T: Float>(
        x: Strided<T>,
        mask: &[bool; MAX_RANK],
        groups: &[Vec<T>],
        what: &dyn Fn() -> String,
    ) {
        let mut out = vec![T::of(9.0); groups.len()];
        reduce::fold::<F, T>(x, mask, &mut out);
        // One order for all layouts: that of a slice.
        let want: Vec<T> = groups.iter().map(|g| reduce::fold_slice::<F, T>(g)).collect();
        same(&out, &want, what);
    }
    check::<reduce::Sum, T>(x, &mask, &groups, &what);
    check::<reduce::Max, T>(x, &mask, &groups, &what);
    check::<reduce::Min, T>(x, &mask, &groups, &what);
    let mut out = vec![T::of(9.0); groups.len()];
    reduce::product::<T>(x, &mask, &mut out);
    let want: Vec<T> = groups.iter().map(|g| g.iter().fold(T::one(), |p, v| p * *v)).collect();
    same(&out, &want, &what);
    // And the numbers are right, not only alike.
    for g in groups.iter().filter(|g| g.iter().all(|v| v.wide().is_finite() && v.wide().abs() > 1e-30)) {
        let exact: f64 = g.iter().map(|v| v.wide()).sum();
        let (sum, size) = (reduce::fold_slice::<reduce::Sum, T>(g).wide(), g.len() as f64);
        assert!((sum - exact).abs() <= 1e-6 * (1.0 + size), "{}: {sum} {exact}", what());
        let top = g.iter().map(|v| v.wide()).fold(f64::NEG_INFINITY, f64::max);
        assert_eq!(reduce::fold_slice::<reduce::Max, T>(g).wide(), top, "{}", what());
    }
    let whole: Vec<i64> = data.iter().map(|v| v.wide() as i64).collect();
    let mut got = vec![9i64; outputs];
    let add = |sum: i64, run: &[i64]| run.iter().fold(sum, |sum, v| sum.wrapping_add(*v));
    reduce::fold_whole(Strided::new(&whole, l), &mask, 0, add, &mut got);
    let want: Vec<i64> =
        groups.iter().map(|g| g.iter().map(|v| v.wide() as i64).fold(0, i64::wrapping_add)).collect();
    assert_eq!(got, want, "{}", what());
}

#[test]
fn reductions_of_any_operand() {
    let r = &mut Rng(4);
    for _ in 0..1500 {
        folds::<f32>(r);
        folds::<f64>(r);
    }
}

/// Makes operands of rows: some number of them, of some length, that begin somewhere in memory of just that length.
fn rows<T: Float>(r: &mut Rng, odd: bool) -> (Vec<T>, usize, usize, usize) {
    let (rows, n) = ([0, 1, 2, 7][r.below(4)], [1, 2, 7, 31, 32, 33, 64, 65, 200, 2100][r.below(10)]);
    let skip = r.below(4);
    let data = (0..skip + rows * n).map(|_| if odd { r.odd() } else { r.plain() }).collect();
    (data, skip, rows, n)
}

fn softmaxes<T: Float>(r: &mut Rng) {
    let near = |got: T, want: f64, what: &str| {
        let got = got.wide();
        let fine = (got - want).abs() <= 2e-5 * (1.0 + want.abs()) || got.is_nan() && want.is_nan();
        assert!(fine, "{what}: {got} {want}");
    };
    let (data, skip, count, n) = rows::<T>(r, false);
    let x = &data[skip..];
    let (g, mut y) = (r.plains::<T>(skip + count * n), vec![T::of(9.0); skip + count * n]);
    let (mut log_y, mut g_in) = (y.clone(), y.clone());
    softmax::softmax(x, &mut y[skip..], n);
    softmax::log_softmax(x, &mut log_y[skip..], n);
    softmax::softmax_grad(&y[skip..], &g[skip..], &mut g_in[skip..], n);
    let (mut max, mut log) = (vec![T::of(9.0); count], vec![T::of(9.0); count]);
    softmax::logsumexp(x, &mut max, &mut log, n);
    let labels: Vec<i64> = (0..count).map(|_| r.below(n) as i64).collect();
    let (of_row, mut entropy) = (r.plains::<T>(count), vec![T::of(9.0); count * n]);
    let parts = softmax::Rows { max: &max, log: &log, labels: &labels, g: &of_row };
    softmax::sparse_cross_entropy_grad(x, parts, &mut entropy, n);
    for row in 0..count {
        let at = |i: usize| skip + row * n + i;
        let exact: Vec<f64> = (0..n).map(|i| x[row * n + i].wide()).collect();
        let lse = libm::log(exact.iter().map(|&v| libm::exp(v)).sum());
        near(max[row] + log[row], lse, "logsumexp");
        let p: Vec<f64> = exact.iter().map(|v| libm::exp(v - lse)).collect();
        let dot: f64 = (0..n).map(|i| p[i] * g[at(i)].wide()).sum();
        for i in 0..n {
            near(y[at(i)], p[i], "softmax");
            near(log_y[at(i)], exact[i] - lse, "log_softmax");
            near(g_in[at(i)], p[i] * (g[at(i)].wide() - dot), "softmax_grad");
            let hot = f64::from(u8::from(labels[row] == i as i64));
            near(entropy[row * n + i], (p[i] - hot) * of_row[row].wide(), "sparse_cross_entropy_grad");
        }
    }
    assert!(y[..skip].iter().chain(&log_y[..skip]).all(|&v| v == T::of(9.0)), "written before the output");
}

fn norms<T: Float>(r: &mut Rng) {
    let (data, skip, count, n) = rows::<T>(r, false);
    let x = &data[skip..];
    let (gamma, beta, g) = (r.plains::<T>(n), r.plains::<T>(n), r.plains::<T>(count * n));
    let mut y = vec![T::of(9.0); skip + count * n];
    let (mut mean, mut scale) = (vec![T::of(9.0); count], vec![T::of(9.0); count]);
    norm::layer_norm(x, &gamma, &beta, T::of(1e-3), &mut y[skip..], &mut mean, &mut scale);
    let parts = norm::Rows { mean: &mean, scale: &scale };
    let (mut of_x, mut of_gamma) = (vec![T::of(9.0); count * n], vec![T::of(9.0); n]);
    norm::layer_norm_grad(x, &g, &gamma, parts, &mut of_x);
    norm::layer_norm_gamma(x, &g, parts, &mut of_gamma);
    let mut slopes = vec![0.0; n];
    let near = |got: T, want: f64, what: &str| {
        let fine = (got.wide() - want).abs() <= 1e-3 * (1.0 + want.abs());
        assert!(fine, "{what} of {count} rows of {n}: {} {want}", got.wide());
    };
    for row in 0..count {
        let at = |v: &[T], i: usize| v[row * n + i].wide();
        let center = (0..n).map(|i| at(x, i)).sum::<f64>() / n as f64;
        let variance = (0..n).map(|i| (at(x, i) - center) * (at(x, i) - center)).sum::<f64>() / n as f64;
        let factor = 1.0 / libm::sqrt(variance + 1e-3);
        let z = |i: usize| (at(x, i) - center) * factor;
        let h = |i: usize| at(&g, i) * gamma[i].wide();
        let (of_mean, slope) =
            ((0..n).map(h).sum::<f64>() / n as f64, (0..n).map(|i| h(i) * z(i)).sum::<f64>() / n as f64);
        for i in 0..n {
            near(y[skip + row * n + i], z(i) * gamma[i].wide() + beta[i].wide(), "layer_norm");
            near(of_x[row * n + i], (h(i) - of_mean - z(i) * slope) * factor, "layer_norm_grad");
            slopes[i] += at(&g, i) * z(i);
        }
    }
    (0..n).for_each(|i| near(of_gamma[i], slopes[i], "layer_norm_gamma"));
    assert!(y[..skip].iter().all(|&v| v == T::of(9.0)), "written before the output");
}

#[test]
fn rows_of_any_number_and_length() {
    let r = &mut Rng(5);
    for _ in 0..150 {
        softmaxes::<f32>(r);
        softmaxes::<f64>(r);
        norms::<f32>(r);
        norms::<f64>(r);
    }
}

#[test]
fn runs_moved_and_added() {
    let r = &mut Rng(6);
    for _ in 0..600 {
        let size = |r: &mut Rng| [0, 1, 2, 3, 17][r.below(5)];
        let runs = index::Runs { outer: size(r), axis: size(r), inner: size(r) };
        let k = if runs.axis == 0 { 0 } else { [0, 1, 5, 40][r.below(4)] };
        let list: Vec<i64> = (0..k).map(|_| r.below(runs.axis) as i64).collect();
        let x: Vec<f32> = r.plains(runs.outer * runs.axis * runs.inner);
        let mut got = vec![9.0f32; runs.outer * k * runs.inner];
        index::gather(&x, &list, runs, &mut got);
        let (mut want, mut back, mut sums) = (Vec::new(), vec![0.5f32; x.len()], vec![0f32; x.len()]);
        for o in 0..runs.outer {
            for &at in &list {
                want.extend((0..runs.inner).map(|i| x[(o * runs.axis + at as usize) * runs.inner + i]));
            }
        }
        same(&got, &want, &|| format!("gather {runs:?} {list:?}"));
        index::scatter_add(&got, &list, runs, &mut back);
        for o in 0..runs.outer {
            for (j, &at) in list.iter().enumerate() {
                for i in 0..runs.inner {
                    sums[(o * runs.axis + at as usize) * runs.inner + i] += got[(o * k + j) * runs.inner + i];
                }
            }
        }
        same(&back, &sums, &|| format!("scatter_add {runs:?} {list:?}"));
    }
}

/// Many narrow rows, of which threads take blocks: each column in the order of a row of its elements.
#[test]
fn columns_folded_on_several_threads() {
    fn check<F: reduce::Fold, T: Float>(r: &mut Rng, (count, n): (usize, usize)) {
        let x: Vec<T> = (0..count * n).map(|_| r.odd()).collect();
        let column = |j: usize| x[j..].iter().step_by(n).copied().collect::<Vec<T>>();
        let want: Vec<T> = (0..n).map(|j| reduce::fold_slice::<F, T>(&column(j))).collect();
        let mut mask = [false; MAX_RANK];
        mask[0] = true;
        let shape = Shape::new(&[count, n]).unwrap();
        for threads in [1, 2, 3, 8] {
            let mut got = vec![T::of(0.5); n];
            let x = Strided::new(&x, Layout::contiguous(shape));
            par::with_threads(threads, || reduce::fold::<F, T>(x, &mask, &mut got)).unwrap();
            same(&got, &want, &|| format!("{shape} on {threads} threads"));
        }
    }
    let r = &mut Rng(9);
    for size in [(2048 * 8 - 2047, 33), (2048 * 8, 1), (2048 * 9 + 5, 64), (2048 * 11 + 1, 7), (20_000, 65)] {
        check::<reduce::Sum, f32>(r, size);
        check::<reduce::Sum, f64>(r, size);
        check::<reduce::Max, f32>(r, size);
    }
    // More blocks than wait at a time.
    check::<reduce::Sum, f32>(r, (2048 * 131 + 9, 33));
}

/// Tables that are cut between threads, within blocks too.
#[test]
fn runs_added_on_several_threads() {
    let r = &mut Rng(8);
    for (outer, axis, inner) in [(1, 5000, 40), (3, 1, 70_000), (3, 1100, 77), (1, 200_003, 1)] {
        let runs = index::Runs { outer, axis, inner };
        let list: Vec<i64> = (0..300).map(|_| r.below(axis.min(900)) as i64).collect();
        let list = &list[..(200_000 / inner).clamp(3, 300)];
        let g: Vec<f32> = r.plains(outer * list.len() * inner);
        let mut want = vec![0f32; outer * axis * inner];
        for (i, g) in g.chunks(inner).enumerate() {
            let at = (i / list.len() * axis + list[i % list.len()] as usize) * inner;
            want[at..at + inner].iter_mut().zip(g).for_each(|(sum, g)| *sum += g);
        }
        for threads in [1, 2, 3, 8] {
            let mut got = vec![0.5f32; want.len()];
            par::with_threads(threads, || index::scatter_add(&g, list, runs, &mut got)).unwrap();
            same(&got, &want, &|| format!("scatter_add {runs:?} on {threads} threads"));
        }
    }
}

#[test]
fn elements_taken_scanned_and_sorted() {
    let r = &mut Rng(7);
    for _ in 0..200 {
        let (data, skip, count, n) = rows::<f32>(r, true);
        let x = &data[skip..];
        let k = [1, 2, 5, 70][r.below(4)];
        let list: Vec<i64> = (0..count * k).map(|_| r.below(n) as i64).collect();
        let mut taken = vec![9.0f32; count * k];
        index::take_rows(x, n, &list, k, &mut taken);
        let want: Vec<f32> = list.iter().enumerate().map(|(i, &at)| x[i / k * n + at as usize]).collect();
        same(&taken, &want, &|| format!("take_rows: {count} rows of {n}, {k}"));
        let (mut back, mut sums) = (vec![0.0f32; count * n], vec![0.0f32; count * n]);
        index::add_rows(&taken, k, &list, n, &mut back);
        list.iter().enumerate().for_each(|(i, &at)| sums[i / k * n + at as usize] += taken[i]);
        same(&back, &sums, &|| format!("add_rows: {count} rows of {n}, {k}"));

        let mut scanned = vec![9.0f32; count * n];
        scan::running(x, &mut scanned, n, &|a, b| a + b);
        let b: Vec<f32> = r.plains(count * n);
        let mut chained = vec![9.0f32; count * n];
        scan::recurrence(x, &b, &mut chained, n);
        for row in 0..count {
            let (mut sum, mut y) = (x[row * n], b[row * n]);
            for i in row * n..(row + 1) * n {
                if i > row * n {
                    sum += x[i];
                    y = x[i] * y + b[i];
                }
                same(&[scanned[i], chained[i]], &[sum, y], &|| format!("scans: {count} rows of {n} at {i}"));
            }
        }

        let (mut order, mut tops) = (vec![-1i64; count * n], vec![-1i64; count]);
        for descending in [false, true] {
            sort::argsort(x, n, descending, &mut order);
            reduce::arg_rows(x, n, descending, &mut tops);
            for row in 0..count {
                let values = &x[row * n..][..n];
                let mut seen: Vec<i64> = order[row * n..][..n].to_vec();
                for pair in seen.windows(2) {
                    let (a, b) = (values[pair[0] as usize], values[pair[1] as usize]);
                    let fine = if b.is_nan() {
                        !a.is_nan() || pair[0] < pair[1]
                    } else if a == b {
                        pair[0] < pair[1]
                    } else {
                        (a > b) == descending && !a.is_nan()
                    };
                    assert!(fine, "{a} before {b}, descending: {descending}");
                }
                let first = values.iter().position(|v| v.is_nan()).map_or(seen[0], |at| at as i64);
                assert_eq!(tops[row], first, "arg_rows");
                seen.sort_unstable();
                assert!(seen.iter().enumerate().all(|(i, &at)| at == i as i64), "every index once");
            }
        }
    }
}

/// Checks that runs cut between threads end where the next begins.
#[test]
fn cuts_cover_everything_once() {
    let r = &mut Rng(8);
    for _ in 0..200 {
        let (unit, units, grain) = (1 + r.below(9), r.below(50), 1 + r.below(20));
        par::with_threads(3, || {
            let (mut out, mut more) = (vec![0u32; unit * units], vec![0u32; units]);
            par::chunks(&mut out, unit, grain, &|first, run: &mut [u32]| {
                assert_eq!(run.len() % unit, 0);
                run.iter_mut().enumerate().for_each(|(i, o)| *o += (first * unit + i) as u32 + 1);
            });
            par::rows(
                &mut out,
                unit,
                [&mut more],
                grain,
                &|first, run: &mut [u32], [more]: [&mut [u32]; 1]| {
                    assert_eq!(run.len(), more.len() * unit);
                    run.iter_mut().enumerate().for_each(|(i, o)| *o += (first * unit + i) as u32 + 1);
                    more.iter_mut().enumerate().for_each(|(i, o)| *o += (first + i) as u32 + 1);
                },
            );
            assert!(out.iter().enumerate().all(|(i, &o)| o == 2 * (i as u32 + 1)), "{unit} {units} {grain}");
            assert!(more.iter().enumerate().all(|(i, &o)| o == i as u32 + 1), "{unit} {units} {grain}");
        })
        .unwrap();
    }
}

fn refused(data: &[f32], dims: &[usize], strides: &[isize], offset: usize) {
    let mut layout = Layout { shape: Shape::new(dims).unwrap(), strides: [0; MAX_RANK], offset };
    layout.strides[..strides.len()].copy_from_slice(strides);
    let made = std::panic::catch_unwind(|| Strided::new(data, layout).data().len());
    assert!(made.is_err(), "{dims:?} {strides:?} {offset} reaches outside of {} elements", data.len());
}

/// A layout that reaches outside of its memory is not a view, whichever way it does.
#[test]
fn layouts_outside_of_their_memory_are_refused() {
    let data = [0.0f32; 12];
    refused(&data, &[13], &[1], 0);
    refused(&data, &[12], &[1], 1);
    refused(&data, &[3, 4], &[4, 1], 1);
    refused(&data, &[2, 2], &[-1, 1], 0);
    refused(&data, &[2], &[12], 0);
    refused(&data, &[1], &[0], 12);
    refused(&data, &[2], &[isize::MAX], 0);
    refused(&data, &[3], &[isize::MAX], 0);
    refused(&data, &[3], &[isize::MIN / 2], 1);
    refused(&data, &[5], &[1 << 62], 0);
    refused(&data, &[1], &[0], usize::MAX);
}
