//! The networks of `gradus::applications` beside Keras's and keras-hub's: how many parameters they have, and what they give in float64 with
//! parameters and inputs made by a formula (`tests/parity/applications.py`).

use crate::golden::{close, floats, golden};
use gradus::applications::*;
use gradus::nn::Network;
use gradus::nn::activation::Gelu;
use gradus::prelude::*;
use gradus::{Error, Result};
use serde_json::Value as Json;

/// Numbers between -1 and 1 that do not repeat.
fn wave(shape: &[usize], phase: f64) -> Tensor {
    let n: usize = shape.iter().product();
    let values: Vec<f64> = (0..n).map(|i| libm::cos(i as f64 * 0.7 + phase)).collect();
    Tensor::from_slice(&values, shape).unwrap()
}

/// Gives every parameter the values of the formula.
fn fill(network: &mut Network) {
    let values: Vec<(String, Tensor)> = network
        .params()
        .into_iter()
        .enumerate()
        .map(|(index, (path, p))| {
            let v = wave(p.dims(), index as f64);
            let v = match path.rsplit('/').next().unwrap() {
                "moving_variance" | "gamma" => v.affine(0.25, 1.0).unwrap(),
                _ if p.rank() < 2 => v.scale(0.1).unwrap(),
                _ => {
                    let fan: usize = p.dims()[..p.rank() - 1].iter().product();
                    v.scale((1.5 / fan as f64).sqrt()).unwrap()
                }
            };
            (path, v)
        })
        .collect();
    network.set_params(&values).unwrap();
}

fn usize_of(settings: &Json, key: &str) -> usize {
    settings[key].as_u64().unwrap() as usize
}

macro_rules! built {
    ($type:ident, $settings:ident) => {{
        let s = $settings;
        let mut app = $type::new().dtype(DType::F64).include_top(s["include_top"].as_bool().unwrap());
        if let Some(pooling) = s["pooling"].as_str() {
            app = app.pooling(pooling);
        }
        if let Some(shape) = s["input_shape"].as_array() {
            let of = |i: usize| shape[i].as_u64().unwrap() as usize;
            app = app.input_shape([of(0), of(1), of(2)]);
        }
        if let Some(classes) = s["classes"].as_u64() {
            app = app.classes(classes as usize);
        }
        if s.get("classifier_activation").is_some_and(Json::is_null) {
            app = app.classifier_activation(Linear);
        }
        app
    }};
}

fn build(name: &str, s: &Json) -> Result<Network> {
    match name {
        "ResNet50" => built!(ResNet50, s).build(),
        "ResNet50V2" => built!(ResNet50V2, s).build(),
        "VGG16" => built!(VGG16, s).build(),
        "MobileNetV2" => built!(MobileNetV2, s).alpha(s["alpha"].as_f64().unwrap()).build(),
        "Bert" => Bert::new()
            .vocabulary_size(usize_of(s, "vocabulary_size"))
            .num_layers(usize_of(s, "num_layers"))
            .num_heads(usize_of(s, "num_heads"))
            .hidden_dim(usize_of(s, "hidden_dim"))
            .intermediate_dim(usize_of(s, "intermediate_dim"))
            .max_sequence_length(usize_of(s, "max_sequence_length"))
            .activation(Gelu.approximate(true))
            .padding_mask(true)
            .dtype(DType::F64)
            .build(),
        "GPT2" => gpt2(s).build(),
        other => Err(Error::Custom(format!("no application '{other}'"))),
    }
}

fn gpt2(s: &Json) -> GPT2 {
    GPT2::new()
        .vocabulary_size(usize_of(s, "vocabulary_size"))
        .num_layers(usize_of(s, "num_layers"))
        .num_heads(usize_of(s, "num_heads"))
        .hidden_dim(usize_of(s, "hidden_dim"))
        .intermediate_dim(usize_of(s, "intermediate_dim"))
        .max_sequence_length(usize_of(s, "max_sequence_length"))
        .dtype(DType::F64)
}

/// Token numbers, segments and which tokens count, as the script has them.
fn sequences() -> [Tensor; 3] {
    let ids: Vec<i64> = (0..12).map(|i| i * 5 % 23).collect();
    let segments: Vec<i64> = (0..12).map(|i| i % 2).collect();
    let mask: Vec<bool> = (0..12).map(|i| i < 10).collect();
    [
        Tensor::from_slice(&ids, [2, 6]).unwrap(),
        Tensor::from_slice(&segments, [2, 6]).unwrap(),
        Tensor::from_slice(&mask, [2, 6]).unwrap(),
    ]
}

