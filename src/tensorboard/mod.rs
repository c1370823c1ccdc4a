//! Figures, weights and the graph of operations for TensorBoard, in files that its own reader opens: [`TensorBoard`] writes them during
//! training, [`EventFile`] is for scalars and histograms of a loop of one's own.
//!
//! The files are records of protocol-buffer messages. The few messages that are needed are written by hand (`proto`): a crate for all
//! of TensorFlow's would weigh more than the training loop.

mod callback;
mod file;
mod graph;
mod summary;

pub use callback::TensorBoard;
pub use file::EventFile;
