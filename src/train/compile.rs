//! Why it exists: from a description to a model. Everything that can be wrong without data is found here, and the loss
//! is joined with the last activation where that is exact.

use super::data::Tensors;
use super::head::Head;
use super::model::Model;
use crate::config::Dyn;
use crate::error::Context;
use crate::loss::Loss;
use crate::metric::{ByOutput, IntoMetrics};
use crate::nn::activation::Activation;
use crate::nn::layers::Input;
use crate::nn::{Cx, Init, Layer, Param, Params, Path, Row, Sequential, Stack};
use crate::optim::{Driver, Optimizer};
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, Result};
use smallvec::smallvec;
use std::sync::Arc;

/// Whatever `compile` takes as loss: one, or for a network with several outputs an array or a tuple (of up to 8 different ones)
/// with one for each.
pub trait IntoLosses {
    /// The list.
    fn into_losses(self) -> Vec<Dyn<dyn Loss>>;
}
impl<L: Into<Dyn<dyn Loss>>> IntoLosses for L {
    fn into_losses(self) -> Vec<Dyn<dyn Loss>> {
        vec![self.into()]
    }
}
impl<L: Into<Dyn<dyn Loss>>, const N: usize> IntoLosses for [L; N] {
    fn into_losses(self) -> Vec<Dyn<dyn Loss>> {
        self.map(Into::into).into()
    }
}
macro_rules! tuples {
    ($($($type:ident $field:tt),+;)*) => {$(
        impl<$($type: Into<Dyn<dyn Loss>>),+> IntoLosses for ($($type,)+) {
            fn into_losses(self) -> Vec<Dyn<dyn Loss>> {
                vec![$(self.$field.into()),+]
            }
        }
    )*};
}
tuples! {
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
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

impl Layer<[Tensor], Tensors> for Single {
    fn forward(&self, x: &[Tensor], cx: &mut Cx) -> Result<Tensors> {
        Ok(smallvec![self.0.forward(&x[0], cx)?])
    }
    fn output_activation(&self) -> Option<&dyn Activation> {
        self.0.output_activation()
    }
    fn forward_logits(&self, x: &[Tensor], cx: &mut Cx) -> Result<Tensors> {
        Ok(smallvec![self.0.forward_logits(&x[0], cx)?])
    }
    fn rows(&self) -> Vec<Row> {
        self.0.rows()
    }
}

/// A layer of the user's as models hold it.
#[derive(Clone, Debug)]
struct Several<L>(L);

impl<L: Params> Params for Several<L> {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&Path, &Param)) {
        self.0.visit(at, f);
    }
    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, &mut Param)) {
        self.0.visit_mut(at, f);
    }
}

impl<L: Layer<[Tensor], Vec<Tensor>> + Clone + 'static> Layer<[Tensor], Tensors> for Several<L> {
    fn forward(&self, x: &[Tensor], cx: &mut Cx) -> Result<Tensors> {
        Ok(self.0.forward(x, cx)?.into())
    }
    fn output_activation(&self) -> Option<&dyn Activation> {
        self.0.output_activation()
    }
    fn forward_logits(&self, x: &[Tensor], cx: &mut Cx) -> Result<Tensors> {
        Ok(self.0.forward_logits(x, cx)?.into())
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
    outputs: Vec<String>,
    layer: L,
    dtype: DType,
    seed: u64,
}

impl<L: Layer<[Tensor], Vec<Tensor>> + Clone + 'static> Network<L> {
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
        Ok(Network { name: "network".into(), inputs: inputs.into(), outputs: Vec::new(), layer, dtype, seed })
    }

    /// Names the outputs: their figures are then `digit_loss`, `digit_accuracy` and so on; `output_1`, `output_2`, … by
    /// default.
    #[must_use]
    pub fn outputs<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.outputs = names.into_iter().map(Into::into).collect();
        self
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
        let parts = Parts {
            description: None,
            name: self.name,
            net: Box::new(Several(self.layer)),
            inputs: self.inputs,
            outputs: self.outputs,
        };
        assemble(parts, self.dtype, self.seed, driver, losses.into_losses(), metrics.by_output())
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
        compile_sequential(self, Driver::new(optimizer), loss.into_losses(), metrics.by_output())
    }
}

pub(crate) fn compile_sequential(
    description: Sequential,
    driver: Driver,
    losses: Vec<Dyn<dyn Loss>>,
    metrics: ByOutput,
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
    metrics: ByOutput,
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
        outputs: Vec::new(),
    };
    assemble(parts, dtype, seed, driver, losses, metrics)
}

struct Parts {
    description: Option<Arc<Sequential>>,
    name: String,
    net: Box<dyn Layer<[Tensor], Tensors>>,
    inputs: Vec<Input>,
    /// Their names, if they have any.
    outputs: Vec<String>,
}

fn assemble(
    parts: Parts,
    dtype: DType,
    seed: u64,
    driver: Driver,
    losses: Vec<Dyn<dyn Loss>>,
    metrics: ByOutput,
) -> Result<Model> {
    driver.check()?;
    let traced = |i: &Input| Ok(Tensor::from(Array::traced(i.spec(dtype)?)));
    let inputs: Vec<Tensor> = parts.inputs.iter().map(traced).collect::<Result<_>>()?;
    let outputs =
        parts.net.forward(&inputs, &mut Cx::infer()).at(|| format!("compiling '{}'", parts.name))?;
    let names = match parts.outputs.len() {
        0 => (1..=outputs.len()).map(|i| format!("output_{i}")).collect(),
        n if n == outputs.len() => parts.outputs,
        n => {
            return Err(Error::argument(
                "outputs",
                format!("a name for each of {} outputs", outputs.len()),
                n,
            ));
        }
    };
    if let Some((_, twice)) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        return Err(Error::argument("outputs", "names that are unique", format!("'{twice}' twice")));
    }
    let head = Head::new(&names, losses, metrics, parts.net.output_activation())?;
    let outputs = outputs.iter().map(Tensor::spec).collect();
    Ok(Model::new(parts.description, parts.name, parts.net, parts.inputs, outputs, head, driver, dtype, seed))
}
