//! Tests of the layer traits with what simple layers never need: masks and returned states, running statistics,
//! several inputs and outputs, shared parameters.

use gradus::Result;
use gradus::autograd::gradcheck;
use gradus::config::Configured;
use gradus::nn::activation::Sigmoid;
use gradus::nn::initializer::{GlorotUniform, Ones, Orthogonal, RandomUniform, Zeros};
use gradus::nn::{
    Build, Cx, Init, InputSpecs, Inputs, Layer, Module, Node, Param, Part, Subclass, Value, Values, features,
    single,
};
use gradus::prelude::*;

// ---- a recurrent layer with a mask, which can return its states

#[derive(Clone, Debug)]
struct Lstm {
    kernel: Param,
    recurrent: Param,
    bias: Param,
    units: usize,
}
gradus::parts!(Lstm { kernel, recurrent, bias });

impl Lstm {
    fn new(inputs: usize, units: usize, init: &mut Init) -> Result<Lstm> {
        Ok(Lstm {
            kernel: init.param([inputs, 4 * units], &GlorotUniform.into())?,
            recurrent: init.param([units, 4 * units], &Orthogonal::default().into())?,
            bias: init.param([4 * units], &Zeros.into())?,
            units,
        })
    }

    /// Output sequence, last h, last c.
    fn run(&self, x: &Value, cx: &mut Cx) -> Result<(Tensor, Tensor, Tensor)> {
        let Value { tensor: x, mask } = x;
        let (batch, u) = (x.dims()[0], self.units);
        let state = x.new_full([batch, u], 0.0)?;
        let (kernel, recurrent, bias) =
            (cx.param(&self.kernel)?, cx.param(&self.recurrent)?, cx.param(&self.bias)?);
        let mask = mask.as_ref().map(|m| m.cast(x.dtype())).transpose()?;
        let projected = x.linear(&kernel, Some(&bias), None)?;
        let (mut h, mut c, mut outputs) = (state.clone(), state, Vec::new());
        for t in 0..x.dims()[1] as isize {
            let z = projected.select(1, t)?.add(&h.matmul(&recurrent)?)?;
            let gate = |i: usize| z.slice(1, (i * u) as isize, ((i + 1) * u) as isize);
            let new_c = gate(1)?.sigmoid()?.mul(&c)?.add(&gate(0)?.sigmoid()?.mul(&gate(2)?.tanh()?)?)?;
            let new_h = gate(3)?.sigmoid()?.mul(&new_c.tanh()?)?;
            (h, c) = match &mask {
                Some(mask) => {
                    let m = mask.slice(1, t, t + 1)?;
                    let keep = |new: &Tensor, old: &Tensor| old.add(&new.sub(old)?.mul(&m)?);
                    (keep(&new_h, &h)?, keep(&new_c, &c)?)
                }
                None => (new_h, new_c),
            };
            outputs.push(h.clone());
        }
        Ok((Tensor::stack(&outputs.iter().collect::<Vec<_>>(), 1)?, h, c))
    }
}

/// The last h, as a layer of a stack: the mask has been used and ends here.
impl Node for Lstm {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let (_, h, _) = self.run(x.single()?, cx)?;
        Ok(h.into())
    }
}

#[derive(Clone, Debug)]
struct LstmSpec(usize);
impl Configured for LstmSpec {
    fn class_name(&self) -> &'static str {
        "LSTM"
    }
}
impl Build for LstmSpec {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(Lstm::new(features("LSTM", single(inputs)?)?, self.0, init)?))
    }
}

#[derive(Clone, Debug)]
struct Embedding {
    table: Param,
}
gradus::parts!(Embedding { table });
impl Node for Embedding {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let x = &x.single()?.tensor;
        let y = cx.param(&self.table)?.gather(x, 0)?;
        Ok(Value::masked(y, Some(x.cast(DType::Bool)?)).into())
    }
}
#[derive(Clone, Debug)]
struct EmbeddingSpec;
impl Configured for EmbeddingSpec {}
impl Build for EmbeddingSpec {
    fn build(&self, _: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(Embedding { table: init.param([11, 4], &RandomUniform::default().into())? }))
    }
}

fn values(n: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * 37 + 11) % 101) as f64 / 101.0 - 0.5).collect()
}

