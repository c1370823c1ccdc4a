//! Why it exists: random masks at the speed of the arithmetic around them. Sixteen counters go through the generator side by side;
//! the numbers are those of [`Stream::block`], whatever the vector width.

use super::simd::stamped;
use crate::Float;
use crate::random::Stream;

/// Elements of a group: sixteen counters of four words.
pub const GROUP: usize = 64;

stamped! {
    /// `x · scale` where the word of the element's position in the stream is at least `threshold`, else 0. Element 0 stands at
    /// the beginning of group `first`.
    pub fn dropout<T: Float>(stream: Stream, first: u64, x: &[T], out: &mut [T], threshold: u32, scale: T) {
        for (group, (out, x)) in out.chunks_mut(GROUP).zip(x.chunks(GROUP)).enumerate() {
            let words = stream.group((first + group as u64) * (GROUP as u64 / 4));
            for ((o, &x), &word) in out.iter_mut().zip(x).zip(&words) {
                let kept = x * scale;
                *o = if word >= threshold { kept } else { T::c(0.0) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    /// The plain twin: one counter at a time.
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
}
