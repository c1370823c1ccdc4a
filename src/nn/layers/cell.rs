//! What SimpleRNN, LSTM and GRU share, both the cells and the layers made of them: weights, dropout, and the op
//! over a whole sequence. Each cell adds its formula.

use super::checks::{self, fits, positive};
use super::recurrence::{Ran, Sequence, States, given_states, zeros};
use crate::config::{Common, Configured, Dyn};
use crate::nn::activation::Activation;
use crate::nn::constraint::Constraint;
use crate::nn::initializer::Initializer;
use crate::nn::regularizer::Regularizer;
use crate::nn::{Cx, Init, Inputs, Key, Node, Param, Value, Values, features};
use crate::ops::RecurrentWeights;
use crate::ops::matmul::Fused;
use crate::random::Stream;
use crate::tensor::{Few, Tensor, few};
use crate::{DType, Error, Result, Shape, Spec};
use std::ops::Range;
use std::sync::Arc;

/// The product of a state with the recurrent kernel, for some of the gates: with dropout, and with the state's own
/// bias if it has one.
pub(super) type Recurrent<'a> = dyn Fn(&Tensor, Range<usize>) -> Result<Tensor> + 'a;

/// The formula of a cell.
pub(super) trait Formula: std::fmt::Debug + Send + Sync {
    /// Returns the class of the cell.
    fn class_name(&self) -> &'static str;

    /// Returns the number of states: the first is the output.
    fn states(&self) -> usize;

    /// Returns the number of gates, each `units` wide, side by side in the kernels.
    fn gates(&self) -> usize;

    /// Returns whether the state has a bias of its own: the bias then has two rows.
    fn two_biases(&self) -> bool {
        false
    }

    /// Returns the new states, from the projected inputs `x·W + b` of a time step and the states.
    fn step(&self, x: &Tensor, states: &[Tensor], recurrent: &Recurrent<'_>) -> Result<States>;

    /// Runs all time steps as one op, if there is one for these activations: the outputs of all steps, then the
    /// last states.
    fn whole(
        &self,
        x: &Tensor,
        states: &[Tensor],
        weights: &RecurrentWeights<'_>,
        mask: Option<&Tensor>,
        go_backwards: bool,
    ) -> Option<Result<States>>;
}

/// Returns whether an activation is this one of those that ops support.
pub(super) fn is(activation: &Dyn<dyn Activation>, fused: Fused) -> bool {
    activation.fused() == Some(fused)
}

/// Returns part `i` of `x`, `[…, parts·units]`.
pub(super) fn part(x: &Tensor, units: usize, i: usize) -> Result<Tensor> {
    x.slice(-1, (i * units) as isize, ((i + 1) * units) as isize)
}

/// The settings that all cells have.
pub(super) struct Settings<'a> {
    pub(super) units: usize,
    pub(super) use_bias: bool,
    pub(super) kernel: Weight<'a>,
    pub(super) recurrent: Weight<'a>,
    pub(super) bias: Weight<'a>,
    pub(super) dropout: f64,
    pub(super) recurrent_dropout: f64,
}

/// Settings of a weight: initializer, regularizer and constraint.
pub(super) struct Weight<'a>(
    pub(super) &'a Dyn<dyn Initializer>,
    pub(super) &'a Option<Dyn<dyn Regularizer>>,
    pub(super) &'a Option<Dyn<dyn Constraint>>,
);

impl Weight<'_> {
    fn make(&self, shape: &[usize], init: &mut Init) -> Result<Param> {
        init.weight(Shape::new(shape)?, self.0, self.1, self.2)
    }
}

/// A cell with its weights.
#[derive(Clone, Debug)]
pub(super) struct CellNode {
    kernel: Param,
    recurrent_kernel: Param,
    bias: Option<Param>,
    dropout: Dropped,
    recurrent_dropout: Dropped,
    units: usize,
    formula: Arc<dyn Formula>,
}
crate::parts!(CellNode { kernel, recurrent_kernel, bias, dropout, recurrent_dropout });

/// Dropout with one mask for a whole sequence, or one for each gate.
#[derive(Clone, Debug)]
struct Dropped {
    rate: f64,
    masks: usize,
    key: Option<Key>,
}
crate::parts!(group Dropped { key });