#[test]
fn an_lstm_matches_keras_and_differentiates() {
    // Golden of Keras 3.15: every weight arange(n)/50 - 0.1, x = arange(6).reshape(1, 3, 2)/10, units 2.
    let mut lstm = Lstm::new(2, 2, &mut Init::new(0, DType::F64)).unwrap();
    lstm.visit_mut(&mut |_, p| {
        let w: Vec<f64> = (0..p.value().elements()).map(|i| i as f64 / 50.0 - 0.1).collect();
        let shape = *p.value().shape();
        p.set(Tensor::from_slice(&w, shape).unwrap()).unwrap();
    });
    let x: Vec<f64> = (0..6).map(|i| f64::from(i) / 10.0).collect();
    let x = Tensor::from_slice(&x, [1, 3, 2]).unwrap();
    let run = |x: &Tensor| lstm.run(&x.into(), &mut Cx::train(0, 0));
    let (sequence, h, _) = run(&x).unwrap();
    let golden = [-0.00145669, 0.00397129, 0.00385578, 0.01436837, 0.01293325, 0.02871916];
    for (got, want) in sequence.to_vec::<f64>().unwrap().iter().zip(golden) {
        assert!((got - want).abs() < 2e-8, "{got} {want}");
    }
    assert!(h.same_bits(&sequence.select(1, 2).unwrap()));
    let check = gradcheck(|t| Ok(run(&t[0])?.1), &[x]).unwrap();
    assert!(check.first < 1e-7 && check.second < 1e-6, "{check:?}");
}

#[test]
fn a_mask_travels_from_embedding_to_lstm() {
    let tokens = Tensor::from_slice(&[3i64, 5, 0, 0, 3, 5, 7, 2], [2, 4]).unwrap();
    let short = Tensor::from_slice(&[3i64, 5], [1, 2]).unwrap();
    let model = Sequential::new()
        .add(Input::with_unknown([None]).dtype(DType::I64))
        .add(EmbeddingSpec)
        .add(LstmSpec(3))
        .add(Dense::new(1).activation(Sigmoid))
        .compile(Adam::new(0.01), MeanSquaredError::new(), ())
        .unwrap();
    let outputs = |layer: &str| model.get_layer(layer).unwrap().outputs().next().unwrap().to_vec();
    assert_eq!(outputs("lstm")[0].shape.to_string(), "[None, 3]");
    assert_eq!(outputs("embedding_spec")[0].shape.to_string(), "[None, None, 4]");
    let (padded, alone) = (model.predict(&tokens).unwrap(), model.predict(&short).unwrap());
    assert!(padded.slice(0, 0, 1).unwrap().same_bits(&alone), "{padded} {alone}");
    let mut model = model;
    let y = Tensor::from_slice(&[0.0f32, 1.0], [2, 1]).unwrap();
    let first = model.train_on_batch(&tokens, &y).unwrap()["loss"];
    for _ in 0..200 {
        model.train_on_batch(&tokens, &y).unwrap();
    }
    assert!(model.evaluate(&tokens, &y).unwrap()["loss"] < first / 10.0);
}

// ---- running statistics

#[derive(Clone, Debug)]
struct BatchNormalization {
    gamma: Param,
    beta: Param,
    mean: Param,
    variance: Param,
}
gradus::parts!(BatchNormalization { gamma, beta, mean, variance });
impl Layer for BatchNormalization {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let (mean, variance) = if cx.is_training() {
            let mean = x.mean(&[0], false)?;
            let variance = x.sub(&mean)?.square()?.mean(&[0], false)?;
            for (state, new) in [(&self.mean, &mean), (&self.variance, &variance)] {
                let moved = cx.state(state).affine(0.99, 0.0)?.add(&new.detach().affine(0.01, 0.0)?)?;
                cx.update(state, &moved);
            }
            (mean, variance)
        } else {
            (cx.param(&self.mean)?, cx.param(&self.variance)?)
        };
        let scale = cx.param(&self.gamma)?.div(&variance.affine(1.0, 1e-3)?.sqrt()?)?;
        x.sub(&mean)?.mul(&scale)?.add(&cx.param(&self.beta)?)
    }
}
#[derive(Clone, Debug)]
struct BatchNormSpec;
impl Configured for BatchNormSpec {}
impl Build for BatchNormSpec {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let n = features("BatchNormalization", single(inputs)?)?;
        Ok(Box::new(BatchNormalization {
            gamma: init.param([n], &Ones.into())?,
            beta: init.param([n], &Zeros.into())?,
            mean: init.state([n], &Zeros.into())?,
            variance: init.state([n], &Ones.into())?,
        }))
    }
}

