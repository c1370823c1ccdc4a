//! Tests where Keras and this library differ on purpose, as `docs/keras.md` lists it, and of masks that Keras's own
//! numbers confirm: what no other test shows.

use crate::layer_cases::MaskOf;
use gradus::Result;
use gradus::graph::{Feed, Graph};
use gradus::io::Load;
use gradus::nn::layers::{
    ActivityRegularization, AdditiveAttention, Attention, BatchNormalization, Conv1D, GlobalAveragePooling1D,
    GroupQueryAttention, LayerNormalization, Masking, MaxPooling1D, MultiHeadAttention, PositionEmbedding,
    RMSNormalization, Rescaling, Resizing, ReversibleEmbedding, RotaryEmbedding, SimpleRNN,
    SinePositionEncoding, TimeDistributed, TransformerDecoder, TransformerEncoder,
};
use gradus::nn::{Cx, IntoLayer, Network, Session, Shared, Symbol};
use gradus::ops::{Interpolation, Padding};
use gradus::prelude::*;

fn floats(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, gradus::Shape::new(shape).unwrap()).unwrap()
}

/// Values that repeat nowhere.
fn wave(shape: &[usize]) -> Tensor {
    let n = shape.iter().product::<usize>();
    floats(&(0..n).map(|i| (i as f64 * 0.618_034 + 0.137).fract() * 2.0 - 1.0).collect::<Vec<_>>(), shape)
}

fn close(got: &Tensor, want: &[f64], what: &str) {
    let got = got.to_vec::<f64>().unwrap();
    assert_eq!(got.len(), want.len(), "{what}");
    assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-9), "{what}: {got:?} {want:?}");
}

/// A network with weights that count up from -0.1 in steps of 0.02: those of the numbers from Keras here.
fn counting(inputs: &[Symbol], outputs: &[Symbol]) -> Network {
    let mut network = Functional::new(inputs, outputs).unwrap().dtype(DType::F64).build().unwrap();
    let counted = |w: &Tensor| {
        let all: Vec<f64> = (0..w.elements()).map(|i| i as f64 * 0.02 - 0.1).collect();
        Tensor::from_slice(&all, *w.shape()).unwrap()
    };
    let weights: Vec<(String, Tensor)> =
        network.params().into_iter().map(|(path, w)| (path, counted(&w))).collect();
    network.set_params(&weights).unwrap();
    network
}

fn why<T>(result: Result<T>) -> String {
    result.map_or_else(|e| e.to_string(), |_| "accepted".into())
}

fn one(layer: impl IntoLayer, sizes: &[usize]) -> Result<Network> {
    let sizes: Vec<Option<usize>> = sizes.iter().copied().map(Some).collect();
    let input = match *sizes {
        [a] => Input::with_unknown([a]),
        [a, b] => Input::with_unknown([a, b]),
        [a, b, c] => Input::with_unknown([a, b, c]),
        ref more => panic!("{more:?}"),
    };
    Sequential::new().add(input).add(layer).dtype(DType::F64).seed(3).build()
}

// ---- masks

/// Sentences of words, of which the last sentence is padding: Keras's numbers for `Embedding → TimeDistributed → LSTM`.
#[test]
fn a_step_of_which_nothing_counts_is_left_out_behind_time_distributed() {
    let x = Tensor::from_slice(&[1i64, 2, 0, 0, 3, 4, 5, 0, 0, 0, 0, 0], [1, 3, 4]).unwrap();
    let network = |inner: Shared| {
        let input = Input::new([3, 4]).dtype(DType::I64).symbol();
        let words = Embedding::new(9, 2).mask_zero(true).on(&input).unwrap();
        let sentences = TimeDistributed::new(inner).on(&words).unwrap();
        let mask = MaskOf::new().on(&sentences).unwrap();
        counting(&[input], &[LSTM::new(2).on(&sentences).unwrap(), mask])
    };
    for (inner, want) in [
        (LSTM::new(3).shared(), [-0.000827109666, 0.007349953402]),
        (GlobalAveragePooling1D::new().shared(), [-0.005005493783, 0.002744270082]),
    ] {
        let out = network(inner).predict_all(&x).unwrap();
        close(&out[0], &want, "Keras");
        assert_eq!(out[1].to_vec::<f32>().unwrap(), [1.0, 1.0, 0.0]);
    }
}

