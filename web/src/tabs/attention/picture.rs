//! A drawing as a list of shapes: painted on a canvas for the screen, written as SVG for papers.

use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

use super::colour::{Paint, Palette};
use super::scene::patches::Seen;

/// Where a text is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// At its beginning.
    Start,
    /// In its middle.
    Middle,
    /// At its end.
    End,
}

/// Something drawn. Lengths in CSS pixels.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A filled rectangle.
    Rect {
        /// Left, top, width, height.
        at: [f64; 4],
        /// Its colour.
        fill: Paint,
        /// 0 to 1.
        opacity: f64,
    },
    /// A picture as the model saw it.
    Image {
        /// Left, top, width, height.
        at: [f64; 4],
        /// Its pixels.
        seen: Arc<Seen>,
    },
    /// An outline.
    Frame {
        /// Left, top, width, height.
        at: [f64; 4],
        /// Its colour.
        stroke: Paint,
        /// Of the line.
        width: f64,
    },
    /// A cubic curve.
    Curve {
        /// Start, two handles, end.
        points: [[f64; 2]; 4],
        /// Its colour.
        stroke: Paint,
        /// Of the line.
        width: f64,
        /// 0 to 1.
        opacity: f64,
        /// Which dash pattern.
        dash: usize,
    },
    /// A disc.
    Disc {
        /// Middle.
        at: [f64; 2],
        /// Half its width.
        radius: f64,
        /// Its colour.
        fill: Paint,
        /// 0 to 1.
        opacity: f64,
    },
    /// A line of text.
    Text {
        /// Where the anchor is, on the baseline.
        at: [f64; 2],
        /// What it says.
        text: String,
        /// Height of the font.
        size: f64,
        /// Which part of it is at `at`.
        anchor: Anchor,
        /// Its colour.
        fill: Paint,
        /// Read from below to above.
        upright: bool,
    },
    /// A rectangle of weights, one cell each.
    Cells {
        /// Left and top.
        at: [f64; 2],
        /// Side of a cell.
        cell: f64,
        /// The queries it is of.
        rows: Range<usize>,
        /// The keys.
        columns: Range<usize>,
        /// Tokens in all.
        n: usize,
        /// `[n, n]`.
        weights: Arc<Vec<f32>>,
        /// Whether only the lower triangle can be seen.
        causal: bool,
    },
}

impl Shape {
    /// From where to where it reaches, downwards.
    pub fn heights(&self) -> [f64; 2] {
        match self {
            Self::Rect { at, .. } | Self::Image { at, .. } | Self::Frame { at, .. } => {
                [at[1], at[1] + at[3]]
            }
            Self::Curve { points, .. } => {
                let ys = points.map(|[_, y]| y);
                [
                    ys.into_iter().fold(f64::INFINITY, f64::min),
                    ys.into_iter().fold(f64::NEG_INFINITY, f64::max),
                ]
            }
            Self::Disc { at, radius, .. } => [at[1] - radius, at[1] + radius],
            // A text that stands upright is no longer than this.
            Self::Text {
                at, size, upright, ..
            } => {
                let up = if *upright { 200.0 } else { *size };
                [at[1] - up, at[1] + size / 2.0]
            }
            Self::Cells { at, cell, rows, .. } => [at[1], at[1] + cell * rows.len() as f64],
        }
    }
}

/// Dash patterns of heads drawn over each other, so that colour is not all that tells them apart.
pub const DASHES: [&[f64]; 8] = [
    &[],
    &[7.0, 4.0],
    &[2.0, 3.0],
    &[10.0, 3.0, 2.0, 3.0],
    &[5.0, 2.0],
    &[1.0, 5.0],
    &[12.0, 5.0],
    &[6.0, 3.0, 1.0, 3.0, 1.0, 3.0],
];

/// Cells at least this large carry their number.
pub const NUMBERED: f64 = 29.0;

/// A drawing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// In CSS pixels.
    pub width: f64,
    /// In CSS pixels.
    pub height: f64,
    /// From behind to before.
    pub shapes: Vec<Shape>,
}

/// A weight in a cell: ".07", "1".
pub fn short(weight: f32) -> String {
    if weight >= 0.995 {
        return "1".into();
    }
    let text = format!("{weight:.2}");
    text.strip_prefix('0').map_or(text.clone(), str::to_owned)
}

impl Picture {
    /// As a stand-alone file, in the light colours. `address` gives a picture as a `data:` address.
    pub fn to_svg(&self, title: &str, address: &dyn Fn(&Seen) -> String) -> String {
        let palette = Palette::new(false);
        let (w, h) = (self.width.ceil(), self.height.ceil());
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" font-family=\"ui-monospace, Menlo, Consolas, monospace\">\n<title>{}</title>\n<rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>\n",
            escape(title)
        );
        for shape in &self.shapes {
            // Writing to a string does not fail.
            let _ = write_shape(&mut svg, shape, &palette, address);
        }
        svg + "</svg>\n"
    }
}

