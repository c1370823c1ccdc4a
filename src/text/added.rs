//! Tokens that a text is searched for before anything else: special ones, and those that were added to a vocabulary.

use super::normalizer::Normalizer;
use super::pattern::is_word;
use super::read::Reader;
use crate::Result;
use serde_json::{Value as Json, json};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Added {
    pub(super) id: u32,
    pub(super) content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    pub(super) special: bool,
}

impl Added {
    pub(super) fn read(value: &Json, reader: &Reader<'_>) -> Result<Added> {
        let flag = |key: &str| value[key].as_bool().unwrap_or(false);
        let content = reader.text(value, "content")?;
        Ok(Added {
            id: reader.id(&value["id"], || format!("the id of the added token {content:?}"))?,
            content: content.into(),
            single_word: flag("single_word"),
            lstrip: flag("lstrip"),
            rstrip: flag("rstrip"),
            normalized: value["normalized"].as_bool().unwrap_or(!flag("special")),
            special: flag("special"),
        })
    }

    pub(super) fn write(&self) -> Json {
        json!({
            "id": self.id, "content": self.content, "single_word": self.single_word, "lstrip": self.lstrip,
            "rstrip": self.rstrip, "normalized": self.normalized, "special": self.special,
        })
    }
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct AddedTokens {
    pub(super) all: Vec<Added>,
    by_id: HashMap<u32, usize>,
    by_content: HashMap<String, usize>,
    special: HashSet<String>,
    /// What tokens look like in a normalized text, where that is something else.
    normalized: HashMap<usize, String>,
    /// To be found in the text itself, and in the normalized one: by first byte, the longest first.
    raw: HashMap<u8, Vec<usize>>,
    within: HashMap<u8, Vec<usize>>,
}

impl AddedTokens {
    pub(super) fn new(all: Vec<Added>, normalizer: Option<&Normalizer>) -> Result<AddedTokens> {
        let mut tokens = AddedTokens::default();
        for added in all {
            if added.content.is_empty() {
                continue;
            }
            let at = tokens.all.len();
            if let Some(normalizer) = normalizer.filter(|_| added.normalized) {
                let text = normalizer.apply(added.content.clone())?;
                if text != added.content {
                    tokens.normalized.insert(at, text);
                }
            }
            tokens.by_id.insert(added.id, at);
            tokens.by_content.insert(added.content.clone(), at);
            if added.special {
                tokens.special.insert(added.content.clone());
            }
            tokens.all.push(added);
        }
        for (at, added) in tokens.all.iter().enumerate() {
            let pattern = tokens.normalized.get(&at).unwrap_or(&added.content);
            // One that was replaced by a later one of the same id is not searched for.
            let (Some(&first), true) = (pattern.as_bytes().first(), tokens.by_id.get(&added.id) == Some(&at))
            else {
                continue;
            };
            let map = if added.normalized { &mut tokens.within } else { &mut tokens.raw };
            map.entry(first).or_default().push(at);
        }
        for list in tokens.raw.values_mut().chain(tokens.within.values_mut()) {
            let length = |at: &usize| tokens.normalized.get(at).unwrap_or(&tokens.all[*at].content).len();
            list.sort_by_key(|at| std::cmp::Reverse(length(at)));
        }
        Ok(tokens)
    }

    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.by_content.get(token).map(|&at| self.all[at].id)
    }

    /// The token as decoders see it.
    pub(super) fn token(&self, id: u32) -> Option<&str> {
        let at = *self.by_id.get(&id)?;
        Some(self.normalized.get(&at).unwrap_or(&self.all[at].content))
    }

    /// The token as it was given.
    pub(super) fn content(&self, id: u32) -> Option<&str> {
        Some(&self.all[*self.by_id.get(&id)?].content)
    }

    pub(super) fn is_special(&self, token: &str) -> bool {
        self.special.contains(token)
    }

    /// Where in a text tokens are: the ranges of all, the id of those that are tokens.
    pub(super) fn find(&self, text: &str, normalized: bool) -> Vec<(Range<usize>, Option<u32>)> {
        let map = if normalized { &self.within } else { &self.raw };
        let (mut out, mut done, mut at) = (Vec::new(), 0, 0);
        while !map.is_empty() && at < text.len() {
            let found = map.get(&text.as_bytes()[at]).and_then(|list| {
                list.iter().find_map(|&number| {
                    let pattern = self.normalized.get(&number).unwrap_or(&self.all[number].content);
                    text[at..].starts_with(pattern.as_str()).then(|| (&self.all[number], at + pattern.len()))
                })
            });
            let Some((added, end)) = found else {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
                continue;
            };
            let (mut start, mut stop) = (at, end);
            at = end;
            let word = |c: Option<char>| c.is_some_and(is_word);
            if added.single_word
                && (word(text[..start].chars().next_back()) || word(text[stop..].chars().next()))
            {
                continue;
            }
            if added.lstrip {
                start = text[..start].trim_end().len().max(done);
            }
            if added.rstrip {
                stop = text.len() - text[stop..].trim_start().len();
            }
            if done < start {
                out.push((done..start, None));
            }
            out.push((start..stop, Some(added.id)));
            done = stop;
            at = at.max(done);
        }
        if done < text.len() {
            out.push((done..text.len(), None));
        }
        out
    }
}
