//! Beam search: the sequences that are the most likely as a whole, as far as a few of them at each step can tell.

use super::generate::check_prompt;
use super::runner::{Rows, Runner};
use super::settings::{Generate, check_logits};
use crate::Result;
use crate::nn::Network;

/// A sequence at work.
#[derive(Clone)]
struct Beam {
    rows: Rows,
    /// The logarithm of its probability.
    score: f64,
    logits: Vec<f64>,
}

impl Network {
    /// The most likely sequences that begin with the prompt, the best first, each with the logarithm of its probability over its new tokens
    /// to the power of `length_penalty`. At most as many as [`Generate::beams`].
    ///
    /// ```
    /// use gradus::generation::Generate;
    /// use gradus::prelude::*;
    ///
    /// let stack = Sequential::new().add(Input::with_unknown([None]).dtype(DType::I64)).add(Embedding::new(5, 5));
    /// let found = stack.build()?.beam_search(&[2], &Generate::new(3).beams(4))?;
    /// assert!(found.len() == 4 && found[0].1 >= found[3].1);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Network::generate`].
    pub fn beam_search(&self, prompt: &[i64], settings: &Generate) -> Result<Vec<(Vec<i64>, f64)>> {
        settings.check()?;
        check_prompt(prompt)?;
        if settings.max_new_tokens == 0 {
            return Ok(vec![(prompt.to_vec(), 0.0)]);
        }
        let runner = Runner::new(self, settings)?;
        let (rows, mut logits) = runner.start(vec![prompt.to_vec()])?;
        let mut live = vec![Beam { rows, score: 0.0, logits: logits.swap_remove(0) }];
        let mut ended: Vec<(Vec<i64>, f64)> = Vec::new();
        for position in 0..settings.max_new_tokens {
            let last = position + 1 == settings.max_new_tokens;
            let mut next = Vec::new();
            for (score, beam, token) in candidates(&live)? {
                if next.len() == settings.beams {
                    break;
                }
                let mut rows = live[beam].rows.clone();
                rows.tokens.iter_mut().for_each(|row| row.push(token as i64));
                let stops = settings.stop.contains(&(token as i64));
                if stops || last {
                    let length = libm::pow((position + 1) as f64, settings.length_penalty);
                    ended.extend(rows.tokens.first().map(|tokens| (tokens.clone(), score / length)));
                    if ended.len() > 4 * settings.beams {
                        keep_best(&mut ended, settings.beams);
                    }
                }
                // At the end as many are kept as were wanted; before it one that has ended takes nobody's place.
                if last || !stops {
                    next.push(Beam { rows, score, logits: Vec::new() });
                }
            }
            keep_best(&mut ended, settings.beams);
            live = next;
            // Scores only fall: what has ended better than all that go on stays the best.
            let best = live.first().map_or(f64::NEG_INFINITY, |beam| beam.score);
            let full = ended.len() == settings.beams && ended.last().is_some_and(|(_, score)| *score >= best);
            if live.is_empty() || last || (full && settings.length_penalty == 0.0) {
                break;
            }
            for (i, beam) in live.iter_mut().enumerate() {
                let first = position == 0 && i == 0;
                let mut logits =
                    if first { runner.next_checked(&mut beam.rows)? } else { runner.next(&mut beam.rows)? };
                beam.logits = logits.swap_remove(0);
            }
        }
        Ok(ended)
    }
}

/// Every beam with every token, the most likely first; of equal ones the earlier beam's, then the lower token.
fn candidates(live: &[Beam]) -> Result<Vec<(f64, usize, usize)>> {
    let mut all = Vec::new();
    for (number, beam) in live.iter().enumerate() {
        check_logits(&beam.logits)?;
        let top = beam.logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = beam.logits.iter().map(|l| libm::exp(l - top)).sum();
        let norm = top + libm::log(total);
        let scores = beam.logits.iter().enumerate().filter(|(_, l)| **l > f64::NEG_INFINITY);
        all.extend(scores.map(|(token, l)| (beam.score + (l - norm), number, token)));
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    Ok(all)
}

fn keep_best(ended: &mut Vec<(Vec<i64>, f64)>, beams: usize) {
    ended.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    ended.truncate(beams);
}
