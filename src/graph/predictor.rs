//! `Predictor`: a network as it is now, made ready to predict as fast as it can, from any number of threads.

use super::plan::{Clock, Plan, Room};
use super::profile::{Profile, Timed};
use super::weights::Weights;
use super::{Graph, Source, ValueId, parameters};
use crate::kernels::par;
use crate::nn::{Module, Network, Predict, Session, agreed, only_output};
use crate::tensor::arena::Arena;
use crate::tensor::{Array, AsTensors, Tensor, Tensors, rows, trim};
use crate::{Element, Result, Spec, UNKNOWN};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// A snapshot of a network that only predicts: the bits of [`Network::predict`], sooner. It can be shared by any
/// number of threads, which do not wait for each other, and a call asks nothing of the system once it is warm.
///
/// For each set of shapes that it is given, the network is captured as a graph, what does not change from call to
/// call is computed once, and all intermediate values get their places in one block of memory; the last few such
/// plans are kept. The network may be trained on: the snapshot stays what it was.
///
/// ```
/// use gradus::prelude::*;
///
/// let network = Sequential::new().add(Input::new([4])).add(Dense::new(3).activation(Relu)).build()?;
/// let predictor = network.predictor()?;
/// let x = Tensor::rand([5, 4], 0)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| predictor.predict(&x).unwrap());
///     scope.spawn(|| predictor.predict(&x).unwrap());
/// });
/// assert!(predictor.predict(&x)?.same_bits(&network.predict(&x)?));
/// # Ok::<(), gradus::Error>(())
/// ```
pub struct Predictor {
    /// The network, whose parameters have shapes only.
    network: Network,
    /// Its parameters: values, or what operations have made of them, such as packed kernels.
    weights: Mutex<Weights>,
    /// The plans, the last used first.
    plans: Mutex<Vec<Arc<Plan>>>,
    seats: Vec<Seat>,
    settings: Pack,
}

/// The settings of a predictor.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Pack {
    fold: bool,
}

impl Pack {
    /// Creates the default: the bits of the network.
    pub fn new() -> Pack {
        Pack::default()
    }

    /// Computes the scale and shift that batch normalization is in inference into the weights of the convolution or
    /// dense layer before it; `false` by default. It saves some arithmetic, but results then differ from the network's in
    /// the last digits: a weight times a scale is rounded before it is multiplied with an input.
    pub fn fold(self, fold: bool) -> Pack {
        Pack { fold }
    }
}

/// What one call at a time works with. Each is in a cache line of its own.
#[repr(align(128))]
#[derive(Default)]
struct Seat(Mutex<Caller>);

/// The memory of a caller, and the plans that it has used, the last first.
#[derive(Default)]
struct Caller {
    arena: Arena,
    rooms: Vec<Room>,
}

/// The plans that are kept.
const PLANS: usize = 8;
/// The calls at a time that find memory waiting for them; more than these allocate it.
const SEATS: usize = 64;
/// The largest constant that is computed once instead of in each call, in bytes.
pub(super) const FOLDED: usize = 1 << 20;

impl Network {
    /// Returns a [`Predictor`] of the network as it is now.
    ///
    /// # Errors
    /// A layer cannot be captured: it reads values in `forward`, or can only give shapes. The message names it and
    /// says what to write instead.
    pub fn predictor(&self) -> Result<Predictor> {
        self.clone().into_predictor()
    }

    /// [`Network::predictor`] that takes the network, so that nothing of it is kept that prediction does not need.
    ///
    /// # Errors
    /// Those of [`Network::predictor`].
    pub fn into_predictor(self) -> Result<Predictor> {
        self.into_predictor_with(&Pack::new())
    }

