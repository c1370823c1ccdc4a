//! The list of what must give one answer: every operation on tensors, forward and backward, over seeded shapes and
//! strides, some of them large enough to be divided between threads. A name begins with the operation's.

use super::answers::{Answers, LARGE, PADDINGS, Rng, fresh, lying, small};
use gradus::nn::initializer::RandomNormal;
use gradus::nn::{Cx, Init, Param};
use gradus::ops::attention::AttentionOptions;
use gradus::ops::conv::Convolution;
use gradus::ops::matmul::Fused;
use gradus::ops::{self, Interpolation, Padding, RecurrentWeights, Takes};
use gradus::optim::{Driver, Group, MultiOptimizer, Optimizer};
use gradus::prelude::{
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, Muon, Nadam, RMSprop, SGD,
    ScheduleFreeAdamW,
};
use gradus::random::{Distribution, Purpose, Stream};
use gradus::{DType, Result, Tensor};

const FLOATS: [DType; 2] = [DType::F32, DType::F64];

/// Everything.
pub(crate) fn all(a: &mut Answers) {
    for dtype in FLOATS {
        elementwise(a, dtype);
        reductions(a, dtype);
        softmax(a, dtype);
        attention(a, dtype);
        recurrent(a, dtype);
        products(a, dtype);
        convolutions(a, dtype);
        factorisations(a, dtype);
        images(a, dtype);
        sequences_of_labels(a, dtype);
        optimizers(a, dtype);
        indices(a, dtype);
    }
    stored(a);
    logic(a);
    moves(a);
    random(a);
}

/// Small shapes and large ones, more or fewer.
fn shapes(r: &mut Rng, dtype: DType) -> Vec<Vec<usize>> {
    let mut all = small(r, 4);
    // float64 is the same code; its elementary functions are slow, and a quarter is still cut.
    let large = LARGE.iter().map(|dims| match dtype {
        DType::F64 => [&[dims[0] / 4], &dims[1..]].concat(),
        _ => dims.to_vec(),
    });
    all.extend(large);
    all
}

fn elementwise(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("elementwise");
    for row in ops::UNARY {
        let name = format!("{} {dtype}", row.name);
        for dims in [small(r, 3), vec![vec![131, 270]]].concat() {
            let x = lying(r, &dims, dtype, Rng::odd);
            a.both(&name, &[x], |t| (row.apply)(&t[0]));
        }
    }
    for row in ops::BINARY {
        let name = format!("{} {dtype}", row.name);
        for dims in [small(r, 3), vec![vec![131, 270]]].concat() {
            let narrow: Vec<usize> = dims.iter().map(|&d| if r.below(3) == 0 { 1 } else { d }).collect();
            let inputs = [lying(r, &dims, dtype, Rng::odd), lying(r, &narrow, dtype, Rng::odd)];
            a.both(&name, &inputs, |t| (row.apply)(&t[0], &t[1]));
            a.both(&name, &inputs[1..], |t| (row.apply)(&t[0], &inputs[0]));
        }
    }
    for dims in shapes(r, dtype) {
        let x = [lying(r, &dims, dtype, Rng::odd)];
        a.both(&format!("affine {dtype}"), &x, |t| t[0].affine(1.7, -0.3));
        a.both(&format!("clip {dtype}"), &x, |t| t[0].clip(-0.5, 1.25));
        a.both(&format!("threshold {dtype}"), &x, |t| t[0].threshold(0.1, -1.0));
        a.both(&format!("sparsemax {dtype}"), &x, |t| t[0].sparsemax(-1));
    }
    for dims in [[2, 1], [6, 35], [270, 131]] {
        a.both(&format!("glu {dtype}"), &[lying(r, &dims, dtype, Rng::odd)], |t| t[0].glu(0));
    }
}

fn reductions(a: &mut Answers, dtype: DType) {
    type Reduction = fn(&Tensor, &[isize], bool) -> Result<Tensor>;
    let table: [(&str, Reduction); 12] = [
        ("sum", Tensor::sum),
        ("prod", Tensor::prod),
        ("mean", Tensor::mean),
        ("max", Tensor::max),
        ("min", Tensor::min),
        ("var", |t, axes, keep| t.var(axes, keep, 0)),
        ("std", |t, axes, keep| t.std(axes, keep, 1)),
        ("logsumexp", Tensor::logsumexp),
        ("norm 1", |t, axes, keep| t.norm(1.0, axes, keep)),
        ("norm 2", |t, axes, keep| t.norm(2.0, axes, keep)),
        ("norm 3", |t, axes, keep| t.norm(3.0, axes, keep)),
        ("norm infinity", |t, axes, keep| t.norm(f64::INFINITY, axes, keep)),
    ];
    let r = &mut Rng::of("reductions");
    for dims in shapes(r, dtype) {
        let (rank, large) = (dims.len() as isize, dims.iter().product::<usize>() > 20_000);
        let x = [lying(r, &dims, dtype, Rng::plain)];
        let odd = lying(r, &dims, dtype, Rng::odd);
        // Everything, each axis, and the first with the last.
        let mut sets: Vec<Vec<isize>> = vec![vec![]];
        sets.extend((0..rank).map(|axis| vec![axis]));
        sets.extend((rank > 2).then(|| vec![0, rank - 1]));
        for axes in &sets {
            for (name, f) in table.iter().filter(|row| !large || !row.0.starts_with("norm")) {
                a.both(&format!("{name} {dtype}"), &x, |t| f(&t[0], axes, axes.len() > 1));
            }
            for (name, f) in &table[..5] {
                a.add(&format!("{name} {dtype}, odd numbers"), f(&odd, axes, false));
            }
            a.add(&format!("count_nonzero {dtype}"), odd.count_nonzero(axes, false));
        }
        for axis in 0..rank {
            a.add(&format!("argmax {dtype}"), odd.argmax(axis));
            a.add(&format!("argmin {dtype}"), odd.argmin(axis));
            a.both(&format!("cumsum {dtype}"), &x, |t| t[0].cumsum(axis));
            a.both(&format!("cumprod {dtype}"), &x, |t| t[0].cumprod(axis));
            if !large || axis == rank - 1 {
                a.add(&format!("argsort {dtype}"), odd.argsort(axis, true));
                a.add(&format!("argpartition {dtype}"), odd.argpartition(0, axis));
                a.both(&format!("sort {dtype}"), std::slice::from_ref(&odd), |t| t[0].sort(axis, false));
                a.both(&format!("top_k {dtype}"), &x, |t| Ok(t[0].top_k(2, axis)?.0));
            }
        }
        a.both(&format!("trace {dtype}"), &x, |t| t[0].trace(1, 0, -1));
        if !large {
            let unique = odd.unique();
            a.add(&format!("unique {dtype}"), unique.map(|u| u.values));
        }
    }
}

