//! Replays the cases that PyTorch's database of operators and ONNX's node tests made (`tests/foreign/torch_cases.py`,
//! `onnx_cases.py`): through the public methods, forwards on two layouts, and backwards. A difference is an error here, or a
//! row of `tests/foreign/explained.txt` with its reason, which `docs/numerics.md` shows.

use crate::calls::{plain, reduced};
use gradus::loss::{CosineSimilarity, Huber, Loss, MeanAbsoluteError};
use gradus::nn::layers::{GroupNormalization, PReLU};
use gradus::nn::{Cx, IntoLayer};
use gradus::ops::attention::AttentionOptions;
use gradus::ops::conv::Convolution;
use gradus::ops::fourier::{Stft, Window};
use gradus::ops::patches::Unfold;
use gradus::ops::{self, Interpolation, PadMode, Padding, RecurrentWeights};
use gradus::ops::{Index, Slice};
use gradus::prelude::{Functional, Input};
use gradus::{DType, Result, Tensor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The rows of `tests/foreign/explained.txt`: a part of what is printed of a case that differs, and why it may.
fn explained() -> Vec<(String, String)> {
    let path = format!("{}/tests/foreign/explained.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|l| !l.starts_with('#')).map(|l| l.split_once('\t').unwrap());
    rows.map(|(part, why)| (part.to_string(), why.to_string())).collect()
}

/// A file of cases; `tests/foreign/packing.py` writes it and says how it is laid out.
pub(crate) struct Pack {
    pub(crate) cases: Vec<Value>,
    data: Vec<u8>,
}

/// The value of a 16-bit float: its bits, and how many of them are the fraction.
fn narrow(bits: u16, fraction: u32) -> f64 {
    let exponent = i32::from(bits & 0x7fff) >> fraction;
    let (top, part) = ((1 << (15 - fraction)) - 1, f64::from(bits & ((1 << fraction) - 1)));
    let (bias, one) = (top >> 1, f64::from(1u32 << fraction));
    let size = if exponent == top {
        if part == 0.0 { f64::INFINITY } else { f64::NAN }
    } else if exponent == 0 {
        libm::scalbn(part / one, 1 - bias)
    } else {
        libm::scalbn(1.0 + part / one, exponent - bias)
    };
    if bits >> 15 == 1 { -size } else { size }
}

impl Pack {
    pub(crate) fn read(name: &str) -> Pack {
        let path = format!("{}/tests/foreign/pack/{name}.bin", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let cases = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        Pack { cases, data: bytes[8 + length..].to_vec() }
    }

    /// The tensor, and the same with other strides.
    pub(crate) fn tensor(&self, of: &Value) -> [Tensor; 2] {
        let shape: Vec<usize> = numbers(&of[1]).iter().map(|&d| d as usize).collect();
        let n = shape.iter().product::<usize>();
        let bytes = &self.data[of[2].as_u64().unwrap() as usize..];
        let spread: Vec<usize> = shape.iter().copied().chain([2]).collect();
        macro_rules! tensors {
            ($type:ty, $size:literal, $decode:expr, $dtype:ident) => {{
                let values: Vec<$type> = bytes[..n * $size].chunks_exact($size).map($decode).collect();
                let twice: Vec<$type> = values.iter().flat_map(|&v| [v, v]).collect();
                let make = |v: &[$type], shape: &[usize]| {
                    Tensor::from_slice(v, shape).unwrap().cast(DType::$dtype).unwrap()
                };
                [make(&values, &shape), make(&twice, &spread).select(-1, 1).unwrap()]
            }};
        }
        match of[0].as_str().unwrap() {
            "f64" => tensors!(f64, 8, |b| f64::from_le_bytes(b.try_into().unwrap()), F64),
            "f32" => tensors!(f32, 4, |b| f32::from_le_bytes(b.try_into().unwrap()), F32),
            "i64" => tensors!(i64, 8, |b| i64::from_le_bytes(b.try_into().unwrap()), I64),
            "i32" => tensors!(i32, 4, |b| i32::from_le_bytes(b.try_into().unwrap()), I32),
            "i8" => tensors!(i64, 1, |b| i64::from(b[0] as i8), I8),
            "u8" => tensors!(u8, 1, |b| b[0], U8),
            "bool" => tensors!(u8, 1, |b| b[0], Bool),
            "f16" => tensors!(f64, 2, |b| narrow(u16::from_le_bytes([b[0], b[1]]), 10), F16),
            "bf16" => tensors!(f64, 2, |b| narrow(u16::from_le_bytes([b[0], b[1]]), 7), BF16),
            other => panic!("{other}"),
        }
    }
}

fn numbers(v: &Value) -> Vec<i64> {
    v.as_array().unwrap().iter().map(|d| d.as_i64().unwrap()).collect()
}

fn number(v: &Value) -> f64 {
    v.as_f64().or_else(|| v.as_str().and_then(|s| s.parse().ok())).unwrap_or_else(|| panic!("no number: {v}"))
}

fn dtype(name: &str) -> DType {
    let all = [
        ("f64", DType::F64),
        ("f32", DType::F32),
        ("i64", DType::I64),
        ("i32", DType::I32),
        ("i8", DType::I8),
    ];
    let more = [("u8", DType::U8), ("bool", DType::Bool), ("f16", DType::F16), ("bf16", DType::BF16)];
    all.iter().chain(&more).find(|d| d.0 == name).unwrap().1
}

/// The arguments of a case.
struct Args<'a>(&'a Value);

impl Args<'_> {
    fn has(&self, key: &str) -> bool {
        !self.0[key].is_null()
    }
    fn f(&self, key: &str) -> f64 {
        number(&self.0[key])
    }
    fn n(&self, key: &str) -> usize {
        self.0[key].as_u64().unwrap_or_else(|| panic!("{key} of {}", self.0)) as usize
    }
    fn i(&self, key: &str) -> isize {
        self.0[key].as_i64().unwrap_or_else(|| panic!("{key} of {}", self.0)) as isize
    }
    fn b(&self, key: &str) -> bool {
        self.0[key].as_bool().unwrap_or(false)
    }
    fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap()
    }
    fn sizes(&self, key: &str) -> Vec<usize> {
        numbers(&self.0[key]).iter().map(|&d| d as usize).collect()
    }
    fn axes(&self, key: &str) -> Vec<isize> {
        numbers(&self.0[key]).iter().map(|&d| d as isize).collect()
    }
    fn pairs(&self, key: &str) -> Vec<(usize, usize)> {
        let pair = |p: &Value| (p[0].as_u64().unwrap() as usize, p[1].as_u64().unwrap() as usize);
        self.0[key].as_array().unwrap().iter().map(pair).collect()
    }
    fn padding(&self) -> Padding {
        if self.0["padding"] == "same" {
            return Padding::Same;
        }
        Padding::Explicit(self.pairs("padding").as_slice().into())
    }
    fn unfold(&self) -> Unfold {
        let pair = |key: &str| <[usize; 2]>::try_from(self.sizes(key)).unwrap();
        Unfold {
            kernel_size: pair("kernel"),
            dilation: pair("dilation"),
            padding: pair("padding"),
            stride: pair("stride"),
        }
    }
    fn window(&self) -> Convolution {
        Convolution::new().strides(self.sizes("strides")).dilation_rate(self.sizes("dilation"))
    }
}

