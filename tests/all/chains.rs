//! Tests of random chains of operations, because operations that are right alone can be wrong after another: on a
//! view, an empty size, a broadcast. Chains over random shapes and element types run beside a slow reference that
//! walks plain vectors index by index: both fail or both give the same, and gradients agree with differences of the
//! reference. A new operation is a row of `ROWS`.

use gradus::ops::conv::Convolution;
use gradus::ops::{self, Interpolation, Padding, Takes};
use gradus::{DType, Result, Tensor};
use proptest::prelude::*;

/// Sizes and values in row-major order.
#[derive(Clone, Debug)]
struct Plain {
    dims: Vec<usize>,
    data: Vec<f64>,
}

/// The index of element `flat`.
fn index(dims: &[usize], mut flat: usize) -> Vec<usize> {
    let mut out = vec![0; dims.len()];
    for (o, d) in out.iter_mut().zip(dims).rev() {
        *o = flat % d;
        flat /= d;
    }
    out
}

impl Plain {
    fn at(&self, index: &[usize]) -> f64 {
        self.data[index.iter().zip(&self.dims).fold(0, |n, (&i, &d)| n * d + i)]
    }

    fn make(dims: Vec<usize>, f: impl Fn(&[usize]) -> f64) -> Plain {
        let n = dims.iter().product();
        let data = (0..n).map(|i| f(&index(&dims, i))).collect();
        Plain { dims, data }
    }

    /// With `f` of each run along an axis, which must keep its length.
    fn runs(&self, axis: usize, f: impl Fn(&[f64]) -> Vec<f64>) -> Plain {
        Plain::make(self.dims.clone(), |i| {
            let mut j = i.to_vec();
            let run: Vec<f64> = (0..self.dims[axis])
                .map(|k| {
                    j[axis] = k;
                    self.at(&j)
                })
                .collect();
            f(&run)[i[axis]]
        })
    }

    fn same_elements(&self, dims: Vec<usize>) -> Plain {
        Plain { dims, data: self.data.clone() }
    }
}

/// Numbers that the tensor's side and the twin's draw alike.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
    fn between(&mut self, low: isize, high: isize) -> isize {
        low + self.below((high - low + 1) as usize) as isize
    }
    /// An axis, sometimes one that is not there.
    fn axis(&mut self, rank: usize) -> isize {
        let r = rank as isize;
        if self.below(12) == 0 { self.between(-r - 1, r) } else { self.between(-r, r - 1) }
    }
    fn order(&mut self, n: usize) -> Vec<isize> {
        let mut order: Vec<isize> = (0..n as isize).collect();
        (1..n).for_each(|i| order.swap(i, self.below(i + 1)));
        order
    }
}

/// The axis as an index, if it is there.
fn place(axis: isize, rank: usize) -> Option<usize> {
    let at = if axis < 0 { axis + rank as isize } else { axis };
    (0..rank as isize).contains(&at).then_some(at as usize)
}

type Run = fn(&Tensor, &mut Dice) -> Result<Tensor>;
type Twin = fn(&Plain, &mut Dice) -> Option<Plain>;

