//! `Group`: parameters that are trained differently from the rest, such as a smaller rate for a pretrained encoder
//! or no decay of biases. A group is a pattern of paths and what differs.

use crate::{Error, Result, settings};

settings! {
    /// What differs for the parameters of a group:
    /// `Adam::new(0.001).group("encoder", Group::new().learning_rate_factor(0.1))`.
    ///
    /// ```
    /// use gradus::optim::Group;
    /// use gradus::prelude::*;
    ///
    /// let optimizer = Adam::new(0.001)
    ///     .weight_decay(0.004)
    ///     .group("*/bias", Group::new().weight_decay(0.0))
    ///     .group("encoder", Group::new().learning_rate_factor(0.1));
    /// # let _ = optimizer;
    /// # Ok::<(), gradus::Error>(())
    /// ```
    #[derive(PartialEq)]
    pub struct Group {
        /// Creates a group in which nothing differs yet.
        new();

        /// The factor of the learning rate, be it a number or a schedule's. With 0 the parameters stay as they are:
        /// no average and no constraint changes them either. By default that of a later group, or else 1.
        pub(super) learning_rate_factor: some f64,
        /// The weight decay, instead of the optimizer's; 0 for none. By default that of a later group, or else the
        /// optimizer's.
        pub(super) weight_decay: some f64,
    }
}

/// What applies to one parameter, from all groups and the optimizer's options; found when its state begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) learning_rate_factor: f64,
    pub(super) weight_decay: f64,
}

/// Returns the first groups that set the rate's factor and the weight decay of the parameter at a path.
pub(super) fn first(groups: &[(String, Group)], path: &str) -> [Option<usize>; 2] {
    let mut found = [None, None];
    for (i, (pattern, group)) in groups.iter().enumerate() {
        let sets = [group.learning_rate_factor.is_some(), group.weight_decay.is_some()];
        let news = sets.iter().zip(&found).any(|(sets, found)| *sets && found.is_none());
        if news && matches(pattern, path) {
            for (found, _) in found.iter_mut().zip(sets).filter(|(found, sets)| *sets && found.is_none()) {
                *found = Some(i);
            }
        }
    }
    found
}

/// Names listed in a message before "and more".
const LISTED: usize = 20;

/// Returns whether a pattern matches the parameter at a path, or something that contains it. `*` matches any text,
/// `/` included.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let inside = path.match_indices('/').any(|(at, _)| is_like(pattern, &path[..at]));
    inside || is_like(pattern, path)
}

fn is_like(pattern: &str, text: &str) -> bool {
    let Some((start, mut rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    // Each part must match at the first place it is found, except the last, which must match the end.
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
        let settings =
            [("learning_rate_factor", group.learning_rate_factor), ("weight_decay", group.weight_decay)];
        for (name, value) in settings {
            if let Some(value) = value.filter(|v| !fine(*v)) {
                return Err(at(Error::argument(name, expected, value)));
            }
        }
        if settings.iter().all(|(_, value)| value.is_none()) {
            let expected = "what is different: a learning_rate_factor or a weight_decay";
            return Err(at(Error::argument("group", expected, "neither")));
        }
    }
    Ok(())
}

/// Fails if a group matches none of these parameters.
pub(super) fn check(groups: &[(String, Group)], paths: &[String]) -> Result<()> {
    let mut counts = vec![false; groups.len()];
    for i in paths.iter().flat_map(|path| first(groups, path)).flatten() {
        counts[i] = true;
    }
    for ((pattern, _), counts) in groups.iter().zip(counts) {
        if counts {
            continue;
        }
        let quoted = format!("'{}'", pattern.escape_debug());
        if paths.iter().any(|path| matches(pattern, path)) {
            let expected = "a pattern of parameters for which no group before it says the same (the first that fits counts)";
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
