//! `Parts`: where the sizes of a reshaped or repeated tensor come from. This is what a recorded reshape means,
//! rather than the sizes that it happened to have.

use crate::autograd::{Attr, Attribute};
use crate::shape::Size;
use crate::tensor::Few;
use crate::{Error, MAX_RANK, Result, Shape};
use std::fmt::Write;

/// Where the size of one axis comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// An axis of the input: `2`.
    Keep(usize),
    /// Several axes of the input merged, from the first to the last: `0*2`.
    Merge(usize, usize),
    /// A given size: `=64`.
    Size(usize),
    /// What the others leave: `?`.
    Rest,
}

/// One for each axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts(pub(crate) Few<Part, MAX_RANK>);

impl Parts {
    /// Returns how a tensor of one shape becomes one of another with as many elements: axes at the start and at the
    /// end that agree are kept, and axes that are joined are merged.
    pub(crate) fn between(from: &Shape, to: &Shape) -> Parts {
        let (from, to) = (from.dims(), to.dims());
        let same = |(a, b): &(&usize, &usize)| a == b;
        let shorter = from.len().min(to.len());
        let start = from.iter().zip(to).take_while(same).count();
        let end = from.iter().rev().zip(to.iter().rev()).take_while(same).count().min(shorter - start);
        let (lead, trail) = (from.len() - end, to.len() - end);

        let mut parts: Few<Part, MAX_RANK> = (0..start).map(Part::Keep).collect();
        let inner = &to[start..trail];
        // Of the axes between, those of size 1 do not matter.
        let real = |i: &usize| from[*i] != 1;
        let (first, last) = ((start..lead).find(real), (start..lead).rev().find(real));
        let alone = inner.iter().filter(|d| **d != 1).count() == 1;
        for &size in inner {
            parts.push(match (first, last) {
                (Some(first), Some(last)) if alone && size != 1 && first == last => Part::Keep(first),
                (Some(first), Some(last)) if alone && size != 1 => Part::Merge(first, last),
                _ => Part::Size(size),
            });
        }
        parts.extend((lead..from.len()).map(Part::Keep));
        Parts(parts)
    }

    /// Returns how a tensor of one shape is repeated to one that it broadcasts to.
    pub(crate) fn broadcast(from: &Shape, to: &Shape) -> Parts {
        let new = to.rank().saturating_sub(from.rank());
        let part = |(i, &size): (usize, &usize)| match i.checked_sub(new) {
            Some(axis) if from.dims()[axis] == size => Part::Keep(axis),
            _ => Part::Size(size),
        };
        Parts(to.dims().iter().enumerate().map(part).collect())
    }

    /// Returns how the sizes of one shape follow from those of another: a size that equals that of an axis there is
    /// taken from it, first of all from the axis in the same position.
    pub(crate) fn following(from: &Shape, to: &Shape) -> Parts {
        let part = |(i, &size): (usize, &usize)| {
            let axis = from.dims().iter().position(|d| *d == size);
            let axis = if from.dims().get(i) == Some(&size) { Some(i) } else { axis };
            axis.filter(|_| size != 1).map_or(Part::Size(size), Part::Keep)
        };
        Parts(to.dims().iter().enumerate().map(part).collect())
    }

    /// Returns the shape that results from another one.
    ///
    /// # Errors
    /// An axis does not exist, or the rest cannot be divided.
    pub(crate) fn shape(&self, op: &'static str, from: &Shape) -> Result<Shape> {
        let wrong = || Error::shape(op, format!("a shape that {} can be made of", self.text()), *from);
        let axes = |first: usize, last: usize| from.dims().get(first..=last).ok_or_else(wrong);
        let product = |sizes: &[usize]| sizes.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let (mut sizes, mut hole) = (Few::<usize, MAX_RANK>::new(), None);
        let (mut used, mut known) = ([false; MAX_RANK], 1usize);
        for (i, part) in self.0.iter().enumerate() {
            sizes.push(match *part {
                Part::Keep(axis) => {
                    let size = axes(axis, axis)?[0];
                    used[axis] = true;
                    size
                }
                Part::Merge(first, last) => {
                    let merged = axes(first, last)?;
                    used[first..=last].fill(true);
                    product(merged).ok_or_else(wrong)?
                }
                Part::Size(size) => {
                    known = known.checked_mul(size).ok_or_else(wrong)?;
                    size
                }
                Part::Rest if hole.is_none() => {
                    hole = Some(i);
                    1
                }
                Part::Rest => return Err(wrong()),
            });
        }
        if let Some(hole) = hole {
            // Axes that are kept count on neither side, so an empty batch is not ambiguous.
            let left: Few<usize, MAX_RANK> =
                (0..from.rank()).filter(|&i| !used[i]).map(|i| from.dims()[i]).collect();
            let left = product(&left).ok_or_else(wrong)?;
            sizes[hole] = left.checked_div(known).filter(|size| size * known == left).ok_or_else(wrong)?;
        }
        Shape::new(&sizes)
    }

