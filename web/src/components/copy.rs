//! A button that puts a text on the clipboard.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

use crate::page::Page;

/// How long the button says that it has copied.
const SAID: Duration = Duration::from_secs(2);

/// Copies; says so for a moment, or how to do without where the browser does not let it.
#[component]
pub fn CopyButton(
    /// What it says.
    #[prop(default = "Copy")]
    label: &'static str,
    /// What it says once it has.
    #[prop(default = "Copied")]
    done: &'static str,
    /// Its `data-testid`.
    testid: &'static str,
    /// Gives what is copied.
    text: Callback<(), String>,
    /// What the person can do instead, where the page may not copy this text.
    #[prop(default = |_| "select the text and copy it yourself.".into())]
    instead: fn(&str) -> String,
    /// Whether there is nothing to copy.
    #[prop(optional, into)]
    hidden: Signal<bool>,
) -> impl IntoView {
    let page: Page = expect_context();
    let copied = RwSignal::new(false);
    let press = move |_| {
        let text = text.run(());
        spawn_local(async move {
            if copy(&text).await {
                // The button may be gone by now.
                copied.try_set(true);
                set_timeout(
                    move || {
                        copied.try_set(false);
                    },
                    SAID,
                );
            } else {
                let instead = instead(&text);
                page.notices.say(&format!(
                    "This browser does not let the page copy; {instead}"
                ));
            }
        });
    };
    view! {
        <button
            type="button"
            class="quiet"
            data-testid=testid
            hidden=move || hidden.get()
            on:click=press
        >
            <span aria-live="polite">{move || if copied.get() { done } else { label }}</span>
        </button>
    }
}

/// Whether the text is on the clipboard now. Pages that are not served securely have none.
async fn copy(text: &str) -> bool {
    let navigator = window().navigator();
    let there = js_sys::Reflect::get(&navigator, &"clipboard".into())
        .is_ok_and(|clipboard| !clipboard.is_undefined());
    there
        && JsFuture::from(navigator.clipboard().write_text(text))
            .await
            .is_ok()
}