/// Rows of a step that do not count are left out of the statistics of `BatchNormalization`, and of no other layer.
#[test]
fn time_distributed_hands_the_mask_of_steps_to_batch_normalization_alone() {
    let steps = |layer: Shared| {
        let input = Input::new([2, 1]);
        let h = Masking::new().mask_value(9.0).on(&input).unwrap();
        TimeDistributed::new(layer).on(&h).map(|y| (input, y))
    };
    let (input, y) = steps(BatchNormalization::new().momentum(0.0).shared()).unwrap();
    let mut network = Functional::new(&input, &y).unwrap().dtype(DType::F64).build().unwrap();
    let mut cx = Cx::train(0, 0);
    // The second step of the second row is padding, so that the last step's mean is that of one row.
    network.forward(&floats(&[1.0, 2.0, 3.0, 9.0], &[2, 2, 1]), &mut cx).unwrap();
    cx.finish().apply(&mut network).unwrap();
    let mean = network.param("time_distributed/layer/moving_mean").unwrap().to_vec::<f64>().unwrap();
    assert!((mean[0] - 2.0).abs() < 1e-6, "{mean:?}");
    // Steps of more axes have their rows left out as a whole.
    let input = Input::new([2, 3, 1]);
    let mask = Input::new([2]).dtype(DType::Bool);
    let layer = TimeDistributed::new(BatchNormalization::new().momentum(0.0));
    let y = layer.on((&input, [("mask", &mask)])).unwrap();
    let mut network = Functional::new([&input, &mask], &y).unwrap().dtype(DType::F64).build().unwrap();
    let mut cx = Cx::train(0, 0);
    let x = Tensor::arange(12).unwrap().cast(DType::F64).unwrap().reshape([2, 2, 3, 1]).unwrap();
    let mask = Tensor::from_slice(&[true, true, true, false], [2, 2]).unwrap();
    network.forward(&[x, mask], &mut cx).unwrap();
    cx.finish().apply(&mut network).unwrap();
    let mean = network.param("time_distributed/layer/moving_mean").unwrap().to_vec::<f64>().unwrap();
    assert!((mean[0] - 4.0).abs() < 1e-6, "{mean:?}");
    // A layer that would refuse the mask never sees it.
    let masked =
        |sizes: [usize; 2]| (Input::new([2, sizes[0], sizes[1]]), Input::new([2]).dtype(DType::Bool));
    let (x, mask) = masked([4, 1]);
    assert!(TimeDistributed::new(Conv1D::new(1, 2)).on((&x, [("mask", &mask)])).is_ok());
}

