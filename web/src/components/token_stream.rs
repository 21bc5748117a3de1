//! Written tokens as text one can point into.
//!
//! The spans are made by hand rather than by a reactive list: appending one costs the same
//! whether ten or ten thousand are there, and four listeners on the container serve them all.

use std::sync::Arc;

use glassformer_engine::graph::KeptLogits;
use leptos::html::Span;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, EventTarget, HtmlElement, HtmlSpanElement, KeyboardEvent};

use crate::components::lens::{Lens, LensContent, Subject};
use crate::surprise;

/// A token the model wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Vocabulary id.
    pub id: u32,
    /// Text that became certain with it; empty inside an unfinished character.
    pub text: String,
    /// Natural log of its probability under the raw logits.
    pub logprob: f32,
    /// What it was chosen from; nothing for recorded tokens.
    pub kept: Option<Arc<Kept>>,
}

/// What a token was chosen from.
#[derive(Debug, PartialEq)]
pub struct Kept {
    /// Its largest logits and the sums of all.
    pub logits: KeptLogits,
    /// Texts of the candidates that the lens shows, in its order.
    pub texts: Vec<String>,
}

/// Says what the lens shows about a token.
type Explain = Arc<dyn Fn(&Token, Subject) -> LensContent + Send + Sync>;

/// A growing text of tokens.
#[derive(Clone, Copy)]
pub struct TokenStream {
    source: &'static str,
    lens: Lens,
    explain: StoredValue<Explain>,
    tokens: StoredValue<Vec<Token>>,
    node: NodeRef<Span>,
    /// The one token that Tab reaches.
    current: StoredValue<usize>,
}

impl TokenStream {
    /// An empty text. `source` becomes the `data-testid` of its tokens and names it in the lens.
    pub fn new(
        source: &'static str,
        lens: Lens,
        explain: impl Fn(&Token, Subject) -> LensContent + Send + Sync + 'static,
    ) -> Self {
        Self {
            source,
            lens,
            explain: StoredValue::new(Arc::new(explain)),
            tokens: StoredValue::new(Vec::new()),
            node: NodeRef::new(),
            current: StoredValue::new(0),
        }
    }

    /// Removes all tokens.
    pub fn clear(&self) {
        self.lens.clear(self.source);
        self.tokens.set_value(Vec::new());
        self.current.set_value(0);
        if let Some(node) = self.node.get_untracked() {
            node.set_text_content(None);
        }
    }

    /// Shows another text, as far as it is the same without touching it.
    pub fn replace(&self, tokens: Vec<Token>) {
        let same = |old: &Vec<Token>| old.iter().zip(&tokens).take_while(|(a, b)| a == b).count();
        let same = self.tokens.with_value(same);
        if self
            .lens
            .locked_index(self.source)
            .is_some_and(|index| index >= same)
        {
            self.lens.clear(self.source);
        }
        self.tokens.update_value(|old| old.truncate(same));
        if let Some(node) = self.node.get_untracked() {
            // The spans of tokens come first; what is behind them is text of no token.
            let children = node.child_nodes();
            while let Some(last) = children.item(same as u32) {
                let _ = node.remove_child(&last);
            }
        }
        if self.current.get_value() >= same {
            self.current.set_value(0);
            if let Some(first) = self.element_of(0) {
                make_current(&first);
            }
        }
        for token in tokens.into_iter().skip(same) {
            self.append(token);
        }
    }

    /// Keeps a token in the lens, and gives it the keyboard if nothing else has it.
    pub fn open(&self, index: usize) {
        if let Some(content) = self.explained(index) {
            self.lens.lock(content);
        }
        let body = document().body();
        let focused = document().active_element();
        let nowhere = match (&focused, &body) {
            (Some(focused), Some(body)) => focused.is_same_node(Some(body)),
            _ => true,
        };
        if nowhere {
            self.focus(index);
        }
    }

