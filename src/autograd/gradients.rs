//! What a backward pass gives: the gradient of each leaf, dense, or of the rows of a table that were read. A batch reads a few
//! rows of a large table; a gradient of the table's size would be zeros to make, to clear and to read again in every step.

use super::backward::accumulate;
use super::node::Node;
use crate::dtype::dispatch_float;
use crate::tensor::storage::PoolVec;
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, Float, Result, Shape, Spec};

/// The gradients that a sweep found, by leaf.
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
    /// The gradient of a leaf made by [`Tensor::tracked`], if the loss depends on it. That of a parameter is found by
    /// [`Param::gradient`](crate::nn::Param::gradient); rows that [`Cx::rows`](crate::nn::Cx::rows) read have none of their own.
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

    /// How many leaves have a gradient.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no leaf has a gradient.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds what arrived at a leaf.
    pub(super) fn arrived(&mut self, node: &Node, grad: Tensor) -> Result<()> {
        match (node.leaf, node.rows()) {
            (Some(key), Some((index, table))) => self.add(key, Gradient::of_rows(index, grad, table)?),
            (Some(key), None) => self.add(key, Gradient::Dense(grad)),
            (None, _) => Ok(()),
        }
    }

    fn add(&mut self, key: u64, grad: Gradient) -> Result<()> {
        match self.entries.binary_search_by_key(&key, |e| e.0) {
            Ok(at) => self.entries[at].1.add(grad),
            Err(at) => {
                self.entries.insert(at, (key, grad));
                Ok(())
            }
        }
    }

    /// Adds another sweep's gradients: accumulation over parts of a batch.
    ///
    /// # Errors
    /// Shapes differ, or no memory.
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
    /// A number for each of the parameter's.
    Dense(Tensor),
    /// That of some rows; that of all others is 0.
    Rows(RowGradient),
}

/// The gradient of some rows of a table (a parameter seen along its first axis).
#[derive(Clone, Debug)]
pub struct RowGradient {
    index: Tensor,
    values: Tensor,
    shape: Shape,
}

impl RowGradient {
    /// The numbers of the rows, int64 `[n]`, ascending, each once.
    pub fn index(&self) -> &Tensor {
        &self.index
    }

    /// Their gradients `[n, …]`: where a row was read several times, the sum in the order of reading.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// The table's shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The table's whole gradient.
    fn dense(&self) -> Result<Tensor> {
        scattered(&self.index, &self.values, self.shape)
    }
}

/// Of a table, at most one row in so many is kept as rows. Of more the dense gradient is hardly larger, and faster.
const SPARSE: usize = 4;

impl Gradient {
    /// Out of the gradient of the rows `index` (int64, any shape, entries may repeat) of a table.
    fn of_rows(index: &Array, grad: Tensor, table: Spec) -> Result<Gradient> {
        let (rows, ids) = (table.shape.dims().first().copied().unwrap_or(1), index.shape().elements());
        let index = Tensor::from(index.reshaped(Shape::new(&[ids])?)?);
        let values = grad.into_array().contiguous()?.reshaped(table.shape.with(0, ids))?.into();
        if ids * SPARSE > rows {
            return scattered(&index, &values, table.shape).map(Gradient::Dense);
        }
        let (index, values) = summed(&index, values)?;
        Ok(Gradient::Rows(RowGradient { index, values, shape: table.shape }))
    }

    /// Shape and dtype of the parameter.
    pub fn spec(&self) -> Spec {
        match self {
            Gradient::Dense(g) => g.spec(),
            Gradient::Rows(rows) => Spec::new(rows.shape, rows.values.dtype()),
        }
    }

    /// As a tensor of the parameter's shape.
    ///
    /// # Errors
    /// Memory for the rows that are zero cannot be had.
    pub fn dense(&self) -> Result<Tensor> {
        match self {
            Gradient::Dense(g) => Ok(g.clone()),
            Gradient::Rows(rows) => rows.dense(),
        }
    }

    /// The numbers that are there: all of them, or those of the rows.
    pub fn values(&self) -> &Tensor {
        match self {
            Gradient::Dense(g) => g,
            Gradient::Rows(rows) => &rows.values,
        }
    }

    /// The square root of the sum of squares. (Of rows and of the same gradient made dense the sums have another order, so
    /// that they may differ in the last bits.)
    ///
    /// # Errors
    /// The dtype is not float32 or float64, or memory cannot be had.
    pub fn norm(&self) -> Result<f64> {
        Ok(libm::sqrt(self.square_sum()?))
    }

    pub(crate) fn square_sum(&self) -> Result<f64> {
        self.values().square()?.sum(&[], false)?.item()
    }

