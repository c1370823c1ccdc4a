//! Fourier transforms. There is no complex dtype: as in Keras, a complex tensor is a pair of tensors, its real and its
//! imaginary part. One operation is recorded, the transform along the last axis; its gradient is the same transform in the
//! other direction. The others are made of it by cutting, adding and mirroring.

use super::arrange::positions;
use super::elementwise::float;
use super::pad::PadMode;
use crate::autograd::{Grads, Op, Saves, Specs, Step, apply};
use crate::dtype::dispatch_float;
use crate::kernels::{fourier as kernel, par, scratch};
use crate::tensor::room::filled;
use crate::tensor::{Array, Tensor, few};
use crate::{DType, Error, Float, Result, Shape, Spec};

super::table::ops! {
    [Fft];
    fft: Floats, Every, "DFT";
    ifft: Floats, Every, "DFT";
    fft2: Floats, Every, "DFT";
    ifft2: Floats, Every, "DFT";
    rfft: Floats, Every, "DFT";
    irfft: Floats, Every, "DFT";
    stft: Floats, Every, "STFT";
    istft: Floats, Every, "";
    extract_sequences: Any, Every, "";
}

crate::op! {
    /// Along the last axis of a real and an imaginary part, with a positive exponent if `inverse`, and divided by the
    /// size if `scaled`.
    struct Fft("fft", 2) { inverse: bool, scaled: bool }
}

impl Op for Fft {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        float("fft", inputs[0].dtype)?;
        if inputs[0] != inputs[1] {
            let why = "the real and the imaginary part must have one shape and dtype";
            return Err(Error::shapes("fft", inputs[0].shape, inputs[1].shape, why));
        }
        match inputs[0].shape.dims().last() {
            None | Some(0) => {
                Err(Error::shape("fft", "at least one element along the last axis", inputs[0].shape))
            }
            Some(_) => Ok(few![inputs[0], inputs[0]]),
        }
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let spec = inputs[0].spec();
        let n = spec.shape.dims().last().copied().unwrap_or(1);
        let count = spec.shape.elements() / n;
        if count == 0 {
            return Ok(());
        }
        let [re, im] = outputs else { return Ok(()) };
        let (looked_up, working) = kernel::room(n);
        let (mut table, mut work) = (filled(looked_up, 0.0, spec)?, filled(working, 0.0, spec)?);
        kernel::tables(n, &mut table, &mut work);
        drop(work);
        let scale = if self.scaled { 1.0 / n as f64 } else { 1.0 };
        dispatch_float!("fft", spec.dtype, T => {
            let (x, y) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
            // Exchanged, they are transformed with the other sign.
            let (x, y) = if self.inverse { (y, x) } else { (x, y) };
            let (x, y) = (x.slice::<T>()?, y.slice::<T>()?);
            let (re, im) = (re.slice_mut::<T>()?, im.slice_mut::<T>()?);
            let (re, im) = if self.inverse { (im, re) } else { (re, im) };
            let least = (par::GRAIN / 16 / n).max(1);
            par::each(count, [re, im], least, &|row, [re, im]| {
                scratch::with::<f64, _>(2 * n + working, |room| {
                    let (data, work) = room.split_at_mut(2 * n);
                    let (a, b) = data.split_at_mut(n);
                    let widen = |to: &mut [f64], from: &[T]| to.iter_mut().zip(from).for_each(|(o, x)| *o = x.wide());
                    widen(a, &x[row * n..][..n]);
                    widen(b, &y[row * n..][..n]);
                    kernel::transform(&table, a, b, work);
                    let narrow = |to: &mut [T], from: &[f64]| to.iter_mut().zip(from).for_each(|(o, x)| *o = T::of(x * scale));
                    narrow(re, a);
                    narrow(im, b);
                });
            });
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::NONE
    }
    /// The matrix of the transform is symmetric, so its adjoint is that of the conjugate roots.
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let back = Fft { inverse: !self.inverse, scaled: self.scaled };
        let mut parts = apply(back, &[&step.grad(0)?, &step.grad(1)?])?;
        let im = parts.swap_remove(1);
        Ok(few![Some(parts.swap_remove(0)), Some(im)])
    }
}

