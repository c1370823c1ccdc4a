//! Why it exists: what there is to know about an operation beside its code, as data beside its code: `docs/ops.md` is made
//! of it.

/// The element types that an operation takes.
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
    /// All.
    Any,
    /// Nothing: it makes a tensor of this kind.
    Nothing,
}

/// Whether an operation can be differentiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gradient {
    /// As often as wanted.
    Every,
    /// Nothing flows back.
    None,
}

/// A public function of tensors as data.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OpRow {
    /// The method's name.
    pub name: &'static str,
    /// The element types of its inputs.
    pub takes: Takes,
    /// Whether it can be differentiated.
    pub gradient: Gradient,
    /// ONNX's operator that says the same or, with its attributes or other operators, can; empty if there is none.
    pub onnx: &'static str,
    /// The module that it is defined in.
    pub module: &'static str,
}

/// Declares the rows of a file: `method: what it takes, its gradients, "ONNX's operator";`.
macro_rules! ops {
    ($($name:ident: $takes:ident, $gradient:ident, $onnx:literal;)*) => {
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
