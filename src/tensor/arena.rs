//! `Arena`: one block of memory whose parts are handed out at planned places, one after the other and at the same
//! time, for computations whose values' sizes and lives are known before they run.
#![allow(unsafe_code)]

use super::Array;
use super::storage::Buffer;
use crate::{DType, Result, Shape};

/// A block and what of it is in use.
#[derive(Default)]
pub(crate) struct Arena {
    block: Option<Buffer>,
    bytes: usize,
    /// Where the parts that were handed out begin and end.
    held: Vec<(usize, usize)>,
}

impl Arena {
    /// Makes sure that there are so many bytes. Nothing may be handed out.
    ///
    /// # Errors
    /// There is not enough memory.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<()> {
        if bytes > self.bytes {
            self.release(); // what is there goes first
            self.block = Some(Buffer::new(&Shape::new(&[bytes])?, DType::U8)?);
            self.bytes = bytes;
        }
        Ok(())
    }

    /// Hands out the part from `at` on that holds so many bytes; `None` if some of it is in use or beyond the end.
    pub(crate) fn take(&mut self, at: usize, bytes: usize) -> Option<Buffer> {
        let end = at.checked_add(Buffer::span(bytes))?;
        let free = self.held.iter().all(|&(from, to)| end <= from || to <= at);
        if !free || end > self.bytes || !at.is_multiple_of(64) {
            return None;
        }
        let block = self.block.as_ref()?;
        self.held.push((at, end));
        // SAFETY: the part is within the block, aligned, and overlaps no other that was handed out: those leave the
        // list only once their last reference is gone. The block's own payload is never read.
        Some(unsafe { block.part(at, bytes) })
    }

    /// Takes back the part that began at `at`. If something else still holds its memory, it stays in use. (The array
    /// may be in other memory, taken because the part was in use.)
    pub(crate) fn give(&mut self, at: usize, array: Array) {
        drop(array);
        if let Some(i) = self.held.iter().position(|&(from, _)| from == at)
            && self.is_free(at)
        {
            self.held.swap_remove(i);
        }
    }

    /// Returns whether nothing holds the part in the list that begins at `at`.
    fn is_free(&self, at: usize) -> bool {
        // SAFETY: it was made when it came into the list, and no other overlaps it while it is there.
        self.block.as_ref().is_none_or(|block| unsafe { block.part_is_free(at) })
    }

    /// Lets go of the block, which parts that are still in use keep alive.
    pub(crate) fn release(&mut self) {
        (self.block, self.bytes) = (None, 0);
        self.held.clear();
    }

    /// Returns whether nothing is in use.
    pub(crate) fn is_idle(&mut self) -> bool {
        let mut held = std::mem::take(&mut self.held);
        held.retain(|&(from, _)| !self.is_free(from));
        self.held = held;
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Spec;
    use crate::kernels::strided::Layout;
    use crate::tensor::storage::Shared;

    fn array(buffer: Buffer, n: usize) -> Array {
        let shape = Shape::new(&[n]).unwrap();
        Array::in_buffer(buffer, Shared::new(Layout::contiguous(shape)), DType::F32)
    }

    #[test]
    fn parts_do_not_overlap_and_outlive_the_arena() {
        let mut arena = Arena::default();
        assert!(arena.take(0, 4).is_none());
        arena.reserve(4 * Buffer::span(64)).unwrap();
        let span = Buffer::span(64);
        let mut a = array(arena.take(0, 64).unwrap(), 16);
        let mut b = array(arena.take(span, 64).unwrap(), 16);
        a.slice_mut::<f32>().unwrap().fill(1.0);
        b.slice_mut::<f32>().unwrap().fill(2.0);
        assert!(arena.take(span / 2 / 64 * 64, 4).is_none() && arena.take(4 * span, 4).is_none());
        assert!(arena.take(2 * span + 4, 4).is_none() && arena.take(usize::MAX - 64, 64).is_none());
        assert_eq!(a.slice::<f32>().unwrap(), [1.0; 16]);
        let place = a.memory();
        arena.give(0, a);
        let again = arena.take(0, 32).unwrap();
        assert_eq!(Some(again.place()), place);
        let kept = b.clone();
        arena.give(span, b);
        assert!(arena.take(span, 64).is_none(), "something still holds it");
        drop(again);
        assert!(!arena.is_idle());
        drop(arena);
        assert_eq!(kept.slice::<f32>().unwrap(), [2.0; 16]);
        assert_eq!(kept.spec(), Spec::new(Shape::new(&[16]).unwrap(), DType::F32));
    }

    #[test]
    fn what_another_thread_lets_go_of_is_free() {
        let mut arena = Arena::default();
        arena.reserve(Buffer::span(64)).unwrap();
        let part = array(arena.take(0, 64).unwrap(), 16);
        let kept = part.clone();
        arena.give(0, part);
        assert!(!arena.is_idle());
        std::thread::spawn(move || drop(kept)).join().unwrap();
        assert!(arena.is_idle());
        assert!(arena.take(0, 64).is_some());
    }

    #[test]
    fn what_was_taken_elsewhere_is_not_given_back() {
        let mut arena = Arena::default();
        arena.reserve(Buffer::span(64)).unwrap();
        let part = array(arena.take(0, 64).unwrap(), 16);
        arena.give(0, array(Buffer::new(&Shape::new(&[16]).unwrap(), DType::F32).unwrap(), 16));
        assert!(!arena.is_idle());
        arena.give(0, part);
        assert!(arena.is_idle());
    }
}
