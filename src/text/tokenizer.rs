//! A tokenizer: what it does with a text, in order, and its files.

use super::added::{Added, AddedTokens};
use super::bpe::read_merges;
use super::decoder::Decoder;
use super::encoding::{Encoding, Padded, Padding, Strategy, Truncation};
use super::model::Model;
use super::normalizer::Normalizer;
use super::pre_tokenizer::{PreTokenizer, Word};
use super::read::Reader;
use super::template::{Part, Template};
use crate::io::{Limits, read_file, write_atomically};
use crate::{Error, Result};
use serde_json::{Map, Value as Json, json};
use std::collections::HashMap;
use std::path::Path;

/// Text to ids and back.
///
/// ```
/// use gradus::text::{Padding, Tokenizer, Trainer};
///
/// let tokenizer = Trainer::new().special_tokens(["<pad>"]).characters(&["hello world"])?;
/// assert_eq!(tokenizer.vocab_size(), 9);
/// let tokenizer = tokenizer.padding(Padding::new(0));
/// let batch = tokenizer.batch(&["hello", "world!!"]).err().unwrap();
/// assert!(batch.to_string().contains("\"!\" is not known"));
/// let batch = tokenizer.batch(&["hello", "old"])?;
/// assert_eq!(batch.ids.dims(), [2, 5]);
/// assert_eq!(batch.mask.to_vec::<bool>()?[5..], [true, true, true, false, false]);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tokenizer {
    normalizer: Option<Normalizer>,
    pre_tokenizer: Option<PreTokenizer>,
    model: Model,
    template: Option<Template>,
    decoder: Option<Decoder>,
    added: AddedTokens,
    truncation: Option<Truncation>,
    padding: Option<Padding>,
    /// The parts as their file describes them, for another file.
    parts: Map<String, Json>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// The file cannot be read, is over a limit or not what it should be, or has a part that is not supported; the message names it.
    pub fn read(path: impl AsRef<Path>, limits: &Limits) -> Result<Tokenizer> {
        let (bytes, what) = file(path.as_ref(), limits)?;
        Tokenizer::parse(&bytes, &what, limits)
    }

    /// Reads the bytes of a `tokenizer.json`; `what` is its name in messages.
    ///
    /// # Errors
    /// As [`Tokenizer::read`].
    pub fn parse(bytes: &[u8], what: &str, limits: &Limits) -> Result<Tokenizer> {
        let reader = Reader { what, limits };
        Tokenizer::of(reader.json(bytes)?, &reader)
    }

    /// Reads the `vocab.txt` of a BERT, a token a line, as its tokenizer: `lowercase` for those that are "uncased".
    ///
    /// # Errors
    /// The file cannot be read or is over a limit, or a token is there twice.
    pub fn read_vocab_txt(path: impl AsRef<Path>, lowercase: bool, limits: &Limits) -> Result<Tokenizer> {
        let (bytes, what) = file(path.as_ref(), limits)?;
        Tokenizer::parse_vocab_txt(&bytes, &what, lowercase, limits)
    }

    /// Reads the bytes of a `vocab.txt`.
    ///
    /// # Errors
    /// As [`Tokenizer::read_vocab_txt`].
    pub fn parse_vocab_txt(bytes: &[u8], what: &str, lowercase: bool, limits: &Limits) -> Result<Tokenizer> {
        let reader = Reader { what, limits };
        let mut vocab = Map::new();
        for (id, line) in reader.utf8(bytes)?.lines().enumerate() {
            if vocab.insert(line.trim_end().into(), id.into()).is_some() {
                return Err(reader.fail(&format!("line {}: {:?} is there twice", id + 1, line.trim_end())));
            }
        }
        if vocab.is_empty() {
            return Err(reader.fail("there is no token in it"));
        }
        let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        let added = specials(&vocab, &special);
        let post = match (vocab.get("[CLS]"), vocab.get("[SEP]")) {
            (Some(cls), Some(sep)) => {
                json!({ "type": "BertProcessing", "cls": ["[CLS]", cls], "sep": ["[SEP]", sep] })
            }
            _ => Json::Null,
        };
        let config = json!({
            "added_tokens": added,
            "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": lowercase },
            "pre_tokenizer": { "type": "BertPreTokenizer" },
            "post_processor": post,
            "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
            "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab },
        });
        Tokenizer::of(config, &reader)
    }

    /// Reads GPT-2's `vocab.json` and `merges.txt`.
    ///
    /// # Errors
    /// A file cannot be read, is over a limit or not what it should be.
    pub fn read_gpt2(
        vocab: impl AsRef<Path>,
        merges: impl AsRef<Path>,
        limits: &Limits,
    ) -> Result<Tokenizer> {
        let ((vocab, what), (merges, _)) = (file(vocab.as_ref(), limits)?, file(merges.as_ref(), limits)?);
        Tokenizer::parse_gpt2(&vocab, &merges, &what, limits)
    }

    /// Reads the bytes of a `vocab.json` and a `merges.txt`.
    ///
    /// # Errors
    /// As [`Tokenizer::read_gpt2`].
    pub fn parse_gpt2(vocab: &[u8], merges: &[u8], what: &str, limits: &Limits) -> Result<Tokenizer> {
        let reader = Reader { what, limits };
        let vocab = reader.json(vocab)?;
        let merges = read_merges(reader.utf8(merges)?, &reader)?;
        let object = vocab
            .as_object()
            .ok_or_else(|| reader.fail("the vocabulary should be an object of tokens and ids"))?;
        Tokenizer::of(byte_level(specials(object, &["<|endoftext|>"]), vocab.clone(), merges), &reader)
    }

    /// Of the contents of a `tokenizer.json`.
    pub(super) fn of(config: Json, reader: &Reader<'_>) -> Result<Tokenizer> {
        let Json::Object(mut parts) = config else {
            return Err(reader.fail("expected an object"));
        };
        let mut take = |key: &str| Some(parts.remove(key)?).filter(|value| !value.is_null());
        let model = take("model").ok_or_else(|| reader.fail("there is no 'model'"))?;
        let model = Model::read(&model, reader)?;
        let (added, truncation, padding) = (take("added_tokens"), take("truncation"), take("padding"));
        let normalizer = parts.get("normalizer").filter(|v| !v.is_null());
        let normalizer = normalizer.map(|v| Normalizer::read(v, reader)).transpose()?;
        let pre_tokenizer = parts.get("pre_tokenizer").filter(|v| !v.is_null());
        let pre_tokenizer = pre_tokenizer.map(|v| PreTokenizer::read(v, reader)).transpose()?;
        let template = parts.get("post_processor").filter(|v| !v.is_null());
        let template = template.map(|v| Template::read(v, reader)).transpose()?.flatten();
        let decoder = parts.get("decoder").filter(|v| !v.is_null());
        let decoder = decoder.map(|v| Decoder::read(v, reader)).transpose()?;
        let list = added.as_ref().and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut all = list.iter().map(|v| Added::read(v, reader)).collect::<Result<Vec<_>>>()?;
        // A token of the model has the model's number, any other the next one, whatever the file says: so does Hugging Face's reader.
        let mut ids: HashMap<String, u32> = HashMap::new();
        let mut next = model.vocabulary().len() as u32;
        for added in all.iter_mut().filter(|added| !added.content.is_empty()) {
            let known = ids.get(&added.content).copied().or_else(|| model.vocabulary().id(&added.content));
            added.id = known.unwrap_or(next);
            next += u32::from(known.is_none());
            ids.insert(added.content.clone(), added.id);
        }
        let added = AddedTokens::new(all, normalizer.as_ref())?;
        let keep = ["normalizer", "pre_tokenizer", "post_processor", "decoder"];
        parts.retain(|key, _| keep.contains(&key.as_str()));
        Ok(Tokenizer {
            normalizer,
            pre_tokenizer,
            model,
            template,
            decoder,
            added,
            truncation: truncation.map(|v| read_truncation(&v, reader)).transpose()?,
            padding: padding.map(|v| read_padding(&v, reader)).transpose()?,
            parts,
        })
    }

    /// The contents of a `tokenizer.json`, which Hugging Face's `tokenizers` reads too.
    pub fn to_json(&self) -> String {
        let mut config = self.parts.clone();
        config.insert("version".into(), "1.0".into());
        config.insert("truncation".into(), self.truncation.as_ref().map_or(Json::Null, write_truncation));
        config.insert("padding".into(), self.padding.as_ref().map_or(Json::Null, |p| self.write_padding(p)));
        config.insert("added_tokens".into(), self.added.all.iter().map(Added::write).collect());
        for key in ["normalizer", "pre_tokenizer", "post_processor", "decoder"] {
            config.entry(key).or_insert(Json::Null);
        }
        config.insert("model".into(), self.model.write());
        Json::Object(config).to_string()
    }

    /// Writes a `tokenizer.json`.
    ///
    /// # Errors
    /// The system refuses.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomically(path.as_ref(), self.to_json().as_bytes())
    }

    // ---- settings

    /// Fills shorter texts up, in [`Tokenizer::batch`] and in `encode`.
    #[must_use]
    pub fn padding(mut self, padding: Padding) -> Tokenizer {
        self.padding = Some(padding);
        self
    }

    /// Leaves shorter texts as they are, whatever the file says.
    #[must_use]
    pub fn no_padding(mut self) -> Tokenizer {
        self.padding = None;
        self
    }

    /// Cuts longer texts off.
    #[must_use]
    pub fn truncation(mut self, truncation: Truncation) -> Tokenizer {
        self.truncation = Some(truncation);
        self
    }

    /// Leaves longer texts as they are, whatever the file says.
    #[must_use]
    pub fn no_truncation(mut self) -> Tokenizer {
        self.truncation = None;
        self
    }

    // ---- vocabulary

    /// One more than the largest id, those of added tokens among them: what an `Embedding` needs.
    pub fn vocab_size(&self) -> usize {
        let added = self.added.all.iter().map(|added| added.id as usize + 1).max().unwrap_or(0);
        self.model.vocabulary().end().max(added)
    }

    /// The id of a token.
    pub fn token_to_id(&self, token: &str) -> Option<i64> {
        self.added.id(token).or_else(|| self.model.vocabulary().id(token)).map(i64::from)
    }

    /// The token of an id.
    pub fn id_to_token(&self, id: i64) -> Option<&str> {
        let id = u32::try_from(id).ok()?;
        self.added.content(id).or_else(|| self.model.vocabulary().token(id))
    }

    // ---- there

    /// The ids of a text, with the special tokens of the tokenizer around it.
    ///
    /// # Errors
    /// A word is not known and there is no token for such words, or an expression of the file goes astray.
    pub fn encode(&self, text: &str) -> Result<Encoding> {
        self.encode_with(text, None, true)
    }

    /// The ids of a text alone.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_plain(&self, text: &str) -> Result<Encoding> {
        self.encode_with(text, None, false)
    }

    /// The ids of two texts as one: a question and an answer, two sentences.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_pair(&self, text: &str, second: &str) -> Result<Encoding> {
        self.encode_with(text, Some(second), true)
    }

    fn encode_with(&self, text: &str, second: Option<&str>, special: bool) -> Result<Encoding> {
        let mut encoding = self.unpadded(text, second, special)?;
        if let Some(padding) = &self.padding {
            encoding.pad(padding.target(encoding.len()), padding);
        }
        Ok(encoding)
    }

    fn unpadded(&self, text: &str, second: Option<&str>, special: bool) -> Result<Encoding> {
        let mut first = self.tokens(text)?;
        let mut second = second.map(|text| self.tokens(text)).transpose()?;
        let plain = Template::default();
        let template = self.template.as_ref().unwrap_or(&plain);
        if let Some(truncation) = &self.truncation {
            let added = if special { template.added(second.is_some()) } else { 0 };
            let room = truncation.max_length.checked_sub(added).ok_or_else(|| {
                Error::argument(
                    "max_length",
                    format!("at least {added}, the special tokens"),
                    truncation.max_length,
                )
            })?;
            truncation.cut(&mut first, second.as_mut(), room)?;
        }
        let mut encoding = Encoding::default();
        let parts = if second.is_some() { &template.pair } else { &template.single };
        if second.is_some() && parts.is_empty() {
            return Err(Error::argument(
                "second",
                "a tokenizer whose template takes two texts",
                "one without",
            ));
        }
        for part in parts {
            match part {
                Part::Text { second: false, kind } => {
                    first.iter().for_each(|&id| encoding.push(id, *kind, false))
                }
                Part::Text { second: true, kind } => {
                    second.iter().flatten().for_each(|&id| encoding.push(id, *kind, false));
                }
                Part::Special { ids, kind } if special => {
                    ids.iter().for_each(|&id| encoding.push(id, *kind, true))
                }
                Part::Special { .. } => {}
            }
        }
        Ok(encoding)
    }

    /// The tokens of a text.
    fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        let mut out = Vec::new();
        for (range, id) in self.added.find(text, false) {
            let first = range.start == 0;
            match id {
                Some(id) => out.push(id),
                None => self.words(&text[range], first, &mut out)?,
            }
        }
        Ok(out)
    }

    fn words(&self, text: &str, first: bool, out: &mut Vec<u32>) -> Result<()> {
        let text = match &self.normalizer {
            Some(normalizer) => normalizer.apply(text.into())?,
            None => text.into(),
        };
        for (range, id) in self.added.find(&text, true) {
            let Some(id) = id else {
                let word = Word { first: first && range.start == 0, text: text[range].into() };
                let words = match &self.pre_tokenizer {
                    Some(pre_tokenizer) => pre_tokenizer.apply(vec![word])?,
                    None => vec![word],
                };
                words
                    .iter()
                    .filter(|word| !word.text.is_empty())
                    .try_for_each(|word| self.model.tokens(&word.text, out))?;
                continue;
            };
            out.push(id);
        }
        Ok(())
    }

    /// The ids of each text, padded as [`Tokenizer::padding`] or the file says.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_batch(&self, texts: &[impl AsRef<str>]) -> Result<Vec<Encoding>> {
        let encoded = texts.iter().map(|text| self.unpadded(text.as_ref(), None, true));
        let mut all = encoded.collect::<Result<Vec<Encoding>>>()?;
        if let Some(padding) = &self.padding {
            let length = padding.target(all.iter().map(Encoding::len).max().unwrap_or(0));
            all.iter_mut().for_each(|encoding| encoding.pad(length, padding));
        }
        Ok(all)
    }

    /// Texts as tensors `[texts, length]`: ids and a mask that is false for padding.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`], or texts differ in length and there is no padding.
    pub fn batch(&self, texts: &[impl AsRef<str>]) -> Result<Padded> {
        let all = self.encode_batch(texts)?;
        let lengths: Vec<usize> = all.iter().map(Encoding::len).collect();
        match lengths.windows(2).all(|pair| pair[0] == pair[1]) {
            true => Padded::of(&all),
            false if self.padding.is_some() => Err(Error::argument(
                "padding",
                "a length that all texts fit in, or a truncation beside it",
                format!("texts of {} tokens", lengths.iter().max().unwrap_or(&0)),
            )),
            false => Err(Error::argument(
                "texts",
                "texts of one length, or .padding(Padding::new(id)) of the tokenizer",
                format!(
                    "{} to {} tokens",
                    lengths.iter().min().unwrap_or(&0),
                    lengths.iter().max().unwrap_or(&0)
                ),
            )),
        }
    }

    // ---- and back

    /// The text of ids, without special tokens. Ids that there are not are left out.
    ///
    /// # Errors
    /// An expression of the file goes astray.
    pub fn decode(&self, ids: &[i64]) -> Result<String> {
        self.decode_ids(ids, true)
    }

    /// The text of ids, special tokens included.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn decode_all(&self, ids: &[i64]) -> Result<String> {
        self.decode_ids(ids, false)
    }

    fn decode_ids(&self, ids: &[i64], skip: bool) -> Result<String> {
        let token = |id: &i64| {
            let id = u32::try_from(*id).ok()?;
            let token = self.added.token(id).or_else(|| self.model.vocabulary().token(id))?;
            (!skip || !self.added.is_special(token)).then(|| token.to_string())
        };
        let tokens: Vec<String> = ids.iter().filter_map(token).collect();
        match &self.decoder {
            Some(_) if tokens.is_empty() => Ok(String::new()),
            Some(decoder) => Ok(decoder.apply(tokens)?.concat()),
            None => Ok(tokens.join(" ")),
        }
    }

    fn write_padding(&self, padding: &Padding) -> Json {
        let token = match padding.token.is_empty() {
            true => self.id_to_token(padding.id).unwrap_or("[PAD]"),
            false => &padding.token,
        };
        json!({
            "strategy": padding.length.map_or(json!("BatchLongest"), |n| json!({ "Fixed": n })),
            "direction": if padding.left { "Left" } else { "Right" },
            "pad_to_multiple_of": padding.multiple_of,
            "pad_id": padding.id, "pad_type_id": padding.type_id, "pad_token": token,
        })
    }
}

