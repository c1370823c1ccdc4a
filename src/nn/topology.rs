//! `Topology`: the description of a network, as layers, calls of them, inputs and outputs. `Sequential`,
//! `Functional` and a user's struct all become one; files hold it, and a built network keeps it.

use super::layers::Input;
use super::network::Network;
use super::symbol::{Origin, Symbol};
use super::{Build, Init, InputSpecs, Node, snake_case};
use crate::config::{Common, Configured};
use crate::error::Context;
use crate::{DType, Error, Result, Spec};
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::sync::Arc;

/// Layers and calls.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    pub(crate) class: &'static str,
    /// The name that the user gave.
    pub(crate) name: Option<String>,
    pub(crate) seed: u64,
    pub(crate) dtype: DType,
    pub(crate) inputs: Vec<NamedInput>,
    pub(crate) layers: Vec<Entry>,
    /// In an order in which each comes after those it needs.
    pub(crate) calls: Vec<Invocation>,
    pub(crate) outputs: Vec<Output>,
    /// Inputs and layers in the order of a summary; the layers are in this order too.
    pub(crate) rows: Vec<RowOf>,
}

#[derive(Clone, Debug)]
pub(crate) struct NamedInput {
    pub(crate) name: String,
    pub(crate) input: Input,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its level in paths; empty for a struct that is the whole network.
    pub(crate) name: String,
    pub(crate) build: Arc<dyn Build>,
}

/// A call of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    pub(crate) layer: usize,
    /// Inputs by position, then inputs by name.
    pub(crate) inputs: Vec<At>,
    pub(crate) names: Vec<String>,
}

/// Where a tensor of the network comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum At {
    Input(usize),
    Call { call: usize, output: usize },
}

#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowOf {
    Input(usize),
    Layer(usize),
}

impl Topology {
    /// Returns the number of a call among those of its layer, and how many there are.
    pub(crate) fn call_number(&self, call: usize) -> (usize, usize) {
        let layer = self.calls[call].layer;
        let same = |c: &&Invocation| c.layer == layer;
        (self.calls[..call].iter().filter(same).count(), self.calls.iter().filter(same).count())
    }

    /// Returns how messages name the layer of a call.
    pub(crate) fn place(&self, call: usize) -> String {
        let layer = self.calls[call].layer;
        let Entry { name, build } = &self.layers[layer];
        let class = build.class_name();
        if name.is_empty() {
            return format!("'{}' ({class})", self.title());
        }
        match self.call_number(call) {
            (_, 1) => format!("layer '{name}' ({class}, number {})", layer + 1),
            (number, _) => format!("layer '{name}' ({class}, number {}, call {number})", layer + 1),
        }
    }

    /// Fails unless names are distinct.
    pub(crate) fn check(&self) -> Result<()> {
        if !self.dtype.is_float() {
            return Err(Error::DType { op: self.class, expected: "float32 or float64", got: self.dtype });
        }
        let mut names = Names::default();
        let layers = self.layers.iter().map(|l| &l.name).filter(|name| !name.is_empty());
        self.inputs.iter().map(|i| &i.name).chain(layers).try_for_each(|name| names.take(name))?;
        let mut outputs = BTreeSet::new();
        match self.outputs.iter().find(|o| !outputs.insert(o.name.as_str())) {
            None => Ok(()),
            Some(twice) => {
                Err(Error::argument("outputs", "names that are unique", format!("'{}' twice", twice.name)))
            }
        }
    }

