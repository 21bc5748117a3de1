//! `exact`: f32 arithmetic on the dequantised weights.

use std::marker::PhantomData;

use bytemuck::cast;
use glassformer_graph::BLOCK;
use wide::{f32x4, i32x4, u32x4};

use super::{Halves, Kernel, rows};
use crate::kernels::activations::Activations;
use crate::packed::{Bf16Block, Block, F16Block, F32Block, Q4Block, Q8Block};

/// Columns that nibble `n` of a word holds, within eight.
const NIBBLES: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// 4-bit blocks.
pub struct Q4(Halves);

impl Q4 {
    pub fn new() -> Self {
        Self(Halves::new())
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
        let inputs = rows::<f32, T>(&x.x, x.cols, first);
        let per_row = x.cols / BLOCK;
        let mut sums = [f32x4::ZERO; T];
        for (b, block) in weights.iter().enumerate() {
            let x_block = inputs.map(|row| &row[b * BLOCK..(b + 1) * BLOCK]);
            let mut dots = [f32x4::ZERO; T];
            for (v, q) in block.q.iter().enumerate() {
                // Flipping the upper bit of 0..16 makes it −8..8 in two's complement.
                let word: i32x4 = cast(u32x4::new(*q) ^ u32x4::splat(0x8888_8888));
                for (n, column) in NIBBLES.into_iter().enumerate() {
                    let q = f32x4::from_i32x4((word << (28 - 4 * n as u32)) >> 28);
                    for t in 0..T {
                        dots[t] += q * f32x4::splat(x_block[t][8 * v + column]);
                    }
                }
            }
            // Σ (d·q + m)·x = d·Σ (q − 8)·x + (m + 8d)·Σ x. Uncentred, the two sums would be large
            // and nearly cancel, and rounding would show.
            let (scale, min) = self.0.scale_min(block);
            let min = min + scale * f32x4::splat(8.0);
            for t in 0..T {
                let sum = f32x4::splat(x.sums[(first + t) * per_row + b]);
                sums[t] += dots[t] * scale + min * sum;
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
        let inputs = rows::<f32, T>(&x.x, x.cols, first);
        let mut sums = [f32x4::ZERO; T];
        for (b, block) in weights.iter().enumerate() {
            let x_block = inputs.map(|row| &row[b * BLOCK..(b + 1) * BLOCK]);
            let mut dots = [f32x4::ZERO; T];
            for (v, q) in block.q.iter().enumerate() {
                let word: i32x4 = cast(u32x4::new(*q));
                for n in 0..4 {
                    let q = f32x4::from_i32x4((word << (24 - 8 * n as u32)) >> 24);
                    for t in 0..T {
                        dots[t] += q * f32x4::splat(x_block[t][4 * v + n]);
                    }
                }
            }
            let scale = f32x4::new(block.scale);
            for t in 0..T {
                sums[t] += dots[t] * scale;
            }
        }
        sums
    }
}

/// One column of four rows as f32.
pub(super) trait Column: Block {
    fn column(&self, halves: &Halves) -> f32x4;
}

impl Column for F32Block {
    #[inline(always)]
    fn column(&self, _: &Halves) -> f32x4 {
        f32x4::new(self.0)
    }
}

impl Column for F16Block {
    #[inline(always)]
    fn column(&self, halves: &Halves) -> f32x4 {
        halves.lower(u32x4::new(self.0.map(u32::from)))
    }
}

impl Column for Bf16Block {
    #[inline(always)]
    fn column(&self, _: &Halves) -> f32x4 {
        cast(u32x4::new(self.0.map(u32::from)) << 16)
    }
}

/// Dense weights.
pub struct Dense<B> {
    halves: Halves,
    blocks: PhantomData<B>,
}

impl<B> Dense<B> {
    pub fn new() -> Self {
        Self {
            halves: Halves::new(),
            blocks: PhantomData,
        }
    }
}

impl<B: Column> Kernel for Dense<B> {
    type Weights = B;

    #[inline(always)]
    fn tile<const T: usize>(&self, weights: &[B], x: &Activations, first: usize) -> [f32x4; T] {
        let inputs = rows::<f32, T>(&x.x, x.cols, first);
        let mut sums = [f32x4::ZERO; T];
        // Sums of 64 columns are added up, so that rounding grows with the root of the blocks.
        const RUN: usize = 64;
        for (b, columns) in weights.chunks(RUN).enumerate() {
            let x_run = inputs.map(|row| &row[b * RUN..b * RUN + columns.len()]);
            let mut dots = [f32x4::ZERO; T];
            for (k, column) in columns.iter().enumerate() {
                let column = column.column(&self.halves);
                for t in 0..T {
                    dots[t] += column * f32x4::splat(x_run[t][k]);
                }
            }
            for t in 0..T {
                sums[t] += dots[t];
            }
        }
        sums
    }
}
