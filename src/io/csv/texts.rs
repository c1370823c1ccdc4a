//! A column of texts while it is read: each distinct text once, and for each row which one it is.

use super::cell::{integer, is_number, shown};
use std::collections::BTreeMap;

/// Bytes counted for a text besides its own: its place in the map.
const OVERHEAD: usize = 64;

#[derive(Default)]
pub(super) struct Texts {
    /// Each text, with its number in the order of appearance, and the line at which it appeared.
    seen: BTreeMap<String, (u32, usize)>,
    rows: Vec<u32>,
    bytes: usize,
}

impl Texts {
    pub(super) fn push(&mut self, text: &str, line: usize) {
        let next = self.seen.len() as u32;
        let number = match self.seen.get(text) {
            Some((number, _)) => *number,
            None => {
                self.bytes += text.len() + OVERHEAD;
                self.seen.insert(text.to_string(), (next, line));
                next
            }
        };
        self.rows.push(number);
    }

    /// Returns the bytes kept, plus those of one more row.
    pub(super) fn bytes(&self) -> usize {
        // Row numbers become int64.
        self.bytes + size_of::<i64>() * self.rows.len()
    }

    /// Returns for each row the index of its text among the sorted ones, and these texts.
    pub(super) fn numbered(self) -> (Vec<i64>, Vec<String>) {
        let mut place = vec![0; self.seen.len()];
        let mut texts = Vec::with_capacity(self.seen.len());
        for (i, (text, (number, _))) in self.seen.into_iter().enumerate() {
            place[number as usize] = i as i64;
            texts.push(text);
        }
        (self.rows.iter().map(|&number| place[number as usize]).collect(), texts)
    }

    /// Returns integers as they are, or [`Texts::numbered`] if none is a number or if `texts` says that none is
    /// meant as one. Otherwise returns what is wrong at which line; `NAME` stands for the column's name.
    pub(super) fn labels(self, texts: bool) -> Result<(Vec<i64>, Vec<String>), (usize, String)> {
        let first = |wanted: fn(&str) -> bool| {
            let found = self.seen.iter().filter(|(text, _)| wanted(text));
            found.min_by_key(|(_, (number, _))| *number).map(|(text, (_, line))| (shown(text), *line))
        };
        let (number, text) = (first(is_number), first(|text| !is_number(text)));
        let fraction = first(|text| is_number(text) && integer(text).is_none());
        let instead = "for names of classes that look like numbers use .text_label(NAME)";
        match (number, text, fraction) {
            _ if texts => Ok(self.numbered()),
            (None, ..) => Ok(self.numbered()),
            (Some((number, _)), Some((text, line)), _) => Err((
                line,
                format!(
                    "expected labels that are all numbers or all texts, found '{text}' beside '{number}': {instead}"
                ),
            )),
            (_, None, Some((found, line))) => Err((
                line,
                format!(
                    "expected whole numbers of 64 bits as labels, found '{found}': to predict numbers use .target(NAME), {instead}"
                ),
            )),
            (Some(_), None, None) => {
                let mut values = vec![0; self.seen.len()];
                self.seen.iter().for_each(|(text, (number, _))| {
                    values[*number as usize] = integer(text).unwrap_or_default()
                });
                Ok((self.rows.iter().map(|&number| values[number as usize]).collect(), Vec::new()))
            }
        }
    }
}
