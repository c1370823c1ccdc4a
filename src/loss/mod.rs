//! Losses: what training minimizes, such as [`MeanSquaredError`] and [`SparseCategoricalCrossentropy`]. To write
//! one, begin with the trait [`Loss`], which gives one number per sample; its [`Reduction`] makes one number of a
//! batch, in the same way for all losses.

/// Declares losses without settings: a type, what it reads predictions as, its least and largest target if not
/// every number will do, and a formula of targets `t` and predictions `p` of one shape and dtype.
macro_rules! losses {
    ($($(#[$doc:meta])* $type:ident($t:ident, $p:ident) $(reads $reads:ident)? $(of $targets:tt)? = $f:expr;)*) => {$(
        $crate::settings! {
            $(#[$doc])*
            #[derive(Copy, PartialEq)]
            pub struct $type {
                /// Creates the loss.
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

use crate::config::generated::misnamed;
use crate::config::{Configured, Dyn, OrName, kind};
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

/// The distance that predictions keep from 0 and 1 (Keras's epsilon).
pub(crate) const EPSILON: f64 = 1e-7;

/// A loss: compares predictions with targets.
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
    /// Returns one number for each sample (and each further position, such as time), differentiable in `y_pred`.
    ///
    /// # Errors
    /// Shapes do not fit (`[n]` and `[n, 1]` are the same to a loss, but nothing else broadcasts), or labels are
    /// out of range.
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor>;

    /// Returns which of those numbers count: bool, of the same shape; all by default.
    ///
    /// # Errors
    /// Shapes do not fit.
    fn mask(&self, _y_true: &Tensor, _y_pred: &Tensor) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// Returns the name used in messages: that of the type.
    fn name(&self) -> &'static str {
        self.class_name()
    }

    /// Checks the settings; `compile` calls this.
    ///
    /// # Errors
    /// A setting is out of range.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Returns what this loss takes predictions to be. `compile` refuses outputs that cannot be that, unless
    /// [`Loss::allow_mismatch`] is set.
    fn reads(&self) -> Reads {
        Reads::Numbers
    }

    /// Returns the least and the largest valid target; any by default. `fit` and `evaluate` check the first batch.
    fn targets(&self) -> (f64, f64) {
        (f64::NEG_INFINITY, f64::INFINITY)
    }

    /// Returns the axis of the predictions along which lie the elements that one number of [`Loss::call`] is made
    /// of; the last by default.
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

    /// Returns reduction and weight, as set by [`Loss::reduction`] and [`Loss::weight`].
    fn options(&self) -> Options {
        Options::default()
    }

    /// Returns the loss of a batch as one number (unless the reduction is none). `sample_weight` has one number for
    /// each sample, or for each number that [`Loss::call`] gives. Terms with the weight 0 are absent from value and
    /// gradient, even if their target is NaN.
    ///
    /// # Errors
    /// Those of [`Loss::call`], or the weights' shape does not fit.
    fn value(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<Tensor> {
        let (losses, mask) = each(self, y_true, y_pred, sample_weight, None)?;
        self.options().reduction.apply(&losses, sample_weight, mask.as_ref())
    }

    /// Wraps this loss so that options can be set.
    fn tuned(self) -> Tuned
    where
        Self: Sized + 'static,
    {
        Tuned::new(self)
    }

    /// Sets the reduction; the default is [`Reduction::SumOverBatchSize`].
    fn reduction(self, reduction: impl OrName<Reduction>) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        match reduction.value_or_name() {
            Ok(reduction) => tuned.reduction = reduction,
            Err(e) => misnamed(&mut tuned.misnamed, "reduction", e),
        }
        tuned
    }

    /// Turns off the checks of `compile` and of the first batch for this loss, its output and its metrics:
    /// probabilities read as logits, logits read as probabilities, targets out of range. Use it if you mean it;
    /// `docs/keras.md` lists what is refused.
    fn allow_mismatch(self) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.allow_mismatch = true;
        tuned
    }

    /// Sets how much this loss counts in the sum over a network's outputs (Keras: `loss_weights`); 1 by default.
    /// With 0 it is reported but trains nothing.
    fn weight(self, weight: f64) -> Tuned
    where
        Self: Sized + 'static,
    {
        let mut tuned = self.tuned();
        tuned.weight = weight;
        tuned
    }
}

/// What `compile` takes as the loss of an output: a value, or the name of a loss with default settings: `"mse"`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss",
    label = "expected a value such as `MeanSquaredError::new()`, or a name such as `\"mse\"`"
)]
pub trait IntoLoss {
    /// Converts to a loss.
    ///
    /// # Errors
    /// There is no loss of this name; the message lists the known ones.
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

/// Returns the mean over the last axis, if there is one: the loss of one sample, for most losses.
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
