//! Examples to start from, Run, Stop and what is going on: the same in every tab.

use leptos::html::{Button, Ul};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use crate::desk::Desk;
use crate::format;

/// Something to start from.
#[derive(Clone, Copy)]
pub struct Example {
    /// Its name on the button.
    pub label: &'static str,
    /// What it shows, in a few words.
    pub shows: &'static str,
    /// What will stand in the field.
    pub text: &'static str,
}

/// A text of the person's that an example replaced.
#[derive(Clone, Copy)]
pub struct Undo {
    /// Whether there is one.
    pub can: Signal<bool>,
    /// Puts it back.
    pub go: Callback<()>,
}

/// Examples as buttons, and the way back from them.
#[component]
pub fn Examples(
    /// The tab, as its test handles begin.
    tab: &'static str,
    /// What to choose from.
    items: Vec<Example>,
    /// Gets the number of the chosen one.
    on_pick: Callback<usize>,
    /// Where an example replaces what was typed.
    #[prop(optional, into)]
    undo: Option<Undo>,
) -> impl IntoView {
    let examples = items
        .into_iter()
        .enumerate()
        .map(|(i, example)| view! {
            <li>
                <button type="button" class="chip" title=example.text on:click=move |_| on_pick.run(i)>
                    <b>{example.label}</b>
                    <small>{example.shows}</small>
                </button>
            </li>
        })
        .collect_view();
    let list = NodeRef::<Ul>::new();
    let undo = undo.map(|Undo { can, go }| {
        let press = move |_| {
            go.run(());
            // The button is about to go; the example beside it takes over.
            let beside = list
                .get_untracked()
                .and_then(|list| list.query_selector("li:nth-last-child(2) button").ok()?);
            if let Some(beside) = beside {
                let _ = beside.unchecked_into::<HtmlElement>().focus();
            }
        };
        view! {
            <li hidden=move || !can.get()>
                <button type="button" class="quiet" data-testid=format!("{tab}-undo-example") on:click=press>
                    "Undo: my text back"
                </button>
            </li>
        }
    });
    view! { <ul class="chips" aria-label="Examples" node_ref=list>{examples}{undo}</ul> }
}

/// Run, Stop and the status line.
#[component]
pub fn RunRow(
    /// The tab, as its test handles begin.
    tab: &'static str,
    /// Whether something runs.
    #[prop(into)]
    active: Signal<bool>,
    /// What it is doing, or did.
    #[prop(into)]
    status: Signal<String>,
    /// Run was pressed.
    on_run: Callback<()>,
    /// Stop was pressed.
    on_stop: Callback<()>,
    /// Whether Run may be pressed while something runs, and then begins anew.
    #[prop(optional)]
    again: bool,
    /// Whether a new status is read out.
    #[prop(optional)]
    spoken: bool,
    /// Whether the keys that run are named here.
    #[prop(default = true)]
    keys: bool,
    /// Further buttons.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let desk: Desk = expect_context();
    let run_button = NodeRef::<Button>::new();
    let stop_button = NodeRef::<Button>::new();
    let active = Memo::new(move |_| active.get());
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
        let stays = again && active.get_untracked();
        if !stays && focused.is_some_and(|focused| focused.is_same_node(Some(&from))) {
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
                data-testid=format!("{tab}-run")
                node_ref=run_button
                disabled=move || !again && active.get()
                on:click=move |_| on_run.run(())
            >
                {label}
            </button>
            <button
                type="button"
                class="button"
                data-testid=format!("{tab}-stop")
                node_ref=stop_button
                disabled=move || !active.get()
                on:click=move |_| on_stop.run(())
            >
                "Stop"
            </button>
            {children.map(|children| children())}
            <span class="status" role=spoken.then_some("status") data-testid=format!("{tab}-status")>{status}</span>
            {keys.then(|| view! { <RunKeys tab/> })}
        </div>
    }
}

/// Names the keys that run.
#[component]
pub fn RunKeys(
    /// The tab, as its ids begin.
    tab: &'static str,
) -> impl IntoView {
    view! {
        <span class="keys" id=format!("{tab}-keys")>
            <kbd>"Ctrl"</kbd>
            <kbd>"Enter"</kbd>
            " runs"
        </span>
    }
}

/// Whether a key was the one that runs: Enter with Ctrl or Command, which then does nothing else.
pub fn is_run_key(event: &leptos::ev::KeyboardEvent) -> bool {
    let runs = event.key() == "Enter" && (event.ctrl_key() || event.meta_key());
    if runs {
        event.prevent_default();
    }
    runs
}
