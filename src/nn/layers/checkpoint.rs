//! Why it exists: training keeps what every layer computed until its gradient is taken; a deep network runs out of memory
//! on it. A block under a checkpoint keeps its input alone and computes the rest again (Chen et al. 2016).

use crate::autograd::{Outputs, recomputed};
use crate::config::Dyn;
use crate::nn::activation::Activation;
use crate::nn::{Build, Cx, Init, Layer, Param, Params, Path, Row};
use crate::tensor::Tensor;
use crate::{Result, Spec, settings};
use std::sync::Arc;

settings! {
    /// The layer given to it, run twice in training: once for its output, of which nothing else is kept, and once more for
    /// its gradients. Costs one more forward pass of the block and saves what it would have held meanwhile. Outputs,
    /// gradients and weights are those of the layer itself, bit for bit: random layers draw the same numbers again, running
    /// statistics move once. (A sum of more than two gradients may add in another order: of a parameter used several times
    /// in the block and outside of it, say.)
    ///
    /// Its parameters stand under its own name, without a level for the layer inside.
    pub struct Checkpoint {
        layer: stored Dyn<dyn Build>,
    }
}

impl Checkpoint {
    /// Around a layer, most usefully a [`Sequential`](crate::nn::Sequential) of several.
    pub fn new(layer: impl Build + 'static) -> Checkpoint {
        Checkpoint { layer: Dyn(Arc::new(layer)) }
    }
}

impl Build for Checkpoint {
    fn build(&self, input: Spec, init: &mut Init) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Block { layer: self.layer.build(input, init)? }))
    }
    /// The name of the layer inside.
    fn name(&self) -> Option<&str> {
        self.layer.name()
    }
    fn trainable(&self) -> bool {
        self.layer.trainable()
    }
}

/// The layer with its parameters.
#[derive(Clone, Debug)]
struct Block {
    layer: Box<dyn Layer>,
}

impl Params for Block {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&Path, &Param)) {
        self.layer.visit(at, f);
    }
    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, &mut Param)) {
        self.layer.visit_mut(at, f);
    }
}

/// One pass with these values for the input and, by their keys, the parameters: the output, then the losses it added.
fn pass(layer: &dyn Layer, keys: &[u64], values: &[Tensor], cx: &mut Cx, logits: bool) -> Result<Outputs> {
    let bound = keys.iter().copied().zip(values[1..].iter().cloned()).collect();
    let x = &values[0];
    let run = |cx: &mut Cx| if logits { layer.forward_logits(x, cx) } else { layer.forward(x, cx) };
    let (y, losses) = cx.with_bound(bound, run);
    Ok(std::iter::once(y?).chain(losses).collect())
}

impl Block {
    fn run(&self, x: &Tensor, cx: &mut Cx, logits: bool) -> Result<Tensor> {
        if !cx.is_training() {
            return if logits { self.layer.forward_logits(x, cx) } else { self.layer.forward(x, cx) };
        }
        let (mut keys, mut inputs) = (Vec::new(), vec![x.clone()]);
        self.layer.visit(&mut Path::default(), &mut |_, p| {
            if p.trainable() {
                keys.push(p.id());
                inputs.push(cx.param(p));
            }
        });
        let begin = cx.again();
        let detached: Vec<Tensor> = inputs.iter().map(Tensor::detach).collect();
        let outputs = pass(&*self.layer, &keys, &detached, cx, logits)?;
        let layer = self.layer.clone();
        let again = move |values: &[Tensor]| pass(&*layer, &keys, values, &mut begin.again(), logits);
        let mut outputs = recomputed(&inputs.iter().collect::<Vec<_>>(), outputs, again);
        outputs.drain(1..).for_each(|term| cx.add_loss(term));
        Ok(outputs.swap_remove(0))
    }
}

impl Layer for Block {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        self.run(x, cx, false)
    }
    fn output_activation(&self) -> Option<&dyn Activation> {
        self.layer.output_activation()
    }
    fn forward_logits(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        self.run(x, cx, true)
    }
    fn rows(&self) -> Vec<Row> {
        self.layer.rows()
    }
}
