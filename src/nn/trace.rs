//! Finds shapes: a network runs twice on tensors without values, with two sets of sizes, and a size that differs
//! between the two is unknown. So no layer declares its output's shape, and a loop over an axis just runs.

use super::{Cx, Init, Node, Value, Values, arguments};
use crate::shape::is_unknown;
use crate::tensor::{Array, Tensor};
use crate::{Error, Result, Shape, Spec};

/// The size of the batch in the two traces.
const BATCH: [usize; 2] = [24, 40];

/// The other unknown sizes in the two traces, in order: 64 times different odd numbers, so that halving and
/// doubling get back to where they began, and no two sizes are confused.
const OTHER: [[usize; 7]; 2] =
    [[192, 448, 704, 960, 1216, 1472, 1728], [320, 576, 832, 1088, 1344, 1600, 1856]];

/// The same thing in the two traces.
pub(crate) type Twin<T> = [T; 2];

/// The sizes that are tried for the unknown axes of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// A different size for each axis: nothing may depend on two being equal.
    Apart,
    /// One size for all axes: a second try for networks that need it, such as one with a mask `[time, time]`.
    Equal,
}

impl Sizes {
    pub(crate) const ALL: [Sizes; 2] = [Sizes::Apart, Sizes::Equal];

    /// Returns whether both kinds give these specs the same sizes.
    pub(crate) fn agree(spec: Spec) -> bool {
        spec.shape.dims().iter().skip(1).filter(|d| is_unknown(**d)).count() < 2
    }
}

/// Returns both traces' specs for a spec with unknown sizes. The first axis is the batch.
pub(crate) fn trial(spec: Spec, sizes: Sizes) -> Twin<Spec> {
    [0, 1].map(|trace| {
        let mut shape = spec.shape;
        let mut next = OTHER[trace].iter();
        for (axis, d) in shape.dims_mut().iter_mut().enumerate() {
            if is_unknown(*d) {
                *d = match (axis, sizes) {
                    (0, _) => BATCH[trace],
                    (_, Sizes::Equal) => OTHER[trace][0],
                    (_, Sizes::Apart) => next.next().copied().unwrap_or(BATCH[trace]),
                };
            }
        }
        Spec::new(shape, spec.dtype)
    })
}

/// Returns a value without numbers in both traces.
pub(crate) fn traced(spec: Spec, sizes: Sizes) -> Twin<Value> {
    trial(spec, sizes).map(|spec| Tensor::from(Array::traced(spec)).into())
}

/// Runs `f` with unknown sizes that are all different and, if that fails, with equal ones. If that fails too,
/// returns its error, because the problem is not that they differ.
pub(crate) fn either<T>(inputs: &[Spec], mut f: impl FnMut(&[Twin<Value>]) -> Result<T>) -> Result<T> {
    let mut with = |sizes: Sizes| {
        let values: Vec<_> = inputs.iter().map(|spec| traced(*spec, sizes)).collect();
        f(&values)
    };
    match with(Sizes::Apart) {
        Err(_) if !inputs.iter().all(|spec| Sizes::agree(*spec)) => with(Sizes::Equal),
        result => result,
    }
}

/// Returns what is known of a value from both traces: a size that differs is unknown.
///
/// # Errors
/// The rank or dtype differs.
pub(crate) fn united(value: &Twin<Value>) -> Result<Spec> {
    let [a, b] = [0, 1].map(|i| value[i].spec());
    if a.shape.rank() != b.shape.rank() || a.dtype != b.dtype {
        let expected = "outputs whose number of axes and dtype do not depend on the sizes of the inputs";
        return Err(Error::argument("forward", expected, format!("{a} for some sizes, {b} for others")));
    }
    let shape = a.shape.united(&b.shape);
    within_reason(&shape)?;
    Ok(Spec::new(shape, a.dtype))
}

/// Refuses sizes that do not fit in any memory, before arithmetic on them can overflow.
pub(crate) fn within_reason(shape: &Shape) -> Result<()> {
    const MAX: u64 = 1 << 40; // more than a 32-bit `usize` holds
    let known = shape.dims().iter().filter(|&&d| !is_unknown(d));
    match known.copied().try_fold(1usize, usize::checked_mul) {
        Some(n) if n as u64 <= MAX => Ok(()),
        _ => Err(Error::shape("shape", "samples of at most 2^40 elements", *shape)),
    }
}

/// Calls a layer in both traces. The last inputs have `names`, and the last of these are `masks` of others. The
/// first trace builds parts that are not built yet.
///
/// # Errors
/// Those of the layer, without the sizes of the traces.
pub(crate) fn call(
    node: &dyn Node,
    inputs: &[Twin<Value>],
    names: &[String],
    masks: &[usize],
    init: &mut Init,
) -> Result<Vec<Twin<Value>>> {
    let run = |trace: usize, init: &mut Init| -> Result<Values> {
        let mut values: Vec<Value> = inputs.iter().map(|twin| twin[trace].clone()).collect();
        let inputs = arguments::bound(&mut values, names, masks)?;
        Cx::building(init, |cx| node.call(inputs, cx))
    };
    let [a, b] = agreed([run(0, init), run(1, init)])?;
    if a.len() != b.len() {
        let got = format!("{} for some sizes, {} for others", a.len(), b.len());
        return Err(Error::argument("forward", "as many outputs for any sizes", got));
    }
    let twins: Vec<Twin<Value>> = a.into_iter().zip(b).map(|(a, b)| [a, b]).collect();
    twins.iter().try_for_each(|twin| united(twin).map(|_| ()))?;
    Ok(twins)
}

/// Returns what both traces gave.
///
/// # Errors
/// That of a trace, without its sizes.
pub(crate) fn agreed<T>(traces: Twin<Result<T>>) -> Result<Twin<T>> {
    let sizes: Vec<usize> = OTHER.iter().flatten().chain(&BATCH).copied().collect();
    match traces {
        [Ok(a), Ok(b)] => Ok([a, b]),
        [Err(a), Err(b)] => Err(a.united(b)),
        [Err(error), Ok(_)] | [Ok(_), Err(error)] => Err(error.without(&sizes)),
    }
}

/// Returns the spec of a traced tensor with its batch unknown: a part sees only one trace, and is built for this.
pub(crate) fn batch_unknown(mut spec: Spec) -> Spec {
    if let Some(d) = spec.shape.dims_mut().first_mut().filter(|d| BATCH.contains(*d)) {
        *d = crate::shape::UNKNOWN;
    }
    spec
}
