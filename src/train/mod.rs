//! Training: [`Model`] is a network compiled with an optimizer, losses and metrics; [`Fit`] holds the settings of a
//! run, [`Callback`]s act around its epochs and batches, and [`History`] is the result. Begin with `compile`, then
//! [`Model::fit`], [`Model::evaluate`] and `predict`; the guide to [training](crate::guides::training) shows them
//! all.

mod batches;
mod callback;
mod called;
mod compile;
mod data;
mod evaluate;
mod failed;
mod figure;
mod finite;
mod fit;
mod head;
mod history;
mod model;
mod pairing;
mod per_sample;
mod predict;
mod step;
mod training;
mod weights;

pub use crate::tensor::AsTensors;
pub use callback::*;
pub use called::WithCallbacks;
#[doc(hidden)]
pub use compile::Compiled;
pub use compile::IntoLosses;
pub(crate) use compile::compile_with;
pub use evaluate::Evaluate;
pub use failed::FitError;
pub use fit::Fit;
pub use history::{History, Logs};
pub use model::Model;
pub use weights::{Weights, balanced_class_weight};
