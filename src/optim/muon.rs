//! `Muon` (Jordan et al. 2024; Liu et al. 2025), by Keras's rule: the step of a matrix is its momentum, made nearly orthogonal.

use super::adam::{self, Formula};
use super::{LearningRate, Optimizer, Options, Slot, Step, Update, check_setting};
use crate::dtype::dispatch_float;
use crate::tensor::Tensor;
use crate::{Error, Result, Spec, settings};

settings! {
    /// Of a matrix: `m = μ·m + g`, `x = g + μ·m` with Nesterov's momentum, else `m`; `x` over its norm, then `ns_steps` times
    /// `A = x·xᵀ`, `x = a·x + (b·A + c·A²)·x`; `w -= lr·√max(rows, columns)·rms_rate · x`.
    ///
    /// Parameters that are no matrices, embeddings and what `exclude_layers` names are stepped by [`Adam`](super::Adam) at
    /// `lr·adam_lr_ratio`. Both decay: `weight_decay` is that of matrices, `adam_weight_decay` that of all others.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// // The last layer is best left to Adam.
    /// let optimizer = Muon::new(0.001).exclude_layers(["output"]);
    /// let stack = Sequential::new()
    ///     .add(Input::new(3))
    ///     .add(Dense::new(8).activation(Relu))
    ///     .add(Dense::new(1).named("output"));
    /// let mut model = stack.compile(optimizer, MeanSquaredError::new(), ())?;
    /// model.fit(&Tensor::ones([8, 3])?, &Tensor::ones([8, 1])?, Fit::new().verbose(0))?;
    /// let slots = model.optimizer_state()?;
    /// assert!(slots.iter().any(|(name, _)| name == "dense/kernel/momentum"));
    /// assert!(slots.iter().any(|(name, _)| name == "output/kernel/v"));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub struct Muon {
        /// With this learning rate, a number or a schedule; Keras's default is 0.001.
        new(learning_rate: into LearningRate = 0.001);

        /// Adam's β₁; 0.9 by default.
        adam_beta_1: f64 = 0.9,
        /// Adam's β₂; 0.999 by default.
        adam_beta_2: f64 = 0.999,
        /// The decay of what Adam steps: a number or `None`; 0.004 by default.
        adam_weight_decay: into Option<f64> = 0.004,
        /// Adam's ε; 1e-7 by default.
        epsilon: f64 = 1e-7,
        /// The decay of matrices: a number or `None`; 0.004 by default.
        weight_decay: into Option<f64> = 0.004,
        exclude_layers: stored Vec<String> = Vec::new(),
        /// Whether Adam steps parameters whose path contains "embedding"; yes by default.
        exclude_embeddings: bool = true,
        /// The first factor of the iteration; 3.4445 by default.
        muon_a: f64 = 3.4445,
        /// The second; -4.775 by default.
        muon_b: f64 = -4.775,
        /// The third; 2.0315 by default.
        muon_c: f64 = 2.0315,
        /// Adam's rate as a multiple of the learning rate; 1 by default.
        adam_lr_ratio: f64 = 1.0,
        /// The share of the momentum that stays; 0.95 by default.
        momentum: f64 = 0.95,
        /// How often the iteration runs; 5 by default.
        ns_steps: usize = 5,
        /// Nesterov's momentum; yes by default.
        nesterov: bool = true,
        /// The step is multiplied by this and the root of the larger side (Liu et al. 2025), unless it is `None`; 0.2 by default.
        rms_rate: into Option<f64> = 0.2,
    }
}

/// Added to a norm that is divided by.
const NORM_EPSILON: f64 = 1e-7;

impl Muon {
    /// Adam steps the parameters whose path contains one of these. (In Keras they are regular expressions.)
    #[must_use]
    pub fn exclude_layers<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Muon {
        self.exclude_layers = names.into_iter().map(Into::into).collect();
        self
    }

    fn by_adam(&self, path: &str, parameter: Spec) -> bool {
        parameter.shape.rank() != 2
            || (self.exclude_embeddings && path.to_lowercase().contains("embedding"))
            || self.exclude_layers.iter().any(|name| path.contains(name.as_str()))
    }

