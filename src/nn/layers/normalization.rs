//! `Normalization`: normalizes each feature to mean 0 and variance 1, by statistics of data seen before.

use crate::config::Configured;
use crate::nn::initializer::{Initializer, Ones, Zeros};
use crate::nn::{Axes, Build, Cx, Init, InputSpecs, Layer, Masking, Node, Numbers, Param, single};
use crate::random::Stream;
use crate::shape::is_unknown;
use crate::tensor::{Few, Tensor};
use crate::{DType, Error, MAX_RANK, Result, Shape};
use std::sync::Arc;

crate::settings! {
    /// `(x - mean) / max(√variance, 1e-7)`, with a mean and a variance for each position along `axis`.
    ///
    /// Mean and variance are given, computed from data by [`Normalization::adapt`], or read from a file; until then
    /// they are 0 and 1. They are not trained. Whole numbers become floats.
    pub layer Normalization {
        /// Creates the layer over the last axis.
        new();

        /// The axes that have a mean and variance for each position: a number, a list, or `[]` for one mean of
        /// everything. Default: the last.
        axis: into Axes = -1isize,
        /// The mean: one number, or one for each position along the axes. Default: computed from data.
        mean: some into Numbers,
        /// The variance, in the same form.
        variance: some into Numbers,
        /// Whether to turn normalized values back: `x · max(√variance, 1e-7) + mean`. Default: `false`.
        invert: bool = false,
        adapted: state Option<Statistics> = None,
    }
}

/// The statistics that [`Normalization::adapt`] has found.
#[derive(Clone, Debug)]
struct Statistics {
    shape: Shape,
    mean: Arc<[f64]>,
    variance: Arc<[f64]>,
}

impl Normalization {
    /// Sets the mean and the (population) variance to those of this data, whose first axis is the batch. They are
    /// computed in float64.
    ///
    /// ```
    /// use gradus::prelude::*;
    /// use gradus::nn::layers::Normalization;
    /// let x = Tensor::from_slice(&[1.0f32, 10.0, 3.0, 30.0], [2, 2])?;
    /// let stack = Sequential::new().add(Input::new([2])).add(Normalization::new().adapt(&x)?);
    /// assert_eq!(stack.build()?.predict(&x)?.to_vec::<f32>()?, [-1.0, -1.0, 1.0, 1.0]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Normalization::adapt_batches`].
    pub fn adapt(self, x: &Tensor) -> Result<Normalization> {
        self.adapt_batches([Ok(x.clone())])
    }

    /// [`Normalization::adapt`] for batches from anywhere: `dataset.iter().map(|batch| Ok(batch?.x[0].clone()))`.
    ///
    /// # Errors
    /// One of the batches is an error; there are no batches, or no elements; their axes differ; or a mean was
    /// given.
    pub fn adapt_batches(
        mut self,
        batches: impl IntoIterator<Item = Result<Tensor>>,
    ) -> Result<Normalization> {
        if self.mean.is_some() || self.variance.is_some() {
            return Err(Error::argument(
                "adapt",
                "a layer without a mean and variance of its own",
                "one with them",
            ));
        }
        let mut found: Option<(usize, Statistics)> = None;
        for batch in batches {
            let new = self.statistics(&batch?)?;
            found = Some(match found {
                None => new,
                Some(old) => together(old, new)?,
            });
        }
        match found {
            Some((count, found)) if count > 0 => {
                self.adapted = Some(found);
                Ok(self)
            }
            _ => Err(Error::argument("adapt", "at least one sample", "none")),
        }
    }

    /// Returns the number of elements behind each mean, and the statistics.
    fn statistics(&self, x: &Tensor) -> Result<(usize, Statistics)> {
        let axes = self.axis.sorted("axis", x.shape())?;
        let dims = x.dims();
        let shape = Shape::new(&axes.iter().map(|&axis| dims[axis]).collect::<Few<usize, MAX_RANK>>())?;
        let others: Few<isize, MAX_RANK> =
            (0..x.rank()).filter(|axis| !axes.contains(axis)).map(|axis| axis as isize).collect();
        let count = others.iter().map(|&axis| dims[axis as usize]).product();
        let x = x.detach().cast(DType::F64)?;
        let numbers = |t: Tensor| t.to_vec::<f64>().map(Into::into);
        if others.is_empty() {
            let (mean, variance) = (numbers(x.clone())?, numbers(x.new_full(*x.shape(), 0.0)?)?);
            return Ok((1, Statistics { shape, mean, variance }));
        }
        if count == 0 {
            let zeros: Arc<[f64]> = vec![0.0; shape.elements()].into();
            return Ok((0, Statistics { shape, mean: zeros.clone(), variance: zeros }));
        }
        let (mean, variance) = (numbers(x.mean(&others, false)?)?, numbers(x.var(&others, false, 0)?)?);
        Ok((count, Statistics { shape, mean, variance }))
    }
}

/// Combines the statistics of two sets of data: each moves by its share of the distance between their means.
fn together(a: (usize, Statistics), b: (usize, Statistics)) -> Result<(usize, Statistics)> {
    let ((n, a), (m, b)) = (a, b);
    if a.shape != b.shape {
        return Err(Error::shapes(
            "adapt",
            a.shape,
            b.shape,
            "all batches should be of one shape along the axes",
        ));
    }
    let count = n + m;
    let share = m as f64 / count.max(1) as f64;
    let mean: Arc<[f64]> = a.mean.iter().zip(&*b.mean).map(|(a, b)| a + (b - a) * share).collect();
    let spread = |(i, (a_mean, b_mean)): (usize, (&f64, &f64))| {
        let apart = b_mean - a_mean;
        a.variance[i] * (1.0 - share) + b.variance[i] * share + apart * apart * share * (1.0 - share)
    };
    let variance = a.mean.iter().zip(&*b.mean).enumerate().map(spread).collect();
    Ok((count, Statistics { shape: a.shape, mean, variance }))
}

