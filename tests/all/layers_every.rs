//! Tests of what must hold for every layer, in every configuration that the pack has: a case that is added there is
//! checked here automatically.
//!
//! They cover batches without rows, single rows, numbers of threads, gradients of both orders, drawing anew,
//! freezing, and settings in files.

use crate::layer_cases::{Case, build, build_between, classes, description, every_case, registry};
use crate::pack::Pack;
use gradus::autograd::gradcheck;
use gradus::config::{Dyn, Setting};
use gradus::nn::{Build, Cx, Module, Network};
use gradus::optim::Driver;
use gradus::prelude::SGD;
use gradus::{DType, Result, Tensor, Threads};
use serde_json::Value as Json;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Layers that a batch without rows means nothing to in training, and why: an error that names them is right too.
const NO_EMPTY_BATCH: &[(&str, &str)] = &[("BatchNormalization", "no rows have no mean")];

/// Layers whose rows depend on each other in training, because they use statistics of the batch.
const BATCH_STATISTICS: &[&str] = &["BatchNormalization"];

/// Configurations that differences do not agree with where the pack has them, by layer and a part of the
/// configuration, and why.
const ROUGH: &[(&str, &str, &str)] = &[
    ("Masking", "", "a jump where a position is equal to the mask's value, as some are"),
    ("ReLU", "\"threshold\":0.4", "a jump at the threshold, near which numbers lie"),
    ("BatchNormalization", "\"renorm\":true", "no gradient goes through its corrections, as in Keras"),
    ("MaxPooling1D", "\"strides\":1", "equal numbers in one window"),
    ("GlobalMaxPooling1D", "", "equal numbers in one window"),
];

/// Layers that move their weights in training though they are frozen, as Keras does, and why.
const MOVES_THOUGH_FROZEN: &[(&str, &str)] =
    &[("SpectralNormalization", "each training step divides the weights by their norm")];

/// Whether a case has one of these layers, itself or inside.
fn has(case: &Json, layers: &[&str]) -> bool {
    let mut names = BTreeSet::new();
    classes(&description(case), &mut names);
    layers.iter().any(|layer| names.contains(*layer))
}

/// What a pass gives.
#[derive(Debug, Default)]
struct Pass {
    outputs: Vec<Tensor>,
    /// The gradients of all float inputs, zero where none arrived.
    inputs: Vec<Tensor>,
    params: Vec<(String, Tensor)>,
}

impl Pass {
    /// What differs in bits.
    fn differs(&self, other: &Pass) -> Option<String> {
        let lists = |a: &[Tensor], b: &[Tensor]| (0..a.len()).find(|&i| !a[i].same_bits(&b[i]));
        assert_eq!((self.outputs.len(), self.inputs.len()), (other.outputs.len(), other.inputs.len()));
        assert_eq!(self.params.len(), other.params.len());
        let params = self.params.iter().zip(&other.params).find(|(a, b)| !a.1.same_bits(&b.1));
        lists(&self.outputs, &other.outputs)
            .map(|i| format!("output {i}"))
            .or(lists(&self.inputs, &other.inputs).map(|i| format!("the gradient of input {i}")))
            .or(params.map(|((path, _), _)| format!("the gradient of {path}")))
    }

    /// Row `i` of outputs and gradients of inputs.
    fn row(&self, i: isize) -> Result<Pass> {
        let row = |list: &[Tensor]| list.iter().map(|t| t.slice(0, i, i + 1)).collect::<Result<Vec<_>>>();
        Ok(Pass { outputs: row(&self.outputs)?, inputs: row(&self.inputs)?, params: Vec::new() })
    }
}

/// Numbers for each position of a sample, the same in each row: what outputs are multiplied by before they are summed.
fn cotangent(y: &Tensor) -> Result<Tensor> {
    let mut dims = y.dims().to_vec();
    if let Some(rows) = dims.first_mut() {
        *rows = 1;
    }
    let n: usize = dims.iter().product();
    let value = |i: usize| (i * 7919 % 101) as f64 / 101.0 + 0.5;
    Tensor::from_slice(&(0..n).map(value).collect::<Vec<_>>(), dims)?.cast(y.dtype())
}

