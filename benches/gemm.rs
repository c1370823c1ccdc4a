//! Benchmarks of matrix products, compared with those of `matrixmultiply` and the crate `gemm`.
//!
//! `cargo bench --bench gemm` measures with criterion; `cargo bench --bench gemm -- ratios [threads] [filter]` prints a table of
//! the best of interleaved runs, which says more on a machine that others use too.

#![allow(unsafe_code)] // the rivals take pointers

use criterion::{BenchmarkId, Criterion, Throughput};
use gradus::kernels::gemm::{Epilogue, Mat, MatMut, Packed, Store, View, gemm, product};
use gradus::kernels::par;
use std::hint::black_box;
use std::time::{Duration, Instant};

#[derive(Clone, Copy)]
struct Shape {
    m: usize,
    k: usize,
    n: usize,
    /// A is stored as k by m.
    at: bool,
    /// B is stored as n by k.
    bt: bool,
}

const fn nn(m: usize, k: usize, n: usize) -> Shape {
    Shape { m, k, n, at: false, bt: false }
}
const fn tn(m: usize, k: usize, n: usize) -> Shape {
    Shape { m, k, n, at: true, bt: false }
}
const fn nt(m: usize, k: usize, n: usize) -> Shape {
    Shape { m, k, n, at: false, bt: true }
}

const SHAPES: &[Shape] = &[
    nn(64, 64, 64),
    nn(128, 128, 128),
    nn(256, 256, 256),
    nn(512, 512, 512),
    nn(1024, 1024, 1024),
    nn(2048, 2048, 2048),
    nn(32, 784, 64),
    tn(784, 32, 64),
    nt(32, 64, 784),
    nn(32, 64, 64),
    tn(64, 32, 64),
    nt(32, 64, 64),
    nn(32, 64, 10),
    tn(64, 32, 10),
    nt(32, 10, 64),
    nn(128, 784, 512),
    tn(784, 128, 512),
    nt(128, 512, 784),
    nn(128, 768, 3072),
    nn(1, 768, 50257),
    nt(1, 768, 50257),
    nn(4, 768, 3072),
    nn(1, 784, 64),
    nn(1, 64, 64),
    nt(1, 784, 64),
    nn(784, 64, 1),
    nn(1024, 784, 64),
    nn(1024, 784, 10),
    nn(100, 100, 100),
    nn(1000, 1000, 1000),
];

impl Shape {
    fn name(&self) -> String {
        let Shape { m, k, n, at, bt } = *self;
        format!("{m}x{k}x{n}{}{}", if at { "_at" } else { "" }, if bt { "_bt" } else { "" })
    }
    fn a<'a, T: Copy>(&self, data: &'a [T]) -> Mat<'a, T> {
        if self.at { Mat::row_major(data, self.k, self.m).t() } else { Mat::row_major(data, self.m, self.k) }
    }
    fn b<'a, T: Copy>(&self, data: &'a [T]) -> Mat<'a, T> {
        if self.bt { Mat::row_major(data, self.n, self.k).t() } else { Mat::row_major(data, self.k, self.n) }
    }
    fn work(&self) -> f64 {
        2.0 * self.m as f64 * self.k as f64 * self.n as f64
    }
}

trait Number: gradus::kernels::gemm::Gemm {
    unsafe fn matrixmultiply(s: Shape, a: Mat<Self>, b: Mat<Self>, c: &mut [Self]);
    unsafe fn gemm_crate(s: Shape, a: Mat<Self>, b: Mat<Self>, c: &mut [Self], threads: usize);
}
macro_rules! number {
    ($t:ty, $mm:path) => {
        impl Number for $t {
            unsafe fn matrixmultiply(s: Shape, a: Mat<Self>, b: Mat<Self>, c: &mut [Self]) {
                // SAFETY: the slices hold the matrices.
                unsafe {
                    $mm(
                        s.m,
                        s.k,
                        s.n,
                        1.0,
                        a.data.as_ptr(),
                        a.rs,
                        a.cs,
                        b.data.as_ptr(),
                        b.rs,
                        b.cs,
                        0.0,
                        c.as_mut_ptr(),
                        s.n as isize,
                        1,
                    )
                }
            }
            unsafe fn gemm_crate(s: Shape, a: Mat<Self>, b: Mat<Self>, c: &mut [Self], threads: usize) {
                let par = if threads > 1 { rival_threads(threads) } else { ::gemm::Parallelism::None };
                // SAFETY: the slices hold the matrices.
                unsafe {
                    ::gemm::gemm(
                        s.m,
                        s.n,
                        s.k,
                        c.as_mut_ptr(),
                        1,
                        s.n as isize,
                        false,
                        a.data.as_ptr(),
                        a.cs,
                        a.rs,
                        b.data.as_ptr(),
                        b.cs,
                        b.rs,
                        0.0,
                        1.0,
                        false,
                        false,
                        false,
                        par,
                    )
                }
            }
        }
    };
}
number!(f32, matrixmultiply::sgemm);
number!(f64, matrixmultiply::dgemm);

fn rival_threads(_threads: usize) -> ::gemm::Parallelism {
    // The crate is built here without its rayon feature.
    ::gemm::Parallelism::None
}

/// `n` numbers that start on a cache line, as those of tensors do, after some that do not count.
fn numbers<T: Number>(n: usize) -> (Vec<T>, usize) {
    let mut all = vec![T::c(0.0); n + 64];
    let start = all.as_ptr().align_offset(64);
    for (i, x) in all[start..].iter_mut().enumerate() {
        *x = T::c((i * 7919 % 1000) as f64 / 1000.0 - 0.5);
    }
    (all, start)
}

