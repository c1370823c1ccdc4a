//! Why it exists: the loop around a network: compile it with an optimizer, a loss and metrics, then fit, evaluate and
//! predict.

mod callback;
mod compile;
mod data;
mod dataset;
mod evaluate;
mod fit;
mod head;
mod history;
mod model;
mod progress;
mod summary;
mod weights;

pub use callback::{
    Callback, EarlyStopping, LambdaCallback, LearningRateScheduler, Monitor, Plan, ReduceLROnPlateau,
    TerminateOnNaN,
};
pub(crate) use compile::compile_with;
pub use compile::{IntoLosses, Network};
pub use data::AsTensors;
pub use evaluate::Evaluate;
pub use fit::Fit;
pub use history::{History, Logs};
pub use model::Model;
pub use progress::Progress;
pub use summary::Summary;
pub use weights::Weights;
