//! Tests random networks of all layers, with random settings, on random shapes. Each trains a step, comes back from
//! a file and runs as a graph with the same bits, or gives an error; nothing panics. A layer without a row here
//! fails.

use gradus::config::Dyn;
use gradus::graph::{Feed, Graph};
use gradus::io::Load;
use gradus::nn::activation;
use gradus::nn::layers::*;
use gradus::nn::{Build as _, Cx, DataFormat, Functional, IntoLayer, Network, Sequential, Shared, Symbol};
use gradus::ops::Padding;
use gradus::optim::SGD;
use gradus::prelude::{MeanSquaredError, Model};
use gradus::random::{Purpose, Stream};
use gradus::{DType, Tensor};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Numbers out of a seed.
pub(crate) struct Dice {
    stream: Stream,
    at: u64,
}

impl Dice {
    fn of(seed: u64) -> Dice {
        Dice { stream: Stream::new(seed, Purpose::User(77), 0), at: 0 }
    }
    /// From 0 to `n - 1`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.at += 1;
        (self.stream.bits(self.at) % n as u64) as usize
    }
    pub(crate) fn yes(&mut self) -> bool {
        self.below(2) == 0
    }
    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
    pub(crate) fn padding(&mut self) -> Padding {
        self.pick(&[Padding::Valid, Padding::Same, Padding::Causal])
    }
    /// A setting within reason, and now and then without.
    pub(crate) fn number(&mut self) -> f64 {
        self.pick(&[0.0, 0.1, 0.3, 0.5, 0.9, 1.0, 2.5, -0.4])
    }
    /// A size, seldom 0.
    pub(crate) fn size(&mut self) -> usize {
        self.pick(&[1, 1, 2, 2, 3, 3, 4, 5, 0])
    }
    pub(crate) fn axis(&mut self) -> isize {
        self.pick(&[-1, -1, -2, 1, 1, 2, 3, 0])
    }
    pub(crate) fn axes(&mut self) -> Vec<isize> {
        (0..1 + self.below(2)).map(|_| self.axis()).collect()
    }
    pub(crate) fn activation(&mut self) -> Dyn<dyn activation::Activation> {
        use gradus::config::{Registry, Setting};
        let name = self.pick(activation::NAMES);
        Dyn::read(name.into(), &Registry::new()).unwrap_or_else(|_| activation::Tanh.into())
    }
}

