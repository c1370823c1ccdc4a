//! Tests that a predictor gives the bits of its network, and so does a plan over the parameters where they lie: every
//! configuration of every layer, applications and networks of other kinds, over sizes of batches and numbers of threads; and
//! what a predictor refuses.

use crate::layer_cases::{build, every_case};
use crate::one_answer::answers::{Answers, Visitor};
use crate::one_answer::layers;
use gradus::applications::*;
use gradus::graph::{Feed, Graph, Pack, Predictor};
use gradus::nn::initializer::GlorotUniform;
use gradus::nn::layers::{GroupQueryAttention, Masking, PositionEmbedding, TransformerDecoder};
use gradus::nn::{Init, Network, Param, Session};
use gradus::ops::attention::AttentionOptions;
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};
use gradus::{Result, Spec};

fn normal(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::randn(shape, Stream::new(seed, Purpose::User(0), 0)).unwrap()
}

fn same(what: &str, got: &[Tensor], want: &[Tensor]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(got.same_bits(want), "{what}: output {i} is {got}, not {want}");
    }
}

/// The network and its predictor on this data: as it is, on its first row, on twice as many; each twice, with one
/// thread and with three.
fn holds(what: &str, network: &Network, data: &[Tensor], pools: &[Threads]) -> Result<()> {
    let predictor = network.predictor()?;
    let first: Vec<Tensor> = data.iter().map(|t| t.slice(0, 0, 1)).collect::<Result<_>>()?;
    let twice: Vec<Tensor> = data.iter().map(|t| Tensor::concat(&[t, t], 0)).collect::<Result<_>>()?;
    for x in [data, &first, &twice] {
        // A clone has no plans: it computes layer by layer.
        let want = network.clone().predict_all(x)?;
        for pool in pools {
            for again in 0..2 {
                let got = pool.run(|| predictor.predict_all(x))?;
                same(&format!("{what}, time {again}, {} rows", x[0].dims()[0]), &got, &want);
            }
            same(&format!("{what}, by a plan"), &pool.run(|| network.predict_by_plan(x))?, &want);
            for again in 0..3 {
                let got = pool.run(|| network.predict_all(x))?;
                same(&format!("{what}, predicted {again}"), &got, &want);
            }
        }
    }
    passes_hold(what, network, data)
}

/// A function from a graph to a graph.
type Pass<'a> = &'a dyn Fn(&Graph) -> Result<Graph>;

/// Every pass gives the bits of the graph before it.
fn passes_hold(what: &str, network: &Network, data: &[Tensor]) -> Result<()> {
    let specs: Vec<Spec> = data.iter().map(Tensor::spec).collect();
    let mut graph = Graph::of_network(network, &specs)?;
    let feed = Feed::new(data).parameters(network);
    let want = graph.run(&feed)?;
    let passes: [(&str, Pass); 10] = [
        ("duplicates", &|graph| Ok(graph.without_duplicates())),
        ("dead code", &|graph| Ok(graph.without_dead_code())),
        ("views", &|graph| Ok(graph.with_views_joined())),
        ("parameters", &|graph| graph.with_parameters(network)),
        ("few constants", &|graph| Ok(graph.with_constants_folded(64))),
        ("constants", &|graph| Ok(graph.with_constants_folded(usize::MAX))),
        ("dead code again", &|graph| Ok(graph.without_dead_code())),
        ("padding", &|graph| Ok(graph.with_padding_in_convolutions())),
        ("epilogues", &|graph| Ok(graph.with_epilogues())),
        ("in place", &|graph| Ok(graph.with_steps_in_place())),
    ];
    for (pass, run) in passes {
        let steps = graph.steps().len();
        graph = run(&graph)?;
        assert!(graph.steps().len() <= steps, "{what}, {pass}");
        same(&format!("{what}, {pass}"), &graph.run(&feed)?, &want);
    }
    Ok(())
}

fn pools() -> [Threads; 2] {
    [1, 3].map(|n| Threads::new(n).unwrap())
}

#[test]
fn every_configuration_of_every_layer() {
    let pools = pools();
    every_case(|pack, what, case| {
        let case = build(pack, case, DType::F32)?;
        holds(what, &case.network, &case.data, &pools)
    });
}

struct Predict([Threads; 2]);

