//! The table of inner loops that products choose from: one row for each instruction set, made by `stamp!` from
//! `loops.rs`. Every call is checked here against the views of `matrix.rs`, so the rest of `gemm` is safe code that
//! cannot leave its operands.

#![allow(unsafe_code)]

use super::Gemm;
use super::finish::Finish;
use super::gather::{Gather, Scatter};
use super::loops::{Depthwise, Dots, Gathered, Last, Pack, Tiles};
use super::matrix::{Source, Target};
use crate::kernels::math::Real;
#[cfg(target_arch = "aarch64")]
use crate::kernels::simd::aarch64::Neon;
#[cfg(target_arch = "x86_64")]
use crate::kernels::simd::x86::{Avx2, Avx512};
use crate::kernels::simd::{Isa, Simd, portable::Portable};
use std::marker::PhantomData;

/// Sums of earlier steps of K.
pub(super) enum Prior<'a, T> {
    /// There are none.
    None,
    /// They are in the target.
    Here,
    /// They are somewhere else.
    There(Source<'a, T>),
}

/// Which steps of a block of K a call of [`Kernels::gathered`] takes.
pub(super) enum Run<'a, T> {
    /// All.
    Whole,
    /// Some. Between the first and the last of these calls, sums of `shape.nr` columns a row wait in `sums`.
    Part { sums: &'a mut [T], first: bool, last: bool },
}

/// What happens to the sums of a call.
pub(super) enum Then<'e, 'a, T: Gemm> {
    /// They are stored: the chains of multiply-adds go on from there.
    GoOn,
    /// They are complete for this block of K, and added to the sum of those before.
    Block(Prior<'a, T>),
    /// The same, and it was the last block.
    End(Prior<'a, T>, &'e Finish<'a, T>),
}

/// Rows and columns of a register tile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) mr: usize,
    pub(super) nr: usize,
}

/// The rows of one block of K on the left, as tiles see them.
#[derive(Clone, Copy)]
pub(super) enum Left<'a, T> {
    InPlace(Source<'a, T>),
    /// The same, and they will not be multiplied with other columns.
    Once(Source<'a, T>),
    /// What [`Kernels::pack`] made of this many rows, in panels as wide as a tile is high.
    Panels {
        data: &'a [T],
        rows: usize,
        /// The steps of K in the panels, and those that are meant.
        k: usize,
        steps: (usize, usize),
    },
}

impl<'a, T: Copy> Left<'a, T> {
    /// The rows of panels with `k` steps of K.
    pub(super) fn panels(data: &'a [T], rows: usize, k: usize) -> Self {
        Left::Panels { data, rows, k, steps: (0, k) }
    }

    /// The same for `steps` steps of K from `p` on.
    pub(super) fn steps(self, p: usize, steps: usize) -> Self {
        match self {
            Left::InPlace(a) => Left::InPlace(a.block(0, p, a.rows, steps)),
            Left::Once(a) => Left::Once(a.block(0, p, a.rows, steps)),
            Left::Panels { data, rows, k, .. } => Left::Panels { data, rows, k, steps: (p, steps) },
        }
    }
}

/// Where the columns of B that are needed next begin, and the distance between their rows: a prefetch, which need
/// not be right.
#[derive(Clone, Copy)]
pub(super) struct Next<T> {
    start: *const T,
    rs: isize,
    /// Whether it is brought into L2 only, where the panel in use fills L1.
    far: bool,
}

impl<T> Next<T> {
    /// Nothing is prefetched.
    pub(super) const NONE: Self = Next { start: std::ptr::null(), rs: 0, far: false };

    /// The columns of B from (p, j) on, which may lie beyond it.
    #[inline]
    pub(super) fn at(b: &Source<T>, p: usize, j: usize) -> Self {
        let start = b.start.wrapping_offset(p as isize * b.rs).wrapping_offset(j as isize * b.cs);
        Next { start, rs: b.rs, far: false }
    }

    /// The panel after this one.
    #[inline]
    pub(super) fn after(panel: &Source<T>) -> Self {
        let start = panel.start.wrapping_offset(panel.rows as isize * panel.rs);
        Next { start, rs: panel.rs, far: false }
    }

    /// The same, into L2 only.
    #[inline]
    pub(super) fn far(self) -> Self {
        Next { far: true, ..self }
    }
}

/// The number of vectors up to which a row of B counts as short.
const SHORT: usize = 32;
/// The same for a matrix of more than `NEAR` elements, which comes from memory: a row is then read in one go.
const SHORTER: usize = 8;
const NEAR: usize = 1 << 16;
/// How many elements ahead of their use those of panels are prefetched: 2 KiB of f32.
const PANEL_AHEAD: usize = 512;

type TilesFn<T> = unsafe fn(&Tiles<T>);
type GatheredFn<T> = unsafe fn(&Gathered<T>);

/// The loops of `loops.rs`, compiled for one instruction set.
pub(super) struct Kernels<T: 'static> {
    /// The tile for wide results, and the higher one for those that are no wider than it.
    wide: Shape,
    tall: Shape,
    lanes: usize,
    /// By rows minus one; then by vectors minus one; then whether the last vector is partly used.
    tiles: &'static [&'static [[TilesFn<T>; 2]]],
    /// With as many rows as the wide tile: by vectors minus one; then whether the last vector is partly used.
    gathered: &'static [[GatheredFn<T>; 2]],
    last: unsafe fn(&Last<T>, usize, usize),
    depthwise: unsafe fn(&Depthwise<T>),
    pack: unsafe fn(&Pack<T>),
    dots_long: unsafe fn(&Dots<T>),
    dots_short: unsafe fn(&Dots<T>),
    dots_columns: unsafe fn(&Dots<T>),
    /// The product of `matrixmultiply`, which replaces the loops where there is no fused multiply-add.
    multiply: Option<Multiply<T>>,
}

