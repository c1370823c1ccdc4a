//! Eigenvalues of matrices with three diagonals and singular values of matrices with two, by divide and conquer (Cuppen
//! 1981; Gu and Eisenstat 1995): a matrix is cut in two, and the two solutions are put together by the roots of a
//! secular equation (`secular`). Vectors are rows. Most of the work is the product of the old vectors with the new ones'
//! coordinates. Values that the other half does not change, or that stand together, are left as they are.
//! Where matrices are cut depends on their size alone.

use super::secular::{self, Of};
use super::turns::{self, Turns, rotation};
use super::{Unsettled, bidiagonal, tridiagonal};
use crate::kernels::gemm::{Epilogue, Mat, MatMut, Store, gemm};
use crate::kernels::linalg::lines::{divide, dot};
use crate::kernels::{par, scratch};

/// Rows that QR steps solve. With 24 rows nothing is gained at any size; with 64, `svd` of 128 rows takes 1.1 times as long.
pub(super) const LEAF: usize = 32;

/// 2^-300: parts of a matrix that are smaller beside its largest number are as good as 0, so that no square vanishes.
const FLOOR: f64 = f64::from_bits((1023 - 300) << 52);

/// Rows of vectors: `ld` numbers apart, each with components from `at` on.
pub(super) struct Rows<'a> {
    pub(super) data: &'a mut [f64],
    pub(super) ld: usize,
    pub(super) at: usize,
}

impl Rows<'_> {
    pub(super) fn row(&mut self, i: usize, len: usize) -> &mut [f64] {
        &mut self.data[i * self.ld + self.at..][..len]
    }

    /// The rows before number `i`, and those from it on, whose components begin `at` later.
    fn split(&mut self, i: usize, at: usize) -> (Rows<'_>, Rows<'_>) {
        let (low, high) = self.data.split_at_mut(i * self.ld);
        (Rows { data: low, ld: self.ld, at: self.at }, Rows { data: high, ld: self.ld, at: self.at + at })
    }

    /// Turns two rows to `cos·x + sin·y` and `cos·y - sin·x`.
    fn turn(&mut self, i: usize, j: usize, len: usize, (cos, sin): turns::Turn) {
        let (low, high) = self.data.split_at_mut(i.max(j) * self.ld);
        let (low, high) = (&mut low[i.min(j) * self.ld + self.at..][..len], &mut high[self.at..][..len]);
        let (x, y) = if i < j { (low, high) } else { (high, low) };
        for (x, y) in x.iter_mut().zip(y) {
            (*x, *y) = (cos * *x + sin * *y, cos * *y - sin * *x);
        }
    }
}

/// What a solution needs beside the vectors, for `n` rows: `n²` numbers twice, [`NUMBERS`] and [`PLACES`] of each row.
pub(super) struct Room<'a> {
    pub(super) vectors: &'a mut [f64],
    pub(super) coordinates: &'a mut [f64],
    pub(super) numbers: &'a mut [f64],
    pub(super) places: &'a mut [usize],
}

/// Numbers for each row.
pub(super) const NUMBERS: usize = 6;
/// Positions for each row.
pub(super) const PLACES: usize = 3;

impl Room<'_> {
    /// Parts for the first `m` of `n` rows, and for the others.
    fn split(&mut self, m: usize, n: usize) -> (Room<'_>, Room<'_>) {
        let (vectors, more_vectors) = self.vectors.split_at_mut(m * n);
        let (coordinates, more_coordinates) = self.coordinates.split_at_mut(m * n);
        let (numbers, more_numbers) = self.numbers.split_at_mut(m * NUMBERS);
        let (places, more_places) = self.places.split_at_mut(m * PLACES);
        (
            Room { vectors, coordinates, numbers, places },
            Room {
                vectors: more_vectors,
                coordinates: more_coordinates,
                numbers: more_numbers,
                places: more_places,
            },
        )
    }
}

