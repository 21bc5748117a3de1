//! The header of a GGUF file, taken in item by item.
//!
//! Layout (little-endian; see ggml's `docs/gguf.md`): magic, version, counts of tensors and of
//! key-value pairs, the pairs, the tensor infos, padding, tensor data.

mod types;
mod values;
mod write;

pub use write::{GgufLayout, Pair};

use crate::cursor::{Cursor, Step, Stop, make_room};
use crate::error::{WeightsError, shown};
use crate::header::{byte_count, check_names};
use crate::{Format, Header, Metadata, TensorInfo};
use values::{OpenArray, Read};

pub(crate) const MAGIC: &[u8; 4] = b"GGUF";
/// Vocabularies of 256 k words with their merges take some 20 MB.
pub(crate) const LIMIT_MIB: u64 = 64;
/// As in ggml.
const MAX_RANK: usize = 4;
const DEFAULT_ALIGNMENT: u64 = 32;
/// Bytes of the smallest pair: empty key, type, one byte.
const MIN_PAIR: u64 = 8 + 4 + 1;
/// Bytes of the smallest tensor info: empty name, rank 0, type, offset.
const MIN_TENSOR: u64 = 8 + 4 + 4 + 8;

/// Takes in a GGUF header. Whatever is complete is stored at once, so no byte is looked at twice.
#[derive(Default)]
pub(crate) struct Parser {
    stage: Stage,
    /// Pairs, then tensor infos that are still to come.
    pairs_left: u64,
    tensors_left: u64,
    metadata: Metadata,
    array: Option<OpenArray>,
    /// With offsets from the start of the data, until that is known.
    tensors: Vec<TensorInfo>,
}

#[derive(Default, Clone, Copy)]
enum Stage {
    #[default]
    Version,
    Counts,
    Pairs,
    Tensors,
}

impl Parser {
    /// Takes in the next item, or several, from the front of `bytes`, which begin `position` bytes
    /// into the file. The header can have at most `room` bytes from here on.
    pub(crate) fn step(&mut self, bytes: &[u8], position: u64, room: u64) -> Result<Step, Stop> {
        let mut cursor = Cursor::new(bytes);
        match self.stage {
            Stage::Version => {
                cursor.take(MAGIC.len() as u64)?;
                check_version(cursor.u32()?)?;
                self.stage = Stage::Counts;
            }
            Stage::Counts => {
                self.tensors_left = cursor.u64()?;
                self.pairs_left = cursor.u64()?;
                check_count("tensors", self.tensors_left, MIN_TENSOR, room)?;
                check_count("metadata values", self.pairs_left, MIN_PAIR, room)?;
                self.stage = Stage::Pairs;
            }
            Stage::Pairs => {
                if let Some(array) = &mut self.array {
                    array.read(&mut cursor)?;
                } else if self.pairs_left > 0 {
                    match values::read_pair(&mut cursor, room)? {
                        Read::Value(key, value) => self.metadata.insert(key, value)?,
                        Read::Array(array) => self.array = Some(array),
                    }
                    self.pairs_left -= 1;
                } else {
                    self.stage = Stage::Tensors;
                }
                if let Some(array) = self.array.take_if(|array| array.is_complete()) {
                    let (key, value) = array.into_pair();
                    self.metadata.insert(key, value)?;
                }
            }
            Stage::Tensors if self.tensors_left > 0 => {
                let tensor = read_tensor(&mut cursor)?;
                make_room(&mut self.tensors, 1, self.tensors_left);
                self.tensors.push(tensor);
                self.tensors_left -= 1;
            }
            Stage::Tensors => return Ok(Step::Done(Box::new(self.complete(position)?), 0)),
        }
        Ok(Step::Took(cursor.position()))
    }

    /// The header, which ended at `end`.
    fn complete(&mut self, end: u64) -> Result<Header, WeightsError> {
        let metadata = std::mem::take(&mut self.metadata);
        let mut tensors = std::mem::take(&mut self.tensors);
        let alignment = alignment(&metadata)?;
        // The end is at most 64 MiB and the alignment below 2^32.
        let data = end.next_multiple_of(alignment);
        let mut previous_end = data;
        for tensor in &mut tensors {
            if tensor.offset % alignment != 0 {
                return Err(WeightsError::Misaligned(shown(&tensor.name)));
            }
            let too_large = || WeightsError::TensorTooLarge(shown(&tensor.name));
            let offset = data.checked_add(tensor.offset).ok_or_else(too_large)?;
            let tensor_end = offset.checked_add(tensor.bytes).ok_or_else(too_large)?;
            if offset < previous_end {
                return Err(WeightsError::Overlap(shown(&tensor.name)));
            }
            previous_end = tensor_end;
            tensor.offset = offset;
        }
        check_names(tensors.iter().map(|tensor| tensor.name.as_str()))?;
        Ok(Header {
            format: Format::Gguf,
            metadata,
            tensors,
        })
    }
}

fn check_version(version: u32) -> Result<(), WeightsError> {
    match version {
        2 | 3 => Ok(()),
        _ if matches!(version.swap_bytes(), 1..=3) => Err(WeightsError::BigEndian),
        _ => Err(WeightsError::Version(version)),
    }
}

/// Refuses a count for which even the smallest entries would not fit.
fn check_count(
    what: &'static str,
    count: u64,
    smallest: u64,
    room: u64,
) -> Result<(), WeightsError> {
    match count.checked_mul(smallest) {
        Some(bytes) if bytes <= room => Ok(()),
        _ => Err(WeightsError::Count { what, count }),
    }
}

fn alignment(metadata: &Metadata) -> Result<u64, WeightsError> {
    const KEY: &str = "general.alignment";
    match (metadata.get(KEY), metadata.u32(KEY)) {
        (None, _) => Ok(DEFAULT_ALIGNMENT),
        (_, Some(alignment)) if alignment.is_power_of_two() => Ok(alignment.into()),
        _ => Err(WeightsError::Alignment),
    }
}

fn read_tensor(cursor: &mut Cursor) -> Result<TensorInfo, Stop> {
    let name = cursor.string()?;
    let rank = cursor.u32()?;
    if rank as usize > MAX_RANK {
        let tensor = shown(name);
        return Err(WeightsError::Rank {
            tensor,
            rank: rank.into(),
            limit: MAX_RANK,
        }
        .into());
    }
    let mut dims = [0; MAX_RANK];
    for dim in &mut dims[..rank as usize] {
        *dim = cursor.u64()?;
    }
    let kind = cursor.u32()?;
    let offset = cursor.u64()?;

    let encoding = types::encoding(kind).ok_or_else(|| WeightsError::UnsupportedEncoding {
        tensor: shown(name),
        encoding: types::name(kind),
        supported: types::SUPPORTED,
    })?;
    // The file has the innermost dimension first.
    let shape = dims[..rank as usize].iter().rev();
    let shape: Vec<usize> = shape
        .map(|&dim| usize::try_from(dim))
        .collect::<Result<_, _>>()
        .map_err(|_| WeightsError::TensorTooLarge(shown(name)))?;
    let bytes = byte_count(name, &shape, encoding)?;
    Ok(TensorInfo {
        name: name.to_owned(),
        shape,
        encoding,
        offset,
        bytes,
    })
}
