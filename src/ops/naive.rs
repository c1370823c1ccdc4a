//! Attention written plainly, by matrix products and softmax: the rule of the gradient op, and the reference of the
//! kernel's tests.

use super::attending::{AttentionOptions, Given};
use crate::autograd::Outputs;
use crate::kernels::attention::{Drops, Rule};
use crate::tensor::{Few, Tensor, few};
use crate::{DType, Result};

/// Attention written plainly, by matrix products and softmax: the rule of the gradient op, and the reference of the
/// kernel's tests.
pub(super) struct Naive {
    /// `[batch, groups, heads of one, queries, dim]`.
    query: Tensor,
    /// `[batch, groups, 1, keys, dim]`.
    key: Tensor,
    value: Tensor,
    /// `[batch, heads, queries, keys]`.
    weights: Tensor,
    scale: f64,
    drops: Option<Drops>,
}

/// Turns `[batch, time, heads, dim]` into matrices `[batch, groups, heads of one, time, dim]`.
fn stack(x: &Tensor, groups: usize) -> Result<Tensor> {
    x.permute(&[0, 2, 1, 3])?.split_axis(1, &[groups as isize, -1])
}

/// Undoes [`stack`].
fn unstack(x: &Tensor) -> Result<Tensor> {
    x.merge_axes(1, 2)?.permute(&[0, 2, 1, 3])
}

/// Returns 0, 1, 2, … along an axis of a tensor, int64.
pub(crate) fn places(x: &Tensor, axis: isize) -> Result<Tensor> {
    let axis = x.shape().axis("places", axis)?;
    let ones = x.new_full([x.dims()[axis]], 1.0)?.cast(DType::I64)?;
    ones.cumsum(0)?.sub(&ones)
}

/// Returns which keys are seen: of `[batch, heads, queries, keys]`; `None` if all are.
fn seen(query: &Tensor, key: &Tensor, given: Given<&Tensor>, rule: Rule) -> Result<Option<Tensor>> {
    let Given([mask, _, position]) = given;
    let mut seen = mask.cloned();
    let mut and = |more: Tensor| -> Result<()> {
        seen = Some(match &seen {
            Some(seen) => seen.logical_and(&more)?,
            None => more,
        });
        Ok(())
    };
    let (mut row, column) = (places(query, 1)?.expand_dims(-1)?, places(key, 1)?);
    if let Some(position) = position {
        let place = (0..position.rank() * 3).try_fold(position.clone(), |p, _| p.expand_dims(-1))?;
        row = row.add(&place)?;
    }
    if rule.causal {
        and(column.less_equal(&row)?)?;
    }
    if let Some(window) = rule.window {
        let window = Tensor::scalar(i64::try_from(window).unwrap_or(i64::MAX))?;
        and(row.sub(&column)?.less(&window)?.logical_and(&column.sub(&row)?.less(&window)?)?)?;
    }
    Ok(seen)
}

/// Softmax over the last axis of what is seen; 0 elsewhere, and in rows that see nothing.
///
/// # Errors
/// The mask does not broadcast to the scores.
pub(crate) fn masked_softmax(scores: &Tensor, seen: Option<&Tensor>) -> Result<Tensor> {
    let Some(seen) = seen else { return scores.softmax(-1) };
    let lowest = scores.new_full([], f64::from(f32::MIN))?;
    let weights = seen.choose(scores, &lowest)?.softmax(-1)?;
    seen.choose(&weights, &weights.new_full([], 0.0)?)
}

/// Returns the weights `[batch, heads, queries, keys]` of stacked queries and keys.
fn weights(
    query: &Tensor,
    key: &Tensor,
    bias: Option<&Tensor>,
    seen: Option<&Tensor>,
    scale: f64,
) -> Result<Tensor> {
    let mut scores = query.matmul(&key.t()?)?.affine(scale, 0.0)?.merge_axes(1, 2)?;
    if let Some(bias) = bias {
        scores = scores.add(bias)?;
    }
    masked_softmax(&scores, seen)
}