impl Dropped {
    fn new(name: &'static str, rate: f64, masks: usize, init: &mut Init) -> Result<Dropped> {
        checks::rate(name, rate)?;
        Ok(Dropped { rate, masks, key: (rate > 0.0).then(|| init.key()) })
    }

    /// In training, draws the masks for rows `[batch, size]`, side by side.
    fn draw(&self, like: &Tensor, size: usize, cx: &mut Cx) -> Result<Option<Tensor>> {
        let Some(key) = self.key.as_ref().filter(|_| cx.is_training()) else { return Ok(None) };
        let shape = [like.dims().first().copied().unwrap_or(0), self.masks * size];
        let draw = |cx: &mut Cx| {
            let stream: Stream = cx.stream(key);
            like.new_full(shape, 1.0)?.dropout(self.rate, stream)
        };
        cx.once_a_sequence(key, draw).map(Some)
    }

    /// Computes `x·matrix` for some gates, where `x` `[…, size]` is dropped by masks drawn before.
    fn product(
        &self,
        x: &Tensor,
        matrix: &Tensor,
        units: usize,
        gates: &Range<usize>,
        masks: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (from, to) = ((gates.start * units) as isize, (gates.end * units) as isize);
        let all = to - from == matrix.dims()[1] as isize;
        let matrix = if all { matrix.clone() } else { matrix.slice(1, from, to)? };
        let size = x.dims().last().copied().unwrap_or(0);
        let masked = |i: usize| match masks {
            None => Ok(x.clone()),
            Some(masks) => {
                let mut mask = part(masks, size, i)?;
                while mask.rank() < x.rank() {
                    mask = mask.expand_dims(1)?;
                }
                x.mul(&mask)
            }
        };
        if masks.is_none() || self.masks == 1 {
            return masked(0)?.matmul(&matrix);
        }
        let each = |i: usize| masked(i)?.matmul(&part(&matrix, units, i - gates.start)?);
        let each = gates.clone().map(each).collect::<Result<Few<_, 4>>>()?;
        Tensor::concat(&each.iter().collect::<Few<_, 4>>(), -1)
    }
}

impl CellNode {
    /// Builds a cell for inputs whose last axis holds the features.
    pub(super) fn new(
        settings: &Settings<'_>,
        formula: Arc<dyn Formula>,
        input: Spec,
        init: &mut Init,
    ) -> Result<CellNode> {
        let &Settings { units, dropout, recurrent_dropout, .. } = settings;
        positive("units", units)?;
        let features = features(formula.class_name(), input)?;
        // As many as a row of the kernel can have at all.
        let width = formula.gates().checked_mul(units).filter(|width| *width <= isize::MAX as usize / 8);
        let Some(width) = width else {
            return Err(Error::argument("units", "a number that can be counted", units));
        };
        fits("units", &[features.max(units), width])?;
        // As in Keras, recurrent dropout gives each gate its own mask.
        let masks = if recurrent_dropout > 0.0 { formula.gates() } else { 1 };
        let bias: &[usize] = if formula.two_biases() { &[2, width] } else { &[width] };
        Ok(CellNode {
            kernel: settings.kernel.make(&[features, width], init)?,
            recurrent_kernel: settings.recurrent.make(&[units, width], init)?,
            bias: if settings.use_bias { Some(settings.bias.make(bias, init)?) } else { None },
            dropout: Dropped::new("dropout", dropout, masks, init)?,
            recurrent_dropout: Dropped::new("recurrent_dropout", recurrent_dropout, masks, init)?,
            units,
            formula,
        })
    }

    /// Returns the first states of a sequence, if no others are given.
    pub(super) fn zeros(&self, x: &Tensor) -> Result<States> {
        let sizes: Few<usize, 2> = few![self.units; self.formula.states()];
        zeros(x, &sizes)
    }

    pub(super) fn states(&self) -> usize {
        self.formula.states()
    }

    /// Returns the bias of the inputs and that of the state.
    fn biases(&self, cx: &mut Cx) -> Result<[Option<Tensor>; 2]> {
        let Some(bias) = cx.param_if(&self.bias)? else {
            return Ok([None, None]);
        };
        match self.formula.two_biases() {
            true => Ok([Some(bias.select(0, 0)?), Some(bias.select(0, 1)?)]),
            false => Ok([Some(bias), None]),
        }
    }

