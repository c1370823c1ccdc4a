//! An item: a sample that is still to be made, with its name for messages and what to do to get it. Steps pass
//! items on, so that their order is decided separately from the work.

use super::sample::Sample;
use super::source::Source;
use crate::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A sample or a batch that is still to be made.
pub(super) struct Item {
    pub(super) label: Label,
    pub(super) make: Make,
}

/// The name of an item in messages: its position in its source, counted from 0.
#[derive(Clone, Copy)]
pub(super) enum Label {
    Sample(u64),
    Batch(u64),
}

impl Label {
    pub(super) fn number(self) -> u64 {
        match self {
            Label::Sample(n) | Label::Batch(n) => n,
        }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Label::Sample(n) => write!(f, "sample {n}"),
            Label::Batch(n) => write!(f, "batch {n}"),
        }
    }
}

/// How it is made.
pub(super) enum Make {
    /// Ask a source for a row. A case of its own, so that a batch of rows can be asked for at once.
    Row(Arc<dyn Source>, usize),
    /// It is already made; an error already has its name.
    Done(Box<Result<Sample>>),
    /// Anything else.
    Call(Box<dyn FnOnce() -> Result<Sample> + Send>),
}

impl Make {
    /// Makes the sample; a panic is passed on.
    pub(super) fn call(self) -> Result<Sample> {
        match self {
            Make::Row(source, row) => source.get(row),
            Make::Done(result) => *result,
            Make::Call(f) => f(),
        }
    }
}

impl Item {
    pub(super) fn new(label: Label, f: impl FnOnce() -> Result<Sample> + Send + 'static) -> Item {
        Item { label, make: Make::Call(Box::new(f)) }
    }

    /// Makes the sample. An error or panic in user code becomes an error that names the item.
    pub(super) fn run(self) -> Result<Sample> {
        match self.make {
            Make::Done(result) => *result,
            make => guarded(|| make.call()).map_err(|e| e.at(self.label.to_string())),
        }
    }

    /// Makes one batch of these items, in this order.
    pub(super) fn batch(number: u64, parts: Vec<Item>) -> Item {
        Item::new(Label::Batch(number), move || match together(&parts) {
            Some(batch) => batch,
            None => Sample::stack(&parts.into_iter().map(Item::run).collect::<Result<Vec<_>>>()?),
        })
    }
}

/// Makes the batch at once, if all parts are rows of one source that can give several.
fn together(parts: &[Item]) -> Option<Result<Sample>> {
    let Make::Row(source, _) = &parts.first()?.make else { return None };
    let row = |item: &Item| match &item.make {
        Make::Row(s, row) if Arc::ptr_eq(s, source) => Some(*row),
        _ => None,
    };
    source.gather(&parts.iter().map(row).collect::<Option<Vec<_>>>()?)
}

/// Runs user code; a panic becomes an error.
pub(super) fn guarded<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|s| (*s).to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Error::Custom(format!("panicked: {}", text.unwrap_or_else(|| "without a message".into()))))
    })
}
