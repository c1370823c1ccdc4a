//! Data that does not fit in memory, or is made as it is needed. Begin with [`Dataset`]: a chain of steps that
//! gives samples, or batches of them, pass after pass. `Model::fit_dataset` and its relatives take one; implement
//! [`Source`] to read data of your own.
//!
//! ```
//! use gradus::data::Dataset;
//! use gradus::prelude::*;
//! # fn main() -> gradus::Result<()> {
//! let (x, y) = (Tensor::zeros([100, 4])?, Tensor::zeros([100, 1])?);
//! let data = Dataset::from_tensors(&x, &y)?
//!     .shuffle(42)
//!     .map(|mut sample| {
//!         sample.x[0] = sample.x[0].affine(2.0, -1.0)?;
//!         Ok(sample)
//!     })
//!     .batch(32)
//!     .prefetch(2);
//! let sizes: Vec<usize> = data.iter().map(|batch| Ok(batch?.x[0].dims()[0])).collect::<gradus::Result<_>>()?;
//! assert_eq!(sizes, [32, 32, 32, 4]);
//! # Ok(())
//! # }
//! ```
//!
//! # Order is decided by one, work is done by many
//! Internally, a step passes on items rather than samples: what to do to get a sample. The order of items is
//! decided on one thread; only making them is spread over threads, and results are handed out in the order decided.
//! So neither order nor bytes depend on the number of workers or on their speed.
//!
//! # Threads
//! Apart from pools that users create ([`Threads`](crate::Threads)), only [`Dataset::prefetch`] starts threads, and
//! users ask for it by name: reading and augmenting should continue while the caller's pool computes a step. The
//! workers are `std` threads that live as long as one pass. Tensor operations inside them run on the worker alone,
//! never in the caller's pool, which may be waiting for this very batch.

mod dataset;
mod item;
mod pad_sequences;
mod prefetch;
mod sample;
mod sides;
mod source;
mod stage;
mod timeseries;
mod to_categorical;

pub use crate::tensor::{AsTensors, Tensors};
pub use dataset::{Cardinality, Dataset, Pass, Size};
pub use pad_sequences::{PadSequences, Side, pad_sequences};
pub use sample::Sample;
pub use source::Source;
pub use timeseries::Timeseries;
pub use to_categorical::{normalize, to_categorical};
