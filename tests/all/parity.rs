//! Compares the library with Keras 3.15 (JAX, float64), number by number and step by step. `tests/parity/README.md`
//! says how the golden values were made.

use crate::golden::{close, floats, golden, tensor};
use gradus::config::{Dyn, Registry, Setting};
use gradus::loss::{Loss, Reduction};
use gradus::metric::{self, Metric};
use gradus::nn::constraint::{self, Constraint, MaxNorm};
use gradus::nn::regularizer::{self, Regularizer};
use gradus::optim::LearningRate;
use gradus::optim::schedule::*;
use gradus::prelude::*;
use gradus::train::{LearningRateScheduler, Plan, ReduceLROnPlateau};
use serde_json::Value;

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
        "sparse_plus" => Box::new(Tensor::sparse_plus),
        "sparse_sigmoid" => Box::new(Tensor::sparse_sigmoid),
        "threshold" => {
            let (t, d) = (number("threshold", 0.0), number("default_value", 0.0));
            Box::new(move |x| x.threshold(t, d))
        }
        "glu" => {
            let a = number("axis", -1.0) as isize;
            Box::new(move |x| x.glu(a))
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
    let described = serde_json::json!({ "class_name": name, "config": config });
    Dyn::<dyn Loss>::read(described, &Registry::new()).ok()
}

#[test]
fn losses_and_their_gradients() {
    let g = golden("losses");
    let mut checked = 0;
    for case in g["cases"].as_array().unwrap().iter().chain(g["masked"].as_array().unwrap()) {
        let name = case["loss"].as_str().unwrap();
        let loss = loss_named(name, &case["config"]).unwrap_or_else(|| panic!("{name} {}", case["config"]));
        let reduction = match case["reduction"].as_str().unwrap() {
            "sum_over_batch_size" | "mean" => Reduction::SumOverBatchSize,
            "sum" => Reduction::Sum,
            "none" => Reduction::None,
            _ => Reduction::MeanWithSampleWeight,
        };
        let what = format!("{name} {} {reduction:?} on {}", case["config"], case["inputs"]);
        let input = &g["inputs"][case["inputs"].as_str().unwrap()];
        let mut y_true = tensor(&input["y_true"]);
        if input["y_true"]["dtype"] == "i64" {
            y_true = y_true.cast(DType::I64).unwrap();
        }
        let y_pred = tensor(&input["y_pred"]).tracked();
        let weights = case["sample_weight"].get("shape").map(|_| tensor(&case["sample_weight"]));
        let mask = case["mask"].get("shape").map(|_| tensor(&case["mask"]).cast(DType::Bool).unwrap());
        let mask = mask.or(loss.mask(&y_true, &y_pred).unwrap());
        let value =
            loss.call(&y_true, &y_pred).and_then(|l| reduction.apply(&l, weights.as_ref(), mask.as_ref()));
        let value = value.unwrap_or_else(|e| panic!("{what}: {e}"));
        close(&what, &value.to_vec().unwrap(), &floats(&case["value"]["data"]), 1e-9);
        checked += 1;
        if case["grad"].is_null() || reduction == Reduction::None {
            continue;
        }
        let grads = value.backward().unwrap();
        let grad = grads.get(&y_pred).unwrap().to_vec::<f64>().unwrap();
        close(&format!("gradient of {what}"), &grad, &floats(&case["grad"]["data"]), 1e-8);
    }
    assert!(checked >= 640, "{checked} losses were checked");
}