    /// Projects the inputs `[…, features]` of all time steps or of one.
    fn project(&self, x: &Tensor, bias: Option<&Tensor>, cx: &mut Cx) -> Result<Tensor> {
        let masks = self.dropout.draw(x, x.dims().last().copied().unwrap_or(0), cx)?;
        let (kernel, gates) = (cx.param(&self.kernel)?, 0..self.formula.gates());
        if masks.is_none() {
            return x.linear(&kernel, bias, None);
        }
        let product = self.dropout.product(x, &kernel, self.units, &gates, masks.as_ref())?;
        bias.map_or(Ok(product.clone()), |bias| product.add(bias))
    }

    /// Calls `f` with what the formula needs for a time step.
    fn with_recurrent<R>(
        &self,
        like: &Tensor,
        bias: Option<Tensor>,
        cx: &mut Cx,
        f: impl FnOnce(&Recurrent<'_>, &mut Cx) -> Result<R>,
    ) -> Result<R> {
        let masks = self.recurrent_dropout.draw(like, self.units, cx)?;
        let matrix = cx.param(&self.recurrent_kernel)?;
        let recurrent = |h: &Tensor, gates: Range<usize>| {
            let product = self.recurrent_dropout.product(h, &matrix, self.units, &gates, masks.as_ref())?;
            match &bias {
                Some(bias) if gates.len() == self.formula.gates() => product.add(bias),
                Some(bias) => {
                    let (from, to) = ((gates.start * self.units) as isize, (gates.end * self.units) as isize);
                    product.add(&bias.slice(0, from, to)?)
                }
                None => Ok(product),
            }
        };
        f(&recurrent, cx)
    }

    /// Goes through a sequence: as one op if there is one, else time step by time step.
    fn run(&self, x: &Value, states: States, sequence: &Sequence, cx: &mut Cx) -> Result<Ran> {
        sequence.time(x)?;
        let dropped = cx.is_training() && self.recurrent_dropout.key.is_some();
        if !dropped && let Some(ran) = self.run_whole(x, &states, sequence, cx)? {
            return Ok(ran);
        }
        let [of_inputs, of_state] = self.biases(cx)?;
        let projected = Value::masked(self.project(&x.tensor, of_inputs.as_ref(), cx)?, x.mask.clone());
        self.with_recurrent(&x.tensor, of_state, cx, |recurrent, cx| {
            sequence.run(&projected, states, 0, cx, &mut |x, states, _| {
                let states = self.formula.step(x, states, recurrent)?;
                Ok((states[0].clone(), states))
            })
        })
    }

    fn run_whole(
        &self,
        x: &Value,
        states: &[Tensor],
        sequence: &Sequence,
        cx: &mut Cx,
    ) -> Result<Option<Ran>> {
        let dropped = match self.dropout.draw(&x.tensor, x.tensor.dims().last().copied().unwrap_or(0), cx)? {
            Some(mask) => x.tensor.mul(&mask.expand_dims(1)?)?,
            None => x.tensor.clone(),
        };
        let mask = x.mask.as_ref().map(|mask| mask.cast(DType::Bool)).transpose()?;
        let bias = cx.param_if(&self.bias)?;
        let (kernel, recurrent_kernel) = (&cx.param(&self.kernel)?, &cx.param(&self.recurrent_kernel)?);
        let weights = RecurrentWeights { kernel, recurrent_kernel, bias: bias.as_ref() };
        let backwards = sequence.recurrence.go_backwards;
        match self.formula.whole(&dropped, states, &weights, mask.as_ref(), backwards) {
            None => Ok(None),
            Some(outputs) => {
                let mut states = outputs?;
                let all = states.remove(0);
                sequence.ran(all, states, mask.as_ref()).map(Some)
            }
        }
    }
}

impl Node for CellNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let input = &x.at(0)?.tensor;
        let mut states = given_states(x, "states", self.states())?;
        if states.is_empty() {
            states = self.zeros(input)?;
        }
        let [of_inputs, of_state] = self.biases(cx)?;
        let projected = self.project(input, of_inputs.as_ref(), cx)?;
        let new = self.with_recurrent(input, of_state, cx, |recurrent, _| {
            self.formula.step(&projected, &states, recurrent)
        })?;
        Ok(std::iter::once(new[0].clone()).chain(new).collect())
    }
    fn class_name(&self) -> &'static str {
        self.formula.class_name()
    }
}

