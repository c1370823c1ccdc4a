//! `Summary`: the table of a network's layers, in Keras's layout.

use super::module::count_params;
use super::network::Network;
use super::topology::{At, RowOf, Topology};
use super::{Item, Module, Path};
use crate::shape::Size;
use crate::{DType, Spec};
use std::fmt;

/// A network as a table. It prints like Keras's `summary()`: three columns for a chain of layers, and for any other
/// graph a fourth with what each layer is connected to.
#[derive(Clone, Debug)]
pub struct Summary {
    name: String,
    rows: Vec<Vec<String>>,
    trainable: usize,
    frozen: usize,
    optimizer: usize,
    dtype: DType,
}

impl Network {
    /// Prints the table of layers.
    #[expect(clippy::print_stdout, reason = "asked to")]
    pub fn summary(&self) {
        print!("{}", self.summary_table());
    }

    /// Returns the table of layers, to print elsewhere.
    pub fn summary_table(&self) -> Summary {
        self.summary_with(0)
    }

    /// Returns the table with an optimizer whose state has this many numbers.
    pub(crate) fn summary_with(&self, optimizer: usize) -> Summary {
        let (mut trainable, mut frozen) = (0, 0);
        self.visit(&mut |_, p| {
            *(if p.trainable() { &mut trainable } else { &mut frozen }) += p.value().elements();
        });
        let topology = self.topology();
        let rows = match topology.layers.first() {
            Some(whole) if whole.name.is_empty() => self.parts(),
            _ => {
                let chain = topology.is_chain();
                let shown = |row: &&RowOf| topology.class != "Sequential" || matches!(row, RowOf::Layer(_));
                topology.rows.iter().filter(shown).map(|row| self.row(*row, !chain)).collect()
            }
        };
        Summary { name: self.name(), rows, trainable, frozen, optimizer, dtype: self.dtype() }
    }

    /// The row of an input or a layer.
    fn row(&self, row: RowOf, connected: bool) -> Vec<String> {
        let topology = self.topology();
        let mut cells = match row {
            RowOf::Input(i) => {
                let input = &topology.inputs[i];
                let shape = input.input.spec(self.dtype()).map(|spec| tuple(&spec)).unwrap_or_default();
                vec![format!("{} (InputLayer)", input.name), shape, "0".into()]
            }
            RowOf::Layer(l) => {
                let entry = &topology.layers[l];
                let params = count_params(&self.nodes()[l]);
                // The last call's, as in Keras.
                let last = topology.calls.iter().rposition(|c| c.layer == l);
                let shape = last.map_or("?".into(), |call| shapes(&self.call_specs()[call]));
                vec![format!("{} ({})", entry.name, entry.build.class_name()), shape, thousands(params)]
            }
        };
        if connected {
            let calls = topology.calls.iter().filter(|c| row == RowOf::Layer(c.layer));
            let from: Vec<String> =
                calls.flat_map(|c| &c.inputs).map(|at| topology.connection(*at)).collect();
            cells.push(if from.is_empty() { "-".into() } else { from.join(", ") });
        }
        cells
    }

    /// Returns the layers that a struct is made of, at the outermost level.
    fn parts(&self) -> Vec<Vec<String>> {
        let mut rows: Vec<(String, Vec<String>)> = Vec::new();
        self.walk(&mut Path::default(), &mut |path, item| {
            let path = path.as_str();
            if let Item::Layer(node) = item
                && rows.last().is_none_or(|(last, _)| !path.starts_with(&format!("{last}/")))
            {
                let params = count_params(node);
                let shape = node.traced_outputs().map_or("?".into(), |specs| shapes(&specs));
                let cells = vec![format!("{path} ({})", node.class_name()), shape, thousands(params)];
                rows.push((path.to_string(), cells));
            }
        });
        rows.into_iter().map(|(_, cells)| cells).collect()
    }
}

impl Topology {
    /// Returns whether each layer is called once, on what the layer before it gave: Keras then leaves out the
    /// fourth column.
    fn is_chain(&self) -> bool {
        let once = self.calls.len() == self.layers.len();
        once && self.inputs.len() == 1
            && self.calls.iter().enumerate().all(|(i, call)| match (i, &call.inputs[..]) {
                (0, [At::Input(_)]) => true,
                (i, [At::Call { call, .. }]) => *call + 1 == i,
                _ => false,
            })
    }

    /// Returns where a tensor comes from, as Keras writes it: layer, number of its call, number of the output.
    fn connection(&self, at: At) -> String {
        match at {
            At::Input(i) => format!("{}[0][0]", self.inputs[i].name),
            At::Call { call, output } => {
                let layer = &self.layers[self.calls[call].layer].name;
                format!("{layer}[{}][{output}]", self.call_number(call).0)
            }
        }
    }
}

/// Writes a shape as Python does: `(None, 64)`.
fn tuple(spec: &Spec) -> String {
    let sizes: Vec<String> = spec.shape.dims().iter().map(|&d| Size(d).to_string()).collect();
    if sizes.len() == 1 { format!("({},)", sizes[0]) } else { format!("({})", sizes.join(", ")) }
}

/// Writes one shape, or a list.
fn shapes(specs: &[Spec]) -> String {
    match specs {
        [one] => tuple(one),
        all => format!("[{}]", all.iter().map(tuple).collect::<Vec<_>>().join(", ")),
    }
}

/// Writes a number with commas: `50,240`.
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

/// Writes bytes in Keras's units of 1024: `214.79 KB`.
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

/// A column: its title, its width without the padding on a terminal of 80 columns, and whether it is right-aligned.
type Column = (&'static str, usize, bool);

/// Keras's columns for a chain of layers, and for any other graph.
const CHAIN: &[Column] = &[("Layer (type)", 31, false), ("Output Shape", 22, false), ("Param #", 13, true)];
const GRAPH: &[Column] = &[
    ("Layer (type)", 19, false),
    ("Output Shape", 17, false),
    ("Param #", 10, true),
    ("Connected to", 17, false),
];

/// Breaks a cell into lines at spaces; a word wider than the column ends in `…`.
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
        let columns = if self.rows.iter().any(|row| row.len() > CHAIN.len()) { GRAPH } else { CHAIN };
        let rule = |f: &mut fmt::Formatter<'_>, [left, fill, cross, right]: [&str; 4]| {
            let parts: Vec<String> = columns.iter().map(|(_, w, _)| fill.repeat(w + 2)).collect();
            writeln!(f, "{left}{}{right}", parts.join(cross))
        };
        let line = |f: &mut fmt::Formatter<'_>, bar: &str, cells: &[&str]| {
            for (cell, (_, w, right)) in cells.iter().zip(columns) {
                if *right { write!(f, "{bar} {cell:>w$} ")? } else { write!(f, "{bar} {cell:<w$} ")? }
            }
            writeln!(f, "{bar}")
        };
        writeln!(f, "Model: \"{}\"", self.name)?;
        rule(f, ["┏", "━", "┳", "┓"])?;
        line(f, "┃", &columns.iter().map(|(title, ..)| *title).collect::<Vec<_>>())?;
        rule(f, ["┡", "━", "╇", "┩"])?;
        for (i, row) in self.rows.iter().enumerate() {
            if i > 0 {
                rule(f, ["├", "─", "┼", "┤"])?;
            }
            let cells: Vec<Vec<String>> =
                row.iter().zip(columns).map(|(cell, (_, w, _))| wrap(cell, *w)).collect();
            for at in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let cells: Vec<&str> = cells.iter().map(|c| c.get(at).map_or("", String::as_str)).collect();
                line(f, "│", &cells)?;
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
