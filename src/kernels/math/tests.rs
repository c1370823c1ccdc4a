//! Tests every promise of the f32 functions: errors, bits, special numbers, time.

use super::{Real, cos_slice, sin_slice};
use crate::kernels::simd::stamped;

macro_rules! kernels {
    ($($name:ident),+) => {
        $(stamped! {
            pub(crate) fn $name[R: f32](out: &mut [f32], x: &[f32]) {
                for (o, &x) in out.iter_mut().zip(x) {
                    *o = R::of(x).$name().value();
                }
            }
        })+
    };
}
kernels!(
    exp, exp_below, ln, tanh, sigmoid, erf, exp_m1, ln_1p, sin, cos, step, ndtr, gelu, gate, log2, log10
);

/// A test case: a function, a kernel that applies it to slices, its reference in f64, the error allowed in units in
/// the last place and from which input on, and a hash of the results of the sampled inputs.
struct Case {
    name: &'static str,
    kernel: fn(&mut [f32], &[f32]),
    reference: fn(f64) -> f64,
    ulps: f64,
    from: f32,
    golden: u64,
}

#[rustfmt::skip]
const CASES: [Case; 16] = [
    Case { name: "exp", kernel: exp, reference: libm::exp, ulps: 1.0, from: ALL, golden: 0x4546_7d4a_1f45_5bb4 },
    Case { name: "ln", kernel: ln, reference: libm::log, ulps: 1.0, from: ALL, golden: 0xa760_d9a3_8182_76df },
    Case { name: "log2", kernel: log2, reference: libm::log2, ulps: 2.0, from: ALL, golden: 0xfdb2_afa5_331d_7b06 },
    Case { name: "log10", kernel: log10, reference: libm::log10, ulps: 3.0, from: ALL, golden: 0xa348_67a4_bdc6_7c0e },
    Case { name: "tanh", kernel: tanh, reference: libm::tanh, ulps: 2.0, from: ALL, golden: 0xb2eb_9741_6dc0_d2cc },
    Case { name: "sigmoid", kernel: sigmoid, reference: sigmoid64, ulps: 2.0, from: ALL, golden: 0x3c51_1ee1_f519_f9f2 },
    Case { name: "erf", kernel: erf, reference: libm::erf, ulps: 2.0, from: ALL, golden: 0x3f12_d7a6_bd6f_c4bb },
    Case { name: "exp_m1", kernel: exp_m1, reference: libm::expm1, ulps: 2.0, from: ALL, golden: 0x5b97_18d1_1248_c173 },
    Case { name: "ln_1p", kernel: ln_1p, reference: libm::log1p, ulps: 2.0, from: ALL, golden: 0xbac9_5933_6a29_2fd3 },
    Case { name: "sin", kernel: sin, reference: libm::sin, ulps: 2.0, from: ALL, golden: 0x91fa_e876_883a_bf67 },
    Case { name: "cos", kernel: cos, reference: libm::cos, ulps: 2.0, from: ALL, golden: 0x22cd_a82d_f22b_4c25 },
    Case { name: "sin_slice", kernel: sin_slice, reference: libm::sin, ulps: 2.0, from: ALL, golden: 0x91fa_e876_883a_bf67 },
    Case { name: "cos_slice", kernel: cos_slice, reference: libm::cos, ulps: 2.0, from: ALL, golden: 0x22cd_a82d_f22b_4c25 },
    Case { name: "ndtr", kernel: ndtr, reference: ndtr64, ulps: 8.0, from: -2.0, golden: 0xedc4_c182_c79a_473a },
    Case { name: "gate", kernel: gate, reference: gate64, ulps: 6.0, from: -2.0, golden: 0x3288_a347_a814_c4a1 },
    Case { name: "gelu", kernel: gelu, reference: gelu64, ulps: 9.0, from: -2.0, golden: 0xfbf5_594e_5b3a_c2f8 },
];

/// The promise holds for every input.
const ALL: f32 = f32::NEG_INFINITY;

