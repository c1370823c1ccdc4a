//! The built network: layers with parameters, wired up. It predicts, summarises, can be looked into, cut, frozen and saved;
//! `compile` adds an optimizer, losses and metrics and makes it a `Model`.

use super::activation::Activation;
use super::layers::Input;
use super::param::{draw, number};
use super::symbol::{Identity, Shared, handle};
use super::topology::{At, Entry, Invocation, NamedInput, Nested, Topology};
use super::{Cx, Init, Inputs, Item, ItemMut, Module, Node, Path, Session, Value, Values, module, trace};
use crate::config::{Common, Configured};
use crate::error::Context;
use crate::kernels::par;
use crate::tensor::{AsTensors, Tensor, Tensors};
use crate::{DType, Element, Error, Result, Spec};
use smallvec::SmallVec;
use std::sync::Arc;

/// Layers in a graph, built, with no loss yet. `Sequential`, `Functional` and `Subclass` build one. `clone` is a snapshot
/// that shares memory until one of the two changes.
#[derive(Clone, Debug)]
pub struct Network {
    topology: Arc<Topology>,
    /// One for each layer of the topology.
    nodes: Vec<Box<dyn Node>>,
    route: Arc<Route>,
    identity: Identity,
}

/// How values go through the network, worked out once.
#[derive(Debug)]
struct Route {
    steps: Vec<Step>,
    /// Where outputs are found, and whether nobody needs them after.
    outputs: Vec<Fetch>,
    /// How many values there are in all.
    slots: usize,
    /// For each output the call that it is, if nobody else uses what that call gives.
    sole: Vec<Option<(usize, usize)>>,
    /// What each call gives, and what the network does: unknown sizes print as `None`.
    specs: Vec<Vec<Spec>>,
}

/// One call: where its inputs are found, and where its outputs go.
#[derive(Debug)]
struct Step {
    inputs: SmallVec<[Fetch; 2]>,
    first: usize,
}

#[derive(Clone, Copy, Debug)]
struct Fetch {
    slot: usize,
    /// Nobody needs the value after.
    last: bool,
}

impl Network {
    /// Builds what a topology describes, without values.
    pub(crate) fn assemble(topology: Arc<Topology>, init: &mut Init) -> Result<Network> {
        let ready = topology.layers.iter().map(|_| None).collect();
        Network::with_nodes(topology, ready, init)
    }

    /// Builds what a topology describes, but for the layers that are there.
    fn with_nodes(
        topology: Arc<Topology>,
        mut nodes: Vec<Option<Box<dyn Node>>>,
        init: &mut Init,
    ) -> Result<Network> {
        topology.check()?;
        let spec = |NamedInput { name, input }: &NamedInput| {
            input.spec(init.dtype()).at(|| format!("input '{name}'"))
        };
        let inputs = topology.inputs.iter().map(spec).collect::<Result<Vec<_>>>()?;
        let specs = trace::either(&inputs, |inputs| Network::wire(&topology, inputs, &mut nodes, init))?;
        let missing = || Error::argument("network", "a call of each layer", "none");
        let nodes = nodes.into_iter().map(|n| n.ok_or_else(missing)).collect::<Result<_>>()?;
        let route = Route::new(&topology, specs)?;
        Ok(Network { topology, nodes, route: Arc::new(route), identity: Identity::default() })
    }

