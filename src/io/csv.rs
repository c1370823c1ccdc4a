//! Why it exists: the data that people have is in tables of text. Reads one as numbers: a tensor of features, and one of
//! targets or labels. Quotes are those of RFC 4180; a message names the line and the column.

use super::{Limits, check, read_file};
use crate::{Error, Result, Tensor};
use std::path::Path;

/// A column by its name in the header, or by its number from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// The name, exactly.
    Name(String),
    /// The number, from 0.
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

/// What becomes of a cell without a value: an empty one, `NA`, `N/A`, `NaN`, `nan`, `null` or `?`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Missing {
    /// The file is not read, and the message names the cell.
    Refuse,
    /// The row is left out.
    DropRow,
    /// This number stands there, NaN if you like. A label cannot be made up, so it is refused.
    Fill(f32),
}

/// How a table is to be read. By default: a header, commas, all columns are features, nothing may be missing.
///
/// ```
/// use gradus::io::{Csv, Limits};
/// # fn main() -> gradus::Result<()> {
/// let text = "width,height,kind\n1.5,2,cat\n0.5,1,\"dog, large\"\n";
/// let table = Csv::new().label("kind").parse(text.as_bytes(), "pets", &Limits::default())?;
/// assert_eq!(table.names, ["width", "height"]);
/// assert_eq!(table.x.to_vec::<f32>()?, [1.5, 2.0, 0.5, 1.0]);
/// assert_eq!(table.y.map(|y| y.to_vec::<i64>()).transpose()?, Some(vec![0, 1]));
/// assert_eq!(table.classes, ["cat", "dog, large"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Csv {
    header: bool,
    delimiter: char,
    target: Option<(Column, bool)>,
    columns: Option<Vec<Column>>,
    missing: Missing,
}

/// What a table holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Table {
    /// The features, float32 `[rows, columns]`.
    pub x: Tensor,
    /// The target, float32 `[rows, 1]`, or the labels, int64 `[rows]`, if a column was named for them.
    pub y: Option<Tensor>,
    /// The names of the features; empty without a header.
    pub names: Vec<String>,
    /// The texts that the labels stand for, sorted; empty if the labels are integers in the file.
    pub classes: Vec<String>,
}

impl Default for Csv {
    fn default() -> Csv {
        Csv::new()
    }
}

impl Csv {
    /// A header, commas, all columns are features, nothing may be missing.
    pub fn new() -> Csv {
        Csv { header: true, delimiter: ',', target: None, columns: None, missing: Missing::Refuse }
    }

    /// Whether the first row holds names; yes by default.
    pub fn header(mut self, header: bool) -> Csv {
        self.header = header;
        self
    }

    /// What stands between cells; a comma by default. Not a quote and not the end of a line.
    pub fn delimiter(mut self, delimiter: char) -> Csv {
        self.delimiter = delimiter;
        self
    }

    /// The column of numbers that is to be predicted: `y`, float32 `[rows, 1]`. It is no feature.
    pub fn target(mut self, column: impl Into<Column>) -> Csv {
        self.target = Some((column.into(), false));
        self
    }

    /// The column of classes: `y`, int64 `[rows]`. Integers are taken as they are; if any cell is none, the different texts of the
    /// column, sorted, are numbered from 0. It is no feature.
    pub fn label(mut self, column: impl Into<Column>) -> Csv {
        self.target = Some((column.into(), true));
        self
    }

