//! The page's end of the conversation with the worker that runs the engine.
//!
//! Each request gets its own stream of events. A worker that dies is started again; the requests
//! it left unanswered end with [`Event::Failed`], so no caller waits for ever.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use glassformer_engine::protocol::{Envelope, Event, Request};
use gloo::timers::callback::Timeout;
use serde::Serialize;
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, File, MessageEvent, Worker, WorkerOptions, WorkerType};

use self::program::worker_program;

mod program;

/// A worker that has not spoken by then is taken for dead.
const START_MILLISECONDS: u32 = 600_000;
/// Deaths in a row, without a life between them, after which it is not started again.
const MOST_FAILURES: u32 = 3;

/// What the person reads when the worker died.
pub const RESTARTED: &str = "The engine stopped unexpectedly and was started again; your text is kept, and the next run loads the model anew.";
const GIVEN_UP: &str = "The engine does not start in this browser; your text is kept, and reloading the page tries again.";

/// A handle to the worker; clones share it.
#[derive(Clone)]
pub struct EngineClient {
    inner: Rc<Inner>,
}

/// Told a sentence for the person, and whether requests ended unanswered.
type OnRestart = dyn Fn(&str, bool);

struct Inner {
    worker: RefCell<Option<Worker>>,
    /// The worker has said hello; before that it would miss messages.
    up: Cell<bool>,
    unsent: RefCell<Vec<JsValue>>,
    last_id: Cell<u32>,
    failures: Cell<u32>,
    waiting: RefCell<HashMap<u32, UnboundedSender<Event>>>,
    on_message: Closure<dyn FnMut(MessageEvent)>,
    on_error: Closure<dyn FnMut(ErrorEvent)>,
    start_timeout: RefCell<Option<Timeout>>,
    on_restart: Box<OnRestart>,
}

/// The events that answer one request, in order.
pub struct Events {
    /// The request's id, for [`EngineClient::cancel`].
    pub id: u32,
    events: UnboundedReceiver<Event>,
    client: Weak<Inner>,
}

impl EngineClient {
    /// Starts the worker. `on_restart` is told, in one sentence, when it had to be started again,
    /// and whether requests ended by that, which have been told too.
    pub fn start(on_restart: impl Fn(&str, bool) + 'static) -> Self {
        let inner = Rc::new_cyclic(|inner: &Weak<Inner>| {
            let for_message = inner.clone();
            let for_error = inner.clone();
            Inner {
                worker: RefCell::default(),
                up: Cell::default(),
                unsent: RefCell::default(),
                last_id: Cell::default(),
                failures: Cell::default(),
                waiting: RefCell::default(),
                on_message: Closure::new(move |event: MessageEvent| {
                    if let Some(inner) = for_message.upgrade() {
                        inner.receive(&event.data());
                    }
                }),
                on_error: Closure::new(move |event: ErrorEvent| {
                    if let Some(inner) = for_error.upgrade() {
                        inner.restart(&describe(&event));
                    }
                }),
                start_timeout: RefCell::default(),
                on_restart: Box::new(on_restart),
            }
        });
        Inner::spawn(&inner);
        Self { inner }
    }

    /// Sends a request, with the files of a [`ModelSource::Files`] load beside it.
    ///
    /// [`ModelSource::Files`]: glassformer_engine::protocol::ModelSource::Files
    pub fn request(&self, body: Request, files: &[File]) -> Events {
        let inner = &self.inner;
        let id = inner.last_id.get() + 1;
        inner.last_id.set(id);
        let (sender, events) = unbounded();
        if inner.worker.borrow().is_none() {
            // The receiver is right here.
            let _ = sender.unbounded_send(failed(GIVEN_UP, ""));
        } else {
            inner.waiting.borrow_mut().insert(id, sender);
            inner.send(id, &body, files);
        }
        Events {
            id,
            events,
            client: Rc::downgrade(inner),
        }
    }

    /// Asks to stop a request; its own stream tells how it ended.
    pub fn cancel(&self, request: u32) {
        self.tell(&Request::Cancel { request });
    }

    /// Sends a request that has no answer.
    pub fn tell(&self, body: &Request) {
        let id = self.inner.last_id.get() + 1;
        self.inner.last_id.set(id);
        self.inner.send(id, body, &[]);
    }
}

impl Events {
    /// The next event; `None` after the one that ends the request.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.next().await
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Some(inner) = self.client.upgrade() {
            inner.waiting.borrow_mut().remove(&self.id);
        }
    }
}

