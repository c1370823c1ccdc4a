//! Special functions of f64, and of f32 by way of them: right, and slower than the formulas of networks. They use only
//! arithmetic that rounds alike everywhere and the functions of the crate `libm`.

use std::f64::consts::{FRAC_2_SQRT_PI, PI};

/// `√(x² + y²)`: in f64, where squares of f32 are exact and do not overflow.
#[inline(always)]
pub(super) fn hypot_f32(x: f32, y: f32) -> f32 {
    let (a, b) = (f64::from(x), f64::from(y));
    let h = (a * a + b * b).sqrt() as f32;
    if x.is_infinite() | y.is_infinite() { f32::INFINITY } else { h }
}

/// `x · 2^exponent`, rounded once; of an exponent that is not whole, the power is rounded too.
pub(super) fn ldexp(x: f64, exponent: f64) -> f64 {
    if exponent.is_nan() || exponent.fract() != 0.0 {
        return x * libm::exp2(exponent);
    }
    libm::scalbn(x, exponent.clamp(-5000.0, 5000.0) as i32)
}

/// `ln |Γ(x)|`.
pub(super) fn lgamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// `sin(πx)`, with exact zeros.
fn sin_pi(x: f64) -> f64 {
    let r = x - 2.0 * (x * 0.5).round_ties_even();
    let a = r.abs();
    let folded = if a > 0.5 { 1.0 - a } else { a };
    libm::sin(PI * folded).copysign(r)
}

/// `cos(πx)`, with exact zeros.
fn cos_pi(x: f64) -> f64 {
    let r = (x - 2.0 * (x * 0.5).round_ties_even()).abs();
    if r < 0.25 { libm::cos(PI * r) } else { libm::sin(PI * (0.5 - r)) }
}

/// Numbers of Bernoulli from B₂ on, every second.
#[rustfmt::skip]
const BERNOULLI: [f64; 12] = [
    1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0, -691.0 / 2730.0, 7.0 / 6.0, -3617.0 / 510.0,
    43867.0 / 798.0, -174_611.0 / 330.0, 854_513.0 / 138.0, -236_364_091.0 / 2730.0,
];

/// The largest order of [`polygamma`] for negative numbers.
const ORDERS: usize = 30;

/// The derivative of the digamma function ψ of a whole order up to 100: steps upwards to where the asymptotic series converges
/// (DLMF 5.11.2, 5.15.8), and reflection for negative numbers (DLMF 5.15.6), where orders end at 30.
pub(super) fn polygamma(x: f64, order: f64) -> f64 {
    if x.is_nan() || !(0.0..=100.0).contains(&order) || order.fract() != 0.0 {
        return f64::NAN;
    }
    let n = order;
    let odd = n % 2.0 != 0.0;
    if x == 0.0 {
        // The pole: an odd order has one sign on both sides.
        return if odd { f64::INFINITY } else { -f64::INFINITY.copysign(x) };
    }
    if x < 0.0 {
        if x.fract() == 0.0 || x.is_infinite() || n > ORDERS as f64 {
            return if x.fract() == 0.0 && odd { f64::INFINITY } else { f64::NAN };
        }
        let mirrored = polygamma(1.0 - x, n);
        return if odd { -mirrored } else { mirrored } - PI * cotangent(x, n as usize);
    }
    if x.is_infinite() {
        return if n == 0.0 { f64::INFINITY } else { 0.0 };
    }
    let factorial = (1..=n as usize).fold(1.0, |f, k| f * k as f64);
    let (mut at, mut sum) = (x, 0.0);
    while at < 14.0 + n {
        sum += libm::pow(at, -n - 1.0);
        at += 1.0;
    }
    let inverse = 1.0 / (at * at);
    let mut tail = 0.0;
    for (i, b) in BERNOULLI.iter().enumerate().rev() {
        let k = 2.0 * (i as f64 + 1.0);
        // (2k + n - 1)! / (2k)!, over the (n - 1)! of the leading term.
        let rising = (0..n as usize).fold(1.0 / k, |f, j| f * (k + j as f64) / (j as f64 + 1.0).max(1.0));
        tail = tail * inverse + b * rising;
    }
    if n == 0.0 {
        return libm::log(at) - 0.5 / at - tail * inverse - sum;
    }
    let series = libm::pow(at, -n) * (1.0 / n + 0.5 / at + tail * inverse);
    let value = factorial * (sum + series);
    if odd { value } else { -value }
}

