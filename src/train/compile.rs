//! From a network to a model. What can be wrong between outputs, losses and metrics without data is found here, and each loss
//! is joined with the activation before it where that is exact.

use super::head::Head;
use super::model::Model;
use crate::Result;
use crate::config::Dyn;
use crate::loss::Loss;
use crate::metric::{ByOutput, IntoMetrics};
use crate::nn::{Functional, Network, Sequential, Subclass};
use crate::optim::{Driver, Optimizer};

/// Whatever `compile` takes as loss: one, or for a network with several outputs an array or a tuple (of up to 8 different ones)
/// with one for each.
pub trait IntoLosses {
    /// The list.
    fn into_losses(self) -> Vec<Dyn<dyn Loss>>;
}
impl<L: Into<Dyn<dyn Loss>>> IntoLosses for L {
    fn into_losses(self) -> Vec<Dyn<dyn Loss>> {
        vec![self.into()]
    }
}
impl<L: Into<Dyn<dyn Loss>>, const N: usize> IntoLosses for [L; N] {
    fn into_losses(self) -> Vec<Dyn<dyn Loss>> {
        self.map(Into::into).into()
    }
}
macro_rules! tuples {
    ($($($type:ident $field:tt),+;)*) => {$(
        impl<$($type: Into<Dyn<dyn Loss>>),+> IntoLosses for ($($type,)+) {
            fn into_losses(self) -> Vec<Dyn<dyn Loss>> {
                vec![$(self.$field.into()),+]
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
    /// Makes a model of the network: with an optimizer, a loss for each output, and metrics.
    ///
    /// If an output ends with a softmax or sigmoid and its loss is the matching cross-entropy on probabilities, training and
    /// evaluation use the exact loss on logits; metrics and `predict` see probabilities all the same.
    ///
    /// # Errors
    /// There is not one loss for each output, metrics name an output that does not exist, a setting is out of range, or an output
    /// cannot be what its loss or a metric reads it as: probabilities as logits, logits as probabilities, and so on (`docs/keras.md`
    /// has the list; [`Loss::allow_mismatch`] lets it pass). Outputs of which nobody can know it are looked at in the first batch.
    pub fn compile(
        self,
        optimizer: impl Optimizer + 'static,
        losses: impl IntoLosses,
        metrics: impl IntoMetrics,
    ) -> Result<Model> {
        compile_checked(self, Driver::new(optimizer), losses.into_losses(), metrics.by_output())
    }
}

/// What [`Network::compile`] does with all of its arguments in one form each.
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

/// The same without a look at what the losses read: a file that was once written is read.
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

/// `compile` of what builds a network.
macro_rules! compiles {
    ($($type:ty),*) => {$(
        impl $type {
            /// Builds the network and makes a model of it: `build`, then [`Network::compile`].
            ///
            /// # Errors
            /// A layer does not fit what comes before it (the message names it), a setting is out of range, or as
            /// [`Network::compile`].
            pub fn compile(
                self,
                optimizer: impl Optimizer + 'static,
                losses: impl IntoLosses,
                metrics: impl IntoMetrics,
            ) -> Result<Model> {
                let driver = Driver::new(optimizer);
                driver.check_settings()?;
                compile_checked(self.build()?, driver, losses.into_losses(), metrics.by_output())
            }
        }
    )*};
}
compiles!(Sequential, Functional, Subclass);
