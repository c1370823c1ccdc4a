//! Against Keras 3.15 (JAX, float64), number by number and step by step. `tests/parity/README.md` says how the golden
//! values were made.
#![allow(missing_docs, clippy::unwrap_used)]

use gradus::config::Dyn;
use gradus::loss::{self, BinaryCrossentropy, Loss};
use gradus::metric::{self, Metric};
use gradus::nn::Params;
use gradus::optim::Driver;
use gradus::prelude::*;
use gradus::train::Plan;
use serde_json::Value;

fn golden(name: &str) -> Value {
    let path = format!("{}/tests/parity/goldens/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn floats(v: &Value) -> Vec<f64> {
    let number =
        |v: &Value| v.as_f64().unwrap_or_else(|| v.as_str().unwrap_or("nan").parse().unwrap_or(f64::NAN));
    v.as_array().unwrap().iter().map(number).collect()
}

fn tensor(v: &Value) -> Tensor {
    let shape: Vec<usize> =
        v["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
    Tensor::from_slice(&floats(&v["data"]), shape).unwrap()
}

#[track_caller]
fn close(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let fits = (g - w).abs() <= tolerance * (1.0 + w.abs()) || (g.is_nan() && w.is_nan()) || g == w;
        assert!(fits, "{what}[{i}]: got {g}, Keras has {w}");
    }
}

type Function = Box<dyn Fn(&Tensor) -> gradus::Result<Tensor>>;

/// The function that Keras calls by this name with these settings, if there is one.
fn activation(name: &str, config: &Value) -> Option<Function> {
    let number = |key: &str, default: f64| config[key].as_f64().unwrap_or(default);
    let plain = config.as_object().is_some_and(serde_json::Map::is_empty);
    Some(match name {
        "relu" if plain => Box::new(Tensor::relu),
        "leaky_relu" => {
            let s = number("negative_slope", 0.2);
            Box::new(move |x| x.leaky_relu(s))
        }
        "relu6" => Box::new(Tensor::relu6),
        "sigmoid" => Box::new(Tensor::sigmoid),
        "tanh" => Box::new(Tensor::tanh),
        "softplus" => Box::new(Tensor::softplus),
        "softsign" => Box::new(Tensor::softsign),
        "elu" => {
            let a = number("alpha", 1.0);
            Box::new(move |x| x.elu(a))
        }
        "celu" => {
            let a = number("alpha", 1.0);
            Box::new(move |x| x.celu(a))
        }
        "selu" => Box::new(Tensor::selu),
        "gelu" if plain => Box::new(Tensor::gelu),
        "gelu" => Box::new(Tensor::gelu_tanh),
        "silu" => Box::new(Tensor::silu),
        "hard_sigmoid" => Box::new(Tensor::hard_sigmoid),
        "hard_silu" => Box::new(Tensor::hard_silu),
        "hard_tanh" => Box::new(Tensor::hard_tanh),
        "exponential" => Box::new(Tensor::exp),
        "mish" => Box::new(Tensor::mish),
        "log_sigmoid" => Box::new(Tensor::log_sigmoid),
        "tanh_shrink" => Box::new(Tensor::tanh_shrink),
        "soft_shrink" => {
            let t = number("threshold", 0.5);
            Box::new(move |x| x.soft_shrink(t))
        }
        "hard_shrink" => {
            let t = number("threshold", 0.5);
            Box::new(move |x| x.hard_shrink(t))
        }
        "squareplus" => {
            let b = number("b", 4.0);
            Box::new(move |x| x.squareplus(b))
        }
        "softmax" => {
            let a = number("axis", -1.0) as isize;
            Box::new(move |x| x.softmax(a))
        }
        "log_softmax" => {
            let a = number("axis", -1.0) as isize;
            Box::new(move |x| x.log_softmax(a))
        }
        _ => return None,
    })
}

#[test]
fn activations_and_their_derivatives() {
    let g = golden("activations");
    let points = tensor(&g["points"]);
    let mut checked = 0;
    for case in g["elementwise"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let Some(f) = activation(name, &case["config"]) else { continue };
        let x = if case["x"].is_string() { points.clone() } else { tensor(&case["x"]) };
        let leaf = x.tracked();
        let y = f(&leaf).unwrap();
        close(name, &y.to_vec().unwrap(), &floats(&case["y"]["data"]), 1e-12);
        let dy = y.sum(&[], false).unwrap().backward().unwrap().get(&leaf).unwrap().to_vec::<f64>().unwrap();
        let kinks = case["kinks"].as_array().map(|_| floats(&case["kinks"])).unwrap_or_default();
        let (mut got, mut want) = (vec![], vec![]);
        for (i, w) in floats(&case["dy"]["data"]).into_iter().enumerate() {
            // Where a function has a corner its derivative is a convention, and conventions differ.
            if !kinks.contains(&(i as f64)) {
                got.push(dy[i]);
                want.push(w);
            }
        }
        close(&format!("derivative of {name}"), &got, &want, 1e-10);
        checked += 1;
    }
    for case in g["vector"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let Some(f) = activation(name, &case["config"]) else { continue };
        let leaf = tensor(&case["x"]).tracked();
        let y = f(&leaf).unwrap();
        close(name, &y.to_vec().unwrap(), &floats(&case["y"]["data"]), 1e-12);
        let loss = y.mul(&tensor(&case["cotangent"])).unwrap().sum(&[], false).unwrap();
        let dx = loss.backward().unwrap().get(&leaf).unwrap().to_vec::<f64>().unwrap();
        close(&format!("gradient of {name}"), &dx, &floats(&case["grad"]["data"]), 1e-10);
        checked += 1;
    }
    assert!(checked >= 30, "{checked} activations were checked");
}

fn loss_named(name: &str, config: &Value) -> Option<Dyn<dyn Loss>> {
    let flag = config["from_logits"].as_bool().unwrap_or(false);
    let smoothing = config["label_smoothing"].as_f64().unwrap_or(0.0);
    let known =
        |keys: &[&str]| config.as_object().is_some_and(|c| c.keys().all(|k| keys.contains(&k.as_str())));
    Some(match name {
        "SparseCategoricalCrossentropy" if known(&["from_logits"]) => {
            SparseCategoricalCrossentropy::new().from_logits(flag).into()
        }
        "CategoricalCrossentropy" if known(&["from_logits", "label_smoothing"]) => {
            CategoricalCrossentropy::new().from_logits(flag).label_smoothing(smoothing).into()
        }
        "BinaryCrossentropy" if known(&["from_logits", "label_smoothing"]) => {
            BinaryCrossentropy::new().from_logits(flag).label_smoothing(smoothing).into()
        }
        "MeanSquaredError" if known(&[]) => MeanSquaredError::new().into(),
        "MeanAbsoluteError" if known(&[]) => loss::MeanAbsoluteError::new().into(),
        _ => return None,
    })
}

#[test]
fn losses_and_their_gradients() {
    let g = golden("losses");
    let mut checked = 0;
    for case in g["cases"].as_array().unwrap() {
        let name = case["loss"].as_str().unwrap();
        let Some(loss) = loss_named(name, &case["config"]) else { continue };
        if case["reduction"] != "sum_over_batch_size" || case["grad"].is_null() {
            continue;
        }
        let what = format!("{name} {} on {}", case["config"], case["inputs"]);
        let input = &g["inputs"][case["inputs"].as_str().unwrap()];
        let mut y_true = tensor(&input["y_true"]);
        if name.starts_with("Sparse") {
            y_true = y_true.cast(DType::I64).unwrap();
        }
        let y_pred = tensor(&input["y_pred"]).tracked();
        let weights = case["sample_weight"].get("shape").map(|_| tensor(&case["sample_weight"]));
        if case["sample_weight"].is_string() {
            continue;
        }
        let value = loss.call(&y_true, &y_pred).and_then(|l| loss::reduce(&l, weights.as_ref()));
        let value = value.unwrap_or_else(|e| panic!("{what}: {e}"));
        close(&what, &[value.item().unwrap()], &floats(&case["value"]["data"]), 1e-9);
        let grads = value.backward().unwrap();
        let grad = grads.get(&y_pred).unwrap().to_vec::<f64>().unwrap();
        close(&format!("gradient of {what}"), &grad, &floats(&case["grad"]["data"]), 1e-8);
        checked += 1;
    }
    assert!(checked >= 10, "{checked} losses were checked");
}

#[derive(Clone, Debug)]
struct Two {
    params: Vec<gradus::nn::Param>,
}
gradus::params!(Two { params });

#[test]
fn optimizers_step_by_step() {
    let g = golden("optimizers");
    let known = |c: &Value, keys: &[&str]| c.as_object().unwrap().keys().all(|k| keys.contains(&k.as_str()));
    let mut checked = 0;
    for case in g["cases"].as_array().unwrap() {
        let c = &case["config"];
        let number = |key: &str, default: f64| c[key].as_f64().unwrap_or(default);
        let Some(lr) = c["learning_rate"].as_f64().filter(|_| case["constraint_on_first"].is_null()) else {
            continue;
        };
        let mut driver = match case["optimizer"].as_str().unwrap() {
            "SGD" if known(c, &["learning_rate", "momentum", "nesterov"]) => {
                let nesterov = c["nesterov"].as_bool().unwrap_or(false);
                Driver::new(SGD::new(lr).momentum(number("momentum", 0.0)).nesterov(nesterov))
            }
            "Adam" if known(c, &["learning_rate", "beta_1", "beta_2", "epsilon"]) => {
                let adam = Adam::new(lr).beta_1(number("beta_1", 0.9)).beta_2(number("beta_2", 0.999));
                Driver::new(adam.epsilon(number("epsilon", 1e-7)))
            }
            _ => continue,
        };
        let mut init = gradus::nn::Init::new(0, DType::F64);
        let zeros: Dyn<dyn gradus::nn::initializer::Initializer> = gradus::nn::initializer::Zeros.into();
        let start: Vec<Tensor> = g["initial"].as_array().unwrap().iter().map(tensor).collect();
        let params = start.iter().map(|t| init.param(*t.shape(), &zeros).unwrap()).collect();
        let mut two = Two { params };
        for (p, t) in two.params.iter_mut().zip(&start) {
            p.set(t.clone()).unwrap();
        }
        let what = format!("{} {c} {}", case["optimizer"], case["gradient"]);
        for (step, want) in case["steps"].as_array().unwrap().iter().enumerate() {
            // A loss whose gradient is the wanted one: half the squares for g = w, or a product with constants.
            let mut cx = gradus::nn::Cx::train(0, 0);
            let mut loss: Option<Tensor> = None;
            for (i, p) in two.params.iter().enumerate() {
                let w = cx.param(p);
                let term = match case["gradient"].as_str().unwrap() {
                    "weights" => w.square().unwrap().affine(0.5, 0.0).unwrap(),
                    _ => w.mul(&tensor(&g["sequence"][step][i])).unwrap(),
                };
                let term = term.sum(&[], false).unwrap();
                loss = Some(match loss {
                    Some(l) => l.add(&term).unwrap(),
                    None => term,
                });
            }
            driver.step(&mut two, loss.unwrap().backward().unwrap(), false).unwrap();
            let mut i = 0;
            two.visit(&mut Default::default(), &mut |_, p| {
                let got = p.value().to_vec::<f64>().unwrap();
                close(&format!("{what} step {step}"), &got, &floats(&want[i]["data"]), 1e-12);
                i += 1;
            });
        }
        checked += 1;
    }
    assert!(checked >= 8, "{checked} optimizers were checked");
}

fn dense_model(case: &Value, g: &Value) -> Option<(Model, Tensor, Tensor)> {
    let act = |name: &str| -> Option<Dyn<dyn gradus::nn::activation::Activation>> {
        Some(match name {
            "relu" => Relu.into(),
            "tanh" => Tanh.into(),
            "softmax" => Softmax.into(),
            "sigmoid" => Sigmoid.into(),
            "linear" => Linear.into(),
            _ => return None,
        })
    };
    let weights = g["networks"][case["network"].as_str()?].as_array()?;
    let units = |i: usize| weights[i]["shape"][1].as_u64().unwrap() as usize;
    let dense = |i: usize, a: &str| -> Option<Dense> {
        let d = Dense::new(units(2 * i)).activation(act(a)?);
        Some(
            match case["kernel_regularizer"]["config"]["l2"]
                .as_f64()
                .or(case["kernel_regularizer"]["l2"].as_f64())
            {
                Some(l2) => d.kernel_regularizer(L2::new(l2)),
                None => d,
            },
        )
    };
    let (hidden, last) = (case["hidden"].as_str()?, case["last"].as_str()?);
    let network = Sequential::new()
        .dtype(DType::F64)
        .add(Input::new([5]))
        .add(dense(0, hidden)?)
        .add(dense(1, hidden)?)
        .add(dense(2, last)?);
    let loss = loss_named(case["loss"].as_str()?, &serde_json::json!({}))?;
    let metrics: Vec<Box<dyn Metric>> = match case["metrics"][0].as_str() {
        Some("accuracy") => vec![Box::new(Accuracy::new())],
        Some("mae") => vec![Box::new(metric::MeanAbsoluteError::new())],
        _ => vec![],
    };
    let c = &case["optimizer_config"];
    let lr = c["learning_rate"].as_f64()?;
    let mut model = match case["optimizer"].as_str()? {
        "SGD" => {
            let sgd = SGD::new(lr).momentum(c["momentum"].as_f64().unwrap_or(0.0));
            network.compile(sgd.nesterov(c["nesterov"].as_bool().unwrap_or(false)), loss, metrics)
        }
        "Adam" => network.compile(Adam::new(lr), loss, metrics),
        _ => return None,
    }
    .unwrap();
    let paths: Vec<String> = model.params().into_iter().map(|(p, _)| p).collect();
    let values: Vec<(String, Tensor)> = paths.into_iter().zip(weights.iter().map(tensor)).collect();
    model.set_params(&values).unwrap();
    let mut y = tensor(&g["data"][case["y"].as_str()?]);
    if case["y"] == "labels" {
        y = y.cast(DType::I64).unwrap();
    }
    Some((model, tensor(&g["data"]["x"]), y))
}

#[test]
fn training_step_by_step() {
    let g = golden("dense_training");
    let mut checked = 0;
    for case in g["cases"].as_array().unwrap() {
        let what = format!("{} {} {}", case["name"], case["optimizer"], case["optimizer_config"]);
        let (mut model, x, y) = dense_model(case, &g).unwrap_or_else(|| panic!("{what} is not covered"));
        let fit = || {
            let mut fit = Fit::new().epochs(1).batch_size(8).shuffle(false).verbose(0);
            if let Some(split) = case["validation_split"].as_f64() {
                fit = fit.validation_split(split);
            }
            if case["sample_weight"] == true {
                fit = fit.sample_weight(&tensor(&g["data"]["sample_weight"]));
            }
            if let Some(w) = case["class_weight"].as_object() {
                let w: Vec<(i64, f64)> =
                    w.iter().map(|(k, v)| (k.parse().unwrap(), v.as_f64().unwrap())).collect();
                fit = fit.class_weight(w);
            }
            fit
        };
        // Every step of the first epoch, by way of a callback; then the whole run.
        struct Steps<'a>(&'a [Value], String);
        impl Callback for Steps<'_> {
            fn on_batch_end(&mut self, model: &mut Model, batch: usize, _: f64) -> gradus::Result<()> {
                let Some(want) = self.0[batch]["weights"].as_array() else { return Ok(()) };
                for ((path, got), want) in model.params().iter().zip(want) {
                    let want = if want.is_array() { floats(want) } else { floats(&want["data"]) };
                    let what = format!("{} step {batch} {path}", self.1);
                    close(&what, &got.to_vec::<f64>().unwrap(), &want, 1e-10);
                }
                Ok(())
            }
        }
        let steps = case["steps"].as_array().unwrap();
        let mut stepped = model.clone();
        stepped.fit(&x, &y, fit().callback(Steps(steps, what.clone()))).unwrap();
        let history = model.fit(&x, &y, fit().epochs(3)).unwrap();
        for (name, want) in case["history"].as_object().unwrap() {
            // `weighted_metrics` come with the metrics that take weights.
            if !name.contains("weighted_") {
                close(&format!("{what} history {name}"), &history[name.as_str()], &floats(want), 1e-9);
            }
        }
        close(&what, &model.predict(&x).unwrap().to_vec().unwrap(), &floats(&case["predict"]["data"]), 1e-9);
        for (name, want) in case["evaluate"].as_object().unwrap() {
            // Keras evaluated with the weights here, which `evaluate` does not take yet.
            if name.contains("weighted_") || case["sample_weight"] == true {
                continue;
            }
            let got = model.evaluate_with(&x, &y, &Evaluate::new().batch_size(8)).unwrap();
            close(&format!("{what} evaluate {name}"), &[got[name.as_str()]], &[want.as_f64().unwrap()], 1e-9);
        }
        checked += 1;
    }
    assert!(checked >= 25, "{checked} trainings were checked");
}

