//! Moves images: values between pixels, and the coordinates that affine, perspective and elastic transforms look them up
//! at. The rules are those of `keras.ops.image`; all are compositions, so that gradients flow to images and coordinates.

use super::arrange::positions;
use super::elementwise::float;
use super::image::{batched, unbatched};
use super::resize::Interpolation;
use crate::random::{Distribution, Stream};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, Shape, string_enum};

super::table::ops! {
    map_coordinates: Floats, Every, "";
    affine_transform: Floats, Every, "";
    perspective_transform: Floats, Every, "";
    elastic_transform: Floats, Every, "";
    scale_and_translate: Floats, Every, "";
}

string_enum! {
    /// What lies beyond the edges of an image where it is looked up; the names are Keras's and SciPy's.
    #[derive(Default)]
    pub enum FillMode {
        /// A constant: `k k [a b c] k k`.
        #[default]
        Constant = "constant",
        /// The element at the edge: `a a [a b c] c c`.
        Nearest = "nearest",
        /// The elements from the other end: `b c [a b c] a b`.
        Wrap = "wrap",
        /// The elements mirrored at the edge element: `c b [a b c] b a`.
        Mirror = "mirror",
        /// The elements mirrored, the edge element included: `b a [a b c] c b`.
        Reflect = "reflect",
    }
}

/// How values are looked up.
#[derive(Clone, Copy, Debug)]
pub struct Lookup {
    /// Whether values between pixels are interpolated linearly along each axis; otherwise the nearest pixel counts, of two
    /// the one that is farther from 0.
    pub bilinear: bool,
    /// What lies beyond the edges.
    pub fill_mode: FillMode,
    /// The constant beyond the edges.
    pub fill_value: f64,
}

/// Linear, and 0 beyond the edges.
impl Default for Lookup {
    fn default() -> Lookup {
        Lookup { bilinear: true, fill_mode: FillMode::Constant, fill_value: 0.0 }
    }
}

/// A whole number as a tensor.
fn number(v: usize) -> Result<Tensor> {
    Tensor::scalar(i64::try_from(v).unwrap_or(i64::MAX))
}

/// Where an axis of `n` elements is read for an index, and whether that is inside.
fn fixed(index: &Tensor, n: usize, mode: FillMode) -> Result<(Tensor, Tensor)> {
    let mirrored = |index: &Tensor, half: usize| {
        let shifted = index.add(&number(half)?)?.remainder(&number(2 * half)?)?;
        shifted.sub(&number(half)?)?.abs()
    };
    let last = n.saturating_sub(1);
    let clipped = index.clip(0.0, last as f64)?;
    let inside = index.equal(&clipped)?;
    let at = match mode {
        FillMode::Constant | FillMode::Nearest => return Ok((clipped, inside)),
        FillMode::Wrap => index.remainder(&number(n)?)?,
        FillMode::Mirror => mirrored(index, last)?,
        FillMode::Reflect => {
            let odd = index.mul(&number(2)?)?.add(&number(1)?)?;
            mirrored(&odd, 2 * n)?.sub(&number(1)?)?.floor_div(&number(2)?)?
        }
    };
    Ok((at.clip(0.0, last as f64)?, inside))
}

/// Rounds to the nearest whole number, halves away from 0.
fn nearest(x: &Tensor) -> Result<Tensor> {
    let whole = x.trunc()?;
    let beyond = x.sub(&whole)?.abs()?.greater_equal(&x.new_full([], 0.5)?)?;
    whole.add(&beyond.cast(x.dtype())?.mul(&x.sign()?)?)
}

