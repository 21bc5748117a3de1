//! Bytes with one scale for the whole matrix, as Marian multiplies them.
//!
//! `fast` gives intgemm's numbers, operation for operation: inputs rounded by the multiplier of the
//! file and shifted up by 127, integer products, and the shift taken back through the sums of the
//! rows, in the bias. intgemm adds two neighbouring products in 16 bits, where they stay at the limit if
//! they are beyond. Where the machine's instruction does just that, it is all there is to do. Elsewhere sums
//! are exact, and for the few pairs of weights that are large enough ([`Loud`]) what is beyond the limit is
//! taken off again. A machine that multiplies by seven bits only takes an input in two halves.

use bytemuck::cast;
use wide::{f32x4, i16x8, i32x4, u32x4};

use super::{add_into, exact, load, rows};
use crate::kernels::activations::{Activations, Rounded};
use crate::kernels::lanes;
use crate::kernels::machine::{Machine, Second};
use crate::packed::{I8Block, LANES, Loud, Scaled};

/// Rows of `x` that are computed together.
const TILE: usize = 4;

/// The largest rounded number, and what intgemm shifts them by.
const SHIFT: f32 = 127.0;

/// `x · Wᵀ + b` into `out`, `[n, out]`: with integers if `x` was rounded.
pub fn linear(weight: &Scaled, bias: Option<&[f32]>, x: &Activations, out: &mut [f32]) {
    let Rounded { shifted, pairs, .. } = &x.rounded;
    match (weight.rounding, x.machine) {
        (Some(rounding), Some(machine)) if !shifted.is_empty() => {
            // SAFETY: there is a machine.
            unsafe { by_machine(machine, weight, rounding, bias, x, out) }
        }
        (Some(rounding), None) if !pairs.is_empty() => {
            integers(Pairs(x), weight, rounding, bias, x, out);
        }
        _ => {
            let scale = 1.0 / weight.multiplier;
            exact::linear(&exact::Bytes { scale }, &weight.matrix, bias, x, out);
        }
    }
}

/// The whole loop over rows is compiled for the machine.
///
/// # Safety
/// The machine must have the features named here, as [`Machine::detect`] has found out.
#[cfg_attr(
    all(target_arch = "wasm32", feature = "relaxed-simd"),
    target_feature(enable = "relaxed-simd")
)]
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
unsafe fn by_machine(
    machine: Machine,
    weight: &Scaled,
    rounding: f32,
    bias: Option<&[f32]>,
    x: &Activations,
    out: &mut [f32],
) {
    match machine.second() {
        Second::Seven => integers(Halves { machine, x }, weight, rounding, bias, x, out),
        Second::Whole | Second::Saturating => {
            integers(Shifted { machine, x }, weight, rounding, bias, x, out);
        }
    }
}

/// How `Σ q·a` is computed for four rows of weights and `T` rows of rounded inputs.
trait Dots {
    /// Whether the inputs are shifted up by 127.
    const SHIFTED: bool = false;
    /// Whether sums of neighbours stay within 16 bits.
    fn saturates(&self) -> bool {
        false
    }
    fn dots<const T: usize>(&self, weights: &[I8Block], first: usize) -> [i32x4; T];
}

#[inline(always)]
fn integers<K: Dots>(
    kernel: K,
    weight: &Scaled,
    rounding: f32,
    bias: Option<&[f32]>,
    x: &Activations,
    out: &mut [f32],
) {
    let (n, mut loud) = (x.n, weight.loud.as_slice());
    if kernel.saturates() {
        loud = &[];
    }
    let multiplier = weight.multiplier;
    let scale = f32x4::splat(1.0 / (rounding * multiplier));
    // intgemm's way to write the same with another rounding.
    let back = f32x4::splat(-((SHIFT / rounding) * (SHIFT / multiplier)) / SHIFT);
    let rows = weight.matrix.rows;
    for (group, sums) in weight.sums.as_chunks::<LANES>().0.iter().enumerate() {
        let blocks = weight.matrix.group(group);
        let first = group * LANES;
        let range = first..rows.min(first + LANES);
        let mut base = [0.0; LANES];
        if let Some(bias) = bias {
            base[..range.len()].copy_from_slice(&bias[range.clone()]);
        }
        let sums = i32x4::new(*sums);
        let base = f32x4::from_i32x4(sums) * back + load(&base);
        let shift = match K::SHIFTED {
            true => i32x4::ZERO,
            false => sums * i32x4::splat(SHIFT as i32),
        };
        // Most groups have none.
        let of_group = |pair: &&Loud| (pair.row as usize) < first + LANES;
        let (here, later) = loud.split_at(loud.iter().take_while(of_group).count());
        loud = later;
        let mut store = |t: usize, dots: i32x4| {
            let mut dots = dots + shift;
            if !here.is_empty() {
                dots -= beyond(here, x, t);
            }
            let sums = f32x4::from_i32x4(dots) * scale + base;
            add_into(sums, None, &mut out[t * rows..][range.clone()]);
        };
        let mut t = 0;
        while t + TILE <= n {
            let dots = kernel.dots::<TILE>(blocks, t);
            dots.into_iter()
                .enumerate()
                .for_each(|(i, d)| store(t + i, d));
            t += TILE;
        }
        while t < n {
            let [dots] = kernel.dots::<1>(blocks, t);
            store(t, dots);
            t += 1;
        }
    }
}

