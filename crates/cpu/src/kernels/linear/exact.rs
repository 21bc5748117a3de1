//! `exact`: f32 arithmetic on the dequantised weights. Runs are summed up by themselves, so that rounding
//! grows with the root of their number.

use std::marker::PhantomData;

use bytemuck::cast;
use glassformer_graph::BLOCK;
use wide::{f32x4, i32x4, u32x4};

use super::tiles::{self, Arithmetic, RUN, Tile, Unpack};
use super::{Halves, add_into};
use crate::kernels::activations::Activations;
use crate::packed::{Bf16Block, F16Block, F32Block, I8Block, LANES, Matrix, Q4Block, Q8Block};

/// Products of f32.
#[derive(Clone, Copy)]
pub struct Floats;

impl Arithmetic for Floats {
    type X = f32;
    type Column = f32x4;
    type Sum = f32x4;

    fn step(self) -> usize {
        1
    }

    fn tiles(self, x: &Activations) -> &[Tile<f32>] {
        x.tiles.get_or_init(|| tiles::tiles(&x.x, x.cols))
    }

    #[inline(always)]
    fn add(self, sum: f32x4, column: f32x4, x: f32) -> f32x4 {
        sum + column * f32x4::splat(x)
    }
}

/// From so many rows of `x` on, weights are unpacked for all of them.
const MANY: usize = 3;

/// `x · Wᵀ + b` into `out`, `[n, out]`.
pub fn linear<U: Unpack<With = Floats>>(
    unpack: &U,
    weight: &Matrix<U::Block>,
    bias: Option<&[f32]>,
    x: &Activations,
    out: &mut [f32],
) {
    if x.n < MANY {
        one_by_one(unpack, weight, bias, x, out);
    } else {
        tiles::linear(unpack, weight, bias, x, out);
    }
}

/// The same numbers for few rows of `x`, for which it is not worth keeping what is unpacked.
fn one_by_one<U: Unpack<With = Floats>>(
    unpack: &U,
    weight: &Matrix<U::Block>,
    bias: Option<&[f32]>,
    x: &Activations,
    out: &mut [f32],
) {
    for group in 0..weight.rows.div_ceil(LANES) {
        let range = group * LANES..weight.rows.min((group + 1) * LANES);
        let blocks = weight.group(group);
        for (t, row) in x.x.chunks(x.cols).enumerate() {
            let mut sums = f32x4::ZERO;
            let runs = blocks.chunks(U::RUN / U::COLS).zip(row.chunks(U::RUN));
            for (i, (run, row)) in runs.enumerate() {
                // A length that is known spares checks.
                let row = if U::COLS == U::RUN {
                    &row[..U::COLS]
                } else {
                    row
                };
                let mut products = f32x4::ZERO;
                unpack.columns(run, |k, column| {
                    products = Floats.add(products, column, row[k])
                });
                sums += unpack.scaled(products, unpack.scale(run), x, t * x.cols + i * U::RUN);
            }
            let bias = bias.map(|bias| &bias[range.clone()]);
            add_into(sums, bias, &mut out[t * weight.rows..][range.clone()]);
        }
    }
}

/// The nibble of a word that holds a column, of eight.
const NIBBLES: [u32; 8] = [0, 2, 4, 6, 1, 3, 5, 7];

/// 4-bit blocks.
pub struct Q4(Halves);

impl Q4 {
    pub fn new() -> Self {
        Self(Halves::new())
    }
}

impl Unpack for Q4 {
    type With = Floats;
    type Block = Q4Block;
    type Scale = (f32x4, f32x4);
    const COLS: usize = BLOCK;
    const RUN: usize = BLOCK;

    fn with(&self) -> Floats {
        Floats
    }

    #[inline(always)]
    fn columns(&self, run: &[Q4Block], mut put: impl FnMut(usize, f32x4)) {
        for block in run {
            for (v, q) in block.q.iter().enumerate() {
                // Flipping the upper bit of 0..16 makes it −8..8 in two's complement.
                let word: i32x4 = cast(u32x4::new(*q) ^ u32x4::splat(0x8888_8888));
                for (n, nibble) in NIBBLES.into_iter().enumerate() {
                    let q = f32x4::from_i32x4((word << (28 - 4 * nibble)) >> 28);
                    put(8 * v + n, q);
                }
            }
        }
    }

