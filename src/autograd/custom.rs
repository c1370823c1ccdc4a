//! Why it exists: gradients that do not follow from the steps inside: a rule of the caller's own, and computing a part
//! again instead of keeping what it computed.

use super::backward::pull;
use super::node::{Grads, Step, ran};
use super::{Op, Outputs, Saves, Specs};
use crate::tensor::{Array, Tensor};
use crate::{Error, Result, Spec};
use smallvec::SmallVec;

/// A step whose outputs were computed beforehand, with a closure as its rule.
struct Custom<F> {
    name: &'static str,
    saves: Saves,
    rule: F,
}

impl<F> std::fmt::Debug for Custom<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl<F: Fn(&Step<'_>) -> Result<Grads> + Send + Sync + 'static> Op for Custom<F> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn infer(&self, _: &[Spec]) -> Result<Specs> {
        Err(Error::Backward(format!("{} is recorded when it has been computed", self.name)))
    }
    fn eval(&self, _: &[&Array], _: &mut [Array]) -> Result<()> {
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        self.saves
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        (self.rule)(step)
    }
}

impl<F: Fn(&Step<'_>) -> Result<Grads> + Send + Sync + 'static> Custom<F> {
    /// The outputs with this as the step behind them, if an input is tracked.
    fn record(self, inputs: &[&Tensor], outputs: Outputs) -> Outputs {
        let arrays: SmallVec<[Array; 3]> = outputs.into_iter().map(Tensor::into_array).collect();
        ran(&self, inputs, arrays).outputs(self)
    }
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
    let detached: Vec<Tensor> = inputs.iter().map(|t| t.detach()).collect();
    let output = forward(&detached)?;
    let step = Custom { name: "custom_gradient", saves: Saves::INPUTS.output(0), rule: backward };
    Ok(step.record(inputs, Outputs::from_iter([output])).swap_remove(0))
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
    let detached: Vec<Tensor> = inputs.iter().map(|t| t.detach()).collect();
    let outputs = Outputs::from_iter([f(&detached)?]);
    Ok(recomputed(inputs, outputs, move |inputs| Ok(Outputs::from_iter([f(inputs)?]))).swap_remove(0))
}

/// Outputs that `again` computes once more from the inputs when their gradients are wanted.
pub(crate) fn recomputed(
    inputs: &[&Tensor],
    outputs: Outputs,
    again: impl Fn(&[Tensor]) -> Result<Outputs> + Send + Sync + 'static,
) -> Outputs {
    let rule = move |step: &Step<'_>| {
        // Inside, the inputs are leaves of a tape of its own, unless that tape will be differentiated itself.
        let input = |i: usize| {
            let t = step.input(i);
            if step.attached() || !step.wants(i) { t } else { t.tracked() }
        };
        let inputs: Vec<Tensor> = (0..step.inputs()).map(input).collect();
        let outputs = again(&inputs)?;
        pull(outputs, step.grads, &inputs, step.attached())
    };
    Custom { name: "checkpoint", saves: Saves::INPUTS, rule }.record(inputs, outputs)
}
