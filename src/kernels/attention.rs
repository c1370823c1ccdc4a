//! Attention, block of queries by block of queries: scores and weighted sums by the matrix product, and between them
//! weights row by row. `out = softmax(scale·query·keyᵀ + bias)·value` for each head, over the keys that a query sees.
//! The scores of all queries with all keys are never in memory at once, forwards or backwards; keys that no query of a
//! block can see are left out.
//!
//! The order of arithmetic is that of the matrix product and of softmax, and both add keys in ascending order, in
//! blocks of one length from key 0 on. A hidden key has the weight 0, which changes no sum. So a row is the same, number
//! for number, whether hidden keys are there or not and whatever rows are computed with it, and decoding step by step
//! gives the rows of the whole pass. (A running maximum, which would cut keys as well, rescales sums each time it
//! changes: more work and other bits, for scores that fit into the second-level cache as they are.)

use super::gemm::{Epilogue, Gemm, Mat, MatMut, Steps, Store, batched};
use super::random::{drop_run, threshold};
use super::simd::stamped;
use super::softmax::{softmax_grad, weights, weights_of};
use super::strided::Strided;
use super::{par, scratch};
use crate::Float;
use crate::random::Stream;

/// Which weights are dropped: each with probability `rate`, and the others are divided by `1 - rate`. The weight of a sample,
/// head, query and key is decided by its number in `[batch, heads, queries, keys]`.
#[derive(Clone, Copy, Debug)]
pub struct Drops {
    /// The share, below 1.
    pub rate: f64,
    /// What decides.
    pub stream: Stream,
}

/// Which keys a query sees, besides those that a mask hides, the factor of its scores, and what is dropped.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The factor of the scores.
    pub scale: f64,
    /// Whether a query sees no key after its own position.
    pub causal: bool,
    /// Keys this far from a query's own position, or further, are hidden.
    pub window: Option<usize>,
    /// Which weights are dropped, if any.
    pub drops: Option<Drops>,
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

/// Queries that are computed together forwards: enough to use what the product copies of keys and values.
pub const BLOCK: usize = 64;

/// The same for the gradient, where it is part of what the result is: the gradients of keys and values are sums over
/// blocks of this many queries, added in ascending order.
const GRAD_BLOCK: usize = 128;

/// The number of scores that stay in the second-level cache; as many heads as fit are computed together.
const NEAR: usize = 1 << 18;

/// The number of scores from which fewer queries are computed together.
const MANY: usize = 1 << 20;

/// The matrix of one head, and the distance from one head to the next.
type Side<'a, T> = (Mat<'a, T>, isize);

/// Returns `rows` rows from `first` on of the first head of one sample of `[batch, rows, heads, columns]`, and the
/// distance to the next head.
fn heads<'a, T: Copy + Default>(x: &Strided<'a, T>, sample: usize, first: usize, rows: usize) -> Side<'a, T> {
    let (layout, d) = (x.layout(), x.layout().shape.dims());
    let [batch, rs, step, cs] = [layout.strides[0], layout.strides[1], layout.strides[2], layout.strides[3]];
    let offset = layout.offset.wrapping_add_signed(batch * sample as isize + rs * first as isize);
    (Mat { data: x.data(), offset, rows, cols: d[3], rs, cs }, step)
}

