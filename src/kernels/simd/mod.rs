//! Instruction sets: one kernel source is compiled once for each, and one is chosen at run time ([`isa`]). Results
//! do not depend on the choice: kernels are made of operations that round alike everywhere, in an order fixed by
//! shapes. The exception is [`Isa::NoFma`], whose matrix products and elementary functions have bits of their own.

#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64;
pub(crate) mod portable;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

use std::sync::OnceLock;

/// The vector instructions for kernels that are written with their own register layout: one implementation per
/// instruction set and element type. Everything here is inlined into a function with the set's `#[target_feature]`;
/// nothing here has the attribute itself.
///
/// # Safety
/// Every function may be called only on a processor that has the instruction set, and every pointer must be
/// valid for the elements that the function names. Pointers need no alignment beyond that of `T`.
#[allow(clippy::missing_safety_doc)] // said once, above
pub(crate) trait Simd<T: Copy>: Copy + 'static {
    /// A vector of `LANES` elements.
    type Reg: Copy;
    /// Vectors of half as many lanes for work on few of them, if the same processors have such.
    type Half: Simd<T>;
    /// `LANES` vectors.
    type Block: AsRef<[Self::Reg]>;
    /// Elements in a vector.
    const LANES: usize;

    /// Prefetches the cache line at `p`, which need not be valid.
    #[inline(always)]
    unsafe fn prefetch(_p: *const T) {}
    /// The same into L2 only, for what is needed later.
    #[inline(always)]
    unsafe fn prefetch_far(_p: *const T) {}
    /// All lanes zero.
    unsafe fn zero() -> Self::Reg;
    /// All lanes `x`.
    unsafe fn splat(x: T) -> Self::Reg;
    /// `LANES` elements from `p`.
    unsafe fn load(p: *const T) -> Self::Reg;
    /// The first `n` lanes from `p`, `1 <= n <= LANES`; the others are zero and their memory is not touched.
    unsafe fn load_part(p: *const T, n: usize) -> Self::Reg;
    /// `LANES` elements to `p`.
    unsafe fn store(p: *mut T, v: Self::Reg);
    /// The first `n` lanes to `p`, `1 <= n <= LANES`.
    unsafe fn store_part(p: *mut T, v: Self::Reg, n: usize);
    /// `a + b`.
    unsafe fn add(a: Self::Reg, b: Self::Reg) -> Self::Reg;
    /// `a * b + c`, rounded once.
    unsafe fn fma(a: Self::Reg, b: Self::Reg, c: Self::Reg) -> Self::Reg;
    /// `Real::maximum(v, 0)`: NaN stays NaN, and both zeros become +0.
    unsafe fn relu(v: Self::Reg) -> Self::Reg;
    /// Reads `LANES` elements from each of `p`, `p + stride`, … (`LANES` runs); vector `t` gets the elements `t` of
    /// all runs. For runs from number `runs` on (`runs >= 1`), the memory is not touched and the lanes hold
    /// anything.
    unsafe fn load_transposed(p: *const T, stride: isize, runs: usize) -> Self::Block;
}

/// Whether no processor of the target is known to have fused multiply-adds: [`Isa::NoFma`] is then all there is.
pub(crate) const ALWAYS_APART: bool = !cfg!(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "loongarch64",
    target_arch = "powerpc64",
    target_arch = "riscv64",
    target_arch = "s390x"
));

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Isa {
    /// What the target guarantees. On x86-64 that includes no fused multiply-add: each is a call, exact and slow.
    Portable,
    /// The same, with multiplications and additions that round separately: many times faster where there is no
    /// fused instruction, but with other bits. Used on x86 processors from before 2013, wasm32 and other targets
    /// without the instruction.
    NoFma,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, DQ, VL.
    Avx512,
    /// What every 64-bit ARM has.
    Neon,
}

impl Isa {
    /// Returns the name for `GRADUS_ISA`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::NoFma => "nofma",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Neon => "neon",
        }
    }

    /// Returns whether results have the bits that all processors with a fused multiply-add give.
    pub fn is_fused(self) -> bool {
        self != Isa::NoFma
    }

    /// Returns every instruction set this processor has, the best one last.
    pub fn available() -> &'static [Isa] {
        static SETS: OnceLock<Vec<Isa>> = OnceLock::new();
        SETS.get_or_init(|| {
            #[allow(unused_mut)]
            let mut sets = vec![if ALWAYS_APART { Isa::NoFma } else { Isa::Portable }];
            #[cfg(target_arch = "x86_64")]
            {
                sets.push(Isa::NoFma);
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    sets.push(Isa::Avx2);
                    let wide = is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512bw")
                        && is_x86_feature_detected!("avx512dq")
                        && is_x86_feature_detected!("avx512vl");
                    if wide {
                        sets.push(Isa::Avx512);
                    }
                }
            }
            #[cfg(target_arch = "aarch64")]
            sets.push(Isa::Neon);
            sets
        })
    }
}

