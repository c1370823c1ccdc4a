//! The cases of layers in the pack, as networks: the parity tests compare them with Keras, and every other test
//! that walks all configurations of all layers begins with them.

use crate::pack::{Pack, files};
use gradus::config::{Dyn, Registry, Setting};
use gradus::nn::initializer::Ones;
use gradus::nn::layers::Input;
use gradus::nn::{
    Build, Cx, Functional, Init, InputSpecs, Inputs, Layer, Masking, Network, Node, Param, Symbol, Value,
    Values,
};
use gradus::{DType, Result, Tensor};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;

gradus::settings! {
    /// Gives its first input its second one as a mask.
    pub(crate) layer Masked as "test>Masked" { new(); }
}
gradus::parts!(Masked {});
impl Build for Masked {
    fn build(&self, _: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(self.clone()))
    }
}
impl Node for Masked {
    fn call(&self, x: Inputs<'_>, _: &mut Cx) -> Result<Values> {
        Ok(Value::masked(x.at(0)?.tensor.clone(), Some(x.at(1)?.tensor.clone())).into())
    }
}

gradus::settings! {
    /// The mask of its input as numbers; 2 for each row if there is none.
    pub layer MaskOf as "test>MaskOf" { new(); }
}
gradus::parts!(MaskOf {});
impl Build for MaskOf {
    fn build(&self, _: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(self.clone()))
    }
}
impl Node for MaskOf {
    fn call(&self, x: Inputs<'_>, _: &mut Cx) -> Result<Values> {
        let Value { tensor, mask } = x.at(0)?;
        match mask {
            Some(mask) => Ok(mask.cast(DType::F32)?.into()),
            None => Ok(tensor.new_full([tensor.dims()[0]], 2.0)?.cast(DType::F32)?.into()),
        }
    }
}

gradus::settings! {
    /// Its input times a number that learns: before a layer, so that gradients go through it.
    pub layer Scaled as "test>Scaled" { new(); }
}
gradus::settings! {
    /// The sum of each row of its inputs, times a number that learns: behind a layer with any number of outputs.
    pub layer Joined as "test>Joined" { new(); }
}

/// What [`Scaled`] and [`Joined`] become.
#[derive(Clone, Debug)]
struct Factor<const JOINS: bool> {
    factor: Param,
}
gradus::parts!(Factor<false> { factor });
gradus::parts!(Factor<true> { factor });
impl Build for Scaled {
    fn build(&self, _: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(Factor::<false> { factor: init.param([], &Ones.into())? }))
    }
}
impl Build for Joined {
    fn build(&self, _: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(Factor::<true> { factor: init.param([], &Ones.into())? }))
    }
}
impl Layer for Factor<false> {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        x.mul(&cx.param(&self.factor)?)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
}
impl Node for Factor<true> {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        const AXES: [isize; 7] = [1, 2, 3, 4, 5, 6, 7];
        let mut sum: Option<Tensor> = None;
        for Value { tensor, .. } in x.values() {
            let rows = match tensor.rank() {
                1 => tensor.clone(),
                rank => tensor.sum(&AXES[..rank - 1], false)?,
            };
            sum = Some(match sum {
                Some(sum) => sum.add(&rows)?,
                None => rows,
            });
        }
        Ok(sum.unwrap().mul(&cx.param(&self.factor)?)?.into())
    }
}

/// An input for samples like those of a tensor.
pub(crate) fn input(x: &Tensor, float: DType) -> Input {
    let dtype = if x.dtype().is_float() { float } else { x.dtype() };
    let input = match x.dims()[1..] {
        [] => Input::new([]),
        [a] => Input::new([a]),
        [a, b] => Input::new([a, b]),
        [a, b, c] => Input::new([a, b, c]),
        [a, b, c, d] => Input::new([a, b, c, d]),
        [a, b, c, d, e] => Input::new([a, b, c, d, e]),
        [a, b, c, d, e, f] => Input::new([a, b, c, d, e, f]),
        ref more => panic!("{more:?}"),
    };
    input.dtype(dtype)
}

