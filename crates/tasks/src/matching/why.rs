//! Which parts of a picture mattered for a text: found by hiding them, one after the other, and beside
//! that the attention of all layers rolled into one.

use glassformer_graph::Executor;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::{Result, Sight, TOGETHER, cosine};
use crate::TaskError;

/// Most parts of a picture that are hidden one by one.
pub const MOST_PASSES: usize = 64;

/// Random choices that a deletion is compared with.
pub const RANDOM_DRAWS: usize = 8;

/// How much a picture's score falls where parts of it are hidden.
#[derive(Clone, Debug, PartialEq)]
pub struct Occlusion {
    /// Parts of a row and of a column.
    pub cells: usize,
    /// Cosine of the whole picture.
    pub base: f32,
    /// What the cosine loses without each part, row by row; below zero where it gains.
    pub drops: Vec<f32>,
}

/// A picture whose parts are being hidden.
#[derive(Clone, Debug)]
pub struct Occluding<'p> {
    sight: Sight,
    pixels: &'p [f32],
    text: &'p [f32],
    cells: usize,
    /// Of the whole picture first, then without each part.
    scores: Vec<f32>,
}

impl<'p> Occluding<'p> {
    /// For a picture as the model takes it and the embedding of a text. A part is a patch, or a square of
    /// patches where there are more than [`MOST_PASSES`].
    ///
    /// # Errors
    /// If the picture has another size.
    pub fn new(sight: &Sight, pixels: &'p [f32], text: &'p [f32]) -> Result<Self> {
        if pixels.len() != sight.numbers() {
            return Err(TaskError::CannotSee);
        }
        let patches = sight.grid.div_ceil(MOST_PASSES.isqrt());
        Ok(Self {
            cells: sight.grid.div_ceil(patches),
            sight: sight.clone(),
            pixels,
            text,
            scores: Vec::new(),
        })
    }

    /// Runs so far, and all.
    pub fn progress(&self) -> (usize, usize) {
        (self.scores.len(), 1 + self.cells * self.cells)
    }

    /// Hides some more parts.
    ///
    /// # Errors
    /// From the executor, or if the model computed no numbers.
    pub async fn step(&mut self, exec: &mut dyn Executor) -> Result<()> {
        let (done, all) = self.progress();
        let pictures = (done..all.min(done + TOGETHER)).map(|i| {
            // The first is whole.
            let hidden: Vec<usize> = i.checked_sub(1).into_iter().collect();
            hide(&self.sight, self.cells, self.pixels, &hidden)
        });
        let pixels: Vec<f32> = pictures.flatten().collect();
        let seen = self.sight.embed(exec, &pixels).await?;
        self.scores
            .extend(seen.iter().map(|seen| cosine(seen, self.text)));
        Ok(())
    }

    /// What was found, once all parts have been hidden.
    pub fn finish(self) -> Occlusion {
        let base = self.scores.first().copied().unwrap_or(0.0);
        let drops = self.scores.iter().skip(1).map(|score| base - score);
        Occlusion {
            cells: self.cells,
            base,
            drops: drops.collect(),
        }
    }
}

/// A picture with parts in the grey that the model takes for nothing: the mean colour, 0 once normalised.
fn hide(sight: &Sight, cells: usize, pixels: &[f32], parts: &[usize]) -> Vec<f32> {
    let mut pixels = pixels.to_vec();
    let patches = sight.grid.div_ceil(cells);
    let edge = |cell: usize| (cell * patches).min(sight.grid) * sight.side / sight.grid;
    for part in parts {
        let (row, column) = (part / cells, part % cells);
        for y in edge(row)..edge(row + 1) {
            let at = |x: usize| (y * sight.side + x) * sight.channels;
            pixels[at(edge(column))..at(edge(column + 1))].fill(0.0);
        }
    }
    pixels
}

/// What hiding several parts at once does to the score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deletion {
    /// How many are hidden.
    pub parts: usize,
    /// Cosine without those that mattered most.
    pub highest: f32,
    /// Cosine without as many random ones, the mean of [`RANDOM_DRAWS`] draws.
    pub random: f32,
}

/// The test of an occlusion map: hides its highest `parts` at once, and beside that random ones.
///
/// # Errors
/// From the executor, or if the model computed no numbers.
pub async fn deletion(
    sight: &Sight,
    exec: &mut dyn Executor,
    pixels: &[f32],
    text: &[f32],
    found: &Occlusion,
    parts: usize,
    seed: u64,
) -> Result<Deletion> {
    let mut ranked: Vec<usize> = (0..found.drops.len()).collect();
    ranked.sort_by(|&a, &b| found.drops[b].total_cmp(&found.drops[a]));
    let parts = parts.min(ranked.len());
    let mut choices = vec![ranked[..parts].to_vec()];
    let mut draws = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..RANDOM_DRAWS {
        let mut order: Vec<usize> = (0..found.drops.len()).collect();
        for i in 0..parts {
            let rest = (order.len() - i) as u32;
            let j = i + (draws.next_u32() % rest) as usize;
            order.swap(i, j);
        }
        choices.push(order[..parts].to_vec());
    }
    let pictures = choices
        .iter()
        .flat_map(|choice| hide(sight, found.cells, pixels, choice));
    let pictures: Vec<f32> = pictures.collect();
    let seen = sight.embed(exec, &pictures).await?;
    let scores: Vec<f32> = seen.iter().map(|seen| cosine(seen, text)).collect();
    let (highest, random) = scores.split_first().ok_or(TaskError::NotFinite)?;
    Ok(Deletion {
        parts,
        highest: *highest,
        random: random.iter().sum::<f32>() / random.len() as f32,
    })
}

/// How much of each patch reaches the vector that stands for the picture by rollout, `[grid · grid]`; what
/// learned tokens give is left out, so the sum is below one. It knows nothing of any text. Averaged over
/// heads: derived.
pub fn reaching(sight: &Sight, rollout: &[f32]) -> Vec<f32> {
    let n = sight.positions();
    let queries = if sight.mean { sight.first..n } else { 0..1 };
    let count = queries.len() as f32;
    let patch = |key: usize| {
        let column = queries
            .clone()
            .filter_map(|query| rollout.get(query * n + key));
        column.sum::<f32>() / count
    };
    (sight.first..n).map(patch).collect()
}
