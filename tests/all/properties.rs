//! Tests that layouts do not change results, although kernels treat them differently for speed. Random shapes and
//! views are compared with slow references that walk plain vectors index by index, and every kernel with itself on
//! other numbers of threads and over other strides, bit by bit.

use gradus::{DType, Tensor, ops, with_threads};
use proptest::prelude::*;

/// A tensor said plainly: sizes and values in row-major order.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    dims: Vec<usize>,
    data: Vec<f64>,
}

/// Every index of a shape, in row-major order.
fn indices(dims: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for &d in dims {
        all = all.into_iter().flat_map(|i| (0..d).map(move |k| [&i[..], &[k]].concat())).collect();
    }
    all
}

impl Plain {
    fn at(&self, index: &[usize]) -> f64 {
        let flat = index.iter().zip(&self.dims).fold(0, |n, (&i, &d)| n * d + i);
        self.data[flat]
    }

    fn from(dims: Vec<usize>, f: impl FnMut(Vec<usize>) -> f64) -> Plain {
        let data = indices(&dims).into_iter().map(f).collect();
        Plain { dims, data }
    }

    fn of(t: &Tensor) -> Plain {
        Plain { dims: t.dims().to_vec(), data: t.to_vec().unwrap() }
    }

    fn tensor(&self) -> Tensor {
        Tensor::from_slice(&self.data, &self.dims).unwrap()
    }

    fn close(&self, other: &Plain, tolerance: f64) -> bool {
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs())) || a == b;
        self.dims == other.dims && self.data.iter().zip(&other.data).all(near)
    }
}

/// What can be done to a tensor without moving data.
#[derive(Clone, Debug)]
enum View {
    Swap(usize, usize),
    Slice { axis: usize, start: Option<isize>, end: Option<isize>, step: isize },
    Stretch(usize),
}

/// Python's `range(*slice(start, end, step).indices(n))`, from its documentation.
fn python(n: usize, start: Option<isize>, end: Option<isize>, step: isize) -> Vec<usize> {
    let n = n as isize;
    let (lower, upper) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let place = |v: Option<isize>, default: isize| match v {
        None => default,
        Some(v) if v < 0 => (v + n).max(lower),
        Some(v) => v.min(upper),
    };
    let mut at = place(start, if step > 0 { lower } else { upper });
    let end = place(end, if step > 0 { upper } else { lower });
    let mut picked = Vec::new();
    while if step > 0 { at < end } else { at > end } {
        picked.push(at as usize);
        at += step;
    }
    picked
}

/// Applies a view to both twins.
fn viewed(t: &Tensor, p: &Plain, view: &View) -> (Tensor, Plain) {
    let rank = p.dims.len();
    match *view {
        View::Swap(a, b) if rank > 0 => {
            let (a, b) = (a % rank, b % rank);
            let mut dims = p.dims.clone();
            dims.swap(a, b);
            let twin = Plain::from(dims, |mut i| {
                i.swap(a, b);
                p.at(&i)
            });
            (t.transpose(a as isize, b as isize).unwrap(), twin)
        }
        View::Slice { axis, start, end, step } if rank > 0 => {
            let axis = axis % rank;
            let picked = python(p.dims[axis], start, end, step);
            let mut dims = p.dims.clone();
            dims[axis] = picked.len();
            let twin = Plain::from(dims, |mut i| {
                i[axis] = picked[i[axis]];
                p.at(&i)
            });
            (t.slice_step(axis as isize, start, end, step).unwrap(), twin)
        }
        View::Stretch(n) if rank < 5 => {
            let dims = [&[n], &p.dims[..]].concat();
            (t.broadcast_to(&dims).unwrap(), Plain::from(dims, |i| p.at(&i[1..])))
        }
        _ => (t.clone(), p.clone()),
    }
}

fn view() -> impl Strategy<Value = View> {
    let edge = || proptest::option::of(-8isize..8);
    prop_oneof![
        (0usize..5, 0usize..5).prop_map(|(a, b)| View::Swap(a, b)),
        (0usize..5, edge(), edge(), prop_oneof![-3isize..0, 1isize..4])
            .prop_map(|(axis, start, end, step)| View::Slice { axis, start, end, step }),
        (0usize..4).prop_map(View::Stretch),
    ]
}

