//! Runs of the tab: load if need be, then what is missing: pictures not seen, texts not read. So a new
//! text costs one column, a new picture one row.

use std::collections::HashMap;
use std::sync::Arc;

use glassformer_engine::tasks::matching::in_template;
use gloo::timers::callback::Timeout;
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::File;

use super::pictures::{Picture, State};
use super::recorded::Recording;
use super::table::{Shown, Table, Vector};
use super::why::Explained;
use super::{OPENING, RANKED, SOURCE, STRIDE, labels_of};
use crate::desk::Desk;
use crate::format;
use crate::model::LoadEnd;
use crate::page::{Page, Problem};

mod asking;
mod rows;
mod settings;

/// Typing asks again this long after the last key.
const PAUSE_MILLISECONDS: u32 = 350;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    /// Nothing is under way.
    Idle,
    /// The model is on its way.
    Loading,
    /// So many pictures are seen, of so many.
    Looking(usize, usize),
    /// Done: pictures seen and texts read in this run, seconds.
    Done(usize, usize, f64),
    /// It could not be done.
    Failed,
}

/// A text that was read: its vector, or why there is none.
pub type Text = Result<Arc<Vec<f32>>, String>;

/// The runs of the Match tab.
#[derive(Clone, Copy)]
pub struct Runs {
    page: Page,
    pub(super) desk: Desk,
    /// Rows.
    pub pictures: RwSignal<Vec<Picture>>,
    /// Columns, as typed.
    pub labels: Memo<Vec<String>>,
    /// What was read, by the text in its template.
    pub texts: RwSignal<HashMap<String, Text>>,
    /// What the cells show.
    pub shown: Memo<Shown>,
    /// The numbers.
    pub table: Memo<Table>,
    /// How far it is.
    pub phase: RwSignal<Phase>,
    /// Whole sentences for screen readers.
    pub spoken: RwSignal<String>,
    /// What was explained last.
    pub explained: RwSignal<Option<Explained>>,
    scale: RwSignal<f32>,
    recorded: RwSignal<Option<Recording>>,
    /// The model that saw and read.
    handle: StoredValue<Option<u32>>,
    files: StoredValue<HashMap<u32, File>, LocalStorage>,
    requests: StoredValue<Vec<u32>>,
    last_picture: StoredValue<u32>,
    pause: StoredValue<Option<Timeout>, LocalStorage>,
    run: StoredValue<u32>,
}

impl Runs {
    /// The samples and the recorded numbers, until something else is there.
    pub fn new(page: Page, desk: Desk) -> Self {
        let pictures = RwSignal::new(Vec::<Picture>::new());
        let labels = Memo::new(move |_| desk.text.with(|text| labels_of(text)));
        let texts = RwSignal::new(HashMap::<String, Text>::new());
        let scale = RwSignal::new(1.0);
        let recorded = RwSignal::new(None::<Recording>);
        let shown = Memo::new(move |_| {
            let named = |values: &crate::fragment::Values| Shown::named(values.get("softmax")?);
            desk.values.with(named).unwrap_or_default()
        });
        let table = Memo::new(move |_| {
            if let Some(table) = recorded.with(|r| r.as_ref().map(Recording::table)) {
                return table;
            }
            let rows: Vec<Vector> = pictures.with(|pictures| {
                let vector = |picture: &Picture| {
                    picture.state.with(|state| match state {
                        State::Seen(seen) => Some(Arc::new(seen.embedding.clone())),
                        _ => None,
                    })
                };
                pictures.iter().map(vector).collect()
            });
            let columns: Vec<Vector> = labels.with(|labels| {
                let template = template_of(desk);
                texts.with(|texts| {
                    let read = |label: &String| texts.get(&in_template(&template, label));
                    let vector =
                        |label: &String| read(label).and_then(|text| text.as_ref().ok().cloned());
                    labels.iter().map(vector).collect()
                })
            });
            Table::new(&rows, &columns, scale.get())
        });
        let runs = Self {
            page,
            desk,
            pictures,
            labels,
            texts,
            shown,
            table,
            phase: RwSignal::new(Phase::Idle),
            spoken: RwSignal::new(String::new()),
            explained: RwSignal::new(None),
            scale,
            recorded,
            handle: StoredValue::new(None),
            files: StoredValue::new_local(HashMap::new()),
            requests: StoredValue::new(Vec::new()),
            last_picture: StoredValue::new(0),
            pause: StoredValue::new_local(None),
            run: StoredValue::new(0),
        };
        runs.add_samples();
        if desk.text.with_untracked(|text| text == OPENING) {
            recorded.set(Recording::load());
        }
        // What cells show asks for nothing.
        let template = Memo::new(move |_| template_of(desk));
        Effect::new(move |before: Option<()>| {
            labels.track();
            template.track();
            if before.is_some() {
                runs.typed();
            }
        });
        Effect::new(move |_| {
            let dropped = desk.dropped.get();
            if !dropped.is_empty() {
                desk.dropped.set(Vec::new());
                runs.add(dropped);
            }
        });
        runs
    }

