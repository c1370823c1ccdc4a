//! Pooling of sequences, images and volumes `[batch, axes…, channels]`: the largest or the mean of each pool of
//! neighbouring elements, channel by channel.

use super::elementwise::float;
use super::window::{Padding, PerAxis, windows};
use crate::autograd::{
    Attr, Attribute, Attributes, Grads, Op, Saves, Specs, Step, apply, apply1, elements, one,
};
use crate::dtype::dispatch_float;
use crate::kernels::pool::{self as kernel, Grid, Pools};
use crate::tensor::{Array, Few, Tensor, few};
use crate::{DType, Error, MAX_RANK, Result, Shape, Spec};
use std::fmt::Write;

super::table::ops! {
    [MaxPool, MaxPoolGrad, MaxPoolTaken, AveragePool, AveragePoolGrad];
    max_pool: Floats, Every, "MaxPool";
    average_pool: Floats, Every, "AveragePool";
    adaptive_max_pool: Floats, Every, "";
    adaptive_average_pool: Floats, Every, "";
}

/// Which elements form a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pooling {
    /// Those in a sliding window: `3x3 by 2x2, same`.
    Windows { size: PerAxis<usize>, strides: PerAxis<usize>, padding: Padding },
    /// An even share of each axis, for this many places: `to 7x7`.
    Shares(PerAxis<usize>),
}

impl Attribute for Pooling {
    const EXPECTED: &'static str = "windows such as 3x3 by 2x2, same or sizes such as to 7x7";
    fn write(&self) -> Attr {
        let list = |text: &mut String, sizes: &[usize]| {
            for (i, n) in sizes.iter().enumerate() {
                let _ = write!(text, "{}{n}", if i == 0 { "" } else { "x" });
            }
        };
        let mut text = String::new();
        match self {
            Pooling::Windows { size, strides, padding } => {
                list(&mut text, size);
                text.push_str(" by ");
                list(&mut text, strides);
                let _ = write!(text, ", {padding}");
            }
            Pooling::Shares(sizes) => {
                text.push_str("to ");
                list(&mut text, sizes);
            }
        }
        Attr::Text(text.into())
    }
    fn read(value: &Attr) -> Option<Pooling> {
        let Attr::Text(text) = value else { return None };
        let list = |text: &str| {
            let sizes: Option<PerAxis<usize>> = text.split('x').take(4).map(|n| n.parse().ok()).collect();
            sizes.filter(|s| s.len() <= 3)
        };
        if let Some(sizes) = text.strip_prefix("to ") {
            return Some(Pooling::Shares(list(sizes)?));
        }
        let (size, rest) = text.split_once(" by ")?;
        let (strides, padding) = rest.split_once(", ")?;
        let padding = Padding::read(&Attr::Text(padding.to_string().into()))?;
        Some(Pooling::Windows { size: list(size)?, strides: list(strides)?, padding })
    }
}

impl Pooling {
    /// Returns the pools on spatial axes of these sizes.
    fn grid(&self, op: &'static str, spatial: &[usize]) -> Result<Grid> {
        let mut grid = [Pools::NONE; 3];
        let axes = &mut grid[3usize.saturating_sub(spatial.len())..];
        match self {
            Pooling::Windows { size, strides, padding } => {
                let ones: PerAxis<usize> = few![1; spatial.len()];
                let found = windows(op, spatial, size, strides, &ones, padding)?;
                for ((pools, w), &elements) in axes.iter_mut().zip(&found).zip(spatial) {
                    if w.before >= w.size || w.after >= w.size {
                        let expected = "less on either side than the window is long";
                        return Err(Error::argument("padding", expected, padding));
                    }
                    *pools = Pools::of_window(elements, w.places(elements)?, w);
                }
            }
            Pooling::Shares(sizes) => {
                if !(1..=3).contains(&spatial.len()) || sizes.len() != spatial.len() || sizes.contains(&0) {
                    let expected =
                        format!("a number of at least 1 for each of {} spatial axes", spatial.len());
                    return Err(Error::argument("output_size", expected, format!("{sizes:?}")));
                }
                if let Some(axis) = spatial.iter().position(|&n| n == 0) {
                    let expected = format!("images with at least one element on spatial axis {axis}");
                    return Err(Error::argument(op, expected, format!("{spatial:?}")));
                }
                for ((pools, &elements), &places) in axes.iter_mut().zip(spatial).zip(sizes) {
                    *pools = Pools::shared(elements, places);
                }
            }
        }
        Ok(grid)
    }
}

