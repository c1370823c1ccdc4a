//! What all recurrent layers share: where states come from and go to, the loop over time, masks, and outputs. Each
//! layer adds its cell.
//!
//! ```text
//! states = initial_state, or those of the last call if stateful, or zeros
//! for each step t (from the end with go_backwards):
//!     output, new = cell(x[:, t], states)
//!     where mask[:, t]: states = new
//!     elsewhere:        states stay, output = the previous one (or 0 with zero_output_for_mask)
//! give all outputs (return_sequences) or the last one, then the states (return_state)
//! ```

use crate::config::Dyn;
use crate::nn::regularizer::Regularizer;
use crate::nn::{Cx, Init, Inputs, Key, Recurrence, Value, Values};
use crate::shape::Size;
use crate::tensor::{Few, PoolVec, Tensor, Tensors};
use crate::{Error, Result, Shape, Spec};

/// The states of a cell.
pub(crate) type States = Tensors;

/// One time step: from its input and the states, the output and the new states.
pub(crate) type Step<'a> = dyn FnMut(&Tensor, &[Tensor], &mut Cx) -> Result<(Tensor, States)> + 'a;

/// A recurrent layer without its cell.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    /// Its class, for messages.
    pub(crate) layer: &'static str,
    pub(crate) recurrence: Recurrence,
    activity_regularizer: Option<Dyn<dyn Regularizer>>,
    /// The keys of the states that are carried from call to call, if they are.
    carried: Vec<Key>,
}
crate::parts!(group Sequence { carried });

/// The result of going through a sequence.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The outputs of all time steps along axis 1, if they are wanted.
    pub(crate) sequence: Option<Tensor>,
    /// The output of the last time step.
    pub(crate) last: Tensor,
    pub(crate) states: States,
}

impl Sequence {
    /// Makes one with this number of states.
    pub(crate) fn new(
        layer: &'static str,
        recurrence: Recurrence,
        activity_regularizer: &Option<Dyn<dyn Regularizer>>,
        states: usize,
        init: &mut Init,
    ) -> Sequence {
        let carried =
            if recurrence.stateful { (0..states).map(|_| init.key()).collect() } else { Vec::new() };
        Sequence { layer, recurrence, activity_regularizer: activity_regularizer.clone(), carried }
    }

    /// Runs the whole layer as a loop over time steps. `zeros` are the initial states of a sequence if no others
    /// are given; `output_state` is the state that is also the output.
    pub(crate) fn call(
        &self,
        x: Inputs<'_>,
        zeros: States,
        output_state: usize,
        cx: &mut Cx,
        step: &mut Step<'_>,
    ) -> Result<Values> {
        let states = self.begin(x, zeros, cx)?;
        let counted = self.counted(x.at(0)?)?;
        let ran = self.run(&counted, states, output_state, cx, step)?;
        self.finish(ran, counted.mask.as_ref(), cx)
    }

    /// Returns the first states: those given to the call, else those that the last call left, else `zeros`.
    pub(crate) fn begin(&self, x: Inputs<'_>, zeros: States, cx: &mut Cx) -> Result<States> {
        let carried: Few<_, 2> = self.carried.iter().map(|key| cx.carry(key)).collect();
        let given = given_states(x, "initial_state", zeros.len())?;
        if !given.is_empty() {
            let check = |(state, zero): (Tensor, &Tensor)| match state.dims() == zero.dims() {
                true => state.cast(zero.dtype()),
                false => {
                    let expected = format!("a state of shape {} for this input", zero.shape());
                    Err(Error::argument("initial_state", expected, state.shape()))
                }
            };
            return given.into_iter().zip(&zeros).map(check).collect();
        }
        let mut carried = carried.into_iter().flatten().peekable();
        if carried.peek().is_none() {
            return Ok(zeros);
        }
        let check = |(state, zero): (Tensor, &Tensor)| match state.dims() == zero.dims() {
            true => state.cast(zero.dtype()),
            false => {
                let rows = |t: &Tensor| Size(t.dims().first().copied().unwrap_or(0)).to_string();
                let expected =
                    format!("as many rows as in the last call, {} (or a new Session)", rows(&state));
                Err(Error::argument("stateful", expected, rows(zero)))
            }
        };
        carried.zip(&zeros).map(check).collect()
    }

    /// Returns the input with 0 at masked time steps: any value there, perhaps NaN, would reach the gradients of
    /// kernels as a product with 0.
    ///
    /// # Errors
    /// See [`Sequence::time`].
    pub(crate) fn counted(&self, x: &Value) -> Result<Value> {
        let Some(mask) = &x.mask else { return Ok(x.clone()) };
        self.time(x)?;
        let tensor = keep(mask, &x.tensor, &x.tensor.new_full([], 0.0)?)?;
        Ok(Value::masked(tensor, Some(mask.clone())))
    }

