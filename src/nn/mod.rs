//! Why it exists: layers. A layer is parameters plus a function of tensors; what it needs beyond its input (mode,
//! randomness, masks, running statistics) comes in one explicit context.

pub mod activation;
pub mod constraint;
mod cx;
pub mod initializer;
pub mod layers;
mod param;
pub mod regularizer;
mod sequential;

pub use cx::Cx;
pub(crate) use param::Budget;
pub use param::{Init, Param, Params, Path};
pub use sequential::{Row, Sequential, Stack};

use crate::config::Configured;
use crate::tensor::Tensor;
use crate::{Result, Spec};
use activation::Activation;

/// A function of tensors with parameters. The default is one tensor in, one out, which is what [`Sequential`] stacks;
/// `X` and `Y` may be anything: `Layer<[Tensor], Vec<Tensor>>` takes and gives several, a recurrent layer can give its
/// states.
pub trait Layer<X: ?Sized = Tensor, Y = Tensor>:
    Params + CloneLayer<X, Y> + std::fmt::Debug + Send + Sync
{
    /// Computes the output. Reads parameters through [`Cx::param`].
    ///
    /// # Errors
    /// The input does not fit.
    fn forward(&self, x: &X, cx: &mut Cx) -> Result<Y>;

    /// The activation that [`Layer::forward`] ends with, if it can be left out: `compile` fuses it with the loss.
    fn output_activation(&self) -> Option<&dyn Activation> {
        None
    }

    /// [`Layer::forward`] without [`Layer::output_activation`].
    ///
    /// # Errors
    /// As [`Layer::forward`].
    fn forward_logits(&self, x: &X, cx: &mut Cx) -> Result<Y> {
        self.forward(x, cx)
    }

    /// The rows that `summary` shows for it, if it is made of layers.
    fn rows(&self) -> Vec<Row> {
        Vec::new()
    }
}

/// Lets boxed layers be cloned. Implemented for every layer that is `Clone`.
pub trait CloneLayer<X: ?Sized, Y> {
    /// A snapshot: values are copied when one of the two is changed. Its parameters keep their identity, so one network should
    /// not hold both.
    fn clone_layer(&self) -> Box<dyn Layer<X, Y>>;
}

impl<X: ?Sized, Y, L: Layer<X, Y> + Clone + 'static> CloneLayer<X, Y> for L {
    fn clone_layer(&self) -> Box<dyn Layer<X, Y>> {
        Box::new(self.clone())
    }
}

impl<X: ?Sized, Y> Clone for Box<dyn Layer<X, Y>> {
    fn clone(&self) -> Self {
        (**self).clone_layer()
    }
}

impl<X: ?Sized, Y> Params for Box<dyn Layer<X, Y>> {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&Path, &Param)) {
        (**self).visit(at, f);
    }
    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, &mut Param)) {
        (**self).visit_mut(at, f);
    }
}

/// The description of a layer, which becomes one when its input's shape is known. There are no half-built layers.
///
/// A layer of your own is its own description: `build` returns a clone.
pub trait Build: Configured + std::fmt::Debug + Send + Sync {
    /// Makes the layer for inputs of this shape (unknown sizes print as `None`) and dtype.
    ///
    /// # Errors
    /// The input's shape does not fit, or a setting is out of range.
    fn build(&self, input: Spec, init: &mut Init) -> Result<Box<dyn Layer>>;

    /// The name the user gave, if any; otherwise it is made from the class name.
    fn name(&self) -> Option<&str> {
        self.common()?.name.as_deref()
    }

    /// Whether its parameters learn.
    fn trainable(&self) -> bool {
        self.common().is_none_or(|common| !common.frozen)
    }

    /// For the description of a network's input: the shape without the batch, and the dtype.
    fn input(&self) -> Option<&layers::Input> {
        None
    }
}

/// `Dense` becomes `dense`, `Conv2D` `conv2d`, `BatchNormalization` `batch_normalization` (Keras's rule).
pub(crate) fn snake_case(class: &str) -> String {
    let c: Vec<char> = class.chars().collect();
    let mut out = String::new();
    for (i, &ch) in c.iter().enumerate() {
        let after_lower = i > 0 && (c[i - 1].is_ascii_lowercase() || c[i - 1].is_ascii_digit());
        let before_lower = i > 0 && c.get(i + 1).is_some_and(char::is_ascii_lowercase);
        if ch.is_ascii_uppercase() && (after_lower && !c[i - 1].is_ascii_digit() || before_lower) {
            out.push('_');
        }
        out.push(ch.to_ascii_lowercase());
    }
    out
}

/// Implements [`Params`] for a struct by naming the fields that hold parameters or things that do.
///
/// ```
/// # use gradus::nn::{Param, Params};
/// #[derive(Clone, Debug)]
/// struct Scale { factor: Param }
/// gradus::params!(Scale { factor });
/// ```
#[macro_export]
macro_rules! params {
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl $crate::nn::Params for $type {
            #[allow(unused_variables)]
            fn visit(&self, at: &mut $crate::nn::Path, f: &mut dyn FnMut(&$crate::nn::Path, &$crate::nn::Param)) {
                $(at.inside(stringify!($field), |at| $crate::nn::Params::visit(&self.$field, at, f));)*
            }
            #[allow(unused_variables)]
            fn visit_mut(&mut self, at: &mut $crate::nn::Path, f: &mut dyn FnMut(&$crate::nn::Path, &mut $crate::nn::Param)) {
                $(at.inside(stringify!($field), |at| $crate::nn::Params::visit_mut(&mut self.$field, at, f));)*
            }
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_follow_keras() {
        let cases = [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("LSTM", "lstm"),
            ("MaxPooling2D", "max_pooling2d"),
            ("MultiHeadAttention", "multi_head_attention"),
            ("PReLU", "p_re_lu"),
            ("RMSNormalization", "rms_normalization"),
        ];
        for (class, name) in cases {
            assert_eq!(super::snake_case(class), name);
        }
    }
}
