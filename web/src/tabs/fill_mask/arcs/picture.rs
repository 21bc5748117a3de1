//! The picture of one mask's attention, its table, and what the lens says of it.

use std::sync::Arc;

use glassformer_engine::protocol::MaskResult;
use leptos::prelude::*;

use crate::components::lens::{Fact, Lens, LensContent, Subject};
use crate::format;

/// Layout of the picture, in its own units: a character, the room beside a token, the height of the
/// longest arc, the baseline of the tokens.
const CHARACTER: f64 = 8.4;
const BESIDE: f64 = 12.0;
const HEIGHT: f64 = 96.0;
const BASELINE: f64 = HEIGHT + 18.0;

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
        let width = format::visible(&token.text).chars().count() as f64 * CHARACTER + BESIDE;
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
    let point = |to: usize| {
        let content = explain(&result, &weights, [from, to], derived);
        move || lens.point(Some(content.clone()))
    };
    let arcs = arcs
        .map(|(to, (&at, &weight))| {
            let show = point(to);
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
                    on:mouseenter=move |_| show()
                    on:mouseleave=move |_| lens.point(None)
                >
                    <title>{label}</title>
                </path>
            }
        })
        .collect_view();
    let tokens = result.tokens.iter().enumerate().map(|(i, token)| {
        let text = format::visible(&token.text);
        let length = text.chars().count() as f64 * CHARACTER;
        let weight = weights[i];
        let high = f64::from(weight / largest);
        let show = point(i);
        view! {
            <g on:mouseenter=move |_| show() on:mouseleave=move |_| lens.point(None)>
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
                    data-special=token.special.then_some("true")
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
    let view_box = format!("0 0 {width:.0} {:.0}", BASELINE + 24.0);
    let title = format!(
        "Arcs from mask {} to the tokens it looked at; the table below has the numbers",
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
            <div class="arcs-scroll" tabindex="0" role="group" aria-label="Arcs, to be scrolled sideways">
                <svg
                    class="arcs-picture"
                    viewBox=view_box
                    width=format!("{width:.0}")
                    height=format!("{:.0}", BASELINE + 24.0)
                    role="img"
                    aria-label=title
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
        <p class="hint">{note}</p>
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

/// What the lens says of one weight.
fn explain(
    result: &MaskResult,
    weights: &[f32],
    [from, to]: [usize; 2],
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
        subject: Subject {
            source: "fill-mask-arcs",
            index: to,
        },
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