/// The arguments of `matrixmultiply`: m, k, n, α, A and B with their strides, β, C with its strides; C = α·A·B + β·C.
type Multiply<T> = unsafe fn(
    usize,
    usize,
    usize,
    T,
    *const T,
    isize,
    isize,
    *const T,
    isize,
    isize,
    T,
    *mut T,
    isize,
    isize,
);

impl<T: Gemm> Kernels<T> {
    /// Returns the tile for results of this many columns.
    #[inline]
    pub(super) fn shape(&self, cols: usize) -> Shape {
        if cols <= self.tall.nr { self.tall } else { self.wide }
    }

    /// Computes the product of `a` and `b` (at most `shape.nr` columns, its rows contiguous), each sum going on from
    /// `start`, and does with it what `then` says. `next` is prefetched meanwhile.
    #[inline]
    pub(super) fn tiles(
        &self,
        shape: Shape,
        a: Left<T>,
        (b, next): (Source<T>, Next<T>),
        start: Prior<T>,
        c: &mut Target<T>,
        then: Then<T>,
    ) {
        let (k, mr) = (b.rows, shape.mr);
        let once = matches!(a, Left::Once(a) if a.cs == 1);
        let (a, rows, a_rs, a_cs, a_next) = match a {
            Left::InPlace(a) | Left::Once(a) => {
                assert!(a.cols == k);
                (a.start, a.rows, a.rs, a.cs, mr as isize * a.rs)
            }
            Left::Panels { data, rows, k: deep, steps: (p, steps) } => {
                assert!(steps == k && p <= deep && k <= deep - p);
                assert!(data.len() >= rows.div_ceil(mr) * mr * deep);
                (data[p * mr..].as_ptr(), rows, 1, mr as isize, (mr * deep) as isize)
            }
        };
        assert!(rows == c.rows && b.cols == c.cols && (b.cs == 1 || b.cols == 1));
        assert!(0 < mr && 0 < b.cols && b.cols <= shape.nr);
        let place = |sums: Prior<T>| match sums {
            Prior::None => (std::ptr::null(), 0),
            Prior::Here => (c.start.cast_const(), c.ld),
            Prior::There(p) => {
                assert!(p.rows == c.rows && p.cols == c.cols && (p.cs == 1 || p.cols == 1) && p.rs >= 0);
                (p.start, p.rs as usize)
            }
        };
        let (start, start_ld) = place(start);
        let (prior, end) = match then {
            Then::GoOn => (Prior::None, None),
            Then::Block(prior) => (prior, None),
            Then::End(prior, end) => (prior, Some(end)),
        };
        let (prior, prior_ld) = place(prior);
        let last = end.and_then(|end| self.last(end, c.start, (c.rows, c.cols, c.ld), std::ptr::null()));
        let (bias, relu) = start_of(end, c.cols);
        let whole = (b.cols - 1) / self.lanes;
        let lanes = b.cols - whole * self.lanes;
        let part = (lanes != self.lanes) as usize;
        let (count, rest) = (rows / mr, rows % mr);
        let mut job = Tiles {
            count,
            k,
            a,
            a_rs,
            a_cs,
            a_next,
            once,
            b: b.start,
            b_rs: b.rs,
            next: next.start,
            next_rs: next.rs,
            next_far: next.far,
            lanes,
            start,
            start_ld,
            prior,
            prior_ld,
            c: c.start,
            c_ld: c.ld,
            more: end.is_none(),
            add: end.is_some_and(|end| end.add),
            relu,
            bias,
            last: last.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
            row: 0,
        };
        // SAFETY: the assertions above are the contract of `tiles`; a table exists for an instruction set that the
        // processor has, or is not handed out (`Stamped::kernels`).
        unsafe {
            if count > 0 {
                self.tiles[mr - 1][whole][part](&job);
            }
            if rest > 0 {
                job.count = 1;
                job.row = count * mr;
                job.a = a.wrapping_offset(count as isize * a_next);
                job.c = c.start.wrapping_add(count * mr * c.ld);
                if !start.is_null() {
                    job.start = start.wrapping_add(count * mr * start_ld);
                }
                if !prior.is_null() {
                    job.prior = prior.wrapping_add(count * mr * prior_ld);
                }
                self.tiles[rest - 1][whole][part](&job);
            }
        }
    }

