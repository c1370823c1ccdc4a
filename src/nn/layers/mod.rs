//! Why it exists: the layers, a file each. A new one is its file and a row here.

use super::{Build, Sequential};
use crate::config::kind;

mod activation;
mod checkpoint;
mod dense;
mod dropout;
mod flatten;
mod input;

pub use activation::Activation;
pub use checkpoint::Checkpoint;
pub use dense::Dense;
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use input::Input;

kind!("layer", Build: Input, Dense, Flatten, Dropout, Activation, Checkpoint, Sequential);
