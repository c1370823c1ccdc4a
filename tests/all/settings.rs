//! Why it exists: settings are declared once, in the crate and by its users, and files keep their form: every kind's settings
//! as JSON are compared with those written down in `snapshots/settings.txt`.
#![allow(clippy::unwrap_used)]

use gradus::config::{Configured, Described, Dyn, Registry};
use gradus::nn::activation::{Activation, Linear, Relu};
use gradus::nn::layers::{Dense, Dropout};
use gradus::nn::regularizer::{L2, Regularizer};
use gradus::nn::{Cx, Layer};
use gradus::{Result, Tensor, settings, string_enum};
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
    let relu = json!({ "class_name": "Relu", "config": {} });
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
            dense("activation", json!("relu")),
            "Dense: activation: activation: expected an object with class_name and config",
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
