//! The state that is kept of each parameter from one step to the next: the optimizer's slots and two of the
//! driver's own, their initial values, and how they are saved and restored.

use super::driver::Part;
use super::group::Choice;
use super::slot::{self, Slot};
use super::{Driver, INLINE, Options};
use crate::error::Context;
use crate::nn::{Module, Param};
use crate::tensor::{Few, Tensor};
use crate::{DType, Error, Result, Spec};
use std::collections::BTreeMap;

/// The driver's own slots, which follow those of the optimizer.
const ACCUMULATOR: &str = "gradient_accumulator";
const AVERAGE: &str = "moving_average";

/// The state of one parameter.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The optimizer's slots, then the accumulator and the average, if there are such.
    pub(super) tensors: Few<Tensor, { INLINE + 2 }>,
    /// How many of them are the optimizer's.
    own: usize,
    /// The number of the driver's part that it belongs to.
    pub(super) part: usize,
    /// What its groups and the options say of the parameter.
    pub(super) choice: Choice,
    /// Whether the accumulator holds gradients, which may add up to 0.
    pub(super) waiting: bool,
}

/// The parts of a state.
pub(super) struct Parts<'a> {
    pub(super) own: &'a mut [Tensor],
    pub(super) accumulator: Option<&'a mut Tensor>,
    pub(super) average: Option<&'a mut Tensor>,
}

impl State {
    pub(super) fn parts(&mut self, options: &Options) -> Parts<'_> {
        let (own, rest) = self.tensors.split_at_mut(self.own);
        let mut rest = rest.iter_mut();
        let accumulator = options.gradient_accumulation_steps.and_then(|_| rest.next());
        let average = options.ema_momentum.and_then(|_| rest.next());
        Parts { own, accumulator, average }
    }
}

/// The slots of a parameter and how many of them are the optimizer's.
fn slots(part: &Part, path: &str, parameter: Spec) -> (Vec<Slot>, usize) {
    let mut slots = part.optimizer.slots(path, parameter);
    let own = slots.len();
    slots.extend(part.options.gradient_accumulation_steps.map(|_| Slot::new(ACCUMULATOR)));
    slots.extend(part.options.ema_momentum.map(|_| Slot::new(AVERAGE).start_at_parameter()));
    (slots, own)
}

impl Driver {
    /// Fails if a setting is out of range, a group has no parameters, or the optimizer cannot train one of the
    /// trainable parameters. `compile` and the first step call this.
    ///
    /// # Errors
    /// One of these is so; the message names the setting or the parameter.
    pub fn check(&self, params: &(impl Module + ?Sized)) -> Result<()> {
        self.check_settings()?;
        let (mut paths, mut result) = (Vec::new(), Ok(()));
        params.visit(&mut |path, p| {
            if p.trainable() && result.is_ok() {
                result = self.check_slots(path.as_str(), p.value().spec());
            }
            paths.push(path.to_string());
        });
        result?;
        if let Some(several) = self.optimizer.several() {
            several.check_paths(&paths).map_err(|e| e.at(self.optimizer.name()))?;
        }
        for (i, part) in self.parts.iter().enumerate().filter(|(_, part)| !part.options.groups.is_empty()) {
            let own: Vec<String> = paths.iter().filter(|path| self.choose(path) == i).cloned().collect();
            super::group::check(&part.options.groups, &own)?;
        }
        Ok(())
    }

    /// The part of the parameter at a path.
    fn part(&self, path: &str) -> &Part {
        &self.parts[self.choose(path)]
    }

    fn check_slots(&self, path: &str, parameter: Spec) -> Result<()> {
        if !parameter.dtype.is_float() {
            return Err(stored_only(path, parameter.dtype));
        }
        let part = self.part(path);
        let all = slots(part, path, parameter).0;
        slot::check(&all, parameter).at(|| format!("{}, for '{path}'", part.optimizer.name()))
    }

    /// Returns the slots of a parameter.
    pub(crate) fn slots(&self, path: &str, p: &Param) -> Vec<Slot> {
        slots(self.part(path), path, p.value().spec()).0
    }

