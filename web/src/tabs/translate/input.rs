//! Languages, text, settings, Run and Stop.

use leptos::prelude::*;

use super::pair::{self, Languages, Pair};
use super::run::Runs;
use super::{OPENING, beams, set, shortlist};
use crate::components::copy::CopyButton;
use crate::components::run_row::{Example, Examples, RunRow, Undo, is_run_key};
use crate::model::{Chosen, Status};

/// Texts worth translating, and from which language to which.
const EXAMPLES: [(Example, [&str; 2]); 3] = [
    (
        Example {
            label: "A bank",
            shows: "one word, two meanings: see what the search weighed",
            text: OPENING,
        },
        ["en", "pt"],
    ),
    (
        Example {
            label: "Another order",
            shows: "adjectives move behind their nouns",
            text: "The old white house near the green garden was sold.\nNobody knows who bought it.",
        },
        ["en", "pt"],
    ),
    (
        Example {
            label: "The other way",
            shows: "one verb form becomes pronoun and verb",
            text: "Chegámos tarde porque perdemos o comboio. Amanhã voltaremos mais cedo.",
        },
        ["pt", "en"],
    ),
];

/// The upper part of the tab.
#[component]
pub fn InputPanel(
    /// What Run and Stop act on.
    runs: Runs,
) -> impl IntoView {
    let desk = runs.desk;
    // The text, and from which language to which it was to be translated.
    let undo = RwSignal::new(None::<(String, Pair)>);
    let pick = move |i: usize| {
        let (example, [from, to]) = EXAMPLES[i];
        let before = desk.text.get_untracked();
        if !before.trim().is_empty() && EXAMPLES.iter().all(|(each, _)| each.text != before) {
            undo.set(Some((before, desk.values.with_untracked(pair::read))));
        }
        pair::choose(desk, from, to);
        desk.text.set(example.text.into());
    };
    let bring_back = move |()| {
        if let Some((text, [from, to])) = undo.get_untracked() {
            pair::choose(desk, &from, &to);
            desk.text.set(text);
            undo.set(None);
        }
    };
    let way_back = Undo {
        can: Signal::derive(move || undo.with(Option::is_some)),
        go: Callback::new(bring_back),
    };
    let opened = move || {
        desk.model
            .chosen
            .with(|chosen| matches!(chosen, Chosen::Opened { .. }))
    };
    let language =
        move || (!opened()).then(|| desk.values.with(|values| pair::read(values)[0].clone()));
    view! {
        <section class="prompt translate-prompt" aria-label="Text to translate">
            <div class="prompt-top">
                <label for="translate-input">"Text"</label>
                <Languages runs/>
            </div>
            <textarea
                id="translate-input"
                data-testid="translate-input"
                rows="3"
                spellcheck="false"
                lang=language
                dir="auto"
                placeholder="Type or paste a text"
                prop:value=desk.text
                on:input:target=move |event| {
                    desk.text.set(event.target().value());
                    undo.set(None);
                }
                on:keydown=move |event| {
                    if is_run_key(&event) {
                        runs.start();
                    }
                }
            ></textarea>
            <p class="hint" data-testid="translate-more">
                {move || if opened() {
                    "The opened model decides the languages; the first choice says how sentences end."
                } else {
                    "More language pairs come with the models of the hub: open the folder of a Marian model, such as Helsinki-NLP's opus-mt-en-de, with “Model”."
                }}
            </p>
            <Examples
                tab="translate"
                items=EXAMPLES.map(|(example, _)| example).to_vec()
                on_pick=Callback::new(pick)
                undo=way_back
            />
            <Search runs/>
            <RunRow
                tab="translate"
                active=Signal::derive(move || runs.is_active())
                status=Signal::derive(move || runs.status())
                on_run=Callback::new(move |()| runs.start())
                on_stop=Callback::new(move |()| runs.stop())
                again=true
            >
                <CopyButton
                    testid="translate-copy"
                    text=Callback::new(move |()| runs.translation())
                    hidden=Signal::derive(move || !runs.has_answer() || runs.is_recorded())
                />
            </RunRow>
            <Progress runs/>
        </section>
    }
}

/// How to search.
#[component]
fn Search(runs: Runs) -> impl IntoView {
    let desk = runs.desk;
    let has_list = move || {
        desk.model.status.with(|status| match status {
            Status::Ready(info) => info.translator.is_none_or(|shape| shape.shortlist),
            _ => true,
        })
    };
    let options = (1..=8)
        .map(|n: u32| {
            let label = if n == 1 {
                "1 (greedy)".to_owned()
            } else {
                n.to_string()
            };
            view! { <option value=n.to_string() selected=move || beams(desk) == n>{label}</option> }
        })
        .collect_view();
    view! {
        <div class="search-settings">
            <label title="Hypotheses that are followed at once: more find better ones, and take longer">
                <span>"Beams "</span>
                <select
                    data-testid="translate-beams"
                    prop:value=move || beams(desk).to_string()
                    on:change:target=move |event| set(desk, "beams", event.target().value())
                >
                    {options}
                </select>
            </label>
            <label class="check" hidden=move || !has_list() title="Look only at the words that came with the model for those of the sentence">
                <input
                    type="checkbox"
                    data-testid="translate-shortlist"
                    prop:checked=move || shortlist(desk)
                    on:change:target=move |event| {
                        let value = if event.target().checked() { "on" } else { "off" };
                        set(desk, "shortlist", value.into());
                    }
                />
                <span>"Shortlist of words"</span>
            </label>
        </div>
    }
}

/// How much of the text is done.
#[component]
fn Progress(runs: Runs) -> impl IntoView {
    view! {
        <progress
            class="translate-progress"
            aria-label="Translating"
            data-testid="translate-progress"
            max=move || runs.progress().map_or(1, |(_, total)| total.max(1)).to_string()
            value=move || runs.progress().map_or(0, |(done, _)| done).to_string()
            hidden=move || runs.progress().is_none()
        ></progress>
    }
}
