//! Resizing of sequences, images and volumes `[batch, axes…, channels]`. Along each axis it is a linear map, whose
//! weights depend only on the two sizes.

use super::pool::{spatial, with_spatial};
use super::window::PerAxis;
use crate::autograd::{Attr, Attribute, Attributes, Grads, Op, Saves, Specs, Step, apply1};
use crate::dtype::dispatch_float;
use crate::kernels::resize::{self as kernel, Band, Filter};
use crate::tensor::{Array, Tensor, few};
use crate::{DType, Error, Float, Result, Shape, Spec, string_enum};
use std::fmt::Write;

super::table::ops! {
    [Resize, ResizeGrad];
    resize: Floats, Every, "Resize";
    upsample: Floats, Every, "Resize";
}

string_enum! {
    /// How values between pixels are computed. The centres of pixels lie at halves.
    #[derive(Default)]
    pub enum Interpolation {
        /// The pixel that the point lies in.
        Nearest = "nearest",
        /// Linear along each axis.
        #[default]
        Bilinear = "bilinear",
        /// Cubic convolution with a = -1/2 (Keys 1981).
        Bicubic = "bicubic",
        /// Lanczos's filter of radius 3.
        Lanczos3 = "lanczos3",
        /// Lanczos's filter of radius 5.
        Lanczos5 = "lanczos5",
    }
}

impl Attribute for Interpolation {
    const EXPECTED: &'static str = "nearest, bilinear, bicubic, lanczos3 or lanczos5";
    fn write(&self) -> Attr {
        Attr::Text(self.name().into())
    }
    fn read(value: &Attr) -> Option<Interpolation> {
        match value {
            Attr::Text(name) => name.parse().ok(),
            _ => None,
        }
    }
}

impl Interpolation {
    fn filter(self) -> Option<Filter> {
        match self {
            Interpolation::Nearest => None,
            Interpolation::Bilinear => Some(kernel::TRIANGLE),
            Interpolation::Bicubic => Some(kernel::CUBIC),
            Interpolation::Lanczos3 => Some(kernel::LANCZOS3),
            Interpolation::Lanczos5 => Some(kernel::LANCZOS5),
        }
    }
}

/// The size of an axis that is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// A given size: `=8`.
    Size(usize),
    /// A multiple of the old size: `*2`.
    Times(usize),
}

/// Written as one for each spatial axis: `=8, =8`.
impl Attribute for PerAxis<Extent> {
    const EXPECTED: &'static str = "a list such as =8, *2: sizes and factors";
    fn write(&self) -> Attr {
        let mut text = String::new();
        for (i, extent) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let _ = match extent {
                Extent::Size(n) => write!(text, "{comma}={n}"),
                Extent::Times(n) => write!(text, "{comma}*{n}"),
            };
        }
        Attr::Text(text.into())
    }
    fn read(value: &Attr) -> Option<Self> {
        let Attr::Text(text) = value else { return None };
        let extent = |word: &str| match word.strip_prefix('=') {
            Some(n) => n.parse().ok().map(Extent::Size),
            None => word.strip_prefix('*')?.parse().ok().map(Extent::Times),
        };
        text.split(", ").take(4).map(extent).collect::<Option<Self>>().filter(|all| all.len() <= 3)
    }
}

/// Returns the new sizes of axes of these sizes.
fn sizes(op: &'static str, to: &[Extent], from: &[usize]) -> Result<PerAxis<usize>> {
    if to.len() != from.len() {
        let expected = format!("a number for each of {} spatial axes", from.len());
        return Err(Error::argument(op, expected, to.len()));
    }
    let size = |(to, &n): (&Extent, &usize)| {
        let size = match *to {
            Extent::Size(size) => Some(size),
            Extent::Times(factor) => n.checked_mul(factor),
        };
        match size.filter(|&size| size > 0 && size <= isize::MAX as usize / 4) {
            Some(size) if n > 0 => Ok(size),
            _ => Err(Error::argument(op, "sizes of at least 1", format!("{} of {from:?}", to_text(*to)))),
        }
    };
    to.iter().zip(from).map(size).collect()
}

fn to_text(extent: Extent) -> String {
    match extent {
        Extent::Size(n) => n.to_string(),
        Extent::Times(n) => format!("{n} times"),
    }
}

crate::op! {
    /// Resizes the spatial axes.
    struct Resize("resize", 1) { to: PerAxis<Extent>, interpolation: Interpolation, antialias: bool }
}

impl Op for Resize {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let sizes = sizes(self.name(), &self.to, spatial(self.name(), &inputs[0])?)?;
        Ok(few![with_spatial(&inputs[0], sizes)?])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        resample(inputs[0], &mut outputs[0], self.interpolation, self.antialias, false)
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let Resize { interpolation, antialias, .. } = *self;
        let op = ResizeGrad { from: spatial(self.name(), &step.spec(0))?.into(), interpolation, antialias };
        Ok(few![Some(apply1(op, &[&step.grad(0)?])?)])
    }
}

