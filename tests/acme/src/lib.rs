//! Layers, losses and so on of another crate, as its authors would write them for gradus. A program passes
//! [`registry`] to a reader, so that files may name them.

use gradus::config::{Dyn, Registry};
use gradus::loss::Loss;
use gradus::metric::Metric;
use gradus::nn::activation::Activation;
use gradus::nn::constraint::Constraint;
use gradus::nn::initializer::{GlorotUniform, Initializer};
use gradus::nn::regularizer::Regularizer;
use gradus::nn::{Build, Cx, Init, InputSpecs, Layer, Masking, Node, Param, features, single};
use gradus::optim::{
    LearningRate, LearningRateSchedule, Optimizer, Options, Rule, Slot, Slots, Step, Update,
};
use gradus::random::Stream;
use gradus::{Float, Result, Shape, Spec, Tensor};

/// Every type of this crate that a file may name.
///
/// # Errors
/// A name is taken, which it is not.
pub fn registry() -> Result<Registry> {
    Registry::new()
        .layer::<Glu>()?
        .activation::<Swish2>()?
        .initializer::<Ramp>()?
        .regularizer::<L4>()?
        .constraint::<Positive>()?
        .loss::<Quartic>()?
        .metric::<Largest>()?
        .optimizer::<SignDescent>()?
        .optimizer::<Adagrad>()?
        .optimizer::<Lamb>()?
        .optimizer::<Lookahead>()?
        .schedule::<Halving>()
}

gradus::settings! {
    /// A gated linear unit: `x·value ⊙ activation(x·gate)`.
    pub layer Glu as "acme>Glu" {
        /// Of `units` outputs.
        new(units: usize);

        /// The function of the gate; the crate's own by default.
        activation: into Dyn<dyn Activation> = Swish2::new(),
        /// How both kernels begin; Glorot uniform by default.
        kernel_initializer: into Dyn<dyn Initializer> = GlorotUniform,
        /// A penalty on both kernels; none by default.
        kernel_regularizer: some into Dyn<dyn Regularizer>,
        /// A bound on both kernels; none by default.
        kernel_constraint: some into Dyn<dyn Constraint>,
    }
}

#[derive(Clone, Debug)]
struct GluNode {
    value: Param,
    gate: Param,
    activation: Dyn<dyn Activation>,
}
gradus::parts!(GluNode { value, gate });

impl Build for Glu {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let shape = [features("Glu", single(inputs)?)?, self.units];
        let mut kernel = || {
            init.weight(shape, &self.kernel_initializer, &self.kernel_regularizer, &self.kernel_constraint)
        };
        Ok(Box::new(GluNode { value: kernel()?, gate: kernel()?, activation: self.activation.clone() }))
    }
}

impl Layer for GluNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let gate = self.activation.apply(&x.matmul(&cx.param(&self.gate)?)?)?;
        x.matmul(&cx.param(&self.value)?)?.mul(&gate)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        "Glu"
    }
}

gradus::settings! {
    /// `x·sigmoid(slope·x)`.
    #[derive(Copy, PartialEq)]
    pub struct Swish2 as "acme>Swish2" {
        /// With the slope 2.
        new();

        /// The slope; 2 by default.
        slope: f64 = 2.0,
    }
}
impl Activation for Swish2 {
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        x.mul(&x.affine(self.slope, 0.0)?.sigmoid()?)
    }
}

gradus::settings! {
    /// `0, step, 2·step, …` in row-major order.
    #[derive(Copy, PartialEq)]
    pub struct Ramp as "acme>Ramp" {
        /// With this step.
        new(step: f64);
    }
}
impl Initializer for Ramp {
    fn value(&self, _: &Shape, _: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        let step = self.step;
        Ok(Box::new(move |i| step * i as f64))
    }
}

