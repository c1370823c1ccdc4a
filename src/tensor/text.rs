//! `Text`: a short text that is not allocated by the system. Names and paths are made anew in every training step,
//! which must not ask the system for memory.

use super::Few;

/// A text that does not ask the system for memory.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Text(Few<u8, 56>);

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        // Only whole strings are added, and only what was added is removed.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push_str(&mut self, more: &str) {
        self.0.extend_from_slice(more.as_bytes());
    }

    /// Shortens it to an earlier length.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }
}

impl std::fmt::Write for Text {
    fn write_str(&mut self, more: &str) -> std::fmt::Result {
        self.push_str(more);
        Ok(())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        let mut all = Text::default();
        all.push_str(text);
        all
    }
}

impl FromIterator<char> for Text {
    fn from_iter<I: IntoIterator<Item = char>>(letters: I) -> Text {
        let mut all = Text::default();
        letters.into_iter().for_each(|letter| all.push_str(letter.encode_utf8(&mut [0; 4])));
        all
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}
