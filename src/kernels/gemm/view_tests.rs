//! Tests that the product of operands of any kind has the bits of the product of the matrices they stand for, which
//! are made here element by element: on both sides, transposed, in blocks, on every instruction set, on any number
//! of threads.

use super::*;
use crate::Float;
use crate::dtype::{bf16, f16};
use crate::kernels::par::with_threads;
use crate::kernels::testing::{Ends, Rng, same, sets, sets_for_large};

/// An operand and the elements it stands for, in row-major order. What it borrows is leaked, which is fine in
/// tests.
struct Case<T: 'static> {
    operand: Box<dyn Operand<T>>,
    dense: Vec<T>,
    what: String,
}

impl<T: Gemm + Float> Case<T> {
    fn new(operand: impl Operand<T> + 'static, dense: Vec<T>, what: String) -> Case<T> {
        assert_eq!(dense.len(), operand.rows() * operand.cols(), "{what}");
        Case { operand: Box::new(operand), dense, what }
    }

    fn view(&self, transposed: bool) -> View<'_, T> {
        let view = View::of(&*self.operand);
        if transposed { view.t() } else { view }
    }

    fn mat(&self, transposed: bool) -> Mat<'_, T> {
        let mat = Mat::row_major(&self.dense, self.operand.rows(), self.operand.cols());
        if transposed { mat.t() } else { mat }
    }
}

/// Makes `rows` by `cols` numbers of a type that has a strided operand, in one of its layouts, and their values in
/// `T`.
fn strided<S: Copy + Default + 'static, T>(
    r: &mut Rng,
    (rows, cols): (usize, usize),
    mut any: impl FnMut(&mut Rng) -> S,
    wide: impl Fn(usize, S) -> T,
) -> (Mat<'static, S>, Vec<T>) {
    let pad = [0, 0, 3][r.below(3)];
    let (rs, cs) = if r.below(3) > 0 { (cols + pad, 1) } else { (1, rows + pad) };
    let skip = r.below(3);
    let values: Vec<S> = (0..skip + (rows + pad) * (cols + pad)).map(|_| any(r)).collect();
    let mat = Mat { data: &*values.leak(), offset: skip, rows, cols, rs: rs as isize, cs: cs as isize };
    let dense = (0..rows * cols).map(|i| wide(i % cols, mat.at(i / cols, i % cols))).collect();
    (mat, dense)
}

fn number<T: Float>(r: &mut Rng) -> T {
    T::of(r.below(2_000_001) as f64 / 1e6 - 1.0)
}

/// Makes a matrix in memory, or packed for either side.
fn plain<T: Gemm + Float>(r: &mut Rng, isa: Isa, size: (usize, usize)) -> Case<T> {
    let (mat, dense) = strided(r, size, number::<T>, |_, x| x);
    match r.below(4) {
        0 => Case::new(Packed::new_on(isa, mat), dense, format!("packed {size:?}")),
        1 => Case::new(Packed::left_on(isa, mat), dense, format!("packed for the left {size:?}")),
        _ => Case::new(mat, dense, format!("strided {size:?}")),
    }
}

/// Makes a matrix in fewer bits.
fn narrow(r: &mut Rng, size: (usize, usize)) -> Case<f32> {
    let cols = size.1;
    match r.below(3) {
        0 => {
            let (mat, dense) = strided(r, size, |r| bf16::from_f32(number(r)), |_, x| x.to_f32());
            Case::new(mat, dense, format!("bf16 {size:?}"))
        }
        1 => {
            let (mat, dense) = strided(r, size, |r| f16::from_f32(number(r)), |_, x| x.to_f32());
            Case::new(mat, dense, format!("f16 {size:?}"))
        }
        _ => {
            let scales: &[f32] = (0..cols).map(|_| number(r)).collect::<Vec<f32>>().leak();
            let zeros: &[i8] = (0..cols).map(|_| r.below(256) as u8 as i8).collect::<Vec<_>>().leak();
            let zeros = (r.below(2) == 0).then_some(zeros);
            let zero = |j: usize| zeros.map_or(0.0, |z| f64::from(z[j]));
            let value = |j: usize, q: i8| (f64::from(scales[j]) * (f64::from(q) - zero(j))) as f32;
            let (mat, dense) = strided(r, size, |r| r.below(256) as u8 as i8, value);
            let quantized = Quantized::new(mat, scales, zeros).unwrap();
            Case::new(quantized, dense, format!("int8 {size:?}, zero points {}", zeros.is_some()))
        }
    }
}