    /// The columns that are features, in this order; all but the target by default. Others may hold anything.
    pub fn columns<C: Into<Column>>(mut self, columns: impl IntoIterator<Item = C>) -> Csv {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// What becomes of cells without a value; refused by default.
    pub fn missing(mut self, missing: Missing) -> Csv {
        self.missing = missing;
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, otherwise those of [`Csv::parse`].
    pub fn read(&self, path: impl AsRef<Path>, limits: &Limits) -> Result<Table> {
        let path = path.as_ref();
        self.parse(&read_file(path, limits.max_file_bytes)?, &path.display().to_string(), limits)
    }

    /// Reads text (UTF-8); `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Format`] for what is not UTF-8, rows of different length, a quote that does not end, a column that is not
    /// there, and cells that are no numbers; [`Error::Limit`]; [`Error::Argument`] for a delimiter that cannot be one.
    pub fn parse(&self, bytes: &[u8], what: &str, limits: &Limits) -> Result<Table> {
        check(what, "the file's size in bytes", bytes.len() as u64, limits.max_file_bytes)?;
        if ['"', '\n', '\r'].contains(&self.delimiter) {
            return Err(Error::argument(
                "delimiter",
                "a character that is no quote or end of line",
                format!("{:?}", self.delimiter),
            ));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|e| Error::format(what, format!("not UTF-8 at byte {}", e.valid_up_to())))?;
        let mut rows = Rows { rest: text.trim_start_matches('\u{feff}'), line: 1, delimiter: self.delimiter };
        let fail = |line: usize, why: String| Error::format(what, format!("line {line}{why}"));
        let mut next = || rows.next().map_err(|(line, why)| fail(line, format!(": {why}")));

        let mut row = next()?;
        let Some((_, first)) = &row else { return Err(Error::format(what, "no rows")) };
        let width = first.len();
        let mut names = Vec::new();
        if self.header {
            names = first.iter().map(|cell| cell.to_string()).collect();
            for name in &names {
                check(what, "the length of a name", name.len() as u64, limits.max_name)?;
            }
            row = next()?;
        }
        let (features, target) = self.find(&names, width, what)?;
        let title = |i: usize| match names.get(i) {
            Some(name) => format!(", column '{name}'"),
            None => format!(", column {i}"),
        };
        let mut x = Vec::new();
        let mut y: Vec<String> = Vec::new();
        let mut n = 0;
        while let Some((line, cells)) = row {
            if cells.len() != width {
                return Err(fail(line, format!(": {} cells, but {width} in the first row", cells.len())));
            }
            let used = features.iter().chain(&target);
            let skip = self.missing == Missing::DropRow && used.clone().any(|&i| is_missing(&cells[i]));
            if !skip {
                n += 1;
                check(what, "the number of elements", (n * features.len()) as u64, limits.max_elements)?;
                check(what, "the decoded size in bytes", 4 * x.len() as u64, limits.max_total_bytes)?;
                for &i in &features {
                    x.push(self.number(&cells[i]).map_err(|why| fail(line, format!("{}: {why}", title(i))))?);
                }
                if let Some(i) = target {
                    if is_missing(&cells[i]) && (self.missing == Missing::Refuse || self.labels()) {
                        return Err(fail(line, format!("{}: expected a value, found none", title(i))));
                    }
                    y.push(cells[i].trim().to_string());
                }
            }
            row = next()?;
        }
        let names = features.iter().filter_map(|&i| names.get(i).cloned()).collect();
        let x = Tensor::from_slice(&x, [n, features.len()])?;
        let (y, classes) = match target {
            None => (None, Vec::new()),
            Some(_) if self.labels() => {
                let (labels, classes) = numbered(&y);
                (Some(Tensor::from_slice(&labels, [n])?), classes)
            }
            Some(i) => {
                let numbers: Result<Vec<f32>, String> = y.iter().map(|cell| self.number(cell)).collect();
                let numbers =
                    numbers.map_err(|why| Error::format(what, format!("{}: {why}", &title(i)[2..])))?;
                (Some(Tensor::from_slice(&numbers, [n, 1])?), Vec::new())
            }
        };
        Ok(Table { x, y, names, classes })
    }

    fn labels(&self) -> bool {
        self.target.as_ref().is_some_and(|(_, labels)| *labels)
    }

    /// The numbers of the features' columns, and of the target's.
    fn find(&self, names: &[String], width: usize, what: &str) -> Result<(Vec<usize>, Option<usize>)> {
        let find = |column: &Column| {
            let (found, asked) = match column {
                Column::Name(name) => (names.iter().position(|n| n == name), format!("'{name}'")),
                Column::Index(i) => (Some(*i).filter(|i| *i < width), format!("number {i}")),
            };
            let there = match names {
                [] => format!("{width} without names"),
                _ => names.join(", "),
            };
            found.ok_or_else(|| Error::format(what, format!("no column {asked}; there are {there}")))
        };
        let target = self.target.as_ref().map(|(column, _)| find(column)).transpose()?;
        let features = match &self.columns {
            Some(columns) => columns.iter().map(find).collect::<Result<Vec<_>>>()?,
            None => (0..width).filter(|i| Some(*i) != target).collect(),
        };
        Ok((features, target))
    }

    fn number(&self, cell: &str) -> Result<f32, String> {
        match (self.missing, cell.trim()) {
            (Missing::Fill(value), text) if is_missing(text) => Ok(value),
            (_, text) if is_missing(text) => Err("expected a number, found none".into()),
            (_, text) => text.parse().map_err(|_| {
                let shown: String = text.chars().take(40).collect();
                format!("expected a number, found '{shown}'")
            }),
        }
    }
}

fn is_missing(cell: &str) -> bool {
    matches!(cell.trim(), "" | "NA" | "N/A" | "NaN" | "nan" | "null" | "?")
}

/// Integers as they are, or the places of texts among the different ones.
fn numbered(cells: &[String]) -> (Vec<i64>, Vec<String>) {
    if let Ok(integers) = cells.iter().map(|cell| cell.parse()).collect::<Result<Vec<i64>, _>>() {
        return (integers, Vec::new());
    }
    let mut classes = cells.to_vec();
    classes.sort();
    classes.dedup();
    let place = |cell: &String| classes.binary_search(cell).unwrap_or_default() as i64;
    (cells.iter().map(place).collect(), classes)
}

/// The line of a row, and its cells.
type Row = (usize, Vec<String>);
/// The line of a mistake, and what it is.
type Mistake = (usize, String);

/// The rows of a text, one after the other.
struct Rows<'a> {
    rest: &'a str,
    /// The line at which `rest` begins, from 1.
    line: usize,
    delimiter: char,
}

impl Rows<'_> {
    /// The next row that is not empty, with its line; or what is wrong there.
    fn next(&mut self) -> Result<Option<Row>, Mistake> {
        loop {
            let line = self.line;
            if self.rest.is_empty() {
                return Ok(None);
            }
            let cells = self.row()?;
            if cells.len() > 1 || !cells[0].is_empty() {
                return Ok(Some((line, cells)));
            }
        }
    }

