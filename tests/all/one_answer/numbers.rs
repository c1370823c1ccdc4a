//! One answer of statistics, sorted numbers, bits, factors of matrices and windows of signals: operations that are
//! made of others, for the most part, and could take another way on another machine.

use super::answers::{Answers, Rng, fresh, lying};
use gradus::ops::Padding;
use gradus::ops::fourier::Stft;
use gradus::ops::patches::Unfold;
use gradus::ops::scatter::Scatter;
use gradus::ops::warp::{FillMode, Lookup};
use gradus::{DType, Result, Tensor};

/// An operation of one tensor, by name.
type Row = (&'static str, fn(&Tensor) -> Result<Tensor>);

/// Everything.
pub(crate) fn all(a: &mut Answers) {
    for dtype in [DType::F32, DType::F64] {
        statistics(a, dtype);
        matrices(a, dtype);
        made(a, dtype);
        signals(a, dtype);
        collected(a, dtype);
        pictures(a, dtype);
    }
    bits(a);
    sorted(a);
}

/// Of any numbers, and of numbers among which some are NaN.
const STATISTICS: [Row; 38] = [
    ("nan_to_num", |t| t.nan_to_num(0.5, Some(9.0), None)),
    ("nansum", |t| t.nansum(&[0], false)),
    ("nanprod", |t| t.nanprod(&[-1], false)),
    ("nanmean", |t| t.nanmean(&[], false)),
    ("nanvar", |t| t.nanvar(&[0], true, 1)),
    ("nanstd", |t| t.nanstd(&[-1], false, 0)),
    ("nanmax", |t| t.nanmax(&[0], false)),
    ("nanmin", |t| t.nanmin(&[-1], false)),
    ("nanargmax", |t| t.nanargmax(-1)),
    ("nanargmin", |t| t.nanargmin(0)),
    ("nancumsum", |t| t.nancumsum(0)),
    ("nancumprod", |t| t.nancumprod(-1)),
    ("nanquantile", |t| t.nanquantile(0.3, &[-1], false)),
    ("nanmedian", |t| t.nanmedian(&[0], false)),
    ("signbit", Tensor::signbit),
    ("rot90", |t| t.rot90(1, 0, 1)?.contiguous()),
    ("diff", |t| t.diff(2, -1)),
    ("trapezoid", |t| t.trapezoid(0.5, 0)),
    ("ptp", |t| t.ptp(&[0], false)),
    ("average", |t| t.average(&t.square()?.affine(1.0, 0.5)?, &[0], false)),
    ("moments", |t| t.moments(&[-1], false).map(|(mean, variance)| mean.sub(&variance))?),
    ("normalize", |t| t.normalize(2.0, &[-1])),
    ("rms_normalization", |t| t.rms_normalization(Some(&t.slice(0, 0, 1)?), &[0], 1e-3)),
    ("quantile", |t| t.quantile(0.7, &[0], false)),
    ("median", |t| t.median(&[], false)),
    ("logcumsumexp", |t| t.logcumsumexp(-1)),
    ("cov", |t| t.cov(1)),
    ("corrcoef", Tensor::corrcoef),
    ("cdist", |t| t.cdist(&t.slice(0, 0, 2)?.affine(0.5, 1.0)?, 2.0)),
    ("psnr", |t| t.psnr(&t.affine(0.9, 0.1)?, 1.0)),
    ("cummax", |t| Ok(t.cummax(-1)?.0)),
    ("cummin", |t| Ok(t.cummin(0)?.0)),
    ("mode", |t| Ok(t.mode(0, true)?.0)),
    ("frexp", |t| Ok(t.frexp()?.0)),
    ("is_posinf", Tensor::is_posinf),
    ("is_neginf", |t| t.ln()?.is_neginf()),
    ("diag_embed", |t| t.slice(0, 0, 2)?.diag_embed(1)),
    ("correlate", |t| t.select(0, 0)?.correlate(&t.select(0, 1)?.slice(0, 0, 3)?, &Padding::Same)),
];

fn statistics(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("statistics");
    for dims in [[2, 3], [5, 4], [63, 70], [270, 131]] {
        let plain = lying(r, &dims, dtype, Rng::plain);
        let odd = lying(r, &dims, dtype, Rng::odd);
        for (name, f) in STATISTICS {
            let name = format!("{name} {dtype}");
            match f(&plain) {
                // Positions and signs have no gradient.
                Ok(y) if !y.dtype().is_float() => a.add(&name, Ok(y)),
                _ => a.both(&name, std::slice::from_ref(&plain), |t| f(&t[0])),
            }
            a.add(&name, f(&odd));
        }
        let other = lying(r, &dims, dtype, Rng::plain);
        a.add(&format!("isclose {dtype}"), plain.isclose(&other, 0.5, 0.1, false));
        a.add(&format!("allclose {dtype}"), odd.allclose(&odd, 1e-3, 0.0, true));
        let triples = |r: &mut Rng| fresh(r, &[dims[0], 3], dtype, Rng::plain);
        let both = [triples(r), triples(r)];
        a.both(&format!("cross {dtype}"), &both, |t| t[0].cross(&t[1], -1));
        a.both(&format!("vander {dtype}"), &[plain.select(0, 0).unwrap()], |t| t[0].vander(4, false));
    }
    let images = [lying(r, &[2, 6, 4, 12], dtype, Rng::plain)];
    a.both(&format!("space_to_depth {dtype}"), &images, |t| t[0].space_to_depth(2));
    a.both(&format!("depth_to_space {dtype}"), &images, |t| t[0].depth_to_space(2));
}

fn matrices(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("matrices");
    let shapes: [(&[usize], usize); 6] =
        [(&[], 1), (&[3], 4), (&[2, 2], 5), (&[], 20), (&[], 70), (&[9], 34)];
    for (stack, n) in shapes {
        let square = lying(r, &[stack, &[n, n]].concat(), dtype, Rng::plain);
        let tall = lying(r, &[stack, &[n + 2, n]].concat(), dtype, Rng::plain);
        let (one, wide) = ([square], [tall]);
        a.both(&format!("eigh {dtype}"), &one, |t| {
            t[0].add(&t[0].transpose(-1, -2)?)?.eigh().map(|(values, _)| values)
        });
        a.add(&format!("eigh {dtype}"), one[0].eigh().map(|(_, vectors)| vectors));
        a.both(&format!("svd {dtype}"), &wide, |t| t[0].svd().map(|(_, values, _)| values));
        a.add(&format!("svd {dtype}"), wide[0].svd().and_then(|(u, _, v)| u.matmul(&v)));
        a.both(&format!("pinv {dtype}"), &wide, |t| t[0].pinv(None));
        a.add(&format!("matrix_rank {dtype}"), wide[0].matrix_rank(None));
        a.both(&format!("lu_factor {dtype}"), &one, |t| Ok(t[0].lu_factor()?.0));
        a.both(&format!("lu {dtype}"), &one, |t| t[0].lu().and_then(|(_, l, u)| l.matmul(&u.sin()?)));
        a.both(&format!("cholesky_inverse {dtype}"), &one, |t| {
            t[0].add(&Tensor::eye(n, n, 0, dtype)?.affine(3.0 * n as f64, 0.0)?)?.cholesky_inverse()
        });
        a.both(&format!("matrix_power {dtype}"), &one, |t| t[0].matrix_power(5));
        for p in [1.0, 2.0, f64::INFINITY] {
            a.both(&format!("matrix_norm {dtype}"), &one, |t| t[0].matrix_norm(p));
        }
    }
}

/// Transforms of signals, some cut between threads, of small factors and of large primes.
fn signals(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("signals");
    for dims in [[3, 1], [2, 12], [5, 97], [40, 360], [9, 4096]] {
        let both = [lying(r, &dims, dtype, Rng::plain), lying(r, &dims, dtype, Rng::plain)];
        let joined =
            |parts: Result<(Tensor, Tensor)>| parts.and_then(|(re, im)| Tensor::stack(&[&re, &im], 0));
        a.both(&format!("fft {dtype}"), &both, |t| joined(t[0].fft(&t[1])));
        a.both(&format!("ifft {dtype}"), &both, |t| joined(t[0].ifft(&t[1])));
        a.both(&format!("fft2 {dtype}"), &both, |t| joined(t[0].fft2(&t[1])));
        a.both(&format!("ifft2 {dtype}"), &both, |t| joined(t[0].ifft2(&t[1])));
        a.both(&format!("rfft {dtype}"), &both[..1], |t| joined(t[0].rfft(None)));
        a.both(&format!("irfft {dtype}"), &both, |t| t[0].irfft(&t[1], Some(2 * dims[1] - 1)));
        if dims[1] < 12 {
            continue;
        }
        let how = Stft::new(9, 4, 10);
        a.both(&format!("stft {dtype}"), &both[..1], |t| joined(t[0].stft(&how)));
        a.both(&format!("istft {dtype}"), &both[..1], |t| {
            let (re, im) = t[0].stft(&how)?;
            re.square()?.istft(&im, &how, None)
        });
        a.both(&format!("extract_sequences {dtype}"), &both[..1], |t| t[0].extract_sequences(7, 3));
    }
}

/// Elements that share an index.
fn collected(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("collected");
    for dims in [[2, 3], [63, 70], [270, 131]] {
        let x = [lying(r, &dims, dtype, Rng::plain), lying(r, &dims, dtype, Rng::plain)];
        let index = whole(r, &dims, -(dims[1] as i64), 2 * dims[1]);
        let n = dims[1];
        a.both(&format!("max_along_axis {dtype}"), &x[..1], |t| t[0].max_along_axis(&index, 1, n));
        a.both(&format!("min_along_axis {dtype}"), &x[..1], |t| t[0].min_along_axis(&index, 1, n));
        a.both(&format!("prod_along_axis {dtype}"), &x[..1], |t| t[0].prod_along_axis(&index, 1, n));
        a.both(&format!("put_along_axis {dtype}"), &x, |t| t[0].put_along_axis(&index, &t[1], 1));
        a.both(&format!("scatter_along_axis {dtype}"), &x, |t| {
            t[0].scatter_along_axis(&index, &t[1], 1, Scatter::Max)
        });
        let ids = whole(r, &dims[..1], 0, 5);
        a.both(&format!("segment_sum {dtype}"), &x[..1], |t| t[0].segment_sum(&ids, 5));
        a.both(&format!("segment_mean {dtype}"), &x[..1], |t| t[0].segment_mean(&ids, 6));
        a.both(&format!("segment_max {dtype}"), &x[..1], |t| t[0].segment_max(&ids, 5));
        a.both(&format!("segment_min {dtype}"), &x[..1], |t| t[0].segment_min(&ids, 5));
        a.both(&format!("segment_prod {dtype}"), &x[..1], |t| t[0].segment_prod(&ids, 5));
    }
    a.add(&format!("multi_hot {dtype}"), whole(r, &[30, 7], 0, 50).multi_hot(50, dtype));
}

/// Windows, colours and places of images.
const PICTURES: [Row; 14] = [
    ("extract_patches", |t| t.extract_patches(&[2, 3], &[1, 2], &[1, 1], &Padding::Same)),
    ("unfold", |t| t.unfold(&Unfold::new([3, 2]))),
    ("fold", |t| t.unfold(&Unfold::new([2, 2]))?.fold([t.dims()[2], t.dims()[3]], &Unfold::new([2, 2]))),
    ("rgb_to_grayscale", Tensor::rgb_to_grayscale),
    ("rgb_to_hsv", Tensor::rgb_to_hsv),
    ("hsv_to_rgb", Tensor::hsv_to_rgb),
    ("crop_images", |t| t.crop_images(1, 0, 9, 8)),
    ("pad_images", |t| t.pad_images(1, 0, 80, 90)),
    ("gaussian_blur", |t| t.gaussian_blur([5, 3], [1.5, 0.7])),
    ("sobel_edges", Tensor::sobel_edges),
    ("ssim", |t| t.ssim(&t.affine(0.9, 0.1)?, 1.0)),
    ("elastic_transform", |t| t.elastic_transform(2.0, 1.1, &Lookup::default(), 5)),
    ("scale_and_translate", |t| {
        let numbers = Tensor::from_slice(&[0.9, 1.3], [2])?;
        let (n, [height, width]) = (t.dims()[0], [t.dims()[1], t.dims()[2]]);
        let shape = [n, height + 1, width - 1, t.dims()[3]];
        t.scale_and_translate(&shape, &numbers, &numbers, &[1, 2], gradus::ops::Interpolation::Lanczos3, true)
    }),
    ("affine_transform", |t| {
        let numbers = Tensor::from_slice(&[0.9, 0.2, 0.3, -0.1, 1.1, -0.6, 0.0, 0.0], [8])?;
        t.affine_transform(&numbers, &Lookup { fill_mode: FillMode::Reflect, ..Lookup::default() })
    }),
];

fn pictures(a: &mut Answers, dtype: DType) {
    let r = &mut Rng::of("pictures");
    for dims in [[2, 12, 11, 3], [3, 61, 47, 3]] {
        let x = [lying(r, &dims, dtype, Rng::plain)];
        for (name, f) in PICTURES {
            a.both(&format!("{name} {dtype}"), &x, |t| f(&t[0]));
        }
        let points = [0.0, 0.5, 9.0, 0.0, 1.0, 8.5, 9.5, 10.0];
        let (start, end) =
            (Tensor::from_slice(&points, [4, 2]).unwrap(), fresh(r, &[4, 2], dtype, Rng::plain));
        let end = end.affine(0.3, 0.0).and_then(|e| start.cast(dtype)?.add(&e)).unwrap();
        a.both(&format!("perspective_transform {dtype}"), &x, |t| {
            t[0].perspective_transform(&start, &end, true, 0.5)
        });
        let at = fresh(r, &[2, 300], dtype, Rng::plain).affine(9.0, 4.0).unwrap();
        let plane = [x[0].select(0, 0).unwrap().select(-1, 0).unwrap(), at];
        a.both(&format!("map_coordinates {dtype}"), &plane, |t| {
            t[0].map_coordinates(&t[1], &Lookup { fill_mode: FillMode::Wrap, ..Lookup::default() })
        });
    }
}

/// Tensors that are made of numbers alone.
fn made(a: &mut Answers, dtype: DType) {
    for n in [1, 2, 51, 300] {
        a.add(&format!("bartlett {dtype}"), Tensor::bartlett(n, dtype));
        a.add(&format!("blackman {dtype}"), Tensor::blackman(n, dtype));
        a.add(&format!("hamming {dtype}"), Tensor::hamming(n, dtype));
        a.add(&format!("hanning {dtype}"), Tensor::hanning(n, dtype));
        a.add(&format!("kaiser {dtype}"), Tensor::kaiser(n, 8.6, dtype));
        a.add(&format!("logspace {dtype}"), Tensor::logspace(-2.0, 3.0, n, 10.0, dtype));
        a.add(&format!("geomspace {dtype}"), Tensor::geomspace(0.5, 700.0, n, dtype));
        a.add(&format!("tri {dtype}"), Tensor::tri(n, n + 3, 1, dtype));
    }
}

/// Whole numbers from `least` on, below `least + count`.
fn whole(r: &mut Rng, dims: &[usize], least: i64, count: usize) -> Tensor {
    let numbers: Vec<i64> = (0..dims.iter().product()).map(|_| least + r.below(count) as i64).collect();
    Tensor::from_slice(&numbers, dims).unwrap()
}

fn bits(a: &mut Answers) {
    let r = &mut Rng::of("bits");
    for dims in [&[7][..], &[63, 70], &[270, 131]] {
        let (x, y, places) =
            (whole(r, dims, -5000, 10_000), whole(r, dims, -300, 600), whole(r, dims, 0, 20));
        a.add("bitwise_and", x.bitwise_and(&y));
        a.add("bitwise_or", x.bitwise_or(&y));
        a.add("bitwise_xor", x.bitwise_xor(&y));
        a.add("bitwise_not", x.bitwise_not());
        a.add("left_shift", x.left_shift(&places));
        a.add("right_shift", x.right_shift(&places));
        a.add("gcd", x.gcd(&y));
        a.add("lcm", x.lcm(&y));
        let at = whole(r, dims, 0, 60);
        a.add(
            "unravel_index",
            at.unravel_index([5, 12]).and_then(|parts| Tensor::stack(&parts.iter().collect::<Vec<_>>(), 0)),
        );
        a.add("bincount", at.flatten().and_then(|at| at.bincount(70)));
        a.add("isin", x.isin(&y.flatten().unwrap()));
    }
}

fn sorted(a: &mut Answers) {
    let r = &mut Rng::of("sorted");
    for n in [1, 9, 400] {
        let edges = fresh(r, &[n], DType::F32, Rng::plain).sort(0, false).unwrap();
        let values = fresh(r, &[700], DType::F32, Rng::odd);
        a.add("searchsorted", edges.searchsorted(&values, false));
        a.add("searchsorted", edges.searchsorted(&values, true));
        a.add("digitize", values.digitize(&edges));
        let (counts, bounds) = edges.histogram(12, None).unwrap();
        a.add("histogram", Ok(counts));
        a.add("histogram", Ok(bounds));
    }
}
