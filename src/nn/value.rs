//! `Value`: a tensor between layers, with its own mask; and how a layer receives several of them ([`Inputs`]).

use crate::tensor::{Few, Tensor, few};
use crate::{Error, Result, Spec};

/// A tensor on its way through a network, and which of its positions count.
#[derive(Clone, Debug)]
pub struct Value {
    /// The numbers.
    pub tensor: Tensor,
    /// False where a position does not count, such as padding: bool, `[batch, time]` for data `[batch, time, …]`.
    /// `None` if all count.
    pub mask: Option<Tensor>,
}

impl Value {
    /// Creates a tensor with a mask.
    pub fn masked(tensor: Tensor, mask: Option<Tensor>) -> Value {
        Value { tensor, mask }
    }

    /// Returns shape and element type.
    pub fn spec(&self) -> Spec {
        self.tensor.spec()
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Value {
        Value { tensor, mask: None }
    }
}

impl From<&Tensor> for Value {
    fn from(tensor: &Tensor) -> Value {
        tensor.clone().into()
    }
}

/// What a call of a layer returns: one value for most layers.
#[derive(Clone, Debug, Default)]
pub struct Values(pub(crate) Few<Value, 1>);

impl Values {
    /// Returns the only value, for a layer with one output.
    ///
    /// # Errors
    /// There are several, or none.
    pub fn single(mut self) -> Result<Value> {
        match self.0.len() {
            1 => Ok(self.0.swap_remove(0)),
            n => Err(Error::argument("outputs", "one output", n)),
        }
    }

    /// Returns the tensors, without their masks.
    pub fn into_tensors(self) -> Vec<Tensor> {
        self.0.into_iter().map(|v| v.tensor).collect()
    }
}

impl std::ops::Deref for Values {
    type Target = [Value];
    fn deref(&self) -> &[Value] {
        &self.0
    }
}
impl std::ops::DerefMut for Values {
    fn deref_mut(&mut self) -> &mut [Value] {
        &mut self.0
    }
}
impl IntoIterator for Values {
    type Item = Value;
    type IntoIter = few::Items<Value, 1>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
impl<V: Into<Value>> FromIterator<V> for Values {
    fn from_iter<I: IntoIterator<Item = V>>(values: I) -> Values {
        Values(values.into_iter().map(Into::into).collect())
    }
}
impl From<Value> for Values {
    fn from(value: Value) -> Values {
        Values(std::iter::once(value).collect())
    }
}
impl From<Tensor> for Values {
    fn from(tensor: Tensor) -> Values {
        Value::from(tensor).into()
    }
}
impl From<Vec<Tensor>> for Values {
    fn from(tensors: Vec<Tensor>) -> Values {
        tensors.into_iter().collect()
    }
}
impl<V: Into<Value>, const N: usize> From<[V; N]> for Values {
    fn from(values: [V; N]) -> Values {
        values.into_iter().collect()
    }
}

/// The inputs of a layer's call: values by position, followed by those given under a name which the layer declares,
/// such as `attention_mask`. What was not given is absent.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    values: &'a [Value],
    /// The names of the last values.
    names: &'a [String],
}

impl<'a> Inputs<'a> {
    /// Creates inputs that are all given by position.
    pub fn new(values: &'a [Value]) -> Inputs<'a> {
        Inputs { values, names: &[] }
    }

    /// Creates inputs of which the last ones have these names.
    ///
    /// # Errors
    /// There are more names than values.
    pub fn with_names(values: &'a [Value], names: &'a [String]) -> Result<Inputs<'a>> {
        match names.len() <= values.len() {
            true => Ok(Inputs { values, names }),
            false => Err(Error::argument("inputs", "a value for each name", values.len())),
        }
    }

    /// Returns the values given by position.
    pub fn positional(&self) -> &'a [Value] {
        &self.values[..self.values.len() - self.names.len()]
    }

    /// Returns the value given as number `i` by position, or under a name.
    pub fn find(&self, i: usize, name: &str) -> Option<&'a Value> {
        self.positional().get(i).or_else(|| self.get(name))
    }

    /// Returns the value given under a name.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.all(name).next()
    }

    /// Iterates over the values given under a name, such as several states.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a Value> {
        let named = &self.values[self.positional().len()..];
        self.names.iter().zip(named).filter(move |(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Returns value number `i` of those given by position.
    ///
    /// # Errors
    /// There are fewer.
    pub fn at(&self, i: usize) -> Result<&'a Value> {
        let all = self.positional();
        all.get(i).ok_or_else(|| too_few(i, all.len()))
    }

    /// Returns all values: those by position, then those by name.
    pub fn values(&self) -> &'a [Value] {
        self.values
    }

    /// Returns the names of the last values.
    pub fn names(&self) -> &'a [String] {
        self.names
    }

    /// Returns the only value, for a layer with one input.
    ///
    /// # Errors
    /// There are several, or none.
    pub fn single(&self) -> Result<&'a Value> {
        match self.values {
            [one] if self.names.is_empty() => Ok(one),
            all => Err(Error::argument("inputs", "one input", all.len())),
        }
    }
}