    /// Adds one token at the end.
    pub fn append(&self, token: Token) {
        if let Some(node) = self.node.get_untracked() {
            self.show(&node, &token, self.tokens.with_value(Vec::len));
        }
        self.tokens.update_value(|tokens| tokens.push(token));
    }

    /// Adds text that belongs to no single token.
    pub fn append_text(&self, text: &str) {
        if let (false, Some(node)) = (text.is_empty(), self.node.get_untracked()) {
            let _ = node.append_with_str_1(text);
        }
    }

    fn show(&self, node: &HtmlSpanElement, token: &Token, index: usize) {
        let Ok(span) = document().create_element("span") else {
            return;
        };
        let step = surprise::step(surprise::bits(token.logprob));
        // Setting a valid attribute name cannot fail.
        let set = |name: &str, value: &str| {
            let _ = span.set_attribute(name, value);
        };
        set("class", "token");
        set("data-testid", self.source);
        set("data-index", &index.to_string());
        set("data-id", &token.id.to_string());
        set("data-logprob", &token.logprob.to_string());
        set("data-surprise", &step.to_string());
        if token.text.is_empty() {
            set("data-piece", "");
        } else if token.text.trim().is_empty() {
            set(
                "data-blank",
                if token.text.contains('\n') {
                    "line"
                } else {
                    "space"
                },
            );
        }
        if index == 0 {
            make_current(&span);
        } else {
            set("tabindex", "-1");
        }
        // Only the word is underlined: a space at the end of a line would leave a stray dash.
        let word = token.text.trim();
        if word.is_empty() {
            span.set_text_content(Some(&token.text));
        } else if let Ok(mark) = document().create_element("span") {
            let begin = token.text.len() - token.text.trim_start().len();
            mark.set_class_name("mark");
            mark.set_text_content(Some(word));
            let _ = span.append_with_str_1(&token.text[..begin]);
            let _ = span.append_child(&mark);
            let _ = span.append_with_str_1(&token.text[begin + word.len()..]);
        }
        let _ = node.append_child(&span);
    }

    fn explained(&self, index: usize) -> Option<LensContent> {
        let subject = Subject {
            source: self.source,
            index,
        };
        self.tokens.with_value(|tokens| {
            tokens
                .get(index)
                .map(|token| self.explain.with_value(|explain| explain(token, subject)))
        })
    }

    fn element_of(&self, index: usize) -> Option<HtmlElement> {
        let found = self.node.get_untracked()?.children().item(index as u32)?;
        Some(found.unchecked_into())
    }

    fn toggle(&self, index: usize) {
        if let Some(content) = self.explained(index) {
            self.lens.toggle(content);
        }
    }

    fn focus(&self, index: usize) {
        let Some(next) = self.element_of(index) else {
            return;
        };
        if let Some(old) = self.element_of(self.current.get_value()) {
            let _ = old.set_attribute("tabindex", "-1");
            let _ = old.remove_attribute("role");
        }
        make_current(&next);
        self.current.set_value(index);
        let _ = next.focus();
    }

    fn key(&self, event: &KeyboardEvent) {
        let Some(index) = index_of(event.target()) else {
            return;
        };
        let last = self.tokens.with_value(Vec::len).saturating_sub(1);
        let next = match event.key().as_str() {
            "ArrowRight" => (index + 1).min(last),
            "ArrowLeft" => index.saturating_sub(1),
            "ArrowDown" => self.on_line(index, 1).unwrap_or(index),
            "ArrowUp" => self.on_line(index, -1).unwrap_or(index),
            "Home" => 0,
            "End" => last,
            // A second Enter goes on into the lens.
            "Enter" if self.lens.locked_index(self.source) == Some(index) => {
                event.prevent_default();
                return focus_in_lens();
            }
            "Enter" | " " => {
                event.prevent_default();
                return self.toggle(index);
            }
            _ => return,
        };
        event.prevent_default();
        self.focus(next);
        if let Some(content) = self.explained(next) {
            self.lens.move_lock(&content);
        }
    }

