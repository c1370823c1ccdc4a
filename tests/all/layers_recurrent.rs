//! Tests of recurrent layers for what Keras's numbers (`parity_layers.rs`) cannot show: the op compared with the
//! loop of cells, rows that do not depend on their batch, masks, sequences without rows or time steps, dropout,
//! invalid arguments, and the whole path.

use gradus::graph::{Feed, Graph};
use gradus::io::Load;
use gradus::nn::activation::Relu;
use gradus::nn::layers::{
    AdaptiveAveragePooling2D, Bidirectional, GRU, GRUCell, GroupNormalization, LSTM, LSTMCell, MergeMode,
    PReLU, RNN, RepeatVector, Resizing, SimpleRNN, SimpleRNNCell, StackedRNNCells, TimeDistributed,
    UnitNormalization,
};
use gradus::nn::{Cx, IntoLayer, Module, Network, Shared};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};

fn random(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::randn(shape, Stream::new(seed, Purpose::User(0), 0)).unwrap()
}

/// A network of one layer on `[None, features]`, whose mask is false where all features of a step are 0.
fn network(features: usize, layer: impl IntoLayer) -> Network {
    let input = Input::with_unknown([None, Some(features)]);
    Sequential::new().add(input).add(Masking::new()).add(layer).seed(5).build().unwrap()
}

/// With the weights of another network, by their order.
fn with_weights_of(mut network: Network, other: &Network) -> Network {
    let weights: Vec<(String, Tensor)> =
        network.params().into_iter().zip(other.params()).map(|((path, _), (_, w))| (path, w)).collect();
    network.set_params(&weights).unwrap();
    network
}

/// Values with steps of nothing but zeros: at the beginning, within and at the end of sequences.
fn with_gaps(seed: u64, [batch, time, features]: [usize; 3]) -> Tensor {
    let counts = Tensor::rand([batch, time, 1], Stream::new(seed, Purpose::User(1), 0)).unwrap();
    let counts = counts.greater(&Tensor::scalar(0.4f32).unwrap()).unwrap();
    counts.choose(&random(seed, &[batch, time, features]), &Tensor::scalar(0.0f32).unwrap()).unwrap()
}

/// Output, and the gradients of parameters and input of a loss over it.
fn trained(network: &Network, x: &Tensor) -> Vec<Tensor> {
    let x = x.tracked();
    let y = network.forward(&x, &mut Cx::train(1, 2)).unwrap();
    let weights = random(9, y.dims());
    let gradients = y.mul(&weights).unwrap().sum(&[], false).unwrap().backward().unwrap();
    let mut all = vec![y.detach(), gradients.get(&x).unwrap().clone()];
    network.visit(&mut |_, p| all.push(p.gradient(&gradients).unwrap().clone().dense().unwrap()));
    all
}

#[test]
fn an_op_gives_what_the_loop_of_cells_gives() {
    for (seed, [batch, time, features, units]) in
        [[1, 1, 1, 1], [3, 7, 5, 4], [2, 3, 1, 17], [9, 2, 33, 3]].into_iter().enumerate()
    {
        let pairs: Vec<(Shared, Shared)> = [false, true]
            .into_iter()
            .flat_map(|back| {
                let rnn =
                    |cell: Shared| RNN::new(cell).return_sequences(true).go_backwards(back).into_layer();
                let (simple, lstm, gru) = (SimpleRNN::new(units), LSTM::new(units), GRU::new(units));
                let before = GRU::new(units).reset_after(false);
                [
                    (
                        simple.return_sequences(true).go_backwards(back).into_layer(),
                        rnn(SimpleRNNCell::new(units).into_layer()),
                    ),
                    (
                        lstm.return_sequences(true).go_backwards(back).into_layer(),
                        rnn(LSTMCell::new(units).into_layer()),
                    ),
                    (
                        gru.return_sequences(true).go_backwards(back).into_layer(),
                        rnn(GRUCell::new(units).into_layer()),
                    ),
                    (
                        before.return_sequences(true).go_backwards(back).into_layer(),
                        rnn(GRUCell::new(units).reset_after(false).into_layer()),
                    ),
                ]
            })
            .collect();
        let x = with_gaps(seed as u64, [batch, time, features]);
        for (op, cells) in pairs {
            let op = network(features, op);
            let cells = with_weights_of(network(features, cells), &op);
            let (a, b) = (trained(&op, &x), trained(&cells, &x));
            assert!(a[0].same_bits(&b[0]), "{}", a[0]);
            for (a, b) in a.iter().zip(&b) {
                let off = a.sub(b).unwrap().abs().unwrap().max(&[], false).unwrap().item().unwrap();
                assert!(off < 2e-5, "{off}: {a} {b}");
            }
        }
    }
}

