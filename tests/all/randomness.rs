//! Tests that a random tensor depends only on its stream and the position of each element.

use gradus::random::{Distribution, Purpose, Stream};
use gradus::{DType, Tensor, with_threads};

fn stream(step: u64) -> Stream {
    Stream::new(11, Purpose::User(2), step)
}

#[test]
fn elements_depend_on_their_place_alone() {
    let all = [
        Distribution::Uniform { low: 0.0, high: 2.0 },
        Distribution::Normal { mean: 0.0, std: 1.0 },
        Distribution::TruncatedNormal { mean: 0.0, std: 1.0 },
        Distribution::Exponential { rate: 1.0 },
        Distribution::Gamma { shape: 0.7, rate: 1.0 },
        Distribution::Beta { a: 2.0, b: 3.0 },
        Distribution::Poisson { rate: 3.0 },
    ];
    for d in all {
        let draw = |threads, n: usize| {
            with_threads(threads, || Tensor::sample([n], d, DType::F64, stream(0)).unwrap()).unwrap()
        };
        let long = draw(1, 5000);
        assert!(long.same_bits(&draw(2, 5000)), "{d:?}");
        assert!(long.slice(0, 0, 1000).unwrap().same_bits(&draw(1, 1000)), "{d:?}");
        let single = Tensor::sample([50, 100], d, DType::F32, stream(0)).unwrap();
        assert!(single.same_bits(&long.cast(DType::F32).unwrap().reshape([50, 100]).unwrap()), "{d:?}");
        assert!(!long.same_bits(&Tensor::sample([5000], d, DType::F64, stream(1)).unwrap()));
    }
    assert_eq!(Tensor::randn([0, 3], stream(0)).unwrap().elements(), 0);
    assert_eq!(Tensor::randn([], stream(0)).unwrap().to_vec::<f32>().unwrap()[0], stream(0).normal(0) as f32);
}

#[test]
fn uniform_numbers_stay_below_their_bound_in_float32() {
    // So narrow that half of the roundings reach the bound.
    let d = Distribution::Uniform { low: 1.0 - 1e-7, high: 1.0 };
    for dtype in [DType::F32, DType::F64] {
        let x = Tensor::sample([2000], d, dtype, stream(0)).unwrap().cast(DType::F64).unwrap();
        assert!(x.to_vec::<f64>().unwrap().iter().all(|v| (1.0 - 1.2e-7..1.0).contains(v)));
    }
    assert!(
        Tensor::rand([100_000], stream(3))
            .unwrap()
            .to_vec::<f32>()
            .unwrap()
            .iter()
            .all(|v| (0.0..1.0).contains(v))
    );
}

