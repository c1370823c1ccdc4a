//! Tests of what NumPy users do with arrays, compared with slow references that walk plain vectors: over odd
//! shapes, views, empty sizes, every dtype and any number of threads.

use gradus::ops::{PadMode, Slice};
use gradus::{DType, Result, Tensor, with_threads};

type Function = fn(&Tensor) -> Result<Tensor>;

/// Operations along axis 1 of three, and over axes.
const FUNCTIONS: &[(&str, Function)] = &[
    ("prod", |t| t.prod(&[0, 2], false)),
    ("min", |t| t.min(&[1], true)),
    ("var", |t| t.var(&[1, 2], false, 1)),
    ("logsumexp", |t| t.logsumexp(&[1], false)),
    ("norm", |t| t.norm(2.0, &[0], false)),
    ("any", |t| t.any(&[1], false)),
    ("all", |t| t.all(&[0, 1], true)),
    ("count_nonzero", |t| t.count_nonzero(&[], false)),
    ("argmin", |t| t.argmin(1)),
    ("cumsum", |t| t.cumsum(1)),
    ("cumprod", |t| t.cumprod(0)),
    ("sort", |t| t.sort(1, false)),
    ("argsort", |t| t.argsort(1, true)),
    ("argpartition", |t| t.argpartition(-2, 1)),
    ("top_k", |t| Ok(t.top_k(2, 1)?.0)),
    ("unique", |t| Ok(t.unique()?.values)),
    ("take_along_axis", |t| t.take_along_axis(&Tensor::new([[[1], [0], [1]]])?, 1)),
    ("pad", |t| t.pad(&[(1, 0), (2, 3), (0, 1)], PadMode::Constant(0.5))),
    ("pad, reflect", |t| t.pad(&[(0, 0), (2, 1), (1, 0)], PadMode::Reflect)),
    ("tile", |t| t.tile(&[2, 1, 3])),
    ("repeat", |t| t.repeat(3, 1)),
    ("flip", |t| t.flip(&[0, 2])),
    ("roll", |t| t.roll(-4, 1)),
    ("split", |t| Ok(t.split(&[1, t.dims()[1] - 1], 1)?.swap_remove(1))),
    ("unbind", |t| Ok(t.unbind(1)?.swap_remove(0))),
    ("moveaxis", |t| t.moveaxis(0, -1)),
    ("flatten", Tensor::flatten),
    ("triu", |t| t.triu(1)),
    ("tril", |t| t.tril(-1)),
    ("diagonal", |t| t.diagonal(1, -2, -1)),
    ("masked_fill", |t| t.masked_fill(&t.cast(DType::Bool)?, 2.0)),
    ("boolean_mask", |t| t.boolean_mask(&t.cast(DType::Bool)?)),
    ("argwhere", Tensor::argwhere),
    ("index", |t| t.index((.., 1..3, Slice::from(..).step(-1)))),
    ("index_put", |t| t.index_put((0, 1), &t.index((1, 0))?)),
];

/// Values with repetitions and zeros among them.
fn values(dims: &[usize]) -> Tensor {
    let n = dims.iter().product::<usize>();
    let v: Vec<f64> = (0..n).map(|i| (i * 7919 % 23) as f64 / 8.0 - 1.0).collect();
    Tensor::from_slice(&v, dims).unwrap()
}

fn copy(t: &Tensor) -> Tensor {
    Tensor::from_slice(&t.to_vec::<f64>().unwrap(), *t.shape()).unwrap()
}

#[test]
fn results_depend_on_values_alone() {
    for dims in [[3, 4, 5], [5, 3, 4], [2, 3, 70]] {
        let x = values(&dims);
        let views = [
            x.clone(),
            x.permute(&[2, 1, 0]).unwrap(),
            x.flip(&[]).unwrap().slice_step(2, None, None, 2).unwrap(),
            x.slice(1, 1, 2).unwrap().broadcast_to([dims[0], 4, dims[2]]).unwrap(),
        ];
        for view in views {
            for (name, f) in FUNCTIONS {
                let got = f(&view).unwrap_or_else(|e| panic!("{name}: {e}"));
                assert!(got.same_bits(&f(&copy(&view)).unwrap()), "{name} of {view:?} depends on strides");
            }
        }
    }
}

