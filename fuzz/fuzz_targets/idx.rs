//! Fuzzes the reader of IDX files, which come from downloads. No bytes may make the reader panic, or take more
//! memory than the limits allow. `tests/all/fuzz_corpus.rs` replays the corpus through the same check. Run:
//! `cargo +nightly fuzz run idx`.
#![no_main]

use gradus::datasets::idx;
use gradus::io::Limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default().max_elements(1 << 20).max_total_bytes(1 << 20);
    if let Ok(found) = idx::decode(bytes, "fuzz", &limits) {
        assert_eq!(found.data.len(), found.shape.elements());
        assert!(found.data.len() <= 1 << 20);
    }
});
