//! The ranked words under each mask.

use glassformer_engine::protocol::{MaskResult, Prediction};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, MouseEvent, Node};

use super::run::Runs;
use super::side::Answered;
use crate::components::lens::{Fact, LensContent, Subject};
use crate::format;

/// Whose words the lens shows.
const SOURCE: &str = "fill-mask";

/// Every mask with its words.
#[component]
pub fn PredictionList(
    /// What choosing acts on.
    runs: Runs,
    /// Which text.
    place: usize,
) -> impl IntoView {
    let side = runs.sides[place];
    let masks = move || {
        let answer = side.answer.get();
        let Some(Answered { result, .. }) = answer else {
            return Vec::new();
        };
        let lists = result.masks.iter().enumerate();
        lists
            .map(|(mask, found)| {
                let words = found.predictions.clone();
                let context = around(&result, mask);
                view! { <Words runs place mask words context/> }.into_any()
            })
            .collect()
    };
    view! { <div class="mask-lists">{masks}</div> }
}

/// A few words before and behind a mask, to tell it from others.
fn around(result: &MaskResult, mask: usize) -> (String, String) {
    const KEPT: usize = 14;
    let Some(sentence) = result.sentences.first() else {
        return Default::default();
    };
    let position = result.masks[mask].position as usize;
    let span = result
        .tokens
        .get(position)
        .map(|t| (t.start as usize, t.end as usize));
    let Some((start, end)) = span else {
        return Default::default();
    };
    let (Some(before), Some(behind)) = (sentence.get(..start), sentence.get(end..)) else {
        return Default::default();
    };
    let skip = before.chars().count().saturating_sub(KEPT);
    let mut shown: String = before.chars().skip(skip).collect();
    if skip > 0 {
        shown.insert(0, '…');
    }
    let mut rest: String = behind.chars().take(KEPT).collect();
    if behind.chars().count() > KEPT {
        rest.push('…');
    }
    (shown, rest)
}

/// The words of one mask.
#[component]
fn Words(
    runs: Runs,
    place: usize,
    mask: usize,
    words: Vec<Prediction>,
    context: (String, String),
) -> impl IntoView {
    let most = words
        .first()
        .map_or(1.0, |best| f64::from(best.score))
        .max(1e-9);
    let named: f64 = words.iter().map(|word| f64::from(word.score)).sum();
    let rows = words.into_iter().enumerate().map(|(rank, word)| {
        view! { <Row runs place mask rank word most/> }
    });
    let rows = rows.collect_view();
    let (before, behind) = context;
    view! {
        <section class="mask-list" aria-label=format!("Mask {}", mask + 1)>
            <h3>
                <b>{format!("Mask {}", mask + 1)}</b>
                <small dir="auto">{before}<i>"____"</i>{behind}</small>
            </h3>
            <ol>{rows}</ol>
            <p class="hint">{format!("{} in all other words", format::percent((1.0 - named).max(0.0)))}</p>
        </section>
    }
}

#[component]
fn Row(
    runs: Runs,
    place: usize,
    mask: usize,
    rank: usize,
    word: Prediction,
    /// The probability that fills the bar.
    most: f64,
) -> impl IntoView {
    let lens = runs.desk.lens;
    let score = f64::from(word.score);
    let content = explain(&word, mask, rank);
    let show = move || lens.point(Some(content.clone()));
    let shown = show.clone();
    let title = format!("Put “{}” in place of mask {}", word.text, mask + 1);
    let side = runs.sides[place];
    // Words of a text that stands there no more, and recorded ones, are nobody's answer.
    let testid = move || match (runs.is_recorded(), side.is_stale(), place) {
        (true, ..) => "recorded-prediction",
        (_, true, _) => "outdated-prediction",
        (_, _, 0) => "fill-mask-prediction",
        _ => "fill-mask-prediction-2",
    };
    let (insert, joins) = (word.text.clone(), word.joins);
    view! {
        <li>
            <button
                type="button"
                class="prediction"
                data-testid=testid
                data-mask=mask.to_string()
                data-token=word.token.clone()
                data-score=word.score.to_string()
                title=title
                disabled=move || side.is_stale()
                on:click=move |event| {
                    lens.clear(SOURCE);
                    runs.put(place, mask, &insert, joins);
                    focus_undo(&event, place);
                }
                on:mouseenter=move |_| show()
                on:focus=move |_| shown()
                on:mouseleave=move |_| lens.point(None)
                on:blur=move |_| lens.point(None)
            >
                <span class="prediction-word" dir="auto">{format::visible(&word.token)}</span>
                <span class="prediction-bar" aria-hidden="true">
                    <span style:width=format!("{:.2}%", (score / most * 100.0).clamp(0.0, 100.0))></span>
                </span>
                <span class="prediction-score">{format::percent(score)}</span>
            </button>
        </li>
    }
}

/// A word that was chosen is about to be disabled: the way back from it takes the focus it had.
fn focus_undo(event: &MouseEvent, place: usize) {
    let word = event
        .current_target()
        .and_then(|t| t.dyn_into::<Node>().ok());
    let focused = document().active_element();
    let selector = format!("[data-testid={}]", super::undo_id(place));
    if focused.is_some_and(|focused| focused.is_same_node(word.as_ref()))
        && let Ok(Some(undo)) = document().query_selector(&selector)
    {
        // What is hidden takes no focus, and signals show it only after this.
        let undo: HtmlElement = undo.unchecked_into();
        undo.set_hidden(false);
        let _ = undo.focus();
    }
}

/// The numbers of a word, for the lens.
fn explain(word: &Prediction, mask: usize, rank: usize) -> LensContent {
    let score = f64::from(word.score);
    let fact = |name, value, means: &str| Fact {
        name,
        value,
        means: means.into(),
    };
    let sentence = if word.joins {
        "A piece that goes on with the word before the mask, as its “##” says."
    } else {
        "The model's guess for the mask, from everything before and behind it; choosing it puts it in."
    };
    LensContent {
        subject: Subject {
            source: SOURCE,
            index: mask * 100 + rank,
        },
        caption: format!("Mask {}, rank {}", mask + 1, rank + 1),
        heading: format::visible(&word.token),
        sentence: sentence.into(),
        share: Some((score, 3)),
        detail: None,
        facts: vec![
            fact(
                "probability",
                format::percent(score),
                &format::one_in(score),
            ),
            fact(
                "log-probability",
                format!("{:.4}", score.ln()),
                "natural log; zero would be certain",
            ),
            fact(
                "token id",
                word.id.to_string(),
                "its number in the vocabulary",
            ),
        ],
    }
}
