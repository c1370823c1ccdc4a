//! `OneOrMany`: settings that are one thing or a list of them, as in Keras: `8` or `[4, null, 2]`.

use crate::Result;
use crate::config::{Registry, Setting};
use serde_json::Value;

/// One value, or several in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> From<T> for OneOrMany<T> {
    fn from(one: T) -> OneOrMany<T> {
        OneOrMany(vec![one])
    }
}
impl<T, const N: usize> From<[T; N]> for OneOrMany<T> {
    fn from(all: [T; N]) -> OneOrMany<T> {
        OneOrMany(all.into())
    }
}
impl<T> From<Vec<T>> for OneOrMany<T> {
    fn from(all: Vec<T>) -> OneOrMany<T> {
        OneOrMany(all)
    }
}
impl From<usize> for OneOrMany<Option<usize>> {
    fn from(one: usize) -> Self {
        OneOrMany(vec![Some(one)])
    }
}
impl<const N: usize> From<[usize; N]> for OneOrMany<Option<usize>> {
    fn from(all: [usize; N]) -> Self {
        OneOrMany(all.map(Some).into())
    }
}

/// Stored in files as a list; a single value is read too.
impl<T: Setting> Setting for OneOrMany<T> {
    fn write(&self) -> Result<Value> {
        Ok(Value::Array(self.0.iter().map(T::write).collect::<Result<_>>()?))
    }
    fn read(value: Value, registry: &Registry) -> Result<OneOrMany<T>> {
        match value {
            Value::Array(all) => {
                Ok(OneOrMany(all.into_iter().map(|v| T::read(v, registry)).collect::<Result<_>>()?))
            }
            one => Ok(OneOrMany(vec![T::read(one, registry)?])),
        }
    }
}
