//! `RMSprop` (Hinton 2012), by Keras's rule: each gradient is divided by the root of a mean of its squares.

use super::{LearningRate, Rule, Slots, Step, check_epsilon, check_fading, check_setting};
use crate::kernels::simd::stamped;
use crate::{Float, Result, settings};

settings! {
    /// `v = ρ·v + (1-ρ)·g²`, `w -= lr·g / √(v + ε)`. Centered, `a = ρ·a + (1-ρ)·g` and `v - a²` stands for `v` in the root; with
    /// momentum, `m = μ·m + lr·g/√(…)` and `w -= m`.
    pub struct RMSprop {
        /// With this learning rate, a number or a schedule (Keras's default is 0.001), ρ 0.9, ε 1e-7.
        new(learning_rate: into LearningRate = 0.001);

        /// How slowly the mean of squares moves; 0.9 by default.
        rho: f64 = 0.9,
        /// The share of the last step that is kept; 0 by default.
        momentum: f64 = 0.0,
        /// Added to the mean of squares; 1e-7 by default.
        epsilon: f64 = 1e-7,
        /// Whether gradients are measured from their mean; no by default.
        centered: bool = false,
    }
}

/// The scalars of one step.
#[derive(Clone, Copy)]
struct Scalars<T> {
    lr: T,
    rho: T,
    rest: T,
    epsilon: T,
}

stamped! {
    fn plain<T: Float>(w: &mut [T], g: &[T], v: &mut [T], s: Scalars<T>) {
        for ((w, &g), v) in w.iter_mut().zip(g).zip(v) {
            let g = g.flush(T::TINY);
            *v = (s.rho * *v + s.rest * (g * g)).flush(T::FADED);
            *w -= s.lr * g / (*v + s.epsilon).sqrt();
        }
    }
}

/// With a momentum, a mean of gradients or both.
fn full<T: Float>(
    w: &mut [T],
    g: &[T],
    v: &mut [T],
    mut momentum: Option<(&mut [T], T)>,
    mut average: Option<&mut [T]>,
    s: Scalars<T>,
) {
    for (i, ((w, &g), v)) in w.iter_mut().zip(g).zip(v).enumerate() {
        let g = g.flush(T::TINY);
        *v = (s.rho * *v + s.rest * (g * g)).flush(T::FADED);
        let mut spread = *v;
        if let Some(a) = average.as_mut().and_then(|average| average.get_mut(i)) {
            *a = (s.rho * *a + s.rest * g).flush(T::FADED);
            spread = *v - *a * *a;
        }
        let mut change = s.lr * g / (spread + s.epsilon).sqrt();
        if let Some((m, mu)) = momentum.as_mut().and_then(|(m, mu)| Some((m.get_mut(i)?, *mu))) {
            *m = (mu * *m + change).flush(T::FADED);
            change = *m;
        }
        *w -= change;
    }
}

impl Rule for RMSprop {
    fn slots(&self) -> &'static [&'static str] {
        match (self.momentum > 0.0, self.centered) {
            (false, false) => &["v"],
            (true, false) => &["v", "momentum"],
            (false, true) => &["v", "average_gradient"],
            (true, true) => &["v", "momentum", "average_gradient"],
        }
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn check(&self) -> Result<()> {
        check_fading("rho", self.rho)?;
        check_setting("momentum", self.momentum, (0.0..=1.0).contains(&self.momentum), "0 to 1")?;
        check_epsilon(self.epsilon)
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        let scalars = Scalars {
            lr: T::of(step.learning_rate),
            rho: T::of(self.rho),
            rest: T::of(1.0 - self.rho),
            epsilon: T::of(self.epsilon),
        };
        let mu = T::of(self.momentum);
        match &mut slots[..] {
            [v] => plain(w, g, v, scalars),
            [v, a] if self.centered => full(w, g, v, None, Some(a), scalars),
            [v, m] => full(w, g, v, Some((m, mu)), None, scalars),
            [v, m, a] => full(w, g, v, Some((m, mu)), Some(a), scalars),
            _ => {}
        }
    }
}
