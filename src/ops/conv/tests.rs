//! Compares the products with the definition as loops over every index.

use super::*;
use crate::DType;
use crate::kernels::testing::Rng;

/// The sizes and settings of a test.
#[derive(Debug)]
struct Case {
    x: Shape,
    k: Shape,
    how: Convolution,
}

impl Case {
    fn any(r: &mut Rng, transposed: bool) -> Case {
        let n = 1 + r.below(3);
        let list = |r: &mut Rng, most: usize| (0..n).map(|_| 1 + r.below(most)).collect::<Vec<_>>();
        let (size, strides, dilation) = (list(r, 4), list(r, 3), list(r, 3));
        let mut padding = match r.below(4) {
            0 => Padding::Valid,
            1 if n == 1 => Padding::Causal,
            2 => Padding::Explicit((0..n).map(|_| (r.below(4), r.below(4))).collect()),
            _ => Padding::Same,
        };
        let groups = if transposed { 1 } else { 1 + r.below(3) };
        let (c, f) = (1 + r.below(3), (1 + r.below(3)) * groups);
        let spatial: Vec<usize> = if transposed {
            list(r, 4)
        } else {
            size.iter()
                .zip(&dilation)
                .map(|(size, dilation)| (size - 1) * dilation + 1 + r.below(5))
                .collect()
        };
        let mut how = Convolution::new().strides(&strides).dilation_rate(&dilation).groups(groups);
        if transposed {
            if !matches!(padding, Padding::Valid) {
                padding = Padding::Same;
            }
            if r.below(2) == 0 {
                how = how.output_padding(strides.iter().map(|&s| r.below(s)).collect::<Vec<_>>());
            }
        }
        let mut x = vec![r.below(3) + usize::from(transposed)];
        x.extend(&spatial);
        x.push(if transposed { f } else { c * groups });
        let mut k = size.clone();
        k.extend([c, f]);
        Case { x: Shape::new(&x).unwrap(), k: Shape::new(&k).unwrap(), how: how.padding(padding) }
    }
}

/// Calls `f` with every index below these sizes.
fn each(sizes: &[usize], mut f: impl FnMut(&[usize])) {
    let mut at = vec![0; sizes.len()];
    for mut i in 0..sizes.iter().product() {
        for (at, &size) in at.iter_mut().zip(sizes).rev() {
            *at = i % size;
            i /= size;
        }
        f(&at);
    }
}

fn flat(shape: &Shape, at: &[usize]) -> usize {
    at.iter().zip(shape.dims()).fold(0, |n, (&i, &size)| n * size + i)
}

/// Calls `f` with the positions in x, k and y of every product that a convolution sums.
fn terms(x: &Shape, k: &Shape, y: &Shape, how: &Convolution, mut f: impl FnMut(usize, usize, usize)) {
    let n = x.rank() - 2;
    let Padding::Explicit(pads) = &how.padding else { panic!("padding in numbers") };
    let (per_group, filters) = (k.dims()[n], k.dims()[n + 1] / how.groups);
    each(y.dims(), |place| {
        each(&k.dims()[..n + 1], |tap| {
            let mut at = vec![place[0]];
            for i in 0..n {
                let here = place[i + 1] * how.strides[i] + tap[i] * how.dilation_rate[i];
                if here < pads[i].0 || here - pads[i].0 >= x.dims()[i + 1] {
                    return;
                }
                at.push(here - pads[i].0);
            }
            let filter = place[n + 1];
            at.push(filter / filters * per_group + tap[n]);
            let mut weight = tap.to_vec();
            weight.push(filter);
            f(flat(x, &at), flat(k, &weight), flat(y, place));
        });
    });
}

/// Returns the padding in numbers, by Keras's documentation instead of by `windows`.
fn in_numbers(x: &Shape, k: &Shape, how: &Convolution) -> Convolution {
    let n = x.rank() - 2;
    let pads = (0..n).map(|i| {
        let (size, stride) = (x.dims()[i + 1] as isize, how.strides[i] as isize);
        let reach = (k.dims()[i] as isize - 1) * how.dilation_rate[i] as isize + 1;
        match &how.padding {
            Padding::Valid => (0, 0),
            Padding::Causal => (reach as usize - 1, 0),
            Padding::Explicit(pads) => pads[i],
            Padding::Same => {
                let left_over = if size % stride == 0 { stride } else { size % stride };
                let needed = (reach - left_over).max(0) as usize;
                (needed / 2, needed - needed / 2)
            }
        }
    });
    Convolution { padding: Padding::Explicit(pads.collect()), ..how.clone() }
}

