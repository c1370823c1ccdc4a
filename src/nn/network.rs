//! `Network`: layers with parameters, built and wired up. It predicts and summarizes, can be inspected, cut, frozen
//! and saved; `compile` adds an optimizer, losses and metrics and makes a `Model`.

use super::activation::Activation;
use super::node::built;
use super::param::{draw, number};
use super::symbol::{Identity, Shared, handle};
use super::topology::{At, Entry, Invocation, NamedInput, Nested, Topology};
use super::{Cx, Init, InputSpecs, Inputs, Item, ItemMut, Module, Node, Path, Range, Value, Values};
use super::{VisitMut, arguments, module, trace};
use crate::config::{Common, Configured};
use crate::error::Context;
use crate::ops::matmul::Fused;
use crate::tensor::{AsTensors, Few, PoolVec, Tensor, Tensors};
use crate::{DType, Error, Result, Spec};
use std::any::Any;
use std::sync::{Arc, OnceLock};

/// A built graph of layers, without a loss yet. `Sequential`, `Functional` and `Subclass` build one. `clone` is a
/// snapshot that shares memory until one of the two changes.
///
/// ```
/// use gradus::prelude::*;
///
/// let network = Sequential::new()
///     .add(Input::new(4))
///     .add(Dense::new(3).activation(Tanh).named("hidden"))
///     .add(Dense::new(1))
///     .build()?; // no loss: it predicts, is summarised, cut and saved
/// let x = Tensor::ones([2, 4])?;
/// assert_eq!(network.predict(&x)?.dims(), [2, 1]);
/// assert_eq!(network.cut_at(["hidden"])?.predict(&x)?.dims(), [2, 3]);
/// assert_eq!(network.param("hidden/kernel").unwrap().dims(), [4, 3]);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Network {
    pub(super) topology: Arc<Topology>,
    /// One for each layer of the topology.
    pub(super) nodes: Vec<Box<dyn Node>>,
    pub(super) route: Arc<Route>,
    pub(super) identity: Identity,
    /// The plans that `predict` runs.
    pub(crate) plans: Kept,
}

/// What is kept with a network until it changes. A clone begins with nothing.
#[derive(Default)]
pub(crate) struct Kept(OnceLock<Box<dyn Keep>>);

/// What can be kept with a network.
pub(crate) trait Keep: Any + std::fmt::Debug + Send + Sync {}

impl Kept {
    /// Returns what is kept; an empty one at first. There is one type of it.
    pub(crate) fn get<T: Keep + Default>(&self) -> Option<&T> {
        (&**self.0.get_or_init(|| Box::new(T::default())) as &dyn Any).downcast_ref()
    }

    /// Forgets it, for the network is about to change.
    pub(crate) fn forget(&mut self) {
        self.0.take();
    }
}

impl Clone for Kept {
    fn clone(&self) -> Kept {
        Kept::default()
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.get() {
            Some(kept) => kept.fmt(f),
            None => f.write_str("nothing"),
        }
    }
}

/// How values move through the network, worked out once.
#[derive(Debug)]
pub(super) struct Route {
    steps: Vec<Step>,
    /// Where outputs are found, and whether they are not needed afterwards.
    outputs: Vec<Fetch>,
    /// The total number of values.
    slots: usize,
    /// For each output the call that gives it, if nothing else uses the results of that call.
    sole: Vec<Option<(usize, usize)>>,
    /// For each call the one that reads its only output, if that is the only thing which does, and reads nothing else.
    reader: Vec<Option<usize>>,
    /// The outputs of each call, then of the network: unknown sizes print as `None`.
    pub(super) specs: Vec<Vec<Spec>>,
    /// The values that have a mask.
    pub(super) masked: Vec<At>,
    /// Whether each call takes only what the one before it gave, as in a stack.
    chain: bool,
}

/// One call: where its inputs are found, and where its outputs go.
#[derive(Debug)]
struct Step {
    inputs: Few<Fetch, 2>,
    /// The inputs that the last inputs are masks of.
    masks: Vec<usize>,
    first: usize,
}

