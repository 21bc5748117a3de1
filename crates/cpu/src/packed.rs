//! Weights as the kernels read them: four rows side by side, so that one SIMD lane belongs to one
//! row, sums need no horizontal step, and an activation is broadcast once for four rows.

use bytemuck::Zeroable;
use glassformer_graph::{BLOCK, BlockStream, Encoding, ExecError, WeightDecl};
use half::{bf16, f16};

mod scaled;

pub(crate) use scaled::Loud;
pub use scaled::{I8Block, Scaled};

/// Rows that are computed together, one per SIMD lane.
pub const LANES: usize = 4;

/// Four rows × 32 columns of 4-bit numbers, 80 bytes: what 20-byte `Q4_1` blocks take.
///
/// Word `q[v][lane]` holds columns `8v..8v+8` of row `lane`: byte `n` has column `8v + n` in its
/// low half and `8v + 4 + n` in its high half. `scale_min[lane]` holds two f16: the scale `d` in
/// the low half, the minimum `m` in the high half. `w = d·q + m`.
#[derive(Clone, Copy, Debug, Zeroable)]
#[repr(C, align(16))]
pub struct Q4Block {
    pub(crate) q: [[u32; LANES]; 4],
    pub(crate) scale_min: [u32; LANES],
}

/// Four rows × 32 columns of signed bytes, 144 bytes. Word `q[v][lane]` holds columns
/// `4v..4v+4` of row `lane`. `w = scale·q`.
#[derive(Clone, Copy, Debug, Zeroable)]
#[repr(C, align(16))]
pub struct Q8Block {
    pub(crate) q: [[u32; LANES]; 8],
    pub(crate) scale: [f32; LANES],
}

/// Four rows × one column of f32.
#[derive(Clone, Copy, Debug, Zeroable)]
#[repr(C, align(16))]
pub struct F32Block(pub(crate) [f32; LANES]);

/// Four rows × one column of f16.
#[derive(Clone, Copy, Debug, Zeroable)]
#[repr(C, align(8))]
pub struct F16Block(pub(crate) [u16; LANES]);

/// Four rows × one column of bf16.
#[derive(Clone, Copy, Debug, Zeroable)]
#[repr(C, align(8))]
pub struct Bf16Block(pub(crate) [u16; LANES]);

/// A matrix `[rows, cols]` in groups of four rows; rows beyond the last are zero.
#[derive(Clone, Debug)]
pub struct Matrix<B> {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) blocks: Vec<B>,
}

impl<B> Matrix<B> {
    /// Blocks of one group of four rows.
    pub(crate) fn group(&self, group: usize) -> &[B] {
        let per_group = self.blocks.len() / self.rows.div_ceil(LANES).max(1);
        &self.blocks[group * per_group..(group + 1) * per_group]
    }
}

impl<B: Block> Matrix<B> {
    fn zeroed(rows: usize, cols: usize) -> Result<Self, ExecError> {
        let groups = rows.div_ceil(LANES);
        let bytes = groups
            .saturating_mul(cols / B::COLS)
            .saturating_mul(size_of::<B>());
        let count = bytes / size_of::<B>();
        let mut blocks = Vec::new();
        blocks
            .try_reserve_exact(count)
            .map_err(|_| ExecError::OutOfMemory { bytes })?;
        blocks.resize(count, B::zeroed());
        Ok(Self { rows, cols, blocks })
    }

    fn put(&mut self, encoding: Encoding, index: usize, bytes: &[u8]) {
        let per_row = self.cols / B::COLS;
        let (row, block) = (index / per_row, index % per_row);
        self.blocks[row / LANES * per_row + block].put(row % LANES, encoding, bytes);
    }

    fn row(&self, row: usize, out: &mut [f32]) {
        let blocks = self.group(row / LANES);
        for (block, out) in blocks.iter().zip(out.chunks_exact_mut(B::COLS)) {
            block.get(row % LANES, out);
        }
    }
}

