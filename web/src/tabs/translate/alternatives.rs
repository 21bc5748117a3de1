//! The other translations of a sentence that the search ended with.

use leptos::prelude::*;

use super::explain;
use super::run::Runs;
use super::shown::{Shown, Side};

/// Every translation of the selected sentence; choosing one puts it into the text.
#[component]
pub fn Alternatives(
    /// What choosing acts on.
    runs: Runs,
    /// The sentence.
    shown: Shown,
) -> impl IntoView {
    let index = shown.sentence.index as usize;
    let chosen = shown.chosen;
    let rows = shown
        .sentence
        .alternatives
        .iter()
        .enumerate()
        .map(|(i, found)| {
            let count = found.tokens.len();
            let cut = (!found.ended).then_some(" · cut off");
            view! {
                <li>
                    <button
                        type="button"
                        class="alternative"
                        data-testid="translate-alternative"
                        data-score=found.score.to_string()
                        aria-pressed=(i == chosen).to_string()
                        on:click=move |_| runs.choose(index, i)
                    >
                        <span
                            class="alternative-text"
                            lang=move || runs.language(Side::Target)
                            dir="auto"
                        >{found.target.clone()}</span>
                        <span class="alternative-numbers">
                            <b title="Score divided by length: what translations are compared by">
                                {explain::score(found.normalised)}
                            </b>
                            " a token · "
                            {explain::score(found.score)}
                            {format!(" in all · {count} tokens")}
                            {cut}
                        </span>
                    </button>
                </li>
            }
        })
        .collect_view();
    view! {
        <section class="alternatives" aria-label="Alternatives">
            <h3>"Alternatives"</h3>
            <ol>{rows}</ol>
        </section>
    }
}
