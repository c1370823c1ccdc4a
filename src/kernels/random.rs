//! Random masks and uniform numbers, at the speed of the arithmetic around them. Sixteen counters go through the
//! generator side by side; the numbers are those of [`Stream::block`], whatever the vector width.

use super::simd::stamped;
use crate::Float;
use crate::random::{Stream, fraction, wide};

/// Elements of a group: sixteen counters of four words.
pub const GROUP: usize = 64;

/// `x · scale` where the word is at least `threshold`, else 0.
#[inline(always)]
fn scaled_or_0<T: Float>(x: T, word: u32, threshold: u32, scale: T) -> T {
    let kept = x * scale;
    if word >= threshold { kept } else { T::c(0.0) }
}

stamped! {
    /// Computes `x · scale` where the word at the element's position in the stream is at least `threshold`, else 0.
    /// Element 0 is at the beginning of group `first`.
    pub fn dropout<T: Float>(stream: Stream, first: u64, x: &[T], out: &mut [T], threshold: u32, scale: T) {
        for (group, (out, x)) in out.chunks_mut(GROUP).zip(x.chunks(GROUP)).enumerate() {
            let words = stream.group((first + group as u64) * (GROUP as u64 / 4));
            for ((o, &x), &word) in out.iter_mut().zip(x).zip(&words) {
                *o = scaled_or_0(x, word, threshold, scale);
            }
        }
    }
}

stamped! {
    /// The same in place, for elements that begin anywhere: element 0 is number `start` of the stream.
    pub fn drop_run<T: Float>(stream: Stream, start: u64, x: &mut [T], threshold: u32, scale: T) {
        let (mut rest, mut at) = (x, start);
        while !rest.is_empty() {
            let words = stream.group(at / GROUP as u64 * (GROUP as u64 / 4));
            let words = &words[(at % GROUP as u64) as usize..];
            let (run, more) = rest.split_at_mut(words.len().min(rest.len()));
            for (x, &word) in run.iter_mut().zip(words) {
                *x = scaled_or_0(*x, word, threshold, scale);
            }
            (rest, at) = (more, at + words.len() as u64);
        }
    }
}

/// Returns the word from which an element is kept, with probability `1 - rate`: below 2³², because the rate is below 1.
pub fn threshold(rate: f64) -> u32 {
    (rate * 4_294_967_296.0) as u32
}

/// Uniform numbers of a group: two for each of sixteen counters.
pub const NUMBERS: usize = 32;

/// Returns number `i` of a group in `[0, 1)`, as [`Stream::uniform`] computes it.
#[inline(always)]
fn unit(words: &[u32; GROUP], i: usize) -> f64 {
    fraction(wide(words[2 * i], words[2 * i + 1]))
}

stamped! {
    /// Computes `low + span · u`, at most `most`, for uniform `u` in `[0, 1)`. Element 0 is the first number of
    /// group `first`.
    pub fn uniform<T: Float>(stream: Stream, first: u64, out: &mut [T], low: f64, span: f64, most: T) {
        for (group, out) in out.chunks_mut(NUMBERS).enumerate() {
            let words = stream.group((first + group as u64) * (NUMBERS as u64 / 2));
            let mut numbers = [most; NUMBERS];
            for i in 0..NUMBERS {
                let number = T::of(low + span * unit(&words, i));
                numbers[i] = if number < most { number } else { most };
            }
            out.copy_from_slice(&numbers[..out.len()]);
        }
    }
}

stamped! {
    /// Returns 1 with probability `p`, else 0. Element 0 is decided by the first number of group `first`.
    pub fn bernoulli(stream: Stream, first: u64, out: &mut [u8], p: f64) {
        for (group, out) in out.chunks_mut(NUMBERS).enumerate() {
            let words = stream.group((first + group as u64) * (NUMBERS as u64 / 2));
            for (i, o) in out.iter_mut().enumerate() {
                *o = u8::from(unit(&words, i) < p);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    /// Compares with the slow reference: one counter at a time.
    #[test]
    fn masks_are_those_of_the_stream() {
        let stream = Stream::new(5, Purpose::User(2), 9);
        for n in [1usize, 3, 63, 64, 65, 200, 1000] {
            let x: Vec<f32> = (0..n).map(|i| i as f32 + 1.0).collect();
            for first in [0u64, 7, 1 << 30] {
                let mut out = vec![f32::NAN; n];
                dropout(stream, first, &x, &mut out, 1 << 30, 2.0);
                for (i, (&o, &x)) in out.iter().zip(&x).enumerate() {
                    let at = first * GROUP as u64 + i as u64;
                    let word = stream.block(at / 4)[(at % 4) as usize];
                    assert_eq!(o, if word >= 1 << 30 { x * 2.0 } else { 0.0 }, "{n} from {first} at {i}");
                }
            }
        }
    }

    /// Compares with the slow reference: one number at a time.
    #[test]
    fn fills_are_those_of_the_stream() {
        let stream = Stream::new(5, Purpose::User(2), 9);
        for n in [1usize, 31, 32, 33, 200] {
            for first in [0u64, 7, 1 << 40] {
                let at = |i: usize| first * NUMBERS as u64 + i as u64;
                let (mut single, mut double, mut coins) = (vec![0f32; n], vec![0f64; n], vec![7u8; n]);
                uniform(stream, first, &mut single, -2.0, 5.0, 2.5f32);
                uniform(stream, first, &mut double, -2.0, 5.0, 3.0f64);
                bernoulli(stream, first, &mut coins, 0.3);
                for i in 0..n {
                    let number = -2.0 + 5.0 * stream.uniform(at(i));
                    assert_eq!(single[i], (number as f32).min(2.5), "{n} from {first} at {i}");
                    assert_eq!(double[i], number.min(3.0), "{n} from {first} at {i}");
                    assert_eq!(coins[i], u8::from(stream.uniform(at(i)) < 0.3), "{n} from {first} at {i}");
                }
            }
        }
    }
}
