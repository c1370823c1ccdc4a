//! Tests of what `fit` promises beyond the numbers: a step changes all parameters or none, several outputs have
//! names, options survive a file, callbacks can stop training.

use gradus::io::Load;
use gradus::loss::Huber;
use gradus::metric::{MeanAbsoluteError, PerOutput};
use gradus::nn::constraint::MaxNorm;
use gradus::nn::{Cx, Init, Inputs, Module, Node, Param, Subclass, Values};
use gradus::optim::schedule::CosineDecay;
use gradus::optim::{Driver, Optimizer};
use gradus::prelude::*;
use gradus::train::{LambdaCallback, TerminateOnNaN, Weights};
use gradus::{Error, Result};

fn values(shape: &[usize]) -> Tensor {
    let n = shape.iter().product::<usize>();
    Tensor::from_slice(&(0..n).map(|i| (i as f32 * 0.37).fract() - 0.3).collect::<Vec<_>>(), shape).unwrap()
}

fn quiet<'a>() -> Fit<'a> {
    Fit::new().verbose(0)
}

fn regression(optimizer: impl Optimizer + 'static) -> Model {
    let stack = Sequential::new()
        .add(Input::new([3]))
        .add(Dense::new(4).activation(Tanh).kernel_constraint(MaxNorm::new(0.8)))
        .add(Dense::new(1));
    stack.seed(3).compile(optimizer, Huber::new(), ()).unwrap()
}

#[test]
fn every_option_is_resumed_from_a_file() {
    let (x, y) = (values(&[24, 3]), values(&[24, 1]));
    let options = || {
        Adam::new(CosineDecay::new(0.01, 20).warmup(0.05, 4))
            .global_clipnorm(0.5)
            .weight_decay(0.01)
            .exclude_from_weight_decay(["bias"])
            .use_ema(0.9)
            .ema_overwrite_frequency(3)
            .gradient_accumulation_steps(2)
    };
    // Stop in the middle of an accumulation: three steps of eight rows.
    let mut whole = regression(options());
    let rows = |t: &Tensor, i: isize| t.slice(0, 8 * i, 8 * i + 8).unwrap();
    (0..3).for_each(|i| drop(whole.train_on_batch(&rows(&x, i), &rows(&y, i)).unwrap()));
    let mut resumed = Model::from_bytes(&whole.to_bytes().unwrap(), Load::new()).unwrap();
    assert_eq!(resumed.optimizer().iterations(), 1);
    for model in [&mut whole, &mut resumed] {
        (0..3).for_each(|i| drop(model.train_on_batch(&rows(&x, i), &rows(&y, i)).unwrap()));
    }
    assert_eq!(whole.weight_bytes().unwrap(), resumed.weight_bytes().unwrap());
    assert_eq!(whole.learning_rate(), resumed.learning_rate());
    assert_eq!(whole.to_bytes().unwrap(), resumed.to_bytes().unwrap());
}

/// Fails from its second application on.
#[derive(Debug)]
struct FailsLater(std::sync::atomic::AtomicUsize);
impl gradus::config::Configured for FailsLater {}
impl gradus::nn::constraint::Constraint for FailsLater {
    fn project(&self, w: &Tensor) -> Result<Tensor> {
        match self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => w.affine(0.5, 0.0),
            _ => Err(Error::Custom("out of memory".into())),
        }
    }
}

#[derive(Clone, Debug)]
struct Three {
    params: Vec<Param>,
}
gradus::parts!(group Three { params });

