//! Fuzzes the reader of `.npz` archives, which come from strangers and grow when unpacked. No bytes may make the
//! reader panic, or take more memory than the limits allow. `tests/all/fuzz_corpus.rs` replays the corpus through
//! the same check. Run: `cargo +nightly fuzz run npz`.
#![no_main]

use gradus::io::{Limits, npz};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default().max_header_bytes(1 << 16).max_elements(1 << 20).max_total_bytes(1 << 20);
    if let Ok(found) = npz::decode(bytes, "fuzz", &limits) {
        let size: usize = found.iter().map(|(_, t)| t.elements() * t.dtype().size()).sum();
        assert!(size <= 1 << 20);
        for (name, tensor) in found {
            let alone = npz::decode_only(bytes, "fuzz", &[&name], &limits).expect("one of all");
            assert!(alone[0].1.same_bits(&tensor));
        }
    }
});
