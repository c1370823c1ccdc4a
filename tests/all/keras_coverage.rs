//! Writes and checks `docs/keras-coverage.md`, the page on which names of Keras exist here and why others do not. A
//! name of Keras that neither exists here nor has a reason fails, and so does a reason for a name that exists.
//! `UPDATE_SNAPSHOTS=1` writes the page anew; the names are those of Keras 3.15 (`tests/parity/names.json`).

use crate::optimizers_every::BY_NAME;
use gradus::config::{Dyn, Kind, Registry, Setting};
use gradus::loss::{self, Loss};
use gradus::metric::{self, Metric};
use gradus::nn::Build;
use gradus::nn::activation::{self, Activation};
use gradus::nn::constraint::{self, Constraint};
use gradus::nn::initializer::{self, Initializer};
use gradus::nn::layers;
use gradus::nn::regularizer::{self, Regularizer};
use gradus::optim::{LearningRateSchedule, Optimizer};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;

/// What the library has of a kind by another name than Keras: Keras's name, ours.
const CALLED: &[(&str, &str)] = &[
    ("InputLayer", "Input"),
    ("Initializer", "a trait"),
    ("Regularizer", "a trait"),
    ("Constraint", "a trait"),
    ("Layer", "a trait"),
    ("Loss", "a trait"),
    ("Metric", "a trait"),
    ("MeanMetricWrapper", "`metric::from_fn`"),
    ("Wrapper", "a trait"),
    ("InputSpec", "the shapes given to `Build::build`"),
    ("Pipeline", "Sequential"),
    ("Optimizer", "a trait"),
    ("OptimizerMap", "the patterns of `MultiOptimizer`"),
    ("LearningRateSchedule", "a trait"),
    ("get", "`Setting::read`"),
    ("serialize", "`Setting::write`"),
    ("deserialize", "`Setting::read`"),
    ("Callback", "a trait"),
];

/// Why a name is not here: the reason, and the names it is the reason for.
const MISSING: &[(&str, &[&str])] = &[
    (
        "later: preprocessing and random augmentation of images",
        &[
            "AugMix",
            "AutoContrast",
            "ContrastLimitedAdaptiveHistogramEqualization",
            "CutMix",
            "Equalization",
            "MaxNumBoundingBoxes",
            "MixUp",
            "RandAugment",
            "RandomBrightness",
            "RandomColorDegeneration",
            "RandomColorJitter",
            "RandomContrast",
            "RandomCrop",
            "RandomElasticTransform",
            "RandomErasing",
            "RandomFlip",
            "RandomGaussianBlur",
            "RandomGrayscale",
            "RandomHue",
            "RandomInvert",
            "RandomPerspective",
            "RandomPosterization",
            "RandomRotation",
            "RandomSaturation",
            "RandomSharpness",
            "RandomShear",
            "RandomTranslation",
            "RandomZoom",
            "Solarization",
        ],
    ),
    (
        "later: preprocessing of text, categories and columns",
        &[
            "CategoryEncoding",
            "Discretization",
            "HashedCrossing",
            "Hashing",
            "IntegerLookup",
            "StringLookup",
            "TextVectorization",
        ],
    ),
    ("later: spectrograms", &["MelSpectrogram", "STFTSpectrogram"]),
    (
        "for training in float16, of which there is none here: a parameter is float32 or float64",
        &["LossScaleOptimizer"],
    ),
    (
        "wraps a model of another framework, of which there is none here",
        &["FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"],
    ),
    (
        "`ModelCheckpoint` and `Model::load` go on with the same bytes, optimizer and progress included",
        &["BackupAndRestore"],
    ),
    ("writes the format of another library, of checkpoints of JAX", &["OrbaxCheckpoint"]),
    (
        "a library that nobody asked opens no connections: a `LambdaCallback` with a client of your own does",
        &["RemoteMonitor"],
    ),
];

