//! From the graphs of a network to nodes: inputs, parameters and constants, then each step by its form, then outputs.

use super::emit::{Call, Emit, Node};
use super::file::{Head, Port};
use super::forms;
use super::own::Own;
use super::traces::{Size, Traces};
use crate::autograd::apply;
use crate::error::Context;
use crate::graph::{Source, Step, ValueId};
use crate::nn::Network;
use crate::shape::is_unknown;
use crate::{Error, Result, Spec, Tensor};
use std::collections::HashSet;

/// What is known may become this many elements when it is computed ahead of time, or what it was computed from.
const FOLDED: usize = 1 << 20;

/// Names for the axes of inputs that may have any size, given by the caller: input, axis, name.
pub(super) type AxisNames = [(String, usize, String)];

/// Writes the nodes of a network; returns them with the model's inputs and outputs.
pub(super) fn emit<'a>(
    network: &Network,
    traces: &'a Traces,
    opset: i64,
    names: &AxisNames,
    own: &'a [Own],
) -> Result<(Head, Emit<'a>)> {
    let mut e = Emit::new(traces, opset, own);
    // Names that others will look for come first.
    let inputs: Vec<(ValueId, String)> = traces.given().map(|(value, name)| (value, e.free(name))).collect();
    let results: Vec<(ValueId, String)> =
        traces.results().map(|(value, name)| (value, e.free(name))).collect();
    for (value, name) in &inputs {
        e.put_plain(*value, name.clone());
    }
    let graph = traces.first();
    for (number, (value, source)) in graph.sources().iter().enumerate() {
        match source {
            Source::Parameter(path) => {
                let missing = || Error::argument("onnx", "parameters of the network", format!("'{path}'"));
                e.know(*value, path.clone(), network.param(path).ok_or_else(missing)?);
            }
            Source::Constant(_) => constant(&mut e, number, *value)?,
            _ => {}
        }
    }
    for (number, step) in graph.steps().iter().enumerate() {
        write(&mut e, number, step).at(|| step.place())?;
    }
    e.layer = String::new();
    for (value, name) in &results {
        let from = e.plain(*value)?;
        let used = results.iter().any(|(_, other)| *other == from);
        let made = !used && e.nodes.iter().any(|node| node.outputs.contains(&from));
        if made {
            rename(&mut e.nodes, &from, name);
            e.renamed(&from, name);
        } else {
            let name = name.clone();
            e.nodes.push(Node {
                name: name.clone(),
                op: "Identity",
                inputs: vec![from],
                outputs: vec![name],
                fields: Vec::new(),
            });
        }
    }
    keep_needed(&mut e, &results);
    let symbols = Symbols { traces, names };
    let head = Head {
        name: network.name(),
        inputs: inputs.iter().enumerate().map(|(i, (value, name))| symbols.input(i, *value, name)).collect(),
        outputs: results.iter().map(|(value, name)| symbols.output(*value, name)).collect(),
    };
    Ok((head, e))
}

/// A constant that is the same in all traces is one; a single number may follow from a size.
fn constant(e: &mut Emit<'_>, number: usize, value: ValueId) -> Result<()> {
    let all = e.traces.constants(number);
    let Some(first) = all.first() else { return Ok(()) };
    if all.iter().all(|other| first.same_bits(other)) {
        e.know(value, "constant".into(), (*first).clone());
        return Ok(());
    }
    let numbers: Option<Vec<i64>> =
        all.iter().map(|t| t.item().ok().filter(|v| v.fract() == 0.0).map(|v| v as i64)).collect();
    if let Some(size) = numbers.and_then(|numbers| e.traces.explain(&numbers, &[])) {
        let n = e.length(&size)?;
        let n = e.cast(&n, first.dtype());
        let shape = e.ints(&vec![1; first.rank()])?;
        let n = e.node("Reshape", &[&n, &shape]);
        e.put_plain(value, n);
        return Ok(());
    }
    let users = e.traces.first().steps().iter().find(|step| step.inputs().contains(&value)).map(Step::place);
    let expected = "constants that do not depend on the sizes of inputs: make them of an input, as x.new_full(shape, value) does, and \
                    positions as its cumsum, or of x.slice(…) of a longer constant";
    let got: Vec<String> = all.iter().map(|t| t.spec().to_string()).collect();
    let error = Error::argument("onnx", expected, format!("other ones for other sizes ({})", got.join(", ")));
    Err(match users {
        Some(place) => error.at(place),
        None => error,
    })
}

fn write(e: &mut Emit<'_>, number: usize, step: &Step) -> Result<()> {
    e.layer = step.layer().to_string();
    let call = Call {
        name: step.name(),
        attrs: e.traces.attrs(number),
        inputs: step.inputs().to_vec(),
        outputs: step.outputs().to_vec(),
    };
    if folded(e, step, &call)? {
        return Ok(());
    }
    forms::write(e, &call)
}