    fn row(&mut self) -> Result<Vec<String>, Mistake> {
        let mut cells = Vec::new();
        loop {
            let cell = match self.rest.trim_start_matches(' ').strip_prefix('"') {
                Some(inside) => self.quoted(inside)?,
                None => {
                    let end = self.rest.find([self.delimiter, '\n', '\r']).unwrap_or(self.rest.len());
                    let (cell, rest) = self.rest.split_at(end);
                    self.rest = rest;
                    cell.trim().to_string()
                }
            };
            cells.push(cell);
            if let Some(rest) = self.rest.strip_prefix(self.delimiter) {
                self.rest = rest;
                continue;
            }
            let rest = self.rest.strip_prefix('\r').unwrap_or(self.rest);
            self.rest = rest.strip_prefix('\n').unwrap_or(rest);
            self.line += 1;
            return Ok(cells);
        }
    }

    /// A cell in quotes, in which two quotes stand for one; `inside` follows the first.
    fn quoted(&mut self, mut inside: &str) -> Result<String, Mistake> {
        let mut cell = String::new();
        loop {
            let Some((text, rest)) = inside.split_once('"') else {
                return Err((self.line, "a quote that does not end".into()));
            };
            cell.push_str(text);
            match rest.strip_prefix('"') {
                Some(rest) => {
                    cell.push('"');
                    inside = rest;
                }
                None => {
                    inside = rest.trim_start_matches(' ');
                    break;
                }
            }
        }
        if !inside.is_empty() && !inside.starts_with([self.delimiter, '\n', '\r']) {
            return Err((self.line, "text after the end of a quote".into()));
        }
        self.line += cell.matches('\n').count();
        // `inside` is the end of `rest`.
        self.rest = &self.rest[self.rest.len() - inside.len()..];
        Ok(cell)
    }
}
