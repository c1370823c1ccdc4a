//! What makes tokens of words.

use super::bpe::Bpe;
use super::read::Reader;
use super::vocabulary::Vocabulary;
use super::word_level::WordLevel;
use super::word_piece::WordPiece;
use crate::Result;
use serde_json::Value as Json;

/// A model of `tokenizer.json`.
#[derive(Clone, Debug)]
pub(super) enum Model {
    Bpe(Bpe),
    WordPiece(WordPiece),
    WordLevel(WordLevel),
}

impl Model {
    pub(super) fn read(value: &Json, reader: &Reader<'_>) -> Result<Model> {
        // Older files do not say what they hold.
        let kind = match value["type"].as_str() {
            Some(kind) => kind,
            None if value["merges"].is_array() => "BPE",
            None if !value["continuing_subword_prefix"].is_null() => "WordPiece",
            None => return Err(reader.fail("the model has no 'type'")),
        };
        Ok(match kind {
            "BPE" => Model::Bpe(Bpe::read(value, reader)?),
            "WordPiece" => Model::WordPiece(WordPiece::read(value, reader)?),
            "WordLevel" => Model::WordLevel(WordLevel::read(value, reader)?),
            other => return Err(reader.unknown("model", other, "BPE, WordPiece, WordLevel")),
        })
    }

    pub(super) fn write(&self) -> Json {
        match self {
            Model::Bpe(model) => model.write(),
            Model::WordPiece(model) => model.write(),
            Model::WordLevel(model) => model.write(),
        }
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        match self {
            Model::Bpe(model) => &model.vocabulary,
            Model::WordPiece(model) => &model.vocabulary,
            Model::WordLevel(model) => &model.vocabulary,
        }
    }

    /// Appends the tokens of a word.
    pub(super) fn tokens(&self, word: &str, out: &mut Vec<u32>) -> Result<()> {
        match self {
            Model::Bpe(model) => model.tokens(word, out),
            Model::WordPiece(model) => model.tokens(word, out),
            Model::WordLevel(model) => model.tokens(word, out),
        }
    }
}
