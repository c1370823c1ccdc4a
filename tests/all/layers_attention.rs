//! Tests of attention layers and their surroundings: masks, caches, positions, transformer blocks, and what they
//! refuse.

use gradus::graph::{Feed, Graph};
use gradus::io::Load;
use gradus::nn::layers::{
    AdditiveAttention, Attention, EinsumDense, GroupQueryAttention, MultiHeadAttention, PositionEmbedding,
    ReversibleEmbedding, RotaryEmbedding, SinePositionEncoding, TransformerDecoder, TransformerEncoder,
};
use gradus::nn::{Build, Network, Session, Symbol};
use gradus::prelude::*;
use gradus::{Result, Shape};

/// Values that repeat nowhere.
fn wave(shape: &[usize], salt: usize) -> Tensor {
    let n = shape.iter().product::<usize>();
    let value = |i: usize| (((i + 31 * salt) as f64 * 0.618_034 + 0.137).fract() * 2.0 - 1.0) as f32;
    Tensor::from_slice(&(0..n).map(value).collect::<Vec<_>>(), Shape::new(shape).unwrap()).unwrap()
}

fn tokens(rows: usize, time: usize) -> Tensor {
    let values: Vec<i64> = (0..rows * time).map(|i| 1 + (i * 5 % 11) as i64).collect();
    Tensor::from_slice(&values, [rows, time]).unwrap()
}

fn part(x: &Tensor, from: usize, to: usize) -> Tensor {
    x.slice(1, from as isize, to as isize).unwrap()
}

/// A language model of two blocks whose sessions go on decoding for up to 12 steps.
fn decoder() -> Network {
    let input = Input::with_unknown([None]).dtype(DType::I64).named("tokens");
    let table = ReversibleEmbedding::new(12, 8).mask_zero(true).shared();
    let h = table.on(&input).unwrap();
    let h = Add::new().on([&h, &PositionEmbedding::new(12).cache(true).on(&h).unwrap()]).unwrap();
    let h = TransformerDecoder::new(16, 2).cache(12).on(&h).unwrap();
    let h = RotaryEmbedding::new().cache(true).on(&h).unwrap();
    let h = Add::new().on([&h, &SinePositionEncoding::new().cache(true).on(&h).unwrap()]).unwrap();
    let group = GroupQueryAttention::new(4, 4, 2).use_causal_mask(true).cache(12).named("group");
    let h = group.on([&h, &h]).unwrap();
    let logits = table.on([("reverse", &h)]).unwrap();
    Functional::new(&input, &logits).unwrap().seed(5).build().unwrap()
}

#[test]
fn decoding_step_by_step_gives_the_bits_of_the_whole_pass() {
    let network = decoder();
    let mut x = tokens(3, 12);
    // Some of it is padding.
    x = x.index_put((1, 0..2), &Tensor::zeros([2]).unwrap().cast(DType::I64).unwrap()).unwrap();
    let whole = network.predict(&x).unwrap();
    for sizes in [&[1usize; 12][..], &[5, 1, 1, 3, 2], &[12]] {
        let (mut session, mut at) = (Session::new(), 0);
        for &size in sizes {
            let step = network.predict_in(&mut session, &part(&x, at, at + size)).unwrap();
            assert!(step.same_bits(&part(&whole, at, at + size)), "{size} from {at} on of {sizes:?}");
            at += size;
        }
        // One more has no place.
        let why = network.predict_in(&mut session, &part(&x, 0, 1)).unwrap_err().to_string();
        assert!(why.contains("position_embedding") || why.contains("cache of 12 time steps"), "{why}");
    }
    // A row alone, and none at all.
    let one = network.predict(&x.slice(0, 1, 2).unwrap()).unwrap();
    assert!(one.same_bits(&whole.slice(0, 1, 2).unwrap()));
    assert_eq!(network.predict(&x.slice(0, 0, 0).unwrap()).unwrap().dims(), [0, 12, 12]);
}

