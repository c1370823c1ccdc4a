//! Sine and cosine of f32, for every finite number.
//!
//! `|x| = q π/2 + r` with `|r| <= π/4`; `r + r³ S(r²)` and `1 - r²/2 + r⁴ C(r²)` are minimax polynomials of degree
//! 2, with errors 2^-27.9 and 2^-33 of the result. Below 2^15, three fused steps with a π/2 of 72 bits give `r`.
//! Beyond that, integers do: `x` times those 96 bits of 2/π that matter, modulo 4. Both are free of branches and
//! tables, so a formula with a sine in it vectorizes; the slice kernels skip the second where no number of a block
//! needs it.

use super::select;
use super::soft::{Fma, Fused};
use crate::kernels::simd::stamped;

/// From here on, the reduction uses integers.
const BIG: f32 = 32_768.0;
const ROUNDER: f32 = 12_582_912.0;
/// The bits of 2/π, 32 at a time.
const P1: u32 = 0xa2f9_836e;
const P2: u32 = 0x4e44_1529;
const P3: u32 = 0xfc27_57d1;
const P4: u32 = 0xf534_ddc0;
const P5: u32 = 0xdb62_9599;
const P6: u32 = 0x3c43_9041;
const P7: u32 = 0xfe51_63ab;

/// Returns the quadrant (its low two bits) and the rest of a number from 0 to `BIG`.
#[inline(always)]
fn reduced_small<A: Fma>(a: f32) -> (u32, f32) {
    let t = a.fused::<A>(std::f32::consts::FRAC_2_PI, ROUNDER);
    let n = t - ROUNDER;
    let r = n.fused::<A>(-std::f32::consts::FRAC_PI_2, a);
    let r = n.fused::<A>(4.371_139e-8, r);
    (t.to_bits(), n.fused::<A>(1.715_124_5e-15, r))
}

/// The same for a number from `BIG` on.
#[inline(always)]
fn reduced_big<A: Fma>(a: f32) -> (u32, f32) {
    let bits = a.to_bits();
    let m = u64::from(bits & 0x007f_ffff | 0x0080_0000);
    // a = m 2^e; the bit of 2/π that contributes 2m is number e + 30, counting from the first of 32 zeros before them.
    let at = (bits >> 23).wrapping_sub(120);
    let (word, shift) = (at >> 5, at & 31);
    let (k1, k2, k3, k4) = (word == 1, word == 2, word == 3, word == 4);
    let pick = |a, b, c, d, e| select(k4, e, select(k3, d, select(k2, c, select(k1, b, a))));
    let w0 = pick(0, P1, P2, P3, P4);
    let w1 = pick(P1, P2, P3, P4, P5);
    let w2 = pick(P2, P3, P4, P5, P6);
    let w3 = pick(P3, P4, P5, P6, P7);
    let join = |high: u32, low: u32| u64::from(high << shift | (low >> 1) >> (31 - shift));
    // The upper 64 of the product's 96 bits: two of the quadrant, 62 of the fraction.
    let product =
        ((m * join(w0, w1)) << 32).wrapping_add(m * join(w1, w2)).wrapping_add((m * join(w2, w3)) >> 32);
    let rounded = product.wrapping_add(1 << 61);
    let q = (rounded >> 62) as u32;
    // The fraction less 1/2 or more, as a signed number of 62 bits in three exact parts.
    let rest = (rounded & ((1 << 62) - 1)).wrapping_sub(1 << 61);
    let high = (((rest >> 32) as u32).cast_signed() >> 8) as f32 * 16_777_216.0;
    let middle = ((rest >> 16) as u32 & 0x00ff_ffff).cast_signed() as f32;
    let low = (rest as u32 & 0xffff).cast_signed() as f32 * (1.0 / 65_536.0);
    let sum = high + middle;
    let error = middle - (sum - high) + low;
    // π/2 in units of 2^46, since the sum counts 2^-46.
    const UNIT: f32 = 1.0 / 70_368_744_177_664.0;
    const HIGH: f32 = std::f32::consts::FRAC_PI_2 * UNIT;
    const LOW: f32 = -4.371_139e-8 * UNIT;
    (q, sum.fused::<A>(HIGH, sum.fused::<A>(LOW, error * HIGH)))
}

#[inline(always)]
fn reduced<A: Fma>(a: f32) -> (u32, f32) {
    let (small, big) = (reduced_small::<A>(a), reduced_big::<A>(a));
    // The integer reduction is meaningless for infinity and NaN.
    let rest = select(a < f32::INFINITY, big.1, f32::NAN);
    (select(a < BIG, small.0, big.0), select(a < BIG, small.1, rest))
}

/// Sine of `r` plus `quadrant` right angles, its sign flipped where the upper bit of `flip` is set.
#[inline(always)]
fn polynomial<A: Fma>(quadrant: u32, r: f32, flip: u32) -> f32 {
    let z = r * r;
    let s = z.fused::<A>(-0.000_195_178_98, 0.008_332_187);
    let s = s.fused::<A>(z, -0.166_666_55);
    let s = s.fused::<A>(r * z, r);
    let c = z.fused::<A>(2.443_232_7e-5, -0.001_388_731);
    let c = c.fused::<A>(z, 0.041_666_646);
    let c = c.fused::<A>(z, -0.5);
    let c = c.fused::<A>(z, 1.0);
    let y = select(quadrant & 1 == 0, s, c);
    f32::from_bits(y.to_bits() ^ (quadrant & 2) << 30 ^ flip & 0x8000_0000)
}

#[inline(always)]
pub(super) fn sin<A: Fma>(x: f32) -> f32 {
    let (q, r) = reduced::<A>(x.abs());
    polynomial::<A>(q, r, x.to_bits())
}

#[inline(always)]
pub(super) fn cos<A: Fma>(x: f32) -> f32 {
    let (q, r) = reduced::<A>(x.abs());
    polynomial::<A>(q.wrapping_add(1), r, 0)
}

/// How many numbers a slice kernel checks to choose between the reductions.
const BLOCK: usize = 256;

macro_rules! slices {
    ($(#[$meta:meta])* $name:ident, $full:ident, $small:expr) => {
        stamped! {
            $(#[$meta])*
            pub fn $name[R: f32](out: &mut [f32], x: &[f32]) {
                assert_eq!(out.len(), x.len());
                for (out, x) in out.chunks_mut(BLOCK).zip(x.chunks(BLOCK)) {
                    let big = x.iter().fold(false, |big, x| big | (x.abs() >= BIG));
                    if big {
                        for (o, &x) in out.iter_mut().zip(x) {
                            *o = $full::<R>(x);
                        }
                    } else {
                        for (o, &x) in out.iter_mut().zip(x) {
                            let (q, r) = reduced_small::<R>(x.abs());
                            let (quadrant, flip) = $small(q, x);
                            *o = polynomial::<R>(quadrant, r, flip);
                        }
                    }
                }
            }
        }
    };
}
slices!(
    /// The sine of every number, with the bits of [`Real::sin`](super::Real::sin).
    sin_slice,
    sin,
    |q: u32, x: f32| (q, x.to_bits())
);
slices!(
    /// The cosine of every number, with the bits of [`Real::cos`](super::Real::cos).
    cos_slice,
    cos,
    |q: u32, _| (q.wrapping_add(1), 0)
);
