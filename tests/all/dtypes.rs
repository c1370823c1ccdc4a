//! Tests of element types: how two of them are promoted, what integers do at the ends of their ranges, and what a
//! cast keeps. They are compared with tables from JAX's documentation and with a slow reference that computes in
//! 128 bits.

use gradus::io::{Limits, npy, npz};
use gradus::ops::{self, Takes};
use gradus::prelude::*;
use gradus::{DType, Element, Result};
use gradus::{bf16, f16};

const INTEGERS: [DType; 4] = [DType::I64, DType::I32, DType::I8, DType::U8];

fn range(dtype: DType) -> (i128, i128) {
    match dtype {
        DType::I64 => (i64::MIN.into(), i64::MAX.into()),
        DType::I32 => (i32::MIN.into(), i32::MAX.into()),
        DType::I8 => (i8::MIN.into(), i8::MAX.into()),
        _ => (0, 255),
    }
}

fn wrap(v: i128, dtype: DType) -> i128 {
    let (low, high) = range(dtype);
    (v - low).rem_euclid(high - low + 1) + low
}

/// Numbers at the ends and in the middle of a range.
fn numbers(dtype: DType) -> Vec<i64> {
    let (low, high) = range(dtype);
    let all = [low, low + 1, -7, -3, -2, -1, 0, 1, 2, 3, 5, 7, 11, 100, high / 2, high - 1, high];
    all.into_iter().filter(|v| (low..=high).contains(v)).map(|v| v as i64).collect()
}

fn of(values: &[i64], dtype: DType) -> Tensor {
    Tensor::from_slice(values, [values.len()]).unwrap().cast(dtype).unwrap()
}

fn ints(t: &Tensor) -> Vec<i128> {
    t.cast(DType::I64).unwrap().to_vec::<i64>().unwrap().into_iter().map(i128::from).collect()
}

/// From the table at <https://docs.jax.dev/en/latest/type_promotion.html>, without the types that are not here. Its
/// `i2`, for u1 with i1, is i4, the next that is here.
const TABLE: &str = "
       b1 u1 i1 i4 i8 bf f2 f4 f8
    b1 b1 u1 i1 i4 i8 bf f2 f4 f8
    u1 u1 u1 i4 i4 i8 bf f2 f4 f8
    i1 i1 i4 i1 i4 i8 bf f2 f4 f8
    i4 i4 i4 i4 i4 i8 bf f2 f4 f8
    i8 i8 i8 i8 i8 i8 bf f2 f4 f8
    bf bf bf bf bf bf bf f4 f4 f8
    f2 f2 f2 f2 f2 f2 f4 f2 f4 f8
    f4 f4 f4 f4 f4 f4 f4 f4 f4 f8
    f8 f8 f8 f8 f8 f8 f8 f8 f8 f8";

