//! The layers, a file each. A new one is its file and a row here.

pub use super::input::Input;
use super::{Build, topology_config};
use crate::config::kind;

kind! {
    dyn Build, "layer", Registry::layer;
    mod dense: Dense;
    mod embedding: Embedding;
    mod activation: Activation;
    mod dropout: Dropout;
    mod flatten: Flatten;
    mod reshape: Reshape;
    mod masking: Masking;
    mod add: Add;
    mod concatenate: Concatenate;
    mod simple_rnn: SimpleRNN, SimpleRNNCell;
    mod lstm: LSTM, LSTMCell;
    mod gru: GRU, GRUCell;
    mod rnn: RNN;
    mod stacked_rnn_cells: StackedRNNCells;
    mod bidirectional: Bidirectional with MergeMode;
    mod time_distributed: TimeDistributed;
    mod checkpoint: Checkpoint;
    use Input;
    also "Sequential": topology_config::sequential, "Functional": topology_config::functional;
}

mod cell;
mod merge;
mod recurrence;
