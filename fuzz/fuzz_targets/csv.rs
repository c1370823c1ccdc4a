//! Why it exists: tables come from everywhere. No bytes may make the reader panic, or take more memory than the limits allow.
//! `tests/all/fuzz_corpus.rs` replays the corpus through the same check. Run: `cargo +nightly fuzz run csv`.
#![no_main]

use gradus::io::{Csv, Limits, Missing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default().max_elements(1 << 20).max_total_bytes(1 << 20);
    let all = [Csv::new(), Csv::new().label(0).missing(Missing::DropRow), Csv::new().header(false).target(1)];
    for csv in all {
        if let Ok(table) = csv.parse(bytes, "fuzz", &limits) {
            assert!(table.x.elements() <= 1 << 20);
            assert!(table.y.is_none_or(|y| y.dims()[0] == table.x.dims()[0]));
        }
    }
});
