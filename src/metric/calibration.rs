//! `CalibrationError`: how far confidence is from accuracy. Of predictions made with 80 % confidence 80 % should be right.

use super::accuracy::truth;
use super::confusion::share;
use super::gathered::gathers;
use super::{Metric, Reads};
use crate::loss::{aligned, fitted};
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings, string_enum};

string_enum! {
    /// How the gaps of bins become one figure.
    #[derive(Default)]
    pub enum CalibrationNorm {
        /// Their mean by how many predictions lie in each: the expected calibration error.
        #[default]
        L1 = "l1",
        /// The root of the mean of their squares.
        L2 = "l2",
        /// The largest.
        Max = "max",
    }
}

settings! {
    /// The gap between confidence and accuracy in bins of equal width (Naeini and others 2015; Guo and others 2017), named
    /// `calibration_error`. Of several columns the confidence is the largest probability, right if it is the target's; of one column it
    /// is the probability itself, right where the target is 1. A bin has its upper edge and not its lower one.
    pub struct CalibrationError {
        /// The expected calibration error, in 15 bins.
        new();

        /// How many bins there are from 0 to 1; 15 by default.
        bins: usize = 15,
        /// How their gaps become one figure; their mean by default.
        norm: CalibrationNorm = CalibrationNorm::L1,
        /// For each bin the weight, and what it has in confidence and in right predictions.
        sums: state Vec<[f64; 3]> = Vec::new(),
    }
}

impl Metric for CalibrationError {
    fn name(&self) -> &str {
        "calibration_error"
    }

    fn check(&self) -> Result<()> {
        match self.bins {
            1..=1_000_000 => Ok(()),
            n => Err(Error::argument("bins", "1 to 1000000", n)),
        }
    }

    fn reads(&self, width: usize) -> Reads {
        if width == 1 { Reads::Probabilities } else { Reads::Shares }
    }

    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        self.check()?;
        let p = y_pred.detach().cast(DType::F64)?;
        let (right, confidence) = match p.dims() {
            [] | [_] | [.., 1] => aligned("calibration_error", y_true, &p)?,
            _ => {
                let right =
                    p.argmax(-1)?.equal(&truth("calibration_error", y_true, &p)?)?.cast(DType::F64)?;
                (right, p.max(&[-1], false)?)
            }
        };
        let weights = match sample_weight {
            Some(w) => fitted("sample_weight", &w.cast(DType::F64)?, confidence.shape())?
                .broadcast_to(*confidence.shape())?
                .to_vec::<f64>()?,
            None => vec![1.0; confidence.elements()],
        };
        let edges: Vec<f64> = (1..self.bins).map(|i| i as f64 / self.bins as f64).collect();
        self.sums.resize(self.bins, [0.0; 3]);
        let entries = right.to_vec::<f64>()?.into_iter().zip(confidence.to_vec::<f64>()?).zip(weights);
        for ((right, confidence), weight) in entries.filter(|(_, w)| *w != 0.0) {
            let bin = &mut self.sums[edges.partition_point(|edge| *edge < confidence)];
            let more = [weight, weight * confidence, weight * right];
            bin.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        let total: f64 = self.sums.iter().map(|bin| bin[0]).sum();
        let gap = |bin: &[f64; 3]| share((bin[1] - bin[2]).abs(), bin[0]);
        let mean =
            |f: fn(f64) -> f64| self.sums.iter().map(|bin| share(bin[0], total) * f(gap(bin))).sum::<f64>();
        match self.norm {
            CalibrationNorm::L1 => mean(|gap| gap),
            CalibrationNorm::L2 => libm::sqrt(mean(|gap| gap * gap)),
            CalibrationNorm::Max => self.sums.iter().map(gap).fold(0.0, f64::max),
        }
    }

    fn larger_is_better(&self) -> bool {
        false
    }

    gathers!(sums);
}
