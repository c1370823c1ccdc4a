//! Checks the gradients of every operation against differences of itself, at orders 1 and 2, because a wrong
//! gradient trains a wrong model without any sign of it. An operation or a layer without such a check fails here.

use gradus::autograd::{Check, Grads, Op, Saves, Specs, Step, apply1, grad, gradcheck, one};
use gradus::nn::activation::{Gelu, Relu, Sigmoid, Silu, Softmax, Softplus, Tanh};
use gradus::nn::layers::{self, *};
use gradus::nn::{
    Build, Cx, DataFormat, Functional, Init, InputSpecs, Inputs, Layer, Module, Node, Param, Value,
};
use gradus::ops::conv::Convolution;
use gradus::ops::fourier::Stft;
use gradus::ops::matmul::Fused;
use gradus::ops::patches::Unfold;
use gradus::ops::scatter::Scatter;
use gradus::ops::warp::{FillMode, Lookup};
use gradus::ops::{Interpolation, PadMode, Padding, RecurrentWeights};
use gradus::prelude::{Adam, Fit, MeanSquaredError, Sequential};
use gradus::random::{Distribution, Purpose, Stream};
use gradus::tensor::Array;
use gradus::{DType, Result, Shape, Spec, Tensor, ops};

/// Relative errors that a right rule stays below.
const FIRST: f64 = 1e-7;
const SECOND: f64 = 1e-6;
const THIRD: f64 = 1e-5;

/// Values that repeat nowhere and keep away from each other, spread over an interval.
fn points(shape: &[usize], domain: [f64; 2], salt: usize) -> Tensor {
    let n = shape.iter().product::<usize>();
    let value =
        |i: usize| domain[0] + (domain[1] - domain[0]) * ((i + 31 * salt) as f64 * 0.618_034 + 0.137).fract();
    Tensor::from_slice(&(0..n).map(value).collect::<Vec<_>>(), shape).unwrap()
}

fn x(shape: &[usize]) -> Tensor {
    points(shape, [-1.0, 1.0], 0)
}

fn y(shape: &[usize]) -> Tensor {
    points(shape, [-1.0, 1.0], 1)
}

fn ints(values: &[i64], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape).unwrap()
}

/// Fixed weights, other for each `salt`.
fn weighted(t: &Tensor, salt: usize) -> Result<Tensor> {
    t.mul(&points(t.dims(), [0.5, 1.5], salt))?.sum(&[], false)
}

/// The first derivatives of a scalar; `None` where it does not depend on a leaf.
fn derivatives(of: &Tensor, leaves: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
    let one = |leaf: &Tensor| match grad(of, &[leaf]) {
        Ok(mut g) => Ok(Some(g.swap_remove(0))),
        Err(e) if e.to_string().contains("does not depend") => Ok(None),
        Err(e) => Err(e),
    };
    leaves.iter().map(|leaf| if of.is_tracked() { one(leaf) } else { Ok(None) }).collect()
}

/// A weighted sum of the first derivatives of a scalar; `None` where it is a constant.
fn slope(of: &Tensor, leaves: &[Tensor]) -> Result<Option<Tensor>> {
    let mut sum: Option<Tensor> = None;
    for (i, g) in derivatives(of, leaves)?.iter().enumerate() {
        let Some(g) = g else { continue };
        let term = weighted(g, 40 + i)?;
        sum = Some(match sum {
            Some(s) => s.add(&term)?,
            None => term,
        });
    }
    Ok(sum)
}

/// The relative error of third derivatives along one direction, against a central difference of the second.
fn third(inputs: &[Tensor], f: &dyn Fn(&[Tensor]) -> Result<Tensor>) -> Result<f64> {
    const STEP: f64 = 1e-4;
    let second = |by: f64| -> Result<(Vec<Tensor>, Option<Tensor>)> {
        let moved = |(i, x): (usize, &Tensor)| x.add(&points(x.dims(), [-by, by], 50 + i));
        let leaves: Vec<Tensor> =
            inputs.iter().enumerate().map(moved).map(|x| x.map(|x| x.tracked())).collect::<Result<_>>()?;
        let y = weighted(&f(&leaves)?, 7)?;
        let first = slope(&y, &leaves)?;
        let second = first.map(|s| slope(&s, &leaves)).transpose()?.flatten();
        Ok((leaves, second))
    };
    let value = |s: &Option<Tensor>| s.as_ref().map_or(Ok(0.0), |s| s.item());
    let difference = (value(&second(STEP)?.1)? - value(&second(-STEP)?.1)?) / (2.0 * STEP);
    let (leaves, at) = second(0.0)?;
    let mut exact = 0.0;
    if let Some(at) = at {
        for (i, g) in derivatives(&at, &leaves)?.iter().enumerate() {
            let Some(g) = g else { continue };
            exact += g.mul(&points(g.dims(), [-1.0, 1.0], 50 + i))?.sum(&[], false)?.item()?;
        }
    }
    let error = (exact - difference).abs() / (1.0 + exact.abs().max(difference.abs()));
    Ok(if error.is_nan() { f64::INFINITY } else { error })
}

/// The checks whose third derivatives were wrong, and the worst errors so far.
static THIRDS: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
static WORST: std::sync::Mutex<[f64; 3]> = std::sync::Mutex::new([0.0; 3]);

/// Runs one check, prints its line, and holds it to the bounds.
fn check(name: &str, inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) -> Check {
    crate::capture::holds(name, inputs, &f);
    let c = gradcheck(&f, inputs).unwrap_or_else(|e| panic!("{name}: {e}"));
    let third = third(inputs, &f).unwrap_or_else(|e| panic!("{name}, order 3: {e}"));
    println!("{name:44} {:9.2e} {:9.2e} {third:9.2e}", c.first, c.second);
    assert!(c.first < FIRST && c.second < SECOND, "{name}: {c:?}");
    if third >= THIRD {
        THIRDS.lock().unwrap().push(format!("{name}: {third:e}"));
    }
    let mut worst = WORST.lock().unwrap();
    for (worst, now) in worst.iter_mut().zip([c.first, c.second, third]) {
        *worst = worst.max(now);
    }
    drop(worst);
    c
}

fn unary() {
    for row in ops::UNARY {
        check(row.name, &[points(&[7], row.domain, 0)], |t| (row.apply)(&t[0]));
        let strided = |t: &[Tensor]| (row.apply)(&t[0].t()?.slice_step(1, None, None, -1)?);
        check(&format!("{}, transposed and reversed", row.name), &[points(&[2, 3], row.domain, 1)], strided);
    }
    // Both sides of the bends.
    for name in ["abs", "relu", "step"] {
        let row = ops::UNARY.iter().find(|r| r.name == name).unwrap();
        check(&format!("{name}, negative"), &[points(&[5], [-2.0, -0.1], 0)], |t| (row.apply)(&t[0]));
    }
}

/// Comparisons have no gradient; the choice they steer has one for each branch.
fn logic() {
    let f = |t: &[Tensor]| t[0].less(&t[1])?.choose(&t[0].square()?, &t[1].exp()?);
    check("where, less", &[x(&[2, 3]), y(&[3])], f);
    let f = |t: &[Tensor]| t[0].greater_equal(&t[1])?.choose(&t[1].sin()?, &t[0]);
    check("where, greater_equal", &[x(&[3]), y(&[2, 3])], f);
}

fn binary() {
    for row in ops::BINARY {
        let [a, b] = row.domain;
        let shapes: [(&[usize], &[usize]); 6] = [
            (&[2, 3], &[2, 3]),
            (&[2, 3], &[3]),
            (&[3], &[2, 3]),
            (&[2, 1], &[1, 3]),
            (&[], &[2]),
            (&[1, 2], &[2, 1, 1]),
        ];
        for (of_a, of_b) in shapes {
            let name = format!("{} {of_a:?} {of_b:?}", row.name);
            check(&name, &[points(of_a, a, 0), points(of_b, b, 1)], |t| (row.apply)(&t[0], &t[1]));
        }
        check(&format!("{} one tensor twice", row.name), &[points(&[4], b, 2)], |t| {
            (row.apply)(&t[0].affine(1.0, if row.name.starts_with("m") { -3.0 } else { 0.25 })?, &t[0])
        });
    }
    // At 0⁰ and where only one of the two is zero.
    let origin = Tensor::from_slice(&[0.0, 0.0, 2.0], [3]).unwrap().tracked();
    let exponent = Tensor::from_slice(&[0.0, 2.0, 0.0], [3]).unwrap().tracked();
    let g = origin.pow(&exponent).unwrap().sum(&[], false).unwrap().backward().unwrap();
    assert_eq!(g.get(&origin).unwrap().to_vec::<f64>().unwrap(), [0.0; 3]);
    assert_eq!(g.get(&exponent).unwrap().to_vec::<f64>().unwrap(), [0.0, 0.0, std::f64::consts::LN_2]);
    check("maximum, the other way", &[points(&[4], [0.1, 2.0], 0), points(&[4], [-2.0, 0.0], 1)], |t| {
        t[0].maximum(&t[1])?.mul(&t[0].minimum(&t[1])?)
    });
    check(
        "binary_cross_entropy, negative logits",
        &[points(&[4], [-3.0, -0.1], 0), points(&[4], [0.0, 1.0], 1)],
        |t| t[0].binary_cross_entropy(&t[1]),
    );
}

fn affine() {
    check("affine", &[x(&[2, 3])], |t| t[0].affine(-2.5, 0.75)?.mul(&t[0]));
    check("affine, shift alone", &[x(&[3])], |t| t[0].affine(1.0, 2.0)?.square());
    check("clip, inside and outside", &[x(&[7])], |t| t[0].clip(-0.55, 0.45)?.mul(&t[0]));
}

fn matmul() {
    let cases: [(&[usize], &[usize]); 7] = [
        (&[2, 3], &[3, 4]),
        (&[2, 2, 3], &[2, 3, 2]),
        (&[2, 2, 3], &[3, 2]),
        (&[2, 3], &[2, 3, 2]),
        (&[2, 1, 2, 3], &[1, 2, 3, 2]),
        (&[1, 3], &[3, 1]),
        (&[2, 2, 3], &[1, 3, 2]),
    ];
    for (a, b) in cases {
        check(&format!("matmul {a:?} {b:?}"), &[x(a), y(b)], |t| t[0].matmul(&t[1]));
    }
    check("matmul, left transposed", &[x(&[3, 2]), y(&[3, 4])], |t| t[0].t()?.matmul(&t[1]));
    check("matmul, right transposed", &[x(&[2, 3]), y(&[4, 3])], |t| t[0].matmul(&t[1].t()?));
    check("matmul, both transposed", &[x(&[2, 3, 2]), y(&[2, 2, 3])], |t| t[0].t()?.matmul(&t[1].t()?));
    check("matmul, with itself transposed", &[x(&[2, 3])], |t| t[0].matmul(&t[0].t()?));
    check("matmul, reversed and broadcast", &[x(&[2, 3]), y(&[3, 1])], |t| {
        t[0].slice_step(1, None, None, -1)?.matmul(&t[1].broadcast_to([3, 2])?)
    });
}

fn linear() {
    for activation in [None, Some(Fused::Relu), Some(Fused::Sigmoid), Some(Fused::Tanh)] {
        for shape in [&[3][..], &[2, 3], &[2, 2, 3]] {
            let name = format!("linear {shape:?} {activation:?}");
            let inputs = [x(shape), y(&[3, 4]), points(&[4], [-1.0, 1.0], 2)];
            check(&name, &inputs[..2], |t| t[0].linear(&t[1], None, activation));
            check(&format!("{name}, bias"), &inputs, |t| t[0].linear(&t[1], Some(&t[2]), activation));
        }
    }
    check("linear, transposed weight, sliced input", &[x(&[4, 3]), y(&[2, 3])], |t| {
        t[0].slice_step(0, None, None, 2)?.linear(&t[1].t()?, None, Some(Fused::Tanh))
    });
}

type Reduction = fn(&Tensor, &[isize], bool) -> Result<Tensor>;

