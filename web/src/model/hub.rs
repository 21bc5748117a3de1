//! What the models of all tabs share: one engine, and what should compute.

use glassformer_engine::protocol::{BackendChoice, PrecisionChoice};
use leptos::prelude::*;

use super::{Model, Status};
use crate::components::notices::Notices;
use crate::engine_client::EngineClient;

/// The engine and who uses it.
#[derive(Clone, Copy)]
pub struct Hub {
    pub(super) backend: RwSignal<BackendChoice>,
    pub(super) precision: RwSignal<PrecisionChoice>,
    pub(super) notices: Notices,
    engine: StoredValue<EngineClient, LocalStorage>,
    models: StoredValue<Vec<Model>>,
    openings: StoredValue<u32>,
}

impl Hub {
    /// Starts the engine.
    pub fn start(backend: BackendChoice, precision: PrecisionChoice, notices: Notices) -> Self {
        let models = StoredValue::new(Vec::<Model>::new());
        let engine = EngineClient::start(move |sentence, requests_ended| {
            for model in models.get_value() {
                model.forget_unless(&[]);
                model.forget_load();
            }
            // Where a request ended, its own error says so.
            if !requests_ended {
                notices.say(sentence);
            }
        });
        Self {
            backend: RwSignal::new(backend),
            precision: RwSignal::new(precision),
            notices,
            engine: StoredValue::new_local(engine),
            models,
            openings: StoredValue::new(0),
        }
    }

    /// What should compute, and how.
    pub fn choices(&self) -> (RwSignal<BackendChoice>, RwSignal<PrecisionChoice>) {
        (self.backend, self.precision)
    }

    /// Every tab's model.
    pub fn models(&self) -> Vec<Model> {
        self.models.get_value()
    }

    pub(super) fn add(&self, model: Model) {
        self.models.update_value(|models| models.push(model));
    }

    /// These handles are in the engine's memory; what had another is not there any more.
    pub(super) fn held(&self, handles: &[u32]) {
        for model in self.models.get_value() {
            model.forget_unless(handles);
        }
    }

    /// Tells openings of files apart.
    pub(super) fn next_serial(&self) -> u32 {
        self.openings.update_value(|count| *count += 1);
        self.openings.get_value()
    }

    pub(super) fn with_engine<T>(&self, f: impl FnOnce(&EngineClient) -> T) -> T {
        self.engine.with_value(f)
    }
}

impl Model {
    /// A load under way ended with the engine.
    fn forget_load(&self) {
        let loading = |status: &Status| matches!(status, Status::Loading(_));
        if self.status.with_untracked(loading) {
            self.status.set(Status::Absent);
        }
    }
}