/// What is in the brackets.
fn items(v: &Value) -> Vec<Index> {
    let item = |v: &Value| -> Index {
        if let Some(at) = v["at"].as_i64() {
            return Index::At(at as isize);
        }
        if v["list"].is_array() {
            return Index::List(numbers(&v["list"]).iter().map(|&i| i as isize).collect());
        }
        if v["slice"].is_array() {
            let part = |i: usize| v["slice"][i].as_i64().map(|i| i as isize);
            let slice: Slice = match (part(0), part(1)) {
                (Some(a), Some(b)) => (a..b).into(),
                (Some(a), None) => (a..).into(),
                (None, Some(b)) => (..b).into(),
                (None, None) => (..).into(),
            };
            return Index::Slice(slice.step(part(2).unwrap_or(1)));
        }
        if v == "new" { Index::NewAxis } else { Index::Ellipsis }
    };
    v.as_array().unwrap().iter().map(item).collect()
}

/// Calls the method of this name.
fn call(name: &str, args: &Value, x: &[Tensor]) -> Result<Vec<Tensor>> {
    let a = Args(args);
    if let (Some(row), false) = (ops::UNARY.iter().find(|r| r.name == name), a.has("p")) {
        return Ok(vec![(row.apply)(&x[0])?]);
    }
    let all: Vec<&Tensor> = x.iter().collect();
    let (axes, keep) = (if a.has("axes") { a.axes("axes") } else { Vec::new() }, a.b("keepdims"));
    let axis = if a.has("axis") { a.i("axis") } else { 0 };
    let two = |(first, second): (Tensor, Tensor)| vec![first, second];
    let of = if a.has("dtype") { dtype(a.text("dtype")) } else { DType::F64 };
    if let Some(y) = plain(name, x).or_else(|| reduced(name, x.first()?, &axes, keep)) {
        return Ok(vec![y?]);
    }
    Ok(vec![match name {
        "leaky_relu" => x[0].leaky_relu(a.f("p")),
        "elu" => x[0].elu(a.f("p")),
        "celu" => x[0].celu(a.f("p")),
        "soft_shrink" => x[0].soft_shrink(a.f("p")),
        "hard_shrink" => x[0].hard_shrink(a.f("p")),
        "polygamma" => x[0].polygamma(a.f("p")),
        "threshold" => x[0].threshold(a.f("threshold"), a.f("default")),
        "clip" => x[0].clip(a.f("low"), a.f("high")),
        "cast" => x[0].cast(dtype(a.text("to"))),
        "nan_to_num" => {
            let end = |key: &str| a.has(key).then(|| a.f(key));
            x[0].nan_to_num(a.f("nan"), end("posinf"), end("neginf"))
        }
        "isclose" => x[0].isclose(&x[1], a.f("rtol"), a.f("atol"), a.b("equal_nan")),
        "allclose" => x[0].allclose(&x[1], a.f("rtol"), a.f("atol"), a.b("equal_nan")),
        "matmul" => x[0].matmul(&x[1]),
        "linear" => x[0].linear(&x[1], x.get(2), None),
        "dot" => x[0].dot(&x[1]),
        "vdot" => x[0].vdot(&x[1]),
        "outer" => x[0].outer(&x[1]),
        "kron" => x[0].kron(&x[1]),
        "cross" => x[0].cross(&x[1], axis),
        "einsum" => Tensor::einsum(a.text("equation"), &all),
        "tensordot" => x[0].tensordot(&x[1], &a.axes("axes"), &a.axes("others")),
        "var" => x[0].var(&axes, keep, a.n("ddof")),
        "std" => x[0].std(&axes, keep, a.n("ddof")),
        "moments" => return x[0].moments(&axes, keep).map(|(mean, var)| vec![mean, var]),
        "norm" => x[0].norm(a.f("p"), &axes, keep),
        "normalize" => x[0].normalize(a.f("p"), &axes),
        "quantile" => x[0].quantile(a.f("q"), &axes, keep),
        "nanquantile" => x[0].nanquantile(a.f("q"), &axes, keep),
        "argmax" | "argmin" => {
            let (t, axis) = if a.has("axis") { (x[0].clone(), axis) } else { (x[0].reshape([-1])?, 0) };
            if name == "argmax" { t.argmax(axis) } else { t.argmin(axis) }
        }
        "cumsum" => x[0].cumsum(axis),
        "cumprod" => x[0].cumprod(axis),
        "logcumsumexp" => x[0].logcumsumexp(axis),
        "diff" => x[0].diff(a.n("n"), axis),
        "trapezoid" => x[0].trapezoid(a.f("dx"), axis),
        "softmax" => x[0].softmax(axis),
        "log_softmax" => x[0].log_softmax(axis),
        "sparse_cross_entropy" => x[0].sparse_cross_entropy(&x[1]),
        "cross_entropy" => x[0].cross_entropy(&x[1]),
        "flip" => x[0].flip(&axes),
        "roll" => x[0].roll(a.i("shift"), axis),
        "rot90" => x[0].rot90(a.i("times"), a.i("first"), a.i("second")),
        "tile" => x[0].tile(&a.sizes("times")),
        "repeat" => x[0].repeat(a.n("times"), axis),
        "split" => return x[0].split(&a.sizes("sizes"), axis),
        "chunk" => return x[0].chunk(a.n("n"), axis),
        "unbind" => return x[0].unbind(axis),
        "concat" => Tensor::concat(&all, axis),
        "stack" => Tensor::stack(&all, axis),
        "meshgrid" => return Tensor::meshgrid(&all),
        "permute" => x[0].permute(&a.axes("order")),
        "transpose" => x[0].transpose(a.i("a"), a.i("b")),
        "t" => {
            let t = &x[0];
            if t.rank() < 2 { Ok(t.clone()) } else { t.t() }
        }
        "moveaxis" => x[0].moveaxis(a.i("a"), a.i("b")),
        "reshape" => x[0].reshape(a.axes("sizes")),
        "reshape_to" => x[0].reshape_to(a.sizes("shape")),
        "flatten" => x[0].reshape([-1]),
        "merge_axes" => x[0].merge_axes(a.i("first"), a.i("last")),
        "split_axis" => x[0].split_axis(axis, &a.axes("sizes")),
        "broadcast_to" => x[0].broadcast_to(a.sizes("shape")),
        "squeeze" => x[0].squeeze(axis),
        "expand_dims" => x[0].expand_dims(axis),
        "slice" => x[0].slice(axis, a.i("start"), a.i("end")),
        "select" => x[0].select(axis, a.i("index")),
        "index" => match items(&args["items"]).as_slice() {
            [i] => x[0].index(i.clone()),
            [i, j] => x[0].index((i.clone(), j.clone())),
            [i, j, k] => x[0].index((i.clone(), j.clone(), k.clone())),
            other => panic!("{} items", other.len()),
        },
        "index_put" => x[0].index_put(x[1].clone(), &x[2]),
        "diagonal" => x[0].diagonal(a.i("offset"), a.i("a"), a.i("b")),
        "trace" => x[0].trace(a.i("offset"), a.i("a"), a.i("b")),
        "diag" => x[0].diag(a.i("k")),
        "tril" => x[0].tril(a.i("k")),
        "triu" => x[0].triu(a.i("k")),
        "gather" => x[0].gather(&x[1], axis),
        "take_along_axis" => x[0].take_along_axis(&x[1], axis),
        "add_along_axis" => x[0].add_along_axis(&x[1], axis, a.n("size")),
        "scatter_add" => x[0].scatter_add(&x[1], axis, a.sizes("shape")),
        "masked_fill" => x[0].masked_fill(&x[1], a.f("value")),
        "boolean_mask" => x[0].boolean_mask(&x[1]),
        "argwhere" => x[0].argwhere(),
        "sort" => x[0].sort(axis, a.b("descending")),
        "argsort" => x[0].argsort(axis, a.b("descending")),
        "top_k" => return x[0].top_k(a.n("k"), axis).map(|(values, at)| vec![values, at]),
        "unique" => return x[0].unique().map(|u| vec![u.values, u.inverse, u.counts]),
        "searchsorted" => x[0].searchsorted(&x[1], a.b("right")),
        "bincount" => x[0].bincount(a.n("least")),
        "unravel_index" => return x[0].unravel_index(a.sizes("shape")),
        "one_hot" => x[0].one_hot(a.n("classes"), DType::I64),
        "one_hot_values" => {
            x[0].one_hot(a.n("classes"), DType::F64)?.affine(a.f("on") - a.f("off"), a.f("off"))
        }
        "cdist" => x[0].cdist(&x[1], a.f("p")),
        "cov" => x[0].cov(a.n("ddof")),
        "vander" => x[0].vander(a.n("n"), a.b("increasing")),
        "inverse" => x[0].inverse(),
        "slogdet" => return x[0].slogdet().map(|(sign, log)| vec![sign, log]),
        "solve" => x[0].solve(&x[1]),
        "triangular_solve" => x[0].triangular_solve(&x[1], a.b("lower")),
        "cholesky_symmetric" => {
            let n = x[0].dims()[x[0].rank() - 1];
            x[0].matmul(&x[0].t()?)?.add(&Tensor::eye(n, n, 0, x[0].dtype())?)?.cholesky()
        }
        "qr_positive" => {
            let r = x[0].qr()?.1;
            r.mul(&r.diagonal(0, -2, -1)?.sign()?.expand_dims(-1)?)
        }
        "eigenvalues" => x[0].add(&x[0].t()?)?.affine(0.5, 0.0)?.eigh().map(|e| e.0),
        "singular_values" => x[0].svd().map(|s| s.1),
        "pinv" => x[0].pinv(a.has("rtol").then(|| a.f("rtol"))),
        "matrix_rank" => x[0].matrix_rank(None),
        "matrix_power" => x[0].matrix_power(a.i("n") as i64),
        "matrix_norm" => x[0].matrix_norm(a.f("p")),
        "lstsq" => x[0].lstsq(&x[1]),
        "pad" => {
            let mode = match a.text("mode") {
                "constant" => PadMode::Constant(a.f("value")),
                "edge" => PadMode::Edge,
                "reflect" => PadMode::Reflect,
                "wrap" => PadMode::Wrap,
                other => panic!("{other}"),
            };
            x[0].pad(&a.pairs("widths"), mode)
        }
        "conv" => x[0].conv(&x[1], x.get(2), None, &a.window().padding(a.padding()).groups(a.n("groups"))),
        "depthwise_conv" => x[0].depthwise_conv(&x[1], x.get(2), None, &a.window().padding(a.padding())),
        "conv_transpose" => x[0].conv_transpose(&x[1], &a.window().output_padding(a.sizes("more"))),
        "average_pool" => x[0].average_pool(&a.sizes("size"), Some(&a.sizes("strides")), &a.padding()),
        "max_pool" => x[0].max_pool(&a.sizes("size"), Some(&a.sizes("strides")), &a.padding()),
        "adaptive_average_pool" => x[0].adaptive_average_pool(&a.sizes("sizes")),
        "adaptive_max_pool" => x[0].adaptive_max_pool(&a.sizes("sizes")),
        "resize" => {
            let how = if a.text("interpolation") == "nearest" {
                Interpolation::Nearest
            } else {
                Interpolation::Bilinear
            };
            x[0].resize(&a.sizes("sizes"), how, a.b("antialias"))
        }
        "depth_to_space" => x[0].depth_to_space(a.n("block")),
        "space_to_depth" => x[0].space_to_depth(a.n("block")),
        "batch_norm" => x[0].batch_norm(x.get(1), x.get(2), a.f("epsilon")).map(|y| y.0),
        "layer_norm" => x[0].layer_norm(x.get(1), x.get(2), a.f("epsilon")),
        "glu" => x[0].glu(axis),
        "dot_product_attention" => {
            let given = x.get(3);
            let options = AttentionOptions {
                bias: given.filter(|t| t.dtype() != DType::Bool),
                mask: given.filter(|t| t.dtype() == DType::Bool),
                scale: a.has("scale").then(|| a.f("scale")),
                is_causal: a.b("causal"),
                ..AttentionOptions::default()
            };
            x[0].dot_product_attention(&x[1], &x[2], options)
        }
        "ctc_loss" => x[0].ctc_loss(&x[1], &x[2], &x[3], a.n("blank")),
        "lstm" | "gru" | "simple_rnn" => {
            let weights = RecurrentWeights { kernel: &x[1], recurrent_kernel: &x[2], bias: x.get(4) };
            match name {
                "lstm" => x[0].lstm([&x[3], &x[3]], &weights, None, a.b("back"))?[1].clone(),
                "gru" => x[0].gru(&x[3], &weights, None, a.b("after"), a.b("back"))?[1].clone(),
                _ => x[0].simple_rnn(&x[3], &weights, None, a.b("back"))?[1].clone(),
            }
            .reshape_to(*x[3].shape())
        }
        "median" => x[0].median(&axes, keep),
        "nanmedian" => x[0].nanmedian(&axes, keep),
        "mode" => x[0].mode(axis, keep).map(|m| m.0),
        "cummax" => x[0].cummax(axis).map(|c| c.0),
        "cummin" => x[0].cummin(axis).map(|c| c.0),
        "diag_embed" => x[0].diag_embed(a.i("k")),
        "histogram" => {
            let range = a.0["range"].as_array().map(|r| (number(&r[0]), number(&r[1])));
            return x[0].histogram(a.n("bins"), range).map(two);
        }
        "is_posinf" => x[0].is_posinf(),
        "is_neginf" => x[0].is_neginf(),
        "frexp" => return x[0].frexp().map(two),
        "fft" => return x[0].fft(&x[1]).map(two),
        "ifft" => return x[0].ifft(&x[1]).map(two),
        "fft2" => return x[0].fft2(&x[1]).map(two),
        "ifft2" => return x[0].ifft2(&x[1]).map(two),
        "rfft" => return x[0].rfft(a.has("n").then(|| a.n("n"))).map(two),
        "irfft" => x[0].irfft(&x[1], a.has("n").then(|| a.n("n"))),
        "lu" => return x[0].lu().map(|(p, l, u)| vec![p, l, u]),
        "lu_factor" => return x[0].lu_factor().map(two),
        "logdet" => x[0].slogdet().map(|(_, log)| log),
        "cholesky_inverse" => x[0].cholesky_inverse(),
        "put_along_axis" => x[0].put_along_axis(&x[1], &x[2], axis),
        "scatter_along_axis" => x[0].scatter_along_axis(&x[1], &x[2], axis, a.text("how").parse()?),
        "segment_sum" => x[0].segment_sum(&x[1], a.n("n")),
        "segment_mean" => x[0].segment_mean(&x[1], a.n("n")),
        "segment_max" => x[0].segment_max(&x[1], a.n("n")),
        "segment_min" => x[0].segment_min(&x[1], a.n("n")),
        "segment_prod" => x[0].segment_prod(&x[1], a.n("n")),
        "extract_sequences" => x[0].extract_sequences(a.n("length"), a.n("stride")),
        "unfold" => x[0].unfold(&a.unfold()),
        "fold" => x[0].fold(<[usize; 2]>::try_from(a.sizes("size")).unwrap(), &a.unfold()),
        "stft" => {
            let window = x.get(1).map_or(Window::Ones, Window::Given);
            let (length, stride) = (a.n("length"), a.n("stride"));
            return x[0].stft(&Stft { window, center: false, ..Stft::new(length, stride, length) }).map(two);
        }
        "hard_sigmoid_of" => x[0].affine(a.f("scale"), a.f("shift"))?.hard_sigmoid(),
        "rms_normalization" => x[0].rms_normalization(x.get(1), &axes, a.f("epsilon")),
        "GroupNormalization" => {
            let layer = GroupNormalization::new().groups(a.i("groups")).epsilon(a.f("epsilon"));
            layered(layer.scale(x.len() > 1).center(x.len() > 2), x)
        }
        "PReLU" => layered(PReLU::new().shared_axes(a.axes("shared")), x),
        "slice_step" => {
            let end = |key: &str| a.has(key).then(|| a.i(key));
            x[0].slice_step(axis, end("start"), end("end"), a.i("step"))
        }
        "slice_update" => x[0].slice_update(&x[1], &x[2], axis),
        "upsample" => x[0].upsample(&a.sizes("factors"), Interpolation::Nearest),
        "MeanAbsoluteError" => MeanAbsoluteError::new().call(&x[1], &x[0]),
        "Huber" => Huber::new().delta(a.f("p")).call(&x[1], &x[0]),
        "CosineSimilarity" => CosineSimilarity::new().call(&x[1], &x[0]),
        "new_full" => x[0].new_full(a.sizes("shape"), a.f("value")),
        "eye" => Tensor::eye(a.n("rows"), a.n("columns"), if a.has("k") { a.i("k") } else { 0 }, of),
        "arange_step" => Tensor::arange_step(a.f("start"), a.f("stop"), a.f("step"), of),
        "linspace" => Tensor::linspace(a.f("start"), a.f("stop"), a.n("n"), DType::F64),
        "logspace" => Tensor::logspace(a.f("start"), a.f("stop"), a.n("n"), a.f("base"), DType::F64),
        "bartlett" => Tensor::bartlett(a.n("n"), DType::F64),
        "blackman" => Tensor::blackman(a.n("n"), of),
        "hamming" => Tensor::hamming(a.n("n"), of),
        "hanning" => Tensor::hanning(a.n("n"), of),
        "kaiser" => Tensor::kaiser(a.n("n"), a.f("beta"), DType::F64),
        other => panic!("no operation for {other}"),
    }?])
}

