//! `BatchNormalization`: normalizes each channel to mean 0 and variance 1 (Ioffe and Szegedy 2015), with the
//! batch's statistics in training and with moving averages in inference.

use super::checks::{epsilon, rate_or_one};
use crate::config::Dyn;
use crate::nn::axes::known_size;
use crate::nn::constraint::Constraint;
use crate::nn::initializer::{Initializer, Ones, Zeros};
use crate::nn::regularizer::Regularizer;
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Node, Param, Value, Values, single};
use crate::random::Stream;
use crate::tensor::{Few, Tensor};
use crate::{DType, Error, MAX_RANK, Result, Shape};

crate::settings! {
    /// `(x - mean) / √(var + ε) · gamma + beta` for each channel. In training mean and (biased) variance are those
    /// of the batch over all axes but the channels', and moving averages follow:
    /// `moving = moving · momentum + batch · (1 - momentum)`. In inference, and while the layer is frozen, the
    /// moving averages are used.
    ///
    /// With `renorm`, training gives `(z·r + d)·gamma + beta`, where `z = (x - mean) / σ` is normalized by the
    /// batch, `r = σ / σ_slow` and `d = (mean - mean_slow) / σ_slow` lead to slowly moving statistics, and no
    /// gradient flows through `r` and `d`.
    ///
    /// With a mask, positions that do not count are left out of all statistics. `gamma` (ones), `beta` (zeros),
    /// `moving_mean` (zeros) and `moving_variance` (ones) have one number for each channel.
    pub layer BatchNormalization {
        /// Creates the layer with Keras's defaults.
        new();

        /// The axis of the channels. Default: the last.
        axis: isize = -1,
        /// Momentum of the moving averages: the share that is kept in each step. Default: `0.99`.
        momentum: f64 = 0.99,
        /// Added to the variance, so that no divisor is 0. Default: `1e-3`.
        epsilon: f64 = 1e-3,
        /// Whether there is a `beta`. Default: `true`.
        center: bool = true,
        /// Whether there is a `gamma`. Default: `true`.
        scale: bool = true,
        /// Initializer of `beta`. Default: `Zeros`.
        beta_initializer: into Dyn<dyn Initializer> = Zeros,
        /// Initializer of `gamma`. Default: `Ones`.
        gamma_initializer: into Dyn<dyn Initializer> = Ones,
        /// Initializer of the moving mean. Default: `Zeros`.
        moving_mean_initializer: into Dyn<dyn Initializer> = Zeros,
        /// Initializer of the moving variance. Default: `Ones`.
        moving_variance_initializer: into Dyn<dyn Initializer> = Ones,
        /// Regularizer of `beta`. Default: none.
        beta_regularizer: some into Dyn<dyn Regularizer>,
        /// Regularizer of `gamma`. Default: none.
        gamma_regularizer: some into Dyn<dyn Regularizer>,
        /// Constraint on `beta`. Default: none.
        beta_constraint: some into Dyn<dyn Constraint>,
        /// Constraint on `gamma`. Default: none.
        gamma_constraint: some into Dyn<dyn Constraint>,
        /// Whether training corrects the statistics of the batch by moving ones: batch renormalization (Ioffe
        /// 2017). Default: `false`.
        renorm: bool = false,
        /// Bounds on what renormalization corrects. Default: none.
        renorm_clipping: some RenormClipping,
        /// Momentum of the statistics that renormalization compares with. Default: `0.99`.
        renorm_momentum: f64 = 0.99,
    }
}

crate::settings! {
    /// Bounds on the corrections of batch renormalization, `x · r + d`; a bound that is not set does not limit.
    #[derive(Copy, PartialEq)]
    pub struct RenormClipping {
        /// Creates it without bounds.
        new();

        /// The largest `r`.
        rmax: some f64,
        /// The smallest `r`.
        rmin: some f64,
        /// The largest absolute value of `d`.
        dmax: some f64,
    }
}

impl RenormClipping {
    fn check(&self) -> Result<()> {
        if let (Some(max), Some(min)) = (self.rmax, self.rmin)
            && max < min
        {
            let expected = format!("rmax of at least rmin, which is {min}");
            return Err(Error::argument("renorm_clipping", expected, max));
        }
        match self.dmax {
            Some(dmax) if dmax < 0.0 => Err(Error::argument("renorm_clipping", "dmax of at least 0", dmax)),
            _ => Ok(()),
        }
    }

    fn r(&self, r: &Tensor) -> Result<Tensor> {
        let r = self.rmin.map_or(Ok(r.clone()), |min| r.maximum(&r.new_full([], min)?))?;
        self.rmax.map_or(Ok(r.clone()), |max| r.minimum(&r.new_full([], max)?))
    }
}

