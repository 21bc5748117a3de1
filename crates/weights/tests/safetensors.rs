//! Safetensors files built by hand, and indices of split checkpoints.
#![allow(clippy::unwrap_used)]

mod support;

use glassformer_weights::{Encoding, Format, WeightsError, shard_index};
use support::{bytes, error_all_ways, read, read_all_ways, safetensors};

#[test]
fn reads_tensors_and_metadata() {
    // Not in the order of the data; an integer tensor in between; padded with spaces.
    let header = r#"{"b":{"dtype":"BF16","shape":[2],"data_offsets":[40,44]},
        "__metadata__":{"format":"pt","note":"a\"b"},
        "a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
        "embeddings.position_ids":{"dtype":"I64","shape":[1,2],"data_offsets":[24,40]},
        "logit_scale":{"dtype":"F16","shape":[],"data_offsets":[44,46]}}   "#;
    let data = bytes(46, 0);
    let file = safetensors(header, &data);
    let (header_read, tensors) = read_all_ways(&file);
    assert_eq!(header_read.format, Format::Safetensors);
    assert_eq!(header_read.metadata.str("format"), Some("pt"));
    assert_eq!(header_read.metadata.str("note"), Some("a\"b"));
    let infos: Vec<_> = header_read
        .tensors
        .iter()
        .map(|t| {
            (
                t.name.as_str(),
                t.shape.clone(),
                t.encoding,
                t.offset,
                t.bytes,
            )
        })
        .collect();
    let start = 8 + header.len() as u64;
    assert_eq!(
        infos,
        [
            ("a", vec![2, 3], Encoding::F32, start, 24),
            ("b", vec![2], Encoding::BF16, start + 40, 4),
            ("logit_scale", vec![], Encoding::F16, start + 44, 2),
        ]
    );
    assert_eq!(tensors, [&data[..24], &data[40..44], &data[44..]]);
}

#[test]
fn every_truncation_is_an_error() {
    let header = r#"{"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]}}"#;
    let file = safetensors(header, &bytes(32, 0));
    for end in 0..file.len() {
        let missing = (file.len() - end) as u64;
        let length = Some(file.len() as u64);
        assert_eq!(
            read(&file[..end], 5, length),
            Err(WeightsError::Incomplete { missing })
        );
        read(&file[..end], 5, None).unwrap_err();
        read(&file[..end], 5, Some(end as u64)).unwrap_err();
    }
}

