//! Capturing: a function runs once on tensors without values, and what it recorded is walked back from its results.

use super::{Graph, Output, Source, Step, ValueId};
use crate::autograd::{Edge, Held, Node, fresh_id};
use crate::nn::Scope;
use crate::tensor::storage::Shared;
use crate::tensor::{Array, Tensor};
use crate::{Error, Result, Spec};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

impl Graph {
    /// The graph of a function of tensors of these shapes. Gradients can be asked for inside: take [`Tensor::tracked`] of an
    /// input, and return what [`grad`](crate::autograd::grad) or `backward` give.
    ///
    /// # Errors
    /// Those of `f`, it reads values, or a result has none of its own ([`Tensor::opaque`]).
    pub fn capture(inputs: &[Spec], f: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>) -> Result<Graph> {
        let mut trace = Trace::default();
        let given: Vec<Tensor> =
            inputs.iter().enumerate().map(|(i, spec)| trace.input(Source::Input(format!("x{i}")), *spec)).collect();
        let outputs = f(&given)?.into_iter().enumerate();
        trace.graph(outputs.map(|(i, t)| (Output::Result(i.to_string()), t)).collect())
    }
}

/// What a capture begins with: the leaves that it hands out, by the keys that they are found again under.
#[derive(Default)]
pub(super) struct Trace {
    sources: Vec<(u64, Source, Spec)>,
    /// Of parameters.
    pub(super) paths: BTreeMap<u64, String>,
    /// Which steps belong to which layer.
    pub(super) scopes: Vec<Scope>,
}

impl Trace {
    /// A leaf without values.
    pub(super) fn input(&mut self, source: Source, spec: Spec) -> Tensor {
        let key = fresh_id();
        self.sources.push((key, source, spec));
        Tensor::leaf(Array::traced(spec), key, false)
    }

    /// The graph of all that these tensors were computed from.
    pub(super) fn graph(self, outputs: Vec<(Output, Tensor)>) -> Result<Graph> {
        let outputs: Vec<(Output, Edge)> = outputs.into_iter().map(|(o, t)| (o, t.edge_in_trace())).collect();
        // Every step that is needed; by number each comes after those that it needs.
        let mut nodes: BTreeMap<u64, Shared<Node>> = BTreeMap::new();
        let mut pending: Vec<Shared<Node>> = outputs.iter().map(|(_, edge)| edge.node.clone()).collect();
        while let Some(node) = pending.pop() {
            if let Entry::Vacant(place) = nodes.entry(node.id) {
                pending.extend(node.parents.iter().flatten().map(|edge| edge.node.clone()));
                place.insert(node);
            }
        }
        let mut made = Made { graph: Graph::empty(), places: BTreeMap::new(), parameters: BTreeMap::new(), trace: self };
        for number in 0..made.trace.sources.len() {
            let (_, source, spec) = made.trace.sources[number].clone();
            made.source(source, spec);
        }
        for node in nodes.values() {
            made.add(node)?;
        }
        let found = |(output, edge): (Output, Edge)| Ok((output, made.value(&edge)?));
        made.graph.outputs = outputs.into_iter().map(found).collect::<Result<_>>()?;
        Ok(made.graph)
    }
}

impl Graph {
    fn empty() -> Graph {
        Graph { specs: Vec::new(), sources: Vec::new(), steps: Vec::new(), outputs: Vec::new() }
    }
}

/// A graph on its way.
struct Made {
    trace: Trace,
    graph: Graph,
    /// The values of a step's outputs, the first of them, by the step's number on the tape.
    places: BTreeMap<u64, ValueId>,
    parameters: BTreeMap<u64, ValueId>,
}

impl Made {
    fn next(&mut self, spec: Spec) -> ValueId {
        self.graph.specs.push(spec);
        ValueId(self.graph.specs.len() as u32 - 1)
    }

    fn source(&mut self, source: Source, spec: Spec) -> ValueId {
        let value = self.next(spec);
        self.graph.sources.push((value, source));
        value
    }

    fn value(&self, edge: &Edge) -> Result<ValueId> {
        let first = self.places.get(&edge.node.id).ok_or_else(|| unknown("a step"))?;
        Ok(ValueId(first.0 + edge.output))
    }

    fn add(&mut self, node: &Shared<Node>) -> Result<()> {
        let first = match node.leaf {
            Some(_) if !node.parents.is_empty() => {
                // A tensor that gradients are asked for is the tensor itself.
                let inputs = node.parents.iter().flatten().map(|edge| self.value(edge));
                inputs.collect::<Result<Vec<_>>>()?.first().copied().ok_or_else(|| unknown("a leaf"))?
            }
            Some(key) => self.leaf(key, node)?,
            None => match node.constant() {
                Some(values) => self.source(Source::Constant(values.clone().into()), values.spec()),
                None if node.is_opaque() => return Err(self.opaque(node)),
                None if node.op().inputs().0 > node.parents.len() || node.op().name() == "constant" => {
                    return Err(unknown("a tensor without values"));
                }
                None => self.step(node)?,
            },
        };
        self.places.insert(node.id, first);
        Ok(())
    }

    fn leaf(&mut self, key: u64, node: &Shared<Node>) -> Result<ValueId> {
        if let Some(number) = self.trace.sources.iter().position(|(k, ..)| *k == key) {
            return Ok(self.graph.sources[number].0);
        }
        if let Some(value) = self.parameters.get(&key) {
            return Ok(*value);
        }
        let path = self.trace.paths.get(&key).cloned().ok_or_else(|| unknown("a tracked tensor"))?;
        let spec = node.outputs().next().ok_or_else(|| unknown("a leaf"))?;
        let value = self.source(Source::Parameter(path), spec);
        self.parameters.insert(key, value);
        Ok(value)
    }

    fn step(&mut self, node: &Shared<Node>) -> Result<ValueId> {
        let inputs = node.parents.iter().flatten().map(|edge| self.value(edge)).collect::<Result<_>>()?;
        let outputs = node.outputs().map(|spec| self.next(spec)).collect::<smallvec::SmallVec<[ValueId; 1]>>();
        let first = outputs.first().copied().ok_or_else(|| unknown("a step without outputs"))?;
        let layer = self.layer(node.id).to_string();
        self.graph.steps.push(Step { op: Held::from(node.clone()), inputs, outputs, layer });
        Ok(first)
    }

    /// The path of the innermost layer that was running when a step was recorded.
    fn layer(&self, id: u64) -> &str {
        let inside = self.trace.scopes.iter().filter(|scope| scope.first < id && id < scope.end);
        inside.max_by_key(|scope| scope.first).map_or("", |scope| &scope.path)
    }

    fn opaque(&self, node: &Node) -> Error {
        let expected = "layers whose outputs are computed by operations on tensors";
        let error = Error::argument("graph", expected, "one that reads values (Tensor::opaque)");
        match self.layer(node.id) {
            "" => error,
            layer => error.at(format!("layer '{layer}'")),
        }
    }
}

fn unknown(what: &str) -> Error {
    let expected = "a function of its inputs, parameters and constants";
    Error::argument("graph", expected, format!("one of {what} from outside of the capture"))
}
