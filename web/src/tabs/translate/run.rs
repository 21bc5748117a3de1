//! Runs of the tab: load if need be, translate, and again whenever the text has rested for a moment.

use std::sync::Arc;

use glassformer_engine::protocol::{
    Event, ForcedStart, Request, TranslateRequest, TranslatedSentence,
};
use glassformer_engine::tasks::translation::TranslateSettings;
use gloo::timers::callback::Timeout;
use leptos::prelude::*;
use leptos::task::spawn_local;

use self::asked::Asked;
use super::pair;
use super::shown::{Heads, Pointed, Shown};
use crate::desk::Desk;
use crate::model::LoadEnd;
use crate::page::{Page, Problem};

mod answer;
mod asked;

/// Typing asks again this long after the last key.
const PAUSE_MILLISECONDS: u32 = 350;

/// Texts of up to so many bytes come with the trees of all sentences; of longer ones, a sentence's tree
/// comes when it is looked at.
const MOST_TRACED: usize = 1500;

/// Translations of a sentence to choose from, if there are as many beams.
const MOST_ALTERNATIVES: u32 = 5;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    /// Nothing is under way.
    Idle,
    /// The model is on its way.
    Loading,
    /// Bytes of the text that have been translated, and all.
    Running(u32, u32),
    /// Done: sentences, words a second, seconds.
    Done(usize, f64, f64),
    /// Stopped by the person after so many sentences.
    Stopped(usize),
    /// It could not be done.
    Failed,
}

/// The runs of the Translate tab.
#[derive(Clone, Copy)]
pub struct Runs {
    page: Page,
    pub(super) desk: Desk,
    /// What is shown, in the order of the text.
    pub sentences: RwSignal<Vec<Shown>>,
    /// What stands behind the last sentence.
    pub tail: RwSignal<String>,
    /// The sentence whose search is shown.
    pub selected: RwSignal<usize>,
    /// The word that is pointed at.
    pub pointed: RwSignal<Option<Pointed>>,
    /// Attention of another head than the usual, where one was asked for.
    pub heads: RwSignal<Option<Heads>>,
    /// How far it is.
    pub phase: RwSignal<Phase>,
    /// Whole sentences for screen readers.
    pub spoken: RwSignal<String>,
    /// What the shown example was recorded with; nothing if it is live.
    pub recorded: RwSignal<Option<String>>,
    /// What is shown, or on its way, is of this.
    asked: RwSignal<Asked>,
    /// What was shown before that was asked.
    before: StoredValue<Option<Asked>>,
    /// Sentences of the text that came so far.
    come: StoredValue<usize>,
    pause: StoredValue<Option<Timeout>, LocalStorage>,
    run: StoredValue<u32>,
    request: StoredValue<Option<u32>>,
    versions: StoredValue<u32>,
}

/// What one request is for.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    All,
    /// A sentence with its tree; whether it begins as the person chose.
    Sentence(bool),
    /// What another head looked at in a sentence's translation.
    Head {
        index: usize,
        version: u32,
        layer: u32,
        head: u32,
    },
}

impl Runs {
    /// Nothing has run yet; the recorded example stands in if its sentence does.
    pub fn new(page: Page, desk: Desk) -> Self {
        let asked = untrack(|| Asked::now(desk));
        let recorded = asked.recorded();
        let runs = Self {
            page,
            desk,
            sentences: RwSignal::new(Vec::new()),
            tail: RwSignal::new(String::new()),
            selected: RwSignal::new(0),
            pointed: RwSignal::new(None),
            heads: RwSignal::new(None),
            phase: RwSignal::new(Phase::Idle),
            spoken: RwSignal::new(String::new()),
            recorded: RwSignal::new(None),
            asked: RwSignal::new(asked),
            before: StoredValue::new(None),
            come: StoredValue::new(0),
            pause: StoredValue::new_local(None),
            run: StoredValue::new(0),
            request: StoredValue::new(None),
            versions: StoredValue::new(0),
        };
        if let Some(recording) = recorded {
            runs.recorded.set(Some(recording.source()));
            runs.put(recording.sentence, false);
        }
        runs
    }

