//! The layers, one file each. To add one, write its file and a row here.

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
    mod spatial_dropout: SpatialDropout1D, SpatialDropout2D, SpatialDropout3D;
    mod gaussian_noise: GaussianNoise;
    mod gaussian_dropout: GaussianDropout;
    mod alpha_dropout: AlphaDropout;
    mod activity_regularization: ActivityRegularization;
    mod batch_normalization: BatchNormalization with RenormClipping;
    mod layer_normalization: LayerNormalization;
    mod group_normalization: GroupNormalization;
    mod rms_normalization: RMSNormalization;
    mod unit_normalization: UnitNormalization;
    mod spectral_normalization: SpectralNormalization;
    mod flatten: Flatten;
    mod reshape: Reshape;
    mod permute: Permute;
    mod repeat_vector: RepeatVector;
    mod masking: Masking;
    mod merge: Add, Subtract, Multiply, Average, Maximum, Minimum;
    mod concatenate: Concatenate;
    mod dot: Dot;
    mod simple_rnn: SimpleRNN, SimpleRNNCell;
    mod lstm: LSTM, LSTMCell;
    mod gru: GRU, GRUCell;
    mod rnn: RNN;
    mod stacked_rnn_cells: StackedRNNCells;
    mod bidirectional: Bidirectional with MergeMode;
    mod time_distributed: TimeDistributed;
    mod checkpoint: Checkpoint;
    mod pooling: MaxPooling1D, MaxPooling2D, MaxPooling3D, AveragePooling1D, AveragePooling2D, AveragePooling3D
        with MaxPool1D, MaxPool2D, MaxPool3D, AvgPool1D, AvgPool2D, AvgPool3D;
    mod global_pooling: GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D,
        GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
        with GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D, GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D;
    mod adaptive_pooling: AdaptiveAveragePooling1D, AdaptiveAveragePooling2D, AdaptiveAveragePooling3D,
        AdaptiveMaxPooling1D, AdaptiveMaxPooling2D, AdaptiveMaxPooling3D;
    mod zero_padding: ZeroPadding1D, ZeroPadding2D, ZeroPadding3D;
    mod cropping: Cropping1D, Cropping2D, Cropping3D;
    mod up_sampling: UpSampling1D, UpSampling2D, UpSampling3D;
    mod resizing: Resizing with FillMode;
    mod center_crop: CenterCrop;
    mod rescaling: Rescaling;
    mod normalization: Normalization;
    mod attention: Attention, AdditiveAttention with ScoreMode;
    mod multi_head_attention: MultiHeadAttention;
    mod group_query_attention: GroupQueryAttention;
    mod einsum_dense: EinsumDense;
    mod reversible_embedding: ReversibleEmbedding;
    mod sine_position_encoding: SinePositionEncoding;
    mod position_embedding: PositionEmbedding;
    mod rotary_embedding: RotaryEmbedding;
    mod transformer_encoder: TransformerEncoder;
    mod transformer_decoder: TransformerDecoder;
    mod conv: Conv1D, Conv2D, Conv3D;
    mod conv_lstm: ConvLSTM1D, ConvLSTM2D, ConvLSTM3D;
    mod conv_transpose: Conv1DTranspose, Conv2DTranspose, Conv3DTranspose;
    mod depthwise_conv: DepthwiseConv1D, DepthwiseConv2D;
    mod separable_conv: SeparableConv1D, SeparableConv2D;
    use Input;
    also "Sequential": topology_config::sequential, "Functional": topology_config::functional,
    "Lambda": lambda::unreadable;
    alias "MaxPool1D": MaxPooling1D, "MaxPool2D": MaxPooling2D, "MaxPool3D": MaxPooling3D,
    "AvgPool1D": AveragePooling1D, "AvgPool2D": AveragePooling2D, "AvgPool3D": AveragePooling3D,
    "GlobalAvgPool1D": GlobalAveragePooling1D, "GlobalAvgPool2D": GlobalAveragePooling2D,
    "GlobalAvgPool3D": GlobalAveragePooling3D, "GlobalMaxPool1D": GlobalMaxPooling1D,
    "GlobalMaxPool2D": GlobalMaxPooling2D, "GlobalMaxPool3D": GlobalMaxPooling3D, "Convolution1D": Conv1D,
    "Convolution2D": Conv2D, "Convolution3D": Conv3D, "Convolution1DTranspose": Conv1DTranspose,
    "Convolution2DTranspose": Conv2DTranspose, "Convolution3DTranspose": Conv3DTranspose,
    "SeparableConvolution1D": SeparableConv1D, "SeparableConvolution2D": SeparableConv2D;
}

mod cache;
mod cell;
mod checks;
mod heads;
mod lambda;
mod noise;
mod normalized;
mod positions;
mod recurrence;
mod sliding;
mod transformer;

pub use lambda::Lambda;
