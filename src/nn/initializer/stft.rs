//! `STFT`: kernels with which a convolution is a Fourier transform of each window of a signal, by Keras's rule and with SciPy's windows.

use super::Initializer;
use crate::random::Stream;
use crate::{Error, Result, Shape, settings, string_enum};
use std::f64::consts::PI;

string_enum! {
    /// Which part of the complex transform a kernel of [`STFT`] computes.
    #[derive(Default)]
    pub enum Side {
        /// Cosines.
        #[default]
        Real = "real",
        /// Sines.
        Imag = "imag",
    }
}

string_enum! {
    /// What a window of [`STFT`] is divided by.
    #[derive(Default)]
    pub enum Scaling {
        /// The root of the sum of its squares.
        #[default]
        Density = "density",
        /// The sum of its magnitudes.
        Spectrum = "spectrum",
    }
}

string_enum! {
    /// The windows of SciPy that have no setting of their own.
    #[derive(Default)]
    pub enum Window {
        /// `0.5 - 0.5·cos`.
        #[default]
        Hann = "hann",
        /// `0.54 - 0.46·cos`.
        Hamming = "hamming",
        /// Three terms.
        Blackman = "blackman",
        /// Four terms, with little leakage.
        BlackmanHarris = "blackmanharris",
        /// Four terms (Nuttall 1981).
        Nuttall = "nuttall",
        /// Five terms, for amplitudes.
        FlatTop = "flattop",
        /// A triangle that ends in 0.
        Bartlett = "bartlett",
        /// Half a sine wave.
        Cosine = "cosine",
        /// All ones.
        Boxcar = "boxcar",
    }
}

impl Window {
    /// The factors of `cos(0·x)`, `cos(1·x)`, … of windows that are sums of them.
    fn terms(self) -> &'static [f64] {
        match self {
            Window::Hann => &[0.5, -0.5],
            Window::Hamming => &[0.54, -0.46],
            Window::Blackman => &[0.42, -0.5, 0.08],
            Window::BlackmanHarris => &[0.35875, -0.48829, 0.14128, -0.01168],
            Window::Nuttall => &[0.3635819, -0.4891775, 0.1365995, -0.0106411],
            Window::FlatTop => &[0.21557895, -0.41663158, 0.277263158, -0.083578947, 0.006947368],
            Window::Boxcar | Window::Bartlett | Window::Cosine => &[1.0],
        }
    }

    /// Its value number `at` of so many.
    fn value(self, at: usize, length: usize) -> f64 {
        let share = if length > 1 { at as f64 / (length - 1) as f64 } else { 0.5 };
        match self {
            _ if length == 1 => 1.0,
            Window::Bartlett => 1.0 - (2.0 * share - 1.0).abs(),
            Window::Cosine => libm::sin(PI * (at as f64 + 0.5) / length as f64),
            _ => {
                self.terms().iter().enumerate().map(|(k, a)| a * libm::cos(2.0 * PI * k as f64 * share)).sum()
            }
        }
    }
}

settings! {
    /// Kernels `[frame, 1, frequencies]` of a short-time Fourier transform: `cos` or `sin` of `-2π·t·f/(2·frequencies - 2)`, times a window, over its
    /// scaling.
    #[derive(Copy, PartialEq)]
    pub struct STFT {
        /// The real side, a Hann window, scaled by density.
        new();

        /// Cosines or sines; the real side by default.
        side: Side = Side::Real,
        /// The window, or `None`; Hann's by default.
        window: into Option<Window> = Window::Hann,
        /// What a window is divided by, or `None`; density by default.
        scaling: into Option<Scaling> = Scaling::Density,
        /// Whether the window is one period of a longer signal; no by default, which is symmetric.
        periodic: bool = false,
    }
}

impl Initializer for STFT {
    fn value(&self, shape: &Shape, _: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        let &[frame, 1, frequencies] = shape.dims() else {
            return Err(Error::shape("STFT", "[frame, 1, frequencies]", *shape));
        };
        if frequencies < 2 {
            return Err(Error::shape("STFT", "at least two frequencies", *shape));
        }
        // A periodic window is one that is longer by one, without its last value.
        let length = if self.periodic && frame > 1 { frame + 1 } else { frame };
        let window: Vec<f64> =
            (0..frame).map(|at| self.window.map_or(1.0, |window| window.value(at, length))).collect();
        let scale = match self.scaling.filter(|_| self.window.is_some()) {
            Some(Scaling::Density) => libm::sqrt(window.iter().map(|w| w * w).sum()),
            Some(Scaling::Spectrum) => window.iter().map(|w| w.abs()).sum(),
            None => 1.0,
        };
        let (side, period) = (self.side, 2 * (frequencies as u64 - 1));
        Ok(Box::new(move |at| {
            let (time, frequency) = (at / frequencies as u64, at % frequencies as u64);
            // Whole turns taken off while they are whole numbers.
            let angle = -2.0 * PI * ((time * frequency) % period) as f64 / period as f64;
            let wave = if side == Side::Real { libm::cos(angle) } else { libm::sin(angle) };
            wave * window[time as usize] / scale
        }))
    }
}
