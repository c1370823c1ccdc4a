//! MNIST, the data set of most first programs. Finds its four files in a folder, however they were unpacked, and
//! checks that they are MNIST before anyone trains on them.

use super::idx::{self, Idx};
use super::{cache, digits};
use crate::io::Limits;
use crate::{DType, Error, Result, Tensor};
use std::path::{Path, PathBuf};

pub use super::Split;

/// Rows and columns of an image.
pub const SIDE: usize = 28;
/// The number of classes: the digits 0 to 9.
pub const CLASSES: usize = 10;

/// Images and labels as in the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The pixels, row by row, image after image: `n * 28 * 28` bytes, 0 for paper and 255 for ink.
    pub images: Vec<u8>,
    /// The digit in each image, 0 to 9: `n` bytes.
    pub labels: Vec<u8>,
    /// The number of images.
    pub n: usize,
}

/// The value of [`Split::source`] for the real data.
pub const MNIST: &str = "MNIST (LeCun, Cortes and Burges; CC BY-SA 3.0)";
/// The value of [`Split::source`] for the built-in digits.
pub const BUILT_IN: &str =
    "built-in digits, generated (the crate's own licence: MIT OR Apache-2.0); not MNIST";

pub(super) fn split(raw: Raw, source: &'static str) -> Result<Split> {
    let images = Tensor::from_slice(&raw.images, [raw.n, SIDE, SIDE])?;
    let labels = Tensor::from_slice(&raw.labels, [raw.n])?.cast(DType::I64)?;
    Ok(Split { images, labels, source })
}

/// Returns the training and the test set: MNIST from [`cache_dir`] if it is there, else as many built-in digits.
/// [`Split::source`] says which.
///
/// # Errors
/// There are files in the folder, but they are not MNIST's; or there is not enough memory.
pub fn load() -> Result<(Split, Split)> {
    let holds_files = |dir: &PathBuf| std::fs::read_dir(dir).is_ok_and(|mut files| files.next().is_some());
    match cache_dir().filter(holds_files) {
        Some(dir) => load_from(dir),
        None => built_in(60_000, 10_000, 0),
    }
}

/// Reads the training and the test set from a folder with the four files, plain or gzip.
///
/// # Errors
/// See [`load_folder`].
pub fn load_from(dir: impl AsRef<Path>) -> Result<(Split, Split)> {
    let (train, test) = load_folder(dir, &Limits::default())?;
    Ok((split(train, MNIST)?, split(test, MNIST)?))
}

/// Creates digits in MNIST's format: `train` and `test` of them, with no image in both.
///
/// # Errors
/// There is not enough memory.
pub fn built_in(train: usize, test: usize, seed: u64) -> Result<(Split, Split)> {
    let (mut images, mut labels) = digits::generate(train + test, seed)?;
    let (test_images, test_labels) = (images.split_off(train * SIDE * SIDE), labels.split_off(train));
    let train = Raw { images, labels, n: train };
    let test = Raw { images: test_images, labels: test_labels, n: test };
    Ok((split(train, BUILT_IN)?, split(test, BUILT_IN)?))
}

/// Reads the training and the test set from a folder with the four MNIST files: each as `train-images-idx3-ubyte`
/// or `train-images.idx3-ubyte` (and so on), plain or with `.gz` added.
///
/// # Errors
/// [`Error::Io`] of kind `NotFound` with the names that were looked for if a file is missing; otherwise an error
/// that names the file and says what is wrong with it: see [`idx::read`], and also images that are not 28x28,
/// labels over 9, and numbers of images and labels that differ.
pub fn load_folder(dir: impl AsRef<Path>, limits: &Limits) -> Result<(Raw, Raw)> {
    let how = "get them with the feature `download` and Download::mnist().fetch_to_cache()";
    load_files("MNIST", how, dir.as_ref(), limits)
}

/// [`load_folder`] for every data set with MNIST's files; `how` says where to get them.
pub(super) fn load_files(set: &str, how: &str, dir: &Path, limits: &Limits) -> Result<(Raw, Raw)> {
    let find = |stem, kind| find((set, how), dir, stem, kind);
    // Look for all four before reading any.
    let train = (find("train-images", "idx3")?, find("train-labels", "idx1")?);
    let test = (find("t10k-images", "idx3")?, find("t10k-labels", "idx1")?);
    Ok((load_pair(set, &train.0, &train.1, limits)?, load_pair(set, &test.0, &test.1, limits)?))
}

/// Returns the folder in which MNIST is looked for by default: `mnist` in `$GRADUS_DATA`, else `gradus/mnist` in
/// the user's cache (`$XDG_CACHE_HOME` or `~/.cache`; on Windows `%LOCALAPPDATA%`). It may not exist. `None` if the
/// environment names no such place.
pub fn cache_dir() -> Option<PathBuf> {
    cache::dir("mnist")
}

