//! Checkpoints that PyTorch wrote (`data/make_torch.py`), and what pretends to be one.
#![allow(clippy::unwrap_used)]

use glassformer_weights::{Encoding, TorchFile, WeightsError, dequantize};

fn data(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new("tests/data").join(name)).unwrap()
}

/// How a file of before 1.6 begins.
const OLD: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// A file of before 1.6 whose tensors are what this program makes.
fn old(program: &[u8]) -> Vec<u8> {
    [
        OLD,
        b"\x80\x02M\xe9\x03.",
        b"\x80\x02}.",
        program,
        b"\x80\x02].",
    ]
    .concat()
}

#[test]
fn both_forms_hold_the_same_tensors() {
    let wide: Vec<f32> = (0..12u8).map(|i| f32::from(i) / 8.0).collect();
    for name in ["torch.bin", "torch-before-1.6.bin"] {
        let bytes = data(name);
        assert!(TorchFile::detect(&bytes));
        let file = TorchFile::read(&bytes).unwrap();
        let found: Vec<_> = file
            .tensors
            .iter()
            .map(|t| {
                let range = t.offset as usize..t.end() as usize;
                let mut numbers = Vec::new();
                dequantize(t.encoding, &bytes[range], &mut numbers).unwrap();
                (t.name.as_str(), t.shape.as_slice(), t.encoding, numbers)
            })
            .collect();
        let expected: [(&str, &[usize], Encoding, Vec<f32>); 7] = [
            ("wide", &[3, 4], Encoding::F32, wide.clone()),
            ("half", &[3], Encoding::F16, vec![0.5, -1.5, 65504.0]),
            ("brain", &[2, 1], Encoding::BF16, vec![1.0, -2.0]),
            ("shared", &[3, 4], Encoding::F32, wide.clone()),
            ("middle", &[4], Encoding::F32, wide[4..8].to_vec()),
            ("parameter", &[1], Encoding::F32, vec![3.0]),
            ("scalar", &[], Encoding::F32, vec![7.0]),
        ];
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn nothing_but_tensors_is_read() {
    let turned = TorchFile::read(&data("turned.bin"));
    assert_eq!(turned, Err(WeightsError::TorchOrder("turned".into())));
    let whole = TorchFile::read(&data("whole.bin"));
    assert!(matches!(whole, Err(WeightsError::TorchName(name)) if name.starts_with("torch.nn")));

    // What a program may want to run.
    for (module, name) in [("posix", "system"), ("builtins", "eval"), ("torch", "load")] {
        let program = format!("\u{2}c{module}\n{name}\nX\u{4}\0\0\0echo\u{2e}");
        let bytes = [b"\x80", program.as_bytes()].concat();
        let refused = TorchFile::read(&old(&bytes));
        assert_eq!(
            refused,
            Err(WeightsError::TorchName(format!("{module}.{name}")))
        );
        // The name on the stack, in protocol 4.
        let texts =
            [module, name].map(|text| [&[0x8c, text.len() as u8], text.as_bytes()].concat());
        let program = [&b"\x80\x04"[..], &texts.concat(), b"\x93."].concat();
        let refused = TorchFile::read(&old(&program));
        assert_eq!(
            refused,
            Err(WeightsError::TorchName(format!("{module}.{name}")))
        );
    }
    // Instructions that make objects, and things that are no tensors.
    for program in [
        &b"\x80\x02(i__main__\nX\n."[..],
        b"\x80\x02)\x81.",
        b"\x80\x02}X\x01\0\0\0aK\x01s.",
        b"\x80\x02]q\0h\0a.",
        b"\x80\x02K\x01.",
        b"\x80\x02.",
        b"\x80\x02(((((t.",
        b"\x80\x02h\x07.",
    ] {
        let refused = TorchFile::read(&old(program));
        assert!(
            matches!(refused, Err(WeightsError::Torch(_))),
            "{refused:?}"
        );
    }
}

#[test]
fn incomplete_files_are_refused() {
    for name in ["torch.bin", "torch-before-1.6.bin"] {
        let bytes = data(name);
        for len in 0..bytes.len() {
            let refused = TorchFile::read(&bytes[..len]);
            assert!(refused.is_err(), "{name} cut at {len}");
        }
    }
    assert!(!TorchFile::detect(b"GGUF"));
}