fn reduce() {
    let table: [(&str, Reduction); 9] = [
        ("sum", Tensor::sum),
        ("mean", Tensor::mean),
        ("max", Tensor::max),
        ("min", Tensor::min),
        ("prod", Tensor::prod),
        ("var", |t, axes, keep| t.affine(1.0, 0.1)?.mul(&x(&[2, 3, 2]))?.var(axes, keep, 0)),
        ("logsumexp", Tensor::logsumexp),
        ("norm 2", |t, axes, keep| t.norm(2.0, axes, keep)),
        ("norm 3", |t, axes, keep| t.norm(3.0, axes, keep)),
    ];
    for (name, f) in table {
        for axes in [&[][..], &[0], &[1], &[-1], &[0, 2], &[0, 1, 2]] {
            for keepdims in [false, true] {
                let label = format!("{name} {axes:?} keepdims {keepdims}");
                check(&label, &[x(&[2, 3, 2])], |t| f(&t[0].square()?, axes, keepdims));
            }
        }
        if name == "var" {
            continue;
        }
        check(&format!("{name}, scalar"), &[x(&[])], |t| f(&t[0].square()?, &[], false));
        check(&format!("{name}, transposed"), &[x(&[2, 3])], |t| f(&t[0].t()?, &[0], false)?.square());
    }
    check("std, ddof 1", &[x(&[2, 3])], |t| t[0].std(&[1], false, 1));
    check("norms of order 1 and infinity", &[x(&[2, 3])], |t| {
        t[0].norm(1.0, &[0], false)?.mul(&t[0].norm(f64::INFINITY, &[0], false)?)
    });
    // Zeros: one in a row, two in a row, none.
    let zeros = Tensor::from_slice(&[0.0, 0.5, -0.7, 0.0, 0.3, 0.0, 0.9, 1.1, -0.4], [3, 3]).unwrap();
    check("prod of zeros", std::slice::from_ref(&zeros), |t| t[0].prod(&[1], false));
    check("prod of zeros, all", std::slice::from_ref(&zeros), |t| t[0].prod(&[], false));
    check("cumprod of zeros", std::slice::from_ref(&zeros), |t| t[0].cumprod(1));
}

fn scan() {
    for axis in [0, 1, -1] {
        check(&format!("cumsum, axis {axis}"), &[x(&[2, 3, 2])], |t| t[0].cumsum(axis)?.square());
        check(&format!("cumprod, axis {axis}"), &[x(&[2, 3, 2])], |t| t[0].cumprod(axis));
    }
    check("logcumsumexp", &[x(&[2, 3, 2])], |t| t[0].logcumsumexp(1)?.square());
    check("cumprod, transposed", &[x(&[2, 3])], |t| t[0].t()?.cumprod(0)?.square());
    for axis in [0, 1] {
        check(&format!("cummax and cummin, axis {axis}"), &[x(&[3, 4])], |t| {
            t[0].cummax(axis)?.0.square()?.mul(&t[0].cummin(axis)?.0)
        });
    }
}

/// Transforms; each part of what comes out depends on each part of what goes in.
fn fourier() {
    for n in [1, 5, 6, 17] {
        let both = [x(&[2, n]), y(&[2, n])];
        check(&format!("fft {n}"), &both, |t| {
            let (re, im) = t[0].fft(&t[1])?;
            re.square()?.mul(&im.affine(0.2, 0.0)?)
        });
        check(&format!("ifft {n}"), &both, |t| {
            let (re, im) = t[0].ifft(&t[1].square()?)?;
            re.square()?.add(&im.sin()?)
        });
        check(&format!("rfft and irfft {n}"), &both[..1], |t| {
            let (re, im) = t[0].rfft(None)?;
            re.square()?.irfft(&im, Some(n))
        });
    }
    check("fft2 and ifft2", &[x(&[2, 3]), y(&[2, 3])], |t| {
        let (re, im) = t[0].fft2(&t[1])?;
        let (re, im) = re.square()?.ifft2(&im)?;
        re.add(&im.square()?)
    });
    let how = Stft::new(4, 2, 5);
    check("stft and istft", &[x(&[11])], |t| {
        let (re, im) = t[0].stft(&how)?;
        re.square()?.istft(&im, &how, Some(9))
    });
    check("extract_sequences", &[x(&[2, 7])], |t| t[0].extract_sequences(3, 2)?.square());
}

/// Collections by index, among them zeros in products, and places that several values want.
fn scatter() {
    let index = ints(&[1, 0, 1, 2, 1, 0, 0, -1], &[2, 4]);
    let hole = Tensor::from_slice(&[1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0], [2, 4]).unwrap();
    check("max_along_axis and min_along_axis", &[x(&[2, 4])], |t| {
        let both = [t[0].max_along_axis(&index, 1, 3)?, t[0].min_along_axis(&index, 1, 3)?];
        both[0].clip(-9.0, 9.0)?.square()?.mul(&both[1].clip(-9.0, 9.0)?)
    });
    check("prod_along_axis", &[x(&[2, 4])], |t| t[0].prod_along_axis(&index, 1, 4));
    check("prod_along_axis, zeros", &[x(&[2, 4]).mul(&hole).unwrap()], |t| {
        t[0].prod_along_axis(&index, 1, 3)
    });
    check("put_along_axis", &[x(&[2, 5]), y(&[2, 4])], |t| {
        t[0].put_along_axis(&index, &t[1], 1)?.square()?.mul(&t[0])
    });
    for how in [Scatter::Add, Scatter::Mul, Scatter::Max, Scatter::Min] {
        check(&format!("scatter_along_axis, {how}"), &[x(&[2, 3]), y(&[2, 4])], |t| {
            t[0].scatter_along_axis(&index, &t[1], 1, how)?.square()
        });
    }
    let ids = ints(&[2, 0, 2, 1], &[4]);
    check("segments", &[x(&[4, 2])], |t| {
        let all = [t[0].segment_sum(&ids, 3)?, t[0].segment_mean(&ids, 3)?, t[0].segment_max(&ids, 3)?];
        let more = [t[0].segment_min(&ids, 3)?, t[0].segment_prod(&ids, 3)?];
        Tensor::stack(&all.iter().chain(&more).collect::<Vec<_>>(), 0)?.square()
    });
    check("mode", &[x(&[3, 4])], |t| t[0].mode(1, false)?.0.square());
    check("frexp", &[points(&[6], [0.6, 0.9], 0)], |t| t[0].affine(8.0, 0.0)?.frexp()?.0.square());
}

/// Windows of images, their colours, and values between their pixels.
fn pictures() {
    let how = Unfold { dilation: [1, 2], padding: [1, 0], ..Unfold::new([2, 2]) };
    check("unfold and fold", &[x(&[1, 2, 3, 4])], |t| t[0].unfold(&how)?.square()?.fold([3, 4], &how));
    check("extract_patches", &[x(&[1, 4, 3, 2])], |t| {
        t[0].extract_patches(&[2, 2], &[2, 1], &[1, 1], &Padding::Same)?.square()
    });
    let colours = [points(&[2, 3, 3], [0.1, 0.9], 0)];
    check("colours", &colours, |t| {
        let there = t[0].rgb_to_hsv()?.mul(&t[0])?;
        there.hsv_to_rgb()?.square()?.rgb_to_grayscale()
    });
    check("crop_images and pad_images", &[x(&[3, 4, 2])], |t| {
        t[0].crop_images(1, 0, 2, 3)?.square()?.pad_images(1, 2, 4, 6)
    });
    check("gaussian_blur and sobel_edges", &[x(&[1, 4, 3, 2])], |t| {
        t[0].gaussian_blur([3, 2], [1.0, 0.7])?.square()?.sobel_edges()
    });
    check("ssim", &[points(&[12, 11, 1], [0.1, 0.9], 0), points(&[12, 11, 1], [0.1, 0.9], 1)], |t| {
        t[0].ssim(&t[1], 1.0)
    });
    let places = points(&[2, 7], [-1.9, 4.3], 3);
    for mode in [FillMode::Constant, FillMode::Nearest, FillMode::Wrap, FillMode::Mirror, FillMode::Reflect] {
        let how = Lookup { fill_mode: mode, ..Lookup::default() };
        check(&format!("map_coordinates, {mode}"), &[x(&[3, 4]), places.clone()], |t| {
            t[0].map_coordinates(&t[1], &how)?.square()
        });
    }
    let how = Lookup { fill_mode: FillMode::Reflect, ..Lookup::default() };
    let turned = Tensor::from_slice(&[0.91, 0.23, 0.31, -0.13, 1.17, -0.63, 0.0, 0.0], [8]).unwrap();
    check("affine_transform", &[x(&[1, 3, 3, 2]), turned], |t| t[0].affine_transform(&t[1], &how)?.square());
    let (scale, shift) =
        (Tensor::from_slice(&[1.37, 0.71], [2]).unwrap(), Tensor::from_slice(&[0.23, 0.41], [2]).unwrap());
    for by in
        [Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Lanczos3, Interpolation::Lanczos5]
    {
        check("scale_and_translate", &[x(&[5, 6, 2]), scale.clone(), shift.clone()], |t| {
            t[0].scale_and_translate(&[6, 4, 2], &t[1], &t[2], &[0, 1], by, true)?.square()
        });
    }
    let start = Tensor::from_slice(&[0.03, 0.01, 2.2, 0.1, 0.2, 2.3, 2.1, 2.4], [4, 2]).unwrap();
    let end = Tensor::from_slice(&[0.1, 0.2, 2.0, 0.3, 0.0, 2.0, 2.2, 2.1], [4, 2]).unwrap();
    check("perspective_transform", &[x(&[3, 3, 1]), start], |t| {
        t[0].perspective_transform(&t[1], &end, true, 0.3)?.square()
    });
    check("elastic_transform", &[x(&[3, 4, 1])], |t| t[0].elastic_transform(2.0, 0.8, &how, 3)?.square());
}

fn along() {
    let index = ints(&[1, 0, 1, 2], &[2, 2]);
    check("take_along_axis", &[x(&[2, 3])], |t| t[0].take_along_axis(&index, 1)?.square());
    check("take_along_axis, broadcast", &[x(&[3, 1])], |t| t[0].take_along_axis(&index, 0)?.square());
    check("add_along_axis", &[x(&[2, 2])], |t| t[0].add_along_axis(&index, 0, 3)?.square());
    check("sort", &[x(&[3, 4])], |t| t[0].sort(0, true)?.mul(&y(&[3, 4]))?.square());
    check("top_k", &[x(&[3, 4])], |t| t[0].top_k(2, 1)?.0.square());
    assert!(!x(&[3]).tracked().argsort(0, false).unwrap().is_tracked(), "integers carry no gradient");
}

fn pad() {
    for padding in
        [PadMode::Constant(0.5), PadMode::Edge, PadMode::Reflect, PadMode::Symmetric, PadMode::Wrap]
    {
        let name = format!("pad, {padding:?}");
        check(&name, &[x(&[2, 3])], |t| t[0].pad(&[(1, 2), (0, 4)], padding)?.square());
    }
    check("pad, transposed", &[x(&[2, 3])], |t| {
        t[0].t()?.pad(&[(1, 0), (0, 1)], PadMode::Constant(0.0))?.square()
    });
}

/// Compositions of views and gathers.
fn arrange() {
    check("threshold", &[x(&[7])], |t| t[0].threshold(0.05, -1.0)?.mul(&t[0]));
    check("glu", &[x(&[4, 3])], |t| t[0].glu(0));
    check("sparsemax", &[x(&[3, 4])], |t| t[0].sparsemax(1)?.square());
    check("sparsemax, transposed", &[x(&[3, 4])], |t| t[0].t()?.sparsemax(0)?.square());
    check("rot90", &[x(&[2, 3])], |t| t[0].rot90(1, 0, 1)?.square());
    check("space_to_depth and back", &[x(&[1, 2, 4, 4])], |t| {
        t[0].space_to_depth(2)?.square()?.depth_to_space(4)
    });
    check("diff, ptp and trapezoid", &[x(&[2, 4])], |t| {
        t[0].diff(2, 1)?
            .square()?
            .sum(&[1], false)?
            .mul(&t[0].ptp(&[1], false)?)?
            .add(&t[0].trapezoid(0.5, 1)?)
    });
    check("cross", &[x(&[2, 3]), y(&[2, 3])], |t| t[0].cross(&t[1], -1));
    check("average and normalize", &[x(&[2, 3])], |t| {
        t[0].normalize(2.0, &[1])?.average(&t[0].square()?, &[1], false)
    });
    check("cov and corrcoef", &[x(&[2, 4])], |t| t[0].cov(1)?.add(&t[0].corrcoef()?));
    check("cdist", &[x(&[2, 3]), y(&[4, 3])], |t| t[0].cdist(&t[1], 2.0));
    check("quantile and median", &[x(&[3, 4])], |t| {
        t[0].quantile(0.3, &[0], false)?.mul(&t[0].median(&[], false)?)
    });
    let hole = Tensor::from_slice(&[1.0, f64::NAN, 1.0, 1.0, 1.0, f64::NAN], [2, 3]).unwrap();
    check("statistics without NaN", &[x(&[2, 3])], |t| {
        let x = hole.is_nan()?.choose(&hole, &t[0])?;
        let parts = [x.nansum(&[1], false)?, x.nanprod(&[1], false)?, x.nanstd(&[1], false, 0)?];
        let more = [x.nanmean(&[1], false)?, x.nanmax(&[1], false)?, x.nanquantile(0.7, &[1], false)?];
        Tensor::stack(&parts.iter().chain(&more).collect::<Vec<_>>(), 0)?.square()
    });
    check("tile", &[x(&[2, 3])], |t| t[0].tile(&[2, 1, 2])?.square());
    check("repeat", &[x(&[2, 3])], |t| t[0].repeat(2, 1)?.square());
    check("flip and roll", &[x(&[2, 3])], |t| t[0].flip(&[])?.roll(2, 1)?.mul(&t[0]));
    check("split and unbind", &[x(&[3, 4])], |t| {
        let (parts, rows) = (t[0].split(&[1, 3], 1)?, t[0].unbind(0)?);
        parts[1].select(0, 2)?.mul(&rows[1].slice(0, 0, 3)?)
    });
    check("triu, diag and diagonal", &[x(&[3, 3])], |t| {
        t[0].triu(1)?.add(&t[0].diagonal(0, -2, -1)?.diag(0)?)?.square()
    });
    check("diag_embed", &[x(&[2, 3])], |t| t[0].diag_embed(-1)?.square());
    check("correlate", &[x(&[5]), y(&[3])], |t| t[0].correlate(&t[1], &Padding::Same));
    let mask = Tensor::from_slice(&[true, false, true], [3]).unwrap();
    check("boolean_mask and masked_fill", &[x(&[3, 2])], |t| {
        t[0].boolean_mask(&mask)?.square()?.mul(&t[0].t()?.masked_fill(&mask, 2.0)?.slice(1, 0, 2)?)
    });
}