#[derive(Clone, Copy, Debug)]
struct Fetch {
    slot: usize,
    /// Whether the value is not needed afterwards.
    last: bool,
}

impl Fetch {
    fn out_of(&self, slots: &mut [Option<Value>]) -> Result<Value> {
        let slot = &mut slots[self.slot];
        let value = if self.last { slot.take() } else { slot.clone() };
        value.ok_or_else(|| Error::argument("inputs", "a value for each input of a layer", "none"))
    }
}

impl Network {
    /// Builds the network of a topology, without values.
    pub(crate) fn assemble(topology: Arc<Topology>, init: &mut Init) -> Result<Network> {
        let ready = topology.layers.iter().map(|_| None).collect();
        Network::with_nodes(topology, ready, init)
    }

    /// Builds the network of a topology, except for the layers that already exist.
    pub(super) fn with_nodes(
        topology: Arc<Topology>,
        mut nodes: Vec<Option<Box<dyn Node>>>,
        init: &mut Init,
    ) -> Result<Network> {
        topology.check()?;
        let spec = |NamedInput { name, input }: &NamedInput| {
            input.spec(init.dtype()).at(|| format!("input '{name}'"))
        };
        let inputs = topology.inputs.iter().map(spec).collect::<Result<Vec<_>>>()?;
        let (specs, masked) =
            trace::either(&inputs, |inputs| Network::wire(&topology, inputs, &mut nodes, init))?;
        let missing = || Error::argument("network", "a call of each layer", "none");
        let nodes = nodes.into_iter().map(|n| n.ok_or_else(missing)).collect::<Result<_>>()?;
        let route = Route::new(&topology, specs, masked)?;
        let settled: Vec<_> = topology.layers.iter().map(|l| l.build.settled()).collect();
        let mut topology = topology;
        if settled.iter().any(Option::is_some) {
            let layers = &mut Arc::make_mut(&mut topology).layers;
            layers.iter_mut().zip(settled).for_each(|(l, s)| l.build = s.unwrap_or_else(|| l.build.clone()));
        }
        let (route, identity) = (Arc::new(route), Identity::default());
        Ok(Network { topology, nodes, route, identity, plans: Kept::default() })
    }

    /// Runs all calls on traced values and builds each layer at its first call. Returns what each call gives.
    fn wire(
        topology: &Topology,
        inputs: &[trace::Twin<Value>],
        nodes: &mut [Option<Box<dyn Node>>],
        init: &mut Init,
    ) -> Result<(Vec<Vec<Spec>>, Vec<At>)> {
        let mut values: Vec<Vec<trace::Twin<Value>>> = Vec::new();
        let mut specs: Vec<Vec<Spec>> = Vec::new();
        let mut masked = Vec::new();
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
            init.count_call().at(place)?;
            let build = &topology.layers[call.layer].build;
            let masks = arguments::masks_of(&**build, given.len(), &call.names).at(place)?;
            let frozen = build.common().is_some_and(|c| c.frozen);
            // Parts of a layer are built by its first call.
            let outputs = init.with_frozen(frozen, |init| -> Result<_> {
                let node = match &mut nodes[call.layer] {
                    Some(node) => node,
                    none => {
                        let specs = given.iter().map(trace::united).collect::<Result<Vec<_>>>()?;
                        let specs = InputSpecs::new(&specs, &call.names).without_last(masks.len());
                        none.insert(built(&**build, &specs, init)?)
                    }
                };
                trace::call(&**node, &given, &call.names, &masks, init)
            });
            let outputs = outputs.at(place)?;
            for (output, twin) in outputs.iter().enumerate() {
                if twin[0].mask.is_some() {
                    masked.push(At::Call { call: number, output });
                }
            }
            specs.push(outputs.iter().map(trace::united).collect::<Result<_>>().at(place)?);
            values.push(outputs);
        }
        Ok((specs, masked))
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

    /// Numbers parameters and keys, and checks that each occurs once.
    pub(crate) fn settled(mut self) -> Result<Network> {
        module::check_identity(&self)?;
        number(&mut self);
        Ok(self)
    }

    /// Draws initial values for the parameters that have none.
    fn drawn(mut self) -> Result<Network> {
        let seed = self.topology.seed;
        draw(&mut self, seed)?;
        Ok(self)
    }