#[test]
fn threads_change_nothing() {
    let x = values(&[40, 61, 50]).cast(DType::F32).unwrap();
    for (name, f) in FUNCTIONS {
        let one = with_threads(1, || f(&x)).unwrap().unwrap();
        for n in [2, 3] {
            assert!(with_threads(n, || f(&x)).unwrap().unwrap().same_bits(&one), "{name} on {n} threads");
        }
    }
}

#[test]
fn every_dtype_that_has_a_meaning() {
    let floats_alone = ["prod", "var", "logsumexp", "norm", "cumsum", "cumprod", "min"];
    for dtype in DType::ALL {
        let x = values(&[3, 4, 5]).cast(dtype).unwrap();
        for (name, f) in FUNCTIONS {
            let stored = matches!(dtype, DType::BF16 | DType::F16);
            let refused = match *name {
                "logsumexp" | "norm" => !dtype.is_float(),
                name => stored && floats_alone.contains(&name),
            };
            assert_eq!(f(&x).is_err(), refused, "{name} of {dtype}: {:?}", f(&x));
        }
    }
}

#[test]
fn integers_reduce_as_numpy_has_it() {
    let bytes = Tensor::new([[200u8, 100], [255, 1]]).unwrap();
    assert_eq!(bytes.sum(&[0], false).unwrap().to_vec::<i64>().unwrap(), [455, 101]);
    assert_eq!(bytes.prod(&[1], false).unwrap().to_vec::<i64>().unwrap(), [20_000, 255]);
    assert_eq!(bytes.max(&[], false).unwrap().to_vec::<u8>().unwrap(), [255]);
    assert_eq!(bytes.cumsum(1).unwrap().to_vec::<i64>().unwrap(), [200, 300, 255, 256]);
    assert_eq!(bytes.mean(&[1], false).unwrap().to_vec::<f32>().unwrap(), [150.0, 128.0]);
    let truth = Tensor::new([[true, false], [true, true]]).unwrap();
    assert_eq!(truth.sum(&[], false).unwrap().to_vec::<i64>().unwrap(), [3]);
    assert_eq!(truth.mean(&[], false).unwrap().to_vec::<f32>().unwrap(), [0.75]);
    assert_eq!(truth.min(&[1], false).unwrap().to_vec::<bool>().unwrap(), [false, true]);
    // float32 could not count that far one by one, nor float64 tell these apart.
    let big = Tensor::new([(1i64 << 53) + 1, 1]).unwrap();
    assert_eq!(big.sum(&[], false).unwrap().to_vec::<i64>().unwrap(), [(1 << 53) + 2]);
    assert_eq!(big.argmax(0).unwrap().item().unwrap(), 0.0);
    assert_eq!(Tensor::new([3, -3, 7]).unwrap().min(&[0], false).unwrap().to_vec::<i64>().unwrap(), [-3]);
}

#[test]
fn nothing_gives_the_neutral_element() {
    for dims in [&[0][..], &[0, 3], &[2, 0]] {
        let x = Tensor::zeros(dims).unwrap();
        assert_eq!(x.prod(&[], false).unwrap().item().unwrap(), 1.0);
        assert_eq!(x.any(&[], false).unwrap().to_vec::<bool>().unwrap(), [false]);
        assert_eq!(x.all(&[], false).unwrap().to_vec::<bool>().unwrap(), [true]);
        assert_eq!(x.count_nonzero(&[], false).unwrap().to_vec::<i64>().unwrap(), [0]);
        assert_eq!(x.norm(2.0, &[], false).unwrap().item().unwrap(), 0.0);
        assert!(
            x.min(&[], false).is_err() && x.logsumexp(&[], false).is_err() && x.var(&[], false, 0).is_err()
        );
        assert!(x.norm(f64::INFINITY, &[], false).is_err());
        for axis in 0..dims.len() as isize {
            for t in
                [x.cumsum(axis), x.cumprod(axis), x.sort(axis, false), x.argsort(axis, true), x.roll(1, axis)]
            {
                assert_eq!(t.unwrap().dims(), dims);
            }
            assert!(x.top_k(1, axis).is_err() || x.dims()[axis as usize] > 0);
            assert_eq!(x.take_along_axis(&x.argsort(axis, false).unwrap(), axis).unwrap().dims(), dims);
        }
        let u = x.unique().unwrap();
        assert_eq!((u.values.elements(), u.counts.elements(), u.inverse.dims()), (0, 0, dims));
        assert_eq!(x.argwhere().unwrap().dims(), [0, dims.len()]);
        assert_eq!(x.boolean_mask(&x.cast(DType::Bool).unwrap()).unwrap().dims(), [0]);
        let widths = vec![(1, 1); dims.len()];
        let padded = x.pad(&widths, PadMode::Constant(2.0)).unwrap();
        assert!(padded.to_vec::<f32>().unwrap().iter().all(|&v| v == 2.0) && padded.dims()[0] == dims[0] + 2);
        let leaf = x.tracked();
        let all =
            leaf.cumprod(0).unwrap().sum(&[], false).unwrap().mul(&leaf.prod(&[], false).unwrap()).unwrap();
        assert_eq!(all.backward().unwrap().get(&leaf).unwrap().dims(), dims);
    }
}

