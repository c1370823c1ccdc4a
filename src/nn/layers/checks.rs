//! Checks of settings that many layers have, each with one message for all.

use crate::nn::LARGEST;
use crate::shape::is_unknown;
use crate::tensor::Tensor;
use crate::{Error, Result, Shape};

/// Fails if one of these axes, the time steps that attention looks from or at, has none.
pub(super) fn some_steps(layer: &'static str, sequences: &Tensor, axes: &[usize]) -> Result<()> {
    let none = axes.iter().any(|&axis| sequences.dims().get(axis) == Some(&0));
    let expected = "sequences [batch, time, …] of at least one step";
    if none { Err(Error::shape(layer, expected, *sequences.shape())) } else { Ok(()) }
}

/// Fails unless a setting is at least 1.
pub(super) fn positive(setting: &'static str, n: usize) -> Result<()> {
    match n {
        0 => Err(Error::argument(setting, "at least 1", 0)),
        // What stands for a size that is not known is none that a layer can have.
        n if is_unknown(n) => Err(Error::argument(setting, LARGEST, n)),
        _ => Ok(()),
    }
}

/// Fails if no memory can hold a weight of this shape, which these settings ask for.
pub(super) fn fits(settings: &'static str, shape: &[usize]) -> Result<()> {
    let shape = Shape::new(shape)?;
    if shape.is_countable() {
        Ok(())
    } else {
        Err(Error::argument(settings, LARGEST, format!("a weight {shape}")))
    }
}

/// Fails unless a setting is a finite number above 0.
pub(super) fn positive_number(setting: &'static str, value: f64) -> Result<()> {
    match value > 0.0 && value.is_finite() {
        true => Ok(()),
        false => Err(Error::argument(setting, "a finite number above 0", value)),
    }
}

/// Fails unless `0 <= rate < 1`.
pub(super) fn rate(setting: &'static str, value: f64) -> Result<()> {
    match (0.0..1.0).contains(&value) {
        true => Ok(()),
        false => Err(Error::argument(setting, format!("0 <= {setting} < 1"), value)),
    }
}

/// Fails unless `0 <= rate <= 1`.
pub(super) fn rate_or_one(setting: &'static str, value: f64) -> Result<()> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => Err(Error::argument(setting, format!("0 <= {setting} <= 1"), value)),
    }
}

/// Fails unless a setting is finite and at least 0.
pub(super) fn epsilon(setting: &'static str, value: f64) -> Result<()> {
    match value >= 0.0 && value.is_finite() {
        true => Ok(()),
        false => Err(Error::argument(setting, "a finite number of 0 or more", value)),
    }
}
