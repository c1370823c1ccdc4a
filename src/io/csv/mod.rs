//! Reads tables of text (CSV), the usual form of people's own data: a tensor of numbers, columns of categories, and
//! one of targets or labels. `cell.rs` and `docs/data.md` say what a cell means; error messages name the line and
//! the column.

mod cell;
mod encoder;
mod find;
mod rows;
mod table;
mod texts;

pub use encoder::{Encoder, Unknown};
pub use find::Column;
pub use table::{Categories, Table};

use super::{Limits, check, read_file};
use crate::{Error, Result, Tensor};
use cell::{is_missing, number};
use find::{Columns, Names};
use rows::{Row, Rows};
use std::path::Path;
use texts::Texts;

/// What to do with a cell without a value: an empty one, `NA`, `N/A`, `n/a`, `#N/A`, `<NA>`, `NaN`, `nan`, `NULL`,
/// `null` or `?`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Missing {
    /// Fail; the message names the cell.
    Refuse,
    /// Leave out the row; [`Table::dropped`] counts them.
    DropRow,
    /// This number stands there, NaN if you like. Among categories it is a category of its own, the empty text. A target or label cannot be made
    /// up, so it is refused.
    Fill(f32),
    /// NaN stands there until an [`Encoder`] puts the mean of the training part in its place. Categories, targets and labels as with `Fill`.
    Keep,
}

/// Settings for reading a table. By default: a header, commas, all columns are features and hold numbers, nothing
/// may be missing.
///
/// ```
/// use gradus::io::{Csv, Limits};
/// # fn main() -> gradus::Result<()> {
/// let text = "width,height,kind\n1.5,2,cat\n0.5,1,\"dog, large\"\n";
/// let table = Csv::new().label("kind").parse(text.as_bytes(), "pets", &Limits::default())?;
/// assert_eq!(table.names, ["width", "height"]);
/// assert_eq!(table.x.to_vec::<f32>()?, [1.5, 2.0, 0.5, 1.0]);
/// assert_eq!(table.target()?.to_vec::<i64>()?, [0, 1]);
/// assert_eq!(table.classes, ["cat", "dog, large"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Csv {
    /// `None`: there is one, and it must not consist of numbers.
    header: Option<bool>,
    delimiter: char,
    targets: Vec<(Column, Role)>,
    columns: Option<Vec<Column>>,
    categories: Vec<Column>,
    missing: Missing,
}

/// The contents of the column that is to be predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Numbers.
    Target,
    /// Integers, or names of classes.
    Label,
    /// Names of classes, even if they look like numbers.
    TextLabel,
}

impl Default for Csv {
    fn default() -> Csv {
        Csv::new()
    }
}

impl Csv {
    /// Creates the default settings: a header, commas, all columns are features and hold numbers, nothing may be
    /// missing.
    pub fn new() -> Csv {
        Csv {
            header: None,
            delimiter: ',',
            targets: Vec::new(),
            columns: None,
            categories: Vec::new(),
            missing: Missing::Refuse,
        }
    }

    /// Sets whether the first row holds names; yes by default. By default a first row with only numbers is an
    /// error, because it is probably not a header; `header(true)` says that they are names.
    pub fn header(mut self, header: bool) -> Csv {
        self.header = Some(header);
        self
    }

    /// Sets the character between cells; a comma by default. It cannot be a quote or a line end.
    pub fn delimiter(mut self, delimiter: char) -> Csv {
        self.delimiter = delimiter;
        self
    }

    /// Sets the column of numbers to predict: `y`, float32 `[rows, 1]`. It is not a feature.
    pub fn target(mut self, column: impl Into<Column>) -> Csv {
        self.targets.push((column.into(), Role::Target));
        self
    }

    /// Sets the column of classes to predict: `y`, int64 `[rows]`. If every cell is an integer, they are used as
    /// they are; if none is a number, the distinct texts of the column, sorted, are numbered from 0. Anything else
    /// is an error. It is not a feature.
    pub fn label(mut self, column: impl Into<Column>) -> Csv {
        self.targets.push((column.into(), Role::Label));
        self
    }

    /// [`Csv::label`] where every cell is the name of a class, even if it looks like a number.
    pub fn text_label(mut self, column: impl Into<Column>) -> Csv {
        self.targets.push((column.into(), Role::TextLabel));
        self
    }

    /// Adds a column of categories: a feature whose cells are texts, even if they look like numbers. It is in
    /// [`Table::categories`], and an [`Encoder`] converts it to numbers. May be called several times.
    pub fn category(mut self, column: impl Into<Column>) -> Csv {
        self.categories.push(column.into());
        self
    }

