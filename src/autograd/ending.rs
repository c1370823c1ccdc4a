//! What operations say of each other when a graph is planned: which steps may be joined to a product ([`End`]), and
//! what was made of constants once for all ([`Ready`]).

use crate::Result;
use crate::tensor::Array;
use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A step that may be joined to the product that it follows.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum End {
    /// `x · s + t` with a number for each channel; s and t are further inputs.
    Scale,
    /// A tensor of the same shape is added, a further input.
    Residual,
    /// A function of each element.
    Map(EachElement),
}

impl End {
    /// Returns whether the product may be the second input as well as the first.
    pub(crate) fn commutes(self) -> bool {
        matches!(self, End::Residual)
    }
}

/// A function of each element in float32.
#[derive(Clone, Copy, Debug)]
pub struct EachElement {
    /// The operation's name.
    pub(crate) name: &'static str,
    /// The loop over elements, with the operation's constant.
    pub(crate) f: fn(&[f32], &mut [f32], f32),
    pub(crate) p: f32,
}

impl EachElement {
    /// Applies it to each element. The loop reads what it writes from a copy in the nearest cache.
    pub(crate) fn in_place(self, run: &mut [f32]) {
        let mut room = [0f32; 256];
        for part in run.chunks_mut(room.len()) {
            let copy = &mut room[..part.len()];
            copy.copy_from_slice(part);
            (self.f)(copy, part, self.p);
        }
    }
}

/// What operations have made of their constants, such as packed weights, to be used again by other plans.
#[derive(Default)]
pub struct Ready {
    /// The memory of constants that are held as long as this is.
    lasting: BTreeSet<usize>,
    made: Vec<(usize, Arc<dyn Any + Send + Sync>)>,
}

impl Ready {
    /// Makes an empty list, for constants that outlive it.
    pub(crate) fn new<'a>(lasting: impl Iterator<Item = &'a Array>) -> Ready {
        Ready { lasting: lasting.filter_map(Array::memory).collect(), made: Vec::new() }
    }

    /// Returns what was made of a constant and fits, or makes it.
    pub(crate) fn of<T: Any + Send + Sync>(
        &mut self,
        constant: &Array,
        fits: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<Arc<dyn Any + Send + Sync>> {
        let place = constant.memory().filter(|memory| self.lasting.contains(memory));
        let fitting = |made: &Arc<dyn Any + Send + Sync>| made.downcast_ref::<T>().is_some_and(&fits);
        let mut known = self.made.iter().filter(|(memory, _)| Some(*memory) == place);
        if let Some((_, made)) = known.find(|(_, made)| fitting(made)) {
            return Ok(made.clone());
        }
        let made: Arc<dyn Any + Send + Sync> = Arc::new(make()?);
        self.made.extend(place.map(|memory| (memory, made.clone())));
        Ok(made)
    }
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ready({} constants)", self.made.len())
    }
}