    /// Runs all calls on traced values and builds each layer at its first call. What each call gives.
    fn wire(
        topology: &Topology,
        inputs: &[trace::Twin<Value>],
        nodes: &mut [Option<Box<dyn Node>>],
        init: &mut Init,
    ) -> Result<Vec<Vec<Spec>>> {
        let mut values: Vec<Vec<trace::Twin<Value>>> = Vec::new();
        let mut specs: Vec<Vec<Spec>> = Vec::new();
        for (number, call) in topology.calls.iter().enumerate() {
            let place = || topology.place(number);
            let given: Vec<_> = call
                .inputs
                .iter()
                .map(|at| match *at {
                    At::Input(i) => inputs.get(i),
                    At::Call { call, output } => values.get(call).and_then(|v| v.get(output)),
                })
                .map(|v| {
                    v.cloned().ok_or_else(|| Error::argument("inputs", "outputs of earlier calls", "none"))
                })
                .collect::<Result<_>>()
                .at(place)?;
            let node = match &mut nodes[call.layer] {
                Some(node) => node,
                none => {
                    let specs = given.iter().map(trace::united).collect::<Result<Vec<_>>>().at(place)?;
                    let build = &topology.layers[call.layer].build;
                    let frozen = build.common().is_some_and(|c| c.frozen);
                    none.insert(init.with_frozen(frozen, |init| build.build(&specs, init)).at(place)?)
                }
            };
            let outputs = trace::call(&**node, &given, &call.names, init).at(place)?;
            specs.push(outputs.iter().map(trace::united).collect::<Result<_>>().at(place)?);
            values.push(outputs);
        }
        Ok(specs)
    }

    /// Builds a network and draws its parameters.
    pub(crate) fn build(topology: Topology) -> Result<Network> {
        let init = Init::planned(topology.dtype, super::Budget::NONE);
        Network::build_with(topology, init)
    }

    /// Builds a network with an `init` that only plans, and draws its parameters.
    pub(crate) fn build_with(topology: Topology, mut init: Init) -> Result<Network> {
        let network = Network::assemble(Arc::new(topology), &mut init)?;
        network.settled()?.drawn()
    }

    /// With parameters and keys numbered, each found once.
    pub(crate) fn settled(mut self) -> Result<Network> {
        module::check_identity(&self)?;
        number(&mut self);
        Ok(self)
    }

    /// With initial values for the parameters that have none.
    fn drawn(mut self) -> Result<Network> {
        let seed = self.topology.seed;
        draw(&mut self, seed)?;
        Ok(self)
    }

    // ---- facts

    /// The network's name.
    pub fn name(&self) -> String {
        self.topology.title()
    }

    /// The same network under another name: that of its layer in a network that calls it.
    #[must_use]
    pub fn named(mut self, name: &str) -> Network {
        Arc::make_mut(&mut self.topology).name = Some(name.into());
        self.identity = Identity::default();
        self
    }

    /// The seed that it was built from.
    pub fn seed(&self) -> u64 {
        self.topology.seed
    }

    /// The dtype of parameters and arithmetic.
    pub fn dtype(&self) -> DType {
        self.topology.dtype
    }

    /// The names of the inputs.
    pub fn input_names(&self) -> impl Iterator<Item = &str> {
        self.topology.inputs.iter().map(|i| i.name.as_str())
    }

    /// The names of the outputs.
    pub fn output_names(&self) -> impl Iterator<Item = &str> {
        self.topology.outputs.iter().map(|o| o.name.as_str())
    }

    /// Shape (unknown sizes are [`UNKNOWN`](crate::UNKNOWN), print as `None`) and dtype of each output.
    pub fn output_specs(&self) -> Vec<Spec> {
        self.topology.outputs.iter().map(|o| self.spec_of(o.at)).collect()
    }

    fn spec_of(&self, at: At) -> Spec {
        match at {
            At::Call { call, output } => self.route.specs[call][output],
            At::Input(i) => {
                let input = &self.topology.inputs[i].input;
                // It was asked for when the network was built.
                input.spec(self.dtype()).unwrap_or(Spec::new(crate::Shape::SCALAR, self.dtype()))
            }
        }
    }

    pub(crate) fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    pub(crate) fn nodes(&self) -> &[Box<dyn Node>] {
        &self.nodes
    }

    pub(crate) fn call_specs(&self) -> &[Vec<Spec>] {
        &self.route.specs
    }

    fn handle(&self) -> Shared {
        let built = || {
            let common = Common::named(self.topology.name.clone());
            Shared::new(Built { network: self.clone(), common })
        };
        self.identity.get(built).clone()
    }

    // ---- running

