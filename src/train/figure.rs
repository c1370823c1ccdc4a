//! Log values as text, written as Python writes numbers, because other programs read them from files and file names.

use std::fmt;

/// A figure with four digits as Keras prints it: `0.9000`, or `1.2000e-04` where that would leave little of it.
pub(super) struct Figure(pub(super) f64);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure(value) = *self;
        f.write_str(&if value.abs() > 1e-3 { fixed(value, 4) } else { scientific(value, 4) })
    }
}

/// `0.25`, `nan`.
pub(super) fn fixed(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{value:.digits$}") } else { special(value) }
}

/// `1.2500e-05`: with Rust's digits and Python's exponent of at least two.
pub(super) fn scientific(value: f64, digits: usize) -> String {
    if value.is_finite() { two_digits(&format!("{value:.digits$e}")) } else { special(value) }
}

/// As Python's `str`: the shortest number that reads back the same.
pub(super) fn shortest(value: f64) -> String {
    if !value.is_finite() {
        return special(value);
    }
    match value.abs() {
        0.0 | 1e-4..1e16 => format!("{value:?}"),
        _ => two_digits(&format!("{value:e}")),
    }
}

/// `1e-5` as `1e-05`, `1e16` as `1e+16`.
fn two_digits(number: &str) -> String {
    let Some((mantissa, exponent)) = number.split_once('e') else { return number.into() };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
    format!("{mantissa}e{sign}{exponent:0>2}")
}

fn special(value: f64) -> String {
    match value {
        f64::INFINITY => "inf".into(),
        f64::NEG_INFINITY => "-inf".into(),
        _ => "nan".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_pythons() {
        for (value, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1.25e-7, "1.25e-07"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (-2.5e100, "-2.5e+100"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(shortest(value), text);
        }
    }
}