gradus::settings! {
    /// `factor · Σ w⁴`.
    #[derive(Copy, PartialEq)]
    pub struct L4 as "acme>L4" {
        /// With this factor.
        new(factor: f64);
    }
}
impl Regularizer for L4 {
    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        weight.square()?.square()?.sum(&[], false)?.affine(self.factor, 0.0)
    }
}

gradus::settings! {
    /// Keeps weights at or above `least`.
    #[derive(Copy, PartialEq)]
    pub struct Positive as "acme>Positive" {
        /// At or above 0.
        new();

        /// The least value; 0 by default.
        least: f64 = 0.0,
    }
}
impl Constraint for Positive {
    fn project(&self, weight: &Tensor) -> Result<Tensor> {
        weight.maximum(&weight.new_full([], self.least)?)
    }
}

gradus::settings! {
    /// `(t - p)⁴`, the mean over the last axis.
    #[derive(Copy, PartialEq)]
    pub struct Quartic as "acme>Quartic" {
        /// The loss.
        new();
    }
}
impl Loss for Quartic {
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        y_pred.sub(&y_true.cast(y_pred.dtype())?)?.square()?.square()?.mean(&[-1], false)
    }
}

gradus::settings! {
    /// The largest absolute error.
    pub struct Largest as "acme>Largest" {
        /// The metric.
        new();

        /// The largest so far.
        seen: state f64 = 0.0,
    }
}
impl Metric for Largest {
    fn name(&self) -> &str {
        "largest"
    }
    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, _: Option<&Tensor>) -> Result<()> {
        let error = y_pred.sub(&y_true.cast(y_pred.dtype())?)?.abs()?.max(&[], false)?.item()?;
        self.seen = self.seen.max(error);
        Ok(())
    }
    fn result(&self) -> f64 {
        self.seen
    }
    fn reset(&mut self) {
        self.seen = 0.0;
    }
    fn larger_is_better(&self) -> bool {
        false
    }
}

gradus::settings! {
    /// Steps of the learning rate against the sign of a moving mean of the gradient (Bernstein et al. 2018).
    pub struct SignDescent as "acme>SignDescent" {
        /// At this rate.
        new(learning_rate: into LearningRate);

        /// How much of the mean stays in a step; 0.9 by default.
        momentum: f64 = 0.9,
    }
}
impl Rule for SignDescent {
    fn slots(&self) -> &'static [&'static str] {
        &["mean"]
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        let (rate, momentum, rest) =
            (T::of(step.learning_rate), T::of(self.momentum), T::of(1.0 - self.momentum));
        let zero = T::of(0.0);
        for ((w, &g), m) in w.iter_mut().zip(g).zip(slots[0].iter_mut()) {
            *m = momentum * *m + rest * g;
            *w -= if *m > zero {
                rate
            } else if *m < zero {
                zero - rate
            } else {
                zero
            };
        }
    }
}

gradus::settings! {
    /// `a += g²`, `w -= lr·g / (√a + ε)` (Duchi et al. 2011): square root and arithmetic in plain Rust.
    pub struct Adagrad as "acme>Adagrad" {
        /// At this rate.
        new(learning_rate: into LearningRate);
    }
}
impl Rule for Adagrad {
    fn slots(&self) -> &'static [&'static str] {
        &["accumulator"]
    }
    fn start(&self, _: &str) -> f64 {
        0.1
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn takes_rows(&self) -> bool {
        true
    }
    #[expect(clippy::assign_op_pattern, reason = "as it stands in papers")]
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        let (lr, eps) = (T::of(step.learning_rate), T::of(1e-7));
        let [a] = &mut slots[..] else { return };
        for ((w, &g), v) in w.iter_mut().zip(g).zip(a.iter_mut()) {
            *v = *v + g * g;
            *w = *w - lr * g / (v.sqrt() + eps);
        }
    }
}

