"""Pooling, padding, cropping, resizing and the preprocessing of numbers."""

from kit import *

sequence, image, volume = some(11, 2, 7, 3), some(12, 2, 5, 6, 2), some(13, 1, 4, 3, 5, 2)
sequence_first, image_first, volume_first = some(14, 2, 3, 7), some(15, 2, 2, 5, 6), some(16, 1, 2, 4, 3, 5)

for kind in ("Max", "Average"):
    case(f"{kind}Pooling1D", dict(pool_size=2) if kind == "Average" else {}, [sequence])
    case(f"{kind}Pooling1D", dict(pool_size=3, strides=2, padding="same"), [sequence])
    case(f"{kind}Pooling1D", dict(pool_size=3, strides=1, data_format="channels_first"), [sequence_first])
    case(f"{kind}Pooling2D", dict(pool_size=2) if kind == "Average" else {}, [image])
    case(f"{kind}Pooling2D", dict(pool_size=[3, 2], strides=[1, 2], padding="same"), [image])
    case(f"{kind}Pooling2D", dict(pool_size=2, strides=3, padding="same", data_format="channels_first"), [image_first])
    case(f"{kind}Pooling3D", dict(pool_size=2) if kind == "Average" else {}, [volume])
    case(f"{kind}Pooling3D", dict(pool_size=[2, 3, 2], strides=[1, 2, 3], padding="same"), [volume])
    case(f"{kind}Pooling3D", dict(pool_size=2, strides=1, data_format="channels_first"), [volume_first])

    case(f"Global{kind}Pooling1D", {}, [sequence])
    case(f"Global{kind}Pooling1D", dict(keepdims=True, data_format="channels_first"), [sequence_first])
    case(f"Global{kind}Pooling2D", {}, [image])
    case(f"Global{kind}Pooling2D", dict(keepdims=True), [image])
    case(f"Global{kind}Pooling2D", dict(data_format="channels_first"), [image_first])
    case(f"Global{kind}Pooling3D", dict(keepdims=True), [volume])
    case(f"Global{kind}Pooling3D", dict(data_format="channels_first"), [volume_first])

    case(f"Adaptive{kind}Pooling1D", dict(output_size=3), [sequence])
    case(f"Adaptive{kind}Pooling1D", dict(output_size=9, data_format="channels_first"), [sequence_first])
    case(f"Adaptive{kind}Pooling2D", dict(output_size=[2, 4]), [image])
    case(f"Adaptive{kind}Pooling2D", dict(output_size=3, data_format="channels_first"), [image_first])
    case(f"Adaptive{kind}Pooling3D", dict(output_size=2), [volume])
    case(f"Adaptive{kind}Pooling3D", dict(output_size=[3, 3, 2], data_format="channels_first"), [volume_first])

# Equal elements: where the gradient goes.
case("MaxPooling1D", dict(pool_size=3, strides=1), [np.asarray([[1, 1, 2, 2, 2, 0, 0]], "float64").reshape(1, 7, 1)])
case("GlobalMaxPooling1D", {}, [np.asarray([[1, 2, 2, 0]], "float64").reshape(1, 4, 1)])

steps = bools([[1, 1, 0, 1, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0]])
case("GlobalAveragePooling1D", {}, [sequence], masks=[steps])
case("GlobalAveragePooling1D", dict(keepdims=True, data_format="channels_first"), [sequence_first], masks=[steps])

case("ZeroPadding1D", {}, [sequence])
case("ZeroPadding1D", dict(padding=[2, 1], data_format="channels_first"), [sequence_first])
case("ZeroPadding2D", {}, [image])
case("ZeroPadding2D", dict(padding=[1, 2]), [image])
case("ZeroPadding2D", dict(padding=[[0, 1], [2, 3]], data_format="channels_first"), [image_first])
case("ZeroPadding3D", dict(padding=1), [some(17, 1, 2, 2, 2, 2)])
case("ZeroPadding3D", dict(padding=[[0, 1], [1, 0], [0, 2]], data_format="channels_first"), [some(18, 1, 2, 2, 2, 2)])

