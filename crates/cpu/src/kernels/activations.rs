//! What a matrix product needs to know of its input, prepared once for all matrices that read it.

use glassformer_graph::{BLOCK, Precision};

/// 32 activations rounded to signed bytes: `x ≈ scale·q`, `q` in −127..=127 and
/// `scale = max|x| / 127`.
///
/// The bytes are kept as pairs of i16, in the order in which shifting and masking a weight word
/// yields its columns: for each eight columns (0,2) (1,3) (4,6) (5,7). One 32-bit broadcast then
/// feeds one multiply-add of four rows.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct QuantBlock {
    pub(crate) pairs: [i32; BLOCK / 2],
    pub(crate) scale: f32,
    /// `scale · Σ q`, for the minima of 4-bit blocks.
    pub(crate) sum: f32,
}

/// Columns of each pair, within eight.
const PAIRS: [(usize, usize); 4] = [(0, 2), (1, 3), (4, 6), (5, 7)];

impl QuantBlock {
    /// Rounds 32 numbers.
    pub fn new(x: &[f32; BLOCK]) -> Self {
        let max = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        let scale = max / 127.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let q = x.map(|x| (x * inverse).round_ties_even() as i32);
        let mut pairs = [0; BLOCK / 2];
        for (pair, out) in pairs.iter_mut().enumerate() {
            let (low, high) = PAIRS[pair % 4];
            let base = pair / 4 * 8;
            *out = (q[base + low] & 0xffff) | q[base + high] << 16;
        }
        let sum = scale * q.iter().sum::<i32>() as f32;
        Self { pairs, scale, sum }
    }

    /// The rounded bytes in column order and their scale.
    pub fn unpack(&self) -> ([i8; BLOCK], f32) {
        let mut q = [0; BLOCK];
        for (pair, word) in self.pairs.iter().enumerate() {
            let (low, high) = PAIRS[pair % 4];
            q[pair / 4 * 8 + low] = *word as i8;
            q[pair / 4 * 8 + high] = (word >> 16) as i8;
        }
        (q, self.scale)
    }
}

/// The input of matrix products, `[n, cols]`.
#[derive(Debug, Default)]
pub struct Activations {
    /// Rows.
    pub(crate) n: usize,
    /// Columns.
    pub(crate) cols: usize,
    pub(crate) x: Vec<f32>,
    /// Sum of each block of 32, `[n, cols / 32]`; empty if `cols` is no multiple.
    pub(crate) sums: Vec<f32>,
    /// `[n, cols / 32]` in `fast` precision, else empty.
    pub(crate) quant: Vec<QuantBlock>,
}

impl Activations {
    /// Takes `[n, cols]` numbers, reusing memory.
    pub fn prepare(&mut self, x: &[f32], cols: usize, precision: Precision) {
        self.n = x.len() / cols.max(1);
        self.cols = cols;
        self.x.clear();
        self.x.extend_from_slice(x);
        self.sums.clear();
        self.quant.clear();
        if !cols.is_multiple_of(BLOCK) {
            return;
        }
        let (blocks, _) = x.as_chunks::<BLOCK>();
        match precision {
            Precision::Exact => self
                .sums
                .extend(blocks.iter().map(|x| x.iter().sum::<f32>())),
            Precision::Fast => self.quant.extend(blocks.iter().map(QuantBlock::new)),
        }
    }
}
