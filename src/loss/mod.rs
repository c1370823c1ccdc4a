//! Why it exists: what training makes smaller. A loss gives one number a sample; how they become one is the reduction,
//! the same for all of them.

/// Declares losses without settings: a type, what it reads predictions as and its least and largest targets if those are not any
/// numbers, and a formula of targets `t` and predictions `p` of one shape and dtype.
macro_rules! losses {
    ($($(#[$doc:meta])* $type:ident($t:ident, $p:ident) $(reads $reads:ident)? $(of $targets:tt)? = $f:expr;)*) => {$(
        $crate::settings! {
            $(#[$doc])*
            #[derive(Copy, PartialEq)]
            pub struct $type {
                /// The loss.
                new();
            }
        }

        impl $crate::loss::Loss for $type {
            fn call(
                &self,
                y_true: &$crate::Tensor,
                y_pred: &$crate::Tensor,
            ) -> $crate::Result<$crate::Tensor> {
                let ($t, $p) = $crate::loss::aligned(stringify!($type), y_true, y_pred)?;
                $f
            }
            $(
                fn reads(&self) -> $crate::loss::Reads {
                    $crate::loss::Reads::$reads
                }
            )?
            $(
                fn targets(&self) -> (f64, f64) {
                    $targets
                }
            )?
        }
    )*};
}

mod absent;
mod function;
mod labels;
mod reads;
mod reduction;

pub(crate) use absent::{counted, each};
pub use function::{FromFn, from_fn};
pub(crate) use function::{Function, no_closure};
pub(crate) use labels::classes;
use labels::labels;
pub use reads::Reads;
pub use reduction::Reduction;
pub(crate) use reduction::fitted;

use crate::config::{Configured, Dyn, kind};
use crate::nn::activation::Activation;
use crate::tensor::Tensor;
use crate::{Error, Result};

kind! {
    dyn Loss, "loss", Registry::loss;
    mod sparse_categorical_crossentropy: SparseCategoricalCrossentropy;
    mod categorical_crossentropy: CategoricalCrossentropy;
    mod binary_crossentropy: BinaryCrossentropy;
    mod focal_crossentropy: CategoricalFocalCrossentropy, BinaryFocalCrossentropy;
    mod probability: KLDivergence;
    mod regression:
        MeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError, Huber, LogCosh,
        Poisson, CosineSimilarity;
    mod hinge: Hinge, SquaredHinge, CategoricalHinge;
    mod overlap: Dice, Tversky;
    mod circle: Circle;
    mod generalized_crossentropy: CategoricalGeneralizedCrossEntropy;
    mod ctc: CTC;
    mod tuned: Tuned with Options;
    alias
        "mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError,
        "mape": MeanAbsolutePercentageError, "MAPE": MeanAbsolutePercentageError, "msle": MeanSquaredLogarithmicError,
        "MSLE": MeanSquaredLogarithmicError, "bce": BinaryCrossentropy, "BCE": BinaryCrossentropy, "kld": KLDivergence,
        "KLD": KLDivergence, "logcosh": LogCosh, "huber_loss": Huber;
}

/// Predictions are kept this far from 0 and 1 (Keras's epsilon).
pub(crate) const EPSILON: f64 = 1e-7;

/// Compares predictions with the truth.
///
/// ```
/// use gradus::loss::Loss;
/// use gradus::prelude::*;
///
/// gradus::settings! {
///     /// `max(q·e, (q - 1)·e)` of `e = y_true - y_pred`: the quantile `q`.
///     pub struct Quantile as "mine>Quantile" {
///         /// Of this quantile.
///         new(q: f64);
///     }
/// }
///
/// impl Loss for Quantile {
///     fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> gradus::Result<Tensor> {
///         let e = y_true.sub(y_pred)?;
///         e.scale(self.q)?.maximum(&e.scale(self.q - 1.0)?)?.mean(&[-1], false)
///     }
/// }
///
/// let loss = Quantile::new(0.9).value(&Tensor::ones([4, 1])?, &Tensor::zeros([4, 1])?, None)?;
/// assert!((loss.item()? - 0.9).abs() < 1e-6);
/// # Ok::<(), gradus::Error>(())
/// ```
pub trait Loss: Configured + std::fmt::Debug + Send + Sync {
    /// One number for each sample (and each further position, such as time), differentiable in `y_pred`.
    ///
    /// # Errors
    /// Shapes do not fit: `[n]` and `[n, 1]` are the same to a loss, nothing else broadcasts; or labels are out of range.
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor>;

    /// Which of those numbers count: bool, of the same shape; all by default.
    ///
    /// # Errors
    /// Shapes do not fit.
    fn mask(&self, _y_true: &Tensor, _y_pred: &Tensor) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// What messages call it: the name of its type.
    fn name(&self) -> &'static str {
        self.class_name()
    }

    /// Whether its settings make sense; `compile` asks.
    ///
    /// # Errors
    /// A setting is out of range.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// What it takes predictions for. `compile` refuses outputs that cannot be that; [`Loss::allow_mismatch`] lets them pass.
    fn reads(&self) -> Reads {
        Reads::Numbers
    }

    /// The least and the largest target that it is made for; any by default. The first batch of `fit` and `evaluate` is looked at.
    fn targets(&self) -> (f64, f64) {
        (f64::NEG_INFINITY, f64::INFINITY)
    }

    /// Along which axis of the predictions the elements lie that one number of [`Loss::call`] is made of; the last by default.
    fn axis(&self) -> isize {
        -1
    }

    /// Whether one number of [`Loss::call`] is made of several rows, as in [`Dice`]; no by default. What does not count is then 0 in targets
    /// and in predictions when it is called, so that it can be left out.
    fn across_rows(&self) -> bool {
        false
    }

    /// The same loss as a function of what goes into `activation`, if there is a form that is exact where the other clips.
    fn on_logits(&self, _activation: &dyn Activation) -> Option<Dyn<dyn Loss>> {
        None
    }

    /// Reduction and weight; [`Loss::reduction`] and [`Loss::weight`] set them.
    fn options(&self) -> Options {
        Options::default()
    }

    /// The loss of a batch as one number (unless the reduction is none). `sample_weight` has one number for each sample, or
    /// for each number that [`Loss::call`] gives. What has the weight 0 is absent, in the value and in the gradient, even if its
    /// target is NaN.
    ///
    /// # Errors
    /// As [`Loss::call`], or the weights' shape does not fit.
    fn value(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<Tensor> {
        let (losses, mask) = each(self, y_true, y_pred, sample_weight, None)?;
        self.options().reduction.apply(&losses, sample_weight, mask.as_ref())
    }

    /// The same loss with room for options.
    fn tuned(self) -> Tuned
    where
        Self: Sized + 'static,
    {
        Tuned::new(self)
    }

    /// With another reduction than [`Reduction::SumOverBatchSize`].
    fn reduction(self, reduction: Reduction) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.reduction = reduction;
        tuned
    }

    /// Lets `compile` and the first batch pass what they would refuse of this loss, its output and its metrics: probabilities read
    /// as logits, logits read as probabilities, targets out of range. For those who mean it; `docs/keras.md` lists what is refused.
    fn allow_mismatch(self) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.allow_mismatch = true;
        tuned
    }

    /// How much this loss counts in the sum over a network's outputs (Keras: `loss_weights`); 1 by default. With 0 it is shown and
    /// trains nothing.
    fn weight(self, weight: f64) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.weight = weight;
        tuned
    }
}