fn context<R>(training: bool, step: u64, f: impl FnOnce(&mut Cx) -> R) -> R {
    let mut cx = Cx::train(5, step);
    if training { f(&mut cx) } else { cx.as_inference(f) }
}

/// Forward and backward through the layer of a case.
fn pass(case: &Case, data: &[Tensor], training: bool, step: u64) -> Result<Pass> {
    let leaves: Vec<Tensor> =
        data.iter().map(|x| if x.dtype().is_float() { x.tracked() } else { x.clone() }).collect();
    let all = context(training, step, |cx| case.network.forward_all(&leaves, cx))?;
    let outputs = &all[..case.outputs];
    let mut loss: Option<Tensor> = None;
    for y in outputs.iter().filter(|y| y.dtype().is_float() && y.is_tracked()) {
        let term = y.mul(&cotangent(y)?)?.sum(&[], false)?;
        loss = Some(match loss {
            Some(loss) => loss.add(&term)?,
            None => term,
        });
    }
    let mut result = Pass { outputs: outputs.iter().map(Tensor::detach).collect(), ..Pass::default() };
    let Some(loss) = loss else { return Ok(result) };
    let gradients = loss.backward()?;
    let leaves = leaves.iter().filter(|x| x.is_tracked());
    result.inputs = leaves
        .map(|x| gradients.get(x).map_or_else(|| x.detach().new_full(x.dims(), 0.0), |g| Ok(g.clone())))
        .collect::<Result<_>>()?;
    let mut params = Ok(());
    case.network.visit(&mut |path, p| {
        if let Some(g) = p.gradient(&gradients) {
            match g.clone().dense() {
                Ok(g) => result.params.push((path.to_string(), g)),
                Err(e) => params = Err(e),
            }
        }
    });
    params.map(|()| result)
}

fn slice(data: &[Tensor], start: isize, end: isize) -> Result<Vec<Tensor>> {
    data.iter().map(|t| t.slice(0, start, end)).collect()
}

/// Whether training draws anything.
fn draws(case: &Case) -> Result<bool> {
    Ok(pass(case, &case.data, true, 0)?.differs(&pass(case, &case.data, true, 1)?).is_some())
}

#[test]
fn a_batch_without_rows_gives_outputs_without_rows() {
    every_case(|pack, _, case| {
        let built = build(pack, case, DType::F32)?;
        let none = slice(&built.data, 0, 0)?;
        for training in [false, true] {
            let mode = if training { "training" } else { "inference" };
            let name = case["layer"].as_str().unwrap();
            let got = pass(&built, &none, training, 0);
            if training
                && NO_EMPTY_BATCH.iter().any(|(layer, _)| *layer == name)
                && let Err(error) = &got
            {
                assert!(error.to_string().contains(&built.name), "an error that does not name it: {error}");
                continue;
            }
            let got = got?;
            let full = pass(&built, &built.data, training, 0)?;
            for (i, (y, of_rows)) in got.outputs.iter().zip(&full.outputs).enumerate() {
                let mut dims = of_rows.dims().to_vec();
                dims[0] = 0;
                assert_eq!(y.dims(), dims, "{mode}: output {i}");
            }
            assert!(got.inputs.iter().all(|g| g.dims()[0] == 0), "{mode}: gradients of no rows");
            for (path, g) in &got.params {
                let zero = g.cast(DType::F64)?.to_vec::<f64>()?.iter().all(|g| *g == 0.0);
                assert!(zero, "{mode}: the gradient of {path} without rows is not 0: {g}");
            }
        }
        Ok(())
    });
}

#[test]
fn a_row_gives_the_same_bits_alone() {
    every_case(|pack, _, case| {
        let built = build(pack, case, DType::F32)?;
        let rows = built.data.first().map_or(0, |x| x.dims()[0]) as isize;
        for training in [false, true] {
            if training && (has(case, BATCH_STATISTICS) || draws(&built)?) {
                continue;
            }
            let mode = if training { "training" } else { "inference" };
            let all = pass(&built, &built.data, training, 0)?;
            for i in 0..rows {
                let mut alone = pass(&built, &slice(&built.data, i, i + 1)?, training, 0)?;
                alone.params.clear();
                let differs = alone.differs(&all.row(i)?);
                assert!(differs.is_none(), "{mode}: row {i} alone has other bits in {}", differs.unwrap());
            }
        }
        Ok(())
    });
}

