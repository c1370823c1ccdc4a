//! Saves and loads a model or network in one file: the graph of layers, every parameter, and for a model its
//! compilation, the optimizer's state and the progress of training, so that it continues as if it had never
//! stopped. `docs/format.md` describes the file.

use super::json::outline;
use super::load::Load;
use super::tensors::{Tensors, check_outline, write};
use super::{Limits, check, read_file, write_atomically};
use crate::config::generated::Reader;
use crate::config::{Dyn, Registry, Setting, describe};
use crate::error::Context;
use crate::loss::Loss;
use crate::metric::Metric;
use crate::nn::{Budget, Init, Module, Network, Param, Path as WalkPath, numbers, read_network, set_numbers};
use crate::optim::{Driver, LearningRate, Optimizer};
use crate::tensor::Tensor;
use crate::train::{Model, compile_with};
use crate::{Error, Result, Spec};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The name of the format, stored in every file.
const FORMAT: &str = "gradus";
/// The newest version of the format, which is the one that is written.
const VERSION: u64 = 2;
/// The largest count of steps; beyond it arithmetic might overflow.
const MAX_COUNT: u64 = 1 << 53;
/// Names listed in a message before "and more".
const LISTED: usize = 20;
/// The prefix of the optimizer's state among the tensors.
const STATE: &str = "optimizer/";

// ---- models

impl Model {
    /// Writes the whole model to one file: network, optimizer with its state, losses, metrics and progress. An
    /// existing file is replaced at once or not at all. A link is replaced too, and its target stays: to write
    /// there, save to `std::fs::canonicalize(link)`.
    ///
    /// # Errors
    /// The network is a struct of your own; a layer, the optimizer, a loss or a metric is a type that no file can
    /// describe ([`settings!`](crate::settings) gives it a form; [`Network::save_weights`] saves the parameters of
    /// any network); or the system fails to write.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write_own(path.as_ref(), &self.to_bytes()?)
    }

    /// Reads a model that [`Model::save`] wrote. It predicts and continues to train as the saved one would have.
    ///
    /// # Errors
    /// Those of [`Model::from_bytes`], or the system fails to read.
    pub fn load(path: impl AsRef<Path>) -> Result<Model> {
        Model::load_with(path, Load::new())
    }

    /// [`Model::load`] with other limits, or with types of the program's own.
    ///
    /// # Errors
    /// Those of [`Model::load`].
    pub fn load_with(path: impl AsRef<Path>, load: impl Into<Load>) -> Result<Model> {
        let (path, load) = (path.as_ref(), load.into());
        let bytes = read_file(path, load.limits.max_file_bytes)?;
        read_model(&bytes, &path.display().to_string(), &load)
    }

    /// Returns the contents of the file that [`Model::save`] writes. The same model gives the same bytes.
    ///
    /// # Errors
    /// Those of [`Model::save`], or there is not enough memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let name = self.name();
        let place = || {
            format!("'{name}' cannot be saved as a model (save_weights saves the parameters of any network)")
        };
        let config = File::of_model(self).and_then(|file| file.checked(&self.network)).at(place)?;
        let mut tensors = self.params();
        let state = self.driver.state(&self.network)?;
        tensors.extend(state.into_iter().map(|(name, value)| (format!("{STATE}{name}"), value)));
        write(&name, &metadata("model", Some(&config)), &tensors)
    }

    /// Reads a model from the contents of a file. Everything in the bytes is checked before it is used.
    ///
    /// # Errors
    /// The bytes are not a model, are of a newer version, or contain an unknown layer; tensors are missing,
    /// unexpected or of another shape, all of which the message names; or a limit is exceeded.
    pub fn from_bytes(bytes: &[u8], load: impl Into<Load>) -> Result<Model> {
        read_model(bytes, "model", &load.into())
    }

    /// See [`Network::load_weights`]. The optimizer does not change.
    ///
    /// # Errors
    /// Those of [`Network::load_weights`].
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.network.load_weights(path)
    }

    /// See [`Network::load_weights_with`]. The optimizer does not change.
    ///
    /// # Errors
    /// Those of [`Network::load_weights`].
    pub fn load_weights_with(&mut self, path: impl AsRef<Path>, limits: &Limits) -> Result<()> {
        self.network.load_weights_with(path, limits)
    }
}

