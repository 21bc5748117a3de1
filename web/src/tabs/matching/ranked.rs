//! The texts ranked for one picture: zero-shot labels.

use leptos::prelude::*;

use super::pictures::{Picture, State};
use super::run::Runs;
use super::{RANKED, SOURCE, STRIDE};
use crate::components::lens::{Detail, LensContent, Subject};
use crate::components::term::{SOFTMAX, Term};
use crate::format;
use crate::page::Page;
use crate::tabs::attention::shot::Shot;
use crate::tabs::attention::sight;

/// Most texts that are listed.
const LISTED: usize = 12;

/// Shows a picture's texts in the lens.
pub fn show(runs: Runs, id: u32) {
    let found = runs
        .pictures
        .with_untracked(|all| all.iter().find(|p| p.id == id).cloned());
    let Some(picture) = found else { return };
    let name = picture.name.clone();
    let detail = Detail::new(move || {
        let picture = picture.clone();
        view! { <Ranked runs picture/> }.into_any()
    });
    runs.desk.lens.toggle(LensContent {
        subject: Subject {
            source: SOURCE,
            index: id as usize * STRIDE + RANKED,
        },
        caption: "Texts ranked".into(),
        heading: name,
        sentence: "Zero-shot labels: the texts as if they were the only things a picture can show."
            .into(),
        share: None,
        facts: Vec::new(),
        detail: Some(detail),
    });
}

#[component]
fn Ranked(runs: Runs, picture: Picture) -> impl IntoView {
    let id = picture.id;
    let page: Page = expect_context();
    let state = picture.state.clone();
    let seen = move || state.with(|state| matches!(state, State::Seen(_)));
    let sample = picture.sample.then(|| picture.name.clone());
    let look = move |_| {
        let name = sample.as_ref().and_then(|name| name.strip_suffix(".png"));
        let shot = name.map_or(Shot::Own, Shot::named);
        sight::open(page, runs.desk, shot, runs.file_of(id));
    };
    let rows = move || {
        let row = runs
            .pictures
            .with(|all| all.iter().position(|p| p.id == id));
        let cells = row.and_then(|row| runs.table.with(|table| table.rows.get(row).cloned()));
        let labels = runs.labels.get();
        let known = labels.into_iter().zip(cells.unwrap_or_default());
        let mut known: Vec<_> = known
            .filter_map(|(label, cell)| Some((label, cell?)))
            .collect();
        known.sort_by(|a, b| b.1.of_texts.total_cmp(&a.1.of_texts));
        known
            .into_iter()
            .take(LISTED)
            .map(|(label, cell)| {
                let named = label.clone();
                let width = format!("{:.1}%", f64::from(cell.of_texts) * 100.0);
                view! {
                    <li data-testid="match-label" data-text=named data-score=cell.of_texts.to_string() data-derived="softmax">
                        <span dir="auto">{label}</span>
                        <span class="match-bar" aria-hidden="true">
                            <span style:width=width></span>
                        </span>
                        <span class="value" title=format::percent(cell.of_texts.into())>{format::share(cell.of_texts.into())}</span>
                    </li>
                }
            })
            .collect_view()
    };
    view! {
        <img class="match-large" src=picture.url alt=picture.name/>
        <ol class="match-ranked">{rows}</ol>
        <p class="hint">"Shares of a " <Term word="softmax" means=SOFTMAX/> " over the texts of the grid, times the model's scale: derived."</p>
        <p class="match-buttons" hidden=move || !seen()>
            <button type="button" class="button" data-testid="match-look" on:click=look>
                "What the heads look at in it"
            </button>
        </p>
    }
}
