//! Sequences that a network goes on writing: text, music, whatever has tokens. The network gives for each sequence of ids what may come
//! next; from that the next token is chosen, and so on.
//!
//! ```
//! use gradus::generation::Generate;
//! use gradus::prelude::*;
//!
//! // Learns to count to 5, again and again.
//! let x = Tensor::from_slice(&(0..60).map(|i| i % 6).collect::<Vec<i64>>(), [1, 60])?;
//! let y = Tensor::from_slice(&(1..61).map(|i| i % 6).collect::<Vec<i64>>(), [1, 60])?;
//! let mut model = Sequential::new()
//!     .add(Input::with_unknown([None]).dtype(DType::I64))
//!     .add(Embedding::new(6, 8))
//!     .add(GRU::new(16).return_sequences(true).stateful(true)) // carries its state from token to token
//!     .add(Dense::new(6))
//!     .compile(Adam::new(0.05), SparseCategoricalCrossentropy::new().from_logits(true), ())?;
//! model.fit(&x, &y, Fit::new().epochs(60).verbose(0))?;
//!
//! assert_eq!(model.generate(&[[3, 4]], &Generate::new(5))?, [[3, 4, 5, 0, 1, 2, 3]]);
//! # Ok::<(), gradus::Error>(())
//! ```
//!
//! # With a cache and without
//! A network whose layers carry state (attention with `.cache(n)`, recurrent layers with `.stateful(true)`) is given each token once. Any
//! other is given the whole sequence again for each token, and so is one in which some layer that looks back carries none: the first step
//! is checked against a pass over all.

mod beams;
mod generate;
mod runner;
mod settings;

pub use generate::Token;
pub use settings::Generate;