/// One block of four rows.
pub trait Block: Copy + Zeroable {
    /// Columns it covers.
    const COLS: usize;

    /// Stores one row's part, as the file has it.
    fn put(&mut self, lane: usize, encoding: Encoding, bytes: &[u8]);

    /// One row's part, dequantised.
    fn get(&self, lane: usize, out: &mut [f32]);
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn half_at(bytes: &[u8]) -> f16 {
    f16::from_le_bytes([bytes[0], bytes[1]])
}

impl Block for Q4Block {
    const COLS: usize = BLOCK;

    fn put(&mut self, lane: usize, encoding: Encoding, bytes: &[u8]) {
        let scale = half_at(bytes);
        let (min, nibbles) = if encoding == Encoding::Q4_1 {
            (half_at(&bytes[2..]), &bytes[4..])
        } else {
            // d·(q − 8) = d·q − 8d, and eight times an f16 is exact.
            (f16::from_f32(scale.to_f32() * -8.0), &bytes[2..])
        };
        self.scale_min[lane] = u32::from(scale.to_bits()) | u32::from(min.to_bits()) << 16;
        // ggml's byte j holds columns j and j + 16; ours are eight neighbours to a word.
        const LOW: u32 = 0x0f0f_0f0f;
        for pair in 0..2 {
            let (a, b) = (word(&nibbles[8 * pair..]), word(&nibbles[8 * pair + 4..]));
            self.q[pair][lane] = a & LOW | (b & LOW) << 4;
            self.q[pair + 2][lane] = a >> 4 & LOW | b & !LOW;
        }
    }

    fn get(&self, lane: usize, out: &mut [f32]) {
        let halves = self.scale_min[lane];
        let scale = f16::from_bits(halves as u16).to_f32();
        let min = f16::from_bits((halves >> 16) as u16).to_f32();
        for (v, out) in out.chunks_exact_mut(8).enumerate() {
            for (n, byte) in self.q[v][lane].to_le_bytes().into_iter().enumerate() {
                out[n] = f32::from(byte & 15) * scale + min;
                out[n + 4] = f32::from(byte >> 4) * scale + min;
            }
        }
    }
}

impl Block for Q8Block {
    const COLS: usize = BLOCK;

    fn put(&mut self, lane: usize, _: Encoding, bytes: &[u8]) {
        self.scale[lane] = half_at(bytes).to_f32();
        for v in 0..8 {
            self.q[v][lane] = word(&bytes[2 + 4 * v..]);
        }
    }

    fn get(&self, lane: usize, out: &mut [f32]) {
        for (v, out) in out.chunks_exact_mut(4).enumerate() {
            for (out, byte) in out.iter_mut().zip(self.q[v][lane].to_le_bytes()) {
                *out = f32::from(byte as i8) * self.scale[lane];
            }
        }
    }
}

impl Block for F32Block {
    const COLS: usize = 1;

    fn put(&mut self, lane: usize, _: Encoding, bytes: &[u8]) {
        self.0[lane] = f32::from_bits(word(bytes));
    }

    fn get(&self, lane: usize, out: &mut [f32]) {
        out[0] = self.0[lane];
    }
}

impl Block for F16Block {
    const COLS: usize = 1;

    fn put(&mut self, lane: usize, _: Encoding, bytes: &[u8]) {
        self.0[lane] = half_at(bytes).to_bits();
    }

    fn get(&self, lane: usize, out: &mut [f32]) {
        out[0] = f16::from_bits(self.0[lane]).to_f32();
    }
}

impl Block for Bf16Block {
    const COLS: usize = 1;

    fn put(&mut self, lane: usize, _: Encoding, bytes: &[u8]) {
        self.0[lane] = half_at(bytes).to_bits();
    }

