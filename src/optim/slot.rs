//! `Slot`: one of the named tensors that an optimizer keeps for a parameter, with its shape and initial value.
//! Moments have the parameter's shape, factored ones hold one number per row and column, and a running product is
//! one number.

use crate::error::Context;
use crate::tensor::Tensor;
use crate::{Error, Result, Shape, Spec};

/// The shape of a slot, relative to its parameter's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SlotShape {
    /// The parameter's shape.
    Like,
    /// One number per row: the shape without the last axis. (A vector is one row.)
    PerRow,
    /// One number per column: the shape without the second to last axis.
    PerColumn,
    /// One number.
    Scalar,
    /// This shape.
    Of(Shape),
}

/// The initial value of a slot.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Start {
    /// This number everywhere.
    Value(f64),
    /// The parameter's value before its first update; the slot then has the parameter's shape.
    Parameter,
}

/// One tensor of an optimizer's state, in the parameter's dtype. [`Slot::new`] makes one of the parameter's shape
/// that starts at 0, as moments do.
///
/// ```
/// use gradus::optim::{Slot, SlotShape};
/// let slots = [Slot::new("accumulator").start(0.1), Slot::new("rows").shape(SlotShape::PerRow)];
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct Slot {
    /// Its name; in files it follows the parameter's path: `optimizer/dense/kernel/m`.
    pub name: &'static str,
    /// Its shape.
    pub shape: SlotShape,
    /// Its initial value.
    pub start: Start,
}

impl Slot {
    /// Creates a slot of the parameter's shape that starts at 0.
    pub fn new(name: &'static str) -> Slot {
        Slot { name, shape: SlotShape::Like, start: Start::Value(0.0) }
    }

    /// Sets the shape.
    #[must_use]
    pub fn shape(mut self, shape: SlotShape) -> Slot {
        self.shape = shape;
        self
    }

    /// Sets the initial value of all elements.
    #[must_use]
    pub fn start(mut self, value: f64) -> Slot {
        self.start = Start::Value(value);
        self
    }

    /// Starts the slot with the parameter's value.
    #[must_use]
    pub fn start_at_parameter(mut self) -> Slot {
        self.start = Start::Parameter;
        self
    }

    /// Returns shape and dtype for a parameter.
    pub fn spec(&self, parameter: Spec) -> Spec {
        let without = |from_end: usize| {
            let dims = parameter.shape.dims();
            let mut shape = Shape::SCALAR;
            for (i, &d) in dims.iter().enumerate() {
                if i + from_end != dims.len() {
                    shape.push(d);
                }
            }
            shape
        };
        let shape = match self.shape {
            SlotShape::Like => parameter.shape,
            SlotShape::PerRow => without(1),
            SlotShape::PerColumn => without(2),
            SlotShape::Scalar => Shape::SCALAR,
            SlotShape::Of(shape) => shape,
        };
        Spec::new(shape, parameter.dtype)
    }

    /// Makes the slot's initial tensor.
    pub(super) fn tensor(&self, parameter: &Tensor) -> Result<Tensor> {
        match self.start {
            Start::Value(value) => Tensor::filled(self.spec(parameter.spec()), value),
            Start::Parameter => Ok(parameter.detach()),
        }
        .at(|| format!("slot '{}'", self.name))
    }
}

/// Fails unless every slot can be made, and its name in files is unique.
pub(super) fn check(slots: &[Slot], parameter: Spec) -> Result<()> {
    for (i, slot) in slots.iter().enumerate() {
        let bad = |expected: &str| Err(Error::argument("slot", expected, format!("'{}'", slot.name)));
        if slot.name.is_empty() || slot.name.contains('/') {
            return bad("a name without '/'");
        }
        if slots[..i].iter().any(|s| s.name == slot.name) {
            return bad("a name for each slot (the driver has 'gradient_accumulator' and 'moving_average')");
        }
        let spec = slot.spec(parameter);
        if slot.start == Start::Parameter && spec != parameter {
            return bad("the parameter's shape for a slot that begins with the parameter's value");
        }
        if !spec.shape.is_countable() {
            return Err(Error::shape("optimizer", "a slot whose elements can be counted", spec.shape));
        }
    }
    Ok(())
}
