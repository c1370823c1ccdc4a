//! A table of vectors, looked up by whole numbers: row `i` for `i`.

use crate::config::Dyn;
use crate::nn::constraint::Constraint;
use crate::nn::initializer::{Initializer, RandomUniform};
use crate::nn::regularizer::Regularizer;
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Node, Param, Value, Values, single};
use crate::{DType, Error, Result};

crate::settings! {
    /// `[…]` of whole numbers below `input_dim` becomes `[…, output_dim]`: a trained vector for each.
    ///
    /// Table `[input_dim, output_dim]`, uniform within ±0.05 (Keras's defaults). Floating-point data is cut to whole numbers,
    /// as in Keras; `Input::new([time]).dtype(DType::I64)` takes tokens as they are.
    pub layer Embedding {
        /// For numbers below `input_dim`, with vectors of `output_dim`.
        new(input_dim: usize, output_dim: usize);

        /// How the table begins; uniform by default.
        embeddings_initializer: into Dyn<dyn Initializer> = RandomUniform::default(),
        /// A penalty on the table; none by default.
        embeddings_regularizer: some into Dyn<dyn Regularizer>,
        /// A penalty on the output, divided by the batch size; none by default.
        activity_regularizer: some into Dyn<dyn Regularizer>,
        /// A bound on the table; none by default.
        embeddings_constraint: some into Dyn<dyn Constraint>,
        /// Whether 0 is padding: the output then has a mask that is false there. No by default.
        mask_zero: bool = false,
    }
}

impl Build for Embedding {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        single(inputs)?;
        for (name, size) in [("input_dim", self.input_dim), ("output_dim", self.output_dim)] {
            if size == 0 {
                return Err(Error::argument(name, "at least 1", 0));
            }
        }
        let embeddings = init.weight(
            [self.input_dim, self.output_dim],
            &self.embeddings_initializer,
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
        let x = &x.single()?.tensor;
        let numbers = x.cast(DType::I64)?;
        let y = cx.rows(&self.embeddings, &numbers)?;
        if let Some(regularizer) = &self.activity_regularizer {
            cx.regularize_activity(&**regularizer, &y)?;
        }
        let mask = if self.mask_zero { Some(numbers.cast(DType::Bool)?) } else { None };
        Ok(Value::masked(y, mask).into())
    }
    fn class_name(&self) -> &'static str {
        "Embedding"
    }
}
