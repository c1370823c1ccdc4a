//! Scalars and histograms as TensorBoard 2 has them: tensors, with the name of the plugin that shows them.

use crate::io::proto::Message;
use crate::tensor::Tensor;
use crate::{DType, Result};

/// A number under a tag.
pub(super) fn scalar(tag: &str, value: f64) -> Message {
    let shape = Message::new();
    summary(tag, "scalars", &tensor(DType::F32, &shape).float(FLOAT_VAL, value as f32))
}

/// Buckets of a tensor's numbers under a tag: rows of left edge, right edge, and how many lie between.
pub(super) fn histogram(tag: &str, values: &Tensor) -> Result<Message> {
    let values = values.detach().cast(DType::F64)?.to_vec::<f64>()?;
    let rows = buckets(&values);
    let content: Vec<u8> = rows.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    let shape = shape([rows.len(), 3].map(Some));
    Ok(summary(tag, "histograms", &tensor(DType::F64, &shape).blob(TENSOR_CONTENT, content)))
}

/// TensorBoard's rule: equal widths from the least to the largest; the right edge belongs to the last bucket. If all numbers are one,
/// the last bucket has them all; if there are none, there is nothing in any.
fn buckets(values: &[f64]) -> [[f64; 3]; BUCKETS] {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let (least, most) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let count = finite().count();
    let mut rows = [[0.0; 3]; BUCKETS];
    if count == 0 {
        return rows;
    }
    // Halves, so that the range of the largest numbers is finite.
    let half = most / 2.0 - least / 2.0;
    for (i, row) in rows.iter_mut().enumerate() {
        let edge = |i: usize| {
            let share = i as f64 / BUCKETS as f64;
            let wide = half * (2.0 * share);
            match (i, wide.is_finite()) {
                (BUCKETS, _) => most,
                (_, true) => least + wide,
                (_, false) => least + half * share + half * share,
            }
        };
        *row = [edge(i), edge(i + 1), 0.0];
    }
    if least == most {
        rows[BUCKETS - 1][2] = count as f64;
        return rows;
    }
    for v in finite() {
        let at = (v / 2.0 - least / 2.0) / half * BUCKETS as f64;
        rows[(at as usize).min(BUCKETS - 1)][2] += 1.0;
    }
    rows
}

const BUCKETS: usize = 30;

fn summary(tag: &str, plugin: &str, tensor: &Message) -> Message {
    let plugin = Message::new().blob(1, plugin);
    let metadata = Message::new().message(1, &plugin);
    let value = Message::new().blob(1, tag).message(8, tensor).message(9, &metadata);
    Message::new().message(1, &value)
}

// The fields of a tensor.
const TENSOR_CONTENT: u32 = 4;
const FLOAT_VAL: u32 = 5;

fn tensor(dtype: DType, shape: &Message) -> Message {
    Message::new().int(1, type_number(dtype)).message(2, shape)
}

/// A shape; what is not known is -1.
pub(super) fn shape(sizes: impl IntoIterator<Item = Option<usize>>) -> Message {
    sizes.into_iter().fold(Message::new(), |shape, size| {
        shape.message(2, &Message::new().int(1, size.map_or(-1, |size| size as i64)))
    })
}

/// TensorFlow's number of a type.
pub(super) fn type_number(dtype: DType) -> i64 {
    match dtype {
        DType::F32 => 1,
        DType::F64 => 2,
        DType::I32 => 3,
        DType::U8 => 4,
        DType::I8 => 6,
        DType::I64 => 9,
        DType::Bool => 10,
        DType::BF16 => 14,
        DType::F16 => 19,
        #[expect(unreachable_patterns, reason = "types that may come")]
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_every_finite_number_once() {
        let values: Vec<f64> =
            (0..=60).map(|i| f64::from(i) / 2.0).chain([f64::NAN, f64::INFINITY]).collect();
        let rows = buckets(&values);
        assert_eq!((rows[0], rows[1], rows[29]), ([0.0, 1.0, 2.0], [1.0, 2.0, 2.0], [29.0, 30.0, 3.0]));
        assert_eq!(rows.iter().map(|r| r[2]).sum::<f64>(), 61.0);
        assert_eq!(buckets(&[2.0, 2.0])[28..], [[2.0, 2.0, 0.0], [2.0, 2.0, 2.0]]);
        assert_eq!(buckets(&[f64::NAN]), [[0.0; 3]; BUCKETS]);
        let wide = buckets(&[-f64::MAX, f64::MAX]);
        assert!((wide[0][2], wide[29][2]) == (1.0, 1.0) && wide.iter().flatten().all(|v| v.is_finite()));
    }
}