fn values(n: usize, seed: u64) -> Vec<f64> {
    // A few repeated and special values among many different ones.
    let value = |i: usize| match (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(seed) >> 40 {
        v if v % 17 == 0 => 0.0,
        v if v % 19 == 0 => -0.0,
        v => (v % 20_011) as f64 / 5000.0 - 2.0,
    };
    (0..n).map(value).collect()
}

/// A tensor seen through up to three views, with its twin.
fn pair() -> impl Strategy<Value = (Tensor, Plain)> {
    let small = proptest::collection::vec(0usize..6, 0..5);
    let long = (0usize..71, 0usize..71).prop_map(|(a, b)| vec![a, b]);
    (prop_oneof![3 => small, 1 => long], any::<u64>(), proptest::collection::vec(view(), 0..4)).prop_map(
        |(dims, seed, views)| {
            let p = Plain { data: values(dims.iter().product(), seed), dims };
            views.iter().fold((p.tensor(), p.clone()), |(t, p), view| {
                // Stretching may multiply: keep the twins quick.
                if p.data.len() > 20_000 { (t, p) } else { viewed(&t, &p, view) }
            })
        },
    )
}

/// Sizes that broadcast to the given ones: some axes 1, some leading ones missing.
fn narrowed(p: &Plain, mask: u32, drop: usize) -> Vec<usize> {
    let dims: Vec<usize> =
        p.dims.iter().enumerate().map(|(i, &d)| if mask >> i & 1 == 1 { 1 } else { d }).collect();
    dims[drop.min(dims.len())..].to_vec()
}

fn broadcast_at(p: &Plain, index: &[usize]) -> f64 {
    let lead = index.len() - p.dims.len();
    p.at(&index[lead..].iter().zip(&p.dims).map(|(&i, &d)| if d == 1 { 0 } else { i }).collect::<Vec<_>>())
}

fn same_bits(a: &Tensor, b: &Tensor) -> bool {
    a.same_bits(b)
}

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn views_show_what_python_would((t, p) in pair()) {
        prop_assert_eq!(Plain::of(&t), p);
    }

    #[test]
    fn elementwise_over_any_view((t, p) in pair()) {
        let square = Plain { data: p.data.iter().map(|v| v * v).collect(), ..p.clone() };
        prop_assert_eq!(Plain::of(&t.square().unwrap()), square);
        let relu = Plain { data: p.data.iter().map(|&v| if v > 0.0 { v } else { 0.0 }).collect(), ..p.clone() };
        prop_assert_eq!(Plain::of(&t.relu().unwrap()), relu);
        let affine = Plain { data: p.data.iter().map(|v| v * 3.0 + 0.5).collect(), ..p.clone() };
        prop_assert_eq!(Plain::of(&t.affine(3.0, 0.5).unwrap()), affine);
        let sigmoid = Plain { data: p.data.iter().map(|v| 1.0 / (1.0 + libm::exp(-v))).collect(), ..p.clone() };
        prop_assert!(Plain::of(&t.sigmoid().unwrap()).close(&sigmoid, 1e-14));
        for row in ops::UNARY {
            let (view, copy) = ((row.apply)(&t).unwrap(), (row.apply)(&p.tensor()).unwrap());
            prop_assert!(same_bits(&view, &copy), "{}", row.name);
        }
        let narrow = Plain { data: p.data.iter().map(|&v| f64::from(v as f32)).collect(), ..p.clone() };
        prop_assert_eq!(Plain::of(&t.cast(DType::F32).unwrap().cast(DType::F64).unwrap()), narrow);
    }

    #[test]
    fn binary_operations_broadcast((t, p) in pair(), mask in 0u32..32, drop in 0usize..4, seed in any::<u64>(), swap in any::<bool>()) {
        let dims = narrowed(&p, mask, drop);
        let q = Plain { data: values(dims.iter().product(), seed), dims };
        let u = q.tensor();
        type Formula = fn(f64, f64) -> f64;
        let table: [(&str, Formula); 5] =
            [("add", |a, b| a + b), ("sub", |a, b| a - b), ("mul", |a, b| a * b), ("div", |a, b| a / b), ("maximum", f64::max)];
        for (name, f) in table {
            let row = ops::BINARY.iter().find(|r| r.name == name).unwrap();
            let out = if swap { (row.apply)(&u, &t) } else { (row.apply)(&t, &u) }.unwrap();
            let twin = Plain::from(p.dims.clone(), |i| {
                let (a, b) = (p.at(&i), broadcast_at(&q, &i));
                if swap { f(b, a) } else { f(a, b) }
            });
            let got = Plain::of(&out);
            prop_assert_eq!(&got.dims, &twin.dims);
            let equal = got.data.iter().zip(&twin.data).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
            prop_assert!(equal, "{} of {:?} and {:?}", name, p.dims, q.dims);
        }
    }

    #[test]
    fn reductions_over_any_axes((t, p) in pair(), mask in 0u32..32, keep in any::<bool>()) {
        let axes: Vec<isize> = (0..p.dims.len()).filter(|i| mask >> i & 1 == 1).map(|i| i as isize).collect();
        let reduced = |i: usize| axes.is_empty() || axes.contains(&(i as isize));
        let kept: Vec<usize> = (0..p.dims.len()).filter(|&i| !reduced(i)).collect();
        let dims: Vec<usize> = kept.iter().map(|&i| p.dims[i]).collect();
        let out_dims: Vec<usize> = match keep {
            true => (0..p.dims.len()).map(|i| if reduced(i) { 1 } else { p.dims[i] }).collect(),
            false => dims.clone(),
        };
        let n = dims.iter().product::<usize>();
        let (mut sums, mut tops) = (vec![0.0; n], vec![f64::NEG_INFINITY; n]);
        for index in indices(&p.dims) {
            let at = kept.iter().zip(&dims).fold(0, |at, (&i, &d)| at * d + index[i]);
            sums[at] += p.at(&index);
            tops[at] = f64::max(tops[at], p.at(&index));
        }
        let count = (0..p.dims.len()).filter(|&i| reduced(i)).map(|i| p.dims[i]).product::<usize>();
        let sum = t.sum(&axes, keep).unwrap();
        let expected = Plain { dims: out_dims.clone(), data: sums.clone() };
        prop_assert!(Plain::of(&sum).close(&expected, 1e-12));
        prop_assert!(same_bits(&sum, &p.tensor().sum(&axes, keep).unwrap()), "the layout changes a sum");
        if count == 0 {
            prop_assert!(t.max(&axes, keep).is_err() && t.mean(&axes, keep).is_err());
        } else {
            prop_assert_eq!(Plain::of(&t.max(&axes, keep).unwrap()), Plain { dims: out_dims.clone(), data: tops });
            let means = sums.iter().map(|s| s / count as f64).collect();
            let expected = Plain { dims: out_dims, data: means };
            prop_assert!(Plain::of(&t.mean(&axes, keep).unwrap()).close(&expected, 1e-12));
        }
    }

    #[test]
    fn matmul_of_any_strides(
        (m, k, n) in (0usize..40, 0usize..40, 0usize..40), stack in proptest::collection::vec(0usize..4, 0..2),
        ta in any::<bool>(), tb in any::<bool>(), flip in any::<bool>(), one in any::<bool>(), seed in any::<u64>(),
    ) {
        let stored = |r: usize, c: usize, t: bool, stack: &[usize], seed: u64| {
            let dims = [stack, &if t { [c, r] } else { [r, c] }].concat();
            let p = Plain { data: values(dims.iter().product(), seed), dims };
            let x = if t { p.tensor().t().unwrap() } else { p.tensor() };
            let x = if flip { x.slice_step(-1, None, None, -1).unwrap() } else { x };
            let p = Plain::of(&x);
            (x, p)
        };
        let (a, pa) = stored(m, k, ta, &stack, seed);
        let (b, pb) = stored(k, n, tb, if one { &[] } else { &stack }, seed ^ 1);
        let dims = [&stack[..], &[m, n]].concat();
        let s = stack.len();
        let twin = Plain::from(dims, |i| {
            let lead = &i[..s];
            (0..k).map(|j| {
                let b_lead = if one { &[][..] } else { lead };
                pa.at(&[lead, &[i[s], j]].concat()) * pb.at(&[b_lead, &[j, i[s + 1]]].concat())
            }).sum()
        });
        let c = a.matmul(&b).unwrap();
        prop_assert!(Plain::of(&c).close(&twin, 1e-12));
        prop_assert!(same_bits(&c, &pa.tensor().matmul(&pb.tensor()).unwrap()), "strides change a product");
        let (a32, b32) = (a.cast(DType::F32).unwrap(), b.cast(DType::F32).unwrap());
        let c32 = Plain::of(&a32.matmul(&b32).unwrap().cast(DType::F64).unwrap());
        prop_assert!(c32.close(&twin, 1e-4));
    }

    #[test]
    fn softmax_along_any_axis((t, p) in pair(), axis in 0usize..5) {
        prop_assume!(!p.dims.is_empty());
        let axis = axis % p.dims.len();
        let line = |i: &[usize]| -> Vec<f64> {
            (0..p.dims[axis]).map(|k| { let mut i = i.to_vec(); i[axis] = k; p.at(&i) }).collect()
        };
        let lse = |i: &[usize]| libm::log(line(i).iter().map(|v| libm::exp(*v)).sum());
        let logs = Plain::from(p.dims.clone(), |i| p.at(&i) - lse(&i));
        let soft = Plain { data: logs.data.iter().map(|v| libm::exp(*v)).collect(), ..logs.clone() };
        let (a, b) = (t.softmax(axis as isize).unwrap(), t.log_softmax(axis as isize).unwrap());
        prop_assert!(Plain::of(&a).close(&soft, 1e-12) && Plain::of(&b).close(&logs, 1e-12));
        let copy = p.tensor();
        prop_assert!(same_bits(&a, &copy.softmax(axis as isize).unwrap()));
        prop_assert!(same_bits(&b, &copy.log_softmax(axis as isize).unwrap()));
    }

    #[test]
    fn argmax_is_the_first_largest((t, p) in pair(), axis in 0usize..5) {
        prop_assume!(!p.dims.is_empty());
        let axis = axis % p.dims.len();
        prop_assume!(p.dims[axis] > 0);
        let mut dims = p.dims.clone();
        dims.remove(axis);
        let expected: Vec<i64> = indices(&dims).into_iter().map(|mut i| {
            i.insert(axis, 0);
            let (mut best, mut top) = (0, p.at(&i));
            for k in 1..p.dims[axis] {
                i[axis] = k;
                if p.at(&i) > top { (best, top) = (k as i64, p.at(&i)); }
            }
            best
        }).collect();
        prop_assert_eq!(t.argmax(axis as isize).unwrap().to_vec::<i64>().unwrap(), expected);
    }

    #[test]
    fn gather_and_scatter((t, p) in pair(), axis in 0usize..5, picks in proptest::collection::vec(any::<usize>(), 0..6)) {
        prop_assume!(!p.dims.is_empty());
        let axis = axis % p.dims.len();
        prop_assume!(p.dims[axis] > 0);
        let picks: Vec<usize> = picks.into_iter().map(|i| i % p.dims[axis]).collect();
        let index: Vec<i64> = picks.iter().map(|&i| i as i64).collect();
        let index = Tensor::from_slice(&index, [picks.len()]).unwrap();
        let mut dims = p.dims.clone();
        dims[axis] = picks.len();
        let twin = Plain::from(dims, |mut i| { i[axis] = picks[i[axis]]; p.at(&i) });
        let got = t.gather(&index, axis as isize).unwrap();
        prop_assert_eq!(&Plain::of(&got), &twin);
        // Back into place, added in ascending order.
        let mut sums = Plain { data: vec![0.0; p.data.len()], ..p.clone() };
        for mut i in indices(&twin.dims) {
            let v = twin.at(&i);
            i[axis] = picks[i[axis]];
            let flat = i.iter().zip(&p.dims).fold(0, |n, (&i, &d)| n * d + i);
            sums.data[flat] += v;
        }
        let scattered = got.scatter_add(&index, axis as isize, &p.dims).unwrap();
        prop_assert_eq!(Plain::of(&scattered), sums);
    }

    #[test]
    fn concat_of_views((t, p) in pair(), axis in 0usize..5, cut in 0usize..6) {
        prop_assume!(!p.dims.is_empty());
        let axis = axis % p.dims.len();
        let cut = cut.min(p.dims[axis]) as isize;
        let (head, tail) = (t.slice(axis as isize, 0, cut).unwrap(), t.slice(axis as isize, cut, isize::MAX).unwrap());
        let whole = Tensor::concat(&[&head, &tail], axis as isize).unwrap();
        prop_assert_eq!(&Plain::of(&whole), &p);
        let pair = Tensor::stack(&[&t, &t], axis as isize).unwrap();
        prop_assert_eq!(&Plain::of(&pair.select(axis as isize, 1).unwrap()), &p);
    }

    #[test]
    fn reshape_keeps_the_order((t, p) in pair(), cut in 0usize..5) {
        let flat = t.reshape([-1]);
        let flat = if p.data.is_empty() { t.reshape([0]) } else { flat };
        prop_assert_eq!(flat.unwrap().to_vec::<f64>().unwrap(), p.data.clone());
        let cut = cut.min(p.dims.len());
        let (a, b): (usize, usize) = (p.dims[..cut].iter().product(), p.dims[cut..].iter().product());
        let halves = t.reshape_to([a, 1, b]).unwrap();
        prop_assert_eq!(halves.to_vec::<f64>().unwrap(), p.data.clone());
        prop_assert_eq!(Plain::of(&halves.reshape_to(&p.dims).unwrap()), p);
    }

    #[test]
    fn clones_are_never_changed((t, p) in pair()) {
        let (clone, view) = (t.clone(), t.reshape_to(&p.dims).unwrap());
        let mut array = clone.into_array();
        array.slice_mut::<f64>().unwrap().fill(7.0);
        prop_assert_eq!(Plain::of(&t), p.clone());
        prop_assert_eq!(Plain::of(&view), p.clone());
        prop_assert!(Tensor::from(array).to_vec::<f64>().unwrap().iter().all(|&v| v == 7.0));
        // Nor is the tensor that a view was taken of, when the view is written to.
        if !p.dims.is_empty() && p.dims[0] > 0 {
            let mut part = t.select(0, 0).unwrap().into_array();
            part.slice_mut::<f64>().unwrap().fill(9.0);
            prop_assert_eq!(Plain::of(&t), p);
        }
    }
}

