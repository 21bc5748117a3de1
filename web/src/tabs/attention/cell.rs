//! What the lens says about one weight: where it comes from, number by number.

use std::fmt::Write;
use std::sync::Arc;

use glassformer_engine::protocol::attention::{AttentionShape, MapOf};
use glassformer_engine::tasks::attention::{CellNumbers, Focus};
use leptos::prelude::*;

use super::chosen::Chosen;
use super::colour::{Paint, Palette};
use super::options::Options;
use super::sight;
use super::text::Text;
use crate::components::lens::{Detail, Fact, LensContent, Subject};
use crate::components::term::{SOFTMAX, Term};
use crate::components::theme::Dark;

/// The name of a text in the lens.
pub fn source(text: Text) -> &'static str {
    if text.second {
        super::SECOND
    } else {
        super::SOURCE
    }
}

/// What the lens says about what `from` reads of `to`; all the way if it is kept.
pub fn content(
    text: Text,
    chosen: &Chosen,
    options: &Options,
    (from, to): (usize, usize),
    kept: bool,
) -> LensContent {
    let n = chosen.shown.n();
    let label = |i: usize| chosen.shown.labels.get(i).cloned().unwrap_or_default();
    let first = chosen.maps.first();
    let weight = first
        .and_then(|(_, map)| map.get(from * n + to))
        .copied()
        .unwrap_or(0.0);
    let place = match first.map(|(of, _)| *of) {
        Some(MapOf::Head { layer, head }) => format!("Layer {layer}, head {head}"),
        Some(MapOf::Rollout { layer }) => format!("Rollout of layers 0 to {layer}"),
        None => "No map yet".into(),
    };
    let changed = if options.derives() { ", derived" } else { "" };
    let token = |i: usize| {
        chosen
            .shown
            .summary
            .tokens
            .get(i)
            .map_or(0, |token| token.id)
    };
    let name = |i: usize| chosen.shown.name(i);
    let means = |i: usize| match chosen.shown.seen {
        Some(_) => format!("place {i} of {n}"),
        None => format!("token {i}, id {}", token(i)),
    };
    let mut facts = vec![
        Fact {
            name: "Looks",
            value: name(from),
            means: means(from),
        },
        Fact {
            name: "Is looked at",
            value: name(to),
            means: means(to),
        },
    ];
    let others = chosen.maps.iter().skip(1).filter_map(|(of, map)| match of {
        MapOf::Head { layer, head } => Some((layer, head, *map.get(from * n + to)?)),
        MapOf::Rollout { .. } => None,
    });
    facts.extend(others.map(|(layer, head, weight)| Fact {
        name: "Drawn over it",
        value: format!("{weight:.4}"),
        means: format!("layer {layer}, head {head}"),
    }));
    let sentence = if chosen.shown.summary.shape.causal && to > from {
        "This model reads from left to right: a token cannot look at what comes behind it.".into()
    } else {
        format!(
            "{} takes {:.1} % of what this head reads from {}. That is where it read, not why the model decided.",
            sight::capital(&name(from)),
            weight * 100.0,
            name(to)
        )
    };
    let detail = (kept && text.is_live_untracked())
        .then_some(first)
        .flatten();
    let detail = detail.and_then(|(of, _)| match *of {
        MapOf::Head { layer, head } => {
            let at = At {
                key: (layer, head, from as u32),
                to,
                labels: (label(from), label(to)),
                places: match chosen.shown.seen {
                    Some(_) => "places",
                    None => "tokens",
                },
                shape: chosen.shown.summary.shape,
            };
            Some(Detail::new(move || {
                text.want_focus(at.key);
                let at = at.clone();
                view! { <AllTheWay text at/> }.into_any()
            }))
        }
        MapOf::Rollout { .. } => None,
    });
    LensContent {
        subject: Subject {
            source: source(text),
            index: from * n + to,
        },
        caption: format!("{place}{changed}"),
        // Each label in its own direction, and the arrow between them.
        heading: format!(
            "\u{2068}{}\u{2069} → \u{2068}{}\u{2069}  {weight:.4}",
            label(from),
            label(to)
        ),
        sentence,
        share: Some((f64::from(weight), 3)),
        facts,
        detail,
    }
}

/// Which cell is explained.
#[derive(Clone)]
struct At {
    key: (u32, u32, u32),
    to: usize,
    labels: (String, String),
    /// What the tokens are called.
    places: &'static str,
    shape: AttentionShape,
}

/// The steps, once the numbers are here.
#[component]
fn AllTheWay(text: Text, at: At) -> impl IntoView {
    let Dark(dark) = expect_context();
    let numbers = move || {
        let focus = text.focus.with(|all| all.get(&at.key).cloned());
        let Some(focus) = focus else {
            return view! { <p class="hint">"Fetching the numbers of this cell…"</p> }.into_any();
        };
        match focus.cell(at.to, at.shape.scale) {
            Some(cell) => steps(&focus, &cell, &at, Palette::new(dark.get())).into_any(),
            None => view! {
                <p class="hint">"The mask hides this key: its score is the smallest number there is, and its weight 0."</p>
            }
            .into_any(),
        }
    };
    view! { <div class="cell-way" data-testid="attention-explained">{numbers}</div> }
}

