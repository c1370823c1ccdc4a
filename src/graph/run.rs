//! Runs a graph on values, step by step: the plain way, which faster ones are compared with.

use super::{Graph, Source, ValueId};
use crate::autograd::apply;
use crate::error::Context;
use crate::nn::{Module, Session};
use crate::tensor::{AsTensors, Tensor, Tensors};
use crate::train::Model;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// The values that a graph runs on.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    inputs: Tensors,
    parameters: BTreeMap<String, Tensor>,
    session: Session,
    at: Option<(u64, u64)>,
}

impl Feed {
    /// Creates a feed of these inputs, in the graph's order.
    pub fn new(inputs: &(impl AsTensors + ?Sized)) -> Feed {
        Feed { inputs: inputs.as_tensors(), ..Feed::default() }
    }

    /// Adds the current parameters and states of a network.
    #[must_use]
    pub fn parameters(self, network: &(impl Module + ?Sized)) -> Feed {
        self.parameters_of("", network)
    }

    /// [`Feed::parameters`] of a module that the graph knows by a name.
    #[must_use]
    pub fn parameters_of(mut self, name: &str, module: &(impl Module + ?Sized)) -> Feed {
        super::parameters(name, module, &mut |path, p| {
            self.parameters.insert(path.to_string(), p.value().clone());
        });
        self
    }

    /// Adds one parameter, by its path.
    #[must_use]
    pub fn parameter(mut self, path: &str, value: Tensor) -> Feed {
        self.parameters.insert(path.into(), value);
        self
    }

    /// Adds everything that the next training step of a model begins with: parameters, carried state, and the seed
    /// and step of its random numbers.
    #[must_use]
    pub fn next_step_of(self, model: &Model) -> Feed {
        let (seed, step) = model.draws_at();
        self.parameters(&**model).session(model.session.clone()).at(seed, step)
    }

    /// Adds the state that earlier calls left.
    #[must_use]
    pub fn session(mut self, session: Session) -> Feed {
        self.session = session;
        self
    }

    /// Sets the seed and step at which random numbers are drawn, as the network would.
    #[must_use]
    pub fn at(mut self, seed: u64, step: u64) -> Feed {
        self.at = Some((seed, step));
        self
    }

    /// Returns the value of a source.
    fn source(&self, graph: &Graph, number: usize, value: ValueId, source: &Source) -> Result<Tensor> {
        let given = match source {
            Source::Input(_) => self.inputs.get(number),
            Source::Parameter(path) => self.parameters.get(path),
            Source::State(key, call) => self.session.state(*key, *call),
            Source::Constant(tensor) => return Ok(tensor.clone()),
        };
        graph.bound(value, given, &|| match source {
            Source::Input(name) => format!("input '{name}'"),
            Source::Parameter(path) => format!("parameter '{path}'"),
            _ => "state of a session".to_string(),
        })
    }
}

impl Graph {
    /// Runs the graph and returns the outputs, in order. Values are freed once they are no longer needed.
    ///
    /// # Errors
    /// An input, parameter or state is missing, or its shape or dtype differs from the capture; the graph draws
    /// random numbers and the feed has no seed and step; or an operation fails (the message names its layer).
    pub fn run(&self, feed: &Feed) -> Result<Tensors> {
        let inputs = self.sources.iter().filter(|(_, s)| matches!(s, Source::Input(_))).count();
        if feed.inputs.len() != inputs {
            return Err(Error::argument("graph", format!("{inputs} inputs"), feed.inputs.len()));
        }
        let mut values: Vec<Option<Tensor>> = vec![None; self.specs.len()];
        for (number, (value, source)) in self.sources.iter().enumerate() {
            values[value.at()] = Some(feed.source(self, number, *value, source)?);
        }
        let mut left = self.uses();
        for step in &self.steps {
            let op = match feed.at {
                Some((seed, number)) => step.op.reseeded(seed, number),
                None if step.op.is_random() => {
                    let expected = "a feed that says at which seed and step to draw (Feed::at)";
                    return Err(Error::argument("graph", expected, format!("neither, for {}", step.name())));
                }
                None => None,
            };
            let outputs = {
                let inputs: Vec<&Tensor> =
                    step.inputs.iter().filter_map(|v| values[v.at()].as_ref()).collect();
                apply(op.unwrap_or_else(|| step.op.clone()), &inputs).at(|| step.place())?
            };
            for (value, tensor) in step.outputs.iter().zip(outputs) {
                if left[value.at()] > 0 {
                    values[value.at()] = Some(tensor);
                }
            }
            for value in &step.inputs {
                left[value.at()] -= 1;
                if left[value.at()] == 0 {
                    values[value.at()] = None;
                }
            }
        }
        let missing = || Error::Custom("graph: an output was not computed".into());
        self.outputs.iter().map(|(_, value)| values[value.at()].clone().ok_or_else(missing)).collect()
    }

    /// Returns how often each value is read, by steps and as an output.
    pub(super) fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.specs.len()];
        let read = self.steps.iter().flat_map(|step| &step.inputs);
        read.chain(self.outputs.iter().map(|(_, value)| value)).for_each(|value| uses[value.at()] += 1);
        uses
    }
}
