//! What holds for every optimizer of the library: its formula, computed slowly, on parameters of any shape in both element types; rows of a
//! table; several in one; its state by name; and its name alone.

use gradus::autograd::{Gradient, Gradients};
use gradus::config::{Dyn, Registry, Setting};
use gradus::io::Load;
use gradus::kernels::math::Real;
use gradus::nn::{Cx, Init, Param};
use gradus::optim::schedule::{CosineDecay, LinearWarmup, MultiStepDecay, OneCycle};
use gradus::optim::{
    Driver, LearningRateSchedule, MultiOptimizer, Optimizer, SlotShape, Start, Step, Tuned, Update,
};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};
use gradus::{Error, Result, Shape};
use serde_json::json;
use std::collections::BTreeMap;

const RATE: f64 = 0.03;

/// Numbers that a parameter has, or several of them by name.
type Memory = BTreeMap<&'static str, Vec<f64>>;
/// A slow update of a parameter of this shape.
type Slow = fn(&mut Memory, t: f64, dims: &[usize], w: &mut [f64], g: &[f64]);

fn mean(memory: &mut Memory, name: &'static str, i: usize, n: usize, keep: f64, new: f64) -> f64 {
    let old = &mut memory.entry(name).or_insert_with(|| vec![0.0; n])[i];
    *old = keep * *old + (1.0 - keep) * new;
    *old
}

fn adam(memory: &mut Memory, t: f64, _: &[usize], w: &mut [f64], g: &[f64]) {
    for i in 0..w.len() {
        let m = mean(memory, "m", i, g.len(), 0.9, g[i]);
        let v = mean(memory, "v", i, g.len(), 0.999, g[i] * g[i]);
        w[i] -= RATE * (1.0 - 0.999.pow(t)).sqrt() / (1.0 - 0.9.pow(t)) * m / (v.sqrt() + 1e-7);
    }
}

fn adam_w(memory: &mut Memory, t: f64, dims: &[usize], w: &mut [f64], g: &[f64]) {
    w.iter_mut().for_each(|w| *w -= *w * RATE * 0.004);
    adam(memory, t, dims, w, g);
}

fn largest(memory: &mut Memory, t: f64, _: &[usize], w: &mut [f64], g: &[f64]) {
    for i in 0..w.len() {
        let m = mean(memory, "m", i, g.len(), 0.9, g[i]);
        let v = mean(memory, "v", i, g.len(), 0.5, g[i] * g[i]);
        let top = &mut memory.entry("top").or_insert_with(|| vec![0.0; g.len()])[i];
        *top = top.max(v);
        w[i] -= RATE * (1.0 - 0.5.pow(t)).sqrt() / (1.0 - 0.9.pow(t)) * m / (top.sqrt() + 1e-7);
    }
}

fn adamax(memory: &mut Memory, t: f64, _: &[usize], w: &mut [f64], g: &[f64]) {
    for i in 0..w.len() {
        let m = mean(memory, "m", i, g.len(), 0.9, g[i]);
        let u = &mut memory.entry("u").or_insert_with(|| vec![0.0; g.len()])[i];
        *u = (0.999 * *u).max(g[i].abs());
        w[i] -= RATE * m / ((1.0 - 0.9.pow(t)) * (*u + 1e-7));
    }
}

fn nadam(memory: &mut Memory, t: f64, _: &[usize], w: &mut [f64], g: &[f64]) {
    let share = |t: f64| 0.9 * (1.0 - 0.5 * 0.96.pow(t));
    let product: f64 = (1..=t as u64).map(|t| share(t as f64)).product();
    for i in 0..w.len() {
        let m = mean(memory, "m", i, g.len(), 0.9, g[i]);
        let v = mean(memory, "v", i, g.len(), 0.999, g[i] * g[i]);
        let step =
            share(t + 1.0) * m / (1.0 - product * share(t + 1.0)) + (1.0 - share(t)) * g[i] / (1.0 - product);
        w[i] -= RATE * step / ((v / (1.0 - 0.999.pow(t))).sqrt() + 1e-7);
    }
}

fn rmsprop(memory: &mut Memory, _: f64, _: &[usize], w: &mut [f64], g: &[f64]) {
    for i in 0..w.len() {
        let v = mean(memory, "v", i, g.len(), 0.9, g[i] * g[i]);
        w[i] -= RATE * g[i] / (v + 1e-7).sqrt();
    }
}

