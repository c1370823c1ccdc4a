//! `Cx`: the context of a forward pass. It holds everything the pass needs besides its input, since there is no
//! global mode, seed or registry, and collects what layers hand back besides their outputs ([`Effects`]).

use super::activation::count_foreign;
use super::regularizer::Regularizer;
use super::{Init, Key, Module, Param, Value};
use crate::autograd::{Cut, fresh_id};
use crate::config::Dyn;
use crate::error::Context;
use crate::random::{Purpose, Stream, read_too_early};
use crate::tensor::{Array, Few, PoolVec, Tensor, Tensors};
use crate::{DType, Error, Result};

/// The context of one forward pass: mode, tracking, randomness, state carried between calls, and what layers hand back.
///
/// ```
/// use gradus::nn::Cx;
/// use gradus::prelude::*;
///
/// let network = Sequential::new().add(Input::new(3)).add(Dropout::new(0.5)).add(Dense::new(1)).build()?;
/// let x = Tensor::ones([4, 3])?;
/// let mut cx = Cx::train(7, 0); // dropout draws for step 0 of the seed 7; parameters are tracked
/// let loss = network.forward(&x, &mut cx)?.square()?.mean(&[], false)?;
/// let gradients = loss.backward()?;
/// let y = network.forward(&x, &mut Cx::infer())?; // nothing is dropped or tracked
/// # let _ = (gradients, y);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Debug)]
pub struct Cx {
    training: bool,
    tracks: bool,
    /// Whether parameters are leaves without values, as in a trace that becomes a graph.
    traced: bool,
    /// Whether to note which steps were recorded while which layer ran, as in such a trace.
    scoped: bool,
    scopes: Vec<Scope>,
    /// The path of the running layer.
    path: String,
    compute: Option<DType>,
    seed: u64,
    step: u64,
    /// How often each key has drawn in this pass.
    drawn: Few<(u64, u32), 4>,
    /// How often each key has taken out its state in this pass.
    carried: Few<(u64, u32), 4>,
    updates: PoolVec<(u64, Tensor)>,
    losses: Tensors,
    /// Values that replace parameters, by id: those of a checkpoint, and those that were cast.
    bound: PoolVec<(u64, Tensor)>,
    session: Session,
    /// What has been drawn for the current sequence, by key; `None` outside of one.
    sequence: Option<Few<(u64, Tensor), 2>>,
    /// What parts build themselves with while a network is traced for the first time.
    init: Option<Init>,
}

impl Cx {
    /// Creates the context of a training step: parameters are tracked and dropout drops. `step` makes random layers
    /// draw other numbers in each step.
    pub fn train(seed: u64, step: u64) -> Cx {
        Cx { training: true, tracks: true, step, seed, ..Cx::infer() }
    }

    /// Creates the context of inference: nothing is recorded, nothing is random.
    pub fn infer() -> Cx {
        Cx {
            training: false,
            tracks: false,
            traced: false,
            scoped: false,
            scopes: Vec::new(),
            path: String::new(),
            compute: None,
            seed: 0,
            step: 0,
            drawn: Few::new(),
            carried: Few::new(),
            updates: PoolVec::new(),
            losses: Tensors::new(),
            bound: PoolVec::new(),
            session: Session::new(),
            sequence: None,
            init: None,
        }
    }

    /// Casts parameters to this dtype when they are read, once per pass.
    #[must_use]
    pub fn compute(mut self, dtype: DType) -> Cx {
        self.compute = Some(dtype);
        self
    }

    /// Continues with the state that earlier calls left; anew, if a failed call lost it.
    #[must_use]
    pub fn resume(mut self, session: Session) -> Cx {
        self.session = Session { lost: false, ..session };
        self
    }

    // ---- mode and tracking

    /// Returns whether layers behave as in training: dropout drops, statistics move.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// Returns whether trainable parameters are tracked, so that gradients reach them.
    pub fn tracks(&self) -> bool {
        self.tracks
    }

    /// Runs `f` as inference: dropout does nothing and statistics do not change, while parameters are tracked as
    /// before.
    pub fn as_inference<R>(&mut self, f: impl FnOnce(&mut Cx) -> R) -> R {
        let before = std::mem::replace(&mut self.training, false);
        let result = f(self);
        self.training = before;
        result
    }

    /// Runs `f` without tracking parameters: gradients flow through layers, but not into them.
    pub fn untracked<R>(&mut self, f: impl FnOnce(&mut Cx) -> R) -> R {
        let before = std::mem::replace(&mut self.tracks, false);
        let result = f(self);
        self.tracks = before;
        result
    }

    // ---- parameters and statistics

