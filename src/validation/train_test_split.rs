//! One split at random, of tensors that belong together; and how rows are shared out by class, for every split that does so.

use super::folds::{Fold, count, rows};
use super::labels::{counts, encode, labels};
use crate::data::Size;
use crate::random::{Purpose, Stream};
use crate::tensor::{AsTensors, Tensor};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// The settings of [`train_test_split`], with scikit-learn's defaults: a quarter of the rows is held back, at random.
///
/// ```
/// use gradus::Tensor;
/// use gradus::validation::TrainTestSplit;
///
/// let (x, y) = (Tensor::arange(10)?, Tensor::arange(10)?);
/// let parts = TrainTestSplit::new().shuffle(false).test_size(3).split(&[&x, &y])?;
/// assert_eq!(parts[0].1.to_vec::<i64>()?, [7, 8, 9]);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct TrainTestSplit {
    sizes: Sizes,
    seed: u64,
    in_order: bool,
    stratify: Option<Tensor>,
}

impl TrainTestSplit {
    /// A quarter of the rows to test with.
    pub fn new() -> TrainTestSplit {
        TrainTestSplit::default()
    }

    /// What is held back: a number of rows, `20`, or a share, `0.2`, rounded up. By default what `train_size` leaves, or a quarter.
    pub fn test_size(mut self, size: impl Into<Size>) -> TrainTestSplit {
        self.sizes.test = Some(size.into());
        self
    }

    /// What is trained on: a number of rows or a share, rounded down; by default what `test_size` leaves.
    pub fn train_size(mut self, size: impl Into<Size>) -> TrainTestSplit {
        self.sizes.train = Some(size.into());
        self
    }

    /// Another random order (scikit-learn's `random_state`); 0 by default.
    pub fn seed(mut self, seed: u64) -> TrainTestSplit {
        self.seed = seed;
        self
    }

    /// Whether rows are shuffled before they are split; yes by default. Otherwise the first are trained on and the next held back.
    pub fn shuffle(mut self, shuffle: bool) -> TrainTestSplit {
        self.in_order = !shuffle;
        self
    }

    /// Gives both sides their share of every class of these labels, `[rows]`, `[rows, 1]` or one-hot.
    pub fn stratify(mut self, y: &Tensor) -> TrainTestSplit {
        self.stratify = Some(y.clone());
        self
    }

    /// The rows of both sides.
    ///
    /// # Errors
    /// A size is out of range, rows are to be stratified in their order, or as [`StratifiedShuffleSplit`](super::StratifiedShuffleSplit).
    pub fn rows(&self, rows: usize) -> Result<Fold> {
        let sizes = self.sizes.of(rows, 0.25)?;
        match (&self.stratify, self.in_order) {
            (Some(_), true) => Err(Error::argument(
                "stratify",
                "no value beside shuffle(false), which keeps the order",
                "a value",
            )),
            (None, true) => {
                let (train, test) = sizes;
                Ok(Fold { train: (0..train).collect(), test: (train..train + test).collect() })
            }
            (Some(y), false) => split_once(rows, sizes, self.seed, 0, Some(&labels("stratify", y, rows)?)),
            (None, false) => split_once(rows, sizes, self.seed, 0, None),
        }
    }

    /// Both sides of each tensor: `(train, test)`.
    ///
    /// # Errors
    /// As [`TrainTestSplit::rows`], there is no tensor, or their rows differ in number.
    pub fn split(&self, tensors: &(impl AsTensors + ?Sized)) -> Result<Vec<(Tensor, Tensor)>> {
        let tensors = tensors.as_tensors();
        let first = tensors.first().ok_or_else(|| Error::argument("tensors", "at least one", "none"))?;
        let n = count(first)?;
        if let Some(other) = tensors.iter().find(|t| t.dims().first() != Some(&n)) {
            return Err(Error::shape("tensors", format!("{n} rows, as many as the first"), *other.shape()));
        }
        let fold = self.rows(n)?;
        tensors.iter().map(|t| Ok((rows(t, &fold.train)?, rows(t, &fold.test)?))).collect()
    }
}

/// Two sides at random: `((x_train, y_train), (x_test, y_test))`. scikit-learn's `train_test_split`, for one `x` and one `y`;
/// [`TrainTestSplit`] has its settings and takes any number of tensors.
///
/// ```
/// use gradus::Tensor;
/// use gradus::validation::{TrainTestSplit, train_test_split};
///
/// let x = Tensor::rand([100, 3], 0)?;
/// let y = Tensor::from_slice(&[0i64, 1, 1, 1, 1], [5])?.tile(&[20])?;
/// let settings = TrainTestSplit::new().test_size(0.2).stratify(&y);
/// let ((x_train, _), (x_test, y_test)) = train_test_split(&x, &y, &settings)?;
/// assert_eq!((x_train.dims()[0], x_test.dims()[0]), (80, 20));
/// assert_eq!(y_test.to_vec::<i64>()?.iter().sum::<i64>(), 16);
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// As [`TrainTestSplit::split`].
pub fn train_test_split(
    x: &Tensor,
    y: &Tensor,
    settings: &TrainTestSplit,
) -> Result<((Tensor, Tensor), (Tensor, Tensor))> {
    let mut parts = settings.split(&[x, y])?.into_iter();
    match (parts.next(), parts.next()) {
        (Some((x_train, x_test)), Some((y_train, y_test))) => Ok(((x_train, y_train), (x_test, y_test))),
        _ => Err(Error::argument("tensors", "x and y", "fewer")),
    }
}