    /// Changes the numbers by a function that leaves zeros alone.
    pub(crate) fn map(&mut self, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<()> {
        let values = match self {
            Gradient::Dense(g) => g,
            Gradient::Rows(rows) => &mut rows.values,
        };
        *values = f(values)?;
        Ok(())
    }

    fn add(&mut self, more: Gradient) -> Result<()> {
        if let (Gradient::Rows(a), Gradient::Rows(b)) = (&*self, &more)
            && a.shape == b.shape
        {
            let (n, rows) = (a.index.elements() + b.index.elements(), a.shape.dims().first().copied());
            if n * SPARSE <= rows.unwrap_or(1) {
                *self = Gradient::Rows(merged(a, b)?);
                return Ok(());
            }
        }
        if let Gradient::Rows(rows) = self {
            *self = Gradient::Dense(rows.dense()?);
        }
        let Gradient::Dense(sum) = self else { return Ok(()) };
        accumulate(sum, more.dense()?)
    }
}

/// Sums are made in float32 for types that are only stored.
fn wide(values: &Tensor) -> Result<Tensor> {
    match values.dtype() {
        DType::BF16 | DType::F16 => values.cast(DType::F32),
        _ => Ok(values.clone()),
    }
}

fn scattered(index: &Tensor, values: &Tensor, shape: Shape) -> Result<Tensor> {
    wide(values)?.scatter_add(index, 0, shape)?.cast(values.dtype())
}

/// One entry for each index, ascending: the sum of its rows in their order, as `scatter_add` makes it.
fn summed(index: &Tensor, values: Tensor) -> Result<(Tensor, Tensor)> {
    let dtype = values.dtype();
    let values = wide(&values)?;
    let mut order: PoolVec<(i64, usize)> =
        index.array().slice::<i64>()?.iter().copied().enumerate().map(|(at, id)| (id, at)).collect();
    order.sort_unstable();
    let distinct = order.chunk_by(|a, b| a.0 == b.0).count();
    let (mut ids, mut sums) = empty(distinct, &values)?;
    for (id, run) in ids.slice_mut::<i64>()?.iter_mut().zip(order.chunk_by(|a, b| a.0 == b.0)) {
        *id = run[0].0;
    }
    let inner = values.elements() / order.len().max(1);
    dispatch_float!("rows", values.dtype(), T => {
        let from = values.array().slice::<T>()?;
        let runs = order.chunk_by(|a, b| a.0 == b.0);
        for (run, sum) in runs.zip(sums.slice_mut::<T>()?.chunks_exact_mut(inner.max(1))) {
            sum.fill(0.0);
            for (_, at) in run {
                add_run(sum, &from[at * inner..][..inner]);
            }
        }
    });
    Ok((ids.into(), Tensor::from(sums).cast(dtype)?))
}

fn add_run<T: Float>(sum: &mut [T], more: &[T]) {
    for (sum, &more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
}

/// Memory for `n` rows and their indices.
fn empty(n: usize, like: &Tensor) -> Result<(Array, Array)> {
    let index = Array::new(Spec::new(Shape::new(&[n])?, DType::I64))?;
    Ok((index, Array::new(Spec::new(like.shape().with(0, n), like.dtype()))?))
}

/// The sum of two.
fn merged(a: &RowGradient, b: &RowGradient) -> Result<RowGradient> {
    let dtype = a.values.dtype();
    if dtype != b.values.dtype() {
        return Err(Error::DType { op: "gradient", expected: dtype.name(), got: b.values.dtype() });
    }
    let (left, right) = (wide(&a.values)?, wide(&b.values)?);
    let (i, j) = (a.index.array().slice::<i64>()?, b.index.array().slice::<i64>()?);
    let pairs = || Pairs { i, j, at: (0, 0) };
    let n = pairs().count();
    let (mut index, mut sums) = empty(n, &left)?;
    for (id, (l, r)) in index.slice_mut::<i64>()?.iter_mut().zip(pairs()) {
        *id = l.map(|l| i[l]).or(r.map(|r| j[r])).unwrap_or(0);
    }
    let inner = sums.shape().elements() / n.max(1);
    dispatch_float!("rows", left.dtype(), T => {
        let (x, y) = (left.array().slice::<T>()?, right.array().slice::<T>()?);
        for (sum, (l, r)) in sums.slice_mut::<T>()?.chunks_exact_mut(inner.max(1)).zip(pairs()) {
            sum.fill(0.0);
            for (from, at) in [(x, l), (y, r)] {
                if let Some(at) = at {
                    add_run(sum, &from[at * inner..][..inner]);
                }
            }
        }
    });
    Ok(RowGradient { index: index.into(), values: Tensor::from(sums).cast(dtype)?, shape: a.shape })
}

/// The places of each index of two ascending lists, in either or both.
struct Pairs<'a> {
    i: &'a [i64],
    j: &'a [i64],
    at: (usize, usize),
}

impl Iterator for Pairs<'_> {
    type Item = (Option<usize>, Option<usize>);
    fn next(&mut self) -> Option<Self::Item> {
        let (l, r) = self.at;
        let (left, right) = (self.i.get(l), self.j.get(r));
        let first = match (left, right) {
            (None, None) => return None,
            (Some(a), Some(b)) => *a.min(b),
            (a, b) => *a.or(b)?,
        };
        let (in_left, in_right) = (left == Some(&first), right == Some(&first));
        self.at = (l + usize::from(in_left), r + usize::from(in_right));
        Some((in_left.then_some(l), in_right.then_some(r)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beside one sum after the other, in the types that are only stored too: those round once, at the end.
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
            assert_eq!(rows.index().to_vec::<i64>().unwrap(), [2, 9, 39]);
            assert_eq!((g.spec(), rows.values().dims()), (table(dtype), &[3, 1, 3][..]));
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
