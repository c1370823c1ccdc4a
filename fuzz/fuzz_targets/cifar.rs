//! Fuzzes the readers of CIFAR, which comes from downloads, as bare records or in a tar archive. No bytes may make
//! the readers panic, or take more memory than the limits allow. `tests/all/fuzz_corpus.rs` replays the corpus
//! through the same check. Run: `cargo +nightly fuzz run cifar`.
#![no_main]

use gradus::datasets::{cifar10, cifar100};
use gradus::io::Limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default().max_elements(1 << 20).max_total_bytes(1 << 20);
    for found in [cifar10::decode(bytes, "fuzz", &limits), cifar100::decode(bytes, "fuzz", &limits)]
        .into_iter()
        .flatten()
    {
        assert_eq!(found.images.len(), found.n * 3072);
    }
    // Published files are larger than these limits, so nothing is accepted.
    assert!(cifar10::decode_archive(bytes, "fuzz", &limits).is_err());
});
