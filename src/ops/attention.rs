//! Attention as one op, so that the weights of all queries over all keys are not an output and need not be in
//! memory at once. The axis of heads comes after time, as in Keras and in projections: the kernel reads through
//! strides, and its output is what the next projection takes.

pub use super::attending::AttentionOptions;
use super::attending::Given;
use super::elementwise::float;
use super::naive::Naive;
pub(crate) use super::naive::{attention_weights, masked_softmax, places, weighted_sums};
use super::promote::{alike, indices};
use crate::autograd::{Attributes, Grads, Op, Saves, Specs, Step, apply, elements};
use crate::dtype::dispatch_float;
pub(crate) use crate::kernels::attention::Drops;
use crate::kernels::attention::{Attention as Kernel, BLOCK, Rule, Sizes};
use crate::kernels::gemm::Gemm;
use crate::kernels::par;
use crate::kernels::strided::Strided;
use crate::tensor::{Array, Few, Tensor, few};
use crate::{DType, Error, Float, Result, Shape, Spec};
use std::borrow::Cow;

super::table::ops! {
    [Attention, AttentionGrad];
    dot_product_attention: Floats, Every, "Attention";
}

/// Cost of a weight relative to an addition, besides the products.
const COST: usize = 16;

/// The numbers to compute with up to which the gradients of several samples are computed at once.
const ROOM: usize = 1 << 23;

/// The fewest rows that another thread is given: each computes anew what the product copies of keys and values.
const ROWS: usize = 16;

crate::op! {
    /// Inputs are query, key and value, then mask (bool), bias (float) and position (int64) if given. Two more
    /// outputs keep each row's largest score and sum of exponentials, `[batch, queries, heads]`, for the gradient.
    struct Attention("attention", 3..=6) { scale: f64, causal: bool, window: Option<usize>, dropout: Option<Drops> }
}

crate::op! {
    /// The gradients of query, key, value and, if asked for, of the bias before it is broadcast. Inputs are the
    /// gradient of the output, query, key, value, the rows' largest scores and sums, and the rest of
    /// [`Attention`]'s inputs.
    struct AttentionGrad("attention_grad", 6..=9) {
        scale: f64,
        causal: bool,
        window: Option<usize>,
        of_bias: bool,
        dropout: Option<Drops>,
    }
}

/// Checks all inputs but the gradient and the saved values of rows; returns the shapes of the output and of the
/// scores.
fn check(op: &'static str, [q, k, v]: [Spec; 3], rest: &[Spec]) -> Result<[Shape; 2]> {
    float(op, q.dtype)?;
    let wrong = |with: Spec, why: &str| Err(Error::shapes(op, q.shape, with.shape, why.to_string()));
    for (what, spec) in [("query", q), ("key", k), ("value", v)] {
        if spec.shape.rank() != 4 {
            return Err(Error::shape(op, format!("a {what} [batch, time, heads, dim]"), spec.shape));
        }
        if spec.dtype != q.dtype {
            return wrong(
                spec,
                &format!("the {what} is {}, the query {}: cast one of them", spec.dtype, q.dtype),
            );
        }
    }
    let [a, b, c] = [q.shape.dims(), k.shape.dims(), v.shape.dims()];
    if a[0] != b[0] || a[3] != b[3] {
        return wrong(k, "query and key must have one batch and dim");
    }
    if b[..3] != c[..3] {
        return Err(Error::shapes(op, k.shape, v.shape, "key and value must have one batch, time and heads"));
    }
    if a[2] != b[2] && a[2].checked_rem(b[2]).is_none_or(|rest| rest != 0) {
        return wrong(k, "the heads of the query must be a multiple of those of key and value");
    }
    let scores = Shape::new(&[a[0], a[2], a[1], b[1]])?;
    let Given([mask, bias, position]) = Given::among(rest, |s| s.dtype);
    let known = [mask, bias, position].iter().flatten().count();
    if known != rest.len() {
        return Err(Error::argument(
            op,
            "at most one mask (bool), bias (float) and position (int64)",
            rest.len(),
        ));
    }
    for (what, spec) in [("mask", mask), ("bias", bias)] {
        let Some(spec) = spec else { continue };
        if Shape::broadcast(op, spec.shape, scores).ok() != Some(scores) {
            let why = format!("the {what} must broadcast to [batch, heads, queries, keys], {scores}");
            return Err(Error::shapes(op, spec.shape, scores, why));
        }
        if spec.dtype != DType::Bool && spec.dtype != q.dtype {
            return wrong(
                spec,
                &format!("the {what} is {}, the query {}: cast one of them", spec.dtype, q.dtype),
            );
        }
    }
    if let Some(spec) = position
        && !(spec.shape.rank() == 0 || spec.shape.dims() == &a[..1])
    {
        return Err(Error::shape(op, "a position that is one number or [batch]", spec.shape));
    }
    Ok([q.shape.with(3, c[3]), scores])
}

