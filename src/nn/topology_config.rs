//! The form of networks in files: a stack as a list of layers, any other graph as layers, calls and outputs. A
//! network that is read gets the same checks as one that a program builds, and each part refers only to earlier
//! ones.

use super::Build;
use super::layers::Input;
use super::sequential::{Sequential, Stack};
use super::symbol::Shared;
use super::topology::{At, Entry, Invocation, NamedInput, Nested, Output, Topology};
use crate::config::generated::{Reader, Value, wrong};
use crate::config::{Described, Dyn, Registry, Setting, describe, described};
use crate::error::Context;
use crate::{DType, Error, Result};
use serde_json::{Map, json};
use std::sync::Arc;

impl Topology {
    /// Returns it as JSON, in the form of its class.
    ///
    /// # Errors
    /// A layer has no form in files.
    pub(crate) fn to_config(&self) -> Result<Value> {
        let Topology { name, seed, dtype, .. } = self;
        let class = self.file_class();
        let described = |entry: &Entry| describe(&*entry.build).at(|| format!("layer '{}'", entry.name));
        if class == "Sequential" {
            // If each layer is called once, from one input on, the list of calls says it all.
            let input = self.inputs.first().map(|i| describe(&i.input as &dyn Build));
            let layers = self.calls.iter().map(|c| described(&self.layers[c.layer]));
            let layers: Vec<Value> = input.into_iter().chain(layers).collect::<Result<_>>()?;
            return Ok(json!({ "name": name, "seed": seed, "dtype": dtype.name(), "layers": layers }));
        }
        if class != "Functional" {
            let why = format!("{class} is a struct of your own as a network, so no file can describe it");
            return Err(Error::Custom(why));
        }
        let inputs: Vec<Value> = self.inputs.iter().map(input_config).collect::<Result<_>>()?;
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|entry| {
                let mut layer = described(entry)?;
                layer["name"] = json!(entry.name);
                Ok(layer)
            })
            .collect::<Result<_>>()?;
        let calls: Vec<Value> = self
            .calls
            .iter()
            .map(|call| {
                let inputs: Vec<Value> = call.inputs.iter().map(|at| at_config(*at)).collect();
                json!({ "layer": call.layer, "inputs": inputs, "names": call.names })
            })
            .collect();
        let outputs: Vec<Value> =
            self.outputs.iter().map(|o| json!({ "name": o.name, "from": at_config(o.at) })).collect();
        Ok(json!({
            "name": name, "seed": seed, "dtype": dtype.name(),
            "inputs": inputs, "layers": layers, "calls": calls, "outputs": outputs,
        }))
    }
}

fn input_config(input: &NamedInput) -> Result<Value> {
    let mut config = crate::config::Configured::config(&input.input)?;
    config["name"] = json!(input.name);
    Ok(config)
}

/// `{"input": 0}` or `{"call": 3, "output": 0}`.
fn at_config(at: At) -> Value {
    match at {
        At::Input(input) => json!({ "input": input }),
        At::Call { call, output } => json!({ "call": call, "output": output }),
    }
}

/// Reads a list of objects under a key.
fn list(from: &mut Reader<'_>, key: &'static str) -> Result<Vec<Value>> {
    match from.required(key)? {
        Value::Array(values) => Ok(values),
        other => Err(wrong("a list", &other).at(key)),
    }
}

/// Reads a stack as a layer.
pub(super) fn sequential(config: Value, registry: &Registry) -> Result<Arc<dyn Build>> {
    Ok(Arc::new(Stack::new(read_sequential(config, registry)?)))
}

/// Reads a graph as a layer.
pub(super) fn functional(config: Value, registry: &Registry) -> Result<Arc<dyn Build>> {
    Ok(Arc::new(Nested::new(Arc::new(read_functional(config, registry)?))))
}

/// Reads a network from a file.
///
/// # Errors
/// The class is unknown, or the configuration does not describe a network.
pub(crate) fn read_network(config: Value, registry: &Registry) -> Result<Topology> {
    let (class, config) = described("network", config)?;
    match class.as_str() {
        "Sequential" => read_sequential(config, registry)?.topology(),
        "Functional" => read_functional(config, registry),
        other => {
            let other = other.escape_debug();
            let why = format!("unknown name '{other}', expected one of Sequential, Functional");
            Err(Error::format("network", why))
        }
    }
}

fn read_sequential(config: Value, registry: &Registry) -> Result<Sequential> {
    let mut from = Reader::open("Sequential", &["name", "seed", "dtype", "layers"], config, registry)?;
    let layers = list(&mut from, "layers")?;
    let layers = layers.into_iter().map(|layer| read_layer(layer, registry)).collect::<Result<_>>()?;
    let name = from.optional::<Option<String>>("name")?.flatten();
    Ok(Sequential::of(layers, name, from.required("seed")?, from.required("dtype")?))
}

fn read_layer(layer: Value, registry: &Registry) -> Result<Shared> {
    let Dyn(build) = Setting::read(layer, registry)?;
    Ok(Shared::from_arc(build))
}

