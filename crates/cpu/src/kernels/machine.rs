//! The one instruction that makes `fast` fast, where there is one: multiply sixteen bytes by
//! sixteen bytes and add up four neighbours each.
//!
//! | where | instruction |
//! |---|---|
//! | WebAssembly with relaxed SIMD (feature `relaxed-simd`) | `i32x4.relaxed_dot_i8x16_i7x16_add_s` |
//! | x86-64 with AVX2, found at run time | `vpmaddubsw`, `vpmaddwd`, `vpaddd` |
//! | elsewhere | none: kernels multiply pairs of 16-bit numbers |
//!
//! Relaxed SIMD lets engines differ on a second factor beyond 0..=127; within, all give the exact
//! sum, and so does x86: `2 · 128 · 127` still is a 16-bit number.

use wide::{i32x4, u32x4};

pub(crate) use imp::Machine;

/// What multiplies here, for people to read.
pub fn simd() -> &'static str {
    match Machine::detect() {
        Some(_) => imp::NAME,
        None => "SIMD",
    }
}

impl Machine {
    /// `sums + Σ bytes · small`, each sum over the four bytes of its lane. The numbers in `bytes`
    /// are signed, those in `small` in 0..=127.
    #[inline(always)]
    pub(crate) fn dot(self, bytes: u32x4, small: u32x4, sums: i32x4) -> i32x4 {
        imp::dot(self, bytes, small, sums)
    }
}

#[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
mod imp {
    use std::arch::wasm32::i32x4_relaxed_dot_i8x16_i7x16_add;

    use bytemuck::cast;
    use wide::{i32x4, u32x4};

    pub const NAME: &str = "Relaxed SIMD";

    /// Multiplies bytes.
    #[derive(Clone, Copy, Debug)]
    pub struct Machine;

    impl Machine {
        /// A browser without relaxed SIMD refuses the whole module, so whoever runs it has it.
        pub fn detect() -> Option<Self> {
            Some(Self)
        }
    }

    #[inline(always)]
    pub fn dot(_: Machine, bytes: u32x4, small: u32x4, sums: i32x4) -> i32x4 {
        cast(i32x4_relaxed_dot_i8x16_i7x16_add(
            cast(bytes),
            cast(small),
            cast(sums),
        ))
    }
}

#[cfg(target_arch = "x86_64")]
mod imp {
    use std::arch::x86_64::{_mm_add_epi32, _mm_madd_epi16, _mm_maddubs_epi16, _mm_set1_epi16};

    use bytemuck::cast;
    use wide::{i32x4, u32x4};

    pub const NAME: &str = "AVX2";

    /// Multiplies bytes. There is one only where AVX2 was found.
    #[derive(Clone, Copy, Debug)]
    pub struct Machine(());

    impl Machine {
        /// If this machine can.
        pub fn detect() -> Option<Self> {
            is_x86_feature_detected!("avx2").then_some(Self(()))
        }
    }

    #[inline(always)]
    pub fn dot(_: Machine, bytes: u32x4, small: u32x4, sums: i32x4) -> i32x4 {
        // SAFETY: a `Machine` is only made where AVX2 was found, and AVX2 includes these.
        unsafe {
            let pairs = _mm_maddubs_epi16(cast(small), cast(bytes));
            let fours = _mm_madd_epi16(pairs, _mm_set1_epi16(1));
            cast(_mm_add_epi32(cast(sums), fours))
        }
    }
}

#[cfg(not(any(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_arch = "x86_64"
)))]
mod imp {
    use wide::{i32x4, u32x4};

    pub const NAME: &str = "SIMD";

    /// There is none here.
    #[derive(Clone, Copy, Debug)]
    pub enum Machine {}

    impl Machine {
        /// None.
        pub fn detect() -> Option<Self> {
            None
        }
    }

    pub fn dot(machine: Machine, _: u32x4, _: u32x4, _: i32x4) -> i32x4 {
        match machine {}
    }
}
