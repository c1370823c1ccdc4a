//! Work on each matrix of a stack: small matrices are divided between threads, and large ones are taken one after another,
//! since their products are divided.

use crate::kernels::scratch::Scratch;
use crate::kernels::{par, scratch};
use crate::tensor::room::filled;
use crate::{Error, Float, Result, Spec};
use std::sync::{Mutex, PoisonError};

/// A stack, and what work on it needs.
pub(super) struct Stack {
    /// The number of matrices.
    pub(super) count: usize,
    /// About how many multiplications a matrix takes.
    pub(super) work: usize,
    /// Numbers of room for one matrix.
    pub(super) room: usize,
    /// Positions of room for one matrix.
    pub(super) order: usize,
    /// The tensor, for errors.
    pub(super) spec: Spec,
}

/// Multiplications from which matrices are taken one after another.
const LARGE: usize = 1 << 26;

/// What is done to one matrix: with its number, its parts of the slices, and room, which holds anything.
type Each<'a, T, const N: usize> =
    dyn Fn(usize, [&mut [T]; N], &mut [T], &mut [usize]) -> Result<()> + Sync + 'a;

impl Stack {
    /// Calls `f` for each matrix with its part of each slice.
    ///
    /// # Errors
    /// That of the first matrix that has one, or there is not enough memory.
    pub(super) fn each<T: Float + Scratch, const N: usize>(
        &self,
        mut parts: [&mut [T]; N],
        f: &Each<'_, T, N>,
    ) -> Result<()> {
        let Stack { count, work, spec, .. } = *self;
        if count > 1 && work < LARGE {
            let first: Mutex<Option<(usize, Error)>> = Mutex::new(None);
            let one = |i: usize, parts: [&mut [T]; N]| {
                if let Err(error) = par::alone(|| self.with_scratch(i, parts, f)) {
                    let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                    if first.as_ref().is_none_or(|(before, _)| i < *before) {
                        *first = Some((i, error));
                    }
                }
            };
            par::each(count, parts, (par::GRAIN / work.max(1)).max(1), &one);
            let first = first.into_inner().unwrap_or_else(PoisonError::into_inner);
            return first.map_or(Ok(()), |(_, error)| Err(error));
        }
        let (mut room, mut order) = (filled(self.room, T::zero(), spec)?, filled(self.order, 0, spec)?);
        for i in 0..count {
            let own = parts.each_mut().map(|part| {
                let len = part.len() / count;
                &mut part[i * len..(i + 1) * len]
            });
            f(i, own, &mut room, &mut order)?;
        }
        Ok(())
    }

    fn with_scratch<T: Float + Scratch, const N: usize>(
        &self,
        i: usize,
        parts: [&mut [T]; N],
        f: &Each<'_, T, N>,
    ) -> Result<()> {
        scratch::with(self.room, |room| scratch::with(self.order, |order| f(i, parts, room, order)))
    }
}
