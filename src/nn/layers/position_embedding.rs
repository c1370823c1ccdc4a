//! `PositionEmbedding`: a trained vector for each position (Devlin et al. 2019).

use super::checks::{fits, positive};
use super::positions::{Counter, START};
use crate::config::Dyn;
use crate::nn::initializer::{GlorotUniform, Initializer};
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Node, Param, Value, Values, features};
use crate::tensor::Tensor;
use crate::{Error, Result};

crate::settings! {
    /// Returns, for `[…, time, features]`, the vector of each position, in the same shape, to be added to the
    /// input. (As in keras-hub.)
    ///
    /// Table `[sequence_length, features]`, Glorot uniform. A position beyond the table of `n = sequence_length`
    /// rows is made of two of them, as in keras-hub: with `e = (row - α·row₀) / (1 - α)`, position `p >= n` is
    /// `α·e(⌊p/n⌋) + (1 - α)·e(p mod n)`.
    ///
    /// `start_index`, given by name, is the position of the first time step, one number or one per sample. Default:
    /// `0`.
    pub layer PositionEmbedding {
        /// Creates the layer for sequences of up to this length.
        new(sequence_length: usize);

        /// Initializer of the table. Default: `GlorotUniform`.
        initializer: into Dyn<dyn Initializer> = GlorotUniform,
        /// α: the share of the coarse position beyond the table. Default: `0.4`.
        hierarchical_alpha: f64 = 0.4,
        /// Whether a call in a session continues at the position where the last one stopped. Default: `false`.
        cache: bool = false,
    }
}

impl Build for PositionEmbedding {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let input = inputs.at(0)?;
        let n = features("PositionEmbedding", input)?;
        if input.shape.rank() < 3 {
            return Err(Error::shape("PositionEmbedding", "inputs [batch, …, time, features]", input.shape));
        }
        positive("sequence_length", self.sequence_length)?;
        fits("sequence_length", &[self.sequence_length, n])?;
        if !(0.0..1.0).contains(&self.hierarchical_alpha) {
            return Err(Error::argument("hierarchical_alpha", "0 <= alpha < 1", self.hierarchical_alpha));
        }
        let embeddings = init.param([self.sequence_length, n], &self.initializer)?;
        let counter = Counter::new(self.cache, init);
        Ok(Box::new(PositionNode { embeddings, counter, alpha: self.hierarchical_alpha }))
    }
    fn input_names(&self) -> &[&'static str] {
        &[START]
    }
    fn positional_names(&self) -> &[&'static str] {
        &["inputs", START]
    }
}

/// The layer with its table.
#[derive(Clone, Debug)]
struct PositionNode {
    embeddings: Param,
    counter: Counter,
    alpha: f64,
}
crate::parts!(PositionNode { embeddings, counter });

impl PositionNode {
    /// Returns the vectors of positions, some of which may be beyond the table of `n`. The formula of each depends
    /// only on its position, never on how many are asked for at once.
    fn beyond(&self, positions: &Tensor, n: usize, cx: &mut Cx) -> Result<Tensor> {
        let table = cx.param(&self.embeddings)?;
        let first = table.slice(0, 0, 1)?.affine(self.alpha, 0.0)?;
        // Of the rows that are asked for, not of the whole table: decoding asks for one at a time.
        let e = |rows: &Tensor| rows.sub(&first)?.affine(1.0 / (1.0 - self.alpha), 0.0);
        let n = Tensor::scalar(n as i64)?;
        let (coarse, fine) = (positions.floor_div(&n)?, positions.remainder(&n)?);
        let (of_coarse, of_fine) = (table.gather(&coarse, 0)?, table.gather(&fine, 0)?);
        let beyond = e(&of_coarse)?.affine(self.alpha, 0.0)?;
        let beyond = beyond.add(&e(&of_fine)?.affine(1.0 - self.alpha, 0.0)?)?;
        let inside = positions.less(&n)?.expand_dims(-1)?;
        inside.choose(&of_fine, &beyond)
    }
}

impl Node for PositionNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let Value { tensor, mask } = x.at(0)?;
        let (positions, from_zero) = self.counter.positions(x, -2, cx)?;
        let (n, time) = (self.embeddings.value().dims()[0], tensor.dims()[tensor.rank() - 2]);
        let mut rows = match from_zero && time <= n {
            true => cx.rows(&self.embeddings, &positions)?,
            false => self.beyond(&positions, n, cx)?,
        };
        while rows.rank() > 2 && rows.rank() < tensor.rank() {
            rows = rows.expand_dims(1)?;
        }
        Ok(Value::masked(rows.broadcast_like(tensor)?, mask.clone()).into())
    }
    fn class_name(&self) -> &'static str {
        "PositionEmbedding"
    }
}
