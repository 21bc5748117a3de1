//! What a head does, in numbers: sums over its rows, gathered while the rows pass by.

use serde::{Deserialize, Serialize};

/// Most cells of a thumbnail's side.
pub const THUMBNAIL: usize = 32;

/// Averages over a head's queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeadStats {
    /// Entropy of a row, in bits: 0 looks at one token, log₂ n at all alike.
    pub entropy: f32,
    /// Entropy over that of an even row, 0 to 1; over queries that see more than one token.
    pub evenness: f32,
    /// Distance to what is read, in tokens; of a picture in patches.
    pub distance: f32,
    /// Weight on the token itself.
    pub own: f32,
    /// Weight on the token before; over the queries that have one.
    pub previous: f32,
    /// Weight on the token behind, where it may be seen.
    pub next: f32,
    /// Weight on the first token; over the queries behind it.
    pub first: f32,
    /// Weight on special tokens other than the first.
    pub special: f32,
    /// Weight on other places of the same token, over the queries that see one.
    pub same: f32,
    /// How many queries see one.
    pub same_count: u32,
}

/// What most of a head's weight is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Habit {
    /// The token before.
    Previous,
    /// The token behind.
    Next,
    /// The token itself.
    Own,
    /// Other places of the same token.
    SameWord,
    /// The first token, which is free for whatever is not needed.
    FirstToken,
    /// Special tokens other than the first.
    Special,
    /// Everything, nearly alike.
    Even,
}

impl Habit {
    /// What such a head does with a picture, whose tokens are patches behind a class token.
    pub fn in_words_of_picture(self) -> &'static str {
        match self {
            Self::Previous => "looks at the patch before its own",
            Self::Next => "looks at the patch after its own",
            Self::Own => "stays on its own patch",
            Self::FirstToken => "rests on the class token",
            Self::Special => "rests on learned tokens",
            Self::SameWord | Self::Even => self.in_words(),
        }
    }

    /// What such a head does, as words behind its name.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Previous => "follows the previous token",
            Self::Next => "looks at the next token",
            Self::Own => "stays on its own token",
            Self::SameWord => "attends to the same word",
            Self::FirstToken => "rests on the first token",
            Self::Special => "rests on special tokens",
            Self::Even => "looks at everything alike",
        }
    }
}

/// A share of the weight from which a habit is named.
pub const HABIT: f32 = 0.4;
/// An evenness from which a head is said to look at everything alike.
pub const EVEN: f32 = 0.85;

impl HeadStats {
    /// The habit with the largest number, if it is large enough, and that number.
    pub fn habit(&self) -> Option<(Habit, f32)> {
        let same = if self.same_count > 0 { self.same } else { 0.0 };
        let shares = [
            (Habit::Previous, self.previous),
            (Habit::Next, self.next),
            (Habit::Own, self.own),
            (Habit::SameWord, same),
            (Habit::FirstToken, self.first),
            (Habit::Special, self.special),
        ];
        let largest = shares.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let named = largest.filter(|(_, share)| *share >= HABIT);
        named.or((self.evenness >= EVEN).then_some((Habit::Even, self.evenness)))
    }
}

/// The tokens the rows are about.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// Their ids.
    pub ids: &'a [u32],
    /// Which are special.
    pub special: &'a [bool],
    /// Where the patches of a picture are.
    pub places: Option<PatchGrid>,
}

/// Where the patches of a picture are: behind learned tokens, row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchGrid {
    /// Learned tokens in front.
    pub first: usize,
    /// Patches of a row and of a column.
    pub grid: usize,
}

impl PatchGrid {
    /// Between two places, in patches; what is learned lies nowhere, so 0.
    pub fn distance(self, a: usize, b: usize) -> f32 {
        let at = |place: usize| {
            let patch = place.checked_sub(self.first)?;
            Some([patch / self.grid.max(1), patch % self.grid.max(1)])
        };
        let apart = |(a, b): ([usize; 2], [usize; 2])| {
            let [rows, columns] = [0, 1].map(|axis| a[axis].abs_diff(b[axis]) as f32);
            rows.hypot(columns)
        };
        at(a).zip(at(b)).map_or(0.0, apart)
    }
}

/// Sums of one head, and its thumbnail.
#[derive(Clone, Debug)]
pub struct HeadSums {
    /// Side of the thumbnail.
    side: usize,
    /// `[side, side]`: the largest weight of each block of cells.
    thumbnail: Vec<f32>,
    sums: HeadStats,
    rows: u32,
    /// Queries with more than one token in sight, with one before, with one behind.
    counts: [u32; 3],
    /// How many queries there are, where keys are tokens of another text.
    across: Option<usize>,
}

