//! Products for processors without a fused multiply-add: `matrixmultiply` multiplies and adds separately, in vector
//! instructions that every processor of the target has. It is given one block of K at a time, short enough that it
//! does not cut the block again, so each element of the result is one ascending chain per block, whatever is beside
//! it.

use super::Gemm;
use super::finish::Finish;
use super::matrix::{Source, Target};
use super::side::Side;
use super::tile::Kernels;
use super::vector::WIDTH;
use crate::kernels::scratch;

/// The length of the blocks of K, which `matrixmultiply` sums in one chain. It is part of what the result is. It
/// divides every [`Gemm::KC`].
pub(super) const STEPS: usize = 256;

/// The rows or columns of C that are computed at a time if an operand must be copied, or the sum kept separate from
/// the contents of C.
const PART: usize = 512;

/// Computes C = A · B on this thread.
pub(super) fn product<T: Gemm>(
    kernels: &Kernels<T>,
    a: &Side<T>,
    b: &Side<T>,
    mut c: Target<T>,
    finish: &Finish<T>,
) {
    let (m, n, k) = (c.rows, c.cols, a.k());
    if m == 0 || n == 0 {
        return;
    }
    if let (1, Side::Plain(b)) = (m, b)
        && b.cs == 1
    {
        return row(a, *b, c.row(0), finish);
    }
    let (copy_a, copy_b) = (!matches!(a, Side::Plain(_)), !matches!(b, Side::Plain(_)));
    // The sum must be kept separate from the contents of C until it is complete. (An empty one is a zero that is
    // added.)
    let keeps = finish.add && !(1..=STEPS).contains(&k);
    let down = if copy_a || keeps { m.min(PART) } else { m };
    let along = if copy_b || keeps { n.min(PART) } else { n };
    let steps = k.min(STEPS);
    let len = |wanted: bool, len: usize| if wanted { len } else { 0 };
    let (a_len, b_len) = (len(copy_a, steps * down), len(copy_b, steps * along));
    scratch::with(a_len + b_len + len(keeps, down * along), |room: &mut [T]| {
        let (a_room, room) = room.split_at_mut(a_len);
        let (b_room, sums) = room.split_at_mut(b_len);
        for j in (0..n).step_by(along) {
            let cols = along.min(n - j);
            for i in (0..m).step_by(down) {
                let rows = down.min(m - i);
                let mut out = c.block(i, j, rows, cols);
                let mut sums = keeps.then(|| Target::new(sums, rows, cols, cols).expect("made for it"));
                let mut p = 0;
                loop {
                    let kc = STEPS.min(k - p);
                    let left: Source<T> = a.dense((p, kc), (i, rows), a_room).transposed();
                    let right = b.dense((p, kc), (j, cols), b_room);
                    let add = p > 0 || finish.add && !keeps;
                    kernels.multiply(left, right, add, sums.as_mut().unwrap_or(&mut out));
                    p += kc;
                    if p == k {
                        break;
                    }
                }
                for r in 0..rows {
                    let row = out.row(r);
                    if let Some(sums) = &mut sums {
                        row.iter_mut().zip(sums.row(r)).for_each(|(c, s)| *c = *c + *s);
                    }
                    finish.run(i + r, j, row);
                }
            }
        }
    });
}

/// Computes one row: B is read once, in place, without copying it first. The order, and so the bits, are those of
/// any other row.
fn row<T: Gemm>(a: &Side<T>, b: Source<T>, out: &mut [T], finish: &Finish<T>) {
    let (k, n, zero) = (b.rows, b.cols, T::c(0.0));
    let width = WIDTH.min(n);
    scratch::with(k + 2 * width, |room: &mut [T]| {
        let (x, room) = room.split_at_mut(k);
        let (total, chain) = room.split_at_mut(width);
        a.copy_column(x);
        for j in (0..n).step_by(WIDTH) {
            let cols = WIDTH.min(n - j);
            let (total, chain) = (&mut total[..cols], &mut chain[..cols]);
            total.fill(zero);
            for p in (0..k).step_by(STEPS) {
                chain.fill(zero);
                for (q, &x) in x.iter().enumerate().skip(p).take(STEPS) {
                    let b = b.block(q, j, 1, cols).contiguous_row().unwrap_or_default();
                    chain.iter_mut().zip(b).for_each(|(y, &b)| *y = x * b + *y);
                }
                if p == 0 {
                    total.copy_from_slice(chain);
                } else {
                    total.iter_mut().zip(&*chain).for_each(|(t, &c)| *t = *t + c);
                }
            }
            finish.put_row(j, total, &mut out[j..]);
        }
    });
}
