//! A heat map with numbers.

use std::sync::Arc;

use super::super::colour::Paint;
use super::super::picture::{Anchor, NUMBERED, Picture, Shape};
use super::{Drawn, Places, Scene, fitted, text, width_of};

impl Scene {
    /// Queries by keys.
    pub fn matrix(&self) -> Drawn {
        let n = self.tokens.len();
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
        let cell = ((self.room - label - 4.0) / n.max(1) as f64).clamp(least, 44.0);
        // Between readable and not, numbers are worth a little scrolling.
        let cell = if cell > NUMBERED * 0.8 {
            cell.max(NUMBERED)
        } else {
            cell
        };
        let side = cell * n as f64;
        let mut shapes = vec![Shape::Cells {
            at: [label, label],
            cell,
            n,
            weights: Arc::clone(map),
            causal: self.causal,
        }];
        if labelled {
            for (i, token) in self.tokens.iter().enumerate() {
                let token = fitted(token, 12.0, label - 10.0);
                let middle = label + (i as f64 + 0.5) * cell;
                let marked = |at: Option<usize>| {
                    if at == Some(i) {
                        Paint::Accent
                    } else {
                        Paint::Ink
                    }
                };
                shapes.push(text(
                    [label - 7.0, middle + 4.0],
                    token.clone(),
                    12.0,
                    Anchor::End,
                    marked(self.cursor.map(|(i, _)| i)),
                ));
                shapes.push(Shape::Text {
                    at: [middle + 4.0, label - 7.0],
                    text: token,
                    size: 12.0,
                    anchor: Anchor::Start,
                    fill: marked(self.cursor.map(|(_, j)| j)),
                    upright: true,
                });
            }
        }
        shapes.push(Shape::Frame {
            at: [label, label, side, side],
            stroke: Paint::Line,
            width: 1.0,
        });
        if let Some((i, j)) = self.cursor {
            let (x, y) = (label + j as f64 * cell, label + i as f64 * cell);
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
                width: label + side + 2.0,
                height: label + side + 2.0,
                shapes,
            },
            places: Places::Matrix([label, label], cell, n),
        }
    }
}
