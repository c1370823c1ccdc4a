//! `Shape` and everything about sizes that does not depend on memory: broadcasting, axes, unknown sizes. A shape is
//! a small value that is copied and compared freely and never allocates.

use crate::{Error, Result};
use std::fmt;

/// The largest number of axes of a tensor.
pub const MAX_RANK: usize = 8;

/// A size that is not known before data arrives, such as that of the batch. It prints as `None`. No tensor has it:
/// a network is traced with two sets of sizes, and a size that differs between them is unknown (`nn/trace.rs`).
/// (Not `usize::MAX`, because that is what a size one below zero wraps to by mistake, and messages must show it.)
pub const UNKNOWN: usize = usize::MAX - 1;

/// Returns whether a size is [`UNKNOWN`].
pub(crate) fn is_unknown(size: usize) -> bool {
    size == UNKNOWN
}

/// The sizes of a tensor along each axis, at most [`MAX_RANK`] of them. A scalar has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; MAX_RANK],
    rank: u8,
}

impl Shape {
    /// The shape of a single number.
    pub const SCALAR: Shape = Shape { dims: [0; MAX_RANK], rank: 0 };

    /// Creates a shape from its sizes.
    ///
    /// # Errors
    /// There are more than [`MAX_RANK`] axes.
    pub fn new(sizes: &[usize]) -> Result<Shape> {
        if sizes.len() > MAX_RANK {
            return Err(Error::argument("shape", format!("at most {MAX_RANK} dimensions"), sizes.len()));
        }
        let mut dims = [0; MAX_RANK];
        dims[..sizes.len()].copy_from_slice(sizes);
        Ok(Shape { dims, rank: sizes.len() as u8 })
    }

    /// Returns the number of axes.
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    /// Returns the sizes as a slice.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank()]
    }

    pub(crate) fn dims_mut(&mut self) -> &mut [usize] {
        let rank = self.rank();
        &mut self.dims[..rank]
    }

    /// Returns the number of elements. It never overflows for shapes of existing tensors; for others it saturates.
    pub fn elements(&self) -> usize {
        self.checked_elements().unwrap_or(usize::MAX)
    }

    pub(crate) fn checked_elements(&self) -> Option<usize> {
        if self.dims().contains(&0) {
            return Some(0);
        }
        self.dims().iter().try_fold(1usize, |n, &d| n.checked_mul(d))
    }

    /// Whether sizes and strides can be multiplied without overflow. A size of 0 does not excuse the others: NumPy
    /// also refuses an array of shape `[0, 2⁴⁰, 2⁴⁰]`.
    pub(crate) fn is_countable(&self) -> bool {
        const MOST: usize = isize::MAX as usize / 16;
        let product = self.dims().iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1)));
        product.is_some_and(|n| n <= MOST)
    }

    /// Returns an axis as an index; negative axes count from the end.
    pub(crate) fn axis(&self, op: &'static str, axis: isize) -> Result<usize> {
        let rank = self.rank() as isize;
        let at = if axis < 0 { axis + rank } else { axis };
        if (0..rank).contains(&at) {
            Ok(at as usize)
        } else {
            Err(Error::Axis { op, axis, shape: Box::new(*self) })
        }
    }

    /// Returns a set of axes as flags; no axes means all of them.
    pub(crate) fn axes(&self, op: &'static str, axes: &[isize]) -> Result<[bool; MAX_RANK]> {
        let mut set = [false; MAX_RANK];
        if axes.is_empty() {
            set[..self.rank()].fill(true);
        }
        for &axis in axes {
            let at = self.axis(op, axis)?;
            if set[at] {
                return Err(Error::argument("axes", "each axis once", format!("axis {axis} twice")));
            }
            set[at] = true;
        }
        Ok(set)
    }

    /// Returns the shape without the axes set in `drop`, or with size 1 there if `keep`.
    pub(crate) fn reduced(&self, drop: &[bool; MAX_RANK], keep: bool) -> Shape {
        let mut out = Shape::SCALAR;
        for (i, &d) in self.dims().iter().enumerate() {
            if !drop[i] {
                out.push(d);
            } else if keep {
                out.push(1);
            }
        }
        out
    }

    /// Adds an axis at the end; the caller has checked that there is room.
    pub(crate) fn push(&mut self, size: usize) {
        self.dims[self.rank()] = size;
        self.rank += 1;
    }

    /// Returns the shape with another size at one axis.
    pub(crate) fn with(mut self, axis: usize, size: usize) -> Shape {
        self.dims[axis] = size;
        self
    }

    /// Returns this shape with every size that differs from `other` unknown. The ranks are equal.
    pub(crate) fn united(mut self, other: &Shape) -> Shape {
        for (d, o) in self.dims_mut().iter_mut().zip(other.dims()) {
            if d != o {
                *d = UNKNOWN;
            }
        }
        self
    }

    /// Returns this shape with every size found in `sizes` unknown.
    pub(crate) fn without(mut self, sizes: &[usize]) -> Shape {
        for d in self.dims_mut() {
            if sizes.contains(d) {
                *d = UNKNOWN;
            }
        }
        self
    }

    /// Broadcasts two shapes by NumPy's rule: aligned at the end, equal sizes match, and size 1 stretches.
    pub(crate) fn broadcast(op: &'static str, a: Shape, b: Shape) -> Result<Shape> {
        let rank = a.rank().max(b.rank());
        let mut out = Shape { dims: [0; MAX_RANK], rank: rank as u8 };
        for i in 0..rank {
            let get = |s: &Shape| if i + s.rank() < rank { 1 } else { s.dims[i + s.rank() - rank] };
            out.dims[i] = match (get(&a), get(&b)) {
                (x, y) if x == y => x,
                (1, y) => y,
                (x, 1) => x,
                (x, y) => {
                    let why = format!("sizes {} and {} cannot be broadcast together", Size(x), Size(y));
                    return Err(Error::shapes(op, a, b, why));
                }
            };
        }
        Ok(out)
    }

    /// Returns the row-major strides, in elements.
    pub(crate) fn strides(&self) -> [isize; MAX_RANK] {
        let mut strides = [0; MAX_RANK];
        let mut step = 1isize;
        for i in (0..self.rank()).rev() {
            strides[i] = step;
            step = step.saturating_mul(self.dims[i].max(1) as isize);
        }
        strides
    }

    /// Works out the one size that may be given as -1.
    pub(crate) fn infer_reshape(self, sizes: &[isize]) -> Result<Shape> {
        const OP: &str = "reshape";
        let show = || format!("{sizes:?}");
        if sizes.len() > MAX_RANK {
            return Err(Error::argument("reshape", format!("at most {MAX_RANK} dimensions"), show()));
        }
        let total = match self.dims().contains(&0) {
            true => 0,
            false => self.dims().iter().fold(1u128, |n, &d| n.saturating_mul(d as u128)),
        };
        let mut out = Shape { dims: [0; MAX_RANK], rank: sizes.len() as u8 };
        let mut hole = None;
        let mut known = 1u128;
        for (i, &s) in sizes.iter().enumerate() {
            if s == -1 && hole.is_none() {
                hole = Some(i);
            } else if s < 0 {
                return Err(Error::argument("reshape", "sizes of 0 or more and at most one -1", show()));
            } else {
                out.dims[i] = s as usize;
                known = known.saturating_mul(s as u128);
            }
        }
        if let Some(i) = hole {
            if known == 0 || total % known != 0 {
                return Err(Error::shape(
                    OP,
                    format!("a shape whose size is divisible into {}", show()),
                    self,
                ));
            }
            out.dims[i] = usize::try_from(total / known).unwrap_or(usize::MAX);
        } else if known != total {
            let why = format!("{} elements cannot become {}", Size(self.elements()), Size(out.elements()));
            return Err(Error::shapes(OP, self, out, why));
        }
        Ok(out)
    }
}