fn softmax(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("softmax");
    for dims in shapes(r, dtype) {
        let rank = dims.len() as isize;
        for axis in 0..rank.max(1) {
            let x = [lying(r, &dims, dtype, Rng::plain)];
            a.both(&format!("softmax {dtype}"), &x, |t| t[0].affine(9.0, 0.0)?.softmax(axis));
            a.both(&format!("log_softmax {dtype}"), &x, |t| t[0].log_softmax(axis));
            let odd = lying(r, &dims, dtype, Rng::odd);
            a.add(&format!("softmax {dtype}, odd numbers"), odd.softmax(axis));
            a.add(&format!("log_softmax {dtype}, odd numbers"), odd.log_softmax(axis));
        }
        let Some((&classes, rows)) = dims.split_last() else { continue };
        let x = lying(r, &dims, dtype, Rng::plain);
        let labels: Vec<i64> = (0..rows.iter().product()).map(|_| r.below(classes) as i64).collect();
        let labels = Tensor::from_slice(&labels, rows).unwrap();
        a.both(&format!("sparse_cross_entropy {dtype}"), std::slice::from_ref(&x), |t| {
            t[0].sparse_cross_entropy(&labels)
        });
        let targets = lying(r, &dims, dtype, Rng::plain).softmax(-1);
        if let Ok(targets) = targets {
            a.both(&format!("cross_entropy {dtype}"), &[x.clone(), targets], |t| t[0].cross_entropy(&t[1]));
        }
        let (gamma, beta) =
            (lying(r, &[classes], dtype, Rng::plain), lying(r, &[classes], dtype, Rng::plain));
        let name = format!("layer_norm {dtype}");
        a.both(&name, &[x.clone(), gamma, beta], |t| t[0].layer_norm(Some(&t[1]), Some(&t[2]), 1e-5));
        a.both(&name, std::slice::from_ref(&x), |t| t[0].layer_norm(None, None, 1e-3));
        let (s, t) = (lying(r, &[classes], dtype, Rng::plain), lying(r, &[classes], dtype, Rng::plain));
        let name = format!("batch_norm {dtype}");
        if x.elements() > 0 {
            let inputs = [x.clone(), s.clone(), t.clone()];
            a.both(&name, &inputs, |t| Ok(t[0].batch_norm(Some(&t[1]), Some(&t[2]), 1e-3)?.0));
            let (_, mean, variance) = x.batch_norm(None, None, 1e-3).unwrap();
            a.add(&name, Ok(mean));
            a.add(&name, Ok(variance));
        }
        let name = format!("mul_add {dtype}");
        a.both(&name, &[x.clone(), s, t], |t| t[0].mul_add(&t[1], &t[2]));
        let whole = [x.clone(), lying(r, &dims, dtype, Rng::plain), lying(r, &[], dtype, Rng::plain)];
        a.both(&name, &whole, |t| t[0].mul_add(&t[1], &t[2]));
    }
}

fn attention(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("attention");
    let plain = AttentionOptions::default();
    // batch, queries, keys, heads, groups, dim, width; the last one is cut between threads.
    for [b, t, s, h, g, d, w] in [[2, 3, 5, 4, 2, 3, 2], [1, 1, 40, 2, 1, 5, 4], [3, 65, 70, 4, 4, 16, 9]] {
        let operand = |r: &mut Rng, dims: &[usize]| lying(r, dims, dtype, Rng::plain);
        let inputs = [operand(r, &[b, t, h, d]), operand(r, &[b, s, g, d]), operand(r, &[b, s, g, w])];
        let causal = AttentionOptions { is_causal: true, sliding_window: Some(17), ..plain };
        let drops = AttentionOptions { dropout: Some((0.4, 9.into())), ..causal };
        for options in [plain, causal, drops] {
            let name = format!("dot_product_attention {dtype}");
            a.both(&name, &inputs, |t| t[0].dot_product_attention(&t[1], &t[2], options));
        }
        let given = [inputs[0].clone(), inputs[1].clone(), inputs[2].clone(), operand(r, &[h, 1, s])];
        a.both(&format!("dot_product_attention {dtype}, bias"), &given, |t| {
            t[0].dot_product_attention(&t[1], &t[2], AttentionOptions { bias: Some(&t[3]), ..plain })
        });
    }
    let start = Tensor::scalar(2i64).unwrap();
    let given = [lying(r, &[3, 5, 4], dtype, Rng::odd), lying(r, &[3, 2, 4], dtype, Rng::odd)];
    a.both(&format!("slice_update {dtype}"), &given, |t| t[0].slice_update(&t[1], &start, 1));
}

