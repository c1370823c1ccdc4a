//! `Plan`: a graph made ready to run again and again. What each step writes, where, and until when it is needed are
//! known before it runs: values lie at offsets of one arena, views are worked out, and a step that may write over its input
//! ([`Graph::with_steps_in_place`]) does. The steps are those of the graph, evaluated by the same
//! code, so results have the same bits.

use super::cost::Counts;
use super::lying::LEAVES;
use super::weights::Weights;
use super::{Graph, Output, Source, Step, ValueId};
use crate::autograd::{Constant, Made as Form, Op, check_countable, check_view};
use crate::error::Context;
use crate::kernels::strided::Layout;
use crate::nn::Session;
use crate::tensor::arena::Arena;
use crate::tensor::storage::{Buffer, Shared};
use crate::tensor::{Array, Few, Tensor, Tensors, few};
use crate::{DType, Error, Result, Spec};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The state of a session: the number of a key, and of its call.
type StateAt = (u64, u32);

/// A graph with its constants, and where its values lie.
pub(super) struct Plan {
    steps: Vec<Planned>,
    /// How each value lies in its memory.
    layouts: Vec<(Layout, DType)>,
    /// Where each value lies in the arena; `None` if it does not.
    places: Vec<Option<usize>>,
    /// The values that are the same in every run; shapes alone of those that are read in other forms.
    fixed: Vec<Option<Array>>,
    /// These forms.
    forms: Vec<Arc<dyn Form>>,
    inputs: Vec<ValueId>,
    /// The parameters that each run is given, by their paths.
    parameters: Vec<(String, ValueId)>,
    states: Vec<(StateAt, ValueId)>,
    results: Vec<ValueId>,
    /// What a run leaves in its session; `None` if it has none.
    left: Option<Vec<(StateAt, ValueId)>>,
    /// Bytes of the arena.
    bytes: usize,
}

/// How a step computes its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Into memory of their own.
    Fresh,
    /// Over the first input, if nothing else holds it.
    InPlace,
    /// The output is the first input's memory under another layout.
    View,
}

/// A step of a plan.
pub(super) struct Planned {
    pub(super) op: Arc<dyn Op>,
    pub(super) layer: String,
    pub(super) counts: Counts,
    inputs: Few<ValueId, 3>,
    outputs: Few<ValueId, 3>,
    how: How,
    /// The form of a constant that it reads in the constant's place.
    form: Option<Arc<dyn Form>>,
    /// The values that are not needed after it, and where the part of the arena begins that becomes free with them.
    ends: Vec<(ValueId, Option<usize>)>,
}

/// What one run at a time needs besides the plan.
pub(super) struct Room {
    pub(super) plan: Arc<Plan>,
    /// How the values that steps compute lie.
    layouts: Vec<Option<Shared<Layout>>>,
    values: Vec<Option<Array>>,
}

impl Room {
    pub(super) fn new(plan: Arc<Plan>) -> Room {
        let mut layouts = vec![None; plan.layouts.len()];
        for value in plan.steps.iter().flat_map(|step| &step.outputs) {
            layouts[value.at()] = Some(Shared::new(plan.layouts[value.at()].0));
        }
        let values = vec![None; plan.layouts.len()];
        Room { plan, layouts, values }
    }
}

/// Memory that values share: by views of each other, or because one is written over another.
struct Memory {
    /// Whether it is the run's own, to be written over. A caller's inputs and what is fixed are not.
    owned: bool,
    /// Whether a part of the arena holds it; what leaves the run lies elsewhere.
    in_arena: bool,
    bytes: usize,
    /// The first step that writes it, and the last step that reads or writes it.
    from: usize,
    to: usize,
}

/// A plan under construction.
struct Made<'a> {
    graph: &'a Graph,
    layouts: Vec<(Layout, DType)>,
    fixed: Vec<Option<Array>>,
    /// The number of the constant that each value is, or is a view of: that of a parameter, or beyond those.
    numbers: Vec<Option<usize>>,
    memories: Vec<Memory>,
    /// The memory of each value.
    memory: Vec<usize>,
    /// The last step that needs each value: `LEAVES` if it leaves the run.
    last: Vec<usize>,
}

