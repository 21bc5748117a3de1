//! Keys that move among the things of a group, of which Tab reaches one.

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

/// The item that a key goes to from this one. `group` and `items` are selectors.
pub fn neighbour(from: &Element, group: &str, items: &str, key: &str) -> Option<HtmlElement> {
    let group = from.closest(group).ok()??;
    let all = group.query_selector_all(items).ok()?;
    let same = |i: &u32| {
        let item = all.item(*i);
        item.is_some_and(|item| item.is_same_node(Some(from)))
    };
    let at = (0..all.length()).find(same)?;
    let next = match key {
        "ArrowRight" | "ArrowDown" => at + 1,
        "ArrowLeft" | "ArrowUp" => at.checked_sub(1)?,
        "Home" => 0,
        "End" => all.length() - 1,
        _ => return None,
    };
    // Parts of a drawing take the focus as elements of the page do.
    Some(all.item(next)?.unchecked_into())
}
