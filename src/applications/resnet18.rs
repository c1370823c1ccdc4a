//! The residual network of 18 layers, with blocks of two convolutions (He et al. 2015). Keras does not have it; sizes, strides, paddings and
//! epsilon are torchvision's.

use super::classifier::classifier;
use super::resnet::relu;
use crate::Result;
use crate::nn::layers::{Add, BatchNormalization, Conv2D, MaxPooling2D, ZeroPadding2D};
use crate::nn::{Build as _, Symbol};
use crate::ops::Padding;

/// `relu(shortcut + conv3(relu(conv3(x))))`, each convolution normalized.
fn block(x: &Symbol, name: &str, filters: usize, stride: usize, projects: bool) -> Result<Symbol> {
    let shortcut = match projects {
        true => conv(x, &format!("{name}_0"), filters, 1, stride)?,
        false => x.clone(),
    };
    let h = conv(x, &format!("{name}_1"), filters, 3, stride)?;
    let h = conv(&relu(&h, &format!("{name}_1_relu"))?, &format!("{name}_2"), filters, 3, 1)?;
    relu(&Add::new().named(&format!("{name}_add")).on([&shortcut, &h])?, &format!("{name}_out"))
}

/// A normalized convolution with as much padding at each edge as keeps an image's size at stride 1.
fn conv(x: &Symbol, name: &str, filters: usize, size: usize, stride: usize) -> Result<Symbol> {
    let margin = (size / 2, size / 2);
    let h = Conv2D::new(filters, size)
        .strides(stride)
        .padding(Padding::explicit([margin, margin]))
        .use_bias(false)
        .kernel_initializer("he_normal")
        .named(&format!("{name}_conv"))
        .on(x)?;
    BatchNormalization::new().epsilon(1e-5).momentum(0.9).named(&format!("{name}_bn")).on(&h)
}

/// From images to features.
fn trunk(x: &Symbol) -> Result<Symbol> {
    let x = relu(&conv(x, "conv1", 64, 7, 2)?, "conv1_relu")?;
    let x = ZeroPadding2D::new().padding(1).named("pool1_pad").on(&x)?;
    let mut x = MaxPooling2D::new().pool_size(3).strides(2).named("pool1_pool").on(&x)?;
    for stack in 0..4 {
        for i in 1..=2 {
            let first = i == 1 && stack > 0;
            let name = format!("conv{}_block{i}", stack + 2);
            x = block(&x, &name, 64 << stack, if first { 2 } else { 1 }, first)?;
        }
    }
    Ok(x)
}

classifier! {
    /// A residual network of 18 layers, for images of 224 by 224.
    ResNet18, named "resnet18", images of 224, at least 32, pixels Standardized;
    {}
    trunk |_: &ResNet18, x: &Symbol| trunk(x)
}
