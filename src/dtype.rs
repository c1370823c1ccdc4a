//! Element types: [`DType`], the Rust types it stands for, and the conversions between them. The element type of a
//! tensor is a run-time value, so user code needs no type parameters; `dispatch!` is the one place where a run-time
//! value becomes a Rust type.

mod convert;
mod half;

use crate::kernels::math::Lanes;
pub(crate) use convert::Convert;
pub use half::{bf16, f16};
use std::ops::{AddAssign, DivAssign, MulAssign, SubAssign};

/// The type of a tensor's elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DType {
    /// 32-bit float: the default, and the type kernels are tuned for.
    F32,
    /// 64-bit float: for checks and for computations that need the precision.
    F64,
    /// bfloat16, for storage only: cast it to compute.
    BF16,
    /// IEEE half precision, for storage only: cast it to compute.
    F16,
    /// Signed integers of 64 bits: labels, indices, counts.
    I64,
    /// Signed integers of 32 bits: tokens, and sums of products of 8-bit integers.
    I32,
    /// Signed integers of 8 bits: quantized weights.
    I8,
    /// Bytes: images.
    U8,
    /// Truth values: masks. One byte each, 0 or 1.
    Bool,
}

impl DType {
    /// Returns the number of bytes per element.
    pub const fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 => 8,
            DType::F32 | DType::I32 => 4,
            DType::BF16 | DType::F16 => 2,
            DType::I8 | DType::U8 | DType::Bool => 1,
        }
    }

    /// Returns whether this is a float type that operations compute in (f32 or f64).
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    /// Returns whether this is an integer type (i64, i32, i8 or u8).
    pub const fn is_integer(self) -> bool {
        matches!(self, DType::I64 | DType::I32 | DType::I8 | DType::U8)
    }

    /// The float type of means and variances of this dtype: a float's own type; float32 for 8-bit types, since it
    /// holds all their values; and float64 for int64 and int32, which float32 would round, as in NumPy.
    pub(crate) const fn fraction(self) -> DType {
        match self {
            DType::I64 | DType::I32 => DType::F64,
            DType::I8 | DType::U8 | DType::Bool => DType::F32,
            float => float,
        }
    }

    /// Returns the dtype in which an operation on two dtypes computes: the smallest that both widen to in the order
    ///
    /// ```text
    /// bool → uint8 ─┐                  ┌→ float16 ──┐
    ///   └──→ int8 ──┴→ int32 → int64 ──┴→ bfloat16 ─┴→ float32 → float64
    /// ```
    ///
    /// This is the order of JAX, and so of Keras, restricted to the dtypes that exist here. (JAX's int16, for uint8
    /// with int8, does not: they promote to int32.) An integer with a float becomes that float, however short:
    /// int64 with float32 is float32. A Rust number beside a tensor is weaker than any tensor: a float literal
    /// leaves every float dtype as it is and turns integers into float32; an integer literal leaves every dtype but
    /// bool as it is.
    ///
    /// ```
    /// use gradus::DType;
    /// assert_eq!(DType::I64.promote(DType::F32), DType::F32);
    /// assert_eq!(DType::U8.promote(DType::I8), DType::I32);
    /// assert_eq!(DType::BF16.promote(DType::F16), DType::F32);
    /// ```
    #[must_use]
    pub const fn promote(self, other: DType) -> DType {
        use DType::{BF16, Bool, F16, F32, F64, I8, I32, I64, U8};
        match (self, other) {
            (F64, _) | (_, F64) => F64,
            (F32, _) | (_, F32) | (BF16, F16) | (F16, BF16) => F32,
            (BF16, _) | (_, BF16) => BF16,
            (F16, _) | (_, F16) => F16,
            (I64, _) | (_, I64) => I64,
            (I32, _) | (_, I32) | (I8, U8) | (U8, I8) => I32,
            (I8, _) | (_, I8) => I8,
            (U8, _) | (_, U8) => U8,
            (Bool, Bool) => Bool,
        }
    }

    /// Returns Keras's name of this dtype.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F32 => "float32",
            DType::F64 => "float64",
            DType::BF16 => "bfloat16",
            DType::F16 => "float16",
            DType::I64 => "int64",
            DType::I32 => "int32",
            DType::I8 => "int8",
            DType::U8 => "uint8",
            DType::Bool => "bool",
        }
    }

    /// All dtypes, in the order of the enum.
    pub const ALL: [DType; 9] = [
        DType::F32,
        DType::F64,
        DType::BF16,
        DType::F16,
        DType::I64,
        DType::I32,
        DType::I8,
        DType::U8,
        DType::Bool,
    ];
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// An element as it lies in memory: a plain number for which every bit pattern is valid.
pub trait Stored: Copy + Default + PartialEq + Send + Sync + std::fmt::Debug + 'static {
    /// Returns whether both have the same bits; any NaN equals any NaN.
    fn same_bits(self, other: Self) -> bool;
}

