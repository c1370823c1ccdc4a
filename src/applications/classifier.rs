//! What all image classifiers share: Keras's settings, the checks of an image's size, the head, weights from a file, and how pixels
//! become inputs.

use crate::config::{Common, Dyn, well_named};
use crate::nn::activation::Activation;
use crate::nn::layers::{Dense, GlobalAveragePooling2D, GlobalMaxPooling2D, Input};
use crate::nn::{Build as _, Functional, Network, Symbol};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, string_enum};

string_enum! {
    /// How a network without its top turns features `[batch, height, width, channels]` into `[batch, channels]`.
    pub enum Pooling {
        /// By their mean.
        Avg = "avg",
        /// By their maximum.
        Max = "max",
    }
}

/// Declares an image classifier: its settings, which are Keras's, and `build`, `compile` and `preprocess_input`. Rows of its own come
/// first; `trunk` makes features of images, `top` (if it is not pooling and one dense layer) makes scores of features.
macro_rules! classifier {
    (@top) => { crate::applications::classifier::pooled };
    (@top $top:expr) => { $top };
    (
        $(#[$doc:meta])* $name:ident, named $network:literal, images of $size:literal, at least $least:literal, pixels $pixels:ident;
        { $($rows:tt)* }
        trunk $trunk:expr $(, top $top:expr)?
    ) => {
        crate::settings! {
            $(#[$doc])*
            pub layer $name {
                /// With Keras's default settings, but random weights.
                new();

                $($rows)*
                /// Whether the network ends with the layers that classify. Default: `true`.
                include_top: bool = true,
                /// A safetensors file with the value of every parameter. Default: none, and parameters are drawn at random.
                weights: some into String,
                /// The size of images, `[height, width, channels]`.
                #[doc = concat!("Default: `[", stringify!($size), ", ", stringify!($size), ", 3]`, and any height and width without the top.")]
                input_shape: some [usize; 3],
                /// What becomes of the features where there is no top: `"avg"` or `"max"`. Default: they are the output.
                pooling: named Option<crate::applications::Pooling> = None,
                /// The number of classes. Default: `1000`.
                classes: usize = 1000,
                /// What the scores of classes go through. Default: `Softmax`; `Linear` gives logits.
                classifier_activation: into crate::config::Dyn<dyn crate::nn::activation::Activation> = crate::nn::activation::Softmax,
                /// The seed of initial values. Default: `0`.
                seed: u64 = 0,
                /// The dtype of parameters and images. Default: `F32`.
                dtype: crate::DType = crate::DType::F32,
            }
        }

        impl $name {
            /// Builds the network.
            ///
            /// # Errors
            /// A setting is out of range, images are too small, or the file of weights cannot be read or has other tensors than the
            /// network's parameters.
            pub fn build(&self) -> crate::Result<crate::nn::Network> {
                let settings = crate::applications::classifier::Classifier {
                    network: $network,
                    common: &self.common,
                    size: $size,
                    least: $least,
                    include_top: self.include_top,
                    weights: self.weights.as_deref(),
                    input_shape: self.input_shape,
                    pooling: self.pooling,
                    classes: self.classes,
                    classifier_activation: &self.classifier_activation,
                    seed: self.seed,
                    dtype: self.dtype,
                };
                settings.build(&|x| $trunk(self, x), classifier!(@top $($top)?))
            }

            /// Images as the weights of this network were trained on, from pixels of 0 to 255 of any numeric dtype,
            /// `[…, height, width, 3]` in the order red, green, blue.
            ///
            /// # Errors
            /// The last axis does not have three channels.
            pub fn preprocess_input(x: &crate::Tensor) -> crate::Result<crate::Tensor> {
                crate::applications::classifier::Pixels::$pixels.of(x)
            }
        }
    };
}
pub(super) use classifier;

/// The settings of a classifier.
pub(super) struct Classifier<'a> {
    pub(super) network: &'static str,
    pub(super) common: &'a Common,
    /// The height and width of images by default.
    pub(super) size: usize,
    /// The least height and width.
    pub(super) least: usize,
    pub(super) include_top: bool,
    pub(super) weights: Option<&'a str>,
    pub(super) input_shape: Option<[usize; 3]>,
    pub(super) pooling: Option<Pooling>,
    pub(super) classes: usize,
    pub(super) classifier_activation: &'a Dyn<dyn Activation>,
    pub(super) seed: u64,
    pub(super) dtype: DType,
}

/// Makes scores of features.
pub(super) type Top = fn(&Classifier<'_>, &Symbol) -> Result<Symbol>;

impl Classifier<'_> {
    pub(super) fn build(&self, trunk: &dyn Fn(&Symbol) -> Result<Symbol>, top: Top) -> Result<Network> {
        well_named(&self.common.misnamed)?;
        if self.classes == 0 {
            return Err(Error::argument("classes", "at least 1", 0));
        }
        let image = self.input()?;
        let x = trunk(&image.symbol())?;
        let y = match (self.include_top, self.pooling) {
            (true, Some(_)) => {
                let expected = "include_top(false) beside it, or none: with the top it would have no effect";
                return Err(Error::argument("pooling", expected, "include_top(true)"));
            }
            (true, None) => top(self, &x)?,
            (false, Some(Pooling::Avg)) => GlobalAveragePooling2D::new().named("avg_pool").on(&x)?,
            (false, Some(Pooling::Max)) => GlobalMaxPooling2D::new().named("max_pool").on(&x)?,
            (false, None) => x.clone(),
        };
        let name = self.common.name.as_deref().unwrap_or(self.network);
        let mut network =
            Functional::new(&image, &y)?.named(name).seed(self.seed).dtype(self.dtype).build()?;
        if self.common.frozen {
            network.set_all_trainable(false);
        }
        with_weights(network, self.weights)
    }

    /// Images of the given size; without the top of any size, if none is given.
    fn input(&self) -> Result<Input> {
        match self.input_shape {
            None if self.include_top => Ok(Input::new([self.size, self.size, 3])),
            None => Ok(Input::with_unknown([None, None, Some(3)])),
            Some([height, width, channels]) => {
                let least = self.least;
                if height < least || width < least || channels == 0 {
                    let expected = format!("[height, width, channels] of at least {least}, {least} and 1");
                    let got = format!("[{height}, {width}, {channels}]");
                    return Err(Error::argument("input_shape", expected, got));
                }
                Ok(Input::new([height, width, channels]))
            }
        }
    }
}

/// A network with the parameters of a file, if there is one.
pub(super) fn with_weights(mut network: Network, weights: Option<&str>) -> Result<Network> {
    if let Some(path) = weights {
        network.load_weights(path)?;
    }
    Ok(network)
}

/// The common top: the mean over the image, then one dense layer.
pub(super) fn pooled(c: &Classifier<'_>, x: &Symbol) -> Result<Symbol> {
    predictions(c, &GlobalAveragePooling2D::new().named("avg_pool").on(x)?)
}

/// The layer that gives the scores of classes.
pub(super) fn predictions(c: &Classifier<'_>, x: &Symbol) -> Result<Symbol> {
    Dense::new(c.classes).activation(c.classifier_activation.clone()).named("predictions").on(x)
}

/// How pixels become inputs: Keras's `imagenet_utils.preprocess_input`.
pub(super) enum Pixels {
    /// Blue, green, red, less the means of ImageNet (mode `caffe`).
    Bgr,
    /// Scaled to -1 to 1 (mode `tf`).
    Signed,
    /// Scaled to 0 to 1, then by mean and deviation of each channel of ImageNet (mode `torch`).
    Standardized,
}

impl Pixels {
    pub(super) fn of(&self, x: &Tensor) -> Result<Tensor> {
        if x.dims().last() != Some(&3) {
            let expected = "images [.., height, width, 3] in the order red, green, blue";
            return Err(Error::shape("preprocess_input", expected, *x.shape()));
        }
        let x = if x.dtype().is_float() { x.clone() } else { x.cast(DType::F32)? };
        let channels = |values: [f64; 3]| Tensor::from_slice(&values, [3])?.cast(x.dtype());
        match self {
            Pixels::Bgr => x.flip(&[-1])?.sub(&channels([103.939, 116.779, 123.68])?),
            Pixels::Signed => x.affine(1.0 / 127.5, -1.0),
            Pixels::Standardized => {
                let x = x.scale(1.0 / 255.0)?.sub(&channels([0.485, 0.456, 0.406])?)?;
                x.div(&channels([0.229, 0.224, 0.225])?)
            }
        }
    }
}
