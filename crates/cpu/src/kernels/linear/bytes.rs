//! `fast` where a [`Machine`] multiplies bytes.
//!
//! One of its factors must be in 0..=127. 4-bit weights are. Of 8-bit weights and activations
//! neither is, so an activation is the difference of two numbers that are, and costs two products:
//! `Σ w·a = Σ w·a⁺ − Σ w·a⁻`. That is right for every weight, −128 too, which negating a weight
//! would not be.

use bytemuck::cast;
use glassformer_graph::BLOCK;
use wide::{f32x4, i8x16, i32x4, u32x4};

use super::tiles::{self, Arithmetic, Tile, Unpack};
use super::{Halves, Kernel, held, rows, run};
use crate::kernels::activations::{Activations, QuantBlock};
use crate::kernels::lanes;
use crate::kernels::machine::Machine;
use crate::packed::{Matrix, Q4Block, Q8Block};

/// From so many rows of `x` on, 8-bit weights are unpacked for all of them. Measured: twelve are as quick
/// either way.
const MANY: usize = 16;

/// `x · Wᵀ + b` of 4-bit weights.
pub fn q4(
    machine: Machine,
    weight: &Matrix<Q4Block>,
    bias: Option<&[f32]>,
    x: &Activations,
    out: &mut [f32],
) {
    // SAFETY: there is a machine.
    unsafe { q4_rows(machine, weight, bias, x, out) }
}

/// `x · Wᵀ + b` of 8-bit weights.
pub fn q8(
    machine: Machine,
    weight: &Matrix<Q8Block>,
    bias: Option<&[f32]>,
    x: &Activations,
    out: &mut [f32],
) {
    // SAFETY: there is a machine.
    unsafe { q8_rows(machine, weight, bias, x, out) }
}

/// The whole loop over rows is compiled for the machine: called one by one, its instructions would
/// drown in calls.
///
/// # Safety
/// The machine must have the features named here, as [`Machine::detect`] has found out.
#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "relaxed-simd")
)]
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
unsafe fn q4_rows(
    machine: Machine,
    weight: &Matrix<Q4Block>,
    bias: Option<&[f32]>,
    x: &Activations,
    out: &mut [f32],
) {
    let kernel = Q4 {
        machine,
        low: held(u32x4::splat(0x0f0f_0f0f)),
        halves: Halves::new(),
        steps: held(2),
    };
    run(kernel, weight, bias, x, out);
}

/// As [`q4_rows`].
///
/// # Safety
/// As [`q4_rows`].
#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "relaxed-simd")
)]
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
unsafe fn q8_rows(
    machine: Machine,
    weight: &Matrix<Q8Block>,
    bias: Option<&[f32]>,
    x: &Activations,
    out: &mut [f32],
) {
    if x.n < MANY {
        run(Q8(machine), weight, bias, x, out);
    } else {
        tiles::linear(&Q8(machine), weight, bias, x, out);
    }
}

struct Q4 {
    machine: Machine,
    low: u32x4,
    halves: Halves,
    /// Vectors of activations to a block: two, but as a number nobody knows. Unrolled, the loop
    /// would unpack a whole block first, which is more than there are registers.
    steps: usize,
}

impl Kernel for Q4 {
    type Weights = Q4Block;

    #[inline(always)]
    fn tile<const T: usize>(
        &self,
        weights: &[Q4Block],
        x: &Activations,
        first: usize,
    ) -> [f32x4; T] {
        let quant: [_; T] = rows(&x.quant, weights.len(), first);
        let mut sums = [f32x4::ZERO; T];
        for (b, block) in weights.iter().enumerate() {
            let x = quant.map(|row| &row[b]);
            let dots = self.dots(block, x);
            let (scale, min) = self.halves.scale_min(block);
            for t in 0..T {
                let (x_scale, x_sum) = x[t].scale_sum();
                sums[t] += f32x4::from_i32x4(dots[t]) * (scale * x_scale) + min * x_sum;
            }
        }
        sums
    }
}

impl Q4 {
    /// `Σ q·a` of one block.
    #[inline(always)]
    fn dots<const T: usize>(&self, weights: &Q4Block, x: [&QuantBlock; T]) -> [i32x4; T] {
        let low = self.low;
        let mut sums = [i32x4::ZERO; T];
        let (words, _) = weights.q.as_chunks::<2>();
        for (v, words) in words.iter().enumerate().take(self.steps) {
            let [a, b] = words.map(u32x4::new);
            let columns = [a & low, (a >> 4) & low, b & low, (b >> 4) & low];
            for t in 0..T {
                for (columns, a) in columns.into_iter().zip(lanes(cast(x[t].q[v]))) {
                    sums[t] = self.machine.dot(a, columns, sums[t]);
                }
            }
        }
        sums
    }
}

struct Q8(Machine);

impl Kernel for Q8 {
    type Weights = Q8Block;

