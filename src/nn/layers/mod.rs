//! Why it exists: the layers, a file each. A new one is its file and a row here.

use super::{Build, Sequential};
use crate::config::kind;

kind! {
    dyn Build, "layer", Registry::layer;
    mod input: Input;
    mod dense: Dense;
    mod flatten: Flatten;
    mod dropout: Dropout;
    mod activation: Activation;
    mod checkpoint: Checkpoint;
    use Sequential;
}
