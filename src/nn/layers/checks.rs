//! Checks of settings that many layers have, each with one message.

use crate::{Error, Result};

/// Fails unless a setting is at least 1.
pub(super) fn positive(setting: &'static str, n: usize) -> Result<()> {
    if n == 0 { Err(Error::argument(setting, "at least 1", 0)) } else { Ok(()) }
}

/// Fails unless so much can be dropped and something be left.
pub(super) fn rate_below_one(setting: &'static str, rate: f64) -> Result<()> {
    if (0.0..1.0).contains(&rate) { Ok(()) } else { Err(Error::argument(setting, "0 <= rate < 1", rate)) }
}

/// Fails unless it keeps a divisor from zero.
pub(super) fn epsilon(setting: &'static str, value: f64) -> Result<()> {
    match value >= 0.0 && value.is_finite() {
        true => Ok(()),
        false => Err(Error::argument(setting, "a finite number of 0 or more", value)),
    }
}
