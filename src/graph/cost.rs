//! What a graph costs: arithmetic, bytes moved and parameters, in all and by layer. How much arithmetic an operation
//! does is said by the operation itself ([`Op::flops`](crate::autograd::Op::flops)).

use super::{Graph, Source, Step};
use crate::Spec;
use std::collections::BTreeSet;
use std::fmt;

/// What a graph, or a layer in it, costs. It prints as a table with a row for each layer.
///
/// ```
/// use gradus::graph::Graph;
/// use gradus::prelude::*;
///
/// let network = Sequential::new().add(Input::new([4])).add(Dense::new(3)).build()?;
/// let graph = Graph::of_network(&network, &[Tensor::ones([10, 4])?.spec()])?;
/// let cost = graph.cost();
/// assert_eq!(cost.total.parameters, 4 * 3 + 3);
/// assert_eq!(cost.total.flops, 10 * (2 * 4 * 3 + 3)); // a multiply-add is two
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cost {
    /// All of it.
    pub total: Counts,
    /// By the path of the layer, in the order in which they first run.
    pub layers: Vec<(String, Counts)>,
}

/// Counts of what is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Steps.
    pub steps: usize,
    /// Additions, multiplications and functions of one number; a multiply-add is two.
    pub flops: u64,
    /// Bytes that steps read and write, without those of views.
    pub bytes: u64,
    /// Elements of parameters and states; one that several layers read counts in the first.
    pub parameters: u64,
}

impl Counts {
    pub(super) fn add(&mut self, more: Counts) {
        self.steps += more.steps;
        self.flops = self.flops.saturating_add(more.flops);
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.parameters = self.parameters.saturating_add(more.parameters);
    }
}

/// Returns the bytes of a value.
pub(super) fn bytes(spec: Spec) -> u64 {
    (spec.shape.elements() as u64).saturating_mul(spec.dtype.size() as u64)
}

impl Graph {
    /// Returns what a step costs, without parameters.
    pub(super) fn cost_of(&self, step: &Step) -> Counts {
        let (inputs, outputs) = (self.specs_of(&step.inputs), self.specs_of(&step.outputs));
        let flops = step.op.flops(&inputs, &outputs);
        let layout = inputs.first().map(|spec| crate::kernels::strided::Layout::contiguous(spec.shape));
        let view = inputs.len() < 3 && layout.is_some_and(|first| step.op.view(&first, outputs[0]).is_some());
        let read = if step.op.reads_values() { &inputs[..] } else { &[] };
        let moved = read.iter().chain(&outputs).fold(0, |n: u64, spec| n.saturating_add(bytes(*spec)));
        Counts { steps: 1, flops, bytes: if view { 0 } else { moved }, parameters: 0 }
    }

    /// Returns what one run costs.
    pub fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        let mut counted = BTreeSet::new();
        let is_parameter =
            |(value, source): &(_, Source)| matches!(source, Source::Parameter(_)).then_some(*value);
        let parameters: BTreeSet<_> = self.sources.iter().filter_map(is_parameter).collect();
        for step in &self.steps {
            let mut counts = self.cost_of(step);
            for value in step.inputs.iter().filter(|value| parameters.contains(value)) {
                if counted.insert(*value) {
                    counts.parameters += self.specs[value.at()].shape.elements() as u64;
                }
            }
            cost.total.add(counts);
            match cost.layers.iter_mut().find(|(layer, _)| *layer == step.layer) {
                Some((_, sum)) => sum.add(counts),
                None => cost.layers.push((step.layer.clone(), counts)),
            }
        }
        cost
    }
}

/// Writes rows in columns: the first to the left, the others to the right.
pub(super) fn table(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|i| rows.iter().filter_map(|row| row.get(i)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let mut line = String::new();
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match i {
                0 => line.push_str(&format!("{cell:width$}")),
                _ => line.push_str(&format!("  {cell:>width$}")),
            }
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Writes a number with three digits and a prefix: 1.23 M.
pub(super) fn short(n: u64) -> String {
    let n = n as f64;
    let scaled = |unit: f64, prefix: &str| {
        let v = n / unit;
        let digits = if v < 9.995 {
            2
        } else if v < 99.95 {
            1
        } else {
            0
        };
        format!("{v:.digits$} {prefix}")
    };
    match n {
        n if n < 1e3 => format!("{n:.0}"),
        n if n < 999.5e3 => scaled(1e3, "k"),
        n if n < 999.5e6 => scaled(1e6, "M"),
        n if n < 999.5e9 => scaled(1e9, "G"),
        _ => scaled(1e12, "T"),
    }
}

/// Returns how a layer is called in tables.
pub(super) fn called(layer: &str) -> String {
    if layer.is_empty() { "(no layer)".into() } else { layer.into() }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |name: String, c: &Counts| {
            vec![name, c.steps.to_string(), short(c.flops), short(c.bytes), c.parameters.to_string()]
        };
        let head = ["layer", "steps", "FLOPs", "bytes", "parameters"].map(String::from).to_vec();
        let layers = self.layers.iter().map(|(layer, counts)| row(called(layer), counts));
        let rows: Vec<Vec<String>> =
            std::iter::once(head).chain(layers).chain([row("total".into(), &self.total)]).collect();
        table(f, &rows)
    }
}
