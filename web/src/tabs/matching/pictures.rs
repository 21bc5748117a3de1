//! The pictures of the grid: where they come from, and what became of them.

use std::sync::Arc;

use glassformer_engine::protocol::SeenPicture;
use leptos::prelude::*;
use web_sys::{File, Url};

/// Most pictures of a grid.
pub const MOST: usize = 200;

/// A picture of the grid.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Unique on the page.
    pub id: u32,
    /// Its file's.
    pub name: String,
    /// Where the browser finds it, to show it.
    pub url: String,
    /// Whether it came with the page.
    pub sample: bool,
    /// What became of it.
    pub state: ArcRwSignal<State>,
}

// A picture never changes but for its state, which is a signal.
impl PartialEq for Picture {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// What became of a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum State {
    /// The model has not seen it yet.
    #[default]
    Waiting,
    /// The model has seen it.
    Seen(Arc<SeenPicture>),
    /// It cannot be taken; why, in one sentence.
    Refused(String),
}

/// An address for a file of the person's.
pub fn url_of(file: &File) -> String {
    Url::create_object_url_with_blob(file).unwrap_or_default()
}

impl Picture {
    /// Frees what its address keeps.
    pub fn forget(&self) {
        if !self.sample {
            let _ = Url::revoke_object_url(&self.url);
        }
    }
}
