//! Comparisons, truth values, and selection by them.

use super::promote::alike;
use super::reduce::is_whole;
use crate::autograd::{Attributes, Grads, Op, Saves, Specs, Step, apply1, names, one};
use crate::dtype::{dispatch_moved, dispatch_stored};
use crate::kernels::map;
use crate::tensor::{Array, Tensor, few};
use crate::{DType, Error, Result, Shape, Spec, Stored};

super::table::ops! {
    [Compare, Where];
    equal: Any, None, "Equal";
    not_equal: Any, None, "Equal";
    less: Any, None, "Less";
    less_equal: Any, None, "LessOrEqual";
    greater: Any, None, "Greater";
    greater_equal: Any, None, "GreaterOrEqual";
    choose: Any, Every, "Where";
    is_nan: Any, None, "IsNaN";
    is_inf: Any, None, "IsInf";
    is_finite: Any, None, "IsInf";
    is_posinf: Any, None, "IsInf";
    is_neginf: Any, None, "IsInf";
    signbit: Any, None, "";
    isclose: Wide, None, "";
    allclose: Wide, None, "";
    logical_not: Bools, None, "Not";
    logical_and: Bools, None, "And";
    logical_or: Bools, None, "Or";
    logical_xor: Bools, None, "Xor";
}

names! {
    enum Comparison {
        Equal = "equal",
        NotEqual = "not_equal",
        Less = "less",
        LessEqual = "less_equal",
    }
}

crate::op! {
    /// Compares two operands of one dtype and broadcastable shapes.
    struct Compare(kind: Comparison, 2) {}
}

impl Comparison {
    fn holds<T: PartialOrd>(self, a: T, b: T) -> bool {
        match self {
            Comparison::Equal => a == b,
            Comparison::NotEqual => a != b,
            Comparison::Less => a < b,
            Comparison::LessEqual => a <= b,
        }
    }

    fn slice<T: Stored + PartialOrd>(self, a: &[T], b: &[T], out: &mut [u8]) {
        for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *o = u8::from(self.holds(a, b));
        }
    }
}

fn same_dtype(op: &'static str, a: Spec, b: Spec) -> Result<()> {
    if a.dtype == b.dtype {
        return Ok(());
    }
    let why = format!("{} and {} differ in element type: cast one of them", a.dtype, b.dtype);
    Err(Error::shapes(op, a.shape, b.shape, why))
}

/// Returns operands repeated to the output's shape.
fn stretched<const N: usize>(inputs: &[&Array], out: &Shape) -> [Array; N] {
    std::array::from_fn(|i| inputs[i].with_layout(inputs[i].layout().broadcast(*out)))
}