#[test]
fn whole_numbers_truths_and_orders() {
    let x = Tensor::randint([30_000], -1, 2, stream(0)).unwrap().to_vec::<i64>().unwrap();
    for v in -1..2 {
        let count = x.iter().filter(|x| **x == v).count();
        assert!((9_600..10_400).contains(&count), "{count} of {v}");
    }
    let all = Tensor::randint([100], i64::MIN, i64::MAX, stream(0)).unwrap().to_vec::<i64>().unwrap();
    assert!(all.iter().any(|v| *v < 0) && all.iter().any(|v| *v > 0));
    assert!(Tensor::randint([1], 2, 2, stream(0)).is_err());
    let heads = |p| {
        Tensor::bernoulli([10_000], p, stream(0))
            .unwrap()
            .to_vec::<bool>()
            .unwrap()
            .iter()
            .filter(|b| **b)
            .count()
    };
    assert_eq!((heads(0.0), heads(1.0)), (0, 10_000));
    assert!((2_800..3_200).contains(&heads(0.3)));
    assert!(Tensor::bernoulli([1], f64::NAN, stream(0)).is_err());

    let order = Tensor::permutation(6, stream(4)).unwrap();
    let x = Tensor::arange(12).unwrap().reshape([2, 6]).unwrap();
    assert!(x.shuffle(1, stream(4)).unwrap().same_bits(&x.gather(&order, 1).unwrap()));
    let mut sorted = order.to_vec::<i64>().unwrap();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn categories_are_as_likely_as_the_softmax_says() {
    let p = [0.2f64, 0.5, 0.0, 0.3];
    let logits: Vec<f64> = p.iter().map(|p| libm::log(*p) + 700.0).collect();
    let logits = Tensor::from_slice(&logits, [4]).unwrap();
    let n = 20_000;
    let draws = logits.broadcast_to([2, 4]).unwrap().categorical(n, stream(0)).unwrap();
    assert_eq!((draws.dims(), draws.dtype()), (&[2, n][..], DType::I64));
    let draws = draws.to_vec::<i64>().unwrap();
    for (class, p) in p.iter().enumerate() {
        let share = draws.iter().filter(|d| **d == class as i64).count() as f64 / (2 * n) as f64;
        assert!((share - p).abs() < 0.0125, "class {class}: {share}, not {p}");
    }
    assert_eq!(draws.iter().filter(|d| **d == 2).count(), 0, "a class of probability 0");
    let single = logits.cast(DType::F32).unwrap().categorical(0, stream(0)).unwrap();
    assert_eq!(single.dims(), [0]);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(Tensor::full([2, 3], bad).unwrap().categorical(1, stream(0)).is_err());
    }
    assert!(Tensor::zeros([2, 0]).unwrap().categorical(1, stream(0)).is_err());
}

// ---- the distributions

const N: u64 = 40_000;

/// Mean and variance of a draw against those of the distribution, within five standard errors (of the variance: of a
/// distribution with this kurtosis).
fn moments(d: Distribution, mean: f64, variance: f64, kurtosis: f64) {
    d.check().unwrap();
    let stream = Stream::new(7, Purpose::User(3), 1);
    let values: Vec<f64> = (0..N).map(|i| d.value(&stream, i)).collect();
    let n = N as f64;
    let m = values.iter().sum::<f64>() / n;
    let v = values.iter().map(|x| (x - m) * (x - m)).sum::<f64>() / n;
    let (em, ev) = (libm::sqrt(variance / n), variance * libm::sqrt((kurtosis - 1.0) / n));
    assert!((m - mean).abs() < 5.0 * em, "{d:?}: mean {m}, not {mean}");
    assert!((v - variance).abs() < 5.0 * ev, "{d:?}: variance {v}, not {variance}");
}

#[test]
fn moments_are_those_of_the_distributions() {
    moments(Distribution::Uniform { low: -1.0, high: 3.0 }, 1.0, 16.0 / 12.0, 1.8);
    moments(Distribution::Normal { mean: 2.0, std: 3.0 }, 2.0, 9.0, 3.0);
    moments(Distribution::TruncatedNormal { mean: 1.0, std: 2.0 }, 1.0, 4.0 * 0.773_741_3, 2.4);
    moments(Distribution::Exponential { rate: 0.5 }, 2.0, 4.0, 9.0);
    for shape in [0.1, 0.5, 1.0, 2.5, 30.0] {
        let d = Distribution::Gamma { shape, rate: 2.0 };
        moments(d, shape / 2.0, shape / 4.0, 3.0 + 6.0 / shape);
    }
    for (a, b) in [(0.01, 0.01), (0.5, 0.5), (2.0, 5.0), (1.0, 1.0)] {
        let s: f64 = a + b;
        moments(Distribution::Beta { a, b }, a / s, a * b / (s * s * (s + 1.0)), 4.0);
    }
    for rate in [0.0, 0.3, 4.0, 100.0, 1000.0] {
        let kurtosis = if rate > 0.0 { 3.0 + 1.0 / rate } else { 3.0 };
        let d = Distribution::Poisson { rate };
        if rate > 0.0 {
            moments(d, rate, rate, kurtosis)
        } else {
            assert_eq!(d.value(&Stream::new(0, Purpose::User(0), 0), 5), 0.0)
        }
    }
}

