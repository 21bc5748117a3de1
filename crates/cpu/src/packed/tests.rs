#![allow(clippy::unwrap_used)]

use super::*;

/// Pseudo-random bytes whose f16 scales are finite.
fn blocks(encoding: Encoding, count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut bytes = Vec::new();
    for _ in 0..count {
        let block: Vec<u8> = (0..encoding.block_bytes()).map(|_| next()).collect();
        let start = bytes.len();
        bytes.extend(block);
        // The high byte of each half: keep the exponent small.
        let halves = match encoding {
            Encoding::Q4_1 => 2,
            Encoding::F32 => 0,
            _ => 1,
        };
        for half in 0..halves {
            bytes[start + 2 * half + 1] &= 0xbf;
        }
        if encoding == Encoding::F32 {
            bytes[start + 3] = 0x3f;
        }
        if encoding == Encoding::BF16 {
            bytes[start + 1] = 0x3f;
        }
    }
    bytes
}

#[test]
fn packing_keeps_every_number_however_bytes_are_cut() {
    for encoding in Encoding::ALL {
        // Five rows: one group is full, one is not.
        let (rows, cols) = (5, 64);
        let decl = WeightDecl {
            name: "w".into(),
            shape: vec![rows, cols],
        };
        let bytes = blocks(encoding, rows * cols / encoding.block_len(), 7);
        let mut expected = Vec::new();
        glassformer_weights::dequantize(encoding, &bytes, &mut expected).unwrap();
        for cut in [1, 3, 19, 64, bytes.len()] {
            let mut filling = Filling::new(&decl, encoding).unwrap();
            for chunk in bytes.chunks(cut) {
                filling.write(&decl, chunk).unwrap();
            }
            filling.finish(&decl).unwrap();
            let mut row = vec![0.0; cols];
            for (r, expected) in expected.chunks(cols).enumerate() {
                filling.packed.row(r, &mut row);
                assert_eq!(row, expected, "{encoding} row {r} cut {cut}");
            }
        }
    }
}

#[test]
fn vectors_are_dequantised() {
    for encoding in Encoding::ALL {
        let decl = WeightDecl {
            name: "gain".into(),
            shape: vec![96],
        };
        let bytes = blocks(encoding, 96 / encoding.block_len(), 3);
        let mut expected = Vec::new();
        glassformer_weights::dequantize(encoding, &bytes, &mut expected).unwrap();
        let mut filling = Filling::new(&decl, encoding).unwrap();
        filling.write(&decl, &bytes).unwrap();
        assert_eq!(filling.packed.vector(), expected);
    }
}

#[test]
fn incomplete_and_overfull_weights_are_errors() {
    let decl = WeightDecl {
        name: "w".into(),
        shape: vec![4, 32],
    };
    let mut filling = Filling::new(&decl, Encoding::Q4_1).unwrap();
    filling.write(&decl, &[0; 79]).unwrap();
    let expected = ExecError::IncompleteWeight {
        name: "w".into(),
        got: 79,
        expected: 80,
    };
    assert_eq!(filling.finish(&decl), Err(expected));
    assert!(filling.write(&decl, &[0; 2]).is_err());
}

#[test]
fn rows_that_are_no_whole_blocks_are_refused() {
    let decl = WeightDecl {
        name: "w".into(),
        shape: vec![4, 33],
    };
    assert!(Filling::new(&decl, Encoding::Q8_0).is_err());
    assert!(Filling::new(&decl, Encoding::F16).is_ok());
}
