//! Why it exists: the plain stack of layers, first as descriptions ([`Sequential`]), then, shapes known, as a network
//! ([`Stack`]). Shapes are found by running the layers on tensors without values, so no layer declares them twice.

use super::activation::Activation;
use super::layers::Input;
use super::{Build, Cx, Init, Layer, Param, Params, Path, snake_case};
use crate::config::{Configured, describe, described};
use crate::error::Context;
use crate::shape::UNKNOWN;
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, MAX_RANK, Result, Shape, Spec};
use std::sync::Arc;

/// A stack of layers, described from input to output. `compile` makes it a model.
#[derive(Clone, Debug)]
pub struct Sequential {
    layers: Vec<Arc<dyn Build>>,
    name: Option<String>,
    seed: u64,
    dtype: DType,
}

impl Default for Sequential {
    fn default() -> Self {
        Sequential::new()
    }
}

impl Sequential {
    /// An empty stack.
    pub fn new() -> Sequential {
        Sequential { layers: Vec::new(), name: None, seed: 0, dtype: DType::F32 }
    }

    /// Adds a layer. The first one is an [`Input`].
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "Keras's name for it")]
    pub fn add(mut self, layer: impl Build + 'static) -> Sequential {
        self.layers.push(Arc::new(layer));
        self
    }

    /// Names it; `sequential` otherwise.
    #[must_use]
    pub fn name(mut self, name: &str) -> Sequential {
        self.name = Some(name.into());
        self
    }

    /// The seed of everything random: initial values, order of rows, dropout. 0 by default; the same seed gives the same
    /// bytes.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Sequential {
        self.seed = seed;
        self
    }

    /// The dtype of parameters and arithmetic, float32 by default.
    #[must_use]
    pub fn dtype(mut self, dtype: DType) -> Sequential {
        self.dtype = dtype;
        self
    }

    pub(crate) fn seed_value(&self) -> u64 {
        self.seed
    }

    pub(crate) fn dtype_value(&self) -> DType {
        self.dtype
    }

    /// The input that the stack begins with.
    pub(crate) fn input(&self) -> Result<Input> {
        let first = self.layers.first();
        first.and_then(|l| l.input()).cloned().ok_or_else(|| {
            let got = first.map_or("no layers".to_string(), |l| l.class_name().to_string());
            Error::argument("Sequential", "Input::new(shape) as the first layer", got)
        })
    }

    /// Makes the layers for this input.
    pub(crate) fn stack(&self, input: Spec, init: &mut Init) -> Result<Stack> {
        let mut layers: Vec<Named> = Vec::new();
        let mut x: Tensor = Array::traced(input).into();
        let mut cx = Cx::infer();
        for (i, build) in self.layers.iter().enumerate() {
            if let Some(declared) = build.input() {
                if i > 0 {
                    return Err(Error::argument(
                        "Sequential",
                        "Input only as the first layer",
                        format!("one at {i}"),
                    ));
                }
                declared.accepts(input)?;
                continue;
            }
            let name = unique_name(build.as_ref(), &layers)?;
            let number = layers.len() + 1;
            let place = || format!("layer '{name}' ({}, number {number})", build.class_name());
            let layer =
                init.with_trainable(build.trainable(), |init| build.build(x.spec(), init)).at(place)?;
            x = layer.forward(&x, &mut cx).at(place)?;
            layers.push(Named { name, build: build.clone(), layer, output: x.spec() });
        }
        if layers.is_empty() {
            return Err(Error::argument("Sequential", "at least one layer after the Input", "none"));
        }
        Ok(Stack { layers, name: self.name.clone().unwrap_or_else(|| "sequential".into()) })
    }

    /// The description as data, for files.
    pub(crate) fn to_config(&self) -> Result<serde_json::Value> {
        let layers: Vec<_> = self.layers.iter().map(|l| describe(l.as_ref())).collect::<Result<_>>()?;
        let (name, dtype) = (&self.name, self.dtype.name());
        Ok(serde_json::json!({ "name": name, "seed": self.seed, "dtype": dtype, "layers": layers }))
    }

    /// The inverse of [`Sequential::to_config`].
    pub(crate) fn from_json(config: &serde_json::Value) -> Result<Sequential> {
        let bad = |why: &str| Error::format("Sequential", why.to_string());
        let mut out = Sequential::new();
        out.name = config.get("name").and_then(|n| n.as_str()).map(str::to_string);
        out.seed = config.get("seed").and_then(|s| s.as_u64()).unwrap_or(0);
        let dtype = config.get("dtype").and_then(|d| d.as_str()).unwrap_or("float32");
        out.dtype = DType::ALL.into_iter().find(|d| d.name() == dtype).ok_or_else(|| bad("unknown dtype"))?;
        for layer in
            config.get("layers").and_then(|l| l.as_array()).ok_or_else(|| bad("expected a list of layers"))?
        {
            let (class, config) = described("layer", layer)?;
            out.layers.push(super::layers::from_config(&class, config)?);
        }
        Ok(out)
    }
}

