//! `TimeDistributed`: one layer for every time step of a sequence, `y[:, t] = layer(x[:, t])`.

use super::recurrence::step_specs;
use crate::config::Dyn;
use crate::nn::activation::Activation;
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Node, Range, Value, Values, build_inside, single};
use crate::tensor::{Few, PoolVec, Tensor};
use crate::{Error, MAX_RANK, Result};

crate::settings! {
    /// `y[:, t] = layer(x[:, t])`: calls a layer with each time step of `[batch, time, …]` separately, with the
    /// same weights.
    ///
    /// With a mask `[batch, time]`, the output has the same mask; the layer itself sees none, except
    /// `BatchNormalization`, whose statistics leave out the rows of a step that do not count. A mask of more axes,
    /// `[batch, time, …]`, is passed to the layer at each step: the mask of the output is what the layer makes of
    /// it, or `[batch, time]` if the layer uses the mask up, true for each step in which something counts.
    ///
    /// A layer that draws random numbers draws at each time step, and statistics are updated at each.
    ///
    /// In inference a layer that is [row-wise](crate::nn::Node::is_row_wise) is called once, with the time steps of all sequences as rows:
    /// the same numbers without a loop, so that an export leaves the length open.
    pub layer TimeDistributed {
        /// Creates the wrapper of this layer.
        new(layer: into Dyn<dyn Build>);

    }
}

impl Build for TimeDistributed {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let specs = step_specs("TimeDistributed", single(inputs)?, &[])?;
        Ok(Box::new(TimeDistributedNode { layer: build_inside(&*self.layer, &specs[..].into(), init)? }))
    }
}

/// The layer.
#[derive(Clone, Debug)]
struct TimeDistributedNode {
    layer: Box<dyn Node>,
}
crate::parts!(TimeDistributedNode { layer });

impl TimeDistributedNode {
    /// Calls the layer once: `[batch, time, …]` becomes `[batch·time, …]`, and back.
    fn call_at_once(&self, x: &Value, own: Option<&Tensor>, cx: &mut Cx, raw: &[bool]) -> Result<Values> {
        let time = x.tensor.dims()[1] as isize;
        let mut mask = own.map(|mask| mask.merge_axes(0, 1)).transpose()?;
        if let (Some(rows), Some([_, _])) = (&mut mask, own.map(Tensor::dims)) {
            *rows = as_row_mask(rows, x.tensor.rank())?;
        }
        let rows = [Value::masked(x.tensor.merge_axes(0, 1)?, mask)];
        let values = self.layer.call_raw(Inputs::new(&rows), cx, raw)?;
        let apart = |t: &Tensor| t.split_axis(0, &[-1, time]);
        let apart = |value: &Value| {
            let mask = match (&x.mask, &value.mask) {
                (Some(mask), Some(of_steps)) if mask.rank() > 2 => Some(apart(of_steps)?),
                (Some(mask), None) if mask.rank() > 2 => Some(steps_that_count(mask)?),
                (mask, _) => (*mask).clone(),
            };
            Ok(Value::masked(apart(&value.tensor)?, mask))
        };
        values.iter().map(apart).collect()
    }
}

/// A mask of rows with as many axes as the layer takes, one less than a time step of a tensor of this rank has.
fn as_row_mask(rows: &Tensor, rank: usize) -> Result<Tensor> {
    let mut mask = rows.clone();
    while mask.rank() + 2 < rank {
        mask = mask.expand_dims(-1)?;
    }
    Ok(mask)
}

/// Of a mask `[batch, time, …]`, the steps in which something counts.
fn steps_that_count(mask: &Tensor) -> Result<Tensor> {
    mask.any(&(2..mask.rank() as isize).collect::<Few<_, MAX_RANK>>(), false)
}

impl Node for TimeDistributedNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        self.call_raw(x, cx, &[])
    }
    fn call_raw(&self, x: Inputs<'_>, cx: &mut Cx, raw: &[bool]) -> Result<Values> {
        let x = x.single()?;
        let time = x.tensor.dims().get(1).copied().unwrap_or(0) as isize;
        let own = x.mask.as_ref().filter(|mask| mask.rank() > 2 || self.layer.takes_row_mask());
        if time > 0 && !cx.is_training() && self.layer.is_row_wise() {
            return self.call_at_once(x, own, cx, raw);
        }
        let call = |t: isize| {
            let mut mask = own.map(|mask| mask.select(1, t)).transpose()?;
            if let (Some(rows), Some([_, _])) = (&mut mask, own.map(Tensor::dims)) {
                *rows = as_row_mask(rows, x.tensor.rank())?;
            }
            let step = [Value::masked(x.tensor.select(1, t)?, mask)];
            self.layer.call_raw(Inputs::new(&step), cx, raw)
        };
        let steps: PoolVec<Values> = (0..time).map(call).collect::<Result<_>>()?;
        let Some(first) = steps.first() else {
            let expected = "sequences [batch, time, …] of at least one step";
            return Err(Error::shape("TimeDistributed", expected, *x.tensor.shape()));
        };
        let together = |i: usize| {
            let values: PoolVec<&Value> = steps.iter().filter_map(|values| values.get(i)).collect();
            let tensors: PoolVec<&Tensor> = values.iter().map(|value| &value.tensor).collect();
            let masks: PoolVec<&Tensor> = values.iter().filter_map(|value| value.mask.as_ref()).collect();
            let mask = match &x.mask {
                Some(mask) if mask.rank() > 2 => Some(match masks.len() == steps.len() {
                    true => Tensor::stack(&masks, 1)?,
                    false => steps_that_count(mask)?,
                }),
                mask => mask.clone(),
            };
            Ok(Value::masked(Tensor::stack(&tensors, 1)?, mask))
        };
        (0..first.len()).map(together).collect()
    }
    fn output_activation(&self, output: usize) -> Option<&dyn Activation> {
        self.layer.output_activation(output)
    }
    fn class_name(&self) -> &'static str {
        "TimeDistributed"
    }
    fn output_range(&self, output: usize, inputs: &[Option<Range>]) -> Option<Range> {
        self.layer.output_range(output, inputs)
    }
}
