//! The attributes of operations, declared once, written and read. An operation's name and attributes are its
//! identity: for dumps, for finding the same computation twice, for files and exports.

use super::Op;
use crate::random::{Distribution, Stream};
use crate::tensor::Few;
use crate::{DType, Error, MAX_RANK, Result, Shape};
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The value of an attribute.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Attr {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number. Two are the same if their bits are.
    Float(f64),
    /// A list of whole numbers: sizes, axes.
    Ints(Vec<i64>),
    /// A word from a closed list, such as a dtype, or a text in the operation's own grammar.
    Text(Cow<'static, str>),
    /// Nothing.
    None,
}

impl PartialEq for Attr {
    fn eq(&self, other: &Attr) -> bool {
        match (self, other) {
            (Attr::Bool(a), Attr::Bool(b)) => a == b,
            (Attr::Int(a), Attr::Int(b)) => a == b,
            (Attr::Float(a), Attr::Float(b)) => a.to_bits() == b.to_bits(),
            (Attr::Ints(a), Attr::Ints(b)) => a == b,
            (Attr::Text(a), Attr::Text(b)) => a == b,
            (Attr::None, Attr::None) => true,
            _ => false,
        }
    }
}
impl Eq for Attr {}

impl Hash for Attr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Attr::Bool(v) => v.hash(state),
            Attr::Int(v) => v.hash(state),
            Attr::Float(v) => v.to_bits().hash(state),
            Attr::Ints(v) => v.hash(state),
            Attr::Text(v) => v.hash(state),
            Attr::None => {}
        }
    }
}

impl fmt::Display for Attr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attr::Bool(v) => write!(f, "{v}"),
            Attr::Int(v) => write!(f, "{v}"),
            Attr::Float(v) => write!(f, "{v:?}"),
            Attr::Ints(v) => write!(f, "{v:?}"),
            Attr::Text(v) => f.write_str(v),
            Attr::None => f.write_str("none"),
        }
    }
}

/// The attributes of an operation, in the order in which it declares them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attrs(Vec<(Cow<'static, str>, Attr)>);

impl Attrs {
    /// Creates an empty list.
    pub fn new() -> Attrs {
        Attrs::default()
    }

    /// Sets an attribute.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: Attr) {
        let name = name.into();
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Returns an attribute.
    pub fn get(&self, name: &str) -> Option<&Attr> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// Iterates over all attributes, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attr)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails if there is an attribute that an operation does not declare.
    #[doc(hidden)]
    pub fn expect(&self, op: &str, declared: &[&str]) -> Result<()> {
        match self.iter().find(|(name, _)| !declared.contains(name)) {
            None => Ok(()),
            Some((name, _)) => {
                let expected = format!("those of {op} ({})", declared.join(", "));
                Err(Error::argument("attributes", expected, format!("'{name}'")))
            }
        }
    }

    /// Reads what an operation declares under `name`.
    ///
    /// # Errors
    /// It is missing or of another type; the message names the operation.
    pub fn read<A: Attribute>(&self, op: &str, name: &str) -> Result<A> {
        let found = self.get(name);
        found.map_or_else(A::absent, A::read).ok_or_else(|| {
            let got = found.map_or("nothing".to_string(), Attr::to_string);
            Error::argument("attribute", format!("'{name}' of {op}, {}", A::EXPECTED), got)
        })
    }
}

/// `{axis: 1, keepdims: true}`.
impl fmt::Display for Attrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name}: {value}")?;
        }
        f.write_str("}")
    }
}

/// A type that attributes can have.
pub trait Attribute: Sized {
    /// A description of the type, for messages.
    const EXPECTED: &'static str;
    /// Converts to a value.
    fn write(&self) -> Attr;
    /// Converts from a value, if it is one of this type.
    fn read(value: &Attr) -> Option<Self>;
    /// Returns what files mean that were written before the attribute existed, if there are any.
    fn absent() -> Option<Self> {
        None
    }
    /// For a stream of random numbers whose seed and step are not known yet, returns the stream at this seed and
    /// step.
    fn reseeded(&self, _seed: u64, _step: u64) -> Option<Self> {
        None
    }
    /// Returns whether it is such a stream.
    fn is_traced(&self) -> bool {
        false
    }
}

