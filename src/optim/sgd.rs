//! `SGD`: stochastic gradient descent, with or without momentum.

use super::{LearningRate, Rule, Slots, Step, check_setting};
use crate::kernels::simd::stamped;
use crate::{Float, Result, settings};

settings! {
    /// `w -= lr·g`; with momentum `m = μ·m - lr·g`, `w += m`, or with Nesterov's `w += μ·m - lr·g` (Keras's rule:
    /// the learning rate is part of the velocity).
    pub struct SGD {
        /// Creates it with this learning rate, a number or a schedule; Keras's default is 0.01.
        new(learning_rate: into LearningRate = 0.01);

        /// The share of the last step that is kept; 0 by default.
        momentum: f64 = 0.0,
        /// Whether to use Nesterov's momentum; no by default.
        nesterov: bool = false,
    }
}

stamped! {
    fn plain<T: Float>(w: &mut [T], g: &[T], lr: T) {
        for (w, &g) in w.iter_mut().zip(g) {
            *w -= lr * g;
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
    fn check(&self) -> Result<()> {
        check_setting("momentum", self.momentum, (0.0..=1.0).contains(&self.momentum), "0 to 1")
    }
    /// Without momentum, a row that was not read stays as it is.
    fn takes_rows(&self) -> bool {
        self.momentum == 0.0
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        let lr = T::of(step.learning_rate);
        match slots.first_mut() {
            Some(m) => with_momentum(w, g, m, lr, T::of(self.momentum), self.nesterov),
            None => plain(w, g, lr),
        }
    }
}
