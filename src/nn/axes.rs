//! `Axes`: settings that are one axis or several.

use crate::config::generated::wrong;
use crate::config::{Registry, Setting};
use crate::shape::is_unknown;
use crate::{Error, Result, Shape, Spec};
use serde_json::Value;

/// One axis or several: `-1`, `[1, 2]`. Negative ones count from the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axes(Vec<isize>);

impl Axes {
    /// Returns all of them, as they were given.
    pub fn list(&self) -> &[isize] {
        &self.0
    }

    /// Returns all of them, counted from the front.
    ///
    /// # Errors
    /// One is out of range or given twice; the message names `what`.
    pub fn of(&self, what: &'static str, shape: &Shape) -> Result<Vec<usize>> {
        let axes = self.0.iter().map(|&axis| shape.axis(what, axis)).collect::<Result<Vec<usize>>>()?;
        match (1..axes.len()).any(|i| axes[..i].contains(&axes[i])) {
            false => Ok(axes),
            true => Err(Error::argument(what, "each axis once", format!("{:?}", self.0))),
        }
    }
}

impl From<isize> for Axes {
    fn from(axis: isize) -> Axes {
        Axes(vec![axis])
    }
}
impl<const N: usize> From<[isize; N]> for Axes {
    fn from(axes: [isize; N]) -> Axes {
        Axes(axes.to_vec())
    }
}
impl From<Vec<isize>> for Axes {
    fn from(axes: Vec<isize>) -> Axes {
        Axes(axes)
    }
}

/// Stored in files as a number or a list; null for none.
impl Setting for Axes {
    fn write(&self) -> Result<Value> {
        match self.0[..] {
            [axis] => axis.write(),
            _ => self.0.write(),
        }
    }
    fn read(value: Value, registry: &Registry) -> Result<Axes> {
        match value {
            Value::Null => Ok(Axes(Vec::new())),
            Value::Number(_) => isize::read(value, registry).map(Axes::from),
            Value::Array(_) => Vec::read(value, registry).map(Axes),
            other => Err(wrong("an axis or a list of axes", &other)),
        }
    }
}

impl Axes {
    /// [`Axes::of`] in ascending order.
    pub(crate) fn sorted(&self, what: &'static str, shape: &Shape) -> Result<Vec<usize>> {
        let mut axes = self.of(what, shape)?;
        axes.sort_unstable();
        Ok(axes)
    }

    /// Returns the axes of inputs like this one, counted from the front, in ascending order.
    ///
    /// # Errors
    /// There are none, one is out of range, or one is given twice.
    pub(crate) fn ascending(&self, layer: &'static str, input: Spec) -> Result<Vec<isize>> {
        if self.0.is_empty() {
            return Err(Error::argument("axis", "at least one axis", "none"));
        }
        Ok(self.sorted(layer, &input.shape)?.into_iter().map(|axis| axis as isize).collect())
    }
}

/// Returns the size of an axis (counted from 0) that a parameter will have.
///
/// # Errors
/// The size is not known before data arrives.
pub(crate) fn known_size(layer: &'static str, input: Spec, axis: isize) -> Result<usize> {
    match input.shape.dims().get(axis as usize) {
        Some(&n) if n > 0 && !is_unknown(n) => Ok(n),
        _ => {
            let expected = format!("inputs whose size at axis {axis} is known and not 0");
            Err(Error::shape(layer, expected, input.shape))
        }
    }
}