crate::op! {
    /// The adjoint of [`Resize`], for an input with these spatial axes.
    struct ResizeGrad("resize_grad", 1) { from: PerAxis<usize>, interpolation: Interpolation, antialias: bool }
}

impl Op for ResizeGrad {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let to: PerAxis<Extent> = self.from.iter().map(|&n| Extent::Size(n)).collect();
        let sizes = sizes(self.name(), &to, spatial(self.name(), &inputs[0])?)?;
        Ok(few![with_spatial(&inputs[0], sizes)?])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        resample(inputs[0], &mut outputs[0], self.interpolation, self.antialias, true)
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let to = spatial(self.name(), &step.spec(0))?.iter().map(|&n| Extent::Size(n)).collect();
        let ResizeGrad { interpolation, antialias, .. } = *self;
        Ok(few![Some(apply1(Resize { to, interpolation, antialias }, &[&step.grad(0)?])?)])
    }
}

/// Resizes one axis after another; those that keep their size are left alone, which every filter would give anyway.
fn resample(x: &Array, out: &mut Array, by: Interpolation, antialias: bool, adjoint: bool) -> Result<()> {
    let to = *out.shape();
    let last = (0..to.rank()).rev().find(|&axis| x.shape().dims()[axis] != to.dims()[axis]);
    let mut x = x.contiguous()?;
    dispatch_float!("resize", x.dtype(), T => {
        let Some(last) = last else {
            out.slice_mut::<T>()?.copy_from_slice(x.slice()?);
            return Ok(());
        };
        for axis in 1..last {
            let (n, m) = (x.shape().dims()[axis], to.dims()[axis]);
            if n != m {
                let mut next = Array::new(Spec::new(x.shape().with(axis, m), x.dtype()))?;
                resample_axis::<T>(&x, axis, &mut next, by, antialias, adjoint)?;
                x = next;
            }
        }
        resample_axis::<T>(&x, last, out, by, antialias, adjoint)
    })
}

fn resample_axis<T: Float>(
    x: &Array,
    axis: usize,
    out: &mut Array,
    by: Interpolation,
    antialias: bool,
    adjoint: bool,
) -> Result<()> {
    let (from, to) = (x.shape().dims()[axis], out.shape().dims()[axis]);
    let (elements, places) = if adjoint { (to, from) } else { (from, to) };
    let table =
        |rows: usize, columns: usize, dtype| Array::new(Spec::new(Shape::new(&[rows, columns])?, dtype));
    let mut bounds = table(places, 2, DType::I64)?;
    let mut weights = match by.filter() {
        None => table(places, 1, T::DTYPE)?,
        Some(filter) => table(places, kernel::width(filter, elements, places, antialias), T::DTYPE)?,
    };
    match by.filter() {
        None => kernel::nearest::<T>(elements, bounds.slice_mut()?, weights.slice_mut()?),
        Some(filter) => {
            kernel::filtered::<T>(filter, elements, antialias, bounds.slice_mut()?, weights.slice_mut()?);
        }
    }
    if adjoint {
        let mut turned = table(elements, 2, DType::I64)?;
        let width = kernel::turned_bounds(bounds.slice()?, turned.slice_mut()?);
        let mut across = table(elements, width, T::DTYPE)?;
        let band = Band { bounds: bounds.slice()?, weights: weights.slice::<T>()? };
        kernel::turned_weights(band, turned.slice()?, across.slice_mut()?);
        (bounds, weights) = (turned, across);
    }
    let inner = x.shape().dims()[axis + 1..].iter().product();
    let band = Band { bounds: bounds.slice()?, weights: weights.slice::<T>()? };
    kernel::along(x.slice::<T>()?, from, inner, band, out.slice_mut()?);
    Ok(())
}

impl Tensor {
    /// Resizes the spatial axes of `[batch, axes…, channels]` to these sizes, a number for each of one to three.
    /// With `antialias`, the filters of an axis that becomes smaller are widened, so that every pixel counts;
    /// `Nearest` has none. The weights are those of Keras on JAX.
    ///
    /// ```
    /// use gradus::Tensor;
    /// use gradus::ops::Interpolation;
    /// let x = Tensor::from_slice(&[0.0f32, 4.0], [1, 2, 1])?;
    /// assert_eq!(x.resize(&[4], Interpolation::Bilinear, false)?.to_vec::<f32>()?, [0.0, 1.0, 3.0, 4.0]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is another number of axes, one has size 0, or the dtype is not float32 or float64.
    pub fn resize(&self, sizes: &[usize], interpolation: Interpolation, antialias: bool) -> Result<Tensor> {
        let to = sizes.iter().map(|&n| Extent::Size(n)).collect();
        apply1(Resize { to, interpolation, antialias }, &[self])
    }

    /// [`Tensor::resize`] to a multiple of the size of each spatial axis. `Nearest` repeats each pixel.
    ///
    /// # Errors
    /// Those of [`Tensor::resize`].
    pub fn upsample(&self, factors: &[usize], interpolation: Interpolation) -> Result<Tensor> {
        let to = factors.iter().map(|&n| Extent::Times(n)).collect();
        apply1(Resize { to, interpolation, antialias: false }, &[self])
    }
}
