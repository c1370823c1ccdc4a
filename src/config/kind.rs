//! Kinds (layers, losses, …): each is a closed set of names in files. One row of `kind!` is all that a new member
//! needs: its module, its public name, its loader and its place in messages come from there.

use super::{Configured, Dyn, Registry, Setting, describe, described, snake_case};
use crate::{Error, Result};
use serde_json::Value;
use std::any::TypeId;
use std::sync::Arc;

/// Makes an object of a kind from its settings.
pub type Maker<K> = fn(Value, &Registry) -> Result<Arc<K>>;

/// A kind of objects that files can describe: `dyn Build`, `dyn Loss` and so on.
pub trait Kind: Configured + 'static {
    /// The word for it in messages: `layer`.
    const WHAT: &'static str;
    /// The members that the library has, by their names in files.
    const OWN: &'static [(&'static str, Maker<Self>)];
    /// Other names that Keras's files and texts use for some of them: the alias, and the name it means. The alias
    /// `null` names the member that stands for nothing.
    const ALIASES: &'static [(&'static str, &'static str)];

    /// Returns the member that a name means: exactly, by an alias, or in snake case (`hard_silu` for `HardSilu`).
    fn meant(name: &str) -> Option<&'static str> {
        let own: Vec<&'static str> = Self::OWN.iter().map(|(own, _)| *own).collect();
        meant(name, &own, Self::ALIASES)
    }
}

fn meant<'a>(name: &str, own: &[&'a str], aliases: &[(&'a str, &'a str)]) -> Option<&'a str> {
    let exact = own.iter().find(|own| **own == name);
    let alias = || aliases.iter().find(|(alias, _)| *alias == name).map(|(_, own)| own);
    let snake = || own.iter().find(|own| snake_case(own) == name);
    exact.or_else(alias).or_else(snake).copied()
}

/// The error for a name that neither the library nor the registry has.
#[cold]
fn unknown<K: ?Sized + Kind>(name: &str, registry: &Registry) -> Error {
    let mut own = Vec::new();
    K::OWN.iter().for_each(|(name, _)| own.push(*name));
    unknown_name(K::WHAT, name, &own, &registry.names(TypeId::of::<K>()))
}

fn unknown_name(what: &str, name: &str, own: &[&str], registered: &[&str]) -> Error {
    let registered = match registered {
        [] => "; of your own none is registered".to_string(),
        names => format!(" or, registered, {}", names.join(", ")),
    };
    let (name, own) = (name.escape_debug(), own.join(", "));
    Error::format(what, format!("unknown name '{name}', expected one of {own}{registered}"))
}

/// Stored in files as `{class_name, config}`. If it needs no settings, or should have Keras's defaults, it can also
/// be read from its name, in Keras's spelling or ours: `"glorot_uniform"`, `"Tanh"`.
impl<K: ?Sized + Kind> Setting for Dyn<K> {
    fn write(&self) -> Result<Value> {
        describe(&**self)
    }
    fn read(value: Value, registry: &Registry) -> Result<Self> {
        let no_settings = || Value::Object(Default::default());
        let (name, config) = match value {
            Value::String(name) => (name, no_settings()),
            Value::Null if K::ALIASES.iter().any(|(alias, _)| *alias == "null") => {
                ("null".into(), no_settings())
            }
            object => described(K::WHAT, object)?,
        };
        if let Some(make) = K::meant(&name).and_then(own::<K>) {
            return make(config, registry).map(Dyn);
        }
        let made = registry.made::<K>(&name, config);
        made.unwrap_or_else(|| Err(unknown::<K>(&name, registry))).map(Dyn)
    }
}

/// Returns the library's maker of this name.
pub(super) fn own<K: ?Sized + Kind>(name: &str) -> Option<Maker<K>> {
    for (own, make) in K::OWN {
        if *own == name {
            return Some(*make);
        }
    }
    None
}

/// Declares a kind: its trait, its word in messages and the method of [`Registry`] that adds to it; then its
/// members, one row for each module (`mod dense: Dense;`, with further names of the module to re-export after
/// `with`), then those of other modules (`use Tuned;`), those that are read by a function
/// (`also "Sequential": read;`), and further names that are read (`alias "swish": Silu;`).
macro_rules! kind {
    (dyn $trait:ident, $what:literal, Registry::$register:ident;
        $($(#[$meta:meta])* mod $module:ident: $($type:ident),+ $(with $($other:ident),+)?;)*
        $(use $($here:ident),+ $(,)?;)?
        $(also $($also:literal: $maker:path),+ $(,)?;)?
        $(alias $($alias:tt: $meant:ident),+ $(,)?;)?
    ) => {
        $(
            $(#[$meta])*
            mod $module;
            $(#[$meta])*
            pub use $module::{$($type,)+ $($($other,)+)?};
        )*

        /// The names of the library's own members, as in files.
        pub const NAMES: &[&str] = &[$($(stringify!($type),)+)* $($(stringify!($here),)+)? $($($also,)+)?];

        const _: () = {
            use $crate::config::{Described, Kind, Maker, Registry};

            fn make<T: $trait + Described + 'static>(
                config: serde_json::Value,
                registry: &Registry,
            ) -> $crate::Result<std::sync::Arc<dyn $trait>> {
                Ok(std::sync::Arc::new(T::from_config(config, registry)?))
            }

            impl Kind for dyn $trait {
                const WHAT: &'static str = $what;
                const OWN: &'static [(&'static str, Maker<dyn $trait>)] = &[
                    $($((stringify!($type), make::<$type>),)+)*
                    $($((stringify!($here), make::<$here>),)+)?
                    $($(($also, $maker),)+)?
                ];
                const ALIASES: &'static [(&'static str, &'static str)] =
                    &[$($(($crate::config::alias!($alias), stringify!($meant)),)+)?];
            }

            impl Registry {
                #[doc = concat!("With a ", $what, " of the program's own, under the name that its `settings!` gives it.")]
                ///
                /// # Errors
                /// The library or the registry already has one of that name.
                pub fn $register<T: $trait + Described + 'static>(self) -> $crate::Result<Registry> {
                    self.with::<dyn $trait>(T::NAME, make::<T>)
                }
            }
        };
    };
}
pub(crate) use kind;

/// The text of an alias.
macro_rules! alias {
    (null) => {
        "null"
    };
    ($alias:literal) => {
        $alias
    };
}
pub(crate) use alias;
