//! `custom_gradient`, [`opaque`] and [`checkpoint`]: gradients that do not follow from the steps inside, by a rule
//! of the caller's own or by computing a part again instead of keeping its results.

use super::record::Ran;
use super::{Attributes, Attrs, Op, Outputs, Saves, Specs};
use super::{Grads, Step};
use crate::tensor::storage::Shared;
use crate::tensor::{Array, Few, Tensor};
use crate::{Error, Result, Spec};
use std::sync::Arc;

/// The operation in front of a caller's own rule. It returns its last inputs, which were computed from the first
/// ones, unchanged. So the step can be run again like any other, and a trace holds what `forward` did.
struct Custom<F> {
    name: &'static str,
    saves: Saves,
    /// How many of the inputs were computed from those before them.
    computed: usize,
    rule: Shared<F>,
    /// Seed and step of the graph that runs it.
    at: Option<(u64, u64)>,
}

impl<F> std::fmt::Debug for Custom<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl<F: Rule> Attributes for Custom<F> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn inputs(&self) -> (usize, usize) {
        (self.computed, usize::MAX)
    }
    fn attrs(&self) -> Attrs {
        Attrs::new()
    }
    fn is_described(&self) -> bool {
        false
    }
    fn reseeded(&self, seed: u64, step: u64) -> Option<Arc<dyn Op>> {
        let Custom { name, saves, computed, .. } = *self;
        Some(Arc::new(Custom { name, saves, computed, rule: self.rule.clone(), at: Some((seed, step)) }))
    }
}

/// A gradient rule as a closure; it is passed seed and step if it runs in a graph that has them.
trait Rule: Fn(&Step<'_>, Option<(u64, u64)>) -> Result<Grads> + Send + Sync + 'static {}
impl<F: Fn(&Step<'_>, Option<(u64, u64)>) -> Result<Grads> + Send + Sync + 'static> Rule for F {}

impl<F: Rule> Op for Custom<F> {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Ok(inputs[inputs.len() - self.computed..].iter().copied().collect())
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        for (output, input) in outputs.iter_mut().zip(&inputs[inputs.len() - self.computed..]) {
            *output = input.contiguous()?;
        }
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        self.saves
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let step = Step { hidden: self.computed, ..*step };
        let mut grads = (self.rule)(&step, self.at)?;
        if grads.len() != step.inputs() {
            let (got, want) = (grads.len(), step.inputs());
            return Err(Error::Backward(format!("the rule gave {got} gradients for {want} inputs")));
        }
        grads.extend(std::iter::repeat_n(None, self.computed));
        Ok(grads)
    }
}

/// Records `outputs`, computed from `inputs` without history, with this rule.
fn record(
    name: &'static str,
    saves: Saves,
    inputs: &[&Tensor],
    outputs: Outputs,
    rule: impl Rule,
) -> Outputs {
    if !inputs.iter().any(|t| t.is_tracked() || t.is_traced()) {
        return outputs;
    }
    let op = Custom { name, saves, computed: outputs.len(), rule: Shared::new(rule), at: None };
    let all: Few<&Tensor, 8> = inputs.iter().copied().chain(&outputs).collect();
    let arrays = outputs.iter().map(|t| t.array().clone()).collect();
    let traced = all.iter().any(|t| t.is_traced());
    let mut ran = Ran::new();
    ran.run(&op, &all, arrays, traced);
    ran.hold(op);
    ran.outputs()
}

/// Computes `forward` of the inputs, with a gradient of the caller's own. `forward` runs once, on the inputs
/// without their history. `backward` is like [`Op::vjp`]: it finds inputs, output and its gradient in the [`Step`],
/// and returns one gradient for each input. Written in tensor operations, it can itself be differentiated.
/// (TensorFlow and JAX: `custom_gradient`, `custom_vjp`.)
///
/// For example, rounding whose gradient is that of the identity, a straight-through estimator:
///
/// ```
/// use gradus::autograd::{Grads, custom_gradient};
/// # use gradus::Tensor;
/// let x = Tensor::from_slice(&[0.4f32, 1.7], [2])?.tracked();
/// let y = custom_gradient(&[&x], |x| x[0].round(), |step| Ok(Grads::from_iter([Some(step.grad(0)?)])))?;
/// assert_eq!(y.to_vec::<f32>()?, [0.0, 2.0]);
/// let gradients = y.square()?.sum(&[], false)?.backward()?;
/// assert_eq!(gradients.get(&x).unwrap().to_vec::<f32>()?, [0.0, 4.0]);
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// Those of `forward`. Errors of `backward`, or a wrong number of gradients, are reported by the sweep.
pub fn custom_gradient(
    inputs: &[&Tensor],
    forward: impl FnOnce(&[Tensor]) -> Result<Tensor>,
    backward: impl Fn(&Step<'_>) -> Result<Grads> + Send + Sync + 'static,
) -> Result<Tensor> {
    let detached: Few<Tensor, 8> = inputs.iter().map(|t| t.detach()).collect();
    let output = Outputs::from_iter([forward(&detached)?]);
    Ok(record(
        "custom_gradient",
        Saves::INPUTS.output(0).first(inputs.len() as u32),
        inputs,
        output,
        move |step, _| backward(step),
    )
    .swap_remove(0))
}

/// Returns a tensor that `f` computes by reading values of the inputs; while a network is traced, only its shape
/// and dtype (see [`Tensor::opaque`]). No gradient flows back through it.
///
/// # Errors
/// Those of `f`, or its result has another shape or dtype.
pub fn opaque(inputs: &[&Tensor], spec: Spec, f: impl FnOnce() -> Result<Tensor>) -> Result<Tensor> {
    if inputs.iter().any(|t| t.is_traced()) {
        return Ok(Tensor::opaque(spec));
    }
    let output = f()?.detach();
    match output.spec() == spec {
        true => Ok(output),
        false => Err(Error::argument("opaque", format!("a tensor {spec}, as declared"), output.spec())),
    }
}

/// Computes `f` of the inputs, and computes it again when gradients are needed: only the inputs are kept, not the
/// results on the way (Chen et al. 2016). `f` must compute the same each time, and read tracked tensors only
/// through its inputs. Values and gradients are those of `f` itself, bit for bit.
///
/// # Errors
/// Those of `f`.
pub fn checkpoint(
    inputs: &[&Tensor],
    f: impl Fn(&[Tensor]) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let detached: Few<Tensor, 8> = inputs.iter().map(|t| t.detach()).collect();
    let outputs = Outputs::from_iter([f(&detached)?]);
    Ok(recomputed(inputs, outputs, move |inputs, _| Ok(Outputs::from_iter([f(inputs)?]))).swap_remove(0))
}

/// Returns outputs that `again` computes once more from the inputs when their gradients are needed; in a graph it
/// is passed seed and step.
pub(crate) fn recomputed(
    inputs: &[&Tensor],
    outputs: Outputs,
    again: impl Fn(&[Tensor], Option<(u64, u64)>) -> Result<Outputs> + Send + Sync + 'static,
) -> Outputs {
    // Only what the recomputation begins with is saved, not what was computed.
    let saves = Saves::INPUTS.first(inputs.len() as u32);
    record("checkpoint", saves, inputs, outputs, move |step, at| step.composed(|inputs| again(inputs, at)))
}
