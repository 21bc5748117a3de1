//! Texts to begin with, each with what its numbers are best seen as.

use leptos::prelude::*;

use super::OPENING;
use super::run::Runs;
use super::table::Shown;
use crate::components::run_row::{Example, Examples, Undo};

/// Texts, their template, and what the cells then show.
const EXAMPLES: [(Example, &str, Shown); 3] = [
    (
        Example {
            label: "In a sentence",
            shows: "a template around each text, and which text fits each picture best",
            text: OPENING,
        },
        "a drawing of a {}",
        Shown::OfTexts,
    ),
    (
        Example {
            label: "Kinds of things",
            shows: "broader words, as plain similarities; one picture goes wrong",
            text: "animal\nvehicle\nmusical instrument\ndrink\nplant",
        },
        "{}",
        Shown::Cosine,
    ),
    (
        Example {
            label: "Near words",
            shows: "other names of things, and which picture fits each best",
            text: "puppy\nkitten\nship\nmotorcycle\nviolin\ntea\ntoadstool",
        },
        "{}",
        Shown::OfPictures,
    ),
];

/// The examples, and the way back to the person's own texts.
#[component]
pub fn TextExamples(runs: Runs) -> impl IntoView {
    let desk = runs.desk;
    let undo = RwSignal::new(None);
    // What is typed afterwards is the person's, and not replaced.
    let picked = RwSignal::new(String::new());
    let can = Memo::new(move |_| {
        let same = desk.text.with(|text| picked.with(|picked| text == picked));
        same && undo.with(Option::is_some)
    });
    let pick = move |i: usize| {
        let (example, template, shown) = EXAMPLES[i];
        let text = desk.text.get_untracked();
        let own = text != OPENING && EXAMPLES.iter().all(|(each, ..)| each.text != text);
        if own && !text.trim().is_empty() {
            undo.set(Some((text, desk.values.get_untracked())));
        }
        picked.set(example.text.into());
        desk.text.set(example.text.into());
        runs.set_template(template);
        runs.set_shown(shown);
        if runs.pictures.with_untracked(Vec::is_empty) {
            runs.restore_samples();
        }
    };
    let bring_back = move |()| {
        if let Some((text, values)) = undo.get_untracked() {
            desk.text.set(text);
            desk.values.set(values);
            undo.set(None);
        }
    };
    let way_back = Undo {
        can: can.into(),
        go: Callback::new(bring_back),
    };
    view! {
        <Examples
            tab=super::ID
            items=EXAMPLES.map(|(example, ..)| example).to_vec()
            on_pick=Callback::new(pick)
            undo=way_back
        />
    }
}
