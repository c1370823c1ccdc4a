//! The layers [`ConvLSTM1D`], [`ConvLSTM2D`] and [`ConvLSTM3D`]: LSTMs whose products are convolutions (Shi et al.
//! 2015). Their states are images, and every time step sees the neighbourhood of each position.

use super::cell::{UnitForgetBias, part};
use super::checks::{self, fits, positive};
use super::recurrence::{Sequence, States, recurrent};
use super::sliding::{channels, not_both, plain_padding, sliding};
use crate::config::Dyn;
use crate::nn::activation::{Activation, Sigmoid, Tanh};
use crate::nn::constraint::Constraint;
use crate::nn::initializer::{GlorotUniform, Initializer, Orthogonal, Zeros};
use crate::nn::regularizer::Regularizer;
use crate::nn::{
    Build, Cx, DataFormat, Init, InputSpecs, Inputs, Key, Node, Param, Recurrent, Sizes, Value, Values,
};
use crate::ops::Padding;
use crate::ops::conv::Convolution;
use crate::tensor::{Tensor, few};
use crate::{Error, Result, Shape, Spec};

/// The gates: input, forget, candidate, output, in the order of the kernels.
const GATES: usize = 4;

/// The layer with its cell.
#[derive(Clone, Debug)]
struct ConvLSTMNode {
    cell: ConvLSTMCell,
    sequence: Sequence,
    data_format: DataFormat,
}
crate::parts!(ConvLSTMNode { cell, sequence });

/// The computation of one time step.
#[derive(Clone, Debug)]
struct ConvLSTMCell {
    kernel: Param,
    recurrent_kernel: Param,
    bias: Option<Param>,
    filters: usize,
    how: Convolution,
    activation: Dyn<dyn Activation>,
    recurrent_activation: Dyn<dyn Activation>,
    dropout: Option<Drop>,
    recurrent_dropout: Option<Drop>,
}
crate::parts!(group ConvLSTMCell { kernel, recurrent_kernel, bias, dropout, recurrent_dropout });

impl ConvLSTMCell {
    /// `conv(x, kernel) + bias` for all gates and steps at once: `[batch, time, axes…, channels]` becomes
    /// `[batch, time, places…, 4·filters]`.
    fn projected(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let kernel = cx.param(&self.kernel)?;
        let bias = cx.param_if(&self.bias)?;
        let masks = match &self.dropout {
            Some(dropout) => dropout.masks(&x.select(1, 0)?, cx)?,
            None => None,
        };
        let conv = |x: &Tensor, kernel: &Tensor| {
            let steps = x.merge_axes(0, 1)?.conv(kernel, None, None, &self.how)?;
            steps.split_axis(0, &[-1, x.dims()[1] as isize])
        };
        let z = of_gates(x, &kernel, masks.as_ref(), &conv)?;
        match &bias {
            Some(bias) => z.add(bias),
            None => Ok(z),
        }
    }

    /// `i, f, o = σ(z), c' = f·c + i·g(z), h' = o·g(c')` with `z = projected + conv(h, recurrent_kernel)`.
    fn step(&self, z: &Tensor, states: &[Tensor], kernel: &Tensor, masks: Option<&Masks>) -> Result<States> {
        let [h, c] = states else {
            return Err(Error::argument("states", "two", states.len()));
        };
        let same = Convolution::new().padding(Padding::Same).winograd(false);
        let z = z.add(&of_gates(h, kernel, masks, &|h, kernel| h.conv(kernel, None, None, &same))?)?;
        let gate = |i: usize| part(&z, self.filters, i);
        let i = self.recurrent_activation.apply(&gate(0)?)?;
        let f = self.recurrent_activation.apply(&gate(1)?)?;
        let c = f.mul(c)?.add(&i.mul(&self.activation.apply(&gate(2)?)?)?)?;
        let o = self.recurrent_activation.apply(&gate(3)?)?;
        Ok(few![o.mul(&self.activation.apply(&c)?)?, c])
    }
}

impl Node for ConvLSTMNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let input = &self.sequence.counted(x.at(0)?)?;
        self.sequence.time(input)?;
        let last = match self.data_format {
            DataFormat::ChannelsLast => input.tensor.clone(),
            DataFormat::ChannelsFirst => input.tensor.moveaxis(2, -1)?,
        };
        let z = self.cell.projected(&last, cx)?;
        let kernel = cx.param(&self.cell.recurrent_kernel)?;
        let zero = part(&z.select(1, 0)?, self.cell.filters, 0)?;
        let zero = zero.new_full(*zero.shape(), 0.0)?;
        let masks = match &self.cell.recurrent_dropout {
            Some(dropout) => dropout.masks(&zero, cx)?,
            None => None,
        };
        let zero = self.data_format.back(zero)?;
        let states = self.sequence.begin(x, few![zero.clone(), zero], cx)?;
        let states = states.iter().map(|state| self.data_format.last(state)).collect::<Result<_>>()?;
        let steps = Value::masked(z, input.mask.clone());
        let mut ran = self.sequence.run(&steps, states, 0, cx, &mut |z, states, _| {
            let states = self.cell.step(z, states, &kernel, masks.as_ref())?;
            Ok((states[0].clone(), states))
        })?;
        if self.data_format == DataFormat::ChannelsFirst {
            ran.sequence = ran.sequence.map(|sequence| sequence.moveaxis(-1, 2)).transpose()?;
            ran.last = self.data_format.back(ran.last)?;
            ran.states =
                ran.states.into_iter().map(|state| self.data_format.back(state)).collect::<Result<_>>()?;
        }
        self.sequence.finish(ran, input.mask.as_ref(), cx)
    }
    fn class_name(&self) -> &'static str {
        self.sequence.layer
    }
}

