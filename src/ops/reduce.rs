//! Reductions: sums, products, means and extremes over any axes. `stats.rs` holds what is computed from them.

use crate::autograd::{Attributes, Grads, Op, Saves, Specs, Step, apply1, elements, names, one};
use crate::dtype::{dispatch_float, dispatch_stored, dispatch_whole};
use crate::kernels::reduce::{self, FoldRun, Max, Min};
use crate::tensor::{Array, Few, Tensor, few};
use crate::{DType, Error, Float, MAX_RANK, Result, Shape, Spec};

super::table::ops! {
    [Reduce, Arg];
    sum: Wide, Every, "ReduceSum";
    prod: Wide, Every, "ReduceProd";
    mean: Wide, Every, "ReduceMean";
    max: Wide, Every, "ReduceMax";
    min: Wide, Every, "ReduceMin";
    any: Any, None, "ReduceMax";
    all: Any, None, "ReduceMin";
    argmax: Any, None, "ArgMax";
    argmin: Any, None, "ArgMin";
}

names! {
    enum Kind {
        Sum = "sum",
        Product = "prod",
        Mean = "mean",
        Max = "max",
        Min = "min",
        Any = "any",
        All = "all",
    }
}

crate::op! {
    #[derive(Copy)]
    struct Reduce(kind: Kind, 1) { axes: [bool; MAX_RANK], keepdims: bool }
}

/// Returns whether this is an integer type or bool.
pub(super) fn is_whole(dtype: DType) -> bool {
    dtype.is_integer() || dtype == DType::Bool
}

impl Reduce {
    /// Returns how many elements become one.
    fn count(&self, input: &Spec) -> usize {
        reduced_count(&input.shape, &self.axes)
    }

    /// Returns the dtype of the result, if the dtype is accepted: sums and products of integers are int64, as in
    /// NumPy.
    fn output(&self, input: DType) -> Result<DType> {
        match self.kind {
            Kind::Any | Kind::All if input == DType::Bool => Ok(input),
            Kind::Any | Kind::All => Err(Error::DType { op: self.name(), expected: "bool", got: input }),
            Kind::Sum | Kind::Product if is_whole(input) => Ok(DType::I64),
            Kind::Max | Kind::Min if is_whole(input) => Ok(input),
            _ => super::elementwise::float(self.name(), input).map(|()| input),
        }
    }

    /// Reduces in int64, from which an extreme returns to its own type.
    fn whole(&self, input: &Array, output: &mut Array) -> Result<()> {
        let (start, f): (i64, FoldRun) = match self.kind {
            Kind::Sum | Kind::Mean => (0, |acc, run| run.iter().fold(acc, |a, v| a.wrapping_add(*v))),
            Kind::Product => (1, |acc, run| run.iter().fold(acc, |a, v| a.wrapping_mul(*v))),
            Kind::Max => (i64::MIN, |acc, run| run.iter().fold(acc, |a, v| a.max(*v))),
            Kind::Min => (i64::MAX, |acc, run| run.iter().fold(acc, |a, v| a.min(*v))),
            Kind::Any => (0, |acc, run| run.iter().fold(acc, |a, v| a.max(*v))),
            Kind::All => (1, |acc, run| run.iter().fold(acc, |a, v| a.min(*v))),
        };
        let own = output.dtype();
        let mut wide = if own == DType::I64 {
            std::mem::replace(output, Array::traced(output.spec()))
        } else {
            Array::new(Spec::new(*output.shape(), DType::I64))?
        };
        dispatch_whole!(self.name(), input.dtype(), T => {
            reduce::fold_whole(input.view::<T>()?, &self.axes, start, f, wide.slice_mut()?);
        });
        *output = Tensor::from(wide).cast(own)?.into_array();
        Ok(())
    }
}

/// Returns the order of axes in which those of the set are the last.
pub(super) fn last(set: &[bool; MAX_RANK], rank: usize) -> Few<isize, MAX_RANK> {
    let mut order = Few::new();
    for reduced in [false, true] {
        order.extend((0..rank as isize).filter(|&i| set[i as usize] == reduced));
    }
    order
}

/// Returns how many elements become one.
pub(super) fn reduced_count(shape: &Shape, axes: &[bool; MAX_RANK]) -> usize {
    shape.reduced(&axes.map(|r| !r), false).elements()
}

