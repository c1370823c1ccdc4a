//! `Logs` and [`History`]: the loss and metric values of training as plain numbers, by name, in a fixed order.

use super::figure::Figure;
use crate::tensor::{Few, Text};
use std::ops::Index;

/// Loss and metric values by name, of one epoch, batch or evaluation.
///
/// ```
/// use gradus::train::Logs;
///
/// let mut logs = Logs::new();
/// logs.set("loss", 0.25);
/// assert_eq!(logs["loss"], 0.25);
/// assert_eq!(logs.to_string(), "loss: 0.2500");
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Logs(Few<(Text, f64), 4>);

impl Logs {
    /// Creates logs without values.
    pub fn new() -> Logs {
        Logs::default()
    }

    /// Returns the value of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(n, _)| n.as_str() == name).map(|(_, v)| *v)
    }

    /// Adds or replaces a value.
    pub fn set(&mut self, name: &str, value: f64) {
        match self.0.iter_mut().find(|(n, _)| n.as_str() == name) {
            Some((_, v)) => *v = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// Iterates over names and values, the loss first.
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

/// `loss: 0.3000 - accuracy: 0.9000`, as Keras prints them.
impl std::fmt::Display for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (name, value)) in self.iter().enumerate() {
            let before = if i == 0 { "" } else { " - " };
            write!(f, "{before}{name}: {}", Figure(value))?;
        }
        Ok(())
    }
}

impl Index<&str> for Logs {
    type Output = f64;
    /// # Panics
    /// If there is no such value; use [`Logs::get`] to avoid that.
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

/// The log values of every epoch, by name: `loss`, the metrics, and the same with `val_`.
///
/// ```
/// use gradus::prelude::*;
///
/// let mut model = Sequential::new().add(Input::new(2)).add(Dense::new(1)).compile("sgd", "mse", ["mae"])?;
/// let (x, y) = (Tensor::rand([32, 2], 0)?, Tensor::rand([32, 1], 1)?);
/// let history = model.fit(&x, &y, Fit::new().epochs(3).verbose(0))?;
/// println!("{history}");
/// assert_eq!(history["loss"].len(), 3);
/// assert_eq!(history.keys().collect::<Vec<_>>(), ["loss", "mae"]);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct History {
    names: Vec<String>,
    values: Vec<Vec<f64>>,
    epochs: Vec<usize>,
    logs: Vec<Logs>,
}

impl History {
    pub(crate) fn push(&mut self, epoch: usize, logs: &Logs) {
        self.epochs.push(epoch);
        self.logs.push(logs.clone());
        for (name, value) in logs.iter() {
            let at = self.names.iter().position(|n| n == name).unwrap_or_else(|| {
                self.names.push(name.into());
                self.values.push(Vec::new());
                self.names.len() - 1
            });
            self.values[at].push(value);
        }
    }

    /// Returns the value in each epoch that has it.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.find(name).map(|values| &values[..])
    }

    fn find(&self, name: &str) -> Option<&Vec<f64>> {
        self.names.iter().position(|n| n == name).map(|at| &self.values[at])
    }

    /// Iterates over the names of all log values.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Returns the numbers of the epochs that ran, from 0.
    pub fn epochs(&self) -> &[usize] {
        &self.epochs
    }

    /// Returns the logs of each epoch that ran.
    pub fn logs(&self) -> &[Logs] {
        &self.logs
    }
}

/// `{"loss": [0.7, 0.3], "accuracy": [0.6, 0.9]}`, as Keras's `history.history`.
impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.names.iter().zip(&self.values)).finish()
    }
}

/// One line per epoch, numbered from 1: `Epoch 1 - loss: 0.7000 - accuracy: 0.6000`.
impl std::fmt::Display for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (epoch, logs)) in self.epochs.iter().zip(&self.logs).enumerate() {
            let before = if i == 0 { "" } else { "\n" };
            write!(f, "{before}Epoch {} - {logs}", epoch + 1)?;
        }
        Ok(())
    }
}

/// A vector rather than a slice, so that `println!("{:?}", history["loss"])` needs no `&`.
impl Index<&str> for History {
    type Output = Vec<f64>;
    /// # Panics
    /// If there is no such value; use [`History::get`] to avoid that.
    fn index(&self, name: &str) -> &Vec<f64> {
        match self.find(name) {
            Some(values) => values,
            None => panic!("no figure named '{name}' among {:?}", self.names),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_print_as_keras_prints_them() {
        let mut logs = Logs::new();
        logs.set("loss", 0.25);
        logs.set("mae", 1.5e-5);
        logs.set("zero", 0.0);
        logs.set("bad", f64::NAN);
        assert_eq!(logs.to_string(), "loss: 0.2500 - mae: 1.5000e-05 - zero: 0.0000e+00 - bad: nan");
        let mut history = History::default();
        assert_eq!((history.to_string(), format!("{history:?}")), (String::new(), "{}".into()));
        for (epoch, loss) in [(3, 0.5), (4, 0.125)] {
            let mut logs = Logs::new();
            logs.set("loss", loss);
            if epoch == 4 {
                logs.set("val_loss", 2.0);
            }
            history.push(epoch, &logs);
        }
        assert_eq!(format!("{history:?}"), r#"{"loss": [0.5, 0.125], "val_loss": [2.0]}"#);
        assert_eq!(history.to_string(), "Epoch 4 - loss: 0.5000\nEpoch 5 - loss: 0.1250 - val_loss: 2.0000");
        assert_eq!(format!("{:?} {}", history["loss"], history.logs()[0]), "[0.5, 0.125] loss: 0.5000");
    }
}
