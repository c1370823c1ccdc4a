//! `Checkpoint`: a block that saves memory in training. Normally training keeps what every layer computed until its
//! gradient is taken, which a deep network may not have the memory for. A block under a checkpoint keeps only its
//! inputs and computes the rest again (Chen et al. 2016).

use crate::Result;
use crate::autograd::{Outputs, recomputed};
use crate::config::{Common, Configured, Described, Dyn, Registry, Setting};
use crate::nn::activation::Activation;
use crate::nn::{
    Build, Cx, Init, InputSpecs, Inputs, IntoLayer, Item, ItemMut, Module, Node, Path, Range, Value, Values,
};
use crate::tensor::{Few, Tensor, Tensors};
use serde_json::Value as Json;
use std::sync::Arc;

/// Runs the layer in it twice in training: once for its outputs, keeping nothing else, and once more for its
/// gradients. It costs one more forward pass of the block and saves the memory that its intermediate results would
/// take. Outputs, gradients and weights are those of the layer itself, bit for bit: random layers draw the same
/// numbers again, and running statistics are updated once. (A sum of more than two gradients may add in another
/// order, such as that of a parameter used several times in the block and outside of it.)
///
/// Its parameters are listed under its own name, without a level for the layer inside.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    layer: Dyn<dyn Build>,
}

impl Checkpoint {
    /// Wraps a layer, usually a [`Sequential`](crate::nn::Sequential) of several.
    pub fn new(layer: impl IntoLayer) -> Checkpoint {
        Checkpoint { layer: layer.into() }
    }
}

impl Configured for Checkpoint {
    fn config(&self) -> Result<Json> {
        Ok(serde_json::json!({ "layer": self.layer.write()? }))
    }
    /// The settings of the layer inside.
    fn common(&self) -> Option<&Common> {
        self.layer.common()
    }
}

impl Described for Checkpoint {
    const NAME: &'static str = "Checkpoint";
    fn from_config(config: Json, registry: &Registry) -> Result<Checkpoint> {
        let mut from = crate::config::generated::Reader::open("Checkpoint", &["layer"], config, registry)?;
        Ok(Checkpoint { layer: from.required("layer")? })
    }
}

impl Build for Checkpoint {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(Block { layer: Arc::new(self.layer.build(inputs, init)?), names: inputs.names().into() }))
    }
    fn input_names(&self) -> &[&'static str] {
        self.layer.input_names()
    }
    fn positional_names(&self) -> &[&'static str] {
        self.layer.positional_names()
    }
    fn list_names(&self) -> &[&'static str] {
        self.layer.list_names()
    }
}

/// The layer with its parameters.
#[derive(Clone, Debug)]
struct Block {
    /// Shared with steps of the tape.
    layer: Arc<Box<dyn Node>>,
    /// The names of the last inputs.
    names: Arc<[String]>,
}

impl Module for Block {
    fn walk(&self, at: &mut Path, f: &mut dyn FnMut(&Path, Item<'_>)) {
        self.layer.walk(at, f);
    }
    fn walk_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, ItemMut<'_>)) {
        Arc::make_mut(&mut self.layer).walk_mut(at, f);
    }
    fn as_node(&self) -> Option<&dyn Node> {
        Some(self)
    }
}

/// The inputs of a pass besides the tensors that gradients flow through.
#[derive(Clone)]
struct Call {
    /// The ids of the parameters, whose values follow those of the inputs.
    params: Few<u64, 8>,
    /// How many inputs there are, and which of them have masks: the masks follow the parameters.
    masks: Few<bool, 8>,
    /// The names of the last inputs.
    names: Arc<[String]>,
    /// Which outputs come without their activation.
    raw: Few<bool, 8>,
}

impl Call {
    /// Runs a pass with these values for inputs and parameters; returns the outputs, and the losses it added.
    fn run(&self, layer: &dyn Node, values: &[Tensor], cx: &mut Cx) -> Result<(Values, Tensors)> {
        let (inputs, rest) = values.split_at(self.masks.len());
        let (params, rest) = rest.split_at(self.params.len());
        let bound = self.params.iter().copied().zip(params.iter().cloned()).collect();
        let mut masks = rest.iter().cloned();
        let masks = self.masks.iter().map(|has| if *has { masks.next() } else { None });
        let inputs: Few<Value, 4> =
            inputs.iter().zip(masks).map(|(t, mask)| Value::masked(t.clone(), mask)).collect();
        let inputs = Inputs::with_names(&inputs, &self.names)?;
        let (outputs, losses) = cx.with_bound(bound, |cx| layer.call_raw(inputs, cx, &self.raw));
        Ok((outputs?, losses))
    }
}

/// The tensors that gradients flow out of.
fn flowing(outputs: &Values, losses: Tensors) -> Outputs {
    outputs.iter().map(|v| v.tensor.clone()).chain(losses).collect()
}

impl Node for Block {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        self.call_raw(x, cx, &[])
    }

    fn call_raw(&self, x: Inputs<'_>, cx: &mut Cx, raw: &[bool]) -> Result<Values> {
        if !cx.tracks() {
            return self.layer.call_raw(x, cx, raw);
        }
        let mut values: Few<Tensor, 8> = x.values().iter().map(|v| v.tensor.clone()).collect();
        let (mut params, mut read) = (Few::new(), Ok(()));
        self.layer.visit(&mut |_, p| {
            if p.trainable() && read.is_ok() {
                params.push(p.id());
                read = cx.param(p).map(|value| values.push(value));
            }
        });
        read?;
        // Everything that the pass starts from is an input, so that a graph can run it again: masks, statistics,
        // carried state.
        let masks = x.values().iter().map(|v| v.mask.is_some()).collect();
        values.extend(x.values().iter().filter_map(|v| v.mask.clone()));
        let first = values.len();
        values.extend(cx.tensors());
        let known = *x.names() == *self.names;
        let names = if known { self.names.clone() } else { x.names().into() };
        let call = Call { params, masks, names, raw: raw.into() };

        let begin = cx.again();
        let detached: Few<Tensor, 8> = values.iter().map(Tensor::detach).collect();
        let (mut outputs, losses) = call.run(&**self.layer, &detached, cx)?;
        let computed = flowing(&outputs, losses);
        let layer = self.layer.clone();
        let again = move |values: &[Tensor], at: Option<(u64, u64)>| {
            let traced = values.iter().any(|t| t.is_traced());
            let mut cx = begin.again_from(&values[first..], traced, at);
            let (outputs, losses) = call.run(&**layer, values, &mut cx)?;
            Ok(flowing(&outputs, losses))
        };
        let mut tensors = recomputed(&values.iter().collect::<Few<_, 8>>(), computed, again).into_iter();
        for (value, tensor) in outputs.iter_mut().zip(&mut tensors) {
            value.tensor = tensor;
        }
        tensors.for_each(|term| cx.add_loss(term));
        Ok(outputs)
    }

    fn output_activation(&self, output: usize) -> Option<&dyn Activation> {
        self.layer.output_activation(output)
    }
    fn takes_row_mask(&self) -> bool {
        self.layer.takes_row_mask()
    }
    fn class_name(&self) -> &'static str {
        "Checkpoint"
    }
    fn output_range(&self, output: usize, inputs: &[Option<Range>]) -> Option<Range> {
        self.layer.output_range(output, inputs)
    }
    fn is_row_wise(&self) -> bool {
        self.layer.is_row_wise()
    }
}
