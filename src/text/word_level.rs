//! A token for each word.

use super::read::Reader;
use super::vocabulary::Vocabulary;
use crate::{Error, Result};
use serde_json::{Value as Json, json};

/// The model `WordLevel`.
#[derive(Clone, Debug)]
pub(super) struct WordLevel {
    pub(super) vocabulary: Vocabulary,
    unknown: String,
}

impl WordLevel {
    pub(super) fn read(value: &Json, reader: &Reader<'_>) -> Result<WordLevel> {
        let unknown = value["unk_token"].as_str().unwrap_or("<unk>").into();
        Ok(WordLevel { vocabulary: Vocabulary::read(&value["vocab"], reader)?, unknown })
    }

    pub(super) fn write(&self) -> Json {
        json!({ "type": "WordLevel", "unk_token": self.unknown, "vocab": self.vocabulary.write() })
    }

    /// Appends the token of a word.
    pub(super) fn tokens(&self, word: &str, out: &mut Vec<u32>) -> Result<()> {
        let missing = || {
            let why = format!(
                "{word:?} is not known, and the vocabulary has no {:?} to stand for it",
                self.unknown
            );
            Error::format("tokenizer", why)
        };
        let id = self.vocabulary.id(word).or_else(|| self.vocabulary.id(&self.unknown));
        out.push(id.ok_or_else(missing)?);
        Ok(())
    }
}
