//! Why it exists: stochastic gradient descent, with momentum.

use super::{LearningRate, Rule, Slots, Step};
use crate::Float;
use crate::kernels::simd::stamped;
use serde::{Deserialize, Serialize};

/// `w -= lr·g`; with momentum `m = μ·m - lr·g`, `w += m`, or with Nesterov's `w += μ·m - lr·g` (Keras's rule: the learning
/// rate is inside of the velocity).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SGD {
    learning_rate: LearningRate,
    #[serde(default)]
    momentum: f64,
    #[serde(default)]
    nesterov: bool,
}

impl SGD {
    /// With this learning rate, a number or a schedule; Keras's default is 0.01.
    pub fn new(learning_rate: impl Into<LearningRate>) -> SGD {
        SGD { learning_rate: learning_rate.into(), momentum: 0.0, nesterov: false }
    }

    /// The share of the last step that is kept; 0 by default.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> SGD {
        self.momentum = momentum;
        self
    }

    /// Nesterov's momentum; no by default.
    #[must_use]
    pub fn nesterov(mut self, nesterov: bool) -> SGD {
        self.nesterov = nesterov;
        self
    }
}

stamped! {
    fn plain<T: Float>(w: &mut [T], g: &[T], lr: T) {
        for (w, &g) in w.iter_mut().zip(g) {
            *w = *w - lr * g;
        }
    }
}
stamped! {
    fn with_momentum<T: Float>(w: &mut [T], g: &[T], m: &mut [T], lr: T, mu: T, nesterov: bool) {
        for ((w, &g), m) in w.iter_mut().zip(g).zip(m) {
            let g = g.flush(T::TINY);
            *m = (mu * *m - lr * g).flush(T::FADED);
            *w += if nesterov { mu * *m - lr * g } else { *m };
        }
    }
}

impl Rule for SGD {
    fn slots(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum"] }
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        let lr = T::of(step.learning_rate);
        match slots.first_mut() {
            Some(m) => with_momentum(w, g, m, lr, T::of(self.momentum), self.nesterov),
            None => plain(w, g, lr),
        }
    }
}
