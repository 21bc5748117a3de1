//! Fill-mask: the words a model would put behind masks, and what it looked at to find them.

mod about;
mod arcs;
mod editor;
mod edits;
mod predictions;
mod recorded;
mod run;
mod side;
mod words;

use leptos::html::Div;
use leptos::prelude::*;

use self::about::About;
use self::arcs::Arcs;
use self::editor::Editor;
use self::predictions::PredictionList;
use self::run::Runs;
use crate::components::outdated::Dated;
use crate::components::problem::ProblemAlert;
use crate::components::run_row::{Example, Examples, RunRow};
use crate::desk::Desk;
use crate::fragment::Key;
use crate::page::Page;

/// Its name in links.
pub const ID: &str = "fill-mask";

/// The sentence it opens with.
pub const OPENING: &str = "The [MASK] chased the mouse.";

/// "mean", or a number from 1.
fn check_number(value: &str) -> Result<(), String> {
    let number = value.parse::<u32>().is_ok_and(|n| (1..=1000).contains(&n));
    if value == "mean" || number {
        return Ok(());
    }
    Err("“mean” or a number from 1".into())
}

/// Its settings in links.
pub const KEYS: &[Key] = &[
    Key {
        name: "layer",
        default: "mean",
        check: check_number,
    },
    Key {
        name: "head",
        default: "mean",
        check: check_number,
    },
    Key {
        name: "second",
        default: "",
        check: |_| Ok(()),
    },
];

/// Texts worth trying, each with a second one beside it or none.
const EXAMPLES: [(Example, &str); 3] = [
    (
        Example {
            label: "One word",
            shows: "what fits between the others",
            text: OPENING,
        },
        "",
    ),
    (
        Example {
            label: "Two masks",
            shows: "each is guessed without the other, or both together",
            text: "The capital of [MASK] is [MASK].",
        },
        "",
    ),
    (
        Example {
            label: "Side by side",
            shows: "one word changed, and what that moves",
            text: "The doctor said [MASK] would be late.",
        },
        "The nurse said [MASK] would be late.",
    ),
];

/// The tab.
#[component]
pub fn FillMask() -> impl IntoView {
    let page: Page = expect_context();
    let desk: Desk = expect_context();
    if desk.text.with_untracked(String::is_empty) {
        desk.text.set(OPENING.into());
    }
    let runs = Runs::new(page, desk);
    // A link with `run=1`, at first or followed later.
    Effect::new(move |_| {
        if desk.run_asked.get() > 0 {
            runs.start_if_cached();
        }
    });
    view! {
        <section class="masked" aria-label="Text with masks">
            <div class="masked-sides" data-compare=move || runs.compare.get().to_string()>
                <SideView runs place=0/>
                {move || runs.compare.get().then(|| view! { <SideView runs place=1/> })}
            </div>
            <Examples
                tab="fill-mask"
                items=EXAMPLES.map(|(example, _)| example).to_vec()
                on_pick=Callback::new(move |i: usize| {
                    let (example, second) = EXAMPLES[i];
                    runs.pick([example.text, second]);
                })
            />
            <RunRow
                tab="fill-mask"
                active=Signal::derive(move || runs.is_active())
                status=Signal::derive(move || runs.status())
                on_run=Callback::new(move |()| runs.start(false))
                on_stop=Callback::new(move |()| runs.stop())
                again=true
                keys=false
            >
                <MoreButtons runs/>
            </RunRow>
        </section>
        <ProblemAlert problem=desk.problem testid="fill-mask-error"/>
        <section
            class="output"
            aria-label="Words behind the masks"
            data-testid="fill-mask-output"
            hidden=move || !runs.has_answer()
        >
            {move || runs.is_recorded().then(|| view! {
                <p class="recorded-source" data-testid="fill-mask-recorded">
                    <span class="tag">"recorded"</span>
                    {runs.recorded_source()}
                </p>
            })}
            <div class="masked-sides" data-compare=move || runs.compare.get().to_string()>
                <Answer runs place=0/>
                {move || runs.compare.get().then(|| view! { <Answer runs place=1/> })}
            </div>
        </section>
        <About desk/>
        <p class="unseen" aria-live="polite" data-testid="fill-mask-spoken">{runs.spoken}</p>
    }
}

/// The `data-testid` of a text's Undo.
fn undo_id(place: usize) -> &'static str {
    ["fill-mask-undo", "fill-mask-undo-2"][place]
}

/// One of the texts.
#[component]
fn SideView(runs: Runs, place: usize) -> impl IntoView {
    let side = runs.sides[place];
    let whole = NodeRef::<Div>::new();
    let undo = move |_| {
        runs.undo(place);
        // The button is about to go; the text it was below keeps the place in the page.
        if let Some(whole) = whole.get_untracked() {
            let _ = whole.focus();
        }
    };
    view! {
        <div class="masked-side" tabindex="-1" node_ref=whole>
            <Editor runs place/>
            // The first text's problem is the tab's.
            {(place > 0).then(|| view! {
                <ProblemAlert problem=side.problem testid="fill-mask-error-2"/>
            })}
            <p class="hint" hidden=move || side.said.with(String::is_empty) data-testid="fill-mask-said">
                {side.said}
            </p>
            <button
                type="button"
                class="quiet"
                hidden=move || side.undo.with(Option::is_none)
                data-testid=undo_id(place)
                on:click=undo
            >
                "Undo"
            </button>
        </div>
    }
}

/// What the model answered to one of the texts.
#[component]
fn Answer(runs: Runs, place: usize) -> impl IntoView {
    let side = runs.sides[place];
    let left_out = move || {
        side.left_out().map(|rest| {
            view! {
                <p class="left-out" data-testid="fill-mask-left-out">
                    "Not read, as it no longer fits: "
                    <s dir="auto">{rest}</s>
                </p>
            }
        })
    };
    view! {
        <div class="masked-side" data-place=place.to_string()>
            <Dated stale=Signal::derive(move || side.is_stale())>
                {left_out}
                <PredictionList runs place/>
                <Arcs runs place/>
            </Dated>
        </div>
    }
}

/// Fill all, and Compare.
#[component]
fn MoreButtons(runs: Runs) -> impl IntoView {
    view! {
        <button
            type="button"
            class="button"
            data-testid="fill-mask-fill-all"
            title="The mask the model is surest of first, the others with it in its place"
            on:click=move |_| runs.start(true)
        >
            "Fill all together"
        </button>
        <button
            type="button"
            class="button"
            data-testid="fill-mask-compare"
            aria-pressed=move || runs.compare.get().to_string()
            on:click=move |_| runs.toggle_compare()
        >
            "Compare with a second text"
        </button>
    }
}
