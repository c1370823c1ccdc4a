//! `Model`: a compiled network. Parameters, optimizer state, losses and metrics are one value that can be trained,
//! asked for predictions, cloned and saved.

use super::head::{Head, Meter};
use super::history::{History, Logs};
use crate::nn::{IntoLayer, Item, ItemMut, Module, Network, Node, Path, Session, Shared, Summary, VisitMut};
use crate::optim::Driver;
use crate::tensor::Tensor;
use crate::{Error, Result};

/// The name of the number of steps in the optimizer's state. No slot has it, for they have paths.
const STEPS: &str = "steps";

fn steps_of(value: &Tensor) -> Result<u64> {
    let expected = "a scalar of type int64, 0 or more";
    match value.to_vec::<i64>().as_deref() {
        Ok(&[steps]) if value.rank() == 0 => {
            u64::try_from(steps).map_err(|_| Error::argument(STEPS, expected, steps))
        }
        _ => Err(Error::argument(STEPS, expected, value.spec())),
    }
}

/// A network with its optimizer, losses and metrics. It derefs to its [`Network`], so all of that type's methods
/// work here. `clone` is a snapshot that shares memory until one of the two changes; [`Model::clone_fresh`] starts
/// anew.
///
/// ```
/// use gradus::prelude::*;
///
/// let mut model = Sequential::new().add(Input::new(2)).add(Dense::new(1)).seed(1).compile("sgd", "mse", ["mae"])?;
/// let x = Tensor::rand([64, 2], 0)?;
/// let y = x.sum(&[1], true)?;
/// model.fit(&x, &y, Fit::new().epochs(50).verbose(0))?;
/// let scores = model.evaluate(&x, &y)?;
/// assert!(scores["mae"] < 0.2);
/// let again = Model::from_bytes(&model.to_bytes()?, gradus::io::Load::new())?;
/// assert!(again.predict(&x)?.same_bits(&model.predict(&x)?));
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) network: Network,
    pub(crate) head: Head,
    /// Figures of the epoch or the evaluation at hand.
    pub(crate) meter: Meter,
    pub(crate) driver: Driver,
    pub(crate) seed: u64,
    /// Training steps and epochs in the life of this model: random streams are keyed by them.
    pub(crate) steps: u64,
    pub(crate) epochs: u64,
    /// State that layers carry from one training step to the next.
    pub(crate) session: Session,
    pub(crate) stop_training: bool,
    /// Whether parameters and their moving averages have changed places.
    averages_in_use: bool,
    pub(crate) allow_missing: bool,
    pub(crate) check_finite: bool,
    /// The history of the last run of `fit`.
    pub(crate) history: History,
}

impl Model {
    pub(crate) fn new(network: Network, head: Head, driver: Driver) -> Model {
        Model {
            seed: network.seed(),
            meter: head.meter(),
            network,
            head,
            driver,
            steps: 0,
            epochs: 0,
            session: Session::new(),
            stop_training: false,
            averages_in_use: false,
            allow_missing: false,
            check_finite: false,
            history: History::default(),
        }
    }

    /// Returns the network without optimizer, losses and metrics: to cut it, join it with others, or serve it.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Returns the network and drops the rest, for another `compile`.
    pub fn into_network(self) -> Network {
        self.network
    }

    /// Returns the optimizer.
    pub fn optimizer(&self) -> &Driver {
        &self.driver
    }

    /// Returns the optimizer, to change its learning rate.
    pub fn optimizer_mut(&mut self) -> &mut Driver {
        &mut self.driver
    }

    /// All that the optimizer remembers, by name: `steps` (how many there have been, a scalar of type int64), and for each parameter
    /// that has been updated its slots, `dense/kernel/m`. See [`Driver::state`].
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let mut model = Sequential::new().add(Input::new(2)).add(Dense::new(1)).compile("adam", "mse", ())?;
    /// model.fit(&Tensor::ones([8, 2])?, &Tensor::ones([8, 1])?, Fit::new().verbose(0))?;
    ///
    /// let m = model.optimizer_slot("dense/kernel/m")?;
    /// model.set_optimizer_state(&[("dense/kernel/m".into(), m.affine(0.5, 0.0)?)])?; // the others stay
    /// assert!(model.optimizer_slot("dense/kernel/m")?.same_bits(&m.affine(0.5, 0.0)?));
    ///
    /// let all = model.optimizer_state()?;
    /// let mut again = model.clone_fresh(1)?;
    /// again.set_params(&model.params())?;
    /// again.set_optimizer_state(&all)?; // goes on as the first would
    /// assert_eq!(again.optimizer().steps(), model.optimizer().steps());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// Memory cannot be had.
    pub fn optimizer_state(&self) -> Result<Vec<(String, Tensor)>> {
        let steps = Tensor::scalar(self.driver.steps() as i64)?;
        let mut state = vec![(STEPS.to_string(), steps)];
        state.extend(self.driver.state(&self.network)?);
        Ok(state)
    }

    /// One tensor of [`Model::optimizer_state`].
    ///
    /// # Errors
    /// There is none of this name; the message lists those of the parameter, if it names one.
    pub fn optimizer_slot(&self, name: &str) -> Result<Tensor> {
        match self.optimizer_state()?.into_iter().find(|(known, _)| known == name) {
            Some((_, value)) => Ok(value),
            None => Err(self.driver.unknown_slot(&self.network, name)),
        }
    }

