//! Tests of optimizers written in a user's program, through the public contract: norms of whole parameters,
//! factored slots, matrix products, initial values other than 0, a running product. Each is compared with a slow
//! computation of its formula, trained, saved and trained further. Also tests what the driver promises for all of
//! them: groups, rows, and steps that change all parameters or none.

use gradus::autograd::{Gradient, Gradients};
use gradus::config::Registry;
use gradus::io::Load;
use gradus::kernels::math::Real;
use gradus::loss::Loss;
use gradus::nn::constraint::MaxNorm;
use gradus::nn::layers::Checkpoint;
use gradus::nn::{Build, Cx, Init, InputSpecs, Layer, Masking, Module, Node, Param};
use gradus::optim::{
    Driver, Group, LearningRate, Optimizer, Rule, Slices, Slot, SlotShape, Slots, Step, Tuned, Update,
};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};
use gradus::{Error, Float, Result, Spec, settings};
use std::collections::BTreeMap;

// ---- optimizers of a program's own

settings! {
    /// Adafactor without its clipping (Shazeer and Stern 2018): of a matrix the second moments of rows and columns.
    pub struct Adafactor as "own>Adafactor" {
        /// At this rate.
        new(learning_rate: into LearningRate);
    }
}
impl Optimizer for Adafactor {
    fn slots(&self, _: &str, parameter: Spec) -> Vec<Slot> {
        match parameter.shape.rank() {
            0 | 1 => vec![Slot::new("v")],
            _ => vec![Slot::new("r").shape(SlotShape::PerRow), Slot::new("c").shape(SlotShape::PerColumn)],
        }
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn update(&self, step: &Step, u: Update<'_>) -> Result<()> {
        let g = u.gradient()?;
        let beta = 1.0 - (step.iteration as f64).pow(-0.8);
        let squares = g.square()?.affine(1.0, 1e-30)?;
        let moved = |slot: &Tensor, new: Tensor| slot.affine(beta, 0.0)?.add(&new.affine(1.0 - beta, 0.0)?);
        let v = match u.slots {
            [r, c] => {
                *r = moved(r, squares.mean(&[-1], false)?)?;
                *c = moved(c, squares.mean(&[-2], false)?)?;
                let share = r.div(&r.mean(&[-1], true)?)?;
                share.expand_dims(-1)?.mul(&c.expand_dims(-2)?)?
            }
            slots => {
                slots[0] = moved(&slots[0], squares)?;
                slots[0].clone()
            }
        };
        *u.w = u.w.sub(&g.div(&v.sqrt()?)?.affine(step.learning_rate, 0.0)?)?;
        Ok(())
    }
}

settings! {
    /// Muon (Jordan 2024): the step of a matrix is its momentum made nearly orthogonal; all else is stepped by momentum.
    pub struct Muon as "own>Muon" {
        /// At this rate.
        new(learning_rate: into LearningRate);

        /// The share of the momentum that stays; 0.9 by default.
        momentum: f64 = 0.9,
    }
}
impl Optimizer for Muon {
    fn slots(&self, _: &str, _: Spec) -> Vec<Slot> {
        vec![Slot::new("momentum")]
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn update(&self, step: &Step, u: Update<'_>) -> Result<()> {
        let m = u.slots[0].affine(self.momentum, 0.0)?.add(u.gradient()?)?;
        let mut x = m.clone();
        if m.rank() == 2 {
            x = x.div(&x.norm(2.0, &[], false)?.affine(1.0, 1e-7)?)?;
            for _ in 0..5 {
                let cube = x.matmul(&x.t()?)?.matmul(&x)?;
                x = x.affine(1.5, 0.0)?.sub(&cube.affine(0.5, 0.0)?)?;
            }
        }
        u.slots[0] = m;
        *u.w = u.w.sub(&x.affine(step.learning_rate, 0.0)?)?;
        Ok(())
    }
}

settings! {
    /// Nadam (Dozat 2015), by Keras's rule: its running product is one number of the state.
    pub struct Nadam as "own>Nadam" {
        /// At this rate.
        new(learning_rate: into LearningRate);
    }
}
impl Nadam {
    const BETAS: (f64, f64, f64) = (0.9, 0.999, 1e-7);

    /// The share of the mean in update `t`.
    fn share(t: u64) -> f64 {
        Nadam::BETAS.0 * (1.0 - 0.5 * 0.96.pow(t as f64))
    }

