//! Why it exists: layers, optimizers, losses and the like are described in files by a name and plain data, out of a
//! closed set. This file ties a kind's types to their names; one row of `kind!` is all that a new one needs.

use std::ops::Deref;
use std::sync::Arc;

/// A short text that does not ask the system for memory: names and paths are made anew in every training step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(smallvec::SmallVec<[u8; 56]>);

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        // Only whole strings are added, and only what was added is cut off.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push_str(&mut self, more: &str) {
        self.0.extend_from_slice(more.as_bytes());
    }

    /// Cuts back to an earlier length.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(smallvec::SmallVec::from_slice(text.as_bytes()))
    }
}

/// Things that can be described by a name and data.
pub trait Configured {
    /// The name of the type, as Keras spells it: `Dense`.
    fn class_name(&self) -> &'static str {
        let full = std::any::type_name::<Self>();
        let base = full.split('<').next().unwrap_or(full);
        base.rsplit("::").next().unwrap_or(base)
    }

    /// The settings as JSON, or `None` for a type that files cannot name: one of the user's own.
    fn config(&self) -> Option<serde_json::Value> {
        None
    }
}

/// A shared object of one kind, such as `Dyn<dyn Initializer>`. It is written to files as `{class_name, config}`.
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

impl<T: ?Sized + Configured> serde::Serialize for Dyn<T> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        describe(&**self).map_err(serde::ser::Error::custom)?.serialize(to)
    }
}

/// `{class_name, config}`.
pub(crate) fn describe<T: ?Sized + Configured>(thing: &T) -> crate::Result<serde_json::Value> {
    let name = thing.class_name();
    let config = thing.config().ok_or_else(|| {
        crate::Error::Custom(format!("{name} is not one of gradus's own types, so no file can describe it"))
    })?;
    Ok(serde_json::json!({ "class_name": name, "config": config }))
}

/// The name and data of a description. Takes it apart rather than copy it: descriptions nest.
pub(crate) fn described(
    what: &str,
    mut value: serde_json::Value,
) -> crate::Result<(String, serde_json::Value)> {
    let bad = || crate::Error::format(what, "expected an object with class_name and config");
    let object = value.as_object_mut().ok_or_else(bad)?;
    let name = object.get("class_name").and_then(|n| n.as_str()).ok_or_else(bad)?.to_string();
    Ok((name, object.remove("config").unwrap_or_else(|| serde_json::json!({}))))
}

/// Declares the members of a kind: their names in files, their loader, and the list in error messages.
macro_rules! kind {
    ($what:literal, $trait:ident: $($type:ident),* $(,)?) => {
        $(
            impl $crate::config::Configured for $type {
                fn class_name(&self) -> &'static str { stringify!($type) }
                fn config(&self) -> Option<serde_json::Value> { serde_json::to_value(self).ok() }
            }
        )*

        /// The names of every member that files can describe.
        pub const NAMES: &[&str] = &[$(stringify!($type)),*];

        /// Makes a member from its name and settings.
        ///
        /// # Errors
        /// The name is unknown, or the settings are not its own.
        #[allow(dead_code)]
        pub(crate) fn from_config(name: &str, config: serde_json::Value) -> $crate::Result<std::sync::Arc<dyn $trait>> {
            match name {
                $(stringify!($type) => serde_json::from_value::<$type>(config)
                    .map(|v| std::sync::Arc::new(v) as std::sync::Arc<dyn $trait>)
                    .map_err(|e| $crate::Error::format(format!("{} {name}", $what), e.to_string())),)*
                _ => {
                    let known = NAMES.join(", ");
                    Err($crate::Error::format($what, format!("unknown name '{name}', expected one of {known}")))
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $crate::config::Dyn<dyn $trait> {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let value = serde_json::Value::deserialize(from)?;
                $crate::config::described($what, value)
                    .and_then(|(name, config)| from_config(&name, config))
                    .map($crate::config::Dyn)
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use kind;
