//! What is done to a text before it is cut: lower case, accents, forms of Unicode.

use super::pattern::{Pattern, is_control, is_nonspacing};
use super::pre_tokenizer::to_byte_level;
use super::read::Reader;
use crate::Result;
use serde_json::Value as Json;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A normalizer of `tokenizer.json`.
#[derive(Clone, Debug)]
pub(super) enum Normalizer {
    Sequence(Vec<Normalizer>),
    Bert { clean_text: bool, chinese: bool, strip_accents: bool, lowercase: bool },
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
    Nmt,
    Lowercase,
    Strip { left: bool, right: bool },
    StripAccents,
    Replace { pattern: Pattern, content: String },
    Prepend(String),
    ByteLevel,
}

const KNOWN: &str = "Sequence, BertNormalizer, NFC, NFD, NFKC, NFKD, Nmt, Lowercase, Strip, StripAccents, Replace, Prepend, ByteLevel";

impl Normalizer {
    pub(super) fn read(value: &Json, reader: &Reader<'_>) -> Result<Normalizer> {
        let flag = |key: &str, default: bool| value[key].as_bool().unwrap_or(default);
        Ok(match reader.kind("normalizer", value)? {
            "Sequence" => Normalizer::Sequence(reader.each(value, "normalizers", Normalizer::read)?),
            "BertNormalizer" => {
                let lowercase = flag("lowercase", true);
                Normalizer::Bert {
                    clean_text: flag("clean_text", true),
                    chinese: flag("handle_chinese_chars", true),
                    strip_accents: flag("strip_accents", lowercase),
                    lowercase,
                }
            }
            "NFC" => Normalizer::Nfc,
            "NFD" => Normalizer::Nfd,
            "NFKC" => Normalizer::Nfkc,
            "NFKD" => Normalizer::Nfkd,
            "Nmt" => Normalizer::Nmt,
            "Lowercase" => Normalizer::Lowercase,
            "Strip" => Normalizer::Strip { left: flag("strip_left", true), right: flag("strip_right", true) },
            "StripAccents" => Normalizer::StripAccents,
            "Replace" => Normalizer::Replace {
                pattern: Pattern::read(&value["pattern"], reader)?,
                content: reader.text(value, "content")?.into(),
            },
            "Prepend" => Normalizer::Prepend(reader.text(value, "prepend")?.into()),
            "ByteLevel" => Normalizer::ByteLevel,
            other => return Err(reader.unknown("normalizer", other, KNOWN)),
        })
    }

    pub(super) fn apply(&self, text: String) -> Result<String> {
        Ok(match self {
            Normalizer::Sequence(all) => {
                return all.iter().try_fold(text, |text, normalizer| normalizer.apply(text));
            }
            Normalizer::Bert { clean_text, chinese, strip_accents, lowercase } => {
                let mut text = text;
                if *clean_text {
                    let seen = |c: &char| !(matches!(c, '\0' | '\u{fffd}') || is_control(*c));
                    text =
                        text.chars().filter(seen).map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
                }
                if *chinese {
                    text = text.chars().fold(String::new(), |mut out, c| {
                        match is_chinese(c) {
                            true => out.extend([' ', c, ' ']),
                            false => out.push(c),
                        }
                        out
                    });
                }
                if *strip_accents {
                    text = text.nfd().filter(|c| !is_nonspacing(*c)).collect();
                }
                if *lowercase { lower(&text) } else { text }
            }
            Normalizer::Nfc => text.nfc().collect(),
            Normalizer::Nfd => text.nfd().collect(),
            Normalizer::Nfkc => text.nfkc().collect(),
            Normalizer::Nfkd => text.nfkd().collect(),
            Normalizer::Nmt => text.chars().filter_map(nmt).collect(),
            Normalizer::Lowercase => lower(&text),
            Normalizer::Strip { left, right } => {
                let text = if *left { text.trim_start() } else { &text };
                if *right { text.trim_end().into() } else { text.into() }
            }
            Normalizer::StripAccents => text.chars().filter(|c| !is_combining_mark(*c)).collect(),
            Normalizer::Replace { pattern, content } => pattern.replace(&text, content)?,
            Normalizer::Prepend(before) if !text.is_empty() => before.clone() + &text,
            Normalizer::Prepend(_) => text,
            Normalizer::ByteLevel => to_byte_level(&text),
        })
    }
}

/// Character by character: a sigma at the end of a word is that of any other place.
fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn is_chinese(c: char) -> bool {
    matches!(c as u32,
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x20000..=0x2A6DF | 0x2A700..=0x2B73F | 0x2B740..=0x2B81F
        | 0x2B920..=0x2CEAF | 0xF900..=0xFAFF | 0x2F800..=0x2FA1F)
}

fn nmt(c: char) -> Option<char> {
    match c as u32 {
        0x1..=0x8 | 0xB | 0xE..=0x1F | 0x7F | 0x8F | 0x9F => None,
        0x9 | 0xA | 0xC | 0xD | 0x1680 | 0x200B..=0x200F | 0x2028 | 0x2029 | 0x2581 | 0xFEFF | 0xFFFD => {
            Some(' ')
        }
        _ => Some(c),
    }
}