/// A size that prints as `None` while it is unknown.
pub(crate) struct Size(pub(crate) usize);
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_unknown(self.0) { f.write_str("None") } else { write!(f, "{}", self.0) }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, &d) in self.dims().iter().enumerate() {
            write!(f, "{}{}", if i > 0 { ", " } else { "" }, Size(d))?;
        }
        f.write_str("]")
    }
}
impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, other: &[usize; N]) -> bool {
        self.dims() == other
    }
}

/// Anything that can be read as a list of sizes: arrays, slices, vectors, and [`Shape`] itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a shape",
    label = "expected an array of sizes of type usize, such as `[2, 3]`, `[3]` for one axis, or `[]` for a number"
)]
pub trait IntoShape {
    /// Converts to a shape.
    ///
    /// # Errors
    /// There are more than [`MAX_RANK`] axes.
    fn into_shape(self) -> Result<Shape>;
}
impl IntoShape for Shape {
    fn into_shape(self) -> Result<Shape> {
        Ok(self)
    }
}
impl IntoShape for &[usize] {
    fn into_shape(self) -> Result<Shape> {
        Shape::new(self)
    }
}
impl IntoShape for &Vec<usize> {
    fn into_shape(self) -> Result<Shape> {
        Shape::new(self)
    }
}
impl IntoShape for Vec<usize> {
    fn into_shape(self) -> Result<Shape> {
        Shape::new(&self)
    }
}
impl<const N: usize> IntoShape for [usize; N] {
    fn into_shape(self) -> Result<Shape> {
        Shape::new(&self)
    }
}
impl<const N: usize> IntoShape for &[usize; N] {
    fn into_shape(self) -> Result<Shape> {
        Shape::new(self)
    }
}

/// Shape and element type: all that is known of a tensor before it has values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Spec {
    /// The sizes.
    pub shape: Shape,
    /// The element type.
    pub dtype: crate::DType,
}
impl Spec {
    /// Creates a spec of both.
    pub fn new(shape: Shape, dtype: crate::DType) -> Spec {
        Spec { shape, dtype }
    }
}
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.dtype, self.shape)
    }
}
