//! The picture of one mask's attention, its table, and what the lens says of it.

use std::sync::Arc;

use glassformer_engine::protocol::MaskResult;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent};

use super::SOURCE;
use crate::components::lens::{Fact, Lens, LensContent, Subject};
use crate::components::roving;
use crate::format;

/// Layout of the picture, in its own units: the letters, the room beside a token, the height of the
/// longest arc, the baseline of the tokens, the end.
const LETTERS: f64 = 14.0;
const BESIDE: f64 = 12.0;
const HEIGHT: f64 = 96.0;
const BASELINE: f64 = HEIGHT + 18.0;
const BOTTOM: f64 = BASELINE + 26.0;

/// Tokens beyond which the picture says little and the table says it better.
const MOST_TOKENS: usize = 160;

/// Tokens side by side, arcs above them, and the table.
#[component]
pub fn Picture(
    lens: Lens,
    place: usize,
    result: Arc<MaskResult>,
    weights: Vec<f32>,
    mask: usize,
    /// Whether the numbers are means.
    derived: bool,
) -> impl IntoView {
    let from = result.masks[mask].position as usize;
    let mut x = 0.0;
    let mut centres = Vec::new();
    for token in &result.tokens {
        let width = format::width_of(&format::visible(&token.text), LETTERS) + BESIDE;
        centres.push(x + width / 2.0);
        x += width;
    }
    let width = x;
    let shown = result.tokens.len() <= MOST_TOKENS;
    let largest = weights.iter().copied().fold(1e-6, f32::max);
    let arcs = centres
        .iter()
        .zip(&weights)
        .enumerate()
        .filter(|(to, _)| *to != from);
    let known = StoredValue::new((Arc::clone(&result), weights.clone()));
    let content = move |to: usize| {
        known.with_value(|(result, weights)| explain(result, weights, [from, to], place, derived))
    };
    // What is kept of a token goes on with the numbers of another head.
    if let Some((to, side)) = lens.locked_index(SOURCE).map(token_of)
        && side == place
        && to < result.tokens.len()
    {
        lens.lock(content(to));
    }
    let current = RwSignal::new(from);
    let key = move |event: KeyboardEvent| {
        let key = event.key();
        let token = event.target().and_then(|t| t.dyn_into::<Element>().ok());
        let Some(token) = token else { return };
        if key == "Enter" || key == " " {
            event.prevent_default();
            lens.toggle(content(current.get_untracked()));
        } else if let Some(next) = roving::neighbour(&token, ".arcs-picture", ".arc-place", &key) {
            event.prevent_default();
            let _ = next.focus();
            lens.move_lock(&content(current.get_untracked()));
        }
    };
    let arcs = arcs
        .map(|(to, (&at, &weight))| {
            let share = f64::from(weight / largest);
            let (start, end) = (centres[from], at);
            let rise = HEIGHT * ((end - start).abs() / width).sqrt().clamp(0.2, 1.0);
            let path = format!(
                "M {start:.1} {HEIGHT:.1} C {start:.1} {:.1} {end:.1} {:.1} {end:.1} {HEIGHT:.1}",
                HEIGHT - rise,
                HEIGHT - rise
            );
            let label = format!(
                "{}: {}",
                result.tokens[to].text,
                format::percent(weight.into())
            );
            view! {
                <path
                    class="arc"
                    d=path
                    stroke-width=format!("{:.2}", 0.6 + 5.0 * share)
                    stroke-opacity=format!("{:.2}", 0.12 + 0.8 * share)
                    on:mouseenter=move |_| lens.point(Some(content(to)))
                    on:mouseleave=move |_| lens.point(None)
                    on:click=move |_| lens.toggle(content(to))
                >
                    <title>{label}</title>
                </path>
            }
        })
        .collect_view();
    let tokens = result.tokens.iter().enumerate().map(|(i, token)| {
        let text = format::visible(&token.text);
        let length = format::width_of(&text, LETTERS);
        let weight = weights[i];
        let high = f64::from(weight / largest);
        let label = format!("{text}, {}", format::percent(weight.into()));
        let kept = move || lens.locked_subject() == Some(subject(i, place));
        view! {
            <g
                class="arc-place"
                role="button"
                tabindex=move || if current.get() == i { "0" } else { "-1" }
                aria-label=label
                aria-pressed=move || kept().to_string()
                data-testid="fill-mask-arc-token"
                data-locked=move || kept().then_some("true")
                on:mouseenter=move |_| lens.point(Some(content(i)))
                on:mouseleave=move |_| lens.point(None)
                on:focus=move |_| {
                    current.set(i);
                    lens.point(Some(content(i)));
                }
                on:blur=move |_| lens.point(None)
                on:click=move |_| lens.toggle(content(i))
            >
                // Room for a finger.
                <rect
                    x=format!("{:.1}", centres[i] - (length + BESIDE) / 2.0)
                    y=HEIGHT.to_string()
                    width=format!("{:.1}", length + BESIDE)
                    height=(BOTTOM - HEIGHT).to_string()
                    fill="transparent"
                />
                <rect
                    class="arc-weight"
                    x=format!("{:.1}", centres[i] - length / 2.0 - 3.0)
                    y=format!("{:.1}", BASELINE - 14.0)
                    width=format!("{:.1}", length + 6.0)
                    height="19"
                    rx="3"
                    fill-opacity=format!("{:.2}", 0.45 * high)
                />
                <text
                    class="arc-token"
                    data-mask=(i == from).then_some("true")
                    x=format!("{:.1}", centres[i])
                    y=BASELINE.to_string()
                    textLength=format!("{length:.1}")
                    lengthAdjust="spacingAndGlyphs"
                    text-anchor="middle"
                >
                    {text}
                </text>
                <text
                    class="arc-number"
                    x=format!("{:.1}", centres[i])
                    y=(BASELINE + 17.0).to_string()
                    text-anchor="middle"
                >
                    {format!("{:.0}", weight * 100.0)}
                </text>
            </g>
        }
    });
    let tokens = tokens.collect_view();
    let rows = result
        .tokens
        .iter()
        .zip(&weights)
        .enumerate()
        .map(|(to, (token, weight))| {
            view! {
                <tr
                    data-testid="fill-mask-attention-row"
                    data-from=from.to_string()
                    data-to=to.to_string()
                    data-weight=weight.to_string()
                    data-derived=derived.then_some("true")
                >
                    <th scope="row">{to.to_string()}</th>
                    <td>{format::visible(&token.text)}</td>
                    <td>{format::percent(f64::from(*weight))}</td>
                </tr>
            }
        });
    let rows = rows.collect_view();
    let view_box = format!("0 0 {width:.0} {:.0}", BOTTOM);
    let title = format!(
        "Arcs from mask {} to the tokens it looked at; arrow keys move among them, Enter keeps one in the lens",
        mask + 1
    );
    let table = if place == 0 {
        "fill-mask-table"
    } else {
        "fill-mask-table-2"
    };
    let note = if derived {
        "Means over the layers or heads, in hundredths; arcs and shades relative to the largest."
    } else {
        "Weights in hundredths, as the model computed them; arcs and shades relative to the largest."
    };
    let picture = shown.then(|| {
        view! {
            <div class="arcs-scroll">
                <svg
                    class="arcs-picture"
                    viewBox=view_box
                    width=format!("{width:.0}")
                    height=format!("{:.0}", BOTTOM)
                    role="group"
                    aria-label=title
                    on:keydown=key
                    data-testid="fill-mask-arcs"
                    data-derived=derived.then_some("true")
                >
                    {arcs}
                    {tokens}
                </svg>
            </div>
        }
    });
    view! {
        {picture}
        <p class="hint">
            {note}
            {shown.then_some(" Choose a token to keep its numbers in the lens.")}
        </p>
        <details open=!shown data-testid=table>
            <summary>"The same numbers as a table"</summary>
            <table class="arcs-table">
                <thead>
                    <tr>
                        <th scope="col">"place"</th>
                        <th scope="col">"token"</th>
                        <th scope="col">"weight"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </details>
    }
}

