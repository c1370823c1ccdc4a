//! Matrix products, plain and as the fused linear step `activation(x·W + b)` of dense layers.

use super::elementwise::{Formula, Of, Relu, Sigmoid, Tanh, float};
use super::ending::{Closing, Product, ends};
use super::promote::alike;
use crate::autograd::{
    Attr, Attribute, Constant, End, Grads, Made, Naming, Op, Ready, Saves, Specs, Step, apply1, elements, one,
};
use crate::dtype::dispatch_float;
pub use crate::kernels::gemm::Act as Fused;
use crate::kernels::gemm::{
    Epilogue, Gemm, Mat, MatMut, Operand, Packed, Steps, Store, View, batched, product as panels,
};
use crate::kernels::math::Whole;
use crate::kernels::strided::Layout;
use crate::kernels::whole;
use crate::tensor::{Array, Tensor, few};
use crate::{DType, Error, Float, Result, Shape, Spec};
use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::sync::Arc;

super::table::ops! {
    [Matmul, Linear];
    matmul: Numbers, Every, "MatMul";
    linear: Floats, Every, "Gemm";
}

crate::op! {
    /// The product of stacks of matrices.
    struct Matmul("matmul", 2) {}
}

/// Returns rows and columns of a stack of matrices.
fn matrix(shape: &Shape) -> (usize, usize) {
    let d = shape.dims();
    (d[d.len() - 2], d[d.len() - 1])
}

/// Returns the sizes before the last two.
fn batch(shape: &Shape) -> Result<Shape> {
    Shape::new(&shape.dims()[..shape.rank() - 2])
}

/// Returns one matrix of a stack as the kernels see it; `at` is the position of its first element.
fn mat<'a, T: Float>(data: &'a [T], layout: &Layout, at: usize) -> Mat<'a, T> {
    let (rows, cols) = matrix(&layout.shape);
    let r = layout.shape.rank();
    Mat { data, offset: at, rows, cols, rs: layout.strides[r - 2], cs: layout.strides[r - 1] }
}