fn rmsprop_full(memory: &mut Memory, _: f64, _: &[usize], w: &mut [f64], g: &[f64]) {
    for i in 0..w.len() {
        let v = mean(memory, "v", i, g.len(), 0.9, g[i] * g[i]);
        let a = mean(memory, "a", i, g.len(), 0.9, g[i]);
        let m = &mut memory.entry("momentum").or_insert_with(|| vec![0.0; g.len()])[i];
        *m = 0.8 * *m + RATE * g[i] / (v - a * a + 1e-7).sqrt();
        w[i] -= *m;
    }
}

fn adagrad(memory: &mut Memory, _: f64, _: &[usize], w: &mut [f64], g: &[f64]) {
    let a = memory.entry("a").or_insert_with(|| vec![0.1; g.len()]);
    for i in 0..w.len() {
        a[i] += g[i] * g[i];
        w[i] -= RATE * g[i] / (a[i] + 1e-7).sqrt();
    }
}

fn adadelta(memory: &mut Memory, _: f64, _: &[usize], w: &mut [f64], g: &[f64]) {
    for i in 0..w.len() {
        let before = memory.get("x").map_or(0.0, |x| x[i]);
        let a = mean(memory, "a", i, g.len(), 0.95, g[i] * g[i]);
        let change = -(before + 1e-7).sqrt() / (a + 1e-7).sqrt() * g[i];
        mean(memory, "x", i, g.len(), 0.95, change * change);
        w[i] += RATE * change;
    }
}

fn ftrl(memory: &mut Memory, _: f64, _: &[usize], w: &mut [f64], g: &[f64]) {
    for i in 0..w.len() {
        let a = memory.entry("a").or_insert_with(|| vec![0.1; g.len()])[i];
        let n = a + g[i] * g[i];
        let z = &mut memory.entry("z").or_insert_with(|| vec![0.0; g.len()])[i];
        *z += g[i] + 2.0 * 0.05 * w[i] - (n.pow(0.4) - a.pow(0.4)) / RATE * w[i];
        w[i] = (z.clamp(-0.1, 0.1) - *z) / (n.pow(0.4) / RATE + 2.0 * (0.2 + 0.3 / (2.0 * RATE)));
        memory.get_mut("a").unwrap()[i] = n;
    }
}

fn lion(memory: &mut Memory, _: f64, _: &[usize], w: &mut [f64], g: &[f64]) {
    for i in 0..w.len() {
        let m = memory.entry("m").or_insert_with(|| vec![0.0; g.len()])[i];
        let c: f64 = 0.9 * m + 0.1 * g[i];
        w[i] -= RATE * if c == 0.0 { 0.0 } else { c.signum() };
        mean(memory, "m", i, g.len(), 0.99, g[i]);
    }
}

fn schedule_free(memory: &mut Memory, t: f64, _: &[usize], w: &mut [f64], g: &[f64]) {
    for i in 0..w.len() {
        let v = mean(memory, "v", i, g.len(), 0.999, g[i] * g[i]);
        let z_old = memory.entry("z").or_insert_with(|| w.to_vec())[i];
        let x_old = memory.entry("x").or_insert_with(|| w.to_vec())[i];
        let z = z_old - RATE * (t / 4.0).min(1.0) * g[i] / ((v / (1.0 - 0.999.pow(t))).sqrt() + 1e-8);
        let x = x_old + (z - x_old) / t;
        memory.get_mut("z").unwrap()[i] = z;
        memory.get_mut("x").unwrap()[i] = x;
        w[i] = 0.1 * z + 0.9 * x;
    }
}

fn lamb(memory: &mut Memory, t: f64, _: &[usize], w: &mut [f64], g: &[f64]) {
    let mut u = vec![0.0; w.len()];
    for i in 0..w.len() {
        let m = mean(memory, "m", i, g.len(), 0.9, g[i]) / (1.0 - 0.9.pow(t));
        let v = mean(memory, "v", i, g.len(), 0.999, g[i] * g[i]) / (1.0 - 0.999.pow(t));
        u[i] = m / (v.sqrt() + 1e-7);
    }
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let ratio = if norm(w) > 0.0 && norm(&u) > 0.0 { norm(w) / norm(&u) } else { 1.0 };
    w.iter_mut().zip(u).for_each(|(w, u)| *w -= ratio * RATE * u);
}