    #[inline(always)]
    fn tile<const T: usize>(
        &self,
        weights: &[Q8Block],
        x: &Activations,
        first: usize,
    ) -> [f32x4; T] {
        let quant: [_; T] = rows(&x.quant, weights.len(), first);
        let mut sums = [f32x4::ZERO; T];
        for (b, block) in weights.iter().enumerate() {
            let x = quant.map(|row| &row[b]);
            let dots = self.dots(block, x);
            let scale = f32x4::new(block.scale);
            for t in 0..T {
                let (x_scale, _) = x[t].scale_sum();
                sums[t] += f32x4::from_i32x4(dots[t]) * (scale * x_scale);
            }
        }
        sums
    }
}

impl Q8 {
    /// `Σ q·a` of one block.
    #[inline(always)]
    fn dots<const T: usize>(&self, weights: &Q8Block, x: [&QuantBlock; T]) -> [i32x4; T] {
        let mut positive = [i32x4::ZERO; T];
        let mut negative = [i32x4::ZERO; T];
        let (words, _) = weights.q.as_chunks::<4>();
        for (v, words) in words.iter().enumerate() {
            let words = words.map(u32x4::new);
            for t in 0..T {
                let a: i8x16 = cast(x[t].q[v]);
                let plus = a.max(i8x16::ZERO);
                let (plus, minus) = (lanes(cast(plus)), lanes(cast(plus - a)));
                for (i, word) in words.into_iter().enumerate() {
                    positive[t] = self.0.dot(word, plus[i], positive[t]);
                    negative[t] = self.0.dot(word, minus[i], negative[t]);
                }
            }
        }
        std::array::from_fn(|t| positive[t] - negative[t])
    }
}

/// Places of a block where four columns are one word.
const WORDS: usize = BLOCK / 4;

/// What is added to an activation where the machine takes bytes of 0..=255.
const SHIFT: i16 = 127;

/// Four columns in one place. An activation is shifted up where the machine allows; elsewhere its two
/// halves lie behind each other, and beside the second the weights are inverted: `−w = !w + 1`.
impl Arithmetic for Machine {
    type X = u32;
    type Column = u32x4;
    type Sum = i32x4;

    fn step(self) -> usize {
        if self.is_whole() { 4 } else { 2 }
    }

    fn tiles(self, x: &Activations) -> &[Tile<u32>] {
        x.byte_tiles.get_or_init(|| {
            let width = x.cols / self.step();
            let mut words = Vec::with_capacity(x.n * width);
            for block in &x.quant {
                let q = block.unpack().0;
                let mut put = |byte: fn(i8) -> u8| {
                    let four = q.as_chunks::<4>().0.iter();
                    words.extend(four.map(|four| u32::from_le_bytes(four.map(byte))));
                };
                if self.is_whole() {
                    put(|q| (i16::from(q) + SHIFT) as u8);
                } else {
                    put(|q| q.max(0).cast_unsigned());
                    put(|q| q.min(0).unsigned_abs());
                }
            }
            tiles::tiles(&words, width)
        })
    }

    #[inline(always)]
    fn add(self, sum: i32x4, column: u32x4, x: u32) -> i32x4 {
        self.dot(column, u32x4::splat(x), sum)
    }
}

impl Unpack for Q8 {
    type With = Machine;
    type Block = Q8Block;
    /// Scale, and `Σ q` times what activations are shifted by.
    type Scale = (f32x4, f32x4);
    const COLS: usize = BLOCK;
    const RUN: usize = BLOCK;

    fn with(&self) -> Machine {
        self.0
    }

    #[inline(always)]
    fn columns(&self, run: &[Q8Block], mut put: impl FnMut(usize, u32x4)) {
        let whole = self.0.is_whole();
        for block in run {
            for (v, q) in block.q.iter().enumerate() {
                let word = u32x4::new(*q);
                put(v, word);
                if !whole {
                    put(WORDS + v, !word);
                }
            }
        }
    }

    #[inline(always)]
    fn scale(&self, run: &[Q8Block]) -> (f32x4, f32x4) {
        let [block, ..] = run else {
            return Default::default();
        };
        let mut sum = i32x4::ZERO;
        if self.0.is_whole() {
            for q in block.q {
                sum = self.0.dot(u32x4::new(q), u32x4::splat(0x0101_0101), sum);
            }
        }
        let shift = f32x4::from_i32x4(sum * i32x4::splat(SHIFT.into()));
        (f32x4::new(block.scale), shift)
    }

    #[inline(always)]
    fn scaled(
        &self,
        sum: i32x4,
        (scale, shift): (f32x4, f32x4),
        x: &Activations,
        at: usize,
    ) -> f32x4 {
        let Some(block) = x.quant.get(at / BLOCK) else {
            return f32x4::ZERO;
        };
        let [x_scale, _, below, _] = block.scale_sum;
        // Whole numbers below 2²⁴, which f32 adds exactly.
        let back = if self.0.is_whole() {
            -shift
        } else {
            f32x4::splat(below)
        };
        (f32x4::from_i32x4(sum) + back) * (scale * f32x4::splat(x_scale))
    }
}