    /// Returns the value of an optional parameter: [`Cx::param`] if it is there.
    ///
    /// # Errors
    /// Those of [`Cx::param`].
    pub fn param_if(&mut self, p: &Option<Param>) -> Result<Option<Tensor>> {
        p.as_ref().map(|p| self.param(p)).transpose()
    }

    /// Returns a parameter's value to compute with: tracked if the pass tracks and it is trainable. If it is read
    /// twice, its gradients add up.
    ///
    /// # Errors
    /// It cannot be cast to the dtype of [`Cx::compute`].
    pub fn param(&mut self, p: &Param) -> Result<Tensor> {
        if let Some((_, value)) = self.bound.iter().find(|(id, _)| *id == p.id()) {
            return Ok(value.clone());
        }
        let wants = self.tracks && p.trainable();
        let value = match self.traced {
            true => Tensor::leaf(Array::traced(p.value().spec()), p.id(), wants),
            false if wants => Tensor::leaf(p.value().array().clone(), p.id(), true),
            false => p.value().clone().with_cut(Some(if self.tracks { Cut::Frozen } else { Cut::Untracked })),
        };
        match self.compute {
            Some(dtype) if dtype != value.dtype() => {
                let cast = value.cast(dtype)?;
                self.bound.push((p.id(), cast.clone()));
                Ok(cast)
            }
            _ => Ok(value),
        }
    }

    /// Returns the rows `ids` (int64, any shape) of a parameter: `cx.param(p)?.gather(ids, 0)`, but the gradient
    /// holds only the rows that were read, so that the cost of a step depends on the batch and not on the size of
    /// the table. (Reading it as a whole parameter too makes the gradient dense again.) Under [`Cx::compute`] the
    /// rows are cast after they are read, so that the gradients of a row that is read several times add up in the
    /// parameter's dtype.
    ///
    /// # Errors
    /// An index is out of range, `ids` are not int64, the parameter has no axes, or those of [`Cx::param`].
    pub fn rows(&mut self, p: &Param, ids: &Tensor) -> Result<Tensor> {
        let bound = self.bound.iter().any(|(id, _)| *id == p.id());
        let learns = self.tracks && p.trainable();
        if bound || !learns || self.traced || p.value().is_traced() || ids.is_traced() {
            return self.param(p)?.rows(ids);
        }
        // Read first and tracked from there on, so that the tape knows of no other rows.
        let rows = p.value().rows(ids)?.into_array();
        let index = ids.array().contiguous()?;
        let rows = Tensor::leaf_of_rows(rows, p.id(), index, p.value().array());
        match self.compute {
            Some(dtype) if dtype != rows.dtype() => rows.cast(dtype),
            _ => Ok(rows),
        }
    }

    /// Returns a state's value: the one that an earlier call of this pass has set, else the one from before the
    /// pass.
    pub fn state(&self, p: &Param) -> Tensor {
        match self.updates.iter().find(|(id, _)| *id == p.id()) {
            Some((_, pending)) => pending.clone(),
            None if self.traced => Tensor::leaf(Array::traced(p.value().spec()), p.id(), false),
            None => p.value().clone(),
        }
    }

    /// Sets a parameter once the step has succeeded, as running statistics need. The last value wins, so start from
    /// [`Cx::state`], which sees earlier ones.
    pub fn update(&mut self, p: &Param, value: &Tensor) {
        let value = value.detach();
        match self.updates.iter_mut().find(|(id, _)| *id == p.id()) {
            Some((_, pending)) => *pending = value,
            None => self.updates.push((p.id(), value)),
        }
    }

    // ---- losses

    /// Adds a term to the loss (Keras: `add_loss`).
    pub fn add_loss(&mut self, term: Tensor) {
        self.losses.push(term);
    }

    /// Adds a layer's activity penalty, divided by the batch size, to the loss (Keras: `activity_regularizer`).
    ///
    /// # Errors
    /// The output's dtype is not float32 or float64.
    pub fn regularize_activity(&mut self, regularizer: &dyn Regularizer, output: &Tensor) -> Result<()> {
        if output.is_traced() {
            count_foreign(); // it may be the user's
        }
        let penalty = regularizer.penalty(output)?;
        let Some(&rows) = output.dims().first() else {
            self.add_loss(penalty);
            return Ok(());
        };
        // Counted rather than read: a graph may run on another batch.
        let rows = output.new_full([rows], 1.0)?.sum(&[], false)?;
        self.add_loss(penalty.div(&rows.maximum(&rows.new_full([], 1.0)?)?)?);
        Ok(())
    }