/// Makes patches of images with one to three spatial axes. The reference pads the images first and then looks at
/// every tap of every place.
fn patches<T: Gemm + Float>(r: &mut Rng, most: usize, channels: usize) -> Case<T> {
    let rank = 1 + r.below(3);
    let mut axes = [(1, Window::new(1)); 3];
    for (size, w) in &mut axes[3 - rank..] {
        let some = |r: &mut Rng, n: usize| 1 + r.below(n);
        *w = Window {
            size: some(r, 3),
            stride: some(r, 3),
            dilation: some(r, 2),
            before: r.below(4),
            after: r.below(4),
        };
        let least = ((w.size - 1) * w.dilation + 1).saturating_sub(w.before + w.after);
        *size = least + r.below(most);
    }
    let (batch, first) = (r.below(4), r.below(channels));
    let used = if r.below(2) == 0 { channels - first } else { r.below(channels - first) + 1 };
    let sizes = axes.map(|(size, _)| size);
    let windows = axes.map(|(_, window)| window);
    let pixels = batch * sizes.iter().product::<usize>();
    let data: &[T] = (0..pixels * channels).map(|_| number(r)).collect::<Vec<T>>().leak();

    let padded: [usize; 3] = std::array::from_fn(|i| sizes[i] + windows[i].before + windows[i].after);
    let mut dense = Vec::new();
    for image in 0..batch {
        let mut image_padded = vec![T::of(0.0); padded.iter().product::<usize>() * channels];
        for (i, pixel) in data.chunks(channels).skip(image * pixels / batch).take(pixels / batch).enumerate()
        {
            let at = [i / sizes[2] / sizes[1], i / sizes[2] % sizes[1], i % sizes[2]];
            let at: [usize; 3] = std::array::from_fn(|axis| at[axis] + windows[axis].before);
            let flat = (at[0] * padded[1] + at[1]) * padded[2] + at[2];
            image_padded[flat * channels..][..channels].copy_from_slice(pixel);
        }
        let starts = |axis: usize| {
            let (w, n) = (windows[axis], padded[axis]);
            (0..n).step_by(w.stride).filter(move |start| start + (w.size - 1) * w.dilation < n)
        };
        let taps = |axis: usize| (0..windows[axis].size).map(move |t| t * windows[axis].dilation);
        for (x, y, z) in
            starts(0).flat_map(|x| starts(1).flat_map(move |y| starts(2).map(move |z| (x, y, z))))
        {
            for (i, j, l) in taps(0).flat_map(|i| taps(1).flat_map(move |j| taps(2).map(move |l| (i, j, l))))
            {
                let flat = ((x + i) * padded[1] + y + j) * padded[2] + z + l;
                dense.extend(&image_padded[flat * channels + first..][..used]);
            }
        }
    }
    let all = Patches::new(data, batch, &sizes[3 - rank..], channels, &windows[3 - rank..]).unwrap();
    let what =
        format!("patches of {batch} of {:?} by {first}+{used}/{channels}, {windows:?}", &sizes[3 - rank..]);
    Case::new(all.channels(first, used).unwrap(), dense, what)
}

/// Compares a product, on every given instruction set and number of threads, with [`naive`].
fn compare<T: Gemm + Float>(
    r: &mut Rng,
    isa: Isa,
    threads: &[usize],
    (a, ta): (&Case<T>, bool),
    (b, tb): (&Case<T>, bool),
) {
    let (ma, mb) = (a.mat(ta), b.mat(tb));
    let (m, n) = (ma.rows, mb.cols);
    let ld = n + [0, 2][r.below(2)];
    let before: Vec<T> = r.vec(m * ld);
    let store = [Store::Write, Store::Add][r.below(2)];
    let ends = Ends::any(r, m * ld, n);
    let epilogue = ends.epilogue();
    let mut want = before.clone();
    naive::gemm_on(isa, ma, mb, MatMut { data: &mut want, rows: m, cols: n, ld }, store, epilogue);
    for &threads in threads {
        let mut got = before.clone();
        let c = MatMut { data: &mut got, rows: m, cols: n, ld };
        with_threads(threads, || product_on(isa, a.view(ta), b.view(tb), c, store, epilogue)).unwrap();
        let what = || format!("{}, {threads} threads: {} {ta} by {} {tb}", isa.name(), a.what, b.what);
        same(&got, &want, &what);
    }
}