    fn get(&self, lane: usize, out: &mut [f32]) {
        out[0] = bf16::from_bits(self.0[lane]).to_f32();
    }
}

/// A weight in memory.
#[derive(Debug)]
pub enum Packed {
    /// Gains and biases, dequantised.
    Vector(Vec<f32>),
    /// From `Q4_0` and `Q4_1`.
    Q4(Matrix<Q4Block>),
    /// From `Q8_0`.
    Q8(Matrix<Q8Block>),
    /// From `F32`.
    F32(Matrix<F32Block>),
    /// From `F16`.
    F16(Matrix<F16Block>),
    /// From `BF16`.
    Bf16(Matrix<Bf16Block>),
    /// From `I8`.
    I8(Scaled),
}

impl Packed {
    /// Room for a weight of this shape and encoding, all zero.
    ///
    /// # Errors
    /// If a row is no whole number of blocks, the shape is neither a matrix nor a vector, or
    /// memory is short.
    pub fn zeroed(decl: &WeightDecl, encoding: Encoding) -> Result<Self, ExecError> {
        let unsupported = || ExecError::UnsupportedWeight {
            name: decl.name.clone(),
            shape: decl.shape.clone(),
            encoding,
        };
        let elements = decl.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let width = decl.shape.last().copied().unwrap_or(0);
        if elements.is_none() || width == 0 || encoding.bytes_for(width).is_none() {
            return Err(unsupported());
        }
        match (decl.shape.as_slice(), encoding) {
            (&[_], Encoding::I8) => Err(unsupported()),
            (&[rows, cols], Encoding::I8) if cols.is_multiple_of(I8Block::COLS) => {
                Scaled::zeroed(rows, cols).map(Self::I8)
            }
            (&[len], _) => Ok(Self::Vector(vec![0.0; len])),
            (&[rows, cols], Encoding::Q4_0 | Encoding::Q4_1) => {
                Matrix::zeroed(rows, cols).map(Self::Q4)
            }
            (&[rows, cols], Encoding::Q8_0) => Matrix::zeroed(rows, cols).map(Self::Q8),
            (&[rows, cols], Encoding::F32) => Matrix::zeroed(rows, cols).map(Self::F32),
            (&[rows, cols], Encoding::F16) => Matrix::zeroed(rows, cols).map(Self::F16),
            (&[rows, cols], Encoding::BF16) => Matrix::zeroed(rows, cols).map(Self::Bf16),
            _ => Err(unsupported()),
        }
    }

    /// Bytes that a weight of this shape and encoding takes here.
    pub(crate) fn bytes(decl: &WeightDecl, encoding: Encoding) -> u64 {
        let block = match (decl.shape.as_slice(), encoding) {
            ([len], _) => return *len as u64 * size_of::<f32>() as u64,
            (_, Encoding::Q4_0 | Encoding::Q4_1) => size_of::<Q4Block>(),
            (_, Encoding::Q8_0) => size_of::<Q8Block>(),
            (_, Encoding::F32) => size_of::<F32Block>(),
            (_, Encoding::F16 | Encoding::BF16) => size_of::<F16Block>(),
            // One column of four rows.
            (_, Encoding::I8) => LANES,
        };
        let elements = decl
            .shape
            .iter()
            .fold(1u64, |n, &d| n.saturating_mul(d as u64));
        elements / (LANES * encoding.block_len()) as u64 * block as u64
    }

    /// Stores block `index` of the file's order.
    fn put(&mut self, encoding: Encoding, index: usize, bytes: &[u8]) {
        match self {
            Self::Vector(data) => {
                let len = encoding.block_len();
                let out = &mut data[index * len..(index + 1) * len];
                match encoding {
                    Encoding::F32 => F32Block::decode(encoding, bytes, out),
                    Encoding::F16 => F16Block::decode(encoding, bytes, out),
                    Encoding::BF16 => Bf16Block::decode(encoding, bytes, out),
                    Encoding::Q8_0 => Q8Block::decode(encoding, bytes, out),
                    Encoding::Q4_0 | Encoding::Q4_1 => Q4Block::decode(encoding, bytes, out),
                    // Refused when room was made.
                    Encoding::I8 => {}
                }
            }
            Self::Q4(m) => m.put(encoding, index, bytes),
            Self::Q8(m) => m.put(encoding, index, bytes),
            Self::F32(m) => m.put(encoding, index, bytes),
            Self::F16(m) => m.put(encoding, index, bytes),
            Self::Bf16(m) => m.put(encoding, index, bytes),
            Self::I8(m) => m.put(index, bytes),
        }
    }

