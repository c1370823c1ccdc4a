//! Every layer against Keras 3.15 (JAX, float64), in hundreds of configurations: outputs, masks, gradients of inputs and weights,
//! added losses and moved statistics, through the public path. `tests/parity/README.md` says how the numbers were made.

use crate::pack::{Pack, Worst, files};
use gradus::config::{Dyn, Registry, Setting};
use gradus::graph::{Feed, Graph};
use gradus::io::Load;
use gradus::nn::layers::Input;
use gradus::nn::{
    Build, Cx, Functional, Init, InputSpecs, Inputs, Module, Network, Node, Symbol, Value, Values,
};
use gradus::{DType, Result, Tensor};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;

gradus::settings! {
    /// Gives its first input its second one as a mask.
    pub(crate) layer Masked as "test>Masked" { new(); }
}
gradus::parts!(Masked {});
impl Build for Masked {
    fn build(&self, _: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(self.clone()))
    }
}
impl Node for Masked {
    fn call(&self, x: Inputs<'_>, _: &mut Cx) -> Result<Values> {
        Ok(Value::masked(x.at(0)?.tensor.clone(), Some(x.at(1)?.tensor.clone())).into())
    }
}

gradus::settings! {
    /// The mask of its input as numbers; 2 for each row if there is none.
    pub layer MaskOf as "test>MaskOf" { new(); }
}
gradus::parts!(MaskOf {});
impl Build for MaskOf {
    fn build(&self, _: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(self.clone()))
    }
}
impl Node for MaskOf {
    fn call(&self, x: Inputs<'_>, _: &mut Cx) -> Result<Values> {
        let Value { tensor, mask } = x.at(0)?;
        match mask {
            Some(mask) => Ok(mask.cast(DType::F32)?.into()),
            None => Ok(tensor.new_full([tensor.dims()[0]], 2.0)?.cast(DType::F32)?.into()),
        }
    }
}

/// An input for samples like those of a tensor.
pub(crate) fn input(x: &Tensor, float: DType) -> Input {
    let dtype = if x.dtype().is_float() { float } else { x.dtype() };
    let input = match x.dims()[1..] {
        [] => Input::new([]),
        [a] => Input::new([a]),
        [a, b] => Input::new([a, b]),
        [a, b, c] => Input::new([a, b, c]),
        [a, b, c, d] => Input::new([a, b, c, d]),
        [a, b, c, d, e] => Input::new([a, b, c, d, e]),
        ref more => panic!("{more:?}"),
    };
    input.dtype(dtype)
}

pub(crate) fn wide(x: &Tensor, float: DType) -> Tensor {
    if x.dtype().is_float() { x.cast(float).unwrap() } else { x.clone() }
}

/// A case as a network: inputs, masks and named inputs in this order, then the data for them.
struct Case {
    network: Network,
    data: Vec<Tensor>,
    /// How many of the data are inputs by position, and where those by name begin.
    inputs: usize,
    named: usize,
    outputs: usize,
    /// The name of the layer.
    name: String,
}

fn registry() -> Registry {
    Registry::new().layer::<Masked>().unwrap().layer::<MaskOf>().unwrap()
}

fn build(pack: &Pack, case: &Json, float: DType) -> Result<Case> {
    let description = json!({ "class_name": case["layer"], "config": case["config"] });
    let layer: Dyn<dyn Build> = Setting::read(description, &registry())?;
    let layer = layer.shared();
    let mut data: Vec<Tensor> = pack.tensors(&case["inputs"]).iter().map(|x| wide(x, float)).collect();
    let inputs = data.len();
    let mut symbols: Vec<Symbol> = data.iter().map(|x| input(x, float).symbol()).collect();
    let mut given = symbols.clone();
    if let Some(masks) = case["masks"].as_array() {
        for (i, mask) in masks.iter().enumerate().filter(|(_, mask)| !mask.is_null()) {
            let mask = pack.tensor(mask);
            let symbol = input(&mask, float).symbol();
            given[i] = Masked::new().on([&symbols[i], &symbol])?;
            symbols.push(symbol);
            data.push(mask);
        }
    }
    let at_named = data.len();
    let mut named = Vec::new();
    for pair in case["named"].as_array().unwrap() {
        let x = wide(&pack.tensor(&pair[1]), float);
        let symbol = input(&x, float).symbol();
        named.push((pair[0].as_str().unwrap().to_string(), symbol.clone()));
        symbols.push(symbol);
        data.push(x);
    }
    let mut outputs = layer.on_all((&given, &named[..]))?;
    let count = outputs.len();
    for i in 0..count {
        outputs.push(MaskOf::new().on(&outputs[i])?);
    }
    let mut network = Functional::new(&symbols, &outputs)?.dtype(float).seed(3).build()?;
    let helper = |name: &str| name.starts_with("masked") || name.starts_with("mask_of");
    let name = network.layers().map(|l| l.name().to_string()).find(|n| !helper(n)).unwrap();
    let weights: Vec<(String, Tensor)> = pack
        .by_path(&case["weights"])
        .into_iter()
        .map(|(path, w)| (format!("{name}/{path}"), wide(&w, float)))
        .collect();
    let mut ours: Vec<String> = network.params().into_iter().map(|(path, _)| path).collect();
    let mut theirs: Vec<String> = weights.iter().map(|(path, _)| path.clone()).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs, "names of parameters");
    let weights: Vec<(String, Tensor)> = weights
        .into_iter()
        .map(|(path, w)| {
            let dtype = network.param(&path).unwrap().dtype();
            (path, w.cast(dtype).unwrap())
        })
        .collect();
    network.set_params(&weights)?;
    Ok(Case { network, data, inputs, named: at_named, outputs: count, name })
}