/// Images, kernels and how they go; the last ones are cut between threads.
fn convolutions(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("convolutions");
    let how = Convolution::new;
    let cases: [(&[usize], &[usize], Convolution); 10] = [
        (&[3, 7, 2], &[3, 2, 5], how()),
        (&[0, 7, 2], &[3, 2, 5], how()),
        (&[2, 19, 40], &[9, 40, 33], how().padding(Padding::Causal).dilation_rate([2])),
        (&[2, 9, 8, 3], &[3, 2, 3, 17], how().strides([2, 3]).padding(Padding::Same)),
        (&[2, 5, 6, 6], &[2, 3, 2, 9], how().groups(3)),
        (&[1, 3, 4, 5, 2], &[2, 2, 2, 2, 3], how().padding(Padding::Same)),
        (&[5, 33, 31, 16], &[3, 3, 16, 40], how().padding(Padding::Same)),
        (&[9, 28, 28, 1], &[5, 5, 1, 33], how().strides([2, 2])),
        // By Winograd's algorithm in float32, and their gradients.
        (&[3, 11, 8, 32], &[3, 3, 32, 40], how().padding(Padding::Same)),
        (&[4, 13, 12, 32], &[3, 3, 32, 40], how()),
    ];
    for (images, kernel, how) in cases {
        let n = kernel.len() - 1;
        let inputs = [images, kernel, &kernel[n..]].map(|dims| lying(r, dims, dtype, Rng::plain));
        a.both(&format!("conv {dtype}"), &inputs, |t| t[0].conv(&t[1], Some(&t[2]), Some(Fused::Relu), &how));
        a.both(&format!("conv {dtype}, no bias"), &inputs[..2], |t| t[0].conv(&t[1], None, None, &how));
    }
    let inputs = [&[3, 9, 8, 7][..], &[3, 2, 7, 2], &[14]].map(|dims| lying(r, dims, dtype, Rng::plain));
    a.both(&format!("depthwise_conv {dtype}"), &inputs, |t| {
        t[0].depthwise_conv(&t[1], Some(&t[2]), Some(Fused::Tanh), &how().strides([2, 1]))
    });
    let inputs = [&[2, 9, 8, 5][..], &[3, 2, 5, 2], &[1, 1, 10, 7], &[7]]
        .map(|dims| lying(r, dims, dtype, Rng::plain));
    a.both(&format!("separable_conv {dtype}"), &inputs, |t| {
        t[0].separable_conv(&t[1], &t[2], Some(&t[3]), Some(Fused::Relu), &how().padding(Padding::Same))
    });
    let cases: [(&[usize], &[usize], Convolution); 3] = [
        (&[3, 7, 2], &[3, 5, 2], how().strides([3]).output_padding([2])),
        (&[2, 4, 5, 3], &[3, 3, 9, 3], how().strides([2, 2]).padding(Padding::Same)),
        (&[4, 17, 16, 33], &[4, 4, 12, 33], how().strides([2, 2]).padding(Padding::Same)),
    ];
    for (images, kernel, how) in cases {
        let inputs = [images, kernel].map(|dims| lying(r, dims, dtype, Rng::plain));
        a.both(&format!("conv_transpose {dtype}"), &inputs, |t| t[0].conv_transpose(&t[1], &how));
    }
}

/// Recurrences, of small sizes and of some that are cut between threads.
fn recurrent(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("recurrent");
    for (batch, time, n, u) in [(1, 1, 1, 1), (0, 2, 3, 2), (3, 4, 5, 3), (5, 1, 2, 9), (75, 20, 5, 33)] {
        let counts =
            lying(r, &[batch, time], dtype, Rng::plain).greater(&Tensor::scalar(-0.3f32).unwrap()).unwrap();
        for (mask, back) in [(None, false), (Some(&counts), true)] {
            for (name, states, gates) in
                [("simple_rnn", 1, 1), ("lstm", 2, 4), ("gru", 1, 3), ("gru, before", 1, 3)]
            {
                let mut t = vec![lying(r, &[batch, time, n], dtype, Rng::plain)];
                t.extend((0..states).map(|_| lying(r, &[batch, u], dtype, Rng::plain)));
                t.push(lying(r, &[n, gates * u], dtype, Rng::plain));
                t.push(lying(r, &[u, gates * u], dtype, Rng::plain));
                let bias = if name == "gru" { vec![2, gates * u] } else { vec![gates * u] };
                t.push(lying(r, &bias, dtype, Rng::plain));
                a.both(&format!("{name} {dtype}"), &t, |t| {
                    let [kernel, recurrent_kernel, bias] = &t[states + 1..] else { panic!("{name}") };
                    let weights = RecurrentWeights { kernel, recurrent_kernel, bias: Some(bias) };
                    let outputs = match name {
                        "simple_rnn" => t[0].simple_rnn(&t[1], &weights, mask, back)?.to_vec(),
                        "lstm" => t[0].lstm([&t[1], &t[2]], &weights, mask, back)?.to_vec(),
                        _ => t[0].gru(&t[1], &weights, mask, name == "gru", back)?.to_vec(),
                    };
                    let mut all = vec![outputs[0].merge_axes(1, 2)?];
                    all.extend(outputs[1..].iter().cloned());
                    Tensor::concat(&all.iter().collect::<Vec<_>>(), 1)
                });
            }
        }
    }
}

