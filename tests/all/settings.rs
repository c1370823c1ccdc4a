//! Tests that settings keep their form in files, whether declared in the crate or by its users: every kind's
//! settings as JSON are compared with `snapshots/settings.txt`.
#![allow(clippy::unwrap_used)]

use gradus::config::{Configured, Described, Dyn, Registry};
use gradus::nn::activation::{Activation, Linear, Relu};
use gradus::nn::layers::{Dense, Dropout};
use gradus::nn::regularizer::{L2, Regularizer};
use gradus::nn::{Build, Cx, Layer};
use gradus::{DType, Result, Tensor, settings, string_enum};
use serde_json::{Value, json};

// ---- as another crate would write it

settings! {
    /// `factor · Σ w⁴`.
    #[derive(Copy, PartialEq)]
    pub struct L4 as "acme>L4" {
        /// With this factor.
        new(factor: f64);
    }
}

impl Regularizer for L4 {
    fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
        weight.square()?.square()?.sum(&[], false)?.affine(self.factor, 0.0)
    }
}

string_enum! {
    /// Which way.
    #[derive(Default)]
    pub enum Way {
        /// On.
        #[default]
        Forth = "forth",
        /// And back.
        Back = "back",
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Seen(u32);

settings! {
    /// Every form of row.
    pub layer Every as "acme>Every" {
        /// What must be given.
        new(units: usize, activation: into Dyn<dyn Activation>);

        /// By value.
        rate: f64 = 0.5,
        /// By value, named.
        way: Way = Way::Forth,
        /// Whatever becomes one.
        gate: into Dyn<dyn Activation> = Linear,
        /// Lists too.
        axes: into Vec<isize> = [-1],
        /// One or none.
        class: some u64,
        /// One or none of what becomes one.
        penalty: some into Dyn<dyn Regularizer>,
        window: stored [usize; 2] = [1, 1],
        seen: state Seen = Seen::default(),
    }
}

impl Every {
    fn window(mut self, height: usize, width: usize) -> Every {
        self.window = [height, width];
        self
    }
}

gradus::parts!(Every {});
impl Layer for Every {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        self.activation.apply(x)
    }
}

settings! {
    /// No settings at all.
    #[derive(Copy, PartialEq, Eq)]
    struct Nothing {
        /// Nothing to give.
        new();
    }
}

settings! {
    struct ByHand {
        pub size: stored u64,
        /// A setting.
        pub flag: bool = false,
    }
}

impl ByHand {
    fn square(side: u64) -> ByHand {
        ByHand { size: side * side, flag: true }
    }
}

fn error<T: Described + std::fmt::Debug>(config: Value) -> String {
    T::from_config(config, &Registry::new()).unwrap_err().to_string()
}

#[test]
fn everything_comes_back() {
    let every = Every::new(3, Relu)
        .rate(0.1)
        .way(Way::Back)
        .gate(Relu)
        .axes([0, 1])
        .class(7)
        .penalty(L4::new(2.0))
        .window(2, 3)
        .named("all")
        .frozen();
    let relu = json!({
        "class_name": "Relu", "config": { "negative_slope": 0.0, "max_value": null, "threshold": 0.0 },
    });
    let expected = json!({
        "units": 3, "activation": relu, "rate": 0.1, "way": "back", "gate": relu, "axes": [0, 1], "class": 7,
        "penalty": { "class_name": "acme>L4", "config": { "factor": 2.0 } }, "window": [2, 3],
        "name": "all", "trainable": false,
    });
    assert_eq!(every.config().unwrap(), expected);
    let registry = Registry::new().regularizer::<L4>().unwrap();
    let again = Every::from_config(expected.clone(), &registry).unwrap();
    assert_eq!(again.config().unwrap(), expected);
    let common = Configured::common(&again).unwrap();
    assert_eq!((common.name.as_deref(), common.frozen), (Some("all"), true));
    assert_eq!(
        (Configured::class_name(&again), again.registered_name(), Every::NAME),
        ("Every", "acme>Every", "acme>Every")
    );
    assert_eq!(again.seen, Seen(0));

    let least = json!({ "units": 3, "activation": relu });
    let least = Every::from_config(least, &Registry::new()).unwrap();
    assert_eq!(least.config().unwrap(), Every::new(3, Relu).config().unwrap());
    let common = Configured::common(&least).unwrap();
    assert_eq!((common.name.as_deref(), common.frozen), (None, false));

    let nothing = Nothing::default();
    assert_eq!(nothing.config().unwrap(), json!({}));
    assert_eq!(Nothing::from_config(json!({}), &Registry::new()).unwrap(), nothing);
    let square = ByHand::from_config(ByHand::square(3).config().unwrap(), &Registry::new()).unwrap();
    assert!(square.size == 9 && square.flag && !ByHand::square(3).flag(false).flag);
}

#[test]
fn messages_name_what_is_wrong() {
    let dense = |key: &str, value: Value| {
        let mut config = Dense::new(3).config().unwrap();
        config[key] = value;
        error::<Dense>(config)
    };
    let cases = [
        (
            dense("unit", json!(1)),
            "Dense: unknown setting 'unit'; it has: units, activation, use_bias, kernel_initializer, bias_initializer, \
             kernel_regularizer, bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, name, trainable",
        ),
        (error::<Dense>(json!({})), "Dense: the setting 'units' is missing"),
        (error::<Dense>(json!([1])), "Dense: expected an object of settings, found a list"),
        (
            dense("units", json!(-3)),
            "Dense: units: expected a whole number from 0 to 18446744073709551615, found -3",
        ),
        (
            dense("units", json!(1.5)),
            "Dense: units: expected a whole number from 0 to 18446744073709551615, found 1.5",
        ),
        (dense("use_bias", json!(null)), "Dense: use_bias: expected true or false, found null"),
        (dense("name", json!(["a"])), "Dense: name: expected a text, found a list"),
        (error::<Dropout>(json!({ "rate": "much" })), "Dropout: rate: expected a number, found \"much\""),
        (
            dense("kernel_regularizer", json!({ "class_name": "L2", "config": { "l2": null } })),
            "Dense: kernel_regularizer: L2: l2: expected a number, found null",
        ),
        (
            dense("kernel_regularizer", json!({ "class_name": "acme>L4", "config": { "factor": 2.0 } })),
            "Dense: kernel_regularizer: regularizer: unknown name 'acme>L4', expected one of L1, L2, L1L2, \
             OrthogonalRegularizer; of your own none is registered",
        ),
        (
            dense("activation", json!(3)),
            "Dense: activation: activation: expected a name, or an object with class_name and config",
        ),
        (error::<Nothing>(json!({ "some": 1 })), "Nothing: unknown setting 'some'; it has: none"),
        (error::<ByHand>(json!({ "flag": true })), "ByHand: the setting 'size' is missing"),
        (error::<Every>(json!({ "units": 3, "way": "up" })), "Every: the setting 'activation' is missing"),
    ];
    for (got, expected) in cases {
        assert_eq!(got, expected);
    }
    let every = |key: &str, value: Value| {
        let mut config = Every::new(3, Relu).config().unwrap();
        config[key] = value;
        error::<Every>(config)
    };
    assert_eq!(every("way", json!("up")), "Every: way: Way: expected one of forth, back, got 'up'");
    assert_eq!(
        every("axes", json!([0, true])),
        "Every: axes: number 1: expected a whole number from \
        -9223372036854775808 to 9223372036854775807, found true"
    );
    assert_eq!(every("window", json!([1])), "Every: window: expected a list of 2, found one of 1");

    let endless = Every::new(3, Relu).rate(f64::INFINITY).config().unwrap_err().to_string();
    assert_eq!(endless, "Every: rate: expected a finite number, which is what files can hold, got inf");
    let nested = Dense::new(1).kernel_regularizer(L2::new(f64::NAN)).config().unwrap_err().to_string();
    assert!(nested.starts_with("Dense: kernel_regularizer: L2: l2: expected a finite number"), "{nested}");
}

#[test]
fn a_name_belongs_to_one_type() {
    settings! {
        /// Not the library's.
        #[derive(Copy)]
        struct Stolen as "L2" {
            /// It.
            new();
        }
    }
    impl Regularizer for Stolen {
        fn penalty(&self, weight: &Tensor) -> Result<Tensor> {
            Ok(weight.clone())
        }
    }
    let registry = Registry::new().regularizer::<L4>().unwrap();
    let twice = registry.clone().regularizer::<L4>().unwrap_err().to_string();
    assert_eq!(twice, "Registry: expected names that are not taken, got a second regularizer 'acme>L4'");
    let own = registry.clone().regularizer::<Stolen>().unwrap_err().to_string();
    assert_eq!(
        own,
        "Registry: expected names that are not taken, got a second regularizer 'L2' beside the library's"
    );
    // One name may be of two kinds.
    let registry = registry.layer::<Every>().unwrap();
    let config = json!({ "units": 1, "kernel_regularizer": { "class_name": "acme>L5", "config": {} } });
    let e = Dense::from_config(config, &registry).unwrap_err().to_string();
    assert!(e.contains("OrthogonalRegularizer or, registered, acme>L4"), "{e}");
    assert!(format!("{registry:?}").contains("acme>Every"));
}

// ---- files of before

/// Every kind's members, with their defaults and with everything set.
fn members() -> Vec<(&'static str, Box<dyn Configured>)> {
    use gradus::loss::{self, Loss, Reduction};
    use gradus::metric::{self, Metric};
    use gradus::nn::{activation, constraint, initializer, regularizer};
    use gradus::optim::{self, Optimizer, schedule};
    let mut out: Vec<(&'static str, Box<dyn Configured>)> = Vec::new();
    macro_rules! add {
        ($kind:literal: $($thing:expr),* $(,)?) => {$( out.push(($kind, Box::new($thing))); )*};
    }
    add!("activation":
        activation::Linear, activation::Relu, activation::Sigmoid, activation::Tanh, activation::Softmax,
        activation::LogSoftmax, activation::Gelu, activation::Silu, activation::Softplus, activation::Exponential,
    );
    add!("initializer":
        initializer::Zeros, initializer::Ones, initializer::Constant::new(0.25),
        initializer::RandomUniform::default(), initializer::RandomUniform::new(-1.0, 2.0),
        initializer::RandomNormal::default(), initializer::RandomNormal::new(0.5, 1e-300),
        initializer::GlorotUniform, initializer::GlorotNormal, initializer::HeUniform, initializer::HeNormal,
        initializer::LecunUniform, initializer::LecunNormal, initializer::VarianceScaling::new(1.0),
        initializer::VarianceScaling::new(2.0).mode(initializer::Fan::Avg).distribution(initializer::Distribution::UntruncatedNormal),
        initializer::VarianceScaling::new(2.0).mode(initializer::Fan::Out).distribution(initializer::Distribution::Uniform),
        initializer::TruncatedNormal::default(), initializer::TruncatedNormal::new(0.1, 0.3),
        initializer::Orthogonal::default(), initializer::Orthogonal::new(2.0), initializer::Identity::default(),
        initializer::Identity::new(-1.5), initializer::STFT::new(),
        initializer::STFT::new().side(initializer::Side::Imag).window(None).scaling(None),
        initializer::STFT::new().window(initializer::Window::FlatTop).scaling(initializer::Scaling::Spectrum).periodic(true),
    );
    add!("regularizer":
        regularizer::L1::new(0.1), regularizer::L2::new(0.1), regularizer::L1L2::new(0.1, 0.2),
        regularizer::OrthogonalRegularizer::new(0.01),
        regularizer::OrthogonalRegularizer::new(0.01).mode(regularizer::Mode::Columns),
    );
    add!("constraint":
        constraint::MaxNorm::new(2.0), constraint::MaxNorm::new(2.0).axis([0, -1]), constraint::NonNeg::new(),
        constraint::UnitNorm::new(), constraint::UnitNorm::new().axis([1]), constraint::MinMaxNorm::new(0.0, 1.0),
        constraint::MinMaxNorm::new(0.0, 1.0).rate(0.5).axis([0, 1, 2]),
    );
    add!("schedule":
        schedule::ExponentialDecay::new(0.1, 10, 0.5), schedule::ExponentialDecay::new(0.1, 10, 0.5).staircase(true),
        schedule::InverseTimeDecay::new(0.1, 10, 0.5), schedule::InverseTimeDecay::new(0.1, 10, 0.5).staircase(true),
        schedule::PiecewiseConstantDecay::new([10, 20], [1.0, 0.5, 0.25]), schedule::PolynomialDecay::new(0.1, 10),
        schedule::PolynomialDecay::new(0.1, 10).end_learning_rate(0.01).power(2.0).cycle(true),
        schedule::CosineDecay::new(0.1, 10), schedule::CosineDecay::new(0.1, 10).alpha(0.2).warmup(0.5, 3),
        schedule::CosineDecayRestarts::new(0.1, 10),
        schedule::CosineDecayRestarts::new(0.1, 10).t_mul(1.5).m_mul(0.9).alpha(0.01),
        schedule::MultiStepDecay::new(0.1, [10, 20]), schedule::MultiStepDecay::new(0.1, [10, 20]).gamma(0.5),
        schedule::OneCycle::new(0.1, 100), schedule::OneCycle::new(0.1, 100).pct_start(0.2).div_factor(10.0)
            .final_div_factor(100.0).linear(true).three_phase(true),
        schedule::LinearWarmup::new(10, 0.1), schedule::LinearWarmup::new(10, schedule::CosineDecay::new(0.1, 10)).start(0.01),
    );
    add!("optimizer":
        optim::Adam::new(0.001), optim::Adam::new(0.1 + 0.2).beta_1(0.5).beta_2(0.25).epsilon(1e-8),
        optim::SGD::new(0.01), optim::SGD::new(schedule::CosineDecay::new(0.1, 10)).momentum(0.9).nesterov(true),
        optim::SGD::new(0.01).tuned(), optim::Adam::new(0.01).clipnorm(1.0).weight_decay(0.004)
            .exclude_from_weight_decay(["bias", "gamma"]).use_ema(0.99).ema_overwrite_frequency(5)
            .gradient_accumulation_steps(2),
        optim::SGD::new(0.01).global_clipnorm(2.0).clipvalue(0.5),
        optim::Adam::new(0.01).amsgrad(true), optim::AdamW::new(0.01), optim::AdamW::new(0.01).weight_decay(0.1).beta_1(0.5)
            .beta_2(0.25).epsilon(1e-8).amsgrad(true),
        optim::AdamW::new(0.01).clipnorm(1.0), optim::Adamax::new(0.01), optim::Adamax::new(0.01).beta_1(0.5).beta_2(0.25).epsilon(1e-8),
        optim::Nadam::new(0.01), optim::Nadam::new(0.01).beta_1(0.5).beta_2(0.25).epsilon(1e-8), optim::RMSprop::new(0.01),
        optim::RMSprop::new(0.01).rho(0.5).momentum(0.25).epsilon(1e-8).centered(true), optim::Adagrad::new(0.01),
        optim::Adagrad::new(0.01).initial_accumulator_value(0.5).epsilon(1e-8), optim::Adadelta::new(0.01),
        optim::Adadelta::new(0.01).rho(0.5).epsilon(1e-8), optim::Ftrl::new(0.01), optim::Ftrl::new(0.01).learning_rate_power(-0.25)
            .initial_accumulator_value(0.5).l1_regularization_strength(0.1).l2_regularization_strength(0.2)
            .l2_shrinkage_regularization_strength(0.3).beta(0.4),
        optim::Lion::new(0.01), optim::Lion::new(0.01).beta_1(0.5).beta_2(0.25), optim::Lamb::new(0.01),
        optim::Lamb::new(0.01).beta_1(0.5).beta_2(0.25).epsilon(1e-8), optim::Adafactor::new(0.01),
        optim::Adafactor::new(0.01).beta_2_decay(-0.5).epsilon_1(1e-20).epsilon_2(0.1).clip_threshold(2.0).relative_step(false),
        optim::Muon::new(0.01), optim::Muon::new(0.01).adam_beta_1(0.5).adam_beta_2(0.25).adam_weight_decay(None).epsilon(1e-8)
            .weight_decay(0.1).exclude_layers(["output"]).exclude_embeddings(false).muon_a(1.0).muon_b(2.0).muon_c(3.0)
            .adam_lr_ratio(0.5).momentum(0.25).ns_steps(3).nesterov(false).rms_rate(None),
        optim::ScheduleFreeAdamW::new(0.01),
        optim::ScheduleFreeAdamW::new(0.01).beta_1(0.5).beta_2(0.25).epsilon(1e-9).warmup_steps(10),
        optim::MultiOptimizer::new(optim::SGD::new(0.01)),
        optim::MultiOptimizer::new(optim::SGD::new(0.01).clipnorm(1.0)).optimizer("encoder", optim::Adam::new(0.1)),
        optim::SGD::new(0.01).group("encoder", optim::Group::new().learning_rate_factor(0.1))
            .group("*/bias", optim::Group::new().weight_decay(0.0)),
    );
    add!("loss":
        loss::SparseCategoricalCrossentropy::new(), loss::SparseCategoricalCrossentropy::new().from_logits(true).ignore_class(-1),
        loss::CategoricalCrossentropy::new(), loss::CategoricalCrossentropy::new().from_logits(true).label_smoothing(0.1),
        loss::BinaryCrossentropy::new(), loss::BinaryCrossentropy::new().from_logits(true).label_smoothing(0.1),
        loss::CategoricalFocalCrossentropy::new(),
        loss::CategoricalFocalCrossentropy::new().alpha(0.5).gamma(3.0).from_logits(true).label_smoothing(0.1),
        loss::BinaryFocalCrossentropy::new(),
        loss::BinaryFocalCrossentropy::new().apply_class_balancing(true).alpha(0.5).gamma(3.0).from_logits(true).label_smoothing(0.1),
        loss::KLDivergence::new(), loss::MeanSquaredError::new(), loss::MeanAbsoluteError::new(),
        loss::MeanAbsolutePercentageError::new(), loss::MeanSquaredLogarithmicError::new(), loss::Huber::new(),
        loss::Huber::new().delta(2.0), loss::LogCosh::new(), loss::Poisson::new(), loss::CosineSimilarity::new(),
        loss::CosineSimilarity::new().axis(1), loss::Hinge::new(), loss::SquaredHinge::new(), loss::CategoricalHinge::new(),
        loss::Huber::new().tuned(), loss::Huber::new().reduction(Reduction::Sum).weight(0.5),
        loss::Huber::new().reduction(Reduction::MeanWithSampleWeight), loss::Huber::new().reduction(Reduction::None),
    );
    add!("metric":
        metric::Accuracy::new(), metric::BinaryAccuracy::new(), metric::BinaryAccuracy::new().threshold(0.7),
        metric::CategoricalAccuracy::new(), metric::SparseCategoricalAccuracy::new(),
        metric::TopKCategoricalAccuracy::new(5), metric::SparseTopKCategoricalAccuracy::new(3),
        metric::TruePositives::new(), metric::TrueNegatives::new(), metric::FalsePositives::new(),
        metric::FalseNegatives::new().threshold(0.25), metric::Precision::new(), metric::Recall::new(),
        metric::Precision::new().threshold(0.3).top_k(2).class_id(1), metric::Recall::new().top_k(2).class_id(0),
        metric::F1Score::new(), metric::F1Score::new().average(metric::Average::Micro).threshold(0.5),
        metric::FBetaScore::new(2.0), metric::FBetaScore::new(2.0).average(metric::Average::Weighted).threshold(0.5),
        metric::AUC::new(), metric::AUC::new().num_thresholds(50).curve(metric::Curve::PR)
            .summation_method(metric::Summation::Majoring).from_logits(true),
        metric::AUC::new().summation_method(metric::Summation::Minoring),
        metric::MeanAbsoluteError::new(), metric::MeanSquaredError::new(), metric::RootMeanSquaredError::new(),
        metric::CosineSimilarity::new(), metric::R2Score::new(), metric::MeanIoU::new(3),
        metric::MeanLoss::new(loss::Huber::new().delta(3.0)), metric::Accuracy::new().tuned(),
        Metric::named(metric::Precision::new().top_k(1), "p").weighted(),
    );
    use gradus::nn::Sequential;
    use gradus::nn::layers::{Activation as Layered, Checkpoint, Flatten, Input};
    add!("layer":
        Dense::new(3),
        Dense::new(3).named("d").frozen().activation(Relu).use_bias(false).kernel_regularizer(L2::new(0.5)),
        Dropout::new(0.5), Flatten::new(), Flatten::new().named("f"), Layered::new(activation::Softmax),
        Input::new([3, 4]), Input::with_unknown([None, Some(4)]).dtype(DType::I64), Checkpoint::new(Dense::new(3)),
        Sequential::new().add(Input::new([3])).add(Dense::new(1)).named("s").seed(7).dtype(DType::F64),
    );
    out
}

/// The snapshot was written by derives of serde, before settings were declared by a macro, but for `trainable` in
/// the three layers without parameters. New members add lines.
#[test]
fn files_have_the_form_they_had() {
    let registry = Registry::new();
    let mut lines = Vec::new();
    for (kind, thing) in members() {
        let config = thing.config().unwrap();
        lines.push(format!("{kind} {} {config}", thing.class_name()));
        let described = json!({ "class_name": thing.registered_name(), "config": config });
        assert_eq!(again(kind, described.clone(), &registry).unwrap(), described);
    }
    let text = lines.join("\n") + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/snapshots/settings.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    for (got, expected) in text.lines().zip(expected.lines()) {
        assert_eq!(got, expected);
    }
    assert_eq!(text.lines().count(), expected.lines().count());

    // Layers without parameters had no `trainable`.
    let dropout = Dropout::from_config(json!({ "name": "d", "rate": 0.5 }), &registry).unwrap();
    assert_eq!(dropout.config().unwrap(), Dropout::new(0.5).named("d").config().unwrap());
}

/// Read and written again, as one of a kind.
fn again(kind: &str, described: Value, registry: &Registry) -> Result<Value> {
    use gradus::config::{Kind, Setting};
    fn round<K: ?Sized + Kind>(described: Value, registry: &Registry) -> Result<Value> {
        Dyn::<K>::read(described, registry)?.write()
    }
    match kind {
        "activation" => round::<dyn Activation>(described, registry),
        "initializer" => round::<dyn gradus::nn::initializer::Initializer>(described, registry),
        "regularizer" => round::<dyn Regularizer>(described, registry),
        "constraint" => round::<dyn gradus::nn::constraint::Constraint>(described, registry),
        "schedule" => round::<dyn gradus::optim::LearningRateSchedule>(described, registry),
        "optimizer" => round::<dyn gradus::optim::Optimizer>(described, registry),
        "loss" => round::<dyn gradus::loss::Loss>(described, registry),
        "metric" => round::<dyn gradus::metric::Metric>(described, registry),
        "layer" => round::<dyn Build>(described, registry),
        other => panic!("{other}"),
    }
}
