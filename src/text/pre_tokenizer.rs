//! How a text is cut into words before a model sees it.

use super::pattern::{Behavior, Pattern, characters, find, is_punctuation, is_word};
use super::read::Reader;
use crate::Result;
use fancy_regex::Regex;
use serde_json::Value as Json;
use std::ops::Range;
use std::sync::LazyLock;

/// A pre-tokenizer of `tokenizer.json`.
#[derive(Clone, Debug)]
pub(super) enum PreTokenizer {
    Sequence(Vec<PreTokenizer>),
    Bert,
    ByteLevel { add_prefix_space: bool, use_regex: bool },
    Whitespace,
    WhitespaceSplit,
    Punctuation(Behavior),
    Digits { individual: bool },
    Split { pattern: Pattern, behavior: Behavior, invert: bool },
    Delimiter(char),
    Metaspace { replacement: char, prepend: Prepend, split: bool },
}

/// Where a space is put before the first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prepend {
    First,
    Never,
    Always,
}

/// A word, and whether the text begins with it.
pub(super) struct Word {
    pub(super) text: String,
    pub(super) first: bool,
}

const KNOWN: &str = "Sequence, BertPreTokenizer, ByteLevel, Whitespace, WhitespaceSplit, Punctuation, Digits, Split, CharDelimiterSplit, Metaspace";

/// How GPT-2 cuts a text into words.
static GPT2: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+").ok()
});

impl PreTokenizer {
    pub(super) fn read(value: &Json, reader: &Reader<'_>) -> Result<PreTokenizer> {
        let flag = |key: &str, default: bool| value[key].as_bool().unwrap_or(default);
        Ok(match reader.kind("pre_tokenizer", value)? {
            "Sequence" => PreTokenizer::Sequence(reader.each(value, "pretokenizers", PreTokenizer::read)?),
            "BertPreTokenizer" => PreTokenizer::Bert,
            "ByteLevel" => PreTokenizer::ByteLevel {
                add_prefix_space: flag("add_prefix_space", true),
                use_regex: flag("use_regex", true),
            },
            "Whitespace" => PreTokenizer::Whitespace,
            "WhitespaceSplit" => PreTokenizer::WhitespaceSplit,
            "Punctuation" => PreTokenizer::Punctuation(Behavior::read(&value["behavior"], reader)?),
            "Digits" => PreTokenizer::Digits { individual: flag("individual_digits", false) },
            "Split" => PreTokenizer::Split {
                pattern: Pattern::read(&value["pattern"], reader)?,
                behavior: Behavior::read(&value["behavior"], reader)?,
                invert: flag("invert", false),
            },
            "CharDelimiterSplit" => PreTokenizer::Delimiter(reader.character(value, "delimiter")?),
            "Metaspace" => {
                let (replacement, prepend) = metaspace(value, reader)?;
                PreTokenizer::Metaspace { replacement, prepend, split: flag("split", true) }
            }
            other => return Err(reader.unknown("pre_tokenizer", other, KNOWN)),
        })
    }

    /// The words of words.
    pub(super) fn apply(&self, words: Vec<Word>) -> Result<Vec<Word>> {
        if let PreTokenizer::Sequence(all) = self {
            return all.iter().try_fold(words, |words, one| one.apply(words));
        }
        let mut out = Vec::with_capacity(words.len());
        for word in words {
            self.cut(word, &mut out)?;
        }
        Ok(out)
    }

