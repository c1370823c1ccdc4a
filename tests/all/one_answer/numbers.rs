//! One answer of statistics, sorted numbers, bits, factors of matrices and windows of signals: operations that are
//! made of others, for the most part, and could take another way on another machine.

use super::answers::{Answers, Rng, fresh, lying};
use gradus::{DType, Result, Tensor};

/// An operation of one tensor, by name.
type Row = (&'static str, fn(&Tensor) -> Result<Tensor>);

/// Everything.
pub(crate) fn all(a: &mut Answers) {
    for dtype in [DType::F32, DType::F64] {
        statistics(a, dtype);
        matrices(a, dtype);
        made(a, dtype);
    }
    bits(a);
    sorted(a);
}

/// Of any numbers, and of numbers among which some are NaN.
const STATISTICS: [Row; 29] = [
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
    ("quantile", |t| t.quantile(0.7, &[0], false)),
    ("median", |t| t.median(&[], false)),
    ("logcumsumexp", |t| t.logcumsumexp(-1)),
    ("cov", |t| t.cov(1)),
    ("corrcoef", Tensor::corrcoef),
    ("cdist", |t| t.cdist(&t.slice(0, 0, 2)?.affine(0.5, 1.0)?, 2.0)),
    ("psnr", |t| t.psnr(&t.affine(0.9, 0.1)?, 1.0)),
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
    for (stack, n) in [(&[][..], 1), (&[3], 4), (&[2, 2], 5), (&[], 20)] {
        let square = lying(r, &[stack, &[n, n]].concat(), dtype, Rng::plain);
        let tall = lying(r, &[stack, &[n + 2, n]].concat(), dtype, Rng::plain);
        let (one, wide) = ([square], [tall]);
        a.both(&format!("eigh {dtype}"), &one, |t| {
            t[0].add(&t[0].transpose(-1, -2)?)?.eigh().map(|(values, _)| values)
        });
        a.both(&format!("svd {dtype}"), &wide, |t| t[0].svd().map(|(_, values, _)| values));
        a.add(&format!("svd {dtype}"), wide[0].svd().and_then(|(u, _, v)| u.matmul(&v)));
        a.both(&format!("pinv {dtype}"), &wide, |t| t[0].pinv(None));
        a.add(&format!("matrix_rank {dtype}"), wide[0].matrix_rank(None));
        a.both(&format!("matrix_power {dtype}"), &one, |t| t[0].matrix_power(5));
        for p in [1.0, 2.0, f64::INFINITY] {
            a.both(&format!("matrix_norm {dtype}"), &one, |t| t[0].matrix_norm(p));
        }
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
