//! Layers that merge several tensors into one, element by element; and what all merging layers share: ranks and
//! masks, by Keras's rules.

use crate::error::Context;
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Node, Range, Value, Values};
use crate::shape::is_unknown;
use crate::tensor::{Few, Tensor};
use crate::{Error, Result, Spec};

/// Declares one layer per row: its formula over the inputs, brought to one rank, and the range of its values if it
/// follows from theirs.
macro_rules! merging {
    ($($(#[$doc:meta])* $layer:ident($x:ident) $(gives $range:ident)? = $formula:expr;)*) => {$(
        crate::settings! {
            $(#[$doc])*
            ///
            /// Axes of size 1 are broadcast; inputs with fewer axes get some after the batch axis. A position
            /// counts if it counts in any input, or if one of them has no mask.
            pub layer $layer {
                #[doc = concat!("The layer: `", stringify!($layer), "::new().on([&a, &b])`.")]
                new();
            }
        }
        crate::parts!($layer {});

        impl Build for $layer {
            fn build(&self, inputs: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
                check(stringify!($layer), inputs)?;
                Ok(Box::new(self.clone()))
            }
        }

        impl Node for $layer {
            fn call(&self, x: Inputs<'_>, _: &mut Cx) -> Result<Values> {
                let $x = &same_rank(x)?[..];
                Ok(Value::masked($formula?, mask(x)?).into())
            }
            fn is_row_wise(&self) -> bool {
                true
            }
            $(
                fn output_range(&self, _: usize, inputs: &[Option<Range>]) -> Option<Range> {
                    $range(inputs)
                }
            )?
        }
    )*};
}

merging! {
    /// `a + b + …`.
    Add(x) = fold(x, Tensor::add);

    /// `a - b` of exactly two inputs.
    Subtract(x) = match x {
        [a, b] => a.tensor.sub(&b.tensor),
        all => Err(Error::argument("inputs", "exactly two inputs", all.len())),
    };

    /// `a · b · …`. An input counts as 1 where its mask is false; where no input counts, the output is 0.
    Multiply(x) gives of_units = product(x);

    /// `(a + b + …) / n`.
    Average(x) gives united = {
        let sum = fold(x, Tensor::add)?;
        sum.div(&sum.new_full([], x.len() as f64)?)
    };

    /// The largest of the inputs. Masked elements are left out, unless there is nothing else.
    Maximum(x) gives joined = extreme(x, Tensor::maximum);

    /// The smallest of the inputs. Masked elements are left out, unless there is nothing else.
    Minimum(x) gives joined = extreme(x, Tensor::minimum);
}

/// The range of a mean: it lies between its parts, and means of probabilities add up to 1.
fn united(inputs: &[Option<Range>]) -> Option<Range> {
    Range::united(inputs)
}

/// The range where each element comes from one of the inputs.
fn joined(inputs: &[Option<Range>]) -> Option<Range> {
    Range::united(inputs).map(Range::moved)
}

/// The range of products: products of probabilities are from 0 to 1; nothing is known of others.
fn of_units(inputs: &[Option<Range>]) -> Option<Range> {
    joined(inputs).filter(Range::is_unit)
}

type Pair = fn(&Tensor, &Tensor) -> Result<Tensor>;

/// Computes `f(f(a, b), c)…`, from the left.
fn fold(x: &[Value], f: Pair) -> Result<Tensor> {
    let mut rest = x.iter().map(|v| &v.tensor);
    let first = rest.next().ok_or_else(none)?.clone();
    rest.try_fold(first, |y, x| f(&y, x))
}

fn product(x: &[Value]) -> Result<Tensor> {
    let masks = x.iter().map(whole_mask).collect::<Result<Few<_, 2>>>()?;
    let factor = |(v, mask): (&Value, &Option<Tensor>)| -> Result<Value> {
        Ok(match mask {
            Some(mask) => mask.choose(&v.tensor, &v.tensor.new_full([], 1.0)?)?.into(),
            None => v.tensor.clone().into(),
        })
    };
    let y = fold(&x.iter().zip(&masks).map(factor).collect::<Result<Few<_, 2>>>()?, Tensor::mul)?;
    match masks.into_iter().collect::<Option<Few<Tensor, 2>>>() {
        None => Ok(y),
        Some(masks) => {
            let masks: Few<Value, 2> = masks.into_iter().map(Value::from).collect();
            fold(&masks, Tensor::logical_or)?.choose(&y, &y.new_full([], 0.0)?)
        }
    }
}

/// Merges two inputs at a time; where only one of the two counts, it is taken.
fn extreme(x: &[Value], f: Pair) -> Result<Tensor> {
    let (first, rest) = x.split_first().ok_or_else(none)?;
    let (mut y, mut counts) = (first.tensor.clone(), whole_mask(first)?);
    for v in rest {
        let mask = whole_mask(v)?;
        let other = match &mask {
            Some(mask) => mask.choose(&v.tensor, &y)?,
            None => v.tensor.clone(),
        };
        if let Some(counts) = &counts {
            y = counts.choose(&y, &other)?;
        }
        counts = match (counts, mask) {
            (Some(a), Some(b)) => Some(a.logical_or(&b)?),
            _ => None,
        };
        y = f(&y, &other)?;
    }
    Ok(y)
}

fn none() -> Error {
    Error::argument("inputs", "a list of at least one input, [&a, &b]", "none")
}

/// Fails unless there are inputs, all with one batch size.
pub(super) fn check(layer: &'static str, inputs: &[Spec]) -> Result<()> {
    let first = inputs.first().ok_or_else(none)?;
    for spec in inputs {
        let batches = (first.shape.dims().first(), spec.shape.dims().first());
        match batches {
            (Some(a), Some(b)) if a == b || is_unknown(*a) || is_unknown(*b) => {}
            (Some(_), Some(_)) => {
                return Err(Error::shapes(layer, first.shape, spec.shape, "the batches differ"));
            }
            _ => return Err(Error::shape(layer, "inputs with a batch", spec.shape)),
        }
    }
    Ok(())
}

/// Returns the inputs, with axes of size 1 after the batch axis where they have fewer than others. As in Keras,
/// values are then computed regardless of masks.
fn same_rank(x: Inputs<'_>) -> Result<Few<Value, 2>> {
    let rank = x.values().iter().map(|v| v.tensor.rank()).max().unwrap_or(0);
    let unequal = x.values().iter().any(|v| v.tensor.rank() != rank);
    let widened = |v: &Value| {
        let mut t = v.tensor.clone();
        while t.rank() < rank {
            t = t.expand_dims(1)?;
        }
        Ok(Value::masked(t, if unequal { None } else { v.mask.clone() }))
    };
    x.values().iter().map(widened).collect()
}

/// Returns where any input counts; everywhere if one has no mask.
fn mask(x: Inputs<'_>) -> Result<Option<Tensor>> {
    let mut out: Option<Tensor> = None;
    for value in x.values() {
        let Some(mask) = &value.mask else { return Ok(None) };
        out = Some(match out {
            Some(others) => others.logical_or(mask).at(|| "mask")?,
            None => mask.clone(),
        });
    }
    Ok(out)
}

/// Broadcasts the mask of an input to all of its elements.
pub(super) fn whole_mask(v: &Value) -> Result<Option<Tensor>> {
    let Some(mask) = &v.mask else { return Ok(None) };
    let mut mask = mask.clone();
    while mask.rank() < v.tensor.rank() {
        mask = mask.expand_dims(-1)?;
    }
    mask.broadcast_like(&v.tensor).at(|| "mask").map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    /// Values from Keras 3.15 for masked inputs: the first counts at positions 0 and 1, the second at 0.
    #[test]
    fn masked_inputs_merge_as_in_keras() -> Result<()> {
        let of = |x: [f64; 3], counts: [i64; 3]| -> Result<Value> {
            let mask = Tensor::from_slice(&counts, [1, 3])?.cast(DType::Bool)?;
            Ok(Value::masked(Tensor::from_slice(&x, [1, 3, 1])?, Some(mask)))
        };
        let x = [of([2.0, -3.0, 7.0], [1, 1, 0])?, of([4.0, 9.0, 8.0], [1, 0, 0])?];
        let cases: [(&dyn Node, [f64; 3]); 3] = [
            (&Maximum::new(), [4.0, -3.0, 7.0]),
            (&Minimum::new(), [2.0, -3.0, 7.0]),
            (&Multiply::new(), [8.0, -3.0, 0.0]),
        ];
        for (layer, want) in cases {
            let y = layer.call(Inputs::new(&x), &mut Cx::infer())?.single()?;
            assert_eq!(y.tensor.to_vec::<f64>()?, want, "{layer:?}");
            let mask = y.mask.map(|m| m.cast(DType::F64)?.to_vec::<f64>()).transpose()?;
            assert_eq!(mask, Some(vec![1.0, 1.0, 0.0]));
        }
        Ok(())
    }
}
