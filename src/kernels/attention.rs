//! Attention, sample by sample: scores and weighted sums by the matrix product, and between them weights row by
//! row. `out = softmax(scale·query·keyᵀ + bias)·value` for each head, over the keys that a query sees.
//!
//! The order of arithmetic is that of the matrix product and of softmax, and both add keys in ascending order, in
//! blocks of one length. A hidden key has the weight 0, which changes no sum. So a row is the same, number for
//! number, whether hidden keys are there or not, and decoding step by step gives the rows of the whole pass.

use super::gemm::{Epilogue, Gemm, Mat, MatMut, Steps, Store, batched};
use super::softmax::{softmax_grad, weights, weights_of};
use super::strided::Strided;
use crate::Float;

/// Which keys a query sees, besides those that a mask hides, and the factor of its scores.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The factor of the scores.
    pub scale: f64,
    /// Whether a query sees no key after its own position.
    pub causal: bool,
    /// Keys this far from a query's own position, or further, are hidden.
    pub window: Option<usize>,
}

/// The operands of all samples, with any strides.
#[derive(Debug)]
pub struct Attention<'a, T> {
    /// `[batch, queries, heads, dim]`.
    pub query: Strided<'a, T>,
    /// `[batch, keys, groups, dim]`: each of the `groups` serves the same number of consecutive heads.
    pub key: Strided<'a, T>,
    /// `[batch, keys, groups, width]`.
    pub value: Strided<'a, T>,
    /// In the shape `[batch, heads, queries, keys]`: 0 where a key is hidden.
    pub mask: Option<Strided<'a, u8>>,
    /// In the shape `[batch, heads, queries, keys]`: added to the scores.
    pub bias: Option<Strided<'a, T>>,
    /// In the shape `[batch]`: the position of the first query among the keys; 0 if not given.
    pub position: Option<Strided<'a, i64>>,
    /// The other rules of what is seen.
    pub rule: Rule,
}

/// The sizes of a sample.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Heads of the query.
    pub heads: usize,
    /// Heads of key and value.
    pub groups: usize,
    /// Rows of the query.
    pub queries: usize,
    /// Rows of key and value.
    pub keys: usize,
    /// Features of a query and of a key.
    pub dim: usize,
    /// Features of a value.
    pub width: usize,
}

/// The matrix of one head, and the distance from one head to the next.
type Side<'a, T> = (Mat<'a, T>, isize);

/// Returns the first head of one sample of `[batch, rows, heads, columns]`, and the distance to the next.
fn heads<'a, T: Copy + Default>(x: &Strided<'a, T>, sample: usize, rows: usize) -> Side<'a, T> {
    let (layout, d) = (x.layout(), x.layout().shape.dims());
    let [batch, rs, step, cs] = [layout.strides[0], layout.strides[1], layout.strides[2], layout.strides[3]];
    let offset = layout.offset.wrapping_add_signed(batch * sample as isize);
    (Mat { data: x.data(), offset, rows, cols: d[3], rs, cs }, step)
}

