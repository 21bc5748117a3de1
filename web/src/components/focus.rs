//! Where the keyboard goes on when what it was on is put away.

use leptos::ev::MouseEvent;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

/// The name of the open tab, where nothing nearer is left.
pub const OPEN_TAB: &str = "[role=tab][aria-selected=true]";

/// What has the focus, unless that is nothing or the page as a whole.
pub fn focused() -> Option<HtmlElement> {
    let active = document().active_element()?;
    let whole = document().body().is_some_and(|body| *body == active);
    (!whole).then(|| active.unchecked_into())
}

/// Focuses the first element that a selector finds; says whether there was one.
pub fn go_to(selector: &str) -> bool {
    let found = document().query_selector(selector).ok().flatten();
    found.is_some_and(|found| found.unchecked_into::<HtmlElement>().focus().is_ok())
}

/// A button is about to go with its item of a list or table: that of the next item takes over, or of
/// the one before, and otherwise something else.
pub fn pass_on(event: &MouseEvent, button: &str, otherwise: &str) {
    let target = event.target().and_then(|t| t.dyn_into::<Element>().ok());
    let item = target.and_then(|target| target.closest("li, tr").ok().flatten());
    let near = item.and_then(|item| {
        let there = [item.next_element_sibling(), item.previous_element_sibling()];
        let mut there = there.into_iter().flatten();
        there.find_map(|near| near.query_selector(button).ok().flatten())
    });
    match near {
        Some(near) => drop(near.unchecked_into::<HtmlElement>().focus()),
        None => drop(go_to(otherwise)),
    }
}