/// Looks images `[batch, axes…, channels]` up at coordinates `[batch, places…]`, one tensor for each axis:
/// `[batch, places…, channels]`.
fn looked_up(op: &'static str, x: &Tensor, at: &[Tensor], how: &Lookup) -> Result<Tensor> {
    let axes = at.len();
    let (batch, sizes) = (x.dims()[0], &x.dims()[1..=axes]);
    let rank = at.first().map_or(1, Tensor::rank);
    if sizes.contains(&0) {
        return Err(Error::shape(op, "images with at least one element", *x.shape()));
    }
    let inner = sizes.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
    let Some(inner) = inner.filter(|n| n.checked_mul(batch.max(1)).is_some()) else {
        return Err(Error::shape(op, "as many pixels as can be counted", *x.shape()));
    };
    let rows = x.reshape_to([batch * inner, x.dims()[axes + 1]])?;
    let mut base = vec![1; rank];
    base[0] = batch;
    let start = positions(batch, |b| b * inner)?.reshape_to(base)?;
    // For each axis the corners: the place in the row-major order, whether it is inside, and its weight.
    let mut corners = vec![(start, None::<Tensor>, None::<Tensor>)];
    let mut stride = inner;
    for (x, &n) in at.iter().zip(sizes) {
        stride /= n;
        let floor = if how.bilinear { x.detach().floor()? } else { nearest(&x.detach())? };
        let low = floor.cast(DType::I64)?;
        let up = x.sub(&floor)?;
        let ends = match how.bilinear {
            true => vec![(low.clone(), Some(up.affine(-1.0, 1.0)?)), (low.add(&number(1)?)?, Some(up))],
            false => vec![(low, None)],
        };
        let mut next = Vec::new();
        for (place, inside, weight) in &corners {
            for (index, share) in &ends {
                let (fixed, valid) = fixed(index, n, how.fill_mode)?;
                let place = place.add(&fixed.mul(&number(stride)?)?)?;
                let inside = match inside {
                    Some(inside) => inside.logical_and(&valid)?,
                    None => valid,
                };
                let weight = match (weight, share) {
                    (Some(weight), Some(share)) => Some(weight.mul(share)?),
                    (weight, share) => weight.clone().or(share.clone()),
                };
                next.push((place, Some(inside), weight));
            }
        }
        corners = next;
    }
    let mut sum: Option<Tensor> = None;
    for (place, inside, weight) in corners {
        let mut value = rows.gather(&place, 0)?;
        if let (FillMode::Constant, Some(inside)) = (how.fill_mode, inside) {
            value = inside.expand_dims(-1)?.choose(&value, &value.new_full([], how.fill_value)?)?;
        }
        if let Some(weight) = weight {
            value = value.mul(&weight.expand_dims(-1)?)?;
        }
        sum = Some(match sum {
            Some(sum) => sum.add(&value)?,
            None => value,
        });
    }
    sum.ok_or_else(|| Error::argument(op, "at least one axis", 0))
}

/// Rows and columns of images, `[height, 1]` and `[width]`.
fn grid(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let numbers = |n: usize| positions(n, |i| i)?.cast(x.dtype());
    Ok((numbers(x.dims()[1])?.expand_dims(1)?, numbers(x.dims()[2])?))
}

/// The numbers of a transform for each of the images `x`, `[batch, count]`.
fn for_each(op: &'static str, t: &Tensor, x: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let (dims, batch) = (t.dims(), x.dims()[0]);
    if dims == shape
        || (dims.len() == shape.len() + 1 && &dims[1..] == shape && [1, batch].contains(&dims[0]))
    {
        return t.broadcast_beside(x, Shape::new(&[&[batch], shape].concat())?);
    }
    let expected = format!("{shape:?} for all of {batch} images or for each");
    Err(Error::shape(op, expected, *t.shape()))
}

