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
    mod conv: Conv1D, Conv2D, Conv3D;
    mod conv_lstm: ConvLSTM1D, ConvLSTM2D, ConvLSTM3D;
    mod conv_transpose: Conv1DTranspose, Conv2DTranspose, Conv3DTranspose;
    mod depthwise_conv: DepthwiseConv1D, DepthwiseConv2D;
    mod separable_conv: SeparableConv1D, SeparableConv2D;
    use Input;
    also "Sequential": topology_config::sequential, "Functional": topology_config::functional;
}

mod cell;
mod merge;
mod sliding;
mod recurrence;
