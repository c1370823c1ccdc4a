//! One answer of whole networks, where kernels meet: the weights after some training steps, and the predictions of
//! trained networks for the same rows in batches of any size.

use super::answers::{Answers, Rng, fresh};
use gradus::applications::GPT2;
use gradus::nn::initializer::{Ones, Zeros};
use gradus::nn::{Build, Cx, Init, InputSpecs, Layer, Node, Param, features, single};
use gradus::optim::{Optimizer, SGD};
use gradus::prelude::SparseCategoricalCrossentropy;
use gradus::prelude::{
    Accuracy, Adam, AdamW, BatchNormalization, Bidirectional, Conv2D, Dense, DepthwiseConv2D, Dropout,
    Embedding, Fit, GRU, Gelu, GlobalAveragePooling2D, Input, LSTM, MaxPooling2D, Model, Relu, Sequential,
    Softmax, Tanh,
};
use gradus::{DType, Result, Tensor};

/// Layer normalization as a layer of the user's own.
#[derive(Debug)]
struct Norm;
impl gradus::config::Configured for Norm {}
impl Build for Norm {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let n = features("Norm", single(inputs)?)?;
        Ok(Box::new(NormNode {
            gamma: init.param([n], &Ones.into())?,
            beta: init.param([n], &Zeros.into())?,
        }))
    }
}

/// The layer with its parameters.
#[derive(Clone, Debug)]
struct NormNode {
    gamma: Param,
    beta: Param,
}
gradus::parts!(NormNode { gamma, beta });
impl Layer for NormNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let (gamma, beta) = (cx.param(&self.gamma)?, cx.param(&self.beta)?);
        x.layer_norm(Some(&gamma), Some(&beta), 1e-3)
    }
}

/// A network for rows of 50, `width` wide, with every kind of dense kernel in it.
fn model(width: usize, optimizer: impl Optimizer + 'static) -> Model {
    Sequential::new()
        .add(Input::new([50]))
        .add(Dense::new(width).activation(Relu))
        .add(Dropout::new(0.2))
        .add(Dense::new(width).activation(Gelu))
        .add(Norm)
        .add(Dense::new(width).activation(Tanh))
        .add(Dense::new(7).activation(Softmax))
        .seed(42)
        .compile(optimizer, SparseCategoricalCrossentropy::new(), [Accuracy::new()])
        .unwrap()
}

/// Rows, and a label for each.
fn rows(n: usize) -> (Tensor, Tensor) {
    let r = &mut Rng::of("rows");
    let labels: Vec<i64> = (0..n).map(|_| r.below(7) as i64).collect();
    (fresh(r, &[n, 50], DType::F32, Rng::plain), Tensor::from_slice(&labels, [n]).unwrap())
}

/// A network of convolutions of several kinds, one of sequences and a small GPT, each with rows to learn from.
fn families() -> Vec<(&'static str, Model, Tensor, Tensor)> {
    const ROWS: usize = 40;
    let r = &mut Rng::of("families");
    let loss = SparseCategoricalCrossentropy::new;
    let mut whole = |dims: &[usize], below: usize| {
        let numbers: Vec<i64> = (0..dims.iter().product()).map(|_| r.below(below) as i64).collect();
        Tensor::from_slice(&numbers, dims).unwrap()
    };
    let (labels, tokens, next) = (whole(&[ROWS], 7), whole(&[ROWS, 9], 30), whole(&[ROWS, 9], 30));
    let images = fresh(&mut Rng::of("images"), &[ROWS, 13, 12, 3], DType::F32, Rng::plain);
    let cnn = Sequential::new()
        .add(Input::new([13, 12, 3]))
        .add(Conv2D::new(16, 3).padding("same").activation(Relu))
        .add(BatchNormalization::new())
        .add(MaxPooling2D::new())
        .add(Conv2D::new(33, 3).padding("same").activation(Relu))
        .add(DepthwiseConv2D::new(3).strides(2))
        .add(Conv2D::new(20, 1))
        .add(GlobalAveragePooling2D::new())
        .add(Dense::new(7).activation(Softmax))
        .seed(42)
        .compile(SGD::new(0.05).momentum(0.9), loss(), ());
    let lstm = Sequential::new()
        .add(Input::new(9).dtype(DType::I64))
        .add(Embedding::new(30, 12).mask_zero(true))
        .add(Bidirectional::new(LSTM::new(17).return_sequences(true)))
        .add(GRU::new(21))
        .add(Dense::new(7).activation(Softmax))
        .seed(42)
        .compile(Adam::new(0.01), loss(), ());
    let gpt = GPT2::new().vocabulary_size(30).num_layers(2).num_heads(2).hidden_dim(24).intermediate_dim(50);
    let gpt = gpt.max_sequence_length(9).dropout(0.1).seed(42).build().unwrap();
    let gpt = gpt.compile(AdamW::new(0.01), loss().from_logits(true), ());
    vec![
        ("CNN", cnn.unwrap(), images, labels.clone()),
        ("LSTM", lstm.unwrap(), tokens.clone(), labels),
        ("GPT", gpt.unwrap(), tokens, next),
    ]
}

