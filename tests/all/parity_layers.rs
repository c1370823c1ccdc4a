//! Compares every layer with Keras 3.15 (JAX, float64), in hundreds of configurations: outputs, masks, gradients of
//! inputs and weights, added losses and updated statistics, through the public path. `tests/parity/README.md` says
//! how the numbers were made.

use crate::layer_cases::{Case, build, every_case, registry, wide};
use crate::pack::{Pack, Worst};
use gradus::graph::{Feed, Graph};
use gradus::io::Load;
use gradus::nn::{Cx, Module, Network};
use gradus::{DType, Result, Tensor};
use serde_json::Value as Json;

/// What is allowed in this precision: of outputs, of gradients.
fn bounds(case: &Json, float: DType) -> (f64, f64) {
    match (float, case["precision"].as_str()) {
        (DType::F32, _) => (1e-5, 1e-5),
        (_, Some("float32")) => (1e-6, 1e-6),
        _ => (1e-9, 1e-9),
    }
}

fn compare(pack: &Pack, what: &str, case: &Json, float: DType, worst: &mut Worst) -> Result<()> {
    let Case { mut network, data, inputs, named, outputs, name, .. } = build(pack, case, float)?;
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
    // Where nothing depends on what goes in, Keras has zeros.
    let gradients =
        if loss.is_tracked() { loss } else { leaves[0].scale(0.0)?.sum(&[], false)? }.backward()?;
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