/// Returns the matrix `by` heads further.
fn further<T>((first, step): Side<'_, T>, by: usize) -> Mat<'_, T> {
    Mat { offset: first.offset.wrapping_add_signed(step * by as isize), ..first }
}

/// Consecutive queries of a sample, the groups whose heads are computed together, and the keys that any of the
/// queries can see: the first `keys`.
#[derive(Clone, Copy)]
struct Part {
    sample: usize,
    first: usize,
    rows: usize,
    group: usize,
    groups: usize,
    keys: usize,
}

impl<T: Float + Gemm> Attention<'_, T> {
    /// Returns the sizes of each sample.
    pub fn sizes(&self) -> Sizes {
        let [q, v] = [self.query.layout().shape, self.value.layout().shape];
        let (q, v) = (q.dims(), v.dims());
        Sizes { heads: q[2], groups: v[2], queries: q[1], keys: v[1], dim: q[3], width: v[3] }
    }

    /// Computes rows of the output `[batch · queries, heads, width]` from row `first` on, on this thread, and for each
    /// row of each head the largest score and the sum of `exp(score - max)`, `[rows, heads]`. Which rows are
    /// computed together changes no bit of them.
    pub fn forward(&self, first: usize, out: &mut [T], max: &mut [T], sum: &mut [T]) {
        let s = self.sizes();
        let fit = MANY / self.share().saturating_mul(s.keys).max(1);
        let (each, most) = (s.heads * s.width, fit.clamp(8, BLOCK).min(s.queries));
        let together = self.together(most);
        let heads_of_part = together * self.share();
        par::alone(|| {
            scratch::with(heads_of_part * most * (s.keys + 2), |room: &mut [T]| {
                let (rows, room) = room.split_at_mut(2 * heads_of_part * most);
                let (mut row, end) = (first, first + max.len() / s.heads.max(1));
                while row < end {
                    let (sample, query) = (row / s.queries, row % s.queries);
                    let count = most.min(s.queries - query).min(end - row);
                    let at = row - first;
                    let of_row = at * s.heads..(at + count) * s.heads;
                    let out = &mut out[at * each..(at + count) * each];
                    let keys = self.last(sample, query + count);
                    let [max, sum] = [&mut max[of_row.clone()], &mut sum[of_row]];
                    if keys == 0 {
                        [&mut *out, &mut *max, &mut *sum].into_iter().for_each(|x| x.fill(T::zero()));
                    } else {
                        let part = Part { sample, first: query, rows: count, group: 0, groups: 0, keys };
                        self.parts(part, together, |part| {
                            self.forward_part(part, out, [&mut *max, &mut *sum], rows, room);
                        });
                    }
                    row += count;
                }
            });
        });
    }

    fn forward_part(
        &self,
        part: Part,
        out: &mut [T],
        [max, sum]: [&mut [T]; 2],
        rows: &mut [T],
        room: &mut [T],
    ) {
        let (s, share) = (self.sizes(), self.share());
        let (first, count) = (part.group * share, part.groups * share * part.rows);
        let scores = &mut room[..count * part.keys];
        self.scores(part, scores);
        let (largest, total) = rows.split_at_mut(count);
        weights(scores, largest, total, part.keys);
        for (i, (&largest, &total)) in largest.iter().zip(&*total).enumerate() {
            let at = i % part.rows * s.heads + first + i / part.rows;
            (max[at], sum[at]) = (largest, total);
        }
        self.drop(part, scores);
        self.sums(part, scores, heads(&self.value, part.sample, 0, part.keys), out);
    }

    /// Returns how many numbers [`Attention::backward`] needs room for.
    pub fn backward_room(&self) -> usize {
        let (s, most) = (self.sizes(), GRAD_BLOCK.min(self.sizes().queries));
        self.together(most)
            .saturating_mul(self.share())
            .saturating_mul(most)
            .saturating_mul(s.keys.saturating_mul(3).saturating_add(2))
    }

    /// Computes the gradients of query, key and value of a sample, from the gradient of its output (in the shape of
    /// the query, but with `width` features) and the results of [`Attention::forward`] for each row of each head.
    /// `bias`, which may be empty, is filled with the gradient of the scores before they are scaled,
    /// `[heads, queries, keys]`, which is that of the bias.
    pub fn backward(
        &self,
        g: &Strided<'_, T>,
        sample: usize,
        of_rows: [&[T]; 2],
        [query, key, value, bias, room]: [&mut [T]; 5],
    ) {
        let s = self.sizes();
        if s.queries == 0 || s.keys == 0 || s.heads == 0 {
            [query, key, value, bias].into_iter().for_each(|x| x.fill(T::zero()));
            return;
        }
        bias.fill(T::zero());
        // Keys that the first block does not reach are added to later, or not at all.
        let reached = self.last(sample, GRAD_BLOCK.min(s.queries));
        key[reached * s.groups * s.dim..].fill(T::zero());
        value[reached * s.groups * s.width..].fill(T::zero());
        let together = self.together(GRAD_BLOCK.min(s.queries));
        for first in (0..s.queries).step_by(GRAD_BLOCK) {
            let rows = GRAD_BLOCK.min(s.queries - first);
            let keys = self.last(sample, first + rows);
            let query = &mut query[first * s.heads * s.dim..(first + rows) * s.heads * s.dim];
            if keys == 0 {
                query.fill(T::zero());
                continue;
            }
            let part = Part { sample, first, rows, group: 0, groups: 0, keys };
            self.parts(part, together, |part| {
                self.backward_part(
                    g,
                    part,
                    of_rows,
                    [&mut *query, &mut *key, &mut *value, &mut *bias, &mut *room],
                );
            });
        }
        let scale = T::of(self.rule.scale);
        scaled(query, scale);
        scaled(key, scale);
    }

    fn backward_part(
        &self,
        g: &Strided<'_, T>,
        part: Part,
        [max, sum]: [&[T]; 2],
        [query, key, value, bias, room]: [&mut [T]; 5],
    ) {
        let (s, share) = (self.sizes(), self.share());
        let Part { sample, first, rows, keys, .. } = part;
        let count = part.groups * share * rows;
        let (largest, room) = room.split_at_mut(count);
        let (total, room) = room.split_at_mut(count);
        let (weights, room) = room.split_at_mut(count * keys);
        let (slopes, room) = room.split_at_mut(count * keys);
        let of_scores = &mut room[..count * keys];
        for (i, (largest, total)) in largest.iter_mut().zip(&mut *total).enumerate() {
            let at = (first + i % rows) * s.heads + part.group * share + i / rows;
            (*largest, *total) = (max[at], sum[at]);
        }
        self.scores(part, weights);
        weights_of(weights, largest, total, keys);
        let g = heads(g, sample, first, rows);
        self.products(part, g, heads(&self.value, sample, 0, keys), slopes);
        self.drop(part, slopes);
        softmax_grad(weights, slopes, of_scores, keys);
        self.drop(part, weights);
        self.sums(part, of_scores, heads(&self.key, sample, 0, keys), query);
        self.gathered(part, of_scores, heads(&self.query, sample, first, rows), key);
        self.gathered(part, weights, g, value);
        if !bias.is_empty() {
            for (i, row) in of_scores.chunks_exact(keys).enumerate() {
                let at = (part.group * share + i / rows) * s.queries + first + i % rows;
                bias[at * s.keys..][..keys].copy_from_slice(row);
            }
        }
    }

    /// Returns how many heads each head of key and value serves.
    fn share(&self) -> usize {
        let s = self.sizes();
        s.heads.checked_div(s.groups).unwrap_or(0)
    }

    /// Returns how many groups are computed together, for blocks of `rows` queries.
    fn together(&self, rows: usize) -> usize {
        let (s, share) = (self.sizes(), self.share());
        (NEAR / rows.saturating_mul(share).saturating_mul(s.keys).max(1)).min(s.groups).max(1)
    }

    /// Calls `f` for all groups, `together` at a time.
    fn parts(&self, part: Part, together: usize, mut f: impl FnMut(Part)) {
        let all = self.sizes().groups;
        for group in (0..all).step_by(together) {
            f(Part { group, groups: together.min(all - group), ..part });
        }
    }

    /// Returns the position of the first query among the keys.
    fn place(&self, sample: usize) -> i64 {
        self.position.as_ref().map_or(0, |p| {
            let at = p.layout().strides[0] * sample as isize;
            p.data()[p.layout().offset.wrapping_add_signed(at)]
        })
    }

    /// Returns one more than the last key that any of the first `queries` queries of a sample sees.
    fn last(&self, sample: usize, queries: usize) -> usize {
        let s = self.sizes();
        if self.rule.causal { end(self.place(sample), queries, s.keys) } else { s.keys }
    }

    /// Computes `[heads, rows, keys]` as `rows·othersᵀ`.
    fn products(&self, part: Part, rows: Side<'_, T>, others: Side<'_, T>, out: &mut [T]) {
        let share = self.share();
        let size = part.rows * part.keys;
        // One call if each head has its own key.
        let (calls, count, step) =
            if share == 1 { (1, part.groups, others.1) } else { (part.groups, share, 0) };
        for call in 0..calls {
            let group = part.group + call;
            let (a, b) = (further(rows, group * share), further(others, group).t());
            let c = MatMut::row_major(&mut out[call * count * size..][..count * size], part.rows, part.keys);
            let (a, b) = ((a, Steps::Every(rows.1)), (b, Steps::Every(step)));
            batched(count, a, b, c, size, Store::Write, Epilogue::NONE);
        }
    }

    /// Computes `[rows, heads, columns]` as `weights·others`: for each query the sum over keys.
    fn sums(&self, part: Part, weights: &[T], others: Side<'_, T>, out: &mut [T]) {
        let (s, share, columns) = (self.sizes(), self.share(), others.0.cols);
        let size = part.rows * part.keys;
        let (calls, count, step) =
            if share == 1 { (1, part.groups, others.1) } else { (part.groups, share, 0) };
        for call in 0..calls {
            let group = part.group + call;
            let a = Mat::row_major(&weights[call * count * size..][..count * size], part.rows, part.keys);
            let data = out.get_mut(group * share * columns..).unwrap_or_default();
            let c = MatMut { data, rows: part.rows, cols: columns, ld: s.heads * columns };
            let (a, b) = ((a, Steps::Every(size as isize)), (further(others, group), Steps::Every(step)));
            batched(count, a, b, c, columns, Store::Write, Epilogue::NONE);
        }
    }

    /// Computes `[keys, groups, columns]` as `weightsᵀ·rows`: for each key the sum over queries and the heads that
    /// it serves, one after another. Those of later blocks of queries are added.
    fn gathered(&self, part: Part, weights: &[T], rows: Side<'_, T>, out: &mut [T]) {
        let (s, share, columns) = (self.sizes(), self.share(), rows.0.cols);
        let size = part.rows * part.keys;
        for head in 0..share {
            let a = Mat::row_major(&weights[head * size..], part.rows, part.keys).t();
            let b = further(rows, part.group * share + head);
            let data = out.get_mut(part.group * columns..).unwrap_or_default();
            let c = MatMut { data, rows: part.keys, cols: columns, ld: s.groups * columns };
            let (a, b) =
                ((a, Steps::Every((share * size) as isize)), (b, Steps::Every(rows.1 * share as isize)));
            let store = if head == 0 && part.first == 0 { Store::Write } else { Store::Add };
            batched(part.groups, a, b, c, columns, store, Epilogue::NONE);
        }
    }

    /// Drops some of `[heads, rows, keys]` and scales the others: weights, or the gradients of dropped weights.
    fn drop(&self, part: Part, weights: &mut [T]) {
        let Some(Drops { rate, stream }) = self.rule.drops else { return };
        let (s, threshold, scale) = (self.sizes(), threshold(rate), T::of(1.0 / (1.0 - rate)));
        for (row, weights) in weights.chunks_exact_mut(part.keys).enumerate() {
            let (head, query) = (part.group * self.share() + row / part.rows, part.first + row % part.rows);
            let start = ((part.sample * s.heads + head) * s.queries + query) * s.keys;
            drop_run(stream, start as u64, weights, threshold, scale);
        }
    }

    /// Computes scores: scaled, with their bias, and -infinity where a key is hidden.
    fn scores(&self, part: Part, out: &mut [T]) {
        let Rule { scale, causal, window, .. } = self.rule;
        let Part { sample, first, rows, keys, .. } = part;
        self.products(part, heads(&self.query, sample, first, rows), heads(&self.key, sample, 0, keys), out);
        scaled(out, T::of(scale));
        let place = self.place(sample);
        for (row, scores) in out.chunks_exact_mut(keys).enumerate() {
            let (head, query) = (part.group * self.share() + row / rows, first + row % rows);
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

stamped! {
    fn scaled<T: Float>(x: &mut [T], factor: T) {
        for x in x.iter_mut() {
            *x *= factor;
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
