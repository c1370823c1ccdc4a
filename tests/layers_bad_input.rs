//! Tests every layer, described and called as nobody would: settings of the wrong type, out of range or unknown,
//! inputs of every rank and dtype, without elements, too many or too few. Each gives an output, or an error that
//! names the layer or the setting; it never panics, and never ends the program: no request above 256 MB succeeds
//! here. (`cargo test --test layers_bad_input -- --nocapture` names the layer at which a program ended or hangs.)

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "all/layer_cases.rs"]
mod layer_cases;
#[allow(dead_code)]
#[path = "all/pack.rs"]
mod pack;
mod refusing;

use gradus::config::{Dyn, Setting};
use gradus::nn::layers::{self, *};
use gradus::nn::{Build, Cx, Functional, Init, Inputs, Symbol, Value};
use gradus::prelude::{Sequential, Silu};
use gradus::{DType, Error, Result, Spec, Tensor};
use layer_cases::{Masked, classes, description, input, panic_text, registry, wide};
use pack::{Pack, files};
use refusing::Dice;
use serde_json::{Value as Json, json};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// A layer's description, and inputs that fit it.
#[derive(Clone, Debug)]
struct Subject {
    layer: String,
    description: Json,
    inputs: Vec<Tensor>,
    named: Vec<(String, Tensor)>,
}

/// Layers that the pack may have no case of.
fn others() -> Vec<Subject> {
    let x = Tensor::from_slice(&[0.5f32, -1.0, 2.0, 0.25, 1.5, -0.5], [2, 3]).unwrap();
    let functional = || -> Result<Functional> {
        let x = Input::new([3]);
        Functional::new(&x, &Dense::new(2).on(&x)?)
    };
    let one = |layer: Dyn<dyn Build>| subject(layer, vec![x.clone()]);
    vec![
        one(Input::new([3]).into()),
        one(Sequential::new().add(Dense::new(2)).into()),
        one(functional().unwrap().into()),
        one(Checkpoint::new(Sequential::new().add(Dense::new(2))).into()),
        one(Activation::new(Silu).into()),
        one(Dropout::new(0.5).into()),
        one(Flatten::new().into()),
        one(Reshape::new([3, 1]).into()),
        one(Masking::new().into()),
        subject(Add::new().into(), vec![x.clone(), x.clone()]),
    ]
}

fn subject(layer: Dyn<dyn Build>, inputs: Vec<Tensor>) -> Subject {
    let description = layer.write().unwrap();
    let layer = description["class_name"].as_str().unwrap().to_string();
    Subject { layer, description, inputs, named: Vec::new() }
}

/// Every configuration of the pack, then the layers that it has no case of.
fn subjects() -> Vec<Subject> {
    let mut all = Vec::new();
    for path in files().iter().filter(|path| path.file_stem().unwrap() != "models") {
        let pack = Pack::read(path);
        for case in &pack.cases {
            let named = case["named"].as_array().unwrap().iter();
            all.push(Subject {
                layer: case["layer"].as_str().unwrap().into(),
                description: description(case),
                inputs: pack.tensors(&case["inputs"]).iter().map(|x| wide(x, DType::F32)).collect(),
                named: named
                    .map(|pair| (pair[0].as_str().unwrap().into(), wide(&pack.tensor(&pair[1]), DType::F32)))
                    .collect(),
            });
        }
    }
    let seen: BTreeSet<String> = all.iter().map(|s: &Subject| s.layer.clone()).collect();
    all.extend(others().into_iter().filter(|s| !seen.contains(&s.layer)));
    all
}

/// The first configuration of each layer.
fn one_of_each() -> Vec<Subject> {
    let mut each = BTreeMap::new();
    for subject in subjects() {
        each.entry(subject.layer.clone()).or_insert(subject);
    }
    each.into_values().collect()
}

#[test]
fn every_layer_has_a_configuration_here() {
    let each = one_of_each();
    let readable = layers::NAMES.iter().filter(|name| !NOT_YET.contains(name));
    let missing: Vec<&&str> = readable.filter(|name| each.iter().all(|s| s.layer != **name)).collect();
    assert!(missing.is_empty(), "layers that tests/parity/cases has no case of: {missing:?}");
}