impl Visitor for Predict {
    fn function(&mut self, _: &str, _: &[Tensor], _: &dyn Fn(&[Tensor]) -> Result<Tensor>) {}
    fn network(&mut self, name: &str, network: Network, inputs: &[Tensor]) {
        holds(name, &network, inputs, &self.0).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn every_layer_of_the_test_of_one_answer() {
    let mut all = Answers::default();
    all.visitor = Some(Box::new(Predict(pools())));
    layers::all(&mut all);
}

/// A decoder of a few small blocks.
fn gpt2(cache: bool) -> Network {
    let small =
        GPT2::new().vocabulary_size(29).num_layers(2).num_heads(2).hidden_dim(16).intermediate_dim(24);
    small.max_sequence_length(20).cache(cache).last_token(cache).seed(3).build().unwrap()
}

fn tokens(shape: [usize; 2], seed: u64) -> Tensor {
    Tensor::randint(shape, 0, 23, Stream::new(seed, Purpose::User(0), 0)).unwrap()
}

#[test]
fn applications() {
    let pools = pools();
    let images = normal(1, &[2, 40, 36, 3]);
    let shape = [40, 36, 3];
    let networks = [
        ("ResNet18", ResNet18::new().input_shape(shape).classes(5).build()),
        ("ResNet50", ResNet50::new().input_shape(shape).classes(5).build()),
        ("ResNet50V2", ResNet50V2::new().input_shape(shape).classes(5).build()),
        ("MobileNetV2", MobileNetV2::new().alpha(0.35).input_shape(shape).classes(5).build()),
        ("VGG16", VGG16::new().input_shape(shape).include_top(false).build()),
    ];
    for (name, network) in networks {
        let mut network = network.unwrap();
        // Statistics that are not 0 and 1.
        for (path, value) in network.params() {
            if path.contains("moving_") || path.ends_with("/gamma") || path.ends_with("/beta") {
                let value = normal(2, value.dims()).abs().unwrap().affine(0.3, 0.5).unwrap();
                network.set_params(&[(path, value)]).unwrap();
            }
        }
        holds(name, &network, std::slice::from_ref(&images), &pools).unwrap();
    }
    let bert = Bert::new().vocabulary_size(23).num_layers(2).num_heads(2).hidden_dim(16).intermediate_dim(24);
    let bert = bert.max_sequence_length(9).build().unwrap();
    let segments = Tensor::zeros([3, 9]).unwrap().cast(DType::I64).unwrap();
    holds("Bert", &bert, &[tokens([3, 9], 4), segments], &pools).unwrap();
    holds("GPT2", &gpt2(false), &[tokens([3, 7], 5)], &pools).unwrap();
    holds("GPT2 with a cache", &gpt2(true), &[tokens([3, 7], 5)], &pools).unwrap();
}

#[test]
fn more_applications() {
    let pools = pools();
    let images = normal(1, &[2, 16, 16, 3]);
    let unet = UNet::new([16, 16, 3], 3).filters(8).depth(2).seed(1).build().unwrap();
    holds("UNet", &unet, std::slice::from_ref(&images), &pools).unwrap();
    let vit = VisionTransformer::new().input_shape([16, 16, 3]).patch_size(4).num_layers(2).num_heads(2);
    let vit = vit.hidden_dim(96).intermediate_dim(160).classes(5).seed(1).build().unwrap();
    holds("VisionTransformer", &vit, &[images], &pools).unwrap();
}

/// As in the examples: a layer of the user's own,
#[derive(Clone, Debug)]
struct Gated {
    value: Part,
    gate: Part,
}
gradus::parts!(Gated { value, gate });
impl Layer for Gated {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        self.value.forward(x, cx)?.mul(&self.gate.forward(x, cx)?.sigmoid()?)
    }
}

/// blocks in a list,
#[derive(Clone, Debug)]
struct Residual {
    blocks: Vec<Gated>,
    exit: Part,
}
gradus::parts!(Residual { blocks, exit });
impl Layer for Residual {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let mut h = x.clone();
        for block in &self.blocks {
            h = h.add(&block.forward(&h, cx)?)?;
        }
        self.exit.forward(&h, cx)
    }
}

/// and a loop over time.
#[derive(Clone, Debug)]
struct Adder {
    units: usize,
    gate: Part,
    exit: Part,
}
gradus::parts!(Adder { units, gate, exit });
impl Layer for Adder {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let mut h = x.new_full([x.dims()[0], self.units], 0.0)?;
        for t in 0..x.dims()[1] as isize {
            let both = Tensor::concat(&[&x.select(1, t)?, &h], -1)?;
            let z = self.gate.forward(&both, cx)?;
            h = &z * &h + (1.0 - &z) * both.slice(1, 0, self.units as isize)?;
        }
        self.exit.forward(&h, cx)
    }
}

