//! Why it exists: operations that give memory another shape. No data moves, except where a reshape meets memory
//! that cannot be read in the new order.

use crate::autograd::{Grads, Op, Saves, Specs, Step, apply1, one};
use crate::dtype::dispatch_moved;
use crate::kernels::map;
use crate::kernels::strided::Layout;
use crate::tensor::{Array, Tensor};
use crate::{Error, IntoShape, MAX_RANK, Result, Shape, Spec};
use smallvec::smallvec;

super::table::ops! {
    reshape: Any, Every, "Reshape";
    reshape_to: Any, Every, "Reshape";
    permute: Any, Every, "Transpose";
    transpose: Any, Every, "Transpose";
    t: Any, Every, "Transpose";
    broadcast_to: Any, Every, "Expand";
    slice: Any, Every, "Slice";
    slice_step: Any, Every, "Slice";
    select: Any, Every, "Gather";
    squeeze: Any, Every, "Squeeze";
    expand_dims: Any, Every, "Unsqueeze";
}

#[derive(Debug)]
struct Reshape(Shape);

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Ok(one(self.0, inputs[0].dtype))
    }
    fn view(&self, input: &Layout, _: Spec) -> Option<Layout> {
        input.reshaped(self.0)
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        dispatch_moved!(inputs[0].dtype(), T => map::copy(inputs[0].words::<T>()?, outputs[0].words_mut::<T>()?));
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        Ok(smallvec![Some(step.grad(0)?.reshape_to(step.spec(0).shape)?)])
    }
}

#[derive(Debug)]
struct Permute {
    order: [usize; MAX_RANK],
    rank: usize,
}

impl Op for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let shape = Layout::contiguous(inputs[0].shape).permuted(&self.order[..self.rank]).shape;
        Ok(one(shape, inputs[0].dtype))
    }
    fn view(&self, input: &Layout, _: Spec) -> Option<Layout> {
        Some(input.permuted(&self.order[..self.rank]))
    }
    fn eval(&self, _: &[&Array], _: &mut [Array]) -> Result<()> {
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let mut inverse = [0; MAX_RANK];
        for (to, &from) in self.order[..self.rank].iter().enumerate() {
            inverse[from] = to;
        }
        Ok(smallvec![Some(apply1(Permute { order: inverse, rank: self.rank }, &[&step.grad(0)?])?)])
    }
}

#[derive(Debug)]
struct Broadcast(Shape);

impl Op for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let from = inputs[0].shape;
        if Shape::broadcast("broadcast", from, self.0)? != self.0 {
            return Err(Error::shapes("broadcast", from, self.0, "the target must be the larger one"));
        }
        Ok(one(self.0, inputs[0].dtype))
    }
    fn view(&self, input: &Layout, _: Spec) -> Option<Layout> {
        Some(input.broadcast(self.0))
    }
    fn eval(&self, _: &[&Array], _: &mut [Array]) -> Result<()> {
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        Ok(smallvec![Some(step.grad(0)?.sum_to(&step.spec(0).shape)?)])
    }
}

/// Every `step`-th element of an axis, `count` of them from `start` on; backwards if `step` is negative.
#[derive(Debug, Clone, Copy)]
struct Slice {
    axis: usize,
    start: usize,
    count: usize,
    step: isize,
}

impl Slice {
    fn layout(&self, input: &Layout) -> Layout {
        let mut out = *input;
        out.shape = out.shape.with(self.axis, self.count);
        if out.shape.elements() > 0 {
            out.offset = (input.offset as isize + self.start as isize * input.strides[self.axis]) as usize;
        }
        out.strides[self.axis] *= self.step;
        out
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Ok(one(inputs[0].shape.with(self.axis, self.count), inputs[0].dtype))
    }
    fn view(&self, input: &Layout, _: Spec) -> Option<Layout> {
        Some(self.layout(input))
    }
    fn eval(&self, _: &[&Array], _: &mut [Array]) -> Result<()> {
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        Ok(smallvec![Some(apply1(Unslice { slice: *self, shape: step.spec(0).shape }, &[&step.grad(0)?])?)])
    }
}

/// The adjoint of [`Slice`]: the elements in their places, zeros elsewhere.
#[derive(Debug)]
struct Unslice {
    slice: Slice,
    shape: Shape,
}