/// In matrices along the last two axes: number `i` is in row `i / columns`, and in column `i % columns` of its matrix.
fn adafactor(memory: &mut Memory, t: f64, dims: &[usize], w: &mut [f64], g: &[f64]) {
    let (n, keep) = (w.len(), 1.0 - t.pow(-0.8));
    let mut v = vec![0.0; n];
    if let [.., rows, columns] = *dims {
        let column = |i: usize| i / (rows * columns) * columns + i % columns;
        let (mut r, mut c) = (vec![0.0; n / columns.max(1)], vec![0.0; n / rows.max(1)]);
        for i in 0..n {
            r[i / columns] += (g[i] * g[i] + 1e-30) / columns as f64;
            c[column(i)] += (g[i] * g[i] + 1e-30) / rows as f64;
        }
        for i in 0..r.len() {
            r[i] = mean(memory, "r", i, r.len(), keep, r[i]);
        }
        for i in 0..c.len() {
            c[i] = mean(memory, "c", i, c.len(), keep, c[i]);
        }
        for i in 0..n {
            let matrix = i / (rows * columns) * rows;
            let middle = r[matrix..matrix + rows].iter().sum::<f64>() / rows as f64;
            v[i] = r[i / columns] / middle * c[column(i)];
        }
    } else {
        for i in 0..n {
            v[i] = mean(memory, "v", i, n, keep, g[i] * g[i] + 1e-30);
        }
    }
    let rms = |x: &[f64]| (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64).sqrt();
    let u: Vec<f64> = g.iter().zip(&v).map(|(g, v)| g / v.sqrt()).collect();
    let size = rms(w).max(1e-3) * RATE.min(1.0 / t.sqrt()) / rms(&u).max(1.0);
    w.iter_mut().zip(u).for_each(|(w, u)| *w -= size * u);
}

fn muon(memory: &mut Memory, t: f64, dims: &[usize], w: &mut [f64], g: &[f64]) {
    w.iter_mut().for_each(|w| *w -= *w * RATE * 0.004);
    let &[rows, columns] = dims else { return adam(memory, t, dims, w, g) };
    let m = memory.entry("momentum").or_insert_with(|| vec![0.0; g.len()]);
    m.iter_mut().zip(g).for_each(|(m, g)| *m = 0.95 * *m + g);
    let mut x: Vec<f64> = m.iter().zip(g).map(|(m, g)| g + 0.95 * m).collect();
    let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt() + 1e-7;
    x.iter_mut().for_each(|v| *v /= norm);
    // The shorter side in front or not gives the same polynomial of singular values.
    let product = |a: &[f64], b: &[f64], n: usize, k: usize, l: usize| -> Vec<f64> {
        (0..n * l).map(|i| (0..k).map(|j| a[i / l * k + j] * b[j * l + i % l]).sum()).collect()
    };
    for _ in 0..5 {
        let t: Vec<f64> = (0..x.len()).map(|i| x[i % rows * columns + i / rows]).collect();
        let a = product(&x, &t, rows, columns, rows);
        let square = product(&a, &a, rows, rows, rows);
        let b: Vec<f64> = a.iter().zip(square).map(|(a, s)| -4.775 * a + 2.0315 * s).collect();
        let bx = product(&b, &x, rows, rows, columns);
        x.iter_mut().zip(bx).for_each(|(x, bx)| *x = 3.4445 * *x + bx);
    }
    let scale = RATE * 0.2 * (rows.max(columns) as f64).sqrt();
    w.iter_mut().zip(x).for_each(|(w, x)| *w -= scale * x);
}

fn sgd(memory: &mut Memory, _: f64, _: &[usize], w: &mut [f64], g: &[f64]) {
    let m = memory.entry("m").or_insert_with(|| vec![0.0; g.len()]);
    for i in 0..w.len() {
        m[i] = 0.9 * m[i] - RATE * g[i];
        w[i] += 0.9 * m[i] - RATE * g[i];
    }
}

