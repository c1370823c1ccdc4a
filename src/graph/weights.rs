//! `Weights`: what a predictor keeps of its network's parameters: their values or, once products read packed forms
//! instead and nothing else reads the values, those forms alone.

use super::{Graph, Source, ValueId};
use crate::autograd::Ready;
use crate::tensor::{Array, Tensor, trim};
use crate::{Error, Result, Spec};
use std::collections::BTreeMap;

/// The parameters of a network, numbered.
pub(super) struct Weights {
    numbers: BTreeMap<String, usize>,
    all: Vec<Weight>,
    /// How many of them are the network's own; others were computed from these.
    own: usize,
    /// What operations made of them, by number.
    pub(super) ready: Ready,
    /// Whether inputs differ in the number of their rows alone, on which no form depends.
    settled: bool,
    /// Bytes given up since idle memory went back to the system.
    given_up: usize,
    /// How many may be.
    idle: usize,
}

struct Weight {
    path: String,
    spec: Spec,
    /// `None` once they were given up.
    values: Option<Tensor>,
    /// The weight that has it as columns from this one on.
    part_of: Option<(usize, usize)>,
}

/// Given-up bytes from which the pool's idle memory goes back to the system, so that packing a network does not take
/// twice its memory: this part of all weights, but not less than so many.
const IDLE_PART: usize = 32;
const IDLE_LEAST: usize = 1 << 20;

