//! Discrete Fourier transforms of rows, in float64: Stockham's self-sorting algorithm with factors up to 13 (van Loan
//! 1992), and Bluestein's for sizes with larger prime factors (1970). The roots of unity come from our own mathematical
//! functions and each product is rounded before it is added, so results are the same on every processor and any number
//! of threads. (The crates that do this take their roots from the platform's library of mathematical functions, whose last
//! bit differs from processor to processor.)

use std::f64::consts::FRAC_PI_2;

/// The largest factor of a size that is not left to Bluestein's algorithm.
const LARGEST: usize = 13;

/// Returns the next factor of what is left of a size: fours first, then the primes.
fn factor(n: usize) -> usize {
    if n.is_multiple_of(4) {
        return 4;
    }
    (2..=LARGEST).find(|f| n.is_multiple_of(*f)).unwrap_or(n)
}

/// Returns whether a size has small factors only.
fn is_smooth(mut n: usize) -> bool {
    while n > 1 {
        let f = factor(n);
        if f > LARGEST {
            return false;
        }
        n /= f;
    }
    true
}

/// The size of the transforms in which Bluestein's algorithm computes one of size `n`.
fn around(n: usize) -> usize {
    (2 * n - 1).next_power_of_two()
}

/// Returns how many numbers [`tables`] fills for a size, and how many [`transform`] needs to work with.
pub fn room(n: usize) -> (usize, usize) {
    if is_smooth(n) {
        return (2 * n, 2 * n);
    }
    let m = around(n);
    (4 * m + 2 * n, 4 * m)
}

/// `exp(-2πi·k/n)`, right to the last bit or nearly: only angles up to an eighth of a turn are computed.
fn root(k: usize, n: usize) -> (f64, f64) {
    let (quarter, rest) = ((4 * k as u128) / n as u128, ((4 * k as u128) % n as u128) as usize);
    let (cos, sin) = if 2 * rest <= n {
        let angle = rest as f64 / n as f64 * FRAC_PI_2;
        (libm::cos(angle), libm::sin(angle))
    } else {
        let angle = (n - rest) as f64 / n as f64 * FRAC_PI_2;
        (libm::sin(angle), libm::cos(angle))
    };
    match quarter % 4 {
        0 => (cos, -sin),
        1 => (-sin, -cos),
        2 => (-cos, sin),
        _ => (sin, cos),
    }
}

/// Fills what transforms of a size look up; `work` is as long as [`room`] says.
pub fn tables(n: usize, tables: &mut [f64], work: &mut [f64]) {
    let roots = |out: &mut [f64], size: usize| {
        for (k, pair) in out.chunks_exact_mut(2).enumerate() {
            (pair[0], pair[1]) = root(k, size);
        }
    };
    if is_smooth(n) {
        return roots(tables, n);
    }
    let m = around(n);
    let (of_m, rest) = tables.split_at_mut(2 * m);
    let (chirp, spectrum) = rest.split_at_mut(2 * n);
    roots(of_m, m);
    for (k, pair) in chirp.chunks_exact_mut(2).enumerate() {
        (pair[0], pair[1]) = root((k as u128 * k as u128 % (2 * n as u128)) as usize, 2 * n);
    }
    // The transform of the conjugate chirp, which is even, divided by the size for the way back.
    let (re, im) = spectrum.split_at_mut(m);
    re.fill(0.0);
    im.fill(0.0);
    for k in 0..n {
        let (x, y) = (chirp[2 * k] / m as f64, -chirp[2 * k + 1] / m as f64);
        for at in [k, (m - k) % m] {
            (re[at], im[at]) = (x, y);
        }
    }
    stockham(of_m, re, im, &mut work[..2 * m]);
}

/// Replaces a row by its transform `y[k] = Σ x[j]·exp(-2πi·j·k/n)`. With real and imaginary part exchanged, in what is
/// given and in what is returned, it is the transform with a positive exponent.
pub fn transform(tables: &[f64], re: &mut [f64], im: &mut [f64], work: &mut [f64]) {
    let n = re.len();
    if is_smooth(n) {
        return stockham(tables, re, im, &mut work[..2 * n]);
    }
    let m = around(n);
    let (of_m, rest) = tables.split_at(2 * m);
    let (chirp, spectrum) = rest.split_at(2 * n);
    let (data, work) = work.split_at_mut(2 * m);
    let (x, y) = data.split_at_mut(m);
    x.fill(0.0);
    y.fill(0.0);
    for k in 0..n {
        (x[k], y[k]) = times((re[k], im[k]), (chirp[2 * k], chirp[2 * k + 1]));
    }
    stockham(of_m, x, y, &mut work[..2 * m]);
    for k in 0..m {
        (x[k], y[k]) = times((x[k], y[k]), (spectrum[k], spectrum[m + k]));
    }
    stockham(of_m, y, x, &mut work[..2 * m]);
    for k in 0..n {
        (re[k], im[k]) = times((x[k], y[k]), (chirp[2 * k], chirp[2 * k + 1]));
    }
}

#[inline(always)]
fn times((a, b): (f64, f64), (c, d): (f64, f64)) -> (f64, f64) {
    (a * c - b * d, a * d + b * c)
}

/// A transform of small factors. Each step takes `len / f` numbers that lie `len / f` apart, and so on `stride` times
/// over; the results go where the next step finds them in order.
fn stockham(roots: &[f64], re: &mut [f64], im: &mut [f64], work: &mut [f64]) {
    let n = re.len();
    let (other_re, other_im) = work.split_at_mut(n);
    let (mut len, mut stride, mut swapped) = (n, 1, false);
    while len > 1 {
        let f = factor(len);
        let step = Step { roots, f, m: len / f, stride };
        if swapped {
            step.run(other_re, other_im, re, im);
        } else {
            step.run(re, im, other_re, other_im);
        }
        (len, stride, swapped) = (len / f, stride * f, !swapped);
    }
    if swapped {
        re.copy_from_slice(other_re);
        im.copy_from_slice(other_im);
    }
}