/// Returns the spatial axes of `[batch, axes…, channels]`.
///
/// # Errors
/// There are none, or more than three, or operations do not compute in the dtype.
pub(super) fn spatial<'a>(op: &'static str, x: &'a Spec) -> Result<&'a [usize]> {
    float(op, x.dtype)?;
    match x.shape.dims() {
        [_, axes @ .., _] if (1..=3).contains(&axes.len()) => Ok(axes),
        _ => Err(Error::shape(op, "[batch, axes…, channels] with one to three spatial axes", x.shape)),
    }
}

/// Returns `[batch, axes…, channels]` with other spatial axes.
pub(super) fn with_spatial(x: &Spec, sizes: impl IntoIterator<Item = usize>) -> Result<Spec> {
    let dims = x.shape.dims();
    let mut all: Few<usize, MAX_RANK> = few![dims[0]];
    all.extend(sizes);
    all.push(dims[dims.len() - 1]);
    Ok(Spec::new(Shape::new(&all)?, x.dtype))
}

/// Returns the spec of pooling over a grid.
fn pooled(x: &Spec, grid: &Grid) -> Result<Spec> {
    let rank = x.shape.rank() - 2;
    with_spatial(x, grid[3 - rank..].iter().map(Pools::places))
}

/// Returns the smallest dtype for the numbers of taps.
fn taps_dtype(op: &'static str, grid: &Grid) -> Result<DType> {
    match grid.iter().fold(1, |n: usize, axis| n.saturating_mul(axis.most())) {
        0..=256 => Ok(DType::U8),
        n if n <= i32::MAX as usize => Ok(DType::I32),
        n => Err(Error::argument(op, "pools of at most 2147483647 elements", n)),
    }
}

/// Runs a block with `$I` bound to the type of the numbers of taps.
macro_rules! dispatch_taps {
    ($dtype:expr, $I:ident => $body:expr) => {
        match $dtype {
            DType::U8 => {
                type $I = u8;
                $body
            }
            _ => {
                type $I = i32;
                $body
            }
        }
    };
}

/// Returns the grid on the spatial axes that the input had, if the gradient fits its results; the adjoints share
/// this.
fn grid_of(op: &'static str, pooling: &Pooling, from: &[usize], g: &Spec) -> Result<Grid> {
    spatial(op, g)?;
    let x = with_spatial(g, from.iter().copied())?;
    let grid = pooling.grid(op, spatial(op, &x)?)?;
    match pooled(&x, &grid)? == *g {
        true => Ok(grid),
        false => Err(Error::shapes(op, x.shape, g.shape, "the gradient should be one of what comes out")),
    }
}

/// Fails unless the numbers of taps fit these places.
fn check_taps(op: &'static str, grid: &Grid, places: &Spec, taps: &Spec) -> Result<()> {
    match *taps == Spec::new(places.shape, taps_dtype(op, grid)?) {
        true => Ok(()),
        false => Err(Error::shapes(op, places.shape, taps.shape, "there should be a tap for each place")),
    }
}

/// The number of channels.
fn channels(x: &Array) -> usize {
    x.shape().dims().last().copied().unwrap_or(0)
}

crate::op! {
    /// The largest element of each pool. A second output keeps which one it was, for the gradient.
    struct MaxPool("max_pool", 1) { pools: Pooling }
}

impl Op for MaxPool {
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        // Every element of the input is looked at once, where pools do not overlap.
        elements(&inputs[..1]).max(elements(&outputs[..1]))
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let grid = self.pools.grid(self.name(), spatial(self.name(), &inputs[0])?)?;
        let y = pooled(&inputs[0], &grid)?;
        Ok(few![y, Spec::new(y.shape, taps_dtype(self.name(), &grid)?)])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let [y, taps] = outputs else { return Ok(()) };
        let x = inputs[0].contiguous()?;
        let (grid, n) = (self.pools.grid(self.name(), spatial(self.name(), &x.spec())?)?, channels(&x));
        dispatch_float!(self.name(), x.dtype(), T => dispatch_taps!(taps.dtype(), I => {
            kernel::max(x.slice::<T>()?, &grid, n, y.slice_mut::<T>()?, taps.slice_mut::<I>()?);
        }));
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE.output(1)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let x = step.spec(0);
        let op = MaxPoolGrad { pools: self.pools.clone(), from: spatial(self.name(), &x)?.into() };
        Ok(few![Some(apply1(op, &[&step.grad(0)?, &step.output(1).detach()])?)])
    }
}