/// Makes anything that may be on the right of `k` rows or the left of `k` columns.
fn any<T: Gemm + Float>(r: &mut Rng, isa: Isa, size: (usize, usize), narrow: Narrow<T>) -> (Case<T>, bool) {
    let transposed = r.below(3) == 0;
    let size = if transposed { (size.1, size.0) } else { size };
    match narrow {
        Some(narrow) if r.below(2) == 0 => (narrow(r, size), transposed),
        _ => (plain(r, isa, size), transposed),
    }
}

/// How matrices in fewer bits are made, for types that have them.
type Narrow<T> = Option<fn(&mut Rng, (usize, usize)) -> Case<T>>;

fn random_pairs<T: Gemm + Float>(seed: u64, with: Narrow<T>) {
    let mut r = Rng(seed);
    for isa in sets() {
        for case in 0..220 {
            let (m, n) = ([1, 1 + r.below(9), r.below(70)][r.below(3)], [1, r.below(90)][r.below(2)]);
            let k = if case % 20 == 0 { T::KC - 3 + r.below(2 * T::KC + 9) } else { r.below(50) };
            let (a, ta) = any(&mut r, isa, (m, k), with);
            let (b, tb) = any(&mut r, isa, (k, n), with);
            compare(&mut r, isa, &[1], (&a, ta), (&b, tb));
        }
        for case in 0..120 {
            let (most, channels) = if case % 20 == 0 { (5, 70) } else { (5, 1 + r.below(9)) };
            let images = patches::<T>(&mut r, most, channels);
            let n = [1, r.below(40)][r.below(2)];
            // Forward, the kernel's gradient, and on the right.
            let (rows, cols) = (images.operand.rows(), images.operand.cols());
            let (b, tb) = any(&mut r, isa, (cols, n), with);
            compare(&mut r, isa, &[1], (&images, false), (&b, tb));
            let (b, tb) = any(&mut r, isa, (rows, n), with);
            compare(&mut r, isa, &[1], (&images, true), (&b, tb));
            let (a, ta) = any(&mut r, isa, (n, rows), with);
            compare(&mut r, isa, &[1], (&a, ta), (&images, false));
        }
    }
}

#[test]
fn operands_are_the_matrices_that_they_stand_for() {
    random_pairs::<f32>(1, Some(narrow));
    random_pairs::<f64>(2, None);
}

/// Large enough to be divided between threads, and for every loop around the tiles to run more than once.
#[test]
fn large_operands_on_several_threads() {
    let mut r = Rng(3);
    for isa in sets_for_large() {
        large(&mut r, isa);
    }
}

fn large(r: &mut Rng, isa: Isa) {
    for (m, k, n) in
        [(310, 520, 140), (300, 520, 40), (20, 1030, 560), (300, 30, 530), (1, 700, 3100), (2900, 800, 1)]
    {
        for _ in 0..4 {
            let (a, ta) = any(r, isa, (m, k), Some(narrow));
            let (b, tb) = any(r, isa, (k, n), Some(narrow));
            compare(r, isa, &[1, 2, 3, 8], (&a, ta), (&b, tb));
            let (a, ta) = any::<f64>(r, isa, (m, k), None);
            let (b, tb) = any(r, isa, (k, n), None);
            compare(r, isa, &[2, 3], (&a, ta), (&b, tb));
        }
    }
    for _ in 0..6 {
        let images = patches::<f32>(r, 16, 64);
        let (rows, cols) = (images.operand.rows(), images.operand.cols());
        let (b, tb) = any(r, isa, (cols, 70), Some(narrow));
        compare(r, isa, &[1, 2, 3, 8], (&images, false), (&b, tb));
        let (b, tb) = any(r, isa, (rows, 70), Some(narrow));
        compare(r, isa, &[1, 2, 3, 8], (&images, true), (&b, tb));
    }
}

