//! `Emit`: what an export has written so far: nodes, tensors, and where the values of the graph are found among them.
//!
//! Values move between the layout of gradus, channels last, and that of ONNX's convolutions, channels first. So a
//! value is known by the name of a tensor and the order in which its axes lie there; a transpose is written only
//! where an operation needs another order than the one at hand. Elementwise operations take any order, which
//! carries it from one convolution to the next.

use super::own::Own;
use super::traces::{Size, Traces};
use crate::autograd::{Attr, Attribute, Attrs};
use crate::graph::ValueId;
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use std::collections::{HashMap, HashSet};

/// The value of a node's attribute.
#[derive(Clone, Debug)]
pub(super) enum Field {
    Int(i64),
    Float(f32),
    Ints(Vec<i64>),
    Text(&'static str),
    Body(Box<Body>),
}

/// A graph inside of a node. It sees the names outside of it.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) nodes: Vec<Node>,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
}

/// An input or output of a [`Body`]: its name, its dtype, and how many axes it has, if that is to be said. ONNX Runtime
/// has to know it of the outputs of a `Scan`, and cannot always find out.
pub(super) type Port = (String, DType, Option<usize>);

/// A node of the exported graph.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) op: &'static str,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) fields: Vec<(&'static str, Field)>,
}

impl Node {
    pub(super) fn bodies(&self) -> impl Iterator<Item = &Body> {
        self.fields
            .iter()
            .filter_map(|(_, field)| if let Field::Body(body) = field { Some(&**body) } else { None })
    }

    pub(super) fn bodies_mut(&mut self) -> impl Iterator<Item = &mut Body> {
        self.fields
            .iter_mut()
            .filter_map(|(_, field)| if let Field::Body(body) = field { Some(&mut **body) } else { None })
    }
}

/// An operation to be written: that of one step, with its attributes in each trace.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) attrs: Vec<Attrs>,
    pub(super) inputs: Vec<ValueId>,
    pub(super) outputs: Vec<ValueId>,
}

impl Call {
    /// Reads an attribute that must not depend on sizes.
    pub(super) fn attr<A: Attribute>(&self, name: &str) -> Result<A> {
        let first = self.attrs[0].get(name);
        if self.attrs.iter().any(|attrs| attrs.get(name) != first) {
            let expected =
                format!("'{name}' of {} without sizes that change with those of inputs", self.name);
            let got = self.attrs.iter().filter_map(|attrs| attrs.get(name)).map(Attr::to_string);
            return Err(Error::argument("onnx", expected, got.collect::<Vec<_>>().join(" or ")));
        }
        self.attrs[0].read(self.name, name)
    }

    /// Reads an attribute that is a list of axes or sizes.
    pub(super) fn list(&self, name: &str) -> Result<Vec<usize>> {
        let list: Vec<i64> = self.attr(name)?;
        Ok(list.into_iter().map(|n| n as usize).collect())
    }
}

/// Where a value is found: axis `i` of the value is axis `order[i]` of the tensor.
#[derive(Clone, Debug)]
pub(super) struct Laid {
    pub(super) name: String,
    pub(super) order: Vec<usize>,
}

/// Returns the order in which nothing moves.
pub(super) fn plain_order(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    order.iter().enumerate().for_each(|(i, &axis)| inverse[axis] = i);
    inverse
}

#[derive(Debug)]
pub(super) struct Emit<'a> {
    pub(super) traces: &'a Traces,
    pub(super) opset: i64,
    pub(super) nodes: Vec<Node>,
    /// Tensors that are part of the model, by name.
    pub(super) tensors: Vec<(String, Tensor)>,
    taken: HashSet<String>,
    /// The values that are known, and how they want to be called.
    known: HashMap<ValueId, (String, Tensor)>,
    laid: HashMap<ValueId, Laid>,
    /// Nodes by what they compute, so that nothing is computed twice.
    seen: HashMap<String, Vec<String>>,
    /// The values that are 0 everywhere.
    zeros: HashSet<ValueId>,
    /// The layer whose operation is being written.
    pub(super) layer: String,
    /// The dtype of the elementwise operation that is being written.
    pub(super) dtype: DType,
    /// Forms of operations that the table has none for.
    pub(super) own: &'a [Own],
}

