//! Convolutions on slices: each is a product of a matrix that is never made (patches of images, values spread over
//! images) with the kernel. A convolution's input x, kernel k and output y have one trilinear form, `Σ x·k·y`; its
//! three derivatives are the functions here.

use super::gemm::depthwise;
use super::gemm::{Epilogue, Gemm, Mat, MatMut, Operand, Packed, Patches, Spread, View, Window};
use super::gemm::{patches_product, patches_turned_product, patches_turned_room, spread_product};
use super::simd::{Isa, isa, large_pages};
use super::winograd::Tiles;
use crate::Result;

/// The sizes of a convolution: x is `[batch, sizes…, channels]`, k `[windows…, channels / groups, filters]`, y
/// `[batch, places…, filters]`.
#[derive(Clone, Copy, Debug)]
pub struct Sizes<'a> {
    /// Number of images.
    pub batch: usize,
    /// Elements along each spatial axis.
    pub spatial: &'a [usize],
    /// Channels of x.
    pub channels: usize,
    /// Channels of y.
    pub filters: usize,
    /// Each group sees `channels / groups` channels and gives `filters / groups`.
    pub groups: usize,
    /// How the kernel slides along each spatial axis.
    pub windows: &'a [Window],
}

impl Sizes<'_> {
    /// Returns whether each channel has one filter of its own.
    pub fn depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.channels && self.groups == self.filters
    }
    fn taps(&self) -> usize {
        self.windows.iter().map(|w| w.size).product()
    }
    /// Returns the channels and filters of one group.
    fn group(&self) -> (usize, usize) {
        (self.channels / self.groups, self.filters / self.groups)
    }
}

/// Computes y from x and k, and then the epilogue.
///
/// # Errors
/// Slices do not hold what `sizes` say.
pub fn forward<T: Gemm>(sizes: &Sizes, x: &[T], k: &[T], y: &mut [T], end: Epilogue<T>) -> Result<()> {
    forward_on(isa(), sizes, x, k, y, end)
}

fn forward_on<T: Gemm>(
    isa: Isa,
    sizes: &Sizes,
    x: &[T],
    k: &[T],
    y: &mut [T],
    end: Epilogue<T>,
) -> Result<()> {
    let (c, f) = sizes.group();
    if y.len() < sizes.filters {
        return Ok(());
    }
    if sizes.depthwise() && isa.is_fused() {
        let patches = Patches::new(x, sizes.batch, sizes.spatial, sizes.channels, sizes.windows)?;
        if depthwise::suits(&patches) {
            depthwise::depthwise(&patches, k, y, end);
            return Ok(());
        }
    }
    let kernel = |group: usize, with: &mut dyn FnMut(View<T>)| {
        let rows = Mat::row_major(k, sizes.taps() * c, sizes.filters);
        with(View::of(&Mat { cols: f, offset: group * f, ..rows }));
    };
    by_group(isa, sizes, x, &kernel, y, end)
}

/// Lends the kernel of a group.
type Kernels<'a, T> = dyn Fn(usize, &mut dyn FnMut(View<T>)) + 'a;

/// Computes y by a product of patches for each group.
fn by_group<T: Gemm>(
    isa: Isa,
    sizes: &Sizes,
    x: &[T],
    kernel: &Kernels<T>,
    y: &mut [T],
    end: Epilogue<T>,
) -> Result<()> {
    let ((c, f), rows) = (sizes.group(), y.len() / sizes.filters);
    if rows == 0 {
        return Ok(());
    }
    let patches = Patches::new(x, sizes.batch, sizes.spatial, sizes.channels, sizes.windows)?;
    for group in 0..sizes.groups {
        let patches = patches.channels(group * c, c)?;
        kernel(group, &mut |kernel| {
            let out = MatMut { data: &mut y[group * f..], rows, cols: f, ld: sizes.filters };
            patches_product(isa, &patches, kernel, out, end.columns(group * f, f));
        });
    }
    Ok(())
}

/// A kernel in the form that the forward convolution reads fastest, made once and used again and again: in panels, or
/// transformed for Winograd's algorithm. Results have the bits of [`forward`], or of [`Tiles::compute`].
///
/// Which form it is depends on the layer and on the sizes of one image, so a kernel prepared for some sizes serves all
/// batches of them, and other sizes where [`Prepared::suits`] says so.
#[derive(Clone, Debug)]
pub struct Prepared<T: Clone + 'static> {
    form: Form<T>,
    /// Whether Winograd's algorithm is allowed.
    winograd: bool,
    /// Channels and filters, groups, taps.
    of: [usize; 4],
}

