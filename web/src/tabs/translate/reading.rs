//! The text and its translation side by side: a word that is pointed at lights up the words it has to
//! do with.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, EventTarget, HtmlElement, KeyboardEvent};

use super::run::Runs;
use super::shown::{Pointed, Shown, Side};
use super::words::{self, Word};
use super::{SOURCE, explain};
use crate::components::roving;
use crate::surprise;

/// Words with less of the attention than this do not light up.
pub const LIT: f32 = 0.1;

/// What is lit in a sentence.
#[derive(Clone, Debug, PartialEq)]
struct Lit {
    side: Side,
    word: usize,
    across: Vec<f32>,
}

/// One of the two columns.
#[component]
pub fn Column(
    /// What is shown, and what choosing acts on.
    runs: Runs,
    /// Which text.
    side: Side,
) -> impl IntoView {
    let lens = runs.desk.lens;
    // Sentence and word that Tab reaches; what is no longer there gives it to the nearest before.
    let current = RwSignal::new((0, 0));
    let explained = move |pointed: Pointed| {
        let shown = runs.shown(pointed.sentence)?;
        explain::word(&shown, pointed)
    };
    let point = move |target: Option<EventTarget>| {
        let pointed = target.and_then(word_of).map(|(pointed, _)| pointed);
        runs.pointed.set(pointed);
        lens.point(pointed.and_then(explained));
    };
    let keep = move |pointed: Pointed| {
        runs.select(pointed.sentence);
        if let Some(content) = explained(pointed) {
            lens.toggle(content);
        }
    };
    let key = move |event: KeyboardEvent| {
        let Some((pointed, element)) = event.target().and_then(word_of) else {
            return;
        };
        match event.key().as_str() {
            "Enter" | " " => {
                event.prevent_default();
                keep(pointed);
            }
            key => {
                let next = roving::neighbour(&element, ".column", "[data-word]", key);
                if let Some(next) = next {
                    event.prevent_default();
                    let _ = next.focus();
                }
            }
        }
    };
    let (label, testid) = match side {
        Side::Source => (
            "The text; arrow keys move among its words",
            "translate-source",
        ),
        Side::Target => (
            "The translation; arrow keys move among its words",
            "translate-output",
        ),
    };
    let current_now = Memo::new(move |_| {
        let (sentence, word) = current.get();
        let last = runs.sentences.with(Vec::len).saturating_sub(1);
        (sentence.min(last), word)
    });
    let sentence = move |shown: Shown| view! { <Sentence runs side shown current=current_now/> };
    let key_of = |shown: &Shown| (shown.sentence.index, shown.version);
    view! {
        <div
            class="column"
            role="group"
            aria-label=label
            aria-busy=move || (side == Side::Target && runs.progress().is_some()).to_string()
            data-testid=move || if runs.is_recorded() { "translate-recorded-text" } else { testid }
            data-side=if side == Side::Target { "target" } else { "source" }
            on:mouseover=move |event| point(event.target())
            on:mouseleave=move |_| point(None)
            lang=move || runs.language(side)
            dir="auto"
            on:focusin=move |event| {
                if let Some((pointed, _)) = event.target().and_then(word_of) {
                    current.set((pointed.sentence, pointed.word));
                }
                point(event.target());
            }
            on:focusout=move |_| point(None)
            on:keydown=key
            on:click=move |event| {
                if let Some((pointed, element)) = event.target().and_then(word_of) {
                    let _ = element.focus();
                    keep(pointed);
                }
            }
        >
            <For each=move || runs.sentences.get() key=key_of children=sentence/>
            {move || runs.tail.get()}
        </div>
    }
}

/// A sentence of one text, behind what stands before it.
#[component]
fn Sentence(
    runs: Runs,
    side: Side,
    shown: Shown,
    /// Sentence and word that Tab reaches.
    current: Memo<(usize, usize)>,
) -> impl IntoView {
    let index = shown.sentence.index as usize;
    let words = match side {
        Side::Source => shown.source.clone(),
        Side::Target => shown.target.clone(),
    };
    let before = shown.sentence.before.clone();
    let for_lit = shown.clone();
    let lit = Memo::new(move |_| {
        let kept = runs.desk.lens.locked_subject();
        let kept = kept.filter(|subject| subject.source == SOURCE);
        let kept = kept.map(|subject| Pointed::from_index(subject.index));
        let pointed = runs.pointed.get().or(kept)?;
        (pointed.sentence == index).then(|| Lit {
            side: pointed.side,
            word: pointed.word,
            across: for_lit.across(pointed.side, pointed.word),
        })
    });
    let count = words.len();
    let reached = Memo::new(move |_| {
        let (sentence, word) = current.get();
        (sentence == index).then(|| word.min(count.saturating_sub(1)))
    });
    let word = |(at, word): (usize, &Word)| {
        // One button among plain text: readers hear words, not a button for each.
        let is_current = move || reached.get() == Some(at);
        let step = (side == Side::Target).then(|| {
            let sum = words::log_prob(shown.found(), word);
            surprise::step(surprise::bits(sum as f32))
        });
        let own = move || {
            lit.with(|lit| {
                lit.as_ref()
                    .is_some_and(|lit| lit.side == side && lit.word == at)
            })
        };
        let weight = move || {
            lit.with(|lit| {
                let lit = lit.as_ref().filter(|lit| lit.side != side)?;
                lit.across.get(at).copied().filter(|weight| *weight >= LIT)
            })
        };
        view! {
            {word.before.clone()}
            <span
                class="word"
                tabindex=move || if is_current() { "0" } else { "-1" }
                role=move || is_current().then_some("button")
                data-sentence=index.to_string()
                data-word=at.to_string()
                data-side=if side == Side::Target { "target" } else { "source" }
                data-surprise=step.map(|step| step.to_string())
                data-own=move || own().then_some("true")
                data-lit=move || weight().map(|weight| format!("{weight:.3}"))
                style:--lit=move || weight().map(|weight| format!("{:.0}%", 12.0 + weight * 48.0))
            >
                {word.text.clone()}
            </span>
        }
    };
    let words = words.iter().enumerate().map(word).collect_view();
    let selected = move || runs.selected.get() == index;
    view! {
        {before}
        <span class="sentence" data-selected=move || selected().to_string()>{words}</span>
    }
}

/// The word that an event is about, and its element.
fn word_of(target: EventTarget) -> Option<(Pointed, HtmlElement)> {
    let element = target.dyn_into::<Element>().ok()?;
    let element = element.closest("[data-word]").ok()??;
    let number = |name: &str| element.get_attribute(name)?.parse::<usize>().ok();
    let side = match element.get_attribute("data-side")?.as_str() {
        "target" => Side::Target,
        _ => Side::Source,
    };
    let pointed = Pointed {
        sentence: number("data-sentence")?,
        side,
        word: number("data-word")?,
    };
    Some((pointed, element.unchecked_into()))
}
