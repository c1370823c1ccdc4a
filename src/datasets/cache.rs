//! The folder of each data set on a user's machine, by one rule for all, and the error if it is missing.

use crate::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Returns the folder of a data set: `name` in `$GRADUS_DATA`, else `gradus/name` in the user's cache
/// (`$XDG_CACHE_HOME` or `~/.cache`; on Windows `%LOCALAPPDATA%`). It may not exist. `None` if the environment
/// names no such place.
pub(super) fn dir(name: &str) -> Option<PathBuf> {
    dir_from(name, |name| std::env::var_os(name), cfg!(windows))
}

fn dir_from(name: &str, var: impl Fn(&str) -> Option<OsString>, windows: bool) -> Option<PathBuf> {
    let path = |name| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(data) = path("GRADUS_DATA") {
        return Some(data.join(name));
    }
    let cache = if windows {
        path("LOCALAPPDATA")
    } else {
        path("XDG_CACHE_HOME").or_else(|| path("HOME").map(|home| home.join(".cache")))
    };
    Some(cache?.join("gradus").join(name))
}

/// Returns the folder of a data set, which must exist.
pub(super) fn dir_of(set: &str, name: &str) -> crate::Result<PathBuf> {
    dir(name).ok_or_else(|| {
        let why = format!("set GRADUS_DATA to the folder that holds the folder '{name}'");
        not_found(Path::new(set), why)
    })
}

/// The error that something was not found where it was looked for.
pub(super) fn not_found(path: &Path, why: String) -> Error {
    let source = std::io::Error::new(std::io::ErrorKind::NotFound, why);
    Error::Io { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_follows_the_environment() {
        let dir = |vars: &[(&str, &str)], windows| {
            dir_from("mnist", |name| vars.iter().find(|v| v.0 == name).map(|v| v.1.into()), windows)
        };
        let all = [("GRADUS_DATA", "/d"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h"), ("LOCALAPPDATA", "/l")];
        assert_eq!(dir(&all, false), Some("/d/mnist".into()));
        assert_eq!(dir(&all[1..], false), Some("/x/gradus/mnist".into()));
        assert_eq!(dir(&all[2..], false), Some("/h/.cache/gradus/mnist".into()));
        assert_eq!(dir(&all[1..], true), Some("/l/gradus/mnist".into()));
        assert_eq!(dir(&[("GRADUS_DATA", ""), ("HOME", "/h")], false), Some("/h/.cache/gradus/mnist".into()));
        assert_eq!(dir(&[], false), None);
    }
}
