//! Indexing as in NumPy's brackets. `x.index((1, 2..5, .., NewAxis, -1))` is translated, item by item, into the
//! views and gathers of the other files, so it has their gradients.
//!
//! | NumPy | gradus |
//! | --- | --- |
//! | `x[1]`, `x[-1]` | `x.index(1)`, `x.index(-1)` |
//! | `x[1, 2]` | `x.index((1, 2))` |
//! | `x[2:5]`, `x[2:]`, `x[:-1]` | `x.index(2..5)`, `x.index(2..)`, `x.index(..-1)` |
//! | `x[:, 0]` | `x.index((.., 0))` |
//! | `x[::-1]`, `x[1:9:2]` | `x.index(Slice::from(..).step(-1))`, `x.index(Slice::from(1..9).step(2))` |
//! | `x[..., 0]` | `x.index((Ellipsis, 0))` |
//! | `x[:, None]` | `x.index((.., NewAxis))` |
//! | `x[[2, 0]]`, `x[:, idx]` | `x.index([2, 0])`, `x.index((.., &idx))` |
//! | `x[mask]`, `x[0, mask]` | `x.index(&mask)`, `x.index((0, &mask))` |
//! | `x[1:3] = v` | `let x = x.index_put(1..3, &v)?` |
//!
//! Ranges are clamped to the axis, integers must lie in it; both count from the end if negative, as do integers in
//! lists and tensors. `a..=b` includes `b`, also if `b` is negative (`..=-1` is everything). An index may contain
//! one list, integer tensor or mask, whose axes replace the axis it indexes. (NumPy moves them to the front if an
//! integer is not next to them, and pairs several lists; here the first does not happen, and the second is an
//! error.)

use crate::tensor::{Array, Few, Tensor, few};
use crate::{DType, Error, Result, Shape, Spec};
use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

super::table::ops! {
    index: Any, Every, "Slice";
    index_put: Any, Every, "ScatterND";
}

/// Python's `start:end:step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    start: Option<isize>,
    end: Option<isize>,
    step: isize,
}

impl Slice {
    /// Sets another step, which may be negative: the slice then runs backwards from `start` to before `end`.
    #[must_use]
    pub fn step(self, step: isize) -> Slice {
        Slice { step, ..self }
    }
}

/// All axes that the other items of the index leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ellipsis;

/// A new axis of size 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewAxis;

/// One item of an index.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Index {
    /// One position; the axis is removed.
    At(isize),
    /// A run of positions.
    Slice(Slice),
    /// All axes not named.
    Ellipsis,
    /// A new axis of size 1.
    NewAxis,
    /// A list of positions.
    List(Vec<isize>),
    /// Positions (integers), whose shape replaces the axis, or a mask (bool) over as many axes as it has.
    Tensor(Tensor),
}

/// What can be in the brackets: an item, or a tuple of up to eight.
pub trait IntoIndex {
    /// Returns the items in order.
    fn into_index(self) -> Few<Index, 8>;
}

impl<T: Into<Index>> IntoIndex for T {
    fn into_index(self) -> Few<Index, 8> {
        few![self.into()]
    }
}

macro_rules! tuples {
    ($(($($t:ident $i:tt),+);)*) => {$(
        impl<$($t: Into<Index>),+> IntoIndex for ($($t,)+) {
            fn into_index(self) -> Few<Index, 8> {
                [$(self.$i.into()),+].into_iter().collect()
            }
        }
    )*};
}
tuples! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, F 5);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
}

/// Converts a position; one that does not fit in an `isize` becomes larger than any axis, so that it is out of
/// range or clamped like any other.
#[allow(clippy::unnecessary_fallible_conversions)] // `i32` on all targets, the others not
fn position<T: TryInto<isize>>(at: T) -> isize {
    at.try_into().unwrap_or(isize::MAX)
}

/// Returns the position after an inclusive end; after the last one there is no next.
fn after(end: isize) -> Option<isize> {
    if end == -1 { None } else { end.checked_add(1) }
}

