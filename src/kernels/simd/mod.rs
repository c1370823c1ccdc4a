//! Why it exists: one kernel source, compiled once per instruction set and chosen at run time. Results never
//! depend on the choice: kernels are made of operations that round alike everywhere, in an order fixed by shapes.

use std::sync::OnceLock;

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Isa {
    /// What the target guarantees.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, DQ, VL.
    Avx512,
}

impl Isa {
    /// The name that `GRADUS_ISA` takes.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    /// Every instruction set this processor has, slowest first.
    pub fn available() -> &'static [Isa] {
        static SETS: OnceLock<Vec<Isa>> = OnceLock::new();
        SETS.get_or_init(|| {
            #[allow(unused_mut)]
            let mut sets = vec![Isa::Portable];
            #[cfg(target_arch = "x86_64")]
            {
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
            sets
        })
    }
}

/// The instruction set in use: the best available, or the one that `GRADUS_ISA` names if the processor has it.
/// Read once per process.
pub fn isa() -> Isa {
    static CHOSEN: OnceLock<Isa> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let sets = Isa::available();
        let forced = std::env::var("GRADUS_ISA").ok();
        let named = forced.and_then(|name| sets.iter().copied().find(|s| s.name() == name));
        named.unwrap_or(sets[sets.len() - 1])
    })
}

/// Defines a function whose body is compiled for every [`Isa`] and dispatched at run time.
///
/// The body must be reachable by inlining alone (`#[inline(always)]` helpers, loops over slices); a call that is
/// not inlined runs as portable code: slower, never different.
macro_rules! stamped {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$($g:ident : $b:path),+>)? ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(unsafe_code, clippy::too_many_arguments)]
        $vis fn $name $(<$($g: $b),+>)? ($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body $(<$($g: $b),+>)? ($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512 $(<$($g: $b),+>)? ($($arg: $ty),*) $(-> $ret)? { body $(::<$($g),+>)? ($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2 $(<$($g: $b),+>)? ($($arg: $ty),*) $(-> $ret)? { body $(::<$($g),+>)? ($($arg),*) }
                match $crate::kernels::simd::isa() {
                    // SAFETY: `isa` only names instruction sets that this processor has.
                    $crate::kernels::simd::Isa::Avx512 => return unsafe { avx512 $(::<$($g),+>)? ($($arg),*) },
                    // SAFETY: as above.
                    $crate::kernels::simd::Isa::Avx2 => return unsafe { avx2 $(::<$($g),+>)? ($($arg),*) },
                    $crate::kernels::simd::Isa::Portable => {}
                }
            }
            body $(::<$($g),+>)? ($($arg),*)
        }
    };
}
pub(crate) use stamped;
