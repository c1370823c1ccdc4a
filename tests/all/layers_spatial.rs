//! Tests of pooling, padding, cropping, resizing and the preprocessing of numbers: against slow references, on
//! empty batches, with masks, with invalid arguments, saved and loaded.

use gradus::data::Dataset;
use gradus::graph::{Feed, Graph};
use gradus::io::Load;
use gradus::nn::layers::*;
use gradus::nn::{Build, Cx, DataFormat, Init, Inputs, Value};
use gradus::ops::{Interpolation, Padding};
use gradus::prelude::{Adam, Fit, MeanSquaredError, Model, Sequential};
use gradus::random::{Purpose, Stream};
use gradus::{DType, Error, Result, Tensor};

/// A layer of this family and the shape of an input, batch included.
pub(crate) type Example = (Box<dyn Build>, Vec<usize>);

/// Every layer of this family, with each argument away from its default somewhere. Inputs without equal elements
/// have gradients everywhere.
pub(crate) fn examples() -> Vec<Example> {
    fn e(layer: impl Build + 'static, shape: &[usize]) -> Example {
        (Box::new(layer), shape.to_vec())
    }
    let (first, same) = (DataFormat::ChannelsFirst, Padding::Same);
    let (seq, image, volume) = (&[2, 5, 2][..], &[2, 4, 5, 2][..], &[1, 3, 4, 3, 2][..]);
    vec![
        e(MaxPooling1D::new().strides(1), seq),
        e(MaxPooling2D::new().pool_size((3, 2)).strides((1, 2)).padding(same.clone()), image),
        e(MaxPooling3D::new().data_format(first), &[1, 2, 3, 4, 3]),
        e(AveragePooling1D::new(3).strides(2).padding(same.clone()), seq),
        e(AveragePooling2D::new(2).data_format(first), &[2, 2, 4, 5]),
        e(AveragePooling3D::new((2, 3, 2)).strides(1).padding(same), volume),
        e(GlobalAveragePooling1D::new(), seq),
        e(GlobalAveragePooling2D::new().keepdims(true), image),
        e(GlobalAveragePooling3D::new().data_format(first), volume),
        e(GlobalMaxPooling1D::new().keepdims(true), seq),
        e(GlobalMaxPooling2D::new().data_format(first), image),
        e(GlobalMaxPooling3D::new(), volume),
        e(AdaptiveAveragePooling1D::new(3), seq),
        e(AdaptiveAveragePooling2D::new((3, 6)), image),
        e(AdaptiveAveragePooling3D::new(2).data_format(first), volume),
        e(AdaptiveMaxPooling1D::new(2), seq),
        e(AdaptiveMaxPooling2D::new((3, 2)).data_format(first), image),
        e(AdaptiveMaxPooling3D::new(2), volume),
        e(ZeroPadding1D::new().padding((2, 1)), seq),
        e(ZeroPadding2D::new().padding(((0, 1), (2, 0))).data_format(first), image),
        e(ZeroPadding3D::new(), &[1, 2, 1, 2, 2]),
        e(Cropping1D::new(), seq),
        e(Cropping2D::new().cropping((1, 2)), image),
        e(Cropping3D::new().cropping(((0, 1), (1, 0), (1, 1))), volume),
        e(UpSampling1D::new().size(3), seq),
        e(
            UpSampling2D::new().size((2, 3)).interpolation(Interpolation::Bicubic).data_format(first),
            &[1, 2, 3, 2],
        ),
        e(UpSampling3D::new().size((2, 1, 2)), &[1, 2, 2, 2, 1]),
        e(Resizing::new(3, 7).interpolation(Interpolation::Lanczos3).antialias(true), image),
        e(Resizing::new(2, 4).crop_to_aspect_ratio(true), image),
        e(Resizing::new(6, 4).pad_to_aspect_ratio(true).fill_value(0.5).data_format(first), &[2, 2, 4, 5]),
        e(CenterCrop::new(2, 3), image),
        e(CenterCrop::new(5, 5), image),
        e(Rescaling::new(0.5).offset(-1.0), seq),
        e(Rescaling::new([0.5, 2.0]).offset([1.0, 0.0]), image),
        e(Normalization::new().mean([0.5, -0.5]).variance([2.0, 0.5]), seq),
        e(Normalization::new().axis([1, 2]).mean(0.5).variance(4.0).invert(true), seq),
    ]
}

