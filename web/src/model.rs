//! The model of a tab: which one is chosen, whether it is there, and how it gets there.

use futures::channel::oneshot;
use glassformer_engine::protocol::{
    BackendChoice, Event, ModelInfo, ModelSource, PrecisionChoice, Request,
};
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::File;

use crate::engine_client::Events;
use crate::page::Problem;

mod chosen;
mod hub;
mod transfer;

pub use chosen::Chosen;
pub use hub::Hub;
use transfer::Clock;
pub use transfer::Transfer;

/// The model a tab has chosen and the one way to load it.
#[derive(Clone, Copy)]
pub struct Model {
    /// Which one, loaded or not.
    pub chosen: RwSignal<Chosen>,
    /// Whether it is there.
    pub status: RwSignal<Status>,
    /// What the chosen model was when it was last there, though it may have been put away since.
    pub known: RwSignal<Option<Box<ModelInfo>>>,
    /// What should compute, in every tab.
    pub backend: RwSignal<BackendChoice>,
    /// How it should compute, in every tab.
    pub precision: RwSignal<PrecisionChoice>,
    /// The manifest model's weights are in the browser's cache.
    pub cached: RwSignal<bool>,
    hub: Hub,
    files: StoredValue<Vec<File>, LocalStorage>,
    /// Id of the load under way.
    loading: StoredValue<Option<u32>>,
    /// Id of the load that was cancelled last: it may end well all the same, but nobody waits.
    cancelled: StoredValue<Option<u32>>,
    /// What it will be, and who else waits for it.
    joining: StoredValue<Option<(Order, Vec<Waiter>)>, LocalStorage>,
    /// What `Ready` was loaded as; another choice means loading again.
    loaded: RwSignal<Option<Order>>,
}

/// Whether the model is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// Not loaded.
    Absent,
    /// On its way.
    Loading(Transfer),
    /// Usable.
    Ready(Box<ModelInfo>),
}

/// Hears how a load ended that somebody else had started.
type Waiter = oneshot::Sender<Result<ModelInfo, LoadEnd>>;

/// Why a load did not end with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadEnd {
    /// The person cancelled it, or a newer one replaced it.
    Cancelled,
    /// It could not be done.
    Failed(Problem),
}

/// What is loaded: equal orders need no second load.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Order {
    chosen: Chosen,
    backend: BackendChoice,
    precision: PrecisionChoice,
}

impl Model {
    /// The model of this id, not loaded.
    pub fn new(hub: Hub, id: &str) -> Self {
        let model = Self {
            chosen: RwSignal::new(Chosen::find(id)),
            status: RwSignal::new(Status::Absent),
            known: RwSignal::new(None),
            backend: hub.backend,
            precision: hub.precision,
            cached: RwSignal::new(false),
            hub,
            files: StoredValue::new_local(Vec::new()),
            loading: StoredValue::new(None),
            cancelled: StoredValue::new(None),
            joining: StoredValue::new_local(None),
            loaded: RwSignal::new(None),
        };
        hub.add(model);
        spawn_local(async move {
            model.ask_cached().await;
        });
        model
    }

    /// Chooses what another tab has chosen, loaded if that is.
    pub fn adopt(&self, other: &Self) {
        let chosen = other.chosen.get_untracked();
        if self.chosen.with_untracked(|old| *old == chosen) && untrack(|| self.is_ready()) {
            return;
        }
        self.choose(chosen, other.files.get_value());
        self.cached.set(other.cached.get_untracked());
        if untrack(|| other.is_ready()) {
            self.loaded.set(other.loaded.get_untracked());
            self.known.set(other.known.get_untracked());
            self.status.set(other.status.get_untracked());
        }
    }

    /// Forgets what the engine holds no more.
    fn forget_unless(&self, held: &[u32]) {
        let gone = self.status.with_untracked(
            |status| matches!(status, Status::Ready(info) if !held.contains(&info.handle)),
        );
        if gone {
            self.loaded.set(None);
            self.status.set(Status::Absent);
        }
    }

    /// Sends a request to the engine.
    pub fn request(&self, body: Request) -> Events {
        self.hub.with_engine(|engine| engine.request(body, &[]))
    }

    /// Sends a request with files beside it.
    pub fn send_files(&self, body: Request, files: &[File]) -> Events {
        self.hub.with_engine(|engine| engine.request(body, files))
    }