/// The derivative of `cot(πx)` of an order: a polynomial in the cotangent `c`, from `c' = -π(1 + c²)`. Its terms have one
/// sign, and end with that of `c` to the power of `order + 1`: near a pole `c` may be infinite.
fn cotangent(x: f64, order: usize) -> f64 {
    let c = cos_pi(x) / sin_pi(x);
    let mut p = [0.0; ORDERS + 2];
    p[1] = 1.0;
    for _ in 0..order {
        let mut next = [0.0; ORDERS + 2];
        for (k, a) in p.iter().enumerate().take(ORDERS + 1).skip(1) {
            let slope = -PI * k as f64 * a;
            next[k - 1] += slope;
            next[k + 1] += slope;
        }
        p = next;
    }
    p[..order + 1].iter().rev().fold(p[order + 1], |y, a| y * c + a)
}

/// The largest order of Bessel functions.
const BESSEL_ORDERS: f64 = 20.0;

/// `Iₙ(a)` by its power series, all of whose terms are positive (DLMF 10.25.2).
fn bessel_series(a: f64, n: f64) -> f64 {
    let half = 0.5 * a;
    let mut term = (1..=n as usize).fold(1.0, |t, k| t * half / k as f64);
    let (mut sum, mut k) = (term, 1.0);
    while term > sum * 1e-17 {
        term *= half * half / (k * (k + n));
        sum += term;
        k += 1.0;
    }
    sum
}

/// The terms of the series of `exp(-a)·Iₙ(a)·√(2πa)` for large `a` after the first, which is 1 (DLMF 10.40.1), with their numbers.
fn asymptotic_terms(a: f64, n: f64) -> impl Iterator<Item = (f64, f64)> {
    let mut term = 1.0;
    (1..60).map(move |k| {
        let k = f64::from(k);
        let odd = 2.0 * k - 1.0;
        term = term * -(4.0 * n * n - odd * odd) / (8.0 * k * a);
        (k, term)
    })
}

/// `exp(-a)·Iₙ(a)` for large `a`.
fn bessel_asymptotic(a: f64, n: f64) -> f64 {
    let terms = asymptotic_terms(a, n).take_while(|(_, term)| term.abs() >= 1e-18);
    terms.fold(1.0, |sum, (_, term)| sum + term) / (2.0 * PI * a).sqrt()
}

/// The order's size, and the sign of the result: `I₋ₙ` is `Iₙ`, and odd orders are odd functions. Nothing where there is no result.
fn bessel_order(x: f64, order: f64) -> Option<(f64, f64)> {
    let n = order.abs();
    let sign = if x < 0.0 && n % 2.0 != 0.0 { -1.0 } else { 1.0 };
    (!x.is_nan() && n <= BESSEL_ORDERS && n.fract() == 0.0).then_some((n, sign))
}

/// The modified Bessel function of the first kind of a whole order.
pub(super) fn bessel_i(x: f64, order: f64) -> f64 {
    let Some((n, sign)) = bessel_order(x, order) else { return f64::NAN };
    let a = x.abs();
    let value = if a.is_infinite() {
        f64::INFINITY
    } else if a > 30.0 + n * n {
        let root = libm::exp(0.5 * a);
        bessel_asymptotic(a, n) * root * root
    } else {
        bessel_series(a, n)
    };
    if x == 0.0 && n % 2.0 != 0.0 { x } else { sign * value }
}

/// `exp(-|x|)` times [`bessel_i`].
pub(super) fn bessel_ie(x: f64, order: f64) -> f64 {
    let Some((n, sign)) = bessel_order(x, order) else { return f64::NAN };
    let a = x.abs();
    let value = if a.is_infinite() {
        0.0
    } else if a > 30.0 + n * n {
        bessel_asymptotic(a, n)
    } else {
        bessel_series(a, n) * libm::exp(-a)
    };
    if x == 0.0 && n % 2.0 != 0.0 { x } else { sign * value }
}

