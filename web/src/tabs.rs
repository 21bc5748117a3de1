//! The tabs. A new one adds a folder beside this file, an entry to [`TABS`] and a line to [`Tab::view`].

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use glassformer_engine::registry::{self, ModelEntry};
use leptos::prelude::*;
use wasm_split_helpers::{SplitLoaderError, wasm_split};

use crate::fragment::Key;

pub mod attention;
pub mod fill_mask;
pub mod generate;
pub mod matching;
pub mod translate;

/// One tab of the page.
pub struct Tab {
    /// Its name in links and in `data-testid`.
    pub id: &'static str,
    /// Its name on the page.
    pub label: &'static str,
    /// The task whose default model it starts with.
    pub task: &'static str,
    /// Whether it works on any model, and then starts with what is loaded.
    pub any_model: bool,
    /// Its own settings in links.
    pub keys: &'static [Key],
    /// Whether its links carry how text is generated.
    pub generates: bool,
    /// What the empty lens says.
    pub lens_hint: &'static str,
}

/// A tab's content, or that its part of the program did not arrive.
pub type Made = Result<AnyView, Missing>;

/// A part of the program did not arrive; the console has the reason.
pub struct Missing;

impl From<SplitLoaderError> for Missing {
    fn from(_: SplitLoaderError) -> Self {
        Self
    }
}

/// All tabs, in the order of the header; the first opens by default.
pub const TABS: &[Tab] = &[
    Tab {
        id: generate::ID,
        label: "Generate",
        task: "generate",
        any_model: false,
        keys: &[],
        generates: true,
        lens_hint: "Point at a token to see the numbers behind it. Click to keep it here; the arrow keys move on from there.",
    },
    Tab {
        id: fill_mask::ID,
        label: "Fill-mask",
        task: "fill-mask",
        any_model: false,
        keys: fill_mask::KEYS,
        generates: false,
        lens_hint: "Point at a word under a mask to see the numbers behind it, or at an arc to see what the mask looked at.",
    },
    Tab {
        id: translate::ID,
        label: "Translate",
        task: "translate",
        any_model: false,
        keys: translate::KEYS,
        generates: false,
        lens_hint: "Point at a word to see where it came from and how sure the model was, or at the tree to see what else it tried.",
    },
    Tab {
        id: matching::ID,
        label: "Match",
        task: "match",
        any_model: false,
        keys: matching::KEYS,
        generates: false,
        lens_hint: "Point at a number to see what it is made of. Click it to see which parts of the picture and which words mattered; click a picture to see its texts ranked.",
    },
    Tab {
        id: attention::ID,
        label: "Attention",
        task: fill_mask::ID,
        any_model: true,
        keys: attention::KEYS,
        generates: false,
        lens_hint: "Point at a token or a patch to see what it reads. Click to keep it here with every number behind one weight, from query and key to the output.",
    },
];

// Each of these and what only it needs is a file of its own, fetched when the tab is first opened.

#[wasm_split(fill_mask, fallible)]
fn fill_mask_view() -> Made {
    Ok(view! { <fill_mask::FillMask/> }.into_any())
}

#[wasm_split(translate, fallible)]
fn translate_view() -> Made {
    Ok(view! { <translate::Translate/> }.into_any())
}

#[wasm_split(matching, fallible)]
fn matching_view() -> Made {
    Ok(view! { <matching::Match/> }.into_any())
}

#[wasm_split(attention, fallible)]
fn attention_view() -> Made {
    Ok(view! { <attention::Attention/> }.into_any())
}

/// The tab of this id.
pub fn find(id: &str) -> Option<&'static Tab> {
    TABS.iter().find(|tab| tab.id == id)
}

/// The page's own models: those of the manifest that a tab is made for. The others are the shell's.
pub fn models() -> impl Iterator<Item = &'static ModelEntry> {
    let has_tab = |entry: &&ModelEntry| TABS.iter().any(|tab| tab.task == entry.task);
    registry::manifest().iter().filter(has_tab)
}

impl Tab {
    /// What it shows; made when it is opened for the first time. Not in the list: whatever reads that, as tests do, would
    /// have every tab's program in it.
    pub fn view(&self) -> BoxFuture<'static, Made> {
        match self.id {
            generate::ID => ready(Ok(view! { <generate::Generate/> }.into_any())).boxed(),
            fill_mask::ID => fill_mask_view().boxed(),
            translate::ID => translate_view().boxed(),
            matching::ID => matching_view().boxed(),
            attention::ID => attention_view().boxed(),
            _ => ready(Err(Missing)).boxed(),
        }
    }

    /// Id of the model it starts with.
    pub fn default_model(&self) -> &'static str {
        registry::default_of(self.task).map_or("", |entry| &entry.id)
    }
}
