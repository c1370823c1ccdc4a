//! Tokenizers that are learnt from texts.

use super::pre_tokenizer::{PreTokenizer, Word, byte_alphabet};
use super::read::Reader;
use super::tokenizer::{Tokenizer, byte_level, specials};
use crate::io::Limits;
use crate::{Error, Result};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

/// The settings of training a tokenizer.
///
/// ```
/// use gradus::text::Trainer;
///
/// let trainer = Trainer::new().special_tokens(["[UNK]"]).vocab_size(4);
/// let tokenizer = trainer.words(&["the cat and the dog and the cow"])?;
/// assert_eq!(tokenizer.encode("the cat and the sea")?.ids, [1, 3, 2, 1, 0]);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Trainer {
    vocab_size: usize,
    min_frequency: u64,
    special_tokens: Vec<String>,
}

impl Default for Trainer {
    fn default() -> Trainer {
        Trainer::new()
    }
}

impl Trainer {
    /// At most 30,000 tokens, however rare, none of them special.
    pub fn new() -> Trainer {
        Trainer { vocab_size: 30_000, min_frequency: 0, special_tokens: Vec::new() }
    }

    /// The most tokens; 30,000 by default. Characters and bytes are all there, whatever their number.
    pub fn vocab_size(mut self, tokens: usize) -> Trainer {
        self.vocab_size = tokens;
        self
    }

    /// How often a word or a pair must occur to become a token; 0 by default.
    pub fn min_frequency(mut self, times: u64) -> Trainer {
        self.min_frequency = times;
        self
    }

    /// Tokens with the first ids, from 0, which are never cut: the end of a text, padding. `"[UNK]"` among them stands for words and
    /// characters that are not known.
    pub fn special_tokens<S: Into<String>>(mut self, tokens: impl IntoIterator<Item = S>) -> Trainer {
        self.special_tokens = tokens.into_iter().map(Into::into).collect();
        self
    }

    /// A token for each character of the texts, in the order of Unicode.
    ///
    /// # Errors
    /// There are no characters, or a special token is empty or there twice.
    pub fn characters(&self, texts: &[impl AsRef<str>]) -> Result<Tokenizer> {
        let all: BTreeSet<char> = texts.iter().flat_map(|text| text.as_ref().chars()).collect();
        let mut vocab = self.vocab()?;
        let tokens = all.into_iter().map(String::from);
        add(&mut vocab, tokens);
        if vocab.len() == self.special_tokens.len() {
            return Err(Error::argument("texts", "at least one character", "none"));
        }
        let split = json!({ "type": "Split", "pattern": { "Regex": "(?s:.)" }, "behavior": "Isolated", "invert": false });
        self.finish(json!({
            "added_tokens": specials(&vocab, &self.special_tokens),
            "pre_tokenizer": split,
            "decoder": { "type": "Fuse" },
            "model": { "type": "WordLevel", "unk_token": "[UNK]", "vocab": vocab },
        }))
    }

