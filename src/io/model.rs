//! Why it exists: a model in a file: the network, its compilation, every parameter, the optimizer's state and how far
//! training has come, so that it goes on as if it had never stopped. `docs/format.md` describes the file.

use super::json::outline;
use super::tensors::{Tensors, check_outline, write};
use super::{Limits, Load, check, read_file, write_atomically};
use crate::config::{Described, Dyn, Registry, Setting, describe, described};
use crate::error::Context;
use crate::loss::{self, Loss};
use crate::metric::{self, Metric};
use crate::nn::{Budget, Init, Params, Path as Place, Sequential};
use crate::nn::{activation, constraint, initializer, layers, regularizer};
use crate::optim::{self, Driver, LearningRate, Optimizer};
use crate::tensor::Tensor;
use crate::train::{Model, compile_with};
use crate::{Error, Result, Spec, settings};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a file says it is.
const FORMAT: &str = "gradus";
/// The newest version of the format, and the one that is written.
const VERSION: u64 = 1;
/// No counter of steps gets here; beyond it arithmetic might overflow.
const MAX_COUNT: u64 = 1 << 53;
/// Names listed in a message before "and more".
const LISTED: usize = 20;
/// Where the optimizer's state stands among the tensors.
const STATE: &str = "optimizer/";

settings! {
    /// The JSON of a model.
    struct Configuration {
        network: stored Value,
        compile: stored Compile,
        progress: stored Progress,
        /// Paths of the parameters that the optimizer leaves alone.
        frozen: stored Vec<String>,
    }
}

settings! {
    struct Compile {
        optimizer: stored Dyn<dyn Optimizer>,
        /// The present one, which need not be the optimizer's first, or a schedule.
        learning_rate: stored LearningRate,
        /// One for each output.
        losses: stored Vec<Dyn<dyn Loss>>,
        /// For each output.
        metrics: stored Vec<Vec<Box<dyn Metric>>>,
    }
}

settings! {
    #[derive(Copy)]
    struct Progress {
        seed: stored u64,
        steps: stored u64,
        epochs: stored u64,
        iterations: stored u64,
    }
}

/// The library's names.
const KINDS: &[&[&str]] = &[
    activation::NAMES,
    constraint::NAMES,
    initializer::NAMES,
    layers::NAMES,
    loss::NAMES,
    metric::NAMES,
    optim::NAMES,
    optim::schedule::NAMES,
    regularizer::NAMES,
];

// ---- files

