//! Why it exists: making samples on other threads while a step is computed, without the order or the bytes depending on
//! them. The only threads that the crate starts; see the [module](super) for why it may.
//!
//! Workers take turns at the step before (under `items`' lock), so an item's number is its place in the order. What they make
//! is kept under that number until its turn. A worker takes no item that is more than [`AHEAD`] for each worker beyond what has
//! been handed out, so memory is bounded; the next item to be handed out has always been taken or may be, so nobody waits
//! for ever.

use super::dataset::Cardinality;
use super::item::{Item, Label, Make, guarded};
use super::sample::Sample;
use super::sides::Reach;
use super::stage::{Before, Items, Stage};
use crate::kernels::par;
use crate::{Error, Result};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Items for each worker that may be waiting or in work.
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

/// What the threads of a pass share.
struct Shared {
    items: Mutex<Items>,
    state: Mutex<State>,
    /// Something was made, or there is no more.
    made: Condvar,
    /// Something was handed out, or all should stop.
    room: Condvar,
    ahead: u64,
}

#[derive(Default)]
struct State {
    /// Items taken from the step before.
    taken: u64,
    /// Items handed out.
    given: u64,
    /// Made, and not yet handed out: a few, in any order, each with its number.
    ready: Vec<(u64, Label, Result<Sample>)>,
    /// The step before has no more.
    ended: bool,
    /// The pass was dropped.
    stop: bool,
}

/// A lock whose holder panicked guards nothing half-done here: user code runs outside of the state's lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The next item and its number; `None` when there is no more or nobody wants it.
    fn take(&self) -> Option<(u64, Item)> {
        let mut items = lock(&self.items);
        let mut state = lock(&self.state);
        while !state.stop && !state.ended && state.taken >= state.given + self.ahead {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stop || state.ended {
            return None;
        }
        // Reading may be slow: nobody should wait for it who only wants what is ready.
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
                // Fewer than asked for do the same work; none at all is an error.
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