fn argmax() {
    let t = x(&[2, 3]).tracked();
    assert!(!t.argmax(1).unwrap().is_tracked(), "integers carry no gradient");
    assert!(!t.argmin(1).unwrap().is_tracked(), "integers carry no gradient");
}

fn ctc() {
    let lengths = |values: &[i64]| ints(values, &[values.len()]);
    let scaled = |t: &Tensor| t.mul(&points(&[t.dims()[0]], [0.5, 2.0], 3));
    for (name, labels, counts, frames, blank) in [
        ("ctc_loss", ints(&[1, 2, 2, 3, 0, 0], &[2, 3]), [3, 1], [5, 4], 0),
        ("ctc_loss, no labels, another blank", ints(&[0, 1, 0, 9, 9, 9], &[2, 3]), [3, 0], [5, 2], 3),
        ("ctc_loss, none but blanks", ints(&[], &[2, 0]), [0, 0], [5, 1], 0),
    ] {
        let (counts, frames) = (lengths(&counts), lengths(&frames));
        check(name, &[x(&[2, 5, 4])], |t| scaled(&t[0].ctc_loss(&labels, &counts, &frames, blank)?));
    }
}

fn softmax() {
    for axis in [0, 1, -1] {
        check(&format!("softmax, axis {axis}"), &[x(&[2, 3, 2])], |t| t[0].softmax(axis));
        check(&format!("log_softmax, axis {axis}"), &[x(&[2, 3, 2])], |t| t[0].log_softmax(axis));
        check(&format!("softmax of squares, axis {axis}"), &[x(&[2, 3, 2])], |t| {
            t[0].square()?.softmax(axis)
        });
    }
}

fn cross_entropy() {
    let labels = ints(&[0, 2, 1, 1], &[2, 2]);
    check("sparse_cross_entropy [2, 2, 3]", &[x(&[2, 2, 3])], |t| t[0].sparse_cross_entropy(&labels));
    let labels = ints(&[2, 0], &[2]);
    check("sparse_cross_entropy of a product", &[x(&[2, 2]), y(&[2, 3])], |t| {
        t[0].matmul(&t[1])?.sparse_cross_entropy(&labels)
    });
    check("sparse_cross_entropy, transposed", &[x(&[3, 2])], |t| {
        t[0].t()?.sparse_cross_entropy(&labels)?.square()
    });
    check("cross_entropy", &[x(&[2, 3]), points(&[2, 3], [0.0, 1.0], 1)], |t| t[0].cross_entropy(&t[1]));
}

fn reshape() {
    check("reshape", &[x(&[2, 3])], |t| t[0].reshape([3, -1])?.square());
    check("reshape of a transpose (copies)", &[x(&[2, 3])], |t| t[0].t()?.reshape([6])?.square());
    check("merge_axes", &[x(&[2, 3, 2])], |t| t[0].merge_axes(0, 1)?.square());
    check("split_axis", &[x(&[2, 6])], |t| t[0].split_axis(1, &[-1, 2])?.square());
    check("squeeze and expand_dims", &[x(&[2, 1, 3])], |t| t[0].squeeze(1)?.expand_dims(-1)?.square());
}

fn permute() {
    check("permute", &[x(&[2, 3, 2])], |t| t[0].permute(&[2, 0, 1])?.square());
    check("permute, negative axes", &[x(&[2, 3, 2])], |t| t[0].permute(&[-1, 1, 0])?.square());
    check("transpose", &[x(&[2, 3])], |t| t[0].transpose(0, 1)?.square());
}

fn broadcast() {
    check("broadcast_to", &[x(&[3, 1])], |t| t[0].broadcast_to([2, 3, 4])?.square());
    check("broadcast_to from a scalar", &[x(&[])], |t| t[0].broadcast_to([2, 2])?.square());
    let like = y(&[2, 3, 4]);
    check("broadcast_like", &[x(&[3, 1])], |t| t[0].broadcast_like(&like)?.square());
}

/// Nothing flows back through what is only as large as a tensor, or drawn.
fn stops() {
    let t = x(&[2, 3]).tracked();
    let stream = Stream::new(1, Purpose::User(0), 0);
    let index = t.argmax(1).unwrap();
    let made = [
        t.new_full([4], 1.0),
        index.one_hot(3, DType::F64),
        Tensor::randn([3], stream),
        t.sample_like(Distribution::Normal { mean: 0.0, std: 1.0 }, stream),
        Tensor::randint([3], 0, 5, stream),
        Tensor::bernoulli([3], 0.5, stream),
        Tensor::permutation(4, stream),
        t.categorical(2, stream),
        Ok(t.detach()),
    ];
    assert!(made.into_iter().all(|t| !t.unwrap().is_tracked()));
}

fn slice() {
    check("slice", &[x(&[3, 4])], |t| t[0].slice(1, 1, 3)?.square());
    check("slice_step", &[x(&[3, 4])], |t| t[0].slice_step(1, None, None, 2)?.square());
    check("slice_step, negative", &[x(&[3, 4])], |t| t[0].slice_step(0, None, None, -2)?.square());
    check("slice_step, negative, from the middle", &[x(&[5])], |t| {
        t[0].slice_step(0, Some(-2), Some(0), -1)?.square()
    });
    check("slices that overlap", &[x(&[5])], |t| t[0].slice(0, 0, 3)?.mul(&t[0].slice(0, 2, 5)?));
    check("slice, transposed", &[x(&[3, 4])], |t| t[0].t()?.slice(0, 1, 3)?.square());
    check("select", &[x(&[3, 4])], |t| t[0].select(0, -1)?.square());
    check("unslice (second order of slice)", &[x(&[4])], |t| {
        t[0].exp()?.slice_step(0, None, None, -3)?.square()
    });
}

fn concat() {
    check("concat, axis 0", &[x(&[2, 3]), y(&[1, 3])], |t| Tensor::concat(&[&t[0], &t[1]], 0)?.square());
    check("concat, axis -1", &[x(&[2, 1]), y(&[2, 2])], |t| {
        Tensor::concat(&[&t[0], &t[1], &t[0]], -1)?.square()
    });
    check("concat of views", &[x(&[2, 3])], |t| Tensor::concat(&[&t[0].t()?, &t[0].t()?], 1)?.square());
    check("stack", &[x(&[2, 2]), y(&[2, 2])], |t| Tensor::stack(&[&t[0], &t[1]], 1)?.square());
}

fn gather() {
    let index = ints(&[1, 0, 1, 2], &[2, 2]);
    check("gather, axis 0", &[x(&[3, 2])], |t| t[0].gather(&index, 0)?.square());
    check("gather, axis 1", &[x(&[2, 3])], |t| t[0].gather(&index, 1)?.square());
    check("gather, transposed", &[x(&[2, 3])], |t| t[0].t()?.gather(&index, 0)?.square());
}

fn scatter_add() {
    let index = ints(&[1, 0, 1], &[3]);
    check("scatter_add, axis 0", &[x(&[3, 2])], |t| t[0].scatter_add(&index, 0, [3, 2])?.square());
    check("scatter_add, axis 1", &[x(&[2, 3])], |t| t[0].scatter_add(&index, 1, [2, 4])?.square());
}

/// Rounding to float32 hides differences, so the rule is compared with what it must be exactly.
fn cast() {
    let values = [0.5, -1.25, 3.0];
    let x = Tensor::from_slice(&values, [3]).unwrap().tracked();
    for dtype in [DType::F32, DType::BF16, DType::F16] {
        let y = x.cast(dtype).unwrap().cast(DType::F32).unwrap().square().unwrap().sum(&[], false).unwrap();
        let first = grad(&y, &[&x]).unwrap();
        assert_eq!(first[0].to_vec::<f64>().unwrap(), values.map(|v| 2.0 * v));
        let second = grad(&first[0].square().unwrap().sum(&[], false).unwrap(), &[&x]).unwrap();
        assert_eq!(second[0].to_vec::<f64>().unwrap(), values.map(|v| 8.0 * v));
        println!("{:44}     exact     exact", format!("cast to {dtype} and back"));
    }
    // Through integers nothing flows, and whoever expected it is told.
    let back = x.cast(DType::I64).unwrap().cast(DType::F64).unwrap().sum(&[], false).unwrap();
    assert!(back.backward().unwrap_err().to_string().contains("'cast'"));
}

/// A tensor of a type that is only stored, used three times: its gradients are added in float32.
#[test]
fn gradients_of_stored_types_add_up() {
    for dtype in [DType::BF16, DType::F16] {
        let x = Tensor::from_slice(&[0.5, -1.25], [2]).unwrap().cast(dtype).unwrap().tracked();
        let y = x.cast(DType::F64).unwrap();
        let y = y.mul(&x.cast(DType::F64).unwrap()).unwrap().add(&x.cast(DType::F64).unwrap()).unwrap();
        let sum = y.sum(&[], false).unwrap();
        let recorded = grad(&sum, &[&x]).unwrap().swap_remove(0);
        let mut found = sum.backward().unwrap();
        for g in [found.get(&x).unwrap(), &recorded] {
            assert_eq!(g.dtype(), dtype);
            assert_eq!(g.cast(DType::F64).unwrap().to_vec::<f64>().unwrap(), [2.0, -1.5]);
        }
        let again = x.cast(DType::F32).unwrap().sum(&[], false).unwrap().backward().unwrap();
        found.merge(again).unwrap();
        let merged = found.get(&x).unwrap().cast(DType::F64).unwrap();
        assert_eq!(merged.to_vec::<f64>().unwrap(), [3.0, -0.5]);
        let second = recorded.cast(DType::F64).unwrap().sum(&[], false).unwrap().backward().unwrap();
        assert_eq!(second.get(&x).unwrap().cast(DType::F64).unwrap().to_vec::<f64>().unwrap(), [2.0, 2.0]);
    }
}

fn dropout() {
    for rate in [0.25, 0.5, 0.9] {
        let stream = Stream::new(3, Purpose::User(1), 5);
        check(&format!("dropout {rate}"), &[x(&[3, 7])], |t| t[0].dropout(rate, stream)?.square());
    }
}