// ---- networks

impl Network {
    /// Writes the network to one file: its layers and parameters, without a loss. An existing file is replaced at
    /// once or not at all. ([`Model::save`] also saves the optimizer's state, to continue training.)
    ///
    /// # Errors
    /// The network is a struct of your own, a layer is a type that no file can describe, or the system fails to
    /// write.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write_own(path.as_ref(), &self.to_bytes()?)
    }

    /// Reads the network that [`Network::save`] wrote, or that of a saved model.
    ///
    /// # Errors
    /// Those of [`Model::from_bytes`], or the system fails to read.
    pub fn load(path: impl AsRef<Path>) -> Result<Network> {
        Network::load_with(path, Load::new())
    }

    /// [`Network::load`] with other limits, or with types of the program's own.
    ///
    /// # Errors
    /// Those of [`Network::load`].
    pub fn load_with(path: impl AsRef<Path>, load: impl Into<Load>) -> Result<Network> {
        let (path, load) = (path.as_ref(), load.into());
        let bytes = read_file(path, load.limits.max_file_bytes)?;
        read_only_network(&bytes, &path.display().to_string(), &load)
    }

    /// Returns the contents of the file that [`Network::save`] writes. The same network gives the same bytes.
    ///
    /// # Errors
    /// Those of [`Network::save`], or there is not enough memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let name = self.name();
        let place = || {
            format!(
                "'{name}' cannot be saved as a network (save_weights saves the parameters of any network)"
            )
        };
        let config = File::of_network(self).and_then(|file| file.checked(self)).at(place)?;
        write(&name, &metadata("network", Some(&config)), &self.params())
    }

    /// Reads a network from the contents of a file.
    ///
    /// # Errors
    /// Those of [`Model::from_bytes`].
    pub fn from_bytes(bytes: &[u8], load: impl Into<Load>) -> Result<Network> {
        read_only_network(bytes, "network", &load.into())
    }

    /// Writes the parameters of any network, named by path, to a safetensors file.
    ///
    /// # Errors
    /// Two parameters have the same path, or the system fails to write.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        write_own(path.as_ref(), &write(&self.name(), &metadata("weights", None), &self.params())?)
    }

    /// Sets every parameter from a file of [`Network::save_weights`], [`Network::save`] or [`Model::save`], or any
    /// other safetensors file with the same names.
    ///
    /// # Errors
    /// The file is not a safetensors file, or parameters are missing, unexpected or of another shape or dtype, all
    /// of which the message names. Nothing has changed then.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.load_weights_with(path, &Limits::default())
    }

    /// [`Network::load_weights`] with other limits.
    ///
    /// # Errors
    /// Those of [`Network::load_weights`].
    pub fn load_weights_with(&mut self, path: impl AsRef<Path>, limits: &Limits) -> Result<()> {
        let path = path.as_ref();
        let (bytes, what) = (read_file(path, limits.max_file_bytes)?, path.display().to_string());
        self.set_from_file(&what, Tensors::read(&bytes, &what, limits)?)
    }

    /// Sets every parameter from a file that is read; `what` names it in errors.
    ///
    /// # Errors
    /// Those of [`Network::load_weights`].
    pub(crate) fn set_from_file(&mut self, what: &str, mut file: Tensors<'_>) -> Result<()> {
        let expected = specs(self);
        if file.metadata("format").is_some_and(|f| f == FORMAT) {
            check_version(what, &file)?;
            if file.metadata("content").is_some_and(|c| c == "model") {
                file.entries.retain(|name, _| !name.starts_with(STATE) || expected.contains_key(name));
            }
        }
        self.set_params(&Vec::from_iter(values(what, &expected, &file)?))
    }
}

/// Writes a file, unless its ending says that it is of another format.
fn write_own(path: &Path, bytes: &[u8]) -> Result<()> {
    const FOREIGN: [&str; 10] = ["keras", "h5", "hdf5", "onnx", "pb", "tflite", "pt", "pth", "npz", "pkl"];
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("").to_lowercase();
    if FOREIGN.contains(&&ending[..]) {
        let expected = "an ending such as .gradus or .safetensors, for that is what is written";
        return Err(Error::argument("path", expected, format!("'{}'", path.display())));
    }
    write_atomically(path, bytes)
}

// ---- the JSON of a file