fn drawn(shape: &[usize], dtype: DType) -> Tensor {
    Tensor::randn(shape, Stream::new(3, Purpose::User(1), 0)).unwrap().cast(dtype).unwrap()
}

/// The output of a layer that stands alone, in float64.
fn run(layer: &dyn Build, x: &Value) -> Result<Value> {
    let mut init = Init::new(1, x.tensor.dtype());
    let node = layer.build(&(&[x.spec()]).into(), &mut init)?;
    node.call(Inputs::new(std::slice::from_ref(x)), &mut Cx::infer())?.single()
}

fn error(layer: impl Build + 'static, shape: &[usize]) -> String {
    run(&layer, &drawn(shape, DType::F32).into()).unwrap_err().to_string()
}

// ---- naive twins

/// The elements of a window that lie in the image, for each place of an axis: by the definitions, in signed numbers.
fn windows(n: usize, size: usize, stride: usize, same: bool) -> Vec<Vec<usize>> {
    let (n, size, stride) = (n as isize, size as isize, stride as isize);
    let (places, before) = match same {
        false => ((n - size) / stride + 1, 0),
        true => {
            let places = (n + stride - 1) / stride;
            (places, ((places - 1) * stride + size - n).max(0) / 2)
        }
    };
    let window = |p: isize| (p * stride - before..p * stride - before + size).filter(|i| (0..n).contains(i));
    (0..places).map(|p| window(p).map(|i| i as usize).collect()).collect()
}

fn shares(n: usize, places: usize) -> Vec<Vec<usize>> {
    (0..places)
        .map(|p| (0..n).filter(|i| (i + 1) * places > p * n && i * places < (p + 1) * n).collect())
        .collect()
}

/// What `f` makes of each pool of `[batch, axes…, channels]`.
fn pooled(x: &Tensor, pools: &[Vec<Vec<usize>>], f: fn(&[f64]) -> f64) -> Vec<f64> {
    let (dims, data) = (x.dims().to_vec(), x.to_vec::<f64>().unwrap());
    let (axes, channels) = (pools.len(), dims[dims.len() - 1]);
    let sizes: Vec<usize> = pools.iter().map(Vec::len).collect();
    let mut out = Vec::new();
    for flat in 0..dims[0] * sizes.iter().product::<usize>() * channels {
        let (channel, mut rest) = (flat % channels, flat / channels);
        let mut place = vec![0; axes];
        for axis in (0..axes).rev() {
            place[axis] = rest % sizes[axis];
            rest /= sizes[axis];
        }
        let mut at = vec![rest];
        for axis in 0..axes {
            at = at
                .iter()
                .flat_map(|&a| pools[axis][place[axis]].iter().map(move |i| (a, *i)))
                .map(|(a, i)| a * dims[axis + 1] + i)
                .collect();
        }
        out.push(f(&at.iter().map(|a| data[a * channels + channel]).collect::<Vec<_>>()));
    }
    out
}

