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
    mod checkpoint: Checkpoint;
    use Input;
    also "Sequential": topology_config::sequential, "Functional": topology_config::functional,
    "Lambda": lambda::unreadable;
}

mod lambda;
mod noise;
mod normalized;
pub use lambda::Lambda;
