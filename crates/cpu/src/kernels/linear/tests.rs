#![allow(clippy::unwrap_used)]

use glassformer_graph::{Encoding, Precision, WeightDecl};
use half::f16;
use proptest::prelude::*;

use glassformer_graph::BLOCK;

use super::*;
use crate::kernels::QuantBlock;
use crate::kernels::machine::Machine;
use crate::packed::Filling;

fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 * 2.0 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Bytes of a weight of random numbers in a file's encoding.
fn encode(encoding: Encoding, count: usize, seed: u32) -> Vec<u8> {
    let x = noise(count, seed);
    let quant = |x: &f32| ((x + 1.0) * 127.5) as u8;
    match encoding {
        Encoding::F32 => x.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Encoding::F16 => x
            .iter()
            .flat_map(|x| f16::from_f32(*x).to_le_bytes())
            .collect(),
        Encoding::BF16 => x
            .iter()
            .flat_map(|x| x.to_bits().to_le_bytes()[2..].to_vec())
            .collect(),
        _ => {
            let scales = if encoding == Encoding::Q4_1 { 2 } else { 1 };
            let mut bytes = Vec::new();
            for block in x.chunks(BLOCK) {
                for x in &block[..scales] {
                    bytes.extend(f16::from_f32(x * 0.1).to_le_bytes());
                }
                let payload = encoding.block_bytes() - 2 * scales;
                bytes.extend(block[BLOCK - payload.min(BLOCK)..].iter().map(quant));
            }
            bytes
        }
    }
}

fn pack(encoding: Encoding, rows: usize, cols: usize, seed: u32) -> (Packed, Vec<u8>) {
    let decl = WeightDecl {
        name: "w".into(),
        shape: vec![rows, cols],
    };
    let bytes = encode(encoding, rows * cols, seed);
    let mut filling = Filling::new(&decl, encoding).unwrap();
    filling.write(&decl, &bytes).unwrap();
    filling.finish(&decl).unwrap();
    (filling.packed, bytes)
}

/// `x · Wᵀ + b` in f64.
fn reference(weight: &Packed, bias: &[f32], x: &[f32], cols: usize) -> Vec<f64> {
    let mut out = Vec::new();
    for x in x.chunks(cols) {
        let mut row = vec![0.0; cols];
        for (r, bias) in bias.iter().enumerate() {
            weight.row(r, &mut row);
            let sum: f64 = row
                .iter()
                .zip(x)
                .map(|(w, x)| f64::from(*w) * f64::from(*x))
                .sum();
            out.push(sum + f64::from(*bias));
        }
    }
    out
}

fn check(weight: &Packed, rows: usize, cols: usize, n: usize, precision: Precision) {
    let x = noise(n * cols, 11);
    let bias = noise(rows, 12);
    // Without what multiplies bytes, and with it where there is one.
    let [pairs, bytes] = [None, Machine::detect()].map(|machine| {
        let mut activations = Activations::on(machine);
        activations.prepare(&x, cols, precision);
        let mut out = vec![f32::NAN; n * rows];
        linear(weight, Some(&bias), &activations, &mut out);
        (activations, out)
    });
    let bits = |out: &[f32]| out.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&pairs.1), bits(&bytes.1), "{rows}x{cols} n={n}");
    let (activations, out) = pairs;
    // What the fast kernel multiplies is the rounded input; the rest is f32 rounding.
    let rounded: Vec<f32> = if activations.quant.is_empty() {
        x
    } else {
        let dequantise = |block: &QuantBlock| {
            let (q, scale) = block.unpack();
            q.map(|q| f32::from(q) * scale)
        };
        activations.quant.iter().flat_map(dequantise).collect()
    };
    let expected = reference(weight, &bias, &rounded, cols);
    for (i, (out, expected)) in out.iter().zip(expected).enumerate() {
        let error = (f64::from(*out) - expected).abs();
        assert!(
            error < 2e-6 * (cols as f64).sqrt().max(4.0),
            "{rows}x{cols} n={n} {precision:?}: {i} is {out}, not {expected}"
        );
    }
}