    fn run<T: Float>(&self, step: &Step, mut all: Slices<'_, T>) {
        let (beta_1, beta_2, epsilon) = Nadam::BETAS;
        let (now, next) = (Nadam::share(step.iteration), Nadam::share(step.iteration + 1));
        let Some([product]) = all.slots.pop() else { return };
        *product *= T::of(now);
        let (past, to_come) = (product.wide(), product.wide() * next);
        let (m_factor, g_factor) = (T::of(next / (1.0 - to_come)), T::of((1.0 - now) / (1.0 - past)));
        let unbias = T::of(1.0 - beta_2.pow(step.iteration as f64));
        let (rest_1, rest_2) = (T::of(1.0 - beta_1), T::of(1.0 - beta_2));
        let (lr, epsilon) = (T::of(step.learning_rate), T::of(epsilon));
        all.in_parts(&|mut part| {
            let [m, v] = &mut part.slots[..] else { return };
            for (((w, &g), m), v) in part.w.iter_mut().zip(part.g).zip(m.iter_mut()).zip(v.iter_mut()) {
                *m += (g - *m) * rest_1;
                *v += (g * g - *v) * rest_2;
                *w -= lr * (m_factor * *m + g_factor * g) / ((*v / unbias).sqrt() + epsilon);
            }
        });
    }
}
impl Optimizer for Nadam {
    fn slots(&self, _: &str, _: Spec) -> Vec<Slot> {
        vec![Slot::new("m"), Slot::new("v"), Slot::new("product").shape(SlotShape::Scalar).start(1.0)]
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn can_fail(&self) -> bool {
        false
    }
    fn update(&self, step: &Step, mut u: Update<'_>) -> Result<()> {
        match u.w.dtype() {
            DType::F64 => self.run::<f64>(step, u.slices()?),
            _ => self.run::<f32>(step, u.slices()?),
        }
        Ok(())
    }
}

settings! {
    /// Adagrad (Duchi et al. 2011), by Keras's rule.
    pub struct Adagrad as "own>Adagrad" {
        /// At this rate.
        new(learning_rate: into LearningRate);

        /// What the sum of squares begins with; 0.1 by default.
        initial_accumulator_value: f64 = 0.1,
    }
}
impl Rule for Adagrad {
    fn slots(&self) -> &'static [&'static str] {
        &["accumulator"]
    }
    fn start(&self, _: &str) -> f64 {
        self.initial_accumulator_value
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn takes_rows(&self) -> bool {
        true
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], mut slots: Slots<'_, T>) {
        let (lr, epsilon) = (T::of(step.learning_rate), T::of(1e-7));
        for ((w, &g), a) in w.iter_mut().zip(g).zip(slots[0].iter_mut()) {
            *a += g * g;
            *w -= lr * g / (*a + epsilon).sqrt();
        }
    }
}

settings! {
    /// Steps to a mean of the gradient and of the first value, with decay in its own formula: for what no rule of
    /// Keras has.
    pub struct Homing {
        /// At this rate.
        new(learning_rate: into LearningRate);
    }
}
impl Optimizer for Homing {
    fn slots(&self, _: &str, _: Spec) -> Vec<Slot> {
        vec![Slot::new("home").start_at_parameter()]
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn decays_itself(&self) -> bool {
        true
    }
    fn update(&self, step: &Step, u: Update<'_>) -> Result<()> {
        let away = u.w.sub(&u.slots[0])?.affine(step.weight_decay, 0.0)?;
        *u.w = u.w.sub(&u.gradient()?.add(&away)?.affine(step.learning_rate, 0.0)?)?;
        Ok(())
    }
}

// ---- their formulas, slowly

/// The state of one parameter in a slow computation, by name.
type Memory = BTreeMap<&'static str, Vec<f64>>;
/// A slow update of a parameter of `rows` by `columns` (a vector is one row, and says so).
type Slow = fn(&mut Memory, t: u64, vector: bool, columns: usize, w: &mut [f64], g: &[f64]);

const RATE: f64 = 0.03;

fn slow_adafactor(memory: &mut Memory, t: u64, vector: bool, columns: usize, w: &mut [f64], g: &[f64]) {
    let (beta, rows) = (1.0 - (t as f64).pow(-0.8), w.len() / columns);
    let mut keep = |name, i: usize, n: usize, new: f64| {
        let old = &mut memory.entry(name).or_insert_with(|| vec![0.0; n])[i];
        *old = beta * *old + (1.0 - beta) * new;
        *old
    };
    let square = |i: usize, j: usize| g[i * columns + j] * g[i * columns + j] + 1e-30;
    if vector {
        for j in 0..columns {
            w[j] -= RATE * g[j] / keep("v", j, columns, square(0, j)).sqrt();
        }
        return;
    }
    let r: Vec<f64> = (0..rows)
        .map(|i| keep("r", i, rows, (0..columns).map(|j| square(i, j)).sum::<f64>() / columns as f64))
        .collect();
    let c: Vec<f64> = (0..columns)
        .map(|j| keep("c", j, columns, (0..rows).map(|i| square(i, j)).sum::<f64>() / rows as f64))
        .collect();
    let mean = r.iter().sum::<f64>() / rows as f64;
    for i in 0..rows {
        for j in 0..columns {
            w[i * columns + j] -= RATE * g[i * columns + j] / (r[i] * c[j] / mean).sqrt();
        }
    }
}

fn slow_muon(memory: &mut Memory, _: u64, vector: bool, columns: usize, w: &mut [f64], g: &[f64]) {
    let m = memory.entry("momentum").or_insert_with(|| vec![0.0; g.len()]);
    m.iter_mut().zip(g).for_each(|(m, g)| *m = 0.9 * *m + g);
    let (mut x, rows) = (m.clone(), w.len() / columns);
    if !vector {
        let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt() + 1e-7;
        x.iter_mut().for_each(|v| *v /= norm);
        for _ in 0..5 {
            let mut cube = vec![0.0; x.len()];
            for i in 0..rows {
                for j in 0..columns {
                    for k in 0..rows {
                        let dot: f64 = (0..columns).map(|l| x[i * columns + l] * x[k * columns + l]).sum();
                        cube[i * columns + j] += dot * x[k * columns + j];
                    }
                }
            }
            x.iter_mut().zip(cube).for_each(|(x, cube)| *x = 1.5 * *x - 0.5 * cube);
        }
    }
    w.iter_mut().zip(x).for_each(|(w, x)| *w -= RATE * x);
}

fn slow_nadam(memory: &mut Memory, t: u64, _: bool, _: usize, w: &mut [f64], g: &[f64]) {
    let share = |t: u64| 0.9 * (1.0 - 0.5 * 0.96.pow(t as f64));
    let product: f64 = (1..=t).map(share).product();
    for name in ["m", "v"] {
        memory.entry(name).or_insert_with(|| vec![0.0; g.len()]);
    }
    for (i, (w, g)) in w.iter_mut().zip(g).enumerate() {
        let mut moved = |name, beta: f64, new: f64| {
            let old = &mut memory.get_mut(name).unwrap()[i];
            *old = beta * *old + (1.0 - beta) * new;
            *old
        };
        let (m, v) = (moved("m", 0.9, *g), moved("v", 0.999, g * g));
        let mean = share(t + 1) * m / (1.0 - product * share(t + 1)) + (1.0 - share(t)) * g / (1.0 - product);
        *w -= RATE * mean / ((v / (1.0 - 0.999.pow(t as f64))).sqrt() + 1e-7);
    }
}

fn slow_adagrad(memory: &mut Memory, _: u64, _: bool, _: usize, w: &mut [f64], g: &[f64]) {
    let a = memory.entry("accumulator").or_insert_with(|| vec![0.1; g.len()]);
    for ((w, g), a) in w.iter_mut().zip(g).zip(a) {
        *a += g * g;
        *w -= RATE * g / (*a + 1e-7).sqrt();
    }
}

fn slow_homing(memory: &mut Memory, _: u64, _: bool, _: usize, w: &mut [f64], g: &[f64]) {
    let home = memory.entry("home").or_insert_with(|| w.to_vec());
    for ((w, g), home) in w.iter_mut().zip(g).zip(home) {
        *w -= RATE * (g + 0.5 * (*w - *home));
    }
}

// ---- a small task

fn stack() -> Sequential {
    Sequential::new()
        .add(Input::new([5]))
        .add(Dense::new(7).activation(Tanh).named("first"))
        .add(Dense::new(3).named("last"))
        .seed(4)
        .dtype(DType::F64)
}

fn normal(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::randn(shape, Stream::new(seed, Purpose::User(0), 0)).unwrap().cast(DType::F64).unwrap()
}

fn data() -> (Tensor, Tensor) {
    (normal(1, &[24, 5]), normal(2, &[24, 3]))
}

fn registry() -> Registry {
    let registry = Registry::new().optimizer::<Adafactor>().unwrap().optimizer::<Muon>().unwrap();
    let registry = registry.optimizer::<Nadam>().unwrap().optimizer::<Adagrad>().unwrap();
    registry.optimizer::<Homing>().unwrap()
}

/// Every parameter's gradient, of the network as it is.
fn gradients(network: &Network, x: &Tensor, y: &Tensor) -> Result<Gradients> {
    let mut cx = Cx::train(0, 0);
    MeanSquaredError::new().value(y, &network.forward(x, &mut cx)?, None)?.backward()
}

fn numbers(network: &Network, gradients: Option<&Gradients>) -> BTreeMap<String, Vec<f64>> {
    let mut out = BTreeMap::new();
    network.visit(&mut |path, p| {
        let tensor = match gradients {
            Some(gradients) => p.gradient(gradients).unwrap().dense().unwrap(),
            None => p.value().clone(),
        };
        out.insert(path.to_string(), tensor.cast(DType::F64).unwrap().to_vec::<f64>().unwrap());
    });
    out
}

/// The slots in a model's file, with their shapes.
fn slots_in_file(model: &Model) -> Vec<(String, Vec<usize>)> {
    let bytes = model.to_bytes().unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut slots: Vec<_> = file
        .iter()
        .filter_map(|(name, t)| Some((name.strip_prefix("optimizer/")?.to_string(), t.shape().to_vec())))
        .collect();
    slots.sort();
    slots
}

/// Trains with an optimizer and beside it by its formula; then from a file with `fit`, which must give the same
/// bytes as going on.
fn beside_its_formula(optimizer: impl Optimizer + 'static, slow: Slow, slots: &[(&str, &[usize])]) {
    let (x, y) = data();
    let mut model = stack().compile(optimizer, MeanSquaredError::new(), ()).unwrap();
    let mut memory: BTreeMap<String, Memory> = BTreeMap::new();
    for t in 1..=6 {
        let mut expected = numbers(&model, None);
        let found = numbers(&model, Some(&gradients(&model, &x, &y).unwrap()));
        for (path, w) in &mut expected {
            let dims = model.param(path).unwrap().dims().to_vec();
            let memory = memory.entry(path.clone()).or_default();
            slow(memory, t, dims.len() == 1, dims[dims.len() - 1], w, &found[path]);
        }
        let before = numbers(&model, None);
        model.train_on_batch(&x, &y).unwrap();
        for (path, w) in numbers(&model, None) {
            for (i, (w, expected)) in w.iter().zip(&expected[&path]).enumerate() {
                assert!(
                    (w - expected).abs() < 1e-12,
                    "step {t}, {path}[{i}]: {w}, by the formula {expected}"
                );
            }
            assert_ne!(w, before[&path]);
        }
    }
    let slots: Vec<_> = slots.iter().map(|(name, shape)| (name.to_string(), shape.to_vec())).collect();
    assert_eq!(slots_in_file(&model), slots);

    let bytes = model.to_bytes().unwrap();
    let mut again = Model::from_bytes(&bytes, Load::new().registry(registry())).unwrap();
    assert_eq!(again.to_bytes().unwrap(), bytes);
    for model in [&mut model, &mut again] {
        model.fit(&x, &y, Fit::new().epochs(2).batch_size(10).verbose(0)).unwrap();
    }
    assert_eq!(model.to_bytes().unwrap(), again.to_bytes().unwrap());
}

#[test]
fn rows_and_columns_of_a_matrix_are_slots() {
    let slots: [(&str, &[usize]); 6] = [
        ("first/bias/v", &[7]),
        ("first/kernel/c", &[7]),
        ("first/kernel/r", &[5]),
        ("last/bias/v", &[3]),
        ("last/kernel/c", &[3]),
        ("last/kernel/r", &[7]),
    ];
    beside_its_formula(Adafactor::new(RATE), slow_adafactor, &slots);
}

#[test]
fn a_step_may_be_made_of_matrix_products() {
    let slots: [(&str, &[usize]); 4] = [
        ("first/bias/momentum", &[7]),
        ("first/kernel/momentum", &[5, 7]),
        ("last/bias/momentum", &[3]),
        ("last/kernel/momentum", &[7, 3]),
    ];
    beside_its_formula(Muon::new(RATE), slow_muon, &slots);
}

#[test]
fn a_running_product_is_a_slot_of_one_number() {
    let names = ["first/bias", "first/kernel", "last/bias", "last/kernel"];
    let shapes: [&[usize]; 4] = [&[7], &[5, 7], &[3], &[7, 3]];
    let all: Vec<(String, &[usize])> = names
        .iter()
        .zip(shapes)
        .flat_map(|(name, shape)| {
            [("m", shape), ("product", &[][..]), ("v", shape)].map(|(slot, s)| (format!("{name}/{slot}"), s))
        })
        .collect();
    let slots: Vec<(&str, &[usize])> = all.iter().map(|(name, shape)| (name.as_str(), *shape)).collect();
    beside_its_formula(Nadam::new(RATE), slow_nadam, &slots);
}

#[test]
fn a_rule_begins_where_it_says() {
    let slots: [(&str, &[usize]); 4] = [
        ("first/bias/accumulator", &[7]),
        ("first/kernel/accumulator", &[5, 7]),
        ("last/bias/accumulator", &[3]),
        ("last/kernel/accumulator", &[7, 3]),
    ];
    beside_its_formula(Adagrad::new(RATE), slow_adagrad, &slots);
}

#[test]
fn a_slot_may_begin_with_the_parameter_and_decay_be_the_optimizers_own() {
    let slots: [(&str, &[usize]); 4] = [
        ("first/bias/home", &[7]),
        ("first/kernel/home", &[5, 7]),
        ("last/bias/home", &[3]),
        ("last/kernel/home", &[7, 3]),
    ];
    beside_its_formula(Homing::new(RATE).weight_decay(0.5), slow_homing, &slots);
}

#[test]
fn large_parameters_are_cut_between_threads_with_the_same_bytes() {
    fn run(threads: usize, optimizer: impl Optimizer + 'static) -> Vec<u8> {
        let stack = Sequential::new().add(Input::new([300])).add(Dense::new(500)).seed(1);
        let mut model = stack.compile(optimizer, MeanSquaredError::new(), ()).unwrap();
        let f32s = |seed, shape: &[usize]| normal(seed, shape).cast(DType::F32).unwrap();
        let (x, y) = (f32s(1, &[4, 300]), f32s(2, &[4, 500]));
        gradus::with_threads(threads, || {
            for _ in 0..3 {
                model.train_on_batch(&x, &y).unwrap();
            }
        })
        .unwrap();
        model.to_bytes().unwrap()
    }
    assert_eq!(run(1, Nadam::new(0.01)), run(3, Nadam::new(0.01)));
    assert_eq!(run(1, Adagrad::new(0.01)), run(3, Adagrad::new(0.01)));
}

// ---- groups

#[test]
fn a_group_has_a_rate_and_a_decay_of_its_own() {
    let (x, y) = data();
    let optimizer = SGD::new(0.5)
        .weight_decay(0.25)
        .exclude_from_weight_decay(["last/bias"])
        .group("*/bias", Group::new().weight_decay(0.0625))
        .group("first", Group::new().learning_rate_factor(0.125))
        .group("fir*/bias*", Group::new().learning_rate_factor(2.0))
        .group("last/kernel", Group::new().learning_rate_factor(0.0).weight_decay(8.0));
    // A group that those before it leave nothing to is a mistake.
    let e = stack().compile(optimizer, MeanSquaredError::new(), ()).unwrap_err().to_string();
    assert!(e.contains("'fir*/bias*'") && e.contains("no group before it says the same"), "{e}");

    let optimizer = SGD::new(0.5)
        .weight_decay(0.25)
        .exclude_from_weight_decay(["last/bias"])
        .group("*/bias", Group::new().weight_decay(0.0625))
        .group("first", Group::new().learning_rate_factor(0.125))
        .group("last/kernel", Group::new().learning_rate_factor(0.0).weight_decay(8.0));
    let mut model = stack().compile(optimizer, MeanSquaredError::new(), ()).unwrap();
    let bytes = model.to_bytes().unwrap();
    let mut again = Model::from_bytes(&bytes, Load::new()).unwrap();
    let (before, found) = (numbers(&model, None), numbers(&model, Some(&gradients(&model, &x, &y).unwrap())));
    model.train_on_batch(&x, &y).unwrap();
    again.train_on_batch(&x, &y).unwrap();
    assert_eq!(model.to_bytes().unwrap(), again.to_bytes().unwrap());
    for (path, rate, decay) in [
        ("first/bias", 0.0625, 0.0625),
        ("first/kernel", 0.0625, 0.25),
        ("last/bias", 0.5, 0.0),
        ("last/kernel", 0.0, 8.0),
    ] {
        let w = model.param(path).unwrap().to_vec::<f64>().unwrap();
        for (i, w) in w.iter().enumerate() {
            let expected = before[path][i] * (1.0 - rate * decay) - rate * found[path][i];
            assert!((w - expected).abs() < 1e-14, "{path}[{i}]: {w}, expected {expected}");
        }
    }
}

// ---- rows

settings! {
    /// An embedding that reads its whole table: what `Embedding` does if the tape sees the table.
    pub layer Whole {
        /// A table of this size.
        new(rows: usize, columns: usize);
    }
}
#[derive(Clone, Debug)]
struct WholeNode {
    embeddings: Param,
}
gradus::parts!(WholeNode { embeddings });
impl Build for Whole {
    fn build(&self, _: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let uniform = gradus::nn::initializer::RandomUniform::default();
        Ok(Box::new(WholeNode { embeddings: init.param([self.rows, self.columns], &uniform.into())? }))
    }
}
impl Layer for WholeNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        cx.param(&self.embeddings)?.gather(x, 0)
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
}

const TABLE: usize = 97;

/// A table read twice, a class for each text.
fn texts(table: impl Build + 'static, optimizer: impl Optimizer + 'static) -> Model {
    let input = |name| Input::new([3]).dtype(DType::I64).named(name);
    let (a, b) = (input("a"), input("b"));
    let table = table.shared();
    let both = Concatenate::new().on([&table.on(&a).unwrap(), &table.on(&b).unwrap()]).unwrap();
    let y = Dense::new(2).on(&Flatten::new().on(&both).unwrap()).unwrap();
    let network = Functional::new([&a, &b], &y).unwrap().seed(3);
    network.compile(optimizer, MeanSquaredError::new(), ()).unwrap()
}

/// Batches in which rows occur several times in one text, in several, and in both inputs.
fn batch(step: i64) -> ([Tensor; 2], Tensor) {
    let ids = |from: i64| {
        let list: Vec<i64> = (0..12).map(|i| (from + step * 5 + (i * i) % 7) % TABLE as i64).collect();
        Tensor::from_slice(&list, [4, 3]).unwrap()
    };
    ([ids(90), ids(93)], normal(step as u64, &[4, 2]).cast(DType::F32).unwrap())
}

fn trained(mut model: Model) -> Vec<u8> {
    for step in 0..8 {
        let (x, y) = batch(step);
        model.train_on_batch(&x, &y).unwrap();
    }
    let mut driver = model.optimizer().clone();
    let mut network = model.into_network();
    driver.finalize(&mut network);
    network.weight_bytes().unwrap()
}

/// Rows and the dense gradient give the same bytes, under every optimizer and every option that does not add up
/// squares.
#[test]
fn rows_give_the_bytes_of_the_dense_gradient() {
    type Make = fn() -> Tuned;
    let all: [(&str, Make); 14] = [
        ("SGD", || SGD::new(0.5).tuned()),
        ("momentum", || SGD::new(0.1).momentum(0.9).tuned()),
        ("Adam", || Adam::new(0.01).tuned()),
        ("Adagrad", || Adagrad::new(0.1).tuned()),
        ("Nadam", || Nadam::new(0.01).tuned()),
        ("Muon", || Muon::new(0.01).tuned()),
        ("clipvalue", || SGD::new(0.5).clipvalue(0.01)),
        ("decay", || SGD::new(0.5).weight_decay(0.1)),
        ("decay of Adam", || Adam::new(0.01).weight_decay(0.1)),
        ("average", || SGD::new(0.5).use_ema(0.9).ema_overwrite_frequency(3)),
        ("accumulation", || SGD::new(0.5).gradient_accumulation_steps(2)),
        ("Adam with a norm", || Adam::new(0.01).clipnorm(0.01)),
        ("group", || SGD::new(0.5).group("*embeddings", Group::new().learning_rate_factor(0.5))),
        ("infinite rate", || SGD::new(gradus::optim::schedule::ExponentialDecay::new(0.1, 1, 1e100)).tuned()),
    ];
    for (name, make) in all {
        let rows = trained(texts(Embedding::new(TABLE, 5), make()));
        let dense = trained(texts(Whole::new(TABLE, 5), make()));
        assert_eq!(rows.len(), dense.len());
        assert!(rows == dense, "{name}: other bytes by rows");
    }
}

#[test]
fn norms_are_those_of_the_sums_of_rows() {
    for make in [|| SGD::new(0.5).clipnorm(0.02), || SGD::new(0.5).global_clipnorm(0.02)] {
        let floats = |bytes: Vec<u8>| -> Vec<f32> {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
        };
        let rows = floats(trained(texts(Embedding::new(TABLE, 5), make())));
        let dense = floats(trained(texts(Whole::new(TABLE, 5), make())));
        for (a, b) in rows.iter().zip(&dense) {
            assert!((a - b).abs() <= 1e-6 * a.abs().max(1e-2), "{a} and {b}");
        }
    }
}

#[test]
fn penalties_and_bounds_hold_for_rows_too() {
    let regular = || Embedding::new(TABLE, 5).embeddings_regularizer(L2::new(0.01));
    let bound = || Embedding::new(TABLE, 5).embeddings_constraint(MaxNorm::new(0.08));
    let mut model = texts(bound(), SGD::new(0.5));
    let norms = |model: &Model| {
        let table = model.param("embedding/embeddings").unwrap();
        table.square().unwrap().sum(&[0], false).unwrap().sqrt().unwrap().to_vec::<f32>().unwrap()
    };
    assert!(norms(&model).iter().all(|&n| n > 0.2));
    for step in 0..8 {
        let (x, y) = batch(step);
        model.train_on_batch(&x, &y).unwrap();
        assert!(norms(&model).iter().all(|&n| n < 0.0801), "{:?}", norms(&model));
    }
    assert_ne!(
        trained(texts(regular(), SGD::new(0.5))),
        trained(texts(Embedding::new(TABLE, 5), SGD::new(0.5)))
    );
    // A penalty reads the whole table, so that every row has a gradient; a bound does not.
    for (table, is_dense) in [(regular(), true), (bound(), false)] {
        let model = texts(table, SGD::new(0.5));
        let (x, _) = batch(0);
        let mut cx = Cx::train(0, 0);
        let mut loss = Tensor::scalar(0.0f32).unwrap();
        for output in model.network().forward_all(&x, &mut cx).unwrap().iter() {
            loss = loss.add(&output.sum(&[], false).unwrap()).unwrap();
        }
        model.visit(&mut |_, p| {
            if let Some(r) = p.regularizer() {
                loss = loss.add(&r.penalty(&cx.param(p).unwrap()).unwrap()).unwrap();
            }
        });
        let gradients = loss.backward().unwrap();
        model.visit(&mut |path, p| {
            if path.as_str().ends_with("embeddings") {
                assert_eq!(matches!(p.gradient(&gradients), Some(Gradient::Dense(_))), is_dense);
            }
        });
    }
}

/// A table alone.
#[derive(Clone, Debug)]
struct Table {
    table: Param,
}
gradus::parts!(group Table { table });

fn table(rows: usize, columns: usize) -> Table {
    let uniform = gradus::nn::initializer::RandomUniform::default().into();
    Table { table: Init::new(5, DType::F32).param([rows, columns], &uniform).unwrap() }
}

fn ids(list: &[i64]) -> Tensor {
    Tensor::from_slice(list, [list.len()]).unwrap()
}

/// The gradient of `Σ wᵢ·row(idᵢ)`, by rows.
fn read(t: &Table, list: &[i64], weights: &[f32]) -> Gradients {
    let mut cx = Cx::train(0, 0);
    let rows = cx.rows(&t.table, &ids(list)).unwrap();
    let weights = Tensor::from_slice(weights, [weights.len(), 1]).unwrap();
    rows.mul(&weights).unwrap().sum(&[], false).unwrap().backward().unwrap()
}

/// Where all rows move, a gradient of rows counts as 0 in the others: tables that are cut between threads, and rows
/// longer than what is looked at at a time.
#[test]
fn a_rule_that_moves_all_rows_fills_the_gradient_up() {
    for (rows, columns) in [(30_000, 5), (90_000, 1), (40, 5001), (9, 3)] {
        let t = table(rows, columns);
        let list: Vec<i64> = (0..rows as i64 / 4).map(|i| i * i * 7919 % rows as i64).collect();
        let weights: Vec<f32> = list.iter().map(|&i| (i % 17) as f32 - 8.3).collect();
        let gradients = read(&t, &list, &weights);
        let g = t.table.gradient(&gradients).unwrap();
        assert!(matches!(g, Gradient::Rows(_)));
        let update = |g: &Gradient, threads| {
            let mut w = t.table.value().clone();
            let mut slots = [0.1f32, 0.2].map(|v| Tensor::full([rows, columns], v).unwrap());
            for step in 1..3 {
                let u = Update::new("table", &mut w, g, &mut slots);
                Threads::new(threads)
                    .unwrap()
                    .run(|| Optimizer::update(&Adam::new(0.1), &Step::new(step, 0.1), u))
                    .unwrap();
            }
            let [m, v] = slots;
            [w, m, v]
        };
        let want = update(&Gradient::Dense(g.dense().unwrap()), 1);
        for threads in [1, 2, 3, 8] {
            let got = update(g, threads);
            let same = got.iter().zip(&want).all(|(got, want)| got.same_bits(want));
            assert!(same, "{rows} x {columns} on {threads} threads");
        }
    }
}

#[test]
fn gradients_of_rows_are_sorted_summed_and_merged() {
    let t = table(50, 2);
    let gradients = read(&t, &[7, 3, 7, 41, 3, 7], &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]);
    let Some(Gradient::Rows(rows)) = t.table.gradient(&gradients) else { panic!("not of rows") };
    let (index, sums) = rows.sums().unwrap();
    assert_eq!(index.to_vec::<i64>().unwrap(), [3, 7, 41]);
    assert_eq!(sums.to_vec::<f32>().unwrap(), [18.0, 18.0, 37.0, 37.0, 8.0, 8.0]);
    assert_eq!((rows.spec(), gradients.len()), (t.table.value().spec(), 1));
    let g = t.table.gradient(&gradients).unwrap();
    // Of the sums, not of what was summed.
    assert!((g.norm().unwrap() - f64::sqrt(2.0 * (18.0 * 18.0 + 37.0 * 37.0 + 64.0))).abs() < 1e-4);
    let dense = g.dense().unwrap();
    assert_eq!(dense.sum(&[0], false).unwrap().to_vec::<f32>().unwrap(), [63.0, 63.0]);

