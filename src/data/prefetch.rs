//! `prefetch`: makes samples on other threads while a step is computed, with the same order and bytes as without.
//! The [module](super) explains why the crate starts threads here, and nowhere else of its own accord.
//!
//! Workers take turns at the step before (under `items`' lock), so an item's number is its place in the order. A
//! finished item is kept under its number until its turn. No worker takes an item more than [`AHEAD`] per worker
//! beyond those handed out, so memory is bounded. The next item to hand out is always taken or free to take, so
//! nobody waits forever.

use super::dataset::Cardinality;
use super::item::{Item, Label, Make, guarded};
use super::sample::Sample;
use super::sides::Reach;
use super::stage::{Before, Items, Stage};
use crate::kernels::par;
use crate::{Error, Result};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Items per worker that may be waiting or in work.
const AHEAD: u64 = 2;

pub(super) struct Prefetch {
    pub(super) before: Before,
    pub(super) workers: usize,
}

impl Stage for Prefetch {
    fn cardinality(&self) -> Cardinality {
        self.before.cardinality()
    }
    fn reach(&self) -> Vec<Reach> {
        self.before.reach()
    }
    fn items(&self, pass: u64) -> Items {
        let items = self.before.items(pass);
        if self.workers == 0 { items } else { Box::new(Ahead::start(items, self.workers)) }
    }
}

/// The state that the threads of a pass share.
struct Shared {
    items: Mutex<Items>,
    state: Mutex<State>,
    /// Signals that an item was made, or that there are no more.
    made: Condvar,
    /// Signals that an item was handed out, or that all should stop.
    room: Condvar,
    ahead: u64,
}

#[derive(Default)]
struct State {
    /// Items taken from the step before.
    taken: u64,
    /// Items handed out.
    given: u64,
    /// Items made and not yet handed out: a few, in any order, each with its number.
    ready: Vec<(u64, Label, Result<Sample>)>,
    /// Whether the step before has no more items.
    ended: bool,
    /// Whether the pass was dropped.
    stop: bool,
}

/// Locks; a panic of an earlier holder is harmless here, because user code runs outside of the state's lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Takes the next item and its number; `None` if there is no more or nobody wants it.
    fn take(&self) -> Option<(u64, Item)> {
        let mut items = lock(&self.items);
        let mut state = lock(&self.state);
        while !state.stop && !state.ended && state.taken >= state.given + self.ahead {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stop || state.ended {
            return None;
        }
        // Reading may be slow, and whoever only wants what is ready should not wait for it.
        drop(state);
        let item = guarded(|| Ok(items.next()));
        let mut state = lock(&self.state);
        let item = match item {
            Ok(Some(item)) => item,
            Ok(None) => {
                state.ended = true;
                self.made.notify_all();
                return None;
            }
            Err(e) => {
                state.ended = true;
                Item::new(Label::Sample(state.taken), move || Err(e))
            }
        };
        state.taken += 1;
        Some((state.taken - 1, item))
    }

    fn work(&self) {
        while let Some((number, item)) = self.take() {
            let label = item.label;
            // Serial: the caller's pool may be waiting for this item.
            let result = par::with_threads(1, || item.run()).flatten();
            lock(&self.state).ready.push((number, label, result));
            self.made.notify_all();
        }
    }
}

/// The items of a pass, made before they are asked for.
struct Ahead {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Why there are no threads.
    failed: Option<Error>,
}

impl Ahead {
    fn start(items: Items, workers: usize) -> Ahead {
        let shared = Arc::new(Shared {
            items: Mutex::new(items),
            state: Mutex::default(),
            made: Condvar::new(),
            room: Condvar::new(),
            ahead: AHEAD.saturating_mul(workers as u64),
        });
        let mut ahead = Ahead { shared, threads: Vec::new(), failed: None };
        for _ in 0..workers {
            let shared = ahead.shared.clone();
            match std::thread::Builder::new().name("gradus-data".into()).spawn(move || shared.work()) {
                Ok(thread) => ahead.threads.push(thread),
                // Fewer threads than asked for do the same work; none at all is an error.
                Err(e) if ahead.threads.is_empty() => {
                    ahead.failed = Some(Error::argument("prefetch", "a thread that the system can start", e));
                    break;
                }
                Err(_) => break,
            }
        }
        ahead
    }
}

impl Iterator for Ahead {
    type Item = Item;
    fn next(&mut self) -> Option<Item> {
        if let Some(e) = self.failed.take() {
            lock(&self.shared.state).ended = true;
            return Some(Item::new(Label::Sample(0), move || Err(e)));
        }
        let mut state = lock(&self.shared.state);
        loop {
            let number = state.given;
            if let Some(place) = state.ready.iter().position(|(made, ..)| *made == number) {
                let (_, label, result) = state.ready.swap_remove(place);
                state.given += 1;
                self.shared.room.notify_all();
                return Some(Item { label, make: Make::Done(Box::new(result)) });
            }
            if state.ended && number == state.taken {
                return None;
            }
            state = self.shared.made.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        lock(&self.shared.state).stop = true;
        self.shared.room.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
