//! A picture, with what one place of it looks at laid over it.

use std::sync::Arc;

use glassformer_engine::tasks::attention::PatchGrid;

use super::super::colour::Paint;
use super::super::picture::{Anchor, Picture, Shape};
use super::{Drawn, Places, Scene, fitted, text};

/// A picture as the model saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Pixels of a side.
    pub side: u32,
    /// `[side, side, 3]`.
    pub rgb: Arc<Vec<u8>>,
    /// Where its patches are.
    pub grid: PatchGrid,
}

/// Larger than this, patches say no more.
const MOST_SIDE: f64 = 460.0;

/// How much of the picture a colour covers.
const COVER: f64 = 0.62;

/// Patches at least this wide carry their number.
const NUMBERED: f64 = 30.0;

/// Height of what stands above the picture: the learned tokens.
const LEARNED: f64 = 30.0;

/// Steps of the scale below the picture.
const STEPS: usize = 32;

/// A share in per cent, as short as patches are small.
fn short(weight: f32) -> String {
    let percent = weight * 100.0;
    if percent >= 9.95 {
        format!("{percent:.0}")
    } else {
        format!("{percent:.1}")
    }
}

impl Scene {
    /// The picture under what the place that is pointed at looks at, or the first place where none is.
    pub fn patches(&self, seen: &Seen) -> Drawn {
        let n = self.tokens.len();
        let PatchGrid { first, grid } = seen.grid;
        let cursor = self.cursor.filter(|(i, j)| *i < n && *j < n);
        let from = cursor.map_or(0, |(i, _)| i);
        let row = self
            .maps
            .first()
            .and_then(|map| map.get(from * n..(from + 1) * n));
        let Some(row) = row.filter(|_| n == first + grid * grid && grid > 0) else {
            return Drawn::default();
        };
        // Most of the weight may lie elsewhere; patches are told apart by their own largest.
        let most = row[first..].iter().fold(f32::EPSILON, |a, b| a.max(*b));
        let side = (self.room - 4.0).clamp(grid as f64, MOST_SIDE);
        let cell = side / grid as f64;
        let top = if first > 0 { LEARNED + 10.0 } else { 2.0 };
        let places = Places::Patches {
            learned: (0..first).map(|i| learned(i, first, side)).collect(),
            at: [2.0, top],
            cell,
            grid,
        };
        let mut shapes = vec![Shape::Image {
            at: [2.0, top, side, side],
            seen: Arc::new(seen.clone()),
        }];
        for (place, weight) in row.iter().enumerate() {
            let Some(at) = places.frame_of(place) else {
                continue;
            };
            let [x, y, w, h] = at;
            let middle = [x + w / 2.0, y + h / 2.0 + 4.0];
            if place < first {
                let paint = Paint::Scale(*weight);
                let label = format!("{} {} %", self.tokens[place], short(*weight));
                shapes.push(rect(at, paint, 1.0));
                shapes.push(text(
                    middle,
                    fitted(&label, 12.0, w - 8.0),
                    12.0,
                    Anchor::Middle,
                    Paint::OnScale(*weight),
                ));
                shapes.push(frame(at, Paint::Line, 1.0));
                continue;
            }
            shapes.push(rect(at, Paint::Scale(weight / most), COVER));
            if cell >= NUMBERED {
                let number = short(*weight);
                let wide = 6.6 * number.len() as f64 + 4.0;
                let chip = [middle[0] - wide / 2.0, middle[1] - 11.0, wide, 14.0];
                shapes.push(rect(chip, Paint::Surface, 0.85));
                shapes.push(text(middle, number, 11.0, Anchor::Middle, Paint::Ink));
            }
        }
        let marked = cursor.map(|(_, j)| (j, Paint::Ink, 2.0));
        for (place, paint, width) in marked.into_iter().chain([(from, Paint::Accent, 3.0)]) {
            if let Some([x, y, w, h]) = places.frame_of(place) {
                shapes.push(frame(
                    [x + 1.0, y + 1.0, w - 2.0, h - 2.0],
                    Paint::Surface,
                    width + 2.0,
                ));
                shapes.push(frame([x + 1.0, y + 1.0, w - 2.0, h - 2.0], paint, width));
            }
        }
        let below = top + side + 10.0;
        shapes.extend(scale(side.min(220.0), below, most));
        Drawn {
            picture: Picture {
                width: side + 4.0,
                height: below + 28.0,
                shapes,
            },
            places,
        }
    }
}

/// Where a learned token stands above a picture of this side.
fn learned(i: usize, first: usize, side: f64) -> [f64; 4] {
    let wide = ((side + 6.0) / first as f64 - 6.0).min(150.0);
    [2.0 + i as f64 * (wide + 6.0), 2.0, wide, LEARNED]
}

