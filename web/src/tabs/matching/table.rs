//! The numbers of the grid: cosines, and the shares that a softmax makes of them.

use std::sync::Arc;

use glassformer_engine::tasks::matching::{cosine, softmax};

/// What the cells show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// Cosines, as the model computed them.
    #[default]
    Cosine,
    /// Of each picture, shares of the texts: which text fits it best.
    OfTexts,
    /// Of each text, shares of the pictures: which picture fits it best.
    OfPictures,
}

impl Shown {
    /// All, with their names in links and on the page.
    pub const ALL: [(Self, &str, &str); 3] = [
        (Self::Cosine, "off", "similarity"),
        (Self::OfTexts, "texts", "share among the texts"),
        (Self::OfPictures, "pictures", "share among the pictures"),
    ];

    /// Its name in links.
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(shown, ..)| *shown == self);
        found.map_or("", |(_, name, _)| *name)
    }

    /// The one of this name in links.
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, id, _)| *id == name);
        found.map(|(shown, ..)| *shown)
    }
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// The cosine.
    pub cosine: f32,
    /// Its share among the texts of its picture.
    pub of_texts: f32,
    /// Its share among the pictures of its text.
    pub of_pictures: f32,
}

impl Cell {
    /// The number that is shown.
    pub fn shown(&self, shown: Shown) -> f32 {
        match shown {
            Shown::Cosine => self.cosine,
            Shown::OfTexts => self.of_texts,
            Shown::OfPictures => self.of_pictures,
        }
    }
}

impl Cell {
    /// The cosine and the number that is shown; 0 in place of the others.
    pub fn only(self, shown: Shown) -> Self {
        let keep = |kind: Shown, share: f32| if shown == kind { share } else { 0.0 };
        Self {
            of_texts: keep(Shown::OfTexts, self.of_texts),
            of_pictures: keep(Shown::OfPictures, self.of_pictures),
            ..self
        }
    }
}

/// All cells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Rows are pictures, columns texts; nothing where something has not been computed.
    pub rows: Vec<Vec<Option<Cell>>>,
    /// What cosines are multiplied by before a softmax.
    pub scale: f32,
    /// Smallest and largest cosine.
    pub range: [f32; 2],
}

/// A vector of length one, once there is one.
pub type Vector = Option<Arc<Vec<f32>>>;

impl Table {
    /// From embeddings.
    pub fn new(pictures: &[Vector], texts: &[Vector], scale: f32) -> Self {
        let row = |picture: &Vector| {
            let score = |text: &Vector| Some(cosine(picture.as_ref()?, text.as_ref()?));
            texts.iter().map(score).collect()
        };
        Self::of_cosines(pictures.iter().map(row).collect(), scale)
    }

    /// From cosines.
    pub fn of_cosines(cosines: Vec<Vec<Option<f32>>>, scale: f32) -> Self {
        let columns = cosines.first().map_or(0, Vec::len);
        let by_row: Vec<Vec<Option<f32>>> = cosines.iter().map(|row| shares(row, scale)).collect();
        let by_column: Vec<Vec<Option<f32>>> = (0..columns)
            .map(|j| {
                let column: Vec<_> = cosines.iter().map(|row| row[j]).collect();
                shares(&column, scale)
            })
            .collect();
        let cell = |i: usize, j: usize| {
            Some(Cell {
                cosine: cosines[i][j]?,
                of_texts: by_row[i][j]?,
                of_pictures: by_column[j][i]?,
            })
        };
        let rows: Vec<Vec<_>> = (0..cosines.len())
            .map(|i| (0..columns).map(|j| cell(i, j)).collect())
            .collect();
        let known = cosines.iter().flatten().flatten().copied();
        Self {
            range: [
                known.clone().fold(f32::INFINITY, f32::min),
                known.fold(f32::NEG_INFINITY, f32::max),
            ],
            rows,
            scale,
        }
    }

    /// Which of six shades a number has.
    pub fn shade(&self, cell: &Cell, shown: Shown) -> usize {
        let share = match shown {
            Shown::Cosine => {
                let [least, most] = self.range;
                (cell.cosine - least) / (most - least).max(f32::EPSILON)
            }
            _ => cell.shown(shown),
        };
        ((share * 6.0) as usize).min(5)
    }

    /// Where each shade begins, for the legend.
    pub fn steps(&self, shown: Shown) -> [f32; 6] {
        let [least, most] = match shown {
            Shown::Cosine => self.range,
            _ => [0.0, 1.0],
        };
        std::array::from_fn(|i| least + (most - least) * i as f32 / 6.0)
    }
}

/// The softmax over those that are known.
fn shares(cosines: &[Option<f32>], scale: f32) -> Vec<Option<f32>> {
    let known: Vec<f32> = cosines.iter().flatten().copied().collect();
    let mut shares = softmax(&known, scale).into_iter();
    let share = |cosine: &Option<f32>| cosine.and_then(|_| shares.next());
    cosines.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_leave_out_what_is_not_known() {
        let table = Table::of_cosines(
            vec![
                vec![Some(0.3), None, Some(0.1)],
                vec![Some(0.1), Some(0.2), None],
            ],
            10.0,
        );
        assert_eq!(table.range, [0.1, 0.3]);
        assert!(table.rows[0][1].is_none());
        let sum =
            |cells: &[Option<Cell>]| -> f32 { cells.iter().flatten().map(|c| c.of_texts).sum() };
        assert!((sum(&table.rows[0]) - 1.0).abs() < 1e-6);
        let known = table.rows[1][1].map(|cell| cell.of_pictures);
        assert_eq!(known, Some(1.0));
        let shade = |cell: Option<Cell>| cell.map(|cell| table.shade(&cell, Shown::Cosine));
        assert_eq!(shade(table.rows[0][0]), Some(5));
        assert_eq!(shade(table.rows[0][2]), Some(0));
    }

    #[test]
    fn an_empty_grid_is_no_problem() {
        let table = Table::new(&[], &[None], 1.0);
        assert!(table.rows.is_empty());
        assert!(Table::new(&[None], &[], 1.0).rows[0].is_empty());
    }
}
