//! Prints tensors the way NumPy does. Long ones stay short, and only the elements shown are read.

use super::Tensor;
use crate::dtype::{Convert, dispatch_stored};
use crate::{DType, Result};
use std::fmt;

/// Rows and columns shown at each end of a long axis.
const EDGE: usize = 3;
/// Tensors with more elements than this are shown in part.
const LONG: usize = 1000;

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_traced() {
            return write!(f, "Tensor({}, no values yet)", self.spec());
        }
        if self.elements() > 0 {
            let axes: Vec<Vec<Place>> =
                self.dims().iter().map(|&d| places(d, self.elements() > LONG)).collect();
            let mut values = Vec::new();
            let Ok(()) = texts(self, &axes, self.layout().offset as isize, f.precision(), &mut values) else {
                return Err(fmt::Error);
            };
            let width = values.iter().map(String::len).max().unwrap_or(0);
            block(f, &axes, &mut values.iter(), width, 0)?;
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

/// A position along an axis: the elements of an index, or dots for those in between.
#[derive(Clone, Copy)]
enum Place {
    At(usize),
    Dots,
}

/// Returns what is shown of an axis.
fn places(size: usize, long: bool) -> Vec<Place> {
    if !long || size <= 2 * EDGE {
        return (0..size).map(Place::At).collect();
    }
    let ends = (0..EDGE).map(Place::At).chain([Place::Dots]);
    ends.chain((size - EDGE..size).map(Place::At)).collect()
}

/// Returns the shown elements from offset `at` as text, in row-major order.
fn texts(
    t: &Tensor,
    axes: &[Vec<Place>],
    at: isize,
    precision: Option<usize>,
    out: &mut Vec<String>,
) -> Result<()> {
    let Some((first, rest)) = axes.split_first() else {
        out.push(text(t, at as usize, precision.unwrap_or(4))?);
        return Ok(());
    };
    let stride = t.layout().strides[t.rank() - axes.len()];
    for place in first {
        if let Place::At(i) = place {
            texts(t, rest, at + *i as isize * stride, precision, out)?;
        }
    }
    Ok(())
}

/// Returns the element at this position in memory.
fn text(t: &Tensor, at: usize, precision: usize) -> Result<String> {
    let (real, whole): (f64, i64) = dispatch_stored!(t.dtype(), T => {
        let v = t.array().view::<T>()?.data()[at];
        (v.convert(), v.convert())
    });
    Ok(match t.dtype() {
        DType::Bool => (whole != 0).to_string(),
        dtype if dtype.is_integer() => whole.to_string(),
        _ => format!("{real:.precision$}"),
    })
}

fn block(
    f: &mut fmt::Formatter<'_>,
    axes: &[Vec<Place>],
    values: &mut std::slice::Iter<'_, String>,
    width: usize,
    depth: usize,
) -> fmt::Result {
    let Some((places, rest)) = axes.split_first() else {
        return write!(f, "{:>width$}", values.next().map_or("", String::as_str));
    };
    write!(f, "[")?;
    for (i, place) in places.iter().enumerate() {
        if i > 0 {
            if rest.is_empty() { write!(f, ", ")? } else { write!(f, ",\n{:1$}", "", depth + 1)? }
        }
        match place {
            Place::At(_) => block(f, rest, values, width, depth + 1)?,
            Place::Dots => write!(f, "...")?,
        }
    }
    write!(f, "]")
}
