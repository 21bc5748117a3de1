//! What a header says about its tensors, and the checks common to both formats.

use crate::error::{WeightsError, shown};
use crate::{Encoding, Metadata};

/// A tensor of a checkpoint file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name, as the file has it.
    pub name: String,
    /// Row-major, outermost dimension first (GGUF's dimensions reversed); empty for a scalar.
    pub shape: Vec<usize>,
    /// How its numbers are stored.
    pub encoding: Encoding,
    /// Where its bytes begin, from the start of the file.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

impl TensorInfo {
    /// Where its bytes end, from the start of the file.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes)
    }
}

/// The format of a checkpoint file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// ggml's format: metadata with the tokenizer, block-quantised tensors.
    Gguf,
    /// Hugging Face's format: a JSON header, plain tensors.
    Safetensors,
}

/// The header of a checkpoint file.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Which format it was read from.
    pub format: Format,
    /// Key-value pairs.
    pub metadata: Metadata,
    /// The tensors, sorted by offset; names are unique, byte ranges disjoint.
    pub tensors: Vec<TensorInfo>,
}

/// Elements of a tensor of this shape, all dimensions being positive.
pub(crate) fn elements(name: &str, shape: &[usize]) -> Result<usize, WeightsError> {
    let mut elements = 1usize;
    for &dim in shape {
        if dim == 0 {
            return Err(WeightsError::ZeroDimension(shown(name)));
        }
        elements = elements
            .checked_mul(dim)
            .ok_or_else(|| WeightsError::TensorTooLarge(shown(name)))?;
    }
    Ok(elements)
}

/// Bytes of a tensor. Rows must be whole blocks, and the result stays below 2^63 so that adding
/// offsets is easily checked.
pub(crate) fn byte_count(
    name: &str,
    shape: &[usize],
    encoding: Encoding,
) -> Result<u64, WeightsError> {
    let elements = elements(name, shape)?;
    let row = shape.last().copied().unwrap_or(1);
    if !row.is_multiple_of(encoding.block_len()) {
        return Err(WeightsError::PartialBlock {
            tensor: shown(name),
            row,
            encoding,
        });
    }
    encoding
        .bytes_for(elements)
        .filter(|&bytes| isize::try_from(bytes).is_ok())
        .map(|bytes| bytes as u64)
        .ok_or_else(|| WeightsError::TensorTooLarge(shown(name)))
}

/// Checks that no name occurs twice.
pub(crate) fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), WeightsError> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(WeightsError::DuplicateTensor(shown(pair[0]))),
        None => Ok(()),
    }
}