    /// Describes the graph of calls between these symbols.
    ///
    /// # Errors
    /// An input is not one, is given twice, or no output depends on it; an output depends on an input that is not
    /// listed; two layers have the same name.
    pub(crate) fn of_symbols(class: &'static str, inputs: &[Symbol], outputs: &[Symbol]) -> Result<Topology> {
        let mut input_at: BTreeMap<u64, usize> = BTreeMap::new();
        for (i, symbol) in inputs.iter().enumerate() {
            if let Origin::Layer { .. } = symbol.call.origin {
                let expected = "inputs made by Input::new (cut_from on a built network begins in its middle)";
                return Err(Error::argument("inputs", expected, format!("an output of a layer at {i}")));
            }
            if input_at.insert(symbol.call.id, i).is_some() {
                return Err(Error::argument("inputs", "each input once", format!("input {i} a second time")));
            }
        }
        if outputs.is_empty() {
            return Err(Error::argument("outputs", "at least one output", "none"));
        }

        // Everything that the outputs need. Later calls have larger numbers, so ordered by number each comes after
        // what it needs.
        let mut found: BTreeMap<u64, Symbol> = BTreeMap::new();
        let mut pending: Vec<Symbol> = outputs.to_vec();
        while let Some(symbol) = pending.pop() {
            if let Origin::Input(input) = &symbol.call.origin
                && !input_at.contains_key(&symbol.call.id)
            {
                let name =
                    input.name().map_or(format!("an input {input}"), |name| format!("the input '{name}'"));
                let expected = "outputs that depend on the listed inputs alone";
                return Err(Error::argument(
                    "outputs",
                    expected,
                    format!("one that needs {name}, not listed"),
                ));
            }
            if let btree_map::Entry::Vacant(place) = found.entry(symbol.call.id) {
                if let Origin::Layer { inputs, .. } = &symbol.call.origin {
                    pending.extend(inputs.iter().cloned());
                }
                place.insert(symbol);
            }
        }
        let mut named_inputs = Vec::new();
        for (i, symbol) in inputs.iter().enumerate() {
            if let Origin::Input(input) = &symbol.call.origin {
                let name = input.name().unwrap_or_default().to_string();
                if !found.contains_key(&symbol.call.id) {
                    let got = if name.is_empty() {
                        format!("input {i}, unused")
                    } else {
                        format!("'{name}', unused")
                    };
                    return Err(Error::argument("inputs", "inputs that an output depends on", got));
                }
                named_inputs.push(NamedInput { name, input: input.clone() });
            }
        }

        let (mut calls, mut call_at): (Vec<Invocation>, BTreeMap<u64, usize>) = Default::default();
        let (mut layers, mut layer_at): (Vec<Entry>, BTreeMap<u64, usize>) = Default::default();
        let at = |symbol: &Symbol, call_at: &BTreeMap<u64, usize>| match input_at.get(&symbol.call.id) {
            Some(&i) => At::Input(i),
            None => At::Call { call: call_at[&symbol.call.id], output: symbol.output },
        };
        for (id, symbol) in &found {
            let Origin::Layer { layer, inputs, names } = &symbol.call.origin else { continue };
            let layer = *layer_at.entry(layer.id()).or_insert_with(|| {
                let build = layer.build().clone();
                let name = build.common().and_then(|c| c.name.clone()).unwrap_or_default();
                layers.push(Entry { name, build });
                layers.len() - 1
            });
            let inputs = inputs.iter().map(|i| at(i, &call_at)).collect();
            call_at.insert(*id, calls.len());
            calls.push(Invocation { layer, inputs, names: names.clone() });
        }
        let outputs = outputs.iter().map(|o| Output { name: String::new(), at: at(o, &call_at) }).collect();
        let (inputs, dtype) = (named_inputs, DType::F32);
        let mut topology =
            Topology { class, name: None, seed: 0, dtype, inputs, layers, calls, outputs, rows: Vec::new() };
        // Names are assigned in the order in which layers were first called.
        let inputs = (0..topology.inputs.len()).map(RowOf::Input);
        topology.rows = inputs.chain((0..topology.layers.len()).map(RowOf::Layer)).collect();
        topology.name_all()?;
        topology.arrange();
        Ok(topology)
    }

