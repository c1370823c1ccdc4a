//! `Registry`: the types of a user's program that a file may name, besides the library's. It is passed by value and
//! nothing is registered globally, so what a file can name depends only on the call that reads it.

use super::kind::own;
use super::{Dyn, Kind, Maker};
use crate::{Error, Result};
use serde_json::Value;
use std::any::{Any, TypeId};
use std::sync::Arc;

/// Types of the program's own that files may name: layers, losses and so on, declared with
/// [`settings!`](crate::settings).
///
/// ```
/// use gradus::config::Registry;
/// use gradus::nn::regularizer::Regularizer;
/// use gradus::{Result, Tensor, settings};
///
/// settings! {
///     /// `factor · Σ w⁴`.
///     #[derive(Copy)]
///     pub struct L4 as "acme>L4" {
///         /// With this factor.
///         new(factor: f64);
///     }
/// }
/// impl Regularizer for L4 {
///     fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
///         weight.square()?.square()?.sum(&[], false)?.affine(self.factor, 0.0)
///     }
/// }
///
/// let registry = Registry::new().regularizer::<L4>()?;
/// assert!(registry.regularizer::<L4>().is_err(), "one name, one type");
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    /// By name.
    makers: Vec<Registered>,
}

/// Makes a thing of a kind from its settings, as a closure.
type MadeBy<K> = Arc<dyn Fn(Value) -> Result<Dyn<K>> + Send + Sync>;

#[derive(Clone)]
struct Registered {
    kind: TypeId,
    name: &'static str,
    /// A [`Maker`] or a [`MadeBy`] of that kind.
    make: Arc<dyn Any + Send + Sync>,
}

impl Registry {
    /// Creates a registry of only what the library has.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// Adds a type under this name. The methods named after the kinds are shorter.
    ///
    /// # Errors
    /// The library or the registry already has one of that name.
    pub fn with<K: ?Sized + Kind>(self, name: &'static str, make: Maker<K>) -> Result<Registry> {
        let own = own::<K>(name).is_some();
        self.with_any(K::WHAT, own, Registered { kind: TypeId::of::<K>(), name, make: Arc::new(make) })
    }

    fn with_any(mut self, what: &str, own: bool, new: Registered) -> Result<Registry> {
        let name = new.name;
        if own || self.find(new.kind, name).is_some() {
            let got = format!("a second {what} '{name}'{}", if own { " beside the library's" } else { "" });
            return Err(Error::argument("Registry", "names that are not taken", got));
        }
        let place = self.makers.iter().position(|maker| maker.name > name);
        self.makers.insert(place.unwrap_or(self.makers.len()), new);
        Ok(self)
    }

    fn find(&self, kind: TypeId, name: &str) -> Option<&(dyn Any + Send + Sync)> {
        let found = self.makers.iter().find(|maker| maker.kind == kind && maker.name == name);
        found.map(|maker| &*maker.make)
    }

    /// With something that a closure makes of its settings: functions that stand for a thing of the kind.
    pub(crate) fn with_made<K: ?Sized + Kind>(
        self,
        name: &'static str,
        make: impl Fn(Value) -> Result<Dyn<K>> + Send + Sync + 'static,
    ) -> Result<Registry> {
        let (own, make) = (own::<K>(name).is_some(), Arc::new(make) as MadeBy<K>);
        self.with_any(K::WHAT, own, Registered { kind: TypeId::of::<K>(), name, make: Arc::new(make) })
    }

    /// The registered thing of this name with these settings, if there is one.
    pub(super) fn made<K: ?Sized + Kind>(&self, name: &str, config: Value) -> Option<Result<Arc<K>>> {
        let found = self.find(TypeId::of::<K>(), name)?;
        match found.downcast_ref::<Maker<K>>() {
            Some(make) => Some(make(config, self)),
            None => found.downcast_ref::<MadeBy<K>>().map(|make| make(config).map(|made| made.0)),
        }
    }

    /// Returns the registered names of a kind.
    pub(super) fn names(&self, kind: TypeId) -> Vec<&'static str> {
        self.makers.iter().filter(|maker| maker.kind == kind).map(|maker| maker.name).collect()
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.makers.iter().map(|maker| maker.name)).finish()
    }
}