    /// Adds the penalty on each output of a layer, divided by the batch size, to the loss.
    pub(crate) fn regularize_outputs(
        &mut self,
        regularizer: Option<&Dyn<dyn Regularizer>>,
        outputs: &[Value],
    ) -> Result<()> {
        let Some(regularizer) = regularizer else { return Ok(()) };
        outputs.iter().try_for_each(|output| self.regularize_activity(&**regularizer, &output.tensor))
    }

    // ---- randomness and carried state

    /// Returns the next stream of random numbers of a key. Its numbers depend on the seed, the key's number, how
    /// often the key has drawn in this pass, and the step.
    pub fn stream(&mut self, key: &Key) -> Stream {
        let number = key.number();
        let call = count(&mut self.drawn, key);
        let purpose = match call {
            0 => Purpose::Layer(number),
            call => Purpose::LayerAgain { key: number, call },
        };
        if self.traced { Stream::traced(purpose) } else { Stream::new(self.seed, purpose, self.step) }
    }

    /// Runs `f`, which goes through a sequence in time steps: what [`Cx::once_a_sequence`] draws inside is drawn
    /// once.
    pub fn sequence<R>(&mut self, f: impl FnOnce(&mut Cx) -> R) -> R {
        let outside = self.sequence.replace(Few::new());
        let result = f(self);
        self.sequence = outside;
        result
    }

    /// Returns what `draw` gives at the first time step of a sequence, and the same at every later one, as the
    /// dropout masks of recurrent cells need. Outside of a sequence each call draws.
    ///
    /// # Errors
    /// Those of `draw`.
    pub fn once_a_sequence(
        &mut self,
        key: &Key,
        draw: impl FnOnce(&mut Cx) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let slot = key.slot();
        let mut drawn = self.sequence.iter().flatten();
        if let Some((_, tensor)) = drawn.find(|(k, _)| *k == slot) {
            return Ok(tensor.clone());
        }
        let tensor = draw(self)?;
        if let Some(drawn) = &mut self.sequence {
            drawn.push((slot, tensor.clone()));
        }
        Ok(tensor)
    }

    /// Takes out the state that a key left in the session, so that it can be changed in place; `None` if there is
    /// none yet. A layer that is called several times in a pass has one state per call.
    pub fn carry(&mut self, key: &Key) -> Option<Tensor> {
        let call = count(&mut self.carried, key);
        self.session.take(key, call)
    }

    /// Stores a key's state for the next pass: that of the call which [`Cx::carry`] has begun.
    pub fn set_carry(&mut self, key: &Key, state: Tensor) {
        let call = self.carried.iter().find(|(k, _)| *k == key.slot()).map_or(0, |(_, calls)| *calls);
        self.session.set(key, call, state.detach());
    }

    // ---- the end of a pass

    /// Ends the pass and returns what layers have handed back.
    pub fn finish(self) -> Effects {
        Effects { losses: self.losses, updates: self.updates, session: self.session }
    }

    // ---- for the library

    /// Returns the context as it is now, without added losses: a pass that begins with it draws the same numbers
    /// and reads the same statistics.
    pub(crate) fn again(&self) -> Cx {
        let Cx { training, tracks, traced, compute, seed, step, .. } = *self;
        Cx {
            training,
            tracks,
            traced,
            compute,
            seed,
            step,
            drawn: self.drawn.clone(),
            carried: self.carried.clone(),
            updates: self.updates.clone(),
            session: self.session.clone(),
            sequence: self.sequence.clone(),
            ..Cx::infer()
        }
    }

    /// Returns the statistics, the carried state and what was drawn for a sequence: the tensors that [`Cx::again`]
    /// begins with.
    pub(crate) fn tensors(&self) -> PoolVec<Tensor> {
        let states = self.session.states().map(|(_, state)| state);
        let drawn = self.sequence.iter().flatten().map(|(_, drawn)| drawn);
        self.updates.iter().map(|(_, value)| value).chain(states).chain(drawn).cloned().collect()
    }

    /// Returns the same pass with other values for the result of [`Cx::tensors`]: in a trace if they are traced,
    /// else at this seed and step if that was one.
    pub(crate) fn again_from(&self, tensors: &[Tensor], traced: bool, at: Option<(u64, u64)>) -> Cx {
        let mut cx = self.again();
        let updates = cx.updates.iter_mut().map(|(_, value)| value);
        let states = cx.session.states.iter_mut().map(|(_, state)| state);
        let drawn = cx.sequence.iter_mut().flatten().map(|(_, drawn)| drawn);
        updates.chain(states).chain(drawn).zip(tensors).for_each(|(place, value)| *place = value.clone());
        if let (true, false, Some((seed, step))) = (cx.traced, traced, at) {
            (cx.traced, cx.seed, cx.step) = (false, seed, step);
        }
        cx.traced &= traced;
        cx
    }

