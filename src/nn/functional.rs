//! `Functional`: a network as any graph of layers, from symbols to symbols.

use super::network::Network;
use super::symbol::{Identity, IntoSymbols, Shared, handle};
use super::topology::{Nested, Topology};
use crate::config::Configured;
use crate::{DType, Result};
use std::sync::Arc;

/// A network from inputs to outputs: any graph, with layers called several times, several inputs and outputs.
/// `build` makes a [`Network`] of it, `compile` a model, and each draws new parameters: to get a part of a trained
/// network, use [`cut_at`](Network::cut_at), not a second `Functional` of the same symbols. Inside another network
/// it is one layer, and may be called several times.
///
/// ```
/// use gradus::nn::layers::{Concatenate, Dense, Input};
/// use gradus::prelude::*;
///
/// let image = Input::new([64]).named("image");
/// let extra = Input::new([4]).named("extra");
/// let h = Dense::new(32).activation(Relu).on(&image)?;
/// let z = Concatenate::new().on([&h, &Dense::new(16).activation(Relu).on(&extra)?])?;
/// let model = Functional::new([&image, &extra], &Dense::new(10).activation(Softmax).on(&z)?)?
///     .compile(Adam::new(0.001), SparseCategoricalCrossentropy::new(), [Accuracy::new()])?;
/// assert_eq!(model.count_params(), 64 * 32 + 32 + 4 * 16 + 16 + 48 * 10 + 10);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Functional {
    topology: Topology,
    identity: Identity,
}

impl Functional {
    /// Creates the network that computes the outputs from the inputs, which come from `Input::new`.
    ///
    /// # Errors
    /// An input is given twice or no output depends on it; an output depends on an input that is not listed; two
    /// layers have the same name.
    pub fn new(inputs: impl IntoSymbols, outputs: impl IntoSymbols) -> Result<Functional> {
        let inputs = inputs.into_symbols().into_positional("inputs")?;
        let outputs = outputs.into_symbols().into_positional("outputs")?;
        Ok(Functional::of(Topology::of_symbols("Functional", &inputs, &outputs)?))
    }

    /// Makes one of a topology.
    pub(crate) fn of(topology: Topology) -> Functional {
        Functional { topology, identity: Identity::default() }
    }

    /// Sets its name; `functional` by default.
    #[must_use]
    pub fn named(mut self, name: &str) -> Functional {
        self.topology.name = Some(name.into());
        self.changed()
    }

    /// Sets the seed of everything random: initial values, order of rows, dropout. 0 by default; the same seed
    /// gives the same bytes.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Functional {
        self.topology.seed = seed;
        self.changed()
    }

    /// Sets the dtype of parameters and arithmetic, float32 by default.
    #[must_use]
    pub fn dtype(mut self, dtype: DType) -> Functional {
        self.topology.dtype = dtype;
        self.changed()
    }

    fn changed(mut self) -> Functional {
        self.identity = Identity::default();
        self
    }

    /// Draws the initial parameters and makes a network.
    ///
    /// # Errors
    /// A setting is out of range for this dtype, or there is not enough memory.
    pub fn build(self) -> Result<Network> {
        Network::build(self.topology)
    }

    fn handle(&self) -> Shared {
        self.identity.get(|| Shared::new(Nested::new(Arc::new(self.topology.clone())))).clone()
    }
}

handle!(Functional);

impl Configured for Functional {
    fn class_name(&self) -> &'static str {
        "Functional"
    }
    fn config(&self) -> Result<serde_json::Value> {
        self.topology.to_config()
    }
}
