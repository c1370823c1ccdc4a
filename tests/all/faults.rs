//! Tests of metric values, losses and callbacks that were silently wrong in other libraries, or once here. There is
//! one test for each fault; the expected numbers come from exact arithmetic (fractions, or 60 digits) or follow
//! from the definition.

use gradus::autograd::Gradients;
use gradus::loss::{BinaryFocalCrossentropy, CategoricalFocalCrossentropy, Loss};
use gradus::metric::{AUC, Curve, Metric, R2Score};
use gradus::nn::Cx;
use gradus::optim::Driver;
use gradus::optim::LearningRateSchedule;
use gradus::optim::schedule::{CosineDecay, CosineDecayRestarts};
use gradus::prelude::*;
use gradus::train::{LearningRateScheduler, Logs, Plan, ReduceLROnPlateau};
use gradus::{Result, autograd};

fn column(values: &[f64]) -> Tensor {
    Tensor::from_slice(values, [values.len(), 1]).unwrap()
}

fn stack() -> Sequential {
    Sequential::new().add(Input::new([2])).add(Dense::new(1)).seed(1)
}

fn regression() -> Model {
    stack().compile(SGD::new(0.01), MeanSquaredError::new(), ()).unwrap()
}

fn rows(n: usize) -> (Tensor, Tensor) {
    let x: Vec<f32> = (0..2 * n).map(|i| (i as f32 * 0.37).fract()).collect();
    let x = Tensor::from_slice(&x, [n, 2]).unwrap();
    let y = x.sum(&[1], true).unwrap();
    (x, y)
}

fn said<T, E: std::fmt::Debug + ToString>(result: Result<T, E>) -> String {
    result.map(drop).unwrap_err().to_string()
}

// ---- R²

#[test]
fn r2_over_large_targets_does_not_cancel() {
    // Fractions give 0.9589934612618886.
    let t: Vec<f64> = (0..200).map(|i| 1.7e9 + ((i * 7919) % 101) as f64 / 10.0).collect();
    let p: Vec<f64> =
        t.iter().enumerate().map(|(i, t)| t + (((i * 104729) % 71) as f64 - 35.0) / 35.0).collect();
    for batch in [200, 32, 1] {
        let mut r2 = R2Score::new();
        for (t, p) in t.chunks(batch).zip(p.chunks(batch)) {
            r2.update(&column(t), &column(p), None).unwrap();
        }
        assert!((r2.result() - 0.9589934612618886).abs() < 1e-7, "{batch}: {}", r2.result());
    }
}

#[test]
fn r2_of_equal_targets_is_0_or_1_if_all_were_met() {
    for level in [0.0, 0.1, 1.7e9] {
        let (t, off) = (column(&[level; 50]), column(&[level + 1.0; 50]));
        let mut r2 = R2Score::new();
        r2.update(&t, &off, None).unwrap();
        assert_eq!(r2.result(), 0.0);
        r2.reset();
        r2.update(&t, &t, None).unwrap();
        assert_eq!(r2.result(), 1.0);
    }
}

// ---- No computed number says "nothing yet"

/// Gives the figure `watched` these values, epoch by epoch.
struct Figures(Vec<f64>);
impl Callback for Figures {
    fn figures(&self) -> Vec<String> {
        vec!["watched".into()]
    }
    fn on_epoch_end(&mut self, _: &mut Model, epoch: usize, logs: &mut Logs) -> Result<()> {
        logs.set("watched", self.0[epoch]);
        Ok(())
    }
}

fn fit_watching(figures: &[f64], callback: impl Callback) -> History {
    let (x, y) = rows(4);
    let fit = Fit::new().epochs(figures.len()).verbose(0);
    regression().fit(&x, &y, fit.callback(Figures(figures.to_vec())).callback(callback)).unwrap()
}

