//! What is asked of the engine: texts to read, pictures to see.

use std::sync::Arc;

use glassformer_engine::protocol::{Event, Request};
use leptos::prelude::*;

use super::super::pictures::{Picture, State};
use super::{Phase, Runs};
use crate::components::pictures::fetched;
use crate::page::Problem;

impl Runs {
    /// Reads texts; says whether the run goes on.
    pub(super) async fn read(self, model: u32, run: u32, texts: Vec<String>) -> bool {
        if texts.is_empty() {
            return true;
        }
        let asked = texts.clone();
        let mut events = self.desk.model.request(Request::ReadTexts { model, texts });
        self.requests
            .update_value(|requests| requests.push(events.id));
        while let Some(event) = events.next().await {
            if self.run.get_value() != run {
                return false;
            }
            match event {
                Event::TextsRead { read } => {
                    self.scale.set(read.scale);
                    self.texts.update(|texts| {
                        for (text, read) in asked.iter().zip(read.texts) {
                            let read = match read.problem {
                                Some(problem) => Err(problem),
                                None => Ok(Arc::new(read.embedding)),
                            };
                            texts.insert(text.clone(), read);
                        }
                    });
                }
                event => {
                    if !self.other(event) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Looks at pictures; says whether the run goes on.
    pub(super) async fn see(self, model: u32, run: u32, waiting: Vec<Picture>) -> bool {
        let (mut asked, mut files) = (Vec::new(), Vec::new());
        for picture in waiting {
            let file = match self.file_of(picture.id) {
                Some(file) => Ok(file),
                None => fetched(&picture.url).await,
            };
            match file {
                Ok(file) => {
                    asked.push(picture.state);
                    files.push(file);
                }
                Err(sentence) => picture.state.set(State::Refused(sentence)),
            }
        }
        if files.is_empty() || self.run.get_value() != run {
            return self.run.get_value() == run;
        }
        let mut events = self.desk.model.send_files(Request::See { model }, &files);
        self.requests
            .update_value(|requests| requests.push(events.id));
        let mut done = 0;
        while let Some(event) = events.next().await {
            if self.run.get_value() != run {
                return false;
            }
            let (index, state) = match event {
                Event::SeenPicture { index, picture } => (index, State::Seen(Arc::new(picture))),
                Event::NotSeen { index, message } => (index, State::Refused(message)),
                event => {
                    if !self.other(event) {
                        return false;
                    }
                    continue;
                }
            };
            if let Some(signal) = asked.get(index as usize) {
                signal.set(state);
            }
            done += 1;
            self.forget_recorded();
            self.phase.set(Phase::Looking(done, files.len()));
        }
        true
    }

    /// What every request may be told; says whether it goes on.
    pub(in crate::tabs::matching) fn other(self, event: Event) -> bool {
        match event {
            Event::Moved { model, notice } => {
                self.desk.model.moved(model, &notice);
                true
            }
            Event::Failed { message, detail } => {
                let sentence = message;
                self.fail(Problem { sentence, detail });
                false
            }
            Event::Cancelled => {
                self.phase.set(Phase::Idle);
                false
            }
            _ => true,
        }
    }
}
