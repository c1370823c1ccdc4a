//! How layers, optimizers, losses and the like are described in files: by a name and plain data, out of a closed
//! set and what the reader's [`Registry`] adds to it. Begin with [`settings!`](crate::settings), which declares a
//! type's settings once; [`Setting`] says how each type of setting is written, and `kind!` ties a kind's types to
//! their names.

mod described;
mod kind;
mod named;
mod registry;
mod setting;
mod settings;
mod text;

pub use described::{Common, Configured, Described, Dyn};
pub(crate) use described::{describe, described, function_name, short_type_name};
pub use kind::{Kind, Maker};
pub(crate) use kind::{alias, kind};
pub use named::Misnamed;
pub(crate) use named::{by_name, closest};
pub use registry::Registry;
pub use setting::{OrName, Setting, well_named};
pub(crate) use text::snake_case;

/// Called by the code that [`settings!`](crate::settings) and [`string_enum!`](crate::string_enum) generate; not
/// for other use.
#[doc(hidden)]
pub mod generated {
    pub use super::setting::{unknown_name, wrong};
    pub use super::settings::{Reader, Writer, misnamed, set_name};
    pub use serde_json::Value;
}
