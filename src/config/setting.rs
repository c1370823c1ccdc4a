//! `Setting`: how each type of setting is stored in a file. One trait both reads and writes, so that everything is
//! checked in the same way and nested objects find the caller's registry.

use super::Registry;
use crate::error::Context;
use crate::{DType, Error, Result};
use serde_json::Value;

/// A type that settings can have.
pub trait Setting: Sized {
    /// Converts to JSON.
    ///
    /// # Errors
    /// JSON cannot hold it.
    fn write(&self) -> Result<Value>;

    /// Converts from JSON.
    ///
    /// # Errors
    /// The value is of another type.
    fn read(value: Value, registry: &Registry) -> Result<Self>;
}

/// A value, or the name of one: what builder methods of layers take for settings that Keras names, as in
/// `.padding("same")`. An unknown name is an error where the layer is built.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a `{T}` nor a name of one",
    label = "expected a value of `{T}`, or its name in Keras, such as `\"same\"` for `Padding::Same`"
)]
pub trait OrName<T> {
    /// Returns the value.
    ///
    /// # Errors
    /// There is nothing of this name; the message lists the known ones.
    fn value_or_name(self) -> Result<T>;
}
impl<T: Setting> OrName<T> for T {
    fn value_or_name(self) -> Result<T> {
        Ok(self)
    }
}
impl<T: Setting> OrName<Option<T>> for T {
    fn value_or_name(self) -> Result<Option<T>> {
        Ok(Some(self))
    }
}
impl<T: Setting> OrName<T> for &str {
    fn value_or_name(self) -> Result<T> {
        T::read(self.into(), &Registry::new())
    }
}

/// Fails if a setting was given by a name that means nothing.
///
/// # Errors
/// It was, and this is what is wrong.
pub fn well_named(misnamed: &Option<String>) -> Result<()> {
    misnamed.as_ref().map_or(Ok(()), |why| Err(Error::Custom(why.clone())))
}

/// The error for a value of the wrong type.
#[doc(hidden)]
pub fn wrong(expected: impl std::fmt::Display, found: &Value) -> Error {
    wrong_value(&expected, found)
}

fn wrong_value(expected: &dyn std::fmt::Display, found: &Value) -> Error {
    let found = match found {
        Value::Null => "null".to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(s) => {
            let start: String = s.chars().take(32).collect();
            format!("{start:?}{}", if start.len() < s.len() { "…" } else { "" })
        }
        Value::Array(_) => "a list".to_string(),
        Value::Object(_) => "an object".to_string(),
    };
    Error::Custom(format!("expected {expected}, found {found}"))
}

/// The error for a name that is not in a list.
#[doc(hidden)]
pub fn unknown_name(what: &'static str, names: &[&str], got: &str) -> Error {
    Error::argument(what, format!("one of {}", names.join(", ")), format!("'{}'", got.escape_debug()))
}

impl Setting for bool {
    fn write(&self) -> Result<Value> {
        Ok((*self).into())
    }
    fn read(value: Value, _: &Registry) -> Result<Self> {
        value.as_bool().ok_or_else(|| wrong("true or false", &value))
    }
}

macro_rules! integers {
    ($($t:ident: $get:ident),*) => {$(
        impl Setting for $t {
            fn write(&self) -> Result<Value> {
                Ok((*self).into())
            }
            fn read(value: Value, _: &Registry) -> Result<Self> {
                let fits = value.$get().and_then(|v| $t::try_from(v).ok());
                fits.ok_or_else(|| wrong(format_args!("a whole number from {} to {}", $t::MIN, $t::MAX), &value))
            }
        }
    )*};
}
integers!(usize: as_u64, u64: as_u64, u32: as_u64, isize: as_i64, i64: as_i64, i32: as_i64);

/// Any JSON.
impl Setting for Value {
    fn write(&self) -> Result<Value> {
        Ok(self.clone())
    }
    fn read(value: Value, _: &Registry) -> Result<Self> {
        Ok(value)
    }
}

/// Infinite numbers and NaN have no form in JSON and are errors.
impl Setting for f64 {
    fn write(&self) -> Result<Value> {
        let number = serde_json::Number::from_f64(*self);
        let error =
            || Error::Custom(format!("expected a finite number, which is what files can hold, got {self}"));
        number.map(Value::Number).ok_or_else(error)
    }
    fn read(value: Value, _: &Registry) -> Result<Self> {
        value.as_f64().ok_or_else(|| wrong("a number", &value))
    }
}

impl Setting for String {
    fn write(&self) -> Result<Value> {
        Ok(self.as_str().into())
    }
    fn read(value: Value, _: &Registry) -> Result<Self> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(wrong("a text", &other)),
        }
    }
}

