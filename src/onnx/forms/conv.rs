//! Convolutions. ONNX has channels first: images are read and left in that order, and weights are laid out for it.

use super::super::emit::{Call, Emit, Field};
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

/// The attributes that say where windows lie: amounts where they are the same for all sizes, else the rule.
pub(super) fn padding(
    e: &Emit<'_>,
    x: ValueId,
    [size, strides, dilation]: [&[usize]; 3],
    padding: &Padding,
) -> Result<Vec<(&'static str, Field)>> {
    let axes = size.len();
    let mut all = Vec::new();
    for graph in &e.traces.graphs {
        let Some(spec) = graph.spec(x) else { continue };
        let spatial = &spec.shape.dims()[1..=axes];
        let found = windows("onnx", spatial, size, strides, dilation, padding)?;
        all.push(found.iter().map(|w| w.before).chain(found.iter().map(|w| w.after)).collect::<Vec<_>>());
    }
    if all.iter().all(|pads| *pads == all[0]) {
        let none = all[0].iter().all(|n| *n == 0);
        return Ok(if none { Vec::new() } else { vec![("pads", ints(all.swap_remove(0)))] });
    }
    Ok(vec![("auto_pad", Field::Text("SAME_UPPER"))])
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
    fields.extend(padding(e, x, [&size, &strides, &dilation], &rule)?);
    for (name, list) in [("strides", &strides), ("dilations", &dilation)] {
        if list.iter().any(|n| *n != 1) {
            fields.push((name, ints(list.iter().copied())));
        }
    }
    if groups != 1 {
        fields.push(("group", Field::Int(groups as i64)));
    }
    let mut inputs = vec![e.stored(x, &order)?, e.stored(k, &kernel_order(rank))?];
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
