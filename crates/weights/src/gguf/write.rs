//! Writing GGUF: the header of a file whose tensors follow one by one.

use super::{DEFAULT_ALIGNMENT, MAGIC, MAX_RANK, types};
use crate::error::{WeightsError, shown};
use crate::header::{byte_count, check_names};
use crate::{Encoding, TensorInfo};

/// The version that is written; readers of version 2 read it too.
const VERSION: u32 = 3;

/// `enum gguf_type` in ggml.
const U32: u32 = 4;
const STRING: u32 = 8;

/// A value of the metadata of a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair<'a> {
    /// Text.
    Text(&'a str),
    /// A number.
    Number(u32),
}

/// A GGUF file in the making: its header, and where its tensors come.
#[derive(Clone, Debug, PartialEq)]
pub struct GgufLayout {
    /// The first bytes of the file, up to the first tensor's.
    pub header: Vec<u8>,
    /// The tensors in their order, with offsets from the start of the file.
    pub tensors: Vec<TensorInfo>,
}

impl GgufLayout {
    /// A file with this metadata and tensors of these names, shapes (outermost dimension first) and
    /// encodings, whose bytes follow in this order, each padded with [`Self::padding`].
    ///
    /// # Errors
    /// If a name occurs twice, or a shape cannot be stored.
    pub fn new(
        pairs: &[(&str, Pair<'_>)],
        tensors: &[(String, Vec<usize>, Encoding)],
    ) -> Result<Self, WeightsError> {
        check_names(tensors.iter().map(|(name, ..)| name.as_str()))?;
        let mut header = MAGIC.to_vec();
        header.extend(VERSION.to_le_bytes());
        header.extend((tensors.len() as u64).to_le_bytes());
        header.extend((pairs.len() as u64).to_le_bytes());
        for (key, value) in pairs {
            string(&mut header, key);
            match value {
                Pair::Text(text) => {
                    header.extend(STRING.to_le_bytes());
                    string(&mut header, text);
                }
                Pair::Number(number) => {
                    header.extend(U32.to_le_bytes());
                    header.extend(number.to_le_bytes());
                }
            }
        }
        let mut placed = Vec::with_capacity(tensors.len());
        let mut offset = 0;
        for (name, shape, encoding) in tensors {
            if shape.len() > MAX_RANK {
                return Err(WeightsError::Rank {
                    tensor: shown(name),
                    rank: shape.len() as u64,
                    limit: MAX_RANK,
                });
            }
            let bytes = byte_count(name, shape, *encoding)?;
            string(&mut header, name);
            header.extend((shape.len() as u32).to_le_bytes());
            for &dim in shape.iter().rev() {
                header.extend((dim as u64).to_le_bytes());
            }
            let number = types::number(*encoding);
            let number = number.ok_or_else(|| WeightsError::UnsupportedEncoding {
                tensor: shown(name),
                encoding: encoding.to_string(),
                supported: types::SUPPORTED,
            })?;
            header.extend(number.to_le_bytes());
            header.extend(u64::to_le_bytes(offset));
            placed.push(TensorInfo {
                name: name.clone(),
                shape: shape.clone(),
                encoding: *encoding,
                offset,
                bytes,
            });
            offset += bytes + Self::padding(bytes) as u64;
        }
        let data = (header.len() as u64).next_multiple_of(DEFAULT_ALIGNMENT);
        header.resize(data as usize, 0);
        for tensor in &mut placed {
            tensor.offset += data;
        }
        Ok(Self {
            header,
            tensors: placed,
        })
    }

    /// Zero bytes behind a tensor of so many.
    pub fn padding(bytes: u64) -> usize {
        // Below the alignment.
        (bytes.next_multiple_of(DEFAULT_ALIGNMENT) - bytes) as usize
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}
