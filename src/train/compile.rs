//! `compile`: makes a model from a network. It finds every mistake between outputs, losses and metrics that shows
//! without data, and joins each loss with the activation before it where that is exact.

use super::head::Head;
use super::model::Model;
use crate::Result;
use crate::config::Dyn;
use crate::loss::{IntoLoss, Loss};
use crate::metric::{ByOutput, IntoMetrics};
use crate::nn::{Functional, Network, Sequential, Subclass};
use crate::optim::{Driver, IntoOptimizer};

/// What `compile` takes as its loss: one loss, or for a network with several outputs an array, a vector or a tuple
/// (of up to 8 different types) with one for each. Each may be given by its name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss",
    label = "expected a value such as `MeanSquaredError::new()`, a name such as `\"mse\"`, or a tuple with one for each output"
)]
pub trait IntoLosses {
    /// Converts to a list of losses.
    ///
    /// # Errors
    /// A name is unknown; the message lists the known ones.
    fn into_losses(self) -> Result<Vec<Dyn<dyn Loss>>>;
}
impl<L: IntoLoss> IntoLosses for L {
    fn into_losses(self) -> Result<Vec<Dyn<dyn Loss>>> {
        Ok(vec![self.into_loss()?])
    }
}
impl<L: IntoLoss, const N: usize> IntoLosses for [L; N] {
    fn into_losses(self) -> Result<Vec<Dyn<dyn Loss>>> {
        Vec::from(self).into_losses()
    }
}
impl<L: IntoLoss> IntoLosses for Vec<L> {
    fn into_losses(self) -> Result<Vec<Dyn<dyn Loss>>> {
        self.into_iter().map(L::into_loss).collect()
    }
}
macro_rules! tuples {
    ($($($type:ident $field:tt),+;)*) => {$(
        impl<$($type: IntoLoss),+> IntoLosses for ($($type,)+) {
            fn into_losses(self) -> Result<Vec<Dyn<dyn Loss>>> {
                Ok(vec![$(self.$field.into_loss()?),+])
            }
        }
    )*};
}
tuples! {
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}

impl Network {
    /// Creates a model of the network, with an optimizer, a loss for each output, and metrics.
    ///
    /// If an output ends with a softmax or sigmoid and its loss is the matching cross-entropy on probabilities,
    /// training and evaluation use the exact loss on logits; metrics and `predict` see probabilities all the same.
    ///
    /// Names stand for objects with default settings, as in Keras: `compile("adam", "mse", ["mae"])`.
    ///
    /// # Errors
    /// A name is unknown, there is not one loss for each output, metrics name an output that does not exist, a
    /// setting is out of range, or an output cannot be what its loss or a metric expects: probabilities for logits,
    /// logits for probabilities, and so on (`docs/keras.md` has the list; [`Loss::allow_mismatch`] turns this check
    /// off). Outputs about which nothing is known are checked in the first batch.
    pub fn compile(
        self,
        optimizer: impl IntoOptimizer,
        losses: impl IntoLosses,
        metrics: impl IntoMetrics,
    ) -> Result<Model> {
        let driver = Driver::from_arc(optimizer.into_optimizer()?);
        compile_checked(self, driver, losses.into_losses()?, metrics.by_output()?)
    }
}

/// [`Network::compile`] after all arguments have been converted to one form.
fn compile_checked(
    network: Network,
    driver: Driver,
    losses: Vec<Dyn<dyn Loss>>,
    metrics: ByOutput,
) -> Result<Model> {
    let model = compile_with(network, driver, losses, metrics)?;
    model.head.check_pairing(&model.network)?;
    Ok(model)
}

/// The same without checking what the losses read: a file that was written once can always be read.
pub(crate) fn compile_with(
    network: Network,
    driver: Driver,
    losses: Vec<Dyn<dyn Loss>>,
    metrics: ByOutput,
) -> Result<Model> {
    driver.check(&network)?;
    let head = Head::new(&network, losses, metrics)?;
    Ok(Model::new(network, head, driver))
}

/// Implements `compile` for a type that builds a network.
macro_rules! compiles {
    ($($type:ty),*) => {$(
        impl $type {
            /// Builds the network and makes a model of it: `build`, then [`Network::compile`].
            ///
            /// # Errors
            /// A layer does not fit what comes before it (the message names it), a setting is out of range, or an
            /// error of [`Network::compile`].
            pub fn compile(
                self,
                optimizer: impl IntoOptimizer,
                losses: impl IntoLosses,
                metrics: impl IntoMetrics,
            ) -> Result<Model> {
                let driver = Driver::from_arc(optimizer.into_optimizer()?);
                driver.check_settings()?;
                compile_checked(self.build()?, driver, losses.into_losses()?, metrics.by_output()?)
            }
        }
    )*};
}
compiles!(Sequential, Functional, Subclass);

/// A trait that nothing implements: training needs it where there is no optimizer and no loss yet.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a network must be compiled before it can be trained or evaluated",
    label = "this has no optimizer, loss and metrics yet",
    note = "write `let mut model = network.compile(\"adam\", \"mse\", [\"mae\"])?;`, then `model.fit(&x, &y, Fit::new())?`"
)]
pub trait Compiled<T: ?Sized> {}

/// Declares `fit` and `evaluate` for types that are not compiled: they cannot be called, and the compiler's message
/// says why.
macro_rules! uncompiled {
    ($($type:ty),*) => {$(
        #[doc(hidden)]
        impl $type {
            pub fn fit<X: ?Sized, Y: ?Sized>(&self, _: &X, _: &Y, _: super::Fit<'_>) -> Result<super::History, super::FitError>
            where
                (): Compiled<X>,
            {
                Ok(super::History::default())
            }
            pub fn evaluate<X: ?Sized, Y: ?Sized>(&self, _: &X, _: &Y) -> Result<super::Logs>
            where
                (): Compiled<X>,
            {
                Ok(super::Logs::default())
            }
        }
    )*};
}
uncompiled!(Sequential, Functional, Subclass, Network);