#[test]
fn a_figure_that_is_no_number_is_not_the_best_so_far() {
    let mut stop = EarlyStopping::new("watched").mode("min").patience(2);
    let history = fit_watching(&[f64::NAN, 3.0, f64::NAN, 2.0, f64::NAN, f64::NAN, 1.0], &mut stop);
    assert_eq!((history.epochs().len(), stop.best_epoch(), stop.stopped_epoch()), (6, Some(3), Some(5)));

    // As long as there is no number nothing is best, and patience ends.
    let mut stop = EarlyStopping::new("watched").mode("max").patience(2);
    let history = fit_watching(&[f64::NAN; 5], &mut stop);
    assert_eq!((history.epochs().len(), stop.best_epoch()), (2, None));

    // An infinite figure is a number: the best there was, and nothing like "none yet".
    let mut stop = EarlyStopping::new("watched").mode("min").patience(9);
    fit_watching(&[f64::NEG_INFINITY, -1e300, 0.0], &mut stop);
    assert_eq!(stop.best_epoch(), Some(0));

    let reduce = ReduceLROnPlateau::new("watched").mode("min").factor(0.5).patience(1);
    let history = fit_watching(&[f64::NAN, f64::NAN, 1.0, 0.5], reduce);
    assert_eq!(history["learning_rate"], [0.01, 0.005, 0.0025, 0.0025]);
}

#[test]
fn nearly_singular_is_singular_relative_to_the_matrix() {
    let nine = |scale: f64| {
        let a: Vec<f64> = (1..10).map(|i| f64::from(i) * scale).collect();
        Tensor::from_slice(&a, [3, 3]).unwrap()
    };
    for scale in [1.0, 1e-200, 1e200] {
        let e = said(nine(scale).inverse());
        assert!(e.contains("matrix 0 of the stack is singular: pivot 2"), "{scale}: {e}");
    }
    let e = said(nine(1.0).cast(DType::F32).unwrap().inverse());
    assert!(e.contains("singular"), "{e}");
    // Small numbers alone are no reason, in rows, columns or both.
    let good = Tensor::from_slice(&[1.0, 0.0, 0.0, 1e-200], [2, 2]).unwrap();
    assert_eq!(good.inverse().unwrap().to_vec::<f64>().unwrap(), [1.0, 0.0, 0.0, 1e200]);
    let scaled = Tensor::from_slice(&[1.0, 1.0, 1e-20, 2e-20], [2, 2]).unwrap();
    let x = scaled.solve(&column(&[3.0, 5e-20])).unwrap().to_vec::<f64>().unwrap();
    assert!((x[0] - 1.0).abs() < 1e-14 && (x[1] - 2.0).abs() < 1e-14, "{x:?}");
    // Hilbert's matrix of 8 rows is bad, and can be solved.
    let hilbert: Vec<f64> = (0..64).map(|i| 1.0 / (1 + i / 8 + i % 8) as f64).collect();
    Tensor::from_slice(&hilbert, [8, 8]).unwrap().inverse().unwrap();

    // Columns that depend on each other but for rounding: 0.1 + 0.2 is not 0.3.
    let a =
        Tensor::from_slice(&[0.1, 0.2, 0.3, 0.7, 0.1, 0.8, 0.4, 0.3, 0.7, 0.6, 0.6, 1.2], [4, 3]).unwrap();
    let e = said(a.lstsq(&column(&[1.0, 2.0, 3.0, 4.0])));
    assert!(e.contains("lstsq: matrix 0 of the stack is of columns that depend on each other"), "{e}");
    // And a Gram matrix of them, which is not positive definite.
    let e = said(a.t().unwrap().matmul(&a).unwrap().cholesky());
    assert!(e.contains("not positive definite: pivot 2"), "{e}");
}

