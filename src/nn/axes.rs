//! Settings that are one axis or several.

use crate::config::generated::wrong;
use crate::config::{Registry, Setting};
use crate::{Result, Shape};
use serde_json::Value;

/// One axis or several: `-1`, `[1, 2]`. Negative ones count from the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axes(Vec<isize>);

impl Axes {
    /// All of them, as they were given.
    pub fn list(&self) -> &[isize] {
        &self.0
    }

    /// All of them, counted from the front.
    ///
    /// # Errors
    /// One is out of range, or there twice; the message names `what`.
    pub fn of(&self, what: &'static str, shape: &Shape) -> Result<Vec<usize>> {
        let axes = self.0.iter().map(|&axis| shape.axis(what, axis)).collect::<Result<Vec<usize>>>()?;
        match (1..axes.len()).any(|i| axes[..i].contains(&axes[i])) {
            false => Ok(axes),
            true => Err(crate::Error::argument(what, "each axis once", format!("{:?}", self.0))),
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

/// In files: a number, or a list.
impl Setting for Axes {
    fn write(&self) -> Result<Value> {
        match self.0[..] {
            [axis] => axis.write(),
            _ => self.0.write(),
        }
    }
    fn read(value: Value, registry: &Registry) -> Result<Axes> {
        match value {
            Value::Number(_) => isize::read(value, registry).map(Axes::from),
            Value::Array(_) => Vec::read(value, registry).map(Axes),
            other => Err(wrong("an axis or a list of axes", &other)),
        }
    }
}