fn conv() {
    let plain = Convolution::new;
    let cases: [(&[usize], &[usize], Convolution); 8] = [
        (&[2, 4, 2], &[2, 2, 3], plain()),
        (&[1, 6, 2], &[3, 2, 2], plain().padding(Padding::Causal).dilation_rate([2])),
        (&[2, 5, 1], &[2, 1, 2], plain().strides([3]).padding(Padding::Same)),
        (&[1, 3, 4, 2], &[2, 2, 2, 2], plain()),
        (&[2, 4, 3, 2], &[3, 2, 1, 4], plain().groups(2).padding(Padding::Same).strides([2, 1])),
        (&[1, 3, 3, 3], &[2, 1, 1, 3], plain().groups(3)),
        (&[1, 3, 2, 1], &[2, 2, 1, 2], plain().padding(Padding::explicit([(3, 0), (1, 2)])).strides([2, 3])),
        (&[1, 2, 3, 2, 1], &[2, 1, 2, 1, 2], plain().padding(Padding::Same).strides([1, 2, 1])),
    ];
    for (images, kernel, how) in cases {
        let inputs = [x(images), y(kernel), points(&kernel[kernel.len() - 1..], [-1.0, 1.0], 2)];
        let name = format!("conv {images:?} {kernel:?}");
        // Squared, so that the second order goes through both inputs of each gradient.
        check(&name, &inputs[..2], |t| t[0].conv(&t[1], None, None, &how)?.square());
        let act = Some(Fused::Tanh);
        check(&format!("{name}, bias, tanh"), &inputs, |t| t[0].conv(&t[1], Some(&t[2]), act, &how));
    }
    check("conv, of strided images and kernels", &[x(&[2, 3, 4]), y(&[2, 3, 2])], |t| {
        t[0].transpose(1, 2)?.slice_step(1, None, None, -1)?.conv(
            &t[1].transpose(0, 2)?,
            None,
            None,
            &plain(),
        )
    });
    check("depthwise_conv", &[x(&[2, 3, 3, 2]), y(&[2, 2, 2, 2]), points(&[4], [-1.0, 1.0], 2)], |t| {
        t[0].depthwise_conv(&t[1], Some(&t[2]), Some(Fused::Sigmoid), &plain())
    });
    let kernels = [x(&[1, 3, 3, 2]), y(&[2, 2, 2, 1]), y(&[1, 1, 2, 3]), points(&[3], [-1.0, 1.0], 2)];
    check("separable_conv", &kernels, |t| {
        t[0].separable_conv(&t[1], &t[2], Some(&t[3]), Some(Fused::Sigmoid), &plain())
    });
    for (images, kernel, how) in [
        (&[2, 3, 2][..], &[2, 3, 2][..], plain()),
        (&[1, 3, 1], &[3, 2, 1], plain().strides([2]).padding(Padding::Same)),
        (&[1, 2, 2], &[2, 1, 2], plain().strides([3]).output_padding([1])),
        (&[1, 2, 3, 2], &[3, 2, 1, 2], plain().strides([2, 1]).padding(Padding::Same).output_padding([1, 0])),
        (&[1, 2, 2, 1], &[2, 2, 2, 1], plain().dilation_rate([1, 2])),
        (&[1, 1, 2, 2, 1], &[2, 1, 2, 1, 1], plain().strides([1, 2, 2])),
    ] {
        check(&format!("conv_transpose {images:?} {kernel:?}"), &[x(images), y(kernel)], |t| {
            t[0].conv_transpose(&t[1], &how)?.square()
        });
    }
}

fn layer_norm() {
    let (gamma, beta) = (points(&[4], [0.5, 1.5], 2), points(&[4], [-0.5, 0.5], 3));
    for shape in [&[4][..], &[3, 4], &[2, 2, 4]] {
        let inputs = [x(shape), gamma.clone(), beta.clone()];
        check(&format!("layer_norm {shape:?}"), &inputs, |t| t[0].layer_norm(Some(&t[1]), Some(&t[2]), 1e-3));
    }
    check("rms_normalization", &[x(&[2, 3, 4]), gamma.clone()], |t| {
        let y = t[0].rms_normalization(Some(&t[1]), &[-1], 1e-3)?;
        y.mul(&t[0].rms_normalization(None, &[1, 2], 1e-3)?)
    });
    check("layer_norm, plain, transposed", &[x(&[4, 3])], |t| {
        t[0].t()?.layer_norm(None, None, 1e-3)?.square()
    });
    check("layer_norm, gamma alone", &[gamma], |t| x(&[2, 4]).layer_norm(Some(&t[0]), None, 1e-3)?.square());
}

fn batch_norm() {
    let (gamma, beta) = (points(&[3], [0.5, 1.5], 2), points(&[3], [-0.5, 0.5], 3));
    for shape in [&[3][..], &[1, 3], &[4, 3], &[2, 2, 3]] {
        let inputs = [x(shape), gamma.clone(), beta.clone()];
        check(&format!("batch_norm {shape:?}"), &inputs, |t| {
            Ok(t[0].batch_norm(Some(&t[1]), Some(&t[2]), 1e-1)?.0)
        });
    }
    check("batch_norm, plain, channels first, reversed", &[x(&[2, 3, 4])], |t| {
        t[0].moveaxis(1, -1)?.flip(&[0])?.batch_norm(None, None, 1e-3)?.0.square()
    });
    check("batch_norm, gamma alone", std::slice::from_ref(&gamma), |t| {
        x(&[4, 3]).batch_norm(Some(&t[0]), None, 1e-3)?.0.square()
    });
    check("batch_norm, beta alone", &[beta], |t| x(&[4, 3]).batch_norm(None, Some(&t[0]), 1e-3)?.0.square());
    // Nothing flows back through the statistics.
    let (_, mean, variance) = x(&[4, 3]).tracked().batch_norm(None, None, 1e-3).unwrap();
    assert!(!mean.is_tracked() && !variance.is_tracked());
}

fn mul_add() {
    let shapes: [(&[usize], &[usize], &[usize]); 6] = [
        (&[2, 3], &[3], &[3]),
        (&[2, 3], &[2, 3], &[3]),
        (&[2, 3], &[2, 1], &[]),
        (&[2, 2, 3], &[3], &[2, 2, 3]),
        (&[], &[], &[]),
        (&[1], &[1], &[]),
    ];
    for (a, b, c) in shapes {
        let inputs = [x(a), y(b), points(c, [-1.0, 1.0], 2)];
        check(&format!("mul_add {a:?} {b:?} {c:?}"), &inputs, |t| t[0].mul_add(&t[1], &t[2]));
    }
    check("mul_add, transposed, one tensor twice", &[x(&[3, 3]), y(&[3])], |t| {
        t[0].t()?.mul_add(&t[0], &t[1].flip(&[0])?)?.square()
    });
}

fn pools() {
    let cases: [(&[usize], &[usize], &[usize]); 4] = [
        (&[2, 5, 2], &[2], &[2]),
        (&[1, 4, 5, 2], &[3, 2], &[1, 3]),
        (&[1, 3, 3, 4, 1], &[2, 1, 3], &[1, 1, 2]),
        (&[2, 4, 3, 1], &[1, 2], &[3, 1]),
    ];
    for (shape, size, strides) in cases {
        for padding in [Padding::Valid, Padding::Same] {
            let name = format!("{shape:?} {size:?} {strides:?} {padding}");
            let max = |t: &[Tensor]| t[0].max_pool(size, Some(strides), &padding)?.square();
            check(&format!("max_pool {name}"), &[x(shape)], max);
            let mean = |t: &[Tensor]| t[0].average_pool(size, Some(strides), &padding)?.square();
            check(&format!("average_pool {name}"), &[x(shape)], mean);
        }
    }
    check("max_pool, causal", &[x(&[1, 4, 1])], |t| {
        t[0].max_pool(&[3], Some(&[1]), &Padding::Causal)?.square()
    });
    check("average_pool, explicit padding", &[x(&[1, 4, 1])], |t| {
        t[0].average_pool(&[3], Some(&[2]), &Padding::explicit([(2, 1)]))?.square()
    });
    check("max_pool, transposed", &[x(&[2, 5, 4])], |t| {
        t[0].transpose(0, 2)?.max_pool(&[2], Some(&[1]), &Padding::Valid)?.square()
    });
    check("average_pool, transposed", &[x(&[2, 5, 4])], |t| {
        t[0].transpose(0, 2)?
            .slice_step(1, None, None, -1)?
            .average_pool(&[2], None, &Padding::Same)?
            .square()
    });
    for places in [2, 3, 7] {
        check(&format!("adaptive_max_pool {places}"), &[x(&[2, 5, 2])], |t| {
            t[0].adaptive_max_pool(&[places])?.square()
        });
        check(&format!("adaptive_average_pool {places}"), &[x(&[1, 5, 4, 2])], |t| {
            t[0].adaptive_average_pool(&[places, 3])?.square()
        });
    }
}

fn resize() {
    use Interpolation::{Bicubic, Bilinear, Lanczos3, Lanczos5, Nearest};
    for by in [Nearest, Bilinear, Bicubic, Lanczos3, Lanczos5] {
        for antialias in [false, true] {
            let name = format!("resize, {by}, antialias {antialias}");
            check(&name, &[x(&[1, 5, 2, 2])], |t| t[0].resize(&[3, 4], by, antialias)?.square());
        }
        check(&format!("upsample, {by}"), &[x(&[2, 3, 1])], |t| t[0].upsample(&[2], by)?.square());
    }
    check("resize, of a volume, transposed", &[x(&[1, 3, 2, 2, 1])], |t| {
        t[0].transpose(1, 2)?.resize(&[3, 3, 1], Bilinear, true)?.square()
    });
    check("resize, the same size", &[x(&[1, 3, 1])], |t| t[0].resize(&[3], Bicubic, true)?.square());
}

fn attention() {
    use gradus::ops::attention::AttentionOptions;
    let options = AttentionOptions::default();
    let [q, k, v] = [x(&[2, 3, 2, 2]), y(&[2, 4, 1, 2]), points(&[2, 4, 1, 3], [-1.0, 1.0], 2)];
    let bias = points(&[2, 1, 4], [-1.0, 1.0], 3);
    let mask =
        Tensor::from_slice(&[true, false, true, true, false, false, true, true], [2, 1, 1, 4]).unwrap();
    let position = ints(&[1, 2], &[2]);
    check("attention", &[q.clone(), k.clone(), v.clone()], |t| {
        t[0].dot_product_attention(&t[1], &t[2], options)
    });
    check("attention, all that there is", &[q.clone(), k.clone(), v.clone(), bias.clone()], |t| {
        let options = AttentionOptions {
            bias: Some(&t[3]),
            mask: Some(&mask),
            scale: Some(0.7),
            is_causal: true,
            sliding_window: Some(3),
            position: Some(&position),
            dropout: None,
        };
        t[0].dot_product_attention(&t[1], &t[2], options)
    });
    check("attention, some weights dropped", &[q.clone(), k.clone(), v.clone(), bias.clone()], |t| {
        let dropout = Some((0.3, gradus::random::Stream::from(5)));
        let options = AttentionOptions { bias: Some(&t[3]), mask: Some(&mask), dropout, ..options };
        t[0].dot_product_attention(&t[1], &t[2], options)
    });
    check("attention, some rows see nothing", &[q.clone(), k.clone()], |t| {
        let causal = AttentionOptions { is_causal: true, mask: Some(&mask), ..options };
        t[0].dot_product_attention(&t[1], &t[1], causal)
    });
    check("attention, strided", &[x(&[2, 2, 3, 2]), y(&[2, 4, 2, 2])], |t| {
        let (q, k) = (t[0].permute(&[0, 2, 1, 3])?, t[1].slice_step(1, None, None, -2)?);
        q.dot_product_attention(&k, &k.slice_step(3, None, None, -1)?, options)
    });
    check("attention, bias alone", &[bias], |t| {
        q.dot_product_attention(&k, &v, AttentionOptions { bias: Some(&t[0]), ..options })
    });
}

fn slice_update() {
    let start = Tensor::scalar(1i64).unwrap();
    check("slice_update", &[x(&[2, 4, 2]), y(&[2, 2, 2])], |t| t[0].slice_update(&t[1], &start, 1)?.square());
    check("slice_update, transposed", &[x(&[3, 2]), y(&[1, 2])], |t| {
        t[0].t()?.slice_update(&t[1].t()?, &start, -1)?.square()
    });
}

/// Symmetric and positive definite, from any square matrices.
fn positive(a: &Tensor) -> Result<Tensor> {
    let n = a.dims()[a.rank() - 1];
    a.matmul(&a.t()?)?.add(&Tensor::arange(n)?.one_hot(n, DType::F64)?)
}

fn spectral() {
    let far = Tensor::from_slice(&[2.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 7.0], [3, 3]).unwrap();
    let apart = |t: &Tensor| t.add(&t.t()?)?.add(&far);
    check("eigh, values", &[x(&[2, 3, 3])], |t| Ok(apart(&t[0])?.eigh()?.0));
    check("eigh, both", &[x(&[3, 3])], |t| {
        let (w, v) = apart(&t[0])?.eigh()?;
        v.sin()?.mul(&w.exp()?)
    });
    for shape in [&[3, 3][..], &[2, 4, 2], &[2, 4]] {
        check(&format!("svd {shape:?}, values"), &[x(shape)], |t| Ok(t[0].svd()?.1));
        check(&format!("svd {shape:?}, all"), &[x(shape)], |t| {
            let (u, s, vt) = t[0].svd()?;
            u.sin()?.mul(&s.expand_dims(-2)?)?.matmul(&vt.exp()?)
        });
    }
    check("pinv", &[x(&[3, 2])], |t| t[0].pinv(None));
    check("matrix_power", &[x(&[2, 2])], |t| t[0].matrix_power(5));
    check("matrix_norm", &[x(&[2, 3])], |t| t[0].matrix_norm(2.0)?.mul(&t[0].matrix_norm(1.0)?));
}

