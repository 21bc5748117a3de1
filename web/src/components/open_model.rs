//! Opening a model from the person's disk.

use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::{File, FileList, HtmlInputElement};

use crate::components::popover::Popover;
use crate::format;
use crate::model::{Chosen, LoadEnd};
use crate::page::{Page, Problem};

/// Loads opened files for the open tab and tells the person when that failed.
pub fn open(page: Page, label: String, files: Vec<File>) {
    let desk = untrack(|| page.open_desk());
    if files.is_empty() {
        desk.problem.set(Some(Problem {
            sentence: "There are no files in what you opened; choose a GGUF file or a folder with a model's files.".into(),
            detail: String::new(),
        }));
        return;
    }
    desk.problem.set(None);
    desk.picked.set(true);
    spawn_local(async move {
        if let Err(LoadEnd::Failed(problem)) = desk.model.open(label, files).await {
            desk.problem.set(Some(problem));
        }
    });
}

/// The button "Model…": the models there are, and the two dialogs that open others.
#[component]
pub fn OpenModel() -> impl IntoView {
    let page: Page = expect_context();
    let opened = RwSignal::new(false);
    let from_file = move |input: HtmlInputElement| {
        let files = taken(&input);
        if let Some(first) = files.first() {
            opened.set(false);
            open(page, first.name(), files);
        }
    };
    let from_folder = move |input: HtmlInputElement| {
        let chosen = input.files().map_or(0, |files| files.length());
        let files = taken(&input);
        if chosen > 0 {
            opened.set(false);
            let label = files.first().map(folder_of).unwrap_or_default();
            open(
                page,
                label,
                files.into_iter().filter(|file| depth(file) <= 1).collect(),
            );
        }
    };
    let choice = move |chosen: Chosen| {
        let label = format!("{} · {}", chosen.name(), format::bytes(chosen.bytes()));
        let (shown, taken) = (chosen.clone(), chosen);
        view! {
            <label class="choice">
                <input
                    type="radio"
                    name="model"
                    prop:checked=move || page.open_desk().model.chosen.with(|each| *each == shown)
                    on:change=move |_| page.choose(&taken)
                />
                <span><b>{label}</b></span>
            </label>
        }
    };
    view! {
        <Popover id="open-panel" label="Choose or open a model" open=opened face=move || "Model…">
            <fieldset>
                <legend>"Here"</legend>
                {move || page.choices().into_iter().map(choice).collect_view()}
            </fieldset>
            <p class="hint">"From your disk; nothing is uploaded. Dropping it anywhere on the page works too."</p>
            <label class="button">
                <input
                    type="file"
                    class="unseen"
                    accept=".gguf"
                    data-testid="model-file"
                    on:change:target=move |event| from_file(event.target())
                />
                <span>"A file (.gguf)…"</span>
            </label>
            <label class="button">
                <input
                    type="file"
                    class="unseen"
                    prop:webkitdirectory=true
                    data-testid="model-folder"
                    on:change:target=move |event| from_folder(event.target())
                />
                <span>"A folder…"</span>
            </label>
            <p class="hint">
                "A folder holds a model as the hub has it: config.json, *.safetensors or pytorch_model.bin, and tokenizer.json or, of a translator, source.spm with vocab.json. Or a translator of Bergamot: its .bin files with their .spm."
            </p>
        </Popover>
    }
}

/// The files of an input, which is emptied so that the same choice can be made again.
pub fn taken(input: &HtmlInputElement) -> Vec<File> {
    let files = input.files().map(|list| listed(&list)).unwrap_or_default();
    input.set_value("");
    files
}

/// The files of a list.
pub fn listed(list: &FileList) -> Vec<File> {
    (0..list.length())
        .filter_map(|index| list.get(index))
        .collect()
}

fn relative_path(file: &File) -> String {
    let path = js_sys::Reflect::get(file, &"webkitRelativePath".into()).ok();
    path.and_then(|path| path.as_string()).unwrap_or_default()
}

fn folder_of(file: &File) -> String {
    relative_path(file)
        .split('/')
        .next()
        .unwrap_or_default()
        .to_string()
}

// A model's files lie side by side; sub-folders hold other formats of the same weights.
fn depth(file: &File) -> usize {
    relative_path(file).matches('/').count()
}
