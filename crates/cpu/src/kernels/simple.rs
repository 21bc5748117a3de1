//! Kernels that touch each number a few times.

use glassformer_graph::RopeLayout;
use wide::f32x4;

use super::{dot, load};

/// `out = x · weight / √(mean(x²) + eps)` for each row of `x`, `[n, hidden]`.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let width = weight.len().max(1);
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let scale = 1.0 / (dot(x, x) / width as f32 + eps).sqrt();
        for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
            *out = x * scale * weight;
        }
    }
}

/// `out = a + b`.
pub fn add(a: &[f32], b: &[f32], out: &mut [f32]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = a + b;
    }
}

/// `out = a · b`.
pub fn mul(a: &[f32], b: &[f32], out: &mut [f32]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = a * b;
    }
}

/// Applies a function of four numbers to all of `x`.
fn map(x: &[f32], out: &mut [f32], f: impl Fn(f32x4) -> f32x4) {
    let (x4, x_rest) = x.as_chunks::<4>();
    let (out4, out_rest) = out.as_chunks_mut::<4>();
    for (x, out) in x4.iter().zip(out4) {
        *out = f(load(x)).to_array();
    }
    for (x, out) in x_rest.iter().zip(out_rest) {
        *out = f(f32x4::splat(*x)).to_array()[0];
    }
}

/// `out = x / (1 + e⁻ˣ)`.
pub fn silu(x: &[f32], out: &mut [f32]) {
    map(x, out, |x| x / (f32x4::ONE + (-x).exp()));
}

/// Replaces scores by `exp(x) / Σ exp(x)`.
pub fn softmax_row(x: &mut [f32]) {
    let (x4, rest) = x.as_chunks::<4>();
    let max4 = x4
        .iter()
        .fold(f32x4::splat(f32::MIN), |max, x| max.max(load(x)));
    let max = max4
        .to_array()
        .iter()
        .chain(rest)
        .fold(f32::MIN, |max, &x| max.max(x));
    let max4 = f32x4::splat(max);
    let (x4, rest) = x.as_chunks_mut::<4>();
    let mut sum4 = f32x4::ZERO;
    for x in x4 {
        let e = (load(x) - max4).exp();
        sum4 += e;
        *x = e.to_array();
    }
    if !rest.is_empty() {
        // The rest is added to the same lanes as if more scores followed: a row cut at what a
        // query may see and a whole row, masked behind it, give the same numbers.
        let mut last = [max; 4];
        last[..rest.len()].copy_from_slice(rest);
        let mut e = (load(&last) - max4).exp().to_array();
        e[rest.len()..].fill(0.0);
        sum4 += load(&e);
        rest.copy_from_slice(&e[..rest.len()]);
    }
    let inverse = 1.0 / sum4.reduce_add();
    for x in x {
        *x *= inverse;
    }
}

/// Turns the pairs of every head by its position's angles. `x` and `out` are
/// `[batch, q_len, heads, head_dim]`; `table` is `[positions, 2, head_dim / 2]`, cosines then
/// sines; the first position is `past_len`.
pub fn rope(
    x: &[f32],
    table: &[f32],
    layout: RopeLayout,
    [q_len, heads, head_dim]: [usize; 3],
    past_len: usize,
    out: &mut [f32],
) {
    let half = head_dim / 2;
    let rows = x.chunks_exact(head_dim).zip(out.chunks_exact_mut(head_dim));
    for (row, (x, out)) in rows.enumerate() {
        let position = past_len + row / heads % q_len;
        let (cos, sin) = table[position * head_dim..(position + 1) * head_dim].split_at(half);
        for i in 0..half {
            let (a, b) = match layout {
                RopeLayout::Interleaved => (2 * i, 2 * i + 1),
                RopeLayout::Half => (i, i + half),
            };
            out[a] = x[a] * cos[i] - x[b] * sin[i];
            out[b] = x[b] * cos[i] + x[a] * sin[i];
        }
    }
}

#[cfg(test)]
mod tests;
