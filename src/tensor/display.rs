//! Why it exists: tensors print the way NumPy users read them, and long ones stay short.

use super::Tensor;
use crate::{DType, Result};
use std::fmt;

/// Rows and columns shown at each end of a long axis.
const EDGE: usize = 3;

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_traced() {
            return write!(f, "Tensor({}, no values yet)", self.spec());
        }
        let Ok(values) = texts(self, f.precision().unwrap_or(4)) else { return Err(fmt::Error) };
        let width = values.iter().map(String::len).max().unwrap_or(0);
        if self.elements() > 0 || self.rank() == 0 {
            block(f, &values, self.dims(), width, 0)?;
            write!(f, " ")?;
        }
        write!(f, "{}", self.spec())
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({}{})", self, if self.is_tracked() { ", tracked" } else { "" })
    }
}

/// Every value as text (only those of the edges are needed, but long tensors are printed rarely).
fn texts(t: &Tensor, precision: usize) -> Result<Vec<String>> {
    let array = t.array().contiguous()?;
    let shown = shown(t.dims());
    fn pick<T>(values: &[T], shown: Option<Vec<bool>>, text: impl Fn(&T) -> String) -> Vec<String> {
        match shown {
            None => values.iter().map(text).collect(),
            Some(mask) => {
                values.iter().zip(mask).map(|(v, s)| if s { text(v) } else { String::new() }).collect()
            }
        }
    }
    Ok(match t.dtype() {
        DType::F32 => pick(array.slice::<f32>()?, shown, |v| format!("{v:.precision$}")),
        DType::F64 => pick(array.slice::<f64>()?, shown, |v| format!("{v:.precision$}")),
        DType::BF16 => {
            pick(array.slice::<crate::dtype::bf16>()?, shown, |v| format!("{:.precision$}", v.to_f32()))
        }
        DType::F16 => {
            pick(array.slice::<crate::dtype::f16>()?, shown, |v| format!("{:.precision$}", v.to_f32()))
        }
        DType::I64 => pick(array.slice::<i64>()?, shown, i64::to_string),
        DType::U8 => pick(array.slice::<u8>()?, shown, u8::to_string),
        DType::Bool => pick(array.slice::<u8>()?, shown, |v| (*v != 0).to_string()),
    })
}

/// Which elements of a long tensor are printed; `None` for all.
fn shown(dims: &[usize]) -> Option<Vec<bool>> {
    let n: usize = dims.iter().product();
    if n <= 1000 {
        return None;
    }
    Some(
        (0..n)
            .map(|mut i| {
                dims.iter().rev().all(|&d| {
                    let at = i % d;
                    i /= d;
                    d <= 2 * EDGE || at < EDGE || at >= d - EDGE
                })
            })
            .collect(),
    )
}

fn block(
    f: &mut fmt::Formatter<'_>,
    values: &[String],
    dims: &[usize],
    width: usize,
    depth: usize,
) -> fmt::Result {
    let Some((&n, rest)) = dims.split_first() else {
        return write!(f, "{:>width$}", values[0]);
    };
    let long = dims.iter().product::<usize>() > 1000 || values.iter().any(String::is_empty);
    let step = values.len() / n;
    write!(f, "[")?;
    let mut first = true;
    for i in 0..n {
        let hidden = long && n > 2 * EDGE && i >= EDGE && i < n - EDGE;
        if hidden && i > EDGE {
            continue;
        }
        if !first {
            if rest.is_empty() { write!(f, ", ")? } else { write!(f, ",\n{:1$}", "", depth + 1)? }
        }
        first = false;
        if hidden {
            write!(f, "...")?;
        } else {
            block(f, &values[i * step..(i + 1) * step], rest, width, depth + 1)?;
        }
    }
    write!(f, "]")
}