/// Floating-point numbers in this dtype; whole numbers as they are.
pub(crate) fn wide(x: &Tensor, float: DType) -> Tensor {
    if x.dtype().is_float() { x.cast(float).unwrap() } else { x.clone() }
}

/// A case as a network: inputs, masks and named inputs in this order, then the data for them.
pub(crate) struct Case {
    pub(crate) network: Network,
    pub(crate) data: Vec<Tensor>,
    /// How many of the data are inputs by position, and where those by name begin.
    pub(crate) inputs: usize,
    pub(crate) named: usize,
    pub(crate) outputs: usize,
    /// The name of the layer.
    pub(crate) name: String,
    /// The parameters as they were drawn.
    pub(crate) fresh: Vec<(String, Tensor)>,
}

pub(crate) fn registry() -> Registry {
    Registry::new().layer::<Masked>().unwrap().layer::<MaskOf>().unwrap()
}

/// The layer of a case as files have it.
pub(crate) fn description(case: &Json) -> Json {
    json!({ "class_name": case["layer"], "config": case["config"] })
}

/// The names of a description and of all layers within.
pub(crate) fn classes(description: &Json, out: &mut std::collections::BTreeSet<String>) {
    match description {
        Json::Object(map) => {
            out.extend(map.get("class_name").and_then(Json::as_str).map(String::from));
            map.values().for_each(|value| classes(value, out));
        }
        Json::Array(items) => items.iter().for_each(|item| classes(item, out)),
        _ => {}
    }
}

/// What a case gives to its layer, in a network that begins there.
pub(crate) struct Given {
    /// The network's inputs, and the data for them: inputs, masks and named inputs.
    pub(crate) symbols: Vec<Symbol>,
    pub(crate) data: Vec<Tensor>,
    pub(crate) positional: Vec<Symbol>,
    pub(crate) named: Vec<(String, Symbol)>,
    pub(crate) at_named: usize,
}

/// What a case gives to its layer; `before` is put before each input.
pub(crate) fn given(
    pack: &Pack,
    case: &Json,
    float: DType,
    before: impl Fn(Symbol) -> Result<Symbol>,
) -> Result<Given> {
    let mut data: Vec<Tensor> = pack.tensors(&case["inputs"]).iter().map(|x| wide(x, float)).collect();
    let mut symbols: Vec<Symbol> = data.iter().map(|x| input(x, float).symbol()).collect();
    let mut positional = symbols.iter().cloned().map(&before).collect::<Result<Vec<_>>>()?;
    if let Some(masks) = case["masks"].as_array() {
        for (i, mask) in masks.iter().enumerate().filter(|(_, mask)| !mask.is_null()) {
            let mask = pack.tensor(mask);
            let symbol = input(&mask, float).symbol();
            positional[i] = Masked::new().on([&positional[i], &symbol])?;
            symbols.push(symbol);
            data.push(mask);
        }
    }
    let at_named = data.len();
    let mut named = Vec::new();
    for pair in case["named"].as_array().unwrap() {
        let x = wide(&pack.tensor(&pair[1]), float);
        let symbol = input(&x, float).symbol();
        named.push((pair[0].as_str().unwrap().to_string(), before(symbol.clone())?));
        symbols.push(symbol);
        data.push(x);
    }
    Ok(Given { symbols, data, positional, named, at_named })
}

