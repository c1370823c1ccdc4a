//! `Weights`: how much each row counts, by a weight of its own or by its class.

use crate::loss::classes;
use crate::shape::{Spec, is_unknown};
use crate::tensor::Tensor;
use crate::{DType, Error, Result};

/// The weights of rows: the loss of a batch is `Σ wᵢ·lᵢ / N`, as in Keras.
#[derive(Clone, Debug)]
pub enum Weights {
    /// One number for each row, or for each position of it, `[rows, time]`.
    Sample(Tensor),
    /// One number for each class, and 1 for classes not named. Targets are labels or one-hot.
    Class(Vec<(i64, f64)>),
    /// `rows / (classes · rows of the class)` for each class (scikit-learn's "balanced"). Targets are labels or one-hot.
    Balanced,
}

/// The weight of each class that makes all of them count alike: `rows / (classes · rows of the class)`, for labels `[rows]` or
/// `[rows, 1]`, or one-hot rows. scikit-learn's `compute_class_weight("balanced")`; [`Fit::class_weight`](super::Fit::class_weight) takes it.
///
/// ```
/// use gradus::Tensor;
/// use gradus::train::balanced_class_weight;
///
/// let y = Tensor::from_slice(&[0i64, 0, 0, 1], [4])?;
/// assert_eq!(balanced_class_weight(&y)?, [(0, 4.0 / 6.0), (1, 2.0)]);
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// There is no row, or targets are no labels.
pub fn balanced_class_weight(y: &Tensor) -> Result<Vec<(i64, f64)>> {
    let rows = y.dims().first().copied().unwrap_or(0);
    if rows == 0 {
        return Err(Error::argument("y", "at least one label", format!("shape {}", y.shape())));
    }
    Ok(balanced(&labels(std::slice::from_ref(y), &[2])?))
}

/// The weight of each class of these labels, ascending.
fn balanced(labels: &[i64]) -> Vec<(i64, f64)> {
    let mut counts = std::collections::BTreeMap::new();
    labels.iter().for_each(|label| *counts.entry(*label).or_insert(0usize) += 1);
    let weight = |count: usize| labels.len() as f64 / (counts.len() * count) as f64;
    counts.iter().map(|(label, count)| (*label, weight(*count))).collect()
}

/// The class of each row.
fn labels(y: &[Tensor], ranks: &[usize]) -> Result<Vec<i64>> {
    let ([y], [rank]) = (y, ranks) else {
        return Err(Error::argument("class_weight", "a network with one output", y.len()));
    };
    whole_labels(y, *rank)?;
    let labels = classes(y, *rank)?;
    if labels.rank() != 1 {
        return Err(Error::shape("class_weight", "one class for each row", *y.shape()));
    }
    labels.to_vec::<i64>()
}

impl Weights {
    /// Weights by row.
    pub fn sample(weights: &Tensor) -> Weights {
        Weights::Sample(weights.clone())
    }

    /// Weights by class: `Weights::class([(0, 1.0), (1, 5.0)])`.
    pub fn class(weights: impl IntoIterator<Item = (i64, f64)>) -> Weights {
        Weights::Class(weights.into_iter().collect())
    }

    /// Returns the weight of each of `n` rows, for a network whose outputs have these ranks.
    pub(crate) fn of_rows(&self, y: &[Tensor], n: usize, ranks: &[usize]) -> Result<Tensor> {
        match self {
            Weights::Sample(w) => {
                if w.dims().first() != Some(&n) {
                    let expected = format!("one weight for each of {n} rows");
                    return Err(Error::argument("sample_weight", expected, w.shape()));
                }
                let values = w.cast(DType::F64)?.to_vec::<f64>()?;
                if let Some(at) = values.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
                    let row = at / (values.len() / n).max(1);
                    let got = format!("{} in row {row}", values[at]);
                    return Err(Error::argument("sample_weight", "finite numbers of 0 or more", got));
                }
                Ok(w.clone())
            }
            Weights::Class(weights) => {
                check(weights)?;
                of_labels(&labels(y, ranks)?, weights, n)
            }
            Weights::Balanced => {
                let labels = labels(y, ranks)?;
                of_labels(&labels, &balanced(&labels), n)
            }
        }
    }
}

/// The weight of each row's class; 1 for classes without one.
fn of_labels(labels: &[i64], weights: &[(i64, f64)], n: usize) -> Result<Tensor> {
    let weight = |c: &i64| weights.iter().find(|(class, _)| class == c).map_or(1.0, |(_, w)| *w);
    Tensor::from_slice(&labels.iter().map(weight).collect::<Vec<f64>>(), [n])
}

/// Fails if targets that should be labels are other numbers: those of a regression have no classes.
fn whole_labels(y: &Tensor, rank: usize) -> Result<()> {
    let one_hot = y.rank() == rank && y.dims().last() != Some(&1);
    if one_hot || !y.dtype().is_float() {
        return Ok(());
    }
    let values = y.cast(DType::F64)?.to_vec::<f64>()?;
    match values.iter().position(|v| !(*v >= 0.0 && v.fract() == 0.0)) {
        None => Ok(()),
        Some(row) => {
            let expected = "targets that are labels 0, 1, 2, … or one-hot (sample_weight has a number for each row of others)";
            Err(Error::argument("class_weight", expected, format!("{} in row {row}", values[row])))
        }
    }
}

fn check(weights: &[(i64, f64)]) -> Result<()> {
    for (i, (class, weight)) in weights.iter().enumerate() {
        if *class < 0 {
            return Err(Error::argument("class_weight", "classes of 0 or more", class));
        }
        if weights[..i].iter().any(|(other, _)| other == class) {
            return Err(Error::argument("class_weight", "each class once", format!("class {class} twice")));
        }
        if !(*weight >= 0.0 && weight.is_finite()) {
            let got = format!("{weight} for class {class}");
            return Err(Error::argument("class_weight", "finite weights of 0 or more", got));
        }
    }
    Ok(())
}

/// Fails if no row counts: a run of training would change nothing.
pub(super) fn check_any_counts(weights: &Tensor) -> Result<()> {
    let values = weights.cast(DType::F64)?.to_vec::<f64>()?;
    match values.is_empty() || values.iter().any(|w| *w != 0.0) {
        true => Ok(()),
        false => {
            let expected = "a weight above 0: with none there is nothing to learn from";
            Err(Error::argument("sample_weight", expected, "0 for every row"))
        }
    }
}

/// Fails if a class is named that an output with this many units does not have.
pub(super) fn check_classes(weights: &[(i64, f64)], outputs: &[Spec]) -> Result<()> {
    let [output] = outputs else { return Ok(()) };
    let Some(&units) = output.shape.dims().get(1..).and_then(<[usize]>::last) else { return Ok(()) };
    let classes = units.max(2);
    match weights
        .iter()
        .find(|(class, _)| !is_unknown(units) && usize::try_from(*class).is_ok_and(|c| c >= classes))
    {
        Some((class, _)) => {
            let expected = format!("classes from 0 to {}, those of the output", classes - 1);
            Err(Error::argument("class_weight", expected, format!("class {class}")))
        }
        None => Ok(()),
    }
}
