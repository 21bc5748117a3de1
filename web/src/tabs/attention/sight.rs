//! What of the tab is about pictures: which one is looked at, and what is said of it.

use glassformer_engine::registry::ModelEntry;
use leptos::prelude::*;
use web_sys::File;

use super::Texts;
use super::chosen::{Chosen, strongest};
use super::options::{Options, View, change};
use super::shot::{Shot, Tower};
use super::text::Text;
use crate::components::pictures::{ChoosePictures, SAMPLES, fetched, sample_url};
use crate::desk::Desk;
use crate::format;
use crate::model::Chosen as Choice;
use crate::page::{Page, Problem};
use crate::tabs::matching;

/// What a model takes: pictures, texts. Of one that was never loaded, its task says so.
fn takes(desk: Desk) -> [bool; 2] {
    let known = desk.model.known.with(|known| {
        let info = known.as_ref()?;
        Some([info.sight.is_some(), info.attention.is_some()])
    });
    let matches = |entry: &ModelEntry| entry.task == matching::ID;
    known.unwrap_or_else(|| {
        desk.model.chosen.with(|chosen| match chosen {
            Choice::Manifest(entry) => [matches(entry), true],
            _ => [false, true],
        })
    })
}

/// Whether the chosen model looks at a picture, as things are set.
pub fn looks(desk: Desk) -> bool {
    let [sees, reads] = takes(desk);
    sees && (!reads || desk.values.with(Options::read).tower == Tower::Picture)
}

/// The picture that is chosen, as a file.
pub async fn picked(desk: Desk, own: Option<File>) -> Result<File, Problem> {
    let shot = desk.values.with_untracked(Options::read).picture;
    let found = match (shot, own) {
        (Shot::Sample(name), _) => fetched(&sample_url(name)).await,
        (Shot::Own, Some(file)) => Ok(file),
        (Shot::Own, None) => {
            Err("A link cannot bring the picture that it was made with; choose one here.".into())
        }
    };
    found.map_err(|sentence| Problem {
        sentence,
        detail: String::new(),
    })
}

/// A sentence's beginning.
pub fn capital(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// What the place that is pointed at looks at, in words; nothing for texts.
pub fn line(chosen: &Chosen, options: &Options, cursor: Option<(usize, usize)>) -> Option<String> {
    let shown = &chosen.shown;
    let seen = shown.seen.as_ref()?;
    let (_, map) = chosen.maps.first()?;
    if options.view == View::Matrix {
        return None;
    }
    let (n, first) = (shown.n(), seen.grid.first);
    // What was pointed at may have been in a larger picture.
    let cursor = cursor.filter(|&(from, to)| from < n && to < n);
    let from = cursor.map_or(0, |(from, _)| from);
    let to = cursor.map_or_else(|| strongest(chosen, from), |(_, to)| to);
    let row = map.get(from * n..(from + 1) * n)?;
    let percent = |share: f32| format::share(share.into());
    let patches: f32 = row[first..].iter().sum();
    let derived = if options.derives() { " (derived)" } else { "" };
    Some(format!(
        "{} reads {} of its weight from {}, and {} from all patches together{derived}. Numbers are per cent.",
        capital(&shown.name(from)),
        percent(row[to]),
        shown.name(to),
        percent(patches)
    ))
}

/// Which tower of a model that sees and reads.
#[component]
pub fn TowerChoice(
    /// What Run acts on.
    texts: Texts,
) -> impl IntoView {
    let desk = texts.desk();
    let choice = move |tower: Tower, label: &'static str, testid: &'static str| {
        view! {
            <label>
                <input
                    type="radio"
                    name="attention-tower"
                    data-testid=testid
                    prop:checked=move || desk.values.with(Options::read).tower == tower
                    on:change=move |_| {
                        change(desk, |options| options.tower = tower);
                        if texts.start_if_ready() {
                            // The layers and heads of one are not those of another.
                            change(desk, |options| {
                                options.head = None;
                                options.others.clear();
                            });
                        }
                    }
                />
                <span>{label}</span>
            </label>
        }
    };
    let both = move || takes(desk) == [true, true];
    view! {
        <fieldset class="segments tower-choice" hidden=move || !both()>
            <legend class="unseen">"Which tower is looked at"</legend>
            {choice(Tower::Picture, "A picture", "attention-tower-picture")}
            {choice(Tower::Text, "A text", "attention-tower-text")}
        </fieldset>
    }
}

/// Which picture is looked at.
#[component]
pub fn PictureInput(
    /// What Run acts on.
    texts: Texts,
) -> impl IntoView {
    let desk = texts.desk();
    let shot = Memo::new(move |_| desk.values.with(Options::read).picture);
    let samples = SAMPLES.map(|name| {
        let here = move || shot.get() == Shot::Sample(name);
        view! {
            <li>
                <button
                    type="button"
                    class="sample"
                    data-testid="attention-sample"
                    data-name=name
                    title=name
                    aria-pressed=move || here().to_string()
                    on:click=move |_| texts.take_sample(name)
                >
                    <img src=sample_url(name) alt=name width="56" height="56" loading="lazy"/>
                </button>
            </li>
        }
    });
    let own = move || {
        let name = texts.own.with(|file| file.as_ref().map(File::name));
        name.filter(|_| shot.get() == Shot::Own)
    };
    view! {
        <div class="picture-input" data-testid="attention-picture-input">
            <ul class="samples" aria-label="Pictures to look at">{samples.collect_view()}</ul>
            <ChoosePictures testid="attention-file" several=false on_take=Callback::new(move |files| texts.take(files))/>
            <p class="hint">
                {move || own().map(|name| view! { <b data-testid="attention-own">{name}</b> " · " })}
                "or drop or paste one; it stays in this browser."
            </p>
        </div>
    }
}

/// What a classifier names the picture.
#[component]
pub fn Labels(
    /// Whose.
    text: Text,
) -> impl IntoView {
    let labels = move || {
        let shown = text.shown.get()?;
        let labels = shown.summary.picture.as_ref()?.labels.clone();
        (!labels.is_empty()).then_some(labels)
    };
    let item = |(name, share): (String, f32)| {
        let named = name.clone();
        view! {
            <li data-testid="attention-label" data-text=named data-score=share.to_string() data-derived="softmax">
                <span>{name}</span>
                <span class="match-bar" aria-hidden="true">
                    <span style:width=format!("{:.1}%", share * 100.0)></span>
                </span>
                <span class="value" title=format::percent(share.into())>{format::share(share.into())}</span>
            </li>
        }
    };
    move || {
        labels().map(|labels| {
            view! {
                <p class="hint">"What the model names it: shares of a softmax over all its labels."</p>
                <ol class="match-ranked">{labels.into_iter().map(item).collect_view()}</ol>
            }
        })
    }
}

/// Opens a picture in the tab with the model that another tab saw it with, and runs it.
pub fn open(page: Page, from: Desk, shot: Shot, file: Option<File>) {
    let desk = page.desk(super::ID);
    desk.model.adopt(&from.model);
    desk.picked.set(true);
    change(desk, |options| {
        options.tower = Tower::Picture;
        options.picture = shot;
        options.head = None;
        options.others.clear();
    });
    page.open_tab(super::ID);
    match file {
        Some(file) => desk.dropped.set(vec![file]),
        None => desk.run_asked.update(|asked| *asked += 1),
    }
}
