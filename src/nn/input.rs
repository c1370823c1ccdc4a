//! `Input`: the shape and dtype of what a network takes, so that every shape after it is known before data arrives.

use super::{Build, Cx, Init, InputSpecs, Layer, Masking, Node, Symbol, within_reason};
use crate::config::{Common, Configured, Described, Registry, Setting};
use crate::shape::{UNKNOWN, is_unknown};
use crate::tensor::Tensor;
use crate::{DType, Error, MAX_RANK, Result, Shape, Spec};
use serde_json::Value;
use std::sync::OnceLock;

/// The shape and dtype of one sample, without the batch; sizes may be unknown.
///
/// In a `Sequential` it is the first layer; in the functional style, layers are called on it.
///
/// ```
/// use gradus::prelude::*;
///
/// let image = Input::new([28, 28, 1]).named("image");
/// let words = Input::with_unknown([None]).dtype(DType::I64); // of any length
/// let h = Embedding::new(100, 8).on(&words)?;
/// let h = Concatenate::new().on([&GlobalAveragePooling1D::new().on(&h)?, &Flatten::new().on(&image)?])?;
/// let network = Functional::new([&image, &words], &Dense::new(1).on(&h)?)?.build()?;
/// # assert_eq!(network.input_names().count(), 2);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Input {
    shape: Vec<Option<usize>>,
    dtype: Option<DType>,
    common: Common,
    symbol: OnceLock<Symbol>,
}

impl PartialEq for Input {
    fn eq(&self, other: &Input) -> bool {
        (&self.shape, self.dtype, &self.common) == (&other.shape, other.dtype, &other.common)
    }
}

/// The sizes of a sample, without the batch: an array, a slice or a vector of them, or one number.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the shape of a sample",
    label = "expected sizes without the batch, such as `[28, 28, 1]` or `784`",
    note = "sizes are of type usize; where some are unknown, write `Input::with_unknown([None, Some(16)])`"
)]
pub trait SampleShape {
    /// Returns the sizes.
    fn sizes(self) -> Vec<usize>;
}
impl SampleShape for usize {
    fn sizes(self) -> Vec<usize> {
        vec![self]
    }
}
impl<const N: usize> SampleShape for [usize; N] {
    fn sizes(self) -> Vec<usize> {
        self.into()
    }
}
impl<const N: usize> SampleShape for &[usize; N] {
    fn sizes(self) -> Vec<usize> {
        self.to_vec()
    }
}
impl SampleShape for &[usize] {
    fn sizes(self) -> Vec<usize> {
        self.to_vec()
    }
}
impl SampleShape for Vec<usize> {
    fn sizes(self) -> Vec<usize> {
        self
    }
}
impl SampleShape for &Vec<usize> {
    fn sizes(self) -> Vec<usize> {
        self.clone()
    }
}

impl Input {
    /// Describes samples of this shape: `Input::new([28, 28])`, `Input::new(784)`. `Input::new([])` is one number
    /// per sample.
    pub fn new(shape: impl SampleShape) -> Input {
        Input { shape: shape.sizes().into_iter().map(Some).collect(), ..Input::default() }
    }

    /// Describes samples some of whose sizes vary from batch to batch: `Input::with_unknown([None, Some(16)])`.
    pub fn with_unknown<const N: usize>(shape: [Option<usize>; N]) -> Input {
        Input { shape: shape.to_vec(), ..Input::default() }
    }

    /// Describes tensors of a spec with a batch; unknown sizes stay unknown.
    pub(crate) fn of_spec(spec: Spec) -> Input {
        let size = |&d: &usize| (!is_unknown(d)).then_some(d);
        let shape = spec.shape.dims().get(1..).unwrap_or(&[]).iter().map(size).collect();
        Input { shape, dtype: Some(spec.dtype), ..Input::default() }
    }

    /// Sets a dtype other than the network's: int64 for tokens.
    #[must_use]
    pub fn dtype(self, dtype: DType) -> Input {
        Input { dtype: Some(dtype), symbol: OnceLock::new(), ..self }
    }

