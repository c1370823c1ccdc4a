//! What `docs/numerics.md` says of single numbers: NaN, zeros, infinities, ties, no elements, rounding; and that every test which
//! the page names is there.

use gradus::Result;
use gradus::nn::initializer::Zeros;
use gradus::prelude::*;
use std::path::{Path, PathBuf};

fn of(values: &[f64]) -> Tensor {
    Tensor::from_slice(values, [values.len()]).unwrap()
}

fn bits(t: Result<Tensor>) -> Vec<u64> {
    let canonical = |v: f64| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() };
    t.unwrap().to_vec::<f64>().unwrap().into_iter().map(canonical).collect()
}

#[track_caller]
fn is(got: Result<Tensor>, want: &[f64]) {
    assert_eq!(bits(got), bits(Ok(of(want))));
}

/// The gradient of the sum of what `f` gives.
fn slope(x: &[f64], f: impl Fn(&Tensor) -> Result<Tensor>) -> Vec<f64> {
    let x = of(x).tracked();
    let gradients = f(&x).unwrap().sum(&[], false).unwrap().backward().unwrap();
    gradients.get(&x).unwrap().to_vec().unwrap()
}

const NAN: f64 = f64::NAN;
const UP: f64 = f64::INFINITY;

#[test]
fn nan_and_zeros_of_extremes() {
    let (a, b) = (of(&[NAN, 1.0, 0.0, -0.0]), of(&[1.0, NAN, -0.0, 0.0]));
    is(a.maximum(&b), &[NAN, NAN, 0.0, 0.0]);
    is(a.minimum(&b), &[NAN, NAN, -0.0, -0.0]);
    is(of(&[NAN, -0.0, -1.0]).relu(), &[NAN, 0.0, 0.0]);
    assert!(of(&[1.0, NAN, 3.0]).max(&[], false).unwrap().item().unwrap().is_nan());
    for (values, most, least) in
        [(&[1.0, NAN, 3.0, NAN][..], 1.0, 1.0), (&[2.0, 5.0, 1.0, 5.0, 1.0], 1.0, 2.0)]
    {
        assert_eq!(of(values).argmax(0).unwrap().item().unwrap(), most);
        assert_eq!(of(values).argmin(0).unwrap().item().unwrap(), least);
    }
}

#[test]
fn derivatives_where_there_are_two() {
    is(of(&[0.0, -0.0]).step(), &[0.0, 0.0]);
    assert_eq!(slope(&[0.0, 1.0], Tensor::relu), [0.0, 1.0]);
    assert_eq!(slope(&[0.0, -1.0], Tensor::abs), [0.0, -1.0]);
    assert_eq!(slope(&[2.0, 3.0, 1.0], |x| x.maximum(&of(&[2.0, 2.0, 2.0]))), [0.5, 1.0, 0.0]);
    assert_eq!(slope(&[2.0, 3.0, 1.0], |x| x.minimum(&of(&[2.0, 2.0, 2.0]))), [0.5, 0.0, 1.0]);
    assert_eq!(slope(&[-1.0, 0.0, 1.0, 2.0], |x| x.clip(-1.0, 1.0)), [0.5, 1.0, 0.5, 0.0]);
    assert_eq!(slope(&[4.0, 1.0, 4.0], |x| x.max(&[], false)), [0.5, 0.0, 0.5]);
    // 0 to the power of 0, and the 2-norm of nothing but zeros.
    is(of(&[0.0]).pow(&of(&[0.0])), &[1.0]);
    assert_eq!(slope(&[0.0], |x| x.pow(&of(&[0.0]))), [0.0]);
    assert_eq!(slope(&[0.0], |x| of(&[0.0]).pow(x)), [0.0]);
    assert_eq!(slope(&[0.0, 0.0], |x| x.norm(2.0, &[], false)), [0.0, 0.0]);
    assert_eq!(slope(&[1.0, 1.0], |x| x.std(&[], false, 0)), [0.0, 0.0]);
}

