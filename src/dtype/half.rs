//! The two 16-bit floats that tensors store: [`bf16`] and [`f16`]. They are converted, compared and printed, never
//! computed with, so a whole crate for them (with its macros and their parser) would be more than is needed.
//! Conversions use integer arithmetic and round once, half to even, the same on every processor.

/// bfloat16: the upper half of an f32.
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Default)]
pub struct bf16(u16);

/// IEEE half precision: 5 bits of exponent, 10 of fraction.
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Default)]
pub struct f16(u16);

/// Converts to f32; where that is not exact, to the neighbour whose last bit is 1. Rounding the result again then
/// gives what rounding the original number to fewer bits would have given.
#[inline]
fn to_odd(v: f64) -> f32 {
    let near = v as f32;
    let wide = f64::from(near);
    if wide == v || v.is_nan() {
        return near;
    }
    let toward_zero = if wide.abs() > v.abs() { near.to_bits() - 1 } else { near.to_bits() };
    f32::from_bits(toward_zero | 1)
}

/// Shifts `bits` right by `shift`, rounding half to even.
#[inline]
const fn rounded(bits: u32, shift: u32) -> u32 {
    (bits + ((1 << (shift - 1)) - 1) + (bits >> shift & 1)) >> shift
}

impl bf16 {
    /// Returns the nearest value; ties go to the even one.
    #[inline]
    pub const fn from_f32(v: f32) -> bf16 {
        let bits = v.to_bits();
        // A NaN stays NaN, and becomes quiet.
        bf16(if v.is_nan() { (bits >> 16) as u16 | 0x40 } else { rounded(bits, 16) as u16 })
    }

    /// Converts to f32, exactly.
    #[inline]
    pub const fn to_f32(self) -> f32 {
        let quiet = if self.0 & 0x7FFF > 0x7F80 { 0x40 } else { 0 };
        f32::from_bits(((self.0 | quiet) as u32) << 16)
    }
}

/// Added to f16's exponent to make it f32's.
const REBIAS: u32 = (127 - 15) << 23;

impl f16 {
    /// Returns the nearest value; ties go to the even one.
    #[inline]
    pub const fn from_f32(v: f32) -> f16 {
        let (bits, sign) = (v.to_bits() & 0x7FFF_FFFF, (v.to_bits() >> 16) as u16 & 0x8000);
        let magnitude = if v.is_nan() {
            0x7E00 | (bits >> 13 & 0x3FF)
        } else if bits >= 0x4780_0000 {
            0x7C00 // 65536 and more is infinite; a little less becomes so by rounding
        } else if bits >= 0x3880_0000 {
            rounded(bits - REBIAS, 13)
        } else {
            // Below 2^-14 f16's steps are 2^-24, as f32's are from 1/2 on: an addition rounds.
            (f32::from_bits(bits) + 0.5).to_bits() - 0.5f32.to_bits()
        };
        f16(sign | magnitude as u16)
    }

    /// Converts to f32, exactly.
    #[inline]
    pub const fn to_f32(self) -> f32 {
        let (sign, magnitude) = ((self.0 as u32 & 0x8000) << 16, self.0 as u32 & 0x7FFF);
        let bits = match magnitude >> 10 {
            0 => (magnitude as f32 * (1.0 / 16_777_216.0)).to_bits(),
            31 if magnitude == 0x7C00 => 0x7F80_0000,
            31 => 0x7FC0_0000 | magnitude << 13,
            _ => (magnitude << 13) + REBIAS,
        };
        f32::from_bits(sign | bits)
    }
}

