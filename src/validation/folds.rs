//! Folds: which rows are trained on and which are held back, again and again. Without shuffling the indices are those of scikit-learn.

use super::labels::{counts, encode, labels};
use crate::random::{Purpose, Stream};
use crate::tensor::Tensor;
use crate::{Error, Result};

/// Two disjoint sets of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    /// The rows to train on.
    pub train: Vec<usize>,
    /// The rows that are held back.
    pub test: Vec<usize>,
}

impl Fold {
    /// The rows of `x` that are trained on.
    ///
    /// # Errors
    /// `x` has fewer rows than were split.
    pub fn train_rows(&self, x: &Tensor) -> Result<Tensor> {
        rows(x, &self.train)
    }

    /// The rows of `x` that are held back.
    ///
    /// # Errors
    /// `x` has fewer rows than were split.
    pub fn test_rows(&self, x: &Tensor) -> Result<Tensor> {
        rows(x, &self.test)
    }

    /// From the side of each row: held back where `test` says so.
    fn of(rows: usize, test: impl Fn(usize) -> bool) -> Fold {
        let (test, train) = (0..rows).partition(|&row| test(row));
        Fold { train, test }
    }
}

/// These rows of a tensor, in this order.
pub(super) fn rows(x: &Tensor, rows: &[usize]) -> Result<Tensor> {
    let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
    x.gather(&Tensor::from_slice(&rows, [rows.len()])?, 0)
}

/// How many rows a tensor has.
pub(super) fn count(x: &Tensor) -> Result<usize> {
    x.dims()
        .first()
        .copied()
        .ok_or_else(|| Error::shape("x", "data with one row for each sample", *x.shape()))
}

/// What [`cross_validate`](super::cross_validate) goes through: a way to split, or a list of folds, such as that of [`GroupKFold::split`].
pub trait Folds {
    /// The folds of `rows` rows whose targets are `y`.
    ///
    /// # Errors
    /// There are too few rows, or `y` is not what it should be.
    fn folds(&self, rows: usize, y: &Tensor) -> Result<Vec<Fold>>;
}

impl Folds for [Fold] {
    fn folds(&self, rows: usize, _: &Tensor) -> Result<Vec<Fold>> {
        for (i, fold) in self.iter().enumerate() {
            if let Some(row) = fold.train.iter().chain(&fold.test).find(|&&row| row >= rows) {
                return Err(Error::argument(
                    "folds",
                    format!("rows below {rows}"),
                    format!("{row} in fold {i}"),
                ));
            }
        }
        Ok(self.to_vec())
    }
}
impl Folds for Vec<Fold> {
    fn folds(&self, rows: usize, y: &Tensor) -> Result<Vec<Fold>> {
        self[..].folds(rows, y)
    }
}
impl<const N: usize> Folds for [Fold; N] {
    fn folds(&self, rows: usize, y: &Tensor) -> Result<Vec<Fold>> {
        self[..].folds(rows, y)
    }
}

/// At least two folds, and no more than there are rows.
fn check_splits(n_splits: usize, rows: usize) -> Result<()> {
    match n_splits {
        0 | 1 => Err(Error::argument(
            "n_splits",
            "2 folds or more (train_test_split holds rows back once)",
            n_splits,
        )),
        n if n > rows => Err(Error::argument("n_splits", format!("at most {rows}, the number of rows"), n)),
        _ => Ok(()),
    }
}

/// The order of a shuffled split.
fn shuffled(seed: u64, n: usize) -> Result<Vec<usize>> {
    let order = Stream::new(seed, Purpose::Shuffle, 0).permutation(n)?;
    Ok(order.into_iter().map(|row| row as usize).collect())
}

/// `n_splits` folds of consecutive rows; each row is held back once. The first `rows % n_splits` folds have one row more.
///
/// scikit-learn's `KFold(n_splits=5, shuffle=False)`.
///
/// ```
/// use gradus::Tensor;
/// use gradus::validation::KFold;
///
/// let folds = KFold::new(3).split(&Tensor::arange(7)?)?;
/// assert_eq!(folds[0].test, [0, 1, 2]);
/// assert_eq!((&folds[2].train[..], &folds[2].test[..]), (&[0, 1, 2, 3, 4][..], &[5, 6][..]));
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct KFold {
    n_splits: usize,
    shuffle: Option<u64>,
}