#[test]
fn outputs_and_parameter_counts_are_keras_s() {
    for case in golden("applications")["cases"].as_array().unwrap() {
        let (name, settings) = (case["name"].as_str().unwrap(), &case["settings"]);
        let what = format!("{name} {settings}");
        let mut network = build(name, settings).unwrap();
        assert_eq!(network.count_params() as u64, case["params"].as_u64().unwrap(), "{what}");
        fill(&mut network);
        let [ids, segments, mask] = sequences();
        let y = match name {
            "Bert" => network.predict(&[ids, segments, mask]),
            "GPT2" => network.predict(&ids),
            _ => {
                let size =
                    |i: usize, of: usize| settings["input_shape"][i].as_u64().map_or(of, |n| n as usize);
                let shape = match name {
                    "VGG16" => [1, 33, 34, 3],
                    _ if settings["alpha"] == 1.4 => [1, size(0, 33), size(1, 40), 3],
                    _ => [2, 40, 36, 3],
                };
                network.predict(&wave(&shape, 0.5))
            }
        };
        let every = usize_of(case, "every");
        let y: Vec<f64> = y.unwrap().to_vec::<f64>().unwrap().into_iter().step_by(every).collect();
        // Keras's attention computes in single precision unless its scores are asked for.
        let tolerance = if matches!(name, "Bert" | "GPT2") { 1e-7 } else { 1e-9 };
        close(&what, &y, &floats(&case["output"]), tolerance);
    }
}

/// How many numbers a network's parameters hold, as Keras counts them.
fn count(name: &str) -> usize {
    let network = match name {
        "ResNet50" => ResNet50::new().build(),
        "ResNet101" => ResNet101::new().build(),
        "ResNet152" => ResNet152::new().build(),
        "ResNet50V2" => ResNet50V2::new().build(),
        "ResNet101V2" => ResNet101V2::new().build(),
        "ResNet152V2" => ResNet152V2::new().build(),
        "MobileNetV2" => MobileNetV2::new().build(),
        "VGG16" => VGG16::new().build(),
        other => Err(Error::Custom(other.into())),
    };
    network.unwrap().count_params()
}

/// Those that do not take long to draw.
#[test]
fn whole_networks_have_as_many_parameters_as_published() {
    for pair in golden("applications")["counts"].as_array().unwrap() {
        let (name, params) = (pair[0].as_str().unwrap(), pair[1].as_u64().unwrap() as usize);
        match name {
            "ResNet50" | "ResNet50V2" | "MobileNetV2" => assert_eq!(count(name), params, "{name}"),
            "VGG16" => {
                let trunk = VGG16::new().include_top(false).build().unwrap().count_params();
                let dense = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
                assert_eq!(trunk + dense(25_088, 4096) + dense(4096, 4096) + dense(4096, 1000), params);
            }
            _ => {}
        }
    }
    // torchvision's, whose count leaves the moving statistics out; GPT-2 and BERT as published, here without all but one of their tokens.
    let trained = |network: &Network| -> usize {
        let moving = |path: &str| path.contains("moving_");
        network.params().iter().filter(|(path, _)| !moving(path)).map(|(_, p)| p.elements()).sum()
    };
    assert_eq!(trained(&ResNet18::new().build().unwrap()), 11_689_512);
    let gpt2 = GPT2::new().vocabulary_size(1).build().unwrap();
    assert_eq!(gpt2.count_params() + 50_256 * 768, 124_439_808);
    let bert = Bert::new().vocabulary_size(1).build().unwrap();
    assert_eq!(bert.count_params() + 30_521 * 768, 108_891_648);
}

#[test]
#[ignore = "draws half a gigabyte of numbers: cargo test --release --test all applications -- --ignored"]
fn the_largest_networks_have_as_many_parameters_as_published() {
    for pair in golden("applications")["counts"].as_array().unwrap() {
        let name = pair[0].as_str().unwrap();
        assert_eq!(count(name) as u64, pair[1].as_u64().unwrap(), "{name}");
    }
}