impl Model {
    /// Writes the whole model to one file: network, optimizer with its state, loss, metrics and progress. What was there
    /// is replaced at once or not at all.
    ///
    /// # Errors
    /// The network, optimizer, loss or a metric is one of your own that [`settings!`](crate::settings) does not declare, so
    /// that no file can describe it ([`Model::save_weights`] saves the parameters of any network), or the system refuses to
    /// write.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomically(path.as_ref(), &self.to_bytes()?)
    }

    /// Reads a model that [`Model::save`] wrote. It predicts and trains on as the saved one would have.
    ///
    /// # Errors
    /// As [`Model::from_bytes`], or the system refuses to read.
    pub fn load(path: impl AsRef<Path>) -> Result<Model> {
        Model::load_with(path, &Load::new())
    }

    /// [`Model::load`] under other limits, or with types of the program's own.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_with(path: impl AsRef<Path>, load: &Load) -> Result<Model> {
        let path = path.as_ref();
        read_model(&read_file(path, load.limits.max_file_bytes)?, &path.display().to_string(), load)
    }

    /// The contents of the file that [`Model::save`] writes. The same model gives the same bytes.
    ///
    /// # Errors
    /// As [`Model::save`], or memory cannot be had.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let name = self.name();
        let config = config_of(self).at(|| {
            format!("'{name}' cannot be saved as a model (save_weights saves the parameters of any network)")
        })?;
        let mut tensors = self.params();
        let mut result = Ok(());
        self.visit(&mut Place::default(), &mut |path, p| {
            let mut slots = self.driver.slots_of(p);
            if slots.is_empty() && p.trainable() && self.driver.steps() > 0 {
                // Unfrozen since the last step: the state that the next one would begin with.
                let zeros = |slot| Ok((slot, Tensor::filled(p.value().spec(), 0.0)?));
                match self.driver.slots().into_iter().map(zeros).collect::<Result<_>>() {
                    Ok(made) => slots = made,
                    Err(e) => result = Err(e),
                }
            }
            tensors.extend(slots.into_iter().map(|(slot, value)| (slot_name(path.as_str(), slot), value)));
        });
        result?;
        write(name, &metadata("model", Some(&config)), &tensors)
    }

    /// Reads a model from the contents of a file. Nothing that the bytes say is believed before it is checked.
    ///
    /// # Errors
    /// The bytes are no model, one of a newer version, or one with an unknown layer; tensors are missing, unexpected or of
    /// another shape, all of which the message names; or a limit is exceeded.
    pub fn from_bytes(bytes: &[u8], load: &Load) -> Result<Model> {
        read_model(bytes, "model", load)
    }

    /// Writes the parameters of any network, named by path, to a safetensors file.
    ///
    /// # Errors
    /// Two parameters have the same path, or the system refuses to write.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomically(path.as_ref(), &write(self.name(), &metadata("weights", None), &self.params())?)
    }

    /// Sets every parameter from a file of [`Model::save_weights`] or [`Model::save`], or any other safetensors file with
    /// the same names. The optimizer stays as it is.
    ///
    /// # Errors
    /// The file is none, or parameters are missing, unexpected or of another shape or dtype, all of which the message
    /// names. Then none is changed.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.load_weights_with(path, &Limits::default())
    }

    /// [`Model::load_weights`] under other limits.
    ///
    /// # Errors
    /// As [`Model::load_weights`].
    pub fn load_weights_with(&mut self, path: impl AsRef<Path>, limits: &Limits) -> Result<()> {
        let path = path.as_ref();
        let (bytes, what) = (read_file(path, limits.max_file_bytes)?, path.display().to_string());
        let mut file = Tensors::read(&bytes, &what, limits)?;
        let expected = specs(self);
        if file.metadata.get("format").is_some_and(|f| f == FORMAT) {
            check_version(&what, &file)?;
            if file.metadata.get("content").is_some_and(|c| c == "model") {
                file.entries.retain(|name, _| !name.starts_with(STATE) || expected.contains_key(name));
            }
        }
        set_params(self, values(&what, &expected, &file)?)
    }
}

// ---- writing

/// What every file says of itself.
fn metadata<'a>(content: &'a str, config: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let mut out = vec![
        ("format", FORMAT),
        ("format_version", "1"),
        ("gradus_version", env!("CARGO_PKG_VERSION")),
        ("content", content),
    ];
    out.extend(config.map(|c| ("config", c)));
    out
}

fn slot_name(path: &str, slot: &str) -> String {
    format!("{STATE}{path}/{slot}")
}

/// Shape and dtype of each parameter.
fn specs(model: &Model) -> BTreeMap<String, Spec> {
    let mut out = BTreeMap::new();
    model.visit(&mut Place::default(), &mut |path, p| {
        out.insert(path.to_string(), p.value().spec());
    });
    out
}

/// The JSON of a model. It is read back at once: what is written can be read. Only a program that registers them can read
/// types of its own back; their settings are written by the table that reads them.
fn config_of(model: &Model) -> Result<String> {
    let own = || Error::Custom("it is a network of your own, which no file can describe".into());
    let network = describe(&**model.description.as_ref().ok_or_else(own)?)?;
    let mut frozen = Vec::new();
    model.visit(&mut Place::default(), &mut |path, p| {
        if !p.trainable() {
            frozen.push(path.to_string());
        }
    });
    let (optimizer, rate) = (describe(model.driver.rule())?, model.driver.rate().write()?);
    let losses = model.head.losses.iter().map(|l| describe(&**l)).collect::<Result<_>>()?;
    let losses = Value::Array(losses);
    let metrics = model.head.metrics.write()?;
    let Model { seed, steps, epochs, .. } = model;
    let (iterations, frozen) = (model.driver.steps(), frozen.write()?);
    let text = format!(
        "{{\"network\":{network},\
        \"compile\":{{\"optimizer\":{optimizer},\"learning_rate\":{rate},\"losses\":{losses},\"metrics\":{metrics}}},\
        \"progress\":{{\"seed\":{seed},\"steps\":{steps},\"epochs\":{epochs},\"iterations\":{iterations}}},\
        \"frozen\":{frozen}}}"
    );
    if [&network, &optimizer, &rate, &losses, &metrics].into_iter().any(names_others) {
        return Ok(text);
    }
    let unbounded = Limits::default().max_elements(u64::MAX).max_total_bytes(u64::MAX);
    let again = plan(parse(&text, &Registry::new())?, &unbounded.into())?;
    if specs(&again) != specs(model) {
        return Err(Error::Custom("its parameters are not those that its configuration describes".into()));
    }
    Ok(text)
}