crate::op! {
    /// The gradient of the input from that of the output and the taps that were taken. The input had these spatial
    /// axes.
    struct MaxPoolGrad("max_pool_grad", 2) { pools: Pooling, from: PerAxis<usize> }
}

impl Op for MaxPoolGrad {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let grid = grid_of(self.name(), &self.pools, &self.from, &inputs[0])?;
        check_taps(self.name(), &grid, &inputs[0], &inputs[1])?;
        Ok(few![with_spatial(&inputs[0], self.from.iter().copied())?])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (g, taps) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
        let (grid, n) = (grid_of(self.name(), &self.pools, &self.from, &g.spec())?, channels(&g));
        dispatch_float!(self.name(), g.dtype(), T => dispatch_taps!(taps.dtype(), I => {
            kernel::max_grad(g.slice::<T>()?, taps.slice::<I>()?, &grid, n, outputs[0].slice_mut::<T>()?);
        }));
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE.input(1)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let op = MaxPoolTaken { pools: self.pools.clone() };
        Ok(few![Some(apply1(op, &[&step.grad(0)?, &step.input(1)])?), None])
    }
}

crate::op! {
    /// The element of each pool at a given tap: the adjoint of [`MaxPoolGrad`].
    struct MaxPoolTaken("max_pool_taken", 2) { pools: Pooling }
}

impl Op for MaxPoolTaken {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let grid = self.pools.grid(self.name(), spatial(self.name(), &inputs[0])?)?;
        let y = pooled(&inputs[0], &grid)?;
        check_taps(self.name(), &grid, &y, &inputs[1])?;
        Ok(few![y])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (x, taps) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
        let (grid, n) = (self.pools.grid(self.name(), spatial(self.name(), &x.spec())?)?, channels(&x));
        dispatch_float!(self.name(), x.dtype(), T => dispatch_taps!(taps.dtype(), I => {
            kernel::taken(x.slice::<T>()?, taps.slice::<I>()?, &grid, n, outputs[0].slice_mut::<T>()?);
        }));
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE.input(1)
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let x = step.spec(0);
        let op = MaxPoolGrad { pools: self.pools.clone(), from: spatial(self.name(), &x)?.into() };
        Ok(few![Some(apply1(op, &[&step.grad(0)?, &step.input(1)])?), None])
    }
}

crate::op! {
    /// The mean of each pool; what lies outside of the image does not count.
    struct AveragePool("average_pool", 1) { pools: Pooling }
}

