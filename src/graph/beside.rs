//! Products of the same rows, such as those that make queries, keys and values of attention, as one product with
//! their weights side by side. It reads the rows once and is divided between threads once. Its columns have the bits
//! that they have apart, since no sum goes over columns. `docs/decisions/0020-products-side-by-side.md` has the figures.

use super::{Graph, Source, Step, ValueId};
use crate::autograd::Attrs;
use crate::kernels::strided::Layout;
use crate::ops::matmul::is_linear;
use crate::ops::moves::is_reshape;
use crate::ops::view::columns_of;
use crate::tensor::{Few, Tensor, few};
use crate::{Result, Spec};
use std::collections::HashMap;

/// Returns matrices of so many rows side by side as one constant or parameter; `None` if that cannot be made of these.
pub(super) type Join<'a> = dyn FnMut(&[&Source], usize) -> Result<Option<(Source, Spec)>> + 'a;

/// A product that may be computed beside others: the number of its step, and the source of its weights.
struct Found {
    step: usize,
    weights: ValueId,
}

impl Graph {
    /// Returns the graph with products of the same rows as one product, with weights that `join` makes. The parts of its
    /// result do not lie in one piece, so this is done only where nothing would copy them for that.
    ///
    /// # Errors
    /// There is not enough memory.
    pub(super) fn with_products_side_by_side(mut self, join: &mut Join<'_>) -> Result<Graph> {
        let mut instead: HashMap<usize, Vec<Step>> = HashMap::new();
        for group in self.products_of_same_rows() {
            if let Some(steps) = self.side_by_side(&group, join)? {
                group.iter().for_each(|found| _ = instead.insert(found.step, Vec::new()));
                instead.insert(group[0].step, steps);
            }
        }
        let steps = std::mem::take(&mut self.steps).into_iter().enumerate();
        self.steps = steps.flat_map(|(at, step)| instead.remove(&at).unwrap_or_else(|| vec![step])).collect();
        Ok(self.without_dead_code())
    }

    /// Returns one product in place of several, and the steps that view its parts.
    fn side_by_side(&mut self, group: &[Found], join: &mut Join<'_>) -> Result<Option<Vec<Step>>> {
        let products: Vec<Step> = group.iter().map(|found| self.steps[found.step].beside()).collect();
        let biases = products.iter().filter_map(|step| step.inputs.get(2));
        let Some(biases) = biases.map(|bias| self.constant(*bias)).collect::<Option<Vec<&Tensor>>>() else {
            return Ok(None);
        };
        let bias = if biases.is_empty() { None } else { Some(Tensor::concat(&biases, 0)?) };
        let x = products[0].inputs[0];
        let rows = self.specs[products[0].inputs[1].at()].shape.dims()[0];
        let weights = group.iter().map(|found| self.source(found.weights)).collect::<Option<Vec<&Source>>>();
        let Some(weights) = weights else { return Ok(None) };
        let Some((weights, spec)) = join(&weights, rows)? else { return Ok(None) };
        // Those apart can be given up now: there are never two copies of a whole network's.
        self.sources.retain(|(value, _)| group.iter().all(|found| found.weights != *value));

        let mut inputs: Few<ValueId, 3> = few![x, self.new_source(spec, weights)];
        inputs.extend(bias.map(|bias| self.new_source(bias.spec(), Source::Constant(bias))));
        let (of, columns) = (self.specs[x.at()], spec.shape.dims()[1]);
        let axis = of.shape.rank() - 1;
        let all = self.new_value(Spec::new(of.shape.with(axis, columns), of.dtype));
        let mut steps = vec![Step { inputs, outputs: few![all], ..products[0].clone() }];
        let mut first = 0;
        for product in products {
            let count = self.specs[product.outputs[0].at()].shape.dims()[axis];
            let op = columns_of(columns, axis, first..first + count);
            steps.push(Step { op, inputs: few![all], ..product });
            first += count;
        }
        Ok(Some(steps))
    }

    /// Returns the groups of products that may be one.
    fn products_of_same_rows(&self) -> Vec<Vec<Found>> {
        let uses = self.uses();
        let (mut made_by, mut readers) = (HashMap::new(), vec![Vec::new(); self.specs.len()]);
        for (at, step) in self.steps.iter().enumerate() {
            step.outputs.iter().for_each(|value| _ = made_by.insert(*value, at));
            step.inputs.iter().enumerate().for_each(|(i, value)| readers[value.at()].push((at, i)));
        }
        let mut places: HashMap<(ValueId, Attrs, usize), usize> = HashMap::new();
        let mut groups: Vec<Vec<Found>> = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            let (&[x, mut weights, ..], [out]) = (&step.inputs[..], &step.outputs[..]) else { continue };
            if !is_linear(&*step.op) || !self.is_read_apart(*out, &readers) {
                continue;
            }
            // Weights that nothing else reads, under whatever shape.
            while let Some(reshape) = made_by.get(&weights).map(|at: &usize| &self.steps[*at])
                && is_reshape(&*reshape.op)
                && uses[weights.at()] == 1
            {
                weights = reshape.inputs[0];
            }
            if uses[weights.at()] == 1 && !self.is_shared(weights) {
                let identity = (x, step.attrs(), step.inputs.len());
                let place = *places.entry(identity).or_insert(groups.len());
                if place == groups.len() {
                    groups.push(Vec::new());
                }
                groups[place].push(Found { step: at, weights });
            }
        }
        groups.retain(|group| group.len() > 1);
        groups
    }

    /// Returns whether everything that reads a value would read it as fast if its last axis were a part of a longer one.
    fn is_read_apart(&self, value: ValueId, readers: &[Vec<(usize, usize)>]) -> bool {
        let shape = self.specs[value.at()].shape;
        let Some(last) = shape.rank().checked_sub(1) else { return false };
        let longer = Layout::contiguous(shape.with(last, shape.dims()[last].saturating_add(1)));
        let mut left = vec![(value, Layout { shape, ..longer })];
        while let Some((value, layout)) = left.pop() {
            if self.outputs.iter().any(|(_, output)| *output == value) {
                return false;
            }
            for &(at, input) in &readers[value.at()] {
                let step = &self.steps[at];
                let view = if input == 0 { step.view_of(&layout, self) } else { None };
                match view {
                    Some(layout) => left.push((step.outputs[0], layout)),
                    None if step.op.reads_apart(input) => {}
                    None => return false,
                }
            }
        }
        true
    }

    /// Returns whether another source views the memory of a constant, as one does after its shape was folded.
    fn is_shared(&self, value: ValueId) -> bool {
        let memory = |source: &Source| match source {
            Source::Constant(tensor) => Some(tensor.array().memory()),
            _ => None,
        };
        let own = self.source(value).and_then(memory);
        own.is_some() && self.sources.iter().filter(|(_, source)| memory(source) == own).count() > 1
    }

    pub(super) fn source(&self, value: ValueId) -> Option<&Source> {
        self.sources.iter().find(|(of, _)| *of == value).map(|(_, source)| source)
    }

    fn new_value(&mut self, spec: Spec) -> ValueId {
        self.specs.push(spec);
        ValueId(self.specs.len() as u32 - 1)
    }

    pub(super) fn new_source(&mut self, spec: Spec, source: Source) -> ValueId {
        let value = self.new_value(spec);
        self.sources.push((value, source));
        value
    }
}
