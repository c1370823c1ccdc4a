//! Why it exists: what a random tensor holds depends on its stream and the place of each element, and on nothing else.
#![allow(clippy::unwrap_used)]

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