/// `keras.utils`: what does the same here, or after a dash why nothing does.
const UTILS: &[(&str, &str)] = &[
    ("Config", "a struct with `settings!`"),
    ("CustomObjectScope", "`Registry`, given to the loader"),
    ("FeatureSpace", "`io::Encoder` of a table"),
    ("Progbar", "`train::ProgbarLogger`"),
    ("PyDataset", "the trait `data::Source`"),
    ("Sequence", "the trait `data::Source`"),
    ("array_to_img", "— later: images and sounds as files"),
    ("audio_dataset_from_directory", "— later: images and sounds as files"),
    ("bounding_boxes", "— later: preprocessing and random augmentation of images"),
    ("clear_session", "— nothing is global that could be cleared"),
    ("custom_object_scope", "`Registry`, given to the loader"),
    ("deserialize_keras_object", "`Setting::read`"),
    ("disable_interactive_logging", "`Fit::verbose`"),
    ("enable_interactive_logging", "`Fit::verbose`"),
    ("get_custom_objects", "`Registry`, given to the loader"),
    ("get_file", "`datasets::Download`, for the data sets that it knows"),
    ("get_registered_name", "`Described::NAME`"),
    ("get_registered_object", "`Registry`"),
    ("get_source_inputs", "— a network keeps its inputs: `Network::input_names`"),
    ("image_dataset_from_directory", "— later: images and sounds as files"),
    ("img_to_array", "— later: images and sounds as files"),
    ("is_interactive_logging_enabled", "`Fit::verbose`"),
    ("is_keras_tensor", "— symbols have a type of their own, `nn::Symbol`"),
    ("legacy", "— of older versions"),
    ("load_img", "— later: images and sounds as files"),
    ("model_to_dot", "— later: drawings of networks"),
    ("normalize", "`data::normalize`"),
    ("pack_x_y_sample_weight", "`data::Sample`"),
    ("pad_sequences", "`data::pad_sequences`"),
    ("plot_model", "— later: drawings of networks"),
    ("register_keras_serializable", "`Registry::with`"),
    ("save_img", "— later: images and sounds as files"),
    ("serialize_keras_object", "`Setting::write`"),
    ("set_random_seed", "`.seed(…)` of each network: nothing is global"),
    ("split_dataset", "`Dataset::split`"),
    ("standardize_dtype", "`DType`, of which there is no second spelling"),
    ("text_dataset_from_directory", "— read the files and give them to `text::Tokenizer::batch`"),
    ("timeseries_dataset_from_array", "`data::Timeseries`"),
    ("to_categorical", "`data::to_categorical`"),
    ("unpack_x_y_sample_weight", "`data::Sample`"),
];

/// `keras.random`, in the same way.
const RANDOM: &[(&str, &str)] = &[
    ("SeedGenerator", "`random::Stream`"),
    ("beta", "`Tensor::sample` of `Distribution::Beta`"),
    ("binomial", "— a sum of draws of `Tensor::bernoulli`"),
    ("categorical", "`Tensor::categorical`"),
    ("dropout", "`Tensor::dropout`"),
    ("gamma", "`Tensor::sample` of `Distribution::Gamma`"),
    ("normal", "`Tensor::randn`"),
    ("randint", "`Tensor::randint`"),
    ("shuffle", "`Tensor::shuffle`"),
    ("truncated_normal", "`Tensor::sample` of `Distribution::TruncatedNormal`"),
    ("uniform", "`Tensor::rand`"),
];

/// What the library has for a name of Keras in a kind.
fn here<K: ?Sized + Kind>(name: &str) -> Option<&'static str> {
    K::meant(name)
}

/// A callback of this name, or what is one and stands elsewhere.
fn callback(name: &str) -> Option<&'static str> {
    let elsewhere = ["CallbackList", "History", "TensorBoard"];
    gradus::train::CALLBACKS.iter().chain(&elsewhere).find(|own| **own == name).copied()
}

#[derive(Default)]
struct Page {
    text: String,
    wrong: Vec<String>,
    used: Vec<&'static str>,
}

