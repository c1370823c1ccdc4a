//! Parameters that are trained otherwise than the rest: a smaller rate for a pretrained encoder, no decay of biases. A group is
//! a pattern of paths and what is different.

use crate::{Error, Result, settings};

settings! {
    /// What is different for the parameters of a group:
    /// `Adam::new(0.001).group("encoder", Group::new().learning_rate_factor(0.1))`.
    #[derive(PartialEq)]
    pub struct Group {
        /// As for all others, but for what is set.
        new();

        /// What the optimizer's learning rate, or its schedule's, is multiplied by; 1 by default. With 0 the parameters stay as they are.
        pub(super) learning_rate_factor: f64 = 1.0,
        /// The weight decay instead of the optimizer's; with 0 nothing decays. By default the optimizer's.
        pub(super) weight_decay: some f64,
    }
}

/// Names listed in a message before "and more".
const LISTED: usize = 20;

/// Whether a pattern stands for the parameter at a path: for itself, or for something that it lies in. `*` is any text, `/`
/// included.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let inside = path.match_indices('/').any(|(at, _)| is_like(pattern, &path[..at]));
    inside || is_like(pattern, path)
}

fn is_like(pattern: &str, text: &str) -> bool {
    let Some((start, mut rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    // Each part at the first place where it is found, but the last, which has to be the end.
    while let Some((part, more)) = rest.split_once('*') {
        let Some(at) = text.find(part) else { return false };
        (text, rest) = (&text[at + part.len()..], more);
    }
    text.ends_with(rest)
}

/// Fails if a setting is out of range.
pub(super) fn check_settings(groups: &[(String, Group)]) -> Result<()> {
    let expected = "a finite number of 0 or more";
    for (pattern, group) in groups {
        let fine = |v: f64| v >= 0.0 && v.is_finite();
        let at = |e: Error| e.at(format!("group '{}'", pattern.escape_debug()));
        if !fine(group.learning_rate_factor) {
            return Err(at(Error::argument("learning_rate_factor", expected, group.learning_rate_factor)));
        }
        if let Some(decay) = group.weight_decay.filter(|d| !fine(*d)) {
            return Err(at(Error::argument("weight_decay", expected, decay)));
        }
    }
    Ok(())
}

/// Fails if a group has no parameters among these.
pub(super) fn check(groups: &[(String, Group)], paths: &[String]) -> Result<()> {
    let first = |path: &str| groups.iter().position(|(pattern, _)| matches(pattern, path));
    for (i, (pattern, _)) in groups.iter().enumerate() {
        if paths.iter().any(|path| first(path) == Some(i)) {
            continue;
        }
        let quoted = format!("'{}'", pattern.escape_debug());
        if paths.iter().any(|path| matches(pattern, path)) {
            let expected = "a pattern of parameters that no group before it has (the first that fits counts)";
            return Err(Error::argument("group", expected, quoted));
        }
        let shown = paths.iter().take(LISTED).map(|path| format!("'{path}'"));
        let shown = shown.collect::<Vec<_>>().join(", ");
        let more = paths.len().saturating_sub(LISTED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let expected = format!("a pattern of parameters that exist ({shown}{more})");
        return Err(Error::argument("group", expected, quoted));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_paths_and_what_lies_inside() {
        let yes = [
            ("a/b", "a/b"),
            ("a", "a/b/kernel"),
            ("a/b", "a/b/kernel"),
            ("*", "a"),
            ("*/bias", "a/b/bias"),
            ("a*c", "abc/d"),
            ("*a*b", "xaab"),
            ("**", "a"),
            ("enc*/ker*l", "encoder/0/kernel"),
            ("ab*", "ab"),
        ];
        let no = [("a/b", "a/bc"), ("b", "a/b"), ("", "a"), ("*x", "a"), ("ab*ba", "aba"), ("a*b*c", "acb")];
        assert!(yes.iter().all(|(pattern, path)| matches(pattern, path)));
        let wrong: Vec<_> = no.iter().filter(|(pattern, path)| matches(pattern, path)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
