//! Reads whole configurations of Keras, as `get_config()` gives them, as settings: `tests/parity/configs.py` wrote
//! them.

use gradus::config::{Dyn, Registry, Setting};
use gradus::nn::Build;
use serde_json::{Value as Json, json};

fn entries() -> Vec<Json> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/configs.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What a layer of Keras is here, as files would hold it; names of layers are left out.
fn read(class: &Json, config: &Json) -> gradus::Result<Json> {
    let layer = Dyn::<dyn Build>::read(json!({ "class_name": class, "config": config }), &Registry::new())?;
    let mut written = layer.write()?;
    forget_names(&mut written);
    Ok(written)
}

fn forget_names(value: &mut Json) {
    match value {
        Json::Object(map) => {
            map.remove("name");
            map.values_mut().for_each(forget_names);
        }
        Json::Array(all) => all.iter_mut().for_each(forget_names),
        _ => {}
    }
}

/// Settings that follow from others stand in Keras's configurations as what they come to.
fn follow(want: &mut Json) {
    let class = want["class_name"].as_str().unwrap().to_string();
    let config = &mut want["config"];
    if class.contains("Pooling") && config["strides"].is_null() && !config["pool_size"].is_null() {
        config["strides"] = config["pool_size"].clone();
    }
    if class == "MultiHeadAttention" && config["value_dim"].is_null() {
        config["value_dim"] = config["key_dim"].clone();
    }
    if class == "Bidirectional" {
        let layer = &mut config["layer"]["config"];
        layer["zero_output_for_mask"] = layer["return_sequences"].clone();
    }
}

#[test]
fn get_config_of_every_layer_is_read_as_its_arguments_are() {
    let entries = entries();
    assert!(entries.len() > 150);
    let mut wrong = Vec::new();
    for entry in &entries {
        let (class, config) = (&entry["layer"], &entry["config"]);
        let mut want = read(class, &entry["arguments"]).unwrap();
        let got = read(class, config);
        // Keras names the twin that it makes of the layer, and axes that it has counted.
        if class == "Bidirectional" {
            want["config"]["backward_layer"] = got.as_ref().unwrap()["config"]["backward_layer"].clone();
        }
        follow(&mut want);
        match got {
            Ok(got) if got == want => {}
            got => wrong.push(format!("{class} {config}\n  got {got:?}\n  want {want}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn values_that_would_have_an_effect_in_keras_are_refused() {
    let message = |key: &str, value: Json| {
        let mut config = json!({ "units": 2 });
        config[key] = value;
        read(&json!("LSTM"), &config).map_or_else(|e| e.to_string(), |_| "read".into())
    };
    let policy = |name: &str| json!({ "module": "keras", "class_name": "DTypePolicy", "config": { "name": name }, "registered_name": null });
    for (key, value) in [
        ("dtype", json!("float32")),
        ("dtype", json!(null)),
        ("dtype", policy("float32")),
        ("seed", json!(null)),
        ("quantization_config", json!(null)),
        ("unroll", json!(true)),
        ("synchronized", json!(true)),
    ] {
        assert_eq!(message(key, value), "read", "{key}");
    }
    for (key, value, want) in [
        (
            "dtype",
            policy("mixed_bfloat16"),
            "null or float32 (all layers have the dtype of their network: .dtype(…)), found an object",
        ),
        (
            "dtype",
            json!("float64"),
            "null or float32 (all layers have the dtype of their network: .dtype(…)), found \"float64\"",
        ),
        ("seed", json!(7), "null (random numbers follow from the seed of the network: .seed(…)), found 7"),
        ("unroll", json!("yes"), "true or false, found \"yes\""),
    ] {
        assert_eq!(message(key, value), format!("LSTM: {key}: expected {want}"));
    }
    let unknown = message("unknown", json!(null));
    assert!(unknown.contains("unknown setting 'unknown'"), "{unknown}");
}
