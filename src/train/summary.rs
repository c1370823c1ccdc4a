//! Why it exists: the table that says what a network is made of, in Keras's layout.

use super::model::Model;
use crate::nn::{Params, Path};
use crate::shape::Size;
use crate::{DType, Shape};
use std::fmt;

/// A network as a table. Prints as Keras's `summary()` does.
#[derive(Clone, Debug)]
pub struct Summary {
    name: String,
    rows: Vec<[String; 3]>,
    trainable: usize,
    frozen: usize,
    optimizer: usize,
    dtype: DType,
}

impl Model {
    /// Prints the table of layers.
    #[expect(clippy::print_stdout, reason = "asked to")]
    pub fn summary(&self) {
        print!("{}", self.summary_table());
    }

    /// The table of layers, to print elsewhere.
    pub fn summary_table(&self) -> Summary {
        let (mut trainable, mut frozen) = (0, 0);
        self.visit(&mut Path::default(), &mut |_, p| {
            *(if p.trainable() { &mut trainable } else { &mut frozen }) += p.value().elements();
        });
        let row =
            |r: crate::nn::Row| [format!("{} ({})", r.name, r.class), tuple(&r.output), thousands(r.params)];
        Summary {
            name: self.name().into(),
            rows: self.rows().into_iter().map(row).collect(),
            trainable,
            frozen,
            optimizer: self.driver.state_elements(),
            dtype: self.dtype(),
        }
    }
}

/// A shape as Python writes it: `(None, 64)`.
fn tuple(shape: &Shape) -> String {
    let sizes: Vec<String> = shape.dims().iter().map(|&d| Size(d).to_string()).collect();
    if sizes.len() == 1 { format!("({},)", sizes[0]) } else { format!("({})", sizes.join(", ")) }
}

/// `50,240`.
fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `214.79 KB`: bytes in Keras's units of 1024.
fn bytes(n: usize) -> String {
    let mut value = n as f64;
    for unit in ["B", "KB", "MB", "GB", "TB"] {
        if value < 1024.0 || unit == "TB" {
            return format!("{value:.2} {unit}");
        }
        value /= 1024.0;
    }
    String::new()
}

/// Widths of the three columns without their padding: Keras's table on a terminal of 80 columns.
const WIDTHS: [usize; 3] = [31, 22, 13];

/// Cuts a cell into lines at spaces; a word wider than the column ends in `…`.
fn wrap(cell: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in cell.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        if word.len() > width {
            word.truncate(width - 1);
            word.push('…');
        }
        let word: String = word.into_iter().collect();
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = word,
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = |f: &mut fmt::Formatter<'_>, [left, fill, cross, right]: [&str; 4]| {
            let parts = WIDTHS.map(|w| fill.repeat(w + 2));
            writeln!(f, "{left}{}{right}", parts.join(cross))
        };
        writeln!(f, "Model: \"{}\"", self.name)?;
        rule(f, ["┏", "━", "┳", "┓"])?;
        let [a, b, c] = WIDTHS;
        writeln!(f, "┃ {:<a$} ┃ {:<b$} ┃ {:>c$} ┃", "Layer (type)", "Output Shape", "Param #")?;
        rule(f, ["┡", "━", "╇", "┩"])?;
        for (i, row) in self.rows.iter().enumerate() {
            if i > 0 {
                rule(f, ["├", "─", "┼", "┤"])?;
            }
            let cells: Vec<Vec<String>> = row.iter().zip(WIDTHS).map(|(cell, w)| wrap(cell, w)).collect();
            for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let get = |column: usize| cells[column].get(line).map_or("", String::as_str);
                writeln!(f, "│ {:<a$} │ {:<b$} │ {:>c$} │", get(0), get(1), get(2))?;
            }
        }
        rule(f, ["└", "─", "┴", "┘"])?;
        let count = |n: usize| format!("{} ({})", thousands(n), bytes(n * self.dtype.size()));
        writeln!(f, " Total params: {}", count(self.trainable + self.frozen + self.optimizer))?;
        writeln!(f, " Trainable params: {}", count(self.trainable))?;
        writeln!(f, " Non-trainable params: {}", count(self.frozen))?;
        if self.optimizer > 0 {
            writeln!(f, " Optimizer params: {}", count(self.optimizer))?;
        }
        Ok(())
    }
}
