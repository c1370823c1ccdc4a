//! `EditDistance`: how much of a transcript is wrong, as a word error rate or a character error rate.

use super::Metric;
use super::confusion::share;
use super::gathered::gathers;
use crate::loss::fitted;
use crate::tensor::Tensor;
use crate::{DType, Error, Result, settings};

settings! {
    /// How many tokens must be put in, left out or changed to make the references of the hypotheses (Levenshtein 1966), by the length of
    /// all references, named `edit_distance` (keras-hub's `EditDistance`). Of words it is the word error rate, of characters the
    /// character error rate.
    ///
    /// ```
    /// use gradus::metric::{EditDistance, Metric};
    ///
    /// let mut words = EditDistance::new();
    /// words.add_words("the cat was here", "a cat here", 1.0);
    /// assert_eq!(words.result(), 0.5); // one changed, one left out, of four
    /// let mut letters = EditDistance::new();
    /// letters.add_characters("kitten", "sitting", 1.0);
    /// assert_eq!(letters.result(), 0.5);
    /// ```
    ///
    /// As the metric of a model it compares class numbers `[batch, length]` with such numbers, `[batch, any length]`, or with the largest of
    /// predictions `[batch, length, classes]`.
    pub struct EditDistance {
        /// By the length of references.
        new();

        /// Whether the sum is divided by the length of all references rather than by how many there are; yes by default.
        normalize: bool = true,
        /// Tokens of this number are padding and left out. None by default.
        mask_token_id: some i64,
        /// The weighted sums of distances, of lengths of references, and of ones.
        sums: state [f64; 3] = [0.0; 3],
    }
}

/// The least number of changes.
fn distance<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

impl EditDistance {
    /// Adds a pair of sequences of anything, which counts as often as its weight says.
    pub fn add<T: PartialEq>(&mut self, reference: &[T], hypothesis: &[T], weight: f64) {
        if weight != 0.0 {
            let more = [distance(reference, hypothesis) as f64, reference.len() as f64, 1.0];
            self.sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += weight * more);
        }
    }

    /// Adds a pair of texts, word by word; words are what white space separates.
    pub fn add_words(&mut self, reference: &str, hypothesis: &str, weight: f64) {
        let words = |text: &'_ str| text.split_whitespace().map(str::to_string).collect::<Vec<_>>();
        self.add(&words(reference), &words(hypothesis), weight);
    }

    /// Adds a pair of texts, character by character.
    pub fn add_characters(&mut self, reference: &str, hypothesis: &str, weight: f64) {
        let characters = |text: &str| text.chars().collect::<Vec<_>>();
        self.add(&characters(reference), &characters(hypothesis), weight);
    }
}

/// Sequences of tokens with their weights.
pub(super) struct Sequences {
    pub(super) pairs: Vec<(Vec<i64>, Vec<i64>, f64)>,
}

impl Sequences {
    /// Of class numbers, and of such or a number for each class; without padding.
    pub(super) fn of(
        op: &'static str,
        y_true: &Tensor,
        y_pred: &Tensor,
        sample_weight: Option<&Tensor>,
        padding: Option<i64>,
    ) -> Result<Sequences> {
        let p = match y_pred.rank() {
            3 => y_pred.detach().cast(DType::F64)?.argmax(-1)?,
            _ => y_pred.detach(),
        };
        let (&[rows, _], &[batch, _]) = (y_true.dims(), p.dims()) else {
            let why = "expected class numbers [batch, length], and predictions [batch, length] or [batch, length, classes]";
            return Err(Error::shapes(op, *y_true.shape(), *y_pred.shape(), why));
        };
        if rows != batch {
            let why = "expected as many rows of predictions as of targets";
            return Err(Error::shapes(op, *y_true.shape(), *y_pred.shape(), why));
        }
        // A weight for each position leaves positions of 0 out; the row counts by its largest.
        let weights = match sample_weight {
            Some(w) if w.rank() == 2 => w.cast(DType::F64)?,
            Some(w) => fitted("sample_weight", &w.cast(DType::F64)?, &crate::Shape::new(&[batch])?)?
                .expand_dims(1)?,
            None => Tensor::ones([batch, 1])?.cast(DType::F64)?,
        };
        let tokens = |t: &Tensor| -> Result<Vec<Vec<i64>>> {
            let (n, all) = (t.dims()[1], t.cast(DType::I64)?.to_vec::<i64>()?);
            let counts = match weights.dims() == t.dims() {
                true => weights.to_vec::<f64>()?,
                false => vec![1.0; all.len()],
            };
            let counted = |at: usize| counts[at] != 0.0 && Some(all[at]) != padding;
            let row = |i: usize| (i * n..(i + 1) * n).filter(|at| counted(*at)).map(|at| all[at]).collect();
            Ok((0..batch).map(row).collect())
        };
        let of_rows = weights.max(&[1], false)?.broadcast_to([batch])?.to_vec::<f64>()?;
        let pairs = tokens(y_true)?.into_iter().zip(tokens(&p)?).zip(of_rows);
        Ok(Sequences { pairs: pairs.map(|((t, p), w)| (t, p, w)).collect() })
    }
}

impl Metric for EditDistance {
    fn name(&self) -> &str {
        "edit_distance"
    }

    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let rows = Sequences::of("edit_distance", y_true, y_pred, sample_weight, self.mask_token_id)?;
        rows.pairs.iter().for_each(|(reference, hypothesis, w)| self.add(reference, hypothesis, *w));
        Ok(())
    }

    fn result(&self) -> f64 {
        let [changes, length, rows] = self.sums;
        share(changes, if self.normalize { length } else { rows })
    }

    fn larger_is_better(&self) -> bool {
        false
    }

    gathers!(sums);
}