    /// Sets its name; `input_layer` by default.
    #[must_use]
    pub fn named(mut self, name: &str) -> Input {
        self.common.name = Some(name.into());
        Input { symbol: OnceLock::new(), ..self }
    }

    /// Returns the symbol that layers are called on. They take `&input` itself; use this in a list that mixes
    /// inputs and outputs of layers.
    pub fn symbol(&self) -> Symbol {
        self.symbol.get_or_init(|| Symbol::input(self)).clone()
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.common.name.as_deref()
    }

    /// Returns the dtype, if one is declared.
    pub(crate) fn dtype_value(&self) -> Option<DType> {
        self.dtype
    }

    /// Returns the spec with the batch first, in a network of this dtype; unknown sizes are [`UNKNOWN`].
    pub(crate) fn spec(&self, dtype: DType) -> Result<Spec> {
        if self.shape.len() >= MAX_RANK {
            let expected = format!("at most {} sizes", MAX_RANK - 1);
            return Err(Error::argument("Input", expected, format!("{} of them", self.shape.len())));
        }
        let sizes: Vec<usize> =
            std::iter::once(UNKNOWN).chain(self.shape.iter().map(|d| d.unwrap_or(UNKNOWN))).collect();
        let shape = Shape::new(&sizes)?;
        within_reason(&shape)?;
        Ok(Spec::new(shape, self.dtype.unwrap_or(dtype)))
    }

    /// What to write instead where the axes are those of one sample, or of a batch of batches.
    fn instead(&self, got: Spec) -> &'static str {
        let fit = |want: &[Option<usize>], got: &[usize]| {
            let same = |(want, got): (&Option<usize>, &usize)| want.is_none_or(|want| want == *got);
            want.len() == got.len() && want.iter().zip(got).all(same)
        };
        match got.shape.dims() {
            [_] if self.shape == [Some(1)] => " (numbers as rows of one: .reshape([-1, 1])?)",
            sizes if fit(&self.shape, sizes) => {
                " (one sample: .expand_dims(0)? makes a batch of it, .batch(32) makes batches of a dataset's samples)"
            }
            [_, _, sizes @ ..] if fit(&self.shape, sizes) => " (batches of batches: .batch(…) once)",
            [_, sizes @ ..] if self.shape.get(1..).is_some_and(|inner| fit(inner, sizes)) => {
                " (the batch is no part of an Input's shape)"
            }
            _ => "",
        }
    }

    /// Whether data of this shape (with batch) fits.
    pub(crate) fn accepts(&self, got: Spec) -> Result<()> {
        let fits = got.shape.rank() == self.shape.len() + 1
            && self
                .shape
                .iter()
                .zip(&got.shape.dims()[1..])
                .all(|(want, &got)| want.is_none_or(|w| w == got || is_unknown(got)));
        if fits {
            Ok(())
        } else {
            Err(Error::shape("Input", format!("{self}{}", self.instead(got)), got.shape))
        }
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

impl Configured for Input {
    fn config(&self) -> Result<Value> {
        let mut out = serde_json::Map::new();
        out.insert("shape".into(), self.shape.write()?);
        if let Some(dtype) = self.dtype {
            out.insert("dtype".into(), dtype.write()?);
        }
        if let Some(name) = &self.common.name {
            out.insert("name".into(), name.write()?);
        }
        Ok(Value::Object(out))
    }
    fn common(&self) -> Option<&Common> {
        Some(&self.common)
    }
}

impl Described for Input {
    const NAME: &'static str = "Input";
    fn from_config(config: Value, registry: &Registry) -> Result<Input> {
        let mut from =
            crate::config::generated::Reader::open("Input", &["shape", "dtype", "name"], config, registry)?;
        let common = Common::named(from.optional("name")?);
        Ok(Input {
            shape: from.required("shape")?,
            dtype: from.optional("dtype")?,
            common,
            symbol: OnceLock::new(),
        })
    }
}

/// A layer that returns its input.
#[derive(Clone, Debug)]
struct Identity;
crate::parts!(Identity {});
impl Layer for Identity {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        Ok(x.clone())
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
}

impl Build for Input {
    fn build(&self, _: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(Identity))
    }
    fn input(&self) -> Option<&Input> {
        Some(self)
    }
}
