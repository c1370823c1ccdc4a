//! `RNN`: runs any cell over a sequence, time step by time step.

use super::recurrence::{Sequence, States, recurrent, step_specs, zeros};
use crate::config::Dyn;
use crate::nn::{Build, Cell, Cx, Init, InputSpecs, Inputs, Node, Recurrent, Value, Values, build_inside};
use crate::tensor::Few;
use crate::{Error, Result};

recurrent! {
    /// Calls a cell at each time step of a sequence `[batch, time, …]`, with the states that it returned at the
    /// step before. The output is `[batch, units]`, or `[batch, time, units]` with `return_sequences`, followed by
    /// the states with `return_state`.
    ///
    /// A cell is a layer that implements [`Build::as_cell`], which may be your own; several on top of each other
    /// are one: [`StackedRNNCells`](super::StackedRNNCells). The initial states are zeros, or given after the
    /// sequence or by the name `initial_state`. Where a mask is false, the states do not change and the output is
    /// that of the step before.
    ///
    /// ```
    /// use gradus::nn::{Build, Cell, Cx, Init, InputSpecs, Inputs, Node, Param, Values, features};
    /// use gradus::nn::initializer::RandomUniform;
    /// use gradus::nn::layers::RNN;
    /// use gradus::prelude::*;
    /// use gradus::tensor::Few;
    /// use gradus::Result;
    ///
    /// gradus::settings! {
    ///     /// The state is the sum of what came, weighted.
    ///     pub layer SumCell as "acme>SumCell" {
    ///         new(units: usize);
    ///     }
    /// }
    /// #[derive(Clone, Debug)]
    /// struct SumCellNode { kernel: Param }
    /// gradus::parts!(SumCellNode { kernel });
    ///
    /// impl Build for SumCell {
    ///     fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
    ///         let shape = [features("SumCell", inputs.at(0)?)?, self.units];
    ///         Ok(Box::new(SumCellNode { kernel: init.param(shape, &RandomUniform::default().into())? }))
    ///     }
    ///     fn as_cell(&self) -> Option<&dyn Cell> {
    ///         Some(self)
    ///     }
    /// }
    /// impl Cell for SumCell {
    ///     fn state_sizes(&self) -> Few<usize, 2> {
    ///         [self.units].into()
    ///     }
    /// }
    /// impl Node for SumCellNode {
    ///     fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
    ///         let (input, state) = (&x.at(0)?.tensor, &x.at(1)?.tensor);
    ///         let sum = state.add(&input.matmul(&cx.param(&self.kernel)?)?)?;
    ///         Ok([sum.clone(), sum].into())
    ///     }
    /// }
    ///
    /// let network = Sequential::new().add(Input::new([7, 3])).add(RNN::new(SumCell::new(4))).build()?;
    /// assert_eq!(network.predict(&Tensor::ones([2, 7, 3])?)?.dims(), [2, 4]);
    /// assert_eq!(network.params()[0].0, "rnn/cell/kernel");
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub layer RNN {
        /// Creates the layer with this cell.
        new(cell: into Dyn<dyn Build>);

    }
}

impl Build for RNN {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let sizes = as_cell("cell", &*self.cell)?.state_sizes();
        let specs = step_specs("RNN", inputs.at(0)?, &sizes)?;
        let cell = build_inside(&*self.cell, &specs[..].into(), init)?;
        let sequence = Sequence::new("RNN", self.recurrence(), &self.activity_regularizer, sizes.len(), init);
        Ok(Box::new(RNNNode { cell, sequence, description: self.cell.clone() }))
    }
    fn input_names(&self) -> &[&'static str] {
        &["initial_state"]
    }
    fn positional_names(&self) -> &[&'static str] {
        &["sequences", "initial_state"]
    }
    fn list_names(&self) -> &[&'static str] {
        &["initial_state"]
    }
    fn as_recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }
}

/// Returns the layer as a cell.
///
/// # Errors
/// The layer is not a cell.
pub(super) fn as_cell<'a>(setting: &'static str, layer: &'a dyn Build) -> Result<&'a dyn Cell> {
    let expected = "a cell with states (LSTMCell, or a layer of your own that says Build::as_cell)";
    match layer.as_cell() {
        Some(cell) if !cell.state_sizes().is_empty() => Ok(cell),
        Some(_) => Err(Error::argument(setting, expected, format!("{} without any", layer.class_name()))),
        None => Err(Error::argument(setting, expected, layer.class_name())),
    }
}

/// The layer with its cell.
#[derive(Clone, Debug)]
struct RNNNode {
    cell: Box<dyn Node>,
    sequence: Sequence,
    description: Dyn<dyn Build>,
}
crate::parts!(RNNNode { cell, sequence });

impl Node for RNNNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let cell = as_cell("cell", &*self.description)?;
        let zeros = cell.initial_states(zeros(&x.at(0)?.tensor, &cell.state_sizes())?)?;
        self.sequence
            .call(x, zeros, cell.output_state(), cx, &mut |x, states, cx| step(&*self.cell, x, states, cx))
    }
    fn class_name(&self) -> &'static str {
        "RNN"
    }
}

/// Calls a cell once.
pub(super) fn step(
    cell: &dyn Node,
    x: &crate::Tensor,
    states: &[crate::Tensor],
    cx: &mut Cx,
) -> Result<(crate::Tensor, States)> {
    let values: Few<Value, 4> = std::iter::once(x).chain(states).map(Value::from).collect();
    let mut outputs = cell.call(Inputs::new(&values), cx)?.into_iter().map(|value| value.tensor);
    match outputs.next() {
        Some(output) => Ok((output, outputs.collect())),
        None => Err(Error::argument("cell", "an output and the states", "no outputs")),
    }
}