    /// Calls `step` for each time step of `x`, `[batch, time, …]`. Where the mask is false the states do not
    /// change, and the output is the one before (at the first step the state that stands for it), or 0.
    pub(crate) fn run(
        &self,
        x: &Value,
        mut states: States,
        output_state: usize,
        cx: &mut Cx,
        step: &mut Step<'_>,
    ) -> Result<Ran> {
        let time = self.time(x)?;
        let Recurrence { return_sequences, go_backwards, zero_output_for_mask, .. } = self.recurrence;
        let mut outputs: PoolVec<Tensor> = PoolVec::new();
        cx.sequence(|cx| -> Result<()> {
            for i in 0..time {
                let t = (if go_backwards { time - 1 - i } else { i }) as isize;
                let (mut output, new) = step(&x.tensor.select(1, t)?, &states, cx)?;
                if new.len() != states.len() {
                    let expected = format!("{} states", states.len());
                    return Err(Error::argument("cell", expected, format!("{} from a call", new.len())));
                }
                states = match &x.mask {
                    None => new,
                    Some(mask) => {
                        let counts = mask.slice(1, t, t + 1)?;
                        let before = match states.get(output_state) {
                            _ if zero_output_for_mask => None,
                            Some(state) if state.spec() == output.spec() => Some(state),
                            _ => outputs.last(),
                        };
                        let zero = output.new_full([], 0.0)?;
                        output = keep(&counts, &output, before.unwrap_or(&zero))?;
                        new.iter()
                            .zip(&states)
                            .map(|(new, old)| keep(&counts, new, old))
                            .collect::<Result<_>>()?
                    }
                };
                if !return_sequences {
                    outputs.clear();
                }
                outputs.push(output);
            }
            Ok(())
        })?;
        let stack = |all: &[Tensor]| Tensor::stack(&all.iter().collect::<PoolVec<_>>(), 1);
        let sequence = if return_sequences { Some(stack(&outputs)?) } else { None };
        let last = outputs.pop().ok_or_else(|| self.no_steps(x.spec()))?;
        Ok(Ran { sequence, last, states })
    }

    /// Wraps what an op over the whole sequence returned: the outputs of all time steps in order, and the last
    /// states.
    pub(crate) fn ran(&self, all: Tensor, states: States, mask: Option<&Tensor>) -> Result<Ran> {
        let Recurrence { return_sequences, go_backwards, zero_output_for_mask, .. } = self.recurrence;
        let (all, last) = match mask {
            Some(mask) if zero_output_for_mask => {
                let mask = if go_backwards { mask.flip(&[1])? } else { mask.clone() };
                let all = keep(&mask, &all, &all.new_full([], 0.0)?)?;
                (all.clone(), all.select(1, -1)?)
            }
            _ => (all, states[0].clone()),
        };
        Ok(Ran { sequence: return_sequences.then_some(all), last, states })
    }

    /// Returns the number of time steps.
    ///
    /// # Errors
    /// There are none, or the mask is not one of time steps.
    pub(crate) fn time(&self, x: &Value) -> Result<usize> {
        match (x.tensor.dims(), &x.mask) {
            ([_, 0, ..] | [] | [_], _) => Err(self.no_steps(x.spec())),
            ([batch, time, ..], Some(mask)) if mask.dims() != [*batch, *time] => {
                let expected = format!("one of shape [{batch}, {time}]: whether each step counts");
                Err(Error::argument("mask", expected, mask.shape()))
            }
            ([_, time, ..], _) => Ok(*time),
        }
    }

    fn no_steps(&self, x: Spec) -> Error {
        Error::shape(self.layer, "sequences [batch, time, …] of at least one step", x.shape)
    }

    /// Stores the states for the next call and assembles the layer's outputs. `mask` is that of its input.
    pub(crate) fn finish(&self, ran: Ran, mask: Option<&Tensor>, cx: &mut Cx) -> Result<Values> {
        for (key, state) in self.carried.iter().zip(&ran.states) {
            cx.set_carry(key, state.clone());
        }
        let first = match ran.sequence {
            // A reversed output has a reversed mask.
            Some(sequence) => {
                let flip = |mask: &Tensor| mask.flip(&[1]);
                let mask =
                    if self.recurrence.go_backwards { mask.map(flip).transpose()? } else { mask.cloned() };
                Value::masked(sequence, mask)
            }
            None => ran.last.into(),
        };
        let states = if self.recurrence.return_state { ran.states } else { States::new() };
        let values: Values = std::iter::once(first).chain(states.into_iter().map(Value::from)).collect();
        cx.regularize_outputs(self.activity_regularizer.as_ref(), &values)?;
        Ok(values)
    }
}

/// Returns the states that a call was given, by position after the first input or by this name: all or none.
pub(crate) fn given_states(x: Inputs<'_>, name: &'static str, count: usize) -> Result<States> {
    let by_position = x.positional().get(1..).unwrap_or(&[]);
    let states: States = by_position.iter().chain(x.all(name)).map(|value| value.tensor.clone()).collect();
    match states.len() {
        0 => Ok(states),
        n if n == count => Ok(states),
        n => Err(Error::argument(name, format!("{count} states, or none"), n)),
    }
}

