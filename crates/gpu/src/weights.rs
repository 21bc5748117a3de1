//! Weights in the GPU's own layouts: repacked block by block while they stream in, so that they
//! never stay in the memory they came through.
//!
//! A format's layout is described at the top of `shaders/include/weights_*.wgsl`.

use glassformer_graph::{BLOCK, BlockStream, Encoding, ExecError, WeightDecl};
use half::{bf16, f16};

/// How the GPU stores a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// 4-bit blocks with scale and minimum.
    Q4,
    /// 8-bit blocks with a scale.
    Q8,
    /// Bytes with a scale for each row.
    I8,
    /// Half precision.
    F16,
    /// Single precision.
    F32,
}

/// Numbers to which rows are padded where numbers are stored one by one.
const PAD: usize = 16;

/// Bytes that are written at once.
const WORD: usize = 4;

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Q4, Self::Q8, Self::I8, Self::F16, Self::F32];

    /// The format that holds an encoding's numbers exactly.
    pub fn of(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Q4_0 | Encoding::Q4_1 => Self::Q4,
            Encoding::Q8_0 => Self::Q8,
            Encoding::F16 => Self::F16,
            Encoding::F32 | Encoding::BF16 => Self::F32,
            Encoding::I8 => Self::I8,
        }
    }

    /// Whether scales are apart from the numbers.
    pub fn has_scales(self) -> bool {
        matches!(self, Self::Q4 | Self::Q8 | Self::I8)
    }

    /// Whether a block of 32 numbers has a scale of its own.
    fn is_blocks(self) -> bool {
        matches!(self, Self::Q4 | Self::Q8)
    }

    /// Bytes of the numbers of a row of `cols`.
    pub fn row_bytes(self, cols: usize) -> usize {
        match self {
            Self::Q4 => cols / 2,
            Self::Q8 => cols,
            Self::I8 => cols.next_multiple_of(PAD),
            Self::F16 => cols.next_multiple_of(PAD) * 2,
            Self::F32 => cols.next_multiple_of(PAD) * 4,
        }
    }

    /// Bytes of one block's scale.
    fn scale_bytes(self) -> usize {
        match self {
            Self::Q4 => 4,
            Self::Q8 => 2,
            Self::I8 | Self::F16 | Self::F32 => 0,
        }
    }

    /// Bytes of a number, where numbers are stored one by one.
    fn number_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I8 | Self::Q4 | Self::Q8 => 1,
        }
    }

    /// Bytes of the scales of `rows` rows, in whole words.
    pub fn scales_bytes(self, rows: usize, cols: usize) -> usize {
        match self {
            Self::I8 => rows * size_of::<f32>(),
            _ => (rows * (cols / BLOCK) * self.scale_bytes()).next_multiple_of(4),
        }
    }
}

/// Where a matrix is in its buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// Its buffers' layout.
    pub format: Format,
    /// Which pair of buffers.
    pub store: usize,
    /// Its first row there.
    pub row0: usize,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Rows in each pair of buffers from `store` on: all of them, unless they are more than one
    /// binding takes.
    pub part_rows: usize,
}

impl Matrix {
    /// Whether one pair of buffers has it all.
    pub fn is_whole(self) -> bool {
        self.part_rows >= self.rows
    }

    /// What each pair of buffers has of it, and the row that begins with.
    pub fn parts(self) -> impl Iterator<Item = (usize, Self)> {
        let starts = (0..self.rows).step_by(self.part_rows.max(1));
        starts.enumerate().map(move |(i, first)| {
            let rows = self.part_rows.min(self.rows - first);
            let part = Self {
                store: self.store + i,
                rows,
                part_rows: rows,
                ..self
            };
            (first, part)
        })
    }
}

/// Bytes for a buffer, at an offset that WebGPU takes.
#[derive(Debug, Default, PartialEq)]
pub struct Patch {
    /// From the buffer's beginning, a multiple of four.
    pub offset: usize,
    /// Whole words.
    pub bytes: Vec<u8>,
}

/// Repacks one matrix.
#[derive(Debug)]
pub struct Filling {
    blocks: BlockStream,
    matrix: Matrix,
    /// Scales or numbers whose word's rest is still to come.
    waiting: Vec<u8>,
}

impl Filling {
    /// Starts a matrix. Its first row must begin a word of scales: `row0 · cols / 32` even for Q8.
    pub fn new(decl: &WeightDecl, encoding: Encoding, matrix: Matrix) -> Self {
        Self {
            blocks: BlockStream::new(decl, encoding),
            matrix,
            waiting: Vec::new(),
        }
    }

    /// Takes the next bytes of the file; gives what to write to the numbers and to the scales.
    ///
    /// # Errors
    /// If more bytes come than the matrix has.
    pub fn push(&mut self, decl: &WeightDecl, bytes: &[u8]) -> Result<[Patch; 2], ExecError> {
        let Self {
            blocks,
            matrix,
            waiting,
        } = self;
        let encoding = blocks.encoding();
        let mut patches: Vec<[Patch; 2]> = Vec::new();
        blocks.push(decl, bytes, |first, bytes| {
            patches.push(repack(*matrix, encoding, waiting, first, bytes));
        })?;
        Ok(join(patches))
    }

