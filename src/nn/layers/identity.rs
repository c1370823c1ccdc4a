//! `Identity`: a layer that changes nothing, for a place with a name.

use crate::Result;
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Node, Range, Values};

crate::settings! {
    /// Returns its inputs, one or several, with their masks.
    pub layer Identity {
        /// Creates the layer.
        new();
    }
}
crate::parts!(Identity {});

impl Build for Identity {
    fn build(&self, _: &InputSpecs<'_>, _: &mut Init) -> Result<Box<dyn Node>> {
        Ok(Box::new(self.clone()))
    }
}

impl Node for Identity {
    fn call(&self, x: Inputs<'_>, _: &mut Cx) -> Result<Values> {
        Ok(x.values().iter().cloned().collect())
    }
    fn output_range(&self, output: usize, inputs: &[Option<Range>]) -> Option<Range> {
        inputs.get(output).copied().flatten()
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
