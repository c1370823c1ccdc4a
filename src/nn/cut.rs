//! Inspects a network and takes it apart: its layers by name, their outputs, and the parts before and after them.

use super::input::Input;
use super::network::Network;
use super::topology::{At, Invocation, NamedInput, Output, Topology, ranks};
use super::{Budget, Init, Node, module};
use crate::tensor::Tensor;
use crate::{Error, Result, Spec};
use std::sync::Arc;

impl Network {
    /// Returns the layer of this name.
    ///
    /// # Errors
    /// There is no such layer; the message lists those that there are.
    pub fn get_layer(&self, name: &str) -> Result<LayerRef<'_>> {
        let index = self.layer_index(name)?;
        Ok(LayerRef { network: self, index })
    }

    /// Iterates over the layers, in the order of a summary.
    pub fn layers(&self) -> impl Iterator<Item = LayerRef<'_>> {
        (0..self.nodes.len()).map(|index| LayerRef { network: self, index })
    }

    fn layer_index(&self, name: &str) -> Result<usize> {
        let layers = &self.topology.layers;
        layers.iter().position(|l| l.name == name).ok_or_else(|| {
            let names: Vec<&str> = layers.iter().map(|l| l.name.as_str()).collect();
            Error::argument("layer", format!("one of {}", names.join(", ")), format!("'{name}'"))
        })
    }

    /// Returns the network up to these layers: their outputs become its outputs, and layers they do not need are
    /// left out. Use it for the encoder of an autoencoder, or to see what layers in the middle give. Parameters
    /// keep their values and paths.
    ///
    /// A layer that is called several times needs the call's number: `"encoder:1"` is the second call.
    ///
    /// # Errors
    /// There is no such layer, or it is called several times and the number of the call is missing.
    pub fn cut_at<S: AsRef<str>>(&self, layers: impl IntoIterator<Item = S>) -> Result<Network> {
        let outputs = self.outputs_of(layers)?;
        self.part(&self.topology.inputs.clone(), &Ends::new(), outputs)
    }

    /// Returns the network from the outputs of these layers on, which become its inputs: the decoder of an
    /// autoencoder.
    ///
    /// # Errors
    /// Those of [`Network::cut_at`], or an output needs something that does not come from these layers.
    pub fn cut_from<S: AsRef<str>>(&self, layers: impl IntoIterator<Item = S>) -> Result<Network> {
        let (mut inputs, mut ends) = (Vec::new(), Ends::new());
        for at in self.outputs_of(layers)? {
            if self.route.masked.contains(&at) {
                let expected =
                    "layers whose output has no mask, which a cut would lose (cut behind what uses the mask)";
                return Err(Error::argument("layers", expected, "one whose output has a mask"));
            }
            let spec = self.spec_of(at);
            let name = match inputs.len() {
                0 => "input_layer".to_string(),
                n => format!("input_layer_{n}"),
            };
            ends.push((at, At::Input(inputs.len())));
            inputs.push(NamedInput { name, input: Input::of_spec(spec) });
        }
        let outputs = self.topology.outputs.iter().map(|o| o.at).collect();
        self.part(&inputs, &ends, outputs)
    }

    /// Returns the outputs of layers by name.
    fn outputs_of<S: AsRef<str>>(&self, layers: impl IntoIterator<Item = S>) -> Result<Vec<At>> {
        let mut outputs = Vec::new();
        for name in layers {
            let name = name.as_ref();
            let (layer, number) = match name.split_once(':') {
                Some((layer, number)) => (layer, number.parse::<usize>().ok()),
                None => (name, None),
            };
            let index = self.layer_index(layer)?;
            let calls: Vec<usize> =
                (0..self.topology.calls.len()).filter(|c| self.topology.calls[*c].layer == index).collect();
            let call = match (number, &calls[..]) {
                (None, [only]) if !name.contains(':') => *only,
                (Some(n), all) if n < all.len() => all[n],
                (_, all) => {
                    let expected = match all.len() {
                        1 => format!("'{layer}', which is called once"),
                        n => {
                            format!("the number of one of its {n} calls, '{layer}:0' to '{layer}:{}'", n - 1)
                        }
                    };
                    return Err(Error::argument("layer", expected, format!("'{name}'")));
                }
            };
            outputs.extend((0..self.route.specs[call].len()).map(|output| At::Call { call, output }));
        }
        match outputs.is_empty() {
            true => Err(Error::argument("layers", "at least one layer", "none")),
            false => Ok(outputs),
        }
    }

    /// Returns the part that leads from some values to others, with the layers as they are.
    fn part(&self, inputs: &[NamedInput], ends: &Ends, outputs: Vec<At>) -> Result<Network> {
        let old = &self.topology;
        // Which calls and inputs are needed.
        let mut needed = vec![false; old.calls.len()];
        let mut pending = outputs.clone();
        let (mut used, mut missing) = (vec![false; inputs.len()], None);
        let end = |at: At| ends.iter().rev().find(|(old, _)| *old == at).map(|(_, new)| *new);
        while let Some(at) = pending.pop() {
            match (end(at), at) {
                (Some(At::Input(i)), _) => used[i] = true,
                (_, At::Call { call, .. }) => {
                    if !std::mem::replace(&mut needed[call], true) {
                        pending.extend(old.calls[call].inputs.iter().copied());
                    }
                }
                (_, At::Input(i)) if ends.is_empty() => used[i] = true,
                (_, At::Input(i)) => missing = Some(old.inputs[i].name.clone()),
            }
        }
        if !needed.contains(&true) {
            let expected = "layers with others between them and the outputs";
            return Err(Error::argument("layers", expected, "the outputs themselves"));
        }
        if let Some(name) = missing {
            let expected = "layers that everything after them depends on alone";
            return Err(Error::argument(
                "layers",
                expected,
                format!("a way around them from input '{name}'"),
            ));
        }
        if let Some(i) = used.iter().position(|u| !u).filter(|_| !ends.is_empty()) {
            return Err(Error::argument(
                "layers",
                "layers that an output depends on",
                format!("number {i}, unused"),
            ));
        }
        let kept_inputs: Vec<usize> = (0..inputs.len()).filter(|i| used[*i]).collect();
        let kept_calls: Vec<usize> = (0..needed.len()).filter(|c| needed[*c]).collect();
        let mut kept_layers: Vec<usize> = kept_calls.iter().map(|c| old.calls[*c].layer).collect();
        kept_layers.sort_unstable();
        kept_layers.dedup();
        let input_at = ranks(&kept_inputs, inputs.len());
        let call_at = ranks(&kept_calls, old.calls.len());
        let layer_at = ranks(&kept_layers, old.layers.len());
        let moved = |at: At| match end(at).unwrap_or(at) {
            At::Input(i) => At::Input(input_at[i]),
            At::Call { call, output } => At::Call { call: call_at[call], output },
        };
        let calls = kept_calls.iter().map(|c| {
            let Invocation { layer, inputs, names } = &old.calls[*c];
            let inputs = inputs.iter().map(|at| moved(*at)).collect();
            Invocation { layer: layer_at[*layer], inputs, names: names.clone() }
        });
        let outputs = outputs.iter().map(|at| Output { name: String::new(), at: moved(*at) });
        let mut topology = Topology {
            class: "Functional",
            name: None,
            seed: old.seed,
            dtype: old.dtype,
            inputs: kept_inputs.iter().map(|i| inputs[*i].clone()).collect(),
            // The old number of a layer is kept until the order is known.
            layers: kept_layers.iter().map(|l| old.layers[*l].clone()).collect(),
            calls: calls.collect(),
            outputs: outputs.collect(),
            rows: Vec::new(),
        };
        topology.arrange();
        topology.name_outputs();
        let nodes = topology
            .layers
            .iter()
            .map(|l| self.layer_index(&l.name).ok().map(|i| self.nodes[i].clone()))
            .collect();
        let mut init = Init::planned(topology.dtype, Budget::NONE);
        Network::with_nodes(Arc::new(topology), nodes, &mut init)
    }
}

