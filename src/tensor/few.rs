//! A short list: a few items in place, more of them in a block of the pool. So no length of it asks the system for memory in the steady
//! state, where a `SmallVec` does as soon as it is full.

use super::storage::PoolVec;
use smallvec::SmallVec;
use std::ops::{Deref, DerefMut};

/// A list of which up to `N` items lie in place.
pub struct Few<T, const N: usize> {
    /// All items, or none.
    few: SmallVec<[T; N]>,
    /// All items if they are more than `N`.
    many: PoolVec<T>,
}

impl<T, const N: usize> Few<T, N> {
    /// Nothing yet.
    pub fn new() -> Few<T, N> {
        Few { few: SmallVec::new(), many: PoolVec::new() }
    }

    /// One more, at the end.
    pub fn push(&mut self, item: T) {
        if self.many.is_empty() && self.few.len() < N {
            return self.few.push(item);
        }
        if self.many.is_empty() {
            self.many.reserve(N + 1);
            self.many.extend(self.few.drain(..));
        }
        self.many.push(item);
    }

    /// Takes out the last one.
    pub fn pop(&mut self) -> Option<T> {
        self.many.pop().or_else(|| self.few.pop())
    }

    /// Takes out one, in whose place the last one comes.
    ///
    /// # Panics
    /// There are not so many.
    pub fn swap_remove(&mut self, at: usize) -> T {
        let last = self.len().saturating_sub(1);
        self.swap(at, last);
        match self.pop() {
            Some(item) => item,
            None => unreachable!("`swap` has found one"),
        }
    }
}

impl<T, const N: usize> Deref for Few<T, N> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        if self.many.is_empty() { &self.few } else { &self.many }
    }
}
impl<T, const N: usize> DerefMut for Few<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        if self.many.is_empty() { &mut self.few } else { &mut self.many }
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
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T, const N: usize> FromIterator<T> for Few<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Few<T, N> {
        let mut list = Few::new();
        list.extend(items);
        list
    }
}

impl<T, const N: usize> Extend<T> for Few<T, N> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(item));
    }
}

impl<T, const N: usize> IntoIterator for Few<T, N> {
    type Item = T;
    type IntoIter = Items<T, N>;
    fn into_iter(mut self) -> Items<T, N> {
        // What is left of the list in the pool is taken from its end.
        self.many.reverse();
        Items { few: self.few.into_iter(), many: self.many }
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

/// The items of a [`Few`], one after the other.
pub struct Items<T, const N: usize> {
    few: smallvec::IntoIter<[T; N]>,
    /// Those in the pool, the next one last.
    many: PoolVec<T>,
}

impl<T, const N: usize> Iterator for Items<T, N> {
    type Item = T;
    fn next(&mut self) -> Option<T> {
        self.few.next().or_else(|| self.many.pop())
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.few.len() + self.many.len();
        (left, Some(left))
    }
}
impl<T, const N: usize> ExactSizeIterator for Items<T, N> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_list_behaves_like_a_vec() {
        let (mut list, mut twin) = (Few::<String, 2>::new(), Vec::new());
        for i in 0..9 {
            assert_eq!(*list, *twin);
            assert_eq!(*list.clone(), *twin);
            assert_eq!(list.clone().into_iter().collect::<Vec<_>>(), twin);
            assert_eq!(list.clone().into_iter().len(), twin.len());
            list.push(i.to_string());
            twin.push(i.to_string());
        }
        for at in [3, 0, 6, 2] {
            assert_eq!(list.swap_remove(at), twin.swap_remove(at));
        }
        while let Some(last) = twin.pop() {
            assert_eq!(list.pop(), Some(last));
            assert_eq!(*list, *twin);
        }
        // From the pool back into its own place.
        list.push("again".into());
        assert!(list.many.is_empty() && list.pop().is_some() && list.pop().is_none());
    }
}
