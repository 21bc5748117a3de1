//! Builds small checkpoint files and reads them back in chunks.
#![allow(dead_code, missing_docs)] // each test binary uses a part of it

use glassformer_weights::{FileStream, Header, Sink, WeightsError};

/// A GGUF file under construction. Fields are public so that tests can make them lie.
#[derive(Clone)]
pub struct Gguf {
    pub version: u32,
    pub pair_count: u64,
    pub tensor_count: u64,
    pub pairs: Vec<u8>,
    pub infos: Vec<u8>,
    pub data: Vec<u8>,
    pub alignment: usize,
}

pub fn string(text: &str) -> Vec<u8> {
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.extend(text.as_bytes());
    out
}

impl Gguf {
    pub fn new(version: u32) -> Self {
        Self {
            version,
            pair_count: 0,
            tensor_count: 0,
            pairs: Vec::new(),
            infos: Vec::new(),
            data: Vec::new(),
            alignment: 32,
        }
    }

    pub fn pair(mut self, key: &str, kind: u32, value: impl AsRef<[u8]>) -> Self {
        self.pairs.extend(string(key));
        self.pairs.extend(kind.to_le_bytes());
        self.pairs.extend(value.as_ref());
        self.pair_count += 1;
        self
    }

    pub fn array(self, key: &str, kind: u32, count: u64, elements: impl AsRef<[u8]>) -> Self {
        let mut value = kind.to_le_bytes().to_vec();
        value.extend(count.to_le_bytes());
        value.extend(elements.as_ref());
        self.pair(key, 9, value)
    }

    pub fn align(mut self, alignment: u32) -> Self {
        self.alignment = alignment as usize;
        self.pair("general.alignment", 4, alignment.to_le_bytes())
    }

    /// A tensor info as given, without data. Dimensions innermost first.
    pub fn info(mut self, name: &str, dims: &[u64], kind: u32, offset: u64) -> Self {
        self.infos.extend(string(name));
        self.infos.extend((dims.len() as u32).to_le_bytes());
        for dim in dims {
            self.infos.extend(dim.to_le_bytes());
        }
        self.infos.extend(kind.to_le_bytes());
        self.infos.extend(offset.to_le_bytes());
        self.tensor_count += 1;
        self
    }

    /// A tensor with its data, put at the next aligned place.
    pub fn tensor(mut self, name: &str, dims: &[u64], kind: u32, bytes: &[u8]) -> Self {
        self.data
            .resize(self.data.len().next_multiple_of(self.alignment), 0xEE);
        let offset = self.data.len() as u64;
        self.data.extend(bytes);
        self.info(name, dims, kind, offset)
    }

    pub fn build(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend(self.tensor_count.to_le_bytes());
        out.extend(self.pair_count.to_le_bytes());
        out.extend(&self.pairs);
        out.extend(&self.infos);
        out.resize(out.len().next_multiple_of(self.alignment), 0xEE);
        out.extend(&self.data);
        out
    }
}

/// A file with every kind of value and every encoding.
pub fn full(version: u32) -> Gguf {
    let words: Vec<u8> = ["a", "", "Ġthe", "語"]
        .iter()
        .flat_map(|w| string(w))
        .collect();
    Gguf::new(version)
        .pair("u8", 0, [200])
        .pair("i8", 1, (-3i8).to_le_bytes())
        .pair("u16", 2, 60000u16.to_le_bytes())
        .pair("i16", 3, (-300i16).to_le_bytes())
        .pair("u32", 4, 4_000_000_000u32.to_le_bytes())
        .pair("i32", 5, 70000i32.to_le_bytes())
        .pair("f32", 6, 1.5f32.to_le_bytes())
        .pair("bool", 7, [1])
        .pair("string", 8, string("llama"))
        .pair("u64", 10, 7u64.to_le_bytes())
        .pair("i64", 11, (-7i64).to_le_bytes())
        .pair("f64", 12, 0.25f64.to_le_bytes())
        .array("words", 8, 4, words)
        .array("types", 5, 3, [1i32, -2, 3].map(i32::to_le_bytes).concat())
        .array(
            "scores",
            6,
            2,
            [0.5f32, -1.0].map(f32::to_le_bytes).concat(),
        )
        .array("flags", 7, 3, [0, 1, 1])
        .array("u16s", 2, 2, [1, 2, 3, 4])
        .array("empty", 8, 0, [])
        .tensor("token_embd.weight", &[32, 3], 8, &bytes(34 * 3, 1))
        .tensor("norm.weight", &[5], 0, &bytes(20, 2))
        .tensor("q4_0", &[64, 2], 2, &bytes(18 * 4, 3))
        .tensor("q4_1", &[32, 2, 3], 3, &bytes(20 * 6, 4))
        .tensor("f16", &[3, 2], 1, &bytes(12, 5))
        .tensor("bf16", &[1], 30, &bytes(2, 6))
        .tensor("scalar", &[], 0, &bytes(4, 7))
}