#[test]
fn early_stopping_follows_keras() {
    let g = golden("callbacks");
    for case in g["early_stopping"].as_array().unwrap() {
        let c = &case["config"];
        let known = [
            "patience",
            "min_delta",
            "baseline",
            "start_from_epoch",
            "restore_best_weights",
            "mode",
            "monitor",
        ];
        assert!(c.as_object().unwrap().keys().all(|k| known.contains(&k.as_str())), "{c}");
        let monitor = c["monitor"].as_str().unwrap_or("val_loss");
        let mut stop = EarlyStopping::new(monitor)
            .patience(c["patience"].as_u64().unwrap_or(0) as usize)
            .min_delta(c["min_delta"].as_f64().unwrap_or(0.0))
            .start_from_epoch(c["start_from_epoch"].as_u64().unwrap_or(0) as usize);
        if let Some(b) = c["baseline"].as_f64() {
            stop = stop.baseline(b);
        }
        if c["mode"] == "max" {
            stop = stop.larger_is_better(true);
        }
        let network = Sequential::new().add(Input::new([1])).add(Dense::new(1));
        let mut model = network.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
        stop.on_train_begin(&mut model, Plan::default()).unwrap();
        let stopped = floats(&case["values"]).iter().enumerate().find_map(|(epoch, v)| {
            let mut logs = Logs::new();
            logs.set(monitor, *v);
            stop.on_epoch_end(&mut model, epoch, &mut logs).unwrap();
            stop.stopped_epoch()
        });
        assert_eq!(stopped.map(|e| e as u64), case["stopped_epoch"].as_u64().filter(|e| *e > 0), "{c}");
    }
}

