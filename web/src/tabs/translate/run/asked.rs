//! What the shown translation is of, and when one of its sentences can be asked about.

use glassformer_engine::registry;
use leptos::prelude::*;

use super::super::pair::{self, Pair};
use super::super::shown::Side;
use super::super::{OPENING, recorded::Recording};
use super::Runs;
use crate::desk::Desk;
use crate::model::Chosen;

/// A text, its languages, and what translates it.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub(super) text: String,
    pair: Pair,
    model: Chosen,
}

impl Asked {
    /// As the person has it now.
    pub fn now(desk: Desk) -> Self {
        Self {
            text: desk.text.get(),
            pair: desk.values.with(pair::read),
            model: desk.model.chosen.get(),
        }
    }

    /// Whether the recorded example is of this, and that example.
    pub fn recorded(&self) -> Option<Recording> {
        let pair = ["en", "pt"];
        let model = registry::translator(pair[0], pair[1])?;
        let same =
            self.text == OPENING && self.pair == pair && self.model == Chosen::find(&model.id);
        same.then(Recording::load)?
    }
}

impl Runs {
    /// Whether the translation is of another text than the one that stands there, of other languages or by
    /// another model.
    pub fn is_stale(&self) -> bool {
        let now = Asked::now(self.desk);
        self.asked.with(|asked| *asked != now)
    }

    /// The language of a text that is shown; opened files do not say theirs.
    pub fn language(&self, side: Side) -> Option<String> {
        self.asked.with(|asked| {
            let [from, to] = &asked.pair;
            let code = match side {
                Side::Source => from,
                Side::Target => to,
            };
            matches!(asked.model, Chosen::Manifest(_)).then(|| code.clone())
        })
    }

    /// Whether a sentence can be asked about: by the model that translated it, without a download, and
    /// not while the text is translated, which that would end.
    pub fn can_ask(&self) -> bool {
        let model = self.desk.model;
        let same = self
            .asked
            .with(|asked| model.chosen.with(|chosen| *chosen == asked.model));
        same && !self.is_active() && model.download().is_none()
    }

    /// "choose", and what has to come first.
    pub fn choosing(&self) -> &'static str {
        if self.can_ask() {
            "choose"
        } else if self.is_active() {
            "when the text is done, choose"
        } else {
            "press Run, then choose"
        }
    }
}