/// One contestant: the name, and a function that computes C once.
type Run<'a> = (&'static str, Box<dyn FnMut() + 'a>);

fn with_contestants<T: Number>(s: Shape, threads: usize, f: impl FnOnce(Vec<Run>)) {
    let (a, b) = (numbers::<T>(s.m * s.k), numbers::<T>(s.k * s.n));
    let mut c = [(); 4].map(|()| numbers::<T>(s.m * s.n));
    let [c0, c1, c2, c3] = c.each_mut().map(|(c, start)| &mut c[*start..*start + s.m * s.n]);
    let (ma, mb) = (s.a(&a.0[a.1..]), s.b(&b.0[b.1..]));
    let packed = Packed::new(mb);
    let (m, n) = (s.m, s.n);
    let mut runs: Vec<Run> = vec![
        (
            "gradus",
            Box::new(move || {
                gemm(ma, mb, MatMut::row_major(black_box(&mut c0[..]), m, n), Store::Write, Epilogue::NONE)
            }),
        ),
        (
            "prepacked",
            Box::new(|| {
                product(
                    View::of(&ma),
                    View::of(&packed),
                    MatMut::row_major(black_box(&mut c1[..]), m, n),
                    Store::Write,
                    Epilogue::NONE,
                )
            }),
        ),
        // SAFETY: the slices hold the matrices.
        ("matrixmultiply", Box::new(move || unsafe { T::matrixmultiply(s, ma, mb, black_box(&mut c2[..])) })),
    ];
    if threads == 1 {
        // SAFETY: as above.
        runs.push((
            "gemm crate",
            Box::new(move || unsafe { T::gemm_crate(s, ma, mb, black_box(&mut c3[..]), threads) }),
        ));
    }
    f(runs)
}

/// Seconds of processor time of this thread, so that other work on the machine counts less; with several threads,
/// wall-clock seconds.
fn now(threads: usize) -> f64 {
    #[cfg(target_os = "linux")]
    if threads == 1 {
        #[repr(C)]
        struct Time {
            seconds: i64,
            nanoseconds: i64,
        }
        unsafe extern "C" {
            fn clock_gettime(clock: i32, time: *mut Time) -> i32;
        }
        const THREAD_CPU: i32 = 3;
        let mut time = Time { seconds: 0, nanoseconds: 0 };
        // SAFETY: a call of the C library that fills `time`.
        unsafe { clock_gettime(THREAD_CPU, &mut time) };
        return time.seconds as f64 + time.nanoseconds as f64 * 1e-9;
    }
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let _ = threads;
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

fn ratios<T: Number>(threads: usize, filter: &str) {
    println!(
        "{:<18}{:>12}{:>12}{:>16}{:>12}{:>10}{:>9}{:>9}",
        "shape", "gradus µs", "prepacked", "matrixmultiply", "gemm crate", "GFLOP/s", "of best", "quarter"
    );
    for s in SHAPES.iter().filter(|s| s.name().contains(filter)) {
        with_contestants::<T>(*s, threads, |mut runs| {
            let mut best = vec![f64::MAX; runs.len()];
            let mut all = vec![Vec::new(); runs.len()];
            let started = Instant::now();
            let budget = Duration::from_millis(if s.work() > 1e9 { 4000 } else { 1200 });
            let mut round = 0;
            while started.elapsed() < budget || round < 3 {
                for (i, (_, run)) in runs.iter_mut().enumerate() {
                    let calls = (1e6 / s.work()).clamp(1.0, 200.0) as u32;
                    run();
                    let t = now(threads);
                    (0..calls).for_each(|_| run());
                    all[i].push((now(threads) - t) / f64::from(calls));
                    best[i] = best[i].min(all[i][round]);
                }
                round += 1;
            }
            let rival = best[2..].iter().copied().fold(f64::MAX, f64::min);
            print!("{:<18}", s.name());
            for (i, t) in best.iter().enumerate() {
                print!("{:>w$.2}", t * 1e6, w = [12, 12, 16, 12][i]);
            }
            if best.len() < 4 {
                print!("{:>12}", "-");
            }
            let usual = |times: &mut Vec<f64>| {
                times.sort_by(f64::total_cmp);
                times[times.len() / 4]
            };
            let usual: Vec<f64> = all.iter_mut().map(usual).collect();
            let quarter = usual[0] / usual[2..].iter().copied().fold(f64::MAX, f64::min);
            println!("{:>10.1}{:>9.3}{quarter:>9.3}", s.work() / best[0] / 1e9, best[0] / rival);
        });
    }
}

fn criterion_all(c: &mut Criterion) {
    for s in SHAPES.iter().filter(|s| s.work() < 3e9) {
        let mut group = c.benchmark_group(s.name());
        group.throughput(Throughput::Elements(s.work() as u64));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(300));
        with_contestants::<f32>(*s, 1, |runs| {
            for (name, mut run) in runs {
                group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(&mut run));
            }
        });
        group.finish();
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if args.first().is_some_and(|a| a.starts_with("ratios")) {
        let threads = args.get(1).and_then(|t| t.parse().ok()).unwrap_or(1);
        let filter = args.get(2).map_or("", String::as_str);
        let double = args[0] == "ratios64";
        let run = || if double { ratios::<f64>(threads, filter) } else { ratios::<f32>(threads, filter) };
        return par::with_threads(threads, run).expect("threads start");
    }
    par::with_threads(1, || {
        let mut criterion = Criterion::default().without_plots().configure_from_args();
        criterion_all(&mut criterion);
        criterion.final_summary();
    })
    .expect("one thread");
}