/// Returns the matrix `by` heads further.
fn further<T>((first, step): Side<'_, T>, by: usize) -> Mat<'_, T> {
    Mat { offset: first.offset.wrapping_add_signed(step * by as isize), ..first }
}

impl<T: Float + Gemm> Attention<'_, T> {
    /// Returns the sizes of each sample.
    pub fn sizes(&self) -> Sizes {
        let [q, v] = [self.query.layout().shape, self.value.layout().shape];
        let (q, v) = (q.dims(), v.dims());
        Sizes { heads: q[2], groups: v[2], queries: q[1], keys: v[1], dim: q[3], width: v[3] }
    }

    /// Computes the output `[queries, heads, width]` of a sample, and for each row of `[heads, queries]` the
    /// largest score and the sum of `exp(score - max)`. `scores` is room for `[heads, queries, keys]`.
    pub fn forward(&self, sample: usize, [out, scores, max, sum]: [&mut [T]; 4]) {
        let s = self.sizes();
        let seen = self.last(sample);
        if seen == 0 || s.queries == 0 || s.heads == 0 {
            out.fill(T::zero());
            max.fill(T::zero());
            return sum.fill(T::zero());
        }
        let scores = &mut scores[..s.heads * s.queries * seen];
        self.scores(sample, seen, scores);
        weights(scores, max, sum, seen);
        let value = heads(&self.value, sample, seen);
        self.sums(scores, value, seen, out);
    }

    /// Computes the gradients of query, key and value of a sample, from the gradient of its output (in the shape of
    /// the query, but with `width` features) and the results of [`Attention::forward`] for each row. `weights` and
    /// `slopes` are room for `[heads, queries, keys]`; so is `bias`, which ends up holding the gradient of the
    /// scores before they are scaled, which is that of the bias.
    pub fn backward(
        &self,
        g: &Strided<'_, T>,
        sample: usize,
        [max, sum]: [&[T]; 2],
        [query, key, value, weights, slopes, bias]: [&mut [T]; 6],
    ) {
        let s = self.sizes();
        if s.queries == 0 || s.keys == 0 || s.heads == 0 {
            [query, key, value, bias].into_iter().for_each(|x| x.fill(T::zero()));
            return;
        }
        self.scores(sample, s.keys, weights);
        weights_of(weights, max, sum, s.keys);
        let g = heads(g, sample, s.queries);
        self.products(g, heads(&self.value, sample, s.keys), s.keys, slopes);
        softmax_grad(weights, slopes, bias, s.keys);
        self.sums(bias, heads(&self.key, sample, s.keys), s.keys, query);
        self.gathered(bias, heads(&self.query, sample, s.queries), key);
        self.gathered(weights, g, value);
        let scale = T::of(self.rule.scale);
        query.iter_mut().chain(key).for_each(|x| *x *= scale);
    }

    /// Returns how many heads each head of key and value serves.
    fn share(&self) -> usize {
        let s = self.sizes();
        s.heads.checked_div(s.groups).unwrap_or(0)
    }

    /// Returns the position of the first query among the keys.
    fn place(&self, sample: usize) -> i64 {
        self.position.as_ref().map_or(0, |p| {
            let at = p.layout().strides[0] * sample as isize;
            p.data()[p.layout().offset.wrapping_add_signed(at)]
        })
    }

    /// Returns one more than the last key that any query of a sample sees.
    fn last(&self, sample: usize) -> usize {
        let s = self.sizes();
        if self.rule.causal { end(self.place(sample), s.queries, s.keys) } else { s.keys }
    }

    /// Computes `[heads, queries, keys]` as `rows·othersᵀ` for the first `keys` keys.
    fn products(&self, rows: Side<'_, T>, others: Side<'_, T>, keys: usize, out: &mut [T]) {
        let (s, share) = (self.sizes(), self.share());
        let size = s.queries * keys;
        // One call per head if each head has its own key.
        let (calls, count, step) = if share == 1 { (1, s.heads, others.1) } else { (s.groups, share, 0) };
        for call in 0..calls {
            let (a, b) = (further(rows, call * count), further(others, call).t());
            let c = MatMut::row_major(&mut out[call * count * size..][..count * size], s.queries, keys);
            let (a, b) = ((a, Steps::Every(rows.1)), (b, Steps::Every(step)));
            batched(count, a, b, c, size, Store::Write, Epilogue::NONE);
        }
    }

    /// Computes `[queries, heads, columns]` as `weights·others`: for each query the sum over the first `keys` keys.
    fn sums(&self, weights: &[T], others: Side<'_, T>, keys: usize, out: &mut [T]) {
        let (s, share, columns) = (self.sizes(), self.share(), others.0.cols);
        let size = s.queries * keys;
        let (calls, count, step) = if share == 1 { (1, s.heads, others.1) } else { (s.groups, share, 0) };
        for call in 0..calls {
            let first = call * count;
            let a = Mat::row_major(&weights[first * size..][..count * size], s.queries, keys);
            let data = out.get_mut(first * columns..).unwrap_or_default();
            let c = MatMut { data, rows: s.queries, cols: columns, ld: s.heads * columns };
            let (a, b) = ((a, Steps::Every(size as isize)), (further(others, call), Steps::Every(step)));
            batched(count, a, b, c, columns, Store::Write, Epilogue::NONE);
        }
    }

    /// Computes `[keys, groups, columns]` as `weightsᵀ·rows`: for each key the sum over queries and the heads that
    /// it serves, one after another.
    fn gathered(&self, weights: &[T], rows: Side<'_, T>, out: &mut [T]) {
        let (s, share, columns) = (self.sizes(), self.share(), rows.0.cols);
        let size = s.queries * s.keys;
        for head in 0..share {
            let a = Mat::row_major(&weights[head * size..], s.queries, s.keys).t();
            let b = further(rows, head);
            let c = MatMut { data: &mut *out, rows: s.keys, cols: columns, ld: s.groups * columns };
            let (a, b) =
                ((a, Steps::Every((share * size) as isize)), (b, Steps::Every(rows.1 * share as isize)));
            let store = if head == 0 { Store::Write } else { Store::Add };
            batched(s.groups, a, b, c, columns, store, Epilogue::NONE);
        }
    }

    /// Computes the scores of a sample for its first `keys` keys: scaled, with their bias, and -infinity where a
    /// key is hidden.
    fn scores(&self, sample: usize, keys: usize, out: &mut [T]) {
        let (s, Rule { scale, causal, window }) = (self.sizes(), self.rule);
        self.products(heads(&self.query, sample, s.queries), heads(&self.key, sample, keys), keys, out);
        let (scale, place) = (T::of(scale), self.place(sample));
        for (row, scores) in out.chunks_exact_mut(keys).enumerate() {
            let (head, query) = (row / s.queries, row % s.queries);
            scores.iter_mut().for_each(|x| *x *= scale);
            if let Some(bias) = &self.bias {
                let (start, step) = line(bias, [sample, head, query]);
                for (j, x) in scores.iter_mut().enumerate() {
                    *x += bias.data()[start.wrapping_add_signed(step * j as isize)];
                }
            }
            if let Some(mask) = &self.mask {
                let (start, step) = line(mask, [sample, head, query]);
                for (j, x) in scores.iter_mut().enumerate() {
                    if mask.data()[start.wrapping_add_signed(step * j as isize)] == 0 {
                        *x = T::neg_infinity();
                    }
                }
            }
            if causal {
                scores[end(place, query + 1, keys)..].fill(T::neg_infinity());
            }
            if let Some(window) = window {
                let before = place.saturating_sub(i64::try_from(window).unwrap_or(i64::MAX));
                scores[..end(before, query + 1, keys)].fill(T::neg_infinity());
                scores[end(place, query.saturating_add(window), keys)..].fill(T::neg_infinity());
            }
        }
    }
}

/// `place + further`, within `0..=keys`.
fn end(place: i64, further: usize, keys: usize) -> usize {
    let end = place.saturating_add(i64::try_from(further).unwrap_or(i64::MAX));
    usize::try_from(end).unwrap_or(0).min(keys)
}

/// Returns where a row of `[batch, heads, queries, keys]` begins, and the distance between its elements.
fn line<T: Copy + Default>(x: &Strided<'_, T>, at: [usize; 3]) -> (usize, isize) {
    let strides = x.layout().strides;
    let start = at.iter().zip(strides).map(|(&i, stride)| i as isize * stride).sum();
    (x.layout().offset.wrapping_add_signed(start), strides[3])
}