macro_rules! common {
    ($t:ident) => {
        impl $t {
            /// Creates a value from its bits.
            #[inline]
            pub const fn from_bits(bits: u16) -> $t {
                $t(bits)
            }

            /// Returns the bits.
            #[inline]
            pub const fn to_bits(self) -> u16 {
                self.0
            }

            /// Returns the bits, low byte first.
            #[inline]
            pub const fn to_le_bytes(self) -> [u8; 2] {
                self.0.to_le_bytes()
            }

            /// Creates a value from its bits, low byte first.
            #[inline]
            pub const fn from_le_bytes(bytes: [u8; 2]) -> $t {
                $t(u16::from_le_bytes(bytes))
            }

            /// Returns the nearest value, rounded once; ties go to the even one.
            #[inline]
            pub fn from_f64(v: f64) -> $t {
                $t::from_f32(to_odd(v))
            }

            /// Converts to f64, exactly.
            #[inline]
            pub const fn to_f64(self) -> f64 {
                self.to_f32() as f64
            }
        }

        /// Compares as numbers: both zeros are equal, and NaN equals nothing.
        impl PartialEq for $t {
            #[inline]
            fn eq(&self, other: &$t) -> bool {
                self.to_f32() == other.to_f32()
            }
        }

        impl PartialOrd for $t {
            #[inline]
            fn partial_cmp(&self, other: &$t) -> Option<std::cmp::Ordering> {
                self.to_f32().partial_cmp(&other.to_f32())
            }
        }

        impl std::fmt::Debug for $t {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.to_f32(), f)
            }
        }

        impl std::fmt::Display for $t {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.to_f32(), f)
            }
        }

        impl From<$t> for f32 {
            fn from(v: $t) -> f32 {
                v.to_f32()
            }
        }

        impl From<$t> for f64 {
            fn from(v: $t) -> f64 {
                v.to_f64()
            }
        }
    };
}
common!(bf16);
common!(f16);

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that every value round-trips, and that everything between two neighbours goes to the nearer one, the
    /// midpoint to the even one.
    #[test]
    fn all_values_and_all_roundings() {
        type Narrow = (fn(u16) -> f64, fn(f64) -> u16, fn(f32) -> u16, u16);
        let both: [Narrow; 2] = [
            (
                |b| f16::from_bits(b).to_f64(),
                |v| f16::from_f64(v).to_bits(),
                |v| f16::from_f32(v).to_bits(),
                0x7C00,
            ),
            (
                |b| bf16::from_bits(b).to_f64(),
                |v| bf16::from_f64(v).to_bits(),
                |v| bf16::from_f32(v).to_bits(),
                0x7F80,
            ),
        ];
        for (wide, narrow, narrow32, infinity) in both {
            for b in 0..infinity {
                let v = wide(b);
                assert_eq!((narrow(v), narrow32(v as f32), narrow(-v)), (b, b, b | 0x8000));
                // Infinity stands here for the power of two after the last number.
                let next = if b + 1 == infinity { v + (v - wide(b - 1)) } else { wide(b + 1) };
                assert!(next > v);
                let middle = (v + next) / 2.0;
                assert_eq!(narrow(middle), b + (b & 1), "{b:#x}");
                assert_eq!(narrow(middle.next_up()), b + 1, "{b:#x}");
                assert_eq!(narrow(middle.next_down()), b, "{b:#x}");
                if f64::from(middle as f32) == middle {
                    assert_eq!(narrow32(middle as f32), b + (b & 1), "{b:#x}");
                    assert_eq!(narrow32((middle as f32).next_up()), b + 1, "{b:#x}");
                    assert_eq!(narrow32((middle as f32).next_down()), b, "{b:#x}");
                }
            }
            assert_eq!(
                (narrow(f64::INFINITY), narrow(1e300), wide(infinity)),
                (infinity, infinity, f64::INFINITY)
            );
            assert_eq!((narrow(1e-300), narrow(-1e-300)), (0, 0x8000));
            for nan in infinity + 1..0x8000 {
                assert!(wide(nan).is_nan());
                let quiet = narrow32(wide(nan) as f32);
                assert!(
                    quiet & !nan <= 0x200 && quiet > infinity && nan & !quiet == 0,
                    "{nan:#x} {quiet:#x}"
                );
            }
        }
    }

    #[test]
    fn order_is_that_of_numbers() {
        assert!(f16::from_f32(-0.0) == f16::from_f32(0.0) && bf16::from_f32(-1.0) < bf16::from_f32(0.5));
        assert!(f16::from_f32(f32::NAN) != f16::from_f32(f32::NAN));
        assert_eq!(format!("{} {:?}", bf16::from_f32(1.5), f16::from_f32(0.1)), "1.5 0.099975586");
    }
}
