//! What a matrix product needs to know of its input, prepared once for all matrices that read it.

use std::cell::OnceCell;

use bytemuck::cast;
use glassformer_graph::{BLOCK, Precision};
use wide::{f32x4, i32x4};

use super::linear::Tile;
use super::machine::{Machine, Second};
use super::{lanes, load};

/// 32 activations rounded to signed bytes: `x ≈ scale·q`, `q` in −127..=127 and
/// `scale = max|x| / 127`.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct QuantBlock {
    /// The bytes in column order, four columns to a word.
    pub(crate) q: [[[i8; 4]; 4]; 2],
    /// `scale`, then `scale · Σ q` for the minima of 4-bit blocks, then `Σ max(−q, 0)`,
    /// then nothing: one vector.
    pub(crate) scale_sum: [f32; 4],
}

impl QuantBlock {
    /// Rounds 32 numbers, halves to the even neighbour. Where one is none, the scale is none either: what is not a
    /// number must not end as zero.
    pub fn new(x: &[f32; BLOCK]) -> Self {
        let (x, _) = x.as_chunks::<4>();
        // The bits of what is not negative are in the order of the numbers, NaN above them all.
        let bits = |x: &[f32; 4]| -> i32x4 { cast(load(x).abs()) };
        let [a, b, c, d] = x
            .iter()
            .fold(i32x4::ZERO, |max, x| max.max(bits(x)))
            .to_array();
        let scale = f32::from_bits(a.max(b).max(c).max(d).cast_unsigned()) / 127.0;
        let inverse = f32x4::splat(if scale > 0.0 { 1.0 / scale } else { 0.0 });
        let mut q = [[0; 4]; BLOCK / 4];
        let (mut sum, mut below) = (i32x4::ZERO, i32x4::ZERO);
        for (q, x) in q.iter_mut().zip(x) {
            let rounded = (load(x) * inverse).round_int();
            sum += rounded;
            below -= rounded.min(i32x4::ZERO);
            *q = rounded.to_array().map(|q| q as i8);
        }
        let sum = scale * sum.reduce_add() as f32;
        Self {
            q: cast(q),
            scale_sum: [scale, sum, below.reduce_add() as f32, 0.0],
        }
    }

    /// The rounded bytes in column order and their scale.
    pub fn unpack(&self) -> ([i8; BLOCK], f32) {
        (cast(self.q), self.scale_sum[0])
    }

    /// `scale` and `scale · Σ q`, in all lanes.
    #[inline(always)]
    pub(crate) fn scale_sum(&self) -> (f32x4, f32x4) {
        let [scale, sum, ..] = lanes(cast(self.scale_sum));
        (cast(scale), cast(sum))
    }
}

/// A [`QuantBlock`] for machines that multiply 16-bit numbers: pairs of them, in the order in
/// which shifting and masking a weight word yields its columns, for each eight columns (0,2) (1,3)
/// (4,6) (5,7). One 32-bit broadcast then feeds one multiply-add of four rows.
pub(crate) type Pairs = [[[i16; 2]; 4]; 4];

/// Columns of each pair, within eight.
const PAIRS: [(usize, usize); 4] = [(0, 2), (1, 3), (4, 6), (5, 7)];

fn pairs(block: &QuantBlock) -> Pairs {
    let eights: [[i8; 8]; 4] = cast(block.q);
    eights.map(|q| PAIRS.map(|(low, high)| [q[low].into(), q[high].into()]))
}

/// The input of matrix products, `[n, cols]`.
#[derive(Debug)]
pub struct Activations {
    /// Rows.
    pub(crate) n: usize,
    /// Columns.
    pub(crate) cols: usize,
    pub(crate) x: Vec<f32>,
    /// `x` as the f32 kernels read it, once one has asked.
    pub(crate) tiles: OnceCell<Vec<Tile<f32>>>,
    /// Sum of each block of 32, `[n, cols / 32]`; empty if `cols` is no multiple.
    pub(crate) sums: Vec<f32>,
    /// `[n, cols / 32]` in `fast` precision, else empty.
    pub(crate) quant: Vec<QuantBlock>,
    /// What multiplies bytes, if this machine has it; the products are the same without.
    pub(crate) machine: Option<Machine>,
    /// Beside `quant`, without a machine.
    pub(crate) pairs: Vec<Pairs>,
    /// `quant` as a machine reads it for many rows, once one has asked.
    pub(crate) byte_tiles: OnceCell<Vec<Tile<u32>>>,
    /// Rounded by a multiplier that the file gives.
    pub(crate) rounded: Rounded,
}