/// Shares below the distribution functions' quartiles (SciPy's `ppf`).
#[test]
fn quantiles_are_those_of_the_distributions() {
    let stream = Stream::new(8, Purpose::User(3), 1);
    let cases = [
        (
            Distribution::Normal { mean: 0.0, std: 1.0 },
            [-0.674_489_750_196_081_7, 0.0, 0.674_489_750_196_081_7],
        ),
        (
            Distribution::Exponential { rate: 1.0 },
            [0.287_682_072_451_780_9, std::f64::consts::LN_2, 1.386_294_361_119_890_6],
        ),
        // Shape 1/2: half the square of a normal number.
        (
            Distribution::Gamma { shape: 0.5, rate: 1.0 },
            [0.050_765_522_133_810_1, 0.227_468_211_559_786, 0.661_651_852_327_313],
        ),
        // The arcsine law: sin²(π q / 2).
        (Distribution::Beta { a: 0.5, b: 0.5 }, [0.146_446_609_406_726_24, 0.5, 0.853_553_390_593_273_7]),
    ];
    for (d, quartiles) in cases {
        for (i, q) in quartiles.iter().enumerate() {
            let share = (0..N).filter(|at| d.value(&stream, *at) < *q).count() as f64 / N as f64;
            let want = 0.25 * (i + 1) as f64;
            assert!((share - want).abs() < 5.0 * 0.0025, "{d:?}: {share} below {q}, not {want}");
        }
    }
}

#[test]
fn the_numbers_never_change() {
    let s = Stream::new(42, Purpose::User(0), 7);
    let got = [
        Distribution::Uniform { low: -1.0, high: 1.0 },
        Distribution::Normal { mean: 0.0, std: 1.0 },
        Distribution::TruncatedNormal { mean: 0.0, std: 1.0 },
        Distribution::Exponential { rate: 1.0 },
        Distribution::Gamma { shape: 2.5, rate: 1.0 },
        Distribution::Gamma { shape: 0.25, rate: 1.0 },
        Distribution::Beta { a: 2.0, b: 0.5 },
        Distribution::Poisson { rate: 600.0 },
    ]
    .map(|d| [0, 1, 1 << 40].map(|at| d.value(&s, at).to_bits()));
    assert_eq!(got, GOLDEN, "{got:#x?}");
}
/// Bits of numbers 0, 1 and 2^40.
const GOLDEN: [[u64; 3]; 8] = [
    [13816826586905083376, 4593124783756714480, 13829280732003995480],
    [13830567504062451148, 4605451684581700845, 4601264042232440969],
    [13830567504062451148, 13799347541964306680, 4590055079322281392],
    [4603381790266348208, 4605543495540944507, 4589948402372230247],
    [4607183897794028982, 4610479773090256496, 4620036582986366640],
    [4573451916734466474, 4585156196391337870, 4614235845672961174],
    [4605143280307136830, 4607170620499033540, 4603423641605015403],
    [4648524056004395008, 4648084251353284608, 4648365726329995264],
];

#[test]
fn settings_out_of_range_are_errors() {
    let bad = [
        Distribution::Uniform { low: 1.0, high: 1.0 },
        Distribution::Uniform { low: -f64::MAX, high: f64::MAX },
        Distribution::Normal { mean: 0.0, std: -1.0 },
        Distribution::Normal { mean: f64::NAN, std: 1.0 },
        Distribution::Exponential { rate: 0.0 },
        Distribution::Gamma { shape: 0.0, rate: 1.0 },
        Distribution::Beta { a: 1.0, b: f64::INFINITY },
        Distribution::Poisson { rate: 2e6 },
    ];
    for d in bad {
        assert!(d.check().is_err(), "{d:?}");
    }
}
