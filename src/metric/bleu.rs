//! `Bleu`: how much of a translation stands in a reference, word for word and in runs of words (Papineni et al. 2002).

use super::Metric;
use super::confusion::share;
use super::edit_distance::Sequences;
use super::gathered::gathers;
use crate::tensor::Tensor;
use crate::{Error, Result, settings};
use std::collections::BTreeMap;

settings! {
    /// The geometric mean of how many runs of 1, 2, … `max_order` tokens stand in a reference, times `exp(1 - reference/hypothesis)` of the
    /// lengths where hypotheses are shorter, over all rows together, named `bleu`. Of several references the closest in length counts.
    ///
    /// ```
    /// use gradus::metric::{Bleu, Metric};
    ///
    /// let mut bleu = Bleu::new().max_order(2);
    /// bleu.add_words(&["the cat sat here"], "the cat sat there", 1.0);
    /// assert!((bleu.result() - (0.75f64 * 2.0 / 3.0).sqrt()).abs() < 1e-12);
    /// ```
    ///
    /// Words are what white space separates: other tokenizers come before. As the metric of a model it compares class numbers `[batch,
    /// length]` with such numbers, `[batch, any length]`, or with the largest of predictions `[batch, length, classes]`.
    pub struct Bleu {
        /// Of runs of up to four tokens.
        new();

        /// The longest runs, 1 or more; 4 by default.
        max_order: usize = 4,
        /// Whether 1 is added to runs found and to runs looked for (Lin and Och 2004), so that a short text without a run of four is not 0.
        /// No by default.
        smooth: bool = false,
        /// Tokens of this number are padding and left out. None by default.
        mask_token_id: some i64,
        /// For each length of runs, those found and those looked for.
        runs: state Vec<[f64; 2]> = Vec::new(),
        /// The lengths of hypotheses and references.
        lengths: state [f64; 2] = [0.0; 2],
    }
}

/// How often each run of `n` tokens occurs.
fn runs<T: Ord>(tokens: &[T], n: usize) -> BTreeMap<&[T], usize> {
    let mut counts = BTreeMap::new();
    tokens.windows(n).for_each(|run| *counts.entry(run).or_default() += 1);
    counts
}

impl Bleu {
    /// Adds a hypothesis and its references, sequences of anything, which counts as often as its weight says.
    pub fn add<T: Ord>(&mut self, references: &[Vec<T>], hypothesis: &[T], weight: f64) {
        let length = hypothesis.len();
        let apart = |reference: &&Vec<T>| (reference.len().abs_diff(length), reference.len());
        let Some(closest) = references.iter().min_by_key(apart).filter(|_| weight != 0.0) else { return };
        self.runs.resize(self.max_order, [0.0; 2]);
        for (i, sums) in self.runs.iter_mut().enumerate() {
            let known: Vec<_> = references.iter().map(|reference| runs(reference, i + 1)).collect();
            for (run, count) in runs(hypothesis, i + 1) {
                let most = known.iter().filter_map(|known| known.get(run)).max().copied().unwrap_or(0);
                sums[0] += weight * count.min(most) as f64;
                sums[1] += weight * count as f64;
            }
        }
        self.lengths[0] += weight * length as f64;
        self.lengths[1] += weight * closest.len() as f64;
    }

    /// Adds a text and its references, word by word; words are what white space separates.
    pub fn add_words(&mut self, references: &[&str], hypothesis: &str, weight: f64) {
        let words = |text: &&str| text.split_whitespace().map(str::to_string).collect::<Vec<_>>();
        let references: Vec<Vec<String>> = references.iter().map(words).collect();
        self.add(&references, &words(&hypothesis), weight);
    }
}

impl Metric for Bleu {
    fn name(&self) -> &str {
        "bleu"
    }

    fn check(&self) -> Result<()> {
        match self.max_order {
            1..=64 => Ok(()),
            n => Err(Error::argument("max_order", "1 to 64", n)),
        }
    }

    fn update(&mut self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        self.check()?;
        let rows = Sequences::of("bleu", y_true, y_pred, sample_weight, self.mask_token_id)?;
        rows.pairs.into_iter().for_each(|(reference, hypothesis, w)| self.add(&[reference], &hypothesis, w));
        Ok(())
    }

    fn result(&self) -> f64 {
        let [hypotheses, references] = self.lengths;
        if self.runs.is_empty() || hypotheses <= 0.0 {
            return 0.0;
        }
        let more = if self.smooth { 1.0 } else { 0.0 };
        let found = |[found, of]: &[f64; 2]| share(found + more, of + more);
        let mean = self.runs.iter().map(|run| libm::log(found(run))).sum::<f64>() / self.runs.len() as f64;
        let short = if hypotheses < references { 1.0 - references / hypotheses } else { 0.0 };
        libm::exp(mean + short)
    }

    fn larger_is_better(&self) -> bool {
        true
    }

    gathers!(runs, lengths);
}
