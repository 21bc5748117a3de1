//! What is drawn, as a file: PNG, SVG for papers, JSON for scripts.

use std::cell::Cell;
use std::fmt::Write;

use glassformer_engine::protocol::attention::MapOf;
use glassformer_engine::tasks::attention::PatchGrid;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::HtmlCanvasElement;

use super::cell;
use super::chosen::{Chosen, drawn};
use super::colour::Palette;
use super::options::Options;
use super::paint;
use super::picture::Picture;
use super::scene::patches::Seen;
use super::text::Text;
use crate::components::canvas;
use crate::components::download::{follow, save};

/// Most numbers of a JSON file: about 40 MB.
const MOST_NUMBERS: usize = 4_000_000;
/// Width of exported drawings in CSS pixels.
const WIDTH: f64 = 960.0;

/// The three buttons.
#[component]
pub fn Exports(
    /// Whose.
    text: Text,
    /// What is drawn.
    chosen: Memo<Option<Chosen>>,
    /// How.
    options: Memo<Options>,
) -> impl IntoView {
    let with_picture = move |f: fn(&str, &str, Picture) -> Result<(), JsValue>| {
        let done = chosen.with_untracked(|chosen| {
            let chosen = chosen.as_ref()?;
            let options = options.get_untracked();
            // Of a text everything is drawn, of a picture what one place looks at.
            let place = kept(text, chosen).filter(|_| chosen.shown.seen.is_some());
            let picture = drawn(chosen, &options, place, WIDTH).picture;
            f(&name(&options), &title(chosen, &options), picture).ok()
        });
        if done.is_none() {
            text.say(
                "There is nothing to save yet, or this browser does not let the page make a file.",
            );
        }
    };
    view! {
        <span class="exports" role="group" aria-label="Save">
            <button type="button" class="quiet" data-testid="attention-png" on:click=move |_| with_picture(png)>"PNG"</button>
            <button type="button" class="quiet" data-testid="attention-svg" on:click=move |_| with_picture(svg)>"SVG"</button>
            <button
                type="button"
                class="quiet"
                data-testid="attention-json"
                title="[layer, head, query, key]"
                on:click=move |_| spawn_local(json(text, options.get_untracked()))
            >
                "JSON"
            </button>
        </span>
    }
}

/// The query and the key that the lens keeps.
fn kept(text: Text, chosen: &Chosen) -> Option<(usize, usize)> {
    let index = text.desk().lens.locked_index(cell::source(text))?;
    let n = chosen.shown.n().max(1);
    (index < n * n).then_some((index / n, index % n))
}

fn name(options: &Options) -> String {
    let (layer, head) = options.head.unwrap_or((0, 0));
    if options.rollout {
        return format!("attention-rollout-{layer}");
    }
    format!("attention-{layer}-{head}")
}

fn title(chosen: &Chosen, options: &Options) -> String {
    let (layer, head) = options.head.unwrap_or((0, 0));
    let tokens = chosen.shown.summary.tokens.iter();
    let text = match &chosen.shown.seen {
        Some(_) => "a picture".into(),
        None => tokens.map(|token| token.text.as_str()).collect::<String>(),
    };
    let derived = if options.derives() { " (derived)" } else { "" };
    format!("Attention, layer {layer}, head {head}{derived}: {text}")
}

fn svg(name: &str, title: &str, picture: Picture) -> Result<(), JsValue> {
    let refused = Cell::new(None);
    let address = |seen: &Seen| {
        paint::address_of(seen).unwrap_or_else(|error| {
            refused.set(Some(error));
            String::new()
        })
    };
    let svg = picture.to_svg(title, &address);
    if let Some(error) = refused.into_inner() {
        return Err(error);
    }
    save(&format!("{name}.svg"), "image/svg+xml", &svg)
}

fn png(name: &str, _: &str, picture: Picture) -> Result<(), JsValue> {
    let canvas: HtmlCanvasElement = document().create_element("canvas")?.unchecked_into();
    let context = canvas::prepare(&canvas, picture.width, picture.height).ok_or(JsValue::NULL)?;
    context.set_fill_style_str("#ffffff");
    context.fill_rect(0.0, 0.0, picture.width, picture.height);
    paint::paint(&context, &picture, Palette::new(false), 0.0..picture.height);
    follow(
        &format!("{name}.png"),
        &canvas.to_data_url_with_type("image/png")?,
    )
}

/// All heads of a text that is short enough, and else the heads that are drawn.
async fn json(text: Text, options: Options) {
    let Some(shown) = text
        .shown
        .get_untracked()
        .filter(|shown| shown.recorded.is_none())
    else {
        return text.say("Press Run first; the recorded example has no numbers to save.");
    };
    let shape = shown.summary.shape;
    let n = shown.n();
    let (layers, heads) = (shape.layers, shape.heads);
    let all = (layers * heads) as usize * n * n <= MOST_NUMBERS;
    let chosen: Vec<(u32, u32)> = if all {
        (0..layers)
            .flat_map(|layer| (0..heads).map(move |head| (layer, head)))
            .collect()
    } else {
        text.say("All heads of so many tokens would be a file of hundreds of megabytes; it has the heads that are drawn.");
        options
            .shown()
            .iter()
            .map(|&(layer, head)| (layer as u32, head as u32))
            .collect()
    };
    let (run, mut maps) = (text.run_id(), Vec::new());
    for &(layer, head) in &chosen {
        match text.map(MapOf::Head { layer, head }).await {
            // Maps of another text are not these tokens'.
            _ if text.run_id() != run => {
                return text.say("The text was run again meanwhile; save it once more.");
            }
            Some(map) => maps.push(((layer, head), map)),
            None => return text.say("The numbers could not be had; run the text again."),
        }
    }
    let tokens: Vec<&str> = shown
        .summary
        .tokens
        .iter()
        .map(|token| token.text.as_str())
        .collect();
    let ids: Vec<u32> = shown.summary.tokens.iter().map(|token| token.id).collect();
    // Strings and numbers are always JSON.
    let tokens = serde_json::to_string(&tokens).unwrap_or_default();
    let mut json = format!(
        "{{\"tokens\":{tokens},\"ids\":{ids:?},\"heads\":{:?},",
        pairs(&chosen)
    );
    if let Some(seen) = &shown.seen {
        let PatchGrid { first, grid } = seen.grid;
        let _ = write!(json, "\"learned\":{first},\"grid\":[{grid},{grid}],");
    }
    json.push_str("\"axes\":[\"layer\",\"head\",\"query\",\"key\"],\"weights\":[");
    let mut layer = None;
    for ((of, _), map) in &maps {
        if layer != Some(*of) {
            json.push_str(if layer.is_some() { "],[" } else { "[" });
            layer = Some(*of);
        } else {
            json.push(',');
        }
        json.push('[');
        for (i, row) in map.chunks(n.max(1)).enumerate() {
            json.push_str(if i > 0 { ",[" } else { "[" });
            for (j, weight) in row.iter().enumerate() {
                // Writing to a string does not fail.
                let _ = write!(json, "{}{weight}", if j > 0 { "," } else { "" });
            }
            json.push(']');
        }
        json.push(']');
    }
    json.push_str("]]}\n");
    if save("attention.json", "application/json", &json).is_err() {
        text.say("This browser does not let the page make a file.");
    }
}

fn pairs(heads: &[(u32, u32)]) -> Vec<[u32; 2]> {
    heads.iter().map(|&(layer, head)| [layer, head]).collect()
}
