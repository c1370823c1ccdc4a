//! Graph passes: functions from a graph to a graph that gives the same bits.

use super::{Graph, Output, Source, Step, ValueId};
use crate::autograd::{Attrs, End, apply};
use crate::nn::Module;
use crate::tensor::{Array, Few, Tensor};
use crate::{DType, Result, Spec};
use std::any::TypeId;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// Everything that identifies a computation.
type Computation = (TypeId, &'static str, Attrs, Few<ValueId, 3>);
/// Constants that may be the same.
type Alike<'a> = Vec<(ValueId, &'a Tensor)>;

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
            let mut step = step.clone();
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
        let (uses, mut graph) = (self.uses(), self.clone());
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

    /// Returns the graph with steps joined to the product whose result they alone read: a scale and shift for each
    /// channel, which batch normalization is in inference, a residual that is added, a function of each element. The
    /// joined steps have no gradients.
    #[must_use]
    pub fn with_epilogues(&self) -> Graph {
        let uses = self.uses();
        let mut steps: Vec<Option<Step>> = Vec::new();
        let mut made_by: HashMap<ValueId, usize> = HashMap::new();
        for step in &self.steps {
            let joined = self.joined(step, &steps, &made_by, &uses);
            let step = match joined {
                Some((before, joined)) => {
                    steps[before] = None;
                    joined
                }
                None => step.clone(),
            };
            step.outputs.iter().for_each(|value| {
                made_by.insert(*value, steps.len());
            });
            steps.push(Some(step));
        }
        Graph { steps: steps.into_iter().flatten().collect(), ..self.clone() }
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
        let (uses, mut graph) = (self.uses(), self.clone());
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
            let mut inputs: Few<ValueId, 3> = Few::new();
            inputs.push(product.inputs[0]);
            for (spec, source) in
                [(self.specs[product.inputs[1].at()], weights), (bias.spec(), Source::Constant(bias))]
            {
                inputs.push(ValueId(graph.specs.len() as u32));
                graph.specs.push(spec);
                graph.sources.push((inputs[inputs.len() - 1], source));
            }
            // In the place of the scale: what else the product needs is there.
            graph.steps[number] = Step { inputs, outputs: step.outputs.clone(), ..product.clone() };
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
    fn constant(&self, value: ValueId) -> Option<&Tensor> {
        self.sources.iter().find_map(|(of, source)| match source {
            Source::Constant(tensor) if *of == value => Some(tensor),
            _ => None,
        })
    }

    /// Returns a step that does what a product and the step after it do, and the number of the product's.
    fn joined(
        &self,
        step: &Step,
        steps: &[Option<Step>],
        made_by: &HashMap<ValueId, usize>,
        uses: &[usize],
    ) -> Option<(usize, Step)> {
        let number = step.inputs.get(1).and_then(|second| self.number(*second));
        let with_number = || step.op.as_end_with(number?);
        let end = step.op.as_end(&self.specs_of(&step.inputs)).or_else(with_number)?;
        // The product that comes last, because what is added to it must be there.
        let may_be = if end.commutes() { 0..step.inputs.len() } else { 0..1 };
        let found = may_be.filter_map(|i| {
            let value = step.inputs[i];
            let at = *made_by.get(&value)?;
            let product = steps[at].as_ref().filter(|product| product.outputs[..] == [value])?;
            let alike = self.specs[value.at()] == self.specs[step.outputs[0].at()];
            let op = product
                .op
                .ends_with(&self.specs_of(&product.inputs), end)
                .filter(|_| alike && uses[value.at()] == 1)?;
            let mut inputs = product.inputs.clone();
            if !matches!(end, End::Map(_)) {
                inputs.extend(step.inputs.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, v)| *v));
            }
            let layer = product.layer.clone();
            Some((at, Step { op, inputs, outputs: step.outputs.clone(), layer }))
        });
        found.max_by_key(|(at, _)| *at)
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
