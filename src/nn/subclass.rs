//! `Subclass`: a user's struct as a network, like subclassing `Model` in Keras.

use super::layers::Input;
use super::network::Network;
use super::topology::{At, Entry, Invocation, NamedInput, Output, RowOf, Topology};
use super::{Budget, Build, Init, InputSpecs, Node, trace};
use crate::config::Configured;
use crate::error::Context;
use crate::{DType, Error, Result};
use std::sync::Arc;

/// A network whose `forward` is plain Rust: a struct of your own with layers as fields ([`Part`](super::Part)), made a
/// [`Module`](super::Module) by [`parts!`](crate::parts), with a [`Layer`](super::Layer) (one input, one output) or
/// [`Node`] implementation.
///
/// ```
/// use gradus::nn::{Cx, Layer, Part, Subclass};
/// use gradus::prelude::*;
/// use gradus::Result;
///
/// #[derive(Clone, Debug)]
/// struct Residual { hidden: Part, out: Part }
/// gradus::parts!(Residual { hidden, out });
///
/// impl Layer for Residual {
///     fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
///         let h = self.hidden.forward(x, cx)?.add(x)?;
///         self.out.forward(&h, cx)
///     }
/// }
///
/// let residual = Residual { hidden: Part::new(Dense::new(8).activation(Relu)), out: Part::new(Dense::new(1)) };
/// let model = Subclass::new([Input::new([8])], residual)
///     .compile(Adam::new(0.001), MeanSquaredError::new(), ())?;
/// assert_eq!(model.params()[0].0, "hidden/kernel");
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Debug)]
pub struct Subclass {
    inputs: Vec<Input>,
    outputs: Vec<String>,
    node: Box<dyn Node>,
    name: Option<String>,
    seed: u64,
    dtype: DType,
}

impl Subclass {
    /// Creates a network with these inputs.
    pub fn new<const N: usize>(inputs: [Input; N], node: impl Node + 'static) -> Subclass {
        let (inputs, node) = (inputs.into(), Box::new(node));
        Subclass { inputs, outputs: Vec::new(), node, name: None, seed: 0, dtype: DType::F32 }
    }

    /// Sets its name; by default it is made from the struct's.
    #[must_use]
    pub fn named(mut self, name: &str) -> Subclass {
        self.name = Some(name.into());
        self
    }

    /// Names the outputs: their values in the logs are then `digit_loss`, `digit_accuracy` and so on; `output_1`,
    /// `output_2`, … by default.
    #[must_use]
    pub fn outputs<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Subclass {
        self.outputs = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the seed of everything random: initial values, order of rows, dropout. 0 by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Subclass {
        self.seed = seed;
        self
    }

    /// Sets the dtype of parameters and arithmetic, float32 by default.
    #[must_use]
    pub fn dtype(mut self, dtype: DType) -> Subclass {
        self.dtype = dtype;
        self
    }

    /// Checks all shapes, builds the parts, draws the initial parameters, and makes a network.
    ///
    /// # Errors
    /// Shapes do not fit (the message names the part), a part occurs twice, or not every output has a name.
    pub fn build(self) -> Result<Network> {
        let class = self.node.class_name();
        let place =
            || format!("'{}' ({class})", self.name.clone().unwrap_or_else(|| super::snake_case(class)));
        let mut init = Init::planned(self.dtype, Budget::NONE);
        let specs = self.inputs.iter().map(|i| i.spec(self.dtype)).collect::<Result<Vec<_>>>().at(place)?;
        // The first call builds the parts and shows how many outputs there are.
        let first = trace::either(&specs, |inputs| trace::call(&*self.node, inputs, &[], &[], &mut init));
        let found = first.at(place)?.len();
        let names: Vec<String> = match self.outputs.len() {
            0 if found == 1 => vec!["output".into()],
            0 => (1..=found).map(|i| format!("output_{i}")).collect(),
            n if n == found => self.outputs.clone(),
            n => return Err(Error::argument("outputs", format!("a name for each of {found} outputs"), n)),
        };
        let inputs: Vec<NamedInput> = self
            .inputs
            .iter()
            .enumerate()
            .map(|(i, input)| {
                let made = || if i == 0 { "input_layer".to_string() } else { format!("input_layer_{i}") };
                NamedInput { name: input.name().map_or_else(made, str::to_string), input: input.clone() }
            })
            .collect();
        let topology = Topology {
            class,
            name: self.name.clone(),
            seed: self.seed,
            dtype: self.dtype,
            calls: vec![Invocation {
                layer: 0,
                inputs: (0..inputs.len()).map(At::Input).collect(),
                names: vec![],
            }],
            rows: (0..inputs.len()).map(RowOf::Input).chain([RowOf::Layer(0)]).collect(),
            inputs,
            outputs: names
                .into_iter()
                .enumerate()
                .map(|(output, name)| Output { name, at: At::Call { call: 0, output } })
                .collect(),
            layers: vec![Entry { name: String::new(), build: Arc::new(Whole(self.node)) }],
        };
        Network::build_with(topology, init)
    }
}

/// A struct that is a whole network.
#[derive(Debug)]
struct Whole(Box<dyn Node>);

impl Configured for Whole {
    fn class_name(&self) -> &'static str {
        self.0.class_name()
    }
}

impl Build for Whole {
    fn build(&self, _: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        Ok(self.0.clone())
    }
}
