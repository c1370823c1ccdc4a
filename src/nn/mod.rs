//! Layers and networks. A layer is parameters plus a function of tensors; what it needs besides its input (mode,
//! randomness, statistics, state) comes in one explicit context ([`Cx`]). A network is a graph of layers and calls:
//! [`Sequential`], [`Functional`] and a struct of your own ([`Subclass`]) all build the same [`Network`]. Begin
//! with [`Sequential`] and [`layers`]; to write a layer, with [`Layer`].

pub mod activation;
mod arguments;
mod axes;
pub mod constraint;
mod cut;
mod cx;
mod functional;
pub mod initializer;
mod input;
pub mod layers;
mod lists;
mod module;
mod network;
mod node;
mod numbers;
mod param;
mod part;
mod predict;
mod range;
pub mod regularizer;
mod sequential;
mod spatial;
mod subclass;
mod summary;
mod symbol;
mod topology;
mod topology_config;
mod trace;
mod value;
mod weights;

pub(crate) use crate::config::snake_case;
pub use axes::Axes;
pub use cut::LayerRef;
pub(crate) use cx::Scope;
pub use cx::{Cx, Effects, Session};
pub use functional::Functional;
pub use input::SampleShape;
pub use lists::OneOrMany;
pub use module::{Item, ItemMut, Module, Path, Visit, VisitMut};
#[doc(hidden)]
pub use module::{walk_field, walk_field_mut};
pub use network::Network;
pub(crate) use network::{Keep, single as only_output};
pub use node::{Build, Cell, CloneNode, IntoLayer, Layer, Node, Recurrence, Recurrent, features};
pub(crate) use node::{build_inside, range_of};
pub use numbers::Numbers;
pub(crate) use param::{Budget, LARGEST};
pub use param::{Init, Key, Param};
pub(crate) use param::{numbers, set_numbers};
pub use part::Part;
pub use predict::Predict;
pub use range::Range;
pub use sequential::Sequential;
pub use spatial::{DataFormat, Margins, Sizes};
pub(crate) use spatial::{expect_images, expect_rest};
pub use subclass::Subclass;
pub use summary::Summary;
pub use symbol::{AsSymbol, Given, IntoSymbols, Shared, Symbol};
pub(crate) use topology_config::read_network;
pub(crate) use trace::{agreed, within_reason};
pub use value::{InputSpecs, Inputs, Masking, Value, Values, both_masks, single};