/// Whether a description names a type that is not the library's.
fn names_others(description: &Value) -> bool {
    let own = |name: &str| KINDS.iter().any(|names| names.contains(&name));
    match description {
        Value::Array(items) => items.iter().any(names_others),
        Value::Object(fields) => {
            let name = fields.get("class_name").and_then(Value::as_str);
            name.is_some_and(|name| !own(name)) || fields.values().any(names_others)
        }
        _ => false,
    }
}

// ---- reading

fn parse(text: &str, registry: &Registry) -> Result<Configuration> {
    let value = serde_json::from_str(text).map_err(|e| Error::format("configuration", e.to_string()))?;
    Configuration::from_config(value, registry)
}

/// Fails unless this version of the format is known.
fn check_version(what: &str, file: &Tensors<'_>) -> Result<()> {
    let bad = || Error::format(what, "its metadata has no valid format_version");
    let version = file.metadata.get("format_version").and_then(|v| v.parse::<u64>().ok()).ok_or_else(bad)?;
    if version == 0 {
        return Err(bad());
    }
    if version > VERSION {
        let by = file.metadata.get("gradus_version").map_or("unknown", String::as_str);
        let by: String = by.chars().filter(|c| c.is_ascii_graphic()).take(32).collect();
        let own = env!("CARGO_PKG_VERSION");
        let why = format!(
            "the file has format version {version}, written by gradus {by}; gradus {own} reads versions up to {VERSION}: \
             use gradus {by} or newer"
        );
        return Err(Error::format(what, why));
    }
    Ok(())
}

fn read_model(bytes: &[u8], what: &str, load: &Load) -> Result<Model> {
    let Load { limits, registry } = load;
    let file = Tensors::read(bytes, what, limits)?;
    if file.metadata.get("format").is_none_or(|f| f != FORMAT) {
        let why = "a safetensors file, but not one of gradus's (load_weights takes tensors from any)";
        return Err(Error::format(what, why));
    }
    check_version(what, &file)?;
    let config = match (file.metadata.get("content").map(String::as_str), file.metadata.get("config")) {
        (Some("model"), Some(config)) => config,
        (Some("weights"), _) => {
            return Err(Error::format(what, "it holds weights without a model: use load_weights"));
        }
        _ => return Err(Error::format(what, "its metadata has no configuration of a model")),
    };
    let text = outline(config.as_bytes());
    check_outline(what, &text, limits)?;
    check(what, "the length of a name", text.longest, limits.max_name)?;
    parse(config, registry).and_then(|config| restore(config, &file, what, load)).at(|| what)
}