/// Sizes (m, k, n) beside and beyond the multiples of tiles and blocks; the last ones are cut between threads.
const PRODUCTS: [(usize, usize, usize); 14] = [
    (1, 1, 1),
    (3, 5, 7),
    (0, 4, 3),
    (2, 0, 3),
    (13, 33, 17),
    (7, 385, 33),
    (1, 300, 70),
    (70, 300, 1),
    (65, 64, 66),
    (2, 769, 9),
    (130, 131, 129),
    (1, 1030, 2050),
    (2050, 1030, 1),
    (40, 400, 133),
];

fn products(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("products");
    let turned = |t: Tensor, turn: bool| if turn { t.t().unwrap() } else { t };
    for (m, k, n) in PRODUCTS {
        for (left, right) in [(false, false), (true, true), (true, false), (false, true)] {
            // Of large ones two orders are enough: the gradients bring the others.
            if m * k * n > 1_000_000 && left != right {
                continue;
            }
            // The other layouts, beside the transposes.
            let draw = |r: &mut Rng, rows: usize, cols: usize, turn: bool| {
                let dims = if turn { [cols, rows] } else { [rows, cols] };
                if r.below(2) == 0 {
                    fresh(r, &dims, dtype, Rng::plain)
                } else {
                    lying(r, &dims, dtype, Rng::plain)
                }
            };
            let inputs = [draw(r, m, k, left), draw(r, k, n, right)];
            let how = |turn: bool| if turn { "turned" } else { "plain" };
            let name = format!("matmul {dtype}, {} by {}", how(left), how(right));
            a.both(&name, &inputs, |t| turned(t[0].clone(), left).matmul(&turned(t[1].clone(), right)));
        }
        let x = lying(r, &[m, k], dtype, Rng::plain);
        let inputs = [x, lying(r, &[k, n], dtype, Rng::plain), lying(r, &[n], dtype, Rng::plain)];
        for act in [None, Some(Fused::Relu), Some(Fused::Sigmoid), Some(Fused::Tanh)] {
            let name = format!("linear {dtype}, {act:?}");
            a.both(&name, &inputs, |t| t[0].linear(&t[1], Some(&t[2]), act));
        }
        a.both(&format!("linear {dtype}, no bias"), &inputs[..2], |t| t[0].linear(&t[1], None, None));
    }
    for (stack_a, stack_b, m, k, n) in [
        (&[3][..], &[3][..], 5, 9, 7),
        (&[2, 1], &[1, 3], 4, 6, 5),
        (&[], &[4], 3, 8, 2),
        (&[5], &[], 1, 20, 9),
        (&[11], &[11], 50, 60, 70),
        (&[20, 4], &[20, 4], 1, 60, 50),
    ] {
        let inputs = [
            lying(r, &[stack_a, &[m, k]].concat(), dtype, Rng::plain),
            lying(r, &[stack_b, &[k, n]].concat(), dtype, Rng::plain),
        ];
        a.both(&format!("matmul {dtype}, stacked"), &inputs, |t| t[0].matmul(&t[1]));
    }
    let mut einsum = |equation: &str, dims: &[&[usize]]| {
        let inputs: Vec<Tensor> = dims.iter().map(|d| lying(r, d, dtype, Rng::plain)).collect();
        a.both(&format!("einsum {dtype}"), &inputs, |t| {
            Tensor::einsum(equation, &t.iter().collect::<Vec<_>>())
        });
    };
    einsum("bqhd,bkhd->bhqk", &[&[2, 9, 3, 16], &[2, 11, 3, 16]]);
    einsum("bhqk,bkhd->bqhd", &[&[4, 3, 40, 50], &[4, 50, 3, 64]]);
    einsum("ij,jk,kl->il", &[&[12, 5], &[5, 30], &[30, 7]]);
    einsum("ii,ij->j", &[&[6, 6], &[6, 4]]);
    einsum("abc,abc->", &[&[13, 21, 30], &[13, 21, 30]]);
    let (x, y) = (lying(r, &[6, 7, 8], dtype, Rng::plain), lying(r, &[8, 7, 5], dtype, Rng::plain));
    a.both(&format!("tensordot {dtype}"), &[x.clone(), y], |t| t[0].tensordot(&t[1], &[1, 2], &[1, 0]));
    let pair = [lying(r, &[336], dtype, Rng::plain), lying(r, &[336], dtype, Rng::plain)];
    a.both(&format!("vdot {dtype}"), &[x.clone(), pair[0].clone()], |t| t[0].vdot(&t[1]));
    a.both(&format!("outer {dtype}"), &pair, |t| t[0].outer(&t[1]));
    let matrix = lying(r, &[8, 3], dtype, Rng::plain);
    a.both(&format!("dot {dtype}"), &[x, matrix.clone()], |t| t[0].dot(&t[1]));
    let other = lying(r, &[5, 4], dtype, Rng::plain);
    a.both(&format!("kron {dtype}"), &[matrix, other], |t| t[0].kron(&t[1]));
}

