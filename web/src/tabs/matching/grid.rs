//! The grid: pictures down, texts across. It is a table, so it is its own table twin.

use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

use super::moving::{self, At};
use super::pictures::{Picture, State};
use super::ranked;
use super::run::Runs;
use super::table::{Cell, Shown};
use super::why::WhyView;
use super::{SOURCE, STRIDE};
use crate::components::focus;
use crate::components::lens::{Detail, Fact, LensContent, Subject};
use crate::components::term::{SOFTMAX, Term};
use crate::format;

/// The whole grid and its legend.
#[component]
pub fn Grid(runs: Runs) -> impl IntoView {
    let heads = move || {
        let labels = runs.labels.get();
        let head = |label: String| {
            let prompt = runs.prompt(&label);
            let known = prompt.clone();
            let problem = move || {
                runs.texts
                    .with(|texts| texts.get(&known)?.as_ref().err().cloned())
            };
            view! {
                <th scope="col" title=prompt>
                    <span dir="auto">{label}</span>
                    {move || problem().map(|sentence| view! { <small class="problem">{sentence}</small> })}
                </th>
            }
        };
        labels.into_iter().map(head).collect_view()
    };
    // Where the keyboard was last, and the cell that it finds there now.
    let last = RwSignal::new((0, 0));
    let current = Memo::new(move |_| {
        runs.table
            .with(|table| moving::nearest(&table.rows, last.get()))
    });
    let move_on = move |event: KeyboardEvent| {
        let in_cell = focus::focused().is_some_and(|focused| focused.has_attribute("data-at"));
        let Some(from) = current.get_untracked().filter(|_| in_cell) else {
            return;
        };
        let table = runs.table;
        let next = table.with_untracked(|table| moving::next(&table.rows, from, &event.key()));
        if let Some((row, column)) = next {
            event.prevent_default();
            focus::go_to(&format!(".match-grid [data-at='{row},{column}']"));
        }
    };
    // Other pictures and texts change the shares of a cell that is kept.
    let lens = runs.desk.lens;
    Effect::new(move |_| {
        let renewed = runs.table.with(|table| {
            let index = lens.locked_index(SOURCE)?;
            let (picture, column) = (index / STRIDE, index % STRIDE);
            let row = runs
                .pictures
                .with_untracked(|all| all.iter().position(|p| p.id as usize == picture))?;
            let cell = (*table.rows.get(row)?.get(column)?)?;
            let subject = Subject {
                source: SOURCE,
                index,
            };
            Some((subject, facts(&cell, table.scale)))
        });
        if let Some((subject, facts)) = renewed {
            lens.renew(subject, facts);
        }
    });
    view! {
        <div class="match-scroll" tabindex="-1">
            <table class="match-grid">
                <thead>
                    <tr>
                        <th class="corner">
                            <span class="unseen">"Picture"</span>
                        </th>
                        {heads}
                    </tr>
                </thead>
                <tbody on:keydown=move_on>
                    <For each=move || runs.pictures.get() key=|picture| picture.id let:picture>
                        <Row runs picture last current/>
                    </For>
                </tbody>
            </table>
        </div>
        <p class="hint" hidden=move || !runs.pictures.with(Vec::is_empty)>
            "There are no pictures: drop some here, choose files, or bring the samples back."
        </p>
        <Legend runs/>
    }
}