impl Op for Matmul {
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        2 * elements(outputs) * matrix(&inputs[0].shape).1 as u64
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let [a, b] = [inputs[0], inputs[1]];
        if !matches!(a.dtype, DType::I64 | DType::I32) {
            float("matmul", a.dtype)?;
        }
        let fail = |why: String| Err(Error::shapes("matmul", a.shape, b.shape, why));
        if a.dtype != b.dtype {
            return fail(format!("{} and {} differ in element type: cast one of them", a.dtype, b.dtype));
        }
        if a.shape.rank() < 2 || b.shape.rank() < 2 {
            return fail("both need at least one dimension".into());
        }
        let ((m, k), (k2, n)) = (matrix(&a.shape), matrix(&b.shape));
        if k != k2 {
            return fail(format!("inner sizes {} and {}", crate::shape::Size(k), crate::shape::Size(k2)));
        }
        let (stack_a, stack_b) = (batch(&a.shape)?, batch(&b.shape)?);
        let Ok(mut out) = Shape::broadcast("matmul", stack_a, stack_b) else {
            return fail(format!(
                "the sizes before the last two, {stack_a} and {stack_b}, cannot be broadcast together"
            ));
        };
        out.push(m);
        out.push(n);
        Ok(one(out, a.dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        match inputs[0].dtype() {
            DType::I64 => return whole_product::<i64>(inputs[0], inputs[1], &mut outputs[0]),
            DType::I32 => return whole_product::<i32>(inputs[0], inputs[1], &mut outputs[0]),
            _ => {}
        }
        dispatch_float!("matmul", inputs[0].dtype(), T => {
            let stack = batch(outputs[0].shape())?;
            product::<T>(inputs[0], inputs[1], stack, outputs[0].slice_mut()?, Epilogue::NONE)?;
        });
        Ok(())
    }
    fn saves(&self, wants: &[bool]) -> Saves {
        let saves = if wants[0] { Saves::NONE.input(1) } else { Saves::NONE };
        if wants[1] { saves.input(0) } else { saves }
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        if !step.spec(0).dtype.is_float() {
            return Ok(few![None, None]);
        }
        let g = step.grad(0)?;
        let mut grads: Grads = few![None, None];
        if step.wants(0) {
            grads[0] = Some(g.matmul(&step.input(1).t()?)?.sum_to(&step.spec(0).shape)?);
        }
        if step.wants(1) {
            let (a, b) = (step.input(0), step.spec(1).shape);
            grads[1] = Some(if b.rank() == 2 {
                // One product over all rows of the stack, instead of a stack of products that are then summed.
                rows(&a)?.t()?.matmul(&rows(&g)?)?
            } else {
                a.t()?.matmul(&g)?.sum_to(&b)?
            });
        }
        Ok(grads)
    }
    fn ends_with(&self, inputs: &[Spec], end: End) -> Option<Arc<dyn Op>> {
        if !inputs[0].dtype.is_float() {
            return None;
        }
        super::ending::ended(self, inputs, end)
    }
}

/// As a step of its own it packs nothing; with an ending, a stack of matrices times one matrix is the product of a dense layer.
impl Product for Matmul {
    fn close(
        &self,
        inputs: &[&Array],
        output: &mut Array,
        closing: &Closing<'_>,
        ready: Option<&(dyn Made + 'static)>,
    ) -> Result<()> {
        if inputs[1].shape().rank() == 2 {
            return Linear { activation: None }.close(inputs, output, closing, ready);
        }
        let (stack, bias) = (batch(output.shape())?, inputs.get(2).map(|b| b.contiguous()).transpose()?);
        match inputs[0].dtype() {
            DType::F32 => {
                let end = closing.epilogue(bias.as_ref(), None, closing.map)?;
                product::<f32>(inputs[0], inputs[1], stack, output.slice_mut()?, end)
            }
            DType::F64 => {
                let end = closing.epilogue(bias.as_ref(), None, None)?;
                product::<f64>(inputs[0], inputs[1], stack, output.slice_mut()?, end)
            }
            got => float("matmul", got),
        }
    }
    fn activation(&self) -> Option<Fused> {
        None
    }
    fn is_one(&self, inputs: &[Spec]) -> bool {
        inputs[1].shape.rank() == 2
    }
    fn packs(&self, inputs: &[Spec]) -> bool {
        self.is_one(inputs) && Linear { activation: None }.packs(inputs)
    }
    fn ready(&self, inputs: &[Spec], weights: Constant<'_>, kept: &mut Ready) -> Option<Arc<dyn Made>> {
        Linear { activation: None }.ready(inputs, weights, kept)
    }
}

/// Computes `out = a·b` of integers for each matrix of the stack.
fn whole_product<T: Whole>(a: &Array, b: &Array, out: &mut Array) -> Result<()> {
    let (a, b) = (a.contiguous()?, b.contiguous()?);
    let ((_, k), (_, n)) = (matrix(a.shape()), matrix(b.shape()));
    let rows = Shape::new(&out.shape().dims()[..out.shape().rank() - 1])?;
    // Where the rows of one and the matrices of the other begin.
    let begins = |x: &Array, rows_of: usize| -> Result<Layout> {
        let mut begins = Layout::contiguous(*x.shape());
        begins.shape = batch(x.shape())?;
        begins.shape.push(rows_of);
        Ok(begins.broadcast(rows))
    };
    let (of_a, of_b) = (begins(&a, matrix(a.shape()).0)?, begins(&b, 1)?);
    whole::product::<T>(a.slice()?, b.slice()?, [&of_a, &of_b], k, n, out.slice_mut()?);
    Ok(())
}

/// Returns a stack of matrices as one tall matrix; a vector as one row.
pub(super) fn rows(t: &Tensor) -> Result<Tensor> {
    if t.rank() == 2 {
        return Ok(t.clone());
    }
    if t.rank() == 1 { t.expand_dims(0) } else { t.merge_axes(0, -2) }
}

/// Computes `out = a·b` for each matrix of the stack, then the epilogue.
pub(super) fn product<T: Float + Gemm>(
    a: &Array,
    b: &Array,
    stack: Shape,
    out: &mut [T],
    end: Epilogue<'_, T>,
) -> Result<()> {
    let ((m, k), (_, n)) = (matrix(a.shape()), matrix(b.shape()));
    if out.is_empty() {
        return Ok(());
    }
    if (m == 1 || n == 1) && k > LONG {
        // The kernel would copy a vector that is not contiguous, and cannot fail.
        return match (a.layout().is_contiguous(), b.layout().is_contiguous()) {
            (true, true) => product_of(a, b, stack, out, end),
            _ => product_of(&a.contiguous()?, &b.contiguous()?, stack, out, end),
        };
    }
    product_of(a, b, stack, out, end)
}

/// The number of elements that a kernel may copy.
const LONG: usize = 1 << 20;

fn product_of<T: Float + Gemm>(
    a: &Array,
    b: &Array,
    stack: Shape,
    out: &mut [T],
    end: Epilogue<'_, T>,
) -> Result<()> {
    let ((m, _), (_, n)) = (matrix(a.shape()), matrix(b.shape()));
    let full = |layout: &Layout| -> Result<Layout> {
        let (mut shape, (rows, cols)) = (stack, matrix(&layout.shape));
        shape.push(rows);
        shape.push(cols);
        Ok(layout.broadcast(shape))
    };
    let (la, lb) = (full(a.layout())?, full(b.layout())?);
    let (begins_a, begins_b) = (Begins::of(&la, stack.rank())?, Begins::of(&lb, stack.rank())?);
    let (av, bv) = (a.view::<T>()?, b.view::<T>()?);
    let mut a = begins_a.first(av.data(), &la);
    if let (1, Begins::Every(step)) = (m, &begins_a) {
        a.rs = *step; // the next row of a single row is the next matrix
    }
    let b = begins_b.first(bv.data(), &lb);
    let c = MatMut::row_major(out, m, n);
    batched(stack.elements(), (a, begins_a.steps()?), (b, begins_b.steps()?), c, m * n, Store::Write, end);
    Ok(())
}

/// Where the matrices of a stack begin in memory.
enum Begins {
    /// Each this far after the one before.
    Every(isize),
    /// At listed positions.
    Listed(Array),
}

impl Begins {
    /// Returns this for a layout whose first `axes` axes are the stack.
    fn of(layout: &Layout, axes: usize) -> Result<Begins> {
        let sizes = &layout.shape.dims()[..axes];
        let (mut step, mut span) = (0, None);
        for (&size, &stride) in sizes.iter().zip(&layout.strides).rev().filter(|(size, _)| **size != 1) {
            match span {
                None => step = stride,
                Some(span) if span != stride => return Begins::list(layout, axes),
                Some(_) => {}
            }
            span = Some(stride * size as isize);
        }
        Ok(Begins::Every(step))
    }

