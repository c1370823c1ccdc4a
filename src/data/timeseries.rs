//! Windows that slide over a series: `keras.utils.timeseries_dataset_from_array`.

use super::dataset::Dataset;
use super::sample::Sample;
use super::source::Source;
use crate::tensor::Tensor;
use crate::{Error, Result};

/// How windows are cut out of a series, with Keras's names and defaults. Batches and their order are steps of the dataset.
///
/// ```
/// use gradus::Tensor;
/// use gradus::data::Timeseries;
///
/// // From three steps the fourth.
/// let series = Tensor::arange(10)?;
/// let (data, targets) = (series.slice(0, 0, -3)?, series.slice(0, 3, 10)?);
/// let windows = Timeseries::new(3).dataset(&data, Some(&targets))?.batch(128);
/// let batch = windows.iter().next().unwrap()?;
/// assert_eq!((batch.x[0].dims(), batch.y[0].dims()), (&[5, 3][..], &[5][..]));
/// assert_eq!(batch.y[0].to_vec::<i64>()?[0], 3);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Timeseries {
    sequence_length: usize,
    sequence_stride: usize,
    sampling_rate: usize,
    start_index: usize,
    end_index: Option<usize>,
}

impl Timeseries {
    /// Windows of so many steps, one beginning at each step.
    pub fn new(sequence_length: usize) -> Timeseries {
        Timeseries { sequence_length, sequence_stride: 1, sampling_rate: 1, start_index: 0, end_index: None }
    }

    /// Steps from the beginning of one window to that of the next; 1 by default.
    pub fn sequence_stride(mut self, steps: usize) -> Timeseries {
        self.sequence_stride = steps;
        self
    }

    /// Steps of the series from one step of a window to the next; 1 by default.
    pub fn sampling_rate(mut self, steps: usize) -> Timeseries {
        self.sampling_rate = steps;
        self
    }

    /// The first step that is used; 0 by default.
    pub fn start_index(mut self, step: usize) -> Timeseries {
        self.start_index = step;
        self
    }

    /// The step before which windows end; the end of the series by default.
    pub fn end_index(mut self, step: usize) -> Timeseries {
        self.end_index = Some(step);
        self
    }

    /// The windows of `data`, `[steps, …]`, each with the target at its first step. There are as many as both allow.
    ///
    /// # Errors
    /// A setting is 0 or out of range, or no window fits.
    pub fn dataset(&self, data: &Tensor, targets: Option<&Tensor>) -> Result<Dataset> {
        let steps = data.dims().first().copied();
        let steps = steps.ok_or_else(|| Error::shape("data", "a series, [steps, …]", *data.shape()))?;
        let Timeseries { sequence_length, sequence_stride, sampling_rate, start_index, end_index } = *self;
        for (name, n) in [
            ("sequence_length", sequence_length),
            ("sequence_stride", sequence_stride),
            ("sampling_rate", sampling_rate),
        ] {
            if n == 0 {
                return Err(Error::argument(name, "at least 1", 0));
            }
        }
        let end = end_index.unwrap_or(steps);
        if end > steps {
            return Err(Error::argument(
                "end_index",
                format!("at most {steps}, the steps of the series"),
                end,
            ));
        }
        if start_index >= end {
            return Err(Error::argument(
                "start_index",
                format!("less than {end}, where windows end"),
                start_index,
            ));
        }
        let reach = (sequence_length - 1).saturating_mul(sampling_rate);
        let Some(room) = (end - start_index).checked_sub(reach).filter(|room| *room > 0) else {
            let most = (end - start_index - 1) / sampling_rate + 1;
            return Err(Error::argument(
                "sequence_length",
                format!("at most {most} of {steps} steps"),
                sequence_length,
            ));
        };
        let room = match targets.map(|t| (t, t.dims().first())) {
            None => room,
            Some((_, Some(&n))) if n > start_index => room.min(n - start_index),
            Some((t, _)) => {
                let expected = format!("a target for each step from {start_index} on");
                return Err(Error::shape("targets", expected, *t.shape()));
            }
        };
        Ok(Dataset::from_source(Windows {
            data: data.clone(),
            targets: targets.cloned(),
            count: (room - 1) / sequence_stride + 1,
            settings: self.clone(),
        }))
    }
}

struct Windows {
    data: Tensor,
    targets: Option<Tensor>,
    count: usize,
    settings: Timeseries,
}

impl Windows {
    fn start(&self, window: usize) -> usize {
        self.settings.start_index + window * self.settings.sequence_stride
    }

    fn steps(&self, window: usize) -> impl Iterator<Item = i64> {
        let (start, rate) = (self.start(window), self.settings.sampling_rate);
        (0..self.settings.sequence_length).map(move |i| (start + i * rate) as i64)
    }
}

impl Source for Windows {
    fn rows(&self) -> usize {
        self.count
    }

    fn get(&self, window: usize) -> Result<Sample> {
        let steps: Vec<i64> = self.steps(window).collect();
        let x = self.data.gather(&Tensor::from_slice(&steps, [steps.len()])?, 0)?;
        let y = self.targets.as_ref().map(|t| t.select(0, self.start(window) as isize)).transpose()?;
        Ok(Sample { x: vec![x], y: y.into_iter().collect(), weight: None })
    }

    fn gather(&self, windows: &[usize]) -> Option<Result<Sample>> {
        let gathered = || {
            let steps: Vec<i64> = windows.iter().flat_map(|&window| self.steps(window)).collect();
            let steps = Tensor::from_slice(&steps, [windows.len(), self.settings.sequence_length])?;
            let starts: Vec<i64> = windows.iter().map(|&window| self.start(window) as i64).collect();
            let starts = Tensor::from_slice(&starts, [starts.len()])?;
            let y = self.targets.as_ref().map(|t| t.gather(&starts, 0)).transpose()?;
            Ok(Sample { x: vec![self.data.gather(&steps, 0)?], y: y.into_iter().collect(), weight: None })
        };
        Some(gathered())
    }
}
