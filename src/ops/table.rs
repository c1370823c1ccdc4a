//! The table of operations: what there is to know about each besides its code, declared beside its code.
//! `docs/ops.md` is generated from it.

use crate::Result;
use crate::autograd::{Attrs, FromAttrs, Op};
use std::sync::Arc;

/// The element types that an operation accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Takes {
    /// float32 and float64.
    Floats,
    /// float32, float64 and the integers (int64, int32, int8, uint8).
    Numbers,
    /// All but the 16-bit floats.
    Wide,
    /// bool.
    Bools,
    /// The integers.
    Ints,
    /// All types.
    Any,
    /// None: it creates a tensor.
    Nothing,
}

/// Whether an operation can be differentiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gradient {
    /// Yes, to any order.
    Every,
    /// No, no gradient flows back.
    None,
}

/// A public function of tensors, as data.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OpRow {
    /// The method's name.
    pub name: &'static str,
    /// The element types of its inputs.
    pub takes: Takes,
    /// Whether it can be differentiated.
    pub gradient: Gradient,
    /// ONNX's operator that does the same, alone or with its attributes or other operators; empty if there is none.
    pub onnx: &'static str,
    /// The module that it is defined in.
    pub module: &'static str,
}

/// Declares the operations of a file: first the types that it records, if there are any, `[Slice, Unslice];`, then
/// a row for each method, `method: accepted types, its gradients, "ONNX's operator";`.
macro_rules! ops {
    ($([$($type:ty),+ $(,)?];)? $($name:ident: $takes:ident, $gradient:ident, $onnx:literal;)*) => {
        /// The recorded operations of this file, by their readers.
        pub(super) const RECORDED: &[$crate::ops::table::Reader] = &[$($($crate::ops::table::reader::<$type>),+)?];
        /// What there is to know about each public function of this file.
        pub const OPS: &[$crate::ops::OpRow] = &[$($crate::ops::OpRow {
            name: stringify!($name),
            takes: $crate::ops::Takes::$takes,
            gradient: $crate::ops::Gradient::$gradient,
            onnx: $onnx,
            module: module_path!(),
        }),*];
    };
}
pub(crate) use ops;

/// Creates an operation from its name and attributes, if it has this name.
pub(crate) type Reader = fn(&str, &Attrs) -> Option<Result<Arc<dyn Op>>>;

/// The reader of a type of operation.
pub(crate) fn reader<O: Op + FromAttrs>(name: &str, attrs: &Attrs) -> Option<Result<Arc<dyn Op>>> {
    Some(O::from_attrs(name, attrs)?.map(|op| Arc::new(op) as Arc<dyn Op>))
}
