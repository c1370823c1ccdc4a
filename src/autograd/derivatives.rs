//! Derivatives beyond the gradient of one number, each made of several sweeps: Jacobians, and products of Hessians
//! with vectors.

use super::backward::{grad, sweep_of};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, Shape};

/// Computes Jacobians: for each of `wrt` the derivatives of every element of `output`, of shape `[…output, …wrt]`.
/// This takes one sweep for each element of `output`. The results are tracked: differentiating them gives the next
/// order. (So all sweeps stay in memory until the results are dropped or detached.)
///
/// ```
/// use gradus::{Tensor, autograd::jacobian};
/// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], [3])?.tracked();
/// let y = x.square()?.slice(0, 1, 3)?;
/// let j = jacobian(&y, &[&x])?.swap_remove(0);
/// assert_eq!(j.to_vec::<f64>()?, [0.0, 4.0, 0.0, 0.0, 0.0, 6.0]);
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// `output` has no history, a step has no gradient, `output` does not depend on one of `wrt`, or a result has too
/// many axes.
pub fn jacobian(output: &Tensor, wrt: &[&Tensor]) -> Result<Vec<Tensor>> {
    let n = output.elements();
    let shape = |x: &Tensor| Shape::new(&[output.dims(), x.dims()].concat());
    let shapes = wrt.iter().map(|x| shape(x)).collect::<Result<Vec<_>>>()?;
    let mut rows: Vec<Vec<Tensor>> = wrt.iter().map(|_| Vec::new()).collect();
    for i in 0..n {
        let at = Tensor::scalar(i as i64)?.one_hot(n, output.dtype())?.reshape_to(*output.shape())?;
        for (rows, row) in rows.iter_mut().zip(sweep_of(output, at, wrt)?) {
            rows.push(row);
        }
    }
    let joined = |(rows, (x, shape)): (Vec<Tensor>, (&&Tensor, Shape))| match rows.is_empty() {
        true => x.new_full(shape, 0.0),
        false => Tensor::stack(&rows.iter().collect::<Vec<_>>(), 0)?.reshape_to(shape),
    };
    rows.into_iter().zip(wrt.iter().zip(shapes)).map(joined).collect()
}

/// Computes products of the Hessian of one number with a vector, without computing the Hessian: for each of `wrt`,
/// `Σⱼ ∂²output/∂xᵢ∂xⱼ · vⱼ` over the elements of all of `wrt` (Pearlmutter 1994). `vectors` has one tensor for
/// each of `wrt`, of its shape. It costs about two sweeps. Where the gradient is constant, the product is zero.
///
/// ```
/// use gradus::{Tensor, autograd::hvp};
/// let x = Tensor::from_slice(&[1.0, 2.0], [2])?.tracked();
/// let y = x.square()?.mul(&x)?.sum(&[], false)?; // Σ x³
/// let v = Tensor::from_slice(&[1.0, 10.0], [2])?;
/// assert_eq!(hvp(&y, &[&x], &[&v])?[0].to_vec::<f64>()?, [6.0, 120.0]);
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// Those of [`grad`], or vectors do not fit.
pub fn hvp(output: &Tensor, wrt: &[&Tensor], vectors: &[&Tensor]) -> Result<Vec<Tensor>> {
    if wrt.len() != vectors.len() {
        let expected = format!("a vector for each of {} tensors", wrt.len());
        return Err(Error::argument("hvp", expected, vectors.len()));
    }
    for (x, v) in wrt.iter().zip(vectors) {
        if x.spec() != v.spec() {
            let why = "a vector has the shape and dtype of its tensor";
            return Err(Error::shapes("hvp", *x.shape(), *v.shape(), why));
        }
    }
    let zeros = |x: &&Tensor| x.new_full(*x.shape(), 0.0);
    let mut sum: Option<Tensor> = None;
    for (g, v) in grad(output, wrt)?.iter().zip(vectors) {
        if g.is_tracked() {
            let term = g.mul(v)?.sum(&[], false)?.cast(DType::F64)?;
            sum = Some(match sum {
                Some(sum) => sum.add(&term)?,
                None => term,
            });
        }
    }
    let Some(sum) = sum else { return wrt.iter().map(zeros).collect() };
    // Where the gradient does not depend on an input, its second derivative is zero.
    let one = sum.new_full([], 1.0)?;
    let found = super::backward::sweep_some(&sum, one, wrt)?;
    found.into_iter().zip(wrt).map(|(g, x)| g.map_or_else(|| zeros(x), Ok)).collect()
}
