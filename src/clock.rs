//! The clock: [`now`] is the only place that asks for the time, because wasm32-unknown-unknown has no clock and std
//! panics there. Where there is none, callers do without; no result depends on it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Now, where the system has a clock.
pub(crate) fn now() -> Option<Instant> {
    (!cfg!(all(target_family = "wasm", target_os = "unknown"))).then(Instant::now)
}

/// Seconds since 1970, where the system has a clock: for those who read files, never for what is computed.
pub(crate) fn since_1970() -> Option<f64> {
    now()?;
    SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|time| time.as_secs_f64())
}
