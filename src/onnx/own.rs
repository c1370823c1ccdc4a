//! Forms for operations that the exporter's table has none for: those of the program's own, above all.

use super::emit::{Call, Emit, Field as Written};
use crate::autograd::Attribute;
use crate::{Result, Spec, Tensor, UNKNOWN};
use std::sync::Arc;

/// What writes the nodes of one operation; it returns the names of its results.
pub(super) type Form = dyn Fn(&mut Nodes<'_, '_>) -> Result<Vec<String>> + Send + Sync;

/// The form of an operation, by its name.
#[derive(Clone)]
pub(super) struct Own {
    pub(super) op: String,
    pub(super) form: Arc<Form>,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "form of {}", self.op)
    }
}

/// The value of an attribute of an ONNX node.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Field {
    /// A whole number; ONNX's truth values are 0 and 1.
    Int(i64),
    /// A number.
    Float(f32),
    /// A list of whole numbers.
    Ints(Vec<i64>),
    /// A word.
    Text(&'static str),
}

impl From<Field> for Written {
    fn from(field: Field) -> Written {
        match field {
            Field::Int(v) => Written::Int(v),
            Field::Float(v) => Written::Float(v),
            Field::Ints(v) => Written::Ints(v),
            Field::Text(v) => Written::Text(v),
        }
    }
}

/// Writes the nodes of one operation into an ONNX graph; see [`Export::form`](super::Export::form). Tensors go by their names.
#[derive(Debug)]
pub struct Nodes<'n, 'e> {
    pub(super) emit: &'n mut Emit<'e>,
    pub(super) call: &'n Call,
}

impl Nodes<'_, '_> {
    /// Returns how many inputs the operation has.
    pub fn inputs(&self) -> usize {
        self.call.inputs.len()
    }

    /// Returns the name of input number `i`.
    ///
    /// # Errors
    /// There are not so many.
    pub fn input(&mut self, i: usize) -> Result<String> {
        let value = self.value(i)?;
        self.emit.plain(value)
    }

    /// Returns shape and dtype of input number `i`; a size that may be any is [`UNKNOWN`].
    ///
    /// # Errors
    /// There are not so many inputs.
    pub fn spec(&self, i: usize) -> Result<Spec> {
        let value = self.value(i)?;
        let mut spec = self.emit.spec(value);
        for (axis, size) in spec.shape.dims_mut().iter_mut().enumerate() {
            *size = self.emit.number(value, axis).unwrap_or(UNKNOWN);
        }
        Ok(spec)
    }

    /// Returns the name of a list (int64) of one number: the size of an axis of input number `i`, when the file runs.
    ///
    /// # Errors
    /// There are not so many inputs or axes.
    pub fn size(&mut self, i: usize, axis: usize) -> Result<String> {
        let value = self.value(i)?;
        let rank = self.emit.rank(value);
        if axis >= rank {
            return Err(crate::Error::argument("onnx", format!("one of {rank} axes of input {i}"), axis));
        }
        let size = self.emit.size(value, axis);
        self.emit.length(&size)
    }

    /// Reads an attribute of the operation.
    ///
    /// # Errors
    /// It is missing, is of another type, or depends on sizes that may be any.
    pub fn attr<A: Attribute>(&self, name: &str) -> Result<A> {
        self.call.attr(name)
    }

    /// Returns the version of the operator set that the file is written for.
    pub fn opset(&self) -> i64 {
        self.emit.opset
    }

    /// Returns the name of a tensor that becomes part of the model.
    pub fn constant(&mut self, value: &Tensor) -> String {
        self.emit.add("constant", value.detach())
    }

    /// Writes a node of this operator with one result, and returns its name. An input that is left out has the name "".
    pub fn node(&mut self, op: &'static str, inputs: &[&str], fields: &[(&'static str, Field)]) -> String {
        self.nodes(op, inputs, fields, 1).swap_remove(0)
    }

    /// [`Nodes::node`] with several results.
    pub fn nodes(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        fields: &[(&'static str, Field)],
        results: usize,
    ) -> Vec<String> {
        let fields = fields.iter().map(|(name, field)| (*name, field.clone().into())).collect();
        self.emit.nodes_with(op, inputs, fields, results.max(1))
    }

    fn value(&self, i: usize) -> Result<crate::graph::ValueId> {
        let n = self.call.inputs.len();
        let expected = || format!("one of the {n} inputs of {}", self.call.name);
        self.call.inputs.get(i).copied().ok_or_else(|| crate::Error::argument("onnx", expected(), i))
    }
}

/// Writes an operation by a form of the program's own.
pub(super) fn write(emit: &mut Emit<'_>, call: &Call, own: &Own) -> Result<()> {
    let names = (own.form)(&mut Nodes { emit, call })?;
    if names.len() != call.outputs.len() {
        let expected = format!("{} names, one for each result of {}", call.outputs.len(), call.name);
        return Err(crate::Error::argument("form", expected, names.len()));
    }
    for (name, &output) in names.into_iter().zip(&call.outputs) {
        if !emit.has(&name) {
            let expected =
                format!("names that the form of {} was given for nodes, inputs or constants", call.name);
            return Err(crate::Error::argument("form", expected, format!("{name:?}")));
        }
        emit.put_plain(output, name);
    }
    Ok(())
}
