//! Names instead of values, as in Keras: `"relu"` for `Relu`, `"adam"` for `Adam::new(0.001)`. A name is read as in
//! the file of a model, with default settings; an unknown one is an error that lists the known ones.

use super::kind::own;
use super::{Configured, Dyn, Kind, Maker, Registry, Setting, snake_case};
use crate::{Error, Result};
use serde_json::Value;

/// `"he_normal".parse::<Dyn<dyn Initializer>>()` gives the library's own object of this name, with its default
/// settings.
impl<K: ?Sized + Kind> std::str::FromStr for Dyn<K> {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self> {
        let known = || {
            let mut names = Vec::new();
            for (name, make) in K::OWN {
                names.extend(stands_alone::<K>(*make).then(|| snake_case(name)));
            }
            names
        };
        match K::meant(name).and_then(own::<K>) {
            Some(_) => Dyn::read(Value::String(name.into()), &Registry::new())
                .map_err(|e| needs_settings(K::WHAT, name, &e)),
            None => Err(no_such(K::WHAT, name, &known(), K::ALIASES)),
        }
    }
}

/// Returns whether all its settings have defaults, so that a name is enough.
fn stands_alone<K: ?Sized + Kind>(make: Maker<K>) -> bool {
    make(Value::Object(Default::default()), &Registry::new()).is_ok()
}

#[cold]
fn needs_settings(what: &str, name: &str, e: &Error) -> Error {
    Error::format(what, format!("the name '{name}' alone does not say its settings, write the value ({e})"))
}

#[cold]
fn no_such(what: &str, name: &str, known: &[String], aliases: &[(&str, &str)]) -> Error {
    let all = known.iter().map(String::as_str).chain(aliases.iter().map(|(alias, _)| *alias));
    let (got, known) = (name.escape_debug(), known.join(", "));
    let why = match closest(name, all) {
        Some(meant) => format!("unknown name '{got}', did you mean '{meant}'? There are {known}"),
        None => format!("unknown name '{got}'; there are {known}"),
    };
    Error::format(what, why)
}

/// The name that a misspelt one is most like, if it is like one.
pub(crate) fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase().replace(['-', ' ', '_'], "");
    let plain = |known: &str| known.to_lowercase().replace('_', "");
    let measured = known.map(|k| (distance(&name, &plain(k)), k));
    let (far, best) = measured.min_by_key(|(far, _)| *far)?;
    (far <= name.chars().count() / 3).then_some(best)
}

/// Returns how many letters must be inserted, removed, changed, or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// Held by a layer's setting whose name is unknown: building the layer is an error that says so.
#[derive(Clone, Debug)]
pub struct Misnamed {
    why: String,
}

impl Misnamed {
    pub(crate) fn new(e: &Error) -> Misnamed {
        Misnamed { why: e.to_string() }
    }

    pub(crate) fn error(&self) -> Error {
        Error::Custom(self.why.clone())
    }
}

impl Configured for Misnamed {
    fn config(&self) -> Result<Value> {
        Err(self.error())
    }
    fn usable(&self) -> Result<()> {
        Err(self.error())
    }
}

/// Lets settings of a kind be given by name.
macro_rules! by_name {
    (dyn $kind:ident) => {
        /// Takes it by its name, with default settings. An unknown name is an error where the layer is built.
        impl From<&str> for $crate::config::Dyn<dyn $kind> {
            fn from(name: &str) -> Self {
                name.parse().unwrap_or_else(|e| $crate::config::Misnamed::new(&e).into())
            }
        }
    };
}
pub(crate) use by_name;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_that_was_meant() {
        let known = ["relu", "gelu", "sparse_categorical_crossentropy", "adam"];
        let meant = |name| closest(name, known.into_iter());
        assert_eq!(meant("rleu"), Some("relu"));
        assert_eq!(meant("ReLU"), Some("relu"));
        assert_eq!(meant("SparseCategoricalCrossEntropy"), Some("sparse_categorical_crossentropy"));
        assert_eq!(meant("sparse_categorical_cross_entropy"), Some("sparse_categorical_crossentropy"));
        assert_eq!(meant("adamw"), Some("adam"));
        assert_eq!(meant("magic"), None);
        assert_eq!(meant(""), None);
        assert_eq!(distance("abcd", "acbd"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
