//! VGG-16 (Simonyan and Zisserman 2014): sixteen layers with parameters, all convolutions 3 by 3.

use super::classifier::{Classifier, classifier, predictions};
use crate::Result;
use crate::nn::layers::{Conv2D, Dense, Flatten, MaxPooling2D};
use crate::nn::{Build as _, Symbol};

fn trunk(x: &Symbol) -> Result<Symbol> {
    let mut x = x.clone();
    for (i, (convolutions, filters)) in
        [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)].into_iter().enumerate()
    {
        for j in 1..=convolutions {
            let conv = Conv2D::new(filters, 3).activation("relu").padding("same");
            x = conv.named(&format!("block{}_conv{j}", i + 1)).on(&x)?;
        }
        x = MaxPooling2D::new().pool_size(2).strides(2).named(&format!("block{}_pool", i + 1)).on(&x)?;
    }
    Ok(x)
}

fn top(c: &Classifier<'_>, x: &Symbol) -> Result<Symbol> {
    let x = Flatten::new().named("flatten").on(x)?;
    let x = Dense::new(4096).activation("relu").named("fc1").on(&x)?;
    predictions(c, &Dense::new(4096).activation("relu").named("fc2").on(&x)?)
}

classifier! {
    /// VGG-16, for images of 224 by 224 (Keras's).
    VGG16, named "vgg16", images of 224, at least 32, pixels Bgr;
    {}
    trunk |_: &VGG16, x: &Symbol| trunk(x), top top
}
