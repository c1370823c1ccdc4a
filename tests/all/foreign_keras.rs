//! Replays what Keras, NumPy and SciPy make of transforms, collections by index, factors and images
//! (`tests/foreign/keras_cases.py`).

use gradus::ops::Padding;
use gradus::ops::conv::Convolution;
use gradus::ops::fourier::{Stft, Window};
use gradus::ops::patches::Unfold;
use gradus::ops::warp::{FillMode, Lookup};
use gradus::prelude::*;
use gradus::{DType, Result};
use serde_json::Value;

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| v.as_str().unwrap().parse().unwrap())
}

fn sizes(v: &Value) -> Vec<usize> {
    v.as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect()
}

fn tensor(v: &Value) -> Tensor {
    let data: Vec<f64> = v["data"].as_array().unwrap().iter().map(number).collect();
    let t = Tensor::from_slice(&data, sizes(&v["shape"])).unwrap();
    match v["dtype"].as_str().unwrap() {
        "i64" => t.cast(DType::I64).unwrap(),
        "bool" => t.cast(DType::Bool).unwrap(),
        _ => t,
    }
}

fn run(case: &Value, x: &[Tensor]) -> Result<Vec<Tensor>> {
    let (name, args) = (case["op"].as_str().unwrap(), &case["args"]);
    let n = |key: &str| args[key].as_u64().map(|n| n as usize);
    let axis = || args["axis"].as_i64().unwrap() as isize;
    let pair = |key: &str| <[usize; 2]>::try_from(sizes(&args[key])).unwrap();
    let two = |(a, b): (Tensor, Tensor)| vec![a, b];
    let frames = |given: Option<&'_ Tensor>| {
        let window = match args["window"].as_str().unwrap() {
            "hann" => Window::Hann,
            "hamming" => Window::Hamming,
            "given" => Window::Given(x.last().filter(|_| given.is_some()).unwrap()),
            _ => Window::Ones,
        };
        let center = args["center"].as_bool().unwrap();
        Stft { window, center, ..Stft::new(n("length").unwrap(), n("stride").unwrap(), n("size").unwrap()) }
    };
    let lookup = || Lookup {
        bilinear: n("order") == Some(1),
        fill_mode: args["mode"].as_str().map_or(FillMode::Constant, |m| m.parse().unwrap()),
        fill_value: number(&args["fill"]),
    };
    let windows = || Unfold {
        kernel_size: pair("kernel"),
        dilation: pair("dilation"),
        padding: pair("padding"),
        stride: pair("stride"),
    };
    let padding = || match (name, args["mode"].as_str()) {
        (_, Some("full")) => Padding::explicit([(2, 2)]),
        (_, Some("same")) => Padding::Same,
        _ => args["padding"].as_str().map_or(Padding::Valid, |p| p.parse().unwrap()),
    };
    Ok(vec![match name {
        "fft" => return x[0].fft(&x[1]).map(two),
        "ifft" => return x[0].ifft(&x[1]).map(two),
        "fft2" => return x[0].fft2(&x[1]).map(two),
        "ifft2" => return x[0].ifft2(&x[1]).map(two),
        "rfft" => return x[0].rfft(n("n")).map(two),
        "irfft" => x[0].irfft(&x[1], n("n")),
        "stft" => return x[0].stft(&frames(x.get(1))).map(two),
        "istft" => x[0].istft(&x[1], &frames(x.get(2)), n("n")),
        "extract_sequences" => x[0].extract_sequences(n("length").unwrap(), n("stride").unwrap()),
        "segment_sum" => x[0].segment_sum(&x[1], n("n").unwrap()),
        "segment_max" => x[0].segment_max(&x[1], n("n").unwrap()),
        "segment_min" => x[0].segment_min(&x[1], n("n").unwrap()),
        "segment_prod" => x[0].segment_prod(&x[1], n("n").unwrap()),
        "put_along_axis" => x[0].put_along_axis(&x[1], &x[2], 1),
        "scatter_along_axis" => {
            x[0].scatter_along_axis(&x[1], &x[2], 1, args["how"].as_str().unwrap().parse()?)
        }
        "cummax" => x[0].cummax(axis()).map(|c| c.0),
        "cummin" => x[0].cummin(axis()).map(|c| c.0),
        "mode" => return x[0].mode(axis(), false).map(two),
        "frexp" => return x[0].frexp().map(two),
        "is_posinf" => x[0].is_posinf(),
        "is_neginf" => x[0].is_neginf(),
        "diag_embed" => x[0].diag_embed(args["k"].as_i64().unwrap() as isize),
        "multi_hot" => x[0].multi_hot(n("n").unwrap(), DType::F64),
        "correlate" => x[0].correlate(&x[1], &padding()),
        "lu_factor" => return x[0].lu_factor().map(two),
        "lu" => return x[0].lu().map(|(p, l, u)| vec![p, l, u]),
        "cholesky_inverse" => x[0].cholesky_inverse(),
        "unfold" => x[0].unfold(&windows()),
        "fold" => x[0].fold(pair("out"), &windows()),
        "separable_conv" => {
            let how =
                Convolution::new().strides(sizes(&args["strides"])).dilation_rate(sizes(&args["dilation"]));
            x[0].separable_conv(&x[1], &x[2], None, None, &how.padding(padding()))
        }
        "rms_normalization" => {
            let axes: Vec<isize> =
                args["axes"].as_array().unwrap().iter().map(|a| a.as_i64().unwrap() as isize).collect();
            x[0].rms_normalization(x.get(1), &axes, number(&args["epsilon"]))
        }
        "extract_patches" => {
            let lists = ["size", "strides", "dilation"].map(|key| sizes(&args[key]));
            x[0].extract_patches(&lists[0], &lists[1], &lists[2], &padding())
        }
        "rgb_to_grayscale" => x[0].rgb_to_grayscale(),
        "rgb_to_hsv" => x[0].rgb_to_hsv(),
        "hsv_to_rgb" => x[0].hsv_to_rgb(),
        "crop_images" | "pad_images" => {
            let [top, left, height, width] = <[usize; 4]>::try_from(sizes(&args["at"])).unwrap();
            let f = if name == "crop_images" { Tensor::crop_images } else { Tensor::pad_images };
            f(&x[0], top, left, height, width)
        }
        "gaussian_blur" => {
            let sigma: Vec<f64> = args["sigma"].as_array().unwrap().iter().map(number).collect();
            x[0].gaussian_blur(pair("size"), [sigma[0], sigma[1]])
        }
        "sobel_edges" => x[0].sobel_edges(),
        "ssim" => x[0].ssim(&x[1], 1.0),
        "map_coordinates" => x[0].map_coordinates(&x[1], &lookup()),
        "affine_transform" => x[0].affine_transform(&x[1], &lookup()),
        "scale_and_translate" => {
            let axes: Vec<isize> = sizes(&args["dims"]).into_iter().map(|axis| axis as isize).collect();
            let (by, antialias) =
                (args["method"].as_str().unwrap().parse()?, args["antialias"].as_bool().unwrap());
            x[0].scale_and_translate(&sizes(&args["out"]), &x[1], &x[2], &axes, by, antialias)
        }
        "perspective_transform" => {
            x[0].perspective_transform(&x[1], &x[2], lookup().bilinear, lookup().fill_value)
        }
        other => panic!("no operation for {other}"),
    }?])
}

