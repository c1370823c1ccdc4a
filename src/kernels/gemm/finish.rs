//! `Finish`: what is done to the sums of a product after all of K, in this order: what C held, the bias, scale and
//! shift, the residual, the activation, another function. Tiles do all but the last two while a result is in
//! registers or L1; the functions here do it for runs of a row.

use super::matrix::Source;
use super::{Act, Epilogue, Gemm, Map, Store};
use crate::kernels::simd::{Isa, stamped};

/// [`Store`] and [`Epilogue`] for a block of C, checked.
pub(super) struct Finish<'a, T> {
    /// Whether the sum is added to the contents of C.
    pub(super) add: bool,
    /// One number per column of the block, as are scale and shift.
    pub(super) bias: Option<&'a [T]>,
    pub(super) scale: Option<(&'a [T], &'a [T])>,
    /// As large as the block.
    pub(super) residual: Option<Source<'a, T>>,
    act: Option<Act>,
    map: Option<Map<'a, T>>,
    /// Whether a scale and a shift are one operation.
    fused: bool,
}

impl<T> Clone for Finish<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Finish<'_, T> {}

impl<'a, T: Gemm> Finish<'a, T> {
    /// Checks an epilogue for C, which has `rows` by `cols` elements, rows `ld` apart.
    ///
    /// # Panics
    /// If it does not fit.
    pub(super) fn new(
        isa: Isa,
        store: Store,
        epilogue: &Epilogue<'a, T>,
        (rows, cols, ld): (usize, usize, usize),
    ) -> Self {
        let Epilogue { bias, scale, residual, activation, map } = *epilogue;
        assert!(bias.is_none_or(|b| b.len() == cols), "one bias per column");
        assert!(
            scale.is_none_or(|(s, t)| s.len() == cols && t.len() == cols),
            "one scale and shift per column"
        );
        let residual = residual.map(|data| {
            let source = Source::new(data, 0, rows, cols, ld as isize, 1);
            source.expect("the residual is as large as the result, with rows as far apart")
        });
        let add = store == Store::Add;
        Finish { add, bias, scale, residual, act: activation, map, fused: isa.is_fused() }
    }

    /// Nothing but to store or add the sum.
    pub(super) fn none(store: Store) -> Self {
        let add = store == Store::Add;
        Finish { add, bias: None, scale: None, residual: None, act: None, map: None, fused: true }
    }

    /// The same for `cols` columns from `j` on.
    #[inline]
    pub(super) fn columns(self, j: usize, cols: usize) -> Self {
        let scale = self.scale.map(|(s, t)| (&s[j..j + cols], &t[j..j + cols]));
        let residual = self.residual.map(|r| r.block(0, j, r.rows, cols));
        Finish { bias: self.bias.map(|b| &b[j..j + cols]), scale, residual, ..self }
    }

    /// The same for `rows` rows from `i` on.
    #[inline]
    pub(super) fn rows(self, i: usize, rows: usize) -> Self {
        Finish { residual: self.residual.map(|r| r.block(i, 0, rows, r.cols)), ..self }
    }

    /// Whether there is neither a scale nor a residual.
    #[inline]
    pub(super) fn short(&self) -> bool {
        self.scale.is_none() && self.residual.is_none()
    }

    /// Whether tiles end with `max(·, 0)`.
    #[inline]
    pub(super) fn relu(&self) -> bool {
        self.act == Some(Act::Relu)
    }

    /// Whether tiles leave something for [`Finish::after`].
    #[inline]
    pub(super) fn more(&self) -> bool {
        self.map.is_some() || self.act.is_some_and(|act| act != Act::Relu)
    }

    /// Does to a run of a row what tiles leave.
    pub(super) fn after(&self, run: &mut [T]) {
        if let Some(act) = self.act.filter(|&act| act != Act::Relu) {
            act.apply_all(run);
        }
        if let Some(map) = self.map {
            map(run);
        }
    }

    /// Does to a run of row `i`, from column `j` on, all that follows the bias.
    #[inline]
    fn later(&self, i: usize, j: usize, run: &mut [T]) {
        let n = run.len();
        let scale = self.scale.map(|(s, t)| (&s[j..j + n], &t[j..j + n]));
        let residual = self.residual.and_then(|r| r.block(i, j, 1, n).contiguous_row());
        if scale.is_some() || residual.is_some() {
            if self.fused {
                scale_and_add(run, scale, residual);
            } else {
                scale_and_add_apart(run, scale, residual);
            }
        }
        if let Some(act) = self.act {
            act.apply_all(run);
        }
        if let Some(map) = self.map {
            map(run);
        }
    }

    /// Does everything to a run of row `i` from column `j` on, where the sum has been stored or added.
    #[inline]
    pub(super) fn run(&self, i: usize, j: usize, run: &mut [T]) {
        if let Some(bias) = self.bias {
            run.iter_mut().zip(&bias[j..]).for_each(|(x, &b)| *x = *x + b);
        }
        self.later(i, j, run);
    }

    /// Moves finished sums of the only row, from column `j` on, to their place.
    #[inline(always)] // a single row takes 150 ns
    pub(super) fn put_row(&self, j: usize, sums: &mut [T], out: &mut [T]) {
        if self.add {
            sums.iter_mut().zip(&*out).for_each(|(s, &c)| *s = c + *s);
        }
        self.run(0, j, sums);
        out[..sums.len()].copy_from_slice(sums);
    }

    /// The same for the only column, from row `i` on, which is contiguous.
    #[inline(always)]
    pub(super) fn put_column(&self, i: usize, sums: &mut [T], out: &mut [T]) {
        if self.add {
            sums.iter_mut().zip(&*out).for_each(|(s, &c)| *s = c + *s);
        }
        if let Some(bias) = self.bias {
            sums.iter_mut().for_each(|s| *s = *s + bias[0]);
        }
        if let Some((s, t)) = self.scale {
            let one = |x: T| if self.fused { x.fma(s[0], t[0]) } else { x * s[0] + t[0] };
            sums.iter_mut().for_each(|x| *x = one(*x));
        }
        if let Some(residual) = self.residual {
            sums.iter_mut().enumerate().for_each(|(r, x)| *x = *x + residual.at(i + r, 0));
        }
        if let Some(act) = self.act {
            act.apply_all(sums);
        }
        if let Some(map) = self.map {
            map(sums);
        }
        out[..sums.len()].copy_from_slice(sums);
    }
}

stamped! {
    /// Scale and shift, then the residual, of a run of a row.
    fn scale_and_add<T: Gemm>(run: &mut [T], scale: Option<(&[T], &[T])>, residual: Option<&[T]>) {
        match (scale, residual) {
            (Some((s, t)), Some(r)) => {
                for (((x, &s), &t), &r) in run.iter_mut().zip(s).zip(t).zip(r) {
                    *x = x.fma(s, t) + r;
                }
            }
            (Some((s, t)), None) => run.iter_mut().zip(s).zip(t).for_each(|((x, &s), &t)| *x = x.fma(s, t)),
            (None, Some(r)) => run.iter_mut().zip(r).for_each(|(x, &r)| *x = *x + r),
            (None, None) => {}
        }
    }
}

/// The same without a fused multiply-add.
fn scale_and_add_apart<T: Gemm>(run: &mut [T], scale: Option<(&[T], &[T])>, residual: Option<&[T]>) {
    if let Some((s, t)) = scale {
        run.iter_mut().zip(s).zip(t).for_each(|((x, &s), &t)| *x = *x * s + t);
    }
    if let Some(r) = residual {
        run.iter_mut().zip(r).for_each(|(x, &r)| *x = *x + r);
    }
}