/// Calls a layer whose parameters are all tensors but the first.
fn layered(layer: impl IntoLayer, x: &[Tensor]) -> Result<Tensor> {
    let input = match x[0].dims()[1..] {
        [a] => Input::new([a]),
        [a, b] => Input::new([a, b]),
        [a, b, c] => Input::new([a, b, c]),
        _ => panic!("a layer of {:?}", x[0].dims()),
    };
    let mut network =
        Functional::new(&input, &layer.into_layer().on(&input)?)?.dtype(x[0].dtype()).build()?;
    let names: Vec<String> = network.params().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), x.len() - 1, "{names:?}");
    let values: Vec<(String, Tensor)> = names.into_iter().zip(x[1..].iter().cloned()).collect();
    network.set_params(&values)?;
    network.forward(&x[0], &mut Cx::train(0, 0))
}

fn floats(t: &Tensor) -> Vec<f64> {
    t.cast(DType::F64).unwrap().to_vec().unwrap()
}

/// What flows into element `i` of an output; `tests/foreign/packing.py` computes the same.
fn cotangent(i: usize) -> f64 {
    ((i * 7919 + 13) % 97) as f64 / 97.0 + 0.5
}

/// Holds each element to another program's, in proportion to it or, if that is more, to `floor`.
fn compare(
    what: &str,
    got: &Tensor,
    want: &Tensor,
    tolerance: f64,
    floor: impl Fn(f64) -> f64,
) -> std::result::Result<(), String> {
    if got.dims() != want.dims() {
        return Err(format!("{what}: shape {:?}, not {:?}", got.dims(), want.dims()));
    }
    let (g, w) = (floats(got), floats(want));
    let largest = w.iter().filter(|w| w.is_finite()).fold(0.0f64, |m, w| m.max(w.abs()));
    for (i, (g, w)) in g.iter().zip(&w).enumerate() {
        let near =
            g == w || g.is_nan() && w.is_nan() || (g - w).abs() <= tolerance * w.abs().max(floor(largest));
        if !near {
            return Err(format!("{what}[{i}]: {g:e}, not {w:e} (largest {largest:e})"));
        }
    }
    Ok(())
}