/// Describes, calls, builds and runs a layer, forwards and backwards. `masks` are given to the inputs that have one.
fn whole_way(
    description: &Json,
    inputs: &[Tensor],
    named: &[(String, Tensor)],
    masks: &[Option<Tensor>],
) -> Result<()> {
    let layer: Dyn<dyn Build> = Setting::read(description.clone(), &registry())?;
    layer.write()?;
    let mut data = inputs.to_vec();
    let symbols: Vec<Symbol> = inputs.iter().map(symbol).collect();
    let (mut all, mut given) = (symbols.clone(), symbols);
    for (i, mask) in masks.iter().enumerate() {
        if let Some(mask) = mask {
            let symbol = symbol(mask);
            given[i] = Masked::new().on([&given[i], &symbol])?;
            all.push(symbol);
            data.push(mask.clone());
        }
    }
    let named: Vec<(String, Symbol)> = named
        .iter()
        .map(|(name, x)| {
            data.push(x.clone());
            all.push(symbol(x));
            (name.clone(), all[all.len() - 1].clone())
        })
        .collect();
    let outputs = layer.shared().on_all((&given, &named[..]))?;
    let network = Functional::new(&all, &outputs)?.build()?;
    network.forward_all(&data, &mut Cx::infer())?;
    let leaves: Vec<Tensor> =
        data.iter().map(|x| if x.dtype().is_float() { x.tracked() } else { x.clone() }).collect();
    for y in network.forward_all(&leaves, &mut Cx::train(3, 0))? {
        assert!(!y.to_string().is_empty());
        if y.is_tracked() {
            y.sum(&[], false)?.backward()?;
        }
    }
    Ok(())
}

/// An input for a tensor, of its very dtype.
fn symbol(x: &Tensor) -> Symbol {
    input(x, x.dtype()).symbol()
}

/// Faults that are known, by layer and a part of the text: each is to be taken from this list.
const KNOWN: &[(&str, &str)] = &[];

/// Layers that the pack has no case of: `Lambda` stands in no file, `StackedRNNCells` inside of RNN alone.
const NOT_YET: &[&str] = &["Lambda", "StackedRNNCells"];

/// What came of calls.
#[derive(Default)]
struct Seen {
    wrong: Vec<String>,
    good: BTreeSet<String>,
    refused: usize,
    calls: usize,
}

impl Seen {
    /// Runs a call; an error must hold one of these words.
    fn call(
        &mut self,
        layer: &str,
        what: &dyn Fn() -> String,
        words: &[&str],
        f: impl FnOnce() -> Result<()>,
    ) {
        self.calls += 1;
        match quietly(f) {
            Ok(Ok(())) => drop(self.good.insert(layer.into())),
            Ok(Err(e)) => {
                self.refused += 1;
                let text = e.to_string();
                let plain = |text: &str| text.to_lowercase().replace('_', "");
                // In the singular too: number 3 of `layers` is a layer.
                let named = |word: &&str| plain(&text).contains(plain(word).trim_end_matches('s'));
                if !words.iter().any(named) {
                    self.wrong.push(format!("{layer}, {}: an error that names neither: {text}", what()));
                }
            }
            Err(panic) => self.wrong.push(format!("{layer}, {}: panic: {}", what(), panic_text(&*panic))),
        }
    }

    fn finish(self, subjects: &[Subject]) {
        let Seen { mut wrong, good, refused, calls } = self;
        println!("{calls} calls, {refused} refused");
        wrong.retain(|text| {
            let known =
                |(layer, part): &&(&str, &str)| text.starts_with(&format!("{layer},")) && text.contains(part);
            !KNOWN.iter().any(|fault| known(&fault))
        });
        // One of a kind: the same message of one layer, whatever the numbers.
        let kind = |text: &String| {
            let (layer, rest) = text.split_once(", ").unwrap();
            let message = rest.split(": ").skip(1).collect::<Vec<_>>().join(": ");
            let plain = message.replace(|c: char| c.is_ascii_digit(), "#");
            format!("{layer}: {}", plain.chars().take(60).collect::<String>())
        };
        let n = wrong.len();
        let mut kinds = BTreeSet::new();
        wrong.retain(|text| kinds.insert(kind(text)));
        assert!(wrong.is_empty(), "{n} faults, of which\n{}", wrong.join("\n"));
        let never: Vec<&str> =
            subjects.iter().map(|s| s.layer.as_str()).filter(|layer| !good.contains(*layer)).collect();
        assert!(never.is_empty(), "no call was good for {never:?}: this test says nothing of them");
        assert!(refused > 100, "{refused}");
    }
}