    /// `[0, 1*2, =4, ?]`.
    fn text(&self) -> String {
        let mut text = String::from("[");
        for (i, part) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let _ = match part {
                Part::Keep(axis) => write!(text, "{comma}{axis}"),
                Part::Merge(first, last) => write!(text, "{comma}{first}*{last}"),
                Part::Size(size) => write!(text, "{comma}={}", Size(*size)),
                Part::Rest => write!(text, "{comma}?"),
            };
        }
        text.push(']');
        text
    }

    fn parse(text: &str) -> Option<Parts> {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        let part = |word: &str| -> Option<Part> {
            if word == "?" {
                return Some(Part::Rest);
            }
            if let Some(size) = word.strip_prefix('=') {
                return size.parse().ok().map(Part::Size);
            }
            match word.split_once('*') {
                Some((first, last)) => Some(Part::Merge(first.parse().ok()?, last.parse().ok()?)),
                None => word.parse().ok().map(Part::Keep),
            }
        };
        let words = inner.split(", ").filter(|word| !word.is_empty());
        let parts: Few<Part, MAX_RANK> = words.map(part).collect::<Option<_>>()?;
        let ordered =
            |part: &Part| !matches!(part, Part::Merge(first, last) if first > last || *last >= MAX_RANK);
        (parts.len() <= MAX_RANK && parts.iter().all(ordered)).then_some(Parts(parts))
    }
}

impl Attribute for Parts {
    const EXPECTED: &'static str = "a list such as [0, 1*2, =4, ?]: axes kept, merged, sizes, what is left";
    fn write(&self) -> Attr {
        Attr::Text(self.text().into())
    }
    fn read(value: &Attr) -> Option<Parts> {
        match value {
            Attr::Text(text) => Parts::parse(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(sizes: &[usize]) -> Shape {
        Shape::new(sizes).unwrap()
    }

    #[test]
    fn a_reshape_is_known_by_what_it_means() {
        for (from, to, text) in [
            (&[24, 28, 28][..], &[24, 784][..], "[0, 1*2]"),
            (&[24, 192, 7], &[4608, 7], "[0*1, 2]"),
            (&[24, 7], &[24, 1, 7], "[0, =1, 1]"),
            (&[24, 1, 7], &[24, 7], "[0, 2]"),
            (&[24, 192, 64], &[24, 192, 8, 8], "[0, 1, =8, =8]"),
            (&[1, 24], &[24, 1], "[1, =1]"),
            (&[6], &[], "[]"),
            (&[24, 2, 3, 5], &[24, 6, 5], "[0, 1*2, 3]"),
        ] {
            let parts = Parts::between(&shape(from), &shape(to));
            assert_eq!(parts.text(), text);
            assert_eq!(Parts::parse(text), Some(parts.clone()));
            if !to.is_empty() {
                assert_eq!(parts.shape("test", &shape(from)).unwrap(), shape(to));
            }
        }
    }

    #[test]
    fn what_is_left_is_worked_out_beside_an_empty_batch_too() {
        let parts = Parts::parse("[0, ?, =4]").unwrap();
        assert_eq!(parts.shape("test", &shape(&[0, 8, 3])).unwrap(), [0, 6, 4]);
        assert_eq!(parts.shape("test", &shape(&[5, 8])).unwrap(), [5, 2, 4]);
        assert!(parts.shape("test", &shape(&[5, 7])).is_err());
        for bad in ["[9*1]", "[0, ", "[x]", "[1*9]", "[0,0,0,0,0,0,0,0,0]", "[=-1]"] {
            assert_eq!(Parts::parse(bad), None, "{bad}");
        }
        assert!(Parts::parse("[3]").unwrap().shape("test", &shape(&[5])).is_err());
        assert!(Parts::parse("[?, ?]").unwrap().shape("test", &shape(&[5])).is_err());
        assert!(Parts::parse("[=0, ?]").unwrap().shape("test", &shape(&[5])).is_err());
    }
}
