//! Carries out requests, one after the other.

use std::rc::Rc;

use futures::StreamExt;
use futures::channel::mpsc::{self, UnboundedReceiver};
use glassformer_engine::browser::{NetworkFile, OpenedFile, is_cached};
use glassformer_engine::protocol::attention::bytes;
use glassformer_engine::protocol::{
    BackendChoice, Envelope, Event, FinishReason, GenerateStats, ModelSource, PrecisionChoice,
    Request, SeenPicture,
};
use glassformer_engine::tasks::matching::TOGETHER;
use glassformer_engine::{
    Cancel, DEFAULT_CONTEXT, Engine, EngineError, Files, Source, heap_bytes, registry,
};
use serde::Serialize;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, File, MessageEvent};

use crate::jobs::{Job, Running, hear};
use crate::parts::{self, Attended};

fn scope() -> DedicatedWorkerGlobalScope {
    // This program is only started as a worker.
    js_sys::global().unchecked_into()
}

/// Tells the page.
pub fn post(id: u32, body: Event) {
    // Kept logits as typed arrays: two kilobytes a token, copied at once.
    let serializer =
        serde_wasm_bindgen::Serializer::json_compatible().serialize_bytes_as_arrays(false);
    match (Envelope { id, body }).serialize(&serializer) {
        Ok(message) => {
            // Posting plain objects does not fail.
            let _ = scope().post_message(&message);
        }
        // Our own types serialise; should they not, the page hears it as the worker's failure.
        Err(error) => wasm_bindgen::throw_str(&error.to_string()),
    }
}

/// Starts listening and says hello.
pub fn start() {
    let (sender, receiver) = mpsc::unbounded();
    let running = Running::default();
    let worker = Worker {
        // Another worker may have died before this one; nobody takes its models for ours.
        engine: Engine::numbered_from((js_sys::Math::random() * f64::from(u32::MAX / 2)) as u32),
        loaded: Vec::new(),
    };
    let device = worker.engine.device_switch();
    let heard = {
        let running = Rc::clone(&running);
        Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
            if let Some(job) = hear(&message.data(), &running, &device) {
                // The receiver lives as long as the worker.
                let _ = sender.unbounded_send(job);
            }
        })
    };
    scope().set_onmessage(Some(heard.as_ref().unchecked_ref()));
    heard.forget();
    spawn_local(work(worker, receiver, running));
    post(0, Event::Hello);
}

/// Carries out one request after the other.
async fn work(mut worker: Worker, mut jobs: UnboundedReceiver<Job>, running: Running) {
    while let Some(job) = jobs.next().await {
        let id = job.id;
        if let Err(error) = worker.carry_out(job).await {
            post(id, answer(&error));
        }
        running.borrow_mut().retain(|(other, ..)| *other != id);
    }
}

/// How an error is told.
fn answer(error: &EngineError) -> Event {
    if *error == EngineError::Cancelled {
        return Event::Cancelled;
    }
    Event::Failed {
        message: error.sentence(),
        detail: format!("{error:?}"),
    }
}

/// What was asked to be loaded: equal orders need no second load.
type Order = (ModelSource, BackendChoice, PrecisionChoice);

/// The engine and what it holds.
struct Worker {
    engine: Engine,
    /// The models in memory by their handles, and how they were asked for.
    loaded: Vec<(u32, Order)>,
}