    /// Runs the layers on values that fit the inputs.
    fn run(&self, x: &[Value], cx: &mut Cx, raw: &[bool]) -> Result<Values> {
        if x.len() != self.topology.inputs.len() {
            let expected = format!("{} inputs", self.topology.inputs.len());
            return Err(Error::argument("inputs", expected, x.len()));
        }
        let mut slots: SmallVec<[Option<Value>; 8]> = SmallVec::with_capacity(self.route.slots);
        slots.extend(x.iter().cloned().map(Some));
        slots.resize_with(self.route.slots, || None);
        let missing = || Error::argument("inputs", "a value for each input of a layer", "none");
        for (number, (step, call)) in self.route.steps.iter().zip(&self.topology.calls).enumerate() {
            let mut given: SmallVec<[Value; 2]> = SmallVec::new();
            for fetch in &step.inputs {
                let slot = &mut slots[fetch.slot];
                let value = if fetch.last { slot.take() } else { slot.clone() };
                given.push(value.ok_or_else(missing)?);
            }
            let node = &*self.nodes[call.layer];
            let inputs = Inputs::with_names(&given, &call.names)?;
            let outputs = match raw.is_empty() {
                true => node.call(inputs, cx),
                false => node.call_raw(inputs, cx, &self.raw_of(number, raw)),
            };
            // Whatever it was given is needed no longer.
            drop(given);
            let outputs = outputs.at(|| self.topology.place(number))?;
            if outputs.len() != self.route.specs[number].len() {
                let expected =
                    format!("{} outputs, as when the network was built", self.route.specs[number].len());
                return Err(
                    Error::argument("forward", expected, outputs.len()).at(self.topology.place(number))
                );
            }
            for (i, value) in outputs.into_iter().enumerate() {
                slots[step.first + i] = Some(value);
            }
        }
        let mut outputs = Values::default();
        for fetch in &self.route.outputs {
            let slot = &mut slots[fetch.slot];
            let value = if fetch.last { slot.take() } else { slot.clone() };
            outputs.0.push(value.ok_or_else(missing)?);
        }
        Ok(outputs)
    }

    /// Which outputs of a call come without their activation.
    fn raw_of(&self, number: usize, raw: &[bool]) -> SmallVec<[bool; 4]> {
        let mut of_call: SmallVec<[bool; 4]> = SmallVec::new();
        for (sole, &raw) in self.route.sole.iter().zip(raw) {
            if let Some((call, output)) = *sole
                && call == number
                && raw
            {
                of_call.resize(of_call.len().max(output + 1), false);
                of_call[output] = true;
            }
        }
        of_call
    }

    /// One pass over tensors: what a loop of your own calls. Checks the data against the inputs.
    ///
    /// # Errors
    /// The data does not fit.
    pub fn forward(&self, x: &(impl AsTensors + ?Sized), cx: &mut Cx) -> Result<Tensor> {
        single(self.forward_all(x, cx)?)
    }

    /// [`Network::forward`] for every output.
    ///
    /// # Errors
    /// As [`Network::forward`].
    pub fn forward_all(&self, x: &(impl AsTensors + ?Sized), cx: &mut Cx) -> Result<Tensors> {
        let x = self.accept(&x.as_tensors())?;
        Ok(tensors(self.pass(&x, cx, &[])?))
    }

    /// One pass over tensors that [`Network::accept`] has let through.
    pub(crate) fn pass(&self, x: &[Tensor], cx: &mut Cx, raw: &[bool]) -> Result<Values> {
        let x: SmallVec<[Value; 2]> = x.iter().map(Value::from).collect();
        self.run(&x, cx, raw)
    }

    /// The activation that an output ends with, if it can be left out and nobody else uses what comes after it.
    pub(crate) fn output_activation_of(&self, output: usize) -> Option<&dyn Activation> {
        let (call, output) = (*self.route.sole.get(output)?)?;
        self.nodes[self.topology.calls[call].layer].output_activation(output)
    }