/// A product of blocks is the block of the product's operands.
#[test]
fn blocks_of_views() {
    let mut r = Rng(4);
    for _ in 0..300 {
        let size = (1 + r.below(30), 1 + r.below(30));
        let case = match r.below(3) {
            0 => patches(&mut r, 3, 4),
            1 => narrow(&mut r, size),
            _ => plain::<f32>(&mut r, isa(), size),
        };
        let transposed = r.below(2) == 0;
        let (view, mat) = (case.view(transposed), case.mat(transposed));
        let (i, j) = (r.below(view.rows() + 1), r.below(view.cols() + 1));
        let (rows, cols) = (r.below(view.rows() - i + 1), r.below(view.cols() - j + 1));
        let flip = r.below(2) == 0;
        let block = view.block(i, j, rows, cols);
        let (block, other) = if flip { (block.t(), (cols, rows)) } else { (block, (rows, cols)) };
        assert_eq!((block.rows(), block.cols()), other);
        // Multiplied with one, an operand is itself.
        let one: Vec<f32> = (0..other.1 * other.1).map(|i| f32::from(i % (other.1 + 1) == 0)).collect();
        let one = Mat::row_major(&one, other.1, other.1);
        let mut got = vec![7.0; other.0 * other.1];
        let c = MatMut::row_major(&mut got, other.0, other.1);
        product(block, View::of(&one), c, Store::Write, Epilogue::NONE);
        for (at, &x) in got.iter().enumerate() {
            let (p, q) = (at / other.1, at % other.1);
            let (p, q) = if flip { (q, p) } else { (p, q) };
            assert_eq!(x, mat.at(i + p, j + q), "{} {transposed} {i} {j} {rows} {cols} {flip}", case.what);
        }
    }
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    let data = [0.0f32; 24];
    let fits = Window { size: 3, stride: 2, dilation: 2, before: 1, after: 1 };
    assert_eq!(fits.places(4).unwrap(), 1);
    assert_eq!(Patches::new(&data, 2, &[4], 3, &[fits]).unwrap().rows(), 2);
    let refused = |batch: usize, sizes: &[usize], channels: usize, windows: &[Window]| {
        Patches::new(&data, batch, sizes, channels, windows).unwrap_err().to_string()
    };
    let most = usize::MAX;
    let messages = [
        refused(1, &[4], 1, &[Window { size: 0, ..fits }]),
        refused(1, &[4], 1, &[Window { stride: 0, ..fits }]),
        refused(1, &[4], 1, &[Window { dilation: 0, ..fits }]),
        refused(1, &[2], 1, &[fits]),
        refused(1, &[4], 1, &[Window { size: most, dilation: 3, ..fits }]),
        refused(1, &[4], 1, &[Window { before: most, ..fits }]),
        refused(1, &[4, 4], 1, &[fits]),
        refused(1, &[4; 4], 1, &[fits; 4]),
        refused(1, &[], 1, &[]),
        refused(3, &[4], 3, &[fits]),
        refused(most, &[4], 3, &[fits]),
        refused(1, &[4], most, &[fits]),
        refused(1, &[4, 4], 1, &[Window { before: most / 2, after: most / 2, ..fits }; 2]),
    ];
    for message in messages {
        assert!(message.contains("window") || message.contains("patches"), "{message}");
    }
    let patches = Patches::new(&data, 2, &[4], 3, &[fits]).unwrap();
    assert!(
        patches.channels(2, 2).is_err() && patches.channels(4, 0).is_err() && patches.channels(3, 0).is_ok()
    );
    assert!(patches.channels(1, 2).unwrap().channels(1, 2).is_err());
    let q = Mat::row_major(&[0i8; 6], 2, 3);
    assert!(
        Quantized::new(q, &[1.0; 2], None).is_err() && Quantized::new(q, &[1.0; 3], Some(&[0; 4])).is_err()
    );
}

#[test]
#[should_panic(expected = "lies where it says")]
fn an_operand_that_lies_is_found_out() {
    struct Liar;
    impl Operand<f32> for Liar {
        fn rows(&self) -> usize {
            3
        }
        fn cols(&self) -> usize {
            3
        }
        fn read(&self, _: usize, _: usize, out: &mut [f32]) {
            out.fill(1.0);
        }
        fn in_place(&self) -> Option<Mat<'_, f32>> {
            Some(Mat::row_major(&[1.0; 4], 2, 2))
        }
    }
    let mut c = [0.0f32; 9];
    let c = MatMut::row_major(&mut c, 3, 3);
    product(View::of(&Liar), View::of(&Liar), c, Store::Write, Epilogue::NONE);
}
