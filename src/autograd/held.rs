//! `Op` for `Arc<dyn Op>`: operations held by a counter, which graphs keep and run.

use super::{Attributes, Attrs, Constant, End, Grads, Made, Op, Ready, Saves, Specs, Step};
use crate::kernels::strided::Layout;
use crate::tensor::Array;
use crate::{Result, Spec};
use std::any::TypeId;
use std::sync::Arc;

/// An operation that is also held elsewhere, like the steps of a graph: every call is passed on.
impl Attributes for Arc<dyn Op> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn inputs(&self) -> (usize, usize) {
        (**self).inputs()
    }
    fn attrs(&self) -> Attrs {
        (**self).attrs()
    }
    fn is_described(&self) -> bool {
        (**self).is_described()
    }
    fn reseeded(&self, seed: u64, step: u64) -> Option<Arc<dyn Op>> {
        (**self).reseeded(seed, step)
    }
    fn is_random(&self) -> bool {
        (**self).is_random()
    }
}
impl Op for Arc<dyn Op> {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        (**self).infer(inputs)
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        (**self).eval(inputs, outputs)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        (**self).vjp(step)
    }
    fn saves(&self, wants: &[bool]) -> Saves {
        (**self).saves(wants)
    }
    fn view(&self, input: &Layout, output: Spec) -> Option<Layout> {
        (**self).view(input, output)
    }
    fn reads_apart(&self, input: usize) -> bool {
        (**self).reads_apart(input)
    }
    fn eval_in_place(&self, first: &mut Array, rest: &[&Array]) -> Result<bool> {
        (**self).eval_in_place(first, rest)
    }
    fn works_in_place(&self, inputs: &[Spec]) -> bool {
        (**self).works_in_place(inputs)
    }
    fn reads_values(&self) -> bool {
        (**self).reads_values()
    }
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        (**self).flops(inputs, outputs)
    }
    fn as_end(&self, inputs: &[Spec]) -> Option<End> {
        (**self).as_end(inputs)
    }
    fn ends_with(&self, inputs: &[Spec], end: End) -> Option<Arc<dyn Op>> {
        (**self).ends_with(inputs, end)
    }
    fn as_end_with(&self, second: f32) -> Option<End> {
        (**self).as_end_with(second)
    }
    fn zeros_around(&self) -> Option<(&[usize], &[usize])> {
        (**self).zeros_around()
    }
    fn padded(&self, inputs: &[Spec], before: &[usize], after: &[usize]) -> Option<Arc<dyn Op>> {
        (**self).padded(inputs, before, after)
    }
    fn readies(&self, inputs: &[Spec]) -> Option<usize> {
        (**self).readies(inputs)
    }
    fn made_ready(
        &self,
        inputs: &[Spec],
        constant: Constant<'_>,
        kept: &mut Ready,
    ) -> Option<(Arc<dyn Op>, Arc<dyn Made>)> {
        (**self).made_ready(inputs, constant, kept)
    }
    fn stops(&self) -> bool {
        (**self).stops()
    }
    fn kind(&self) -> TypeId {
        (**self).kind()
    }
    fn shared(&self) -> Option<Arc<dyn Op>> {
        Some(self.clone())
    }
}
