//! The loop: ask, choose, append.

use super::runner::{Rows, Runner};
use super::settings::{Generate, most_likely};
use crate::error::Context;
use crate::nn::Network;
use crate::random::{Purpose, Stream};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// A token that has just been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token {
    /// The number of its prompt.
    pub row: usize,
    /// Its place among the new tokens of this prompt, from 0.
    pub position: usize,
    /// Its id.
    pub id: i64,
}

impl Network {
    /// Goes on from each prompt, a sequence of token ids, and gives it with what follows. The network takes ids `[batch, time]` and gives
    /// logits, or probabilities by a softmax, for what comes next: `[batch, time, vocabulary]` for each position, or `[batch, vocabulary]`.
    ///
    /// Prompts may differ in length; those of one length are run together, and what one gives does not depend on the others.
    ///
    /// # Errors
    /// The network has other inputs or outputs, a prompt is empty or has an id that the network does not take, a setting is out of range,
    /// or the network gives NaN.
    pub fn generate(&self, prompts: &[impl AsRef<[i64]>], settings: &Generate) -> Result<Vec<Vec<i64>>> {
        if settings.beams > 1 {
            let best = |prompt: &[i64]| Ok(self.beam_search(prompt, settings)?.swap_remove(0).0);
            let rows = prompts.iter().enumerate();
            return rows.map(|(row, p)| best(p.as_ref()).at(|| format!("prompt {row}"))).collect();
        }
        self.generate_with(prompts, settings, |_| ControlFlow::Continue(()))
    }

    /// [`Network::generate`] that hands over each token as it is written: to print it, or to end all by `Break`.
    ///
    /// Prompts of one length grow side by side; those of another length come before or after.
    ///
    /// ```
    /// use gradus::generation::Generate;
    /// use gradus::prelude::*;
    /// use std::ops::ControlFlow;
    ///
    /// let stack = Sequential::new().add(Input::with_unknown([None]).dtype(DType::I64)).add(Embedding::new(10, 10));
    /// let network = stack.build()?;
    /// let mut seen = Vec::new();
    /// let all = network.generate_with(&[[1, 2]], &Generate::new(20).temperature(1.5), |token| {
    ///     seen.push(token.id);
    ///     if seen.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    /// })?;
    /// assert_eq!(all[0][2..], seen);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Network::generate`], or there are several beams, whose tokens are not known before the end.
    pub fn generate_with(
        &self,
        prompts: &[impl AsRef<[i64]>],
        settings: &Generate,
        mut each: impl FnMut(Token) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<i64>>> {
        settings.check()?;
        if settings.beams > 1 {
            return Err(Error::argument(
                "beams",
                "1 where each token is handed over (generate has several)",
                settings.beams,
            ));
        }
        let runner = Runner::new(self, settings)?;
        let mut all: Vec<Vec<i64>> = prompts.iter().map(|prompt| prompt.as_ref().to_vec()).collect();
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (row, prompt) in all.iter().enumerate() {
            check_prompt(prompt).at(|| format!("prompt {row}"))?;
            by_length.entry(prompt.len()).or_default().push(row);
        }
        if settings.max_new_tokens == 0 {
            return Ok(all);
        }
        for rows in by_length.into_values() {
            let prompts = rows.iter().map(|&row| std::mem::take(&mut all[row])).collect();
            let (written, flow) = group(&runner, settings, &rows, prompts, &mut each)?;
            rows.iter().zip(written).for_each(|(&row, tokens)| all[row] = tokens);
            if flow.is_break() {
                break;
            }
        }
        Ok(all)
    }
}

/// Fails if there is nothing to go on from.
pub(super) fn check_prompt(prompt: &[i64]) -> Result<()> {
    match prompt.is_empty() {
        true => Err(Error::argument("prompt", "at least one token, such as one that begins a text", "none")),
        false => Ok(()),
    }
}

/// Prompts of one length.
fn group(
    runner: &Runner<'_>,
    settings: &Generate,
    numbers: &[usize],
    prompts: Vec<Vec<i64>>,
    each: &mut dyn FnMut(Token) -> ControlFlow<()>,
) -> Result<(Vec<Vec<i64>>, ControlFlow<()>)> {
    let mut written = prompts.clone();
    let (mut rows, mut logits) = runner.start(prompts)?;
    // Which prompts the rows are of, and which are at their end.
    let mut of: Vec<usize> = (0..numbers.len()).collect();
    let mut ended = vec![false; numbers.len()];
    for position in 0..settings.max_new_tokens {
        for (at, &prompt) in of.iter().enumerate() {
            if ended[prompt] {
                // It stays among the rows whose state is carried, and whatever it is given does not matter to the others.
                let last = rows.tokens[at].last().copied().unwrap_or(0);
                rows.tokens[at].push(last);
                continue;
            }
            let row = numbers[prompt];
            let id = choose(&logits[at], settings, row, position).at(|| format!("prompt {row}"))?;
            rows.tokens[at].push(id);
            written[prompt].push(id);
            ended[prompt] = settings.stop.contains(&id);
            if each(Token { row, position, id }).is_break() {
                return Ok((written, ControlFlow::Break(())));
            }
        }
        if ended.iter().all(|ended| *ended) || position + 1 == settings.max_new_tokens {
            break;
        }
        if runner.is_whole(&rows) {
            drop_ended(&mut rows, &mut of, &ended);
        }
        logits = if position == 0 { runner.next_checked(&mut rows)? } else { runner.next(&mut rows)? };
    }
    Ok((written, ControlFlow::Continue(())))
}

fn drop_ended(rows: &mut Rows, of: &mut Vec<usize>, ended: &[bool]) {
    let mut keep = of.iter().map(|&prompt| !ended[prompt]);
    rows.tokens.retain(|_| keep.next().unwrap_or(true));
    of.retain(|&prompt| !ended[prompt]);
}

fn choose(logits: &[f64], settings: &Generate, row: usize, position: usize) -> Result<i64> {
    if !settings.draws() {
        return Ok(most_likely(logits)? as i64);
    }
    let probabilities = settings.probabilities(logits)?;
    let drawn = Stream::new(settings.seed, Purpose::Sample(row as u32), position as u64).uniform(0);
    let mut sum = 0.0;
    let reached = probabilities.iter().position(|p| {
        sum += p;
        drawn < sum
    });
    // Rounding may leave the sum a little below 1.
    let last = probabilities.iter().rposition(|p| *p > 0.0);
    Ok(reached.or(last).unwrap_or(0) as i64)
}
