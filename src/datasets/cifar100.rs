//! CIFAR-100: pictures of the size and format of CIFAR-10, in a hundred classes and twenty groups of them.

use super::cifar::{self, Kind};
use super::{Split, cache};
use crate::Result;
use crate::io::Limits;
use std::path::{Path, PathBuf};

pub use cifar::Raw;

/// Which of a picture's two labels to use (Keras's `label_mode`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Labels {
    /// One of 100 classes, [`FINE`].
    #[default]
    Fine,
    /// One of 20 groups of classes, [`COARSE`].
    Coarse,
}

/// The meaning of each fine label.
pub const FINE: [&str; 100] = [
    "apple",
    "aquarium_fish",
    "baby",
    "bear",
    "beaver",
    "bed",
    "bee",
    "beetle",
    "bicycle",
    "bottle",
    "bowl",
    "boy",
    "bridge",
    "bus",
    "butterfly",
    "camel",
    "can",
    "castle",
    "caterpillar",
    "cattle",
    "chair",
    "chimpanzee",
    "clock",
    "cloud",
    "cockroach",
    "couch",
    "crab",
    "crocodile",
    "cup",
    "dinosaur",
    "dolphin",
    "elephant",
    "flatfish",
    "forest",
    "fox",
    "girl",
    "hamster",
    "house",
    "kangaroo",
    "keyboard",
    "lamp",
    "lawn_mower",
    "leopard",
    "lion",
    "lizard",
    "lobster",
    "man",
    "maple_tree",
    "motorcycle",
    "mountain",
    "mouse",
    "mushroom",
    "oak_tree",
    "orange",
    "orchid",
    "otter",
    "palm_tree",
    "pear",
    "pickup_truck",
    "pine_tree",
    "plain",
    "plate",
    "poppy",
    "porcupine",
    "possum",
    "rabbit",
    "raccoon",
    "ray",
    "road",
    "rocket",
    "rose",
    "sea",
    "seal",
    "shark",
    "shrew",
    "skunk",
    "skyscraper",
    "snail",
    "snake",
    "spider",
    "squirrel",
    "streetcar",
    "sunflower",
    "sweet_pepper",
    "table",
    "tank",
    "telephone",
    "television",
    "tiger",
    "tractor",
    "train",
    "trout",
    "tulip",
    "turtle",
    "wardrobe",
    "whale",
    "willow_tree",
    "wolf",
    "woman",
    "worm",
];

/// The meaning of each coarse label.
pub const COARSE: [&str; 20] = [
    "aquatic_mammals",
    "fish",
    "flowers",
    "food_containers",
    "fruit_and_vegetables",
    "household_electrical_devices",
    "household_furniture",
    "insects",
    "large_carnivores",
    "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes",
    "large_omnivores_and_herbivores",
    "medium_mammals",
    "non-insect_invertebrates",
    "people",
    "reptiles",
    "small_mammals",
    "trees",
    "vehicles_1",
    "vehicles_2",
];

pub(super) const KIND: Kind = Kind {
    name: "CIFAR-100",
    source: "CIFAR-100 (Krizhevsky 2009)",
    folder: "cifar100",
    archive: "cifar-100-binary.tar.gz",
    inner: "cifar-100-binary",
    train: &["train.bin"],
    test: &["test.bin"],
    records: (50_000, 10_000),
    labels: &[COARSE.len(), FINE.len()],
};

/// Returns the training set (50,000) and the test set (10,000) from [`cache_dir`]: images uint8 `[n, 32, 32, 3]`,
/// labels int64 `[n]`.
///
/// # Errors
/// See [`load_from`].
pub fn load(labels: Labels) -> Result<(Split, Split)> {
    load_from(KIND.cache_dir()?, labels)
}

/// Reads the training and the test set from a folder with `train.bin` and `test.bin`, or with the folder
/// `cifar-100-binary` that holds them, or with `cifar-100-binary.tar.gz` (which takes a second to unpack each
/// time).
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) of kind `NotFound` with all names that were looked for, and how to get the
/// files; files whose size differs from the published one; labels out of range; a damaged archive.
pub fn load_from(dir: impl AsRef<Path>, labels: Labels) -> Result<(Split, Split)> {
    let (train, test) = KIND.load(dir.as_ref(), &Limits::default())?;
    let byte = usize::from(labels == Labels::Fine);
    Ok((KIND.split(train, byte)?, KIND.split(test, byte)?))
}

/// Decodes any number of records; `what` names them in errors.
///
/// # Errors
/// There are no records, or the last is incomplete; a label is out of range; a limit is exceeded.
pub fn decode(bytes: &[u8], what: &str, limits: &Limits) -> Result<Raw> {
    KIND.decode(bytes, what, limits)
}

/// Returns the folder in which CIFAR-100 is looked for by default: like
/// [`mnist::cache_dir`](super::mnist::cache_dir), with `cifar100`.
pub fn cache_dir() -> Option<PathBuf> {
    cache::dir(KIND.folder)
}
