//! `Gradients`: the result of a backward pass, one [`Gradient`] for each leaf. It is dense, or holds only the rows
//! of a table that were read: a batch reads a few rows of a large table, and a gradient of the table's size would
//! be zeros to create, clear and read again in every step.

use super::backward::accumulate;
use super::node::Node;
use crate::dtype::dispatch_float;
use crate::kernels::{par, scratch};
use crate::tensor::{Array, PoolVec, Tensor};
use crate::{DType, Float, Result, Shape, Spec};

/// The gradients that a sweep found, by leaf.
///
/// ```
/// use gradus::Tensor;
///
/// let (a, b) = (Tensor::scalar(3.0f32)?.tracked(), Tensor::scalar(4.0f32)?.tracked());
/// let gradients = a.mul(&b)?.add(&a)?.backward()?;
/// assert_eq!(gradients.get(&a).unwrap().item()?, 5.0); // b + 1
/// assert_eq!(gradients.get(&b).unwrap().item()?, 3.0);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Default)]
pub struct Gradients {
    /// Sorted by key.
    entries: PoolVec<(u64, Gradient)>,
}

impl std::fmt::Debug for Gradients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gradients({} leaves)", self.entries.len())
    }
}

impl Gradients {
    /// Returns the gradient of a leaf made by [`Tensor::tracked`], if the loss depends on it. For a parameter, use
    /// [`Param::gradient`](crate::nn::Param::gradient); rows that [`Cx::rows`](crate::nn::Cx::rows) read have no
    /// gradient of their own.
    pub fn get(&self, leaf: &Tensor) -> Option<&Tensor> {
        let node = &leaf.edge()?.node;
        match self.find(node.leaf?)? {
            Gradient::Dense(g) if node.rows().is_none() => Some(g),
            _ => None,
        }
    }

    pub(crate) fn find(&self, key: u64) -> Option<&Gradient> {
        let at = self.entries.binary_search_by_key(&key, |e| e.0).ok()?;
        Some(&self.entries[at].1)
    }

    pub(crate) fn find_mut(&mut self, key: u64) -> Option<&mut Gradient> {
        let at = self.entries.binary_search_by_key(&key, |e| e.0).ok()?;
        Some(&mut self.entries[at].1)
    }

    /// Returns how many leaves have a gradient.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether no leaf has a gradient.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a gradient that arrived at a leaf.
    pub(super) fn arrived(&mut self, node: &Node, grad: Tensor) -> Result<()> {
        match (node.leaf, node.rows()) {
            (Some(key), Some((index, table))) => self.add(key, Gradient::of_rows(index, grad, table)?),
            (Some(key), None) => self.add(key, Gradient::Dense(grad)),
            (None, _) => Ok(()),
        }
    }

    /// Adds to the gradient of a leaf, which is 0 if it has none.
    pub(crate) fn add(&mut self, key: u64, grad: Gradient) -> Result<()> {
        match self.entries.binary_search_by_key(&key, |e| e.0) {
            Ok(at) => self.entries[at].1.add(grad),
            Err(at) => {
                self.entries.insert(at, (key, grad));
                Ok(())
            }
        }
    }

    /// Adds another sweep's gradients, to accumulate over parts of a batch. The bits are those of its sums added to
    /// these, for rows and whole parameters alike.
    ///
    /// # Errors
    /// Shapes differ, or there is not enough memory.
    pub fn merge(&mut self, mut other: Gradients) -> Result<()> {
        while let Some((key, grad)) = other.entries.pop() {
            self.add(key, grad)?;
        }
        Ok(())
    }
}

/// The gradient of one parameter.
#[derive(Clone, Debug)]
pub enum Gradient {
    /// One number for each of the parameter's elements.
    Dense(Tensor),
    /// The gradient of some rows; that of all others is 0.
    Rows(RowGradient),
}

/// The gradient of some rows of a table (a parameter, along its first axis). A row may have been read several
/// times.
#[derive(Clone)]
pub struct RowGradient {
    /// The gradient of each reading, in order of arrival: the row indices `[n]` and their gradients `[n, …]`.
    parts: PoolVec<(Tensor, Tensor)>,
    /// Whether there is one part, with ascending indices.
    summed: bool,
    shape: Shape,
    dtype: DType,
}

impl std::fmt::Debug for RowGradient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RowGradient({} rows of {})", self.count(), Spec::new(self.shape, self.dtype))
    }
}

/// A gradient is kept as rows if at most one row in this many was read. Beyond that, the dense gradient is hardly
/// larger, and faster.
const SPARSE: usize = 4;

impl RowGradient {
    /// Returns shape and dtype of the table.
    pub fn spec(&self) -> Spec {
        Spec::new(self.shape, self.dtype)
    }

