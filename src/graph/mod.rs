//! Graphs of operations: a network, a function or a training step as what was computed, from what, and with which
//! attributes. While a network's layers say how it is built and trained, its graph says what runs; plans, exports
//! and passes work on it. Begin with [`Graph`].
//!
//! A graph is captured by running once on tensors without values and walking what was recorded. It then runs on any
//! values of the same shapes, and gives the same bits as the network itself:
//!
//! ```
//! use gradus::graph::{Feed, Graph};
//! use gradus::{DType, Shape, Spec, Tensor};
//!
//! let spec = Spec::new(Shape::new(&[2, 3])?, DType::F32);
//! let graph = Graph::capture(&[spec], |x| Ok(vec![x[0].softmax(-1)?.square()?]))?;
//! assert_eq!(graph.to_string(), "\
//! %0 = input x0  float32 [2, 3]
//! %1 = softmax(%0)  float32 [2, 3]
//! %2 = square{p: 0.0}(%1)  float32 [2, 3]
//! output 0 = %2
//! ");
//! let x = Tensor::from_slice(&[0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0], [2, 3])?;
//! assert!(graph.run(&Feed::new(&x))?[0].same_bits(&x.softmax(-1)?.square()?));
//! # Ok::<(), gradus::Error>(())
//! ```
//!
//! What cannot be captured is an error that names the layer: values read in `forward`, and layers that can only
//! give shapes ([`Tensor::opaque`](crate::Tensor::opaque)).

mod beside;
mod capture;
mod cost;
mod display;
mod draw;
mod living;
mod lying;
mod network;
mod passes;
mod plan;
mod predictor;
mod profile;
mod run;
mod weights;

pub use cost::{Cost, Counts};
pub use predictor::{Pack, Predictor};
pub use profile::{Profile, Timed};
pub use run::Feed;

use crate::autograd::{Attrs, Op};
use crate::nn::{Item, Module, Param, Path};
use crate::tensor::{Few, Tensor};
use crate::{Error, Result, Spec};
use std::fmt;
use std::sync::Arc;

/// Calls `f` with each parameter and state of a module and the path that a graph uses for it: below the module's
/// name there, if that is not empty.
fn parameters(name: &str, module: &(impl Module + ?Sized), f: &mut dyn FnMut(&Path, &Param)) {
    Path::default().inside(name, |at| {
        module.walk(at, &mut |path, item| {
            if let Item::Param(p) = item {
                f(path, p);
            }
        });
    });
}

/// The number of a value in a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(u32);

impl ValueId {
    fn at(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// Where a value comes from that no step computes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Source {
    /// An input with this name.
    Input(String),
    /// The parameter or state of a network with this path.
    Parameter(String),
    /// The state that the key of this number left in a session at its call of this number.
    State(u64, u32),
    /// A value known before the capture.
    Constant(Tensor),
}

/// What a graph computes a value for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// A result with this name.
    Result(String),
    /// The loss.
    Loss,
    /// The gradient of the loss with respect to the parameter with this path.
    Gradient(String),
    /// The new value of the state with this path, such as a running mean.
    Update(String),
    /// A term that a layer adds to the loss.
    AddedLoss(usize),
    /// The state that the key of this number leaves in the session at its call of this number.
    State(u64, u32),
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Result(name) => write!(f, "output {name}"),
            Output::Loss => f.write_str("loss"),
            Output::Gradient(path) => write!(f, "gradient of {path}"),
            Output::Update(path) => write!(f, "update of {path}"),
            Output::AddedLoss(i) => write!(f, "added loss {i}"),
            Output::State(key, call) => write!(f, "state {key}.{call}"),
        }
    }
}

/// One operation of a graph.
#[derive(Clone)]
pub struct Step {
    op: Arc<dyn Op>,
    inputs: Few<ValueId, 3>,
    outputs: Few<ValueId, 3>,
    layer: String,
    /// Whether it may write over its first input.
    over: bool,
}

/// Returns where an operation stands, for errors.
fn place(op: &str, layer: &str) -> String {
    if layer.is_empty() { op.to_string() } else { format!("{op} of layer '{layer}'") }
}

impl Step {
    /// Returns its operation and layer, for errors.
    pub(crate) fn place(&self) -> String {
        place(self.name(), &self.layer)
    }

