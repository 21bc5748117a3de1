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
        let per_row = self.matrix.cols / I8Block::COLS;
        let groups = self.matrix.blocks.chunks_exact(per_row.max(1));
        self.sums = groups
            .flat_map(|group| {
                let mut sums = [0; LANES];
                for block in group {
                    for (sum, word) in sums.iter_mut().zip(block.q) {
                        *sum += bytes(word).map(i32::from).iter().sum::<i32>();
                    }
                }
                sums
            })
            .collect();
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
        }
        (chosen.multiplier, chosen.rounding) = (self.multiplier, self.rounding);
        Ok(chosen)
    }
}

/// The columns of a word.
pub(crate) fn bytes(word: u32) -> [i8; 4] {
    word.to_le_bytes().map(u8::cast_signed)
}
