//! The axes that a layer works over, as Keras's `axis` says them: one, or a list.

use crate::config::generated::wrong;
use crate::config::{Registry, Setting};
use crate::shape::is_unknown;
use crate::{Error, Result, Spec};
use serde_json::Value;

/// One axis or several: `-1`, `[1, 2]`. Negative numbers count from the last axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AxisSet(pub Vec<isize>);

impl From<isize> for AxisSet {
    fn from(axis: isize) -> AxisSet {
        AxisSet(vec![axis])
    }
}
impl From<Vec<isize>> for AxisSet {
    fn from(axes: Vec<isize>) -> AxisSet {
        AxisSet(axes)
    }
}
impl<const N: usize> From<[isize; N]> for AxisSet {
    fn from(axes: [isize; N]) -> AxisSet {
        AxisSet(axes.to_vec())
    }
}

/// In files: a number, or a list.
impl Setting for AxisSet {
    fn write(&self) -> Result<Value> {
        match &self.0[..] {
            [axis] => axis.write(),
            _ => self.0.write(),
        }
    }
    fn read(value: Value, registry: &Registry) -> Result<AxisSet> {
        match value {
            Value::Number(_) => Ok(AxisSet(vec![isize::read(value, registry)?])),
            Value::Array(_) => Ok(AxisSet(Vec::read(value, registry)?)),
            other => Err(wrong("a whole number or a list of them", &other)),
        }
    }
}

impl AxisSet {
    /// The axes of inputs like this one, in ascending order.
    ///
    /// # Errors
    /// There is none, one is out of range or one is there twice.
    pub fn of(&self, layer: &'static str, input: Spec) -> Result<Vec<isize>> {
        if self.0.is_empty() {
            return Err(Error::argument("axis", "at least one axis", "none"));
        }
        let at = |axis: &isize| Ok(input.shape.axis(layer, *axis)? as isize);
        let mut axes = self.0.iter().map(at).collect::<Result<Vec<isize>>>()?;
        axes.sort_unstable();
        match axes.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Error::argument("axis", "each axis once", format!("axis {} twice", pair[0]))),
            None => Ok(axes),
        }
    }
}

/// The size of an axis (from 0 on), which a parameter is to have.
///
/// # Errors
/// It is not known before data comes.
pub(crate) fn known_size(layer: &'static str, input: Spec, axis: isize) -> Result<usize> {
    match input.shape.dims().get(axis as usize) {
        Some(&n) if n > 0 && !is_unknown(n) => Ok(n),
        _ => Err(Error::shape(
            layer,
            format!("inputs whose size at axis {axis} is known and not 0"),
            input.shape,
        )),
    }
}
