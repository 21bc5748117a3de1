//! The browser's cache of weights. A file is published in it only once its hash is right: it is
//! written through a stream that is closed then, and broken off otherwise, and the browser drops
//! what was broken off.

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Cache, Response, TransformStream, WritableStreamDefaultWriter};

use super::scope;
use crate::registry::{ModelEntry, ModelFile};

const NAME: &str = "glassformer-models";

/// A cache entry's address: a new hash is a new file.
fn key(file: &ModelFile) -> String {
    format!("{}?sha256={}", super::fetch::url(file), file.sha256)
}

/// The cache, where there is one: not in pages without a secure context, nor where storage is
/// forbidden.
async fn cache() -> Option<Cache> {
    open(NAME).await
}

async fn open(name: &str) -> Option<Cache> {
    let storage = scope().caches().ok()?;
    if storage.is_undefined() {
        return None;
    }
    let cache = JsFuture::from(storage.open(name)).await.ok()?;
    cache.dyn_into().ok()
}

/// The cached file, if it is there.
pub(super) async fn find(file: &ModelFile) -> Option<Response> {
    let found = cache().await?.match_with_str(&key(file));
    JsFuture::from(found).await.ok()?.dyn_into().ok()
}

/// Forgets a file whose cached copy turned out to be unreadable.
pub(super) async fn forget(file: &ModelFile) {
    if let Some(cache) = cache().await {
        // What cannot be deleted is met again next time.
        let _ = JsFuture::from(cache.delete_with_str(&key(file))).await;
    }
}

/// Forgets other versions of a file.
async fn forget_older(file: &ModelFile) -> Option<()> {
    let cache = cache().await?;
    let request = web_sys::Request::new_with_str(&key(file)).ok()?;
    let current = request.url();
    let path = |url: &str| url.split('?').next().map(str::to_owned);
    let keys: Array = JsFuture::from(cache.keys()).await.ok()?.dyn_into().ok()?;
    for old in keys.iter() {
        let old: web_sys::Request = old.dyn_into().ok()?;
        if old.url() != current && path(&old.url()) == path(&current) {
            JsFuture::from(cache.delete_with_request(&old)).await.ok()?;
        }
    }
    Some(())
}

/// Whether all files of a model are there.
pub async fn is_cached(entry: &ModelEntry) -> bool {
    for file in &entry.files {
        if find(file).await.is_none() {
            return false;
        }
    }
    true
}

/// A file on its way into the cache. Dropped before [`Self::publish`], it leaves nothing there.
pub(super) struct Deposit {
    writer: WritableStreamDefaultWriter,
    stored: Promise,
    file: ModelFile,
    published: bool,
}

impl Deposit {
    /// Starts writing, where there is a cache.
    pub(super) async fn begin(file: &ModelFile) -> Option<Self> {
        let cache = cache().await?;
        let pipe = TransformStream::new().ok()?;
        let response = Response::new_with_opt_readable_stream(Some(&pipe.readable())).ok()?;
        let writer = pipe.writable().get_writer().ok()?;
        let stored = cache.put_with_str(&key(file), &response);
        // A deposit that is broken off rejects; somebody has to have listened.
        let heard = stored.clone();
        spawn_local(async move {
            let _ = JsFuture::from(heard).await;
        });
        Some(Self {
            writer,
            stored,
            file: file.clone(),
            published: false,
        })
    }

    /// Waits for `step`, or for the cache to give up, as when the disk is full: then the stream
    /// is never read again.
    async fn until(&self, step: Promise) -> Result<(), JsValue> {
        let either = Promise::race(&Array::of2(&step, &self.stored));
        JsFuture::from(either).await.map(|_| ())
    }

    /// Takes the next bytes.
    pub(super) async fn write(&self, chunk: &Uint8Array) -> Result<(), JsValue> {
        self.until(self.writer.write_with_chunk(chunk)).await
    }

    /// All bytes were right: makes the file findable.
    pub(super) async fn publish(mut self) -> Result<(), JsValue> {
        self.published = true;
        self.until(self.writer.close()).await?;
        JsFuture::from(self.stored.clone()).await?;
        // An older version that stays only takes room.
        let _ = forget_older(&self.file).await;
        Ok(())
    }
}

impl Drop for Deposit {
    fn drop(&mut self) {
        if !self.published {
            let abort = self.writer.abort();
            spawn_local(async move {
                let _ = JsFuture::from(abort).await;
            });
        }
    }
}

/// Where small notes on this machine are kept.
const NOTES: &str = "glassformer-notes";

fn note_key(key: &str) -> String {
    format!("notes/{}", js_sys::encode_uri_component(key))
}

/// What was noted under a key.
pub(crate) async fn read_note(key: &str) -> Option<String> {
    let found = open(NOTES).await?.match_with_str(&note_key(key));
    let response: Response = JsFuture::from(found).await.ok()?.dyn_into().ok()?;
    JsFuture::from(response.text().ok()?)
        .await
        .ok()?
        .as_string()
}

/// Notes something; where nothing can be kept, it is found out anew next time.
pub(crate) async fn write_note(key: &str, text: &str) {
    let Some(notes) = open(NOTES).await else {
        return;
    };
    if let Ok(response) = Response::new_with_opt_str(Some(text)) {
        let _ = JsFuture::from(notes.put_with_str(&note_key(key), &response)).await;
    }
}