/// What [`Tensor::stft`] multiplies each sequence with.
#[derive(Clone, Copy, Debug)]
pub enum Window<'a> {
    /// Hann's window of a period.
    Hann,
    /// Hamming's window of a period.
    Hamming,
    /// One of the caller's, `[sequence_length]`.
    Given(&'a Tensor),
    /// None: the whole `fft_length` of the signal is transformed.
    Ones,
}

/// How [`Tensor::stft`] and [`Tensor::istft`] cut a signal into sequences; the names and defaults are Keras's.
#[derive(Clone, Copy, Debug)]
pub struct Stft<'a> {
    /// Numbers of a sequence.
    pub sequence_length: usize,
    /// From the start of a sequence to that of the next.
    pub sequence_stride: usize,
    /// The size of the transforms, at least `sequence_length`; the window has zeros on both sides.
    pub fft_length: usize,
    /// Hann's by default.
    pub window: Window<'a>,
    /// Whether the middle of sequence `t` is element `t·sequence_stride` of the signal, which is mirrored at its ends
    /// (true by default); otherwise that is where it begins.
    pub center: bool,
}

impl Stft<'_> {
    /// Sequences of this length and stride, transforms of this size, and what else is Keras's default.
    pub fn new(sequence_length: usize, sequence_stride: usize, fft_length: usize) -> Stft<'static> {
        Stft { sequence_length, sequence_stride, fft_length, window: Window::Hann, center: true }
    }

    fn check(&self, op: &'static str) -> Result<()> {
        let Stft { sequence_length, sequence_stride, fft_length, .. } = *self;
        if sequence_length == 0 || sequence_length > fft_length || fft_length > isize::MAX as usize / 4 {
            let expected = "a sequence_length of at least 1 and at most fft_length";
            return Err(Error::argument(op, expected, format!("{sequence_length} and {fft_length}")));
        }
        if sequence_stride == 0 {
            return Err(Error::argument(op, "a sequence_stride of at least 1", 0));
        }
        Ok(())
    }

    /// The window, `[fft_length]`, with zeros on both sides.
    fn taper(&self, op: &'static str, dtype: DType) -> Result<Tensor> {
        let n = self.sequence_length;
        let periodic = |f: fn(usize, DType) -> Result<Tensor>| f(n + 1, dtype)?.slice(0, 0, n as isize);
        let window = match self.window {
            Window::Hann => periodic(Tensor::hanning)?,
            Window::Hamming => periodic(Tensor::hamming)?,
            Window::Ones => return Tensor::ones([self.fft_length])?.cast(dtype),
            Window::Given(window) if window.dims() == [n] => window.cast(dtype)?,
            Window::Given(window) => {
                return Err(Error::shape(op, format!("a window of shape [{n}]"), *window.shape()));
            }
        };
        let before = (self.fft_length - n) / 2;
        window.pad(&[(before, self.fft_length - n - before)], PadMode::Constant(0.0))
    }
}

/// How many sequences of a length fit into `n` numbers.
fn count(n: usize, length: usize, stride: usize) -> usize {
    n.checked_sub(length).map_or(0, |rest| rest / stride + 1)
}

/// Where the numbers of each sequence come from, `[sequences, length]`.
fn places(sequences: usize, length: usize, stride: usize) -> Result<Tensor> {
    let starts = positions(sequences, |i| i.saturating_mul(stride))?;
    starts.expand_dims(1)?.add(&positions(length, |i| i)?)
}

/// The last axis, cut or filled up with zeros to this size.
fn fitted(x: &Tensor, n: usize) -> Result<Tensor> {
    let size = x.dims().last().copied().unwrap_or(1);
    if size >= n {
        return x.slice(-1, 0, n.min(isize::MAX as usize) as isize);
    }
    let mut widths = vec![(0, 0); x.rank()];
    widths[x.rank() - 1].1 = n - size;
    x.pad(&widths, PadMode::Constant(0.0))
}

impl Tensor {
    fn transformed(&self, imag: &Tensor, inverse: bool) -> Result<(Tensor, Tensor)> {
        let mut parts = apply(Fft { inverse, scaled: inverse }, &[self, imag])?;
        let im = parts.swap_remove(1);
        Ok((parts.swap_remove(0), im))
    }

