//! `Configured` and [`Described`]: what a type must provide to be described in a file; and [`Dyn`], the shared
//! handle by which settings hold objects of a kind.

use super::Registry;
use crate::{Error, Result};
use serde_json::Value;
use std::ops::Deref;
use std::sync::Arc;

/// Types that can be described by a name and data. [`settings!`](crate::settings) implements it; for a type that no
/// file needs to describe, `impl Configured for Mine {}` is enough.
pub trait Configured {
    /// Returns the name of the type: `Dense`. Names of layers are made from it.
    fn class_name(&self) -> &'static str {
        short_type_name::<Self>()
    }

    /// Returns its name in files: the class name, which types of other crates usually prefix with the crate's, as
    /// in `acme>Glu`.
    fn registered_name(&self) -> &'static str {
        self.class_name()
    }

    /// Returns the settings as JSON.
    ///
    /// # Errors
    /// The type has no form in files, or JSON cannot hold one of the settings (such as an infinite number).
    fn config(&self) -> Result<Value> {
        let name = self.class_name();
        Err(Error::Custom(format!(
            "{name} is a type of your own that settings! does not declare, so no file can describe it"
        )))
    }

    /// For a layer that [`settings!`](crate::settings) declares, returns its name and whether it is frozen.
    fn common(&self) -> Option<&Common> {
        None
    }

    /// Fails if it stands for an unknown name.
    #[doc(hidden)]
    fn usable(&self) -> Result<()> {
        Ok(())
    }
}

/// `my_loss` for a function of that name, `closure` for one that has none.
pub(crate) fn function_name<F>() -> &'static str {
    let name = std::any::type_name::<F>();
    // A function of `fn` type, or one that is an argument's type, has no name of its own either.
    let own = name.rsplit("::").next().unwrap_or(name);
    if own.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.starts_with("fn(") {
        own
    } else {
        "closure"
    }
}

/// `Dense` out of `my_crate::layers::Dense<T>`.
pub(crate) fn short_type_name<T: ?Sized>() -> &'static str {
    let full = std::any::type_name::<T>();
    let base = full.split('<').next().unwrap_or(full);
    base.rsplit("::").next().unwrap_or(base)
}

/// A type that files can describe: its name there, and its reader. [`settings!`](crate::settings) implements it.
pub trait Described: Configured + Sized {
    /// The value of [`Configured::registered_name`].
    const NAME: &'static str;

    /// Creates it from the settings that [`Configured::config`] returned.
    ///
    /// # Errors
    /// A setting is missing, unknown or of the wrong type; the message names it.
    fn from_config(config: Value, registry: &Registry) -> Result<Self>;
}

/// The settings that every layer has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Common {
    /// The name the user gave; otherwise one is made from the class name.
    pub name: Option<String>,
    /// Whether its parameters keep their values in training. Files store the opposite, `trainable`, as Keras does.
    pub frozen: bool,
    /// The error of a setting that was given by an unknown name.
    pub(crate) misnamed: Option<String>,
}

impl Common {
    /// Settings with this name, and trainable.
    pub(crate) fn named(name: Option<String>) -> Common {
        Common { name, ..Common::default() }
    }
}

/// A shared object of one kind, such as `Dyn<dyn Initializer>`. Stored in files as `{class_name, config}`.
#[derive(Debug)]
pub struct Dyn<T: ?Sized>(pub(crate) Arc<T>);

impl<T: ?Sized> Clone for Dyn<T> {
    fn clone(&self) -> Self {
        Dyn(self.0.clone())
    }
}

impl<T: ?Sized> Deref for Dyn<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Writes `{class_name, config}`.
pub(crate) fn describe<T: ?Sized + Configured>(thing: &T) -> Result<Value> {
    thing.config().map(|config| description(thing.registered_name(), config))
}

fn description(name: &str, config: Value) -> Value {
    serde_json::json!({ "class_name": name, "config": config })
}

/// Returns the name and data of a description. It takes the description apart instead of copying it, because
/// descriptions nest.
pub(crate) fn described(what: &str, mut value: Value) -> Result<(String, Value)> {
    let bad = || Error::format(what, "expected a name, or an object with class_name and config");
    let object = value.as_object_mut().ok_or_else(bad)?;
    let Some(Value::String(name)) = object.remove("class_name") else { return Err(bad()) };
    let config = object.remove("config").unwrap_or_else(|| Value::Object(Default::default()));
    Ok((name, config))
}
