//! `Few`: a list whose first items are stored in place, and further ones in a block of the pool. So no list,
//! however long, asks the system for memory in the steady state, unlike a `Vec` or a `SmallVec`.
#![allow(unsafe_code)]

use super::storage::Objects;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};

/// A list that stores up to `N` items in place.
pub struct Few<T, const N: usize> {
    len: usize,
    /// All items, once there were more than `N`.
    block: Option<Objects>,
    /// All items until then.
    place: [MaybeUninit<T>; N],
}

/// A list that is stored in the pool, whatever its length.
pub(crate) type PoolVec<T> = Few<T, 0>;

impl<T, const N: usize> Few<T, N> {
    /// Creates an empty list.
    pub const fn new() -> Few<T, N> {
        const { assert!(align_of::<T>() <= Objects::ALIGN && size_of::<T>() > 0) };
        Few { len: 0, block: None, place: [const { MaybeUninit::uninit() }; N] }
    }

    fn start(&self) -> *const T {
        match &self.block {
            Some(block) => block.start().as_ptr().cast(),
            None => self.place.as_ptr().cast(),
        }
    }

    fn start_mut(&mut self) -> *mut T {
        match &self.block {
            Some(block) => block.start().as_ptr().cast(),
            None => self.place.as_mut_ptr().cast(),
        }
    }

    /// Returns how many items there is room for.
    fn capacity(&self) -> usize {
        self.block.as_ref().map_or(N, |block| block.bytes() / size_of::<T>())
    }

    /// Makes room for this many more items.
    pub fn reserve(&mut self, more: usize) {
        let need = self.len.saturating_add(more);
        if need > self.capacity() {
            self.grow(need);
        }
    }

    #[cold]
    fn grow(&mut self, need: usize) {
        let block = Objects::new(need.max(2 * self.capacity()).saturating_mul(size_of::<T>()));
        // SAFETY: the new block has room for all items, which move there; the old one is then no more than memory.
        unsafe { block.start().as_ptr().cast::<T>().copy_from_nonoverlapping(self.start(), self.len) };
        self.block = Some(block);
    }

    /// Adds an item at the end.
    pub fn push(&mut self, item: T) {
        self.reserve(1);
        // SAFETY: `reserve` has made room for one more.
        unsafe { self.start_mut().add(self.len).write(item) };
        self.len += 1;
    }

    /// Removes the last item and returns it.
    pub fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: the item is there, and from now on outside of the list.
        Some(unsafe { self.start().add(self.len).read() })
    }

    /// Inserts an item before the one at this position.
    ///
    /// # Panics
    /// If the list is shorter than that.
    pub fn insert(&mut self, at: usize, item: T) {
        assert!(at <= self.len);
        self.push(item);
        self[at..].rotate_right(1);
    }

    /// Removes the item at this position and returns it.
    ///
    /// # Panics
    /// If there is no such item.
    pub fn remove(&mut self, at: usize) -> T {
        self[at..].rotate_left(1);
        self.last_of(at)
    }

    /// Removes an item and returns it; the last item takes its place.
    ///
    /// # Panics
    /// If there is no such item.
    pub fn swap_remove(&mut self, at: usize) -> T {
        let last = self.len.saturating_sub(1);
        self.swap(at, last);
        self.last_of(at)
    }

    fn last_of(&mut self, at: usize) -> T {
        match self.pop() {
            Some(item) => item,
            None => panic!("there is no item {at}"),
        }
    }

    /// Drops the items from this position on.
    pub fn truncate(&mut self, len: usize) {
        while self.len > len {
            self.pop();
        }
    }

    /// Drops all items.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Shortens the list, or extends it with copies of an item, to this length.
    pub fn resize(&mut self, len: usize, item: T)
    where
        T: Clone,
    {
        self.truncate(len);
        self.reserve(len - self.len);
        while self.len < len {
            self.push(item.clone());
        }
    }

    /// Returns the whole list and leaves it empty.
    pub fn take(&mut self) -> Few<T, N> {
        std::mem::take(self)
    }
}

impl<const N: usize> Few<u8, N> {
    /// Appends bytes.
    pub(super) fn extend_from_slice(&mut self, more: &[u8]) {
        self.reserve(more.len());
        // SAFETY: there is room for so many, and what is borrowed is not this list's.
        unsafe { self.start_mut().add(self.len).copy_from_nonoverlapping(more.as_ptr(), more.len()) };
        self.len += more.len();
    }
}

impl<T, const N: usize> Drop for Few<T, N> {
    fn drop(&mut self) {
        let items: *mut [T] = &mut **self;
        // SAFETY: nobody sees the items after this.
        unsafe { items.drop_in_place() };
    }
}