    /// Returns the tile for rows that are gathered, for a right side of this width: as high as the wide one. Each row
    /// of it has a pointer, and for more of them there are too few registers.
    #[inline]
    pub(super) fn gathering(&self, shape: Shape) -> Shape {
        Shape { mr: self.wide.mr, ..shape }
    }

    /// Computes the product of `a`, as many rows as `c` has, and `b` (at most `shape.nr` columns, its rows
    /// contiguous), going on from and stopping where `run` says. `next` is prefetched meanwhile. Once the sums are
    /// complete for their block of K, they are added to C with `prior`. With `end`, it was the last block, and they
    /// get what `end` says, except for what C held before.
    pub(super) fn gathered(
        &self,
        shape: Shape,
        a: Gather<T>,
        (b, next): (Source<T>, Next<T>),
        (run, prior): (Run<T>, bool),
        c: &mut Scatter<T>,
        end: Option<&Finish<T>>,
    ) {
        let (rows, to) = (a.rows(), c.to());
        assert!(rows.len() == to.len() && rows.len().is_multiple_of(shape.mr));
        assert!(a.steps().len() == b.rows && b.cols == c.cols() && (b.cs == 1 || b.cols == 1));
        assert!(0 < b.cols && b.cols <= shape.nr);
        debug_assert!(!next.far);
        assert!(end.is_none_or(|end| !end.add && (end.residual.is_none() || c.whole_rows())));
        let last = end.and_then(|end| self.last(end, c.start(), c.size(), to.as_ptr()));
        let (bias, relu) = start_of(end, c.cols());
        let (sums, goes_on, stops) = match run {
            Run::Whole => (&mut [][..], false, false),
            Run::Part { sums, first, last } => {
                assert!(sums.len() >= rows.len() * shape.nr);
                (sums, !first, !last)
            }
        };
        let whole = (b.cols - 1) / self.lanes;
        let lanes = b.cols - whole * self.lanes;
        let part = (lanes != self.lanes) as usize;
        let job = Gathered {
            count: rows.len() / shape.mr,
            k: b.rows,
            a: a.data().as_ptr(),
            rows: rows.as_ptr(),
            to: to.as_ptr(),
            steps: a.steps().as_ptr(),
            b: b.start,
            b_rs: b.rs,
            next: next.start,
            next_rs: next.rs,
            lanes,
            c: c.start(),
            part: sums.as_mut_ptr(),
            part_ld: shape.nr,
            goes_on,
            stops,
            prior,
            relu,
            bias,
            last: last.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
        };
        assert!(shape.mr == self.wide.mr);
        // SAFETY: `Gather` and `Scatter` were checked when they were made, the assertions above say that they fit
        // each other, and `tiles` says why the processor has the instructions.
        unsafe { self.gathered[whole][part](&job) }
    }

