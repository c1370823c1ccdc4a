//! `CSVLogger`: writes the log values of each epoch to a file as soon as the epoch is over.

use super::{Callback, Plan};
use crate::train::figure::shortest;
use crate::train::{Logs, Model};
use crate::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

/// Writes the figures of each epoch as a row of a CSV file, in Keras's form: the epoch (from 0), then the figures in alphabetical order.
/// If the first epoch was not validated, columns of validation follow, with `NA` in the epochs that have no such figure.
///
/// ```
/// use gradus::prelude::*;
///
/// let path = std::env::temp_dir().join(format!("gradus-log-{}.csv", std::process::id()));
/// let mut model = Sequential::new().add(Input::new(1)).add(Dense::new(1)).compile("sgd", "mse", ())?;
/// let x = Tensor::ones([8, 1])?;
/// model.fit(&x, &x, Fit::new().epochs(2).validation_split(0.5).callback(CSVLogger::new(&path)).verbose(0))?;
/// let text = std::fs::read_to_string(&path).unwrap();
/// assert!(text.starts_with("epoch,loss,val_loss\r\n0,") && text.lines().count() == 3);
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Debug)]
pub struct CSVLogger {
    path: PathBuf,
    separator: char,
    append: bool,
    file: Option<File>,
    /// The columns after `epoch`, once the first epoch is over.
    columns: Option<Vec<String>>,
    /// The first line of a file that is added to.
    header: Option<String>,
}

impl CSVLogger {
    /// Writes to this file; what was there is replaced when training begins.
    pub fn new(path: impl Into<PathBuf>) -> CSVLogger {
        CSVLogger {
            path: path.into(),
            separator: ',',
            append: false,
            file: None,
            columns: None,
            header: None,
        }
    }

    /// What stands between two columns; `,` by default.
    #[must_use]
    pub fn separator(mut self, separator: char) -> Self {
        self.separator = separator;
        self
    }

    /// Whether rows are added to a file that is there, whose columns must be those of this run; no by default.
    #[must_use]
    pub fn append(mut self, append: bool) -> Self {
        self.append = append;
        self
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::Io { path: self.path.display().to_string(), source }.at("CSVLogger")
    }

    /// A line of the file. Cells that a reader would cut are quoted.
    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>) -> String {
        let cell = |cell: &str| match cell.contains([self.separator, '"', '\r', '\n']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell.to_string(),
        };
        cells.map(cell).collect::<Vec<_>>().join(&self.separator.to_string()) + "\r\n"
    }

    fn write(&mut self, text: &str) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let written = file.write_all(text.as_bytes());
        written.map_err(|e| self.failed(e))
    }

    /// The columns of this run, when the first epoch is over; a header, if the file has none.
    fn begin(&mut self, logs: &Logs) -> Result<Vec<String>> {
        let mut columns: Vec<String> = logs.iter().map(|(name, _)| name.to_string()).collect();
        columns.sort();
        if columns.iter().all(|name| !name.starts_with("val_")) {
            columns.extend(columns.clone().iter().map(|name| format!("val_{name}")));
        }
        let header = self.line(std::iter::once("epoch").chain(columns.iter().map(String::as_str)));
        match self.header.take() {
            None => self.write(&header)?,
            Some(there) if there.trim_end() == header.trim_end() => {}
            Some(there) => {
                let expected = format!("a file with the columns {}", header.trim_end());
                return Err(Error::argument("append", expected, there.trim_end().to_string()).at("CSVLogger"));
            }
        }
        Ok(columns)
    }
}

impl Callback for CSVLogger {
    fn on_train_begin(&mut self, _: &mut Model, _: &Plan) -> Result<()> {
        if matches!(self.separator, '"' | '\r' | '\n') {
            let e = Error::argument(
                "separator",
                "a character that ends no cell and no line",
                format!("{:?}", self.separator),
            );
            return Err(e.at("CSVLogger"));
        }
        (self.columns, self.header) = (None, None);
        if self.append && self.path.exists() {
            let mut first = String::new();
            let there = File::open(&self.path).map_err(|e| self.failed(e))?;
            BufReader::new(there).read_line(&mut first).map_err(|e| self.failed(e))?;
            self.header = Some(first).filter(|first| !first.is_empty());
        }
        let mut options = OpenOptions::new();
        options.create(true).write(true).append(self.append).truncate(!self.append);
        self.file = Some(options.open(&self.path).map_err(|e| self.failed(e))?);
        Ok(())
    }

    fn on_epoch_end(&mut self, _: &mut Model, epoch: usize, logs: &mut Logs) -> Result<()> {
        let columns = match self.columns.take() {
            Some(columns) => columns,
            None => self.begin(logs)?,
        };
        let figures = columns.iter().map(|name| logs.get(name).map_or("NA".into(), shortest));
        let cells: Vec<String> = std::iter::once(epoch.to_string()).chain(figures).collect();
        let row = self.line(cells.iter().map(String::as_str));
        self.columns = Some(columns);
        self.write(&row)
    }

    fn on_train_end(&mut self, _: &mut Model) -> Result<()> {
        self.file = None;
        Ok(())
    }
}