#[test]
fn networks_like_those_of_the_examples() {
    let pools = pools();
    let digits = normal(1, &[3, 28, 28, 1]);
    let flat = digits.reshape([3, 784]).unwrap();
    let check = |what: &str, network: Network, data: &[Tensor]| holds(what, &network, data, &pools).unwrap();
    let stack = |width: usize| Sequential::new().add(Input::new([width]));

    let mnist = stack(784).add(Dense::new(512).activation(Relu)).add(Dropout::new(0.2));
    let mnist = mnist.add(Dense::new(10).activation(Softmax)).build().unwrap();
    check("mnist", mnist, std::slice::from_ref(&flat));
    let cnn = Sequential::new()
        .add(Input::new([28, 28, 1]))
        .add(Conv2D::new(32, 3).activation(Relu))
        .add(MaxPooling2D::new().pool_size(2))
        .add(Conv2D::new(64, 3).activation(Relu))
        .add(MaxPooling2D::new().pool_size(2))
        .add(Flatten::new())
        .add(Dense::new(10).activation(Softmax));
    check("mnist_cnn", cnn.build().unwrap(), &[digits]);

    let gated = |units: usize| Gated { value: Dense::new(units).into(), gate: Dense::new(units).into() };
    let blocks = Residual { blocks: vec![gated(96); 3], exit: Dense::new(10).activation(Softmax).into() };
    let blocks = Subclass::new([Input::new([96])], blocks).seed(7).build().unwrap();
    check("blocks", blocks, &[normal(2, &[3, 96])]);
    let adder =
        Adder { units: 1, gate: Dense::new(1).activation("sigmoid").into(), exit: Dense::new(1).into() };
    let adder = Subclass::new([Input::new([12, 1])], adder).build().unwrap();
    check("recurrent", adder, &[normal(3, &[3, 12, 1])]);

    let question = Sequential::new()
        .add(Input::new(7).dtype(DType::I64))
        .add(Embedding::new(23, 16))
        .add(LSTM::new(128))
        .add(RepeatVector::new(4))
        .add(LSTM::new(128).return_sequences(true))
        .add(Dense::new(23).activation(Softmax));
    check("sequence_lstm", question.build().unwrap(), &[tokens([3, 7], 1)]);
    let input = Input::with_unknown([None]).dtype(DType::I64);
    let h = Embedding::new(23, 64).on(&input).unwrap();
    let h = Add::new().on([&h, &PositionEmbedding::new(12).on(&h).unwrap()]).unwrap();
    let h = TransformerDecoder::new(128, 4).on(&h).unwrap();
    let text = Functional::new([&input], [&Dense::new(23).on(&h).unwrap()]).unwrap().build().unwrap();
    for length in [5, 12, 1] {
        holds("text_generation", &text, &[tokens([3, length], 2)], &pools).unwrap();
    }

    // One network in two places, then two inputs and two outputs.
    let encoder = stack(784).named("encoder").add(Dense::new(128).activation(Relu)).add(Dense::new(32));
    let (left, right) = (Input::new([784]).named("left"), Input::new([784]).named("right"));
    let both = [&encoder.on(&left).unwrap(), &encoder.on(&right).unwrap()];
    let both = Concatenate::new().on(both).unwrap();
    let same = Dense::new(1).activation(Sigmoid).on(&both).unwrap();
    let siamese = Functional::new([&left, &right], &same).unwrap().build().unwrap();
    check("siamese", siamese, &[flat.clone(), flat.neg().unwrap()]);
    let (left, right) = (Input::new(8).named("left"), Input::new(3).named("right"));
    let (a, b) = (Dense::new(32).on(&left).unwrap(), Dense::new(16).activation(Relu).on(&right).unwrap());
    let joint = Dense::new(132).activation(Relu).on(&Concatenate::new().on([&a, &b]).unwrap()).unwrap();
    let outputs =
        [&Dense::new(1).on(&joint).unwrap(), &Dense::new(2).activation(Softmax).on(&joint).unwrap()];
    let two = Functional::new([&left, &right], outputs).unwrap().build().unwrap();
    check("two_inputs", two, &[normal(4, &[3, 8]), normal(5, &[3, 3])]);
    let image = Input::new(784).named("image");
    let code = Dense::new(16).named("code").on(&Dense::new(128).on(&image).unwrap()).unwrap();
    let drawn = Dense::new(784).activation(Sigmoid).on(&code).unwrap();
    let whole = Functional::new(&image, &drawn).unwrap().build().unwrap();
    check("encoder", whole.cut_at(["code"]).unwrap(), std::slice::from_ref(&flat));
    check("autoencoder", whole, &[flat]);
}

