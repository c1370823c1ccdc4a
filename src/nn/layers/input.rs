//! Why it exists: says what a network takes, so that every shape behind it is known before data arrives.

use crate::config::generated::{Reader, Value, Writer};
use crate::config::{Configured, Described, Registry, Setting};
use crate::nn::{Build, Cx, Init, Layer};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, Spec};

/// The shape and dtype of one sample. The batch is not part of it; sizes may be unknown.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    shape: Vec<Option<usize>>,
    dtype: Option<String>,
}

impl Input {
    /// Samples of this shape: `Input::new([28, 28])`. `Input::new([])` is one number a sample.
    pub fn new<const N: usize>(shape: [usize; N]) -> Input {
        Input { shape: shape.iter().map(|&d| Some(d)).collect(), dtype: None }
    }

    /// Samples some of whose sizes vary from batch to batch: `Input::with_unknown([None, Some(16)])`.
    pub fn with_unknown<const N: usize>(shape: [Option<usize>; N]) -> Input {
        Input { shape: shape.to_vec(), dtype: None }
    }

    /// Of another dtype than the network's own: int64 for tokens.
    #[must_use]
    pub fn dtype(mut self, dtype: DType) -> Input {
        self.dtype = Some(dtype.name().into());
        self
    }

    pub(crate) fn dims(&self) -> &[Option<usize>] {
        &self.shape
    }

    pub(crate) fn dtype_value(&self) -> Option<DType> {
        self.declared_dtype().ok().flatten()
    }

    /// The dtype, if one is declared. The name may come from a file.
    pub(crate) fn declared_dtype(&self) -> Result<Option<DType>> {
        let Some(name) = self.dtype.as_deref() else { return Ok(None) };
        let known = DType::ALL.into_iter().find(|d| d.name() == name);
        known.map(Some).ok_or_else(|| {
            Error::argument("dtype", "the name of a dtype, such as float32", format!("{name:?}"))
        })
    }
}

/// By hand: a dtype that is not declared is not written.
impl Configured for Input {
    fn config(&self) -> Result<Value> {
        let mut to = Writer::new("Input");
        to.put("shape", self.shape.write());
        if self.dtype.is_some() {
            to.put("dtype", self.dtype.write());
        }
        to.finish()
    }
}
impl Described for Input {
    const NAME: &'static str = "Input";
    fn from_config(config: Value, registry: &Registry) -> Result<Self> {
        let mut from = Reader::open("Input", &["shape", "dtype"], config, registry)?;
        Ok(Input { shape: from.required("shape")?, dtype: from.optional("dtype")?.flatten() })
    }
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[batch")?;
        for d in &self.shape {
            match d {
                Some(d) => write!(f, ", {d}")?,
                None => write!(f, ", None")?,
            }
        }
        write!(f, "]")
    }
}

/// Passes its input on.
#[derive(Clone, Debug)]
struct Identity;
crate::params!(Identity {});
impl Layer for Identity {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        Ok(x.clone())
    }
}

impl Build for Input {
    fn build(&self, _: Spec, _: &mut Init) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Identity))
    }
    fn input(&self) -> Option<&Input> {
        Some(self)
    }
}
