//! The layers, a file each. A new one is its file and a row here.

pub use super::input::Input;
use super::{Build, topology_config};
use crate::config::kind;

kind! {
    dyn Build, "layer", Registry::layer;
    mod dense: Dense;
    mod embedding: Embedding;
    mod activation: Activation;
    mod relu: ReLU, LeakyReLU;
    mod prelu: PReLU;
    mod elu: ELU;
    mod softmax: Softmax;
    mod identity: Identity;
    mod dropout: Dropout;
    mod flatten: Flatten;
    mod reshape: Reshape;
    mod permute: Permute;
    mod repeat_vector: RepeatVector;
    mod masking: Masking;
    mod merge: Add, Subtract, Multiply, Average, Maximum, Minimum;
    mod concatenate: Concatenate;
    mod dot: Dot;
    mod checkpoint: Checkpoint;
    use Input;
    also "Sequential": topology_config::sequential, "Functional": topology_config::functional,
    "Lambda": lambda::unreadable;
}

mod lambda;
pub use lambda::Lambda;