/// The twin: a stable sort of numbers with NaN last.
fn sorted(v: &[f64], descending: bool) -> Vec<usize> {
    let mut at: Vec<usize> = (0..v.len()).collect();
    at.sort_by(|&i, &j| match (v[i].is_nan(), v[j].is_nan()) {
        (false, false) if descending => v[j].partial_cmp(&v[i]).unwrap(),
        (false, false) => v[i].partial_cmp(&v[j]).unwrap(),
        (a, b) => a.cmp(&b),
    });
    at
}

#[test]
fn a_partition_has_the_smaller_before_and_the_larger_behind() {
    let x = Tensor::from_slice(&[3.0, 1.0, 2.0, 1.0, 0.5, 7.0, 7.0, 2.5], [2, 4]).unwrap();
    for kth in -4..4isize {
        let y = x.take_along_axis(&x.argpartition(kth, 1).unwrap(), 1).unwrap().to_vec::<f64>().unwrap();
        let (at, sorted) = (kth.rem_euclid(4) as usize, x.sort(1, false).unwrap().to_vec::<f64>().unwrap());
        for (row, sorted) in y.chunks(4).zip(sorted.chunks(4)) {
            assert_eq!(row[at], sorted[at]);
            assert!(row[..at].iter().all(|v| *v <= row[at]) && row[at..].iter().all(|v| *v >= row[at]));
        }
    }
    assert!(x.argpartition(4, 1).is_err() && x.argpartition(-5, 1).is_err() && x.argpartition(0, 2).is_err());
}

#[test]
fn sorting_is_stable_and_puts_nan_last() {
    let mut v: Vec<f64> = (0..200).map(|i| (i * 31 % 17) as f64 - 8.0).collect();
    (v[3], v[50], v[51], v[120], v[121]) = (f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.0);
    let x = Tensor::from_slice(&v, [200]).unwrap();
    for descending in [false, true] {
        let at = sorted(&v, descending);
        let got: Vec<usize> =
            x.argsort(0, descending).unwrap().to_vec::<i64>().unwrap().iter().map(|&i| i as usize).collect();
        assert_eq!(got, at);
        let twin = Tensor::from_slice(&at.iter().map(|&i| v[i]).collect::<Vec<_>>(), [200]).unwrap();
        assert!(x.sort(0, descending).unwrap().same_bits(&twin));
        if descending {
            let (top, index) = x.top_k(5, 0).unwrap();
            assert!(top.same_bits(&twin.slice(0, 0, 5).unwrap().contiguous().unwrap()));
            assert_eq!(index.to_vec::<i64>().unwrap(), at[..5].iter().map(|&i| i as i64).collect::<Vec<_>>());
        }
    }
    let u = x.unique().unwrap();
    let counts = u.counts.to_vec::<i64>().unwrap();
    assert_eq!((counts.iter().sum::<i64>(), *counts.last().unwrap(), counts.len()), (200, 2, 20));
    let back = u.values.gather(&u.inverse, 0).unwrap().to_vec::<f64>().unwrap();
    assert!(back.iter().zip(&v).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())));
}