    /// A token for each word and each sign of the texts, the most frequent first, equal ones by letters. Decoding puts spaces between.
    ///
    /// # Errors
    /// As [`Trainer::characters`].
    pub fn words(&self, texts: &[impl AsRef<str>]) -> Result<Tokenizer> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for word in words(texts, &PreTokenizer::Whitespace)? {
            *counts.entry(word).or_default() += 1;
        }
        let mut all: Vec<(String, u64)> =
            counts.into_iter().filter(|(_, n)| *n >= self.min_frequency).collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        if all.is_empty() {
            return Err(Error::argument("texts", "at least one word of min_frequency", "none"));
        }
        let mut vocab = self.vocab()?;
        let room = self.vocab_size.saturating_sub(vocab.len());
        let tokens: Vec<String> = all
            .into_iter()
            .map(|(word, _)| word)
            .filter(|word| !vocab.contains_key(word))
            .take(room)
            .collect();
        add(&mut vocab, tokens);
        self.finish(json!({
            "added_tokens": specials(&vocab, &self.special_tokens),
            "pre_tokenizer": { "type": "Whitespace" },
            "model": { "type": "WordLevel", "unk_token": "[UNK]", "vocab": vocab },
        }))
    }

    /// Byte pairs as GPT-2 has them: any text can be encoded, and is what it was when it is decoded. Each new token is the pair that is
    /// most frequent in the words of the texts; of equal ones that of the lower ids. Special tokens come first, then the 256 bytes, then
    /// pairs; the same ids as with Hugging Face's trainer.
    ///
    /// # Errors
    /// `vocab_size` is less than the bytes and special tokens, or a special token is empty or there twice.
    pub fn byte_pair(&self, texts: &[impl AsRef<str>]) -> Result<Tokenizer> {
        let mut vocab = self.vocab()?;
        add(&mut vocab, byte_alphabet().into_iter().map(String::from));
        if vocab.len() > self.vocab_size {
            let expected = format!("at least {}, the bytes and special tokens", vocab.len());
            return Err(Error::argument("vocab_size", expected, self.vocab_size));
        }
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for word in words(texts, &PreTokenizer::ByteLevel { add_prefix_space: false, use_regex: true })? {
            *counts.entry(word).or_default() += 1;
        }
        let merges = self.merges(&counts, &mut vocab);
        let added = specials(&vocab, &self.special_tokens);
        self.finish(byte_level(added, Json::Object(vocab), merges))
    }

    /// The special tokens with their ids.
    fn vocab(&self) -> Result<Map<String, Json>> {
        let mut vocab = Map::new();
        for (id, token) in self.special_tokens.iter().enumerate() {
            if token.is_empty() || vocab.insert(token.clone(), id.into()).is_some() {
                let expected = "tokens that are not empty, each once";
                return Err(Error::argument("special_tokens", expected, format!("{token:?}")));
            }
        }
        Ok(vocab)
    }

    fn finish(&self, config: Json) -> Result<Tokenizer> {
        Tokenizer::of(config, &Reader { what: "trainer", limits: &Limits::default() })
    }

    /// Learns pairs and adds them to the vocabulary.
    fn merges(&self, words: &BTreeMap<String, u64>, vocab: &mut Map<String, Json>) -> Vec<Json> {
        let mut ids: HashMap<String, u32> =
            vocab.iter().filter_map(|(token, id)| Some((token.clone(), id.as_u64()? as u32))).collect();
        let mut tokens = vec![String::new(); ids.len()];
        for (token, id) in vocab.iter() {
            if let Some(place) = id.as_u64().and_then(|id| tokens.get_mut(id as usize)) {
                place.clone_from(token);
            }
        }
        let mut buffer = [0; 4];
        let symbols = |word: &String| {
            word.chars().filter_map(|c| ids.get(&*c.encode_utf8(&mut buffer)).copied()).collect::<Vec<u32>>()
        };
        let mut all: Vec<Vec<u32>> = words.keys().map(symbols).collect();
        let counts: Vec<i64> = words.values().map(|&n| n as i64).collect();

        // How often each pair occurs, and which words it is in.
        let mut pairs: HashMap<(u32, u32), i64> = HashMap::new();
        let mut places: BTreeMap<(u32, u32), BTreeSet<usize>> = BTreeMap::new();
        for (word, symbols) in all.iter().enumerate() {
            for pair in symbols.windows(2) {
                let pair = (pair[0], pair[1]);
                *pairs.entry(pair).or_default() += counts[word];
                places.entry(pair).or_default().insert(word);
            }
        }
        let mut queue: BinaryHeap<Candidate> = BinaryHeap::new();
        enqueue(&mut queue, &mut places, &pairs);
        let mut merges = Vec::new();
        while ids.len() < self.vocab_size
            && let Some(mut top) = queue.pop()
        {
            let now = pairs.get(&top.pair).copied().unwrap_or(0);
            if top.count != now {
                // What it was counted for has been merged otherwise meanwhile.
                top.count = now;
                queue.push(top);
                continue;
            }
            if now < 1 || (now as u64) < self.min_frequency {
                break;
            }
            let (a, b) = top.pair;
            let token = tokens[a as usize].clone() + &tokens[b as usize];
            let id = *ids.entry(token.clone()).or_insert_with(|| {
                tokens.push(token.clone());
                (tokens.len() - 1) as u32
            });
            vocab.insert(token, id.into());
            merges.push(json!([tokens[a as usize], tokens[b as usize]]));
            for word in top.words {
                join(&mut all[word], top.pair, id, |pair, change| {
                    *pairs.entry(pair).or_default() += change * counts[word];
                    if change > 0 {
                        places.entry(pair).or_default().insert(word);
                    }
                });
            }
            enqueue(&mut queue, &mut places, &pairs);
        }
        merges
    }
}

/// A pair that may become a token: the most frequent is the greatest, of equal ones that of the lower ids.
#[derive(PartialEq, Eq)]
struct Candidate {
    count: i64,
    pair: (u32, u32),
    words: BTreeSet<usize>,
}
impl Ord for Candidate {
    fn cmp(&self, other: &Candidate) -> std::cmp::Ordering {
        self.count.cmp(&other.count).then_with(|| other.pair.cmp(&self.pair))
    }
}
impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Candidate) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

fn enqueue(
    queue: &mut BinaryHeap<Candidate>,
    places: &mut BTreeMap<(u32, u32), BTreeSet<usize>>,
    pairs: &HashMap<(u32, u32), i64>,
) {
    for (pair, words) in std::mem::take(places) {
        let count = pairs.get(&pair).copied().unwrap_or(0);
        if count > 0 {
            queue.push(Candidate { count, pair, words });
        }
    }
}

/// Puts `id` in the place of each pair, from the left, and tells which pairs are gone and which are new.
fn join(symbols: &mut Vec<u32>, (a, b): (u32, u32), id: u32, mut changed: impl FnMut((u32, u32), i64)) {
    let mut i = 0;
    while i + 1 < symbols.len() {
        if (symbols[i], symbols[i + 1]) == (a, b) {
            if i > 0 {
                changed((symbols[i - 1], a), -1);
                changed((symbols[i - 1], id), 1);
            }
            symbols[i] = id;
            symbols.remove(i + 1);
            if let Some(&after) = symbols.get(i + 1) {
                changed((b, after), -1);
                changed((id, after), 1);
            }
        }
        i += 1;
    }
}

/// Adds tokens with the next ids.
fn add(vocab: &mut Map<String, Json>, tokens: impl IntoIterator<Item = String>) {
    for token in tokens {
        let next = vocab.len();
        vocab.entry(token).or_insert(next.into());
    }
}

/// The words of texts.
fn words(texts: &[impl AsRef<str>], cut: &PreTokenizer) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for text in texts {
        let words = cut.apply(vec![Word { text: text.as_ref().into(), first: true }])?;
        all.extend(words.into_iter().map(|word| word.text).filter(|word| !word.is_empty()));
    }
    Ok(all)
}