/// Every optimizer, and its formula.
fn all() -> Vec<(&'static str, Tuned, Slow)> {
    let ftrl_like = Ftrl::new(RATE).learning_rate_power(-0.4).l1_regularization_strength(0.1);
    let ftrl_like =
        ftrl_like.l2_regularization_strength(0.2).l2_shrinkage_regularization_strength(0.05).beta(0.3);
    vec![
        ("SGD", SGD::new(RATE).momentum(0.9).nesterov(true).tuned(), sgd),
        ("Adam", Adam::new(RATE).tuned(), adam),
        ("Adam, amsgrad", Adam::new(RATE).amsgrad(true).beta_2(0.5).tuned(), largest),
        ("AdamW", AdamW::new(RATE).tuned(), adam_w),
        ("Adamax", Adamax::new(RATE).tuned(), adamax),
        ("Nadam", Nadam::new(RATE).tuned(), nadam),
        ("RMSprop", RMSprop::new(RATE).tuned(), rmsprop),
        ("RMSprop, full", RMSprop::new(RATE).momentum(0.8).centered(true).tuned(), rmsprop_full),
        ("Adagrad", Adagrad::new(RATE).tuned(), adagrad),
        ("Adadelta", Adadelta::new(RATE).tuned(), adadelta),
        ("Ftrl", ftrl_like.tuned(), ftrl),
        ("Lion", Lion::new(RATE).tuned(), lion),
        ("Lamb", Lamb::new(RATE).tuned(), lamb),
        ("Adafactor", Adafactor::new(RATE).tuned(), adafactor),
        ("Muon", Muon::new(RATE).tuned(), muon),
        ("ScheduleFreeAdamW", ScheduleFreeAdamW::new(RATE).warmup_steps(4).tuned(), schedule_free),
    ]
}

const SHAPES: &[&[usize]] = &[
    &[],
    &[1],
    &[0],
    &[7],
    &[1, 1],
    &[3, 5],
    &[5, 2],
    &[1, 4],
    &[3, 0],
    &[2, 3, 4],
    &[2, 1, 3, 2],
    &[1, 2, 1, 1],
];

/// A parameter alone.
#[derive(Clone, Debug)]
struct One {
    kernel: Param,
}
gradus::parts!(group One { kernel });

impl One {
    fn new(value: &Tensor) -> One {
        let zeros = gradus::nn::initializer::Zeros.into();
        let mut kernel = Init::new(0, value.dtype()).param(*value.shape(), &zeros).unwrap();
        kernel.set(value.clone()).unwrap();
        One { kernel }
    }

    /// The gradient of a sum of products is what it is multiplied by.
    fn step(&mut self, driver: &mut Driver, g: &Tensor) -> Result<()> {
        let loss = Cx::train(0, 0).param(&self.kernel)?.mul(g)?.sum(&[], false)?;
        let gradients: Gradients = loss.backward()?;
        driver.step(self, gradients, false)
    }
}

fn normal(seed: u64, shape: &[usize], dtype: DType) -> Tensor {
    Tensor::randn(shape, Stream::new(seed, Purpose::User(0), 0)).unwrap().cast(dtype).unwrap()
}

#[test]
fn every_formula_holds_for_every_shape_in_both_element_types() {
    for (name, optimizer, slow) in all() {
        for dims in SHAPES {
            for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 2e-5)] {
                let start = normal(1, dims, dtype);
                let (mut one, mut driver) = (One::new(&start), Driver::new(optimizer.clone()));
                let mut expected = start.cast(DType::F64).unwrap().to_vec::<f64>().unwrap();
                let mut memory = Memory::new();
                for t in 1..=8u64 {
                    let g = normal(1 + t, dims, dtype).affine(0.7, 0.0).unwrap();
                    one.step(&mut driver, &g).unwrap();
                    let g = g.cast(DType::F64).unwrap().to_vec::<f64>().unwrap();
                    slow(&mut memory, t as f64, dims, &mut expected, &g);
                    let got = one.kernel.value().cast(DType::F64).unwrap().to_vec::<f64>().unwrap();
                    for (got, want) in got.iter().zip(&expected) {
                        let fits = (got - want).abs() <= tolerance * (1.0 + want.abs());
                        assert!(fits, "{name} {dims:?} {dtype}, step {t}: {got}, by the formula {want}");
                    }
                }
            }
        }
    }
}