macro_rules! integers {
    ($($t:ty),*) => {$(
        /// A number that does not fit in 64 signed bits is written as text.
        impl Attribute for $t {
            const EXPECTED: &'static str = "a whole number";
            fn write(&self) -> Attr {
                i64::try_from(*self).map_or_else(|_| Attr::Text(self.to_string().into()), Attr::Int)
            }
            fn read(value: &Attr) -> Option<$t> {
                match value {
                    Attr::Int(v) => (*v).try_into().ok(),
                    Attr::Text(v) => v.parse().ok(),
                    _ => None,
                }
            }
        }
    )*};
}
#[allow(clippy::unnecessary_fallible_conversions)]
mod whole {
    use super::{Attr, Attribute};
    integers!(usize, isize, u64, i64, u32, i32, u8);
}

impl Attribute for bool {
    const EXPECTED: &'static str = "true or false";
    fn write(&self) -> Attr {
        Attr::Bool(*self)
    }
    fn read(value: &Attr) -> Option<bool> {
        match value {
            Attr::Bool(v) => Some(*v),
            _ => None,
        }
    }
}

impl Attribute for f64 {
    const EXPECTED: &'static str = "a number";
    fn write(&self) -> Attr {
        Attr::Float(*self)
    }
    fn read(value: &Attr) -> Option<f64> {
        match value {
            Attr::Float(v) => Some(*v),
            _ => None,
        }
    }
}

/// Widened to f64, which is exact.
impl Attribute for f32 {
    const EXPECTED: &'static str = "a number";
    fn write(&self) -> Attr {
        Attr::Float(f64::from(*self))
    }
    fn read(value: &Attr) -> Option<f32> {
        match value {
            Attr::Float(v) => Some(*v as f32),
            _ => None,
        }
    }
}

impl Attribute for String {
    const EXPECTED: &'static str = "a text";
    fn write(&self) -> Attr {
        Attr::Text(self.clone().into())
    }
    fn read(value: &Attr) -> Option<String> {
        match value {
            Attr::Text(text) => Some(text.to_string()),
            _ => None,
        }
    }
}

impl Attribute for Vec<i64> {
    const EXPECTED: &'static str = "a list of whole numbers";
    fn write(&self) -> Attr {
        Attr::Ints(self.clone())
    }
    fn read(value: &Attr) -> Option<Vec<i64>> {
        match value {
            Attr::Ints(list) => Some(list.clone()),
            _ => None,
        }
    }
}

impl Attribute for DType {
    const EXPECTED: &'static str = "a dtype";
    fn write(&self) -> Attr {
        Attr::Text(self.name().into())
    }
    fn read(value: &Attr) -> Option<DType> {
        match value {
            Attr::Text(name) => DType::ALL.into_iter().find(|d| d.name() == name.as_ref()),
            _ => None,
        }
    }
}

