//! Writes and checks `docs/keras-coverage.md`, the page on which names of Keras exist here and why others do not. A
//! name of Keras that neither exists here nor has a reason fails, and so does a reason for a name that exists.
//! `UPDATE_SNAPSHOTS=1` writes the page anew; the names are those of Keras 3.15 (`tests/parity/names.json`).

use gradus::config::{Dyn, Kind, Registry, Setting};
use gradus::nn::Build;
use gradus::nn::activation::{self, Activation};
use gradus::nn::constraint::{self, Constraint};
use gradus::nn::initializer::{self, Initializer};
use gradus::nn::layers;
use gradus::nn::regularizer::{self, Regularizer};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;

/// What the library has of a kind by another name than Keras: Keras's name, ours.
const CALLED: &[(&str, &str)] = &[
    ("InputLayer", "Input"),
    ("Initializer", "a trait"),
    ("Regularizer", "a trait"),
    ("Constraint", "a trait"),
    ("Layer", "a trait"),
    ("Wrapper", "a trait"),
    ("InputSpec", "the shapes given to `Build::build`"),
    ("Pipeline", "Sequential"),
    ("get", "`Setting::read`"),
    ("serialize", "`Setting::write`"),
    ("deserialize", "`Setting::read`"),
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
    ("later: spectrograms", &["MelSpectrogram", "STFTSpectrogram", "STFT", "STFTInitializer"]),
    (
        "wraps a model of another framework, of which there is none here",
        &["FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"],
    ),
];

/// What the library has for a name of Keras in a kind.
fn here<K: ?Sized + Kind>(name: &str) -> Option<&'static str> {
    K::meant(name)
}

#[derive(Default)]
struct Page {
    text: String,
    wrong: Vec<String>,
    used: Vec<&'static str>,
}

impl Page {
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
            assert!(["Threshold"].contains(name), "{snake} needs no settings in Keras");
            continue;
        };
        let written = thing.write().unwrap();
        assert_eq!(written["class_name"], *name);
        assert_eq!(Dyn::<K>::read(written.clone(), &Registry::new()).unwrap().write().unwrap(), written);
    }
}

#[test]
fn names_alone_have_the_defaults_of_keras() {
    read_by_name::<dyn Activation>(activation::NAMES);
    read_by_name::<dyn Initializer>(initializer::NAMES);
    read_by_name::<dyn Regularizer>(regularizer::NAMES);
    read_by_name::<dyn Constraint>(constraint::NAMES);
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
    assert!(error(json!("he")).starts_with("initializer: unknown name 'he', expected one of Zeros, "));
}
