//! The rows of the grid: pictures come and go.

use std::collections::HashMap;

use leptos::prelude::*;
use web_sys::File;

use super::super::SOURCE;
use super::super::pictures::{self, MOST, Picture, State};
use super::{Phase, Runs};
use crate::components::pictures::{SAMPLES, sample_url};

impl Runs {
    pub(super) fn add_samples(self) {
        for name in SAMPLES {
            self.push(format!("{name}.png"), sample_url(name), true);
        }
    }

    fn push(self, name: String, url: String, sample: bool) -> u32 {
        self.last_picture.update_value(|last| *last += 1);
        let id = self.last_picture.get_value();
        // Counted, as pictures come and go by themselves.
        let state = ArcRwSignal::new(State::Waiting);
        self.pictures.update(|pictures| {
            pictures.push(Picture {
                id,
                name,
                url,
                sample,
                state,
            });
        });
        id
    }

    /// Brings the samples back.
    pub fn restore_samples(self) {
        let there: Vec<String> = self
            .pictures
            .with_untracked(|all| all.iter().map(|picture| picture.url.clone()).collect());
        self.forget_recorded();
        for name in SAMPLES {
            let url = sample_url(name);
            if !there.contains(&url) {
                self.push(format!("{name}.png"), url, true);
            }
        }
        self.look_if_ready();
    }

    /// Takes pictures of the person's. They take the place of samples that nobody has looked at.
    pub fn add(self, files: Vec<File>) {
        if files.is_empty() {
            return;
        }
        if self.is_untouched() {
            self.clear();
        }
        self.forget_recorded();
        let room = MOST.saturating_sub(self.pictures.with_untracked(Vec::len));
        if files.len() > room {
            self.page.notices.say(&format!(
                "A grid takes at most {MOST} pictures; {} were left out.",
                files.len() - room
            ));
        }
        for file in files.into_iter().take(room) {
            let id = self.push(file.name(), pictures::url_of(&file), false);
            self.files.update_value(|files| {
                files.insert(id, file);
            });
        }
        self.look_if_ready();
    }

    fn is_untouched(&self) -> bool {
        self.pictures.with_untracked(|pictures| {
            let waits = |p: &Picture| p.sample && p.state.with_untracked(|s| *s == State::Waiting);
            pictures.iter().all(waits)
        })
    }

    /// Takes a picture out of the grid.
    pub fn remove(self, id: u32) {
        self.forget_recorded();
        self.desk.lens.clear(SOURCE);
        self.pictures.update(|pictures| {
            pictures
                .iter()
                .filter(|p| p.id == id)
                .for_each(Picture::forget);
            pictures.retain(|picture| picture.id != id);
        });
        self.files.update_value(|files| {
            files.remove(&id);
        });
    }

    /// Takes all pictures out of the grid. A model on its way will see the rows that are there then.
    pub fn clear(self) {
        if self.phase.get_untracked() != Phase::Loading {
            self.stop();
            self.phase.set(Phase::Idle);
        }
        self.forget_recorded();
        self.desk.lens.clear(SOURCE);
        self.pictures.update(|pictures| {
            pictures.iter().for_each(Picture::forget);
            pictures.clear();
        });
        self.files.update_value(HashMap::clear);
    }

    /// A picture's file, if it is the person's.
    pub(in crate::tabs::matching) fn file_of(&self, id: u32) -> Option<File> {
        self.files.with_value(|files| files.get(&id).cloned())
    }
}
