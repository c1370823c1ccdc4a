//! Every optimizer gives Keras's numbers: step by step on two variables, with its state, and through `compile` and `fit` on small models, each
//! read from Keras's own names of settings.

use crate::golden::{close, floats, golden, tensor};
use gradus::config::{Described, Dyn, Registry, Setting};
use gradus::nn::Module;
use gradus::nn::constraint::MaxNorm;
use gradus::optim::{Driver, IntoOptimizer, MultiOptimizer, Optimizer, Tuned};
use gradus::prelude::*;
use serde_json::{Map, Value, json};

/// What all optimizers can be asked for; the decay too, but where it is a setting of the optimizer.
const OPTIONS: &[&str] =
    &["clipnorm", "global_clipnorm", "clipvalue", "ema_overwrite_frequency", "gradient_accumulation_steps"];

/// The optimizer of a class and Keras's settings.
fn optimizer(class: &str, config: &Value) -> Tuned {
    let (mut own, mut options) = (Map::new(), Map::new());
    for (key, value) in config.as_object().unwrap() {
        let described = json!({ "class_name": value["class"], "config": value["config"] });
        let value = if value.is_object() { described } else { value.clone() };
        match key.as_str() {
            "use_ema" => drop(options.insert("ema_momentum".into(), config["ema_momentum"].clone())),
            "ema_momentum" => {}
            "weight_decay" if !["AdamW", "Muon"].contains(&class) => drop(options.insert(key.clone(), value)),
            key if OPTIONS.contains(&key) => drop(options.insert(key.into(), value)),
            _ => drop(own.insert(key.clone(), value)),
        }
    }
    let read = |described: Value| Dyn::<dyn Optimizer>::read(described, &Registry::new()).unwrap();
    let alone = read(json!({ "class_name": class, "config": own }));
    if let Some(decay) = alone.options().weight_decay {
        options.insert("weight_decay".into(), json!(decay));
    }
    let config = json!({ "optimizer": alone.write().unwrap(), "options": options });
    Tuned::from_config(config, &Registry::new()).unwrap()
}

#[derive(Clone, Debug)]
struct Two {
    params: Vec<gradus::nn::Param>,
}
gradus::parts!(group Two { params });

#[test]
fn optimizers_step_by_step() {
    let g = golden("optimizers");
    let initial = |name: &str| -> Vec<Tensor> { g[name].as_array().unwrap().iter().map(tensor).collect() };
    let mut checked = std::collections::BTreeSet::new();
    for (list, start) in [("cases", initial("initial")), ("small", initial("small_initial"))] {
        for case in g[list].as_array().unwrap() {
            step_by_step(case, &start, &g["sequence"]);
            checked.insert(case["optimizer"].as_str().unwrap());
        }
    }
    assert_eq!(checked.len(), 14, "{checked:?}");
}

