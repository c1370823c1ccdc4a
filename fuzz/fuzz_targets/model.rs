//! Fuzzes the reader of models, which come from strangers. No bytes may make the reader panic, or take more memory
//! than the limits allow; what it accepts must work. `tests/all/fuzz_corpus.rs` replays the corpus through the same
//! check. Run: `cargo +nightly fuzz run model`.
#![no_main]

use gradus::io::Limits;
use gradus::train::Model;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default()
        .max_file_bytes(1 << 20)
        .max_header_bytes(1 << 18)
        .max_elements(1 << 16)
        .max_total_bytes(1 << 18)
        .max_tensors(256);
    if let Ok(model) = Model::from_bytes(bytes, limits.clone()) {
        let again = model.to_bytes().expect("what was read can be written");
        let twice = Model::from_bytes(&again, limits.max_header_bytes(1 << 20)).expect("and read");
        assert_eq!(model.weight_bytes().ok(), twice.weight_bytes().ok());
    }
});
