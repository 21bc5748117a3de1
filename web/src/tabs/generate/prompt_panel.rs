//! What the person types, examples to start from, Run and Stop.

use leptos::html::{Button, Textarea};
use leptos::prelude::*;

use super::run::Runs;
use super::status::Phase;
use crate::desk::Desk;
use crate::format;
use crate::fragment::Mode;
use crate::page::Page;

/// A prompt worth trying.
struct Example {
    label: &'static str,
    shows: &'static str,
    mode: Mode,
    text: &'static str,
}

const EXAMPLES: [Example; 3] = [
    Example {
        label: "Ask a question",
        shows: "the chat template wraps your message",
        mode: Mode::Chat,
        text: "Why is the sky blue? Answer in two sentences.",
    },
    Example {
        label: "Continue a story",
        shows: "many next words are possible, so surprise is high",
        mode: Mode::Plain,
        text: "Once upon a time, at the edge of a quiet forest, there lived",
    },
    Example {
        label: "Continue a pattern",
        shows: "the model is nearly certain of each token",
        mode: Mode::Plain,
        text: "Monday, Tuesday, Wednesday,",
    },
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
    let pick = move |example: &'static Example| {
        let before = desk.text.get_untracked();
        if !before.trim().is_empty() && EXAMPLES.iter().all(|each| each.text != before) {
            replaced.set(Some((before, page.mode.get_untracked())));
        }
        desk.text.set(example.text.to_string());
        page.mode.set(example.mode);
        if let Some(input) = input.get_untracked() {
            let _ = input.focus();
        }
    };
    let undo = move |_| {
        if let Some((text, mode)) = replaced.get_untracked() {
            desk.text.set(text);
            page.mode.set(mode);
            replaced.set(None);
        }
    };
    let examples = EXAMPLES
        .iter()
        .map(|example| view! {
            <li>
                <button type="button" class="chip" title=example.text on:click=move |_| pick(example)>
                    <b>{example.label}</b>
                    <small>{example.shows}</small>
                </button>
            </li>
        })
        .collect_view();
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
                    if event.key() == "Enter" && (event.ctrl_key() || event.meta_key()) {
                        event.prevent_default();
                        runs.start();
                    }
                }
            ></textarea>
            <ul class="chips" aria-label="Examples">
                {examples}
                <li hidden=move || replaced.with(Option::is_none)>
                    <button type="button" class="quiet" on:click=undo>"Undo: my text back"</button>
                </li>
            </ul>
            <RunRow runs/>
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

/// Run, Stop and the status line.
#[component]
fn RunRow(runs: Runs) -> impl IntoView {
    let desk: Desk = expect_context();
    let run_button = NodeRef::<Button>::new();
    let stop_button = NodeRef::<Button>::new();
    let active = Memo::new(move |_| runs.phase.with(Phase::is_active));
    // The button that had the focus is about to be disabled; the other takes over.
    Effect::new(move |_| {
        let (from, to) = if active.get() {
            (run_button, stop_button)
        } else {
            (stop_button, run_button)
        };
        let (Some(from), Some(to)) = (from.get(), to.get()) else {
            return;
        };
        let focused = document().active_element();
        if focused.is_some_and(|focused| focused.is_same_node(Some(&from))) {
            to.set_disabled(false);
            let _ = to.focus();
        }
    });
    let label = move || match desk.model.download() {
        Some(bytes) => format!("Run · downloads {} once", format::bytes(bytes)),
        None => "Run".into(),
    };
    view! {
        <div class="run-row">
            <button
                type="button"
                class="primary"
                data-testid="generate-run"
                node_ref=run_button
                disabled=active
                on:click=move |_| runs.start()
            >
                {label}
            </button>
            <button
                type="button"
                class="button"
                data-testid="generate-stop"
                node_ref=stop_button
                disabled=move || !active.get()
                on:click=move |_| runs.stop()
            >
                "Stop"
            </button>
            <span class="status" data-testid="generate-status">{move || runs.phase.with(Phase::in_words)}</span>
            <span class="keys" id="generate-keys">
                <kbd>"Ctrl"</kbd>
                <kbd>"Enter"</kbd>
                " runs"
            </span>
        </div>
    }
}
