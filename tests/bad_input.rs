//! Tests every public operation with arguments that nobody would pass: tensors of every element type, empty, of one
//! element, views that repeat one number 2⁴⁰ times, the ends of every integer type as values, invalid axes and
//! sizes. Each gives an error or a tensor that can be printed; it never panics, and never ends the program: the
//! allocator here refuses any request above 256 MB, and a refused allocation must come back as an error.
//! (`cargo test --test bad_input -- --nocapture` names the operation at which a program ended.)

#![allow(clippy::unwrap_used)]

mod refusing;

use gradus::ops::{
    self, Ellipsis, Interpolation, NewAxis, PadMode, Padding, RecurrentWeights, Slice,
    attention::AttentionOptions,
    conv::Convolution,
    fourier::{Stft, Window},
    matmul::Fused,
    patches::Unfold,
    scatter::Scatter,
    warp::{FillMode, Lookup},
};
use gradus::random::{Distribution, Purpose, Stream};
use gradus::{DType, Error, Result, Shape, Spec, Tensor};
use refusing::Dice;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The arguments of a call.
#[derive(Debug)]
struct Draw {
    x: Tensor,
    y: Tensor,
    z: Tensor,
    axis: isize,
    other: isize,
    at: isize,
    axes: Vec<isize>,
    others: Vec<isize>,
    n: usize,
    sizes: Vec<usize>,
    a: f64,
    b: f64,
    yes: bool,
    dtype: DType,
    stream: Stream,
}

const SIZES: [usize; 12] =
    [0, 1, 1, 2, 3, 5, 1 << 31, 1 << 38, 1 << 40, isize::MAX as usize, usize::MAX / 2, usize::MAX];
const POSITIONS: [isize; 14] = [0, 0, 1, 1, -1, -1, 2, -2, 3, 7, -9, 1 << 40, isize::MAX, isize::MIN];
const REALS: [f64; 14] = [
    0.0,
    1.0,
    -1.0,
    0.5,
    2.7,
    1e-300,
    300.0,
    -300.0,
    1e30,
    -1e300,
    f64::MAX,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

fn padding(d: &Draw) -> Padding {
    let explicit = Padding::Explicit(d.sizes.iter().map(|&n| (n, d.n)).collect());
    [Padding::Valid, Padding::Same, Padding::Causal, explicit.clone(), explicit][d.sizes.len().min(4)].clone()
}

fn interpolation(d: &Draw) -> Interpolation {
    [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Lanczos5]
        [d.sizes.len().min(3)]
}

/// What comes, or images that a kernel fits.
fn images(d: &Draw) -> Result<(Tensor, Tensor)> {
    match d.yes {
        true => Ok((d.x.new_full([1, 4, 2], 0.5)?, d.x.new_full([2, 2, 2], 0.5)?)),
        false => Ok((d.x.clone(), d.y.clone())),
    }
}

/// Strides, dilation, padding and groups that nobody would choose.
fn convolution(d: &Draw) -> Convolution {
    let pairs = d.sizes.iter().map(|&n| (n, d.n)).take(3).collect();
    let padding = [Padding::Valid, Padding::Same, Padding::Causal, Padding::Explicit(pairs)];
    let how = Convolution::new().padding(padding[d.axes.len() % 4].clone());
    let how = if d.n.is_multiple_of(3) { how } else { how.groups(d.n) };
    let how = if d.at % 2 == 0 { how } else { how.strides(&d.sizes) };
    let how = if d.at % 3 == 0 { how.output_padding(&d.sizes) } else { how };
    if d.axis % 2 == 0 { how } else { how.dilation_rate(&d.sizes) }
}

/// What comes, or an image of three channels.
fn picture(d: &Draw) -> Result<Tensor> {
    if d.yes { d.x.new_full([4, 5, 3], 0.5) } else { Ok(d.x.clone()) }
}

/// What comes, or the first place for each element.
fn places(d: &Draw) -> Result<Tensor> {
    if d.yes { d.x.new_full(*d.x.shape(), 0.0)?.cast(DType::I64) } else { Ok(d.y.clone()) }
}

/// What comes, or the first segment for each row.
fn segments(d: &Draw) -> Result<Tensor> {
    match d.x.dims() {
        [rows, ..] if d.yes => d.x.new_full([*rows], 0.0)?.cast(DType::I64),
        _ => Ok(d.y.clone()),
    }
}

/// Sequences that nobody would cut.
fn frames(d: &Draw) -> Stft<'_> {
    let size = |i: usize| d.sizes.get(i).copied().unwrap_or(2);
    let window = [Window::Hann, Window::Hamming, Window::Given(&d.z), Window::Ones][d.axes.len() % 4];
    Stft { window, center: d.yes, ..Stft::new(size(0), size(1), size(2).max(size(0))) }
}

/// Windows that nobody would cut.
fn cut(d: &Draw) -> Unfold {
    let size = |i: usize| d.sizes.get(i).copied().unwrap_or(1);
    Unfold {
        dilation: [1, size(1)],
        padding: [0, size(2)],
        stride: [1, size(3)],
        ..Unfold::new([1, size(0)])
    }
}

fn lookup(d: &Draw) -> Lookup {
    let modes = [FillMode::Constant, FillMode::Nearest, FillMode::Wrap, FillMode::Mirror, FillMode::Reflect];
    Lookup { bilinear: d.yes, fill_mode: modes[d.sizes.len()], fill_value: d.b }
}

