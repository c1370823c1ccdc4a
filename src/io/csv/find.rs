//! Finds columns: which ones a file has, and which of them is meant.

use super::Role;
use super::cell::{is_number, trimmed};
use super::rows::Row;
use crate::io::{Limits, check};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// A column, by its name in the header or by its position from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// The name, exactly.
    Name(String),
    /// The position, from 0.
    Index(usize),
}
impl From<&str> for Column {
    fn from(name: &str) -> Column {
        Column::Name(name.into())
    }
}
impl From<usize> for Column {
    fn from(index: usize) -> Column {
        Column::Index(index)
    }
}
impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Column::Name(name) => write!(f, "column '{name}'"),
            Column::Index(i) => write!(f, "column {i}"),
        }
    }
}

/// The part that each column plays.
pub(super) struct Columns {
    pub(super) numbers: Vec<usize>,
    pub(super) categories: Vec<usize>,
    pub(super) target: Option<(usize, Role)>,
}

/// Names listed in a message before "and more".
const LISTED: usize = 20;

/// The columns of a file.
pub(super) struct Names<'a> {
    pub(super) what: &'a str,
    pub(super) width: usize,
    /// Whether the first row holds names.
    pub(super) header: bool,
    names: Vec<String>,
    /// For each column that shares its name with another, that other.
    twins: BTreeMap<usize, usize>,
    delimiter: char,
}

impl<'a> Names<'a> {
    pub(super) fn new(
        first: Row<'_>,
        header: bool,
        refuse_numbers: bool,
        delimiter: char,
        what: &'a str,
        limits: &Limits,
    ) -> Result<Names<'a>> {
        let (mut names, mut twins, mut seen) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for i in (0..first.len()).filter(|_| header) {
            check(what, "the length of a name", first.raw(i).len() as u64, limits.max_name)?;
            names.push(first.raw(i).to_string());
            if let Some(other) = seen.insert(alike(first.raw(i)), i) {
                twins.extend([(i, other), (other, i)]);
            }
        }
        let names = Names { what, width: first.len(), header, names, twins, delimiter };
        if header && refuse_numbers && names.names.iter().all(|name| is_number(trimmed(name))) {
            let why = format!(
                "line {}: the header is made of numbers ({}): use .header(false) if the file has none, .header(true) if these are names",
                first.line,
                names.listed()
            );
            return Err(Error::format(what, why));
        }
        Ok(names)
    }

    /// Returns the name of a column, or its position.
    pub(super) fn name(&self, column: usize) -> String {
        self.names.get(column).cloned().unwrap_or_else(|| column.to_string())
    }

    /// Returns how messages name the column.
    pub(super) fn title(&self, column: usize) -> String {
        match self.names.get(column) {
            Some(name) => format!("column '{name}'"),
            None => format!("column {column}"),
        }
    }

    /// Returns the column as an argument is written.
    pub(super) fn call(&self, column: usize) -> String {
        match self.names.get(column) {
            Some(name) => format!("{name:?}"),
            None => column.to_string(),
        }
    }

    fn listed(&self) -> String {
        let more = match self.names.len().saturating_sub(LISTED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let quoted: Vec<String> = self.names.iter().take(LISTED).map(|name| format!("'{name}'")).collect();
        quoted.join(", ") + &more
    }

    /// Returns a delimiter in this text other than the given one, if that would explain why the file has one
    /// column.
    pub(super) fn other_delimiter(&self, text: &str) -> Option<char> {
        [';', '\t', '|', ',']
            .into_iter()
            .find(|&c| self.width == 1 && c != self.delimiter && text.contains(c))
    }

    /// Returns the position of a column.
    pub(super) fn find(&self, column: &Column) -> Result<usize> {
        let fail = |why: String| Err(Error::format(self.what, why));
        let name = match column {
            Column::Index(i) if *i < self.width => return Ok(*i),
            Column::Index(i) => {
                let last = self.width - 1;
                return fail(format!("no column {i}: there are {}, numbered 0 to {last}", self.width));
            }
            Column::Name(name) => name,
        };
        if !self.header {
            let last = self.width - 1;
            return fail(format!(
                "no column '{name}': the file is read without a header, so columns have numbers, 0 to {last}"
            ));
        }
        if let Some(i) = self.names.iter().position(|n| n == name) {
            self.check_once(i)?;
            return Ok(i);
        }
        let hint = match self.names.iter().find(|n| alike(n) == alike(name)) {
            Some(near) => format!(": did you mean '{near}'?"),
            None => match self.other_delimiter(&self.names[0]) {
                Some(delimiter) => format!(": did you mean .delimiter({delimiter:?})?"),
                None => String::new(),
            },
        };
        fail(format!("no column '{name}'; there are {}{hint}", self.listed()))
    }

    /// Fails if another column has the same name, ignoring blanks and case.
    pub(super) fn check_once(&self, column: usize) -> Result<()> {
        match self.twins.get(&column) {
            None => Ok(()),
            Some(&other) => {
                let (a, b) = (column.min(other), column.max(other));
                let why = format!(
                    "columns {a} and {b} have the same name ('{}' and '{}'): rename one, or choose columns by number, .columns([0, 1])",
                    self.names[a], self.names[b]
                );
                Err(Error::format(self.what, why))
            }
        }
    }
}

/// Returns a name in lower case, without blanks around it.
fn alike(name: &str) -> String {
    trimmed(name).to_lowercase()
}