/// Values of the old network that become inputs of the new one.
type Ends = Vec<(At, At)>;

/// A layer of a network.
#[derive(Clone, Copy, Debug)]
pub struct LayerRef<'a> {
    network: &'a Network,
    index: usize,
}

impl<'a> LayerRef<'a> {
    /// Returns its name.
    pub fn name(&self) -> &'a str {
        &self.network.topology.layers[self.index].name
    }

    /// Returns the name of its type.
    pub fn class_name(&self) -> &'static str {
        self.network.topology.layers[self.index].build.class_name()
    }

    /// Returns the layer itself.
    pub fn node(&self) -> &'a dyn Node {
        &*self.network.nodes[self.index]
    }

    /// Returns its parameters, with paths inside the layer.
    pub fn params(&self) -> Vec<(String, Tensor)> {
        module::params(&self.network.nodes[self.index])
    }

    /// Returns how many numbers its parameters hold.
    pub fn count_params(&self) -> usize {
        module::count_params(&self.network.nodes[self.index])
    }

    /// Iterates over what each of its calls gives; unknown sizes print as `None`.
    pub fn outputs(&self) -> impl Iterator<Item = &'a [Spec]> {
        let (network, index) = (self.network, self.index);
        let calls = network.topology.calls.iter().zip(&network.route.specs);
        calls.filter(move |(call, _)| call.layer == index).map(|(_, specs)| &specs[..])
    }
}
