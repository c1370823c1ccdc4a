//! Tests that settings out of range are refused, because an accepted one trains something else without any sign of
//! it. Each numeric setting of each loss, metric, optimizer, schedule, regularizer, constraint, initializer,
//! activation and callback is given values it cannot have.

use gradus::config::{Dyn, Kind, Registry, Setting};
use gradus::loss::{
    self, BinaryFocalCrossentropy, CategoricalFocalCrossentropy, CategoricalGeneralizedCrossEntropy, Circle,
    Huber, Loss, Tversky,
};
use gradus::metric::{
    self, AUC, BalancedAccuracy, BinaryAccuracy, BinaryIoU, Bleu, CalibrationError, CohenKappa, F1Score,
    FBetaScore, IoU, MatthewsCorrelation, MeanIoU, Metric, Precision, PrecisionAtRecall, Recall,
    RecallAtPrecision, SensitivityAtSpecificity, SpecificityAtSensitivity, TopKCategoricalAccuracy,
    TruePositives,
};
use gradus::nn::activation::{self, Activation};
use gradus::nn::constraint::{Constraint, MaxNorm, MinMaxNorm};
use gradus::nn::initializer::{self, Initializer};
use gradus::nn::regularizer::{L1L2, OrthogonalRegularizer, Regularizer};
use gradus::optim::{self, LearningRateSchedule, Optimizer, schedule};
use gradus::prelude::*;
use gradus::train::ReduceLROnPlateau;
use gradus::{Error, Result};
use serde_json::{Value, json};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn stack() -> Sequential {
    Sequential::new().add(Input::new([2])).add(Dense::new(1)).seed(1)
}

fn trained(optimizer: impl Optimizer + 'static) -> Result<()> {
    stack().compile(optimizer, MeanSquaredError::new(), ()).map(drop)
}
fn scheduled(rate: impl LearningRateSchedule + 'static) -> Result<()> {
    trained(SGD::new(rate))
}
fn lost(loss: impl Loss + Clone + 'static) -> Result<()> {
    // Alone, and when a model is made.
    let (y, p) = (Tensor::ones([2, 2])?, Tensor::full([2, 2], 0.5f32)?);
    let alone = loss.value(&y, &p, None).map(drop);
    let stack = Sequential::new().add(Input::new([2])).add(Dense::new(2).activation(Sigmoid));
    let made = stack.compile(SGD::new(0.1), loss.allow_mismatch(), ()).map(drop);
    assert_eq!(alone.is_err(), made.is_err());
    made
}
fn measured(metric: impl Metric + Clone + 'static) -> Result<()> {
    let (y, p) = (Tensor::ones([2, 2])?, Tensor::full([2, 2], 0.5f32)?);
    let alone = metric.clone().update(&y, &p, None);
    let stack = Sequential::new().add(Input::new([2])).add(Dense::new(2).activation(Sigmoid));
    let made = stack.compile(SGD::new(0.1), MeanSquaredError::new(), [metric]).map(drop);
    assert_eq!(alone.is_err(), made.is_err(), "{alone:?} {made:?}");
    made
}
fn penalized(regularizer: impl Regularizer + Clone + 'static) -> Result<()> {
    let activity = Dense::new(1).activity_regularizer(regularizer.clone());
    let kernel = Dense::new(1).kernel_regularizer(regularizer);
    let made = Sequential::new().add(Input::new([2])).add(kernel).build().map(drop);
    assert_eq!(made.is_err(), Sequential::new().add(Input::new([2])).add(activity).build().is_err());
    made
}
fn bounded(constraint: impl Constraint + 'static) -> Result<()> {
    Sequential::new().add(Input::new([2])).add(Dense::new(1).kernel_constraint(constraint)).build().map(drop)
}
fn begun(initializer: impl Initializer + 'static) -> Result<()> {
    Sequential::new()
        .add(Input::new([2]))
        .add(Dense::new(2).kernel_initializer(initializer))
        .build()
        .map(drop)
}
fn activated(activation: impl Activation + 'static) -> Result<()> {
    Sequential::new().add(Input::new([2])).add(Dense::new(2).activation(activation)).build().map(drop)
}
fn called(callback: impl Callback) -> Result<()> {
    let mut model = stack().compile(SGD::new(0.1), MeanSquaredError::new(), ())?;
    model.fit(&Tensor::ones([2, 2])?, &Tensor::ones([2, 1])?, Fit::new().verbose(0).callback(callback))?;
    Ok(())
}