impl Worker {
    async fn carry_out(&mut self, job: Job) -> Result<(), EngineError> {
        let Job { id, cancel, .. } = job;
        match job.request {
            Request::Load {
                model,
                backend,
                precision,
            } => {
                cancel.check()?;
                let order = (model, backend, precision);
                if !self.choose(&order) {
                    self.load(id, &order.0, job.files, backend, precision, &cancel)
                        .await?;
                    let handle = self.engine.info().map(|info| info.handle);
                    self.loaded
                        .extend(handle.map(|handle| (handle, order.clone())));
                }
                let cached = match &order.0 {
                    ModelSource::Manifest { id } => in_cache(id).await,
                    ModelSource::Files { .. } => false,
                };
                self.ready(id, cached)
            }
            Request::FillMask { model, request, .. } => {
                cancel.check()?;
                self.engine.choose(model)?;
                let mut emit = |event| post(id, event);
                let result = parts::fill_mask(&mut self.engine, &request, &mut emit, &cancel);
                let result = cancel.until(result).await?.await?;
                post(id, Event::Masked { result });
                Ok(())
            }
            Request::Translate { model, request } => {
                cancel.check()?;
                self.engine.choose(model)?;
                let mut emit = |event| post(id, event);
                let result = parts::translate(&mut self.engine, &request, &mut emit, &cancel);
                let result = cancel.until(result).await?.await?;
                post(id, Event::Translated { result });
                Ok(())
            }
            Request::Generate {
                model,
                prompt,
                settings,
                branch,
            } => {
                let mut emit = |event| post(id, event);
                let done = match cancel.check().and_then(|()| self.engine.choose(model)) {
                    Ok(_) => {
                        let text = self
                            .engine
                            .generate(&prompt, branch, settings, &mut emit, &cancel);
                        text.await.map(drop)
                    }
                    Err(error) => Err(error),
                };
                // Whatever was stopped, before its first token or on the way to another device, is a text that ended.
                if done == Err(EngineError::Cancelled) {
                    emit(Event::Finished {
                        reason: FinishReason::Stopped,
                        text: String::new(),
                        stats: GenerateStats::default(),
                    });
                    return Ok(());
                }
                done
            }
            Request::Attend {
                model,
                text,
                pair,
                to,
            } => {
                cancel.check()?;
                self.engine.choose(model)?;
                let mut emit = |event| post(id, event);
                let of = Attended {
                    run: id,
                    to,
                    text: &text,
                    second: pair.as_deref(),
                };
                let summary = parts::attend(&mut self.engine, of, &mut emit, &cancel);
                let summary = cancel.until(summary).await?.await?;
                post(id, Event::Attended { summary });
                Ok(())
            }
            Request::AttendPicture { model } => {
                cancel.check()?;
                self.engine.choose(model)?;
                let preprocessing = self.engine.preprocessing()?;
                let [file] = &job.files[..] else {
                    return Err(EngineError::Read {
                        file: "The picture".into(),
                        reason: "it did not come with the request".into(),
                    });
                };
                let seen = parts::see_picture(file, &preprocessing);
                let seen = cancel.until(seen).await?.await?;
                let mut emit = |event| post(id, event);
                let summary =
                    parts::attend_picture(&mut self.engine, id, &seen, &mut emit, &cancel);
                let summary = cancel.until(summary).await?.await?;
                post(id, Event::Attended { summary });
                Ok(())
            }
            Request::AttentionMap { run, of } => {
                cancel.check()?;
                let map = parts::attention_map(&mut self.engine, run, of);
                let map = cancel.until(map).await?.await?;
                let weights = bytes(&map);
                post(id, Event::AttentionMap { weights });
                Ok(())
            }
            Request::AttentionFocus {
                run,
                layer,
                head,
                from,
            } => {
                cancel.check()?;
                let at = [layer, head, from];
                let focus = parts::attention_focus(&mut self.engine, run, at);
                let focus = cancel.until(focus).await?.await?;
                let numbers = (&focus).into();
                post(id, Event::AttentionFocus { numbers });
                Ok(())
            }
            Request::See { model } => {
                self.engine.choose(model)?;
                self.see(id, &job.files, &cancel).await
            }
            Request::ReadTexts { model, texts } => {
                cancel.check()?;
                self.engine.choose(model)?;
                let mut emit = |event| post(id, event);
                let read = parts::read_texts(&mut self.engine, &texts, &mut emit, &cancel);
                let read = cancel.until(read).await?.await?;
                post(id, Event::TextsRead { read });
                Ok(())
            }
            Request::Explain { model, request } => {
                cancel.check()?;
                self.engine.choose(model)?;
                let mut emit = |event| post(id, event);
                let why = parts::explain(&mut self.engine, &request, &mut emit, &cancel);
                let why = cancel.until(why).await?.await?;
                post(id, Event::Explained { why });
                Ok(())
            }
            Request::IsCached { model } => {
                let cached = in_cache(&model).await;
                post(id, Event::Cached { cached });
                Ok(())
            }
            // Heard when it came.
            Request::Cancel { .. } | Request::LoseDevice => Ok(()),
        }
    }

