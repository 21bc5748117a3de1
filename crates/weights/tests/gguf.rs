//! GGUF files built by hand.
#![allow(clippy::unwrap_used)]

mod support;

use glassformer_weights::{
    Array, Encoding, FileStream, Format, Header, Sink, TensorInfo, Value, WeightsError,
};
use support::{Collect, Gguf, bytes, full, read, read_all_ways, string};

#[test]
fn reads_values_and_tensors() {
    for version in [2, 3] {
        let file = full(version).build();
        let (header, data) = read_all_ways(&file);
        assert_eq!(header.format, Format::Gguf);

        let m = &header.metadata;
        assert_eq!(m.len(), 18);
        assert_eq!(m.u32("u8"), Some(200));
        assert_eq!(m.u32("i8"), None, "negative");
        assert_eq!(m.u32("u16"), Some(60000));
        assert_eq!(m.u32("i16"), None, "negative");
        assert_eq!(m.u32("u32"), Some(4_000_000_000));
        assert_eq!(m.u32("i32"), Some(70000));
        assert_eq!(m.u32("u64"), Some(7));
        assert_eq!(m.u32("i64"), None, "negative");
        assert_eq!(m.u32("string"), None, "not a number");
        assert_eq!(m.get("i64"), Some(&Value::I64(-7)));
        assert_eq!(m.f32("f32"), Some(1.5));
        assert_eq!(m.f32("f64"), Some(0.25));
        assert_eq!(m.f32("u8"), None);
        assert_eq!(m.bool("bool"), Some(true));
        assert_eq!(m.bool("u8"), None);
        assert_eq!(m.str("string"), Some("llama"));
        assert_eq!(m.str("absent"), None);
        assert_eq!(m.strings("words").unwrap(), ["a", "", "Ġthe", "語"]);
        assert_eq!(m.strings("empty").unwrap().len(), 0);
        assert_eq!(m.i32s("types").unwrap(), [1, -2, 3]);
        assert_eq!(m.f32s("scores").unwrap(), [0.5, -1.0]);
        assert_eq!(
            m.get("flags"),
            Some(&Value::Array(Array::Bool(vec![false, true, true])))
        );
        assert_eq!(
            m.get("u16s"),
            Some(&Value::Array(Array::U16(vec![513, 1027])))
        );
        assert!(m.iter().map(|(key, _)| key).is_sorted());

        let tensors = &header.tensors;
        let shapes: Vec<_> = tensors
            .iter()
            .map(|t| (t.name.as_str(), t.shape.as_slice(), t.encoding))
            .collect();
        let expected: [(&str, &[usize], Encoding); 7] = [
            ("token_embd.weight", &[3, 32], Encoding::Q8_0),
            ("norm.weight", &[5], Encoding::F32),
            ("q4_0", &[2, 64], Encoding::Q4_0),
            ("q4_1", &[3, 2, 32], Encoding::Q4_1),
            ("f16", &[2, 3], Encoding::F16),
            ("bf16", &[1], Encoding::BF16),
            ("scalar", &[], Encoding::F32),
        ];
        assert_eq!(shapes, expected);
        for (i, (tensor, data)) in tensors.iter().zip(&data).enumerate() {
            let TensorInfo {
                offset,
                bytes: count,
                ..
            } = *tensor;
            assert_eq!(*data, bytes(count as usize, i + 1), "{}", tensor.name);
            assert_eq!(
                *data,
                file[offset as usize..][..count as usize],
                "{}",
                tensor.name
            );
        }
    }
}

#[test]
fn strings_can_be_taken_out() {
    let (mut header, _) = read(&full(3).build(), 100, None).unwrap();
    assert_eq!(header.metadata.take_strings("words").unwrap().len(), 4);
    assert_eq!(header.metadata.take_strings("words"), None);
    assert_eq!(header.metadata.take_strings("string"), None);
    assert_eq!(
        header.metadata.str("string"),
        Some("llama"),
        "other values stay"
    );
}

#[test]
fn alignment_from_the_metadata() {
    for alignment in [1, 8, 128, 4096] {
        let file = Gguf::new(3)
            .align(alignment)
            .tensor("a", &[3], 0, &bytes(12, 0))
            .tensor("b", &[1], 0, &bytes(4, 5))
            .build();
        let (header, data) = read_all_ways(&file);
        assert!(
            header
                .tensors
                .iter()
                .all(|t| t.offset % u64::from(alignment) == 0)
        );
        assert_eq!(data, [bytes(12, 0), bytes(4, 5)]);
    }
}