/// `[batch, queries, heads]`.
fn rows(scores: Shape) -> Result<Shape> {
    let d = scores.dims();
    Shape::new(&[d[0], d[2], d[1]])
}

/// Returns the operands in the form of the kernel.
fn kernel<'a, T: Float + Gemm>(
    inputs: [&'a Array; 3],
    rest: &[&'a Array],
    rule: Rule,
) -> Result<Kernel<'a, T>> {
    let [query, key, value] = inputs;
    let (q, k) = (query.shape().dims(), key.shape().dims());
    let scores = Shape::new(&[q[0], q[2], q[1], k[1]])?;
    let Given([mask, bias, position]) = Given::among(rest, |a| a.dtype());
    let wide = |a: &Array, shape: Shape| a.layout().broadcast(shape);
    let data = |a: &'a Array| -> Result<&'a [T]> { Ok(a.view::<T>()?.data()) };
    let bias = bias.map(|a| Ok::<_, Error>(Strided::new(data(a)?, wide(a, scores)))).transpose()?;
    let mask =
        mask.map(|a| Ok::<_, Error>(Strided::new(a.view::<u8>()?.data(), wide(a, scores)))).transpose()?;
    let batch = Shape::new(&q[..1])?;
    let position = position
        .map(|a| Ok::<_, Error>(Strided::new(a.view::<i64>()?.data(), wide(a, batch))))
        .transpose()?;
    Ok(Kernel { query: query.view()?, key: key.view()?, value: value.view()?, mask, bias, position, rule })
}

/// Returns the work of a query, relative to an addition.
fn work(s: &Sizes) -> usize {
    let scores = s.heads.saturating_mul(s.keys);
    scores.saturating_mul(s.dim.saturating_add(s.width).saturating_add(COST)).max(1)
}

/// Returns how many rows are cut between threads as one: whole blocks, or whole samples, where there are such.
fn unit(s: &Sizes, batch: usize) -> usize {
    match s.queries {
        n if n % BLOCK == 0 => BLOCK,
        n if n < BLOCK && batch > 1 => n,
        _ => 1,
    }
}

/// The length of rows and columns that the product may copy. It cannot fail, so longer ones that are not contiguous
/// are copied before.
const LONG: usize = 1 << 20;

/// Returns the operands, made contiguous if their rows or columns are long.
fn tidy<const N: usize>(inputs: [&Array; N]) -> Result<Few<Array, 3>> {
    let long = |a: &Array| a.shape().dims().iter().any(|&d| d > LONG);
    inputs.iter().map(|a| if long(a) { a.contiguous() } else { Ok((*a).clone()) }).collect()
}

/// Allocates numbers to compute with, by count and size. An overflow is reported as a lack of memory.
fn scratch(count: usize, size: usize, dtype: DType) -> Result<Array> {
    Array::new(Spec::new(Shape::new(&[count, size])?, dtype))
}

impl Attention {
    fn rule(&self) -> Rule {
        Rule { scale: self.scale, causal: self.causal, window: self.window, drops: self.dropout }
    }
}