fn step_by_step(case: &Value, start: &[Tensor], sequence: &Value) {
    let class = case["optimizer"].as_str().unwrap();
    let mut driver = Driver::new(optimizer(class, &case["config"]));
    let mut init = gradus::nn::Init::new(0, DType::F64);
    let zeros: Dyn<dyn gradus::nn::initializer::Initializer> = gradus::nn::initializer::Zeros.into();
    let mut params: Vec<_> = start.iter().map(|t| init.param(*t.shape(), &zeros).unwrap()).collect();
    if let Some(max) = case["constraint_on_first"]["config"]["max_value"].as_f64() {
        params[0] = params[0].clone().constrained(Some(MaxNorm::new(max).into()));
    }
    let mut two = Two { params };
    for (p, t) in two.params.iter_mut().zip(start) {
        p.set(t.clone()).unwrap();
    }
    let what = format!("{class} {} {}", case["config"], case["gradient"]);
    let compare = |two: &Two, when: &str, want: &Value| {
        let mut i = 0;
        two.visit(&mut |_, p| {
            let got = p.value().to_vec::<f64>().unwrap();
            close(&format!("{what} {when}"), &got, &floats(&want[i]["data"]), 1e-12);
            i += 1;
        });
    };
    for (step, want) in case["steps"].as_array().unwrap().iter().enumerate() {
        // A loss whose gradient is the wanted one: half the squares for g = w, or a product with constants.
        let mut cx = gradus::nn::Cx::train(0, 0);
        let mut loss = Tensor::scalar(0.0f64).unwrap();
        for (i, p) in two.params.iter().enumerate() {
            let w = cx.param(p).unwrap();
            let term = match case["gradient"].as_str().unwrap() {
                "weights" => w.square().unwrap().affine(0.5, 0.0).unwrap(),
                _ => w.mul(&tensor(&sequence[step][i])).unwrap(),
            };
            loss = loss.add(&term.sum(&[], false).unwrap()).unwrap();
        }
        driver.step(&mut two, loss.backward().unwrap(), false).unwrap();
        compare(&two, &format!("step {step}"), want);
        assert_eq!(driver.iterations(), case["iterations"][step].as_u64().unwrap(), "{what}");
    }
    if case["slots"].is_array() && case["config"]["use_ema"].is_null() {
        same_slots(&what, class, &driver, &two, &case["slots"]);
    }
    if case["finalized"].is_array() {
        driver.finalize(&mut two);
        compare(&two, "finalized", &case["finalized"]);
    }
}

/// The state is Keras's, but for what its Adafactor keeps without reading it, and Nadam's product, which is worked out.
fn same_slots(what: &str, class: &str, driver: &Driver, two: &Two, keras: &Value) {
    let state = driver.state(two).unwrap();
    for i in 0..2 {
        let ours: Vec<_> =
            state.iter().filter(|(name, _)| name.starts_with(&format!("params/{i}/"))).collect();
        let theirs = keras.as_array().unwrap().iter().filter(|slot| {
            let name = slot["name"].as_str().unwrap();
            let unread = match class {
                "Adafactor" if i == 0 => name.ends_with("velocity"),
                "Adafactor" => !name.ends_with("velocity"),
                _ => name.ends_with("gradient_accumulator"),
            };
            name.starts_with(&format!("w{i}")) && !unread
        });
        let theirs: Vec<_> = theirs.collect();
        let ours: Vec<_> =
            ours.into_iter().filter(|(name, _)| !name.ends_with("gradient_accumulator")).collect();
        assert_eq!(ours.len(), theirs.len(), "{what}: {ours:?}");
        for ((name, got), want) in ours.iter().zip(theirs) {
            close(&format!("{what} {name}"), &got.to_vec().unwrap(), &floats(&want["value"]["data"]), 1e-12);
        }
    }
}

fn network(name: &str) -> Sequential {
    let stack = Sequential::new().dtype(DType::F64);
    match name {
        "dense" => stack
            .add(Input::new([5]))
            .add(Dense::new(4).activation(Tanh).named("first"))
            .add(Dense::new(3).named("last")),
        _ => stack
            .add(Input::new([2]).dtype(DType::I64))
            .add(Embedding::new(9, 3).named("embedding"))
            .add(gradus::nn::layers::EinsumDense::new("abc,bcd->ad", [2]).bias_axes("d").named("last")),
    }
}

/// What parameters are after some steps.
struct Record<'a> {
    at: &'a [f64],
    seen: usize,
    steps: Vec<Vec<(String, Tensor)>>,
}
impl Callback for &mut Record<'_> {
    fn on_train_batch_end(&mut self, model: &mut Model, _: usize, _: f64) -> gradus::Result<()> {
        self.seen += 1;
        if self.at.contains(&(self.seen as f64)) {
            self.steps.push(model.params());
        }
        Ok(())
    }
}

