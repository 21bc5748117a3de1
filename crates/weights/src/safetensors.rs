//! The header of a safetensors file.
//!
//! Layout: the length of the header as u64, little-endian; the header, a JSON object of
//! `name: { dtype, shape, data_offsets: [begin, end] }`, offsets counted from its end; the data.

use serde::de::{IgnoredAny, MapAccess};

use crate::cursor::{Cursor, Step, Stop};
use crate::error::{WeightsError, shown};
use crate::header::{byte_count, check_names, elements};
use crate::json::{self, Numbers, Object, Read, StringMap};
use crate::{Encoding, Format, Header, Metadata, TensorInfo, Value};

/// Headers of the largest models on the hub are below 1 MB.
pub(crate) const LIMIT_MIB: u64 = 16;
const SUPPORTED: &str = "F32, F16 and BF16";

/// Reads the header, which must be there from the length on; it is one item.
pub(crate) fn step(bytes: &[u8]) -> Result<Step, Stop> {
    let mut cursor = Cursor::new(bytes);
    let length = cursor.u64()?;
    let header = cursor.take(length)?;
    read_header(header, cursor.position() as u64)
        .map(|header| Step::Done(Box::new(header), cursor.position()))
        .map_err(Stop::Error)
}

/// The header as the file has it.
#[derive(Default)]
struct RawHeader {
    metadata: StringMap,
    tensors: Vec<(String, Entry)>,
}

impl Object for RawHeader {
    fn member<'de, A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error> {
        if key == "__metadata__" {
            self.metadata = map.next_value::<Read<StringMap>>()?.0;
        } else {
            self.tensors.push((key, map.next_value::<Read<Entry>>()?.0));
        }
        Ok(())
    }
}

/// A tensor as the file has it.
#[derive(Default)]
struct Entry {
    dtype: String,
    shape: Option<Numbers>,
    data_offsets: Numbers,
}

impl Object for Entry {
    fn member<'de, A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error> {
        match key.as_str() {
            "dtype" => self.dtype = map.next_value()?,
            "shape" => self.shape = Some(map.next_value()?),
            "data_offsets" => self.data_offsets = map.next_value()?,
            _ => map.next_value().map(|IgnoredAny| ())?,
        }
        Ok(())
    }
}

/// What becomes of a tensor.
enum Dtype {
    Read(Encoding),
    /// Integers of so many bytes, such as the `position_ids` of old checkpoints: no weights, so they
    /// are passed over.
    Skipped(usize),
}

fn read_header(json: &[u8], data: u64) -> Result<Header, WeightsError> {
    let RawHeader {
        metadata: StringMap(strings),
        tensors: mut entries,
    } = json::parse(json, "header of this safetensors file")?;
    let mut metadata = Metadata::default();
    for (key, value) in strings {
        metadata.insert(key, Value::String(value))?;
    }
    check_names(entries.iter().map(|(name, _)| name.as_str()))?;
    for (name, entry) in &entries {
        if entry.shape.is_none() || entry.dtype.is_empty() || entry.data_offsets.0.len() != 2 {
            return Err(WeightsError::IncompleteEntry(shown(name)));
        }
    }
    // A JSON object has no order of its own.
    entries.sort_by(|(_, a), (_, b)| a.data_offsets.0.cmp(&b.data_offsets.0));

    let mut tensors = Vec::new();
    let mut previous_end = 0;
    for (name, entry) in entries {
        let (begin, end) = match entry.data_offsets.0[..] {
            [begin, end] if begin <= end => (begin, end),
            _ => return Err(WeightsError::IncompleteEntry(shown(&name))),
        };
        if begin < previous_end {
            return Err(WeightsError::Overlap(shown(&name)));
        }
        previous_end = end;
        if let Some(tensor) = read_tensor(name, entry, begin, end, data)? {
            tensors.push(tensor);
        }
    }
    Ok(Header {
        format: Format::Safetensors,
        metadata,
        tensors,
    })
}

/// The tensor, or `None` if it is passed over.
fn read_tensor(
    name: String,
    entry: Entry,
    begin: u64,
    end: u64,
    data: u64,
) -> Result<Option<TensorInfo>, WeightsError> {
    let too_large = || WeightsError::TensorTooLarge(shown(&name));
    let dims = entry.shape.unwrap_or_default().0;
    let shape: Vec<usize> = dims
        .into_iter()
        .map(usize::try_from)
        .collect::<Result<_, _>>()
        .map_err(|_| too_large())?;
    let dtype = dtype(&name, &entry.dtype)?;
    let expected = match dtype {
        Dtype::Read(encoding) => byte_count(&name, &shape, encoding)?,
        Dtype::Skipped(size) => elements(&name, &shape)?
            .checked_mul(size)
            .ok_or_else(too_large)? as u64,
    };
    let actual = end - begin;
    if actual != expected {
        return Err(WeightsError::ByteCount {
            tensor: shown(&name),
            expected,
            actual,
        });
    }
    // The end is the larger sum.
    data.checked_add(end).ok_or_else(too_large)?;
    let Dtype::Read(encoding) = dtype else {
        return Ok(None);
    };
    Ok(Some(TensorInfo {
        name,
        shape,
        encoding,
        offset: data + begin,
        bytes: actual,
    }))
}

fn dtype(tensor: &str, name: &str) -> Result<Dtype, WeightsError> {
    Ok(match name {
        "F32" => Dtype::Read(Encoding::F32),
        "F16" => Dtype::Read(Encoding::F16),
        "BF16" => Dtype::Read(Encoding::BF16),
        "BOOL" | "U8" | "I8" => Dtype::Skipped(1),
        "U16" | "I16" => Dtype::Skipped(2),
        "U32" | "I32" => Dtype::Skipped(4),
        "U64" | "I64" => Dtype::Skipped(8),
        _ => {
            return Err(WeightsError::UnsupportedEncoding {
                tensor: shown(tensor),
                encoding: shown(name),
                supported: SUPPORTED,
            });
        }
    })
}