/// What is allowed in this precision: of outputs, of gradients.
fn bounds(case: &Json, float: DType) -> (f64, f64) {
    match (float, case["precision"].as_str()) {
        (DType::F32, _) => (1e-5, 1e-5),
        (_, Some("float32")) => (1e-6, 1e-6),
        _ => (1e-9, 1e-9),
    }
}

fn compare(pack: &Pack, what: &str, case: &Json, float: DType, worst: &mut Worst) -> Result<()> {
    let Case { mut network, data, inputs, named, outputs, name } = build(pack, case, float)?;
    let (output_bound, gradient_bound) = bounds(case, float);
    let mut leaves = data.clone();
    for (i, x) in leaves.iter_mut().enumerate() {
        if x.dtype().is_float() && (i < inputs || i >= named) {
            *x = x.tracked();
        }
    }
    let mut cx = Cx::train(5, 0);
    let all = match case["training"].as_bool().unwrap() {
        true => network.forward_all(&leaves, &mut cx)?,
        false => cx.as_inference(|cx| network.forward_all(&leaves, cx))?,
    };
    let want = pack.tensors(&case["outputs"]);
    assert_eq!(outputs, want.len(), "{what}: outputs");
    for (i, want) in want.iter().enumerate() {
        worst.compare(&format!("{what} output {i}"), &all[i], want, output_bound, 1.0);
        let mask = &all[outputs + i];
        match &case["output_masks"][i] {
            Json::Null => {
                assert!(mask.to_vec::<f32>()?.iter().all(|m| *m == 2.0), "{what}: a mask that Keras has not")
            }
            number => {
                worst.compare(&format!("{what} mask {i}"), mask, &pack.tensor(number), 1e-9, 1.0);
            }
        }
    }
    // The scalar that is differentiated: outputs times fixed numbers, and what is added to the loss.
    let mut loss = Tensor::zeros([])?.cast(float)?;
    let mut penalties = Vec::new();
    network.visit(&mut |_, p| {
        penalties.extend(p.regularizer().map(|r| cx.param(p).and_then(|w| r.penalty(&w))))
    });
    let effects = cx.finish();
    for term in penalties.into_iter().chain(effects.losses.iter().cloned().map(Ok)) {
        loss = loss.add(&term?)?;
    }
    let losses = Tensor::scalar(case["losses"].as_f64().unwrap())?;
    worst.compare(&format!("{what} added losses"), &loss, &losses, output_bound, 1.0);
    for (i, k) in case["cotangents"].as_array().unwrap().iter().enumerate().filter(|(_, k)| !k.is_null()) {
        let product = all[i].mul(&wide(&pack.tensor(k), float))?;
        loss = loss.add(&product.sum(&[], false)?)?;
    }
    // Of the gradients, the largest sets the scale in float32.
    let weights = pack.by_path(&case["weight_gradients"]);
    let of_inputs = case["input_gradients"].as_object().unwrap();
    let of_inputs: Vec<(usize, Tensor)> =
        of_inputs.iter().map(|(i, g)| (i.parse().unwrap(), pack.tensor(g))).collect();
    let of_named: Vec<(usize, Tensor)> = {
        let pairs = case["named"].as_array().unwrap();
        let floats = (0..pairs.len()).filter(|i| data[named + i].dtype().is_float()).map(|i| named + i);
        floats.zip(case["named_gradients"].as_array().unwrap().iter().map(|g| pack.tensor(&g[1]))).collect()
    };
    let wanted = weights.iter().map(|(_, g)| g).chain(of_inputs.iter().chain(&of_named).map(|(_, g)| g));
    let largest = wanted
        .flat_map(|g| g.to_vec::<f64>().unwrap())
        .filter(|g| g.is_finite())
        .fold(1.0f64, |m, g| m.max(g.abs()));
    let scale = if float == DType::F32 { largest } else { 1.0 };
    if weights.is_empty() && of_inputs.is_empty() && of_named.is_empty() {
        return Ok(());
    }
    let gradients = loss.backward()?;
    let zero = |want: &Tensor| want.new_full(*want.shape(), 0.0).unwrap();
    let mut seen = Vec::new();
    network.visit(&mut |path, p| {
        if let Some(g) = p.gradient(&gradients) {
            seen.push((path.to_string(), g.clone().dense().unwrap()));
        }
    });
    for (path, want) in &weights {
        let at = format!("{name}/{path}");
        let got = seen.iter().find(|(p, _)| *p == at).map_or_else(|| zero(want), |(_, g)| g.clone());
        worst.compare(&format!("{what} gradient of {path}"), &got, want, gradient_bound, scale);
    }
    for (i, want) in of_inputs.iter().chain(&of_named) {
        let got = gradients.get(&leaves[*i]).map_or_else(|| zero(want), Clone::clone);
        worst.compare(&format!("{what} gradient of input {i}"), &got, want, gradient_bound, scale);
    }
    effects.apply(&mut network)?;
    for (path, want) in pack.by_path(&case["after"]) {
        let got = network.param(&format!("{name}/{path}")).unwrap();
        worst.compare(&format!("{what} {path} after"), &got, &want, output_bound, 1.0);
    }
    Ok(())
}