    let mut both = read(&t, &[3, 9], &[1.0, 2.0]);
    both.merge(gradients).unwrap();
    let Some(Gradient::Rows(rows)) = t.table.gradient(&both) else { panic!("not of rows") };
    let (index, sums) = rows.sums().unwrap();
    assert_eq!(index.to_vec::<i64>().unwrap(), [3, 7, 9, 41]);
    assert_eq!(sums.to_vec::<f32>().unwrap(), [19.0, 19.0, 37.0, 37.0, 2.0, 2.0, 8.0, 8.0]);

    // Nothing read is a gradient of no rows, which is all zeros.
    let none = read(&t, &[], &[]);
    let g = t.table.gradient(&none).unwrap();
    assert_eq!(g.norm().unwrap(), 0.0);
    assert_eq!(g.dense().unwrap().max(&[], false).unwrap().item().unwrap(), 0.0);

    // Many rows, or a table that is read as a whole too, have a dense gradient.
    let many = read(&t, &(0..20).collect::<Vec<_>>(), &[1.0; 20]);
    assert!(matches!(t.table.gradient(&many), Some(Gradient::Dense(_))));
    let mut cx = Cx::train(0, 0);
    let some = cx.rows(&t.table, &ids(&[2, 2])).unwrap();
    assert!(some.is_tracked());
    let whole = cx.param(&t.table).unwrap();
    let loss = some.sum(&[], false).unwrap().add(&whole.sum(&[], false).unwrap()).unwrap();
    let mixed = loss.backward().unwrap();
    let Some(Gradient::Dense(g)) = t.table.gradient(&mixed) else { panic!("not dense") };
    let g = g.sum(&[1], false).unwrap().to_vec::<f32>().unwrap();
    assert!(g.iter().enumerate().all(|(i, &g)| g == if i == 2 { 6.0 } else { 2.0 }), "{g:?}");
    assert!(mixed.get(&some).is_none());
}

settings! {
    /// Steps by the gradient over the root of a mean of squares for each row, which it counts: with slots of three
    /// shapes, by rows.
    pub struct ByRow {
        /// At this rate.
        new(learning_rate: into LearningRate);

        /// Whether it is given rows; yes by default.
        rows: bool = true,
    }
}
impl ByRow {
    fn run<T: Float>(&self, step: &Step, mut u: Update<'_>) -> Result<()> {
        let lr = T::of(step.learning_rate);
        u.each_row::<T>(&mut |row| {
            let squares = row.g.iter().fold(T::zero(), |sum, &g| sum + g * g) / T::of(row.g.len() as f64);
            let [sum, squared, updates] = row.slots else { return };
            if squares == T::zero() {
                return;
            }
            updates[0] += T::one();
            squared[row.number] += squares;
            for ((w, &g), sum) in row.w.iter_mut().zip(row.g).zip(&mut sum[row.range]) {
                *sum += g;
                *w -= lr * g / squared[row.number].sqrt();
            }
        })
    }
}
impl Optimizer for ByRow {
    fn slots(&self, _: &str, parameter: Spec) -> Vec<Slot> {
        let first = parameter.shape.dims().first().copied().unwrap_or(1);
        let each = SlotShape::Of(gradus::Shape::new(&[first]).unwrap());
        vec![
            Slot::new("sum"),
            Slot::new("squares").shape(each),
            Slot::new("n").shape(SlotShape::Of(gradus::Shape::new(&[1]).unwrap())),
        ]
    }
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn takes_rows(&self) -> bool {
        self.rows
    }
    fn update(&self, step: &Step, u: Update<'_>) -> Result<()> {
        match u.w.dtype() {
            DType::F64 => self.run::<f64>(step, u),
            _ => self.run::<f32>(step, u),
        }
    }
}

/// One that is written row by row gives the same bytes for rows as for the dense gradient, whose rows it is given all.
#[test]
fn an_optimizer_may_be_written_row_by_row() {
    let bytes = |table: Model| trained(table);
    let rows = bytes(texts(Embedding::new(TABLE, 5), ByRow::new(0.1)));
    assert!(rows == bytes(texts(Embedding::new(TABLE, 5), ByRow::new(0.1).rows(false))));
    assert!(rows == bytes(texts(Whole::new(TABLE, 5), ByRow::new(0.1))));
    assert!(rows != bytes(texts(Embedding::new(TABLE, 5), ByRow::new(0.0))));

    let (t, mut w) = (table(50, 2), Tensor::ones([20, 2]).unwrap());
    let gradients = read(&t, &[7], &[1.0]);
    let g = t.table.gradient(&gradients).unwrap();
    let mut u = Update::new("a/table", &mut w, g, &mut []);
    let e = u.each_row::<f32>(&mut |_| ()).unwrap_err().to_string();
    assert!(e.contains("a/table") && e.contains("[50, 2]") && e.contains("[20, 2]"), "{e}");
    let e = u.gradient().unwrap_err().to_string();
    assert!(e.contains("a/table") && e.contains("each_row"), "{e}");
}

/// Merged sweeps of several readings have the bits of merged dense gradients: each sweep is summed by itself.
#[test]
fn merged_rows_have_the_bits_of_merged_dense_gradients() {
    let t = table(100, 1);
    let sweep = |by_rows: bool, weights: &[f64]| {
        let (mut cx, mut loss) = (Cx::train(0, 0), Tensor::scalar(0.0f32).unwrap());
        for &weight in weights {
            let row = match by_rows {
                true => cx.rows(&t.table, &ids(&[3])).unwrap(),
                false => cx.param(&t.table).unwrap().gather(&ids(&[3]), 0).unwrap(),
            };
            loss = loss.add(&row.sum(&[], false).unwrap().affine(weight, 0.0).unwrap()).unwrap();
        }
        loss.backward().unwrap()
    };
    for k in 0..200 {
        let weight = |i: usize| 1.0 / (1 + k * 7 + i * 3) as f64;
        let sweeps =
            [vec![weight(0), weight(1), weight(5)], vec![weight(2), weight(3)], vec![weight(4), weight(6)]];
        let merged = |by_rows| {
            let mut sum = Gradients::default();
            for weights in &sweeps {
                sum.merge(sweep(by_rows, weights)).unwrap();
            }
            let g = t.table.gradient(&sum).unwrap();
            assert_eq!(matches!(g, Gradient::Rows(_)), by_rows);
            g.dense().unwrap()
        };
        assert!(merged(true).same_bits(&merged(false)), "weights number {k}");
    }
}

/// In a dtype that is only stored, a table is trained alike by rows, after a whole reading, and under a `Checkpoint`.
#[test]
fn tables_are_trained_in_computations_of_stored_dtypes() {
    for dtype in [DType::BF16, DType::F16] {
        let t = table(100, 4);
        let list = ids(&[3, 3, 3, 3, 7, 3, 3]);
        let by = |rows: bool, whole: bool| {
            let mut cx = Cx::train(0, 0).compute(dtype);
            if whole {
                cx.param(&t.table).unwrap();
            }
            let read = match rows {
                true => cx.rows(&t.table, &list).unwrap(),
                false => cx.param(&t.table).unwrap().gather(&list, 0).unwrap(),
            };
            assert_eq!(read.dtype(), dtype);
            let weights: Vec<f32> = (0..7).map(|i| 0.1 + 0.013 * i as f32).collect();
            let weights = Tensor::from_slice(&weights, [7, 1]).unwrap();
            let loss = read.cast(DType::F32).unwrap().mul(&weights).unwrap().sum(&[], false).unwrap();
            let g = t.table.gradient(&loss.backward().unwrap()).unwrap().dense().unwrap();
            g.slice(1, 0, 1).unwrap().gather(&ids(&[3, 7, 9]), 0).unwrap().to_vec::<f32>().unwrap()
        };
        let expected = [0.1 * 6.0 + 0.013 * 17.0, 0.1 + 0.013 * 4.0, 0.0];
        for (rows, whole) in [(false, false), (true, false), (true, true)] {
            for (g, expected) in by(rows, whole).iter().zip(expected) {
                assert!((g - expected).abs() <= 0.01 * expected, "{dtype}, {rows}, {whole}: {g}, {expected}");
            }
        }
        let embedding = || Embedding::new(TABLE, 5).named("e");
        for network in [
            Sequential::new().add(Input::new([3]).dtype(DType::I64)).add(embedding()),
            Sequential::new().add(Input::new([3]).dtype(DType::I64)).add(Checkpoint::new(embedding())),
        ] {
            let network = network.seed(3).build().unwrap();
            let mut cx = Cx::train(0, 0).compute(dtype);
            let y = network.forward(&Tensor::from_slice(&[1i64, 2, 1], [1, 3]).unwrap(), &mut cx).unwrap();
            let gradients = y.cast(DType::F32).unwrap().sum(&[], false).unwrap().backward().unwrap();
            network.visit(&mut |_, p| {
                let g = p.gradient(&gradients).unwrap().dense().unwrap();
                let rows = g.gather(&ids(&[0, 1, 2]), 0).unwrap().sum(&[1], false).unwrap();
                assert_eq!(rows.to_vec::<f32>().unwrap(), [0.0, 10.0, 5.0], "{dtype}");
            });
        }
    }
}

/// A frozen table, a context that does not track, and a second dtype.
#[test]
fn rows_are_read_like_the_parameter() {
    let mut t = table(50, 2);
    let expected = t.table.value().gather(&ids(&[4, 4, 49]), 0).unwrap();
    for mut cx in [Cx::infer(), Cx::train(0, 0)] {
        let rows = cx.rows(&t.table, &ids(&[4, 4, 49])).unwrap();
        assert!(rows.same_bits(&expected) && rows.is_tracked() == cx.tracks());
        let untracked = cx.untracked(|cx| cx.rows(&t.table, &ids(&[1]))).unwrap();
        assert!(!untracked.is_tracked());
    }
    let mut cx = Cx::train(0, 0).compute(DType::F64);
    let rows = cx.rows(&t.table, &ids(&[4, 9])).unwrap();
    assert_eq!(rows.dtype(), DType::F64);
    let gradients = rows.square().unwrap().sum(&[], false).unwrap().backward().unwrap();
    assert_eq!(t.table.gradient(&gradients).unwrap().spec(), t.table.value().spec());
    t.table.set_frozen(true);
    assert!(!Cx::train(0, 0).rows(&t.table, &ids(&[4])).unwrap().is_tracked());

    let e = Cx::train(0, 0).rows(&table(5, 2).table, &ids(&[1, 5])).unwrap_err().to_string();
    assert!(e.contains('5') && e.contains('4'), "{e}");
    let e = Cx::train(0, 0).rows(&table(0, 2).table, &ids(&[5])).unwrap_err().to_string();
    assert!(e.contains("nothing to choose from") && !e.contains("-1"), "{e}");
    let model = texts(Embedding::new(TABLE, 5).named("words"), SGD::new(0.1));
    let (mut x, y) = batch(0);
    x[1] = Tensor::full([4, 3], TABLE as i64).unwrap();
    let e = model.clone().train_on_batch(&x, &y).unwrap_err().to_string();
    assert!(e.contains("words") && e.contains("97"), "{e}");
}

#[test]
fn a_large_table_has_a_small_gradient() {
    let t = table(100_000, 64);
    let list: Vec<i64> = (0..32).map(|i| i * 3000).collect();
    let gradients = read(&t, &list, &[1.0; 32]);
    let g = t.table.gradient(&gradients).unwrap();
    let Gradient::Rows(rows) = g else { panic!("not of rows") };
    assert_eq!((rows.sums().unwrap().1.elements(), g.spec().shape.elements()), (32 * 64, 6_400_000));
    let (mut t, before) = (t, t_value(&list));
    Driver::new(SGD::new(0.25)).step(&mut t, gradients, false).unwrap();
    let after = t.table.value().gather(&ids(&list), 0).unwrap();
    assert!(before.affine(1.0, -0.25).unwrap().same_bits(&after));
}

fn t_value(list: &[i64]) -> Tensor {
    table(100_000, 64).table.value().gather(&ids(list), 0).unwrap()
}

// ---- what goes wrong

/// Does what its field says to the `n`-th parameter of a step.
#[derive(Clone, Debug)]
struct Faulty(fn(&mut Update<'_>) -> Result<()>);
impl gradus::config::Configured for Faulty {}
impl Optimizer for Faulty {
    fn slots(&self, _: &str, _: Spec) -> Vec<Slot> {
        vec![Slot::new("seen"), Slot::new("rows").shape(SlotShape::PerRow)]
    }
    fn learning_rate(&self) -> LearningRate {
        LearningRate::from(0.1)
    }
    fn update(&self, step: &Step, mut u: Update<'_>) -> Result<()> {
        let Slices { w, g, slots } = u.slices::<f64>()?;
        for (w, g) in w.iter_mut().zip(g) {
            *w -= step.learning_rate * g;
        }
        slots.into_iter().for_each(|slot| slot.fill(step.iteration as f64));
        if u.path == "last/kernel" && step.iteration == 2 { (self.0)(&mut u) } else { Ok(()) }
    }
}

#[test]
fn a_step_that_an_optimizer_fails_in_changes_nothing() {
    type Fault = fn(&mut Update<'_>) -> Result<()>;
    let faults: [(Fault, &[&str]); 4] = [
        (|_| Err(Error::Custom("no".into())), &["Faulty", "last/kernel", "no"]),
        (|u| u.w.t().map(|w| *u.w = w), &["last/kernel", "[3, 7]", "[7, 3]", "parameter"]),
        (
            |u| u.slots[1].cast(DType::F32).map(|slot| u.slots[1] = slot),
            &["last/kernel", "slot 1", "float32"],
        ),
        (|u| u.slices::<f32>().map(drop), &["last/kernel", "f32"]),
    ];
    let (x, y) = data();
    for (fault, words) in faults {
        let stack = stack().add(Dense::new(2).kernel_constraint(MaxNorm::new(0.5)).named("more"));
        let mut network = stack.build().unwrap();
        let y = y.slice(1, 0, 2).unwrap();
        let mut driver = Driver::new(Faulty(fault));
        let found = gradients(&network, &x, &y).unwrap();
        driver.step(&mut network, found, false).unwrap();
        let (before, state) = (network.weight_bytes().unwrap(), format!("{driver:?}"));
        let found = gradients(&network, &x, &y).unwrap();
        let e = driver.step(&mut network, found, false).unwrap_err().to_string();
        assert!(words.iter().all(|word| e.contains(word)), "{e}");
        assert_eq!(network.weight_bytes().unwrap(), before);
        assert_eq!((driver.iterations(), format!("{driver:?}")), (1, state));
    }
}

/// Slots that cannot be.
#[derive(Clone, Debug)]
struct Odd(fn() -> Vec<Slot>);
impl gradus::config::Configured for Odd {}
impl Optimizer for Odd {
    fn slots(&self, _: &str, _: Spec) -> Vec<Slot> {
        (self.0)()
    }
    fn learning_rate(&self) -> LearningRate {
        LearningRate::from(0.1)
    }
    fn update(&self, _: &Step, _: Update<'_>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn slots_that_cannot_be_are_refused_by_compile() {
    let odd: [(Odd, &str); 5] = [
        (Odd(|| vec![Slot::new("a/b")]), "without '/'"),
        (Odd(|| vec![Slot::new("")]), "a name"),
        (Odd(|| vec![Slot::new("m"), Slot::new("m")]), "a name for each"),
        (Odd(|| vec![Slot::new("moving_average")]), "moving_average"),
        (
            Odd(|| vec![Slot::new("m").shape(SlotShape::Scalar).start_at_parameter()]),
            "begins with the parameter's value",
        ),
    ];
    for (optimizer, word) in odd {
        let e = stack().compile(optimizer.use_ema(0.9), MeanSquaredError::new(), ()).unwrap_err().to_string();
        assert!(e.contains(word) && e.contains("first/kernel") && e.contains("Odd"), "{e}");
    }
    let e = stack()
        .compile(Odd(|| vec![sized(&[usize::MAX, 4])]), MeanSquaredError::new(), ())
        .unwrap_err()
        .to_string();
    assert!(e.contains("counted") && e.contains("first/kernel"), "{e}");
    // Countable, but more than there is memory for: an error of the first step.
    let mut model = stack().compile(Odd(|| vec![sized(&[1 << 45])]), MeanSquaredError::new(), ()).unwrap();
    let (x, y) = data();
    let e = model.train_on_batch(&x, &y).unwrap_err().to_string();
    assert!(e.contains("slot 'h'") && e.contains("first/kernel"), "{e}");
}

fn sized(sizes: &[usize]) -> Slot {
    Slot::new("h").shape(SlotShape::Of(gradus::Shape::new(sizes).unwrap()))
}

// ---- parameters that come late, go missing or are frozen

/// Two parameters of one number each, `a` and `b`.
#[derive(Clone, Debug)]
struct Two {
    a: Param,
    b: Param,
}
gradus::parts!(group Two { a, b });

impl Two {
    fn new(dims: &[usize], value: f64) -> Two {
        let value = gradus::nn::initializer::Constant::new(value).into();
        let mut init = Init::new(5, DType::F64);
        Two { a: init.param(dims, &value).unwrap(), b: init.param(dims, &value).unwrap() }
    }

    /// One step with these gradients everywhere; of a frozen parameter or without a number, none.
    fn step(&mut self, driver: &mut Driver, a: Option<f64>, b: Option<f64>) -> Result<()> {
        let mut cx = Cx::train(0, 0);
        let mut loss = Tensor::scalar(0.0f64).unwrap().tracked();
        for (p, g) in [(&self.a, a), (&self.b, b)] {
            if let Some(g) = g {
                loss =
                    loss.add(&cx.param(p).unwrap().sum(&[], false).unwrap().affine(g, 0.0).unwrap()).unwrap();
            }
        }
        driver.step(self, loss.backward().unwrap(), true)
    }

    fn values(&self) -> [f64; 2] {
        [&self.a, &self.b].map(|p| p.value().slice(0, 0, 1).unwrap().item().unwrap())
    }
}

/// Keras 3.11: `SGD(0.1, use_ema=True, ema_momentum=0.5, gradient_accumulation_steps=2)`, the gradient always 1.
#[test]
fn averages_move_in_steps_that_accumulate() {
    let optimizer = || SGD::new(0.1).use_ema(0.5).gradient_accumulation_steps(2);
    let (mut two, mut driver) = (Two::new(&[1], 1.0), Driver::new(optimizer()));
    let (mut w, mut average) = (1.0, 1.0);
    for step in 1..=8 {
        two.step(&mut driver, Some(1.0), Some(1.0)).unwrap();
        w -= if step % 2 == 0 { 0.1 } else { 0.0 };
        average = if step <= 2 { w } else { 0.5 * average + 0.5 * w };
        assert!((two.values()[0] - w).abs() < 1e-14);
        let mut averaged = two.clone();
        driver.clone().finalize(&mut averaged);
        assert!((averaged.values()[0] - average).abs() < 1e-14, "step {step}: {:?}", averaged.values());
    }
    driver.finalize(&mut two);
    assert!((two.values()[0] - 0.665625).abs() < 1e-14, "{:?}", two.values());

    // An overwriting in a step that accumulates.
    let (mut two, mut driver) = (Two::new(&[1], 1.0), Driver::new(optimizer().ema_overwrite_frequency(2)));
    let (mut w, mut average) = (1.0, 1.0);
    for step in 1..=8 {
        two.step(&mut driver, Some(1.0), Some(1.0)).unwrap();
        w -= if step % 2 == 0 { 0.1 } else { 0.0 };
        average = if step <= 2 { w } else { 0.5 * average + 0.5 * w };
        if [3, 4, 7, 8].contains(&step) {
            w = average;
        }
        assert!((two.values()[0] - w).abs() < 1e-14, "step {step}");
    }
}

#[test]
fn an_average_begins_with_its_parameter_however_late() {
    // At the rate 0 nothing moves, whatever is averaged and whenever it began.
    let options: [fn() -> Tuned; 3] = [
        || SGD::new(0.0).use_ema(0.99),
        || SGD::new(0.0).use_ema(0.99).ema_overwrite_frequency(1),
        || SGD::new(0.0).use_ema(0.99).gradient_accumulation_steps(2),
    ];
    for optimizer in options {
        let (mut two, mut driver) = (Two::new(&[2], 3.0), Driver::new(optimizer()));
        for step in 0..6 {
            two.a.set_frozen(step < 3);
            two.step(&mut driver, (step >= 3).then_some(1.0), (step == 2 || step == 5).then_some(1.0))
                .unwrap();
        }
        driver.finalize(&mut two);
        let [a, b] = two.values();
        assert!((a - 3.0).abs() < 1e-12 && (b - 3.0).abs() < 1e-12, "{a}, {b}");
    }
    // And from there it moves as it should: 0.5·1 + 0.5·0.
    let (mut two, mut driver) = (Two::new(&[2], 1.0), Driver::new(SGD::new(1.0).use_ema(0.5)));
    two.step(&mut driver, Some(1.0), None).unwrap();
    two.step(&mut driver, Some(1.0), Some(1.0)).unwrap();
    assert_eq!(two.values(), [-1.0, 0.0]);
    // Without a gradient the average goes on towards its parameter.
    two.step(&mut driver, Some(1.0), None).unwrap();
    driver.finalize(&mut two);
    assert_eq!(two.values(), [-1.25, 0.25]);
}

#[test]
fn what_accumulates_is_used_in_its_own_update() {
    let accumulates = || Driver::new(SGD::new(1.0).gradient_accumulation_steps(2));
    let run = |gradients: &[Option<f64>]| {
        let (mut two, mut driver) = (Two::new(&[1], 0.0), accumulates());
        gradients.iter().for_each(|&b| two.step(&mut driver, Some(1.0), b).unwrap());
        two.values()[1]
    };
    assert_eq!(run(&[Some(10.0), None]), -5.0);
    assert_eq!(run(&[Some(10.0), None, Some(1.0), Some(1.0)]), -6.0);
    assert_eq!(run(&[None, Some(10.0), Some(1.0), None, None, None]), -5.5);
    // Momentum stands still over an update in which nothing arrived, as without accumulation.
    let (mut two, mut driver) =
        (Two::new(&[1], 0.0), Driver::new(SGD::new(1.0).momentum(0.5).gradient_accumulation_steps(2)));
    for b in [Some(1.0), Some(1.0), None, None] {
        two.step(&mut driver, Some(1.0), b).unwrap();
    }
    assert_eq!(two.values(), [-2.5, -1.0]);

    // A parameter that is frozen when the update comes begins anew later.
    let (mut two, mut driver) = (Two::new(&[1], 0.0), accumulates());
    for (step, b) in [Some(10.0), None, Some(1.0), Some(1.0)].into_iter().enumerate() {
        two.b.set_frozen(step == 1);
        two.step(&mut driver, Some(1.0), b).unwrap();
    }
    assert_eq!(two.values()[1], -1.0);
}

/// A first step that fails, in the optimizer or for want of a gradient, leaves no state.
#[test]
fn a_first_step_that_fails_leaves_no_state() {
    /// Returns to where it began, but fails at the second parameter while its field says so.
    #[derive(Clone, Debug)]
    struct Returning(std::sync::Arc<std::sync::atomic::AtomicBool>);
    impl gradus::config::Configured for Returning {}
    impl Optimizer for Returning {
        fn slots(&self, _: &str, _: Spec) -> Vec<Slot> {
            vec![Slot::new("home").start_at_parameter()]
        }
        fn learning_rate(&self) -> LearningRate {
            LearningRate::from(0.1)
        }
        fn update(&self, _: &Step, u: Update<'_>) -> Result<()> {
            *u.w = u.slots[0].clone();
            match u.path == "b" && self.0.load(std::sync::atomic::Ordering::Relaxed) {
                true => Err(Error::Custom("no".into())),
                false => Ok(()),
            }
        }
    }
    let fails = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (mut two, mut driver) = (Two::new(&[1], 1.0), Driver::new(Returning(fails.clone())));
    let before = format!("{driver:?}");
    two.step(&mut driver, Some(1.0), Some(1.0)).unwrap_err();
    assert_eq!((format!("{driver:?}"), two.values()), (before.clone(), [1.0, 1.0]));
    let mut cx = Cx::train(0, 0);
    let only_a = cx.param(&two.a).unwrap().sum(&[], false).unwrap().backward().unwrap();
    let e = driver.step(&mut two, only_a, false).unwrap_err();
    assert!(matches!(e, Error::NoGradient { .. }), "{e}");
    assert_eq!((format!("{driver:?}"), two.values()), (before, [1.0, 1.0]));
    // What is loaded in between is where it returns to.
    two.a.set(Tensor::full([1], 7.0f64).unwrap()).unwrap();
    fails.store(false, std::sync::atomic::Ordering::Relaxed);
    two.step(&mut driver, Some(1.0), Some(1.0)).unwrap();
    assert_eq!(two.values(), [7.0, 1.0]);
}

/// What a rule or another optimizer that cannot fail left is checked as well.
#[test]
fn an_update_that_cannot_fail_is_checked() {
    #[derive(Clone, Debug)]
    struct Sure(fn(&mut Update<'_>) -> Result<()>);
    impl gradus::config::Configured for Sure {}
    impl Optimizer for Sure {
        fn learning_rate(&self) -> LearningRate {
            LearningRate::from(0.1)
        }
        fn can_fail(&self) -> bool {
            false
        }
        fn update(&self, _: &Step, mut u: Update<'_>) -> Result<()> {
            (self.0)(&mut u)
        }
    }
    let (mut two, mut driver) =
        (Two::new(&[4, 2], 1.0), Driver::new(Sure(|u| u.w.t()?.cast(DType::F32).map(|w| *u.w = w))));
    let e = two.step(&mut driver, Some(1.0), Some(1.0)).unwrap_err().to_string();
    assert!(e.contains("Sure") && e.contains("'a'") && e.contains("[2, 4]"), "{e}");

    let (mut two, mut driver) =
        (Two::new(&[2, 2], 1.0), Driver::new(Sure(|u| u.w.tracked().t().map(|w| *u.w = w))));
    two.step(&mut driver, Some(1.0), Some(1.0)).unwrap();
    assert!(!two.a.value().is_tracked() && two.a.value().array().slice::<f64>().is_ok());
}

/// Decay in the optimizer's own formula reaches the rows that were not read.
#[test]
fn rows_are_dense_where_an_optimizer_decays_itself() {
    #[derive(Clone, Debug)]
    struct Decaying;
    impl gradus::config::Configured for Decaying {}
    impl Optimizer for Decaying {
        fn learning_rate(&self) -> LearningRate {
            LearningRate::from(0.5)
        }
        fn takes_rows(&self) -> bool {
            true
        }
        fn decays_itself(&self) -> bool {
            true
        }
        fn update(&self, step: &Step, mut u: Update<'_>) -> Result<()> {
            let (lr, decay) = (step.learning_rate as f32, step.weight_decay as f32);
            u.each_row::<f32>(&mut |row| {
                row.w.iter_mut().zip(row.g).for_each(|(w, g)| *w -= lr * (g + decay * *w));
            })
        }
    }
    for (decay, left) in [(0.5, 0.75), (0.0, 1.0)] {
        let mut t = table(40, 2);
        let before = t.table.value().clone();
        let gradients = read(&t, &[3], &[0.0]);
        Driver::new(Decaying.weight_decay(decay)).step(&mut t, gradients, false).unwrap();
        assert!(before.affine(left, 0.0).unwrap().same_bits(t.table.value()), "decay {decay}");
    }
    // Told of a decay is only who takes it off.
    let (mut two, mut driver) = (Two::new(&[1], 1.0), Driver::new(Told.weight_decay(0.5)));
    two.step(&mut driver, Some(1.0), None).unwrap();
    assert_eq!(two.values(), [1.0 - 0.1 * 0.5, 1.0]);
}

/// Adam takes decay off in its own loop: the bits are those of a pass before it.
#[test]
fn adam_decays_before_its_update() {
    let gradient = |g: f64| Gradient::Dense(Tensor::from_slice(&[g; 3], [3]).unwrap());
    for largest in [false, true] {
        let adam = Adam::new(0.1).amsgrad(largest);
        let (mut two, mut driver) = (Two::new(&[3], 0.75), Driver::new(adam.clone().weight_decay(0.3)));
        let mut w = two.a.value().clone();
        let zeros = Tensor::from_slice(&[0.0f64; 3], [3]).unwrap();
        let mut slots = vec![zeros; if largest { 3 } else { 2 }];
        for (iteration, g) in (1..).zip([0.3, -2.0, 0.0, 1e-3]) {
            two.step(&mut driver, Some(g), None).unwrap();
            let decayed: Vec<f64> = w.to_vec().unwrap().iter().map(|w: &f64| w - w * (0.3 * 0.1)).collect();
            w = Tensor::from_slice(&decayed, [3]).unwrap();
            let g = gradient(g);
            let update = Update::new("a", &mut w, &g, &mut slots);
            Optimizer::update(&adam, &Step::new(iteration, 0.1), update).unwrap();
            assert!(w.same_bits(two.a.value()), "update {iteration}");
        }
    }
}

/// Fails if it is told of a decay, though it does not say that it decays itself.
#[derive(Clone, Debug)]
struct Told;
impl gradus::config::Configured for Told {}
impl Optimizer for Told {
    fn learning_rate(&self) -> LearningRate {
        LearningRate::from(0.1)
    }
    fn update(&self, step: &Step, _: Update<'_>) -> Result<()> {
        if step.weight_decay == 0.0 { Ok(()) } else { Err(Error::Custom("told".into())) }
    }
}

#[test]
fn each_setting_is_that_of_the_first_group_which_sets_it() {
    let (x, y) = data();
    let optimizer = SGD::new(0.5)
        .use_ema(0.5)
        .ema_overwrite_frequency(1)
        .weight_decay(0.25)
        .group("*/bias", Group::new().weight_decay(0.0))
        .group("first", Group::new().learning_rate_factor(0.0));
    let network =
        stack().add(Dense::new(2).kernel_constraint(MaxNorm::new(0.01)).named("more")).build().unwrap();
    let y = y.slice(1, 0, 2).unwrap();
    let optimizer = optimizer.group("more", Group::new().learning_rate_factor(0.0).weight_decay(3.0));
    let mut model = network.compile(optimizer, MeanSquaredError::new(), ()).unwrap();
    let before = numbers(&model, None);
    for _ in 0..5 {
        model.train_on_batch(&x, &y).unwrap();
    }
    let mut driver = model.optimizer().clone();
    let mut network = model.into_network();
    driver.finalize(&mut network);
    for (path, w) in numbers(&network, None) {
        // Exactly, for nothing touches them: no average, no bound.
        assert_eq!(w == before[&path], !path.starts_with("last"), "{path}");
    }
    let empty = SGD::new(0.1).group("first", Group::new());
    let e = stack().compile(empty, MeanSquaredError::new(), ()).unwrap_err().to_string();
    assert!(e.contains("'first'") && e.contains("learning_rate_factor"), "{e}");
    let nothing_left = SGD::new(0.1)
        .group("first", Group::new().weight_decay(0.5))
        .group("*/kernel", Group::new().weight_decay(0.1).learning_rate_factor(0.5))
        .group("first/kernel", Group::new().learning_rate_factor(0.1));
    let e = stack().compile(nothing_left, MeanSquaredError::new(), ()).unwrap_err().to_string();
    assert!(e.contains("'first/kernel'") && e.contains("before it"), "{e}");
}

// ---- a loop of one's own that stops and goes on

#[test]
fn a_loop_resumes_from_the_state_by_name() {
    let (x, y) = data();
    let optimizer = || {
        Nadam::new(0.01)
            .use_ema(0.9)
            .gradient_accumulation_steps(2)
            .group("last", Group::new().weight_decay(0.1))
    };
    let step = |network: &mut Network, driver: &mut Driver| {
        let found = gradients(network, &x, &y).unwrap();
        driver.step(network, found, false).unwrap();
    };
    let (mut network, mut driver) = (stack().build().unwrap(), Driver::new(optimizer()));
    assert!(driver.state(&network).unwrap().is_empty());
    (0..5).for_each(|_| step(&mut network, &mut driver));
    let (params, state, steps) = (network.params(), driver.state(&network).unwrap(), driver.steps());
    assert_eq!((state.len(), steps, driver.iterations()), (20, 5, 2));
    let names: Vec<&str> =
        state.iter().map(|(name, _)| name.as_str()).filter(|n| n.starts_with("last/b")).collect();
    let all =
        ["m", "v", "product", "gradient_accumulator", "moving_average"].map(|n| format!("last/bias/{n}"));
    assert_eq!(names, all);

    let (mut again, mut resumed) = (stack().seed(99).build().unwrap(), Driver::new(optimizer()));
    again.set_params(&params).unwrap();
    resumed.set_state(&again, &state).unwrap();
    resumed.set_steps(steps).unwrap();
    for _ in 0..3 {
        step(&mut network, &mut driver);
        step(&mut again, &mut resumed);
    }
    driver.finalize(&mut network);
    resumed.finalize(&mut again);
    assert_eq!(network.weight_bytes().unwrap(), again.weight_bytes().unwrap());
    let bits = |driver: &Driver, network| -> Vec<_> {
        driver
            .state(network)
            .unwrap()
            .into_iter()
            .map(|(name, t)| (name, t.to_vec::<f64>().unwrap()))
            .collect()
    };
    assert_eq!(bits(&driver, &network), bits(&resumed, &again));

    // One slot alone; the others stay. What does not fit changes nothing.
    let before = bits(&resumed, &again);
    let one = |name: &str, value: Tensor| [(name.to_string(), value)];
    for (bad, words) in [
        (one("last/bias/w", Tensor::zeros([3]).unwrap()), ["state", "'last/bias/w'"]),
        (one("last/bias/m", Tensor::full([4], 0.0f64).unwrap()), ["last/bias/m", "[4]"]),
        (one("last/bias/m", Tensor::zeros([3]).unwrap()), ["last/bias/m", "float32"]),
    ] {
        let both = [bad.as_slice(), &one("first/bias/m", Tensor::full([7], 1.0f64).unwrap())].concat();
        let e = resumed.set_state(&again, &both).unwrap_err().to_string();
        assert!(words.iter().all(|word| e.contains(word)), "{e}");
        assert_eq!(bits(&resumed, &again), before);
    }
    resumed.set_state(&again, &one("first/bias/m", Tensor::full([7], 1.0f64).unwrap())).unwrap();
    for ((name, was), (_, is)) in before.into_iter().zip(bits(&resumed, &again)) {
        assert_eq!(is, if name == "first/bias/m" { vec![1.0; 7] } else { was }, "{name}");
    }
    assert!(resumed.set_steps(u64::MAX).is_err());
    assert_eq!(resumed.steps(), 8);
}
