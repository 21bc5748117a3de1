//! What is kept of a token's logits: little enough for every token of a long text, enough to
//! redraw the distribution at another temperature.

use wide::{f32x4, i32x4};

/// Most logits that are kept of a vocabulary.
pub const KEPT: usize = 256;

/// Inverse temperatures whose sums are kept; see [`inverse_temperature`].
pub const LOG_SUMS: usize = 17;

/// The sum that belongs to temperature 1: `log_sums[AT_ONE] + max` is the logarithm of the sum of
/// exponentials of the raw logits.
pub const AT_ONE: usize = 8;

/// Inverse temperature of the `k`-th kept sum: `k²/64`, so from 0 over 1 (`k = 8`) to 4
/// (`k = 16`). They lie closest where the sums bend most: towards 0, where the many tokens outside
/// the list begin to matter. With steps of a quarter, probabilities at temperature 2 to 4 would be
/// wrong by up to 1e-3. So, it is at most 1.5e-5 at 94 positions of SmolLM2-135M and any temperature
/// from 0.05 to 5, and 4e-5 on made-up logits (the tests print it).
pub fn inverse_temperature(k: usize) -> f64 {
    (k * k) as f64 / 64.0
}

/// The largest logits of a position and sums over all of them. The sums allow normalising at any
/// temperature: what lies outside the list is their difference from the list's own sums,
/// interpolated between the inverse temperatures that were kept.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptLogits {
    /// Id and raw logit of the largest, falling, ties by id; at most [`KEPT`]. Never empty.
    pub top: Vec<(u32, f32)>,
    /// `ln Σ exp(β(k) · (logit − max))` over the vocabulary, `β(k)` of [`inverse_temperature`],
    /// `max` the largest logit. The first is the logarithm of the vocabulary's size.
    pub log_sums: [f32; LOG_SUMS],
}

/// The logarithm of a sum that is known within bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSum {
    /// The best guess; `−∞` for an empty sum.
    pub ln: f64,
    /// No less than this, but for the rounding of the kept sums.
    pub low: f64,
    /// No more than this, but for the same.
    pub high: f64,
    /// Whether it was interpolated between kept sums, or only lies within the bounds.
    pub interpolated: bool,
}

impl LogSum {
    const NOTHING: Self = Self {
        ln: f64::NEG_INFINITY,
        low: f64::NEG_INFINITY,
        high: f64::NEG_INFINITY,
        interpolated: true,
    };
}

impl KeptLogits {
    /// Keeps the essence of `logits [vocab]`; nothing if they are empty or one is no number.
    pub fn of(logits: &[f32]) -> Option<Self> {
        if logits.is_empty() || !logits.iter().all(|logit| logit.is_finite()) {
            return None;
        }
        let blocks: Vec<f32> = logits.chunks(BLOCK).map(block_max).collect();
        let max = blocks.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sums = power_sums(logits, max);
        let log_sums = std::array::from_fn(|k| match k {
            0 => (logits.len() as f64).ln() as f32,
            _ => sums[k].ln() as f32,
        });
        let top = largest_of(logits, blocks);
        Some(Self { top, log_sums })
    }

    /// The largest logit.
    pub fn max(&self) -> f32 {
        self.top.first().map_or(f32::NEG_INFINITY, |(_, l)| *l)
    }

    /// Tokens of the vocabulary.
    pub fn vocab(&self) -> usize {
        f64::from(self.log_sums[0]).exp().round() as usize
    }

    /// Tokens that are not in the list.
    pub fn tail_count(&self) -> usize {
        self.vocab().saturating_sub(self.top.len())
    }

    /// `ln Σ exp(logit)` over the vocabulary.
    pub fn log_sum(&self) -> f64 {
        f64::from(self.max()) + f64::from(self.log_sums[AT_ONE])
    }

    /// The raw logit of a listed token.
    pub fn logit(&self, id: u32) -> Option<f32> {
        self.top.iter().find(|(i, _)| *i == id).map(|(_, l)| *l)
    }

    /// Natural logarithm of a raw logit's probability.
    pub fn log_prob(&self, logit: f32) -> f64 {
        f64::from(logit - self.max()) - f64::from(self.log_sums[AT_ONE])
    }

