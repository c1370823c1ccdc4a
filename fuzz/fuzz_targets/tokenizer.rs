//! Fuzzes the readers of tokenizers: no bytes may make them panic, or take more memory than the limits allow, and a tokenizer that was read must
//! encode and decode any text or say why not. `tests/all/fuzz_corpus.rs` replays the corpus through the same check. Run:
//! `cargo +nightly fuzz run tokenizer`.
#![no_main]

use gradus::io::Limits;
use gradus::text::Tokenizer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default().max_elements(1 << 12).max_total_bytes(1 << 20);
    let read = [
        Tokenizer::parse(bytes, "fuzz", &limits),
        Tokenizer::parse_vocab_txt(bytes, "fuzz", true, &limits),
        Tokenizer::parse_gpt2(bytes, b"#version: 0.2\na b\n", "fuzz", &limits),
    ];
    for tokenizer in read.into_iter().flatten() {
        for text in ["", "ab cab <s> a", "Ünïcode 你好\n👩‍👧 \u{0}"] {
            let Ok(encoding) = tokenizer.encode(text) else { continue };
            assert_eq!(encoding.ids.len(), encoding.mask.len());
            assert!(encoding.ids.iter().all(|&id| id >= 0));
            let _ = tokenizer.decode(&encoding.ids);
        }
        let _ = tokenizer.encode_pair("a", "b");
        let again = Tokenizer::parse(tokenizer.to_json().as_bytes(), "again", &Limits::default());
        assert_eq!(again.map(|t| t.to_json()).ok(), Some(tokenizer.to_json()));
    }
});