impl Default for KFold {
    /// Five folds.
    fn default() -> KFold {
        KFold::new(5)
    }
}

impl KFold {
    /// So many folds, of rows in their order.
    pub fn new(n_splits: usize) -> KFold {
        KFold { n_splits, shuffle: None }
    }

    /// Folds of rows at random, the same for the same seed. Inside of a fold rows are in their order.
    pub fn shuffle(mut self, seed: u64) -> KFold {
        self.shuffle = Some(seed);
        self
    }

    /// The folds of the rows of `x`.
    ///
    /// # Errors
    /// `n_splits` is less than 2, or more than there are rows.
    pub fn split(&self, x: &Tensor) -> Result<Vec<Fold>> {
        self.of_rows(count(x)?)
    }

    fn of_rows(&self, rows: usize) -> Result<Vec<Fold>> {
        check_splits(self.n_splits, rows)?;
        let order = match self.shuffle {
            Some(seed) => shuffled(seed, rows)?,
            None => (0..rows).collect(),
        };
        let (size, longer) = (rows / self.n_splits, rows % self.n_splits);
        let mut fold_of = vec![0; rows];
        let mut at = 0;
        for fold in 0..self.n_splits {
            let next = at + size + usize::from(fold < longer);
            order[at..next].iter().for_each(|&row| fold_of[row] = fold);
            at = next;
        }
        Ok((0..self.n_splits).map(|fold| Fold::of(rows, |row| fold_of[row] == fold)).collect())
    }
}

impl Folds for KFold {
    fn folds(&self, rows: usize, _: &Tensor) -> Result<Vec<Fold>> {
        self.of_rows(rows)
    }
}

/// [`KFold`] in which each fold has its share of every class.
///
/// scikit-learn's `StratifiedKFold(n_splits=5, shuffle=False)`; but a class with fewer members than folds is an error, where
/// scikit-learn warns and leaves folds without it.
///
/// ```
/// use gradus::Tensor;
/// use gradus::validation::StratifiedKFold;
///
/// let y = Tensor::from_slice(&[0i64, 0, 0, 0, 1, 1], [6])?;
/// let folds = StratifiedKFold::new(2).split(&y)?;
/// assert_eq!(folds[0].test, [0, 1, 4]);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct StratifiedKFold {
    n_splits: usize,
    shuffle: Option<u64>,
}

impl Default for StratifiedKFold {
    /// Five folds.
    fn default() -> StratifiedKFold {
        StratifiedKFold::new(5)
    }
}

impl StratifiedKFold {
    /// So many folds.
    pub fn new(n_splits: usize) -> StratifiedKFold {
        StratifiedKFold { n_splits, shuffle: None }
    }

    /// Which rows of a class are in which fold is decided at random, in the same way for the same seed.
    pub fn shuffle(mut self, seed: u64) -> StratifiedKFold {
        self.shuffle = Some(seed);
        self
    }

    /// The folds of rows with these labels, `[rows]`, `[rows, 1]` or one-hot.
    ///
    /// # Errors
    /// `n_splits` is less than 2 or more than the members of some class, or `y` has no labels.
    pub fn split(&self, y: &Tensor) -> Result<Vec<Fold>> {
        self.folds(count(y)?, y)
    }
}

