//! Why it exists: from a description to a model. Everything that can be wrong without data is found here, and the loss
//! is joined with the last activation where that is exact.

use super::model::{Head, Model};
use crate::config::Dyn;
use crate::error::Context;
use crate::loss::Loss;
use crate::metric::IntoMetrics;
use crate::nn::activation::Activation;
use crate::nn::layers::Input;
use crate::nn::{Cx, Init, Layer, Param, Params, Path, Row, Sequential, Stack};
use crate::optim::{Driver, Optimizer};
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, Result};
use std::sync::Arc;

/// Whatever `compile` takes as loss: one, or an array with one for each output.
pub trait IntoLosses {
    /// The list.
    fn into_losses(self) -> Vec<Dyn<dyn Loss>>;
}
impl<L: Into<Dyn<dyn Loss>>> IntoLosses for L {
    fn into_losses(self) -> Vec<Dyn<dyn Loss>> {
        vec![self.into()]
    }
}
impl<const N: usize> IntoLosses for [Dyn<dyn Loss>; N] {
    fn into_losses(self) -> Vec<Dyn<dyn Loss>> {
        self.into()
    }
}

/// A stack as a network of one input and one output.
#[derive(Clone, Debug)]
pub(crate) struct Single(pub(crate) Stack);

impl Params for Single {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&Path, &Param)) {
        self.0.visit(at, f);
    }
    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, &mut Param)) {
        self.0.visit_mut(at, f);
    }
}

impl Layer<[Tensor], Vec<Tensor>> for Single {
    fn forward(&self, x: &[Tensor], cx: &mut Cx) -> Result<Vec<Tensor>> {
        Ok(vec![self.0.forward(&x[0], cx)?])
    }
    fn output_activation(&self) -> Option<&dyn Activation> {
        self.0.output_activation()
    }
    fn forward_logits(&self, x: &[Tensor], cx: &mut Cx) -> Result<Vec<Tensor>> {
        Ok(vec![self.0.forward_logits(&x[0], cx)?])
    }
    fn rows(&self) -> Vec<Row> {
        self.0.rows()
    }
}

/// A network of any shape: a layer of your own that takes and gives several tensors. (What subclassing `Model` is in
/// Keras.)
#[derive(Debug)]
pub struct Network<L> {
    name: String,
    inputs: Vec<Input>,
    layer: L,
    dtype: DType,
    seed: u64,
}

impl<L: Layer<[Tensor], Vec<Tensor>> + 'static> Network<L> {
    /// A network with these inputs. `make` creates the layer and its parameters.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn new<const N: usize>(
        inputs: [Input; N],
        seed: u64,
        make: impl FnOnce(&mut Init) -> Result<L>,
    ) -> Result<Self> {
        let dtype = DType::F32;
        let layer = make(&mut Init::new(seed, dtype))?;
        Ok(Network { name: "network".into(), inputs: inputs.into(), layer, dtype, seed })
    }

    /// Checks all shapes and makes a model. One loss for each output.
    ///
    /// # Errors
    /// Shapes do not fit, or the number of losses is not that of outputs.
    pub fn compile(
        self,
        optimizer: impl Optimizer + 'static,
        losses: impl IntoLosses,
        metrics: impl IntoMetrics,
    ) -> Result<Model> {
        let driver = Driver::new(optimizer);
        let parts =
            Parts { description: None, name: self.name, net: Box::new(self.layer), inputs: self.inputs };
        assemble(parts, self.dtype, self.seed, driver, losses.into_losses(), metrics.into_metrics())
    }
}

impl Sequential {
    /// Checks all shapes, draws the initial parameters, and makes a model.
    ///
    /// If the last activation is a softmax and the loss its cross-entropy on probabilities, training and evaluation use the
    /// exact loss on logits; metrics and `predict` see probabilities all the same.
    ///
    /// # Errors
    /// A layer does not fit the one before it (the message names it), or a setting is out of range.
    pub fn compile(
        self,
        optimizer: impl Optimizer + 'static,
        loss: impl IntoLosses,
        metrics: impl IntoMetrics,
    ) -> Result<Model> {
        compile_sequential(self, Driver::new(optimizer), loss.into_losses(), metrics.into_metrics())
    }
}

pub(crate) fn compile_sequential(
    description: Sequential,
    driver: Driver,
    losses: Vec<Dyn<dyn Loss>>,
    metrics: Vec<Box<dyn crate::metric::Metric>>,
) -> Result<Model> {
    let init = Init::new(description.seed_value(), description.dtype_value());
    compile_with(description, init, driver, losses, metrics)
}

/// Compiles with parameters made by `init`: drawn, or for a file's reader only planned.
pub(crate) fn compile_with(
    description: Sequential,
    mut init: Init,
    driver: Driver,
    losses: Vec<Dyn<dyn Loss>>,
    metrics: Vec<Box<dyn crate::metric::Metric>>,
) -> Result<Model> {
    let (seed, dtype) = (description.seed_value(), description.dtype_value());
    if !dtype.is_float() {
        return Err(Error::DType { op: "Sequential", expected: "float32 or float64", got: dtype });
    }
    let input = description.input()?;
    let stack = description.stack(input.spec(dtype)?, &mut init)?;
    let name = stack.name().to_string();
    let parts = Parts {
        description: Some(Arc::new(description)),
        name,
        net: Box::new(Single(stack)),
        inputs: vec![input],
    };
    assemble(parts, dtype, seed, driver, losses, metrics)
}

struct Parts {
    description: Option<Arc<Sequential>>,
    name: String,
    net: Box<dyn Layer<[Tensor], Vec<Tensor>>>,
    inputs: Vec<Input>,
}

fn assemble(
    parts: Parts,
    dtype: DType,
    seed: u64,
    driver: Driver,
    losses: Vec<Dyn<dyn Loss>>,
    metrics: Vec<Box<dyn crate::metric::Metric>>,
) -> Result<Model> {
    let rate = driver.learning_rate();
    if !(rate.is_finite() && rate >= 0.0) {
        return Err(Error::argument("learning_rate", "a finite number of 0 or more", rate));
    }
    let traced = |i: &Input| Ok(Tensor::from(Array::traced(i.spec(dtype)?)));
    let inputs: Vec<Tensor> = parts.inputs.iter().map(traced).collect::<Result<_>>()?;
    let outputs =
        parts.net.forward(&inputs, &mut Cx::infer()).at(|| format!("compiling '{}'", parts.name))?;
    if outputs.len() != losses.len() {
        let expected = format!("one for each of the {} outputs", outputs.len());
        return Err(Error::argument("losses", expected, losses.len()));
    }
    let fused = match (parts.net.output_activation(), &losses[..]) {
        (Some(activation), [loss]) => loss.on_logits(activation),
        _ => None,
    };
    let outputs = outputs.iter().map(Tensor::spec).collect();
    let head = Head { losses, fused, metrics: vec![metrics; 1] };
    Ok(Model::new(parts.description, parts.name, parts.net, parts.inputs, outputs, head, driver, dtype, seed))
}