impl Plan {
    /// Plans a graph of inference ([`Graph::for_inference`]) with these parameters; `continues` says whether it is run in
    /// a session. Parameters that are then read in other forms alone lose their values; those that are not among these
    /// are given to each run.
    ///
    /// # Errors
    /// A value is too large for any memory, or the graph has outputs of training.
    pub(super) fn new(graph: &Graph, continues: bool, weights: &mut Weights) -> Result<Plan> {
        let graph = &graph.without_gaps();
        let mut made = Made::new(graph);
        let (mut inputs, mut parameters, mut states) = (Vec::new(), Vec::new(), Vec::new());
        for (value, source) in &graph.sources {
            let spec = graph.specs[value.at()];
            let constant = match source {
                Source::Constant(tensor) => {
                    let array = tensor.array().clone();
                    // A parameter under another shape, or a number of its own.
                    let number = weights.number_of(&array).unwrap_or(weights.count() + value.at());
                    Some((array, number))
                }
                Source::Parameter(path) => weights.number(path).map(|number| (weights.array(number), number)),
                _ => None,
            };
            if let (Source::Parameter(path), None) = (source, &constant) {
                parameters.push((path.clone(), *value));
            }
            let layout =
                constant.as_ref().map_or(Layout::contiguous(spec.shape), |(array, _)| *array.layout());
            if let Some((array, number)) = constant {
                made.fixed[value.at()] = Some(array);
                made.numbers[value.at()] = Some(number);
            }
            match source {
                Source::Input(_) => inputs.push(*value),
                Source::State(key, call) => states.push(((*key, *call), *value)),
                Source::Constant(_) | Source::Parameter(_) => {}
            }
            let owned = matches!(source, Source::State(..));
            made.begin(*value, layout, Memory { owned, in_arena: false, bytes: 0, from: 0, to: 0 });
        }
        let mut steps = Vec::new();
        for (number, step) in graph.steps.iter().enumerate() {
            steps.extend(made.step(number, step)?);
        }
        let forms = made.make_ready(&mut steps, weights)?;
        let (places, bytes) = made.places()?;
        made.ends(&mut steps, &places);
        let (mut results, mut left) = (Vec::new(), Vec::new());
        for (output, value) in &graph.outputs {
            match output {
                Output::Result(_) => results.push(*value),
                Output::State(key, call) => left.push(((*key, *call), *value)),
                other => return Err(Error::argument("plan", "a graph of inference", other)),
            }
        }
        let Made { layouts, fixed, .. } = made;
        let steps = steps.into_iter().map(|(_, step)| step).collect();
        let left = continues.then_some(left);
        Ok(Plan { steps, layouts, places, fixed, forms, inputs, parameters, states, results, left, bytes })
    }

    /// Returns whether it was made for these inputs and this state.
    pub(super) fn fits(&self, inputs: &[Tensor], session: Option<&Session>) -> bool {
        let spec = |value: ValueId| Spec::new(self.layouts[value.at()].0.shape, self.layouts[value.at()].1);
        let states = || session.into_iter().flat_map(Session::states);
        self.left.is_some() == session.is_some()
            && self.inputs.len() == inputs.len()
            && std::iter::zip(&self.inputs, inputs).all(|(value, given)| spec(*value) == given.spec())
            && states().count() == self.states.len()
            && states().all(|(at, given)| {
                self.states.iter().any(|(key, value)| *key == at && spec(*value) == given.spec())
            })
    }

    /// Bytes of the arena that a run needs.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of what is the same in every run, in the forms in which it is read; what several values share counts once.
    pub(super) fn fixed_bytes(&self) -> usize {
        let mut seen = std::collections::BTreeSet::new();
        let read = self.fixed.iter().flatten().filter(|array| !array.is_traced());
        let read = read.filter(|array| seen.insert(array.memory()));
        let read: usize = read.map(|array| array.shape().elements() * array.dtype().size()).sum();
        let mut seen = std::collections::BTreeSet::new();
        let forms = self.forms.iter().filter(|form| seen.insert(Arc::as_ptr(form).cast::<()>()));
        read + forms.map(|form| form.bytes()).sum::<usize>()
    }

    /// Returns the parameters that each run is given, by their paths.
    pub(super) fn parameters(&self) -> &[(String, ValueId)] {
        &self.parameters
    }

