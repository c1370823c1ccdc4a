//! Threads. This is the only file that names rayon. Work runs in the caller's pool, is divided by shape alone, and
//! joins before the call returns, so results cannot depend on how many threads there are.

/// The amount of arithmetic from which a job is worth handing to another thread (about 20 µs of work; on a 2-core
/// server a hand-over takes 3 to 8 µs).
pub const GRAIN: usize = 1 << 16;

#[cfg(feature = "parallel")]
mod imp {
    use crate::{Error, Result};
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    thread_local! {
        static SERIAL: Cell<bool> = const { Cell::new(false) };
    }

    /// The process that first worked in the global pool (0: none yet). Its threads do not exist in a forked child.
    static OWNER: AtomicU32 = AtomicU32::new(0);

    /// Returns the id of this process, where a process can fork.
    fn process() -> u32 {
        if cfg!(unix) { std::process::id() } else { 1 }
    }

    /// Returns whether the caller is outside of any pool, in a child of the process that has the threads of the
    /// global pool: waiting for them would never end.
    fn stranded() -> bool {
        if rayon_core::current_thread_index().is_some() {
            return false;
        }
        let process = process();
        OWNER.compare_exchange(0, process, Relaxed, Relaxed).is_err_and(|owner| owner != process)
    }

    /// Runs both, possibly at the same time.
    pub(super) fn both(a: &mut (dyn FnMut() + Send), b: &mut (dyn FnMut() + Send)) {
        if threads() == 1 || stranded() {
            a();
            b();
        } else {
            rayon_core::join(a, b);
        }
    }

    /// Returns how many threads the current scope may use.
    pub fn threads() -> usize {
        if SERIAL.get() { 1 } else { rayon_core::current_num_threads() }
    }

    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            SERIAL.set(self.0);
        }
    }

    /// A set of worker threads, made once and entered as often as wanted. With one thread, that is the caller's
    /// own.
    ///
    /// A forked process has no threads but the one that forked: work there runs on that one, with the same results.
    #[derive(Debug)]
    pub struct Threads(Option<(rayon_core::ThreadPool, u32)>);

    impl Threads {
        /// Creates a pool of `n` threads.
        ///
        /// # Errors
        /// `n` is 0, or the system fails to start threads.
        pub fn new(n: usize) -> Result<Threads> {
            match n {
                0 => Err(Error::argument("threads", "at least 1", n)),
                1 => Ok(Threads(None)),
                _ => match rayon_core::ThreadPoolBuilder::new().num_threads(n).build() {
                    Ok(pool) => Ok(Threads(Some((pool, process())))),
                    Err(e) => Err(Error::argument("threads", "a number the system can start", e)),
                },
            }
        }

        /// Runs `f` with these threads; everything inside uses them and no others.
        pub fn run<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
            super::result_of(f, |f| match &self.0 {
                Some((pool, owner)) if *owner == process() => pool.install(f),
                _ => {
                    let _restore = Restore(SERIAL.replace(true));
                    f();
                }
            })
        }
    }

    /// Runs `f` on this thread alone: a part of work that has been divided already.
    pub fn alone<R>(f: impl FnOnce() -> R) -> R {
        let _restore = Restore(SERIAL.replace(true));
        f()
    }

    /// Enters the pool that work started here will use, once, so that the kernels inside need not.
    pub fn enter<R: Send>(f: impl FnOnce() -> R + Send) -> R {
        super::result_of(f, entered)
    }

    fn entered(f: &mut (dyn FnMut() + Send)) {
        if threads() == 1 || rayon_core::current_thread_index().is_some() || stranded() {
            f();
        } else {
            rayon_core::scope(|_| f());
        }
    }
}

#[cfg(not(feature = "parallel"))]
mod imp {
    use crate::{Error, Result};

    /// Runs one after the other.
    pub(super) fn both(a: &mut (dyn FnMut() + Send), b: &mut (dyn FnMut() + Send)) {
        a();
        b();
    }

    /// Returns 1: without the feature `parallel` there is one thread.
    pub fn threads() -> usize {
        1
    }

    /// The calling thread: the feature `parallel` is off.
    #[derive(Debug)]
    pub struct Threads(());

    impl Threads {
        /// Accepts any number, which means one.
        ///
        /// # Errors
        /// `n` is 0.
        pub fn new(n: usize) -> Result<Threads> {
            if n == 0 { Err(Error::argument("threads", "at least 1", n)) } else { Ok(Threads(())) }
        }

        /// Runs `f`.
        pub fn run<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
            f()
        }
    }

    /// Runs `f`.
    pub fn alone<R>(f: impl FnOnce() -> R) -> R {
        f()
    }

    /// Runs `f`.
    pub fn enter<R: Send>(f: impl FnOnce() -> R + Send) -> R {
        f()
    }
}
pub use imp::{Threads, alone, enter, threads};

