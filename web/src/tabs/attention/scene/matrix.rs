//! A heat map with numbers.

use std::sync::Arc;

use super::super::colour::Paint;
use super::super::picture::{Anchor, NUMBERED, Picture, Shape};
use super::{Drawn, Places, Scene, fitted, text, width_of};

impl Scene {
    /// Queries by keys; where some tokens only read and others are only read, these by those.
    pub fn matrix(&self) -> Drawn {
        let n = self.tokens.len();
        let (rows, columns) = match self.readers {
            Some(readers) => (0..readers.min(n), readers.min(n)..n),
            None => (0..n, 0..n),
        };
        let Some(map) = self.maps.first() else {
            return Drawn::default();
        };
        let longest = self
            .tokens
            .iter()
            .map(|token| width_of(token, 12.0))
            .fold(0.0, f64::max);
        let labelled = n <= 64;
        let label = if labelled {
            longest.min(110.0) + 12.0
        } else {
            8.0
        };
        let least = if labelled { 11.0 } else { 1.0 };
        let cell = ((self.room - label - 4.0) / columns.len().max(1) as f64).clamp(least, 44.0);
        // Between readable and not, numbers are worth a little scrolling.
        let cell = if cell > NUMBERED * 0.8 {
            cell.max(NUMBERED)
        } else {
            cell
        };
        let [width, height] = [&columns, &rows].map(|tokens| cell * tokens.len() as f64);
        let mut shapes = vec![Shape::Cells {
            at: [label, label],
            cell,
            rows: rows.clone(),
            columns: columns.clone(),
            n,
            weights: Arc::clone(map),
            causal: self.causal,
        }];
        if labelled {
            let marked = |here: bool| if here { Paint::Accent } else { Paint::Ink };
            let token = |i: usize| fitted(&self.tokens[i], 12.0, label - 10.0);
            let middle = |at: usize| label + (at as f64 + 0.5) * cell;
            for (at, i) in rows.clone().enumerate() {
                shapes.push(text(
                    [label - 7.0, middle(at) + 4.0],
                    token(i),
                    12.0,
                    Anchor::End,
                    marked(self.cursor.is_some_and(|(from, _)| from == i)),
                ));
            }
            for (at, j) in columns.clone().enumerate() {
                shapes.push(Shape::Text {
                    at: [middle(at) + 4.0, label - 7.0],
                    text: token(j),
                    size: 12.0,
                    anchor: Anchor::Start,
                    fill: marked(self.cursor.is_some_and(|(_, to)| to == j)),
                    upright: true,
                });
            }
        }
        shapes.push(Shape::Frame {
            at: [label, label, width, height],
            stroke: Paint::Line,
            width: 1.0,
        });
        let inside = |&(i, j): &(usize, usize)| rows.contains(&i) && columns.contains(&j);
        if let Some((i, j)) = self.cursor.filter(inside) {
            let (x, y) = (
                label + (j - columns.start) as f64 * cell,
                label + (i - rows.start) as f64 * cell,
            );
            let grown = cell.max(6.0);
            shapes.push(Shape::Frame {
                at: [
                    x - (grown - cell) / 2.0,
                    y - (grown - cell) / 2.0,
                    grown,
                    grown,
                ],
                stroke: Paint::Ink,
                width: 2.0,
            });
        }
        Drawn {
            picture: Picture {
                width: label + width + 2.0,
                height: label + height + 2.0,
                shapes,
            },
            places: Places::Matrix([label, label], cell, [rows, columns]),
        }
    }
}