    /// Dequantises row `row` of a matrix into `out`, `[cols]`.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        match self {
            Self::Vector(data) => out.copy_from_slice(data),
            Self::Q4(m) => m.row(row, out),
            Self::Q8(m) => m.row(row, out),
            Self::F32(m) => m.row(row, out),
            Self::F16(m) => m.row(row, out),
            Self::Bf16(m) => m.row(row, out),
            Self::I8(m) => m.row(row, out),
        }
    }

    /// The matrix of chosen rows. Only bytes keep their encoding; others become f32.
    ///
    /// # Errors
    /// If memory is short.
    pub(crate) fn select(&self, rows: &[u32]) -> Result<Self, ExecError> {
        let cols = match self {
            Self::I8(m) => return m.select(rows).map(Self::I8),
            Self::Vector(data) => data.len(),
            Self::Q4(m) => m.cols,
            Self::Q8(m) => m.cols,
            Self::F32(m) => m.cols,
            Self::F16(m) => m.cols,
            Self::Bf16(m) => m.cols,
        };
        let mut chosen = Matrix::<F32Block>::zeroed(rows.len(), cols)?;
        let mut row = vec![0.0; cols];
        for (to, &from) in rows.iter().enumerate() {
            self.row(from as usize, &mut row);
            let blocks = &mut chosen.blocks[to / LANES * cols..][..cols];
            for (block, &x) in blocks.iter_mut().zip(&row) {
                block.0[to % LANES] = x;
            }
        }
        Ok(Self::F32(chosen))
    }

    /// The numbers of a vector; empty for a matrix.
    pub fn vector(&self) -> &[f32] {
        match self {
            Self::Vector(data) => data,
            _ => &[],
        }
    }
}

/// Decoding one block without a matrix around it.
trait Decode: Block {
    fn decode(encoding: Encoding, bytes: &[u8], out: &mut [f32]) {
        let mut block = Self::zeroed();
        block.put(0, encoding, bytes);
        block.get(0, out);
    }
}

impl<B: Block> Decode for B {}

/// Fills a [`Packed`] from bytes that come in order but are cut anywhere.
#[derive(Debug)]
pub struct Filling {
    pub(crate) packed: Packed,
    blocks: BlockStream,
}

impl Filling {
    pub(crate) fn new(decl: &WeightDecl, encoding: Encoding) -> Result<Self, ExecError> {
        Ok(Self {
            packed: Packed::zeroed(decl, encoding)?,
            blocks: BlockStream::new(decl, encoding),
        })
    }

    pub(crate) fn write(&mut self, decl: &WeightDecl, bytes: &[u8]) -> Result<(), ExecError> {
        let Self { packed, blocks } = self;
        let encoding = blocks.encoding();
        blocks.push(decl, bytes, |first, bytes| {
            if let Packed::I8(m) = packed {
                return m.put(first, bytes);
            }
            for (i, block) in bytes.chunks_exact(encoding.block_bytes()).enumerate() {
                packed.put(encoding, first + i, block);
            }
        })
    }

    /// Checks that all bytes came, and takes what came behind the blocks.
    pub(crate) fn finish(&mut self, decl: &WeightDecl) -> Result<(), ExecError> {
        self.blocks.check(decl)?;
        if let (Packed::I8(m), Ok(tail)) = (&mut self.packed, self.blocks.tail().try_into()) {
            m.finish(f32::from_le_bytes(tail));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
