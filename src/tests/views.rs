//! Tests of tensors that nobody would choose. If sizes are 0 but others are so large that they overflow, views
//! overlap themselves, or rows are pages apart, an operation gives what it gives for a copy, or an error, and never
//! panics.
#![allow(missing_docs, clippy::unwrap_used)]

use gradus::ops::matmul::Fused;
use gradus::ops::{self, Interpolation, PadMode, Padding};
use gradus::{DType, Result, Tensor};

type Function = fn(&Tensor) -> Result<Tensor>;

/// What is done to tensors of three axes, at no cost that grows with a size other than the number of elements.
const FUNCTIONS: &[(&str, Function)] = &[
    ("exp", Tensor::exp),
    ("add", |t| t.add(&t.flip(&[0])?)),
    ("add, broadcast", |t| t.add(&t.slice(0, 0, 1)?.slice(2, 0, 1)?)),
    ("affine", |t| t.permute(&[2, 0, 1])?.affine(2.0, 1.0)),
    ("cast", |t| t.t()?.cast(DType::F64)),
    ("less", |t| t.less(&t.slice_step(1, None, None, -1)?)),
    ("choose", |t| t.is_finite()?.choose(t, &Tensor::scalar(0.0f32)?)),
    ("copy of a transpose", |t| t.permute(&[2, 1, 0])?.contiguous()),
    ("steps", |t| t.slice_step(0, None, None, isize::MIN)?.slice_step(1, None, None, isize::MAX)),
    ("flatten", |t| t.flip(&[])?.flatten()),
    ("reshape", |t| t.t()?.reshape_to([t.dims()[0], t.dims()[2], 1, t.dims()[1]])),
    ("sum", |t| t.sum(&[], false)),
    ("sum of rows", |t| t.sum(&[2], false)),
    ("sum of columns", |t| t.sum(&[0], true)),
    ("sum, middle", |t| t.sum(&[1], false)),
    ("mean", |t| t.mean(&[0, 2], false)),
    ("max", |t| t.max(&[1], false)),
    ("var", |t| t.var(&[2], false, 0)),
    ("logsumexp", |t| t.logsumexp(&[1], false)),
    ("norm", |t| t.norm(2.0, &[], false)),
    ("argmax", |t| t.argmax(1)),
    ("cumsum", |t| t.cumsum(1)),
    ("cumprod", |t| t.cumprod(0)),
    ("argsort", |t| t.argsort(1, true)),
    ("sort", |t| t.sort(-1, false)),
    ("softmax", |t| t.softmax(1)),
    ("log_softmax", |t| t.log_softmax(-1)),
    ("layer_norm", |t| t.layer_norm(None, None, 1e-3)),
    ("batch_norm", |t| Ok(t.batch_norm(None, None, 1e-3)?.0)),
    ("mul_add", |t| t.mul_add(t, &t.new_full([], 1.0)?)),
    ("matmul with its transpose", |t| t.matmul(&t.t()?)),
    ("transpose by itself", |t| t.t()?.matmul(t)),
    ("einsum", |t| Tensor::einsum("abc,adc->bd", &[t, t])),
    ("einsum to a number", |t| Tensor::einsum("abc,abc->", &[t, t])),
    ("linear", |t| t.linear(&t.select(0, 0)?.t()?, None, Some(Fused::Relu))),
    ("concat", |t| Tensor::concat(&[t, &t.flip(&[1])?], 1)),
    ("stack", |t| Tensor::stack(&[t, t], 0)),
    ("pad", |t| t.pad(&[(0, 0), (1, 1), (0, 0)], PadMode::Constant(0.5))),
    ("max_pool", |t| t.max_pool(&[2], None, &Padding::Same)),
    ("average_pool", |t| t.average_pool(&[1], Some(&[3]), &Padding::Valid)),
    ("adaptive_max_pool", |t| t.adaptive_max_pool(&[2])),
    ("adaptive_average_pool", |t| t.adaptive_average_pool(&[1])),
    ("resize", |t| t.resize(&[2], Interpolation::Bicubic, false)),
    ("upsample", |t| t.upsample(&[1], Interpolation::Nearest)),
    ("gather", |t| t.gather(&Tensor::from_slice(&[0i64, 0], [2])?, 1)),
    ("take_along_axis", |t| t.take_along_axis(&Tensor::zeros([1, 1, 1])?.cast(DType::I64)?, 0)),
    ("dropout", |t| t.dropout(0.5, gradus::random::Stream::new(1, gradus::random::Purpose::User(0), 0))),
    ("diagonal", |t| t.diagonal(0, 0, 1)),
    ("unbind", |t| Tensor::stack(&t.slice(0, 0, 3)?.unbind(0)?.iter().collect::<Vec<_>>(), 1)),
    ("boolean_mask", |t| t.boolean_mask(&t.cast(DType::Bool)?)),
    ("backward", |t| {
        let x = t.tracked();
        let y = x.permute(&[1, 2, 0])?.slice_step(0, None, None, -3)?.exp()?.sum(&[], false)?;
        Ok(y.backward()?.get(&x).unwrap().clone())
    }),
];