#[derive(Clone, Debug)]
enum Form<T: Clone + 'static> {
    /// Transformed for Winograd's algorithm.
    Tiles(Vec<T>),
    /// In panels, for each group.
    Panels(Vec<Packed<'static, T>>),
    /// As it is: one filter for each channel, or few filters, whose rows are read in order anyway.
    Plain(Vec<T>),
}

impl<T: Gemm> Prepared<T> {
    /// Prepares a kernel `[windows…, channels / groups, filters]`; `winograd` allows Winograd's algorithm where it is
    /// faster, as the layer's setting does.
    ///
    /// # Panics
    /// The slice does not hold what the sizes say.
    pub fn new(sizes: &Sizes, k: &[T], winograd: bool) -> Prepared<T> {
        let ((c, f), taps) = (sizes.group(), sizes.taps());
        assert!(k.len() == taps * c * sizes.filters, "the kernel has the sizes of the layer");
        let form = match tiles::<T>(sizes, winograd) {
            Some(tiles) => {
                let mut room = vec![T::c(0.0); tiles.kernel_len()];
                large_pages(&room);
                tiles.transform((k, false), &mut room);
                Form::Tiles(room)
            }
            None if Prepared::<T>::pays(sizes, winograd) => {
                let one =
                    |group| Mat { cols: f, offset: group * f, ..Mat::row_major(k, taps * c, sizes.filters) };
                Form::Panels((0..sizes.groups).map(|group| Packed::new(one(group))).collect())
            }
            None => Form::Plain(k.to_vec()),
        };
        Prepared { form, winograd, of: [sizes.channels, sizes.filters, sizes.groups, taps] }
    }

    /// Returns whether a kernel for these sizes has another form than it has already: not one filter for each channel,
    /// or few filters, whose rows are read in order anyway.
    pub fn pays(sizes: &Sizes, winograd: bool) -> bool {
        tiles::<T>(sizes, winograd).is_some() || !sizes.depthwise() && Packed::<T>::pays(sizes.group().1)
    }

    /// Returns whether [`Prepared::kernel`] has it.
    pub fn is_exact(&self) -> bool {
        !matches!(self.form, Form::Tiles(_))
    }

    /// Returns the kernel again, bit by bit; `None` if it was transformed.
    pub fn kernel(&self) -> Option<Vec<T>> {
        let [channels, filters, groups, taps] = self.of;
        let (rows, f) = (taps * channels / groups, filters / groups);
        match &self.form {
            Form::Tiles(_) => None,
            Form::Plain(k) => Some(k.clone()),
            Form::Panels(panels) => {
                let mut k = vec![T::c(0.0); rows * filters];
                for (group, panels) in panels.iter().enumerate() {
                    let runs = k.chunks_mut(filters).enumerate();
                    runs.for_each(|(row, out)| panels.read(row, 0, &mut out[group * f..][..f]));
                }
                Some(k)
            }
        }
    }

    /// Returns whether these sizes take the same layer's kernel in the same form.
    pub fn suits(&self, sizes: &Sizes) -> bool {
        let by_tiles = tiles::<T>(sizes, self.winograd).is_some();
        let of = [sizes.channels, sizes.filters, sizes.groups, sizes.taps()];
        by_tiles == matches!(self.form, Form::Tiles(_)) && of == self.of
    }

    /// Returns how many elements it keeps.
    pub fn elements(&self) -> usize {
        match &self.form {
            Form::Tiles(all) | Form::Plain(all) => all.len(),
            Form::Panels(groups) => groups.iter().map(Packed::elements).sum(),
        }
    }

    /// Computes y from x, and then the epilogue.
    ///
    /// # Errors
    /// Slices do not hold what `sizes` say, or the kernel was prepared for others ([`Prepared::suits`]).
    pub fn forward(&self, sizes: &Sizes, x: &[T], y: &mut [T], end: Epilogue<T>) -> Result<()> {
        if !self.suits(sizes) {
            let got = format!("{sizes:?}");
            return Err(crate::Error::argument("conv", "sizes that the kernel was prepared for", got));
        }
        match (&self.form, tiles::<T>(sizes, self.winograd)) {
            (Form::Tiles(k), Some(tiles)) => {
                tiles.convolve(x, k, y, end);
                Ok(())
            }
            (Form::Panels(groups), _) => {
                let kernel = |group: usize, with: &mut dyn FnMut(View<T>)| with(View::of(&groups[group]));
                by_group(isa(), sizes, x, &kernel, y, end)
            }
            (Form::Tiles(k) | Form::Plain(k), _) => forward(sizes, x, k, y, end),
        }
    }
}

