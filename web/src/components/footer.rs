//! Where the data stays, and where the weights are from.

use glassformer_engine::registry;
use leptos::prelude::*;

use crate::format;

/// The bottom of the page.
#[component]
pub fn Footer() -> impl IntoView {
    let sources = registry::manifest()
        .iter()
        .map(|entry| view! {
            <li>
                <b>{entry.name.clone()}</b>
                {format!(" · {} · {} · {}", format::bytes(entry.total_bytes()), entry.licence, entry.origin)}
            </li>
        })
        .collect_view();
    view! {
        <footer class="bottom">
            <p>
                "Everything runs in this tab: the model is computed by your own machine, and what you type never leaves it."
            </p>
            <details>
                <summary>"Weights and licences"</summary>
                <ul>{sources}</ul>
                <p>"Glassformer itself: MIT or Apache-2.0."</p>
            </details>
        </footer>
    }
}