/// Tensors of this dtype.
fn tensors(dtype: DType) -> Vec<Tensor> {
    let of = |values: &[f64], dims: &[usize]| Tensor::from_slice(values, dims).unwrap().cast(dtype).unwrap();
    let spread = |values: &[f64], from: &[usize], to: &[usize]| of(values, from).broadcast_to(to).unwrap();
    vec![
        of(&[3.0], &[]),
        of(&[], &[0]),
        of(&[2.0], &[1]),
        of(&[1.0, 0.0, 2.0], &[3]),
        of(&[0.0, 2.0, 1.0, 1.0, 0.0, 2.0], &[2, 3]),
        of(&[2.0, 1.0, 0.0, 1.0, 3.0, 1.0, 0.0, 1.0, 4.0], &[3, 3]),
        of(&[], &[0, 3]),
        of(&[], &[3, 0]),
        of(&[], &[2, 0, 1 << 30]),
        of(&[], &[0, 1 << 30, 1 << 9]),
        of(&[f64::NEG_INFINITY, f64::INFINITY, f64::NAN, -0.0], &[4]),
        of(&[1.0; 8], &[1, 2, 1, 2, 1, 2, 1, 1]),
        spread(&[1.0], &[1], &[1 << 40]),
        spread(&[0.0, 1.0, 2.0], &[3, 1], &[3, 1 << 38]),
        spread(&[0.0, 1.0, 2.0], &[3], &[1 << 38, 3]),
        spread(&[1.0], &[1, 1], &[1 << 30, 1 << 9]),
        spread(&[1.0], &[1, 1, 1], &[1 << 30, 2, 1 << 8]),
    ]
}

fn draw(dice: &mut Dice, pool: &[Vec<Tensor>]) -> Draw {
    let list =
        |dice: &mut Dice| -> Vec<isize> { (0..dice.below(4)).map(|_| dice.pick(&POSITIONS)).collect() };
    let kinds = pool[0].len();
    // Of one dtype or shape more often than chance would have it.
    let (dtype, kind) = (dice.below(pool.len()), dice.below(kinds));
    let tensor = |dice: &mut Dice| {
        let d = if dice.below(2) == 0 { dtype } else { dice.below(pool.len()) };
        let k = if dice.below(3) == 0 { kind } else { dice.below(kinds) };
        let t = pool[d][k].clone();
        if dice.below(4) == 0 { t.tracked() } else { t }
    };
    let (x, y, z) = (tensor(dice), tensor(dice), tensor(dice));
    Draw {
        x,
        y,
        z,
        axis: dice.pick(&POSITIONS),
        other: dice.pick(&POSITIONS),
        at: dice.pick(&POSITIONS),
        axes: list(dice),
        others: list(dice),
        n: dice.pick(&SIZES),
        sizes: (0..dice.below(5)).map(|_| dice.pick(&SIZES)).collect(),
        a: dice.pick(&REALS),
        b: dice.pick(&REALS),
        yes: dice.below(2) == 0,
        dtype: dice.pick(&DType::ALL),
        stream: Stream::new(7, Purpose::User(0), dice.below(9) as u64),
    }
}

type Call = fn(&Draw) -> Result<Vec<Tensor>>;

fn one(t: Result<Tensor>) -> Result<Vec<Tensor>> {
    t.map(|t| vec![t])
}

fn two((a, b): (Tensor, Tensor)) -> Vec<Tensor> {
    vec![a, b]
}

