//! Compares the three products, bit by bit, with those of the matrices of patches: on every instruction set and
//! several numbers of threads, over sizes that nobody would choose.

use super::*;
use crate::Float;
use crate::kernels::batch_norm::mul_add;
use crate::kernels::gemm::{Act, Store, product_on};
use crate::kernels::par::with_threads;
use crate::kernels::testing::{Ends, Rng, same, sets};

/// The sizes of a test, owned.
#[derive(Clone, Debug)]
struct Case {
    batch: usize,
    spatial: Vec<usize>,
    groups: usize,
    /// Of each group.
    channels: usize,
    filters: usize,
    windows: Vec<Window>,
}

impl Case {
    fn any(r: &mut Rng, most: usize) -> Case {
        let (mut spatial, mut windows) = (Vec::new(), Vec::new());
        for _ in 0..1 + r.below(3) {
            let mut some = |n: usize| 1 + r.below(n);
            let (size, stride, dilation) = (some(4), some(3), some(3));
            let (before, after) = ([0, 0, 1, 2, 5][r.below(5)], [0, 0, 1, 3][r.below(4)]);
            let least = ((size - 1) * dilation + 1_usize).saturating_sub(before + after);
            spatial.push((least + r.below(most)).max(1));
            windows.push(Window { size, stride, dilation, before, after });
        }
        let groups = [1, 1, 1, 2, 3][r.below(5)];
        let (channels, wide) = (1 + r.below(5), [4, 40, 70][r.below(3)]);
        let filters = 1 + r.below(wide);
        Case { batch: r.below(4), spatial, groups, channels, filters, windows }
    }

    /// Two spatial axes, alike.
    fn square(size: usize, channels: usize, filters: usize, window: Window) -> Case {
        let (spatial, windows) = (vec![size; 2], vec![window; 2]);
        Case { batch: 3, spatial, groups: 1, channels, filters, windows }
    }

    fn sizes(&self) -> Sizes<'_> {
        let Case { batch, groups, .. } = *self;
        let (channels, filters) = (self.channels * groups, self.filters * groups);
        Sizes { batch, spatial: &self.spatial, channels, filters, groups, windows: &self.windows }
    }

    /// Returns the numbers of elements of x, k and y.
    fn elements(&self) -> [usize; 3] {
        let sizes = self.sizes();
        let places: usize =
            self.windows.iter().zip(&self.spatial).map(|(w, &n)| w.places(n).unwrap()).product();
        let pixels: usize = self.spatial.iter().product();
        let kernel = sizes.taps() * self.channels * sizes.filters;
        [self.batch * pixels * sizes.channels, kernel, self.batch * places * sizes.filters]
    }
}

/// The three products by way of matrices of patches.
fn by_patches<T: Gemm>(isa: Isa, case: &Case, [x, k, kt, y]: [&[T]; 4], end: Epilogue<T>) -> [Vec<T>; 3] {
    let (sizes, zero) = (case.sizes(), T::c(0.0));
    let ((c, f), groups, inner) = (sizes.group(), sizes.groups, sizes.taps() * case.filters);
    let [mut x_out, mut k_out, mut y_out] = case.elements().map(|n| vec![zero; n]);
    let (rows, pixels) = (y.len() / sizes.filters, x.len() / sizes.channels);
    for g in 0..groups {
        let patches = Patches::new(x, sizes.batch, sizes.spatial, sizes.channels, sizes.windows).unwrap();
        let patches = patches.channels(g * c, c).unwrap();
        let spread = Spread::new(y, sizes.batch, sizes.spatial, sizes.filters, sizes.windows).unwrap();
        let spread = spread.channels(g * f, f).unwrap();
        let of = |a: View<T>, b: Mat<T>, c: &mut [T], size: (usize, usize, usize), end: Epilogue<T>| {
            if !c.is_empty() {
                let c = MatMut { data: c, rows: size.0, cols: size.1, ld: size.2 };
                product_on(isa, a, View::of(&b), c, Store::Write, end);
            }
        };
        let kernel = Mat { cols: f, offset: g * f, ..Mat::row_major(k, sizes.taps() * c, sizes.filters) };
        let at = (g * f).min(y_out.len());
        of(View::of(&patches), kernel, &mut y_out[at..], (rows, f, sizes.filters), end.columns(g * f, f));
        let turned = match sizes.depthwise() {
            true => Mat { cols: c, offset: g, ..Mat::row_major(kt, inner, groups) },
            false => Mat { offset: g * inner * c, ..Mat::row_major(kt, inner, c) },
        };
        let at = (g * c).min(x_out.len());
        of(View::of(&spread), turned, &mut x_out[at..], (pixels, c, sizes.channels), Epilogue::NONE);
        let values = Mat { cols: f, offset: g * f, ..Mat::row_major(y, rows, sizes.filters) };
        let size = (sizes.taps() * c, f, sizes.filters);
        of(View::of(&patches).t(), values, &mut k_out[g * f..], size, Epilogue::NONE);
    }
    [y_out, x_out, k_out]
}

