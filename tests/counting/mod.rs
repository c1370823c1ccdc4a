//! An allocator that counts the requests to the system's allocator, for the tests that allow none in the steady
//! state.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering::Relaxed};

struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);
static TRACE: AtomicBool = AtomicBool::new(false);
/// Call sites of one step, as text.
static SITES: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

fn count(bytes: usize) {
    CALLS.fetch_add(1, Relaxed);
    let live = LIVE.fetch_add(bytes as isize, Relaxed) + bytes as isize;
    PEAK.fetch_max(live, Relaxed);
    if TRACE.swap(false, Relaxed) {
        // Off while the trace itself allocates.
        let trace = std::backtrace::Backtrace::force_capture().to_string();
        if let Ok(mut sites) = SITES.lock() {
            sites.push(format!("{bytes} bytes\n{trace}"));
        }
        TRACE.store(true, Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator with the caller's arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        LIVE.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls of the system's allocator, and growth of live bytes, over some work.
pub(crate) fn asked(work: impl FnOnce()) -> (usize, isize) {
    let (calls, live) = (CALLS.load(Relaxed), LIVE.load(Relaxed));
    work();
    (CALLS.load(Relaxed) - calls, LIVE.load(Relaxed) - live)
}

/// Bytes that were asked for and not given back.
#[allow(dead_code)] // not every test that counts asks
pub(crate) fn live() -> isize {
    LIVE.load(Relaxed)
}

/// The most bytes that were live at a time while some work ran, beyond those before it.
#[allow(dead_code)]
pub(crate) fn peak<T>(work: impl FnOnce() -> T) -> (T, isize) {
    let before = live();
    PEAK.store(before, Relaxed);
    let result = work();
    (result, PEAK.load(Relaxed) - before)
}

/// Where calls come from while some work runs, as text.
pub(crate) fn traced(work: impl FnOnce()) -> Vec<String> {
    TRACE.store(true, Relaxed);
    work();
    TRACE.store(false, Relaxed);
    std::mem::take(&mut *SITES.lock().unwrap())
}