/// A picture and its cells.
#[component]
fn Row(
    runs: Runs,
    picture: Picture,
    last: RwSignal<At>,
    current: Memo<Option<At>>,
) -> impl IntoView {
    let id = picture.id;
    let place = Memo::new(move |_| {
        runs.pictures
            .with(|all| all.iter().position(|picture| picture.id == id))
    });
    // Of its cells, the one that Tab goes to.
    let current = Memo::new(move |_| {
        let (row, column) = current.get()?;
        (place.get() == Some(row)).then_some(column)
    });
    let cells = Memo::new(move |_| {
        let row = place.get()?;
        runs.table.with(|table| {
            let row = table.rows.get(row)?;
            let shown = runs.shown.get();
            // What is not shown changes with every picture, and draws nothing anew.
            let shaded = |cell: &Option<Cell>| {
                cell.map(|cell| (cell.only(shown), table.shade(&cell, shown)))
            };
            Some(row.iter().map(shaded).collect::<Vec<_>>())
        })
    });
    let state = picture.state.clone();
    let refused = move || match state.get() {
        State::Refused(sentence) => Some(sentence),
        _ => None,
    };
    let columns = move || runs.labels.with(Vec::len).max(1).to_string();
    let body = {
        let picture = picture.clone();
        move || {
            if let Some(sentence) = refused() {
                return view! {
                    <td class="match-refused" colspan=columns data-testid="match-refused">{sentence}</td>
                }
                .into_any();
            }
            let cells = cells.get().unwrap_or_default();
            let picture = picture.clone();
            let cell = move |(column, cell)| {
                let picture = picture.clone();
                view! { <CellView runs picture column cell place last current/> }
            };
            cells
                .into_iter()
                .enumerate()
                .map(cell)
                .collect_view()
                .into_any()
        }
    };
    let (name, url) = (picture.name.clone(), picture.url.clone());
    let named = name.clone();
    let removed = format!("Remove {name}");
    view! {
        <tr>
            <th scope="row">
                <button
                    type="button"
                    class="match-picture"
                    data-testid="match-picture"
                    title=format!("Rank the texts for {name}")
                    on:click=move |_| ranked::show(runs, id)
                >
                    <img src=url alt="" width="56" height="56"/>
                    <span dir="auto">{named}</span>
                </button>
                <button type="button" class="quiet match-remove" title=removed.clone() aria-label=removed on:click=move |event| {
                    focus::pass_on(&event, ".match-remove", "[data-testid=match-samples]");
                    runs.remove(id);
                }>
                    "×"
                </button>
            </th>
            {body}
        </tr>
    }
}

#[component]
fn CellView(
    runs: Runs,
    picture: Picture,
    column: usize,
    cell: Option<(Cell, usize)>,
    place: Memo<Option<usize>>,
    last: RwSignal<At>,
    current: Memo<Option<usize>>,
) -> impl IntoView {
    let Some((cell, shade)) = cell else {
        return view! { <td class="match-waiting">"–"</td> }.into_any();
    };
    let row = place.get_untracked().unwrap_or(0);
    let shown = runs.shown.get_untracked();
    let label = runs
        .labels
        .with_untracked(|labels| labels.get(column).cloned().unwrap_or_default());
    let recorded = runs.is_recorded();
    let testid = if recorded {
        "recorded-cell"
    } else {
        "match-cell"
    };
    let spoken = format!(
        "{}, {label}: {}",
        picture.name,
        written(cell.shown(shown), shown)
    );
    let subject = Subject {
        source: SOURCE,
        index: picture.id as usize * STRIDE + column,
    };
    let content = {
        let picture = picture.clone();
        move |why: bool| {
            let row = place.get_untracked().unwrap_or(row);
            let whole = runs
                .table
                .with_untracked(|table| *table.rows.get(row)?.get(column)?);
            explain(runs, &picture, &label, &whole.unwrap_or(cell), subject, why)
        }
    };
    let lens = runs.desk.lens;
    let (point, focused) = (content.clone(), content.clone());
    view! {
        <td>
            <button
                type="button"
                class="match-cell"
                data-testid=testid
                data-image=picture.name.clone()
                data-text=runs.labels.with_untracked(|labels| labels.get(column).cloned())
                data-score=cell.cosine.to_string()
                data-shade=shade.to_string()
                data-derived=(shown != Shown::Cosine).then_some("softmax")
                data-at=move || place.get().map(|row| format!("{row},{column}"))
                data-locked=move || (lens.locked_subject() == Some(subject)).then_some("true")
                tabindex=move || if current.get() == Some(column) { "0" } else { "-1" }
                aria-label=spoken
                title=exactly(cell.shown(shown), shown)
                on:mouseenter=move |_| lens.point(Some(point(false)))
                on:focus=move |_| {
                    last.set((place.get_untracked().unwrap_or(row), column));
                    lens.point(Some(focused(false)));
                }
                on:mouseleave=move |_| lens.point(None)
                on:blur=move |_| lens.point(None)
                on:click=move |_| lens.toggle(content(!recorded))
            >
                {written(cell.shown(shown), shown)}
            </button>
        </td>
    }
    .into_any()
}