/// Trained networks: their weights, their figures, what they predict.
pub(crate) fn all(a: &mut Answers) {
    for (name, mut model, x, y) in families() {
        model.fit(&x, &y, Fit::new().epochs(2).batch_size(16).verbose(0)).unwrap();
        a.bytes(&format!("network, {name}, weights"), &model.weight_bytes().unwrap());
        a.add(&format!("network, {name}, predictions"), model.predict(&x));
    }
    let (x, y) = rows(200);
    // Wide enough that products, updates and elementwise kernels are cut between threads.
    let networks = [
        ("Adam", model(260, Adam::new(0.002).clipnorm(1.0))),
        ("SGD", model(33, SGD::new(0.05).momentum(0.9))),
    ];
    for (name, mut model) in networks {
        let fit = Fit::new().epochs(2).batch_size(64).validation_split(0.2).verbose(0);
        let history = model.fit(&x, &y, fit).unwrap();
        a.bytes(&format!("network, {name}, weights"), &model.weight_bytes().unwrap());
        for figure in ["loss", "val_loss"] {
            let bits: Vec<u8> = history[figure].iter().flat_map(|v| v.to_bits().to_le_bytes()).collect();
            a.bytes(&format!("network, {name}, {figure}"), &bits);
        }
        a.add(&format!("network, {name}, predictions"), model.predict(&x));
    }
}

/// The same rows alone, in pairs, in batches of 3, 32 and 1000, and all at once.
pub(crate) fn predictions(widths: &[usize]) {
    const ROWS: usize = 1003;
    let (x, y) = rows(ROWS);
    for &width in widths {
        let mut model = model(width, Adam::new(0.002));
        let few = (x.slice(0, 0, 96).unwrap(), y.slice(0, 0, 96).unwrap());
        model.fit(&few.0, &few.1, Fit::new().verbose(0)).unwrap();
        let all = model.predict(&x).unwrap();
        for batch in [1, 2, 3, 32, 1000] {
            // All rows in large batches; of small ones some, from everywhere.
            let step = if batch < 32 { 61 } else { batch };
            for start in (0..ROWS).step_by(step) {
                let (from, to) = (start as isize, (start + batch).min(ROWS) as isize);
                let part = x.slice(0, from, to).unwrap();
                let want = all.slice(0, from, to).unwrap();
                let what = format!("rows {from}..{to} of a network {width} wide");
                assert!(model.predict(&part).unwrap().same_bits(&want), "predict: {what}");
                assert!(model.predict_on_batch(&part).unwrap().same_bits(&want), "predict_on_batch: {what}");
                // By columns, as an image's transpose would lie.
                let turned = part.t().unwrap().contiguous().unwrap().t().unwrap();
                assert!(model.predict(&turned).unwrap().same_bits(&want), "by columns: {what}");
            }
        }
    }
}