/// The weights of a filter at a distance of 0 or more, as the kernel of `resize` has them, but for gradients.
fn filter(op: &'static str, by: Interpolation, x: &Tensor) -> Result<Tensor> {
    let below = |end: f64| x.less(&x.new_full([], end)?);
    let zero = x.new_full([], 0.0)?;
    let lanczos = |radius: f64| {
        let (near, pi) = (x.less_equal(&x.new_full([], 1e-3)?)?, std::f64::consts::PI);
        let one = x.new_full([], 1.0)?;
        let apart = near.choose(&one, x)?;
        let waves = apart
            .affine(pi, 0.0)?
            .sin()?
            .mul(&apart.affine(pi / radius, 0.0)?.sin()?)?
            .affine(radius, 0.0)?;
        let inside = near.choose(&one, &waves.div(&apart.square()?.affine(pi * pi, 0.0)?)?)?;
        x.less_equal(&x.new_full([], radius)?)?.choose(&inside, &zero)
    };
    match by {
        Interpolation::Bilinear => x.affine(-1.0, 1.0)?.relu(),
        Interpolation::Bicubic => {
            let inner = x.affine(1.5, -2.5)?.mul(x)?.mul(x)?.affine(1.0, 1.0)?;
            let outer = x.affine(-0.5, 2.5)?.mul(x)?.affine(1.0, -4.0)?.mul(x)?.affine(1.0, 2.0)?;
            below(1.0)?.choose(&inner, &below(2.0)?.choose(&outer, &zero)?)
        }
        Interpolation::Lanczos3 => lanczos(3.0),
        Interpolation::Lanczos5 => lanczos(5.0),
        Interpolation::Nearest => {
            let expected =
                "bilinear, bicubic, lanczos3 or lanczos5 (affine_transform finds the nearest pixel)";
            Err(Error::argument(op, expected, by.name()))
        }
    }
}

/// The weights `[elements, places]` of an axis. Those of a place add up to 1; where they would add up to about 0, or the place comes from
/// beyond the edges, all are 0.
fn resampled(
    op: &'static str,
    [elements, places]: [usize; 2],
    scale: &Tensor,
    translation: &Tensor,
    by: Interpolation,
    antialias: bool,
) -> Result<Tensor> {
    let (dtype, zero, one) = (scale.dtype(), scale.new_full([], 0.0)?, scale.new_full([], 1.0)?);
    let step = scale.reciprocal()?;
    let centres = Tensor::arange(places)?.cast(dtype)?.affine(1.0, 0.5)?;
    let at = centres.mul(&step)?.sub(&translation.mul(&step)?)?.affine(1.0, -0.5)?;
    let mut distance = at.sub(&Tensor::arange(elements)?.cast(dtype)?.expand_dims(1)?)?.abs()?;
    if antialias {
        distance = distance.div(&step.maximum(&one)?)?;
    }
    let weights = filter(op, by, &distance)?;
    let total = weights.sum(&[0], true)?;
    let stands = total.abs()?.greater(&zero.affine(1.0, 1000.0 * f64::from(f32::EPSILON))?)?;
    let inside = at.greater_equal(&zero.affine(1.0, -0.5)?)?;
    let inside = inside.logical_and(&at.less_equal(&zero.affine(1.0, elements as f64 - 0.5)?)?)?;
    let shares = weights.div(&stands.choose(&total, &one)?)?;
    stands.logical_and(&inside)?.choose(&shares, &zero)
}

impl Tensor {
    /// Returns the values of a tensor at `coordinates`, `[rank, places…]`, which may lie between elements.
    ///
    /// # Errors
    /// The first axis of the coordinates is not as long as this tensor has axes, there are more than five of these, or the
    /// dtypes are not float32 or float64.
    pub fn map_coordinates(&self, coordinates: &Tensor, how: &Lookup) -> Result<Tensor> {
        const OP: &str = "map_coordinates";
        float(OP, self.dtype())?;
        float(OP, coordinates.dtype())?;
        let rank = self.rank();
        if !(1..=5).contains(&rank) || coordinates.rank() < 2 || coordinates.dims()[0] != rank {
            let why = "coordinates are [rank of the tensor, places…], of one to five axes";
            return Err(Error::shapes(OP, *self.shape(), *coordinates.shape(), why));
        }
        let coordinates = coordinates.cast(self.dtype())?;
        let at: Vec<Tensor> =
            (0..rank).map(|i| coordinates.select(0, i as isize)?.expand_dims(0)).collect::<Result<_>>()?;
        looked_up(OP, &self.expand_dims(0)?.expand_dims(-1)?, &at, how)?.squeeze(-1)?.squeeze(0)
    }