/// An operation and its twin. The name is that of its row in the tables of `ops`, which says what element types it
/// takes.
enum Row {
    Map(&'static str, fn(&Tensor) -> Result<Tensor>, fn(f64) -> f64),
    Zip(&'static str, fn(&Tensor, &Tensor) -> Result<Tensor>, fn(f64, f64) -> f64),
    /// Over axes; the last is what a fold of nothing gives, if anything.
    Fold(&'static str, fn(&Tensor, &[isize], bool) -> Result<Tensor>, fn(&[f64]) -> f64, Option<f64>),
    Free(&'static str, Run, Twin),
}
use Row::{Fold, Free, Map, Zip};

const ROWS: &[Row] = &[
    Map("neg", Tensor::neg, |x| -x),
    Map("abs", Tensor::abs, f64::abs),
    Map("exp", Tensor::exp, libm::exp),
    Map("sin", Tensor::sin, libm::sin),
    Map("tanh", Tensor::tanh, libm::tanh),
    Map("sigmoid", Tensor::sigmoid, |x| 1.0 / (1.0 + libm::exp(-x))),
    Map("square", Tensor::square, |x| x * x),
    Map("relu", Tensor::relu, |x| x.max(0.0)),
    Map("softplus", Tensor::softplus, |x| libm::log1p(libm::exp(x))),
    Map("elu", |x| x.elu(0.7), |x| if x > 0.0 { x } else { 0.7 * libm::expm1(x) }),
    Map("affine", |x| x.affine(-0.5, 0.25), |x| -0.5 * x + 0.25),
    Map("clip", |x| x.clip(-1.0, 1.0), |x| x.clamp(-1.0, 1.0)),
    Zip("add", Tensor::add, |a, b| a + b),
    Zip("sub", Tensor::sub, |a, b| a - b),
    Zip("mul", Tensor::mul, |a, b| a * b),
    Zip("maximum", Tensor::maximum, f64::max),
    Zip("minimum", Tensor::minimum, f64::min),
    Fold("sum", Tensor::sum, |v| v.iter().sum(), Some(0.0)),
    Fold("mean", Tensor::mean, |v| v.iter().sum::<f64>() / v.len() as f64, None),
    Fold("max", Tensor::max, |v| v.iter().copied().fold(f64::NEG_INFINITY, f64::max), None),
    Free(
        "softmax",
        |x, d| x.softmax(d.axis(x.rank())),
        |x, d| Some(x.runs(place(d.axis(x.dims.len()), x.dims.len())?, softmax)),
    ),
    Free(
        "log_softmax",
        |x, d| x.log_softmax(d.axis(x.rank())),
        |x, d| {
            let log = |v: &[f64]| softmax(v).into_iter().map(libm::log).collect();
            Some(x.runs(place(d.axis(x.dims.len()), x.dims.len())?, log))
        },
    ),
    Free("permute", |x, d| x.permute(&d.order(x.rank())), |x, d| Some(permuted(x, &d.order(x.dims.len())))),
    Free(
        "transpose",
        |x, d| {
            let (a, b) = (d.axis(x.rank()), d.axis(x.rank()));
            x.transpose(a, b)
        },
        |x, d| {
            let r = x.dims.len();
            let (a, b) = (d.axis(r), d.axis(r));
            let mut order: Vec<isize> = (0..r as isize).collect();
            order.swap(place(a, r)?, place(b, r)?);
            Some(permuted(x, &order))
        },
    ),
    Free(
        "slice_step",
        |x, d| {
            let (axis, start, step) = (d.axis(x.rank()), d.between(-4, 4), [-2, -1, 1, 2][d.below(4)]);
            let start = (d.below(3) > 0).then_some(start);
            x.slice_step(axis, start, None, step)
        },
        |x, d| {
            let (axis, start, step) = (d.axis(x.dims.len()), d.between(-4, 4), [-2, -1, 1, 2][d.below(4)]);
            let start = (d.below(3) > 0).then_some(start);
            let axis = place(axis, x.dims.len())?;
            let n = x.dims[axis] as isize;
            let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
            let first = start.map_or(if step > 0 { low } else { high }, |s| {
                (if s < 0 { s + n } else { s }).clamp(low, high)
            });
            let picks: Vec<usize> = (0..=n)
                .map(|i| first + i * step)
                .filter(|i| (0..n).contains(i))
                .map(|i| i as usize)
                .collect();
            Some(picked(x, axis, &picks))
        },
    ),
    Free(
        "select",
        |x, d| {
            let a = d.axis(x.rank());
            x.select(a, d.between(-3, 2))
        },
        |x, d| {
            let axis = place(d.axis(x.dims.len()), x.dims.len())?;
            let one = picked(x, axis, &[place(d.between(-3, 2), x.dims[axis])?]);
            let mut dims = one.dims.clone();
            dims.remove(axis);
            Some(one.same_elements(dims))
        },
    ),
    Free(
        "reshape",
        |x, d| {
            if d.below(2) == 0 {
                x.reshape([-1])
            } else {
                let sizes: Vec<isize> = x.dims().iter().rev().map(|s| *s as isize).collect();
                x.reshape(sizes)
            }
        },
        |x, d| {
            Some(x.same_elements(if d.below(2) == 0 {
                vec![x.data.len()]
            } else {
                x.dims.iter().rev().copied().collect()
            }))
        },
    ),
    Free(
        "expand_dims",
        |x, d| x.expand_dims(d.axis(x.rank() + 1)),
        |x, d| {
            let at = place(d.axis(x.dims.len() + 1), x.dims.len() + 1).filter(|_| x.dims.len() < 8)?;
            let mut dims = x.dims.clone();
            dims.insert(at, 1);
            Some(x.same_elements(dims))
        },
    ),
    Free(
        "squeeze",
        |x, d| x.squeeze(d.axis(x.rank())),
        |x, d| {
            let at = place(d.axis(x.dims.len()), x.dims.len()).filter(|at| x.dims[*at] == 1)?;
            let mut dims = x.dims.clone();
            dims.remove(at);
            Some(x.same_elements(dims))
        },
    ),
    Free(
        "broadcast_to",
        |x, d| x.broadcast_to(wider(x.dims(), d)),
        |x, d| {
            let dims = wider(&x.dims, d);
            if dims.len() > 8 {
                return None;
            }
            Some(Plain::make(dims, |i| {
                let own: Vec<usize> = i[i.len() - x.dims.len()..]
                    .iter()
                    .zip(&x.dims)
                    .map(|(&i, &n)| if n == 1 { 0 } else { i })
                    .collect();
                x.at(&own)
            }))
        },
    ),
    Free(
        "concat",
        |x, d| Tensor::concat(&[x, x], d.axis(x.rank())),
        |x, d| {
            let axis = place(d.axis(x.dims.len()), x.dims.len())?;
            Some(picked(x, axis, &(0..2 * x.dims[axis]).map(|i| i % x.dims[axis]).collect::<Vec<_>>()))
        },
    ),
    Free(
        "gather",
        |x, d| {
            let axis = d.axis(x.rank());
            let picks: Vec<i64> = (0..d.below(4)).map(|_| d.below(3) as i64).collect();
            x.gather(&Tensor::from_slice(&picks, [picks.len()])?, axis)
        },
        |x, d| {
            let axis = d.axis(x.dims.len());
            let picks: Vec<usize> = (0..d.below(4)).map(|_| d.below(3)).collect();
            let axis = place(axis, x.dims.len())?;
            picks.iter().all(|p| *p < x.dims[axis]).then(|| picked(x, axis, &picks))
        },
    ),
    Free(
        "average_pool",
        |x, d| {
            let (size, stride) = (1 + d.below(3), 1 + d.below(3));
            let axes = x.rank().saturating_sub(2);
            x.average_pool(&vec![size; axes], Some(&vec![stride; axes]), &Padding::Valid)
        },
        |x, d| {
            let (size, stride) = (1 + d.below(3), 1 + d.below(3));
            let mut y = x.clone();
            for axis in spatial(x, size)? {
                let places = (y.dims[axis] - size) / stride + 1;
                let parts: Vec<Plain> = (0..size)
                    .map(|tap| picked(&y, axis, &(0..places).map(|p| p * stride + tap).collect::<Vec<_>>()))
                    .collect();
                let sum = |i: &[usize]| parts.iter().map(|part| part.at(i)).sum::<f64>() / size as f64;
                y = Plain::make(parts[0].dims.clone(), sum);
            }
            Some(y)
        },
    ),
    Free(
        "resize",
        |x, d| {
            let size = d.below(5);
            x.resize(&vec![size; x.rank().saturating_sub(2)], Interpolation::Nearest, false)
        },
        |x, d| {
            let (size, mut y) = (d.below(5), x.clone());
            for axis in spatial(x, 1)?.filter(|_| size > 0) {
                let n = y.dims[axis];
                y = picked(&y, axis, &(0..size).map(|i| (2 * i + 1) * n / (2 * size)).collect::<Vec<_>>());
            }
            (size > 0).then_some(y)
        },
    ),
    Free(
        "slice_update",
        |x, d| {
            let axis = d.axis(x.rank());
            let start = Tensor::scalar(d.below(3) as i64)?;
            x.slice_update(&x.neg()?.slice(axis, 0, 1)?, &start, axis)
        },
        |x, d| {
            let (axis, start) = (d.axis(x.dims.len()), d.below(3));
            let axis = place(axis, x.dims.len())?;
            let count = x.dims[axis].min(1);
            (start + count <= x.dims[axis]).then(|| {
                Plain::make(x.dims.clone(), |i| {
                    let mut first = i.to_vec();
                    first[axis] = 0;
                    if i[axis] == start && count > 0 { -x.at(&first) } else { x.at(i) }
                })
            })
        },
    ),
    Free(
        "matmul",
        |x, _| x.matmul(&if x.rank() < 2 { x.clone() } else { x.t()? }),
        |x, _| product_with_itself(x),
    ),
    Free(
        "conv",
        |x, d| {
            let (size, same) = (1 + d.below(3), d.below(2) == 0);
            let how = Convolution::new().padding(if same { Padding::Same } else { Padding::Valid });
            x.conv(&x.new_full([size, x.dims().last().copied().unwrap_or(0), 2], 0.5)?, None, None, &how)
        },
        |x, d| {
            let (size, same) = (1 + d.below(3), d.below(2) == 0);
            let [batch, n, channels] = x.dims[..] else { return None };
            let before = if same { (size - 1) / 2 } else { 0 };
            let places = if same { n } else { (n + 1).checked_sub(size)? };
            if n == 0 || channels == 0 || places == 0 {
                return None;
            }
            Some(Plain::make(vec![batch, places, 2], |i| {
                let taps = (i[1]..i[1] + size).filter_map(|t| t.checked_sub(before)).filter(|t| *t < n);
                taps.flat_map(|t| (0..channels).map(move |c| [i[0], t, c])).map(|at| x.at(&at) * 0.5).sum()
            }))
        },
    ),
    Free(
        "einsum",
        |x, _| Tensor::einsum("...i,...i->...", &[x, x]),
        |x, _| {
            let (n, dims) = x.dims.split_last()?;
            Some(Plain::make(dims.to_vec(), |i| {
                (0..*n).map(|k| x.at(&[i, &[k]].concat())).map(|v| v * v).sum()
            }))
        },
    ),
    Free(
        "diagonal",
        |x, d| {
            let (k, a, b) = (d.between(-2, 2), d.axis(x.rank()), d.axis(x.rank()));
            x.diagonal(k, a, b)
        },
        |x, d| {
            let r = x.dims.len();
            let (k, a, b) = (d.between(-2, 2), d.axis(r), d.axis(r));
            let (a, b) = (place(a, r)?, place(b, r)?);
            let (down, right) = ((-k).max(0) as usize, k.max(0) as usize);
            let n = x.dims[a].saturating_sub(down).min(x.dims[b].saturating_sub(right));
            let mut dims: Vec<usize> = (0..r).filter(|i| *i != a && *i != b).map(|i| x.dims[i]).collect();
            dims.push(n);
            (a != b).then(|| {
                Plain::make(dims, |i| {
                    let (rest, last) = i.split_at(i.len() - 1);
                    let mut rest = rest.iter().copied();
                    let own: Vec<usize> = (0..r)
                        .map(|axis| match axis {
                            _ if axis == a => last[0] + down,
                            _ if axis == b => last[0] + right,
                            _ => rest.next().unwrap(),
                        })
                        .collect();
                    x.at(&own)
                })
            })
        },
    ),
    Free(
        "mul_add",
        |x, d| x.mul_add(x, &x.new_full([], d.below(3) as f64)?),
        |x, d| {
            let t = d.below(3) as f64;
            Some(Plain { dims: x.dims.clone(), data: x.data.iter().map(|x| x * x + t).collect() })
        },
    ),
    Free("batch_norm", |x, _| Ok(x.batch_norm(None, None, 1e-3)?.0), batch_norm),
    Free(
        "choose",
        |x, _| x.equal(&x.contiguous()?)?.choose(x, &x.new_full([], 0.0)?),
        |x, _| Some(x.clone()),
    ),
];

/// Each channel of the last axis, over all others.
fn batch_norm(x: &Plain, _: &mut Dice) -> Option<Plain> {
    let n = x.dims.last().copied().filter(|_| !x.data.is_empty())?;
    let rows = (x.data.len() / n) as f64;
    let of = |c: usize, f: &dyn Fn(f64) -> f64| {
        x.data.iter().skip(c).step_by(n).map(|v| f(*v)).sum::<f64>() / rows
    };
    let value = |(i, v): (usize, &f64)| {
        let mean = of(i % n, &|v| v);
        let variance = of(i % n, &|v| (v - mean) * (v - mean));
        (v - mean) / (variance + 1e-3).sqrt()
    };
    Some(Plain { dims: x.dims.clone(), data: x.data.iter().enumerate().map(value).collect() })
}

/// The spatial axes of `[batch, axes…, channels]`, if each has so many elements.
fn spatial(x: &Plain, least: usize) -> Option<std::ops::Range<usize>> {
    let axes = 1..x.dims.len().saturating_sub(1);
    let fits = (3..=5).contains(&x.dims.len()) && axes.clone().all(|axis| x.dims[axis] >= least);
    fits.then_some(axes)
}

fn softmax(v: &[f64]) -> Vec<f64> {
    let top = v.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = v.iter().map(|x| libm::exp(x - top)).sum();
    v.iter().map(|x| libm::exp(x - top) / sum).collect()
}

fn permuted(x: &Plain, order: &[isize]) -> Plain {
    Plain::make(order.iter().map(|o| x.dims[*o as usize]).collect(), |i| {
        let mut own = vec![0; i.len()];
        order.iter().zip(i).for_each(|(o, i)| own[*o as usize] = *i);
        x.at(&own)
    })
}

fn picked(x: &Plain, axis: usize, picks: &[usize]) -> Plain {
    let mut dims = x.dims.clone();
    dims[axis] = picks.len();
    Plain::make(dims, |i| {
        let mut own = i.to_vec();
        own[axis] = picks[i[axis]];
        x.at(&own)
    })
}

/// With sizes of 1 stretched, and perhaps an axis more.
fn wider(dims: &[usize], d: &mut Dice) -> Vec<usize> {
    let mut out: Vec<usize> = dims.iter().map(|&n| if n == 1 { d.below(4) } else { n }).collect();
    if d.below(2) == 0 {
        out.insert(0, d.below(3));
    }
    out
}

fn product_with_itself(x: &Plain) -> Option<Plain> {
    match x.dims[..] {
        [] => None,
        [_] => Some(Plain { dims: vec![], data: vec![x.data.iter().map(|v| v * v).sum()] }),
        [ref stack @ .., m, k] => Some(Plain::make([stack, &[m, m]].concat(), |i| {
            let (stack, ij) = i.split_at(i.len() - 2);
            let value = |row: usize, k: usize| x.at(&[stack, &[row, k]].concat());
            (0..k).map(|k| value(ij[0], k) * value(ij[1], k)).sum()
        })),
    }
}

/// Another operand, made of the first: a slice that broadcasts, or a transpose, which may not fit.
fn partner(x: &Tensor, d: &mut Dice) -> Result<Tensor> {
    match (d.below(3), x.rank()) {
        (0, 1..) => x.slice(d.between(0, x.rank() as isize - 1), 0, 1),
        (1, 2..) => x.t(),
        _ => x.permute(&(0..x.rank() as isize).collect::<Vec<_>>()),
    }
}

fn partner_twin(x: &Plain, d: &mut Dice) -> Plain {
    let r = x.dims.len();
    match (d.below(3), r) {
        (0, 1..) => {
            let axis = d.below(r);
            picked(x, axis, if x.dims[axis] > 0 { &[0] } else { &[] })
        }
        (1, 2..) => {
            let mut order: Vec<isize> = (0..r as isize).collect();
            order.swap(r - 1, r - 2);
            permuted(x, &order)
        }
        _ => x.clone(),
    }
}

impl Row {
    fn name(&self) -> &'static str {
        match self {
            Map(name, ..) | Zip(name, ..) | Fold(name, ..) | Free(name, ..) => name,
        }
    }

    fn takes(&self, dtype: DType) -> bool {
        let named = |takes: Takes| match takes {
            Takes::Any | Takes::Wide => true,
            Takes::Numbers => dtype.is_float() || dtype.is_integer(),
            _ => dtype.is_float(),
        };
        let mut all = ops::OPS.iter().copied().flatten().map(|r| (r.name, r.takes));
        let unary = ops::UNARY.iter().map(|r| (r.name, r.takes));
        let mut binary = ops::BINARY.iter().map(|r| (r.name, r.takes)).chain(unary);
        let row = all.find(|r| r.0 == self.name()).or_else(|| binary.find(|r| r.0 == self.name()));
        named(row.unwrap_or_else(|| panic!("{} is in no table of ops", self.name())).1)
    }

    fn run(&self, x: &Tensor, d: &mut Dice) -> Result<Tensor> {
        match self {
            Map(_, f, _) => f(x),
            Zip(_, f, _) => f(x, &partner(x, d)?),
            Fold(_, f, ..) => {
                let keep = d.below(2) == 0;
                let axes = axes(x.rank(), d);
                f(x, &axes, keep)
            }
            Free(_, f, _) => f(x, d),
        }
    }

    fn twin(&self, x: &Plain, d: &mut Dice) -> Option<Plain> {
        match self {
            Map(_, _, f) => {
                Some(Plain { dims: x.dims.clone(), data: x.data.iter().map(|v| f(*v)).collect() })
            }
            Zip(_, _, f) => {
                let other = partner_twin(x, d);
                let fits = |(a, b): (&usize, &usize)| match (*a, *b) {
                    (a, b) if a == b => Some(a),
                    (1, n) | (n, 1) => Some(n),
                    _ => None,
                };
                let dims: Vec<usize> = x.dims.iter().zip(&other.dims).map(fits).collect::<Option<_>>()?;
                let own = |p: &Plain, i: &[usize]| {
                    p.at(&i
                        .iter()
                        .zip(&p.dims)
                        .map(|(&i, &n)| if n == 1 { 0 } else { i })
                        .collect::<Vec<_>>())
                };
                Some(Plain::make(dims, |i| f(own(x, i), own(&other, i))))
            }
            Fold(_, _, f, of_nothing) => {
                let keep = d.below(2) == 0;
                let axes = axes(x.dims.len(), d);
                let folded: Vec<usize> =
                    axes.iter().map(|a| place(*a, x.dims.len())).collect::<Option<_>>()?;
                let gone = |axis: usize| folded.is_empty() || folded.contains(&axis);
                if (1..folded.len()).any(|i| folded[..i].contains(&folded[i])) {
                    return None;
                }
                let count: usize = (0..x.dims.len()).filter(|a| gone(*a)).map(|a| x.dims[a]).product();
                if count == 0 && of_nothing.is_none() {
                    return None;
                }
                let kept: Vec<usize> =
                    (0..x.dims.len()).map(|a| if gone(a) { 1 } else { x.dims[a] }).collect();
                let all = Plain::make(kept.clone(), |i| {
                    let inside =
                        |own: &[usize]| own.iter().zip(i).enumerate().all(|(a, (o, i))| gone(a) || o == i);
                    let values: Vec<f64> = (0..x.data.len())
                        .filter(|n| inside(&index(&x.dims, *n)))
                        .map(|n| x.data[n])
                        .collect();
                    if values.is_empty() { of_nothing.unwrap_or(0.0) } else { f(&values) }
                });
                let dims = if keep {
                    kept
                } else {
                    (0..x.dims.len()).filter(|a| !gone(*a)).map(|a| x.dims[a]).collect()
                };
                Some(all.same_elements(dims))
            }
            Free(_, _, f) => f(x, d),
        }
    }
}

fn axes(rank: usize, d: &mut Dice) -> Vec<isize> {
    (0..d.below(3).min(rank)).map(|_| d.axis(rank)).collect()
}

/// The chain on the twin's side, as far as it goes; `None` where a step fails.
fn twin(mut x: Plain, steps: &[(usize, u64)]) -> Option<Plain> {
    for (row, dice) in steps {
        x = ROWS[*row].twin(&x, &mut Dice(*dice))?;
    }
    Some(x)
}

fn weight(i: usize) -> f64 {
    0.5 + (i as f64 * 0.618_034).fract()
}

/// Runs the chain on both sides and compares after every step; returns the steps that went through, and the last
/// tensor.
fn forward(x: &Tensor, start: Plain, steps: &[(usize, u64)]) -> (Vec<(usize, u64)>, Tensor) {
    let (mut x, mut plain, mut done) = (x.clone(), start, Vec::new());
    for &(number, dice) in steps {
        let row = &ROWS[number];
        let want = row.twin(&plain, &mut Dice(dice)).filter(|_| row.takes(x.dtype()));
        let got = row.run(&x, &mut Dice(dice));
        let Some(want) = want else {
            assert!(got.is_err(), "{} of {} should fail", row.name(), x.spec());
            continue;
        };
        if want.data.len() > 200 || want.data.iter().any(|v| v.abs() > 50.0) {
            continue; // too much for differences
        }
        let got = got.unwrap_or_else(|e| panic!("{} of {}: {e}", row.name(), x.spec()));
        assert_eq!(got.dims(), want.dims, "{} of {}", row.name(), x.spec());
        let tolerance = if got.dtype() == DType::F32 { 2e-4 } else { 1e-10 };
        for (g, w) in got.cast(DType::F64).unwrap().to_vec::<f64>().unwrap().iter().zip(&want.data) {
            assert!(
                (g - w).abs() <= tolerance * (1.0 + w.abs()),
                "{} of {}: {g}, not {w}",
                row.name(),
                x.spec()
            );
        }
        (x, plain) = (got, want);
        done.push((number, dice));
    }
    (done, x)
}

proptest! {
    #![proptest_config(crate::cases(400))]

    #[test]
    fn chains_agree_with_their_twin(
        dims in prop::collection::vec(prop::sample::select(vec![0usize, 1, 1, 2, 2, 3, 3]), 0..4),
        dtype in prop::sample::select(vec![DType::F64, DType::F64, DType::F64, DType::F32, DType::I64]),
        salt in 0usize..100,
        steps in prop::collection::vec((0..ROWS.len(), any::<u64>()), 1..7),
    ) {
        let value = |i: usize| ((i + 17 * salt) as f64 * 0.618_034 + 0.137).fract() * 2.4 - 1.2;
        let n: usize = dims.iter().product();
        let mut values: Vec<f64> = (0..n).map(value).collect();
        if dtype == DType::I64 {
            values.iter_mut().for_each(|v| *v = (*v * 4.0).trunc());
        }
        let x = Tensor::from_slice(&values, &dims).unwrap().cast(dtype).unwrap();
        if dtype == DType::F32 {
            values = x.cast(DType::F64).unwrap().to_vec().unwrap();
        }
        let start = Plain { dims, data: values.clone() };
        let leaf = if dtype == DType::F64 { x.tracked() } else { x };
        let (done, y) = forward(&leaf, start.clone(), &steps);
        if dtype != DType::F64 || done.is_empty() {
            return Ok(());
        }
        let weights = Tensor::from_slice(&(0..y.elements()).map(weight).collect::<Vec<_>>(), y.dims()).unwrap();
        let loss = y.mul(&weights).unwrap().sum(&[], false).unwrap();
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(&leaf).unwrap().to_vec::<f64>().unwrap();
        prop_assert_eq!(gradient.len(), n);
        let loss = |at: usize, by: f64| -> f64 {
            let mut moved = start.clone();
            moved.data[at] += by;
            let y = twin(moved, &done).unwrap();
            y.data.iter().enumerate().map(|(i, v)| v * weight(i)).sum()
        };
        let h = 1e-5;
        for (at, g) in gradient.iter().enumerate() {
            let (low, middle, high) = (loss(at, -h), loss(at, 0.0), loss(at, h));
            let (left, right) = ((middle - low) / h, (high - middle) / h);
            let scale = 1.0 + left.abs().max(right.abs()).max(g.abs());
            // At a bend the two sides differ: the gradient lies between them, ends included.
            let slack = (left - right).abs() + 1e-5 * scale;
            let want = (high - low) / (2.0 * h);
            let names: Vec<&str> = done.iter().map(|(r, _)| ROWS[*r].name()).collect();
            prop_assert!((g - want).abs() <= slack, "{names:?}: gradient {g}, differences {want}");
        }
    }
}

#[test]
fn every_row_is_in_a_table() {
    for row in ROWS {
        assert!(row.takes(DType::F64), "{}", row.name());
    }
}
