//! `Encoder`: turns tables into the numbers that a network takes. Everything it knows comes from the table it was
//! adapted to, the training part: means, spreads and categories. Nothing of the test part can leak in.

use super::{Categories, Table};
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, Result, Shape, Spec};

/// What to do with a category that the training part did not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unknown {
    /// An error that names it.
    Refuse,
    /// Zeros in all of the column's places. An index has no such place, so there it is an error.
    Zeros,
    /// A place of its own, 0, before the known ones (Keras's out-of-vocabulary index), about which the network has
    /// learned nothing.
    OwnPlace,
}

/// Converts tables to tensors, as it learned from one of them (Keras's `adapt`).
///
/// In columns of numbers, a missing value becomes the mean; then the mean is subtracted and the result divided by
/// the standard deviation (of the population), `(x - μ) / σ`; a column with only one value becomes 0. Categories
/// become one-hot columns, their texts sorted.
///
/// ```
/// use gradus::io::{Csv, Encoder, Limits, Missing};
/// use gradus::prelude::*;
/// # fn main() -> gradus::Result<()> {
/// let text: String = (0..200)
///     .map(|i| format!("{},{},{}\n", ["oak", "fir", "elm"][i % 3], i % 10, if (i % 3 == 0) != (i % 10 > 4) { "tall" } else { "small" }))
///     .collect();
/// let csv = Csv::new().header(false).category(0).label(2).missing(Missing::Keep);
/// let table = csv.parse(text.as_bytes(), "trees", &Limits::default())?; // or csv.read("trees.csv", …)
/// let (train, test) = table.split(0.8, 42)?;
/// let encoder = Encoder::adapt(&train)?;
/// let mut model = Sequential::new()
///     .add(Input::new([encoder.width()]))
///     .add(Dense::new(8).activation(Relu))
///     .add(Dense::new(table.classes.len()).activation(Softmax))
///     .compile(Adam::new(0.02), SparseCategoricalCrossentropy::new(), [Accuracy::new()])?;
/// model.fit(&encoder.encode(&train)?, train.target()?, Fit::new().epochs(60).verbose(0))?;
/// let scores = model.evaluate(&encoder.encode(&test)?, test.target()?)?;
/// assert!(scores["accuracy"] > 0.8);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Encoder {
    numbers: Vec<Number>,
    /// The name of each column of categories, and its known texts, sorted.
    categories: Vec<(String, Vec<String>)>,
    /// The names of the columns that are not part of `encode`.
    indexed: Vec<String>,
    standardize: bool,
    unknown: Unknown,
}

/// What is known of a column of numbers.
#[derive(Clone, Debug)]
struct Number {
    name: String,
    mean: f64,
    /// The standard deviation, or 1 for a column with only one value.
    spread: f64,
}

impl Encoder {
    /// Learns from the training part. By default, categories become one-hot columns, numbers are standardized, and
    /// unknown categories are errors.
    ///
    /// # Errors
    /// The table has no rows, or a column has no values.
    pub fn adapt(train: &Table) -> Result<Encoder> {
        if train.rows() == 0 {
            return Err(Error::argument("adapt", "a table with rows", "none"));
        }
        let x = train.x.to_vec::<f32>()?;
        let columns = names(train);
        let width = columns.len();
        let mut numbers = Vec::new();
        for (i, name) in columns.into_iter().enumerate() {
            let values = || x.iter().skip(i).step_by(width).map(|&v| f64::from(v)).filter(|v| !v.is_nan());
            let n = values().count() as f64;
            if n == 0.0 {
                let expected = format!("a value of column '{name}' in the training part");
                return Err(Error::argument("adapt", expected, "none in any row: leave the column out"));
            }
            let mean = values().sum::<f64>() / n;
            let spread = (values().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt();
            // If all numbers are equal, only the rounding of their mean is left.
            let constant = values().next().is_none_or(|first| values().all(|v| v == first));
            numbers.push(Number { name, mean, spread: if constant { 1.0 } else { spread } });
        }
        let mut categories = Vec::new();
        for category in &train.categories {
            let mut there = vec![false; category.texts.len()];
            category.places(train.rows())?.into_iter().for_each(|place| there[place] = true);
            let texts = category.texts.iter().zip(there).filter(|(_, there)| *there);
            categories.push((category.name.clone(), texts.map(|(text, _)| text.clone()).collect()));
        }
        let (standardize, unknown) = (true, Unknown::Refuse);
        Ok(Encoder { numbers, categories, indexed: Vec::new(), standardize, unknown })
    }

    /// Sets whether numbers are standardized; yes by default. A missing value becomes the mean in either case.
    pub fn standardize(mut self, standardize: bool) -> Encoder {
        self.standardize = standardize;
        self
    }

    /// Sets what to do with categories that the training part did not have; an error by default.
    pub fn unknown(mut self, unknown: Unknown) -> Encoder {
        self.unknown = unknown;
        self
    }

    /// Leaves a column of categories out of [`Encoder::encode`], so that [`Encoder::index`] can pass it to an
    /// `Embedding`.
    ///
    /// # Errors
    /// There is no such column.
    pub fn indexed(mut self, column: &str) -> Result<Encoder> {
        self.vocabulary(column)?;
        self.indexed.push(column.to_string());
        Ok(self)
    }

    /// Returns how many numbers each row becomes.
    pub fn width(&self) -> usize {
        self.numbers.len() + self.one_hot().map(|(_, texts)| texts.len() + self.before()).sum::<usize>()
    }

    /// Returns what each number of a row is: a column, or a column and its category, as in `city=Oslo`.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.numbers.iter().map(|n| n.name.clone()).collect();
        for (name, texts) in self.one_hot() {
            names.extend((0..self.before()).map(|_| format!("{name}=(unknown)")));
            names.extend(texts.iter().map(|text| format!("{name}={text}")));
        }
        names
    }

