//! Tests of the layer contracts with what simple layers never need, each by a layer that goes the whole way:
//! described, built, compiled, trained, summarized, saved and loaded. Attention and batch normalization are written
//! here, with the public API.
//!
//! - a bidirectional LSTM: a wrapper that makes a twin of its layer, masks that are reversed, states as named
//!   inputs and further outputs, state carried between calls;
//! - attention with a cache and two masks: inputs by name, and a cache in a session;
//! - batch normalization in a branch that is called twice: statistics that see each other, and freezing;
//! - a network used twice in another one.
#![allow(missing_docs, clippy::unwrap_used)]

use gradus::autograd::opaque;
use gradus::config::Registry;
use gradus::graph::{Feed, Graph, Output};
use gradus::io::Load;
use gradus::nn::initializer::GlorotUniform;
use gradus::nn::layers::{BatchNormalization, Bidirectional, LSTM};
use gradus::nn::{
    Build, Cx, Init, InputSpecs, Inputs, Key, Module, Node, Param, Session, Value, Values, features,
};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};
use gradus::{Error, Result, Spec};

fn random(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::randn(shape, Stream::new(seed, Purpose::User(0), 0)).unwrap()
}

/// Saves a model, loads it again with the layers of this file, and demands the same predictions and the same next step.
fn round_trip(model: &Model, x: &[Tensor], y: &[Tensor]) -> Model {
    let registry = Registry::new().layer::<Attention>().unwrap();
    let load = Load::new().registry(registry);
    let again = Model::from_bytes(&model.to_bytes().unwrap(), &load).unwrap();
    assert_eq!(again.summary_table().to_string(), model.summary_table().to_string());
    let (a, b) = (model.predict_all(x).unwrap(), again.predict_all(x).unwrap());
    assert!(a.iter().zip(&b).all(|(a, b)| a.same_bits(b)));
    let step = |mut m: Model| {
        m.train_on_batch(x, y).unwrap();
        m.weight_bytes().unwrap()
    };
    assert_eq!(step(model.clone()), step(again.clone()));
    captures(model, x, y);
    again
}

/// The model as graphs: the same predictions, and the loss and the running statistics of the next step.
fn captures(model: &Model, x: &[Tensor], y: &[Tensor]) {
    let specs = |tensors: &[Tensor]| tensors.iter().map(Tensor::spec).collect::<Vec<_>>();
    let feed = Feed::new(x).parameters(&**model);
    match Graph::of_network(model, &specs(x)) {
        Ok(graph) => {
            let (got, want) = (graph.run(&feed).unwrap(), model.predict_all(x).unwrap());
            assert!(want.iter().zip(&got).all(|(a, b)| a.same_bits(b)));
            let plain = graph.without_duplicates().without_dead_code().run(&feed).unwrap();
            assert!(want.iter().zip(&plain).all(|(a, b)| a.same_bits(b)));
        }
        // What reads values in inference is refused by its name; a training step does without.
        Err(e) => assert!(e.to_string().contains("layer 'attention': graph: expected layers"), "{e}"),
    }
    let graph = Graph::of_step(model, &specs(x), &specs(y), None).unwrap();
    let all: Vec<Tensor> = x.iter().chain(y).cloned().collect();
    let got = graph.run(&Feed::new(&all[..]).next_step_of(model)).unwrap();
    let mut after = model.clone();
    let logs = after.train_on_batch(x, y).unwrap();
    let loss = &got[graph.position(&Output::Loss).unwrap()];
    assert_eq!(loss.item().unwrap(), logs["loss"]);
    after.visit(&mut |path, p| {
        if let Some(at) = graph.position(&Output::Update(path.to_string())) {
            assert!(got[at].same_bits(p.value()), "{path}");
        }
        if p.trainable() {
            assert!(graph.position(&Output::Gradient(path.to_string())).is_some(), "no gradient of {path}");
        }
    });
}

// ---- a bidirectional LSTM

