//! `Sequential`: a plain stack of layers, described from input to output.

use super::layers::Input;
use super::network::Network;
use super::symbol::{Identity, Shared, handle};
use super::topology::{At, Entry, Invocation, NamedInput, Output, RowOf, Topology};
use super::{Build, Init, InputSpecs, IntoLayer, Node, single};
use crate::config::{Common, Configured};
use crate::{DType, Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A stack of layers. `build` makes a [`Network`] of it, `compile` a model. Inside another network it is one layer.
///
/// ```
/// use gradus::prelude::*;
///
/// let mut model = Sequential::new()
///     .add(Input::new([28, 28, 1]))
///     .add(Conv2D::new(8, 3).activation(Relu))
///     .add(GlobalAveragePooling2D::new())
///     .add(Dense::new(10).activation(Softmax))
///     .seed(42)
///     .compile("adam", "sparse_categorical_crossentropy", ["accuracy"])?;
/// let (x, y) = (Tensor::rand([16, 28, 28, 1], 0)?, Tensor::randint([16], 0, 10, 1)?);
/// let history = model.fit(&x, &y, Fit::new().verbose(0))?;
/// assert_eq!(model.predict(&x)?.dims(), [16, 10]);
/// # assert_eq!(history["loss"].len(), 1);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sequential {
    layers: Vec<Shared>,
    name: Option<String>,
    seed: u64,
    dtype: DType,
    identity: Identity,
}

impl Default for Sequential {
    fn default() -> Self {
        Sequential::new()
    }
}

impl Sequential {
    /// Creates an empty stack.
    pub fn new() -> Sequential {
        Sequential {
            layers: Vec::new(),
            name: None,
            seed: 0,
            dtype: DType::F32,
            identity: Identity::default(),
        }
    }

    /// Makes a stack of these layers.
    pub(crate) fn of(layers: Vec<Shared>, name: Option<String>, seed: u64, dtype: DType) -> Sequential {
        Sequential { layers, name, seed, dtype, identity: Identity::default() }
    }

    /// Adds a layer: a description, a handle or a network. The first is an [`Input`].
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "Keras's name for it")]
    pub fn add(mut self, layer: impl IntoLayer) -> Sequential {
        self.layers.push(layer.into_layer());
        self.changed()
    }

    /// Sets its name; `sequential` by default.
    #[must_use]
    pub fn named(mut self, name: &str) -> Sequential {
        self.name = Some(name.into());
        self.changed()
    }

    /// Sets the seed of everything random: initial values, order of rows, dropout. 0 by default; the same seed
    /// gives the same bytes.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Sequential {
        self.seed = seed;
        self.changed()
    }

    /// Sets the dtype of parameters and arithmetic, float32 by default.
    #[must_use]
    pub fn dtype(mut self, dtype: DType) -> Sequential {
        self.dtype = dtype;
        self.changed()
    }

    fn changed(mut self) -> Sequential {
        self.identity = Identity::default();
        self
    }

    /// Checks all shapes, draws the initial parameters, and makes a network.
    ///
    /// # Errors
    /// A layer does not fit the one before it (the message names it), or a setting is out of range.
    pub fn build(self) -> Result<Network> {
        Network::build(self.topology()?)
    }

    /// Returns layers and calls, from its own input on.
    pub(crate) fn topology(&self) -> Result<Topology> {
        let first = self.layers.first().map(|l| &**l.build());
        let input = first.and_then(|l| l.input()).cloned().ok_or_else(|| {
            let got = first.map_or("no layers".to_string(), |l| l.class_name().to_string());
            Error::argument("Sequential", "Input::new(shape) as the first layer", got)
        })?;
        self.topology_from(input)
    }

    /// Returns layers and calls, from an input on.
    fn topology_from(&self, input: Input) -> Result<Topology> {
        let (mut layers, mut calls): (Vec<Entry>, Vec<Invocation>) = Default::default();
        let mut place_of: BTreeMap<u64, usize> = BTreeMap::new();
        for (i, layer) in self.layers.iter().enumerate() {
            if layer.build().input().is_some() {
                if i > 0 {
                    let got = format!("one at {i}");
                    return Err(Error::argument(
                        "Sequential",
                        "Input only as the first layer (a network of several inputs is a Functional)",
                        got,
                    ));
                }
                continue;
            }
            let place = *place_of.entry(layer.id()).or_insert_with(|| {
                let build = layer.build().clone();
                let name = build.common().and_then(|c| c.name.clone()).unwrap_or_default();
                layers.push(Entry { name, build });
                layers.len() - 1
            });
            let before = match calls.len() {
                0 => At::Input(0),
                n => At::Call { call: n - 1, output: 0 },
            };
            calls.push(Invocation { layer: place, inputs: vec![before], names: Vec::new() });
        }
        if layers.is_empty() {
            return Err(Error::argument("Sequential", "at least one layer after the Input", "none"));
        }
        let mut topology = Topology {
            class: "Sequential",
            name: self.name.clone(),
            seed: self.seed,
            dtype: self.dtype,
            inputs: vec![NamedInput { name: input.name().unwrap_or_default().into(), input }],
            rows: [RowOf::Input(0)].into_iter().chain((0..layers.len()).map(RowOf::Layer)).collect(),
            layers,
            outputs: vec![Output { name: String::new(), at: At::Call { call: calls.len() - 1, output: 0 } }],
            calls,
        };
        topology.name_all()?;
        Ok(topology)
    }

    fn handle(&self) -> Shared {
        self.identity.get(|| Shared::new(Stack::new(self.clone()))).clone()
    }
}

handle!(Sequential);

/// A stack as a layer of another network. Without an input of its own, it takes any.
#[derive(Debug)]
pub(crate) struct Stack {
    stack: Sequential,
    common: Common,
}

impl Stack {
    pub(crate) fn new(stack: Sequential) -> Stack {
        let common = Common::named(stack.name.clone());
        Stack { stack, common }
    }
}

impl Configured for Sequential {
    fn class_name(&self) -> &'static str {
        "Sequential"
    }
    fn config(&self) -> Result<serde_json::Value> {
        let Sequential { layers, name, seed, dtype, .. } = self;
        if let Some(twice) =
            (1..layers.len()).find(|i| layers[..*i].iter().any(|l| l.id() == layers[*i].id()))
        {
            // With an input of its own it is a graph like any other.
            if layers.first().is_some_and(|l| l.build().input().is_some()) {
                return self.topology()?.to_config();
            }
            let why = format!(
                "it calls layer number {twice} twice, which only a stack with an Input of its own can say in a file"
            );
            return Err(Error::Custom(why));
        }
        let layers: Vec<_> =
            layers.iter().map(|l| crate::config::describe(&**l.build())).collect::<Result<_>>()?;
        Ok(serde_json::json!({ "name": name, "seed": seed, "dtype": dtype.name(), "layers": layers }))
    }
}

impl Configured for Stack {
    fn class_name(&self) -> &'static str {
        self.stack.class_name()
    }
    fn config(&self) -> Result<serde_json::Value> {
        self.stack.config()
    }
    fn common(&self) -> Option<&Common> {
        Some(&self.common)
    }
}

impl Build for Stack {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let spec = single(inputs)?;
        let own = self.stack.layers.first().and_then(|l| l.build().input().cloned());
        let topology = match own {
            Some(input) => {
                input.accepts(spec)?;
                self.stack.topology_from(input)?
            }
            None => self.stack.topology_from(Input::of_spec(spec))?,
        };
        Ok(Box::new(Network::assemble(Arc::new(topology), init)?))
    }
}