/// One of each, in different ways.
fn some_layers() -> Vec<(&'static str, Shared)> {
    vec![
        ("SimpleRNN", SimpleRNN::new(3).return_sequences(true).into_layer()),
        ("LSTM", LSTM::new(3).into_layer()),
        ("LSTM, a loop", LSTM::new(3).activation(Relu).return_sequences(true).into_layer()),
        ("GRU", GRU::new(3).return_sequences(true).go_backwards(true).into_layer()),
        ("GRU, reset before", GRU::new(3).reset_after(false).into_layer()),
        ("RNN", RNN::new(StackedRNNCells::new([LSTMCell::new(2), LSTMCell::new(3)])).into_layer()),
        ("Bidirectional", Bidirectional::new(LSTM::new(3).return_sequences(true)).into_layer()),
        ("TimeDistributed", TimeDistributed::new(Dense::new(2)).into_layer()),
    ]
}

#[test]
fn a_row_does_not_depend_on_its_batch_and_there_may_be_none() {
    for (name, layer) in some_layers() {
        let network = network(4, layer);
        let x = with_gaps(3, [5, 6, 4]);
        let all = network.predict(&x).unwrap();
        let one = network.predict(&x.slice(0, 3, 4).unwrap()).unwrap();
        assert!(all.slice(0, 3, 4).unwrap().same_bits(&one), "{name}");
        let none = trained(&network, &Tensor::zeros([0, 6, 4]).unwrap());
        assert_eq!(none[0].dims()[0], 0, "{name}");
        for gradient in &none[2..] {
            assert!(gradient.to_vec::<f32>().unwrap().iter().all(|g| *g == 0.0), "{name}: {gradient}");
        }
        let why = network.predict(&Tensor::zeros([2, 0, 4]).unwrap()).unwrap_err().to_string();
        assert!(
            why.contains("of at least one step") && why.contains(name.split(',').next().unwrap()),
            "{why}"
        );
    }
}

#[test]
fn steps_that_do_not_count_change_nothing() {
    let x = Tensor::from_slice(&[0.0f32, 1.0, 0.0, 0.0, -2.0, 0.0], [1, 6, 1]).unwrap();
    let alone = Tensor::from_slice(&[1.0f32, -2.0], [1, 2, 1]).unwrap();
    for back in [false, true] {
        let layer = || LSTM::new(3).go_backwards(back);
        let last = network(1, layer());
        assert!(last.predict(&x).unwrap().same_bits(&last.predict(&alone).unwrap()));
        let steps = with_weights_of(network(1, layer().return_sequences(true)), &last).predict(&x).unwrap();
        let zero = layer().return_sequences(true).zero_output_for_mask(true);
        let zero = with_weights_of(network(1, zero), &last).predict(&x).unwrap();
        let step = |t: &Tensor, i: isize| t.select(1, i).unwrap();
        let nothing = Tensor::zeros([1, 3]).unwrap();
        // In the order of the steps: 0 before the first that counts, then what the last that counts gave.
        let (first, second) = (1, 4);
        for i in 0..6 {
            let counts = i == first || i == second;
            let want = if i < first {
                nothing.clone()
            } else {
                step(&steps, if i < second { first } else { second })
            };
            assert!(step(&steps, i).same_bits(&want), "{back} {i}: {steps}");
            let want = if counts { step(&steps, i) } else { nothing.clone() };
            assert!(step(&zero, i).same_bits(&want), "{back} {i}: {zero}");
        }
        // The next layer sees the mask in the same order.
        let two = Sequential::new()
            .add(Input::with_unknown([None, Some(1)]))
            .add(Masking::new())
            .add(layer().return_sequences(true))
            .add(GRU::new(2))
            .build()
            .unwrap();
        let odd = Tensor::from_slice(&[0.0f32, 0.0, 1.0, -2.0], [1, 4, 1]).unwrap();
        assert!(two.predict(&odd).unwrap().same_bits(&two.predict(&alone).unwrap()));
    }
}

