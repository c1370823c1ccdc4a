//! Resizing. What `Resize` of ONNX does not compute alike is a product with the weights along each axis.

use super::super::emit::{Call, Emit, Field};
use super::Form::As;
use super::Row;
use super::conv::channels_first;
use crate::ops::Interpolation;
use crate::{DType, Error, Result, Tensor};

pub(super) const FORMS: &[Row] = &[("resize", As("Resize; of filters that it has not, MatMul", resize))];

/// The new size of an axis: `=8` or `*2`.
enum Extent {
    Size(usize),
    Times(usize),
}

fn extents(text: &str) -> Option<Vec<Extent>> {
    let extent = |word: &str| match word.strip_prefix('=') {
        Some(n) => n.parse().ok().map(Extent::Size),
        None => word.strip_prefix('*')?.parse().ok().map(Extent::Times),
    };
    text.split(", ").map(extent).collect()
}

fn resize(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let (from, out) = (call.inputs[0], call.outputs[0]);
    let rank = e.rank(from);
    let order = channels_first(rank);
    let (by, antialias): (Interpolation, bool) = (call.attr("interpolation")?, call.attr("antialias")?);
    let to: String = call.attr("to")?;
    let to = extents(&to).ok_or_else(|| Error::argument("onnx", "sizes such as =8 or *2", &to))?;
    let x = e.stored(from, &order)?;
    let smaller = to.iter().enumerate().any(|(i, extent)| match extent {
        Extent::Size(n) => e.number(from, i + 1).is_none_or(|old| *n < old),
        Extent::Times(_) => false,
    });
    let fixed = (1..rank - 1).all(|axis| e.number(from, axis).is_some() && e.number(out, axis).is_some());
    let same = match by {
        Interpolation::Nearest => true,
        Interpolation::Bilinear => !(antialias && smaller),
        // ONNX Runtime's takes images in float32 alone, in some layouts.
        Interpolation::Bicubic => rank == 4 && !antialias && !fixed,
        _ => false,
    };
    let y = if same { operator(e, call, &x, &to, by)? } else { products(e, call, x, by, antialias)? };
    e.put(out, y, order);
    Ok(())
}

fn operator(e: &mut Emit<'_>, call: &Call, x: &str, to: &[Extent], by: Interpolation) -> Result<String> {
    let (mode, rule, nearest) = match by {
        // Of a multiple, each pixel is repeated.
        Interpolation::Nearest if to.iter().all(|e| matches!(e, Extent::Times(_))) => {
            ("nearest", "asymmetric", "floor")
        }
        Interpolation::Nearest => ("nearest", "half_pixel", "round_prefer_ceil"),
        Interpolation::Bilinear => ("linear", "half_pixel", ""),
        _ => ("cubic", "half_pixel", ""),
    };
    let mut fields = vec![("mode", Field::Text(mode)), ("coordinate_transformation_mode", Field::Text(rule))];
    match mode {
        "nearest" => fields.push(("nearest_mode", Field::Text(nearest))),
        "cubic" => fields.extend([("cubic_coeff_a", Field::Float(-0.5)), ("exclude_outside", Field::Int(1))]),
        _ => {}
    }
    if to.iter().all(|e| matches!(e, Extent::Times(_))) {
        let factors = [1.0, 1.0]
            .into_iter()
            .chain(to.iter().map(|e| if let Extent::Times(n) = e { *n as f32 } else { 1.0 }));
        let factors: Vec<f32> = factors.collect();
        let factors = Tensor::from_slice(&factors, [factors.len()])?;
        let scales = e.add("scales", factors);
        return Ok(e.node_with("Resize", &[x, "", &scales], fields));
    }
    let (from, out) = (call.inputs[0], call.outputs[0]);
    let mut sizes = e.sizes_of(out, &[from])?;
    let channels = sizes.pop();
    sizes.splice(1..1, channels);
    let sizes = e.shape(&sizes)?;
    Ok(e.node_with("Resize", &[x, "", "", &sizes], fields))
}

/// Along one axis after another, with the weights that gradus itself has.
fn products(
    e: &mut Emit<'_>,
    call: &Call,
    mut x: String,
    by: Interpolation,
    antialias: bool,
) -> Result<String> {
    let (from, out) = (call.inputs[0], call.outputs[0]);
    let (rank, dtype) = (e.rank(from), e.spec(from).dtype);
    for axis in 1..rank - 1 {
        let (Some(n), Some(m)) = (e.number(from, axis), e.number(out, axis)) else {
            let expected = format!("images of fixed sizes (Export::inputs) for {} resizing", by.name());
            return Err(Error::argument(
                "onnx",
                expected,
                format!("an unknown size of spatial axis {}", axis - 1),
            ));
        };
        if n == m {
            continue;
        }
        let eye = Tensor::arange(n)?.expand_dims(1)?.equal(&Tensor::arange(n)?)?.cast(DType::F64)?;
        let weights = eye.expand_dims(2)?.resize(&[m], by, antialias)?.squeeze(2)?.cast(dtype)?;
        let weights = e.add("weights", weights);
        // The axis goes last, and back.
        let mut last: Vec<i64> = (0..rank as i64).collect();
        last.swap(axis + 1, rank - 1);
        if axis + 1 == rank - 1 {
            x = e.node("MatMul", &[&x, &weights]);
        } else {
            x = e.transpose(&x, &last);
            x = e.node("MatMul", &[&x, &weights]);
            x = e.transpose(&x, &last);
        }
    }
    Ok(x)
}