/// Runs both, at the same time if they are large, and returns the first error.
fn both(
    a: impl FnOnce() -> Result<(), Unsettled> + Send,
    b: impl FnOnce() -> Result<(), Unsettled> + Send,
) -> Result<(), Unsettled> {
    let (mut first, mut second) = (Ok(()), Ok(()));
    par::join(|| first = a(), || second = b());
    first.and(second)
}

/// Where the components of a vector are that are not 0: before the cut, anywhere, or behind it.
const BEFORE: usize = 0;
const ANYWHERE: usize = 1;
const BEHIND: usize = 2;
/// The vector stays as it is.
const GONE: usize = 3;

/// The values of two solutions, which are the poles of the secular equation, by row of the vectors.
struct Poles<'a> {
    d: &'a mut [f64],
    z: &'a mut [f64],
    kind: &'a mut [usize],
    /// Rows, the ones that matter first, their values ascending.
    order: &'a mut [usize],
}

impl Poles<'_> {
    /// Takes out the rows whose z, times `size`, is negligible, and one of each two values that stand together, whose vectors
    /// are turned by `turn` so that its z becomes 0. The first `fixed` of the order stay. Returns how many are left.
    fn deflate(
        &mut self,
        fixed: usize,
        (size, tolerance): (f64, f64),
        turn: &mut dyn FnMut(usize, usize, turns::Turn),
    ) -> usize {
        let (Poles { d, z, kind, order }, mut kept) = (self, fixed);
        let mut before: Option<usize> = None;
        for at in fixed..order.len() {
            let j = order[at];
            if size * z[j].abs() <= tolerance {
                kind[j] = GONE;
                continue;
            }
            if let Some(p) = before {
                let both = libm::hypot(z[p], z[j]);
                let (cos, sin) = (z[j] / both, -z[p] / both);
                if ((d[j] - d[p]) * cos * sin).abs() <= tolerance {
                    (z[p], z[j]) = (0.0, both);
                    turn(p, j, (cos, sin));
                    (d[p], d[j]) = (d[p] * cos * cos + d[j] * sin * sin, d[p] * sin * sin + d[j] * cos * cos);
                    if kind[p] != kind[j] {
                        kind[j] = ANYWHERE;
                    }
                    kind[p] = GONE;
                } else {
                    order[kept] = p;
                    kept += 1;
                }
            }
            before = Some(j);
        }
        if let Some(p) = before {
            order[kept] = p;
            kept += 1;
        }
        let gone = (0..kind.len()).filter(|&i| kind[i] == GONE);
        order[kept..].iter_mut().zip(gone).for_each(|(to, i)| *to = i);
        kept
    }

    /// Sets `place[i]` to the position of row `order[i]` among those of its kind, after the kinds before it; returns how
    /// many there are of each kind.
    fn places(&self, kept: usize, place: &mut [usize]) -> [usize; 3] {
        let mut counts = [0; 3];
        self.order[..kept].iter().for_each(|&i| counts[self.kind[i]] += 1);
        let mut next = [0, counts[0], counts[0] + counts[1]];
        for (&i, place) in self.order[..kept].iter().zip(place) {
            *place = next[self.kind[i]];
            next[self.kind[i]] += 1;
        }
        counts
    }
}

/// The cut of vectors: components before it end at `end`, those behind it begin at `begin`; there are `len`.
#[derive(Clone, Copy)]
struct Cut {
    end: usize,
    begin: usize,
    len: usize,
}