/// What is wrong, and the name of the setting.
type Case = (&'static str, fn(f64) -> Result<()>, &'static [f64]);

const CASES: &[Case] = &[
    // Losses.
    ("label_smoothing", |v| lost(BinaryCrossentropy::new().label_smoothing(v)), &[2.0, -0.1, NAN, INF]),
    ("label_smoothing", |v| lost(CategoricalCrossentropy::new().label_smoothing(v)), &[2.0, -0.1, NAN]),
    ("label_smoothing", |v| lost(BinaryFocalCrossentropy::new().label_smoothing(v)), &[2.0, NAN]),
    ("label_smoothing", |v| lost(CategoricalFocalCrossentropy::new().label_smoothing(v)), &[2.0, NAN]),
    ("gamma", |v| lost(BinaryFocalCrossentropy::new().gamma(v)), &[-3.0, NAN, INF]),
    ("gamma", |v| lost(CategoricalFocalCrossentropy::new().gamma(v)), &[-3.0, NAN, INF]),
    ("alpha", |v| lost(BinaryFocalCrossentropy::new().alpha(v)), &[7.0, -1.0, NAN]),
    ("alpha", |v| lost(CategoricalFocalCrossentropy::new().alpha(v)), &[7.0, -1.0, NAN]),
    ("delta", |v| lost(Huber::new().delta(v)), &[-1.0, NAN, INF]),
    ("alpha", |v| lost(Tversky::new().alpha(v)), &[-1.0, NAN, INF]),
    ("beta", |v| lost(Tversky::new().beta(v)), &[-1.0, NAN, INF]),
    ("axis", |_| lost(loss::Dice::new().axis([])), &[0.0]),
    ("gamma", |v| lost(Circle::new().gamma(v)), &[0.0, -1.0, NAN, INF]),
    ("margin", |v| lost(Circle::new().margin(v)), &[-0.1, 1.5, NAN]),
    ("q", |v| lost(CategoricalGeneralizedCrossEntropy::new().q(v)), &[0.0, 1.0, -1.0, NAN]),
    (
        "loss weight",
        |v| stack().compile(SGD::new(0.1), MeanSquaredError::new().weight(v), ()).map(drop),
        &[NAN, INF],
    ),
    // Metrics.
    ("threshold", |v| measured(BinaryAccuracy::new().threshold(v)), &[7.0, -0.5, NAN]),
    ("threshold", |v| measured(Precision::new().threshold(v)), &[7.0, -0.5, NAN]),
    ("threshold", |v| measured(Recall::new().threshold(v)), &[7.0, NAN]),
    ("threshold", |v| measured(TruePositives::new().threshold(v)), &[7.0, NAN]),
    ("threshold", |v| measured(F1Score::new().threshold(v)), &[7.0, NAN]),
    ("thresholds", |v| measured(AUC::new().thresholds([0.5, v])), &[7.0, -0.5, NAN]),
    ("num_thresholds", |v| measured(AUC::new().num_thresholds(v as usize)), &[0.0, 1.0, 1e9]),
    ("beta", |v| measured(FBetaScore::new(v)), &[0.0, -1.0, NAN, INF]),
    ("thresholds", |v| measured(Precision::new().thresholds([0.5, v])), &[7.0, -0.5, NAN]),
    ("thresholds", |v| measured(Precision::new().thresholds([0.5]).threshold(v)), &[0.5]),
    ("num_labels", |v| measured(AUC::new().multi_label(true).num_labels(v as usize)), &[0.0]),
    ("num_labels", |v| measured(AUC::new().num_labels(v as usize)), &[2.0]),
    ("label_weights", |v| measured(AUC::new().label_weights([1.0, v])), &[-1.0, NAN, INF]),
    ("recall", |v| measured(PrecisionAtRecall::new(v)), &[-0.1, 1.5, NAN]),
    ("precision", |v| measured(RecallAtPrecision::new(v)), &[-0.1, 1.5, NAN]),
    ("specificity", |v| measured(SensitivityAtSpecificity::new(v)), &[-0.1, 1.5, NAN]),
    ("sensitivity", |v| measured(SpecificityAtSensitivity::new(v)), &[-0.1, 1.5, NAN]),
    ("num_thresholds", |v| measured(PrecisionAtRecall::new(0.5).num_thresholds(v as usize)), &[0.0, 1e9]),
    ("threshold", |v| measured(BinaryIoU::new().threshold(v)), &[7.0, -0.5, NAN]),
    ("target_class_ids", |v| measured(BinaryIoU::new().target_class_ids([v as usize])), &[2.0]),
    ("target_class_ids", |v| measured(IoU::new(3, [v as usize])), &[3.0]),
    ("num_classes", |v| measured(IoU::new(v as usize, [0])), &[0.0]),
    ("threshold", |v| measured(MatthewsCorrelation::new().threshold(v)), &[7.0, NAN]),
    ("threshold", |v| measured(CohenKappa::new().threshold(v)), &[7.0, NAN]),
    ("threshold", |v| measured(BalancedAccuracy::new().threshold(v)), &[7.0, NAN]),
    ("bins", |v| measured(CalibrationError::new().bins(v as usize)), &[0.0, 1e9]),
    ("max_order", |v| measured(Bleu::new().max_order(v as usize)), &[0.0, 100.0]),
    ("top_k", |v| measured(Precision::new().top_k(v as usize)), &[0.0]),
    ("k", |v| measured(TopKCategoricalAccuracy::new(v as usize)), &[0.0]),
    ("num_classes", |v| measured(MeanIoU::new(v as usize)), &[0.0, 1e9]),
    // Optimizers and rates.
    ("learning_rate", |v| trained(SGD::new(v)), &[-1.0, NAN, INF]),
    ("momentum", |v| trained(SGD::new(0.1).momentum(v)), &[2.0, -0.1, NAN]),
    ("beta_1", |v| trained(Adam::new(0.1).beta_1(v)), &[1.5, 1.0, -0.1, NAN]),
    ("beta_2", |v| trained(Adam::new(0.1).beta_2(v)), &[1.5, 1.0, -0.1, NAN]),
    ("epsilon", |v| trained(Adam::new(0.1).epsilon(v)), &[-1.0, NAN, INF]),
    ("weight_decay", |v| trained(AdamW::new(0.1).weight_decay(v)), &[-1.0, NAN, INF]),
    ("beta_1", |v| trained(AdamW::new(0.1).beta_1(v)), &[1.5, 1.0, -0.1, NAN]),
    ("beta_2", |v| trained(AdamW::new(0.1).beta_2(v)), &[1.5, 1.0, -0.1, NAN]),
    ("epsilon", |v| trained(AdamW::new(0.1).epsilon(v)), &[-1.0, NAN, INF]),
    ("beta_1", |v| trained(Adamax::new(0.1).beta_1(v)), &[1.5, 1.0, -0.1, NAN]),
    ("beta_2", |v| trained(Adamax::new(0.1).beta_2(v)), &[1.5, 1.0, -0.1, NAN]),
    ("epsilon", |v| trained(Adamax::new(0.1).epsilon(v)), &[-1.0, NAN, INF]),
    ("beta_1", |v| trained(Nadam::new(0.1).beta_1(v)), &[1.5, 1.0, -0.1, NAN]),
    ("beta_2", |v| trained(Nadam::new(0.1).beta_2(v)), &[1.5, 1.0, -0.1, NAN]),
    ("epsilon", |v| trained(Nadam::new(0.1).epsilon(v)), &[-1.0, NAN, INF]),
    ("rho", |v| trained(RMSprop::new(0.1).rho(v)), &[1.5, 1.0, -0.1, NAN]),
    ("momentum", |v| trained(RMSprop::new(0.1).momentum(v)), &[2.0, -0.1, NAN]),
    ("epsilon", |v| trained(RMSprop::new(0.1).epsilon(v)), &[-1.0, NAN, INF]),
    (
        "initial_accumulator_value",
        |v| trained(Adagrad::new(0.1).initial_accumulator_value(v)),
        &[-1.0, NAN, INF],
    ),
    ("epsilon", |v| trained(Adagrad::new(0.1).epsilon(v)), &[-1.0, NAN, INF]),
    ("rho", |v| trained(Adadelta::new(0.1).rho(v)), &[1.5, 1.0, -0.1, NAN]),
    ("epsilon", |v| trained(Adadelta::new(0.1).epsilon(v)), &[-1.0, NAN, INF]),
    ("learning_rate_power", |v| trained(Ftrl::new(0.1).learning_rate_power(v)), &[0.5, NAN, -INF]),
    (
        "initial_accumulator_value",
        |v| trained(Ftrl::new(0.1).initial_accumulator_value(v)),
        &[-1.0, NAN, INF],
    ),
    (
        "l1_regularization_strength",
        |v| trained(Ftrl::new(0.1).l1_regularization_strength(v)),
        &[-1.0, NAN, INF],
    ),
    (
        "l2_regularization_strength",
        |v| trained(Ftrl::new(0.1).l2_regularization_strength(v)),
        &[-1.0, NAN, INF],
    ),
    (
        "l2_shrinkage_regularization_strength",
        |v| trained(Ftrl::new(0.1).l2_shrinkage_regularization_strength(v)),
        &[-1.0, NAN, INF],
    ),
    ("beta", |v| trained(Ftrl::new(0.1).beta(v)), &[-1.0, NAN, INF]),
    ("beta_1", |v| trained(Lion::new(0.1).beta_1(v)), &[1.5, 0.0, -0.1, NAN]),
    ("beta_2", |v| trained(Lion::new(0.1).beta_2(v)), &[1.5, -0.1, NAN]),
    ("beta_1", |v| trained(Lamb::new(0.1).beta_1(v)), &[1.5, 1.0, -0.1, NAN]),
    ("beta_2", |v| trained(Lamb::new(0.1).beta_2(v)), &[1.5, 1.0, -0.1, NAN]),
    ("epsilon", |v| trained(Lamb::new(0.1).epsilon(v)), &[-1.0, NAN, INF]),
    ("beta_2_decay", |v| trained(Adafactor::new(0.1).beta_2_decay(v)), &[0.5, NAN, -INF]),
    ("epsilon_1", |v| trained(Adafactor::new(0.1).epsilon_1(v)), &[-1.0, NAN, INF]),
    ("epsilon_2", |v| trained(Adafactor::new(0.1).epsilon_2(v)), &[-1.0, NAN, INF]),
    ("clip_threshold", |v| trained(Adafactor::new(0.1).clip_threshold(v)), &[0.0, -1.0, NAN]),
    ("adam_beta_1", |v| trained(Muon::new(0.1).adam_beta_1(v)), &[1.5, 1.0, -0.1, NAN]),
    ("adam_beta_2", |v| trained(Muon::new(0.1).adam_beta_2(v)), &[1.5, 1.0, -0.1, NAN]),
    ("adam_weight_decay", |v| trained(Muon::new(0.1).adam_weight_decay(v)), &[-1.0, NAN, INF]),
    ("adam_lr_ratio", |v| trained(Muon::new(0.1).adam_lr_ratio(v)), &[-1.0, NAN, INF]),
    ("weight_decay", |v| trained(Muon::new(0.1).weight_decay(v)), &[-1.0, NAN, INF]),
    ("epsilon", |v| trained(Muon::new(0.1).epsilon(v)), &[-1.0, NAN, INF]),
    ("rms_rate", |v| trained(Muon::new(0.1).rms_rate(v)), &[-1.0, NAN, INF]),
    ("momentum", |v| trained(Muon::new(0.1).momentum(v)), &[2.0, -0.1, NAN]),
    ("muon_a", |v| trained(Muon::new(0.1).muon_a(v)), &[NAN, INF]),
    ("muon_b", |v| trained(Muon::new(0.1).muon_b(v)), &[NAN, INF]),
    ("muon_c", |v| trained(Muon::new(0.1).muon_c(v)), &[NAN, INF]),
    ("beta_1", |v| trained(ScheduleFreeAdamW::new(0.1).beta_1(v)), &[1.5, 0.0, -0.1, NAN]),
    ("beta_2", |v| trained(ScheduleFreeAdamW::new(0.1).beta_2(v)), &[1.5, 1.0, -0.1, NAN]),
    ("epsilon", |v| trained(ScheduleFreeAdamW::new(0.1).epsilon(v)), &[-1.0, NAN, INF]),
    ("momentum", |v| trained(optim::MultiOptimizer::new(SGD::new(0.1).momentum(v))), &[2.0, NAN]),
    ("max_learning_rate", |v| scheduled(schedule::OneCycle::new(v, 10)), &[-1.0, NAN, INF]),
    ("total_steps", |v| scheduled(schedule::OneCycle::new(0.1, v as u64)), &[0.0]),
    ("pct_start", |v| scheduled(schedule::OneCycle::new(0.1, 10).pct_start(v)), &[-0.1, 1.5, NAN]),
    (
        "pct_start",
        |v| scheduled(schedule::OneCycle::new(0.1, 10).three_phase(true).pct_start(v)),
        &[0.6, NAN],
    ),
    ("div_factor", |v| scheduled(schedule::OneCycle::new(0.1, 10).div_factor(v)), &[0.0, -1.0, NAN, INF]),
    (
        "final_div_factor",
        |v| scheduled(schedule::OneCycle::new(0.1, 10).final_div_factor(v)),
        &[0.0, NAN, INF],
    ),
    ("steps", |v| scheduled(schedule::LinearWarmup::new(v as u64, 0.1)), &[0.0]),
    ("start", |v| scheduled(schedule::LinearWarmup::new(5, 0.1).start(v)), &[-1.0, NAN, INF]),
    ("learning_rate", |v| scheduled(schedule::LinearWarmup::new(5, v)), &[-1.0, NAN, INF]),
    ("initial_learning_rate", |v| scheduled(schedule::MultiStepDecay::new(v, [1])), &[-1.0, NAN, INF]),
    ("gamma", |v| scheduled(schedule::MultiStepDecay::new(0.1, [1]).gamma(v)), &[-1.0, NAN, INF]),
    ("milestones", |v| scheduled(schedule::MultiStepDecay::new(0.1, [5, v as u64])), &[5.0, 1.0]),
    ("clipnorm", |v| trained(SGD::new(0.1).clipnorm(v)), &[0.0, -1.0, NAN]),
    ("global_clipnorm", |v| trained(SGD::new(0.1).global_clipnorm(v)), &[0.0, -1.0, NAN]),
    ("clipvalue", |v| trained(SGD::new(0.1).clipvalue(v)), &[0.0, -1.0, NAN]),
    ("weight_decay", |v| trained(SGD::new(0.1).weight_decay(v)), &[-1.0, NAN, INF]),
    ("ema_momentum", |v| trained(SGD::new(0.1).use_ema(v)), &[1.5, -0.1, NAN]),
    ("initial_learning_rate", |v| scheduled(schedule::ExponentialDecay::new(v, 1, 0.5)), &[-1.0, NAN, INF]),
    ("decay_rate", |v| scheduled(schedule::ExponentialDecay::new(0.1, 1, v)), &[-1.0, NAN, INF]),
    ("decay_rate", |v| scheduled(schedule::InverseTimeDecay::new(0.1, 1, v)), &[-1.0, NAN, INF]),
    (
        "end_learning_rate",
        |v| scheduled(schedule::PolynomialDecay::new(0.1, 1).end_learning_rate(v)),
        &[-1.0, NAN],
    ),
    ("power", |v| scheduled(schedule::PolynomialDecay::new(0.1, 1).power(v)), &[-1.0, NAN, INF]),
    ("alpha", |v| scheduled(schedule::CosineDecay::new(0.1, 1).alpha(v)), &[-1.0, 2.0, NAN]),
    ("warmup_target", |v| scheduled(schedule::CosineDecay::new(0.1, 1).warmup(v, 3)), &[-1.0, NAN, INF]),
    ("alpha", |v| scheduled(schedule::CosineDecayRestarts::new(0.1, 1).alpha(v)), &[-1.0, 2.0, NAN]),
    ("t_mul", |v| scheduled(schedule::CosineDecayRestarts::new(0.1, 1).t_mul(v)), &[0.5, NAN, INF]),
    ("m_mul", |v| scheduled(schedule::CosineDecayRestarts::new(0.1, 1).m_mul(v)), &[-1.0, NAN, INF]),
    ("values", |v| scheduled(schedule::PiecewiseConstantDecay::new([5], [0.1, v])), &[-1.0, NAN, INF]),
    // Regularizers, constraints, initializers, activations.
    ("l1", |v| penalized(L1::new(v)), &[-5.0, NAN, INF]),
    ("l2", |v| penalized(L2::new(v)), &[-5.0, NAN, INF]),
    ("l1", |v| penalized(L1L2::new(v, 0.1)), &[-5.0, NAN, INF]),
    ("l2", |v| penalized(L1L2::new(0.1, v)), &[-5.0, NAN, INF]),
    ("factor", |v| penalized(OrthogonalRegularizer::new(v)), &[-5.0, NAN, INF]),
    ("max_value", |v| bounded(MaxNorm::new(v)), &[-1.0, NAN, INF]),
    ("MinMaxNorm", |v| bounded(MinMaxNorm::new(v, 1.0)), &[-1.0, 2.0, NAN]),
    ("rate", |v| bounded(MinMaxNorm::new(0.0, 1.0).rate(v)), &[-1.0, 2.0, NAN]),
    ("scale", |v| begun(initializer::VarianceScaling::new(v)), &[0.0, -1.0, NAN, INF]),
    ("value", |v| begun(initializer::Constant::new(v)), &[NAN]),
    ("RandomUniform", |v| begun(initializer::RandomUniform::new(v, 0.0)), &[1.0, NAN, -INF]),
    ("mean", |v| begun(initializer::RandomNormal::new(v, 1.0)), &[NAN, INF]),
    ("stddev", |v| begun(initializer::RandomNormal::new(0.0, v)), &[-1.0, NAN, INF]),
    ("stddev", |v| begun(initializer::TruncatedNormal::new(0.0, v)), &[-1.0, NAN, INF]),
    ("gain", |v| begun(initializer::Orthogonal::new(v)), &[NAN, INF]),
    ("gain", |v| begun(initializer::Identity::new(v)), &[NAN, INF]),
    ("negative_slope", |v| activated(activation::LeakyRelu.negative_slope(v)), &[NAN, INF]),
    ("alpha", |v| activated(activation::Elu.alpha(v)), &[NAN, INF]),
    ("alpha", |v| activated(activation::Celu.alpha(v)), &[0.0, NAN, INF]),
    ("b", |v| activated(activation::Squareplus.b(v)), &[-1.0, NAN, INF]),
    ("threshold", |v| activated(activation::SoftShrink.threshold(v)), &[-0.5, NAN, INF]),
    ("threshold", |v| activated(activation::HardShrink.threshold(v)), &[-0.5, NAN, INF]),
    ("threshold", |v| activated(activation::Relu.threshold(v)), &[NAN, INF]),
    ("max_value", |v| activated(activation::Relu.max_value(v)), &[-1.0, NAN]),
    // Callbacks.
    ("min_delta", |v| called(EarlyStopping::new("loss").min_delta(v)), &[NAN, INF]),
    ("baseline", |v| called(EarlyStopping::new("loss").baseline(v)), &[NAN]),
    ("factor", |v| called(ReduceLROnPlateau::new("loss").factor(v)), &[1.0, 2.0, -0.1, NAN]),
    ("min_lr", |v| called(ReduceLROnPlateau::new("loss").min_lr(v)), &[-1.0, NAN, INF]),
    ("min_delta", |v| called(ReduceLROnPlateau::new("loss").min_delta(v)), &[NAN]),
];