    /// `ln Σ exp(beta · (logit − max))` over the tokens outside the list, `beta = 1 / temperature`,
    /// at least 0.
    ///
    /// The logarithm of such a sum is convex in `beta`: chords bound it from above, their
    /// extensions from below. Up to the last inverse temperature at which the difference of the
    /// sums still has digits, it is interpolated by the polynomial through the eight nearest; beyond,
    /// only the bounds are known, and the upper one is given: no token outside the list is likelier
    /// than its last.
    pub fn tail_log_sum(&self, beta: f64) -> LogSum {
        let Some(&(_, last)) = self.top.last() else {
            return LogSum::NOTHING;
        };
        if self.tail_count() == 0 {
            return LogSum::NOTHING;
        }
        let slope = f64::from(last) - f64::from(self.max());
        let knots = self.tail_knots();
        let end = knots.len() - 1;
        let beta = beta.max(0.0);
        let line = |a: usize, b: usize| {
            let (ya, yb) = (knots[a], knots[b]);
            let (xa, xb) = (inverse_temperature(a), inverse_temperature(b));
            ya + (yb - ya) * (beta - xa) / (xb - xa)
        };
        let beyond = beta - inverse_temperature(end);
        if beyond >= 0.0 {
            let high = knots[end] + slope * beyond;
            let low = if end == 0 {
                f64::NEG_INFINITY
            } else {
                line(end - 1, end).min(high)
            };
            return LogSum {
                ln: high,
                low,
                high,
                interpolated: beyond == 0.0,
            };
        }
        let k = (0..end)
            .rev()
            .find(|k| inverse_temperature(*k) <= beta)
            .unwrap_or(0);
        let high = line(k, k + 1);
        let below = (k > 0).then(|| line(k - 1, k));
        let above = (k + 2 <= end).then(|| line(k + 1, k + 2));
        let low = below
            .into_iter()
            .chain(above)
            .fold(f64::NEG_INFINITY, f64::max);
        let low = low.min(high);
        LogSum {
            ln: polynomial(&knots, k, beta).clamp(low, high),
            low,
            high,
            interpolated: true,
        }
    }

    /// The tail's log-sums at the kept inverse temperatures, for as many `k` as the kept sums can tell them from rounding.
    /// At `k = 0` it is always known: the tail's size.
    fn tail_knots(&self) -> Vec<f64> {
        /// Of the powers and their sums, in f32.
        const ROUNDING: f64 = 6e-7;
        let mut knots = vec![(self.tail_count() as f64).ln()];
        for (k, log_sum) in self.log_sums.into_iter().enumerate().skip(1) {
            let beta = inverse_temperature(k);
            let weight = |l: f32| (beta * f64::from(l - self.max())).exp();
            let list: f64 = self.top.iter().map(|(_, l)| weight(*l)).sum();
            let total = f64::from(log_sum).exp();
            let noise = total * (f64::from(f32::EPSILON * log_sum.abs()) + ROUNDING);
            let tail = total - list;
            if tail < 20.0 * noise {
                break;
            }
            knots.push(tail.ln());
        }
        knots
    }
}

/// Logits looked at together.
const BLOCK: usize = 64;

fn block_max(block: &[f32]) -> f32 {
    let (four, rest) = block.as_chunks::<4>();
    let start = f32x4::splat(f32::NEG_INFINITY);
    let max = four
        .iter()
        .fold(start, |max, l| max.fast_max(f32x4::new(*l)));
    let all = max.to_array().into_iter().chain(rest.iter().copied());
    all.fold(f32::NEG_INFINITY, f32::max)
}

/// Id and value of the [`KEPT`] largest of `logits`, falling, ties by id.
pub fn largest(logits: &[f32]) -> Vec<(u32, f32)> {
    largest_of(logits, logits.chunks(BLOCK).map(block_max).collect())
}

/// As [`largest`], with the blocks' maxima. As many blocks as are kept hold a logit of at least the
/// `KEPT`-th largest of their maxima, so nothing below it needs a second look.
fn largest_of(logits: &[f32], mut blocks: Vec<f32>) -> Vec<(u32, f32)> {
    let maxima = blocks.clone();
    let least = if blocks.len() > KEPT {
        *blocks
            .select_nth_unstable_by(KEPT - 1, |a, b| b.total_cmp(a))
            .1
    } else {
        f32::NEG_INFINITY
    };
    let mut found = Vec::with_capacity(2 * KEPT);
    for (index, (block, max)) in logits.chunks(BLOCK).zip(maxima).enumerate() {
        if max >= least {
            let ids = (index * BLOCK) as u32..;
            found.extend(ids.zip(block.iter().copied()).filter(|(_, l)| *l >= least));
        }
    }
    let falling = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if found.len() > KEPT {
        found.select_nth_unstable_by(KEPT - 1, falling);
        found.truncate(KEPT);
    }
    found.sort_unstable_by(falling);
    found
}

