//! Tokens and their numbers.

use super::read::Reader;
use crate::Result;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, HashMap};

/// The tokens of a model, both ways.
#[derive(Clone, Debug, Default)]
pub(super) struct Vocabulary {
    ids: HashMap<String, u32>,
    tokens: BTreeMap<u32, String>,
}

impl Vocabulary {
    /// Of an object of tokens and numbers.
    pub(super) fn read(value: &Json, reader: &Reader<'_>) -> Result<Vocabulary> {
        let map =
            value.as_object().ok_or_else(|| reader.fail("'vocab' should be an object of tokens and ids"))?;
        let mut all = Vocabulary::default();
        for (token, id) in map {
            let id = reader.id(id, || format!("the id of {token:?}"))?;
            if let Some(other) = all.tokens.get(&id) {
                return Err(reader.fail(&format!("{token:?} and {other:?} have one id, {id}")));
            }
            all.tokens.insert(id, token.clone());
            all.ids.insert(token.clone(), id);
        }
        Ok(all)
    }

    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    pub(super) fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(&id).map(String::as_str)
    }

    /// How many tokens there are.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// One more than the largest id.
    pub(super) fn end(&self) -> usize {
        self.tokens.last_key_value().map_or(0, |(&id, _)| id as usize + 1)
    }

    pub(super) fn write(&self) -> Json {
        let ids = self.tokens.iter().map(|(id, token)| (token.clone(), Json::from(*id)));
        Json::Object(ids.collect::<Map<String, Json>>())
    }
}