impl Page {
    /// Functions and the like, which are no kind that could be asked: each has its row.
    fn functions(&mut self, title: &str, names: &Json, rows: &[(&str, &str)]) {
        let names: Vec<&str> = names.as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
        let count = rows.iter().filter(|(_, says)| !says.starts_with('—')).count();
        write!(
            self.text,
            "\n## {title}\n\n{count} of {}.\n\n| Keras | gradus |\n| --- | --- |\n",
            names.len()
        )
        .unwrap();
        for name in &names {
            match rows.iter().find(|(theirs, _)| theirs == name) {
                Some((_, says)) => writeln!(self.text, "| `{name}` | {says} |").unwrap(),
                None => self.wrong.push(format!("{title}: '{name}' has no row")),
            }
        }
        for (name, _) in rows.iter().filter(|(name, _)| !names.contains(name)) {
            self.wrong.push(format!("{title}: Keras has no '{name}'"));
        }
    }

    fn kind(&mut self, title: &str, names: &Json, has: fn(&str) -> Option<&'static str>) {
        let names: Vec<&str> = names.as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
        let mut rows = String::new();
        let mut count = 0;
        for &name in &names {
            let reason = MISSING.iter().find(|(_, names)| names.contains(&name)).map(|(reason, _)| *reason);
            let called = CALLED.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours);
            let says = match (has(name), called, reason) {
                (Some(ours), None, None) if ours == name => "here".to_string(),
                (Some(ours), None, None) => format!("`{ours}`"),
                (None, Some(ours), None) => ours.to_string(),
                (None, None, Some(reason)) => format!("— {reason}"),
                (None, None, None) => {
                    self.wrong.push(format!("{title}: '{name}' is neither here nor has a reason in MISSING"));
                    continue;
                }
                _ => {
                    self.wrong.push(format!("{title}: '{name}' is here: take it out of MISSING and CALLED"));
                    continue;
                }
            };
            count += usize::from(!says.starts_with('—'));
            self.used.extend(MISSING.iter().flat_map(|(_, names)| *names).find(|n| **n == name));
            writeln!(rows, "| `{name}` | {says} |").unwrap();
        }
        let n = names.len();
        write!(self.text, "\n## {title}\n\n{count} of {n}.\n\n| Keras | gradus |\n| --- | --- |\n{rows}")
            .unwrap();
    }
}

#[test]
fn every_name_of_keras_is_here_or_has_a_reason() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = std::fs::read_to_string(root.join("tests/parity/names.json")).unwrap();
    let names: Json = serde_json::from_str(&names).unwrap();
    let mut page = Page::default();
    page.text.push_str(
        "# Names of Keras\n\nMade from the code by `UPDATE_SNAPSHOTS=1 cargo test --test all keras_coverage`; do not edit. What is named \
         otherwise stands under its name here; what is missing has its reason. [keras.md] says what differs.\n\n\
         [keras.md]: keras.md\n",
    );
    page.kind("Layers", &names["layers"], here::<dyn Build>);
    page.kind("Activations", &names["activations"], here::<dyn Activation>);
    page.kind("Initializers", &names["initializers"], here::<dyn Initializer>);
    page.kind("Regularizers", &names["regularizers"], here::<dyn Regularizer>);
    page.kind("Constraints", &names["constraints"], here::<dyn Constraint>);
    page.kind("Optimizers", &names["optimizers"], here::<dyn Optimizer>);
    page.kind("Learning rate schedules", &names["optimizers.schedules"], here::<dyn LearningRateSchedule>);
    page.kind("Losses", &names["losses"], here::<dyn Loss>);
    page.kind("Metrics", &names["metrics"], here::<dyn Metric>);
    let theirs = |name: &&str| names["metrics"].as_array().unwrap().iter().any(|n| n == *name);
    let beside: Vec<String> =
        metric::NAMES.iter().filter(|n| !theirs(n) && **n != "Tuned").map(|n| format!("`{n}`")).collect();
    writeln!(page.text, "\nBeside them: {}.", beside.join(", ")).unwrap();
    page.kind("Callbacks", &names["callbacks"], callback);
    page.functions("Utilities", &names["utils"], UTILS);
    page.functions("Random numbers", &names["random"], RANDOM);
    for name in MISSING.iter().flat_map(|(_, names)| *names).filter(|name| !page.used.contains(name)) {
        page.wrong.push(format!("MISSING has '{name}', which Keras has not, or twice"));
    }
    assert!(page.wrong.is_empty(), "{}", page.wrong.join("\n"));
    let path = root.join("docs/keras-coverage.md");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &page.text).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stands == page.text,
        "docs/keras-coverage.md is stale: run UPDATE_SNAPSHOTS=1 cargo test --test all keras_coverage"
    );
}

