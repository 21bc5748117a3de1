//! Runs of the tab: load if need be, then ask about each text; typing asks again after a pause.

use std::sync::Arc;

use glassformer_engine::protocol::{Event, MaskRequest, MaskResult, Request};
use gloo::timers::callback::Timeout;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::OPENING;
use super::arcs;
use super::recorded::Recording;
use super::side::{Answered, Side};
use crate::desk::Desk;
use crate::format;
use crate::model::LoadEnd;
use crate::page::{Page, Problem};

/// Words named for each mask.
const TOP: u32 = 8;

/// Typing asks again this long after the last key.
pub const PAUSE_MILLISECONDS: u32 = 350;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    /// Nothing is under way.
    Idle,
    /// The model is on its way.
    Loading,
    /// The texts are being read.
    Reading,
    /// Done, with tokens, masks and seconds of the last answer.
    Done(usize, usize, f64),
    /// It could not be done.
    Failed,
}

/// The runs of the Fill-mask tab.
#[derive(Clone, Copy)]
pub struct Runs {
    page: Page,
    pub(super) desk: Desk,
    /// The texts side by side; the second is looked at when `compare` says so.
    pub sides: [Side; 2],
    /// Whether there are two.
    pub compare: RwSignal<bool>,
    /// How far it is.
    pub phase: RwSignal<Phase>,
    /// Whole sentences for screen readers.
    pub spoken: RwSignal<String>,
    recorded: RwSignal<Option<Recording>>,
    pub(super) pause: StoredValue<[Option<Timeout>; 2], LocalStorage>,
    pub(super) groups: StoredValue<u32>,
    run: StoredValue<u32>,
}

impl Runs {
    /// Nothing has run yet; the recorded example stands in if its sentence does.
    pub fn new(page: Page, desk: Desk) -> Self {
        let second = desk
            .values
            .with_untracked(|values| values.get("second").cloned());
        let second = RwSignal::new(second.unwrap_or_default());
        let compare = RwSignal::new(second.with_untracked(|text| !text.is_empty()));
        let shown = move || {
            if compare.get() {
                second.get()
            } else {
                String::new()
            }
        };
        // The second text travels in links as a setting does, while it is shown.
        Effect::new(move |_| {
            let text = shown();
            desk.values.update(|values| {
                if text.is_empty() {
                    values.remove("second");
                } else {
                    values.insert("second", text);
                }
            });
        });
        let runs = Self {
            page,
            desk,
            sides: [
                // The first text's problem is the tab's.
                Side::new(desk.text, desk.problem),
                Side::new(second, RwSignal::new(None)),
            ],
            compare,
            phase: RwSignal::new(Phase::Idle),
            spoken: RwSignal::new(String::new()),
            recorded: RwSignal::new(None),
            pause: StoredValue::new_local([None, None]),
            groups: StoredValue::new(0),
            run: StoredValue::new(0),
        };
        // Links that are followed later change both.
        Effect::new(move |_| {
            let text = desk
                .values
                .with(|values| values.get("second").cloned().unwrap_or_default());
            if untrack(shown) != text {
                runs.set_compare(!text.is_empty());
                if !text.is_empty() {
                    second.set(text);
                }
            }
        });
        for (place, side) in runs.sides.into_iter().enumerate() {
            Effect::new(move |_| runs.typed(place, side.text.get()));
        }
        if desk.text.with_untracked(|text| text == OPENING) {
            runs.show_recorded();
        }
        runs
    }

    fn show_recorded(&self) {
        let Some(recording) = Recording::load() else {
            return;
        };
        let result = Arc::new(recording.result.clone());
        let text = OPENING.to_owned();
        self.sides[0].answer.set(Some(Answered { text, result }));
        self.recorded.set(Some(recording));
    }

    /// Whether what is shown is the recorded example.
    pub fn is_recorded(&self) -> bool {
        self.recorded.with(Option::is_some)
    }

    /// Whether there is anything to show.
    pub fn has_answer(&self) -> bool {
        let count = if self.compare.get() { 2 } else { 1 };
        let mut sides = self.sides.iter().take(count);
        sides.any(|side| side.answer.with(Option::is_some))
    }

    /// What the example was recorded with.
    pub fn recorded_source(&self) -> String {
        self.recorded
            .with(|recording| recording.as_ref().map(Recording::source))
            .unwrap_or_default()
    }

    /// Whether Stop has something to stop.
    pub fn is_active(&self) -> bool {
        matches!(self.phase.get(), Phase::Loading | Phase::Reading)
    }

    /// The status line.
    pub fn status(&self) -> String {
        match self.phase.get() {
            Phase::Idle | Phase::Failed => String::new(),
            Phase::Loading => "loading the model".into(),
            Phase::Reading => "reading".into(),
            Phase::Done(tokens, masks, seconds) => format!(
                "{} · {} · {}",
                format::counted(tokens as u64, "token"),
                format::counted(masks as u64, "mask"),
                if seconds < 0.9995 {
                    format!("{:.0} ms", (seconds * 1000.0).max(1.0))
                } else {
                    format::seconds(seconds)
                }
            ),
        }
    }

    /// The texts that are shown.
    pub(super) fn active_places(&self) -> std::ops::Range<usize> {
        0..if self.compare.get_untracked() { 2 } else { 1 }
    }

