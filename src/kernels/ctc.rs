//! The kernel of connectionist temporal classification (Graves et al. 2006): the probability that a label sequence is read off frames, over
//! all ways to stretch it with repeats and blanks. It computes with logarithms in double precision, because the product of the probabilities of
//! a hundred frames underflows in single precision.

use super::scratch;
use crate::Float;

/// One row: logarithms of probabilities, frame by frame, and the labels that are to be read off.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a, T> {
    /// `[frames, classes]`.
    pub ln_p: &'a [T],
    /// How many classes a frame has; 1 or more.
    pub classes: usize,
    /// In `0..classes`, none of them the blank.
    pub labels: &'a [i64],
    /// The class that stands for no label.
    pub blank: usize,
}

/// `ln(exp(a) + exp(b))`.
pub fn ln_add(a: f64, b: f64) -> f64 {
    let (most, least) = if a > b { (a, b) } else { (b, a) };
    if least == f64::NEG_INFINITY { most } else { most + libm::log1p(libm::exp(least - most)) }
}

impl<T: Float> Row<'_, T> {
    /// The frames that the labels need at least: one each, and a blank between two that are equal.
    pub fn least_frames(labels: &[i64]) -> usize {
        labels.len() + labels.windows(2).filter(|pair| pair[0] == pair[1]).count()
    }

    fn frames(&self) -> usize {
        self.ln_p.len() / self.classes
    }

    /// The states that a reading goes through: a blank before, between and behind the labels.
    fn states(&self) -> usize {
        2 * self.labels.len() + 1
    }

    fn class(&self, state: usize) -> usize {
        if state.is_multiple_of(2) { self.blank } else { self.labels[state / 2] as usize }
    }

    fn at(&self, frame: usize, state: usize) -> f64 {
        self.ln_p[frame * self.classes + self.class(state)].wide()
    }

    /// Whether the blank before this state may be left out.
    fn skips(&self, state: usize) -> bool {
        state >= 3 && !state.is_multiple_of(2) && self.labels[state / 2] != self.labels[state / 2 - 1]
    }

    /// Of all readings of the frames so far that end in a state, the logarithm of the probability: before the first frame.
    fn begin(&self, alpha: &mut [f64]) {
        alpha.fill(f64::NEG_INFINITY);
        (0..alpha.len().min(2)).for_each(|state| alpha[state] = self.at(0, state));
    }

    /// And after one frame more.
    fn step(&self, frame: usize, before: &[f64], alpha: &mut [f64]) {
        for state in 0..alpha.len() {
            let mut sum = before[state];
            if state >= 1 {
                sum = ln_add(sum, before[state - 1]);
            }
            if self.skips(state) {
                sum = ln_add(sum, before[state - 2]);
            }
            alpha[state] = sum + self.at(frame, state);
        }
    }

    /// Of all readings of all frames.
    fn total(alpha: &[f64]) -> f64 {
        match alpha {
            [.., before, last] => ln_add(*before, *last),
            [last] => *last,
            [] => f64::NEG_INFINITY,
        }
    }

    /// Minus the logarithm of the probability of the labels.
    pub fn loss(&self) -> f64 {
        let n = self.states();
        if self.frames() == 0 {
            return if n == 1 { 0.0 } else { f64::INFINITY };
        }
        scratch::with::<f64, _>(2 * n, |buffer| {
            let (mut alpha, mut before) = buffer.split_at_mut(n);
            self.begin(alpha);
            for frame in 1..self.frames() {
                std::mem::swap(&mut alpha, &mut before);
                self.step(frame, before, alpha);
            }
            -Self::total(alpha)
        })
    }

    /// `scale` times the derivative of the loss by each logarithm: minus the probability that a frame is read as a class. `out` is
    /// `[frames, classes]`.
    pub fn gradient(&self, scale: f64, out: &mut [T]) {
        out.fill(T::zero());
        let (n, frames) = (self.states(), self.frames());
        if frames == 0 {
            return;
        }
        scratch::with::<f64, _>((frames + 1) * n, |buffer| {
            let (alphas, beta) = buffer.split_at_mut(frames * n);
            self.begin(&mut alphas[..n]);
            for frame in 1..frames {
                let (before, rest) = alphas.split_at_mut(frame * n);
                self.step(frame, &before[(frame - 1) * n..], &mut rest[..n]);
            }
            let total = Self::total(&alphas[(frames - 1) * n..]);
            if total == f64::NEG_INFINITY {
                return;
            }
            // Of all ways to read the frames that are left, from a state on.
            beta.fill(f64::NEG_INFINITY);
            beta[n.saturating_sub(2)..].fill(0.0);
            for frame in (0..frames).rev() {
                if frame + 1 < frames {
                    (0..n).for_each(|state| beta[state] += self.at(frame + 1, state));
                    for state in 0..n {
                        let mut sum = beta[state];
                        if state + 1 < n {
                            sum = ln_add(sum, beta[state + 1]);
                        }
                        if state + 2 < n && self.skips(state + 2) {
                            sum = ln_add(sum, beta[state + 2]);
                        }
                        beta[state] = sum;
                    }
                }
                let (alpha, out) = (&alphas[frame * n..], &mut out[frame * self.classes..]);
                for state in 0..n {
                    let share = libm::exp(alpha[state] + beta[state] - total);
                    out[self.class(state)] -= T::of(scale * share);
                }
            }
        });
    }
}