fn numbers(r: &mut Rng, shape: &Shape, dtype: DType) -> Tensor {
    let values: Vec<f64> = r.vec(shape.elements());
    Tensor::from_slice(&values, *shape).unwrap().cast(dtype).unwrap()
}

#[track_caller]
fn close(got: &Tensor, want: &[f64], shape: &Shape, case: &Case) {
    assert_eq!(got.shape(), shape, "{case:?}");
    let limit = if got.dtype() == DType::F64 { 1e-13 } else { 3e-6 };
    let got = got.cast(DType::F64).unwrap().to_vec::<f64>().unwrap();
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= limit * w.abs().max(1.0), "{case:?}: element {i}: {g} instead of {w}");
    }
}

fn values(t: &Tensor) -> Vec<f64> {
    t.cast(DType::F64).unwrap().to_vec().unwrap()
}

#[test]
fn the_three_forms_are_the_definition() {
    let r = &mut Rng(11);
    for round in 0..400 {
        let dtype = if round % 2 == 0 { DType::F64 } else { DType::F32 };
        let case = Case::any(r, false);
        let (x, k) = (numbers(r, &case.x, dtype), numbers(r, &case.k, dtype));
        let bias = numbers(r, &Shape::new(&case.k.dims()[case.k.rank() - 1..]).unwrap(), dtype);
        let y = x.conv(&k, Some(&bias), Some(Fused::Relu), &case.how).unwrap();
        let g = numbers(r, y.shape(), dtype);
        let how = in_numbers(&case.x, &case.k, &case.how);
        let (xs, ks, gs, b) = (values(&x), values(&k), values(&g), values(&bias));
        let filters = b.len();
        let mut want_y: Vec<f64> = (0..y.elements()).map(|i| b[i % filters]).collect();
        let (mut want_x, mut want_k) = (vec![0.0; xs.len()], vec![0.0; ks.len()]);
        terms(&case.x, &case.k, y.shape(), &how, |i, j, l| {
            want_y[l] += xs[i] * ks[j];
            want_x[i] += ks[j] * gs[l];
            want_k[j] += xs[i] * gs[l];
        });
        want_y.iter_mut().for_each(|y| *y = y.max(0.0));
        close(&y, &want_y, y.shape(), &case);
        close(&images(&g, &k, &x, &case.how).unwrap(), &want_x, &case.x, &case);
        close(&taps(&x, &g, &case.k, &case.how).unwrap(), &want_k, &case.k, &case);
    }
}

#[test]
fn a_transposed_convolution_lays_kernels() {
    let r = &mut Rng(12);
    for round in 0..300 {
        let dtype = if round % 2 == 0 { DType::F64 } else { DType::F32 };
        let case = Case::any(r, true);
        let (y, k) = (numbers(r, &case.x, dtype), numbers(r, &case.k, dtype));
        let n = case.x.rank() - 2;
        // Lengths by Keras's documentation, and what is cut off at the start by JAX's.
        let (mut shape, mut pads) = (case.x.with(n + 1, case.k.dims()[n]), PerAxis::new());
        for i in 0..n {
            let (stride, places) = (case.how.strides[i], case.x.dims()[i + 1]);
            let reach = (case.k.dims()[i] - 1) * case.how.dilation_rate[i] + 1;
            let more = case.how.output_padding.as_ref().map(|m| m[i]);
            let (length, left) = match (&case.how.padding, more) {
                (Padding::Valid, None) => ((places - 1) * stride + reach.max(stride), reach - 1),
                (Padding::Valid, Some(more)) => ((places - 1) * stride + reach + more, reach - 1),
                (_, None) => (places * stride, (stride + reach - 2).div_ceil(2)),
                (_, Some(m)) => {
                    ((places - 1) * stride + reach % 2 + m, (reach + reach % 2 + m - 2).div_ceil(2))
                }
            };
            shape = shape.with(i + 1, length);
            pads.push((reach - 1 - left.min(reach - 1), 0));
        }
        if shape.dims().contains(&0) {
            y.conv_transpose(&k, &case.how).unwrap_err();
            continue;
        }
        let how = Convolution { padding: Padding::Explicit(pads), ..case.how.clone() };
        let (ys, ks) = (values(&y), values(&k));
        let mut want = vec![0.0; shape.elements()];
        terms(&shape, &case.k, &case.x, &how, |i, j, l| want[i] += ks[j] * ys[l]);
        close(&y.conv_transpose(&k, &case.how).unwrap(), &want, &shape, &case);
    }
}

