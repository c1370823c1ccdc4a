//! How the next token is chosen.

use crate::{Error, Result};

/// The settings of `generate`. Without others the most likely token is taken each time.
///
/// `temperature`, `top_k` and `top_p` draw tokens at random, in that order: logits are divided by the temperature, all but the `k` most
/// likely tokens are left out, and of these all but the fewest that together have the probability `p`. What is drawn depends on the seed,
/// the row and the position alone: not on threads, and not on the prompts beside it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Generate {
    pub(super) max_new_tokens: usize,
    pub(super) stop: Vec<i64>,
    temperature: Option<f64>,
    top_k: Option<usize>,
    top_p: Option<f64>,
    pub(super) seed: u64,
    pub(super) beams: usize,
    pub(super) length_penalty: f64,
    pub(super) window: Option<usize>,
    pub(super) pad: Option<i64>,
    pub(super) cache: Option<bool>,
    pub(super) from_logits: Option<bool>,
}

impl Generate {
    /// At most so many new tokens, each the most likely one; of equal ones the first.
    pub fn new(max_new_tokens: usize) -> Generate {
        Generate {
            max_new_tokens,
            stop: Vec::new(),
            temperature: None,
            top_k: None,
            top_p: None,
            seed: 0,
            beams: 1,
            length_penalty: 0.0,
            window: None,
            pad: None,
            cache: None,
            from_logits: None,
        }
    }

    /// Tokens after which a sequence ends; they stand at its end.
    pub fn stop(mut self, tokens: impl IntoIterator<Item = i64>) -> Generate {
        self.stop = tokens.into_iter().collect();
        self
    }

    /// Draws at random: below 1 likely tokens are more likely still, above 1 less so.
    pub fn temperature(mut self, temperature: f64) -> Generate {
        self.temperature = Some(temperature);
        self
    }

    /// Draws at random, from the `k` most likely tokens.
    pub fn top_k(mut self, k: usize) -> Generate {
        self.top_k = Some(k);
        self
    }

    /// Draws at random, from the fewest tokens that together have at least this probability.
    pub fn top_p(mut self, p: f64) -> Generate {
        self.top_p = Some(p);
        self
    }

    /// Draws others; 0 by default.
    pub fn seed(mut self, seed: u64) -> Generate {
        self.seed = seed;
        self
    }

    /// Keeps the so many most likely sequences at each step, and gives the best in the end (beam search). Nothing is drawn.
    pub fn beams(mut self, beams: usize) -> Generate {
        self.beams = beams;
        self
    }

    /// Divides the logarithm of a sequence's probability by its new tokens to this power; 0, which divides by 1, by default.
    pub fn length_penalty(mut self, power: f64) -> Generate {
        self.length_penalty = power;
        self
    }

    /// The most tokens that the network is given at a time, the last ones; all by default, or as many as its input takes. It is then given
    /// all of them for each token.
    pub fn window(mut self, tokens: usize) -> Generate {
        self.window = Some(tokens);
        self
    }

    /// Fills prompts that are shorter than the input of the network: behind them where the network gives something for each position (and
    /// looks back alone), else before them.
    pub fn pad(mut self, token: i64) -> Generate {
        self.pad = Some(token);
        self
    }

    /// Whether the network is given each token once, as its layers carry state. By default it is if they do, and if that gives at the first
    /// step what a pass over all gives.
    pub fn use_cache(mut self, cache: bool) -> Generate {
        self.cache = Some(cache);
        self
    }

    /// Whether the network gives logits, or else probabilities. By default probabilities if its last activation is softmax.
    pub fn from_logits(mut self, logits: bool) -> Generate {
        self.from_logits = Some(logits);
        self
    }

    /// The probability with which each token is drawn, from the logits of all.
    ///
    /// ```
    /// use gradus::generation::Generate;
    ///
    /// let p = Generate::new(1).top_k(2).probabilities(&[0.0, 1.0, -1.0, 1.0])?;
    /// assert_eq!(p, [0.0, 0.5, 0.0, 0.5]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// A logit is NaN, all are -∞ or one is ∞, or a setting is out of range.
    pub fn probabilities(&self, logits: &[f64]) -> Result<Vec<f64>> {
        self.check()?;
        let temperature = self.temperature.unwrap_or(1.0);
        check_logits(logits)?;
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // The most likely first, of equal ones the first.
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        order.truncate(self.top_k.unwrap_or(logits.len()));
        let weights: Vec<f64> = order.iter().map(|&i| libm::exp((logits[i] - top) / temperature)).collect();
        let total: f64 = weights.iter().sum();
        let kept = match self.top_p {
            None => weights.len(),
            Some(p) => {
                let mut sum = 0.0;
                let below = |weight: &&f64| {
                    let below = sum < p * total;
                    sum += **weight;
                    below
                };
                weights.iter().take_while(below).count().max(1)
            }
        };
        let total: f64 = weights[..kept].iter().sum();
        let mut all = vec![0.0; logits.len()];
        order.iter().zip(&weights).take(kept).for_each(|(&i, weight)| all[i] = weight / total);
        Ok(all)
    }

    /// Whether tokens are drawn.
    pub(super) fn draws(&self) -> bool {
        self.temperature.is_some() || self.top_k.is_some() || self.top_p.is_some()
    }

    pub(super) fn check(&self) -> Result<()> {
        if let Some(t) = self.temperature.filter(|t| !(*t > 0.0 && t.is_finite())) {
            let expected = "a finite number above 0 (without a temperature the most likely token is taken)";
            return Err(Error::argument("temperature", expected, t));
        }
        if let Some(p) = self.top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            return Err(Error::argument("top_p", "0 < top_p <= 1", p));
        }
        for (name, n) in [("top_k", self.top_k), ("beams", Some(self.beams)), ("window", self.window)] {
            if n == Some(0) {
                return Err(Error::argument(name, "at least 1", 0));
            }
        }
        if !self.length_penalty.is_finite() {
            return Err(Error::argument("length_penalty", "a finite number", self.length_penalty));
        }
        if self.beams > 1 && self.draws() {
            let expected = "no temperature, top_k or top_p beside it, which draw tokens";
            return Err(Error::argument("beams", expected, self.beams));
        }
        Ok(())
    }
}

/// The largest logit's place; of equal ones the first.
pub(super) fn most_likely(logits: &[f64]) -> Result<usize> {
    check_logits(logits)?;
    let better = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
    Ok((1..logits.len()).fold(0, better))
}

/// Fails if nothing can be chosen by these.
pub(super) fn check_logits(logits: &[f64]) -> Result<()> {
    let bad = logits.iter().position(|l| l.is_nan() || *l == f64::INFINITY);
    if let Some(token) = bad {
        return Err(Error::argument(
            "logits",
            "numbers below infinity",
            format!("{} of token {token}", logits[token]),
        ));
    }
    match logits.iter().any(|l| l.is_finite()) {
        true => Ok(()),
        false => Err(Error::argument("logits", "at least one token that may come", "none")),
    }
}