/// A gradient that is no number must show, in the parameter or what comes of it.
#[test]
fn a_gradient_that_is_no_number_is_not_lost() {
    for (name, optimizer, _) in all() {
        let (mut one, mut driver) = (One::new(&normal(1, &[3], DType::F32)), Driver::new(optimizer));
        one.step(&mut driver, &Tensor::from_slice(&[1.0f32, f32::NAN, 1.0], [3]).unwrap()).unwrap();
        let w = one.kernel.value().to_vec::<f32>().unwrap();
        assert!(w[1].is_nan(), "{name}: {w:?}");
    }
}

/// Rows of a table that a batch reads give the bits of the dense gradient.
#[test]
fn rows_give_the_bits_of_the_dense_gradient_under_every_optimizer() {
    for (name, optimizer, _) in all() {
        let start = normal(1, &[40, 3], DType::F32);
        let run = |by_rows: bool| {
            let (mut one, mut driver) = (One::new(&start), Driver::new(optimizer.clone()));
            for t in 0..6i64 {
                let ids = Tensor::from_slice(&[t * 5, 7, t * 5 + 3, 7], [4]).unwrap();
                let mut cx = Cx::train(0, 0);
                let rows = match by_rows {
                    true => cx.rows(&one.kernel, &ids).unwrap(),
                    false => cx.param(&one.kernel).unwrap().gather(&ids, 0).unwrap(),
                };
                let g = normal(9 + t as u64, &[4, 3], DType::F32);
                let gradients = rows.mul(&g).unwrap().sum(&[], false).unwrap().backward().unwrap();
                let is_dense = matches!(one.kernel.gradient(&gradients), Some(Gradient::Dense(_)));
                assert_eq!(is_dense, !by_rows);
                driver.step(&mut one, gradients, false).unwrap();
            }
            one.kernel.value().clone()
        };
        assert!(run(true).same_bits(&run(false)), "{name}");
    }
    // Accumulators of 0 and no ε would divide 0 by 0 in rows that were not read, as the dense gradient does.
    assert!(Adagrad::new(0.1).takes_rows());
    assert!(!Adagrad::new(0.1).initial_accumulator_value(0.0).epsilon(0.0).takes_rows());
}

// ---- models

fn stack() -> Sequential {
    Sequential::new()
        .add(Input::new([5]))
        .add(Dense::new(4).activation(Tanh).named("first"))
        .add(Dense::new(3).named("last"))
        .seed(4)
}

fn data() -> (Tensor, Tensor) {
    (normal(1, &[24, 5], DType::F32), normal(2, &[24, 3], DType::F32))
}

fn compiled(optimizer: impl Optimizer + 'static) -> Result<Model> {
    stack().compile(optimizer, MeanSquaredError::new(), ())
}

/// Trained, saved half-way and trained on: the same bytes; and from its state by name alone.
#[test]
fn every_optimizer_goes_on_from_a_file_and_from_its_state_by_name() {
    let (x, y) = data();
    let several =
        MultiOptimizer::new(Lamb::new(0.01).use_ema(0.9)).optimizer("first", Nadam::new(0.01).clipnorm(1.0));
    let mut all: Vec<_> = all().into_iter().map(|(name, optimizer, _)| (name, optimizer)).collect();
    all.push(("several", several.tuned()));
    for (name, optimizer) in all {
        let mut model = compiled(optimizer.clone()).unwrap();
        let run = |model: &mut Model| {
            for _ in 0..3 {
                model.train_on_batch(&x, &y).unwrap();
            }
        };
        run(&mut model);
        let bytes = model.to_bytes().unwrap();
        let mut from_file = Model::from_bytes(&bytes, Load::new()).unwrap();
        assert_eq!(from_file.to_bytes().unwrap(), bytes, "{name}");
        let mut by_name = compiled(optimizer).unwrap();
        by_name.set_params(&model.params()).unwrap();
        by_name.set_optimizer_state(&model.optimizer_state().unwrap()).unwrap();
        run(&mut model);
        run(&mut from_file);
        run(&mut by_name);
        assert_eq!(from_file.weight_bytes().unwrap(), model.weight_bytes().unwrap(), "{name}");
        assert_eq!(by_name.weight_bytes().unwrap(), model.weight_bytes().unwrap(), "{name}");
    }
}

