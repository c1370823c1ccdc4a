//! `Dataset`: the type that users chain steps on, with the words of `tf.data`.

use super::item::Item;
use super::prefetch::Prefetch;
use super::sample::Sample;
use super::sides;
use super::source::{Rows, Source};
use super::stage::{Batch, Before, FromSource, Items, Map, Part, Repeat, Shuffle, Stage, Streamed, Zip};
use crate::random::Stream;
use crate::tensor::AsTensors;
use crate::tensor::Tensor;
use crate::{Error, Result};
use std::sync::Arc;

/// How many items a pass has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Cardinality {
    /// This number.
    Known(usize),
    /// Not known before the pass ends, as for a stream.
    Unknown,
    /// It never ends.
    Infinite,
}

impl Cardinality {
    /// Applies `f` to the number, if it is known.
    pub(super) fn map(self, f: impl FnOnce(usize) -> usize) -> Cardinality {
        match self {
            Cardinality::Known(n) => Cardinality::Known(f(n)),
            other => other,
        }
    }
}

/// The size of one side of [`Dataset::split`].
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Size {
    /// This number of items.
    Count(usize),
    /// This share of all items, 0 to 1, rounded to whole items, ties to even.
    Share(f64),
    /// Whatever the other side leaves.
    Rest,
}
impl From<usize> for Size {
    fn from(count: usize) -> Size {
        Size::Count(count)
    }
}
impl From<f64> for Size {
    fn from(share: f64) -> Size {
        Size::Share(share)
    }
}

/// Samples or batches to iterate over, pass after pass. Steps return a new dataset; nothing is read before
/// [`Dataset::iter`] or `fit_dataset` asks. Clones are cheap.
///
/// Passes are numbered. What is random in pass `n` depends only on the seed given to the step and on `n`. A step
/// with an invalid number (`batch(0)`) fails when the dataset is used: the first item is the error.
///
/// ```
/// use gradus::prelude::*;
///
/// let (x, y) = (Tensor::rand([100, 4], 0)?, Tensor::rand([100, 1], 1)?);
/// let (train, validation) = Dataset::from_tensors(&x, &y)?.split(0.8, data::Size::Rest)?;
/// let train = train.shuffle(42).batch(16).prefetch(1);
/// let mut model = Sequential::new().add(Input::new(4)).add(Dense::new(1)).compile("adam", "mse", ())?;
/// model.fit_dataset(&train, Fit::new().verbose(0).validation_dataset(&validation.batch(20)))?;
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone)]
pub struct Dataset {
    stage: Before,
    maps: u32,
}

impl Dataset {
    // ---- where data comes from

    /// Creates a dataset of the rows of tensors in memory.
    ///
    /// # Errors
    /// There is no `x`, a tensor has no rows (rank 0), or their numbers of rows differ.
    pub fn from_tensors(x: &(impl AsTensors + ?Sized), y: &(impl AsTensors + ?Sized)) -> Result<Dataset> {
        Ok(Dataset::from_source(Rows::new(x, y, None)?))
    }

    /// [`Dataset::from_tensors`] with a weight for each row: `weight` is `[n]`.
    ///
    /// # Errors
    /// Those of [`Dataset::from_tensors`], or `weight` is not one number for each row.
    pub fn from_weighted_tensors(
        x: &(impl AsTensors + ?Sized),
        y: &(impl AsTensors + ?Sized),
        weight: &Tensor,
    ) -> Result<Dataset> {
        Ok(Dataset::from_source(Rows::new(x, y, Some(weight))?))
    }

    /// Creates a dataset of rows without targets, for prediction.
    ///
    /// # Errors
    /// Those of [`Dataset::from_tensors`].
    pub fn from_inputs(x: &(impl AsTensors + ?Sized)) -> Result<Dataset> {
        Dataset::from_tensors(x, &[] as &[Tensor])
    }

    /// Creates a dataset of samples that can be read by number.
    pub fn from_source(source: impl Source + 'static) -> Dataset {
        Dataset { stage: Arc::new(FromSource(Arc::new(source))), maps: 0 }
    }

