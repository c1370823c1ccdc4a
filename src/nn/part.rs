//! `Part`: a layer as a field of a user's struct, given as a description, built at the first traced call, and
//! replaceable afterwards.

use super::node::{built, place};
use super::symbol::Shared;
use super::trace::batch_unknown;
use super::{
    Build, Cx, InputSpecs, Inputs, IntoLayer, Item, ItemMut, Module, Node, Path, Range, Value, Values,
    arguments,
};
use crate::error::Context;
use crate::tensor::Tensor;
use crate::{Error, Result, Spec};
use std::sync::{Arc, Mutex, OnceLock};

/// A layer as a field of a struct of your own: `Part::new(Dense::new(64))`. It builds itself for the shape that
/// reaches it when the struct becomes a network, so you write down no shapes.
///
/// A clone of a part that is not built yet is another layer; a clone of a built one is a copy with the same
/// parameters, and one network cannot hold both. For twelve equal blocks, make twelve parts that are not built yet:
/// `(0..12).map(|_| Block::new()).collect()`, or `vec![Block::new(); 12]`.
#[derive(Debug)]
pub struct Part {
    build: Arc<dyn Build>,
    node: OnceLock<Box<dyn Node>>,
    /// What traced calls gave.
    traced: Mutex<Option<Vec<Spec>>>,
}

/// Makes a part of this layer: `gate: Dense::new(64).into()`.
impl<B: Build + 'static> From<B> for Part {
    fn from(layer: B) -> Part {
        Part::new(layer)
    }
}

impl Clone for Part {
    fn clone(&self) -> Part {
        Part { build: self.build.clone(), node: self.node.clone(), traced: Mutex::new(self.traced_outputs()) }
    }
}

impl Part {
    /// Creates a part that will be this layer.
    pub fn new(layer: impl IntoLayer) -> Part {
        let layer: Shared = layer.into_layer();
        Part { build: layer.build().clone(), node: OnceLock::new(), traced: Mutex::new(None) }
    }

    /// Computes the output for one tensor without a mask.
    ///
    /// # Errors
    /// The input does not fit, the layer does not have exactly one output, its output has a mask (which would be
    /// lost: [`Part::forward_value`] keeps it), or the part is not built.
    pub fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let Value { tensor, mask } = self.forward_value(&Value::from(x), cx)?;
        match mask {
            None => Ok(tensor),
            Some(mask) => {
                let expected = "an output without a mask (forward_value gives tensor and mask)";
                Err(Error::shape("Part::forward", expected, *mask.shape()).at(self.place()))
            }
        }
    }

    /// Computes the output for one tensor, both with their masks.
    ///
    /// # Errors
    /// The input does not fit, the layer does not have exactly one output, or the part is not built.
    pub fn forward_value(&self, x: &Value, cx: &mut Cx) -> Result<Value> {
        self.call(Inputs::new(std::slice::from_ref(x)), cx)?.single().at(|| self.place())
    }

    fn built(&self, x: &Inputs<'_>, cx: &mut Cx) -> Result<&dyn Node> {
        if let Some(node) = self.node.get() {
            return Ok(&**node);
        }
        let Some(init) = cx.init() else {
            let expected =
                "a part of a network (Subclass::new([Input::new(…)], yours), then build or compile)";
            return Err(Error::argument("Part", expected, "one that nothing has built"));
        };
        let specs: Vec<Spec> = x.values().iter().map(|v| batch_unknown(v.spec())).collect();
        let node = built(&*self.build, &InputSpecs::new(&specs, x.names()), init)?;
        Ok(&**self.node.get_or_init(|| node))
    }

    /// Calls the layer on values of which the last have `names`, and may be masks of others.
    fn call_named(&self, mut values: Vec<Value>, names: &[String], cx: &mut Cx) -> Result<Values> {
        let masks = arguments::masks_of(&*self.build, values.len(), names)?;
        let x = arguments::bound(&mut values, names, &masks)?;
        self.built(&x, cx)?.call(x, cx)
    }

    fn place(&self) -> String {
        place(&*self.build)
    }
}

impl Module for Part {
    fn walk(&self, at: &mut Path, f: &mut dyn FnMut(&Path, Item<'_>)) {
        if let Some(node) = self.node.get() {
            node.walk(at, f);
        }
    }
    fn walk_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, ItemMut<'_>)) {
        if let Some(node) = self.node.get_mut() {
            node.walk_mut(at, f);
        }
    }
    fn as_node(&self) -> Option<&dyn Node> {
        Some(self)
    }
}

impl Node for Part {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let outputs = match x.names() {
            [] => self.built(&x, cx).and_then(|node| node.call(x, cx)),
            names => self.call_named(x.values().to_vec(), names, cx),
        };
        let outputs = outputs.at(|| self.place())?;
        if outputs.iter().any(|v| v.tensor.is_traced())
            && let Ok(mut traced) = self.traced.lock()
        {
            let specs = outputs.iter().map(Value::spec);
            *traced = Some(match traced.take() {
                Some(seen) if seen.len() == outputs.len() => seen
                    .iter()
                    .zip(specs)
                    .map(|(a, b)| match a.shape.rank() == b.shape.rank() {
                        true => Spec::new(a.shape.united(&b.shape), a.dtype),
                        false => b,
                    })
                    .collect(),
                _ => specs.collect(),
            });
        }
        Ok(outputs)
    }
    fn class_name(&self) -> &'static str {
        self.build.class_name()
    }
    fn traced_outputs(&self) -> Option<Vec<Spec>> {
        self.traced.lock().ok().and_then(|t| t.clone())
    }
    fn output_range(&self, output: usize, inputs: &[Option<Range>]) -> Option<Range> {
        self.node.get()?.output_range(output, inputs)
    }
}