macro_rules! integers {
    ($($t:ty),*) => {$(
        impl From<$t> for Index {
            fn from(at: $t) -> Index {
                Index::At(position(at))
            }
        }
        impl From<Range<$t>> for Slice {
            fn from(r: Range<$t>) -> Slice {
                Slice { start: Some(position(r.start)), end: Some(position(r.end)), step: 1 }
            }
        }
        impl From<RangeFrom<$t>> for Slice {
            fn from(r: RangeFrom<$t>) -> Slice {
                Slice { start: Some(position(r.start)), end: None, step: 1 }
            }
        }
        impl From<RangeTo<$t>> for Slice {
            fn from(r: RangeTo<$t>) -> Slice {
                Slice { start: None, end: Some(position(r.end)), step: 1 }
            }
        }
        impl From<RangeInclusive<$t>> for Slice {
            fn from(r: RangeInclusive<$t>) -> Slice {
                let (start, end) = r.into_inner();
                Slice { start: Some(position(start)), end: after(position(end)), step: 1 }
            }
        }
        impl From<RangeToInclusive<$t>> for Slice {
            fn from(r: RangeToInclusive<$t>) -> Slice {
                Slice { start: None, end: after(position(r.end)), step: 1 }
            }
        }
        integers!(@item Range<$t>, RangeFrom<$t>, RangeTo<$t>, RangeInclusive<$t>, RangeToInclusive<$t>);
        impl<const N: usize> From<[$t; N]> for Index {
            fn from(list: [$t; N]) -> Index {
                Index::List(list.map(position).to_vec())
            }
        }
        impl From<Vec<$t>> for Index {
            fn from(list: Vec<$t>) -> Index {
                Index::List(list.into_iter().map(position).collect())
            }
        }
    )*};
    (@item $($r:ty),*) => {$(
        impl From<$r> for Index {
            fn from(r: $r) -> Index {
                Index::Slice(r.into())
            }
        }
    )*};
}
integers!(i32, i64, isize, usize);
integers!(@item RangeFull, Slice);

impl From<RangeFull> for Slice {
    fn from(_: RangeFull) -> Slice {
        Slice { start: None, end: None, step: 1 }
    }
}
impl From<Ellipsis> for Index {
    fn from(_: Ellipsis) -> Index {
        Index::Ellipsis
    }
}
impl From<NewAxis> for Index {
    fn from(_: NewAxis) -> Index {
        Index::NewAxis
    }
}
impl From<&Tensor> for Index {
    fn from(t: &Tensor) -> Index {
        Index::Tensor(t.clone())
    }
}
impl From<Tensor> for Index {
    fn from(t: Tensor) -> Index {
        Index::Tensor(t)
    }
}

impl Index {
    /// Returns how many axes the item stands for.
    fn axes(&self) -> usize {
        match self {
            Index::Ellipsis | Index::NewAxis => 0,
            Index::Tensor(t) if t.dtype() == DType::Bool => t.rank(),
            _ => 1,
        }
    }
}

/// Returns the listed positions of an axis of `n`, with negative ones counted from the start.
fn places(list: &[isize], n: usize) -> Result<Tensor> {
    let last = n as i64 - 1;
    let mut from_start = Array::new(Spec::new(Shape::new(&[list.len()])?, DType::I64))?;
    let out = from_start.slice_mut::<i64>()?;
    for (position, &i) in list.iter().enumerate() {
        let at = if i < 0 { i as i64 + n as i64 } else { i as i64 };
        if !(0..=last).contains(&at) {
            return Err(Error::Index { op: "index", what: "index", value: i as i64, position, last });
        }
        out[position] = at;
    }
    Ok(from_start.into())
}

/// Returns the positions of an axis of `n`, with negative ones counted from the start.
fn from_start(index: &Tensor, n: usize) -> Result<Tensor> {
    let (zero, n) = (Tensor::scalar(0i64)?, Tensor::scalar(n as i64)?);
    index.less(&zero)?.choose(&index.add(&n)?, index)
}

impl Tensor {
    /// Returns the elements that an index names, like NumPy's `x[…]`: see the [table](crate::ops::subscript) of all
    /// forms.
    ///
    /// ```
    /// use gradus::Tensor;
    /// use gradus::ops::{Ellipsis, NewAxis, Slice};
    ///
    /// let x = Tensor::arange(24)?.reshape([2, 3, 4])?;
    /// assert_eq!(x.index((1, .., -1))?.to_vec::<i64>()?, [15, 19, 23]);
    /// assert_eq!(x.index((Ellipsis, NewAxis, 1..3))?.dims(), [2, 3, 1, 2]);
    /// assert_eq!(x.index((0, 0, Slice::from(..).step(-1)))?.to_vec::<i64>()?, [3, 2, 1, 0]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// There are more items than axes, more than one [`Ellipsis`] or more than one list, tensor or mask, a position
    /// is out of range, a tensor is neither of integers nor bool, or a mask has no values yet.
    pub fn index(&self, index: impl IntoIndex) -> Result<Tensor> {
        self.index_by(&index.into_index())
    }

