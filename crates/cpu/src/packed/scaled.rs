//! Bytes with one scale for the whole matrix, Marian's `intgemm8`.

use bytemuck::Zeroable;
use glassformer_graph::ExecError;

use super::{LANES, Matrix};

/// Four rows × four columns of signed bytes, 16 bytes: word `lane` holds the columns of that row.
#[derive(Clone, Copy, Debug, Zeroable)]
#[repr(C, align(16))]
pub struct I8Block {
    pub(crate) q: [u32; LANES],
}

impl I8Block {
    /// Columns it covers.
    pub const COLS: usize = 4;
}

/// A matrix of bytes, `w = q / multiplier`.
#[derive(Clone, Debug)]
pub struct Scaled {
    pub(crate) matrix: Matrix<I8Block>,
    /// What weights were multiplied by before they were rounded.
    pub(crate) multiplier: f32,
    /// What inputs are multiplied by before they are rounded, if the file says so.
    pub(crate) rounding: Option<f32>,
    /// `Σ q` of each row; rows beyond the last are zero.
    pub(crate) sums: Vec<i32>,
    /// Pairs of neighbours that may overflow, in order of rows.
    pub(crate) loud: Vec<Loud>,
}

/// Two neighbours in a row, so large and of one sign that their products with two bytes may leave the 16
/// bits in which intgemm adds them, and stay at the limit. There are few: a thousand in a student.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loud {
    pub(crate) row: u32,
    /// Of the first; even.
    pub(crate) column: u32,
    pub(crate) q: [i8; 2],
}

impl Loud {
    /// From here on, the sum of both with inputs of 254, the largest, is beyond 16 bits.
    const LEAST: i16 = 130;

    fn is(q: [i8; 2]) -> bool {
        (i16::from(q[0]) + i16::from(q[1])).abs() >= Self::LEAST
    }

    /// By how much `q·x` is beyond 16 bits; `x` in 0..=254.
    #[inline]
    pub(crate) fn overflow(self, x: [i32; 2]) -> i32 {
        let [a, b] = self.q.map(i32::from);
        let sum = a * x[0] + b * x[1];
        sum - sum.clamp(i16::MIN.into(), i16::MAX.into())
    }
}

impl Scaled {
    pub(super) fn zeroed(rows: usize, cols: usize) -> Result<Self, ExecError> {
        let groups = rows.div_ceil(LANES);
        let count = groups.saturating_mul(cols / I8Block::COLS);
        let mut blocks = Vec::new();
        blocks
            .try_reserve_exact(count)
            .map_err(|_| ExecError::OutOfMemory {
                bytes: count.saturating_mul(size_of::<I8Block>()),
            })?;
        blocks.resize(count, I8Block::zeroed());
        Ok(Self {
            matrix: Matrix { rows, cols, blocks },
            multiplier: 1.0,
            rounding: None,
            sums: Vec::new(),
            loud: Vec::new(),
        })
    }

    /// Stores bytes of the file's order, the first of them at place `first`.
    pub(super) fn put(&mut self, first: usize, bytes: &[u8]) {
        let Matrix { cols, blocks, .. } = &mut self.matrix;
        let per_row = *cols / I8Block::COLS;
        let (mut row, mut col) = (first / *cols, first % *cols);
        for &byte in bytes {
            let word = &mut blocks[row / LANES * per_row + col / I8Block::COLS].q[row % LANES];
            let shift = 8 * (col % I8Block::COLS);
            *word = *word & !(0xff << shift) | u32::from(byte) << shift;
            col += 1;
            if col == *cols {
                (row, col) = (row + 1, 0);
            }
        }
    }

    /// Takes the multiplier, once all bytes are there.
    pub(super) fn finish(&mut self, multiplier: f32) {
        self.multiplier = multiplier;
        self.sums.clear();
        let per_row = self.matrix.cols / I8Block::COLS;
        self.loud.clear();
        let groups = self.matrix.blocks.chunks_exact(per_row.max(1));
        for (group, blocks) in groups.enumerate() {
            let mut sums = [0; LANES];
            for (n, block) in blocks.iter().enumerate() {
                for (lane, word) in block.q.into_iter().enumerate() {
                    let [a, b, c, d] = bytes(word);
                    sums[lane] += [a, b, c, d].map(i32::from).iter().sum::<i32>();
                    for (q, at) in [([a, b], 0), ([c, d], 2)] {
                        if Loud::is(q) {
                            let row = (group * LANES + lane) as u32;
                            let column = (n * I8Block::COLS + at) as u32;
                            self.loud.push(Loud { row, column, q });
                        }
                    }
                }
            }
            self.sums.extend(sums);
        }
        self.loud.sort_by_key(|pair| (pair.row, pair.column));
    }

    /// Row `row`, dequantised as Marian does.
    pub(super) fn row(&self, row: usize, out: &mut [f32]) {
        let scale = 1.0 / self.multiplier;
        let per_row = self.matrix.cols / I8Block::COLS;
        let blocks = &self.matrix.blocks[row / LANES * per_row..][..per_row];
        for (block, out) in blocks.iter().zip(out.chunks_exact_mut(I8Block::COLS)) {
            for (out, q) in out.iter_mut().zip(bytes(block.q[row % LANES])) {
                *out = f32::from(q) * scale;
            }
        }
    }

    /// The matrix of chosen rows.
    ///
    /// # Errors
    /// If memory is short.
    pub(crate) fn select(&self, rows: &[u32]) -> Result<Self, ExecError> {
        let mut chosen = Self::zeroed(rows.len(), self.matrix.cols)?;
        let per_row = self.matrix.cols / I8Block::COLS;
        chosen.sums = vec![0; rows.len().next_multiple_of(LANES)];
        for (to, &from) in rows.iter().enumerate() {
            let from = from as usize;
            let source = &self.matrix.blocks[from / LANES * per_row..][..per_row];
            let target = &mut chosen.matrix.blocks[to / LANES * per_row..][..per_row];
            for (target, source) in target.iter_mut().zip(source) {
                target.q[to % LANES] = source.q[from % LANES];
            }
            chosen.sums[to] = self.sums[from];
            let first = self.loud.partition_point(|pair| (pair.row as usize) < from);
            let pairs = self.loud[first..].iter();
            let pairs = pairs.take_while(|pair| pair.row as usize == from);
            let row = to as u32;
            chosen.loud.extend(pairs.map(|&pair| Loud { row, ..pair }));
        }
        (chosen.multiplier, chosen.rounding) = (self.multiplier, self.rounding);
        Ok(chosen)
    }
}

/// The columns of a word.
pub(crate) fn bytes(word: u32) -> [i8; 4] {
    word.to_le_bytes().map(u8::cast_signed)
}