#[test]
fn a_failed_step_changes_nothing() {
    let mut init = Init::new(0, DType::F64);
    let ones = gradus::nn::initializer::Ones.into();
    let fails: gradus::config::Dyn<dyn gradus::nn::constraint::Constraint> = FailsLater(0.into()).into();
    let mut param =
        |constrained: bool| init.param([2], &ones).unwrap().constrained(constrained.then(|| fails.clone()));
    let mut three = Three { params: vec![param(false), param(true), param(true)] };
    let mut driver = Driver::new(Adam::new(0.1));
    let gradients = |three: &Three| {
        let mut cx = Cx::train(0, 0);
        let terms: Vec<Tensor> =
            three.params.iter().map(|p| cx.param(p).unwrap().square().unwrap()).collect();
        let sum = terms[0].add(&terms[1]).unwrap().add(&terms[2]).unwrap();
        sum.sum(&[], false).unwrap().backward().unwrap()
    };
    let all = |three: &Three| three.params.iter().flat_map(|p| p.value().to_vec::<f64>().unwrap()).collect();
    let before: Vec<f64> = all(&three);
    let grads = gradients(&three);
    let error = driver.step(&mut three, grads, false).unwrap_err().to_string();
    assert!(error.contains("params/2") && error.contains("out of memory"), "{error}");
    assert_eq!(before, all(&three) as Vec<f64>);
    assert_eq!(driver.iterations(), 0);
    // A gradient that is missing is found before anything moves, too.
    let mut cx = Cx::train(0, 0);
    let one = cx.param(&three.params[0]).unwrap().sum(&[], false).unwrap().backward().unwrap();
    driver.step(&mut three, one, false).unwrap_err();
    assert_eq!(before, all(&three) as Vec<f64>);
}

/// One trunk, two heads.
#[derive(Clone, Debug)]
struct TwoHeads {
    class: Param,
    size: Param,
}
gradus::parts!(TwoHeads { class, size });
impl Node for TwoHeads {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let x = &x.single()?.tensor;
        let class = x.matmul(&cx.param(&self.class)?)?.softmax(-1)?;
        Ok([class, x.matmul(&cx.param(&self.size)?)?].into())
    }
}

#[test]
fn outputs_have_names_losses_weights_and_metrics() {
    let network = || {
        let (mut init, glorot) = (Init::new(1, DType::F32), gradus::nn::initializer::GlorotUniform.into());
        let mut weights = |units: usize| init.param([3, units], &glorot).unwrap();
        Subclass::new([Input::new([3])], TwoHeads { class: weights(2), size: weights(1) })
    };
    let metrics =
        || PerOutput::new().output("class", [Accuracy::new()]).output("size", (MeanAbsoluteError::new(),));
    let losses = (SparseCategoricalCrossentropy::new(), MeanSquaredError::new().weight(0.25));
    let named = network().outputs(["class", "size"]);
    let model = named.compile(SGD::new(0.1), losses, metrics()).unwrap();
    let labels = Tensor::from_slice(&[0i64, 1, 1, 0], [4]).unwrap();
    let logs = model.evaluate(&values(&[4, 3]), &[labels.clone(), values(&[4, 1])]).unwrap();
    let names: Vec<&str> = logs.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["loss", "class_loss", "size_loss", "class_accuracy", "size_mean_absolute_error"]);
    assert!((logs["loss"] - logs["class_loss"] - 0.25 * logs["size_loss"]).abs() < 1e-6);
    let outputs = model.predict_all(&values(&[4, 3])).unwrap();
    let error = outputs[1].sub(&values(&[4, 1])).unwrap().abs().unwrap().mean(&[], false).unwrap();
    assert!((logs["size_mean_absolute_error"] - error.item().unwrap()).abs() < 1e-6);
    // Without names.
    let losses = (SparseCategoricalCrossentropy::new(), MeanSquaredError::new());
    let mut model = network().compile(SGD::new(0.1), losses, ()).unwrap();
    let history = model.fit(&values(&[4, 3]), &[labels, values(&[4, 1])], quiet()).unwrap();
    assert_eq!(history.keys().collect::<Vec<_>>(), ["loss", "output_1_loss", "output_2_loss"]);
    // A list that says of no output.
    let losses = (SparseCategoricalCrossentropy::new(), MeanSquaredError::new());
    let error = network().compile(SGD::new(0.1), losses, [Accuracy::new()]).unwrap_err().to_string();
    assert!(error.contains("output_1, output_2"), "{error}");
}

#[test]
fn vectors_and_columns_are_the_same_targets() {
    let (x, y) = (values(&[8, 3]), values(&[8, 1]));
    let (mut column, mut vector) = (regression(SGD::new(0.1)), regression(SGD::new(0.1)));
    column.fit(&x, &y, quiet()).unwrap();
    vector.fit(&x, &y.squeeze(-1).unwrap(), quiet()).unwrap();
    assert_eq!(column.weight_bytes().unwrap(), vector.weight_bytes().unwrap());
}

