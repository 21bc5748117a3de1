//! Hears requests: what waits for its turn, and what a newer request makes pointless.

use std::cell::RefCell;
use std::rc::Rc;

use glassformer_engine::protocol::{Envelope, Event, Request};
use glassformer_engine::{Cancel, DeviceSwitch};
use js_sys::{Array, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::File;

use crate::worker::post;

/// A request that waits for its turn.
pub struct Job {
    pub id: u32,
    pub request: Request,
    pub files: Vec<File>,
    pub cancel: Cancel,
}

/// Requests that are running or waiting, and how to stop them.
pub type Running = Rc<RefCell<Vec<(u32, Kind, Cancel)>>>;

/// What a request is, to those that come after it.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Load,
    Generate,
    Attend,
    /// Looks at what a text left behind.
    Look,
    /// At this place.
    FillMask(u32),
    Translate,
    /// Pictures or texts to compare.
    Match,
    Explain,
    Question,
}

impl Kind {
    fn of(request: &Request) -> Self {
        match request {
            Request::Load { .. } => Self::Load,
            Request::Generate { .. } => Self::Generate,
            Request::Attend { .. } | Request::AttendPicture { .. } => Self::Attend,
            Request::AttentionMap { .. } | Request::AttentionFocus { .. } => Self::Look,
            Request::FillMask { place, .. } => Self::FillMask(*place),
            Request::Translate { .. } => Self::Translate,
            Request::See { .. } | Request::ReadTexts { .. } => Self::Match,
            Request::Explain { .. } => Self::Explain,
            Request::Cancel { .. } | Request::LoseDevice | Request::IsCached { .. } => {
                Self::Question
            }
        }
    }

    /// Whether a request of this kind makes an older one pointless.
    fn replaces(self, older: Self) -> bool {
        // What may go on for minutes.
        let is_long = matches!(older, Self::Generate | Self::Translate);
        match self {
            Self::Load => !matches!(older, Self::Question | Self::Look),
            Self::Generate => !matches!(older, Self::Load | Self::Question | Self::Look),
            // Two texts are compared side by side; the page cancels what it does not want.
            Self::Attend | Self::Look | Self::Translate | Self::Match => is_long,
            Self::FillMask(_) | Self::Explain => older == self || is_long,
            Self::Question => false,
        }
    }
}

/// Takes a message: cancels what it cancels, returns what has to wait for its turn.
pub fn hear(message: &JsValue, running: &Running, device: &DeviceSwitch) -> Option<Job> {
    let envelope: Envelope<Request> = match serde_wasm_bindgen::from_value(message.clone()) {
        Ok(envelope) => envelope,
        Err(error) => {
            post(
                0,
                Event::Failed {
                    message: "The page sent a message that the engine does not understand.".into(),
                    detail: error.to_string(),
                },
            );
            return None;
        }
    };
    let Envelope { id, body: request } = envelope;
    if let Request::Cancel { request } = request {
        // Cancelling runs listeners, which must find the list free.
        let stopped: Vec<Cancel> = running
            .borrow()
            .iter()
            .filter(|(id, ..)| *id == request)
            .map(|(.., cancel)| cancel.clone())
            .collect();
        stopped.iter().for_each(Cancel::cancel);
        return None;
    }
    if request == Request::LoseDevice {
        device.lose();
        return None;
    }
    let kind = Kind::of(&request);
    let outdated: Vec<Cancel> = running
        .borrow()
        .iter()
        .filter(|(_, older, _)| kind.replaces(*older))
        .map(|(.., cancel)| cancel.clone())
        .collect();
    outdated.iter().for_each(Cancel::cancel);
    let cancel = Cancel::default();
    running.borrow_mut().push((id, kind, cancel.clone()));
    let files = Reflect::get(message, &"files".into()).unwrap_or_default();
    let files = files.dyn_into::<Array>().unwrap_or_default();
    Some(Job {
        id,
        request,
        files: files
            .iter()
            .filter_map(|file| file.dyn_into().ok())
            .collect(),
        cancel,
    })
}