    /// The settings of the search.
    fn settings(&self) -> TranslateSettings {
        let beams = untrack(|| super::beams(self.desk));
        TranslateSettings {
            beams,
            best: beams.min(MOST_ALTERNATIVES),
            shortlist: untrack(|| super::shortlist(self.desk)),
            ..TranslateSettings::default()
        }
    }

    /// Loads the model if need be and translates.
    pub fn start(self) {
        self.page.notices.has_run();
        self.pause.set_value(None);
        self.desk.problem.set(None);
        self.desk.picked.set(true);
        if let Phase::Running(..) = self.phase.get_untracked() {
            self.end_early();
        }
        let run = self.begin();
        spawn_local(async move {
            if !untrack(|| self.desk.model.is_ready()) {
                self.phase.set(Phase::Loading);
            }
            let loaded = self.desk.model.ensure().await;
            if self.run.get_value() != run {
                return;
            }
            match loaded {
                Ok(info) => self.ask(info.handle),
                Err(LoadEnd::Cancelled) => self.phase.set(Phase::Idle),
                Err(LoadEnd::Failed(problem)) => self.fail(problem),
            }
        });
    }

    /// The number of a new run; what the one before still says is ignored.
    fn begin(self) -> u32 {
        self.run.update_value(|run| *run += 1);
        if let Some(request) = self.request.get_value() {
            self.desk.model.cancel(request);
            self.request.set_value(None);
        }
        self.run.get_value()
    }

    /// Starts a run if that needs no download; `asked` says that a link wants it.
    pub fn start_if_cached(self, asked: bool) {
        spawn_local(async move {
            if untrack(|| self.desk.model.is_ready()) || self.desk.model.ask_cached().await {
                self.start();
            } else if asked {
                self.page.notices.ask_to_run();
            }
        });
    }

    /// Text or settings changed: translates after a pause, if that needs no download.
    pub fn changed(self) {
        let wait = Timeout::new(PAUSE_MILLISECONDS, move || {
            if self.desk.text.with_untracked(|text| text.trim().is_empty()) {
                self.stop();
                self.desk.problem.set(None);
                self.clear();
            } else {
                self.start_if_cached(false);
            }
        });
        // Replacing a timeout cancels the one before.
        self.pause.set_value(Some(wait));
    }

    /// Stops what is under way; what was translated stays.
    pub fn stop(self) {
        self.pause.set_value(None);
        self.begin();
        if self.phase.get_untracked() == Phase::Loading {
            self.desk.model.cancel_load();
        }
        match self.phase.get_untracked() {
            Phase::Running(..) => {
                self.end_early();
                // Long texts come without trees; that of the sentence that is looked at is wanted now.
                self.want_tree(self.selected.get_untracked());
            }
            Phase::Loading => self.phase.set(Phase::Idle),
            _ => {}
        }
    }

    /// The text ended in the middle: what came of it stays, and nothing of the text before stands behind it.
    fn end_early(self) {
        let count = self.come.get_value();
        if count > 0 {
            self.keep(count);
            self.tail.set(String::new());
            return self.phase.set(Phase::Stopped(count));
        }
        if let Some(before) = self.before.get_value() {
            self.asked.set(before);
        }
        self.phase.set(Phase::Idle);
    }

    /// Translates all of the text.
    fn ask(self, model: u32) {
        let asked = untrack(|| Asked::now(self.desk));
        let text = asked.text.clone();
        self.before.set_value(Some(self.asked.get_untracked()));
        self.come.set_value(0);
        self.asked.set(asked);
        let request = TranslateRequest {
            trace: text.len() <= MOST_TRACED,
            ..self.request_of(text)
        };
        self.phase.set(Phase::Running(0, 1));
        self.send(model, request, Part::All);
    }

    fn request_of(self, text: String) -> TranslateRequest {
        let [from, _] = self.desk.values.with_untracked(pair::read);
        TranslateRequest {
            text,
            from,
            settings: self.settings(),
            ..TranslateRequest::default()
        }
    }

    /// Searches on from these tokens in one sentence; with none, as it would by itself.
    pub fn force(self, index: usize, ids: Vec<u32>) {
        let forced = !ids.is_empty();
        let sentence = index as u32;
        let request = TranslateRequest {
            forced: forced.then_some(ForcedStart { sentence, ids }),
            ..self.request_of(self.asked_text())
        };
        self.ask_one(index, request, Part::Sentence(forced));
    }