/// Keras 3.15.1, `ops.conv_transpose` of `[1, 2, 3]`.
#[test]
fn lengths_and_places_of_transposed_convolutions_are_those_of_keras() {
    let x = Tensor::from_slice(&[1.0, 2.0, 3.0], [1, 3, 1]).unwrap();
    let k = Tensor::from_slice(&[1.0, 10.0, 100.0], [3, 1, 1]).unwrap();
    let lay = |how: Convolution| x.conv_transpose(&k, &how).unwrap().to_vec::<f64>().unwrap();
    let twice = Convolution::new().strides([2]);
    assert_eq!(lay(Convolution::new()), [1.0, 12.0, 123.0, 230.0, 300.0]);
    assert_eq!(lay(twice.clone()), [1.0, 10.0, 102.0, 20.0, 203.0, 30.0, 300.0]);
    assert_eq!(lay(twice.clone().padding(Padding::Same)), [1.0, 10.0, 102.0, 20.0, 203.0, 30.0]);
    let longer = twice.clone().output_padding([1]);
    assert_eq!(lay(longer), [1.0, 10.0, 102.0, 20.0, 203.0, 30.0, 300.0, 0.0]);
    let same = twice.padding(Padding::Same).output_padding([0]);
    assert_eq!(lay(same), [10.0, 102.0, 20.0, 203.0, 30.0]);
}