    pub(super) fn steps(&self) -> &[Planned] {
        &self.steps
    }
}

impl Made<'_> {
    fn new(graph: &Graph) -> Made<'_> {
        let n = graph.specs.len();
        let last = graph.last_uses();
        let layouts = graph.specs.iter().map(|spec| (Layout::contiguous(spec.shape), spec.dtype)).collect();
        let (fixed, numbers) = (vec![None; n], vec![None; n]);
        Made { graph, layouts, fixed, numbers, memories: Vec::new(), memory: vec![0; n], last }
    }

    /// Gives a value memory of its own.
    fn begin(&mut self, value: ValueId, layout: Layout, memory: Memory) {
        self.layouts[value.at()].0 = layout;
        self.memory[value.at()] = self.memories.len();
        self.memories.push(Memory { to: self.last[value.at()], ..memory });
    }

    /// Lets a value share another one's memory.
    fn share(&mut self, value: ValueId, with: ValueId, layout: Layout) {
        self.layouts[value.at()].0 = layout;
        let memory = self.memory[with.at()];
        self.memory[value.at()] = memory;
        let to = &mut self.memories[memory].to;
        *to = (*to).max(self.last[value.at()]);
    }

    /// Decides how a step computes; `None` if there is nothing to compute.
    fn step(&mut self, number: usize, step: &Step) -> Result<Option<(usize, Planned)>> {
        let place = || step.place();
        let (first, out) = (step.inputs.first().copied(), step.outputs[0]);
        step.outputs.iter().try_for_each(|v| check_countable(self.graph.specs[v.at()])).at(place)?;
        // As `apply` draws in inference.
        let op = step.op.reseeded(0, 0).unwrap_or_else(|| step.op.clone());
        let view = first.and_then(|first| step.view_of(&self.layouts[first.at()].0, self.graph));
        let how = match (first, view) {
            (Some(first), Some(layout)) => {
                self.share(out, first, layout);
                if let Some(fixed) = &self.fixed[first.at()] {
                    self.fixed[out.at()] = Some(fixed.with_layout(layout));
                    self.numbers[out.at()] = self.numbers[first.at()];
                    return Ok(None);
                }
                How::View
            }
            (Some(first), None) if step.over && self.memories[self.memory[first.at()]].owned => {
                self.share(out, first, self.layouts[first.at()].0);
                How::InPlace
            }
            _ => {
                let inputs = step.inputs.iter().map(|v| &self.layouts[v.at()]);
                for (layout, dtype) in inputs {
                    check_view(layout, *dtype).at(place)?;
                }
                for value in &step.outputs {
                    let spec = self.graph.specs[value.at()];
                    let bytes = spec.shape.elements() * spec.dtype.size();
                    let memory = Memory { owned: true, in_arena: true, bytes, from: number, to: 0 };
                    self.begin(*value, Layout::contiguous(spec.shape), memory);
                }
                How::Fresh
            }
        };
        let (inputs, outputs) = (step.inputs.clone(), step.outputs.clone());
        let (layer, counts) = (step.layer.clone(), self.graph.cost_of(step));
        Ok(Some((number, Planned { op, layer, counts, inputs, outputs, how, form: None, ends: Vec::new() })))
    }

    /// Lets products read constants in the forms that are fastest, if nothing else reads these constants, and gives the
    /// values up that are then not read any more. Returns the forms.
    fn make_ready(
        &mut self,
        steps: &mut [(usize, Planned)],
        weights: &mut Weights,
    ) -> Result<Vec<Arc<dyn Form>>> {
        // How many read each constant, and how many could do with another form of it.
        let mut readers: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        for (_, step) in &*steps {
            let form = self.takes_form(step);
            for (i, value) in step.inputs.iter().enumerate() {
                if let Some(number) = self.numbers[value.at()] {
                    let (all, willing) = readers.entry(number).or_default();
                    (*all, *willing) = (*all + 1, *willing + usize::from(form == Some(i)));
                }
            }
        }
        for (_, value) in &self.graph.outputs {
            let Some(number) = self.numbers[value.at()] else { continue };
            readers.entry(number).or_default().0 += 1;
            if self.fixed[value.at()].as_ref().is_some_and(Array::is_traced) {
                self.restore(number, weights)?;
            }
        }
        let mut forms = Vec::new();
        for (_, step) in steps {
            let form = self.takes_form(step);
            for (i, value) in step.inputs.clone().iter().enumerate() {
                let Some(number) = self.numbers[value.at()] else { continue };
                let (all, willing) = readers.entry(number).or_default();
                if form == Some(i) && all == willing && self.reads_form(step, *value, number, weights)? {
                    forms.extend(step.form.clone());
                    // The last of them has done without the values.
                    (*all, *willing) = (*all - 1, *willing - 1);
                    if *all == 0 {
                        self.forget(number, weights);
                    }
                } else if self.fixed[value.at()].as_ref().is_some_and(Array::is_traced) {
                    self.restore(number, weights)?;
                }
            }
        }
        weights.release();
        Ok(forms)
    }

    /// Returns which input of a step could have another form: a constant, whole and in order.
    fn takes_form(&self, step: &Planned) -> Option<usize> {
        let specs = self.graph.specs_of(&step.inputs);
        let at = step.op.readies(&specs)?;
        let value = step.inputs.get(at)?;
        let (number, fixed) = (self.numbers[value.at()]?, self.fixed[value.at()].as_ref()?);
        let whole = self
            .sources_of(number)
            .all(|source| self.graph.specs[source.at()].shape.elements() == fixed.shape().elements());
        (whole && fixed.layout().is_contiguous()).then_some(at)
    }

    /// Returns the sources that are, or are views of, the constant of a number.
    fn sources_of(&self, number: usize) -> impl Iterator<Item = ValueId> {
        let sources = self.graph.sources.iter().map(|(value, _)| *value);
        sources.filter(move |value| self.numbers[value.at()] == Some(number))
    }

    /// Lets a step read the form of a constant that it reads fastest, if that can be made.
    fn reads_form(
        &mut self,
        step: &mut Planned,
        value: ValueId,
        number: usize,
        weights: &mut Weights,
    ) -> Result<bool> {
        let specs = self.graph.specs_of(&step.inputs);
        for again in [false, true] {
            let Some(values) = &self.fixed[value.at()] else { return Ok(false) };
            let lasting = (number < weights.count()).then_some(number);
            let constant = Constant { values, number: lasting };
            if let Some((op, form)) = step.op.made_ready(&specs, constant, &mut weights.ready) {
                (step.op, step.form) = (op, Some(form));
                return Ok(true);
            }
            // It needs the values for a form that no plan before it has asked for.
            if again || !values.is_traced() {
                break;
            }
            self.restore(number, weights)?;
        }
        Ok(false)
    }

    /// Lets go of the values of a constant.
    fn forget(&mut self, number: usize, weights: &mut Weights) {
        if number >= weights.count() || weights.give_up(number) {
            self.refix(number, |old| Array::traced(old.spec()));
            weights.tidy();
        }
    }

    /// Fetches the values of a parameter that were given up.
    fn restore(&mut self, number: usize, weights: &mut Weights) -> Result<()> {
        let values = weights.restore(number)?;
        self.refix(number, |old| values.with_layout(*old.layout()));
        Ok(())
    }

    /// Replaces a constant and the views of it.
    fn refix(&mut self, number: usize, new: impl Fn(&Array) -> Array) {
        for (fixed, of) in self.fixed.iter_mut().zip(&self.numbers) {
            if let (Some(array), true) = (&*fixed, *of == Some(number)) {
                *fixed = Some(new(array));
            }
        }
    }

    /// Finds places in the arena: the largest values first, each at the lowest place that is free while it lives.
    fn places(&mut self) -> Result<(Vec<Option<usize>>, usize)> {
        let leaves = |memory: &Memory| memory.to == LEAVES;
        self.memories.iter_mut().for_each(|memory| memory.in_arena &= !leaves(memory));
        let mut order: Vec<usize> = (0..self.memories.len()).filter(|i| self.memories[*i].in_arena).collect();
        order.sort_by_key(|i| (std::cmp::Reverse(self.memories[*i].bytes), self.memories[*i].from));
        let mut begins: Vec<Option<usize>> = vec![None; self.memories.len()];
        let mut placed: Vec<(usize, usize, usize)> = Vec::new(); // begin, end, memory; ascending
        let mut bytes = 0;
        for i in order {
            let Memory { from, to, bytes: payload, .. } = self.memories[i];
            let span = Buffer::span(payload);
            let mut at = 0usize;
            for &(begin, end, other) in &placed {
                let other = &self.memories[other];
                if other.from > to || from > other.to {
                    continue;
                }
                if at + span <= begin {
                    break;
                }
                at = at.max(end);
            }
            let end = at.checked_add(span).filter(|end| *end <= isize::MAX as usize);
            let end = end.ok_or_else(|| Error::Custom("plan: too large for any memory".into()))?;
            let slot = placed.partition_point(|(begin, ..)| *begin <= at);
            placed.insert(slot, (at, end, i));
            begins[i] = Some(at);
            bytes = bytes.max(end);
        }
        Ok((self.memory.iter().map(|memory| begins.get(*memory).copied().flatten()).collect(), bytes))
    }

    /// Notes after which step each value ends, and with which its place becomes free.
    fn ends(&self, steps: &mut [(usize, Planned)], places: &[Option<usize>]) {
        let step_of: std::collections::HashMap<usize, usize> =
            steps.iter().enumerate().map(|(at, (number, _))| (*number, at)).collect();
        let computed: Vec<ValueId> =
            steps.iter().flat_map(|(_, step)| step.outputs.iter().copied()).collect();
        let sources = self.graph.sources.iter().map(|(value, _)| *value);
        for value in sources.chain(computed) {
            let last = self.last[value.at()];
            if last == LEAVES || self.fixed[value.at()].is_some() {
                continue;
            }
            let Some(at) = step_of.get(&last) else { continue };
            let step = &mut steps[*at].1;
            // What a step writes over has been taken by then.
            if step.how == How::InPlace && step.inputs.first() == Some(&value) {
                continue;
            }
            let place = places[value.at()].filter(|_| self.memories[self.memory[value.at()]].to == last);
            step.ends.push((value, place));
        }
        for (_, step) in steps {
            // Of values that share memory the last one to go gives it back.
            let mut seen = Vec::new();
            for (value, place) in step.ends.iter_mut().rev() {
                let memory = self.memory[value.at()];
                match seen.contains(&memory) {
                    true => *place = None,
                    false => seen.push(memory),
                }
            }
        }
    }
}

