//! Strided views: a slice read as an array of any shape. Transposes, slices, broadcasts and reversals are only
//! other strides; kernels take such views and find the long contiguous runs in them.

use crate::shape::{MAX_RANK, Shape};

/// Where each element of an array lies: at `offset + Σ index·stride`, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// The sizes.
    pub shape: Shape,
    /// The distance between neighbours along each axis; 0 repeats, negative runs backwards.
    pub strides: [isize; MAX_RANK],
    /// The position of the first element.
    pub offset: usize,
}

impl Layout {
    /// Creates a row-major layout without gaps.
    pub fn contiguous(shape: Shape) -> Layout {
        Layout { shape, strides: shape.strides(), offset: 0 }
    }

    /// Returns whether the elements are contiguous in row-major order.
    pub fn is_contiguous(&self) -> bool {
        let mut step = 1;
        for (&d, &stride) in self.shape.dims().iter().zip(&self.strides).rev() {
            if d != 1 && stride != step {
                return self.shape.elements() <= 1;
            }
            step = step.wrapping_mul(d as isize);
        }
        true
    }

    /// Returns whether some element of memory occurs more than once.
    pub fn repeats(&self) -> bool {
        std::iter::zip(self.shape.dims(), &self.strides).any(|(&d, &stride)| d > 1 && stride == 0)
    }

    /// Reorders the axes; `order` names each axis once.
    pub fn permuted(&self, order: &[usize]) -> Layout {
        let mut out = *self;
        for (to, &from) in order.iter().enumerate() {
            out.shape.dims_mut()[to] = self.shape.dims()[from];
            out.strides[to] = self.strides[from];
        }
        out
    }

    /// Returns the axes from `axis` on alone, at place number `i` of those before it.
    pub fn below(&self, axis: usize, mut i: usize) -> Layout {
        let mut out = *self;
        for (&size, &stride) in self.shape.dims()[..axis].iter().zip(&self.strides).rev() {
            out.offset = out.offset.wrapping_add_signed((i % size) as isize * stride);
            i /= size;
        }
        let mut first = [false; MAX_RANK];
        first[..axis].fill(true);
        out.shape = self.shape.reduced(&first, false);
        out.strides.rotate_left(axis);
        out
    }

    /// Repeats to a larger shape, to which its own broadcasts.
    pub fn broadcast(&self, shape: Shape) -> Layout {
        let lead = shape.rank() - self.shape.rank();
        let mut strides = [0; MAX_RANK];
        for i in 0..self.shape.rank() {
            if self.shape.dims()[i] == shape.dims()[lead + i] && self.shape.dims()[i] != 1 {
                strides[lead + i] = self.strides[i];
            }
        }
        Layout { shape, strides, offset: self.offset }
    }

    /// Returns the same elements under another shape, if strides can express it.
    pub fn reshaped(&self, shape: Shape) -> Option<Layout> {
        if self.is_contiguous() {
            return Some(Layout { offset: self.offset, ..Layout::contiguous(shape) });
        }
        let old = Axes::collapse([self]);
        let mut strides = [0; MAX_RANK];
        // Walk both shapes from the end, filling each run of old elements with whole new axes.
        let mut at = old.rank;
        let (mut left, mut step) = (1usize, 0isize);
        for i in (0..shape.rank()).rev() {
            let size = shape.dims()[i];
            if size == 1 {
                continue;
            }
            if left == 1 {
                at = at.checked_sub(1)?;
                (left, step) = (old.dims[at], old.strides[0][at]);
            }
            if left % size != 0 {
                return None;
            }
            strides[i] = step;
            step *= size as isize;
            left /= size;
        }
        (left == 1 && at == 0).then_some(Layout { shape, strides, offset: self.offset })
    }
}

/// A read-only array over a slice. Its layout is checked on construction to stay inside of the slice.
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a, T> {
    data: &'a [T],
    layout: Layout,
}