/// A call of each method that is no row of the elementwise tables.
const CALLS: &[(&str, Call)] = &[
    ("take_along_axis", |d| one(d.x.take_along_axis(&d.y, d.axis))),
    ("add_along_axis", |d| one(d.x.add_along_axis(&d.y, d.axis, d.n))),
    ("flatten", |d| one(d.x.flatten())),
    ("moveaxis", |d| one(d.x.moveaxis(d.axis, d.other))),
    ("flip", |d| one(d.x.flip(&d.axes))),
    ("roll", |d| one(d.x.roll(d.at, d.axis))),
    ("repeat", |d| one(d.x.repeat(d.n, d.axis))),
    ("tile", |d| one(d.x.tile(&d.sizes))),
    ("split", |d| d.x.split(&d.sizes, d.axis)),
    ("chunk", |d| d.x.chunk(d.n, d.axis)),
    ("unbind", |d| d.x.unbind(d.axis)),
    ("cast", |d| one(d.x.cast(d.dtype))),
    ("scale", |d| one(d.x.scale(d.a))),
    ("eye", |d| one(Tensor::eye(d.n, *d.sizes.first().unwrap_or(&2), d.at, d.dtype))),
    ("triu", |d| one(d.x.triu(d.at))),
    ("tril", |d| one(d.x.tril(d.at))),
    ("diag", |d| one(d.x.diag(d.at))),
    ("einsum", |d| {
        let equations = [
            "ij,jk->ik",
            "i,i",
            "ij->",
            "ii->i",
            "...i,...i->...",
            "ij,j",
            "a,b->ab",
            "",
            "->",
            "ij,ij->ji",
            "i",
            ",->",
        ];
        let operands = [&d.x, &d.y];
        one(Tensor::einsum(equations[d.n % equations.len()], &operands[..1 + usize::from(d.yes)]))
    }),
    ("tensordot", |d| one(d.x.tensordot(&d.y, &d.axes, if d.yes { &d.axes } else { &d.others }))),
    ("dot", |d| one(d.x.dot(&d.y))),
    ("vdot", |d| one(d.x.vdot(&d.y))),
    ("outer", |d| one(d.x.outer(&d.y))),
    ("kron", |d| one(d.x.kron(&d.y))),
    ("diagonal", |d| one(d.x.diagonal(d.at, d.axis, d.other))),
    ("trace", |d| one(d.x.trace(d.at, d.axis, d.other))),
    ("affine", |d| one(d.x.affine(d.a, d.b))),
    ("clip", |d| one(d.x.clip(d.a, d.b))),
    ("threshold", |d| one(d.x.threshold(d.a, d.b))),
    ("glu", |d| one(d.x.glu(d.axis))),
    ("sparsemax", |d| one(d.x.sparsemax(d.axis))),
    ("gather", |d| one(d.x.gather(&d.y, d.axis))),
    ("scatter_add", |d| {
        if d.yes {
            return one(d.x.scatter_add(&d.y, d.axis, &d.sizes));
        }
        one(d.x.gather(&d.y, d.axis)?.scatter_add(&d.y, d.axis, d.x.dims()))
    }),
    ("one_hot", |d| one(d.x.one_hot(d.n, d.dtype))),
    ("concat", |d| one(Tensor::concat(&[&d.x, &d.y, &d.z][..d.sizes.len().min(3)], d.axis))),
    ("stack", |d| one(Tensor::stack(&[&d.x, &d.y, &d.z][..d.sizes.len().min(3)], d.axis))),
    ("solve", |d| one(d.x.solve(&d.y))),
    ("triangular_solve", |d| one(d.x.triangular_solve(&d.y, d.yes))),
    ("inverse", |d| one(d.x.inverse())),
    ("cholesky", |d| one(d.x.cholesky())),
    ("qr", |d| d.x.qr().map(two)),
    ("slogdet", |d| d.x.slogdet().map(two)),
    ("det", |d| one(d.x.det())),
    ("lstsq", |d| one(d.x.lstsq(&d.y))),
    ("equal", |d| one(d.x.equal(&d.y))),
    ("not_equal", |d| one(d.x.not_equal(&d.y))),
    ("less", |d| one(d.x.less(&d.y))),
    ("less_equal", |d| one(d.x.less_equal(&d.y))),
    ("greater", |d| one(d.x.greater(&d.y))),
    ("greater_equal", |d| one(d.x.greater_equal(&d.y))),
    ("choose", |d| one(if d.yes { d.z.cast(DType::Bool)? } else { d.z.clone() }.choose(&d.x, &d.y))),
    ("is_nan", |d| one(d.x.is_nan())),
    ("is_finite", |d| one(d.x.is_finite())),
    ("is_inf", |d| one(d.x.is_inf())),
    ("logical_xor", |d| one(d.x.logical_xor(&d.y))),
    ("logical_not", |d| one(d.x.logical_not())),
    ("logical_and", |d| one(d.x.logical_and(&d.y))),
    ("logical_or", |d| one(d.x.logical_or(&d.y))),
    ("masked_fill", |d| one(d.x.masked_fill(&d.y, d.a))),
    ("argwhere", |d| one(d.x.argwhere())),
    ("boolean_mask", |d| one(d.x.boolean_mask(&if d.yes { d.y.cast(DType::Bool)? } else { d.y.clone() }))),
    ("matmul", |d| one(d.x.matmul(&if d.yes { d.y.transpose(0, -1)? } else { d.y.clone() }))),
    ("linear", |d| {
        let bias = if d.yes { Some(&d.z) } else { None };
        one(d.x.linear(&d.y, bias, [None, Some(Fused::Relu), Some(Fused::Tanh)][d.n % 3]))
    }),
    ("conv", |d| {
        let (x, k) = images(d)?;
        one(x.conv(&k, if d.yes { None } else { Some(&d.z) }, None, &convolution(d)))
    }),
    ("depthwise_conv", |d| {
        let (x, k) = images(d)?;
        one(x.depthwise_conv(&k, None, Some(Fused::Relu), &convolution(d)))
    }),
    ("separable_conv", |d| {
        let (x, k) = images(d)?;
        let fits = d.yes && d.other % 2 == 0;
        let pointwise = if fits { d.x.new_full([1, 4, 3], 0.5)? } else { d.z.clone() };
        one(x.separable_conv(&k, &pointwise, None, None, &convolution(d)))
    }),
    ("conv_transpose", |d| {
        let (x, k) = images(d)?;
        one(x.conv_transpose(&k, &convolution(d)))
    }),
    ("layer_norm", |d| one(d.x.layer_norm(if d.yes { Some(&d.y) } else { None }, None, d.a))),
    ("rms_normalization", |d| {
        one(d.x.rms_normalization(if d.yes { Some(&d.y) } else { None }, &d.axes, d.a))
    }),
    ("batch_norm", |d| {
        let (y, mean, variance) = d.x.batch_norm(if d.yes { Some(&d.y) } else { None }, None, d.a)?;
        Ok(vec![y, mean, variance])
    }),
    ("mul_add", |d| one(d.x.mul_add(&d.y, &d.z))),
    ("dot_product_attention", |d| {
        let options = AttentionOptions {
            bias: (d.n % 2 > 0).then_some(&d.z),
            mask: (d.at % 2 > 0).then_some(&d.y),
            scale: d.yes.then_some(d.a),
            is_causal: d.axis > 0,
            sliding_window: d.sizes.first().copied(),
            position: (d.other > 1).then_some(&d.z),
            dropout: (d.n % 3 > 1).then_some((d.a, 1.into())),
        };
        if d.yes {
            // With itself, as the queries, keys and values of one sample or more.
            let mut x = d.x.clone();
            while x.rank() < 4 {
                x = x.expand_dims(0)?;
            }
            return one(x.dot_product_attention(
                &x,
                &x,
                AttentionOptions { is_causal: d.axis > 0, ..AttentionOptions::default() },
            ));
        }
        one(d.x.dot_product_attention(&d.y, &d.z, options))
    }),
    ("slice_update", |d| match d.yes {
        true => one(d.x.slice_update(&d.x, &Tensor::scalar(0i64)?, 0)),
        false => one(d.x.slice_update(&d.y, &d.z, d.axis)),
    }),
    // Matrices as a sequence of one row, and as weights of so many gates side by side.
    ("simple_rnn", |d| {
        let (x, kernel) = (d.x.expand_dims(0)?, &d.y);
        let weights = RecurrentWeights {
            kernel,
            recurrent_kernel: kernel,
            bias: if d.yes { Some(&d.z) } else { None },
        };
        x.simple_rnn(&d.x.slice(0, 0, 1)?, &weights, None, d.yes).map(Vec::from)
    }),
    ("lstm", |d| {
        let (x, kernel, h) = (d.x.expand_dims(0)?, &d.y.tile(&[1, 4])?, &d.x.slice(0, 0, 1)?);
        let weights = RecurrentWeights { kernel, recurrent_kernel: kernel, bias: None };
        x.lstm([h, h], &weights, if d.yes { Some(&d.z) } else { None }, d.yes).map(Vec::from)
    }),
    ("gru", |d| {
        let (x, kernel) = (d.x.expand_dims(0)?, &d.y.tile(&[1, 3])?);
        let weights = RecurrentWeights { kernel, recurrent_kernel: kernel, bias: None };
        x.gru(&d.x.slice(0, 0, 1)?, &weights, None, d.yes, d.n == 0).map(Vec::from)
    }),
    ("pad", |d| {
        let padding =
            [PadMode::Constant(d.a), PadMode::Edge, PadMode::Reflect, PadMode::Symmetric, PadMode::Wrap]
                [d.sizes.len()];
        let widths: Vec<(usize, usize)> =
            (0..d.x.rank()).map(|i| (d.n, d.sizes.get(i).copied().unwrap_or(1))).collect();
        one(d.x.pad(if d.yes { &widths } else { &widths[..widths.len() / 2] }, padding))
    }),
    ("max_pool", |d| {
        let strides = [d.n; 4];
        let strides = if d.yes { None } else { Some(&strides[..d.sizes.len().min(4)]) };
        one(d.x.max_pool(&d.sizes, strides, &padding(d)))
    }),
    ("average_pool", |d| {
        let (sizes, strides) =
            (vec![d.n; d.x.rank().saturating_sub(2)], vec![1; d.x.rank().saturating_sub(2)]);
        one(d.x.average_pool(&sizes, if d.yes { None } else { Some(&strides) }, &padding(d)))
    }),
    ("adaptive_max_pool", |d| one(d.x.adaptive_max_pool(&d.sizes))),
    ("adaptive_average_pool", |d| one(d.x.adaptive_average_pool(&vec![d.n; d.x.rank().saturating_sub(2)]))),
    ("resize", |d| one(d.x.resize(&vec![d.n; d.x.rank().saturating_sub(2)], interpolation(d), d.yes))),
    ("upsample", |d| one(d.x.upsample(&vec![d.n; d.x.rank().saturating_sub(2)], interpolation(d)))),
    ("dropout", |d| one(d.x.dropout(d.a, d.stream))),
    ("randn", |d| one(Tensor::randn(&d.sizes, d.stream))),
    ("rand", |d| one(Tensor::rand(&d.sizes, d.stream))),
    ("sample", |d| {
        let distribution = if d.yes {
            Distribution::Normal { mean: d.a, std: d.b }
        } else {
            Distribution::Uniform { low: d.a, high: d.b }
        };
        one(Tensor::sample(&d.sizes, distribution, d.dtype, d.stream))
    }),
    ("randint", |d| one(Tensor::randint(&d.sizes, d.axis as i64, d.at as i64, d.stream))),
    ("bernoulli", |d| one(Tensor::bernoulli(&d.sizes, d.a, d.stream))),
    ("permutation", |d| one(Tensor::permutation(d.n, d.stream))),
    ("shuffle", |d| one(d.x.shuffle(d.axis, d.stream))),
    ("categorical", |d| one(d.x.categorical(d.n, d.stream))),
    ("linspace", |d| one(Tensor::linspace(d.a, d.b, d.n, d.dtype))),
    ("arange_step", |d| {
        one(Tensor::arange_step(d.a, d.b, [1.0, -0.5, 1e-300, 0.0, f64::NAN][d.sizes.len()], d.dtype))
    }),
    ("meshgrid", |d| Tensor::meshgrid(&[&d.x, &d.y, &d.z][..d.sizes.len().min(3)])),
    ("sum", |d| one(d.x.sum(&d.axes, d.yes))),
    ("prod", |d| one(d.x.prod(&d.axes, d.yes))),
    ("mean", |d| one(d.x.mean(&d.axes, d.yes))),
    ("max", |d| one(d.x.max(&d.axes, d.yes))),
    ("min", |d| one(d.x.min(&d.axes, d.yes))),
    ("any", |d| one(d.x.any(&d.axes, d.yes))),
    ("all", |d| one(d.x.all(&d.axes, d.yes))),
    ("argmax", |d| one(d.x.argmax(d.axis))),
    ("argmin", |d| one(d.x.argmin(d.axis))),
    ("cumsum", |d| one(d.x.cumsum(d.axis))),
    ("cumprod", |d| one(d.x.cumprod(d.axis))),
    ("softmax", |d| one(d.x.softmax(d.axis))),
    ("log_softmax", |d| one(d.x.log_softmax(d.axis))),
    ("sparse_cross_entropy", |d| one(d.x.sparse_cross_entropy(&d.y))),
    ("cross_entropy", |d| one(d.x.cross_entropy(&d.y))),
    ("ctc_loss", |d| {
        let (logits, at) = (d.x.expand_dims(0)?, Tensor::full([1], d.at as i64)?);
        if d.yes {
            return one(logits.ctc_loss(&d.y.expand_dims(0)?, &d.z, &at, d.n));
        }
        let (labels, nothing) = (Tensor::full([1, 2], d.at as i64)?, Tensor::full([1], 0i64)?);
        one(logits.ctc_loss(&labels, &nothing, &at, d.n))
    }),
    ("ctc_greedy_decode", |d| {
        let frames = Tensor::full([1], d.at as i64)?;
        d.x.expand_dims(0)?.ctc_greedy_decode(if d.yes { &frames } else { &d.y }, d.yes, d.n).map(two)
    }),
    ("ctc_beam_search_decode", |d| {
        let (frames, paths) = (Tensor::full([1], d.at as i64)?, d.sizes.first().copied().unwrap_or(2));
        d.x.expand_dims(0)?.ctc_beam_search_decode(&frames, d.n, paths, usize::from(d.yes)).map(two)
    }),
    ("argsort", |d| one(d.x.argsort(d.axis, d.yes))),
    ("argpartition", |d| one(d.x.argpartition(d.at, d.axis))),
    ("sort", |d| one(d.x.sort(d.axis, d.yes))),
    ("top_k", |d| d.x.top_k(d.n, d.axis).map(two)),
    ("unique", |d| d.x.unique().map(|u| vec![u.values, u.inverse, u.counts])),
    ("var", |d| one(d.x.var(&d.axes, d.yes, d.n))),
    ("std", |d| one(d.x.std(&d.axes, d.yes, d.n))),
    ("logsumexp", |d| one(d.x.logsumexp(&d.axes, d.yes))),
    ("norm", |d| one(d.x.norm(d.a, &d.axes, d.yes))),
    ("count_nonzero", |d| one(d.x.count_nonzero(&d.axes, d.yes))),
    ("index", |d| {
        one(match d.sizes.len() {
            0 => d.x.index((Ellipsis, &d.y)),
            1 => d.x.index((NewAxis, d.at, Ellipsis, d.other)),
            2 => d.x.index((Slice::from(d.at..d.other).step(d.axis), &d.y)),
            3 => d.x.index(d.axes.clone()),
            _ => d.x.index(if d.yes { d.y.cast(DType::Bool)? } else { d.y.clone() }),
        })
    }),
    ("index_put", |d| {
        one(match d.sizes.len() {
            0 => d.x.index_put((Ellipsis, &d.y), &d.z),
            1 => d.x.index_put(d.at, &d.y),
            2 => d.x.index_put(Slice::from(d.at..d.other).step(d.axis), &d.y),
            3 => d.x.index_put(d.axes.clone(), &d.y),
            _ => d.x.index_put(if d.yes { d.y.cast(DType::Bool)? } else { d.y.clone() }, &d.z),
        })
    }),
    ("reshape", |d| one(d.x.reshape(&d.axes))),
    ("reshape_to", |d| one(d.x.reshape_to(if d.yes { &d.sizes[..] } else { d.y.dims() }))),
    ("permute", |d| one(d.x.permute(&d.axes))),
    ("transpose", |d| one(d.x.transpose(d.axis, d.other))),
    ("t", |d| one(d.x.t())),
    ("broadcast_to", |d| one(d.x.broadcast_to(if d.yes { &d.sizes[..] } else { d.y.dims() }))),
    ("slice", |d| one(d.x.slice(d.axis, d.at, d.other))),
    ("slice_step", |d| {
        one(d.x.slice_step(d.axis, Some(d.at), if d.yes { Some(d.other) } else { None }, d.n as isize))
    }),
    ("select", |d| one(d.x.select(d.axis, d.at))),
    ("squeeze", |d| one(d.x.squeeze(d.axis))),
    ("expand_dims", |d| one(d.x.expand_dims(d.axis))),
    ("merge_axes", |d| one(d.x.merge_axes(d.axis, d.other))),
    ("split_axis", |d| one(d.x.split_axis(d.axis, &d.axes))),
    ("broadcast_like", |d| one(d.x.broadcast_like(&d.y))),
    ("new_full", |d| one(d.x.new_full(if d.yes { &d.sizes[..] } else { d.y.dims() }, 1.5))),
    ("batch_norm", |d| {
        let (y, mean, variance) = d.x.batch_norm(if d.yes { Some(&d.y) } else { None }, None, d.a)?;
        Ok(vec![y, mean, variance])
    }),
    ("mul_add", |d| one(d.x.mul_add(&d.y, &d.z))),
    ("sample_like", |d| {
        let distribution = if d.yes {
            Distribution::Normal { mean: d.a, std: d.b }
        } else {
            Distribution::Uniform { low: d.a, high: d.b }
        };
        one(d.x.sample_like(distribution, d.stream))
    }),
    ("rot90", |d| one(d.x.rot90(d.at, d.axis, d.other))),
    ("unravel_index", |d| d.x.unravel_index(&d.sizes)),
    ("space_to_depth", |d| {
        one(if d.yes { d.x.new_full([1, 4, 4, 2], 0.5)? } else { d.x.clone() }.space_to_depth(d.n))
    }),
    ("depth_to_space", |d| {
        one(if d.yes { d.x.new_full([1, 2, 2, 4], 0.5)? } else { d.x.clone() }.depth_to_space(d.n))
    }),
    ("bitwise_and", |d| one(d.x.bitwise_and(&d.y))),
    ("bitwise_or", |d| one(d.x.bitwise_or(&d.y))),
    ("bitwise_xor", |d| one(d.x.bitwise_xor(&d.y))),
    ("bitwise_not", |d| one(d.x.bitwise_not())),
    ("left_shift", |d| one(d.x.left_shift(&d.y))),
    ("right_shift", |d| one(d.x.right_shift(&d.y))),
    ("gcd", |d| one(d.x.gcd(&d.y))),
    ("lcm", |d| one(d.x.lcm(&d.y))),
    ("signbit", |d| one(d.x.signbit())),
    ("isclose", |d| one(d.x.isclose(&d.y, d.a, d.b, d.yes))),
    ("allclose", |d| one(d.x.allclose(&d.y, d.a, d.b, d.yes))),
    ("nan_to_num", |d| one(d.x.nan_to_num(d.a, Some(d.b), None))),
    ("nansum", |d| one(d.x.nansum(&d.axes, d.yes))),
    ("nanprod", |d| one(d.x.nanprod(&d.axes, d.yes))),
    ("nanmean", |d| one(d.x.nanmean(&d.axes, d.yes))),
    ("nanvar", |d| one(d.x.nanvar(&d.axes, d.yes, d.n))),
    ("nanstd", |d| one(d.x.nanstd(&d.axes, d.yes, d.n))),
    ("nanmax", |d| one(d.x.nanmax(&d.axes, d.yes))),
    ("nanmin", |d| one(d.x.nanmin(&d.axes, d.yes))),
    ("nanargmax", |d| one(d.x.nanargmax(d.axis))),
    ("nanargmin", |d| one(d.x.nanargmin(d.axis))),
    ("nancumsum", |d| one(d.x.nancumsum(d.axis))),
    ("nancumprod", |d| one(d.x.nancumprod(d.axis))),
    ("nanquantile", |d| one(d.x.nanquantile(d.a, &d.axes, d.yes))),
    ("nanmedian", |d| one(d.x.nanmedian(&d.axes, d.yes))),
    ("diff", |d| one(d.x.diff(d.n, d.axis))),
    ("trapezoid", |d| one(d.x.trapezoid(d.a, d.axis))),
    ("ptp", |d| one(d.x.ptp(&d.axes, d.yes))),
    ("average", |d| one(d.x.average(&d.y, &d.axes, d.yes))),
    ("moments", |d| d.x.moments(&d.axes, d.yes).map(|(mean, variance)| vec![mean, variance])),
    ("normalize", |d| one(d.x.normalize(d.a, &d.axes))),
    ("cross", |d| one(d.x.cross(&d.y, d.axis))),
    ("vander", |d| one(d.x.vander(d.n, d.yes))),
    ("tri", |d| one(Tensor::tri(d.n, *d.sizes.first().unwrap_or(&2), d.at, d.dtype))),
    ("cov", |d| one(d.x.cov(d.n))),
    ("corrcoef", |d| one(d.x.corrcoef())),
    ("cdist", |d| one(d.x.cdist(&d.y, d.a))),
    ("psnr", |d| one(d.x.psnr(&d.y, d.a))),
    ("quantile", |d| one(d.x.quantile(d.a, &d.axes, d.yes))),
    ("median", |d| one(d.x.median(&d.axes, d.yes))),
    ("searchsorted", |d| one(d.x.searchsorted(&d.y, d.yes))),
    ("digitize", |d| one(d.x.digitize(&d.y))),
    ("isin", |d| one(d.x.isin(&d.y))),
    ("bincount", |d| one(d.x.bincount(d.n))),
    ("histogram", |d| {
        let range = if d.yes { Some((d.a, d.b)) } else { None };
        d.x.histogram(d.n, range).map(|(counts, edges)| vec![counts, edges])
    }),
    ("logcumsumexp", |d| one(d.x.logcumsumexp(d.axis))),
    ("logspace", |d| one(Tensor::logspace(d.a, d.b, d.n, 10.0, d.dtype))),
    ("geomspace", |d| one(Tensor::geomspace(d.a, d.b, d.n, d.dtype))),
    ("bartlett", |d| one(Tensor::bartlett(d.n, d.dtype))),
    ("blackman", |d| one(Tensor::blackman(d.n, d.dtype))),
    ("hamming", |d| one(Tensor::hamming(d.n, d.dtype))),
    ("hanning", |d| one(Tensor::hanning(d.n, d.dtype))),
    ("kaiser", |d| one(Tensor::kaiser(d.n, d.a, d.dtype))),
    ("eigh", |d| d.x.eigh().map(|(values, vectors)| vec![values, vectors])),
    ("svd", |d| d.x.svd().map(|(u, s, v)| vec![u, s, v])),
    ("pinv", |d| one(d.x.pinv(d.yes.then_some(d.a)))),
    ("matrix_rank", |d| one(d.x.matrix_rank(d.yes.then_some(d.a)))),
    ("matrix_power", |d| one(d.x.matrix_power(d.at as i64))),
    ("matrix_norm", |d| one(d.x.matrix_norm(d.a))),
    ("fft", |d| d.x.fft(if d.yes { &d.x } else { &d.y }).map(two)),
    ("ifft", |d| d.x.ifft(if d.yes { &d.x } else { &d.y }).map(two)),
    ("fft2", |d| d.x.fft2(if d.yes { &d.x } else { &d.y }).map(two)),
    ("ifft2", |d| d.x.ifft2(if d.yes { &d.x } else { &d.y }).map(two)),
    ("rfft", |d| d.x.rfft(d.yes.then_some(d.n)).map(two)),
    ("irfft", |d| one(d.x.irfft(&d.x, d.yes.then_some(d.n)))),
    ("extract_sequences", |d| one(d.x.extract_sequences(d.n, *d.sizes.first().unwrap_or(&1)))),
    ("stft", |d| d.x.stft(&frames(d)).map(two)),
    ("istft", |d| {
        if d.yes {
            let how = Stft::new(4, 2, 5);
            let (re, im) = d.x.new_full([20], d.a)?.stft(&how)?;
            return one(re.istft(&im, &how, Some(d.n)));
        }
        one(d.x.istft(&d.x, &frames(d), None))
    }),
    ("cummax", |d| d.x.cummax(d.axis).map(two)),
    ("cummin", |d| d.x.cummin(d.axis).map(two)),
    ("mode", |d| d.x.mode(d.axis, d.yes).map(two)),
    ("diag_embed", |d| one(d.x.diag_embed(d.at))),
    ("frexp", |d| d.x.frexp().map(two)),
    ("is_posinf", |d| one(d.x.is_posinf())),
    ("is_neginf", |d| one(d.x.is_neginf())),
    ("multi_hot", |d| one(d.x.multi_hot(d.n, d.dtype))),
    ("correlate", |d| one(d.x.correlate(&d.y, &padding(d)))),
    ("max_along_axis", |d| one(d.x.max_along_axis(&places(d)?, d.axis, d.n))),
    ("min_along_axis", |d| one(d.x.min_along_axis(&places(d)?, d.axis, d.n))),
    ("prod_along_axis", |d| one(d.x.prod_along_axis(&places(d)?, d.axis, d.n))),
    ("put_along_axis", |d| one(d.x.put_along_axis(&places(d)?, if d.yes { &d.x } else { &d.z }, d.axis))),
    ("scatter_along_axis", |d| {
        let how = [Scatter::Add, Scatter::Mul, Scatter::Max, Scatter::Min][d.sizes.len().min(3)];
        one(d.x.scatter_along_axis(&places(d)?, if d.yes { &d.x } else { &d.z }, d.axis, how))
    }),
    ("segment_sum", |d| one(d.x.segment_sum(&segments(d)?, d.n))),
    ("segment_mean", |d| one(d.x.segment_mean(&segments(d)?, d.n))),
    ("segment_max", |d| one(d.x.segment_max(&segments(d)?, d.n))),
    ("segment_min", |d| one(d.x.segment_min(&segments(d)?, d.n))),
    ("segment_prod", |d| one(d.x.segment_prod(&segments(d)?, d.n))),
    ("lu_factor", |d| d.x.lu_factor().map(two)),
    ("lu", |d| d.x.lu().map(|(p, l, u)| vec![p, l, u])),
    ("cholesky_inverse", |d| one(d.x.cholesky_inverse())),
    ("extract_patches", |d| {
        let x = picture(d)?;
        let (size, ones) = (vec![d.n; x.rank().saturating_sub(2)], vec![1; x.rank().saturating_sub(2)]);
        one(x.extract_patches(&size, if d.yes { &ones } else { &d.sizes }, &ones, &padding(d)))
    }),
    ("unfold", |d| one(picture(d)?.expand_dims(0)?.unfold(&cut(d)))),
    ("fold", |d| {
        if d.yes {
            return one(d.x.new_full([1, 2, 4], d.a)?.fold([2, 2], &Unfold::new([1, 1])));
        }
        one(d.x.fold([2, d.n], &cut(d)))
    }),
    ("rgb_to_grayscale", |d| one(picture(d)?.rgb_to_grayscale())),
    ("rgb_to_hsv", |d| one(picture(d)?.rgb_to_hsv())),
    ("hsv_to_rgb", |d| one(picture(d)?.hsv_to_rgb())),
    ("crop_images", |d| one(picture(d)?.crop_images(d.n, 0, *d.sizes.first().unwrap_or(&2), 1))),
    ("pad_images", |d| one(picture(d)?.pad_images(d.n, 1, *d.sizes.first().unwrap_or(&9), 9))),
    ("gaussian_blur", |d| one(picture(d)?.gaussian_blur([d.n, 3], [d.a, 1.0]))),
    ("sobel_edges", |d| one(picture(d)?.sobel_edges())),
    ("ssim", |d| {
        let x = if d.yes { d.x.new_full([12, 11, 1], 0.5)? } else { d.x.clone() };
        one(x.ssim(&x, d.a))
    }),
    ("map_coordinates", |d| {
        let at = d.x.new_full([d.x.rank(), 3], d.a)?;
        one(d.x.map_coordinates(if d.yes { &at } else { &d.y }, &lookup(d)))
    }),
    ("affine_transform", |d| {
        let numbers = d.x.new_full([8], d.a)?;
        one(picture(d)?.affine_transform(if d.yes { &numbers } else { &d.y }, &lookup(d)))
    }),
    ("scale_and_translate", |d| {
        let (x, by) = (picture(d)?, Tensor::from_slice(&[d.a, d.b], [2])?);
        let axes: &[isize] = if d.yes { &[0, 1] } else { &d.axes };
        let by = if d.yes { by } else { d.y.clone() };
        let shape = if d.yes { vec![d.n, d.n, 3] } else { d.sizes.clone() };
        one(x.scale_and_translate(&shape, &by, &by, axes, interpolation(d), d.n > 1))
    }),
    ("perspective_transform", |d| {
        let square = Tensor::from_slice(&[0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, d.a], [4, 2])?;
        let x = picture(d)?;
        one(x.perspective_transform(if d.yes { &square } else { &d.y }, &square, d.n > 1, d.b))
    }),
    ("elastic_transform", |d| one(picture(d)?.elastic_transform(d.a, d.b, &lookup(d), d.stream))),
];