    /// Makes the initial state of a parameter.
    pub(super) fn begin(&self, path: &str, p: &Param) -> Result<State> {
        let spec = p.value().spec();
        self.check_slots(path, spec)?;
        let part = self.part(path);
        let (slots, own) = slots(part, path, spec);
        let tensors = slots.iter().map(|slot| slot.tensor(p.value())).collect::<Result<_>>();
        let (tensors, choice) = (tensors.at(|| path)?, part.options.choice(&*part.optimizer, path, spec));
        Ok(State { tensors, own, part: self.choose(path), choice, waiting: false })
    }

    /// Returns the state by name, a parameter's path followed by that of a slot: `dense/kernel/m`. The driver has
    /// slots of its own, `gradient_accumulator` and `moving_average`. Parameters that were never updated have none,
    /// except those unfrozen since the last step, which have the state that the next step begins with. Together
    /// with [`Driver::steps`], and the learning rate if it was changed, this is everything a driver knows;
    /// [`Driver::set_state`] restores it.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn state(&self, params: &(impl Module + ?Sized)) -> Result<Vec<(String, Tensor)>> {
        let (mut out, mut result) = (Vec::new(), Ok(()));
        params.visit(&mut |path, p| {
            let state = match self.state.get(&p.id()) {
                Some(state) => Ok(state.clone()),
                None if p.trainable() && self.steps > 0 => self.begin(path.as_str(), p),
                None => return,
            };
            match state {
                Ok(state) => {
                    let names = self.slots(path.as_str(), p).into_iter();
                    let names = names.map(|slot| format!("{path}/{}", slot.name));
                    out.extend(names.zip(state.tensors));
                }
                Err(e) => result = Err(e),
            }
        });
        result.map(|()| out)
    }

    /// Sets the tensors of the state that are named as in [`Driver::state`]. Others stay, or begin with those of
    /// their parameter. Your own training loop can resume with this and [`Driver::set_steps`].
    ///
    /// # Errors
    /// Those of [`Driver::check`]; a name does not belong to a parameter and its slots, a tensor has another shape
    /// or dtype than the slot, or there is not enough memory. Nothing has changed then.
    pub fn set_state(&mut self, params: &(impl Module + ?Sized), values: &[(String, Tensor)]) -> Result<()> {
        self.check(params)?;
        let mut left: BTreeMap<&str, &Tensor> = values.iter().map(|(name, t)| (name.as_str(), t)).collect();
        let (mut next, mut result) = (Vec::new(), Ok(()));
        params.visit(&mut |path, p| {
            if result.is_ok() {
                match self.state_with(path.as_str(), p, &mut left) {
                    Ok(state) => next.extend(state.map(|state| (p.id(), state))),
                    Err(e) => result = Err(e),
                }
            }
        });
        result?;
        if let Some(name) = left.keys().next() {
            return Err(self.unknown_slot(params, name));
        }
        self.state.extend(next);
        Ok(())
    }

    /// The error of a name that no slot has.
    pub(crate) fn unknown_slot(&self, params: &(impl Module + ?Sized), name: &str) -> Error {
        let mut expected = "a parameter's path and behind it the name of one of its slots".to_string();
        params.visit(&mut |path, p| {
            if name.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/')) {
                let slots: Vec<&str> = self.slots(path.as_str(), p).iter().map(|slot| slot.name).collect();
                let has_state = self.state.contains_key(&p.id()) || !p.trainable();
                let so_far = if has_state { "" } else { ", which it has none of before its first update" };
                expected = match slots.is_empty() {
                    true => format!("no slot of '{path}', of which nothing is remembered"),
                    false => format!("a slot of '{path}' ({}){so_far}", slots.join(", ")),
                };
            }
        });
        Error::argument("state", expected, format!("'{}'", name.escape_debug()))
    }

    /// The state of a parameter with the values that are named, which are taken out; none if none is.
    fn state_with(&self, path: &str, p: &Param, left: &mut BTreeMap<&str, &Tensor>) -> Result<Option<State>> {
        let parameter = p.value().spec();
        let part = self.part(path);
        let (slots, own) = slots(part, path, parameter);
        let named = slots.into_iter().map(|slot| (slot, format!("{path}/{}", slot.name)));
        let named: Vec<_> = named.map(|(slot, name)| (slot, left.remove(name.as_str()), name)).collect();
        if named.iter().all(|(_, value, _)| value.is_none()) {
            return Ok(None);
        }
        let before = self.state.get(&p.id());
        let tensors = named.into_iter().enumerate().map(|(i, (slot, value, name))| {
            let spec = slot.spec(parameter);
            match (value, before.and_then(|state| state.tensors.get(i))) {
                (Some(value), _) if value.spec() != spec => {
                    let why = format!("'{name}' is {spec}, and the value {}", value.spec());
                    Err(Error::shapes("state", spec.shape, *value.shape(), why))
                }
                (Some(value), _) => value.detach().contiguous(),
                (None, Some(before)) => Ok(before.clone()),
                (None, None) => slot.tensor(p.value()).at(|| path),
            }
        });
        let tensors = tensors.collect::<Result<_>>()?;
        let choice = part.options.choice(&*part.optimizer, path, parameter);
        let mut state = State { tensors, own, part: self.choose(path), choice, waiting: false };
        // A state does not say whether gradients wait in it, but numbers that are not 0 have come from some.
        state.waiting = state.parts(&part.options).accumulator.is_some_and(|sum| !is_zero(sum));
        Ok(Some(state))
    }

    /// Returns how many numbers the state holds, with iteration count and learning rate, as Keras counts.
    pub(crate) fn state_elements(&self) -> usize {
        let tensors = self.state.values().flat_map(|state| &state.tensors).map(Tensor::elements);
        if self.steps == 0 { 0 } else { tensors.sum::<usize>() + 2 }
    }

    /// Sets the parameters to their moving averages, if the optimizer keeps them; `fit` ends with this. Frozen
    /// parameters and those of a group with the rate 0 stay as they are.
    pub fn finalize(&mut self, params: &mut (impl Module + ?Sized)) {
        self.each_average(params, &mut |value, average| *value = average.clone());
    }

    /// Calls `f` with each parameter that is trained and has a moving average, and with the average.
    fn each_average(
        &mut self,
        params: &mut (impl Module + ?Sized),
        f: &mut dyn FnMut(&mut Tensor, &mut Tensor),
    ) {
        params.visit_mut(&mut |_, p| {
            let state = self.state.get_mut(&p.id()).filter(|_| p.trainable());
            let state = state.filter(|state| state.choice.learning_rate_factor != 0.0);
            let Some(state) = state else { return };
            if let Some(average) = state.parts(&self.parts[state.part].options).average {
                f(p.value_mut(), average);
            }
        });
    }

    /// Whether moving averages of the parameters are kept.
    pub(crate) fn keeps_averages(&self) -> bool {
        self.parts.iter().any(|part| part.options.ema_momentum.is_some())
    }

    /// Parameters and their moving averages change places, those that [`Driver::finalize`] would set.
    pub(crate) fn swap_averages(&mut self, params: &mut (impl Module + ?Sized)) {
        self.each_average(params, &mut std::mem::swap);
    }
}