#[test]
fn remainders_are_pythons_and_integers_over_zero_are_zero() {
    is(of(&[7.0, -7.0, 7.0, -7.0]).remainder(&of(&[3.0, 3.0, -3.0, -3.0])), &[1.0, 2.0, -2.0, -1.0]);
    is(of(&[7.0, -7.0, 7.0, -7.0]).floor_div(&of(&[3.0, 3.0, -3.0, -3.0])), &[2.0, -3.0, -3.0, 2.0]);
    let [a, b] = [&[7i64, -7, 0][..], &[0, 0, 0]].map(|v| Tensor::from_slice(v, [3]).unwrap());
    assert_eq!(a.remainder(&b).unwrap().to_vec::<i64>().unwrap(), [0, 0, 0]);
    assert_eq!(a.floor_div(&b).unwrap().to_vec::<i64>().unwrap(), [0, 0, 0]);
}

#[test]
fn softmax_of_infinities() {
    is(of(&[UP, 0.0]).softmax(0), &[NAN, NAN]);
    is(of(&[-UP, -UP]).softmax(0), &[NAN, NAN]);
    is(of(&[0.0, NAN]).softmax(0), &[NAN, NAN]);
    is(of(&[-UP, 0.0]).softmax(0), &[0.0, 1.0]);
    is(of(&[1e300, 1e300]).softmax(0), &[0.5, 0.5]);
    assert_eq!(of(&[UP, 0.0]).logsumexp(&[], false).unwrap().item().unwrap(), UP);
    assert_eq!(of(&[-UP, -UP]).logsumexp(&[], false).unwrap().item().unwrap(), -UP);
}

#[test]
fn no_elements() {
    let none = of(&[]);
    assert_eq!(none.sum(&[], false).unwrap().item().unwrap(), 0.0);
    assert_eq!(none.prod(&[], false).unwrap().item().unwrap(), 1.0);
    assert_eq!(none.any(&[], false).unwrap().item().unwrap(), 0.0);
    assert_eq!(none.all(&[], false).unwrap().item().unwrap(), 1.0);
    for f in [Tensor::mean, Tensor::max, Tensor::min, Tensor::logsumexp] {
        assert!(f(&none, &[], false).is_err());
    }
    assert!(none.var(&[], false, 0).is_err());
}

/// `affine` rounds twice, `mul_add` once.
#[test]
fn sums_of_products_round_where_the_page_says() {
    let x = 1.0 + libm::scalbn(1.0, -30);
    is(of(&[x]).affine(x, -1.0), &[x * x - 1.0]);
    is(of(&[x]).mul_add(&of(&[x]), &of(&[-1.0])), &[libm::fma(x, x, -1.0)]);
    assert_ne!(x * x - 1.0, libm::fma(x, x, -1.0));
}