    /// Checks data against the inputs and brings it to their dtypes.
    pub(crate) fn accept(&self, x: &[Tensor]) -> Result<Tensors> {
        let inputs = &self.topology.inputs;
        if x.len() != inputs.len() {
            return Err(Error::argument("x", format!("{} input tensors", inputs.len()), x.len()));
        }
        let one = |(t, NamedInput { name, input }): (&Tensor, &NamedInput)| -> Result<Tensor> {
            input.accepts(t.spec()).at(|| match inputs.len() {
                1 => format!("input of '{}'", self.name()),
                _ => format!("input '{name}' of '{}'", self.name()),
            })?;
            let want = input.dtype_value().unwrap_or(self.dtype());
            if !want.is_float() && t.dtype().is_float() {
                return Err(Error::DType { op: "x", expected: "integer data (use cast)", got: t.dtype() });
            }
            if t.dtype() != want && want.is_float() && !t.dtype().is_float() {
                return Err(Error::DType {
                    op: "x",
                    expected: "floating-point data (use scale or cast)",
                    got: t.dtype(),
                });
            }
            t.cast(want)
        };
        x.iter().zip(inputs).map(one).collect()
    }

    /// The output for one batch, in one pass. The same numbers as [`Network::predict`].
    ///
    /// # Errors
    /// As [`Network::predict`].
    pub fn predict_on_batch(&self, x: &(impl AsTensors + ?Sized)) -> Result<Tensor> {
        let x = self.accept(&x.as_tensors())?;
        single(tensors(par::enter(|| self.pass(&x, &mut Cx::infer(), &[]))?))
    }

    /// The output for each row. What a row gives does not depend on the rows beside it.
    ///
    /// # Errors
    /// The data does not fit, or the network has more than one output ([`Network::predict_all`]).
    pub fn predict(&self, x: &(impl AsTensors + ?Sized)) -> Result<Tensor> {
        single(self.predict_all(x)?)
    }

    /// [`Network::predict`] into memory of the caller's, in row-major order: in the steady state nothing is asked of the system.
    ///
    /// # Errors
    /// As [`Network::predict`], or `out` has another element type or length than the output.
    pub fn predict_into<T: Element>(&self, x: &(impl AsTensors + ?Sized), out: &mut [T]) -> Result<()> {
        let y = self.predict(x)?;
        if T::DTYPE != y.dtype() {
            return Err(Error::DType { op: "predict_into", expected: T::DTYPE.name(), got: y.dtype() });
        }
        if out.len() != y.elements() {
            let expected = format!("{} elements, for an output of shape {}", y.elements(), y.shape());
            return Err(Error::argument("out", expected, out.len()));
        }
        let y = y.array().contiguous()?;
        out.iter_mut().zip(y.slice::<T::Stored>()?).for_each(|(o, &v)| *o = T::load(v));
        Ok(())
    }

    /// Every output for each row. Layers that carry state begin anew.
    ///
    /// # Errors
    /// The data does not fit.
    pub fn predict_all(&self, x: &(impl AsTensors + ?Sized)) -> Result<Tensors> {
        /// Rows at a time: intermediate results of so many stay in the cache.
        const BATCH: usize = 1024;
        let x = self.accept(&x.as_tensors())?;
        let n = crate::tensor::rows("x", &x)?;
        par::enter(|| {
            if n <= BATCH {
                return Ok(tensors(self.pass(&x, &mut Cx::infer(), &[])?));
            }
            let part = |start: usize| -> Result<Tensors> {
                let end = (start + BATCH).min(n);
                let x: Tensors = crate::tensor::slice_rows(&x, start, end)?;
                Ok(tensors(self.pass(&x, &mut Cx::infer(), &[])?))
            };
            let parts: Vec<Tensors> = (0..n).step_by(BATCH).map(part).collect::<Result<_>>()?;
            let joined = |i: usize| Tensor::concat(&parts.iter().map(|p| &p[i]).collect::<Vec<_>>(), 0);
            (0..self.topology.outputs.len()).map(joined).collect()
        })
    }

    /// The output for one batch that goes on from the state which earlier calls left in the session: the next token of a
    /// decoder, the next stretch of a signal. In one pass, however many rows there are.
    ///
    /// # Errors
    /// As [`Network::predict`]; then the session is left without state.
    pub fn predict_in(&self, session: &mut Session, x: &(impl AsTensors + ?Sized)) -> Result<Tensor> {
        let x = self.accept(&x.as_tensors())?;
        let mut cx = Cx::infer().resume(std::mem::take(session));
        let outputs = par::enter(|| self.pass(&x, &mut cx, &[]))?;
        *session = cx.finish().session;
        single(tensors(outputs))
    }

