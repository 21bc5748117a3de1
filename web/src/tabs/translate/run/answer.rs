//! What of the answer the tab shows: the sentences as they come, and what the person makes of them.

use std::ops::Range;

use glassformer_engine::protocol::{Translated, TranslatedSentence};
use leptos::prelude::*;

use super::super::shown::{Pointed, Shown};
use super::super::{NODES, SOURCE};
use super::{Phase, Runs};
use crate::format;

impl Runs {
    /// Whether there is anything to show.
    pub fn has_answer(&self) -> bool {
        self.sentences.with(|all| !all.is_empty())
    }

    /// Whether what is shown is the recorded example.
    pub fn is_recorded(&self) -> bool {
        self.recorded.with(Option::is_some)
    }

    /// Whether Stop has something to stop.
    pub fn is_active(&self) -> bool {
        matches!(self.phase.get(), Phase::Loading | Phase::Running(..))
    }

    /// Share of the text that has been translated, while it is.
    pub fn progress(&self) -> Option<(u32, u32)> {
        match self.phase.get() {
            Phase::Running(done, total) => Some((done, total)),
            _ => None,
        }
    }

    /// The status line.
    pub fn status(&self) -> String {
        let sentences = |count: usize| format::counted(count as u64, "sentence");
        match self.phase.get() {
            Phase::Idle | Phase::Failed => String::new(),
            Phase::Loading => "loading the model".into(),
            Phase::Running(0, _) => "translating".into(),
            Phase::Running(done, total) => {
                let percent = f64::from(done) * 100.0 / f64::from(total.max(1));
                format!("translating · {percent:.0} %")
            }
            Phase::Done(count, rate, seconds) => format!(
                "{} · {rate:.0} words/s · {}",
                sentences(count),
                format::seconds(seconds)
            ),
            Phase::Stopped(count) => format!("stopped after {}", sentences(count)),
        }
    }

    /// The translation as it is shown.
    pub fn translation(&self) -> String {
        let shown = |shown: &Shown| format!("{}{}", shown.sentence.before, shown.found().target);
        let sentences: String = self
            .sentences
            .with_untracked(|all| all.iter().map(shown).collect());
        self.tail.with_untracked(|tail| sentences + tail)
    }

    /// Shows a sentence in its place. The first live one replaces the recorded example.
    pub(super) fn put(self, sentence: TranslatedSentence, forced: bool) {
        let index = sentence.index as usize;
        self.versions.update_value(|version| *version += 1);
        let mut shown = Shown::new(sentence, self.versions.get_value());
        if self.recorded.with_untracked(Option::is_some) && shown.version > 1 {
            self.recorded.set(None);
        }
        self.let_go(index..index + 1);
        self.sentences.update(|all| match all.get_mut(index) {
            Some(old) => {
                if forced {
                    shown.free = Some(old.free.clone().unwrap_or_else(|| old.sentence.clone()));
                }
                *old = shown;
            }
            None => all.push(shown),
        });
    }

    /// Lets go of what the person forced: the translation the search found by itself is back.
    pub fn unforce(self, index: usize) {
        let free = self.shown(index).and_then(|shown| shown.free);
        if let Some(free) = free {
            // The text that is being translated goes on.
            if !untrack(|| self.is_active()) {
                self.begin();
            }
            self.put((*free).clone(), false);
        }
    }

    /// Shows another of the translations of a sentence.
    pub fn choose(self, index: usize, alternative: usize) {
        self.versions.update_value(|version| *version += 1);
        let version = self.versions.get_value();
        self.let_go(index..index + 1);
        self.heads.set(None);
        self.sentences.update(|all| {
            if let Some(shown) = all.get_mut(index) {
                shown.choose(alternative, version);
            }
        });
    }

    /// Shows the search of a sentence.
    pub fn select(self, index: usize) {
        if self.selected.get_untracked() != index {
            self.heads.set(None);
            self.selected.set(index);
            self.want_tree(index);
        }
    }

    /// A sentence as it is shown now.
    pub fn shown(self, index: usize) -> Option<Shown> {
        self.sentences.with_untracked(|all| all.get(index).cloned())
    }

    /// Shows no more than the first sentences.
    pub(super) fn keep(self, count: usize) {
        self.let_go(count..usize::MAX);
        self.sentences.update(|all| all.truncate(count));
        self.selected
            .update(|selected| *selected = (*selected).min(count.saturating_sub(1)));
    }

    pub(super) fn finish(self, result: &Translated) {
        let count = self.come.get_value();
        self.keep(count);
        // What stands behind the last sentence is the end of both texts.
        let tail = self.sentences.with_untracked(|all| {
            let parts = all.iter().map(|shown| {
                let best = shown.sentence.alternatives.first();
                shown.sentence.before.len() + best.map_or(0, |best| best.target.len())
            });
            result
                .text
                .get(parts.sum()..)
                .unwrap_or_default()
                .to_owned()
        });
        self.tail.set(tail);
        let (rate, seconds) = (result.words_per_second, result.seconds);
        self.phase.set(Phase::Done(count, rate, seconds));
        const SPOKEN: usize = 400;
        self.spoken.set(result.text.chars().take(SPOKEN).collect());
        self.want_tree(self.selected.get_untracked());
    }

    /// What is pointed at or kept of these sentences is about to be something else.
    fn let_go(self, sentences: Range<usize>) {
        let lens = self.desk.lens;
        let kept = lens.locked_index(SOURCE).map(Pointed::from_index);
        let pointed = self.pointed.get_untracked();
        let among =
            |word: Option<Pointed>| word.is_some_and(|word| sentences.contains(&word.sentence));
        if among(pointed) {
            self.pointed.set(None);
            lens.point(None);
        }
        if among(kept) {
            lens.clear(SOURCE);
        }
        if sentences.contains(&self.selected.get_untracked()) {
            lens.clear(NODES);
        }
    }

    /// Shows nothing.
    pub(super) fn clear(self) {
        self.sentences.set(Vec::new());
        self.tail.set(String::new());
        self.recorded.set(None);
        self.heads.set(None);
        self.selected.set(0);
        self.pointed.set(None);
        self.desk.lens.clear(SOURCE);
        self.phase.set(Phase::Idle);
    }
}
