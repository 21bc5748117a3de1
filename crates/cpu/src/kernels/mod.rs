//! Kernels: plain functions over slices, shapes in their docs.

mod activations;
mod attention;
mod linear;
mod machine;
mod marian;
mod pictures;
mod simple;

pub use activations::{Activations, QuantBlock};
pub use attention::{AttentionShape, Scoring, attention, attention_context, attention_scores};
pub use linear::linear;
pub use machine::simd;
pub use pictures::{pool, sequence, unfold};
pub use simple::{
    add, gelu, gelu_tanh, mul, positions, quick_gelu, recur, relu, rms_norm, rope, scale, silu,
};

use glassformer_graph::MASKED;
use wide::{f32x4, u32x4};

/// Whose order f32 operations have, where two ways give other last digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// What is quick here.
    #[default]
    Own,
    /// Marian's, digit for digit.
    Marian,
}

impl Order {
    /// `out = (x − mean(x)) / √(var(x) + eps) · weight + bias` for each row of `x`, `[n, hidden]`.
    pub fn layer_norm(self, x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
        match self {
            Self::Own => simple::layer_norm(x, weight, bias, eps, out),
            Self::Marian => marian::layer_norm(x, weight, bias, eps, out),
        }
    }

    /// `out = 1 / (1 + e⁻ˣ)`.
    pub fn sigmoid(self, x: &[f32], out: &mut [f32]) {
        match self {
            Self::Own => simple::sigmoid(x, out),
            Self::Marian => marian::sigmoid(x, out),
        }
    }

    /// Replaces the scores of each row, `[rows, width]`, by `exp(x) / Σ exp(x)`. What is masked at a row's
    /// end becomes 0, and the others what they are without it.
    pub fn softmax(self, x: &mut [f32], width: usize) {
        for row in x.chunks_exact_mut(width.max(1)) {
            let seen = row.iter().rposition(|&x| x != MASKED).map_or(0, |i| i + 1);
            let (row, masked) = row.split_at_mut(seen);
            masked.fill(0.0);
            match self {
                Self::Own => simple::softmax_row(row),
                Self::Marian => marian::softmax_row(row),
            }
        }
    }
}

/// Four numbers of a slice.
pub(crate) fn load(x: &[f32; 4]) -> f32x4 {
    f32x4::new(*x)
}

/// Each of four numbers in all lanes. In WebAssembly these are shuffles of one load: broadcasting
/// from memory takes V8 twice the instructions.
#[inline(always)]
pub(crate) fn lanes(four: u32x4) -> [u32x4; 4] {
    #[cfg(target_arch = "wasm32")]
    {
        use bytemuck::cast;
        use std::arch::wasm32::u32x4_shuffle;
        let four = cast(four);
        [
            cast(u32x4_shuffle::<0, 0, 0, 0>(four, four)),
            cast(u32x4_shuffle::<1, 1, 1, 1>(four, four)),
            cast(u32x4_shuffle::<2, 2, 2, 2>(four, four)),
            cast(u32x4_shuffle::<3, 3, 3, 3>(four, four)),
        ]
    }
    #[cfg(not(target_arch = "wasm32"))]
    four.to_array().map(u32x4::splat)
}

/// `Σ a·b`.
#[inline]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a8, a), (b8, b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    // Two sums, so that one addition need not wait for the other; by name, so that they stay in
    // registers.
    let (mut even, mut odd) = (f32x4::ZERO, f32x4::ZERO);
    for (a, b) in a8.iter().zip(b8) {
        let ([a0, a1, ..], [b0, b1, ..]) = (a.as_chunks::<4>().0, b.as_chunks::<4>().0) else {
            continue;
        };
        even += load(a0) * load(b0);
        odd += load(a1) * load(b1);
    }
    let ((a4, a), (b4, b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    for (a, b) in a4.iter().zip(b4) {
        even += load(a) * load(b);
    }
    let rest: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    (even + odd).reduce_add() + rest
}