#[test]
fn a_slot_is_read_and_written_by_name() {
    let (x, y) = data();
    let mut model = compiled(Adam::new(0.01)).unwrap();
    let e = model.optimizer_slot("first/kernel/m").unwrap_err().to_string();
    assert!(e.contains("'first/kernel' (m, v)") && e.contains("before its first update"), "{e}");
    model.train_on_batch(&x, &y).unwrap();
    let names: Vec<String> = model.optimizer_state().unwrap().into_iter().map(|(name, _)| name).collect();
    let slots = ["first/kernel", "first/bias", "last/kernel", "last/bias"];
    let expected: Vec<String> = std::iter::once("steps".to_string())
        .chain(slots.iter().flat_map(|path| [format!("{path}/m"), format!("{path}/v")]))
        .collect();
    assert_eq!(names, expected);
    assert_eq!(model.optimizer_slot("steps").unwrap().to_vec::<i64>().unwrap(), [1]);
    let m = model.optimizer_slot("first/kernel/m").unwrap();
    assert_eq!(m.dims(), [5, 4]);
    let set = |model: &mut Model, name: &str, value: Tensor| {
        model.set_optimizer_state(&[(name.to_string(), value)])
    };
    set(&mut model, "first/kernel/m", Tensor::ones([5, 4]).unwrap()).unwrap();
    assert_eq!(model.optimizer_slot("first/kernel/m").unwrap().to_vec::<f32>().unwrap(), [1.0; 20]);
    let before = model.to_bytes().unwrap();
    let steps = |n: i64| Tensor::scalar(n).unwrap();
    for (name, value, words) in [
        ("first/kernel/n", Tensor::ones([5, 4]).unwrap(), ["'first/kernel/n'", "m, v"]),
        ("second/kernel/m", Tensor::ones([5, 4]).unwrap(), ["'second/kernel/m'", "path"]),
        ("first/kernel/m", Tensor::ones([4, 5]).unwrap(), ["'first/kernel/m'", "[4, 5]"]),
        (
            "first/kernel/m",
            Tensor::ones([5, 4]).unwrap().cast(DType::F64).unwrap(),
            ["'first/kernel/m'", "float64"],
        ),
        ("steps", steps(-1), ["steps", "-1"]),
        ("steps", Tensor::ones([1]).unwrap(), ["steps", "[1]"]),
        ("steps", steps(i64::MAX), ["steps", "2⁵³"]),
    ] {
        let e = set(&mut model, name, value).unwrap_err().to_string();
        assert!(words.iter().all(|word| e.contains(word)), "{e}");
        assert_eq!(model.to_bytes().unwrap(), before);
    }
    set(&mut model, "steps", steps(9)).unwrap();
    assert_eq!((model.optimizer().steps(), model.optimizer().iterations()), (9, 9));
    let mut plain = compiled(SGD::new(0.1)).unwrap();
    plain.train_on_batch(&x, &y).unwrap();
    let e = plain.optimizer_slot("first/kernel/m").unwrap_err().to_string();
    assert!(e.contains("no slot of 'first/kernel'"), "{e}");
}

#[test]
fn patterns_say_which_optimizer_a_parameter_goes_to() {
    let refused = |optimizer: MultiOptimizer| compiled(optimizer).unwrap_err().to_string();
    let sgd = || MultiOptimizer::new(SGD::new(0.1));
    let e = refused(sgd().optimizer("first", Adam::new(0.1)).optimizer("*/bias", Lion::new(0.1)));
    assert!(e.contains("one pattern for 'first/bias'") && e.contains("'first' and '*/bias'"), "{e}");
    let e = refused(sgd().optimizer("second", Adam::new(0.1)));
    assert!(e.contains("'second'") && e.contains("MultiOptimizer"), "{e}");
    let e = refused(sgd().optimizer("first", sgd()));
    assert!(e.contains("MultiOptimizer") && e.contains("optimizer_map"), "{e}");
    let e = compiled(sgd().optimizer("first", Adam::new(0.1)).clipnorm(1.0)).unwrap_err().to_string();
    assert!(e.contains("options") && e.contains("each of its optimizers"), "{e}");
    let e = refused(sgd().optimizer("first", Adam::new(0.1).beta_1(2.0)));
    assert!(e.contains("Adam") && e.contains("beta_1"), "{e}");
    // A whole path goes before a pattern.
    let (x, y) = data();
    let optimizer = sgd().optimizer("first", Adam::new(0.1)).optimizer("first/bias", RMSprop::new(0.1));
    let mut model = compiled(optimizer).unwrap();
    model.train_on_batch(&x, &y).unwrap();
    let names: Vec<String> = model.optimizer_state().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["steps", "first/kernel/m", "first/kernel/v", "first/bias/v"]);
    let e = model.set_learning_rate(0.5).unwrap_err().to_string();
    assert!(e.contains("learning_rate") && e.contains("its own rate"), "{e}");
    assert_eq!(model.learning_rate(), 0.1);
    // An update that fails leaves the parameters of all as they were.
    #[derive(Clone, Debug)]
    struct Failing;
    impl gradus::config::Configured for Failing {}
    impl Optimizer for Failing {
        fn learning_rate(&self) -> gradus::optim::LearningRate {
            0.1.into()
        }
        fn update(&self, _: &Step, _: Update<'_>) -> Result<()> {
            Err(Error::Custom("no".into()))
        }
    }
    let mut model = compiled(MultiOptimizer::new(Lamb::new(0.1)).optimizer("last/bias", Failing)).unwrap();
    let before = model.weight_bytes().unwrap();
    let e = model.train_on_batch(&x, &y).unwrap_err().to_string();
    assert!(e.contains("Failing") && e.contains("last/bias"), "{e}");
    assert_eq!(model.weight_bytes().unwrap(), before);
}

