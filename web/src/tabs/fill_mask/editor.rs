//! The text field, and above each of its words a small handle that puts it behind a mask.
//!
//! The field is a plain one: caret, selection and typing are the browser's. A twin of its text lies
//! over it, of the same type and width and without colour, and carries the handles.

use leptos::html::Textarea;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::Element;

use super::run::Runs;
use super::words::{self, Word};
use crate::components::roving;

/// Words beyond this have no handle; the key masks them as well.
const MOST_HANDLES: usize = 300;

/// One of the texts.
#[component]
pub fn Editor(
    /// What changes act on.
    runs: Runs,
    /// Which text.
    place: usize,
) -> impl IntoView {
    let side = runs.sides[place];
    let input = NodeRef::<Textarea>::new();
    let (id, label) = if place == 0 {
        ("fill-mask-input", "Text")
    } else {
        ("fill-mask-input-2", "Second text")
    };
    // The caret's word: its handle without the mouse.
    let toggle_at_caret = move || {
        let Some(input) = input.get_untracked() else {
            return;
        };
        let caret = input.selection_start().ok().flatten().unwrap_or(0) as usize;
        let text = side.text.get_untracked();
        let at = byte_of(&text, caret);
        let word = words::words(&text)
            .into_iter()
            .find(|word| word.span.start <= at && at <= word.span.end);
        if let Some(word) = word {
            runs.toggle(place, &word);
            // The caret stays with what it was at; a value that is set later would move it.
            input.set_value(&side.text.get_untracked());
            let to = utf16_len(&text[..word.span.start]);
            let _ = input.set_selection_range(to, to);
        }
    };
    let pieces = move || {
        side.text.with(|text| {
            let mut from = 0;
            let mut views = Vec::new();
            for (i, word) in words::words(text)
                .into_iter()
                .take(MOST_HANDLES)
                .enumerate()
            {
                views.push(text[from..word.span.start].to_owned().into_any());
                from = word.span.end;
                let shown = text[word.span.clone()].to_owned();
                views.push(view! { <Handle runs place word shown index=i/> }.into_any());
            }
            // A line break at the end has height only with something behind it.
            views.push(format!("{}\u{200b}", &text[from..]).into_any());
            views
        })
    };
    // Arrow keys move among the handles; only one of them is in the order of the page.
    let step = move |event: web_sys::KeyboardEvent| {
        let handle = event.target().and_then(|t| t.dyn_into::<Element>().ok());
        let next = handle
            .and_then(|handle| roving::neighbour(&handle, ".masked-twin", "button", &event.key()));
        if let Some(next) = next {
            event.prevent_default();
            let _ = next.focus();
        }
    };
    view! {
        <div class="prompt-top">
            <label for=id>{label}</label>
            <span class="keys">
                <kbd>"Ctrl"</kbd>
                <kbd>"M"</kbd>
                " masks the word at the caret"
            </span>
        </div>
        <div class="masked-editor">
            <textarea
                id=id
                data-testid=id
                node_ref=input
                rows="1"
                dir="auto"
                spellcheck="false"
                placeholder="Write a sentence; [MASK] stands for a word to be found"
                prop:value=side.text
                on:input:target=move |event| runs.typed(place, event.target().value())
                on:keydown=move |event| {
                    let chord = event.ctrl_key() || event.meta_key();
                    if chord && event.key() == "Enter" {
                        event.prevent_default();
                        runs.start(false);
                    } else if chord && event.key().eq_ignore_ascii_case("m") {
                        event.prevent_default();
                        toggle_at_caret();
                    }
                }
            ></textarea>
            <div
                class="masked-twin"
                dir="auto"
                role="toolbar"
                aria-label="Words to put behind a mask; arrow keys move among them"
                on:keydown=step
            >
                {pieces}
            </div>
        </div>
    }
}

/// A word of the twin and its handle.
#[component]
fn Handle(runs: Runs, place: usize, word: Word, shown: String, index: usize) -> impl IntoView {
    let (action, title) = match word.mask {
        Some(mask) => {
            let side = runs.sides[place];
            let behind = side
                .hidden
                .with_untracked(|hidden| hidden.get(mask).cloned().flatten());
            let title = match behind {
                Some(behind) => format!("Show “{}” again", behind.word),
                None => format!("Take mask {} away", mask + 1),
            };
            ("unmask", title)
        }
        None => ("mask", format!("Put “{shown}” behind a mask")),
    };
    let mask = word.mask.map(|mask| mask.to_string());
    view! {
        <span class="masked-word" data-mask=mask>
            {shown}
            <button
                type="button"
                tabindex=if index == 0 { "0" } else { "-1" }
                class="mask-handle"
                data-testid="fill-mask-handle"
                data-action=action
                title=title.clone()
                aria-label=title
                on:click=move |_| runs.toggle(place, &word)
            ></button>
        </span>
    }
}

/// The byte at which a number of UTF-16 units ends, as text fields count.
fn byte_of(text: &str, units: usize) -> usize {
    let mut seen = 0;
    for (at, c) in text.char_indices() {
        if seen >= units {
            return at;
        }
        seen += c.len_utf16();
    }
    text.len()
}

fn utf16_len(text: &str) -> u32 {
    text.chars().map(|c| c.len_utf16() as u32).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_count_in_utf16() {
        let text = "a\u{e9}\u{1f980}b";
        assert_eq!(
            [0, 1, 2, 4, 5, 9].map(|units| byte_of(text, units)),
            [0, 1, 3, 7, 8, 8]
        );
        assert_eq!(utf16_len(text), 5);
    }
}