/// What the colours of patches mean.
fn scale(width: f64, top: f64, most: f32) -> Vec<Shape> {
    let step = width / STEPS as f64;
    let ramp = (0..STEPS).map(|i| {
        // The scale is that of a square root.
        let share = ((i as f32 + 0.5) / STEPS as f32).powi(2);
        let x = 2.0 + i as f64 * step;
        rect([x, top, step + 0.5, 8.0], Paint::Scale(share), 1.0)
    });
    let mut shapes: Vec<Shape> = ramp.collect();
    let label = |x: f64, words: String, anchor: Anchor| {
        text([x, top + 22.0], words, 11.0, anchor, Paint::Soft)
    };
    shapes.push(label(2.0, "0".into(), Anchor::Start));
    let most = format!("{} %, the most of a patch", short(most));
    shapes.push(label(2.0 + width, most, Anchor::End));
    shapes
}

fn rect(at: [f64; 4], fill: Paint, opacity: f64) -> Shape {
    Shape::Rect { at, fill, opacity }
}

fn frame(at: [f64; 4], stroke: Paint, width: f64) -> Shape {
    Shape::Frame { at, stroke, width }
}

/// Where a key leads from a place: arrows to the patch beside it, up from the first row to the first
/// learned token, Home there, End to the last patch. `None` if the key leads nowhere by itself.
pub fn step(PatchGrid { first, grid }: PatchGrid, key: &str, place: usize) -> Option<usize> {
    let last = (first + grid * grid).saturating_sub(1);
    let at = place.checked_sub(first);
    let (row, column) = at.map_or((0, 0), |patch| (patch / grid.max(1), patch % grid.max(1)));
    let patch = |row: usize, column: usize| (first + row * grid + column).min(last);
    Some(match (key, at) {
        ("Home", _) => 0,
        ("End", _) => last,
        ("ArrowLeft", None) => place.saturating_sub(1),
        ("ArrowRight" | "ArrowDown", None) if key == "ArrowDown" || place + 1 >= first => first,
        ("ArrowRight", None) => place + 1,
        ("ArrowUp", None) => place,
        ("ArrowLeft", _) => patch(row, column.saturating_sub(1)),
        ("ArrowRight", _) => patch(row, (column + 1).min(grid.saturating_sub(1))),
        ("ArrowUp", _) if row == 0 => 0,
        ("ArrowUp", _) => patch(row - 1, column),
        ("ArrowDown", _) => patch((row + 1).min(grid.saturating_sub(1)), column),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Hit;
    use super::*;

    const GRID: PatchGrid = PatchGrid { first: 1, grid: 3 };

    fn scene(cursor: Option<(usize, usize)>) -> Drawn {
        let n = 10;
        // Each place looks at itself, and half at the class token.
        let mut map = vec![0.0; n * n];
        for i in 0..n {
            map[i * n] += 0.5;
            map[i * n + i] += 0.5;
        }
        let scene = Scene {
            tokens: Arc::new((0..n).map(|i| format!("t{i}")).collect()),
            maps: vec![Arc::new(map)],
            causal: false,
            readers: None,
            cursor,
            room: 304.0,
        };
        let rgb = Arc::new(vec![0; 12 * 12 * 3]);
        let side = 12;
        scene.patches(&Seen {
            side,
            rgb,
            grid: GRID,
        })
    }

    #[test]
    fn a_patch_under_the_pointer_is_the_one_that_looks() {
        let drawn = scene(None);
        let hit = |x, y| drawn.places.hit(x, y);
        assert_eq!(hit(20.0, 10.0), Some(Hit::Query(0)));
        assert_eq!(hit(10.0, 60.0), Some(Hit::Query(1)));
        assert_eq!(hit(290.0, 330.0), Some(Hit::Query(9)));
        assert_eq!(hit(290.0, 10.0), None);
        assert_eq!(hit(150.0, 345.0), None);
    }

    #[test]
    fn numbers_are_those_of_the_place_that_looks() {
        let svg = scene(Some((5, 5))).picture.to_svg("", &|_| "data:,".into());
        assert!(svg.contains("<image ") && svg.contains("href=\"data:,\""));
        // Half on the class token, half on itself, nothing elsewhere.
        assert!(svg.contains(">t0 50 %</text>"));
        assert_eq!(svg.matches(">50</text>").count(), 1);
        assert_eq!(svg.matches(">0.0</text>").count(), 8);
        assert!(svg.contains("50 %, the most of a patch"));
    }

    #[test]
    fn keys_lead_through_the_picture() {
        let go = |key: &str, place| step(GRID, key, place);
        assert_eq!(go("ArrowRight", 0), Some(1));
        assert_eq!(go("ArrowRight", 3), Some(3));
        assert_eq!(go("ArrowDown", 3), Some(6));
        assert_eq!(go("ArrowDown", 9), Some(9));
        assert_eq!(go("ArrowUp", 5), Some(2));
        assert_eq!(go("ArrowUp", 2), Some(0));
        assert_eq!((go("Home", 7), go("End", 0)), (Some(0), Some(9)));
        assert_eq!(go("Enter", 7), None);
        let two = PatchGrid { first: 2, grid: 2 };
        assert_eq!(step(two, "ArrowRight", 0), Some(1));
        assert_eq!(step(two, "ArrowRight", 1), Some(2));
        assert_eq!(step(two, "ArrowDown", 0), Some(2));
    }
}
