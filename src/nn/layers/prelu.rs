//! `PReLU`: a rectifier whose slope below 0 is learned (He et al. 2015).

use crate::config::Dyn;
use crate::nn::constraint::Constraint;
use crate::nn::initializer::{Initializer, Zeros};
use crate::nn::regularizer::Regularizer;
use crate::nn::{Axes, Build, Cx, Init, InputSpecs, Layer, Masking, Node, Param, single};
use crate::shape::is_unknown;
use crate::tensor::Tensor;
use crate::{Error, Result};

crate::settings! {
    /// `x` where positive, else `alpha · x`, with a learned `alpha` for each element of a sample; along shared axes
    /// its size is 1.
    pub layer PReLU {
        /// Creates the layer with initial slopes of 0.
        new();

        /// Initializer of the slopes. Default: `Zeros`.
        alpha_initializer: into Dyn<dyn Initializer> = Zeros,
        /// Regularizer of the slopes. Default: none.
        alpha_regularizer: some into Dyn<dyn Regularizer>,
        /// Constraint on the slopes. Default: none.
        alpha_constraint: some into Dyn<dyn Constraint>,
        /// The axes along which all elements share a slope, counted from 1: `[1, 2]` for images, so that there is
        /// one slope per channel. Default: none.
        shared_axes: some into Axes,
    }
}

impl Build for PReLU {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let shape = single(inputs)?.shape;
        let Some((_, sample)) = shape.dims().split_first() else {
            return Err(Error::shape("PReLU", "inputs with a batch", shape));
        };
        let mut sizes = sample.to_vec();
        for &axis in self.shared_axes.iter().flat_map(Axes::list) {
            let size =
                axis.checked_sub(1).and_then(|i| usize::try_from(i).ok()).and_then(|i| sizes.get_mut(i));
            let error = || Error::argument("shared_axes", format!("axes from 1 to {}", sample.len()), axis);
            *size.ok_or_else(error)? = 1;
        }
        if sizes.iter().any(|&n| is_unknown(n) || n == 0) {
            return Err(Error::shape("PReLU", "known sizes, but along shared_axes", shape));
        }
        let alpha =
            init.weight(&sizes, &self.alpha_initializer, &self.alpha_regularizer, &self.alpha_constraint)?;
        Ok(Box::new(PReLUNode { alpha }))
    }
}

/// The layer with its slopes.
#[derive(Clone, Debug)]
struct PReLUNode {
    alpha: Param,
}
crate::parts!(PReLUNode { alpha });

impl Layer for PReLUNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let below = x.neg()?.relu()?.mul(&cx.param(&self.alpha)?)?;
        x.relu()?.sub(&below)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        "PReLU"
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