/// Computes a step whose inputs are known ahead of time; says whether it did.
fn folded(e: &mut Emit<'_>, step: &Step, call: &Call) -> Result<bool> {
    let known: Option<Vec<Tensor>> = call.inputs.iter().map(|value| e.known(*value).cloned()).collect();
    let Some(known) = known.filter(|known| !known.is_empty()) else { return Ok(false) };
    let alike = call.attrs.iter().all(|attrs| *attrs == call.attrs[0]);
    let fixed =
        |value: &ValueId| e.traces.graphs.iter().all(|graph| graph.spec(*value) == Some(e.spec(*value)));
    let given: usize = known.iter().map(Tensor::elements).sum();
    let made: usize = call.outputs.iter().map(|value| e.spec(*value).shape.elements()).sum();
    if !alike || !call.outputs.iter().all(fixed) || step.op().is_random() || made > FOLDED.max(2 * given) {
        return Ok(false);
    }
    let inputs: Vec<&Tensor> = known.iter().collect();
    let outputs = apply(step.op().clone(), &inputs)?;
    for (value, tensor) in call.outputs.iter().zip(outputs) {
        let name =
            if e.layer.is_empty() { step.name().to_string() } else { format!("{}/{}", e.layer, step.name()) };
        e.know(*value, name, tensor);
    }
    Ok(true)
}

fn rename(nodes: &mut [Node], from: &str, to: &str) {
    for node in nodes {
        for name in node.inputs.iter_mut().chain(&mut node.outputs).filter(|name| *name == from) {
            *name = to.into();
        }
        for body in node.bodies_mut() {
            rename(&mut body.nodes, from, to);
        }
    }
}

fn mark<'n>(node: &'n Node, needed: &mut HashSet<&'n str>) {
    needed.extend(node.inputs.iter().map(String::as_str));
    node.bodies().flat_map(|body| &body.nodes).for_each(|node| mark(node, needed));
}

/// Leaves out nodes and tensors that no output needs.
fn keep_needed(e: &mut Emit<'_>, results: &[(ValueId, String)]) {
    let mut needed: HashSet<&str> = results.iter().map(|(_, name)| name.as_str()).collect();
    let mut kept = vec![false; e.nodes.len()];
    for (i, node) in e.nodes.iter().enumerate().rev() {
        kept[i] = node.outputs.iter().any(|name| needed.contains(name.as_str()));
        if kept[i] {
            mark(node, &mut needed);
        }
    }
    let needed: HashSet<String> = needed.into_iter().map(String::from).collect();
    let mut kept = kept.into_iter();
    e.nodes.retain(|_| kept.next().unwrap_or(true));
    e.tensors.retain(|(name, _)| needed.contains(name));
}

/// The names of sizes that may be any.
struct Symbols<'a> {
    traces: &'a Traces,
    names: &'a AxisNames,
}

impl Symbols<'_> {
    fn input(&self, number: usize, value: ValueId, name: &str) -> Port {
        let spec = self.traces.inputs[number];
        let size = |axis: usize, n: usize| if is_unknown(n) { Err(self.axis(number, axis)) } else { Ok(n) };
        let sizes = spec.shape.dims().iter().enumerate().map(|(axis, n)| size(axis, *n)).collect();
        let dtype = self.traces.first().spec(value).map_or(spec.dtype, |spec| spec.dtype);
        Port { name: name.into(), dtype, sizes }
    }

    /// The name of an axis of an input: the caller's, or what such an axis usually is.
    fn axis(&self, number: usize, axis: usize) -> String {
        let input = self.traces.given().nth(number).map_or("", |(_, name)| name);
        if let Some((_, _, name)) = self.names.iter().find(|(of, at, _)| of == input && *at == axis) {
            return name.clone();
        }
        let spec: Spec = self.traces.inputs[number];
        let name = match (spec.shape.rank(), axis) {
            (_, 0) => return "batch".into(),
            (2 | 3, 1) => "time".to_string(),
            (4, 1) | (5, 2) => "height".to_string(),
            (4, 2) | (5, 3) => "width".to_string(),
            (5, 1) => "depth".to_string(),
            _ => format!("axis_{axis}"),
        };
        // Of several inputs, each has a length of its own, unless all have to have one.
        if self.traces.inputs.len() == 1 || self.traces.equal { name } else { format!("{input}_{name}") }
    }

    fn output(&self, value: ValueId, name: &str) -> Port {
        let spec =
            self.traces.first().spec(value).unwrap_or(Spec::new(crate::Shape::SCALAR, crate::DType::F32));
        let size = |axis: usize| {
            let n: Vec<i64> = self.traces.sizes(value, axis).into_iter().map(|n| n as i64).collect();
            match self.traces.explain(&n, &[]) {
                Some(Size::Known(n)) => Ok(n as usize),
                Some(Size::Of(input, axis)) => {
                    let number = self.traces.given().position(|(value, _)| value == input);
                    Err(number.map_or_else(|| format!("{name}_{axis}"), |number| self.axis(number, axis)))
                }
                _ => Err(format!("{name}_{axis}")),
            }
        };
        Port { name: name.into(), dtype: spec.dtype, sizes: (0..spec.shape.rank()).map(size).collect() }
    }
}
