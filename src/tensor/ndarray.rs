//! Conversions from and to the crate `ndarray`. Both directions copy, because the two libraries own memory
//! differently.

use super::Tensor;
use crate::{Element, Error, Result};
use ndarray::{ArrayBase, ArrayD, Data, Dimension, IxDyn};

impl<S: Data<Elem = T>, D: Dimension, T: Element> TryFrom<&ArrayBase<S, D>> for Tensor {
    type Error = Error;

    /// Converts the array's values, whatever its strides, in row-major order.
    ///
    /// # Errors
    /// There are more than [`MAX_RANK`](crate::MAX_RANK) axes, or there is not enough memory.
    fn try_from(array: &ArrayBase<S, D>) -> Result<Tensor> {
        match array.as_slice() {
            Some(values) => Tensor::from_slice(values, array.shape()),
            None => Tensor::from_slice(&array.iter().copied().collect::<Vec<T>>(), array.shape()),
        }
    }
}

impl Tensor {
    /// Returns the values as an `ndarray` array, in row-major order.
    ///
    /// ```
    /// use gradus::Tensor;
    ///
    /// let a = ndarray::arr2(&[[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// let x = Tensor::try_from(&a.t())?;
    /// assert_eq!(x.dims(), [3, 2]);
    /// assert_eq!(x.to_ndarray::<f32>()?, a.t().into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// `T` is not this tensor's element type, or there are no values.
    pub fn to_ndarray<T: Element>(&self) -> Result<ArrayD<T>> {
        ArrayD::from_shape_vec(IxDyn(self.dims()), self.to_vec()?)
            .map_err(|e| Error::Custom(format!("to_ndarray: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, s};

    #[test]
    fn any_strides_both_ways() {
        let a = Array3::from_shape_fn((2, 3, 4), |(i, j, k)| (i * 12 + j * 4 + k) as i64);
        let x = Tensor::arange(24).unwrap().reshape([2, 3, 4]).unwrap();
        assert!(Tensor::try_from(&a).unwrap().same_bits(&x));
        let view = a.slice(s![.., ..;-1, 1..;2]);
        let same = x.flip(&[1]).unwrap().slice_step(2, Some(1), None, 2).unwrap();
        assert!(Tensor::try_from(&view).unwrap().same_bits(&same.contiguous().unwrap()));
        assert_eq!(same.to_ndarray::<i64>().unwrap(), view.into_dyn());
        let swapped = a.permuted_axes([2, 0, 1]);
        assert!(Tensor::try_from(&swapped).unwrap().same_bits(&x.permute(&[2, 0, 1]).unwrap()));
        assert_eq!(Tensor::try_from(&ndarray::arr0(true)).unwrap().to_vec::<bool>().unwrap(), [true]);
        assert_eq!(Tensor::try_from(&ndarray::Array2::<f32>::zeros((0, 3))).unwrap().dims(), [0, 3]);
        assert!(x.to_ndarray::<f32>().is_err());
    }
}
