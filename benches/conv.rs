//! Convolutions in GFLOP/s on the shapes of layers of common networks: the three products of the direct way, and whole layers on one image,
//! with the algorithm that the sizes choose.

use crate::{Args, Res, emit, normal, sample};
use gradus::DType;
use gradus::kernels::conv::{Prepared, Sizes, forward, input, kernel, kernel_room};
use gradus::kernels::gemm::{Act, Epilogue, Window};
use gradus::ops::{Padding, conv::Convolution};
use std::time::Instant;

/// Name, batch, size, channels, filters, groups, window, stride.
type Layer = (&'static str, usize, usize, usize, usize, usize, usize, usize);

const LAYERS: [Layer; 11] = [
    ("resnet_stem", 4, 224, 3, 64, 1, 7, 2),
    ("resnet_56", 4, 56, 64, 64, 1, 3, 1),
    ("resnet_28", 4, 28, 128, 128, 1, 3, 1),
    ("resnet_14", 8, 14, 256, 256, 1, 3, 1),
    ("resnet_7", 16, 7, 512, 512, 1, 3, 1),
    ("resnet_56_s2", 4, 56, 64, 128, 1, 3, 2),
    ("resnet_56_1x1_s2", 8, 56, 64, 128, 1, 1, 2),
    ("cnn_1", 128, 28, 1, 32, 1, 3, 0),
    ("cnn_2", 128, 13, 32, 64, 1, 3, 0),
    ("small_16", 16, 16, 64, 64, 1, 3, 1),
    ("depthwise_56", 4, 56, 144, 144, 144, 3, 1),
];

/// Measures one layer, or all if `only` is empty.
pub(crate) fn conv(args: &Args, only: &str) -> Res<()> {
    products(args, only)?;
    let network = NETWORKS.iter().filter(|(name, _)| only.is_empty() || only == *name);
    network.clone().try_for_each(|(name, layers)| one_by_one(args, name, layers))?;
    IMAGES.iter().filter(|&&name| only.is_empty() || only == name).try_for_each(|name| image(args, name))
}

/// The products of one layer, or of all. A stride of 0 means 1 without padding.
fn products(args: &Args, only: &str) -> Res<()> {
    for (name, batch, size, channels, filters, groups, taps, stride) in LAYERS {
        if !only.is_empty() && only != name {
            continue;
        }
        let (pad, stride) = if stride == 0 { (0, 1) } else { ((taps - 1) / 2, stride) };
        let window = Window { size: taps, stride, dilation: 1, before: pad, after: pad };
        let places = window.places(size)?.pow(2);
        let (spatial, windows) = ([size; 2], [window; 2]);
        let sizes = Sizes { batch, spatial: &spatial, channels, filters, groups, windows: &windows };
        let numbers = |n: usize| (0..n).map(|i| (i * 7 % 13) as f32 / 13.0 - 0.5).collect::<Vec<f32>>();
        let mut x = numbers(batch * size * size * channels);
        let mut k = numbers(taps * taps * channels / groups * filters);
        let mut y = numbers(batch * places * filters);
        let mut room = numbers(kernel_room(&sizes, &x)?);
        let flops = 2.0 * (batch * places * filters * taps * taps * channels / groups) as f64;
        for part in ["forward", "input", "kernel"] {
            let mut rates = Vec::new();
            let began = Instant::now();
            while rates.len() < 3 || began.elapsed().as_secs_f64() < 0.15 {
                let start = Instant::now();
                match part {
                    "forward" => forward(&sizes, &x, &k, &mut y, Epilogue::NONE)?,
                    "input" => input(&sizes, &y, &k, &mut x)?,
                    _ => kernel(&sizes, &x, &y, &mut k, &mut room)?,
                }
                rates.push(flops / start.elapsed().as_secs_f64() / 1e9);
            }
            emit(args, &format!("conv/{name}/{part}"), "GFLOP/s", rates, ("gflop", flops / 1e9));
        }
    }
    Ok(())
}

/// The convolutions of networks for one image, in their order: size, channels, filters, groups, taps, stride.
const NETWORKS: [(&str, &[[usize; 6]]); 2] = [("resnet18", &RESNET18), ("mobilenetv2", &MOBILENETV2)];

const RESNET18: [[usize; 6]; 20] = [
    [224, 3, 64, 1, 7, 2],
    [56, 64, 64, 1, 3, 1],
    [56, 64, 64, 1, 3, 1],
    [56, 64, 64, 1, 3, 1],
    [56, 64, 64, 1, 3, 1],
    [56, 64, 128, 1, 3, 2],
    [56, 64, 128, 1, 1, 2],
    [28, 128, 128, 1, 3, 1],
    [28, 128, 128, 1, 3, 1],
    [28, 128, 128, 1, 3, 1],
    [28, 128, 256, 1, 3, 2],
    [28, 128, 256, 1, 1, 2],
    [14, 256, 256, 1, 3, 1],
    [14, 256, 256, 1, 3, 1],
    [14, 256, 256, 1, 3, 1],
    [14, 256, 512, 1, 3, 2],
    [14, 256, 512, 1, 1, 2],
    [7, 512, 512, 1, 3, 1],
    [7, 512, 512, 1, 3, 1],
    [7, 512, 512, 1, 3, 1],
];

/// Each kind of layer once.
const MOBILENETV2: [[usize; 6]; 22] = [
    [224, 3, 32, 1, 3, 2],
    [112, 32, 32, 32, 3, 1],
    [112, 32, 16, 1, 1, 1],
    [112, 16, 96, 1, 1, 1],
    [112, 96, 96, 96, 3, 2],
    [56, 96, 24, 1, 1, 1],
    [56, 24, 144, 1, 1, 1],
    [56, 144, 144, 144, 3, 1],
    [56, 144, 144, 144, 3, 2],
    [28, 144, 32, 1, 1, 1],
    [28, 32, 192, 1, 1, 1],
    [28, 192, 192, 192, 3, 1],
    [28, 192, 192, 192, 3, 2],
    [14, 192, 64, 1, 1, 1],
    [14, 64, 384, 1, 1, 1],
    [14, 384, 384, 384, 3, 1],
    [14, 576, 96, 1, 1, 1],
    [14, 576, 576, 576, 3, 2],
    [7, 960, 960, 960, 3, 1],
    [7, 960, 160, 1, 1, 1],
    [7, 160, 960, 1, 1, 1],
    [7, 320, 1280, 1, 1, 1],
];

/// The layers of a network on one image, with batch normalization and relu, one after another, so that kernels come from as far as they do in
/// the network: with each operation by itself, and with prepared kernels and the rest in the epilogue. The check value is the share of
/// elements that the kernels in memory have beyond the weights.
fn one_by_one(args: &Args, network: &str, layers: &[[usize; 6]]) -> Res<()> {
    struct Layer {
        name: String,
        gflop: f64,
        x: gradus::Tensor,
        k: gradus::Tensor,
        scale: [gradus::Tensor; 2],
        how: Convolution,
        prepared: Prepared<f32>,
        numbers: [Vec<f32>; 4],
        seconds: [Vec<f64>; 2],
    }
    let mut all = Vec::new();
    for (i, &[size, c, f, groups, taps, stride]) in layers.iter().enumerate() {
        let pad = (taps - 1) / 2;
        let window = Window { size: taps, stride, dilation: 1, before: pad, after: pad };
        let places = window.places(size)?;
        let (x, k) = (normal(1, &[1, size, size, c])?, normal(2, &[taps, taps, c / groups, f])?);
        let scale = [normal(3, &[f])?, normal(4, &[f])?];
        let how = Convolution::new()
            .strides([stride; 2])
            .padding(Padding::explicit([(pad, pad); 2]))
            .groups(groups);
        let windows = [window; 2];
        let sizes =
            Sizes { batch: 1, spatial: &[size; 2], channels: c, filters: f, groups, windows: &windows };
        let numbers =
            [x.to_vec()?, scale[0].to_vec()?, scale[1].to_vec()?, vec![0.0_f32; places * places * f]];
        let prepared = Prepared::new(&sizes, &k.to_vec::<f32>()?, true);
        let name = format!("conv/{network}/{i}_{taps}x{taps}s{stride}_{size}x{c}x{f}");
        let gflop = 2e-9 * (places * places * taps * taps * c / groups * f) as f64;
        all.push(Layer {
            name,
            gflop,
            x,
            k,
            scale,
            how,
            prepared,
            numbers,
            seconds: [Vec::new(), Vec::new()],
        });
    }
    let began = Instant::now();
    while all[0].seconds[0].len() < 5 || began.elapsed().as_secs_f64() < 2.0 {
        for layer in &mut all {
            let start = Instant::now();
            let y = layer.x.conv(&layer.k, None, None, &layer.how)?;
            y.mul_add(&layer.scale[0], &layer.scale[1])?.relu()?;
            layer.seconds[0].push(start.elapsed().as_secs_f64());
        }
        for (layer, &[size, c, f, groups, taps, stride]) in all.iter_mut().zip(layers) {
            let pad = (taps - 1) / 2;
            let windows = [Window { size: taps, stride, dilation: 1, before: pad, after: pad }; 2];
            let sizes =
                Sizes { batch: 1, spatial: &[size; 2], channels: c, filters: f, groups, windows: &windows };
            let [x, s, t, y] = &mut layer.numbers;
            let end = Epilogue { scale: Some((s, t)), ..Epilogue::new(None, Some(Act::Relu)) };
            let start = Instant::now();
            layer.prepared.forward(&sizes, x, y, end)?;
            layer.seconds[1].push(start.elapsed().as_secs_f64());
        }
    }
    let ms = |seconds: &[f64]| seconds.iter().map(|s| s * 1e3).collect::<Vec<f64>>();
    let (mut totals, mut kept, mut weights) = ([Vec::new(), Vec::new()], 0, 0);
    for layer in &all {
        let elements = (layer.prepared.elements(), layer.k.elements());
        (kept, weights) = (kept + elements.0, weights + elements.1);
        for (way, (seconds, total)) in ["eager", "prepared"].iter().zip(layer.seconds.iter().zip(&mut totals))
        {
            emit(args, &format!("{}/{way}", layer.name), "ms", ms(seconds), ("gflop", layer.gflop));
            total.resize(seconds.len(), 0.0);
            total.iter_mut().zip(seconds).for_each(|(t, s)| *t += s);
        }
    }
    let more = kept as f64 / weights as f64 - 1.0;
    for (way, total) in ["eager", "prepared"].iter().zip(&totals) {
        emit(args, &format!("conv/{network}/all/{way}"), "ms", ms(total), ("more_elements", more));
    }
    Ok(())
}

/// Height, width, channels and filters of layers of 3 x 3 taps.
const IMAGES: [&str; 4] = ["56x56x64x64", "28x28x128x128", "14x14x256x256", "7x7x512x512"];

/// One image, with padding and default settings; the rate counts the multiply-adds of the definition. The check value compares the largest
/// error, against float64, with that of the direct way: 1 where Winograd's algorithm is not used.
fn image(args: &Args, name: &str) -> Res<()> {
    let sizes: Vec<usize> = name.split('x').map(str::parse).collect::<Result<_, _>>()?;
    let &[h, w, c, f] = &sizes[..] else { return Err(format!("conv/{name}: expected HxWxCxF").into()) };
    let (x, k) = (normal(args.seed, &[1, h, w, c])?, normal(args.seed + 1, &[3, 3, c, f])?);
    let how = Convolution::new().padding(Padding::Same);
    let exact = x.cast(DType::F64)?.conv(&k.cast(DType::F64)?, None, None, &how)?.to_vec::<f64>()?;
    let error = |how: &Convolution| -> gradus::Result<f64> {
        let y = x.conv(&k, None, None, how)?.to_vec::<f32>()?;
        Ok(y.iter().zip(&exact).map(|(&y, e)| (f64::from(y) - e).abs()).fold(0.0, f64::max))
    };
    let ratio = error(&how)? / error(&how.clone().winograd(false))?;
    let (seconds, _) = sample(|| x.conv(&k, None, None, &how).map(|y| y.elements() as f64))?;
    let flops = 2e-9 * (h * w * 9 * c * f) as f64;
    let rates = seconds.iter().map(|s| flops / s).collect();
    emit(args, &format!("conv/{name}"), "GFLOP/s", rates, ("winograd_error_ratio", ratio));
    Ok(())
}