/// A safetensors file with this header and data.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut out = string(header);
    out.extend(data);
    out
}

/// Bytes that differ from their neighbours.
pub fn bytes(count: usize, seed: usize) -> Vec<u8> {
    (0..count).map(|i| ((i + seed) * 37 % 251) as u8).collect()
}

/// Keeps everything, and checks that data comes in order and without gaps.
#[derive(Default)]
pub struct Collect {
    pub header: Option<Header>,
    pub data: Vec<Vec<u8>>,
}

impl Sink for Collect {
    type Error = WeightsError;

    fn header(&mut self, header: &mut Header) -> Result<(), WeightsError> {
        assert!(self.header.is_none(), "the header comes once");
        self.data = vec![Vec::new(); header.tensors.len()];
        self.header = Some(header.clone());
        Ok(())
    }

    fn data(&mut self, index: usize, offset: u64, bytes: &[u8]) -> Result<(), WeightsError> {
        assert!(!bytes.is_empty());
        assert_eq!(self.data[index].len() as u64, offset);
        assert!(
            self.data[index + 1..].iter().all(Vec::is_empty),
            "in file order"
        );
        self.data[index].extend(bytes);
        Ok(())
    }
}

/// Reads a file in chunks of `chunk` bytes.
pub fn read(
    file: &[u8],
    chunk: usize,
    length: Option<u64>,
) -> Result<(Header, Vec<Vec<u8>>), WeightsError> {
    let mut stream = length.map_or_else(FileStream::new, FileStream::with_length);
    let mut sink = Collect::default();
    for chunk in file.chunks(chunk) {
        stream.push(chunk, &mut sink)?;
    }
    assert_eq!(stream.header(), sink.header.as_ref());
    stream.finish()?;
    Ok((
        sink.header.expect("a finished file has a header"),
        sink.data,
    ))
}

pub const CHUNKS: [usize; 4] = [1, 7, 4096, usize::MAX];

/// Reads a file in every chunk size, with and without a known length; all must agree.
pub fn read_all_ways(file: &[u8]) -> (Header, Vec<Vec<u8>>) {
    let expected = read(file, usize::MAX, None).unwrap();
    for chunk in CHUNKS {
        for length in [None, Some(file.len() as u64)] {
            assert_eq!(
                read(file, chunk, length).as_ref(),
                Ok(&expected),
                "chunks of {chunk}"
            );
        }
    }
    expected
}

/// The error of a bad file, the same for every chunk size, with and without a known length.
pub fn error_all_ways(file: &[u8]) -> WeightsError {
    let expected = read(file, usize::MAX, None).unwrap_err();
    for chunk in CHUNKS {
        for length in [None, Some(file.len() as u64)] {
            assert_eq!(
                read(file, chunk, length).as_ref(),
                Err(&expected),
                "chunks of {chunk}"
            );
        }
    }
    let message = expected.to_string();
    assert!(
        message.ends_with('.') && !message.contains('\n'),
        "one sentence: {message}"
    );
    expected
}