// ---- bit for bit, whatever the threads

fn large(dims: &[usize], seed: u64) -> Tensor {
    let n = dims.iter().product::<usize>();
    Tensor::from_slice(&values(n, seed), dims).unwrap().cast(DType::F32).unwrap()
}

/// Runs on 1, 2, 3 and 8 threads and compares.
fn on_any_threads(name: &str, f: impl Fn() -> Tensor + Sync) {
    let one = with_threads(1, &f).unwrap();
    for n in [2, 3, 8] {
        assert!(with_threads(n, &f).unwrap().same_bits(&one), "{name} differs on {n} threads");
    }
    assert!(f().same_bits(&one), "{name} differs in the default pool");
}

#[test]
fn elementwise_kernels_do_not_see_threads() {
    let (x, y) = (large(&[331, 401], 1), large(&[401], 2));
    let t = x.t().unwrap();
    for row in ops::UNARY {
        on_any_threads(row.name, || (row.apply)(&x).unwrap());
        on_any_threads(row.name, || (row.apply)(&t).unwrap());
    }
    for row in ops::BINARY {
        on_any_threads(row.name, || (row.apply)(&x, &y).unwrap());
        on_any_threads(row.name, || (row.apply)(&t, &y.slice(0, 0, 1).unwrap()).unwrap());
    }
    on_any_threads("affine", || x.affine(2.0, 1.0).unwrap());
    on_any_threads("cast", || t.cast(DType::F64).unwrap());
    let stream = gradus::random::Stream::new(1, gradus::random::Purpose::User(0), 0);
    on_any_threads("dropout", || x.dropout(0.3, stream).unwrap());
}