#[test]
fn odd_shapes_agree_with_f64() {
    for encoding in Encoding::ALL {
        let cols = if encoding.block_len() == 1 {
            vec![1, 3, 31, 33, 130]
        } else {
            vec![32, 96, 576]
        };
        for cols in cols {
            for rows in [1, 3, 4, 31, 33] {
                let (weight, _) = pack(encoding, rows, cols, 5);
                for n in [1, 2, 4, 7] {
                    check(&weight, rows, cols, n, Precision::Exact);
                    if encoding.block_len() == BLOCK {
                        check(&weight, rows, cols, n, Precision::Fast);
                    }
                }
            }
        }
    }
}

/// Many rows of `x` share unpacked weights, one row has its own way; the numbers are the same.
#[test]
fn rows_are_the_same_alone_and_among_many() {
    for encoding in Encoding::ALL {
        for (rows, cols) in [(9, 96), (4, 64)] {
            let (weight, _) = pack(encoding, rows, cols, 5);
            // More than share weights at once, and no whole tile at the end.
            let n = 70;
            check(&weight, rows, cols, n, Precision::Exact);
            if encoding.block_len() == BLOCK {
                check(&weight, rows, cols, n, Precision::Fast);
            }
            let (x, bias) = (noise(n * cols, 3), noise(rows, 4));
            let computed = |x: &[f32]| {
                let mut activations = Activations::default();
                activations.prepare(x, cols, Precision::Exact);
                let mut out = vec![f32::NAN; x.len() / cols * rows];
                linear(&weight, Some(&bias), &activations, &mut out);
                out
            };
            let alone: Vec<f32> = x.chunks(cols).flat_map(computed).collect();
            assert!(computed(&x) == alone, "{encoding} {rows}x{cols}");
        }
    }
}

/// A damaged model must not look like one that computes zeros.
#[test]
fn what_is_no_number_stays_none() {
    let (rows, cols, n) = (9, 96, 20);
    for encoding in Encoding::ALL {
        let (weight, _) = pack(encoding, rows, cols, 5);
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY] {
            for machine in [Machine::detect(), None] {
                let mut x = noise(n * cols, 3);
                x[7 * cols + 40] = bad;
                let mut activations = Activations::on(machine);
                activations.prepare(&x, cols, Precision::Fast);
                let mut out = vec![0.0; n * rows];
                linear(&weight, None, &activations, &mut out);
                for (i, row) in out.chunks(rows).enumerate() {
                    let numbers = row.iter().filter(|x| x.is_finite()).count();
                    assert_eq!(numbers, if i == 7 { 0 } else { rows }, "{encoding} {bad}");
                }
            }
        }
    }
}

proptest! {
    /// Rounding to bytes is off by at most half a step.
    #[test]
    fn rounding_is_within_half_a_step(x in prop::collection::vec(-1e3f32..1e3, BLOCK)) {
        let (q, scale) = QuantBlock::new(x.as_chunks().0.first().unwrap()).unpack();
        for (x, q) in x.iter().zip(q) {
            prop_assert!((x - f32::from(q) * scale).abs() <= scale * 0.5001);
        }
    }
}

#[test]
fn every_finite_half_is_converted_exactly() {
    let halves = Halves::new();
    for bits in (0..=u16::MAX).filter(|&bits| f16::from_bits(bits).is_finite()) {
        let word = u32::from(bits) | 0xabcd_0000;
        let [value, ..] = halves.lower(u32x4::splat(word)).to_array();
        let [upper, ..] = halves.upper(u32x4::splat(word.rotate_left(16))).to_array();
        assert_eq!(value.to_bits(), upper.to_bits());
        assert_eq!(value.to_bits(), f16::from_bits(bits).to_f32().to_bits());
    }
}