    /// [`Network::predictor`] with settings.
    ///
    /// ```
    /// use gradus::graph::Pack;
    /// use gradus::prelude::*;
    ///
    /// let network = Sequential::new().add(Input::new([9, 9, 3])).add(Conv2D::new(4, 3)).add(BatchNormalization::new());
    /// let network = network.build()?;
    /// let x = Tensor::ones([2, 9, 9, 3])?;
    /// let folded = network.predictor_with(&Pack::new().fold(true))?.predict(&x)?;
    /// assert!(folded.sub(&network.predict(&x)?)?.abs()?.max(&[], false)?.item()? < 1e-5); // not the same bits
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Network::predictor`].
    pub fn predictor_with(&self, settings: &Pack) -> Result<Predictor> {
        self.clone().into_predictor_with(settings)
    }

    /// [`Network::into_predictor`] with settings.
    ///
    /// # Errors
    /// Those of [`Network::predictor`].
    pub fn into_predictor_with(self, settings: &Pack) -> Result<Predictor> {
        // With its values, so that the message names a layer that reads one.
        let [apart, equal] = self.trial_inputs();
        let captured =
            |traces: &[Vec<Spec>; 2]| agreed(traces.each_ref().map(|specs| Graph::of_network(&self, specs)));
        // Sizes that are not known may have to be equal.
        captured(&apart).or_else(|error| captured(&equal).map_err(|_| error))?;
        // What was needed to build it is not any more, and packing needs memory.
        trim();
        let mut values = Vec::new();
        parameters("", &self, &mut |path, p| values.push((path.to_string(), p.value().clone())));
        let mut network = self;
        network.plans.forget();
        network.visit_mut(&mut |_, p| *p.value_mut() = Array::traced(p.value().spec()).into());
        let inputs = network.input_specs();
        let settled =
            inputs.iter().all(|spec| !spec.shape.dims().iter().skip(1).any(|&size| size == UNKNOWN));
        let weights = Mutex::new(Weights::new(values.into_iter(), settled));
        let seats = (0..SEATS).map(|_| Seat::default()).collect();
        let predictor = Predictor { network, weights, plans: Mutex::default(), seats, settings: *settings };
        if settled {
            // Weights are packed now, for one row; what it cannot be is said when it is tried.
            let row =
                inputs.iter().map(|spec| Spec::new(spec.shape.with(0, 1), spec.dtype)).collect::<Vec<_>>();
            let plan = predictor.planned(&row, None);
            predictor.lock_plans().extend(plan.ok().map(Arc::new));
        }
        Ok(predictor)
    }
}

/// Returns the number of this thread, which chooses its seat.
fn thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

impl Predictor {
    /// Returns the output for each row, as [`Network::predict`] does.
    ///
    /// # Errors
    /// The data does not fit, or the network has more than one output (use [`Predictor::predict_all`]).
    pub fn predict(&self, x: &(impl AsTensors + ?Sized)) -> Result<Tensor> {
        only_output(self.predict_all(x)?)
    }

    /// Returns every output for each row, as [`Network::predict_all`] does.
    ///
    /// # Errors
    /// The data does not fit.
    pub fn predict_all(&self, x: &(impl AsTensors + ?Sized)) -> Result<Tensors> {
        self.predict_with(x, &Predict::new())
    }

    /// [`Predictor::predict_all`] with settings, such as a cancellation token.
    ///
    /// # Errors
    /// Those of [`Predictor::predict_all`], a setting is out of range, or the token was cancelled.
    pub fn predict_with(&self, x: &(impl AsTensors + ?Sized), settings: &Predict) -> Result<Tensors> {
        self.predict_rows(&x.as_tensors(), settings)
    }

    fn predict_rows(&self, x: &[Tensor], settings: &Predict) -> Result<Tensors> {
        self.network.in_batches(x, settings, &|x| self.run(x, None))
    }

    /// [`Predictor::predict`] into the caller's memory, in row-major order.
    ///
    /// # Errors
    /// Those of [`Predictor::predict`], or `out` has another element type or length than the output.
    pub fn predict_into<T: Element>(&self, x: &(impl AsTensors + ?Sized), out: &mut [T]) -> Result<()> {
        self.predict(x)?.copy_into(out)
    }

    /// Returns the output for one batch that continues from the state which earlier calls left in the session, as
    /// [`Network::predict_in`] does. A session may go from the network to its predictor and back.
    ///
    /// # Errors
    /// Those of [`Predictor::predict`]. Data that does not fit the inputs leaves the session as it is; after any other error its
    /// state, if it had any, is lost, and it takes no other call before it is [reset](Session::reset).
    pub fn predict_in(&self, session: &mut Session, x: &(impl AsTensors + ?Sized)) -> Result<Tensor> {
        let x = self.network.accept(&x.as_tensors())?;
        let mut states = session.begin()?;
        let outputs = par::enter(|| self.run(&x, Some(&mut states)))?;
        *session = states;
        only_output(outputs)
    }

    /// Measures one prediction of a batch: how long each layer and operation takes. It runs a few times before, so
    /// that caches are warm; call it in the pool of threads that predictions run in ([`with_threads`](crate::with_threads)).
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let network = Sequential::new().add(Input::new([4])).add(Dense::new(3).named("d")).build()?;
    /// let profile = network.predictor()?.profile(&Tensor::ones([8, 4])?)?;
    /// assert_eq!(profile.layers()[0].0, "d");
    /// println!("{profile}"); // two tables: by layer, by operation
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// The data does not fit.
    pub fn profile(&self, x: &(impl AsTensors + ?Sized)) -> Result<Profile> {
        let x = self.network.accept(&x.as_tensors())?;
        rows("x", &x)?;
        par::enter(|| {
            let mut caller = Caller::default();
            for _ in 0..3 {
                self.run_at(&mut caller, &x, None, None)?;
            }
            let plan = self.plan(&x, None)?;
            let mut times = vec![Duration::ZERO; plan.steps().len()];
            let began = Instant::now();
            self.run_at(&mut caller, &x, None, Some(&mut times))?;
            let total = began.elapsed();
            let timed = plan.steps().iter().zip(times).map(|(step, time)| Timed {
                op: step.op.name(),
                layer: step.layer.clone(),
                time,
                counts: step.counts,
            });
            let (arena_bytes, weight_bytes) = (plan.bytes(), plan.fixed_bytes());
            Ok(Profile { steps: timed.collect(), total, arena_bytes, weight_bytes })
        })
    }

    /// Iterates over the names of the inputs.
    pub fn input_names(&self) -> impl Iterator<Item = &str> {
        self.network.input_names()
    }

    /// Iterates over the names of the outputs.
    pub fn output_names(&self) -> impl Iterator<Item = &str> {
        self.network.output_names()
    }

    /// Shape (unknown sizes are [`UNKNOWN`](crate::UNKNOWN), print as `None`) and dtype of each output.
    pub fn output_specs(&self) -> Vec<Spec> {
        self.network.output_specs()
    }

    /// Runs one batch.
    fn run(&self, x: &[Tensor], mut session: Option<&mut Session>) -> Result<Tensors> {
        let first = thread();
        for i in 0..self.seats.len() {
            let seat = &self.seats[(first + i) % self.seats.len()].0;
            match seat.try_lock() {
                Ok(mut caller) => return self.run_at(&mut caller, x, session.take(), None),
                Err(TryLockError::Poisoned(poisoned)) => {
                    // A layer of the user's panicked in there.
                    let mut caller = poisoned.into_inner();
                    *caller = Caller::default();
                    seat.clear_poison();
                    return self.run_at(&mut caller, x, session.take(), None);
                }
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.run_at(&mut Caller::default(), x, session, None)
    }

    fn run_at(
        &self,
        caller: &mut Caller,
        x: &[Tensor],
        session: Option<&mut Session>,
        clock: Clock<'_>,
    ) -> Result<Tensors> {
        self.sit(caller, x, session.as_deref())?;
        let Caller { arena, rooms } = caller;
        let result = rooms[0].run(arena, x, [], session, clock);
        if result.is_err() {
            rooms.remove(0);
        }
        if !arena.is_idle() {
            *arena = Arena::default();
        }
        result
    }

    /// Puts the room for these inputs first.
    fn sit(&self, caller: &mut Caller, x: &[Tensor], session: Option<&Session>) -> Result<()> {
        let rooms = &mut caller.rooms;
        match rooms.iter().position(|room| room.plan.fits(x, session)) {
            Some(0) => {}
            Some(i) => rooms[..=i].rotate_right(1),
            None => {
                let plan = self.plan(x, session)?;
                rooms.truncate(PLANS - 1);
                rooms.insert(0, Room::new(plan));
            }
        }
        Ok(())
    }

    /// Returns the plan for these inputs, which is made if there is none.
    fn plan(&self, x: &[Tensor], session: Option<&Session>) -> Result<Arc<Plan>> {
        {
            let mut plans = self.lock_plans();
            if let Some(i) = plans.iter().position(|plan| plan.fits(x, session)) {
                plans[..=i].rotate_right(1);
                return Ok(plans[0].clone());
            }
        }
        let specs: Vec<Spec> = x.iter().map(Tensor::spec).collect();
        let plan = Arc::new(self.planned(&specs, session)?);
        let mut plans = self.lock_plans();
        plans.truncate(PLANS - 1);
        plans.insert(0, plan.clone());
        Ok(plan)
    }

    fn lock_plans(&self) -> MutexGuard<'_, Vec<Arc<Plan>>> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn planned(&self, x: &[Spec], session: Option<&Session>) -> Result<Plan> {
        let continues = session.is_some();
        let session = session.cloned().unwrap_or_default();
        let graph = Graph::of_network_in(&self.network, x, &session)?.for_inference(continues);
        // Duplicates first, while constants are few and parameters have paths.
        let graph = graph.without_duplicates().without_dead_code().with_views_joined();
        let mut weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bound = weights.bind(&graph)?.with_constants_folded(FOLDED).without_dead_code();
        if self.settings.fold {
            let path = |value: ValueId| {
                graph.sources.iter().find_map(|(of, source)| match source {
                    Source::Parameter(path) if *of == value => Some(path),
                    _ => None,
                })
            };
            bound = bound.scaled(&mut |value, s| match path(value) {
                Some(path) => weights.scaled(path, s),
                None => Ok(None),
            })?;
        }
        // The values go with the graph before, so that each may be given up as soon as it is packed.
        bound = bound.with_padding_in_convolutions().with_epilogues();
        bound = bound.with_products_side_by_side(&mut |parts, rows| weights.side_by_side(parts, rows))?;
        bound = bound.with_steps_in_place();
        Plan::new(&weights.unbind(bound, &graph), continues, &mut weights)
    }
}

impl std::fmt::Debug for Predictor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plans = self.lock_plans().len();
        let parameters = self.weights.lock().unwrap_or_else(PoisonError::into_inner).own();
        write!(f, "Predictor('{}', {parameters} parameters, {plans} plans)", self.network.name())
    }
}