/// Data with so many rows that kernels cut their work between threads.
fn many(data: &[Tensor]) -> Result<Vec<Tensor>> {
    const NUMBERS: usize = 40_000;
    let largest = data.iter().map(Tensor::elements).max().unwrap_or(1).max(1);
    let times = (NUMBERS / largest).clamp(1, 500);
    let tile = |t: &Tensor| {
        let mut repeats = vec![1; t.rank()];
        repeats[0] = times;
        t.tile(&repeats)
    };
    data.iter().map(tile).collect()
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let pools = [1, 2, 3].map(|n| (n, Threads::new(n).unwrap()));
    every_case(|pack, _, case| {
        let built = build(pack, case, DType::F32)?;
        let data = many(&built.data)?;
        for training in [false, true] {
            let one = pools[0].1.run(|| pass(&built, &data, training, 0))?;
            for (n, pool) in &pools[1..] {
                let differs = pool.run(|| pass(&built, &data, training, 0))?.differs(&one);
                assert!(differs.is_none(), "{n} threads give other bits in {}", differs.unwrap());
            }
        }
        Ok(())
    });
}

/// As many first rows as have at most this many numbers in all float inputs, one at least.
fn few(data: &[Tensor], most: usize) -> Result<Vec<Tensor>> {
    let floats = data.iter().filter(|x| x.dtype().is_float());
    let of_row: usize = floats.map(|x| x.elements() / x.dims()[0].max(1)).sum();
    let rows = data.first().map_or(0, |x| x.dims()[0]);
    slice(data, 0, (most / of_row.max(1)).clamp(1, rows.max(1)) as isize)
}

/// The inputs of the layer to which Keras has a gradient that is not all zero, by their place in the data.
fn differentiable(pack: &Pack, case: &Json, built: &Case) -> Vec<usize> {
    let reaches = |number: &Json| pack.tensor(number).to_vec::<f64>().unwrap().iter().any(|g| *g != 0.0);
    let of_inputs = case["input_gradients"].as_object().unwrap().iter();
    let mut places: Vec<usize> =
        of_inputs.filter(|(_, g)| reaches(g)).map(|(i, _)| i.parse().unwrap()).collect();
    let floats = (built.named..built.data.len()).filter(|i| built.data[*i].dtype().is_float());
    let of_named = floats.zip(case["named_gradients"].as_array().unwrap());
    places.extend(of_named.filter(|(_, pair)| reaches(&pair[1])).map(|(i, _)| i));
    places
}

/// All float outputs in one list.
fn flat(case: &Case, data: &[Tensor], training: bool) -> Result<Tensor> {
    let all = context(training, 0, |cx| case.network.forward_all(data, cx))?;
    let floats = all[..case.outputs].iter().filter(|y| y.dtype().is_float());
    let parts = floats.map(|y| y.reshape([-1])).collect::<Result<Vec<_>>>()?;
    Tensor::concat(&parts.iter().collect::<Vec<_>>(), 0)
}

/// The largest errors of derivatives of orders 1 and 2 that pass. Where Keras computes in float32 (`precision`), we
/// need not.
const FIRST: f64 = 1e-7;
const SECOND: f64 = 1e-6;

