//! Conversion between element types: every value becomes the nearest value of the other type. To floats, it is
//! rounded once, half to even. To integers, fractions are cut off, values out of range become the nearer end of the
//! range, and NaN becomes 0. This uses only integer arithmetic and IEEE 754, so it is the same on every processor.

use super::{bf16, f16};

/// Conversion by the crate's one rule (see the top of this file).
pub trait Convert<To> {
    /// Returns the nearest value of the other type.
    fn convert(self) -> To;
}

/// Turns an integer into a float that rounds to 32 bits or fewer as the integer itself would: beyond 53 bits, the
/// digits that are cut off leave a trace in the last digit that is kept.
#[inline]
fn sticky(v: i64) -> f64 {
    let magnitude = v.unsigned_abs();
    if magnitude < 1 << 53 {
        return v as f64;
    }
    let kept = (magnitude >> 11) | u64::from(magnitude & 0x7FF != 0);
    (kept as f64 * 2048.0).copysign(v as f64)
}

/// Implements `Convert` by Rust's `as`, after a step that loses nothing.
macro_rules! convert {
    ($from:ty => $($to:ty)*, |$v:ident| $exact:expr) => {$(
        impl Convert<$to> for $from {
            #[inline(always)]
            fn convert(self) -> $to {
                let $v = self;
                $exact as $to
            }
        }
    )*};
}

/// Implements `Convert` between integers where `as` would wrap.
macro_rules! saturate {
    ($from:ty => $($to:ty)*) => {$(
        impl Convert<$to> for $from {
            #[inline(always)]
            fn convert(self) -> $to {
                i64::from(self).clamp(i64::from(<$to>::MIN), i64::from(<$to>::MAX)) as $to
            }
        }
    )*};
}

/// Implements `Convert` to the 16-bit floats, through a float from which rounding happens only once.
macro_rules! half {
    ($half:ident <= $($from:ty)*, |$v:ident| $value:expr) => {$(
        impl Convert<$half> for $from {
            #[inline(always)]
            fn convert(self) -> $half {
                let $v = self;
                $value
            }
        }
    )*};
    ($($half:ident)*) => {$(
        half!($half <= f32 bf16 f16 i8 u8, |v| $half::from_f32(f32::from(v)));
        half!($half <= f64 i32, |v| $half::from_f64(f64::from(v)));
        half!($half <= i64, |v| $half::from_f64(sticky(v)));
        convert!($half => f32 f64 i64 i32 i8 u8, |v| v.to_f32());
    )*};
}

convert!(f32 => f32 f64 i64 i32 i8 u8, |v| v);
convert!(f64 => f32 f64 i64 i32 i8 u8, |v| v);
convert!(i64 => f32 f64, |v| v);
convert!(i32 => f32 f64, |v| v);
convert!(i8 => f32 f64, |v| v);
convert!(u8 => f32 f64, |v| v);
saturate!(i64 => i64 i32 i8 u8);
saturate!(i32 => i64 i32 i8 u8);
saturate!(i8 => i64 i32 i8 u8);
saturate!(u8 => i64 i32 i8 u8);
half!(bf16 f16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_become_the_nearest_there_is() {
        let narrow = |v: i64| -> (i32, i8, u8) { (v.convert(), v.convert(), v.convert()) };
        assert_eq!(narrow(-300), (-300, -128, 0));
        assert_eq!(narrow(200), (200, 127, 200));
        assert_eq!(narrow(i64::MAX), (i32::MAX, 127, 255));
        assert_eq!(narrow(i64::MIN), (i32::MIN, -128, 0));
        let cut = |v: f64| -> (i64, i32, i8, u8) { (v.convert(), v.convert(), v.convert(), v.convert()) };
        assert_eq!(cut(-1.9), (-1, -1, -1, 0));
        assert_eq!(cut(1e30), (i64::MAX, i32::MAX, 127, 255));
        assert_eq!(cut(f64::NAN), (0, 0, 0, 0));
    }

    /// Checks the neighbourhood of every midpoint between two bfloat16 values that an integer can lie in, against
    /// exact arithmetic.
    #[test]
    fn integers_round_to_halves_once() {
        for shift in 9..62 {
            let (one, step) = (1i64 << shift, 1i64 << (shift - 7));
            for (v, want) in [
                (one + step / 2, one),
                (one + step / 2 + 1, one + step),
                (one + step / 2 - 1, one),
                (one + step + step / 2, one + 2 * step),
                (one + step + step / 2 - 1, one + step),
            ] {
                let (got, negative): (bf16, bf16) = (v.convert(), (-v).convert());
                assert_eq!((got.to_f64(), negative.to_f64()), (want as f64, -(want as f64)), "{v}");
            }
        }
        let near: f16 = 2049i64.convert();
        let above: f16 = 2051i32.convert();
        assert_eq!((near.to_f64(), above.to_f64()), (2048.0, 2052.0));
        let most: bf16 = i64::MIN.convert();
        assert_eq!(most.to_f64(), i64::MIN as f64);
    }
}
