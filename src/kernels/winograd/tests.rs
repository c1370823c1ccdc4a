//! Compares tiles with the product of patches in f64, and bit by bit with the file's description said plainly.

use super::*;
use crate::kernels::conv;
use crate::kernels::gemm::{Store, naive};
use crate::kernels::testing::{Ends, Rng, same};

/// Images `[batch, height, width, channels]`, filters, and zeros above, on the left, below and on the right.
#[derive(Clone, Copy, Debug)]
struct Case {
    images: [usize; 4],
    filters: usize,
    pad: [usize; 4],
}

impl Case {
    fn any(r: &mut Rng) -> Case {
        let pad = match r.below(3) {
            0 => [0; 4],
            1 => [1; 4],
            _ => [(); 4].map(|()| r.below(3)),
        };
        let mut size = |pad: usize| (1 + r.below(9)).max(3usize.saturating_sub(pad));
        let (height, width) = (size(pad[0] + pad[2]), size(pad[1] + pad[3]));
        Case { images: [1 + r.below(3), height, width, 1 + r.below(40)], filters: 1 + r.below(80), pad }
    }

    fn square(batch: usize, size: usize, channels: usize, filters: usize, pad: usize) -> Case {
        Case { images: [batch, size, size, channels], filters, pad: [pad; 4] }
    }

    fn with<R>(&self, f: impl FnOnce(&Sizes) -> R) -> R {
        let [batch, height, width, channels] = self.images;
        let [above, left, below, right] = self.pad;
        let window = |before, after| Window { before, after, ..Window::new(3) };
        f(&Sizes {
            batch,
            spatial: &[height, width],
            channels,
            filters: self.filters,
            groups: 1,
            windows: &[window(above, below), window(left, right)],
        })
    }

    fn results(&self) -> usize {
        let [batch, height, width, _] = self.images;
        let [above, left, below, right] = self.pad;
        batch * (height + above + below - 2) * (width + left + right - 2) * self.filters
    }

    fn forward<T: Gemm>(&self, x: &[T], k: &[T], end: Epilogue<T>) -> Vec<T> {
        let tiles = self.with(Tiles::forward).unwrap();
        let mut y = vec![T::c(7.0); self.results()];
        tiles.compute(x, (k, false), &mut vec![T::c(9.0); tiles.kernel_len()], &mut y, end);
        y
    }

    fn direct<T: Gemm>(&self, x: &[T], k: &[T], end: Epilogue<T>) -> Vec<T> {
        let mut y = vec![T::c(0.0); self.results()];
        self.with(|sizes| conv::forward(sizes, x, k, &mut y, end)).unwrap();
        y
    }

    /// Images, kernel, bias.
    fn numbers<T: Gemm>(&self, r: &mut Rng) -> [Vec<T>; 3] {
        let [channels, filters] = [self.images[3], self.filters];
        [self.images.iter().product(), 9 * channels * filters, filters].map(|n| r.vec(n))
    }