/// One factor per gate for the values it sees, the same at all time steps of a sequence.
type Masks = [Tensor; GATES];

/// Computes the convolution for all gates, each of which sees what its mask leaves.
fn of_gates(
    x: &Tensor,
    kernel: &Tensor,
    masks: Option<&Masks>,
    conv: &dyn Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let Some(masks) = masks else { return conv(x, kernel) };
    let filters = kernel.dims().last().copied().unwrap_or(0) / GATES;
    let one = |i: usize| {
        // In a sequence, the axis of time follows the batch.
        let mask = if x.rank() > masks[i].rank() { masks[i].expand_dims(1)? } else { masks[i].clone() };
        conv(&x.mul(&mask)?, &part(kernel, filters, i)?)
    };
    Tensor::concat(&[&one(0)?, &one(1)?, &one(2)?, &one(3)?], -1)
}

/// Dropout of the values that gates see.
#[derive(Clone, Debug)]
struct Drop {
    rate: f64,
    key: Key,
}
crate::parts!(group Drop { key });

impl Drop {
    /// Makes it for this rate, or `None` if the rate is 0.
    fn new(setting: &'static str, rate: f64, init: &mut Init) -> Result<Option<Drop>> {
        checks::rate(setting, rate)?;
        Ok(if rate > 0.0 { Some(Drop { rate, key: init.key() }) } else { None })
    }

    /// Draws masks for inputs of this shape at each time step; `None` in inference.
    fn masks(&self, step: &Tensor, cx: &mut Cx) -> Result<Option<Masks>> {
        if !cx.is_training() {
            return Ok(None);
        }
        let ones = step.new_full(*step.shape(), 1.0)?;
        let mut mask = || ones.dropout(self.rate, cx.stream(&self.key));
        Ok(Some([mask()?, mask()?, mask()?, mask()?]))
    }
}