/// Each name alone is read, and what it gives is written in full and read again.
fn read_by_name<K: ?Sized + Kind>(own: &[&str]) {
    for name in own {
        let snake = K::WHAT.to_string() + " " + name;
        let Ok(thing) = Dyn::<K>::read(json!(name), &Registry::new()) else {
            // Keras's need settings there too, or are ours alone.
            let needs = [
                "Threshold",
                "Tuned",
                "MeanLoss",
                "IoU",
                "MeanIoU",
                "OneHotIoU",
                "OneHotMeanIoU",
                "PrecisionAtRecall",
                "RecallAtPrecision",
                "SensitivityAtSpecificity",
                "SpecificityAtSensitivity",
            ];
            assert!(needs.contains(name), "{snake} needs no settings in Keras");
            continue;
        };
        let written = thing.write().unwrap();
        assert_eq!(written["class_name"], *name);
        assert_eq!(Dyn::<K>::read(written.clone(), &Registry::new()).unwrap().write().unwrap(), written);
    }
}

#[test]
fn names_alone_have_the_defaults_of_keras() {
    for name in BY_NAME.into_iter().chain(["SGD", "schedulefreeadamw"]) {
        let optimizer = Dyn::<dyn Optimizer>::read(json!(name), &Registry::new()).unwrap();
        let rate = match name {
            "sgd" | "SGD" => 0.01,
            "schedulefreeadamw" => 0.0025,
            _ => 0.001,
        };
        assert_eq!(optimizer.learning_rate().at(0), rate, "{name}");
        assert_eq!(optimizer.config().unwrap(), optimizer.write().unwrap()["config"]);
    }
    read_by_name::<dyn Activation>(activation::NAMES);
    read_by_name::<dyn Initializer>(initializer::NAMES);
    read_by_name::<dyn Regularizer>(regularizer::NAMES);
    read_by_name::<dyn Constraint>(constraint::NAMES);
    read_by_name::<dyn Loss>(loss::NAMES);
    read_by_name::<dyn Metric>(metric::NAMES);
    assert!(layers::NAMES.contains(&"Dense"));
    let config = |value: Json| {
        let thing = Dyn::<dyn Initializer>::read(value, &Registry::new()).unwrap().write().unwrap();
        (thing["class_name"].as_str().unwrap().to_string(), thing["config"].clone())
    };
    assert_eq!(
        config(json!("uniform")),
        ("RandomUniform".into(), json!({ "minval": -0.05, "maxval": 0.05 }))
    );
    assert_eq!(config(json!("he_normal")), ("HeNormal".into(), json!({})));
    assert_eq!(config(json!("zero")), ("Zeros".into(), json!({})));
    let l2 = Dyn::<dyn Regularizer>::read(json!("l2"), &Registry::new()).unwrap().write().unwrap();
    assert_eq!(l2["config"], json!({ "l2": 0.01 }));
    let bound = json!({ "class_name": "MaxNorm", "config": { "max_value": 2, "axis": 0 } });
    assert!(Dyn::<dyn Constraint>::read(bound, &Registry::new()).is_ok());
    let none = Dyn::<dyn Activation>::read(Json::Null, &Registry::new()).unwrap();
    assert_eq!(none.class_name(), "Linear");
    let error = |value: Json| Dyn::<dyn Initializer>::read(value, &Registry::new()).unwrap_err().to_string();
    assert_eq!(error(json!(null)), "initializer: expected a name, or an object with class_name and config");
    assert!(error(json!("he")).starts_with("initializer: unknown name 'he', expected one of "));
}