    /// Looks at pictures, several at a time; one that cannot be taken does not keep the others.
    async fn see(&mut self, id: u32, files: &[File], cancel: &Cancel) -> Result<(), EngineError> {
        let start = web_time::Instant::now();
        let preprocessing = self.engine.preprocessing()?;
        let mut at = 0;
        for some in files.chunks(TOGETHER) {
            let (mut indices, mut pictures) = (Vec::new(), Vec::new());
            for (index, file) in (at..).zip(some) {
                cancel.check()?;
                let seen = cancel
                    .until(parts::see_picture(file, &preprocessing))
                    .await?;
                match seen.await {
                    Ok(seen) => {
                        indices.push(index);
                        pictures.push(seen);
                    }
                    Err(error) => {
                        let message = error.sentence();
                        post(id, Event::NotSeen { index, message });
                    }
                }
            }
            at += some.len() as u32;
            let mut emit = |event| post(id, event);
            let embeddings = parts::see(&mut self.engine, &pictures, &mut emit, cancel);
            let embeddings = cancel.until(embeddings).await?.await?;
            for ((index, seen), embedding) in indices.into_iter().zip(pictures).zip(embeddings) {
                let picture = SeenPicture {
                    embedding,
                    side: seen.width as u32,
                    rgb: seen.rgb,
                };
                post(id, Event::SeenPicture { index, picture });
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        post(id, Event::SeenAll { seconds });
        Ok(())
    }

    /// Chooses the model of an order, if it is in memory.
    fn choose(&mut self, order: &Order) -> bool {
        let held = self.engine.held();
        self.loaded.retain(|(handle, _)| held.contains(handle));
        let found = self.loaded.iter().find(|(_, each)| each == order);
        found.is_some_and(|(handle, _)| self.engine.choose(*handle).is_ok())
    }

    async fn load(
        &mut self,
        id: u32,
        model: &ModelSource,
        files: Vec<File>,
        backend: BackendChoice,
        precision: PrecisionChoice,
        cancel: &Cancel,
    ) -> Result<(), EngineError> {
        type Sources = Vec<Box<dyn Source>>;
        let (name, title, sources): (&str, Option<&str>, Sources) = match model {
            ModelSource::Manifest { id } => {
                let entry =
                    registry::find(id).ok_or_else(|| EngineError::UnknownModel(id.clone()))?;
                let files = entry.files.iter().cloned();
                let sources = files.map(|file| Box::new(NetworkFile(file)) as Box<dyn Source>);
                (&entry.id, Some(&entry.name), sources.collect())
            }
            ModelSource::Files { names, .. } => {
                let files = files.into_iter();
                let sources = files.map(|file| Box::new(OpenedFile::new(file)) as Box<dyn Source>);
                (
                    names.first().map_or("file", String::as_str),
                    None,
                    sources.collect(),
                )
            }
        };
        let files = Files::new(sources)?;
        let mut progress = |loaded, total, from| {
            post(
                id,
                Event::Progress {
                    loaded,
                    total,
                    from,
                },
            );
        };
        self.engine
            .load(
                &files,
                name,
                title,
                backend,
                precision,
                DEFAULT_CONTEXT,
                &mut progress,
                cancel,
            )
            .await?;
        Ok(())
    }

    fn ready(&self, id: u32, cached: bool) -> Result<(), EngineError> {
        let mut model = self.engine.info().ok_or(EngineError::NoModel)?.clone();
        // Of now: what was loaded long ago has run since.
        model.heap_bytes = heap_bytes();
        let notice = self
            .engine
            .loaded()
            .and_then(|loaded| loaded.notice.clone());
        let held = self.engine.held();
        post(
            id,
            Event::Ready {
                model,
                notice,
                held,
                cached,
            },
        );
        Ok(())
    }
}

/// Whether a model of the manifest is in the browser's cache.
async fn in_cache(model: &str) -> bool {
    match registry::find(model) {
        Some(entry) => is_cached(entry).await,
        None => false,
    }
}
