//! Why it exists: wasm32-unknown-unknown has no clock and std's panics there. Whoever wants a time asks here and does without where there is
//! none; no result depends on it.

use std::time::Instant;

/// Now, where the system has a clock.
pub(crate) fn now() -> Option<Instant> {
    (!cfg!(all(target_family = "wasm", target_os = "unknown"))).then(Instant::now)
}
