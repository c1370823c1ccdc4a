//! Pieces of words (Schuster and Nakajima 2012, as in BERT): the longest piece that a word begins with, then the longest of the rest.

use super::read::Reader;
use super::vocabulary::Vocabulary;
use crate::{Error, Result};
use serde_json::{Value as Json, json};

/// The model `WordPiece`.
#[derive(Clone, Debug)]
pub(super) struct WordPiece {
    pub(super) vocabulary: Vocabulary,
    unknown: String,
    prefix: String,
    longest: usize,
}

impl WordPiece {
    pub(super) fn read(value: &Json, reader: &Reader<'_>) -> Result<WordPiece> {
        let longest = match &value["max_input_chars_per_word"] {
            Json::Null => 100,
            other => reader.id(other, || "max_input_chars_per_word".into())? as usize,
        };
        Ok(WordPiece {
            vocabulary: Vocabulary::read(&value["vocab"], reader)?,
            unknown: value["unk_token"].as_str().unwrap_or("[UNK]").into(),
            prefix: value["continuing_subword_prefix"].as_str().unwrap_or("##").into(),
            longest,
        })
    }

    pub(super) fn write(&self) -> Json {
        json!({
            "type": "WordPiece",
            "unk_token": self.unknown,
            "continuing_subword_prefix": self.prefix,
            "max_input_chars_per_word": self.longest,
            "vocab": self.vocabulary.write(),
        })
    }

    /// Appends the tokens of a word; one of which some piece is not known is the unknown token.
    pub(super) fn tokens(&self, word: &str, out: &mut Vec<u32>) -> Result<()> {
        let begin = out.len();
        let mut known = word.chars().count() <= self.longest;
        let (mut start, mut piece) = (0, String::new());
        while known && start < word.len() {
            let ends = word[start..].char_indices().rev().map(|(at, c)| start + at + c.len_utf8());
            let found = ends.into_iter().find_map(|end| {
                piece.clear();
                if start > 0 {
                    piece.push_str(&self.prefix);
                }
                piece.push_str(&word[start..end]);
                self.vocabulary.id(&piece).map(|id| (id, end))
            });
            known = found.is_some();
            if let Some((id, end)) = found {
                out.push(id);
                start = end;
            }
        }
        if !known {
            out.truncate(begin);
            let missing = || {
                Error::format(
                    "tokenizer",
                    format!("{word:?} is not known, and the vocabulary has no {:?}", self.unknown),
                )
            };
            out.push(self.vocabulary.id(&self.unknown).ok_or_else(missing)?);
        }
        Ok(())
    }
}