    /// Arranges layers and calls in Keras's order: layers by their distance from the outputs, and those at the same
    /// distance in the order in which a walk back from the outputs visits them.
    pub(crate) fn arrange(&mut self) {
        let owner = |at: At| match at {
            At::Input(i) => RowOf::Input(i),
            At::Call { call, .. } => RowOf::Layer(self.calls[call].layer),
        };
        let key = |at: At| match at {
            At::Input(_) => at,
            At::Call { call, .. } => At::Call { call, output: 0 },
        };
        // Inputs, and after them layers or calls, by number.
        let inputs = self.inputs.len();
        let number = |at: At| match at {
            At::Input(i) => i,
            At::Call { call, .. } => inputs + call,
        };
        let number_of_owner = |at: At| match owner(at) {
            RowOf::Input(i) => i,
            RowOf::Layer(l) => inputs + l,
        };
        // The walk: what was visited in which order, and calls in the order in which they were left.
        let (mut met, mut left): (Vec<RowOf>, Vec<At>) = Default::default();
        let mut done = vec![false; inputs + self.calls.len()];
        let mut place: Vec<Option<usize>> = vec![None; inputs + self.layers.len()];
        for output in &self.outputs {
            let mut stack = vec![(key(output.at), 0)];
            while let Some((at, next)) = stack.pop() {
                if next == 0 {
                    if done[number(at)] {
                        continue;
                    }
                    place[number_of_owner(at)].get_or_insert_with(|| {
                        met.push(owner(at));
                        met.len() - 1
                    });
                }
                let needs: &[At] = match at {
                    At::Input(_) => &[],
                    At::Call { call, .. } => &self.calls[call].inputs,
                };
                match needs.get(next) {
                    Some(&input) => stack.extend([(at, next + 1), (key(input), 0)]),
                    None if !std::mem::replace(&mut done[number(at)], true) => left.push(at),
                    None => {}
                }
            }
        }
        // Distances: the longest way to an output; for a layer, the largest of its calls.
        let mut depths = vec![0; done.len()];
        let mut of_owner: Vec<(RowOf, usize)> = met.iter().map(|o| (*o, 0)).collect();
        for &at in left.iter().rev() {
            let of_layer = &mut of_owner[place[number_of_owner(at)].unwrap_or(0)].1;
            *of_layer = (*of_layer).max(depths[number(at)]);
            let depth = *of_layer;
            if let At::Call { call, .. } = at {
                for input in &self.calls[call].inputs {
                    let d = &mut depths[number(*input)];
                    *d = (*d).max(depth + 1);
                }
            }
        }
        of_owner.sort_by_key(|(_, depth)| std::cmp::Reverse(*depth));

        let layers: Vec<usize> = of_owner
            .iter()
            .filter_map(|(row, _)| if let RowOf::Layer(l) = row { Some(*l) } else { None })
            .collect();
        let layer_at = ranks(&layers, self.layers.len());
        let calls: Vec<usize> = left
            .iter()
            .filter_map(|at| if let At::Call { call, .. } = at { Some(*call) } else { None })
            .collect();
        let call_at = ranks(&calls, self.calls.len());
        let moved = |at: At| match at {
            At::Input(_) => at,
            At::Call { call, output } => At::Call { call: call_at[call], output },
        };
        self.rows = of_owner
            .iter()
            .map(|(row, _)| if let RowOf::Layer(l) = row { RowOf::Layer(layer_at[*l]) } else { *row })
            .collect();
        let renumbered = |old: &usize| {
            let call = &self.calls[*old];
            let inputs = call.inputs.iter().map(|i| moved(*i)).collect();
            Invocation { layer: layer_at[call.layer], inputs, names: call.names.clone() }
        };
        let calls = calls.iter().map(renumbered).collect();
        self.outputs.iter_mut().for_each(|o| o.at = moved(o.at));
        self.layers = layers.iter().map(|l| self.layers[*l].clone()).collect();
        self.calls = calls;
    }

    /// Names what the user has not named, in the current order of rows, by Keras's rule: `input_layer`, `dense`,
    /// `dense_1`, …
    ///
    /// # Errors
    /// Two of the user's names are the same, or one is not a valid name.
    pub(crate) fn name_all(&mut self) -> Result<()> {
        let mut names = Names::default();
        for row in &self.rows {
            let name = match *row {
                RowOf::Input(i) => &self.inputs[i].name,
                RowOf::Layer(l) => &self.layers[l].name,
            };
            if !name.is_empty() {
                names.take(name)?;
            }
        }
        for row in &self.rows {
            let (name, base) = match *row {
                RowOf::Input(i) => (&mut self.inputs[i].name, "input_layer".to_string()),
                RowOf::Layer(l) => {
                    let base = snake_case(self.layers[l].build.class_name());
                    (&mut self.layers[l].name, base)
                }
            };
            if name.is_empty() {
                *name = names.make(&base);
            }
        }
        self.name_outputs();
        Ok(())
    }
}