/// NumPy makes no such array either.
#[test]
fn sizes_that_cannot_be_counted_are_errors() {
    const HUGE: usize = 1 << 40;
    for dims in [[0, HUGE, HUGE], [HUGE, 0, HUGE], [HUGE, HUGE, 0]] {
        let error = Tensor::zeros(dims).unwrap_err().to_string();
        assert!(error.contains("cannot be counted"), "{error}");
    }
    let one = Tensor::ones([1]).unwrap();
    for dims in [&[usize::MAX][..], &[isize::MAX as usize, 1], &[1 << 30, 1 << 30, 1 << 30], &[0, HUGE, HUGE]]
    {
        let (wide, empty) = (one.broadcast_to(dims), one.slice(0, 0, 0).unwrap().reshape_to(dims));
        assert!(wide.is_err() && empty.is_err(), "{dims:?}");
    }
    // And every operation on what is just small enough: 2³⁹ numbers are more than a tensor holds.
    let (some, many) = (1 << 19, 1 << 39);
    for dims in [[0, some, many], [many, 0, some], [some, many, 0], [some, 0, many], [0, many, some]] {
        let x = Tensor::zeros(dims).unwrap();
        for (name, f) in FUNCTIONS {
            match f(&x) {
                Ok(t) => assert!(t.elements() <= some, "{name} of {dims:?}"),
                Err(e) => assert!(!e.to_string().is_empty(), "{name} of {dims:?}"),
            }
        }
    }
}

/// Tensors of three axes that lie in every way that views can make.
fn views() -> Vec<(&'static str, Tensor)> {
    let numbers = |dims: &[usize]| {
        let n = dims.iter().product::<usize>();
        let v: Vec<f32> = (0..n).map(|i| (i * 7919 % 1009) as f32 / 500.0 - 1.0).collect();
        Tensor::from_slice(&v, dims).unwrap()
    };
    let repeated = |dims: &[usize]| numbers(&[dims[1], 1]).broadcast_to(dims).unwrap();
    vec![
        ("one number for all", numbers(&[1]).broadcast_to([4, 5, 33]).unwrap()),
        ("rows that repeat", numbers(&[33]).broadcast_to([4, 5, 33]).unwrap()),
        ("columns that repeat", repeated(&[3, 7, 40])),
        ("repeated, then turned", repeated(&[3, 7, 40]).permute(&[2, 0, 1]).unwrap()),
        ("backwards", numbers(&[4, 5, 33]).flip(&[]).unwrap()),
        ("backwards, turned, with gaps", {
            let t = numbers(&[9, 35, 12]).flip(&[0, 2]).unwrap().permute(&[2, 0, 1]).unwrap();
            t.slice_step(1, Some(1), None, 3).unwrap()
        }),
        ("behind something else", numbers(&[5, 7, 36]).slice(2, 1, 34).unwrap().slice(0, 1, 4).unwrap()),
        ("pages apart", numbers(&[2100, 3, 8]).slice_step(0, None, None, 1051).unwrap()),
        ("pages apart, one column", numbers(&[6, 5, 2100]).slice(2, 77, 78).unwrap()),
        (
            "one element",
            numbers(&[9, 9, 9]).slice(0, 4, 5).unwrap().slice(1, 8, 9).unwrap().slice(2, 3, 4).unwrap(),
        ),
        ("one row", numbers(&[3, 3, 90]).slice(0, 2, 3).unwrap().slice(1, 1, 2).unwrap()),
        ("no rows", numbers(&[4, 5, 6]).slice(1, 3, 3).unwrap()),
        ("no columns, repeated", numbers(&[5, 1, 0]).broadcast_to([5, 6, 0]).unwrap()),
    ]
}

#[test]
fn views_give_what_their_copies_give() {
    for (how, view) in views() {
        let copy = Tensor::from_slice(&view.to_vec::<f32>().unwrap(), *view.shape()).unwrap();
        for (name, f) in FUNCTIONS {
            match (f(&view), f(&copy)) {
                (Ok(a), Ok(b)) => assert!(a.same_bits(&b), "{name}, {how}"),
                (a, b) => assert_eq!(a.unwrap_err().to_string(), b.unwrap_err().to_string(), "{name}, {how}"),
            }
        }
        for row in ops::UNARY {
            let (a, b) = ((row.apply)(&view).unwrap(), (row.apply)(&copy).unwrap());
            assert!(a.same_bits(&b), "{}, {how}", row.name);
        }
        for row in ops::BINARY {
            let (a, b) = ((row.apply)(&view, &copy).unwrap(), (row.apply)(&copy, &view).unwrap());
            let want = (row.apply)(&copy, &copy).unwrap();
            assert!(a.same_bits(&want) && b.same_bits(&want), "{}, {how}", row.name);
        }
        // Both sides of a product, each as it lies.
        let (a, b) = (view.matmul(&copy.t().unwrap()), copy.matmul(&view.t().unwrap()));
        assert!(a.unwrap().same_bits(&copy.matmul(&copy.t().unwrap()).unwrap()), "left of a product, {how}");
        assert!(b.unwrap().same_bits(&copy.matmul(&copy.t().unwrap()).unwrap()), "right of a product, {how}");
    }
}