/// The configuration in a file.
struct File {
    network: Value,
    compile: Option<Compile>,
    /// Paths of frozen parameters.
    frozen: Vec<String>,
    /// The numbers of parameters and keys, if they differ from those that the walk would give, as in networks that
    /// were cut or joined.
    numbers: Option<(Vec<u32>, Vec<u32>)>,
}

/// What makes a network a model.
struct Compile {
    optimizer: Value,
    /// The current one, which need not be the optimizer's initial one; or a schedule.
    learning_rate: Value,
    /// One for each output.
    losses: Vec<Value>,
    /// For each output.
    metrics: Vec<Vec<Value>>,
    progress: Progress,
}

#[derive(Clone, Copy)]
struct Progress {
    seed: u64,
    steps: u64,
    epochs: u64,
    iterations: u64,
}

impl File {
    fn of_network(network: &Network) -> Result<File> {
        let topology = network.topology();
        let described = json!({ "class_name": topology.file_class(), "config": topology.to_config()? });
        let mut frozen = Vec::new();
        network.visit(&mut |path, p| {
            if p.is_frozen() {
                frozen.push(path.to_string());
            }
        });
        let (params, keys) = numbers(network);
        let counted = |numbers: &[u32], first: u32| numbers.iter().zip(first..).all(|(a, b)| *a == b);
        let own = counted(&params, 0) && counted(&keys, 1);
        Ok(File { network: described, compile: None, frozen, numbers: (!own).then_some((params, keys)) })
    }

    fn of_model(model: &Model) -> Result<File> {
        let metrics =
            |list: &Vec<Box<dyn Metric>>| list.iter().map(|m| describe(&**m)).collect::<Result<_>>();
        let rate = model.driver.rate();
        let compile = Compile {
            optimizer: describe(model.driver.optimizer())?,
            learning_rate: rate.write()?,
            losses: model.head.losses.iter().map(|l| describe(&**l)).collect::<Result<_>>()?,
            metrics: model.head.metrics.iter().map(metrics).collect::<Result<_>>()?,
            progress: Progress {
                seed: model.seed,
                steps: model.steps,
                epochs: model.epochs,
                iterations: model.driver.steps(),
            },
        };
        Ok(File { compile: Some(compile), ..File::of_network(&model.network)? })
    }

    /// Returns the text, after checking that it describes the parameters there are and that a reader accepts it.
    fn checked(&self, network: &Network) -> Result<String> {
        let mut config = json!({ "network": self.network, "frozen": self.frozen, "adapters": [] });
        if let Some(compile) = &self.compile {
            let Progress { seed, steps, epochs, iterations } = compile.progress;
            config["compile"] = json!({
                "optimizer": compile.optimizer, "learning_rate": compile.learning_rate,
                "losses": compile.losses, "metrics": compile.metrics,
            });
            config["progress"] =
                json!({ "seed": seed, "steps": steps, "epochs": epochs, "iterations": iterations });
        }
        if let Some((params, keys)) = &self.numbers {
            config["numbers"] = json!({ "params": params, "keys": keys });
        }
        let text = config.to_string();
        check_outline("configuration", &outline(text.as_bytes()), &Limits::default())?;
        let mut init = Init::planned(network.dtype(), Budget::NONE);
        let again = Network::assemble(network.topology().clone(), &mut init)?;
        if specs(&again) != specs(network) {
            return Err(Error::Custom(
                "its parameters are not those that its configuration describes".into(),
            ));
        }
        Ok(text)
    }