/// `mask` and `value_mask` are the masks of their inputs, in a graph, from a file, captured and in the summary.
#[test]
fn a_mask_given_by_name_is_that_of_its_input() {
    let (x, m) = (Input::new([3, 2]).named("x"), Input::new([3]).dtype(DType::Bool).named("m"));
    let given = |layer: Shared| {
        let y = layer.on((&x, [("mask", &m)])).unwrap();
        Functional::new([&x, &m], &y).unwrap().dtype(DType::F64).seed(1).build().unwrap()
    };
    let owned = |layer: Shared| {
        let y = layer.on(&Masking::new().on(&x).unwrap()).unwrap();
        Functional::new(&x, &y).unwrap().dtype(DType::F64).seed(1).build().unwrap()
    };
    let data = floats(&[1.0, 2.0, -3.0, 1.0, 0.0, 0.0, 0.5, 0.25, 0.0, 0.0, 0.0, 0.0], &[2, 3, 2]);
    let mask = Tensor::from_slice(&[true, true, false, true, false, false], [2, 3]).unwrap();
    let both = [data.clone(), mask];
    let all: [fn() -> Shared; 5] = [
        || LSTM::new(3).shared(),
        || Bidirectional::new(GRU::new(3)).shared(),
        || SimpleRNN::new(2).go_backwards(true).shared(),
        || GlobalAveragePooling1D::new().shared(),
        || TimeDistributed::new(Dense::new(2)).shared(),
    ];
    for layer in all {
        let (a, b) = (given(layer()), owned(layer()));
        let want = b.predict(&data).unwrap();
        assert!(a.predict(&both).unwrap().same_bits(&want), "{:?}", layer());
        let again = Network::from_bytes(&a.to_bytes().unwrap(), Load::new()).unwrap();
        assert!(again.predict(&both).unwrap().same_bits(&want), "{:?} from a file", layer());
        let graph = Graph::of_network(&a, &both.each_ref().map(Tensor::spec)).unwrap();
        let got = graph.run(&Feed::new(&both).parameters(&a)).unwrap();
        assert!(got[0].same_bits(&want), "{:?} as a graph", layer());
        assert!(a.summary_table().to_string().contains("x[0][0], m[0][0]"), "{}", a.summary_table());
    }
    // It goes on with the output: Keras's numbers of a masked mean behind an LSTM.
    let h = LSTM::new(2).return_sequences(true).on((&x, [("mask", &m)])).unwrap();
    let seen = MaskOf::new().on(&h).unwrap();
    let network = Functional::new([&x, &m], &seen).unwrap().build().unwrap();
    let both = [both[0].cast(DType::F32).unwrap(), both[1].clone()];
    assert_eq!(network.predict(&both).unwrap().to_vec::<f32>().unwrap(), [1.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
    // A layer that refuses masks refuses this one.
    assert!(why(Conv1D::new(1, 2).on((&x, [("mask", &m)]))).contains("an input without a mask"));
    let flat = Input::new([4]).dtype(DType::Bool);
    let wide = Input::new([3, 2, 2, 2]).dtype(DType::Bool);
    assert_eq!(
        why(Dense::new(1).on((&x, [("mask", &wide)]))),
        "layer 'dense' (Dense): mask: expected whether each position counts, of the first axes of [None, 3, 2], got a mask of \
         shape [None, 3, 2, 2, 2]"
    );
    assert!(why(LSTM::new(1).on((&x, [("mask", &flat)]))).contains("mask: expected one of shape"));
}

/// As the tensor's own: `query_mask` of `MultiHeadAttention` too, which Keras ignores where it is given by name.
#[test]
fn attention_takes_masks_by_the_names_of_its_inputs() {
    let (q, v) = (Input::new([3, 4]), Input::new([2, 4]));
    let (qm, vm) = (Input::new([3]).dtype(DType::Bool), Input::new([2]).dtype(DType::Bool));
    let all: [fn() -> Shared; 4] = [
        || MultiHeadAttention::new(2, 3).shared(),
        || GroupQueryAttention::new(3, 2, 1).shared(),
        || Attention::new().shared(),
        || AdditiveAttention::new().shared(),
    ];
    let data = [wave(&[2, 3, 4]), wave(&[2, 2, 4])];
    let masks = [&[true, true, false, true, false, false][..], &[true, false, true, true]];
    let masks = [0, 1].map(|i| Tensor::from_slice(masks[i], [2, 3 - i]).unwrap());
    let whole = [data[0].clone(), data[1].clone(), masks[0].clone(), masks[1].clone()];
    let run = |y: Symbol| {
        let network =
            Functional::new([&q, &v, &qm, &vm], &y).unwrap().dtype(DType::F64).seed(2).build().unwrap();
        network.predict(&whole).unwrap()
    };
    for layer in all {
        let named = layer().on(([&q, &v], [("query_mask", &qm), ("value_mask", &vm)])).unwrap();
        let zeros = {
            let hidden = run(named.clone());
            let rows: Vec<Vec<f64>> = (0..6)
                .map(|i| {
                    hidden
                        .reshape_to([6, hidden.elements() / 6])
                        .unwrap()
                        .select(0, i)
                        .unwrap()
                        .to_vec()
                        .unwrap()
                })
                .collect();
            [2, 4, 5].iter().all(|&i| rows[i].iter().all(|x| *x == 0.0)) && rows[0].iter().any(|x| *x != 0.0)
        };
        assert!(zeros, "{:?}", layer());
        // As a list under one name, in any order with others, is the same.
        let listed = layer().on(([&q, &v], [("mask", &qm), ("mask", &vm)])).unwrap();
        assert!(run(named).same_bits(&run(listed)), "{:?}", layer());
    }
    let heads = || MultiHeadAttention::new(2, 3);
    let by_name = heads().on((&q, [("value_mask", &vm), ("value", &v), ("query_mask", &qm)])).unwrap();
    let by_position = heads().on(([&q, &v], [("query_mask", &qm), ("value_mask", &vm)])).unwrap();
    assert!(run(by_name).same_bits(&run(by_position)));
    for (got, want) in [
        (
            why(heads().on(([&q, &v], [("value", &v)]))),
            "expected each input once, got 'value' by position and by name",
        ),
        (
            why(heads().on(([&q, &v], [("value_mask", &vm), ("value_mask", &vm)]))),
            "expected each input once, got 'value_mask' a second time",
        ),
        (
            why(heads().on(([&q, &v], [("mask", &qm), ("query_mask", &qm)]))),
            "expected each input once, got 'query_mask' a second time",
        ),
        (
            why(heads().on(([&q, &v], [("key_mask", &vm)]))),
            "named value, key, attention_mask, mask, got one named 'key_mask'",
        ),
        (why(heads().on([&q, &v, &v, &v])), "expected at most 3 by position (query, value, key), got 4"),
        (
            why(LSTM::new(2).on(([&q, &v], [("initial_state", &v)]))),
            "got 'initial_state' by position and by name",
        ),
    ] {
        assert!(got.contains(want), "{got}");
    }
}

/// Further inputs by position are the arguments of keras-hub's `call`.
#[test]
fn inputs_by_position_are_the_arguments_of_the_call() {
    let (x, m) = (Input::new([3, 4]), Input::new([3]).dtype(DType::Bool));
    let start = Input::new([]).dtype(DType::I64);
    let same = |inputs: [&Input; 2], a: Symbol, b: Symbol, data: [Tensor; 2]| {
        let run = |y: &Symbol| {
            let network = Functional::new(inputs, y).unwrap().dtype(DType::F64).seed(2).build().unwrap();
            network.predict(&data).unwrap()
        };
        run(&a).same_bits(&run(&b))
    };
    let mask = Tensor::from_slice(&[true, true, false, true, false, false], [2, 3]).unwrap();
    let data = [wave(&[2, 3, 4]), mask];
    let encoder = || TransformerEncoder::new(5, 2);
    let (a, b) = (encoder().on((&x, &m)).unwrap(), encoder().on((&x, [("padding_mask", &m)])).unwrap());
    assert!(same([&x, &m], a, b, data.clone()));
    let (plain, masked) = (encoder().on(&x).unwrap(), encoder().on((&x, &m)).unwrap());
    let network = |y: &Symbol, inputs: &[Symbol]| {
        Functional::new(inputs, y).unwrap().dtype(DType::F64).seed(2).build().unwrap()
    };
    let (x_symbol, m_symbol) = (x.symbol(), m.symbol());
    let (a, b) = (network(&plain, std::slice::from_ref(&x_symbol)), network(&masked, &[x_symbol, m_symbol]));
    assert!(!a.predict(&data[0]).unwrap().same_bits(&b.predict(&data).unwrap()));
    let starts = Tensor::from_slice(&[0i64, 2], [2]).unwrap();
    let all: [fn() -> Shared; 3] = [
        || PositionEmbedding::new(9).shared(),
        || SinePositionEncoding::new().shared(),
        || RotaryEmbedding::new().shared(),
    ];
    for layer in all {
        let (a, b) =
            (layer().on((&x, &start)).unwrap(), layer().on((&x, [("start_index", &start)])).unwrap());
        assert!(same([&x, &start], a, b, [data[0].clone(), starts.clone()]));
        let three = why(layer().on((&x, &start, &start)));
        assert!(three.contains("expected at most 2 by position (inputs, start_index), got 3"), "{three}");
    }
    let twice = why(encoder().on((&x, [("attention_mask", &m), ("attention_mask", &m)])));
    assert!(twice.contains("expected each input once, got 'attention_mask' twice by name"), "{twice}");
    assert!(TransformerDecoder::new(5, 2).on((&x, &x, &m)).is_ok());
}

/// The mask of `[batch, time, steps]` where attention is over `steps`, and over both: beside attention over rows of
/// one axis.
#[test]
fn masks_reach_attention_over_any_axes() {
    let x = wave(&[2, 3, 4, 5]);
    let mask: Vec<bool> = (0..24).map(|i| i % 4 < 1 + i / 4 % 3).collect();
    let run = |axes: &[isize], x: &Tensor, mask: &Tensor, causal: bool| {
        let inputs = [x, mask].map(|t| {
            let dims: Vec<Option<usize>> = t.dims()[1..].iter().copied().map(Some).collect();
            let dtype = if t.dtype() == DType::Bool { DType::Bool } else { DType::F64 };
            match *dims {
                [a] => Input::with_unknown([a]),
                [a, b] => Input::with_unknown([a, b]),
                [a, b, c] => Input::with_unknown([a, b, c]),
                ref more => panic!("{more:?}"),
            }
            .dtype(dtype)
        });
        let layer = MultiHeadAttention::new(2, 3).attention_axes(axes.to_vec()).use_causal_mask(causal);
        let y = layer.on(([&inputs[0], &inputs[0]], [("query_mask", &inputs[1])])).unwrap();
        let network = Functional::new(&inputs, &y).unwrap().dtype(DType::F64).seed(2).build().unwrap();
        network.predict(&[x.clone(), mask.clone()]).unwrap()
    };
    let all = Tensor::from_slice(&mask, [2, 3, 4]).unwrap();
    // Over the last axis each row of `time` is a batch of its own.
    for causal in [false, true] {
        let over_steps = run(&[2], &x, &all, causal);
        let rows = run(&[1], &x.reshape([6, 4, 5]).unwrap(), &all.reshape([6, 4]).unwrap(), causal);
        assert!(over_steps.reshape([6, 4, 5]).unwrap().same_bits(&rows));
    }
    // Over both axes it is attention over all positions.
    let over_both = run(&[1, 2], &x, &all, false);
    let flat = run(&[1], &x.reshape([2, 12, 5]).unwrap(), &all.reshape([2, 12]).unwrap(), false);
    let (a, b) = (over_both.to_vec::<f64>().unwrap(), flat.to_vec::<f64>().unwrap());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
    // The mask of `[batch, time]` is that of all steps of a time.
    let times = Tensor::from_slice(&[true, true, false, true, false, false], [2, 3]).unwrap();
    let wide = times.expand_dims(-1).unwrap().broadcast_to([2, 3, 4]).unwrap();
    assert!(run(&[1], &x, &times, false).same_bits(&run(&[1], &x, &wide, false)));
}

#[test]
fn embeddings_refuse_a_mask_and_make_one_of_what_is_not_zero() {
    let x = Input::new([3, 1]);
    let masked = Masking::new().on(&x).unwrap();
    for layer in [Embedding::new(3, 2).shared(), ReversibleEmbedding::new(3, 2).shared()] {
        assert!(why(layer.on(&masked)).contains("mask: expected an input without a mask"));
    }
    let x = Input::new([3]);
    for layer in [
        Embedding::new(3, 2).mask_zero(true).shared(),
        ReversibleEmbedding::new(3, 2).mask_zero(true).shared(),
    ] {
        let mask = MaskOf::new().on(&layer.on(&x).unwrap()).unwrap();
        let network = Functional::new(&x, &mask).unwrap().dtype(DType::F64).build().unwrap();
        // Keras: 0.5 is row 0, and counts.
        let mask = network.predict(&floats(&[0.0, 0.5, 1.0], &[1, 3])).unwrap();
        assert_eq!(mask.to_vec::<f32>().unwrap(), [0.0, 1.0, 1.0]);
    }
}

#[test]
fn positions_and_rms_normalization_keep_the_mask() {
    let x = Input::new([3, 4]);
    let masked = Masking::new().on(&x).unwrap();
    for layer in [
        PositionEmbedding::new(5).shared(),
        SinePositionEncoding::new().shared(),
        RotaryEmbedding::new().shared(),
        RMSNormalization::new().shared(),
    ] {
        let mask = MaskOf::new().on(&layer.on(&masked).unwrap()).unwrap();
        let network = Functional::new(&x, &mask).unwrap().dtype(DType::F64).build().unwrap();
        let x = floats(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0], &[1, 3, 4]);
        assert_eq!(network.predict(&x).unwrap().to_vec::<f32>().unwrap(), [1.0, 0.0, 1.0], "{layer:?}");
    }
}

/// Keras gives NaN.
#[test]
fn the_mean_of_no_steps_is_zero() {
    let network =
        Sequential::new().add(Input::new([2, 2])).add(Masking::new()).add(GlobalAveragePooling1D::new());
    let network = network.dtype(DType::F64).build().unwrap();
    let x = floats(&[0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 0.0, 0.0], &[2, 2, 2]).tracked();
    let y = network.forward(&x, &mut Cx::infer()).unwrap();
    assert_eq!(y.to_vec::<f64>().unwrap(), [0.0, 0.0, 1.0, 3.0]);
    let gradients = y.sum(&[], false).unwrap().backward().unwrap();
    assert_eq!(gradients.get(&x).unwrap().to_vec::<f64>().unwrap(), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
}

// ---- positions

/// One pass over more steps than the table has, and the same steps one by one, give the same bits.
#[test]
fn positions_beyond_the_table_do_not_depend_on_how_many_are_asked_for() {
    let network = one(PositionEmbedding::new(3).cache(true), &[8, 4]).unwrap();
    let whole = network.predict(&wave(&[2, 8, 4])).unwrap();
    let layer = PositionEmbedding::new(3).cache(true);
    let input = Input::with_unknown([None, Some(4)]);
    let open = Sequential::new().add(input).add(layer).dtype(DType::F64).seed(3).build().unwrap();
    let mut session = Session::new();
    for (from, to) in [(0, 1), (1, 3), (3, 4), (4, 8)] {
        let step = open.predict_in(&mut session, &whole.slice(1, from, to).unwrap()).unwrap();
        assert!(step.same_bits(&whole.slice(1, from, to).unwrap()), "{from}");
    }
    // As do positions that are told.
    let (x, start) = (Input::new([2, 4]), Input::new([]).dtype(DType::I64));
    let y = PositionEmbedding::new(3).on((&x, &start)).unwrap();
    let told = Functional::new([&x, &start], &y).unwrap().dtype(DType::F64).seed(3).build().unwrap();
    let starts = Tensor::from_slice(&[1i64, 5], [2]).unwrap();
    let got = told.predict(&[wave(&[2, 2, 4]), starts]).unwrap();
    for (row, from) in [(0, 1), (1, 5)] {
        let want = whole.select(0, 0).unwrap().slice(0, from, from + 2).unwrap();
        assert!(got.select(0, row).unwrap().same_bits(&want), "{from}");
    }
}

// ---- penalties

/// Keras adds the penalty of every output of a layer, and forgets that of `SimpleRNN` and of a layer inside of
/// `TimeDistributed`.
#[test]
fn penalties_are_on_every_output_and_are_not_forgotten() {
    let penalty = |network: &Network, x: &Tensor| {
        let mut cx = Cx::train(0, 0);
        let outputs = network.forward_all(x, &mut cx).unwrap();
        let squares: f64 =
            outputs.iter().map(|y| y.square().unwrap().sum(&[], false).unwrap().item().unwrap()).sum();
        let added: f64 = cx.finish().losses.iter().map(|t| t.item().unwrap()).sum();
        (added, 0.5 * squares / x.dims()[0] as f64)
    };
    let x = Input::new([3, 4]);
    let encoder =
        TransformerEncoder::new(5, 2).return_attention_scores(true).activity_regularizer(L2::new(0.5));
    let outputs = encoder.on_all(&x).unwrap();
    let network = Functional::new(&x, &outputs).unwrap().dtype(DType::F64).build().unwrap();
    let data = wave(&[2, 3, 4]);
    let rnn = one(SimpleRNN::new(3).activity_regularizer(L2::new(0.5)), &[3, 4]).unwrap();
    let behind = one(ActivityRegularization::new().l2(0.5), &[3, 4]).unwrap();
    for network in [network, rnn, behind] {
        let (added, want) = penalty(&network, &data);
        assert!(added > 0.0 && (added - want).abs() < 1e-12, "{added} {want}");
    }
    // Of each step, divided by the batch.
    let each = one(TimeDistributed::new(Dense::new(2).activity_regularizer(L2::new(0.5))), &[3, 4]).unwrap();
    let (added, want) = penalty(&each, &data);
    assert!(added > 0.0 && (added - want).abs() < 1e-12, "{added} {want}");
}

// ---- windows and images

/// Pairs for each axis, as other frameworks have them, are zeros put there before.
#[test]
fn padding_can_be_given_by_pairs() {
    let padded = one(Conv1D::new(2, 3).padding(Padding::explicit([(2, 1)])), &[5, 3]).unwrap();
    let valid = one(Conv1D::new(2, 3), &[8, 3]).unwrap();
    let x = wave(&[2, 5, 3]);
    let zeros = |n: usize| Tensor::zeros([2, n, 3]).unwrap().cast(DType::F64).unwrap();
    let wide = Tensor::concat(&[&zeros(2), &x, &zeros(1)], 1).unwrap();
    let (got, want) = (padded.predict(&x).unwrap(), valid.predict(&wide).unwrap());
    close(&got, &want.to_vec::<f64>().unwrap(), "padding by pairs");
}

/// Keras on JAX gives it to a later one.
#[test]
fn the_first_nan_of_a_window_has_the_gradient() {
    let network = one(MaxPooling1D::new().pool_size(3), &[3, 1]).unwrap();
    let x = floats(&[1.0, f64::NAN, f64::NAN], &[1, 3, 1]).tracked();
    let y = network.forward(&x, &mut Cx::infer()).unwrap();
    assert!(y.to_vec::<f64>().unwrap()[0].is_nan());
    let gradients = y.sum(&[], false).unwrap().backward().unwrap();
    assert_eq!(gradients.get(&x).unwrap().to_vec::<f64>().unwrap(), [0.0, 1.0, 0.0]);
}

/// Of `n` pixels in `m` places, place `i` has the pixel over which its middle stands: `⌊(i + ½) · n / m⌋`, in whole
/// numbers.
#[test]
fn nearest_resizing_picks_the_nearest() {
    for (n, m) in [(7usize, 5usize), (5, 7), (10, 3), (3, 41), (41, 3), (49, 98)] {
        let network = one(Resizing::new(m, 1).interpolation(Interpolation::Nearest), &[n, 1, 1]).unwrap();
        let x: Vec<f64> = (0..n).map(|i| i as f64).collect();
        let want: Vec<f64> = (0..m).map(|i| ((2 * i + 1) * n / (2 * m)) as f64).collect();
        close(&network.predict(&floats(&x, &[1, n, 1, 1])).unwrap(), &want, &format!("{n} to {m}"));
    }
}

#[test]
fn rescaling_by_a_list_is_along_the_last_axis() {
    let network = one(Rescaling::new([1.0, 10.0]).offset([0.5, 0.25]), &[2, 2]).unwrap();
    let y = network.predict(&floats(&[1.0, 2.0, 3.0, 4.0], &[1, 2, 2])).unwrap();
    close(&y, &[1.5, 20.25, 3.5, 40.25], "rescaled");
}

// ---- normalization

/// `gamma` has the sizes of the axes in their order, however they are listed. Keras sorts them as they are written,
/// so that `[1, -1]` is `[features, time]` there.
#[test]
fn axes_of_a_normalization_are_in_the_order_of_the_input() {
    for axes in [[1, -1], [-1, 1], [2, 1]] {
        let network = one(LayerNormalization::new().axis(axes), &[3, 2]).unwrap();
        assert_eq!(network.param("layer_normalization/gamma").unwrap().dims(), [3, 2]);
    }
}

#[test]
fn rms_normalization_off_the_last_axis_scales_along_its_own() {
    let mut network = one(RMSNormalization::new().axis(1).epsilon(0.0), &[2, 3]).unwrap();
    let scale = floats(&[2.0, 0.5], &[2]);
    network.set_params(&[("rms_normalization/scale".to_string(), scale)]).unwrap();
    let x = wave(&[2, 2, 3]);
    let v = x.to_vec::<f64>().unwrap();
    let want: Vec<f64> = (0..12)
        .map(|i| {
            let (b, t, f) = (i / 6, i / 3 % 2, i % 3);
            let at = |t: usize| v[b * 6 + t * 3 + f];
            v[i] / libm::sqrt((at(0) * at(0) + at(1) * at(1)) / 2.0) * [2.0, 0.5][t]
        })
        .collect();
    close(&network.predict(&x).unwrap(), &want, "rms");
}

#[test]
fn statistics_of_large_numbers_are_exact() {
    // In single precision the squares of these would leave nothing of a variance of 1.
    let x: Vec<f32> = (0..64).map(|i| 16384.0 + if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let layer = gradus::nn::layers::Normalization::new();
    let layer = layer.adapt(&Tensor::from_slice(&x, [64, 1]).unwrap()).unwrap();
    let network = Sequential::new().add(Input::new([1])).add(layer).build().unwrap();
    let y = network.predict(&Tensor::from_slice(&[16385.0f32, 16383.0], [2, 1]).unwrap()).unwrap();
    assert_eq!(y.to_vec::<f32>().unwrap(), [1.0, -1.0]);
}

// ---- what is refused, or a setting

#[test]
fn embedding_refuses_numbers_out_of_range() {
    let network =
        Sequential::new().add(Input::new([2]).dtype(DType::I64)).add(Embedding::new(3, 2)).build().unwrap();
    for bad in [3i64, -1] {
        let got = why(network.predict(&Tensor::from_slice(&[0, bad], [1, 2]).unwrap()));
        assert!(got.contains("embedding") && got.contains(&bad.to_string()), "{got}");
    }
}

#[test]
fn the_batch_is_not_concatenated() {
    let x = Input::new([3]);
    let got = why(gradus::nn::layers::Concatenate::new().axis(0).on([&x, &x]));
    assert!(got.contains("batch"), "{got}");
}

#[test]
fn settings_of_a_call_stand_in_files() {
    let x = Input::new([4, 2]);
    let layer = MultiHeadAttention::new(1, 2).use_causal_mask(true).return_attention_scores(true);
    let outputs = layer.on_all([&x, &x]).unwrap();
    let network = Functional::new(&x, &outputs).unwrap().build().unwrap();
    let again = Network::from_bytes(&network.to_bytes().unwrap(), Load::new()).unwrap();
    let scores = &again.predict_all(&wave(&[1, 4, 2]).cast(DType::F32).unwrap()).unwrap()[1];
    let scores = scores.to_vec::<f32>().unwrap();
    assert!((0..16).all(|i| (scores[i] > 0.0) == (i % 4 <= i / 4)), "{scores:?}");
    // And a dense layer over any axes does not know what a mask is of.
    let masked = Masking::new().on(&x).unwrap();
    let dense = gradus::nn::layers::EinsumDense::new("abc,cd->abd", [None, Some(3)]);
    assert!(why(dense.on(&masked)).contains("mask: expected an input without a mask"));
}

#[test]
fn states_live_in_a_session() {
    let network = one(LSTM::new(2).stateful(true), &[3, 4]).unwrap();
    let x = wave(&[2, 3, 4]);
    let first = network.predict(&x).unwrap();
    assert!(network.predict(&x).unwrap().same_bits(&first));
    let mut session = Session::new();
    assert!(network.predict_in(&mut session, &x).unwrap().same_bits(&first));
    let second = network.predict_in(&mut session, &x).unwrap();
    assert!(!second.same_bits(&first));
    let got = why(network.predict_in(&mut session, &x.slice(0, 0, 1).unwrap()));
    assert_eq!(
        got,
        "layer 'lstm' (LSTM, number 1): stateful: expected as many rows as in the last call, 2 (or a new Session), got 1"
    );
    assert!(network.predict_in(&mut Session::new(), &x).unwrap().same_bits(&first));
}

// ---- the page

/// Each difference on the page ends with the test that shows it, and the test exists.
#[test]
fn every_difference_on_the_page_has_its_test() {
    let root = env!("CARGO_MANIFEST_DIR");
    let page = std::fs::read_to_string(format!("{root}/docs/keras.md")).unwrap();
    let (_, differences) = page.split_once("## Differences on purpose").unwrap();
    let bullets: Vec<&str> =
        differences.split("\n- ").skip(1).map(|text| text.split("\n\n").next().unwrap()).collect();
    assert!(bullets.len() > 40);
    for bullet in bullets {
        let named = bullet.rsplit_once('(').map_or("", |(_, end)| end);
        let tests: Vec<&str> = named.split('`').filter(|part| part.contains("::")).collect();
        assert!(!tests.is_empty() && bullet.trim_end().ends_with(')'), "no test: {bullet}");
        for test in tests {
            let (module, name) = test.split_once("::").unwrap();
            let read = |folder: &str| std::fs::read_to_string(format!("{root}/{folder}/{module}.rs"));
            let source = read("tests/all").or_else(|_| read("tests")).unwrap_or_default();
            assert!(source.contains(&format!("#[test]\nfn {name}()")), "{test} does not exist: {bullet}");
        }
    }
}
