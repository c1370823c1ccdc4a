//! The steps of a dataset: each says what it does to the items of the step before it.

use super::dataset::Cardinality;
use super::item::{Item, Label, Make, guarded};
use super::sample::Sample;
use super::sides::{self, Reach};
use super::source::Source;
use crate::random::{Draws, Purpose, Stream};
use crate::{Error, Result};
use std::sync::Arc;

/// The items of one pass. They own what they need, so they can go to other threads.
pub(super) type Items = Box<dyn Iterator<Item = Item> + Send>;

/// One step, together with all steps before it.
pub(super) trait Stage: Send + Sync {
    fn cardinality(&self) -> Cardinality;

    /// Returns which rows of which sources it can give.
    fn reach(&self) -> Vec<Reach>;

    /// Returns the items of a pass, in order.
    fn items(&self, pass: u64) -> Items;

    /// Returns item `i` of a pass without making those before it, if this step can. `i` is below the cardinality.
    /// The answer is the same for all `i`.
    fn at(&self, pass: u64, i: usize) -> Option<Item> {
        let _ = (pass, i);
        None
    }
}

pub(super) type Before = Arc<dyn Stage>;

/// Returns the items of a step that can give each by itself.
fn each(stage: &Before, pass: u64, numbers: impl Iterator<Item = usize> + Send + 'static) -> Items {
    let stage = stage.clone();
    Box::new(numbers.map_while(move |i| stage.at(pass, i)))
}

fn failing(e: Error) -> Items {
    Box::new(std::iter::once(Item::new(Label::Sample(0), move || Err(e))))
}

/// All samples of a source.
pub(super) struct FromSource(pub(super) Arc<dyn Source>);

impl Stage for FromSource {
    fn cardinality(&self) -> Cardinality {
        Cardinality::Known(self.0.rows())
    }
    fn reach(&self) -> Vec<Reach> {
        Reach::source(&*self.0, self.0.rows())
    }
    fn items(&self, _: u64) -> Items {
        let source = self.0.clone();
        Box::new((0..source.rows()).map(move |row| row_of(&source, row)))
    }
    fn at(&self, _: u64, i: usize) -> Option<Item> {
        Some(row_of(&self.0, i))
    }
}

fn row_of(source: &Arc<dyn Source>, row: usize) -> Item {
    Item { label: Label::Sample(row as u64), make: Make::Row(source.clone(), row) }
}

/// The samples of the iterators that a function returns for each pass.
pub(super) struct Streamed<F>(pub(super) F);

impl<F, I> Stage for Streamed<F>
where
    F: Fn(u64) -> Result<I> + Send + Sync,
    I: Iterator<Item = Result<Sample>> + Send + 'static,
{
    fn cardinality(&self) -> Cardinality {
        Cardinality::Unknown
    }
    fn reach(&self) -> Vec<Reach> {
        Reach::source(self, usize::MAX)
    }
    fn items(&self, pass: u64) -> Items {
        let mut samples = match guarded(|| (self.0)(pass)) {
            Ok(samples) => Some(samples),
            Err(e) => return failing(e),
        };
        let mut position = 0;
        Box::new(std::iter::from_fn(move || {
            let next = guarded(|| samples.as_mut().and_then(Iterator::next).transpose());
            // What has failed or panicked is not asked again.
            if !matches!(next, Ok(Some(_))) {
                samples = None;
            }
            let sample = next.transpose()?;
            position += 1;
            Some(Item::new(Label::Sample(position - 1), || sample))
        }))
    }
}

/// A function of each sample and of random numbers of its own.
pub(super) struct Map<F> {
    pub(super) before: Before,
    pub(super) f: Arc<F>,
    pub(super) seed: u64,
    /// Distinguishes the maps of one dataset.
    pub(super) number: u32,
}

impl<F: Fn(Sample, Stream) -> Result<Sample> + Send + Sync + 'static> Map<F> {
    fn mapper(&self, pass: u64) -> impl Fn(Item) -> Item + Send + 'static {
        let (f, seed, purpose) = (self.f.clone(), self.seed, Purpose::Augment(self.number));
        move |item| {
            let Item { label, make } = item;
            if let Make::Done(result) = &make
                && result.is_err()
            {
                return Item { label, make };
            }
            let f = f.clone();
            Item::new(label, move || {
                // A seed for each sample of each pass; the stream under it can be of any length.
                let own = Stream::new(seed, purpose, pass).bits(label.number());
                f(make.call()?, Stream::new(own, purpose, label.number()))
            })
        }
    }
}