/// The derivative of [`bessel_ie`]; at 0, where that of order 0 has none, 0. The difference `½(Iₙ₋₁ + Iₙ₊₁) - Iₙ` would lose as many
/// digits as `x` has, so it is taken term by term, which is also one series instead of three.
pub(super) fn bessel_ie_slope(x: f64, order: f64) -> f64 {
    let Some((n, sign)) = bessel_order(x, order) else { return f64::NAN };
    let a = x.abs();
    let value = if a == 0.0 {
        if n == 1.0 { 0.5 } else { 0.0 }
    } else if a.is_infinite() {
        0.0
    } else if a > 30.0 + n * n {
        bessel_asymptotic_slope(a, n)
    } else {
        bessel_series_slope(a, n) * libm::exp(-a)
    };
    if x < 0.0 { -sign * value } else { value }
}

/// `Iₙ'(a) - Iₙ(a)`: a term `t` of the power series of `Iₙ` to the power of `2k + n` gives `t(2k + n - a) / a`, where the largest
/// terms have a difference near 0.
fn bessel_series_slope(a: f64, n: f64) -> f64 {
    let half = 0.5 * a;
    // The first term over `a`; that of order 0 is constant, and its share -1.
    let (mut k, mut term, mut slope) = if n == 0.0 {
        (1.0, 0.5 * half, -1.0)
    } else {
        (0.0, (2..=n as usize).fold(0.5, |t, k| t * half / k as f64), 0.0)
    };
    let mut sum = term;
    while term > sum * 1e-19 {
        slope += term * (2.0 * k + n - a);
        k += 1.0;
        term *= half * half / (k * (k + n));
        sum += term;
    }
    slope
}

/// The derivative of [`bessel_asymptotic`], term by term.
fn bessel_asymptotic_slope(a: f64, n: f64) -> f64 {
    let terms = asymptotic_terms(a, n).take_while(|(k, term)| (term * k).abs() >= 1e-18);
    -terms.fold(0.5, |sum, (k, term)| sum + (k + 0.5) * term) / (a * (2.0 * PI * a).sqrt())
}

/// The derivative of `sin(πx) / (πx)` of a whole order up to 10: its power series near 0, else the recurrence that follows from
/// `u·f(u) = sin u`.
pub(super) fn sinc(x: f64, order: f64) -> f64 {
    if x.is_nan() || !(0.0..=10.0).contains(&order) || order.fract() != 0.0 {
        return f64::NAN;
    }
    if x.is_infinite() {
        return 0.0;
    }
    let (n, a) = (order as usize, x.abs());
    let u = PI * a;
    let odd = n % 2 == 1;
    let value = if u <= 1.0 + order {
        let first = n.div_ceil(2);
        let mut power = if odd { u } else { 1.0 };
        power = if first % 2 == 1 { -power } else { power };
        let mut sum = 0.0;
        for k in first..first + 24 {
            sum += power / (2 * k + 1) as f64;
            let m = (2 * k - n) as f64;
            power *= -u * u / ((m + 1.0) * (m + 2.0));
        }
        sum
    } else {
        let (sin, cos) = (sin_pi(a), cos_pi(a));
        (1..=n).fold(sin / u, |f, m| {
            let turned = [sin, cos, -sin, -cos][m % 4];
            (turned - m as f64 * f) / u
        })
    };
    let scaled = value * (0..n).fold(1.0, |p, _| p * PI);
    if odd { scaled.copysign(scaled * x) } else { scaled }
}

/// The number whose `erf` this is: a guess right to 0.2 % (Winitzki 2008), and three of Halley's steps, each of which
/// triples the digits. Near 1 they look at the complement, which is exact.
pub(super) fn erfinv(x: f64) -> f64 {
    let a = x.abs();
    if x.is_nan() || a > 1.0 {
        return f64::NAN;
    }
    if a == 1.0 {
        return f64::INFINITY.copysign(x);
    }
    let mut y = if a < 0.1 {
        a / FRAC_2_SQRT_PI * (1.0 + PI / 12.0 * a * a)
    } else {
        let log = libm::log((1.0 - a) * (1.0 + a));
        let t = 2.0 / (PI * 0.147) + 0.5 * log;
        ((t * t - log / 0.147).sqrt() - t).sqrt()
    };
    for _ in 0..3 {
        let error = if a < 0.5 { libm::erf(y) - a } else { (1.0 - a) - libm::erfc(y) };
        let step = error / (FRAC_2_SQRT_PI * libm::exp(-y * y));
        y -= step / (1.0 + y * step);
    }
    y.copysign(x)
}
