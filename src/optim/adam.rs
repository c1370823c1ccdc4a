//! `Adam` (Kingma and Ba 2015) and `AdamW`, Adam with decay (Loshchilov and Hutter 2019), by Keras's rule.

use super::{LearningRate, Options, Rule, Slots, Step, check_betas, check_epsilon};
use crate::kernels::simd::stamped;
use crate::{Float, Result, settings};

settings! {
    /// `m += (1-β₁)(g-m)`, `v += (1-β₂)(g²-v)`, `w -= lr·√(1-β₂ᵗ)/(1-β₁ᵗ) · m / (√v + ε)`. As in Keras, ε is not
    /// corrected for bias.
    pub struct Adam {
        /// Creates it with this learning rate, a number or a schedule (Keras's default is 0.001), β₁ 0.9, β₂ 0.999,
        /// ε 1e-7.
        new(learning_rate: into LearningRate = 0.001);

        /// Decay rate of the mean of gradients; 0.9 by default.
        beta_1: f64 = 0.9,
        /// Decay rate of the mean of squares; 0.999 by default.
        beta_2: f64 = 0.999,
        /// Keeps the divisor away from zero; 1e-7 by default.
        epsilon: f64 = 1e-7,
        /// Whether the largest `v` so far stands for `v` (Reddi et al. 2018); no by default.
        amsgrad: bool = false,
    }
}

settings! {
    /// [`Adam`] with weight decay: `lr·decay·w` is taken off each parameter before its update, as by
    /// [`Optimizer::weight_decay`](super::Optimizer::weight_decay). Biases do not decay if
    /// [`exclude_from_weight_decay`](super::Optimizer::exclude_from_weight_decay) names them.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let optimizer = AdamW::new(0.001).weight_decay(0.01).exclude_from_weight_decay(["bias"]);
    /// let stack = Sequential::new().add(Input::new(2)).add(Dense::new(1));
    /// let model = stack.compile(optimizer, MeanSquaredError::new(), ())?;
    /// assert_eq!(model.learning_rate(), 0.001);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub struct AdamW {
        /// With this learning rate, a number or a schedule (Keras's default is 0.001), decay 0.004, and Adam's defaults.
        new(learning_rate: into LearningRate = 0.001);

        /// What is taken off, as a share of the learning rate; 0.004 by default.
        weight_decay: f64 = 0.004,
        /// How slowly the mean of gradients moves; 0.9 by default.
        beta_1: f64 = 0.9,
        /// How slowly the mean of squares moves; 0.999 by default.
        beta_2: f64 = 0.999,
        /// Keeps the divisor from zero; 1e-7 by default.
        epsilon: f64 = 1e-7,
        /// Whether the largest `v` so far stands for `v`; no by default.
        amsgrad: bool = false,
    }
}

/// What the formula takes: that of Adam, AdamW and of the parameters that are no matrices under Muon.
pub(super) struct Formula {
    pub(super) beta_1: f64,
    pub(super) beta_2: f64,
    pub(super) epsilon: f64,
}

/// The scalars of one step.
#[derive(Clone, Copy)]
struct Scalars<T> {
    rate: T,
    one_minus_beta_1: T,
    one_minus_beta_2: T,
    epsilon: T,
    /// Taken off the parameter first, as a share of it, if it decays.
    decay: Option<T>,
}

/// The parameter before its update.
#[inline(always)]
fn decayed<T: Float>(w: T, share: Option<T>) -> T {
    share.map_or(w, |share| w - w * share)
}

stamped! {
    fn kernel<T: Float>(w: &mut [T], g: &[T], m: &mut [T], v: &mut [T], s: Scalars<T>) {
        for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
            let g = g.flush(T::TINY);
            *m = (*m + (g - *m) * s.one_minus_beta_1).flush(T::FADED);
            *v = (*v + (g * g - *v) * s.one_minus_beta_2).flush(T::FADED);
            *w = decayed(*w, s.decay) - *m * s.rate / (v.sqrt() + s.epsilon);
        }
    }
}

fn with_largest<T: Float>(w: &mut [T], g: &[T], [m, v, largest]: [&mut [T]; 3], s: Scalars<T>) {
    for ((((w, &g), m), v), largest) in w.iter_mut().zip(g).zip(m).zip(v).zip(largest) {
        let g = g.flush(T::TINY);
        *m = (*m + (g - *m) * s.one_minus_beta_1).flush(T::FADED);
        *v = (*v + (g * g - *v) * s.one_minus_beta_2).flush(T::FADED);
        *largest = largest.maximum(*v);
        *w = decayed(*w, s.decay) - *m * s.rate / (largest.sqrt() + s.epsilon);
    }
}

/// The slots of [`Formula::update`].
pub(super) fn slots(amsgrad: bool) -> &'static [&'static str] {
    if amsgrad { &["m", "v", "v_hat"] } else { &["m", "v"] }
}

impl Formula {
    pub(super) fn check(&self) -> Result<()> {
        check_betas(self.beta_1, self.beta_2)?;
        check_epsilon(self.epsilon)
    }

    pub(super) fn update<T: Float>(&self, step: &Step, w: &mut [T], g: &[T], slots: &mut [&mut [T]]) {
        let t = step.iteration as f64;
        let unbias = libm::sqrt(1.0 - libm::pow(self.beta_2, t)) / (1.0 - libm::pow(self.beta_1, t));
        let scalars = Scalars {
            rate: T::of(step.learning_rate * unbias),
            one_minus_beta_1: T::of(1.0 - self.beta_1),
            one_minus_beta_2: T::of(1.0 - self.beta_2),
            epsilon: T::of(self.epsilon),
            decay: (step.weight_decay > 0.0).then(|| T::of(step.weight_decay * step.learning_rate)),
        };
        match slots {
            [m, v] => kernel(w, g, m, v, scalars),
            [m, v, largest] => with_largest(w, g, [m, v, largest], scalars),
            _ => {}
        }
    }
}

impl Adam {
    fn formula(&self) -> Formula {
        Formula { beta_1: self.beta_1, beta_2: self.beta_2, epsilon: self.epsilon }
    }
}
impl Rule for Adam {
    fn slots(&self) -> &'static [&'static str] {
        slots(self.amsgrad)
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn check(&self) -> Result<()> {
        self.formula().check()
    }
    fn decays_itself(&self) -> bool {
        true
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        self.formula().update(&step, w, g, &mut slots);
    }
}

impl AdamW {
    fn formula(&self) -> Formula {
        Formula { beta_1: self.beta_1, beta_2: self.beta_2, epsilon: self.epsilon }
    }
}
impl Rule for AdamW {
    fn slots(&self) -> &'static [&'static str] {
        slots(self.amsgrad)
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn check(&self) -> Result<()> {
        self.formula().check()
    }
    fn decays_itself(&self) -> bool {
        true
    }
    fn options(&self) -> Options {
        Options { weight_decay: Some(self.weight_decay), ..Options::default() }
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        self.formula().update(&step, w, g, &mut slots);
    }
}
