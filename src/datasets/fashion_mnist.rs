//! Fashion-MNIST: pictures of clothes, with the files, sizes and numbers of MNIST, but harder to learn.

use super::{Split, cache, mnist};
use crate::Result;
use crate::io::Limits;
use std::path::{Path, PathBuf};

/// The number of classes.
pub const CLASSES: usize = 10;
/// The meaning of each label.
pub const NAMES: [&str; CLASSES] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];
/// The value of [`Split::source`].
pub const SOURCE: &str = "Fashion-MNIST (Zalando Research; MIT)";

/// Returns the training set (60,000) and the test set (10,000) from [`cache_dir`]: images uint8 `[n, 28, 28]`,
/// labels int64 `[n]`.
///
/// # Errors
/// Those of [`load_from`]. There is no substitute for missing files: the message says where they are looked for and
/// how to get them.
pub fn load() -> Result<(Split, Split)> {
    load_from(cache::dir_of("Fashion-MNIST", "fashion_mnist")?)
}

/// Reads the training and the test set from a folder with the four files, named like those of MNIST, plain or gzip.
///
/// # Errors
/// Those of [`mnist::load_folder`].
pub fn load_from(dir: impl AsRef<Path>) -> Result<(Split, Split)> {
    let how = "get them from https://github.com/zalandoresearch/fashion-mnist, or with the feature `download` and \
               Download::fashion_mnist().fetch_to_cache()";
    let (train, test) = mnist::load_files("Fashion-MNIST", how, dir.as_ref(), &Limits::default())?;
    Ok((mnist::split(train, SOURCE)?, mnist::split(test, SOURCE)?))
}

/// Returns the folder in which Fashion-MNIST is looked for by default: like [`mnist::cache_dir`], with
/// `fashion_mnist`.
pub fn cache_dir() -> Option<PathBuf> {
    cache::dir("fashion_mnist")
}
