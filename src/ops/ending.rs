//! What a product does with its sums before it stores them, besides bias and activation: what would be steps of their
//! own in a graph and, done there, are passes over memory less. The bits are those of the separate steps.

use super::elementwise::{Of, Relu};
use super::matmul::Fused;
use crate::autograd::{
    Attr, Attribute, Attributes, Attrs, Constant, EachElement, End, Grads, Made, Naming, Op, Ready, Specs,
    Step, elements,
};
use crate::kernels::gemm::{Epilogue, Map};
use crate::tensor::{Array, Few};
use crate::{DType, Error, Float, Result, Spec, Stored};
use std::sync::Arc;

/// All that follows a product, in this order.
#[derive(Clone, Copy, Debug, Default)]
struct Ending {
    scale: bool,
    residual: bool,
    activation: Option<Fused>,
    map: Option<EachElement>,
}

impl Ending {
    /// Returns this and then another one, if there is a place for it.
    fn then(self, end: End, dtype: DType) -> Option<Ending> {
        let nothing = self.activation.is_none() && self.map.is_none();
        match end {
            End::Scale if nothing && !self.scale && !self.residual => Some(Ending { scale: true, ..self }),
            // Of the product itself: see `Ended::then`.
            End::Bias => None,
            End::Residual if nothing && !self.residual => Some(Ending { residual: true, ..self }),
            End::Map(row) if nothing && row.name == Of::<Relu>::ROW.name() => {
                Some(Ending { activation: Some(Fused::Relu), ..self })
            }
            // A positive part is its own positive part.
            End::Map(row) if self.ends_positive() && row.name == "maximum" && row.p.to_bits() == 0 => {
                Some(self)
            }
            End::Map(row) if self.map.is_none() && dtype == DType::F32 => {
                Some(Ending { map: Some(row), ..self })
            }
            _ => None,
        }
    }

    /// Whether results are positive parts.
    fn ends_positive(self) -> bool {
        self.activation == Some(Fused::Relu) && self.map.is_none()
    }

    /// Whether nothing follows the product.
    fn is_nothing(self) -> bool {
        self.inputs() == 0 && self.activation.is_none() && self.map.is_none()
    }

    /// The number of further inputs.
    fn inputs(self) -> usize {
        2 * usize::from(self.scale) + usize::from(self.residual)
    }
}

/// The ending of one evaluation, with its inputs.
pub(super) struct Closing<'a> {
    ending: Ending,
    more: &'a [Array],
    /// The function in float32.
    pub(super) map: Option<Map<'a, f32>>,
}

impl Closing<'_> {
    pub(super) const NONE: Closing<'static> = Closing {
        ending: Ending { scale: false, residual: false, activation: None, map: None },
        more: &[],
        map: None,
    };

    /// Returns what kernels do, with a bias and an activation of the product's own.
    pub(super) fn epilogue<'b, T: Float + Stored>(
        &'b self,
        bias: Option<&'b Array>,
        activation: Option<Fused>,
        map: Option<Map<'b, T>>,
    ) -> Result<Epilogue<'b, T>> {
        let slice = |array: Option<&'b Array>| array.map(Array::slice::<T>).transpose();
        let (scale, rest) = self.more.split_at(2 * usize::from(self.ending.scale));
        let scale = match scale {
            [s, t] => Some((s.slice::<T>()?, t.slice::<T>()?)),
            _ => None,
        };
        let (bias, residual) = (slice(bias)?, slice(rest.first())?);
        Ok(Epilogue { bias, scale, residual, activation: activation.or(self.ending.activation), map })
    }
}

