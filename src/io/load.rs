//! `Load`: how to read files of models, with which limits and which types of the user's program.

use super::Limits;
use crate::config::Registry;

/// How to read a model: `Load::new().limits(…).registry(…)`.
///
/// ```
/// use gradus::io::{Limits, Load};
/// use gradus::prelude::*;
///
/// let network = Sequential::new().add(Input::new(4)).add(Dense::new(2)).build()?;
/// let file = network.to_bytes()?;
/// let strict = Load::new().limits(Limits::default().max_total_bytes(1 << 20)); // for files of strangers
/// let again = Network::from_bytes(&file, strict)?;
/// assert_eq!(again.param("dense/kernel").unwrap().dims(), [4, 2]);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Load {
    pub(crate) limits: Limits,
    pub(crate) registry: Registry,
}

impl Load {
    /// Uses the default limits and only the library's own types.
    pub fn new() -> Load {
        Load::default()
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Load {
        self.limits = limits;
        self
    }

    /// Sets the program's own types that the file may name: layers, losses and so on.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Load {
        self.registry = registry;
        self
    }
}

impl From<Limits> for Load {
    fn from(limits: Limits) -> Load {
        Load::new().limits(limits)
    }
}

impl From<Registry> for Load {
    fn from(registry: Registry) -> Load {
        Load::new().registry(registry)
    }
}

impl From<&Limits> for Load {
    fn from(limits: &Limits) -> Load {
        limits.clone().into()
    }
}

impl From<&Load> for Load {
    fn from(load: &Load) -> Load {
        load.clone()
    }
}