#[test]
fn a_session_of_gpt2_goes_on_where_it_stopped() {
    let s = &golden("applications")["cases"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["name"] == "GPT2")
        .unwrap()["settings"]
        .clone();
    let network = gpt2(s).cache(true).seed(3).build().unwrap();
    let whole = gpt2(s).seed(3).build().unwrap();
    let [ids, ..] = sequences();
    let want = whole.predict(&ids).unwrap();
    let mut session = gradus::nn::Session::new();
    let first = network.predict_in(&mut session, &ids.slice(1, 0, 4).unwrap()).unwrap();
    assert!(first.same_bits(&want.slice(1, 0, 4).unwrap()));
    for t in 4..6 {
        let next = network.predict_in(&mut session, &ids.slice(1, t, t + 1).unwrap()).unwrap();
        assert!(next.same_bits(&want.slice(1, t, t + 1).unwrap()), "token {t}");
    }
}

#[test]
fn images_become_inputs_as_in_keras() {
    let x = Tensor::from_slice(&[0u8, 128, 255], [1, 1, 1, 3]).unwrap();
    let near = |y: Tensor, want: [f64; 3]| {
        close("pixels", &y.cast(DType::F64).unwrap().to_vec::<f64>().unwrap(), &want, 1e-6)
    };
    near(ResNet50::preprocess_input(&x).unwrap(), [255.0 - 103.939, 128.0 - 116.779, -123.68]);
    near(MobileNetV2::preprocess_input(&x).unwrap(), [-1.0, 128.0 / 127.5 - 1.0, 1.0]);
    let third = |v: f64, mean: f64, deviation: f64| (v / 255.0 - mean) / deviation;
    near(
        ResNet18::preprocess_input(&x).unwrap(),
        [third(0.0, 0.485, 0.229), third(128.0, 0.456, 0.224), third(255.0, 0.406, 0.225)],
    );
}

#[test]
fn weights_come_from_a_file_or_not_at_all() {
    let path = std::env::temp_dir().join(format!("gradus-applications-{}.safetensors", std::process::id()));
    let small = || MobileNetV2::new().alpha(0.35).include_top(false).input_shape([32, 32, 3]);
    let network = small().seed(5).build().unwrap();
    network.save_weights(&path).unwrap();
    let again = small().weights(path.to_str().unwrap()).build().unwrap();
    assert_eq!(again.weight_bytes().unwrap(), network.weight_bytes().unwrap());
    let other = MobileNetV2::new().alpha(0.5).include_top(false).weights(path.to_str().unwrap()).build();
    let message = other.unwrap_err().to_string();
    assert!(message.contains("expected") && message.contains("gradus-applications"), "{message}");
    std::fs::remove_file(&path).unwrap();
    assert!(small().weights("no/such/file.safetensors").build().is_err());
    assert!(
        small().weights("imagenet").build().is_err(),
        "nothing is downloaded, and nothing random comes in its place"
    );
}

#[test]
fn mistakes_have_messages() {
    let message = |network: Result<Network>| network.unwrap_err().to_string();
    let cases = [
        (
            message(ResNet50::new().input_shape([16, 64, 3]).build()),
            "input_shape: expected [height, width, channels] of at least 32, 32 and 1, got [16, 64, 3]",
        ),
        (message(ResNet50::new().classes(0).build()), "classes: expected at least 1, got 0"),
        (
            message(ResNet50::new().pooling("avg").build()),
            "pooling: expected include_top(false) beside it, or none: with the top it would have no effect, got include_top(true)",
        ),
        (
            message(VGG16::new().include_top(false).pooling("mean").build()),
            "pooling: expected one of avg, max, got 'mean'",
        ),
        (message(MobileNetV2::new().alpha(0.0).build()), "alpha: expected above 0, at most 16, got 0"),
        (
            message(UNet::new([60, 64, 1], 2).build()),
            "input_shape: expected a height and width that 16 divides (2 to the power of depth), got 60 and 64",
        ),
        (message(UNet::new([64, 64, 1], 2).depth(0).build()), "depth: expected 1 to 16, got 0"),
    ];
    for (got, want) in cases {
        assert_eq!(got, want);
    }
    assert!(message(VisionTransformer::new().patch_size(15).build()).contains("that patch_size divides"));
    assert!(message(VisionTransformer::new().include_top(false).build()).contains("given by input_shape"));
}

