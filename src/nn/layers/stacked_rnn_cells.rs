//! `StackedRNNCells`: cells on top of each other, as one cell.

use super::recurrence::States;
use super::rnn::{as_cell, step};
use crate::config::Dyn;
use crate::nn::{Build, Cell, Cx, Init, InputSpecs, Inputs, Node, Values, build_inside};
use crate::tensor::{Few, Tensors};
use crate::{Error, Result, Shape, Spec};

crate::settings! {
    /// Each cell takes the output of the one below it. The states are those of all cells, from the lowest on; the
    /// output is that of the last one. For [`RNN`](super::RNN):
    /// `RNN::new(StackedRNNCells::new([LSTMCell::new(8), LSTMCell::new(4)]))`.
    pub layer StackedRNNCells {
        cells: stored Vec<Dyn<dyn Build>>,
    }
}

impl StackedRNNCells {
    /// Creates the layer of these cells, lowest first. If their types differ, convert each with `.into()`.
    pub fn new(cells: impl IntoIterator<Item = impl Into<Dyn<dyn Build>>>) -> StackedRNNCells {
        StackedRNNCells { cells: cells.into_iter().map(Into::into).collect(), common: Default::default() }
    }

    fn each(&self) -> impl Iterator<Item = &dyn Cell> {
        self.cells.iter().filter_map(|cell| cell.as_cell())
    }
}

impl Cell for StackedRNNCells {
    fn state_sizes(&self) -> Few<usize, 2> {
        self.each().flat_map(|cell| cell.state_sizes()).collect()
    }
    fn output_state(&self) -> usize {
        let last = self.each().last().map_or(0, |cell| cell.state_sizes().len() - cell.output_state());
        self.state_sizes().len() - last
    }
    fn output_size(&self) -> usize {
        self.each().last().map_or(0, |cell| cell.output_size())
    }
    fn initial_states(&self, zeros: Tensors) -> Result<Tensors> {
        let (mut zeros, mut states) = (zeros.into_iter(), Tensors::new());
        for cell in self.each() {
            states.extend(cell.initial_states(zeros.by_ref().take(cell.state_sizes().len()).collect())?);
        }
        Ok(states)
    }
}

impl Build for StackedRNNCells {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        if self.cells.is_empty() {
            return Err(Error::argument("cells", "at least one cell", "none"));
        }
        let (mut input, mut cells, mut states) = (inputs.at(0)?, Vec::new(), Vec::new());
        for build in &self.cells {
            let cell = as_cell("cells", &**build)?;
            let batch = input.shape.dims().first().copied().unwrap_or(0);
            let spec = |size: usize| Ok(Spec::new(Shape::new(&[batch, size])?, input.dtype));
            let sizes = cell.state_sizes();
            let specs: Vec<Spec> =
                std::iter::once(Ok(input)).chain(sizes.iter().map(|&n| spec(n))).collect::<Result<_>>()?;
            cells.push(build_inside(&**build, &specs[..].into(), init)?);
            states.push(sizes.len());
            input = spec(cell.output_size())?;
        }
        Ok(Box::new(StackedRNNCellsNode { cells, states }))
    }
    fn as_cell(&self) -> Option<&dyn Cell> {
        self.cells.iter().all(|cell| cell.as_cell().is_some()).then_some(self)
    }
}

/// The cells, and how many states each has.
#[derive(Clone, Debug)]
struct StackedRNNCellsNode {
    cells: Vec<Box<dyn Node>>,
    states: Vec<usize>,
}
crate::parts!(StackedRNNCellsNode { cells });

impl Node for StackedRNNCellsNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let mut output = x.at(0)?.tensor.clone();
        let given = super::recurrence::given_states(x, "states", self.states.iter().sum())?;
        let (mut given, mut all) = (&given[..], States::new());
        for (cell, &count) in self.cells.iter().zip(&self.states) {
            let Some((states, rest)) = given.split_at_checked(count) else {
                return Err(Error::argument("states", "the states of all cells", "none"));
            };
            let (above, new) = step(&**cell, &output, states, cx)?;
            (output, given) = (above, rest);
            all.extend(new);
        }
        Ok(std::iter::once(output).chain(all).collect())
    }
    fn class_name(&self) -> &'static str {
        "StackedRNNCells"
    }
}