    /// Returns the operation's name.
    pub fn name(&self) -> &'static str {
        self.op.name()
    }

    /// Returns its attributes.
    pub fn attrs(&self) -> Attrs {
        self.op.attrs()
    }

    /// Returns what it computes from.
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// Returns what it computes.
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// Returns the path of the layer that it belongs to; empty if it belongs to none, as for backward steps.
    pub fn layer(&self) -> &str {
        &self.layer
    }

    /// Returns the input that it may write its output over, since nothing else needs it then: see
    /// [`Graph::with_steps_in_place`]. [`Graph::run`] writes beside it nevertheless.
    pub fn over(&self) -> Option<ValueId> {
        self.inputs.first().copied().filter(|_| self.over)
    }

    /// Returns the operation.
    pub fn op(&self) -> &Arc<dyn Op> {
        &self.op
    }

    /// Returns the step with its operation created anew from name and attributes.
    ///
    /// # Errors
    /// It is not one of the library's, or it holds a closure.
    pub fn read_back(&self) -> Result<Step> {
        let op = crate::ops::read(self.name(), &self.attrs())?;
        if op.kind() != self.op.kind() {
            let expected = "an operation of the library's own";
            return Err(Error::argument(
                "read_back",
                expected,
                format!("another one of its name, '{}'", self.name()),
            ));
        }
        Ok(Step { op, ..self.clone() })
    }
}

/// A graph of operations: steps, what they compute from, and the outputs they compute.
///
/// ```
/// use gradus::graph::{Feed, Graph};
/// use gradus::prelude::*;
///
/// let network = Sequential::new().add(Input::new(4)).add(Dense::new(2).activation(Relu)).build()?;
/// let x = Tensor::ones([3, 4])?;
/// let graph = Graph::of_network(&network, &[x.spec()])?; // what runs, as operations
/// let y = graph.run(&Feed::new(&x).parameters(&network))?;
/// assert!(y[0].same_bits(&network.predict(&x)?));
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone)]
pub struct Graph {
    /// The spec of each value, by its number.
    specs: Vec<Spec>,
    sources: Vec<(ValueId, Source)>,
    /// Each step comes after those it needs.
    steps: Vec<Step>,
    outputs: Vec<(Output, ValueId)>,
}

impl Graph {
    /// Returns shape and dtype of a value; `None` for a value of another graph.
    pub fn spec(&self, value: ValueId) -> Option<Spec> {
        self.specs.get(value.at()).copied()
    }

    /// Returns the values that no step computes: inputs first, in order.
    pub fn sources(&self) -> &[(ValueId, Source)] {
        &self.sources
    }

    /// Returns the steps, each after those it needs.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Returns the outputs, in order.
    pub fn outputs(&self) -> &[(Output, ValueId)] {
        &self.outputs
    }

    /// Returns the specs of values.
    fn specs_of(&self, values: &[ValueId]) -> Few<Spec, 8> {
        values.iter().map(|value| self.specs[value.at()]).collect()
    }

    /// Returns what was given for a source, if it is of the shape and dtype of the capture.
    fn bound(&self, value: ValueId, given: Option<&Tensor>, name: &dyn Fn() -> String) -> Result<Tensor> {
        let spec = self.specs[value.at()];
        match given {
            Some(given) if given.spec() == spec => Ok(given.clone()),
            Some(given) => {
                let why = format!("the graph was captured for {spec}, got {}", given.spec());
                Err(Error::shapes("graph", spec.shape, *given.shape(), why).at(name()))
            }
            None => Err(Error::argument("graph", format!("{}, {spec}", name()), "nothing")),
        }
    }

    /// Returns the position of an output among the results of [`Graph::run`].
    pub fn position(&self, output: &Output) -> Option<usize> {
        self.outputs.iter().position(|(o, _)| o == output)
    }

    /// Returns whether it draws random numbers for keys of a network; [`Feed::at`] then sets seed and step.
    pub fn is_random(&self) -> bool {
        self.steps.iter().any(|step| step.op.is_random())
    }

    /// Returns the graph with every operation created anew from its name and attributes; it gives the same bits.
    ///
    /// # Errors
    /// An operation is not one of the library's, or holds a closure.
    pub fn read_back(&self) -> Result<Graph> {
        let steps = self.steps.iter().map(Step::read_back).collect::<Result<_>>()?;
        Ok(Graph { steps, ..self.clone() })
    }
}