    /// What the head of the file says, one tile after another.
    fn plainly<T: Gemm>(&self, x: &[T], k: &[T], end: Epilogue<T>) -> Vec<T> {
        let ([batch, height, width, channels], f) = (self.images, self.filters);
        let [above, left, below, right] = self.pad;
        let (rows, cols) = (height + above + below - 2, width + left + right - 2);
        let mut y = vec![T::c(0.0); self.results()];
        let mut u = vec![T::c(0.0); 16 * channels * f];
        for (c, j) in (0..channels).flat_map(|c| (0..f).map(move |j| (c, j))) {
            let g = |i: usize| (0..3).map(|t| k[((3 * t + i) * channels + c) * f + j]).collect::<Vec<T>>();
            let t = [0, 1, 2].map(|i| taps(&g(i)));
            for p in 0..4 {
                let row = taps(&t.each_ref().map(|t| t[p]));
                (0..4).for_each(|q| u[((4 * p + q) * channels + c) * f + j] = row[q]);
            }
        }
        for (n, i, l) in (0..batch * rows * cols).map(|t| (t / (rows * cols), t / cols % rows, t % cols)) {
            if i % 2 == 1 || l % 2 == 1 {
                continue;
            }
            let mut m = vec![T::c(0.0); 16 * f];
            let v = (0..channels).map(|c| {
                let d = |p: usize, q: usize| match ((i + p).checked_sub(above), (l + q).checked_sub(left)) {
                    (Some(p), Some(q)) if p < height && q < width => {
                        x[((n * height + p) * width + q) * channels + c]
                    }
                    _ => T::c(0.0),
                };
                let t = [0, 1, 2, 3].map(|q| elements([0, 1, 2, 3].map(|p| d(p, q))));
                [0, 1, 2, 3].map(|p| elements(t.map(|t| t[p])))
            });
            let v: Vec<_> = v.collect();
            for p in 0..16 {
                let v: Vec<T> = v.iter().map(|v| v[p / 4][p % 4]).collect();
                let u = Mat::row_major(&u[p * channels * f..], channels, f);
                let out = MatMut::row_major(&mut m[p * f..], 1, f);
                naive::gemm(Mat::row_major(&v, 1, channels), u, out, Store::Write, Epilogue::NONE);
            }
            for j in 0..f {
                let t = [0, 1, 2, 3].map(|q| sums([0, 1, 2, 3].map(|p| m[(4 * p + q) * f + j])));
                for (p, q) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    if i + p < rows && l + q < cols {
                        let mut sum = sums(t.map(|t| t[p]))[q];
                        if let Some(bias) = end.bias {
                            sum = sum + bias[j];
                        }
                        if let Some((s, t)) = end.scale {
                            sum = if isa().is_fused() { sum.fma(s[j], t[j]) } else { sum * s[j] + t[j] };
                        }
                        let at = ((n * rows + i + p) * cols + l + q) * f + j;
                        if let Some(residual) = end.residual {
                            sum = sum + residual[at];
                        }
                        let out = &mut y[at];
                        *out = sum;
                        if let Some(act) = end.activation {
                            act.apply_all(std::slice::from_mut(out));
                        }
                        if let Some(map) = end.map {
                            map(std::slice::from_mut(out));
                        }
                    }
                }
            }
        }
        y
    }
}

fn taps<T: Gemm>(g: &[T]) -> [T; 4] {
    let (outer, half) = (g[0] + g[2], T::c(0.5));
    [g[0], (outer + g[1]) * half, (outer - g[1]) * half, g[2]]
}

fn elements<T: Gemm>(d: [T; 4]) -> [T; 4] {
    [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]
}

fn sums<T: Gemm>(m: [T; 4]) -> [T; 2] {
    [(m[0] + m[1]) + m[2], (m[1] - m[2]) - m[3]]
}

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&x| f64::from(x)).collect()
}

/// The largest difference from exact results.
fn error(got: &[f32], want: &[f64]) -> f64 {
    got.iter().zip(want).map(|(&g, w)| (f64::from(g) - w).abs()).fold(0.0, f64::max)
}

#[test]
fn tiles_give_the_convolution() {
    let r = &mut Rng(21);
    for round in 0..120 {
        let case = Case::any(r);
        let [x, k, bias] = case.numbers::<f64>(r);
        let act = [None, Some(Act::Relu), Some(Act::Tanh)][round % 3];
        let end = Epilogue::new((round % 2 == 0).then_some(&bias[..]), act);
        let (got, want) = (case.forward(&x, &k, end), case.direct(&x, &k, end));
        for (i, (g, w)) in got.iter().zip(&want).enumerate() {
            assert!((g - w).abs() <= 1e-12 * w.abs().max(1.0), "{case:?}: element {i}: {g} instead of {w}");
        }
        let y: Vec<f64> = r.vec(case.results());
        let (channels, f) = (case.images[3], case.filters);
        let mut turned = vec![0.0; k.len()];
        for (i, &weight) in k.iter().enumerate() {
            let (tap, c, j) = (i / (channels * f), i / f % channels, i % f);
            turned[(tap * f + j) * channels + c] = weight;
        }
        let (mut got, mut want) = (vec![7.0; x.len()], vec![0.0; x.len()]);
        let tiles = case.with(Tiles::input).unwrap();
        let mut room = vec![9.0; tiles.kernel_len()];
        tiles.compute(&y, (&turned, true), &mut room, &mut got, Epilogue::NONE);
        case.with(|sizes| conv::input(sizes, &y, &turned, &mut want)).unwrap();
        for (i, (g, w)) in got.iter().zip(&want).enumerate() {
            assert!((g - w).abs() <= 1e-12 * w.abs().max(1.0), "{case:?}: gradient {i}: {g} instead of {w}");
        }
    }
}

