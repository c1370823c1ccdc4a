//! `Embedding`: a table of vectors, looked up by whole numbers, `y[…] = embeddings[x[…]]`.

use super::checks::{fits, positive};
use crate::config::{Configured, Dyn};
use crate::nn::constraint::Constraint;
use crate::nn::initializer::{Initializer, RandomUniform};
use crate::nn::regularizer::Regularizer;
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Masking, Node, Param, Value, Values, single};
use crate::random::Stream;
use crate::tensor::Tensor;
use crate::{DType, Error, Result, Shape};
use std::sync::Arc;

crate::settings! {
    /// Maps each whole number below `input_dim` to a trained vector: `[…]` becomes `[…, output_dim]`.
    ///
    /// Table `[input_dim, output_dim]`, uniform within ±0.05 (Keras's defaults). Floating-point data is cut to
    /// whole numbers, as in Keras; `Input::new([time]).dtype(DType::I64)` takes tokens as they are.
    pub layer Embedding {
        /// Creates the layer for numbers below `input_dim`, with vectors of `output_dim`.
        new(input_dim: usize, output_dim: usize);

        /// Initializer of the table. Default: `RandomUniform`.
        embeddings_initializer: into Dyn<dyn Initializer> = RandomUniform::default(),
        /// Regularizer of the table. Default: none.
        embeddings_regularizer: some into Dyn<dyn Regularizer>,
        /// Regularizer of the output; its penalty is divided by the batch size. Default: none.
        activity_regularizer: some into Dyn<dyn Regularizer>,
        /// Constraint on the table. Default: none.
        embeddings_constraint: some into Dyn<dyn Constraint>,
        /// Whether 0 is padding: the output then has a mask that is false there. Default: `false`.
        mask_zero: bool = false,
        /// The initial table, if the initializer does not draw it. Not part of the layer's description in files.
        weights: state Option<Given> = None,
    }
}

impl Embedding {
    /// Sets the initial table, `[input_dim, output_dim]`, such as vectors learned elsewhere.
    /// [`frozen`](Embedding::frozen) keeps them as they are.
    ///
    /// # Errors
    /// The tensor has no values, because a network is being traced.
    pub fn weights(mut self, table: &Tensor) -> Result<Embedding> {
        self.weights =
            Some(Given { shape: *table.shape(), values: table.cast(DType::F64)?.to_vec()?.into() });
        Ok(self)
    }
}

/// The initial values of a parameter.
#[derive(Clone, Debug)]
struct Given {
    shape: Shape,
    values: Arc<[f64]>,
}

impl Configured for Given {}
impl Initializer for Given {
    fn value(&self, shape: &Shape, _: Stream) -> Result<Box<dyn Fn(u64) -> f64>> {
        if *shape != self.shape {
            return Err(Error::argument("weights", format!("a table {shape}"), self.shape));
        }
        let values = self.values.clone();
        Ok(Box::new(move |i| values.get(i as usize).copied().unwrap_or(0.0)))
    }
}

impl Build for Embedding {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        single(inputs)?;
        for (name, size) in [("input_dim", self.input_dim), ("output_dim", self.output_dim)] {
            positive(name, size)?;
        }
        fits("input_dim, output_dim", &[self.input_dim, self.output_dim])?;
        let given = self.weights.clone().map(Dyn::from);
        if let Some(Given { shape, .. }) = &self.weights
            && shape.dims() != [self.input_dim, self.output_dim]
        {
            let expected = format!("a table [{}, {}]", self.input_dim, self.output_dim);
            return Err(Error::argument("weights", expected, shape));
        }
        let embeddings = init.weight(
            [self.input_dim, self.output_dim],
            given.as_ref().unwrap_or(&self.embeddings_initializer),
            &self.embeddings_regularizer,
            &self.embeddings_constraint,
        )?;
        let (mask_zero, activity_regularizer) = (self.mask_zero, self.activity_regularizer.clone());
        Ok(Box::new(EmbeddingNode { embeddings, mask_zero, activity_regularizer }))
    }
}

/// The layer with its table.
#[derive(Clone, Debug)]
struct EmbeddingNode {
    embeddings: Param,
    mask_zero: bool,
    activity_regularizer: Option<Dyn<dyn Regularizer>>,
}
crate::parts!(EmbeddingNode { embeddings });

impl Node for EmbeddingNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let Value { tensor: x, mask } = x.single()?;
        Masking::Refuse.apply(mask.as_ref())?;
        let numbers = x.cast(DType::I64)?;
        let y = cx.rows(&self.embeddings, &numbers)?;
        if let Some(regularizer) = &self.activity_regularizer {
            cx.regularize_activity(&**regularizer, &y)?;
        }
        let mask = if self.mask_zero { Some(x.cast(DType::Bool)?) } else { None };
        Ok(Value::masked(y, mask).into())
    }
    fn class_name(&self) -> &'static str {
        "Embedding"
    }
    fn is_row_wise(&self) -> bool {
        self.activity_regularizer.is_none()
    }
}
