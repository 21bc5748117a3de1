//! `fast` where nothing multiplies bytes: 16-bit numbers in pairs.

use bytemuck::cast;
use wide::{f32x4, i16x8, i32x4, u16x8, u32x4};

use super::{Halves, Kernel, held, rows};
use crate::kernels::activations::{Activations, Pairs};
use crate::kernels::lanes;
use crate::packed::{Q4Block, Q8Block};

/// 4-bit blocks.
pub struct Q4 {
    low: u16x8,
    halves: Halves,
}

impl Q4 {
    pub fn new() -> Self {
        Self {
            low: held(u16x8::splat(15)),
            halves: Halves::new(),
        }
    }
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
        let pairs: [_; T] = rows(&x.pairs, weights.len(), first);
        let mut sums = [f32x4::ZERO; T];
        for (b, block) in weights.iter().enumerate() {
            let dots = self.dots(block, pairs.map(|row| &row[b]));
            let (scale, min) = self.halves.scale_min(block);
            for t in 0..T {
                let (x_scale, x_sum) = quant[t][b].scale_sum();
                sums[t] += f32x4::from_i32x4(dots[t]) * (scale * x_scale) + min * x_sum;
            }
        }
        sums
    }
}

impl Q4 {
    /// `Σ q·a` of one block.
    #[inline(always)]
    fn dots<const T: usize>(&self, weights: &Q4Block, x: [&Pairs; T]) -> [i32x4; T] {
        let mut sums = [i32x4::ZERO; T];
        for (v, q) in weights.q.iter().enumerate() {
            let word: u16x8 = cast(u32x4::new(*q));
            let columns: [i16x8; 4] = [
                cast(word & self.low),
                cast((word >> 8) & self.low),
                cast((word >> 4) & self.low),
                cast(word >> 12),
            ];
            for t in 0..T {
                for (columns, a) in columns.into_iter().zip(lanes(cast(x[t][v]))) {
                    sums[t] += columns.dot(cast(a));
                }
            }
        }
        sums
    }
}

/// 8-bit blocks.
pub struct Q8;

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
        let pairs: [_; T] = rows(&x.pairs, weights.len(), first);
        let mut sums = [f32x4::ZERO; T];
        for (b, block) in weights.iter().enumerate() {
            let dots = q8_dots(block, pairs.map(|row| &row[b]));
            let scale = f32x4::new(block.scale);
            for t in 0..T {
                let (x_scale, _) = quant[t][b].scale_sum();
                sums[t] += f32x4::from_i32x4(dots[t]) * (scale * x_scale);
            }
        }
        sums
    }
}

/// `Σ q·a` of one block.
#[inline(always)]
fn q8_dots<const T: usize>(weights: &Q8Block, x: [&Pairs; T]) -> [i32x4; T] {
    let mut sums = [i32x4::ZERO; T];
    let (words, _) = weights.q.as_chunks::<2>();
    for (v, words) in words.iter().enumerate() {
        let [a, b]: [i16x8; 2] = words.map(|word| cast(u32x4::new(word)));
        let columns: [i16x8; 4] = [(a << 8) >> 8, a >> 8, (b << 8) >> 8, b >> 8];
        for t in 0..T {
            for (columns, a) in columns.into_iter().zip(lanes(cast(x[t][v]))) {
                sums[t] += columns.dot(cast(a));
            }
        }
    }
    sums
}