/// Numbers `x ≈ q / multiplier`, `q` in −127..=127, four columns to a word.
#[derive(Debug, Default)]
pub(crate) struct Rounded {
    /// For machines that multiply by seven bits ([`Second::Seven`]) `max(q, 0)`, `[n, cols / 4]`.
    pub(crate) plus: Vec<u32>,
    /// And `max(−q, 0)`, `[n, cols / 4]`; empty if nothing is negative.
    pub(crate) minus: Vec<u32>,
    /// Without a machine, in place of both: columns (0, 2) and (1, 3).
    pub(crate) pairs: Vec<[[i16; 2]; 2]>,
    /// `q + 127`, `[n, cols / 4]`.
    pub(crate) shifted: Vec<u32>,
}

impl Rounded {
    /// Numbers `at` and `at + 1` of `[n, cols]`, shifted; `at` is even.
    #[inline]
    pub fn two(&self, at: usize) -> [i32; 2] {
        let [a, b, c, d] = self.shifted[at / 4].to_le_bytes();
        let two = if at.is_multiple_of(4) { [a, b] } else { [c, d] };
        two.map(i32::from)
    }
}

impl Default for Activations {
    fn default() -> Self {
        Self::on(Machine::detect())
    }
}

impl Activations {
    /// No numbers yet, for a way to multiply.
    pub(crate) fn on(machine: Option<Machine>) -> Self {
        Self {
            n: 0,
            cols: 0,
            x: Vec::new(),
            tiles: OnceCell::new(),
            sums: Vec::new(),
            quant: Vec::new(),
            machine,
            pairs: Vec::new(),
            byte_tiles: OnceCell::new(),
            rounded: Rounded::default(),
        }
    }

    /// Takes `[n, cols]` numbers and rounds `multiplier` times each of them to a byte, halves to the
    /// even neighbour. `cols` is a multiple of four.
    pub fn round(&mut self, x: &[f32], cols: usize, multiplier: f32) {
        (self.n, self.cols) = (x.len() / cols.max(1), cols);
        self.x.clear();
        self.tiles.take();
        self.byte_tiles.take();
        self.x.extend_from_slice(x);
        self.quant.clear();
        self.sums.clear();
        let Rounded {
            plus,
            minus,
            pairs,
            shifted,
        } = &mut self.rounded;
        plus.clear();
        minus.clear();
        pairs.clear();
        shifted.clear();
        let (low, high) = (f32x4::splat(-127.0), f32x4::splat(127.0));
        let mut any = false;
        for x in x.as_chunks::<4>().0 {
            let q = load(x) * f32x4::splat(multiplier);
            let q = q.max(low).min(high).round_int().to_array();
            shifted.push(u32::from_le_bytes(q.map(|q| (q + 127) as u8)));
            match self.machine.map(Machine::second) {
                None => {
                    let [a, b, c, d] = q.map(|q| q as i16);
                    pairs.push([[a, c], [b, d]]);
                    continue;
                }
                Some(Second::Whole | Second::Saturating) => continue,
                Some(Second::Seven) => {}
            }
            plus.push(u32::from_le_bytes(q.map(|q| q.max(0) as u8)));
            let below = u32::from_le_bytes(q.map(|q| (-q).max(0) as u8));
            any |= below != 0;
            minus.push(below);
        }
        if !any {
            minus.clear();
        }
    }

    /// Takes `[n, cols]` numbers, reusing memory.
    pub fn prepare(&mut self, x: &[f32], cols: usize, precision: Precision) {
        self.n = x.len() / cols.max(1);
        self.cols = cols;
        self.x.clear();
        self.tiles.take();
        self.byte_tiles.take();
        self.x.extend_from_slice(x);
        self.sums.clear();
        self.quant.clear();
        self.pairs.clear();
        self.rounded.shifted.clear();
        self.rounded.pairs.clear();
        if !cols.is_multiple_of(BLOCK) {
            return;
        }
        let (blocks, _) = x.as_chunks::<BLOCK>();
        match precision {
            Precision::Exact => self.sums.extend(blocks.iter().map(|x| {
                let four = |sum: f32x4, x: &[f32; 4]| sum + load(x);
                x.as_chunks().0.iter().fold(f32x4::ZERO, four).reduce_add()
            })),
            Precision::Fast => {
                self.quant.extend(blocks.iter().map(QuantBlock::new));
                if self.machine.is_none() {
                    self.pairs.extend(self.quant.iter().map(pairs));
                }
            }
        }
    }
}