gradus::settings! {
    /// LAMB (You et al. 2020), by Keras's rule: Adam's step, scaled by the norm of the whole parameter over its own.
    pub struct Lamb as "acme>Lamb" {
        /// At this rate.
        new(learning_rate: into LearningRate);

        /// How slowly the mean of gradients moves; 0.9 by default.
        beta_1: f64 = 0.9,
        /// How slowly the mean of squares moves; 0.999 by default.
        beta_2: f64 = 0.999,
    }
}
impl Optimizer for Lamb {
    fn slots(&self, _: &str, _: Spec) -> Vec<Slot> {
        vec![Slot::new("m"), Slot::new("v")]
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn update(&self, step: &Step, u: Update<'_>) -> Result<()> {
        let (g, t) = (u.gradient()?, step.iteration as i32);
        let moved =
            |old: &Tensor, new: &Tensor, beta: f64| old.affine(beta, 0.0)?.add(&new.affine(1.0 - beta, 0.0)?);
        u.slots[0] = moved(&u.slots[0], g, self.beta_1)?;
        u.slots[1] = moved(&u.slots[1], &g.square()?, self.beta_2)?;
        let power = |beta: f64| (0..t).fold(1.0, |p, _| p * beta);
        let m = u.slots[0].affine(1.0 / (1.0 - power(self.beta_1)), 0.0)?;
        let v = u.slots[1].affine(1.0 / (1.0 - power(self.beta_2)), 0.0)?;
        let r = m.div(&v.sqrt()?.affine(1.0, 1e-6)?)?;
        let norm = |x: &Tensor| x.norm(2.0, &[], false)?.item();
        let (w_norm, r_norm) = (norm(u.w)?, norm(&r)?);
        let trust = if w_norm > 0.0 && r_norm > 0.0 { w_norm / r_norm } else { 1.0 };
        *u.w = u.w.sub(&r.affine(trust * step.learning_rate, 0.0)?)?;
        Ok(())
    }
}

gradus::settings! {
    /// Lookahead (Zhang et al. 2019) around another optimizer: after every so many updates a slow copy of the
    /// weights goes a share of the way to them, and they go back to it. It does so for kernels alone.
    pub struct Lookahead as "acme>Lookahead" {
        /// Around this one.
        new(inner: into Dyn<dyn Optimizer>);

        /// Updates between two looks; 5 by default.
        every: u64 = 5,
        /// The share of the way; 0.5 by default.
        share: f64 = 0.5,
    }
}
impl Optimizer for Lookahead {
    fn slots(&self, path: &str, parameter: Spec) -> Vec<Slot> {
        let mut slots = self.inner.slots(path, parameter);
        if path.ends_with("/kernel") {
            slots.push(Slot::new("slow").start_at_parameter());
        }
        slots
    }
    fn learning_rate(&self) -> LearningRate {
        self.inner.learning_rate()
    }
    fn update(&self, step: &Step, u: Update<'_>) -> Result<()> {
        if !u.path.ends_with("/kernel") {
            return self.inner.update(step, u);
        }
        let Some((slow, inner)) = u.slots.split_last_mut() else { return Ok(()) };
        self.inner.update(step, Update::new(u.path, u.w, u.g, inner))?;
        if step.iteration.is_multiple_of(self.every) {
            *slow = slow.add(&u.w.sub(slow)?.affine(self.share, 0.0)?)?;
            *u.w = slow.clone();
        }
        Ok(())
    }
    fn check(&self) -> Result<()> {
        self.inner.check()
    }
    fn takes_rows(&self) -> bool {
        self.inner.takes_rows()
    }
    fn decays_itself(&self) -> bool {
        self.inner.decays_itself()
    }
    fn options(&self) -> Options {
        self.inner.options()
    }
}

gradus::settings! {
    /// Half the rate after every so many steps.
    #[derive(Copy, PartialEq)]
    pub struct Halving as "acme>Halving" {
        /// From this rate, halved after so many steps.
        new(initial: f64, steps: u64);
    }
}
impl LearningRateSchedule for Halving {
    fn at(&self, step: u64) -> f64 {
        (0..step / self.steps.max(1)).fold(self.initial, |rate, _| rate / 2.0)
    }
}