/// The times of the steps, if they are wanted.
pub(super) type Clock<'a> = Option<&'a mut [Duration]>;

impl Room {
    /// Runs the plan on inputs, parameters ([`Plan::parameters`], contiguous) and states that fit it, and notes how long
    /// each step takes if there is a clock. What it leaves for the next call goes into the session. After an error the room
    /// must not be used again.
    pub(super) fn run(
        &mut self,
        arena: &mut Arena,
        inputs: &[Tensor],
        parameters: impl IntoIterator<Item = (ValueId, Array)>,
        session: Option<&mut Session>,
        mut clock: Clock<'_>,
    ) -> Result<Tensors> {
        let Room { plan, layouts, values } = self;
        let plan: &Plan = plan;
        arena.reserve(plan.bytes)?;
        for (value, given) in plan.inputs.iter().zip(inputs) {
            values[value.at()] = Some(given.array().contiguous()?);
        }
        for (value, given) in parameters {
            values[value.at()] = Some(given);
        }
        let mut session = session;
        for (at, value) in &plan.states {
            let state = session.as_mut().and_then(|session| session.take_state(*at));
            values[value.at()] = Some(state.ok_or_else(missing)?.into_array().contiguous()?);
        }
        for (number, step) in plan.steps.iter().enumerate() {
            let began = clock.as_ref().map(|_| Instant::now());
            plan.step(step, arena, layouts, values).at(|| step.place())?;
            if let (Some(clock), Some(began)) = (&mut clock, began) {
                clock[number] = began.elapsed();
            }
        }
        let value = |v: &ValueId| -> Result<Tensor> {
            let found = values[v.at()].as_ref().or(plan.fixed[v.at()].as_ref());
            Ok(found.ok_or_else(missing)?.clone().into())
        };
        let results = plan.results.iter().map(value).collect::<Result<Tensors>>()?;
        if let (Some(session), Some(left)) = (session, &plan.left) {
            let states = left.iter().map(|(at, v)| Ok((*at, value(v)?)));
            *session = Session::of(states.collect::<Result<Few<_, 2>>>()?);
        }
        values.iter_mut().for_each(|value| *value = None);
        Ok(results)
    }
}