/// The tokenizer of a byte-level BPE, as GPT-2 has it.
pub(super) fn byte_level(added: Json, vocab: Json, merges: Vec<Json>) -> Json {
    json!({
        "added_tokens": added,
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "post_processor": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": { "type": "BPE", "unk_token": null, "vocab": vocab, "merges": merges },
    })
}

/// Those of these tokens that a vocabulary has, as added special ones.
pub(super) fn specials(vocab: &Map<String, Json>, tokens: &[impl AsRef<str>]) -> Json {
    let added = |token: &str| {
        let id = vocab.get(token)?;
        Some(
            json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true }),
        )
    };
    tokens.iter().filter_map(|token| added(token.as_ref())).collect()
}

fn file(path: &Path, limits: &Limits) -> Result<(Vec<u8>, String)> {
    Ok((read_file(path, limits.max_file_bytes.min(limits.max_total_bytes))?, path.display().to_string()))
}

/// The size of a text that a file asks for: more than any tokenizer has would only take memory.
fn length(value: &Json, what: &str, reader: &Reader<'_>) -> Result<usize> {
    let n = reader.id(value, || what.into())? as usize;
    crate::io::check(reader.what, "a length of texts", n as u64, reader.limits.max_elements)?;
    Ok(n)
}

fn read_padding(value: &Json, reader: &Reader<'_>) -> Result<Padding> {
    let fixed = &value["strategy"]["Fixed"];
    if fixed.is_null() && value["strategy"].as_str() != Some("BatchLongest") {
        return Err(reader.unknown(
            "padding strategy",
            &value["strategy"].to_string(),
            "BatchLongest, {\"Fixed\": n}",
        ));
    }
    let id = |key: &str| match &value[key] {
        Json::Null => Ok(0),
        value => reader.id(value, || format!("'{key}' of the padding")),
    };
    let optional = |value: &Json, what: &str| match value {
        Json::Null => Ok(None),
        value => length(value, what, reader).map(Some),
    };
    Ok(Padding {
        id: i64::from(id("pad_id")?),
        token: value["pad_token"].as_str().unwrap_or("[PAD]").into(),
        type_id: i64::from(id("pad_type_id")?),
        length: optional(fixed, "the length of the padding")?,
        multiple_of: optional(&value["pad_to_multiple_of"], "pad_to_multiple_of")?,
        left: value["direction"].as_str() == Some("Left"),
    })
}

fn read_truncation(value: &Json, reader: &Reader<'_>) -> Result<Truncation> {
    let strategy = match value["strategy"].as_str() {
        Some("LongestFirst") | None => Strategy::LongestFirst,
        Some("OnlyFirst") => Strategy::OnlyFirst,
        Some("OnlySecond") => Strategy::OnlySecond,
        Some(other) => {
            return Err(reader.unknown("truncation strategy", other, "LongestFirst, OnlyFirst, OnlySecond"));
        }
    };
    let max_length = length(&value["max_length"], "max_length of the truncation", reader)?;
    Ok(Truncation { max_length, left: value["direction"].as_str() == Some("Left"), strategy })
}

fn write_truncation(truncation: &Truncation) -> Json {
    let strategy = match truncation.strategy {
        Strategy::LongestFirst => "LongestFirst",
        Strategy::OnlyFirst => "OnlyFirst",
        Strategy::OnlySecond => "OnlySecond",
    };
    let direction = if truncation.left { "Left" } else { "Right" };
    json!({ "direction": direction, "max_length": truncation.max_length, "strategy": strategy, "stride": 0 })
}
