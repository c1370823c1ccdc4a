//! Chooses single elements along an axis, different ones in every row; and the adjoint, which adds them into place.
//! Sorting and its gradient are made of these.

use super::index::{expect_index, positions};
use super::promote::indices as index_of;
use crate::autograd::{Attributes, Grads, Op, Saves, Specs, Step, apply1, elements, one};
use crate::dtype::{dispatch_float, dispatch_moved};
use crate::kernels::index::{add_rows, take_rows};
use crate::tensor::{Array, Tensor, few};
use crate::{Error, Result, Shape, Spec};

super::table::ops! {
    [TakeAlong, AddAlong];
    take_along_axis: Any, Every, "GatherElements";
    add_along_axis: Floats, Every, "ScatterElements";
}

pub(super) fn last(shape: &Shape) -> usize {
    shape.dims().last().copied().unwrap_or(1)
}

/// Checks that all sizes but the last agree.
pub(super) fn same_rows(op: &'static str, a: Shape, b: Shape) -> Result<()> {
    let rank = a.rank();
    if rank > 0 && b.rank() == rank && a.with(rank - 1, 0) == b.with(rank - 1, 0) {
        return Ok(());
    }
    Err(Error::shapes(op, a, b, "all sizes but that of the axis must agree"))
}

crate::op! {
    /// [`Tensor::take_along_axis`] along the last axis.
    struct TakeAlong("take_along_axis", 2) {}
}

impl Op for TakeAlong {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        expect_index(self.name(), inputs[1].dtype)?;
        same_rows(self.name(), inputs[0].shape, inputs[1].shape)?;
        Ok(one(inputs[1].shape, inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (x, index) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
        let (n, k) = (last(x.shape()), last(index.shape()));
        let index = positions(self.name(), index.slice()?, n)?;
        dispatch_moved!(x.dtype(), T => take_rows::<T>(x.word_slice()?, n, &index, k, outputs[0].words_mut()?));
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE.input(1)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let op = AddAlong { size: last(&step.spec(0).shape) };
        Ok(few![Some(apply1(op, &[&step.grad(0)?, &step.input(1)])?), None])
    }
}

crate::op! {
    /// The adjoint of [`TakeAlong`], into zeros whose last axis has this size.
    struct AddAlong("add_along_axis", 2) { size: usize }
}

impl Op for AddAlong {
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        elements(&inputs[..1])
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        super::elementwise::float(self.name(), inputs[0].dtype)?;
        expect_index(self.name(), inputs[1].dtype)?;
        if inputs[0].shape != inputs[1].shape || inputs[0].shape.rank() == 0 {
            let why = "each value needs one index";
            return Err(Error::shapes(self.name(), inputs[0].shape, inputs[1].shape, why));
        }
        Ok(one(inputs[0].shape.with(inputs[0].shape.rank() - 1, self.size), inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (g, index) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
        let index = positions(self.name(), index.slice()?, self.size)?;
        dispatch_float!(self.name(), g.dtype(), T => {
            let out = outputs[0].slice_mut::<T>()?;
            out.fill(0.0);
            add_rows::<T>(g.slice()?, last(g.shape()), &index, self.size, out);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE.input(1)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        Ok(few![Some(apply1(TakeAlong {}, &[&step.grad(0)?, &step.input(1)])?), None])
    }
}

impl Tensor {
    /// Returns `out[…, j, …] = self[…, indices[…, j, …], …]` along an axis: one index (an integer) for each element
    /// of the result; negative ones count from the end. The other sizes broadcast.
    ///
    /// # Errors
    /// The axis or an index is out of range, ranks differ, other sizes do not broadcast, or the indices are not
    /// integers.
    pub fn take_along_axis(&self, indices: &Tensor, axis: isize) -> Result<Tensor> {
        const OP: &str = "take_along_axis";
        let at = self.shape().axis(OP, axis)?;
        if indices.rank() != self.rank() {
            return Err(Error::shapes(
                OP,
                *self.shape(),
                *indices.shape(),
                "both need the same number of axes",
            ));
        }
        let common = Shape::broadcast(OP, self.shape().with(at, 1), indices.shape().with(at, 1))?;
        let x = self.broadcast_beside(indices, common.with(at, self.dims()[at]))?.to_last(at)?;
        let index = index_of(OP, indices)?.broadcast_beside(self, common.with(at, indices.dims()[at]))?;
        let index = index.to_last(at)?;
        apply1(TakeAlong {}, &[&x, &index])?.last_to(at)
    }

    /// Returns zeros with `size` elements along an axis, to which each element of this tensor is added where its
    /// index (an integer, one for each; negative ones count from the end) says: the adjoint of
    /// [`Tensor::take_along_axis`]. Elements with the same index add up in ascending order.
    ///
    /// # Errors
    /// Shapes differ, the axis or an index is out of range, or dtypes are not float and integer.
    pub fn add_along_axis(&self, indices: &Tensor, axis: isize, size: usize) -> Result<Tensor> {
        let at = self.shape().axis("add_along_axis", axis)?;
        if indices.shape() != self.shape() {
            let why = "each value needs one index";
            return Err(Error::shapes("add_along_axis", *self.shape(), *indices.shape(), why));
        }
        let indices = index_of("add_along_axis", indices)?;
        apply1(AddAlong { size }, &[&self.to_last(at)?, &indices.to_last(at)?])?.last_to(at)
    }
}
