//! Writes a model as the messages of `onnx.proto`: nodes, tensors, inputs and outputs, in one buffer or with the large
//! tensors in a file beside it.

use super::emit::{Body, Emit, Field, Node};
use crate::io::proto::Message;
use crate::tensor::Array;
use crate::{DType, Error, Result, Tensor, bf16, f16};
use std::io::Write;

/// A tensor of fewer bytes stays in the model when others are in a file beside it.
const SMALL: usize = 1024;
/// Where tensors begin in a file beside the model, so that they can be mapped into memory.
const PAGE: usize = 4096;

/// The number of a dtype in `TensorProto.DataType`.
pub(super) fn type_number(dtype: DType) -> i64 {
    match dtype {
        DType::F32 => 1,
        DType::U8 => 2,
        DType::I8 => 3,
        DType::I32 => 6,
        DType::I64 => 7,
        DType::Bool => 9,
        DType::F16 => 10,
        DType::F64 => 11,
        DType::BF16 => 16,
    }
}

/// The version of the file format that came with an operator set.
fn ir_version(opset: i64) -> i64 {
    match opset {
        ..=14 => 7,
        15..=18 => 8,
        19..=20 => 9,
        21..=22 => 10,
        23 => 11,
        _ => 12,
    }
}

/// An input or output of the model: its name, dtype, and the sizes of its axes, which are numbers or have names.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) dtype: DType,
    pub(super) sizes: Vec<Result<usize, String>>,
}

/// What is written of a model besides its nodes and tensors.
pub(super) struct Head {
    pub(super) name: String,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
}

/// Elements that are converted at a time.
const PART: usize = 1 << 14;

/// Writes the elements of a tensor, in little-endian order.
fn write_elements(tensor: &Tensor, out: &mut impl Write) -> std::io::Result<()> {
    fn of<T: crate::Stored, const N: usize>(
        array: &Array,
        out: &mut impl Write,
        bytes: impl Fn(T) -> [u8; N],
    ) -> std::io::Result<()> {
        let mut room = Vec::with_capacity(PART * N);
        for part in array.slice::<T>().map_err(std::io::Error::other)?.chunks(PART) {
            room.clear();
            room.extend(part.iter().flat_map(|&v| bytes(v)));
            out.write_all(&room)?;
        }
        Ok(())
    }
    let array = tensor.array().contiguous().map_err(std::io::Error::other)?;
    match array.dtype() {
        DType::F32 => of(&array, out, f32::to_le_bytes),
        DType::F64 => of(&array, out, f64::to_le_bytes),
        DType::F16 => of(&array, out, |v: f16| v.to_bits().to_le_bytes()),
        DType::BF16 => of(&array, out, |v: bf16| v.to_bits().to_le_bytes()),
        DType::I64 => of(&array, out, i64::to_le_bytes),
        DType::I32 => of(&array, out, i32::to_le_bytes),
        DType::I8 => of(&array, out, i8::to_le_bytes),
        DType::U8 | DType::Bool => of(&array, out, |v: u8| [v]),
    }
}

pub(super) fn size(tensor: &Tensor) -> usize {
    tensor.elements() * tensor.dtype().size()
}

/// Which tensors lie in a file beside the model, and where.
pub(super) struct Beside {
    pub(super) file: String,
    /// For each tensor, where it begins; `None` if it is in the model.
    places: Vec<Option<usize>>,
}

impl Beside {
    pub(super) fn new(file: &str, tensors: &[(String, Tensor)]) -> Beside {
        let mut end = 0;
        let place = |(_, tensor): &(String, Tensor)| {
            (size(tensor) >= SMALL).then(|| {
                let start = usize::next_multiple_of(end, PAGE);
                end = start + size(tensor);
                start
            })
        };
        Beside { file: file.into(), places: tensors.iter().map(place).collect() }
    }

    /// Writes the tensors.
    pub(super) fn write(&self, tensors: &[(String, Tensor)], file: &mut impl Write) -> std::io::Result<()> {
        let mut end = 0;
        for (place, (_, tensor)) in self.places.iter().zip(tensors) {
            let Some(place) = *place else { continue };
            file.write_all(&vec![0; place - end])?;
            write_elements(tensor, file)?;
            end = place + size(tensor);
        }
        Ok(())
    }
}

/// The model as it is written: messages, and between them the elements of tensors, of which no copy is made.
pub(super) struct Model<'a> {
    pieces: Vec<(Message, Option<&'a Tensor>)>,
}

