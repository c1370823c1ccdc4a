//! CIFAR-10: 60,000 small colour pictures of ten kinds of things, the usual next step after MNIST.

use super::cifar::{self, Kind};
use super::{Split, cache};
use crate::Result;
use crate::io::Limits;
use std::path::{Path, PathBuf};

pub use cifar::Raw;

/// The number of classes.
pub const CLASSES: usize = 10;
/// The meaning of each label.
pub const NAMES: [&str; CLASSES] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

pub(super) const KIND: Kind = Kind {
    name: "CIFAR-10",
    source: "CIFAR-10 (Krizhevsky 2009)",
    folder: "cifar10",
    archive: "cifar-10-binary.tar.gz",
    inner: "cifar-10-batches-bin",
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: &["test_batch.bin"],
    records: (10_000, 10_000),
    labels: &[CLASSES],
};

/// Returns the training set (50,000) and the test set (10,000) from [`cache_dir`]: images uint8 `[n, 32, 32, 3]`,
/// labels int64 `[n]`.
///
/// # Errors
/// See [`load_from`].
pub fn load() -> Result<(Split, Split)> {
    load_from(KIND.cache_dir()?)
}

/// Reads the training and the test set from a folder with `data_batch_1.bin` … and `test_batch.bin`, or with the
/// folder `cifar-10-batches-bin` that holds them, or with `cifar-10-binary.tar.gz` (which takes a second to unpack
/// each time).
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) of kind `NotFound` with all names that were looked for, and how to get the
/// files; files whose size differs from the published one; labels over 9; a damaged archive.
pub fn load_from(dir: impl AsRef<Path>) -> Result<(Split, Split)> {
    let (train, test) = KIND.load(dir.as_ref(), &Limits::default())?;
    Ok((KIND.split(train, 0)?, KIND.split(test, 0)?))
}

/// Decodes any number of records; `what` names them in errors.
///
/// # Errors
/// There are no records, or the last is incomplete; a label is over 9; a limit is exceeded.
pub fn decode(bytes: &[u8], what: &str, limits: &Limits) -> Result<Raw> {
    KIND.decode(bytes, what, limits)
}

/// Decodes the training and the test set from the bytes of the published `.tar.gz`.
///
/// # Errors
/// A file is missing from it or its size differs from the published one; the archive is damaged or exceeds a limit.
#[cfg(feature = "datasets")]
pub fn decode_archive(bytes: &[u8], what: &str, limits: &Limits) -> Result<(Raw, Raw)> {
    KIND.unpack_from(bytes, what, limits)
}

/// Returns the folder in which CIFAR-10 is looked for by default: like
/// [`mnist::cache_dir`](super::mnist::cache_dir), with `cifar10`.
pub fn cache_dir() -> Option<PathBuf> {
    cache::dir(KIND.folder)
}
