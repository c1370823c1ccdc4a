//! Replaces a run of a tensor at a position given by a tensor instead of an attribute, as the cache of keys and
//! values needs.

use super::promote::indices;
use crate::autograd::{Grads, Op, Saves, Specs, Step, apply_in_place, one};
use crate::dtype::dispatch_moved;
use crate::kernels::map;
use crate::tensor::{Array, Tensor, few};
use crate::{DType, Error, Result, Spec};

super::table::ops! {
    [SliceUpdate];
    slice_update: Any, Every, "ScatterElements";
}

const NAME: &str = "slice_update";

crate::op! {
    /// Inputs: the tensor, the new values, and their start index (int64, one number).
    struct SliceUpdate("slice_update", 3) { axis: usize }
}

impl Op for SliceUpdate {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let [x, updates, start] = [inputs[0], inputs[1], inputs[2]];
        x.shape.axis(NAME, self.axis as isize)?;
        if start.dtype != DType::I64 || start.shape.rank() != 0 {
            return Err(Error::argument(NAME, "a start that is one int64 number", start));
        }
        // Whether it is long enough is checked once there are values: a trace has sizes of its own.
        let fits = updates.shape.rank() == x.shape.rank()
            && (0..x.shape.rank()).all(|i| i == self.axis || x.shape.dims()[i] == updates.shape.dims()[i]);
        if !fits || updates.dtype != x.dtype {
            let why = "both must have one dtype and, but for the axis, one shape";
            return Err(Error::shapes(NAME, x.shape, updates.shape, why));
        }
        Ok(one(x.shape, x.dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let x = inputs[0].contiguous()?;
        dispatch_moved!(x.dtype(), T => outputs[0].words_mut::<T>()?.copy_from_slice(x.word_slice()?));
        self.eval_in_place(&mut outputs[0], &inputs[1..]).map(drop)
    }
    fn eval_in_place(&self, first: &mut Array, rest: &[&Array]) -> Result<bool> {
        let (updates, start) = (rest[0], rest[1].contiguous()?);
        let (start, sizes) = (start.slice::<i64>()?[0], *first.shape());
        let (room, count) = (sizes.dims()[self.axis], updates.shape().dims()[self.axis]);
        let end = usize::try_from(start).ok().and_then(|start| start.checked_add(count));
        if end.is_none_or(|end| end > room) {
            // A plan knows the operation alone, not the layer whose cache it is.
            let expected = format!(
                "at most {room} along axis {} (if the cache of a layer is full: a longer `cache`, or a new `Session`)",
                self.axis
            );
            return Err(Error::argument(NAME, expected, format!("{count} from {start} on")));
        }
        let inner: usize = sizes.dims()[self.axis + 1..].iter().product();
        let (run, start) = (count * inner, start as usize * inner);
        if run > 0 {
            dispatch_moved!(first.dtype(), T => {
                let updates = updates.words::<T>()?;
                let rows = first.words_mut::<T>()?.chunks_exact_mut(room * inner);
                for (i, row) in rows.enumerate() {
                    let row = &mut row[start..start + run];
                    match updates.as_slice() {
                        Some(updates) => row.copy_from_slice(&updates[i * run..(i + 1) * run]),
                        None => map::copy(updates.with(updates.layout().below(self.axis, i)), row),
                    }
                }
            });
        }
        Ok(true)
    }
    fn reads_apart(&self, input: usize) -> bool {
        input == 1
    }
    fn works_in_place(&self, _: &[Spec]) -> bool {
        true
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE.input(2)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (g, start) = (step.grad(0)?, step.input(2));
        let updates = step.spec(1);
        let mut grads: Grads = few![None, None, None];
        if step.wants(0) {
            let none = g.new_full(updates.shape, 0.0)?;
            grads[0] = Some(g.slice_update(&none, &start, self.axis as isize)?);
        }
        if step.wants(1) {
            let count = g.new_full([updates.shape.dims()[self.axis]], 1.0)?.cast(DType::I64)?;
            let rows = count.cumsum(0)?.sub(&count)?.add(&start)?;
            grads[1] = Some(g.gather(&rows, self.axis as isize)?);
        }
        Ok(grads)
    }
}

impl Tensor {
    /// Returns this tensor with `updates` in place of its elements along `axis` from `start` on, an integer tensor
    /// of one number. All other sizes are equal. (Keras: `ops.slice_update`; JAX: `dynamic_update_slice`, but here
    /// an update that does not fit is an error.)
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or the updates reach beyond the end.
    pub fn slice_update(&self, updates: &Tensor, start: &Tensor, axis: isize) -> Result<Tensor> {
        self.clone().slice_updated(updates, start, axis)
    }

    /// [`Tensor::slice_update`] in place, if nothing else holds this tensor.
    pub(crate) fn slice_updated(mut self, updates: &Tensor, start: &Tensor, axis: isize) -> Result<Tensor> {
        let axis = self.shape().axis(NAME, axis)?;
        let start = indices(NAME, start)?;
        apply_in_place(SliceUpdate { axis }, &mut self, &[updates, &*start])?;
        Ok(self)
    }
}
