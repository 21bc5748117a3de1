//! Attention as a drawing: arcs over a line of tokens, two columns for many, or a matrix.

use std::ops::Range;
use std::sync::Arc;

use super::colour::Paint;
use super::picture::{Anchor, DASHES, Picture, Shape};
use crate::format::width_of;

mod columns;
mod matrix;
pub mod patches;

/// More tokens than these stand in two columns.
pub const MOST_ARCS: usize = 40;

/// Letters that can still be read.
const SMALLEST: f64 = 12.0;

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// The tokens' texts.
    pub tokens: Arc<Vec<String>>,
    /// Weights of each head, `[n, n]`.
    pub maps: Vec<Arc<Vec<f32>>>,
    /// Whether a token sees only itself and those before.
    pub causal: bool,
    /// Of tokens that read and tokens that are only read, how many read; nothing if all do both.
    pub readers: Option<usize>,
    /// The query that is pointed at, and the key.
    pub cursor: Option<(usize, usize)>,
    /// Width there is.
    pub room: f64,
}

/// A drawing, and where its tokens and cells are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawn {
    /// The shapes.
    pub picture: Picture,
    /// How places are found.
    pub places: Places,
}

/// Where tokens and cells are in a drawing.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Places {
    /// Nothing is there.
    #[default]
    None,
    /// Tokens side by side: left and right of each.
    Row(Vec<[f64; 2]>),
    /// Tokens below each other in two columns: top of the first, height of each, how many, and
    /// what divides the columns.
    Columns([f64; 2], usize, f64),
    /// Cells: left and top of the first, side, and the queries and keys they are of.
    Matrix([f64; 2], f64, [Range<usize>; 2]),
    /// A picture's patches, and what is learned above it.
    Patches {
        /// Left, top, width and height of each learned token.
        learned: Vec<[f64; 4]>,
        /// Left and top of the first patch.
        at: [f64; 2],
        /// Side of a patch.
        cell: f64,
        /// Patches of a row.
        grid: usize,
    },
}

/// What a place of a drawing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// A token, as the one that looks.
    Query(usize),
    /// A token, as the one that is looked at.
    Key(usize),
    /// Both.
    Cell(usize, usize),
}

impl Places {
    /// What is at a point.
    pub fn hit(&self, x: f64, y: f64) -> Option<Hit> {
        match self {
            Self::None => None,
            Self::Row(tokens) => tokens
                .iter()
                .position(|[left, right]| (*left..*right).contains(&x))
                .map(Hit::Query),
            Self::Columns([top, height], n, middle) => {
                let index = ((y - top) / height).floor();
                let inside = index >= 0.0 && (index as usize) < *n;
                let index = index as usize;
                let side = if x < *middle {
                    Hit::Query(index)
                } else {
                    Hit::Key(index)
                };
                inside.then_some(side)
            }
            Self::Matrix([left, top], cell, [rows, columns]) => {
                let (i, j) = (((y - top) / cell).floor(), ((x - left) / cell).floor());
                let inside = i >= 0.0 && j >= 0.0;
                let (i, j) = (rows.start + i as usize, columns.start + j as usize);
                (inside && i < rows.end && j < columns.end).then_some(Hit::Cell(i, j))
            }
            Self::Patches { learned, .. } => {
                let inside = |[left, top, w, h]: [f64; 4]| {
                    (left..left + w).contains(&x) && (top..top + h).contains(&y)
                };
                let places = 0..learned.len() + self.patches();
                let mut framed = places.filter_map(|place| Some((place, self.frame_of(place)?)));
                let found = framed.find(|(_, frame)| inside(*frame));
                found.map(|(place, _)| Hit::Query(place))
            }
        }
    }

    fn patches(&self) -> usize {
        match self {
            Self::Patches { grid, .. } => grid * grid,
            _ => 0,
        }
    }

    /// Left, top, width and height of a place of a picture.
    fn frame_of(&self, place: usize) -> Option<[f64; 4]> {
        let Self::Patches {
            learned,
            at: [left, top],
            cell,
            grid,
        } = self
        else {
            return None;
        };
        let Some(patch) = place.checked_sub(learned.len()) else {
            return learned.get(place).copied();
        };
        let (row, column) = (patch / (*grid).max(1), patch % (*grid).max(1));
        let inside = row < *grid;
        inside.then_some([
            left + column as f64 * cell,
            top + row as f64 * cell,
            *cell,
            *cell,
        ])
    }
}

/// A text that is no wider than this.
fn fitted(text: &str, size: f64, room: f64) -> String {
    if width_of(text, size) <= room {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if width_of(&out, size) + 1.7 * size > room {
            break;
        }
        out.push(c);
    }
    out + "…"
}

fn text(at: [f64; 2], text: impl Into<String>, size: f64, anchor: Anchor, fill: Paint) -> Shape {
    Shape::Text {
        at,
        text: text.into(),
        size,
        anchor,
        fill,
        upright: false,
    }
}

/// Pairs of one map worth a line, weakest first.
fn lines(map: &[f32], n: usize, least: f32, only: Option<usize>) -> Vec<(usize, usize, f32)> {
    let rows = only.map_or(0..n, |i| i..i + 1);
    let mut found: Vec<(usize, usize, f32)> = rows
        .flat_map(|i| (0..n).map(move |j| (i, j)))
        .map(|(i, j)| (i, j, map[i * n + j]))
        .filter(|(.., weight)| *weight >= least)
        .collect();
    found.sort_by(|a, b| a.2.total_cmp(&b.2));
    found
}

impl Scene {
    fn hue(&self, head: usize) -> Paint {
        if self.maps.len() == 1 {
            Paint::Accent
        } else {
            Paint::Hue(head)
        }
    }

