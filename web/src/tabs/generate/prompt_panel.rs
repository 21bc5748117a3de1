//! What the person types, examples to start from, Run and Stop.

use leptos::html::Textarea;
use leptos::prelude::*;

use super::run::Runs;
use super::status::Phase;
use crate::components::copy::CopyButton;
use crate::components::run_row::{Example, Examples, RunRow, Undo, is_run_key};
use crate::desk::Desk;
use crate::fragment::Mode;
use crate::page::Page;

/// Prompts worth trying, and how each is read.
const EXAMPLES: [(Example, Mode); 3] = [
    (
        Example {
            label: "Ask a question",
            shows: "the chat template wraps your message",
            text: "Why is the sky blue? Answer in two sentences.",
        },
        Mode::Chat,
    ),
    (
        Example {
            label: "Continue a story",
            shows: "many next words are possible, so surprise is high",
            text: "Once upon a time, at the edge of a quiet forest, there lived",
        },
        Mode::Plain,
    ),
    (
        Example {
            label: "Continue a pattern",
            shows: "the model is nearly certain of each token",
            text: "Monday, Tuesday, Wednesday,",
        },
        Mode::Plain,
    ),
];

/// The upper part of the tab.
#[component]
pub fn PromptPanel(
    /// What Run and Stop act on.
    runs: Runs,
) -> impl IntoView {
    let page: Page = expect_context();
    let desk: Desk = expect_context();
    let replaced = RwSignal::new(None::<(String, Mode)>);
    let input = NodeRef::<Textarea>::new();
    let pick = move |i: usize| {
        let (example, mode) = EXAMPLES[i];
        let before = desk.text.get_untracked();
        if !before.trim().is_empty() && EXAMPLES.iter().all(|(each, _)| each.text != before) {
            replaced.set(Some((before, page.mode.get_untracked())));
        }
        desk.text.set(example.text.to_string());
        page.mode.set(mode);
        if let Some(input) = input.get_untracked() {
            let _ = input.focus();
        }
    };
    let undo = move |()| {
        if let Some((text, mode)) = replaced.get_untracked() {
            desk.text.set(text);
            page.mode.set(mode);
            replaced.set(None);
        }
    };
    let undo = Undo {
        can: Signal::derive(move || replaced.with(Option::is_some)),
        go: Callback::new(undo),
    };
    view! {
        <section class="prompt" aria-label="Prompt">
            <div class="prompt-top">
                <label for="generate-input">"Prompt"</label>
                <ModeSwitch/>
            </div>
            <textarea
                id="generate-input"
                data-testid="generate-input"
                node_ref=input
                rows="3"
                spellcheck="false"
                aria-describedby="generate-keys"
                placeholder=move || match page.mode.get() {
                    Mode::Chat => "Ask the model something",
                    Mode::Plain => "Begin a text; the model continues it",
                }
                prop:value=desk.text
                on:input:target=move |event| {
                    desk.text.set(event.target().value());
                    replaced.set(None);
                }
                on:keydown=move |event| {
                    if is_run_key(&event) {
                        runs.start();
                    }
                }
            ></textarea>
            <Examples
                tab="generate"
                items=EXAMPLES.map(|(example, _)| example).to_vec()
                on_pick=Callback::new(pick)
                undo
            />
            <RunRow
                tab="generate"
                active=Signal::derive(move || runs.phase.with(Phase::is_active))
                status=Signal::derive(move || runs.phase.with(Phase::in_words))
                on_run=Callback::new(move |()| runs.start())
                on_stop=Callback::new(move |()| runs.stop())
            >
                <CopyButton
                    testid="generate-copy"
                    text=Callback::new(move |()| runs.text())
                    hidden=Signal::derive(move || runs.asked.with(Option::is_none))
                />
            </RunRow>
        </section>
    }
}

/// Chat or plain.
#[component]
fn ModeSwitch() -> impl IntoView {
    let page: Page = expect_context();
    let option = move |mode: Mode, label: &'static str, means: &'static str| {
        view! {
            <label title=means>
                <input
                    type="radio"
                    name="mode"
                    prop:checked=move || page.mode.get() == mode
                    on:change=move |_| page.mode.set(mode)
                />
                <span>{label}</span>
            </label>
        }
    };
    view! {
        <fieldset class="segments">
            <legend class="unseen">"How the prompt is read"</legend>
            {option(Mode::Chat, "Chat", "A message to the assistant, wrapped by the model's chat template")}
            {option(Mode::Plain, "Plain", "The beginning of a text, continued as it is")}
        </fieldset>
    }
}