    /// Returns the categories that a column had in the training part, sorted.
    ///
    /// # Errors
    /// There is no such column.
    pub fn vocabulary(&self, column: &str) -> Result<&[String]> {
        let found = self.categories.iter().find(|(name, _)| name == column);
        found.map(|(_, texts)| &texts[..]).ok_or_else(|| {
            let there: Vec<String> = self.categories.iter().map(|(name, _)| format!("'{name}'")).collect();
            let expected = match there.is_empty() {
                true => "a table read with .category(column)".to_string(),
                false => format!("one of the columns of categories, {}", there.join(", ")),
            };
            Error::argument("column", expected, format!("'{column}'"))
        })
    }

    /// Converts the rows to numbers: float32 `[rows, width]`.
    ///
    /// # Errors
    /// The table has other columns than the training part, or an unknown category that is an error.
    pub fn encode(&self, table: &Table) -> Result<Tensor> {
        let (columns, rows, width) = (names(table), table.rows(), self.width());
        if !columns.iter().eq(self.numbers.iter().map(|n| &n.name)) {
            let expected =
                self.numbers.iter().map(|n| format!("'{}'", n.name)).collect::<Vec<_>>().join(", ");
            let got = columns.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
            let expected = format!("a table with the columns of the training part, {expected}");
            return Err(Error::argument("encode", expected, got));
        }
        let mut array = Array::new(Spec::new(Shape::new(&[rows, width])?, DType::F32))?;
        let out = array.slice_mut::<f32>()?;
        out.fill(0.0);
        let x = table.x.to_vec::<f32>()?;
        for (i, number) in self.numbers.iter().enumerate() {
            let values = x.iter().skip(i).step_by(columns.len());
            for (out, &value) in out.iter_mut().skip(i).step_by(width).zip(values) {
                let value = if value.is_nan() { number.mean } else { f64::from(value) };
                let standard = (value - number.mean) / number.spread;
                *out = if self.standardize { standard } else { value } as f32;
            }
        }
        let mut first = self.numbers.len();
        for (name, texts) in self.one_hot() {
            let places = self.places(table, name, texts)?;
            for (row, place) in places.into_iter().enumerate() {
                if let Some(place) = place {
                    out[row * width + first + place] = 1.0;
                }
            }
            first += texts.len() + self.before();
        }
        Ok(array.into())
    }

    /// Converts a column of categories to indices: int64 `[rows]`. They count from 0, or from 1 with
    /// [`Unknown::OwnPlace`], where 0 is unknown.
    ///
    /// # Errors
    /// There is no such column, or an unknown category that has no index.
    pub fn index(&self, table: &Table, column: &str) -> Result<Tensor> {
        let texts = self.vocabulary(column)?;
        let places = self.places(table, column, texts)?.into_iter().map(|place| {
            place.map(|place| place as i64).ok_or_else(|| {
                let expected = format!("Unknown::OwnPlace or Unknown::Refuse for the index of '{column}'");
                Error::argument("unknown", expected, "Unknown::Zeros, and an unknown category")
            })
        });
        let places = places.collect::<Result<Vec<i64>>>()?;
        Tensor::from_slice(&places, [places.len()])
    }

    /// Returns the number of places before those of the known categories.
    fn before(&self) -> usize {
        usize::from(self.unknown == Unknown::OwnPlace)
    }

    fn one_hot(&self) -> impl Iterator<Item = &(String, Vec<String>)> {
        self.categories.iter().filter(|(name, _)| !self.indexed.contains(name))
    }

    /// Returns the place of each row's category, if it has one.
    fn places(&self, table: &Table, name: &str, known: &[String]) -> Result<Vec<Option<usize>>> {
        let Some(category) = table.categories.iter().find(|c| c.name == name) else {
            let expected =
                format!("a table with the categories of the training part, read with .category({name:?})");
            return Err(Error::argument("encode", expected, "one without"));
        };
        let place = |text: &String| known.binary_search(text).ok().map(|place| place + self.before());
        let places: Vec<Option<usize>> = category.texts.iter().map(place).collect();
        let values = category.places(table.rows())?.into_iter();
        values.map(|value| self.known(category, value, places[value], known)).collect()
    }

    fn known(
        &self,
        category: &Categories,
        value: usize,
        place: Option<usize>,
        known: &[String],
    ) -> Result<Option<usize>> {
        match (place, self.unknown) {
            (None, Unknown::OwnPlace) => Ok(Some(0)),
            (None, Unknown::Refuse) => {
                let few: Vec<String> = known.iter().take(10).map(|text| format!("'{text}'")).collect();
                let more = if known.len() > few.len() { ", …" } else { "" };
                let (name, text) = (&category.name, &category.texts[value]);
                let why = format!(
                    "'{text}' is no category of the training part ({}{more}): choose .unknown(Unknown::OwnPlace) or Unknown::Zeros",
                    few.join(", ")
                );
                Err(Error::format(format!("column '{name}'"), why))
            }
            (place, _) => Ok(place),
        }
    }
}

/// Returns the names of the columns of numbers, or their positions.
fn names(table: &Table) -> Vec<String> {
    let width = table.x.dims().get(1).copied().unwrap_or(0);
    (0..width).map(|i| table.names.get(i).cloned().unwrap_or_else(|| i.to_string())).collect()
}