impl Op for Attention {
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        // The products with keys and with values, and what softmax does.
        let [keys, values] =
            [inputs[1], inputs[2]].map(|s| s.shape.dims().last().copied().unwrap_or(0) as u64);
        let scores = elements(&outputs[1..2]) * inputs[1].shape.dims().get(1).copied().unwrap_or(0) as u64;
        scores * (2 * keys + 2 * values + 5)
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let [out, scores] = check(self.name(), [inputs[0], inputs[1], inputs[2]], &inputs[3..])?;
        let row = Spec::new(rows(scores)?, inputs[0].dtype);
        Ok(few![Spec::new(out, row.dtype), row, row])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let [out, max, sum] = outputs else { return Ok(()) };
        let batch = inputs[0].shape().dims()[0];
        let tidy = tidy([inputs[0], inputs[1], inputs[2]])?;
        dispatch_float!(self.name(), inputs[0].dtype(), T => {
            let kernel = kernel::<T>([&tidy[0], &tidy[1], &tidy[2]], &inputs[3..], self.rule())?;
            let (out, max, sum) = (out.slice_mut::<T>()?, max.slice_mut::<T>()?, sum.slice_mut::<T>()?);
            let s = kernel.sizes();
            let (unit, each) = (unit(&s, batch), s.heads * s.width);
            let grain = (par::GRAIN / work(&s)).max(ROWS) * each;
            if out.is_empty() {
                max.fill(T::zero());
                sum.fill(T::zero());
            }
            par::rows(out, unit * each, [max, sum], grain, &|first, out, [max, sum]| {
                kernel.forward(first * unit, out, max, sum);
            });
        });
        Ok(())
    }
    fn reads_apart(&self, input: usize) -> bool {
        input < 3
    }
    fn saves(&self, _: &[bool]) -> Saves {
        (0..6).fold(Saves::NONE, Saves::input).output(1).output(2)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let g = step.grad(0)?;
        let of_bias = (3..step.inputs()).find(|&i| step.spec(i).dtype.is_float() && step.wants(i));
        let &Attention { scale, causal, window, dropout } = self;
        let kept = [step.output(1).detach(), step.output(2).detach()];
        let given: Few<Tensor, 8> = (0..step.inputs()).map(|i| step.input(i)).collect();
        let mut inputs: Few<&Tensor, 8> = few![&g];
        inputs.extend(given[..3].iter().chain(&kept).chain(&given[3..]));
        let of = AttentionGrad { scale, causal, window, of_bias: of_bias.is_some(), dropout };
        let found = apply(of, &inputs)?;
        let mut grads: Grads = found.iter().take(3).map(|t| Some(t.clone())).collect();
        grads.resize(step.inputs(), None);
        if let (Some(i), Some(bias)) = (of_bias, found.get(3)) {
            grads[i] = Some(bias.sum_to(&step.spec(i).shape)?);
        }
        Ok(grads)
    }
}

impl AttentionGrad {
    fn rule(&self) -> Rule {
        Rule { scale: self.scale, causal: self.causal, window: self.window, drops: self.dropout }
    }
}