struct Step<'a> {
    roots: &'a [f64],
    f: usize,
    m: usize,
    stride: usize,
}

impl Step<'_> {
    /// The root of the whole size to the power `k`.
    fn root(&self, k: usize) -> (f64, f64) {
        (self.roots[2 * k], self.roots[2 * k + 1])
    }

    fn run(&self, x: &[f64], y: &[f64], out_x: &mut [f64], out_y: &mut [f64]) {
        let (s, wide) = (self.stride, self.f * self.stride);
        let outputs = out_x.chunks_exact_mut(wide).zip(out_y.chunks_exact_mut(wide));
        for (p, (out_x, out_y)) in outputs.enumerate() {
            match self.f {
                2 => self.two(p, x, y, out_x, out_y),
                4 => self.four(p, x, y, out_x, out_y),
                _ => (0..s).for_each(|q| self.odd(p, q, x, y, out_x, out_y)),
            }
        }
    }

    /// Numbers `j` of the transforms that start at `p`.
    fn part<'a>(&self, x: &'a [f64], p: usize, j: usize) -> &'a [f64] {
        &x[self.stride * (p + self.m * j)..][..self.stride]
    }

    fn two(&self, p: usize, x: &[f64], y: &[f64], out_x: &mut [f64], out_y: &mut [f64]) {
        let (s, w) = (self.stride, self.root(p * self.stride));
        let (a, b, c, d) = (self.part(x, p, 0), self.part(y, p, 0), self.part(x, p, 1), self.part(y, p, 1));
        let ((x0, x1), (y0, y1)) = (out_x.split_at_mut(s), out_y.split_at_mut(s));
        for q in 0..s {
            (x0[q], y0[q]) = (a[q] + c[q], b[q] + d[q]);
            (x1[q], y1[q]) = times((a[q] - c[q], b[q] - d[q]), w);
        }
    }

    fn four(&self, p: usize, x: &[f64], y: &[f64], out_x: &mut [f64], out_y: &mut [f64]) {
        let s = self.stride;
        let [w1, w2, w3] = [1, 2, 3].map(|k| self.root(k * p * s));
        let [a, b, c, d] = [0, 1, 2, 3].map(|j| self.part(x, p, j));
        let [e, f, g, h] = [0, 1, 2, 3].map(|j| self.part(y, p, j));
        let ((x0, rest), (y0, others)) = (out_x.split_at_mut(s), out_y.split_at_mut(s));
        let ((x1, rest), (y1, others)) = (rest.split_at_mut(s), others.split_at_mut(s));
        let ((x2, x3), (y2, y3)) = (rest.split_at_mut(s), others.split_at_mut(s));
        let (x3, y3) = (&mut x3[..s], &mut y3[..s]);
        for q in 0..s {
            let (sum_x, sum_y) = (a[q] + c[q], e[q] + g[q]);
            let (gap_x, gap_y) = (a[q] - c[q], e[q] - g[q]);
            let (more_x, more_y) = (b[q] + d[q], f[q] + h[q]);
            // The other difference, turned by a quarter.
            let (turn_x, turn_y) = (f[q] - h[q], d[q] - b[q]);
            (x0[q], y0[q]) = (sum_x + more_x, sum_y + more_y);
            (x1[q], y1[q]) = times((gap_x + turn_x, gap_y + turn_y), w1);
            (x2[q], y2[q]) = times((sum_x - more_x, sum_y - more_y), w2);
            (x3[q], y3[q]) = times((gap_x - turn_x, gap_y - turn_y), w3);
        }
    }

    /// The definition, for an odd factor.
    fn odd(&self, p: usize, q: usize, x: &[f64], y: &[f64], out_x: &mut [f64], out_y: &mut [f64]) {
        let (f, s, turn) = (self.f, self.stride, self.m * self.stride);
        for k in 0..f {
            let at = q + s * p;
            let (mut sum_x, mut sum_y) = (x[at], y[at]);
            for j in 1..f {
                let at = q + s * (p + self.m * j);
                let (u, v) = times((x[at], y[at]), self.root(j * k % f * turn));
                (sum_x, sum_y) = (sum_x + u, sum_y + v);
            }
            (out_x[q + s * k], out_y[q + s * k]) = times((sum_x, sum_y), self.root(k * p * s));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_are_the_definition() {
        for n in (1..70).chain([97, 128, 210, 243, 1024, 1009]) {
            let value = |i: usize, salt: f64| (i as f64 * 0.618 + salt).fract() - 0.5;
            let x: Vec<(f64, f64)> = (0..n).map(|i| (value(i, 0.1), value(i, 0.7))).collect();
            let (mut re, mut im): (Vec<f64>, Vec<f64>) = x.iter().copied().unzip();
            let (looked_up, working) = room(n);
            let (mut table, mut work) = (vec![0.0; looked_up], vec![0.0; working]);
            tables(n, &mut table, &mut work);
            transform(&table, &mut re, &mut im, &mut work);
            for k in 0..n {
                let terms = x.iter().enumerate().map(|(j, &x)| times(x, root(j * k % n, n)));
                let (a, b) = terms.fold((0.0, 0.0), |(a, b), (u, v)| (a + u, b + v));
                let most = 1e-14 * (n as f64).sqrt();
                assert!((re[k] - a).abs() < most && (im[k] - b).abs() < most, "{n} {k}: {} {a}", re[k]);
            }
        }
    }
}