/// Connectionist temporal classification, and its decoding.
fn sequences_of_labels(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("ctc");
    for [rows, frames, classes] in [[1usize, 1, 2], [3, 11, 5], [40, 30, 12]] {
        let logits = lying(r, &[rows, frames, classes], dtype, Rng::plain);
        let count = frames.div_ceil(3);
        let labels: Vec<i64> = (0..rows * count).map(|i| 1 + (i * 7 % (classes - 1)) as i64).collect();
        let labels = Tensor::from_slice(&labels, [rows, count]).unwrap();
        let counts = Tensor::full([rows], count as i64).unwrap();
        let lengths = Tensor::full([rows], frames as i64).unwrap();
        let loss = |t: &[Tensor]| t[0].ctc_loss(&labels, &counts, &lengths, 0);
        a.both(&format!("ctc_loss {dtype}"), std::slice::from_ref(&logits), loss);
        for (name, decoded) in [
            ("ctc_greedy_decode", logits.ctc_greedy_decode(&lengths, true, 0)),
            ("ctc_beam_search_decode", logits.ctc_beam_search_decode(&lengths, 6, 2, 0)),
        ] {
            let (paths, scores) = decoded.unwrap();
            a.add(&format!("{name} {dtype}"), Ok(paths));
            a.add(&format!("{name} {dtype}, scores"), Ok(scores));
        }
    }
}

/// Images of one to three axes, of which the last ones are cut between threads.
fn images(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("images");
    let shapes: [&[usize]; 6] =
        [&[2, 7, 3], &[3, 1, 1], &[2, 5, 6, 4], &[1, 4, 5, 3, 2], &[7, 300, 40], &[3, 61, 47, 17]];
    for dims in shapes {
        let axes = dims.len() - 2;
        for draw in [Rng::plain, Rng::odd] {
            let x = [lying(r, dims, dtype, draw)];
            for padding in [Padding::Valid, Padding::Same] {
                let size = &[3, 2, 2].map(|n: usize| if dims[1] == 1 { 1 } else { n })[..axes];
                let strides = &[2, 1, 3][..axes];
                a.both(&format!("max_pool {dtype}"), &x, |t| t[0].max_pool(size, Some(strides), &padding));
                a.both(&format!("average_pool {dtype}"), &x, |t| t[0].average_pool(size, None, &padding));
            }
            let places = &[3, 4, 2][..axes];
            a.both(&format!("adaptive_max_pool {dtype}"), &x, |t| t[0].adaptive_max_pool(places));
            a.both(&format!("adaptive_average_pool {dtype}"), &x, |t| t[0].adaptive_average_pool(places));
            for by in [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Lanczos3] {
                let name = format!("resize {dtype}, {by}");
                a.both(&name, &x, |t| t[0].resize(&[11, 3, 4][..axes], by, true));
                a.both(&format!("upsample {dtype}, {by}"), &x, |t| t[0].upsample(&[2, 1, 2][..axes], by));
            }
        }
    }
}

fn factorisations(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("factorisations");
    // The last are divided between threads, by blocks and by matrices.
    let shapes: [(&[usize], usize, usize); 6] =
        [(&[], 1, 1), (&[3], 4, 2), (&[2, 2], 7, 3), (&[], 40, 5), (&[], 150, 70), (&[5, 3], 36, 1)];
    for (stack, n, m) in shapes {
        let square = fresh(r, &[stack, &[n, n]].concat(), dtype, Rng::plain);
        let right = lying(r, &[stack, &[n, m]].concat(), dtype, Rng::plain);
        let tall = lying(r, &[stack, &[n + m, n]].concat(), dtype, Rng::plain);
        // Far from singular, and symmetric.
        let heavy = Tensor::eye(n, n, 0, dtype).unwrap().affine(3.0 * n as f64, 0.0).unwrap();
        let (both, one) = ([square.clone(), right], [square]);
        a.both(&format!("solve {dtype}"), &both, |t| t[0].add(&heavy)?.solve(&t[1]));
        let name = format!("triangular_solve {dtype}");
        a.both(&name, &both, |t| t[0].add(&heavy)?.triangular_solve(&t[1], n % 2 == 0));
        a.both(&format!("inverse {dtype}"), &one, |t| t[0].add(&heavy)?.inverse());
        a.both(&format!("cholesky {dtype}"), &one, |t| t[0].matmul(&t[0].t()?)?.add(&heavy)?.cholesky());
        a.both(&format!("slogdet {dtype}"), &one, |t| Ok(t[0].add(&heavy)?.slogdet()?.1));
        a.both(&format!("det {dtype}"), &one, |t| t[0].det());
        a.both(&format!("qr {dtype}"), std::slice::from_ref(&tall), |t| {
            let (q, factor) = t[0].qr()?;
            q.sin()?.matmul(&factor)
        });
        if stack.is_empty() {
            let b = lying(r, &[n + m], dtype, Rng::plain);
            a.both(&format!("lstsq {dtype}"), &[tall, b], |t| t[0].lstsq(&t[1]));
        }
    }
}