fn check<T: Gemm + Float>(r: &mut Rng, case: &Case, isas: &[Isa]) {
    let ([nx, nk, ny], sizes) = (case.elements(), case.sizes());
    let (x, k, kt, y): (Vec<T>, Vec<T>, Vec<T>, Vec<T>) = (r.vec(nx), r.vec(nk), r.vec(nk), r.vec(ny));
    let ends = Ends::any(r, ny, sizes.filters);
    let end = ends.epilogue();
    for &isa in isas {
        let want = by_patches(isa, case, [&x, &k, &kt, &y], end);
        for threads in [1, 2, 3, 8] {
            let nan = |n: usize| vec![T::c(f64::NAN); n];
            let (mut got, mut got_x, mut got_k) = (nan(ny), nan(nx), nan(nk));
            with_threads(threads, || {
                forward_on(isa, &sizes, &x, &k, &mut got, end).unwrap();
                input_on(isa, &sizes, &y, &kt, &mut got_x).unwrap();
                let mut room = nan(kernel_room(&sizes, &x).unwrap());
                kernel_on(isa, &sizes, [&x, &y], &mut got_k, &mut room).unwrap();
            })
            .unwrap();
            let what = |part: &'static str| move || format!("{part}, {isa:?}, {threads} threads: {case:?}");
            same(&got, &want[0], &what("forward"));
            same(&got_x, &want[1], &what("input"));
            same(&got_k, &want[2], &what("kernel"));
        }
    }
}

/// The sets that have vectors and fused multiply-adds.
fn fast() -> Vec<Isa> {
    sets().into_iter().filter(|&isa| isa > Isa::NoFma).collect()
}

#[test]
fn like_products_of_patches() {
    let r = &mut Rng(71);
    for _ in 0..150 {
        let case = Case::any(r, 6);
        check::<f32>(r, &case, &sets());
        check::<f64>(r, &case, &sets());
    }
}

/// Sums of several blocks, rows of several chunks, columns of several panels.
#[test]
fn like_products_of_patches_when_large() {
    let r = &mut Rng(72);
    let fast = fast();
    let window = |size, stride, before| Window { stride, before, after: before, ..Window::new(size) };
    let mut cases = vec![
        Case::square(7, 130, 150, window(3, 1, 1)),
        Case::square(8, 65, 100, window(3, 2, 1)),
        Case::square(30, 3, 64, window(7, 2, 3)),
        Case::square(28, 1, 32, window(3, 1, 0)),
        Case::square(13, 32, 64, window(3, 1, 0)),
        Case::square(40, 70, 33, window(3, 1, 1)),
        Case::square(9, 260, 70, window(1, 2, 0)),
        Case::square(6, 60, 20, Window { dilation: 2, ..window(3, 3, 2) }),
        Case::square(5, 24, 48, window(6, 1, 3)),
    ];
    for case in &mut cases {
        check::<f32>(r, case, &fast);
        (case.batch, case.groups) = (1, 2);
        check::<f64>(r, case, &fast);
    }
}

/// Gradients of small kernels over many places, whose blocks of K are divided between threads.
#[test]
fn like_products_of_patches_over_many_places() {
    let r = &mut Rng(76);
    let window = |size, stride, before| Window { stride, before, after: before, ..Window::new(size) };
    let cases = [
        (Case::square(42, 3, 20, window(3, 1, 0)), 12, 1),
        (Case::square(37, 1, 70, window(2, 1, 1)), 9, 2),
        (Case::square(61, 33, 4, window(1, 2, 0)), 7, 2),
    ];
    for (case, batch, groups) in cases {
        let case = Case { batch, groups, ..case };
        check::<f32>(r, &case, &fast());
        check::<f64>(r, &case, &fast());
    }
    // As large as it may be: several rounds.
    let case = Case { batch: 1, ..Case::square(137, 240, 240, window(1, 2, 0)) };
    check::<f32>(r, &case, &fast());
}

#[test]
fn depthwise_like_products_of_patches() {
    let r = &mut Rng(74);
    let fast = fast();
    if fast.is_empty() {
        return;
    }
    for i in 0..60 {
        let mut case = Case::any(r, 6);
        (case.groups, case.channels, case.filters) = (1 + r.below(70), 1, [1, 1, 2][r.below(3)]);
        check::<f32>(r, &case, &fast[i % fast.len()..][..1]);
        check::<f64>(r, &case, &fast[i % fast.len()..][..1]);
    }
    let window = Window { before: 1, after: 1, ..Window::new(3) };
    let square = |size, stride| Case { groups: 48, ..Case::square(size, 1, 1, Window { stride, ..window }) };
    for case in [square(40, 1), square(33, 2)] {
        check::<f32>(r, &case, &fast[..1]);
    }
}

