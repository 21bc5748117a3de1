//! The lens explains whatever is pointed at: its numbers, and one sentence in plain words.
//!
//! Pointing previews, a click keeps it, Escape lets it go. Every tab fills the same lens.

use std::sync::Arc;

use leptos::ev;
use leptos::prelude::*;
use web_sys::HtmlElement;

use crate::components::focus;

/// What is pointed at and what is kept.
#[derive(Clone, Copy, Default)]
pub struct Lens {
    preview: RwSignal<Option<LensContent>>,
    locked: RwSignal<Option<LensContent>>,
    /// What had the focus when something was kept.
    origin: StoredValue<Option<HtmlElement>, LocalStorage>,
}

/// What the lens says about one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct LensContent {
    /// Whose it is, and which of them.
    pub subject: Subject,
    /// Its kind and place, such as "Token 12".
    pub caption: String,
    /// The thing itself, white space made visible.
    pub heading: String,
    /// One sentence in plain words.
    pub sentence: String,
    /// A share of one to draw as a bar, with the step of the surprise scale that colours it.
    pub share: Option<(f64, usize)>,
    /// Its numbers.
    pub facts: Vec<Fact>,
    /// What only its own tab can draw, above the numbers.
    pub detail: Option<Detail>,
}

/// A view that is made when the lens shows it.
#[derive(Clone)]
pub struct Detail(Arc<dyn Fn() -> AnyView + Send + Sync>);

impl Detail {
    /// From a function that makes the view.
    pub fn new(view: impl Fn() -> AnyView + Send + Sync + 'static) -> Self {
        Self(Arc::new(view))
    }
}

impl std::fmt::Debug for Detail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Detail")
    }
}

// Two views are the same if they were made by one call.
impl PartialEq for Detail {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Something that can be pointed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The view it belongs to.
    pub source: &'static str,
    /// Its index there.
    pub index: usize,
}

/// One number of the lens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is called.
    pub name: &'static str,
    /// The number, ready to read.
    pub value: String,
    /// What it means, in a few words.
    pub means: String,
}

impl Lens {
    /// Shows something for as long as it is pointed at.
    pub fn point(&self, content: Option<LensContent>) {
        self.preview.set(content);
    }

    /// Keeps something, or lets it go if it is what is kept.
    pub fn toggle(&self, content: LensContent) {
        if self.is_locked_on(content.subject) {
            self.locked.set(None);
        } else {
            self.lock(content);
        }
    }

    /// Keeps something, whatever was kept.
    pub fn lock(&self, content: LensContent) {
        if let Some(focused) = focus::focused().filter(|focused| !is_inside(focused)) {
            self.origin.set_value(Some(focused));
        }
        self.locked.set(Some(content));
    }

    /// Lets go of what is kept; a keyboard that was in the lens goes back to where it came from.
    fn release(&self) {
        if focus::focused().is_some_and(|focused| is_inside(&focused)) && !focus::go_to(KEPT) {
            // What was drawn anew since is not where the keyboard was.
            let origin = self.origin.get_value();
            match origin.filter(|origin| origin.is_connected()) {
                Some(origin) => drop(origin.focus()),
                None => drop(focus::go_to(focus::OPEN_TAB)),
            }
        }
        self.locked.set(None);
    }

    /// Keeps something else instead, if anything is kept.
    pub fn move_lock(&self, content: &LensContent) {
        if self.locked.with_untracked(Option::is_some) {
            self.locked.set(Some(content.clone()));
        }
    }

    /// New numbers for what is kept, if it is this.
    pub fn renew(&self, subject: Subject, facts: Vec<Fact>) {
        let old = |content: &LensContent| content.subject == subject && content.facts != facts;
        if self
            .locked
            .with_untracked(|content| content.as_ref().is_some_and(old))
        {
            self.locked.update(|content| {
                if let Some(content) = content {
                    content.facts = facts;
                }
            });
        }
    }

    /// Lets go of everything that belongs to a view.
    pub fn clear(&self, source: &'static str) {
        for signal in [self.preview, self.locked] {
            if signal.with_untracked(|content| {
                content.as_ref().is_some_and(|c| c.subject.source == source)
            }) {
                signal.set(None);
            }
        }
    }