macro_rules! stored {
    (floats: $($float:ty)*; integers: $($integer:ty)*) => {
        $(impl Stored for $float {
            #[allow(clippy::eq_op)] // NaN alone differs from itself
            fn same_bits(self, other: $float) -> bool {
                self.to_bits() == other.to_bits() || (self != self && other != other)
            }
        })*
        $(impl Stored for $integer {
            fn same_bits(self, other: $integer) -> bool {
                self == other
            }
        })*
    };
}
stored!(floats: f32 f64 bf16 f16; integers: i64 i32 i8 u8);

/// A Rust type that tensors are made from and read back as.
pub trait Element: Copy + Send + Sync + std::fmt::Debug + 'static {
    /// The dtype that this Rust type stands for.
    const DTYPE: DType;
    /// The type in memory: the type itself, except that `bool` is stored as a byte.
    type Stored: Stored;
    /// Converts to the form in memory.
    fn store(self) -> Self::Stored;
    /// Converts from the form in memory.
    fn load(stored: Self::Stored) -> Self;
}

macro_rules! element {
    ($($t:ty => $d:ident),*) => {$(
        impl Element for $t {
            const DTYPE: DType = DType::$d;
            type Stored = $t;
            fn store(self) -> $t { self }
            fn load(stored: $t) -> $t { stored }
        }
    )*};
}
element!(f32 => F32, f64 => F64, bf16 => BF16, f16 => F16, i64 => I64, i32 => I32, i8 => I8, u8 => U8);

impl Element for bool {
    const DTYPE: DType = DType::Bool;
    type Stored = u8;
    fn store(self) -> u8 {
        u8::from(self)
    }
    fn load(stored: u8) -> bool {
        stored != 0
    }
}