#[test]
fn a_bidirectional_lstm_with_masks_goes_the_whole_way() {
    let tokens = Input::with_unknown([None]).dtype(DType::I64).named("tokens");
    let h = Embedding::new(20, 6).mask_zero(true).on(&tokens).unwrap();
    let h = Bidirectional::new(LSTM::new(5).return_sequences(true)).on(&h).unwrap();
    let h = Bidirectional::new(LSTM::new(4)).on(&h).unwrap();
    let y = Dense::new(1).activation(Sigmoid).on(&h).unwrap();
    let mut model = Functional::new(&tokens, &y)
        .unwrap()
        .seed(4)
        .compile(Adam::new(0.02), BinaryCrossentropy::new(), ())
        .unwrap();
    let table = model.summary_table().to_string();
    assert!(table.contains("(None, None, 10)") && table.contains("(None, 8)"), "{table}");
    let paths: Vec<String> = model.params().into_iter().map(|(path, _)| path).collect();
    assert!(paths.contains(&"bidirectional/backward_layer/cell/recurrent_kernel".to_string()), "{paths:?}");

    // Padding changes nothing, at either end and whatever comes beside.
    let padded = Tensor::from_slice(&[3i64, 5, 7, 0, 0, 9, 8, 7, 6, 5], [2, 5]).unwrap();
    let alone = Tensor::from_slice(&[3i64, 5, 7], [1, 3]).unwrap();
    let (a, b) = (model.predict(&padded).unwrap(), model.predict(&alone).unwrap());
    assert!(a.slice(0, 0, 1).unwrap().same_bits(&b));

    let labels = Tensor::from_slice(&[1.0f32, 0.0], [2, 1]).unwrap();
    let before = model.evaluate(&padded, &labels).unwrap()["loss"];
    model.fit(&padded, &labels, Fit::new().epochs(60).verbose(0)).unwrap();
    assert!(model.evaluate(&padded, &labels).unwrap()["loss"] < before / 5.0);
    round_trip(&model, &[padded], &[labels]);
}

#[test]
fn states_go_in_by_name_and_come_out_as_outputs() {
    // An encoder hands its states to a decoder.
    let (source, target) = (Input::with_unknown([None, Some(3)]), Input::with_unknown([None, Some(2)]));
    let encoded = LSTM::new(4).return_state(true).named("encoder").on_all(&source).unwrap();
    let decoder = LSTM::new(4).return_sequences(true).named("decoder");
    let states = [("initial_state", &encoded[1]), ("initial_state", &encoded[2])];
    let h = decoder.on((&target, states)).unwrap();
    let mut model = Functional::new([&source, &target], &Dense::new(2).on(&h).unwrap())
        .unwrap()
        .compile(Adam::new(0.01), MeanSquaredError::new(), ())
        .unwrap();
    let table = model.summary_table().to_string();
    assert!(table.contains("encoder[0][1]") && table.contains("encoder[0][2]"), "{table}");
    let data = ([random(1, &[8, 5, 3]), random(2, &[8, 7, 2])], random(3, &[8, 7, 2]));
    let first = model.train_on_batch(&data.0, &data.1).unwrap()["loss"];
    model.fit(&data.0, &data.1, Fit::new().epochs(50).verbose(0)).unwrap();
    assert!(model.evaluate(&data.0, &data.1).unwrap()["loss"] < first);
    round_trip(&model, &data.0, &[data.1]);
}