#[test]
fn summaries_are_keras_tables() {
    let g = golden("summary");
    let want = |title: &str| {
        let case = g["summaries"].as_array().unwrap().iter().find(|c| c["title"] == title).unwrap();
        case["text"]["76"].as_str().unwrap().to_string()
    };
    let mlp = |middle: Dense| {
        let n = Sequential::new().add(Input::new([784])).add(Dense::new(64)).add(middle);
        n.add(Dense::new(10).activation(Softmax))
    };
    let loss = SparseCategoricalCrossentropy::new;
    let step = |m: &mut Model| {
        let y = Tensor::from_slice(&[0i64; 4], [4]).unwrap();
        m.train_on_batch(&Tensor::zeros([4, 784]).unwrap(), &y).unwrap();
        m.summary_table().to_string()
    };
    let mut adam = mlp(Dense::new(64)).compile(Adam::new(0.001), loss(), ()).unwrap();
    assert_eq!(adam.summary_table().to_string().trim_end(), want("mlp").trim_end());
    assert_eq!(step(&mut adam).trim_end(), want("mlp after one step of adam").trim_end());
    let mut sgd = mlp(Dense::new(64)).compile(SGD::new(0.01), loss(), ()).unwrap();
    assert_eq!(step(&mut sgd).trim_end(), want("mlp after one step of sgd").trim_end());
    let mut momentum = mlp(Dense::new(64)).compile(SGD::new(0.01).momentum(0.9), loss(), ()).unwrap();
    assert_eq!(step(&mut momentum).trim_end(), want("mlp after one step of sgd with momentum").trim_end());
    let frozen = mlp(Dense::new(64).trainable(false)).compile(SGD::new(0.01), loss(), ()).unwrap();
    assert_eq!(frozen.summary_table().to_string().trim_end(), want("frozen").trim_end());
    let named = Sequential::new()
        .name("my_model")
        .add(Input::new([4]))
        .add(Dense::new(8).name("first"))
        .add(Dense::new(8).name("a_layer_name_that_is_much_longer_than_its_column_would_like"))
        .add(Dense::new(1).name("head"));
    let named = named.compile(SGD::new(0.01), MeanSquaredError::new(), ()).unwrap();
    assert_eq!(named.summary_table().to_string().trim_end(), want("named").trim_end());
}
