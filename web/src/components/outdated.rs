//! What was answered to a text that stands there no more.

use leptos::prelude::*;

/// An answer, framed and named as outdated while it is.
#[component]
pub fn Dated(
    /// Whether it answers another text than the one that stands there.
    #[prop(into)]
    stale: Signal<bool>,
    /// The answer.
    children: Children,
) -> impl IntoView {
    view! {
        <div class="dated" data-stale=move || stale.get().to_string()>
            <span
                class="tag"
                title="The answer to what stood there before"
                hidden=move || !stale.get()
            >
                "outdated"
            </span>
            {children()}
        </div>
    }
}