#[test]
fn weights_that_add_up_to_nothing_have_no_mean() {
    // 0.1 + 0.2 - 0.3 is 5.6e-17: rounding, by which nothing is divided.
    let mut mean = gradus::metric::MeanAbsoluteError::new();
    let weights = Tensor::from_slice(&[0.1, 0.2, -0.3], [3]).unwrap();
    mean.update(&column(&[1.0, 2.0, 3.0]), &column(&[2.0, 4.0, 6.0]), Some(&weights)).unwrap();
    assert_eq!(mean.result(), 0.0);
}

#[test]
fn gradients_that_add_up_to_zero_are_an_update_all_the_same() {
    let mut network = stack().build().unwrap();
    let before = network.params()[0].1.to_vec::<f32>().unwrap();
    let mut optimizer = Driver::new(SGD::new(0.1).weight_decay(0.5).gradient_accumulation_steps(2));
    let (x, _) = rows(4);
    let zero =
        network.forward(&x, &mut Cx::train(0, 0)).unwrap().affine(0.0, 0.0).unwrap().sum(&[], false).unwrap();
    optimizer.step(&mut network, zero.backward().unwrap(), true).unwrap();
    optimizer.step(&mut network, Gradients::default(), true).unwrap();
    let after = network.params()[0].1.to_vec::<f32>().unwrap();
    for (before, after) in before.iter().zip(after) {
        assert_eq!(after, before - before * 0.05, "the update decays");
    }
}

// ---- Focal losses on logits

/// Value, first and second derivative by the logit, to 17 digits out of 60.
type Focal = (f64, f64, f64, [f64; 3]);
const BINARY: &[Focal] = &[
    (0.5, -25.0, 0.0, [5.1755550057299906e-17, 7.763332508523108e-17, 1.1644998762604967e-16]),
    (0.5, -25.0, 1.0, [24.999999999840288, -1.0000000001527674, -1.4582341057595023e-10]),
    (0.5, -25.0, 0.9, [21.345374206017983, -0.8538149683587697, -1.0803713518465295e-10]),
    (0.5, -20.0, 0.0, [9.357622949552676e-14, 1.4036434405041515e-13, 2.1054651559343527e-13]),
    (0.5, -20.0, 1.0, [19.999999981449616, -1.0000000175198056, -1.6489228875423784e-8]),
    (0.5, -3.0, 0.0, [0.010581101849395962, 0.015367803025701347, 0.02183798491497459]),
    (0.5, -3.0, 1.0, [2.975418329650191, -1.000267339845489, 0.022648110101131762]),
    (0.5, -3.0, 0.9, [2.551984984408158, -0.8450859996562482, 0.025589721984449004]),
    (0.5, 0.0, 0.0, [0.4901290717342736, 0.47608565852684215, 0.32292032360988165]),
    (0.5, 0.0, 0.9, [0.4901290717342736, -0.3808685268214737, 0.27030861741711354]),
    (0.5, 20.0, 0.0, [19.999999981449616, 1.0000000175198056, -1.6489228875423784e-8]),
    (0.5, 20.0, 1.0, [9.357622949552676e-14, -1.4036434405041515e-13, 2.1054651559343527e-13]),
    (0.5, 20.0, 0.9, [0.6324555378998219, 0.0316227709962554, 5.344710740904166e-9]),
    (0.5, 60.0, 1.0, [8.194012623990515e-40, -1.2291018935985774e-39, 1.843652840397866e-39]),
    (2.0, -25.0, 0.0, [2.678636961715076e-33, 8.035910885052226e-33, 2.410773265478467e-32]),
    (2.0, -25.0, 1.0, [24.999999999319492, -1.0000000006527334, -6.249574738697617e-10]),
    (2.0, -3.0, 0.9, [2.0426023535176197, -0.8048570539665815, -0.008020220358210975]),
    (2.0, 0.0, 1.0, [0.17328679513998632, -0.29828679513998635, 0.3991433975699932]),
    (2.0, 3.0, 1.0, [0.00010928332449699751, -0.0003148718464882813, 0.0008948392889540836]),
    (2.0, 3.0, 0.9, [0.006632793349499619, -0.0024753055139674126, 0.0038678415725690663]),
    (2.0, 60.0, 0.0, [60.0, 1.0, -1.0069987377100998e-24]),
    (2.0, 60.0, 0.9, [0.06, 0.001, 8.213607095409336e-27]),
];

