//! Paints a [`Picture`] on a canvas.

use wasm_bindgen::{Clamped, JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

use super::colour::{Paint, Palette};
use super::picture::{Anchor, DASHES, NUMBERED, Picture, Shape, short};
use super::scene::patches::Seen;

const FONT: &str = "ui-monospace, \"SF Mono\", Menlo, Consolas, \"DejaVu Sans Mono\", monospace";

/// Paints the shapes that reach into these heights.
pub fn paint(
    context: &CanvasRenderingContext2d,
    picture: &Picture,
    palette: Palette,
    heights: std::ops::Range<f64>,
) {
    let seen = |shape: &&Shape| {
        let [top, bottom] = shape.heights();
        bottom >= heights.start && top <= heights.end
    };
    for shape in picture.shapes.iter().filter(seen) {
        // What a browser refuses to paint is left out.
        let _ = one(context, shape, palette);
    }
}

fn one(context: &CanvasRenderingContext2d, shape: &Shape, palette: Palette) -> Result<(), JsValue> {
    match shape {
        Shape::Rect {
            at: [x, y, w, h],
            fill,
            opacity,
        } => {
            context.set_fill_style_str(&palette.css(*fill));
            context.set_global_alpha(*opacity);
            context.fill_rect(*x, *y, *w, *h);
            context.set_global_alpha(1.0);
        }
        Shape::Image {
            at: [x, y, w, h],
            seen,
        } => {
            let image = canvas_of(seen)?;
            // What the model saw has few pixels; they are shown as they are.
            context.set_image_smoothing_enabled(false);
            context.draw_image_with_html_canvas_element_and_dw_and_dh(&image, *x, *y, *w, *h)?;
        }
        Shape::Frame {
            at: [x, y, w, h],
            stroke,
            width,
        } => {
            context.set_stroke_style_str(&palette.css(*stroke));
            context.set_line_width(*width);
            context.stroke_rect(*x, *y, *w, *h);
        }
        Shape::Curve {
            points: [a, b, c, d],
            stroke,
            width,
            opacity,
            dash,
        } => {
            context.set_stroke_style_str(&palette.css(*stroke));
            context.set_line_width(*width);
            context.set_global_alpha(*opacity);
            let dash = DASHES[dash % DASHES.len()].iter();
            let dash: js_sys::Array = dash.map(|length| JsValue::from_f64(*length)).collect();
            context.set_line_dash(&dash)?;
            context.begin_path();
            context.move_to(a[0], a[1]);
            context.bezier_curve_to(b[0], b[1], c[0], c[1], d[0], d[1]);
            context.stroke();
            context.set_global_alpha(1.0);
            context.set_line_dash(&js_sys::Array::new())?;
        }
        Shape::Disc {
            at: [x, y],
            radius,
            fill,
            opacity,
        } => {
            context.set_fill_style_str(&palette.css(*fill));
            context.set_global_alpha(*opacity);
            context.begin_path();
            context.arc(*x, *y, *radius, 0.0, std::f64::consts::TAU)?;
            context.fill();
            context.set_global_alpha(1.0);
        }
        Shape::Text {
            at,
            text,
            size,
            anchor,
            fill,
            upright,
        } => {
            context.set_fill_style_str(&palette.css(*fill));
            context.set_font(&format!("{size}px {FONT}"));
            context.set_text_align(match anchor {
                Anchor::Start => "left",
                Anchor::Middle => "center",
                Anchor::End => "right",
            });
            if *upright {
                context.save();
                context.translate(at[0], at[1])?;
                context.rotate(-std::f64::consts::FRAC_PI_2)?;
                context.fill_text(text, 0.0, 0.0)?;
                context.restore();
            } else {
                context.fill_text(text, at[0], at[1])?;
            }
        }
        Shape::Cells {
            at,
            cell,
            rows,
            columns,
            n,
            weights,
            causal,
        } => {
            let weight = |row: usize, column: usize| {
                let (i, j) = (rows.start + row, columns.start + column);
                (!causal || j <= i).then(|| weights[i * n + j])
            };
            let image = image(rows.len(), columns.len(), palette, weight)?;
            context.set_image_smoothing_enabled(false);
            let [width, height] = [columns, rows].map(|tokens| cell * tokens.len() as f64);
            context.draw_image_with_html_canvas_element_and_dw_and_dh(
                &image, at[0], at[1], width, height,
            )?;
            if *cell >= NUMBERED {
                context.set_font(&format!("11px {FONT}"));
                context.set_text_align("center");
                for i in 0..rows.len() {
                    for j in 0..columns.len() {
                        let Some(weight) = weight(i, j) else {
                            break;
                        };
                        context.set_fill_style_str(&palette.css(Paint::OnScale(weight)));
                        let (x, y) = (
                            at[0] + (j as f64 + 0.5) * cell,
                            at[1] + (i as f64 + 0.5) * cell,
                        );
                        context.fill_text(&short(weight), x, y + 4.0)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn canvas_of(seen: &Seen) -> Result<HtmlCanvasElement, JsValue> {
    let side = seen.side as usize;
    let (pixels, _) = seen.rgb.as_chunks::<3>();
    pixels_of(side, side, pixels.iter().map(|rgb| Some(*rgb)))
}

/// A picture as a `data:` address of a PNG.
///
/// # Errors
/// If the browser refuses.
pub fn address_of(seen: &Seen) -> Result<String, JsValue> {
    canvas_of(seen)?.to_data_url_with_type("image/png")
}

/// Weights as pixels; nothing is transparent.
pub fn image(
    rows: usize,
    columns: usize,
    palette: Palette,
    weight: impl Fn(usize, usize) -> Option<f32>,
) -> Result<HtmlCanvasElement, JsValue> {
    // 256 steps are as fine as a screen shows, and cost no arithmetic.
    let steps: Vec<[u8; 3]> = (0..=255u8)
        .map(|i| palette.ramp(f32::from(i) / 255.0))
        .collect();
    let cells = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
    let colour = |(i, j)| {
        let step = (super::colour::position(weight(i, j)?) * 255.0).round() as usize;
        Some(steps[step.min(255)])
    };
    pixels_of(rows, columns, cells.map(colour))
}

/// Colours, row by row, as a canvas of that many pixels; nothing is transparent.
pub fn pixels_of(
    rows: usize,
    columns: usize,
    colours: impl Iterator<Item = Option<[u8; 3]>>,
) -> Result<HtmlCanvasElement, JsValue> {
    let mut pixels = vec![0u8; rows * columns * 4];
    for (pixel, colour) in pixels.chunks_exact_mut(4).zip(colours) {
        if let Some([r, g, b]) = colour {
            pixel.copy_from_slice(&[r, g, b, 255]);
        }
    }
    let canvas = leptos::prelude::document().create_element("canvas")?;
    let canvas: HtmlCanvasElement = canvas.unchecked_into();
    canvas.set_width(columns.max(1) as u32);
    canvas.set_height(rows.max(1) as u32);
    if rows > 0 && columns > 0 {
        let data = ImageData::new_with_u8_clamped_array(Clamped(&pixels), columns as u32)?;
        let context = canvas.get_context("2d")?.ok_or(JsValue::NULL)?;
        let context: CanvasRenderingContext2d = context.unchecked_into();
        context.put_image_data(&data, 0.0, 0.0)?;
    }
    Ok(canvas)
}
