//! Dropping a model file or folder anywhere on the page opens it.

use js_sys::{Function, Promise};
use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DataTransfer, DragEvent, File, FileSystemDirectoryEntry, FileSystemEntry, FileSystemFileEntry,
};

use crate::components::open_model::{listed, open};
use crate::page::{Page, Problem};
use crate::tabs::{attention, matching};

/// Listens on the window, and covers the page while files hover over it.
#[component]
pub fn DropTarget() -> impl IntoView {
    let page: Page = expect_context();
    // Enter and leave fire for every element crossed; their balance tells inside from outside.
    let depth = RwSignal::new(0i32);
    let listeners = [
        window_event_listener(ev::dragenter, move |event| {
            if carries_files(&event) {
                depth.update(|depth| *depth += 1);
            }
        }),
        window_event_listener(ev::dragleave, move |event| {
            if carries_files(&event) {
                depth.update(|depth| *depth = (*depth - 1).max(0));
            }
        }),
        window_event_listener(ev::dragover, move |event| {
            if carries_files(&event) {
                event.prevent_default();
            }
        }),
        window_event_listener(ev::drop, move |event| {
            if !carries_files(&event) {
                return;
            }
            event.prevent_default();
            depth.set(0);
            let Some(transfer) = event.data_transfer() else {
                return;
            };
            // The entries must be taken before the event is over.
            let dropped = Dropped::take(&transfer);
            spawn_local(async move {
                let desk = untrack(|| page.open_desk());
                let (label, files) = match dropped.files().await {
                    Ok(taken) => taken,
                    Err(unread) => return desk.problem.set(Some(unread)),
                };
                let takes = [matching::ID, attention::ID].contains(&desk.id);
                if takes && !files.iter().any(is_of_model) {
                    desk.dropped.set(files);
                } else {
                    open(page, label, files);
                }
            });
        }),
    ];
    on_cleanup(move || listeners.into_iter().for_each(|listener| listener.remove()));
    view! {
        <div class="drop-target" hidden=move || depth.get() == 0 aria-hidden="true">
            <p>"Drop to open"</p>
        </div>
    }
}

/// Whether a file is part of a model: in tabs for pictures, everything else is taken for one, so that
/// what is none is told to be none.
fn is_of_model(file: &File) -> bool {
    const MODEL: [&str; 5] = [".gguf", ".safetensors", ".json", ".bin", ".spm"];
    let name = file.name().to_lowercase();
    MODEL.iter().any(|end| name.ends_with(end))
}

fn carries_files(event: &DragEvent) -> bool {
    event
        .data_transfer()
        .is_some_and(|transfer| transfer.types().iter().any(|kind| kind == "Files"))
}

/// What was dropped: a folder, or files.
enum Dropped {
    Folder(FileSystemDirectoryEntry),
    Files(Vec<File>),
}

impl Dropped {
    fn take(transfer: &DataTransfer) -> Self {
        let items = transfer.items();
        let folder = (0..items.length())
            .filter_map(|index| items.get(index)?.webkit_get_as_entry().ok().flatten())
            .find(FileSystemEntry::is_directory);
        match folder {
            Some(folder) => Self::Folder(folder.unchecked_into()),
            None => Self::Files(
                transfer
                    .files()
                    .map(|list| listed(&list))
                    .unwrap_or_default(),
            ),
        }
    }

    async fn files(self) -> Result<(String, Vec<File>), Problem> {
        match self {
            Self::Files(files) => {
                let label = files.first().map(File::name).unwrap_or_default();
                Ok((label, files))
            }
            Self::Folder(folder) => {
                let name = folder.name();
                let files = files_in(&folder).await;
                files
                    .map(|files| (name.clone(), files))
                    .map_err(|error| Problem {
                        sentence: format!("The browser could not read {name}; nothing was opened."),
                        detail: format!("{error:?}"),
                    })
            }
        }
    }
}

/// The files directly inside a folder.
async fn files_in(folder: &FileSystemDirectoryEntry) -> Result<Vec<File>, JsValue> {
    let reader = folder.create_reader();
    let mut files = Vec::new();
    // Browsers hand entries out in batches, an empty one at the end.
    loop {
        let batch =
            answered(|found, failed| reader.read_entries_with_callback_and_callback(found, failed));
        let batch = js_sys::Array::from(&batch.await?);
        if batch.length() == 0 {
            return Ok(files);
        }
        for entry in batch.iter().map(JsCast::unchecked_into::<FileSystemEntry>) {
            if entry.is_file() {
                let entry: FileSystemFileEntry = entry.unchecked_into();
                let file = answered(|found, failed| {
                    entry.file_with_callback_and_callback(found, failed);
                    Ok(())
                });
                files.push(file.await?.unchecked_into());
            }
        }
    }
}

/// Waits for whichever of two callbacks is called: the first with a result, the second with an error.
async fn answered(
    ask: impl FnOnce(&Function, &Function) -> Result<(), JsValue>,
) -> Result<JsValue, JsValue> {
    let (mut asked, mut ask) = (Ok(()), Some(ask));
    let answer = Promise::new(&mut |found, failed| {
        if let Some(ask) = ask.take() {
            asked = ask(&found, &failed);
        }
    });
    asked?;
    JsFuture::from(answer).await
}
