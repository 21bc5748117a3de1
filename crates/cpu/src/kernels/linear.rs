//! Matrix products `x · Wᵀ + b`: `x [n, in]`, `W [out, in]` → `[n, out]`.
//!
//! A kernel computes four rows of `W` (one SIMD lane each) against up to four rows of `x`, so that
//! unpacking a weight is shared by four activations and broadcasting an activation by four
//! weights. Decoding one token is the same kernel with one row of `x`.
//!
//! f32 products and those of 8-bit weights with many rows of `x` unpack weights once for all rows
//! (`tiles.rs`), and give the same numbers.

use bytemuck::cast;
use wide::{f32x4, i32x4, u32x4};

use super::activations::Activations;
use super::load;
use crate::packed::{Bf16Block, Block, F16Block, F32Block, LANES, Matrix, Packed, Q4Block};

mod bytes;
mod exact;
mod pairs;
mod scaled;
mod tiles;

use exact::Dense;
pub(crate) use tiles::Tile;

/// Rows of `x` that are computed together.
const TILE: usize = 4;

/// `x · Wᵀ + b` into `out`, `[n, out]`. Uses the integer kernels where `x` was prepared for
/// `fast` and the weights are blocks; dense weights are always multiplied in f32.
pub fn linear(weight: &Packed, bias: Option<&[f32]>, x: &Activations, out: &mut [f32]) {
    let fast = !x.quant.is_empty();
    match (weight, x.machine) {
        (Packed::I8(m), _) => scaled::linear(m, bias, x, out),
        (Packed::Q4(m), Some(machine)) if fast => bytes::q4(machine, m, bias, x, out),
        (Packed::Q8(m), Some(machine)) if fast => bytes::q8(machine, m, bias, x, out),
        (Packed::Q4(m), None) if fast => run(pairs::Q4::new(), m, bias, x, out),
        (Packed::Q8(m), None) if fast => run(pairs::Q8, m, bias, x, out),
        (Packed::Q4(m), _) => exact::linear(&exact::Q4::new(), m, bias, x, out),
        (Packed::Q8(m), _) => exact::linear(&exact::Q8, m, bias, x, out),
        (Packed::F32(m), _) => exact::linear(&Dense::<F32Block>::new(), m, bias, x, out),
        (Packed::F16(m), _) => exact::linear(&Dense::<F16Block>::new(), m, bias, x, out),
        (Packed::Bf16(m), _) => exact::linear(&Dense::<Bf16Block>::new(), m, bias, x, out),
        // The executor has checked that matrices are matrices.
        (Packed::Vector(_), _) => {}
    }
}

/// Four rows of weights against `T` rows of activations, starting at row `first`.
trait Kernel {
    type Weights: Block;
    fn tile<const T: usize>(
        &self,
        weights: &[Self::Weights],
        x: &Activations,
        first: usize,
    ) -> [f32x4; T];
}

/// All rows. Group after group in the order of memory: two at a time would be fewer instructions,
/// but no processor fetches them ahead.
#[inline(always)]
fn run<K: Kernel>(
    kernel: K,
    weight: &Matrix<K::Weights>,
    bias: Option<&[f32]>,
    x: &Activations,
    out: &mut [f32],
) {
    let rows = weight.rows;
    for group in 0..rows.div_ceil(LANES) {
        let blocks = weight.group(group);
        let first = group * LANES;
        let group = first..rows.min(first + LANES);
        let bias = bias.map(|bias| &bias[group.clone()]);
        let mut store = |t: usize, sums: f32x4| {
            add_into(sums, bias, &mut out[t * rows..][group.clone()]);
        };
        let mut t = 0;
        while t + TILE <= x.n {
            for (i, sums) in kernel.tile::<TILE>(blocks, x, t).into_iter().enumerate() {
                store(t + i, sums);
            }
            t += TILE;
        }
        while t < x.n {
            let [sums] = kernel.tile::<1>(blocks, x, t);
            store(t, sums);
            t += 1;
        }
    }
}

/// Adds the bias and writes the rows there are; the last group may have fewer than four.
#[inline(always)]
fn add_into(sums: f32x4, bias: Option<&[f32]>, out: &mut [f32]) {
    // Four are written at once; a copy of some length would be a call.
    if let Ok(out) = <&mut [f32; LANES]>::try_from(&mut *out) {
        let bias = bias.and_then(|bias| bias.try_into().ok());
        *out = bias.map_or(sums, |bias| sums + load(bias)).to_array();
    } else {
        for (lane, (out, sum)) in out.iter_mut().zip(sums.to_array()).enumerate() {
            *out = bias.map_or(sum, |bias| sum + bias[lane]);
        }
    }
}

/// Rows `first..first + T` of what is kept for each block of `x`, `[n, blocks]`.
#[inline(always)]
fn rows<B, const T: usize>(of: &[B], blocks: usize, first: usize) -> [&[B]; T] {
    std::array::from_fn(|t| &of[(first + t) * blocks..][..blocks])
}

/// A constant as a value in a register: V8 builds a constant of 128 bits anew wherever it is used,
/// in three instructions, and a block of weights has few more than that.
fn held<T>(constant: T) -> T {
    std::hint::black_box(constant)
}

/// Turns f16 into f32. Not for infinities and NaN, which no weight file should hold: the exponent
/// is rebased by one multiplication.
struct Halves {
    mask: u32x4,
    rebase: f32x4,
}

impl Halves {
    fn new() -> Self {
        Self {
            mask: held(u32x4::splat(0x8fff_e000)),
            // 2¹¹² moves an f16's exponent bias of 15 to an f32's of 127.
            rebase: held(f32x4::splat(f32::from_bits(0x7780_0000))),
        }
    }

    /// Those in the upper halves of four words.
    #[inline(always)]
    fn upper(&self, bits: u32x4) -> f32x4 {
        // The sign stays in front; exponent and fraction move to where an f32 has them.
        let shifted: u32x4 = cast(cast::<_, i32x4>(bits) >> 3);
        cast::<_, f32x4>(shifted & self.mask) * self.rebase
    }

    /// Those in the lower halves.
    #[inline(always)]
    fn lower(&self, bits: u32x4) -> f32x4 {
        self.upper(bits << 16)
    }

    /// The scales and minima of four rows.
    #[inline(always)]
    fn scale_min(&self, block: &Q4Block) -> (f32x4, f32x4) {
        let bits = u32x4::new(block.scale_min);
        (self.lower(bits), self.upper(bits))
    }
}

#[cfg(test)]
mod tests;
