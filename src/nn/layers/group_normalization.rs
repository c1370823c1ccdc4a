//! `GroupNormalization`: normalizes each group of channels of a sample to mean 0 and variance 1, independently of
//! the batch (Wu and He 2018).

use super::checks::epsilon;
use super::normalized::{along, centered, scaled};
use crate::config::Dyn;
use crate::nn::axes::known_size;
use crate::nn::constraint::Constraint;
use crate::nn::initializer::{Initializer, Ones, Zeros};
use crate::nn::regularizer::Regularizer;
use crate::nn::{Build, Cx, Init, InputSpecs, Layer, Masking, Node, Param, single};
use crate::tensor::{Few, Tensor};
use crate::{Error, MAX_RANK, Result};

crate::settings! {
    /// `(x - mean) / √(var + ε) · gamma + beta`, where the channels are cut into groups of neighbours, and mean and
    /// (biased) variance are those of one group in one sample, over all other axes.
    ///
    /// `gamma` (ones) and `beta` (zeros) have one number for each channel.
    pub layer GroupNormalization {
        /// Creates the layer with 32 groups.
        new();

        /// Number of groups; -1 for one for each channel (instance normalization). Default: `32`.
        groups: isize = 32,
        /// The axis of the channels. Default: the last.
        axis: isize = -1,
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
        /// Regularizer of `beta`. Default: none.
        beta_regularizer: some into Dyn<dyn Regularizer>,
        /// Regularizer of `gamma`. Default: none.
        gamma_regularizer: some into Dyn<dyn Regularizer>,
        /// Constraint on `beta`. Default: none.
        beta_constraint: some into Dyn<dyn Constraint>,
        /// Constraint on `gamma`. Default: none.
        gamma_constraint: some into Dyn<dyn Constraint>,
    }
}

impl Build for GroupNormalization {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        const NAME: &str = "GroupNormalization";
        let spec = single(inputs)?;
        epsilon("epsilon", self.epsilon)?;
        let axis = spec.shape.axis(NAME, self.axis)? as isize;
        if axis == 0 {
            return Err(Error::argument("axis", "an axis other than the batch", self.axis));
        }
        let n = known_size(NAME, spec, axis)?;
        let groups = match self.groups {
            -1 => n,
            g if g > 0 && n.is_multiple_of(g as usize) => g as usize,
            g => {
                let expected = format!("a number that divides the {n} channels, or -1");
                return Err(Error::argument("groups", expected, g));
            }
        };
        Ok(Box::new(GroupNormalizationNode {
            gamma: init.weight_if(
                self.scale,
                [n],
                &self.gamma_initializer,
                &self.gamma_regularizer,
                &self.gamma_constraint,
            )?,
            beta: init.weight_if(
                self.center,
                [n],
                &self.beta_initializer,
                &self.beta_regularizer,
                &self.beta_constraint,
            )?,
            groups: [groups as isize, (n / groups) as isize],
            axis,
            epsilon: self.epsilon,
        }))
    }
}

/// The layer with its parameters.
#[derive(Clone, Debug)]
struct GroupNormalizationNode {
    gamma: Option<Param>,
    beta: Option<Param>,
    /// The number of groups, and the channels in each.
    groups: [isize; 2],
    /// Counted from 0.
    axis: isize,
    epsilon: f64,
}
crate::parts!(GroupNormalizationNode { gamma, beta });

impl Layer for GroupNormalizationNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let groups = x.split_axis(self.axis, &self.groups)?;
        let others: Few<isize, MAX_RANK> =
            (1..groups.rank() as isize).filter(|axis| *axis != self.axis).collect();
        let (center, factor) = centered(&groups, &others, self.epsilon)?;
        let z = center.mul(&factor)?.merge_axes(self.axis, self.axis + 1)?;
        let mut weight = |p: &Option<Param>| -> Result<Option<Tensor>> {
            p.as_ref().map(|p| along(&cx.param(p)?, &[self.axis], x.rank())).transpose()
        };
        let (gamma, beta) = (weight(&self.gamma)?, weight(&self.beta)?);
        scaled(z, gamma.as_ref(), beta.as_ref())
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        "GroupNormalization"
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