impl<'a, T: Copy + Default> Strided<'a, T> {
    /// Creates a view of `data`.
    ///
    /// # Panics
    /// If the layout reaches outside of `data`.
    pub fn new(data: &'a [T], layout: Layout) -> Strided<'a, T> {
        if layout.shape.elements() > 0 {
            let (mut low, mut high) = (layout.offset as isize, layout.offset as isize);
            for (i, &d) in layout.shape.dims().iter().enumerate() {
                // Saturated, so what is too far stays too far.
                let reach = (d as isize - 1).saturating_mul(layout.strides[i]);
                let end = if reach < 0 { &mut low } else { &mut high };
                *end = end.saturating_add(reach);
            }
            assert!(low >= 0 && (high as usize) < data.len(), "layout reaches outside of its memory");
        }
        Strided { data, layout }
    }

    /// Returns the layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the memory that the layout indexes.
    pub fn data(&self) -> &'a [T] {
        self.data
    }

    /// Returns the shape.
    pub fn shape(&self) -> &Shape {
        &self.layout.shape
    }

    /// Returns the elements as one slice, if they are contiguous in row-major order.
    pub fn as_slice(&self) -> Option<&'a [T]> {
        let n = self.layout.shape.elements();
        if n == 0 {
            return Some(&[]);
        }
        self.layout.is_contiguous().then(|| &self.data[self.layout.offset..self.layout.offset + n])
    }

    /// Returns the same memory under another layout, which the caller has derived from this one.
    pub fn with(&self, layout: Layout) -> Strided<'a, T> {
        Strided::new(self.data, layout)
    }

    /// Copies `out.len()` elements that are `stride` apart, from `start` on.
    #[inline]
    pub fn gather(&self, start: isize, stride: isize, out: &mut [T]) {
        gather(self.data, start, stride, out);
    }
}

/// Copies `out.len()` elements of `data` that are `stride` apart, from `start` on.
#[inline]
pub fn gather<T: Copy>(data: &[T], start: isize, stride: isize, out: &mut [T]) {
    match stride {
        1 => out.copy_from_slice(&data[start as usize..start as usize + out.len()]),
        0 => out.fill(data[start as usize]),
        _ => {
            let mut at = start;
            for o in out {
                *o = data[at as usize];
                at += stride;
            }
        }
    }
}

/// The axes of `N` arrays of one shape, walked together: axes of size 1 are dropped, and neighbours merged where
/// the strides of all arrays allow it.
#[derive(Clone, Copy, Debug)]
pub struct Axes<const N: usize> {
    /// Sizes, outermost first.
    pub dims: [usize; MAX_RANK],
    /// Strides of each array.
    pub strides: [[isize; MAX_RANK]; N],
    /// How many axes are left.
    pub rank: usize,
    offsets: [usize; N],
}

impl<const N: usize> Axes<N> {
    /// Collapses layouts of the same shape.
    pub fn collapse(layouts: [&Layout; N]) -> Axes<N> {
        let mut out = Axes {
            dims: [1; MAX_RANK],
            strides: [[0; MAX_RANK]; N],
            rank: 0,
            offsets: layouts.map(|l| l.offset),
        };
        for (i, &d) in layouts[0].shape.dims().iter().enumerate() {
            if d == 1 {
                continue;
            }
            let merges = out.rank > 0
                && (0..N).all(|k| out.strides[k][out.rank - 1] == layouts[k].strides[i] * d as isize);
            if merges {
                out.dims[out.rank - 1] *= d;
            } else {
                out.dims[out.rank] = d;
                out.rank += 1;
            }
            for k in 0..N {
                out.strides[k][out.rank - 1] = layouts[k].strides[i];
            }
        }
        out
    }

    /// Returns the length of a row: the innermost axis.
    pub fn row(&self) -> usize {
        if self.rank == 0 { 1 } else { self.dims[self.rank - 1] }
    }

    /// Returns the strides within a row.
    pub fn steps(&self) -> [isize; N] {
        if self.rank == 0 { [0; N] } else { std::array::from_fn(|k| self.strides[k][self.rank - 1]) }
    }

    /// Returns where row number `row` begins in each array.
    pub fn start(&self, mut row: usize) -> [isize; N] {
        let mut at = self.offsets.map(|o| o as isize);
        for axis in (0..self.rank.saturating_sub(1)).rev() {
            let index = (row % self.dims[axis]) as isize;
            row /= self.dims[axis];
            for (k, at) in at.iter_mut().enumerate() {
                *at += index * self.strides[k][axis];
            }
        }
        at
    }
}