#[test]
fn a_stateful_layer_goes_on_where_the_last_call_stopped() {
    let network = Sequential::new()
        .add(Input::with_unknown([None, Some(3)]))
        .add(LSTM::new(4).stateful(true))
        .add(Dense::new(2))
        .seed(3)
        .build()
        .unwrap();
    let x = random(5, &[2, 6, 3]);
    let part = |from: isize, to: isize| x.slice(1, from, to).unwrap();
    let whole = network.predict(&x).unwrap();
    let mut session = Session::new();
    network.predict_in(&mut session, &part(0, 2)).unwrap();
    assert!(!session.is_empty());
    let piecewise = network.predict_in(&mut session, &part(2, 6)).unwrap();
    assert!(piecewise.same_bits(&whole), "{piecewise} {whole}");
    // `predict` begins anew each time, and so does another session.
    assert!(network.predict(&x).unwrap().same_bits(&whole));
    assert!(network.predict_in(&mut Session::new(), &x).unwrap().same_bits(&whole));
    // A batch of another size does not fit the state: an error, and the state is lost, which is not forgotten. Data of
    // another shape does not get that far.
    assert!(network.predict_in(&mut session, &random(1, &[2, 6, 4])).is_err());
    assert!(!session.is_empty());
    assert!(network.predict_in(&mut session, &random(1, &[3, 6, 3])).is_err());
    assert!(session.is_empty());
    assert!(network.predict_in(&mut session, &x).is_err());
    session.reset();
    assert!(network.predict_in(&mut session, &x).unwrap().same_bits(&whole));

    // Training carries state from batch to batch within a fit, which begins without any.
    let model = || network.clone().compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
    let y = random(6, &[4, 2]);
    let rows = random(7, &[4, 6, 3]);
    let (mut once, mut twice) = (model(), model());
    once.fit(&rows, &y, Fit::new().batch_size(2).shuffle(false).verbose(0)).unwrap();
    twice.train_on_batch(&rows.slice(0, 0, 2).unwrap(), &y.slice(0, 0, 2).unwrap()).unwrap();
    twice.train_on_batch(&rows.slice(0, 2, 4).unwrap(), &y.slice(0, 2, 4).unwrap()).unwrap();
    assert_eq!(once.weight_bytes().unwrap(), twice.weight_bytes().unwrap());
    let mut reset = model();
    reset.train_on_batch(&rows.slice(0, 0, 2).unwrap(), &y.slice(0, 0, 2).unwrap()).unwrap();
    reset.reset_states();
    reset.train_on_batch(&rows.slice(0, 2, 4).unwrap(), &y.slice(0, 2, 4).unwrap()).unwrap();
    assert_ne!(reset.weight_bytes().unwrap(), twice.weight_bytes().unwrap());
}

// ---- attention with a cache and two masks

gradus::settings! {
    /// Causal attention of one head over `[batch, time, features]`. In inference it keeps keys and values of up to
    /// `capacity` steps in the session.
    pub layer Attention as "test>Attention" {
        new(width: usize, capacity: usize);
    }
}

#[derive(Clone, Debug)]
struct AttentionNode {
    query: Param,
    key: Param,
    value: Param,
    /// Of the keys and values so far, whether they count, and how many there are.
    cache: [Key; 4],
    spec: Attention,
}
gradus::parts!(AttentionNode { query, key, value, cache });

impl Build for Attention {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let shape = [features("Attention", inputs.at(0)?)?, self.width];
        let mut matrix = || init.param(shape, &GlorotUniform.into());
        let (query, key, value) = (matrix()?, matrix()?, matrix()?);
        let cache = std::array::from_fn(|_| init.key());
        Ok(Box::new(AttentionNode { query, key, value, cache, spec: self.clone() }))
    }
    fn input_names(&self) -> &[&'static str] {
        &["attention_mask"]
    }
}

impl AttentionNode {
    /// Takes a buffer out of the session, writes the new steps behind the old ones in place, and gives what is
    /// filled. `None` while there is nothing to keep.
    fn keep(&self, slot: usize, new: &Tensor, start: usize, cx: &mut Cx) -> Result<Tensor> {
        let dims = new.dims();
        let (batch, time, width) = (dims[0], dims[1], dims[2]);
        let room = self.spec.capacity;
        let spec = Spec::new(Shape::new(&[batch, start + time, width])?, new.dtype());
        opaque(&[new], spec, || {
            if start + time > room {
                return Err(Error::Custom(format!(
                    "the cache holds {room} steps, and {} came",
                    start + time
                )));
            }
            let buffer = match cx.carry(&self.cache[slot]) {
                Some(buffer) => buffer,
                None => new.new_full([batch, room, width], 0.0)?,
            };
            let mut array = buffer.into_array();
            let values = new.to_vec::<f32>()?;
            for (row, out) in array.slice_mut::<f32>()?.chunks_exact_mut(room * width).enumerate() {
                let from = &values[row * time * width..(row + 1) * time * width];
                out[start * width..(start + time) * width].copy_from_slice(from);
            }
            let buffer = Tensor::from(array);
            let filled = buffer.slice(1, 0, (start + time) as isize)?;
            cx.set_carry(&self.cache[slot], buffer);
            Ok(filled)
        })
    }
}

