//! Cross-validation: a fresh model for each fold, trained on its rows and evaluated on those held back.

use super::folds::{Folds, rows};
use crate::error::Context;
use crate::tensor::{AsTensors, Tensor};
use crate::train::{Evaluate, Fit, History, Logs, Model};
use crate::{Error, Result};

/// Builds, trains and evaluates a model for each fold, and gives the figures of the rows that were held back.
///
/// `build` is called with the number of the fold, from 0, and gives a compiled model; `fit` gives the settings of its training. Targets
/// may be of any kind; if there are several, folds by class go by the first.
///
/// Folds run one after the other, each on all threads of the caller's pool. So figures are the same for any number of threads.
///
/// ```
/// use gradus::prelude::*;
/// use gradus::validation::{StratifiedKFold, cross_validate};
///
/// let (digits, _) = datasets::mnist::built_in(200, 1, 0)?;
/// let x = digits.images.scale(1.0 / 255.0)?.reshape([-1, 784])?;
/// let new_model = |fold: usize| {
///     let stack = Sequential::new().add(Input::new(784)).add(Dense::new(10).activation(Softmax)).seed(fold as u64);
///     stack.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
/// };
/// let fit = || Fit::new().epochs(3).class_weight_balanced().verbose(0);
/// let scores = cross_validate(new_model, &x, &digits.labels, &StratifiedKFold::new(2), fit)?;
/// println!("{scores}");
/// assert!(scores.mean("accuracy")? > 0.2);
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// The folds cannot be made, `x` and `y` differ in rows, or a fold fails: the message begins with its number.
pub fn cross_validate<'a>(
    mut build: impl FnMut(usize) -> Result<Model>,
    x: &(impl AsTensors + ?Sized),
    y: &(impl AsTensors + ?Sized),
    folds: &(impl Folds + ?Sized),
    mut fit: impl FnMut() -> Fit<'a>,
) -> Result<CrossValidation> {
    let (x, y) = (x.as_tensors(), y.as_tensors());
    let n = x.first().and_then(|x| x.dims().first().copied());
    let n = n.ok_or_else(|| Error::argument("x", "at least one tensor with rows", "none"))?;
    for (name, tensors) in [("x", &x), ("y", &y)] {
        if let Some(t) = tensors.iter().find(|t| t.dims().first() != Some(&n)) {
            return Err(Error::shape(name, format!("{n} rows, as many as the first of x"), *t.shape()));
        }
    }
    let first = y.first().ok_or_else(|| Error::argument("y", "at least one tensor", "none"))?;
    let folds = folds.folds(n, first)?;
    if folds.is_empty() {
        return Err(Error::argument("folds", "at least one", "none"));
    }
    let mut found = CrossValidation::default();
    for (i, fold) in folds.iter().enumerate() {
        let of = |tensors: &[Tensor], side: &[usize]| -> Result<Vec<Tensor>> {
            tensors.iter().map(|t| rows(t, side)).collect()
        };
        let mut run = || -> Result<(History, Logs)> {
            let mut model = build(i)?;
            let settings = fit();
            let evaluate = Evaluate::new().batch_size(settings.validation_rows(fold.test.len()));
            let history = model.fit(&of(&x, &fold.train)?, &of(&y, &fold.train)?, settings)?;
            let scores = model.evaluate_with(&of(&x, &fold.test)?, &of(&y, &fold.test)?, &evaluate)?;
            Ok((history, scores))
        };
        let (history, scores) = run().at(|| format!("fold {i}"))?;
        found.push(history, &scores);
    }
    Ok(found)
}

/// The figures of [`cross_validate`], by name and fold.
#[derive(Clone, Debug, Default)]
pub struct CrossValidation {
    names: Vec<String>,
    values: Vec<Vec<f64>>,
    histories: Vec<History>,
}

impl CrossValidation {
    fn push(&mut self, history: History, scores: &Logs) {
        self.histories.push(history);
        for (name, value) in scores.iter() {
            let at = self.names.iter().position(|n| n == name).unwrap_or_else(|| {
                self.names.push(name.into());
                self.values.push(Vec::new());
                self.names.len() - 1
            });
            self.values[at].push(value);
        }
    }

    /// How many folds there were.
    pub fn folds(&self) -> usize {
        self.histories.len()
    }

    /// The names of all figures: `loss`, then the metrics.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// A figure of each fold.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.names.iter().position(|n| n == name).map(|at| &self.values[at][..])
    }

    /// What each fold's training gave.
    pub fn histories(&self) -> &[History] {
        &self.histories
    }

    /// The mean of a figure over folds, each counted once.
    ///
    /// # Errors
    /// There is no such figure.
    pub fn mean(&self, name: &str) -> Result<f64> {
        let values = self.figure(name)?;
        Ok(values.iter().sum::<f64>() / values.len() as f64)
    }

    /// The standard deviation of a figure over folds, by the number of folds (NumPy's `std`).
    ///
    /// # Errors
    /// There is no such figure.
    pub fn std(&self, name: &str) -> Result<f64> {
        let (values, mean) = (self.figure(name)?, self.mean(name)?);
        let square = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64;
        Ok(libm::sqrt(square))
    }

    fn figure(&self, name: &str) -> Result<&[f64]> {
        self.get(name)
            .ok_or_else(|| Error::argument("name", format!("one of {}", self.names.join(", ")), name))
    }
}

impl std::ops::Index<&str> for CrossValidation {
    type Output = [f64];
    /// # Panics
    /// If there is no such figure; [`CrossValidation::get`] does not.
    fn index(&self, name: &str) -> &[f64] {
        match self.get(name) {
            Some(values) => values,
            None => panic!("no figure named '{name}' among {:?}", self.names),
        }
    }
}

/// A line for each figure: `accuracy: 0.9200 ± 0.0100 (0.9100, 0.9300)`.
impl std::fmt::Display for CrossValidation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (name, values)) in self.names.iter().zip(&self.values).enumerate() {
            let each: Vec<String> = values.iter().map(|v| format!("{v:.4}")).collect();
            let (mean, std) = (self.mean(name).unwrap_or(f64::NAN), self.std(name).unwrap_or(f64::NAN));
            let before = if i == 0 { "" } else { "\n" };
            write!(f, "{before}{name}: {mean:.4} ± {std:.4} ({})", each.join(", "))?;
        }
        Ok(())
    }
}