case("Cropping1D", {}, [sequence])
case("Cropping1D", dict(cropping=[2, 0]), [sequence])
case("Cropping2D", {}, [image])
case("Cropping2D", dict(cropping=[1, 2]), [image])
case("Cropping2D", dict(cropping=[[0, 1], [2, 0]], data_format="channels_first"), [image_first])
case("Cropping3D", {}, [volume])
case("Cropping3D", dict(cropping=[1, 0, 1]), [volume])
case("Cropping3D", dict(cropping=[[0, 2], [1, 0], [0, 0]], data_format="channels_first"), [volume_first])

case("UpSampling1D", {}, [sequence])
case("UpSampling1D", dict(size=3), [sequence])
case("UpSampling2D", {}, [image])
case("UpSampling2D", dict(size=[3, 1], data_format="channels_first"), [image_first])
for interpolation in ("bilinear", "bicubic", "lanczos3", "lanczos5"):
    case("UpSampling2D", dict(size=[2, 3], interpolation=interpolation), [some(19, 1, 3, 2, 2)])
case("UpSampling3D", {}, [some(20, 1, 2, 3, 2, 2)])
case("UpSampling3D", dict(size=[1, 2, 3], data_format="channels_first"), [some(21, 1, 2, 2, 2, 2)])

tall = some(22, 2, 9, 4, 2)
for interpolation in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"):
    for antialias in (False, True):
        case("Resizing", dict(height=4, width=7, interpolation=interpolation, antialias=antialias), [tall])
case("Resizing", dict(height=3, width=3), [tall])
case("Resizing", dict(height=9, width=5, data_format="channels_first"), [image_first])
case("Resizing", dict(height=4, width=5, crop_to_aspect_ratio=True), [tall])
case("Resizing", dict(height=3, width=2, crop_to_aspect_ratio=True, data_format="channels_first"), [image_first])
case("Resizing", dict(height=4, width=5, pad_to_aspect_ratio=True, fill_value=0.5), [tall])
case("Resizing", dict(height=4, width=2, pad_to_aspect_ratio=True, fill_mode="constant", fill_value=-1.0, data_format="channels_first"), [image_first])
case("Resizing", dict(height=4, width=7, interpolation="bicubic"), [whole(23, 200, 1, 6, 5, 1)])

case("CenterCrop", dict(height=4, width=3), [tall])
case("CenterCrop", dict(height=3, width=3, data_format="channels_first"), [image_first])
case("CenterCrop", dict(height=6, width=6), [tall])
case("CenterCrop", dict(height=10, width=3, data_format="channels_first"), [image_first])

case("Rescaling", dict(scale=0.25), [image])
case("Rescaling", dict(scale=0.25, offset=-1.5), [whole(24, 255, 2, 3, 2)])
case("Rescaling", dict(scale=[0.5, 2.0, -1.0], offset=[0.0, 1.0, 0.5]), [sequence], masks=[steps])

case("Normalization", {}, [sequence])
case("Normalization", dict(axis=[1, -1], invert=True), [sequence], masks=[steps])
case("Normalization", dict(axis=None), [sequence])
case("Normalization", dict(mean=0.5, variance=4.0), [sequence])
case("Normalization", dict(axis=-1, mean=[0.5, 1.0, -1.0], variance=[4.0, 0.0, 1.0], invert=True), [sequence])
case("Normalization", dict(axis=[-2, -1], mean=[0.5, 1.0, -1.0], variance=[4.0, 2.0, 1.0]), [some(25, 2, 2, 3)])
case("Normalization", dict(axis=[1, 2], mean=[[0.5, 1.0], [2.0, 3.0]], variance=[[4.0, 2.0], [1.0, 1.0]]), [some(26, 3, 2, 2)])