/// Written as the value, or as [`Attr::None`].
impl<A: Attribute> Attribute for Option<A> {
    const EXPECTED: &'static str = A::EXPECTED;
    fn write(&self) -> Attr {
        self.as_ref().map_or(Attr::None, A::write)
    }
    fn read(value: &Attr) -> Option<Option<A>> {
        match value {
            Attr::None => Some(None),
            value => A::read(value).map(Some),
        }
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
    fn reseeded(&self, seed: u64, step: u64) -> Option<Self> {
        self.as_ref()?.reseeded(seed, step).map(Some)
    }
    fn is_traced(&self) -> bool {
        self.as_ref().is_some_and(A::is_traced)
    }
}

impl Attribute for Shape {
    const EXPECTED: &'static str = "a list of sizes";
    fn write(&self) -> Attr {
        self.dims().iter().copied().collect::<Few<usize, MAX_RANK>>().write()
    }
    fn read(value: &Attr) -> Option<Shape> {
        Shape::new(&Few::<usize, MAX_RANK>::read(value)?).ok()
    }
}

impl Attribute for Few<usize, MAX_RANK> {
    const EXPECTED: &'static str = "a list of whole numbers";
    fn write(&self) -> Attr {
        Attr::Ints(self.iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect())
    }
    fn read(value: &Attr) -> Option<Self> {
        match value {
            Attr::Ints(list) => list.iter().map(|&d| d.try_into().ok()).collect(),
            _ => None,
        }
    }
}

/// Written as a list of the marked axes.
impl Attribute for [bool; MAX_RANK] {
    const EXPECTED: &'static str = "a list of axes";
    fn write(&self) -> Attr {
        Attr::Ints((0..MAX_RANK as i64).filter(|&i| self[i as usize]).collect())
    }
    fn read(value: &Attr) -> Option<Self> {
        let axes = Few::<usize, MAX_RANK>::read(value)?;
        let mut marked = [false; MAX_RANK];
        axes.iter().try_for_each(|&a| marked.get_mut(a).map(|m| *m = true))?;
        Some(marked)
    }
}

/// A stream of a network's key in a trace is written as the key; any other as its numbers.
impl Attribute for Stream {
    const EXPECTED: &'static str = "a stream of random numbers";
    fn write(&self) -> Attr {
        Attr::Ints(self.to_numbers())
    }
    fn read(value: &Attr) -> Option<Stream> {
        match value {
            Attr::Ints(numbers) => Stream::from_numbers(numbers),
            _ => None,
        }
    }
    fn reseeded(&self, seed: u64, step: u64) -> Option<Stream> {
        self.at(seed, step)
    }
    fn is_traced(&self) -> bool {
        Stream::is_traced(self)
    }
}

/// Written as its name and settings: `normal(0.0, 1.0)`.
impl Attribute for Distribution {
    const EXPECTED: &'static str = "a distribution such as normal(0.0, 1.0)";
    fn write(&self) -> Attr {
        let (name, settings) = self.parts();
        let settings: Vec<String> = settings.iter().flatten().map(|v| format!("{v:?}")).collect();
        Attr::Text(format!("{name}({})", settings.join(", ")).into())
    }
    fn read(value: &Attr) -> Option<Distribution> {
        let Attr::Text(text) = value else { return None };
        let (name, rest) = text.split_once('(')?;
        let settings: Option<Vec<f64>> =
            rest.strip_suffix(')')?.split(", ").map(|word| word.parse().ok()).collect();
        Distribution::from_parts(name, &settings?)
    }
}

/// The identity of an operation: its name, how many inputs it takes, and its attributes. [`op!`](crate::op)
/// implements it.
pub trait Attributes {
    /// Returns the name, for messages and dumps.
    fn name(&self) -> &'static str;
    /// Returns the least and the largest number of inputs.
    fn inputs(&self) -> (usize, usize);
    /// Returns the attributes. Two operations with the same name and equal attributes compute the same.
    fn attrs(&self) -> Attrs;
    /// Returns whether name and attributes describe it completely, which is not so if it holds a closure.
    fn is_described(&self) -> bool {
        true
    }
    /// For an operation that draws random numbers for the key of a network in a trace, returns the same one at this
    /// seed and step.
    fn reseeded(&self, _seed: u64, _step: u64) -> Option<Arc<dyn Op>> {
        None
    }
    /// Returns whether it is such an operation, whose seed and step are not known yet.
    fn is_random(&self) -> bool {
        false
    }
}

/// An operation that can be created from its name and attributes. [`op!`](crate::op) implements it.
pub trait FromAttrs: Sized {
    /// Returns the operation, if this is its name.
    ///
    /// # Errors
    /// An attribute is missing or of another type.
    fn from_attrs(name: &str, attrs: &Attrs) -> Option<Result<Self>>;
}

/// The part of an operation that gives it one of several names, such as the kind of comparison or reduction.
pub trait Naming: Copy + 'static {
    /// Returns the name.
    fn name(self) -> &'static str;
    /// Returns the value with this name.
    fn named(name: &str) -> Option<Self>;
}