    /// Loads the model if need be and asks about every text; with `fill` the words are put in.
    pub fn start(self, fill: bool) {
        self.page.notices.has_run();
        self.run.update_value(|run| *run += 1);
        let run = self.run.get_value();
        self.desk.problem.set(None);
        self.desk.picked.set(true);
        spawn_local(async move {
            if !untrack(|| self.desk.model.is_ready()) {
                self.phase.set(Phase::Loading);
            }
            let loaded = self.desk.model.ensure().await;
            if self.run.get_value() != run {
                return;
            }
            match loaded {
                Ok(info) => {
                    for place in self.active_places() {
                        self.ask(place, info.handle, fill);
                    }
                }
                Err(LoadEnd::Cancelled) => self.phase.set(Phase::Idle),
                Err(LoadEnd::Failed(problem)) => self.fail(problem),
            }
        });
    }

    /// Starts a run if that needs no download; otherwise the button keeps asking.
    pub fn start_if_cached(self) {
        spawn_local(async move {
            if untrack(|| self.desk.model.is_ready()) || self.desk.model.ask_cached().await {
                self.start(false);
            } else {
                self.page.notices.ask_to_run();
            }
        });
    }

    /// Stops what is under way.
    pub fn stop(self) {
        self.run.update_value(|run| *run += 1);
        self.desk.model.cancel_load();
        for place in 0..self.sides.len() {
            self.give_up(place);
        }
        self.phase.set(Phase::Idle);
    }

    /// Asks no more about one text.
    pub(super) fn give_up(self, place: usize) {
        self.pause.update_value(|pause| pause[place] = None);
        let side = self.sides[place];
        side.serial.update_value(|serial| *serial += 1);
        if let Some(request) = side.request.get_value() {
            self.desk.model.cancel(request);
            self.settle(place, Phase::Idle);
        }
    }

    /// A text's request has ended; while another's is under way, the tab is not done.
    fn settle(self, place: usize, phase: Phase) {
        self.sides[place].request.set_value(None);
        let mut sides = self.sides.iter();
        if sides.all(|side| side.request.get_value().is_none()) {
            self.phase.set(phase);
        }
    }

    /// Asks about one text; whatever was asked about it before is given up.
    pub(super) fn ask(self, place: usize, model: u32, fill: bool) {
        if !self.active_places().contains(&place) {
            return;
        }
        let side = self.sides[place];
        side.serial.update_value(|serial| *serial += 1);
        let serial = side.serial.get_value();
        let text = side.text.get_untracked();
        let uncounted = side.hidden.with_untracked(|hidden| {
            let words = hidden.iter().flatten().filter(|behind| !behind.counted);
            words.map(|behind| behind.word.clone()).collect::<Vec<_>>()
        });
        let request = MaskRequest {
            text: text.clone(),
            pair: None,
            top: TOP,
            fill,
            attention: true,
            words: uncounted,
        };
        self.phase.set(Phase::Reading);
        let mut events = self.desk.model.request(Request::FillMask {
            model,
            place: place as u32,
            request,
        });
        side.request.set_value(Some(events.id));
        spawn_local(async move {
            while let Some(event) = events.next().await {
                if side.serial.get_value() != serial {
                    return;
                }
                match event {
                    Event::Masked { result } => self.take(place, model, text.clone(), result),
                    Event::Moved { model, notice } => self.desk.model.moved(model, &notice),
                    Event::Failed { message, detail } => {
                        side.answer.set(None);
                        self.let_go(place);
                        self.forget_recorded();
                        self.settle(place, Phase::Failed);
                        let sentence = message;
                        self.say(side.problem, Problem { sentence, detail });
                    }
                    Event::Cancelled => self.settle(place, Phase::Idle),
                    _ => {}
                }
            }
        });
    }

    /// What is kept in the lens was of this text's answer before; the other text's stays.
    pub(super) fn let_go(self, place: usize) {
        let lens = self.desk.lens;
        let kept = lens.locked_index(arcs::SOURCE);
        if kept.is_none_or(|index| arcs::side_of(index) == place) {
            lens.clear(arcs::SOURCE);
        }
    }

    fn forget_recorded(&self) {
        if self.recorded.with_untracked(Option::is_some) {
            self.recorded.set(None);
        }
    }

    fn take(self, place: usize, model: u32, text: String, result: MaskResult) {
        let side = self.sides[place];
        side.problem.set(None);
        self.forget_recorded();
        self.let_go(place);
        // Pieces were counted for the words of the text that was sent.
        let current = side.text.with_untracked(|now| *now == text);
        if current && self.expand(place, &result) {
            return self.ask(place, model, false);
        }
        let masks = result.masks.len();
        let done = Phase::Done(result.tokens.len(), masks, result.seconds);
        self.settle(place, done);
        side.mask
            .update(|mask| *mask = (*mask).min(masks.saturating_sub(1)));
        let unknown = result.unknown as u64;
        if unknown > 0 {
            let tokens = format::counted(unknown, "token");
            side.said.set(format!(
                "The model's vocabulary lacks {tokens} of this text; it sees [UNK] there."
            ));
        }
        let best = result.masks.iter().enumerate().filter_map(|(mask, found)| {
            let best = found.predictions.first()?;
            let percent = format::percent(best.score.into());
            Some(format!("mask {}: {}, {percent}", mask + 1, best.token))
        });
        self.spoken.set(best.collect::<Vec<_>>().join("; "));
        let filled = result.filled.clone();
        let result = Arc::new(result);
        side.answer.set(Some(Answered {
            text: text.clone(),
            result,
        }));
        if !filled.is_empty() && current {
            self.put_all(place, text, filled);
        }
    }

    fn fail(self, problem: Problem) {
        self.phase.set(Phase::Failed);
        self.say(self.desk.problem, problem);
    }

    fn say(self, place: RwSignal<Option<Problem>>, problem: Problem) {
        self.spoken.set(problem.sentence.clone());
        place.set(Some(problem));
    }
}
