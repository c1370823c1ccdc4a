//! `Bidirectional`: runs a recurrent layer in both directions of time (Schuster and Paliwal 1997):
//! `merge(forward(x), backward(x))`, where the second output is reversed again if it is a sequence.

use super::recurrence::{States, given_states};
use crate::config::Dyn;
use crate::nn::{
    Build, Cx, Init, InputSpecs, Inputs, Node, Recurrence, Recurrent, Value, Values, build_inside,
};
use crate::tensor::{Few, few};
use crate::{Error, Result, Spec, string_enum};
use std::sync::Arc;

string_enum! {
    /// How a [`Bidirectional`] layer merges its two outputs.
    pub enum MergeMode {
        /// Concatenated.
        Concat = "concat",
        /// Their sum.
        Sum = "sum",
        /// Their product, element by element.
        Mul = "mul",
        /// Their mean.
        Ave = "ave",
    }
}

crate::settings! {
    /// A recurrent layer and another one that reads the sequence from its end. With `return_sequences` the second
    /// output is reversed again, so that both outputs are in time order. The merged output is `[…, 2·units]` for
    /// `Concat` and `[…, units]` for the other modes. With `return_state`, the states of the first come after the
    /// output, then those of the second; initial states are given in the same order, after the sequence or by the
    /// name `initial_state`.
    ///
    /// With `return_sequences`, both give 0 at masked time steps, as if they had `zero_output_for_mask`.
    pub layer Bidirectional {
        /// Creates the layer from this recurrent layer and a copy that goes backwards.
        new(layer: into Dyn<dyn Build>);

        /// How the outputs are merged; `None` returns both. Default: `Concat`.
        merge_mode: named Option<MergeMode> = Some(MergeMode::Concat),
        /// The layer that reads from the end, which must have `go_backwards` set. Default: a copy of the other one.
        backward_layer: some into Dyn<dyn Build>,
    }
}

impl Bidirectional {
    /// Returns both layers as they are used, and how the first goes through sequences.
    fn halves(&self) -> Result<([Arc<dyn Build>; 2], Recurrence)> {
        let forward = recurrent("layer", &*self.layer)?;
        let ahead = forward.recurrence();
        let (backward, back) = match &self.backward_layer {
            Some(layer) => {
                let backward = recurrent("backward_layer", &**layer)?;
                (backward, backward.recurrence())
            }
            None => (forward, Recurrence { go_backwards: true, ..ahead }),
        };
        if ahead.go_backwards == back.go_backwards {
            let expected = "layers of which one goes backwards and the other does not";
            let got = format!("both with go_backwards {}", ahead.go_backwards);
            return Err(Error::argument("go_backwards", expected, got));
        }
        for (name, a, b) in [
            ("stateful", ahead.stateful, back.stateful),
            ("return_sequences", ahead.return_sequences, back.return_sequences),
            ("return_state", ahead.return_state, back.return_state),
        ] {
            if a != b {
                let expected = "the same for layer and backward_layer";
                return Err(Error::argument(name, expected, format!("{a} and {b}")));
            }
        }
        let zero_output_for_mask = ahead.return_sequences;
        let used = |layer: &dyn Recurrent, recurrence| {
            layer.with_recurrence(Recurrence { zero_output_for_mask, ..recurrence })
        };
        Ok(([used(forward, ahead), used(backward, back)], ahead))
    }
}

fn recurrent<'a>(setting: &'static str, layer: &'a dyn Build) -> Result<&'a dyn Recurrent> {
    let expected =
        "a recurrent layer (LSTM, RNN of a cell, or one of your own that says Build::as_recurrent)";
    layer.as_recurrent().ok_or_else(|| Error::argument(setting, expected, layer.class_name()))
}

impl Build for Bidirectional {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let ([forward, backward], recurrence) = self.halves()?;
        let (x, states) = (inputs.at(0)?, &inputs[1..]);
        let mut half = |layer: &dyn Build, states: &[Spec]| {
            let specs: Vec<Spec> = std::iter::once(x).chain(states.iter().copied()).collect();
            build_inside(layer, &InputSpecs::new(&specs, &names(states.len())), init)
        };
        let (ahead, back) = states.split_at(states.len() / 2);
        let (forward_layer, backward_layer) = (half(&*forward, ahead)?, half(&*backward, back)?);
        Ok(Box::new(BidirectionalNode {
            forward_layer,
            backward_layer,
            names: names(ahead.len()),
            merge_mode: self.merge_mode,
            recurrence,
        }))
    }
    fn input_names(&self) -> &[&'static str] {
        &["initial_state"]
    }
    fn positional_names(&self) -> &[&'static str] {
        &["sequences", "initial_state"]
    }
    fn list_names(&self) -> &[&'static str] {
        &["initial_state"]
    }
}

/// Returns the names of the states.
fn names(states: usize) -> Vec<String> {
    vec!["initial_state".into(); states]
}

/// The two layers.
#[derive(Clone, Debug)]
struct BidirectionalNode {
    forward_layer: Box<dyn Node>,
    backward_layer: Box<dyn Node>,
    /// The names of the states that each is given.
    names: Vec<String>,
    merge_mode: Option<MergeMode>,
    recurrence: Recurrence,
}
crate::parts!(BidirectionalNode { forward_layer, backward_layer });

impl Node for BidirectionalNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let (first, count) = (x.at(0)?, x.values().len() - 1);
        if count != 2 * self.names.len() {
            return Err(Error::argument("initial_state", "as many states for each direction", count));
        }
        let states = given_states(x, "initial_state", count)?;
        let (ahead, back) = states.split_at(count / 2);
        let mut half = |layer: &dyn Node, states: &[crate::Tensor]| -> Result<(Value, States)> {
            let values: Few<Value, 3> =
                std::iter::once(first.clone()).chain(states.iter().map(Value::from)).collect();
            let outputs = layer.call(Inputs::with_names(&values, &self.names)?, cx)?;
            let mut outputs = outputs.into_iter();
            let output = outputs.next().ok_or_else(|| Error::argument("layer", "an output", "none"))?;
            Ok((output, outputs.map(|value| value.tensor).collect()))
        };
        let (y, states) = half(&*self.forward_layer, ahead)?;
        let (mut z, more) = half(&*self.backward_layer, back)?;
        if self.recurrence.return_sequences {
            let mask = z.mask.map(|mask| mask.flip(&[1])).transpose()?;
            z = Value::masked(z.tensor.flip(&[1])?, mask);
        }
        let merged: Few<Value, 2> = match self.merge_mode {
            None => few![y, z],
            Some(mode) => {
                let (a, b) = (&y.tensor, &z.tensor);
                let merged = match mode {
                    MergeMode::Concat => crate::Tensor::concat(&[a, b], -1)?,
                    MergeMode::Sum => a.add(b)?,
                    MergeMode::Mul => a.mul(b)?,
                    MergeMode::Ave => a.add(b)?.affine(0.5, 0.0)?,
                };
                few![Value::masked(merged, y.mask)]
            }
        };
        Ok(merged.into_iter().chain(states.into_iter().chain(more).map(Value::from)).collect())
    }
    fn class_name(&self) -> &'static str {
        "Bidirectional"
    }
}