impl Weights {
    pub(super) fn new(parameters: impl Iterator<Item = (String, Tensor)>, settled: bool) -> Weights {
        let (mut numbers, mut all, mut bytes) = (BTreeMap::new(), Vec::new(), 0);
        for (path, values) in parameters {
            bytes += values.elements() * values.dtype().size();
            numbers.insert(path.clone(), all.len());
            all.push(Weight { path, spec: values.spec(), values: Some(values), part_of: None });
        }
        let idle = (bytes / IDLE_PART).max(IDLE_LEAST);
        let own = all.len();
        Weights { numbers, all, own, ready: Ready::default(), settled, given_up: 0, idle }
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Returns how many parameters the network has.
    pub(super) fn own(&self) -> usize {
        self.own
    }

    pub(super) fn number(&self, path: &str) -> Option<usize> {
        self.numbers.get(path).copied()
    }

    /// Returns the number of the parameter that a constant is, under whatever shape.
    pub(super) fn number_of(&self, constant: &Array) -> Option<usize> {
        let whole = |array: &Array| {
            let layout = array.layout();
            (array.memory(), layout.offset, layout.is_contiguous(), layout.shape.elements())
        };
        let of = |weight: &Weight| weight.values.as_ref().map(|values| whole(values.array()));
        self.all.iter().position(|weight| of(weight) == Some(whole(constant)))
    }

    /// Returns a parameter's values, or its shape alone if they were given up.
    pub(super) fn array(&self, number: usize) -> Array {
        let Weight { spec, values, .. } = &self.all[number];
        values.as_ref().map_or_else(|| Array::traced(*spec), |values| values.array().clone())
    }

    /// Returns the graph with the values of parameters that are there as constants.
    pub(super) fn bind(&self, graph: &Graph) -> Result<Graph> {
        let bound = |(value, source): &(ValueId, Source)| -> Result<(ValueId, Source)> {
            let Source::Parameter(path) = source else { return Ok((*value, source.clone())) };
            let weight = self.number(path).map(|number| &self.all[number]);
            if weight.is_some_and(|weight| weight.values.is_none()) {
                return Ok((*value, source.clone()));
            }
            let given = weight.and_then(|weight| weight.values.as_ref());
            let tensor = graph.bound(*value, given, &|| format!("parameter '{path}'"))?;
            Ok((*value, Source::Constant(tensor)))
        };
        let sources = graph.sources.iter().map(bound).collect::<Result<_>>()?;
        Ok(Graph { sources, ..graph.clone() })
    }

    /// Returns a bound graph with parameters by name again where the graph before has them, so that it does not hold
    /// their values.
    pub(super) fn unbind(&self, bound: Graph, before: &Graph) -> Graph {
        let named: BTreeMap<ValueId, &Source> =
            before.sources.iter().map(|(value, source)| (*value, source)).collect();
        let source = |(value, source): (ValueId, Source)| match named.get(&value) {
            Some(parameter @ Source::Parameter(_)) => (value, (*parameter).clone()),
            _ => (value, source),
        };
        let sources = bound.sources.into_iter().map(source).collect();
        Graph { sources, ..bound }
    }

    /// Returns the parameter that is another one times a scale, which takes that one's place.
    ///
    /// # Errors
    /// There is not enough memory.
    pub(super) fn scaled(&mut self, path: &str, scale: &Tensor) -> Result<Option<Source>> {
        let name = format!("{path}, scaled");
        if self.number(&name).is_none() {
            let Some(weight) = self.number(path).map(|number| &mut self.all[number]) else { return Ok(None) };
            let Some(values) = &weight.values else { return Ok(None) };
            let (values, spec) = (Some(values.mul(scale)?), weight.spec);
            weight.values = None;
            self.add(Weight { path: name.clone(), spec, values, part_of: None });
        }
        Ok(Some(Source::Parameter(name)))
    }

    fn add(&mut self, weight: Weight) {
        self.numbers.insert(weight.path.clone(), self.all.len());
        self.all.push(weight);
    }

    /// Returns parameters, as matrices of so many rows, side by side as one that takes their place; `None` if a part is
    /// not a parameter, or occurs twice.
    ///
    /// # Errors
    /// There is not enough memory.
    pub(super) fn side_by_side(&mut self, parts: &[&Source], rows: usize) -> Result<Option<(Source, Spec)>> {
        // The values of those joined before this call are not held any more.
        self.tidy();
        let number = |source: &&Source| match source {
            Source::Constant(tensor) => self.number_of(tensor.array()),
            Source::Parameter(path) => self.number(path),
            _ => None,
        };
        let Some(numbers) = parts.iter().map(number).collect::<Option<Vec<usize>>>() else { return Ok(None) };
        if rows == 0 || (1..numbers.len()).any(|i| numbers[..i].contains(&numbers[i])) {
            return Ok(None);
        }
        let paths: Vec<&str> = numbers.iter().map(|number| self.all[*number].path.as_str()).collect();
        let name = format!("{}, side by side", paths.join(", "));
        let joined = match self.number(&name) {
            Some(joined) if self.all[joined].spec.shape.dims()[0] != rows => return Ok(None),
            Some(joined) => joined,
            None => {
                let values = numbers.iter().map(|number| self.all[*number].values.as_ref());
                let Some(values) = values.collect::<Option<Vec<&Tensor>>>() else { return Ok(None) };
                let matrix = |values: &&Tensor| values.reshape([rows as isize, -1]);
                let matrices = values.iter().map(matrix).collect::<Result<Vec<Tensor>>>()?;
                let values = Tensor::concat(&matrices.iter().collect::<Vec<_>>(), 1)?;
                let (joined, mut first) = (self.all.len(), 0);
                for (number, matrix) in numbers.iter().zip(&matrices) {
                    let part = &mut self.all[*number];
                    (part.values, part.part_of) = (None, Some((joined, first)));
                    self.given_up += part.spec.shape.elements() * part.spec.dtype.size();
                    first += matrix.dims()[1];
                }
                let spec = values.spec();
                self.add(Weight { path: name.clone(), spec, values: Some(values), part_of: None });
                joined
            }
        };
        Ok(Some((Source::Parameter(name), self.all[joined].spec)))
    }

    /// Gives a parameter's values up, since products read forms made of it; not if they may be needed again and could
    /// not be had from these. Says whether it did; once nothing else holds them either, call [`Weights::tidy`].
    pub(super) fn give_up(&mut self, number: usize) -> bool {
        let again = self.ready.made_of(number).iter().any(|made| made.is_exact());
        let weight = &mut self.all[number];
        if !again && !self.settled {
            return false;
        }
        if weight.values.take().is_some() {
            self.given_up += weight.spec.shape.elements() * weight.spec.dtype.size();
        }
        true
    }

    /// Gives memory of given-up values back to the system if there is much of it.
    pub(super) fn tidy(&mut self) {
        if self.given_up >= self.idle {
            self.release();
        }
    }

    /// Gives memory of values that were given up back to the system.
    pub(super) fn release(&mut self) {
        if std::mem::take(&mut self.given_up) > 0 {
            trim();
        }
    }

    /// Returns a parameter's values, made again from a packed form if they were given up.
    ///
    /// # Errors
    /// They cannot be had any more, or there is not enough memory.
    pub(super) fn restore(&mut self, number: usize) -> Result<Array> {
        if let (None, Some((joined, first))) = (&self.all[number].values, self.all[number].part_of) {
            let joined = Tensor::from(self.restore(joined)?);
            let weight = &mut self.all[number];
            let columns = weight.spec.shape.elements() / joined.dims()[0].max(1);
            let part = joined.slice(1, first as isize, (first + columns) as isize)?;
            weight.values = Some(part.contiguous()?.reshape_to(weight.spec.shape)?);
        }
        let Weight { path, spec, values, .. } = &mut self.all[number];
        if let Some(values) = values {
            return Ok(values.array().clone());
        }
        let again = self.ready.made_of(number).iter().find_map(|made| made.values());
        let again = again.ok_or_else(|| {
            let expected = format!("inputs for which '{path}' is read as before");
            Error::argument("predictor", expected, "others: its values were given up (make a new predictor)")
        })?;
        let mut array = Array::new(*spec)?;
        array.slice_mut::<f32>()?.copy_from_slice(&again);
        *values = Some(array.clone().into());
        Ok(array)
    }
}
