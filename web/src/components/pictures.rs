//! Pictures: those that the page ships, and ways for the person's own.

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, ClipboardEvent, File, HtmlInputElement, HtmlTextAreaElement, Response};

use crate::components::open_model::{listed, taken};
use crate::page::Page;

/// Names of the pictures that the page ships; see `web/assets/samples`.
pub const SAMPLES: [&str; 8] = [
    "dog", "cat", "sailboat", "bicycle", "guitar", "coffee", "mushroom", "rocket",
];

/// Where a sample lies.
pub fn sample_url(name: &str) -> String {
    format!("samples/{name}.png")
}

/// A picture of the page as a file; otherwise one sentence.
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

/// Hears of files that are pasted while a tab is open.
pub fn on_paste(page: Page, tab: &'static str, take: impl Fn(Vec<File>) + 'static) {
    let listener = window_event_listener(ev::paste, move |event| {
        let event: ClipboardEvent = event.unchecked_into();
        let Some(data) = event.clipboard_data() else {
            return;
        };
        // A table or a page that is copied comes as text and as a picture of itself.
        let field = event.target().is_some_and(|target| {
            let is_text = |input: &HtmlInputElement| matches!(&*input.type_(), "text" | "number");
            target.has_type::<HtmlTextAreaElement>()
                || target.dyn_ref::<HtmlInputElement>().is_some_and(is_text)
        });
        if field
            && data
                .get_data("text/plain")
                .is_ok_and(|text| !text.is_empty())
        {
            return;
        }
        let files = data.files().map(|list| listed(&list)).unwrap_or_default();
        if page.tab.with_untracked(|open| open == tab) && !files.is_empty() {
            event.prevent_default();
            take(files);
        }
    });
    on_cleanup(move || listener.remove());
}

/// The button that opens the dialog for files.
#[component]
pub fn ChoosePictures(
    /// The input's handle.
    testid: &'static str,
    /// Whether it takes several.
    several: bool,
    /// Gets what was chosen.
    on_take: Callback<Vec<File>>,
) -> impl IntoView {
    view! {
        <label class="button">
            <input
                type="file"
                class="unseen"
                accept="image/*"
                multiple=several
                data-testid=testid
                on:change:target=move |event| on_take.run(taken(&event.target()))
            />
            <span>"Choose…"</span>
        </label>
    }
}