#[test]
fn refuses_headers_that_cannot_be() {
    let mut file = safetensors(r#"{"a":"#, &[]);
    file[..8].copy_from_slice(&(1u64 << 60).to_le_bytes());
    assert_eq!(
        read(&file, 1, None),
        Err(WeightsError::HeaderTooLarge { limit_mib: 16 })
    );
    assert_eq!(read(&file, 1, Some(13)), Err(WeightsError::HeaderPastEnd));
    file[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(
        read(&file, 1, None),
        Err(WeightsError::HeaderTooLarge { limit_mib: 16 })
    );
}

#[test]
fn refuses_bad_json() {
    let deep = format!(r#"{{"a":{}"#, "[".repeat(100_000));
    for header in [
        "{",
        r#"{"a":1}"#,
        r#"{"a":"text"}"#,
        r#"{"a":{"dtype":1}}"#,
        r#"{"a":{"dtype":"F32","shape":"4"}}"#,
        r#"{"a":{"dtype":"F32","shape":["4"]}}"#,
        r#"{"a":{"dtype":"F32","shape":[-4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1.5]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1]}}"#,
        r#"{"a":{"dtype":"F32","shape":[99999999999999999999]}}"#,
        r#"{"__metadata__":{"a":1}}"#,
        r#"{"__metadata__":{"a":"1","a":"2"}}"#,
        r#"{"__metadata__":[]}"#,
        "{} {}",
        &deep,
    ] {
        let error = error_all_ways(&safetensors(header, &[]));
        assert!(
            matches!(error, WeightsError::Json { line: 1, .. }),
            "{header}: {error}"
        );
    }
    let error = error_all_ways(&safetensors("{\n\"\u{1}", &[]));
    assert!(
        matches!(error, WeightsError::Json { line: 2, .. }),
        "{error}"
    );
}

/// The error for a tensor `a` with these fields.
fn error_of(entry: &str) -> WeightsError {
    error_all_ways(&safetensors(
        &format!(r#"{{"a":{{{entry}}}}}"#),
        &bytes(64, 0),
    ))
}

#[test]
fn refuses_bad_tensors() {
    let a = "a".to_owned();
    for entry in [
        r#""shape":[1],"data_offsets":[0,4]"#,
        r#""dtype":"F32","data_offsets":[0,4]"#,
        r#""dtype":"F32","shape":[1]"#,
        r#""dtype":"F32","shape":[1],"data_offsets":[0]"#,
        r#""dtype":"F32","shape":[1],"data_offsets":[0,4,8]"#,
        r#""dtype":"F32","shape":[1],"data_offsets":[4,0]"#,
    ] {
        assert_eq!(
            error_of(entry),
            WeightsError::IncompleteEntry(a.clone()),
            "{entry}"
        );
    }
    let size = error_of(r#""dtype":"F16","shape":[3],"data_offsets":[0,4]"#);
    assert_eq!(
        size,
        WeightsError::ByteCount {
            tensor: a.clone(),
            expected: 6,
            actual: 4
        }
    );
    let size = error_of(r#""dtype":"I32","shape":[3],"data_offsets":[0,4]"#);
    assert_eq!(
        size,
        WeightsError::ByteCount {
            tensor: a.clone(),
            expected: 12,
            actual: 4
        }
    );
    let zero = error_of(r#""dtype":"F32","shape":[3,0],"data_offsets":[0,0]"#);
    assert_eq!(zero, WeightsError::ZeroDimension(a.clone()));
    for dims in [
        "18446744073709551615",
        "4294967296,4294967296",
        "4611686018427387904",
    ] {
        let entry = format!(r#""dtype":"F32","shape":[{dims}],"data_offsets":[0,4]"#);
        assert_eq!(error_of(&entry), WeightsError::TensorTooLarge(a.clone()));
    }
    for dtype in ["F64", "F8_E4M3", "C64", "X"] {
        let entry = format!(r#""dtype":"{dtype}","shape":[1],"data_offsets":[0,8]"#);
        assert_eq!(
            error_of(&entry).to_string(),
            format!("The tensor `a` is stored as {dtype}; F32, F16 and BF16 can be read.")
        );
    }
}

#[test]
fn refuses_bad_places() {
    let two = |a: &str, b: &str, name: &str| {
        let header = format!(
            r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":{a}}},
               "{name}":{{"dtype":"I64","shape":[1],"data_offsets":{b}}}}}"#
        );
        safetensors(&header, &bytes(64, 0))
    };
    assert_eq!(
        error_all_ways(&two("[0,8]", "[4,12]", "b")),
        WeightsError::Overlap("b".to_owned())
    );
    assert_eq!(
        error_all_ways(&two("[4,12]", "[0,8]", "b")),
        WeightsError::Overlap("a".to_owned())
    );
    let twice = WeightsError::DuplicateTensor("a".to_owned());
    assert_eq!(error_all_ways(&two("[0,8]", "[8,16]", "a")), twice);
    let file = two("[64,72]", "[8,16]", "b");
    let error = read(&file, 7, Some(file.len() as u64)).unwrap_err();
    assert!(
        matches!(error, WeightsError::TensorPastEnd { .. }),
        "{error}"
    );
    assert_eq!(
        read(&file, 7, None),
        Err(WeightsError::Incomplete { missing: 8 })
    );
}

#[test]
fn reads_a_shard_index() {
    let json = br#"{"metadata":{"total_size":1},"weight_map":
        {"b":"model-00002-of-00002.safetensors","a":"model-00001-of-00002.safetensors"}}"#;
    let index = shard_index(json).unwrap();
    assert_eq!(index["a"], "model-00001-of-00002.safetensors");
    assert_eq!(index["b"], "model-00002-of-00002.safetensors");
    assert_eq!(index.len(), 2);
}

#[test]
fn refuses_bad_shard_indices() {
    for name in [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/etc/passwd",
        r"a\\b",
        "C:x",
        "a%2fb",
        "x?y",
        r"\u0000",
    ] {
        let json = format!(r#"{{"weight_map":{{"a":"{name}"}}}}"#);
        let error = shard_index(json.as_bytes()).unwrap_err();
        assert!(
            matches!(error, WeightsError::ShardName(_)),
            "{name}: {error}"
        );
    }
    for json in ["{}", r#"{"weight_map":{}}"#] {
        assert_eq!(shard_index(json.as_bytes()), Err(WeightsError::EmptyIndex));
    }
    for json in [
        "",
        "[]",
        r#""text""#,
        r#"{"weight_map":"text"}"#,
        r#"{"weight_map":{"a":1}}"#,
        r#"{"weight_map":{"a":"x","a":"y"}}"#,
        r#"{"weight_map":{"a":"x"},"weight_map":{"a":"y"}}"#,
    ] {
        let error = shard_index(json.as_bytes()).unwrap_err();
        assert!(
            matches!(error, WeightsError::Json { .. }),
            "{json}: {error}"
        );
    }
    let large = vec![b' '; (16 << 20) + 1];
    assert_eq!(
        shard_index(&large),
        Err(WeightsError::IndexTooLarge { limit_mib: 16 })
    );
}
