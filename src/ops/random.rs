//! Operations that draw random numbers. What they draw is a function of a [`Stream`], which the caller gives; so
//! the gradient can draw the same again, and nothing depends on threads.

use super::elementwise::float;
use crate::autograd::{Grads, Op, Saves, Specs, Step, apply1, nothing_flows, one};
use crate::dtype::dispatch_float;
use crate::kernels::par;
use crate::kernels::random::{self as kernel, GROUP, NUMBERS};
use crate::random::{Distribution, Stream};
use crate::tensor::room::filled;
use crate::tensor::{Array, Few, Tensor, few};
use crate::{DType, Error, Float, IntoShape, MAX_RANK, Result, Shape, Spec, Stored};

super::table::ops! {
    [Dropout, Sample, SampleLike, RandInt, Bernoulli, Permutation, Categorical];
    dropout: Floats, Every, "Dropout";
    randn: Nothing, None, "RandomNormal";
    rand: Nothing, None, "RandomUniform";
    sample: Nothing, None, "";
    sample_like: Floats, None, "";
    randint: Nothing, None, "";
    bernoulli: Nothing, None, "Bernoulli";
    permutation: Nothing, None, "";
    shuffle: Any, Every, "";
    categorical: Floats, None, "Multinomial";
}

crate::op! {
    /// Zeroes some elements and scales the rest.
    #[derive(Copy)]
    struct Dropout("dropout", 1) { rate: f64, stream: Stream }
}

impl Op for Dropout {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        if !(0.0..1.0).contains(&self.rate) {
            return Err(Error::argument("dropout rate", "0 <= rate < 1", self.rate));
        }
        float("dropout", inputs[0].dtype)?;
        Ok(few![inputs[0]])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let threshold = kernel::threshold(self.rate);
        dispatch_float!("dropout", inputs[0].dtype(), T => {
            let x = inputs[0].contiguous()?;
            let x = x.slice::<T>()?;
            let scale = T::of(1.0 / (1.0 - self.rate));
            par::chunks(outputs[0].slice_mut::<T>()?, GROUP, par::GRAIN / 4, &|first, run: &mut [T]| {
                let x = &x[first * GROUP..][..run.len()];
                kernel::dropout(self.stream, first as u64, x, run, threshold, scale);
            });
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        Ok(few![Some(apply1(*self, &[&step.grad(0)?])?)])
    }
}

crate::op! {
    /// Numbers from a distribution.
    struct Sample("sample", 0) { shape: Shape, distribution: Distribution, dtype: DType, stream: Stream }
}

impl Op for Sample {
    fn infer(&self, _: &[Spec]) -> Result<Specs> {
        float("sample", self.dtype)?;
        self.distribution.check()?;
        Ok(one(self.shape, self.dtype))
    }
    fn eval(&self, _: &[&Array], outputs: &mut [Array]) -> Result<()> {
        draw(self.distribution, self.stream, &mut outputs[0])
    }
    nothing_flows!();
}

crate::op! {
    /// Numbers from a distribution, as many as the input has, in its dtype. The input's values are not read.
    struct SampleLike("sample_like", 1) { distribution: Distribution, stream: Stream }
}

impl Op for SampleLike {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        float("sample_like", inputs[0].dtype)?;
        self.distribution.check()?;
        Ok(few![inputs[0]])
    }
    fn eval(&self, _: &[&Array], outputs: &mut [Array]) -> Result<()> {
        draw(self.distribution, self.stream, &mut outputs[0])
    }
    nothing_flows!();
}

/// Fills an array with numbers of a distribution.
fn draw(distribution: Distribution, stream: Stream, out: &mut Array) -> Result<()> {
    if let Distribution::Uniform { low, high } = distribution {
        // Rounding must not reach the upper bound of a uniform number.
        match out.dtype() {
            DType::F64 => uniform(out.slice_mut()?, stream, low, high, high.next_down()),
            _ => uniform(out.slice_mut()?, stream, low, high, largest_below(high)),
        }
        return Ok(());
    }
    let value = |at: u64| distribution.value(&stream, at);
    match out.dtype() {
        DType::F64 => fill(out.slice_mut()?, value),
        _ => fill(out.slice_mut()?, |at| value(at) as f32),
    }
    Ok(())
}

crate::op! {
    /// Whole numbers in `low..high`.
    struct RandInt("randint", 0) { shape: Shape, low: i64, high: i64, stream: Stream }
}

