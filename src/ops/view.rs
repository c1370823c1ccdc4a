//! Views: operations that give memory another shape. No data moves, except in a reshape whose new order strides
//! cannot express.

use super::parts::{Part, Parts};
use crate::autograd::{Attr, Attribute, Grads, Op, Saves, Specs, Step, apply1, one};
use crate::dtype::dispatch_moved;
use crate::kernels::map;
use crate::kernels::strided::Layout;
use crate::tensor::{Array, Few, Tensor, few};
use crate::{Error, IntoShape, MAX_RANK, Result, Shape, Spec};
use std::ops::Range;
use std::sync::Arc;

super::table::ops! {
    [Reshape, Permute, Broadcast, BroadcastLike, Slice, Unslice];
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
    merge_axes: Any, Every, "Reshape";
    split_axis: Any, Every, "Reshape";
    broadcast_like: Any, Every, "Expand";
}

crate::op! {
    /// The same elements under axes that come from the input's.
    pub(super) struct Reshape("reshape", 1) { pub(super) to: Parts }
}

impl Op for Reshape {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let from = inputs[0].shape;
        let shape = self.to.shape("reshape", &from)?;
        if shape.elements() != from.elements() {
            let why = format!("{} elements cannot become {}", from.elements(), shape.elements());
            return Err(Error::shapes("reshape", from, shape, why));
        }
        Ok(one(shape, inputs[0].dtype))
    }
    fn view(&self, input: &Layout, output: Spec) -> Option<Layout> {
        input.reshaped(output.shape)
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        dispatch_moved!(inputs[0].dtype(), T => map::copy(inputs[0].words::<T>()?, outputs[0].words_mut::<T>()?));
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        Ok(few![Some(step.grad(0)?.reshape_to(step.spec(0).shape)?)])
    }
}

crate::op! {
    /// Axis `i` of the result is axis `order[i]` of the input.
    pub(super) struct Permute("permute", 1) { pub(super) order: Few<usize, MAX_RANK> }
}

impl Op for Permute {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let (shape, order) = (inputs[0].shape, &self.order);
        let mut seen = [false; MAX_RANK];
        let once = |&axis: &usize| axis < shape.rank() && !std::mem::replace(&mut seen[axis], true);
        if order.len() != shape.rank() || !order.iter().all(once) {
            let expected = format!("each of {} axes once", shape.rank());
            return Err(Error::argument("permute", expected, format!("{order:?}")));
        }
        Ok(one(Layout::contiguous(shape).permuted(&self.order).shape, inputs[0].dtype))
    }
    fn view(&self, input: &Layout, _: Spec) -> Option<Layout> {
        Some(input.permuted(&self.order))
    }
    fn eval(&self, _: &[&Array], _: &mut [Array]) -> Result<()> {
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let order: Few<isize, MAX_RANK> = self.order.iter().map(|&axis| axis as isize).collect();
        Ok(few![Some(step.grad(0)?.permute_back(&order)?)])
    }
}

/// Fails unless a tensor of one shape can be repeated to the other.
fn check_broadcast(from: Shape, to: Shape) -> Result<()> {
    match Shape::broadcast("broadcast", from, to)? == to {
        true => Ok(()),
        false => Err(Error::shapes("broadcast", from, to, "the target must be the larger one")),
    }
}

crate::op! {
    /// Repeats along new axes and along those of size 1.
    struct Broadcast("broadcast", 1) { to: Parts }
}

impl Op for Broadcast {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let to = self.to.shape("broadcast", &inputs[0].shape)?;
        check_broadcast(inputs[0].shape, to)?;
        Ok(one(to, inputs[0].dtype))
    }
    fn view(&self, input: &Layout, output: Spec) -> Option<Layout> {
        Some(input.broadcast(output.shape))
    }
    fn eval(&self, _: &[&Array], _: &mut [Array]) -> Result<()> {
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        Ok(few![Some(step.grad(0)?.sum_to(&step.spec(0).shape)?)])
    }
}

crate::op! {
    /// Repeats to the shape of the second input, whose values are not read.
    struct BroadcastLike("broadcast_like", 2) {}
}

impl Op for BroadcastLike {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        check_broadcast(inputs[0].shape, inputs[1].shape)?;
        Ok(one(inputs[1].shape, inputs[0].dtype))
    }
    fn view(&self, input: &Layout, output: Spec) -> Option<Layout> {
        Some(input.broadcast(output.shape))
    }
    fn eval(&self, _: &[&Array], _: &mut [Array]) -> Result<()> {
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let grad = if step.wants(0) { Some(step.grad(0)?.sum_to(&step.spec(0).shape)?) } else { None };
        Ok(few![grad, None])
    }
}