/// The user's name, which must be new, or one made from the class as Keras does: `dense`, `dense_1`, …
fn unique_name(build: &dyn Build, layers: &[Named]) -> Result<String> {
    let taken = |name: &str| layers.iter().any(|l| l.name == name);
    if let Some(name) = build.name() {
        if taken(name) || name.is_empty() || name.contains('/') {
            return Err(Error::argument(
                "layer name",
                "names that are unique, not empty and without '/'",
                format!("'{name}'"),
            ));
        }
        return Ok(name.into());
    }
    let base = snake_case(build.class_name());
    let numbered = |i: usize| if i == 0 { base.clone() } else { format!("{base}_{i}") };
    Ok((0..).map(numbered).find(|n| !taken(n)).unwrap_or(base))
}

/// A stack inside of another.
impl Build for Sequential {
    fn build(&self, input: Spec, init: &mut Init) -> Result<Box<dyn Layer>> {
        Ok(Box::new(self.stack(input, init)?))
    }
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl Configured for Sequential {
    fn config(&self) -> Option<serde_json::Value> {
        self.to_config().ok()
    }
}

#[derive(Clone, Debug)]
struct Named {
    name: String,
    build: Arc<dyn Build>,
    layer: Box<dyn Layer>,
    output: Spec,
}

/// A line of `summary`: a layer's name, class, output shape and number of parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The layer's name.
    pub name: String,
    /// Its class.
    pub class: &'static str,
    /// The shape of its output; sizes not known yet print as `None`.
    pub output: Shape,
    /// How many numbers its parameters hold.
    pub params: usize,
}

/// A stack of layers that know their shapes.
#[derive(Clone, Debug)]
pub struct Stack {
    name: String,
    layers: Vec<Named>,
}

impl Stack {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs the layers; the last one without its output activation if `logits`.
    fn run(&self, x: &Tensor, cx: &mut Cx, logits: bool) -> Result<Tensor> {
        let mut x = x.clone();
        for (i, named) in self.layers.iter().enumerate() {
            let last = logits && i + 1 == self.layers.len();
            let y = if last { named.layer.forward_logits(&x, cx) } else { named.layer.forward(&x, cx) };
            x =
                y.at(|| format!("layer '{}' ({}, number {})", named.name, named.build.class_name(), i + 1))?;
        }
        Ok(x)
    }
}

impl Layer for Stack {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        self.run(x, cx, false)
    }
    fn output_activation(&self) -> Option<&dyn Activation> {
        self.layers.last()?.layer.output_activation()
    }
    fn forward_logits(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        self.run(x, cx, true)
    }
    fn rows(&self) -> Vec<Row> {
        let row = |l: &Named| {
            let mut params = 0;
            l.layer.visit(&mut Path::default(), &mut |_, p| params += p.value().elements());
            Row { name: l.name.clone(), class: l.build.class_name(), output: l.output.shape, params }
        };
        self.layers.iter().map(row).collect()
    }
}

impl Params for Stack {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&Path, &Param)) {
        for l in &self.layers {
            at.inside(&l.name, |at| l.layer.visit(at, f));
        }
    }
    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, &mut Param)) {
        for l in &mut self.layers {
            at.inside(&l.name, |at| l.layer.visit_mut(at, f));
        }
    }
}

impl Input {
    /// The spec with stand-ins for the unknown sizes, the batch first.
    pub(crate) fn spec(&self, dtype: DType) -> Result<Spec> {
        let unknown = self.dims().iter().filter(|d| d.is_none()).count();
        if self.dims().len() >= MAX_RANK || unknown >= UNKNOWN.len() {
            let expected = format!("at most {} sizes, {} of them unknown", MAX_RANK - 1, UNKNOWN.len() - 1);
            return Err(Error::argument("Input", expected, format!("{:?}", self.dims())));
        }
        let mut sizes = vec![UNKNOWN[0]];
        let mut next = UNKNOWN[1..].iter().copied();
        for d in self.dims() {
            sizes.push(match d {
                Some(d) => *d,
                None => next.next().unwrap_or(UNKNOWN[0]),
            });
        }
        Ok(Spec::new(Shape::new(&sizes)?, self.dtype_value().unwrap_or(dtype)))
    }

    /// Whether data of this shape (with batch) fits.
    pub(crate) fn accepts(&self, got: Spec) -> Result<()> {
        let fits = got.shape.rank() == self.dims().len() + 1
            && self
                .dims()
                .iter()
                .zip(&got.shape.dims()[1..])
                .all(|(want, &got)| want.is_none_or(|w| w == got));
        if fits { Ok(()) } else { Err(Error::shape("Input", format!("{self}"), got.shape)) }
    }
}
