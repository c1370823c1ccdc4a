//! Joins tensors: along an axis, or along a new one.

use super::promote::all_alike;
use crate::autograd::{Grads, Op, Saves, Specs, Step, apply1, one};
use crate::dtype::dispatch_moved;
use crate::tensor::{Array, PoolVec, Tensor};
use crate::{Error, Result, Spec};

super::table::ops! {
    [Concat];
    concat: Any, Every, "Concat";
    stack: Any, Every, "Concat";
}

crate::op! {
    struct Concat("concat", 1..=usize::MAX) { axis: usize }
}

impl Op for Concat {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let first = inputs[0];
        first.shape.axis("concat", self.axis as isize)?;
        let mut size = 0;
        for spec in inputs {
            let fits = spec.dtype == first.dtype
                && spec.shape.rank() == first.shape.rank()
                && spec.shape.with(self.axis, 0) == first.shape.with(self.axis, 0);
            if !fits {
                let why = format!("all sizes but that of axis {} must agree, and dtypes too", self.axis);
                return Err(Error::shapes("concat", first.shape, spec.shape, why));
            }
            size += spec.shape.dims()[self.axis];
        }
        Ok(one(first.shape.with(self.axis, size), first.dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let dims = outputs[0].shape().dims();
        let row: usize = dims[self.axis..].iter().product();
        let mut at = 0;
        for input in inputs {
            let width: usize = input.shape().dims()[self.axis..].iter().product();
            let input = input.contiguous()?;
            dispatch_moved!(input.dtype(), T => {
                let out = outputs[0].words_mut::<T>()?;
                for (to, from) in out.chunks_mut(row.max(1)).zip(input.word_slice::<T>()?.chunks(width.max(1))) {
                    to[at..at + width].copy_from_slice(from);
                }
            });
            at += width;
        }
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (g, mut at) = (step.grad(0)?, 0);
        let mut grads = Grads::new();
        for i in 0..step.inputs() {
            let end = at + step.spec(i).shape.dims()[self.axis] as isize;
            grads.push(if step.wants(i) { Some(g.slice(self.axis as isize, at, end)?) } else { None });
            at = end;
        }
        Ok(grads)
    }
}

impl Tensor {
    /// Joins tensors along an axis. Dtypes are promoted by [`DType::promote`](crate::DType::promote).
    ///
    /// # Errors
    /// None are given, the axis is out of range, or another size differs.
    pub fn concat(tensors: &[&Tensor], axis: isize) -> Result<Tensor> {
        let first =
            tensors.first().ok_or_else(|| Error::argument("concat", "at least one tensor", "none"))?;
        let axis = first.shape().axis("concat", axis)?;
        if tensors.iter().all(|t| t.dtype() == first.dtype()) {
            return apply1(Concat { axis }, tensors);
        }
        let alike = all_alike(tensors)?;
        apply1(Concat { axis }, &alike.iter().map(|t| &**t).collect::<PoolVec<_>>())
    }

    /// Joins tensors of one shape along a new axis.
    ///
    /// # Errors
    /// Those of [`Tensor::concat`].
    pub fn stack(tensors: &[&Tensor], axis: isize) -> Result<Tensor> {
        let wide: PoolVec<Tensor> = tensors.iter().map(|t| t.expand_dims(axis)).collect::<Result<_>>()?;
        Tensor::concat(&wide.iter().collect::<PoolVec<_>>(), axis)
    }
}