/// `GRADUS_ISA` chooses the instruction set; the twin has no vectors.
#[test]
fn the_order_is_the_one_that_the_file_promises() {
    fn check<T: Gemm + crate::Float>(r: &mut Rng, case: Case) {
        let [x, k, _] = case.numbers::<T>(r);
        let ends = Ends::any(r, case.results(), case.filters);
        let end = ends.epilogue();
        let want = case.plainly(&x, &k, end);
        for threads in [1, 2, 3, 8] {
            let got = par::with_threads(threads, || case.forward(&x, &k, end)).unwrap();
            same(&got, &want, &|| format!("{case:?}, {threads} threads"));
        }
    }
    let r = &mut Rng(22);
    for _ in 0..30 {
        let case = Case::any(r);
        check::<f32>(r, case);
        check::<f64>(r, case);
    }
    // More than a block of K, several runs of tiles, and work for several threads.
    check::<f32>(r, Case::square(1, 5, 530, 65, 1));
    check::<f32>(r, Case::square(3, 17, 33, 70, 1));
}

#[test]
fn an_image_does_not_depend_on_its_batch() {
    let r = &mut Rng(23);
    for case in [Case::square(32, 8, 32, 40, 1), Case::square(5, 9, 33, 70, 0)] {
        let [x, k, bias] = case.numbers::<f32>(r);
        let end = Epilogue::new(Some(&bias[..]), None);
        let all = case.forward(&x, &k, end);
        for batch in [1, 5] {
            let few = Case { images: [batch, case.images[1], case.images[2], case.images[3]], ..case };
            let alone = few.forward(&x[..few.images.iter().product()], &k, end);
            same(&alone, &all[..few.results()], &|| format!("{batch} of {case:?}"));
        }
    }
}

#[test]
fn errors_are_at_most_four_times_those_of_the_product() {
    let r = &mut Rng(24);
    for case in [
        Case::square(1, 56, 64, 64, 1),
        Case::square(1, 28, 128, 128, 1),
        Case::square(1, 8, 128, 128, 1),
        Case::square(2, 13, 32, 64, 0),
    ] {
        assert!(case.with(Tiles::forward).unwrap().pay::<f32>(), "{case:?}");
        let [x, k, _] = case.numbers::<f32>(r);
        let exact = case.direct(&wide(&x), &wide(&k), Epilogue::NONE);
        let tiles = error(&case.forward(&x, &k, Epilogue::NONE), &exact);
        let product = error(&case.direct(&x, &k, Epilogue::NONE), &exact);
        assert!(tiles <= 4.0 * product, "{case:?}: {tiles:e}, and {product:e} by the product");
    }
}

#[test]
fn only_what_it_can_do_is_taken() {
    let case = Case::square(2, 8, 32, 40, 1);
    let taken = |change: &dyn Fn(&mut Window)| {
        case.with(|sizes| {
            let mut windows = [sizes.windows[0], sizes.windows[1]];
            change(&mut windows[1]);
            let sizes = Sizes { windows: &windows, ..*sizes };
            [Tiles::forward(&sizes), Tiles::input(&sizes)].map(|tiles| tiles.is_some())
        })
    };
    assert_eq!(taken(&|_| ()), [true; 2]);
    assert_eq!(taken(&|w| w.size = 2), [false; 2]);
    assert_eq!(taken(&|w| w.stride = 2), [false; 2]);
    assert_eq!(taken(&|w| w.dilation = 2), [false; 2]);
    assert_eq!(taken(&|w| w.before = 3), [true, false]);
    assert!(case.with(|sizes| Tiles::forward(&Sizes { groups: 2, ..*sizes }).is_none()));
    let pay = |size, channels, filters| {
        Case::square(1, size, channels, filters, 1).with(Tiles::forward).unwrap().pay::<f32>()
    };
    assert!(pay(8, 128, 128) && pay(14, 256, 256) && pay(28, 256, 256) && pay(32, 32, 32));
    assert!(
        !pay(14, 256, 512) && !pay(7, 512, 512) && !pay(6, 32, 32) && !pay(28, 3, 64) && !pay(28, 64, 16)
    );
}
