//! The beam tree: every hypothesis the search looked at, step by step from left to right.

mod drawing;
pub mod layout;
mod table;

use leptos::prelude::*;

use self::drawing::Drawing;
use self::table::TreeTable;
use super::explain;
use super::run::Runs;
use super::shown::{Shown, Side};
use crate::format;

/// The tree of the selected sentence.
#[component]
pub fn Tree(
    /// What choosing acts on.
    runs: Runs,
    /// The sentence.
    shown: Shown,
) -> impl IntoView {
    let index = shown.sentence.index as usize;
    let nodes = &shown.sentence.tree;
    let count = nodes.len();
    let steps = nodes.iter().map(|node| node.step + 1).max().unwrap_or(0);
    let taken = RwSignal::new(steps);
    let forced = shown.free.is_some();
    let begun = nodes
        .iter()
        .rposition(|node| node.fate == glassformer_engine::tasks::translation::Fate::Forced)
        .map(|last| explain::text_so_far(&shown, last));
    let candidates = match shown.sentence.candidates {
        0 => "of the whole vocabulary".to_owned(),
        n => format!(
            "of {} words on the sentence's shortlist",
            format::grouped(n.into())
        ),
    };
    let go = move |by: isize| taken.update(|t| *t = t.saturating_add_signed(by).clamp(1, steps));
    let (at_start, at_end) = (move || taken.get() <= 1, move || taken.get() >= steps);
    let body = if count == 0 {
        let waiting = move || {
            if runs.is_active() {
                "The tree of this sentence comes when the text is done."
            } else if runs.can_ask() {
                "Fetching the tree…"
            } else {
                "The tree of this sentence comes with the next run."
            }
        };
        view! { <p class="hint">{waiting}</p> }.into_any()
    } else {
        view! {
            <div class="tree-top">
                <button
                    type="button"
                    class="icon"
                    aria-label="One step back"
                    data-testid="beam-back"
                    disabled=at_start
                    on:click=move |_| go(-1)
                >
                    "‹"
                </button>
                <input
                    type="range"
                    aria-label="Steps of the search that are shown"
                    data-testid="beam-steps"
                    min="1"
                    max=steps.to_string()
                    prop:value=move || taken.get().to_string()
                    on:input:target=move |event| {
                        if let Ok(value) = event.target().value().parse::<usize>() {
                            taken.set(value.clamp(1, steps));
                        }
                    }
                />
                <button
                    type="button"
                    class="icon"
                    aria-label="One step on"
                    data-testid="beam-on"
                    disabled=at_end
                    on:click=move |_| go(1)
                >
                    "›"
                </button>
                <span class="status">{move || format!("step {} of {steps}", taken.get())}</span>
                <span class="hint">{format!("{count} continuations looked at, {candidates}")}</span>
            </div>
            {forced.then(|| view! {
                <p class="forced" data-testid="translate-forced">
                    "Begins as you chose: “"
                    <span lang=move || runs.language(Side::Target) dir="auto">
                        {begun.unwrap_or_default().trim_start().to_owned()}
                    </span>
                    "…”"
                    <button
                        type="button"
                        class="quiet"
                        data-testid="translate-unforce"
                        on:click=move |_| runs.unforce(index)
                    >
                        "Undo: the search's own way"
                    </button>
                </p>
            })}
            <Drawing runs shown=shown.clone() taken/>
            <TreeLegend runs/>
            <TreeTable shown/>
        }
        .into_any()
    };
    view! {
        <section class="tree" aria-label="Beam tree" data-testid="beam-tree">
            <h3>"How it was found"</h3>
            {body}
        </section>
    }
}

/// What lines and boxes mean.
#[component]
fn TreeLegend(runs: Runs) -> impl IntoView {
    view! {
        <p class="tree-legend hint">
            <span class="tree-key" data-state="winner"></span>
            "the translation shown "
            <span class="tree-key" data-state="alive"></span>
            "followed "
            <span class="tree-key" data-state="dead"></span>
            "pruned, or a dead end "
            <span data-testid="beam-hint">
                "· lines are as wide as the token was likely behind its parent · best of a step on top · "
                {move || runs.choosing()}
                " a token to begin the translation with it"
            </span>
        </p>
    }
}
