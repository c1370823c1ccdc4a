//! `Moves`: what reshapes and permutations that follow each other are together, for a graph that is simplified. Like
//! the steps it holds what is meant rather than sizes, so it is true of inputs of other sizes as well.

use super::parts::{Part, Parts};
use super::view::{Permute, Reshape};
use crate::autograd::{FromAttrs, Op};
use crate::tensor::Few;
use crate::{MAX_RANK, Shape};
use std::any::TypeId;
use std::ops::Range;
use std::sync::Arc;

type Order = Few<usize, MAX_RANK>;

/// A reshape and then a permutation. Each of them may change nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moves {
    parts: Parts,
    order: Order,
}

/// Returns an operation if it is of this type.
fn known<O: Op + FromAttrs>(op: &dyn Op) -> Option<O> {
    (op.kind() == TypeId::of::<O>()).then(|| O::from_attrs(op.name(), &op.attrs()))??.ok()
}

/// Returns the operation that reshapes one shape to another of as many elements.
pub(crate) fn reshape(from: &Shape, to: &Shape) -> Arc<dyn Op> {
    Arc::new(Reshape { to: Parts::between(from, to) })
}

/// Returns whether an operation is a reshape.
pub(crate) fn is_reshape(op: &dyn Op) -> bool {
    op.kind() == TypeId::of::<Reshape>()
}

/// Returns whether an operation is a reshape or a permutation.
pub(crate) fn only_moves(op: &dyn Op) -> bool {
    is_reshape(op) || op.kind() == TypeId::of::<Permute>()
}

impl Moves {
    /// Returns what changes nothing of a tensor with so many axes.
    pub(crate) fn nothing(rank: usize) -> Moves {
        Moves { parts: Parts((0..rank).map(Part::Keep).collect()), order: (0..rank).collect() }
    }

    /// Returns these moves of a tensor of shape `from` and then the operation, which gives one of shape `to`; `None` if
    /// they are no reshape and then a permutation, or that cannot be said for all sizes.
    pub(crate) fn then(&self, op: &dyn Op, from: &Shape, to: &Shape) -> Option<Moves> {
        let after = if let Some(Permute { order }) = known(op) {
            let order = order.iter().map(|&axis| self.order.get(axis).copied()).collect::<Option<_>>()?;
            Moves { parts: self.parts.clone(), order }
        } else {
            let Reshape { to } = known(op)?;
            let middle = self.parts.shape("reshape", from).ok()?;
            let (parts, order) = match self.is_in_order() {
                true => (to.clone(), (0..to.0.len()).collect()),
                false => turned(&self.order, &to, &middle)?,
            };
            Moves { parts: composed(&self.parts, &parts)?, order }
        };
        (after.shape(from)? == *to).then_some(after)
    }

    fn shape(&self, from: &Shape) -> Option<Shape> {
        let middle = self.parts.shape("reshape", from).ok()?;
        let sizes: Few<usize, MAX_RANK> = self.order.iter().map(|&axis| middle.dims()[axis]).collect();
        Shape::new(&sizes).ok()
    }

    fn is_in_order(&self) -> bool {
        self.order.iter().enumerate().all(|(i, &axis)| i == axis)
    }

    /// Returns whether the reshape changes nothing of a tensor of this shape: it gives the same one.
    fn keeps(&self, from: &Shape) -> bool {
        self.parts.shape("reshape", from).ok() == Some(*from)
    }

    /// Returns whether they change nothing of a tensor of this shape.
    pub(crate) fn is_nothing(&self, from: &Shape) -> bool {
        self.is_in_order() && self.keeps(from)
    }

    /// Returns the one operation that they are, if they are one.
    pub(crate) fn op(&self, from: &Shape) -> Option<Arc<dyn Op>> {
        match (self.is_in_order(), self.keeps(from)) {
            (true, _) => Some(Arc::new(Reshape { to: self.parts.clone() })),
            (false, true) => self.permutation(),
            (false, false) => None,
        }
    }

    /// Returns the reshape alone.
    pub(crate) fn reshape(&self) -> Moves {
        Moves { order: (0..self.order.len()).collect(), ..self.clone() }
    }

    /// Returns the permutation alone.
    pub(crate) fn permutation(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Permute { order: self.order.clone() }))
    }
}