/// Dropped weights are the same ones whether all weights are an output, which stores them, or not.
#[test]
fn dropout_of_weights_does_not_depend_on_whether_they_are_stored() {
    let (x, y) = (wave(&[4, 70, 6], 1), wave(&[4, 70, 6], 2));
    let heads = || MultiHeadAttention::new(2, 3).dropout(0.4).use_causal_mask(true).named("look");
    let fit = |stored: bool| {
        let input = Input::new([70, 6]);
        let z = match stored {
            true => heads().return_attention_scores(true).on_all([&input, &input]).unwrap()[0].clone(),
            false => heads().on([&input, &input]).unwrap(),
        };
        let model = Functional::new(&input, &z).unwrap().seed(3);
        let mut model = model.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
        let history = model.fit(&x, &y, Fit::new().epochs(3).batch_size(4).verbose(0)).unwrap();
        history["loss"].clone()
    };
    let (stored, blocked) = (fit(true), fit(false));
    assert_eq!(stored[0], blocked[0]);
    assert!(stored.iter().zip(&blocked).all(|(a, b)| (a - b).abs() < 1e-6 * a), "{stored:?} {blocked:?}");
    assert!(blocked[2] < blocked[0]);
}

#[test]
fn sequences_of_no_steps_are_refused_by_layer() {
    let x = Tensor::zeros([2, 0, 4]).unwrap();
    let some = wave(&[2, 3, 4], 1);
    let inputs = || [Input::with_unknown([None, Some(4)]), Input::with_unknown([None, Some(4)])];
    let network = |on: fn(&Input, &Input) -> Result<Symbol>| {
        let [a, b] = inputs();
        Functional::new([&a, &b], [&on(&a, &b).unwrap()]).unwrap().build().unwrap()
    };
    let heads = network(|a, b| MultiHeadAttention::new(2, 2).named("look").on([a, b]));
    let plain = network(|a, b| Attention::new().named("look").on([a, b]));
    let additive = network(|a, b| AdditiveAttention::new().named("look").on([a, b]));
    for network in [heads, plain, additive] {
        for pair in [[&x, &some], [&some, &x], [&x, &x]] {
            let why = network.predict(&pair).unwrap_err().to_string();
            let expected = "expected sequences [batch, time, …] of at least one step, got shape [2, 0, 4]";
            assert!(why.contains("layer 'look'") && why.contains(expected), "{why}");
        }
        assert_eq!(network.predict(&[&some, &some]).unwrap().dims(), [2, 3, 4]);
    }
}

#[test]
fn a_full_cache_says_which_layer() {
    let x = Input::with_unknown([None, Some(4)]);
    let layer = MultiHeadAttention::new(2, 2).use_causal_mask(true).cache(3).named("short");
    let network = Functional::new(&x, &layer.on([&x, &x]).unwrap()).unwrap().build().unwrap();
    let mut session = Session::new();
    network.predict_in(&mut session, &wave(&[2, 2, 4], 1)).unwrap();
    let why = network.predict_in(&mut session, &wave(&[2, 2, 4], 1)).unwrap_err().to_string();
    assert_eq!(
        why,
        "layer 'short' (MultiHeadAttention, number 1): cache of 3 time steps: slice_update: expected at most 3 along axis 1 (if the cache of a layer is full: a longer `cache`, or a new `Session`), got 2 from 2 on"
    );
    // What the call may have written into is no state to go on from.
    assert!(session.is_empty());
    let why = network.predict_in(&mut session, &wave(&[2, 1, 4], 1)).unwrap_err().to_string();
    assert_eq!(
        why,
        "session: expected a session with its state (`reset` it, or make a new one, to begin anew), got one whose state a failed call has lost"
    );
    session.reset();
    network.predict_in(&mut session, &wave(&[2, 1, 4], 1)).unwrap();
    // A fit keeps nothing, and knows no end.
    let mut model = network.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
    model.train_on_batch(&wave(&[2, 5, 4], 1), &wave(&[2, 5, 4], 2)).unwrap();
}

#[test]
fn a_step_of_decoding_is_captured() {
    let network = decoder();
    let x = tokens(2, 8);
    let mut session = Session::new();
    network.predict_in(&mut session, &part(&x, 0, 5)).unwrap();
    let next = part(&x, 5, 6);
    let graph = Graph::of_network_in(&network, &[next.spec()], &session).unwrap();
    let got = graph.run(&Feed::new(&next).parameters(&network).session(session.clone())).unwrap();
    assert!(got[0].same_bits(&network.predict_in(&mut session, &next).unwrap()));
}

