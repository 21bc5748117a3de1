//! Weights repacked from a stream that is cut anywhere are those repacked at once.
#![allow(clippy::unwrap_used, reason = "tests")]

use glassformer_gpu::weights::{Filling, Format, Matrix, Patch};
use glassformer_graph::{BLOCK, Encoding, ExecError, WeightDecl};
use proptest::prelude::*;

/// Numbers and scales of a whole stack.
type Buffers = [Vec<u8>; 2];

fn write(buffer: &mut [u8], patch: &Patch) {
    // What WebGPU takes.
    assert!(patch.offset.is_multiple_of(4) && patch.bytes.len().is_multiple_of(4));
    buffer[patch.offset..patch.offset + patch.bytes.len()].copy_from_slice(&patch.bytes);
}

/// Repacks a matrix that comes in these pieces.
fn repack<'a>(
    decl: &WeightDecl,
    encoding: Encoding,
    matrix: Matrix,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Buffers {
    let Matrix { format, cols, .. } = matrix;
    let rows = matrix.row0 + matrix.rows;
    let mut numbers = vec![0; rows * format.row_bytes(cols)];
    let mut scales = vec![0; format.scales_bytes(rows, cols)];
    let mut filling = Filling::new(decl, encoding, matrix);
    for piece in pieces {
        let [n, s] = filling.push(decl, piece).unwrap();
        write(&mut numbers, &n);
        write(&mut scales, &s);
    }
    let rest = filling.finish(decl).unwrap();
    write(&mut scales, &rest);
    [numbers, scales]
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        encoding in prop::sample::select(Encoding::ALL.to_vec()),
        [rows, cols, above] in [1usize..6, 1usize..40, 0usize..4],
        bytes in prop::collection::vec(any::<u8>(), 5 * 64 * 4),
        cuts in prop::collection::vec(1usize..90, 1..40),
    ) {
        let cols = if encoding.block_len() == 1 { cols } else { BLOCK * (1 + cols % 2) };
        let format = Format::of(encoding);
        // A stack's parts begin at whole words of scales.
        let row0 = above * 2;
        let matrix = Matrix { format, store: 0, row0, rows, cols, part_rows: rows };
        let decl = WeightDecl { name: "w".into(), shape: vec![rows, cols] };
        let len = encoding.bytes_for(rows * cols).unwrap();
        let bytes: Vec<u8> = bytes.into_iter().cycle().take(len).collect();
        let whole = repack(&decl, encoding, matrix, std::iter::once(bytes.as_slice()));
        let mut rest = bytes.as_slice();
        let mut cuts = cuts.into_iter().cycle();
        let pieces = std::iter::from_fn(|| {
            let (piece, left) = rest.split_at(cuts.next()?.min(rest.len()));
            rest = left;
            (!piece.is_empty()).then_some(piece)
        });
        prop_assert_eq!(repack(&decl, encoding, matrix, pieces), whole);
    }
}

#[test]
fn too_many_and_too_few_bytes_are_errors() {
    let decl = WeightDecl {
        name: "w".into(),
        shape: vec![2, 3],
    };
    let matrix = Matrix {
        format: Format::F32,
        store: 0,
        row0: 0,
        rows: 2,
        cols: 3,
        part_rows: usize::MAX,
    };
    let incomplete = |got| ExecError::IncompleteWeight {
        name: "w".into(),
        got,
        expected: 24,
    };
    let mut filling = Filling::new(&decl, Encoding::F32, matrix);
    filling.push(&decl, &[0; 23]).unwrap();
    assert_eq!(filling.finish(&decl), Err(incomplete(23)));
    assert_eq!(filling.push(&decl, &[0; 2]), Err(incomplete(25)));
}