impl Topology {
    /// Names outputs after their layers, as Keras does: `digit`, and `digit_1` if the layer gives another one.
    pub(crate) fn name_outputs(&mut self) {
        let mut names = Names::default();
        let name = |at: At| match at {
            At::Input(i) => self.inputs[i].name.as_str(),
            At::Call { call, .. } => self.layers[self.calls[call].layer].name.as_str(),
        };
        let made: Vec<String> = self.outputs.iter().map(|o| names.make(name(o.at))).collect();
        self.outputs.iter_mut().zip(made).for_each(|(o, name)| o.name = name);
    }

    /// Returns how files describe it: a stack that calls a layer twice is not a list of layers.
    pub(crate) fn file_class(&self) -> &'static str {
        if self.calls.len() == self.layers.len() { self.class } else { "Functional" }
    }

    /// Returns the network's name: the user's, or one made from its class.
    pub(crate) fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| snake_case(self.class))
    }
}

/// Returns for each of `of` things, by its old number, its new number: its place in `kept`. Those not kept have
/// none.
pub(super) fn ranks(kept: &[usize], of: usize) -> Vec<usize> {
    let mut ranks = vec![usize::MAX; of];
    kept.iter().enumerate().for_each(|(new, old)| ranks[*old] = new);
    ranks
}

/// Distinct names of layers.
#[derive(Default)]
pub(crate) struct Names {
    /// The names taken, and for each, as a base of others, the first number that may be free.
    taken: BTreeMap<String, usize>,
}

impl Names {
    /// Takes a name that the user gave.
    ///
    /// # Errors
    /// It is taken, empty, or would not be one level of a path.
    pub(crate) fn take(&mut self, name: &str) -> Result<()> {
        if name.is_empty() || name.contains(['/', ':']) {
            let expected = "names that are not empty and without '/' or ':'";
            return Err(Error::argument("layer name", expected, format!("'{name}'")));
        }
        match self.taken.insert(name.into(), 1) {
            None => Ok(()),
            Some(_) => Err(Error::argument(
                "layer name",
                "names that are unique",
                format!("'{name}' for two layers"),
            )),
        }
    }

    /// Makes a name: `dense`, `dense_1`, … (Keras's rule).
    pub(crate) fn make(&mut self, base: &str) -> String {
        let mut name = base.to_string();
        let mut next = self.taken.get(base).copied().unwrap_or(0);
        if next > 0 {
            loop {
                name = format!("{base}_{next}");
                next += 1;
                if !self.taken.contains_key(&name) {
                    break;
                }
            }
            self.taken.insert(base.to_string(), next);
        }
        self.taken.insert(name.clone(), 1);
        name
    }
}

/// A network as a layer of another one.
#[derive(Clone, Debug)]
pub(crate) struct Nested {
    topology: Arc<Topology>,
    common: Common,
}

impl Nested {
    pub(crate) fn new(topology: Arc<Topology>) -> Nested {
        let common = Common::named(topology.name.clone());
        Nested { topology, common }
    }
}

impl Configured for Nested {
    fn class_name(&self) -> &'static str {
        self.topology.class
    }
    fn config(&self) -> Result<serde_json::Value> {
        self.topology.to_config()
    }
    fn common(&self) -> Option<&Common> {
        Some(&self.common)
    }
}

impl Nested {
    /// Fails unless data of these specs fits a network's inputs.
    pub(crate) fn fit(topology: &Topology, inputs: &[Spec]) -> Result<()> {
        if inputs.len() != topology.inputs.len() {
            let n = topology.inputs.len();
            let plural = if n == 1 { "input" } else { "inputs" };
            let expected = format!("{n} {plural}, as many as '{}' has", topology.title());
            return Err(Error::argument("inputs", expected, inputs.len()));
        }
        for (NamedInput { name, input }, spec) in topology.inputs.iter().zip(inputs) {
            input.accepts(*spec).at(|| format!("input '{name}' of '{}'", topology.title()))?;
        }
        Ok(())
    }
}

impl Build for Nested {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        Nested::fit(&self.topology, inputs)?;
        Ok(Box::new(Network::assemble(self.topology.clone(), init)?))
    }
}