/// Python's `start:end:step`: negative positions count from the end; what is missing is the end of the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    start: Option<isize>,
    end: Option<isize>,
    step: isize,
}

impl Run {
    /// Returns the first position and the number of elements, for an axis of `n`.
    fn resolve(self, n: usize) -> (usize, usize) {
        // Wide enough that no position or step overflows.
        let (n, step) = (n as i128, self.step as i128);
        let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
        let place = |v: isize| (if v < 0 { v as i128 + n } else { v as i128 }).clamp(low, high);
        let start = self.start.map_or(if step > 0 { 0 } else { n - 1 }, place);
        let end = self.end.map_or(if step > 0 { n } else { -1 }, place);
        let count = if step > 0 { (end - start + step - 1) / step } else { (start - end - step - 1) / -step };
        (start.max(0) as usize, count.max(0) as usize)
    }

    /// Returns the same run of an axis of `n`, without ends that are those of the axis.
    fn plain(self, n: usize) -> Run {
        let n = n as isize;
        if self.step < 0 {
            let start = self.start.filter(|&s| s != -1 && s < n - 1);
            return Run { start, end: self.end.filter(|&e| e >= -n), ..self };
        }
        let start = self.start.filter(|&s| s != 0 && s > -n);
        Run { start, end: self.end.filter(|&e| e < n), ..self }
    }

    /// Returns the layout of the run of an axis.
    fn layout(self, axis: usize, input: &Layout) -> Layout {
        let (start, count) = self.resolve(input.shape.dims()[axis]);
        let mut out = *input;
        out.shape = out.shape.with(axis, count);
        if out.shape.elements() > 0 {
            out.offset = (input.offset as isize + start as isize * input.strides[axis]) as usize;
        }
        // With fewer than two elements, the step does not matter.
        out.strides[axis] = out.strides[axis].saturating_mul(if count > 1 { self.step } else { 1 });
        out
    }
}

/// `1:-1:2`.
impl Attribute for Run {
    const EXPECTED: &'static str = "start:end:step";
    fn write(&self) -> Attr {
        let end = |v: Option<isize>| v.map_or(String::new(), |v| v.to_string());
        Attr::Text(format!("{}:{}:{}", end(self.start), end(self.end), self.step).into())
    }
    fn read(value: &Attr) -> Option<Run> {
        let Attr::Text(text) = value else { return None };
        let mut words = text.split(':');
        let mut end = || match words.next()? {
            "" => Some(None),
            word => word.parse().ok().map(Some),
        };
        let run = Run { start: end()?, end: end()?, step: end()?? };
        (words.next().is_none() && run.step != 0).then_some(run)
    }
}

crate::op! {
    /// Every `step`-th element of an axis.
    #[derive(Copy)]
    struct Slice("slice", 1) { axis: usize, run: Run }
}

/// Returns the operation that views these of `columns` columns, which axis `axis` has.
pub(crate) fn columns_of(columns: usize, axis: usize, range: Range<usize>) -> Arc<dyn Op> {
    let run = Run { start: Some(range.start as isize), end: Some(range.end as isize), step: 1 };
    Arc::new(Slice { axis, run: run.plain(columns) })
}

impl Op for Slice {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let axis = inputs[0].shape.axis("slice", self.axis as isize)?;
        let (_, count) = self.run.resolve(inputs[0].shape.dims()[axis]);
        Ok(one(inputs[0].shape.with(axis, count), inputs[0].dtype))
    }
    fn view(&self, input: &Layout, _: Spec) -> Option<Layout> {
        Some(self.run.layout(self.axis, input))
    }
    fn eval(&self, _: &[&Array], _: &mut [Array]) -> Result<()> {
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let Slice { axis, run } = *self;
        Ok(few![Some(apply1(Unslice { axis, run, shape: step.spec(0).shape }, &[&step.grad(0)?])?)])
    }
}

crate::op! {
    /// The adjoint of [`Slice`]: the elements in their places in this shape, zeros elsewhere.
    struct Unslice("unslice", 1) { axis: usize, run: Run, shape: Shape }
}