/// Weights whose values were given up for a packed form serve inputs of other sizes, which may ask for another one.
#[test]
fn forms_of_weights_change_with_sizes() {
    let network = Sequential::new()
        .add(Input::with_unknown([None, None, Some(40)]))
        .add(Conv2D::new(72, 3).padding("same").activation(Relu)) // by Winograd's algorithm where images are large
        .add(Conv2D::new(100, 1))
        .add(Dense::new(130).activation(Tanh));
    let network = network.seed(4).build().unwrap();
    let predictor = network.predictor().unwrap();
    for (rows, side) in [(1, 5), (2, 20), (1, 5), (3, 7), (1, 24), (0, 5), (2, 0), (1, 6)] {
        let x = normal(side as u64, &[rows, side, side, 40]);
        match (predictor.predict(&x), network.predict(&x)) {
            (Ok(got), Ok(want)) => assert!(got.same_bits(&want), "{rows} images of {side}"),
            (Err(got), Err(want)) => assert_eq!(got.to_string(), want.to_string()),
            (got, want) => panic!("{rows} images of {side}: {got:?}, but {want:?}"),
        }
    }
    // Two forms at a time: one layer sees two sizes of images.
    let conv = Conv2D::new(64, 3).padding("same").shared();
    let (large, small) = (Input::new([24, 24, 64]), Input::new([4, 4, 64]));
    let both = [&conv.on(&large).unwrap(), &conv.on(&small).unwrap()];
    let network = Functional::new([&large, &small], both).unwrap().build().unwrap();
    holds("shared", &network, &[normal(1, &[2, 24, 24, 64]), normal(2, &[2, 4, 4, 64])], &pools()).unwrap();
}

/// Counts the matrix products of one prediction.
fn products(predictor: &Predictor, data: &[Tensor]) -> usize {
    let profile = predictor.profile(data).unwrap();
    profile.steps.iter().filter(|step| step.op.starts_with("linear")).count()
}

/// Projections of one input are one product, with the bits of three; those that would be copied apart again are not.
#[test]
fn projections_of_one_input_are_one_product() {
    let sequence = || Input::with_unknown([None, Some(24)]);
    let attention = || MultiHeadAttention::new(3, 5).value_dim(7);
    let check = |what: &str, network: Functional, inputs: usize, want: usize| {
        let network = network.build().unwrap();
        let data: Vec<Tensor> = (0..inputs).map(|i| normal(i as u64, &[4, 6 + i, 24])).collect();
        assert_eq!(products(&network.predictor().unwrap(), &data), want, "{what}");
        holds(what, &network, &data, &pools()).unwrap();
        // One row of one sequence lies in one piece, and so do no rows.
        let one: Vec<Tensor> =
            data.iter().map(|x| x.slice(0, 0, 1)?.slice(1, 0, 1)).collect::<Result<_>>().unwrap();
        holds(what, &network, &one, &pools()).unwrap();
    };

    let x = sequence();
    let y = attention().on([&x, &x]).unwrap();
    check("self-attention", Functional::new([&x], [&y]).unwrap(), 1, 2);
    let x = sequence();
    let y = attention().use_bias(false).use_causal_mask(true).on([&x, &x]).unwrap();
    check("without a bias", Functional::new([&x], [&y]).unwrap(), 1, 2);
    let x = sequence();
    let y = GroupQueryAttention::new(8, 6, 2).on([&x, &x]).unwrap();
    check("groups", Functional::new([&x], [&y]).unwrap(), 1, 2);
    let (x, other) = (sequence(), sequence());
    let y = attention().on([&x, &other]).unwrap();
    check("key and value of another sequence", Functional::new([&x, &other], [&y]).unwrap(), 2, 3);

    // The gate is read by a multiplication, which would be slower over parts of rows.
    let x = sequence();
    let y = attention().use_gate(true).on([&x, &x]).unwrap();
    check("a gate", Functional::new([&x], [&y]).unwrap(), 1, 3);
    // Results of a network lie in one piece.
    let x = sequence();
    let ends = [&Dense::new(8).on(&x).unwrap(), &Dense::new(9).on(&x).unwrap()];
    check("results", Functional::new([&x], ends).unwrap(), 1, 2);
    // Weights of a shared layer stay where both of its calls find them.
    let (x, other) = (sequence(), sequence());
    let shared = attention().shared();
    let ends = [&shared.on([&x, &x]).unwrap(), &shared.on([&other, &other]).unwrap()];
    check("a shared layer", Functional::new([&x, &other], ends).unwrap(), 2, 8);
}

