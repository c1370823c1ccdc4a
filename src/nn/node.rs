//! What a layer is: for its author a function of one tensor ([`Layer`]), for a network a function of several values
//! ([`Node`]), and until its inputs are known a description ([`Build`]).

use super::activation::Activation;
use super::layers::Input;
use super::symbol::{IntoSymbols, Shared, Symbol};
use super::{Cx, Init, InputSpecs, Inputs, Masking, Module, Range, Value, Values, snake_case};
use crate::config::{Configured, Dyn, short_type_name, well_named};
use crate::error::Context;
use crate::tensor::{Few, Tensor, Tensors};
use crate::{Error, Result, Spec};
use std::sync::Arc;

/// A layer with one input and one output: parameters plus a function of a tensor. Implement it for a struct that
/// [`parts!`](crate::parts) has made a [`Module`]; every such layer that is `Clone` is a [`Node`].
///
/// ```
/// use gradus::nn::{Cx, Layer, Masking, Part};
/// use gradus::prelude::*;
///
/// /// `x + dense(x)`.
/// #[derive(Clone, Debug)]
/// struct Residual {
///     dense: Part,
/// }
/// gradus::parts!(Residual { dense });
///
/// impl Layer for Residual {
///     fn forward(&self, x: &Tensor, cx: &mut Cx) -> gradus::Result<Tensor> {
///         x.add(&self.dense.forward(x, cx)?)
///     }
///     fn masking(&self) -> Masking {
///         Masking::Keep
///     }
/// }
///
/// let residual = Residual { dense: Part::new(Dense::new(4).activation(Relu)) };
/// let network = Subclass::new([Input::new(4)], residual).build()?;
/// assert_eq!(network.predict(&Tensor::ones([2, 4])?)?.dims(), [2, 4]);
/// # Ok::<(), gradus::Error>(())
/// ```
pub trait Layer: Module {
    /// Computes the output. Read parameters through [`Cx::param`].
    ///
    /// # Errors
    /// The input does not fit.
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor>;

    /// Returns what it does with the mask of its input. A layer that does not say refuses masks.
    fn masking(&self) -> Masking {
        Masking::Refuse
    }

    /// Returns the activation that [`Layer::forward`] ends with, if it can be left out: `compile` joins it with the
    /// loss.
    fn output_activation(&self) -> Option<&dyn Activation> {
        None
    }

    /// Returns what is known of the values it gives, from what is known of its input: by default the range of
    /// [`Layer::output_activation`]. `compile` compares it with what the loss reads.
    fn output_range(&self, _input: Option<Range>) -> Option<Range> {
        Layer::output_activation(self).and_then(range_of)
    }

    /// Computes [`Layer::forward`] without [`Layer::output_activation`]: a layer that names one implements this
    /// too.
    ///
    /// # Errors
    /// Those of [`Layer::forward`].
    fn forward_logits(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        match Layer::output_activation(self) {
            None => self.forward(x, cx),
            Some(_) => Err(no_raw("Layer::forward_logits")),
        }
    }

    /// Returns whether in inference each row of the output (of the first axis, the batch) follows from the same row of the input alone,
    /// with no random numbers, no losses, and nothing carried from call to call. `TimeDistributed` then calls the layer once, with all
    /// time steps as rows, and a network of such layers alone predicts many rows in parts, each on a thread of its own.
    fn is_row_wise(&self) -> bool {
        false
    }

    /// Returns whether each number it gives is the largest of some numbers of its input. A training step then applies the ReLU of
    /// the layer before it afterwards, to fewer numbers, with the same results and gradients.
    fn picks_largest(&self) -> bool {
        false
    }

    /// Returns the name of its type in summaries and messages.
    fn class_name(&self) -> &'static str {
        short_type_name::<Self>()
    }
}

/// A layer as networks hold it: any number of inputs and outputs, each with its own mask. Layers with one of each
/// implement [`Layer`] instead.
pub trait Node: Module + CloneNode + std::fmt::Debug + Send + Sync {
    /// Computes the outputs.
    ///
    /// # Errors
    /// The inputs do not fit.
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values>;

    /// Returns the activation that output number `output` ends with, if it can be left out.
    fn output_activation(&self, _output: usize) -> Option<&dyn Activation> {
        None
    }

