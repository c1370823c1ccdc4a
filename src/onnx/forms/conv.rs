//! Convolutions. ONNX has channels first: images are read and left in that order, and weights are laid out for it.

use super::super::emit::{Call, Emit, Field};
use super::super::traces::Size;
use super::Form::As;
use super::Row;
use super::products::activated;
use crate::graph::ValueId;
use crate::ops::Padding;
use crate::ops::window::windows;
use crate::{Error, Result};

pub(super) const FORMS: &[Row] =
    &[("conv", As("Conv; an activation", conv)), ("conv_transpose", As("ConvTranspose", conv_transpose))];

/// The order of images `[batch, axes…, channels]` whose channels lie after the batch.
pub(super) fn channels_first(rank: usize) -> Vec<usize> {
    let mut order: Vec<usize> = std::iter::once(0).chain(2..rank).collect();
    order.push(1);
    order
}

/// The order of a kernel `[windows…, inputs, outputs]` that lies as `[outputs, inputs, windows…]`.
fn kernel_order(rank: usize) -> Vec<usize> {
    (2..rank).chain([1, 0]).collect()
}

fn ints(list: impl IntoIterator<Item = usize>) -> Field {
    Field::Ints(list.into_iter().map(|n| n as i64).collect())
}

/// Says where windows lie on images `name`, which are the value `x` channels first: returns attributes, and the images,
/// to which what windows see beyond them is added if no attribute can say how much that is.
pub(super) fn padding(
    e: &mut Emit<'_>,
    (x, name): (ValueId, String),
    [size, strides, dilation]: [&[usize]; 3],
    (padding, fill): (&Padding, f64),
) -> Result<(String, Vec<(&'static str, Field)>)> {
    let axes = size.len();
    let reach: Vec<usize> =
        size.iter().zip(dilation).map(|(size, dilation)| (size - 1) * dilation + 1).collect();
    // With padding that is "same", steps of several elements may end anywhere on an axis.
    let open = |i: usize| strides[i] > 1 && reach[i] > 1 && e.number(x, i + 1).is_none();
    if !matches!(padding, Padding::Same) || !(0..axes).any(open) {
        let shape = e.spec(x).shape;
        let windows = windows("onnx", &shape.dims()[1..=axes], size, strides, dilation, padding)?;
        let pads: Vec<usize> =
            windows.iter().map(|w| w.before).chain(windows.iter().map(|w| w.after)).collect();
        let none = pads.iter().all(|n| *n == 0);
        return Ok((name, if none { Vec::new() } else { vec![("pads", ints(pads))] }));
    }
    // The rule itself is for windows that leave nothing out, without dilation: ONNX Runtime refuses others, or counts
    // negative amounts.
    if size.iter().zip(strides).all(|(size, stride)| size >= stride) && dilation.iter().all(|n| *n == 1) {
        return Ok((name, vec![("auto_pad", Field::Text("SAME_UPPER"))]));
    }
    let sizes: Vec<Size> = (0..axes).map(|i| e.size(x, i + 1)).collect();
    let list = |list: &[usize]| list.iter().map(|n| *n as i64).collect::<Vec<_>>();
    let n = e.shape(&sizes)?;
    let (step, reach) = (e.ints(&list(strides))?, e.ints(&list(&reach))?);
    let (zero, one, two) = (e.ints(&[0])?, e.ints(&[1])?, e.ints(&[2])?);
    let last = e.sub(&n, &one);
    let last = e.div(&last, &step);
    let last = e.mul(&last, &step);
    let covered = e.add2(&last, &reach);
    let more = e.sub(&covered, &n);
    let more = e.node("Max", &[&more, &zero]);
    let before = e.div(&more, &two);
    let after = e.sub(&more, &before);
    let rest = e.ints(&[0, 0])?;
    let pads = e.node_with("Concat", &[&rest, &before, &rest, &after], vec![("axis", Field::Int(0))]);
    let fill = e.scalar(e.spec(x).dtype, fill)?;
    Ok((e.node("Pad", &[&name, &pads, &fill]), Vec::new()))
}

fn conv(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let (x, k) = (call.inputs[0], call.inputs[1]);
    let rank = e.rank(x);
    let order = channels_first(rank);
    let (strides, dilation, groups): (_, _, usize) =
        (call.list("strides")?, call.list("dilation_rate")?, call.attr("groups")?);
    let size = e.spec(k).shape.dims()[..rank - 2].to_vec();
    let rule: Padding = call.attr("padding")?;
    let mut fields = vec![("kernel_shape", ints(size.iter().copied()))];
    let images = e.stored(x, &order)?;
    let (images, pads) = padding(e, (x, images), [&size, &strides, &dilation], (&rule, 0.0))?;
    fields.extend(pads);
    for (name, list) in [("strides", &strides), ("dilations", &dilation)] {
        if list.iter().any(|n| *n != 1) {
            fields.push((name, ints(list.iter().copied())));
        }
    }
    if groups != 1 {
        fields.push(("group", Field::Int(groups as i64)));
    }
    let mut inputs = vec![images, e.stored(k, &kernel_order(rank))?];
    if let Some(&bias) = call.inputs.get(2) {
        inputs.push(e.plain(bias)?);
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let y = e.node_with("Conv", &inputs, fields);
    let y = activated(e, call, y)?;
    e.put(call.outputs[0], y, order);
    Ok(())
}

/// ONNX cuts `pads` off what all places cover, and adds `output_padding` at the end.
fn conv_transpose(e: &mut Emit<'_>, call: &Call) -> Result<()> {
    let (x, k) = (call.inputs[0], call.inputs[1]);
    let rank = e.rank(x);
    let order = channels_first(rank);
    let (strides, dilation) = (call.list("strides")?, call.list("dilation_rate")?);
    let size = e.spec(k).shape.dims()[..rank - 2].to_vec();
    let rule: Padding = call.attr("padding")?;
    let more: Option<Vec<i64>> = call.attr("output_padding")?;
    let (mut before, mut after, mut added) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (&size, &stride)) in size.iter().zip(&strides).enumerate() {
        let reach = (size - 1) * dilation[i] + 1;
        let more = more.as_ref().map(|more| more[i] as usize);
        let (length, cut) = match rule {
            Padding::Same => {
                let length = more.map_or(stride, |more| reach % 2 + more);
                let outside = (reach + length).saturating_sub(2);
                (length, reach - 1 - (outside - outside / 2).min(reach - 1))
            }
            Padding::Valid => (more.map_or(reach.max(stride), |more| reach + more), 0),
            _ => return Err(Error::argument("onnx", "padding that is valid or same", &rule)),
        };
        before.push(cut);
        after.push(reach.saturating_sub(cut + length));
        added.push((cut + length).saturating_sub(reach));
    }
    let mut fields =
        vec![("kernel_shape", ints(size)), ("strides", ints(strides)), ("dilations", ints(dilation))];
    fields.push(("pads", ints(before.into_iter().chain(after))));
    if added.iter().any(|n| *n != 0) {
        fields.push(("output_padding", ints(added)));
    }
    let (x, k) = (e.stored(x, &order)?, e.stored(k, &kernel_order(rank))?);
    let y = e.node_with("ConvTranspose", &[&x, &k], fields);
    e.put(call.outputs[0], y, order);
    Ok(())
}
