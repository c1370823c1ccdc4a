//! The parameters of a network by path: reads, sets, redraws and freezes them.

use super::network::Network;
use super::symbol::Identity;
use super::{Module, module};
use crate::config::closest;
use crate::error::Context;
use crate::tensor::Tensor;
use crate::{DType, Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Network {
    /// Returns every parameter with its path, in a fixed order.
    pub fn params(&self) -> Vec<(String, Tensor)> {
        module::params(self)
    }

    /// Returns the value of the parameter at a path such as `dense/kernel`.
    pub fn param(&self, path: &str) -> Option<Tensor> {
        self.params().into_iter().find(|(p, _)| p == path).map(|(_, t)| t)
    }

    /// Sets parameters by path.
    ///
    /// # Errors
    /// A path does not exist or is there twice, or a shape or dtype differs; then none is changed.
    pub fn set_params(&mut self, values: &[(String, Tensor)]) -> Result<()> {
        let mut next = self.clone();
        let mut left: BTreeMap<&str, &Tensor> = BTreeMap::new();
        for (path, value) in values {
            if left.insert(path, value).is_some() {
                return Err(Error::argument("path", "each parameter once", format!("'{path}' twice")));
            }
        }
        let mut result = Ok(());
        next.visit_mut(&mut |path, p| {
            if let Some(value) = left.remove(path.as_str())
                && result.is_ok()
            {
                result = p.set(value.clone()).at(|| path.as_str());
            }
        });
        result?;
        if let Some((path, _)) = left.first_key_value() {
            let known = self.params();
            return Err(unknown("path", path, known.iter().map(|(path, _)| path.as_str())).at(*path));
        }
        self.nodes = next.nodes;
        self.identity = Identity::default();
        Ok(())
    }

    /// Returns how many numbers the parameters hold.
    pub fn count_params(&self) -> usize {
        module::count_params(self)
    }

    /// Returns the parameters' values as little-endian bytes, one after another: for hashing.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn weight_bytes(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for (_, value) in self.params() {
            match value.dtype() {
                DType::F64 => value.to_vec::<f64>()?.iter().for_each(|v| out.extend(v.to_le_bytes())),
                _ => value.to_vec::<f32>()?.iter().for_each(|v| out.extend(v.to_le_bytes())),
            }
        }
        Ok(out)
    }

    /// Returns the same network with parameters drawn anew from another seed.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn clone_fresh(&self, seed: u64) -> Result<Network> {
        let mut fresh = self.clone();
        Arc::make_mut(&mut fresh.topology).seed = seed;
        fresh.identity = Identity::default();
        let mut result = Ok(());
        fresh.visit_mut(&mut |path, p| {
            if result.is_ok() {
                result = p.reset(seed).at(|| format!("parameter '{path}'"));
            }
        });
        result.map(|()| fresh)
    }

    /// Freezes or unfreezes a layer: everything whose path begins with its name, such as `encoder` or
    /// `encoder/dense_1`. The optimizer does not change frozen parameters, and a frozen layer with running
    /// statistics uses them without updating them.
    ///
    /// # Errors
    /// There is no such layer.
    pub fn set_trainable(&mut self, layer: &str, trainable: bool) -> Result<()> {
        let mut found = false;
        self.plans.forget();
        self.visit_mut(&mut |path, p| {
            let rest = path.as_str().strip_prefix(layer);
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
                p.set_frozen(!trainable);
                found = true;
            }
        });
        // A layer without parameters has nothing to freeze.
        match found || self.topology.layers.iter().any(|l| l.name == layer) {
            true => Ok(()),
            false => Err(unknown("layer", layer, self.topology.layers.iter().map(|l| l.name.as_str()))),
        }
    }

    /// Freezes or unfreezes every layer.
    pub fn set_all_trainable(&mut self, trainable: bool) {
        self.plans.forget();
        self.visit_mut(&mut |_, p| p.set_frozen(!trainable));
    }
}

/// The error of a name that is none of these.
fn unknown<'a>(what: &'static str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Error {
    const LISTED: usize = 12;
    let expected = match closest(name, known.clone()) {
        Some(meant) => format!("one of this network (did you mean '{meant}'?)"),
        None => {
            let listed: Vec<&str> = known.clone().take(LISTED).collect();
            let more = if known.count() > LISTED { ", …" } else { "" };
            format!("one of {}{more}", listed.join(", "))
        }
    };
    Error::argument(what, expected, format!("'{name}'"))
}