    /// Asks the engine to stop a request.
    pub fn cancel(&self, request: u32) {
        self.hub.with_engine(|engine| engine.cancel(request));
    }

    /// Cancels the load under way, if any.
    pub fn cancel_load(&self) {
        if let Some(request) = self.loading.get_value() {
            self.cancelled.set_value(Some(request));
            // Nobody may join a load that is ending; who had joined hears of it.
            self.joining.set_value(None);
            self.cancel(request);
        }
    }

    /// Id of the manifest model, if one is chosen: opened files cannot travel in a link.
    pub fn manifest_id(&self) -> Option<String> {
        self.chosen.with(|chosen| match chosen {
            Chosen::Manifest(entry) => Some(entry.id.clone()),
            _ => None,
        })
    }

    /// Bytes that a run would fetch over the network first; `None` if nothing.
    pub fn download(&self) -> Option<u64> {
        let coming = self
            .status
            .with(|status| matches!(status, Status::Loading(_)));
        let here = coming || self.cached.get() || self.is_ready();
        self.chosen.with(|chosen| match chosen {
            Chosen::Manifest(entry) if !here => Some(entry.total_bytes()),
            _ => None,
        })
    }

    /// Whether what is chosen is loaded the way it is chosen.
    pub fn is_ready(&self) -> bool {
        let order = self.order();
        self.loaded.with(|loaded| loaded.as_ref() == Some(&order))
            && self
                .status
                .with(|status| matches!(status, Status::Ready(_)))
    }

    /// Asks whether the chosen manifest model is in the cache, and remembers the answer.
    pub async fn ask_cached(&self) -> bool {
        let Chosen::Manifest(entry) = self.chosen.get_untracked() else {
            return false;
        };
        let mut events = self.request(Request::IsCached {
            model: entry.id.clone(),
        });
        let cached = matches!(events.next().await, Some(Event::Cached { cached: true }));
        // Another may have been chosen meanwhile.
        if self
            .chosen
            .with_untracked(|now| *now == Chosen::Manifest(entry))
        {
            self.cached.set(cached);
        }
        cached
    }

    /// Chooses a model of the manifest; it is loaded by the next run.
    pub fn choose_manifest(&self, id: &str) {
        let chosen = Chosen::find(id);
        if self.chosen.with_untracked(|old| *old == chosen) {
            return;
        }
        self.choose(chosen, Vec::new());
        let model = *self;
        spawn_local(async move {
            model.ask_cached().await;
        });
    }

    /// Chooses and loads opened files. When that fails, the choice before is restored.
    pub async fn open(&self, label: String, files: Vec<File>) -> Result<ModelInfo, LoadEnd> {
        let before = (self.chosen.get_untracked(), self.files.get_value());
        let bytes = files.iter().map(|file| file.size() as u64).sum();
        let serial = self.hub.next_serial();
        let opened = Chosen::Opened {
            label,
            bytes,
            serial,
        };
        self.choose(opened.clone(), files);
        let outcome = self.ensure().await;
        if outcome.is_err() && self.chosen.with_untracked(|chosen| *chosen == opened) {
            self.choose(before.0, before.1);
            self.ask_cached().await;
        }
        outcome
    }