impl Op for Unslice {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let axis = self.shape.axis("unslice", self.axis as isize)?;
        let (_, count) = self.run.resolve(self.shape.dims()[axis]);
        if inputs[0].shape != self.shape.with(axis, count) {
            let why = "the elements should be those of the slice";
            return Err(Error::shapes("unslice", inputs[0].shape, self.shape, why));
        }
        Ok(one(self.shape, inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let target = self.run.layout(self.axis, outputs[0].layout());
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
        let Unslice { axis, run, .. } = *self;
        Ok(few![Some(apply1(Slice { axis, run }, &[&step.grad(0)?])?)])
    }
}

impl Tensor {
    /// Returns the same elements under another shape; one size may be -1 and is worked out.
    ///
    /// # Errors
    /// The number of elements differs, or there is not enough memory for a copy.
    pub fn reshape(&self, sizes: impl AsRef<[isize]>) -> Result<Tensor> {
        let sizes = sizes.as_ref();
        let shape = self.shape().infer_reshape(sizes)?;
        if shape == *self.shape() {
            return Ok(self.clone());
        }
        let mut to = Parts::between(self.shape(), &shape);
        if let Some(i) = sizes.iter().position(|s| *s == -1)
            && let Part::Size(_) = to.0[i]
        {
            to.0[i] = Part::Rest;
        }
        apply1(Reshape { to }, &[self])
    }

    /// Returns axes that are made of this tensor's, for layers whose sizes are unknown: see [`Part`].
    pub(crate) fn reshape_by(&self, parts: impl IntoIterator<Item = Part>) -> Result<Tensor> {
        apply1(Reshape { to: Parts(parts.into_iter().collect()) }, &[self])
    }

    /// Merges the axes from `first` to `last`, both included, into one. (PyTorch: `flatten(first, last)`.)
    ///
    /// # Errors
    /// An axis is out of range, `last` comes before `first`, or there is not enough memory for a copy.
    pub fn merge_axes(&self, first: isize, last: isize) -> Result<Tensor> {
        const OP: &str = "merge_axes";
        let (from, to) = (self.shape().axis(OP, first)?, self.shape().axis(OP, last)?);
        if from > to {
            return Err(Error::argument(OP, "a first axis before the last", format!("{first} and {last}")));
        }
        if from == to {
            return Ok(self.clone());
        }
        let (before, after) = ((0..from).map(Part::Keep), (to + 1..self.rank()).map(Part::Keep));
        self.reshape_by(before.chain([Part::Merge(from, to)]).chain(after))
    }

    /// Splits one axis into several of these sizes, of which one may be -1 and is worked out: the inverse of
    /// [`Tensor::merge_axes`]. (PyTorch: `unflatten`.)
    ///
    /// # Errors
    /// The axis is out of range, its size is not the product, or there would be too many axes.
    pub fn split_axis(&self, axis: isize, sizes: &[isize]) -> Result<Tensor> {
        let at = self.shape().axis("split_axis", axis)?;
        let split = Shape::new(&self.dims()[at..=at])?.infer_reshape(sizes)?;
        if self.rank() - 1 + split.rank() > MAX_RANK {
            let expected = format!("at most {MAX_RANK} dimensions");
            return Err(Error::argument("split_axis", expected, self.rank() - 1 + split.rank()));
        }
        let part = |(&said, &size): (&isize, &usize)| if said == -1 { Part::Rest } else { Part::Size(size) };
        let parts = sizes.iter().zip(split.dims()).map(part);
        let (before, after) = ((0..at).map(Part::Keep), (at + 1..self.rank()).map(Part::Keep));
        self.reshape_by(before.chain(parts).chain(after))
    }

    /// [`Tensor::reshape`] to a shape without -1.
    ///
    /// # Errors
    /// Those of [`Tensor::reshape`].
    pub fn reshape_to(&self, shape: impl IntoShape) -> Result<Tensor> {
        let shape = shape.into_shape()?;
        if shape == *self.shape() {
            return Ok(self.clone());
        }
        if shape.elements() != self.elements() {
            let why = format!("{} elements cannot become {}", self.elements(), shape.elements());
            return Err(Error::shapes("reshape", *self.shape(), shape, why));
        }
        apply1(Reshape { to: Parts::between(self.shape(), &shape) }, &[self])
    }

    /// Reorders the axes: axis `i` of the result is axis `order[i]` of this tensor.
    ///
    /// # Errors
    /// `order` does not name every axis once.
    pub fn permute(&self, order: &[isize]) -> Result<Tensor> {
        if order.len() != self.rank() {
            return Err(Error::argument("permute", format!("{} axes", self.rank()), format!("{order:?}")));
        }
        let order = order.iter().map(|&axis| self.shape().axis("permute", axis)).collect::<Result<_>>()?;
        apply1(Permute { order }, &[self])
    }

