//! Matrix products `x · Wᵀ + b`: `x [n, in]`, `W [out, in]` → `[n, out]`.
//!
//! Each kernel computes four rows of `W` (one SIMD lane each) against up to four rows of `x`, so
//! that unpacking a weight is shared by four activations and broadcasting an activation by four
//! weights. Decoding one token is the same kernel with one row of `x`.

use bytemuck::cast;
use glassformer_graph::BLOCK;
use wide::{f32x4, i16x8, i32x4, u16x8, u32x4};

use super::activations::{Activations, QuantBlock};
use crate::packed::{
    Bf16Block, Block, F16Block, F32Block, LANES, Matrix, Packed, Q4Block, Q8Block,
};

/// Rows of `x` that are computed together.
const TILE: usize = 4;

/// `x · Wᵀ + b` into `out`, `[n, out]`. Uses the integer kernels where `x` was prepared for
/// `fast` and the weights are blocks; dense weights are always multiplied in f32.
pub fn linear(weight: &Packed, bias: Option<&[f32]>, x: &Activations, out: &mut [f32]) {
    let fast = !x.quant.is_empty();
    match weight {
        Packed::Q4(m) if fast => run::<FastQ4>(m, bias, x, out),
        Packed::Q8(m) if fast => run::<FastQ8>(m, bias, x, out),
        Packed::Q4(m) => run::<ExactQ4>(m, bias, x, out),
        Packed::Q8(m) => run::<ExactQ8>(m, bias, x, out),
        Packed::F32(m) => run::<Dense<F32Block>>(m, bias, x, out),
        Packed::F16(m) => run::<Dense<F16Block>>(m, bias, x, out),
        Packed::Bf16(m) => run::<Dense<Bf16Block>>(m, bias, x, out),
        // The executor has checked that matrices are matrices.
        Packed::Vector(_) => {}
    }
}

/// Four rows of weights against `T` rows of activations, starting at row `first`.
trait Kernel {
    type Weights: Block;
    fn tile<const T: usize>(weights: &[Self::Weights], x: &Activations, first: usize)
    -> [f32x4; T];
}

fn run<K: Kernel>(
    weight: &Matrix<K::Weights>,
    bias: Option<&[f32]>,
    x: &Activations,
    out: &mut [f32],
) {
    let rows = weight.rows;
    for group in 0..rows.div_ceil(LANES) {
        let blocks = weight.group(group);
        let first_row = group * LANES;
        let lanes = LANES.min(rows - first_row);
        let mut add = [0.0; LANES];
        if let Some(bias) = bias {
            add[..lanes].copy_from_slice(&bias[first_row..first_row + lanes]);
        }
        let add = f32x4::new(add);
        let mut store = |t: usize, sums: f32x4| {
            let at = t * rows + first_row;
            out[at..at + lanes].copy_from_slice(&(sums + add).to_array()[..lanes]);
        };
        let mut t = 0;
        while t + TILE <= x.n {
            for (i, sums) in K::tile::<TILE>(blocks, x, t).into_iter().enumerate() {
                store(t + i, sums);
            }
            t += TILE;
        }
        while t < x.n {
            let [sums] = K::tile::<1>(blocks, x, t);
            store(t, sums);
            t += 1;
        }
    }
}

/// Block `b` of activation rows `first..first + T`, for each block.
fn quant_rows<const T: usize>(x: &Activations, first: usize) -> [&[QuantBlock]; T] {
    let per_row = x.cols / BLOCK;
    std::array::from_fn(|t| &x.quant[(first + t) * per_row..(first + t + 1) * per_row])
}

fn f32_rows<const T: usize>(x: &Activations, first: usize) -> [&[f32]; T] {
    std::array::from_fn(|t| &x.x[(first + t) * x.cols..(first + t + 1) * x.cols])
}

/// The f16 in the low halves of four words as f32. Not for infinities and NaN, which no weight
/// file should hold: the exponent is rebased by one multiplication.
fn halves(bits: u32x4) -> f32x4 {
    let magnitude: f32x4 = cast((bits & u32x4::splat(0x7fff)) << 13);
    let sign: u32x4 = (bits & u32x4::splat(0x8000)) << 16;
    // 2¹¹² moves an f16's exponent bias of 15 to an f32's of 127.
    let value: u32x4 = cast(magnitude * f32x4::splat(f32::from_bits(0x7780_0000)));
    cast(value | sign)
}

/// The scales and minima of four rows.
fn scale_min(block: &Q4Block) -> (f32x4, f32x4) {
    let bits = u32x4::new(block.scale_min);
    (halves(bits), halves(bits >> 16))
}

fn splat_pair(pair: i32) -> i16x8 {
    cast(i32x4::splat(pair))
}

/// `Σ q·a` of one block for four rows of 4-bit weights and `T` rows of rounded activations.
#[inline(always)]
pub fn q4_dots<const T: usize>(weights: &Q4Block, x: [&QuantBlock; T]) -> [[i32; 4]; T] {
    q4_sums(weights, x).map(i32x4::to_array)
}

#[inline(always)]
fn q4_sums<const T: usize>(weights: &Q4Block, x: [&QuantBlock; T]) -> [i32x4; T] {
    let mut sums = [i32x4::ZERO; T];
    for (v, q) in weights.q.iter().enumerate() {
        let word: u16x8 = cast(u32x4::new(*q));
        let low = u16x8::splat(15);
        let columns: [i16x8; 4] = [
            cast(word & low),
            cast((word >> 8) & low),
            cast((word >> 4) & low),
            cast(word >> 12),
        ];
        for t in 0..T {
            for (i, columns) in columns.into_iter().enumerate() {
                sums[t] += columns.dot(splat_pair(x[t].pairs[4 * v + i]));
            }
        }
    }
    sums
}

