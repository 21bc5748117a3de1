//! Two columns of tokens with lines between them, for texts that are too long for arcs.

use super::super::colour::Paint;
use super::super::picture::{Anchor, DASHES, Picture, Shape};
use super::{Drawn, Places, Scene, fitted, lines, text};

impl Scene {
    pub(super) fn columns(&self) -> Drawn {
        const ROW: f64 = 18.0;
        let n = self.tokens.len();
        let width = self.room.max(320.0);
        let (left, right) = (width * 0.36, width * 0.64);
        let (top, room) = (30.0, width * 0.36 - 44.0);
        let y = |i: usize| top + i as f64 * ROW + ROW / 2.0;
        let mut shapes = vec![
            text([left - 8.0, 16.0], "looks", 12.0, Anchor::End, Paint::Soft),
            text(
                [right + 8.0, 16.0],
                "is looked at",
                12.0,
                Anchor::Start,
                Paint::Soft,
            ),
        ];
        let focus = self.cursor.map(|(i, _)| i);
        if let Some((i, j)) = self.cursor {
            shapes.push(Shape::Rect {
                at: [0.0, y(i) - ROW / 2.0, left - 2.0, ROW],
                fill: Paint::Wash,
                opacity: 1.0,
            });
            shapes.push(Shape::Rect {
                at: [right + 2.0, y(j) - ROW / 2.0, width - right - 2.0, ROW],
                fill: Paint::Wash,
                opacity: 1.0,
            });
        }
        for (head, map) in self.maps.iter().enumerate() {
            let least = if focus.is_some() { 0.004 } else { 0.08 };
            for (i, j, weight) in lines(map, n, least, focus) {
                let w = f64::from(weight);
                let bend = (right - left) * 0.4;
                shapes.push(Shape::Curve {
                    points: [
                        [left, y(i)],
                        [left + bend, y(i)],
                        [right - bend, y(j)],
                        [right, y(j)],
                    ],
                    stroke: self.hue(head),
                    width: 0.5 + 3.5 * w,
                    opacity: 0.1 + 0.9 * w,
                    dash: head % DASHES.len(),
                });
            }
        }
        for (i, token) in self.tokens.iter().enumerate() {
            let label = fitted(token, 13.0, room);
            shapes.push(text(
                [left - 8.0, y(i) + 4.5],
                label.clone(),
                13.0,
                Anchor::End,
                Paint::Ink,
            ));
            shapes.push(text(
                [right + 8.0, y(i) + 4.5],
                label,
                13.0,
                Anchor::Start,
                Paint::Ink,
            ));
            shapes.push(text(
                [4.0, y(i) + 4.0],
                i.to_string(),
                11.0,
                Anchor::Start,
                Paint::Soft,
            ));
            if focus.is_some() && self.may_see(i) && self.weight(i) >= 0.004 {
                let number = format!("{:.1}%", self.weight(i) * 100.0);
                shapes.push(text(
                    [width - 4.0, y(i) + 4.0],
                    number,
                    11.0,
                    Anchor::End,
                    Paint::Soft,
                ));
            }
        }
        Drawn {
            picture: Picture {
                width,
                height: top + n as f64 * ROW + 8.0,
                shapes,
            },
            places: Places::Columns([top, ROW], n, width / 2.0),
        }
    }
}