/// To a share of the number wanted. Of a second derivative parts of size 1 may cancel, so below that only to the
/// last bits of those.
fn close(what: &str, order: usize, got: f64, want: f64, tolerance: f64) {
    let floor = if order == 2 { 1e-15 } else { 0.0 };
    assert!((got - want).abs() <= tolerance * want.abs() + floor, "{what}, order {order}: {got}, not {want}");
}

/// A loss at one logit, and its derivatives by it.
fn orders(loss: &dyn Fn(&Tensor) -> Result<Tensor>, z: f64, dtype: DType) -> Result<[f64; 3]> {
    let z = Tensor::scalar(z)?.cast(dtype)?.tracked();
    let value = loss(&z)?;
    let first = autograd::grad(&value, &[&z])?.swap_remove(0);
    let second = autograd::grad(&first, &[&z])?.swap_remove(0);
    Ok([value.item()?, first.item()?, second.item()?])
}

#[test]
fn binary_focal_loss_on_logits_is_stable_in_both_orders() {
    for &(gamma, z, t, want) in BINARY {
        for (dtype, tolerances) in
            [(DType::F64, [1e-13, 1e-12, 1e-5]), (DType::F32, [2e-5, 1e-4, f64::INFINITY])]
        {
            let loss = BinaryFocalCrossentropy::new().gamma(gamma).from_logits(true);
            let of = |z: &Tensor| {
                let y = Tensor::scalar(t)?.cast(dtype)?.reshape([1, 1])?;
                loss.value(&y, &z.reshape([1, 1])?, None)
            };
            let got = orders(&of, z, dtype).unwrap();
            for (order, ((got, want), tolerance)) in got.iter().zip(want).zip(tolerances).enumerate() {
                assert!(got.is_finite(), "{gamma} {z} {t} {dtype}: {got}");
                if dtype == DType::F64 || want.abs() > 1e-30 {
                    close(&format!("{gamma} {z} {t} {dtype}"), order, *got, want, tolerance);
                }
            }
        }
    }
    // Where neither the prediction nor what is left of it is a number in float32.
    for z in [-1e4f32, -120.0, 120.0, 1e4] {
        for gamma in [0.0, 0.5, 1.0, 5.0] {
            let z = Tensor::full([1, 1], z).unwrap().tracked();
            let loss = BinaryFocalCrossentropy::new().gamma(gamma).from_logits(true);
            let value = loss.value(&Tensor::ones([1, 1]).unwrap(), &z, None).unwrap();
            let g = value.backward().unwrap().get(&z).unwrap().item().unwrap();
            assert!(g.is_finite(), "{gamma}: {g}");
        }
    }
}