/// Two parameters, of which the first is cut between threads.
struct Pair {
    large: Param,
    small: Param,
}
gradus::parts!(group Pair { large, small });

fn optimizers(a: &mut Answers, dtype: DType) {
    let sgd = || SGD::new(0.05);
    let adam = || Adam::new(0.01);
    let rules: Vec<(&str, Driver)> = vec![
        ("SGD", Driver::new(sgd())),
        ("SGD, momentum", Driver::new(sgd().momentum(0.9))),
        ("SGD, nesterov", Driver::new(sgd().momentum(0.9).nesterov(true))),
        ("Adam", Driver::new(adam())),
        ("Tuned Adam, clipnorm", Driver::new(adam().clipnorm(0.1))),
        ("Tuned Adam, global_clipnorm", Driver::new(adam().global_clipnorm(0.1))),
        ("Tuned Adam, clipvalue", Driver::new(adam().clipvalue(0.01))),
        ("Tuned Adam, weight_decay", Driver::new(adam().weight_decay(0.02))),
        ("Tuned SGD, use_ema", Driver::new(sgd().use_ema(0.9).ema_overwrite_frequency(2))),
        ("Tuned Adam, gradient_accumulation", Driver::new(adam().gradient_accumulation_steps(2))),
        ("Adam, amsgrad", Driver::new(adam().amsgrad(true))),
        ("AdamW", Driver::new(AdamW::new(0.01))),
        ("Adamax", Driver::new(Adamax::new(0.01))),
        ("Nadam", Driver::new(Nadam::new(0.01))),
        ("RMSprop", Driver::new(RMSprop::new(0.01))),
        ("RMSprop, full", Driver::new(RMSprop::new(0.01).momentum(0.9).centered(true))),
        ("Adagrad", Driver::new(Adagrad::new(0.01))),
        ("Adadelta", Driver::new(Adadelta::new(1.0))),
        ("Ftrl", Driver::new(Ftrl::new(0.01).learning_rate_power(-0.4))),
        ("Lion", Driver::new(Lion::new(0.01))),
        ("Lamb", Driver::new(Lamb::new(0.01))),
        ("Adafactor", Driver::new(Adafactor::new(0.01))),
        ("Muon", Driver::new(Muon::new(0.01))),
        ("ScheduleFreeAdamW", Driver::new(ScheduleFreeAdamW::new(0.01))),
        ("MultiOptimizer", Driver::new(MultiOptimizer::new(sgd()).optimizer("small", adam()))),
        ("Tuned Adam, group", Driver::new(adam().group("small", Group::new().learning_rate_factor(0.5)))),
    ];
    let r = &mut Rng::of("rows");
    let mut driver = Driver::new(sgd().clipnorm(0.1));
    let mut table = Init::new(9, dtype).param([500, 130], &RandomNormal::new(0.0, 1.0).into()).unwrap();
    for step in 0..3 {
        let ids = picks(r, &[60], 40);
        let mut cx = Cx::train(1, step);
        let rows = cx.rows(&table, &ids).unwrap();
        let total = rows.square().unwrap().mul(&rows).unwrap().sum(&[], false).unwrap();
        driver.step(&mut table, total.backward().unwrap(), false).unwrap();
    }
    a.add(&format!("Tuned SGD, rows {dtype}"), Ok(table.value().clone()));
    for (name, mut driver) in rules {
        let mut init = Init::new(9, dtype);
        let normal = RandomNormal::new(0.0, 1.0).into();
        let mut pair = Pair {
            large: init.param([267, 500], &normal).unwrap(),
            small: init.param([7, 3], &normal).unwrap(),
        };
        for step in 0..3 {
            let mut cx = Cx::train(1, step);
            let loss = |p: &Tensor| p.square()?.mul(p)?.mean(&[], false);
            let total = loss(&cx.param(&pair.large).unwrap()).unwrap();
            let total = total.add(&loss(&cx.param(&pair.small).unwrap()).unwrap()).unwrap();
            driver.step(&mut pair, total.backward().unwrap(), false).unwrap();
        }
        driver.finalize(&mut pair);
        for param in [&pair.large, &pair.small] {
            a.add(&format!("{name} {dtype}"), Ok(param.value().clone()));
        }
    }
}

/// Positions of an axis of this size.
fn picks(r: &mut Rng, dims: &[usize], size: usize) -> Tensor {
    let list: Vec<i64> = (0..dims.iter().product()).map(|_| r.below(size) as i64).collect();
    Tensor::from_slice(&list, dims).unwrap()
}