    fn list(layout: &Layout, axes: usize) -> Result<Begins> {
        let sizes = &layout.shape.dims()[..axes];
        let place = |mut index: usize| {
            let mut at = layout.offset as isize;
            for (&size, &stride) in sizes.iter().zip(&layout.strides).rev() {
                at += (index % size) as isize * stride;
                index /= size;
            }
            at as i64
        };
        let mut places = Array::new(Spec::new(Shape::new(sizes)?, DType::I64))?;
        places.slice_mut()?.iter_mut().enumerate().for_each(|(i, at)| *at = place(i));
        Ok(Begins::Listed(places))
    }

    fn steps(&self) -> Result<Steps<'_>> {
        match self {
            Begins::Every(step) => Ok(Steps::Every(*step)),
            Begins::Listed(places) => Ok(Steps::Listed(places.slice()?)),
        }
    }

    /// Returns the matrix from which the steps count.
    fn first<'a, T: Float>(&self, data: &'a [T], layout: &Layout) -> Mat<'a, T> {
        mat(data, layout, if let Begins::Every(_) = self { layout.offset } else { 0 })
    }
}

/// Returns the table row of a fused activation.
pub(super) fn formula(activation: Fused) -> &'static Formula {
    match activation {
        Fused::Relu => Of::<Relu>::ROW,
        Fused::Sigmoid => Of::<Sigmoid>::ROW,
        Fused::Tanh => Of::<Tanh>::ROW,
    }
}

/// Written as its name.
impl Attribute for Fused {
    const EXPECTED: &'static str = "relu, sigmoid or tanh";
    fn write(&self) -> Attr {
        Attr::Text(formula(*self).name().into())
    }
    fn read(value: &Attr) -> Option<Fused> {
        let is = |act: &Fused| *value == act.write();
        [Fused::Relu, Fused::Sigmoid, Fused::Tanh].into_iter().find(is)
    }
}

