//! Why it exists: a kind (layers, losses, …) is a closed set of names in files, and one row of `kind!` is all that a new
//! member needs: its module, its public name, its loader and its place in messages come from there.

use super::{Configured, Dyn, Registry, Setting, describe, described};
use crate::{Error, Result};
use serde_json::Value;
use std::any::TypeId;
use std::sync::Arc;

/// Makes a thing of a kind from its settings.
pub type Maker<K> = fn(Value, &Registry) -> Result<Arc<K>>;

/// A kind of things that files can describe: `dyn Build`, `dyn Loss` and so on.
pub trait Kind: Configured + 'static {
    /// What messages call it: `layer`.
    const WHAT: &'static str;
    /// The members that the library has, by their names in files.
    const OWN: &'static [(&'static str, Maker<Self>)];
}

/// The error of a name that neither the library nor the registry has.
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

/// In files: `{class_name, config}`.
impl<K: ?Sized + Kind> Setting for Dyn<K> {
    fn write(&self) -> Result<Value> {
        describe(&**self)
    }
    fn read(value: Value, registry: &Registry) -> Result<Self> {
        let (name, config) = described(K::WHAT, value)?;
        match own(&name).or_else(|| registry.maker::<K>(&name)) {
            Some(make) => Ok(Dyn(make(config, registry)?)),
            None => Err(unknown::<K>(&name, registry)),
        }
    }
}

/// The library's maker of this name.
pub(super) fn own<K: ?Sized + Kind>(name: &str) -> Option<Maker<K>> {
    for (own, make) in K::OWN {
        if *own == name {
            return Some(*make);
        }
    }
    None
}

/// Declares a kind: its trait, what messages call it and the method of [`Registry`] that adds to it; then its members, a row
/// for each module (`mod dense: Dense;`, with further names of the module to re-export after `with`), then those of other
/// modules (`use Tuned;`), and those that are read by a function (`also "Sequential": read;`).
macro_rules! kind {
    (dyn $trait:ident, $what:literal, Registry::$register:ident;
        $($(#[$meta:meta])* mod $module:ident: $($type:ident),+ $(with $($other:ident),+)?;)*
        $(use $($here:ident),+ $(,)?;)?
        $(also $($also:literal: $maker:path),+ $(,)?;)?
    ) => {
        $(
            $(#[$meta])*
            mod $module;
            $(#[$meta])*
            pub use $module::{$($type,)+ $($($other,)+)?};
        )*

        /// The names of the library's own, as files have them.
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
            }

            impl Registry {
                #[doc = concat!("With a ", $what, " of the program's own, under the name that its `settings!` gives it.")]
                ///
                /// # Errors
                /// The library or the registry has one of that name.
                pub fn $register<T: $trait + Described + 'static>(self) -> $crate::Result<Registry> {
                    self.with::<dyn $trait>(T::NAME, make::<T>)
                }
            }
        };
    };
}
pub(crate) use kind;
