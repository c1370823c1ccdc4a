//! Graph passes: functions from a graph to a graph that gives the same bits.

use super::lying::Lying;
use super::{Graph, Output, Source, Step, ValueId};
use crate::autograd::{Attrs, End, apply};
use crate::kernels::strided::Layout;
use crate::nn::Module;
use crate::ops::moves::{Moves, is_reshape, only_moves, reshape};
use crate::tensor::{Array, Few, Tensor, few};
use crate::{DType, Result, Shape, Spec};
use std::any::TypeId;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Everything that identifies a computation.
type Computation = (TypeId, &'static str, Attrs, Few<ValueId, 3>);
/// Constants that may be the same.
type Alike<'a> = Vec<(ValueId, &'a Tensor)>;

/// What takes the place of a step and a product before it.
struct Joined {
    /// The numbers of the steps before it that are not needed any more.
    instead_of: Vec<usize>,
    /// The specs of new values.
    specs: Vec<Spec>,
    steps: Vec<Step>,
}

impl Step {
    /// Returns the step writing into memory of its own.
    pub(super) fn beside(&self) -> Step {
        Step { over: false, ..self.clone() }
    }
}

impl Graph {
    /// Returns the graph without steps and sources that no output needs. Inputs stay, because the caller gives
    /// them.
    #[must_use]
    pub fn without_dead_code(&self) -> Graph {
        let mut needed = vec![false; self.specs.len()];
        self.outputs.iter().for_each(|(_, value)| needed[value.at()] = true);
        let mut steps: Vec<_> = Vec::new();
        for step in self.steps.iter().rev() {
            if step.outputs.iter().any(|value| needed[value.at()]) {
                step.inputs.iter().for_each(|value| needed[value.at()] = true);
                steps.push(step.clone());
            }
        }
        steps.reverse();
        let kept =
            |(value, source): &&(ValueId, Source)| needed[value.at()] || matches!(source, Source::Input(_));
        let sources = self.sources.iter().filter(kept).cloned().collect();
        Graph { sources, steps, ..self.clone() }
    }

    /// Returns the graph with each computation done once: a step with the operation, attributes and inputs of an
    /// earlier one is left out, as are constants with the same bits. Steps whose operation holds a closure stay.
    #[must_use]
    pub fn without_duplicates(&self) -> Graph {
        let mut same: Vec<ValueId> = (0..self.specs.len() as u32).map(ValueId).collect();
        let mut sources: Vec<(ValueId, Source)> = Vec::new();
        let mut constants: HashMap<(Spec, Vec<u64>), Alike> = HashMap::new();
        for (value, source) in &self.sources {
            if let Source::Constant(tensor) = source {
                let alike = constants.entry((tensor.spec(), sample(tensor))).or_default();
                if let Some((twin, _)) = alike.iter().find(|(_, other)| tensor.same_bits(other)) {
                    same[value.at()] = *twin;
                    continue;
                }
                alike.push((*value, tensor));
            }
            sources.push((*value, source.clone()));
        }
        let mut known: HashMap<Computation, usize> = HashMap::new();
        let mut steps: Vec<super::Step> = Vec::new();
        for step in &self.steps {
            let mut step = step.beside();
            step.inputs.iter_mut().for_each(|value| *value = same[value.at()]);
            if step.op.is_described() {
                let identity = (step.op.kind(), step.name(), step.attrs(), step.inputs.clone());
                match known.entry(identity) {
                    Entry::Occupied(twin) => {
                        let twins = step.outputs.iter().zip(&steps[*twin.get()].outputs);
                        twins.for_each(|(value, twin)| same[value.at()] = *twin);
                        continue;
                    }
                    Entry::Vacant(place) => place.insert(steps.len()),
                };
            }
            steps.push(step);
        }
        let outputs = self.outputs.iter().map(|(output, value)| (output.clone(), same[value.at()])).collect();
        Graph { specs: self.specs.clone(), sources, steps, outputs }
    }
}

impl Graph {
    /// Returns the graph with the values that a network's parameters and states have now, as constants.
    ///
    /// # Errors
    /// The network has no parameter of a path, or it has another shape or dtype.
    pub fn with_parameters(&self, network: &(impl Module + ?Sized)) -> Result<Graph> {
        let mut values = BTreeMap::new();
        super::parameters("", network, &mut |path, p| {
            values.insert(path.to_string(), p.value().clone());
        });
        self.with_values(&values)
    }