/// Operations whose results are right in proportion to a whole matrix, or sums of many terms.
const LINEAR: &[&str] = &[
    "solve",
    "triangular_solve",
    "inverse",
    "det",
    "slogdet",
    "logdet",
    "lu",
    "lu_factor",
    "cholesky_inverse",
    "lstsq",
    "pinv",
    "matrix_power",
    "matrix_norm",
    "cholesky_symmetric",
    "qr_positive",
    "eigenvalues",
    "singular_values",
];

/// Runs a case; what differs.
fn replay(pack: &Pack, case: &Value) -> std::result::Result<(), String> {
    let name = case["op"].as_str().unwrap();
    let inputs: Vec<[Tensor; 2]> = case["in"].as_array().unwrap().iter().map(|t| pack.tensor(t)).collect();
    let wants: Vec<Tensor> =
        case["out"].as_array().unwrap().iter().map(|t| pack.tensor(t)[0].clone()).collect();
    let tracked = !case["grad"].is_null();
    let leaves: Vec<Tensor> = inputs
        .iter()
        .map(|[t, _]| if tracked && t.dtype() == DType::F64 { t.tracked() } else { t.clone() })
        .collect();
    let spread: Vec<Tensor> = inputs.iter().map(|t| t[1].clone()).collect();
    // An elementwise function has the digits of each result; a sum has those of its terms.
    let alone = ops::UNARY.iter().any(|r| r.name == name)
        || ops::BINARY.iter().any(|r| r.name == name && name != "binary_cross_entropy");
    let got = call(name, &case["args"], &leaves).map_err(|e| format!("refused: {e}"))?;
    if got.len() != wants.len() {
        return Err(format!("{} results, not {}", got.len(), wants.len()));
    }
    for (i, (got, want)) in got.iter().zip(&wants).enumerate() {
        let single = want.dtype() == DType::F32 || inputs.iter().any(|t| t[0].dtype() == DType::F32);
        let slack = if LINEAR.contains(&name) { 100.0 } else { 1.0 };
        let tolerance = slack * if single { 4e-6 } else { 1e-12 };
        compare(&format!("result {i}"), got, want, tolerance, |l| if alone { 1e-30 } else { l * 0.1 })?;
        if got.dtype() != want.dtype() {
            return Err(format!("{:?}, not {:?}", got.dtype(), want.dtype()));
        }
    }
    // Another layout, the same bits.
    for (a, b) in got.iter().zip(call(name, &case["args"], &spread).map_err(|e| format!("strided: {e}"))?) {
        if !a.detach().same_bits(&b) {
            return Err("other bits from other strides".into());
        }
    }
    let Some(wanted) = case["grad"].as_array() else { return Ok(()) };
    let mut loss: Option<Tensor> = None;
    for y in got.iter().filter(|y| y.is_tracked()) {
        let weights: Vec<f64> = (0..y.elements()).map(cotangent).collect();
        let weights = Tensor::from_slice(&weights, *y.shape()).unwrap();
        let part = y.mul(&weights).and_then(|y| y.sum(&[], false)).map_err(|e| e.to_string())?;
        loss = Some(match loss {
            Some(l) => l.add(&part).map_err(|e| e.to_string())?,
            None => part,
        });
    }
    let Some(loss) = loss else {
        // A constant, such as a matrix to the power of 0.
        let none = wanted
            .iter()
            .filter(|w| !w.is_null())
            .all(|w| floats(&pack.tensor(w)[0]).iter().all(|&w| w == 0.0));
        return if none { Ok(()) } else { Err("no gradient".into()) };
    };
    let gradients = loss.backward().map_err(|e| format!("backward: {e}"))?;
    for (i, (leaf, want)) in leaves.iter().zip(wanted).enumerate() {
        if want.is_null() {
            continue;
        }
        let want = &pack.tensor(want)[0];
        let slack = if LINEAR.contains(&name) { 1e4 } else { 10.0 };
        match gradients.get(leaf) {
            Some(got) => {
                compare(&format!("gradient {i}"), got, want, slack * 1e-12, |l| (l * 1e-2).max(1e-2))?
            }
            None if floats(want).iter().all(|&w| w == 0.0) => {}
            None => return Err(format!("gradient {i}: none")),
        }
    }
    Ok(())
}

