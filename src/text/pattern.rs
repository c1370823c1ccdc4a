//! Where a text is cut: at what matches an expression or is a character of some kind, and what becomes of the matches.

use super::read::Reader;
use crate::Result;
use fancy_regex::Regex;
use regex_syntax::hir::{Class, HirKind};
use serde_json::Value as Json;
use std::ops::Range;
use std::sync::LazyLock;

/// A part of a text, and whether it matched.
pub(super) type Part = (Range<usize>, bool);

/// What a pattern of a file is: a text, or a regular expression.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Text(String),
    Regex(Box<Regex>),
}

impl Pattern {
    /// Of `{"String": "…"}` or `{"Regex": "…"}`.
    pub(super) fn read(value: &Json, reader: &Reader<'_>) -> Result<Pattern> {
        if let Some(text) = value["String"].as_str() {
            return Ok(Pattern::Text(text.into()));
        }
        match value["Regex"].as_str() {
            Some(regex) => Ok(Pattern::Regex(Box::new(expression(regex, reader)?))),
            None => Err(reader.fail("a pattern should be an object with 'String' or 'Regex'")),
        }
    }

    /// The parts of a text, in order and without gaps.
    pub(super) fn parts(&self, text: &str) -> Result<Vec<Part>> {
        match self {
            Pattern::Text(pattern) if pattern.is_empty() => Ok(vec![(0..text.len(), false)]),
            Pattern::Text(pattern) => {
                let matches = text.match_indices(pattern.as_str()).map(|(at, m)| Ok(at..at + m.len()));
                between(text, matches)
            }
            Pattern::Regex(regex) => find(regex, text),
        }
    }

    /// The text with another in the place of each match.
    pub(super) fn replace(&self, text: &str, content: &str) -> Result<String> {
        let mut out = String::with_capacity(text.len());
        for (range, matched) in self.parts(text)? {
            out.push_str(if matched { content } else { &text[range] });
        }
        Ok(out)
    }
}

/// Compiles an expression of a file.
pub(super) fn expression(regex: &str, reader: &Reader<'_>) -> Result<Regex> {
    crate::io::check(
        reader.what,
        "an expression's length in bytes",
        regex.len() as u64,
        reader.limits.max_name,
    )?;
    Regex::new(regex).map_err(|e| reader.fail(&format!("the expression {regex:?} cannot be used: {e}")))
}

/// The parts of a text by an expression. One that goes astray ends with an error.
pub(super) fn find(regex: &Regex, text: &str) -> Result<Vec<Part>> {
    let ranges = regex.find_iter(text).map(|found| {
        let found = found.map_err(|e| crate::Error::format("tokenizer", format!("expression: {e}")))?;
        Ok(found.start()..found.end())
    });
    between(text, ranges)
}

/// Matches and what lies between them.
fn between(text: &str, matches: impl Iterator<Item = Result<Range<usize>>>) -> Result<Vec<Part>> {
    let (mut parts, mut at) = (Vec::new(), 0);
    for found in matches {
        let found = found?;
        if at < found.start {
            parts.push((at..found.start, false));
        }
        at = found.end;
        parts.push((found, true));
    }
    if at < text.len() {
        parts.push((at..text.len(), false));
    }
    Ok(parts)
}

/// The parts of a text by a kind of character; each such character is a match of its own.
pub(super) fn characters(text: &str, matches: impl Fn(char) -> bool) -> Vec<Part> {
    let (mut parts, mut at) = (Vec::new(), 0);
    for (start, c) in text.char_indices().filter(|(_, c)| matches(*c)) {
        if at < start {
            parts.push((at..start, false));
        }
        at = start + c.len_utf8();
        parts.push((start..at, true));
    }
    if at < text.len() {
        parts.push((at..text.len(), false));
    }
    parts
}

/// What becomes of matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behavior {
    Removed,
    Isolated,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}

impl Behavior {
    /// By the names of `tokenizer.json`; isolated if there is none.
    pub(super) fn read(value: &Json, reader: &Reader<'_>) -> Result<Behavior> {
        Ok(match value.as_str() {
            Some("Removed") => Behavior::Removed,
            Some("Isolated") | None => Behavior::Isolated,
            Some("MergedWithPrevious") => Behavior::MergedWithPrevious,
            Some("MergedWithNext") => Behavior::MergedWithNext,
            Some("Contiguous") => Behavior::Contiguous,
            Some(other) => return Err(reader.fail(&format!("the behavior '{other}' is not known"))),
        })
    }

    /// The pieces of a text with these parts.
    pub(super) fn pieces(self, parts: Vec<Part>) -> Vec<Range<usize>> {
        let merged = |parts: &mut dyn Iterator<Item = Part>, with: fn(bool, bool) -> bool| {
            let (mut pieces, mut before) = (Vec::<Range<usize>>::new(), false);
            for (range, matched) in parts {
                match pieces.last_mut().filter(|_| with(matched, before)) {
                    Some(last) => *last = last.start.min(range.start)..last.end.max(range.end),
                    None => pieces.push(range),
                }
                before = matched;
            }
            pieces
        };
        match self {
            Behavior::Isolated => parts.into_iter().map(|(range, _)| range).collect(),
            Behavior::Removed => parts.into_iter().filter(|(_, m)| !m).map(|(range, _)| range).collect(),
            Behavior::Contiguous => merged(&mut parts.into_iter(), |now, before| now == before),
            Behavior::MergedWithPrevious => merged(&mut parts.into_iter(), |now, before| now && !before),
            Behavior::MergedWithNext => {
                let mut pieces = merged(&mut parts.into_iter().rev(), |now, before| now && !before);
                pieces.reverse();
                pieces
            }
        }
    }
}

/// The ranges of characters that a class such as `\p{P}` names.
fn class(of: &str) -> Vec<(char, char)> {
    match regex_syntax::parse(of).map(regex_syntax::hir::Hir::into_kind) {
        Ok(HirKind::Class(Class::Unicode(class))) => {
            class.ranges().iter().map(|r| (r.start(), r.end())).collect()
        }
        _ => Vec::new(),
    }
}

static PUNCTUATION: LazyLock<Vec<(char, char)>> = LazyLock::new(|| class(r"\p{P}"));
static CONTROL: LazyLock<Vec<(char, char)>> = LazyLock::new(|| class(r"[\p{Cc}\p{Cf}\p{Co}]"));
static NONSPACING: LazyLock<Vec<(char, char)>> = LazyLock::new(|| class(r"\p{Mn}"));
static WORD: LazyLock<Vec<(char, char)>> = LazyLock::new(|| class(r"\w"));

fn holds(ranges: &[(char, char)], c: char) -> bool {
    let at = ranges.partition_point(|(_, end)| *end < c);
    ranges.get(at).is_some_and(|(start, _)| *start <= c)
}

/// ASCII's signs, `$` and `+` among them, and the punctuation of Unicode.
pub(super) fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || (!c.is_ascii() && holds(&PUNCTUATION, c))
}

/// Neither seen nor a space, but tab, line feed and carriage return.
pub(super) fn is_control(c: char) -> bool {
    !matches!(c, '\t' | '\n' | '\r') && holds(&CONTROL, c)
}

/// A mark that stands above or below the letter before it.
pub(super) fn is_nonspacing(c: char) -> bool {
    holds(&NONSPACING, c)
}

/// What `\w` matches.
pub(super) fn is_word(c: char) -> bool {
    holds(&WORD, c)
}
