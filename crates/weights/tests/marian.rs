//! Marian's files: what is read, what is refused, and that nothing panics.
#![allow(clippy::unwrap_used)]

use glassformer_weights::{Encoding, MarianFile, Shortlist, WeightsError, dequantize};
use proptest::prelude::*;

/// Name, type, shape and data of an item.
type Item<'a> = (&'a str, u64, &'a [i32], Vec<u8>);

fn file(items: &[Item<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let word = |out: &mut Vec<u8>, n: u64| out.extend(n.to_le_bytes());
    word(&mut out, 1);
    word(&mut out, items.len() as u64);
    for (name, kind, shape, data) in items {
        word(&mut out, name.len() as u64 + 1);
        word(&mut out, *kind);
        word(&mut out, shape.len() as u64);
        word(&mut out, data.len() as u64);
    }
    for (name, ..) in items {
        out.extend(name.as_bytes());
        out.push(0);
    }
    for (_, _, shape, _) in items {
        shape.iter().for_each(|dim| out.extend(dim.to_le_bytes()));
    }
    word(&mut out, 3);
    out.extend([0; 3]);
    items.iter().for_each(|(.., data)| out.extend(data));
    out
}

fn small() -> Vec<u8> {
    let bytes = |n: u8, multiplier: f32| {
        let mut data: Vec<u8> = (0..n).collect();
        data.extend(multiplier.to_le_bytes());
        // Padding, as in real files.
        data.extend([0; 7]);
        data
    };
    let number = |x: f32| x.to_le_bytes().to_vec();
    file(&[
        ("Wemb", 0x4101, &[3, 2], bytes(6, 2.0)),
        ("layer_W", 0x4101, &[2, 4], bytes(8, 4.0)),
        ("layer_W_QuantMultA", 0x404, &[1, 1], number(0.5)),
        (
            "layer_b",
            0x404,
            &[1, 2],
            [number(1.0), number(-1.0)].concat(),
        ),
        ("special:model.yml", 0x101, &[5], b"a: b\0".to_vec()),
    ])
}

#[test]
fn tensors_lie_as_they_are_told() {
    let bytes = small();
    let read = MarianFile::read(&bytes).unwrap();
    assert_eq!(read.options, "a: b");
    let told: Vec<_> = read
        .tensors
        .iter()
        .map(|t| (&*t.name, &*t.shape, t.encoding))
        .collect();
    assert_eq!(
        told,
        [
            ("Wemb", &[3, 2][..], Encoding::I8),
            // The file's shape is transposed.
            ("layer_W", &[4, 2], Encoding::I8),
            ("layer_W_QuantMultA", &[1], Encoding::F32),
            ("layer_b", &[2], Encoding::F32),
        ]
    );
    let data = |i: usize| {
        let tensor = &read.tensors[i];
        let range = tensor.offset as usize..tensor.end() as usize;
        let mut numbers = Vec::new();
        dequantize(tensor.encoding, &bytes[range], &mut numbers).unwrap();
        numbers
    };
    assert_eq!(data(0), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
    assert_eq!(data(1)[..3], [0.0, 0.25, 0.5]);
    assert_eq!(data(3), [1.0, -1.0]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let bytes = small();
    for cut in [10, 100, 300, bytes.len() - 1] {
        let error = MarianFile::read(&bytes[..cut]).unwrap_err();
        assert!(
            matches!(
                error,
                WeightsError::HeaderPastEnd
                    | WeightsError::TensorPastEnd { .. }
                    | WeightsError::Count { .. }
            ),
            "{cut}: {error}"
        );
    }
    let refused = |items: &[Item<'_>]| MarianFile::read(&file(items)).unwrap_err();
    let options: Item<'_> = ("special:model.yml", 0x101, &[1], b"x".to_vec());
    assert_eq!(refused(&[]), WeightsError::NoOptions);
    let double = ("w", 0x408, &[1][..], vec![0; 8]);
    assert!(matches!(
        refused(&[double, options.clone()]),
        WeightsError::UnsupportedEncoding { .. }
    ));
    let short = ("w", 0x4101, &[4, 4][..], vec![0; 16]);
    assert!(matches!(
        refused(&[short, options.clone()]),
        WeightsError::ByteCount { .. }
    ));
    let negative = ("w", 0x404, &[-1, 4][..], vec![0; 16]);
    assert!(matches!(
        refused(&[negative, options.clone()]),
        WeightsError::ZeroDimension(_)
    ));
    let twice = ("w", 0x404, &[1][..], vec![0; 4]);
    assert!(matches!(
        refused(&[twice.clone(), twice, options]),
        WeightsError::DuplicateTensor(_)
    ));
    let mut version = small();
    version[0] = 9;
    assert_eq!(
        MarianFile::read(&version),
        Err(WeightsError::MarianVersion(9))
    );
}

fn shortlist(first: u64, offsets: &[u64], words: &[u32]) -> Vec<u8> {
    let mut out = Vec::new();
    let head = [
        0xF11A_48D5_0134_17F5,
        0,
        first,
        50,
        offsets.len() as u64,
        words.len() as u64,
    ];
    head.iter()
        .chain(offsets)
        .for_each(|n| out.extend(n.to_le_bytes()));
    words.iter().for_each(|n| out.extend(n.to_le_bytes()));
    out
}

#[test]
fn a_sentence_has_its_candidates() {
    let list = Shortlist::read(&shortlist(3, &[0, 0, 2, 3], &[10, 12, 20])).unwrap();
    assert_eq!((list.sources(), list.largest()), (3, Some(20)));
    // The first three, 1's and 2's, the source itself, and the next to make it eight.
    assert_eq!(list.candidates(&[1, 2], 40), [0, 1, 2, 3, 4, 10, 12, 20]);
    assert_eq!(list.candidates(&[1, 99], 40), [0, 1, 2, 3, 4, 5, 10, 12]);
    // Never more than there are words.
    assert_eq!(list.candidates(&[2], 5), [0, 1, 2, 3, 4]);
    for damaged in [
        &shortlist(3, &[0, 2, 1, 3], &[1, 2, 3])[..],
        &shortlist(3, &[0, 4], &[1, 2, 3]),
        &shortlist(3, &[], &[]),
        b"nothing",
    ] {
        assert!(Shortlist::read(damaged).is_err());
    }
}

proptest! {
    /// Whatever the bytes are, reading them does not panic.
    #[test]
    fn bytes_of_any_kind(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = MarianFile::read(&bytes);
        let _ = Shortlist::read(&bytes);
    }

    /// Nor if nearly all is right.
    #[test]
    fn damaged_files(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = small();
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        if let Ok(read) = MarianFile::read(&bytes) {
            for tensor in &read.tensors {
                prop_assert!(tensor.end() <= bytes.len() as u64);
            }
        }
        let mut list = shortlist(3, &[0, 0, 2, 3], &[10, 12, 20]);
        for (at, byte) in &changes {
            let at = at.index(list.len());
            list[at] = *byte;
        }
        if let Ok(list) = Shortlist::read(&list) {
            let found = list.candidates(&[0, 1, 2, 3, u32::MAX], 40);
            prop_assert!(found.is_sorted() && found.iter().all(|&word| word < 40));
        }
    }
}
