//! Window functions of signal processing, as NumPy defines them: symmetric, `n` numbers, `[1]` for `n = 1`.

use crate::tensor::Tensor;
use crate::{DType, Result};
use std::f64::consts::PI;

super::table::ops! {
    bartlett: Nothing, None, "";
    blackman: Nothing, None, "BlackmanWindow";
    hamming: Nothing, None, "";
    hanning: Nothing, None, "HannWindow";
    kaiser: Nothing, None, "";
}

/// `f` at `n` points from 0 to 1.
fn window(n: usize, dtype: DType, f: impl Fn(f64) -> f64) -> Result<Tensor> {
    let step = n.saturating_sub(1) as f64;
    let mut points =
        Tensor::filled(crate::Spec::new(crate::Shape::new(&[n])?, DType::F64), 1.0)?.into_array();
    if n > 1 {
        points.slice_mut::<f64>()?.iter_mut().enumerate().for_each(|(i, o)| *o = f(i as f64 / step));
    }
    Tensor::from(points).cast(dtype)
}

fn cosine(t: f64) -> f64 {
    libm::cos(2.0 * PI * t)
}

impl Tensor {
    /// Bartlett's window, a triangle.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn bartlett(n: usize, dtype: DType) -> Result<Tensor> {
        window(n, dtype, |t| 1.0 - (2.0 * t - 1.0).abs())
    }

    /// Blackman's window.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn blackman(n: usize, dtype: DType) -> Result<Tensor> {
        window(n, dtype, |t| 0.42 - 0.5 * cosine(t) + 0.08 * cosine(2.0 * t))
    }

    /// Hamming's window.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn hamming(n: usize, dtype: DType) -> Result<Tensor> {
        window(n, dtype, |t| 0.54 - 0.46 * cosine(t))
    }

    /// Hann's window.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn hanning(n: usize, dtype: DType) -> Result<Tensor> {
        window(n, dtype, |t| 0.5 - 0.5 * cosine(t))
    }

    /// Kaiser's window: `I₀(β√(1 - (2t - 1)²)) / I₀(β)`.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn kaiser(n: usize, beta: f64, dtype: DType) -> Result<Tensor> {
        let below = Tensor::scalar(beta)?.i0()?;
        let arch =
            window(n, DType::F64, |t| beta * (1.0 - (2.0 * t - 1.0) * (2.0 * t - 1.0)).max(0.0).sqrt())?;
        let arch = if n == 1 { Tensor::full([1], beta)? } else { arch };
        arch.i0()?.div(&below)?.cast(dtype)
    }
}