crate::op! {
    /// `activation(x·W + b)`.
    struct Linear("linear", 2..=3) { activation: Option<Fused> }
}

/// Returns whether an operation is the step of a dense layer.
pub(crate) fn is_linear(op: &dyn Op) -> bool {
    op.kind() == TypeId::of::<Linear>()
}

impl Op for Linear {
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        // A product for each element, and one more operation each for bias and activation.
        let more = (inputs.len() > 2) as u64 + self.activation.is_some() as u64;
        elements(outputs) * (2 * inputs[1].shape.dims()[0] as u64 + more)
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let [x, w] = [inputs[0], inputs[1]];
        float("linear", x.dtype)?;
        let fail = |with: Shape, why: String| Err(Error::shapes("linear", x.shape, with, why));
        if let Some(other) = inputs.iter().find(|i| i.dtype != x.dtype) {
            let why = format!("{} and {} differ in element type: cast one of them", x.dtype, other.dtype);
            return fail(other.shape, why);
        }
        if w.shape.rank() != 2 || x.shape.rank() < 1 {
            return fail(w.shape, "expected inputs of at least one dimension and a weight of two".into());
        }
        let [inputs_n, units] = [w.shape.dims()[0], w.shape.dims()[1]];
        let last = x.shape.rank() - 1;
        if x.shape.dims()[last] != inputs_n {
            let got = crate::shape::Size(x.shape.dims()[last]);
            return fail(
                w.shape,
                format!("the last size of the input is {got}, the weight takes {inputs_n}"),
            );
        }
        if let Some(b) = inputs.get(2).filter(|b| b.shape.dims() != [units]) {
            return fail(b.shape, format!("the bias should have shape [{units}]"));
        }
        Ok(one(x.shape.with(last, units), x.dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        self.close(inputs, &mut outputs[0], &Closing::NONE, None)
    }
    ends!();
    fn saves(&self, wants: &[bool]) -> Saves {
        let mut saves = if wants[0] { Saves::NONE.input(1) } else { Saves::NONE };
        if wants[1] {
            saves = saves.input(0);
        }
        if self.activation.is_some() { saves.output(0) } else { saves }
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let g = rows(&match self.activation {
            Some(activation) => formula(activation).backward(0.0, step, &step.output(0))?,
            None => step.grad(0)?,
        })?;
        let mut grads: Grads = few![None; step.inputs()];
        if step.wants(0) {
            grads[0] = Some(g.matmul(&step.input(1).t()?)?.reshape_to(step.spec(0).shape)?);
        }
        if step.wants(1) {
            grads[1] = Some(rows(&step.input(0))?.t()?.matmul(&g)?);
        }
        if step.inputs() == 3 && step.wants(2) {
            grads[2] = Some(g.sum(&[0], false)?);
        }
        Ok(grads)
    }
}

impl Product for Linear {
    fn close(
        &self,
        inputs: &[&Array],
        output: &mut Array,
        closing: &Closing<'_>,
        ready: Option<&(dyn Made + 'static)>,
    ) -> Result<()> {
        let (last, units) = (inputs[1].shape().dims()[0], inputs[1].shape().dims()[1]);
        let tall = output.shape().elements() / units.max(1);
        let x = inputs[0].reshaped(Shape::new(&[tall, last])?)?;
        let bias = inputs.get(2).map(|b| b.contiguous()).transpose()?;
        let panels = ready.and_then(|ready| (ready as &dyn Any).downcast_ref::<Panels>());
        match x.dtype() {
            DType::F32 => {
                let end = closing.epilogue(bias.as_ref(), self.activation, closing.map)?;
                match panels {
                    Some(panels) => panels.product(&x, output.slice_mut()?, end),
                    None => product::<f32>(&x, inputs[1], Shape::SCALAR, output.slice_mut()?, end),
                }
            }
            DType::F64 => {
                let end = closing.epilogue(bias.as_ref(), self.activation, None)?;
                product::<f64>(&x, inputs[1], Shape::SCALAR, output.slice_mut()?, end)
            }
            got => float("linear", got),
        }
    }
    fn activation(&self) -> Option<Fused> {
        self.activation
    }
    fn packs(&self, inputs: &[Spec]) -> bool {
        let [last, units] = [inputs[1].shape.dims()[0], inputs[1].shape.dims()[1]];
        inputs[1].dtype == DType::F32 && last > 0 && Packed::<f32>::pays(units)
    }
    fn ready(&self, _: &[Spec], weights: Constant<'_>, kept: &mut Ready) -> Option<Arc<dyn Made>> {
        kept.of(weights, |_: &Panels| true, Panels::new)
    }
}

/// Weights `[inputs, units]` in the panels that products read fastest.
struct Panels(Packed<'static, f32>);

impl Panels {
    fn new(weights: &Array) -> Result<Panels> {
        let (weights, (rows, cols)) = (weights.contiguous()?, matrix(weights.shape()));
        Ok(Panels(Packed::new(Mat::row_major(weights.slice()?, rows, cols))))
    }

    /// Computes `out = x·w` and the epilogue.
    fn product(&self, x: &Array, out: &mut [f32], end: Epilogue<'_, f32>) -> Result<()> {
        let ((rows, last), cols) = (matrix(x.shape()), self.0.cols());
        if out.is_empty() {
            return Ok(());
        }
        // As in `product`: the kernel would copy a long row.
        let x = if rows == 1 && last > LONG { x.contiguous()? } else { x.clone() };
        let view = x.view::<f32>()?;
        let a = mat(view.data(), x.layout(), x.layout().offset);
        panels(View::of(&a), View::of(&self.0), MatMut::row_major(out, rows, cols), Store::Write, end);
        Ok(())
    }
}

impl Made for Panels {
    fn bytes(&self) -> usize {
        self.0.elements() * size_of::<f32>()
    }
    fn is_exact(&self) -> bool {
        true
    }
    fn values(&self) -> Option<Vec<f32>> {
        let (rows, cols) = (self.0.rows(), self.0.cols());
        let mut weights = vec![0.0; rows * cols];
        weights.chunks_mut(cols).enumerate().for_each(|(row, out)| self.0.read(row, 0, out));
        Some(weights)
    }
}

impl Tensor {
    /// Multiplies matrices, which are the last two axes; the axes before them broadcast. Transposed operands
    /// ([`Tensor::t`]) cost nothing. The order of additions depends only on the inner size. A vector is a row on
    /// the left and a column on the right, and its axis is removed from the result, as in NumPy. Dtypes are
    /// promoted by [`DType::promote`]. The product of integers is exact except that it wraps, and that of 8-bit
    /// integers is int32, as in Keras.
    ///
    /// # Errors
    /// An operand has no axes, inner sizes differ, batch sizes do not broadcast, or the dtype is bool, bfloat16 or
    /// float16.
    pub fn matmul(&self, other: &Tensor) -> Result<Tensor> {
        let [mut a, mut b] = alike([self, other])?;
        if matches!(a.dtype(), DType::I8 | DType::U8) {
            (a, b) = (Cow::Owned(a.cast(DType::I32)?), Cow::Owned(b.cast(DType::I32)?));
        }
        match (a.rank(), b.rank()) {
            (1, 1) => a.expand_dims(0)?.matmul(&b.expand_dims(1)?)?.reshape_to([]),
            (1, 2..) => a.expand_dims(0)?.matmul(&b)?.squeeze(-2),
            (2.., 1) => a.matmul(&b.expand_dims(1)?)?.squeeze(-1),
            _ => apply1(Matmul {}, &[&a, &b]),
        }
    }

    /// Computes `activation(x·weight + bias)` in one step: `x` is `[…, inputs]`, `weight` `[inputs, units]`, `bias`
    /// `[units]`. Dtypes are promoted by [`DType::promote`].
    ///
    /// # Errors
    /// Sizes do not fit, or the dtype is not float32 or float64.
    pub fn linear(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        activation: Option<Fused>,
    ) -> Result<Tensor> {
        match bias {
            Some(bias) => {
                let [x, weight, bias] = alike([self, weight, bias])?;
                apply1(Linear { activation }, &[&x, &weight, &bias])
            }
            None => {
                let [x, weight] = alike([self, weight])?;
                apply1(Linear { activation }, &[&x, &weight])
            }
        }
    }
}