fn linalg() {
    // Diagonally dominant, so that nothing is near to singular.
    let wide = |t: &Tensor| t.add(&Tensor::arange(2)?.one_hot(2, DType::F64)?.affine(3.0, 0.0)?);
    for (a, b) in [(&[2, 2][..], &[2, 3][..]), (&[2, 2, 2], &[2, 1]), (&[2, 2], &[2, 2, 1]), (&[2, 2], &[2])]
    {
        check(&format!("solve {a:?} {b:?}"), &[x(a), y(b)], |t| wide(&t[0])?.solve(&t[1]));
        for lower in [true, false] {
            let name = format!("triangular_solve {a:?} {b:?}, lower {lower}");
            check(&name, &[x(a), y(b)], |t| wide(&t[0])?.triangular_solve(&t[1], lower));
        }
    }
    check("inverse, transposed", &[x(&[2, 2])], |t| wide(&t[0].t()?)?.inverse());
    check("cholesky", &[x(&[2, 3, 3])], |t| positive(&t[0])?.cholesky());
    check("slogdet", &[x(&[2, 2, 2])], |t| wide(&t[0])?.slogdet().map(|s| s.1));
    for shape in [&[3, 2, 2][..], &[3, 3], &[1, 1], &[9, 9]] {
        let n = shape[shape.len() - 1];
        let far = Tensor::arange(n).unwrap().one_hot(n, DType::F64).unwrap().affine(1.5, 0.0).unwrap();
        check(&format!("det {shape:?}"), &[x(shape)], |t| t[0].affine(0.2, 0.0)?.add(&far)?.det());
    }
    let flat = Tensor::from_slice(&[2.0, 6.0, 1.0, 3.0], [2, 2]).unwrap();
    check("det, singular", &[flat], |t| t[0].det());
    for shape in [&[2, 2][..], &[2, 3, 2], &[3, 1]] {
        check(&format!("qr {shape:?}, Q"), &[x(shape)], |t| Ok(t[0].qr()?.0));
        check(&format!("qr {shape:?}, R"), &[x(shape)], |t| Ok(t[0].qr()?.1));
        check(&format!("qr {shape:?}, both"), &[x(shape)], |t| {
            let (q, r) = t[0].square()?.add(&t[0])?.qr()?;
            q.sin()?.matmul(&r)
        });
    }
    // Rows that change places, and are far from singular.
    let far = Tensor::eye(3, 3, 0, DType::F64).unwrap().affine(2.5, 0.0).unwrap().flip(&[0]).unwrap();
    check("lu_factor", &[x(&[2, 3, 3])], |t| t[0].add(&far)?.lu_factor()?.0.sin());
    check("lu", &[x(&[3, 3])], |t| {
        let (_, l, u) = t[0].add(&far)?.lu()?;
        l.sin()?.matmul(&u.exp()?)
    });
    check("cholesky_inverse", &[x(&[3, 3])], |t| positive(&t[0])?.cholesky()?.cholesky_inverse());
    check("lstsq", &[x(&[3, 2]), y(&[3])], |t| t[0].lstsq(&t[1]));
    assert!(x(&[2, 3]).tracked().qr().unwrap().1.sum(&[], false).unwrap().backward().is_err());
}

/// x `[2, 3, 2]`, states, kernel, recurrent kernel and bias of a recurrence of two units.
fn recurrent_inputs(states: usize, gates: usize, bias: &[usize]) -> Vec<Tensor> {
    let mut all = vec![x(&[2, 3, 2])];
    all.extend((0..states).map(|i| points(&[2, 2], [-1.0, 1.0], 5 + i)));
    all.extend([x(&[2, 2 * gates]), y(&[2, 2 * gates]), points(bias, [-0.5, 0.5], 3)]);
    all
}

/// A mask of `[batch, time]` with steps at the beginning, in the middle and at the end that do not count.
fn some_steps() -> Tensor {
    ints(&[0, 1, 1, 1, 0, 0], &[2, 3]).cast(DType::Bool).unwrap()
}

/// The outputs of all steps beside the last states, as one tensor that is no linear function of them.
fn side_by_side(outputs: &[Tensor]) -> Result<Tensor> {
    let mut flat = vec![outputs[0].merge_axes(1, 2)?];
    flat.extend(outputs[1..].iter().cloned());
    Tensor::concat(&flat.iter().collect::<Vec<_>>(), 1)?.sin()
}

/// Every op of recurrences, with what it gives: masked or not, from either end.
fn recurrent() {
    for (mask, back) in [(None, false), (None, true), (Some(some_steps()), false), (Some(some_steps()), true)]
    {
        let (mask, how) = (mask.as_ref(), format!("mask {}, backwards {back}", mask.is_some()));
        let weights = |t: &[Tensor], states: usize| {
            [t[1 + states].clone(), t[2 + states].clone(), t[3 + states].clone()]
        };
        fn as_weights([kernel, recurrent_kernel, bias]: &[Tensor; 3]) -> RecurrentWeights<'_> {
            RecurrentWeights { kernel, recurrent_kernel, bias: Some(bias) }
        }
        check(&format!("simple_rnn, {how}"), &recurrent_inputs(1, 1, &[2]), |t| {
            side_by_side(&t[0].simple_rnn(&t[1], &as_weights(&weights(t, 1)), mask, back)?)
        });
        check(&format!("lstm, {how}"), &recurrent_inputs(2, 4, &[8]), |t| {
            side_by_side(&t[0].lstm([&t[1], &t[2]], &as_weights(&weights(t, 2)), mask, back)?)
        });
        for (after, bias) in [(true, &[2, 6][..]), (false, &[6])] {
            check(&format!("gru, reset_after {after}, {how}"), &recurrent_inputs(1, 3, bias), |t| {
                side_by_side(&t[0].gru(&t[1], &as_weights(&weights(t, 1)), mask, after, back)?)
            });
        }
    }
    // Inputs that lie in another order, weights that are views, some gradients alone.
    let all = recurrent_inputs(2, 4, &[8]);
    check("lstm, transposed", &[all[0].permute(&[1, 0, 2]).unwrap(), x(&[8, 2])], |t| {
        let x = t[0].permute(&[1, 0, 2])?.flip(&[1])?;
        let (kernel, recurrent_kernel) = (&t[1].t()?, &all[4]);
        let weights = RecurrentWeights { kernel, recurrent_kernel, bias: None };
        side_by_side(&x.lstm([&all[1], &all[2]], &weights, None, false)?[..1])
    });
    let all = recurrent_inputs(1, 3, &[2, 6]);
    check("gru, the last state alone", &[all[1].clone(), all[3].clone()], |t| {
        let weights = RecurrentWeights { kernel: &all[2], recurrent_kernel: &t[1], bias: Some(&all[4]) };
        all[0].gru(&t[0], &weights, None, true, true)?[1].sin()
    });
}

/// Every type that implements `Op` in `src/ops`, with the function that checks it.
const OPS: &[(&str, fn())] = &[
    ("Map", unary),
    ("MapGrad", unary),
    ("Zip", binary),
    ("Affine", affine),
    ("Matmul", matmul),
    ("Linear", linear),
    ("Reduce", reduce),
    ("Arg", argmax),
    ("Scan", scan),
    ("Recurrence", scan),
    ("ArgScan", scan),
    ("Fft", fourier),
    ("ReduceAlong", scatter),
    ("PutAlong", scatter),
    ("Mode", scatter),
    ("Exponent", scatter),
    ("Lu", linalg),
    ("(compositions on images)", pictures),
    ("TakeAlong", along),
    ("AddAlong", along),
    ("ArgSort", along),
    ("Pad", pad),
    ("(compositions)", arrange),
    ("Softmax", softmax),
    ("SoftmaxGrad", softmax),
    ("CtcLoss", ctc),
    ("CtcGrad", ctc),
    ("SparseCrossEntropy", cross_entropy),
    ("SparseCrossEntropyGrad", cross_entropy),
    ("Reshape", reshape),
    ("Permute", permute),
    ("Broadcast", broadcast),
    ("BroadcastLike", broadcast),
    ("Slice", slice),
    ("Unslice", slice),
    ("Concat", concat),
    ("Gather", gather),
    ("ScatterAdd", scatter_add),
    ("Cast", cast),
    ("Compare", logic),
    ("Where", logic),
    ("Dropout", dropout),
    ("Fill", stops),
    ("OneHot", stops),
    ("Sample", stops),
    ("SampleLike", stops),
    ("RandInt", stops),
    ("Bernoulli", stops),
    ("Permutation", stops),
    ("Categorical", stops),
    ("Conv", conv),
    ("ConvInputGrad", conv),
    ("ConvKernelGrad", conv),
    ("ConvTranspose", conv),
    ("LayerNorm", layer_norm),
    ("LayerNormGrad", layer_norm),
    ("LayerNormGammaGrad", layer_norm),
    ("BatchNorm", batch_norm),
    ("BatchNormGrad", batch_norm),
    ("MulAdd", mul_add),
    ("Attention", attention),
    ("AttentionGrad", attention),
    ("SliceUpdate", slice_update),
    ("SimpleRnn", recurrent),
    ("SimpleRnnGrad", recurrent),
    ("Lstm", recurrent),
    ("LstmGrad", recurrent),
    ("Gru", recurrent),
    ("GruGrad", recurrent),
    ("Solve", linalg),
    ("Cholesky", linalg),
    ("Qr", linalg),
    ("SlogDet", linalg),
    ("Det", linalg),
    ("Eigh", spectral),
    ("Svd", spectral),
    ("Cofactor", linalg),
    ("Bits", stops),
    ("SearchSorted", stops),
    ("MaxPool", pools),
    ("MaxPoolGrad", pools),
    ("MaxPoolTaken", pools),
    ("AveragePool", pools),
    ("AveragePoolGrad", pools),
    ("Resize", resize),
    ("ResizeGrad", resize),
];

#[test]
fn every_op_agrees_with_differences() {
    println!("{:44} {:>9} {:>9} {:>9}", "op", "order 1", "order 2", "order 3");
    for (i, (_, f)) in OPS.iter().enumerate() {
        if OPS[..i].iter().all(|(_, g)| !std::ptr::fn_addr_eq(*g, *f)) {
            f();
        }
    }
    let worst = *WORST.lock().unwrap();
    println!("{:44} {:9.2e} {:9.2e} {:9.2e}", "the worst of all", worst[0], worst[1], worst[2]);
    let thirds = THIRDS.lock().unwrap();
    assert!(thirds.is_empty(), "derivatives of order 3:\n{}", thirds.join("\n"));
}

/// The names in `impl … Op for NAME` in a folder's files.
fn implementors(dir: &std::path::Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            implementors(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                let line = line.trim_start();
                if let Some((head, rest)) = line.split_once("Op for ")
                    && head.starts_with("impl")
                    && (head.ends_with(' ') || head.ends_with("::"))
                {
                    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                    found.push(rest[..end].to_string());
                }
            }
        }
    }
}

fn source(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)
}

/// Operations that refuse to be differentiated, by their `vjp`: a plan joins them from others that have gradients.
const WITHOUT_GRADIENT: [&str; 1] = ["Ended"];

#[test]
fn every_op_has_a_check() {
    let mut found = Vec::new();
    implementors(&source("ops"), &mut found);
    implementors(&source("nn"), &mut found);
    assert!(found.len() >= 19, "the scan found only {found:?}");
    for name in found.iter().filter(|name| !WITHOUT_GRADIENT.contains(&name.as_str())) {
        assert!(OPS.iter().any(|(op, _)| op == name), "op {name} has no gradient check: add a row to OPS");
    }
    for (op, _) in OPS.iter().filter(|(op, _)| !op.starts_with('(')) {
        assert!(found.iter().any(|name| name == op), "OPS names {op}, which src/ops does not have");
    }
}

// ---- layers

/// Checks a layer with one input.
fn check_layer(name: &str, description: &dyn Build, input: &Tensor) {
    check_merging(name, description, std::slice::from_ref(input));
}

/// Checks a layer with several inputs.
fn check_merging(name: &str, description: &dyn Build, inputs: &[Tensor]) {
    let mut init = Init::new(7, DType::F64);
    let specs: Vec<Spec> = inputs.iter().map(Tensor::spec).collect();
    let layer =
        description.build(&specs.as_slice().into(), &mut init).unwrap_or_else(|e| panic!("{name}: {e}"));
    check_node(name, layer, inputs);
}

