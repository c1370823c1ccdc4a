//! `Permute`: reorders the axes of a sample.

use crate::nn::{Cx, Layer, Range};
use crate::tensor::{Few, Tensor};
use crate::{Error, MAX_RANK, Result};

crate::settings! {
    /// Axis `i` of the output is axis `dims[i - 1]` of the input; axes are counted from 1, after the batch axis,
    /// which stays. No data moves.
    pub layer Permute {
        /// Creates the layer with this order: `Permute::new([2, 1])` swaps the two axes of a sample.
        new(dims: into Vec<usize>);
    }
}
crate::parts!(Permute {});

impl Layer for Permute {
    fn forward(&self, x: &Tensor, _: &mut Cx) -> Result<Tensor> {
        let n = self.dims.len();
        if !(1..=n).all(|axis| self.dims.contains(&axis)) {
            let expected = format!("each of the numbers from 1 to {n} once");
            return Err(Error::argument("dims", expected, format!("{:?}", self.dims)));
        }
        if x.rank() != n + 1 {
            return Err(Error::shape(
                "Permute",
                format!("inputs with {n} axes behind the batch"),
                *x.shape(),
            ));
        }
        let order: Few<isize, MAX_RANK> =
            std::iter::once(0).chain(self.dims.iter().map(|&axis| axis as isize)).collect();
        x.permute(&order)
    }
    fn output_range(&self, input: Option<Range>) -> Option<Range> {
        input.map(Range::moved)
    }
    fn is_row_wise(&self) -> bool {
        true
    }
}
