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

/// `out = (x − mean(x)) / √(var(x) + eps) · weight + bias` for each row of `x`, `[n, hidden]`.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    let width = weight.len().max(1);
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let mean = sum(x) / width as f32;
        // Deviations first: the difference of two large sums would lose the spread.
        for (out, x) in out.iter_mut().zip(x) {
            *out = x - mean;
        }
        let scale = 1.0 / (dot(out, out) / width as f32 + eps).sqrt();
        for ((out, weight), bias) in out.iter_mut().zip(weight).zip(bias) {
            *out = *out * scale * weight + bias;
        }
    }
}

/// `Σ x`.
fn sum(x: &[f32]) -> f32 {
    let (x4, rest) = x.as_chunks::<4>();
    let sums = x4.iter().fold(f32x4::ZERO, |sum, x| sum + load(x));
    sums.reduce_add() + rest.iter().sum::<f32>()
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
pub(super) fn map(x: &[f32], out: &mut [f32], f: impl Fn(f32x4) -> f32x4) {
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

/// `out = max(x, 0)`.
pub fn relu(x: &[f32], out: &mut [f32]) {
    map(x, out, |x| x.max(f32x4::ZERO));
}

/// `out = 1 / (1 + e⁻ˣ)`.
pub fn sigmoid(x: &[f32], out: &mut [f32]) {
    // Beyond 80 the exponential would leave f32's range; nothing is left of the difference before.
    map(x, out, |x| {
        let e = (-x).fast_min(f32x4::splat(80.0)).exp();
        f32x4::ONE / (f32x4::ONE + e)
    });
}

/// `out = x · factor`.
pub fn scale(x: &[f32], factor: f32, out: &mut [f32]) {
    map(x, out, |x| x * f32x4::splat(factor));
}

/// `out = x + table[first + i]` for position `i` of each sequence; `x [batch, len, width]`,
/// `table [positions, width]`.
pub fn positions(
    x: &[f32],
    table: &[f32],
    len: usize,
    first: usize,
    width: usize,
    out: &mut [f32],
) {
    let per_sequence = len * width;
    let table = &table[first * width..][..per_sequence];
    for (x, out) in x
        .chunks_exact(per_sequence.max(1))
        .zip(out.chunks_exact_mut(per_sequence.max(1)))
    {
        add(x, table, out);
    }
}

/// `c = gate·c + (1 − gate)·x`, position by position: `gate`, `x` and `out [batch, len, width]`,
/// `cell [batch, width]`.
pub fn recur(gate: &[f32], x: &[f32], cell: &mut [f32], [len, width]: [usize; 2], out: &mut [f32]) {
    let (len, width) = (len.max(1), width.max(1));
    let rows = gate.chunks_exact(width).zip(x.chunks_exact(width));
    for (row, ((gate, x), out)) in rows.zip(out.chunks_exact_mut(width)).enumerate() {
        let cell = &mut cell[row / len * width..][..width];
        for (((out, cell), gate), x) in out.iter_mut().zip(cell).zip(gate).zip(x) {
            *cell = gate * *cell + (1.0 - gate) * x;
            *out = *cell;
        }
    }
}

/// `out = x · Φ(x)`. What of `Φ` is above or below its argument's side, `erfc(|x| / √2) / 2`, is the
/// polynomial of Abramowitz & Stegun 7.1.26, within 0.8e-7. See `shaders/include/gelu.wgsl`.
pub fn gelu(x: &[f32], out: &mut [f32]) {
    let splat = f32x4::splat;
    map(x, out, |x| {
        // Beyond 12, nothing is left of the tail in f32.
        let size = x.abs().fast_min(splat(12.0));
        let z = size * splat(std::f32::consts::FRAC_1_SQRT_2);
        let t = f32x4::ONE / (f32x4::ONE + splat(0.327_591_1) * z);
        let mut p = splat(1.061_405_4);
        for c in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
            p = p * t + splat(c);
        }
        let tail = splat(0.5) * p * t * (-z * z).exp();
        x.fast_max(f32x4::ZERO) - size * tail
    });
}

/// `out = x/2 · (1 + tanh(u))` with `u = √(2/π) · (x + 0.044715·x³)`, as `x / (1 + e⁻²ᵘ)`.
pub fn gelu_tanh(x: &[f32], out: &mut [f32]) {
    let splat = f32x4::splat;
    map(x, out, |x| {
        // Beyond 10, tanh is ±1 in f32, and the cube might overflow; below −10 nothing is left.
        let x = x.fast_max(splat(-10.0));
        let c = x.fast_min(splat(10.0));
        let u = splat(0.797_884_6) * (c + splat(0.044_715) * c * c * c);
        x / (f32x4::ONE + (splat(-2.0) * u).fast_min(splat(80.0)).exp())
    });
}

/// `out = x / (1 + e^(−1.702·x))`.
pub fn quick_gelu(x: &[f32], out: &mut [f32]) {
    let splat = f32x4::splat;
    map(x, out, |x| {
        // Far below, nothing is left of it; the exponential must not overflow.
        let least = x.fast_max(splat(-50.0));
        least / (f32x4::ONE + (splat(-1.702) * least).exp())
    });
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