impl Op for Unslice {
    fn name(&self) -> &'static str {
        "unslice"
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Ok(one(self.shape, inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let target = self.slice.layout(outputs[0].layout());
        dispatch_moved!(inputs[0].dtype(), T => {
            let input = inputs[0].contiguous()?;
            let x = input.word_slice::<T>()?;
            let out = outputs[0].words_mut::<T>()?;
            out.fill(T::default());
            map::scatter(x, &target, out);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        Ok(smallvec![Some(apply1(self.slice, &[&step.grad(0)?])?)])
    }
}

impl Tensor {
    /// The same elements under another shape; one size may be -1 and is worked out.
    ///
    /// # Errors
    /// The number of elements differs, or memory for a copy cannot be had.
    pub fn reshape(&self, sizes: impl AsRef<[isize]>) -> Result<Tensor> {
        self.reshape_to(self.shape().infer_reshape(sizes.as_ref())?)
    }

    /// [`Tensor::reshape`] to a shape without -1.
    ///
    /// # Errors
    /// As [`Tensor::reshape`].
    pub fn reshape_to(&self, shape: impl IntoShape) -> Result<Tensor> {
        let shape = shape.into_shape()?;
        if shape == *self.shape() {
            return Ok(self.clone());
        }
        if shape.elements() != self.elements() {
            let why = format!("{} elements cannot become {}", self.elements(), shape.elements());
            return Err(Error::shapes("reshape", *self.shape(), shape, why));
        }
        apply1(Reshape(shape), &[self])
    }

    /// The axes in another order: axis `i` of the result is axis `order[i]` of this tensor.
    ///
    /// # Errors
    /// `order` does not name every axis once.
    pub fn permute(&self, order: &[isize]) -> Result<Tensor> {
        let mut axes = [0; MAX_RANK];
        if order.len() != self.rank() {
            return Err(Error::argument("permute", format!("{} axes", self.rank()), format!("{order:?}")));
        }
        self.shape().axes("permute", order)?;
        for (slot, &axis) in axes.iter_mut().zip(order) {
            *slot = self.shape().axis("permute", axis)?;
        }
        apply1(Permute { order: axes, rank: self.rank() }, &[self])
    }

    /// Two axes exchanged.
    ///
    /// # Errors
    /// An axis is out of range.
    pub fn transpose(&self, a: isize, b: isize) -> Result<Tensor> {
        let (a, b) = (self.shape().axis("transpose", a)?, self.shape().axis("transpose", b)?);
        let mut order = std::array::from_fn(|i| i);
        order.swap(a, b);
        apply1(Permute { order, rank: self.rank() }, &[self])
    }

    /// The last two axes exchanged.
    ///
    /// # Errors
    /// Fewer than two axes.
    pub fn t(&self) -> Result<Tensor> {
        self.transpose(-2, -1)
    }

    /// Repeated, without copying, to a shape that this one's broadcasts to.
    ///
    /// # Errors
    /// It does not broadcast.
    pub fn broadcast_to(&self, shape: impl IntoShape) -> Result<Tensor> {
        let shape = shape.into_shape()?;
        if shape == *self.shape() { Ok(self.clone()) } else { apply1(Broadcast(shape), &[self]) }
    }

    /// Elements `start..end` of an axis. Negative positions count from the end; both are clamped to the axis.
    ///
    /// # Errors
    /// The axis is out of range.
    pub fn slice(&self, axis: isize, start: isize, end: isize) -> Result<Tensor> {
        self.slice_step(axis, Some(start), Some(end), 1)
    }

    /// Python's `start:end:step` along one axis, with Python's meaning of negative and missing values.
    ///
    /// # Errors
    /// The axis is out of range, or `step` is 0.
    pub fn slice_step(
        &self,
        axis: isize,
        start: Option<isize>,
        end: Option<isize>,
        step: isize,
    ) -> Result<Tensor> {
        let axis = self.shape().axis("slice", axis)?;
        if step == 0 {
            return Err(Error::argument("slice", "a step that is not 0", step));
        }
        let n = self.dims()[axis] as isize;
        // A step beyond the axis means the same as one just beyond it, and cannot overflow.
        let step = step.clamp(-n - 1, n + 1);
        let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
        let place = |v: isize| (if v < 0 { v + n } else { v }).clamp(low, high);
        let start = start.map_or(if step > 0 { 0 } else { n - 1 }, place);
        let end = end.map_or(if step > 0 { n } else { -1 }, place);
        let count = if step > 0 { (end - start + step - 1) / step } else { (start - end - step - 1) / -step };
        let count = count.max(0) as usize;
        if count == self.dims()[axis] && step == 1 {
            return Ok(self.clone());
        }
        apply1(Slice { axis, start: start.max(0) as usize, count, step }, &[self])
    }

    /// Element `index` of an axis, which disappears. Negative indices count from the end.
    ///
    /// # Errors
    /// The axis or the index is out of range.
    pub fn select(&self, axis: isize, index: isize) -> Result<Tensor> {
        let at = self.shape().axis("select", axis)?;
        let n = self.dims()[at] as isize;
        let index = if index < 0 { index + n } else { index };
        if !(0..n).contains(&index) {
            return Err(Error::Index {
                op: "select",
                what: "index",
                value: index as i64,
                position: 0,
                last: n as i64 - 1,
            });
        }
        self.slice(at as isize, index, index + 1)?.squeeze(at as isize)
    }

    /// Without an axis of size 1.
    ///
    /// # Errors
    /// The axis is out of range or not of size 1.
    pub fn squeeze(&self, axis: isize) -> Result<Tensor> {
        let at = self.shape().axis("squeeze", axis)?;
        if self.dims()[at] != 1 {
            return Err(Error::shape("squeeze", format!("size 1 at axis {axis}"), *self.shape()));
        }
        let mut drop = [false; MAX_RANK];
        drop[at] = true;
        self.reshape_to(self.shape().reduced(&drop, false))
    }

    /// With a new axis of size 1, which will be axis `axis` of the result.
    ///
    /// # Errors
    /// The axis is out of range, or there are already [`MAX_RANK`] axes.
    pub fn expand_dims(&self, axis: isize) -> Result<Tensor> {
        let mut dims = self.dims().to_vec();
        let at = if axis < 0 { axis + dims.len() as isize + 1 } else { axis };
        if !(0..=dims.len() as isize).contains(&at) {
            return Err(Error::Axis { op: "expand_dims", axis, shape: Box::new(*self.shape()) });
        }
        dims.insert(at as usize, 1);
        self.reshape_to(dims)
    }
}