impl<T, const N: usize> Deref for Few<T, N> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: the first `len` items are there.
        unsafe { std::slice::from_raw_parts(self.start(), self.len) }
    }
}
impl<T, const N: usize> DerefMut for Few<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and `&mut self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start_mut(), self.len) }
    }
}

impl<T, const N: usize> Default for Few<T, N> {
    fn default() -> Few<T, N> {
        Few::new()
    }
}

impl<T: Clone, const N: usize> Clone for Few<T, N> {
    fn clone(&self) -> Few<T, N> {
        self.iter().cloned().collect()
    }
}

impl<T: std::fmt::Debug, const N: usize> std::fmt::Debug for Few<T, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: PartialEq, const N: usize> PartialEq for Few<T, N> {
    fn eq(&self, other: &Few<T, N>) -> bool {
        **self == **other
    }
}
impl<T: Eq, const N: usize> Eq for Few<T, N> {}

impl<T: std::hash::Hash, const N: usize> std::hash::Hash for Few<T, N> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T, const N: usize> FromIterator<T> for Few<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Few<T, N> {
        let mut list = Few::new();
        list.extend(items);
        list
    }
}
impl<T: Clone, const N: usize> From<&[T]> for Few<T, N> {
    fn from(items: &[T]) -> Few<T, N> {
        items.iter().cloned().collect()
    }
}
impl<T, const N: usize, const M: usize> From<[T; M]> for Few<T, N> {
    fn from(items: [T; M]) -> Few<T, N> {
        items.into_iter().collect()
    }
}
impl<T, const N: usize> From<Vec<T>> for Few<T, N> {
    fn from(items: Vec<T>) -> Few<T, N> {
        items.into_iter().collect()
    }
}

impl<T, const N: usize> Extend<T> for Few<T, N> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        let items = items.into_iter();
        self.reserve(items.size_hint().0);
        let (mut start, mut room) = (self.start_mut(), self.capacity());
        // One loop with one `next`: every kind of iterator has a copy of this.
        for item in items {
            if self.len == room {
                self.grow(room.saturating_add(1));
                (start, room) = (self.start_mut(), self.capacity());
            }
            // SAFETY: there is room for it, where it was before: the list is borrowed meanwhile.
            unsafe { start.add(self.len).write(item) };
            self.len += 1;
        }
    }
}

impl<T, const N: usize> IntoIterator for Few<T, N> {
    type Item = T;
    type IntoIter = Items<T, N>;
    fn into_iter(mut self) -> Items<T, N> {
        let end = std::mem::take(&mut self.len);
        Items { list: self, next: 0, end }
    }
}
impl<'a, T, const N: usize> IntoIterator for &'a Few<T, N> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> std::slice::Iter<'a, T> {
        self.iter()
    }
}
impl<'a, T, const N: usize> IntoIterator for &'a mut Few<T, N> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;
    fn into_iter(self) -> std::slice::IterMut<'a, T> {
        self.iter_mut()
    }
}

/// An iterator over the items of a [`Few`].
pub struct Items<T, const N: usize> {
    /// The list that they are stored in, whose own length is 0.
    list: Few<T, N>,
    next: usize,
    end: usize,
}

impl<T, const N: usize> Iterator for Items<T, N> {
    type Item = T;
    fn next(&mut self) -> Option<T> {
        if self.next == self.end {
            return None;
        }
        self.next += 1;
        // SAFETY: the item is there, and from now on none of these.
        Some(unsafe { self.list.start().add(self.next - 1).read() })
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end - self.next, Some(self.end - self.next))
    }
}
impl<T, const N: usize> ExactSizeIterator for Items<T, N> {}

impl<T, const N: usize> Drop for Items<T, N> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

/// Makes a [`Few`] of these items, or of this many copies of one.
macro_rules! few {
    ($item:expr; $count:expr) => {{
        let mut list = $crate::tensor::Few::new();
        list.resize($count, $item);
        list
    }};
    ($($item:expr),* $(,)?) => {{
        let mut list = $crate::tensor::Few::new();
        $(list.push($item);)*
        list
    }};
}
pub(crate) use few;

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared with a `Vec`, in place and in the pool, with items that must be dropped once.
    fn behaves_like_a_vec<const N: usize>() {
        let (mut list, mut twin) = (Few::<String, N>::new(), Vec::new());
        for i in 0..1000 {
            list.push(i.to_string());
            twin.push(i.to_string());
            if i % 7 == 0 {
                assert_eq!(list.pop(), twin.pop());
            }
            if i % 11 == 0 {
                list.insert(i / 22, "x".into());
                twin.insert(i / 22, "x".into());
            }
            if i < 20 {
                let mut some = list.clone().into_iter();
                assert_eq!(some.len(), twin.len());
                // The rest is dropped.
                assert_eq!(some.by_ref().take(i / 2).collect::<Vec<_>>(), twin[..(i / 2).min(twin.len())]);
            }
        }
        assert_eq!(*list, *twin);
        for at in [3, 0, 600, 2] {
            assert_eq!(list.swap_remove(at), twin.swap_remove(at));
            assert_eq!(list.remove(at), twin.remove(at));
        }
        list.resize(900, "y".into());
        twin.resize(900, "y".into());
        assert_eq!(list.clone().into_iter().collect::<Vec<_>>(), twin);
        list.truncate(5);
        twin.truncate(5);
        assert_eq!(*list.take(), *twin);
        assert!(list.pop().is_none() && list.is_empty());
    }

    #[test]
    fn every_list_behaves_like_a_vec() {
        behaves_like_a_vec::<0>();
        behaves_like_a_vec::<1>();
        behaves_like_a_vec::<5>();
        behaves_like_a_vec::<2000>();
    }

    #[test]
    fn items_are_dropped_once() {
        let probe = std::sync::Arc::new(());
        for count in [0, 2, 3, 40] {
            let list: Few<_, 2> = std::iter::repeat_n(&probe, count).cloned().collect();
            assert_eq!(std::sync::Arc::strong_count(&probe), 1 + count);
            let mut items = list.into_iter();
            drop(items.next());
            drop(items);
            assert_eq!(std::sync::Arc::strong_count(&probe), 1);
        }
    }
}
