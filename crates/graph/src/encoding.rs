//! How the numbers of a weight are stored, in a file or in memory.

use std::fmt;

/// Elements in one quantised block; the same for every block type we read.
pub const BLOCK: usize = 32;

/// Storage of a weight. The block formats are ggml's: `BLOCK` consecutive
/// elements of a row share a scale (and, for `Q4_1`, a minimum), all in f16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types)]
pub enum Encoding {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    BF16,
    /// `w = d·q`, `q` a signed byte: 34 bytes a block.
    Q8_0,
    /// `w = d·(q − 8)`, `q` in 0..16: 18 bytes a block. Byte `j` holds element `j` in its low
    /// half and element `j + 16` in its high half.
    Q4_0,
    /// `w = d·q + m`, `q` in 0..16: 20 bytes a block, nibbles as in `Q4_0`.
    Q4_1,
    /// `w = q / m`, `q` a signed byte and `m` one f32 for the whole tensor, which follows the last
    /// byte: Marian's `intgemm8`.
    I8,
}

impl Encoding {
    /// Every encoding that is blocks and nothing else.
    pub const ALL: [Self; 6] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
    ];

    /// Elements that are stored together: 1 or [`BLOCK`].
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 | Self::I8 => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 => BLOCK,
        }
    }

    /// Bytes of one block of [`Self::block_len`] elements.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::I8 => 1,
        }
    }

    /// Bytes behind the last block, which belong to the whole tensor.
    pub const fn tail_bytes(self) -> usize {
        match self {
            Self::I8 => 4,
            _ => 0,
        }
    }

    /// Bytes that `elements` take, or `None` if they are no whole number of blocks or overflow.
    pub const fn bytes_for(self, elements: usize) -> Option<usize> {
        if !elements.is_multiple_of(self.block_len()) {
            return None;
        }
        match (elements / self.block_len()).checked_mul(self.block_bytes()) {
            Some(bytes) => bytes.checked_add(self.tail_bytes()),
            None => None,
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::I8 => "I8",
        })
    }
}
