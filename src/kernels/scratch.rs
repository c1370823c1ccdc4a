//! Working memory for kernels, which must not ask the system allocator in the steady state. Each thread keeps the
//! buffers it has used; a kernel borrows one for the length of a call that never waits for another thread, so no
//! two calls ever need the same buffer at once.

use super::simd::large_pages;
use std::cell::Cell;
use std::thread::LocalKey;

/// Buffers start on a cache line (and on a vector of any width).
const ALIGN: usize = 64;

/// Element types for which scratch memory exists.
pub trait Scratch: Copy + Default + 'static {
    /// Returns this thread's idle buffers, the last used on top.
    #[doc(hidden)]
    fn idle() -> &'static LocalKey<Cell<Vec<Vec<Self>>>>;
}

macro_rules! scratch {
    ($t:ty) => {
        impl Scratch for $t {
            fn idle() -> &'static LocalKey<Cell<Vec<Vec<$t>>>> {
                thread_local! {
                    static IDLE: Cell<Vec<Vec<$t>>> = const { Cell::new(Vec::new()) };
                }
                &IDLE
            }
        }
    };
}
scratch!(f32);
scratch!(f64);
scratch!(usize);

/// Lends `f` a buffer of `len` elements that starts on a cache line, with arbitrary contents. Calls may be nested,
/// but `f` must not wait for other threads.
pub fn with<T: Scratch, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    let pad = ALIGN / size_of::<T>();
    let mut stack = T::idle().take();
    let mut buffer = stack.pop().unwrap_or_default();
    T::idle().set(stack);
    if buffer.len() < len + pad {
        // Its contents are not needed, so this makes a new buffer instead of a copy.
        buffer = vec![T::default(); (len + pad).next_power_of_two()];
        large_pages(&buffer);
    }
    let start = buffer.as_ptr().align_offset(ALIGN).min(pad);
    let result = f(&mut buffer[start..start + len]);
    let mut stack = T::idle().take();
    stack.push(buffer);
    T::idle().set(stack);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_nested_and_reused() {
        let first = with::<f32, _>(100, |a| {
            assert_eq!((a.len(), a.as_ptr() as usize % ALIGN), (100, 0));
            a.fill(1.0);
            with::<f32, _>(1000, |b| {
                b.fill(2.0);
                assert_eq!(b.as_ptr() as usize % ALIGN, 0);
            });
            assert!(a.iter().all(|&x| x == 1.0));
            a.as_ptr() as usize
        });
        assert_eq!(with::<f32, _>(50, |a| a.as_ptr() as usize), first);
        with::<f64, _>(0, |a| assert!(a.is_empty()));
    }
}