    /// Returns what is known of the values of output number `output`, from what is known of the inputs; by default
    /// the range of [`Node::output_activation`].
    fn output_range(&self, output: usize, _inputs: &[Option<Range>]) -> Option<Range> {
        Node::output_activation(self, output).and_then(range_of)
    }

    /// Computes [`Node::call`] without the output activations of those outputs for which `raw` is true (`raw` may
    /// be shorter than the list of outputs).
    ///
    /// # Errors
    /// Those of [`Node::call`].
    fn call_raw(&self, x: Inputs<'_>, cx: &mut Cx, raw: &[bool]) -> Result<Values> {
        match raw.contains(&true) {
            false => self.call(x, cx),
            true => Err(no_raw("Node::call_raw")),
        }
    }

    /// Returns the name of its type in summaries and messages.
    fn class_name(&self) -> &'static str {
        short_type_name::<Self>()
    }

    /// Returns the full name of its type, by which a network knows layers of the library's own.
    #[doc(hidden)]
    fn type_name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }

    /// Returns whether it takes a mask `[batch, …]` of one axis less than its input even if that is `[batch]`:
    /// which rows count. Only such layers are given a mask with one time step of a sequence.
    fn takes_row_mask(&self) -> bool {
        false
    }

    /// Returns whether in inference each row of the output (of the first axis, the batch) follows from the same row of the input alone,
    /// with no random numbers, no losses, and nothing carried from call to call. `TimeDistributed` then calls the layer once, with all
    /// time steps as rows, and a network of such layers alone predicts many rows in parts, each on a thread of its own.
    fn is_row_wise(&self) -> bool {
        false
    }

    /// Returns whether each number it gives is the largest of some numbers of its input. A training step then applies the ReLU of
    /// the layer before it afterwards, to fewer numbers, with the same results and gradients.
    fn picks_largest(&self) -> bool {
        false
    }

    /// Returns what its last traced call gave, if it keeps that: unknown sizes print as `None`.
    fn traced_outputs(&self) -> Option<Vec<Spec>> {
        None
    }
}

impl<L: Layer + Clone + std::fmt::Debug + Send + Sync + 'static> Node for L {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        self.call_raw(x, cx, &[])
    }
    fn output_activation(&self, _: usize) -> Option<&dyn Activation> {
        Layer::output_activation(self)
    }
    fn output_range(&self, _: usize, inputs: &[Option<Range>]) -> Option<Range> {
        Layer::output_range(self, inputs.first().copied().flatten())
    }
    fn call_raw(&self, x: Inputs<'_>, cx: &mut Cx, raw: &[bool]) -> Result<Values> {
        call_layer(self, x, cx, raw)
    }
    fn is_row_wise(&self) -> bool {
        Layer::is_row_wise(self)
    }
    fn picks_largest(&self) -> bool {
        Layer::picks_largest(self)
    }
    fn class_name(&self) -> &'static str {
        Layer::class_name(self)
    }
}

/// Returns the range of an activation's values, with its name.
pub(crate) fn range_of(activation: &dyn Activation) -> Option<Range> {
    activation.range().map(|range| range.by(activation.class_name()))
}

/// A network's call of a layer. Not generic, so it is compiled once for all layers.
fn call_layer(layer: &dyn Layer, x: Inputs<'_>, cx: &mut Cx, raw: &[bool]) -> Result<Values> {
    let x = x.single()?;
    let mask = layer.masking().apply(x.mask.as_ref())?;
    let raw = raw.first().is_some_and(|&raw| raw);
    let y = if raw { layer.forward_logits(&x.tensor, cx)? } else { layer.forward(&x.tensor, cx)? };
    Ok(Value::masked(y, mask).into())
}

/// The error of a layer that names an output activation but cannot leave it out.
fn no_raw(missing: &str) -> Error {
    Error::Custom(format!("it says output_activation, so it must implement {missing} as well"))
}

/// Lets boxed layers be cloned. Implemented for every layer that is `Clone`.
pub trait CloneNode {
    /// Makes a snapshot: values are copied when one of the two changes. Parameters keep their identity, so one
    /// network cannot hold both.
    fn clone_node(&self) -> Box<dyn Node>;
}

