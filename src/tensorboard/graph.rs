//! A network's graph of operations as a `GraphDef`: a node for each input, parameter, constant, operation and output, in the scopes of the
//! layers that they belong to, with attributes and output shapes.

use super::summary::{shape, type_number};
use crate::autograd::Attr;
use crate::graph::{Graph, Output, Source, Step, ValueId};
use crate::io::proto::Message;
use crate::nn::Network;
use crate::shape::is_unknown;
use crate::{Error, Result, Spec};
use std::collections::{BTreeMap, BTreeSet};

/// The graph of a network; sizes that its inputs leave open are open in it.
pub(super) fn of_network(network: &Network) -> Result<Message> {
    let [apart, equal] = network.trial_inputs();
    // Sizes that are not known may have to be equal.
    let (graph, specs) = open(network, &apart).or_else(|_| open(network, &equal))?;
    let mut nodes = Nodes { specs, ..Nodes::default() };
    for (value, source) in graph.sources() {
        nodes.source(*value, source);
    }
    for step in graph.steps() {
        nodes.step(step);
    }
    for (output, value) in graph.outputs() {
        nodes.output(output, *value);
    }
    let versions = Message::new().int(1, 27);
    Ok(nodes.graph.message(4, &versions))
}

/// The graph, and the spec of each value, in which a size that depends on one that is not known is not known either.
fn open(network: &Network, [first, second]: &[Vec<Spec>; 2]) -> Result<(Graph, BTreeMap<ValueId, Spec>)> {
    let (graph, other) = (Graph::of_network(network, first)?, Graph::of_network(network, second)?);
    let values = |graph: &Graph| -> Vec<(ValueId, Spec)> {
        let sources = graph.sources().iter().map(|(value, _)| *value);
        let steps = graph.steps().iter().flat_map(|step| step.outputs().to_vec());
        sources.chain(steps).filter_map(|value| Some((value, graph.spec(value)?))).collect()
    };
    let (mut specs, others) = (values(&graph), values(&other));
    if specs.len() != others.len() {
        let expected = "a network that runs the same operations for inputs of any size";
        return Err(Error::argument("graph", expected, network.name()));
    }
    for ((_, spec), (_, other)) in specs.iter_mut().zip(&others) {
        if spec.shape.rank() == other.shape.rank() {
            spec.shape = spec.shape.united(&other.shape);
        }
    }
    Ok((graph, specs.into_iter().collect()))
}

/// The nodes of a graph as they are written.
#[derive(Default)]
struct Nodes {
    graph: Message,
    specs: BTreeMap<ValueId, Spec>,
    /// Under which name a value is used.
    names: BTreeMap<ValueId, String>,
    taken: BTreeSet<String>,
}

impl Nodes {
    fn source(&mut self, value: ValueId, source: &Source) {
        let (wanted, op) = match source {
            Source::Input(name) => (name.clone(), "Placeholder"),
            Source::Parameter(path) => (path.clone(), "Parameter"),
            Source::State(key, call) => (format!("state/{key}.{call}"), "State"),
            Source::Constant(_) => ("constant/constant".into(), "Const"),
        };
        let name = self.free(&wanted);
        let node = self.node(&name, op, &[], &[value]);
        self.add(node);
        self.names.insert(value, name);
    }

    fn step(&mut self, step: &Step) {
        let wanted = match step.layer() {
            "" => step.name().to_string(),
            layer => format!("{layer}/{}", step.name()),
        };
        let name = self.free(&wanted);
        let mut node = self.node(&name, step.name(), step.inputs(), step.outputs());
        for (key, value) in step.attrs().iter() {
            if let Some(value) = attribute(value) {
                node = with_attribute(node, key, &value);
            }
        }
        self.add(node);
        for (i, value) in step.outputs().iter().enumerate() {
            self.names.insert(*value, if i == 0 { name.clone() } else { format!("{name}:{i}") });
        }
    }

    fn output(&mut self, output: &Output, value: ValueId) {
        let wanted = match output {
            Output::Result(name) => format!("output/{name}"),
            other => format!("output/{other}"),
        };
        let name = self.free(&wanted);
        let node = self.node(&name, "Identity", &[value], &[value]);
        self.add(node);
    }

    fn add(&mut self, node: Message) {
        self.graph = std::mem::take(&mut self.graph).message(1, &node);
    }

    /// A node with the shapes and the type of what it computes.
    fn node(&self, name: &str, op: &str, inputs: &[ValueId], outputs: &[ValueId]) -> Message {
        let mut node = Message::new().blob(1, name).blob(2, op);
        for input in inputs.iter().filter_map(|input| self.names.get(input)) {
            node = node.blob(3, input);
        }
        let specs = || outputs.iter().filter_map(|value| self.specs.get(value));
        if let Some(spec) = specs().next() {
            node = with_attribute(node, "dtype", &Message::new().int(6, type_number(spec.dtype)));
        }
        let shapes = specs().fold(Message::new(), |list, spec| {
            let sizes = spec.shape.dims().iter().map(|&size| Some(size).filter(|&size| !is_unknown(size)));
            list.message(7, &shape(sizes))
        });
        with_attribute(node, "_output_shapes", &Message::new().message(1, &shapes))
    }

    /// A name that no other node has, of characters that names may have.
    fn free(&mut self, wanted: &str) -> String {
        let fits = |c: char| if c.is_ascii_alphanumeric() || "_./-".contains(c) { c } else { '_' };
        let wanted: String = wanted.chars().map(fits).collect();
        let mut name = wanted.clone();
        let mut number = 0;
        while !self.taken.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}_{number}");
        }
        name
    }
}

/// A node with one attribute more.
fn with_attribute(node: Message, key: &str, value: &Message) -> Message {
    node.message(5, &Message::new().blob(1, key).message(2, value))
}

fn attribute(value: &Attr) -> Option<Message> {
    let message = Message::new();
    Some(match value {
        Attr::Bool(v) => message.int(5, i64::from(*v)),
        Attr::Int(v) => message.int(3, *v),
        Attr::Float(v) => message.float(4, *v as f32),
        Attr::Ints(v) => message.message(1, &v.iter().fold(Message::new(), |list, v| list.int(3, *v))),
        Attr::Text(v) => message.blob(2, v.as_bytes()),
        Attr::None => return None,
    })
}