#[test]
fn reductions_do_not_see_threads() {
    for dims in [&[331, 401][..], &[3, 50_003], &[50_003, 3], &[13, 111, 97]] {
        let x = large(dims, 3);
        let reversed = x.slice_step(0, None, None, -1).unwrap();
        for (axes, keep) in [(&[][..], false), (&[0], false), (&[-1], true), (&[0, -1], false)] {
            for (layout, t) in [("row-major", &x), ("reversed", &reversed), ("transposed", &x.t().unwrap())] {
                let name = format!("of {dims:?} over {axes:?}, {layout}");
                on_any_threads(&format!("sum {name}"), || t.sum(axes, keep).unwrap());
                on_any_threads(&format!("max {name}"), || t.max(axes, keep).unwrap());
                let copy = Tensor::from_slice(&t.to_vec::<f32>().unwrap(), *t.shape()).unwrap();
                assert!(
                    t.sum(axes, keep).unwrap().same_bits(&copy.sum(axes, keep).unwrap()),
                    "sum {name}: layout"
                );
                assert!(
                    t.max(axes, keep).unwrap().same_bits(&copy.max(axes, keep).unwrap()),
                    "max {name}: layout"
                );
            }
        }
    }
}

/// Large enough to be cut between threads, and longer than a block of the product's sums; debug builds are slow.
const SIZES: [(usize, usize, usize); 5] = match cfg!(debug_assertions) {
    true => [(90, 517, 65), (1, 1100, 300), (300, 1100, 1), (33, 1100, 64), (5, 9, 9000)],
    false => [(300, 517, 129), (1, 2000, 900), (900, 2000, 1), (64, 3000, 64), (5, 9, 40_000)],
};

