//! What changes the texts: typing, masks, words put in, examples, undo.

use glassformer_engine::protocol::{FilledMask, MaskResult};
use gloo::timers::callback::Timeout;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::run::{PAUSE_MILLISECONDS, Runs};
use super::words::{self, Hidden};
use crate::format;

/// What is said of a sentence whose last mask was filled.
const WHOLE: &str =
    "No mask is left. Undo brings the last one back; the handle above a word hides that word.";

impl Runs {
    /// Another text stands there, typed by the person or brought by a link.
    pub fn typed(self, place: usize, text: String) {
        let side = self.sides[place];
        let old = side.known.get_value();
        if old == text {
            return;
        }
        let hidden = side
            .hidden
            .with_untracked(|hidden| words::align(&old, &text, hidden));
        side.undo.set(None);
        side.said.set(String::new());
        self.change(place, text, hidden);
        // A text that was typed is asked about as it is: the answer says what it lacks.
        self.ask_after_pause(place);
    }

    /// A word goes behind a mask, or what stood behind a mask comes back.
    pub fn toggle(self, place: usize, word: &words::Word) {
        let side = self.sides[place];
        let text = side.text.get_untracked();
        let mut hidden = side.hidden.get_untracked();
        let changed = match word.mask {
            Some(mask) => words::show(&text, &hidden, mask),
            None => {
                let mask = words::masks(&text)
                    .iter()
                    .filter(|m| m.end <= word.span.start)
                    .count();
                self.groups.update_value(|group| *group += 1);
                hidden.resize(words::masks(&text).len(), None);
                let behind = Hidden {
                    word: text[word.span.clone()].to_owned(),
                    group: self.groups.get_value(),
                    counted: false,
                };
                hidden.insert(mask, Some(behind));
                (words::hide(&text, &word.span, 1), hidden)
            }
        };
        self.replace(place, changed.0, changed.1);
    }

    /// A prediction takes the place of its mask.
    pub fn put(self, place: usize, mask: usize, insert: &str, joins: bool) {
        let side = self.sides[place];
        let text = side.text.get_untracked();
        let mut hidden = side.hidden.get_untracked();
        if mask < hidden.len() {
            hidden.remove(mask);
        }
        self.replace(place, words::put(&text, mask, insert, joins), hidden);
    }

    /// An example.
    pub fn pick(self, texts: [&'static str; 2]) {
        self.set_compare(!texts[1].is_empty());
        for place in self.active_places() {
            let text = texts[place];
            self.replace(place, text.into(), vec![None; words::masks(text).len()]);
            self.ask_unless_answered(place);
        }
    }

    /// One text, or two.
    pub fn toggle_compare(self) {
        let compare = !self.compare.get_untracked();
        self.set_compare(compare);
        let side = self.sides[1];
        if !compare {
            return;
        }
        if side.text.with_untracked(String::is_empty) {
            // The same sentence, so that one change shows what it moves.
            let text = self.sides[0].text.get_untracked();
            let hidden = self.sides[0].hidden.get_untracked();
            self.change(1, text, hidden);
        } else {
            self.ask_unless_answered(1);
        }
    }

    /// Asks about a text that was kept while it was put away, or changed then.
    fn ask_unless_answered(self, place: usize) {
        let side = self.sides[place];
        if untrack(|| side.is_stale() || side.answer.with(Option::is_none)) {
            self.ask_after_pause(place);
        }
    }

    /// The second text stays where it is while there is one only.
    pub(super) fn set_compare(self, compare: bool) {
        self.compare.set(compare);
        if !compare {
            self.give_up(1);
            self.let_go(1);
            self.sides[1].problem.set(None);
        }
    }

    /// The text before the last replacement.
    pub fn undo(self, place: usize) {
        let side = self.sides[place];
        if let Some((text, hidden)) = side.undo.get_untracked() {
            side.undo.set(None);
            side.said.set(String::new());
            self.change(place, text, hidden);
        }
    }

    fn replace(self, place: usize, text: String, hidden: Vec<Option<Hidden>>) {
        let side = self.sides[place];
        let before = (side.text.get_untracked(), side.hidden.get_untracked());
        if before.0 == text {
            return;
        }
        side.undo.set((!before.0.is_empty()).then_some(before));
        let whole = words::masks(&text).is_empty();
        side.said.set(if whole { WHOLE } else { "" }.into());
        if whole {
            self.spoken.set(WHOLE.into());
        }
        self.change(place, text, hidden);
    }

    fn change(self, place: usize, text: String, hidden: Vec<Option<Hidden>>) {
        let side = self.sides[place];
        side.hidden.set(hidden);
        side.known.set_value(text.clone());
        let whole = words::masks(&text).is_empty();
        side.text.set(text);
        if whole {
            // Nothing is left to ask about; what was answered stays.
            self.pause.update_value(|pause| pause[place] = None);
        } else {
            self.ask_after_pause(place);
        }
    }

    fn ask_after_pause(self, place: usize) {
        // Only a model that is there is asked without being told to.
        let ask = Timeout::new(PAUSE_MILLISECONDS, move || {
            if self.desk.model.status.is_disposed() || !untrack(|| self.desk.model.is_ready()) {
                return;
            }
            spawn_local(async move {
                if let Ok(info) = self.desk.model.ensure().await {
                    self.ask(place, info.handle, false);
                }
            });
        });
        // Replacing a timeout cancels the one before.
        self.pause.update_value(|pause| pause[place] = Some(ask));
    }

    /// Puts words in place of all masks, from the last to the first so that places stay.
    pub(super) fn put_all(self, place: usize, mut text: String, mut filled: Vec<FilledMask>) {
        let order = filled.iter().map(|filled| {
            let percent = format::percent(filled.with.score.into());
            format!(
                "“{}” in mask {} ({percent})",
                filled.with.token,
                filled.mask + 1
            )
        });
        let said = format!(
            "Filled together, the surest first: {}.",
            order.collect::<Vec<_>>().join(", then ")
        );
        filled.sort_unstable_by_key(|filled| std::cmp::Reverse(filled.mask));
        for each in &filled {
            text = words::put(&text, each.mask as usize, &each.with.text, each.with.joins);
        }
        self.replace(place, text, Vec::new());
        self.sides[place].said.set(said);
    }

    /// A hidden word of several pieces becomes as many masks; says whether any did.
    pub(super) fn expand(self, place: usize, result: &MaskResult) -> bool {
        let side = self.sides[place];
        let (mut text, mut hidden) = (side.text.get_untracked(), side.hidden.get_untracked());
        let mut pieces = result.pieces.iter();
        let mut grown = None;
        let mut mask = 0;
        while mask < hidden.len() {
            let Some(behind) = hidden[mask].as_mut().filter(|behind| !behind.counted) else {
                mask += 1;
                continue;
            };
            let Some(&count) = pieces.next() else {
                break;
            };
            behind.counted = true;
            let count = count.max(1) as usize;
            let behind = behind.clone();
            if count > 1
                && let Some(span) = words::masks(&text).into_iter().nth(mask)
            {
                text = words::hide(&text, &span, count);
                for _ in 1..count {
                    hidden.insert(mask, Some(behind.clone()));
                }
                grown = Some(format!(
                    "“{}” is {count} pieces for this model, so it became {count} masks.",
                    behind.word
                ));
            }
            mask += count;
        }
        side.hidden.set(hidden);
        let Some(said) = grown else {
            return false;
        };
        side.known.set_value(text.clone());
        side.text.set(text);
        side.said.set(said);
        true
    }
}