impl<N: Node + Clone + 'static> CloneNode for N {
    fn clone_node(&self) -> Box<dyn Node> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Node> {
    fn clone(&self) -> Self {
        (**self).clone_node()
    }
}

/// The description of a layer, from which the layer is built once its inputs are known. There are no half-built
/// layers.
///
/// A layer without parameters of its own, or whose parts build themselves ([`Part`](super::Part)), is its own
/// description: it implements only [`Layer`] and [`Configured`].
pub trait Build: Configured + std::fmt::Debug + Send + Sync {
    /// Builds the layer for inputs of these shapes (unknown sizes are [`UNKNOWN`](crate::UNKNOWN) and print as
    /// `None`) and dtypes: those given by position, then those given by name.
    ///
    /// # Errors
    /// The inputs do not fit, or a setting is out of range.
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>>;

    /// Returns the names under which inputs can be given, besides those by position: `["attention_mask"]`.
    ///
    /// Do not list masks here: `mask` and `value_mask` (if an input is named `value`) become the mask of their
    /// input before the layer is called.
    fn input_names(&self) -> &[&'static str] {
        &[]
    }

    /// Returns the names of inputs by position, in order: the arguments of Keras's `call`. There cannot be more
    /// inputs by position, nor one of them again by name. If it is empty, there may be any number of inputs,
    /// without names.
    fn positional_names(&self) -> &[&'static str] {
        &[]
    }

    /// Returns which of [`Build::input_names`] may be given several times, such as states. If it is the last of
    /// [`Build::positional_names`], any number may follow by position.
    fn list_names(&self) -> &[&'static str] {
        &[]
    }

    /// Returns a description for after the layer is built, if that takes less memory: a network that brought its
    /// values drops them.
    #[doc(hidden)]
    fn settled(&self) -> Option<Arc<dyn Build>> {
        None
    }

    /// For a recurrent layer, returns how it goes through sequences and how a wrapper such as `Bidirectional`
    /// changes that.
    fn as_recurrent(&self) -> Option<&dyn Recurrent> {
        None
    }

    /// For a cell, which `RNN` calls at each time step, returns its states.
    fn as_cell(&self) -> Option<&dyn Cell> {
        None
    }

    /// For the description of a network's input, returns it: the shape without the batch, and the dtype.
    fn input(&self) -> Option<&Input> {
        None
    }

    /// Calls the layer on these inputs and returns its output. This consumes the layer; to call one several times,
    /// make it [`Build::shared`] first (a clone is another layer, with parameters of its own).
    ///
    /// # Errors
    /// The inputs do not fit, or the layer does not have exactly one output ([`Shared::on_all`] gives a list).
    fn on(self, x: impl IntoSymbols) -> Result<Symbol>
    where
        Self: Sized + 'static,
    {
        Shared::new(self).on(x)
    }

    /// Calls the layer on these inputs and returns all its outputs.
    ///
    /// # Errors
    /// The inputs do not fit.
    fn on_all(self, x: impl IntoSymbols) -> Result<Vec<Symbol>>
    where
        Self: Sized + 'static,
    {
        Shared::new(self).on_all(x)
    }

    /// Returns a handle that can be called several times: one layer, one set of parameters.
    fn shared(self) -> Shared
    where
        Self: Sized + 'static,
    {
        Shared::new(self)
    }
}

/// Returns how messages name a layer that is not in a network yet: `layer 'dense' (Dense)`.
pub(super) fn place(build: &dyn Build) -> String {
    let class = build.class_name();
    let name = build.common().and_then(|c| c.name.clone()).unwrap_or_else(|| snake_case(class));
    format!("layer '{name}' ({class})")
}

/// Builds a layer. All layers are built here.
///
/// # Errors
/// Those of [`Build::build`], or a setting was given by a name that does not exist.
pub(super) fn built(build: &dyn Build, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
    let common = build.common();
    common.map_or(Ok(()), |common| well_named(&common.misnamed))?;
    init.with_frozen(common.is_some_and(|common| common.frozen), |init| build.build(inputs, init))
}