impl<F: Fn(Sample, Stream) -> Result<Sample> + Send + Sync + 'static> Stage for Map<F> {
    fn cardinality(&self) -> Cardinality {
        self.before.cardinality()
    }
    fn reach(&self) -> Vec<Reach> {
        self.before.reach()
    }
    fn items(&self, pass: u64) -> Items {
        Box::new(self.before.items(pass).map(self.mapper(pass)))
    }
    fn at(&self, pass: u64, i: usize) -> Option<Item> {
        self.before.at(pass, i).map(self.mapper(pass))
    }
}

/// Stacks every `n` items into one.
pub(super) struct Batch {
    pub(super) before: Before,
    pub(super) n: usize,
    pub(super) drop_remainder: bool,
}

impl Stage for Batch {
    fn cardinality(&self) -> Cardinality {
        self.before.cardinality().map(|all| match self.drop_remainder {
            true => all / self.n.max(1),
            false => all.div_ceil(self.n.max(1)),
        })
    }
    fn reach(&self) -> Vec<Reach> {
        sides::batched(&self.before, self.n)
    }
    fn items(&self, pass: u64) -> Items {
        let (n, drop_remainder) = (self.n, self.drop_remainder);
        if n == 0 {
            return failing(Error::argument("batch", "at least 1", n));
        }
        let mut items = self.before.items(pass);
        let mut number = 0;
        Box::new(std::iter::from_fn(move || {
            let parts: Vec<Item> = items.by_ref().take(n).collect();
            if parts.is_empty() || (drop_remainder && parts.len() < n) {
                return None;
            }
            number += 1;
            Some(Item::batch(number - 1, parts))
        }))
    }
}

/// Another order, in every pass or for all passes.
pub(super) struct Shuffle {
    pub(super) before: Before,
    pub(super) seed: u64,
    /// How many items to choose from, if not from all.
    pub(super) buffer: Option<usize>,
    /// Whether every pass has the order of the first.
    pub(super) once: bool,
}

/// The number of items to choose from if none was given and the step before cannot give items by number.
const BUFFER: usize = 1024;

impl Stage for Shuffle {
    fn cardinality(&self) -> Cardinality {
        self.before.cardinality()
    }
    fn reach(&self) -> Vec<Reach> {
        match (self.once, self.before.cardinality()) {
            (false, _) => sides::moved(&self.before, "shuffle"),
            (true, Cardinality::Known(n)) => sides::reordered(self, &self.before, n),
            (true, _) => sides::reordered(self, &self.before, usize::MAX),
        }
    }
    fn items(&self, pass: u64) -> Items {
        let stream = Stream::new(self.seed, Purpose::Shuffle, if self.once { 0 } else { pass });
        match (self.buffer, self.before.cardinality()) {
            (Some(0), _) => failing(Error::argument("shuffle_buffer", "at least 1", 0)),
            (None, Cardinality::Known(0)) => Box::new(std::iter::empty()),
            (None, Cardinality::Known(n)) if self.before.at(pass, 0).is_some() => {
                match stream.permutation(n) {
                    Ok(order) => each(&self.before, pass, order.into_iter().map(|i| i as usize)),
                    Err(e) => failing(e),
                }
            }
            (size, _) => {
                let size = size.unwrap_or(BUFFER);
                Box::new(Buffered {
                    items: self.before.items(pass),
                    draws: stream.draws(),
                    size,
                    held: Vec::new(),
                })
            }
        }
    }
}

/// Holds `size` items, and gives out a random one for each that arrives.
struct Buffered {
    items: Items,
    draws: Draws,
    size: usize,
    held: Vec<Item>,
}

impl Iterator for Buffered {
    type Item = Item;
    fn next(&mut self) -> Option<Item> {
        while self.held.len() < self.size
            && let Some(item) = self.items.next()
        {
            self.held.push(item);
        }
        if self.held.is_empty() {
            return None;
        }
        let chosen = self.draws.below(self.held.len() as u64) as usize;
        Some(self.held.swap_remove(chosen))
    }
}