/// A token of one of the two texts, as the lens numbers its subjects.
fn subject(token: usize, place: usize) -> Subject {
    Subject {
        source: SOURCE,
        index: token * 2 + place,
    }
}

/// The token and the text of a subject's number.
pub(super) fn token_of(index: usize) -> (usize, usize) {
    (index / 2, index % 2)
}

/// What the lens says of one weight.
fn explain(
    result: &MaskResult,
    weights: &[f32],
    [from, to]: [usize; 2],
    place: usize,
    derived: bool,
) -> LensContent {
    let token = &result.tokens[to];
    let weight = f64::from(weights[to]);
    let rank = weights.iter().filter(|other| **other > weights[to]).count() + 1;
    let fact = |name, value, means: &str| Fact {
        name,
        value,
        means: means.into(),
    };
    let whose = if derived {
        "a mean over the layers or heads that are not chosen"
    } else {
        "of this layer and head, after the softmax"
    };
    LensContent {
        subject: subject(to, place),
        caption: format!("From token {from} to token {to}"),
        heading: format::visible(&token.text),
        sentence:
            "How much of what the mask read came from here; all its weights together are one."
                .into(),
        share: Some((weight, 3)),
        detail: None,
        facts: vec![
            fact("weight", format!("{weight:.6}"), whose),
            fact("rank", rank.to_string(), "among the tokens, by weight"),
            fact(
                "token id",
                token.id.to_string(),
                "its number in the vocabulary",
            ),
        ],
    }
}