    // ---- parameters

    /// Every parameter with its path, in a fixed order.
    pub fn params(&self) -> Vec<(String, Tensor)> {
        let mut out = Vec::new();
        self.visit(&mut |path, p| out.push((path.to_string(), p.value().clone())));
        out
    }

    /// The value of the parameter at a path such as `dense/kernel`.
    pub fn param(&self, path: &str) -> Option<Tensor> {
        self.params().into_iter().find(|(p, _)| p == path).map(|(_, t)| t)
    }

    /// Sets parameters by path.
    ///
    /// # Errors
    /// A path does not exist, or a shape or dtype differs; then none is changed.
    pub fn set_params(&mut self, values: &[(String, Tensor)]) -> Result<()> {
        let mut next = self.clone();
        for (path, value) in values {
            let expected = || format!("a parameter of '{}'", self.name());
            let mut found = Err(Error::argument("path", expected(), format!("'{path}'")));
            next.visit_mut(&mut |at, p| {
                if at.as_str() == path {
                    found = p.set(value.clone());
                }
            });
            found.at(|| path.clone())?;
        }
        self.nodes = next.nodes;
        Ok(())
    }

    /// How many numbers the parameters hold.
    pub fn count_params(&self) -> usize {
        let mut n = 0;
        self.visit(&mut |_, p| n += p.value().elements());
        n
    }

    /// The parameters' values as little-endian bytes, one after the other: for hashing.
    ///
    /// # Errors
    /// Memory cannot be had.
    pub fn weight_bytes(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for (_, value) in self.params() {
            match value.dtype() {
                DType::F64 => value.to_vec::<f64>()?.iter().for_each(|v| out.extend(v.to_le_bytes())),
                _ => value.to_vec::<f32>()?.iter().for_each(|v| out.extend(v.to_le_bytes())),
            }
        }
        Ok(out)
    }

    /// The same network with parameters drawn anew from another seed.
    ///
    /// # Errors
    /// Memory cannot be had.
    pub fn clone_fresh(&self, seed: u64) -> Result<Network> {
        let mut fresh = self.clone();
        Arc::make_mut(&mut fresh.topology).seed = seed;
        fresh.identity = Identity::default();
        let mut result = Ok(());
        fresh.visit_mut(&mut |path, p| {
            if result.is_ok() {
                result = p.reset(seed).at(|| format!("parameter '{path}'"));
            }
        });
        result.map(|()| fresh)
    }