#[test]
fn products_do_not_see_threads_or_strides() {
    for (m, k, n) in SIZES {
        let (a, b) = (large(&[m, k], 4), large(&[k, n], 5));
        let bias = large(&[n], 6);
        on_any_threads(&format!("matmul {m} {k} {n}"), || a.matmul(&b).unwrap());
        on_any_threads(&format!("linear {m} {k} {n}"), || {
            a.linear(&b, Some(&bias), Some(ops::matmul::Fused::Tanh)).unwrap()
        });
        let product = a.matmul(&b).unwrap();
        let columns = |t: &Tensor| t.t().unwrap().contiguous().unwrap().t().unwrap();
        let spread = |t: &Tensor| {
            let wide = Tensor::stack(&[t, t], 2).unwrap();
            wide.select(2, 0).unwrap()
        };
        for (name, a, b) in [
            ("left by columns", columns(&a), b.clone()),
            ("right by columns", a.clone(), columns(&b)),
            ("both by columns", columns(&a), columns(&b)),
            ("with gaps", spread(&a), spread(&b)),
        ] {
            assert!(a.matmul(&b).unwrap().same_bits(&product), "matmul {m} {k} {n} {name}");
        }
        // A row's result does not depend on the rows beside it.
        let row = (m / 2) as isize;
        let alone = a.slice(0, row, row + 1).unwrap().matmul(&b).unwrap();
        assert!(alone.same_bits(&product.slice(0, row, row + 1).unwrap()), "matmul {m} {k} {n}: a row alone");
    }
    let (a, b) = (large(&[17, 20, 50], 7), large(&[17, 50, 60], 8));
    on_any_threads("stacked matmul", || a.matmul(&b).unwrap());
}

