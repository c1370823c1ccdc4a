//! Products with one row or one column. They read each number of the matrix once, so memory limits their speed.
//! Rows of B are streamed eight at a time, columns of B are transposed in registers, and panels are never made.

use super::Gemm;
use super::finish::Finish;
use super::matrix::Target;
use super::side::Side;
use super::tile::Kernels;
use crate::kernels::scratch;

/// Results that are computed together: many, because rows of B are read the faster the longer runs of them are, but so
/// few that with a second sum they stay in L2.
pub(super) const WIDTH: usize = 8192;
/// The same where columns of B are contiguous: the blocks of K of a few columns one after another are one stream from
/// memory, those of many are two that skip.
const COLUMNS: usize = 32;

/// Which operand has one row or column.
#[derive(Clone, Copy)]
pub(super) enum One {
    Row,
    Column,
}

/// Returns how `product` can do it, if it can.
#[inline]
pub(super) fn takes<T: Gemm>(kernels: &Kernels<T>, a: &Side<T>, b: &Side<T>) -> Option<One> {
    match (a.across(), b.across()) {
        (0, _) => None,
        _ if a.k() == 0 => None,
        (1, _) if streams(kernels, b) => Some(One::Row),
        (_, 1) if streams(kernels, a) => Some(One::Column),
        _ => None,
    }
}

/// Returns whether a matrix can be read once, from beginning to end.
#[inline]
fn streams<T: Gemm>(kernels: &Kernels<T>, b: &Side<T>) -> bool {
    match b {
        Side::Plain(b) => b.cs == 1 || b.rs == 1,
        Side::Panels(b) => kernels.whole_vectors(b.width),
        Side::Other(_) => false,
    }
}

/// Computes C = A · B with one row in A or one column in B.
pub(super) fn product<T: Gemm>(
    kernels: &Kernels<T>,
    one: One,
    a: &Side<T>,
    b: &Side<T>,
    mut c: Target<T>,
    finish: &Finish<T>,
) {
    if let One::Row = one {
        let out = c.row(0);
        return sums(kernels, a, b, &mut |j, sums| finish.put_row(j, sums, &mut out[j..]));
    }
    match c.contiguous_column() {
        Some(out) => sums(kernels, b, a, &mut |i, sums| finish.put_column(i, sums, &mut out[i..])),
        None => sums(kernels, b, a, &mut |i, sums| {
            for (s, sum) in sums.iter_mut().enumerate() {
                finish.put_column(i + s, std::slice::from_mut(sum), c.row(i + s));
            }
        }),
    }
}

/// Computes `x · b`, a run of columns at a time; `x` has one column, since the left side is transposed.
fn sums<T: Gemm>(kernels: &Kernels<T>, x: &Side<T>, b: &Side<T>, done: &mut dyn FnMut(usize, &mut [T])) {
    let (k, n) = (b.k(), b.across());
    let most = match b {
        Side::Plain(b) if b.cs != 1 => COLUMNS,
        _ => WIDTH,
    };
    let width = most.min(n);
    let in_place = match x {
        Side::Plain(x) => x.transposed().contiguous_row(),
        _ => None,
    };
    let copy = if in_place.is_some() { 0 } else { k };
    scratch::with(copy + 2 * width, |room: &mut [T]| {
        let (copied, room) = room.split_at_mut(copy);
        let (total, chain) = room.split_at_mut(width);
        if copy > 0 {
            x.copy_column(copied);
        }
        let x = in_place.unwrap_or(copied);
        // A hand-written loop: `step_by` divides, which would be noticeable for a short row.
        let mut j = 0;
        while j < n {
            let cols = most.min(n - j);
            let (total, chain) = (&mut total[..cols], &mut chain[..cols]);
            let mut p = 0;
            while p < k {
                let kc = T::KC.min(k - p);
                let x = &x[p..p + kc];
                let sums = if p == 0 { &mut *total } else { &mut *chain };
                match b {
                    Side::Plain(b) => kernels.dots(x, b.block(p, j, kc, cols), sums),
                    Side::Panels(b) => kernels.dots_panels(x, b.block(p, kc, j), b.width, sums),
                    Side::Other(_) => unreachable!("`takes` asks for what can be streamed"),
                }
                if p > 0 {
                    total.iter_mut().zip(&*chain).for_each(|(t, &c)| *t = *t + c);
                }
                p += kc;
            }
            done(j, total);
            j += cols;
        }
    });
}