    /// Whether what is shown is the recorded example.
    pub fn is_recorded(&self) -> bool {
        self.recorded.with(Option::is_some)
    }

    /// What the example was recorded with.
    pub fn recorded_source(&self) -> String {
        self.recorded
            .with(|recording| recording.as_ref().map(Recording::source))
            .unwrap_or_default()
    }

    /// Whether Stop has something to stop.
    pub fn is_active(&self) -> bool {
        let explaining = self
            .explained
            .with(|e| e.as_ref().is_some_and(Explained::is_active));
        explaining || matches!(self.phase.get(), Phase::Loading | Phase::Looking(..))
    }

    /// The status line.
    pub fn status(&self) -> String {
        match self.phase.get() {
            Phase::Idle | Phase::Failed => String::new(),
            Phase::Loading => "loading the model".into(),
            Phase::Looking(done, all) => {
                format!("{done} of {}", format::counted(all as u64, "picture"))
            }
            Phase::Done(seen, read, seconds) => {
                let mut parts = Vec::new();
                if seen > 0 {
                    parts.push(format::counted(seen as u64, "picture"));
                }
                if read > 0 {
                    parts.push(format::counted(read as u64, "text"));
                }
                parts.push(if seconds < 0.9995 {
                    format!("{:.0} ms", (seconds * 1000.0).max(1.0))
                } else {
                    format::seconds(seconds)
                });
                parts.join(" · ")
            }
        }
    }

    /// The text of a column in its template.
    pub fn prompt(&self, label: &str) -> String {
        in_template(&template_of(self.desk), label)
    }

    /// What cosines are multiplied by before a softmax.
    pub fn scale(&self) -> f32 {
        self.table.with_untracked(|table| table.scale)
    }

    fn forget_recorded(&self) {
        if self.recorded.with_untracked(Option::is_some) {
            self.recorded.set(None);
            self.desk.lens.clear(SOURCE);
        }
    }

    fn typed(self) {
        // The cell of before may be another text's now; a ranking follows by itself.
        let lens = self.desk.lens;
        let ranked = |index: usize| index % STRIDE == RANKED;
        if !lens.locked_index(SOURCE).is_some_and(ranked) {
            lens.clear(SOURCE);
        }
        let same = self.recorded.with_untracked(|r| {
            r.as_ref()
                .is_none_or(|r| self.labels.with_untracked(|l| *l == r.texts))
        });
        let plain = template_of(self.desk) == "{}";
        if !(same && plain) {
            self.forget_recorded();
        }
        let later = Timeout::new(PAUSE_MILLISECONDS, move || self.look_if_ready());
        self.pause.set_value(Some(later));
    }

    /// Goes on with a model that is there; otherwise the button keeps asking.
    fn look_if_ready(self) {
        let used = self.handle.get_value().is_some();
        let (prompts, waiting) = self.missing();
        // A run would end an explanation under way, and is not for nothing.
        let nothing = prompts.is_empty() && waiting.is_empty();
        if used && !nothing && untrack(|| self.desk.model.is_ready()) {
            self.start();
        }
    }