#[test]
fn a_header_without_tensors() {
    let (header, data) = read_all_ways(&Gguf::new(3).build());
    assert!(header.tensors.is_empty() && header.metadata.is_empty() && data.is_empty());
}

#[test]
fn padding_after_the_last_tensor_is_skipped() {
    let mut file = full(3).build();
    file.extend([0; 100]);
    assert_eq!(read_all_ways(&file).0.tensors.len(), 7);
}

/// Takes the vocabulary and even the tensor list; the data must come regardless.
struct Greedy(Vec<String>, usize);

impl Sink for Greedy {
    type Error = WeightsError;

    fn header(&mut self, header: &mut Header) -> Result<(), WeightsError> {
        self.0 = header.metadata.take_strings("words").unwrap();
        header.tensors.clear();
        Ok(())
    }

    fn data(&mut self, _: usize, _: u64, bytes: &[u8]) -> Result<(), WeightsError> {
        self.1 += bytes.len();
        Ok(())
    }
}

#[test]
fn a_sink_may_take_the_header_apart() {
    let file = full(3).build();
    let mut stream = FileStream::new();
    let mut sink = Greedy(Vec::new(), 0);
    stream.push(&file, &mut sink).unwrap();
    assert_eq!(sink.0.len(), 4);
    assert_eq!(sink.1, 34 * 3 + 20 + 18 * 4 + 20 * 6 + 12 + 2 + 4);
    assert_eq!(stream.header().unwrap().metadata.strings("words"), None);
    stream.finish().unwrap();
}

#[test]
fn the_header_is_there_as_soon_as_its_last_byte() {
    let gguf = full(3);
    let header_bytes = 24 + gguf.pairs.len() + gguf.infos.len();
    let file = gguf.build();
    let mut stream = FileStream::new();
    let mut sink = Collect::default();
    stream.push(&file[..header_bytes - 1], &mut sink).unwrap();
    assert!(stream.header().is_none());
    stream
        .push(&file[header_bytes - 1..header_bytes], &mut sink)
        .unwrap();
    assert!(stream.header().is_some() && sink.header.is_some());
}

#[test]
fn every_truncation_is_an_error() {
    let file = full(3).build();
    for end in 0..file.len() {
        let missing = (file.len() - end) as u64;
        // The length is known from elsewhere, and the transfer stops half-way.
        assert_eq!(
            read(&file[..end], 100, Some(file.len() as u64)),
            Err(WeightsError::Incomplete { missing })
        );
        // The file itself is cut off.
        let error = read(&file[..end], 100, None).unwrap_err();
        match error {
            WeightsError::UnknownFormat => assert!(end < 4),
            WeightsError::IncompleteHeader { missing: least } => assert!(least <= missing),
            error => assert_eq!(error, WeightsError::Incomplete { missing }),
        }
        read(&file[..end], 100, Some(end as u64)).unwrap_err();
    }
}

#[test]
fn a_cut_file_of_known_length_is_refused_with_its_header() {
    let file = full(3).build();
    let mut stream = FileStream::with_length(file.len() as u64 - 1);
    let mut sink = Collect::default();
    let error = stream
        .push(&file[..file.len() - 300], &mut sink)
        .unwrap_err();
    assert!(
        matches!(error, WeightsError::TensorPastEnd { .. }),
        "{error}"
    );
    assert!(sink.header.is_none());
}

#[test]
fn after_an_error_nothing_is_whole() {
    let mut sink = Collect::default();
    let mut stream = FileStream::new();
    stream.push(b"some other text", &mut sink).unwrap_err();
    assert_eq!(stream.push(b"x", &mut sink), Err(WeightsError::Abandoned));
    assert_eq!(stream.finish(), Err(WeightsError::Abandoned));

    let file = full(3).build();
    let mut stream = FileStream::with_length(file.len() as u64);
    stream.push(&file, &mut sink).unwrap();
    let error = stream.push(b"x", &mut sink).unwrap_err();
    assert_eq!(error, WeightsError::TooLong(file.len() as u64));
    assert_eq!(stream.finish(), Err(WeightsError::Abandoned));
}

#[test]
fn small_chunks_cost_no_more_than_large_ones() {
    // A vocabulary in chunks of one byte: reading anew from the start would take minutes.
    let words: Vec<u8> = (0..100_000)
        .flat_map(|i| string(&format!("word {i}")))
        .collect();
    let file = Gguf::new(3).array("words", 8, 100_000, words).build();
    let (header, _) = read(&file, 1, None).unwrap();
    assert_eq!(
        header.metadata.strings("words").unwrap()[99_999],
        "word 99999"
    );
}
