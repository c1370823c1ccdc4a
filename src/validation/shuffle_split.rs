//! Splits at random, again and again: unlike folds they may hold the same row back several times.

use super::folds::{Fold, Folds, count};
use super::labels::labels;
use super::train_test_split::{Sizes, split_once};
use crate::data::Size;
use crate::tensor::Tensor;
use crate::{Error, Result};

macro_rules! shuffle_split {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        #[must_use]
        pub struct $name {
            n_splits: usize,
            sizes: Sizes,
            seed: u64,
        }

        impl Default for $name {
            /// Ten splits.
            fn default() -> $name {
                $name::new(10)
            }
        }

        impl $name {
            /// So many splits, each of which holds a tenth of the rows back.
            pub fn new(n_splits: usize) -> $name {
                $name { n_splits, sizes: Sizes::default(), seed: 0 }
            }

            /// What is held back: a number of rows, `20`, or a share, `0.2`, rounded up. By default what `train_size` leaves, or a tenth.
            pub fn test_size(mut self, size: impl Into<Size>) -> $name {
                self.sizes.test = Some(size.into());
                self
            }

            /// What is trained on: a number of rows or a share, rounded down; by default what `test_size` leaves.
            pub fn train_size(mut self, size: impl Into<Size>) -> $name {
                self.sizes.train = Some(size.into());
                self
            }

            /// Other splits; 0 by default.
            pub fn seed(mut self, seed: u64) -> $name {
                self.seed = seed;
                self
            }

            fn splits(&self, rows: usize, classes: Option<&[i64]>) -> Result<Vec<Fold>> {
                if self.n_splits == 0 {
                    return Err(Error::argument("n_splits", "1 split or more", 0));
                }
                let sizes = self.sizes.of(rows, 0.1)?;
                (0..self.n_splits as u64).map(|i| split_once(rows, sizes, self.seed, i, classes)).collect()
            }
        }
    };
}

shuffle_split! {
    /// Splits of all rows at random; rows of a split are in random order.
    ///
    /// scikit-learn's `ShuffleSplit(n_splits=10, test_size=None, train_size=None)`, with another random order.
    ///
    /// ```
    /// use gradus::Tensor;
    /// use gradus::validation::ShuffleSplit;
    ///
    /// let splits = ShuffleSplit::new(3).test_size(0.25).seed(1).split(&Tensor::arange(10)?)?;
    /// assert!(splits.iter().all(|fold| (fold.train.len(), fold.test.len()) == (7, 3)));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ShuffleSplit
}

shuffle_split! {
    /// [`ShuffleSplit`] in which both sides have their share of every class, as nearly as whole rows allow.
    ///
    /// scikit-learn's `StratifiedShuffleSplit`, with another random order; what rows are left over goes to the classes that lose most by
    /// rounding, equal ones by label, where scikit-learn draws lots.
    StratifiedShuffleSplit
}

impl ShuffleSplit {
    /// The splits of the rows of `x`.
    ///
    /// # Errors
    /// A size is out of range, or leaves a side empty.
    pub fn split(&self, x: &Tensor) -> Result<Vec<Fold>> {
        self.splits(count(x)?, None)
    }
}

impl Folds for ShuffleSplit {
    fn folds(&self, rows: usize, _: &Tensor) -> Result<Vec<Fold>> {
        self.splits(rows, None)
    }
}

impl StratifiedShuffleSplit {
    /// The splits of rows with these labels, `[rows]`, `[rows, 1]` or one-hot.
    ///
    /// # Errors
    /// A size is out of range or holds fewer rows than there are classes, or a class has one row alone.
    pub fn split(&self, y: &Tensor) -> Result<Vec<Fold>> {
        self.folds(count(y)?, y)
    }
}

impl Folds for StratifiedShuffleSplit {
    fn folds(&self, rows: usize, y: &Tensor) -> Result<Vec<Fold>> {
        self.splits(rows, Some(&labels("y", y, rows)?))
    }
}