/// A number of a cell.
pub fn written(value: f32, shown: Shown) -> String {
    match shown {
        Shown::Cosine => format!("{value:.3}"),
        _ => format::share(value.into()),
    }
}

/// The same in all its digits.
fn exactly(value: f32, shown: Shown) -> String {
    match shown {
        Shown::Cosine => value.to_string(),
        _ => format::percent(value.into()),
    }
}

fn explain(
    runs: Runs,
    picture: &Picture,
    label: &str,
    cell: &Cell,
    subject: Subject,
    why: bool,
) -> LensContent {
    let prompt = untrack(|| runs.prompt(label));
    let detail = why.then(|| {
        let (picture, prompt) = (picture.clone(), prompt.clone());
        super::why::ask(runs, &picture, &prompt);
        Detail::new(move || {
            let (picture, prompt) = (picture.clone(), prompt.clone());
            view! { <WhyView runs picture prompt/> }.into_any()
        })
    });
    let hint = if runs.is_recorded() {
        "Recorded; press Run to have these numbers computed here, and to see why."
    } else if why {
        "How near the picture and the text lie to each other in the model's space, and what of both mattered."
    } else {
        "How near the picture and the text lie to each other in the model's space; click to see why."
    };
    LensContent {
        subject,
        caption: picture.name.clone(),
        heading: prompt,
        sentence: hint.into(),
        share: None,
        detail,
        facts: facts(cell, runs.scale()),
    }
}

/// A cell's numbers, and what they mean.
fn facts(cell: &Cell, scale: f32) -> Vec<Fact> {
    let fact = |name, value, means: &str| Fact {
        name,
        value,
        means: means.into(),
    };
    vec![
        fact(
            "similarity",
            format!("{:.4}", cell.cosine),
            "cosine of the angle between both vectors: 1 is the same direction, 0 a right angle",
        ),
        fact(
            "logit",
            format!("{:.2}", cell.cosine * scale),
            &format!("the cosine times the model's scale of {scale:.1}, which a softmax takes"),
        ),
        fact(
            "share among the texts",
            format::percent(cell.of_texts.into()),
            "of this picture's row",
        ),
        fact(
            "share among the pictures",
            format::percent(cell.of_pictures.into()),
            "of this text's column",
        ),
    ]
}

/// What the shades mean.
#[component]
fn Legend(runs: Runs) -> impl IntoView {
    let swatches = move || {
        let shown = runs.shown.get();
        let steps = runs.table.with(|table| {
            let any = table.rows.iter().flatten().any(Option::is_some);
            any.then(|| table.steps(shown))
        });
        let steps = steps.into_iter().flatten().enumerate();
        steps
            .map(|(shade, from)| {
                view! {
                    <li class="match-swatch" data-shade=shade.to_string()>
                        {format!("≥ {}", written(from, shown))}
                    </li>
                }
            })
            .collect_view()
    };
    let about = move || {
        let (before, behind) = match runs.shown.get() {
            Shown::Cosine => {
                return "Cosine similarities, as computed. They are small even for good matches; what counts is which is larger.".into_any();
            }
            Shown::OfTexts => (
                "each row",
                "over the texts, so it sums to 100 % even if no text fits.",
            ),
            Shown::OfPictures => (
                "each column",
                "over the pictures, so it sums to 100 % even if no picture fits.",
            ),
        };
        view! { {format!("Derived: {before} is a ")} <Term word="softmax" means=SOFTMAX/> {format!(" {behind}")} }.into_any()
    };
    view! {
        <div class="match-legend">
            <ol aria-label="Shades">{swatches}</ol>
            <p class="hint">{about}</p>
        </div>
    }
}
