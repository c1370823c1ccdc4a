//! What operations say of each other when a graph is planned: which steps may be joined to a product ([`End`]), and
//! what was made of constants once for all ([`Ready`]).

use crate::Result;
use crate::tensor::Array;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A step that may be joined to the product that it follows.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum End {
    /// A number for each channel is added, a further input.
    Bias,
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
        matches!(self, End::Bias | End::Residual)
    }
}

/// A function of each element in float32.
#[derive(Clone, Copy, Debug)]
pub struct EachElement {
    /// The operation's name.
    pub(crate) name: &'static str,
    pub(crate) f: Each,
    /// The operation's constant, or its second operand.
    pub(crate) p: f32,
}

/// The loop over elements.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Each {
    /// With the operation's constant.
    One(fn(&[f32], &mut [f32], f32)),
    /// Of two operands, of which the second is a number.
    Two(fn(&[f32], &[f32], &mut [f32])),
}

impl EachElement {
    /// Applies it to each element. The loop reads what it writes from a copy in the nearest cache.
    pub(crate) fn in_place(self, run: &mut [f32]) {
        let mut room = [0f32; 256];
        let second = if let Each::Two(_) = self.f { [self.p; 256] } else { [0.0; 256] };
        for part in run.chunks_mut(room.len()) {
            let copy = &mut room[..part.len()];
            copy.copy_from_slice(part);
            match self.f {
                Each::One(f) => f(copy, part, self.p),
                Each::Two(f) => f(copy, &second[..part.len()], part),
            }
        }
    }
}

/// What an operation made of a constant once for all, such as packed weights.
pub trait Made: Any + Send + Sync {
    /// Bytes that it takes.
    fn bytes(&self) -> usize;

    /// Returns whether [`Made::values`] has them.
    fn is_exact(&self) -> bool;

    /// Returns the constant's elements again, row after row; `None` if they cannot be had bit by bit.
    fn values(&self) -> Option<Vec<f32>>;
}

/// A constant input of a step that is planned.
#[derive(Clone, Copy, Debug)]
pub struct Constant<'a> {
    /// Its values, or its shape alone where they were given up for what was made of them.
    pub(crate) values: &'a Array,
    /// Its number, by which other plans find what was made of it; `None` if it is this plan's alone.
    pub(crate) number: Option<usize>,
}

/// What operations have made of constants, to be used again by other plans: a list for each constant's number.
#[derive(Default)]
pub struct Ready {
    made: BTreeMap<usize, Vec<Arc<dyn Made>>>,
}

impl Ready {
    /// Returns what was made of a constant and fits, or makes it. `None` if it cannot be made: there is not enough
    /// memory, or the values are gone.
    pub(crate) fn of<T: Made>(
        &mut self,
        constant: Constant<'_>,
        fits: impl Fn(&T) -> bool,
        make: impl FnOnce(&Array) -> Result<T>,
    ) -> Option<Arc<dyn Made>> {
        let mut known = constant.number.and_then(|number| self.made.get(&number)).into_iter().flatten();
        let fitting = |made: &&Arc<dyn Made>| (&***made as &dyn Any).downcast_ref::<T>().is_some_and(&fits);
        if let Some(made) = known.find(fitting) {
            return Some(made.clone());
        }
        if constant.values.is_traced() {
            return None;
        }
        let made: Arc<dyn Made> = Arc::new(make(constant.values).ok()?);
        if let Some(number) = constant.number {
            self.made.entry(number).or_default().push(made.clone());
        }
        Some(made)
    }

    /// Returns all that was made of a constant.
    pub(crate) fn made_of(&self, number: usize) -> &[Arc<dyn Made>] {
        self.made.get(&number).map_or(&[], Vec::as_slice)
    }
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ready({} constants)", self.made.len())
    }
}
