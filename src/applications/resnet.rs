//! Residual networks with bottlenecks (He et al. 2015, 2016), as Keras has them: ResNet-50, -101 and -152 and their second versions, which
//! normalize before each convolution.

use super::classifier::classifier;
use crate::Result;
use crate::nn::layers::{Activation, Add, BatchNormalization, Conv2D, MaxPooling2D, ZeroPadding2D};
use crate::nn::{Build as _, Symbol};

/// `relu(shortcut + conv1(relu(conv3(relu(conv1(x))))))`, each convolution normalized.
fn block(x: &Symbol, name: &str, filters: usize, stride: usize, projects: bool) -> Result<Symbol> {
    let shortcut = match projects {
        true => normalized(&conv(x, &format!("{name}_0"), 4 * filters, 1, stride)?, &format!("{name}_0_bn"))?,
        false => x.clone(),
    };
    let h = normalized(&conv(x, &format!("{name}_1"), filters, 1, stride)?, &format!("{name}_1_bn"))?;
    let h = relu(&h, &format!("{name}_1_relu"))?;
    let h = Conv2D::new(filters, 3).padding("same").named(&format!("{name}_2_conv")).on(&h)?;
    let h = relu(&normalized(&h, &format!("{name}_2_bn"))?, &format!("{name}_2_relu"))?;
    let h = normalized(&conv(&h, &format!("{name}_3"), 4 * filters, 1, 1)?, &format!("{name}_3_bn"))?;
    relu(&Add::new().named(&format!("{name}_add")).on([&shortcut, &h])?, &format!("{name}_out"))
}

/// `shortcut + conv1(relu(conv3(relu(conv1(relu(x))))))`, what each `relu` gets normalized.
fn block_v2(x: &Symbol, name: &str, filters: usize, stride: usize, projects: bool) -> Result<Symbol> {
    let before = normalized(x, &format!("{name}_preact_bn"))?;
    let before = relu(&before, &format!("{name}_preact_relu"))?;
    let shortcut = match (projects, stride) {
        (true, _) => conv(&before, &format!("{name}_0"), 4 * filters, 1, stride)?,
        (false, 1) => x.clone(),
        (false, _) => MaxPooling2D::new().pool_size(1).strides(stride).on(x)?,
    };
    let h = Conv2D::new(filters, 1).use_bias(false).named(&format!("{name}_1_conv")).on(&before)?;
    let h = relu(&normalized(&h, &format!("{name}_1_bn"))?, &format!("{name}_1_relu"))?;
    let h = ZeroPadding2D::new().padding(1).named(&format!("{name}_2_pad")).on(&h)?;
    let h =
        Conv2D::new(filters, 3).strides(stride).use_bias(false).named(&format!("{name}_2_conv")).on(&h)?;
    let h = relu(&normalized(&h, &format!("{name}_2_bn"))?, &format!("{name}_2_relu"))?;
    let h = conv(&h, &format!("{name}_3"), 4 * filters, 1, 1)?;
    Add::new().named(&format!("{name}_out")).on([&shortcut, &h])
}

fn conv(x: &Symbol, name: &str, filters: usize, size: usize, stride: usize) -> Result<Symbol> {
    Conv2D::new(filters, size).strides(stride).named(&format!("{name}_conv")).on(x)
}

fn normalized(x: &Symbol, name: &str) -> Result<Symbol> {
    BatchNormalization::new().epsilon(1.001e-5).named(name).on(x)
}

pub(super) fn relu(x: &Symbol, name: &str) -> Result<Symbol> {
    Activation::new("relu").named(name).on(x)
}

/// From images to features: a convolution and a pooling of large strides, then four stacks of so many blocks.
fn trunk(x: &Symbol, blocks: [usize; 4], v2: bool) -> Result<Symbol> {
    let x = ZeroPadding2D::new().padding(3).named("conv1_pad").on(x)?;
    let mut x = Conv2D::new(64, 7).strides(2).named("conv1_conv").on(&x)?;
    if !v2 {
        x = relu(&normalized(&x, "conv1_bn")?, "conv1_relu")?;
    }
    let x = ZeroPadding2D::new().padding(1).named("pool1_pad").on(&x)?;
    let mut x = MaxPooling2D::new().pool_size(3).strides(2).named("pool1_pool").on(&x)?;
    for (stack, blocks) in blocks.into_iter().enumerate() {
        let filters = 64 << stack;
        for i in 1..=blocks {
            let name = format!("conv{}_block{i}", stack + 2);
            // The first version halves the image in a stack's first block, the second in its last.
            x = match v2 {
                false => block(&x, &name, filters, if i == 1 && stack > 0 { 2 } else { 1 }, i == 1)?,
                true => block_v2(&x, &name, filters, if i == blocks && stack < 3 { 2 } else { 1 }, i == 1)?,
            };
        }
    }
    if v2 { relu(&normalized(&x, "post_bn")?, "post_relu") } else { Ok(x) }
}

macro_rules! resnets {
    ($($name:ident $network:literal $layers:literal $blocks:tt $v2:literal $pixels:ident;)*) => {$(
        classifier! {
            #[doc = concat!("A residual network of ", $layers, " layers, for images of 224 by 224 (Keras's).")]
            $name, named $network, images of 224, at least 32, pixels $pixels;
            {}
            trunk |_: &$name, x: &Symbol| trunk(x, $blocks, $v2)
        }
    )*};
}
resnets! {
    ResNet50 "resnet50" "50" [3, 4, 6, 3] false Bgr;
    ResNet101 "resnet101" "101" [3, 4, 23, 3] false Bgr;
    ResNet152 "resnet152" "152" [3, 8, 36, 3] false Bgr;
    ResNet50V2 "resnet50v2" "50" [3, 4, 6, 3] true Signed;
    ResNet101V2 "resnet101v2" "101" [3, 4, 23, 3] true Signed;
    ResNet152V2 "resnet152v2" "152" [3, 8, 36, 3] true Signed;
}