    fn transformed2(&self, imag: &Tensor, inverse: bool) -> Result<(Tensor, Tensor)> {
        if self.rank() < 2 {
            return Err(Error::shape("fft2", "at least two axes", *self.shape()));
        }
        let (re, im) = self.transformed(imag, inverse)?;
        let (re, im) = re.transpose(-1, -2)?.transformed(&im.transpose(-1, -2)?, inverse)?;
        Ok((re.transpose(-1, -2)?, im.transpose(-1, -2)?))
    }

    /// Returns the discrete Fourier transform along the last axis of the complex numbers whose real part this is, and
    /// whose imaginary part is `imag`, as a real and an imaginary part: `y[k] = Σ x[j]·exp(-2πi·j·k/n)`. It is computed in
    /// float64; every size is fast.
    ///
    /// ```
    /// # use gradus::Tensor;
    /// let (x, zeros) = (Tensor::from_slice(&[1.0, 0.0, -1.0, 0.0], [4])?, Tensor::from_slice(&[0.0; 4], [4])?);
    /// assert_eq!(x.fft(&zeros)?.0.to_vec::<f64>()?, [0.0, 2.0, 0.0, 2.0]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// The parts differ in shape or dtype, the last axis has no elements, or the dtype is not float32 or float64.
    pub fn fft(&self, imag: &Tensor) -> Result<(Tensor, Tensor)> {
        self.transformed(imag, false)
    }

    /// The inverse of [`Tensor::fft`]: a positive exponent, and divided by the size.
    ///
    /// # Errors
    /// Those of [`Tensor::fft`].
    pub fn ifft(&self, imag: &Tensor) -> Result<(Tensor, Tensor)> {
        self.transformed(imag, true)
    }

    /// [`Tensor::fft`] along the last two axes.
    ///
    /// # Errors
    /// Those of [`Tensor::fft`], or there are fewer than two axes.
    pub fn fft2(&self, imag: &Tensor) -> Result<(Tensor, Tensor)> {
        self.transformed2(imag, false)
    }

    /// [`Tensor::ifft`] along the last two axes.
    ///
    /// # Errors
    /// Those of [`Tensor::fft2`].
    pub fn ifft2(&self, imag: &Tensor) -> Result<(Tensor, Tensor)> {
        self.transformed2(imag, true)
    }

    /// Returns the first `n / 2 + 1` numbers of [`Tensor::fft`] of real numbers; the others are their conjugates. The last
    /// axis is cut or filled up with zeros to `n = fft_length`, if that is given.
    ///
    /// # Errors
    /// Those of [`Tensor::fft`].
    pub fn rfft(&self, fft_length: Option<usize>) -> Result<(Tensor, Tensor)> {
        float("rfft", self.dtype())?;
        let Some(&size) = self.dims().last() else {
            return Err(Error::shape("rfft", "at least one axis", *self.shape()));
        };
        let n = fft_length.unwrap_or(size);
        let x = fitted(self, n)?;
        let (re, im) = x.fft(&x.new_full(*x.shape(), 0.0)?)?;
        let kept = (n / 2 + 1) as isize;
        Ok((re.slice(-1, 0, kept)?, im.slice(-1, 0, kept)?))
    }

    /// The inverse of [`Tensor::rfft`]: `fft_length` real numbers, by default an even number of them, `2·(m - 1)` of `m`.
    /// The imaginary parts of the first number and, if `fft_length` is even, of the last one count as 0.
    ///
    /// # Errors
    /// Those of [`Tensor::fft`], or `fft_length` is 0.
    pub fn irfft(&self, imag: &Tensor, fft_length: Option<usize>) -> Result<Tensor> {
        float("irfft", self.dtype())?;
        let size = self.dims().last().copied().unwrap_or(0);
        let n = fft_length.unwrap_or(2 * size.saturating_sub(1));
        if n == 0 || n > isize::MAX as usize / 4 || size == 0 {
            return Err(Error::argument("irfft", "an fft_length of at least 1, and numbers to transform", n));
        }
        let half = n / 2 + 1;
        let whole = |part: &Tensor, mirror: fn(&Tensor) -> Result<Tensor>| {
            let part = fitted(part, half)?;
            let rest = part.slice(-1, 1, (1 + n - half) as isize)?.flip(&[-1])?;
            Tensor::concat(&[&part, &mirror(&rest)?], -1)
        };
        let (re, im) = (whole(self, |t| Ok(t.clone()))?, whole(imag, Tensor::neg)?);
        Ok(re.ifft(&im)?.0)
    }