impl Op for AveragePool {
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        // Every element of the input is looked at once, where pools do not overlap.
        elements(&inputs[..1]).max(elements(&outputs[..1]))
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let grid = self.pools.grid(self.name(), spatial(self.name(), &inputs[0])?)?;
        let y = pooled(&inputs[0], &grid)?;
        Ok(one(y.shape, y.dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let x = inputs[0].contiguous()?;
        let (grid, n) = (self.pools.grid(self.name(), spatial(self.name(), &x.spec())?)?, channels(&x));
        dispatch_float!(self.name(), x.dtype(), T => {
            kernel::mean(x.slice::<T>()?, &grid, n, outputs[0].slice_mut::<T>()?);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let x = step.spec(0);
        let op = AveragePoolGrad { pools: self.pools.clone(), from: spatial(self.name(), &x)?.into() };
        Ok(few![Some(apply1(op, &[&step.grad(0)?])?)])
    }
}

crate::op! {
    /// The adjoint of [`AveragePool`], for an input with these spatial axes.
    struct AveragePoolGrad("average_pool_grad", 1) { pools: Pooling, from: PerAxis<usize> }
}

impl Op for AveragePoolGrad {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        grid_of(self.name(), &self.pools, &self.from, &inputs[0])?;
        Ok(few![with_spatial(&inputs[0], self.from.iter().copied())?])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let g = inputs[0].contiguous()?;
        let (grid, n) = (grid_of(self.name(), &self.pools, &self.from, &g.spec())?, channels(&g));
        dispatch_float!(self.name(), g.dtype(), T => {
            kernel::mean_grad(g.slice::<T>()?, &grid, n, outputs[0].slice_mut::<T>()?);
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        Ok(few![Some(apply1(AveragePool { pools: self.pools.clone() }, &[&step.grad(0)?])?)])
    }
}

fn sliding(size: &[usize], strides: Option<&[usize]>, padding: &Padding) -> Pooling {
    let strides = strides.unwrap_or(size).into();
    Pooling::Windows { size: size.into(), strides, padding: padding.clone() }
}

impl Tensor {
    /// Returns the largest element of a window at each of its positions, channel by channel, for
    /// `[batch, axes…, channels]` with one to three spatial axes. `size` and `strides` (by default those of the
    /// window) have a number for each axis. The gradient goes to the first of equal elements; NaN is larger than
    /// everything else.
    ///
    /// ```
    /// use gradus::Tensor;
    /// use gradus::ops::Padding;
    /// let x = Tensor::from_slice(&[1.0f32, 4.0, 3.0, 2.0, 5.0], [1, 5, 1])?;
    /// assert_eq!(x.max_pool(&[2], None, &Padding::Valid)?.to_vec::<f32>()?, [4.0, 3.0]);
    /// assert_eq!(x.max_pool(&[2], None, &Padding::Same)?.to_vec::<f32>()?, [4.0, 3.0, 5.0]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is another number of axes, sizes do not fit them, or the dtype is not float32 or float64.
    pub fn max_pool(&self, size: &[usize], strides: Option<&[usize]>, padding: &Padding) -> Result<Tensor> {
        Ok(apply(MaxPool { pools: sliding(size, strides, padding) }, &[self])?.swap_remove(0))
    }

    /// Returns the mean of a window at each of its positions, like [`Tensor::max_pool`]. What lies beyond the edges
    /// does not count.
    ///
    /// # Errors
    /// Those of [`Tensor::max_pool`].
    pub fn average_pool(
        &self,
        size: &[usize],
        strides: Option<&[usize]>,
        padding: &Padding,
    ) -> Result<Tensor> {
        apply1(AveragePool { pools: sliding(size, strides, padding) }, &[self])
    }

    /// Returns the largest elements of `sizes` even parts, a number for each of one to three spatial axes of
    /// `[batch, axes…, channels]`: part `i` of `p` covers elements from `⌊i·n/p⌋` up to, but not including,
    /// `⌈(i+1)·n/p⌉`.
    ///
    /// # Errors
    /// There is another number of axes, a size is 0, or the dtype is not float32 or float64.
    pub fn adaptive_max_pool(&self, sizes: &[usize]) -> Result<Tensor> {
        Ok(apply(MaxPool { pools: Pooling::Shares(sizes.into()) }, &[self])?.swap_remove(0))
    }

    /// Returns the means of `sizes` even parts, like [`Tensor::adaptive_max_pool`].
    ///
    /// # Errors
    /// Those of [`Tensor::adaptive_max_pool`].
    pub fn adaptive_average_pool(&self, sizes: &[usize]) -> Result<Tensor> {
        apply1(AveragePool { pools: Pooling::Shares(sizes.into()) }, &[self])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_read_as_they_are_written() {
        let windows = |padding| Pooling::Windows { size: few![3, 2], strides: few![1, 2], padding };
        for (pools, text) in [
            (windows(Padding::Same), "3x2 by 1x2, same"),
            (windows(Padding::explicit([(1, 0), (0, 1)])), "3x2 by 1x2, 1:0, 0:1"),
            (Pooling::Shares(few![7]), "to 7"),
        ] {
            assert_eq!(pools.write(), Attr::Text(text.into()));
            assert_eq!(Pooling::read(&Attr::Text(text.into())), Some(pools));
        }
        for bad in ["", "3x2", "to", "to 1x1x1x1", "3 by , same", "3 by 1", "3 by 1, full", "to -1"] {
            assert_eq!(Pooling::read(&Attr::Text(bad.into())), None, "{bad}");
        }
    }

    /// Compares with `np.arange(1, 13)` as `[1, 3, 4, 1]` in keras.ops 3.15 on JAX.
    #[test]
    fn golden_pools() {
        let x = Tensor::from_slice(&(1..13).map(f64::from).collect::<Vec<_>>(), [1, 3, 4, 1]).unwrap();
        let of = |y: Result<Tensor>| y.unwrap().to_vec::<f64>().unwrap();
        assert_eq!(
            of(x.max_pool(&[2, 2], Some(&[1, 2]), &Padding::Same)),
            [6.0, 8.0, 10.0, 12.0, 10.0, 12.0]
        );
        let means = of(x.average_pool(&[2, 3], Some(&[2, 2]), &Padding::Same));
        assert_eq!(means, [4.0, 5.5, 10.0, 11.5]);
        assert_eq!(of(x.adaptive_average_pool(&[2, 3])), [3.5, 4.5, 5.5, 7.5, 8.5, 9.5]);
        assert_eq!(of(x.adaptive_max_pool(&[2, 3])), [6.0, 7.0, 8.0, 10.0, 11.0, 12.0]);
    }
}