#[test]
fn small_ones_train_and_are_saved() {
    let x = Tensor::rand([4, 32, 32, 3], 1).unwrap();
    let y = Tensor::from_slice(&[0i64, 1, 2, 1], [4]).unwrap();
    let classes =
        |network: Network| network.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"]).unwrap();
    let tiny = VisionTransformer::new().input_shape([32, 32, 3]).patch_size(8).num_layers(1).num_heads(2);
    let models = [
        classes(tiny.hidden_dim(8).intermediate_dim(16).classes(3).build().unwrap()),
        classes(MobileNetV2::new().alpha(0.35).input_shape([32, 32, 3]).classes(3).build().unwrap()),
    ];
    for mut model in models {
        let history = model.fit(&x, &y, Fit::new().epochs(2).batch_size(2).verbose(0)).unwrap();
        assert!(history["loss"].iter().all(|l| l.is_finite()));
        let again = Model::from_bytes(&model.to_bytes().unwrap(), gradus::io::Load::new()).unwrap();
        assert!(again.predict(&x).unwrap().same_bits(&model.predict(&x).unwrap()));
    }
    let pixels = Tensor::randint([4, 32, 32, 1], 0, 2, 3).unwrap();
    let unet = UNet::new([32, 32, 3], 2).filters(4).depth(2).build().unwrap();
    let mut model = unet.compile("adam", "sparse_categorical_crossentropy", ()).unwrap();
    let history = model.fit(&x, &pixels, Fit::new().epochs(2).batch_size(2).verbose(0)).unwrap();
    assert!(history["loss"][1] < history["loss"][0]);
    assert_eq!(model.predict(&x).unwrap().dims(), [4, 32, 32, 2]);
}

/// GPT-2 as Hugging Face's file has it, written out: one matrix for queries, keys and values, layers by their names there.
fn by_hand(file: &[(String, Tensor)], ids: &Tensor, layers: usize, heads: usize) -> Result<Tensor> {
    let get = |name: &str| &file.iter().find(|(given, _)| given == name).unwrap().1;
    let norm = |x: &Tensor, name: &str| {
        x.layer_norm(Some(get(&format!("{name}.weight"))), Some(get(&format!("{name}.bias"))), 1e-5)
    };
    let line =
        |x: &Tensor, name: &str| x.matmul(get(&format!("{name}.weight")))?.add(get(&format!("{name}.bias")));
    let (batch, time, n) = (ids.dims()[0], ids.dims()[1], get("transformer.wte.weight").dims()[1]);
    let each = n / heads;
    let mut x = get("transformer.wte.weight").index((ids,))?;
    x = x.add(&get("transformer.wpe.weight").slice(0, 0, time as isize)?)?;
    for i in 0..layers {
        let at = |part: &str| format!("transformer.h.{i}.{part}");
        let qkv = line(&norm(&x, &at("ln_1"))?, &at("attn.c_attn"))?;
        let part = |which: isize| -> Result<Tensor> {
            let third = qkv.slice(-1, which * n as isize, (which + 1) * n as isize)?;
            third.reshape_to([batch, time, heads, each])?.permute(&[0, 2, 1, 3])
        };
        let scores = part(0)?.matmul(&part(1)?.permute(&[0, 1, 3, 2])?)?.scale(1.0 / (each as f64).sqrt())?;
        let later = Tensor::ones([time, time])?.triu(1)?.cast(DType::Bool)?;
        let weights = scores.masked_fill(&later, f64::NEG_INFINITY)?.softmax(-1)?;
        let joined = weights.matmul(&part(2)?)?.permute(&[0, 2, 1, 3])?.reshape_to([batch, time, n])?;
        x = x.add(&line(&joined, &at("attn.c_proj"))?)?;
        let wide = line(&norm(&x, &at("ln_2"))?, &at("mlp.c_fc"))?.gelu_tanh()?;
        x = x.add(&line(&wide, &at("mlp.c_proj"))?)?;
    }
    norm(&x, "transformer.ln_f")?.matmul(&get("transformer.wte.weight").t()?)
}