impl Build for BatchNormalization {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        const NAME: &str = "BatchNormalization";
        let spec = single(inputs)?;
        let axis = spec.shape.axis(NAME, self.axis)? as isize;
        if spec.shape.rank() < 2 {
            return Err(Error::shape(NAME, "inputs [batch, …, channels]", spec.shape));
        }
        epsilon("epsilon", self.epsilon)?;
        rate_or_one("momentum", self.momentum)?;
        rate_or_one("renorm_momentum", self.renorm_momentum)?;
        let n = [known_size(NAME, spec, axis)?];
        let clipping = self.renorm_clipping.unwrap_or_default();
        if self.renorm {
            clipping.check()?;
        }
        let deviation = SquareRoot(self.moving_variance_initializer.clone()).into();
        Ok(Box::new(BatchNormalizationNode {
            gamma: init.weight_if(
                self.scale,
                n,
                &self.gamma_initializer,
                &self.gamma_regularizer,
                &self.gamma_constraint,
            )?,
            beta: init.weight_if(
                self.center,
                n,
                &self.beta_initializer,
                &self.beta_regularizer,
                &self.beta_constraint,
            )?,
            moving_mean: init.state(n, &self.moving_mean_initializer)?,
            moving_variance: init.state(n, &self.moving_variance_initializer)?,
            moving_stddev: self.renorm.then(|| init.state(n, &deviation)).transpose()?,
            renorm_mean: self.renorm.then(|| init.state(n, &self.moving_mean_initializer)).transpose()?,
            renorm_stddev: self.renorm.then(|| init.state(n, &deviation)).transpose()?,
            axis,
            momentum: self.momentum,
            epsilon: self.epsilon,
            clipping,
            renorm_momentum: self.renorm_momentum,
        }))
    }
}

/// The initializer of a running deviation: the square root of what the variance's initializer gives.
#[derive(Debug)]
struct SquareRoot(Dyn<dyn Initializer>);
impl crate::config::Configured for SquareRoot {}
impl Initializer for SquareRoot {
    fn value(&self, shape: &Shape, stream: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        let variance = self.0.value(shape, stream)?;
        Ok(Box::new(move |at| libm::sqrt(variance(at))))
    }
}

/// The layer with its parameters.
#[derive(Clone, Debug)]
struct BatchNormalizationNode {
    gamma: Option<Param>,
    beta: Option<Param>,
    moving_mean: Param,
    moving_variance: Param,
    moving_stddev: Option<Param>,
    renorm_mean: Option<Param>,
    renorm_stddev: Option<Param>,
    axis: isize,
    momentum: f64,
    epsilon: f64,
    clipping: RenormClipping,
    renorm_momentum: f64,
}
crate::parts!(BatchNormalizationNode {
    gamma,
    beta,
    moving_mean,
    moving_variance,
    moving_stddev,
    renorm_mean,
    renorm_stddev
});

impl Node for BatchNormalizationNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let Value { tensor, mask } = x.single()?;
        check_mask(tensor, mask.as_ref())?;
        // Channels last.
        let x = tensor.moveaxis(self.axis, -1)?;
        let gamma = cx.param_if(&self.gamma)?;
        let beta = cx.param_if(&self.beta)?;
        let (gamma, beta) = (gamma.as_ref(), beta.as_ref());
        // A frozen layer uses its running statistics without updating them.
        let y = match cx.is_training() && !self.moving_mean.is_frozen() {
            true => {
                let mask = mask.as_ref().map(|mask| self.of_elements(tensor, mask)).transpose()?;
                self.train(&x, mask.as_ref(), gamma, beta, cx)?
            }
            false => self.infer(&x, gamma, beta, cx)?,
        };
        Ok(Value::masked(y.moveaxis(-1, self.axis)?, mask.clone()).into())
    }
    fn takes_row_mask(&self) -> bool {
        true
    }
    fn class_name(&self) -> &'static str {
        "BatchNormalization"
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}

impl BatchNormalizationNode {
    /// `x · s + t`, rounded once, with `s = gamma / √(var + ε)` and `t = beta - mean · s`.
    fn infer(&self, x: &Tensor, gamma: Option<&Tensor>, beta: Option<&Tensor>, cx: &Cx) -> Result<Tensor> {
        let mean = cx.state(&self.moving_mean).cast(x.dtype())?;
        let root = cx.state(&self.moving_variance).cast(x.dtype())?.affine(1.0, self.epsilon)?.sqrt()?;
        let s = match gamma {
            Some(gamma) => gamma.div(&root)?,
            None => root.new_full([], 1.0)?.div(&root)?,
        };
        let shift = mean.mul(&s)?;
        let t = match beta {
            Some(beta) => beta.sub(&shift)?,
            None => shift.neg()?,
        };
        x.mul_add(&s, &t)
    }

