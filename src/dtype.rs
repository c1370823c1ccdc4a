//! Why it exists: a tensor's element type is a run-time value, so that user code has no type parameters; this
//! file ties each value to its Rust type, and holds the one place where run time meets compile time, `dispatch!`.

mod half;

use crate::kernels::math::Lanes;
pub use half::{bf16, f16};

/// The type of a tensor's elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DType {
    /// 32-bit float: the default, and what kernels are tuned for.
    F32,
    /// 64-bit float: for checks and for those who need it.
    F64,
    /// bfloat16, as storage: cast to compute.
    BF16,
    /// IEEE half precision, as storage: cast to compute.
    F16,
    /// Signed integers: labels, indices, tokens.
    I64,
    /// Bytes: images.
    U8,
    /// Truth values: masks. One byte each, 0 or 1.
    Bool,
}

impl DType {
    /// Bytes per element.
    pub const fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 => 8,
            DType::F32 => 4,
            DType::BF16 | DType::F16 => 2,
            DType::U8 | DType::Bool => 1,
        }
    }

    /// Whether operations compute in this type (f32 and f64).
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    /// Keras's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F32 => "float32",
            DType::F64 => "float64",
            DType::BF16 => "bfloat16",
            DType::F16 => "float16",
            DType::I64 => "int64",
            DType::U8 => "uint8",
            DType::Bool => "bool",
        }
    }

    /// All types, in the order of the enum.
    pub const ALL: [DType; 7] =
        [DType::F32, DType::F64, DType::BF16, DType::F16, DType::I64, DType::U8, DType::Bool];
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What lies in a tensor's memory: plain numbers for which every bit pattern is valid.
pub trait Stored: Copy + Default + PartialEq + Send + Sync + std::fmt::Debug + 'static {}
impl Stored for f32 {}
impl Stored for f64 {}
impl Stored for bf16 {}
impl Stored for f16 {}
impl Stored for i64 {}
impl Stored for u8 {}

/// A Rust type that a tensor can be made of and read back as.
pub trait Element: Copy + Send + Sync + std::fmt::Debug + 'static {
    /// Its run-time name.
    const DTYPE: DType;
    /// How it lies in memory: itself, but for `bool`, which lies as a byte.
    type Stored: Stored;
    /// Into memory.
    fn store(self) -> Self::Stored;
    /// Out of memory.
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
element!(f32 => F32, f64 => F64, bf16 => BF16, f16 => F16, i64 => I64, u8 => U8);

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

/// The element types in which operations compute.
pub trait Float: Element<Stored = Self> + Stored + Lanes + num_traits::Float + std::ops::AddAssign {
    /// The nearest value of this type.
    fn of(v: f64) -> Self;
    /// Exact widening.
    fn wide(self) -> f64;
    /// Gradients below this count as 0 in optimizers: their squares, and a thousandth of those, would be subnormal numbers,
    /// on which processors are many times slower. 2⁻⁵⁸ for f32, 2⁻⁴⁸⁰ for f64.
    const TINY: Self;
    /// State that fades (moments, velocities) becomes 0 below this, before it can become subnormal. 2⁻¹⁰⁰ for f32,
    /// 2⁻⁹⁰⁰ for f64.
    const FADED: Self;
    /// 0 where the magnitude is below `limit`: by compare and select, alike on every instruction set.
    #[inline(always)]
    fn flush(self, limit: Self) -> Self {
        if num_traits::Float::abs(self) < limit { Self::c(0.0) } else { self }
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

/// Runs a block with `$T` bound to the Rust type of a floating dtype, or returns the error of operation `$op`.
macro_rules! dispatch_float {
    ($op:expr, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            got => {
                return Err($crate::Error::DType { op: $op, expected: "float32 or float64 (cast first)", got })
            }
        }
    };
}

/// Runs a block with `$T` bound to the type in which elements lie in memory.
macro_rules! dispatch_stored {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            $crate::DType::BF16 => {
                type $T = $crate::dtype::bf16;
                $body
            }
            $crate::DType::F16 => {
                type $T = $crate::dtype::f16;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::U8 | $crate::DType::Bool => {
                type $T = u8;
                $body
            }
        }
    };
}
pub(crate) use {dispatch_float, dispatch_stored};
