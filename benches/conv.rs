//! Convolutions in GFLOP/s on the shapes of layers of common networks: the three products of the direct way, and whole layers on one image,
//! with the algorithm that the sizes choose.

use crate::{Args, Res, emit, normal, sample};
use gradus::DType;
use gradus::kernels::conv::{Sizes, forward, input, kernel};
use gradus::kernels::gemm::{Epilogue, Window};
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
        let flops = 2.0 * (batch * places * filters * taps * taps * channels / groups) as f64;
        for part in ["forward", "input", "kernel"] {
            let mut rates = Vec::new();
            let began = Instant::now();
            while rates.len() < 3 || began.elapsed().as_secs_f64() < 0.15 {
                let start = Instant::now();
                match part {
                    "forward" => forward(&sizes, &x, &k, &mut y, Epilogue::NONE)?,
                    "input" => input(&sizes, &y, &k, &mut x)?,
                    _ => kernel(&sizes, &x, &y, &mut k)?,
                }
                rates.push(flops / start.elapsed().as_secs_f64() / 1e9);
            }
            emit(args, &format!("conv/{name}/{part}"), "GFLOP/s", rates, ("gflop", flops / 1e9));
        }
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