    /// Freezes or unfreezes a layer: everything whose path begins with its name, such as `encoder` or `encoder/dense_1`. The
    /// optimizer leaves frozen parameters alone, and a frozen layer with running statistics uses them without moving them.
    ///
    /// # Errors
    /// No parameter's path does.
    pub fn set_trainable(&mut self, layer: &str, trainable: bool) -> Result<()> {
        let mut found = false;
        self.visit_mut(&mut |path, p| {
            let rest = path.as_str().strip_prefix(layer);
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
                p.set_frozen(!trainable);
                found = true;
            }
        });
        match found {
            true => Ok(()),
            false => {
                let expected = format!("a layer of '{}' with parameters", self.name());
                Err(Error::argument("layer", expected, format!("'{layer}'")))
            }
        }
    }

    /// Freezes or unfreezes every layer.
    pub fn set_all_trainable(&mut self, trainable: bool) {
        self.visit_mut(&mut |_, p| p.set_frozen(!trainable));
    }

    // ---- layers

    /// The layer of this name.
    ///
    /// # Errors
    /// There is none; the message lists those that there are.
    pub fn get_layer(&self, name: &str) -> Result<LayerRef<'_>> {
        let index = self.layer_index(name)?;
        Ok(LayerRef { network: self, index })
    }

    /// Every layer, in the order of a summary.
    pub fn layers(&self) -> impl Iterator<Item = LayerRef<'_>> {
        (0..self.nodes.len()).map(|index| LayerRef { network: self, index })
    }

    fn layer_index(&self, name: &str) -> Result<usize> {
        let layers = &self.topology.layers;
        layers.iter().position(|l| l.name == name).ok_or_else(|| {
            let names: Vec<&str> = layers.iter().map(|l| l.name.as_str()).collect();
            Error::argument("layer", format!("one of {}", names.join(", ")), format!("'{name}'"))
        })
    }

    // ---- cutting

    /// The network up to these layers: its outputs are theirs, and layers that they do not need are left out. The encoder of an
    /// autoencoder, or a look at what layers in the middle give. Parameters keep their values and paths.
    ///
    /// A layer that is called several times needs the call's number: `"encoder:1"` is the second call.
    ///
    /// # Errors
    /// There is no such layer, or it is not said which of its calls is meant.
    pub fn cut_at<S: AsRef<str>>(&self, layers: impl IntoIterator<Item = S>) -> Result<Network> {
        let outputs = self.outputs_of(layers)?;
        self.part(&self.topology.inputs.clone(), &BTreeMapAt::new(), outputs)
    }

    /// The network from the outputs of these layers on, which become its inputs: the decoder of an autoencoder.
    ///
    /// # Errors
    /// As [`Network::cut_at`], or an output needs something that does not come from these layers.
    pub fn cut_from<S: AsRef<str>>(&self, layers: impl IntoIterator<Item = S>) -> Result<Network> {
        let (mut inputs, mut ends) = (Vec::new(), BTreeMapAt::new());
        for at in self.outputs_of(layers)? {
            let spec = self.spec_of(at);
            let name = format!("input_layer_{}", inputs.len());
            ends.insert(at, At::Input(inputs.len()));
            inputs.push(NamedInput { name, input: Input::of_spec(spec) });
        }
        let outputs = self.topology.outputs.iter().map(|o| o.at).collect();
        self.part(&inputs, &ends, outputs)
    }

    /// The outputs of layers by name.
    fn outputs_of<S: AsRef<str>>(&self, layers: impl IntoIterator<Item = S>) -> Result<Vec<At>> {
        let mut outputs = Vec::new();
        for name in layers {
            let name = name.as_ref();
            let (layer, number) = match name.split_once(':') {
                Some((layer, number)) => (layer, number.parse::<usize>().ok()),
                None => (name, None),
            };
            let index = self.layer_index(layer)?;
            let calls: Vec<usize> =
                (0..self.topology.calls.len()).filter(|c| self.topology.calls[*c].layer == index).collect();
            let call = match (number, &calls[..]) {
                (None, [only]) if !name.contains(':') => *only,
                (Some(n), all) if n < all.len() => all[n],
                (_, all) => {
                    let expected = match all.len() {
                        1 => format!("'{layer}', which is called once"),
                        n => {
                            format!("the number of one of its {n} calls, '{layer}:0' to '{layer}:{}'", n - 1)
                        }
                    };
                    return Err(Error::argument("layer", expected, format!("'{name}'")));
                }
            };
            outputs.extend((0..self.route.specs[call].len()).map(|output| At::Call { call, output }));
        }
        match outputs.is_empty() {
            true => Err(Error::argument("layers", "at least one layer", "none")),
            false => Ok(outputs),
        }
    }

    /// What leads from some values to others, with the layers as they are.
    fn part(&self, inputs: &[NamedInput], ends: &BTreeMapAt, outputs: Vec<At>) -> Result<Network> {
        let old = &self.topology;
        // Which calls and inputs are needed.
        let mut needed = std::collections::BTreeSet::new();
        let mut pending = outputs.clone();
        let (mut used, mut missing) = (vec![false; inputs.len()], None);
        while let Some(at) = pending.pop() {
            match (ends.get(&at), at) {
                (Some(At::Input(i)), _) => used[*i] = true,
                (_, At::Call { call, .. }) => {
                    if needed.insert(call) {
                        pending.extend(old.calls[call].inputs.iter().copied());
                    }
                }
                (_, At::Input(i)) if ends.is_empty() => used[i] = true,
                (_, At::Input(i)) => missing = Some(old.inputs[i].name.clone()),
            }
        }
        if let Some(name) = missing {
            let expected = "layers that everything after them depends on alone";
            return Err(Error::argument(
                "layers",
                expected,
                format!("a way around them from input '{name}'"),
            ));
        }
        if let Some(i) = used.iter().position(|u| !u).filter(|_| !ends.is_empty()) {
            return Err(Error::argument(
                "layers",
                "layers that an output depends on",
                format!("number {i}, unused"),
            ));
        }
        let rank = |kept: &[usize]| -> std::collections::BTreeMap<usize, usize> {
            kept.iter().enumerate().map(|(new, old)| (*old, new)).collect()
        };
        let kept_inputs: Vec<usize> = (0..inputs.len()).filter(|i| used[*i]).collect();
        let kept_calls: Vec<usize> = needed.iter().copied().collect();
        let mut kept_layers: Vec<usize> = kept_calls.iter().map(|c| old.calls[*c].layer).collect();
        kept_layers.sort_unstable();
        kept_layers.dedup();
        let (input_at, call_at, layer_at) = (rank(&kept_inputs), rank(&kept_calls), rank(&kept_layers));
        let moved = |at: At| match ends.get(&at).copied().unwrap_or(at) {
            At::Input(i) => At::Input(input_at[&i]),
            At::Call { call, output } => At::Call { call: call_at[&call], output },
        };
        let calls = kept_calls.iter().map(|c| {
            let Invocation { layer, inputs, names } = &old.calls[*c];
            let inputs = inputs.iter().map(|at| moved(*at)).collect();
            Invocation { layer: layer_at[layer], inputs, names: names.clone() }
        });
        let outputs =
            outputs.iter().map(|at| super::topology::Output { name: String::new(), at: moved(*at) });
        let mut topology = Topology {
            class: "Functional",
            name: None,
            seed: old.seed,
            dtype: old.dtype,
            inputs: kept_inputs.iter().map(|i| inputs[*i].clone()).collect(),
            // The number of a layer among the old ones goes along until the order is found.
            layers: kept_layers.iter().map(|l| old.layers[*l].clone()).collect(),
            calls: calls.collect(),
            outputs: outputs.collect(),
            rows: Vec::new(),
        };
        topology.arrange();
        topology.name_outputs();
        let nodes = topology
            .layers
            .iter()
            .map(|l| self.layer_index(&l.name).ok().map(|i| self.nodes[i].clone()))
            .collect();
        let mut init = Init::planned(topology.dtype, super::Budget::NONE);
        Network::with_nodes(Arc::new(topology), nodes, &mut init)
    }
}