    /// Moves images: the new pixel at row y and column x is the value at row `b0·x + b1·y + b2` and column
    /// `a0·x + a1·y + a2`, where `transform` is `[a0, a1, a2, b0, b1, b2, c0, c1]`, one for all images or one for each. c0 and
    /// c1 count as 0; [`Tensor::perspective_transform`] has perspective.
    ///
    /// # Errors
    /// Shapes do not fit, or the dtypes are not float32 or float64.
    pub fn affine_transform(&self, transform: &Tensor, how: &Lookup) -> Result<Tensor> {
        const OP: &str = "affine_transform";
        float(OP, self.dtype())?;
        let (x, added) = batched(OP, self)?;
        let t = for_each(OP, &transform.cast(x.dtype())?, &x, &[8])?;
        let part = |i: isize| t.select(1, i)?.expand_dims(1)?.expand_dims(1);
        let (row, column) = grid(&x)?;
        let line = |of_x: isize| {
            let slanted = column.mul(&part(of_x)?)?.add(&row.mul(&part(of_x + 1)?)?)?;
            slanted.add(&part(of_x + 2)?)
        };
        unbatched(looked_up(OP, &x, &[line(3)?, line(0)?], how)?, added)
    }

    /// Moves images so that four points, `[x, y]` in `start_points`, `[4, 2]` or one for each image, come to lie at
    /// `end_points`; straight lines stay straight. What comes from beyond the edges is `fill_value`.
    ///
    /// # Errors
    /// Shapes do not fit, three of the points lie on a line, or the dtypes are not float32 or float64.
    pub fn perspective_transform(
        &self,
        start_points: &Tensor,
        end_points: &Tensor,
        bilinear: bool,
        fill_value: f64,
    ) -> Result<Tensor> {
        const OP: &str = "perspective_transform";
        float(OP, self.dtype())?;
        let (x, added) = batched(OP, self)?;
        let points = |t: &Tensor| for_each(OP, &t.cast(x.dtype())?, &x, &[4, 2]);
        let (start, end) = (points(start_points)?, points(end_points)?);
        // Of eight numbers h: start_x·(h6·x + h7·y + 1) = h0·x + h1·y + h2 at the end points, and the same with start_y.
        let (end_x, end_y) = (end.select(2, 0)?, end.select(2, 1)?);
        let (zero, one) = (end_x.new_full(*end_x.shape(), 0.0)?, end_x.new_full(*end_x.shape(), 1.0)?);
        let equations = |which: isize| {
            let to = start.select(2, which)?.neg()?;
            let (by_x, by_y) = (to.mul(&end_x)?, to.mul(&end_y)?);
            let (own, others) = ([&end_x, &end_y, &one], [&zero, &zero, &zero]);
            let (first, second) = if which == 0 { (own, others) } else { (others, own) };
            Tensor::stack(&[&first[..], &second, &[&by_x, &by_y]].concat(), -1)
        };
        let matrix = Tensor::concat(&[&equations(0)?, &equations(1)?], 1)?;
        let right = Tensor::concat(&[&start.select(2, 0)?, &start.select(2, 1)?], 1)?;
        let h = matrix.solve(&right.expand_dims(-1)?)?.squeeze(-1)?;
        let part = |i: isize| h.select(1, i)?.expand_dims(1)?.expand_dims(1);
        let (row, column) = grid(&x)?;
        let line = |i: isize| part(i)?.mul(&column)?.add(&part(i + 1)?.mul(&row)?);
        let depth = line(6)?.affine(1.0, 1.0)?;
        let from = |i: isize| line(i)?.add(&part(i + 2)?)?.div(&depth);
        let how = Lookup { bilinear, fill_mode: FillMode::Constant, fill_value };
        unbatched(looked_up(OP, &x, &[from(3)?, from(0)?], &how)?, added)
    }