    /// Σ (d·q + m)·x = d·Σ (q − 8)·x + (m + 8d)·Σ x. Uncentred, the two sums would be large and nearly
    /// cancel, and rounding would show.
    #[inline(always)]
    fn scale(&self, run: &[Q4Block]) -> (f32x4, f32x4) {
        let [block, ..] = run else {
            return Default::default();
        };
        let (scale, min) = self.0.scale_min(block);
        (scale, min + scale * f32x4::splat(8.0))
    }

    #[inline(always)]
    fn scaled(
        &self,
        sum: f32x4,
        (scale, min): (f32x4, f32x4),
        x: &Activations,
        at: usize,
    ) -> f32x4 {
        let of_x = x.sums.get(at / BLOCK).copied().unwrap_or(0.0);
        sum * scale + min * f32x4::splat(of_x)
    }
}

/// 8-bit blocks.
pub struct Q8;

impl Unpack for Q8 {
    type With = Floats;
    type Block = Q8Block;
    type Scale = f32x4;
    const COLS: usize = BLOCK;
    const RUN: usize = BLOCK;

    fn with(&self) -> Floats {
        Floats
    }

    #[inline(always)]
    fn columns(&self, run: &[Q8Block], mut put: impl FnMut(usize, f32x4)) {
        for block in run {
            for (v, q) in block.q.iter().enumerate() {
                for (n, column) in four(*q).into_iter().enumerate() {
                    put(4 * v + n, column);
                }
            }
        }
    }

    #[inline(always)]
    fn scale(&self, run: &[Q8Block]) -> f32x4 {
        f32x4::new(run.first().map_or([0.0; LANES], |block| block.scale))
    }

    #[inline(always)]
    fn scaled(&self, sum: f32x4, scale: f32x4, _: &Activations, _: usize) -> f32x4 {
        sum * scale
    }
}

/// The four columns that each word has of its row.
#[inline(always)]
fn four(words: [u32; LANES]) -> [f32x4; 4] {
    let word: i32x4 = cast(u32x4::new(words));
    [24, 16, 8, 0].map(|up: u32| f32x4::from_i32x4((word << up) >> 24))
}

/// Bytes with one scale.
pub struct Bytes {
    /// The scale.
    pub scale: f32,
}

impl Unpack for Bytes {
    type With = Floats;
    type Block = I8Block;
    type Scale = f32x4;
    const COLS: usize = I8Block::COLS;
    const RUN: usize = RUN;

    fn with(&self) -> Floats {
        Floats
    }

    #[inline(always)]
    fn columns(&self, run: &[I8Block], mut put: impl FnMut(usize, f32x4)) {
        for (v, block) in run.iter().enumerate() {
            for (n, column) in four(block.q).into_iter().enumerate() {
                put(I8Block::COLS * v + n, column);
            }
        }
    }

    #[inline(always)]
    fn scale(&self, _: &[I8Block]) -> f32x4 {
        f32x4::splat(self.scale)
    }

    #[inline(always)]
    fn scaled(&self, sum: f32x4, scale: f32x4, _: &Activations, _: usize) -> f32x4 {
        sum * scale
    }
}

/// One column of four rows as f32.
pub trait Column {
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

impl<B: Column> Unpack for Dense<B> {
    type With = Floats;
    type Block = B;
    type Scale = ();
    const COLS: usize = 1;
    const RUN: usize = RUN;

    fn with(&self) -> Floats {
        Floats
    }

    #[inline(always)]
    fn columns(&self, run: &[B], mut put: impl FnMut(usize, f32x4)) {
        for (k, block) in run.iter().enumerate() {
            put(k, block.column(&self.halves));
        }
    }

    fn scale(&self, _: &[B]) {}

    #[inline(always)]
    fn scaled(&self, sum: f32x4, (): (), _: &Activations, _: usize) -> f32x4 {
        sum
    }
}