/// Two projections, and another use of the weights of one.
#[derive(Clone, Debug)]
struct Twice {
    query: Param,
    key: Param,
}
gradus::parts!(Twice { query, key });
impl Layer for Twice {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let (query, key) = (cx.param(&self.query)?, cx.param(&self.key)?);
        let project = |w: &Tensor| x.linear(&w.merge_axes(1, 2)?, None, None)?.split_axis(-1, &[2, 3]);
        let k = project(&key)?;
        let y = project(&query)?.dot_product_attention(&k, &k, AttentionOptions::default())?;
        y.add(&query)
    }
}

#[test]
fn weights_that_are_read_elsewhere_stay_apart() {
    let mut init = Init::new(3, DType::F32);
    let mut weight = || init.param([4, 2, 3], &GlorotUniform.into()).unwrap();
    let twice = Twice { query: weight(), key: weight() };
    let network = Subclass::new([Input::new([4, 4])], twice).build().unwrap();
    let x = normal(1, &[2, 4, 4]);
    assert_eq!(products(&network.predictor().unwrap(), std::slice::from_ref(&x)), 2);
    holds("weights read twice", &network, &[x], &pools()).unwrap();
}

/// Weights side by side are as large as apart, and what is made of them is shared by plans of all sizes, with or without
/// a session.
#[test]
fn weights_side_by_side_are_kept_once() {
    let network = gpt2(true);
    let predictor = network.predictor().unwrap();
    let parameters = 4 * network.count_params();
    let mut session = Session::new();
    for x in [tokens([2, 4], 1), tokens([1, 9], 2), tokens([2, 4], 3)] {
        assert!(predictor.predict(&x).unwrap().same_bits(&network.predict(&x).unwrap()));
        predictor.predict_in(&mut session, &tokens([2, 1], 4)).unwrap();
        let bytes = predictor.profile(&x).unwrap().weight_bytes;
        assert!(bytes < parameters + parameters / 2, "{bytes} bytes for {parameters}");
    }
}

#[test]
fn scales_in_weights_change_last_digits_alone() {
    let stack = Sequential::new()
        .add(Input::new([12, 12, 3]))
        .add(Conv2D::new(36, 3).padding("same").use_bias(false))
        .add(BatchNormalization::new().named("first"))
        .add(Conv2D::new(40, 3))
        .add(BatchNormalization::new().named("second"))
        .add(Activation::new("relu"))
        .add(Flatten::new())
        .add(Dense::new(70))
        .add(BatchNormalization::new().named("third"));
    let mut network = stack.seed(3).build().unwrap();
    for (path, value) in network.params() {
        if ["first", "second", "third"].iter().any(|layer| path.starts_with(layer)) {
            let value = normal(2, value.dims()).abs().unwrap().affine(0.3, 0.5).unwrap();
            network.set_params(&[(path, value)]).unwrap();
        }
    }
    let x = normal(1, &[5, 12, 12, 3]);
    let want = network.predict(&x).unwrap();
    let bound = Graph::of_network(&network, &[x.spec()]).unwrap().with_parameters(&network).unwrap();
    let bound = bound.with_constants_folded(usize::MAX);
    let folded = bound.with_scales_in_weights().unwrap();
    let count = |graph: &Graph, name: &str| graph.steps().iter().filter(|step| step.name() == name).count();
    assert_eq!((count(&bound, "mul_add"), count(&folded, "mul_add")), (3, 0), "{folded}");
    let close = |got: &Tensor| {
        let scale = want.abs().unwrap().max(&[], false).unwrap().item().unwrap();
        let most = got.sub(&want).unwrap().abs().unwrap().max(&[], false).unwrap().item().unwrap();
        assert!(most > 0.0 && most < 1e-5 * scale, "{most} of {scale}");
    };
    close(&folded.run(&Feed::new(&x)).unwrap()[0]);
    let predictor = network.into_predictor_with(&Pack::new().fold(true)).unwrap();
    let got = predictor.predict(&x).unwrap();
    close(&got);
    // The same numbers for any number of rows, whose plans find the weights scaled already.
    for rows in 1..5 {
        let part = predictor.predict(&x.slice(0, 0, rows).unwrap()).unwrap();
        assert!(part.same_bits(&got.slice(0, 0, rows).unwrap()), "{rows} rows");
    }
}