/// Declares the layer for a number of spatial axes.
macro_rules! conv_lstm {
    ($(#[$doc:meta])* $type:ident, $axes:literal) => {
        recurrent! {
            $(#[$doc])*
            ///
            /// ```text
            /// i, f, o = σ(conv(x, kernel) + conv(h, recurrent_kernel) + bias), each of its part
            /// c' = f·c + i·tanh(conv(x, kernel) + conv(h, recurrent_kernel) + bias),   h' = o·tanh(c')
            /// ```
            ///
            /// Kernels `[kernel_size…, channels, 4·filters]` and `[kernel_size…, filters, 4·filters]`, Glorot
            /// uniform and orthogonal; bias `[4·filters]`, ones for f and zeros for the others (Keras's defaults).
            /// The convolution of states has stride 1 and keeps their sizes. The initial states h and c are zeros,
            /// or given after the sequence or by the name `initial_state`.
            pub layer $type {
                /// Creates a layer of `filters` output channels whose kernels read `kernel_size` elements along
                /// each axis.
                new(filters: usize, kernel_size: into Sizes<$axes>);

                /// Step of the kernel along each axis. Default: `1`. Only one of `strides` and `dilation_rate` may
                /// be above 1.
                strides: into Sizes<$axes> = 1,
                /// - `Valid`: none.
                /// - `Same`: zeros at both ends, so that there are `⌈n / strides⌉` outputs.
                ///
                /// Default: `Valid`.
                padding: named Padding = Padding::Valid,
                /// The position of the channels. Default: last.
                data_format: named DataFormat = DataFormat::ChannelsLast,
                /// Distance between the elements that the kernel reads. Default: `1`.
                dilation_rate: into Sizes<$axes> = 1,
                /// g: the function of the candidate and of the cell. Default: `Tanh`.
                activation: into Dyn<dyn Activation> = Tanh,
                /// σ: the function of the gates. Default: sigmoid.
                recurrent_activation: into Dyn<dyn Activation> = Sigmoid,
                /// Whether there is a bias. Default: `true`.
                use_bias: bool = true,
                /// Initializer of the kernel. Default: `GlorotUniform`.
                kernel_initializer: into Dyn<dyn Initializer> = GlorotUniform,
                /// Initializer of the recurrent kernel. Default: `Orthogonal`.
                recurrent_initializer: into Dyn<dyn Initializer> = Orthogonal::default(),
                /// Initializer of the bias. Default: `Zeros`.
                bias_initializer: into Dyn<dyn Initializer> = Zeros,
                /// Whether the bias of the forget gate begins at 1 whatever `bias_initializer` says. Default: `true`.
                unit_forget_bias: bool = true,
                /// Regularizer of the kernel. Default: none.
                kernel_regularizer: some into Dyn<dyn Regularizer>,
                /// Regularizer of the recurrent kernel. Default: none.
                recurrent_regularizer: some into Dyn<dyn Regularizer>,
                /// Regularizer of the bias. Default: none.
                bias_regularizer: some into Dyn<dyn Regularizer>,
                /// Constraint on the kernel. Default: none.
                kernel_constraint: some into Dyn<dyn Constraint>,
                /// Constraint on the recurrent kernel. Default: none.
                recurrent_constraint: some into Dyn<dyn Constraint>,
                /// Constraint on the bias. Default: none.
                bias_constraint: some into Dyn<dyn Constraint>,
                /// Dropout rate of the inputs; each gate has its own mask, the same at all time steps. Default:
                /// `0`.
                dropout: f64 = 0.0,
                /// Dropout rate of h; each gate has its own mask, the same at all time steps. Default: `0`.
                recurrent_dropout: f64 = 0.0,
            }
        }

        impl Build for $type {
            fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
                positive("filters", self.filters)?;
                plain_padding(&self.padding)?;
                let how = sliding(&self.kernel_size, &self.strides, &self.padding, &self.dilation_rate)?;
                not_both(&self.strides, &self.dilation_rate)?;
                let channels = channels_of_steps(stringify!($type), inputs.at(0)?, $axes, self.data_format)?;
                let Some(gates) = self.filters.checked_mul(GATES) else {
                    return Err(Error::argument("filters", "a number that can be multiplied by 4", self.filters));
                };
                let shape = |channels: usize| [&self.kernel_size.0[..], &[channels, gates]].concat();
                fits("filters, kernel_size", &shape(channels.max(self.filters)))?;
                let kernel = init.weight(
                    shape(channels),
                    &self.kernel_initializer,
                    &self.kernel_regularizer,
                    &self.kernel_constraint,
                )?;
                let recurrent_kernel = init.weight(
                    shape(self.filters),
                    &self.recurrent_initializer,
                    &self.recurrent_regularizer,
                    &self.recurrent_constraint,
                )?;
                let of_bias = match self.unit_forget_bias {
                    true => UnitForgetBias(self.bias_initializer.clone()).into(),
                    false => self.bias_initializer.clone(),
                };
                let bias = init.weight_if(self.use_bias, [gates], &of_bias, &self.bias_regularizer, &self.bias_constraint)?;
                let cell = ConvLSTMCell {
                    kernel,
                    recurrent_kernel,
                    bias,
                    filters: self.filters,
                    how: how.winograd(false),
                    activation: self.activation.clone(),
                    recurrent_activation: self.recurrent_activation.clone(),
                    dropout: Drop::new("dropout", self.dropout, init)?,
                    recurrent_dropout: Drop::new("recurrent_dropout", self.recurrent_dropout, init)?,
                };
                let sequence =
                    Sequence::new(stringify!($type), self.recurrence(), &self.activity_regularizer, 2, init);
                Ok(Box::new(ConvLSTMNode { cell, sequence, data_format: self.data_format }))
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
    };
}

/// Returns the channels of sequences of images with this many spatial axes.
fn channels_of_steps(layer: &'static str, input: Spec, axes: usize, format: DataFormat) -> Result<usize> {
    match input.shape.dims() {
        [batch, _, step @ ..] if step.len() == axes + 1 => {
            let step = Shape::new(&[&[*batch], step].concat())?;
            channels(layer, Spec::new(step, input.dtype), axes, format)
        }
        _ => {
            let expected = format!("sequences of images, with {} axes in all", axes + 3);
            Err(Error::shape(layer, expected, input.shape))
        }
    }
}

conv_lstm! {
    /// An LSTM with convolutions along one axis: `[batch, time, steps, channels]` becomes
    /// `[batch, new_steps, filters]`, or with `return_sequences` `[batch, time, new_steps, filters]`.
    ConvLSTM1D, 1
}
conv_lstm! {
    /// An LSTM with convolutions over images: `[batch, time, height, width, channels]` becomes
    /// `[batch, new_height, new_width, filters]`, or with `return_sequences`
    /// `[batch, time, new_height, new_width, filters]`.
    ConvLSTM2D, 2
}
conv_lstm! {
    /// An LSTM with convolutions over volumes: `[batch, time, depth, height, width, channels]` becomes
    /// `[batch, new_depth, new_height, new_width, filters]`, or with `return_sequences`
    /// `[batch, time, new_depth, new_height, new_width, filters]`.
    ConvLSTM3D, 3
}