/// Operations whose results are further from those of the others, in proportion to numbers around 1, and why.
const FURTHER: &[(&str, f64, &str)] = &[
    ("perspective_transform", 1e-5, "Keras solves for the transform in float32"),
    ("lu_factor", 1e-12, "in proportion to the matrix"),
    ("lu", 1e-12, "in proportion to the matrix"),
    ("cholesky_inverse", 1e-12, "in proportion to the matrix"),
    ("ssim", 1e-6, "Keras computes in float32"),
    ("rms_normalization", 1e-6, "Keras computes in float32"),
    ("rgb_to_grayscale", 1e-7, "Keras's weights are float32"),
    ("istft", 1e-13, "divided by small windows"),
];

#[test]
fn operations_give_what_keras_and_scipy_give() {
    let path = format!("{}/tests/foreign/pack/keras.json", env!("CARGO_MANIFEST_DIR"));
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (mut count, mut explained, mut wrong) = (0, 0, Vec::new());
    for case in all["cases"].as_array().unwrap() {
        let inputs: Vec<Tensor> = case["inputs"].as_array().unwrap().iter().map(tensor).collect();
        let name = case["op"].as_str().unwrap();
        let what = format!("{name} {}", case["args"]);
        let got = match run(case, &inputs) {
            Ok(got) => got,
            Err(e) => {
                wrong.push(format!("{what}: {e}"));
                continue;
            }
        };
        let wanted = case["outputs"].as_array().unwrap();
        assert_eq!(got.len(), wanted.len(), "{what}");
        let most = FURTHER.iter().find(|f| f.0 == name).map_or(1e-14, |f| f.1);
        for (i, (got, want)) in got.iter().zip(wanted).enumerate() {
            let want = tensor(want);
            count += 1;
            if got.dims() != want.dims() {
                wrong.push(format!("{what}, result {i}: {:?}, not {:?}", got.dims(), want.dims()));
                continue;
            }
            let [g, w] = [got, &want].map(|t| t.cast(DType::F64).unwrap().to_vec::<f64>().unwrap());
            let far = |most: f64| {
                g.iter().zip(&w).position(|(g, w)| {
                    !(g == w || g.is_nan() && w.is_nan() || (g - w).abs() <= most * w.abs().max(1.0))
                })
            };
            match far(most) {
                Some(at) => wrong.push(format!("{what}, result {i}[{at}]: {:e}, not {:e}", g[at], w[at])),
                None => explained += usize::from(far(1e-14).is_some()),
            }
        }
    }
    println!("Keras and SciPy: {count} results, {explained} explained, {} unexplained", wrong.len());
    assert!(count > 150 && wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Without a window the sequences are added as they are: what was transformed comes back (Keras 3.15 multiplies it by
/// `fft_length / sequence_stride`).
#[test]
fn signals_come_back_without_a_window() -> Result<()> {
    let x = Tensor::arange(40)?.cast(DType::F64)?.sin()?;
    for (length, stride, size, window) in
        [(8, 8, 8, Window::Ones), (8, 2, 8, Window::Ones), (6, 3, 9, Window::Hann)]
    {
        let how = Stft { window, ..Stft::new(length, stride, size) };
        let (re, im) = x.stft(&how)?;
        let back = re.istft(&im, &how, Some(30))?;
        let gap = back.sub(&x.slice(0, 0, 30)?)?.abs()?.max(&[], false)?.item()?;
        assert!(gap < 1e-14, "{length} {stride} {size}: {gap}");
    }
    Ok(())
}

/// A large number does not take all memory.
#[test]
fn counts_have_a_limit() -> Result<()> {
    let large = Tensor::from_slice(&[3i64, 5_000_000_000], [2])?;
    let message = large.bincount(0).unwrap_err().to_string();
    assert_eq!(
        message,
        "bincount: expected numbers below 16777216, or below `least` (a count is kept for each), got 5000000000"
    );
    let enough = Tensor::from_slice(&[3i64, 1 << 25], [2])?;
    assert_eq!(enough.bincount((1 << 25) + 1)?.elements(), (1 << 25) + 1);
    Ok(())
}