/// Computes the new vectors from their coordinates, `kept` rows of `kept`, and puts those that stay behind them.
fn combine(
    rows: &mut Rows<'_>,
    cut: Cut,
    (poles, place, counts): (&Poles<'_>, &[usize], [usize; 3]),
    coordinates: &[f64],
    old: &mut [f64],
) {
    let kept = counts.iter().sum();
    let (upper, lower) = (counts[0] + counts[1], counts[1] + counts[2]);
    let behind = cut.len - cut.begin;
    let (above, rest) = old.split_at_mut(upper * cut.end);
    let (below, rest) = rest.split_at_mut(lower * behind);
    for (&i, &place) in poles.order[..kept].iter().zip(place) {
        let row = &*rows.row(i, cut.len);
        if poles.kind[i] != BEHIND {
            above[place * cut.end..][..cut.end].copy_from_slice(&row[..cut.end]);
        }
        if poles.kind[i] != BEFORE {
            below[(place - counts[0]) * behind..][..behind].copy_from_slice(&row[cut.begin..]);
        }
    }
    for (&i, to) in poles.order[kept..].iter().zip(rest.chunks_exact_mut(cut.len)) {
        to.copy_from_slice(rows.row(i, cut.len));
    }
    let (ld, at) = (rows.ld, rows.at);
    let mut multiply = |first: usize, count: usize, old: &[f64], begin: usize, cols: usize| {
        let coordinates =
            Mat { data: coordinates, offset: first, rows: kept, cols: count, rs: kept as isize, cs: 1 };
        if kept > 0 && count == 0 {
            (0..kept).for_each(|i| rows.row(i, begin + cols)[begin..].fill(0.0));
        } else if kept > 0 && cols > 0 {
            let to = MatMut { data: &mut rows.data[at + begin..], rows: kept, cols, ld };
            gemm(coordinates, Mat::row_major(old, count, cols), to, Store::Write, Epilogue::NONE);
        }
    };
    multiply(0, upper, above, 0, cut.end);
    multiply(counts[0], lower, below, cut.begin, behind);
    for (i, from) in (kept..poles.order.len()).zip(rest.chunks_exact(cut.len)) {
        rows.row(i, cut.len).copy_from_slice(from);
    }
}

/// Replaces `d`, the diagonal, by the eigenvalues of the matrix with `e` beside the diagonal, in any order, and makes row i
/// of `rows` the vector of eigenvalue i. `e` is lost.
pub(super) fn eigenvalues(
    d: &mut [f64],
    e: &mut [f64],
    mut rows: Rows<'_>,
    mut room: Room<'_>,
) -> Result<(), Unsettled> {
    let n = d.len();
    if n <= LEAF {
        let (blocks, waiting) = turns::room(n, n);
        return scratch::with(blocks + waiting, |room: &mut [f64]| {
            let (blocks, waiting) = room.split_at_mut(blocks);
            let mut vectors = Turns::new(n, n, blocks, waiting);
            tridiagonal::diagonalise(d, e, &mut vectors)?;
            vectors.store(&mut rows, n);
            Ok(())
        });
    }
    let m = n / 2;
    let beside = e[m - 1];
    d[m - 1] -= beside.abs();
    d[m] -= beside.abs();
    {
        let (d1, d2) = d.split_at_mut(m);
        let (e1, e2) = e.split_at_mut(m);
        let (rows1, rows2) = rows.split(m, m);
        let (room1, room2) = room.split(m, n);
        both(|| eigenvalues(d1, e1, rows1, room1), || eigenvalues(d2, e2, rows2, room2))?;
    }
    // The matrix is that of both halves plus |beside| times a column and a row, which the vectors turn to z.
    let (z, more) = room.numbers.split_at_mut(n);
    let (kind, places) = room.places.split_at_mut(n);
    let (order, place) = places.split_at_mut(n);
    let root = beside.abs().sqrt();
    for i in 0..n {
        let row = rows.row(i, n);
        z[i] = root * if i < m { row[m - 1] } else { row[m].copysign(row[m] * beside) };
        kind[i] = if i < m { BEFORE } else { BEHIND };
        order[i] = i;
    }
    order.sort_unstable_by(|&i, &j| d[i].total_cmp(&d[j]).then(i.cmp(&j)));
    let most = d.iter().fold(FLOOR.max(2.0 * beside.abs()), |most, d| most.max(d.abs()));
    let mut poles = Poles { d, z, kind, order };
    let tolerance = (core::f64::consts::SQRT_2 * root, 4.0 * f64::EPSILON * most);
    let kept = poles.deflate(0, tolerance, &mut |i, j, by| rows.turn(i, j, n, by));
    let counts = poles.places(kept, place);
    put_together(&mut poles, Of::Values, (kept, &*place), room.coordinates, more);
    let cut = Cut { end: m, begin: m, len: n };
    combine(&mut rows, cut, (&poles, place, counts), &room.coordinates[..kept * kept], room.vectors);
    poles.take(kept, more);
    Ok(())
}

/// Solves the secular equation of the poles that are kept: roots are the first `n` of `numbers`, sizes the next.
fn put_together(
    poles: &mut Poles<'_>,
    of: Of,
    (kept, place): (usize, &[usize]),
    coordinates: &mut [f64],
    numbers: &mut [f64],
) {
    let n = poles.order.len();
    let mut parts = numbers.chunks_exact_mut(n);
    let mut part = || &mut parts.next().expect("there is room for five")[..kept];
    let (roots, sizes, exact, d, z) = (part(), part(), part(), part(), part());
    for ((&i, d), z) in poles.order.iter().zip(&mut *d).zip(&mut *z) {
        (*d, *z) = (poles.d[i], poles.z[i]);
    }
    if kept > 0 {
        secular::solve((d, z), of, &place[..kept], &mut coordinates[..kept * kept], (roots, sizes, exact));
    }
}

impl Poles<'_> {
    /// Takes the new values, which `numbers` begins with, then those that stay.
    fn take(&mut self, kept: usize, numbers: &mut [f64]) {
        let values = &mut numbers[..self.d.len()];
        values.iter_mut().zip(&*self.order).skip(kept).for_each(|(to, &i)| *to = self.d[i]);
        self.d.copy_from_slice(values);
    }
}