thread_local! {
    /// Whether a call runs whose panic is caught.
    static CALLING: Cell<bool> = const { Cell::new(false) };
}

/// Catches a panic without a text on the standard error.
fn quietly<R>(f: impl FnOnce() -> R) -> std::thread::Result<R> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !CALLING.get() {
                loud(info)
            }
        }));
    });
    CALLING.set(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    CALLING.set(false);
    result
}

// ---- inputs

/// A tensor of this rank whose sizes are all one number.
fn tensor(rank: usize, size: usize, dtype: DType) -> Tensor {
    let n = size.pow(rank as u32);
    let values: Vec<f64> = (0..n).map(|i| (i % 5) as f64 / 2.0).collect();
    Tensor::from_slice(&values, vec![size; rank]).unwrap().cast(dtype).unwrap()
}

const DTYPES: [DType; 4] = [DType::F32, DType::F64, DType::I64, DType::Bool];

#[test]
fn every_layer_returns_whatever_it_is_given() {
    let subjects = one_of_each();
    let mut seen = Seen::default();
    for subject in &subjects {
        eprintln!("{}", subject.layer);
        inputs_of(subject, &mut seen);
    }
    seen.finish(&subjects);
}

fn inputs_of(subject: &Subject, seen: &mut Seen) {
    let Subject { layer, description, inputs, named } = subject;
    // What it is for.
    seen.call(layer, &|| "its own inputs".into(), &[layer], || whole_way(description, inputs, named, &[]));
    let natural = inputs.len();
    let built = built(subject);
    for (rank, size, dtype) in ranks() {
        let x = tensor(rank, size, dtype);
        let mask = tensor(rank.clamp(1, 2), size, DType::Bool);
        for masked in [false, true] {
            let mut counts = BTreeSet::from([natural]);
            if dtype == DType::F32 {
                counts.extend([0, natural.saturating_sub(1), natural + 1, natural + 3]);
            }
            for count in counts {
                let what = || format!("{count} inputs [{size}; {rank}] {dtype}, masked {masked}");
                let xs = vec![x.clone(); count];
                let masks = vec![masked.then(|| mask.clone()); count];
                // A layer that gives back whatever it is given gives nothing here: it is the network that wants an
                // output.
                let words: &[&str] = if count > 0 { &[layer] } else { &[layer, "output"] };
                if rank > 0 {
                    seen.call(layer, &what, words, || whole_way(description, &xs, &[], &masks));
                }
                // A layer that was built for other inputs, without the network that would refuse these.
                if let Some(node) = &built {
                    let values: Vec<Value> =
                        xs.iter().zip(masks).map(|(x, mask)| Value::masked(x.clone(), mask)).collect();
                    let run = || node.call(Inputs::new(&values), &mut Cx::train(3, 0)).map(drop);
                    seen.call(layer, &|| what() + " to the layer alone", &[""], run);
                }
            }
        }
    }
}

fn ranks() -> impl Iterator<Item = (usize, usize, DType)> {
    let of_rank = |rank| [0, 1, 2].into_iter().map(move |size| (rank, size));
    (0..8).flat_map(of_rank).flat_map(|(rank, size)| DTYPES.map(|dtype| (rank, size, dtype)))
}

/// The layer as built for its own inputs.
fn built(subject: &Subject) -> Option<Box<dyn gradus::nn::Node>> {
    let layer: Dyn<dyn Build> = Setting::read(subject.description.clone(), &registry()).unwrap();
    let specs: Vec<Spec> = subject.inputs.iter().map(Tensor::spec).collect();
    layer.build(&specs.as_slice().into(), &mut Init::new(1, DType::F32)).ok()
}

// ---- settings

/// The places in a description's settings, those of what is nested too.
fn places(value: &Json, at: &str, out: &mut Vec<String>) {
    let mut inside = |key: &str, value: &Json| {
        let at = format!("{at}/{key}");
        out.push(at.clone());
        places(value, &at, out);
    };
    match value {
        Json::Object(map) => map.iter().for_each(|(key, value)| inside(key, value)),
        Json::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| inside(&i.to_string(), value));
        }
        _ => {}
    }
}