    // ---- facts

    /// Returns the network's name.
    pub fn name(&self) -> String {
        self.topology.title()
    }

    /// Renames the network: the name of its layer in a network that calls it.
    #[must_use]
    pub fn named(mut self, name: &str) -> Network {
        Arc::make_mut(&mut self.topology).name = Some(name.into());
        self.identity = Identity::default();
        self.plans.forget();
        self
    }

    /// Returns the seed that it was built from.
    pub fn seed(&self) -> u64 {
        self.topology.seed
    }

    /// Returns the dtype of parameters and arithmetic.
    pub fn dtype(&self) -> DType {
        self.topology.dtype
    }

    /// Iterates over the names of the inputs.
    pub fn input_names(&self) -> impl Iterator<Item = &str> {
        self.topology.inputs.iter().map(|i| i.name.as_str())
    }

    /// Iterates over the names of the outputs.
    pub fn output_names(&self) -> impl Iterator<Item = &str> {
        self.topology.outputs.iter().map(|o| o.name.as_str())
    }

    /// Shape (unknown sizes are [`UNKNOWN`](crate::UNKNOWN), print as `None`) and dtype of each input.
    pub fn input_specs(&self) -> Vec<Spec> {
        (0..self.topology.inputs.len()).map(|i| self.spec_of(At::Input(i))).collect()
    }

    /// What is tried for the inputs to see which sizes depend on those that are not known: two specs of each; first with sizes that are
    /// all different, then with equal ones.
    pub(crate) fn trial_inputs(&self) -> [[Vec<Spec>; 2]; 2] {
        trace::Sizes::ALL.map(|sizes| {
            let inputs =
                (0..self.topology.inputs.len()).map(|i| trace::trial(self.spec_of(At::Input(i)), sizes));
            let (first, second) = inputs.map(|[first, second]| (first, second)).unzip();
            [first, second]
        })
    }

    /// Shape (unknown sizes are [`UNKNOWN`](crate::UNKNOWN), print as `None`) and dtype of each output.
    pub fn output_specs(&self) -> Vec<Spec> {
        self.topology.outputs.iter().map(|o| self.spec_of(o.at)).collect()
    }