#[test]
fn softmax_and_index_kernels_do_not_see_threads() {
    let x = large(&[1000, 67], 9);
    let labels: Vec<i64> = (0..1000).map(|i| i * 31 % 67).collect();
    let labels = Tensor::from_slice(&labels, [1000]).unwrap();
    on_any_threads("softmax", || x.softmax(-1).unwrap());
    on_any_threads("softmax, axis 0", || x.softmax(0).unwrap());
    on_any_threads("log_softmax", || x.log_softmax(-1).unwrap());
    on_any_threads("sparse_cross_entropy", || x.sparse_cross_entropy(&labels).unwrap());
    on_any_threads("gather", || x.gather(&labels, 0).unwrap());
    on_any_threads("gather, axis 1", || x.gather(&labels, 1).unwrap());
    on_any_threads("scatter_add", || x.scatter_add(&labels, 0, [67, 67]).unwrap());
    on_any_threads("concat", || Tensor::concat(&[&x, &x], 1).unwrap());
    let gradient = || {
        let leaf = x.tracked();
        let loss = leaf.square().unwrap().sparse_cross_entropy(&labels).unwrap().mean(&[], false).unwrap();
        loss.backward().unwrap().get(&leaf).unwrap().clone()
    };
    on_any_threads("gradient", gradient);
    let gradient = || {
        let leaf = x.tracked();
        let loss = leaf.softmax(-1).unwrap().square().unwrap().sum(&[], false).unwrap();
        loss.backward().unwrap().get(&leaf).unwrap().clone()
    };
    on_any_threads("gradient of softmax", gradient);
}

/// Transposes are copied in squares: every element must still land where its indices say.
#[test]
fn copies_of_permuted_tensors_keep_every_element_in_place() {
    for (sizes, order) in [
        (vec![33, 65], vec![1, 0]),
        (vec![300, 32], vec![1, 0]),
        (vec![3, 31, 70], vec![0, 2, 1]),
        (vec![2, 40, 33, 3], vec![0, 3, 2, 1]),
        (vec![5, 34, 35], vec![2, 1, 0]),
        (vec![6, 64, 36], vec![1, 2, 0]),
    ] {
        let count: usize = sizes.iter().product();
        let t = Tensor::from_slice(&(0..count as i64).collect::<Vec<_>>(), &sizes[..]).unwrap();
        let p = t.permute(&order).unwrap();
        let values = p.to_vec::<i64>().unwrap();
        let strides: Vec<usize> = (0..sizes.len()).map(|i| sizes[i + 1..].iter().product()).collect();
        for (at, &value) in values.iter().enumerate() {
            let (mut rest, mut source) = (at, 0);
            for (axis, &size) in p.dims().iter().enumerate().rev() {
                source += rest % size * strides[order[axis] as usize];
                rest /= size;
            }
            assert_eq!(value, source as i64, "{sizes:?} as {order:?} at {at}");
        }
        on_any_threads(&format!("copy of {sizes:?}"), || p.cast(DType::F32).unwrap());
    }
}

