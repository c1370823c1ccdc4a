//! Deep learning on the CPU, in Rust, the way Keras users know it.
//!
//! ```
//! use gradus::prelude::*;
//!
//! fn main() -> gradus::Result<()> {
//!     let (train, test) = datasets::mnist::built_in(512, 128, 0)?; // or mnist::load()?
//!     let x_train = train.images.scale(1.0 / 255.0)?.reshape([-1, 784])?;
//!     let x_test = test.images.scale(1.0 / 255.0)?.reshape([-1, 784])?;
//!
//!     let mut model = Sequential::new()
//!         .add(Input::new([784]))
//!         .add(Dense::new(64).activation(Relu))
//!         .add(Dense::new(64).activation(Relu))
//!         .add(Dense::new(10).activation(Softmax))
//!         .seed(42)
//!         .compile(Adam::new(0.001), SparseCategoricalCrossentropy::new(), [Accuracy::new()])?;
//!
//!     let history = model.fit(&x_train, &train.labels, Fit::new().epochs(2).batch_size(32).verbose(0))?;
//!     let scores = model.evaluate(&x_test, &test.labels)?;
//!     assert!(history["loss"][1] < history["loss"][0] && scores["accuracy"] > 0.1);
//!     Ok(())
//! }
//! ```
//!
//! # What is promised
//! - **Reproducible.** The same seed gives the same bytes on any number of threads and on every CPU with fused
//!   multiply-add; a row's prediction does not depend on the batch it is in.
//! - **Errors are values** that name the layer. Nothing panics on input, and nothing is printed unless asked for.
//! - **Checked gradients.** Every operation is checked against finite differences at orders 1 and 2.
//!
//! # The five nouns
//! An [`Array`](tensor::Array) is memory with a layout. A [`Tensor`] is an array with a history. An
//! [`Op`](autograd::Op) is one step of that history: it checks its inputs, computes, and differentiates. A
//! [`Layer`](nn::Layer) is parameters plus a function of tensors. A [kernel](kernels) is a function on slices that
//! knows nothing of the other four. [Architecture](guides::architecture) is the tour.
//!
//! # Where to read on
//! The [guides] have a page for each subject: [Keras beside gradus](guides::keras), [training](guides::training),
//! [several inputs and outputs](guides::inputs), [data](guides::data), [saving and serving](guides::saving),
//! [frequent questions](guides::faq).

#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod applications;
pub mod autograd;
mod cancel;
mod clock;
pub mod config;
pub mod data;
pub mod datasets;
mod dtype;
mod error;
mod event;
pub mod generation;
pub mod graph;
#[cfg(any(doc, doctest))]
pub mod guides;
pub mod io;
pub mod kernels;
pub mod loss;
pub mod metric;
pub mod nn;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod ops;
pub mod optim;
pub mod random;
mod shape;
pub mod tensor;
pub mod tensorboard;
#[cfg(test)]
mod tests;
#[cfg(feature = "text")]
pub mod text;
pub mod train;
pub mod validation;

// Tests of the public interface name the crate as users do.
#[cfg(test)]
extern crate self as gradus;

pub use cancel::CancellationToken;
pub use dtype::{DType, Element, Float, Stored, bf16, f16};
pub use error::{Context, Error, Result};
pub use kernels::par::{Threads, with_threads};
pub use shape::{IntoShape, MAX_RANK, Shape, Spec, UNKNOWN};
pub use tensor::Tensor;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What a program that builds and trains models needs: `use gradus::prelude::*`.
pub mod prelude {
    pub use crate::data::{self, Dataset};
    pub use crate::datasets;
    pub use crate::loss::{
        BinaryCrossentropy, CategoricalCrossentropy, Loss, MeanSquaredError, SparseCategoricalCrossentropy,
    };
    pub use crate::metric::{Accuracy, Metric};
    pub use crate::nn::activation::{Gelu, Linear, Relu, Sigmoid, Silu, Softmax, Tanh};
    pub use crate::nn::layers::{
        Activation, Add, AveragePooling1D, AveragePooling2D, BatchNormalization, Bidirectional, Concatenate,
        Conv1D, Conv2D, Conv2DTranspose, Conv3D, Dense, DepthwiseConv2D, Dot, Dropout, ELU, EinsumDense,
        Embedding, Flatten, GRU, GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalMaxPooling1D,
        GlobalMaxPooling2D, GroupNormalization, Input, LSTM, Lambda, LayerNormalization, LeakyReLU, Masking,
        MaxPooling1D, MaxPooling2D, Maximum, Minimum, MultiHeadAttention, Multiply, Normalization, PReLU,
        Permute, RMSNormalization, RNN, ReLU, RepeatVector, Rescaling, Reshape, SeparableConv2D, SimpleRNN,
        Subtract, TimeDistributed, UpSampling2D, ZeroPadding2D,
    };
    pub use crate::nn::regularizer::{L1, L1L2, L2};
    pub use crate::nn::{
        Build, Cx, Functional, Init, InputSpecs, Layer, Network, Node, Param, Part, Sequential, Subclass,
    };
    pub use crate::ops::Padding;
    pub use crate::optim::{
        Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, Muon, Nadam, Optimizer, RMSprop,
        SGD, ScheduleFreeAdamW,
    };
    pub use crate::tensorboard::TensorBoard;
    pub use crate::train::{
        CSVLogger, Callback, EarlyStopping, Evaluate, Fit, History, LambdaCallback, LearningRateScheduler,
        Logs, Model, ModelCheckpoint, ReduceLROnPlateau, SwapEMAWeights, TerminateOnNaN,
    };
    pub use crate::{CancellationToken, DType, Shape, Tensor, Threads, with_threads};
}