type Classes = (f64, [f64; 3], [f64; 3], [f64; 3]);
const CATEGORICAL: &[Classes] = &[
    (
        0.5,
        [30.0, 0.0, -5.0],
        [1.0, 0.0, 0.0],
        [7.228746269954111e-21, -1.0843119404930486e-20, 1.626467910739403e-20],
    ),
    (
        0.5,
        [30.0, 0.0, -5.0],
        [0.0, 1.0, 0.0],
        [7.499999999999672, 0.25000000000031564, -3.0396511856821477e-13],
    ),
    (
        0.5,
        [-25.0, 0.0, 1.0],
        [1.0, 0.0, 0.0],
        [6.578315421868204, -0.2500000000108845, -1.0417624996348311e-11],
    ),
    (
        0.5,
        [-25.0, 0.0, 1.0],
        [0.0, 1.0, 0.0],
        [0.28071613264104156, 9.912422471194334e-13, 9.912422471159752e-13],
    ),
    (
        0.5,
        [0.5, 0.25, -1.0],
        [1.0, 0.0, 0.0],
        [0.12276202014521453, -0.11917716247990767, 0.08074347620836111],
    ),
    (
        0.5,
        [60.0, -60.0, 0.0],
        [1.0, 0.0, 0.0],
        [2.048503155997629e-40, -3.0727547339964434e-40, 4.609132100994665e-40],
    ),
    (
        2.0,
        [30.0, 0.0, -5.0],
        [1.0, 0.0, 0.0],
        [2.090190905414921e-40, -6.270572716244271e-40, 1.8811718148730843e-39],
    ),
    (
        2.0,
        [-25.0, 0.0, 1.0],
        [1.0, 0.0, 0.0],
        [6.578315421831349, -0.2500000000463393, -4.447178250705522e-11],
    ),
    (
        2.0,
        [0.5, 0.25, -1.0],
        [0.0, 1.0, 0.0],
        [0.08810707380755714, 0.10266242872199582, 0.10051709857570448],
    ),
    (2.0, [60.0, -60.0, 0.0], [0.0, 1.0, 0.0], [30.0, 0.25, 2.18912769067413e-27]),
];

#[test]
fn categorical_focal_loss_on_logits_is_stable_in_both_orders() {
    for &(gamma, z, t, want) in CATEGORICAL {
        let loss = CategoricalFocalCrossentropy::new().gamma(gamma).from_logits(true);
        let of = |first: &Tensor| {
            let rest = Tensor::from_slice(&z[1..], [1, 2])?;
            let z = Tensor::concat(&[&first.reshape([1, 1])?, &rest], 1)?;
            loss.value(&Tensor::from_slice(&t, [1, 3])?, &z, None)
        };
        let got = orders(&of, z[0], DType::F64).unwrap();
        for (order, ((got, want), tolerance)) in got.iter().zip(want).zip([1e-13, 1e-12, 1e-4]).enumerate() {
            close(&format!("{gamma} {z:?} {t:?}"), order, *got, want, tolerance);
        }
    }
    let z = Tensor::from_slice(&[900.0f32, 0.0, -900.0, 3.0, 3.0, 3.0], [2, 3]).unwrap().tracked();
    let y = Tensor::from_slice(&[1.0f32, 0.0, 0.0, 0.0, 0.0, 1.0], [2, 3]).unwrap();
    let loss = CategoricalFocalCrossentropy::new().gamma(0.5).from_logits(true).value(&y, &z, None).unwrap();
    let g = loss.backward().unwrap().get(&z).unwrap().to_vec::<f32>().unwrap();
    assert!(g.iter().all(|g| g.is_finite()), "{g:?}");
}

#[test]
fn focal_losses_of_sure_probabilities_have_a_gradient() {
    let p = Tensor::from_slice(&[1.0f32, 0.0, 0.3], [3, 1]).unwrap().tracked();
    let y = Tensor::from_slice(&[1.0f32, 0.0, 1.0], [3, 1]).unwrap();
    let loss = BinaryFocalCrossentropy::new().gamma(0.5).value(&y, &p, None).unwrap();
    let g = loss.backward().unwrap().get(&p).unwrap().to_vec::<f32>().unwrap();
    assert!(g.iter().all(|g| g.is_finite()) && g[2] < 0.0, "{g:?}");
}

// ---- A share of rows

#[test]
fn a_split_leaves_the_rows_that_were_meant() {
    struct Steps(Option<usize>);
    impl Callback for Steps {
        fn on_train_begin(&mut self, _: &mut Model, plan: &Plan) -> Result<()> {
            self.0 = plan.steps;
            Ok(())
        }
    }
    for (n, split, trained) in
        [(10, 0.9, 1), (100, 0.9, 10), (1000, 0.9, 100), (10, 0.1, 9), (10, 0.3, 7), (7, 0.5, 3)]
    {
        let (x, y) = rows(n);
        let mut steps = Steps(None);
        let fit = Fit::new().batch_size(1).validation_split(split).verbose(0).callback(&mut steps);
        regression().fit(&x, &y, fit).unwrap();
        assert_eq!(steps.0, Some(trained), "{split} of {n}");
    }
}

