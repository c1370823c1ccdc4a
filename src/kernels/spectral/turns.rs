//! Rotations of the vectors while eigenvalues or singular values are found. Rotations wait until there are many; vectors
//! are rows of blocks of 32 components, and each block makes all rotations on its own, on any thread.

use super::divide::Rows;
use crate::kernels::par;
use crate::kernels::simd::stamped;

/// Components of each vector in a block.
pub(super) const WIDTH: usize = 32;

/// Sweeps that wait at most.
const SWEEPS: usize = 64;

/// A rotation `(cos, sin)`.
pub(super) type Turn = (f64, f64);

/// Rotations of vector `start` with the next, of that with the one after it, and so on, up or down.
#[derive(Clone, Copy, Default)]
struct Sweep {
    start: usize,
    /// The first rotation, and how many there are.
    first: usize,
    count: usize,
    down: bool,
}

/// Vectors, and the rotations that they have not made yet.
pub(super) struct Turns<'a> {
    /// For each block of components, for each vector, `WIDTH` components.
    blocks: &'a mut [f64],
    vectors: usize,
    turns: &'a mut [f64],
    /// Numbers of `turns` in use.
    used: usize,
    sweeps: [Sweep; SWEEPS],
    count: usize,
}

/// Returns how many numbers `vectors` vectors of `components` components take, and how many the rotations that wait.
pub(super) fn room(vectors: usize, components: usize) -> (usize, usize) {
    (components.next_multiple_of(WIDTH) * vectors, 2 * 16 * vectors)
}

impl<'a> Turns<'a> {
    /// Begins with the axes.
    pub(super) fn new(
        vectors: usize,
        components: usize,
        blocks: &'a mut [f64],
        turns: &'a mut [f64],
    ) -> Self {
        blocks.fill(0.0);
        for i in 0..vectors.min(components) {
            blocks[(i / WIDTH * vectors + i) * WIDTH + i % WIDTH] = 1.0;
        }
        Turns { blocks, vectors, turns, used: 0, sweeps: [Sweep::default(); SWEEPS], count: 0 }
    }

    /// Begins rotations at vector `start`, upwards or `down`, at most `count` of them.
    pub(super) fn begin(&mut self, start: usize, count: usize, down: bool) {
        if self.count == SWEEPS || self.used + 2 * count > self.turns.len() {
            self.settle();
        }
        self.sweeps[self.count] = Sweep { start, first: self.used, count: 0, down };
        self.count += 1;
    }

    /// The next rotation: of x, the vector before, and y: they become `cos·x + sin·y` and `cos·y - sin·x`.
    pub(super) fn turn(&mut self, (cos, sin): Turn) {
        (self.turns[self.used], self.turns[self.used + 1]) = (cos, sin);
        self.used += 2;
        self.sweeps[self.count - 1].count += 1;
    }

    /// Makes all rotations that wait.
    pub(super) fn settle(&mut self) {
        let (sweeps, turns, vectors) = (&self.sweeps[..self.count], &self.turns[..self.used], self.vectors);
        if self.used == 0 {
            self.count = 0;
            return;
        }
        // A rotation of a number takes about three operations.
        let grain = par::GRAIN * vectors * WIDTH / (3 * self.used * WIDTH / 2);
        par::chunks(self.blocks, WIDTH * vectors, grain, &|_, blocks| {
            blocks.chunks_exact_mut(WIDTH * vectors).for_each(|block| turn_block(block, sweeps, turns));
        });
        (self.used, self.count) = (0, 0);
    }

    /// Copies the vectors to rows.
    pub(super) fn store(&mut self, rows: &mut Rows<'_>, components: usize) {
        self.settle();
        let vectors = self.vectors;
        for (b, block) in self.blocks.chunks_exact(WIDTH * vectors).enumerate() {
            let count = WIDTH.min(components - b * WIDTH);
            for (i, vector) in block.chunks_exact(WIDTH).enumerate() {
                rows.row(i, components)[b * WIDTH..][..count].copy_from_slice(&vector[..count]);
            }
        }
    }
}

stamped! {
    /// Makes the rotations of all sweeps.
    fn turn_block(block: &mut [f64], sweeps: &[Sweep], turns: &[f64]) {
        let (rows, _) = block.as_chunks_mut::<WIDTH>();
        let (turns, _) = turns.as_chunks::<2>();
        for sweep in sweeps {
            let mut at = sweep.start;
            let mut x = rows[at];
            for &[cos, sin] in &turns[sweep.first / 2..][..sweep.count] {
                let next = if sweep.down { at - 1 } else { at + 1 };
                let y = rows[next];
                let row = &mut rows[at];
                for ((to, x), &y) in row.iter_mut().zip(&mut x).zip(&y) {
                    *to = cos * *x + sin * y;
                    *x = cos * y - sin * *x;
                }
                at = next;
            }
            rows[at] = x;
        }
    }
}

/// The rotation that turns `(f, g)` to `(r, 0)`, and r.
pub(super) fn rotation(f: f64, g: f64) -> (Turn, f64) {
    if g == 0.0 {
        return ((1.0, 0.0), f);
    }
    if f == 0.0 {
        return ((0.0, 1.0), g);
    }
    // Numbers are scaled to 1 and below, so squares vanish but do not overflow.
    let (f1, g1, scale) = match f.abs().max(g.abs()) < 1e-140 {
        true => (f * POWER, g * POWER, 1.0 / POWER),
        false => (f, g, 1.0),
    };
    let r = (f1 * f1 + g1 * g1).sqrt().copysign(f);
    ((f1 / r, g1 / r), r * scale)
}

/// 2^700.
const POWER: f64 = f64::from_bits((1023 + 700) << 52);