    /// Runs `f` while these values replace parameters. Returns its result and the terms it added to the loss, which
    /// are taken out.
    pub(crate) fn with_bound<R>(
        &mut self,
        bound: PoolVec<(u64, Tensor)>,
        f: impl FnOnce(&mut Cx) -> R,
    ) -> (R, Tensors) {
        let outside = std::mem::replace(&mut self.bound, bound);
        let losses = self.take_losses();
        let result = f(self);
        self.bound = outside;
        (result, std::mem::replace(&mut self.losses, losses))
    }

    /// Runs `f` while this value replaces a parameter.
    pub(crate) fn with_param<R>(&mut self, p: &Param, value: Tensor, f: impl FnOnce(&mut Cx) -> R) -> R {
        // Goes before the value of an outer checkpoint, or one that was cast. Values cast meanwhile come after it.
        self.bound.insert(0, (p.id(), value));
        let result = f(self);
        self.bound.rotate_left(1);
        self.bound.pop();
        result
    }

    /// Makes this the context of a trace that becomes a graph: parameters and states are leaves without values, and
    /// draws are recorded by their key.
    #[must_use]
    pub(crate) fn traced(mut self) -> Cx {
        (self.traced, self.scoped) = (true, true);
        self
    }

    /// Notes which steps of the tape belong to which layer, for [`Cx::layer_of`].
    #[must_use]
    pub(crate) fn scoped(mut self) -> Cx {
        self.scoped = true;
        self
    }

    /// Returns the path of the innermost layer that was running when a step was recorded.
    pub(crate) fn layer_of(&self, step: u64) -> Option<&str> {
        let around = self.scopes.iter().filter(|scope| (scope.first..scope.end).contains(&step));
        around.max_by_key(|scope| scope.first).map(|scope| scope.path.as_str())
    }

    /// Runs a layer; in a trace that becomes a graph, what is recorded meanwhile belongs to it.
    pub(crate) fn inside<R>(&mut self, name: &str, f: impl FnOnce(&mut Cx) -> R) -> R {
        if !self.scoped || name.is_empty() {
            return f(self);
        }
        let (outside, first, early) = (self.path.len(), fresh_id(), read_too_early());
        if outside > 0 {
            self.path.push('/');
        }
        self.path.push_str(name);
        let result = f(self);
        let drew = read_too_early() != early;
        self.scopes.push(Scope { first, end: fresh_id(), path: self.path.clone(), drew });
        self.path.truncate(outside);
        result
    }

    pub(crate) fn take_scopes(&mut self) -> Vec<Scope> {
        std::mem::take(&mut self.scopes)
    }

    pub(crate) fn take_losses(&mut self) -> Tensors {
        std::mem::take(&mut self.losses)
    }

    /// Runs `f` while parts can build themselves with `init`.
    pub(crate) fn building<R>(init: &mut Init, f: impl FnOnce(&mut Cx) -> R) -> R {
        let lent = std::mem::replace(init, Init::new(0, init.dtype()));
        let mut cx = Cx { init: Some(lent), ..Cx::infer() };
        let result = f(&mut cx);
        if let Some(back) = cx.init {
            *init = back;
        }
        result
    }

    /// Returns what a part that is called for the first time builds itself with.
    pub(crate) fn init(&mut self) -> Option<&mut Init> {
        self.init.as_mut()
    }
}

/// The steps between two numbers, which were recorded while this layer ran.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) path: String,
    /// Whether it read numbers of a stream that has none yet.
    pub(crate) drew: bool,
}

/// Counts a key, and returns how often it was counted before.
fn count(counts: &mut Few<(u64, u32), 4>, key: &Key) -> u32 {
    let slot = key.slot();
    match counts.iter_mut().find(|(k, _)| *k == slot) {
        Some((_, calls)) => {
            *calls += 1;
            *calls
        }
        None => {
            counts.push((slot, 0));
            0
        }
    }
}

/// What the layers of a pass have handed back besides their outputs.
#[derive(Debug, Default)]
pub struct Effects {
    /// Terms to add to the loss (`Cx::add_loss`).
    pub losses: Tensors,
    updates: PoolVec<(u64, Tensor)>,
    /// The state for the next call.
    pub session: Session,
}

impl Effects {
    /// Updates the running statistics of the network that the pass went through.
    ///
    /// # Errors
    /// A new value has another shape or dtype than its parameter; nothing is changed then.
    pub fn apply(&self, network: &mut (impl Module + ?Sized)) -> Result<()> {
        self.check(network)?;
        self.apply_checked(network)
    }