    /// Returns the row indices, int64 `[n]`, ascending and each once, and their gradients `[n, …]`. Where a row was
    /// read several times, that is the sum in the order of reading, as in the dense gradient.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn sums(&self) -> Result<(Tensor, Tensor)> {
        if let ([(index, values)], true) = (&self.parts[..], self.summed) {
            return Ok((index.clone(), values.clone()));
        }
        // Ordered by index, then by reading and the position in it.
        let mut order: PoolVec<(i64, u32, u32)> = PoolVec::new();
        for (part, (index, _)) in (0..).zip(self.parts.iter()) {
            order.extend((0..).zip(index.array().slice::<i64>()?).map(|(at, &id)| (id, part, at)));
        }
        order.sort_unstable();
        let rows = || order.chunk_by(|a, b| a.0 == b.0);
        let n = rows().count();
        let mut index = Array::new(Spec::new(Shape::new(&[n])?, DType::I64))?;
        for (id, row) in index.slice_mut::<i64>()?.iter_mut().zip(rows()) {
            *id = row[0].0;
        }
        // Sums are computed in float32 for storage-only types.
        let parts = self.parts.iter().map(|(_, values)| wide(values)).collect::<Result<PoolVec<_>>>()?;
        let dtype = if self.dtype == DType::F64 { DType::F64 } else { DType::F32 };
        let mut sums = Array::new(Spec::new(self.shape.with(0, n), dtype))?;
        let inner = (sums.shape().elements() / n.max(1)).max(1);
        let begins = |&i: &usize| i == 0 || i == order.len() || order[i].0 != order[i - 1].0;
        let mut starts: PoolVec<usize> = PoolVec::new();
        starts.reserve(n + 1);
        starts.extend((0..=order.len()).filter(begins));
        dispatch_float!("rows", dtype, T => {
            let parts = parts.iter().map(|values| values.array().slice::<T>()).collect::<Result<PoolVec<_>>>()?;
            let (parts, order, starts) = (&parts[..], &order[..], &starts[..]);
            par::chunks(sums.slice_mut::<T>()?, inner, par::GRAIN, &|first, sums: &mut [T]| {
                let mut add_up = |subtotal: &mut [T]| {
                    for (r, sum) in sums.chunks_exact_mut(inner).enumerate() {
                        let row = &order[starts[first + r]..starts[first + r + 1]];
                        for (reading, same) in row.chunk_by(|a, b| a.1 == b.1).enumerate() {
                            let into = if reading == 0 { &mut *sum } else { &mut *subtotal };
                            into.fill(0.0);
                            for &(_, part, at) in same {
                                add(into, &parts[part as usize][at as usize * inner..][..inner]);
                            }
                            if reading > 0 {
                                add(sum, subtotal);
                            }
                        }
                    }
                };
                // Subtotals are of several readings.
                if parts.len() > 1 { scratch::with(inner, add_up) } else { add_up(&mut []) }
            });
        });
        Ok((index.into(), Tensor::from(sums).cast(self.dtype)?))
    }

    /// Returns the number of rows, counted as often as they were read.
    fn count(&self) -> usize {
        self.parts.iter().map(|(index, _)| index.elements()).sum()
    }

    /// Returns whether it is much smaller than the table.
    fn is_sparse(&self) -> bool {
        let rows = self.shape.dims().first().copied().unwrap_or(1);
        let most = u32::MAX as usize;
        self.count().saturating_mul(SPARSE) <= rows && self.count() < most && self.parts.len() < most
    }

    /// Returns the gradient of the whole table.
    fn dense(&self) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for (index, values) in self.parts.iter() {
            let part = wide(values)?.scatter_add(index, 0, self.shape)?.cast(self.dtype)?;
            match &mut sum {
                Some(sum) => accumulate(sum, part)?,
                None => sum = Some(part),
            }
        }
        sum.map_or_else(|| Tensor::filled(self.spec(), 0.0), Ok)
    }
}

fn wide(values: &Tensor) -> Result<Tensor> {
    match values.dtype() {
        DType::BF16 | DType::F16 => values.cast(DType::F32),
        _ => Ok(values.clone()),
    }
}

