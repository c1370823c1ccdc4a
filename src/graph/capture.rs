//! Captures graphs: a function runs once on tensors without values, and what it recorded is walked back from its
//! results.

use super::{Graph, Output, Source, Step, ValueId};
use crate::autograd::{Edge, Node, fresh_id};
use crate::kernels::strided::Layout;
use crate::nn::Scope;
use crate::random::read_too_early;
use crate::tensor::storage::Shared;
use crate::tensor::{Array, Few, Tensor};
use crate::{Error, Result, Spec};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

impl Graph {
    /// Captures the graph of a function of tensors of these shapes. `f` may compute gradients: take
    /// [`Tensor::tracked`] of an input, and return the results of [`grad`](crate::autograd::grad) or `backward`.
    /// Everything that has values is a constant, including parameters of a network; [`Graph::capture_pass`] keeps
    /// those separate.
    ///
    /// # Errors
    /// Those of `f`, `f` reads values, or the computation of a result is unknown ([`Tensor::opaque`]).
    pub fn capture(inputs: &[Spec], f: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>) -> Result<Graph> {
        let (mut trace, early) = (Trace::default(), read_too_early());
        let given: Vec<Tensor> = inputs
            .iter()
            .enumerate()
            .map(|(i, spec)| trace.input(Source::Input(format!("x{i}")), *spec))
            .collect();
        let outputs = f(&given)?.into_iter().enumerate();
        check_draws(early, "")?;
        trace.graph(outputs.map(|(i, t)| (Output::Result(i.to_string()), t)).collect())
    }
}

/// The state of a capture: the leaves that it hands out, by the keys under which they are found again.
#[derive(Default)]
pub(super) struct Trace {
    sources: Vec<(u64, Source, Spec)>,
    /// The paths of parameters, by key.
    pub(super) paths: BTreeMap<u64, String>,
    /// Which steps belong to which layer.
    pub(super) scopes: Vec<Scope>,
    /// The paths of parameters, by the memory of their values.
    pub(super) memory: HashMap<usize, String>,
}

impl Trace {
    /// Makes a leaf without values.
    pub(super) fn input(&mut self, source: Source, spec: Spec) -> Tensor {
        let key = fresh_id();
        self.sources.push((key, source, spec));
        Tensor::leaf(Array::traced(spec), key, false)
    }

    /// Returns the graph of everything that these tensors were computed from.
    pub(super) fn graph(self, outputs: Vec<(Output, Tensor)>) -> Result<Graph> {
        let outputs: Vec<(Output, Edge)> = outputs.into_iter().map(|(o, t)| (o, t.edge_in_trace())).collect();
        // Every step that is needed; ordered by number, each comes after those it needs.
        let mut nodes: BTreeMap<u64, Shared<Node>> = BTreeMap::new();
        let mut pending: Vec<Shared<Node>> = outputs.iter().map(|(_, edge)| edge.node.clone()).collect();
        while let Some(node) = pending.pop() {
            if let Entry::Vacant(place) = nodes.entry(node.id) {
                // What a constant was computed from is outside of the graph.
                let parents = node.parents.iter().flatten().filter(|_| !node.is_constant());
                pending.extend(parents.map(|edge| edge.node.clone()));
                place.insert(node);
            }
        }
        let mut made = Made::new(self);
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

/// A graph under construction.
struct Made {
    trace: Trace,
    graph: Graph,
    /// The first value of each step's outputs, by the step's number on the tape.
    places: BTreeMap<u64, ValueId>,
    parameters: BTreeMap<u64, ValueId>,
    /// Constants by their memory, so that one that is used often is stored once.
    constants: HashMap<(usize, Layout), ValueId>,
    /// The nested layers that were running when the current step was recorded.
    running: Vec<Scope>,
}

impl Made {
    fn new(mut trace: Trace) -> Made {
        trace.scopes.sort_by_key(|scope| std::cmp::Reverse(scope.first));
        Made {
            trace,
            graph: Graph::empty(),
            places: BTreeMap::new(),
            parameters: BTreeMap::new(),
            constants: HashMap::new(),
            running: Vec::new(),
        }
    }

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
                Some(values) => self.constant(values, node.id)?,
                None if node.is_opaque() => return Err(self.opaque(node)),
                None if node.is_constant() => return Err(unknown("a tensor without values")),
                None => self.step(node)?,
            },
        };
        self.places.insert(node.id, first);
        Ok(())
    }

    fn constant(&mut self, values: &Array, id: u64) -> Result<ValueId> {
        if let Some(path) = values.memory().and_then(|memory| self.trace.memory.get(&memory)).cloned() {
            let expected = "parameters read by Cx::param or Cx::state";
            let error = Error::argument("graph", expected, format!("the bare value of '{path}'"));
            return Err(self.in_layer(id, error));
        }
        let place = values.memory().map(|memory| (memory, *values.layout()));
        if let Some(value) = place.as_ref().and_then(|place| self.constants.get(place)) {
            return Ok(*value);
        }
        let value = self.source(Source::Constant(values.clone().into()), values.spec());
        self.constants.extend(place.map(|place| (place, value)));
        Ok(value)
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
        let outputs = node.outputs().map(|spec| self.next(spec)).collect::<Few<ValueId, 3>>();
        let first = outputs.first().copied().ok_or_else(|| unknown("a step without outputs"))?;
        let layer = self.layer(node.id).to_string();
        let op = node.op().shared().ok_or_else(|| unknown("a step that was computed"))?;
        self.graph.steps.push(Step { op, inputs, outputs, layer, over: false });
        Ok(first)
    }

    /// Returns the path of the innermost layer that was running when a step was recorded; call it in the order of
    /// the steps.
    fn layer(&mut self, id: u64) -> &str {
        // The layers that began last are at the end of the list; those that are running stay on the stack.
        while let Some(scope) = self.trace.scopes.pop_if(|scope| scope.first < id) {
            self.running.push(scope);
        }
        while self.running.pop_if(|scope| scope.end < id).is_some() {}
        self.running.last().map_or("", |scope| &scope.path)
    }

    fn opaque(&mut self, node: &Node) -> Error {
        let expected = "layers whose outputs are computed by operations on tensors";
        self.in_layer(node.id, Error::argument("graph", expected, "one that reads values (Tensor::opaque)"))
    }

    fn in_layer(&mut self, id: u64, error: Error) -> Error {
        match self.layer(id) {
            "" => error,
            layer => error.at(format!("layer '{layer}'")),
        }
    }
}

/// Fails if numbers of a stream were read that has none while it is traced.
pub(super) fn check_draws(before: u64, layer: &str) -> Result<()> {
    if read_too_early() == before {
        return Ok(());
    }
    let expected = "random tensors (Tensor::rand, dropout, permutation and the like), which are drawn when the graph runs";
    let error = Error::argument("graph", expected, "numbers of a stream, read in forward");
    Err(if layer.is_empty() { error } else { error.at(format!("layer '{layer}'")) })
}

fn unknown(what: &str) -> Error {
    let expected = "a function of its inputs, parameters and constants";
    Error::argument("graph", expected, format!("a function of {what} from outside of the capture"))
}