impl Inner {
    fn spawn(self: &Rc<Self>) {
        self.up.set(false);
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = match Worker::new_with_options(worker_program(), &options) {
            Ok(worker) => worker,
            Err(error) => return self.give_up(&format!("{error:?}")),
        };
        worker.set_onmessage(Some(self.on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(self.on_error.as_ref().unchecked_ref()));
        self.worker.replace(Some(worker));
        // Should a browser fail to start it without an event.
        let late = Rc::downgrade(self);
        let timeout = Timeout::new(START_MILLISECONDS, move || {
            if let Some(inner) = late.upgrade() {
                inner.failures.set(MOST_FAILURES);
                inner.restart("The worker sent no greeting.");
            }
        });
        self.start_timeout.replace(Some(timeout));
    }

    fn send(&self, id: u32, body: &Request, files: &[File]) {
        let message = match to_message(id, body, files) {
            Ok(message) => message,
            Err(detail) => {
                return self.dispatch(
                    id,
                    failed("The request could not be sent to the engine.", &detail),
                );
            }
        };
        match (self.up.get(), &*self.worker.borrow()) {
            (true, Some(worker)) => {
                if let Err(error) = worker.post_message(&message) {
                    let detail = format!("{error:?}");
                    self.dispatch(
                        id,
                        failed("The request could not be sent to the engine.", &detail),
                    );
                }
            }
            _ => self.unsent.borrow_mut().push(message),
        }
    }

    fn receive(&self, data: &JsValue) {
        match serde_wasm_bindgen::from_value::<Envelope<Event>>(data.clone()) {
            Ok(Envelope {
                body: Event::Hello, ..
            }) => {
                self.up.set(true);
                self.start_timeout.replace(None);
                let unsent = self.unsent.take();
                if let Some(worker) = &*self.worker.borrow() {
                    for message in unsent {
                        // Cloneable: `to_message` built it from plain values and files.
                        let _ = worker.post_message(&message);
                    }
                }
            }
            Ok(Envelope { id, body }) => {
                self.failures.set(0);
                self.dispatch(id, body);
            }
            Err(error) => {
                let id = js_sys::Reflect::get(data, &"id".into())
                    .ok()
                    .and_then(|id| id.as_f64());
                let sentence =
                    "The engine answered in a way this page does not understand; reload the page.";
                self.dispatch(
                    id.unwrap_or(0.0) as u32,
                    failed(sentence, &error.to_string()),
                );
            }
        }
    }

    fn dispatch(&self, id: u32, event: Event) {
        let ends = matches!(
            event,
            Event::Cached { .. }
                | Event::Ready { .. }
                | Event::Finished { .. }
                | Event::Masked { .. }
                | Event::Translated { .. }
                | Event::SeenAll { .. }
                | Event::TextsRead { .. }
                | Event::Explained { .. }
                | Event::Attended { .. }
                | Event::AttentionMap { .. }
                | Event::AttentionFocus { .. }
                | Event::Cancelled
                | Event::Failed { .. }
        );
        let mut waiting = self.waiting.borrow_mut();
        if let Some(sender) = waiting.get(&id) {
            // A receiver that is gone has lost interest.
            let _ = sender.unbounded_send(event);
        }
        if ends {
            waiting.remove(&id);
        }
    }

    fn restart(self: &Rc<Self>, detail: &str) {
        if let Some(worker) = self.worker.take() {
            worker.set_onerror(None);
            worker.terminate();
        }
        self.failures.set(self.failures.get() + 1);
        if self.failures.get() > MOST_FAILURES {
            return self.give_up(detail);
        }
        self.unsent.borrow_mut().clear();
        self.spawn();
        self.end_all(RESTARTED, detail);
    }

    fn give_up(&self, detail: &str) {
        self.start_timeout.replace(None);
        self.unsent.borrow_mut().clear();
        self.end_all(GIVEN_UP, detail);
    }

    fn end_all(&self, sentence: &str, detail: &str) {
        let waiting = self.waiting.take();
        (self.on_restart)(sentence, !waiting.is_empty());
        for sender in waiting.into_values() {
            let _ = sender.unbounded_send(failed(sentence, detail));
        }
    }
}

fn failed(sentence: &str, detail: &str) -> Event {
    Event::Failed {
        message: sentence.into(),
        detail: detail.into(),
    }
}

fn to_message(id: u32, body: &Request, files: &[File]) -> Result<JsValue, String> {
    let message = Envelope { id, body }
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|error| error.to_string())?;
    let files: js_sys::Array = files.iter().collect();
    js_sys::Reflect::set(&message, &"files".into(), &files)
        .map_err(|error| format!("{error:?}"))?;
    Ok(message)
}

/// A script that cannot be fetched raises a bare event without a message.
fn describe(event: &ErrorEvent) -> String {
    let text = js_sys::Reflect::get(event, &"message".into())
        .ok()
        .and_then(|m| m.as_string());
    text.unwrap_or_else(|| "The worker's script could not be loaded.".into())
}
