//! `Plans`: what `predict` of a network runs once it is given the same shapes again and again: plans over the parameters
//! where they lie. Each run reads them anew, so whatever changes them in between is seen; what changes the network itself
//! makes it forget the plans. No lock is held while a plan runs.

use super::plan::{Plan, Room};
use super::predictor::FOLDED;
use super::weights::Weights;
use super::{Graph, ValueId, parameters};
use crate::kernels::par;
use crate::nn::activation::foreign;
use crate::nn::{Keep, Network};
use crate::ops::moves::is_reshape;
use crate::tensor::arena::Arena;
use crate::tensor::{Array, AsTensors, Few, PoolVec, Tensor, Tensors};
use crate::{Error, Result, Spec};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The plans that a network keeps.
const PLANS: usize = 4;
/// The rooms that a plan keeps for calls at the same time.
const ROOMS: usize = 64;
/// Bytes that a plan must save the writing of, or finding it takes longer than it saves.
const WORTH: usize = 64 << 10;

/// The plans of one network, which keeps them until it changes.
#[derive(Default)]
struct Plans {
    /// Whether a plan would be of no use for any inputs.
    useless: AtomicBool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The inputs of the last call that no plan was looked for.
    last: Few<Spec, 2>,
    /// What was found for inputs, the last used first: nothing, where layers are as good or while a plan is made.
    found: Vec<(Few<Spec, 2>, Option<Arc<Living>>)>,
}

/// A plan that reads the parameters of a living network.
struct Living {
    plan: Arc<Plan>,
    /// All parameters of the network in the order of the walk: which they were, and what they are in the plan.
    parameters: Vec<(u64, Spec, Option<ValueId>)>,
    /// What runs need besides, between calls. The arenas are empty.
    rooms: Mutex<Vec<(Room, Arena)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn alike(specs: &[Spec], x: &[Tensor]) -> bool {
    specs.len() == x.len() && specs.iter().zip(x).all(|(spec, x)| *spec == x.spec())
}

impl Plans {
    /// Returns the network's outputs for inputs that it accepts, computed by a plan; `None` if there is none, or if it
    /// fails: layers then compute, or say what is wrong.
    fn run(&self, network: &Network, x: &[Tensor]) -> Option<Tensors> {
        if self.useless.load(Relaxed) || x.iter().any(|x| x.is_tracked() || x.is_traced()) {
            return None;
        }
        let living = self.find(network, x)?;
        let Some(given) = living.read(network) else {
            // One parameter was put in the place of another.
            *lock(&self.known) = Known::default();
            return None;
        };
        living.run(x, given)
    }

    /// Returns the plan for these inputs. It is made when they come the second time in a row.
    fn find(&self, network: &Network, x: &[Tensor]) -> Option<Arc<Living>> {
        let specs: Few<Spec, 2> = {
            let mut known = lock(&self.known);
            if let Some(i) = known.found.iter().position(|(specs, _)| alike(specs, x)) {
                known.found[..=i].rotate_right(1);
                return known.found[0].1.clone();
            }
            let specs: Few<Spec, 2> = x.iter().map(Tensor::spec).collect();
            if !alike(&known.last, x) {
                known.last = specs;
                return None;
            }
            // Other threads compute layer by layer meanwhile.
            known.found.truncate(PLANS - 1);
            known.found.insert(0, (specs.clone(), None));
            specs
        };
        let made = match Living::made(network, &specs) {
            Ok(Made::Plan(living)) => Arc::new(*living),
            Ok(Made::NotHere) | Err(_) => return None,
            Ok(Made::Never) => {
                self.useless.store(true, Relaxed);
                return None;
            }
        };
        let mut known = lock(&self.known);
        if let Some((_, found)) = known.found.iter_mut().find(|(of, _)| of[..] == specs[..]) {
            *found = Some(made.clone());
        }
        Some(made)
    }
}

impl Keep for Plans {}

impl std::fmt::Debug for Plans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plans({})", lock(&self.known).found.iter().filter(|(_, found)| found.is_some()).count())
    }
}

/// What became of a plan.
enum Made {
    Plan(Box<Living>),
    /// It would save too little for these inputs.
    NotHere,
    /// It would save nothing for any inputs, or could not know what the network does.
    Never,
}