    /// Cuts the last axis, of `n` numbers, into sequences that start `stride` apart, `[..., sequences, length]`; what is
    /// left at the end is dropped.
    ///
    /// # Errors
    /// There is no axis, or length or stride are 0.
    pub fn extract_sequences(&self, length: usize, stride: usize) -> Result<Tensor> {
        let Some(&n) = self.dims().last() else {
            return Err(Error::shape("extract_sequences", "at least one axis", *self.shape()));
        };
        if length == 0 || stride == 0 {
            let got = format!("{length} and {stride}");
            return Err(Error::argument("extract_sequences", "a length and a stride of at least 1", got));
        }
        let length_kept = length.min(n.max(1)); // longer ones do not fit anyway, and need no places
        let sequences = count(n, length, stride);
        let places = places(sequences, if sequences == 0 { length_kept } else { length }, stride)?;
        self.gather(&places, -1)
    }

    /// Returns the short-time Fourier transform of signals `[..., n]`, `[..., sequences, fft_length / 2 + 1]`, as a real and
    /// an imaginary part: [`Tensor::rfft`] of each sequence times the window. The values are Keras's.
    ///
    /// # Errors
    /// Lengths do not fit together, a signal is shorter than what is mirrored at its ends, or the dtype is not float32 or
    /// float64.
    pub fn stft(&self, how: &Stft<'_>) -> Result<(Tensor, Tensor)> {
        float("stft", self.dtype())?;
        how.check("stft")?;
        if self.rank() == 0 {
            return Err(Error::shape("stft", "at least one axis", *self.shape()));
        }
        let n = how.fft_length;
        let mut x = self.clone();
        if how.center {
            let mut widths = vec![(0, 0); x.rank()];
            widths[x.rank() - 1] = (n / 2, n / 2);
            x = x.pad(&widths, PadMode::Reflect)?;
        }
        let window = how.taper("stft", x.dtype())?;
        x.extract_sequences(n, how.sequence_stride)?.mul(&window)?.rfft(None)
    }

    /// The inverse of [`Tensor::stft`]: real signals from `[..., sequences, fft_length / 2 + 1]`, of `length` numbers, or of
    /// as many as the sequences cover. Where sequences overlap they are weighted by the window, and what all windows leave
    /// out (less than 1e-10 of them is left) is 0.
    ///
    /// # Errors
    /// Shapes or lengths do not fit, or the dtype is not float32 or float64.
    pub fn istft(&self, imag: &Tensor, how: &Stft<'_>, length: Option<usize>) -> Result<Tensor> {
        float("istft", self.dtype())?;
        how.check("istft")?;
        let &[.., sequences, bins] = self.dims() else {
            return Err(Error::shape("istft", "at least two axes", *self.shape()));
        };
        let (n, stride) = (how.fft_length, how.sequence_stride);
        if bins != n / 2 + 1 || sequences == 0 {
            let expected = format!("one sequence or more, of {} numbers", n / 2 + 1);
            return Err(Error::shape("istft", expected, *self.shape()));
        }
        let whole = (sequences - 1).checked_mul(stride).and_then(|w| w.checked_add(n));
        let Some(whole) = whole.filter(|&w| w < isize::MAX as usize / 8) else {
            return Err(Error::argument("istft", "a sequence_stride that fits in memory", stride));
        };
        let window = how.taper("istft", self.dtype())?;
        let places = places(sequences, n, stride)?;
        let added = self.irfft(imag, Some(n))?.mul(&window)?;
        let dims = &self.dims()[..self.rank() - 2];
        let shape = Shape::new(&[dims, &[whole]].concat())?;
        let added = added.scatter_add(&places, -1, shape)?;
        let weight = window.square()?.broadcast_to([sequences, n])?.scatter_add(&places, 0, [whole])?;
        let tiny = weight.less_equal(&weight.new_full([], 1e-10)?)?;
        let signal = added.div(&tiny.choose(&weight.new_full([], 1.0)?, &weight)?)?;
        let start = if how.center { n / 2 } else { 0 };
        let end = match length {
            Some(length) => start.saturating_add(length).min(whole),
            None if how.center => whole - n / 2,
            None => whole,
        };
        signal.slice(-1, start as isize, end.max(start) as isize)
    }
}
