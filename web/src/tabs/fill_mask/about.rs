//! What the model was made from.

use leptos::prelude::*;

use crate::desk::Desk;
use crate::model::Chosen;

/// A few sentences about the chosen model, where the manifest has them.
#[component]
pub fn About(desk: Desk) -> impl IntoView {
    let about = move || {
        desk.model.chosen.with(|chosen| match chosen {
            Chosen::Manifest(entry) => entry.about.clone(),
            _ => String::new(),
        })
    };
    view! {
        <p class="hint about-model" hidden=move || about().is_empty() data-testid="fill-mask-about">
            {about}
        </p>
    }
}