#[test]
fn training_stops_at_a_loss_that_is_no_number() {
    let mut x = vec![0.5f32; 64 * 3];
    x[20 * 3] = f32::NAN;
    let x = Tensor::from_slice(&x, [64, 3]).unwrap();
    let mut batches = 0;
    let count = LambdaCallback::new().on_train_batch_end(|_, _, _| {
        batches += 1;
        Ok(())
    });
    let fit = quiet().epochs(3).batch_size(8).shuffle(false).callback(count).callback(TerminateOnNaN::new());
    let history = regression(SGD::new(0.1)).fit(&x, &values(&[64, 1]), fit).unwrap();
    assert_eq!(history.epochs(), [0]);
    assert_eq!(batches, 3);
}

#[test]
fn classes_weigh_as_their_rows_would() {
    let stack = || Sequential::new().add(Input::new([3])).add(Dense::new(2).activation(Softmax)).seed(5);
    let model = || stack().compile(SGD::new(0.1), SparseCategoricalCrossentropy::new(), ()).unwrap();
    let (x, y) = (values(&[4, 3]), Tensor::from_slice(&[0i64, 1, 1, 0], [4]).unwrap());
    let (mut by_class, mut by_row) = (model(), model());
    let a = by_class.train_on_batch_weighted(&x, &y, &Weights::class([(1, 3.0), (7, 2.0)])).unwrap();
    let rows = Tensor::from_slice(&[1.0f32, 3.0, 3.0, 1.0], [4]).unwrap();
    let b = by_row.train_on_batch_weighted(&x, &y, &Weights::sample(&rows)).unwrap();
    assert_eq!(a, b);
    assert_eq!(by_class.weight_bytes().unwrap(), by_row.weight_bytes().unwrap());
    let tested = by_class.test_on_batch(&x, &y).unwrap();
    assert_eq!(tested, by_row.evaluate_with(&x, &y, &Evaluate::new().batch_size(4)).unwrap());
    assert!(by_class.predict_on_batch(&x).unwrap().same_bits(&by_class.predict(&x).unwrap()));
}

#[test]
fn an_activity_regularizer_adds_its_share_of_the_output() {
    let network = |dense: Dense| {
        let stack = Sequential::new().add(Input::new([3])).add(dense).seed(2);
        stack.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap()
    };
    let (x, y) = (values(&[4, 3]), values(&[4, 2]));
    let plain = network(Dense::new(2));
    let regularized = network(Dense::new(2).activity_regularizer(L2::new(0.1)));
    let out = plain.predict(&x).unwrap();
    let penalty = 0.1 * out.square().unwrap().sum(&[], false).unwrap().item().unwrap() / 4.0;
    let (a, b) = (plain.evaluate(&x, &y).unwrap(), regularized.evaluate(&x, &y).unwrap());
    assert!((b["loss"] - a["loss"] - penalty).abs() < 1e-6);
}

