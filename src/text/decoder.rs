//! How tokens become a text again.

use super::pattern::Pattern;
use super::pre_tokenizer::{Prepend, from_byte_level, metaspace};
use super::read::Reader;
use crate::Result;
use serde_json::Value as Json;

/// A decoder of `tokenizer.json`.
#[derive(Clone, Debug)]
pub(super) enum Decoder {
    Sequence(Vec<Decoder>),
    ByteLevel,
    ByteFallback,
    Fuse,
    WordPiece { prefix: String, cleanup: bool },
    Metaspace { replacement: char, prepend: Prepend },
    Bpe { suffix: String },
    Strip { content: char, start: usize, stop: usize },
    Replace { pattern: Pattern, content: String },
    Ctc { pad: String, delimiter: String, cleanup: bool },
}

const KNOWN: &str =
    "Sequence, ByteLevel, ByteFallback, Fuse, WordPiece, Metaspace, BPEDecoder, Strip, Replace, CTC";

impl Decoder {
    pub(super) fn read(value: &Json, reader: &Reader<'_>) -> Result<Decoder> {
        let flag = |key: &str, default: bool| value[key].as_bool().unwrap_or(default);
        let text = |key: &str, default: &str| value[key].as_str().unwrap_or(default).to_string();
        Ok(match reader.kind("decoder", value)? {
            "Sequence" => Decoder::Sequence(reader.each(value, "decoders", Decoder::read)?),
            "ByteLevel" => Decoder::ByteLevel,
            "ByteFallback" => Decoder::ByteFallback,
            "Fuse" => Decoder::Fuse,
            "WordPiece" => {
                Decoder::WordPiece { prefix: text("prefix", "##"), cleanup: flag("cleanup", true) }
            }
            "Metaspace" => {
                let (replacement, prepend) = metaspace(value, reader)?;
                Decoder::Metaspace { replacement, prepend }
            }
            "BPEDecoder" => Decoder::Bpe { suffix: text("suffix", "</w>") },
            "Strip" => {
                let count = |key: &str| -> Result<usize> {
                    Ok(reader.id(&value[key], || format!("'{key}' of the decoder Strip"))? as usize)
                };
                Decoder::Strip {
                    content: reader.character(value, "content")?,
                    start: count("start")?,
                    stop: count("stop")?,
                }
            }
            "Replace" => Decoder::Replace {
                pattern: Pattern::read(&value["pattern"], reader)?,
                content: reader.text(value, "content")?.into(),
            },
            "CTC" => Decoder::Ctc {
                pad: text("pad_token", "<pad>"),
                delimiter: text("word_delimiter_token", "|"),
                cleanup: flag("cleanup", true),
            },
            other => return Err(reader.unknown("decoder", other, KNOWN)),
        })
    }

    /// The texts of tokens, still to be joined.
    pub(super) fn apply(&self, tokens: Vec<String>) -> Result<Vec<String>> {
        let each = |tokens: Vec<String>, f: &dyn Fn(usize, String) -> String| -> Vec<String> {
            tokens.into_iter().enumerate().map(|(i, token)| f(i, token)).collect()
        };
        Ok(match self {
            Decoder::Sequence(all) => return all.iter().try_fold(tokens, |tokens, one| one.apply(tokens)),
            Decoder::ByteLevel => {
                let bytes: Vec<u8> = tokens.iter().flat_map(|token| from_byte_level(token)).collect();
                vec![String::from_utf8_lossy(&bytes).into_owned()]
            }
            Decoder::ByteFallback => bytes_of(tokens),
            Decoder::Fuse => vec![tokens.concat()],
            Decoder::WordPiece { prefix, cleanup } => each(tokens, &|i, token| {
                let token = match token.strip_prefix(prefix.as_str()) {
                    _ if i == 0 => token,
                    Some(rest) => rest.into(),
                    None => format!(" {token}"),
                };
                if *cleanup { clean(&token) } else { token }
            }),
            Decoder::Metaspace { replacement, prepend } => each(tokens, &|i, token| {
                let first = i == 0 && *prepend != Prepend::Never;
                let space = |c: char| match c == *replacement {
                    true if first => None,
                    true => Some(' '),
                    false => Some(c),
                };
                token.chars().filter_map(space).collect()
            }),
            Decoder::Bpe { suffix } => {
                let last = tokens.len().saturating_sub(1);
                each(tokens, &|i, token| token.replace(suffix.as_str(), if i == last { "" } else { " " }))
            }
            Decoder::Strip { content, start, stop } => each(tokens, &|_, token| {
                let chars: Vec<char> = token.chars().collect();
                let left = chars.iter().take(*start).take_while(|c| *c == content).count();
                let right = chars.iter().rev().take(*stop).take_while(|c| *c == content).count();
                chars.get(left..chars.len() - right).unwrap_or_default().iter().collect()
            }),
            Decoder::Replace { pattern, content } => {
                return tokens.iter().map(|token| pattern.replace(token, content)).collect();
            }
            Decoder::Ctc { pad, delimiter, cleanup } => {
                let mut tokens = tokens;
                tokens.dedup();
                let plain = |token: String| match (token.replace(pad.as_str(), ""), *cleanup) {
                    (token, true) => clean(&token).replace(delimiter.as_str(), " "),
                    (token, false) => token,
                };
                tokens.into_iter().map(plain).filter(|token| !token.is_empty()).collect()
            }
        })
    }
}

/// English without the spaces that cutting put before its signs.
fn clean(text: &str) -> String {
    const SIGNS: [(&str, &str); 11] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" do not", " don't"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    SIGNS.iter().fold(text.to_string(), |text, (from, to)| text.replace(from, to))
}

/// Runs of tokens `<0x41>` as the text that their bytes are; a sign for each byte where they are none.
fn bytes_of(tokens: Vec<String>) -> Vec<String> {
    let byte = |token: &str| {
        let digits = token.strip_prefix("<0x")?.strip_suffix('>').filter(|digits| digits.len() == 2)?;
        u8::from_str_radix(digits, 16).ok()
    };
    let (mut out, mut bytes) = (Vec::with_capacity(tokens.len()), Vec::new());
    let flush = |bytes: &mut Vec<u8>, out: &mut Vec<String>| {
        let n = bytes.len();
        match String::from_utf8(std::mem::take(bytes)) {
            Ok(text) if n > 0 => out.push(text),
            Ok(_) => {}
            Err(_) => out.extend((0..n).map(|_| char::REPLACEMENT_CHARACTER.to_string())),
        }
    };
    for token in tokens {
        match byte(&token) {
            Some(byte) => bytes.push(byte),
            None => {
                flush(&mut bytes, &mut out);
                out.push(token);
            }
        }
    }
    flush(&mut bytes, &mut out);
    out
}