/// Values of the old network that are inputs of the new one.
type BTreeMapAt = std::collections::BTreeMap<At, At>;

handle!(Network);

impl Route {
    fn new(topology: &Topology, specs: Vec<Vec<Spec>>) -> Result<Route> {
        let mut first = Vec::new();
        let mut slots = topology.inputs.len();
        for outputs in &specs {
            first.push(slots);
            slots += outputs.len();
        }
        let slot = |at: At| match at {
            At::Input(i) => i,
            At::Call { call, output } => first[call] + output,
        };
        for output in &topology.outputs {
            if let At::Call { call, output } = output.at
                && specs.get(call).is_none_or(|s| output >= s.len())
            {
                return Err(Error::argument(
                    "outputs",
                    "outputs of calls",
                    format!("output {output} of call {call}"),
                ));
            }
        }
        let mut uses = vec![0usize; slots];
        let all =
            || topology.calls.iter().flat_map(|c| &c.inputs).chain(topology.outputs.iter().map(|o| &o.at));
        all().for_each(|at| uses[slot(*at)] += 1);
        let sole = topology.outputs.iter().map(|o| match o.at {
            At::Call { call, output } if uses[slot(o.at)] == 1 => Some((call, output)),
            _ => None,
        });
        let sole = sole.collect();
        let mut left = uses;
        let mut fetch = |at: At| {
            let slot = slot(at);
            left[slot] -= 1;
            Fetch { slot, last: left[slot] == 0 }
        };
        let steps = topology.calls.iter().zip(&first).map(|(call, first)| Step {
            inputs: call.inputs.iter().map(|at| fetch(*at)).collect(),
            first: *first,
        });
        let steps = steps.collect();
        let outputs = topology.outputs.iter().map(|o| fetch(o.at)).collect();
        Ok(Route { steps, outputs, slots, sole, specs })
    }
}

