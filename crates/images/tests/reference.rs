//! Ten odd pictures beside the processors of PyTorch transformers (`tests/golden/images/generate.py`).
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use glassformer_images::{ImageError, Preprocessing, decode};
use serde_json::Value;

/// Of a byte; the largest difference is printed.
const BYTES: u8 = 2;

/// Of a JPEG with colours of half the size, between which the decoder here interpolates otherwise than
/// libjpeg, which PIL and browsers have.
const HALVED_COLOURS: (&str, u8) = ("turned.jpg", 4);

fn folder() -> PathBuf {
    PathBuf::from("../../tests/golden/images")
}

fn read(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

#[test]
fn odd_pictures_become_what_transformers_makes_of_them() {
    let golden: Value = serde_json::from_slice(&read("golden.json")).unwrap();
    let pictures = golden["pictures"].as_object().unwrap();
    let processors = golden["processors"].as_object().unwrap();
    assert_eq!((pictures.len(), processors.len()), (10, 4));
    let mut failed = Vec::new();
    for (file, expected) in pictures {
        let picture = decode(file, &read(file)).unwrap();
        let size = [picture.height, picture.width].map(Value::from);
        assert_eq!(expected["size"], Value::from(size.to_vec()), "{file}");
        for (name, config) in processors {
            let preprocessing = Preprocessing::from_json(config.to_string().as_bytes()).unwrap();
            let seen = picture.seen(&preprocessing);
            assert_eq!(Some([seen.height, seen.width]), preprocessing.seen());
            let wanted = hex(expected[name]["rgb"].as_str().unwrap());
            assert_eq!(seen.rgb.len(), wanted.len(), "{file}, {name}");
            let apart = seen.rgb.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b));
            let apart = apart.max().unwrap();
            println!("{file}, {name}: {apart} of 255");
            let halved = file == HALVED_COLOURS.0;
            let most = if halved { HALVED_COLOURS.1 } else { BYTES };
            if apart > most {
                failed.push(format!("{file}, {name}: {apart}"));
            }
            // Normalising, on the reference's own bytes.
            let pixels = preprocessing.pixels(&wanted);
            for (ours, theirs) in pixels
                .iter()
                .zip(expected[name]["pixels"].as_array().unwrap())
            {
                let theirs = theirs.as_f64().unwrap() as f32;
                assert!(
                    (ours - theirs).abs() < 1e-5,
                    "{file}, {name}: {ours} {theirs}"
                );
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn pictures_that_end_too_early_say_so() {
    for file in [
        "odd-sides.png",
        "turned.jpg",
        "animated.gif",
        "lossy.webp",
        "cmyk.jpg",
    ] {
        let bytes = read(file);
        for part in [bytes.len() * 9 / 10, bytes.len() / 2] {
            let error = decode(file, &bytes[..part]).unwrap_err();
            let cut = matches!(error, ImageError::Truncated { .. });
            assert!(cut, "{file} cut to {part}: {error}");
        }
    }
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    for file in ["odd-sides.png", "turned.jpg", "animated.gif", "lossy.webp"] {
        let bytes = read(file);
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x5a;
            // Some damage only changes colours; what counts is that it ends.
            let _ = decode(file, &damaged);
            let _ = decode(file, &bytes[..at]);
        }
    }
}