fn largest(v: &[f64]) -> f64 {
    v.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn mean(v: &[f64]) -> f64 {
    v.iter().sum::<f64>() / v.len() as f64
}

fn close(got: &Tensor, want: &[f64], what: &str) {
    let got = got.to_vec::<f64>().unwrap();
    assert_eq!(got.len(), want.len(), "{what}");
    for (a, b) in got.iter().zip(want) {
        assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{what}: {a} but expected {b}");
    }
}

#[test]
fn pools_are_those_of_the_definition() {
    for shape in [&[2, 7, 3][..], &[1, 1, 1], &[2, 5, 4, 2], &[1, 3, 5, 4, 2], &[3, 9, 1]] {
        let x = drawn(shape, DType::F64);
        let axes = shape.len() - 2;
        for (size, stride) in [([2, 3, 1], [1, 2, 3]), ([1, 1, 2], [2, 1, 1]), ([3, 2, 2], [3, 4, 1])] {
            let (size, stride) = (&size[..axes], &stride[..axes]);
            for same in [false, true] {
                let what = format!("{shape:?} {size:?} {stride:?} {same}");
                let padding = if same { Padding::Same } else { Padding::Valid };
                let y = x.max_pool(size, Some(stride), &padding);
                if !same && (0..axes).any(|i| size[i] > shape[i + 1]) {
                    assert!(y.is_err(), "{what}");
                    continue;
                }
                let pools: Vec<_> =
                    (0..axes).map(|i| windows(shape[i + 1], size[i], stride[i], same)).collect();
                close(&y.unwrap(), &pooled(&x, &pools, largest), &what);
                close(
                    &x.average_pool(size, Some(stride), &padding).unwrap(),
                    &pooled(&x, &pools, mean),
                    &what,
                );
            }
        }
        for places in [[1, 2, 3], [4, 7, 2], [11, 1, 5]] {
            let pools: Vec<_> = (0..axes).map(|i| shares(shape[i + 1], places[i])).collect();
            let what = format!("{shape:?} to {places:?}");
            close(&x.adaptive_max_pool(&places[..axes]).unwrap(), &pooled(&x, &pools, largest), &what);
            close(&x.adaptive_average_pool(&places[..axes]).unwrap(), &pooled(&x, &pools, mean), &what);
        }
    }
}

#[test]
fn a_large_pool_and_a_small_one_find_the_same() {
    // More than 256 taps need wider numbers.
    let x = drawn(&[2, 40, 40, 3], DType::F32).tracked();
    let y = x.max_pool(&[20, 20], Some(&[7, 5]), &Padding::Valid).unwrap();
    let rows = x.max_pool(&[20, 1], Some(&[7, 1]), &Padding::Valid).unwrap();
    let z = rows.max_pool(&[1, 20], Some(&[1, 5]), &Padding::Valid).unwrap();
    assert!(y.same_bits(&z));
    let gradient = |y: Tensor| y.sum(&[], false).unwrap().backward().unwrap().get(&x).unwrap().clone();
    assert!(gradient(y).same_bits(&gradient(z)));
}

/// Along one axis, by the definition: every weight of the whole axis, in one sum.
fn resized(x: &[f64], places: usize, by: Interpolation, antialias: bool) -> Vec<f64> {
    let (n, m) = (x.len() as f64, places as f64);
    let sinc = |x: f64| {
        if x.abs() < 1e-3 { 1.0 } else { libm::sin(x * std::f64::consts::PI) / (x * std::f64::consts::PI) }
    };
    let lanczos = |r: f64, d: f64| if d < r { sinc(d) * sinc(d / r) } else { 0.0 };
    let weight = |d: f64| match by {
        Interpolation::Bilinear => (1.0 - d).max(0.0),
        Interpolation::Bicubic if d < 1.0 => 1.5 * d * d * d - 2.5 * d * d + 1.0,
        Interpolation::Bicubic if d < 2.0 => -0.5 * d * d * d + 2.5 * d * d - 4.0 * d + 2.0,
        Interpolation::Lanczos3 => lanczos(3.0, d),
        Interpolation::Lanczos5 => lanczos(5.0, d),
        _ => 0.0,
    };
    let widening = if antialias { (n / m).max(1.0) } else { 1.0 };
    let place = |i: usize| {
        let at = (i as f64 + 0.5) * n / m - 0.5;
        if by == Interpolation::Nearest {
            return x[libm::floor((i as f64 + 0.5) * n / m + 1e-9) as usize];
        }
        let weights: Vec<f64> = (0..x.len()).map(|j| weight((at - j as f64).abs() / widening)).collect();
        x.iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>() / weights.iter().sum::<f64>()
    };
    if x.len() == places { x.to_vec() } else { (0..places).map(place).collect() }
}

#[test]
fn resizing_is_that_of_the_definition() {
    use Interpolation::{Bicubic, Bilinear, Lanczos3, Lanczos5, Nearest};
    for by in [Nearest, Bilinear, Bicubic, Lanczos3, Lanczos5] {
        for (n, m) in [(5, 3), (3, 5), (1, 4), (4, 1), (6, 6), (13, 4), (2, 17), (40, 3)] {
            for antialias in [false, true] {
                let x = drawn(&[1, n, 1], DType::F64);
                let got = x.resize(&[m], by, antialias).unwrap();
                let want = resized(&x.to_vec().unwrap(), m, by, antialias);
                let got = got.to_vec::<f64>().unwrap();
                // Close to 0 Lanczos's filter is 1 on one side and nearly 1 on the other.
                let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-5;
                assert!(got.iter().zip(&want).all(near), "{by} {n} to {m}, {antialias}: {got:?}, {want:?}");
            }
        }
        // Axes are independent, and so are images and channels.
        let x = drawn(&[2, 4, 5, 3], DType::F64);
        let both = x.resize(&[7, 3], by, true).unwrap();
        let rows = x.resize(&[7, 5], by, true).unwrap().resize(&[7, 3], by, true).unwrap();
        assert!(both.same_bits(&rows));
        let alone = x.slice(0, 1, 2).unwrap().slice(3, 2, 3).unwrap().resize(&[7, 3], by, true).unwrap();
        assert!(alone.same_bits(&both.slice(0, 1, 2).unwrap().slice(3, 2, 3).unwrap()));
        if by == Nearest {
            let repeated = x.repeat(3, 1).unwrap().repeat(2, 2).unwrap();
            assert!(x.upsample(&[3, 2], by).unwrap().same_bits(&repeated));
        }
    }
}

// ---- layers

#[test]
fn empty_batches_and_single_rows() {
    for (layer, shape) in examples() {
        let name = layer.class_name().to_string();
        let x = drawn(&shape, DType::F32);
        let y = run(&*layer, &x.clone().into()).unwrap().tensor;
        let none = run(&*layer, &x.slice(0, 0, 0).unwrap().into()).unwrap().tensor;
        assert_eq!((none.dims()[0], &none.dims()[1..]), (0, &y.dims()[1..]), "{name}");
        let one = run(&*layer, &x.slice(0, 0, 1).unwrap().into()).unwrap().tensor;
        assert!(one.same_bits(&y.slice(0, 0, 1).unwrap()), "{name}");
        let none = x.slice(0, 0, 0).unwrap().tracked();
        let gradients =
            run(&*layer, &none.clone().into()).unwrap().tensor.sum(&[], false).unwrap().backward().unwrap();
        assert_eq!(gradients.get(&none).unwrap().dims(), none.dims(), "{name}");
    }
}

#[test]
fn sizes_that_are_unknown_stay_unknown() {
    let shape = |layer: Box<dyn Build>| {
        let input = Input::with_unknown([None, None, Some(2)]);
        let network = Sequential::new().add(input).add(layer).build().unwrap();
        network.output_specs()[0].shape.to_string()
    };
    assert_eq!(shape(Box::new(MaxPooling2D::new())), "[None, None, None, 2]");
    assert_eq!(shape(Box::new(GlobalMaxPooling2D::new())), "[None, 2]");
    assert_eq!(shape(Box::new(AdaptiveAveragePooling2D::new((2, 3)))), "[None, 2, 3, 2]");
    assert_eq!(shape(Box::new(ZeroPadding2D::new())), "[None, None, None, 2]");
    assert_eq!(shape(Box::new(Cropping2D::new().cropping(1))), "[None, None, None, 2]");
    let up = UpSampling2D::new().interpolation(Interpolation::Bilinear);
    assert_eq!(shape(Box::new(up)), "[None, None, None, 2]");
    assert_eq!(shape(Box::new(Resizing::new(4, 5).crop_to_aspect_ratio(true))), "[None, 4, 5, 2]");
    assert_eq!(shape(Box::new(CenterCrop::new(4, 5))), "[None, 4, 5, 2]");
    assert_eq!(shape(Box::new(Rescaling::new(2.0))), "[None, None, None, 2]");
    assert_eq!(shape(Box::new(Normalization::new())), "[None, None, None, 2]");
}

#[test]
fn masks_are_used_kept_or_refused() {
    let x = drawn(&[2, 3, 2], DType::F64);
    let mask = Tensor::from_slice(&[true, false, true, false, true, false], [2, 3]).unwrap();
    let masked = Value::masked(x.clone(), Some(mask.clone()));
    let kept = |layer: &dyn Build| run(layer, &masked).unwrap().mask.unwrap();
    assert!(kept(&Rescaling::new(2.0)).same_bits(&mask) && kept(&Normalization::new()).same_bits(&mask));

    let mean = run(&GlobalAveragePooling1D::new(), &masked).unwrap();
    assert!(mean.mask.is_none());
    let v = x.to_vec::<f64>().unwrap();
    close(&mean.tensor, &[(v[0] + v[4]) / 2.0, (v[1] + v[5]) / 2.0, v[8], v[9]], "mean of kept steps");
    let nan = mask.expand_dims(2).unwrap().choose(&x, &x.new_full([], f64::NAN).unwrap()).unwrap();
    let same = run(&GlobalAveragePooling1D::new(), &Value::masked(nan, Some(mask.clone()))).unwrap().tensor;
    assert!(same.same_bits(&mean.tensor), "what is padding may be no number");

    let message = run(&MaxPooling1D::new(), &masked).unwrap_err().to_string();
    assert!(message.contains("an input without a mask"), "{message}");
    assert!(run(&GlobalMaxPooling1D::new(), &masked).is_err());
    assert!(run(&ZeroPadding1D::new(), &masked).is_err() && run(&UpSampling1D::new(), &masked).is_err());
}

#[test]
fn what_makes_no_sense_is_named() {
    let image = &[1, 4, 5, 2];
    for (got, want) in [
        (
            error(MaxPooling2D::new().pool_size((2, 0)), image),
            "pool_size: expected numbers of at least 1, got [2, 0]",
        ),
        (error(MaxPooling2D::new().strides(0), image), "strides: expected numbers of at least 1, got [0, 0]"),
        (
            error(AveragePooling2D::new(2).padding(Padding::Causal), image),
            "padding: expected valid or same, got causal",
        ),
        (
            error(MaxPooling2D::new(), &[1, 4, 2]),
            "MaxPooling2D: expected [batch, height, width, channels], got shape [1, 4, 2]",
        ),
        (
            error(AveragePooling1D::new(2).data_format(DataFormat::ChannelsFirst), image),
            "AveragePooling1D: expected [batch, channels, steps], got shape [1, 4, 5, 2]",
        ),
        (
            error(MaxPooling2D::new().pool_size(5), image),
            "max_pool: expected a window that fits into spatial axis 0 of 4 elements (padding valid), got one that reaches over 5",
        ),
        (
            error(AdaptiveMaxPooling2D::new(0), image),
            "output_size: expected numbers of at least 1, got [0, 0]",
        ),
        (
            error(Cropping2D::new().cropping(((1, 3), (0, 0))), image),
            "cropping: expected less than the 4 elements of spatial axis 0 together, got 1 and 3",
        ),
        (error(UpSampling2D::new().size(0), image), "size: expected numbers of at least 1, got [0, 0]"),
        (error(UpSampling1D::new().size(0), &[1, 2, 3]), "size: expected at least 1, got 0"),
        (error(Resizing::new(0, 2), image), "height: expected at least 1, got 0"),
        (
            error(Resizing::new(3, 2).crop_to_aspect_ratio(true).pad_to_aspect_ratio(true), image),
            "pad_to_aspect_ratio: expected false together with crop_to_aspect_ratio, got both true",
        ),
        (error(CenterCrop::new(2, 0), image), "width: expected at least 1, got 0"),
        (
            error(Rescaling::new([1.0, 2.0, 3.0]), image),
            "mul: [1, 4, 5, 2] and [3] do not match: sizes 2 and 3 cannot be broadcast together",
        ),
        (error(Normalization::new().mean(1.0), image), "variance: expected one beside the mean, got none"),
        (
            error(Normalization::new().mean([1.0]).variance(1.0), image),
            "Normalization: [1] and [] do not match: mean and variance should have one shape",
        ),
        (error(Normalization::new().axis([1, -3]), image), "axis: expected each axis once, got [1, -3]"),
    ] {
        assert_eq!(got, want);
    }
    let stack = Sequential::new().add(Input::new([3])).add(Normalization::new().axis(0));
    let message = stack.build().unwrap_err().to_string();
    assert!(
        message.ends_with("axis: expected axes of known size, of inputs [None, 3], got [0]"),
        "{message}"
    );
}

#[test]
fn whole_numbers_stay_whole_or_become_floats() {
    let x = Tensor::from_slice(&[0u8, 255, 10, 20], [1, 2, 2, 1]).unwrap();
    let run = |layer: &dyn Build| {
        let mut init = Init::new(1, DType::F32);
        let node = layer.build(&(&[x.spec()]).into(), &mut init).unwrap();
        node.call(Inputs::new(&[x.clone().into()]), &mut Cx::infer()).unwrap().single().unwrap().tensor
    };
    let resized = run(&Resizing::new(1, 4).interpolation(Interpolation::Bicubic));
    assert_eq!(resized.to_vec::<u8>().unwrap(), [0, 32, 110, 149]);
    assert_eq!(run(&CenterCrop::new(1, 1)).to_vec::<f32>().unwrap(), [0.0]);
    assert_eq!(run(&Rescaling::new(0.5).offset(1.0)).to_vec::<f32>().unwrap(), [1.0, 128.5, 6.0, 11.0]);
    assert_eq!(
        run(&Normalization::new().mean(10.0).variance(25.0)).to_vec::<f32>().unwrap(),
        [-2.0, 49.0, 0.0, 2.0]
    );
}

#[test]
fn statistics_come_from_data_at_once_or_in_batches() {
    let x = drawn(&[10, 3, 2], DType::F32).affine(3.0, 100.0).unwrap();
    let statistics = |layer: Normalization| {
        let network = Sequential::new().add(Input::new([3, 2])).add(layer).dtype(DType::F64).build().unwrap();
        let of = |name: &str| network.param(&format!("normalization/{name}")).unwrap();
        assert_eq!(of("count").item().unwrap(), 0.0);
        (of("mean"), of("variance"))
    };
    let wide = x.cast(DType::F64).unwrap();
    for (axis, over) in [(vec![-1], vec![0, 1]), (vec![1, 2], vec![0]), (vec![], vec![0, 1, 2])] {
        let layer = || {
            let layer = Normalization::new();
            match axis[..] {
                [] => layer.axis([]),
                [a] => layer.axis(a),
                _ => layer.axis([axis[0], axis[1]]),
            }
        };
        let (mean, variance) = statistics(layer().adapt(&x).unwrap());
        close(&mean, &wide.mean(&over, false).unwrap().to_vec::<f64>().unwrap(), "mean");
        close(&variance, &wide.var(&over, false, 0).unwrap().to_vec::<f64>().unwrap(), "variance");
        let data = Dataset::from_inputs(&x).unwrap().batch(4);
        let (means, variances) =
            statistics(layer().adapt_batches(data.iter().map(|batch| Ok(batch?.x[0].clone()))).unwrap());
        close(&means, &mean.to_vec::<f64>().unwrap(), "mean of batches");
        close(&variances, &variance.to_vec::<f64>().unwrap(), "variance of batches");
    }
    let message = |r: Result<Normalization>| r.unwrap_err().to_string();
    assert_eq!(
        message(Normalization::new().adapt_batches([])),
        "adapt: expected at least one sample, got none"
    );
    assert_eq!(
        message(Normalization::new().mean(0.0).variance(1.0).adapt(&x)),
        "adapt: expected a layer without a mean and variance of its own, got one with them"
    );
    let other = Normalization::new().adapt_batches([Ok(x.clone()), x.slice(2, 0, 1)]);
    assert_eq!(
        message(other),
        "adapt: [2] and [1] do not match: all batches should be of one shape along the axes"
    );
    let failed = Normalization::new().adapt_batches([Err(Error::Custom("no file".into()))]);
    assert_eq!(message(failed), "no file");
    let stack = Sequential::new().add(Input::new([3])).add(Normalization::new().adapt(&x).unwrap());
    let message = stack.build().unwrap_err().to_string();
    assert!(
        message.contains("the data of adapt should have the shape of the input along the axes"),
        "{message}"
    );
}

#[test]
fn trained_saved_loaded_and_captured() {
    let x = drawn(&[12, 8, 9, 3], DType::F32);
    let y = drawn(&[12, 2], DType::F32);
    let mut model = Sequential::new()
        .add(Input::new([8, 9, 3]))
        .add(Normalization::new().adapt(&x).unwrap())
        .add(Rescaling::new([0.5, 1.0, 2.0]))
        .add(Dense::new(4))
        .add(MaxPool2D::new().padding(Padding::Same))
        .add(UpSampling2D::new().interpolation(Interpolation::Bilinear))
        .add(Cropping2D::new().cropping(((1, 0), (0, 2))))
        .add(AvgPool2D::new(2))
        .add(ZeroPadding2D::new())
        .add(Resizing::new(6, 4).antialias(true))
        .add(AdaptiveMaxPooling2D::new((4, 3)))
        .add(GlobalAvgPool2D::new())
        .add(Dense::new(2))
        .compile(Adam::new(0.01), MeanSquaredError::new(), ())
        .unwrap();
    let history = model.fit(&x, &y, Fit::new().epochs(3).verbose(0)).unwrap();
    let losses = &history["loss"];
    assert!(losses[2] < losses[0], "{losses:?}");
    let again = Model::from_bytes(&model.to_bytes().unwrap(), Load::new()).unwrap();
    let want = model.predict(&x).unwrap();
    assert!(again.predict(&x).unwrap().same_bits(&want));
    let graph = Graph::of_network(&model, &[x.spec()]).unwrap();
    assert!(graph.run(&Feed::new(&x).parameters(&*model)).unwrap()[0].same_bits(&want));
    assert!(graph.to_string().contains("max_pool{pools: 2x2 by 2x2, same}"), "{graph}");
    assert!(
        graph.to_string().contains("resize{to: *2, *2, interpolation: bilinear, antialias: false}"),
        "{graph}"
    );
}