/// `Σ q·a` of one block for four rows of 8-bit weights and `T` rows of rounded activations.
#[inline(always)]
pub fn q8_dots<const T: usize>(weights: &Q8Block, x: [&QuantBlock; T]) -> [[i32; 4]; T] {
    q8_sums(weights, x).map(i32x4::to_array)
}

#[inline(always)]
fn q8_sums<const T: usize>(weights: &Q8Block, x: [&QuantBlock; T]) -> [i32x4; T] {
    let mut sums = [i32x4::ZERO; T];
    for (v, q) in weights.q.iter().enumerate() {
        let word: i16x8 = cast(u32x4::new(*q));
        let columns: [i16x8; 2] = [(word << 8) >> 8, word >> 8];
        for t in 0..T {
            for (i, columns) in columns.into_iter().enumerate() {
                sums[t] += columns.dot(splat_pair(x[t].pairs[2 * v + i]));
            }
        }
    }
    sums
}

struct FastQ4;

impl Kernel for FastQ4 {
    type Weights = Q4Block;

    #[inline(always)]
    fn tile<const T: usize>(weights: &[Q4Block], x: &Activations, first: usize) -> [f32x4; T] {
        let rows = quant_rows::<T>(x, first);
        let mut sums = [f32x4::ZERO; T];
        for (b, block) in weights.iter().enumerate() {
            let x = rows.map(|row| &row[b]);
            let dots = q4_sums(block, x);
            let (scale, min) = scale_min(block);
            for t in 0..T {
                sums[t] += f32x4::from_i32x4(dots[t]) * (scale * f32x4::splat(x[t].scale))
                    + min * f32x4::splat(x[t].sum);
            }
        }
        sums
    }
}

struct FastQ8;

impl Kernel for FastQ8 {
    type Weights = Q8Block;

    #[inline(always)]
    fn tile<const T: usize>(weights: &[Q8Block], x: &Activations, first: usize) -> [f32x4; T] {
        let rows = quant_rows::<T>(x, first);
        let mut sums = [f32x4::ZERO; T];
        for (b, block) in weights.iter().enumerate() {
            let x = rows.map(|row| &row[b]);
            let dots = q8_sums(block, x);
            let scale = f32x4::new(block.scale);
            for t in 0..T {
                sums[t] += f32x4::from_i32x4(dots[t]) * (scale * f32x4::splat(x[t].scale));
            }
        }
        sums
    }
}

/// Columns that nibble `n` of a word holds, within eight.
const NIBBLES: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

struct ExactQ4;

impl Kernel for ExactQ4 {
    type Weights = Q4Block;

    #[inline(always)]
    fn tile<const T: usize>(weights: &[Q4Block], x: &Activations, first: usize) -> [f32x4; T] {
        let rows = f32_rows::<T>(x, first);
        let per_row = x.cols / BLOCK;
        let mut sums = [f32x4::ZERO; T];
        for (b, block) in weights.iter().enumerate() {
            let x_block = rows.map(|row| &row[b * BLOCK..(b + 1) * BLOCK]);
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
            let (scale, min) = scale_min(block);
            let min = min + scale * f32x4::splat(8.0);
            for t in 0..T {
                let sum = f32x4::splat(x.sums[(first + t) * per_row + b]);
                sums[t] += dots[t] * scale + min * sum;
            }
        }
        sums
    }
}

struct ExactQ8;

impl Kernel for ExactQ8 {
    type Weights = Q8Block;

    #[inline(always)]
    fn tile<const T: usize>(weights: &[Q8Block], x: &Activations, first: usize) -> [f32x4; T] {
        let rows = f32_rows::<T>(x, first);
        let mut sums = [f32x4::ZERO; T];
        for (b, block) in weights.iter().enumerate() {
            let x_block = rows.map(|row| &row[b * BLOCK..(b + 1) * BLOCK]);
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
trait Column: Block {
    fn column(&self) -> f32x4;
}

impl Column for F32Block {
    #[inline(always)]
    fn column(&self) -> f32x4 {
        f32x4::new(self.0)
    }
}

impl Column for F16Block {
    #[inline(always)]
    fn column(&self) -> f32x4 {
        halves(u32x4::new(self.0.map(u32::from)))
    }
}

impl Column for Bf16Block {
    #[inline(always)]
    fn column(&self) -> f32x4 {
        cast(u32x4::new(self.0.map(u32::from)) << 16)
    }
}

struct Dense<B>(std::marker::PhantomData<B>);

impl<B: Column> Kernel for Dense<B> {
    type Weights = B;

    #[inline(always)]
    fn tile<const T: usize>(weights: &[B], x: &Activations, first: usize) -> [f32x4; T] {
        let rows = f32_rows::<T>(x, first);
        let mut sums = [f32x4::ZERO; T];
        // Sums of 64 columns are added up, so that rounding grows with the root of the blocks.
        const RUN: usize = 64;
        for (b, columns) in weights.chunks(RUN).enumerate() {
            let x_run = rows.map(|row| &row[b * RUN..b * RUN + columns.len()]);
            let mut dots = [f32x4::ZERO; T];
            for (k, column) in columns.iter().enumerate() {
                let column = column.column();
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

#[cfg(test)]
mod tests;