/// Calls that continue from each other give the bits of the network's, also if a session goes from one to the other.
fn continues(what: &str, network: &Network, calls: &[Tensor]) {
    let predictor = network.predictor().unwrap();
    for pool in pools() {
        let (mut ours, mut theirs, mut mixed) = (Session::new(), Session::new(), Session::new());
        for (i, x) in calls.iter().enumerate() {
            let want = network.predict_in(&mut theirs, x).unwrap();
            let got = pool.run(|| predictor.predict_in(&mut ours, x)).unwrap();
            assert!(got.same_bits(&want), "{what}, call {i}: {got}, not {want}");
            let both = match i % 2 {
                0 => network.predict_in(&mut mixed, x),
                _ => predictor.predict_in(&mut mixed, x),
            };
            assert!(both.unwrap().same_bits(&want), "{what}, call {i} of a session that moves");
        }
    }
}

#[test]
fn sessions() {
    let prompt = tokens([2, 4], 6);
    let mut calls = vec![prompt];
    calls.extend((0..12).map(|i| tokens([2, 1], 7 + i)));
    continues("GPT2", &gpt2(true), &calls);

    let steps = |n: usize, seed: u64| normal(seed, &[2, n, 3]);
    let calls: Vec<Tensor> = (0..6).map(|i| steps(1 + i as usize % 3, i)).collect();
    let input = || Input::with_unknown([None, Some(3)]);
    let networks = [
        Sequential::new().add(input()).add(GRU::new(4).stateful(true)),
        Sequential::new()
            .add(input())
            .add(LSTM::new(4).stateful(true).return_sequences(true))
            .add(Dense::new(2)),
        Sequential::new().add(input()).add(Masking::new()).add(SimpleRNN::new(4).stateful(true)),
        Sequential::new().add(input()).add(Dense::new(4)).add(TransformerDecoder::new(8, 2).cache(16)),
    ];
    for network in networks {
        let network = network.seed(1).build().unwrap();
        continues(&network.name(), &network, &calls);
    }
    // What does not fit loses the session's state, as with the network.
    let (network, mut session) = (gpt2(true), Session::new());
    let predictor = network.predictor().unwrap();
    predictor.predict_in(&mut session, &tokens([2, 18], 1)).unwrap();
    let ours = predictor.predict_in(&mut session, &tokens([2, 5], 1)).unwrap_err().to_string();
    assert!(
        ours.contains("at most 20 along axis") && ours.contains("longer `cache`") && session.is_empty(),
        "{ours}"
    );
    for why in [
        predictor.predict_in(&mut session, &tokens([2, 1], 1)).unwrap_err(),
        network.predict_in(&mut session, &tokens([2, 1], 1)).unwrap_err(),
    ] {
        assert!(why.to_string().contains("one whose state a failed call has lost"), "{why}");
    }
    // A first call that fails has nothing to lose.
    let mut fresh = Session::new();
    predictor.predict_in(&mut fresh, &tokens([2, 21], 1)).unwrap_err();
    predictor.predict_in(&mut fresh, &tokens([2, 2], 1)).unwrap();
    // And other rows than before are an error or a new start, as with the network.
    let (mut a, mut b) = (Session::new(), Session::new());
    network.predict_in(&mut a, &tokens([2, 3], 1)).unwrap();
    predictor.predict_in(&mut b, &tokens([2, 3], 1)).unwrap();
    let (ours, theirs) =
        (predictor.predict_in(&mut b, &tokens([3, 1], 1)), network.predict_in(&mut a, &tokens([3, 1], 1)));
    assert_eq!(ours.is_err(), theirs.is_err());
}

fn mlp() -> Network {
    let stack =
        Sequential::new().add(Input::new([6])).add(Dense::new(5).activation(Relu)).add(Dropout::new(0.5));
    stack.add(Dense::new(3).activation(Softmax)).seed(2).build().unwrap()
}

