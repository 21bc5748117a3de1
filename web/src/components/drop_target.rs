//! Dropping a model file or folder anywhere on the page opens it.

use futures::channel::oneshot;
use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;
use web_sys::{
    DataTransfer, DragEvent, File, FileSystemDirectoryEntry, FileSystemEntry, FileSystemFileEntry,
};

use crate::components::open_model::{listed, open};
use crate::page::Page;
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
                let (label, files) = dropped.files().await;
                let desk = untrack(|| page.open_desk());
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

    async fn files(self) -> (String, Vec<File>) {
        match self {
            Self::Files(files) => {
                let label = files.first().map(File::name).unwrap_or_default();
                (label, files)
            }
            Self::Folder(folder) => {
                let mut files = Vec::new();
                for entry in entries(&folder).await {
                    if entry.is_file() {
                        files.extend(file_of(entry.unchecked_into()).await);
                    }
                }
                (folder.name(), files)
            }
        }
    }
}

/// The entries directly inside a folder; a folder that cannot be read has none.
async fn entries(folder: &FileSystemDirectoryEntry) -> Vec<FileSystemEntry> {
    let reader = folder.create_reader();
    let mut all = Vec::new();
    // Browsers hand them out in batches, an empty one at the end.
    loop {
        let (give, batch) = oneshot::channel::<JsValue>();
        let give = Closure::once(move |entries: JsValue| {
            let _ = give.send(entries);
        });
        if reader
            .read_entries_with_callback(give.as_ref().unchecked_ref())
            .is_err()
        {
            return all;
        }
        let Ok(batch) = batch.await else { return all };
        let batch = js_sys::Array::from(&batch);
        if batch.length() == 0 {
            return all;
        }
        all.extend(batch.iter().map(JsCast::unchecked_into::<FileSystemEntry>));
    }
}

async fn file_of(entry: FileSystemFileEntry) -> Option<File> {
    let (give, file) = oneshot::channel::<File>();
    let give = Closure::once(move |file: File| {
        let _ = give.send(file);
    });
    entry.file_with_callback(give.as_ref().unchecked_ref());
    file.await.ok()
}
