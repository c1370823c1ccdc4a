//! Why it exists: a file names types, and a program may have types that the library does not know. It says which, by value:
//! nothing is registered globally, so what a file can name depends on the call that reads it alone.

use super::{Kind, Maker};
use crate::{Error, Result};
use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Types of the program's own that files may name: layers, losses and so on, declared with [`settings!`](crate::settings).
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
    /// By kind and name a [`Maker`] of that kind.
    makers: BTreeMap<(TypeId, &'static str), Arc<dyn Any + Send + Sync>>,
}

impl Registry {
    /// With nothing but what the library has.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// With a type of that name. The methods named after the kinds say it shorter.
    ///
    /// # Errors
    /// The library or the registry has one of that name.
    pub fn with<K: ?Sized + Kind>(mut self, name: &'static str, make: Maker<K>) -> Result<Registry> {
        let key = (TypeId::of::<K>(), name);
        let own = K::OWN.iter().any(|(own, _)| *own == name);
        if own || self.makers.contains_key(&key) {
            let got =
                format!("a second {} '{name}'{}", K::WHAT, if own { " beside the library's" } else { "" });
            return Err(Error::argument("Registry", "names that are not taken", got));
        }
        self.makers.insert(key, Arc::new(make));
        Ok(self)
    }

    pub(super) fn maker<K: ?Sized + Kind>(&self, name: &str) -> Option<Maker<K>> {
        let kind = TypeId::of::<K>();
        let (_, make) = self.makers.iter().find(|((k, n), _)| *k == kind && *n == name)?;
        make.downcast_ref::<Maker<K>>().copied()
    }

    /// The registered names of a kind.
    pub(super) fn names<K: ?Sized + Kind>(&self) -> Vec<&'static str> {
        let kind = TypeId::of::<K>();
        self.makers.keys().filter(|(k, _)| *k == kind).map(|(_, name)| *name).collect()
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.makers.keys().map(|(_, name)| name)).finish()
    }
}
