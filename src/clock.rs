//! The clock: [`now`] is the only place that asks for the time, because wasm32-unknown-unknown has no clock and std
//! panics there. Where there is none, callers do without; no result depends on it.

use std::time::Instant;

/// Now, where the system has a clock.
pub(crate) fn now() -> Option<Instant> {
    (!cfg!(all(target_family = "wasm", target_os = "unknown"))).then(Instant::now)
}