/// `Σ exp(β(k) · (logit − max))` for each `k`. The powers are products of two exponentials of a logit,
/// of few enough factors to keep six digits. What could not be seen in a sum of at least 1 is
/// dropped before it gets so small that processors slow down (below 1e-38).
fn power_sums(logits: &[f32], max: f32) -> [f64; LOG_SUMS] {
    let mut sums = [0.0f64; LOG_SUMS];
    for block in logits.chunks(BLOCK) {
        // 64 terms in f32, then f64: the rounding does not grow with the vocabulary.
        let mut lanes = [f32x4::ZERO; LOG_SUMS];
        let mut add = |logit: f32x4| {
            let x = logit - f32x4::splat(max);
            let seen_from = |least: f32| x.simd_ge(f32x4::splat(least));
            let d = exp(x * f32x4::splat(1.0 / 64.0));
            let c = exp(x * f32x4::splat(1.0 / 4.0));
            let (d2, c2) = (d * d, c * c);
            let d4 = d2 * d2;
            let d9 = d4 * d4 * d;
            let a = (c2 * c2) & seen_from(-80.0);
            let a_c = a & seen_from(-36.0);
            let a_f = a & seen_from(-21.5);
            let (a2, a3) = (a_f * a_f, a_f * a_f * a_f);
            let powers = [
                d,
                d4,
                d9,
                c,
                c * d9,
                c2 * d4,
                c2 * c * d,
                a,
                a_c * c * d,
                a_c * c2 * d4,
                a_c * c2 * c * d9,
                a_c * a_c * c,
                a2 * c2 * d9,
                a3 * d4,
                a3 * c2 * d,
                a2 * a2,
            ];
            for (lane, power) in lanes[1..].iter_mut().zip(powers) {
                *lane += power;
            }
        };
        let (four, rest) = block.as_chunks::<4>();
        for logits in four {
            add(f32x4::new(*logits));
        }
        if !rest.is_empty() {
            // So far below that its exponentials are 0.
            let mut last = [-3e38; 4];
            last[..rest.len()].copy_from_slice(rest);
            add(f32x4::new(last));
        }
        for (sum, lane) in sums.iter_mut().zip(lanes) {
            *sum += lane.to_array().into_iter().map(f64::from).sum::<f64>();
        }
    }
    sums
}

/// `eˣ` for `x ≤ 0` within two units of the last place, without what other numbers would need; below
/// −87 it stays at `e⁻⁸⁷`, which no sum of at least 1 sees.
fn exp(x: f32x4) -> f32x4 {
    let x = x.fast_max(f32x4::splat(-87.0));
    // Adding 1.5·2²³ rounds to a whole number, which then stands in the lowest bits.
    let rounder = f32x4::splat(12_582_912.0);
    let shifted = x * f32x4::splat(std::f32::consts::LOG2_E) + rounder;
    let whole = shifted - rounder;
    // ln 2 in two parts, the first with so few digits that its product is exact.
    let r = x - whole * f32x4::splat(0.693_359_4) + whole * f32x4::splat(2.121_944_4e-4);
    let mut p = f32x4::splat(1.0 / 720.0);
    for c in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + f32x4::splat(c);
    }
    let bits: i32x4 = bytemuck::cast(shifted);
    let power: f32x4 = bytemuck::cast((bits << 23) + i32x4::splat(127 << 23));
    p * power
}

/// The polynomial through the knots nearest to `beta`, by Lagrange's formula; `k` is the last knot
/// not above it.
fn polynomial(knots: &[f64], k: usize, beta: f64) -> f64 {
    const POINTS: usize = 8;
    let points = POINTS.min(knots.len());
    let first = (k + 1).saturating_sub(points / 2);
    let first = first.min(knots.len() - points);
    let window = first..first + points;
    let term = |i: usize| {
        let at = inverse_temperature(i);
        let others = window.clone().filter(|j| *j != i).map(inverse_temperature);
        knots[i]
            * others
                .map(|other| (beta - other) / (at - other))
                .product::<f64>()
    };
    window.clone().map(term).sum()
}

#[cfg(test)]
mod tests;