    fn index_by(&self, items: &[Index]) -> Result<Tensor> {
        let count = |f: fn(&Index) -> bool| items.iter().filter(|i| f(i)).count();
        let named: usize = items.iter().map(Index::axes).sum();
        if named > self.rank() {
            let expected = format!("at most {} items for shape {}", self.rank(), self.shape());
            return Err(Error::argument("index", expected, format!("{named}")));
        }
        let lists = count(|i| matches!(i, Index::List(_) | Index::Tensor(_)));
        if lists > 1 || count(|i| matches!(i, Index::Ellipsis)) > 1 {
            let expected =
                "one ellipsis, and one list, tensor or mask (index by the others one after the other)";
            return Err(Error::argument("index", expected, format!("{lists} lists, tensors or masks")));
        }
        let mut out = self.clone();
        let mut at = 0;
        for item in items {
            let axis = at as isize;
            match item {
                Index::At(i) => {
                    out = out.select(axis, *i)?;
                    continue;
                }
                Index::Slice(s) => out = out.slice_step(axis, s.start, s.end, s.step)?,
                Index::Ellipsis => {
                    at += self.rank() - named;
                    continue;
                }
                Index::NewAxis => out = out.expand_dims(axis)?,
                Index::List(list) => out = out.gather(&places(list, out.dims()[at])?, axis)?,
                Index::Tensor(mask) if mask.dtype() == DType::Bool => out = out.boolean_mask_at(mask, at)?,
                Index::Tensor(t) if t.dtype().is_integer() => {
                    out = out.gather(&from_start(&t.cast(DType::I64)?, out.dims()[at])?, axis)?;
                    at += t.rank();
                    continue;
                }
                Index::Tensor(t) => {
                    let expected = "integer positions or a bool mask";
                    return Err(Error::DType { op: "index", expected, got: t.dtype() });
                }
            }
            at += 1;
        }
        Ok(out)
    }

