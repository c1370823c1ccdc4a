//! Resolves the inputs of a layer's call: which input is which, by position or by name, and which ones are masks of
//! others.

use super::{Build, Inputs, Value};
use crate::{DType, Error, Result};

/// Checks how inputs are given to a layer, the last of them under `names`, and returns which of these are masks.
///
/// A name that the layer declares ([`Build::input_names`]) is an input of its own. Otherwise `mask` is the mask of
/// the first input by position (a second `mask` that of the second one, as in Keras's `mask=[a, b]`), and
/// `value_mask` that of the input `value`. Masks come last: the result holds, for each, the number of the input
/// that it belongs to.
///
/// # Errors
/// There are too many inputs by position, a name is unknown, or an input is given twice.
pub(super) fn masks_of(layer: &dyn Build, inputs: usize, names: &[String]) -> Result<Vec<usize>> {
    let (own, order, lists) = (layer.input_names(), layer.positional_names(), layer.list_names());
    let positional = inputs.saturating_sub(names.len());
    let endless = order.last().is_none_or(|last| lists.contains(last));
    if positional > order.len() && !endless {
        let expected = format!("at most {} by position ({})", order.len(), order.join(", "));
        return Err(Error::argument("inputs", expected, positional));
    }
    // An input under the name that Keras gives it, whatever its position.
    let taken = &order[..positional.min(order.len())];
    let find = |name: &str| {
        let by_position = || taken.iter().position(|taken| *taken == name);
        let by_name = names.iter().position(|given| given == name).filter(|_| own.contains(&name));
        by_position().or(by_name.map(|i| positional + i))
    };
    let mut masks: Vec<usize> = Vec::new();
    for (i, name) in names.iter().enumerate() {
        if own.contains(&name.as_str()) {
            if taken.contains(&name.as_str()) {
                return Err(twice(name, "by position and by name"));
            }
            if names[..i].contains(name) && !lists.contains(&name.as_str()) {
                return Err(twice(name, "twice by name"));
            }
            if !masks.is_empty() {
                return Err(Error::argument("inputs", "masks after all other inputs", escaped(name)));
            }
            continue;
        }
        let of = match name.strip_suffix("_mask") {
            Some(input) => find(input),
            None if name == "mask" => {
                Some(names[..i].iter().filter(|before| *before == name).count()).filter(|&n| n < positional)
            }
            None => None,
        };
        match of {
            Some(of) if masks.contains(&of) => return Err(twice(name, "a second time")),
            Some(of) => masks.push(of),
            None => return Err(unknown(own, name)),
        }
    }
    Ok(masks)
}

fn escaped(name: &str) -> String {
    format!("'{}'", name.escape_debug())
}

fn twice(name: &str, how: &str) -> Error {
    Error::argument("inputs", "each input once", format!("{} {how}", escaped(name)))
}

fn unknown(own: &[&str], name: &str) -> Error {
    let names: Vec<&str> = own.iter().copied().chain(["mask"]).collect();
    let expected = format!("inputs by position, or named {}", names.join(", "));
    Error::argument("inputs", expected, format!("one named {}", escaped(name)))
}

/// Returns whether a name given to a layer is that of a mask, rather than of an input of its own.
pub(super) fn is_mask(layer: &dyn Build, name: &str) -> bool {
    !layer.input_names().contains(&name) && (name == "mask" || name.ends_with("_mask"))
}

/// Returns the inputs of a call. The last of `values` are `masks` (from [`masks_of`]) and become the masks of the
/// others; such a mask replaces the value's own.
///
/// # Errors
/// A mask does not fit the first axes of its input.
pub(super) fn bound<'a>(values: &'a mut [Value], names: &'a [String], masks: &[usize]) -> Result<Inputs<'a>> {
    let inputs = values.len().saturating_sub(masks.len());
    let (values, given) = values.split_at_mut(inputs);
    for (mask, &of) in given.iter().zip(masks) {
        let Some(value) = values.get_mut(of) else {
            return Err(Error::argument("mask", "a mask of an input", of));
        };
        let (mask, rank) = (&mask.tensor, value.tensor.rank());
        if mask.rank() == 0 || mask.rank() > rank || mask.dims()[0] != value.tensor.dims()[0] {
            let expected =
                format!("whether each position counts, of the first axes of {}", value.tensor.shape());
            return Err(Error::argument("mask", expected, format!("a mask of shape {}", mask.shape())));
        }
        value.mask = Some(mask.cast(DType::Bool)?);
    }
    Inputs::with_names(values, &names[..names.len().saturating_sub(masks.len())])
}