#[test]
fn any_number_of_rows() {
    let network = mlp();
    let predictor = network.into_predictor().unwrap();
    let network = mlp();
    for n in [1, 2, 7, 1023, 1024, 1025, 3000, 1, 2, 0] {
        let x = normal(n as u64, &[n, 6]);
        let (got, want) = (predictor.predict(&x), network.predict(&x));
        match (got, want) {
            (Ok(got), Ok(want)) => assert!(got.same_bits(&want), "{n} rows"),
            (Err(got), Err(want)) => assert_eq!(got.to_string(), want.to_string()),
            (got, want) => panic!("{n} rows: {got:?}, but {want:?}"),
        }
    }
    let wide = normal(1, &[6, 8]).t().unwrap();
    assert!(!wide.array().layout().is_contiguous());
    assert!(predictor.predict(&wide).unwrap().same_bits(&network.predict(&wide).unwrap()));
    let mut out = [0f32; 24];
    predictor.predict_into(&wide, &mut out).unwrap();
    assert_eq!(out[..], network.predict(&wide).unwrap().to_vec::<f32>().unwrap()[..]);
    assert!(format!("{predictor:?}").contains("8 plans"), "{predictor:?}");
}

#[test]
fn a_snapshot_stays_what_it_was() {
    let mut network = mlp();
    let x = normal(1, &[4, 6]);
    let (predictor, before) = (network.predictor().unwrap(), network.predict(&x).unwrap());
    let twice: Vec<_> = network.params().into_iter().map(|(path, p)| (path, p.scale(2.0).unwrap())).collect();
    network.set_params(&twice).unwrap();
    assert!(predictor.predict(&x).unwrap().same_bits(&before));
    assert!(!network.predict(&x).unwrap().same_bits(&before));
    // And what it returns is the caller's: a later call does not write over it.
    let kept = predictor.predict(&x).unwrap();
    predictor.predict(&normal(2, &[4, 6])).unwrap();
    assert!(kept.same_bits(&before));
}

#[test]
fn sixteen_threads_share_a_predictor() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let network = ResNet18::new().input_shape([32, 32, 3]).classes(4).seed(1).build().unwrap();
    let predictor = network.predictor().unwrap();
    is_shared(&predictor);
    let work: Vec<(Tensor, Tensor)> = (0..16)
        .map(|i| {
            let x = normal(i, &[1 + i as usize % 3, 32, 32, 3]);
            let y = network.predict(&x).unwrap();
            (x, y)
        })
        .collect();
    std::thread::scope(|scope| {
        for first in 0..16 {
            let (work, predictor) = (&work, &predictor);
            scope.spawn(move || {
                for i in 0..6 {
                    let (x, want) = &work[(first + i) % work.len()];
                    assert!(predictor.predict(x).unwrap().same_bits(want));
                }
            });
        }
    });
}

#[test]
fn what_does_not_fit_is_refused_as_by_the_network() {
    let network = mlp();
    let predictor = network.predictor().unwrap();
    let said = |x: &[Tensor]| {
        let (got, want) = (predictor.predict(x).unwrap_err(), network.predict(x).unwrap_err());
        assert_eq!(got.to_string(), want.to_string());
    };
    said(&[normal(1, &[2, 5])]);
    said(&[normal(1, &[6])]);
    said(&[]);
    said(&[Tensor::full([2, 6], 1i64).unwrap()]);
    // Rows of a table are numbered from 0, in a plan as well.
    let table =
        Sequential::new().add(Input::new([2]).dtype(DType::I64)).add(Embedding::new(5, 3).named("words"));
    let table = table.build().unwrap();
    let predictor = table.predictor().unwrap();
    for wrong in [-1i64, 5] {
        let x = Tensor::full([1, 2], wrong).unwrap();
        let (got, want) =
            (predictor.predict(&x).unwrap_err().to_string(), table.predict(&x).unwrap_err().to_string());
        assert!(got.contains("words") && want.contains("words"), "{got}, {want}");
        let said = format!("gather: index {wrong} at position 0 is out of range: expected 0 to 4");
        assert!(got.ends_with(&said) && want.ends_with(&said), "{got}, {want}");
    }
    let good = Tensor::full([1, 2], 4i64).unwrap();
    assert!(predictor.predict(&good).unwrap().same_bits(&table.predict(&good).unwrap()), "after an error");
    let mut session = Session::new();
    assert!(predictor.predict_in(&mut session, &Tensor::full([1, 2], 9i64).unwrap()).is_err());
}

#[derive(Clone, Debug)]
struct Reads;
gradus::parts!(Reads {});
impl Layer for Reads {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        gradus::autograd::opaque(&[x], x.spec(), || x.scale(1.0 / x.max(&[], false)?.item()?))
    }
}
impl gradus::config::Configured for Reads {}

#[test]
fn a_network_that_cannot_be_captured_is_refused() {
    let input = Input::new([3]);
    let network = Functional::new(&input, &Reads.on(&input).unwrap()).unwrap().build().unwrap();
    let error = network.predictor().unwrap_err().to_string();
    assert!(error.contains("layer 'reads'") && error.contains("Tensor::opaque"), "{error}");
    let x = Tensor::ones([2, 3]).unwrap();
    network.predict(&x).unwrap();
}