impl HeadSums {
    /// For a text of `n` tokens.
    pub fn new(n: usize) -> Self {
        let side = n.min(THUMBNAIL);
        Self {
            side,
            thumbnail: vec![0.0; side * side],
            sums: HeadStats::default(),
            rows: 0,
            counts: [0; 3],
            across: None,
        }
    }

    /// For `queries` tokens that read `keys` tokens of another text.
    pub fn across(queries: usize, keys: usize) -> Self {
        Self {
            across: Some(queries),
            ..Self::new(queries.max(keys))
        }
    }

    /// Takes the weights of query `i` over all tokens of another text. Places in it are not places
    /// beside the query, so nothing is said of those.
    fn row_across(&mut self, i: usize, queries: usize, weights: &[f32], special: &[bool]) {
        let side = self.side;
        let blocks = |at: usize, of: usize| {
            let from = at * side / of.max(1);
            from..((at + 1) * side / of.max(1)).max(from + 1).min(side)
        };
        let (mut entropy, mut distance) = (0.0f64, 0.0f32);
        for (j, &p) in weights.iter().enumerate() {
            for top in blocks(i, queries) {
                for cell in &mut self.thumbnail[top * side..][blocks(j, weights.len())] {
                    *cell = cell.max(p);
                }
            }
            if p > 0.0 {
                entropy -= f64::from(p * p.log2());
            }
            distance += p * i.abs_diff(j) as f32;
            if j > 0 && special.get(j).copied().unwrap_or(false) {
                self.sums.special += p;
            }
        }
        self.rows += 1;
        self.sums.entropy += entropy as f32;
        self.sums.distance += distance;
        if weights.len() > 1 {
            self.sums.evenness += (entropy / (weights.len() as f64).log2()) as f32;
            self.sums.first += weights[0];
            self.counts[0] += 1;
            self.counts[1] += 1;
        }
    }

    /// Takes the weights of query `i`: those of the keys it may read, from the first on.
    pub fn row(&mut self, i: usize, weights: &[f32], tokens: Tokens<'_>) {
        if let Some(queries) = self.across {
            return self.row_across(i, queries, weights, tokens.special);
        }
        let sums = &mut self.sums;
        let (mut entropy, mut distance, mut special, mut same) = (0.0f64, 0.0f32, 0.0, 0.0);
        let mut twins = 0;
        let n = tokens.ids.len().max(1);
        let top = i * self.side / n * self.side;
        let cells = &mut self.thumbnail[top..top + self.side];
        // `j * side / n`, without a division a weight.
        let (mut block, mut over) = (0, 0);
        for (j, &p) in weights.iter().enumerate() {
            cells[block] = cells[block].max(p);
            over += self.side;
            if over >= n {
                over -= n;
                block += 1;
            }
            if p > 0.0 {
                entropy -= f64::from(p * p.log2());
            }
            distance += p * match tokens.places {
                Some(places) => places.distance(i, j),
                None => i.abs_diff(j) as f32,
            };
            if j > 0 && tokens.special[j] {
                special += p;
            }
            if j != i && tokens.ids[j] == tokens.ids[i] {
                same += p;
                twins += 1;
            }
        }
        self.rows += 1;
        sums.entropy += entropy as f32;
        sums.distance += distance;
        sums.special += special;
        sums.own += weights.get(i).copied().unwrap_or(0.0);
        if weights.len() > 1 {
            sums.evenness += (entropy / (weights.len() as f64).log2()) as f32;
            self.counts[0] += 1;
        }
        if i > 0 {
            sums.previous += weights.get(i - 1).copied().unwrap_or(0.0);
            sums.first += weights.first().copied().unwrap_or(0.0);
            self.counts[1] += 1;
        }
        if let Some(p) = weights.get(i + 1) {
            sums.next += p;
            self.counts[2] += 1;
        }
        if twins > 0 {
            sums.same += same;
            sums.same_count += 1;
        }
    }

    /// The averages.
    pub fn stats(&self) -> HeadStats {
        let mean = |sum: f32, count: u32| if count > 0 { sum / count as f32 } else { 0.0 };
        let [several, later, before_last] = self.counts;
        let sums = &self.sums;
        HeadStats {
            entropy: mean(sums.entropy, self.rows),
            evenness: mean(sums.evenness, several),
            distance: mean(sums.distance, self.rows),
            own: mean(sums.own, self.rows),
            previous: mean(sums.previous, later),
            next: mean(sums.next, before_last),
            first: mean(sums.first, later),
            special: mean(sums.special, self.rows),
            same: mean(sums.same, sums.same_count),
            same_count: sums.same_count,
        }
    }