    /// Creates a dataset of samples that come one after another: `open` is called at the beginning of each pass
    /// with its number, from 0. The iterator may end or not; it ends with its first error.
    pub fn from_stream<F, I>(open: F) -> Dataset
    where
        F: Fn(u64) -> Result<I> + Send + Sync + 'static,
        I: Iterator<Item = Result<Sample>> + Send + 'static,
    {
        Dataset { stage: Arc::new(Streamed(open)), maps: 0 }
    }

    fn then(&self, stage: impl Stage + 'static) -> Dataset {
        Dataset { stage: Arc::new(stage), maps: self.maps }
    }

    // ---- steps

    /// Stacks every `n` samples along a new first axis; the last batch of a pass may be smaller.
    #[must_use]
    pub fn batch(&self, n: usize) -> Dataset {
        self.then(Batch { before: self.stage.clone(), n, drop_remainder: false })
    }

    /// [`Dataset::batch`] without a smaller last batch (`drop_remainder=True`).
    #[must_use]
    pub fn batch_exact(&self, n: usize) -> Dataset {
        self.then(Batch { before: self.stage.clone(), n, drop_remainder: true })
    }

    /// Shuffles the items, in another order in every pass. All orders are possible if items can be read by number
    /// (tensors and sources, mapped or cut); otherwise each item is chosen from the next 1,024.
    #[must_use]
    pub fn shuffle(&self, seed: u64) -> Dataset {
        self.then(Shuffle { before: self.stage.clone(), seed, buffer: None, once: false })
    }

    /// Shuffles the items in an order that is the same in every pass (`reshuffle_each_iteration=False`): to split,
    /// take or skip rows at random. Otherwise like [`Dataset::shuffle`].
    #[must_use]
    pub fn shuffle_once(&self, seed: u64) -> Dataset {
        self.then(Shuffle { before: self.stage.clone(), seed, buffer: None, once: true })
    }

    /// Shuffles the items, in another order in every pass, each item chosen from the next `size`. Cheaper than
    /// [`Dataset::shuffle`] if neighbouring rows are faster to read.
    #[must_use]
    pub fn shuffle_buffer(&self, size: usize, seed: u64) -> Dataset {
        self.then(Shuffle { before: self.stage.clone(), seed, buffer: Some(size), once: false })
    }

    /// Applies a function to each sample, or after [`Dataset::batch`] to each batch. It may be called on several
    /// threads at a time.
    #[must_use]
    pub fn map(&self, f: impl Fn(Sample) -> Result<Sample> + Send + Sync + 'static) -> Dataset {
        self.map_random(0, move |sample, _| f(sample))
    }

    /// [`Dataset::map`] with random numbers, for augmentation. The stream depends on the seed, the pass, the number
    /// of the sample in its source and the position of this step among the maps; not on order, workers or earlier
    /// draws.
    #[must_use]
    pub fn map_random(
        &self,
        seed: u64,
        f: impl Fn(Sample, Stream) -> Result<Sample> + Send + Sync + 'static,
    ) -> Dataset {
        let map = Map { before: self.stage.clone(), f: Arc::new(f), seed, number: self.maps };
        Dataset { stage: Arc::new(map), maps: self.maps.wrapping_add(1) }
    }

    /// Makes items ahead of time on `workers` threads of its own; with 0, each item is made when it is asked for.
    /// At most two items per worker are waiting or in work. Order and bytes are the same for any number of workers.
    /// The threads start and end with a pass, also if it is dropped halfway; dropping it waits for items in work.
    #[must_use]
    pub fn prefetch(&self, workers: usize) -> Dataset {
        self.then(Prefetch { before: self.stage.clone(), workers })
    }

    /// Keeps the first `count` items. After [`Dataset::shuffle`] they differ in every pass, so `fit_dataset`
    /// refuses to train on such a part and validate on the rest.
    #[must_use]
    pub fn take(&self, count: usize) -> Dataset {
        self.then(Part { before: self.stage.clone(), start: 0, count })
    }

    /// Drops the first `count` items.
    #[must_use]
    pub fn skip(&self, count: usize) -> Dataset {
        self.then(Part { before: self.stage.clone(), start: count, count: usize::MAX })
    }

    /// Joins `times` passes into one, each shuffled anew.
    #[must_use]
    pub fn repeat(&self, times: usize) -> Dataset {
        self.then(Repeat { before: self.stage.clone(), times: Some(times) })
    }

