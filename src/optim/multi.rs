//! `MultiOptimizer`: several optimizers for one network. Each parameter goes to one of them, each with its own rate, options and state.

use super::group::matches;
use super::{LearningRate, Optimizer, Slot, Step, Update};
use crate::config::Dyn;
use crate::{Error, Result, Spec, settings};

settings! {
    /// Several optimizers for one network, by the paths of parameters (Keras's `MultiOptimizer` of an `OptimizerMap`).
    ///
    /// ```
    /// use gradus::optim::MultiOptimizer;
    /// use gradus::prelude::*;
    ///
    /// let optimizer = MultiOptimizer::new(SGD::new(0.1).clipnorm(1.0)) // for all that no pattern stands for
    ///     .optimizer("words", Adagrad::new(0.05))
    ///     .optimizer("*/bias", Adam::new(1e-3));
    /// let stack = Sequential::new()
    ///     .add(Input::new([3]).dtype(DType::I64))
    ///     .add(Embedding::new(100, 4).named("words"))
    ///     .add(Flatten::new())
    ///     .add(Dense::new(1));
    /// let mut model = stack.compile(optimizer, MeanSquaredError::new(), ())?;
    /// model.fit(&Tensor::zeros([8, 3])?.cast(DType::I64)?, &Tensor::ones([8, 1])?, Fit::new().verbose(0))?;
    /// let names: Vec<String> = model.optimizer_state()?.into_iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["steps", "words/embeddings/accumulator", "dense/bias/m", "dense/bias/v"]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// A pattern is a path, or that of something which parameters lie in; `*` is any text. A whole path goes before other patterns; a
    /// parameter that two of those stand for is an error of `compile`, and so is a pattern that stands for none. Clipping by a global
    /// norm looks at the gradients of its own optimizer alone, as in Keras. The learning rate that a model tells is that of the default
    /// optimizer, and none can be set from outside.
    pub struct MultiOptimizer {
        /// With the optimizer of all parameters that no pattern stands for.
        new(default_optimizer: into Dyn<dyn Optimizer>);

        optimizer_map: stored Vec<(String, Dyn<dyn Optimizer>)> = Vec::new(),
    }
}

impl MultiOptimizer {
    /// With an optimizer for the parameters of a pattern.
    #[must_use]
    pub fn optimizer(mut self, pattern: impl Into<String>, optimizer: impl Into<Dyn<dyn Optimizer>>) -> Self {
        self.optimizer_map.push((pattern.into(), optimizer.into()));
        self
    }

    /// All, the default first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Dyn<dyn Optimizer>> {
        std::iter::once(&self.default_optimizer)
            .chain(self.optimizer_map.iter().map(|(_, optimizer)| optimizer))
    }

    /// The number of the optimizer of a parameter among them.
    pub(super) fn choose(&self, path: &str) -> usize {
        let at =
            |fits: &dyn Fn(&str) -> bool| self.optimizer_map.iter().position(|(pattern, _)| fits(pattern));
        at(&|pattern| pattern == path)
            .or_else(|| at(&|pattern| matches(pattern, path)))
            .map_or(0, |at| at + 1)
    }

    /// Fails if a pattern stands for no parameter, or two for one.
    pub(super) fn check_paths(&self, paths: &[String]) -> Result<()> {
        let patterns = || self.optimizer_map.iter().map(|(pattern, _)| pattern.as_str());
        for path in paths.iter().filter(|path| !patterns().any(|pattern| pattern == path.as_str())) {
            let fitting: Vec<String> = patterns()
                .filter(|pattern| matches(pattern, path))
                .map(|p| format!("'{}'", p.escape_debug()))
                .collect();
            if fitting.len() > 1 {
                let expected = format!("one pattern for '{path}'");
                return Err(Error::argument("optimizer_map", expected, fitting.join(" and ")));
            }
        }
        for (i, pattern) in patterns().enumerate() {
            if !paths.iter().any(|path| self.choose(path) == i + 1) {
                let expected = "patterns of parameters that no other stands for";
                return Err(Error::argument(
                    "optimizer_map",
                    expected,
                    format!("'{}'", pattern.escape_debug()),
                ));
            }
        }
        Ok(())
    }
}

impl Optimizer for MultiOptimizer {
    fn slots(&self, path: &str, parameter: Spec) -> Vec<Slot> {
        let chosen = self.all().nth(self.choose(path));
        chosen.map_or_else(Vec::new, |optimizer| optimizer.slots(path, parameter))
    }
    fn learning_rate(&self) -> LearningRate {
        self.default_optimizer.learning_rate()
    }
    fn check(&self) -> Result<()> {
        for optimizer in self.all() {
            if optimizer.several().is_some() {
                return Err(Error::argument(
                    "optimizer_map",
                    "optimizers of one kind each",
                    "a MultiOptimizer",
                ));
            }
        }
        Ok(())
    }
    fn several(&self) -> Option<&MultiOptimizer> {
        Some(self)
    }
    fn update(&self, _: &Step, u: Update<'_>) -> Result<()> {
        // The driver calls its optimizers, not this.
        let why = format!(
            "a MultiOptimizer has no update of its own for '{}': it cannot be in another optimizer",
            u.path
        );
        Err(Error::Custom(why))
    }
}