impl<'a> Model<'a> {
    pub(super) fn new(head: &Head, emit: &'a Emit<'_>, beside: Option<&Beside>) -> Model<'a> {
        let mut graph = vec![(nodes(&emit.nodes).blob(2, &head.name), None)];
        for (i, (name, tensor)) in emit.tensors.iter().enumerate() {
            let place = beside.and_then(|beside| Some((beside.file.as_str(), beside.places[i]?)));
            let message = tensor_message(name, tensor, place);
            graph.push(match place {
                Some(_) => (Message::new().message(5, &message), None),
                None => {
                    let message = message.counted(9, size(tensor));
                    let before = Message::new().counted(5, message.bytes().len() + size(tensor));
                    (before.followed_by(&message), Some(tensor))
                }
            });
        }
        let mut ports = Message::new();
        for (field, list) in [(11, &head.inputs), (12, &head.outputs)] {
            for port in list {
                ports = ports.message(field, &port_message(&port.name, port.dtype, Some(&port.sizes)));
            }
        }
        graph.push((ports, None));
        let length = graph.iter().map(piece_length).sum();
        let before = Message::new()
            .int(1, ir_version(emit.opset))
            .blob(2, "gradus")
            .blob(3, env!("CARGO_PKG_VERSION"))
            .counted(7, length);
        let version = Message::new().blob(1, "").int(2, emit.opset);
        let mut pieces = vec![(before, None)];
        pieces.extend(graph);
        pieces.push((Message::new().message(8, &version), None));
        Model { pieces }
    }

    /// How many bytes it has.
    fn length(&self) -> usize {
        self.pieces.iter().map(piece_length).sum()
    }

    pub(super) fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        for (message, tensor) in &self.pieces {
            out.write_all(message.bytes())?;
            if let Some(tensor) = tensor {
                write_elements(tensor, out)?;
            }
        }
        Ok(())
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.length());
        self.write(&mut bytes).map_err(|e| Error::Custom(format!("onnx: {e}")))?;
        Ok(bytes)
    }
}

fn piece_length((message, tensor): &(Message, Option<&Tensor>)) -> usize {
    message.bytes().len() + tensor.map_or(0, size)
}

fn nodes(nodes: &[Node]) -> Message {
    nodes.iter().fold(Message::new(), |graph, node| graph.message(1, &node_message(node)))
}

fn node_message(node: &Node) -> Message {
    let message = node.inputs.iter().fold(Message::new(), |message, input| message.blob(1, input));
    let message = node.outputs.iter().fold(message, |message, output| message.blob(2, output));
    let message = message.blob(3, &node.name).blob(4, node.op);
    node.fields.iter().fold(message, |message, (name, field)| message.message(5, &field_message(name, field)))
}

fn field_message(name: &str, field: &Field) -> Message {
    let message = Message::new().blob(1, name);
    match field {
        Field::Float(v) => message.float(2, *v).int(20, 1),
        Field::Int(v) => message.int(3, *v).int(20, 2),
        Field::Text(v) => message.blob(4, v).int(20, 3),
        Field::Body(body) => message.message(6, &body_message(body)).int(20, 5),
        Field::Ints(list) => list.iter().fold(message, |message, v| message.int(8, *v)).int(20, 7),
    }
}

fn body_message(body: &Body) -> Message {
    let mut graph = nodes(&body.nodes).blob(2, "body");
    for (field, ports) in [(11, &body.inputs), (12, &body.outputs)] {
        for (name, dtype, rank) in ports {
            let sizes = rank.map(|rank| vec![Err(String::new()); rank]);
            graph = graph.message(field, &port_message(name, *dtype, sizes.as_deref()));
        }
    }
    graph
}

/// A name of a tensor, with its dtype and perhaps its sizes: numbers, names, or empty names for those that have none.
fn port_message(name: &str, dtype: DType, sizes: Option<&[Result<usize, String>]>) -> Message {
    let mut tensor = Message::new().int(1, type_number(dtype));
    if let Some(sizes) = sizes {
        let shape = sizes.iter().fold(Message::new(), |shape, size| {
            let size = match size {
                Ok(n) => Message::new().int(1, *n as i64),
                Err(name) if name.is_empty() => Message::new(),
                Err(name) => Message::new().blob(2, name),
            };
            shape.message(1, &size)
        });
        tensor = tensor.message(2, &shape);
    }
    Message::new().blob(1, name).message(2, &Message::new().message(1, &tensor))
}

/// All of a tensor but its elements.
fn tensor_message(name: &str, tensor: &Tensor, place: Option<(&str, usize)>) -> Message {
    let message = tensor.dims().iter().fold(Message::new(), |message, &n| message.int(1, n as i64));
    let message = message.int(2, type_number(tensor.dtype())).blob(8, name);
    let Some((file, offset)) = place else { return message };
    let (offset, length) = (offset.to_string(), size(tensor).to_string());
    let entries = [("location", file), ("offset", &offset), ("length", &length)];
    let message = entries.iter().fold(message, |message, (key, value)| {
        message.message(13, &Message::new().blob(1, key).blob(2, value))
    });
    message.int(14, 1)
}