    /// Returns what tiles do to C, of `size` rows, columns and distance between rows, after they stored it, if
    /// anything. Rows begin where `to` says, if it is not null; then each is a row of C.
    fn last(
        &self,
        end: &Finish<T>,
        c: *mut T,
        (rows, cols, ld): (usize, usize, usize),
        to: *const usize,
    ) -> Option<Last<T>> {
        if end.short() {
            return None;
        }
        let (mut scale, mut shift) = (std::ptr::null(), std::ptr::null());
        if let Some((s, t)) = end.scale {
            assert!(s.len() == cols && t.len() == cols);
            (scale, shift) = (s.as_ptr(), t.as_ptr());
        }
        let (mut residual, mut residual_ld) = (std::ptr::null(), 0);
        if let Some(r) = end.residual {
            assert!(r.rows == rows && r.cols == cols && (r.cs == 1 || cols == 1) && r.rs >= 0);
            assert!(to.is_null() || rows == 1 || r.rs as usize == ld);
            (residual, residual_ld) = (r.start, r.rs as usize);
        }
        let (run, relu) = (self.last, end.relu());
        Some(Last { run, c, c_ld: ld, to, cols, scale, shift, residual, residual_ld, relu })
    }

    /// Returns whether products multiply and add separately, by [`Kernels::multiply`].
    #[inline]
    pub(super) fn apart(&self) -> bool {
        self.multiply.is_some()
    }

    /// Computes `c = a · b`, or with `add` `c + a · b`, in separate multiplications and additions.
    pub(super) fn multiply(&self, a: Source<T>, b: Source<T>, add: bool, c: &mut Target<T>)
    where
        T: Real,
    {
        assert!(a.rows == c.rows && a.cols == b.rows && b.cols == c.cols);
        let multiply = self.multiply.expect("a table of an instruction set without fused multiply-adds");
        let (one, beta) = (T::c(1.0), T::c(if add { 1.0 } else { 0.0 }));
        // SAFETY: the views were checked against their slices, the assertion says that their sizes fit, and rows of
        // C do not overlap.
        unsafe {
            let (a_start, b_start) = (a.start, b.start);
            multiply(
                c.rows,
                a.cols,
                c.cols,
                one,
                a_start,
                a.rs,
                a.cs,
                b_start,
                b.rs,
                b.cs,
                beta,
                c.start,
                c.ld as isize,
                1,
            );
        }
    }