/// The shapes and dtypes that a layer is built for: those of the inputs given by position, then those given by
/// name. It derefs to a slice of all of them.
#[derive(Clone, Copy, Debug)]
pub struct InputSpecs<'a> {
    specs: &'a [Spec],
    /// The names of the last ones.
    names: &'a [String],
}

impl<'a> InputSpecs<'a> {
    /// Creates specs of which the last ones have these names.
    pub fn new(specs: &'a [Spec], names: &'a [String]) -> InputSpecs<'a> {
        InputSpecs { specs, names: &names[..names.len().min(specs.len())] }
    }

    /// Returns the names of the last ones.
    pub fn names(&self) -> &'a [String] {
        self.names
    }

    /// Returns all but the last `n`, which were given by name.
    pub(super) fn without_last(self, n: usize) -> InputSpecs<'a> {
        let names = self.names.len().saturating_sub(n);
        let specs = self.specs.len() - (self.names.len() - names);
        InputSpecs { specs: &self.specs[..specs], names: &self.names[..names] }
    }

    /// Returns those given by position.
    pub fn positional(&self) -> &'a [Spec] {
        &self.specs[..self.specs.len() - self.names.len()]
    }

    /// Returns input number `i` of those given by position.
    ///
    /// # Errors
    /// There are fewer.
    pub fn at(&self, i: usize) -> Result<Spec> {
        let all = self.positional();
        all.get(i).copied().ok_or_else(|| too_few(i, all.len()))
    }

    /// Returns the spec given as number `i` by position, or under a name.
    pub fn find(&self, i: usize, name: &str) -> Option<Spec> {
        self.positional().get(i).copied().or_else(|| self.get(name))
    }

    /// Returns the spec given under a name.
    pub fn get(&self, name: &str) -> Option<Spec> {
        let named = &self.specs[self.positional().len()..];
        self.names.iter().zip(named).find(|(n, _)| *n == name).map(|(_, spec)| *spec)
    }
}

impl std::ops::Deref for InputSpecs<'_> {
    type Target = [Spec];
    fn deref(&self) -> &[Spec] {
        self.specs
    }
}

impl<'a> From<&'a [Spec]> for InputSpecs<'a> {
    fn from(specs: &'a [Spec]) -> InputSpecs<'a> {
        InputSpecs { specs, names: &[] }
    }
}
impl<'a, const N: usize> From<&'a [Spec; N]> for InputSpecs<'a> {
    fn from(specs: &'a [Spec; N]) -> InputSpecs<'a> {
        InputSpecs { specs, names: &[] }
    }
}

fn too_few(i: usize, n: usize) -> Error {
    Error::argument("inputs", format!("at least {} by position", i + 1), n)
}

/// Returns the only spec, for a layer with one input.
///
/// # Errors
/// There are several, or none.
pub fn single(inputs: &[Spec]) -> Result<Spec> {
    match inputs {
        [one] => Ok(*one),
        all => Err(Error::argument("inputs", "one input", all.len())),
    }
}

/// What a plain layer does with the mask of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    /// The output has the input's mask: the layer keeps the axes that a mask describes, and computes each position
    /// separately.
    Keep,
    /// The output has no mask: the mask has been used, or means nothing for the output.
    Drop,
    /// A mask is an error, because the layer would mix positions that count with others that do not.
    Refuse,
}

impl Masking {
    /// Returns the mask of the output.
    pub(crate) fn apply(self, mask: Option<&Tensor>) -> Result<Option<Tensor>> {
        match (self, mask) {
            (Masking::Keep, mask) => Ok(mask.cloned()),
            (Masking::Drop, _) | (_, None) => Ok(None),
            (Masking::Refuse, Some(mask)) => {
                let expected = "an input without a mask, because this layer does not say what it does with one \
                                (Layer::masking: Masking::Keep or Masking::Drop)";
                Err(Error::argument("mask", expected, format!("a mask of shape {}", mask.shape())))
            }
        }
    }
}

/// Returns which positions count in both, if either has a mask.
///
/// # Errors
/// Shapes do not fit.
pub fn both_masks(a: Option<&Tensor>, b: Option<&Tensor>) -> Result<Option<Tensor>> {
    match (a, b) {
        (Some(a), Some(b)) => a.logical_and(b).map(Some),
        (a, b) => Ok(a.or(b).cloned()),
    }
}