fn table() -> Vec<(DType, DType, DType)> {
    let named = |name: &str| match name {
        "b1" => DType::Bool,
        "u1" => DType::U8,
        "i1" => DType::I8,
        "i4" => DType::I32,
        "i8" => DType::I64,
        "bf" => DType::BF16,
        "f2" => DType::F16,
        "f4" => DType::F32,
        "f8" => DType::F64,
        _ => panic!("{name}"),
    };
    let mut lines = TABLE.lines().skip(1).map(|l| l.split_whitespace().map(named).collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let rows: Vec<_> = lines.flat_map(|l| (0..head.len()).map(move |i| (l[0], i, l[i + 1]))).collect();
    assert_eq!(rows.len(), DType::ALL.len() * DType::ALL.len());
    rows.into_iter().map(|(a, i, meet)| (a, head[i], meet)).collect()
}

#[test]
fn two_dtypes_meet_as_the_table_says() {
    for (a, b, meet) in table() {
        assert_eq!(a.promote(b), meet, "{a} {b}");
    }
    // An order in which any two have one smallest upper bound: in whatever order operands come, the result is the same.
    for (a, b) in DType::ALL.iter().flat_map(|a| DType::ALL.map(|b| (*a, b))) {
        assert_eq!(a.promote(b), b.promote(a));
        for c in DType::ALL {
            assert_eq!(a.promote(b).promote(c), a.promote(b.promote(c)), "{a} {b} {c}");
        }
    }
}

/// Every operation on two operands gives what it gives of both cast by hand, or refuses both.
#[test]
fn operations_take_mixed_dtypes_by_the_table() {
    type Pair = fn(&Tensor, &Tensor) -> Result<Tensor>;
    let mut all: Vec<(&str, Pair)> = ops::BINARY.iter().map(|r| (r.name, r.apply)).collect();
    all.extend([
        ("equal", Tensor::equal as Pair),
        ("not_equal", Tensor::not_equal),
        ("less", Tensor::less),
        ("less_equal", Tensor::less_equal),
        ("greater", Tensor::greater),
        ("greater_equal", Tensor::greater_equal),
        ("choose", |a, b| a.equal(b)?.logical_not()?.choose(a, b)),
        ("concat", |a, b| Tensor::concat(&[a, b], 0)),
        ("stack", |a, b| Tensor::stack(&[b, a], 0)),
        ("matmul", Tensor::matmul),
        ("linear", |a, b| a.linear(&b.reshape([3, 1])?, None, Some(ops::matmul::Fused::Relu))),
        ("linear with bias", |a, b| {
            a.reshape([3, 1])?.linear(&b.reshape([1, 3])?, Some(&b.cast(DType::U8)?), None)
        }),
        ("einsum", |a, b| Tensor::einsum("i,j->ij", &[a, b])),
        ("tensordot", |a, b| a.tensordot(b, &[0], &[0])),
        ("outer", Tensor::outer),
        ("kron", Tensor::kron),
        ("solve", |a, b| a.reshape([3, 1, 1])?.solve(&b.reshape([3, 1, 1])?)),
    ]);
    for (a, b, meet) in table() {
        let (x, y) = (of(&[3, 0, 1], a), of(&[1, 2, 5], b));
        let (cast_x, cast_y) = (x.cast(meet).unwrap(), y.cast(meet).unwrap());
        for (name, f) in &all {
            match (f(&x, &y), f(&cast_x, &cast_y)) {
                (Ok(got), Ok(want)) => assert!(got.same_bits(&want), "{name} of {a} and {b}: {got} {want}"),
                (got, want) => {
                    assert!(got.is_err() && want.is_err(), "{name} of {a} and {b}: {got:?} {want:?}")
                }
            }
        }
    }
}

/// A gradient comes back in the dtype of the operand.
#[test]
fn gradients_flow_back_through_the_cast() {
    let (a, b) = (of(&[1, 2, 3], DType::BF16).tracked(), of(&[4, 5, 6], DType::F32).tracked());
    let c = of(&[7, 8, 9], DType::F64).tracked();
    let n = of(&[2, 2, 2], DType::I32).tracked();
    let y = a.mul(&b).unwrap().mul(&c).unwrap().mul(&n).unwrap();
    assert_eq!(y.dtype(), DType::F64);
    let gradients = y.sum(&[], false).unwrap().backward().unwrap();
    let got = |t: &Tensor| gradients.get(t).unwrap().clone();
    assert!(got(&a).same_bits(&of(&[56, 80, 108], DType::BF16)));
    assert!(got(&b).same_bits(&of(&[14, 32, 54], DType::F32)));
    assert!(got(&c).same_bits(&of(&[8, 20, 36], DType::F64)));
    assert!(gradients.get(&n).is_none());
}

#[test]
fn integers_wrap_as_in_128_bits() {
    type Exact = fn(i128, i128) -> Option<i128>;
    let floor = |a: i128, b: i128| a.div_euclid(b) - i128::from(b < 0 && a.rem_euclid(b) != 0);
    let exact: Vec<(&str, Exact)> = vec![
        ("add", |a, b| Some(a + b)),
        ("sub", |a, b| Some(a - b)),
        ("mul", |a, b| Some(a * b)),
        ("maximum", |a, b| Some(a.max(b))),
        ("minimum", |a, b| Some(a.min(b))),
        ("squared_difference", |a, b| (a - b).checked_mul(a - b)),
    ];
    for dtype in INTEGERS {
        let values = numbers(dtype);
        let n = values.len();
        let (x, y) = (of(&values, dtype).reshape([-1, 1]).unwrap(), of(&values, dtype));
        let pairs = |f: &dyn Fn(i128, i128) -> Option<i128>| -> Vec<Option<i128>> {
            values.iter().flat_map(|&a| values.iter().map(move |&b| f(a.into(), b.into()))).collect()
        };
        let check = |name: &str, want: Vec<Option<i128>>| {
            let row = ops::BINARY.iter().find(|r| r.name == name).unwrap();
            let got = (row.apply)(&x, &y).unwrap();
            assert_eq!((got.dtype(), got.dims()), (dtype, &[n, n][..]), "{name}");
            for (i, (got, want)) in ints(&got).iter().zip(want).enumerate() {
                let (a, b) = (values[i / n], values[i % n]);
                if let Some(want) = want {
                    assert_eq!(*got, wrap(want, dtype), "{name} {a} {b} {dtype}");
                }
            }
        };
        exact.iter().for_each(|(name, f)| check(name, pairs(f)));
        check("floor_div", pairs(&|a, b| Some(if b == 0 { 0 } else { floor(a, b) })));
        check("remainder", pairs(&|a, b| Some(if b == 0 { 0 } else { a - b * floor(a, b) })));
        // Wrapping powers: one factor after the other.
        let exponents: Vec<i64> = (0..9).collect();
        let got = x.pow(&of(&exponents, dtype)).unwrap();
        for (i, got) in ints(&got).into_iter().enumerate() {
            let (a, e) = (i128::from(values[i / 9]), i % 9);
            assert_eq!(got, (0..e).fold(1, |p, _| wrap(p * a, dtype)), "{a}^{e} {dtype}");
        }
        // Of one.
        type One = (&'static str, fn(i128) -> i128);
        let ones: [One; 9] = [
            ("neg", |a| -a),
            ("abs", i128::abs),
            ("sign", i128::signum),
            ("square", |a| a * a),
            ("relu", |a| a.max(0)),
            ("floor", |a| a),
            ("ceil", |a| a),
            ("round", |a| a),
            ("trunc", |a| a),
        ];
        for row in ops::UNARY.iter().filter(|r| r.takes == Takes::Numbers) {
            let (_, f) = ones.iter().find(|(name, _)| *name == row.name).expect(row.name);
            let want: Vec<i128> = values.iter().map(|&a| wrap(f(a.into()), dtype)).collect();
            assert_eq!(ints(&(row.apply)(&y).unwrap()), want, "{} {dtype}", row.name);
        }
        let clipped = y.clip(-2.5, 5.9).unwrap();
        assert_eq!(clipped.dtype(), dtype);
        assert_eq!(ints(&clipped), values.iter().map(|&v| i128::from(v.clamp(-2, 5))).collect::<Vec<_>>());
        assert!(y.clip(-1e30, 1e30).unwrap().same_bits(&y));
    }
}

#[test]
fn division_of_integers_is_rounded_once() {
    let q = |a: i64, b: i64, dtype| {
        let q = of(&[a], dtype).div(&of(&[b], dtype)).unwrap();
        assert_eq!(q.dtype(), DType::F32);
        q.item().unwrap()
    };
    assert_eq!(q(7, 2, DType::U8), 3.5);
    assert_eq!(q(-7, 2, DType::I8), -3.5);
    // Each rounded to float32 first would give 1.
    assert_eq!(q(16_777_217, 16_777_216, DType::I32) as f32, (16_777_217f64 / 16_777_216f64) as f32);
    assert_eq!(q(i64::MIN, -1, DType::I64), 9_223_372_036_854_775_808.0);
    assert_eq!(q(1, 0, DType::I32), f64::INFINITY);
    assert!(q(0, 0, DType::I64).is_nan());
    let mixed = of(&[7], DType::I32).div(&of(&[2], DType::F64)).unwrap();
    assert_eq!((mixed.dtype(), mixed.item().unwrap()), (DType::F64, 3.5));
}

#[test]
fn truth_values_multiply_and_compare_but_do_not_add() {
    let (a, b) = (of(&[0, 0, 1, 1], DType::Bool), of(&[0, 1, 0, 1], DType::Bool));
    let bools = |t: Result<Tensor>| t.unwrap().to_vec::<bool>().unwrap();
    assert_eq!(bools(a.mul(&b)), [false, false, false, true]);
    assert_eq!(bools(a.maximum(&b)), [false, true, true, true]);
    assert_eq!(bools(a.minimum(&b)), [false, false, false, true]);
    assert_eq!(ints(&a.add(&b.cast(DType::U8).unwrap()).unwrap()), [0, 1, 1, 2]);
    for refused in [a.add(&b), a.sub(&b), a.pow(&b), a.neg(), a.matmul(&b), a.clip(0.0, 1.0)] {
        assert!(refused.is_err());
    }
}

#[test]
fn products_of_matrices_are_exact() {
    for (dtype, out) in
        [(DType::I64, DType::I64), (DType::I32, DType::I32), (DType::I8, DType::I32), (DType::U8, DType::I32)]
    {
        for (m, k, n) in [(1, 1, 1), (3, 5, 2), (7, 0, 3), (0, 4, 2), (17, 33, 40)] {
            let (low, high) = range(dtype);
            let number = |i: usize| {
                let far = i128::from(i as i64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                (low + far.rem_euclid(high - low + 1)) as i64
            };
            let fill = |n: usize, salt: usize| (0..n).map(|i| number(i + salt)).collect::<Vec<_>>();
            let (a, b) = (fill(2 * m * k, 1), fill(k * n, 99));
            let x = of(&a, dtype).reshape_to([2, 1, m, k]).unwrap();
            let y = of(&b, dtype).reshape_to([1, k, n]).unwrap().broadcast_to([3, k, n]).unwrap();
            let z = x.matmul(&y).unwrap();
            assert_eq!((z.dtype(), z.dims()), (out, &[2, 3, m, n][..]));
            let at = |s: usize, i: usize, j: usize| {
                let sum = (0..k).map(|l| i128::from(a[(s * m + i) * k + l]) * i128::from(b[l * n + j]));
                wrap(sum.fold(0, |s, v| wrap(s + wrap(v, out), out)), out)
            };
            let z = ints(&z);
            for (index, got) in z.iter().enumerate() {
                let (s, i, j) = (index / (3 * m * n), index / n % m, index % n);
                assert_eq!(*got, at(s, i, j), "{dtype} {m} {k} {n}");
            }
            let turned = y.t().unwrap().matmul(&x.t().unwrap()).unwrap().t().unwrap();
            assert_eq!(ints(&turned), z);
        }
    }
    let (v, m) = (of(&[1, 2], DType::I8), of(&[1, 2, 3, 4], DType::I8).reshape([2, 2]).unwrap());
    assert_eq!((ints(&v.matmul(&m).unwrap()), ints(&m.matmul(&v).unwrap())), (vec![7, 10], vec![5, 11]));
    assert!(v.matmul(&v).unwrap().same_bits(&Tensor::scalar(5i32).unwrap()));
    let sums = Tensor::einsum("ij->j", &[&m]).unwrap();
    assert_eq!((sums.dtype(), ints(&sums)), (DType::I64, vec![4, 6]));
}

#[test]
fn reductions_of_integers_are_numpys() {
    for dtype in INTEGERS {
        let values: Vec<i64> = numbers(dtype).into_iter().chain(0..600).map(|v| v.clamp(-128, 127)).collect();
        let values: Vec<i64> = ints(&of(&values, dtype)).into_iter().map(|v| v as i64).collect();
        let x = of(&values, dtype);
        let sum: i64 = values.iter().sum();
        let got = x.sum(&[], false).unwrap();
        assert_eq!((got.dtype(), ints(&got)), (DType::I64, vec![sum.into()]), "{dtype}");
        let small = of(&[2, 3, 5, 7, 11, 13], dtype).reshape([2, 3]).unwrap();
        for t in [&small, &small.t().unwrap().contiguous().unwrap().t().unwrap()] {
            assert_eq!(ints(&t.prod(&[0], false).unwrap()), [14, 33, 65]);
            assert_eq!(ints(&t.sum(&[1], false).unwrap()), [10, 31]);
            assert_eq!(ints(&t.cumsum(1).unwrap()), [2, 5, 10, 7, 18, 31]);
            assert_eq!(ints(&t.cumprod(1).unwrap()), [2, 6, 30, 7, 77, 1001]);
            assert_eq!(t.cumprod(1).unwrap().dtype(), DType::I64);
            let (max, min) = (t.max(&[0], false).unwrap(), t.min(&[0], false).unwrap());
            assert_eq!((max.dtype(), ints(&max), ints(&min)), (dtype, vec![7, 11, 13], vec![2, 3, 5]));
            assert_eq!(
                (ints(&t.argmax(1).unwrap()), ints(&t.argmin(0).unwrap())),
                (vec![2, 2], vec![0, 0, 0])
            );
            assert!(t.all(&[], false).unwrap().same_bits(&Tensor::scalar(true).unwrap()));
        }
        let wide = matches!(dtype, DType::I64 | DType::I32);
        let mean = small.mean(&[1], false).unwrap();
        assert_eq!(mean.dtype(), if wide { DType::F64 } else { DType::F32 });
        assert!((mean.cast(DType::F64).unwrap().to_vec::<f64>().unwrap()[1] - 31.0 / 3.0).abs() < 1e-6);
        assert_eq!(small.var(&[], false, 0).unwrap().dtype(), mean.dtype());
        let (sorted, order) =
            (of(&[5, 2, 9], dtype).sort(0, true).unwrap(), of(&[5, 2, 9], dtype).argsort(0, false).unwrap());
        assert_eq!((sorted.dtype(), ints(&sorted), ints(&order)), (dtype, vec![9, 5, 2], vec![1, 0, 2]));
        assert_eq!(ints(&of(&[5, 2, 5], dtype).unique().unwrap().values), [2, 5]);
    }
    // Float32 holds neither these nor the squares of their distances.
    let mean = Tensor::new([33_554_433i64, 33_554_433]).unwrap().mean(&[], false).unwrap();
    assert_eq!(mean.item().unwrap(), 33_554_433.0);
    let var =
        Tensor::new([1_800_000_000i64, 1_800_000_004, 1_800_000_008]).unwrap().var(&[], false, 0).unwrap();
    assert!((var.item().unwrap() - 32.0 / 3.0).abs() < 1e-9);
}

#[test]
fn casts_take_the_nearest_there_is() {
    for from in INTEGERS {
        let values = numbers(from);
        let x = of(&values, from);
        for to in INTEGERS {
            let (low, high) = range(to);
            let want: Vec<i128> = values.iter().map(|&v| i128::from(v).clamp(low, high)).collect();
            assert_eq!(ints(&x.cast(to).unwrap()), want, "{from} to {to}");
            let floats = Tensor::from_slice(&[-1e30, -1.9, -0.5, 0.99, 2.5, 1e30, f64::NAN], [7]).unwrap();
            let cut = [low, if low == 0 { 0 } else { -1 }, 0, 0, 2, high, 0];
            for float in [DType::F64, DType::F32, DType::BF16] {
                let mut want = cut;
                want[3] = if float == DType::BF16 { 0 } else { cut[3] };
                let got = ints(&floats.cast(float).unwrap().cast(to).unwrap());
                assert_eq!(got[..3], want[..3], "{float} to {to}");
                assert_eq!(got[4..], want[4..], "{float} to {to}");
            }
        }
        assert_eq!(
            x.cast(DType::F64).unwrap().to_vec::<f64>().unwrap(),
            values.iter().map(|v| *v as f64).collect::<Vec<_>>()
        );
        assert_eq!(
            x.cast(DType::F32).unwrap().to_vec::<f32>().unwrap(),
            values.iter().map(|v| *v as f32).collect::<Vec<_>>()
        );
    }
    // Rounded once: by way of float32 these would have been 1.
    let tiny = 1.0 / (1u64 << 40) as f64;
    let near = Tensor::scalar(1.0 + 1.0 / 256.0 + tiny).unwrap().cast(DType::BF16).unwrap();
    assert_eq!(near.item().unwrap(), 1.0078125);
    let near = Tensor::scalar(1.0 + 1.0 / 2048.0 + tiny).unwrap().cast(DType::F16).unwrap();
    assert_eq!(near.item().unwrap(), 1.0009765625);
    let near = Tensor::scalar((1i64 << 40) + (1 << 32) + 1).unwrap().cast(DType::BF16).unwrap();
    assert_eq!(near.item().unwrap(), ((1i64 << 40) + (1 << 33)) as f64);
}

#[test]
fn the_same_bits_are_the_same_bits() {
    let halves = |a: u16, b: u16| {
        let two = |bits| {
            (Tensor::scalar(bf16::from_bits(bits)).unwrap(), Tensor::scalar(f16::from_bits(bits)).unwrap())
        };
        let ((a, c), (b, d)) = (two(a), two(b));
        assert_eq!(a.same_bits(&b), c.same_bits(&d));
        a.same_bits(&b)
    };
    assert!(halves(0x7FC0, 0x7FC1) && halves(0x3C00, 0x3C00));
    assert!(!halves(0x0000, 0x8000));
    assert!(of(&[-1], DType::I8).same_bits(&of(&[-1], DType::I8)));
    assert!(!of(&[-1], DType::I8).same_bits(&of(&[-1], DType::I32)));
}

#[test]
fn every_integer_type_serves_as_index_and_label() {
    let table = Tensor::arange(12).unwrap().reshape([4, 3]).unwrap().cast(DType::F32).unwrap();
    let want = [3.0, 4.0, 5.0, 0.0, 1.0, 2.0];
    for dtype in INTEGERS {
        let at = of(&[1, 0], dtype);
        let f = |t: Result<Tensor>| t.unwrap().to_vec::<f32>().unwrap();
        assert_eq!(f(table.gather(&at, 0)), want, "{dtype}");
        assert_eq!(f(table.index(&at)), want);
        assert_eq!(f(at.one_hot(2, DType::F32)), [0.0, 1.0, 1.0, 0.0]);
        assert_eq!(
            f(table.take_along_axis(&at.reshape([1, 2]).unwrap(), 1).unwrap().slice(0, 0, 1)),
            [1.0, 0.0]
        );
        assert_eq!(f(table.slice(0, 0, 2).unwrap().scatter_add(&at, 0, [2, 3])), want);
        let added = Tensor::ones([1, 2]).unwrap().add_along_axis(&at.reshape([1, 2]).unwrap(), 1, 2);
        assert_eq!(f(added), [1.0, 1.0]);
        let loss = table.slice(0, 0, 2).unwrap().sparse_cross_entropy(&at).unwrap();
        let same = table.slice(0, 0, 2).unwrap().sparse_cross_entropy(&at.cast(DType::I64).unwrap()).unwrap();
        assert!(loss.same_bits(&same));
    }
    assert!(table.gather(&Tensor::scalar(1.0f32).unwrap(), 0).is_err());
}

#[test]
fn models_take_every_integer_type() {
    let train = |dtype| {
        let tokens = Input::new([3]).dtype(dtype);
        let layers = Sequential::new().add(tokens).add(Embedding::new(7, 4)).add(Flatten::new());
        let mut model = layers
            .add(Dense::new(3).activation(Softmax))
            .seed(3)
            .compile(Adam::new(0.01), SparseCategoricalCrossentropy::new(), [Accuracy::new()])
            .unwrap();
        let x = of(&[0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4], dtype).reshape([4, 3]).unwrap();
        model.fit(&x, &of(&[0, 1, 2, 1], dtype), Fit::new().epochs(2).verbose(0)).unwrap();
        model.predict(&x).unwrap()
    };
    let want = train(DType::I64);
    INTEGERS.into_iter().for_each(|dtype| assert!(train(dtype).same_bits(&want), "{dtype}"));
}

#[test]
fn numbers_beside_tensors_are_weak() {
    let (f, d) = (of(&[1, 2], DType::F32), of(&[1, 2], DType::F64));
    assert_eq!(((&f + 1.5).dtype(), (2 * &d).dtype()), (DType::F32, DType::F64));
    assert_eq!((1.0 - &f).to_vec::<f32>().unwrap(), [0.0, -1.0]);
    assert_eq!((2.0 / &f).to_vec::<f32>().unwrap(), [2.0, 1.0]);
    for dtype in INTEGERS {
        let x = of(&[1, 2], dtype);
        assert_eq!(((&x + 1).dtype(), ints(&(3 - &x))), (dtype, vec![2, 1]));
        assert_eq!((&x * 2.5).to_vec::<f32>().unwrap(), [2.5, 5.0]);
        assert_eq!((&x / 2).to_vec::<f32>().unwrap(), [0.5, 1.0]);
        assert_eq!((2.0 / &x).to_vec::<f32>().unwrap(), [2.0, 1.0]);
    }
    assert_eq!((of(&[0, 1], DType::Bool) + 1).dtype(), DType::I64);
    assert!(std::panic::catch_unwind(|| of(&[1], DType::U8) + 300).is_err());
}

#[test]
fn integers_come_back_from_files_and_in_print() {
    fn there_and_back<T: Element + PartialEq>(values: &[T]) {
        let t = Tensor::from_slice(values, [values.len()]).unwrap();
        assert_eq!(t.to_vec::<T>().unwrap(), values);
        let limits = Limits::default();
        assert!(npy::decode(&npy::encode(&t).unwrap(), "t", &limits).unwrap().same_bits(&t));
        let archive = npz::decode(&npz::encode(&[("t", &t)]).unwrap(), "t", &limits).unwrap();
        assert!(archive[0].1.same_bits(&t));
    }
    there_and_back(&[i32::MIN, -1, 0, i32::MAX]);
    there_and_back(&[i8::MIN, -1, 0, i8::MAX]);
    assert_eq!(of(&[-128, 5], DType::I8).to_string(), "[-128,    5] int8 [2]");
    assert_eq!(of(&[-1, 5], DType::I32).to_string(), "[-1,  5] int32 [2]");
    let x = of(&[1, 2], DType::I32);
    let put = x.index_put(0..1, &of(&[-7], DType::I8)).unwrap();
    assert_eq!((put.dtype(), ints(&put)), (DType::I32, vec![-7, 2]));
    assert!(x.index_put(0..1, &of(&[1], DType::I64)).is_err());
}