impl Node for AttentionNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let Value { tensor, mask } = x.at(0)?;
        let (batch, time) = (tensor.dims()[0], tensor.dims()[1]);
        let q = tensor.matmul(&cx.param(&self.query)?)?;
        let mut k = tensor.matmul(&cx.param(&self.key)?)?;
        let mut v = tensor.matmul(&cx.param(&self.value)?)?;
        let mut counts = match mask {
            Some(mask) => mask.cast(tensor.dtype())?.expand_dims(-1)?,
            None => tensor.new_full([batch, time, 1], 1.0)?,
        };
        let mut start = 0;
        if !cx.is_training() {
            let position = cx.carry(&self.cache[3]).map_or(Tensor::scalar(0i64), Ok)?;
            start = position.item()? as usize;
            k = self.keep(0, &k, start, cx)?;
            v = self.keep(1, &v, start, cx)?;
            counts = self.keep(2, &counts, start, cx)?;
            cx.set_carry(&self.cache[3], Tensor::scalar((start + time) as i64)?);
        }
        let scores = q.matmul(&k.t()?)?.affine(1.0 / (self.spec.width as f64).sqrt(), 0.0)?;
        let keys = k.dims()[1];
        // Row i of the queries is step start + i: it sees the keys up to itself.
        let row = Tensor::arange(time)?.affine_i64(start as i64)?.expand_dims(-1)?;
        let causal = Tensor::arange(keys)?.less_equal(&row)?;
        let mut seen = causal.logical_and(&counts.squeeze(-1)?.expand_dims(1)?.cast(DType::Bool)?)?;
        if let Some(given) = x.get("attention_mask") {
            seen = seen.logical_and(&given.tensor.cast(DType::Bool)?)?;
        }
        let scores = seen.choose(&scores, &scores.new_full([], -1e9)?)?;
        Ok(Value::masked(scores.softmax(-1)?.matmul(&v)?, mask.clone()).into())
    }
    fn class_name(&self) -> &'static str {
        "Attention"
    }
}

trait AffineI64 {
    fn affine_i64(&self, shift: i64) -> Result<Tensor>;
}
impl AffineI64 for Tensor {
    fn affine_i64(&self, shift: i64) -> Result<Tensor> {
        self.add(&Tensor::scalar(shift)?)
    }
}

