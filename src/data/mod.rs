//! Why it exists: data that does not fit in memory, or is made as it is needed. A [`Dataset`] is a chain of steps that
//! gives samples, or batches of them, pass after pass; `Model::fit_dataset` and its kin take one.
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
//! A step does not pass samples on but items: what to do to get one. Which items come in which order is decided
//! one after the other; only doing them is spread over threads, and results are handed out in the order that was
//! decided. So neither order nor bytes depend on the number of workers or on who is fast.
//!
//! # Threads
//! The crate starts no threads of its own accord. [`Dataset::prefetch`] is the one exception, and it is asked for by
//! name: reading and augmenting should go on while a step is computed, and the caller's pool is busy with that step. The
//! workers are `std` threads that live as long as one pass and end when it is dropped. Tensor operations inside them run
//! on the worker alone, never in the caller's pool, which may be waiting for this very batch.

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