/// Keras's names of optimizers, but for that of `ScheduleFreeAdamW`, which each test treats apart.
pub(crate) const BY_NAME: [&str; 13] = [
    "sgd",
    "adam",
    "adamw",
    "rmsprop",
    "adagrad",
    "adadelta",
    "adamax",
    "nadam",
    "ftrl",
    "lion",
    "lamb",
    "adafactor",
    "muon",
];

#[test]
fn names_alone_train() {
    let (x, y) = data();
    for name in BY_NAME.into_iter().chain(["schedulefreeadamw", "RMSprop", "AdamW"]) {
        let mut model = stack().compile(name, "mse", ()).unwrap();
        let before = model.weight_bytes().unwrap();
        model.fit(&x, &y, Fit::new().verbose(0)).unwrap();
        assert_ne!(model.weight_bytes().unwrap(), before, "{name}");
    }
}

/// `exclude_layers` are parts of paths: what would be a regular expression in Keras is refused, not passed over.
#[test]
fn what_adam_steps_under_muon_is_named_by_parts_of_paths() {
    let (x, y) = data();
    let mut model = compiled(Muon::new(0.01).exclude_layers(["last"])).unwrap();
    model.train_on_batch(&x, &y).unwrap();
    assert!(
        model.optimizer_slot("first/kernel/momentum").is_ok()
            && model.optimizer_slot("last/kernel/v").is_ok()
    );
    let e = compiled(Muon::new(0.01).exclude_layers(["la.*t"])).unwrap_err().to_string();
    assert!(e.contains("exclude_layers") && e.contains("'la.*t'"), "{e}");
    // Excluded from decay is what has the name, whoever steps it.
    for (names, decays) in
        [(vec![], [true, true]), (vec!["bias"], [true, false]), (vec!["kernel"], [false, true])]
    {
        let optimizer =
            Muon::new(0.5).weight_decay(0.25).adam_weight_decay(0.5).exclude_from_weight_decay(names);
        let mut two = Pair::new();
        let zero = two.step(&mut Driver::new(optimizer));
        let expected = [if decays[0] { 0.875 } else { 1.0 }, if decays[1] { 0.75 } else { 1.0 }];
        assert_eq!(zero, expected);
    }
}

/// A matrix and a vector of ones.
#[derive(Clone, Debug)]
struct Pair {
    kernel: Param,
    bias: Param,
}
gradus::parts!(group Pair { kernel, bias });
impl Pair {
    fn new() -> Pair {
        let mut init = Init::new(0, DType::F64);
        let ones = gradus::nn::initializer::Ones.into();
        Pair { kernel: init.param([2, 2], &ones).unwrap(), bias: init.param([2], &ones).unwrap() }
    }
    /// One step with gradients of 0: what decays, decays.
    fn step(&mut self, driver: &mut Driver) -> [f64; 2] {
        let mut cx = Cx::train(0, 0);
        let sum =
            |p: &Param, cx: &mut Cx| cx.param(p).unwrap().sum(&[], false).unwrap().affine(0.0, 0.0).unwrap();
        let loss = sum(&self.kernel, &mut cx).add(&sum(&self.bias, &mut cx)).unwrap();
        driver.step(self, loss.backward().unwrap(), false).unwrap();
        [&self.kernel, &self.bias]
            .map(|p| p.value().reshape([-1]).unwrap().slice(0, 0, 1).unwrap().item().unwrap())
    }
}