fn indices(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("indices");
    for dims in shapes(r, dtype).into_iter().filter(|dims| !dims.is_empty()) {
        for axis in 0..dims.len() {
            let (x, at, n) = ([lying(r, &dims, dtype, Rng::odd)], axis as isize, dims[axis]);
            let count = r.below(40);
            let list = picks(r, if n == 0 { &[0] } else { std::slice::from_ref(&count) }, n);
            a.both(&format!("gather {dtype}"), &x, |t| t[0].gather(&list, at));
            let mut places = dims.clone();
            places[axis] = 6;
            let runs = picks(r, &[n], 6);
            a.both(&format!("scatter_add {dtype}"), &x, |t| t[0].scatter_add(&runs, at, &places[..]));
            let each = picks(r, &dims, n);
            a.both(&format!("take_along_axis {dtype}"), &x, |t| t[0].take_along_axis(&each, at));
            a.both(&format!("add_along_axis {dtype}"), &x, |t| t[0].add_along_axis(&each, at, n));
        }
    }
    a.add(&format!("one_hot {dtype}"), picks(r, &[700], 200).one_hot(200, dtype));
}

/// Types that are stored, and whole numbers.
fn stored(a: &mut Answers) {
    let r = &mut Rng::of("stored");
    for dims in shapes(r, DType::F32) {
        let x = lying(r, &dims, DType::F32, Rng::odd);
        for from in DType::ALL {
            let x = x.cast(from).unwrap();
            for to in DType::ALL {
                a.add(&format!("cast {from} to {to}"), x.cast(to));
            }
            a.add(&format!("scale {from}"), x.scale(1.0 / 255.0));
            a.add(&format!("t {from}"), x.t().and_then(|t| t.contiguous()));
            a.add(&format!("concat {from}"), Tensor::concat(&[&x, &x], -1));
            a.add(&format!("gather {from}"), x.gather(&Tensor::from_slice(&[0i64], [1]).unwrap(), 0));
        }
        let (x, y) = (lying(r, &dims, DType::I64, Rng::plain), lying(r, &dims, DType::I64, Rng::plain));
        for dtype in [DType::I64, DType::I8] {
            let (x, y) = (x.cast(dtype).unwrap(), y.abs().unwrap().cast(dtype).unwrap());
            for row in ops::BINARY.iter().filter(|row| row.takes != Takes::Floats) {
                a.add(&format!("{} {dtype}", row.name), (row.apply)(&x, &y));
            }
            for row in ops::UNARY.iter().filter(|row| row.takes != Takes::Floats) {
                a.add(&format!("{} {dtype}", row.name), (row.apply)(&x));
            }
            a.add(&format!("matmul {dtype}"), y.t().and_then(|t| t.matmul(&x)));
        }
        for axes in [&[][..], &[0], &[-1]] {
            a.add("sum int64", x.sum(axes, false));
            a.add("max int64", x.max(axes, false));
            a.add("mean int64", x.mean(axes, false));
        }
        a.add("cumsum int64", x.cumsum(0));
        a.add("argsort int64", x.argsort(-1, false));
    }
}

fn logic(a: &mut Answers) {
    let r = &mut Rng::of("logic");
    for dims in shapes(r, DType::F32) {
        let (x, y) = (lying(r, &dims, DType::F32, Rng::odd), lying(r, &dims, DType::F32, Rng::odd));
        type Comparison = fn(&Tensor, &Tensor) -> Result<Tensor>;
        let comparisons: [(&str, Comparison); 6] = [
            ("equal", Tensor::equal),
            ("not_equal", Tensor::not_equal),
            ("less", Tensor::less),
            ("less_equal", Tensor::less_equal),
            ("greater", Tensor::greater),
            ("greater_equal", Tensor::greater_equal),
        ];
        comparisons.iter().for_each(|(name, f)| a.add(name, f(&x, &y)));
        a.add("is_nan", x.is_nan());
        a.add("is_inf", x.is_inf());
        a.add("is_finite", x.is_finite());
        let (p, q) = (x.greater(&y).unwrap(), x.is_finite().unwrap());
        a.add("logical_not", p.logical_not());
        a.add("logical_and", p.logical_and(&q));
        a.add("logical_or", p.logical_or(&q));
        a.add("logical_xor", p.logical_xor(&q));
        for axes in [&[][..], &[0], &[-1]] {
            a.add("any", p.any(axes, false));
            a.add("all", q.all(axes, false));
        }
        a.add("argwhere", p.argwhere());
        a.both("choose", &[x.clone(), y], |t| p.choose(&t[0], &t[1]));
        a.both("masked_fill", std::slice::from_ref(&x), |t| t[0].masked_fill(&q, 0.5));
        a.both("boolean_mask", &[x], |t| t[0].boolean_mask(&p));
    }
}