fn steps(focus: &Arc<Focus>, cell: &CellNumbers, at: &At, palette: Palette) -> impl IntoView {
    let (from, to) = &at.labels;
    let (layer, head, i) = at.key;
    let dim = focus.query.len();
    let start = head as usize * dim;
    let key = focus
        .keys
        .get(at.to * dim..(at.to + 1) * dim)
        .unwrap_or_default();
    let value = focus
        .values
        .get(at.to * dim..(at.to + 1) * dim)
        .unwrap_or_default();
    let scale = at.shape.scale;
    // The words of a translation stand in front of the source that they read.
    let seen = focus
        .scores
        .iter()
        .filter(|score| score.is_finite())
        .count();
    let kv_head = head / (at.shape.heads / at.shape.kv_heads.max(1)).max(1);
    let shared = if at.shape.kv_heads < at.shape.heads {
        format!(
            " (key head {kv_head}, shared by {} heads)",
            at.shape.heads / at.shape.kv_heads
        )
    } else {
        String::new()
    };
    let step = |words: String, numbers: &[f32], mark: Option<(usize, usize)>| {
        view! {
            <li>
                <p>{words}</p>
                <div class="vector" inner_html=strip(numbers, mark, palette)></div>
            </li>
        }
    };
    let places = at.places;
    let mask = if at.shape.causal {
        format!("Mask: token {i} sees tokens 0 to {i}, {seen} of them; this one is among them.")
    } else {
        format!("Mask: it sees all {seen} {places}.")
    };
    let tap = |name: &'static str, value: f32| {
        view! {
            <b class="tap" data-testid=name data-value=value.to_string()>{format!("{value:.5}")}</b>
        }
    };
    view! {
        <ol class="cell-steps">
            {step(format!("Query of “{from}”: {dim} numbers"), &focus.query, None)}
            {step(format!("Key of “{to}”{shared}"), key, None)}
            {step("Query times key, element by element".to_string(), &cell.products, None)}
            <li>
                <p>"Sum of the products: " {tap("cell-dot", cell.dot)}</p>
                <p>{format!("Times the scale {scale:.5} = 1/√{dim}: ")} {tap("cell-score", *focus.scores.get(at.to).unwrap_or(&0.0))}</p>
            </li>
            <li><p>{mask}</p></li>
            <li>
                <p><Term word="Softmax" means=SOFTMAX/> {format!(": exp(score − {:.4}) = {:.5}, the sum over all {seen} is {:.5}", cell.largest, cell.exponential, cell.sum)}</p>
                <p>"One divided by the other is the weight: " {tap("cell-weight", *focus.probs.get(at.to).unwrap_or(&0.0))}</p>
            </li>
            {step(format!("Value of “{to}”"), value, None)}
            {step(format!("Times the weight: what “{to}” adds"), &cell.added, None)}
            {step(format!("Summed over all {seen} {places}: what head {head} reads"), focus.context.get(start..start + dim).unwrap_or_default(), None)}
            {step(format!("All {} heads behind each other; head {head} is marked", at.shape.heads), &focus.context, Some((start, start + dim)))}
            {step(format!("Times the output matrix: what layer {layer} adds to “{from}”, {} numbers", focus.output.len()), &focus.output, None)}
        </ol>
        <details>
            <summary>"Every number"</summary>
            <div class="numbers" inner_html=table(focus, cell, key, value, start)></div>
        </details>
    }
}

/// Numbers as a row of colours around zero; each has its value as a title.
fn strip(numbers: &[f32], mark: Option<(usize, usize)>, palette: Palette) -> String {
    let largest = numbers.iter().fold(1e-12f32, |most, x| most.max(x.abs()));
    let n = numbers.len().max(1);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {n} 12\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{n} numbers from {:.3} to {:.3}\">",
        numbers.iter().copied().fold(f32::INFINITY, f32::min),
        numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max),
    );
    for (i, x) in numbers.iter().enumerate() {
        let fill = palette.css(Paint::Diverging(x / largest));
        // Writing to a string does not fail.
        let _ = write!(
            svg,
            "<rect x=\"{i}\" width=\"1.05\" height=\"12\" fill=\"{fill}\"><title>{i}: {x:.5}</title></rect>"
        );
    }
    if let Some((from, to)) = mark {
        let (fill, width) = (palette.css(Paint::Ink), to - from);
        let _ = write!(
            svg,
            "<rect x=\"{from}\" y=\"10.5\" width=\"{width}\" height=\"1.5\" fill=\"{fill}\"/>"
        );
    }
    format!("{svg}</svg><small>±{largest:.3}</small>")
}

fn table(focus: &Focus, cell: &CellNumbers, key: &[f32], value: &[f32], start: usize) -> String {
    let mut html = String::from(
        "<table><thead><tr><th>#</th><th>query</th><th>key</th><th>product</th><th>value</th><th>added</th><th>read</th></tr></thead><tbody>",
    );
    for (i, query) in focus.query.iter().enumerate() {
        let at = |numbers: &[f32], i: usize| numbers.get(i).copied().unwrap_or(0.0);
        let row = [
            *query,
            at(key, i),
            at(&cell.products, i),
            at(value, i),
            at(&cell.added, i),
            at(&focus.context, start + i),
        ];
        let _ = write!(html, "<tr><th>{i}</th>");
        for x in row {
            let _ = write!(html, "<td>{x:.4}</td>");
        }
        html.push_str("</tr>");
    }
    html + "</tbody></table>"
}
