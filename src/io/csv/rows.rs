//! Cuts a text into rows and cells, with quotes as in RFC 4180. It holds one row at a time, and a row's size is
//! limited: a file of nothing but delimiters costs no more than any other.

use super::cell::trimmed;
use crate::io::{Limits, check};
use crate::{Error, Result};

/// Bytes counted for a cell besides its text: for its end, and for a name its place in the list of names.
const OVERHEAD: usize = 64;

/// An iterator over the rows of a text.
pub(super) struct Rows<'a> {
    what: &'a str,
    rest: &'a str,
    /// The line at which `rest` begins, from 1.
    line: usize,
    delimiter: char,
    /// The most bytes that a row may take.
    most: u64,
    /// The cells of the current row, one after another, and where each ends.
    cells: String,
    ends: Vec<usize>,
}

/// A row that was read.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// The line at which it begins.
    pub(super) line: usize,
    cells: &'a str,
    ends: &'a [usize],
}

impl Row<'_> {
    pub(super) fn len(self) -> usize {
        self.ends.len()
    }

    /// Returns cell `i`, without blanks around it.
    pub(super) fn cell(&self, i: usize) -> &str {
        trimmed(self.raw(i))
    }

    /// Returns cell `i`, with the blanks inside its quotes.
    pub(super) fn raw(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.cells[start..self.ends[i]]
    }
}

impl<'a> Rows<'a> {
    /// Starts at the beginning; `delimiter` must not be a quote or a line end.
    pub(super) fn new(text: &'a str, what: &'a str, delimiter: char, limits: &Limits) -> Rows<'a> {
        // Empty lines at the end are not rows, whatever the number of columns.
        let blank = [' ', '\t', '\n', '\r'];
        let rest =
            text.trim_start_matches('\u{feff}').trim_end_matches(|c| blank.contains(&c) && c != delimiter);
        let most = limits.max_header_bytes;
        Rows { what, rest, line: 1, delimiter, most, cells: String::new(), ends: Vec::new() }
    }

    /// Returns the next row. Empty lines are skipped, unless there is only one column (`width`), where they are
    /// cells without a value.
    pub(super) fn next(&mut self, width: Option<usize>) -> Result<Option<Row<'_>>> {
        loop {
            let line = self.line;
            if self.rest.is_empty() {
                return Ok(None);
            }
            let blank = self.row()?;
            if !blank || width == Some(1) {
                return Ok(Some(Row { line, cells: &self.cells, ends: &self.ends }));
            }
        }
    }

    fn fail(&self, why: &str) -> Error {
        Error::format(self.what, format!("line {}: {why}", self.line))
    }

    /// Fails if the row, with `more` bytes, takes too much.
    fn check(&self, more: usize) -> Result<()> {
        let taken = self.cells.len() + more + OVERHEAD * self.ends.len();
        check(self.what, "the size of a row in bytes", taken as u64, self.most)
    }

    /// Reads a row; returns true if its line is empty.
    fn row(&mut self) -> Result<bool> {
        self.cells.clear();
        self.ends.clear();
        let mut quotes = false;
        loop {
            match self.rest.trim_start_matches(' ').strip_prefix('"') {
                Some(inside) => {
                    quotes = true;
                    self.quoted(inside)?;
                }
                None => {
                    let end = self.rest.find([self.delimiter, '\n', '\r']).unwrap_or(self.rest.len());
                    let (cell, rest) = self.rest.split_at(end);
                    let cell = trimmed(cell);
                    self.check(cell.len())?;
                    self.cells.push_str(cell);
                    self.rest = rest;
                }
            }
            self.ends.push(self.cells.len());
            self.check(0)?;
            if let Some(rest) = self.rest.strip_prefix(self.delimiter) {
                self.rest = rest;
                continue;
            }
            let rest = self.rest.strip_prefix('\r').unwrap_or(self.rest);
            self.rest = rest.strip_prefix('\n').unwrap_or(rest);
            self.line += 1;
            return Ok(self.ends.len() == 1 && self.cells.is_empty() && !quotes);
        }
    }

    /// Reads a quoted cell, in which two quotes stand for one; `inside` follows the first.
    fn quoted(&mut self, mut inside: &'a str) -> Result<()> {
        let start = self.cells.len();
        loop {
            let Some((text, rest)) = inside.split_once('"') else {
                return Err(self.fail(
                    "a quote that does not end: close it, or write \"\" for a quote inside of quotes",
                ));
            };
            self.check(text.len())?;
            self.cells.push_str(text);
            match rest.strip_prefix('"') {
                Some(rest) => {
                    self.cells.push('"');
                    inside = rest;
                }
                None => {
                    inside = rest.trim_start_matches(' ');
                    break;
                }
            }
        }
        if !inside.is_empty() && !inside.starts_with([self.delimiter, '\n', '\r']) {
            return Err(self.fail("text after the end of a quote: write \"\" for a quote inside of quotes"));
        }
        self.line += self.cells[start..].matches('\n').count();
        self.rest = inside;
        Ok(())
    }
}
