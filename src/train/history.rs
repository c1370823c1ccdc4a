//! Why it exists: the figures of training as plain numbers, by name, in a fixed order.

use crate::tensor::{Few, Text};
use std::ops::Index;

/// Figures by name: what one epoch, batch or evaluation gave.
#[derive(Clone, Default, PartialEq)]
pub struct Logs(Few<(Text, f64), 4>);

impl Logs {
    /// No figures.
    pub fn new() -> Logs {
        Logs::default()
    }

    /// The figure of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(n, _)| n.as_str() == name).map(|(_, v)| *v)
    }

    /// Adds or replaces a figure.
    pub fn set(&mut self, name: &str, value: f64) {
        match self.0.iter_mut().find(|(n, _)| n.as_str() == name) {
            Some((_, v)) => *v = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// Names and figures, the loss first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(n, v)| (n.as_str(), *v))
    }
}

/// `{"loss": 0.3, "accuracy": 0.9}`.
impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Index<&str> for Logs {
    type Output = f64;
    /// # Panics
    /// If there is no such figure; [`Logs::get`] does not.
    fn index(&self, name: &str) -> &f64 {
        match self.0.iter().find(|(n, _)| n.as_str() == name) {
            Some((_, v)) => v,
            None => panic!(
                "no figure named '{name}' among {:?}",
                self.0.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>()
            ),
        }
    }
}

/// The figures of every epoch, by name: `loss`, the metrics, the same with `val_`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    names: Vec<String>,
    values: Vec<Vec<f64>>,
    epochs: Vec<usize>,
}

impl History {
    pub(crate) fn push(&mut self, epoch: usize, logs: &Logs) {
        self.epochs.push(epoch);
        for (name, value) in logs.iter() {
            let at = self.names.iter().position(|n| n == name).unwrap_or_else(|| {
                self.names.push(name.into());
                self.values.push(Vec::new());
                self.names.len() - 1
            });
            self.values[at].push(value);
        }
    }

    /// The figure's value in each epoch.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.names.iter().position(|n| n == name).map(|at| &self.values[at][..])
    }

    /// The names of all figures.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The numbers of the epochs that ran, from 0.
    pub fn epochs(&self) -> &[usize] {
        &self.epochs
    }
}

impl Index<&str> for History {
    type Output = [f64];
    /// # Panics
    /// If there is no such figure; [`History::get`] does not.
    fn index(&self, name: &str) -> &[f64] {
        match self.get(name) {
            Some(values) => values,
            None => panic!("no figure named '{name}' among {:?}", self.names),
        }
    }
}