impl Folds for StratifiedKFold {
    fn folds(&self, rows: usize, y: &Tensor) -> Result<Vec<Fold>> {
        let (classes, places) = encode(&labels("y", y, rows)?);
        check_splits(self.n_splits, rows)?;
        // Classes are numbered by their first row, and rows dealt out in the order of their classes' numbers.
        let mut number: Vec<Option<usize>> = vec![None; classes.len()];
        let mut named = Vec::new();
        for &place in &places {
            if number[place].is_none() {
                number[place] = Some(named.len());
                named.push(classes[place]);
            }
        }
        let class_of: Vec<usize> = places.iter().map(|&place| number[place].unwrap_or(0)).collect();
        let sizes = counts(&class_of, named.len());
        if let Some((class, size)) = sizes.iter().enumerate().find(|(_, size)| **size < self.n_splits) {
            let expected = format!("at most {size}, the number of rows of class {}", named[class]);
            return Err(Error::argument("n_splits", expected, self.n_splits));
        }
        let mut fold_of = vec![0; rows];
        let mut before = 0;
        for (class, &size) in sizes.iter().enumerate() {
            // Round robin over the sorted labels says how many of the class each fold has.
            let mut folds: Vec<usize> = (before..before + size).map(|i| i % self.n_splits).collect();
            folds.sort_unstable();
            if let Some(seed) = self.shuffle {
                let order = Stream::new(seed, Purpose::Shuffle, class as u64).permutation(size)?;
                folds = order.iter().map(|&i| folds[i as usize]).collect();
            }
            let members = (0..rows).filter(|&row| class_of[row] == class);
            members.zip(folds).for_each(|(row, fold)| fold_of[row] = fold);
            before += size;
        }
        Ok((0..self.n_splits).map(|fold| Fold::of(rows, |row| fold_of[row] == fold)).collect())
    }
}

/// Folds in which the rows of a group are together: of one patient, or of one book, some rows are never trained on while others are held
/// back. Groups are dealt out from the largest on, each to the fold with the fewest rows.
///
/// scikit-learn's `GroupKFold(n_splits=5)`.
///
/// ```
/// use gradus::Tensor;
/// use gradus::validation::GroupKFold;
///
/// let groups = Tensor::from_slice(&[7i64, 7, 3, 3, 3, 9], [6])?;
/// let folds = GroupKFold::new(2).split(&groups)?;
/// assert_eq!((&folds[0].test[..], &folds[1].test[..]), (&[2, 3, 4][..], &[0, 1, 5][..]));
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct GroupKFold {
    n_splits: usize,
    shuffle: Option<u64>,
}

impl Default for GroupKFold {
    /// Five folds.
    fn default() -> GroupKFold {
        GroupKFold::new(5)
    }
}

impl GroupKFold {
    /// So many folds.
    pub fn new(n_splits: usize) -> GroupKFold {
        GroupKFold { n_splits, shuffle: None }
    }

    /// Groups at random, as many in each fold as in any other, but for one.
    pub fn shuffle(mut self, seed: u64) -> GroupKFold {
        self.shuffle = Some(seed);
        self
    }

    /// The folds of rows that belong to these groups, a whole number for each row.
    ///
    /// # Errors
    /// `n_splits` is less than 2 or more than there are groups, or a group is no whole number.
    pub fn split(&self, groups: &Tensor) -> Result<Vec<Fold>> {
        let rows = count(groups)?;
        let (all, places) = encode(&labels("groups", groups, rows)?);
        check_splits(self.n_splits, rows)?;
        if self.n_splits > all.len() {
            let expected = format!("at most {}, the number of groups", all.len());
            return Err(Error::argument("n_splits", expected, self.n_splits));
        }
        let mut fold_of_group = vec![0; all.len()];
        match self.shuffle {
            Some(seed) => {
                let order = shuffled(seed, all.len())?;
                order.iter().enumerate().for_each(|(i, &group)| fold_of_group[group] = i % self.n_splits);
            }
            None => {
                let sizes = counts(&places, all.len());
                let mut order: Vec<usize> = (0..all.len()).collect();
                order.sort_by_key(|&group| (sizes[group], group));
                let mut rows_of = vec![0; self.n_splits];
                for &group in order.iter().rev() {
                    let lightest = (0..self.n_splits).min_by_key(|&fold| rows_of[fold]).unwrap_or(0);
                    rows_of[lightest] += sizes[group];
                    fold_of_group[group] = lightest;
                }
            }
        }
        Ok((0..self.n_splits).map(|fold| Fold::of(rows, |row| fold_of_group[places[row]] == fold)).collect())
    }
}