/// A layer made of a cell of this library.
#[derive(Clone, Debug)]
pub(super) struct RecurrentNode {
    pub(super) cell: CellNode,
    pub(super) sequence: Sequence,
}
crate::parts!(RecurrentNode { cell, sequence });

impl Node for RecurrentNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let value = self.sequence.counted(x.at(0)?)?;
        let states = self.sequence.begin(x, self.cell.zeros(&value.tensor)?, cx)?;
        let ran = cx.sequence(|cx| self.cell.run(&value, states, &self.sequence, cx))?;
        self.sequence.finish(ran, value.mask.as_ref(), cx)
    }
    fn class_name(&self) -> &'static str {
        self.sequence.layer
    }
}

/// Returns the settings of a cell that is a part of another layer, so without a name of its own.
pub(super) fn unnamed(common: &Common) -> Common {
    Common { name: None, ..common.clone() }
}

/// Declares a cell and its layer, which share their settings; the layer also has those of going through a sequence.
/// After the settings that all cells have come `rows`, whose names are listed.
macro_rules! cells {
    (
        $(#[$cell_meta:meta])* cell $cell:ident;
        $(#[$layer_meta:meta])* layer $layer:ident;
        [$($more:ident),*] { $($rows:tt)* }
    ) => {
        crate::nn::layers::cell::cells! { @one settings $(#[$cell_meta])* $cell { $($rows)* } }
        crate::nn::layers::cell::cells! { @one recurrent $(#[$layer_meta])* $layer { $($rows)* } }

        impl $cell {
            fn node(
                &self,
                input: crate::Spec,
                init: &mut crate::nn::Init,
            ) -> crate::Result<crate::nn::layers::cell::CellNode> {
                use crate::nn::layers::cell::{CellNode, Settings, Weight};
                let bias_initializer = self.initial_bias();
                let settings = Settings {
                    units: self.units,
                    use_bias: self.use_bias,
                    kernel: Weight(&self.kernel_initializer, &self.kernel_regularizer, &self.kernel_constraint),
                    recurrent: Weight(&self.recurrent_initializer, &self.recurrent_regularizer, &self.recurrent_constraint),
                    bias: Weight(&bias_initializer, &self.bias_regularizer, &self.bias_constraint),
                    dropout: self.dropout,
                    recurrent_dropout: self.recurrent_dropout,
                };
                CellNode::new(&settings, std::sync::Arc::new(self.clone()), input, init)
            }
        }

        impl crate::nn::Build for $cell {
            fn build(
                &self,
                inputs: &crate::nn::InputSpecs<'_>,
                init: &mut crate::nn::Init,
            ) -> crate::Result<Box<dyn crate::nn::Node>> {
                Ok(Box::new(self.node(inputs.at(0)?, init)?))
            }
            fn input_names(&self) -> &[&'static str] {
                &["states"]
            }
            fn positional_names(&self) -> &[&'static str] {
                &["inputs", "states"]
            }
            fn list_names(&self) -> &[&'static str] {
                &["states"]
            }
            fn as_cell(&self) -> Option<&dyn crate::nn::Cell> {
                Some(self)
            }
        }

        impl crate::nn::Cell for $cell {
            fn state_sizes(&self) -> crate::tensor::Few<usize, 2> {
                crate::tensor::few![self.units; crate::nn::layers::cell::Formula::states(self)]
            }
        }

        impl $layer {
            fn cell(&self) -> $cell {
                $cell {
                    units: self.units,
                    activation: self.activation.clone(),
                    use_bias: self.use_bias,
                    kernel_initializer: self.kernel_initializer.clone(),
                    recurrent_initializer: self.recurrent_initializer.clone(),
                    bias_initializer: self.bias_initializer.clone(),
                    kernel_regularizer: self.kernel_regularizer.clone(),
                    recurrent_regularizer: self.recurrent_regularizer.clone(),
                    bias_regularizer: self.bias_regularizer.clone(),
                    kernel_constraint: self.kernel_constraint.clone(),
                    recurrent_constraint: self.recurrent_constraint.clone(),
                    bias_constraint: self.bias_constraint.clone(),
                    dropout: self.dropout,
                    recurrent_dropout: self.recurrent_dropout,
                    $($more: self.$more.clone(),)*
                    common: crate::nn::layers::cell::unnamed(&self.common),
                }
            }
        }

        impl crate::nn::Build for $layer {
            fn build(
                &self,
                inputs: &crate::nn::InputSpecs<'_>,
                init: &mut crate::nn::Init,
            ) -> crate::Result<Box<dyn crate::nn::Node>> {
                use crate::nn::Recurrent;
                let input = inputs.at(0)?;
                if input.shape.rank() != 3 {
                    let expected = "sequences [batch, time, features]";
                    return Err(crate::Error::shape(stringify!($layer), expected, input.shape));
                }
                let cell = self.cell().node(input, init)?;
                let (recurrence, penalty) = (self.recurrence(), &self.activity_regularizer);
                let states = cell.states();
                let sequence =
                    crate::nn::layers::recurrence::Sequence::new(stringify!($layer), recurrence, penalty, states, init);
                Ok(Box::new(crate::nn::layers::cell::RecurrentNode { cell, sequence }))
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
            fn as_recurrent(&self) -> Option<&dyn crate::nn::Recurrent> {
                Some(self)
            }
        }
    };

    (@one $declare:ident $(#[$meta:meta])* $type:ident { $($rows:tt)* }) => {
        $declare! {
            $(#[$meta])*
            pub layer $type {
                /// Creates the layer with states of `units` features.
                new(units: usize);

                /// Activation of the output. Default: `Tanh`.
                activation: into crate::config::Dyn<dyn crate::nn::activation::Activation> = crate::nn::activation::Tanh,
                /// Whether there is a bias. Default: `true`.
                use_bias: bool = true,
                /// Initializer of the kernel. Default: `GlorotUniform`.
                kernel_initializer: into crate::config::Dyn<dyn crate::nn::initializer::Initializer> =
                    crate::nn::initializer::GlorotUniform,
                /// Initializer of the recurrent kernel. Default: `Orthogonal`.
                recurrent_initializer: into crate::config::Dyn<dyn crate::nn::initializer::Initializer> =
                    crate::nn::initializer::Orthogonal::default(),
                /// Initializer of the bias. Default: `Zeros`.
                bias_initializer: into crate::config::Dyn<dyn crate::nn::initializer::Initializer> =
                    crate::nn::initializer::Zeros,
                /// Regularizer of the kernel. Default: none.
                kernel_regularizer: some into crate::config::Dyn<dyn crate::nn::regularizer::Regularizer>,
                /// Regularizer of the recurrent kernel. Default: none.
                recurrent_regularizer: some into crate::config::Dyn<dyn crate::nn::regularizer::Regularizer>,
                /// Regularizer of the bias. Default: none.
                bias_regularizer: some into crate::config::Dyn<dyn crate::nn::regularizer::Regularizer>,
                /// Constraint on the kernel. Default: none.
                kernel_constraint: some into crate::config::Dyn<dyn crate::nn::constraint::Constraint>,
                /// Constraint on the recurrent kernel. Default: none.
                recurrent_constraint: some into crate::config::Dyn<dyn crate::nn::constraint::Constraint>,
                /// Constraint on the bias. Default: none.
                bias_constraint: some into crate::config::Dyn<dyn crate::nn::constraint::Constraint>,
                /// Dropout rate of the inputs; a sequence has one mask for all steps. Default: `0`.
                dropout: f64 = 0.0,
                /// Dropout rate of the state on its way into the gates; each gate has a mask of its own, the same
                /// at all steps. Default: `0`.
                recurrent_dropout: f64 = 0.0,
                $($rows)*
            }
        }
    };
}
pub(super) use cells;

/// The initializer of an LSTM's bias: 1 for the forget gate, another initializer for the input gate `[units]` and
/// for the last two gates together `[2·units]`, as Keras draws them.
#[derive(Debug)]
pub(super) struct UnitForgetBias(pub(super) Dyn<dyn Initializer>);

impl Configured for UnitForgetBias {
    fn config(&self) -> Result<serde_json::Value> {
        self.0.config()
    }
}

impl Initializer for UnitForgetBias {
    fn value(&self, shape: &Shape, stream: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        let units = shape.elements() / 4;
        let input = self.0.value(&Shape::new(&[units])?, stream)?;
        let rest = self.0.value(&Shape::new(&[2 * units])?, stream.following())?;
        let units = units as u64;
        Ok(Box::new(move |i| match i / units {
            0 => input(i),
            1 => 1.0,
            _ => rest(i - 2 * units),
        }))
    }
}
