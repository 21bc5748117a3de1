//! The grid as a file: CSV for tables, PNG for slides.

use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{HtmlCanvasElement, HtmlImageElement};

use super::grid::written;
use super::run::Runs;
use super::table::Table;
use crate::components::canvas;
use crate::components::download::{follow, save};
use crate::page::Page;
use crate::tabs::attention::colour::{Paint, Palette};

/// The two buttons.
#[component]
pub fn Exports(runs: Runs) -> impl IntoView {
    let page: Page = expect_context();
    let with = move |make: fn(Runs, &Table) -> Result<(), JsValue>| {
        let made = runs.table.with_untracked(|table| {
            let any = table.rows.iter().flatten().any(Option::is_some);
            any.then(|| make(runs, table).ok()).flatten()
        });
        if made.is_none() {
            page.notices.say(
                "There is nothing to save yet, or this browser does not let the page make a file.",
            );
        }
    };
    view! {
        <span class="exports" role="group" aria-label="Save">
            <button type="button" class="quiet" data-testid="match-csv" on:click=move |_| with(csv)>"CSV"</button>
            <button type="button" class="quiet" data-testid="match-png" on:click=move |_| with(png)>"PNG"</button>
        </span>
    }
}

/// A value as a field of CSV (RFC 4180).
fn field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn csv(runs: Runs, table: &Table) -> Result<(), JsValue> {
    let shown = runs.shown.get_untracked();
    let labels = runs.labels.get_untracked();
    let head = std::iter::once("picture".to_owned()).chain(labels.iter().map(|label| field(label)));
    let mut lines = vec![head.collect::<Vec<_>>().join(",")];
    runs.pictures.with_untracked(|pictures| {
        for (picture, row) in pictures.iter().zip(&table.rows) {
            let number = |cell: &Option<_>| {
                let cell: Option<&super::table::Cell> = cell.as_ref();
                cell.map_or(String::new(), |cell| cell.shown(shown).to_string())
            };
            let row = std::iter::once(field(&picture.name)).chain(row.iter().map(number));
            lines.push(row.collect::<Vec<_>>().join(","));
        }
    });
    save("match.csv", "text/csv", &(lines.join("\r\n") + "\r\n"))
}

/// Sizes of the drawing, in CSS pixels.
const THUMB: f64 = 56.0;
const NAME: f64 = 150.0;
const CELL: f64 = 72.0;
const HEAD: f64 = 40.0;

fn png(runs: Runs, table: &Table) -> Result<(), JsValue> {
    let shown = runs.shown.get_untracked();
    let labels = runs.labels.get_untracked();
    let left = THUMB + NAME;
    let (width, height) = (
        left + CELL * labels.len() as f64,
        HEAD + THUMB * table.rows.len() as f64,
    );
    let canvas: HtmlCanvasElement = document().create_element("canvas")?.unchecked_into();
    let context = canvas::prepare(&canvas, width, height).ok_or(JsValue::NULL)?;
    let palette = Palette::new(false);
    context.set_fill_style_str("#ffffff");
    context.fill_rect(0.0, 0.0, width, height);
    context.set_font("13px system-ui, sans-serif");
    context.set_text_baseline("middle");
    context.set_fill_style_str(&palette.css(Paint::Ink));
    for (j, label) in labels.iter().enumerate() {
        let x = left + CELL * j as f64 + 4.0;
        context.fill_text_with_max_width(label, x, HEAD / 2.0, CELL - 8.0)?;
    }
    let thumbs = document().query_selector_all(".match-picture img")?;
    let names: Vec<String> = runs
        .pictures
        .with_untracked(|all| all.iter().map(|picture| picture.name.clone()).collect());
    for (i, row) in table.rows.iter().enumerate() {
        let y = HEAD + THUMB * i as f64;
        if let Some(image) = thumbs.get(i as u32) {
            let image: HtmlImageElement = image.unchecked_into();
            // One that the browser cannot show is left blank.
            let _ = context.draw_image_with_html_image_element_and_dw_and_dh(
                &image,
                2.0,
                y + 2.0,
                THUMB - 4.0,
                THUMB - 4.0,
            );
        }
        context.set_fill_style_str(&palette.css(Paint::Ink));
        let name = names.get(i).map_or("", String::as_str);
        context.fill_text_with_max_width(name, THUMB + 6.0, y + THUMB / 2.0, NAME - 12.0)?;
        for (j, cell) in row.iter().enumerate() {
            let Some(cell) = cell else { continue };
            let weight = table.shade(cell, shown) as f32 / 5.0;
            // The scale is that of a square root.
            let weight = weight * weight;
            let x = left + CELL * j as f64;
            context.set_fill_style_str(&palette.css(Paint::Scale(weight)));
            context.fill_rect(x + 1.0, y + 1.0, CELL - 2.0, THUMB - 2.0);
            context.set_fill_style_str(&palette.css(Paint::OnScale(weight)));
            context.fill_text_with_max_width(
                &written(cell.shown(shown), shown),
                x + 8.0,
                y + THUMB / 2.0,
                CELL - 16.0,
            )?;
        }
    }
    follow("match.png", &canvas.to_data_url_with_type("image/png")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(field("a dog"), "a dog");
        assert_eq!(field("big, \"red\""), "\"big, \"\"red\"\"\"");
    }
}
