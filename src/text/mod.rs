//! Text to numbers and back: characters, words, byte pairs (GPT-2) and pieces of words (BERT), trained here or read from the files of
//! Hugging Face's `tokenizers`, whose ids these are.
//!
//! ```
//! use gradus::text::Trainer;
//!
//! let texts = ["low lower lowest", "new newer newest"];
//! let tokenizer = Trainer::new().vocab_size(265).byte_pair(&texts)?;
//! let ids = tokenizer.encode("newest low")?.ids;
//! assert_eq!(tokenizer.decode(&ids)?, "newest low");
//! # Ok::<(), gradus::Error>(())
//! ```
//!
//! A text goes through a normalizer (`normalizer.rs`), is cut into words by a pre-tokenizer (`pre_tokenizer.rs`), of which a model
//! (`bpe.rs`, `word_piece.rs`, `word_level.rs`) makes tokens; a template puts special tokens around them. Decoders (`decoder.rs`) go the
//! way back.

mod added;
mod bpe;
mod decoder;
mod encoding;
mod model;
mod normalizer;
mod pattern;
mod pre_tokenizer;
mod read;
mod template;
mod tokenizer;
mod train;
mod vocabulary;
mod word_level;
mod word_piece;

pub use encoding::{Encoding, Padded, Padding, Truncation};
pub use tokenizer::Tokenizer;
pub use train::Trainer;
