//! ONNX out: a network as a file that other programs run. Begin with [`Export`]; the [guide](crate::guides::onnx) has
//! the table of operations.
//!
//! ```
//! use gradus::onnx::Export;
//! use gradus::prelude::*;
//!
//! let network = Sequential::new()
//!     .add(Input::new([4]).named("x"))
//!     .add(Dense::new(3).activation(Relu).named("hidden"))
//!     .add(Dense::new(2).activation(Softmax).named("class"))
//!     .build()?;
//! let bytes = Export::new(&network).to_bytes()?; // or .write("classifier.onnx")
//! assert!(bytes.windows(13).any(|part| part == b"hidden/kernel")); // weights have the names of their parameters
//! # Ok::<(), gradus::Error>(())
//! ```
//!
//! An export traces the network for several sets of sizes and compares. What agrees is a number in the file; what
//! differs has to follow from the sizes of inputs, and is computed from them when the file runs; what cannot be
//! explained is an error that names the operation and its layer, never a wrong number.

mod emit;
mod file;
mod forms;
mod graph;
mod own;
mod traces;

use crate::io::write_atomically_with;
use crate::nn::Network;
use crate::{Error, Result, Spec};
use file::{Beside, Model};
use own::Own;
pub use own::{Field, Nodes};
use std::path::Path;
use std::sync::Arc;
use traces::Traces;

/// The operator sets that an export can be written for.
const OPSETS: std::ops::RangeInclusive<i64> = 13..=24;
/// What a file of protocol buffers may hold; larger models have their tensors beside them. A bit less than 2 GiB, for nodes and names.
const LARGEST: usize = (1 << 31) - (1 << 24);

/// A network to be written as ONNX: a `Sequential`, a `Functional` or a struct of the program's own, built; a
/// [`Model`](crate::train::Model) is one too.
///
/// Inputs and outputs have the network's names, weights those of their parameters. Sizes that the network's inputs
/// leave open are open in the file, under the names `batch`, `time`, `height` and `width` ([`Export::axis`] gives
/// others). It computes what [`Network::predict`] does.
#[derive(Clone, Debug)]
pub struct Export<'a> {
    network: &'a Network,
    opset: i64,
    inputs: Option<Vec<Spec>>,
    axes: Vec<(String, usize, String)>,
    external: Option<String>,
    own: Vec<Own>,
}