    /// Checks that all came, and gives what is left to write to the scales.
    ///
    /// # Errors
    /// If bytes are missing.
    pub fn finish(&mut self, decl: &WeightDecl) -> Result<Patch, ExecError> {
        self.blocks.check(decl)?;
        let Matrix {
            format,
            row0,
            rows,
            cols,
            ..
        } = self.matrix;
        if format == Format::I8 {
            // What weights were multiplied by before they were rounded, as the CPU takes it back.
            let tail = <[u8; 4]>::try_from(self.blocks.tail()).unwrap_or_default();
            let scale = (1.0 / f32::from_le_bytes(tail)).to_le_bytes();
            return Ok(Patch {
                offset: row0 * size_of::<f32>(),
                bytes: scale.repeat(rows),
            });
        }
        let mut bytes = std::mem::take(&mut self.waiting);
        if bytes.is_empty() {
            return Ok(Patch::default());
        }
        let end = (row0 + rows) * (cols / BLOCK) * format.scale_bytes();
        let offset = end - bytes.len();
        bytes.resize(bytes.len().next_multiple_of(WORD), 0);
        Ok(Patch { offset, bytes })
    }
}

/// A push gives at most a finished block and a run of blocks, one behind the other. Between them
/// there is at most the padding of a row that the block ended.
fn join(patches: Vec<[Patch; 2]>) -> [Patch; 2] {
    let mut patches = patches.into_iter();
    let mut joined = patches.next().unwrap_or_default();
    for next in patches {
        for (patch, next) in joined.iter_mut().zip(next) {
            if patch.bytes.is_empty() {
                *patch = next;
            } else if !next.bytes.is_empty() {
                patch.bytes.resize(next.offset - patch.offset, 0);
                patch.bytes.extend(next.bytes);
            }
        }
    }
    joined
}

fn repack(
    matrix: Matrix,
    encoding: Encoding,
    waiting: &mut Vec<u8>,
    first: usize,
    bytes: &[u8],
) -> [Patch; 2] {
    let size = encoding.block_bytes();
    let count = bytes.len() / size;
    let Matrix { format, cols, .. } = matrix;
    if !format.is_blocks() {
        let numbers = dense(matrix, encoding, waiting, first, bytes);
        return [numbers, Patch::default()];
    }
    let before = matrix.row0 * (cols / BLOCK) + first;
    let block_bytes = format.row_bytes(BLOCK);
    let mut numbers = Vec::with_capacity(count * block_bytes);
    let scales_at = before * format.scale_bytes() - waiting.len();
    let mut scales = std::mem::take(waiting);
    scales.reserve(count * format.scale_bytes());
    for block in bytes.chunks_exact(size) {
        let (scale, rest) = block.split_at(2);
        scales.extend_from_slice(scale);
        let rest = match encoding {
            Encoding::Q4_1 => {
                scales.extend_from_slice(&rest[..2]);
                &rest[2..]
            }
            Encoding::Q4_0 => {
                // d·(q − 8) = d·q − 8d, and eight times an f16 is exact.
                let d = f16::from_le_bytes([scale[0], scale[1]]).to_f32();
                scales.extend(f16::from_f32(d * -8.0).to_le_bytes());
                rest
            }
            _ => rest,
        };
        numbers.extend_from_slice(rest);
    }
    *waiting = scales.split_off(scales.len() / WORD * WORD);
    [
        Patch {
            offset: before * block_bytes,
            bytes: numbers,
        },
        Patch {
            offset: scales_at,
            bytes: scales,
        },
    ]
}

/// Numbers stored one by one go to padded rows; WebGPU zeroes buffers, so the padding needs no
/// writing. Writes are whole words: what does not fill one waits for its neighbours, unless it ends
/// a row.
fn dense(
    matrix: Matrix,
    encoding: Encoding,
    waiting: &mut Vec<u8>,
    first: usize,
    bytes: &[u8],
) -> Patch {
    let Matrix {
        format, cols, row0, ..
    } = matrix;
    let element_bytes = encoding.block_bytes();
    let width = format.number_bytes();
    let stride = format.row_bytes(cols);
    let place = |element: usize| (row0 + element / cols) * stride + element % cols * width;
    let count = bytes.len() / element_bytes;
    if count == 0 {
        return Patch::default();
    }
    let start = place(first) - waiting.len();
    let end = place(first + count - 1) + width;
    let mut out = std::mem::take(waiting);
    out.resize(end - start, 0);
    if encoding == Encoding::BF16 {
        for (i, element) in bytes.chunks_exact(element_bytes).enumerate() {
            let wide = bf16::from_le_bytes([element[0], element[1]]).to_f32();
            let at = place(first + i) - start;
            out[at..at + width].copy_from_slice(&wide.to_le_bytes());
        }
    } else {
        // Row by row: elements of a row lie as they come.
        let (mut element, mut rest) = (first, bytes);
        while !rest.is_empty() {
            let in_row = (cols - element % cols).min(rest.len() / element_bytes);
            let (row, later) = rest.split_at(in_row * element_bytes);
            let at = place(element) - start;
            out[at..at + row.len()].copy_from_slice(row);
            (element, rest) = (element + in_row, later);
        }
    }
    if (first + count).is_multiple_of(cols) {
        out.resize(out.len().next_multiple_of(WORD), 0);
    } else {
        *waiting = out.split_off(out.len() / WORD * WORD);
    }
    Patch {
        offset: start,
        bytes: out,
    }
}

/// A vector as f32.
pub fn vector(encoding: Encoding, bytes: &[u8], out: &mut Vec<f32>) {
    match encoding {
        Encoding::F32 => {
            let word = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            out.extend(bytes.chunks_exact(4).map(word));
        }
        Encoding::F16 => {
            let word = |b: &[u8]| f16::from_le_bytes([b[0], b[1]]).to_f32();
            out.extend(bytes.chunks_exact(2).map(word));
        }
        Encoding::BF16 => {
            let word = |b: &[u8]| bf16::from_le_bytes([b[0], b[1]]).to_f32();
            out.extend(bytes.chunks_exact(2).map(word));
        }
        // The layout takes no vector in blocks.
        _ => {}
    }
}