#[test]
fn gradients_of_both_orders_agree_with_differences() {
    let (worst, large) = (RefCell::new((0.0f64, 0.0f64)), RefCell::new(0));
    every_case(|pack, _, case| {
        let built = build(pack, case, DType::F64)?;
        let text = description(case).to_string();
        let name = case["layer"].as_str().unwrap();
        let places = differentiable(pack, case, &built);
        if places.is_empty() || ROUGH.iter().any(|(layer, part, _)| *layer == name && text.contains(part)) {
            return Ok(());
        }
        let data = few(&built.data, 40)?;
        let moved: Vec<Tensor> = places.iter().map(|i| data[*i].clone()).collect();
        if moved.iter().map(Tensor::elements).sum::<usize>() > 120 {
            *large.borrow_mut() += 1;
            return Ok(());
        }
        let training = case["training"].as_bool().unwrap();
        let whole = |x: &[Tensor]| {
            let mut data = data.clone();
            places.iter().zip(x).for_each(|(i, x)| data[*i] = x.clone());
            flat(&built, &data, training)
        };
        let check = gradcheck(whole, &moved)?;
        assert!(check.first < FIRST && check.second < SECOND, "{check:?}");
        let worst = &mut *worst.borrow_mut();
        *worst = (worst.0.max(check.first), worst.1.max(check.second));
        Ok(())
    });
    println!("worst errors {:?}; {} with too many numbers", worst.borrow(), large.borrow());
}

/// The paths and values of a network.
type Values = Vec<(String, Tensor)>;

fn same(a: &Values, b: &Values) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && a.1.same_bits(&b.1))
}

#[test]
fn drawing_anew_leaves_the_original_and_depends_on_the_seed_alone() {
    every_case(|pack, _, case| {
        let built = build(pack, case, DType::F32)?;
        let before = built.network.params();
        let (first, other) = (built.network.clone_fresh(3)?, built.network.clone_fresh(4)?);
        assert!(same(&first.params(), &built.fresh), "not what the network was built with");
        assert!(same(&other.clone_fresh(3)?.params(), &built.fresh), "another seed in between is remembered");
        assert!(same(&built.network.params(), &before), "the original has changed");
        Ok(())
    });
}

/// Outputs and one step of plain descent at rate 1, with what the layers hand back.
fn step(network: &mut Network, data: &[Tensor]) -> Result<()> {
    let mut cx = Cx::train(5, 0);
    let mut loss = network.forward(data, &mut cx)?.sum(&[], false)?;
    let effects = cx.finish();
    for term in &effects.losses {
        loss = loss.add(term)?;
    }
    Driver::new(SGD::new(1.0)).step(network, loss.backward()?, true)?;
    effects.apply(network)
}

#[test]
fn a_frozen_layer_keeps_its_weights_in_training() {
    every_case(|pack, _, case| {
        let name = case["layer"].as_str().unwrap();
        for in_file in [true, false] {
            let mut case = case.clone();
            if in_file {
                case["config"]["trainable"] = false.into();
            }
            let Some((mut network, data)) = build_between(pack, &case, DType::F32)? else { return Ok(()) };
            if !in_file {
                network.set_trainable("subject", false)?;
            }
            let of_layer = |network: &Network| -> Values {
                network.params().into_iter().filter(|(path, _)| path.starts_with("subject/")).collect()
            };
            let before = of_layer(&network);
            step(&mut network, &data)?;
            let moves = MOVES_THOUGH_FROZEN.iter().any(|(layer, _)| *layer == name);
            assert!(moves || same(&of_layer(&network), &before), "in the file: {in_file}");
        }
        Ok(())
    });
}

#[test]
fn settings_come_back_from_a_file() {
    let seen = RefCell::new(BTreeSet::new());
    every_case(|_, _, case| {
        let given = description(case);
        classes(&given, &mut seen.borrow_mut());
        let read = |json: &Json| -> Result<Dyn<dyn Build>> { Setting::read(json.clone(), &registry()) };
        let once = read(&given)?.write()?;
        assert_eq!(once, read(&once)?.write()?);
        assert_eq!(once["class_name"], given["class_name"]);
        // Whatever was given is in what is written.
        for key in given["config"].as_object().unwrap().keys() {
            assert!(once["config"].get(key).is_some(), "the setting {key} is lost");
        }
        Ok(())
    });
    let seen = seen.borrow();
    let missing: Vec<&&str> =
        gradus::nn::layers::NAMES.iter().filter(|name| !seen.contains(**name)).collect();
    println!("layers that the pack has no case of: {missing:?}");
}