impl Op for RandInt {
    fn infer(&self, _: &[Spec]) -> Result<Specs> {
        if self.low >= self.high {
            return Err(Error::argument("randint", "low < high", format!("{} and {}", self.low, self.high)));
        }
        Ok(one(self.shape, DType::I64))
    }
    fn eval(&self, _: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let n = self.high.abs_diff(self.low);
        fill(outputs[0].slice_mut()?, |at| self.low.wrapping_add_unsigned(self.stream.below(at, n)));
        Ok(())
    }
    nothing_flows!();
}

crate::op! {
    /// True with probability `p`.
    struct Bernoulli("bernoulli", 0) { shape: Shape, p: f64, stream: Stream }
}

impl Op for Bernoulli {
    fn infer(&self, _: &[Spec]) -> Result<Specs> {
        if !(0.0..=1.0).contains(&self.p) {
            return Err(Error::argument("bernoulli", "0 <= p <= 1", self.p));
        }
        Ok(one(self.shape, DType::Bool))
    }
    fn eval(&self, _: &[&Array], outputs: &mut [Array]) -> Result<()> {
        par::chunks(outputs[0].slice_mut()?, NUMBERS, par::GRAIN / 4, &|first, run: &mut [u8]| {
            kernel::bernoulli(self.stream, first as u64, run, self.p);
        });
        Ok(())
    }
    nothing_flows!();
}

crate::op! {
    /// 0, 1, … `n - 1` in random order.
    struct Permutation("permutation", 0) { n: usize, stream: Stream }
}

impl Op for Permutation {
    fn infer(&self, _: &[Spec]) -> Result<Specs> {
        Ok(one(Shape::new(&[self.n])?, DType::I64))
    }
    fn eval(&self, _: &[&Array], outputs: &mut [Array]) -> Result<()> {
        self.stream.permute(outputs[0].slice_mut()?);
        Ok(())
    }
    nothing_flows!();
}

crate::op! {
    /// Draws of an index along the last axis, along a new one.
    struct Categorical("categorical", 1) { n: usize, stream: Stream }
}

impl Op for Categorical {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        float("categorical", inputs[0].dtype)?;
        match inputs[0].shape.dims().split_last() {
            Some((&classes, rows)) if classes > 0 => {
                let sizes: Few<usize, MAX_RANK> = rows.iter().copied().chain([self.n]).collect();
                Ok(one(Shape::new(&sizes)?, DType::I64))
            }
            _ => {
                let expected = "logits [..., classes] of at least one class";
                Err(Error::shape("categorical", expected, inputs[0].shape))
            }
        }
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let logits = Tensor::from(inputs[0].clone()).cast(DType::F64)?.contiguous()?;
        let classes = logits.dims()[logits.rank() - 1];
        let (to, n) = (outputs[0].slice_mut::<i64>()?, self.n);
        let mut reached = filled(classes, 0.0, inputs[0].spec())?;
        for (row, logits) in logits.array().slice::<f64>()?.chunks(classes).enumerate() {
            let top = logits.iter().fold(f64::NEG_INFINITY, |m, &l| if l > m || l.is_nan() { l } else { m });
            if !top.is_finite() {
                let expected = "logits whose largest is a finite number";
                return Err(Error::argument("categorical", expected, format!("{top} in row {row}")));
            }
            let mut sum = 0.0;
            for (r, l) in reached.iter_mut().zip(logits) {
                sum += libm::exp(l - top);
                *r = sum;
            }
            for at in row * n..(row + 1) * n {
                // The first class whose sum is above the number, which is never one of zero width.
                let u = self.stream.uniform(at as u64) * sum;
                to[at] = reached.partition_point(|r| *r <= u).min(classes - 1) as i64;
            }
        }
        Ok(())
    }
    nothing_flows!();
}

impl Tensor {
    /// Zeroes each element with probability `rate` and scales the others by `1 / (1 - rate)` (inverted dropout,
    /// Srivastava et al. 2014). Which ones depends only on the stream and the element's position.
    ///
    /// # Errors
    /// `rate` is not in `[0, 1)`, or the dtype is not float32 or float64.
    pub fn dropout(&self, rate: f64, stream: impl Into<Stream>) -> Result<Tensor> {
        if rate == 0.0 { Ok(self.clone()) } else { apply1(Dropout { rate, stream: stream.into() }, &[self]) }
    }