impl Op for Reduce {
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        elements(&inputs[..1])
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let dtype = self.output(inputs[0].dtype)?;
        if matches!(self.kind, Kind::Mean | Kind::Max | Kind::Min) && self.count(&inputs[0]) == 0 {
            return Err(Error::shape(self.name(), "at least one element to reduce", inputs[0].shape));
        }
        Ok(one(inputs[0].shape.reduced(&self.axes, self.keepdims), dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        if is_whole(inputs[0].dtype()) {
            return self.whole(inputs[0], &mut outputs[0]);
        }
        dispatch_float!(self.name(), inputs[0].dtype(), T => {
            let (x, out) = (inputs[0].view::<T>()?, outputs[0].slice_mut::<T>()?);
            match self.kind {
                Kind::Max | Kind::Any => reduce::fold::<Max, T>(x, &self.axes, out),
                Kind::Min | Kind::All => reduce::fold::<Min, T>(x, &self.axes, out),
                Kind::Product => reduce::product::<T>(x, &self.axes, out),
                Kind::Sum | Kind::Mean => reduce::fold::<reduce::Sum, T>(x, &self.axes, out),
            }
            if self.kind == Kind::Mean {
                let n = <T as Float>::of(self.count(&inputs[0].spec()) as f64);
                out.iter_mut().for_each(|o| *o /= n);
            }
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        match self.kind {
            Kind::Max | Kind::Min => Saves::INPUTS.output(0),
            Kind::Product => Saves::INPUTS,
            _ => Saves::NONE,
        }
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let input = step.spec(0);
        if is_whole(input.dtype) {
            return Ok(few![None]);
        }
        let kept = input.shape.reduced(&self.axes, true);
        let g = step.grad(0)?.reshape_to(kept)?;
        let g = match self.kind {
            Kind::Mean => g.affine(1.0 / self.count(&input) as f64, 0.0)?,
            Kind::Product => return Ok(few![Some(g.mul(&self.others(&step.input(0))?)?)]),
            Kind::Max | Kind::Min => {
                // Where the extreme was reached: constant almost everywhere, so it carries no history itself.
                let top = step.output(0).detach().reshape_to(kept)?;
                let mask = step.input(0).detach().equal(&top)?.cast(input.dtype)?;
                let ties = apply1(Reduce { kind: Kind::Sum, axes: self.axes, keepdims: true }, &[&mask])?;
                return Ok(few![Some(g.mul(&mask.div(&ties)?)?)]);
            }
            _ => g,
        };
        Ok(few![Some(g.broadcast_to(input.shape)?)])
    }
}

impl Reduce {
    /// Returns for each element the product of all others it is multiplied with; without division, which zeros rule
    /// out.
    fn others(&self, x: &Tensor) -> Result<Tensor> {
        if x.elements() == 0 {
            return Ok(x.clone());
        }
        let order = last(&self.axes, x.rank());
        let moved = x.permute(&order)?;
        let rows = moved.reshape_to([x.elements() / self.count(&x.spec()), self.count(&x.spec())])?;
        let before = rows.products_before()?;
        let after = rows.flip(&[1])?.products_before()?.flip(&[1])?;
        before.mul(&after)?.reshape_to(*moved.shape())?.permute_back(&order)
    }
}

impl Tensor {
    fn reduce(&self, kind: Kind, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        let op = Reduce { kind, axes: [false; MAX_RANK], keepdims };
        apply1(Reduce { axes: self.shape().axes(op.name(), axes)?, ..op }, &[self])
    }

    /// Sums over `axes`, or over all axes if none are given. The order of additions depends only on the number of
    /// elements. Sums of integers and truth values are int64 (and wrap).
    ///
    /// # Errors
    /// An axis is out of range or given twice, or the dtype is bfloat16 or float16.
    pub fn sum(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.reduce(Kind::Sum, axes, keepdims)
    }

    /// Drops `axes`, which have been reduced to size 1, unless they are to be kept.
    pub(super) fn with_kept(self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        if keepdims { Ok(self) } else { self.sum(axes, false) }
    }

    /// Multiplies over `axes`, or over all axes if none are given, from left to right; the product of no elements is 1. Products of
    /// integers are int64 (and wrap). The gradient is right where elements are zero.
    ///
    /// # Errors
    /// Those of [`Tensor::sum`].
    pub fn prod(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.reduce(Kind::Product, axes, keepdims)
    }

    /// Returns the mean over `axes`, or over all axes if none are given. Integers and truth values are summed in
    /// int64; the mean is float32 for 8-bit types, and float64 for int32 and int64, which float32 would round.
    ///
    /// # Errors
    /// Those of [`Tensor::sum`], or there are no elements.
    pub fn mean(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        if !is_whole(self.dtype()) {
            return self.reduce(Kind::Mean, axes, keepdims);
        }
        let count = reduced_count(self.shape(), &self.shape().axes("mean", axes)?);
        if count == 0 {
            return Err(Error::shape("mean", "at least one element to reduce", *self.shape()));
        }
        let sum = self.sum(axes, keepdims)?.cast(DType::F64)?;
        sum.div(&sum.new_full([], count as f64)?)?.cast(self.dtype().fraction())
    }

    /// Returns the largest element over `axes`, or over all axes if none are given; NaN if there is one. Ties share
    /// the gradient.
    ///
    /// # Errors
    /// Those of [`Tensor::sum`], or there are no elements.
    pub fn max(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.reduce(Kind::Max, axes, keepdims)
    }

    /// Returns the smallest element over `axes`, or over all axes if none are given; NaN if there is one. Ties
    /// share the gradient.
    ///
    /// # Errors
    /// Those of [`Tensor::sum`], or there are no elements.
    pub fn min(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.reduce(Kind::Min, axes, keepdims)
    }

    /// Returns whether any element over `axes` (over all axes if none are given) is not zero. The result is bool,
    /// and false for no elements.
    ///
    /// # Errors
    /// An axis is out of range or given twice.
    pub fn any(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.cast(DType::Bool)?.reduce(Kind::Any, axes, keepdims)
    }

    /// Returns whether no element over `axes` (over all axes if none are given) is zero. The result is bool, and
    /// true for no elements.
    ///
    /// # Errors
    /// An axis is out of range or given twice.
    pub fn all(&self, axes: &[isize], keepdims: bool) -> Result<Tensor> {
        self.cast(DType::Bool)?.reduce(Kind::All, axes, keepdims)
    }

    /// Returns the index (int64) of the first largest element along an axis; of the first NaN if there is one.
    ///
    /// # Errors
    /// The axis is out of range or empty.
    pub fn argmax(&self, axis: isize) -> Result<Tensor> {
        apply1(
            Arg { which: Extreme::Largest },
            &[&self.detach().to_last(self.shape().axis("argmax", axis)?)?],
        )
    }

    /// Returns the index (int64) of the first smallest element along an axis; of the first NaN if there is one.
    ///
    /// # Errors
    /// The axis is out of range or empty.
    pub fn argmin(&self, axis: isize) -> Result<Tensor> {
        apply1(
            Arg { which: Extreme::Smallest },
            &[&self.detach().to_last(self.shape().axis("argmin", axis)?)?],
        )
    }

    /// Moves one axis to the end.
    pub(crate) fn to_last(&self, axis: usize) -> Result<Tensor> {
        if axis + 1 == self.rank() {
            return Ok(self.clone());
        }
        let mut order: Few<isize, MAX_RANK> = (0..self.rank() as isize).collect();
        let moved = order.remove(axis);
        order.push(moved);
        self.permute(&order)
    }

    /// Moves the last axis to `axis`.
    pub(crate) fn last_to(&self, axis: usize) -> Result<Tensor> {
        if axis + 1 == self.rank() {
            return Ok(self.clone());
        }
        let mut order: Few<isize, MAX_RANK> = (0..self.rank() as isize - 1).collect();
        order.insert(axis, self.rank() as isize - 1);
        self.permute(&order)
    }
}

names! {
    enum Extreme {
        Largest = "argmax",
        Smallest = "argmin",
    }
}

crate::op! {
    /// The index along the last axis. Integers have no gradient, so none flows back.
    struct Arg(which: Extreme, 1) {}
}

impl Op for Arg {
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        elements(&inputs[..1])
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        if inputs[0].shape.rank() == 0 {
            return Err(Error::shape(self.name(), "at least one dimension", inputs[0].shape));
        }
        let mut last = [false; MAX_RANK];
        last[inputs[0].shape.rank() - 1] = true;
        if inputs[0].shape.dims().last() == Some(&0) {
            return Err(Error::shape(self.name(), "at least one element along the axis", inputs[0].shape));
        }
        Ok(one(inputs[0].shape.reduced(&last, false), DType::I64))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let n = inputs[0].shape().dims().last().copied().unwrap_or(1);
        dispatch_stored!(inputs[0].dtype(), T => {
            let x = inputs[0].contiguous()?;
            reduce::arg_rows(x.slice::<T>()?, n, self.which == Extreme::Largest, outputs[0].slice_mut::<i64>()?);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, _: &Step<'_>) -> Result<Grads> {
        Ok(few![None])
    }
}