fn runs_as_in_keras(g: &Value, case: &Value, optimizer: impl IntoOptimizer, what: &str) {
    let m = &g["models"][case["model"].as_str().unwrap()];
    let mut model =
        network(case["model"].as_str().unwrap()).compile(optimizer, MeanSquaredError::new(), ()).unwrap();
    let paths: Vec<&str> = m["paths"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    let start = m["start"].as_array().unwrap();
    let values: Vec<_> = paths.iter().zip(start).map(|(path, t)| (path.to_string(), tensor(t))).collect();
    model.set_params(&values).unwrap();
    let x = tensor(&m["x"]);
    let x = if case["model"] == "table" { x.cast(DType::I64).unwrap() } else { x };
    let at = floats(&g["at"]);
    let mut record = Record { at: &at, seen: 0, steps: Vec::new() };
    let fit = Fit::new().batch_size(6).epochs(5).shuffle(false).verbose(0).callback(&mut record);
    let history = model.fit(&x, &tensor(&m["y"]), fit).unwrap();
    close(&format!("{what} loss"), &history["loss"], &floats(&case["loss"]), 1e-9);
    let mut all: Vec<_> = record.steps.iter().zip(case["steps"].as_array().unwrap()).collect();
    let last = model.params();
    all.extend(case["final"].is_array().then_some((&last, &case["final"])));
    assert!(all.len() >= at.len());
    for (i, (got, want)) in all.into_iter().enumerate() {
        for (path, want) in paths.iter().zip(want.as_array().unwrap()) {
            let got = &got.iter().find(|(known, _)| known == path).unwrap().1;
            close(&format!("{what} {path}, record {i}"), &got.to_vec::<f64>().unwrap(), &floats(want), 1e-9);
        }
    }
}

#[test]
fn twenty_steps_of_every_optimizer() {
    let g = golden("optimizer_runs");
    let mut checked = std::collections::BTreeSet::new();
    for case in g["cases"].as_array().unwrap() {
        let class = case["optimizer"].as_str().unwrap();
        let what = format!("{class} {} on {}", case["config"], case["model"]);
        runs_as_in_keras(&g, case, optimizer(class, &case["config"]), &what);
        checked.insert(class);
    }
    assert_eq!(checked.len(), 14, "{checked:?}");
}

/// Keras's `get_config()` of each optimizer is read, and has the defaults that its name alone has.
#[test]
fn configurations_of_keras_are_the_defaults() {
    let configs = golden("optimizer_runs")["configs"].as_array().unwrap().clone();
    assert_eq!(configs.len(), 14);
    let read = |described: Value| Dyn::<dyn Optimizer>::read(described, &Registry::new());
    for described in configs {
        let theirs = read(described.clone()).unwrap();
        assert_eq!(theirs.write().unwrap(), read(described["class_name"].clone()).unwrap().write().unwrap());
        // An option that is set would be lost.
        for (key, value) in
            [("clipnorm", json!(1.0)), ("use_ema", json!(true)), ("gradient_accumulation_steps", json!(4))]
        {
            let mut described = described.clone();
            described["config"][key] = value;
            let e = read(described).unwrap_err().to_string();
            assert!(e.contains(key) && e.contains("Tuned"), "{e}");
        }
    }
}

#[test]
fn several_optimizers_in_one() {
    let g = golden("optimizer_runs");
    let described = |spec: &Value| optimizer(spec["class"].as_str().unwrap(), &spec["config"]);
    for case in g["several"].as_array().unwrap() {
        let mut several = MultiOptimizer::new(described(&case["default"]));
        for pattern in case["patterns"].as_array().unwrap() {
            several = several.optimizer(pattern[0].as_str().unwrap(), described(&pattern[1]));
        }
        let what = format!("{several:?}");
        // As it is, and from its file form.
        let written = Dyn::<dyn Optimizer>::from(several.clone()).write().unwrap();
        let read = Dyn::<dyn Optimizer>::read(written, &Registry::new()).unwrap();
        runs_as_in_keras(&g, case, several, &what);
        runs_as_in_keras(&g, case, read, &what);
    }
}