/// The sizes of both sides, as a user gives them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub(super) train: Option<Size>,
    pub(super) test: Option<Size>,
}

impl Sizes {
    /// Rows of both sides, `(train, test)`, of `n`; `default` is the share that is held back if nothing is said.
    pub(super) fn of(self, n: usize, default: f64) -> Result<(usize, usize)> {
        let check = |name: &'static str, size: Option<Size>| match size {
            None | Some(Size::Rest) => Ok(None),
            Some(Size::Count(0)) => {
                Err(Error::argument(name, format!("1 to {} of {n} rows", n.saturating_sub(1)), 0))
            }
            Some(Size::Count(k)) if k >= n => {
                Err(Error::argument(name, format!("1 to {} of {n} rows", n.saturating_sub(1)), k))
            }
            Some(Size::Share(s)) if !(s > 0.0 && s < 1.0) => Err(Error::argument(
                name,
                "a share between 0 and 1 such as 0.25, or a whole number of rows",
                s,
            )),
            size => Ok(size),
        };
        let (mut test, train) = (check("test_size", self.test)?, check("train_size", self.train)?);
        if test.is_none() && train.is_none() {
            test = Some(Size::Share(default));
        }
        if let (Some(Size::Share(a)), Some(Size::Share(b))) = (test, train)
            && a + b > 1.0
        {
            return Err(Error::argument("train_size", format!("at most 1 together with test_size {a}"), b));
        }
        let rows = |size: Size, round: fn(f64) -> f64| match size {
            Size::Share(s) => round(s * n as f64) as usize,
            Size::Count(k) => k,
            Size::Rest => 0,
        };
        let (test, train) = (test.map(|s| rows(s, libm::ceil)), train.map(|s| rows(s, libm::floor)));
        let (train, test) = match (train, test) {
            (Some(train), Some(test)) => (train, test),
            (Some(train), None) => (train, n - train),
            (None, test) => (n.saturating_sub(test.unwrap_or(0)), test.unwrap_or(0)),
        };
        if train + test > n {
            let expected = format!("at most {n} rows together with a test_size of {test}");
            return Err(Error::argument("train_size", expected, train));
        }
        for (name, size) in [("train_size", train), ("test_size", test)] {
            if size == 0 {
                return Err(Error::argument(name, format!("at least one of {n} rows"), 0));
            }
        }
        Ok((train, test))
    }
}

/// Split number `number` of a seed, in random order; with classes, each side has its share of every one.
pub(super) fn split_once(
    n: usize,
    (train, test): (usize, usize),
    seed: u64,
    number: u64,
    classes: Option<&[i64]>,
) -> Result<Fold> {
    let order = Stream::new(seed, Purpose::Shuffle, number).permutation(n)?;
    let as_rows = |rows: Vec<i64>| rows.into_iter().map(|row| row as usize).collect();
    let Some(classes) = classes else {
        let (held, rest) = (&order[..test], &order[test..test + train]);
        return Ok(Fold { train: as_rows(rest.to_vec()), test: as_rows(held.to_vec()) });
    };
    let (all, places) = encode(classes);
    if let Some((class, _)) = counts(&places, all.len()).iter().enumerate().find(|(_, n)| **n < 2) {
        return Err(Error::argument(
            "stratify",
            "at least 2 rows of each class",
            format!("1 of class {}", all[class]),
        ));
    }
    for (name, size) in [("train_size", train), ("test_size", test)] {
        if size < all.len() {
            return Err(Error::argument(
                name,
                format!("at least {} rows, one for each class", all.len()),
                size,
            ));
        }
    }
    let kept = stratified(classes, &order, train);
    let mut left = vec![true; n];
    kept.iter().for_each(|&row| left[row as usize] = false);
    let rest: Vec<i64> = order.into_iter().filter(|&row| left[row as usize]).collect();
    // What is left has each class's share too: of all that is left, or of the part of it that is wanted.
    let held = if rest.len() == test { rest } else { stratified(classes, &rest, test) };
    Ok(Fold { train: as_rows(kept), test: as_rows(held) })
}

/// `count` of the rows in this order, of each label as large a share as of all in `order`.
pub(crate) fn stratified(labels: &[i64], order: &[i64], count: usize) -> Vec<i64> {
    let mut of: BTreeMap<i64, usize> = BTreeMap::new();
    order.iter().for_each(|row| *of.entry(labels[*row as usize]).or_default() += 1);
    // As many whole rows as fit, then one more for those that lose most by it (largest remainders); equal ones by label.
    let exact = |n: usize| n as u128 * count as u128;
    let all = order.len() as u128;
    let mut room: BTreeMap<i64, u128> = of.iter().map(|(label, n)| (*label, exact(*n) / all)).collect();
    let mut by_loss: Vec<(u128, i64)> = of.iter().map(|(label, n)| (exact(*n) % all, *label)).collect();
    by_loss.sort_by_key(|(loss, label)| (std::cmp::Reverse(*loss), *label));
    let missing = count - room.values().sum::<u128>() as usize;
    for (_, label) in by_loss.into_iter().take(missing) {
        *room.entry(label).or_default() += 1;
    }
    let mut fits = |row: &&i64| {
        let left = room.entry(labels[**row as usize]).or_default();
        let fits = *left > 0;
        *left -= u128::from(fits);
        fits
    };
    order.iter().filter(|row| fits(row)).copied().collect()
}
