//! The reference decoding, against values computed by hand and against gguf-py.
#![allow(clippy::unwrap_used)]

use glassformer_weights::{Encoding, WeightsError, bf16_to_f32, dequantize, f16_to_f32};

fn decode(encoding: Encoding, bytes: &[u8]) -> Vec<f32> {
    let mut out = Vec::new();
    dequantize(encoding, bytes, &mut out).unwrap();
    out
}

#[test]
fn halves() {
    for (bits, value) in [
        (0x3C00, 1.0),
        (0xC000, -2.0),
        (0x3555, 0.333_251_95),
        (0x7BFF, 65504.0),
        (0x0001, 5.960_464_5e-8),
        (0x7C00, f32::INFINITY),
    ] {
        assert_eq!(f16_to_f32(bits), value);
    }
    assert!(f16_to_f32(0x7E00).is_nan());
    assert!(f16_to_f32(0x8000).is_sign_negative());
    assert_eq!(bf16_to_f32(0x3F80), 1.0);
    assert_eq!(bf16_to_f32(0xC049), -3.140_625);
}

#[test]
fn plain_numbers() {
    let f32s = [1.0f32, -0.5, f32::MAX].map(f32::to_le_bytes).concat();
    assert_eq!(decode(Encoding::F32, &f32s), [1.0, -0.5, f32::MAX]);
    assert_eq!(
        decode(Encoding::F16, &[0x00, 0x3C, 0x00, 0xC0]),
        [1.0, -2.0]
    );
    assert_eq!(
        decode(Encoding::BF16, &[0x80, 0x3F, 0x49, 0xC0]),
        [1.0, -3.140_625]
    );
}

#[test]
fn blocks_by_hand() {
    // d = 0.5; the bytes 0, 1, …, 30 and −128.
    let mut q8 = vec![0x00, 0x38];
    q8.extend(0..31u8);
    q8.push(0x80);
    let mut expected: Vec<f32> = (0u8..31).map(|q| f32::from(q) * 0.5).collect();
    expected.push(-64.0);
    assert_eq!(decode(Encoding::Q8_0, &q8), expected);

    // Byte j holds j in its low half, 15 − j in its high half.
    let nibbles: Vec<u8> = (0..16u8).map(|j| j | (15 - j) << 4).collect();
    let quants = || (0..16u8).chain((0..16).rev()).map(f32::from);

    let q4_0 = [&[0x00, 0x40][..], &nibbles].concat(); // d = 2
    let expected: Vec<f32> = quants().map(|q| 2.0 * (q - 8.0)).collect();
    assert_eq!(decode(Encoding::Q4_0, &q4_0), expected);
    assert_eq!(expected[0], -16.0);
    assert_eq!(expected[16], 14.0);

    let q4_1 = [&[0x00, 0x40, 0x00, 0xBC][..], &nibbles].concat(); // d = 2, m = −1
    let expected: Vec<f32> = quants().map(|q| 2.0 * q - 1.0).collect();
    assert_eq!(decode(Encoding::Q4_1, &q4_1), expected);
}

#[test]
fn appends_whole_blocks_only() {
    let mut out = vec![7.0];
    dequantize(Encoding::F32, &1.5f32.to_le_bytes(), &mut out).unwrap();
    assert_eq!(out, [7.0, 1.5]);
    for encoding in Encoding::ALL {
        let bytes = encoding.block_bytes() + 1;
        let error = dequantize(encoding, &vec![0; bytes], &mut out).unwrap_err();
        assert_eq!(error, WeightsError::PartialBlockBytes { bytes, encoding });
        dequantize(encoding, &[], &mut out).unwrap();
        assert_eq!(out.len(), 2, "nothing was appended");
    }
}

/// Golden blocks: see `data/make_blocks.py`.
#[test]
fn equals_gguf_py_bit_for_bit() {
    let mut rest = &include_bytes!("data/blocks.bin")[..];
    let mut seen = Vec::new();
    while !rest.is_empty() {
        let (head, after) = rest.split_first_chunk::<12>().unwrap();
        let [kind, bytes, values] =
            [0, 4, 8].map(|at| u32::from_le_bytes(head[at..at + 4].try_into().unwrap()) as usize);
        let encoding = match kind {
            0 => Encoding::F32,
            1 => Encoding::F16,
            2 => Encoding::Q4_0,
            3 => Encoding::Q4_1,
            8 => Encoding::Q8_0,
            30 => Encoding::BF16,
            other => panic!("type {other} in the golden file"),
        };
        let (blocks, after) = after.split_at(bytes);
        let (expected, after) = after.split_at(values * 4);
        let (expected, _) = expected.as_chunks::<4>();
        let decoded = decode(encoding, blocks);
        assert_eq!(decoded.len(), values);
        for (i, (value, expected)) in decoded.iter().zip(expected).enumerate() {
            let expected = f32::from_le_bytes(*expected);
            let same = value.to_bits() == expected.to_bits() || value.is_nan() && expected.is_nan();
            assert!(
                same,
                "{encoding} element {i}: {value:e} instead of {expected:e}"
            );
        }
        seen.push(kind);
        rest = after;
    }
    assert_eq!(seen, [0, 1, 30, 2, 3, 8]);
}
