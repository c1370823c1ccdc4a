//! What is known of sizes: the graphs of a network for several sets of input sizes. What agrees in all of them is a
//! number; what differs has to follow from the sizes of inputs, and is explained here.

use crate::autograd::Attrs;
use crate::graph::{Graph, Output, Source, Step, ValueId};
use crate::nn::Network;
use crate::shape::is_unknown;
use crate::{Error, Result, Spec, Tensor};

/// The size of the batch in each trace; the last traces are those that check.
const BATCH: [usize; TRACES] = [24, 40, 72, 7, 26, 12, 15];

/// The other unknown sizes. Multiples of 64 first, so that strides and halves have a meaning; in the last traces odd
/// numbers, which multiples cannot be confused with, and numbers that leave 2, 4 and 7 when they are divided by 8: what
/// is rounded in halves, quarters and eighths shows.
const OTHER: [[usize; 7]; TRACES] = [
    [192, 448, 704, 960, 1216, 1472, 1728],
    [320, 576, 832, 1088, 1344, 1600, 1856],
    [128, 384, 640, 896, 1152, 1408, 1664],
    [37, 41, 43, 47, 53, 59, 61],
    [226, 210, 202, 194, 186, 178, 170],
    [116, 148, 132, 164, 172, 188, 212],
    [135, 151, 167, 183, 199, 215, 231],
];

/// How many times as large unknown sizes are in a second attempt: layers with a table (of positions) compute otherwise beyond its end,
/// in a way that is right before it too.
const FAR: usize = 64;

const TRACES: usize = 7;
/// How many traces there must be. The others may be refused by the network.
const NEEDED: usize = 3;

/// Where a size comes from when the exported graph runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// A number.
    Known(i64),
    /// An axis of a value.
    Of(ValueId, usize),
    /// `(a·size + c) / d`, rounded down, of an axis of a value.
    Line { value: ValueId, axis: usize, a: i64, c: i64, d: i64 },
    /// The product of the sizes of two axes of inputs.
    Product([(ValueId, usize); 2]),
}

/// The graphs of one network for several sets of sizes.
#[derive(Clone, Debug)]
pub(super) struct Traces {
    pub(super) graphs: Vec<Graph>,
    /// The specs of the inputs, in which sizes that may be any are unknown.
    pub(super) inputs: Vec<Spec>,
    /// Whether all unknown sizes but the batch have to be equal.
    pub(super) equal: bool,
}

/// The specs of a trace.
fn trial(inputs: &[Spec], trace: usize, equal: bool, far: bool) -> Vec<Spec> {
    let other = OTHER[trace].map(|size| if far { FAR * size + size % 8 } else { size });
    let mut next = other.iter().cycle();
    let mut of = |spec: &Spec| {
        let mut spec = *spec;
        for (axis, size) in
            spec.shape.dims_mut().iter_mut().enumerate().filter(|(_, size)| is_unknown(**size))
        {
            *size = match (axis, equal) {
                (0, _) => BATCH[trace],
                (_, true) => other[0],
                (_, false) => next.next().copied().unwrap_or(BATCH[trace]),
            };
        }
        spec
    };
    inputs.iter().map(&mut of).collect()
}

impl Traces {
    /// Traces a network for inputs of these specs.
    pub(super) fn of(network: &Network, inputs: &[Spec]) -> Result<Traces> {
        let several = several(inputs);
        let near = match Traces::with(network, inputs, false, false) {
            Err(_) if several => Traces::with(network, inputs, true, false),
            result => result,
        };
        near.or_else(|error| Traces::with(network, inputs, several, true).map_err(|_| error))
    }

    fn with(network: &Network, inputs: &[Spec], equal: bool, far: bool) -> Result<Traces> {
        let trace = |i: usize| -> Result<Graph> {
            Ok(Graph::of_network(network, &trial(inputs, i, equal, far))?.without_dead_code())
        };
        let mut graphs = (0..NEEDED).map(trace).collect::<Result<Vec<_>>>()?;
        graphs.extend((NEEDED..TRACES).filter_map(|i| trace(i).ok()));
        let traces = Traces { graphs, inputs: inputs.to_vec(), equal };
        traces.check()?;
        let joined = traces.graphs.iter().map(Graph::with_views_joined).collect();
        let joined = Traces { graphs: joined, ..traces.clone() };
        // Where sizes make a difference for what may be joined, nothing is.
        Ok(if joined.check().is_ok() { joined } else { traces })
    }

    /// Fails unless the same operations run in all traces.
    fn check(&self) -> Result<()> {
        let first = &self.graphs[0];
        for other in &self.graphs[1..] {
            let pairs = first.steps().iter().zip(other.steps());
            let differs = |(a, b): &(&Step, &Step)| {
                a.name() != b.name()
                    || a.inputs() != b.inputs()
                    || a.outputs() != b.outputs()
                    || a.layer() != b.layer()
            };
            let found = pairs.clone().find(differs).map(|(a, b)| if b.layer().is_empty() { a } else { b });
            let more = first.steps().len() != other.steps().len();
            let longer = if first.steps().len() > other.steps().len() { first } else { other };
            let Some(step) = found.or(if more { longer.steps().get(pairs.len()) } else { None }) else {
                continue;
            };
            let error = Error::argument(
                "onnx",
                "the same operations for inputs of any size: give the input a fixed length (Export::inputs), or use a recurrent layer \
                 with its default activations",
                "a loop over an axis whose size is unknown",
            );
            return Err(if step.layer().is_empty() {
                error
            } else {
                error.at(format!("layer '{}'", step.layer()))
            });
        }
        Ok(())
    }