    /// Repeats the pass without end; `fit_dataset` then needs `steps_per_epoch`.
    #[must_use]
    pub fn repeat_forever(&self) -> Dataset {
        self.then(Repeat { before: self.stage.clone(), times: None })
    }

    /// Joins the inputs and targets of both, item by item, up to the shorter: for networks with several inputs.
    #[must_use]
    pub fn zip(&self, other: &Dataset) -> Dataset {
        let maps = self.maps.max(other.maps);
        Dataset { maps, ..self.then(Zip(self.stage.clone(), other.stage.clone())) }
    }

    /// Splits off the first and the last items as two datasets (Keras's `split_dataset`). Items between them are in
    /// neither.
    ///
    /// Split before shuffling and repeating: the sides of a shuffled dataset would hold other samples in every
    /// pass, so that is an error. [`Dataset::shuffle_once`] gives sides of random rows.
    ///
    /// ```
    /// use gradus::data::{Dataset, Size};
    /// # use gradus::Tensor;
    /// # fn main() -> gradus::Result<()> {
    /// let all = Dataset::from_inputs(&Tensor::arange(10)?)?;
    /// let (train, validation) = all.split(0.8, Size::Rest)?;
    /// assert_eq!((train.iter().count(), validation.iter().count()), (8, 2));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The dataset is shuffled or repeated, the number of items is not known, a share is not in `0..=1`, both sides
    /// are [`Size::Rest`], a side is empty, or both together are more than there is.
    pub fn split(&self, left: impl Into<Size>, right: impl Into<Size>) -> Result<(Dataset, Dataset)> {
        let (left, right) = (left.into(), right.into());
        sides::check_split(&self.stage)?;
        let Cardinality::Known(n) = self.cardinality() else {
            let got = format!("{:?}", self.cardinality());
            return Err(Error::argument("split", "a dataset whose number of items is known", got));
        };
        let count = |side: Size, name: &'static str| match side {
            Size::Count(count) => Ok(Some(count)),
            Size::Share(share) if (0.0..=1.0).contains(&share) => {
                Ok(Some((share * n as f64).round_ties_even() as usize))
            }
            Size::Share(share) => Err(Error::argument(name, "0 <= share <= 1", share)),
            Size::Rest => Ok(None),
        };
        let (left, right) = match (count(left, "left")?, count(right, "right")?) {
            (Some(left), Some(right)) => (left, right),
            (Some(left), None) => (left, n.saturating_sub(left)),
            (None, Some(right)) => (n.saturating_sub(right), right),
            (None, None) => {
                return Err(Error::argument("split", "the size of one side at least", "Rest twice"));
            }
        };
        for (name, side) in [("left", left), ("right", right)] {
            if side == 0 {
                return Err(Error::argument(name, format!("at least one of {n} items"), 0));
            }
        }
        if left.checked_add(right).is_none_or(|sum| sum > n) {
            let got = format!("{left} and {right}");
            return Err(Error::argument("split", format!("sides that hold {n} items together at most"), got));
        }
        let part = |start, count| self.then(Part { before: self.stage.clone(), start, count });
        Ok((part(0, left), part(n - right, right)))
    }

    /// Fails if some pass would train on rows of `validation`, because both are parts of one shuffled dataset.
    pub(crate) fn check_apart(&self, validation: &Dataset) -> Result<()> {
        sides::check_apart(&self.stage, &validation.stage)
    }

    // ---- going through

    /// Returns how many items a pass has.
    pub fn cardinality(&self) -> Cardinality {
        self.stage.cardinality()
    }

    /// Iterates over the first pass.
    pub fn iter(&self) -> Pass {
        self.pass(0)
    }

    /// Iterates over pass `number`; `fit_dataset` uses one pass per epoch.
    pub fn pass(&self, number: u64) -> Pass {
        Pass(self.stage.items(number))
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dataset({:?})", self.cardinality())
    }
}

impl IntoIterator for &Dataset {
    type Item = Result<Sample>;
    type IntoIter = Pass;
    fn into_iter(self) -> Pass {
        self.iter()
    }
}

/// One pass over a [`Dataset`]. An error names the sample; the pass continues after it if its source can.
pub struct Pass(Items);

impl Iterator for Pass {
    type Item = Result<Sample>;
    fn next(&mut self) -> Option<Result<Sample>> {
        self.0.next().map(Item::run)
    }
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pass(..)")
    }
}