    /// Computes rows of a convolution with one filter for each channel: row i is at `to[i]` of `out` the sum over taps
    /// of `data[rows[i] + at[tap]] * k[taps[tap]]`, for each of `n` channels, with the parts of `end` that come before
    /// [`Finish::after`]; its residual begins where `out` does.
    pub(super) fn depthwise(
        &self,
        a: Gather<T>,
        (k, taps): (&[T], &[usize]),
        (out, to): (&mut [T], &[usize]),
        n: usize,
        (end, residual): (&Finish<T>, Option<&[T]>),
    ) {
        let reach = |list: &[usize]| list.iter().max().map_or(0, |last| last.saturating_add(n));
        let (rows, at) = (a.rows(), a.steps());
        assert!(rows.len() == to.len() && at.len() == taps.len() && !self.apart());
        assert!(reach(taps) <= k.len() && reach(to) <= out.len());
        assert!(
            rows.is_empty()
                || at.is_empty()
                || reach(rows).saturating_add(at.iter().copied().max().unwrap_or(0)) <= a.data().len()
        );
        assert!(residual.is_none_or(|r| reach(to) <= r.len()));
        let null = std::ptr::null();
        let channels = |all: Option<&[T]>| {
            all.map_or(null, |all| {
                assert!(all.len() == n);
                all.as_ptr()
            })
        };
        let job = Depthwise {
            count: rows.len(),
            n,
            taps: taps.len(),
            data: a.data().as_ptr(),
            rows: rows.as_ptr(),
            to: to.as_ptr(),
            at: at.as_ptr(),
            tap: taps.as_ptr(),
            k: k.as_ptr(),
            out: out.as_mut_ptr(),
            bias: channels(end.bias),
            scale: channels(end.scale.map(|(s, _)| s)),
            shift: channels(end.scale.map(|(_, t)| t)),
            residual: residual.map_or(null, <[T]>::as_ptr),
            relu: end.relu(),
        };
        // SAFETY: the assertions above say that all lists stay in their slices, and `tiles` says why the processor has
        // the instructions.
        unsafe { (self.depthwise)(&job) }
    }

    /// Returns how many elements `pack` needs room for.
    pub(super) fn packed_len(&self, k: usize, n: usize, width: usize) -> usize {
        n.div_ceil(width) * k * width + self.lanes
    }

    /// Copies `src` into panels of `width` columns: panel `p` starts at `p * rows * width` and has its rows `width`
    /// apart.
    pub(super) fn pack(&self, src: Source<T>, width: usize, dst: &mut [T]) {
        assert!(width > 0 && dst.len() >= self.packed_len(src.rows, src.cols, width));
        if src.rows == 0 || src.cols == 0 {
            return;
        }
        let Source { rows: k, cols: n, rs, cs, start: src, .. } = src;
        // SAFETY: the assertion above is the contract of `pack`.
        unsafe { (self.pack)(&Pack { k, n, width, src, rs, cs, dst: dst.as_mut_ptr() }) }
    }

    /// Computes `y = x · b`; `b` has contiguous rows or contiguous columns.
    pub(super) fn dots(&self, x: &[T], b: Source<T>, y: &mut [T]) {
        assert!(x.len() == b.rows && y.len() == b.cols && b.rows > 0 && (b.cs == 1 || b.rs == 1));
        let (dots, stride) = match b.cs == 1 {
            true if b.cols <= SHORTER * self.lanes => (self.dots_short, b.rs),
            true if b.cols <= SHORT * self.lanes && b.rows * b.cols <= NEAR => (self.dots_short, b.rs),
            true => (self.dots_long, b.rs),
            false => (self.dots_columns, b.cs),
        };
        let (k, n, x, b, y) = (b.rows, b.cols, x.as_ptr(), b.start, y.as_mut_ptr());
        // SAFETY: the assertion above is the contract of the three loops.
        unsafe { dots(&Dots { k, n, x, b, stride, together: 1, hop: self.lanes, ahead: 0, y }) }
    }

    /// Returns whether panels of `width` columns are whole vectors, as [`Kernels::dots_panels`] needs.
    pub(super) fn whole_vectors(&self, width: usize) -> bool {
        width.is_multiple_of(self.lanes)
    }

    /// The same for the panels of width `width` that `pack` makes of a matrix.
    pub(super) fn dots_panels(&self, x: &[T], panels: &[T], width: usize, y: &mut [T]) {
        let (k, n, together) = (x.len(), y.len(), width / self.lanes);
        assert!(together * self.lanes == width && panels.len() >= n.div_ceil(width) * k * width);
        let (x, b, y) = (x.as_ptr(), panels.as_ptr(), y.as_mut_ptr());
        // SAFETY: the assertion above is the contract of `dots_short`.
        unsafe {
            let (stride, hop, ahead) =
                (width as isize, k * width, if k * n > NEAR { PANEL_AHEAD } else { 0 });
            (self.dots_short)(&Dots { k, n, x, b, stride, together, hop, ahead, y })
        }
    }
}