    /// Reads the text of version 1 or 2.
    fn parse(text: &str, registry: &Registry) -> Result<File> {
        let value = super::json::parse(text.as_bytes()).map_err(|why| Error::format("configuration", why))?;
        const KEYS: &[&str] = &["network", "compile", "progress", "frozen", "adapters", "numbers"];
        let mut from = Reader::open("configuration", KEYS, value, registry)?;
        let network = from.required("network")?;
        let adapters: Option<Vec<Value>> = from.optional("adapters")?;
        if adapters.is_some_and(|list| !list.is_empty()) {
            let why = "the file has adapters before its inputs, which this version of gradus does not know";
            return Err(Error::format("configuration", why));
        }
        let numbers = match from.optional::<Value>("numbers")? {
            Some(value) => {
                let mut from = Reader::open("numbers", &["params", "keys"], value, registry)?;
                Some((from.required("params")?, from.required("keys")?))
            }
            None => None,
        };
        let compile = match from.optional::<Value>("compile")? {
            Some(compile) => {
                let keys = &["optimizer", "learning_rate", "losses", "metrics"];
                let mut compile = Reader::open("compile", keys, compile, registry)?;
                let progress = from.required("progress")?;
                let keys = &["seed", "steps", "epochs", "iterations"];
                let mut progress = Reader::open("progress", keys, progress, registry)?;
                Some(Compile {
                    optimizer: compile.required("optimizer")?,
                    learning_rate: compile.required("learning_rate")?,
                    losses: compile.required("losses")?,
                    metrics: compile.required("metrics")?,
                    progress: Progress {
                        seed: progress.required("seed")?,
                        steps: progress.required("steps")?,
                        epochs: progress.required("epochs")?,
                        iterations: progress.required("iterations")?,
                    },
                })
            }
            None => None,
        };
        Ok(File { network, compile, frozen: from.required("frozen")?, numbers })
    }
}

/// Returns the metadata that every file has.
fn metadata<'a>(content: &'a str, config: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let mut out = vec![
        ("format", FORMAT),
        ("format_version", "2"),
        ("gradus_version", env!("CARGO_PKG_VERSION")),
        ("content", content),
    ];
    out.extend(config.map(|c| ("config", c)));
    out
}

/// Returns the slots of a parameter by their names in files, with shape and dtype.
fn slots_of(driver: &Driver, path: &WalkPath, p: &Param) -> impl Iterator<Item = (String, Spec)> + use<> {
    let (path, parameter) = (path.to_string(), p.value().spec());
    let slots = driver.slots(&path, p).into_iter();
    slots.map(move |slot| (format!("{STATE}{path}/{}", slot.name), slot.spec(parameter)))
}

/// Returns shape and dtype of each parameter.
fn specs(network: &Network) -> BTreeMap<String, Spec> {
    let mut out = BTreeMap::new();
    network.visit(&mut |path, p| {
        out.insert(path.to_string(), p.value().spec());
    });
    out
}

// ---- reading