impl<'a> Emit<'a> {
    pub(super) fn new(traces: &'a Traces, opset: i64, own: &'a [Own]) -> Emit<'a> {
        Emit {
            traces,
            opset,
            nodes: Vec::new(),
            tensors: Vec::new(),
            taken: HashSet::new(),
            known: HashMap::new(),
            laid: HashMap::new(),
            seen: HashMap::new(),
            zeros: HashSet::new(),
            layer: String::new(),
            dtype: DType::F32,
            own,
        }
    }

    // ---- names

    /// Returns a name that nothing else has.
    pub(super) fn free(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_string();
        let mut number = 0;
        while name.is_empty() || !self.taken.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}_{number}");
        }
        name
    }

    /// Returns whether something has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.taken.contains(name)
    }

    fn inside_layer(&mut self, name: &str) -> String {
        let wanted = if self.layer.is_empty() { name.to_string() } else { format!("{}/{name}", self.layer) };
        self.free(&wanted)
    }

    // ---- values

    pub(super) fn spec(&self, value: ValueId) -> Spec {
        self.traces.first().spec(value).unwrap_or(Spec::new(Shape::SCALAR, DType::F32))
    }

    pub(super) fn rank(&self, value: ValueId) -> usize {
        self.spec(value).shape.rank()
    }

    /// Says that a value is known.
    pub(super) fn know(&mut self, value: ValueId, name: String, tensor: Tensor) {
        self.known.insert(value, (name, tensor));
    }

    pub(super) fn known(&self, value: ValueId) -> Option<&Tensor> {
        self.known.get(&value).map(|(_, tensor)| tensor)
    }

    /// Says that a value is 0 everywhere.
    pub(super) fn is_all_zero(&mut self, value: ValueId) {
        self.zeros.insert(value);
    }

    /// Returns whether a value is known to be 0 everywhere.
    pub(super) fn is_zero(&self, value: ValueId) -> bool {
        self.zeros.contains(&value)
    }

    /// Says where a value is found.
    pub(super) fn put(&mut self, value: ValueId, name: String, order: Vec<usize>) {
        self.laid.insert(value, Laid { name, order });
    }

    /// [`Emit::put`] of a value whose axes lie as they are.
    pub(super) fn put_plain(&mut self, value: ValueId, name: String) {
        let order = plain_order(self.rank(value));
        self.put(value, name, order);
    }

    /// Says that a tensor has another name now.
    pub(super) fn renamed(&mut self, from: &str, to: &str) {
        self.laid.values_mut().filter(|laid| laid.name == from).for_each(|laid| laid.name = to.into());
        self.seen.values_mut().flatten().filter(|name| *name == from).for_each(|name| *name = to.into());
    }

    /// Returns the order in which the axes of a value lie.
    pub(super) fn order(&self, value: ValueId) -> Vec<usize> {
        self.laid.get(&value).map_or_else(|| plain_order(self.rank(value)), |laid| laid.order.clone())
    }

    /// Returns the name of a tensor in which axis `i` of the value is axis `order[i]`.
    pub(super) fn stored(&mut self, value: ValueId, order: &[usize]) -> Result<String> {
        if self.known.contains_key(&value) {
            let back: Vec<isize> = inverse(order).iter().map(|&axis| axis as isize).collect();
            let plain = order.iter().enumerate().all(|(i, &axis)| i == axis);
            return self.derived(value, &format!("{order:?}"), |t| {
                if plain { Ok(t.clone()) } else { t.permute(&back)?.contiguous() }
            });
        }
        let Some(laid) = self.laid.get(&value).cloned() else {
            let expected = "operations whose results, not what they keep for gradients, are read";
            return Err(Error::argument("onnx", expected, format!("{value}")));
        };
        if laid.order == order {
            return Ok(laid.name);
        }
        let moves: Vec<i64> = inverse(order).iter().map(|&axis| laid.order[axis] as i64).collect();
        Ok(self.node_with("Transpose", &[&laid.name], vec![("perm", Field::Ints(moves))]))
    }

    /// Returns the name of a tensor whose axes are those of the value.
    pub(super) fn plain(&mut self, value: ValueId) -> Result<String> {
        self.stored(value, &plain_order(self.rank(value)))
    }

    /// Returns the names of all inputs, with their axes as they are.
    pub(super) fn all_plain(&mut self, call: &Call) -> Result<Vec<String>> {
        call.inputs.iter().map(|&value| self.plain(value)).collect()
    }

    /// Returns the order that most suits an operation that takes any, as long as all inputs have one.
    pub(super) fn common_order(&self, values: &[ValueId], rank: usize) -> Vec<usize> {
        let plain = plain_order(rank);
        let mut found = None;
        for &value in values.iter().filter(|value| !self.known.contains_key(value)) {
            match self.rank(value) {
                r if r == rank => {
                    let order = self.order(value);
                    if order != plain && found.is_none() {
                        found = Some(order);
                    }
                }
                0 => {}
                // A smaller tensor that is not known would have to be reshaped.
                _ => return plain,
            }
        }
        found.unwrap_or(plain)
    }

    /// Returns the name of a tensor that broadcasts to tensors of this order.
    pub(super) fn aligned(&mut self, value: ValueId, order: &[usize]) -> Result<String> {
        let (rank, own) = (order.len(), self.rank(value));
        if own == rank {
            return self.stored(value, order);
        }
        let plain = order.iter().enumerate().all(|(i, &axis)| i == axis);
        if plain || own == 0 {
            return self.plain(value);
        }
        let back: Vec<isize> = inverse(order).iter().map(|&axis| axis as isize).collect();
        self.derived(value, &format!("to {order:?}"), |t| {
            let mut sizes = vec![1; rank - own];
            sizes.extend(t.dims());
            t.reshape_to(&sizes[..])?.permute(&back)?.contiguous()
        })
    }

    // ---- tensors of the model

    /// Returns the name of a tensor that `f` makes of a known value; `how` says which one it is.
    pub(super) fn derived(
        &mut self,
        value: ValueId,
        how: &str,
        f: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<String> {
        let Some((wanted, tensor)) = self.known.get(&value) else {
            let expected = "weights that are parameters or computed from them alone";
            return Err(Error::argument("onnx", expected, "weights computed from inputs"));
        };
        let key = format!("derived {value} {how}");
        if let Some(names) = self.seen.get(&key) {
            return Ok(names[0].clone());
        }
        let (wanted, tensor) = (wanted.clone(), f(tensor)?.contiguous()?);
        let name = self.add(&wanted, tensor);
        self.seen.insert(key, vec![name.clone()]);
        Ok(name)
    }

    /// Adds a tensor to the model.
    pub(super) fn add(&mut self, wanted: &str, tensor: Tensor) -> String {
        let name = self.free(wanted);
        self.tensors.push((name.clone(), tensor));
        name
    }

    fn constant(&mut self, key: String, tensor: impl FnOnce() -> Result<Tensor>) -> Result<String> {
        let key = format!("constant {key}");
        if let Some(names) = self.seen.get(&key) {
            return Ok(names[0].clone());
        }
        let tensor = tensor()?;
        let name = self.add("constant", tensor);
        self.seen.insert(key, vec![name.clone()]);
        Ok(name)
    }

    /// Returns the name of a list of whole numbers (int64).
    pub(super) fn ints(&mut self, list: &[i64]) -> Result<String> {
        self.constant(format!("{list:?}"), || Tensor::from_slice(list, [list.len()]))
    }

    /// Returns the name of a number.
    pub(super) fn scalar(&mut self, dtype: DType, value: f64) -> Result<String> {
        let key = format!("{dtype} {:016x}", value.to_bits());
        self.constant(key, || Tensor::filled(Spec::new(Shape::SCALAR, dtype), value))
    }

    /// Returns the name of a tensor that is the same number everywhere.
    pub(super) fn filled(&mut self, shape: Shape, dtype: DType, value: f64) -> Result<String> {
        let key = format!("{dtype} {shape} {:016x}", value.to_bits());
        self.constant(key, || Tensor::filled(Spec::new(shape, dtype), value))
    }

    /// [`Emit::scalar`] of the dtype that is being computed in.
    pub(super) fn c(&mut self, value: f64) -> Result<String> {
        self.scalar(self.dtype, value)
    }

    // ---- nodes

    pub(super) fn node(&mut self, op: &'static str, inputs: &[&str]) -> String {
        self.node_with(op, inputs, Vec::new())
    }

    pub(super) fn node_with(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        fields: Vec<(&'static str, Field)>,
    ) -> String {
        self.nodes_with(op, inputs, fields, 1).swap_remove(0)
    }

    /// Writes a node with several outputs; returns their names.
    pub(super) fn nodes_with(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        fields: Vec<(&'static str, Field)>,
        outputs: usize,
    ) -> Vec<String> {
        let key = format!("{op} {inputs:?} {fields:?} {outputs}");
        if let Some(names) = self.seen.get(&key) {
            return names.clone();
        }
        let names = self.write(op, inputs, fields, outputs);
        self.seen.insert(key, names.clone());
        names
    }

    /// Writes a node even if there is one that computes the same.
    fn write(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        fields: Vec<(&'static str, Field)>,
        outputs: usize,
    ) -> Vec<String> {
        let name = self.inside_layer(op);
        let mut names = vec![name.clone()];
        for i in 1..outputs {
            names.push(self.free(&format!("{name}:{i}")));
        }
        let inputs = inputs.iter().map(|input| (*input).to_string()).collect();
        self.nodes.push(Node { name, op, inputs, outputs: names.clone(), fields });
        names
    }

    /// Returns another name of a tensor, which no other node gives: the outputs of a body need that.
    pub(super) fn separate(&mut self, x: &str) -> String {
        self.write("Identity", &[x], Vec::new(), 1).swap_remove(0)
    }

    pub(super) fn add2(&mut self, a: &str, b: &str) -> String {
        self.node("Add", &[a, b])
    }

    pub(super) fn sub(&mut self, a: &str, b: &str) -> String {
        self.node("Sub", &[a, b])
    }

    pub(super) fn mul(&mut self, a: &str, b: &str) -> String {
        self.node("Mul", &[a, b])
    }

    pub(super) fn div(&mut self, a: &str, b: &str) -> String {
        self.node("Div", &[a, b])
    }

    /// Returns `x · c`.
    pub(super) fn times(&mut self, x: &str, c: f64) -> Result<String> {
        let c = self.c(c)?;
        Ok(self.mul(x, &c))
    }

    /// Returns `x + c`.
    pub(super) fn plus(&mut self, x: &str, c: f64) -> Result<String> {
        let c = self.c(c)?;
        Ok(self.add2(x, &c))
    }

    /// Returns the larger of `x` and `c`.
    pub(super) fn at_least(&mut self, x: &str, c: f64) -> Result<String> {
        let c = self.c(c)?;
        Ok(self.node("Max", &[x, &c]))
    }

    /// Returns the smaller of `x` and `c`.
    pub(super) fn at_most(&mut self, x: &str, c: f64) -> Result<String> {
        let c = self.c(c)?;
        Ok(self.node("Min", &[x, &c]))
    }

    pub(super) fn cast(&mut self, x: &str, to: DType) -> String {
        self.node_with("Cast", &[x], vec![("to", Field::Int(super::file::type_number(to)))])
    }

    pub(super) fn transpose(&mut self, x: &str, order: &[i64]) -> String {
        self.node_with("Transpose", &[x], vec![("perm", Field::Ints(order.to_vec()))])
    }

    pub(super) fn unsqueeze(&mut self, x: &str, axes: &[i64]) -> Result<String> {
        let axes = self.ints(axes)?;
        Ok(self.node("Unsqueeze", &[x, &axes]))
    }

    pub(super) fn squeeze(&mut self, x: &str, axes: &[i64]) -> Result<String> {
        let axes = self.ints(axes)?;
        Ok(self.node("Squeeze", &[x, &axes]))
    }

    /// Takes a run of an axis; the ends are names of lists of one number.
    pub(super) fn slice(&mut self, x: &str, axis: i64, [start, end, step]: [&str; 3]) -> Result<String> {
        let axis = self.ints(&[axis])?;
        Ok(self.node("Slice", &[x, start, end, &axis, step]))
    }

    /// A reduction over axes, which are an attribute or an input as the version has it.
    pub(super) fn reduce(&mut self, op: &'static str, x: &str, axes: &[i64], keep: bool) -> Result<String> {
        let keep = ("keepdims", Field::Int(i64::from(keep)));
        if self.opset >= 18 || op == "ReduceSum" {
            let axes = self.ints(axes)?;
            return Ok(self.node_with(op, &[x, &axes], vec![keep]));
        }
        Ok(self.node_with(op, &[x], vec![("axes", Field::Ints(axes.to_vec())), keep]))
    }

    /// Fails unless the version has an operator that is new in `since`.
    pub(super) fn needs(&self, op: &str, since: i64) -> Result<()> {
        if self.opset >= since {
            return Ok(());
        }
        let expected = format!("opset({since}) or more, where ONNX has {op}");
        Err(Error::argument("onnx", expected, format!("opset({})", self.opset)))
    }

    // ---- graphs inside of nodes

    /// Writes the nodes of a graph inside of a node; returns them with what `f` returns.
    pub(super) fn body<R>(&mut self, f: impl FnOnce(&mut Self) -> Result<R>) -> Result<(Vec<Node>, R)> {
        let nodes = std::mem::take(&mut self.nodes);
        let outside = self.seen.clone();
        let result = f(self);
        // What is computed inside is not seen outside; tensors of the model are.
        self.seen.retain(|key, _| {
            outside.contains_key(key) || key.starts_with("constant ") || key.starts_with("derived ")
        });
        let inside = std::mem::replace(&mut self.nodes, nodes);
        Ok((inside, result?))
    }

    // ---- sizes

    /// Returns where the size of an axis comes from.
    pub(super) fn size(&self, value: ValueId, axis: usize) -> Size {
        let sizes = self.traces.sizes(value, axis);
        if sizes.iter().all(|n| *n == sizes[0]) {
            Size::Known(sizes[0] as i64)
        } else {
            Size::Of(value, axis)
        }
    }

    /// Returns the size of an axis, if it is a number.
    pub(super) fn number(&self, value: ValueId, axis: usize) -> Option<usize> {
        match self.size(value, axis) {
            Size::Known(n) => Some(n as usize),
            _ => None,
        }
    }

    /// Says where a number comes from that is `n` in the traces.
    pub(super) fn explained(&self, n: &[i64], near: &[ValueId]) -> Result<Size> {
        self.traces.explain(n, near).ok_or_else(|| {
            let expected = "sizes that follow from one of the operation's inputs or of the network's: a number, a multiple, a product of two";
            let got: Vec<String> = n.iter().map(i64::to_string).collect();
            let tried: Vec<String> = self.traces.given().map(|(value, name)| {
                let sizes = self.traces.graphs.iter().filter_map(|g| g.spec(value)).map(|s| s.shape.to_string());
                format!("'{name}' {}", sizes.collect::<Vec<_>>().join(", "))
            }).collect();
            Error::argument("onnx", expected, format!("{} for {}", got.join(", "), tried.join("; ")))
        })
    }

    /// Says where the sizes of a value come from, which an operation computed from others.
    pub(super) fn sizes_of(&self, value: ValueId, near: &[ValueId]) -> Result<Vec<Size>> {
        let of = |axis| {
            let n: Vec<i64> = self.traces.sizes(value, axis).into_iter().map(|n| n as i64).collect();
            self.explained(&n, near)
        };
        (0..self.rank(value)).map(of).collect()
    }

    /// Returns the name of a list with one number: a size.
    pub(super) fn length(&mut self, size: &Size) -> Result<String> {
        match size {
            Size::Known(n) => self.ints(&[*n]),
            Size::Of(value, axis) => self.length_of(*value, *axis),
            Size::Line { value, axis, a, c, d } => {
                let mut n = self.length_of(*value, *axis)?;
                for (op, by) in [("Mul", *a), ("Add", *c)] {
                    if by != i64::from(op == "Mul") {
                        let by = self.ints(&[by])?;
                        n = self.node(op, &[&n, &by]);
                    }
                }
                if *d != 1 {
                    let by = self.ints(&[*d])?;
                    n = self.node("Div", &[&n, &by]);
                }
                Ok(n)
            }
            Size::Product([a, b]) => {
                let (a, b) = (self.length_of(a.0, a.1)?, self.length_of(b.0, b.1)?);
                Ok(self.mul(&a, &b))
            }
        }
    }

    fn length_of(&mut self, value: ValueId, axis: usize) -> Result<String> {
        if let Some(n) = self.number(value, axis) {
            return self.ints(&[n as i64]);
        }
        let at = self.order(value).get(axis).copied().unwrap_or(axis) as i64;
        let order = self.order(value);
        let name = self.stored(value, &order)?;
        if self.opset >= 15 {
            return Ok(self.node_with(
                "Shape",
                &[&name],
                vec![("start", Field::Int(at)), ("end", Field::Int(at + 1))],
            ));
        }
        let (shape, at) = (self.node("Shape", &[&name]), self.ints(&[at])?);
        Ok(self.node("Gather", &[&shape, &at]))
    }

    /// Returns the name of a list of sizes.
    pub(super) fn shape(&mut self, sizes: &[Size]) -> Result<String> {
        let mut parts: Vec<String> = Vec::new();
        let mut numbers: Vec<i64> = Vec::new();
        for size in sizes {
            if let Size::Known(n) = size {
                numbers.push(*n);
                continue;
            }
            if !numbers.is_empty() {
                parts.push(self.ints(&std::mem::take(&mut numbers))?);
            }
            parts.push(self.length(size)?);
        }
        if !numbers.is_empty() || parts.is_empty() {
            parts.push(self.ints(&numbers)?);
        }
        if parts.len() == 1 {
            return Ok(parts.swap_remove(0));
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(self.node_with("Concat", &parts, vec![("axis", Field::Int(0))]))
    }
}