/// A stride, a gap or a padding far beyond the images takes neither time nor memory.
#[test]
fn windows_far_beyond_images() {
    let r = &mut Rng(73);
    let far = 1 << 40;
    let cases = [
        Window { stride: far, ..Window::new(2) },
        Window { stride: far, before: far, after: 3, ..Window::new(1) },
        Window { dilation: far, stride: 3, before: far, after: 5, ..Window::new(2) },
    ];
    for window in cases {
        let case = Case { spatial: vec![4], windows: vec![window], ..Case::square(1, 3, 5, Window::new(1)) };
        if case.elements()[2] < 1 << 20 {
            check::<f32>(r, &case, &sets());
        }
    }
}

/// Sizes that each form of a prepared kernel is made for.
fn forms() -> [Case; 6] {
    let window = |size, stride, before| Window { stride, before, after: before, ..Window::new(size) };
    [
        Case::square(12, 32, 70, window(3, 1, 1)),
        Case::square(9, 20, 150, window(3, 2, 1)),
        Case::square(7, 200, 130, window(1, 1, 0)),
        Case { groups: 3, ..Case::square(8, 5, 70, window(3, 1, 1)) },
        Case { groups: 40, ..Case::square(10, 1, 1, window(3, 1, 1)) },
        Case { batch: 1, ..Case::square(1, 600, 129, window(1, 1, 0)) },
    ]
}

/// A kernel prepared once gives the bits of the convolution with the kernel itself, for any batch and threads.
#[test]
fn prepared_like_the_kernel_itself() {
    fn check<T: Gemm + Float>(r: &mut Rng, case: Case) {
        let ([nx, nk, ny], sizes) = (case.elements(), case.sizes());
        let (x, k): (Vec<T>, Vec<T>) = (r.vec(nx), r.vec(nk));
        for winograd in [true, false] {
            let prepared = Prepared::new(&sizes, &k, winograd);
            let ends = Ends::any(r, ny, sizes.filters);
            let mut want = vec![T::c(f64::NAN); ny];
            match tiles::<T>(&sizes, winograd) {
                Some(tiles) => {
                    let mut room = vec![T::c(f64::NAN); tiles.kernel_len()];
                    tiles.compute(&x, (&k, false), &mut room, &mut want, ends.epilogue());
                }
                None => forward(&sizes, &x, &k, &mut want, ends.epilogue()).unwrap(),
            }
            for threads in [1, 2, 3, 8] {
                let mut got = vec![T::c(f64::NAN); ny];
                with_threads(threads, || prepared.forward(&sizes, &x, &mut got, ends.epilogue()))
                    .unwrap()
                    .unwrap();
                same(&got, &want, &|| format!("{threads} threads, {ends:?}: {case:?}"));
            }
            assert!(prepared.elements() >= nk, "{case:?}");
        }
    }
    let r = &mut Rng(75);
    for case in forms() {
        check::<f32>(r, case.clone());
        check::<f64>(r, case);
    }
}

#[test]
fn a_kernel_is_prepared_for_its_layer_and_image() {
    let window = Window { before: 1, after: 1, ..Window::new(3) };
    let (large, small) = (Case::square(16, 32, 32, window), Case::square(3, 32, 32, window));
    let k = vec![0.5_f32; large.elements()[1]];
    let tiles = Prepared::new(&large.sizes(), &k, true);
    assert!(tiles.suits(&Case { batch: 7, ..large.clone() }.sizes()) && !tiles.suits(&small.sizes()));
    let direct = Prepared::new(&large.sizes(), &k, false);
    assert!(direct.suits(&small.sizes()));
    let other = Case { filters: 16, channels: 64, ..large };
    assert!(!direct.suits(&other.sizes()));
    let mut y = vec![0.0; small.elements()[2]];
    let refused = tiles.forward(&small.sizes(), &vec![0.0; small.elements()[0]], &mut y, Epilogue::NONE);
    assert!(refused.unwrap_err().to_string().contains("sizes that the kernel was prepared for"));
}

/// The epilogue has the bits of separate passes over the result.
#[test]
fn epilogue_like_separate_passes() {
    let r = &mut Rng(76);
    for case in forms() {
        let ([nx, nk, ny], sizes) = (case.elements(), case.sizes());
        let (x, k): (Vec<f32>, Vec<f32>) = (r.vec(nx), r.vec(nk));
        let [bias, s, t] = [(); 3].map(|()| r.vec::<f32>(sizes.filters));
        let residual: Vec<f32> = r.vec(ny);
        let prepared = Prepared::new(&sizes, &k, true);
        let mut want = vec![f32::NAN; ny];
        prepared.forward(&sizes, &x, &mut want, Epilogue::new(Some(&bias), None)).unwrap();
        let before = want.clone();
        mul_add(&before, &s, &t, &mut want);
        want.iter_mut().zip(&residual).for_each(|(y, r)| *y += r);
        Act::Relu.apply_all(&mut want);
        let mut got = vec![f32::NAN; ny];
        let end = Epilogue {
            scale: Some((&s, &t)),
            residual: Some(&residual),
            ..Epilogue::new(Some(&bias), Some(Act::Relu))
        };
        prepared.forward(&sizes, &x, &mut got, end).unwrap();
        same(&got, &want, &|| format!("{case:?}"));
    }
}