/// The element types in which operations compute: f32 and f64. Elementary functions (`sqrt`, `exp`, `abs`, …) are
/// those of [`Real`](crate::kernels::math::Real), which give the same bits on every processor. There are no others
/// to choose from, so a formula of your own reads as on paper: `*w -= rate * m / (v.sqrt() + epsilon)`.
pub trait Float:
    Element<Stored = Self> + Stored + Lanes + PartialOrd + AddAssign + SubAssign + MulAssign + DivAssign
{
    /// Returns the nearest value of this type.
    fn of(v: f64) -> Self;
    /// 0.
    #[inline(always)]
    fn zero() -> Self {
        Self::c(0.0)
    }
    /// 1.
    #[inline(always)]
    fn one() -> Self {
        Self::c(1.0)
    }
    /// Infinity.
    #[inline(always)]
    fn infinity() -> Self {
        Self::c(f64::INFINITY)
    }
    /// Negative infinity.
    #[inline(always)]
    fn neg_infinity() -> Self {
        Self::c(f64::NEG_INFINITY)
    }
    /// Returns whether this is NaN.
    #[inline(always)]
    #[expect(clippy::eq_op, reason = "what NaN alone is unequal to is itself")]
    fn is_nan(self) -> bool {
        self != self
    }
    /// Widens to f64, exactly.
    fn wide(self) -> f64;
    /// Optimizers treat gradients below this as 0: their squares, and a thousandth of those, would be subnormal
    /// numbers, which processors handle many times more slowly. 2⁻⁵⁸ for f32, 2⁻⁴⁸⁰ for f64.
    const TINY: Self;
    /// Decaying state (moments, velocities) becomes 0 below this, before it can become subnormal. 2⁻¹⁰⁰ for f32,
    /// 2⁻⁹⁰⁰ for f64.
    const FADED: Self;
    /// Returns 0 if the magnitude is below `limit`, else the value. It compares and selects, so it is the same on
    /// every instruction set.
    #[inline(always)]
    fn flush(self, limit: Self) -> Self {
        if self.abs() < limit { Self::c(0.0) } else { self }
    }
}
impl Float for f32 {
    const TINY: f32 = f32::from_bits((127 - 58) << 23);
    const FADED: f32 = f32::from_bits((127 - 100) << 23);
    fn of(v: f64) -> f32 {
        v as f32
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
}
impl Float for f64 {
    const TINY: f64 = f64::from_bits((1023 - 480) << 52);
    const FADED: f64 = f64::from_bits((1023 - 900) << 52);
    fn of(v: f64) -> f64 {
        v
    }
    fn wide(self) -> f64 {
        self
    }
}

/// Runs a block with `$T` bound to the type listed for the value of `$key`; the last arms are ordinary `match`
/// arms.
macro_rules! dispatch {
    ($key:expr, $T:ident => $body:expr; $($($at:pat_param)|+ => $type:ty),+; $($rest:tt)*) => {
        match $key {
            $($($at)|+ => {
                type $T = $type;
                $body
            })+
            $($rest)*
        }
    };
}

/// Runs a block with `$T` bound to the Rust type of a floating dtype, or returns the error of operation `$op`.
macro_rules! dispatch_float {
    ($op:expr, $dtype:expr, $T:ident => $body:expr) => {
        $crate::dtype::dispatch! { $dtype, $T => $body;
            $crate::DType::F32 => f32,
            $crate::DType::F64 => f64;
            got => return Err($crate::Error::DType { op: $op, expected: "float32 or float64 (cast first)", got }),
        }
    };
}

/// Runs a block with `$T` bound to the Rust type of an integer dtype (truth values are bytes of 0 and 1), or
/// returns the error of operation `$op`.
macro_rules! dispatch_whole {
    ($op:expr, $dtype:expr, $T:ident => $body:expr) => {
        $crate::dtype::dispatch! { $dtype, $T => $body;
            $crate::DType::I64 => i64,
            $crate::DType::I32 => i32,
            $crate::DType::I8 => i8,
            $crate::DType::U8 | $crate::DType::Bool => u8;
            got => return Err($crate::Error::DType { op: $op, expected: "integers", got }),
        }
    };
}

/// Runs a block with `$T` bound to the type in which elements are stored.
macro_rules! dispatch_stored {
    ($dtype:expr, $T:ident => $body:expr) => {
        $crate::dtype::dispatch! { $dtype, $T => $body;
            $crate::DType::F32 => f32,
            $crate::DType::F64 => f64,
            $crate::DType::BF16 => $crate::dtype::bf16,
            $crate::DType::F16 => $crate::dtype::f16,
            $crate::DType::I64 => i64,
            $crate::DType::I32 => i32,
            $crate::DType::I8 => i8,
            $crate::DType::U8 | $crate::DType::Bool => u8;
        }
    };
}

/// Runs a block with `$T` bound to some type of the same size as the dtype's elements, for `Array::words`. Moving
/// elements needs only their size, and code for four sizes is half as much as code for all types.
macro_rules! dispatch_moved {
    ($dtype:expr, $T:ident => $body:expr) => {
        $crate::dtype::dispatch! { $dtype.size(), $T => $body;
            8 => i64,
            4 => i32,
            2 => $crate::dtype::f16,
            _ => u8;
        }
    };
}
pub(crate) use {dispatch, dispatch_float, dispatch_moved, dispatch_stored, dispatch_whole};