/// The schedule that Keras calls by this name with these settings.
fn schedule(name: &str, c: &Value) -> LearningRate {
    let number = |key: &str, default: f64| c[key].as_f64().unwrap_or(default);
    let steps = |key: &str| c[key].as_u64().unwrap_or(0);
    let yes = |key: &str| c[key].as_bool().unwrap_or(false);
    let initial = number("initial_learning_rate", 0.0);
    match name {
        "ExponentialDecay" => {
            let rate = number("decay_rate", 0.0);
            ExponentialDecay::new(initial, steps("decay_steps"), rate).staircase(yes("staircase")).into()
        }
        "InverseTimeDecay" => {
            let rate = number("decay_rate", 0.0);
            InverseTimeDecay::new(initial, steps("decay_steps"), rate).staircase(yes("staircase")).into()
        }
        "PiecewiseConstantDecay" => {
            let boundaries: Vec<u64> = floats(&c["boundaries"]).iter().map(|b| *b as u64).collect();
            PiecewiseConstantDecay::new(boundaries, floats(&c["values"])).into()
        }
        "PolynomialDecay" => PolynomialDecay::new(initial, steps("decay_steps"))
            .end_learning_rate(number("end_learning_rate", 1e-4))
            .power(number("power", 1.0))
            .cycle(yes("cycle"))
            .into(),
        "CosineDecay" => {
            let decay = CosineDecay::new(initial, steps("decay_steps")).alpha(number("alpha", 0.0));
            match c["warmup_target"].as_f64() {
                Some(target) => decay.warmup(target, steps("warmup_steps")).into(),
                None => decay.into(),
            }
        }
        "CosineDecayRestarts" => CosineDecayRestarts::new(initial, steps("first_decay_steps"))
            .t_mul(number("t_mul", 2.0))
            .m_mul(number("m_mul", 1.0))
            .alpha(number("alpha", 0.0))
            .into(),
        _ => panic!("{name}"),
    }
}

#[test]
fn schedules_at_every_step() {
    let g = golden("schedules");
    let steps = floats(&g["steps"]);
    for case in g["cases"].as_array().unwrap() {
        let rate = schedule(case["schedule"].as_str().unwrap(), &case["config"]);
        let got: Vec<f64> = steps.iter().map(|s| rate.at(*s as u64)).collect();
        close(&format!("{} {}", case["schedule"], case["config"]), &got, &floats(&case["values"]), 1e-12);
    }
}

#[test]
fn constraints_project_as_in_keras() {
    let g = golden("constraints");
    for case in g["cases"].as_array().unwrap() {
        let c = &case["config"];
        let number = |key: &str, default: f64| c[key].as_f64().unwrap_or(default);
        let axes: Vec<isize> = match &c["axis"] {
            Value::Array(_) => floats(&c["axis"]).iter().map(|a| *a as isize).collect(),
            axis => vec![axis.as_i64().unwrap_or(0) as isize],
        };
        let constraint: Dyn<dyn Constraint> = match case["constraint"].as_str().unwrap() {
            "MaxNorm" => MaxNorm::new(number("max_value", 2.0)).axis(axes).into(),
            "NonNeg" => constraint::NonNeg::new().into(),
            "UnitNorm" => constraint::UnitNorm::new().axis(axes).into(),
            _ => constraint::MinMaxNorm::new(number("min_value", 0.0), number("max_value", 1.0))
                .rate(number("rate", 1.0))
                .axis(axes)
                .into(),
        };
        let got = constraint.project(&tensor(&g["inputs"][case["input"].as_str().unwrap()])).unwrap();
        let what = format!("{} {c} {}", case["constraint"], case["input"]);
        close(&what, &got.to_vec().unwrap(), &floats(&case["value"]["data"]), 1e-12);
    }
}

#[test]
fn kernels_of_a_fourier_transform_are_those_of_keras() {
    use gradus::config::{Registry, Setting};
    use gradus::nn::initializer::Initializer;
    let stream = gradus::random::Stream::new(1, gradus::random::Purpose::Init(0), 0);
    let cases = golden("initializers")["stft"].as_array().unwrap().clone();
    assert_eq!(cases.len(), 23);
    for case in cases {
        let described = serde_json::json!({ "class_name": "STFT", "config": case["config"] });
        let initializer = Dyn::<dyn Initializer>::read(described, &Registry::new()).unwrap();
        let want = tensor(&case["value"]);
        let got = initializer.tensor(want.spec(), stream).unwrap();
        close(&case["config"].to_string(), &got.to_vec().unwrap(), &want.to_vec::<f64>().unwrap(), 1e-12);
    }
    for dims in [&[4, 2, 3][..], &[4, 1, 1], &[4, 3]] {
        let shape = gradus::Shape::new(dims).unwrap();
        let e = gradus::nn::initializer::STFT::new().value(&shape, stream).err().unwrap().to_string();
        assert!(e.contains("STFT") && e.contains("frequencies"), "{e}");
    }
}