// ---- Schedules

#[test]
fn a_wave_begins_exactly_where_the_one_before_it_ends() {
    // Waves of 1, 10, 100, 1000 steps begin at 0, 1, 11, 111 with the whole rate.
    let schedule = CosineDecayRestarts::new(1.0, 1).t_mul(10.0);
    for step in [0, 1, 11, 111, 1111, 11111] {
        assert_eq!(schedule.at(step), 1.0, "{step}");
    }
    for (t_mul, first) in [(3.0, 1), (3.0, 7), (2.0, 5), (7.0, 2), (1.0, 4)] {
        let schedule = CosineDecayRestarts::new(1.0, first).t_mul(t_mul);
        let (mut begin, mut length) = (0, first);
        while begin < 100_000_000 && length < 100_000_000 {
            assert_eq!(schedule.at(begin), 1.0, "{t_mul} {first} {begin}");
            if length > 1 {
                let last = schedule.at(begin + length - 1);
                assert!(last < 0.76, "{t_mul} {first}: {last} before the end");
            }
            begin += length;
            length = if t_mul == 1.0 && begin > 400 { 1 << 40 } else { length * t_mul as u64 };
        }
    }
    // A factor next to 1 is as good as 1.
    let (nearly, one) =
        (CosineDecayRestarts::new(1.0, 10).t_mul(1.0 + 1e-13), CosineDecayRestarts::new(1.0, 10).t_mul(1.0));
    for step in 0..200 {
        assert!((nearly.at(step) - one.at(step)).abs() < 1e-6, "{step}");
    }
}

// ---- The area under a curve

fn auc(mut auc: AUC, y: &[f64], p: &[f64]) -> f64 {
    for (y, p) in y.chunks(3).zip(p.chunks(3)) {
        auc.update(&column(y), &column(p), None).unwrap();
    }
    auc.result()
}

#[test]
fn the_area_does_not_depend_on_the_scale_of_the_scores() {
    let (y, p) = ([0.0, 0.0, 1.0, 1.0], [1e-4, 2e-4, 3e-4, 4e-4]);
    assert_eq!(auc(AUC::new(), &y, &p), 1.0);
    assert_eq!(auc(AUC::new().curve(Curve::PR), &y, &p), 1.0);
    assert_eq!(auc(AUC::new().thresholds([2.5e-4]), &y, &p), 1.0);
    // On Keras's grid all of them are one score.
    assert_eq!(auc(AUC::new().num_thresholds(200), &y, &p), 0.5);
    // Logits that a sigmoid would make the same number of.
    assert_eq!(auc(AUC::new().from_logits(true), &y, &[80.0, 90.0, 100.0, 110.0]), 1.0);
}

#[test]
fn the_area_is_the_share_of_pairs_in_order() {
    // Mann and Whitney: of all pairs of a true and a false one those where the true one is above, equals for a half.
    let y: Vec<f64> = (0..97).map(|i| f64::from(u8::from(i * 37 % 11 < 4))).collect();
    let p: Vec<f64> = (0..97)
        .map(|i| {
            let share = (i * 29 % 41) as f64 / 41.0;
            share * share * share
        })
        .collect();
    let (mut pairs, mut won) = (0.0, 0.0);
    for (a, pa) in y.iter().zip(&p).filter(|(y, _)| **y == 1.0) {
        for (_, pb) in y.iter().zip(&p).filter(|(y, _)| **y == 0.0) {
            pairs += *a;
            won += if pa > pb { 1.0 } else { 0.5 * f64::from(u8::from(pa == pb)) };
        }
    }
    let exact = auc(AUC::new(), &y, &p);
    assert!((exact - won / pairs).abs() < 1e-12, "{exact}, not {}", won / pairs);
    // A fine grid comes near to it.
    assert!((auc(AUC::new().num_thresholds(100_000), &y, &p) - exact).abs() < 1e-3);
}

