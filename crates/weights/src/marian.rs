//! Marian's binary model file, version 1, as students of Bergamot and Firefox come in it.
//!
//! Layout, little-endian: `u64 version`, `u64 count`; `count` headers of four `u64`: length of the
//! name, type, length of the shape, bytes of data; all names, each ending in NUL; all shapes, `i32`
//! each; a `u64` and as many bytes of padding; the data in the order of the headers. The last item
//! holds the options as YAML, so nothing can be built before the whole file is there: it is read as a
//! whole.

use glassformer_graph::Encoding;

use crate::TensorInfo;
use crate::cursor::{Cursor, Stop};
use crate::error::{WeightsError, shown};
use crate::header::{byte_count, check_names, elements};

const VERSION: u64 = 1;
/// Bytes of one header.
const HEADER: u64 = 32;
/// Most dimensions of a tensor.
const MOST_DIMS: usize = 8;
/// The item that holds the options.
const OPTIONS: &str = "special:model.yml";
/// Names the types below in messages.
const SUPPORTED: &str = "f32 and intgemm8";

/// Marian's type numbers.
mod types {
    pub const F32: u64 = 0x404;
    /// Rows of signed bytes, then one f32: what numbers were multiplied by to become them.
    pub const INTGEMM8: u64 = 0x4101;
    pub const BYTES: u64 = 0x101;
}

/// What a Marian model file says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct MarianFile {
    /// The tensors in the order of the file. Matrices of bytes are `[out, in]`, as they lie in the
    /// file (its own shapes are transposed); `[1, n]` is told as `[n]`.
    pub tensors: Vec<TensorInfo>,
    /// The options, as YAML.
    pub options: String,
}

impl MarianFile {
    /// Whether these are the first bytes of such a file.
    pub fn detect(bytes: &[u8]) -> bool {
        bytes.starts_with(&VERSION.to_le_bytes())
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// If the file is incomplete or damaged, of another version, without options, or has tensors of
    /// types that are not read.
    pub fn read(bytes: &[u8]) -> Result<Self, WeightsError> {
        read(bytes).map_err(|stop| match stop {
            Stop::Error(error) => error,
            Stop::Need(_) => WeightsError::HeaderPastEnd,
        })
    }
}

/// A header as the file has it.
struct Raw {
    name: u64,
    kind: u64,
    dims: u64,
    data: u64,
}

fn read(bytes: &[u8]) -> Result<MarianFile, Stop> {
    let mut cursor = Cursor::new(bytes);
    let version = cursor.u64()?;
    if version != VERSION {
        return Err(WeightsError::MarianVersion(version).into());
    }
    let count = cursor.u64()?;
    if count > bytes.len() as u64 / HEADER {
        let what = "tensors";
        return Err(WeightsError::Count { what, count }.into());
    }
    let header = |cursor: &mut Cursor<'_>| -> Result<Raw, Stop> {
        Ok(Raw {
            name: cursor.u64()?,
            kind: cursor.u64()?,
            dims: cursor.u64()?,
            data: cursor.u64()?,
        })
    };
    let headers: Vec<Raw> = (0..count)
        .map(|_| header(&mut cursor))
        .collect::<Result<_, _>>()?;
    let mut names = Vec::new();
    for raw in &headers {
        let name = std::str::from_utf8(cursor.take(raw.name)?).map_err(|_| WeightsError::Utf8)?;
        names.push(name.trim_end_matches('\0'));
    }
    check_names(names.iter().copied())?;
    let mut shapes = Vec::new();
    for (raw, name) in headers.iter().zip(&names) {
        if raw.dims > MOST_DIMS as u64 {
            return Err(WeightsError::Rank {
                tensor: shown(name),
                rank: raw.dims,
                limit: MOST_DIMS,
            }
            .into());
        }
        let dim = |cursor: &mut Cursor<'_>| -> Result<usize, Stop> {
            let dim = cursor.u32()?.cast_signed();
            // A negative dimension is none.
            Ok(usize::try_from(dim).unwrap_or(0))
        };
        let shape: Vec<usize> = (0..raw.dims)
            .map(|_| dim(&mut cursor))
            .collect::<Result<_, _>>()?;
        shapes.push(shape);
    }
    let padding = cursor.u64()?;
    cursor.take(padding)?;

    let (mut tensors, mut options) = (Vec::new(), None);
    for ((raw, name), shape) in headers.iter().zip(names).zip(shapes) {
        let offset = cursor.position() as u64;
        let data = cursor.take(raw.data).map_err(|_| {
            let (tensor, length) = (shown(name), bytes.len() as u64);
            let end = offset.saturating_add(raw.data);
            WeightsError::TensorPastEnd {
                tensor,
                end,
                length,
            }
        })?;
        if raw.kind == types::BYTES {
            if name == OPTIONS {
                let text = std::str::from_utf8(data).map_err(|_| WeightsError::Utf8)?;
                options = Some(text.trim_end_matches('\0').to_owned());
            }
            continue;
        }
        tensors.push(tensor(name, raw, shape, offset)?);
    }
    let options = options.ok_or(WeightsError::NoOptions)?;
    Ok(MarianFile { tensors, options })
}

fn tensor(
    name: &str,
    raw: &Raw,
    mut shape: Vec<usize>,
    offset: u64,
) -> Result<TensorInfo, WeightsError> {
    let encoding = match raw.kind {
        types::F32 => Encoding::F32,
        types::INTGEMM8 => Encoding::I8,
        kind => {
            return Err(WeightsError::UnsupportedEncoding {
                tensor: shown(name),
                encoding: format!("type {kind:#x}"),
                supported: SUPPORTED,
            });
        }
    };
    elements(name, &shape)?;
    if encoding == Encoding::I8 && !name.contains("Wemb") {
        shape.reverse();
    }
    if let [1, width] = shape[..] {
        shape = vec![width];
    }
    let expected = byte_count(name, &shape, encoding)?;
    if raw.data < expected {
        return Err(WeightsError::ByteCount {
            tensor: shown(name),
            expected,
            actual: raw.data,
        });
    }
    Ok(TensorInfo {
        name: name.into(),
        shape,
        encoding,
        offset,
        // What follows is padding.
        bytes: expected,
    })
}
