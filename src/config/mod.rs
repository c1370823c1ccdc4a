//! Why it exists: layers, optimizers, losses and the like are described in files by a name and plain data, out of a
//! closed set and what the reader's [`Registry`] adds to it. This folder declares settings once ([`settings!`](crate::settings)),
//! says how each type of setting is written ([`Setting`]) and ties a kind's types to their names (`kind!`).

mod described;
mod kind;
mod registry;
mod setting;
mod settings;
mod text;

pub use described::{Common, Configured, Described, Dyn};
pub(crate) use described::{describe, described};
pub use kind::{Kind, Maker};
pub(crate) use kind::{from_config, kind};
pub use registry::Registry;
pub use setting::Setting;
pub(crate) use text::Text;

/// What the code made by [`settings!`](crate::settings) and [`string_enum!`](crate::string_enum) calls. Not for others.
#[doc(hidden)]
pub mod generated {
    pub use super::setting::{unknown_name, wrong};
    pub use super::settings::{Reader, Writer};
    pub use serde_json::Value;
}

// ---- until every kind is declared by settings!

impl<T: ?Sized + Configured> serde::Serialize for Dyn<T> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        describe(&**self).map_err(serde::ser::Error::custom)?.serialize(to)
    }
}

impl<'de, K: ?Sized + Kind> serde::Deserialize<'de> for Dyn<K> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        Setting::read(value, &Registry::new()).map_err(serde::de::Error::custom)
    }
}

/// Types whose form in files serde derives.
macro_rules! by_serde {
    ($($type:ident),* $(,)?) => {$(
        impl $crate::config::Configured for $type {
            fn class_name(&self) -> &'static str {
                stringify!($type)
            }
            fn config(&self) -> $crate::Result<serde_json::Value> {
                let bad = |e: serde_json::Error| $crate::Error::format(stringify!($type), e.to_string());
                let value = serde_json::to_value(self).map_err(bad)?;
                // A number that JSON does not have is written as null, which no reader takes.
                serde_json::from_value::<$type>(value.clone()).map_err(bad)?;
                Ok(value)
            }
        }
        impl $crate::config::Described for $type {
            const NAME: &'static str = stringify!($type);
            fn from_config(config: serde_json::Value, _: &$crate::config::Registry) -> $crate::Result<Self> {
                serde_json::from_value(config).map_err(|e| $crate::Error::format(stringify!($type), e.to_string()))
            }
        }
    )*};
}
pub(crate) use by_serde;
