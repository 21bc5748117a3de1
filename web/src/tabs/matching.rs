//! Match: pictures against texts, and what of both mattered.

mod examples;
mod export;
mod grid;
mod moving;
mod pictures;
mod ranked;
mod recorded;
mod run;
mod table;
mod why;

use leptos::prelude::*;

use self::examples::TextExamples;
use self::export::Exports;
use self::grid::Grid;
use self::run::Runs;
use self::table::Shown;
use crate::components::pictures::{ChoosePictures, on_paste};
use crate::components::problem::ProblemAlert;
use crate::components::run_row::{RunKeys, RunRow, is_run_key};
use crate::desk::Desk;
use crate::format;
use crate::fragment::Key;
use crate::model::Chosen;
use crate::page::Page;

/// Its name in links.
pub const ID: &str = "match";

/// Whose numbers the lens shows.
const SOURCE: &str = "match";

/// Rows of the lens's numbering are so long: more than there are texts.
const STRIDE: usize = 1 << 10;

/// In it, the place of a picture's texts ranked, behind those of its cells.
const RANKED: usize = STRIDE - 1;

/// The texts it opens with.
pub const OPENING: &str = "dog\ncat\nsailboat\nbicycle\nguitar\nhot drink\nmushroom\nrocket";

/// Most texts of a grid.
const MOST_TEXTS: usize = 100;

/// Its settings in links.
pub const KEYS: &[Key] = &[
    Key {
        name: "template",
        default: "{}",
        check: |_| Ok(()),
    },
    Key {
        name: "softmax",
        default: "off",
        check: |value| match Shown::named(value) {
            Some(_) => Ok(()),
            None => Err("off, texts or pictures".into()),
        },
    },
];

/// The texts of a field: one a line, without empty ones and repetitions.
pub fn labels_of(text: &str) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if labels.len() < MOST_TEXTS && !labels.iter().any(|label| label == line) {
            labels.push(line.to_owned());
        }
    }
    labels
}

/// The tab.
#[component]
pub fn Match() -> impl IntoView {
    let page: Page = expect_context();
    let desk: Desk = expect_context();
    if desk.text.with_untracked(String::is_empty) {
        desk.text.set(OPENING.into());
    }
    let runs = Runs::new(page, desk);
    Effect::new(move |_| {
        if desk.run_asked.get() > 0 {
            runs.start_if_cached();
        }
    });
    on_paste(page, ID, move |files| runs.add(files));
    let about = move || {
        desk.model.chosen.with(|chosen| match chosen {
            Chosen::Manifest(entry) => entry.about.clone(),
            _ => String::new(),
        })
    };
    view! {
        <section class="match-inputs" aria-label="Texts and pictures">
            <Texts runs/>
            <PictureSource runs/>
        </section>
        <TextExamples runs/>
        <RunRow
            tab=ID
            active=Signal::derive(move || runs.is_active())
            status=Signal::derive(move || runs.status())
            on_run=Callback::new(move |()| runs.start())
            on_stop=Callback::new(move |()| runs.stop())
            again=true
            // The row is full.
            keys=false
        >
            <CellChoice runs/>
            <Exports runs/>
        </RunRow>
        <ProblemAlert problem=desk.problem testid="match-error"/>
        <section class="output" aria-label="Pictures against texts" data-testid="match-output">
            {move || runs.is_recorded().then(|| view! {
                <p class="recorded-source" data-testid="match-recorded">
                    <span class="tag">"recorded"</span>
                    {runs.recorded_source()}
                </p>
            })}
            <Grid runs/>
        </section>
        <p class="hint about-model" hidden=move || about().is_empty() data-testid="match-about">{about}</p>
        <p class="unseen" aria-live="polite">{runs.spoken}</p>
    }
}

/// The texts and their template.
#[component]
fn Texts(runs: Runs) -> impl IntoView {
    let desk = runs.desk;
    let count = move || {
        let lines = desk
            .text
            .with(|text| text.lines().filter(|line| !line.trim().is_empty()).count());
        let taken = runs.labels.with(Vec::len);
        match lines {
            0 => "No text yet: type what a picture may show.".into(),
            lines if lines > taken && taken == MOST_TEXTS => {
                format!("{lines} texts; the first {MOST_TEXTS} are compared.")
            }
            _ => format!("{}, one a line", format::counted(taken as u64, "text")),
        }
    };
    view! {
        <div class="match-texts">
            <label class="field-label" for="match-texts">"Texts"</label>
            <textarea
                id="match-texts"
                rows="8"
                spellcheck="false"
                dir="auto"
                aria-describedby="match-keys"
                data-testid="match-input"
                prop:value=desk.text
                on:input:target=move |event| desk.text.set(event.target().value())
                on:keydown=move |event| {
                    if is_run_key(&event) {
                        runs.start();
                    }
                }
            ></textarea>
            <div class="match-below">
                <p class="hint" data-testid="match-count">{count}</p>
                <RunKeys tab=ID/>
            </div>
            <label class="match-template">
                <span>"Template"</span>
                <input
                    type="text"
                    dir="auto"
                    data-testid="match-template"
                    title="Each text is put in the place of {}"
                    prop:value=move || runs.template()
                    on:change:target=move |event| runs.set_template(&event.target().value())
                    on:keydown:target=move |event| {
                        if is_run_key(&event) {
                            // Only leaving the field or Enter alone would say that it changed.
                            runs.set_template(&event.target().value());
                            runs.start();
                        }
                    }
                />
            </label>
        </div>
    }
}

/// How pictures get in.
#[component]
fn PictureSource(runs: Runs) -> impl IntoView {
    let all = move || {
        let count = runs.pictures.with(Vec::len);
        match count {
            0 => "No picture yet; what you add stays in this browser.".into(),
            count => format!(
                "{}; they stay in this browser.",
                format::counted(count as u64, "picture")
            ),
        }
    };
    view! {
        <div class="match-source">
            <span class="field-label">"Pictures"</span>
            <p class="hint">"Drop or paste them anywhere here, or"</p>
            <div class="match-buttons">
                <ChoosePictures testid="match-files" several=true on_take=Callback::new(move |files| runs.add(files))/>
                <button type="button" class="button" data-testid="match-samples" on:click=move |_| runs.restore_samples()>
                    "Samples"
                </button>
                <button type="button" class="button" data-testid="match-clear" on:click=move |_| runs.clear()>
                    "Remove all"
                </button>
            </div>
            <p class="hint">{all}</p>
        </div>
    }
}

/// What the cells show.
#[component]
fn CellChoice(runs: Runs) -> impl IntoView {
    let choose = move |name: String| runs.set_shown(Shown::named(&name).unwrap_or_default());
    let options = Shown::ALL.map(|(shown, name, label)| {
        view! {
            <option value=name selected=move || runs.shown.get() == shown>{label}</option>
        }
    });
    view! {
        <label class="match-shown">
            <span>"Cells show"</span>
            <select data-testid="match-softmax" on:change:target=move |event| choose(event.target().value())>
                {options}
            </select>
        </label>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_lines_without_repetitions() {
        assert_eq!(labels_of(" a dog \n\ncat\na dog"), ["a dog", "cat"]);
        let many: Vec<String> = (0..300).map(|i| i.to_string()).collect();
        assert_eq!(labels_of(&many.join("\n")).len(), MOST_TEXTS);
    }
}