/// The model of a configuration, whose parameters have shapes but neither values nor memory.
fn plan(config: Configuration, load: &Load) -> Result<Model> {
    let (class, network) = described("network", config.network)?;
    if class != "Sequential" {
        return Err(Error::format("network", format!("unknown name '{class}', expected Sequential")));
    }
    let network = Sequential::from_config(network, &load.registry)?;
    let compile = config.compile;
    let mut driver = Driver::from_arc(compile.optimizer.0);
    let [metrics] = <[Vec<Box<dyn Metric>>; 1]>::try_from(compile.metrics)
        .map_err(|all| Error::argument("metrics", "one list for the one output", all.len()))?;
    let metrics = vec![(String::new(), metrics)];

    let Progress { seed, steps, epochs, iterations } = config.progress;
    for (name, count) in [("steps", steps), ("epochs", epochs), ("iterations", iterations)] {
        check(name, "the count", count, MAX_COUNT)?;
    }
    driver.check()?;
    driver.set_rate(compile.learning_rate);
    driver.set_steps(iterations);
    driver.check()?;

    let Limits { max_elements: elements, max_total_bytes: bytes, .. } = load.limits;
    let budget = Budget { elements, bytes };
    let init = Init::planned(network.seed_value(), network.dtype_value(), budget);
    let mut model = compile_with(network, init, driver, compile.losses, metrics)?;
    (model.seed, model.steps, model.epochs) = (seed, steps, epochs);

    let mut frozen: BTreeSet<String> = config.frozen.into_iter().collect();
    model.visit_mut(&mut Place::default(), &mut |path, p| p.set_trainable(!frozen.remove(path.as_str())));
    match frozen.first() {
        Some(path) => Err(Error::format("frozen", format!("{path:?} is no parameter of the network"))),
        None => Ok(model),
    }
}

/// The model of a configuration with the values of a file.
fn restore(config: Configuration, file: &Tensors<'_>, what: &str, load: &Load) -> Result<Model> {
    let mut model = plan(config, load)?;
    let mut driver = model.driver.clone();
    let slots = driver.slots();

    let mut expected = specs(&model);
    let mut with_state = BTreeSet::new();
    let started = driver.steps() > 0;
    model.visit(&mut Place::default(), &mut |path, p| {
        let names = || slots.iter().map(|slot| slot_name(path.as_str(), slot));
        if (p.trainable() && started) || names().any(|name| file.entries.contains_key(&name)) {
            expected.extend(names().map(|name| (name, p.value().spec())));
            with_state.insert(path.to_string());
        }
    });
    let mut values = values(what, &expected, file)?;
    model.visit(&mut Place::default(), &mut |path, p| {
        if with_state.contains(path.as_str()) {
            let state =
                slots.iter().filter_map(|slot| values.remove(&slot_name(path.as_str(), slot))).collect();
            driver.restore(p, state);
        }
    });
    model.driver = driver;
    set_params(&mut model, values)?;
    Ok(model)
}

/// The tensors of a file, which must be exactly the expected ones.
fn values(
    what: &str,
    expected: &BTreeMap<String, Spec>,
    file: &Tensors<'_>,
) -> Result<BTreeMap<String, Tensor>> {
    let mut wrong = Vec::new();
    let mut list = |title: &str, names: Vec<String>| {
        if !names.is_empty() {
            let more = names.len().saturating_sub(LISTED);
            let shown = names.into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            wrong.push(format!("{title}: {shown}{more}"));
        }
    };
    let quoted = |name: &String| format!("'{}'", name.escape_debug());
    list("missing", expected.keys().filter(|n| !file.entries.contains_key(*n)).map(quoted).collect());
    list("unexpected", file.entries.keys().filter(|n| !expected.contains_key(*n)).map(quoted).collect());
    let misshaped = expected.iter().filter_map(|(name, spec)| {
        let entry = file.entries.get(name).filter(|e| !e.is(*spec))?;
        Some(format!("{} (expected {spec}, the file has {})", quoted(name), entry.describe()))
    });
    list("of another shape or dtype", misshaped.collect());
    if !wrong.is_empty() {
        return Err(Error::format(what, format!("its tensors do not fit the network: {}", wrong.join("; "))));
    }
    let read = |(name, spec): (&String, &Spec)| match file.entries.get(name) {
        Some(entry) => Ok((name.clone(), entry.tensor(name, spec.dtype)?)),
        None => Err(Error::format(what, format!("{} is missing", quoted(name)))),
    };
    expected.iter().map(read).collect()
}

/// Sets every parameter; there is a value of the right shape for each.
fn set_params(model: &mut Model, mut values: BTreeMap<String, Tensor>) -> Result<()> {
    let mut result = Ok(());
    model.visit_mut(&mut Place::default(), &mut |path, p| {
        if let (Some(value), Ok(())) = (values.remove(path.as_str()), &result) {
            result = p.set(value).at(|| path.to_string());
        }
    });
    result
}