/// Returns the path of one of the files, under whichever of its names exists.
fn find((set, how): (&str, &str), dir: &Path, stem: &str, kind: &str) -> Result<PathBuf> {
    let names = [
        format!("{stem}-{kind}-ubyte"),
        format!("{stem}-{kind}-ubyte.gz"),
        format!("{stem}.{kind}-ubyte"),
        format!("{stem}.{kind}-ubyte.gz"),
    ];
    if let Some(path) = names.iter().map(|name| dir.join(name)).find(|path| path.is_file()) {
        return Ok(path);
    }
    let looked = names.join(", ");
    Err(cache::not_found(
        dir,
        format!("no file of {set}'s {stem} in this folder; looked for {looked}: {how}"),
    ))
}

/// Reads images and labels that belong together.
fn load_pair(set: &str, images: &Path, labels: &Path, limits: &Limits) -> Result<Raw> {
    pair(set, (idx::read(images, limits)?, images), (idx::read(labels, limits)?, labels))
}

fn pair(set: &str, (images, images_path): (Idx, &Path), (labels, labels_path): (Idx, &Path)) -> Result<Raw> {
    let wrong = |path: &Path, why: String| Err(Error::format(path.display().to_string(), why));
    let &[n, SIDE, SIDE] = images.shape.dims() else {
        let sizes = images.shape.dims();
        return wrong(images_path, format!("{set} images have sizes [n, {SIDE}, {SIDE}], found {sizes:?}"));
    };
    let &[count] = labels.shape.dims() else {
        return wrong(labels_path, format!("{set} labels have sizes [n], found {:?}", labels.shape.dims()));
    };
    if count != n {
        let why = format!("{count} labels, but {n} images in {}", images_path.display());
        return wrong(labels_path, why);
    }
    if let Some((i, label)) =
        labels.data.iter().enumerate().find(|&(_, &label)| usize::from(label) >= CLASSES)
    {
        return wrong(labels_path, format!("label {label} at position {i}: expected 0 to {}", CLASSES - 1));
    }
    Ok(Raw { images: images.data, labels: labels.data, n })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder for one test, removed when it ends.
    struct Folder(PathBuf);
    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("gradus-mnist-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
        fn put(&self, name: &str, sizes: &[u32], fill: u8) {
            let mut bytes = vec![0, 0, 8, sizes.len() as u8];
            bytes.extend(sizes.iter().flat_map(|s| s.to_be_bytes()));
            bytes.resize(bytes.len() + sizes.iter().product::<u32>() as usize, fill);
            std::fs::write(self.0.join(name), bytes).unwrap();
        }
        fn load(&self) -> Result<(Raw, Raw)> {
            load_folder(&self.0, &Limits::default())
        }
        fn why(&self) -> String {
            self.load().unwrap_err().to_string()
        }
    }
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn complete(name: &str) -> Folder {
        let folder = Folder::new(name);
        folder.put("train-images-idx3-ubyte", &[3, 28, 28], 200);
        folder.put("train-labels.idx1-ubyte", &[3], 9);
        folder.put("t10k-images.idx3-ubyte.gz", &[2, 28, 28], 100); // the name says gzip, the bytes decide
        folder.put("t10k-labels-idx1-ubyte", &[2], 0);
        folder
    }

    #[test]
    fn both_spellings_are_found() {
        let folder = complete("spellings");
        let (train, test) = folder.load().unwrap();
        assert_eq!(train, Raw { images: vec![200; 3 * 784], labels: vec![9; 3], n: 3 });
        assert_eq!(test, Raw { images: vec![100; 2 * 784], labels: vec![0; 2], n: 2 });
    }

    #[test]
    fn a_missing_file_lists_its_names() {
        let folder = complete("missing");
        std::fs::remove_file(folder.0.join("t10k-labels-idx1-ubyte")).unwrap();
        // Left behind by programs that unpack each file into a folder of its name.
        std::fs::create_dir(folder.0.join("t10k-labels-idx1-ubyte")).unwrap();
        let e = folder.load().unwrap_err();
        assert!(matches!(&e, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound));
        let text = e.to_string();
        let names = "t10k-labels-idx1-ubyte, t10k-labels-idx1-ubyte.gz, t10k-labels.idx1-ubyte, \
                     t10k-labels.idx1-ubyte.gz";
        assert!(text.contains(names) && text.contains("gradus-mnist"), "{text}");
    }

    #[test]
    fn what_is_not_mnist_names_the_file() {
        let folder = complete("wrong");
        folder.put("train-images-idx3-ubyte", &[3, 28, 27], 0);
        let text = folder.why();
        assert!(text.contains("train-images-idx3-ubyte") && text.contains("found [3, 28, 27]"), "{text}");
        folder.put("train-images-idx3-ubyte", &[4, 28, 28], 0);
        let text = folder.why();
        assert!(text.contains("train-labels.idx1-ubyte: 3 labels, but 4 images"), "{text}");
        folder.put("train-images-idx3-ubyte", &[3, 28, 28], 0);
        folder.put("train-labels.idx1-ubyte", &[3, 1], 0);
        assert!(folder.why().contains("sizes [n], found [3, 1]"), "{}", folder.why());
        folder.put("train-labels.idx1-ubyte", &[3], 10);
        assert!(folder.why().contains("label 10 at position 0: expected 0 to 9"), "{}", folder.why());
    }
}