/// The definition, in f64 and one row at a time; Keras 3.15 gives the first row's numbers for [1, 2, 4].
#[test]
fn layer_norm_is_its_definition_on_any_threads() {
    let known = Tensor::from_slice(&[1f64, 2.0, 4.0], [1, 3]).unwrap().layer_norm(None, None, 1e-3).unwrap();
    for (got, keras) in known.to_vec::<f64>().unwrap().iter().zip([-1.0687017, -0.26717556, 1.3358767]) {
        assert!((got - keras).abs() < 1e-6, "{got} {keras}");
    }
    for (rows, n) in [(1, 1), (3, 31), (700, 96), (5, 5000), (2500, 70)] {
        let x = large(&[rows, n], 3).affine(1.0, 2.0).unwrap();
        let (gamma, beta) = (large(&[n], 4), large(&[n], 5));
        let norm = || x.layer_norm(Some(&gamma), Some(&beta), 1e-5).unwrap();
        on_any_threads(&format!("layer_norm {rows}x{n}"), norm);
        let (y, v) = (norm().to_vec::<f32>().unwrap(), x.to_vec::<f32>().unwrap());
        let (gammas, betas) = (gamma.to_vec::<f32>().unwrap(), beta.to_vec::<f32>().unwrap());
        for r in 0..rows {
            let row: Vec<f64> = v[r * n..(r + 1) * n].iter().map(|&v| f64::from(v)).collect();
            let mean = row.iter().sum::<f64>() / n as f64;
            let var = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n as f64;
            for j in 0..n {
                let want = (row[j] - mean) / (var + 1e-5).sqrt() * f64::from(gammas[j]) + f64::from(betas[j]);
                let got = f64::from(y[r * n + j]);
                assert!(
                    (got - want).abs() < 2e-5 * (1.0 + want.abs()),
                    "{rows}x{n} at {r},{j}: {got} {want}"
                );
            }
        }
        let gradients = || {
            let leaves = [x.tracked(), gamma.tracked(), beta.tracked()];
            let y = leaves[0].layer_norm(Some(&leaves[1]), Some(&leaves[2]), 1e-5).unwrap();
            let all = y.square().unwrap().sum(&[], false).unwrap().backward().unwrap();
            let flat = leaves.map(|l| all.get(&l).unwrap().reshape([-1]).unwrap());
            Tensor::concat(&[&flat[0], &flat[1], &flat[2]], 0).unwrap()
        };
        on_any_threads(&format!("gradients of layer_norm {rows}x{n}"), gradients);
    }
}

#[test]
fn special_values_survive_reductions() {
    let t = |v: &[f32]| Tensor::from_slice(v, [v.len()]).unwrap();
    let max = |v: &[f32]| t(v).max(&[], false).unwrap().item().unwrap();
    assert!(max(&[1.0, f32::NAN, 2.0]).is_nan());
    assert_eq!(max(&[f32::NEG_INFINITY]), f64::NEG_INFINITY);
    for at in [0, 1, 31, 32, 33, 62] {
        let mut v = vec![1.0f32; 63];
        v[at] = f32::NAN;
        assert!(max(&v).is_nan() && t(&v).sum(&[], false).unwrap().item().unwrap().is_nan());
        assert_eq!(t(&v).argmax(0).unwrap().to_vec::<i64>().unwrap(), [at as i64]);
    }
    let same = t(&[1000.0, 1000.0]).softmax(0).unwrap().to_vec::<f32>().unwrap();
    assert_eq!(same, [0.5, 0.5]);
    let low = t(&[-1e30, 0.0]).log_softmax(0).unwrap().to_vec::<f32>().unwrap();
    assert_eq!(low, [-1e30, 0.0]);
}
