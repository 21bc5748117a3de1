//! f32 operations digit for digit as Bergamot's WebAssembly performs them: in which order it adds, where
//! it divides, and how it computes exponentials.
//!
//! Between two products of bytes stand a few operations on f32, and their result is rounded to bytes
//! again. A number halfway between two bytes falls to either side with its last digit, the step of one
//! byte goes on through the layers, and where two wordings are about as likely, it decides. So `fast`
//! computes for these files what their own runtime computes. It was found out by reading the inputs of
//! each of its products, and agrees with them bit by bit (`tests/golden/translate/README.md`).
//!
//! Marian runs four lanes of Julien Pommier's `sse_mathfun` where a row is a multiple of four, else
//! musl's `expf`; Eigen multiplies queries by keys.

use wide::{f32x4, i32x4};

use super::load;
use super::simple::map;

/// `out = (x − mean(x)) / √(var(x) + eps) · weight + bias` for each row of `x`, `[n, hidden]`; sums go
/// from the first number to the last.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    let width = weight.len().max(1);
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let mean = x.iter().fold(0.0, |sum, x| sum + x) / width as f32;
        for (out, x) in out.iter_mut().zip(x) {
            *out = x - mean;
        }
        let squares = out.iter().fold(0.0, |sum, x| sum + x * x);
        let sigma = (squares / width as f32 + eps).sqrt();
        for ((out, weight), bias) in out.iter_mut().zip(weight).zip(bias) {
            *out = weight * (*out / sigma) + bias;
        }
    }
}

/// `out = eˣ / (1 + eˣ)`.
pub fn sigmoid(x: &[f32], out: &mut [f32]) {
    map(x, out, |x| {
        let e = exp4(x);
        e / (f32x4::ONE + e)
    });
}

/// Replaces scores by `exp(x) / Σ exp(x)`.
pub fn softmax_row(x: &mut [f32]) {
    let max = x.iter().fold(f32::MIN, |max, &x| max.max(x));
    let add = |sum: f32, x: f32| sum + x;
    let sum = if let (fours, []) = x.as_chunks_mut::<4>() {
        let mut sums = f32x4::ZERO;
        for x in fours {
            let e = exp4(load(x) - f32x4::splat(max));
            sums += e;
            *x = e.to_array();
        }
        sums.to_array().into_iter().fold(0.0, add)
    } else {
        x.iter_mut().for_each(|x| *x = exp(*x - max));
        x.iter().copied().fold(0.0, add)
    };
    x.iter_mut().for_each(|x| *x /= sum);
}

/// Keys four by four, column by column, `[len / 4, head_dim]`: as [`products`] reads them.
pub fn turn<'k>(keys: impl Fn(usize) -> &'k [f32], len: usize) -> impl Iterator<Item = f32x4> {
    (0..len / 4).flat_map(move |four| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| keys(4 * four + i));
        let columns = a.iter().zip(b).zip(c).zip(d);
        columns.map(|(((a, b), c), d)| f32x4::new([*a, *b, *c, *d]))
    })
}

/// `query · key` of the keys in `fours`, which [`turn`] made, and of the `rest` behind them. Products
/// are added from the first to the last; but where Eigen multiplies queries `by_four`, it has four sums
/// for each of the rest.
pub fn products<'k>(
    query: &[f32],
    fours: &[f32x4],
    rest: impl Iterator<Item = &'k [f32]>,
    by_four: bool,
    out: &mut [f32],
) {
    // Sums that do not wait for each other's additions.
    const SOME: usize = 4;
    let width = query.len();
    let (out, behind) = out.split_at_mut(fours.len() / width.max(1) * 4);
    let mut outs = out.chunks_exact_mut(4 * SOME);
    let mut somes = fours.chunks_exact(SOME * width.max(1));
    for (out, some) in (&mut outs).zip(&mut somes) {
        let columns: [&[f32x4]; SOME] = std::array::from_fn(|n| &some[n * width..][..width]);
        let mut sums = [f32x4::ZERO; SOME];
        for (i, query) in query.iter().enumerate() {
            let query = f32x4::splat(*query);
            for n in 0..SOME {
                sums[n] += query * columns[n][i];
            }
        }
        out.copy_from_slice(bytemuck::cast_slice(&sums.map(f32x4::to_array)));
    }
    let last = somes.remainder().chunks_exact(width.max(1));
    for (out, column) in outs.into_remainder().chunks_exact_mut(4).zip(last) {
        let both = query.iter().zip(column);
        let sums = both.fold(f32x4::ZERO, |sums, (q, k)| sums + f32x4::splat(*q) * *k);
        out.copy_from_slice(&sums.to_array());
    }
    for (out, key) in behind.iter_mut().zip(rest) {
        let (mut sum, mut from) = (0.0, 0);
        if by_four {
            let both = query.as_chunks::<4>().0.iter().zip(key.as_chunks::<4>().0);
            let sums = both.fold(f32x4::ZERO, |sums, (q, k)| sums + load(q) * load(k));
            let [a, b, c, d] = sums.to_array();
            (sum, from) = ((a + b) + (c + d), width / 4 * 4);
        }
        let both = query[from..].iter().zip(&key[from..]);
        *out = both.fold(sum, |sum, (q, k)| sum + q * k);
    }
}

/// `eˣ`: `2ⁿ` times a polynomial of what is left, at most half of ln 2.
fn exp4(x: f32x4) -> f32x4 {
    let splat = f32x4::splat;
    let x = x.fast_min(splat(88.376_26)).fast_max(splat(-88.376_26));
    let n = (x * splat(std::f32::consts::LOG2_E) + splat(0.5)).floor();
    // ln 2 in two parts, the first of which has few digits: its product is exact.
    let x = n * splat(2.121_944_4e-4) + (x + n * splat(-0.693_359_4));
    let mut y = splat(1.987_569_1e-4);
    for c in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        0.166_666_66,
        0.5,
    ] {
        y = y * x + splat(c);
    }
    let y = x + x * x * y + f32x4::ONE;
    let power = (n.fast_trunc_int() + i32x4::splat(127)) << 23;
    y * bytemuck::cast::<_, f32x4>(power)
}

/// The bits of `2^(i/32)`, less `i` at the place where [`exp`] adds it.
const ROOTS: [u64; 32] = {
    let mut roots = [0; 32];
    let (mut root, mut i) = (1.0f64, 0);
    while i < 32 {
        roots[i] = root.to_bits() - ((i as u64) << 47);
        root *= 1.021_897_148_654_116_6;
        i += 1;
    }
    roots
};

/// `eˣ` for `x` up to 0: `2^(n/32)` times a polynomial of what is left, in f64.
fn exp(x: f32) -> f32 {
    /// Added to a small number it rounds it to a whole one, which stands in the lowest bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    // Nothing is left in f32 before.
    let z = f64::from(x.max(-110.0)) * (32.0 * std::f64::consts::LOG2_E);
    let n = z + ROUND;
    let r = z - (n - ROUND);
    let n = n.to_bits();
    let power = f64::from_bits(ROOTS[(n % 32) as usize].wrapping_add(n << 47));
    let y = (0.055_503_615_593_415_35 / 32_768.0 * r + 0.240_228_452_244_572_2 / 1024.0) * (r * r)
        + (0.693_147_180_691_620_3 / 32.0 * r + 1.0);
    (y * power) as f32
}

#[cfg(test)]
mod tests;