/// The matrix of two diagonals: `d`, and above it `e`; as many columns as rows, or one more.
pub(super) fn singular_values(
    d: &mut [f64],
    e: &mut [f64],
    mut left: Rows<'_>,
    mut right: Rows<'_>,
    mut room: Room<'_>,
) -> Result<(), Unsettled> {
    let (n, cols) = (d.len(), e.len() + 1);
    if n <= LEAF {
        return scratch::with(leaf_room(n, cols), |room: &mut [f64]| leaf(d, e, &mut left, &mut right, room));
    }
    // The middle row is left out; the first half has one column more than rows.
    let m = n / 2;
    let (alpha, beta) = (d[m], e[m]);
    {
        let (d1, d2) = d.split_at_mut(m);
        let (e1, e2) = e.split_at_mut(m);
        let (left1, left2) = left.split(m + 1, m + 1);
        let (right1, right2) = right.split(m + 1, m + 1);
        let (room1, room2) = room.split(m + 1, cols);
        let (d2, e2) = (&mut d2[1..], &mut e2[1..]);
        both(
            || singular_values(d1, e1, left1, right1, room1),
            || singular_values(d2, e2, left2, right2, room2),
        )?;
    }
    let (z, more) = room.numbers.split_at_mut(cols);
    let (kind, places) = room.places.split_at_mut(n);
    let (order, places) = places.split_at_mut(n);
    let place = &mut places[..n];
    for (i, z) in z.iter_mut().enumerate() {
        let row = right.row(i, cols);
        *z = if i <= m { alpha * row[m] } else { beta * row[m + 1] };
    }
    d[m] = 0.0;
    let most = d.iter().fold(alpha.abs().max(beta.abs()), |most, d| most.max(d.abs()));
    let tolerance = 4.0 * f64::EPSILON * most.max(FLOOR);
    // Rows m and, if there is a column more, n belong to no value: they are turned so that only one of them has a z.
    if cols > n {
        let both = libm::hypot(z[m], z[n]);
        if both > tolerance {
            right.turn(m, n, cols, (z[m] / both, z[n] / both));
        }
        z[m] = both;
    }
    if z[m].abs() <= tolerance {
        z[m] = tolerance;
    }
    for i in 0..n {
        kind[i] = if i < m { BEFORE } else { BEHIND };
        order[i] = i;
    }
    kind[m] = ANYWHERE;
    order.sort_unstable_by(|&i, &j| (i != m).cmp(&(j != m)).then(d[i].total_cmp(&d[j])).then(i.cmp(&j)));
    let mut poles = Poles { d, z: &mut z[..n], kind, order };
    let kept = if most == 0.0 {
        poles.kind.fill(GONE);
        poles.order.iter_mut().enumerate().for_each(|(i, at)| *at = i);
        0
    } else {
        poles.deflate(1, (1.0, tolerance), &mut |i, j, by| {
            left.turn(i, j, n, by);
            right.turn(i, j, cols, by);
        })
    };
    if kept > 1 {
        let least = &mut poles.d[poles.order[1]];
        *least = least.max(0.5 * tolerance);
    }
    let counts = poles.places(kept, place);
    put_together(&mut poles, Of::Squares, (kept, &*place), room.coordinates, more);
    let coordinates = &mut room.coordinates[..kept * kept];
    let cut = Cut { end: m + 1, begin: m + 1, len: cols };
    combine(&mut right, cut, (&poles, place, counts), coordinates, room.vectors);
    if kept == 0 {
        // Only the zero matrix.
        left.row(m, n).fill(0.0);
        (0..n).filter(|&i| i != m).for_each(|i| left.row(i, n)[m] = 0.0);
        left.row(m, n)[m] = 1.0;
        return Ok(());
    }
    // Of a vector v on the right, the one on the left is Σ·v, with -1 in the middle.
    let sizes = &more[n..2 * n];
    for (row, size) in coordinates.chunks_exact_mut(kept).zip(sizes) {
        for (&i, &place) in poles.order[..kept].iter().zip(&*place) {
            row[place] = if i == m { -1.0 / size } else { poles.d[i] * row[place] };
        }
        let length = dot(row, row).sqrt();
        divide(row, length);
    }
    left.row(m, n).fill(0.0);
    let cut = Cut { end: m, begin: m + 1, len: n };
    combine(&mut left, cut, (&poles, place, counts), coordinates, room.vectors);
    let middle = place[0];
    for (i, row) in coordinates.chunks_exact(kept).enumerate() {
        left.row(i, n)[m] = row[middle];
    }
    poles.take(kept, more);
    Ok(())
}