/// A layer's name, how many inputs it is given at most, and how it is made.
pub(crate) type Row = (&'static str, usize, fn(&mut Dice) -> Shared);

/// The families. A new one adds its table here.
const FAMILIES: &[&[Row]] = &[CORE, OTHERS];

fn handle(layer: impl IntoLayer) -> Shared {
    layer.into_layer()
}

const OTHERS: &[Row] = &[
    ("SpatialDropout1D", 1, |d| handle(SpatialDropout1D::new(d.number()))),
    ("SpatialDropout2D", 1, |d| handle(SpatialDropout2D::new(d.number()))),
    ("SpatialDropout3D", 1, |d| handle(SpatialDropout3D::new(d.number()))),
    ("GaussianNoise", 1, |d| handle(GaussianNoise::new(d.number()))),
    ("GaussianDropout", 1, |d| handle(GaussianDropout::new(d.number()))),
    ("AlphaDropout", 1, |d| handle(AlphaDropout::new(d.number()))),
    ("ActivityRegularization", 1, |d| handle(ActivityRegularization::new().l1(d.number()).l2(d.number()))),
    ("BatchNormalization", 1, |d| {
        handle(BatchNormalization::new().axis(d.axis()).scale(d.yes()).center(d.yes()))
    }),
    ("LayerNormalization", 1, |d| handle(LayerNormalization::new().axis(d.axes()))),
    ("GroupNormalization", 1, |d| {
        handle(GroupNormalization::new().groups(d.pick(&[1, 2, 3])).axis(d.axis()))
    }),
    ("RMSNormalization", 1, |d| handle(RMSNormalization::new().axis(d.axes()))),
    ("UnitNormalization", 1, |d| handle(UnitNormalization::new().axis(d.axes()))),
    ("SpectralNormalization", 1, |d| handle(SpectralNormalization::new(Dense::new(d.size())))),
    ("SimpleRNN", 1, |d| handle(SimpleRNN::new(d.size()).return_sequences(d.yes()).go_backwards(d.yes()))),
    ("LSTM", 1, |d| handle(LSTM::new(d.size()).return_sequences(d.yes()).activation(d.activation()))),
    ("GRU", 1, |d| handle(GRU::new(d.size()).return_sequences(d.yes()).reset_after(d.yes()))),
    ("SimpleRNNCell", 1, |d| handle(RNN::new(SimpleRNNCell::new(d.size())))),
    ("LSTMCell", 1, |d| handle(RNN::new(LSTMCell::new(d.size())))),
    ("GRUCell", 1, |d| handle(RNN::new(GRUCell::new(d.size())))),
    ("RNN", 1, |d| handle(RNN::new(GRUCell::new(d.size())).return_sequences(d.yes()))),
    ("StackedRNNCells", 1, |d| {
        handle(RNN::new(StackedRNNCells::new([LSTMCell::new(d.size()), LSTMCell::new(d.size())])))
    }),
    ("Bidirectional", 1, |d| handle(Bidirectional::new(GRU::new(d.size()).return_sequences(d.yes())))),
    ("TimeDistributed", 1, |d| handle(TimeDistributed::new(Dense::new(d.size())))),
    ("MaxPooling1D", 1, |d| handle(MaxPooling1D::new().pool_size(d.size()))),
    ("MaxPooling2D", 1, |d| handle(MaxPooling2D::new().pool_size(d.size()).padding(d.padding()))),
    ("MaxPooling3D", 1, |d| handle(MaxPooling3D::new().pool_size(d.size()))),
    ("AveragePooling1D", 1, |d| handle(AveragePooling1D::new(d.size()))),
    ("AveragePooling2D", 1, |d| handle(AveragePooling2D::new(d.size()).padding(d.padding()))),
    ("AveragePooling3D", 1, |d| handle(AveragePooling3D::new(d.size()))),
    ("GlobalAveragePooling1D", 1, |d| handle(GlobalAveragePooling1D::new().keepdims(d.yes()))),
    ("GlobalAveragePooling2D", 1, |d| handle(GlobalAveragePooling2D::new().keepdims(d.yes()))),
    ("GlobalAveragePooling3D", 1, |d| handle(GlobalAveragePooling3D::new().keepdims(d.yes()))),
    ("GlobalMaxPooling1D", 1, |d| handle(GlobalMaxPooling1D::new().keepdims(d.yes()))),
    ("GlobalMaxPooling2D", 1, |d| handle(GlobalMaxPooling2D::new().keepdims(d.yes()))),
    ("GlobalMaxPooling3D", 1, |d| handle(GlobalMaxPooling3D::new().keepdims(d.yes()))),
    ("AdaptiveAveragePooling1D", 1, |d| handle(AdaptiveAveragePooling1D::new(d.size()))),
    ("AdaptiveAveragePooling2D", 1, |d| handle(AdaptiveAveragePooling2D::new(d.size()))),
    ("AdaptiveAveragePooling3D", 1, |d| handle(AdaptiveAveragePooling3D::new(d.size()))),
    ("AdaptiveMaxPooling1D", 1, |d| handle(AdaptiveMaxPooling1D::new(d.size()))),
    ("AdaptiveMaxPooling2D", 1, |d| handle(AdaptiveMaxPooling2D::new(d.size()))),
    ("AdaptiveMaxPooling3D", 1, |d| handle(AdaptiveMaxPooling3D::new(d.size()))),
    ("ZeroPadding1D", 1, |d| handle(ZeroPadding1D::new().padding(d.size()))),
    ("ZeroPadding2D", 1, |d| handle(ZeroPadding2D::new().padding(d.size()))),
    ("ZeroPadding3D", 1, |d| handle(ZeroPadding3D::new().padding(d.size()))),
    ("Cropping1D", 1, |d| handle(Cropping1D::new().cropping(d.size()))),
    ("Cropping2D", 1, |d| handle(Cropping2D::new().cropping(d.size()))),
    ("Cropping3D", 1, |d| handle(Cropping3D::new().cropping(d.size()))),
    ("UpSampling1D", 1, |d| handle(UpSampling1D::new().size(d.size()))),
    ("UpSampling2D", 1, |d| handle(UpSampling2D::new().size(d.size()))),
    ("UpSampling3D", 1, |d| handle(UpSampling3D::new().size(d.size()))),
    ("Resizing", 1, |d| handle(Resizing::new(d.size(), d.size()))),
    ("CenterCrop", 1, |d| handle(CenterCrop::new(d.size(), d.size()))),
    ("Rescaling", 1, |d| handle(Rescaling::new(d.number()))),
    ("Normalization", 1, |d| handle(Normalization::new().axis(d.axis()).mean(0.5).variance(2.0))),
    ("Attention", 3, |d| handle(Attention::new().use_scale(d.yes()))),
    ("AdditiveAttention", 3, |d| handle(AdditiveAttention::new().use_scale(d.yes()))),
    ("MultiHeadAttention", 3, |d| {
        handle(MultiHeadAttention::new(d.size(), d.size()).use_causal_mask(d.yes()))
    }),
    ("GroupQueryAttention", 3, |d| handle(GroupQueryAttention::new(d.size(), 2 * d.size(), d.size()))),
    ("EinsumDense", 1, |d| handle(EinsumDense::new("ab,bc->ac", d.size()).bias_axes("c"))),
    ("ReversibleEmbedding", 1, |d| handle(ReversibleEmbedding::new(4, d.size()))),
    ("SinePositionEncoding", 1, |_| handle(SinePositionEncoding::new())),
    ("PositionEmbedding", 1, |d| handle(PositionEmbedding::new(d.size()))),
    ("RotaryEmbedding", 1, |_| handle(RotaryEmbedding::new())),
    ("TransformerEncoder", 1, |d| handle(TransformerEncoder::new(d.size(), d.size()))),
    ("TransformerDecoder", 2, |d| handle(TransformerDecoder::new(d.size(), d.size()))),
    ("Conv1D", 1, |d| {
        handle(Conv1D::new(d.size(), d.size()).activation(d.activation()).padding(d.padding()))
    }),
    ("Conv2D", 1, |d| handle(Conv2D::new(d.size(), d.size()).strides(d.size()).padding(d.padding()))),
    ("Conv3D", 1, |d| handle(Conv3D::new(d.size(), d.size()).use_bias(d.yes()))),
    ("Conv1DTranspose", 1, |d| handle(Conv1DTranspose::new(d.size(), d.size()).strides(d.size()))),
    ("Conv2DTranspose", 1, |d| handle(Conv2DTranspose::new(d.size(), d.size()).padding(d.padding()))),
    ("Conv3DTranspose", 1, |d| handle(Conv3DTranspose::new(d.size(), d.size()))),
    ("DepthwiseConv1D", 1, |d| handle(DepthwiseConv1D::new(d.size()).depth_multiplier(d.size()))),
    ("DepthwiseConv2D", 1, |d| handle(DepthwiseConv2D::new(d.size()).strides(d.size()))),
    ("SeparableConv1D", 1, |d| handle(SeparableConv1D::new(d.size(), d.size()))),
    ("SeparableConv2D", 1, |d| handle(SeparableConv2D::new(d.size(), d.size()).activation(d.activation()))),
    ("ConvLSTM1D", 1, |d| handle(ConvLSTM1D::new(d.size(), d.size()).return_sequences(d.yes()))),
    ("ConvLSTM2D", 1, |d| handle(ConvLSTM2D::new(d.size(), d.size()).padding(d.padding()))),
    ("ConvLSTM3D", 1, |d| handle(ConvLSTM3D::new(d.size(), d.size()))),
];

const CORE: &[Row] = &[
    ("Dense", 1, |d| handle(Dense::new(d.size()).activation(d.activation()).use_bias(d.yes()))),
    ("Embedding", 1, |d| handle(Embedding::new(4, d.size()).mask_zero(d.yes()))),
    ("Activation", 1, |d| handle(Activation::new(d.activation()))),
    ("ReLU", 1, |d| {
        handle(ReLU::new().max_value(d.number()).negative_slope(d.number()).threshold(d.number()))
    }),
    ("LeakyReLU", 1, |d| handle(LeakyReLU::new().negative_slope(d.number()))),
    ("PReLU", 1, |d| handle(if d.yes() { PReLU::new() } else { PReLU::new().shared_axes(d.axes()) })),
    ("ELU", 1, |d| handle(ELU::new().alpha(d.number()))),
    ("Softmax", 2, |d| handle(Softmax::new().axis(d.axes()))),
    ("Identity", 1, |_| handle(Identity::new())),
    ("Dropout", 1, |d| handle(Dropout::new(d.number()))),
    ("Flatten", 1, |d| {
        let formats = [DataFormat::ChannelsLast, DataFormat::ChannelsFirst];
        handle(Flatten::new().data_format(d.pick(&formats)))
    }),
    ("Reshape", 1, |d| {
        handle(Reshape::new(d.pick(&[vec![-1], vec![2, -1], vec![-1, 1, 2], vec![3, 2], vec![]])))
    }),
    ("Permute", 1, |d| {
        handle(Permute::new(d.pick(&[vec![1], vec![2, 1], vec![3, 1, 2], vec![1, 3, 2], vec![2]])))
    }),
    ("RepeatVector", 1, |d| handle(RepeatVector::new(d.size()))),
    ("Masking", 1, |d| handle(Masking::new().mask_value(d.number()))),
    ("Add", 3, |_| handle(Add::new())),
    ("Subtract", 2, |_| handle(Subtract::new())),
    ("Multiply", 3, |_| handle(Multiply::new())),
    ("Average", 3, |_| handle(Average::new())),
    ("Maximum", 3, |_| handle(Maximum::new())),
    ("Minimum", 3, |_| handle(Minimum::new())),
    ("Concatenate", 3, |d| handle(Concatenate::new().axis(d.axis()))),
    ("Dot", 2, |d| handle(Dot::new(d.axes()).normalize(d.yes()))),
    ("Checkpoint", 1, |d| {
        let stack =
            Sequential::new().add(Dense::new(d.size()).activation(d.activation())).add(Dropout::new(0.2));
        handle(Checkpoint::new(stack))
    }),
    ("Input", 1, |_| handle(Identity::new())),
    ("Sequential", 1, |d| handle(Sequential::new().add(Dense::new(d.size())).add(Flatten::new()))),
    ("Functional", 1, |d| {
        let x = Input::with_unknown([None, Some(3)]);
        let y =
            Dense::new(3).activation(d.activation()).on(&x).and_then(|h| Add::new().on([&h, &x.symbol()]));
        match y.and_then(|y| Functional::new(&x, &y)) {
            Ok(inner) => handle(inner),
            Err(_) => handle(Identity::new()),
        }
    }),
    ("Lambda", 2, |_| handle(Lambda::of_list(|x| x[0].sin()).mask(|x| Ok(x[0].mask.clone())))),
];

#[test]
fn every_layer_has_a_row() {
    let rows: Vec<&str> = FAMILIES.iter().copied().flatten().map(|(name, _, _)| *name).collect();
    for name in NAMES {
        let count = rows.iter().filter(|row| *row == name).count();
        assert_eq!(
            count, 1,
            "rows of layer {name}: a row (its name, most inputs, how it is made) in a table of FAMILIES"
        );
    }
    assert_eq!(rows.len(), NAMES.len(), "a row is of no layer");
}

/// An input, and data of a batch for it.
fn input(dice: &mut Dice, batch: usize) -> (Input, Tensor) {
    let sizes: Vec<usize> = (0..dice.below(4)).map(|_| 1 + dice.below(4)).collect();
    let unknown = dice.below(4) == 0;
    let known = |i: usize| if unknown && i == 0 { None } else { Some(sizes[i]) };
    let input = match sizes.len() {
        0 => Input::new([]),
        1 => Input::with_unknown([known(0)]),
        2 => Input::with_unknown([known(0), known(1)]),
        _ => Input::with_unknown([known(0), known(1), known(2)]),
    };
    let dims: Vec<usize> = std::iter::once(batch).chain(sizes).collect();
    let seed = dice.below(1 << 30) as u64;
    let x = Tensor::randn(&dims, Stream::new(seed, Purpose::User(1), 0)).unwrap();
    match dice.below(3) {
        0 => {
            let whole = x.abs().unwrap().clip(0.0, 3.0).unwrap().cast(DType::I64).unwrap();
            (input.dtype(DType::I64), whole)
        }
        _ => (input, x),
    }
}

/// What became of the networks.
#[derive(Debug, Default)]
struct Tally {
    built: usize,
    predicted: usize,
    trained: usize,
}

thread_local! {
    /// The layers of the network at work, for the message.
    static TRAIL: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn bits(a: &[Tensor], b: &[Tensor]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_bits(b))
}

fn one_network(seed: u64, tally: &mut Tally) {
    let dice = &mut Dice::of(seed);
    let batch = dice.pick(&[1, 2, 5]);
    let count = 1 + dice.below(3);
    let (inputs, data): (Vec<Input>, Vec<Tensor>) = (0..count).map(|_| input(dice, batch)).unzip();
    let inputs: Vec<Symbol> = inputs.iter().map(Input::symbol).collect();
    let mut symbols = inputs.clone();
    // Which inputs each comes from, as bits.
    let mut from: Vec<u32> = (0..inputs.len()).map(|i| 1 << i).collect();
    let rows: Vec<&Row> = FAMILIES.iter().copied().flatten().collect();
    let mut code = false;
    for _ in 0..12 {
        if symbols.len() >= inputs.len() + 4 {
            break;
        }
        let (name, most, make) = *rows[dice.below(rows.len())];
        let given = 1 + dice.below(most);
        let last = symbols.len() - 1;
        // The newest most of the time, and alike ones, so that networks get deep.
        let first = if dice.below(3) == 0 { dice.below(symbols.len()) } else { last };
        let others = (1..given).map(|_| if dice.yes() { first } else { dice.below(symbols.len()) });
        let at: Vec<usize> = std::iter::once(first).chain(others).collect();
        let chosen: Vec<Symbol> = at.iter().map(|&i| symbols[i].clone()).collect();
        let layer = make(dice);
        TRAIL.with_borrow_mut(|trail| trail.push(format!("{name} of {at:?}: {layer:?}")));
        match layer.on(&chosen) {
            Ok(symbol) => {
                code |= name == "Lambda";
                symbols.push(symbol);
                from.push(at.iter().fold(0, |bits, &i| bits | from[i]));
            }
            Err(_) => TRAIL.with_borrow_mut(|trail| drop(trail.pop())),
        }
    }
    let Some(last) = symbols[inputs.len()..].last() else { return };
    let used = *from.last().unwrap_or(&0);
    let of_use = |i: &usize| used & (1 << i) != 0;
    let places: Vec<usize> = (0..inputs.len()).filter(of_use).collect();
    let inputs: Vec<Symbol> = places.iter().map(|&i| inputs[i].clone()).collect();
    let data: &[Tensor] = &places.iter().map(|&i| data[i].clone()).collect::<Vec<_>>();
    let Ok(network) = Functional::new(&inputs, last).and_then(|network| network.seed(seed).build()) else {
        return;
    };
    tally.built += 1;
    let Ok(before) = network.predict_all(data) else { return };
    tally.predicted += 1;

    match network.to_bytes() {
        Ok(file) => {
            let again = Network::from_bytes(&file, Load::new()).expect("what was written is read");
            assert!(bits(&again.predict_all(data).unwrap(), &before), "from a file");
        }
        Err(e) => assert!(code && e.to_string().contains("Lambda"), "{e}"),
    }
    let specs: Vec<_> = data.iter().map(Tensor::spec).collect();
    let whole = network.forward_all(data, &mut Cx::infer()).unwrap();
    let graph = Graph::of_network(&network, &specs).expect("every layer can be captured");
    // Terms that layers add to the loss come after the outputs.
    let ran = graph.run(&Feed::new(data).parameters(&network)).unwrap();
    assert!(bits(&ran[..whole.len()], &whole), "as a graph");

    let Some(y) = before.first().filter(|y| y.dtype().is_float()) else { return };
    let y = y.new_full(*y.shape(), 0.5).unwrap();
    let Ok(mut model) = network.compile(SGD::new(0.01), MeanSquaredError::new(), ()) else { return };
    if model.train_on_batch(data, &y).is_err() {
        return;
    }
    tally.trained += 1;
    let Ok(file) = model.to_bytes() else { return assert!(code, "a trained model is saved") };
    let again = Model::from_bytes(&file, Load::new()).expect("what was written is read");
    assert!(
        bits(&again.predict_all(data).unwrap(), &model.predict_all(data).unwrap()),
        "trained, from a file"
    );
}

#[test]
fn random_networks_run_every_way_or_say_why_not() {
    let mut tally = Tally::default();
    let cases = u64::from(crate::cases(150).cases);
    for seed in 0..cases {
        TRAIL.with_borrow_mut(Vec::clear);
        let run = catch_unwind(AssertUnwindSafe(|| one_network(seed, &mut tally)));
        assert!(run.is_ok(), "seed {seed}:\n{}", TRAIL.with_borrow(|trail| trail.join("\n")));
    }
    println!("of {cases}: {tally:?}");
    // The test is empty if most networks are none.
    assert!(tally.built as u64 * 3 > cases && tally.trained as u64 * 8 > cases, "of {cases}: {tally:?}");
}