    /// Returns this tensor with `values` (broadcast) in the places that an index names: NumPy's `x[…] = values`, as
    /// a new tensor. If a list names a place twice, the last value stays. Gradients flow to the elements of both
    /// that are in the result.
    ///
    /// # Errors
    /// Those of [`Tensor::index`]; `values` do not broadcast to the places; or promoted with this dtype by
    /// [`DType::promote`], they would change it.
    pub fn index_put(&self, index: impl IntoIndex, values: &Tensor) -> Result<Tensor> {
        const OP: &str = "index_put";
        let items = index.into_index();
        if self.dtype().promote(values.dtype()) != self.dtype() {
            let why = format!("{} does not hold every {}: cast one of them", self.dtype(), values.dtype());
            return Err(Error::shapes(OP, *self.shape(), *values.shape(), why));
        }
        let values = values.cast(self.dtype())?;
        // The same index applied to the places' numbers says where each value goes.
        let n = self.elements();
        let places = Tensor::arange(n)?.reshape_to(*self.shape())?.index_by(&items)?;
        let values = values.broadcast_to(*places.shape())?.flatten()?;
        if places.is_traced() {
            return Err(Error::Abstract { op: "index_put at positions that are computed" });
        }
        let mut from = Tensor::full(*self.shape(), -1i64)?.into_array();
        let latest = from.slice_mut::<i64>()?;
        for (i, &place) in places.array().contiguous()?.slice::<i64>()?.iter().enumerate() {
            latest[place as usize] = i as i64;
        }
        if values.elements() == 0 {
            return Ok(self.clone());
        }
        let from = Tensor::from(from);
        let zero = Tensor::scalar(0i64)?;
        from.less(&zero)?.choose(self, &values.gather(&from.maximum(&zero)?, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(t: Result<Tensor>) -> (Vec<usize>, Vec<i64>) {
        let t = t.unwrap();
        (t.dims().to_vec(), t.to_vec().unwrap())
    }

    /// Compared with what NumPy prints for `x = np.arange(24).reshape(2, 3, 4)`.
    #[test]
    fn numpy_says() {
        let x = Tensor::arange(24).unwrap().reshape([2, 3, 4]).unwrap();
        assert_eq!(ints(x.index((1, 2, 3))), (vec![], vec![23]));
        assert_eq!(ints(x.index((-1, 0))), (vec![4], vec![12, 13, 14, 15]));
        assert_eq!(ints(x.index((.., 1, 1..=2))), (vec![2, 2], vec![5, 6, 17, 18]));
        assert_eq!(ints(x.index((0, 1, ..=-2))), (vec![3], vec![4, 5, 6]));
        assert_eq!(ints(x.index((0, 1, ..=-1))), (vec![4], vec![4, 5, 6, 7]));
        assert_eq!(ints(x.index((0, 1..9usize, 3))), (vec![2], vec![7, 11]));
        assert_eq!(ints(x.index((Ellipsis, -1))), (vec![2, 3], vec![3, 7, 11, 15, 19, 23]));
        assert_eq!(x.index((NewAxis, Ellipsis, NewAxis)).unwrap().dims(), [1, 2, 3, 4, 1]);
        assert_eq!(x.index((0, NewAxis, 1..)).unwrap().dims(), [1, 2, 4]);
        let back = Slice::from(..).step(-2);
        assert_eq!(ints(x.index((0, 0, back))), (vec![2], vec![3, 1]));
        assert_eq!(ints(x.index((0, 0, Slice::from(-1..0).step(-1)))), (vec![3], vec![3, 2, 1]));
        assert_eq!(ints(x.index((1, [2, 0, -1], 0))), (vec![3], vec![20, 12, 20]));
        let at = Tensor::from_slice(&[0i64, -1, 1, 0], [2, 2]).unwrap();
        assert_eq!(ints(x.index((0, .., &at))).0, [3, 2, 2]);
        assert_eq!(ints(x.index((0, 1, &at))), (vec![2, 2], vec![4, 7, 5, 4]));
        assert_eq!(ints(x.index((&at, 0, 0))), (vec![2, 2], vec![0, 12, 12, 0]));
        let mask = x.greater(&Tensor::scalar(20i64).unwrap()).unwrap();
        assert_eq!(ints(x.index(&mask)), (vec![3], vec![21, 22, 23]));
        let rows = Tensor::from_slice(&[true, false, true], [3]).unwrap();
        assert_eq!(ints(x.index((.., rows, 0))), (vec![2, 2], vec![0, 8, 12, 20]));
        assert_eq!(x.index(Vec::<i64>::new()).unwrap().dims(), [0, 3, 4]);
        assert!(x.index((0, 0, 0, 0)).is_err() && x.index((Ellipsis, Ellipsis)).is_err());
        assert!(x.index(([0], [1])).is_err() && x.index(2).is_err() && x.index([2]).is_err());
        assert!(x.index(usize::MAX).is_err());
    }

    #[test]
    fn values_are_put_where_they_belong() {
        let x = Tensor::arange(6).unwrap().reshape([2, 3]).unwrap();
        let v = |values: &[i64]| Tensor::from_slice(values, [values.len()]).unwrap();
        assert_eq!(ints(x.index_put((.., 1), &v(&[7, 8]))).1, [0, 7, 2, 3, 8, 5]);
        assert_eq!(ints(x.index_put(1, &v(&[9]))).1, [0, 1, 2, 9, 9, 9]);
        assert_eq!(ints(x.index_put((0, [2, 0, 2]), &v(&[4, 5, 6]))).1, [5, 1, 6, 3, 4, 5]);
        let odd = x.remainder(&v(&[2])).unwrap().cast(DType::Bool).unwrap();
        assert_eq!(ints(x.index_put(&odd, &v(&[-1]))).1, [0, -1, 2, -1, 4, -1]);
        assert_eq!(ints(x.index_put(0..0, &v(&[1]))).1, [0, 1, 2, 3, 4, 5]);
        assert!(x.index_put(0, &v(&[1, 2])).is_err() && x.index_put(0, &Tensor::ones([3]).unwrap()).is_err());
    }

    #[test]
    fn gradients_flow_to_what_stayed() {
        let x = Tensor::from_slice(&[0.3, -0.2, 0.7, 0.5], [2, 2]).unwrap();
        let v = Tensor::from_slice(&[0.4, 0.9, -0.6], [3]).unwrap();
        let f = |t: &[Tensor]| t[0].square()?.index_put((0, [1, 0, 1]), &t[1].exp()?)?.square();
        let check = crate::autograd::gradcheck(f, &[x, v]).unwrap();
        assert!(check.first < 1e-7 && check.second < 1e-6, "{check:?}");
    }
}
