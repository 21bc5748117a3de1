//! What a tab keeps while others are open.

use leptos::prelude::*;
use web_sys::File;

use crate::components::lens::Lens;
use crate::fragment::{PageState, Values};
use crate::model::{Hub, Model};
use crate::page::Problem;
use crate::tabs;

/// One tab's text, settings, model and lens. Parts of a tab find it through the context.
#[derive(Clone, Copy)]
pub struct Desk {
    /// The tab's id.
    pub id: &'static str,
    /// What the person typed.
    pub text: RwSignal<String>,
    /// The tab's own settings, as links name them.
    pub values: RwSignal<Values>,
    /// The model and its loading.
    pub model: Model,
    /// Whether the person, or a link, chose that model, or it has run.
    pub picked: RwSignal<bool>,
    /// What the person points at.
    pub lens: Lens,
    /// What went wrong last, until the next attempt.
    pub problem: RwSignal<Option<Problem>>,
    /// Pictures that were dropped or pasted and not taken yet.
    pub dropped: RwSignal<Vec<File>, LocalStorage>,
    /// Counts the links that ask to run at once.
    pub run_asked: RwSignal<u32>,
}

impl Desk {
    /// A tab as a link leaves it; `run` if the link asks to run at once.
    pub fn new(id: &'static str, hub: Hub, state: &PageState, run: bool) -> Self {
        let picked = tabs::find(id).is_none_or(|tab| tab.default_model() != state.model);
        Self {
            id,
            text: RwSignal::new(state.text.clone()),
            values: RwSignal::new(state.values.clone()),
            model: Model::new(hub, &state.model),
            picked: RwSignal::new(picked),
            lens: Lens::default(),
            problem: RwSignal::new(None),
            dropped: RwSignal::new_local(Vec::new()),
            run_asked: RwSignal::new(u32::from(run)),
        }
    }
}