/// An initializer with statistics found in data.
#[derive(Debug)]
struct Found(Arc<[f64]>);
impl Configured for Found {}
impl Initializer for Found {
    fn value(&self, _: &Shape, _: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        let found = self.0.clone();
        Ok(Box::new(move |i| found.get(i as usize).copied().unwrap_or(0.0)))
    }
}

impl Build for Normalization {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let x = single(inputs)?.shape;
        let axes = self.axis.sorted("axis", &x)?;
        let (mut kept, mut broadcast) = (Few::<usize, MAX_RANK>::new(), [1; MAX_RANK]);
        for &axis in &axes {
            let size = x.dims()[axis];
            if is_unknown(size) {
                let expected = format!("axes of known size, of inputs {x}");
                return Err(Error::argument("axis", expected, format!("{:?}", self.axis.list())));
            }
            kept.push(size);
            broadcast[axis] = size;
        }
        let (kept, broadcast) = (Shape::new(&kept)?, Shape::new(&broadcast[..x.rank()])?);
        let [mean, variance, count] = match (&self.mean, &self.variance) {
            (None, None) => self.states(kept, init)?.map(Some),
            (Some(_), Some(_)) => [None, None, None],
            (Some(_), None) => return Err(Error::argument("variance", "one beside the mean", "none")),
            (None, Some(_)) => return Err(Error::argument("mean", "one beside the variance", "none")),
        };
        let given = match self.mean.as_ref().zip(self.variance.as_ref()) {
            Some((mean, variance)) => Some(constants(mean, variance, kept, broadcast, init.dtype())?),
            None => None,
        };
        let (invert, dtype) = (self.invert, init.dtype());
        Ok(Box::new(NormalizationNode { mean, variance, count, given, broadcast, invert, dtype }))
    }
}

impl Normalization {
    /// Makes mean, variance and count, with what was found in data.
    fn states(&self, kept: Shape, init: &mut Init) -> Result<[Param; 3]> {
        let (mean, variance) = match &self.adapted {
            None => (Zeros.into(), Ones.into()),
            Some(found) if found.shape == kept => {
                (Found(found.mean.clone()).into(), Found(found.variance.clone()).into())
            }
            Some(found) => {
                let why = "the data of adapt should have the shape of the input along the axes";
                return Err(Error::shapes("Normalization", kept, found.shape, why));
            }
        };
        Ok([init.state(kept, &mean)?, init.state(kept, &variance)?, init.state([], &Zeros.into())?])
    }
}

/// Returns the given statistics, as constants of the shape that inputs are normalized with.
fn constants(
    mean: &Numbers,
    variance: &Numbers,
    kept: Shape,
    broadcast: Shape,
    dtype: DType,
) -> Result<(Tensor, Tensor)> {
    mean.check("mean", f64::NEG_INFINITY)?;
    variance.check("variance", 0.0)?;
    if mean.shape() != variance.shape() {
        let why = "mean and variance should have one shape";
        return Err(Error::shapes("Normalization", *mean.shape(), *variance.shape(), why));
    }
    if Shape::broadcast("mean", kept, *mean.shape()).ok() != Some(kept) {
        let why = "the mean should have a number for each position along the axes";
        return Err(Error::shapes("Normalization", kept, *mean.shape(), why));
    }
    let whole = |numbers: &Numbers| numbers.tensor(dtype)?.broadcast_to(kept)?.reshape_to(broadcast);
    Ok((whole(mean)?, whole(variance)?))
}

/// The layer with its statistics.
#[derive(Clone, Debug)]
struct NormalizationNode {
    mean: Option<Param>,
    variance: Option<Param>,
    /// Kept because Keras's files have it; always 0.
    count: Option<Param>,
    /// Mean and variance, if they were given.
    given: Option<(Tensor, Tensor)>,
    /// The shape in which the statistics broadcast to an input.
    broadcast: Shape,
    invert: bool,
    /// The dtype that whole numbers become.
    dtype: DType,
}
crate::parts!(NormalizationNode { mean, variance, count });

/// Keeps the divisor away from zero; Keras's `epsilon()`.
const EPSILON: f64 = 1e-7;

impl Layer for NormalizationNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let x = if x.dtype().is_float() { x.clone() } else { x.cast(self.dtype)? };
        let (mean, variance) = match (&self.given, &self.mean, &self.variance) {
            (Some((mean, variance)), _, _) => (mean.clone(), variance.clone()),
            (None, Some(mean), Some(variance)) => {
                let of = |p: &Param| cx.state(p).reshape_to(self.broadcast);
                (of(mean)?, of(variance)?)
            }
            _ => return Ok(x),
        };
        let (mean, deviation) = (mean.cast(x.dtype())?, variance.cast(x.dtype())?.sqrt()?);
        let deviation = deviation.maximum(&deviation.new_full([], EPSILON)?)?;
        if self.invert { x.mul(&deviation)?.add(&mean) } else { x.sub(&mean)?.div(&deviation) }
    }
    fn masking(&self) -> Masking {
        Masking::Keep
    }
    fn class_name(&self) -> &'static str {
        "Normalization"
    }
    fn is_row_wise(&self) -> bool {
        // No axis of statistics is the batch.
        self.broadcast.dims().first() == Some(&1)
    }
}