    /// Sets what is named as in [`Model::optimizer_state`]; all else stays.
    ///
    /// # Errors
    /// As [`Driver::set_state`], or `steps` is no scalar of type int64 from 0 to 2⁵³. Then nothing has changed.
    pub fn set_optimizer_state(&mut self, values: &[(String, Tensor)]) -> Result<()> {
        let (mut slots, mut steps) = (Vec::new(), self.driver.steps());
        for (name, value) in values {
            match name.as_str() {
                STEPS => steps = steps_of(value)?,
                _ => slots.push((name.clone(), value.clone())),
            }
        }
        let mut driver = self.driver.clone();
        driver.set_steps(steps)?;
        driver.set_state(&self.network, &slots)?;
        self.driver = driver;
        Ok(())
    }

    /// The present learning rate.
    pub fn learning_rate(&self) -> f64 {
        self.driver.learning_rate()
    }

    /// Sets the learning rate from here on.
    ///
    /// # Errors
    /// See [`Driver::set_learning_rate`].
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        self.driver.set_learning_rate(learning_rate)
    }

    /// Seed and step that key the random numbers of the next training step.
    pub(crate) fn draws_at(&self) -> (u64, u64) {
        (self.seed, self.steps)
    }

    /// Returns the history of the last run of `fit`; if it ended with an error, of the epochs before that. Files do
    /// not hold it.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let mut model = Sequential::new().add(Input::new(2)).add(Dense::new(1)).compile("sgd", "mse", ())?;
    /// let stop = gradus::train::LambdaCallback::new().on_epoch_end(|_, epoch, _| match epoch {
    ///     3 => Err(gradus::Error::Custom("the disk is full".into())),
    ///     _ => Ok(()),
    /// });
    /// let (x, y) = (Tensor::ones([8, 2])?, Tensor::ones([8, 1])?);
    /// let result = model.fit(&x, &y, Fit::new().epochs(10).callback(stop).verbose(0));
    /// assert!(result.is_err() && model.history()["loss"].len() == 3);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The figures so far: of the epoch in a callback of training, of the evaluation in one of evaluation, else of the last epoch or of
    /// the last `train_on_batch`.
    pub fn logs(&self) -> Logs {
        self.head.logs(&self.meter)
    }

    /// Asks a running `fit` to end after this epoch's callbacks.
    pub fn stop_training(&mut self) {
        self.stop_training = true;
    }

    /// Resets the state that layers carry from one training step to the next; `fit` begins with this.
    pub fn reset_states(&mut self) {
        self.session.reset();
    }

    /// See [`Network::set_params`].
    ///
    /// # Errors
    /// See [`Network::set_params`].
    pub fn set_params(&mut self, values: &[(String, Tensor)]) -> Result<()> {
        self.network.set_params(values)
    }

    /// See [`Network::set_trainable`].
    ///
    /// # Errors
    /// See [`Network::set_trainable`].
    pub fn set_trainable(&mut self, layer: &str, trainable: bool) -> Result<()> {
        self.network.set_trainable(layer, trainable)
    }

    /// See [`Network::set_all_trainable`].
    pub fn set_all_trainable(&mut self, trainable: bool) {
        self.network.set_all_trainable(trainable);
    }

    /// Returns the table of layers, with the size of the optimizer's state.
    pub fn summary_table(&self) -> Summary {
        self.network.summary_with(self.driver.state_elements())
    }

    /// Prints [`Model::summary_table`].
    #[expect(clippy::print_stdout, reason = "asked to")]
    pub fn summary(&self) {
        print!("{}", self.summary_table());
    }

    /// Returns the same network with parameters drawn anew from another seed and an optimizer at its start.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn clone_fresh(&self, seed: u64) -> Result<Model> {
        let network = self.network.clone_fresh(seed)?;
        Ok(Model::new(network, self.head.clone(), self.driver.fresh()))
    }

    /// Puts the moving averages of parameters in their places, or back. Nothing happens where they are there already.
    pub(super) fn use_averages(&mut self, averages: bool) {
        if self.averages_in_use != averages {
            self.driver.swap_averages(&mut self.network);
            self.averages_in_use = averages;
        }
    }

    /// Ends training: parameters take their moving averages, if the optimizer keeps them.
    pub(crate) fn finalize(&mut self) {
        self.use_averages(false);
        self.driver.finalize(&mut self.network);
    }
}

impl std::ops::Deref for Model {
    type Target = Network;
    fn deref(&self) -> &Network {
        &self.network
    }
}

/// Used as a layer, a model is its network.
impl IntoLayer for &Model {
    fn into_layer(self) -> Shared {
        (&self.network).into_layer()
    }
}

impl Module for Model {
    fn walk(&self, at: &mut Path, f: &mut dyn FnMut(&Path, Item<'_>)) {
        self.network.walk(at, f);
    }
    fn walk_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, ItemMut<'_>)) {
        self.network.walk_mut(at, f);
    }
    fn visit_mut(&mut self, f: VisitMut<'_>) {
        self.network.visit_mut(f);
    }
    fn as_node(&self) -> Option<&dyn Node> {
        Some(&self.network)
    }
}