/// What can be done with any tensor, and with what was computed from a tracked one.
fn look_at(t: &Tensor) -> Result<()> {
    assert!(!t.to_string().is_empty() && !format!("{t:?}").is_empty());
    if t.elements() == 1 {
        t.item()?;
    }
    if t.elements() < 100 {
        assert_eq!(t.cast(DType::Bool)?.to_vec::<bool>()?.len(), t.elements());
    }
    if t.is_tracked() && t.elements() < 1 << 20 {
        t.sum(&[], false)?.backward()?;
    }
    Ok(())
}

#[test]
fn every_operation_returns_whatever_it_is_given() {
    let unary = ops::UNARY.iter().map(|r| r.name);
    let all: BTreeSet<&str> = ops::OPS.iter().copied().flatten().map(|r| r.name).collect();
    let called: BTreeSet<&str> = CALLS.iter().map(|c| c.0).collect();
    assert_eq!(called, all, "each row of ops::OPS needs a call here");
    let draws: u64 = std::env::var("BAD_INPUT_DRAWS").map_or(2000, |n| n.parse().unwrap());
    let pool: Vec<Vec<Tensor>> = DType::ALL.into_iter().map(tensors).collect();
    let mut wrong = Vec::new();
    let (mut good, mut refused) = (BTreeSet::new(), 0usize);
    let mut check = |name: &'static str, salt: u64, d: Draw, call: &dyn Fn(&Draw) -> Result<Vec<Tensor>>| {
        let came = catch_unwind(AssertUnwindSafe(|| match call(&d) {
            Ok(tensors) => {
                tensors.iter().take(3).for_each(|t| drop(look_at(t)));
                true
            }
            Err(e) => e.to_string().is_empty(),
        }));
        match came {
            Ok(true) => drop(good.insert(name)),
            Ok(false) => refused += 1,
            Err(_) => wrong.push(format!("{name}, draw {salt}: {d:?}")),
        }
    };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|p| eprintln!("{p}")));
    for (number, name) in
        CALLS.iter().map(|c| c.0).chain(unary).chain(ops::BINARY.iter().map(|r| r.name)).enumerate()
    {
        eprintln!("{name}");
        for salt in 0..draws {
            let d = draw(&mut Dice((number as u64) << 32 | salt), &pool);
            let listed = CALLS.iter().find(|c| c.0 == name).map(|c| c.1);
            let one_of = ops::UNARY.iter().find(|r| r.name == name).map(|r| r.apply);
            let two_of = ops::BINARY.iter().find(|r| r.name == name).map(|r| r.apply);
            match (listed, one_of, two_of) {
                (Some(call), ..) => check(name, salt, d, &call),
                (_, Some(f), _) => check(name, salt, d, &|d| one(f(&d.x))),
                (_, _, Some(f)) => check(name, salt, d, &|d| one(f(&d.x, &d.y))),
                _ => unreachable!("{name} is of one of the tables"),
            }
        }
    }
    std::panic::set_hook(hook);
    assert!(
        wrong.is_empty(),
        "{} panics, of which\n{}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
    let never: Vec<_> = CALLS.iter().map(|c| c.0).filter(|name| !good.contains(name)).collect();
    assert!(never.is_empty(), "no draw was good for {never:?}: this test says nothing of them");
    assert!(refused > 1000, "{refused}");
}

