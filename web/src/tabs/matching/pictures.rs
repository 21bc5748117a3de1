//! The pictures of the grid: where they come from, and what became of them.

use std::sync::Arc;

use glassformer_engine::protocol::SeenPicture;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File, Response, Url};

/// Most pictures of a grid.
pub const MOST: usize = 200;

/// Names of the pictures that the page ships; see `web/assets/samples`.
pub const SAMPLES: [&str; 8] = [
    "dog", "cat", "sailboat", "bicycle", "guitar", "coffee", "mushroom", "rocket",
];

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

/// Where a sample lies.
pub fn sample_url(name: &str) -> String {
    format!("samples/{name}.png")
}

/// A picture of the page as a file.
pub async fn fetched(url: &str) -> Result<File, String> {
    let blob = async {
        let response = JsFuture::from(window().fetch_with_str(url)).await?;
        let response: Response = response.dyn_into()?;
        if !response.ok() {
            return Err(JsValue::from_str("the server has no such file"));
        }
        JsFuture::from(response.blob()?).await?.dyn_into::<Blob>()
    };
    let name = url.rsplit('/').next().unwrap_or(url);
    let file = match blob.await {
        Ok(blob) => File::new_with_blob_sequence(&js_sys::Array::of1(&blob), name),
        Err(error) => Err(error),
    };
    file.map_err(|_| format!("{name} could not be fetched from the page's server."))
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