    /// [`Graph::with_parameters`] of these values, by path.
    pub(super) fn with_values(&self, values: &BTreeMap<String, Tensor>) -> Result<Graph> {
        let bound = |(value, source): &(ValueId, Source)| -> Result<(ValueId, Source)> {
            let Source::Parameter(path) = source else { return Ok((*value, source.clone())) };
            let tensor = self.bound(*value, values.get(path), &|| format!("parameter '{path}'"))?;
            Ok((*value, Source::Constant(tensor)))
        };
        let sources = self.sources.iter().map(bound).collect::<Result<_>>()?;
        Ok(Graph { sources, ..self.clone() })
    }

    /// Returns the graph with the steps that compute the same in every run computed now: those whose inputs are all
    /// constants, and those that read no values. A result of more than `limit` bytes stays a step, and so does one
    /// that cannot be computed, and what holds a closure.
    #[must_use]
    pub fn with_constants_folded(&self, limit: usize) -> Graph {
        let mut known: HashMap<ValueId, Tensor> = HashMap::new();
        for (value, source) in &self.sources {
            if let Source::Constant(tensor) = source {
                known.insert(*value, tensor.clone());
            }
        }
        let mut folded = Graph { steps: Vec::new(), ..self.clone() };
        for step in &self.steps {
            match self.folded(step, &known, limit) {
                Some(outputs) => {
                    for (value, tensor) in step.outputs.iter().zip(outputs) {
                        folded.sources.push((*value, Source::Constant(tensor.clone())));
                        known.insert(*value, tensor);
                    }
                }
                None => folded.steps.push(step.clone()),
            }
        }
        folded
    }

    /// Returns the graph with zeros that are put around images only for a convolution left to that convolution, which
    /// reads them without a padded copy.
    #[must_use]
    pub fn with_padding_in_convolutions(&self) -> Graph {
        let (uses, mut graph) = (self.uses(), self.beside());
        let pads: HashMap<ValueId, &Step> = self
            .steps
            .iter()
            .filter(|step| step.op.zeros_around().is_some())
            .map(|s| (s.outputs[0], s))
            .collect();
        for step in &mut graph.steps {
            let Some((value, pad)) = step.inputs.first().and_then(|first| pads.get_key_value(first)) else {
                continue;
            };
            let Some((before, after)) = pad.op.zeros_around().filter(|_| uses[value.at()] == 1) else {
                continue;
            };
            if let Some(op) = step.op.padded(&self.specs_of(&step.inputs), before, after) {
                step.op = op;
                step.inputs[0] = pad.inputs[0];
                let specs = self.specs_of(&step.inputs);
                debug_assert!(
                    step.op.infer(&specs).is_ok_and(|out| out[..] == self.specs_of(&step.outputs)[..])
                );
            }
        }
        graph.without_dead_code()
    }

    /// Returns the graph with reshapes and permutations that follow each other as one, and without those that change
    /// nothing, alone or together: axes that are split, moved, moved back and merged. A reshape that copies, because its
    /// order is not that of the memory, is left out with them.
    #[must_use]
    pub fn with_views_joined(&self) -> Graph {
        let uses = self.uses();
        // What each value is that only moves elements of another one, and what has been computed so.
        let mut moved: HashMap<ValueId, (ValueId, Moves)> = HashMap::new();
        let mut made: HashMap<ValueId, Vec<(Moves, ValueId)>> = HashMap::new();
        // The values whose elements may not lie in order.
        let mut views: HashSet<ValueId> = HashSet::new();
        let mut same: Vec<ValueId> = (0..self.specs.len() as u32).map(ValueId).collect();
        let mut steps: Vec<Step> = Vec::new();
        for step in &self.steps {
            let mut step = step.beside();
            step.inputs.iter_mut().for_each(|value| *value = same[value.at()]);
            let out = step.outputs[0];
            if !only_moves(&*step.op) {
                let first = step.inputs.first().map(|first| Layout::contiguous(self.specs[first.at()].shape));
                if first.is_some_and(|first| step.view_of(&first, self).is_some()) {
                    views.insert(out);
                }
                steps.push(step);
                continue;
            }
            let (input, shape) = (step.inputs[0], self.specs[out.at()].shape);
            let alone = (input, Moves::nothing(self.specs[input.at()].shape.rank()));
            // A copy that others read as well is not made twice.
            let before = moved.get(&input).filter(|(from, _)| !views.contains(from) || uses[input.at()] == 1);
            let then = |(from, moves): &(ValueId, Moves)| {
                Some((*from, moves.then(&*step.op, &self.specs[from.at()].shape, &shape)?))
            };
            if let Some((from, moves)) = before.and_then(then).or_else(|| then(&alone)) {
                let of = self.specs[from.at()].shape;
                let known = made.entry(from).or_default();
                let find =
                    |moves: &Moves| known.iter().find(|(other, _)| other == moves).map(|(_, value)| *value);
                if moves.is_nothing(&of) {
                    same[out.at()] = from;
                    continue;
                } else if let Some(value) = find(&moves) {
                    same[out.at()] = value;
                    continue;
                } else if let Some(op) = moves.op(&of) {
                    (step.op, step.inputs[0]) = (op, from);
                } else if let Some((value, op)) = find(&moves.reshape()).zip(moves.permutation()) {
                    (step.op, step.inputs[0]) = (op, value);
                }
                known.push((moves.clone(), out));
                moved.insert(out, (from, moves));
            }
            views.insert(out);
            steps.push(step);
        }
        let outputs = self.outputs.iter().map(|(output, value)| (output.clone(), same[value.at()])).collect();
        Graph { specs: self.specs.clone(), sources: self.sources.clone(), steps, outputs }.without_dead_code()
    }

