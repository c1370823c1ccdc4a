//! Threads. This is the only file that names rayon. Work runs in the caller's pool, is divided by shape alone, and
//! joins before the call returns, so results cannot depend on how many threads there are.

/// The amount of arithmetic from which a job is worth handing to another thread (about 20 µs of work; on a 2-core
/// server a hand-over takes 3 to 8 µs).
pub const GRAIN: usize = 1 << 16;

#[cfg(feature = "parallel")]
mod imp {
    use crate::{Error, Result};
    use std::cell::Cell;
    use std::sync::atomic::{
        AtomicBool, AtomicU8, AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
    };
    use std::thread::LocalKey;

    thread_local! {
        static SERIAL: Cell<bool> = const { Cell::new(false) };
        /// How many calls of [`both`] and [`stay`] this thread is inside of.
        static DEPTH: Cell<u32> = const { Cell::new(0) };
        /// How many times this thread has divided work since [`awake`] began, not counting what it divided further.
        static JOINS: Cell<u32> = const { Cell::new(0) };
        /// Whether this thread is inside of [`awake`].
        static CHAINED: Cell<bool> = const { Cell::new(false) };
    }

    /// Looks for work this many times, about half a microsecond each, before a thread goes to sleep.
    const PATIENCE: u32 = 4096;
    /// Threads are kept awake for work that is divided at least this many times.
    const OFTEN: u32 = 4;
    /// The most threads that are kept awake.
    const MOST: usize = 7;

    /// Counts the thread in, and out again when dropped.
    struct Deeper;
    impl Deeper {
        fn new() -> Deeper {
            DEPTH.set(DEPTH.get() + 1);
            Deeper
        }
    }
    impl Drop for Deeper {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }

    /// Does the pool's work until `done`, or until there has been none for a while.
    fn work_until(done: impl Fn() -> bool) {
        let mut idle = 0;
        while !done() && idle < PATIENCE {
            if let Some(rayon_core::Yield::Executed) = rayon_core::yield_now() {
                idle = 0;
            } else {
                idle += 1;
                std::thread::yield_now();
            }
        }
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

    /// The second half of a [`both`] waits for a thread.
    const WAITS: u8 = 0;
    /// Some thread does it.
    const RUNS: u8 = 1;
    /// It is done.
    const ENDED: u8 = 2;

    /// Runs both, possibly at the same time.
    pub(super) fn both(a: &mut (dyn FnMut() + Send), b: &mut (dyn FnMut() + Send)) {
        if threads() == 1 || stranded() {
            a();
            b();
        } else {
            if DEPTH.get() == 0 {
                JOINS.set(JOINS.get() + 1);
            }
            let _deeper = Deeper::new();
            let state = AtomicU8::new(WAITS);
            let first = || {
                a();
                // What another thread has begun ends soon: to sleep until then would take longer.
                work_until(|| state.load(Acquire) != RUNS);
            };
            let second = || {
                let _deeper = Deeper::new();
                state.store(RUNS, Relaxed);
                b();
                state.store(ENDED, Release);
            };
            rayon_core::join(first, second);
        }
    }

    /// Returns how many threads the current scope may use.
    pub fn threads() -> usize {
        if SERIAL.get() { 1 } else { rayon_core::current_num_threads() }
    }

    /// Gives a thread's flag its value back when dropped.
    struct Restore(&'static LocalKey<Cell<bool>>, bool);
    impl Restore {
        fn set(flag: &'static LocalKey<Cell<bool>>) -> Restore {
            Restore(flag, flag.replace(true))
        }
    }
    impl Drop for Restore {
        fn drop(&mut self) {
            self.0.set(self.1);
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
                    let _restore = Restore::set(&SERIAL);
                    f();
                }
            })
        }
    }

    /// Runs `f` on this thread alone: a part of work that has been divided already.
    pub fn alone<R>(f: impl FnOnce() -> R) -> R {
        let _restore = Restore::set(&SERIAL);
        f()
    }

    /// Enters the pool that work started here will use, once, so that the kernels inside need not.
    pub fn enter<R: Send>(f: impl FnOnce() -> R + Send) -> R {
        super::result_of(f, entered)
    }

    /// Runs `f`, which divides work again and again, and meanwhile keeps the pool's other threads awake: one that has
    /// nothing to do for some 20 µs goes to sleep, and to wake it takes longer than many of the pieces of work do. Whether
    /// it pays is what the last call on this thread showed. Where there is nothing to do for a few milliseconds, threads
    /// sleep all the same.
    pub fn awake<R: Send>(f: impl FnOnce() -> R + Send) -> R {
        let _restore = Restore::set(&CHAINED);
        let often = JOINS.replace(0) >= OFTEN;
        if !often || threads() == 1 || rayon_core::current_thread_index().is_none() {
            return f();
        }
        let done = AtomicBool::new(false);
        super::result_of(f, |f| beside(MOST.min(threads() - 1), f, &done))
    }

    /// Returns whether the caller is one of the operations that [`awake`] runs. Each of them finds what the one before it wrote in
    /// this processor's cache, so to hand a part of it to another processor costs more than it does elsewhere.
    pub fn chained() -> bool {
        CHAINED.get()
    }

    /// Runs `f` while `helpers` other threads stay awake.
    fn beside(helpers: usize, f: &mut (dyn FnMut() + Send), done: &AtomicBool) {
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(true, Release);
            }
        }
        if helpers == 0 {
            let _done = Done(done);
            return f();
        }
        rayon_core::join(|| beside(helpers - 1, f, done), || stay(done));
    }

    /// Keeps this thread awake until `done`. Not if it is in the middle of a piece of work, which others wait for.
    fn stay(done: &AtomicBool) {
        if DEPTH.get() == 0 {
            let _deeper = Deeper::new();
            work_until(|| done.load(Acquire));
        }
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

    /// Runs `f`.
    pub fn awake<R: Send>(f: impl FnOnce() -> R + Send) -> R {
        f()
    }

    /// Returns false: nothing is handed to another thread.
    pub fn chained() -> bool {
        false
    }
}
pub use imp::{Threads, alone, awake, chained, enter, threads};

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