/// Returns the bias of so many columns, or null, and whether a relu follows it at once.
fn start_of<T: Gemm>(end: Option<&Finish<T>>, cols: usize) -> (*const T, bool) {
    let Some(end) = end else { return (std::ptr::null(), false) };
    let bias = end.bias.map_or(std::ptr::null(), |bias| {
        assert!(bias.len() == cols);
        bias.as_ptr()
    });
    (bias, end.relu() && end.short())
}

/// Returns whether a tile of this many rows does only what others leave over.
const fn left_over(rows: usize, whole: usize) -> bool {
    !rows.is_multiple_of(whole)
}

/// Tiles whose height is a multiple of `whole` exist in two kinds: with a last vector that is whole, and with one
/// that may be partly used. The others, which do what is left over, treat every last vector as partly used where
/// that costs nothing.
macro_rules! stamp {
    ($isa:ident, $simd:ty, wide $wide_mr:literal x $wide_nv:literal = $($wides:literal)+, tall $tall_mr:literal x $tall_nv:literal, whole $whole:literal, $([$rows:literal: $($nv:literal)+])+ $(, $feature:literal)?) => {
        #[allow(non_snake_case)]
        mod $isa {
            use super::super::loops;
            use super::*;

            $(#[target_feature(enable = $feature)])?
            unsafe fn tiles<T: Copy, const MR: usize, const NV: usize, const PART: bool>(t: &Tiles<T>)
            where
                $simd: Simd<T>,
            {
                // SAFETY: the caller's contract.
                unsafe { loops::tiles::<T, $simd, MR, NV, PART>(t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn gathered<T: Copy, const MR: usize, const NV: usize, const PART: bool>(t: &Gathered<T>)
            where
                $simd: Simd<T>,
            {
                // SAFETY: the caller's contract.
                unsafe { loops::gathered::<T, $simd, MR, NV, PART>(t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn last<T: Copy>(t: &Last<T>, first: usize, rows: usize)
            where
                $simd: Simd<T>,
            {
                // SAFETY: the caller's contract.
                unsafe { loops::last::<T, $simd>(t, first, rows) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn depthwise<T: Copy>(t: &Depthwise<T>)
            where
                $simd: Simd<T>,
            {
                // SAFETY: the caller's contract.
                unsafe { loops::depthwise::<T, $simd>(t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn pack<T: Copy>(t: &Pack<T>)
            where
                $simd: Simd<T>,
            {
                // SAFETY: the caller's contract.
                unsafe { loops::pack::<T, $simd>(t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn dots_long<T: Copy>(t: &Dots<T>)
            where
                $simd: Simd<T>,
            {
                // SAFETY: the caller's contract.
                unsafe { loops::dots_long::<T, $simd>(t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn dots_short<T: Copy>(t: &Dots<T>)
            where
                $simd: Simd<T>,
            {
                // SAFETY: the caller's contract.
                unsafe { loops::dots_short::<T, $simd>(t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn dots_columns<T: Copy>(t: &Dots<T>)
            where
                $simd: Simd<T>,
            {
                // SAFETY: the caller's contract.
                unsafe { loops::dots_columns::<T, $simd>(t) }
            }

            pub(super) struct Table<T>(PhantomData<T>);
            impl<T: Copy + 'static> Table<T>
            where
                $simd: Simd<T>,
            {
                const LANES: usize = <$simd as Simd<T>>::LANES;
                const TILES: &'static [&'static [[TilesFn<T>; 2]]] =
                    &[$(&[$([tiles::<T, $rows, $nv, { left_over($rows, $whole) }>, tiles::<T, $rows, $nv, true>]),+]),+];
                const GATHERED: &'static [[GatheredFn<T>; 2]] =
                    &[$([gathered::<T, $wide_mr, $wides, false>, gathered::<T, $wide_mr, $wides, true>]),+];
                pub(super) const KERNELS: Kernels<T> = Kernels {
                    wide: Shape { mr: $wide_mr, nr: $wide_nv * Self::LANES },
                    tall: Shape { mr: $tall_mr, nr: $tall_nv * Self::LANES },
                    lanes: Self::LANES,
                    tiles: Self::TILES,
                    gathered: Self::GATHERED,
                    last: last::<T>,
                    depthwise: depthwise::<T>,
                    pack: pack::<T>,
                    dots_long: dots_long::<T>,
                    dots_short: dots_short::<T>,
                    dots_columns: dots_columns::<T>,
                    multiply: None,
                };
            }
        }
    };
}
stamp!(portable, Portable, wide 4 x 2 = 1 2, tall 4 x 2, whole 8, [1: 1 2] [2: 1 2] [3: 1 2] [4: 1 2]);
#[cfg(target_arch = "x86_64")]
stamp!(avx2, Avx2, wide 6 x 2 = 1 2, tall 12 x 1, whole 1, [1: 1 2] [2: 1 2] [3: 1 2] [4: 1 2] [5: 1 2] [6: 1 2] [7: 1] [8: 1] [9: 1] [10: 1] [11: 1] [12: 1], "avx2,fma");
#[cfg(target_arch = "x86_64")]
stamp!(avx512, Avx512, wide 6 x 4 = 1 2 3 4, tall 12 x 2, whole 6, [1: 1 2 3 4] [2: 1 2 3 4] [3: 1 2 3 4] [4: 1 2 3 4] [5: 1 2 3 4] [6: 1 2 3 4] [7: 1 2] [8: 1 2] [9: 1 2] [10: 1 2] [11: 1 2] [12: 1 2], "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma");
#[cfg(target_arch = "aarch64")]
stamp!(neon, Neon, wide 6 x 4 = 1 2 3 4, tall 12 x 2, whole 6, [1: 1 2 3 4] [2: 1 2 3 4] [3: 1 2 3 4] [4: 1 2 3 4] [5: 1 2 3 4] [6: 1 2 3 4] [7: 1 2] [8: 1 2] [9: 1 2] [10: 1 2] [11: 1 2] [12: 1 2], "neon");

/// Element types with kernels.
pub trait Stamped: Copy + Sized + 'static {
    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn kernels(isa: Isa) -> &'static Kernels<Self>;
}

macro_rules! stamped_for {
    ($($t:ty: $multiply:ident),+) => {$(
        impl Stamped for $t {
            #[allow(private_interfaces)]
            fn kernels(isa: Isa) -> &'static Kernels<$t> {
                static PORTABLE: Kernels<$t> = portable::Table::<$t>::KERNELS;
                #[cfg(not(target_arch = "aarch64"))]
                static NO_FMA: Kernels<$t> =
                    Kernels { multiply: Some(matrixmultiply::$multiply), ..portable::Table::<$t>::KERNELS };
                #[cfg(target_arch = "x86_64")]
                static AVX2: Kernels<$t> = avx2::Table::<$t>::KERNELS;
                #[cfg(target_arch = "x86_64")]
                static AVX512: Kernels<$t> = avx512::Table::<$t>::KERNELS;
                #[cfg(target_arch = "aarch64")]
                static NEON: Kernels<$t> = neon::Table::<$t>::KERNELS;
                // An instruction set that the processor lacks must not be returned: its kernels are called without
                // further checks.
                let has = Isa::available().contains(&isa);
                match isa {
                    _ if !has => &PORTABLE,
                    #[cfg(not(target_arch = "aarch64"))]
                    Isa::NoFma => &NO_FMA,
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => &AVX2,
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => &AVX512,
                    #[cfg(target_arch = "aarch64")]
                    Isa::Neon => &NEON,
                    _ => &PORTABLE,
                }
            }
        }
    )+};
}
stamped_for!(f32: sgemm, f64: dgemm);
