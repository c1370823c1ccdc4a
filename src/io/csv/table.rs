//! `Table`: a table that was read, and its split into a part to train on and one to test with.

use crate::random::{Purpose, Stream};
use crate::tensor::Tensor;
use crate::validation::stratified;
use crate::{Error, Result};

/// What a table holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Table {
    /// The features that are numbers, float32 `[rows, columns]`.
    pub x: Tensor,
    /// The target, float32 `[rows, 1]`, or the labels, int64 `[rows]`, if a column was named for them.
    pub y: Option<Tensor>,
    /// The names of the columns of `x`; empty without a header.
    pub names: Vec<String>,
    /// The texts that the labels stand for, sorted; empty if the labels are integers in the file.
    pub classes: Vec<String>,
    /// The columns of categories, in the order they were asked for.
    pub categories: Vec<Categories>,
    /// How many rows [`Missing::DropRow`](super::Missing::DropRow) left out.
    pub dropped: usize,
}

/// A column of categories.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Categories {
    /// The name of the column, or its position if there is no header.
    pub name: String,
    /// For each row, the index of its text in `texts`: int64 `[rows]`.
    pub values: Tensor,
    /// The distinct texts of the whole file, sorted. A missing cell is the empty text.
    pub texts: Vec<String>,
}

impl Table {
    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.x.dims().first().copied().unwrap_or(0)
    }

    /// Returns what is to be predicted: `y`.
    ///
    /// # Errors
    /// No column was named as target or label.
    pub fn target(&self) -> Result<&Tensor> {
        let expected = "a table read with .target(column) or .label(column)";
        self.y.as_ref().ok_or_else(|| Error::argument("target", expected, "one without"))
    }

    /// Splits the rows at random: `share` of them to train on, rounded, and the rest to test with. The same seed
    /// gives the same rows in the same order. If there are labels, each keeps that share of its own rows, as nearly
    /// as whole rows allow (scikit-learn's `stratify`).
    ///
    /// ```
    /// use gradus::io::{Csv, Limits};
    /// # fn main() -> gradus::Result<()> {
    /// let text: String = (0..100).map(|i| format!("{i},{}\n", i % 2)).collect();
    /// let table = Csv::new().header(false).label(1).parse(text.as_bytes(), "numbers", &Limits::default())?;
    /// let (train, test) = table.split(0.8, 42)?;
    /// assert_eq!((train.rows(), test.rows()), (80, 20));
    /// assert_eq!(test.target()?.to_vec::<i64>()?.iter().sum::<i64>(), 10);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `share` is not between 0 and 1, or leaves no row on one side.
    pub fn split(&self, share: f64, seed: u64) -> Result<(Table, Table)> {
        if !(share > 0.0 && share < 1.0) {
            return Err(Error::argument("share", "0 < share < 1, the part to train on such as 0.8", share));
        }
        let n = self.rows();
        let train = (share * n as f64).round_ties_even() as usize;
        if train == 0 || train == n {
            let expected = format!("a share that leaves rows on both sides of {n}");
            return Err(Error::argument("share", expected, share));
        }
        let order = Stream::new(seed, Purpose::Shuffle, 0).permutation(n)?;
        if let Some(y) = self.y.as_ref().filter(|y| y.dims().first() != Some(&n)) {
            return Err(Error::shape("split", format!("a target of {n} rows, as many as x"), *y.shape()));
        }
        let kept = match &self.y {
            Some(y) if y.rank() == 1 && y.dtype() == crate::DType::I64 => {
                stratified(&y.to_vec::<i64>()?, &order, train)
            }
            _ => order.iter().take(train).copied().collect(),
        };
        let mut left = vec![true; n];
        kept.iter().for_each(|&row| left[row as usize] = false);
        let rest: Vec<i64> = order.into_iter().filter(|&row| left[row as usize]).collect();
        Ok((self.part(&kept)?, self.part(&rest)?))
    }

    /// Returns these rows, in this order.
    fn part(&self, rows: &[i64]) -> Result<Table> {
        let rows = Tensor::from_slice(rows, [rows.len()])?;
        let category = |c: &Categories| Ok(Categories { values: c.values.gather(&rows, 0)?, ..c.clone() });
        Ok(Table {
            x: self.x.gather(&rows, 0)?,
            y: self.y.as_ref().map(|y| y.gather(&rows, 0)).transpose()?,
            categories: self.categories.iter().map(category).collect::<Result<_>>()?,
            dropped: 0,
            ..self.clone()
        })
    }
}

impl Categories {
    /// Returns the index of each row's text.
    pub(super) fn places(&self, rows: usize) -> Result<Vec<usize>> {
        let values = self.values.to_vec::<i64>()?;
        let place = |value: i64| usize::try_from(value).ok().filter(|&place| place < self.texts.len());
        let places: Option<Vec<usize>> = values.into_iter().map(place).collect();
        places.filter(|places| places.len() == rows).ok_or_else(|| {
            let expected = format!("for each of {rows} rows the place of one of {} texts", self.texts.len());
            Error::argument("values", expected, format!("others in '{}'", self.name))
        })
    }
}