    /// The token nearest above (`-1`) or below (`1`) on the neighbouring line.
    fn on_line(&self, index: usize, direction: i32) -> Option<usize> {
        let here = self.element_of(index)?.get_bounding_client_rect();
        let mut element = self.element_of(index)?.unchecked_into::<Element>();
        let mut at = index;
        let mut line: Option<f64> = None;
        let mut best: Option<(f64, usize)> = None;
        loop {
            let next = if direction > 0 {
                element.next_element_sibling()
            } else {
                element.previous_element_sibling()
            };
            let Some(next) = next else { break };
            at = if direction > 0 { at + 1 } else { at - 1 };
            element = next;
            let there = element.get_bounding_client_rect();
            if (there.top() - here.top()).abs() < here.height() / 2.0 {
                continue;
            }
            let top = *line.get_or_insert(there.top());
            if (there.top() - top).abs() > here.height() / 2.0 {
                break;
            }
            let distance = (there.left() - here.left()).abs();
            if best.is_none_or(|(least, _)| distance < least) {
                best = Some((distance, at));
            }
        }
        best.map(|(_, at)| at)
    }
}

/// Draws a token stream, and what was there before it existed.
#[component]
pub fn TokenStreamView(
    /// The text.
    stream: TokenStream,
    /// `data-testid` of the text.
    testid: &'static str,
    /// What the text is, for assistive technology.
    label: &'static str,
    /// Whether it is still growing.
    #[prop(into)]
    busy: Signal<bool>,
) -> impl IntoView {
    Effect::new(move |_| {
        if let Some(node) = stream.node.get() {
            node.set_text_content(None);
            stream.tokens.with_value(|tokens| {
                for (index, token) in tokens.iter().enumerate() {
                    stream.show(&node, token, index);
                }
            });
        }
    });
    // Only the token that is kept is marked; touching the two that change is enough.
    Effect::new(move |marked: Option<Option<usize>>| {
        let locked = stream
            .lens
            .locked_subject()
            .filter(|s| s.source == stream.source)
            .map(|s| s.index);
        if let Some(element) = marked.flatten().and_then(|index| stream.element_of(index)) {
            let _ = element.remove_attribute("data-locked");
            let _ = element.set_attribute("aria-pressed", "false");
        }
        if let Some(element) = locked.and_then(|index| stream.element_of(index)) {
            let _ = element.set_attribute("data-locked", "");
            let _ = element.set_attribute("aria-pressed", "true");
        }
        locked
    });
    let point = move |target: Option<EventTarget>| {
        stream
            .lens
            .point(index_of(target).and_then(|index| stream.explained(index)));
    };
    view! {
        <span
            class="tokens"
            role="group"
            aria-label=label
            aria-busy=move || busy.get().to_string()
            data-testid=testid
            node_ref=stream.node
            on:mouseover=move |event| point(event.target())
            on:mouseleave=move |_| point(None)
            on:focusin=move |event| point(event.target())
            on:focusout=move |_| point(None)
            on:keydown=move |event| stream.key(&event)
            on:click=move |event| {
                if let Some(index) = index_of(event.target()) {
                    stream.focus(index);
                    stream.toggle(index);
                }
            }
        ></span>
    }
}

/// Gives the keyboard to the first candidate of the lens, if it has any.
fn focus_in_lens() {
    let candidate = document().query_selector(".lens [data-testid=lens-candidate] button");
    if let Some(button) = candidate.ok().flatten() {
        let _ = button.unchecked_into::<HtmlElement>().focus();
    }
}

fn make_current(element: &Element) {
    let _ = element.set_attribute("tabindex", "0");
    // One button among plain text: readers hear words, not five hundred buttons.
    let _ = element.set_attribute("role", "button");
    let locked = element.has_attribute("data-locked");
    let _ = element.set_attribute("aria-pressed", &locked.to_string());
}

fn index_of(target: Option<EventTarget>) -> Option<usize> {
    let token = target?
        .dyn_into::<Element>()
        .ok()?
        .closest("[data-index]")
        .ok()??;
    token.get_attribute("data-index")?.parse().ok()
}