    fn formula(&self) -> Formula {
        Formula { beta_1: self.adam_beta_1, beta_2: self.adam_beta_2, epsilon: self.epsilon }
    }

    /// A matrix of the same singular vectors, with singular values near 1.
    fn orthogonal(&self, x: &Tensor) -> Result<Tensor> {
        let is_tall = matches!(x.dims(), [rows, columns] if rows > columns);
        let mut x = if is_tall { x.t()? } else { x.clone() };
        x = x.div(&x.norm(2.0, &[], false)?.affine(1.0, NORM_EPSILON)?)?;
        for _ in 0..self.ns_steps {
            let a = x.matmul(&x.t()?)?;
            let b = a.affine(self.muon_b, 0.0)?.add(&a.affine(self.muon_c, 0.0)?.matmul(&a)?)?;
            x = x.affine(self.muon_a, 0.0)?.add(&b.matmul(&x)?)?;
        }
        if is_tall { x.t() } else { Ok(x) }
    }
}

impl Optimizer for Muon {
    fn slots(&self, path: &str, parameter: Spec) -> Vec<Slot> {
        match self.by_adam(path, parameter) {
            true => adam::slots(false).iter().map(|&name| Slot::new(name)).collect(),
            false => vec![Slot::new("momentum")],
        }
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn check(&self) -> Result<()> {
        let adam = [("adam_beta_1", self.adam_beta_1), ("adam_beta_2", self.adam_beta_2)];
        adam.iter().try_for_each(|(name, beta)| super::check_fading(name, *beta))?;
        super::check_epsilon(self.epsilon)?;
        Error::unless_not_negative("adam_weight_decay", self.adam_weight_decay.unwrap_or(0.0))?;
        Error::unless_not_negative("adam_lr_ratio", self.adam_lr_ratio)?;
        Error::unless_not_negative("rms_rate", self.rms_rate.unwrap_or(0.0))?;
        for (name, factor) in [("muon_a", self.muon_a), ("muon_b", self.muon_b), ("muon_c", self.muon_c)] {
            Error::unless_finite(name, factor)?;
        }
        check_setting("momentum", self.momentum, (0.0..=1.0).contains(&self.momentum), "0 to 1")?;
        let mut names = self.exclude_layers.iter();
        match names.find(|name| name.is_empty() || name.contains(['*', '^', '$', '|', '\\', '+', '?'])) {
            Some(name) => {
                let expected = "parts of paths, such as \"output\" (no regular expressions)";
                Err(Error::argument("exclude_layers", expected, format!("'{}'", name.escape_debug())))
            }
            None => Ok(()),
        }
    }
    fn options(&self) -> Options {
        Options { weight_decay: self.weight_decay, ..Options::default() }
    }
    fn weight_decay_of(&self, path: &str, parameter: Spec, decay: Option<f64>) -> Option<f64> {
        if self.by_adam(path, parameter) { self.adam_weight_decay } else { decay }
    }
    fn update(&self, step: &Step, mut u: Update<'_>) -> Result<()> {
        let g = u.gradient()?;
        if let [m] = &mut *u.slots {
            *m = m.affine(self.momentum, 0.0)?.add(g)?;
            let x = if self.nesterov { m.affine(self.momentum, 0.0)?.add(g)? } else { m.clone() };
            let side = u.w.dims().iter().copied().max().unwrap_or(1) as f64;
            let scale = self.rms_rate.map_or(1.0, |rate| rate * libm::sqrt(side));
            let change = self.orthogonal(&x)?.affine(step.learning_rate * scale, 0.0)?;
            *u.w = u.w.sub(&change)?;
            return Ok(());
        }
        let mut step = *step;
        step.learning_rate *= self.adam_lr_ratio;
        dispatch_float!("optimizer", u.w.dtype(), T => {
            let formula = self.formula();
            u.slices::<T>()?.in_parts(&|mut part| formula.update(&step, part.w, part.g, &mut part.slots));
        });
        Ok(())
    }
}