/// Returns the weights `[batch, heads, queries, keys]` by which [`Tensor::dot_product_attention`] adds values.
///
/// # Errors
/// Those of [`Tensor::dot_product_attention`].
pub(crate) fn attention_weights(
    query: &Tensor,
    key: &Tensor,
    options: AttentionOptions<'_>,
) -> Result<Tensor> {
    let AttentionOptions { bias, mask, position, .. } = options;
    let rule = options.rule(query)?;
    let seen = seen(query, key, Given([mask, bias, position]), rule)?;
    let groups = key.dims()[2];
    weights(&stack(query, groups)?, &stack(key, groups)?, bias, seen.as_ref(), rule.scale)
}

/// Returns the sums `[batch, queries, heads, width]` of values `[batch, keys, groups, width]` by their weights.
///
/// # Errors
/// Shapes do not fit.
pub(crate) fn weighted_sums(weights: &Tensor, value: &Tensor) -> Result<Tensor> {
    let groups = value.dims()[2];
    unstack(&weights.split_axis(1, &[groups as isize, -1])?.matmul(&stack(value, groups)?)?)
}

impl Naive {
    pub(super) fn new([query, key, value]: [&Tensor; 3], rest: &[Tensor], rule: Rule) -> Result<Naive> {
        let refs: Few<&Tensor, 8> = rest.iter().collect();
        let given = Given::among(&refs, |t| t.dtype());
        let bias = given.0[1];
        let seen = seen(query, key, given, rule)?;
        let groups = key.dims()[2];
        let [query, key, value] = [stack(query, groups)?, stack(key, groups)?, stack(value, groups)?];
        let weights = weights(&query, &key, bias, seen.as_ref(), rule.scale)?;
        Ok(Naive { query, key, value, weights, scale: rule.scale, drops: rule.drops })
    }

    /// Drops some of `[batch, heads, queries, keys]`.
    fn dropped(&self, x: &Tensor) -> Result<Tensor> {
        self.drops.map_or_else(|| Ok(x.clone()), |Drops { rate, stream }| x.dropout(rate, stream))
    }

    /// Reshapes `[batch, heads, …]` by groups.
    fn grouped(&self, x: &Tensor) -> Result<Tensor> {
        x.split_axis(1, &[self.key.dims()[1] as isize, -1])
    }

    #[cfg(test)]
    fn output(&self) -> Result<Tensor> {
        unstack(&self.grouped(&self.dropped(&self.weights)?)?.matmul(&self.value)?)
    }