    /// Sets the columns of numbers that are features, in this order; by default all that are neither target nor
    /// category. Other columns may hold anything.
    pub fn columns<C: Into<Column>>(mut self, columns: impl IntoIterator<Item = C>) -> Csv {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Sets what to do with cells without a value; an error by default.
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

    /// Reads text (UTF-8); `what` names it in errors. Memory is bounded while reading: a row by `max_header_bytes`,
    /// what is kept by `max_total_bytes`.
    ///
    /// # Errors
    /// [`Error::Format`] for text that is not UTF-8, rows of different length, a quote that does not end, a header
    /// of numbers, a column that does not exist, is named twice or is given several parts, and cells that do not
    /// fit their column; [`Error::Limit`]; [`Error::Argument`] for an invalid delimiter, or two targets.
    pub fn parse(&self, bytes: &[u8], what: &str, limits: &Limits) -> Result<Table> {
        check(what, "the file's size in bytes", bytes.len() as u64, limits.max_file_bytes)?;
        self.check_settings()?;
        let mut rows = Rows::new(text_of(bytes, what)?, what, self.delimiter, limits);
        let header = self.header != Some(false);
        let names = {
            let Some(first) = rows.next(None)? else { return Err(Error::format(what, "no rows")) };
            Names::new(first, header, self.header.is_none(), self.delimiter, what, limits)?
        };
        let columns = self.find(&names)?;
        let mut reading = Reading::new(self, &names, &columns, limits);
        if !header {
            // The first row is a row of data too.
            rows = Rows::new(text_of(bytes, what)?, what, self.delimiter, limits);
        }
        while let Some(row) = rows.next(Some(names.width))? {
            reading.row(row)?;
        }
        reading.table()
    }

    fn check_settings(&self) -> Result<()> {
        if ['"', '\n', '\r'].contains(&self.delimiter) {
            let got = format!("{:?}", self.delimiter);
            return Err(Error::argument("delimiter", "a character that is no quote or end of line", got));
        }
        if let [(first, _), (second, _), ..] = &self.targets[..] {
            let expected = "one column to be predicted: one call of .target, .label or .text_label";
            return Err(Error::argument("target", expected, format!("{first} and {second}")));
        }
        match self.missing {
            Missing::Fill(value) if value.is_infinite() => {
                Err(Error::argument("missing", "a finite number to fill with, or NaN", value))
            }
            _ => Ok(()),
        }
    }

    /// Finds which part each column plays.
    fn find(&self, names: &Names<'_>) -> Result<Columns> {
        let target = self
            .targets
            .first()
            .map(|(column, role)| names.find(column).map(|at| (at, *role)))
            .transpose()?;
        let mut taken = Vec::from_iter(target.map(|(i, _)| (i, "what is predicted")));
        let mut take = |column: &Column, part: &'static str| {
            let i = names.find(column)?;
            if let Some((_, other)) = taken.iter().find(|(j, _)| i == *j) {
                let why = match *other == part {
                    true => format!("{} is {part} twice: name it once", names.title(i)),
                    false => format!("{} is {other} and {part}: choose one", names.title(i)),
                };
                return Err(Error::format(names.what, why));
            }
            taken.push((i, part));
            Ok(i)
        };
        let categories =
            self.categories.iter().map(|c| take(c, "a category")).collect::<Result<Vec<usize>>>()?;
        let numbers = match &self.columns {
            Some(columns) => columns.iter().map(|c| take(c, "a column of numbers")).collect::<Result<_>>()?,
            None => {
                let used = |i: &usize| categories.contains(i) || target.is_some_and(|(t, _)| t == *i);
                let rest: Vec<usize> = (0..names.width).filter(|i| !used(i)).collect();
                rest.iter().try_for_each(|&i| names.check_once(i))?;
                rest
            }
        };
        Ok(Columns { numbers, categories, target })
    }
}

/// Returns the bytes as text, or the error of what they are instead.
fn text_of<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|e| {
        let instead = match bytes {
            [0x1f, 0x8b, ..] => ": this is a gzip file, unpack it (gunzip)".to_string(),
            [b'P', b'K', ..] => ": this is a ZIP archive or a spreadsheet, save it as CSV".to_string(),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => ": this is UTF-16, save it as UTF-8".to_string(),
            _ => format!(" at byte {}: save it as UTF-8", e.valid_up_to()),
        };
        Error::format(what, format!("not UTF-8{instead}"))
    })
}

/// What has been read so far.
struct Reading<'a> {
    csv: &'a Csv,
    names: &'a Names<'a>,
    columns: &'a Columns,
    limits: &'a Limits,
    rows: usize,
    dropped: usize,
    x: Vec<f32>,
    targets: Vec<f32>,
    labels: Texts,
    categories: Vec<Texts>,
}

