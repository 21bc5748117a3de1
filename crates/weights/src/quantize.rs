//! Rounding numbers to blocks.

use glassformer_graph::BLOCK;
use half::f16;

use crate::WeightsError;

/// Rounds numbers to `Q8_0` and appends the blocks to `out`: 32 numbers share the scale
/// `d = max|x| / 127`, kept in f16, and each becomes the signed byte nearest to `x / d`, halves away
/// from zero. The same bytes as ggml's `quantize_row_q8_0`.
///
/// # Errors
/// If the numbers are no whole blocks, or one is not finite or its block's scale is too large for f16.
pub fn quantize_q8_0(numbers: &[f32], out: &mut Vec<u8>) -> Result<(), WeightsError> {
    let (blocks, []) = numbers.as_chunks::<BLOCK>() else {
        return Err(WeightsError::PartialBlockBytes {
            bytes: size_of_val(numbers),
            encoding: crate::Encoding::Q8_0,
        });
    };
    for block in blocks {
        let max = block.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        let d = max / 127.0;
        let stored = f16::from_f32(d);
        if !stored.is_finite() || block.iter().any(|x| !x.is_finite()) {
            return Err(WeightsError::TooLargeToRound(max.to_string()));
        }
        let inverse = if d > 0.0 { 1.0 / d } else { 0.0 };
        out.extend(stored.to_le_bytes());
        out.extend(block.iter().map(|x| (x * inverse).round() as i8 as u8));
    }
    Ok(())
}