#[test]
fn regularizers_and_their_gradients() {
    let g = golden("regularizers");
    for case in g["cases"].as_array().unwrap() {
        let c = &case["config"];
        let number = |key: &str, default: f64| c[key].as_f64().unwrap_or(default);
        let penalty: Dyn<dyn Regularizer> = match case["regularizer"].as_str().unwrap() {
            "L1" => L1::new(number("l1", 0.01)).into(),
            "L2" => L2::new(number("l2", 0.01)).into(),
            "L1L2" => L1L2::new(number("l1", 0.0), number("l2", 0.0)).into(),
            _ => {
                let mode = match c["mode"].as_str() {
                    Some("columns") => regularizer::Mode::Columns,
                    _ => regularizer::Mode::Rows,
                };
                regularizer::OrthogonalRegularizer::new(number("factor", 0.01)).mode(mode).into()
            }
        };
        let what = format!("{} {c} {}", case["regularizer"], case["input"]);
        let w = tensor(&g["inputs"][case["input"].as_str().unwrap()]).tracked();
        let value = penalty.penalty(&w).unwrap();
        close(&what, &[value.item().unwrap()], &[case["value"].as_f64().unwrap()], 1e-12);
        let gradients = value.backward().unwrap();
        close(&what, &gradients.get(&w).unwrap().to_vec().unwrap(), &floats(&case["grad"]["data"]), 1e-10);
    }
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
        Some("accuracy") => vec![Box::new(Accuracy::new()), Box::new(Accuracy::new().weighted())],
        Some("mae") => vec![Box::new(metric::MeanAbsoluteError::new().named("mae"))],
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
            fn on_train_batch_end(&mut self, model: &mut Model, batch: usize, _: f64) -> gradus::Result<()> {
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
            close(&format!("{what} history {name}"), &history[name.as_str()], &floats(want), 1e-9);
        }
        close(&what, &model.predict(&x).unwrap().to_vec().unwrap(), &floats(&case["predict"]["data"]), 1e-9);
        for (name, want) in case["evaluate"].as_object().unwrap() {
            let mut settings = Evaluate::new().batch_size(8);
            if case["sample_weight"] == true {
                settings = settings.sample_weight(&tensor(&g["data"]["sample_weight"]));
            }
            let got = model.evaluate_with(&x, &y, &settings).unwrap();
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
        if let Some(mode) = c["mode"].as_str() {
            stop = stop.mode(mode);
        }
        stop = stop.restore_best_weights(c["restore_best_weights"] == true);
        let network =
            Sequential::new().dtype(DType::F64).add(Input::new([1])).add(Dense::new(1).use_bias(false));
        let mut model = network.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
        stop.on_train_begin(&mut model, &Plan::default()).unwrap();
        let trace = case["trace"].as_array().unwrap();
        let values = floats(&case["values"]);
        for (epoch, (v, step)) in values.iter().zip(trace).enumerate() {
            // The weight says which epoch a model is of.
            let weight = Tensor::full([1, 1], epoch as f64).unwrap();
            model.set_params(&[("dense/kernel".into(), weight)]).unwrap();
            let mut logs = Logs::new();
            logs.set(monitor, *v);
            stop.on_epoch_end(&mut model, epoch, &mut logs).unwrap();
            // Keras's first best epoch is 0, whether there is one or not.
            let best = Some(&step["best"]).filter(|best| !best.is_null()).map(|_| &step["best_epoch"]);
            assert_eq!(
                stop.best_epoch().map(|e| e as u64),
                best.and_then(Value::as_u64),
                "{c}, epoch {epoch}"
            );
            assert_eq!(stop.stopped_epoch().is_some(), step["stop"] == true, "{c}, epoch {epoch}");
        }
        stop.on_train_end(&mut model).unwrap();
        assert_eq!(stop.stopped_epoch().map(|e| e as u64), case["stopped_epoch"].as_u64(), "{c}");
        let weight = model.param("dense/kernel").unwrap().to_vec::<f64>().unwrap();
        close(&format!("{c}"), &weight, &[case["weight_at_end"].as_f64().unwrap()], 0.0);
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
    let frozen = mlp(Dense::new(64).frozen()).compile(SGD::new(0.01), loss(), ()).unwrap();
    assert_eq!(frozen.summary_table().to_string().trim_end(), want("frozen").trim_end());
    let named = Sequential::new()
        .named("my_model")
        .add(Input::new([4]))
        .add(Dense::new(8).named("first"))
        .add(Dense::new(8).named("a_layer_name_that_is_much_longer_than_its_column_would_like"))
        .add(Dense::new(1).named("head"));
    let named = named.compile(SGD::new(0.01), MeanSquaredError::new(), ()).unwrap();
    assert_eq!(named.summary_table().to_string().trim_end(), want("named").trim_end());
}

#[test]
fn reduce_lr_on_plateau_follows_keras() {
    let g = golden("callbacks");
    for case in g["reduce_lr_on_plateau"].as_array().unwrap() {
        let c = &case["config"];
        let count = |key: &str, default: u64| c[key].as_u64().unwrap_or(default) as usize;
        let mut reduce = ReduceLROnPlateau::new("val_loss")
            .factor(c["factor"].as_f64().unwrap_or(0.1))
            .patience(count("patience", 10))
            .cooldown(count("cooldown", 0))
            .min_delta(c["min_delta"].as_f64().unwrap_or(1e-4))
            .min_lr(c["min_lr"].as_f64().unwrap_or(0.0));
        if let Some(mode) = c["mode"].as_str() {
            reduce = reduce.mode(mode);
        }
        let network = Sequential::new().add(Input::new([1])).add(Dense::new(1));
        let rate = case["learning_rate"].as_f64().unwrap();
        let mut model = network.compile(SGD::new(rate), MeanSquaredError::new(), ()).unwrap();
        reduce.on_train_begin(&mut model, &Plan::default()).unwrap();
        let (mut logged, mut after) = (vec![], vec![]);
        for (epoch, v) in floats(&case["values"]).iter().enumerate() {
            let mut logs = Logs::new();
            logs.set("val_loss", *v);
            reduce.on_epoch_end(&mut model, epoch, &mut logs).unwrap();
            logged.push(logs["learning_rate"]);
            after.push(model.learning_rate());
        }
        close(&format!("{c} logged"), &logged, &floats(&case["learning_rate_logged"]), 1e-12);
        close(&format!("{c} after"), &after, &floats(&case["learning_rate_after"]), 1e-12);
    }
}

#[test]
fn short_fits_go_as_in_keras() {
    let g = golden("callbacks");
    let data = &g["fit_data"];
    let (x, y) = (tensor(&data["x"]), tensor(&data["y"]));
    for case in g["fits"].as_array().unwrap() {
        let title = case["title"].as_str().unwrap();
        let network =
            Sequential::new().dtype(DType::F64).add(Input::new([1])).add(Dense::new(1).use_bias(false));
        let mut model = network.compile(SGD::new(0.01), MeanSquaredError::new(), ()).unwrap();
        model.set_params(&[("dense/kernel".into(), Tensor::from_slice(&[0.5], [1, 1]).unwrap())]).unwrap();
        let count = |v: &Value| v.as_u64().map(|n| n as usize);
        let mut fit =
            Fit::new().verbose(0).shuffle(false).batch_size(3).epochs(count(&case["epochs"]).unwrap());
        fit = fit.initial_epoch(count(&case["initial_epoch"]).unwrap());
        for (key, value) in case["fit"].as_object().unwrap() {
            fit = match key.as_str() {
                "steps_per_epoch" => fit.steps_per_epoch(count(value).unwrap()),
                "validation_split" => fit.validation_split(value.as_f64().unwrap()),
                "validation_freq" => fit.validation_freq(count(value).unwrap()),
                _ => panic!("{key}"),
            };
        }
        if title.starts_with("LearningRateScheduler") {
            fit = fit.callback(LearningRateScheduler::new(|epoch, _| 0.01 / (1.0 + epoch as f64)));
        }
        if title.starts_with("ReduceLROnPlateau") {
            fit = fit.callback(ReduceLROnPlateau::new("loss").factor(0.5).patience(1).min_delta(100.0));
        }
        let history = model.fit(&x, &y, fit).unwrap();
        for (name, want) in case["history"].as_object().unwrap() {
            close(&format!("{title} {name}"), &history[name.as_str()], &floats(want), 1e-12);
        }
        let epochs: Vec<f64> = history.epochs().iter().map(|e| *e as f64).collect();
        close(title, &epochs, &floats(&case["epoch"]), 0.0);
        let weight = model.param("dense/kernel").unwrap().to_vec::<f64>().unwrap();
        close(&format!("{title} weight"), &weight, &[case["weight"].as_f64().unwrap()], 1e-12);
    }
}