fn sigmoid64(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

fn ndtr64(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

fn gate64(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-2.0 * super::SQRT_2_OVER_PI * (x + 0.044_715 * x * x * x)))
}

fn gelu64(x: f64) -> f64 {
    x * ndtr64(x)
}

/// Returns the distance between a result and the reference, in units in the last place of f32 at the reference.
/// Infinite where one is NaN, or infinite, or zero of the other sign, and the other is not.
fn distance(result: f32, reference: f64) -> f64 {
    let rounded = reference as f32;
    if result.is_nan() || rounded.is_nan() {
        return if result.is_nan() && rounded.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if result == rounded && (result.is_infinite() || result == 0.0) {
        let same = result.is_sign_negative() == rounded.is_sign_negative();
        return if same { 0.0 } else { f64::INFINITY };
    }
    if result.is_infinite() {
        // Infinity is treated as one unit beyond the largest number.
        let beyond =
            2.0f64.mul_add(f64::from(f32::MAX), -f64::from(f32::MAX.next_down())) - f64::from(f32::MAX);
        return (f64::from(f32::MAX) + beyond - reference.abs()).abs() / ulp(reference);
    }
    (f64::from(result) - reference).abs() / ulp(reference)
}

/// The unit in the last place of f32 at a number.
fn ulp(x: f64) -> f64 {
    let exponent = (x.abs().to_bits() >> 52) as i64 - 1023;
    f64::from_bits(((exponent.clamp(-126, 127) - 23 + 1023) as u64) << 52)
}

/// The largest error over some inputs, and where.
fn worst(case: &Case, bits: impl Iterator<Item = u32>) -> (f64, f32) {
    let mut worst = (0.0, 0.0);
    let mut check = |x: &[f32]| {
        let mut y = vec![0.0; x.len()];
        (case.kernel)(&mut y, x);
        for (&x, &y) in x.iter().zip(&y) {
            if x < case.from {
                continue;
            }
            let d = distance(y, (case.reference)(f64::from(x)));
            if d > worst.0 {
                worst = (d, x);
            }
        }
    };
    let mut block = Vec::with_capacity(1 << 12);
    for b in bits {
        block.push(f32::from_bits(b));
        if block.len() == block.capacity() {
            check(&block);
            block.clear();
        }
    }
    check(&block);
    worst
}

/// Every 997th bit pattern.
fn sample() -> impl Iterator<Item = u32> {
    (0..=u32::MAX).step_by(997)
}

#[test]
fn errors_over_a_sample_are_within_the_promise() {
    let mut wrong = Vec::new();
    for case in &CASES {
        // Without optimization, the reference takes minutes.
        let thin = if cfg!(debug_assertions) { 31 } else { 1 };
        let (d, x) = worst(case, sample().step_by(thin).chain(boundaries()));
        println!("{:10} {d:.3} ulp at {x:e}", case.name);
        if d > case.ulps {
            wrong.push(format!("{}({x:e}) [{:#010x}] is off by {d} ulp", case.name, x.to_bits()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_exponential_below_0_has_the_bits_of_the_exponential() {
    let thin = if cfg!(debug_assertions) { 31 } else { 1 };
    let bits = sample().step_by(thin).chain(boundaries());
    // The numbers around each multiple of ln 2 / 2, where the nearest power of two changes.
    let seams = (0..320).flat_map(|i| {
        let at = (f64::from(i) * -0.5 * std::f64::consts::LN_2) as f32;
        (0..9).map(move |step| at.to_bits().saturating_sub(4) + step)
    });
    let x: Vec<f32> = bits.chain(seams).map(f32::from_bits).filter(|x| x.is_nan() || *x <= 0.0).collect();
    let (mut below, mut all) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    exp_below(&mut below, &x);
    exp(&mut all, &x);
    for ((x, a), b) in x.iter().zip(below).zip(all) {
        assert!(a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(), "exp({x:e}): {a:e} and {b:e}");
    }
}

/// Tests `ndtr` and `gelu` below the interval of their cases: (down to, relative error below).
#[test]
fn tails_of_the_normal_distribution_lose_digits_slowly_and_end_in_zero() {
    let promise = [(-3.0, -20.0), (-4.0, -19.0), (-5.0, -18.0), (-6.0, -15.5), (-7.0, -7.5), (-8.0, -3.5)];
    let x: Vec<f32> = (0..125_000).map(|i| i as f32 * -1e-4).collect();
    let (mut phi, mut gelus) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    ndtr(&mut phi, &x);
    gelu(&mut gelus, &x);
    for ((&x, &phi), &gelu) in x.iter().zip(&phi).zip(&gelus) {
        let exact = ndtr64(f64::from(x));
        let error = (f64::from(phi) - exact).abs();
        assert!(phi >= 0.0 && error <= f64::exp2(-23.2), "ndtr({x:e}) = {phi:e}");
        if let Some((_, bits)) = promise.iter().find(|(to, _)| x >= *to) {
            assert!(error <= exact * f64::exp2(*bits), "ndtr({x:e}) = {phi:e}, not {exact:e}");
        }
        assert_eq!(gelu, x.max(-11.34) * phi, "gelu({x:e})");
    }
    let far = [-11.34, -12.0, -1e10, f32::MIN, f32::NEG_INFINITY];
    let mut y = [1.0; 5];
    ndtr(&mut y, &far);
    assert_eq!(y, [0.0; 5]);
    gelu(&mut y, &far);
    assert_eq!(y, [0.0; 5]);
}

/// Takes minutes: `cargo test --release -- --ignored --nocapture every_input`.
#[test]
#[ignore = "all 2^32 inputs of every function"]
fn errors_over_every_input_are_within_the_promise() {
    let only = std::env::var("GRADUS_MATH_ONLY").ok();
    for case in CASES.iter().filter(|c| only.as_ref().is_none_or(|o| o == c.name)) {
        let halves = std::thread::scope(|s| {
            let upper = s.spawn(|| worst(case, 1 << 31..=u32::MAX));
            [worst(case, 0..=(1 << 31) - 1), upper.join().unwrap()]
        });
        let (d, x) = if halves[0].0 > halves[1].0 { halves[0] } else { halves[1] };
        println!("{:10} {d:.4} ulp at {x:e} [{:#010x}]", case.name, x.to_bits());
        assert!(d <= case.ulps, "{}({x:e}) is off by {d} ulp", case.name);
    }
}

/// Special numbers, the ends of every interval that an algorithm treats separately, and their neighbours.
fn boundaries() -> impl Iterator<Item = u32> {
    let ends = [
        0.0,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
        f32::EPSILON,
        f32::EPSILON / 2.0,
        f32::EPSILON / 4.0,
        0.346_573_6,
        0.55,
        0.5,
        2.0 / 3.0,
        1.0 / 3.0,
        0.921_875,
        1.0,
        4.0 / 3.0,
        4.0,
        10.0,
        17.328_68,
        30.0,
        87.336_54,
        88.722_84,
        89.0,
        103.278_93,
        103.972_08,
        104.0,
        32_768.0,
        std::f32::consts::FRAC_PI_2,
        std::f32::consts::PI,
    ];
    ends.into_iter().flat_map(|e| {
        let b = e.to_bits();
        (b.saturating_sub(64)..=(b + 64).min(0x7fff_ffff)).flat_map(|b| [b, b | 0x8000_0000])
    })
}

/// FNV-1a over the bits, 32 at a time, any NaN counting as one.
fn hash(y: &[f32]) -> u64 {
    y.iter().fold(0xcbf2_9ce4_8422_2325, |h, y| {
        let bits = if y.is_nan() { 0x7fc0_0000 } else { y.to_bits() };
        (h ^ u64::from(bits)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Pinned on one processor, and checked on every one and, with `GRADUS_ISA`, for every instruction set.
#[test]
fn results_have_the_pinned_bits() {
    let x: Vec<f32> = sample().chain(boundaries()).map(f32::from_bits).collect();
    let mut y = vec![0.0; x.len()];
    let mut wrong = Vec::new();
    for case in &CASES {
        (case.kernel)(&mut y, &x);
        let got = hash(&y);
        if got != case.golden {
            wrong.push(format!("{}: {got:#018x}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Nanoseconds per number: `cargo test --release -- --ignored --nocapture time_per`.
#[test]
#[ignore = "a measurement"]
fn time_per_number() {
    let x: Vec<f32> =
        (0..1u32 << 22).map(|i| (i.wrapping_mul(2_654_435_761) as i32) as f32 / 268_435_456.0).collect();
    let mut y = vec![0.0; x.len()];
    let mut time = |name: &str, f: &mut dyn FnMut(&mut [f32], &[f32])| {
        for n in [1 << 12, 1 << 22] {
            let mut best = f64::INFINITY;
            for _ in 0..(1 << 24) / n {
                let start = std::time::Instant::now();
                f(std::hint::black_box(&mut y[..n]), std::hint::black_box(&x[..n]));
                best = best.min(start.elapsed().as_secs_f64());
            }
            let ns = best * 1e9 / n as f64;
            println!("{name:12} {n:8} numbers: {ns:6.3} ns each, {:6.2} GB/s", 8.0 / ns);
        }
    };
    time("copy", &mut |o, x| o.copy_from_slice(x));
    time("libm expf", &mut |o, x| o.iter_mut().zip(x).for_each(|(o, &x)| *o = libm::expf(x)));
    time("libm tanhf", &mut |o, x| o.iter_mut().zip(x).for_each(|(o, &x)| *o = libm::tanhf(x)));
    time("libm erff", &mut |o, x| o.iter_mut().zip(x).for_each(|(o, &x)| *o = libm::erff(x)));
    time("libm sinf", &mut |o, x| o.iter_mut().zip(x).for_each(|(o, &x)| *o = libm::sinf(x)));
    for case in &CASES {
        time(case.name, &mut |o, x| (case.kernel)(o, x));
    }
    time("step", &mut |o, x| step(o, x));
    time("relu", &mut |o, x| relu(o, x));
    time("smaller", &mut |o, x| smaller(o, x));
}

stamped! {
    fn relu(out: &mut [f32], x: &[f32]) {
        for (o, &x) in out.iter_mut().zip(x) {
            *o = Real::maximum(x, 0.0);
        }
    }
}

stamped! {
    fn smaller(out: &mut [f32], x: &[f32]) {
        for (o, &x) in out.iter_mut().zip(x) {
            *o = Real::minimum(x, *o);
        }
    }
}

#[test]
fn the_larger_and_the_smaller_know_nan_and_zeros() {
    let values = [f32::NEG_INFINITY, -1.0, -0.0, 0.0, f32::from_bits(1), 1.0, f32::INFINITY];
    for (i, &a) in values.iter().enumerate() {
        for (j, &b) in values.iter().enumerate() {
            assert_eq!(Real::maximum(a, b).to_bits(), values[i.max(j)].to_bits(), "maximum({a}, {b})");
            assert_eq!(Real::minimum(a, b).to_bits(), values[i.min(j)].to_bits(), "minimum({a}, {b})");
            let (a, b) = (f64::from(a), f64::from(b));
            assert_eq!(
                Real::maximum(a, b).to_bits(),
                f64::from(values[i.max(j)]).to_bits(),
                "maximum({a}, {b})"
            );
            assert_eq!(
                Real::minimum(a, b).to_bits(),
                f64::from(values[i.min(j)]).to_bits(),
                "minimum({a}, {b})"
            );
        }
        for nan in [f32::NAN, -f32::NAN] {
            assert!(Real::maximum(a, nan).is_nan() && Real::maximum(nan, a).is_nan());
            assert!(Real::minimum(a, nan).is_nan() && Real::minimum(nan, a).is_nan());
        }
        let expected = if i > 3 { 1.0 } else { 0.0 };
        assert_eq!(Real::step(a), expected);
    }
    assert!(Real::step(f32::NAN).is_nan());
}