    /// Arcs, or two columns where there are many tokens or little room.
    pub fn arcs(&self) -> Drawn {
        let crowded = self.tokens.len() > 4 && self.used(SMALLEST) > 1.3 * self.room;
        if self.tokens.len() > MOST_ARCS || crowded {
            self.columns()
        } else {
            self.row()
        }
    }

    /// Widths of the tokens in letters of this size.
    fn widths(&self, size: f64) -> Vec<f64> {
        let width = |token: &String| width_of(token, size).max(24.0);
        self.tokens.iter().map(width).collect()
    }

    /// The least width of the tokens side by side.
    fn used(&self, size: f64) -> f64 {
        self.widths(size).iter().sum::<f64>() + 16.0 + 6.0 * self.tokens.len() as f64
    }

    fn row(&self) -> Drawn {
        let n = self.tokens.len();
        // Smaller letters rather than scrolling, as long as they can be read.
        let sizes = [14.0, 13.0, SMALLEST];
        let fitting = sizes.into_iter().find(|size| self.used(*size) <= self.room);
        let size = fitting.unwrap_or(SMALLEST);
        let widths = self.widths(size);
        let free = self.room - widths.iter().sum::<f64>() - 16.0;
        let gap = (free / (n.max(2) - 1) as f64).clamp(6.0, 28.0);
        let mut x = 8.0;
        let mut tokens = Vec::with_capacity(n);
        for width in &widths {
            tokens.push([x - gap / 2.0, x + width + gap / 2.0]);
            x += width + gap;
        }
        let width = x - gap + 8.0;
        let middle = |i: usize| (tokens[i][0] + tokens[i][1]) / 2.0;
        let span = (n.max(2) - 1) as f64;
        let tallest = (60.0 + 12.0 * n as f64).min(220.0);
        let base = tallest + 18.0;
        let mut shapes = Vec::new();
        let focus = self.cursor.map(|(i, _)| i);
        if let Some((i, j)) = self.cursor.filter(|(i, j)| *i < n && *j < n) {
            let wash = |at: usize| Shape::Rect {
                at: [
                    tokens[at][0] + 2.0,
                    base + 6.0,
                    tokens[at][1] - tokens[at][0] - 4.0,
                    52.0,
                ],
                fill: Paint::Wash,
                opacity: 1.0,
            };
            shapes.extend([wash(j), wash(i)]);
            shapes.push(Shape::Frame {
                at: [
                    tokens[i][0] + 2.0,
                    base + 6.0,
                    tokens[i][1] - tokens[i][0] - 4.0,
                    52.0,
                ],
                stroke: Paint::Accent,
                width: 1.0,
            });
        }
        for (head, map) in self.maps.iter().enumerate() {
            for (i, j, weight) in lines(map, n, 0.02, None) {
                let faded = if focus.is_none_or(|focus| focus == i) {
                    1.0
                } else {
                    0.1
                };
                let w = f64::from(weight);
                let opacity = (0.12 + 0.88 * w) * faded;
                // Heads drawn over each other leave the ground side by side.
                let shift = (head as f64 - (self.maps.len() - 1) as f64 / 2.0) * 3.0;
                if i == j {
                    shapes.push(Shape::Disc {
                        at: [middle(i) + shift, base - 4.0],
                        radius: 1.5 + 4.5 * w.sqrt(),
                        fill: self.hue(head),
                        opacity,
                    });
                    continue;
                }
                let (a, b) = (middle(i) + shift, middle(j) + shift);
                let height = 20.0 + (tallest - 20.0) * (i.abs_diff(j) as f64 / span).powf(0.75);
                let top = base - height * 4.0 / 3.0;
                shapes.push(Shape::Curve {
                    points: [[a, base], [a, top], [b, top], [b, base]],
                    stroke: self.hue(head),
                    width: 0.6 + 5.0 * w,
                    opacity,
                    dash: head % DASHES.len(),
                });
            }
        }
        for (i, token) in self.tokens.iter().enumerate() {
            let soft = focus.is_some_and(|focus| focus != i) && self.weight(i) < 0.02;
            let paint = if soft { Paint::Soft } else { Paint::Ink };
            shapes.push(text(
                [middle(i), base + 24.0],
                token.clone(),
                size,
                Anchor::Middle,
                paint,
            ));
            if focus.is_some() && self.may_see(i) {
                let weight = self.weight(i);
                shapes.push(Shape::Rect {
                    at: [middle(i) - 13.0, base + 31.0, 26.0, 6.0],
                    fill: Paint::Scale(weight),
                    opacity: 1.0,
                });
                let number = format!("{:.0}", weight * 100.0);
                shapes.push(text(
                    [middle(i), base + 51.0],
                    number + "%",
                    11.0,
                    Anchor::Middle,
                    Paint::Soft,
                ));
            } else {
                let number = i.to_string();
                shapes.push(text(
                    [middle(i), base + 51.0],
                    number,
                    11.0,
                    Anchor::Middle,
                    Paint::Soft,
                ));
            }
        }
        Drawn {
            picture: Picture {
                width,
                height: base + 64.0,
                shapes,
            },
            places: Places::Row(tokens),
        }
    }

    /// The weight of the query that is pointed at on a key, in the chosen head.
    fn weight(&self, j: usize) -> f32 {
        let n = self.tokens.len();
        let Some((i, _)) = self.cursor else {
            return 0.0;
        };
        let map = self.maps.first();
        map.and_then(|map| map.get(i * n + j))
            .copied()
            .unwrap_or(0.0)
    }

    fn may_see(&self, j: usize) -> bool {
        self.cursor.is_some_and(|(i, _)| !self.causal || j <= i)
    }
}

#[cfg(test)]
#[path = "scene/tests.rs"]
mod tests;