/// Returns zero states of these sizes for a sequence `[batch, time, …]`.
pub(crate) fn zeros(x: &Tensor, sizes: &[usize]) -> Result<States> {
    let batch = x.dims().first().copied().unwrap_or(0);
    sizes.iter().map(|&size| x.new_full([batch, size], 0.0)).collect()
}

/// Returns the specs that a cell is built for: one time step of a sequence, then its states.
pub(crate) fn step_specs(layer: &'static str, sequence: Spec, states: &[usize]) -> Result<Vec<Spec>> {
    let [batch, _, rest @ ..] = sequence.shape.dims() else {
        return Err(Error::shape(layer, "sequences [batch, time, …]", sequence.shape));
    };
    if rest.is_empty() {
        return Err(Error::shape(layer, "sequences [batch, time, …, features]", sequence.shape));
    }
    let spec = |dims: &[usize]| Ok(Spec::new(Shape::new(dims)?, sequence.dtype));
    let step: Few<usize, 8> = std::iter::once(*batch).chain(rest.iter().copied()).collect();
    std::iter::once(spec(&step)).chain(states.iter().map(|&size| spec(&[*batch, size]))).collect()
}

/// [`settings!`](crate::settings) of a recurrent layer: its own, then those that all of them have.
macro_rules! recurrent {
    ($(#[$meta:meta])* pub layer $type:ident { $($rows:tt)* }) => {
        crate::settings! {
            $(#[$meta])*
            pub layer $type {
                $($rows)*
                /// Regularizer of the outputs; each penalty is divided by the batch size. Default: none.
                activity_regularizer: some into crate::config::Dyn<dyn crate::nn::regularizer::Regularizer>,
                /// Whether to return the output of every time step, `[batch, time, …]`, or only of the last.
                /// Default: `false`.
                return_sequences: bool = false,
                /// Whether to return the last states as further outputs. Default: `false`.
                return_state: bool = false,
                /// Whether to read the sequence from its end. With `return_sequences` the output, and its mask, are
                /// in reversed time order. Default: `false`.
                go_backwards: bool = false,
                /// Whether the next call continues from the states of this one, row by row: in training, or in a
                /// [`Session`](crate::nn::Session). Default: `false`.
                stateful: bool = false,
                /// Whether the output of a masked time step is 0 rather than that of the step before. Default:
                /// `false`.
                zero_output_for_mask: bool = false,
            }
        }

        impl crate::nn::Recurrent for $type {
            fn recurrence(&self) -> crate::nn::Recurrence {
                let &$type { return_sequences, return_state, go_backwards, stateful, zero_output_for_mask, .. } = self;
                crate::nn::Recurrence { return_sequences, return_state, go_backwards, stateful, zero_output_for_mask }
            }
            fn with_recurrence(&self, recurrence: crate::nn::Recurrence) -> std::sync::Arc<dyn crate::nn::Build> {
                let crate::nn::Recurrence {
                    return_sequences, return_state, go_backwards, stateful, zero_output_for_mask,
                } = recurrence;
                std::sync::Arc::new($type {
                    return_sequences, return_state, go_backwards, stateful, zero_output_for_mask, ..self.clone()
                })
            }
        }
    };
}
pub(crate) use recurrent;

/// Returns `new` where rows or time steps count, and `old` elsewhere.
fn keep(counts: &Tensor, new: &Tensor, old: &Tensor) -> Result<Tensor> {
    let mut counts = counts.clone();
    while counts.rank() < new.rank() {
        counts = counts.expand_dims(-1)?;
    }
    counts.choose(new, old)
}

#[cfg(test)]
pub(super) mod tests {
    use crate::nn::layers::Input;
    use crate::nn::{IntoLayer, Sequential};
    use crate::tensor::Tensor;

    /// Compares the output of a layer of two units for a sequence of three time steps, with weights that count up,
    /// with Keras's numbers.
    pub(crate) fn golden(layer: impl IntoLayer, want: [f32; 6]) {
        let mut network = Sequential::new().add(Input::new([3, 2])).add(layer).build().unwrap();
        let counting = |w: &Tensor| {
            Tensor::arange(w.elements())?.cast(w.dtype())?.affine(0.02, -0.1)?.reshape_to(*w.shape())
        };
        let weights: Vec<(String, Tensor)> =
            network.params().into_iter().map(|(path, w)| (path, counting(&w).unwrap())).collect();
        network.set_params(&weights).unwrap();
        let x = Tensor::from_slice(&[0.0f32, 0.1, 0.2, 0.3, 0.4, 0.5], [1, 3, 2]).unwrap();
        let got = network.predict(&x).unwrap().to_vec::<f32>().unwrap();
        assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-7), "{got:?} {want:?}");
    }
}