#[test]
fn settings_out_of_range_are_errors_that_name_them() {
    let mut wrong = Vec::new();
    for (name, make, values) in CASES {
        for value in *values {
            match make(*value) {
                Ok(()) => wrong.push(format!("{name} {value} is accepted")),
                Err(e) if !e.to_string().contains(&format!("{name}: expected ")) => {
                    wrong.push(format!("{name} {value}: {e}"))
                }
                Err(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// All numbers of a configuration, each replaced by others.
fn bent(config: &Value) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    for (key, value) in config.as_object().unwrap() {
        if !(value.is_f64() || value.is_i64() || value.is_u64()) {
            continue;
        }
        for number in [json!(-3), json!(-3.5), json!(0), json!(7), json!(1e300), json!(-1e300)] {
            let mut config = config.clone();
            config[key] = number.clone();
            out.push((format!("{key} {number}"), config));
        }
    }
    out
}

/// Each member of a kind that has a default, with each number bent: refused, or harmless.
fn each<K: ?Sized + Kind>(names: &[&str], mut harmless: impl FnMut(&K) -> Result<bool, Error>) {
    let registry = Registry::new();
    let mut wrong = Vec::new();
    for name in names.iter().filter(|name| **name != "Tuned") {
        let Ok(default) = Dyn::<K>::read(json!(name), &registry) else { continue };
        for (what, config) in bent(&default.config().unwrap()) {
            let Ok(bent) = Dyn::<K>::read(json!({ "class_name": name, "config": config }), &registry) else {
                continue;
            };
            if matches!(harmless(&bent), Ok(false)) {
                wrong.push(format!("{name} {what}"));
            }
        }
    }
    assert!(wrong.is_empty(), "accepted, and the result is no number: {wrong:#?}");
}

#[test]
fn what_is_accepted_gives_numbers() {
    let finite = |t: &Tensor| Ok(t.cast(DType::F64)?.to_vec::<f64>()?.iter().all(|v| v.is_finite()));
    let p = Tensor::from_slice(&[0.2, 0.8, 0.4, 0.6], [2, 2]).unwrap();
    let y = Tensor::from_slice(&[0.0, 1.0, 1.0, 0.0], [2, 2]).unwrap();
    each::<dyn Loss>(loss::NAMES, |loss| finite(&loss.value(&y, &p, None)?));
    each::<dyn Metric>(metric::NAMES, |metric| {
        let mut metric = metric.clone_metric();
        metric.update(&y, &p, None)?;
        Ok(metric.result().is_finite())
    });
    each::<dyn Regularizer>(gradus::nn::regularizer::NAMES, |r| {
        // A factor may be large: that it is one is all that is asked.
        r.penalty(&p).map(|_| true)
    });
    each::<dyn Initializer>(initializer::NAMES, |i| {
        let stream = gradus::random::Stream::new(0, gradus::random::Purpose::User(0), 0);
        let f = i.value(&gradus::Shape::new(&[2, 2])?, stream)?;
        Ok((0..4).all(|at| f(at).is_finite()))
    });
    each::<dyn Optimizer>(optim::NAMES, |optimizer| {
        optimizer.check()?;
        // A factor may be large, and what it gives too; those of Muon's polynomial take singular values to its fifth power again and again.
        if optimizer.config()?.to_string().contains("e+300") || optimizer.class_name() == "Muon" {
            return Ok(true);
        }
        optimizer.options().weight_decay.map_or(Ok(()), |decay| match decay {
            0.0..=7.0 => Ok(()),
            _ => Err(Error::Custom("what the driver refuses".into())),
        })?;
        for start in [&p, &Tensor::from_slice(&[0.5, 0.25], [2])?] {
            let mut w = start.detach();
            let g = gradus::autograd::Gradient::Dense(w.affine(0.5, 0.1)?.contiguous()?);
            let mut slots: Vec<Tensor> = Vec::new();
            for slot in optimizer.slots("kernel", w.spec()) {
                slots.push(match slot.start {
                    gradus::optim::Start::Value(v) => {
                        Tensor::zeros(slot.spec(w.spec()).shape)?.cast(w.dtype())?.affine(1.0, v)?
                    }
                    _ => w.detach(),
                });
            }
            for step in 1..4 {
                let step = gradus::optim::Step::new(step, 0.01);
                optimizer.update(&step, gradus::optim::Update::new("kernel", &mut w, &g, &mut slots))?;
            }
            if !finite(&w)? {
                return Ok(false);
            }
        }
        Ok(true)
    });
    each::<dyn LearningRateSchedule>(schedule::NAMES, |s| {
        s.check()?;
        Ok([0, 1, 2, 1000].into_iter().all(|step| !s.at(step).is_nan()))
    });
}
