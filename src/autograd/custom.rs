//! Why it exists: gradients that do not follow from the steps inside: a rule of the caller's own, and computing a part
//! again instead of keeping what it computed.

use super::record::Ran;
use super::{Attributes, Attrs, Op, Outputs, Saves, Specs};
use super::{Grads, Step};
use crate::tensor::storage::Shared;
use crate::tensor::{Array, Few, Tensor};
use crate::{Error, Result, Spec};
use std::sync::Arc;

/// What a caller's own rule stands behind: the last inputs, which were computed from the first ones, as they are. So the step
/// can be run again like any other, and a trace holds what `forward` did.
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

/// A gradient rule as a closure, told seed and step if it runs in a graph that was.
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

/// `outputs`, computed from `inputs` without their history, with this rule behind them.
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

/// `forward` of the inputs, with a gradient of the caller's own. `forward` runs once, on the inputs without their history;
/// `backward` is [`Op::vjp`]: it finds inputs, output and its gradient in the [`Step`] and returns one entry an input.
/// Written in tensor operations, it can itself be differentiated. (TensorFlow and JAX: `custom_gradient`, `custom_vjp`.)
///
/// Rounding whose gradient is that of the identity, a straight-through estimator:
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
/// Those of `forward`. Those of `backward` come out of the sweep, as does a wrong number of gradients.
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

/// A tensor that `f` computes by reading values of the inputs: `f()`, and while a network is traced only its shape and dtype
/// (see [`Tensor::opaque`]). Nothing flows back through it.
///
/// # Errors
/// Those of `f`, or it gives another shape or dtype.
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

/// `f` of the inputs, computed again when gradients are wanted: of all that it computes on the way only the inputs are kept
/// (Chen et al. 2016). `f` must compute the same each time and read tracked tensors through its inputs alone. Values and
/// gradients are those of `f` itself, bit for bit.
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

/// Outputs that `again` computes once more from the inputs when their gradients are wanted; in a graph it is told seed and step.
pub(crate) fn recomputed(
    inputs: &[&Tensor],
    outputs: Outputs,
    again: impl Fn(&[Tensor], Option<(u64, u64)>) -> Result<Outputs> + Send + Sync + 'static,
) -> Outputs {
    // Only what the recomputation begins with: what was computed is kept by nobody.
    let saves = Saves::INPUTS.first(inputs.len() as u32);
    record("checkpoint", saves, inputs, outputs, move |step, at| step.composed(|inputs| again(inputs, at)))
}
