//! Division with remainder by Python's rules, where the remainder has the divisor's sign: what NumPy and Keras
//! users expect of `//` and `%`. The remainder itself is exact, so it is the same on every platform.

macro_rules! divide {
    ($t:ty, $rem:ident, $floor_div:ident) => {
        /// Computes `a - b·⌊a / b⌋`, exactly, with the sign of `b`; NaN where `b` is 0.
        #[inline(always)]
        pub(super) fn $rem(a: $t, b: $t) -> $t {
            let r = a % b;
            if r == 0.0 {
                <$t>::copysign(0.0, b)
            } else if (r < 0.0) != (b < 0.0) {
                r + b
            } else {
                r
            }
        }

        /// Computes `⌊a / b⌋` of the exact quotient; `a / b` where `b` is 0.
        #[inline(always)]
        pub(super) fn $floor_div(a: $t, b: $t) -> $t {
            if b == 0.0 {
                return a / b;
            }
            let r = a % b;
            // `a - r` is a multiple of `b`, so the quotient is whole except for rounding.
            let whole = (a - r) / b;
            let q = if r != 0.0 && (r < 0.0) != (b < 0.0) { whole - 1.0 } else { whole };
            if q == 0.0 { <$t>::copysign(0.0, a / b) } else { q.round_ties_even() }
        }
    };
}
divide!(f32, rem_f32, floor_div_f32);
divide!(f64, rem_f64, floor_div_f64);

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that Python prints.
    #[test]
    fn python_says() {
        for (a, b, q, r) in
            [(7.0, 3.0, 2.0, 1.0), (-7.0, 3.0, -3.0, 2.0), (7.0, -3.0, -3.0, -2.0), (-7.0, -3.0, 2.0, -1.0)]
        {
            assert_eq!((floor_div_f64(a, b), rem_f64(a, b)), (q, r), "{a} {b}");
            assert_eq!(
                (floor_div_f32(a as f32, b as f32), rem_f32(a as f32, b as f32)),
                (q as f32, r as f32)
            );
        }
        assert_eq!((floor_div_f64(1.0, 0.1), rem_f64(1.0, 0.1)), (9.0, 0.099_999_999_999_999_95));
        assert_eq!((floor_div_f64(-5.0, f64::INFINITY), rem_f64(-5.0, f64::INFINITY)), (-1.0, f64::INFINITY));
        assert_eq!((floor_div_f64(-1.0, 0.0), rem_f64(-1.0, 0.0).is_nan()), (f64::NEG_INFINITY, true));
    }
}