#[test]
fn costs_are_counted_by_hand() {
    let network = Sequential::new()
        .add(Input::new([8, 8, 3]))
        .add(Conv2D::new(4, 3).activation(Relu).named("conv"))
        .add(Flatten::new().named("flat"))
        .add(Dense::new(5).named("dense"))
        .build()
        .unwrap();
    let x = normal(1, &[2, 8, 8, 3]);
    let graph = Graph::of_network(&network, &[x.spec()]).unwrap();
    let cost = graph.cost();
    let of = |layer: &str| cost.layers.iter().find(|(name, _)| name == layer).unwrap().1;
    let places = 2 * 6 * 6;
    // A product for each tap and channel, then bias and relu.
    assert_eq!(of("conv").flops, places * 4 * (2 * 27 + 2));
    assert_eq!(of("conv").parameters, 27 * 4 + 4);
    assert_eq!(of("conv").bytes, 4 * (2 * 8 * 8 * 3 + 27 * 4 + 4 + places * 4));
    assert_eq!((of("flat").flops, of("flat").bytes), (0, 0), "a view");
    assert_eq!(of("dense").flops, 2 * 5 * (2 * 144 + 1));
    assert_eq!(cost.total.parameters, network.count_params() as u64);
    assert_eq!(cost.total.flops, of("conv").flops + of("dense").flops);
    let table = cost.to_string();
    let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["layer", "steps", "FLOPs", "bytes", "parameters"]);
    assert_eq!((words[1][0], words[4][0]), ("conv", "total"));
    // Joined to the products, it is as much.
    let bound = graph.with_parameters(&network).unwrap();
    assert_eq!(bound.with_epilogues().cost().total.flops, cost.total.flops);
}

#[test]
fn a_graph_is_drawn() {
    let network = ResNet18::new().input_shape([32, 32, 3]).classes(4).build().unwrap();
    let graph = Graph::of_network(&network, &[Tensor::ones([1, 32, 32, 3]).unwrap().spec()]).unwrap();
    let (dot, svg) = (graph.to_dot(), graph.to_svg());
    assert!(dot.starts_with("digraph {") && dot.ends_with("}\n"));
    let (steps, ends) = (graph.steps().len(), 2);
    assert_eq!(dot.matches("fillcolor").count(), steps + ends);
    assert_eq!(svg.matches("<rect").count(), 1 + steps + ends);
    assert!(svg.contains("conv1_conv/kernel") && dot.contains("conv1_conv/kernel"));
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    // Boxes do not overlap.
    let number = |line: &str, key: &str| -> usize {
        let rest = line.split_once(&format!(" {key}=\"")).unwrap().1;
        rest.split_once('"').unwrap().0.parse().unwrap()
    };
    let boxes: Vec<[usize; 4]> = svg
        .lines()
        .filter(|line| line.starts_with("<rect x="))
        .map(|line| ["x", "y", "width", "height"].map(|key| number(line, key)))
        .collect();
    assert_eq!(boxes.len(), steps + ends);
    for (i, a) in boxes.iter().enumerate() {
        for b in &boxes[..i] {
            let apart =
                a[0] + a[2] <= b[0] || b[0] + b[2] <= a[0] || a[1] + a[3] <= b[1] || b[1] + b[3] <= a[1];
            assert!(apart, "{a:?} {b:?}");
        }
    }
}

#[test]
fn profiles_name_layers_and_operations() {
    let network = ResNet18::new().input_shape([32, 32, 3]).classes(4).build().unwrap();
    let predictor = network.predictor().unwrap();
    let profile = predictor.profile(&normal(1, &[2, 32, 32, 3])).unwrap();
    assert!(profile.layers().iter().any(|(layer, _)| layer == "conv1_conv"));
    assert!(profile.ops().iter().any(|(op, _)| *op == "conv_ended"));
    // Normalization, activations and sums are done with the convolutions.
    assert!(profile.steps.iter().all(|step| !["mul_add", "relu", "add"].contains(&step.op)), "{profile}");
    assert!(profile.steps.iter().map(|step| step.time).sum::<std::time::Duration>() <= profile.total);
    assert!(profile.arena_bytes > 0 && profile.weight_bytes >= 4 * network.count_params() / 2);
    let text = profile.to_string();
    assert!(text.contains("layer") && text.contains("operation") && text.contains("whole call"), "{text}");
}