/// Runs a case of zeros, infinities, NaN and tiny numbers; what differs at each of them, with the operands. Results have the digits
/// of each, gradients those of each or of 0.01.
fn edges(pack: &Pack, case: &Value) -> (usize, Vec<String>) {
    let name = case["op"].as_str().unwrap();
    let inputs: Vec<Tensor> =
        case["in"].as_array().unwrap().iter().map(|t| pack.tensor(t)[0].clone()).collect();
    let operands: Vec<Vec<f64>> = inputs.iter().map(floats).collect();
    let leaves: Vec<Tensor> = inputs.iter().map(Tensor::tracked).collect();
    let y = match call(name, &case["args"], &leaves) {
        Ok(y) => y[0].clone(),
        Err(e) => return (1, vec![format!("refused: {e}")]),
    };
    let mut pairs = vec![("result".to_string(), floats(&y), floats(&pack.tensor(&case["out"][0])[0]))];
    if let Some(wanted) = case["grad"].as_array() {
        let weights: Vec<f64> = (0..y.elements()).map(cotangent).collect();
        let weights = Tensor::from_slice(&weights, *y.shape()).unwrap();
        let loss = y.mul(&weights).unwrap().sum(&[], false).unwrap();
        let gradients = loss.backward().unwrap();
        for (i, (leaf, want)) in leaves.iter().zip(wanted).enumerate().filter(|(_, (_, w))| !w.is_null()) {
            let want = floats(&pack.tensor(want)[0]);
            let got = gradients.get(leaf).map_or(vec![0.0; want.len()], floats);
            pairs.push((format!("gradient {i}"), got, want));
        }
    }
    let mut wrong = Vec::new();
    for (what, got, want) in &pairs {
        let (tolerance, floor) = if what == "result" { (1e-12, 0.0) } else { (1e-11, 1e-2) };
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            let near = (g - w).abs() <= tolerance * w.abs().max(floor) + 1e-322;
            if g == w || g.is_nan() && w.is_nan() || near {
                continue;
            }
            let at: Vec<f64> = operands.iter().map(|o| o[i]).collect();
            let with = if at.iter().any(|v| v.is_nan()) {
                "NaN"
            } else if at.iter().any(|v| v.is_infinite()) {
                "infinity"
            } else {
                "numbers"
            };
            wrong.push(format!("{what} of {with} {at:?}: {g:e}, not {w:e}"));
        }
    }
    (pairs.iter().map(|p| p.1.len()).sum(), wrong)
}