/// What must hold of every network: it comes back from a file, and its graph gives its bits.
fn whole_path(pack: &Pack, what: &str, case: &Json) -> Result<()> {
    let Case { network, data, .. } = build(pack, case, DType::F32)?;
    let want = network.predict_all(&data)?;
    let again = Network::from_bytes(&network.to_bytes()?, Load::new().registry(registry()))?;
    let got = again.predict_all(&data)?;
    assert!(want.iter().zip(&got).all(|(a, b)| a.same_bits(b)), "{what}: other bits from a file");
    let specs: Vec<_> = data.iter().map(Tensor::spec).collect();
    let graph = Graph::of_network(&network, &specs)?;
    let got = graph.run(&Feed::new(&data).parameters(&network))?;
    assert!(want.iter().zip(&got).all(|(a, b)| a.same_bits(b)), "{what}: other bits from the graph");
    Ok(())
}

fn every_case(mut f: impl FnMut(&Pack, &str, &Json) -> Result<()>) {
    let only = std::env::var("GRADUS_PARITY").ok();
    let (mut failures, mut count) = (String::new(), 0);
    for path in files() {
        let family = path.file_stem().unwrap().to_string_lossy().to_string();
        if family == "models" || only.as_ref().is_some_and(|only| *only != family) {
            continue;
        }
        let pack = Pack::read(&path);
        for (i, case) in pack.cases.iter().enumerate() {
            let what = format!("{family} {i}: {} {}", case["layer"].as_str().unwrap(), case["config"]);
            let run = std::panic::AssertUnwindSafe(|| f(&pack, &what, case));
            match std::panic::catch_unwind(run) {
                Ok(Ok(())) => count += 1,
                Ok(Err(e)) => writeln!(failures, "{what}: {e}").unwrap(),
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                    writeln!(failures, "{what}: {text}").unwrap();
                }
            }
        }
    }
    println!("{count} configurations of layers");
    assert!(failures.is_empty(), "\n{failures}");
}

#[test]
fn layers_give_the_numbers_of_keras_in_float64() {
    let mut worst = Worst::default();
    every_case(|pack, what, case| compare(pack, what, case, DType::F64, &mut worst));
    println!("{} tensors, worst at {:.1e} of what is allowed: {}", worst.tensors, worst.ratio, worst.at);
}

#[test]
fn layers_give_the_numbers_of_keras_in_float32() {
    let mut worst = Worst::default();
    every_case(|pack, what, case| compare(pack, what, case, DType::F32, &mut worst));
    println!("{} tensors, worst at {:.1e} of what is allowed: {}", worst.tensors, worst.ratio, worst.at);
}

#[test]
fn every_configuration_is_saved_loaded_and_captured() {
    every_case(whole_path);
}