fn add<T: Float>(sum: &mut [T], more: &[T]) {
    for (sum, &more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
}

impl Gradient {
    /// Makes a gradient from that of the rows `index` (int64, any shape, indices may repeat) of a table.
    fn of_rows(index: &Array, grad: Tensor, table: Spec) -> Result<Gradient> {
        let n = index.shape().elements();
        let index = index.reshaped(Shape::new(&[n])?)?.into();
        let values = grad.into_array().contiguous()?.reshaped(table.shape.with(0, n))?.into();
        let parts = PoolVec::from_iter([(index, values)]);
        let rows = RowGradient { parts, summed: false, shape: table.shape, dtype: table.dtype };
        if rows.is_sparse() { Ok(Gradient::Rows(rows)) } else { rows.dense().map(Gradient::Dense) }
    }

    /// Returns shape and dtype of the parameter.
    pub fn spec(&self) -> Spec {
        match self {
            Gradient::Dense(g) => g.spec(),
            Gradient::Rows(rows) => rows.spec(),
        }
    }

    /// Returns it as a tensor of the parameter's shape.
    ///
    /// # Errors
    /// There is not enough memory for the rows that are zero.
    pub fn dense(&self) -> Result<Tensor> {
        match self {
            Gradient::Dense(g) => Ok(g.clone()),
            Gradient::Rows(rows) => rows.dense(),
        }
    }

    /// Returns the square root of the sum of squares. (The sums of rows, and of the same gradient made dense, add
    /// in another order, so they may differ in the last bits.)
    ///
    /// # Errors
    /// The dtype is not float32 or float64, or there is not enough memory.
    pub fn norm(&self) -> Result<f64> {
        Ok(libm::sqrt(self.square_sum()?))
    }

    pub(crate) fn square_sum(&self) -> Result<f64> {
        let values = match self {
            Gradient::Dense(g) => g.clone(),
            Gradient::Rows(rows) => rows.sums()?.1,
        };
        let sum = values.square()?.sum(&[], false)?.item()?;
        // Squares of numbers near the ends of float32 are in the range of float64.
        if values.dtype() == DType::F32 && !(1e-30..1e38).contains(&sum) {
            let values = values.contiguous()?;
            let wide = values.array().slice::<f32>()?.iter().map(|&v| f64::from(v));
            return Ok(wide.map(|v| v * v).sum());
        }
        Ok(sum)
    }

    /// Changes the numbers by a function that maps 0 to 0.
    pub(crate) fn map(&mut self, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<()> {
        match self {
            Gradient::Dense(g) => *g = f(g)?,
            Gradient::Rows(rows) => {
                let (index, values) = rows.sums()?;
                (rows.parts, rows.summed) = (PoolVec::from_iter([(index, f(&values)?)]), true);
            }
        }
        Ok(())
    }

    fn add(&mut self, more: Gradient) -> Result<()> {
        if let (Gradient::Rows(rows), Gradient::Rows(more)) = (&mut *self, &more)
            && rows.spec() == more.spec()
        {
            // A gradient of another sweep is summed by itself first, like a dense gradient.
            match more.parts.len() {
                0 | 1 => rows.parts.extend(more.parts.iter().cloned()),
                _ => rows.parts.push(more.sums()?),
            }
            rows.summed = false;
            if !rows.is_sparse() {
                *self = Gradient::Dense(rows.dense()?);
            }
            return Ok(());
        }
        if let Gradient::Rows(rows) = self {
            *self = Gradient::Dense(rows.dense()?);
        }
        let Gradient::Dense(sum) = self else { return Ok(()) };
        accumulate(sum, more.dense()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared with one sum after another, also in the storage-only types, which round once, at the end.
    #[test]
    fn sums_are_those_of_a_slow_loop() {
        let table = |dtype| Spec::new(Shape::new(&[40, 1, 3]).unwrap(), dtype);
        let ids = [[9i64, 2, 9], [39, 2, 9]];
        let values: Vec<f32> = (0..18).map(|i| 1.0 + 0.123 * i as f32).collect();
        for dtype in [DType::F32, DType::F64, DType::BF16, DType::F16] {
            let index = Tensor::from_slice(ids.as_flattened(), [2, 3]).unwrap();
            let grad = Tensor::from_slice(&values, [2, 3, 1, 3]).unwrap().cast(dtype).unwrap();
            let stored = grad.cast(DType::F32).unwrap().to_vec::<f32>().unwrap();
            let mut expected = vec![0f32; 120];
            for (at, id) in ids.as_flattened().iter().enumerate() {
                for j in 0..3 {
                    expected[*id as usize * 3 + j] += stored[at * 3 + j];
                }
            }
            let expected = Tensor::from_slice(&expected, [40, 1, 3]).unwrap().cast(dtype).unwrap();
            let g = Gradient::of_rows(index.array(), grad, table(dtype)).unwrap();
            let Gradient::Rows(rows) = &g else { panic!("not of rows") };
            let (index, sums) = rows.sums().unwrap();
            assert_eq!(index.to_vec::<i64>().unwrap(), [2, 9, 39]);
            assert_eq!((g.spec(), sums.dims()), (table(dtype), &[3, 1, 3][..]));
            assert!(expected.gather(&index, 0).unwrap().same_bits(&sums) || dtype == DType::F64, "{dtype}");
            if dtype != DType::F64 {
                assert!(g.dense().unwrap().same_bits(&expected), "{dtype}");
            }
            let mut twice = g.clone();
            twice.add(g).unwrap();
            let sum = |g: &Gradient| g.dense().unwrap().cast(DType::F64).unwrap().sum(&[], false).unwrap();
            let once = expected.cast(DType::F64).unwrap().sum(&[], false).unwrap().item().unwrap();
            assert!((sum(&twice).item().unwrap() - 2.0 * once).abs() < 1e-4 * once);
        }
    }
}