/// Declares a kind of [`Naming`]: an enum whose variants have names.
macro_rules! names {
    ($(#[$meta:meta])* $vis:vis enum $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $type { $($(#[$doc])* $variant),+ }
        impl $crate::autograd::Naming for $type {
            fn name(self) -> &'static str {
                match self { $($type::$variant => $name),+ }
            }
            fn named(name: &str) -> Option<Self> {
                match name { $($name => Some($type::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use names;

/// Declares an operation: a struct with its name, the number of its inputs, and its attributes, which are its
/// fields. What it does is defined by implementing [`Op`](crate::autograd::Op).
///
/// ```
/// # use gradus::autograd::{Grads, Op, Specs, Step, one};
/// # use gradus::{Result, Spec, tensor::Array};
/// gradus::op! {
///     /// Every element times a constant.
///     struct Scale("scale", 1) { factor: f64 }
/// }
/// # impl Op for Scale {
/// #     fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
/// #         Ok(one(inputs[0].shape, inputs[0].dtype))
/// #     }
/// #     fn eval(&self, _: &[&Array], _: &mut [Array]) -> Result<()> {
/// #         Ok(())
/// #     }
/// #     fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
/// #         Ok([Some(step.grad(0)?.scale(self.factor)?)].into_iter().collect())
/// #     }
/// # }
/// # use gradus::autograd::Attributes;
/// assert_eq!(Scale { factor: 2.0 }.attrs().to_string(), "{factor: 2.0}");
/// ```
///
/// The number of inputs is a number or a range, `2..=3`. Instead of a name, there may be a field whose type is a
/// [`Naming`](crate::autograd::Naming): `struct Compare(kind: Comparison, 2) {}`.
#[macro_export]
macro_rules! op {
    ($(#[$meta:meta])* $vis:vis struct $type:ident($name:literal, $least:literal $(..= $most:expr)?)
        { $($(#[$doc:meta])* $seen:vis $field:ident: $ty:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $type { $($(#[$doc])* $seen $field: $ty),* }
        impl $crate::autograd::Attributes for $type {
            fn name(&self) -> &'static str { $name }
            $crate::op!(@rest $least, [$($most)?], $($field),*);
        }
        impl $crate::autograd::FromAttrs for $type {
            fn from_attrs(name: &str, attrs: &$crate::autograd::Attrs) -> Option<$crate::Result<Self>> {
                let read = || -> $crate::Result<Self> {
                    attrs.expect(name, &[$(stringify!($field)),*])?;
                    Ok($type { $($field: attrs.read(name, stringify!($field))?),* })
                };
                if name == $name { Some(read()) } else { None }
            }
        }
    };
    ($(#[$meta:meta])* $vis:vis struct $type:ident($kind:ident: $naming:ty, $least:literal $(..= $most:expr)?)
        { $($(#[$doc:meta])* $seen:vis $field:ident: $ty:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $type { $kind: $naming, $($(#[$doc])* $seen $field: $ty),* }
        impl $crate::autograd::Attributes for $type {
            fn name(&self) -> &'static str { $crate::autograd::Naming::name(self.$kind) }
            $crate::op!(@rest $least, [$($most)?], $($field),*);
        }
        impl $crate::autograd::FromAttrs for $type {
            fn from_attrs(name: &str, attrs: &$crate::autograd::Attrs) -> Option<$crate::Result<Self>> {
                let $kind = <$naming as $crate::autograd::Naming>::named(name)?;
                let read = || -> $crate::Result<Self> {
                    attrs.expect(name, &[$(stringify!($field)),*])?;
                    Ok($type { $kind, $($field: attrs.read(name, stringify!($field))?),* })
                };
                Some(read())
            }
        }
    };
    (@rest $least:literal, [$($most:expr)?], $($field:ident),*) => {
        fn inputs(&self) -> (usize, usize) {
            #[allow(unused_variables)]
            let most: usize = $least;
            $(let most: usize = $most;)?
            ($least, most)
        }
        fn attrs(&self) -> $crate::autograd::Attrs {
            #[allow(unused_mut)]
            let mut attrs = $crate::autograd::Attrs::new();
            $(attrs.set(stringify!($field), $crate::autograd::Attribute::write(&self.$field));)*
            attrs
        }
        fn is_random(&self) -> bool {
            false $(|| $crate::autograd::Attribute::is_traced(&self.$field))*
        }
        #[allow(unused_variables, unused_mut)]
        fn reseeded(&self, seed: u64, step: u64) -> Option<::std::sync::Arc<dyn $crate::autograd::Op>> {
            if !$crate::autograd::Attributes::is_random(self) {
                return None;
            }
            let mut op = self.clone();
            $(if let Some(at) = $crate::autograd::Attribute::reseeded(&self.$field, seed, step) {
                op.$field = at;
            })*
            Some(::std::sync::Arc::new(op))
        }
    };
}
