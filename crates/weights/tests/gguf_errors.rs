//! GGUF files that lie or are damaged.
#![allow(clippy::unwrap_used)]

mod support;

use glassformer_weights::{Encoding, WeightsError};
use support::{Gguf, bytes, error_all_ways, full, read, string};

#[test]
fn refuses_other_files_and_versions() {
    for other in [
        &b"PK\x03\x04 a zip archive"[..],
        b"<!doctype html>",
        b"GGML",
        b"{",
        b"GGUA12345",
    ] {
        assert_eq!(error_all_ways(other), WeightsError::UnknownFormat);
    }
    assert_eq!(read(b"", 1, None), Err(WeightsError::UnknownFormat));
    assert_eq!(read(b"", 1, Some(0)), Err(WeightsError::UnknownFormat));
    assert_eq!(
        error_all_ways(&Gguf::new(1).build()),
        WeightsError::Version(1)
    );
    assert_eq!(
        error_all_ways(&Gguf::new(4).build()),
        WeightsError::Version(4)
    );
    assert_eq!(
        error_all_ways(&Gguf::new(3u32.swap_bytes()).build()),
        WeightsError::BigEndian
    );
}

#[test]
fn refuses_counts_that_cannot_be() {
    let lies: [fn(&mut Gguf); 2] = [|g| g.tensor_count = 1 << 60, |g| g.pair_count = u64::MAX];
    for lie in lies {
        let mut gguf = full(3);
        lie(&mut gguf);
        // With the very bytes that make the claim, not after the rest of the file.
        let file = gguf.build();
        let error = read(&file[..24], 1, None).unwrap_err();
        assert!(matches!(error, WeightsError::Count { .. }), "{error}");
    }
    for kind in [0, 6, 7, 8, 12] {
        let file = Gguf::new(3).array("a", kind, 1 << 60, []).build();
        assert!(matches!(error_all_ways(&file), WeightsError::Count { .. }));
    }
    // A count that a header could hold, but this file cannot.
    let mut gguf = Gguf::new(3);
    gguf.tensor_count = 1000;
    let error = read(&gguf.build(), 7, Some(500)).unwrap_err();
    assert_eq!(
        error,
        WeightsError::Count {
            what: "tensors",
            count: 1000
        }
    );
}

#[test]
fn refuses_strings_that_cannot_be() {
    let mut file = Gguf::new(3)
        .pair("key", 8, (1u64 << 60).to_le_bytes())
        .build();
    assert_eq!(
        read(&file, 7, None),
        Err(WeightsError::HeaderTooLarge { limit_mib: 64 })
    );
    assert_eq!(
        read(&file, 7, Some(file.len() as u64)),
        Err(WeightsError::HeaderPastEnd)
    );
    file = Gguf::new(3).pair("key", 8, u64::MAX.to_le_bytes()).build();
    assert_eq!(
        read(&file, 7, None),
        Err(WeightsError::HeaderTooLarge { limit_mib: 64 })
    );
    file = Gguf::new(3)
        .pair("key", 8, b"\x02\0\0\0\0\0\0\0\xff\xfe")
        .build();
    assert_eq!(error_all_ways(&file), WeightsError::Utf8);
}

#[test]
fn refuses_a_header_without_end() {
    // Each value is plausible; together they never end.
    let value = bytes(1 << 20, 0);
    let mut gguf = Gguf::new(3);
    for i in 0..65 {
        gguf = gguf.array(&format!("k{i}"), 0, 1 << 20, &value);
    }
    let error = read(&gguf.build(), 1 << 16, None).unwrap_err();
    assert!(matches!(
        error,
        WeightsError::Count { .. } | WeightsError::HeaderTooLarge { .. }
    ));
}