    /// Returns the graph with each step that may write its output over its first input marked so ([`Step::over`]): its
    /// operation can, the memory is the run's own, and nothing else needs what lies there, under whatever view. Passes
    /// that let values live longer take the marks away.
    #[must_use]
    pub fn with_steps_in_place(&self) -> Graph {
        let (mut lying, mut graph) = (Lying::sources(self), self.beside());
        for (number, (step, marked)) in self.steps.iter().zip(&mut graph.steps).enumerate() {
            marked.over = lying.next(number, step);
        }
        graph
    }

    /// Returns the graph without marks of what may be written over, which a pass that lets values live longer cannot keep.
    fn beside(&self) -> Graph {
        Graph { steps: self.steps.iter().map(Step::beside).collect(), ..self.clone() }
    }

    /// Returns the graph with steps joined to the product whose result they alone read: a scale and shift for each
    /// channel, which batch normalization is in inference, a residual that is added, a function of each element. The
    /// joined steps have no gradients.
    #[must_use]
    pub fn with_epilogues(&self) -> Graph {
        let uses = self.uses();
        let mut graph = Graph { steps: Vec::new(), ..self.clone() };
        let mut steps: Vec<Option<Step>> = Vec::new();
        let mut made_by: HashMap<ValueId, usize> = HashMap::new();
        for step in &self.steps {
            let place = match graph.joined(step, &steps, &made_by, &uses) {
                Some(joined) => {
                    joined.instead_of.iter().for_each(|at| steps[*at] = None);
                    graph.specs.extend(joined.specs);
                    joined.steps
                }
                None => vec![step.beside()],
            };
            for step in place {
                step.outputs.iter().for_each(|value| _ = made_by.insert(*value, steps.len()));
                steps.push(Some(step));
            }
        }
        Graph { steps: steps.into_iter().flatten().collect(), ..graph }
    }