/// What `compile` takes as the loss of an output: a value, or its name for one with default settings: `"mse"`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss",
    label = "expected a value such as `MeanSquaredError::new()`, or a name such as `\"mse\"`"
)]
pub trait IntoLoss {
    /// The loss.
    ///
    /// # Errors
    /// There is none of this name; the message lists those that there are.
    fn into_loss(self) -> Result<Dyn<dyn Loss>>;
}
impl<L: Loss + 'static> IntoLoss for L {
    fn into_loss(self) -> Result<Dyn<dyn Loss>> {
        Ok(self.into())
    }
}
impl IntoLoss for &str {
    fn into_loss(self) -> Result<Dyn<dyn Loss>> {
        self.parse()
    }
}
impl IntoLoss for Box<dyn Loss> {
    fn into_loss(self) -> Result<Dyn<dyn Loss>> {
        Ok(Dyn(self.into()))
    }
}
impl IntoLoss for Dyn<dyn Loss> {
    fn into_loss(self) -> Result<Dyn<dyn Loss>> {
        Ok(self)
    }
}

impl<L: Loss + 'static> From<L> for Dyn<dyn Loss> {
    fn from(loss: L) -> Self {
        Dyn(std::sync::Arc::new(loss))
    }
}

/// The mean over the last axis, if there is one: what one sample's loss is for most losses.
pub(crate) fn last_mean(losses: &Tensor) -> Result<Tensor> {
    if losses.rank() == 0 { Ok(losses.clone()) } else { losses.mean(&[-1], false) }
}

/// Brings `[…]` and `[…, 1]` to one rank by Keras's rule: a vector gets the axis, anything else loses it.
pub(crate) fn same_rank(a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
    let wider = |wide: &Tensor, narrow: &Tensor| {
        wide.rank() == narrow.rank() + 1 && wide.dims().last() == Some(&1) && narrow.rank() > 0
    };
    if wider(a, b) {
        return Ok(if b.rank() == 1 { (a.clone(), b.expand_dims(-1)?) } else { (a.squeeze(-1)?, b.clone()) });
    }
    if wider(b, a) {
        return Ok(if a.rank() == 1 { (a.expand_dims(-1)?, b.clone()) } else { (a.clone(), b.squeeze(-1)?) });
    }
    Ok((a.clone(), b.clone()))
}

/// Targets and predictions of one shape, the targets in the predictions' dtype. Demands equal shapes but for
/// [`same_rank`]: a loss that broadcast would train the wrong thing in silence.
pub(crate) fn aligned(op: &'static str, y_true: &Tensor, y_pred: &Tensor) -> Result<(Tensor, Tensor)> {
    let (t, p) = same_rank(y_true, y_pred)?;
    if t.shape() == p.shape() {
        return Ok((t.cast(p.dtype())?, p));
    }
    let why =
        "targets and predictions must have the same shape (nothing but [n] and [n, 1] is brought together)";
    Err(Error::shapes(op, *y_true.shape(), *y_pred.shape(), why))
}
