//! Fourier transforms: the two parts of a complex tensor are one tensor in ONNX, whose last axis has two elements.

use super::super::emit::{Call, Emit, Field};
use super::super::traces::Size;
use super::Form::As;
use super::Row;
use crate::{DType, Result};

pub(super) const FORMS: &[Row] = &[("fft", As("Unsqueeze, Concat, DFT from 17, Gather", fft))];

fn fft(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    e.needs("DFT", 17)?;
    let (inverse, scaled): (bool, bool) = (call.attr("inverse")?, call.attr("scaled")?);
    let (from, rank) = (call.inputs[0], e.rank(call.inputs[0]) as i64);
    e.dtype = e.spec(from).dtype;
    let parts = e.all_plain(call)?;
    let mut both = Vec::new();
    for part in &parts {
        both.push(e.unsqueeze(part, &[rank])?);
    }
    let mut x = e.node_with("Concat", &[&both[0], &both[1]], vec![("axis", Field::Int(rank))]);
    // ONNX asks for a batch.
    let axis = rank.max(2) - 1;
    if rank == 1 {
        x = e.unsqueeze(&x, &[0])?;
    }
    let mut fields = vec![("inverse", Field::Int(i64::from(inverse)))];
    let y = if e.opset >= 20 {
        let axis = e.scalar(DType::I64, axis as f64)?;
        e.node_with("DFT", &[&x, "", &axis], fields)
    } else {
        fields.push(("axis", Field::Int(axis)));
        e.node_with("DFT", &[&x], fields)
    };
    // ONNX divides by the size in the inverse, and only there.
    let mut y = if rank == 1 { e.squeeze(&y, &[0])? } else { y };
    if inverse != scaled {
        let n = match e.size(from, rank as usize - 1) {
            Size::Known(n) => e.c(n as f64)?,
            size => {
                let n = e.length(&size)?;
                e.cast(&n, e.dtype)
            }
        };
        y = if inverse { e.mul(&y, &n) } else { e.div(&y, &n) };
    }
    for (i, &output) in call.outputs.iter().enumerate() {
        let part = e.scalar(DType::I64, i as f64)?;
        let part = e.node_with("Gather", &[&y, &part], vec![("axis", Field::Int(-1))]);
        e.put_plain(output, part);
    }
    Ok(())
}