#[cfg(feature = "parallel")]
#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// Adds 1 to each of many numbers, cut to the last.
    fn work(out: &mut [usize]) {
        chunks(out, 1, 1, &|_, run| run.iter_mut().for_each(|x| *x += 1));
    }

    #[test]
    fn awake_does_what_is_asked_on_any_number_of_threads_and_inside_of_itself() {
        for threads in [1, 2, 3, 8] {
            let pool = Threads::new(threads).unwrap();
            let mut out = vec![0; 64];
            pool.run(|| {
                for _ in 0..50 {
                    awake(|| {
                        (0..5).for_each(|_| work(&mut out));
                        awake(|| work(&mut out));
                    });
                }
            });
            assert_eq!(out, [300; 64], "{threads} threads");
        }
    }

    #[test]
    fn callers_that_are_awake_at_the_same_time_do_not_wait_for_each_other() {
        let (pool, count) = (Threads::new(2).unwrap(), AtomicUsize::new(0));
        let one = || {
            let mut out = vec![0; 64];
            (0..50).for_each(|_| awake(|| (0..5).for_each(|_| work(&mut out))));
            count.fetch_add(out.iter().sum(), Relaxed);
        };
        pool.run(|| join(|| join(one, one), || join(one, one)));
        assert_eq!(count.into_inner(), 4 * 64 * 250);
    }

    #[test]
    fn a_panic_while_awake_leaves_the_pool_usable() {
        let pool = Threads::new(2).unwrap();
        let mut out = vec![0; 64];
        pool.run(|| {
            let twice = |out: &mut [usize]| (0..5).for_each(|_| work(out));
            twice(&mut out);
            let fails = || awake(|| join(|| (), || panic!("on purpose")));
            assert!(std::panic::catch_unwind(fails).is_err());
            twice(&mut out);
            let fails = || awake(|| -> () { panic!("on purpose") });
            assert!(std::panic::catch_unwind(fails).is_err());
            awake(|| twice(&mut out));
        });
        assert_eq!(out, [15; 64]);
    }
}