/// Builds a layer inside another one.
///
/// # Errors
/// Those of [`Build::build`], with its name.
pub(crate) fn build_inside(
    build: &dyn Build,
    inputs: &InputSpecs<'_>,
    init: &mut Init,
) -> Result<Box<dyn Node>> {
    built(build, inputs, init).at(|| place(build))
}

/// How a recurrent layer goes through a sequence, and what it returns: settings that all of them have, under
/// Keras's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recurrence {
    /// Whether to return the output of every time step, or only the last.
    pub return_sequences: bool,
    /// Whether to return the last states as further outputs.
    pub return_state: bool,
    /// Whether to read the sequence from its end. The outputs of all time steps are then in reversed order.
    pub go_backwards: bool,
    /// Whether the next call continues from the states of this one.
    pub stateful: bool,
    /// Whether the output of a time step that does not count is 0, rather than the output of the step before.
    pub zero_output_for_mask: bool,
}

/// What wrappers of recurrent layers need to know of one.
pub trait Recurrent {
    /// Returns how it goes through sequences.
    fn recurrence(&self) -> Recurrence;

    /// Returns the same layer with other settings of its recurrence.
    fn with_recurrence(&self, recurrence: Recurrence) -> Arc<dyn Build>;
}

/// What a loop over time needs to know of a cell. The layer of a cell takes the input of one time step
/// `[batch, …]`, then the states, and returns the output of the step, then the new states.
pub trait Cell {
    /// Returns the size of each state, `[batch, size]` (Keras: `state_size`).
    fn state_sizes(&self) -> Few<usize, 2>;

    /// Returns the number of the state that is also the output: it is repeated for a time step that does not count.
    fn output_state(&self) -> usize {
        0
    }

    /// Returns the size of the output, by default that of this state (Keras: `output_size`).
    fn output_size(&self) -> usize {
        self.state_sizes().get(self.output_state()).copied().unwrap_or(0)
    }

    /// Returns the initial states of a sequence, made from zeros of the right shapes (Keras: `get_initial_state`);
    /// zeros by default.
    ///
    /// # Errors
    /// An operation failed.
    fn initial_states(&self, zeros: Tensors) -> Result<Tensors> {
        Ok(zeros)
    }
}

/// A layer that is its own description.
impl<L: Layer + Configured + Clone + std::fmt::Debug + Send + Sync + 'static> Build for L {
    fn build(&self, _: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(self.clone()))
    }
}

/// What a network can hold as a layer: a description, a handle from [`Build::shared`], or a network.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer",
    label = "expected a layer such as `Dense::new(64)`",
    note = "an activation becomes a layer as `Activation::new(Relu)`, a function as `Lambda::new(|x| x.sin())`"
)]
pub trait IntoLayer {
    /// Converts to a handle.
    fn into_layer(self) -> Shared;
}
impl<B: Build + 'static> IntoLayer for B {
    fn into_layer(self) -> Shared {
        Shared::new(self)
    }
}
impl IntoLayer for Box<dyn Build> {
    fn into_layer(self) -> Shared {
        Shared::from_arc(Arc::from(self))
    }
}
impl IntoLayer for Shared {
    fn into_layer(self) -> Shared {
        self
    }
}
impl IntoLayer for &Shared {
    fn into_layer(self) -> Shared {
        self.clone()
    }
}

impl Dyn<dyn Build> {
    /// Returns a handle of the layer, to call it or put it into a network.
    pub fn shared(&self) -> Shared {
        Shared::from_arc(self.0.clone())
    }
}

/// A layer as a setting of another one.
impl<L: IntoLayer> From<L> for Dyn<dyn Build> {
    fn from(layer: L) -> Dyn<dyn Build> {
        Dyn(layer.into_layer().build().clone())
    }
}

/// Returns the size of the last axis of a spec, which must be known.
///
/// # Errors
/// There is no axis besides the batch, or its size is not known before data arrives.
pub fn features(layer: &'static str, input: Spec) -> Result<usize> {
    match input.shape.dims().get(1..).unwrap_or(&[]).last() {
        Some(&n) if !crate::shape::is_unknown(n) && n > 0 => Ok(n),
        _ => Err(Error::shape(layer, "inputs [batch, …, features] of known size", input.shape)),
    }
}