    fn train(
        &self,
        x: &Tensor,
        mask: Option<&Tensor>,
        gamma: Option<&Tensor>,
        beta: Option<&Tensor>,
        cx: &mut Cx,
    ) -> Result<Tensor> {
        let (Some(moving_stddev), Some(renorm_mean), Some(renorm_stddev)) =
            (&self.moving_stddev, &self.renorm_mean, &self.renorm_stddev)
        else {
            let (y, mean, variance) = self.normalized(x, mask, gamma, beta)?;
            moved(&self.moving_mean, &mean, self.momentum, cx)?;
            moved(&self.moving_variance, &variance, self.momentum, cx)?;
            return Ok(y);
        };
        // Batch renormalization: z · r + d, where r and d lead from the statistics of the batch to slowly moving
        // ones, and count as constants.
        let (z, mean, variance) = self.normalized(x, mask, None, None)?;
        let deviation = variance.affine(1.0, self.epsilon)?.sqrt()?;
        let slow = cx.state(renorm_stddev).cast(x.dtype())?;
        let slow = slow.maximum(&slow.new_full([], libm::sqrt(self.epsilon))?)?;
        let r = self.clipping.r(&deviation.div(&slow)?)?;
        let d = mean.sub(&cx.state(renorm_mean).cast(x.dtype())?)?.div(&slow)?;
        let d = self.clipping.dmax.map_or(Ok(d.clone()), |dmax| d.clip(-dmax, dmax))?;

        moved(renorm_mean, &mean, self.renorm_momentum, cx)?;
        moved(renorm_stddev, &deviation, self.renorm_momentum, cx)?;
        moved(&self.moving_mean, &mean, self.momentum, cx)?;
        let spread = moved(moving_stddev, &deviation, self.momentum, cx)?;
        cx.update(&self.moving_variance, &spread.square()?.affine(1.0, -self.epsilon)?.relu()?);

        let s = gamma.map_or(Ok(r.clone()), |gamma| gamma.mul(&r))?;
        let t = gamma.map_or(Ok(d.clone()), |gamma| gamma.mul(&d))?;
        let t = beta.map_or(Ok(t.clone()), |beta| t.add(beta))?;
        z.mul_add(&s, &t)
    }

    /// Returns the normalized batch times gamma plus beta, and the mean and the variance of the batch as constants.
    fn normalized(
        &self,
        x: &Tensor,
        mask: Option<&Tensor>,
        gamma: Option<&Tensor>,
        beta: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let Some(mask) = mask else { return x.batch_norm(gamma, beta, self.epsilon) };
        // What does not count is replaced rather than multiplied by 0, because it may be NaN.
        let rows: Few<isize, MAX_RANK> = (0..x.rank() as isize - 1).collect();
        let zero = x.new_full([], 0.0)?;
        // Keras's guard against a batch that is masked completely.
        let count = mask.cast(x.dtype())?.sum(&rows, false)?.affine(1.0, 1e-7)?;
        let mean = mask.choose(x, &zero)?.sum(&rows, false)?.div(&count)?;
        let center = x.sub(&mean)?;
        let variance = mask.choose(&center, &zero)?.square()?.sum(&rows, false)?.div(&count)?;
        let factor = variance.affine(1.0, self.epsilon)?.rsqrt()?;
        let factor = gamma.map_or(Ok(factor.clone()), |gamma| gamma.mul(&factor))?;
        let y = center.mul(&factor)?;
        let y = beta.map_or(Ok(y.clone()), |beta| y.add(beta))?;
        Ok((y, mean.detach(), variance.detach()))
    }

    /// Returns a mask as one of elements, channels last.
    fn of_elements(&self, x: &Tensor, mask: &Tensor) -> Result<Tensor> {
        mask.cast(DType::Bool)?.expand_dims(-1)?.broadcast_like(x)?.moveaxis(self.axis, -1)
    }
}

/// Fails unless a mask says of all features of a position at once whether they count.
fn check_mask(x: &Tensor, mask: Option<&Tensor>) -> Result<()> {
    match mask {
        Some(mask) if mask.rank() + 1 != x.rank() => {
            let why = "the mask should have one axis less than the input";
            Err(Error::shapes("BatchNormalization", *x.shape(), *mask.shape(), why))
        }
        _ => Ok(()),
    }
}

/// Returns the updated running statistic, based on that of an earlier call in this pass, if there was one.
fn moved(state: &Param, new: &Tensor, momentum: f64, cx: &mut Cx) -> Result<Tensor> {
    let old = cx.state(state);
    let share = new.cast(old.dtype())?.affine(1.0 - momentum, 0.0)?;
    let moved = old.affine(momentum, 0.0)?.add(&share)?;
    cx.update(state, &moved);
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Sequential;
    use crate::nn::layers::Input;

    /// Keras's running statistics after one batch, momentum 0.99.
    #[test]
    fn statistics_move_as_in_keras() {
        let mut net = Sequential::new().add(Input::new([2])).add(BatchNormalization::new()).build().unwrap();
        let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 6.0], [2, 2]).unwrap();
        let mut cx = Cx::train(0, 0);
        net.forward(&x, &mut cx).unwrap();
        cx.finish().apply(&mut net).unwrap();
        for (name, want) in [("moving_mean", [0.02, 0.04]), ("moving_variance", [1.0, 1.03])] {
            let got = net.param(&format!("batch_normalization/{name}")).unwrap().to_vec::<f32>().unwrap();
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{name}: {got:?}");
        }
    }
}