    pub(super) fn first(&self) -> &Graph {
        &self.graphs[0]
    }

    /// Returns the size of an axis in each trace.
    pub(super) fn sizes(&self, value: ValueId, axis: usize) -> Vec<usize> {
        let size = |graph: &Graph| graph.spec(value).and_then(|spec| spec.shape.dims().get(axis).copied());
        self.graphs.iter().map(|graph| size(graph).unwrap_or(0)).collect()
    }

    /// Returns the inputs of the graph, with their names.
    pub(super) fn given(&self) -> impl Iterator<Item = (ValueId, &str)> {
        self.first().sources().iter().filter_map(|(value, source)| match source {
            Source::Input(name) => Some((*value, name.as_str())),
            _ => None,
        })
    }

    /// Returns the results of the network, with their names.
    pub(super) fn results(&self) -> impl Iterator<Item = (ValueId, &str)> {
        self.first().outputs().iter().filter_map(|(output, value)| match output {
            Output::Result(name) => Some((*value, name.as_str())),
            _ => None,
        })
    }

    /// Returns the attributes of a step in each trace.
    pub(super) fn attrs(&self, step: usize) -> Vec<Attrs> {
        self.graphs.iter().filter_map(|graph| graph.steps().get(step)).map(Step::attrs).collect()
    }

    /// Returns the values of a constant in each trace.
    pub(super) fn constants(&self, source: usize) -> Vec<&Tensor> {
        let found = self.graphs.iter().filter_map(|graph| match graph.sources().get(source) {
            Some((_, Source::Constant(tensor))) => Some(tensor),
            _ => None,
        });
        found.collect()
    }

    /// Says where a number comes from that is `n` in the traces: it is the same in all, or the size of an axis of
    /// one of these values, or follows from one or two sizes of the network's inputs.
    pub(super) fn explain(&self, n: &[i64], near: &[ValueId]) -> Option<Size> {
        if n.iter().all(|m| *m == n[0]) {
            return Some(Size::Known(n[0]));
        }
        let axes = |value: ValueId| {
            let rank = self.first().spec(value).map_or(0, |spec| spec.shape.rank());
            (0..rank).map(move |axis| (value, axis))
        };
        let near: Vec<_> = near.iter().copied().flat_map(axes).collect();
        let same = |&&(value, axis): &&(ValueId, usize)| self.whole(value, axis) == n;
        if let Some(&(value, axis)) = near.iter().find(same) {
            return Some(Size::Of(value, axis));
        }
        let inputs: Vec<_> = self.given().map(|(value, _)| value).flat_map(axes).collect();
        let unknown: Vec<_> =
            inputs.into_iter().filter(|(value, axis)| !constant(&self.whole(*value, *axis))).collect();
        if let Some(&(value, axis)) = unknown.iter().find(same) {
            return Some(Size::Of(value, axis));
        }
        for &(value, axis) in near.iter().chain(&unknown) {
            if let Some([a, c, d]) = line(&self.whole(value, axis), n) {
                return Some(Size::Line { value, axis, a, c, d });
            }
        }
        for (i, &a) in unknown.iter().enumerate() {
            for &b in &unknown[i..] {
                let (left, right) = (self.whole(a.0, a.1), self.whole(b.0, b.1));
                if left.iter().zip(&right).zip(n).all(|((left, right), n)| left * right == *n) {
                    return Some(Size::Product([a, b]));
                }
            }
        }
        None
    }

    fn whole(&self, value: ValueId, axis: usize) -> Vec<i64> {
        self.sizes(value, axis).into_iter().map(|size| size as i64).collect()
    }
}

/// Returns whether axes other than the batch are unknown in several places.
fn several(inputs: &[Spec]) -> bool {
    let unknown = |spec: &Spec| spec.shape.dims().iter().skip(1).filter(|size| is_unknown(**size)).count();
    inputs.iter().map(unknown).sum::<usize>() > 1
}

fn constant(n: &[i64]) -> bool {
    n.iter().all(|m| *m == n[0])
}

/// Returns a, c and d for which all n are `(a·s + c) / d`, rounded down.
fn line(s: &[i64], n: &[i64]) -> Option<[i64; 3]> {
    let (rise, run) = (n[1] - n[0], s[1] - s[0]);
    if run == 0 || rise == 0 {
        return None;
    }
    let common = gcd(rise.unsigned_abs(), run.unsigned_abs()) as i64 * run.signum();
    let (a, d) = (rise / common, run / common);
    // Rounding leaves d different constants that agree on the first trace.
    let least = n[0] * d - a * s[0];
    let fits = |c: &i64| s.iter().zip(n).all(|(s, n)| (a * s + c).div_euclid(d) == *n);
    let c = (least..least.saturating_add(d.min(4096))).find(fits)?;
    Some([a, c, d])
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