#[test]
fn lanes_and_running_sums() {
    // Element r goes to lane r mod 32, lanes fold upwards from 0 and join in halves.
    let values: Vec<f32> = (0..1000).map(|i| libm::sinf(i as f32) * 1e3 + 0.1).collect();
    let mut lanes = [0.0f32; 32];
    for (i, v) in values.iter().enumerate() {
        lanes[i % 32] += v;
    }
    for half in [16, 8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    let x = Tensor::from_slice(&values, [10, 100]).unwrap();
    for t in [x.clone(), x.t().unwrap().contiguous().unwrap().t().unwrap()] {
        assert_eq!(t.sum(&[], false).unwrap().item().unwrap(), f64::from(lanes[0]));
        assert_eq!(t.mean(&[], false).unwrap().item().unwrap(), f64::from(lanes[0] / 1000.0));
    }
    // Products go from left to right, in running sums what an addition loses is taken from the next element.
    let product = values.iter().take(9).fold(1.0, |p, v| p * v);
    let nine = Tensor::from_slice(&values[..9], [9]).unwrap();
    assert_eq!(nine.prod(&[], false).unwrap().item().unwrap(), f64::from(product));
    let (mut sum, mut lost) = (0.0f32, 0.0f32);
    let kahan: Vec<f32> = values
        .iter()
        .map(|v| {
            let y = v - lost;
            let t = sum + y;
            lost = (t - sum) - y;
            sum = t;
            sum
        })
        .collect();
    let running = Tensor::from_slice(&values, [1000]).unwrap().cumsum(0).unwrap();
    assert_eq!(running.to_vec::<f32>().unwrap(), kahan);
}

#[test]
fn negative_positions_count_from_the_end_and_labels_do_not() {
    let (x, at) = (of(&[1.0, 2.0, 3.0]), Tensor::from_slice(&[-1i64], [1]).unwrap());
    is(x.gather(&at, 0), &[3.0]);
    is(x.take_along_axis(&at, 0), &[3.0]);
    is(x.index(-1isize).unwrap().reshape([1]), &[3.0]);
    is(of(&[5.0]).scatter_add(&at, 0, [3]), &[0.0, 0.0, 5.0]);
    is(of(&[5.0]).add_along_axis(&at, 0, 3), &[0.0, 0.0, 5.0]);
    assert!(x.reshape([1, 3]).unwrap().sparse_cross_entropy(&at).is_err());
}

/// Small gradients of Adam and of SGD with momentum, and small probabilities in the gradient of a cross-entropy, count as 0; probabilities that are
/// returned do not.
#[test]
fn what_would_become_subnormal_in_training_is_zero() {
    let weight = |x: f32, adam: bool| {
        let layers = || {
            Sequential::new()
                .add(Input::new([1]))
                .add(Dense::new(1).use_bias(false).kernel_initializer(Zeros))
        };
        let mut model = if adam {
            layers().compile(Adam::new(0.001), MeanSquaredError::new(), ())
        } else {
            layers().compile(SGD::new(1.0).momentum(0.9), MeanSquaredError::new(), ())
        }
        .unwrap();
        let [x, y] = [x, 1.0].map(|v| Tensor::from_slice(&[v], [1, 1]).unwrap());
        model.train_on_batch(&x, &y).unwrap();
        model.params()[0].1.to_vec::<f32>().unwrap()[0]
    };
    for adam in [true, false] {
        assert_eq!(weight(1e-20, adam), 0.0);
        assert_ne!(weight(1e-16, adam), 0.0);
    }
    let logits = Tensor::from_slice(&[0.0f32, -50.0], [1, 2]).unwrap().tracked();
    let loss = logits.sparse_cross_entropy(&Tensor::from_slice(&[0i64], [1]).unwrap()).unwrap();
    let gradient = loss.sum(&[], false).unwrap().backward().unwrap();
    assert_eq!(gradient.get(&logits).unwrap().to_vec::<f32>().unwrap()[1], 0.0);
    assert!(logits.softmax(-1).unwrap().to_vec::<f32>().unwrap()[1] > 0.0);
}

#[test]
fn losses_of_sure_logits_do_not_overflow() {
    for (x, t, want) in [
        (1e4, 0.0, 1e4),
        (-1e4, 1.0, 1e4),
        (1e4, 1.0, 0.0),
        (-1e4, 0.0, 0.0),
        (0.0, 0.5, std::f64::consts::LN_2),
    ] {
        assert_eq!(
            of(&[x]).binary_cross_entropy(&of(&[t])).unwrap().to_vec::<f64>().unwrap(),
            [want],
            "{x} {t}"
        );
    }
    // On probabilities the loss is that of the nearest end, which in float32 is 1 - 2⁻²³, and its gradient there 0.
    use gradus::loss::{Loss, SparseCategoricalCrossentropy};
    let p = Tensor::from_slice(&[0.0f32, 1.0], [1, 2]).unwrap().tracked();
    let label = Tensor::from_slice(&[0i64], [1]).unwrap();
    let loss = SparseCategoricalCrossentropy::new().call(&label, &p).unwrap().sum(&[], false).unwrap();
    assert!((loss.item().unwrap() + libm::log(1e-7)).abs() < 1e-5);
    let gradient = loss.backward().unwrap();
    assert_eq!(gradient.get(&p).map(|g| g.to_vec::<f32>().unwrap()[0]), Some(0.0));
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/numerics.md")).unwrap();
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("tests"), &mut files);
    let texts: Vec<(String, String)> = files
        .iter()
        .map(|f| (f.to_string_lossy().replace('\\', "/"), std::fs::read_to_string(f).unwrap()))
        .collect();
    let mut named = 0;
    for word in page.split('`').skip(1).step_by(2).filter(|w| w.contains("::") && !w.contains(' ')) {
        let (module, name) = word.rsplit_once("::").unwrap();
        if name.is_empty() || !name.contains('_') || module.starts_with(char::is_uppercase) {
            continue; // a type's method, or a module
        }
        let place = module.replace("::", "/");
        let there = |(file, text): &(String, String)| {
            file.trim_end_matches(".rs").contains(&place) && text.contains(&format!("fn {name}("))
        };
        assert!(texts.iter().any(there), "docs/numerics.md names {word}, which is not there");
        named += 1;
    }
    assert!(named > 40, "{named} tests are named");
}