fn moves(a: &mut Answers) {
    let r = &mut Rng::of("moves");
    for dims in shapes(r, DType::F32).into_iter().filter(|dims| !dims.is_empty()) {
        let (rank, n) = (dims.len(), dims[0]);
        let x = [lying(r, &dims, DType::F32, Rng::odd)];
        type Move = fn(&Tensor) -> Result<Tensor>;
        let table: [(&str, Move); 27] = [
            ("reshape", |t| t.reshape([1, t.elements() as isize])),
            ("reshape_to", |t| t.reshape_to([t.elements(), 1])),
            ("merge_axes", |t| t.expand_dims(0)?.merge_axes(0, 1)),
            ("split_axis", |t| t.split_axis(0, &[1, -1])),
            ("new_full", |t| t.new_full([2, 3], 0.5)?.add(&t.sum(&[], false)?)),
            ("flatten", Tensor::flatten),
            ("transpose", |t| t.transpose(0, -1)?.contiguous()),
            ("t", |t| t.t()?.contiguous()),
            ("flip", |t| t.flip(&[])?.contiguous()),
            ("moveaxis", |t| t.moveaxis(0, -1)?.contiguous()),
            ("roll", |t| t.roll(3, -1)),
            ("repeat", |t| t.repeat(2, 0)),
            ("split", |t| Ok(t.split(&[1, t.dims()[0].saturating_sub(1)], 0)?.swap_remove(1))),
            ("chunk", |t| Tensor::concat(&t.chunk(2, -1)?.iter().rev().collect::<Vec<_>>(), -1)),
            ("unbind", |t| Tensor::stack(&t.unbind(0)?.iter().rev().collect::<Vec<_>>(), 0)),
            ("slice", |t| t.slice(-1, 1, 3)),
            ("slice_step", |t| t.slice_step(0, None, None, -2)),
            ("select", |t| t.select(-1, -1)),
            ("squeeze", |t| t.expand_dims(1)?.squeeze(1)),
            ("expand_dims", |t| t.t()?.expand_dims(0)),
            ("index", |t| t.index([0isize, -1, 0])),
            ("index_put", |t| t.index_put(0isize, &Tensor::scalar(0.25f32)?)),
            ("stack", |t| Tensor::stack(&[t, t], 1)),
            ("tril", |t| t.tril(1)),
            ("triu", |t| t.triu(-1)),
            ("diag", |t| t.select(0, 0)?.slice(0, 0, 50)?.diag(-1)),
            ("diagonal", |t| t.diagonal(0, 0, -1)),
        ];
        table.iter().for_each(|(name, f)| a.both(name, &x, |t| f(&t[0])));
        let order: Vec<isize> = (0..rank as isize).map(|i| (i + 1) % rank as isize).collect();
        a.both("permute", &x, |t| t[0].permute(&order)?.contiguous());
        a.both("broadcast_like", &x, |t| {
            t[0].broadcast_like(&t[0].expand_dims(0)?.broadcast_to([&[2], &dims[..]].concat())?)?.contiguous()
        });
        a.both("broadcast_to", &x, |t| t[0].broadcast_to([&[2], &dims[..]].concat())?.contiguous());
        a.both("tile", &x, |t| t[0].tile(&vec![2; rank]));
        a.both("concat", &x, |t| Tensor::concat(&[&t[0], &t[0].slice(0, 0, n as isize / 2)?], 0));
        let widths: Vec<(usize, usize)> = (0..rank).map(|_| (r.below(3), r.below(4))).collect();
        for (name, padding) in PADDINGS {
            a.both(&format!("pad {name}"), &x, |t| t[0].pad(&widths, padding));
        }
    }
    a.add("eye", Tensor::eye(300, 400, 2, DType::F32));
    a.add("linspace", Tensor::linspace(-1.0, 3.0, 997, DType::F32));
    a.add("arange_step", Tensor::arange_step(0.5, 99.0, 0.37, DType::F64));
    let (x, y) = (fresh(r, &[50], DType::F32, Rng::plain), fresh(r, &[30], DType::F32, Rng::plain));
    Tensor::meshgrid(&[&x, &y]).unwrap().into_iter().for_each(|t| a.add("meshgrid", Ok(t)));
}

fn random(a: &mut Answers) {
    let r = &mut Rng::of("random");
    let stream = |n: u32| Stream::new(11, Purpose::User(n), 3);
    for dims in shapes(r, DType::F32) {
        let dims = &dims[..];
        a.add("randn", Tensor::randn(dims, stream(0)));
        a.add("rand", Tensor::rand(dims, stream(1)));
        let like = lying(r, dims, DType::F32, Rng::plain);
        a.add("sample_like", like.sample_like(Distribution::Normal { mean: 1.0, std: 0.5 }, stream(8)));
        a.add("randint", Tensor::randint(dims, -5, 1000, stream(2)));
        a.add("bernoulli", Tensor::bernoulli(dims, 0.3, stream(3)));
        for dtype in FLOATS {
            let x = [lying(r, dims, dtype, Rng::odd)];
            a.both(&format!("dropout {dtype}"), &x, |t| t[0].dropout(0.4, stream(4)));
        }
        let x = [lying(r, dims, DType::F32, Rng::plain)];
        a.both("shuffle", &x, |t| t[0].shuffle(0, stream(5)));
        a.add("categorical", x[0].categorical(3, stream(6)));
    }
    a.add("permutation", Tensor::permutation(10_000, stream(7)));
    for (name, distribution) in [
        ("uniform", Distribution::Uniform { low: -2.0, high: 3.0 }),
        ("normal", Distribution::Normal { mean: 1.0, std: 2.0 }),
        ("truncated normal", Distribution::TruncatedNormal { mean: 0.0, std: 1.0 }),
        ("exponential", Distribution::Exponential { rate: 2.0 }),
        ("gamma", Distribution::Gamma { shape: 0.7, rate: 1.5 }),
        ("beta", Distribution::Beta { a: 2.0, b: 0.5 }),
        ("poisson", Distribution::Poisson { rate: 4.0 }),
    ] {
        for dtype in FLOATS {
            a.add(
                &format!("sample {dtype}, {name}"),
                Tensor::sample([70, 70], distribution, dtype, stream(8)),
            );
        }
    }
}
