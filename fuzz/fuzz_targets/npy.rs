//! Fuzzes the reader of `.npy` files, which come from strangers. No bytes may make the reader panic, or take more
//! memory than the limits allow; what it accepts can be written and read again. `tests/all/fuzz_corpus.rs` replays
//! the corpus through the same check. Run: `cargo +nightly fuzz run npy`.
#![no_main]

use gradus::io::{Limits, npy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default().max_elements(1 << 20).max_total_bytes(1 << 20);
    if let Ok(found) = npy::decode(bytes, "fuzz", &limits) {
        let again = npy::encode(&found).expect("what was read can be written");
        assert!(npy::decode(&again, "fuzz", &limits).expect("and read").same_bits(&found));
    }
});
