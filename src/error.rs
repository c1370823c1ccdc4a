//! `Error`: every failure that a caller can cause comes back as one value, which says where it happened, what was
//! expected and what came. The library never panics or aborts on input.

use crate::{DType, Shape};

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in words that a user can act on.
///
/// Layers wrap the errors of the operations inside them in [`Error::At`], so that a message begins with the
/// layer's name and ends with the shapes.
///
/// ```
/// use gradus::prelude::*;
///
/// let stack = Sequential::new().add(Input::new(4)).add(Dense::new(3)).add(Conv1D::new(2, 3).named("wave"));
/// let error = stack.build().err().unwrap(); // names the layer, and says what it takes and what came
/// assert!(error.to_string().contains("wave"));
/// # Ok::<(), gradus::Error>(())
/// ```
#[non_exhaustive]
pub enum Error {
    /// Two operands whose shapes do not fit together.
    Shapes {
        /// The operation.
        op: &'static str,
        /// The first operand's shape.
        lhs: Box<Shape>,
        /// The second operand's shape.
        rhs: Box<Shape>,
        /// The rule that was broken.
        why: String,
    },
    /// One operand whose shape the operation cannot take.
    Shape {
        /// The operation.
        op: &'static str,
        /// What it takes.
        expected: String,
        /// What it was given.
        shape: Box<Shape>,
    },
    /// An element type that the operation cannot take.
    DType {
        /// The operation.
        op: &'static str,
        /// The element types it takes.
        expected: &'static str,
        /// What it was given.
        got: DType,
    },
    /// An axis outside of the shape. Negative axes count from the end.
    Axis {
        /// The operation.
        op: &'static str,
        /// The axis as given.
        axis: isize,
        /// The shape it should index.
        shape: Box<Shape>,
    },
    /// A value (such as a label or index) outside of its range.
    Index {
        /// The operation.
        op: &'static str,
        /// What kind of value it is: `label`, `index`.
        what: &'static str,
        /// The offending value.
        value: i64,
        /// Its position, counted in row-major order.
        position: usize,
        /// The largest value allowed.
        last: i64,
    },
    /// A matrix that cannot be factorised.
    Matrix {
        /// The operation.
        op: &'static str,
        /// Which matrix, counted in row-major order.
        matrix: usize,
        /// What is wrong with it: `singular`, `not positive definite`.
        what: &'static str,
        /// The row at which this was found, from 0.
        pivot: usize,
        /// The value on the diagonal in that row.
        value: f64,
    },
    /// An argument that is out of its range or contradicts another.
    Argument {
        /// The argument, as the caller spells it.
        name: &'static str,
        /// What is allowed.
        expected: String,
        /// What was given.
        got: String,
    },
    /// A tensor too large for memory.
    Memory {
        /// Bytes asked for (saturating).
        bytes: u128,
        /// The tensor's element type.
        dtype: DType,
        /// The tensor's shape.
        shape: Box<Shape>,
        /// The limit that was exceeded.
        why: &'static str,
    },
    /// A trainable parameter that the loss does not depend on: it would never learn.
    NoGradient {
        /// The parameter's path, such as `dense_1/kernel`.
        path: String,
    },
    /// A value was read from a tensor that is only being traced for its shape.
    Abstract {
        /// The operation.
        op: &'static str,
    },
    /// A derivative was needed of an operation that has none.
    NotDifferentiable {
        /// The operation.
        op: &'static str,
        /// Why, and what to use instead.
        why: &'static str,
    },
    /// `backward` on a loss that is not a single number, or on a tensor with no history.
    Backward(String),
    /// A loss or gradient that is NaN or infinite, found by `Fit::check_finite`.
    NotFinite {
        /// Which quantity it is.
        what: String,
        /// Its value.
        value: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
        /// Where it first arose: in the data, in a parameter, or in an operation of a layer, forward or backward.
        origin: Box<Error>,
    },
    /// Work that was ended by its [`CancellationToken`](crate::CancellationToken).
    Cancelled {
        /// Which work: `fit`.
        what: &'static str,
        /// Why it ended: `was cancelled`.
        why: &'static str,
        /// How far it came.
        done: String,
    },
    /// A file, or bytes of a file, with unexpected contents.
    Format {
        /// The file, or the kind of data.
        what: String,
        /// What was expected and what was found.
        why: String,
    },
    /// Input that exceeds one of the [`Limits`](crate::io::Limits).
    Limit {
        /// The file, or the kind of data.
        what: String,
        /// Which quantity.
        quantity: &'static str,
        /// The amount the input declares or holds.
        got: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The operating system failed to read or write.
    Io {
        /// The file or folder.
        path: String,
        /// The error it returned.
        source: std::io::Error,
    },
    /// An error inside a layer, a step or part of a file: where, then what.
    At {
        /// The layer or place.
        place: String,
        /// What happened there.
        source: Box<Error>,
    },
    /// An error of user code: a custom layer, loss or callback.
    Custom(String),
}

/// Written by hand rather than derived: a derive crate would bring its parser of Rust with it.
impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Shapes { op, lhs, rhs, why } => write!(f, "{op}: {lhs} and {rhs} do not match: {why}"),
            Error::Shape { op, expected, shape } => write!(f, "{op}: expected {expected}, got shape {shape}"),
            Error::DType { op, expected, got } => write!(f, "{op}: expected {expected}, got {got}"),
            Error::Axis { op, axis, shape } => {
                write!(f, "{op}: axis {axis} is out of range for shape {shape}")
            }
            Error::Index { op, what, value, position, last } if *last < 0 => {
                write!(
                    f,
                    "{op}: {what} {value} at position {position} is out of range: there is nothing to choose from"
                )
            }
            Error::Index { op, what, value, position, last } => {
                let advice = if *what == "label" { " (classes are counted from 0)" } else { "" };
                write!(
                    f,
                    "{op}: {what} {value} at position {position} is out of range: expected 0 to {last}{advice}"
                )
            }
            Error::Matrix { op, matrix, what, pivot, value } => {
                write!(f, "{op}: matrix {matrix} of the stack is {what}: pivot {pivot} is {value}")
            }
            Error::Argument { name, expected, got } => write!(f, "{name}: expected {expected}, got {got}"),
            Error::Memory { bytes, dtype, shape, why } => {
                write!(f, "cannot allocate {bytes} bytes for a {dtype} tensor of shape {shape}: {why}")
            }
            Error::NoGradient { path } => write!(
                f,
                "no gradient reached the trainable parameter '{path}': the loss does not depend on it. \
                 Use it in forward, freeze it with frozen(), or call Fit::allow_missing_gradients()"
            ),
            Error::Abstract { op } => {
                write!(f, "{op} needs values, but this tensor is only being traced for its shape")
            }
            Error::NotDifferentiable { op, why } => write!(f, "{op} has no gradient: {why}"),
            Error::Backward(why) => write!(f, "backward: {why}"),
            Error::NotFinite { what, value, epoch, step, origin } => {
                write!(f, "{what} is {value} at epoch {epoch}, step {step}. It comes from: {origin}")
            }
            Error::Cancelled { what, why, done } => write!(f, "{what} {why} after {done}"),
            Error::Format { what, why } => write!(f, "{what}: {why}"),
            Error::Limit { what, quantity, got, limit } => write!(
                f,
                "{what}: {quantity} is {got}, over the limit of {limit} (raise it in Limits if the file is trusted)"
            ),
            Error::Io { path, source } => write!(f, "{path}: {source}"),
            Error::At { place, source } => write!(f, "{place}: {source}"),
            Error::Custom(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            Error::At { source, .. } | Error::NotFinite { origin: source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Prints the message itself, because a program whose `main` returns this error prints its `Debug` form.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// Adds the place where the error happened; layers and readers use it to add their name.
    pub fn at(self, place: impl Into<String>) -> Error {
        Error::At { place: place.into(), source: Box::new(self) }
    }

    /// Adds epoch and step to a [`Error::NotFinite`] found in this training step.
    pub(crate) fn in_step(self, epoch: usize, step: usize) -> Error {
        match self {
            Error::NotFinite { what, value, origin, .. } => {
                Error::NotFinite { what, value, epoch, step, origin }
            }
            other => other,
        }
    }

    pub(crate) fn argument(name: &'static str, expected: impl Into<String>, got: impl ToString) -> Error {
        Error::Argument { name, expected: expected.into(), got: got.to_string() }
    }

    /// Fails unless a setting has an allowed value.
    pub(crate) fn unless(fine: bool, name: &'static str, expected: &str, got: f64) -> Result<()> {
        if fine { Ok(()) } else { Err(Error::argument(name, expected, got)) }
    }

    /// Fails unless a setting is finite and not negative.
    pub(crate) fn unless_not_negative(name: &'static str, value: f64) -> Result<()> {
        Error::unless(value >= 0.0 && value.is_finite(), name, "a finite number of 0 or more", value)
    }

    /// Fails unless a setting is finite.
    pub(crate) fn unless_finite(name: &'static str, value: f64) -> Result<()> {
        Error::unless(value.is_finite(), name, "a finite number", value)
    }

    pub(crate) fn shapes(op: &'static str, lhs: Shape, rhs: Shape, why: impl Into<String>) -> Error {
        Error::Shapes { op, lhs: Box::new(lhs), rhs: Box::new(rhs), why: why.into() }
    }

    pub(crate) fn shape(op: &'static str, expected: impl Into<String>, shape: Shape) -> Error {
        Error::Shape { op, expected: expected.into(), shape: Box::new(shape) }
    }

    pub(crate) fn format(what: impl Into<String>, why: impl Into<String>) -> Error {
        Error::Format { what: what.into(), why: why.into() }
    }
}

/// Errors while a network is traced: trial sizes must not appear in a message.
impl Error {
    /// Joins the same failure under two sets of trial sizes into one error, in which sizes that differ print as
    /// `None`.
    pub(crate) fn united(self, other: Error) -> Error {
        use Error::{Argument, At, Axis, Custom, Memory, Shape, Shapes};
        match (self, other) {
            (Shapes { op, lhs, rhs, why }, Shapes { op: same, lhs: l, rhs: r, why: w }) if op == same => {
                Shapes { op, lhs: both(lhs, &l), rhs: both(rhs, &r), why: numbers(&why, |i| number(&w, i)) }
            }
            (Shape { op, expected, shape }, Shape { op: same, expected: e, shape: s }) if op == same => {
                Shape { op, expected: numbers(&expected, |i| number(&e, i)), shape: both(shape, &s) }
            }
            (Axis { op, axis, shape }, Axis { op: same, shape: s, .. }) if op == same => {
                Axis { op, axis, shape: both(shape, &s) }
            }
            (Memory { bytes, dtype, shape, why }, Memory { shape: s, .. }) => {
                Memory { bytes, dtype, shape: both(shape, &s), why }
            }
            (Argument { name, expected, got }, Argument { name: same, expected: e, got: g })
                if name == same =>
            {
                let expected = numbers(&expected, |i| number(&e, i));
                Argument { name, expected, got: numbers(&got, |i| number(&g, i)) }
            }
            (At { place, source }, At { source: other, .. }) => {
                At { place, source: Box::new(source.united(*other)) }
            }
            (Custom(text), Custom(other)) => Custom(numbers(&text, |i| number(&other, i))),
            (error, _) => error,
        }
    }

    /// Prints these sizes as `None`: for a failure that only one of two traces met.
    pub(crate) fn without(self, sizes: &[usize]) -> Error {
        use Error::{Argument, At, Axis, Custom, Memory, Shape, Shapes};
        let hide = |text: &str| numbers(text, |i| number(text, i).filter(|n| !sizes.contains(n)));
        match self {
            Shapes { op, lhs, rhs, why } => {
                Shapes { op, lhs: lhs.without(sizes).into(), rhs: rhs.without(sizes).into(), why: hide(&why) }
            }
            Shape { op, expected, shape } => {
                Shape { op, expected: hide(&expected), shape: shape.without(sizes).into() }
            }
            Axis { op, axis, shape } => Axis { op, axis, shape: shape.without(sizes).into() },
            Memory { bytes, dtype, shape, why } => {
                Memory { bytes, dtype, shape: shape.without(sizes).into(), why }
            }
            Argument { name, expected, got } => Argument { name, expected: hide(&expected), got: hide(&got) },
            At { place, source } => At { place, source: Box::new(source.without(sizes)) },
            Custom(text) => Custom(hide(&text)),
            other => other,
        }
    }
}

fn both(a: Box<Shape>, b: &Shape) -> Box<Shape> {
    if a.rank() == b.rank() { Box::new(a.united(b)) } else { a }
}

/// Returns the runs of digits in a text, and what stands before each.
fn runs(text: &str) -> Vec<(&str, &str)> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let start = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let end = rest[start..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |e| start + e);
        out.push((&rest[..start], &rest[start..end]));
        rest = &rest[end..];
    }
    out
}

/// Number `i` in a text.
fn number(text: &str, i: usize) -> Option<usize> {
    runs(text).get(i)?.1.parse().ok()
}

/// Replaces each number in the text that differs from what `expected` gives for it by `None`.
fn numbers(text: &str, expected: impl Fn(usize) -> Option<usize>) -> String {
    let mut out = String::new();
    for (i, (before, digits)) in runs(text).into_iter().enumerate() {
        out += before;
        out += if digits.is_empty() || digits.parse().ok() == expected(i) { digits } else { "None" };
    }
    out
}

/// Adds a place to the error of a `Result`.
pub trait Context<T> {
    /// Wraps the error in [`Error::At`]; `place` is only evaluated on failure.
    fn at<S: Into<String>>(self, place: impl FnOnce() -> S) -> Result<T>;
}

impl<T> Context<T> for Result<T> {
    fn at<S: Into<String>>(self, place: impl FnOnce() -> S) -> Result<T> {
        match self {
            Ok(value) => Ok(value),
            Err(e) => Err(e.at(place())),
        }
    }
}