fn memory<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::Memory { .. }))
}

/// What once ended a program.
#[test]
fn what_does_not_fit_is_an_error() {
    let stream = Stream::new(0, Purpose::User(0), 0);
    assert!(
        memory(Tensor::permutation(usize::MAX / 2, stream)) && memory(Tensor::permutation(1 << 40, stream))
    );
    assert!(stream.permutation(1 << 40).is_err());
    let wide = Tensor::ones([1]).unwrap().broadcast_to([1 << 40]).unwrap();
    assert!(memory(wide.shuffle(0, stream)) && memory(wide.chunk(1 << 38, 0)) && memory(wide.unbind(0)));
    assert!(memory(wide.to_vec::<f32>()) && memory(wide.contiguous()));
    for over_all in [Tensor::sum, Tensor::max, Tensor::prod, Tensor::mean] {
        assert!(memory(over_all(&wide, &[], false)));
    }
    assert_eq!(
        wide.to_string(),
        "[1.0000, 1.0000, 1.0000, ..., 1.0000, 1.0000, 1.0000] float32 [1099511627776]"
    );
    let many = Tensor::arange(2).unwrap().broadcast_to([1 << 30, 2]).unwrap();
    assert!(many.to_string().starts_with("[[0, 1],\n [0, 1],\n [0, 1],\n ...,\n [0, 1]"), "{many}");
    // Nothing but sizes.
    let none = Tensor::zeros([0, 1 << 20, 1 << 20]).unwrap();
    let (q, r) = none.qr().unwrap();
    assert_eq!((q.dims(), r.dims()), (none.dims(), none.dims()));
    assert_eq!(none.slogdet().unwrap().1.dims(), [0]);
    assert_eq!(none.solve(&none).unwrap().dims(), none.dims());
    assert_eq!(
        Tensor::ones([1]).unwrap().tile(&[7, 5, 3, 1 << 22, 0]).unwrap().dims(),
        [7, 5, 3, 1 << 22, 0]
    );
    for index in [Tensor::from_slice(&[0i64, 1], [2]).unwrap(), Tensor::from_slice(&[0i64; 0], [0]).unwrap()]
    {
        let e = index.one_hot(usize::MAX, DType::F32).unwrap_err();
        assert!(matches!(e, Error::Memory { .. }), "{e}");
    }
    // A matrix product that is empty, of more stacks than can be listed.
    let left = Tensor::ones([1, 1, 0, 2]).unwrap().broadcast_to([1 << 19, 1 << 19, 0, 2]).unwrap();
    let right = Tensor::ones([1 << 10, 1, 2, 3]).unwrap();
    let right = right.broadcast_to([1 << 10, 1 << 9, 2, 3]).unwrap().reshape_to([1 << 19, 1, 2, 3]).unwrap();
    assert_eq!(left.matmul(&right).unwrap().elements(), 0);
    // Vectors with gaps, longer than what kernels may copy.
    let long = Tensor::ones([1, 1]).unwrap().broadcast_to([1, 1 << 27]).unwrap();
    assert!(memory(long.matmul(&long.t().unwrap())));
    assert!(memory(Tensor::filled(Spec::new(Shape::new(&[1 << 34]).unwrap(), DType::I8), 1.0)));
}
