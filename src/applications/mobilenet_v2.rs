//! MobileNetV2 (Sandler et al. 2018): inverted residual blocks, which are wide inside and thin between, around depthwise convolutions.

use super::classifier::classifier;
use crate::nn::layers::{Add, BatchNormalization, Conv2D, DepthwiseConv2D, ReLU, ZeroPadding2D};
use crate::nn::{Build as _, Symbol};
use crate::shape::is_unknown;
use crate::{Error, Result};

/// A number of filters that 8 divides, at most a tenth below.
fn divisible(filters: f64) -> usize {
    let near = (filters + 4.0).max(8.0) as usize / 8 * 8;
    let near = near.max(8);
    if (near as f64) < 0.9 * filters { near + 8 } else { near }
}

/// `x + project(depthwise(expand(x)))`, each normalized; the sum only where sizes stay.
fn block(
    x: &Symbol,
    filters: usize,
    alpha: f64,
    stride: usize,
    expansion: usize,
    id: usize,
) -> Result<Symbol> {
    let shape = x.spec()?.shape;
    let channels = shape.dims()[3];
    let filters = divisible((filters as f64 * alpha).floor());
    let prefix = if id == 0 { "expanded_conv_".to_string() } else { format!("block_{id}_") };
    let mut h = x.clone();
    if id > 0 {
        h = pointwise(&h, expansion * channels, &format!("{prefix}expand"))?;
        h = relu6(&h, &format!("{prefix}expand_relu"))?;
    }
    if stride == 2 {
        // What comes out has half the size, rounded up, whether the size is even or odd.
        let before = |size: usize| if is_unknown(size) || size.is_multiple_of(2) { 0 } else { 1 };
        let margins = ((before(shape.dims()[1]), 1), (before(shape.dims()[2]), 1));
        h = ZeroPadding2D::new().padding(margins).named(&format!("{prefix}pad")).on(&h)?;
    }
    let padding = if stride == 1 { "same" } else { "valid" };
    let depthwise = DepthwiseConv2D::new(3).strides(stride).padding(padding).use_bias(false);
    h = depthwise.named(&format!("{prefix}depthwise")).on(&h)?;
    h = relu6(&normalized(&h, &format!("{prefix}depthwise_BN"))?, &format!("{prefix}depthwise_relu"))?;
    h = pointwise(&h, filters, &format!("{prefix}project"))?;
    match channels == filters && stride == 1 {
        true => Add::new().named(&format!("{prefix}add")).on([x, &h]),
        false => Ok(h),
    }
}

fn pointwise(x: &Symbol, filters: usize, name: &str) -> Result<Symbol> {
    normalized(&Conv2D::new(filters, 1).use_bias(false).named(name).on(x)?, &format!("{name}_BN"))
}

fn normalized(x: &Symbol, name: &str) -> Result<Symbol> {
    BatchNormalization::new().momentum(0.999).named(name).on(x)
}

fn relu6(x: &Symbol, name: &str) -> Result<Symbol> {
    ReLU::new().max_value(6.0).named(name).on(x)
}

/// Filters, blocks, stride of the first block.
const STACKS: [(usize, usize, usize); 7] =
    [(16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)];

fn trunk(alpha: f64, x: &Symbol) -> Result<Symbol> {
    if !(alpha > 0.0 && alpha <= 16.0) {
        return Err(Error::argument("alpha", "above 0, at most 16", alpha));
    }
    let first = Conv2D::new(divisible(32.0 * alpha), 3).strides(2).padding("same").use_bias(false);
    let x = normalized(&first.named("Conv1").on(x)?, "bn_Conv1")?;
    let mut x = relu6(&x, "Conv1_relu")?;
    let mut id = 0;
    for (filters, blocks, stride) in STACKS {
        for i in 0..blocks {
            let expansion = if id == 0 { 1 } else { 6 };
            x = block(&x, filters, alpha, if i == 0 { stride } else { 1 }, expansion, id)?;
            id += 1;
        }
    }
    let last = if alpha > 1.0 { divisible(1280.0 * alpha) } else { 1280 };
    let x = Conv2D::new(last, 1).use_bias(false).named("Conv_1").on(&x)?;
    relu6(&normalized(&x, "Conv_1_bn")?, "out_relu")
}

classifier! {
    /// MobileNetV2, for images of 224 by 224 (Keras's).
    MobileNetV2, named "mobilenetv2", images of 224, at least 32, pixels Signed;
    {
        /// How wide layers are, 1 as published. Default: `1`.
        alpha: f64 = 1.0,
    }
    trunk |me: &MobileNetV2, x: &Symbol| trunk(me.alpha, x)
}