/// Returns the layout of a value that a step computes.
fn layout_of(value: ValueId, layouts: &[Option<Shared<Layout>>]) -> Result<Shared<Layout>> {
    layouts[value.at()].clone().ok_or_else(missing)
}

#[cold]
fn missing() -> Error {
    Error::Custom("plan: a value was not computed".into())
}

impl Planned {
    /// Returns operation and layer, for errors.
    fn place(&self) -> String {
        super::place(self.op.name(), &self.layer)
    }
}

impl Plan {
    /// Runs a step.
    fn step(
        &self,
        step: &Planned,
        arena: &mut Arena,
        layouts: &[Option<Shared<Layout>>],
        values: &mut [Option<Array>],
    ) -> Result<()> {
        let over = match (step.how, step.inputs.first()) {
            (How::InPlace, Some(first)) => values[first.at()].take(),
            _ => None,
        };
        let outputs = match over {
            Some(first) => few![self.over(step, first, values)?],
            None => self.outputs(step, arena, layouts, values)?,
        };
        for (value, array) in step.outputs.iter().zip(outputs) {
            values[value.at()] = Some(array);
        }
        for (value, place) in &step.ends {
            if let (Some(array), Some(at)) = (values[value.at()].take(), place) {
                arena.give(*at, array);
            }
        }
        Ok(())
    }