    /// Loads what is chosen; the engine answers at once if it is in memory.
    pub async fn ensure(&self) -> Result<ModelInfo, LoadEnd> {
        let order = untrack(|| self.order());
        if let Some(joined) = self.join(&order) {
            return joined.await.unwrap_or(Err(LoadEnd::Cancelled));
        }
        if !untrack(|| self.is_ready()) {
            self.loaded.set(None);
            self.status
                .set(Status::Loading(Transfer::begin(order.chosen.bytes())));
        }
        let files = self.files.get_value();
        let model = match &order.chosen {
            Chosen::Manifest(entry) => ModelSource::Manifest {
                id: entry.id.clone(),
            },
            Chosen::Opened { serial, .. } => ModelSource::Files {
                names: files.iter().map(File::name).collect(),
                serial: *serial,
            },
            Chosen::Nothing => {
                self.status.set(Status::Absent);
                let sentence =
                    "There is no model to load; open a GGUF file or a model folder.".into();
                return Err(LoadEnd::Failed(Problem {
                    sentence,
                    detail: String::new(),
                }));
            }
        };
        let body = Request::Load {
            model,
            backend: order.backend,
            precision: order.precision,
        };
        let events = self.hub.with_engine(|engine| engine.request(body, &files));
        let id = events.id;
        self.loading.set_value(Some(id));
        self.joining.set_value(Some((order.clone(), Vec::new())));
        let outcome = self.follow(events).await;
        // A newer load owns the status now.
        if self.loading.get_value() != Some(id) {
            return Err(LoadEnd::Cancelled);
        }
        self.loading.set_value(None);
        match &outcome {
            Ok(info) => {
                self.loaded.set(Some(order));
                self.ready(info.clone());
            }
            // Another tab's request came first; what was in memory still is.
            Err(LoadEnd::Cancelled) if untrack(|| self.is_ready()) => {}
            Err(_) => {
                self.loaded.set(None);
                self.status.set(Status::Absent);
                // A kept copy that turned out to be damaged was dropped.
                let model = *self;
                spawn_local(async move {
                    model.ask_cached().await;
                });
            }
        }
        if outcome.is_ok() && self.cancelled.get_value() == Some(id) {
            return Err(LoadEnd::Cancelled);
        }
        let waiters = self.joining.try_update_value(Option::take).flatten();
        for waiter in waiters.into_iter().flat_map(|(_, waiters)| waiters) {
            // Who has stopped waiting does not mind.
            let _ = waiter.send(outcome.clone());
        }
        outcome
    }

    /// Waits for the load under way, if it is of this order: a second one would replace it.
    fn join(&self, order: &Order) -> Option<oneshot::Receiver<Result<ModelInfo, LoadEnd>>> {
        self.joining
            .try_update_value(|joining| {
                let (_, waiters) = joining
                    .as_mut()
                    .filter(|(under_way, _)| under_way == order)?;
                let (sender, receiver) = oneshot::channel();
                waiters.push(sender);
                Some(receiver)
            })
            .flatten()
    }

    fn choose(&self, chosen: Chosen, files: Vec<File>) {
        self.cancel_load();
        self.loading.set_value(None);
        self.joining.set_value(None);
        self.files.set_value(files);
        self.cached.set(false);
        self.loaded.set(None);
        self.known.set(None);
        self.chosen.set(chosen);
        self.status.set(Status::Absent);
    }

    /// The engine went on elsewhere in the middle of a text.
    pub fn moved(&self, info: ModelInfo, notice: &str) {
        self.hub.notices.say(notice);
        self.ready(info);
    }

    fn ready(&self, info: ModelInfo) {
        let info = Box::new(info);
        self.known.set(Some(info.clone()));
        self.status.set(Status::Ready(info));
    }

    /// Loses the GPU, as a crash of its driver would.
    pub fn lose_device(&self) {
        self.hub
            .with_engine(|engine| engine.tell(&Request::LoseDevice));
    }

    fn order(&self) -> Order {
        Order {
            chosen: self.chosen.get(),
            backend: self.backend.get(),
            precision: self.precision.get(),
        }
    }

    async fn follow(&self, mut events: Events) -> Result<ModelInfo, LoadEnd> {
        let id = events.id;
        let mut clock = Clock::default();
        while let Some(event) = events.next().await {
            match event {
                Event::Progress {
                    loaded,
                    total,
                    from,
                } if self.loading.get_value() == Some(id) => {
                    let now = now_seconds();
                    let seconds_left = total.and_then(|total| clock.left(now, loaded, total));
                    let transfer = Transfer {
                        loaded,
                        total,
                        from: Some(from),
                        seconds_left,
                    };
                    self.loaded.set(None);
                    self.status.set(Status::Loading(transfer));
                }
                Event::Ready {
                    model,
                    notice,
                    held,
                    cached,
                } => {
                    self.hub.held(&held);
                    if self.loading.get_value() == Some(id) {
                        self.cached.set(cached);
                    }
                    if let Some(notice) = notice {
                        self.hub.notices.say(&notice);
                    }
                    return Ok(model);
                }
                Event::Failed { message, detail } => {
                    return Err(LoadEnd::Failed(Problem {
                        sentence: message,
                        detail,
                    }));
                }
                Event::Cancelled => return Err(LoadEnd::Cancelled),
                _ => {}
            }
        }
        Err(LoadEnd::Cancelled)
    }
}

/// Seconds on the page's monotonic clock.
pub fn now_seconds() -> f64 {
    window()
        .performance()
        .map_or(0.0, |clock| clock.now() / 1000.0)
}
