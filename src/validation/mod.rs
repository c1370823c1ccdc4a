//! Cross-validation, splits at random, and the search for a learning rate: what a model is worth on rows that it has not seen. Names,
//! arguments and, where nothing is shuffled, every index are scikit-learn's.
//!
//! ```
//! use gradus::prelude::*;
//! use gradus::validation::{KFold, cross_validate};
//!
//! let x = Tensor::randn([60, 3], 0)?;
//! let y = x.sum(&[1], true)?;
//! let new_model = |fold: usize| {
//!     let stack = Sequential::new().add(Input::new(3)).add(Dense::new(1)).seed(fold as u64);
//!     stack.compile(Adam::new(0.05), "mse", ["mae"])
//! };
//! let scores = cross_validate(new_model, &x, &y, &KFold::new(3), || Fit::new().epochs(20).verbose(0))?;
//! assert_eq!(scores["mae"].len(), 3);
//! println!("{:.3} ± {:.3}", scores.mean("mae")?, scores.std("mae")?);
//! # Ok::<(), gradus::Error>(())
//! ```

mod cross_validate;
mod folds;
mod labels;
mod learning_rate_finder;
mod shuffle_split;
mod train_test_split;

pub use cross_validate::{CrossValidation, cross_validate};
pub use folds::{Fold, Folds, GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit};
pub use learning_rate_finder::{LearningRateFinder, LearningRates};
pub use shuffle_split::{ShuffleSplit, StratifiedShuffleSplit};
pub(crate) use train_test_split::stratified;
pub use train_test_split::{TrainTestSplit, train_test_split};
