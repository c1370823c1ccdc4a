//! Checks that no row is both trained and validated on, in any pass. Each step says which rows of which source it
//! can give, and a split is refused if the rows behind it change from pass to pass or occur several times.

use super::stage::Before;
use crate::{Error, Result};
use std::ops::Range;

/// Rows of one source that a dataset can give.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    /// The step at which the rows begin, as a number that no other step has during its life.
    source: usize,
    rows: Range<usize>,
    /// Rows in an item.
    each: usize,
    /// The step that makes the item at one position another row in another pass, or puts the same row at several
    /// positions.
    moved: Option<&'static str>,
    /// Whether only some of the items are taken. `drifts` is the step that makes these differ between passes.
    cut: bool,
    drifts: Option<&'static str>,
}

impl Reach {
    /// All rows of a source.
    pub(super) fn source<T: ?Sized>(source: &T, rows: usize) -> Vec<Reach> {
        let source = std::ptr::from_ref(source).cast::<()>().addr();
        vec![Reach { source, rows: 0..rows, each: 1, moved: None, cut: false, drifts: None }]
    }
}

/// Rows in another order in every pass, or repeated.
pub(super) fn moved(before: &Before, by: &'static str) -> Vec<Reach> {
    before.reach().into_iter().map(|reach| Reach { moved: reach.moved.or(Some(by)), ..reach }).collect()
}

/// Rows in an order that is the same in every pass: the items are like rows of a new source.
pub(super) fn reordered<T>(step: &T, before: &Before, items: usize) -> Vec<Reach> {
    let behind = before.reach();
    match behind.iter().any(|reach| reach.moved.or(reach.drifts).is_some()) {
        true => behind,
        false => Reach::source(step, items),
    }
}

/// Batches of `n` items.
pub(super) fn batched(before: &Before, n: usize) -> Vec<Reach> {
    before.reach().into_iter().map(|reach| Reach { each: reach.each.saturating_mul(n), ..reach }).collect()
}

/// Items `start..start + count`.
pub(super) fn cut(before: &Before, start: usize, count: usize) -> Vec<Reach> {
    let part = |reach: Reach| {
        let mut rows = reach.rows.clone();
        if reach.moved.is_none() {
            let at = |items: usize| rows.start.saturating_add(items.saturating_mul(reach.each)).min(rows.end);
            rows = at(start)..at(start.saturating_add(count));
        }
        Reach { rows, cut: true, drifts: reach.drifts.or(reach.moved), ..reach }
    };
    before.reach().into_iter().map(part).collect()
}

/// Fails if splitting these items would give both sides the same rows.
pub(super) fn check_split(data: &Before) -> Result<()> {
    match data.reach().into_iter().find_map(|reach| reach.moved.or(reach.drifts)) {
        Some(step @ "repeat") => Err(Error::argument(
            "split",
            "a dataset in which each row is once: split before you repeat, data.split(…)? and then left.repeat(…)",
            format!("one after {step}, whose rows would be on both sides"),
        )),
        Some(step) => Err(Error::argument(
            "split",
            "a dataset whose order is fixed: split before you shuffle, data.split(…)? and then left.shuffle(…), or use shuffle_once",
            format!("one after {step}, whose rows would change sides in every pass"),
        )),
        None => Ok(()),
    }
}

/// Fails if these are parts of one source that change with the pass, so that rows of one are in the other sooner or
/// later.
pub(super) fn check_apart(train: &Before, validation: &Before) -> Result<()> {
    let (train, validation) = (train.reach(), validation.reach());
    for (a, b) in train.iter().flat_map(|a| validation.iter().map(move |b| (a, b))) {
        let meet = a.rows.start.max(b.rows.start) < a.rows.end.min(b.rows.end);
        let drifts = a.drifts.or(b.drifts);
        if let (true, Some(step)) = (a.source == b.source && a.cut && b.cut && meet, drifts) {
            return Err(Error::argument(
                "validation_dataset",
                format!(
                    "rows that are not trained on: split the rows first (Dataset::split), then {step} one side"
                ),
                format!("a part taken after {step}: in other passes its rows are among those of training"),
            ));
        }
    }
    Ok(())
}