impl<'a> Export<'a> {
    /// Creates an export with operator set 17.
    pub fn new(network: &'a Network) -> Export<'a> {
        Export { network, opset: 17, inputs: None, axes: Vec::new(), external: None, own: Vec::new() }
    }

    /// Sets the version of ONNX's operator set, 13 to 24; 17 by default. Later ones have more operators, earlier
    /// ones are read by older programs.
    #[must_use]
    pub fn opset(mut self, version: i64) -> Self {
        self.opset = version;
        self
    }

    /// Sets shapes and dtypes of the inputs, in order; by default those that the network was built for. A size of
    /// [`UNKNOWN`](crate::UNKNOWN) may be any when the file runs, another is fixed.
    #[must_use]
    pub fn inputs(mut self, specs: impl IntoIterator<Item = Spec>) -> Self {
        self.inputs = Some(specs.into_iter().collect());
        self
    }

    /// Gives an axis of an input, whose size may be any, a name. Axes of one name should have one size when the file
    /// runs.
    #[must_use]
    pub fn axis(mut self, input: &str, axis: usize, name: &str) -> Self {
        self.axes.push((input.into(), axis, name.into()));
        self
    }

    /// Puts the weights into a file of this name beside the model, from where programs map them into memory. Models
    /// above 2 GiB need that, and have it by themselves (`name.onnx.data`).
    #[must_use]
    pub fn external_data(mut self, name: &str) -> Self {
        self.external = Some(name.into());
        self
    }

    /// Says what an operation of the program's own is in ONNX: `form` writes its nodes and returns the names of its results, one for
    /// each. Operations of the library that ONNX has no operator for can be given one too; those in the
    /// [table](crate::guides::onnx) keep theirs.
    ///
    /// ```
    /// use gradus::autograd::{Grads, Op, Specs, Step, apply1, one};
    /// use gradus::onnx::{Export, Field};
    /// use gradus::prelude::*;
    /// use gradus::{Result, Spec, tensor::Array};
    ///
    /// gradus::op! {
    ///     /// x·a, where that is above 0.
    ///     struct Ramp("acme_ramp", 1) { a: f64 }
    /// }
    /// # impl Op for Ramp {
    /// #     fn infer(&self, x: &[Spec]) -> Result<Specs> {
    /// #         Ok(one(x[0].shape, x[0].dtype))
    /// #     }
    /// #     fn eval(&self, x: &[&Array], y: &mut [Array]) -> Result<()> {
    /// #         let (x, y) = (x[0].contiguous()?, y[0].slice_mut::<f32>()?);
    /// #         x.slice::<f32>()?.iter().zip(y).for_each(|(x, y)| *y = (x * self.a as f32).max(0.0));
    /// #         Ok(())
    /// #     }
    /// #     fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
    /// #         Ok([Some(step.grad(0)?.mul(&step.output(0).step()?.scale(self.a)?)?)].into_iter().collect())
    /// #     }
    /// # }
    /// # #[derive(Clone, Debug)]
    /// # struct Net;
    /// # gradus::parts!(Net {});
    /// # impl Layer for Net {
    /// #     fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
    /// #         apply1(Ramp { a: 2.0 }, &[x])
    /// #     }
    /// # }
    /// # let network = Subclass::new([Input::new([3]).named("x")], Net).build()?;
    /// let export = Export::new(&network).form("acme_ramp", |n| {
    ///     let (x, a) = (n.input(0)?, n.attr::<f64>("a")?);
    ///     let a = n.constant(&Tensor::scalar(a as f32)?);
    ///     let y = n.node("Mul", &[&x, &a], &[]);
    ///     Ok(vec![n.node("LeakyRelu", &[&y], &[("alpha", Field::Float(0.0))])])
    /// });
    /// assert!(export.to_bytes()?.windows(9).any(|part| part == b"LeakyRelu"));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    #[must_use]
    pub fn form(
        mut self,
        op: &str,
        form: impl Fn(&mut Nodes<'_, '_>) -> Result<Vec<String>> + Send + Sync + 'static,
    ) -> Self {
        self.own.retain(|own| own.op != op);
        self.own.push(Own { op: op.into(), form: Arc::new(form) });
        self
    }

    /// Returns the bytes of the file.
    ///
    /// # Errors
    /// The operator set is not one of 13 to 24; a layer cannot be captured or has no form in ONNX, or its sizes do not
    /// follow from those of inputs (the message names it and says what to do); a form is for an operation that has one; the model is
    /// too large for one file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        if let Some(name) = &self.external {
            let expected = "one file in memory: use write for weights in a file beside it";
            return Err(Error::argument("onnx", expected, format!("external_data({name:?})")));
        }
        self.with(|head, emit, size| match size {
            0..LARGEST => Model::new(head, emit, None).to_bytes(),
            _ => Err(Error::argument(
                "onnx",
                "a model below 2 GiB: use write for larger ones",
                format!("{size} bytes"),
            )),
        })
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// Those of [`Export::to_bytes`] but for the size; or the system fails, and the message names the file.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.with(|head, emit, size| {
            let default = || {
                let name = path
                    .file_name()
                    .map_or_else(|| "model.onnx".into(), |name| name.to_string_lossy().into_owned());
                (size >= LARGEST).then(|| format!("{name}.data"))
            };
            let Some(name) = self.external.clone().or_else(default) else {
                return written(path, |file| Model::new(head, emit, None).write(file));
            };
            if name.is_empty() || name.contains(['/', '\\']) || name == ".." {
                let expected = "the name of a file beside the model, without folders";
                return Err(Error::argument("external_data", expected, format!("{name:?}")));
            }
            let beside = Beside::new(&name, &emit.tensors);
            written(&path.with_file_name(&name), |file| beside.write(&emit.tensors, file))?;
            written(path, |file| Model::new(head, emit, Some(&beside)).write(file))
        })
    }

    /// Makes the nodes; `f` is also passed the number of bytes of all tensors.
    fn with<R>(&self, f: impl FnOnce(&file::Head, &emit::Emit<'_>, usize) -> Result<R>) -> Result<R> {
        if !OPSETS.contains(&self.opset) {
            return Err(Error::argument("opset", "a version from 13 to 24", self.opset));
        }
        let in_table = |own: &&Own| matches!(forms::form(&own.op), Some(forms::Form::As(..)));
        if let Some(own) = self.own.iter().find(in_table) {
            let expected = "an operation that the table in docs/onnx.md has no form for";
            return Err(Error::argument("form", expected, format!("'{}'", own.op)));
        }
        let specs = self.specs()?;
        let traces = Traces::of(self.network, &specs)?;
        let (head, emit) = graph::emit(self.network, &traces, self.opset, &self.axes, &self.own)?;
        let size = emit.tensors.iter().map(|(_, tensor)| file::size(tensor)).sum();
        f(&head, &emit, size)
    }

    fn specs(&self) -> Result<Vec<Spec>> {
        let own = self.network.input_specs();
        for (input, axis, _) in &self.axes {
            let found = self.network.input_names().position(|name| name == input);
            if found.is_none_or(|i| *axis >= own[i].shape.rank()) {
                let names: Vec<&str> = self.network.input_names().collect();
                let expected = format!("an axis of an input ({})", names.join(", "));
                return Err(Error::argument("axis", expected, format!("axis {axis} of '{input}'")));
            }
        }
        match &self.inputs {
            Some(specs) if specs.len() != own.len() => Err(Error::argument(
                "inputs",
                format!("{} shapes, one for each input", own.len()),
                specs.len(),
            )),
            Some(specs) => Ok(specs.clone()),
            None => Ok(own),
        }
    }
}

/// Writes a file, whole or not at all.
fn written(
    path: &Path,
    write: impl FnOnce(&mut std::io::BufWriter<&mut std::fs::File>) -> std::io::Result<()>,
) -> Result<()> {
    write_atomically_with(path, |file| {
        let mut file = std::io::BufWriter::new(file);
        write(&mut file)?;
        std::io::Write::flush(&mut file)
    })
}

/// What each operation of a graph is in ONNX: its operators, or why it has none. A name that begins with `*` is the
/// end of several.
pub fn operators() -> impl Iterator<Item = (&'static str, Result<&'static str, &'static str>)> {
    forms::rows().map(|(name, form)| match form {
        forms::Form::As(onnx, _) => (*name, Ok(*onnx)),
        forms::Form::Not(why) => (*name, Err(*why)),
    })
}
