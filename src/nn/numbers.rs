//! `Numbers`: constants in a layer's settings, as one number, a list, or nested lists.

use crate::config::generated::wrong;
use crate::config::{Registry, Setting};
use crate::tensor::Tensor;
use crate::{DType, Error, MAX_RANK, Result, Shape};
use serde_json::Value;

/// One number, a list of them or lists of lists of one length: `0.5`, `[0.1, 0.2]`, `[[1.0, 2.0], [3.0, 4.0]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    shape: Shape,
    values: Vec<f64>,
}

impl From<f64> for Numbers {
    fn from(value: f64) -> Numbers {
        Numbers { shape: Shape::SCALAR, values: vec![value] }
    }
}
impl<const N: usize> From<[f64; N]> for Numbers {
    fn from(values: [f64; N]) -> Numbers {
        Numbers { shape: Shape::SCALAR, values: Vec::new() }.filled([N].as_slice(), values.to_vec())
    }
}
impl<const N: usize, const M: usize> From<[[f64; M]; N]> for Numbers {
    fn from(rows: [[f64; M]; N]) -> Numbers {
        Numbers { shape: Shape::SCALAR, values: Vec::new() }.filled([N, M].as_slice(), rows.concat())
    }
}
impl From<Vec<f64>> for Numbers {
    fn from(values: Vec<f64>) -> Numbers {
        Numbers { shape: Shape::SCALAR, values: Vec::new() }.filled(&[values.len()], values)
    }
}

impl Numbers {
    fn filled(self, sizes: &[usize], values: Vec<f64>) -> Numbers {
        // One or two axes are never too many.
        Numbers { shape: Shape::new(sizes).unwrap_or(self.shape), values }
    }

    /// Returns the shape of the nested lists; a single number has no axes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the only number, if there are no lists.
    pub fn single(&self) -> Option<f64> {
        if self.shape.rank() == 0 { self.values.first().copied() } else { None }
    }

    /// Fails unless all are finite, and none is below the least.
    pub(crate) fn check(&self, setting: &'static str, least: f64) -> Result<()> {
        let Some(&wrong) = self.values.iter().find(|v| !v.is_finite() || **v < least) else { return Ok(()) };
        let expected = if least.is_finite() {
            format!("finite numbers of {least} or more")
        } else {
            "finite numbers".into()
        };
        Err(Error::argument(setting, expected, wrong))
    }

    /// Creates a tensor of them.
    ///
    /// # Errors
    /// The dtype is not a float type, or there is not enough memory.
    pub fn tensor(&self, dtype: DType) -> Result<Tensor> {
        Tensor::from_slice(&self.values, self.shape)?.cast(dtype)
    }
}

/// Stored in files as nested lists.
impl Setting for Numbers {
    fn write(&self) -> Result<Value> {
        fn nested(sizes: &[usize], values: &[f64]) -> Result<Value> {
            let Some((&n, inner)) = sizes.split_first() else { return values.first().copied().write() };
            let run = values.len() / n.max(1);
            (0..n)
                .map(|i| nested(inner, &values[i * run..(i + 1) * run]))
                .collect::<Result<_>>()
                .map(Value::Array)
        }
        nested(self.shape.dims(), &self.values)
    }
    fn read(value: Value, registry: &Registry) -> Result<Numbers> {
        let (mut sizes, mut at) = (Vec::new(), &value);
        while let Value::Array(items) = at {
            if sizes.len() == MAX_RANK {
                return Err(wrong(format_args!("numbers in at most {MAX_RANK} lists"), &value));
            }
            sizes.push(items.len());
            let Some(first) = items.first() else { break };
            at = first;
        }
        fn collect(value: Value, sizes: &[usize], values: &mut Vec<f64>, registry: &Registry) -> Result<()> {
            match (value, sizes.split_first()) {
                (Value::Array(items), Some((&n, inner))) if items.len() == n => {
                    items.into_iter().try_for_each(|item| collect(item, inner, values, registry))
                }
                (other, None) => {
                    values.push(f64::read(other, registry)?);
                    Ok(())
                }
                (other, _) => Err(wrong("lists of one length", &other)),
            }
        }
        let mut values = Vec::new();
        collect(value, &sizes, &mut values, registry)?;
        Ok(Numbers { shape: Shape::new(&sizes)?, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_and_lists_are_read_as_they_are_written() {
        let read = |value: Value| Numbers::read(value, &Registry::new());
        for (value, numbers) in [
            (json!(2.5), Numbers::from(2.5)),
            (json!([1.0, 2.0]), [1.0, 2.0].into()),
            (json!([[1.0], [2.0]]), [[1.0], [2.0]].into()),
            (json!([]), Vec::<f64>::new().into()),
        ] {
            assert_eq!(read(value.clone()).unwrap(), numbers);
            assert_eq!(numbers.write().unwrap(), value);
        }
        let message = |value| read(value).unwrap_err().to_string();
        assert_eq!(message(json!([[1.0], [2.0, 3.0]])), "expected lists of one length, found a list");
        assert_eq!(message(json!([1.0, [2.0]])), "expected a number, found a list");
        assert_eq!(message(json!(null)), "expected a number, found null");
        let mut deep = json!(1.0);
        (0..9).for_each(|_| deep = json!([deep]));
        assert_eq!(message(deep), "expected numbers in at most 8 lists, found a list");
    }
}