#[test]
fn gpt2_reads_the_file_of_hugging_face() {
    let (n, layers, heads) = (8, 2, 2);
    let shapes = |i: usize| {
        let at = |part: &str| format!("transformer.h.{i}.{part}");
        vec![
            (at("ln_1.weight"), vec![n]),
            (at("ln_1.bias"), vec![n]),
            (at("attn.c_attn.weight"), vec![n, 3 * n]),
            (at("attn.c_attn.bias"), vec![3 * n]),
            (at("attn.c_proj.weight"), vec![n, n]),
            (at("attn.c_proj.bias"), vec![n]),
            (at("attn.bias"), vec![1, 1, 9, 9]),
            (at("ln_2.weight"), vec![n]),
            (at("ln_2.bias"), vec![n]),
            (at("mlp.c_fc.weight"), vec![n, 12]),
            (at("mlp.c_fc.bias"), vec![12]),
            (at("mlp.c_proj.weight"), vec![12, n]),
            (at("mlp.c_proj.bias"), vec![n]),
        ]
    };
    let mut all = vec![
        ("transformer.wte.weight".to_string(), vec![23, n]),
        ("transformer.wpe.weight".to_string(), vec![9, n]),
        ("transformer.ln_f.weight".to_string(), vec![n]),
        ("transformer.ln_f.bias".to_string(), vec![n]),
    ];
    all.extend((0..layers).flat_map(shapes));
    let mut file: Vec<(String, Tensor)> = all
        .into_iter()
        .enumerate()
        .map(|(i, (name, shape))| {
            let value = wave(&shape, i as f64).scale(if shape.len() > 1 { 0.6 } else { 0.3 }).unwrap();
            let value = if name.ends_with("ln_f.weight") { value.affine(1.0, 1.0).unwrap() } else { value };
            (name, value)
        })
        .collect();
    file.push(("lm_head.weight".into(), file[0].1.clone()));
    let path = std::env::temp_dir().join(format!("gradus-gpt2-{}.safetensors", std::process::id()));
    let write = |file: &[(String, Tensor)]| {
        let named: Vec<(&str, &Tensor)> = file.iter().map(|(name, t)| (name.as_str(), t)).collect();
        gradus::io::safetensors::write(&path, &named).unwrap();
    };
    write(&file);
    let gpt2 = || {
        GPT2::new()
            .vocabulary_size(23)
            .num_layers(layers)
            .num_heads(heads)
            .hidden_dim(n)
            .intermediate_dim(12)
            .max_sequence_length(9)
            .dtype(DType::F64)
            .weights(path.to_str().unwrap())
    };
    let [ids, ..] = sequences();
    let got = gpt2().build().unwrap().predict(&ids).unwrap();
    let want = by_hand(&file, &ids, layers, heads).unwrap();
    close("logits", &got.to_vec::<f64>().unwrap(), &want.to_vec::<f64>().unwrap(), 1e-12);
    // One tensor less, one of another kind, another network.
    let lost: Vec<_> = file.iter().filter(|(name, _)| !name.ends_with("h.1.ln_2.bias")).cloned().collect();
    write(&lost);
    let message = gpt2().build().unwrap_err().to_string();
    assert!(
        message.contains("nothing for the parameter 'transformer_layer_1/feedforward_layer_norm/beta'"),
        "{message}"
    );
    file.push(("transformer.h.0.attn.rotary".into(), Tensor::ones([2]).unwrap()));
    write(&file);
    let message = gpt2().build().unwrap_err().to_string();
    assert!(message.contains("'h.0.attn.rotary' is none of Hugging Face's GPT-2"), "{message}");
    file.pop();
    write(&file);
    let message = gpt2().num_layers(1).build().unwrap_err().to_string();
    assert!(message.contains("transformer_layer_1"), "{message}");
    // A table of its own for the scores, and matrices that are too wide or flat: nothing of them is left out.
    let with = |name: &str, value: Tensor| -> String {
        let other: Vec<_> = file
            .iter()
            .map(|(given, t)| (given.clone(), if given.ends_with(name) { value.clone() } else { t.clone() }))
            .collect();
        write(&other);
        gpt2().build().unwrap_err().to_string()
    };
    let message = with("lm_head.weight", wave(&[23, n], 5.0));
    assert!(message.contains("'lm_head.weight' differs from 'wte.weight'"), "{message}");
    let message = with("h.1.attn.c_attn.weight", wave(&[n, 3 * n + 1], 5.0));
    assert!(message.contains("'h.1.attn.c_attn.weight' should be [8, 24] and is [8, 25]"), "{message}");
    let message = with("h.0.attn.c_proj.weight", wave(&[n * n], 5.0));
    assert!(message.contains("'h.0.attn.c_proj.weight' should be [8, 8] and is [64]"), "{message}");
    std::fs::remove_file(&path).unwrap();
}