/// Compares the gradients of a layer with respect to its inputs and its parameters with central differences. Inputs of
/// whole numbers have none.
fn check_node(name: &str, mut layer: Box<dyn Node>, inputs: &[Tensor]) {
    const STEP: f64 = 6e-6;
    // Biases begin at zero, where a relu bends: move them off it.
    let mut salt = 0;
    layer.visit_mut(&mut |_, p| {
        salt += 1;
        let shape = p.value().dims().to_vec();
        p.set(points(&shape, [0.1, 0.9], salt)).unwrap();
    });
    let loss = |layer: &dyn Node, x: &[Tensor]| -> Result<Tensor> {
        let x: Vec<Value> = x.iter().map(Value::from).collect();
        let mut sum = Tensor::scalar(0.0)?;
        for (i, out) in layer.call(Inputs::new(&x), &mut Cx::train(11, 3))?.iter().enumerate() {
            let weights = points(out.tensor.dims(), [0.5, 1.5], 9 + i);
            sum = sum.add(&out.tensor.mul(&weights)?.sum(&[], false)?)?;
        }
        Ok(sum)
    };
    let leaves: Vec<Tensor> =
        inputs.iter().map(|t| if t.dtype().is_float() { t.tracked() } else { t.clone() }).collect();
    let gradients = loss(&*layer, &leaves).unwrap().backward().unwrap();
    let mut worst: f64 = 0.0;
    let mut compare = |what: &str, analytic: f64, numeric: f64| {
        let error = (analytic - numeric).abs() / (1.0 + analytic.abs().max(numeric.abs()));
        assert!(error < FIRST, "{name}, {what}: {analytic} but differences say {numeric}");
        worst = worst.max(error);
    };
    for (which, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| leaf.is_tracked()) {
        let of_input =
            gradients.get(leaf).unwrap_or_else(|| panic!("{name}: none for input {which}")).to_vec::<f64>();
        for (at, analytic) in of_input.unwrap().iter().enumerate() {
            let moved = |by: f64| {
                let mut inputs = inputs.to_vec();
                let mut values = inputs[which].to_vec::<f64>().unwrap();
                values[at] += by;
                inputs[which] = Tensor::from_slice(&values, *leaf.shape()).unwrap();
                loss(&*layer, &inputs).unwrap().item().unwrap()
            };
            let what = format!("input {which}");
            compare(&what, *analytic, (moved(STEP) - moved(-STEP)) / (2.0 * STEP));
        }
    }
    // A step of plain gradient descent at rate 1 is the gradient of each parameter as the library delivers it.
    let mut paths: Vec<(String, Tensor)> = Vec::new();
    layer.visit(&mut |path, p| paths.push((path.to_string(), p.value().clone())));
    let gradients = loss(&*layer, inputs);
    if !paths.is_empty() {
        let mut trained = layer.clone();
        let mut driver = gradus::optim::Driver::new(gradus::prelude::SGD::new(1.0));
        driver.step(&mut trained, gradients.unwrap().backward().unwrap(), false).unwrap();
        let mut after = Vec::new();
        trained.visit(&mut |_, p| after.push(p.value().to_vec::<f64>().unwrap()));
        for (which, (path, value)) in paths.iter().enumerate() {
            let before = value.to_vec::<f64>().unwrap();
            for at in 0..before.len() {
                let moved = |by: f64| {
                    let mut values = before.clone();
                    values[at] += by;
                    let mut layer = layer.clone();
                    let mut n = 0;
                    layer.visit_mut(&mut |_, p| {
                        if n == which {
                            p.set(Tensor::from_slice(&values, *p.value().shape()).unwrap()).unwrap();
                        }
                        n += 1;
                    });
                    loss(&*layer, inputs).unwrap().item().unwrap()
                };
                let numeric = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                compare(path, before[at] - after[which][at], numeric);
            }
        }
    }
    println!("{name:44} {worst:9.2e}");
}

fn layer_dense() {
    let input = x(&[2, 3]);
    check_layer("Dense", &Dense::new(4), &input);
    check_layer("Dense, no bias", &Dense::new(4).use_bias(false), &input);
    check_layer("Dense, three axes", &Dense::new(2).activation(Tanh), &x(&[2, 2, 3]));
    check_layer("Dense, relu", &Dense::new(4).activation(Relu), &points(&[2, 3], [0.1, 1.0], 0));
    check_layer("Dense, sigmoid", &Dense::new(4).activation(Sigmoid), &input);
    check_layer("Dense, softmax", &Dense::new(4).activation(Softmax), &input);
    check_layer("Dense, gelu", &Dense::new(4).activation(Gelu), &input);
}

fn layer_flatten() {
    check_layer("Flatten", &Flatten::new(), &x(&[2, 3, 2]));
    check_layer(
        "Flatten, channels first",
        &Flatten::new().data_format(DataFormat::ChannelsFirst),
        &x(&[2, 3, 2]),
    );
}

fn layers_that_draw() {
    let noise = || vec![None, Some(1), None];
    check_layer("Dropout, noise_shape", &Dropout::new(0.5).noise_shape(noise()), &x(&[2, 3, 4]));
    check_layer("SpatialDropout1D", &SpatialDropout1D::new(0.5), &x(&[3, 2, 4]));
    let first = gradus::nn::DataFormat::ChannelsFirst;
    check_layer("SpatialDropout2D", &SpatialDropout2D::new(0.5).data_format(first), &x(&[2, 3, 2, 2]));
    check_layer("SpatialDropout3D", &SpatialDropout3D::new(0.5), &x(&[2, 1, 2, 2, 3]));
    check_layer("GaussianNoise", &GaussianNoise::new(0.5), &x(&[3, 4]));
    check_layer("GaussianDropout", &GaussianDropout::new(0.5), &x(&[3, 4]));
    check_layer("AlphaDropout", &AlphaDropout::new(0.5), &x(&[3, 4]));
    check_layer("AlphaDropout, noise_shape", &AlphaDropout::new(0.5).noise_shape(noise()), &x(&[2, 3, 4]));
    check_layer("ActivityRegularization", &ActivityRegularization::new().l1(0.1).l2(0.2), &x(&[3, 4]));
}

fn layer_batch_normalization() {
    check_layer("BatchNormalization", &BatchNormalization::new(), &x(&[4, 3]));
    check_layer("BatchNormalization, one row", &BatchNormalization::new(), &x(&[1, 3]));
    check_layer(
        "BatchNormalization, axis 1",
        &BatchNormalization::new().axis(1).center(false),
        &x(&[2, 3, 2, 2]),
    );
    check_layer("BatchNormalization, no gamma", &BatchNormalization::new().scale(false), &x(&[2, 2, 3]));
    // What renormalization corrects by is a constant to gradients, and differences would see it change: bounds keep it.
    let still = RenormClipping::new().rmin(1.5).rmax(1.5).dmax(0.0);
    let renorm = BatchNormalization::new().renorm(true).renorm_clipping(still);
    check_layer("BatchNormalization, renorm", &renorm, &x(&[4, 3]));
}

fn layers_that_normalize() {
    check_layer("LayerNormalization", &LayerNormalization::new(), &x(&[2, 4]));
    check_layer("LayerNormalization, axis 1", &LayerNormalization::new().axis(1), &x(&[2, 3, 2]));
    check_layer("LayerNormalization, two axes", &LayerNormalization::new().axis([3, 1]), &x(&[2, 3, 2, 2]));
    check_layer("LayerNormalization, rms_scaling", &LayerNormalization::new().rms_scaling(true), &x(&[2, 4]));
    check_layer("GroupNormalization", &GroupNormalization::new().groups(2), &x(&[2, 3, 4]));
    check_layer("GroupNormalization, axis 1", &GroupNormalization::new().groups(-1).axis(1), &x(&[2, 3, 2]));
    check_layer("RMSNormalization", &RMSNormalization::new(), &x(&[2, 4]));
    check_layer("RMSNormalization, axis 1", &RMSNormalization::new().axis(1), &x(&[2, 4, 2]));
    check_layer("UnitNormalization", &UnitNormalization::new(), &x(&[2, 4]));
    check_layer("UnitNormalization, two axes", &UnitNormalization::new().axis([1, 2]), &x(&[2, 3, 2]));
}

fn layer_spectral_normalization() {
    // So many iterations that u and v are the singular vectors: then their own change does not matter, as the rule
    // says.
    let around = SpectralNormalization::new(Dense::new(3).activation(Tanh)).power_iterations(300);
    check_layer("SpectralNormalization", &around, &x(&[2, 4]));
}

fn layer_dropout() {
    check_layer("Dropout", &Dropout::new(0.4), &x(&[4, 5]));
}

fn layer_activation() {
    check_layer("Activation(silu)", &Activation::new(Silu), &x(&[2, 3]));
    check_layer("Activation(softmax)", &Activation::new(Softmax), &x(&[2, 3]));
    check_layer("Activation(softplus)", &Activation::new(Softplus), &x(&[2, 3]));
}

fn layer_input() {
    check_layer("Input", &Input::new([3]), &x(&[2, 3]));
}

fn layer_sequential() {
    let inner = Sequential::new().add(Dense::new(3).activation(Tanh)).add(Dense::new(2));
    let stack = Sequential::new().add(Input::new([3])).add(inner).add(Dense::new(2)).dtype(DType::F64);
    check_node("Sequential", Box::new(stack.build().unwrap()), &[x(&[2, 3])]);
}

fn layer_functional() {
    let (a, b) = (Input::new([3]), Input::new([2]));
    let shared = Dense::new(2).activation(Tanh).shared();
    let left = shared.on(&Dense::new(2).on(&a).unwrap()).unwrap();
    let out = Add::new().on([&left, &shared.on(&b).unwrap()]).unwrap();
    let graph = Functional::new([&a, &b], &out).unwrap().dtype(DType::F64);
    check_node("Functional", Box::new(graph.build().unwrap()), &[x(&[2, 3]), y(&[2, 2])]);
}

fn layer_embedding() {
    check_layer("Embedding", &Embedding::new(5, 3), &ints(&[1, 4, 1, 0], &[2, 2]));
}

fn layer_reshape() {
    check_layer("Reshape", &Reshape::new([3, -1]), &x(&[2, 2, 3]));
}

fn layer_masking() {
    check_layer("Masking", &Masking::new(), &x(&[2, 2, 3]));
}

fn layer_add() {
    check_merging("Add", &Add::new(), &[x(&[2, 3]), y(&[2, 3]), x(&[2, 1])]);
}

fn layer_subtract() {
    check_merging("Subtract", &Subtract::new(), &[x(&[2, 3]), y(&[2, 1, 3])]);
}

fn layer_multiply() {
    check_merging("Multiply", &Multiply::new(), &[x(&[2, 3]), y(&[2, 3]), x(&[2, 1])]);
}

fn layer_average() {
    check_merging("Average", &Average::new(), &[x(&[2, 3]), y(&[2, 3]), x(&[2, 1])]);
}

fn layer_maximum() {
    check_merging("Maximum", &Maximum::new(), &[x(&[2, 3]), y(&[2, 3])]);
}

fn layer_minimum() {
    check_merging("Minimum", &Minimum::new(), &[x(&[2, 3]), y(&[2, 3])]);
}

fn layer_dot() {
    check_merging("Dot", &Dot::new(-1), &[x(&[2, 3]), y(&[2, 3])]);
    let cosine = Dot::new([2, 1]).normalize(true);
    check_merging("Dot, two axes, normalized", &cosine, &[x(&[2, 2, 3]), y(&[2, 3, 2])]);
}

fn layer_relu() {
    check_layer("ReLU", &ReLU::new(), &x(&[2, 3]));
    let bent = ReLU::new().max_value(0.7).negative_slope(0.2).threshold(0.25);
    check_layer("ReLU, all settings", &bent, &x(&[3, 5]));
}

fn layer_leaky_relu() {
    check_layer("LeakyReLU", &LeakyReLU::new(), &x(&[2, 3]));
}

fn layer_elu() {
    check_layer("ELU", &ELU::new().alpha(0.7), &x(&[2, 3]));
}

fn layer_prelu() {
    check_layer("PReLU", &PReLU::new(), &x(&[2, 3]));
    check_layer("PReLU, shared", &PReLU::new().shared_axes(1), &x(&[2, 2, 3]));
}

fn layer_softmax() {
    check_layer("Softmax", &layers::Softmax::new(), &x(&[2, 3]));
    check_layer("Softmax, two axes", &layers::Softmax::new().axis([1, 2]), &x(&[2, 2, 3]));
    let mask = ints(&[1, 0, 1, 1, 1, 0], &[2, 3]).cast(DType::Bool).unwrap();
    check_merging("Softmax, mask", &layers::Softmax::new(), &[x(&[2, 3]), mask]);
}

fn layer_identity() {
    check_layer("Identity", &Identity::new(), &x(&[2, 3]));
}

fn layer_permute() {
    check_layer("Permute", &Permute::new([3, 1, 2]), &x(&[2, 2, 3, 1]));
}

fn layer_repeat_vector() {
    check_layer("RepeatVector", &RepeatVector::new(3), &x(&[2, 3]));
}

