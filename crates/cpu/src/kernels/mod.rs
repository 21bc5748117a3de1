//! Kernels: plain functions over slices, shapes in their docs.

mod activations;
mod attention;
mod linear;
mod simple;

pub use activations::{Activations, QuantBlock};
pub use attention::{AttentionShape, attention, attention_context, attention_scores};
pub use linear::{linear, q4_dots, q8_dots};
pub use simple::{add, gelu, gelu_tanh, layer_norm, mul, rms_norm, rope, silu, softmax_row};

use wide::f32x4;

/// Four numbers of a slice.
pub(crate) fn load(x: &[f32; 4]) -> f32x4 {
    f32x4::new(*x)
}

/// `Σ a·b`.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a4, a_rest), (b4, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [f32x4::ZERO; 2];
    for (i, (a, b)) in a4.iter().zip(b4).enumerate() {
        sums[i % 2] += load(a) * load(b);
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[1]).reduce_add() + rest
}
