//! Light or dark: as the system says, until the person says otherwise.
//!
//! `start.js` applies a remembered choice before the first paint, under the same names.

use leptos::prelude::*;
use wasm_bindgen::prelude::*;

/// Name in local storage and of the attribute on the root element.
const STORED_AS: &str = "glassformer-theme";
const ATTRIBUTE: &str = "data-theme";

/// Whether the colours are the dark ones, for what is painted and not styled.
#[derive(Clone, Copy)]
pub struct Dark(pub RwSignal<bool>);

impl Dark {
    /// As the page starts, and as the system changes.
    pub fn start() -> Self {
        let dark = RwSignal::new(is_dark());
        let changed = Closure::<dyn FnMut()>::new(move || dark.set(is_dark()));
        let query = window().match_media("(prefers-color-scheme: dark)");
        if let Some(query) = query.ok().flatten() {
            query.set_onchange(Some(changed.as_ref().unchecked_ref()));
            // Heard as long as the page is there.
            changed.forget();
        }
        Self(dark)
    }
}

/// A button that switches to the other of the two.
#[component]
pub fn ThemeToggle() -> impl IntoView {
    let Dark(dark) = expect_context();
    let flip = move |_| {
        dark.update(|dark| *dark = !*dark);
        apply(dark.get_untracked());
    };
    view! {
        <button
            type="button"
            class="quiet icon"
            title="Switch between light and dark"
            aria-label="Dark colours"
            aria-pressed=move || dark.get().to_string()
            on:click=flip
        >
            <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
                <circle cx="8" cy="8" r="6.25" fill="none" stroke="currentColor" stroke-width="1.5"/>
                <path d="M8 1.75a6.25 6.25 0 0 1 0 12.5z" fill="currentColor"/>
            </svg>
        </button>
    }
}

fn system_is_dark() -> bool {
    let query = window().match_media("(prefers-color-scheme: dark)");
    query.ok().flatten().is_some_and(|query| query.matches())
}

fn is_dark() -> bool {
    let root = document().document_element();
    match root
        .and_then(|root| root.get_attribute(ATTRIBUTE))
        .as_deref()
    {
        Some("dark") => true,
        Some("light") => false,
        _ => system_is_dark(),
    }
}

// Back to what the system says means following the system again. Storage may be forbidden; then
// the choice lasts as long as the page.
fn apply(dark: bool) {
    let Some(root) = document().document_element() else {
        return;
    };
    let storage = window().local_storage().ok().flatten();
    let name = if dark { "dark" } else { "light" };
    if dark == system_is_dark() {
        let _ = root.remove_attribute(ATTRIBUTE);
        let _ = storage.map(|storage| storage.remove_item(STORED_AS));
    } else {
        let _ = root.set_attribute(ATTRIBUTE, name);
        let _ = storage.map(|storage| storage.set_item(STORED_AS, name));
    }
}
