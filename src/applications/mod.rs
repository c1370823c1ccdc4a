//! Well-known networks, ready to train or to be given weights: Keras's applications, and three transformers.
//!
//! Each is a description with Keras's settings; `build` makes a [`Network`](crate::nn::Network) of it, which predicts, is cut, becomes a layer of
//! another network, or a model by `compile`. Nothing is downloaded: parameters are drawn at random unless
//! `weights` names a safetensors file of yours, whose tensors are called as the network's parameters are
//! (`conv1_conv/kernel`), which are Keras's names for layers and variables.
//!
//! ```
//! use gradus::applications::MobileNetV2;
//! use gradus::prelude::*;
//!
//! // Features of any images, a head of one's own, and only the head is trained.
//! let mut trunk = MobileNetV2::new().alpha(0.35).include_top(false).input_shape([32, 32, 3]).pooling("avg").build()?;
//! trunk.set_all_trainable(false);
//! let image = Input::new([32, 32, 3]);
//! let features = trunk.on(&image)?;
//! let network = Functional::new(&image, &Dense::new(5).activation(Softmax).on(&features)?)?;
//! let model = network.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])?;
//! let x = MobileNetV2::preprocess_input(&Tensor::full([1, 32, 32, 3], 255u8)?)?;
//! assert_eq!(model.predict(&x)?.dims(), [1, 5]);
//! # Ok::<(), gradus::Error>(())
//! ```
//!
//! Weights that Keras has, for [`ResNet50`], [`ResNet50V2`], [`MobileNetV2`] and [`VGG16`]:
//!
//! ```text
//! model = keras.applications.ResNet50()
//! tensors = {f"{layer.name}/{v.name}": np.asarray(v) for layer in model.layers for v in layer.weights}
//! safetensors.numpy.save_file(tensors, "resnet50.safetensors")
//! ```

mod bert;
mod classifier;
mod gpt2;
mod mobilenet_v2;
mod resnet;
mod resnet18;
mod unet;
mod vgg16;
mod vision_transformer;

pub use bert::Bert;
pub use classifier::Pooling;
pub use gpt2::GPT2;
pub use mobilenet_v2::MobileNetV2;
pub use resnet::{ResNet50, ResNet50V2, ResNet101, ResNet101V2, ResNet152, ResNet152V2};
pub use resnet18::ResNet18;
pub use unet::UNet;
pub use vgg16::VGG16;
pub use vision_transformer::VisionTransformer;