/// Marian's bytes: integers as intgemm computes them, on every way to multiply, and f32 where nothing
/// says how to round.
#[test]
fn bytes_with_one_scale_are_multiplied_exactly() {
    use crate::packed::{Filling, Scaled};
    let mut overflown = 0;
    for (rows, cols, n) in [(5, 20, 1), (8, 64, 4), (3, 4, 7), (13, 36, 6)] {
        let (multiplier, rounding) = (37.5f32, 9.25f32);
        let decl = WeightDecl {
            name: "w".into(),
            shape: vec![rows, cols],
        };
        let bytes: Vec<i8> = noise(rows * cols, 3)
            .iter()
            .map(|x| (x * 128.0) as i8)
            .collect();
        let mut filling = Filling::new(&decl, Encoding::I8).unwrap();
        // Cut anywhere, as a stream does; the multiplier comes last.
        let mut all: Vec<u8> = bytes.iter().map(|b| b.cast_unsigned()).collect();
        all.extend(multiplier.to_le_bytes());
        for part in all.chunks(7) {
            filling.write(&decl, part).unwrap();
        }
        filling.finish(&decl).unwrap();
        let Packed::I8(mut matrix) = filling.packed else {
            panic!("bytes stay bytes")
        };
        let x: Vec<f32> = noise(n * cols, 5).iter().map(|x| x * 12.0).collect();
        let bias = noise(rows, 7);
        let computed = |matrix: &Scaled, x: &Activations| {
            let mut out = vec![f32::NAN; n * rows];
            linear(&Packed::I8(matrix.clone()), Some(&bias), x, &mut out);
            out
        };

        let mut plain = Activations::default();
        plain.prepare(&x, cols, Precision::Exact);
        for (i, found) in computed(&matrix, &plain).into_iter().enumerate() {
            let (t, row) = (i / rows, i % rows);
            let products = (0..cols).map(|k| {
                f64::from(bytes[row * cols + k]) / f64::from(multiplier)
                    * f64::from(x[t * cols + k])
            });
            let expected = products.sum::<f64>() + f64::from(bias[row]);
            assert!(
                (f64::from(found) - expected).abs() < 1e-3,
                "{found} and {expected}"
            );
        }

        matrix.rounding = Some(rounding);
        let scale = 1.0 / (rounding * multiplier);
        let back = -((127.0 / rounding) * (127.0 / multiplier)) / 127.0;
        let expected: Vec<f32> = (0..n * rows)
            .map(|i| {
                let (t, row) = (i / rows, i % rows);
                let q = |k: usize| i32::from(bytes[row * cols + k]);
                let a = |k: usize| {
                    let a = (x[t * cols + k] * rounding).clamp(-127.0, 127.0);
                    a.round_ties_even() as i32 + 127
                };
                // Two neighbours stay within 16 bits.
                let two = |k: usize| q(2 * k) * a(2 * k) + q(2 * k + 1) * a(2 * k + 1);
                let short = |sum: i32| sum.clamp(i16::MIN.into(), i16::MAX.into());
                let dot: i32 = (0..cols / 2).map(|k| short(two(k))).sum();
                overflown += (0..cols / 2).filter(|&k| short(two(k)) != two(k)).count();
                let sum: i32 = (0..cols).map(q).sum();
                dot as f32 * scale + (sum as f32 * back + bias[row])
            })
            .collect();
        let machine = Machine::detect();
        for machine in [machine, machine.map(Machine::of_seven_bits), None] {
            let mut rounded = Activations::on(machine);
            rounded.round(&x, cols, rounding);
            assert_eq!(
                computed(&matrix, &rounded),
                expected,
                "{rows} × {cols}, {n}"
            );
        }
        // Chosen rows are the same rows.
        let chosen = matrix.select(&[2, 0, 2]).unwrap();
        let mut rounded = Activations::default();
        rounded.round(&x, cols, rounding);
        let mut out = vec![0.0; n * 3];
        let some = [bias[2], bias[0], bias[2]];
        linear(&Packed::I8(chosen), Some(&some), &rounded, &mut out);
        for (out, all) in out.chunks(3).zip(expected.chunks(rows)) {
            assert_eq!(out, [all[2], all[0], all[2]]);
        }
    }
    assert!(overflown > 10, "{overflown}");
}
