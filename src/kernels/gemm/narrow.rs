//! Weights in fewer bits as operands of products in f32: each number is widened or dequantized on its way into a
//! panel, so memory is read in the narrow form.

use super::{Mat, Operand};
use crate::dtype::{bf16, f16};
use crate::{Error, Result};

/// Widens the elements of a row from `col` on.
fn widen<S: Copy>(m: &Mat<S>, row: usize, col: usize, out: &mut [f32], wide: impl Fn(usize, S) -> f32) {
    let start = m.offset as isize + row as isize * m.rs + col as isize * m.cs;
    if m.cs == 1 {
        let run = &m.data[start as usize..][..out.len()];
        out.iter_mut().zip(run).enumerate().for_each(|(j, (o, &x))| *o = wide(col + j, x));
    } else {
        out.iter_mut().enumerate().for_each(|(j, o)| *o = wide(col + j, m.at(row, col + j)));
    }
}

macro_rules! widened {
    ($($t:ty)+) => {$(
        impl Operand<f32> for Mat<'_, $t> {
            fn rows(&self) -> usize {
                self.rows
            }
            fn cols(&self) -> usize {
                self.cols
            }
            fn read(&self, row: usize, col: usize, out: &mut [f32]) {
                widen(self, row, col, out, |_, x| x.to_f32());
            }
        }
    )+};
}
widened!(bf16 f16);

/// 8-bit integers that stand for `scale · (q - zero)`, with a scale and a zero point for each column. The
/// difference is exact, so each number is rounded once.
#[derive(Clone, Copy, Debug)]
pub struct Quantized<'a> {
    values: Mat<'a, i8>,
    scales: &'a [f32],
    zeros: Option<&'a [i8]>,
}

impl<'a> Quantized<'a> {
    /// Creates an operand; `zeros` of `None` means that all zero points are 0.
    ///
    /// # Errors
    /// The number of scales or of zero points differs from that of the columns.
    pub fn new(values: Mat<'a, i8>, scales: &'a [f32], zeros: Option<&'a [i8]>) -> Result<Quantized<'a>> {
        for (name, n) in [("scales", scales.len()), ("zeros", zeros.map_or(values.cols, <[i8]>::len))] {
            if n != values.cols {
                return Err(Error::argument(name, format!("one for each of {} columns", values.cols), n));
            }
        }
        Ok(Quantized { values, scales, zeros })
    }
}

impl Operand<f32> for Quantized<'_> {
    fn rows(&self) -> usize {
        self.values.rows
    }
    fn cols(&self) -> usize {
        self.values.cols
    }
    fn read(&self, row: usize, col: usize, out: &mut [f32]) {
        match self.zeros {
            None => widen(&self.values, row, col, out, |j, q| self.scales[j] * f32::from(q)),
            Some(zeros) => widen(&self.values, row, col, out, |j, q| {
                self.scales[j] * f32::from(i16::from(q) - i16::from(zeros[j]))
            }),
        }
    }
}