/// Checks that each row, and its gradient, has the same bits as when computed alone.
#[test]
fn rows_do_not_depend_on_their_batch() {
    let r = &mut Rng(13);
    for _ in 0..60 {
        let mut case = Case::any(r, false);
        case.x = case.x.with(0, 5);
        let (x, k) = (numbers(r, &case.x, DType::F32), numbers(r, &case.k, DType::F32));
        let y = x.conv(&k, None, None, &case.how).unwrap();
        let g = numbers(r, y.shape(), DType::F32);
        let back = images(&g, &k, &x, &case.how).unwrap();
        for i in 0..5 {
            let row = |t: &Tensor| t.slice(0, i, i + 1).unwrap();
            assert!(row(&x).conv(&k, None, None, &case.how).unwrap().same_bits(&row(&y)), "{case:?}");
            assert!(images(&row(&g), &k, &row(&x), &case.how).unwrap().same_bits(&row(&back)), "{case:?}");
        }
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let t = |shape: &[usize]| Tensor::zeros(shape).unwrap();
    let message = |x: &[usize], k: &[usize], how: &Convolution| {
        t(x).conv(&t(k), None, None, how).unwrap_err().to_string()
    };
    let how = Convolution::new();
    assert_eq!(
        message(&[2, 5, 5], &[3, 3, 5, 1], &how),
        "conv: [2, 5, 5] and [3, 3, 5, 1] do not match: the kernel should have 3 axes as well: a window for each spatial axis, channels and filters"
    );
    assert_eq!(
        message(&[2, 5, 3], &[3, 2, 1], &how),
        "conv: [2, 5, 3] and [3, 2, 1] do not match: the input has 3 channels, the kernel takes 2"
    );
    assert_eq!(
        message(&[2, 5, 3], &[3, 2, 4], &how.clone().groups(2)),
        "conv: [2, 5, 3] and [3, 2, 4] do not match: the input has 3 channels, the kernel takes 2 in each of 2 groups"
    );
    assert_eq!(
        message(&[2, 5, 4], &[3, 2, 5], &how.clone().groups(2)),
        "groups: expected a number that divides the 5 filters, got 2"
    );
    assert_eq!(
        message(&[2, 5, 4], &[6, 4, 5], &how),
        "conv: expected a window that fits into spatial axis 0 of 5 elements (padding valid), got one that reaches over 6"
    );
    assert_eq!(
        message(&[2, 5, 4], &[3, 4, 5], &how.clone().strides([1, 1])),
        "strides: expected a number of at least 1 for each of 1 spatial axes, got [1, 1]"
    );
    assert_eq!(
        message(&[2, 5, 4], &[3, 4, 5], &how.clone().output_padding([0])),
        "output_padding: expected none (it is for conv_transpose), got [0]"
    );
    let message =
        |how: &Convolution| t(&[2, 5, 4]).conv_transpose(&t(&[3, 2, 4]), how).unwrap_err().to_string();
    assert_eq!(message(&how.clone().groups(2)), "groups: expected 1, in a transposed convolution, got 2");
    assert_eq!(message(&how.clone().padding(Padding::Causal)), "padding: expected valid or same, got causal");
    assert_eq!(
        message(&how.clone().strides([2]).output_padding([2])),
        "output_padding: expected a number below the stride for each of 1 spatial axes ([2]), got [2]"
    );
}

/// Images `[3, 9, 8, 32]` and a kernel for 40 filters, which go by Winograd's algorithm in float32.
fn in_tiles() -> (Tensor, Tensor, Convolution) {
    let r = &mut Rng(14);
    let [x, k] =
        [[3, 9, 8, 32], [3, 3, 32, 40]].map(|dims| numbers(r, &Shape::new(&dims).unwrap(), DType::F32));
    (x, k.scale(0.1).unwrap(), Convolution::new().padding(Padding::Same))
}

#[test]
fn winograd_is_a_permission() {
    let (x, k, how) = in_tiles();
    let direct = how.clone().winograd(false);
    let y = |x: &Tensor, how: &Convolution| x.conv(&k.cast(x.dtype()).unwrap(), None, None, how).unwrap();
    let exact = y(&x.cast(DType::F64).unwrap(), &how);
    assert!(exact.same_bits(&y(&x.cast(DType::F64).unwrap(), &direct)));
    let (tiles, product) = (y(&x, &how), y(&x, &direct));
    assert!(!tiles.same_bits(&product));
    let error =
        |t: &Tensor| values(t).iter().zip(values(&exact)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(error(&tiles) < 4.0 * error(&product), "{} and {}", error(&tiles), error(&product));
    for rows in [1, 2] {
        let few = x.slice(0, 0, rows).unwrap();
        assert!(y(&few, &how).same_bits(&tiles.slice(0, 0, rows).unwrap()));
    }
}

/// Gradients to the second order, beside those of float64, which go another way.
#[test]
fn gradients_through_tiles() {
    let (x, k, how) = in_tiles();
    let all = |dtype: DType| -> Vec<Tensor> {
        let [x, k] = [&x, &k].map(|t| t.cast(dtype).unwrap().tracked());
        let y = x.conv(&k, None, Some(Fused::Tanh), &how).unwrap();
        let y = y.square().unwrap().sum(&[], false).unwrap();
        let first = crate::autograd::grad(&y, &[&x, &k]).unwrap();
        let norms = first.iter().map(|g| g.square().unwrap().sum(&[], false).unwrap());
        let norm = norms.reduce(|a, b| a.add(&b).unwrap()).unwrap();
        let second = crate::autograd::grad(&norm, &[&x, &k]).unwrap();
        first.into_iter().chain(second).collect()
    };
    for (order, (got, want)) in all(DType::F32).iter().zip(all(DType::F64)).enumerate() {
        let (got, want) = (values(got), values(&want));
        let scale = want.iter().fold(0.0, |most: f64, w| most.max(w.abs()));
        for (g, w) in got.iter().zip(&want) {
            assert!((g - w).abs() <= 3e-5 * scale, "{order}: {g} instead of {w}, of at most {scale}");
        }
    }
}