/// Lets `run` call `f` once, without knowing its type, and returns the result of `f`.
#[cfg(feature = "parallel")]
fn result_of<R: Send>(f: impl FnOnce() -> R + Send, run: impl FnOnce(&mut (dyn FnMut() + Send))) -> R {
    let (mut f, mut result) = (Some(f), None);
    run(&mut || result = f.take().map(|f| f()));
    result.expect("it was called, or a panic passed by")
}

/// Runs both, possibly at the same time.
pub fn join(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    let (mut a, mut b) = (Some(a), Some(b));
    imp::both(&mut || a.take().map_or((), |a| a()), &mut || b.take().map_or((), |b| b()));
}

/// Runs `f` with `n` threads, whatever pool the caller is in.
///
/// # Errors
/// `n` is 0, or the system fails to start threads.
pub fn with_threads<R: Send>(n: usize, f: impl FnOnce() -> R + Send) -> crate::Result<R> {
    Ok(Threads::new(n)?.run(f))
}

/// Cuts `out` into runs of whole `unit`s, at least `grain` elements each, and calls `f(first_unit, run)` on each.
/// The cut depends only on sizes.
pub fn chunks<T: Send>(out: &mut [T], unit: usize, grain: usize, f: &(dyn Fn(usize, &mut [T]) + Sync)) {
    fn split<T: Send>(
        first: usize,
        out: &mut [T],
        unit: usize,
        grain: usize,
        f: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        let units = out.len() / unit;
        if units < 2 || out.len() < 2 * grain {
            return f(first, out);
        }
        let (left, right) = out.split_at_mut(units / 2 * unit);
        join(|| split(first, left, unit, grain, f), || split(first + units / 2, right, unit, grain, f));
    }
    if out.is_empty() {
        return;
    }
    if threads() == 1 { f(0, out) } else { split(0, out, unit.max(1), grain.max(1), f) }
}

/// What [`rows`] calls for each run: its first unit, the run, and its share of the other slices.
type RowsFn<'a, T, const N: usize> = dyn Fn(usize, &mut [T], [&mut [T]; N]) + Sync + 'a;

/// [`chunks`] for kernels that also write other numbers for each unit: `more[i]` has equally many elements for each
/// unit of `out`, and is cut with it.
pub fn rows<T: Send, const N: usize>(
    out: &mut [T],
    unit: usize,
    more: [&mut [T]; N],
    grain: usize,
    f: &RowsFn<T, N>,
) {
    fn split<T: Send, const N: usize>(
        first: usize,
        out: &mut [T],
        unit: usize,
        more: [&mut [T]; N],
        grain: usize,
        f: &RowsFn<T, N>,
    ) {
        let units = out.len() / unit;
        let half = units / 2;
        if half == 0 || out.len() < 2 * grain {
            return f(first, out, more);
        }
        let (left, right) = out.split_at_mut(half * unit);
        let mut rest = [(); N].map(|()| Default::default());
        let mut rests = rest.iter_mut();
        let firsts = more.map(|m| {
            let (a, b) = m.split_at_mut(m.len() / units * half);
            if let Some(rest) = rests.next() {
                *rest = b;
            }
            a
        });
        join(
            || split(first, left, unit, firsts, grain, f),
            || split(first + half, right, unit, rest, grain, f),
        );
    }
    if out.is_empty() {
        return;
    }
    if threads() == 1 { f(0, out, more) } else { split(0, out, unit.max(1), more, grain.max(1), f) }
}

/// What [`each`] calls for each unit: its number, and its part of each slice.
type EachFn<'a, T, const N: usize> = dyn Fn(usize, [&mut [T]; N]) + Sync + 'a;

/// Cuts several slices into `count` parts, each slice into parts of its own size, and calls `f` with the parts of
/// one number. At least `least` of them stay on one thread.
pub fn each<T: Send, const N: usize>(count: usize, parts: [&mut [T]; N], least: usize, f: &EachFn<T, N>) {
    fn cut<T, const N: usize>(parts: [&mut [T]; N], at: usize, count: usize) -> [[&mut [T]; N]; 2] {
        let mut rest = [(); N].map(|()| Default::default());
        let mut rests = rest.iter_mut();
        let first = parts.map(|part| {
            let (a, b) = part.split_at_mut(part.len() / count * at);
            if let Some(rest) = rests.next() {
                *rest = b;
            }
            a
        });
        [first, rest]
    }
    fn split<T: Send, const N: usize>(
        first: usize,
        count: usize,
        parts: [&mut [T]; N],
        least: usize,
        f: &EachFn<T, N>,
    ) {
        let half = count / 2;
        let [left, right] = cut(parts, half, count);
        if half == 0 {
            return f(first, right);
        }
        let run = |first, count, parts| split(first, count, parts, least, f);
        if half < least || threads() == 1 {
            run(first, half, left);
            run(first + half, count - half, right);
        } else {
            join(|| run(first, half, left), || run(first + half, count - half, right));
        }
    }
    if count > 0 {
        split(0, count, parts, least, f);
    }
}
