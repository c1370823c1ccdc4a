//! The arithmetic of integers, written once for all integer types. Results out of range wrap, in release and debug
//! builds alike, as in NumPy and JAX. Nothing panics: a quotient by 0 and its remainder are 0.

use crate::Stored;
use crate::dtype::Convert;

/// An integer type that operations compute in.
pub trait Whole: Stored + Ord + Convert<i64> {
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Returns the last digits of a larger number.
    fn wrap(v: i64) -> Self;
    /// The sum.
    fn plus(self, other: Self) -> Self;
    /// The difference.
    fn minus(self, other: Self) -> Self;
    /// The product.
    fn times(self, other: Self) -> Self;
    /// Returns the quotient, rounded towards 0, and the remainder; `divisor` is not 0.
    fn div_rem(self, divisor: Self) -> (Self, Self);

    /// Negates; the smallest number stays as it is, and an unsigned one counts from the upper end.
    #[inline(always)]
    fn negative(self) -> Self {
        Self::ZERO.minus(self)
    }

    /// Removes the sign; the smallest number stays as it is.
    #[inline(always)]
    fn magnitude(self) -> Self {
        if self < Self::ZERO { self.negative() } else { self }
    }

    /// -1, 0 or 1.
    #[inline(always)]
    fn sign(self) -> Self {
        let one = |there: bool| if there { Self::ONE } else { Self::ZERO };
        one(self > Self::ZERO).minus(one(self < Self::ZERO))
    }

    /// Returns whether a remainder that is not 0 lacks the divisor's sign.
    #[inline(always)]
    fn strays_from(self, divisor: Self) -> bool {
        self != Self::ZERO && (self < Self::ZERO) != (divisor < Self::ZERO)
    }

    /// The quotient rounded down to a whole number, like Python's `//`; 0 if the divisor is 0.
    #[inline(always)]
    fn floor_div(self, divisor: Self) -> Self {
        if divisor == Self::ZERO {
            return Self::ZERO;
        }
        let (quotient, rest) = self.div_rem(divisor);
        if rest.strays_from(divisor) { quotient.minus(Self::ONE) } else { quotient }
    }

    /// The remainder, which has the divisor's sign, like Python's `%`; 0 if the divisor is 0.
    #[inline(always)]
    fn remainder(self, divisor: Self) -> Self {
        if divisor == Self::ZERO {
            return Self::ZERO;
        }
        let rest = self.div_rem(divisor).1;
        if rest.strays_from(divisor) { rest.plus(divisor) } else { rest }
    }

    /// Raises this to the power of `exponent`, which is not negative.
    #[inline(always)]
    fn power(self, exponent: Self) -> Self {
        let (mut base, mut left, mut out) = (self, Convert::<i64>::convert(exponent), Self::ONE);
        while left > 0 {
            if left & 1 == 1 {
                out = out.times(base);
            }
            base = base.times(base);
            left >>= 1;
        }
        out
    }
}

macro_rules! whole {
    ($($t:ty)*) => {$(
        impl Whole for $t {
            const ZERO: $t = 0;
            const ONE: $t = 1;
            #[inline(always)]
            fn wrap(v: i64) -> $t {
                v as $t
            }
            #[inline(always)]
            fn plus(self, other: $t) -> $t {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn minus(self, other: $t) -> $t {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn times(self, other: $t) -> $t {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn div_rem(self, divisor: $t) -> ($t, $t) {
                (self.wrapping_div(divisor), self.wrapping_rem(divisor))
            }
        }
    )*};
}
whole!(i64 i32 i8 u8);

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that Python prints.
    #[test]
    fn python_says() {
        for (a, b, q, r) in [(7, 3, 2, 1), (-7, 3, -3, 2), (7, -3, -3, -2), (-7, -3, 2, -1), (6, -3, -2, 0)] {
            assert_eq!((i64::floor_div(a, b), i64::remainder(a, b)), (q, r), "{a} {b}");
            let (a, b, q, r) = (a as i8, b as i8, q as i8, r as i8);
            assert_eq!((a.floor_div(b), a.remainder(b)), (q, r), "{a} {b}");
        }
        assert_eq!((200u8.floor_div(3), 200u8.remainder(3)), (66, 2));
        assert_eq!((3i64.power(4), (-2i32).power(3), 0i8.power(0), 2u8.power(7)), (81, -8, 1, 128));
        assert_eq!((5i32.sign(), (-5i8).sign(), 0i64.sign(), 9u8.sign()), (1, -1, 0, 1));
    }

    /// Where there is no right value there is a documented one, and never a panic.
    #[test]
    fn ends_of_the_range() {
        assert_eq!((5i64.floor_div(0), 5i64.remainder(0)), (0, 0));
        assert_eq!((i64::MIN.floor_div(-1), i64::MIN.remainder(-1)), (i64::MIN, 0));
        assert_eq!((i8::MIN.negative(), i8::MIN.magnitude()), (i8::MIN, i8::MIN));
        assert_eq!((1u8.negative(), 127i8.plus(1), 16i8.times(16)), (255, -128, 0));
        assert_eq!((i32::MAX.times(i32::MAX), 3u8.power(200), (-1i64).power(i64::MAX)), (1, 161, -1));
        assert_eq!((i8::wrap(300), u8::wrap(-1)), (44, 255));
    }
}