    pub(super) fn spec_of(&self, at: At) -> Spec {
        match at {
            At::Call { call, output } => self.route.specs[call][output],
            At::Input(i) => {
                let input = &self.topology.inputs[i].input;
                // The shape was checked when the network was built.
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
        if self.route.chain {
            return self.run_chain(x, cx, raw);
        }
        let empty = std::iter::repeat_with(|| None).take(self.route.slots.saturating_sub(x.len()));
        let mut slots: PoolVec<Option<Value>> = x.iter().cloned().map(Some).chain(empty).collect();
        for (number, (step, call)) in self.route.steps.iter().zip(&self.topology.calls).enumerate() {
            let mut given: Few<Value, 2> = Few::new();
            for fetch in &step.inputs {
                given.push(fetch.out_of(&mut slots)?);
            }
            let inputs = arguments::bound(&mut given, &call.names, &step.masks)?;
            let outputs = self.call_number(number, inputs, cx, raw)?;
            // The inputs are not needed any more.
            drop(given);
            for (i, value) in outputs.into_iter().enumerate() {
                slots[step.first + i] = Some(value);
            }
        }
        let mut outputs = Values::default();
        for fetch in &self.route.outputs {
            outputs.0.push(fetch.out_of(&mut slots)?);
        }
        Ok(outputs)
    }

    /// [`Network::run`] for a stack, where one value is handed on.
    fn run_chain(&self, x: &[Value], cx: &mut Cx, raw: &[bool]) -> Result<Values> {
        let mut outputs = self.call_number(0, Inputs::new(x), cx, raw)?;
        for number in 1..self.topology.calls.len() {
            // The result of the call before is dropped when this call ends.
            let given = outputs;
            outputs = self.call_number(number, Inputs::new(&given), cx, raw)?;
        }
        Ok(outputs)
    }

    /// One call of a layer.
    fn call_number(&self, number: usize, inputs: Inputs<'_>, cx: &mut Cx, raw: &[bool]) -> Result<Values> {
        let place = || self.topology.place(number);
        if let Some(init) = cx.init() {
            init.count_call().at(place)?;
        }
        let Invocation { layer, inputs: from, .. } = &self.topology.calls[number];
        let node = &*self.nodes[*layer];
        let late = cx.is_training() && self.late_activation(number).is_some();
        let outputs = cx.inside(&self.topology.layers[*layer].name, |cx| match (late, raw.is_empty()) {
            (true, _) => node.call_raw(inputs, cx, &[true]),
            (false, true) => node.call(inputs, cx),
            (false, false) => node.call_raw(inputs, cx, &self.raw_of(number, raw)),
        });
        let mut outputs = outputs.at(place)?;
        if cx.is_training()
            && node.picks_largest()
            && let [At::Call { call, .. }] = from[..]
            && let Some(activation) = self.late_activation(call)
            && let Some(value) = outputs.0.first_mut()
        {
            value.tensor = activation.apply(&value.tensor).at(place)?;
        }
        let built = self.route.specs[number].len();
        if outputs.len() != built {
            let expected = format!("{built} outputs, as when the network was built");
            return Err(Error::argument("forward", expected, outputs.len()).at(place()));
        }
        Ok(outputs)
    }

    /// Returns the ReLU that a call ends with, if nothing but a layer that picks the largest of some numbers reads its result. The
    /// largest of numbers that are 0 where they are not positive is that of the numbers themselves, made 0 if it is not positive;
    /// and a gradient reaches that same number, or none.
    fn late_activation(&self, call: usize) -> Option<&dyn Activation> {
        let reader = (*self.route.reader.get(call)?)?;
        let node = |call: usize| &*self.nodes[self.topology.calls[call].layer];
        let activation = node(call).output_activation(0).filter(|a| a.fused() == Some(Fused::Relu))?;
        node(reader).picks_largest().then_some(activation)
    }

    /// Returns which outputs of a call come without their activation.
    fn raw_of(&self, number: usize, raw: &[bool]) -> Few<bool, 8> {
        let mut of_call: Few<bool, 8> = Few::new();
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

    /// Runs one pass over tensors, for a training loop of your own. Checks the data against the inputs.
    ///
    /// # Errors
    /// The data does not fit.
    pub fn forward(&self, x: &(impl AsTensors + ?Sized), cx: &mut Cx) -> Result<Tensor> {
        single(self.forward_all(x, cx)?)
    }

    /// [`Network::forward`] for every output.
    ///
    /// # Errors
    /// Those of [`Network::forward`].
    pub fn forward_all(&self, x: &(impl AsTensors + ?Sized), cx: &mut Cx) -> Result<Tensors> {
        let x = self.accept(&x.as_tensors())?;
        Ok(tensors(self.pass(&x, cx, &[])?))
    }

    /// Runs one pass over tensors that [`Network::accept`] has checked.
    pub(crate) fn pass(&self, x: &[Tensor], cx: &mut Cx, raw: &[bool]) -> Result<Values> {
        let x: Few<Value, 2> = x.iter().map(Value::from).collect();
        self.run(&x, cx, raw)
    }

    /// Returns the activation that an output ends with, if it can be left out and nothing else uses its result.
    pub(crate) fn output_activation_of(&self, output: usize) -> Option<&dyn Activation> {
        let (call, output) = (*self.route.sole.get(output)?)?;
        self.nodes[self.topology.calls[call].layer].output_activation(output)
    }

    /// Returns what is known of the values of each output, from what is known of the inputs.
    pub(crate) fn output_ranges(&self, inputs: &[Option<Range>]) -> Vec<Option<Range>> {
        let mut found: Vec<Vec<Option<Range>>> = Vec::new();
        let of = |found: &[Vec<Option<Range>>], at: At| match at {
            At::Input(i) => inputs.get(i).copied().flatten(),
            At::Call { call, output } => found.get(call).and_then(|of| of.get(output)).copied().flatten(),
        };
        for (call, specs) in self.topology.calls.iter().zip(&self.route.specs) {
            let given: Vec<_> = call.inputs.iter().map(|at| of(&found, *at)).collect();
            let node = &self.nodes[call.layer];
            found.push((0..specs.len()).map(|output| node.output_range(output, &given)).collect());
        }
        self.topology.outputs.iter().map(|o| of(&found, o.at)).collect()
    }

    /// Checks data against the inputs and converts it to their dtypes.
    pub(crate) fn accept(&self, x: &[Tensor]) -> Result<Tensors> {
        let inputs = &self.topology.inputs;
        if x.len() != inputs.len() {
            let names: Vec<&str> = self.input_names().collect();
            let expected = format!("{} input tensors ({})", inputs.len(), names.join(", "));
            return Err(Error::argument("x", expected, x.len()));
        }
        let one = |(t, NamedInput { name, input }): (&Tensor, &NamedInput)| -> Result<Tensor> {
            input.accepts(t.spec()).at(|| match inputs.len() {
                1 => format!("input of '{}'", self.name()),
                _ => format!("input '{name}' of '{}'", self.name()),
            })?;
            let want = input.dtype_value().unwrap_or(self.dtype());
            if !want.is_float() && t.dtype().is_float() {
                let expected = "whole numbers such as indices (x.cast(DType::I64)? makes them)";
                return Err(Error::DType { op: "x", expected, got: t.dtype() });
            }
            if t.dtype() != want && want.is_float() && !t.dtype().is_float() {
                return Err(Error::DType { op: "x", expected: instead_of(t.dtype()), got: t.dtype() });
            }
            t.cast(want)
        };
        x.iter().zip(inputs).map(one).collect()
    }
}

/// Returns what to write if a network takes floating-point numbers and is given others.
fn instead_of(dtype: DType) -> &'static str {
    match dtype {
        DType::U8 => {
            "floating-point data (x.scale(1.0 / 255.0)? for images, x.cast(DType::F32)? for the numbers as they are)"
        }
        DType::Bool => "floating-point data (x.cast(DType::F32)? makes 0 and 1 of it)",
        _ => {
            "floating-point data (x.cast(DType::F32)?; for an Embedding's indices declare Input::new(…).dtype(DType::I64))"
        }
    }
}

handle!(Network);

impl Route {
    fn new(topology: &Topology, specs: Vec<Vec<Spec>>, masked: Vec<At>) -> Result<Route> {
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
        let mut reader = vec![None; specs.len()];
        for (number, invocation) in topology.calls.iter().enumerate() {
            if let [at @ At::Call { call, output: 0 }] = invocation.inputs[..]
                && uses[slot(at)] == 1
                && specs[call].len() == 1
            {
                reader[call] = Some(number);
            }
        }
        let mut left = uses;
        let mut fetch = |at: At| {
            let slot = slot(at);
            left[slot] -= 1;
            Fetch { slot, last: left[slot] == 0 }
        };
        let step = |(call, first): (&Invocation, &usize)| -> Result<Step> {
            let layer = &*topology.layers[call.layer].build;
            Ok(Step {
                inputs: call.inputs.iter().map(|at| fetch(*at)).collect(),
                masks: arguments::masks_of(layer, call.inputs.len(), &call.names)?,
                first: *first,
            })
        };
        let steps = topology.calls.iter().zip(&first).map(step).collect::<Result<_>>()?;
        let outputs = topology.outputs.iter().map(|o| fetch(o.at)).collect();
        let before = |number: usize| match number {
            0 => At::Input(0),
            number => At::Call { call: number - 1, output: 0 },
        };
        let chained = |(i, call): (usize, &Invocation)| call.names.is_empty() && call.inputs == [before(i)];
        let chain = topology.inputs.len() == 1
            && !topology.calls.is_empty()
            && topology.calls.iter().enumerate().all(chained)
            && specs.iter().all(|s| s.len() == 1)
            && topology.outputs.iter().map(|o| o.at).eq([before(topology.calls.len())]);
        Ok(Route { steps, outputs, slots, sole, reader, specs, masked, chain })
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
        // Layers may be replaced.
        self.plans.forget();
        self.walk_layers_mut(at, f);
    }
    fn visit_mut(&mut self, f: VisitMut<'_>) {
        // Plans read parameters as they are, and see if one is another.
        module::visit_mut(&mut |at, f| self.walk_layers_mut(at, f), f);
    }
    fn as_node(&self) -> Option<&dyn Node> {
        Some(self)
    }
}

impl Network {
    fn walk_layers_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, ItemMut<'_>)) {
        // From here on, a call as a layer means the changed network.
        self.identity = Identity::default();
        let topology = self.topology.clone();
        for (Entry { name, .. }, node) in topology.layers.iter().zip(&mut self.nodes) {
            at.inside(name, |at| Module::walk_mut(node, at, f));
        }
    }

    /// Returns whether all layers are the library's own, which compute the same each time and do nothing else. (What they
    /// are set to use, such as an activation, may be the user's.)
    pub(crate) fn has_own_layers(&self) -> bool {
        let mut all = self.nodes.iter().all(|node| is_own(&**node));
        self.walk(&mut Path::default(), &mut |_, item| {
            if let Item::Layer(node) = item {
                all &= is_own(node);
            }
        });
        all
    }
}

/// What the full names of the library's own layers begin with, and those among them that call what a walk does not show: a
/// function of the user's, a layer of any kind.
const OWN: &str = "gradus::nn::";
const CALL_OTHERS: [&str; 3] =
    ["gradus::nn::part::Part", "gradus::nn::layers::lambda::Lambda", "gradus::nn::layers::checkpoint::Block"];

/// Returns whether a layer is the library's own and computes what the library alone says.
fn is_own(node: &dyn Node) -> bool {
    let name = node.type_name();
    name.starts_with(OWN) && !name.contains('<') && !CALL_OTHERS.contains(&name)
}

impl Node for Network {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        self.call_raw(x, cx, &[])
    }
    fn output_activation(&self, output: usize) -> Option<&dyn Activation> {
        self.output_activation_of(output)
    }
    fn output_range(&self, output: usize, inputs: &[Option<Range>]) -> Option<Range> {
        self.output_ranges(inputs).get(output).copied().flatten()
    }
    fn call_raw(&self, x: Inputs<'_>, cx: &mut Cx, raw: &[bool]) -> Result<Values> {
        let x = x.values();
        // A later call inside another network may be given other shapes than the first. (A stack without an input
        // of its own takes what its layers take.)
        if self.topology.class == "Functional" && x.iter().any(|v| v.tensor.is_traced()) {
            Nested::fit(&self.topology, &x.iter().map(Value::spec).collect::<Vec<_>>())?;
        }
        self.run(x, cx, raw)
    }
    fn class_name(&self) -> &'static str {
        self.topology.class
    }
    fn type_name(&self) -> &'static str {
        // A struct of the user's that is a whole network has no place of its own in a walk.
        let whole = self.topology.layers.iter().position(|layer| layer.name.is_empty());
        whole.map_or(std::any::type_name::<Network>(), |at| self.nodes[at].type_name())
    }
    fn traced_outputs(&self) -> Option<Vec<Spec>> {
        Some(self.output_specs())
    }
    fn is_row_wise(&self) -> bool {
        self.nodes.iter().all(|node| node.is_row_wise())
    }
}

/// A built network as a layer of another one: it brings its values with it.
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
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        Nested::fit(&self.network.topology, inputs)?;
        let mut network = self.network.clone();
        if init.is_frozen() {
            network.set_all_trainable(false);
        }
        Ok(Box::new(network))
    }
    fn settled(&self) -> Option<Arc<dyn super::Build>> {
        Some(Arc::new(Nested::new(self.network.topology.clone())))
    }
}

/// Returns values without their masks.
pub(super) fn tensors(values: Values) -> Tensors {
    values.into_iter().map(|v| v.tensor).collect()
}

/// Returns the only output of a network that has just one.
pub(crate) fn single(mut outputs: Tensors) -> Result<Tensor> {
    match outputs.len() {
        1 => Ok(outputs.swap_remove(0)),
        n => Err(Error::argument("predict", "a network with one output (use predict_all)", n)),
    }
}