fn layer_lambda() {
    check_layer("Lambda", &Lambda::new(|x| x.square()?.add(x)), &x(&[2, 3]));
}

fn layer_concatenate() {
    check_merging("Concatenate", &Concatenate::new(), &[x(&[2, 3]), y(&[2, 2])]);
    check_merging("Concatenate, axis 1", &Concatenate::new().axis(1), &[x(&[2, 3, 2]), y(&[2, 1, 2])]);
}

fn layer_checkpoint() {
    let stack =
        Sequential::new().add(Dense::new(3).activation(Tanh)).add(Dropout::new(0.3)).add(Dense::new(2));
    check_layer("Checkpoint", &Checkpoint::new(stack), &x(&[2, 3]));
}

fn layer_spatial() {
    for (layer, shape) in crate::layers_spatial::examples() {
        check_layer(&format!("{} {shape:?}", layer.class_name()), &*layer, &x(&shape));
    }
}

fn layer_attention() {
    let [q, v, k] = [x(&[2, 2, 3]), y(&[2, 3, 2]), points(&[2, 3, 3], [-1.0, 1.0], 2)];
    let all = [q.clone(), v, k.clone()];
    check_merging("Attention", &Attention::new(), &[q.clone(), k.clone()]);
    check_merging("Attention, scale", &Attention::new().use_scale(true).use_causal_mask(true), &all);
    check_merging("Attention, concat", &Attention::new().score_mode(ScoreMode::Concat).use_scale(true), &all);
    check_merging("Attention, dropout", &Attention::new().dropout(0.3), &all);
    check_merging("AdditiveAttention", &AdditiveAttention::new(), &[q, k]);
    check_merging("AdditiveAttention, dropout", &AdditiveAttention::new().dropout(0.3), &all);
}

fn layer_multi_head_attention() {
    let [q, v, k] = [x(&[2, 2, 3]), y(&[2, 3, 2]), points(&[2, 3, 3], [-1.0, 1.0], 2)];
    let all = [q.clone(), v, k];
    let heads = || MultiHeadAttention::new(2, 2);
    check_merging("MultiHeadAttention", &heads().value_dim(3), &all);
    check_merging("MultiHeadAttention, dropout", &heads().dropout(0.3).use_bias(false), &all);
    let gated = heads().use_gate(true).use_causal_mask(true).sliding_window(2).output_shape(2);
    check_merging("MultiHeadAttention, gate", &gated, &[q.clone(), q.clone()]);
    let image = x(&[1, 2, 2, 2]);
    check_merging("MultiHeadAttention, axes", &heads().attention_axes(2), &[image.clone(), image]);
    let group = GroupQueryAttention::new(2, 4, 2);
    check_merging("GroupQueryAttention", &group, &[q.clone(), q.clone()]);
    check_merging("GroupQueryAttention, dropout", &group.dropout(0.3).use_gate(true), &[q.clone(), q]);
}

fn layer_einsum_dense() {
    let dense = |equation: &str, shape: &[usize]| {
        EinsumDense::new(equation, shape.iter().map(|&n| Some(n)).collect::<Vec<_>>()).activation(Tanh)
    };
    check_layer("EinsumDense", &dense("abc,cd->abd", &[2, 4]).bias_axes("d"), &x(&[2, 2, 3]));
    check_layer("EinsumDense, two axes", &dense("abc,bcde->ade", &[2, 2]).bias_axes("de"), &x(&[2, 2, 3]));
    check_layer("EinsumDense, in between", &dense("abc,bd->adc", &[2, 3]).bias_axes("d"), &x(&[2, 2, 3]));
    check_layer("EinsumDense, ellipsis", &dense("...a,ab->...b", &[2]).bias_axes("b"), &x(&[2, 2, 3]));
    check_layer("EinsumDense, at the end", &dense("ab...,bc->ac...", &[2]).bias_axes("c"), &x(&[2, 2, 3]));
}

fn layer_reversible_embedding() {
    check_layer("ReversibleEmbedding", &ReversibleEmbedding::new(5, 3), &ints(&[1, 4, 1, 0], &[2, 2]));
}

fn layer_positions() {
    let input = x(&[2, 3, 4]);
    // The sines do not depend on the input.
    check_merging("SinePositionEncoding", &Sum(SinePositionEncoding::new()), std::slice::from_ref(&input));
    check_layer("PositionEmbedding", &Sum(PositionEmbedding::new(4)), &input);
    check_layer("PositionEmbedding, beyond", &Sum(PositionEmbedding::new(2)), &input);
    check_layer("RotaryEmbedding", &RotaryEmbedding::new(), &input);
    let turned = RotaryEmbedding::new().sequence_axis(2).feature_axis(1).scaling_factor(2.0);
    check_layer("RotaryEmbedding, axes", &turned, &x(&[2, 2, 3, 2]));
}

/// Adds what a layer gives to its input.
#[derive(Clone, Debug)]
struct Sum<B>(B);
impl<B: Build + Clone> gradus::config::Configured for Sum<B> {}
impl<B: Build + Clone> Build for Sum<B> {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(SumNode { layer: self.0.build(inputs, init)? }))
    }
}
#[derive(Clone, Debug)]
struct SumNode {
    layer: Box<dyn Node>,
}
gradus::parts!(SumNode { layer });
impl Layer for SumNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        self.layer.call(Inputs::new(&[x.into()]), cx)?.single()?.tensor.add(x)?.square()
    }
}

fn layer_transformer() {
    let [input, encoded] = [x(&[1, 3, 4]), y(&[1, 2, 4])];
    let smooth = || TransformerEncoder::new(3, 2).activation(Tanh);
    check_layer("TransformerEncoder", &smooth(), &input);
    check_layer("TransformerEncoder, first", &smooth().normalize_first(true).dropout(0.2), &input);
    let decoder = || TransformerDecoder::new(3, 2).activation(Tanh);
    check_layer("TransformerDecoder", &decoder(), &input);
    check_merging("TransformerDecoder, cross", &decoder().normalize_first(true), &[input, encoded]);
}

fn layer_conv1d() {
    let layer = Conv1D::new(4, 2).groups(2).activation(Tanh);
    check_layer("Conv1D", &layer, &x(&[2, 5, 4]));
    let causal = Conv1D::new(2, 3).padding(Padding::Causal).dilation_rate(2).use_bias(false);
    check_layer("Conv1D, causal", &causal, &x(&[1, 5, 2]));
}

fn layer_conv2d() {
    let layer = Conv2D::new(2, [2, 3]).padding(Padding::Same).strides([2, 1]).activation(Softmax);
    check_layer("Conv2D", &layer, &x(&[2, 3, 4, 2]));
    let first = Conv2D::new(2, 2).data_format(DataFormat::ChannelsFirst).activation(Sigmoid);
    check_layer("Conv2D, channels first", &first, &x(&[2, 3, 3, 2]));
}

fn layer_conv3d() {
    check_layer("Conv3D", &Conv3D::new(2, [1, 2, 2]).activation(Gelu), &x(&[1, 2, 3, 2, 2]));
}

fn layer_conv_transpose() {
    let layer = Conv1DTranspose::new(2, 3).strides(2).padding(Padding::Same).activation(Tanh);
    check_layer("Conv1DTranspose", &layer, &x(&[2, 3, 2]));
    let layer = Conv2DTranspose::new(2, 2).strides([2, 3]).output_padding([0, 2]).activation(Softmax);
    check_layer("Conv2DTranspose", &layer, &x(&[1, 2, 3, 2]));
    check_layer("Conv3DTranspose", &Conv3DTranspose::new(2, 2).use_bias(false), &x(&[1, 2, 1, 2, 2]));
}

fn layer_depthwise_conv() {
    let layer = DepthwiseConv1D::new(2).depth_multiplier(2).activation(Tanh);
    check_layer("DepthwiseConv1D", &layer, &x(&[2, 4, 2]));
    check_layer(
        "DepthwiseConv2D",
        &DepthwiseConv2D::new(2).strides(2).padding(Padding::Same),
        &x(&[2, 3, 3, 2]),
    );
}

fn layer_separable_conv() {
    let layer = SeparableConv1D::new(2, 2).depth_multiplier(2).activation(Tanh);
    check_layer("SeparableConv1D", &layer, &x(&[2, 4, 2]));
    check_layer("SeparableConv2D", &SeparableConv2D::new(3, 2).activation(Softmax), &x(&[2, 3, 3, 2]));
}

fn layer_conv_lstm() {
    let layer = ConvLSTM1D::new(2, 2).padding(Padding::Same).return_sequences(true);
    check_layer("ConvLSTM1D", &layer, &x(&[2, 2, 3, 2]));
    let dropping = ConvLSTM1D::new(2, 2).dropout(0.3).recurrent_dropout(0.4).use_bias(false);
    check_layer("ConvLSTM1D, dropout", &dropping, &x(&[2, 2, 3, 2]));
    let layer = ConvLSTM2D::new(1, 2).strides(2).data_format(DataFormat::ChannelsFirst).go_backwards(true);
    check_layer("ConvLSTM2D", &layer, &x(&[1, 2, 2, 4, 3]));
    check_layer("ConvLSTM3D", &ConvLSTM3D::new(1, [1, 2, 1]), &x(&[1, 2, 1, 2, 2, 1]));
}

fn layer_cells() {
    let states = |n: usize| [&[y(&[2, 3])][..], &vec![x(&[2, 2]); n]].concat();
    check_merging("SimpleRNNCell", &SimpleRNNCell::new(2), &states(1));
    check_merging("LSTMCell", &LSTMCell::new(2), &states(2));
    check_merging("GRUCell", &GRUCell::new(2), &states(1));
    check_merging("GRUCell, reset before", &GRUCell::new(2).reset_after(false), &states(1));
    let stacked = StackedRNNCells::new([LSTMCell::new(2), LSTMCell::new(2)]);
    check_merging("StackedRNNCells", &stacked, &states(4));
}

fn layer_recurrent() {
    let input = x(&[2, 3, 2]);
    check_layer("SimpleRNN", &SimpleRNN::new(2).return_sequences(true), &input);
    check_layer("LSTM", &LSTM::new(2).return_sequences(true), &input);
    check_layer("GRU", &GRU::new(2).return_sequences(true).go_backwards(true), &input);
    check_layer("GRU, reset before", &GRU::new(2).reset_after(false), &input);
    check_layer("LSTM, a loop", &LSTM::new(2).recurrent_activation(Tanh).return_sequences(true), &input);
    check_layer("LSTM, dropout", &LSTM::new(2).dropout(0.3).return_sequences(true), &input);
    check_layer("GRU, recurrent dropout", &GRU::new(2).dropout(0.3).recurrent_dropout(0.4), &input);
    check_layer("RNN", &RNN::new(GRUCell::new(2).recurrent_dropout(0.3)).return_sequences(true), &input);
    check_layer("Bidirectional", &Bidirectional::new(LSTM::new(2).return_sequences(true)), &input);
    check_layer("TimeDistributed", &TimeDistributed::new(Dense::new(2).activation(Tanh)), &input);
}