#[test]
fn there_is_no_area_of_one_class() {
    for kind in [AUC::new(), AUC::new().num_thresholds(200)] {
        assert!(auc(kind.clone(), &[1.0, 1.0], &[0.2, 0.7]).is_nan());
        assert!(auc(kind.clone(), &[0.0, 0.0], &[0.2, 0.7]).is_nan());
        assert!(auc(kind.curve(Curve::PR), &[0.0, 0.0], &[0.2, 0.7]).is_nan());
    }
    assert_eq!(AUC::new().result(), 0.0, "before the first batch");
}

// ---- What a run would ignore

#[test]
fn progress_counts_the_steps_that_there_are() {
    struct Planned(Vec<Option<usize>>, usize);
    impl Callback for Planned {
        fn on_train_begin(&mut self, _: &mut Model, plan: &Plan) -> Result<()> {
            self.0.push(plan.steps);
            Ok(())
        }
        fn on_train_batch_end(&mut self, _: &mut Model, _: usize, _: f64) -> Result<()> {
            self.1 += 1;
            Ok(())
        }
    }
    let (x, y) = rows(8);
    let mut seen = Planned(vec![], 0);
    regression()
        .fit(&x, &y, Fit::new().batch_size(8).steps_per_epoch(10).verbose(0).callback(&mut seen))
        .unwrap();
    regression()
        .fit(&x, &y, Fit::new().batch_size(2).steps_per_epoch(3).verbose(0).callback(&mut seen))
        .unwrap();
    let data = Dataset::from_tensors(&x, &y).unwrap().batch(4);
    regression().fit_dataset(&data, Fit::new().steps_per_epoch(5).verbose(0).callback(&mut seen)).unwrap();
    assert_eq!((seen.0, seen.1), (vec![Some(1), Some(3), Some(5)], 1 + 3 + 5));
}

#[test]
fn settings_that_would_be_ignored_are_errors() {
    let (x, y) = rows(8);
    let data = Dataset::from_tensors(&x, &y).unwrap().batch(4);
    let on_data = |fit: Fit<'_>| said(regression().fit_dataset(&data, fit.verbose(0)));
    assert!(on_data(Fit::new().batch_size(4)).contains("batch_size: expected no value beside a dataset"));
    assert!(on_data(Fit::new().shuffle(false)).contains("shuffle: expected no value beside a dataset"));
    assert!(
        on_data(Fit::new().validation_dataset(&data).validation_batch_size(2))
            .contains("validation_batch_size")
    );
    let on_rows = |fit: Fit<'_>| said(regression().fit(&x, &y, fit.verbose(0)));
    assert!(
        on_rows(Fit::new().validation_data(&x, &y).validation_split(0.5))
            .contains("validation: expected one of")
    );
    assert!(
        on_rows(Fit::new().validation_steps(2)).contains("validation_steps: expected data to validate on")
    );
}

#[test]
fn classes_have_weights_and_numbers_have_none() {
    let (x, _) = rows(4);
    let fit = |y: &[f32]| {
        let y = Tensor::from_slice(y, [4, 1]).unwrap();
        regression().fit(&x, &y, Fit::new().class_weight([(0, 1.0), (1, 5.0)]).verbose(0))
    };
    fit(&[0.0, 1.0, 1.0, 0.0]).unwrap();
    for wrong in [[0.0, 0.7, 1.0, 0.0], [0.0, f32::NAN, 1.0, 0.0], [0.0, -1.0, 0.0, 0.0]] {
        assert!(said(fit(&wrong)).contains("in row 1"), "{wrong:?}");
    }
}

