//! Why it exists: the loop around a network: compile it with an optimizer, a loss and metrics, then fit, evaluate and
//! predict.

mod callback;
mod compile;
mod data;
mod dataset;
mod fit;
mod history;
mod model;
mod progress;
mod summary;

pub use callback::{Callback, EarlyStopping, Plan};
pub(crate) use compile::compile_with;
pub use compile::{IntoLosses, Network};
pub use data::AsTensors;
pub use dataset::FitDataset;
pub use fit::Fit;
pub use history::{History, Logs};
pub use model::Model;
pub use progress::Progress;
pub use summary::Summary;