#[test]
fn trained_it_is_saved_loaded_and_captured() {
    let source = Input::with_unknown([None, Some(4)]).named("source");
    let target = Input::with_unknown([None, Some(4)]).named("target");
    let encoded = TransformerEncoder::new(8, 2).dropout(0.1).on(&source).unwrap();
    let h = TransformerDecoder::new(8, 2).normalize_first(true).on([&target.symbol(), &encoded]).unwrap();
    let h = EinsumDense::new("abc,cd->abd", [None, Some(3)]).bias_axes("d").on(&h).unwrap();
    let mut model = Functional::new([&source, &target], &h)
        .unwrap()
        .seed(2)
        .compile(Adam::new(0.01), MeanSquaredError::new(), ())
        .unwrap();
    let (x, y) = ([wave(&[4, 5, 4], 1), wave(&[4, 6, 4], 2)], wave(&[4, 6, 3], 3));
    let before = model.evaluate(&x, &y).unwrap()["loss"];
    model.fit(&x, &y, Fit::new().epochs(30).verbose(0)).unwrap();
    assert!(model.evaluate(&x, &y).unwrap()["loss"] < before / 2.0);
    let again = Model::from_bytes(&model.to_bytes().unwrap(), Load::new()).unwrap();
    let want = model.predict(&x).unwrap();
    assert!(again.predict(&x).unwrap().same_bits(&want));
    let specs: Vec<_> = x.iter().map(Tensor::spec).collect();
    let graph = Graph::of_network(&model, &specs).unwrap();
    assert!(graph.run(&Feed::new(&x).parameters(&model)).unwrap()[0].same_bits(&want));
    let paths: Vec<String> = model.params().into_iter().map(|(path, _)| path).collect();
    for path in [
        "transformer_encoder/self_attention_layer/query_dense/kernel",
        "transformer_decoder/cross/cross_attention/output_dense/bias",
        "transformer_decoder/feedforward_layer_norm/gamma",
    ] {
        assert!(paths.iter().any(|p| p == path), "{path} in {paths:?}");
    }
}

/// A network of one layer on inputs of these sizes.
fn network(layer: impl Build + 'static, inputs: &[&[usize]]) -> Result<Network> {
    let inputs: Vec<Symbol> = inputs
        .iter()
        .map(|dims| match **dims {
            [a] => Input::new([a]),
            [a, b] => Input::new([a, b]),
            [a, b, c] => Input::new([a, b, c]),
            _ => panic!("{dims:?}"),
        })
        .map(|input| input.symbol())
        .collect();
    let outputs = layer.on_all(&inputs)?;
    Functional::new(&inputs, &outputs)?.build()
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let sequence: &[usize] = &[4, 6];
    let heads = || MultiHeadAttention::new(2, 3);
    let refused = |layer: Result<Network>| layer.err().map_or("accepted".to_string(), |e| e.to_string());
    let two = [sequence, sequence];
    let cases = [
        (
            refused(network(heads(), &[sequence])),
            "layer 'multi_head_attention' (MultiHeadAttention): inputs: expected query and value: .on([&query, &value]), for \
             attention within one sequence .on([&x, &x]), got 1",
        ),
        (
            refused(network(MultiHeadAttention::new(0, 3), &two)),
            "layer 'multi_head_attention' (MultiHeadAttention): num_heads: expected at least 1, got 0",
        ),
        (
            refused(network(heads().dropout(1.0), &two)),
            "layer 'multi_head_attention' (MultiHeadAttention): dropout: expected 0 <= dropout < 1, got 1",
        ),
        (
            refused(network(heads().attention_axes(0), &two)),
            "layer 'multi_head_attention' (MultiHeadAttention): attention_axes: expected axes between the first and the last, \
             each once, got [0]",
        ),
        (
            refused(network(heads().cache(4), &two)),
            "layer 'multi_head_attention' (MultiHeadAttention): cache: expected use_causal_mask and inputs [batch, time, \
             features], or no cache, got 4",
        ),
        (
            refused(network(heads().sliding_window(0), &two)),
            "layer 'multi_head_attention' (MultiHeadAttention): sliding_window: expected at least 1, got 0",
        ),
        (
            refused(network(GroupQueryAttention::new(2, 3, 2), &two)),
            "layer 'group_query_attention' (GroupQueryAttention): num_query_heads: expected a multiple of \
             num_key_value_heads, 2, got 3",
        ),
        (
            refused(network(Attention::new(), &[sequence])),
            "layer 'attention' (Attention): inputs: expected [query, value] or [query, value, key], got 1",
        ),
        (
            refused(network(EinsumDense::new("abc,cd", 3), &[sequence])),
            "layer 'einsum_dense' (EinsumDense): equation: expected [X],[Y]->[Z], ...[X],[Y]->...[Z] or [X]...,[Y]->[Z]..., \
             where X, Y and Z are letters, got 'abc,cd'",
        ),
        (
            refused(network(EinsumDense::new("abc,cd->abd", [5, 3]), &[sequence])),
            "layer 'einsum_dense' (EinsumDense): output_shape: expected 4 for axis 'b', as in the input, got 5",
        ),
        (
            refused(network(EinsumDense::new("abc,cd->abd", [None, Some(3)]).bias_axes("x"), &[sequence])),
            "layer 'einsum_dense' (EinsumDense): bias_axes: expected letters of the result 'abd', got 'x'",
        ),
        (
            refused(network(ReversibleEmbedding::new(4, 0), &[&[3]])),
            "layer 'reversible_embedding' (ReversibleEmbedding): output_dim: expected at least 1, got 0",
        ),
        (
            refused(network(RotaryEmbedding::new(), &[&[4, 5]])),
            "layer 'rotary_embedding' (RotaryEmbedding): RotaryEmbedding: expected an even, known number of features, got \
             shape [None, 4, 5]",
        ),
        (
            refused(network(SinePositionEncoding::new().max_wavelength(0.0), &[sequence])),
            "layer 'sine_position_encoding' (SinePositionEncoding): max_wavelength: expected a finite number above 0, got 0",
        ),
        (
            refused(network(PositionEmbedding::new(0), &[sequence])),
            "layer 'position_embedding' (PositionEmbedding): sequence_length: expected at least 1, got 0",
        ),
        (
            refused(network(TransformerEncoder::new(4, 7), &[sequence])),
            "layer 'transformer_encoder' (TransformerEncoder): num_heads: expected from 1 to the 6 features of the input, got 7",
        ),
        (
            refused(network(TransformerDecoder::new(0, 2), &[sequence])),
            "layer 'transformer_decoder' (TransformerDecoder): intermediate_dim: expected at least 1, got 0",
        ),
    ];
    for (got, want) in cases {
        assert_eq!(got, want);
    }
}