#[test]
fn attention_with_a_cache_and_two_masks_goes_the_whole_way() {
    let tokens = Input::with_unknown([None]).dtype(DType::I64).named("tokens");
    let allowed = Input::with_unknown([None, None]).named("allowed");
    let h = Embedding::new(12, 8).mask_zero(true).on(&tokens).unwrap();
    let h = Attention::new(8, 16).on((&h, [("attention_mask", &allowed)])).unwrap();
    let h = Attention::new(8, 16).on(&h).unwrap();
    let y = Dense::new(12).activation(Softmax).named("next").on(&h).unwrap();
    let mut model = Functional::new([&tokens, &allowed], &y)
        .unwrap()
        .seed(11)
        .compile(Adam::new(0.01), SparseCategoricalCrossentropy::new(), [Accuracy::new()])
        .unwrap();
    let table = model.summary_table().to_string();
    assert!(table.contains("allowed[0][0]") && table.contains("(None, None, 12)"), "{table}");

    let sequence: Vec<i64> = (0..6 * 7).map(|i| 1 + (i * 5 % 11)).collect();
    let x = Tensor::from_slice(&sequence, [6, 7]).unwrap();
    let all = Tensor::ones([6, 7, 7]).unwrap();
    let y = Tensor::from_slice(&sequence.iter().map(|t| t % 11).collect::<Vec<_>>(), [6, 7]).unwrap();
    let before = model.evaluate(&[x.clone(), all.clone()], &y).unwrap()["loss"];
    model.fit(&[x.clone(), all.clone()], &y, Fit::new().epochs(30).verbose(0)).unwrap();
    assert!(model.evaluate(&[x.clone(), all.clone()], &y).unwrap()["loss"] < before);

    // Step by step with a cache: what the whole sequence gives at once. (Sums over masked keys may round otherwise.)
    let whole = model.predict(&[x.clone(), all.clone()]).unwrap();
    let mut session = Session::new();
    for t in 0..7isize {
        let token = x.slice(1, t, t + 1).unwrap();
        let sees = Tensor::ones([6, 1, t as usize + 1]).unwrap();
        let step = model.predict_in(&mut session, &[token, sees]).unwrap();
        let want = whole.slice(1, t, t + 1).unwrap();
        let off = step.sub(&want).unwrap().abs().unwrap().max(&[], false).unwrap().item().unwrap();
        assert!(off < 1e-6, "step {t}: {off}");
    }
    let tokens = Tensor::full([6, 10], 1i64).unwrap();
    let more = model.predict_in(&mut session, &[tokens, Tensor::ones([6, 10, 17]).unwrap()]);
    assert!(more.unwrap_err().to_string().contains("the cache holds 16 steps"));

    // The mask given by name hides what it should.
    let hidden = Tensor::ones([6, 7, 7]).unwrap().tril(0).unwrap();
    let blocked = hidden.index_put((.., .., 2), &Tensor::zeros([6, 7]).unwrap()).unwrap();
    let changed = x.index_put((.., 2), &Tensor::full([6], 9i64).unwrap()).unwrap();
    let a = model.predict(&[x.clone(), blocked.clone()]).unwrap();
    let b = model.predict(&[changed, blocked]).unwrap();
    let last = |t: &Tensor| t.slice(1, 6, 7).unwrap();
    let one_layer = model.cut_at(["attention"]).unwrap();
    assert_eq!(one_layer.output_specs()[0].to_string(), "float32 [None, None, 8]");
    assert!(!last(&a).same_bits(&last(&whole)) && last(&a).dims() == last(&b).dims());
    round_trip(&model, &[x, all], &[y]);
}

// ---- batch normalization in a shared branch

#[test]
fn statistics_of_a_shared_branch_see_both_calls() {
    let (a, b) = (Input::new([2]), Input::new([2]));
    let branch = Sequential::new()
        .named("branch")
        .add(Input::new([2]))
        .add(BatchNormalization::new().momentum(0.9).named("norm"));
    let sum = Add::new().on([&branch.on(&a).unwrap(), &branch.on(&b).unwrap()]).unwrap();
    let network = Functional::new([&a, &b], &Dense::new(1).on(&sum).unwrap()).unwrap();
    let mut model = network.compile(SGD::new(0.0), MeanSquaredError::new(), ()).unwrap();
    let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 6.0], [2, 2]).unwrap(); // means 2 and 4
    let z = Tensor::from_slice(&[5.0f32, 0.0, 5.0, 2.0], [2, 2]).unwrap(); // means 5 and 1
    let y = Tensor::zeros([2, 1]).unwrap();
    let data = [x, z];
    model.train_on_batch(&data, &y).unwrap();
    let mean = |m: &Model| m.param("branch/norm/moving_mean").unwrap().to_vec::<f32>().unwrap();
    // 0.9·(0.9·0 + 0.1·2) + 0.1·5, and 0.9·(0.1·4) + 0.1·1: the second call goes on from the first.
    let close = |got: &[f32], want: [f32; 2]| got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(close(&mean(&model), [0.68, 0.46]), "{:?}", mean(&model));

    // Frozen, the layer stands still, though the step trains.
    model.set_trainable("branch", false).unwrap();
    model.train_on_batch(&data, &y).unwrap();
    assert!(close(&mean(&model), [0.68, 0.46]));
    model.set_trainable("branch", true).unwrap();
    model.train_on_batch(&data, &y).unwrap();
    assert!(!close(&mean(&model), [0.68, 0.46]));
    // States are not trained, before and after.
    let mut trainable = Vec::new();
    model.visit(&mut |path, p| {
        if p.trainable() {
            trainable.push(path.to_string());
        }
    });
    assert!(trainable.iter().all(|path| !path.contains("moving")), "{trainable:?}");
    assert!(model.summary_table().to_string().contains("Non-trainable params: 4"));
    round_trip(&model, &data, &[y]);
}