fn read_functional(config: Value, registry: &Registry) -> Result<Topology> {
    const KEYS: &[&str] = &["name", "seed", "dtype", "inputs", "layers", "calls", "outputs"];
    let mut from = Reader::open("Functional", KEYS, config, registry)?;
    let inputs = list(&mut from, "inputs")?.into_iter().map(|input| {
        let input = Input::from_config(input, registry)?;
        Ok(NamedInput { name: input.name().unwrap_or_default().into(), input })
    });
    let inputs: Vec<NamedInput> = inputs.collect::<Result<_>>()?;
    let layers = list(&mut from, "layers")?.into_iter().map(|layer| {
        let (name, layer) = take_name(layer)?;
        Ok(Entry { name, build: read_layer(layer, registry)?.build().clone() })
    });
    let layers: Vec<Entry> = layers.collect::<Result<_>>()?;
    let mut calls: Vec<Invocation> = Vec::new();
    for (number, call) in list(&mut from, "calls")?.into_iter().enumerate() {
        let place = || format!("call {number}");
        let mut call = Reader::open("call", &["layer", "inputs", "names"], call, registry).at(place)?;
        let layer: usize = call.required("layer").at(place)?;
        if layer >= layers.len() {
            let why = format!("it is one of layer {layer}, but there are {} layers", layers.len());
            return Err(Error::format("Functional", why).at(place()));
        }
        let given = list(&mut call, "inputs")
            .and_then(|list| list.into_iter().map(|at| read_at(at, inputs.len(), number, registry)).collect())
            .at(place)?;
        let names: Vec<String> = call.optional("names").at(place)?.unwrap_or_default();
        calls.push(Invocation { layer, inputs: given, names });
    }
    let mut called = vec![false; layers.len()];
    calls.iter().for_each(|call| called[call.layer] = true);
    let unused = called.iter().position(|called| !called);
    if let Some(unused) = unused {
        let why = format!("the layer '{}' is never called", layers[unused].name.escape_debug());
        return Err(Error::format("Functional", why));
    }
    let outputs = list(&mut from, "outputs")?.into_iter().map(|output| {
        let mut output = Reader::open("output", &["name", "from"], output, registry)?;
        let at = output.required("from")?;
        Ok(Output { name: output.required("name")?, at: read_at(at, inputs.len(), calls.len(), registry)? })
    });
    let outputs: Vec<Output> = outputs.collect::<Result<_>>()?;
    if outputs.is_empty() {
        return Err(Error::format("Functional", "it has no outputs"));
    }
    let mut topology = Topology {
        class: "Functional",
        name: from.optional::<Option<String>>("name")?.flatten(),
        seed: from.required("seed")?,
        dtype: from.required::<DType>("dtype")?,
        inputs,
        layers,
        calls,
        outputs,
        rows: Vec::new(),
    };
    topology.check_connected()?;
    topology.arrange();
    Ok(topology)
}

/// Takes the name out of an object.
fn take_name(mut value: Value) -> Result<(String, Value)> {
    let name = value.as_object_mut().and_then(|object: &mut Map<String, Value>| object.remove("name"));
    match name {
        Some(Value::String(name)) if !name.is_empty() => Ok((name, value)),
        _ => Err(Error::format("layer", "expected an object with name, class_name and config")),
    }
}

/// Reads where a tensor comes from: an input, or a call before number `before`.
fn read_at(value: Value, inputs: usize, before: usize, registry: &Registry) -> Result<At> {
    let mut from = Reader::open("input", &["input", "call", "output"], value, registry)?;
    let input: Option<usize> = from.optional("input")?;
    match (input, from.optional::<usize>("call")?, from.optional::<usize>("output")?) {
        (Some(i), None, None) if i < inputs => Ok(At::Input(i)),
        (Some(i), None, None) => {
            Err(Error::format("Functional", format!("input {i}, but there are {inputs} inputs")))
        }
        (None, Some(call), output) if call < before => Ok(At::Call { call, output: output.unwrap_or(0) }),
        (None, Some(call), _) => {
            let why =
                format!("it needs call {call}, which does not come before it (a cycle, or a missing call)");
            Err(Error::format("Functional", why))
        }
        _ => Err(Error::format("Functional", "expected {\"input\": i} or {\"call\": c, \"output\": o}")),
    }
}

impl Topology {
    /// Fails if a call or an input leads to no output.
    fn check_connected(&self) -> Result<()> {
        let (mut calls, mut inputs) = (vec![false; self.calls.len()], vec![false; self.inputs.len()]);
        let mut pending: Vec<At> = self.outputs.iter().map(|o| o.at).collect();
        while let Some(at) = pending.pop() {
            match at {
                At::Input(i) => inputs[i] = true,
                At::Call { call, .. } if !calls[call] => {
                    calls[call] = true;
                    pending.extend(&self.calls[call].inputs);
                }
                At::Call { .. } => {}
            }
        }
        let unused = |used: &[bool]| used.iter().position(|u| !u);
        match (unused(&calls), unused(&inputs)) {
            (Some(call), _) => Err(Error::format("Functional", format!("call {call} leads to no output"))),
            (_, Some(input)) => Err(Error::format("Functional", format!("input {input} leads to no output"))),
            _ => Ok(()),
        }
    }
}