    /// Returns the gradients of query, key, value and, if asked for, the scores.
    pub(super) fn gradients(&self, g: &Tensor, of_bias: bool) -> Result<Outputs> {
        let g = &stack(g, self.key.dims()[1])?;
        let p = &self.weights;
        let dp = self.dropped(&g.matmul(&self.value.t()?)?.merge_axes(1, 2)?)?;
        let ds = p.mul(&dp.sub(&p.mul(&dp)?.sum(&[-1], true)?)?)?;
        let scaled = self.grouped(&ds.affine(self.scale, 0.0)?)?;
        let query = unstack(&scaled.matmul(&self.key)?)?;
        let key = unstack(&scaled.t()?.matmul(&self.query)?.sum(&[2], true)?)?;
        let value = unstack(&self.grouped(&self.dropped(p)?)?.t()?.matmul(g)?.sum(&[2], true)?)?;
        let mut out: Outputs = few![query, key, value];
        out.extend(of_bias.then_some(ds));
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::par::with_threads;
    use crate::random::Stream;

    fn wave(shape: &[usize], salt: usize) -> Tensor {
        let n = shape.iter().product::<usize>();
        let value = |i: usize| (((i + 31 * salt) as f64 * 0.618_034 + 0.137).fract() * 4.0 - 2.0) as f32;
        Tensor::from_slice(&(0..n).map(value).collect::<Vec<_>>(), shape).unwrap()
    }

    fn f64s(values: &[f64], shape: &[usize]) -> Tensor {
        Tensor::from_slice(values, shape).unwrap()
    }

    /// The golden value of Keras's `ops.dot_product_attention`.
    #[test]
    fn keras_gives_this() {
        let q = f64s(&[1.0, 0.0, 0.0, 1.0], &[1, 2, 1, 2]);
        let v = f64s(&[1.0, 2.0, 3.0, 4.0], &[1, 2, 1, 2]);
        let y = q.dot_product_attention(&q, &v, AttentionOptions::default()).unwrap();
        let want = [1.660_477, 2.660_477, 2.339_523_1, 3.339_523_1];
        let got = y.to_vec::<f64>().unwrap();
        assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{got:?}");
    }

    /// Checks that the kernel gives the bits of the products and the softmax that it stands for, whatever the
    /// sizes, strides and threads.
    #[test]
    fn the_kernel_is_what_it_says() {
        // batch, queries, keys, heads, groups, dim, width
        let sizes = [
            [2, 3, 5, 4, 2, 3, 2],
            [1, 1, 1, 1, 1, 1, 1],
            [3, 7, 7, 3, 1, 5, 4],
            [2, 33, 40, 2, 2, 8, 9],
            [2, 64, 65, 2, 1, 3, 5],
            [1, 130, 129, 4, 2, 3, 2],
            [1, 4, 1100, 6, 3, 2, 3],
            [2, 0, 3, 2, 1, 2, 2],
            [0, 3, 3, 2, 1, 2, 2],
            [2, 3, 0, 2, 2, 2, 2],
        ];
        for [b, t, s, h, g, d, w] in sizes {
            let q = wave(&[b, h, t, d], 1).permute(&[0, 2, 1, 3]).unwrap();
            let (k, v) = (wave(&[b, s, g, d], 2), wave(&[b, s, g, w], 3));
            let mask = wave(&[b, 1, 1, s], 4).greater(&Tensor::scalar(-1.0f32).unwrap()).unwrap();
            let bias = wave(&[h, t, s], 5);
            let position = Tensor::from_slice(&(0..b as i64).collect::<Vec<_>>(), [b]).unwrap();
            for case in 0..32 {
                let options = AttentionOptions {
                    mask: (case & 1 > 0).then_some(&mask),
                    bias: (case & 2 > 0).then_some(&bias),
                    is_causal: case & 4 > 0,
                    sliding_window: (case & 8 > 0).then_some(2),
                    position: (case & 12 > 0).then_some(&position),
                    scale: Some(0.5),
                    dropout: (case & 16 > 0).then_some((0.3, Stream::from(7))),
                };
                let got = q.dot_product_attention(&k, &v, options).unwrap();
                let rule = options.rule(&q).unwrap();
                let given = [options.mask, options.bias, options.position];
                let rest: Vec<Tensor> = given.into_iter().flatten().cloned().collect();
                assert_eq!(got.dims(), [b, t, h, w]);
                if b * t * s > 0 {
                    let naive = Naive::new([&q, &k, &v], &rest, rule).unwrap().output().unwrap();
                    assert!(got.same_bits(&naive), "{b} {t} {s} {h} {g} {d} {w} {case}:\n{got}\n{naive}");
                }
                for threads in [1, 3] {
                    let again = with_threads(threads, || q.dot_product_attention(&k, &v, options)).unwrap();
                    assert!(again.unwrap().same_bits(&got));
                }
            }
        }
    }

    /// Checks that decoding step by step, from a cache with room to spare, gives the rows of the whole causal pass,
    /// as does each row of the batch alone.
    #[test]
    fn steps_are_rows_of_the_whole() {
        let (time, room) = (130, 150);
        let (q, k, v) = (wave(&[2, time, 4, 5], 1), wave(&[2, room, 2, 5], 2), wave(&[2, room, 2, 3], 3));
        let options = AttentionOptions { is_causal: true, ..AttentionOptions::default() };
        let (filled_k, filled_v) =
            (k.slice(1, 0, time as isize).unwrap(), v.slice(1, 0, time as isize).unwrap());
        let whole = q.dot_product_attention(&filled_k, &filled_v, options).unwrap();
        for t in 0..time as isize {
            let position = Tensor::scalar(t as i64).unwrap();
            let options = AttentionOptions { position: Some(&position), ..options };
            let step = q.slice(1, t, t + 1).unwrap().dot_product_attention(&k, &v, options).unwrap();
            assert!(step.same_bits(&whole.slice(1, t, t + 1).unwrap()), "step {t}");
        }
        let second = |x: &Tensor| x.slice(0, 1, 2).unwrap();
        let alone =
            second(&q).dot_product_attention(&second(&filled_k), &second(&filled_v), options).unwrap();
        assert!(alone.same_bits(&second(&whole)));
    }

    /// Checks output and gradients beside sums that are written out in f64, over blocks that are whole and that are
    /// not, with every option.
    #[test]
    fn it_is_what_loops_in_f64_give() {
        // queries, keys, heads, groups, dim, width
        for [t, s, h, g, d, w] in
            [[1, 64, 2, 1, 3, 2], [63, 70, 2, 2, 2, 3], [129, 140, 4, 2, 3, 2], [300, 260, 1, 1, 2, 2]]
        {
            let [q, k, v] = [wave(&[1, t, h, d], 1), wave(&[1, s, g, d], 2), wave(&[1, s, g, w], 3)];
            let mask = wave(&[1, 1, t, s], 4).greater(&Tensor::scalar(-1.5f32).unwrap()).unwrap();
            let (bias, up) = (wave(&[h, t, s], 5), wave(&[1, t, h, w], 6));
            let place = 5i64;
            let position = Tensor::scalar(place).unwrap();
            let inputs = [&q, &k, &v, &bias].map(|x| x.tracked());
            let options = AttentionOptions {
                mask: Some(&mask),
                bias: Some(&inputs[3]),
                is_causal: true,
                sliding_window: Some(40),
                position: Some(&position),
                scale: Some(0.5),
                dropout: None,
            };
            let y = inputs[0].dot_product_attention(&inputs[1], &inputs[2], options).unwrap();
            let loss = y.mul(&up).unwrap().sum(&[0, 1, 2, 3], false).unwrap();
            let grads = loss.backward().unwrap();

            let f = |x: &Tensor| x.cast(DType::F64).unwrap().to_vec::<f64>().unwrap();
            let [qs, ks, vs, bs, us] = [&q, &k, &v, &bias, &up].map(f);
            let seen = mask.to_vec::<bool>().unwrap();
            let [mut out, mut gq, mut gk, mut gv, mut gb] =
                [&y, &q, &k, &v, &bias].map(|x| vec![0.0; x.dims().iter().product()]);
            for i in 0..h {
                let group = i / (h / g);
                for r in 0..t {
                    let at = |c: usize, n: usize, x: usize| (c * g + group) * n + x;
                    let row = |n: usize, x: usize| (r * h + i) * n + x;
                    let own = r as i64 + place;
                    let keys: Vec<usize> = (0..s)
                        .filter(|&c| seen[r * s + c] && c as i64 <= own && own - (c as i64) < 40)
                        .collect();
                    let score = |c: usize| {
                        0.5 * (0..d).map(|x| qs[row(d, x)] * ks[at(c, d, x)]).sum::<f64>()
                            + bs[(i * t + r) * s + c]
                    };
                    let e: Vec<f64> = keys.iter().map(|&c| libm::exp(score(c))).collect();
                    let total = e.iter().sum::<f64>();
                    let p: Vec<f64> = e.iter().map(|e| e / total).collect();
                    let dp: Vec<f64> = keys
                        .iter()
                        .map(|&c| (0..w).map(|x| us[row(w, x)] * vs[at(c, w, x)]).sum::<f64>())
                        .collect();
                    let dot = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum::<f64>();
                    for (n, &c) in keys.iter().enumerate() {
                        let ds = p[n] * (dp[n] - dot);
                        gb[(i * t + r) * s + c] = ds;
                        for x in 0..w {
                            out[row(w, x)] += p[n] * vs[at(c, w, x)];
                            gv[at(c, w, x)] += p[n] * us[row(w, x)];
                        }
                        for x in 0..d {
                            gq[row(d, x)] += 0.5 * ds * ks[at(c, d, x)];
                            gk[at(c, d, x)] += 0.5 * ds * qs[row(d, x)];
                        }
                    }
                }
            }
            let near = |got: &Tensor, want: &[f64], what: &str| {
                let far = f(got).iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(far < 2e-5, "{what} of {t} {s} {h} {g} {d} {w}: {far}");
            };
            near(&y, &out, "output");
            for ((x, want), what) in
                inputs.iter().zip([&gq, &gk, &gv, &gb]).zip(["query", "key", "value", "bias"])
            {
                near(grads.get(x).unwrap(), want, what);
            }
            // The same bits on any number of threads.
            for threads in [1, 2, 3, 8] {
                let again = with_threads(threads, || {
                    let y = inputs[0].dot_product_attention(&inputs[1], &inputs[2], options).unwrap();
                    let loss = y.mul(&up).unwrap().sum(&[0, 1, 2, 3], false).unwrap();
                    (y, loss.backward().unwrap())
                });
                let (again, found) = again.unwrap();
                assert!(again.same_bits(&y));
                for x in &inputs {
                    assert!(found.get(x).unwrap().same_bits(grads.get(x).unwrap()), "{threads} threads");
                }
            }
        }
    }

    /// Checks that a row does not depend on which keys come after those that it sees, nor on how many.
    #[test]
    fn later_keys_change_nothing() {
        for keys in [1, 63, 64, 65, 130] {
            let (room, at) = (2200, Tensor::scalar(keys as i64 - 1).unwrap());
            let (q, k, v) = (wave(&[1, 1, 2, 4], 1), wave(&[1, room, 2, 4], 2), wave(&[1, room, 2, 3], 3));
            let options =
                AttentionOptions { is_causal: true, position: Some(&at), ..AttentionOptions::default() };
            let among = |room: usize, is_causal: bool| {
                let part = |x: &Tensor| x.slice(1, 0, room as isize).unwrap();
                let options = AttentionOptions { is_causal, ..options };
                q.dot_product_attention(&part(&k), &part(&v), options).unwrap()
            };
            let alone = among(keys, false);
            for room in [keys, keys + 1, keys + 64, 513, 2048, room] {
                assert!(among(room, true).same_bits(&alone), "{keys} of {room}");
                // Hidden by a mask, they are computed with all the others.
                let part = |x: &Tensor| x.slice(1, 0, room as isize).unwrap();
                let mask: Vec<bool> = (0..room).map(|i| i < keys).collect();
                let mask = Tensor::from_slice(&mask, [room]).unwrap();
                let options = AttentionOptions { mask: Some(&mask), ..AttentionOptions::default() };
                let masked = q.dot_product_attention(&part(&k), &part(&v), options).unwrap();
                assert!(masked.same_bits(&alone), "{keys} of {room}, masked");
            }
        }
    }

    #[test]
    fn a_query_that_sees_nothing_gets_zeros_and_gives_none() {
        let (q, k, v) = (
            wave(&[1, 2, 1, 3], 1).tracked(),
            wave(&[1, 4, 1, 3], 2).tracked(),
            wave(&[1, 4, 1, 2], 3).tracked(),
        );
        let mask =
            Tensor::from_slice(&[false, false, false, false, true, false, true, false], [2, 4]).unwrap();
        let options = AttentionOptions { mask: Some(&mask), ..AttentionOptions::default() };
        let y = q.dot_product_attention(&k, &v, options).unwrap();
        assert_eq!(y.select(1, 0).unwrap().to_vec::<f32>().unwrap(), [0.0, 0.0]);
        let gradients = y.square().unwrap().sum(&[], false).unwrap().backward().unwrap();
        let of_v = gradients.get(&v).unwrap().to_vec::<f32>().unwrap();
        assert!(of_v.iter().all(|g| g.is_finite()) && of_v[2..4] == [0.0, 0.0] && of_v[0] != 0.0, "{of_v:?}");
        assert_eq!(gradients.get(&q).unwrap().select(1, 0).unwrap().to_vec::<f32>().unwrap(), [0.0; 3]);
    }
}