#[test]
fn refuses_bad_values() {
    let one =
        |kind: u32, value: &[u8]| error_all_ways(&Gguf::new(3).pair("key", kind, value).build());
    let key = "key".to_owned();
    assert_eq!(
        one(13, &[0; 9]),
        WeightsError::UnknownValueType {
            key: key.clone(),
            id: 13
        }
    );
    assert_eq!(one(7, &[2]), WeightsError::InvalidBool(key.clone()));
    let array = |kind| error_all_ways(&Gguf::new(3).array("key", kind, 1, [2; 32]).build());
    assert_eq!(array(9), WeightsError::NestedArray(key.clone()));
    assert_eq!(
        array(13),
        WeightsError::UnknownValueType {
            key: key.clone(),
            id: 13
        }
    );
    assert_eq!(array(7), WeightsError::InvalidBool(key.clone()));
    let twice = Gguf::new(3).pair("key", 0, [1]).pair("key", 0, [1]).build();
    assert_eq!(
        error_all_ways(&twice),
        WeightsError::DuplicateKey(key.clone())
    );
    let twice = Gguf::new(3)
        .array("key", 0, 0, [])
        .array("key", 0, 0, [])
        .build();
    assert_eq!(error_all_ways(&twice), WeightsError::DuplicateKey(key));
    for alignment in [0, 3, 48] {
        let mut gguf = Gguf::new(3).align(alignment);
        gguf.alignment = 1;
        assert_eq!(error_all_ways(&gguf.build()), WeightsError::Alignment);
    }
    let text = Gguf::new(3)
        .pair("general.alignment", 8, string("32"))
        .build();
    assert_eq!(error_all_ways(&text), WeightsError::Alignment);
}

#[test]
fn names_the_encodings_it_cannot_read() {
    let types = [
        (12, "Q4_K"),
        (14, "Q6_K"),
        (17, "IQ2_XS"),
        (24, "I8"),
        (28, "F64"),
    ];
    for (kind, name) in types
        .into_iter()
        .chain([(39, "MXFP4"), (99, "the unknown type 99")])
    {
        let error = error_all_ways(&Gguf::new(3).info("w", &[256], kind, 0).build());
        let supported = "F32, F16, BF16, Q8_0, Q4_0 and Q4_1 can be read";
        assert_eq!(
            error.to_string(),
            format!("The tensor `w` is stored as {name}; {supported}.")
        );
    }
}

#[test]
fn refuses_bad_tensors() {
    let one = |dims: &[u64], kind| error_all_ways(&Gguf::new(3).info("w", dims, kind, 0).build());
    let w = "w".to_owned();
    assert_eq!(one(&[4, 0], 0), WeightsError::ZeroDimension(w.clone()));
    assert_eq!(
        one(&[1 << 40, 1 << 40], 0),
        WeightsError::TensorTooLarge(w.clone())
    );
    assert_eq!(one(&[1 << 61], 0), WeightsError::TensorTooLarge(w.clone()));
    assert_eq!(one(&[u64::MAX], 1), WeightsError::TensorTooLarge(w.clone()));
    let rank = WeightsError::Rank {
        tensor: w.clone(),
        rank: 5,
        limit: 4,
    };
    assert_eq!(one(&[1; 5], 0), rank);
    for (kind, encoding) in [
        (2, Encoding::Q4_0),
        (3, Encoding::Q4_1),
        (8, Encoding::Q8_0),
    ] {
        // 96 elements would be three blocks, but no row of 48 is.
        let partial = WeightsError::PartialBlock {
            tensor: w.clone(),
            row: 48,
            encoding,
        };
        assert_eq!(one(&[48, 2], kind), partial);
    }
}

#[test]
fn refuses_bad_places() {
    let data = |gguf: Gguf| {
        let mut gguf = gguf;
        gguf.data = bytes(256, 0);
        error_all_ways(&gguf.build())
    };
    let two = |a: u64, b: u64| data(Gguf::new(3).info("a", &[16], 0, a).info("b", &[16], 0, b));
    let (a, b) = ("a".to_owned(), "b".to_owned());
    assert_eq!(two(0, 32), WeightsError::Overlap(b.clone()));
    assert_eq!(two(64, 0), WeightsError::Overlap(b.clone()));
    assert_eq!(two(0, 0), WeightsError::Overlap(b.clone()));
    assert_eq!(two(4, 128), WeightsError::Misaligned(a.clone()));
    assert_eq!(two(0, u64::MAX - 31), WeightsError::TensorTooLarge(b));
    let twice = data(Gguf::new(3).info("a", &[16], 0, 0).info("a", &[16], 0, 64));
    assert_eq!(twice, WeightsError::DuplicateTensor(a));
}

#[test]
fn messages_stay_short() {
    let name = "w\n".repeat(5000);
    let error = error_all_ways(&Gguf::new(3).info(&name, &[4], 14, 0).build());
    let message = error.to_string();
    assert!(
        message.len() < 300 && message.contains('…') && message.contains("Q6_K"),
        "{message}"
    );
}