#[test]
fn callbacks_that_set_the_rate_refuse_a_schedule_before_training() {
    let (x, y) = rows(4);
    let mut model =
        stack().compile(SGD::new(CosineDecay::new(0.1, 10)), MeanSquaredError::new(), ()).unwrap();
    let before = model.weight_bytes().unwrap();
    let e = said(model.fit(&x, &y, Fit::new().verbose(0).callback(ReduceLROnPlateau::new("loss"))));
    assert!(e.starts_with("ReduceLROnPlateau: learning_rate:") && e.contains("CosineDecay"), "{e}");
    let e = said(model.fit(&x, &y, Fit::new().verbose(0).callback(LearningRateScheduler::new(|_, r| r))));
    assert!(e.starts_with("LearningRateScheduler: learning_rate:"), "{e}");
    assert_eq!(model.weight_bytes().unwrap(), before);
}

#[test]
fn a_figure_of_ones_own_needs_a_direction() {
    let (x, y) = rows(4);
    let run = |callback: &mut dyn Callback| {
        let figure = Figures(vec![1.0, 2.0]);
        regression().fit(&x, &y, Fit::new().epochs(2).verbose(0).callback(figure).callback(callback))
    };
    let e = said(run(&mut EarlyStopping::new("watched")));
    assert!(e.starts_with("EarlyStopping: mode:") && e.contains(".mode(\"min\")"), "{e}");
    let e = said(run(&mut ReduceLROnPlateau::new("watched")));
    assert!(e.starts_with("ReduceLROnPlateau: mode:"), "{e}");
    run(&mut EarlyStopping::new("watched").mode("max")).unwrap();
    run(&mut EarlyStopping::new("loss")).unwrap();
}

// ---- Why nothing depends on anything

/// Gives what a function makes of its input.
fn through(f: fn(&Tensor) -> Result<Tensor>) -> Sequential {
    let head = Dense::new(1).frozen();
    stack().add(gradus::nn::layers::Lambda::new(f)).add(head)
}

#[test]
fn what_stands_between_the_loss_and_the_parameters_is_named() {
    let (x, y) = rows(4);
    let fit = |stack: Sequential| {
        let mut model = stack.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
        said(model.fit(&x, &y, Fit::new().verbose(0)))
    };
    let e = fit(through(|x| x.greater(&x.new_full([], 0.0)?)?.cast(x.dtype())));
    assert!(e.contains("no gradient flows back through 'less'"), "{e}");
    let e = fit(through(|x| x.argmax(-1)?.expand_dims(-1)?.cast(x.dtype())));
    assert!(e.contains("'argmax'"), "{e}");
    let e = fit(through(|x| x.cast(DType::I64)?.cast(x.dtype())));
    assert!(e.contains("'cast'"), "{e}");
    let e = fit(through(|x| Ok(x.detach())));
    assert!(e.contains("detach()"), "{e}");

    let mut model = regression();
    model.set_all_trainable(false);
    let e = said(model.fit(&x, &y, Fit::new().verbose(0)));
    assert!(e.contains("at least one trainable parameter"), "{e}");

    // In a loop of one's own.
    let network = stack().build().unwrap();
    let loss = |cx: &mut Cx| MeanSquaredError::new().value(&y, &network.forward(&x, cx)?, None)?.backward();
    let e = said(loss(&mut Cx::infer()));
    assert!(e.contains("Cx::infer()") && e.contains("Cx::train(seed, step)"), "{e}");
    loss(&mut Cx::train(0, 0)).unwrap();
    let mut frozen = network.clone();
    frozen.set_all_trainable(false);
    let e = said(
        MeanSquaredError::new()
            .value(&y, &frozen.forward(&x, &mut Cx::train(0, 0)).unwrap(), None)
            .unwrap()
            .backward(),
    );
    assert!(e.contains("frozen") && e.contains("set_trainable"), "{e}");
    assert!(said(y.sum(&[], false).unwrap().backward()).contains("begin with tracked()"));
}