/// At the rate 0 nothing moves, whatever the formula divides by.
#[test]
fn the_rate_zero_moves_nothing() {
    for name in BY_NAME {
        let config = json!({ "class_name": name, "config": { "learning_rate": 0.0 } });
        let optimizer = Dyn::<dyn Optimizer>::read(config, &Registry::new()).unwrap();
        let start = normal(1, &[3, 2], DType::F64);
        let (mut w, g) = (start.clone(), Gradient::Dense(normal(2, &[3, 2], DType::F64)));
        let slots = optimizer.slots("kernel", w.spec());
        let mut slots: Vec<Tensor> = slots
            .iter()
            .map(|slot| match (slot.start, slot.shape) {
                (Start::Value(v), SlotShape::Like | SlotShape::PerRow | SlotShape::PerColumn) => {
                    let dims: Shape = slot.spec(w.spec()).shape;
                    Tensor::zeros(dims).unwrap().cast(DType::F64).unwrap().affine(1.0, v).unwrap()
                }
                other => panic!("{name}: {other:?}"),
            })
            .collect();
        optimizer.update(&Step::new(1, 0.0), Update::new("kernel", &mut w, &g, &mut slots)).unwrap();
        assert!(w.same_bits(&start), "{name}");
    }
}

// ---- schedules

/// PyTorch's `OneCycleLR`, written down from its phases.
#[test]
fn one_cycle_has_the_phases_of_pytorch() {
    let cos = |from: f64, to: f64, share: f64| {
        to + (from - to) / 2.0 * (1.0 + libm::cos(std::f64::consts::PI * share))
    };
    let line = |from: f64, to: f64, share: f64| from + (to - from) * share;
    let close =
        |got: f64, want: f64, what: &str| assert!((got - want).abs() < 1e-14, "{what}: {got}, {want}");
    let (two, three) = (OneCycle::new(0.5, 40), OneCycle::new(0.5, 40).three_phase(true).linear(true));
    for step in 0..40u64 {
        let s = step as f64;
        let want = if s <= 11.0 { cos(0.02, 0.5, s / 11.0) } else { cos(0.5, 2e-6, (s - 11.0) / 28.0) };
        close(two.at(step), want, "two phases");
        let want = match step {
            0..=11 => line(0.02, 0.5, s / 11.0),
            12..=22 => line(0.5, 0.02, (s - 11.0) / 11.0),
            _ => line(0.02, 2e-6, (s - 22.0) / 17.0),
        };
        close(three.at(step), want, "three phases");
    }
    close(two.at(1000), 2e-6, "beyond the end");
    for odd in
        [OneCycle::new(0.5, 1), OneCycle::new(0.5, 10).pct_start(0.0), OneCycle::new(0.5, 10).pct_start(1.0)]
    {
        odd.check().unwrap();
        assert!((0..20).all(|step| odd.at(step) > 0.0 && odd.at(step) <= 0.5), "{odd:?}");
    }
}

#[test]
fn a_warm_up_goes_before_any_rate() {
    let rate = LinearWarmup::new(4, CosineDecay::new(0.8, 10)).start(0.4);
    for (step, want) in [0.4, 0.5, 0.6, 0.7, 0.8].into_iter().enumerate() {
        assert!((rate.at(step as u64) - want).abs() < 1e-15, "{step}");
    }
    assert_eq!(rate.at(9), CosineDecay::new(0.8, 10).at(5));
    assert_eq!(LinearWarmup::new(2, 0.5).at(1_000), 0.5);
    let cut = MultiStepDecay::new(1.0, [2, 5]).gamma(0.5);
    assert_eq!([0, 1, 2, 4, 5, 9].map(|step| cut.at(step)), [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
    // Keras's own warm-up is the same line.
    let (ours, keras) =
        (LinearWarmup::new(5, CosineDecay::new(0.3, 7)).start(0.1), CosineDecay::new(0.1, 7).warmup(0.3, 5));
    assert!((0..20).all(|step| (ours.at(step) - keras.at(step)).abs() < 1e-15));
}