/// What intgemm loses in row `t` of the input, of four rows of weights.
#[inline(never)]
fn beyond(pairs: &[Loud], x: &Activations, t: usize) -> i32x4 {
    let mut lost = [0; LANES];
    for pair in pairs {
        let two = x.rounded.two(t * x.cols + pair.column as usize);
        lost[pair.row as usize % LANES] += pair.overflow(two);
    }
    i32x4::new(lost)
}

/// With an instruction that multiplies bytes by bytes.
struct Shifted<'x> {
    machine: Machine,
    x: &'x Activations,
}

impl Dots for Shifted<'_> {
    const SHIFTED: bool = true;

    fn saturates(&self) -> bool {
        self.machine.second() == Second::Saturating
    }

    #[inline(always)]
    fn dots<const T: usize>(&self, weights: &[I8Block], first: usize) -> [i32x4; T] {
        self.machine
            .dots::<T>(weights, &self.x.rounded.shifted, first)
    }
}

/// With an instruction that multiplies bytes by seven bits; see `bytes.rs` on the two halves of the input.
struct Halves<'x> {
    machine: Machine,
    x: &'x Activations,
}

impl Dots for Halves<'_> {
    #[inline(always)]
    fn dots<const T: usize>(&self, weights: &[I8Block], first: usize) -> [i32x4; T] {
        let Rounded { plus, minus, .. } = &self.x.rounded;
        let above = self.machine.dots::<T>(weights, plus, first);
        if minus.is_empty() {
            return above;
        }
        let below = self.machine.dots::<T>(weights, minus, first);
        std::array::from_fn(|t| above[t] - below[t])
    }
}

impl Machine {
    /// `Σ q·x` of four rows of weights and rows `first..first + T` of `x`.
    #[inline(always)]
    fn dots<const T: usize>(self, weights: &[I8Block], x: &[u32], first: usize) -> [i32x4; T] {
        let inputs: [&[u32]; T] = rows(x, weights.len(), first);
        let mut sums = [i32x4::ZERO; T];
        let (fours, rest) = weights.as_chunks::<4>();
        for (v, four) in fours.iter().enumerate() {
            for t in 0..T {
                let Some(words) = inputs[t][4 * v..].first_chunk::<4>() else {
                    continue;
                };
                for (block, word) in four.iter().zip(lanes(u32x4::new(*words))) {
                    sums[t] = self.dot(u32x4::new(block.q), word, sums[t]);
                }
            }
        }
        let done = weights.len() - rest.len();
        for (i, block) in rest.iter().enumerate() {
            for t in 0..T {
                let word = u32x4::splat(inputs[t][done + i]);
                sums[t] = self.dot(u32x4::new(block.q), word, sums[t]);
            }
        }
        sums
    }
}

/// Where nothing multiplies bytes: 16-bit numbers in pairs.
struct Pairs<'x>(&'x Activations);

impl Dots for Pairs<'_> {
    #[inline(always)]
    fn dots<const T: usize>(&self, weights: &[I8Block], first: usize) -> [i32x4; T] {
        let inputs: [_; T] = rows(&self.0.rounded.pairs, weights.len(), first);
        let mut sums = [i32x4::ZERO; T];
        for (v, block) in weights.iter().enumerate() {
            let word: i16x8 = cast(u32x4::new(block.q));
            let (even, odd): (i16x8, i16x8) = ((word << 8) >> 8, word >> 8);
            for t in 0..T {
                let [a, b] = inputs[t][v].map(|pair| u32x4::splat(cast(pair)));
                sums[t] += even.dot(cast(a)) + odd.dot(cast(b));
            }
        }
        sums
    }
}
