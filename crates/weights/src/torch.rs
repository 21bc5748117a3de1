//! PyTorch's own checkpoint files, `pytorch_model.bin`: read for the tensors in them and nothing else.
//!
//! Such a file is a program for Python's unpickler, which may run anything. It is not run here: the few
//! instructions that tensors need are read (`torch/pickle.rs`), and whatever else is asked for is an
//! error. Since PyTorch 1.6 (2020) the file is an uncompressed zip archive with the program as `data.pkl`
//! and the bytes of each storage as a file of its own; before, programs and bytes stood one behind the
//! other. Both have their index at the end or in the middle, so the file is read as a whole.

mod pickle;

use std::io::Cursor;

use self::pickle::Unpickler;
use crate::error::{WeightsError, shown};
use crate::header::{byte_count, check_names, elements};
use crate::{Encoding, TensorInfo};

/// How a file of before 1.6 begins: a number that PyTorch chose, as a pickle.
const OLD: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// How a zip archive begins.
const ZIP: &[u8] = b"PK\x03\x04";

/// Bytes of programs beyond which no checkpoint is: each tensor takes some 250.
const MOST_PROGRAM: usize = 4 << 20;

/// What a PyTorch checkpoint holds.
#[derive(Clone, Debug, PartialEq)]
pub struct TorchFile {
    /// Its tensors; several may share their bytes. Integers are no weights and are passed over.
    pub tensors: Vec<TensorInfo>,
}