    /// [`Effects::apply`] after [`Effects::check`] has succeeded.
    pub(crate) fn apply_checked(&self, network: &mut (impl Module + ?Sized)) -> Result<()> {
        let mut result = Ok(());
        if !self.updates.is_empty() {
            network.visit_mut(&mut |path, p| {
                if let (Some(value), Ok(())) = (self.update(p), &result) {
                    result = p.set(value.clone()).at(|| path.as_str());
                }
            });
        }
        result
    }

    /// Fails if [`Effects::apply`] would.
    pub(crate) fn check(&self, network: &(impl Module + ?Sized)) -> Result<()> {
        if self.updates.is_empty() {
            return Ok(());
        }
        let mut misfit = None;
        network.visit(&mut |path, p| {
            if let Some(value) = self.update(p).filter(|v| v.spec() != p.value().spec()) {
                let why = format!("the update of '{path}' has another shape or dtype than the parameter");
                misfit = Some(Error::shapes("update", *p.value().shape(), *value.shape(), why));
            }
        });
        misfit.map_or(Ok(()), Err)
    }

    /// Iterates over the new values of states, by the ids of their parameters.
    pub(crate) fn updates(&self) -> impl Iterator<Item = (u64, &Tensor)> {
        self.updates.iter().map(|(id, value)| (*id, value))
    }

    fn update(&self, p: &Param) -> Option<&Tensor> {
        self.updates.iter().find(|(id, _)| *id == p.id()).map(|(_, value)| value)
    }
}

/// State carried from one call of a network to the next: that of stateful recurrent layers, the keys and values
/// that a decoder has seen. It belongs to the caller; a new session starts without state. A call that fails on the way
/// loses the state, and the session then takes no other call before it is [reset](Session::reset).
///
/// ```
/// use gradus::nn::Session;
/// use gradus::prelude::*;
///
/// let network = Sequential::new().add(Input::with_unknown([None, Some(3)])).add(GRU::new(4).stateful(true)).build()?;
/// let x = Tensor::rand([1, 6, 3], 0)?;
/// let mut session = Session::new(); // one for each stream or conversation
/// network.predict_in(&mut session, &x.slice(1, 0, 2)?)?;
/// let rest = network.predict_in(&mut session, &x.slice(1, 2, 6)?)?;
/// assert!(rest.same_bits(&network.predict(&x)?));
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// By key and number of the call in a pass.
    states: Few<((u64, u32), Tensor), 2>,
    /// Whether there was state that a failed call left nothing of.
    lost: bool,
}

impl Session {
    /// Creates a session without state.
    pub fn new() -> Session {
        Session::default()
    }

    /// Drops all state, so that the next call begins anew.
    pub fn reset(&mut self) {
        *self = Session::new();
    }

    /// Takes the states out for a call, which puts the new ones back. If it fails they are lost, since it may have written
    /// into them, and no call goes on from there.
    ///
    /// # Errors
    /// A call before lost them.
    pub(crate) fn begin(&mut self) -> Result<Session> {
        if self.lost {
            let expected = "a session with its state (`reset` it, or make a new one, to begin anew)";
            return Err(Error::argument("session", expected, "one whose state a failed call has lost"));
        }
        let lost = !self.is_empty();
        Ok(std::mem::replace(self, Session { states: Few::new(), lost }))
    }

    /// Returns whether there is no state: none yet, or it was lost.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Iterates over what each key left at each of its calls.
    pub(crate) fn states(&self) -> impl Iterator<Item = ((u64, u32), &Tensor)> {
        self.states.iter().map(|(at, state)| (*at, state))
    }

    /// Returns one of these states.
    pub(crate) fn state(&self, key: u64, call: u32) -> Option<&Tensor> {
        self.states().find(|(at, _)| *at == (key, call)).map(|(_, state)| state)
    }

    /// Takes one of these states out.
    pub(crate) fn take_state(&mut self, at: (u64, u32)) -> Option<Tensor> {
        let place = self.states.iter().position(|(k, _)| *k == at)?;
        Some(self.states.swap_remove(place).1)
    }

    /// Makes a session of these states.
    pub(crate) fn of(states: impl IntoIterator<Item = ((u64, u32), Tensor)>) -> Session {
        Session { states: states.into_iter().collect(), lost: false }
    }

    fn take(&mut self, key: &Key, call: u32) -> Option<Tensor> {
        self.take_state((key.slot(), call))
    }

    fn set(&mut self, key: &Key, call: u32, state: Tensor) {
        self.take(key, call);
        self.states.push(((key.slot(), call), state));
    }
}