    /// Draws standard normal numbers, float32: from a seed, which gives the same numbers each time, or a [`Stream`]
    /// for more than one draw. ([`Tensor::sample`] draws from other distributions, and in float64.)
    ///
    /// ```
    /// use gradus::{Tensor, random::{Purpose, Stream}};
    /// let noise = Tensor::randn([2, 3], 42)?;
    /// assert!(noise.same_bits(&Tensor::randn([2, 3], Stream::new(42, Purpose::User(0), 0))?));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn randn(shape: impl IntoShape, stream: impl Into<Stream>) -> Result<Tensor> {
        Tensor::sample(shape, Distribution::Normal { mean: 0.0, std: 1.0 }, DType::F32, stream)
    }

    /// Draws uniform numbers in `[0, 1)`, float32, from a seed or a [`Stream`].
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn rand(shape: impl IntoShape, stream: impl Into<Stream>) -> Result<Tensor> {
        Tensor::sample(shape, Distribution::Uniform { low: 0.0, high: 1.0 }, DType::F32, stream)
    }

    /// Draws numbers from a distribution, float32 or float64 (float32 is the rounded float64). Element number `i`
    /// is a function of only the stream and `i`.
    ///
    /// # Errors
    /// A setting is out of range, the dtype is not float32 or float64, or there is not enough memory.
    pub fn sample(
        shape: impl IntoShape,
        distribution: Distribution,
        dtype: DType,
        stream: impl Into<Stream>,
    ) -> Result<Tensor> {
        let shape = shape.into_shape()?;
        apply1(Sample { shape, distribution, dtype, stream: stream.into() }, &[])
    }

    /// Draws numbers from a distribution in the shape and dtype of this tensor, whose values are not read.
    ///
    /// # Errors
    /// A setting is out of range, or the dtype is not float32 or float64.
    pub fn sample_like(&self, distribution: Distribution, stream: impl Into<Stream>) -> Result<Tensor> {
        apply1(SampleLike { distribution, stream: stream.into() }, &[&self.anchor()])
    }

    /// Draws whole numbers in `low..high`, int64, all equally likely.
    ///
    /// # Errors
    /// `low` is not below `high`, or there is not enough memory.
    pub fn randint(shape: impl IntoShape, low: i64, high: i64, stream: impl Into<Stream>) -> Result<Tensor> {
        apply1(RandInt { shape: shape.into_shape()?, low, high, stream: stream.into() }, &[])
    }

    /// Draws truth values that are true with probability `p`.
    ///
    /// # Errors
    /// `p` is not in `[0, 1]`, or there is not enough memory.
    pub fn bernoulli(shape: impl IntoShape, p: f64, stream: impl Into<Stream>) -> Result<Tensor> {
        apply1(Bernoulli { shape: shape.into_shape()?, p, stream: stream.into() }, &[])
    }

    /// Returns 0, 1, … `n - 1` in random order, int64.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn permutation(n: usize, stream: impl Into<Stream>) -> Result<Tensor> {
        apply1(Permutation { n, stream: stream.into() }, &[])
    }

    /// Returns the slices along an axis in random order.
    ///
    /// # Errors
    /// The axis is out of range, or there is not enough memory.
    pub fn shuffle(&self, axis: isize, stream: impl Into<Stream>) -> Result<Tensor> {
        let at = self.shape().axis("shuffle", axis)?;
        self.gather(&Tensor::permutation(self.dims()[at], stream)?, axis)
    }

    /// Makes `n` independent draws (int64, along a new last axis) of an index along the last axis, whose elements
    /// are logits: the probabilities are those of the softmax. No gradient flows back.
    ///
    /// # Errors
    /// There is no axis or no class, a row's largest logit is not a finite number, or the dtype is not float32 or
    /// float64.
    pub fn categorical(&self, n: usize, stream: impl Into<Stream>) -> Result<Tensor> {
        apply1(Categorical { n, stream: stream.into() }, &[&self.detach()])
    }
}

/// Fills each element from its number, on as many threads as there are.
fn fill<T: Stored>(out: &mut [T], value: impl Fn(u64) -> T + Sync) {
    par::chunks(out, 1, par::GRAIN / 64, &|first, run: &mut [T]| {
        for (i, o) in run.iter_mut().enumerate() {
            *o = value((first + i) as u64);
        }
    });
}

/// Fills with uniform numbers, each from its own number of the stream.
fn uniform<T: Float>(out: &mut [T], stream: Stream, low: f64, high: f64, most: T) {
    par::chunks(out, NUMBERS, par::GRAIN / 4, &|first, run: &mut [T]| {
        kernel::uniform(stream, first as u64, run, low, high - low, most);
    });
}

/// Returns the largest float32 below a number.
fn largest_below(v: f64) -> f32 {
    let rounded = v as f32;
    if f64::from(rounded) < v { rounded } else { rounded.next_down() }
}
