//! One text or picture that is looked at: its run, and what was fetched of it.

use std::collections::HashMap;
use std::sync::Arc;

use glassformer_engine::protocol::attention::{AttendTo, MapOf, floats};
use glassformer_engine::protocol::{Event, ModelInfo, Request};
use glassformer_engine::tasks::attention::Focus;
use leptos::prelude::*;
use leptos::task::spawn_local;

use web_sys::File;

use super::cell;
use super::recorded;
use super::shown::Shown;
use crate::components::notices::Notices;
use crate::desk::Desk;
use crate::model::LoadEnd;
use crate::page::{Page, Problem};

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Phase {
    /// Nothing has been asked for.
    #[default]
    Idle,
    /// The model is on its way.
    Loading,
    /// The text is being run: tokens done, and all.
    Running(u32, u32),
    /// It has been run, in so many seconds.
    Done(f64),
    /// It could not be.
    Failed,
}

/// What is to be looked at.
pub enum Subject {
    /// A text.
    Text {
        /// What was typed.
        text: String,
        /// A second sentence, or a translation.
        pair: Option<String>,
        /// Which of a translator's attentions.
        to: AttendTo,
    },
    /// A picture.
    Picture(File),
}

/// Which of a model's attentions can be looked at, of those that were asked for.
fn to_of(model: &ModelInfo, to: AttendTo) -> AttendTo {
    match (model.translator, to) {
        (Some(_), AttendTo::Source) => to,
        (Some(shape), AttendTo::Written) if shape.own => to,
        _ => AttendTo::Own,
    }
}

/// Layer, head and query of a [`Focus`].
pub type FocusKey = (u32, u32, u32);

/// One text.
#[derive(Clone, Copy)]
pub struct Text {
    page: Page,
    desk: Desk,
    /// Whether it stands beside the first.
    pub second: bool,
    /// How far it is.
    pub phase: RwSignal<Phase>,
    /// What is drawn.
    pub shown: RwSignal<Option<Arc<Shown>>>,
    /// Maps that have been fetched.
    pub maps: RwSignal<HashMap<MapOf, Arc<Vec<f32>>>>,
    /// Queries that have been fetched.
    pub focus: RwSignal<HashMap<FocusKey, Arc<Focus>>>,
    /// The engine's id of the run that is shown, and of the one under way.
    run: StoredValue<Option<u32>>,
    under_way: StoredValue<Option<u32>>,
    /// Counts runs: what older ones answer is ignored.
    serial: StoredValue<u32>,
    /// Maps and queries that were asked for.
    asked: StoredValue<Vec<Asked>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Map(MapOf),
    Focus(FocusKey),
}

impl Text {
    /// Nothing has been run; the first text shows the recorded example.
    pub fn new(page: Page, desk: Desk, second: bool) -> Self {
        let recording = (!second).then(recorded::load).flatten();
        let (shown, maps) = match recording {
            Some((shown, maps)) => (Some(Arc::new(shown)), maps),
            None => (None, HashMap::new()),
        };
        Self {
            page,
            desk,
            second,
            phase: RwSignal::new(Phase::Idle),
            shown: RwSignal::new(shown),
            maps: RwSignal::new(maps),
            focus: RwSignal::new(HashMap::new()),
            run: StoredValue::new(None),
            under_way: StoredValue::new(None),
            serial: StoredValue::new(0),
            asked: StoredValue::new(Vec::new()),
        }
    }

    /// Whether something is under way.
    pub fn is_active(&self) -> bool {
        matches!(self.phase.get(), Phase::Loading | Phase::Running(..))
    }

    /// Whether what is shown can be asked about further.
    pub fn is_live(&self) -> bool {
        self.shown
            .with(|shown| shown.as_ref().is_some_and(|shown| shown.recorded.is_none()))
    }

    /// As [`Self::is_live`], untracked.
    pub fn is_live_untracked(&self) -> bool {
        untrack(|| self.is_live())
    }

    /// The engine's number of the run that is shown.
    pub fn run_id(&self) -> Option<u32> {
        self.run.get_value()
    }

    /// A map of the run that is shown, fetched if need be and not kept.
    pub async fn map(self, of: MapOf) -> Option<Arc<Vec<f32>>> {
        if let Some(map) = self.maps.with_untracked(|maps| maps.get(&of).cloned()) {
            return Some(map);
        }
        let run = self.run.get_value()?;
        let mut events = self.desk.model.request(Request::AttentionMap { run, of });
        match events.next().await? {
            Event::AttentionMap { weights } => Some(Arc::new(floats(&weights))),
            _ => None,
        }
    }

    /// Stops what is under way; what was shown stays.
    pub fn stop(&self) {
        if let Some(request) = self.under_way.get_value() {
            self.desk.model.cancel(request);
        }
        if self.phase.get_untracked() == Phase::Loading {
            self.desk.model.cancel_load();
        }
        self.serial.update_value(|serial| *serial += 1);
        if self
            .phase
            .with_untracked(|phase| matches!(phase, Phase::Loading | Phase::Running(..)))
        {
            self.phase.set(Phase::Idle);
        }
    }

    /// Stops what is under way and waits for what to run next; gives what to ask [`Self::still_waits`] with.
    pub fn wait(&self) -> u32 {
        self.stop();
        self.phase.set(Phase::Loading);
        self.serial.get_value()
    }

