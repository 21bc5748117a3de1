//! Name, tabs, what computes, light or dark.

use leptos::html::Div;
use leptos::prelude::*;

use crate::components::backend_badge::BackendBadge;
use crate::components::theme::ThemeToggle;
use crate::page::Page;
use crate::tabs::TABS;

/// The top of the page.
#[component]
pub fn Header() -> impl IntoView {
    let page: Page = expect_context();
    let tabs = NodeRef::<Div>::new();
    // On phones the tabs are wider than the screen.
    Effect::new(move |_| {
        let id = page.tab.get();
        if let Some(tabs) = tabs.get() {
            request_animation_frame(move || bring_into_view(&tabs, &format!("tab-{id}")));
        }
    });
    let tab_button = move |index: usize| {
        let tab = &TABS[index];
        let selected = move || page.tab.with(|open| open == tab.id);
        view! {
            <button
                type="button"
                role="tab"
                id=format!("tab-{}", tab.id)
                data-testid=format!("tab-{}", tab.id)
                aria-controls=format!("panel-{}", tab.id)
                aria-selected=move || selected().to_string()
                tabindex=move || if selected() { "0" } else { "-1" }
                on:click=move |_| page.open_tab(tab.id)
                on:keydown=move |event| {
                    let count = TABS.len();
                    let next = match event.key().as_str() {
                        "ArrowRight" => (index + 1) % count,
                        "ArrowLeft" => (index + count - 1) % count,
                        "Home" => 0,
                        "End" => count - 1,
                        _ => return,
                    };
                    event.prevent_default();
                    page.open_tab(TABS[next].id);
                    focus_on(&format!("tab-{}", TABS[next].id));
                }
            >
                {tab.label}
            </button>
        }
    };
    view! {
        <header class="top">
            <h1 class="brand">
                <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
                    <path d="M10 1.5 18.5 10 10 18.5 1.5 10z" fill="none" stroke="currentColor" stroke-width="1.5"/>
                    <path d="M10 6.5 13.5 10 10 13.5 6.5 10z" fill="currentColor"/>
                </svg>
                "Glassformer"
            </h1>
            <div class="tabs" role="tablist" aria-label="What to do" node_ref=tabs>
                {(0..TABS.len()).map(tab_button).collect_view()}
            </div>
            <div class="top-end">
                {move || view! { <BackendBadge model=page.open_desk().model/> }}
                <ThemeToggle/>
            </div>
        </header>
    }
}

/// Scrolls a row sideways, and nothing else, until one of its items is in its middle.
fn bring_into_view(row: &web_sys::HtmlElement, id: &str) {
    let Some(item) = document().get_element_by_id(id) else {
        return;
    };
    let (item, seen) = (
        item.get_bounding_client_rect(),
        row.get_bounding_client_rect(),
    );
    let middle = |rect: &web_sys::DomRect| rect.left() + rect.width() / 2.0;
    row.set_scroll_left(row.scroll_left() + (middle(&item) - middle(&seen)) as i32);
}

fn focus_on(id: &str) {
    use wasm_bindgen::JsCast;
    if let Some(element) = document().get_element_by_id(id) {
        // An element that cannot take focus leaves it where it was.
        let _ = element.unchecked_into::<web_sys::HtmlElement>().focus();
    }
}
