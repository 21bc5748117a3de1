//! The browser's edges: fetching, the cache, opened files, and letting events through.

mod cache;
mod events;
mod fetch;
mod file;
mod gpu;
mod pictures;

pub use cache::is_cached;
pub(crate) use cache::{read_note, write_note};
pub use events::yield_to_events;
pub use fetch::NetworkFile;
pub use file::OpenedFile;
pub(crate) use gpu::offers_gpu;
pub use pictures::see_file;

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStream, ReadableStreamDefaultReader, WorkerGlobalScope};

fn scope() -> WorkerGlobalScope {
    // The engine is only started in a worker.
    js_sys::global().unchecked_into()
}

/// What a rejected promise says, as far as it says anything.
fn reason(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(
        || "the browser gave no reason".into(),
        |error| {
            String::from(error.message())
                .trim_end_matches('.')
                .to_owned()
        },
    )
}

/// The chunks of a `ReadableStream`.
struct Chunks(ReadableStreamDefaultReader);

impl Chunks {
    fn new(stream: &ReadableStream) -> Self {
        Self(stream.get_reader().unchecked_into())
    }

    /// The next chunk, still outside of WebAssembly's memory.
    async fn next(&self) -> Result<Option<Uint8Array>, JsValue> {
        let result = JsFuture::from(self.0.read()).await?;
        let done = js_sys::Reflect::get(&result, &"done".into())?;
        if done.is_truthy() {
            return Ok(None);
        }
        let value = js_sys::Reflect::get(&result, &"value".into())?;
        Ok(Some(value.dyn_into()?))
    }
}