impl<'a> Reading<'a> {
    fn new(csv: &'a Csv, names: &'a Names<'a>, columns: &'a Columns, limits: &'a Limits) -> Reading<'a> {
        Reading {
            csv,
            names,
            columns,
            limits,
            rows: 0,
            dropped: 0,
            x: Vec::new(),
            targets: Vec::new(),
            labels: Texts::default(),
            categories: columns.categories.iter().map(|_| Texts::default()).collect(),
        }
    }

    fn fail(&self, row: Row<'_>, column: usize, why: impl std::fmt::Display) -> Error {
        Error::format(self.names.what, format!("line {}, {}: {why}", row.line, self.names.title(column)))
    }

    /// Adds a row, or drops it.
    fn row(&mut self, row: Row<'_>) -> Result<()> {
        let Columns { numbers, categories, target } = self.columns;
        if row.len() != self.names.width {
            let (found, width) = (row.len(), self.names.width);
            let hint = if found > width { " (a cell with a delimiter in it must be in quotes)" } else { "" };
            let why = format!("line {}: {found} cells, but {width} in the first row{hint}", row.line);
            return Err(Error::format(self.names.what, why));
        }
        let mut used = numbers.iter().chain(categories).copied().chain(target.map(|(i, _)| i));
        if self.csv.missing == Missing::DropRow && used.any(|i| is_missing(row.cell(i))) {
            self.dropped += 1;
            return Ok(());
        }
        self.rows += 1;
        self.check()?;
        for &i in numbers {
            let value = self.number(row, i)?;
            self.x.push(value);
        }
        for (at, &i) in categories.iter().enumerate() {
            let cell = row.cell(i);
            let cell = if is_missing(cell) { "" } else { cell };
            if cell.is_empty() && self.csv.missing == Missing::Refuse {
                return Err(self.fail(
                    row,
                    i,
                    "expected a text, found none: choose Missing::DropRow or Missing::Keep",
                ));
            }
            self.categories[at].push(cell, row.line);
        }
        match *target {
            // What is to be learnt is never made up.
            Some((i, role)) if is_missing(row.cell(i)) => {
                let kind = if role == Role::Target { "target" } else { "label" };
                return Err(self.fail(
                    row,
                    i,
                    format!("expected a {kind}, found none: choose Missing::DropRow"),
                ));
            }
            Some((i, Role::Target)) => {
                let value = self.number(row, i)?;
                self.targets.push(value);
            }
            Some((i, _)) => self.labels.push(row.cell(i), row.line),
            None => {}
        }
        Ok(())
    }

    /// Checks the kept rows and the next one against the limits.
    fn check(&self) -> Result<()> {
        let (what, width) = (self.names.what, self.columns.numbers.len());
        check(what, "the number of elements", (self.rows * width.max(1)) as u64, self.limits.max_elements)?;
        let numbers = 4 * (self.rows * (width + usize::from(self.columns.target.is_some())));
        let texts: usize = self.categories.iter().chain([&self.labels]).map(Texts::bytes).sum();
        check(what, "the decoded size in bytes", (numbers + texts) as u64, self.limits.max_total_bytes)
    }

    fn number(&self, row: Row<'_>, column: usize) -> Result<f32> {
        let cell = row.cell(column);
        match self.csv.missing {
            Missing::Fill(value) if is_missing(cell) => return Ok(value),
            Missing::Keep if is_missing(cell) => return Ok(f32::NAN),
            _ if is_missing(cell) => {
                let why =
                    "expected a number, found none: choose Missing::DropRow, Missing::Fill or Missing::Keep";
                return Err(self.fail(row, column, why));
            }
            _ => {}
        }
        number(cell).map_err(|why| {
            let name = self.names.call(column);
            let hint = if cell::is_number(cell) {
                String::new()
            } else if let Some(delimiter) = self.names.other_delimiter(cell) {
                format!(": did you mean .delimiter({delimiter:?})?")
            } else if let Some(instead) = cell::meant(cell) {
                format!(": {instead}")
            } else if self.csv.header == Some(false) && self.rows == 1 {
                ": if this row holds the names, leave .header(false) out".to_string()
            } else {
                format!(": if the column holds texts, use .category({name}), or choose others with .columns")
            };
            self.fail(row, column, why + &hint)
        })
    }

    fn table(self) -> Result<Table> {
        let (n, names) = (self.rows, self.names);
        let x = Tensor::from_slice(&self.x, [n, self.columns.numbers.len()])?;
        let (y, classes) = match self.columns.target {
            None => (None, Vec::new()),
            Some((_, Role::Target)) => (Some(Tensor::from_slice(&self.targets, [n, 1])?), Vec::new()),
            Some((i, role)) => {
                let (labels, classes) =
                    self.labels.labels(role == Role::TextLabel).map_err(|(line, why)| {
                        let why = why.replace("NAME", &names.call(i));
                        Error::format(names.what, format!("line {line}, {}: {why}", names.title(i)))
                    })?;
                (Some(Tensor::from_slice(&labels, [n])?), classes)
            }
        };
        let mut categories = Vec::new();
        for (texts, &i) in self.categories.into_iter().zip(&self.columns.categories) {
            let (values, texts) = texts.numbered();
            let values = Tensor::from_slice(&values, [n])?;
            categories.push(Categories { name: names.name(i), values, texts });
        }
        let names = match names.header {
            true => self.columns.numbers.iter().map(|&i| names.name(i)).collect(),
            false => Vec::new(),
        };
        Ok(Table { x, y, names, classes, categories, dropped: self.dropped })
    }
}