#[test]
fn dropout_draws_once_a_sequence() {
    // With weights of one the output is a sum of what was not dropped: the same at each step.
    let drops = |layer: Shared, features: usize| {
        let mut network = Sequential::new().add(Input::new([4, features])).add(layer).build().unwrap();
        let ones: Vec<(String, Tensor)> = network
            .params()
            .into_iter()
            .map(|(path, w)| {
                let value = if path.ends_with("/kernel") { 1.0 } else { 0.0 };
                (path, w.new_full(*w.shape(), value).unwrap())
            })
            .collect();
        network.set_params(&ones).unwrap();
        network
    };
    let layers = [
        SimpleRNN::new(1).activation(Linear).dropout(0.25).return_sequences(true).into_layer(),
        RNN::new(SimpleRNNCell::new(1).activation(Linear).dropout(0.25)).return_sequences(true).into_layer(),
    ];
    for layer in layers {
        let network = drops(layer, 1);
        let x = Tensor::ones([2000, 4, 1]).unwrap();
        let mut seen = Vec::new();
        for step in 0..2 {
            let y = network.forward(&x, &mut Cx::train(7, step)).unwrap();
            let rows = y.to_vec::<f32>().unwrap();
            assert!(rows.chunks(4).all(|row| row.iter().all(|v| v == &row[0])));
            let kept: Vec<bool> = rows.chunks(4).map(|row| row[0] > 0.0).collect();
            assert!(rows.iter().all(|v| *v == 0.0 || (v - 4.0 / 3.0).abs() < 1e-6));
            let share = kept.iter().filter(|k| **k).count() as f64 / 2000.0;
            assert!((share - 0.75).abs() < 0.04, "{share}"); // four standard deviations
            seen.push(kept);
        }
        assert_ne!(seen[0], seen[1]);
        assert!(network.predict(&x).unwrap().to_vec::<f32>().unwrap().iter().all(|v| *v == 1.0));
    }
    // Of the state: what comes into the first step stays, with the recurrent kernel one.
    let layer = SimpleRNN::new(1).activation(Linear).recurrent_dropout(0.5).return_sequences(true);
    let mut network = drops(layer.into_layer(), 1);
    network
        .set_params(&[("simple_rnn/cell/recurrent_kernel".to_string(), Tensor::ones([1, 1]).unwrap())])
        .unwrap();
    let y = network.forward(&Tensor::ones([500, 4, 1]).unwrap(), &mut Cx::train(7, 0)).unwrap();
    let rows = y.to_vec::<f32>().unwrap();
    // Dropped each time, or doubled each time: 1, 1, 1, 1 or 1, 3, 7, 15.
    assert!(rows.chunks(4).all(|row| row == [1.0; 4] || row == [1.0, 3.0, 7.0, 15.0]));
    let dropped = rows.chunks(4).filter(|row| row[1] == 1.0).count();
    assert!((180..=320).contains(&dropped), "{dropped}");
}

