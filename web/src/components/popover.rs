//! A button that opens a small panel; Escape, a click elsewhere or leaving it by Tab closes it.

use leptos::ev;
use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, Node};

/// The panel keeps its children in the document, hidden, so that file inputs and choices survive.
#[component]
pub fn Popover(
    /// Id of the panel.
    #[prop(into)]
    id: String,
    /// Name of the panel for assistive technology.
    label: &'static str,
    /// What the button shows.
    #[prop(into)]
    face: ViewFn,
    /// Whether it is open; may be closed from inside.
    open: RwSignal<bool>,
    /// Classes of the button.
    #[prop(default = "quiet")]
    class: &'static str,
    /// The panel's content.
    children: Children,
) -> impl IntoView {
    let root = NodeRef::<Div>::new();
    let inside = move |target: Option<web_sys::EventTarget>| {
        let node = target.and_then(|target| target.dyn_into::<Node>().ok());
        root.get_untracked()
            .is_some_and(|root| root.contains(node.as_ref()))
    };
    let outside_click = window_event_listener(ev::pointerdown, move |event| {
        if open.get_untracked() && !inside(event.target()) {
            open.set(false);
        }
    });
    // On the window, as some browsers give no focus to a button that is clicked.
    let escape = window_event_listener(ev::keydown, move |event| {
        if event.key() != "Escape" || !open.get_untracked() {
            return;
        }
        // One press closes one thing: the lens leaves a prevented Escape alone.
        event.prevent_default();
        open.set(false);
        if let Some(button) = root
            .get_untracked()
            .and_then(|root| root.first_element_child())
        {
            // Focus must not be lost with the panel that held it.
            let _ = button.unchecked_into::<HtmlElement>().focus();
        }
    });
    on_cleanup(move || {
        outside_click.remove();
        escape.remove();
    });
    view! {
        <div
            class="popover"
            node_ref=root
            on:focusout=move |event| {
                if event.related_target().is_some() && !inside(event.related_target()) {
                    open.set(false);
                }
            }
        >
            <button
                type="button"
                class=class
                aria-expanded=move || open.get().to_string()
                aria-controls=id.clone()
                on:click=move |_| open.update(|open| *open = !*open)
            >
                {face.run()}
            </button>
            <div id=id class="panel" role="group" aria-label=label hidden=move || !open.get()>
                {children()}
            </div>
        </div>
    }
}