/// A product whose kernel can go on with a sum before it stores it. Its inputs are two, and a bias if it has one.
pub(super) trait Product: Op {
    /// Computes the product and its ending. If there is a form made `ready` of its input `WEIGHTS`, that
    /// input has a shape alone.
    fn close(
        &self,
        inputs: &[&Array],
        output: &mut Array,
        closing: &Closing<'_>,
        ready: Option<&(dyn Made + 'static)>,
    ) -> Result<()>;

    /// The activation of its own.
    fn activation(&self) -> Option<Fused>;

    /// Returns whether it is one product with all its rows, rather than a stack of them.
    fn is_one(&self, _inputs: &[Spec]) -> bool {
        true
    }

    /// Returns whether a form of its second input, the weights, can be made once that is read faster.
    fn packs(&self, inputs: &[Spec]) -> bool;

    /// Returns this form, or makes it.
    fn ready(&self, inputs: &[Spec], weights: Constant<'_>, kept: &mut Ready) -> Option<Arc<dyn Made>>;
}

/// The input of products that may be made ready: the weights.
const WEIGHTS: usize = 1;

/// Returns a product that ends with one of the steps that may follow it, if it can.
pub(super) fn ended<P: Product + Clone>(product: &P, inputs: &[Spec], end: End) -> Option<Arc<dyn Op>> {
    // An activation of its own stays with the product; `then` sees that it is there.
    let ending = Ending { activation: product.activation(), ..Ending::default() };
    let plain = Ended { product: Arc::new(product.clone()), own: inputs.len(), ending, ready: None };
    Some(Arc::new(plain.then(end, inputs)?))
}

/// Writes what a product says of its weights and of steps that follow it, for its `impl Op`.
macro_rules! ends {
    () => {
        fn ends_with(
            &self,
            inputs: &[$crate::Spec],
            end: $crate::autograd::End,
        ) -> Option<std::sync::Arc<dyn Op>> {
            $crate::ops::ending::ended(self, inputs, end)
        }
        fn readies(&self, inputs: &[$crate::Spec]) -> Option<usize> {
            $crate::ops::ending::readies(self, inputs)
        }
        fn made_ready(
            &self,
            inputs: &[$crate::Spec],
            constant: $crate::autograd::Constant<'_>,
            kept: &mut $crate::autograd::Ready,
        ) -> Option<(std::sync::Arc<dyn Op>, std::sync::Arc<dyn $crate::autograd::Made>)> {
            $crate::ops::ending::with_ready(self, inputs, constant, kept)
        }
    };
}
pub(super) use ends;

/// Returns which input of a product can be made ready.
pub(super) fn readies<P: Product>(product: &P, inputs: &[Spec]) -> Option<usize> {
    product.packs(inputs).then_some(WEIGHTS)
}

/// Returns a product with what was made of its weights, and that.
pub(super) fn with_ready<P: Product + Clone>(
    product: &P,
    inputs: &[Spec],
    weights: Constant<'_>,
    kept: &mut Ready,
) -> Option<(Arc<dyn Op>, Arc<dyn Made>)> {
    let ready = product.ready(inputs, weights, kept)?;
    let ending = Ending { activation: product.activation(), ..Ending::default() };
    let (product, own) = (Arc::new(product.clone()), inputs.len());
    Some((Arc::new(Ended { product, own, ending, ready: Some(ready.clone()) }), ready))
}

/// A product and its ending. Its inputs are the product's, then those of the ending.
#[derive(Clone)]
struct Ended {
    product: Arc<dyn Product>,
    /// How many inputs are the product's.
    own: usize,
    ending: Ending,
    /// What was made ready of its constants.
    ready: Option<Arc<dyn Made>>,
}

impl Ended {
    /// Returns this and then another step, if there is a place for it.
    fn then(&self, end: End, inputs: &[Spec]) -> Option<Ended> {
        let own = &inputs[..self.own];
        if let End::Bias = end {
            let may = self.own == 2 && self.ending.is_nothing();
            return may.then(|| Ended { own: 3, ..self.clone() });
        }
        if matches!(end, End::Scale | End::Residual) && !self.product.is_one(own) {
            return None;
        }
        Some(Ended { ending: self.ending.then(end, inputs[0].dtype)?, ..self.clone() })
    }
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ended({:?}, {:?})", self.product, self.ending)
    }
}

impl Attributes for Ended {
    fn name(&self) -> &'static str {
        match self.product.name() {
            "linear" => "linear_ended",
            "conv" => "conv_ended",
            "matmul" => "matmul_ended",
            other => other,
        }
    }
    fn inputs(&self) -> (usize, usize) {
        let n = self.own + self.ending.inputs();
        (n, n)
    }
    fn attrs(&self) -> Attrs {
        let mut attrs = self.product.attrs();
        attrs.set("scale", Attr::Bool(self.ending.scale));
        attrs.set("residual", Attr::Bool(self.ending.residual));
        attrs.set("activation", Attribute::write(&self.ending.activation));
        attrs.set("map", Attr::Text(self.ending.map.map_or("none", |row| row.name).into()));
        attrs
    }
    fn is_described(&self) -> bool {
        false
    }
}

impl Op for Ended {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        self.product.infer(&inputs[..self.own])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (own, more) = inputs.split_at(self.own);
        let more = more.iter().map(|array| array.contiguous()).collect::<Result<Few<Array, 3>>>()?;
        let ready = self.ready.as_deref();
        match self.ending.map {
            None => {
                let closing = Closing { ending: self.ending, more: &more, map: None };
                self.product.close(own, &mut outputs[0], &closing, ready)
            }
            Some(row) => {
                let map = |run: &mut [f32]| row.in_place(run);
                let closing = Closing { ending: self.ending, more: &more, map: Some(&map) };
                self.product.close(own, &mut outputs[0], &closing, ready)
            }
        }
    }
    fn vjp(&self, _: &Step<'_>) -> Result<Grads> {
        let why = "differentiate the graph before its epilogues were joined to the products";
        Err(Error::NotDifferentiable { op: self.name(), why })
    }
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        let Ending { scale, residual, activation, map } = self.ending;
        let own = activation.is_some() && self.product.activation().is_none();
        let more = 2 * u64::from(scale) + u64::from(residual) + u64::from(own) + u64::from(map.is_some());
        self.product.flops(&inputs[..self.own], outputs) + more * elements(outputs)
    }
    fn ends_with(&self, inputs: &[Spec], end: End) -> Option<Arc<dyn Op>> {
        Some(Arc::new(self.then(end, inputs)?))
    }
    fn readies(&self, inputs: &[Spec]) -> Option<usize> {
        self.product.packs(&inputs[..self.own]).then_some(WEIGHTS)
    }
    fn made_ready(
        &self,
        inputs: &[Spec],
        weights: Constant<'_>,
        kept: &mut Ready,
    ) -> Option<(Arc<dyn Op>, Arc<dyn Made>)> {
        let ready = self.product.ready(&inputs[..self.own], weights, kept)?;
        Some((Arc::new(Ended { ready: Some(ready.clone()), ..self.clone() }), ready))
    }
}
