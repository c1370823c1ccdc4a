//! Layers, losses and the like of another crate, as its authors would write them against gradus. [`registry`] is what a
//! program hands to a reader, so that files may name them.

use gradus::config::{Dyn, Registry};
use gradus::loss::Loss;
use gradus::metric::Metric;
use gradus::nn::activation::Activation;
use gradus::nn::constraint::Constraint;
use gradus::nn::initializer::{GlorotUniform, Initializer};
use gradus::nn::regularizer::Regularizer;
use gradus::nn::{Build, Cx, Init, InputSpecs, Layer, Masking, Node, Param, features, single};
use gradus::optim::{LearningRate, LearningRateSchedule, Rule, Slots, Step};
use gradus::random::Stream;
use gradus::{Float, Result, Shape, Tensor};

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
            *w = *w
                - if *m > zero {
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