/// Written as its name: `float32`.
impl Setting for DType {
    fn write(&self) -> Result<Value> {
        Ok(self.name().into())
    }
    fn read(value: Value, _: &Registry) -> Result<Self> {
        let name = value.as_str().ok_or_else(|| wrong("the name of a dtype", &value))?;
        let known = DType::ALL.into_iter().find(|d| d.name() == name);
        known.ok_or_else(|| unknown_name("dtype", &DType::ALL.map(DType::name), name))
    }
}

/// `null` means none.
impl<T: Setting> Setting for Option<T> {
    fn write(&self) -> Result<Value> {
        self.as_ref().map_or(Ok(Value::Null), T::write)
    }
    fn read(value: Value, registry: &Registry) -> Result<Self> {
        if value.is_null() { Ok(None) } else { T::read(value, registry).map(Some) }
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn write(&self) -> Result<Value> {
        write_list(self.len(), &|i| self[i].write())
    }
    fn read(value: Value, registry: &Registry) -> Result<Self> {
        let mut list = Vec::new();
        read_list(value, &mut |item| {
            list.push(T::read(item, registry)?);
            Ok(())
        })?;
        Ok(list)
    }
}

/// Writes a list of `len` items. Not generic, so it is compiled once for all types of items.
fn write_list(len: usize, item: &dyn Fn(usize) -> Result<Value>) -> Result<Value> {
    let item = |i| item(i).at(|| format!("number {i}"));
    Ok(Value::Array((0..len).map(item).collect::<Result<_>>()?))
}

/// Passes each item of a list to `read`.
fn read_list(value: Value, read: &mut dyn FnMut(Value) -> Result<()>) -> Result<()> {
    let Value::Array(items) = value else { return Err(wrong("a list", &value)) };
    for (i, item) in items.into_iter().enumerate() {
        read(item).at(|| format!("number {i}"))?;
    }
    Ok(())
}

impl<T: Setting, const N: usize> Setting for [T; N] {
    fn write(&self) -> Result<Value> {
        write_list(N, &|i| self[i].write())
    }
    fn read(value: Value, registry: &Registry) -> Result<Self> {
        let items = Vec::<T>::read(value, registry)?;
        let found = items.len();
        items.try_into().map_err(|_| Error::Custom(format!("expected a list of {N}, found one of {found}")))
    }
}

impl<A: Setting, B: Setting> Setting for (A, B) {
    fn write(&self) -> Result<Value> {
        Ok(Value::Array(vec![self.0.write()?, self.1.write()?]))
    }
    fn read(value: Value, registry: &Registry) -> Result<Self> {
        let [a, b] = read_pair(value)?;
        Ok((A::read(a, registry)?, B::read(b, registry)?))
    }
}

fn read_pair(value: Value) -> Result<[Value; 2]> {
    let pair = match value {
        Value::Array(items) => <[Value; 2]>::try_from(items).map_err(Value::Array),
        other => Err(other),
    };
    pair.map_err(|other| wrong("a list of two", &other))
}

/// Declares an enum without data whose variants have names, for files, messages and `parse`.
///
/// ```
/// gradus::string_enum! {
///     /// What to do at the edge.
///     #[derive(Default)]
///     pub enum Padding {
///         /// Nothing beyond the data.
///         #[default]
///         Valid = "valid",
///         /// As many outputs as inputs.
///         Same = "same",
///     }
/// }
/// assert_eq!("same".parse::<Padding>()?, Padding::Same);
/// assert_eq!(Padding::Valid.to_string(), "valid");
/// let message = "full".parse::<Padding>().unwrap_err().to_string();
/// assert_eq!(message, "Padding: expected one of valid, same, got 'full'");
/// # Ok::<(), gradus::Error>(())
/// ```
#[macro_export]
macro_rules! string_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// Returns its name in files.
            $vis const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl ::core::str::FromStr for $name {
            type Err = $crate::Error;
            fn from_str(name: &str) -> $crate::Result<Self> {
                match name {
                    $($text => Ok($name::$variant),)+
                    _ => Err($crate::config::generated::unknown_name(stringify!($name), &[$($text),+], name)),
                }
            }
        }

        impl $crate::config::Setting for $name {
            fn write(&self) -> $crate::Result<$crate::config::generated::Value> {
                Ok(self.name().into())
            }
            fn read(
                value: $crate::config::generated::Value,
                _: &$crate::config::Registry,
            ) -> $crate::Result<Self> {
                match value.as_str() {
                    Some(name) => name.parse(),
                    None => Err($crate::config::generated::wrong("a name", &value)),
                }
            }
        }
    };
}