    /// Returns the graph with scales and shifts computed into the constant weights and bias of the product that they
    /// alone read, as batch normalization in inference can be. Unlike the other passes it changes the last digits of
    /// results: a weight times a scale is rounded before it is multiplied with an input.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn with_scales_in_weights(&self) -> Result<Graph> {
        self.scaled(&mut |weights, s| match self.constant(weights) {
            Some(weights) => Ok(Some(Source::Constant(weights.mul(s)?))),
            None => Ok(None),
        })
    }

    /// [`Graph::with_scales_in_weights`], where `times` returns some weights times a scale; `None` if it cannot.
    pub(super) fn scaled(
        &self,
        times: &mut dyn FnMut(ValueId, &Tensor) -> Result<Option<Source>>,
    ) -> Result<Graph> {
        let (uses, mut graph) = (self.uses(), self.beside());
        let mut made_by: HashMap<ValueId, usize> = HashMap::new();
        let mut dropped = vec![false; self.steps.len()];
        for (number, step) in self.steps.iter().enumerate() {
            step.outputs.iter().for_each(|value| _ = made_by.insert(*value, number));
            let Some(End::Scale) = step.op.as_end(&self.specs_of(&step.inputs)) else { continue };
            let [x, s, t] = step.inputs[..] else { continue };
            let (Some(s), Some(t), Some(&at)) = (self.constant(s), self.constant(t), made_by.get(&x)) else {
                continue;
            };
            let product = &self.steps[at];
            let alone = uses[x.at()] == 1 && self.specs[x.at()] == self.specs[step.outputs[0].at()];
            let plain = matches!(product.name(), "conv" | "linear")
                && product.op.ends_with(&self.specs_of(&product.inputs), End::Scale).is_some();
            let bias = product.inputs.get(2).map(|bias| self.constant(*bias));
            if !alone || !plain || matches!(bias, Some(None)) || uses[product.inputs[1].at()] != 1 {
                continue;
            }
            let (s, t) = (s.reshape([-1])?, t.reshape([-1])?);
            let Some(weights) = times(product.inputs[1], &s)? else { continue };
            let bias = match bias.flatten() {
                Some(bias) => bias.mul(&s)?.add(&t)?,
                None => t,
            };
            let spec = self.specs[product.inputs[1].at()];
            let weights = graph.new_source(spec, weights);
            let bias = graph.new_source(bias.spec(), Source::Constant(bias));
            let inputs = few![product.inputs[0], weights, bias];
            // In the place of the scale: what else the product needs is there.
            graph.steps[number] = Step { inputs, outputs: step.outputs.clone(), ..product.beside() };
            dropped[at] = true;
        }
        let kept = graph.steps.into_iter().zip(dropped).filter(|(_, dropped)| !dropped);
        graph.steps = kept.map(|(step, _)| step).collect();
        Ok(graph.without_dead_code())
    }

    /// Returns the value of a constant that is one number in float32.
    fn number(&self, value: ValueId) -> Option<f32> {
        let spec = self.specs[value.at()];
        let one = spec.shape.rank() == 0 && spec.dtype == DType::F32;
        self.constant(value).filter(|_| one)?.item().ok().map(|number| number as f32)
    }

    /// Returns the values of a constant.
    pub(super) fn constant(&self, value: ValueId) -> Option<&Tensor> {
        match self.source(value) {
            Some(Source::Constant(tensor)) => Some(tensor),
            _ => None,
        }
    }

    /// Returns what does the same as a step and the product before it: the product, which goes on with what the step does.
    /// Between them may be a reshape of the result, as after an einsum; it then comes last.
    fn joined(
        &self,
        step: &Step,
        steps: &[Option<Step>],
        made_by: &HashMap<ValueId, usize>,
        uses: &[usize],
    ) -> Option<Joined> {
        let number = step.inputs.get(1).and_then(|second| self.number(*second));
        let with_number = || step.op.as_end_with(number?);
        let end = step.op.as_end(&self.specs_of(&step.inputs)).or_else(with_number)?;
        let made = |value: ValueId| -> Option<(usize, &Step)> {
            let at = *made_by.get(&value)?;
            let alone = uses.get(value.at()) == Some(&1);
            Some((at, steps[at].as_ref().filter(|made| alone && made.outputs[..] == [value])?))
        };
        // The product that comes last, because what is added to it must be there.
        let may_be = if end.commutes() { 0..step.inputs.len() } else { 0..1 };
        let found = may_be.filter_map(|i| {
            let value = step.inputs[i];
            if self.specs[value.at()] != self.specs[step.outputs[0].at()] {
                return None;
            }
            let (last, made_last) = made(value)?;
            let reshape = Some(made_last).filter(|step| is_reshape(&*step.op));
            let (at, product) = match reshape {
                Some(reshape) => made(reshape.inputs[0])?,
                None => (last, made_last),
            };
            let op = product.op.ends_with(&self.specs_of(&product.inputs), end)?;
            let mut joined = Joined { instead_of: vec![at], specs: Vec::new(), steps: Vec::new() };
            let mut inputs = product.inputs.clone();
            if !matches!(end, End::Map(_)) {
                inputs.extend(step.inputs.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, v)| *v));
            }
            let done = Step { op, inputs, outputs: step.outputs.clone(), ..product.beside() };
            match reshape {
                None if matches!(end, End::Bias) && self.specs[step.inputs[1 - i].at()].shape.rank() != 1 => {
                    return None;
                }
                None => joined.steps.push(done),
                Some(reshape) => {
                    joined.instead_of.push(last);
                    let more = done.inputs.len() - product.inputs.len();
                    self.before_reshape(&mut joined, done, end, more, [product, reshape])?;
                    joined.steps.push(Step { outputs: step.outputs.clone(), ..reshape.clone() });
                }
            }
            Some((at, joined))
        });
        found.max_by_key(|(at, _)| *at).map(|(_, joined)| joined)
    }

    /// Adds a product that does now what a step did after the product's result was reshaped: the last of its inputs are
    /// reshaped instead.
    fn before_reshape(
        &self,
        joined: &mut Joined,
        mut done: Step,
        end: End,
        more: usize,
        [product, reshaped]: [&Step; 2],
    ) -> Option<()> {
        let spec = self.specs[product.outputs[0].at()];
        let (last, first) = (spec.shape.dims().len().checked_sub(1)?, done.inputs.len() - more);
        for input in &mut done.inputs[first..] {
            let of = self.specs[input.at()];
            let to = match end {
                End::Residual => spec.shape,
                // The axes that the bias has are those that the product's last one was split into.
                End::Bias if of.shape.elements() == spec.shape.dims()[last] => {
                    Shape::new(&spec.shape.dims()[last..]).ok()?
                }
                _ => return None,
            };
            if of.shape == to {
                continue;
            }
            let new = ValueId((self.specs.len() + joined.specs.len()) as u32);
            let (inputs, outputs) = ([*input].into_iter().collect(), [new].into_iter().collect());
            let op = reshape(&of.shape, &to);
            joined.specs.push(Spec::new(to, of.dtype));
            joined.steps.push(Step { op, inputs, outputs, ..reshaped.clone() });
            *input = new;
        }
        done.outputs = product.outputs.clone();
        joined.steps.push(done);
        Some(())
    }

    /// Returns the outputs of a step that can be computed now.
    fn folded(&self, step: &Step, known: &HashMap<ValueId, Tensor>, limit: usize) -> Option<Vec<Tensor>> {
        if step.op.is_random() || !step.op.is_described() {
            return None;
        }
        let bytes = step.outputs.iter().map(|value| {
            let spec = self.specs[value.at()];
            (spec.shape.elements() as u128).saturating_mul(spec.dtype.size() as u128)
        });
        if bytes.sum::<u128>() > limit as u128 {
            return None;
        }
        let inputs: Option<Vec<Tensor>> = step.inputs.iter().map(|value| known.get(value).cloned()).collect();
        let outputs = match inputs {
            Some(inputs) => {
                apply(step.op.clone(), &inputs.iter().collect::<Vec<_>>()).ok()?.into_iter().collect()
            }
            None if !step.op.reads_values() => {
                let shapes: Vec<Array> =
                    self.specs_of(&step.inputs).iter().map(|spec| Array::traced(*spec)).collect();
                let outputs = self.specs_of(&step.outputs);
                let mut outputs: Vec<Array> =
                    outputs.iter().map(|spec| Array::new(*spec)).collect::<Result<_>>().ok()?;
                step.op.eval(&shapes.iter().collect::<Vec<_>>(), &mut outputs).ok()?;
                outputs.into_iter().map(Tensor::from).collect::<Vec<_>>()
            }
            None => return None,
        };
        Some(outputs.iter().map(Tensor::detach).collect())
    }

    /// Returns the graph with its values numbered without the gaps that passes leave.
    pub(super) fn without_gaps(&self) -> Graph {
        let mut numbers: Vec<Option<ValueId>> = vec![None; self.specs.len()];
        let mut graph = Graph { specs: Vec::new(), ..self.clone() };
        let mut renumber = |value: &mut ValueId| {
            let spec = self.specs[value.at()];
            *value = *numbers[value.at()].get_or_insert_with(|| {
                graph.specs.push(spec);
                ValueId(graph.specs.len() as u32 - 1)
            });
        };
        graph.sources.iter_mut().for_each(|(value, _)| renumber(value));
        for step in &mut graph.steps {
            step.inputs.iter_mut().for_each(&mut renumber);
            step.outputs.iter_mut().for_each(&mut renumber);
        }
        graph.outputs.iter_mut().for_each(|(_, value)| renumber(value));
        graph
    }

    /// Returns the graph without what only training needs: added losses and new values of statistics; and, unless
    /// it `continues` in a session, without what it leaves in one.
    pub(super) fn for_inference(&self, continues: bool) -> Graph {
        let kept = |(output, _): &&(Output, ValueId)| match output {
            Output::AddedLoss(_) | Output::Update(_) => false,
            Output::State(..) => continues,
            _ => true,
        };
        Graph { outputs: self.outputs.iter().filter(kept).cloned().collect(), ..self.clone() }
    }
}

/// Returns a few of a constant's elements: enough to distinguish most constants.
fn sample(t: &Tensor) -> Vec<u64> {
    let n = t.elements();
    let place = |i: usize| if n <= 8 { i } else { i * (n - 1) / 7 };
    let at = |i: usize| t.reshape([-1])?.select(0, place(i) as isize)?.item();
    (0..n.min(8)).map(|i| at(i).map_or(0, f64::to_bits)).collect()
}
