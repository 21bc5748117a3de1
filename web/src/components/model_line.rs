//! One line about the model: name, size, whether it is there; progress lives here.

use leptos::html::Section;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

use crate::components::open_model::OpenModel;
use crate::desk::Desk;
use crate::format;
use crate::model::{Chosen, Status};
use crate::page::Page;

/// The line under the header.
#[component]
pub fn ModelLine(
    /// The open tab's.
    desk: Desk,
) -> impl IntoView {
    let model = desk.model;
    let loading = move || {
        model
            .status
            .with(|status| matches!(status, Status::Loading(_)))
    };
    let state = move || match model.status.get() {
        Status::Loading(transfer) => transfer.in_words(),
        Status::Ready(info) => format!(
            "ready · {} parameters · {} · context {} tokens",
            format::large(info.parameters),
            info.encoding,
            format::grouped(info.context.into()),
        ),
        Status::Absent if model.cached.get() => "not loaded · kept in this browser".into(),
        Status::Absent => "not loaded".into(),
    };
    let kind = move || match model.status.get() {
        Status::Absent => "absent",
        Status::Loading(_) => "loading",
        Status::Ready(_) => "ready",
    };
    // Bytes; before and after a load the bar is hidden, empty or full.
    let bar = move || match model.status.get() {
        Status::Loading(transfer) => (Some(transfer.loaded), transfer.total),
        Status::Ready(info) => (Some(info.bytes), Some(info.bytes)),
        Status::Absent => (Some(0), Some(model.chosen.with(Chosen::bytes))),
    };
    // A total that is not known makes the bar indeterminate.
    let value = move || match bar() {
        (Some(loaded), Some(total)) => Some(loaded.min(total).to_string()),
        _ => None,
    };
    let line = NodeRef::<Section>::new();
    let cancel = move |_| {
        model.cancel_load();
        // The button is about to go; the line it was in keeps the place in the page.
        if let Some(line) = line.get_untracked() {
            let _ = line.focus();
        }
    };
    view! {
        <section
            class="model-line"
            aria-label="Model"
            tabindex="-1"
            data-state=kind
            data-testid="model-line"
            node_ref=line
        >
            <div class="model-words">
                <b class="model-name">{move || model.chosen.with(Chosen::name)}</b>
                <span class="model-size">{move || format::bytes(model.chosen.with(Chosen::bytes))}</span>
                <span class="model-state" data-testid="model-state">{state}</span>
                <button
                    type="button"
                    class="quiet"
                    data-testid="model-cancel"
                    hidden=move || !loading()
                    on:click=cancel
                >
                    "Cancel"
                </button>
            </div>
            <div class="model-actions">
                <OpenModel/>
                <ShareLink/>
            </div>
            <progress
                role="progressbar"
                aria-label="Loading the model"
                aria-valuetext=move || loading().then(state)
                data-testid="model-progress"
                max=move || bar().1.unwrap_or(1).max(1).to_string()
                value=value
                hidden=move || !loading()
            ></progress>
        </section>
    }
}

/// Copies a link to all of this.
#[component]
fn ShareLink() -> impl IntoView {
    let page: Page = expect_context();
    let copied = RwSignal::new(false);
    let share = move |_| {
        let link = page.link();
        let own_files = untrack(|| page.open_desk())
            .model
            .chosen
            .with_untracked(|chosen| matches!(chosen, Chosen::Opened { .. }));
        if own_files {
            page.notices.say("The link carries the text and the settings, but not the model you opened from your disk.");
        }
        spawn_local(async move {
            if copy(&link).await {
                copied.set(true);
                set_timeout(move || copied.set(false), std::time::Duration::from_secs(2));
            } else {
                page.notices.say(&format!(
                    "This browser does not let the page copy; here is the link: {link}"
                ));
            }
        });
    };
    view! {
        <button type="button" class="quiet" data-testid="share" on:click=share>
            <span aria-live="polite">{move || if copied.get() { "Link copied" } else { "Copy link" }}</span>
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
