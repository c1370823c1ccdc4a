//! Why it exists: what reading a model depends on beside its bytes: how much they may take, and which types of the program's
//! own they may name.

use super::Limits;
use crate::config::Registry;

/// How a model is read: `Load::new().limits(…).registry(…)`. Limits alone become one with `into`.
#[derive(Clone, Debug, Default)]
pub struct Load {
    pub(super) limits: Limits,
    pub(super) registry: Registry,
}

impl Load {
    /// With the default limits, and no types but the library's.
    pub fn new() -> Load {
        Load::default()
    }

    /// What the file may take.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Load {
        self.limits = limits;
        self
    }

    /// The types of the program's own that the file may name.
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