/// Returns a reshape of what a reshape has given as one; `None` if that cannot be said.
fn composed(first: &Parts, then: &Parts) -> Option<Parts> {
    let part = |part: &Part| match *part {
        Part::Keep(axis) => first.0.get(axis).copied(),
        Part::Merge(from, to) => Some(merged(first.0.get(from..=to)?)),
        other => Some(other),
    };
    let parts: Few<Part, MAX_RANK> = then.0.iter().map(part).collect::<Option<_>>()?;
    // What is left is known for one axis alone.
    (parts.iter().filter(|part| **part == Part::Rest).count() <= 1).then_some(Parts(parts))
}

/// Returns what axes that are made of some others are when they are merged.
fn merged(parts: &[Part]) -> Part {
    let sizes = parts.iter().map(|part| if let Part::Size(size) = part { Some(*size) } else { None });
    let product = sizes.clone().try_fold(1usize, |n, size| n.checked_mul(size?));
    if let Some(size) = product {
        return Part::Size(size);
    }
    let mut run: Option<Range<usize>> = None;
    for part in parts.iter().filter(|part| **part != Part::Size(1)) {
        let (from, to) = match *part {
            Part::Keep(axis) => (axis, axis),
            Part::Merge(from, to) => (from, to),
            Part::Size(_) | Part::Rest => return Part::Rest,
        };
        run = match run {
            None => Some(from..to + 1),
            Some(run) if run.end == from => Some(run.start..to + 1),
            Some(_) => return Part::Rest,
        };
    }
    match run {
        Some(run) if run.len() == 1 => Part::Keep(run.start),
        Some(run) => Part::Merge(run.start, run.end - 1),
        None => Part::Size(1),
    }
}

/// Axes of a reshape's result, and where they come from.
struct Group {
    /// The first of the axes that they are made of, before the permutation.
    from: usize,
    /// Each with its place in the result.
    parts: Few<(usize, Part), MAX_RANK>,
}

/// Returns a reshape of a permuted tensor as a reshape and then a permutation: where it merges axes that also lie together
/// before the permutation, and splits single ones. `middle` is the shape of what is permuted.
fn turned(order: &Order, then: &Parts, middle: &Shape) -> Option<(Parts, Order)> {
    // The axes from before that some axes after the permutation are, if they lie together.
    let together = |axes: Range<usize>| -> Option<Range<usize>> {
        let from = *order.get(axes.start)?;
        let run = order.get(axes)?;
        run.iter().enumerate().all(|(i, &axis)| axis == from + i).then_some(from..from + run.len())
    };
    let mut groups: Few<Group, MAX_RANK> = Few::new();
    // Splits these axes into those that wait.
    let mut split = |axes: Range<usize>, waiting: Few<(usize, Part), MAX_RANK>| -> Option<()> {
        let ones = waiting.iter().all(|(_, part)| *part == Part::Size(1));
        let from = match (axes.is_empty(), waiting.is_empty()) {
            (true, true) => return Some(()),
            // New axes of size 1 may come last.
            (true, false) => ones.then_some(MAX_RANK)?,
            (false, true) => {
                return axes.into_iter().all(|axis| middle.dims()[order[axis]] == 1).then_some(());
            }
            (false, false) => together(axes)?.start,
        };
        groups.push(Group { from, parts: waiting });
        Some(())
    };
    let (mut next, mut waiting) = (0, Few::new());
    let mut kept: Few<Group, MAX_RANK> = Few::new();
    for (place, part) in then.0.iter().enumerate() {
        let (from, to) = match *part {
            Part::Keep(axis) => (axis, axis),
            Part::Merge(from, to) => (from, to),
            Part::Size(_) | Part::Rest => {
                waiting.push((place, *part));
                continue;
            }
        };
        if from < next {
            return None;
        }
        split(next..from, std::mem::take(&mut waiting))?;
        let axes = together(from..to + 1)?;
        let part = if from == to { Part::Keep(axes.start) } else { Part::Merge(axes.start, axes.end - 1) };
        kept.push(Group { from: axes.start, parts: [(place, part)].into_iter().collect() });
        next = to + 1;
    }
    split(next..order.len(), waiting)?;
    let mut groups: Vec<Group> = groups.into_iter().chain(kept).collect();
    groups.sort_by_key(|group| group.from);
    let all = groups.iter().flat_map(|group| &group.parts);
    let mut back: Order = (0..then.0.len()).collect();
    all.clone().enumerate().for_each(|(at, (place, _))| back[*place] = at);
    Some((Parts(all.map(|(_, part)| *part).collect()), back))
}