    fn cut(&self, word: Word, out: &mut Vec<Word>) -> Result<()> {
        let Word { mut text, first } = word;
        let mut add = |text: &str, pieces: Vec<Range<usize>>| {
            for range in pieces.into_iter().filter(|range| !range.is_empty()) {
                out.push(Word { first: first && range.start == 0, text: text[range].into() });
            }
        };
        match self {
            PreTokenizer::Sequence(_) => {}
            PreTokenizer::Bert => {
                for range in Behavior::Removed.pieces(characters(&text, char::is_whitespace)) {
                    let inner = Behavior::Isolated.pieces(characters(&text[range.clone()], is_punctuation));
                    let shift = |r: Range<usize>| r.start + range.start..r.end + range.start;
                    add(&text, inner.into_iter().map(shift).collect());
                }
            }
            PreTokenizer::ByteLevel { add_prefix_space, use_regex } => {
                if *add_prefix_space && !text.starts_with(' ') {
                    text.insert(0, ' ');
                }
                let parts = match &*GPT2 {
                    Some(regex) if *use_regex => find(regex, &text)?,
                    _ => vec![(0..text.len(), false)],
                };
                for range in Behavior::Isolated.pieces(parts).into_iter().filter(|range| !range.is_empty()) {
                    out.push(Word { first: first && range.start == 0, text: to_byte_level(&text[range]) });
                }
            }
            PreTokenizer::Whitespace => add(&text, words(&text)),
            PreTokenizer::WhitespaceSplit => {
                add(&text, Behavior::Removed.pieces(characters(&text, char::is_whitespace)));
            }
            PreTokenizer::Punctuation(behavior) => {
                add(&text, behavior.pieces(characters(&text, is_punctuation)))
            }
            PreTokenizer::Digits { individual } => {
                let behavior = if *individual { Behavior::Isolated } else { Behavior::Contiguous };
                add(&text, behavior.pieces(characters(&text, char::is_numeric)));
            }
            PreTokenizer::Split { pattern, behavior, invert } => {
                let mut parts = pattern.parts(&text)?;
                parts.iter_mut().for_each(|(_, matched)| *matched ^= *invert);
                add(&text, behavior.pieces(parts));
            }
            PreTokenizer::Delimiter(delimiter) => {
                add(&text, Behavior::Removed.pieces(characters(&text, |c| c == *delimiter)));
            }
            PreTokenizer::Metaspace { replacement, prepend, split } => {
                text = text.replace(' ', replacement.encode_utf8(&mut [0; 4]));
                let wanted = *prepend == Prepend::Always || (*prepend == Prepend::First && first);
                if wanted && !text.starts_with(*replacement) {
                    text.insert(0, *replacement);
                }
                match split {
                    true => {
                        add(&text, Behavior::MergedWithNext.pieces(characters(&text, |c| c == *replacement)));
                    }
                    false => add(&text, std::iter::once(0..text.len()).collect()),
                }
            }
        }
        Ok(())
    }
}

/// `replacement` and `prepend_scheme`, with the older `add_prefix_space`.
pub(super) fn metaspace(value: &Json, reader: &Reader<'_>) -> Result<(char, Prepend)> {
    let replacement =
        if value["replacement"].is_null() { '▁' } else { reader.character(value, "replacement")? };
    let prepend = match value["prepend_scheme"].as_str() {
        _ if value["add_prefix_space"].as_bool() == Some(false) => Prepend::Never,
        Some("always") | None => Prepend::Always,
        Some("first") => Prepend::First,
        Some("never") => Prepend::Never,
        Some(other) => return Err(reader.unknown("prepend_scheme", other, "always, first, never")),
    };
    Ok((replacement, prepend))
}

/// The runs of letters and digits, and the runs of what is neither that nor a space: `\w+|[^\w\s]+`.
fn words(text: &str) -> Vec<Range<usize>> {
    let kind = |c: char| {
        if is_word(c) {
            1
        } else if c.is_whitespace() {
            0
        } else {
            2
        }
    };
    let (mut out, mut last) = (Vec::<Range<usize>>::new(), 0);
    for (at, c) in text.char_indices() {
        let (now, end) = (kind(c), at + c.len_utf8());
        match out.last_mut().filter(|_| now == last) {
            Some(range) if now != 0 => range.end = end,
            _ if now != 0 => out.push(at..end),
            _ => {}
        }
        last = now;
    }
    out
}

/// The character that stands for each byte, GPT-2's table: those that can be seen stand for themselves, the others for what follows
/// U+0100.
static OF_BYTE: LazyLock<[char; 256]> = LazyLock::new(|| {
    let seen = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut next = 0x100;
    std::array::from_fn(|b| {
        let b = b as u8;
        if seen(b) {
            return char::from(b);
        }
        next += 1;
        char::from_u32(next - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
    })
});

/// The characters that stand for bytes, in the order of characters.
pub(super) fn byte_alphabet() -> Vec<char> {
    let mut all = OF_BYTE.to_vec();
    all.sort_unstable();
    all
}

/// A character for each byte.
pub(super) fn to_byte_level(text: &str) -> String {
    text.bytes().map(|b| OF_BYTE[usize::from(b)]).collect()
}

/// The bytes that the characters of a token stand for; its own if one of them stands for none.
pub(super) fn from_byte_level(token: &str) -> Vec<u8> {
    let byte = |c: char| match c as u32 {
        0x100..0x144 => OF_BYTE.iter().position(|&of| of == c).map(|b| b as u8),
        code @ 0x21..0x100 => Some(code as u8).filter(|b| OF_BYTE[usize::from(*b)] == c),
        _ => None,
    };
    token.chars().map(byte).collect::<Option<Vec<u8>>>().unwrap_or_else(|| token.as_bytes().to_vec())
}