/// Items `start..start + count`.
pub(super) struct Part {
    pub(super) before: Before,
    pub(super) start: usize,
    pub(super) count: usize,
}

impl Stage for Part {
    fn cardinality(&self) -> Cardinality {
        match self.before.cardinality() {
            Cardinality::Infinite if self.count < usize::MAX => Cardinality::Known(self.count),
            other => other.map(|n| n.saturating_sub(self.start).min(self.count)),
        }
    }
    fn reach(&self) -> Vec<Reach> {
        sides::cut(&self.before, self.start, self.count)
    }
    fn items(&self, pass: u64) -> Items {
        match self.cardinality() {
            Cardinality::Known(0) => Box::new(std::iter::empty()),
            Cardinality::Known(n) if self.before.at(pass, self.start).is_some() => {
                each(&self.before, pass, self.start..self.start + n)
            }
            _ => Box::new(self.before.items(pass).skip(self.start).take(self.count)),
        }
    }
    fn at(&self, pass: u64, i: usize) -> Option<Item> {
        self.before.at(pass, self.start + i)
    }
}

/// Several passes as one.
pub(super) struct Repeat {
    pub(super) before: Before,
    /// How many; `None` for endless.
    pub(super) times: Option<usize>,
}

impl Stage for Repeat {
    fn cardinality(&self) -> Cardinality {
        match (self.times, self.before.cardinality()) {
            (Some(0), _) | (_, Cardinality::Known(0)) => Cardinality::Known(0),
            (None, _) => Cardinality::Infinite,
            (Some(times), all) => all.map(|n| n.saturating_mul(times)),
        }
    }
    fn reach(&self) -> Vec<Reach> {
        sides::moved(&self.before, "repeat")
    }
    fn items(&self, pass: u64) -> Items {
        let before = self.before.clone();
        // No inner pass is used twice: the outer pass and the turn determine its number.
        let first = match self.times {
            Some(times) => pass.wrapping_mul(times as u64),
            None => pass << 32,
        };
        let times = self.times.map_or(u64::MAX, |n| n as u64);
        let mut turn = 0;
        let mut items: Option<Items> = None;
        Box::new(std::iter::from_fn(move || {
            if let Some(item) = items.as_mut().and_then(Iterator::next) {
                return Some(item);
            }
            if turn >= times {
                return None;
            }
            let mut next = before.items(first.wrapping_add(turn));
            // An empty pass ends it: an endless dataset of nothing would never answer.
            let item = next.next();
            turn = if item.is_some() { turn + 1 } else { times };
            items = Some(next);
            item
        }))
    }
}

/// The inputs and targets of two steps, item by item.
pub(super) struct Zip(pub(super) Before, pub(super) Before);

impl Stage for Zip {
    fn cardinality(&self) -> Cardinality {
        match (self.0.cardinality(), self.1.cardinality()) {
            (Cardinality::Known(a), Cardinality::Known(b)) => Cardinality::Known(a.min(b)),
            (Cardinality::Infinite, other) | (other, Cardinality::Infinite) => other,
            _ => Cardinality::Unknown,
        }
    }
    fn reach(&self) -> Vec<Reach> {
        [self.0.reach(), self.1.reach()].concat()
    }
    fn items(&self, pass: u64) -> Items {
        Box::new(self.0.items(pass).zip(self.1.items(pass)).map(|(a, b)| zipped(a, b)))
    }
    fn at(&self, pass: u64, i: usize) -> Option<Item> {
        Some(zipped(self.0.at(pass, i)?, self.1.at(pass, i)?))
    }
}

fn zipped(a: Item, b: Item) -> Item {
    Item::new(a.label, move || {
        let (mut left, right) = (a.make.call()?, b.make.call()?);
        left.x.extend(right.x);
        left.y.extend(right.y);
        left.weight = match (left.weight, right.weight) {
            (Some(_), Some(_)) => {
                return Err(Error::argument("zip", "at most one side with weights", "both"));
            }
            (left, right) => left.or(right),
        };
        Ok(left)
    })
}