    /// What is kept, tracked.
    pub fn locked_subject(&self) -> Option<Subject> {
        self.locked
            .with(|content| content.as_ref().map(|content| content.subject))
    }

    /// Which token of a view is kept.
    pub fn locked_index(&self, source: &'static str) -> Option<usize> {
        let locked = untrack(|| self.locked_subject());
        locked.filter(|s| s.source == source).map(|s| s.index)
    }

    fn is_locked_on(&self, subject: Subject) -> bool {
        self.locked
            .with_untracked(|content| content.as_ref().is_some_and(|c| c.subject == subject))
    }
}

/// What a tab marks as kept in the lens.
const KEPT: &str = "[role=tabpanel]:not([hidden]) [data-locked]";

/// One press of Escape closes one thing, whichever listens first.
fn a_popover_is_open() -> bool {
    let open = document().query_selector(".popover > [aria-expanded=true]");
    matches!(open, Ok(Some(_)))
}

fn is_inside(element: &HtmlElement) -> bool {
    matches!(element.closest(".lens"), Ok(Some(_)))
}

/// The right column; on phones a sheet from below while something is kept.
#[component]
pub fn LensPanel(
    /// What to show.
    lens: Lens,
    /// What it says while there is nothing to show.
    hint: &'static str,
) -> impl IntoView {
    let locked = move || lens.locked.with(Option::is_some);
    let escape = window_event_listener(ev::keydown, move |event| {
        if event.key() == "Escape"
            && !event.default_prevented()
            && !a_popover_is_open()
            && lens.locked.with_untracked(Option::is_some)
        {
            lens.release();
        }
    });
    on_cleanup(move || escape.remove());
    let content = move || lens.locked.get().or_else(|| lens.preview.get());
    // New numbers alone leave the rest, which may be long, as it is.
    let facts = Memo::new(move |_| content().map(|content| content.facts).unwrap_or_default());
    let body = Memo::new(move |_| {
        let mut content = content()?;
        content.facts.clear();
        Some(content)
    });
    // Spoken for what is kept, not for everything the mouse passes.
    let spoken = move || {
        lens.locked.get().map(|c| {
            let numbers: Vec<String> = c
                .facts
                .iter()
                .map(|f| format!("{} {}", f.name, f.value))
                .collect();
            format!("{}: {}. {}", c.caption, numbers.join(", "), c.sentence)
        })
    };
    view! {
        <aside class="lens" aria-label="Lens" data-testid="lens" data-locked=move || locked().to_string()>
            <div class="lens-top">
                <h2>"Lens"</h2>
                <button type="button" class="quiet" hidden=move || !locked() on:click=move |_| lens.release()>
                    "Release"
                    <kbd>"Esc"</kbd>
                </button>
            </div>
            {move || match body.get() {
                Some(content) => view! { <LensBody content facts/> }.into_any(),
                None => view! {
                    <p class="lens-empty">{hint}</p>
                }
                .into_any(),
            }}
            <p class="unseen" aria-live="polite">{spoken}</p>
        </aside>
    }
}

#[component]
fn LensBody(content: LensContent, facts: Memo<Vec<Fact>>) -> impl IntoView {
    let share = content.share.map(|(share, step)| view! {
        <div class="share" data-surprise=step.to_string() aria-hidden="true">
            <div class="share-bar" style:width=format!("{:.2}%", (share * 100.0).clamp(0.0, 100.0))></div>
        </div>
    });
    let fact = |fact: Fact| {
        view! {
            <div class="fact">
                <dt>{fact.name}</dt>
                <dd>
                    <span class="value">{fact.value}</span>
                    <small>{fact.means}</small>
                </dd>
            </div>
        }
    };
    let facts = move || facts.get().into_iter().map(fact).collect_view();
    view! {
        <p class="lens-caption">{content.caption}</p>
        <p class="lens-heading" data-testid="lens-heading">{content.heading}</p>
        {share}
        <p class="lens-sentence">{content.sentence}</p>
        {content.detail.map(|detail| (detail.0)())}
        <dl class="facts">{facts}</dl>
    }
}