/// Returns the instruction set in use: the best available, or the one that `GRADUS_ISA` names if the processor has
/// it. The variable is read once per process.
pub fn isa() -> Isa {
    static CHOSEN: OnceLock<Isa> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let sets = Isa::available();
        let forced = std::env::var("GRADUS_ISA").ok();
        let named = forced.and_then(|name| sets.iter().copied().find(|s| s.name() == name));
        named.unwrap_or(sets[sets.len() - 1])
    })
}

/// Asks the system for large pages for memory that will be read in order again and again: a run of prefetches ends with
/// its page, and small pages cost an address translation each. Changes nothing else.
pub(crate) fn large_pages<T>(run: &[T]) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let (start, bytes) = (run.as_ptr().cast::<u8>(), size_of_val(run));
        let skip = start.align_offset(PAGE);
        if bytes >= 4 << 20 && skip < PAGE {
            let start = start.wrapping_add(skip).cast_mut().cast();
            // SAFETY: the pages are ours, and advice about their size changes no contents. An error means that it was
            // not taken.
            unsafe { libc::madvise(start, (bytes - skip) / PAGE * PAGE, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = run;
}

/// Prefetches a run that will be read soon, for reads whose addresses the hardware cannot predict. Changes nothing
/// else.
#[inline]
pub(crate) fn fetch<T>(run: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        let start = run.as_ptr().cast::<i8>();
        for line in (0..size_of_val(run)).step_by(64) {
            // SAFETY: a prefetch reads nothing, and every x86-64 processor has it.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(start.wrapping_add(line)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = run;
}

/// Defines a function whose body is compiled for every [`Isa`] and dispatched at run time.
///
/// The body must be reachable by inlining alone (`#[inline(always)]` helpers, loops over slices); a call that is
/// not inlined runs as portable code, which is slower but never different.
///
/// With `[R: T]` after its generics, a function has a type `R`, a [`Lane`](crate::kernels::math::Lane), to compute
/// elementary functions of `T` with: `T` itself, except for [`Isa::NoFma`] and, on x86-64, [`Isa::Portable`].
macro_rules! stamped {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$($g:ident : $b:path),+>)? ($($args:tt)*) $(-> $ret:ty)? $body:block) => {
        $crate::kernels::simd::stamped! {
            @ [$(#[$meta])* $vis] $name [$($($g : $b,)+)?] [$($($g,)+)?] [] [] [] [] ($($args)*) [$(-> $ret)?] $body
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$($g:ident : $b:path),+>)? [$r:ident : $t:ident] ($($args:tt)*) $(-> $ret:ty)? $body:block) => {
        $crate::kernels::simd::stamped! {
            @ [$(#[$meta])* $vis] $name [$($($g : $b,)+)?] [$($($g,)+)?] [$r: $crate::kernels::math::Lane<$t>] [$t]
                [<$t as $crate::kernels::math::Lanes>::Apart] [<$t as $crate::kernels::math::Lanes>::Called]
                ($($args)*) [$(-> $ret)?] $body
        }
    };
    (@ [$(#[$meta:meta])* $vis:vis] $name:ident [$($generics:tt)*] [$($names:tt)*] [$($lane:tt)*] [$($own:tt)*] [$($apart:tt)*] [$($called:tt)*]
        ($($arg:ident : $ty:ty),* $(,)?) [$($ret:tt)*] $body:block) => {
        $(#[$meta])*
        #[allow(unsafe_code, clippy::too_many_arguments)]
        #[inline(never)]
        $vis fn $name<$($generics)*>($($arg: $ty),*) $($ret)* {
            #[inline(always)]
            fn body<$($generics)* $($lane)*>($($arg: $ty),*) $($ret)* $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512<$($generics)*>($($arg: $ty),*) $($ret)* { body::<$($names)* $($own)*>($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2<$($generics)*>($($arg: $ty),*) $($ret)* { body::<$($names)* $($own)*>($($arg),*) }
                match $crate::kernels::simd::isa() {
                    // SAFETY: `isa` only names instruction sets that this processor has.
                    $crate::kernels::simd::Isa::Avx512 => unsafe { avx512::<$($names)*>($($arg),*) },
                    // SAFETY: as above.
                    $crate::kernels::simd::Isa::Avx2 => unsafe { avx2::<$($names)*>($($arg),*) },
                    _ => body::<$($names)* $($called)*>($($arg),*),
                }
            }
            #[cfg(not(target_arch = "x86_64"))]
            if $crate::kernels::simd::ALWAYS_APART {
                body::<$($names)* $($apart)*>($($arg),*)
            } else {
                body::<$($names)* $($own)*>($($arg),*)
            }
        }
    };
}
pub(crate) use stamped;
