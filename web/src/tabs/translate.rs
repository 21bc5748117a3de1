//! Translate: a text in another language, how it was found, and which words came from which.

mod alternatives;
mod explain;
mod input;
mod matrix;
mod pair;
mod reading;
mod recorded;
mod run;
mod shown;
mod tree;
mod words;

use leptos::prelude::*;

use self::alternatives::Alternatives;
use self::input::InputPanel;
use self::matrix::Matrix;
use self::reading::Column;
use self::run::Runs;
use self::shown::{Shown, Side};
use self::tree::Tree;
use crate::components::outdated::Dated;
use crate::components::problem::ProblemAlert;
use crate::components::term::Term;
use crate::desk::Desk;
use crate::fragment::Key;
use crate::page::Page;
use crate::surprise;

/// Its name in links.
pub const ID: &str = "translate";

/// The sentence it opens with.
pub const OPENING: &str = "The bank is by the river.";

/// Names of its words and of the tree's nodes in the lens.
const SOURCE: &str = "translate";
const NODES: &str = "translate-tree";

/// Hypotheses followed at once where nobody chose: enough of a tree to watch.
const BEAMS: &str = "4";

fn check_beams(value: &str) -> Result<(), String> {
    if value.parse::<u32>().is_ok_and(|n| (1..=8).contains(&n)) {
        return Ok(());
    }
    Err("a number from 1 to 8".into())
}

fn check_switch(value: &str) -> Result<(), String> {
    if value == "on" || value == "off" {
        return Ok(());
    }
    Err("“on” or “off”".into())
}

/// Its settings in links.
pub const KEYS: &[Key] = &[
    Key {
        name: "from",
        default: "en",
        check: pair::check,
    },
    Key {
        name: "to",
        default: "pt",
        check: pair::check,
    },
    Key {
        name: "beams",
        default: BEAMS,
        check: check_beams,
    },
    Key {
        name: "shortlist",
        default: "on",
        check: check_switch,
    },
];

/// Hypotheses followed at once.
fn beams(desk: Desk) -> u32 {
    let read = desk
        .values
        .with(|values| values.get("beams").map_or(BEAMS, String::as_str).parse());
    // Links are checked when they are read.
    read.unwrap_or(1)
}

/// Whether words come from the shortlist.
fn shortlist(desk: Desk) -> bool {
    desk.values
        .with(|values| values.get("shortlist").is_none_or(|value| value == "on"))
}

/// Sets one of [`KEYS`].
fn set(desk: Desk, name: &'static str, value: String) {
    let default = KEYS.iter().find(|key| key.name == name);
    let is_default = default.is_some_and(|key| key.default == value);
    desk.values.update(|values| {
        if is_default {
            values.remove(name);
        } else {
            values.insert(name, value);
        }
    });
}

/// The tab.
#[component]
pub fn Translate() -> impl IntoView {
    let page: Page = expect_context();
    let desk: Desk = expect_context();
    if desk.text.with_untracked(String::is_empty) {
        desk.text.set(OPENING.into());
    }
    pair::follow(desk);
    let runs = Runs::new(page, desk);
    // Typing and settings translate again, links that ask for it at once.
    Effect::new(move |before: Option<()>| {
        desk.text.track();
        desk.values.track();
        if before.is_some() {
            runs.changed();
        }
    });
    Effect::new(move |_| {
        if desk.run_asked.get() > 0 {
            runs.start_if_cached(true);
        }
    });
    view! {
        <InputPanel runs/>
        <ProblemAlert problem=desk.problem testid="translate-error"/>
        <section class="output" aria-label="Translation" hidden=move || !runs.has_answer()>
            {move || runs.recorded.get().map(|source| view! {
                <p class="recorded-source" data-testid="translate-recorded">
                    <span class="tag">"recorded"</span>
                    {source}
                </p>
            })}
            <Dated stale=Memo::new(move |_| runs.is_stale())>
                <div class="columns reading">
                    <Column runs side=Side::Source/>
                    <Column runs side=Side::Target/>
                </div>
                <Legend/>
                <Details runs/>
            </Dated>
        </section>
        <p class="unseen" aria-live="polite" data-testid="translate-spoken">{runs.spoken}</p>
    }
}

/// What underlines and lights mean.
#[component]
fn Legend() -> impl IntoView {
    let bounds = std::iter::once(0.0).chain(surprise::STEPS);
    let steps = bounds
        .enumerate()
        .map(|(step, bits)| {
            let percent = 100.0 * (-bits * std::f64::consts::LN_2).exp();
            let label = match step {
                5 => format!("≤ {percent:.1} %"),
                _ => format!("≤ {percent:.0} %"),
            };
            view! { <li class="token" data-surprise=step.to_string()>{label}</li> }
        })
        .collect_view();
    view! {
        <div class="legend">
            <span id="translate-legend">
                "Underlined by "
                <Term word="confidence" means="How probable the model held each word of the translation, behind those before it; of a word of several pieces, their product."/>
                ": probability"
            </span>
            <ol aria-labelledby="translate-legend">{steps}</ol>
            <span class="legend-hint">
                "Point at a word: what it has to do with on the other side lights up, from a tenth of the attention on. Choose it to keep its numbers."
            </span>
        </div>
    }
}

/// The selected sentence: its alternatives, its tree, its alignment.
#[component]
fn Details(runs: Runs) -> impl IntoView {
    let shown = Memo::new(move |_| {
        let selected = runs.selected.get();
        runs.sentences.with(|all| all.get(selected).cloned())
    });
    let several = move || runs.sentences.with(|all| all.len() > 1);
    let go = move |by: isize| {
        let last = runs.sentences.with_untracked(Vec::len).saturating_sub(1);
        let to = runs.selected.get_untracked().saturating_add_signed(by);
        runs.select(to.min(last));
    };
    let title = move || {
        let (at, of) = (runs.selected.get() + 1, runs.sentences.with(Vec::len));
        format!("Sentence {at} of {of}")
    };
    let body = move || {
        shown.get().map(|shown: Shown| {
            view! {
                <Alternatives runs shown=shown.clone()/>
                <Tree runs shown=shown.clone()/>
                <Matrix runs shown/>
            }
        })
    };
    view! {
        <div class="details">
            <div class="details-top" hidden=move || !several()>
                <button type="button" class="icon" aria-label="The sentence before" data-testid="translate-previous" on:click=move |_| go(-1)>"‹"</button>
                <h2 data-testid="translate-sentence">{title}</h2>
                <button type="button" class="icon" aria-label="The next sentence" data-testid="translate-next" on:click=move |_| go(1)>"›"</button>
            </div>
            {body}
        </div>
    }
}