/// Whether all elements are 0.
fn is_zero(sum: &Tensor) -> bool {
    match sum.dtype() {
        DType::F64 => sum.array().slice::<f64>().is_ok_and(|sum| sum.iter().all(|&v| v == 0.0)),
        _ => sum.array().slice::<f32>().is_ok_and(|sum| sum.iter().all(|&v| v == 0.0)),
    }
}

/// The error for a parameter in a storage-only dtype.
fn stored_only(path: &str, dtype: DType) -> Error {
    let expected = format!("'{path}' in float32 or float64 (or frozen)");
    let got = format!(
        "{dtype}, in which a small update would be rounded away: keep it in float32 and compute \
                       with a cast of it (`Cx::compute`)"
    );
    Error::argument("parameter", expected, got)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;
    use crate::optim::SGD;

    #[test]
    fn a_parameter_that_is_only_stored_is_refused_by_name() {
        let driver = Driver::new(SGD::new(0.1));
        for dtype in [DType::BF16, DType::F16] {
            let e = driver.check_slots("d/kernel", Spec::new(Shape::SCALAR, dtype)).unwrap_err().to_string();
            assert!(e.contains("'d/kernel'") && e.contains(dtype.name()) && e.contains("float32"), "{e}");
        }
        driver.check_slots("d/kernel", Spec::new(Shape::SCALAR, DType::F64)).unwrap();
    }
}