/// The weights of a case in a network that has its layer under this name.
pub(crate) fn set_weights(pack: &Pack, case: &Json, network: &mut Network, name: &str) -> Result<()> {
    let prefix = format!("{name}/");
    let given = pack.by_path(&case["weights"]);
    let mut theirs: Vec<&str> = given.iter().map(|(path, _)| path.as_str()).collect();
    let params = network.params();
    let mut ours: Vec<&str> = params.iter().filter_map(|(path, _)| path.strip_prefix(&prefix)).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs, "names of parameters");
    let weights: Vec<(String, Tensor)> = given
        .into_iter()
        .map(|(path, w)| {
            let path = format!("{prefix}{path}");
            let ours = network.param(&path).unwrap();
            (path, w.cast(ours.dtype()).unwrap())
        })
        .collect();
    network.set_params(&weights)
}

/// What the layer of a case is called in its network.
const NAME: &str = "subject";

/// The layer of a case, by this name.
pub(crate) fn layer(case: &Json) -> Result<Dyn<dyn Build>> {
    let mut description = description(case);
    description["config"]["name"] = NAME.into();
    Setting::read(description, &registry())
}

pub(crate) fn build(pack: &Pack, case: &Json, float: DType) -> Result<Case> {
    let given = given(pack, case, float, Ok)?;
    let mut outputs = layer(case)?.shared().on_all((&given.positional, &given.named[..]))?;
    let count = outputs.len();
    for i in 0..count {
        outputs.push(MaskOf::new().on(&outputs[i])?);
    }
    let mut network = Functional::new(&given.symbols, &outputs)?.dtype(float).seed(3).build()?;
    let fresh = network.params();
    set_weights(pack, case, &mut network, NAME)?;
    let inputs = case["inputs"].as_array().unwrap().len();
    Ok(Case {
        network,
        data: given.data,
        inputs,
        named: given.at_named,
        outputs: count,
        name: NAME.into(),
        fresh,
    })
}

/// A case whose layer stands between [`Scaled`] and [`Joined`]: what trains whatever the layer is. `None` if its
/// outputs are whole numbers, of which nothing learns.
pub(crate) fn build_between(
    pack: &Pack,
    case: &Json,
    float: DType,
) -> Result<Option<(Network, Vec<Tensor>)>> {
    let scaled = |x: Symbol| if x.spec()?.dtype.is_float() { Scaled::new().on(&x) } else { Ok(x) };
    let given = given(pack, case, float, scaled)?;
    let mut floats = Vec::new();
    for y in layer(case)?.shared().on_all((&given.positional, &given.named[..]))? {
        if y.spec()?.dtype.is_float() {
            floats.push(y);
        }
    }
    if floats.is_empty() {
        return Ok(None);
    }
    let output = Joined::new().on(&floats)?;
    let mut network = Functional::new(&given.symbols, &output)?.dtype(float).seed(3).build()?;
    set_weights(pack, case, &mut network, NAME)?;
    Ok(Some((network, given.data)))
}

/// Runs `f` for every case of the pack, or of the family in `GRADUS_PARITY`, and fails with all that failed.
pub(crate) fn every_case(mut f: impl FnMut(&Pack, &str, &Json) -> Result<()>) {
    let only = std::env::var("GRADUS_PARITY").ok();
    let (mut failures, mut count) = (String::new(), 0);
    for path in files() {
        let family = path.file_stem().unwrap().to_string_lossy().to_string();
        if family == "models" || only.as_ref().is_some_and(|only| *only != family) {
            continue;
        }
        let pack = Pack::read(&path);
        for (i, case) in pack.cases.iter().enumerate() {
            let what = format!("{family} {i}: {} {}", case["layer"].as_str().unwrap(), case["config"]);
            let run = std::panic::AssertUnwindSafe(|| f(&pack, &what, case));
            match std::panic::catch_unwind(run) {
                Ok(Ok(())) => count += 1,
                Ok(Err(e)) => writeln!(failures, "{what}: {e}").unwrap(),
                Err(panic) => {
                    writeln!(failures, "{what}: {}", panic_text(&*panic)).unwrap();
                }
            }
        }
    }
    println!("{count} configurations of layers");
    assert!(failures.is_empty(), "\n{failures}");
}

/// What a panic says.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text").to_string()
}
