//! The files of tokenizers, in words that name the file, the part and what is not supported.

use crate::io::{Limits, check, json};
use crate::{Error, Result};
use serde_json::Value as Json;

/// Reads the parts of one file.
pub(super) struct Reader<'a> {
    /// The file, in messages.
    pub(super) what: &'a str,
    pub(super) limits: &'a Limits,
}

impl Reader<'_> {
    pub(super) fn fail(&self, why: &str) -> Error {
        Error::format(self.what, why)
    }

    /// A kind of part that is not supported.
    pub(super) fn unknown(&self, part: &str, name: &str, known: &str) -> Error {
        self.fail(&format!("the {part} '{name}' is not supported, expected one of {known}"))
    }

    /// Bytes as text.
    pub(super) fn utf8<'b>(&self, bytes: &'b [u8]) -> Result<&'b str> {
        check(
            self.what,
            "the file's size in bytes",
            bytes.len() as u64,
            self.limits.max_file_bytes.min(self.limits.max_total_bytes),
        )?;
        std::str::from_utf8(bytes)
            .map_err(|e| self.fail(&format!("it is not UTF-8: byte {}", e.valid_up_to())))
    }

    /// Bytes as JSON, measured before it is parsed.
    pub(super) fn json(&self, bytes: &[u8]) -> Result<Json> {
        let text = self.utf8(bytes)?;
        let outline = json::outline(text.as_bytes());
        check(self.what, "the depth of its JSON", outline.depth, self.limits.max_depth)?;
        check(self.what, "the number of values", outline.items, self.limits.max_elements)?;
        json::parse(text.as_bytes()).map_err(|why| self.fail(&why))
    }

    /// The type of a part.
    pub(super) fn kind<'j>(&self, part: &str, value: &'j Json) -> Result<&'j str> {
        value["type"].as_str().ok_or_else(|| self.fail(&format!("the {part} has no 'type'")))
    }

    pub(super) fn text<'j>(&self, value: &'j Json, key: &str) -> Result<&'j str> {
        value[key].as_str().ok_or_else(|| self.fail(&format!("'{key}' should be a text")))
    }

    pub(super) fn character(&self, value: &Json, key: &str) -> Result<char> {
        let mut chars = self.text(value, key)?.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(c),
            _ => Err(self.fail(&format!("'{key}' should be one character"))),
        }
    }

    /// A whole number that numbers tokens, at most 2³¹ − 1, so that none asks for more memory than there is.
    pub(super) fn id(&self, value: &Json, what: impl FnOnce() -> String) -> Result<u32> {
        let id = value.as_u64().and_then(|id| i32::try_from(id).ok()).map(|id| id as u32);
        id.ok_or_else(|| {
            self.fail(&format!("{} should be a whole number of 0 or more, found {value}", what()))
        })
    }

    /// Each part of a list of parts.
    pub(super) fn each<T>(
        &self,
        value: &Json,
        key: &str,
        read: fn(&Json, &Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let list = value[key]
            .as_array()
            .ok_or_else(|| self.fail(&format!("a Sequence should have a list '{key}'")))?;
        list.iter().map(|part| read(part, self)).collect()
    }
}