/// Every layer of the crate, with the function that checks it.
const LAYERS: &[(&str, fn())] = &[
    ("Input", layer_input),
    ("Sequential", layer_sequential),
    ("Functional", layer_functional),
    ("Embedding", layer_embedding),
    ("Reshape", layer_reshape),
    ("Masking", layer_masking),
    ("Add", layer_add),
    ("Subtract", layer_subtract),
    ("Multiply", layer_multiply),
    ("Average", layer_average),
    ("Maximum", layer_maximum),
    ("Minimum", layer_minimum),
    ("Dot", layer_dot),
    ("ReLU", layer_relu),
    ("LeakyReLU", layer_leaky_relu),
    ("PReLU", layer_prelu),
    ("ELU", layer_elu),
    ("Softmax", layer_softmax),
    ("Identity", layer_identity),
    ("Permute", layer_permute),
    ("RepeatVector", layer_repeat_vector),
    ("Lambda", layer_lambda),
    ("Concatenate", layer_concatenate),
    ("Dense", layer_dense),
    ("Flatten", layer_flatten),
    ("Dropout", layer_dropout),
    ("SpatialDropout1D", layers_that_draw),
    ("SpatialDropout2D", layers_that_draw),
    ("SpatialDropout3D", layers_that_draw),
    ("GaussianNoise", layers_that_draw),
    ("GaussianDropout", layers_that_draw),
    ("AlphaDropout", layers_that_draw),
    ("ActivityRegularization", layers_that_draw),
    ("BatchNormalization", layer_batch_normalization),
    ("LayerNormalization", layers_that_normalize),
    ("GroupNormalization", layers_that_normalize),
    ("RMSNormalization", layers_that_normalize),
    ("UnitNormalization", layers_that_normalize),
    ("SpectralNormalization", layer_spectral_normalization),
    ("Activation", layer_activation),
    ("Checkpoint", layer_checkpoint),
    ("MaxPooling1D", layer_spatial),
    ("MaxPooling2D", layer_spatial),
    ("MaxPooling3D", layer_spatial),
    ("AveragePooling1D", layer_spatial),
    ("AveragePooling2D", layer_spatial),
    ("AveragePooling3D", layer_spatial),
    ("GlobalAveragePooling1D", layer_spatial),
    ("GlobalAveragePooling2D", layer_spatial),
    ("GlobalAveragePooling3D", layer_spatial),
    ("GlobalMaxPooling1D", layer_spatial),
    ("GlobalMaxPooling2D", layer_spatial),
    ("GlobalMaxPooling3D", layer_spatial),
    ("AdaptiveAveragePooling1D", layer_spatial),
    ("AdaptiveAveragePooling2D", layer_spatial),
    ("AdaptiveAveragePooling3D", layer_spatial),
    ("AdaptiveMaxPooling1D", layer_spatial),
    ("AdaptiveMaxPooling2D", layer_spatial),
    ("AdaptiveMaxPooling3D", layer_spatial),
    ("ZeroPadding1D", layer_spatial),
    ("ZeroPadding2D", layer_spatial),
    ("ZeroPadding3D", layer_spatial),
    ("Cropping1D", layer_spatial),
    ("Cropping2D", layer_spatial),
    ("Cropping3D", layer_spatial),
    ("UpSampling1D", layer_spatial),
    ("UpSampling2D", layer_spatial),
    ("UpSampling3D", layer_spatial),
    ("Resizing", layer_spatial),
    ("CenterCrop", layer_spatial),
    ("Rescaling", layer_spatial),
    ("Normalization", layer_spatial),
    ("Attention", layer_attention),
    ("AdditiveAttention", layer_attention),
    ("MultiHeadAttention", layer_multi_head_attention),
    ("GroupQueryAttention", layer_multi_head_attention),
    ("EinsumDense", layer_einsum_dense),
    ("ReversibleEmbedding", layer_reversible_embedding),
    ("SinePositionEncoding", layer_positions),
    ("PositionEmbedding", layer_positions),
    ("RotaryEmbedding", layer_positions),
    ("TransformerEncoder", layer_transformer),
    ("TransformerDecoder", layer_transformer),
    ("Conv1D", layer_conv1d),
    ("Conv2D", layer_conv2d),
    ("Conv3D", layer_conv3d),
    ("Conv1DTranspose", layer_conv_transpose),
    ("Conv2DTranspose", layer_conv_transpose),
    ("Conv3DTranspose", layer_conv_transpose),
    ("ConvLSTM1D", layer_conv_lstm),
    ("ConvLSTM2D", layer_conv_lstm),
    ("ConvLSTM3D", layer_conv_lstm),
    ("DepthwiseConv1D", layer_depthwise_conv),
    ("DepthwiseConv2D", layer_depthwise_conv),
    ("SeparableConv1D", layer_separable_conv),
    ("SeparableConv2D", layer_separable_conv),
    ("SimpleRNNCell", layer_cells),
    ("LSTMCell", layer_cells),
    ("GRUCell", layer_cells),
    ("StackedRNNCells", layer_cells),
    ("SimpleRNN", layer_recurrent),
    ("LSTM", layer_recurrent),
    ("GRU", layer_recurrent),
    ("RNN", layer_recurrent),
    ("Bidirectional", layer_recurrent),
    ("TimeDistributed", layer_recurrent),
];

#[test]
fn every_layer_agrees_with_differences() {
    println!("{:44} {:>9}", "layer", "order 1");
    for (i, (_, f)) in LAYERS.iter().enumerate() {
        if LAYERS[..i].iter().all(|(_, g)| !std::ptr::fn_addr_eq(*g, *f)) {
            f();
        }
    }
}

/// The types of a row of `kind!`: `mod f: A, B with C`, `use A, B`, `also "A": read, "B": read` or `alias "B": A`.
fn members(row: &str) -> Vec<&str> {
    if let Some(list) = row.trim().strip_prefix("also ") {
        return list.split('"').skip(1).step_by(2).collect();
    }
    if row.trim().starts_with("alias ") {
        return Vec::new(); // second names
    }
    let list = row.trim().strip_prefix("use ").or(row.split_once(':').map(|(_, types)| types));
    let own = list.unwrap_or("").split(" with ").next().unwrap_or("");
    own.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_layer_has_a_check() {
    let text = std::fs::read_to_string(source("nn/layers/mod.rs")).unwrap();
    let start = text.find("kind! {").expect("the rows of layers");
    let rows = text[start..].split_once(';').expect("the head of the rows").1;
    let rows = &rows[..rows.find('}').unwrap()];
    let names: Vec<&str> = rows.split(';').flat_map(members).collect();
    assert_eq!(names, gradus::nn::layers::NAMES, "the scan reads the row as the crate does");
    for name in names {
        assert!(
            LAYERS.iter().any(|(layer, _)| *layer == name),
            "layer {name} has no gradient check: add a row to LAYERS"
        );
    }
}

// ---- long tapes

/// A million; fewer in debug builds, where a step takes 20 µs. A stack of 256 KiB holds some 2,000 frames.
const LONG: usize = if cfg!(debug_assertions) { 200_000 } else { 1_000_000 };

/// Runs on a thread whose stack a recursion would overflow at once.
fn on_small_stack(f: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 << 10).spawn(f).unwrap().join().unwrap();
}

#[test]
fn long_tapes_need_no_stack() {
    on_small_stack(|| {
        let x = Tensor::scalar(1.0f32).unwrap().tracked();
        let mut y = x.clone();
        for _ in 0..LONG {
            y = y.affine(1.0, 1e-9).unwrap();
        }
        assert_eq!(y.backward().unwrap().get(&x).unwrap().item().unwrap(), 1.0);
    });
}

#[test]
fn long_tapes_are_dropped_without_recursion() {
    on_small_stack(|| {
        let x = Tensor::scalar(1.0f32).unwrap().tracked();
        let (mut y, mut held) = (x.clone(), Vec::new());
        for i in 0..LONG {
            y = y.neg().unwrap();
            if i % (LONG / 4) == 0 {
                held.push(y.clone());
            }
        }
        drop(y);
        // Parts that something else holds survive the rest.
        assert_eq!(held.remove(1).backward().unwrap().get(&x).unwrap().item().unwrap(), -1.0);
    });
}

#[test]
fn a_long_tape_can_be_differentiated_twice() {
    on_small_stack(|| {
        // f(x) = (x·cⁿ)²: f'' = 2·c²ⁿ, first with n constant factors, then with n products.
        let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{a} but expected {b}");
        let growth = |n: u32| libm::exp(f64::from(n) * libm::log1p(1e-6));
        let x = Tensor::scalar(3.0f64).unwrap().tracked();
        let mut y = x.clone();
        for _ in 0..100_000 {
            y = y.affine(1.0 + 1e-6, 0.0).unwrap();
        }
        let first = grad(&y.square().unwrap(), &[&x]).unwrap().swap_remove(0);
        drop(y);
        let second = first.backward().unwrap();
        close(second.get(&x).unwrap().item().unwrap(), 2.0 * growth(200_000));

        let c = Tensor::scalar(1.0 + 1e-6).unwrap().tracked();
        let n = 10_000;
        let mut y = x.clone();
        for _ in 0..n {
            y = y.mul(&c).unwrap();
        }
        let first = grad(&y.square().unwrap(), &[&x]).unwrap().swap_remove(0);
        let second = first.backward().unwrap();
        close(second.get(&x).unwrap().item().unwrap(), 2.0 * growth(2 * n));
        // ∂/∂c of 2·x·c²ⁿ = 4·n·x·c²ⁿ⁻¹.
        close(second.get(&c).unwrap().item().unwrap(), 4.0 * f64::from(n) * 3.0 * growth(2 * n - 1));
    });
}

#[test]
fn wide_and_shared_tapes() {
    // One leaf used 10,000 times; then a ladder in which every rung is used twice (2^60 paths).
    let x = Tensor::scalar(0.5f64).unwrap().tracked();
    let parts: Vec<Tensor> =
        (0..10_000).map(|i| x.affine(f64::from(i), 0.0).unwrap().expand_dims(0).unwrap()).collect();
    let sum = Tensor::concat(&parts.iter().collect::<Vec<_>>(), 0).unwrap().sum(&[], false).unwrap();
    assert_eq!(sum.backward().unwrap().get(&x).unwrap().item().unwrap(), 49_995_000.0);
    let mut y = x.clone();
    for _ in 0..60 {
        y = y.add(&y).unwrap();
    }
    assert_eq!(y.backward().unwrap().get(&x).unwrap().item().unwrap(), (1u64 << 60) as f64);
}

// ---- operations of the user's own

gradus::op! {
    /// `x³`, as a user would write it.
    struct Cube("cube", 1) {}
}

impl Op for Cube {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Ok(one(inputs[0].shape, inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let x = inputs[0].contiguous()?;
        for (o, x) in outputs[0].slice_mut::<f64>()?.iter_mut().zip(x.slice::<f64>()?) {
            *o = x * x * x;
        }
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::INPUTS
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let slope = step.input(0).square()?.affine(3.0, 0.0)?;
        Ok([Some(step.grad(0)?.mul(&slope)?)].into_iter().collect())
    }
}

gradus::op! {
    /// As [`Cube`] with a mistake in its rule.
    struct Wrong("wrong", 1) {}
}

impl Op for Wrong {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Cube {}.infer(inputs)
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        Cube {}.eval(inputs, outputs)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        Ok([Some(step.grad(0)?.mul(&step.input(0).square()?)?)].into_iter().collect())
    }
}

#[test]
fn an_op_of_the_users_own_is_differentiable() {
    check("cube (an op of the test's own)", &[x(&[2, 3])], |t| apply1(Cube {}, &[&t[0]]));
    let wrong = gradcheck(|t| apply1(Wrong {}, &[&t[0]]), &[x(&[2, 3])]).unwrap();
    assert!(wrong.first > 0.1, "the check sees a wrong rule: {wrong:?}");
}

// ---- parameters without a gradient

/// A layer with a parameter that it forgets to use.
#[derive(Clone, Debug)]
struct ForgetfulNode {
    used: Param,
    idle: Param,
}
gradus::parts!(ForgetfulNode { used, idle });
impl Layer for ForgetfulNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        x.mul(&cx.param(&self.used)?)
    }
}

/// Its description.
#[derive(Debug)]
struct Forgetful;
impl gradus::config::Configured for Forgetful {}
impl Build for Forgetful {
    fn build(&self, _: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let ones = gradus::nn::initializer::Ones.into();
        Ok(Box::new(ForgetfulNode { used: init.param([1], &ones)?, idle: init.param([1], &ones)? }))
    }
}

#[test]
fn the_parameter_that_no_gradient_reached_is_named() {
    let stack = Sequential::new().add(Input::new([2])).add(Forgetful).add(Dense::new(1));
    let mut model = stack.compile(Adam::new(0.1), MeanSquaredError::new(), ()).unwrap();
    let (x, y) = (Tensor::ones([4, 2]).unwrap(), Tensor::zeros([4, 1]).unwrap());
    let before = model.weight_bytes().unwrap();
    let error = model.fit(&x, &y, Fit::new().verbose(0)).unwrap_err().to_string();
    assert!(error.contains("'forgetful/idle'"), "{error}");
    assert_eq!(model.weight_bytes().unwrap(), before, "nothing has changed");
    model.fit(&x, &y, Fit::new().verbose(0).allow_missing_gradients()).unwrap();
    assert_ne!(model.weight_bytes().unwrap(), before);
}

#[test]
fn gradients_of_shapes_without_elements() {
    for shape in [&[0][..], &[0, 3], &[2, 0]] {
        let x = Tensor::zeros(shape).unwrap().tracked();
        let sum = x.exp().unwrap().sum(&[], false).unwrap();
        assert_eq!(sum.item().unwrap(), 0.0);
        assert_eq!(sum.backward().unwrap().get(&x).unwrap().shape(), &Shape::new(shape).unwrap());
    }
    let (a, b) = (Tensor::zeros([2, 0]).unwrap().tracked(), Tensor::zeros([0, 3]).unwrap().tracked());
    let product = a.matmul(&b).unwrap();
    assert_eq!(product.to_vec::<f32>().unwrap(), [0.0; 6]);
    let gradients = product.sum(&[], false).unwrap().backward().unwrap();
    assert_eq!(
        (gradients.get(&a).unwrap().dims(), gradients.get(&b).unwrap().dims()),
        (&[2, 0][..], &[0, 3][..])
    );
}
