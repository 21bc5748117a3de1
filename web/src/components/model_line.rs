//! One line about the model: name, size, whether it is there; progress lives here.

use leptos::html::Section;
use leptos::prelude::*;

use crate::components::copy::CopyButton;
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
    let link = move |()| {
        let own_files = untrack(|| page.open_desk())
            .model
            .chosen
            .with_untracked(|chosen| matches!(chosen, Chosen::Opened { .. }));
        if own_files {
            page.notices.say("The link carries the text and the settings, but not the model you opened from your disk.");
        }
        page.link()
    };
    view! {
        <CopyButton
            label="Copy link"
            done="Link copied"
            testid="share"
            text=Callback::new(link)
            instead=|link| format!("here is the link: {link}")
        />
    }
}
