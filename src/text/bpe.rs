//! Byte-pair encoding (Sennrich et al. 2016): of two neighbouring symbols that may become one, the pair that was learnt first does, until
//! there is none.

use super::read::Reader;
use super::vocabulary::Vocabulary;
use crate::{Error, Result};
use serde_json::{Value as Json, json};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// The model `BPE`.
#[derive(Clone, Debug)]
pub(super) struct Bpe {
    pub(super) vocabulary: Vocabulary,
    /// Of two ids the rank of their merge and the id of what comes of it.
    merges: HashMap<(u32, u32), (u32, u32)>,
    /// The same in order, for files.
    pairs: Vec<(String, String)>,
    unknown: Option<(String, u32)>,
    prefix: String,
    suffix: String,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
}

/// A symbol in a list from which others are taken out; `length` is 0 if it was.
#[derive(Clone, Copy)]
struct Symbol {
    id: u32,
    length: usize,
    before: Option<usize>,
    after: Option<usize>,
}

impl Bpe {
    pub(super) fn read(value: &Json, reader: &Reader<'_>) -> Result<Bpe> {
        let vocabulary = Vocabulary::read(&value["vocab"], reader)?;
        if value["dropout"].as_f64().is_some_and(|rate| rate > 0.0) {
            return Err(reader.fail("the BPE model has a dropout, which is not supported: set it to null to encode alike each time"));
        }
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_string();
        let flag = |key: &str| value[key].as_bool().unwrap_or(false);
        let (prefix, suffix) = (text("continuing_subword_prefix"), text("end_of_word_suffix"));
        let list =
            value["merges"].as_array().ok_or_else(|| reader.fail("the BPE model has no list 'merges'"))?;
        let (mut merges, mut pairs) = (HashMap::with_capacity(list.len()), Vec::with_capacity(list.len()));
        for (rank, merge) in list.iter().enumerate() {
            let pair = match (merge.as_str(), merge.as_array().map(Vec::as_slice)) {
                (Some(line), _) => line.split_once(' '),
                (_, Some([Json::String(a), Json::String(b)])) => Some((a.as_str(), b.as_str())),
                _ => None,
            };
            let (a, b) = pair.ok_or_else(|| reader.fail(&format!("merge {rank} should be two tokens")))?;
            let id = |token: &str| {
                let why = || {
                    reader.fail(&format!("merge {rank} needs the token {token:?}, which is not in 'vocab'"))
                };
                vocabulary.id(token).ok_or_else(why)
            };
            let joined = format!("{a}{}", b.strip_prefix(prefix.as_str()).unwrap_or(b));
            // A pair that is there twice has its later rank.
            merges.insert((id(a)?, id(b)?), (rank as u32, id(&joined)?));
            pairs.push((a.to_string(), b.to_string()));
        }
        let unknown = match value["unk_token"].as_str() {
            Some(token) => {
                let why = || reader.fail(&format!("unk_token {token:?} is not in 'vocab'"));
                Some((token.to_string(), vocabulary.id(token).ok_or_else(why)?))
            }
            None => None,
        };
        Ok(Bpe {
            vocabulary,
            merges,
            pairs,
            unknown,
            prefix,
            suffix,
            fuse_unk: flag("fuse_unk"),
            byte_fallback: flag("byte_fallback"),
            ignore_merges: flag("ignore_merges"),
        })
    }