/// Folds of rows in the order of time: what is held back comes after all that is trained on. Each fold trains on more than the one before.
///
/// scikit-learn's `TimeSeriesSplit(n_splits=5, max_train_size=None, test_size=None, gap=0)`.
///
/// ```
/// use gradus::Tensor;
/// use gradus::validation::TimeSeriesSplit;
///
/// let folds = TimeSeriesSplit::new(2).gap(1).split(&Tensor::arange(7)?)?;
/// assert_eq!((&folds[0].train[..], &folds[0].test[..]), (&[0, 1][..], &[3, 4][..]));
/// assert_eq!((&folds[1].train[..], &folds[1].test[..]), (&[0, 1, 2, 3][..], &[5, 6][..]));
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TimeSeriesSplit {
    n_splits: usize,
    max_train_size: Option<usize>,
    test_size: Option<usize>,
    gap: usize,
}

impl Default for TimeSeriesSplit {
    /// Five folds.
    fn default() -> TimeSeriesSplit {
        TimeSeriesSplit::new(5)
    }
}

impl TimeSeriesSplit {
    /// So many folds.
    pub fn new(n_splits: usize) -> TimeSeriesSplit {
        TimeSeriesSplit { n_splits, max_train_size: None, test_size: None, gap: 0 }
    }

    /// The most rows to train on, those nearest to what is held back; all by default.
    pub fn max_train_size(mut self, rows: usize) -> TimeSeriesSplit {
        self.max_train_size = Some(rows);
        self
    }

    /// The rows that each fold holds back; `rows / (n_splits + 1)` by default.
    pub fn test_size(mut self, rows: usize) -> TimeSeriesSplit {
        self.test_size = Some(rows);
        self
    }

    /// How many rows before those held back are left out; 0 by default.
    pub fn gap(mut self, rows: usize) -> TimeSeriesSplit {
        self.gap = rows;
        self
    }

    /// The folds of the rows of `x`.
    ///
    /// # Errors
    /// `n_splits` is less than 2, a size is 0, or there are too few rows for so many folds.
    pub fn split(&self, x: &Tensor) -> Result<Vec<Fold>> {
        self.of_rows(count(x)?)
    }

    fn of_rows(&self, n: usize) -> Result<Vec<Fold>> {
        let TimeSeriesSplit { n_splits, max_train_size, test_size, gap } = *self;
        if n_splits < 2 {
            return Err(Error::argument("n_splits", "2 folds or more", n_splits));
        }
        if n_splits >= n {
            let expected = format!("fewer than the {n} rows: the first part is trained on alone");
            return Err(Error::argument("n_splits", expected, n_splits));
        }
        for (name, size) in [("max_train_size", max_train_size), ("test_size", test_size)] {
            if size == Some(0) {
                return Err(Error::argument(name, "at least 1 row", 0));
            }
        }
        let size = test_size.unwrap_or(n / (n_splits + 1));
        let held = size.saturating_mul(n_splits).saturating_add(gap);
        if held >= n {
            let (name, got) = if test_size.is_some() { ("test_size", size) } else { ("gap", gap) };
            let expected = format!(
                "{n_splits} folds of test_size {size} and a gap of {gap} that leave some of {n} rows to train on"
            );
            return Err(Error::argument(name, expected, got));
        }
        let first = n - size * n_splits;
        let fold = |start: usize| {
            let end = start - gap;
            let begin = max_train_size.map_or(0, |most| end.saturating_sub(most));
            Fold { train: (begin..end).collect(), test: (start..start + size).collect() }
        };
        Ok((0..n_splits).map(|i| fold(first + i * size)).collect())
    }
}

impl Folds for TimeSeriesSplit {
    fn folds(&self, rows: usize, _: &Tensor) -> Result<Vec<Fold>> {
        self.of_rows(rows)
    }
}
