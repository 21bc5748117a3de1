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
//! sum, and so does x86: `2 · 128 · 127` still is a 16-bit number. What a machine makes of more is found
//! out by asking it ([`Second`]).

use std::hint::black_box;

use wide::{i32x4, u32x4};

/// Multiplies bytes. There is one only where the instruction was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    found: imp::Found,
    second: Second,
}

/// What the second factors of a [`Machine`] may be. Engines may choose what relaxed SIMD leaves open, but
/// must choose the same every time, so one answer holds for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Second {
    /// 0..=127.
    Seven,
    /// 0..=255, with exact sums.
    Whole,
    /// 0..=255, and the sums of two neighbours stay at the limits of 16 bits, as intgemm's do.
    Saturating,
}

impl Second {
    fn of(found: imp::Found) -> Self {
        let dot = |bytes: [i8; 4], small: u8| {
            let bytes = u32::from_le_bytes(bytes.map(i8::cast_unsigned));
            let small = u32::from_le_bytes([small; 4]);
            // The machine is to be asked, not whoever compiles.
            let [bytes, small] = [bytes, small].map(|word| black_box(u32x4::splat(word)));
            imp::dot(found, bytes, small, i32x4::ZERO).to_array()
        };
        let most = [[127; 4], [-128; 4], [127, 127, -127, -127]].map(|bytes| dot(bytes, 254));
        let all = |sums: [i32; 3]| most == sums.map(|sum| [sum; 4]);
        if all([4 * 127 * 254, 4 * -128 * 254, 0]) {
            Self::Whole
        } else if all([2 * 32_767, 2 * -32_768, -1]) {
            Self::Saturating
        } else {
            Self::Seven
        }
    }
}

/// What multiplies here, for people to read.
pub fn simd() -> &'static str {
    match Machine::detect() {
        Some(_) => imp::NAME,
        None => "SIMD",
    }
}

impl Machine {
    /// If this machine can.
    pub(crate) fn detect() -> Option<Self> {
        let found = imp::detect()?;
        let second = Second::of(found);
        Some(Self { found, second })
    }

    /// What [`Self::dot`] takes.
    pub(crate) fn second(self) -> Second {
        self.second
    }

    /// Whether it takes bytes of 0..=255 and adds exactly.
    #[inline]
    pub(crate) fn is_whole(self) -> bool {
        self.second == Second::Whole
    }

    /// The same machine, of which no more is asked than all can.
    #[cfg(test)]
    pub(crate) fn of_seven_bits(self) -> Self {
        let second = Second::Seven;
        Self { second, ..self }
    }

    /// `sums + Σ bytes · small`, each sum over the four bytes of its lane. The numbers in `bytes`
    /// are signed, those in `small` as [`Self::second`] says.
    #[inline(always)]
    pub(crate) fn dot(self, bytes: u32x4, small: u32x4, sums: i32x4) -> i32x4 {
        imp::dot(self.found, bytes, small, sums)
    }
}

#[cfg(all(target_arch = "wasm32", feature = "relaxed-simd"))]
mod imp {
    use std::arch::wasm32::i32x4_relaxed_dot_i8x16_i7x16_add;

    use bytemuck::cast;
    use wide::{i32x4, u32x4};

    pub const NAME: &str = "Relaxed SIMD";

    #[derive(Clone, Copy, Debug)]
    pub struct Found;

    /// A browser without relaxed SIMD refuses the whole module, so whoever runs it has it.
    pub fn detect() -> Option<Found> {
        Some(Found)
    }

    #[inline(always)]
    pub fn dot(_: Found, bytes: u32x4, small: u32x4, sums: i32x4) -> i32x4 {
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

    /// There is one only where AVX2 was found.
    #[derive(Clone, Copy, Debug)]
    pub struct Found(());

    pub fn detect() -> Option<Found> {
        is_x86_feature_detected!("avx2").then_some(Found(()))
    }

    #[inline(always)]
    pub fn dot(_: Found, bytes: u32x4, small: u32x4, sums: i32x4) -> i32x4 {
        // SAFETY: a `Found` is only made where AVX2 was found, and AVX2 includes these.
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
    pub enum Found {}

    pub fn detect() -> Option<Found> {
        None
    }

    pub fn dot(found: Found, _: u32x4, _: u32x4, _: i32x4) -> i32x4 {
        match found {}
    }
}