#[test]
fn a_loop_of_ones_own_moves_statistics_and_adds_losses() {
    let mut network = Sequential::new()
        .add(Input::new([2]))
        .add(BatchNormalization::new())
        .add(Dense::new(3).activity_regularizer(gradus::nn::regularizer::L2::new(0.1)))
        .build()
        .unwrap();
    let x = random(3, &[8, 2]);
    let mut optimizer = gradus::optim::Driver::new(SGD::new(0.1));
    let before = network.param("batch_normalization/moving_mean").unwrap();
    for step in 0..3 {
        let mut cx = Cx::train(0, step);
        let y = network.forward(&x, &mut cx).unwrap();
        let effects = cx.finish();
        assert_eq!(effects.losses.len(), 1);
        let mut loss = y.square().unwrap().mean(&[], false).unwrap();
        for term in &effects.losses {
            loss = loss.add(term).unwrap();
        }
        optimizer.step(&mut network, loss.backward().unwrap(), false).unwrap();
        effects.apply(&mut network).unwrap();
    }
    assert!(!network.param("batch_normalization/moving_mean").unwrap().same_bits(&before));
    // Inference inside of a training step: statistics stand still, gradients flow.
    let mut cx = Cx::train(0, 9);
    let y = cx.as_inference(|cx| network.forward(&x, cx)).unwrap();
    assert!(y.same_bits(&network.predict(&x).unwrap()));
    assert!(y.is_tracked());
    let y = cx.untracked(|cx| network.forward(&x, cx)).unwrap();
    assert!(!y.is_tracked());
}

// ---- a network used twice

#[test]
fn a_network_used_twice_is_one_network() {
    let x = Input::new([6]);
    let inner = Functional::new(&x, &Dense::new(4).activation(Tanh).on(&x).unwrap()).unwrap().named("enc");
    let (a, b) = (Input::new([6]).named("a"), Input::new([6]).named("b"));
    let both = Concatenate::new().on([&inner.on(&a).unwrap(), &inner.on(&b).unwrap()]).unwrap();
    let y = Dense::new(2).on(&both).unwrap();
    let mut model =
        Functional::new([&a, &b], &y).unwrap().compile(Adam::new(0.01), MeanSquaredError::new(), ()).unwrap();
    assert_eq!(model.params().iter().filter(|(path, _)| path.starts_with("enc/")).count(), 2);
    assert_eq!(model.get_layer("enc").unwrap().outputs().count(), 2);
    let table = model.summary_table().to_string();
    assert!(table.contains("enc[0][0]") && table.contains("enc[1][0]"), "{table}");

    let data = ([random(1, &[16, 6]), random(2, &[16, 6])], random(3, &[16, 2]));
    let first = model.evaluate(&data.0, &data.1).unwrap()["loss"];
    model.fit(&data.0, &data.1, Fit::new().epochs(40).verbose(0)).unwrap();
    assert!(model.evaluate(&data.0, &data.1).unwrap()["loss"] < first);

    // What the middle gives is asked for by the call's number.
    let why = model.cut_at(["enc"]).unwrap_err().to_string();
    assert!(why.contains("'enc:0' to 'enc:1'"), "{why}");
    let left = model.cut_at(["enc:0"]).unwrap();
    assert_eq!(left.input_names().collect::<Vec<_>>(), ["a"]);
    let right = model.cut_at(["enc:1"]).unwrap();
    assert!(left.predict(&data.0[0]).unwrap().same_bits(&right.predict(&data.0[0]).unwrap()));
    let again = round_trip(&model, &data.0, std::slice::from_ref(&data.1));
    assert!(
        again
            .cut_at(["enc:0"])
            .unwrap()
            .predict(&data.0[0])
            .unwrap()
            .same_bits(&left.predict(&data.0[0]).unwrap())
    );
    // The head alone goes on from both.
    let head = model.cut_from(["enc:0", "enc:1"]).unwrap();
    let parts = [left.predict(&data.0[0]).unwrap(), right.predict(&data.0[1]).unwrap()];
    assert!(head.predict(&parts).unwrap().same_bits(&model.predict(&data.0).unwrap()));
}
