//! The reference decoding of every encoding, in the f32 arithmetic of ggml.

use glassformer_graph::BLOCK;
use half::{bf16, f16};

use crate::{Encoding, WeightsError};

/// The value of an IEEE half-precision number given by its bits.
pub fn f16_to_f32(bits: u16) -> f32 {
    f16::from_bits(bits).to_f32()
}

/// The value of a bfloat16 number given by its bits.
pub fn bf16_to_f32(bits: u16) -> f32 {
    bf16::from_bits(bits).to_f32()
}

/// Decodes whole blocks, with what follows them in the tensor, and appends the values to `out`.
pub fn dequantize(
    encoding: Encoding,
    bytes: &[u8],
    out: &mut Vec<f32>,
) -> Result<(), WeightsError> {
    let tail = bytes.len().saturating_sub(encoding.tail_bytes());
    let (bytes, tail) = bytes.split_at(tail);
    if !bytes.len().is_multiple_of(encoding.block_bytes()) {
        return Err(WeightsError::PartialBlockBytes {
            bytes: bytes.len(),
            encoding,
        });
    }
    out.reserve(bytes.len() / encoding.block_bytes() * encoding.block_len());
    match encoding {
        Encoding::F32 => out.extend(chunks(bytes).map(|&b| f32::from_le_bytes(b))),
        Encoding::F16 => out.extend(chunks(bytes).map(|&b| f16::from_le_bytes(b).to_f32())),
        Encoding::BF16 => out.extend(chunks(bytes).map(|&b| bf16::from_le_bytes(b).to_f32())),
        Encoding::Q8_0 => {
            for block in chunks::<34>(bytes) {
                let d = half_at(block, 0);
                out.extend(block[2..].iter().map(|&q| d * f32::from(q.cast_signed())));
            }
        }
        Encoding::Q4_0 => {
            for block in chunks::<18>(bytes) {
                let d = half_at(block, 0);
                out.extend(nibbles(&block[2..]).map(|q| d * (q - 8.0)));
            }
        }
        Encoding::Q4_1 => {
            for block in chunks::<20>(bytes) {
                let (d, m) = (half_at(block, 0), half_at(block, 2));
                out.extend(nibbles(&block[4..]).map(|q| d * q + m));
            }
        }
        Encoding::I8 => {
            let scale = chunks::<4>(tail)
                .next()
                .map(|&m| 1.0 / f32::from_le_bytes(m));
            let scale = scale.ok_or(WeightsError::PartialBlockBytes {
                bytes: bytes.len() + tail.len(),
                encoding,
            })?;
            out.extend(bytes.iter().map(|&q| f32::from(q.cast_signed()) * scale));
        }
    }
    Ok(())
}

/// The bytes as blocks of `N`; the caller has checked that nothing is left over.
fn chunks<const N: usize>(bytes: &[u8]) -> std::slice::Iter<'_, [u8; N]> {
    bytes.as_chunks().0.iter()
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// The 4-bit numbers of a block in the order of its elements: first all low halves, then all high ones.
fn nibbles(quants: &[u8]) -> impl Iterator<Item = f32> {
    const { assert!(BLOCK == 32, "16 bytes of nibbles are one block") };
    let low = quants.iter().map(|&byte| f32::from(byte & 15));
    low.chain(quants.iter().map(|&byte| f32::from(byte >> 4)))
}