#[test]
fn weights_begin_as_in_keras() {
    let network = network(3, Bidirectional::new(LSTM::new(2)));
    let paths: Vec<String> = network.params().into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        ["forward", "backward"]
            .iter()
            .flat_map(|half| ["kernel", "recurrent_kernel", "bias"]
                .map(|w| format!("bidirectional/{half}_layer/cell/{w}")))
            .collect::<Vec<_>>()
    );
    let param = |path: &str| network.param(&format!("bidirectional/forward_layer/cell/{path}")).unwrap();
    assert_eq!(param("bias").to_vec::<f32>().unwrap(), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    // Rows of the recurrent kernel are orthogonal.
    let r = param("recurrent_kernel");
    let gram = r.matmul(&r.t().unwrap()).unwrap().to_vec::<f32>().unwrap();
    assert!(gram.iter().zip([1.0, 0.0, 0.0, 1.0]).all(|(a, b)| (a - b).abs() < 1e-5), "{gram:?}");
    let stacked = StackedRNNCells::new([GRUCell::new(2).reset_after(false), GRUCell::new(3)]);
    let stacked = self::network(3, RNN::new(stacked));
    assert_eq!(stacked.param("rnn/cell/cells/0/bias").unwrap().dims(), [6]);
    assert_eq!(stacked.param("rnn/cell/cells/1/bias").unwrap().dims(), [2, 9]);
    let distributed = self::network(3, TimeDistributed::new(Dense::new(2).frozen()));
    assert!(distributed.param("time_distributed/layer/kernel").is_some());
    distributed.visit(&mut |path, p| assert!(!p.trainable(), "{path}"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let why = |layer: Shared| {
        let stack = Sequential::new().add(Input::new([4, 3])).add(layer);
        stack.build().unwrap_err().to_string()
    };
    let refusals = [
        why(LSTM::new(0).into_layer()),
        why(GRU::new(2).dropout(1.0).into_layer()),
        why(SimpleRNN::new(2).recurrent_dropout(-0.1).into_layer()),
        why(RNN::new(Dense::new(2)).into_layer()),
        why(RNN::new(StackedRNNCells::new(Vec::<LSTMCell>::new())).into_layer()),
        why(Bidirectional::new(Dense::new(2)).into_layer()),
        why(Bidirectional::new(LSTM::new(2).go_backwards(true)).into_layer()),
        why(Bidirectional::new(LSTM::new(2)).backward_layer(LSTM::new(2)).into_layer()),
        why(Bidirectional::new(LSTM::new(2))
            .backward_layer(LSTM::new(2).go_backwards(true).return_state(true))
            .into_layer()),
    ];
    for line in &refusals {
        println!("{line}");
    }
    assert_eq!(
        refusals,
        [
            "layer \'lstm\' (LSTM, number 1): units: expected at least 1, got 0",
            "layer \'gru\' (GRU, number 1): dropout: expected 0 <= dropout < 1, got 1",
            "layer \'simple_rnn\' (SimpleRNN, number 1): recurrent_dropout: expected 0 <= recurrent_dropout < 1, got -0.1",
            "layer \'rnn\' (RNN, number 1): cell: expected a cell with states (LSTMCell, or a layer of your own that says \
             Build::as_cell), got Dense",
            "layer \'rnn\' (RNN, number 1): cell: expected a cell with states (LSTMCell, or a layer of your own that says \
             Build::as_cell), got StackedRNNCells without any",
            "layer \'bidirectional\' (Bidirectional, number 1): layer: expected a recurrent layer (LSTM, RNN of a cell, or one of \
             your own that says Build::as_recurrent), got Dense",
            "layer \'bidirectional\' (Bidirectional, number 1): go_backwards: expected layers of which one goes backwards and the \
             other does not, got both with go_backwards true",
            "layer \'bidirectional\' (Bidirectional, number 1): go_backwards: expected layers of which one goes backwards and the \
             other does not, got both with go_backwards false",
            "layer \'bidirectional\' (Bidirectional, number 1): return_state: expected the same for layer and backward_layer, got \
             false and true",
        ]
    );
    let input = Input::new([3]);
    let flat = LSTM::new(2).on(&input).unwrap_err().to_string();
    let (x, h) = (Input::new([4, 3]), Input::new([2]));
    let one = LSTM::new(2).on((&x, [("initial_state", &h)])).unwrap_err().to_string();
    let wide = Input::new([5]);
    let other = GRU::new(2).on((&x, [("initial_state", &wide)])).unwrap_err().to_string();
    println!("{flat}\n{one}\n{other}");
    assert!(flat.contains("LSTM: expected sequences [batch, time, features], got shape [None, 3]"), "{flat}");
    assert!(one.contains("initial_state: expected 2 states, or none, got 1"), "{one}");
    assert!(other.contains("initial_state: expected a state of shape"), "{other}");
    assert!("max".parse::<MergeMode>().is_err());
}

#[test]
fn a_model_of_many_is_trained_saved_loaded_and_captured() {
    let stacked = RNN::new(StackedRNNCells::new([LSTMCell::new(4), LSTMCell::new(3)]));
    let mut model = Sequential::new()
        .add(Input::new([5, 3]))
        .add(Masking::new())
        .add(TimeDistributed::new(Dense::new(4).activation(Tanh)))
        .add(Bidirectional::new(GRU::new(3).return_sequences(true)).merge_mode(MergeMode::Sum))
        .add(SimpleRNN::new(4).return_sequences(true).dropout(0.1))
        .add(stacked.return_sequences(true))
        .add(LSTM::new(3).recurrent_activation(Relu))
        .add(Dense::new(1))
        .seed(2)
        .compile(Adam::new(0.01), MeanSquaredError::new(), ())
        .unwrap();
    let (x, y) = (with_gaps(4, [8, 5, 3]), random(5, &[8, 1]));
    let before = model.evaluate(&x, &y).unwrap()["loss"];
    model.fit(&x, &y, Fit::new().epochs(30).verbose(0)).unwrap();
    assert!(model.evaluate(&x, &y).unwrap()["loss"] < before);
    let want = model.predict(&x).unwrap();
    let again = Model::from_bytes(&model.to_bytes().unwrap(), Load::new()).unwrap();
    assert!(again.predict(&x).unwrap().same_bits(&want));
    let graph = Graph::of_network(&model, &[x.spec()]).unwrap();
    let got = graph.read_back().unwrap().run(&Feed::new(&x).parameters(&*model)).unwrap();
    assert!(got[0].same_bits(&want));
    let step = Graph::of_step(&model, &[x.spec()], &[y.spec()], None).unwrap();
    let data = [x.clone(), y.clone()];
    let got = step.run(&Feed::new(&data[..]).next_step_of(&model)).unwrap();
    let mut after = model.clone();
    let loss = after.train_on_batch(&x, &y).unwrap()["loss"];
    let at = step.position(&gradus::graph::Output::Loss).unwrap();
    assert_eq!(got[at].item().unwrap(), loss);
}

/// A layer that does not say that it treats rows alone.
#[derive(Clone, Debug)]
struct Silent {
    inner: Part,
}
gradus::parts!(Silent { inner });
impl gradus::config::Configured for Silent {}
impl Layer for Silent {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> gradus::Result<Tensor> {
        self.inner.forward(x, cx)
    }
}

/// In inference all time steps are rows of one call, if the layer treats rows alone: with the bits of a loop over them.
#[test]
fn one_call_for_all_time_steps_gives_the_bits_of_a_loop() {
    fn bits(shape: &[usize], layer: impl Build + Clone + 'static) {
        let network =
            |layer: Shared| Sequential::new().add(Input::new(&shape[1..])).add(layer).build().unwrap();
        let once = network(TimeDistributed::new(layer.clone()).into_layer());
        let loops = network(TimeDistributed::new(Silent { inner: Part::new(layer) }).into_layer());
        let loops = with_weights_of(loops, &once);
        let x = Tensor::randn(shape, 3).unwrap();
        let (a, b) = (once.predict(&x).unwrap(), loops.predict(&x).unwrap());
        assert!(a.same_bits(&b), "{a}\n{b}");
    }
    bits(&[3, 5, 7], Dense::new(4).activation(Tanh));
    bits(&[2, 1, 600], Dense::new(3));
    bits(&[3, 4, 9, 2], Conv1D::new(3, 2).activation(Relu));
    bits(&[2, 3, 8, 7, 3], Conv2D::new(4, 3));
    bits(&[2, 3, 8, 7, 3], MaxPooling2D::new());
    bits(&[4, 3, 6], BatchNormalization::new());
    bits(&[4, 3, 2, 6], LayerNormalization::new());
    bits(&[4, 3, 2, 6], Flatten::new());
    bits(&[4, 3, 2, 6], GroupNormalization::new().groups(2));
    bits(&[4, 3, 2, 6], UnitNormalization::new());
    bits(&[4, 3, 2, 6], PReLU::new());
    bits(&[4, 3, 2, 6], gradus::nn::layers::Softmax::new());
    bits(&[4, 3, 6], RepeatVector::new(2));
    bits(&[2, 3, 8, 7, 3], Resizing::new(5, 9));
    bits(&[2, 3, 8, 7, 3], AdaptiveAveragePooling2D::new(3));
}