    pub(super) fn write(&self) -> Json {
        let optional = |text: &str| if text.is_empty() { Json::Null } else { text.into() };
        json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": self.unknown.as_ref().map(|(token, _)| token),
            "continuing_subword_prefix": optional(&self.prefix),
            "end_of_word_suffix": optional(&self.suffix),
            "fuse_unk": self.fuse_unk,
            "byte_fallback": self.byte_fallback,
            "ignore_merges": self.ignore_merges,
            "vocab": self.vocabulary.write(),
            "merges": self.pairs.iter().map(|(a, b)| json!([a, b])).collect::<Vec<_>>(),
        })
    }

    /// Appends the tokens of a word.
    pub(super) fn tokens(&self, word: &str, out: &mut Vec<u32>) -> Result<()> {
        if self.ignore_merges
            && let Some(id) = self.vocabulary.id(word)
        {
            out.push(id);
            return Ok(());
        }
        let mut symbols = self.symbols(word);
        self.merge(&mut symbols);
        out.extend(symbols.iter().filter(|s| s.length > 0).map(|s| s.id));
        Ok(())
    }

    /// The characters of a word. What is not known is the unknown token, or bytes, or nothing if there is neither.
    fn symbols(&self, word: &str) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(word.len());
        let mut add = |id: u32, length: usize| {
            let number = symbols.len();
            if let Some(last) = symbols.last_mut() {
                last.after = Some(number);
            }
            symbols.push(Symbol { id, length, before: number.checked_sub(1), after: None });
        };
        let mut unknown: Option<usize> = None;
        let unknown_id = self.unknown.as_ref().map(|(_, id)| *id);
        let mut token = String::new();
        for (at, c) in word.char_indices() {
            let end = at + c.len_utf8();
            token.clear();
            if at > 0 {
                token.push_str(&self.prefix);
            }
            token.push(c);
            if end == word.len() {
                token.push_str(&self.suffix);
            }
            if let Some(id) = self.vocabulary.id(&token) {
                if let (Some(length), Some(id)) = (unknown.take(), unknown_id) {
                    add(id, length);
                }
                add(id, end - at);
                continue;
            }
            if self.byte_fallback {
                let bytes: Option<Vec<u32>> =
                    token.bytes().map(|b| self.vocabulary.id(&format!("<0x{b:02X}>"))).collect();
                if let Some(bytes) = bytes {
                    bytes.into_iter().for_each(|id| add(id, 1));
                    continue;
                }
            }
            if let Some(id) = unknown_id {
                unknown = match (unknown, self.fuse_unk) {
                    (Some(length), true) => Some(length + end - at),
                    (Some(length), false) => {
                        add(id, length);
                        Some(end - at)
                    }
                    (None, _) => Some(end - at),
                };
            }
        }
        if let (Some(length), Some(id)) = (unknown, unknown_id) {
            add(id, length);
        }
        symbols
    }

    /// Joins pairs, those of the lowest rank first and of these the leftmost.
    fn merge(&self, symbols: &mut [Symbol]) {
        let rank = |a: Symbol, b: Symbol| self.merges.get(&(a.id, b.id)).copied();
        let pairs = symbols.windows(2).enumerate();
        let mut queue: BinaryHeap<Reverse<(u32, usize, u32)>> = pairs
            .filter_map(|(at, pair)| rank(pair[0], pair[1]).map(|(rank, id)| Reverse((rank, at, id))))
            .collect();
        while let Some(Reverse((_, at, id))) = queue.pop() {
            let left = symbols[at];
            let Some(next) = left.after.filter(|_| left.length > 0) else { continue };
            let right = symbols[next];
            // What has become something else meanwhile is out of date.
            if rank(left, right).is_none_or(|(_, now)| now != id) {
                continue;
            }
            symbols[at] = Symbol { id, length: left.length + right.length, after: right.after, ..left };
            symbols[next].length = 0;
            if let Some(after) = right.after {
                symbols[after].before = Some(at);
                if let Some((rank, id)) = rank(symbols[at], symbols[after]) {
                    queue.push(Reverse((rank, at, id)));
                }
            }
            if let Some(before) = left.before
                && let Some((rank, id)) = rank(symbols[before], symbols[at])
            {
                queue.push(Reverse((rank, before, id)));
            }
        }
    }
}

/// The lines of GPT-2's `merges.txt`.
pub(super) fn read_merges(text: &str, reader: &Reader<'_>) -> Result<Vec<Json>> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(i, line)| !(line.starts_with("#version") || (line.is_empty() && *i > 0)));
    lines
        .map(|(i, line)| match line.split(' ').collect::<Vec<_>>()[..] {
            [a, b] => Ok(json!([a, b])),
            _ => Err(reader.fail(&format!("line {} of the merges should be two tokens", i + 1))),
        })
        .collect::<Result<Vec<Json>, Error>>()
}
