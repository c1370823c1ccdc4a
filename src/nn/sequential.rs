//! Why it exists: the plain stack of layers, first as descriptions ([`Sequential`]), then, shapes known, as a network
//! ([`Stack`]). Shapes are found by running the layers on tensors without values, so no layer declares them twice.

use super::activation::Activation;
use super::layers::Input;
use super::{Build, Cx, Init, Layer, Param, Params, Path, snake_case};
use crate::config::generated::{Reader, Value};
use crate::config::{Configured, Described, Dyn, Registry, describe};
use crate::error::Context;
use crate::shape::{UNKNOWN, is_unknown};
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, MAX_RANK, Result, Shape, Spec};
use std::collections::{BTreeMap, BTreeSet};
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
        let mut names = Names::default();
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
            let name = names.unique(build.as_ref())?;
            let number = layers.len() + 1;
            let place = || format!("layer '{name}' ({}, number {number})", build.class_name());
            let layer =
                init.with_trainable(build.trainable(), |init| build.build(x.spec(), init)).at(place)?;
            x = layer.forward(&x, &mut cx).at(place)?;
            within_reason(&x.spec().shape).at(place)?;
            layers.push(Named { name, build: build.clone(), layer, output: x.spec() });
        }
        if layers.is_empty() {
            return Err(Error::argument("Sequential", "at least one layer after the Input", "none"));
        }
        Ok(Stack { layers, name: self.name.clone().unwrap_or_else(|| "sequential".into()) })
    }
}

/// By hand: layers are a list of any kind.
impl Configured for Sequential {
    fn config(&self) -> Result<Value> {
        let layers: Vec<_> = self.layers.iter().map(|l| describe(l.as_ref())).collect::<Result<_>>()?;
        let (name, dtype) = (&self.name, self.dtype.name());
        Ok(serde_json::json!({ "name": name, "seed": self.seed, "dtype": dtype, "layers": layers }))
    }
}
impl Described for Sequential {
    const NAME: &'static str = "Sequential";
    fn from_config(config: Value, registry: &Registry) -> Result<Self> {
        let keys = ["name", "seed", "dtype", "layers"];
        let mut from = Reader::open("Sequential", &keys, config, registry)?;
        let layers: Vec<Dyn<dyn Build>> = from.required("layers")?;
        Ok(Sequential {
            layers: layers.into_iter().map(|layer| layer.0).collect(),
            name: from.optional("name")?.flatten(),
            seed: from.required("seed")?,
            dtype: from.required("dtype")?,
        })
    }
}

/// The names of a stack's layers.
#[derive(Default)]
struct Names {
    taken: BTreeSet<String>,
    /// For each class the first number that may be free.
    next: BTreeMap<String, usize>,
}

impl Names {
    /// The user's name, which must be new, or one made from the class as Keras does: `dense`, `dense_1`, …
    fn unique(&mut self, build: &dyn Build) -> Result<String> {
        if let Some(name) = build.name() {
            if name.is_empty() || name.contains('/') || !self.taken.insert(name.into()) {
                let expected = "names that are unique, not empty and without '/'";
                return Err(Error::argument("layer name", expected, format!("'{name}'")));
            }
            return Ok(name.into());
        }
        let base = snake_case(build.class_name());
        let next = self.next.entry(base.clone()).or_insert(0);
        loop {
            let name = if *next == 0 { base.clone() } else { format!("{base}_{next}") };
            *next += 1;
            if self.taken.insert(name.clone()) {
                return Ok(name);
            }
        }
    }
}

/// Refuses sizes that no memory holds, before arithmetic on them can overflow.
fn within_reason(shape: &Shape) -> Result<()> {
    const MAX: usize = 1 << 40;
    let known = shape.dims().iter().filter(|&&d| !is_unknown(d));
    match known.copied().try_fold(1usize, usize::checked_mul) {
        Some(n) if n <= MAX => Ok(()),
        _ => Err(Error::shape("Sequential", "samples of at most 2^40 elements", *shape)),
    }
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
        let shape = Shape::new(&sizes)?;
        within_reason(&shape)?;
        Ok(Spec::new(shape, self.declared_dtype()?.unwrap_or(dtype)))
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