    /// `[side, side]`, the largest weight of each block.
    pub fn thumbnail(&self) -> &[f32] {
        &self.thumbnail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(rows: &[&[f32]], ids: &[u32]) -> HeadStats {
        let mut sums = HeadSums::new(ids.len());
        let special = vec![false; ids.len()];
        for (i, row) in rows.iter().enumerate() {
            let special = &special;
            let places = None;
            sums.row(
                i,
                row,
                Tokens {
                    ids,
                    special,
                    places,
                },
            );
        }
        sums.stats()
    }

    #[test]
    fn a_head_that_follows_the_token_before() {
        let stats = stats(&[&[1.0], &[1.0, 0.0], &[0.0, 0.75, 0.25]], &[5, 6, 7]);
        assert_eq!(stats.previous, (1.0 + 0.75) / 2.0);
        assert_eq!(stats.first, 0.5);
        assert_eq!(stats.own, 1.25 / 3.0);
        assert_eq!(stats.distance, (1.0 + 0.75) / 3.0);
        assert_eq!(stats.habit(), Some((Habit::Previous, 0.875)));
        assert_eq!((stats.same_count, stats.next), (0, 0.0));
    }

    #[test]
    fn a_head_that_finds_the_same_word() {
        let rows: [&[f32]; 3] = [&[1.0], &[0.5, 0.5], &[0.9, 0.0, 0.1]];
        let stats = stats(&rows, &[5, 6, 5]);
        assert_eq!((stats.same, stats.same_count), (0.9, 1));
        assert_eq!(stats.habit().map(|(habit, _)| habit), Some(Habit::SameWord));
    }

    #[test]
    fn a_head_that_reads_another_text_has_no_neighbours() {
        let mut sums = HeadSums::across(2, 4);
        let (ids, special) = ([1, 2, 3, 0], [false, false, false, true]);
        let tokens = Tokens {
            ids: &ids,
            special: &special,
            places: None,
        };
        sums.row(0, &[1.0, 0.0, 0.0, 0.0], tokens);
        sums.row(1, &[0.0, 0.0, 0.5, 0.5], tokens);
        let stats = sums.stats();
        assert_eq!((stats.own, stats.previous, stats.next), (0.0, 0.0, 0.0));
        assert_eq!((stats.first, stats.special), (0.5, 0.25));
        assert_eq!((stats.entropy, stats.distance), (0.5, 0.75));
        // Two queries fill four rows of cells, two each.
        let thumbnail = sums.thumbnail();
        assert_eq!(thumbnail[..4], thumbnail[4..8]);
        assert_eq!(thumbnail[12..], [0.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn distances_in_a_picture_are_between_patches() {
        let places = PatchGrid { first: 1, grid: 3 };
        // The second patch of the first row, the first of the last row.
        assert_eq!(places.distance(2, 7), 5f32.sqrt());
        assert_eq!(places.distance(3, 4), 5f32.sqrt());
        assert_eq!((places.distance(0, 5), places.distance(5, 5)), (0.0, 0.0));
    }

    #[test]
    fn an_even_head_in_bits() {
        let row = [0.25f32; 4];
        let stats = stats(&[&row, &row, &row, &row], &[1, 2, 3, 4]);
        assert!((stats.entropy - 2.0).abs() < 1e-6 && (stats.evenness - 1.0).abs() < 1e-6);
        assert_eq!(stats.habit().map(|(habit, _)| habit), Some(Habit::Even));
    }

    #[test]
    fn a_thumbnail_keeps_the_largest_of_each_block() {
        let n = 64;
        let ids: Vec<u32> = (0..n).collect();
        let special = vec![false; n as usize];
        let mut sums = HeadSums::new(n as usize);
        for i in 0..n as usize {
            let mut row = vec![0.0; i + 1];
            row[i] = 1.0;
            sums.row(
                i,
                &row,
                Tokens {
                    ids: &ids,
                    special: &special,
                    places: None,
                },
            );
        }
        for (at, &cell) in sums.thumbnail().iter().enumerate() {
            assert_eq!(cell, f32::from(at / THUMBNAIL == at % THUMBNAIL));
        }
    }
}