/// What stands in the place of a setting; `None` is nothing at all.
fn replacements(value: &Json) -> Vec<Option<Json>> {
    let anything = json!([
        null, true, false, "", "nonsense", "NaN", "same", 0, -1, 1, 2, 7, 0.0, 0.5, -0.5, 1.5, 1e300, -1e300, 1e-300,
        1u64 << 31, 1u64 << 40, u64::MAX, i64::MIN, [], [0], [-1], [1, 1], [2, 1, 2], [1, 1, 1, 1, 1, 1, 1, 1, 1],
        [[1, 2], [3]], [[0, 0], [0, 0]], {}, { "class_name": "Nope", "config": {} },
        { "class_name": "Dense", "config": { "units": 2 } }, { "class_name": "Relu", "config": {} },
    ]);
    let mut all = vec![None];
    all.extend(anything.as_array().unwrap().iter().cloned().map(Some));
    if let Json::Array(items) = value {
        let mut longer = items.clone();
        longer.extend(items.last().cloned());
        all.push(Some(longer.into()));
        all.push(Some(items[..items.len().saturating_sub(1)].into()));
    }
    all
}

/// A description with something else in one place.
fn changed(description: &Json, place: &str, by: Option<Json>) -> Json {
    let mut changed = description.clone();
    match by {
        Some(value) => *changed.pointer_mut(place).unwrap() = value,
        None => {
            let (parent, key) = place.rsplit_once('/').unwrap();
            match changed.pointer_mut(parent).unwrap() {
                Json::Object(map) => drop(map.remove(key)),
                Json::Array(items) => drop(items.remove(key.parse().unwrap())),
                _ => unreachable!(),
            }
        }
    }
    changed
}

/// Inputs of another rank than the layer's own.
fn of_rank(dice: &mut Dice, inputs: &[Tensor]) -> Vec<Tensor> {
    let (rank, size) = (1 + dice.below(6), 1 + dice.below(3));
    inputs.iter().map(|x| tensor(rank, size, x.dtype())).collect()
}

#[test]
fn no_setting_of_any_layer_panics() {
    let subjects = subjects();
    let each = one_of_each();
    let mut seen = Seen::default();
    let mut dice = Dice(11);
    for subject in &each {
        eprintln!("{}", subject.layer);
        let mut all = Vec::new();
        places(&subject.description["config"], "/config", &mut all);
        for place in &all {
            for by in replacements(subject.description.pointer(place).unwrap()) {
                setting(subject, place, by, &mut dice, &mut seen);
            }
        }
        unknown_setting(subject, &mut seen);
        let unchanged = || whole_way(&subject.description, &subject.inputs, &subject.named, &[]);
        seen.call(&subject.layer, &|| "unchanged".into(), &[&subject.layer], unchanged);
    }
    for subject in &subjects {
        let mut all = Vec::new();
        places(&subject.description["config"], "/config", &mut all);
        for _ in 0..if all.is_empty() { 0 } else { 12 } {
            let place = dice.pick(&all);
            let by = dice.pick(&replacements(subject.description.pointer(&place).unwrap()));
            setting(subject, &place, by, &mut dice, &mut seen);
        }
    }
    seen.finish(&each);
}

/// One changed setting, with the layer's own inputs or with others.
fn setting(subject: &Subject, place: &str, by: Option<Json>, dice: &mut Dice, seen: &mut Seen) {
    let Subject { layer, description, inputs, named } = subject;
    let own = dice.below(3) > 0;
    let inputs = if own { inputs.clone() } else { of_rank(dice, inputs) };
    let what = || {
        let shapes: Vec<String> = inputs.iter().map(|x| x.shape().to_string()).collect();
        format!("{place} = {} on {shapes:?}", by.as_ref().map_or("nothing".into(), Json::to_string))
    };
    let changed = changed(description, place, by.clone());
    let mut words: Vec<&str> = place.split('/').filter(|word| word.parse::<usize>().is_err()).collect();
    words.retain(|word| !["", "config", "class_name"].contains(word));
    words.push(layer);
    if layer == "Functional" {
        words.push("input");
    }
    let mut within = BTreeSet::new();
    classes(description, &mut within);
    words.extend(within.iter().map(String::as_str));
    if std::env::var_os("BAD_INPUT_LOUD").is_some() {
        eprintln!("{layer}: {}", what());
    }
    seen.call(layer, &what, &words, || whole_way(&changed, &inputs, named, &[]));
}

