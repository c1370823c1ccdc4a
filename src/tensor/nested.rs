//! Tensors from nested Rust values, `[[1.0, 2.0], [3.0, 4.0]]`, and back into rows.

use super::Tensor;
use super::room::room;
use crate::{Element, Error, Result};

#[diagnostic::on_unimplemented(
    message = "no tensor can be made of `{Self}`",
    label = "expected numbers or nested arrays of them, such as `[[1.0f32, 2.0], [3.0, 4.0]]`",
    note = "numbers are f32, f64, f16, bf16, i32, i64, u8 or bool"
)]
/// Numbers, and arrays, vectors and slices of them, nested to any depth.
pub trait Nested {
    /// The type of the numbers in the tensor.
    type Item: Element;
    /// The number of axes.
    const RANK: usize;
    /// Writes the sizes along the first element of each level; `sizes` has `RANK` of them, initially 0.
    fn sizes(&self, sizes: &mut [usize]);
    /// Appends the numbers in row-major order.
    ///
    /// # Errors
    /// A row is longer or shorter than `sizes` says.
    fn collect(&self, sizes: &[usize], out: &mut Vec<Self::Item>) -> Result<()>;
}

macro_rules! number {
    ($($t:ty => $item:ty),*) => {$(
        impl Nested for $t {
            type Item = $item;
            const RANK: usize = 0;
            fn sizes(&self, _: &mut [usize]) {}
            fn collect(&self, _: &[usize], out: &mut Vec<$item>) -> Result<()> {
                out.push((*self).into());
                Ok(())
            }
        }
    )*};
}
number!(f32 => f32, f64 => f64, crate::dtype::bf16 => crate::dtype::bf16, crate::dtype::f16 => crate::dtype::f16, i32 => i64, i64 => i64, u8 => u8, bool => bool);

impl<X: Nested> Nested for [X] {
    type Item = X::Item;
    const RANK: usize = X::RANK + 1;
    fn sizes(&self, sizes: &mut [usize]) {
        sizes[0] = self.len();
        if let Some(first) = self.first() {
            first.sizes(&mut sizes[1..]);
        }
    }
    fn collect(&self, sizes: &[usize], out: &mut Vec<X::Item>) -> Result<()> {
        if self.len() != sizes[0] {
            let expected = format!("rows of one length ({} in the first)", sizes[0]);
            return Err(Error::argument("Tensor::new", expected, format!("one of {}", self.len())));
        }
        self.iter().try_for_each(|x| x.collect(&sizes[1..], out))
    }
}

macro_rules! list {
    ($([$($generics:tt)*] $t:ty;)*) => {$(
        impl<X: Nested, $($generics)*> Nested for $t {
            type Item = X::Item;
            const RANK: usize = X::RANK + 1;
            fn sizes(&self, sizes: &mut [usize]) {
                self[..].sizes(sizes);
            }
            fn collect(&self, sizes: &[usize], out: &mut Vec<X::Item>) -> Result<()> {
                self[..].collect(sizes, out)
            }
        }
    )*};
}
list! {
    [const N: usize] [X; N];
    [] Vec<X>;
}

impl<X: Nested + ?Sized> Nested for &X {
    type Item = X::Item;
    const RANK: usize = X::RANK;
    fn sizes(&self, sizes: &mut [usize]) {
        (**self).sizes(sizes);
    }
    fn collect(&self, sizes: &[usize], out: &mut Vec<X::Item>) -> Result<()> {
        (**self).collect(sizes, out)
    }
}

impl Tensor {
    /// Creates a tensor of numbers, or of arrays, vectors or slices of them, nested to any depth.
    ///
    /// Rust reads `1.0` as float64 unless something says otherwise: write `1.0f32` for float32, the default of
    /// layers. Whole numbers become int64.
    ///
    /// ```
    /// let x = gradus::Tensor::new([[1.0f32, 2.0], [3.0, 4.0]])?;
    /// assert_eq!((x.dims(), x.to_rows::<f32>()?), (&[2, 2][..], vec![vec![1.0, 2.0], vec![3.0, 4.0]]));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// Rows differ in length, there are more than [`MAX_RANK`](crate::MAX_RANK) axes, or there is not enough
    /// memory.
    pub fn new<X: Nested>(values: X) -> Result<Tensor> {
        let mut sizes = vec![0; X::RANK];
        values.sizes(&mut sizes);
        let shape = crate::Shape::new(&sizes)?;
        let mut flat = room(shape.elements(), crate::Spec::new(shape, X::Item::DTYPE))?;
        values.collect(&sizes, &mut flat)?;
        Tensor::from_slice(&flat, sizes)
    }

    /// Returns the rows of a matrix.
    ///
    /// # Errors
    /// This is not a matrix, `T` is not its element type, or there are no values.
    pub fn to_rows<T: Element>(&self) -> Result<Vec<Vec<T>>> {
        let &[rows, columns] = self.dims() else {
            return Err(Error::shape("to_rows", "a matrix", *self.shape()));
        };
        let flat = self.to_vec::<T>()?;
        let mut out = room(rows, self.spec())?;
        for r in 0..rows {
            let mut row = room(columns, self.spec())?;
            row.extend_from_slice(&flat[r * columns..(r + 1) * columns]);
            out.push(row);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    #[test]
    fn any_nesting() {
        assert_eq!(Tensor::new(2.5).unwrap().item().unwrap(), 2.5);
        let x = Tensor::new(vec![vec![[1, 2], [3, 4]], vec![[5, 6], [7, 8]]]).unwrap();
        assert_eq!((x.dims(), x.dtype()), (&[2, 2, 2][..], DType::I64));
        assert_eq!(x.to_vec::<i64>().unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Tensor::new(&[true, false][..]).unwrap().to_vec::<bool>().unwrap(), [true, false]);
        assert_eq!(Tensor::new(Vec::<Vec<f32>>::new()).unwrap().dims(), [0, 0]);
        assert_eq!(Tensor::new([[0u8; 0]; 3]).unwrap().to_rows::<u8>().unwrap(), [[0u8; 0]; 3]);
        assert!(Tensor::new(vec![vec![1.0], vec![]]).is_err());
        assert!(Tensor::new(vec![vec![], vec![1.0]]).is_err());
        assert!(x.to_rows::<i64>().is_err());
    }
}