    /// Asks for the tree of a sentence that came without.
    pub fn want_tree(self, index: usize) {
        let known = self.sentences.with_untracked(|all| {
            all.get(index)
                .is_none_or(|shown| !shown.sentence.tree.is_empty())
        });
        if !known {
            self.force(index, Vec::new());
        }
    }

    /// Asks what a head looked at in the shown translation of a sentence; the usual one is here.
    pub fn want_head(self, index: usize, layer_head: Option<[u32; 2]>) {
        self.heads.set(None);
        let (Some([layer, head]), Some(shown)) = (layer_head, self.shown(index)) else {
            return;
        };
        let ids: Vec<u32> = shown.found().tokens.iter().map(|token| token.id).collect();
        let mut request = self.request_of(self.asked_text());
        request.settings = TranslateSettings {
            beams: 1,
            best: 1,
            max_tokens: ids.len() as u32,
            alignment: Some((layer, head)),
            ..request.settings
        };
        let sentence = index as u32;
        request.forced = Some(ForcedStart { sentence, ids });
        let part = Part::Head {
            index,
            version: shown.version,
            layer,
            head,
        };
        self.ask_one(index, request, part);
    }

    fn asked_text(self) -> String {
        self.asked.with_untracked(|asked| asked.text.clone())
    }

    fn ask_one(self, index: usize, request: TranslateRequest, part: Part) {
        if !untrack(|| self.can_ask()) {
            return;
        }
        let request = TranslateRequest {
            only: Some(index as u32),
            trace: matches!(part, Part::Sentence(_)),
            ..request
        };
        self.desk.problem.set(None);
        let run = self.begin();
        spawn_local(async move {
            match self.desk.model.ensure().await {
                _ if self.run.get_value() != run => {}
                Ok(info) => self.send(info.handle, request, part),
                Err(LoadEnd::Cancelled) => {}
                Err(LoadEnd::Failed(problem)) => self.fail(problem),
            }
        });
    }

    fn send(self, model: u32, request: TranslateRequest, part: Part) {
        let run = self.run.get_value();
        let mut events = self
            .desk
            .model
            .request(Request::Translate { model, request });
        self.request.set_value(Some(events.id));
        spawn_local(async move {
            while let Some(event) = events.next().await {
                if self.run.get_value() != run {
                    return;
                }
                match event {
                    Event::Sentence {
                        sentence,
                        done,
                        total,
                    } => {
                        self.take(sentence, part);
                        if part == Part::All {
                            self.come.update_value(|count| *count += 1);
                            self.phase.set(Phase::Running(done, total));
                        }
                    }
                    Event::Translated { result } => {
                        self.request.set_value(None);
                        if part == Part::All {
                            self.finish(&result);
                        }
                    }
                    Event::Moved { model, notice } => self.desk.model.moved(model, &notice),
                    Event::Failed { message, detail } => {
                        self.request.set_value(None);
                        if part == Part::All {
                            self.clear();
                        }
                        self.fail(Problem {
                            sentence: message,
                            detail,
                        });
                    }
                    // Something newer, here or in another tab.
                    Event::Cancelled if part == Part::All => {
                        self.request.set_value(None);
                        self.end_early();
                    }
                    _ => {}
                }
            }
        });
    }

    fn take(self, sentence: TranslatedSentence, part: Part) {
        match part {
            Part::All => self.put(sentence, false),
            Part::Sentence(forced) => {
                self.put(sentence, forced);
                let said = self.shown(self.selected.get_untracked());
                self.spoken
                    .set(said.map_or_else(String::new, |shown| shown.found().target.clone()));
            }
            Part::Head {
                index,
                version,
                layer,
                head,
            } => {
                let alternative = sentence.alternatives.into_iter().next();
                self.heads.set(alternative.map(|found| Heads {
                    index,
                    version,
                    layer,
                    head,
                    alignment: Arc::new(found.alignment),
                }));
            }
        }
    }

    fn fail(self, problem: Problem) {
        self.phase.set(Phase::Failed);
        self.spoken.set(problem.sentence.clone());
        self.desk.problem.set(Some(problem));
    }
}
