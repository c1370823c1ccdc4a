//! Asks a network for what comes next, with what its layers carry or with the whole sequence.

use super::settings::Generate;
use crate::error::Context;
use crate::nn::{Network, Session};
use crate::tensor::Tensor;
use crate::{DType, Error, Result};

/// A network as far as generation sees it.
pub(super) struct Runner<'a> {
    network: &'a Network,
    /// The most tokens of a pass.
    window: Option<usize>,
    /// What prompts are filled up with if a pass takes exactly so many tokens.
    pad: Option<i64>,
    fixed: bool,
    /// Whether there is an output for each position.
    each: bool,
    probabilities: bool,
    dtype: DType,
    cache: Option<bool>,
}

/// Sequences of one length, and what the layers of the network carry of them.
#[derive(Clone)]
pub(super) struct Rows {
    pub(super) tokens: Vec<Vec<i64>>,
    session: Option<Session>,
    fed: usize,
}

impl<'a> Runner<'a> {
    pub(super) fn new(network: &'a Network, settings: &Generate) -> Result<Runner<'a>> {
        let (inputs, outputs) = (network.input_specs(), network.output_specs());
        let ([input], [output]) = (&inputs[..], &outputs[..]) else {
            let got = format!("{} inputs and {} outputs", inputs.len(), outputs.len());
            return Err(Error::argument("network", "one input, of token ids, and one output", got));
        };
        let time = match *input.shape.dims() {
            [_, time] => Some(time).filter(|time| *time != crate::UNKNOWN),
            _ => return Err(Error::shape("network", "an input of token ids, [batch, time]", input.shape)),
        };
        let each = match output.shape.rank() {
            3 => true,
            2 => false,
            _ => {
                let expected = "an output for each token of a vocabulary, [batch, time, vocabulary] or [batch, vocabulary]";
                return Err(Error::shape("network", expected, output.shape));
            }
        };
        if let (Some(time), Some(window)) = (time, settings.window)
            && time != window
        {
            return Err(Error::argument(
                "window",
                format!("no value, as the network takes {time} tokens"),
                window,
            ));
        }
        if settings.cache == Some(true) && (time.is_some() || settings.window.is_some()) {
            let expected = "false beside a window, or beside an input of a fixed number of tokens";
            return Err(Error::argument("use_cache", expected, true));
        }
        let softmax = network.output_activation_of(0).is_some_and(|a| a.class_name() == "Softmax");
        Ok(Runner {
            network,
            window: settings.window.or(time),
            pad: settings.pad,
            fixed: time.is_some(),
            each,
            probabilities: settings.from_logits.map_or(softmax, |logits| !logits),
            dtype: input.dtype,
            cache: settings.cache,
        })
    }

    /// The logits of what comes after each prompt.
    pub(super) fn start(&self, tokens: Vec<Vec<i64>>) -> Result<(Rows, Vec<Vec<f64>>)> {
        let mut rows = Rows { tokens, session: None, fed: 0 };
        if self.cache == Some(false) || self.window.is_some() {
            let logits = self.whole(&rows.tokens)?;
            return Ok((rows, logits));
        }
        let mut session = Session::new();
        let y = self.network.predict_in(&mut session, &self.tensor(&rows.tokens, 0)?)?;
        let logits = self.logits(&y, None)?;
        match (session.is_empty(), self.cache) {
            (true, Some(true)) => {
                let expected =
                    "layers that carry state: .cache(n) of attention, .stateful(true) of recurrent layers";
                return Err(Error::argument("use_cache", expected, "none"));
            }
            (true, _) => {}
            (false, _) => {
                rows.fed = rows.tokens.first().map_or(0, Vec::len);
                rows.session = Some(session);
            }
        }
        Ok((rows, logits))
    }

    /// The logits of what comes after each sequence, which has grown since.
    pub(super) fn next(&self, rows: &mut Rows) -> Result<Vec<Vec<f64>>> {
        let Some(mut session) = rows.session.take() else { return self.whole(&rows.tokens) };
        let y = self.network.predict_in(&mut session, &self.tensor(&rows.tokens, rows.fed)?)?;
        rows.fed = rows.tokens.first().map_or(0, Vec::len);
        rows.session = Some(session);
        self.logits(&y, None)
    }

    /// [`Runner::next`] for the first time: whether layers carry all that is needed shows in the numbers.
    pub(super) fn next_checked(&self, rows: &mut Rows) -> Result<Vec<Vec<f64>>> {
        let logits = self.next(rows)?;
        if self.cache.is_some() || rows.session.is_none() {
            return Ok(logits);
        }
        let whole = self.whole(&rows.tokens)?;
        let near = |a: f64, b: f64| a == b || (a - b).abs() <= 1e-3 * b.abs().max(1.0);
        if !logits.iter().flatten().zip(whole.iter().flatten()).all(|(a, b)| near(*a, *b)) {
            rows.session = None;
        }
        Ok(whole)
    }

    /// Whether sequences are given as a whole each time: then some of them can be left out.
    pub(super) fn is_whole(&self, rows: &Rows) -> bool {
        rows.session.is_none()
    }

    /// One pass over the last tokens of each sequence.
    pub(super) fn whole(&self, tokens: &[Vec<i64>]) -> Result<Vec<Vec<f64>>> {
        let length = tokens.first().map_or(0, Vec::len);
        let start = self.window.map_or(0, |window| length.saturating_sub(window));
        let short = self.window.filter(|_| self.fixed).map_or(0, |window| window.saturating_sub(length));
        if short == 0 {
            return self.logits(&self.network.predict(&self.tensor(tokens, start)?)?, None);
        }
        let expected =
            format!("at least {} tokens, which the network takes (or .pad(token))", length + short);
        let pad = self.pad.ok_or_else(|| Error::argument("prompt", expected, length))?;
        let fill = vec![pad; short];
        let filled =
            |row: &Vec<i64>| if self.each { [&row[..], &fill].concat() } else { [&fill[..], row].concat() };
        let rows: Vec<Vec<i64>> = tokens.iter().map(filled).collect();
        self.logits(&self.network.predict(&self.tensor(&rows, 0)?)?, Some(length - 1))
    }

    fn tensor(&self, tokens: &[Vec<i64>], start: usize) -> Result<Tensor> {
        let length = tokens.first().map_or(0, |row| row.len() - start);
        let ids: Vec<i64> = tokens.iter().flat_map(|row| row[start..].iter().copied()).collect();
        Tensor::from_slice(&ids, [tokens.len(), length])?.cast(self.dtype)
    }

    /// The logits at a position, the last by default, of each row.
    fn logits(&self, y: &Tensor, position: Option<usize>) -> Result<Vec<Vec<f64>>> {
        let last = match self.each {
            true => y.select(1, position.map_or(-1, |p| p as isize)).at(|| "generate")?,
            false => y.clone(),
        };
        let vocabulary = last.dims().last().copied().unwrap_or(0).max(1);
        let mut all = last.cast(DType::F64)?.to_vec::<f64>()?;
        if self.probabilities {
            all.iter_mut().for_each(|p| *p = libm::log(*p));
        }
        Ok(all.chunks_exact(vocabulary).map(<[f64]>::to_vec).collect())
    }
}
