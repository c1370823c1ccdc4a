//! Fuzzes the reader of CSV tables, which come from everywhere. No bytes may make the reader panic, or take more
//! memory than the limits allow. `tests/all/fuzz_corpus.rs` replays the corpus through the same check. Run:
//! `cargo +nightly fuzz run csv`.
#![no_main]

use gradus::io::{Csv, Encoder, Limits, Missing, Unknown};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default().max_elements(1 << 20).max_total_bytes(1 << 20);
    let all = [
        Csv::new(),
        Csv::new().label(0).missing(Missing::DropRow),
        Csv::new().header(false).target(1),
        Csv::new().category(0).category(2).missing(Missing::Keep),
    ];
    for csv in all {
        if let Ok(table) = csv.parse(bytes, "fuzz", &limits) {
            assert!(table.x.elements() <= 1 << 20);
            assert!(table.y.as_ref().is_none_or(|y| y.dims()[0] == table.rows()));
            let x = table.x.to_vec::<f32>().expect("float32");
            assert!(x.into_iter().all(|v| v.is_finite() || v.is_nan()));
            let Ok((train, test)) = table.split(0.5, 1) else { continue };
            if let Ok(encoder) = Encoder::adapt(&train) {
                let rows = encoder.unknown(Unknown::Zeros).encode(&test).expect("known columns");
                assert_eq!(rows.dims()[0], test.rows());
            }
        }
    }
});