const START: &str =
    "<!-- differences: made by `UPDATE_SNAPSHOTS=1 cargo test --test all foreign_suites` -->\n";
const END: &str = "<!-- end of differences -->";

#[test]
fn pytorch_and_onnx_agree() {
    let rows = explained();
    let (mut wrong, mut reasons, mut used) = (Vec::new(), BTreeMap::new(), vec![0usize; rows.len()]);
    let mut point_reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut operations = std::collections::BTreeSet::new();
    let (mut total, mut points, mut other_points) = (0, 0, 0);
    for name in ["torch", "onnx"] {
        let pack = Pack::read(name);
        let gradients = pack.cases.iter().filter(|c| !c["grad"].is_null()).count();
        println!("{name}: {} cases, {gradients} with gradients", pack.cases.len());
        for case in &pack.cases {
            operations.insert(case["op"].as_str().unwrap().to_string());
            let from = case["from"].as_str().unwrap();
            if from.starts_with("torch edges") {
                let (count, differ) = edges(&pack, case);
                points += count;
                for what in differ.iter().map(|d| format!("{from}: {d}")) {
                    match rows.iter().position(|e| what.contains(&e.0)) {
                        Some(row) => {
                            used[row] += 1;
                            other_points += 1;
                            *point_reasons.entry(rows[row].1.clone()).or_insert(0) += 1;
                        }
                        None => wrong.push(what),
                    }
                }
                continue;
            }
            total += 1;
            let Err(why) = replay(&pack, case) else { continue };
            let shapes: Vec<String> = case["in"]
                .as_array()
                .unwrap()
                .iter()
                .map(|t| format!("{}{}", t[0].as_str().unwrap(), t[1]))
                .collect();
            let what = format!(
                "{from}: {} {} of {}: {why}",
                case["op"].as_str().unwrap(),
                case["args"],
                shapes.join(" ")
            );
            match rows.iter().position(|e| what.contains(&e.0)) {
                Some(row) => {
                    used[row] += 1;
                    *reasons.entry(rows[row].1.clone()).or_insert(0) += 1;
                }
                None => wrong.push(what),
            }
        }
    }
    let explained = used.iter().sum::<usize>() - other_points;
    let mut list =
        format!("{total} cases of {} operations, of which {explained} differ:\n\n", operations.len());
    for (reason, count) in &reasons {
        writeln!(list, "- {reason}: {count}.").unwrap();
    }
    write!(
        list,
        "\n{points} values and gradients of elementwise functions at zeros, infinities, NaN and numbers of any size, of which \
         {other_points} differ from PyTorch's:\n\n"
    )
    .unwrap();
    for (reason, count) in &point_reasons {
        writeln!(list, "- {reason}: {count}.").unwrap();
    }
    println!("{list}");
    println!(
        "PyTorch and ONNX: {total} cases, {points} points, {} explained, {} unexplained",
        explained + other_points,
        wrong.len()
    );
    assert!(total > 3000 && wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let stale: Vec<&str> =
        rows.iter().zip(&used).filter(|(_, n)| **n == 0).map(|(e, _)| e.0.as_str()).collect();
    assert!(stale.is_empty(), "explained, but nothing differs: {stale:?}");
    let page = std::fs::read_to_string(format!("{}/docs/numerics.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (from, to) = (page.find(START).unwrap() + START.len(), page.find(END).unwrap());
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let page = format!("{}\n{list}\n{}", &page[..from], &page[to..]);
        std::fs::write(format!("{}/docs/numerics.md", env!("CARGO_MANIFEST_DIR")), page).unwrap();
        return;
    }
    assert!(page[from..to].trim() == list.trim(), "docs/numerics.md is stale, see above");
}