impl Living {
    /// Makes a plan of a network for inputs of these shapes.
    ///
    /// # Errors
    /// A layer cannot be captured, or not for these shapes.
    fn made(network: &Network, x: &[Spec]) -> Result<Made> {
        let before = foreign();
        if !network.has_own_layers() {
            return Ok(Made::Never);
        }
        let graph = Graph::of_network(network, x);
        if foreign() != before {
            return Ok(Made::Never);
        }
        let (graph, joined) = Living::prepared(&graph?);
        if joined.computing() == graph.computing() || graph.is_random() {
            return Ok(Made::Never);
        }
        if graph.written().saturating_sub(joined.written()) < WORTH {
            return Ok(Made::NotHere);
        }
        Living::of(network, &joined)
    }

    /// Returns a captured graph without what is not needed, and then with its steps joined.
    fn prepared(captured: &Graph) -> (Graph, Graph) {
        let graph = captured.for_inference(false).without_duplicates().with_views_joined();
        let graph = graph.with_constants_folded(FOLDED).without_dead_code();
        let joined = graph.with_padding_in_convolutions().with_epilogues().with_steps_in_place();
        (graph, joined)
    }

    /// Plans a network's prepared graph.
    fn of(network: &Network, joined: &Graph) -> Result<Made> {
        let plan = Plan::new(joined, false, &mut Weights::new(std::iter::empty(), true))?;
        let mut values: BTreeMap<&str, ValueId> =
            plan.parameters().iter().map(|(path, value)| (path.as_str(), *value)).collect();
        let mut all = Vec::new();
        parameters("", network, &mut |path, p| {
            all.push((p.id(), p.value().spec(), values.remove(path.as_str())));
        });
        if !values.is_empty() {
            return Ok(Made::Never);
        }
        Ok(Made::Plan(Box::new(Living { plan: Arc::new(plan), parameters: all, rooms: Mutex::default() })))
    }

    /// Returns the values that the plan reads; `None` if the network has other parameters than when it was made.
    fn read(&self, network: &Network) -> Option<PoolVec<(ValueId, Array)>> {
        let mut given = PoolVec::new();
        let (mut expected, mut same) = (self.parameters.iter(), true);
        parameters("", network, &mut |_, p| {
            let array = p.value().array();
            match expected.next() {
                Some((id, spec, value)) if *id == p.id() && *spec == array.spec() => {
                    same &= !array.is_traced() && array.layout().is_contiguous();
                    given.extend(value.map(|value| (value, array.clone())));
                }
                _ => same = false,
            }
        });
        (same && expected.next().is_none()).then_some(given)
    }

    fn run(&self, x: &[Tensor], given: PoolVec<(ValueId, Array)>) -> Option<Tensors> {
        let room = lock(&self.rooms).pop();
        let (mut room, mut arena) = room.unwrap_or_else(|| (Room::new(self.plan.clone()), Arena::default()));
        let outputs = room.run(&mut arena, x, given, None, None).ok()?;
        // Back to the pool: a network keeps no memory for values.
        arena.release();
        let mut rooms = lock(&self.rooms);
        if rooms.len() < ROOMS {
            rooms.push((room, arena));
        }
        Some(outputs)
    }
}

impl Network {
    /// Returns every output for one batch that the network accepts, by a plan; `None` if there is none.
    pub(crate) fn run_plan(&self, x: &[Tensor]) -> Option<Tensors> {
        self.plans.get::<Plans>()?.run(self, x)
    }

    /// [`Network::predict_all`] of one batch by a plan made for this call, whatever it saves and whoever wrote the layers: for
    /// tests, of more networks than those that have such plans.
    ///
    /// # Errors
    /// The data does not fit, or a layer cannot be captured.
    #[doc(hidden)]
    pub fn predict_by_plan(&self, x: &(impl AsTensors + ?Sized)) -> Result<Tensors> {
        let x = self.accept(&x.as_tensors())?;
        let specs: Vec<Spec> = x.iter().map(Tensor::spec).collect();
        let (_, joined) = Living::prepared(&Graph::of_network(self, &specs)?);
        let failed = || Error::Custom("the plan failed".into());
        let Made::Plan(living) = Living::of(self, &joined)? else { return Err(failed()) };
        par::enter(|| living.run(&x, living.read(self).ok_or_else(failed)?).ok_or_else(failed))
    }
}

impl Graph {
    /// Returns how many of its steps are no reshapes.
    fn computing(&self) -> usize {
        self.steps.iter().filter(|step| !is_reshape(&*step.op)).count()
    }

    /// Returns how many bytes its steps write.
    fn written(&self) -> usize {
        let outputs = self.steps.iter().flat_map(|step| &step.outputs);
        let specs = outputs.map(|value| self.specs[value.at()]);
        specs.fold(0, |bytes, spec| {
            bytes.saturating_add(spec.shape.elements().saturating_mul(spec.dtype.size()))
        })
    }
}