/// Returns the tiles of Winograd's algorithm, if it is allowed and faster.
fn tiles<T: Gemm>(sizes: &Sizes, winograd: bool) -> Option<Tiles> {
    Tiles::forward(sizes).filter(|tiles| winograd && tiles.pay::<T>())
}

/// Computes x from y and k: the gradient of the input. The layout of `k` is
/// `[groups, windows…, filters / groups, channels / groups]`, or as it is, `[windows…, 1, channels]`, if each channel
/// has one filter of its own ([`Sizes::depthwise`]).
///
/// # Errors
/// Slices do not hold what `sizes` say.
pub fn input<T: Gemm>(sizes: &Sizes, y: &[T], k: &[T], x: &mut [T]) -> Result<()> {
    input_on(isa(), sizes, y, k, x)
}

fn input_on<T: Gemm>(isa: Isa, sizes: &Sizes, y: &[T], k: &[T], x: &mut [T]) -> Result<()> {
    let ((c, f), rows) = (sizes.group(), x.len() / sizes.channels);
    if rows == 0 {
        return Ok(());
    }
    let spread = Spread::new(y, sizes.batch, sizes.spatial, sizes.filters, sizes.windows)?;
    if sizes.depthwise() && isa.is_fused() && depthwise::suits_back(&spread) {
        depthwise::depthwise_input(&spread, k, x);
        return Ok(());
    }
    for group in 0..sizes.groups {
        let spread = spread.channels(group * f, f)?;
        let inner = sizes.taps() * f;
        let kernel = match sizes.depthwise() {
            true => Mat { cols: c, offset: group, ..Mat::row_major(k, inner, sizes.groups) },
            false => Mat { offset: group * inner * c, ..Mat::row_major(k, inner, c) },
        };
        let out = MatMut { data: &mut x[group * c..], rows, cols: c, ld: sizes.channels };
        spread_product(isa, &spread, kernel, out);
    }
    Ok(())
}

/// Returns how many elements [`kernel`] works in. More threads want more.
///
/// # Errors
/// x does not hold what `sizes` say.
pub fn kernel_room<T: Gemm>(sizes: &Sizes, x: &[T]) -> Result<usize> {
    let (c, f) = sizes.group();
    let patches = Patches::new(x, sizes.batch, sizes.spatial, sizes.channels, sizes.windows)?;
    Ok(if sizes.depthwise() { 0 } else { patches_turned_room(&patches.channels(0, c)?, f) })
}

/// Computes k from x and y: the gradient of the kernel. `room` has [`kernel_room`] elements; with fewer, threads divide
/// the work in other ways.
///
/// # Errors
/// Slices do not hold what `sizes` say.
pub fn kernel<T: Gemm>(sizes: &Sizes, x: &[T], y: &[T], k: &mut [T], room: &mut [T]) -> Result<()> {
    kernel_on(isa(), sizes, [x, y], k, room)
}

fn kernel_on<T: Gemm>(isa: Isa, sizes: &Sizes, [x, y]: [&[T]; 2], k: &mut [T], room: &mut [T]) -> Result<()> {
    let ((c, f), places) = (sizes.group(), y.len() / sizes.filters);
    let patches = Patches::new(x, sizes.batch, sizes.spatial, sizes.channels, sizes.windows)?;
    if sizes.depthwise() && isa.is_fused() && depthwise::suits(&patches) {
        depthwise::depthwise_kernel(&patches, y, k);
        return Ok(());
    }
    for group in 0..sizes.groups {
        let patches = patches.channels(group * c, c)?;
        let values = Mat { cols: f, offset: group * f, ..Mat::row_major(y, places, sizes.filters) };
        let out = MatMut { data: &mut k[group * f..], rows: sizes.taps() * c, cols: f, ld: sizes.filters };
        patches_turned_product(isa, &patches, values, out, room);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
