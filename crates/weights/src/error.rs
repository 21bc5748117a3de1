//! What can be wrong with a checkpoint file.

/// Why a checkpoint cannot be read. Each message is one sentence for the person who chose the file;
/// names that come from the file are shortened and escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightsError {
    /// The first bytes belong to no format that is read.
    #[error("This is neither a GGUF nor a safetensors file.")]
    UnknownFormat,
    /// A GGUF version other than 2 and 3.
    #[error("This is a GGUF file of version {0}; versions 2 and 3 can be read.")]
    Version(u32),
    /// A Marian file of another version.
    #[error("This is a Marian file of version {0}; only version 1 can be read.")]
    MarianVersion(u64),
    /// A Marian file without its options.
    #[error(
        "This Marian file lacks its options (special:model.yml), so the model cannot be built."
    )]
    NoOptions,
    /// A file that should be a shortlist.
    #[error("The shortlist cannot be read: {0}.")]
    Shortlist(&'static str),
    /// A checkpoint of PyTorch that holds more than tensors, or less.
    #[error("This PyTorch file cannot be read: {0}.")]
    Torch(&'static str),
    /// A checkpoint of PyTorch that names something else than tensors.
    #[error(
        "This PyTorch file asks for {0}, which is no tensor: such files may run anything, so it is not read."
    )]
    TorchName(String),
    /// A tensor whose elements do not lie in the order of its axes.
    #[error(
        "The tensor `{0}` of this PyTorch file is stored in another order than its shape says."
    )]
    TorchOrder(String),
    /// A GGUF file written for big-endian machines.
    #[error("This GGUF file is big-endian; only little-endian files can be read.")]
    BigEndian,
    /// The header exceeds the bound for its format.
    #[error("The header of this file is larger than {limit_mib} MiB, so the file is damaged.")]
    HeaderTooLarge {
        /// The bound in MiB.
        limit_mib: u64,
    },
    /// The header would run past the known end of the file.
    #[error("The header of this file runs past its end: the file is incomplete or damaged.")]
    HeaderPastEnd,
    /// A count in the header that not even the smallest entries would satisfy.
    #[error(
        "The header of this file claims {count} {what}, more than it has room for: the file is damaged."
    )]
    Count {
        /// What is counted, in the plural.
        what: &'static str,
        /// The claim.
        count: u64,
    },
    /// A string that is not UTF-8.
    #[error("The header of this file holds text that is not UTF-8.")]
    Utf8,
    /// A metadata key that occurs twice.
    #[error("The metadata of this file gives `{0}` twice.")]
    DuplicateKey(String),
    /// A metadata value of a kind that the GGUF format does not define.
    #[error("The metadata value `{key}` has the unknown type {id}.")]
    UnknownValueType {
        /// Its key.
        key: String,
        /// The type number in the file.
        id: u32,
    },
    /// An array of arrays.
    #[error("The metadata value `{0}` is an array of arrays, which is not supported.")]
    NestedArray(String),
    /// A boolean that is neither 0 nor 1.
    #[error("The metadata value `{0}` holds a boolean that is neither 0 nor 1.")]
    InvalidBool(String),
    /// `general.alignment` is no power of two that fits 32 bits.
    #[error("The tensor alignment given in the metadata is not a power of two.")]
    Alignment,
    /// A safetensors entry without a type, a shape or a range of bytes.
    #[error("The tensor `{0}` lacks its type, its shape or its place in the file.")]
    IncompleteEntry(String),
    /// Two tensors of the same name.
    #[error("The tensor `{0}` occurs twice in this file.")]
    DuplicateTensor(String),
    /// A tensor in an encoding that is not read.
    #[error("The tensor `{tensor}` is stored as {encoding}; {supported} can be read.")]
    UnsupportedEncoding {
        /// Its name.
        tensor: String,
        /// The encoding, as its format names it.
        encoding: String,
        /// The encodings that can be read.
        supported: &'static str,
    },
    /// More dimensions than tensors have.
    #[error("The tensor `{tensor}` claims {rank} dimensions; at most {limit} are possible.")]
    Rank {
        /// Its name.
        tensor: String,
        /// The claim.
        rank: u64,
        /// The bound of the format.
        limit: usize,
    },
    /// A dimension of zero.
    #[error("The tensor `{0}` has a dimension of zero.")]
    ZeroDimension(String),
    /// A size that this machine cannot address.
    #[error("The tensor `{0}` is too large to exist.")]
    TensorTooLarge(String),
    /// Rows that do not divide into blocks.
    #[error(
        "The tensor `{tensor}` has rows of {row} elements, which {encoding} cannot store: rows must be a multiple of 32."
    )]
    PartialBlock {
        /// Its name.
        tensor: String,
        /// Its innermost dimension.
        row: usize,
        /// Its encoding.
        encoding: glassformer_graph::Encoding,
    },
    /// An offset that is not a multiple of the alignment.
    #[error("The tensor `{0}` does not start at a multiple of the file's alignment.")]
    Misaligned(String),
    /// A tensor that starts before the one in front of it ends.
    #[error("The tensor `{0}` overlaps the one before it, or is out of order.")]
    Overlap(String),
    /// The bytes of a tensor do not match its shape.
    #[error("The tensor `{tensor}` takes {actual} bytes, but its shape needs {expected}.")]
    ByteCount {
        /// Its name.
        tensor: String,
        /// Bytes its shape needs.
        expected: u64,
        /// Bytes the header gives it.
        actual: u64,
    },
    /// A tensor that would end beyond the known end of the file.
    #[error(
        "The tensor `{tensor}` would end at byte {end}, but the file has only {length} bytes: it is incomplete or damaged."
    )]
    TensorPastEnd {
        /// Its name.
        tensor: String,
        /// Where it would end, in bytes from the start of the file.
        end: u64,
        /// Length of the file in bytes.
        length: u64,
    },
    /// More bytes arrived than the file was said to have.
    #[error("The file was said to have {0} bytes, but more arrived.")]
    TooLong(u64),
    /// The file ended too early.
    #[error("The file is incomplete: {missing} bytes are missing.")]
    Incomplete {
        /// Bytes that should have followed.
        missing: u64,
    },
    /// The file ended within the header, and its length is not known.
    #[error(
        "The file is incomplete: it ends inside its header, at least {missing} bytes are missing."
    )]
    IncompleteHeader {
        /// Bytes that must at least have followed.
        missing: u64,
    },
    /// A safetensors header or a shard index that is not the JSON it should be.
    #[error("The {what} is damaged: it cannot be understood from line {line}, column {column} on.")]
    Json {
        /// What was read.
        what: &'static str,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A shard index of unreasonable size.
    #[error("The index of the model's parts is larger than {limit_mib} MiB.")]
    IndexTooLarge {
        /// The bound in MiB.
        limit_mib: u64,
    },
    /// A shard index without tensors.
    #[error("The index of the model's parts lists no tensors.")]
    EmptyIndex,
    /// A shard index that points out of its folder.
    #[error("The index of the model's parts names `{0}`, which is not a plain file name.")]
    ShardName(String),
    /// Bytes that are no whole number of blocks.
    #[error("{bytes} bytes are no whole number of {encoding} blocks.")]
    PartialBlockBytes {
        /// The number of bytes given.
        bytes: usize,
        /// The encoding they should have.
        encoding: glassformer_graph::Encoding,
    },
    /// Numbers that cannot be rounded to blocks.
    #[error("Numbers as large as {0} cannot be rounded to 8 bits.")]
    TooLargeToRound(String),
    /// More was asked of a stream that had already failed.
    #[error("Reading this file was given up after an earlier error.")]
    Abandoned,
}

/// `name` fit for a message: control characters escaped, at most 80 characters of it.
pub(crate) fn shown(name: &str) -> String {
    const LIMIT: usize = 80;
    let mut out: String = name
        .chars()
        .take(LIMIT)
        .flat_map(char::escape_debug)
        .collect();
    if name.chars().nth(LIMIT).is_some() {
        out.push('…');
    }
    out
}