/// Elements of `[a b c]` around it, as NumPy's documentation draws them.
#[test]
fn padding_of_any_width() {
    let x = Tensor::new([1, 2, 3]).unwrap();
    let pad = |p| x.pad(&[(4, 5)], p).unwrap().to_vec::<i64>().unwrap();
    assert_eq!(pad(PadMode::Reflect), [1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3, 2]);
    assert_eq!(pad(PadMode::Symmetric), [3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 1, 2]);
    assert_eq!(pad(PadMode::Wrap), [3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2]);
    assert_eq!(pad(PadMode::Edge), [1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 3]);
    assert_eq!(pad(PadMode::Constant(7.9)), [7, 7, 7, 7, 1, 2, 3, 7, 7, 7, 7, 7]);
    let single = Tensor::new([5]).unwrap();
    for p in [PadMode::Reflect, PadMode::Symmetric, PadMode::Wrap] {
        assert_eq!(single.pad(&[(2, 1)], p).unwrap().to_vec::<i64>().unwrap(), [5; 4]);
    }
}

/// Functions that used to overflow or to give NaN, far out.
#[test]
fn far_out_numbers_stay_numbers() {
    let x =
        Tensor::new([-3e38f32, -1e20, 0.0, 1e20, 3e38, f32::INFINITY, f32::NEG_INFINITY]).unwrap().tracked();
    let gradient =
        |y: Tensor| y.sum(&[], false).unwrap().backward().unwrap().get(&x).unwrap().to_vec::<f32>().unwrap();
    let y = x.squareplus(4.0).unwrap();
    assert_eq!(y.to_vec::<f32>().unwrap(), [1.0 / 3e38, 1e-20, 1.0, 1e20, 3e38, f32::INFINITY, 0.0]);
    assert_eq!(gradient(y), [0.0, 1e-40, 0.5, 1.0, 1.0, 1.0, 0.0]);
    let asinh = x.asinh().unwrap().to_vec::<f32>().unwrap();
    for (got, x) in asinh.iter().zip([-3e38f64, -1e20, 0.0, 1e20, 3e38, f64::INFINITY, f64::NEG_INFINITY]) {
        let want = libm::asinh(x);
        assert!(
            (f64::from(*got) - want).abs() <= 1e-6 * want.abs() || f64::from(*got) == want,
            "{got} {want}"
        );
    }
    let acosh = Tensor::new([1.0f32, 1.5, 1e10, 3e38]).unwrap().acosh().unwrap().to_vec::<f32>().unwrap();
    for (got, x) in acosh.iter().zip([1.0, 1.5, 1e10, 3e38]) {
        assert!((f64::from(*got) - libm::acosh(x)).abs() <= 1e-6 * libm::acosh(x), "{got}");
    }
    // Keras gives NaN for the softmax of -infinity alone, and so do we; the logarithm of the sum is -infinity.
    let low = Tensor::new([f32::NEG_INFINITY; 3]).unwrap();
    assert!(low.softmax(0).unwrap().to_vec::<f32>().unwrap().iter().all(|v| v.is_nan()));
    assert!(low.log_softmax(0).unwrap().to_vec::<f32>().unwrap().iter().all(|v| v.is_nan()));
    assert_eq!(low.logsumexp(&[], false).unwrap().item().unwrap(), f64::NEG_INFINITY);
}

/// Of random float32 numbers, near float64's libm.
#[test]
fn functions_of_float32_are_near_the_truth() {
    let x: Vec<f32> = (0..2000).map(|i| (i as f32 - 1000.0) / 1000.5).collect();
    let t = Tensor::from_slice(&x, [2000]).unwrap();
    type Number = fn(f64) -> f64;
    let table: [(&str, Function, Number); 8] = [
        ("asin", Tensor::asin, libm::asin),
        ("acos", Tensor::acos, libm::acos),
        ("atan", Tensor::atan, libm::atan),
        ("asinh", Tensor::asinh, libm::asinh),
        ("atanh", Tensor::atanh, libm::atanh),
        ("erfc", Tensor::erfc, libm::erfc),
        ("exp2", Tensor::exp2, libm::exp2),
        ("acosh of x + 2", |t| t.affine(1.0, 2.0)?.acosh(), |x| libm::acosh(f64::from(x as f32 + 2.0))),
    ];
    for (name, f, truth) in table {
        for (got, &x) in f(&t).unwrap().to_vec::<f32>().unwrap().iter().zip(&x) {
            let want = truth(f64::from(x));
            assert!((f64::from(*got) - want).abs() <= 5e-7 * want.abs(), "{name}({x}): {got}, not {want}");
        }
    }
}