#[test]
fn masks_hide_what_they_should_and_go_on() {
    let numbers = Input::with_unknown([None]).dtype(DType::I64);
    let h = Embedding::new(12, 6).mask_zero(true).on(&numbers).unwrap();
    for layer in [
        MultiHeadAttention::new(2, 3).shared(),
        GroupQueryAttention::new(3, 2, 1).shared(),
        Attention::new().shared(),
    ] {
        let y = layer.on([&h, &h]).unwrap();
        // A mean over time that knows of a mask would be wrong without one: the output's mask is the input's.
        let network = Functional::new(&numbers, &y).unwrap().seed(4).build().unwrap();
        let short = Tensor::from_slice(&[3i64, 5, 7], [1, 3]).unwrap();
        let padded = Tensor::from_slice(&[3i64, 5, 7, 0, 0], [1, 5]).unwrap();
        let (a, b) = (network.predict(&short).unwrap(), network.predict(&padded).unwrap());
        assert!(part(&b, 0, 3).same_bits(&a), "{layer:?}");
        // Padding sees nothing.
        assert!(part(&b, 3, 5).to_vec::<f32>().unwrap().iter().all(|x| *x == 0.0));
        let all_padding = network.predict(&Tensor::full([1, 4], 0i64).unwrap()).unwrap();
        assert!(all_padding.to_vec::<f32>().unwrap().iter().all(|x| *x == 0.0));
    }
}