impl Op for Compare {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        same_dtype(self.name(), inputs[0], inputs[1])?;
        Ok(one(Shape::broadcast(self.name(), inputs[0].shape, inputs[1].shape)?, DType::Bool))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let [a, b] = stretched(inputs, outputs[0].shape());
        dispatch_stored!(a.dtype(), T => {
            let f = |a: &[T], b: &[T], out: &mut [u8]| self.kind.slice(a, b, out);
            map::binary(a.view::<T>()?, b.view::<T>()?, outputs[0].slice_mut()?, 1, &f);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, _: &Step<'_>) -> Result<Grads> {
        Ok(few![None, None])
    }
}

crate::op! {
    /// Takes elements of the second input where the first is true, of the third elsewhere.
    struct Where("where", 3) {}
}

impl Op for Where {
    fn flops(&self, _: &[Spec], _: &[Spec]) -> u64 {
        0
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let [c, a, b] = [inputs[0], inputs[1], inputs[2]];
        if c.dtype != DType::Bool {
            return Err(Error::DType { op: "where", expected: "a bool condition", got: c.dtype });
        }
        same_dtype("where", a, b)?;
        let shape = Shape::broadcast("where", Shape::broadcast("where", a.shape, b.shape)?, c.shape)?;
        Ok(one(shape, a.dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let [c, a, b] = stretched(inputs, outputs[0].shape());
        dispatch_moved!(a.dtype(), T => {
            let out = outputs[0].words_mut::<T>()?;
            map::copy(b.words::<T>()?, out);
            let (c, a) = (c.contiguous()?, a.contiguous()?);
            for ((o, &c), &a) in out.iter_mut().zip(c.slice::<u8>()?).zip(a.word_slice::<T>()?) {
                if c != 0 {
                    *o = a;
                }
            }
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE.input(0)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (g, c) = (step.grad(0)?, step.input(0).detach());
        let zero = g.new_full([], 0.0)?;
        let mut grads: Grads = few![None, None, None];
        if step.wants(1) {
            grads[1] = Some(c.choose(&g, &zero)?.sum_to(&step.spec(1).shape)?);
        }
        if step.wants(2) {
            grads[2] = Some(c.choose(&zero, &g)?.sum_to(&step.spec(2).shape)?);
        }
        Ok(grads)
    }
}

macro_rules! compare {
    ($($(#[$doc:meta])* $name:ident($a:ident, $b:ident): $kind:ident, $first:ident, $second:ident;)*) => {
        impl Tensor {$(
            $(#[$doc])*
            /// The result is bool; shapes broadcast as in NumPy, dtypes are promoted by [`DType::promote`]. NaN is
            /// not equal to anything, nor less or greater.
            ///
            /// # Errors
            /// Shapes do not broadcast, or there is not enough memory.
            pub fn $name(&self, other: &Tensor) -> Result<Tensor> {
                let [$a, $b] = alike([self, other])?;
                apply1(Compare { kind: Comparison::$kind }, &[&$first, &$second])
            }
        )*}
    };
}

compare! {
    /// Returns where both are equal.
    equal(a, b): Equal, a, b;
    /// Returns where they differ.
    not_equal(a, b): NotEqual, a, b;
    /// Returns where this is less.
    less(a, b): Less, a, b;
    /// Returns where this is less or equal.
    less_equal(a, b): LessEqual, a, b;
    /// Returns where this is greater.
    greater(a, b): Less, b, a;
    /// Returns where this is greater or equal.
    greater_equal(a, b): LessEqual, b, a;
}

impl Tensor {
    /// NumPy's `where`: with this bool tensor as the condition, takes elements of `a` where it is true and of `b`
    /// elsewhere. All three broadcast, the dtypes of `a` and `b` are promoted by [`DType::promote`]; no gradient
    /// flows back to the branch not taken.
    ///
    /// # Errors
    /// This is not bool, or shapes do not broadcast.
    pub fn choose(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let [a, b] = alike([a, b])?;
        apply1(Where {}, &[self, &a, &b])
    }

    /// Returns where this is NaN.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn is_nan(&self) -> Result<Tensor> {
        self.not_equal(self)
    }

    /// Returns where this is negative, a zero or NaN with that sign included.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn signbit(&self) -> Result<Tensor> {
        let x = self.detach();
        let x = match x.dtype() {
            dtype if is_whole(dtype) => x.cast(DType::I64)?,
            // Exactly, and the sign of NaN stays.
            DType::F64 => x.new_full([], 1.0)?.copysign(&x)?,
            _ => x.cast(DType::F32)?.new_full([], 1.0)?.copysign(&x.cast(DType::F32)?)?,
        };
        x.less(&x.new_full([], 0.0)?)
    }

    /// Returns where `|a - b| <= atol + rtol·|b|` (NumPy's `isclose`; its tolerances are 1e-5 and 1e-8). Equal
    /// infinities are close; NaN is close to NaN if `equal_nan`.
    ///
    /// # Errors
    /// Shapes do not broadcast, or a dtype is bfloat16 or float16.
    pub fn isclose(&self, other: &Tensor, rtol: f64, atol: f64, equal_nan: bool) -> Result<Tensor> {
        let [a, b] = alike([self, other])?;
        let wide = |t: &Tensor| if is_whole(t.dtype()) { t.cast(DType::F64) } else { Ok(t.detach()) };
        let (a, b) = (wide(&a)?, wide(&b)?);
        let near = a.sub(&b)?.abs()?.less_equal(&b.abs()?.affine(rtol, atol)?)?;
        let close = near.logical_and(&b.is_finite()?)?.logical_or(&a.equal(&b)?)?;
        if !equal_nan {
            return Ok(close);
        }
        close.logical_or(&a.is_nan()?.logical_and(&b.is_nan()?)?)
    }

    /// Returns whether [`Tensor::isclose`] holds everywhere.
    ///
    /// # Errors
    /// Those of [`Tensor::isclose`].
    pub fn allclose(&self, other: &Tensor, rtol: f64, atol: f64, equal_nan: bool) -> Result<Tensor> {
        self.isclose(other, rtol, atol, equal_nan)?.all(&[], false)
    }

    /// Returns where this is neither infinite nor NaN; everywhere, for dtypes that have neither.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn is_finite(&self) -> Result<Tensor> {
        if is_whole(self.dtype()) {
            return self.equal(self);
        }
        let below = self.less(&self.new_full([], f64::INFINITY)?)?;
        below.logical_and(&self.greater(&self.new_full([], f64::NEG_INFINITY)?)?)
    }

    /// Returns where this is infinite.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn is_inf(&self) -> Result<Tensor> {
        self.is_finite()?.logical_or(&self.is_nan()?)?.logical_not()
    }

    /// Returns where this is infinity.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn is_posinf(&self) -> Result<Tensor> {
        self.is_inf()?.logical_and(&self.signbit()?.logical_not()?)
    }

    /// Returns where this is negative infinity.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn is_neginf(&self) -> Result<Tensor> {
        self.is_inf()?.logical_and(&self.signbit()?)
    }

    /// Returns where exactly one of two bool tensors is true.
    ///
    /// # Errors
    /// They are not both bool, or shapes do not broadcast.
    pub fn logical_xor(&self, other: &Tensor) -> Result<Tensor> {
        self.choose(&other.logical_not()?, other)
    }

    /// Returns where this bool tensor is false.
    ///
    /// # Errors
    /// This is not bool.
    pub fn logical_not(&self) -> Result<Tensor> {
        if self.dtype() != DType::Bool {
            return Err(Error::DType { op: "logical_not", expected: "bool", got: self.dtype() });
        }
        self.equal(&self.new_full([], 0.0)?)
    }

    /// Returns where both bool tensors are true.
    ///
    /// # Errors
    /// They are not both bool, or shapes do not broadcast.
    pub fn logical_and(&self, other: &Tensor) -> Result<Tensor> {
        same_dtype("logical_and", self.spec(), other.spec())?;
        self.choose(other, &other.new_full([], 0.0)?)
    }

    /// Returns where either bool tensor is true.
    ///
    /// # Errors
    /// They are not both bool, or shapes do not broadcast.
    pub fn logical_or(&self, other: &Tensor) -> Result<Tensor> {
        same_dtype("logical_or", self.spec(), other.spec())?;
        self.choose(&other.new_full([], 1.0)?, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bools(t: &Tensor) -> Vec<bool> {
        t.to_vec().unwrap()
    }

    #[test]
    fn comparisons_broadcast_and_know_nan() {
        let a = Tensor::from_slice(&[1.0f32, 2.0, f32::NAN], [3]).unwrap();
        let b = Tensor::scalar(2.0f32).unwrap();
        assert_eq!(bools(&a.less(&b).unwrap()), [true, false, false]);
        assert_eq!(bools(&a.greater_equal(&b).unwrap()), [false, true, false]);
        assert_eq!(bools(&a.equal(&a).unwrap()), [true, true, false]);
        assert_eq!(bools(&a.is_nan().unwrap()), [false, false, true]);
        // 0, 1 and 2 as float32.
        assert_eq!(bools(&a.greater(&Tensor::arange(3).unwrap()).unwrap()), [true, true, false]);
    }

    #[test]
    fn truth_tables() {
        let a = Tensor::from_slice(&[false, false, true, true], [4]).unwrap();
        let b = Tensor::from_slice(&[false, true, false, true], [4]).unwrap();
        assert_eq!(bools(&a.logical_and(&b).unwrap()), [false, false, false, true]);
        assert_eq!(bools(&a.logical_or(&b).unwrap()), [false, true, true, true]);
        assert_eq!(bools(&a.logical_not().unwrap()), [true, true, false, false]);
    }

    #[test]
    fn a_choice_passes_gradients_to_the_branch_taken() {
        let c = Tensor::from_slice(&[true, false, true], [3]).unwrap();
        let a = Tensor::from_slice(&[0.3, -0.2, 0.7], [3]).unwrap();
        let b = Tensor::scalar(0.4).unwrap();
        let f = |t: &[Tensor]| c.choose(&t[0].square()?, &t[1].exp()?);
        let check = crate::autograd::gradcheck(f, &[a, b]).unwrap();
        assert!(check.first < 1e-7 && check.second < 1e-6, "{check:?}");
    }
}