    /// Whether nothing was started or stopped since.
    pub fn still_waits(&self, since: u32) -> bool {
        self.serial.get_value() == since
    }

    /// Shows nothing.
    pub fn clear(&self) {
        self.stop();
        self.desk.lens.clear(cell::source(*self));
        self.shown.set(None);
        self.run.set_value(None);
        self.phase.set(Phase::Idle);
    }

    /// Loads the model if need be and runs it. What is shown then.
    pub async fn start(self, subject: Subject) -> Option<Arc<Shown>> {
        self.stop();
        let serial = self.serial.get_value();
        let current = move || self.serial.get_value() == serial;
        self.desk.problem.set(None);
        self.desk.picked.set(true);
        self.phase.set(Phase::Loading);
        let model = match self.desk.model.ensure().await {
            _ if !current() => return None,
            Ok(model) => model,
            Err(LoadEnd::Cancelled) => {
                self.phase.set(Phase::Idle);
                return None;
            }
            Err(LoadEnd::Failed(problem)) => {
                self.fail(problem);
                return None;
            }
        };
        self.phase.set(Phase::Running(0, 0));
        let handle = model.handle;
        let mut events = match subject {
            Subject::Picture(file) => {
                let request = Request::AttendPicture { model: handle };
                self.desk.model.send_files(request, &[file])
            }
            Subject::Text { text, pair, to } => self.desk.model.request(Request::Attend {
                model: handle,
                text,
                pair: pair.filter(|_| {
                    let pairs = model.attention.is_some_and(|shape| shape.pairs);
                    pairs || (model.translator.is_some() && to != AttendTo::Own)
                }),
                to: to_of(&model, to),
            }),
        };
        let id = events.id;
        self.under_way.set_value(Some(id));
        while let Some(event) = events.next().await {
            if !current() {
                return None;
            }
            match event {
                Event::Prefill { done, total } => self.phase.set(Phase::Running(done, total)),
                Event::Moved { model, notice } => self.desk.model.moved(model, &notice),
                Event::Attended { summary } => {
                    self.under_way.set_value(None);
                    self.run.set_value(Some(id));
                    self.asked.set_value(Vec::new());
                    let seconds = summary.seconds;
                    let shown = Arc::new(Shown::new(summary, None));
                    self.desk.lens.clear(cell::source(self));
                    self.maps.set(HashMap::new());
                    self.focus.set(HashMap::new());
                    self.shown.set(Some(Arc::clone(&shown)));
                    self.phase.set(Phase::Done(seconds));
                    return Some(shown);
                }
                Event::Failed { message, detail } => self.fail(Problem {
                    sentence: message,
                    detail,
                }),
                Event::Cancelled => self.phase.set(Phase::Idle),
                _ => {}
            }
        }
        None
    }

    /// Asks for a map, unless it is here or asked for.
    pub fn want_map(self, of: MapOf) {
        let here = self.maps.with_untracked(|maps| maps.contains_key(&of));
        if !here && let Some(run) = self.ask(Asked::Map(of)) {
            let request = Request::AttentionMap { run, of };
            self.fetch(run, request, Asked::Map(of), move |event| {
                if let Event::AttentionMap { weights } = event {
                    let map = Arc::new(floats(&weights));
                    self.maps.update(|maps| {
                        maps.insert(of, map);
                    });
                }
            });
        }
    }

    /// Asks for a query's numbers, unless they are here or asked for.
    pub fn want_focus(self, key: FocusKey) {
        let here = self.focus.with_untracked(|focus| focus.contains_key(&key));
        if !here && let Some(run) = self.ask(Asked::Focus(key)) {
            let (layer, head, from) = key;
            let request = Request::AttentionFocus {
                run,
                layer,
                head,
                from,
            };
            self.fetch(run, request, Asked::Focus(key), move |event| {
                if let Event::AttentionFocus { numbers } = event {
                    let numbers = Arc::new(Focus::from(&numbers));
                    self.focus.update(|focus| {
                        focus.insert(key, numbers);
                    });
                }
            });
        }
    }

    /// The run to ask, if this was not asked before.
    fn ask(&self, asked: Asked) -> Option<u32> {
        let run = self.run.get_value()?;
        let known = self.asked.with_value(|all| all.contains(&asked));
        if known {
            return None;
        }
        self.asked.update_value(|all| all.push(asked));
        Some(run)
    }

    fn fetch(self, run: u32, request: Request, asked: Asked, take: impl Fn(Event) + 'static) {
        spawn_local(async move {
            let mut events = self.desk.model.request(request);
            while let Some(event) = events.next().await {
                if self.run.get_value() != Some(run) {
                    return;
                }
                match event {
                    Event::Failed { message, detail } => {
                        // It may be asked again, after another run.
                        self.asked
                            .update_value(|all| all.retain(|each| *each != asked));
                        self.desk.problem.set(Some(Problem {
                            sentence: message,
                            detail,
                        }));
                    }
                    event => take(event),
                }
            }
        });
    }

    /// Says something on the page.
    pub fn say(&self, sentence: &str) {
        self.page.notices.say(sentence);
    }

    /// Where the page says such things.
    pub fn notices(&self) -> Notices {
        self.page.notices
    }

    /// The tab's place.
    pub fn desk(&self) -> Desk {
        self.desk
    }

    /// Shows why nothing came.
    pub fn fail(&self, problem: Problem) {
        self.phase.set(Phase::Failed);
        self.desk.problem.set(Some(problem));
    }
}