    /// Resamples axes of any tensor: what lies at x along axis `spatial_dims[i]`, counted from the edge of the first element, comes to
    /// lie at `x·scale[i] + translation[i]` of a result of shape `output_shape`, whose other axes are those of this tensor. What comes from
    /// beyond the edges is 0. Where `antialias`, the filter is as wide as the smaller grid's elements. Gradients flow to scale and
    /// translation, two vectors, too.
    ///
    /// # Errors
    /// An axis is out of range or given twice, shapes do not fit, the interpolation is `Nearest`, or the dtypes are not float32 or float64.
    pub fn scale_and_translate(
        &self,
        output_shape: &[usize],
        scale: &Tensor,
        translation: &Tensor,
        spatial_dims: &[isize],
        interpolation: Interpolation,
        antialias: bool,
    ) -> Result<Tensor> {
        const OP: &str = "scale_and_translate";
        for t in [self, scale, translation] {
            float(OP, t.dtype())?;
        }
        let to = Shape::new(output_shape)?;
        let listed =
            if spatial_dims.is_empty() { Default::default() } else { self.shape().axes(OP, spatial_dims)? };
        let kept = |axis: usize| spatial_dims.is_empty() || !listed[axis];
        let fits = to.rank() == self.rank()
            && (0..self.rank()).all(|axis| !kept(axis) || to.dims()[axis] == self.dims()[axis]);
        if !fits {
            let why = "the second, output_shape, differs from the first in spatial_dims alone";
            return Err(Error::shapes(OP, *self.shape(), to, why));
        }
        for t in [scale, translation] {
            if t.dims() != [spatial_dims.len()] {
                let expected =
                    format!("scale and translation [{}], a number for each axis", spatial_dims.len());
                return Err(Error::shape(OP, expected, *t.shape()));
            }
        }
        let (scale, translation) = (scale.cast(self.dtype())?, translation.cast(self.dtype())?);
        let mut y = self.clone();
        for (i, &axis) in spatial_dims.iter().enumerate() {
            let axis = self.shape().axis(OP, axis)?;
            let (scale, translation) = (scale.select(0, i as isize)?, translation.select(0, i as isize)?);
            let sizes = [self.dims()[axis], to.dims()[axis]];
            let weights = resampled(OP, sizes, &scale, &translation, interpolation, antialias)?;
            y = y.to_last(axis)?.tensordot(&weights, &[-1], &[0])?.last_to(axis)?;
        }
        Ok(y)
    }

    /// Distorts images like rubber (Simard and others 2003): every pixel is looked up `alpha` times as far away as random
    /// numbers of deviation `sigma`, smoothed by Gauss's bell of that deviation, say. (Keras draws other numbers.)
    ///
    /// # Errors
    /// There are not three or four axes, `sigma` is not positive or above 10⁶, or the dtype is not float32 or float64.
    pub fn elastic_transform(
        &self,
        alpha: f64,
        sigma: f64,
        how: &Lookup,
        stream: impl Into<Stream>,
    ) -> Result<Tensor> {
        const OP: &str = "elastic_transform";
        float(OP, self.dtype())?;
        let (x, added) = batched(OP, self)?;
        if !(sigma > 0.0 && sigma <= 1e6) {
            return Err(Error::argument("elastic_transform sigma", "a positive number up to 1000000", sigma));
        }
        let normal = Distribution::Normal { mean: 0.0, std: sigma };
        let shape = x.shape().with(3, 2);
        let drawn = x.new_full(shape, 0.0)?.sample_like(normal, stream)?;
        let size = (6.0 * sigma) as usize | 1;
        let moved = drawn.gaussian_blur([size, size], [sigma, sigma])?.affine(alpha, 0.0)?;
        let (row, column) = grid(&x)?;
        let at = [row.add(&moved.select(3, 1)?)?, column.add(&moved.select(3, 0)?)?];
        unbatched(looked_up(OP, &x, &at, how)?, added)
    }
}