/// Returns how many numbers of room [`leaf`] needs.
pub(super) fn leaf_room(n: usize, cols: usize) -> usize {
    let ((left, left_waiting), (right, right_waiting)) = (turns::room(n, n), turns::room(cols, cols));
    left + left_waiting + right + right_waiting
}

/// [`singular_values`] by QR steps, whatever the size.
pub(super) fn leaf(
    d: &mut [f64],
    e: &mut [f64],
    left_rows: &mut Rows<'_>,
    right_rows: &mut Rows<'_>,
    room: &mut [f64],
) -> Result<(), Unsettled> {
    let (n, cols) = (d.len(), e.len() + 1);
    let ((of_left, left_waiting), (of_right, right_waiting)) = (turns::room(n, n), turns::room(cols, cols));
    let (of_left, room) = room.split_at_mut(of_left);
    let (left_waiting, room) = room.split_at_mut(left_waiting);
    let (of_right, room) = room.split_at_mut(of_right);
    let mut left = Turns::new(n, n, of_left, left_waiting);
    let mut right = Turns::new(cols, cols, of_right, &mut room[..right_waiting]);
    if cols > n {
        // The last column is turned into the others, which leaves numbers below the diagonal, and these are turned up.
        for (turns, count) in [(&mut right, n), (&mut left, n - 1)] {
            turns.begin(0, count, false);
            for i in 0..count {
                let (turn, length) = rotation(d[i], e[i]);
                d[i] = length;
                e[i] = 0.0;
                if i + 1 < n {
                    (e[i], d[i + 1]) = (turn.1 * d[i + 1], turn.0 * d[i + 1]);
                }
                turns.turn(turn);
            }
        }
    }
    bidiagonal::diagonalise(d, &mut e[..n - 1], &mut left, &mut right)?;
    left.store(left_rows, n);
    right.store(right_rows, cols);
    for (i, d) in d.iter_mut().enumerate() {
        if d.is_sign_negative() {
            *d = -*d;
            left_rows.row(i, n).iter_mut().for_each(|x| *x = -*x);
        }
    }
    Ok(())
}