    /// Loads the model if need be, and asks for what is missing.
    pub fn start(self) {
        self.run.update_value(|run| *run += 1);
        let run = self.run.get_value();
        self.desk.problem.set(None);
        self.page.notices.has_run();
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
                Ok(info) => self.fill(info.handle, run).await,
                Err(LoadEnd::Cancelled) => self.phase.set(Phase::Idle),
                Err(LoadEnd::Failed(problem)) => self.fail(problem),
            }
        });
    }

    /// Starts a run if that needs no download.
    pub fn start_if_cached(self) {
        spawn_local(async move {
            if untrack(|| self.desk.model.is_ready()) || self.desk.model.ask_cached().await {
                self.start();
            } else {
                self.page.notices.ask_to_run();
            }
        });
    }

    /// Stops what is under way; what is computed stays.
    pub fn stop(self) {
        self.run.update_value(|run| *run += 1);
        self.desk.model.cancel_load();
        self.requests.update_value(|requests| {
            requests
                .drain(..)
                .for_each(|request| self.desk.model.cancel(request));
        });
        self.explained.update(|explained| {
            if let Some(explained) = explained.as_mut().filter(|e| e.is_active()) {
                explained.stop();
            }
        });
        if self
            .phase
            .with_untracked(|p| matches!(p, Phase::Loading | Phase::Looking(..)))
        {
            self.phase.set(Phase::Idle);
        }
    }

    /// Another model sees everything anew.
    fn use_model(&self, handle: u32) {
        if self.handle.get_value() == Some(handle) {
            return;
        }
        self.handle.set_value(Some(handle));
        self.desk.lens.clear(SOURCE);
        self.texts.update(HashMap::clear);
        self.explained.set(None);
        self.pictures.with_untracked(|pictures| {
            for picture in pictures {
                picture.state.set(State::Waiting);
            }
        });
    }

    /// Texts that nobody has read and pictures that nobody has looked at.
    fn missing(&self) -> (Vec<String>, Vec<Picture>) {
        let prompts = self.labels.with_untracked(|labels| {
            let prompts = labels.iter().map(|label| untrack(|| self.prompt(label)));
            self.texts
                .with_untracked(|known| prompts.filter(|p| !known.contains_key(p)).collect())
        });
        let waiting = self.pictures.with_untracked(|pictures| {
            let waits = |p: &&Picture| p.state.with_untracked(|state| *state == State::Waiting);
            pictures.iter().filter(waits).cloned().collect()
        });
        (prompts, waiting)
    }

    async fn fill(self, handle: u32, run: u32) {
        self.use_model(handle);
        let (prompts, waiting) = self.missing();
        let start = now();
        let (all, texts) = (waiting.len(), prompts.len());
        self.phase.set(Phase::Looking(0, all));
        if !self.read(handle, run, prompts).await || !self.see(handle, run, waiting).await {
            return;
        }
        self.forget_recorded();
        self.phase
            .set(Phase::Done(all, texts, (now() - start) / 1000.0));
        self.spoken.set(self.status());
    }

    fn fail(self, problem: Problem) {
        self.phase.set(Phase::Failed);
        // Before there was a model there is nothing of its own to show.
        if self.handle.get_value().is_some() {
            self.forget_recorded();
        }
        self.spoken.set(problem.sentence.clone());
        self.desk.problem.set(Some(problem));
    }

    /// The model that saw and read, if it did.
    pub(super) fn seen_by(&self) -> Option<u32> {
        self.handle.get_value()
    }

    /// Remembers a request for Stop.
    pub(super) fn track(&self, request: u32) {
        self.requests
            .update_value(|requests| requests.push(request));
    }
}

/// The template that is typed.
fn template_of(desk: Desk) -> String {
    desk.values
        .with(|values| values.get("template").cloned())
        .unwrap_or_else(|| "{}".into())
}

fn now() -> f64 {
    window().performance().map_or(0.0, |clock| clock.now())
}