    /// Undoes [`Tensor::permute`] with this order.
    ///
    /// # Errors
    /// Those of [`Tensor::permute`].
    pub(crate) fn permute_back(&self, order: &[isize]) -> Result<Tensor> {
        let mut back: Few<isize, MAX_RANK> = (0..self.rank() as isize).collect();
        for (to, &from) in order.iter().enumerate() {
            back[self.shape().axis("permute", from)?] = to as isize;
        }
        self.permute(&back)
    }

    /// Exchanges two axes.
    ///
    /// # Errors
    /// An axis is out of range.
    pub fn transpose(&self, a: isize, b: isize) -> Result<Tensor> {
        let (a, b) = (self.shape().axis("transpose", a)?, self.shape().axis("transpose", b)?);
        let mut order: Few<usize, MAX_RANK> = (0..self.rank()).collect();
        order.swap(a, b);
        apply1(Permute { order }, &[self])
    }

    /// Exchanges the last two axes.
    ///
    /// # Errors
    /// There are fewer than two axes.
    pub fn t(&self) -> Result<Tensor> {
        self.transpose(-2, -1)
    }

    /// Repeats, without copying, to a shape that this one's broadcasts to.
    ///
    /// # Errors
    /// It does not broadcast.
    pub fn broadcast_to(&self, shape: impl IntoShape) -> Result<Tensor> {
        let shape = shape.into_shape()?;
        if shape == *self.shape() {
            return Ok(self.clone());
        }
        check_broadcast(*self.shape(), shape)?;
        apply1(Broadcast { to: Parts::broadcast(self.shape(), &shape) }, &[self])
    }

    /// [`Tensor::broadcast_to`] the shape of another tensor.
    ///
    /// # Errors
    /// It does not broadcast.
    pub fn broadcast_like(&self, like: &Tensor) -> Result<Tensor> {
        if self.shape() == like.shape() {
            Ok(self.clone())
        } else {
            apply1(BroadcastLike {}, &[self, &like.anchor()])
        }
    }

    /// [`Tensor::broadcast_to`] a shape some of whose sizes are those of another tensor, which they follow where it is traced.
    pub(crate) fn broadcast_beside(&self, other: &Tensor, shape: Shape) -> Result<Tensor> {
        if other.is_traced() && *self.shape() != shape {
            return self.broadcast_like(&other.new_full(shape, 0.0)?);
        }
        self.broadcast_to(shape)
    }

    /// Returns elements `start..end` of an axis. Negative positions count from the end; both are clamped to the
    /// axis.
    ///
    /// # Errors
    /// The axis is out of range.
    pub fn slice(&self, axis: isize, start: isize, end: isize) -> Result<Tensor> {
        self.slice_step(axis, Some(start), Some(end), 1)
    }

    /// Slices like Python's `start:end:step` along one axis, with Python's meaning of negative and missing values.
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
        let run = Run { start, end, step }.plain(self.dims()[axis]);
        if run == (Run { start: None, end: None, step: 1 }) {
            return Ok(self.clone());
        }
        apply1(Slice { axis, run }, &[self])
    }

    /// Returns element `index` of an axis, which is removed. Negative indices count from the end.
    ///
    /// # Errors
    /// The axis or the index is out of range.
    pub fn select(&self, axis: isize, index: isize) -> Result<Tensor> {
        let at = self.shape().axis("select", axis)?;
        let n = self.dims()[at] as isize;
        let from = index;
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
        let end = Some(index + 1).filter(|end| *end < n);
        self.slice_step(at as isize, Some(from), end, 1)?.squeeze(at as isize)
    }

    /// Removes an axis of size 1.
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

    /// Adds an axis of size 1, which will be axis `axis` of the result.
    ///
    /// # Errors
    /// The axis is out of range, or there are already [`MAX_RANK`] axes.
    pub fn expand_dims(&self, axis: isize) -> Result<Tensor> {
        let mut dims: Few<usize, { MAX_RANK + 1 }> = self.dims().into();
        let at = if axis < 0 { axis + dims.len() as isize + 1 } else { axis };
        if !(0..=dims.len() as isize).contains(&at) {
            return Err(Error::Axis { op: "expand_dims", axis, shape: Box::new(*self.shape()) });
        }
        dims.insert(at as usize, 1);
        self.reshape_to(&dims[..])
    }
}
