//! Rounding to blocks, against gguf-py, and writing what is read back.
#![allow(clippy::unwrap_used)]

mod support;

use glassformer_weights::{Encoding, Format, GgufLayout, Pair, WeightsError, quantize_q8_0};
use support::read_all_ways;

#[test]
fn blocks_are_those_of_gguf_py() {
    let file = include_bytes!("data/rounded.bin");
    let (count, rest) = file.split_first_chunk::<4>().unwrap();
    let (values, expected) = rest.split_at(u32::from_le_bytes(*count) as usize * 4);
    let values = values.as_chunks::<4>().0.iter();
    let values: Vec<f32> = values.map(|b| f32::from_le_bytes(*b)).collect();
    let mut blocks = Vec::new();
    quantize_q8_0(&values, &mut blocks).unwrap();
    assert!(expected.len() > 800);
    for (i, (ours, theirs)) in blocks.chunks(34).zip(expected.chunks(34)).enumerate() {
        assert_eq!(ours, theirs, "block {i}");
    }
    assert_eq!(blocks.len(), expected.len());
}

#[test]
fn what_cannot_be_rounded_is_refused() {
    let mut out = Vec::new();
    let partial = quantize_q8_0(&[1.0; 33], &mut out);
    assert!(matches!(
        partial,
        Err(WeightsError::PartialBlockBytes { .. })
    ));
    for number in [1e30, f32::INFINITY, f32::NAN] {
        let mut block = [0.0; 32];
        block[7] = number;
        let error = quantize_q8_0(&block, &mut out).unwrap_err();
        assert!(error.to_string().ends_with('.'), "{error}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    let pairs = [
        ("name", Pair::Text("a \u{8a9e}")),
        ("count", Pair::Number(7)),
    ];
    let tensors = [
        ("b".to_owned(), vec![3, 32], Encoding::Q8_0),
        ("a".to_owned(), vec![5], Encoding::F32),
        ("c".to_owned(), vec![2, 3], Encoding::F16),
    ];
    let layout = GgufLayout::new(&pairs, &tensors).unwrap();
    let mut file = layout.header.clone();
    let mut data = Vec::new();
    for (i, tensor) in layout.tensors.iter().enumerate() {
        assert_eq!(file.len() as u64, tensor.offset);
        let bytes = vec![i as u8 + 1; tensor.bytes as usize];
        file.extend(&bytes);
        file.resize(file.len() + GgufLayout::padding(tensor.bytes), 0);
        data.push(bytes);
    }
    let (header, read) = read_all_ways(&file);
    assert_eq!(header.format, Format::Gguf);
    assert_eq!(header.tensors, layout.tensors);
    assert_eq!(header.metadata.str("name"), Some("a \u{8a9e}"));
    assert_eq!(header.metadata.u32("count"), Some(7));
    assert_eq!(read, data);

    let twice = [tensors[0].clone(), tensors[0].clone()];
    assert!(GgufLayout::new(&[], &twice).is_err());
    let partial = [("p".to_owned(), vec![1, 33], Encoding::Q8_0)];
    assert!(GgufLayout::new(&[], &partial).is_err());
}
