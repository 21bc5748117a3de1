//! Products of many rows of `x`: weights are unpacked once for all of them, a run of columns of eight rows
//! at a time, small enough to stay in the nearest cache, and multiplied by four rows of `x`. Their sums, 32,
//! fit in registers.

use wide::f32x4;

use super::add_into;
use crate::kernels::activations::Activations;
use crate::packed::{LANES, Matrix};

/// Groups of four weight rows that are multiplied together.
const WIDE: usize = 2;

/// Rows of `x` that are multiplied together.
const HIGH: usize = 4;

/// Rows of `x` that share unpacked weights.
const ROWS: usize = 64;

/// The most columns of a run.
pub const RUN: usize = 64;

/// What rows of `x` that are multiplied together have in one place.
pub type Tile<X> = [X; HIGH];

/// How numbers are multiplied.
pub trait Arithmetic: Copy {
    /// What a row of `x` has in one place.
    type X: Copy + Default;
    /// What four rows of weights have in one place.
    type Column: Copy + Default;
    /// Four sums.
    type Sum: Copy + Default;

    /// Columns of `x` in one place.
    fn step(self) -> usize;

    /// All rows, as [`tiles`] makes them.
    fn tiles(self, x: &Activations) -> &[Tile<Self::X>];

    /// `sum + column · x`.
    fn add(self, sum: Self::Sum, column: Self::Column, x: Self::X) -> Self::Sum;
}

/// A way to keep weights, and what multiplies them.
pub trait Unpack {
    /// What it multiplies with.
    type With: Arithmetic;
    /// A block of columns of four rows.
    type Block;
    /// Scales of a run.
    type Scale: Copy + Default;
    /// Columns of a block.
    const COLS: usize;
    /// Columns whose products are summed up by themselves; whole blocks, at most [`RUN`].
    const RUN: usize;

    /// What multiplies.
    fn with(&self) -> Self::With;

    /// Hands over what a run has in each place.
    fn columns(
        &self,
        run: &[Self::Block],
        put: impl FnMut(usize, <Self::With as Arithmetic>::Column),
    );

    /// The scales of a run.
    fn scale(&self, run: &[Self::Block]) -> Self::Scale;

    /// What a run's `sum` of products stands for, with `x` from number `at` on; nothing for rows that are
    /// not there.
    fn scaled(
        &self,
        sum: <Self::With as Arithmetic>::Sum,
        scale: Self::Scale,
        x: &Activations,
        at: usize,
    ) -> f32x4;
}

type Column<U> = <<U as Unpack>::With as Arithmetic>::Column;

/// `x · Wᵀ + b` into `out`, `[n, out]`.
#[inline(always)]
pub fn linear<U: Unpack>(
    unpack: &U,
    weight: &Matrix<U::Block>,
    bias: Option<&[f32]>,
    x: &Activations,
    out: &mut [f32],
) {
    let groups: Vec<usize> = (0..weight.rows.div_ceil(LANES)).collect();
    let mut run = Run::<U> {
        columns: [[Column::<U>::default(); WIDE]; RUN],
        scales: [U::Scale::default(); WIDE],
    };
    for groups in groups.chunks(WIDE) {
        for from in (0..x.n).step_by(ROWS) {
            let mut sums = [[f32x4::ZERO; WIDE]; ROWS];
            for first in (0..x.cols).step_by(U::RUN) {
                let width = U::RUN.min(x.cols - first);
                for (i, &group) in groups.iter().enumerate() {
                    let blocks = &weight.group(group)[first / U::COLS..][..width / U::COLS];
                    unpack.columns(blocks, |k, column| run.columns[k][i] = column);
                    run.scales[i] = unpack.scale(blocks);
                }
                run.multiply(unpack, x, [from, first, width], &mut sums);
            }
            for (row, sums) in (from..x.n).zip(sums) {
                for (&group, sum) in groups.iter().zip(sums) {
                    let range = group * LANES..weight.rows.min((group + 1) * LANES);
                    let bias = bias.map(|bias| &bias[range.clone()]);
                    add_into(sum, bias, &mut out[row * weight.rows..][range]);
                }
            }
        }
    }
}

/// A run of columns, unpacked.
struct Run<U: Unpack> {
    columns: [[Column<U>; WIDE]; RUN],
    scales: [U::Scale; WIDE],
}

impl<U: Unpack> Run<U> {
    /// Adds its products with rows of `x` from row `from` on to their sums.
    #[inline(always)]
    fn multiply(
        &self,
        unpack: &U,
        x: &Activations,
        [from, first, width]: [usize; 3],
        sums: &mut [[f32x4; WIDE]; ROWS],
    ) {
        let with = unpack.with();
        let step = with.step();
        let tiles = &with.tiles(x)[from / HIGH * (x.cols / step)..];
        let tiles = tiles.chunks(x.cols / step);
        for (tile, (x_tile, sums)) in tiles.zip(sums.as_chunks_mut::<HIGH>().0).enumerate() {
            let x_tile = &x_tile[first / step..][..width / step];
            let products = products(with, &self.columns[..width / step], x_tile);
            for (i, (sums, products)) in sums.iter_mut().zip(products).enumerate() {
                let at = (from + tile * HIGH + i) * x.cols + first;
                for ((sum, products), scale) in sums.iter_mut().zip(products).zip(self.scales) {
                    *sum += unpack.scaled(products, scale, x, at);
                }
            }
        }
    }
}

/// The products of a run's columns and a tile of `x`, summed up.
#[inline(always)]
fn products<A: Arithmetic>(
    with: A,
    columns: &[[A::Column; WIDE]],
    x: &[Tile<A::X>],
) -> [[A::Sum; WIDE]; HIGH] {
    let mut sums = [[A::Sum::default(); WIDE]; HIGH];
    // Not unrolled: the compiler would add up column after column of one sum, then of the next, and more
    // would have to be held than there are registers.
    for (columns, x) in columns.iter().zip(x) {
        for (sums, &x) in sums.iter_mut().zip(x) {
            for (sum, &column) in sums.iter_mut().zip(columns) {
                *sum = with.add(*sum, column, x);
            }
        }
    }
    sums
}

/// Rows of `x`, `[n, width]`, tile by tile. Rows beyond the last are zero.
pub fn tiles<X: Copy + Default>(x: &[X], width: usize) -> Vec<Tile<X>> {
    let mut tiles = Vec::with_capacity(x.len().div_ceil(HIGH) + width);
    for rows in x.chunks(HIGH * width) {
        let at = |place| rows.get(place).copied().unwrap_or_default();
        tiles.extend((0..width).map(|k| std::array::from_fn(|t| at(t * width + k))));
    }
    tiles
}
