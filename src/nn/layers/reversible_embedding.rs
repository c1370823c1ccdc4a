//! `ReversibleEmbedding`: a table of vectors that is read both ways, from numbers to vectors and from vectors to a
//! score for each number.

use super::checks::{fits, positive, positive_number};
use crate::config::Dyn;
use crate::nn::constraint::Constraint;
use crate::nn::initializer::{Initializer, RandomUniform};
use crate::nn::regularizer::Regularizer;
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Masking, Node, Param, Value, Values};
use crate::tensor::Tensor;
use crate::{DType, Error, Result};

crate::settings! {
    /// An [`Embedding`](super::Embedding) whose call on an input named `reverse` goes the other way:
    /// `[…, output_dim]` becomes logits `[…, input_dim]`, `x·embeddingsᵀ` (Press and Wolf 2016). Make it shared and
    /// call it twice:
    ///
    /// ```
    /// # use gradus::prelude::*;
    /// # use gradus::nn::layers::ReversibleEmbedding;
    /// let tokens = Input::with_unknown([None]).dtype(DType::I64);
    /// let table = ReversibleEmbedding::new(100, 16).shared();
    /// let h = Dense::new(16).activation(Tanh).on(&table.on(&tokens)?)?;
    /// let logits = table.on([("reverse", &h)])?;
    /// let network = Functional::new(&tokens, &logits)?.build()?;
    /// assert_eq!(network.output_specs()[0].to_string(), "float32 [None, None, 100]");
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// Table `[input_dim, output_dim]`, uniform within ±0.05 (Keras's defaults).
    pub layer ReversibleEmbedding {
        /// Creates the layer for numbers below `input_dim`, with vectors of `output_dim`.
        new(input_dim: usize, output_dim: usize);

        /// Whether the way back reads the same table; otherwise it has its own, `[output_dim, input_dim]`. Default:
        /// `true`.
        tie_weights: bool = true,
        /// Initializer of the tables. Default: `RandomUniform`.
        embeddings_initializer: into Dyn<dyn Initializer> = RandomUniform::default(),
        /// Regularizer of the table. Default: none.
        embeddings_regularizer: some into Dyn<dyn Regularizer>,
        /// Regularizer of the output; its penalty is divided by the batch size. Default: none.
        activity_regularizer: some into Dyn<dyn Regularizer>,
        /// Constraint on the table. Default: none.
        embeddings_constraint: some into Dyn<dyn Constraint>,
        /// Whether 0 is padding: the output then has a mask that is false there. Default: `false`.
        mask_zero: bool = false,
        /// The dtype of the way back from vectors to logits. Default: the input's.
        reverse_dtype: some DType,
        /// Keeps logits between this and its negative: `cap·tanh(logits / cap)`. Default: none.
        logit_soft_cap: some f64,
    }
}

/// The name of the input of the way back.
const REVERSE: &str = "reverse";

impl Build for ReversibleEmbedding {
    fn build(&self, _: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        for (name, size) in [("input_dim", self.input_dim), ("output_dim", self.output_dim)] {
            positive(name, size)?;
        }
        fits("input_dim, output_dim", &[self.input_dim, self.output_dim])?;
        if let Some(cap) = self.logit_soft_cap {
            positive_number("logit_soft_cap", cap)?;
        }
        let embeddings = init.weight(
            [self.input_dim, self.output_dim],
            &self.embeddings_initializer,
            &self.embeddings_regularizer,
            &self.embeddings_constraint,
        )?;
        let reverse_embeddings = match self.tie_weights {
            true => None,
            false => Some(init.param([self.output_dim, self.input_dim], &self.embeddings_initializer)?),
        };
        Ok(Box::new(ReversibleNode { embeddings, reverse_embeddings, spec: self.clone() }))
    }
    fn input_names(&self) -> &[&'static str] {
        &[REVERSE]
    }
    fn positional_names(&self) -> &[&'static str] {
        &["inputs"]
    }
}

/// The layer with its tables.
#[derive(Clone, Debug)]
struct ReversibleNode {
    embeddings: Param,
    reverse_embeddings: Option<Param>,
    spec: ReversibleEmbedding,
}
crate::parts!(ReversibleNode { embeddings, reverse_embeddings });

impl ReversibleNode {
    fn vectors(&self, x: &Tensor, cx: &mut Cx) -> Result<Value> {
        let numbers = x.cast(DType::I64)?;
        let y = cx.rows(&self.embeddings, &numbers)?;
        let mask = if self.spec.mask_zero { Some(x.cast(DType::Bool)?) } else { None };
        Ok(Value::masked(y, mask))
    }

    fn logits(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let kernel = match &self.reverse_embeddings {
            Some(own) => cx.param(own)?,
            None => cx.param(&self.embeddings)?.t()?,
        };
        let logits = match self.spec.reverse_dtype {
            Some(dtype) => x.cast(dtype)?.matmul(&kernel.cast(dtype)?)?,
            None => x.matmul(&kernel)?,
        };
        match self.spec.logit_soft_cap {
            Some(cap) => logits.affine(1.0 / cap, 0.0)?.tanh()?.affine(cap, 0.0),
            None => Ok(logits),
        }
    }
}

impl Node for ReversibleNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let y = match (x.positional(), x.get(REVERSE)) {
            ([numbers], None) => {
                Masking::Refuse.apply(numbers.mask.as_ref())?;
                self.vectors(&numbers.tensor, cx)?
            }
            // Each position is scored separately, so its mask stays.
            ([], Some(h)) => Value::masked(self.logits(&h.tensor, cx)?, h.mask.clone()),
            (all, _) => {
                let expected = "one input: numbers by position, or vectors named 'reverse'";
                return Err(Error::argument("inputs", expected, all.len() + x.names().len()));
            }
        };
        if let Some(regularizer) = &self.spec.activity_regularizer {
            cx.regularize_activity(&**regularizer, &y.tensor)?;
        }
        Ok(y.into())
    }
    fn class_name(&self) -> &'static str {
        "ReversibleEmbedding"
    }
}
