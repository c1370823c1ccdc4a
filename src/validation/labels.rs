//! The class of each row, as splits by class read it from targets.

use crate::tensor::Tensor;
use crate::{DType, Error, Result};

/// The class of each of `rows` rows: of labels, `[rows]` or `[rows, 1]`, or of one-hot rows. `name` is the argument in messages.
pub(super) fn labels(name: &'static str, y: &Tensor, rows: usize) -> Result<Vec<i64>> {
    if y.dims().first() != Some(&rows) {
        return Err(Error::argument(
            name,
            format!("{rows} rows, as many as x"),
            format!("shape {}", y.shape()),
        ));
    }
    let values = y.cast(DType::F64)?.to_vec::<f64>()?;
    match y.dims() {
        [_] | [_, 1] => values.iter().enumerate().map(|(row, v)| whole(name, *v, row)).collect(),
        [_, classes] => values
            .chunks_exact((*classes).max(1))
            .enumerate()
            .map(|(row, v)| {
                match (v.iter().position(|v| *v == 1.0), v.iter().filter(|v| **v != 0.0).count()) {
                    (Some(class), 1) => Ok(class as i64),
                    _ => Err(Error::argument(
                        name,
                        "labels, or rows with a single 1",
                        format!("another row {row}"),
                    )),
                }
            })
            .collect(),
        _ => Err(Error::shape(
            name,
            "a label for each row, [rows], or one-hot rows, [rows, classes]",
            *y.shape(),
        )),
    }
}

fn whole(name: &'static str, value: f64, row: usize) -> Result<i64> {
    // Beyond 2^53 neighbours are one number in float64.
    match value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 {
        true => Ok(value as i64),
        false => {
            let expected = "labels, which are whole numbers (numbers of a regression have no classes: KFold)";
            Err(Error::argument(name, expected, format!("{value} in row {row}")))
        }
    }
}

/// Each different value, ascending, and for each row its place among them.
pub(super) fn encode(values: &[i64]) -> (Vec<i64>, Vec<usize>) {
    let mut all = values.to_vec();
    all.sort_unstable();
    all.dedup();
    let places = values.iter().map(|v| all.binary_search(v).unwrap_or(0)).collect();
    (all, places)
}

/// How often each place occurs.
pub(super) fn counts(places: &[usize], n: usize) -> Vec<usize> {
    let mut counts = vec![0; n];
    places.iter().for_each(|&p| counts[p] += 1);
    counts
}