fn unknown_setting(subject: &Subject, seen: &mut Seen) {
    let mut changed = subject.description.clone();
    changed["config"]["no_such_setting"] = 1.into();
    let refused = || match whole_way(&changed, &subject.inputs, &subject.named, &[]) {
        Ok(()) => Err(Error::Custom("an unknown setting passes".into())),
        Err(e) => Err(e),
    };
    seen.call(&subject.layer, &|| "no_such_setting".into(), &["no_such_setting"], refused);
}

/// Settings that may be any number, with which a layer of moderate inputs gives moderate outputs.
#[test]
fn numbers_that_a_layer_accepts_give_numbers() {
    let mut wrong = BTreeSet::new();
    let mut accepted = 0;
    for subject in subjects() {
        let mut all = Vec::new();
        places(&subject.description["config"], "/config", &mut all);
        all.retain(|place| subject.description.pointer(place).unwrap().is_f64());
        for place in &all {
            for number in [-3.0, -0.5, 0.0, 1.0, 1.5, 7.0] {
                let changed = changed(&subject.description, place, Some(number.into()));
                let Ok(outputs) = outputs(&changed, &subject.inputs, &subject.named) else { continue };
                accepted += 1;
                let finite = |y: &Tensor| {
                    let y = y.cast(DType::F64).unwrap();
                    y.to_vec::<f64>().unwrap().iter().all(|v| v.is_finite())
                };
                // A variance drawn by an initializer is whatever that says.
                let drawn = place.contains("moving_variance_initializer");
                if !drawn && !outputs.iter().all(finite) {
                    wrong.insert(format!("{} with {place} = {number}", subject.layer));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(accepted > 300, "{accepted}");
}

/// What a layer gives in inference and in training.
fn outputs(description: &Json, inputs: &[Tensor], named: &[(String, Tensor)]) -> Result<Vec<Tensor>> {
    let layer: Dyn<dyn Build> = Setting::read(description.clone(), &registry())?;
    let symbols: Vec<Symbol> = inputs.iter().map(symbol).collect();
    let named_symbols: Vec<(String, Symbol)> =
        named.iter().map(|(name, x)| (name.clone(), symbol(x))).collect();
    let y = layer.shared().on_all((&symbols, &named_symbols[..]))?;
    let all: Vec<Symbol> =
        symbols.into_iter().chain(named_symbols.into_iter().map(|(_, symbol)| symbol)).collect();
    let network = Functional::new(&all, &y)?.seed(3).build()?;
    let data: Vec<Tensor> = inputs.iter().chain(named.iter().map(|(_, x)| x)).cloned().collect();
    let mut outputs = network.forward_all(&data, &mut Cx::infer())?.to_vec();
    outputs.extend(network.forward_all(&data, &mut Cx::train(3, 0))?);
    Ok(outputs)
}

/// Builds a layer of one sequence or image.
fn of(shape: &[usize], layer: impl Build + 'static) -> Result<()> {
    let x = symbol(&tensor(shape.len(), 1, DType::F32).broadcast_to(shape)?);
    Functional::new(&x, &layer.on(&x)?).map(drop)
}

/// Builds attention within a sequence.
fn attending(layer: impl Build + 'static) -> Result<()> {
    let x = symbol(&tensor(3, 4, DType::F32));
    Functional::new(&x, &layer.on([&x, &x])?).map(drop)
}

/// A setting's name, and a layer with this number as setting.
type Numbered = (&'static str, fn(f64) -> Result<()>);

/// Every setting of a layer that is a number of any size; files cannot hold NaN and infinities, builder methods can.
const NUMBERED: &[Numbered] = &[
    ("l1", |v| of(&[1, 3], ActivityRegularization::new().l1(v))),
    ("l2", |v| of(&[1, 3], ActivityRegularization::new().l2(v))),
    ("rate", |v| of(&[1, 3], AlphaDropout::new(v))),
    ("dropout", |v| attending(MultiHeadAttention::new(1, 2).dropout(v))),
    ("dropout", |v| attending(GroupQueryAttention::new(2, 2, 1).dropout(v))),
    ("momentum", |v| of(&[1, 3], BatchNormalization::new().momentum(v))),
    ("epsilon", |v| of(&[1, 3], BatchNormalization::new().epsilon(v))),
    ("renorm_momentum", |v| of(&[1, 3], BatchNormalization::new().renorm(true).renorm_momentum(v))),
    ("dropout", |v| of(&[1, 4, 3], LSTM::new(2).dropout(v))),
    ("recurrent_dropout", |v| of(&[1, 4, 3], GRU::new(2).recurrent_dropout(v))),
    ("dropout", |v| of(&[1, 4, 3, 3, 1], ConvLSTM2D::new(2, 2).dropout(v))),
    ("recurrent_dropout", |v| of(&[1, 4, 3, 3, 1], ConvLSTM2D::new(2, 2).recurrent_dropout(v))),
    ("rate", |v| of(&[1, 3], Dropout::new(v))),
    ("alpha", |v| of(&[1, 3], ELU::new().alpha(v))),
    ("rate", |v| of(&[1, 3], GaussianDropout::new(v))),
    ("stddev", |v| of(&[1, 3], GaussianNoise::new(v))),
    ("epsilon", |v| of(&[1, 4], GroupNormalization::new().groups(2).epsilon(v))),
    ("epsilon", |v| of(&[1, 4], LayerNormalization::new().epsilon(v))),
    ("epsilon", |v| of(&[1, 4], RMSNormalization::new().epsilon(v))),
    ("mask_value", |v| of(&[1, 4, 3], Masking::new().mask_value(v))),
    ("hierarchical_alpha", |v| of(&[1, 4, 3], PositionEmbedding::new(4).hierarchical_alpha(v))),
    ("max_value", |v| of(&[1, 3], ReLU::new().max_value(v))),
    ("negative_slope", |v| of(&[1, 3], ReLU::new().negative_slope(v))),
    ("threshold", |v| of(&[1, 3], ReLU::new().threshold(v))),
    ("negative_slope", |v| of(&[1, 3], LeakyReLU::new().negative_slope(v))),
    ("fill_value", |v| of(&[1, 4, 4, 1], Resizing::new(2, 3).pad_to_aspect_ratio(true).fill_value(v))),
    ("max_wavelength", |v| of(&[1, 4, 4], RotaryEmbedding::new().max_wavelength(v))),
    ("scaling_factor", |v| of(&[1, 4, 4], RotaryEmbedding::new().scaling_factor(v))),
    ("max_wavelength", |v| of(&[1, 4, 4], SinePositionEncoding::new().max_wavelength(v))),
    ("rate", |v| of(&[1, 4, 3], SpatialDropout1D::new(v))),
    ("dropout", |v| of(&[1, 4, 4], TransformerEncoder::new(8, 2).dropout(v))),
    ("layer_norm_epsilon", |v| of(&[1, 4, 4], TransformerEncoder::new(8, 2).layer_norm_epsilon(v))),
    ("dropout", |v| of(&[1, 4, 4], TransformerDecoder::new(8, 2).dropout(v))),
    ("layer_norm_epsilon", |v| of(&[1, 4, 4], TransformerDecoder::new(8, 2).layer_norm_epsilon(v))),
    ("logit_soft_cap", |v| of(&[1, 3], ReversibleEmbedding::new(5, 3).logit_soft_cap(v))),
    ("scale", |v| of(&[1, 3], Rescaling::new(v))),
    ("offset", |v| of(&[1, 3], Rescaling::new(1.0).offset(v))),
];

#[test]
fn a_setting_that_is_no_number_is_an_error_that_names_it() {
    let mut wrong = Vec::new();
    for (i, (name, make)) in NUMBERED.iter().enumerate() {
        // An infinite limit or wavelength has a meaning, NaN has none.
        match make(f64::NAN) {
            Ok(()) => wrong.push(format!("{i}: {name} of NaN is accepted")),
            Err(e) if !e.to_string().contains(&format!("{name}: expected ")) => {
                wrong.push(format!("{i}: {e}"))
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