#[test]
fn initializers_have_their_fans_and_bounds() {
    use gradus::nn::initializer::{
        Distribution, Fan, Identity, Initializer, TruncatedNormal, VarianceScaling,
    };
    let draw = |i: &dyn Initializer, shape: &[usize]| {
        let spec = gradus::Spec::new(gradus::IntoShape::into_shape(shape).unwrap(), DType::F64);
        let stream = gradus::random::Stream::new(1, gradus::random::Purpose::Init(0), 0);
        i.tensor(spec, stream).unwrap().to_vec::<f64>().unwrap()
    };
    let spread = |v: &[f64]| (v.iter().map(|x| x * x).sum::<f64>() / v.len() as f64).sqrt();
    let golden: serde_json::Value = serde_json::from_str(
        &std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/parity/goldens/initializers.json"
        ))
        .unwrap(),
    )
    .unwrap();
    let mut checked = 0;
    for case in golden["cases"].as_array().unwrap() {
        let shape: Vec<usize> =
            case["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
        let c = &case["config"];
        let values = match case["initializer"].as_str().unwrap() {
            "VarianceScaling" => {
                let mode = match c["mode"].as_str().unwrap() {
                    "fan_in" => Fan::In,
                    "fan_out" => Fan::Out,
                    _ => Fan::Avg,
                };
                let distribution = match c["distribution"].as_str().unwrap() {
                    "uniform" => Distribution::Uniform,
                    "untruncated_normal" => Distribution::UntruncatedNormal,
                    _ => Distribution::TruncatedNormal,
                };
                let scaling = VarianceScaling::new(c["scale"].as_f64().unwrap());
                draw(&scaling.mode(mode).distribution(distribution), &shape)
            }
            "TruncatedNormal" => draw(&TruncatedNormal::default(), &shape),
            _ => continue,
        };
        if let Some(bound) = case["bound"].as_f64() {
            assert!(values.iter().all(|v| v.abs() <= bound * (1.0 + 1e-12)), "{case}");
        }
        if values.len() > 1000 {
            let std = case["std"].as_f64().unwrap();
            assert!((spread(&values) / std - 1.0).abs() < 0.06, "{case}: {}", spread(&values));
        }
        checked += 1;
    }
    assert!(checked >= 15, "{checked} initializers were checked");
    assert_eq!(draw(&Identity::new(2.0), &[2, 3]), [2.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
}

#[test]
fn an_average_ends_training() {
    let mut model = regression(SGD::new(0.1).use_ema(0.5));
    let (x, y) = (values(&[8, 3]), values(&[8, 1]));
    let mut last = Vec::new();
    let keep = LambdaCallback::new().on_epoch_end(|m, _, _| {
        last = m.params();
        Ok(())
    });
    model.fit(&x, &y, quiet().epochs(3).callback(keep)).unwrap();
    // What training ended with is not what the model has: it has the mean over steps.
    let differs = |(path, value): &(String, Tensor)| !model.param(path).unwrap().same_bits(value);
    assert!(last.iter().any(differs));
    let mut seen = 0;
    model.visit(&mut |_, _| seen += 1);
    assert_eq!(seen, 4);
}

/// A ReLU before a maximum is applied after it where nothing else sees its result: with the bits, values and gradients, of a network
/// in which something does. Pools that overlap or reach over edges, ties at 0 and above, whole pools below 0, NaN.
#[test]
fn a_relu_that_waits_for_the_maximum_has_the_same_bits() {
    let pools: [&dyn Fn() -> MaxPooling2D; 3] =
        [&MaxPooling2D::new, &|| MaxPooling2D::new().pool_size(3).strides(2).padding(Padding::Same), &|| {
            MaxPooling2D::new().pool_size([2, 1]).strides([1, 3])
        }];
    for (i, pool) in pools.into_iter().enumerate() {
        let build = |seen: bool| {
            let x = Input::new([9, 8, 2]);
            let h = Conv2D::new(5, 3).activation(Relu).on(&x).unwrap();
            let y = Dense::new(3).on(&pool().on(&h).unwrap()).unwrap();
            let outputs = if seen { vec![y, h] } else { vec![y] };
            Functional::new([&x], &outputs).unwrap().seed(3).build().unwrap()
        };
        let pass = |network: &Network, x: &Tensor| -> [Vec<u32>; 2] {
            let x = x.tracked();
            let y = network.forward_all(&x, &mut Cx::train(1, 0)).unwrap()[0].clone();
            let g = y.mul(&values(y.dims())).unwrap().sum(&[], false).unwrap().backward().unwrap();
            [&y, g.get(&x).unwrap()]
                .map(|t| t.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect())
        };
        let mut x = values(&[3, 9, 8, 2]).to_vec::<f32>().unwrap();
        // Equal patches give equal maxima; numbers far below 0 silence whole pools.
        x[..60].fill(0.25);
        x[200..290].fill(-4.0);
        let x = Tensor::from_slice(&x, [3, 9, 8, 2]).unwrap();
        assert_eq!(pass(&build(false), &x), pass(&build(true), &x), "pool {i}");
    }
}
