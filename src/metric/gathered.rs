//! How metrics are merged: each declares once what it gathers, and here two gathered states, from two shards say, become one.

use super::Metric;
use crate::{Error, Result};
use std::any::Any;
use std::collections::BTreeMap;

/// What a metric gathers.
pub(super) trait Gathered {
    /// Adds what another has gathered.
    fn absorb(&mut self, other: &Self) -> Result<()>;
}

impl Gathered for f64 {
    fn absorb(&mut self, other: &Self) -> Result<()> {
        *self += other;
        Ok(())
    }
}

impl<T: Gathered, const N: usize> Gathered for [T; N] {
    fn absorb(&mut self, other: &Self) -> Result<()> {
        self.iter_mut().zip(other).try_for_each(|(own, other)| own.absorb(other))
    }
}

/// Of equal length, unless one of them has gathered nothing yet.
impl<T: Gathered + Clone> Gathered for Vec<T> {
    fn absorb(&mut self, other: &Self) -> Result<()> {
        if self.is_empty() {
            self.clone_from(other);
            return Ok(());
        }
        if !other.is_empty() && self.len() != other.len() {
            let expected = format!("{} columns as here", self.len());
            return Err(Error::argument("merge", expected, other.len()));
        }
        self.iter_mut().zip(other).try_for_each(|(own, other)| own.absorb(other))
    }
}

impl<K: Ord + Clone, T: Gathered + Clone> Gathered for BTreeMap<K, T> {
    fn absorb(&mut self, other: &Self) -> Result<()> {
        for (key, other) in other {
            match self.get_mut(key) {
                Some(own) => own.absorb(other)?,
                None => drop(self.insert(key.clone(), other.clone())),
            }
        }
        Ok(())
    }
}

/// The other as what this one is: for [`Metric::merge`], which then adds its sums.
///
/// # Errors
/// It is another metric, or has other settings.
pub fn alike<'a, M: Metric>(metric: &M, other: &'a dyn Metric) -> Result<&'a M> {
    let Some(same) = (other as &dyn Any).downcast_ref::<M>() else {
        let expected = format!("a metric of the type {}", metric.class_name());
        return Err(Error::argument("merge", expected, other.class_name()));
    };
    if metric.config().ok() != same.config().ok() {
        let expected = format!("a metric '{}' of the same settings", metric.name());
        return Err(Error::argument("merge", expected, "one of others"));
    }
    Ok(same)
}

/// The methods of a metric that are about what it has gathered, which are these fields.
macro_rules! gathers {
    ($($field:ident),+) => {
        fn merge(&mut self, other: &dyn $crate::metric::Metric) -> $crate::Result<()> {
            let other = $crate::metric::alike(self, other)?;
            $($crate::metric::gathered::Gathered::absorb(&mut self.$field, &other.$field)?;)+
            Ok(())
        }
        fn reset(&mut self) {
            $(self.$field = Default::default();)+
        }
    };
}
pub(super) use gathers;
