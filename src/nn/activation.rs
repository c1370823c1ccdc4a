//! Why it exists: activations by name, for layers that end with one.

use crate::config::{Configured, Dyn, kind};
use crate::ops::matmul::Fused;
use crate::tensor::Tensor;
use crate::{Result, settings};

/// A function that layers apply to their result.
pub trait Activation: Configured + std::any::Any + std::fmt::Debug + Send + Sync {
    /// Applies it.
    ///
    /// # Errors
    /// The tensor's dtype or rank does not fit.
    fn apply(&self, x: &Tensor) -> Result<Tensor>;

    /// The form in which a matrix product can apply it to its result in one pass, if there is one.
    fn fused(&self) -> Option<Fused> {
        None
    }
}

impl<A: Activation + 'static> From<A> for Dyn<dyn Activation> {
    fn from(activation: A) -> Self {
        Dyn(std::sync::Arc::new(activation))
    }
}

/// One row an activation: its type, its formula, and its fused form if it has one.
macro_rules! activations {
    ($($(#[$doc:meta])* $type:ident($x:ident) = $f:expr $(; fused $fused:ident)?,)*) => {
        $(
            settings! {
                $(#[$doc])*
                #[derive(Copy, Default, PartialEq, Eq)]
                pub struct $type {}
            }
            #[doc(hidden)]
            #[allow(non_upper_case_globals)]
            pub const $type: $type = $type {};
            impl Activation for $type {
                fn apply(&self, $x: &Tensor) -> Result<Tensor> { $f }
                $(fn fused(&self) -> Option<Fused> { Some(Fused::$fused) })?
            }
        )*
        kind! { dyn Activation, "activation", Registry::activation; use $($type),*; }
    };
}

activations! {
    /// The input unchanged.
    Linear(x) = Ok(x.clone()),
    /// `max(x, 0)`.
    Relu(x) = x.relu(); fused Relu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid(x) = x.sigmoid(); fused Sigmoid,
    /// Hyperbolic tangent.
    Tanh(x) = x.tanh(); fused Tanh,
    /// `exp(x) / Σ exp(x)` over the last axis.
    Softmax(x) = x.softmax(-1),
    /// `x - ln Σ exp(x)` over the last axis.
    LogSoftmax(x) = x.log_softmax(-1),
    /// `x·Φ(x)`, exact.
    Gelu(x) = x.gelu(),
    /// `x·sigmoid(x)`.
    Silu(x) = x.silu(),
    /// `ln(1 + exp(x))`.
    Softplus(x) = x.softplus(),
    /// `exp(x)`.
    Exponential(x) = x.exp(),
}