/// The way back of a reversible table is the product with it, bounded softly.
#[test]
fn a_reversible_table_is_read_both_ways() {
    let input = Input::new([2, 3]);
    let table = ReversibleEmbedding::new(5, 3).logit_soft_cap(2.0).shared();
    let network =
        Functional::new(&input, &table.on([("reverse", &input)]).unwrap()).unwrap().build().unwrap();
    let x = wave(&[4, 2, 3], 1);
    let kernel = network.param("reversible_embedding/embeddings").unwrap();
    let logits = x.matmul(&kernel.t().unwrap()).unwrap();
    let want = logits.affine(0.5, 0.0).unwrap().tanh().unwrap().affine(2.0, 0.0).unwrap();
    assert!(network.predict(&x).unwrap().same_bits(&want));
    let why = table.on((&input, [("reverse", &input)])).unwrap_err().to_string();
    assert!(why.contains("one input: numbers by position, or vectors named 'reverse'"), "{why}");
    let own = ReversibleEmbedding::new(5, 3).tie_weights(false).on([("reverse", &input)]).unwrap();
    let network = Functional::new(&input, &own).unwrap().build().unwrap();
    assert_eq!(network.param("reversible_embedding/reverse_embeddings").unwrap().dims(), [3, 5]);
}

/// keras-hub's formulas of positions, number by number.
#[test]
fn positions_follow_their_formulas() {
    let (time, n) = (5usize, 6usize);
    let x = wave(&[2, time, n], 1);
    let rate = |i: usize| libm::pow(100.0, -((2 * (i / 2)) as f64) / n as f64);
    let close = |got: &Tensor, want: &dyn Fn(usize, usize, usize) -> f64| {
        let got = got.to_vec::<f32>().unwrap();
        for (at, got) in got.iter().enumerate() {
            let (b, p, i) = (at / (time * n), at / n % time, at % n);
            assert!((f64::from(*got) - want(b, p, i)).abs() < 1e-5, "{b} {p} {i}: {got} {}", want(b, p, i));
        }
    };
    let built = |layer: Symbol, inputs: &[Symbol]| Functional::new(inputs, &layer).unwrap().build().unwrap();
    let input = Input::new([time, n]).symbol();
    let start = Input::new([]).dtype(DType::I64).symbol();
    let starts = Tensor::from_slice(&[0i64, 3], [2]).unwrap();
    let both = [input.clone(), start.clone()];

    let sine = SinePositionEncoding::new().max_wavelength(100.0);
    let sine = built(sine.on((&input, [("start_index", &start)])).unwrap(), &both);
    close(&sine.predict(&[x.clone(), starts.clone()]).unwrap(), &|b, p, i| {
        let angle = (p + 3 * b) as f64 * rate(i);
        if i % 2 == 0 { libm::sin(angle) } else { libm::cos(angle) }
    });

    let rotary = RotaryEmbedding::new().max_wavelength(100.0).scaling_factor(2.0);
    let rotary = built(rotary.on((&input, [("start_index", &start)])).unwrap(), &both);
    let values = x.to_vec::<f32>().unwrap();
    close(&rotary.predict(&[x.clone(), starts]).unwrap(), &|b, p, i| {
        let at = |i: usize| f64::from(values[(b * time + p) * n + i]);
        let angle = (p + 3 * b) as f64 / 2.0 * rate(2 * (i % 3));
        let other = if i < 3 { -at(i + 3) } else { at(i - 3) };
        at(i) * libm::cos(angle) + other * libm::sin(angle)
    });

    for length in [5, 3] {
        let layer = PositionEmbedding::new(length).hierarchical_alpha(0.25).on(&input).unwrap();
        let network = built(layer, std::slice::from_ref(&input));
        let table = network.param("position_embedding/embeddings").unwrap().to_vec::<f32>().unwrap();
        close(&network.predict(&x).unwrap(), &|_, p, i| {
            let row = |r: usize| f64::from(table[r * n + i]);
            let e = |r: usize| (row(r) - 0.25 * row(0)) / 0.75;
            if length == 5 { row(p) } else { 0.25 * e(p / length) + 0.75 * e(p % length) }
        });
    }
}

/// All keys of a window, and no others, change what a query gets.
#[test]
fn a_window_sees_its_neighbours_alone() {
    let x = Input::new([8, 4]);
    let layer = MultiHeadAttention::new(2, 2).use_causal_mask(true).sliding_window(3);
    let network = Functional::new(&x, &layer.on([&x, &x]).unwrap()).unwrap().build().unwrap();
    let base = wave(&[1, 8, 4], 1);
    let moved = base.index_put((.., 2), &wave(&[1, 4], 7)).unwrap();
    let (a, b) = (network.predict(&base).unwrap(), network.predict(&moved).unwrap());
    for t in 0..8 {
        assert_eq!(part(&a, t, t + 1).same_bits(&part(&b, t, t + 1)), !(2..5).contains(&t), "{t}");
    }
}