/// Fails unless this version of the format is known.
fn check_version(what: &str, file: &Tensors<'_>) -> Result<()> {
    let bad = || Error::format(what, "its metadata has no valid format_version");
    let version = file.metadata("format_version").and_then(|v| v.parse::<u64>().ok()).ok_or_else(bad)?;
    if version == 0 {
        return Err(bad());
    }
    if version > VERSION {
        let by = file.metadata("gradus_version").unwrap_or("unknown");
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

/// Returns the configuration of a file that holds a model, or at least a network.
fn config_of<'f>(file: &'f Tensors<'_>, what: &str, load: &Load, models_only: bool) -> Result<&'f str> {
    if file.metadata("format").is_none_or(|f| f != FORMAT) {
        let why = "a safetensors file, but not one of gradus's (load_weights takes tensors from any)";
        return Err(Error::format(what, why));
    }
    check_version(what, file)?;
    let config = match (file.metadata("content"), file.metadata("config")) {
        (Some("model"), Some(config)) => config,
        (Some("network"), Some(config)) if !models_only => config,
        (Some("network"), Some(_)) => {
            return Err(Error::format(
                what,
                "it holds a network without a loss: use Network::load, then compile",
            ));
        }
        (Some("weights"), _) => {
            return Err(Error::format(what, "it holds weights without a model: use load_weights"));
        }
        _ => return Err(Error::format(what, "its metadata has no configuration of a model")),
    };
    let text = outline(config.as_bytes());
    check_outline(what, &text, &load.limits)?;
    check(what, "the length of a name", text.longest, load.limits.max_name)?;
    Ok(config)
}

fn read_model(bytes: &[u8], what: &str, load: &Load) -> Result<Model> {
    let file = Tensors::read(bytes, what, &load.limits)?;
    let config = config_of(&file, what, load, true)?;
    restore_model(File::parse(config, &load.registry).at(|| what)?, &file, what, load).at(|| what)
}

fn read_only_network(bytes: &[u8], what: &str, load: &Load) -> Result<Network> {
    let mut file = Tensors::read(bytes, what, &load.limits)?;
    let config = config_of(&file, what, load, false)?;
    let mut network = plan(File::parse(config, &load.registry).at(|| what)?, load).at(|| what)?.0;
    let expected = specs(&network);
    file.entries.retain(|name, _| !name.starts_with(STATE) || expected.contains_key(name));
    network.set_params(&Vec::from_iter(values(what, &expected, &file)?))?;
    Ok(network)
}

/// Builds the network of a configuration, whose parameters have shapes but neither values nor memory; and returns
/// what makes it a model.
fn plan(file: File, load: &Load) -> Result<(Network, Option<Compile>)> {
    let topology = read_network(file.network, &load.registry)?;
    let budget = Budget {
        elements: load.limits.max_elements,
        bytes: load.limits.max_total_bytes,
        calls: Budget::FILE_CALLS,
    };
    let mut init = Init::planned(topology.dtype, budget);
    let mut network = Network::assemble(topology.into(), &mut init)?.settled()?;
    if let Some((params, keys)) = file.numbers {
        set_numbers(&mut network, &params, &keys)?;
    }
    let mut frozen: BTreeSet<String> = file.frozen.into_iter().collect();
    network.visit_mut(&mut |path, p| p.set_frozen(frozen.remove(path.as_str())));
    match frozen.first() {
        Some(path) => Err(Error::format("frozen", format!("{path:?} is no parameter of the network"))),
        None => Ok((network, file.compile)),
    }
}

/// Builds the model of a configuration with the values of a file.
fn restore_model(config: File, file: &Tensors<'_>, what: &str, load: &Load) -> Result<Model> {
    let (network, compile) = plan(config, load)?;
    let Some(compile) = compile else {
        return Err(Error::format(what, "its configuration has no compilation"));
    };
    let registry = &load.registry;
    let rule: Dyn<dyn Optimizer> = Setting::read(compile.optimizer, registry)?;
    let mut driver = Driver::from_arc(rule.0);
    let loss = |value| Dyn::<dyn Loss>::read(value, registry);
    let metric = |value| Ok(Dyn::<dyn Metric>::read(value, registry)?.clone_metric());
    let losses = compile.losses.into_iter().map(loss).collect::<Result<_>>()?;
    let outputs: Vec<String> = network.output_names().map(str::to_string).collect();
    if compile.metrics.len() != outputs.len() {
        let expected = format!("a list for each of {} outputs", outputs.len());
        return Err(Error::argument("metrics", expected, compile.metrics.len()));
    }
    let metrics = compile
        .metrics
        .into_iter()
        .zip(outputs)
        .map(|(list, output)| Ok((output, list.into_iter().map(metric).collect::<Result<_>>()?)));
    let metrics = metrics.collect::<Result<_>>()?;

    let Progress { seed, steps, epochs, iterations } = compile.progress;
    for (name, count) in [("steps", steps), ("epochs", epochs), ("iterations", iterations)] {
        check(name, "the count", count, MAX_COUNT)?;
    }
    driver.check_settings()?;
    driver.set_rate(LearningRate::read(compile.learning_rate, registry).at(|| "learning_rate")?);
    driver.set_steps(iterations)?;
    let mut model = compile_with(network, driver, losses, metrics)?;
    (model.seed, model.steps, model.epochs) = (seed, steps, epochs);

    let mut driver = model.driver.clone();
    let mut expected = specs(&model.network);
    let mut with_state = BTreeSet::new();
    let started = driver.steps() > 0;
    model.visit(&mut |path, p| {
        let named: Vec<_> = slots_of(&driver, path, p).collect();
        if (p.trainable() && started) || named.iter().any(|(name, _)| file.entries.contains_key(name)) {
            expected.extend(named);
            with_state.insert(path.to_string());
        }
    });
    let mut values = values(what, &expected, file)?;
    let mut state = Vec::new();
    model.visit(&mut |path, p| {
        if with_state.contains(path.as_str()) {
            state.extend(slots_of(&driver, path, p).filter_map(|(name, _)| {
                let value = values.remove(&name)?;
                Some((name.strip_prefix(STATE)?.to_string(), value))
            }));
        }
    });
    driver.set_state(&model.network, &state)?;
    model.driver = driver;
    model.set_params(&Vec::from_iter(values))?;
    Ok(model)
}

/// Returns the tensors of a file, which must be exactly the expected ones.
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