    /// Computes over the first input, or beside it if something else holds its memory, as an operation of the user's
    /// own may do.
    fn over(&self, step: &Planned, mut first: Array, values: &[Option<Array>]) -> Result<Array> {
        let rest = self.arrays(&step.inputs[1..], values)?;
        if first.is_exclusive() && step.op.eval_in_place(&mut first, &rest)? {
            return Ok(first);
        }
        let mut output = [Array::new(first.spec())?];
        let inputs: Few<&Array, 8> = std::iter::once(&first).chain(rest.iter().copied()).collect();
        step.op.eval(&inputs, &mut output)?;
        let [output] = output;
        Ok(output)
    }

    /// Computes into memory of its own, or makes a view.
    fn outputs(
        &self,
        step: &Planned,
        arena: &mut Arena,
        layouts: &[Option<Shared<Layout>>],
        values: &[Option<Array>],
    ) -> Result<Few<Array, 3>> {
        let inputs = self.arrays(&step.inputs, values)?;
        if let (How::View, Some(first)) = (step.how, inputs.first()) {
            let layout = layout_of(step.outputs[0], layouts)?;
            // What the caller gave may be a part of something, and begin later in its memory than a whole does.
            let later = first.layout().offset - self.layouts[step.inputs[0].at()].0.offset;
            return Ok(few![match later {
                0 => first.viewed(layout),
                _ => first.with_layout(Layout { offset: layout.offset + later, ..*layout }),
            }]);
        }
        let mut outputs: Few<Array, 3> = Few::new();
        for value in &step.outputs {
            outputs.push(self.fresh(*value, arena, layouts)?);
        }
        step.op.eval(&inputs, &mut outputs)?;
        Ok(outputs)
    }

    fn arrays<'a>(&'a self, of: &[ValueId], values: &'a [Option<Array>]) -> Result<Few<&'a Array, 8>> {
        let one = |v: &ValueId| values[v.at()].as_ref().or(self.fixed[v.at()].as_ref()).ok_or_else(missing);
        of.iter().map(one).collect()
    }

    /// Returns memory for a value.
    fn fresh(&self, value: ValueId, arena: &mut Arena, layouts: &[Option<Shared<Layout>>]) -> Result<Array> {
        let (layout, dtype) = &self.layouts[value.at()];
        let bytes = layout.shape.elements() * dtype.size();
        let part = self.places[value.at()].and_then(|at| arena.take(at, bytes));
        let buffer = part.map_or_else(|| Buffer::new(&layout.shape, *dtype), Ok)?;
        Ok(Array::in_buffer(buffer, layout_of(value, layouts)?, *dtype))
    }
}