fn write_shape(
    svg: &mut String,
    shape: &Shape,
    palette: &Palette,
    address: &dyn Fn(&Seen) -> String,
) -> std::fmt::Result {
    match shape {
        Shape::Rect {
            at: [x, y, w, h],
            fill,
            opacity,
        } => {
            let fill = palette.css(*fill);
            let clear = match *opacity {
                1.0 => String::new(),
                part => format!(" fill-opacity=\"{part:.2}\""),
            };
            writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill=\"{fill}\"{clear}/>"
            )
        }
        Shape::Image {
            at: [x, y, w, h],
            seen,
        } => {
            let address = address(seen);
            writeln!(
                svg,
                "<image x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" href=\"{address}\" image-rendering=\"pixelated\"/>"
            )
        }
        Shape::Frame {
            at: [x, y, w, h],
            stroke,
            width,
        } => {
            let stroke = palette.css(*stroke);
            writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\"/>"
            )
        }
        Shape::Curve {
            points: [a, b, c, d],
            stroke,
            width,
            opacity,
            dash,
        } => {
            let stroke = palette.css(*stroke);
            let dash = DASHES[dash % DASHES.len()];
            let dash: Vec<String> = dash.iter().map(f64::to_string).collect();
            let dash = if dash.is_empty() {
                String::new()
            } else {
                format!(" stroke-dasharray=\"{}\"", dash.join(" "))
            };
            writeln!(
                svg,
                "<path d=\"M{:.1} {:.1}C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width:.2}\" stroke-opacity=\"{opacity:.3}\"{dash}/>",
                a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]
            )
        }
        Shape::Disc {
            at: [x, y],
            radius,
            fill,
            opacity,
        } => {
            let fill = palette.css(*fill);
            writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.2}\" fill=\"{fill}\" fill-opacity=\"{opacity:.3}\"/>"
            )
        }
        Shape::Text {
            at: [x, y],
            text,
            size,
            anchor,
            fill,
            upright,
        } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let turn = if *upright {
                format!(" transform=\"rotate(-90 {x:.1} {y:.1})\"")
            } else {
                String::new()
            };
            let (fill, text) = (palette.css(*fill), escape(text));
            writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{fill}\"{turn}>{text}</text>"
            )
        }
        Shape::Cells {
            at: [x, y],
            cell,
            rows,
            columns,
            n,
            weights,
            causal,
        } => {
            for (row, i) in rows.clone().enumerate() {
                for (column, j) in columns.clone().enumerate() {
                    if *causal && j > i {
                        break;
                    }
                    let weight = weights[i * n + j];
                    let (left, top) = (x + column as f64 * cell, y + row as f64 * cell);
                    let fill = palette.css(Paint::Scale(weight));
                    writeln!(
                        svg,
                        "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{cell:.1}\" height=\"{cell:.1}\" fill=\"{fill}\"><title>{weight:.4}</title></rect>"
                    )?;
                    if *cell >= NUMBERED {
                        let fill = palette.css(Paint::OnScale(weight));
                        let (left, top) = (left + cell / 2.0, top + cell / 2.0 + 4.0);
                        writeln!(
                            svg,
                            "<text x=\"{left:.1}\" y=\"{top:.1}\" font-size=\"11\" text-anchor=\"middle\" fill=\"{fill}\">{}</text>",
                            short(weight)
                        )?;
                    }
                }
            }
            Ok(())
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_cells_are_short() {
        assert_eq!(
            [0.0, 0.071, 0.999, 1.0].map(short),
            [".00", ".07", "1", "1"]
        );
    }

    #[test]
    fn a_picture_as_svg() {
        let picture = Picture {
            width: 100.0,
            height: 50.0,
            shapes: vec![
                Shape::Text {
                    at: [1.0, 2.0],
                    text: "<|a & b|>".into(),
                    size: 13.0,
                    anchor: Anchor::End,
                    fill: Paint::Ink,
                    upright: false,
                },
                Shape::Cells {
                    at: [0.0, 0.0],
                    cell: 30.0,
                    rows: 0..2,
                    columns: 0..2,
                    n: 2,
                    weights: Arc::new(vec![1.0, 0.0, 0.25, 0.75]),
                    causal: true,
                },
            ],
        };
        let svg = picture.to_svg("Layer 0 & head 1", &|_| String::new());
        assert!(svg.contains("<title>Layer 0 &amp; head 1</title>"));
        assert!(svg.contains(">&lt;|a &amp; b|&gt;</text>"));
        // A causal map has three cells, each with its number.
        assert_eq!(
            svg.matches("<title>0.").count() + svg.matches("<title>1.").count(),
            3
        );
        assert!(svg.contains("<title>0.2500</title>") && svg.contains(">.75</text>"));
    }
}