impl Op for AttentionGrad {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let [g, q, k, v] = [inputs[0], inputs[1], inputs[2], inputs[3]];
        let [out, scores] = check(self.name(), [q, k, v], &inputs[6..])?;
        let row = Spec::new(rows(scores)?, q.dtype);
        if g != Spec::new(out, q.dtype) || inputs[4] != row || inputs[5] != row {
            let why = "the gradient should have the output's shape, largest score and sum one number a row";
            return Err(Error::shapes(self.name(), out, g.shape, why));
        }
        let mut outputs: Specs = few![q, k, v];
        outputs.extend(self.of_bias.then_some(Spec::new(scores, q.dtype)));
        Ok(outputs)
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (batch, dtype) = (inputs[0].shape().dims()[0], inputs[0].dtype());
        let [query, key, value, bias @ ..] = outputs else { return Ok(()) };
        let tidy = tidy([inputs[0], inputs[1], inputs[2], inputs[3]])?;
        dispatch_float!(self.name(), dtype, T => {
            let kernel = kernel::<T>([&tidy[1], &tidy[2], &tidy[3]], &inputs[6..], self.rule())?;
            let g = tidy[0].view::<T>()?;
            let (max, sum) = (inputs[4].contiguous()?, inputs[5].contiguous()?);
            let (max, sum) = (max.slice::<T>()?, sum.slice::<T>()?);
            let (s, room_of) = (kernel.sizes(), kernel.backward_room());
            let at_once = (ROOM / room_of.max(1)).clamp(1, batch.max(1));
            let least = (par::GRAIN / work(&s).saturating_mul(s.queries.max(1))).max(1);
            let mut room = scratch(at_once, room_of, dtype)?;
            let (query, key, value) = (query.slice_mut::<T>()?, key.slice_mut::<T>()?, value.slice_mut::<T>()?);
            let [of_q, of_k, of_v, of_row] =
                [query.len(), key.len(), value.len(), max.len()].map(|n| n / batch.max(1));
            for first in (0..batch).step_by(at_once) {
                let count = at_once.min(batch - first);
                let part = |n: usize| first * n..(first + count) * n;
                let bias = match &mut *bias {
                    [bias, ..] => &mut bias.slice_mut::<T>()?[part(s.heads * s.queries * s.keys)],
                    [] => &mut [],
                };
                let parts = [
                    &mut query[part(of_q)],
                    &mut key[part(of_k)],
                    &mut value[part(of_v)],
                    bias,
                    &mut room.slice_mut::<T>()?[..count * room_of],
                ];
                par::each(count, parts, least, &|sample, parts| {
                    let sample = first + sample;
                    let row = sample * of_row..(sample + 1) * of_row;
                    kernel.backward(&g, sample, [&max[row.clone()], &sum[row]], parts);
                });
            }
        });
        Ok(())
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        step.composed(|inputs| {
            let naive = Naive::new([&inputs[1], &inputs[2], &inputs[3]], &inputs[6..], self.rule())?;
            naive.gradients(&inputs[0], self.of_bias)
        })
    }
}

impl Tensor {
    /// Computes scaled dot-product attention (Vaswani et al. 2017; Keras's `ops.dot_product_attention`): for each
    /// head `softmax(scale·query·keyᵀ + bias)·value`. This tensor is the query `[batch, queries, heads, dim]`;
    /// `key` is `[batch, keys, groups, dim]`, `value` `[batch, keys, groups, width]`, the result
    /// `[batch, queries, heads, width]`. `groups` divides `heads`: each head of key and value serves
    /// `heads / groups` consecutive heads of the query (Ainslie et al. 2023).
    ///
    /// A query that sees no key gives zeros. The contents of hidden keys change no bit of its result, so decoding
    /// step by step with a cache (`position`) gives the rows of the whole causal pass.
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, the scale is not finite, `sliding_window` is 0, or the rate of `dropout` is not in `[0, 1)`.
    pub fn dot_product_attention(
        &self,
        key: &Tensor,
        value: &Tensor,
        options: AttentionOptions<'_>,
    ) -> Result<Tensor> {
        const NAME: &str = "dot_product_attention";
        let AttentionOptions { bias, mask, position, .. } = options;
        let Rule { scale, causal, window, drops: dropout } = options.rule(self)?;
        let [query, key, value] = alike([self, key, value])?;
        if let Some(mask) = mask.filter(|mask| mask.dtype() != DType::Bool) {
            return Err(Error::DType { op: NAME, expected: "a mask of bool", got: mask.dtype() });
        }
        let bias = bias.map(|bias| match bias.dtype() == query.dtype() {
            true => Ok(Cow::Borrowed(bias)),
            false => bias.cast(query.dtype()).map(Cow::Owned),
        });
        let (bias, position) = (bias.transpose()?, position.map(|p| indices(NAME, p)).transpose()?);
        let mut inputs: Few<&Tensor, 8> = few![&*query, &*key, &*value];
        inputs.extend(mask.into_iter().chain(bias.as_deref()).chain(position.as_deref()));
        Ok(apply(Attention { scale, causal, window, dropout }, &inputs)?.swap_remove(0))
    }
}
