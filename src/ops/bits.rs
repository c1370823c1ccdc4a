//! Operations on the bits of integers, and what else only integers have: greatest common divisors, least common
//! multiples. None has a gradient.

use super::promote::alike;
use crate::autograd::{Attributes, Op, Specs, apply1, names, nothing_flows, one};
use crate::dtype::dispatch_whole;
use crate::kernels::map;
use crate::kernels::math::Whole;
use crate::tensor::{Array, Tensor};
use crate::{Error, Result, Shape, Spec};

super::table::ops! {
    [Bits];
    bitwise_and: Ints, None, "BitwiseAnd";
    bitwise_or: Ints, None, "BitwiseOr";
    bitwise_xor: Ints, None, "BitwiseXor";
    bitwise_not: Ints, None, "BitwiseNot";
    left_shift: Ints, None, "BitShift";
    right_shift: Ints, None, "BitShift";
    gcd: Ints, None, "";
    lcm: Ints, None, "";
}

names! {
    enum Kind {
        And = "bitwise_and",
        Or = "bitwise_or",
        Xor = "bitwise_xor",
        Left = "left_shift",
        Right = "right_shift",
        Gcd = "gcd",
        Lcm = "lcm",
    }
}

crate::op! {
    /// Two integers of one type, computed in 64 bits, of which the last remain.
    struct Bits(kind: Kind, 2) {}
}

/// Euclid's algorithm.
fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.cast_signed()
}

impl Kind {
    /// The function on numbers of this many bits.
    fn of(self, a: i64, b: i64, bits: i64) -> i64 {
        match self {
            Kind::And => a & b,
            Kind::Or => a | b,
            Kind::Xor => a ^ b,
            // All bits leave, to either side: what comes in is 0, or the sign.
            Kind::Left => {
                if (0..bits).contains(&b) {
                    a << b
                } else {
                    0
                }
            }
            Kind::Right => a >> if (0..bits).contains(&b) { b } else { 63 },
            Kind::Gcd => gcd(a, b),
            Kind::Lcm => match gcd(a, b) {
                0 => 0,
                d => (a / d).wrapping_mul(b).wrapping_abs(),
            },
        }
    }

    fn slice<I: Whole>(self, a: &[I], b: &[I], out: &mut [I]) {
        let bits = 8 * size_of::<I>() as i64;
        for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
            *o = I::wrap(self.of((*a).convert(), (*b).convert(), bits));
        }
    }
}

impl Op for Bits {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        if !inputs[0].dtype.is_integer() || inputs[1].dtype != inputs[0].dtype {
            let expected = "integers (for truth values see logical_and, logical_or, logical_xor)";
            let got = if inputs[0].dtype.is_integer() { inputs[1].dtype } else { inputs[0].dtype };
            return Err(Error::DType { op: self.name(), expected, got });
        }
        Ok(one(Shape::broadcast(self.name(), inputs[0].shape, inputs[1].shape)?, inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let out = &mut outputs[0];
        let [a, b] = [0, 1].map(|i| inputs[i].with_layout(inputs[i].layout().broadcast(*out.shape())));
        dispatch_whole!(self.name(), a.dtype(), T => {
            let f = |a: &[T], b: &[T], o: &mut [T]| self.kind.slice(a, b, o);
            map::binary(a.view::<T>()?, b.view::<T>()?, out.slice_mut::<T>()?, 1, &f);
        });
        Ok(())
    }
    nothing_flows!();
}

impl Tensor {
    fn bits(&self, other: &Tensor, kind: Kind) -> Result<Tensor> {
        let [a, b] = alike([self, other])?;
        apply1(Bits { kind }, &[&a, &b])
    }

    /// The bits that both have. Shapes broadcast.
    ///
    /// # Errors
    /// An operand is not of integers, or shapes do not broadcast.
    pub fn bitwise_and(&self, other: &Tensor) -> Result<Tensor> {
        self.bits(other, Kind::And)
    }

    /// The bits that either has. Shapes broadcast.
    ///
    /// # Errors
    /// Those of [`Tensor::bitwise_and`].
    pub fn bitwise_or(&self, other: &Tensor) -> Result<Tensor> {
        self.bits(other, Kind::Or)
    }

    /// The bits that one of both has. Shapes broadcast.
    ///
    /// # Errors
    /// Those of [`Tensor::bitwise_and`].
    pub fn bitwise_xor(&self, other: &Tensor) -> Result<Tensor> {
        self.bits(other, Kind::Xor)
    }

    /// The bits that it does not have.
    ///
    /// # Errors
    /// The dtype is not of integers.
    pub fn bitwise_not(&self) -> Result<Tensor> {
        if !self.dtype().is_integer() {
            let expected = "integers (for truth values see logical_not)";
            return Err(Error::DType { op: "bitwise_not", expected, got: self.dtype() });
        }
        // -x - 1 in two's complement, and 255 - x for bytes.
        self.neg()?.sub(&self.new_full([], 1.0)?)
    }

    /// Moves the bits up by the other's number of places; from the width of the type on, and below 0, none remain.
    ///
    /// # Errors
    /// Those of [`Tensor::bitwise_and`].
    pub fn left_shift(&self, places: &Tensor) -> Result<Tensor> {
        self.bits(places, Kind::Left)
    }

    /// Moves the bits down by the other's number of places, and the sign after them; from the width of the type on, and
    /// below 0, only the sign remains.
    ///
    /// # Errors
    /// Those of [`Tensor::bitwise_and`].
    pub fn right_shift(&self, places: &Tensor) -> Result<Tensor> {
        self.bits(places, Kind::Right)
    }

    /// The greatest common divisor, which is not negative; of 0 and 0 it is 0.
    ///
    /// # Errors
    /// Those of [`Tensor::bitwise_and`].
    pub fn gcd(&self, other: &Tensor) -> Result<Tensor> {
        self.bits(other, Kind::Gcd)
    }

    /// The least common multiple, which is not negative; with 0 it is 0. It wraps.
    ///
    /// # Errors
    /// Those of [`Tensor::bitwise_and`].
    pub fn lcm(&self, other: &Tensor) -> Result<Tensor> {
        self.bits(other, Kind::Lcm)
    }
}
