//! The tabs. A new one adds a folder beside this file and an entry to [`TABS`].

use leptos::prelude::*;

pub mod generate;

/// One tab of the page.
pub struct Tab {
    /// Its name in links and in `data-testid`.
    pub id: &'static str,
    /// Its name on the page.
    pub label: &'static str,
    /// What it shows.
    pub view: fn() -> AnyView,
}

/// All tabs, in the order of the header; the first opens by default.
pub const TABS: &[Tab] = &[Tab {
    id: "generate",
    label: "Generate",
    view: || view! { <generate::Generate/> }.into_any(),
}];