impl Module for Network {
    fn walk(&self, at: &mut Path, f: &mut dyn FnMut(&Path, Item<'_>)) {
        for (Entry { name, .. }, node) in self.topology.layers.iter().zip(&self.nodes) {
            at.inside(name, |at| {
                if !name.is_empty() {
                    f(at, Item::Layer(&**node));
                }
                node.walk(at, f);
            });
        }
    }
    fn walk_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, ItemMut<'_>)) {
        let topology = self.topology.clone();
        for (Entry { name, .. }, node) in topology.layers.iter().zip(&mut self.nodes) {
            at.inside(name, |at| Module::walk_mut(node, at, f));
        }
    }
    fn as_node(&self) -> Option<&dyn Node> {
        Some(self)
    }
}

impl Node for Network {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        self.call_raw(x, cx, &[])
    }
    fn output_activation(&self, output: usize) -> Option<&dyn Activation> {
        self.output_activation_of(output)
    }
    fn call_raw(&self, x: Inputs<'_>, cx: &mut Cx, raw: &[bool]) -> Result<Values> {
        let x = x.values();
        // A later call inside another network may be given other shapes than the first. (A stack without an input of its own takes
        // what its layers take.)
        if self.topology.class == "Functional" && x.iter().any(|v| v.tensor.is_traced()) {
            Nested::fit(&self.topology, &x.iter().map(Value::spec).collect::<Vec<_>>())?;
        }
        self.run(x, cx, raw)
    }
    fn class_name(&self) -> &'static str {
        self.topology.class
    }
    fn traced_outputs(&self) -> Option<Vec<Spec>> {
        Some(self.output_specs())
    }
}

/// A built network as a layer of another one: it comes with its values.
#[derive(Debug)]
struct Built {
    network: Network,
    common: Common,
}

impl Configured for Built {
    fn class_name(&self) -> &'static str {
        self.network.topology.class
    }
    fn config(&self) -> Result<serde_json::Value> {
        self.network.topology.to_config()
    }
    fn common(&self) -> Option<&Common> {
        Some(&self.common)
    }
}

impl super::Build for Built {
    fn build(&self, inputs: &[Spec], _: &mut Init) -> Result<Box<dyn Node>> {
        Nested::fit(&self.network.topology, inputs)?;
        Ok(Box::new(self.network.clone()))
    }
}

/// A layer of a network.
#[derive(Clone, Copy, Debug)]
pub struct LayerRef<'a> {
    network: &'a Network,
    index: usize,
}

impl<'a> LayerRef<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        &self.network.topology.layers[self.index].name
    }

    /// The name of its type.
    pub fn class_name(&self) -> &'static str {
        self.network.topology.layers[self.index].build.class_name()
    }

    /// The layer itself.
    pub fn node(&self) -> &'a dyn Node {
        &*self.network.nodes[self.index]
    }

    /// Its parameters, with paths inside the layer.
    pub fn params(&self) -> Vec<(String, Tensor)> {
        let mut out = Vec::new();
        self.node().visit(&mut |path, p| out.push((path.to_string(), p.value().clone())));
        out
    }

    /// How many numbers its parameters hold.
    pub fn count_params(&self) -> usize {
        self.params().iter().map(|(_, value)| value.elements()).sum()
    }

    /// What each of its calls gives; unknown sizes print as `None`.
    pub fn outputs(&self) -> impl Iterator<Item = &'a [Spec]> {
        let (network, index) = (self.network, self.index);
        let calls = network.topology.calls.iter().zip(&network.route.specs);
        calls.filter(move |(call, _)| call.layer == index).map(|(_, specs)| &specs[..])
    }
}

/// Values without their masks.
pub(crate) fn tensors(values: Values) -> Tensors {
    values.into_iter().map(|v| v.tensor).collect()
}

/// The one output of a network that has one.
pub(crate) fn single(mut outputs: Tensors) -> Result<Tensor> {
    match outputs.len() {
        1 => Ok(outputs.swap_remove(0)),
        n => Err(Error::argument("predict", "a network with one output (use predict_all)", n)),
    }
}