impl TorchFile {
    /// Whether these are the first bytes of such a file.
    pub fn detect(bytes: &[u8]) -> bool {
        bytes.starts_with(ZIP) || bytes.starts_with(OLD)
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// If the file is incomplete or damaged, or holds anything but tensors by name.
    pub fn read(bytes: &[u8]) -> Result<Self, WeightsError> {
        let (found, storages) = if bytes.starts_with(ZIP) {
            read_zip(bytes)?
        } else if bytes.starts_with(OLD) {
            read_old(bytes)?
        } else {
            return Err(refused("it is no file of PyTorch"));
        };
        let mut tensors = Vec::new();
        for (name, tensor) in found {
            let storage = &storages[tensor.storage];
            let count = elements(&name, &tensor.shape)?;
            let end = tensor.offset.checked_add(count);
            if end.is_none_or(|end| end > storage.count) {
                return Err(refused("a tensor reaches beyond its bytes"));
            }
            let Some(encoding) = storage.encoding else {
                continue;
            };
            let bytes = byte_count(&name, &tensor.shape, encoding)?;
            tensors.push(TensorInfo {
                offset: (storage.start + tensor.offset * encoding.block_bytes()) as u64,
                name,
                shape: tensor.shape,
                encoding,
                bytes,
            });
        }
        if tensors.is_empty() {
            return Err(refused("there are no tensors in it"));
        }
        Ok(Self { tensors })
    }
}

/// A tensor as a program describes it.
struct Found {
    /// Of the storages.
    storage: usize,
    /// Its first element there.
    offset: usize,
    shape: Vec<usize>,
}

/// Bytes that tensors share.
struct Stored {
    /// Nothing for integers.
    encoding: Option<Encoding>,
    /// Elements.
    count: usize,
    /// Its first byte in the file.
    start: usize,
}

type Named = Vec<(String, Found)>;

fn read_zip(bytes: &[u8]) -> Result<(Named, Vec<Stored>), WeightsError> {
    let damaged = |_| refused("it is incomplete or damaged");
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let program = archive
        .file_names()
        .find(|name| name.ends_with("/data.pkl"))
        .map(str::to_owned)
        .ok_or(refused("it holds no data.pkl"))?;
    let folder = program.trim_end_matches("data.pkl").to_owned();
    // Where a file of the archive lies in it.
    let mut place = |name: &str| -> Result<(usize, usize), WeightsError> {
        let file = archive.by_name(name).map_err(damaged)?;
        if file.compression() != zip::CompressionMethod::Stored || file.encrypted() {
            return Err(refused("it is compressed, which PyTorch never does"));
        }
        let start = file
            .data_start()
            .and_then(|start| usize::try_from(start).ok());
        let len = usize::try_from(file.size()).ok();
        start
            .zip(len)
            .filter(|(start, len)| {
                start
                    .checked_add(*len)
                    .is_some_and(|end| end <= bytes.len())
            })
            .ok_or(refused("it is incomplete or damaged"))
    };
    if let Ok((start, len)) = place(&format!("{folder}byteorder"))
        && bytes[start..start + len] != *b"little"
    {
        return Err(refused("its numbers are big-endian"));
    }
    let (start, len) = place(&program)?;
    let mut rest = bounded(&bytes[start..start + len]);
    let described = Unpickler::run(&mut rest)?;
    let found = tensors(&described)?;
    let mut stored = Vec::with_capacity(described.storages().len());
    for storage in described.storages() {
        let (start, len) = place(&format!("{folder}data/{}", storage.key))?;
        if storage.count.checked_mul(storage.width) != Some(len) {
            return Err(refused("a part of it has another length than it says"));
        }
        stored.push(Stored {
            encoding: storage.encoding,
            count: storage.count,
            start,
        });
    }
    Ok((found, stored))
}

/// Before 1.6: the chosen number, a version, what the machine was, the tensors, the keys of their
/// storages, each a pickle; then each storage, its count of elements and its bytes.
fn read_old(bytes: &[u8]) -> Result<(Named, Vec<Stored>), WeightsError> {
    let program = bounded(&bytes[OLD.len()..]);
    let mut rest = program;
    // The version and the machine say nothing that the rest does not.
    for _ in 0..2 {
        Unpickler::run(&mut rest)?;
    }
    let described = Unpickler::run(&mut rest)?;
    let found = tensors(&described)?;
    let storages = described.storages();
    let keys = Unpickler::run(&mut rest)?.texts()?;
    let mut stored: Vec<Option<Stored>> = storages.iter().map(|_| None).collect();
    let incomplete = || refused("it is incomplete or damaged");
    let mut at = OLD.len() + program.len() - rest.len();
    for key in keys {
        let (count, _) = bytes
            .get(at..)
            .and_then(<[u8]>::split_first_chunk)
            .ok_or_else(incomplete)?;
        let count = usize::try_from(u64::from_le_bytes(*count)).map_err(|_| incomplete())?;
        at += size_of::<u64>();
        // One that no tensor has says nothing of how long its elements are.
        let i = described
            .storage(key)
            .ok_or(refused("a part of it belongs to no tensor"))?;
        let storage = &storages[i];
        let len = count
            .checked_mul(storage.width)
            .filter(|_| count == storage.count);
        let len = len.ok_or(refused("a part of it has another length than it says"))?;
        let end = at.checked_add(len).filter(|end| *end <= bytes.len());
        stored[i] = Some(Stored {
            encoding: storage.encoding,
            count,
            start: at,
        });
        at = end.ok_or_else(incomplete)?;
    }
    let stored: Option<Vec<Stored>> = stored.into_iter().collect();
    Ok((found, stored.ok_or_else(incomplete)?))
}

fn bounded(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(MOST_PROGRAM)]
}

/// The tensors by name that a program described.
fn tensors(described: &Unpickler<'_>) -> Result<Named, WeightsError> {
    let tensors = described.tensors()?;
    // A name that is repeated costs a program two bytes, however long it is.
    check_names(tensors.iter().map(|(name, _)| *name))?;
    let mut found = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let mut apart = 1usize;
        for (&len, &stride) in tensor.shape.iter().zip(&tensor.strides).rev() {
            // How far apart the elements of an axis of one are says nothing.
            if len > 1 && stride != apart {
                return Err(WeightsError::TorchOrder(shown(name)));
            }
            apart = apart.saturating_mul(len);
        }
        let shape = tensor.shape.clone();
        found.push((
            name.to_owned(),
            Found {
                storage: tensor.storage,
                offset: tensor.offset,
                shape,
            },
        ));
    }
    Ok(found)
}

fn refused(reason: &'static str) -> WeightsError {
    WeightsError::Torch(reason)
}
