//! Tokenizers against Hugging Face's `tokenizers` (`tests/parity/tokenizers.py`): ids, kinds, masks and texts, on odd texts.

use gradus::io::Limits;
use gradus::text::{Encoding, Padding, Tokenizer, Trainer, Truncation};
use serde_json::{Value as Json, json};

fn golden() -> Json {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/goldens/tokenizers.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn config(golden: &Json, case: &Json) -> Json {
    let mut parts = case["parts"].clone();
    let mut model = golden["models"][parts["model"].as_str().unwrap()].clone();
    let has = |key: &str| parts[key] == true;
    if has("fallback") {
        model["byte_fallback"] = true.into();
    }
    if has("fallback") || has("fuse") {
        model["fuse_unk"] = true.into();
    }
    if has("ignore") {
        model["ignore_merges"] = true.into();
    }
    parts["model"] = model;
    parts
}

fn parse(config: &Json) -> gradus::Result<Tokenizer> {
    Tokenizer::parse(config.to_string().as_bytes(), "tokenizer.json", &Limits::default())
}

fn texts(golden: &Json) -> Vec<&str> {
    golden["texts"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect()
}

#[test]
fn ids_and_texts_are_those_of_hugging_face() {
    let golden = golden();
    let mut wrong = Vec::new();
    for case in golden["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let read = parse(&config(&golden, case)).unwrap();
        // What is written is read again, and is the same.
        let again = Tokenizer::parse(read.to_json().as_bytes(), "again", &Limits::default()).unwrap();
        assert_eq!(again.to_json(), read.to_json(), "{name}");
        for tokenizer in [read, again] {
            for (i, text) in texts(&golden).into_iter().enumerate() {
                let found = tokenizer.encode(text).unwrap();
                let mut compare = |what: &str, found: Json, expected: &Json| {
                    if found != *expected {
                        wrong.push(format!("{name}: {what} of {text:?}: {found}, expected {expected}"));
                    }
                };
                compare("ids", json!(found.ids), &case["ids"][i]);
                compare("text", json!(tokenizer.decode(&found.ids).unwrap()), &case["skipped"][i]);
                compare("whole text", json!(tokenizer.decode_all(&found.ids).unwrap()), &case["whole"][i]);
                if !case["plain"][i].is_null() {
                    compare("plain", json!(tokenizer.encode_plain(text).unwrap().ids), &case["plain"][i]);
                }
            }
            for (i, pair) in golden["pairs"].as_array().unwrap().iter().enumerate() {
                let Encoding { ids, type_ids, mask, special, .. } =
                    tokenizer.encode_pair(pair[0].as_str().unwrap(), pair[1].as_str().unwrap()).unwrap();
                let numbers = |flags: &[bool]| flags.iter().map(|f| i64::from(*f)).collect::<Vec<_>>();
                let found = json!([ids, type_ids, numbers(&mask), numbers(&special)]);
                if found != case["pairs"][i] {
                    wrong.push(format!("{name}: pair {i}: {found}, expected {}", case["pairs"][i]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
}

#[test]
fn training_byte_pairs_gives_the_ids_of_hugging_face() {
    let golden = golden();
    let corpus: Vec<&str> =
        golden["corpus"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    let tokenizer =
        Trainer::new().vocab_size(340).special_tokens(["<|endoftext|>"]).byte_pair(&corpus).unwrap();
    let model: Json = serde_json::from_str::<Json>(&tokenizer.to_json()).unwrap()["model"].take();
    assert_eq!(model["merges"], golden["models"]["byte"]["merges"]);
    assert_eq!(model["vocab"], golden["models"]["byte"]["vocab"]);
    for text in texts(&golden) {
        let ids = tokenizer.encode_plain(text).unwrap().ids;
        assert_eq!(tokenizer.decode_all(&ids).unwrap(), text);
    }
}

#[test]
fn training_words_gives_the_ids_of_hugging_face() {
    let golden = golden();
    let corpus: Vec<&str> =
        golden["corpus"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    let tokenizer = Trainer::new().vocab_size(60).special_tokens(["[UNK]"]).words(&corpus).unwrap();
    let model: Json = serde_json::from_str::<Json>(&tokenizer.to_json()).unwrap()["model"].take();
    assert_eq!(model["vocab"], golden["models"]["words"]["vocab"]);
}

#[test]
fn characters_come_back() {
    let texts = ["naïve\nçafé 👩‍👧", "x"];
    let tokenizer = Trainer::new().special_tokens(["<pad>", "<end>"]).characters(&texts).unwrap();
    let ids = tokenizer.encode(texts[0]).unwrap().ids;
    assert_eq!(ids.len(), texts[0].chars().count());
    assert_eq!(tokenizer.decode(&ids).unwrap(), texts[0]);
    assert_eq!(tokenizer.encode("x<end>").unwrap().ids, [tokenizer.token_to_id("x").unwrap(), 1]);
    assert_eq!(
        (tokenizer.id_to_token(1), tokenizer.id_to_token(-1), tokenizer.id_to_token(999)),
        (Some("<end>"), None, None)
    );
    assert!(Trainer::new().characters(&[""]).is_err());
    assert!(Trainer::new().special_tokens(["a", "a"]).characters(&["b"]).is_err());
    assert!(
        Trainer::new().vocab_size(100).byte_pair(&["b"]).unwrap_err().to_string().contains("at least 256")
    );
}

#[test]
fn bert_and_gpt2_are_read_from_their_own_files() {
    let golden = golden();
    let limits = Limits::default();
    let case = |name: &str| {
        let all = golden["cases"].as_array().unwrap();
        config(&golden, all.iter().find(|c| c["name"] == name).unwrap())
    };
    let vocab = golden["models"]["pieces"]["vocab"].as_object().unwrap();
    let mut tokens: Vec<(&String, u64)> = vocab.iter().map(|(t, id)| (t, id.as_u64().unwrap())).collect();
    tokens.sort_by_key(|(_, id)| *id);
    let file: String = tokens.iter().map(|(t, _)| format!("{t}\n")).collect();
    let bert = Tokenizer::parse_vocab_txt(file.as_bytes(), "vocab.txt", true, &limits).unwrap();
    let model = &golden["models"]["byte"];
    let merges = model["merges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| format!("{} {}\n", m[0].as_str().unwrap(), m[1].as_str().unwrap()));
    let merges = "#version: 0.2\n".to_string() + &merges.collect::<String>();
    let gpt2 = Tokenizer::parse_gpt2(
        model["vocab"].to_string().as_bytes(),
        merges.as_bytes(),
        "vocab.json",
        &limits,
    )
    .unwrap();
    for (own, name) in [(bert, "bert"), (gpt2, "gpt2")] {
        let theirs = parse(&case(name)).unwrap();
        for text in texts(&golden) {
            assert_eq!(own.encode(text).unwrap(), theirs.encode(text).unwrap(), "{name} {text:?}");
        }
    }
    let e = Tokenizer::parse_vocab_txt(b"a\nb\na\n", "vocab.txt", true, &limits).unwrap_err().to_string();
    assert_eq!(e, "vocab.txt: line 3: \"a\" is there twice");
}

#[test]
fn batches_are_padded_and_cut() {
    let tokenizer = Trainer::new().special_tokens(["<pad>"]).characters(&["abcdef"]).unwrap();
    let e = tokenizer.batch(&["a", "bc"]).unwrap_err().to_string();
    assert!(e.contains(".padding(Padding::new(id))"), "{e}");
    let padded = tokenizer.clone().padding(Padding::new(0).left()).truncation(Truncation::new(3));
    let batch = padded.batch(&["abcdef", "b", ""]).unwrap();
    assert_eq!(batch.ids.to_vec::<i64>().unwrap(), [1, 2, 3, 0, 0, 2, 0, 0, 0]);
    assert_eq!(batch.mask.to_vec::<bool>().unwrap()[3..6], [false, false, true]);
    assert_eq!(batch.type_ids.dims(), [3, 3]);
    let again = Tokenizer::parse(padded.to_json().as_bytes(), "again", &Limits::default()).unwrap();
    assert!(again.batch(&["abcdef", "b", ""]).unwrap().ids.same_bits(&batch.ids));
    let fixed = tokenizer.clone().padding(Padding::new(0).length(3).multiple_of(2));
    assert_eq!(fixed.encode("a").unwrap().ids, [1, 0, 0, 0]);
    assert!(fixed.batch(&["abcdef", "b"]).is_err());
    assert_eq!(tokenizer.truncation(Truncation::new(2).left()).encode("abcd").unwrap().ids, [3, 4]);
    assert_eq!(again.no_padding().no_truncation().encode("abcdef").unwrap().len(), 6);
}

#[test]
fn what_is_not_supported_is_named() {
    let word = json!({ "type": "WordLevel", "vocab": { "a": 0 }, "unk_token": "a" });
    let with = |key: &str, value: Json| {
        let mut config = json!({ "model": word });
        config[key] = value;
        parse(&config).unwrap_err().to_string()
    };
    for (key, value, words) in [
        (
            "model",
            json!({ "type": "Unigram", "vocab": [] }),
            "the model 'Unigram' is not supported, expected one of BPE",
        ),
        ("normalizer", json!({ "type": "Precompiled" }), "the normalizer 'Precompiled' is not supported"),
        (
            "pre_tokenizer",
            json!({ "type": "UnicodeScripts" }),
            "the pre_tokenizer 'UnicodeScripts' is not supported",
        ),
        ("post_processor", json!({ "type": "New" }), "the post_processor 'New' is not supported"),
        ("decoder", json!({ "type": "New" }), "the decoder 'New' is not supported"),
        ("decoder", json!({}), "the decoder has no 'type'"),
        ("model", json!({ "type": "BPE", "vocab": {}, "merges": ["a b"] }), "merge 0 needs the token \"a\""),
        ("model", json!({ "type": "BPE", "vocab": {}, "merges": [], "dropout": 0.1 }), "dropout"),
        (
            "model",
            json!({ "type": "WordLevel", "vocab": { "a": -1 } }),
            "the id of \"a\" should be a whole number",
        ),
        ("model", json!({ "type": "WordLevel", "vocab": { "a": 1, "b": 1 } }), "have one id, 1"),
        (
            "pre_tokenizer",
            json!({ "type": "Split", "pattern": { "Regex": "(" }, "behavior": "Isolated" }),
            "the expression \"(\" cannot be used",
        ),
        ("added_tokens", json!([{ "id": 1 }]), "'content' should be a text"),
        (
            "post_processor",
            json!({ "type": "TemplateProcessing", "single": [{ "SpecialToken": { "id": "x", "type_id": 0 } }] }),
            "\"x\" has no ids",
        ),
        ("padding", json!({ "strategy": { "Fixed": 4_000_000_000u64 } }), "padding"),
        ("truncation", json!({ "max_length": 4, "strategy": "Other" }), "truncation strategy 'Other'"),
    ] {
        let e = with(key, value);
        assert!(e.starts_with("tokenizer.json: ") && e.contains(words), "{e}");
    }
    let e = parse(&json!({})).unwrap_err().to_string();
    assert_eq!(e, "tokenizer.json: there is no 'model'");
    let small = Limits::default().max_total_bytes(10);
    assert!(Tokenizer::parse(json!({ "model": word }).to_string().as_bytes(), "t", &small).is_err());
    assert!(Tokenizer::read("/no/such/tokenizer.json", &small).is_err());
    // An expression that would never end does.
    let slow = json!({ "model": word, "pre_tokenizer": { "type": "Split", "pattern": { "Regex": "(?:(?=a)a*)*b(?<!c)" }, "behavior": "Isolated" } });
    let _ = parse(&slow).unwrap().encode(&"a".repeat(60));
}

/// Whatever is cut away or bent, nothing panics.
#[test]
fn bent_files_are_errors() {
    let golden = golden();
    let limits = Limits::default().max_elements(1 << 16).max_total_bytes(1 << 20);
    for case in golden["cases"].as_array().unwrap().iter().step_by(3) {
        let mut parts = case["parts"].clone();
        parts["model"] =
            json!({ "type": "BPE", "vocab": { "a": 0, "b": 1, "ab": 2 }, "merges": [["a", "b"]] });
        let bytes = parts.to_string().into_bytes();
        for end in super::cuts(bytes.len()) {
            assert!(Tokenizer::parse(&bytes[..end], "cut", &limits).is_err());
        }
        for at in 0..bytes.len() {
            for with in [b'0', b'"', b'}', 0xff] {
                let mut bent = bytes.clone();
                bent[at] = with;
                if let Ok(tokenizer) = Tokenizer::parse(&bent, "bent", &limits) {
                    let ids = tokenizer.encode("ab ba <s> cab").map(|e| e.ids).unwrap_or_default();
                    let _ = tokenizer.decode(&ids[..ids.len().min(100)]);
                }
            }
        }
    }
}