#[test]
fn batch_normalization_keeps_running_statistics() {
    // Golden of Keras: x = [[1, 2], [3, 6]] in training gives moving mean [.02, .04], moving variance [1, 1.03].
    let mut model = Sequential::new()
        .add(Input::new([2]))
        .add(BatchNormSpec)
        .compile(SGD::new(0.0), MeanSquaredError::new(), ())
        .unwrap();
    let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 6.0], [2, 2]).unwrap();
    let before = model.predict(&x).unwrap();
    model.train_on_batch(&x, &x).unwrap();
    let read = |m: &Model, p: &str| m.param(p).unwrap().to_vec::<f32>().unwrap();
    let close = |a: Vec<f32>, b: [f32; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(close(read(&model, "batch_norm_spec/mean"), [0.02, 0.04]));
    assert!(close(read(&model, "batch_norm_spec/variance"), [1.0, 1.03]));
    assert!(!model.predict(&x).unwrap().same_bits(&before));
}

// ---- two inputs, two outputs

#[derive(Clone, Debug)]
struct Siamese {
    left: Part,
    right: Part,
    class: Part,
    value: Part,
}
gradus::parts!(Siamese { left, right, class, value });
impl Node for Siamese {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let (left, right) =
            (self.left.forward(&x.at(0)?.tensor, cx)?, self.right.forward(&x.at(1)?.tensor, cx)?);
        let joint = Tensor::concat(&[&left, &right], -1)?;
        Ok([self.class.forward(&joint, cx)?, self.value.forward(&joint, cx)?].into())
    }
}

#[test]
fn a_network_of_two_inputs_and_two_outputs_trains() {
    let siamese = Siamese {
        left: Part::new(Dense::new(8).activation(Tanh)),
        right: Part::new(Dense::new(8).activation(Tanh)),
        class: Part::new(Dense::new(2).activation(Softmax)),
        value: Part::new(Dense::new(1)),
    };
    let network = Subclass::new([Input::new([3]), Input::new([2])], siamese).seed(7);
    let losses = (SparseCategoricalCrossentropy::new(), MeanSquaredError::new());
    let mut model = network.compile(Adam::new(0.02), losses, ()).unwrap();
    let tensor = |n: usize, w: usize| {
        let v: Vec<f32> = values(n * w).iter().map(|v| *v as f32).collect();
        Tensor::from_slice(&v, [n, w]).unwrap()
    };
    let (a, b) = (tensor(40, 3), tensor(40, 2));
    let sums = a.sum(&[1], true).unwrap().add(&b.sum(&[1], true).unwrap()).unwrap();
    let classes: Vec<i64> = sums.to_vec::<f32>().unwrap().iter().map(|s| i64::from(*s > 0.0)).collect();
    let targets = [Tensor::from_slice(&classes, [40]).unwrap(), sums];
    let history =
        model.fit(&[a.clone(), b.clone()], &targets, Fit::new().epochs(60).batch_size(8).verbose(0)).unwrap();
    assert!(history["loss"][59] < history["loss"][0] / 5.0, "{:?}", &history["loss"]);
    let outputs = model.predict_all(&[a, b]).unwrap();
    assert_eq!((outputs[0].dims(), outputs[1].dims()), (&[40, 2][..], &[40, 1][..]));
}

// ---- a head tied to an embedding

#[derive(Clone, Debug)]
struct Tied {
    table: Param,
}
gradus::parts!(Tied { table });
impl Layer for Tied {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let embedded = cx.param(&self.table)?.gather(x, 0)?;
        embedded.matmul(&cx.param(&self.table)?.t()?)
    }
}

#[test]
fn gradients_of_a_tied_parameter_add_up() {
    let mut init = Init::new(3, DType::F64);
    let tied = Tied { table: init.param([5, 3], &RandomUniform::default().into()).unwrap() };
    let tokens = Tensor::from_slice(&[1i64, 4, 1], [1, 3]).unwrap();
    let once = |table: &Tensor| table.gather(&tokens, 0)?.matmul(&table.t()?);
    let check = gradcheck(|t| once(&t[0]), &[tied.table.value().clone()]).unwrap();
    assert!(check.first < 1e-7, "{check:?}");
    let mut driver = gradus::optim::Driver::new(SGD::new(1.0));
    let mut trained = tied.clone();
    let mut cx = Cx::train(0, 0);
    let loss = trained.forward(&tokens, &mut cx).unwrap().sum(&[], false).unwrap();
    driver.step(&mut trained, loss.backward().unwrap(), false).unwrap();
    let leaf = tied.table.value().tracked();
    let expected = once(&leaf).unwrap().sum(&[], false).unwrap().backward().unwrap();
    let expected = tied.table.value().sub(expected.get(&leaf).unwrap()).unwrap();
    let difference = trained.table.value().sub(&expected).unwrap().abs().unwrap().max(&[], false).unwrap();
    assert!(difference.item().unwrap() < 1e-15);
}
